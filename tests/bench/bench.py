# SPDX-License-Identifier: Apache-2.0
"""
The same work side by side, in one run and in turns: fetch an identity, check it, one mutual TLS probe, install it at
once. No test: what counts are the ratios, and the counts that no other process can change. tests/bench/bench.py
[--turns=N] [--rest=SECONDS]; results go to build/bench/results.json, the page is made of them by tests/bench/page.py.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "bench")]

from servers.pki import Authority, document  # noqa: E402
from ways import AGENT, BUILD, FOREIGN, found, go, ways  # noqa: E402

KINDS = ("p256", "rsa2048", "rsa4096")
SECRETS, ENDPOINTS = (1, 16, 256), (1, 100, 1000)
MEASURE = BUILD.parent / "tests" / "measure"


class Servers:
    """Secrets Manager with a client's identity of one kind of key, and the enclave that accepts it."""

    def __init__(self, folder, binary, kind):
        amazon, enclave = Authority("Bench AWS Root", "rsa2048"), Authority("Bench Enclave CA", kind)
        folder.mkdir()
        self.bundle = folder / "amazon.pem"
        self.bundle.write_text(amazon.pem)
        amazon.issue("localhost", "rsa2048", ["localhost"]).write(folder, "aws")
        enclave.issue("localhost", kind, ["localhost"]).write(folder, "enclave")
        (folder / "clients.crt").write_text(enclave.pem)
        (folder / "document.json").write_text(document(enclave.issue("Client", kind), enclave.pem))
        self.child = subprocess.Popen([binary, folder], stdout=subprocess.PIPE, text=True)
        self.aws, self.enclave = map(int, self.child.stdout.readline().split())

    @property
    def endpoint(self):
        return f"https://localhost:{self.enclave}/health"

    def environment(self, work):
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(work),
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": f"https://localhost:{self.aws}",
            "AWS_CA_BUNDLE": str(self.bundle),
            "AWS_EC2_METADATA_DISABLED": "true",
            "NODE_EXTRA_CA_CERTS": str(self.bundle),
            "MTLS_AGENT_LOCK_DIR": str(work / "locks"),
        }

    def stop(self):
        self.child.kill()
        self.child.wait()


def measured(command, environment):
    """Milliseconds of wall and of processor time, MiB at the most; it must have succeeded."""
    done = subprocess.run([MEASURE, *map(str, command)], env=environment, text=True, capture_output=True)
    status, wall, cpu, peak = map(int, done.stdout.split())
    if status:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {status}:\n{done.stderr}")
    return {"wall": wall / 1000, "cpu": cpu / 1000, "peak": peak / 1024}


def summary(runs):
    """Of each figure least, median and most."""
    figures = {name: sorted(run[name] for run in runs) for name in runs[0]}
    return {name: [row[0], statistics.median(row), row[-1]] for name, row in figures.items()}


class Bench:
    def __init__(self, work, turns):
        self.work, self.turns, self.count = work, turns, 0
        self.server = go("server")
        self.ways, self.left_out = ways()
        self.servers = {kind: Servers(work / kind, self.server, kind) for kind in KINDS}

    def folder(self):
        self.count += 1
        folder = self.work / f"target-{self.count}"
        folder.mkdir(mode=0o755)
        return folder

    def fetch(self, way, kind, secrets=("bench",)):
        servers = self.servers[kind]
        command = way.fetch(self.folder(), servers.endpoint, secrets)
        return measured(command, servers.environment(self.work))

    def in_turns(self, works):
        """works: name -> what measures once. Each once to warm up, then all in turns."""
        runs = {name: [] for name in works}
        for turn in range(self.turns + 1):
            for name, work in works.items():
                one = work()
                if turn:
                    runs[name].append(one)
        return {name: summary(all_) for name, all_ in runs.items()}

    def same_work(self):
        return {
            kind: self.in_turns({way.name: lambda way=way: self.fetch(way, kind) for way in self.ways})
            for kind in KINDS
        }

    def start(self):
        environment = self.servers["p256"].environment(self.work)
        return self.in_turns(
            {way.name: lambda way=way: measured(way.start, environment) for way in self.ways if "Go" not in way.name}
        )

    def by_secrets(self):
        names = {count: [f"set-{number}" for number in range(count)] for count in SECRETS}
        return {
            count: self.in_turns(
                {way.name: lambda way=way: self.fetch(way, "p256", names[count]) for way in self.ways[:2]}
            )
            for count in SECRETS
        }

    def by_endpoints(self):
        """A probe of so many endpoints: one server, asked for so many paths, each over its own full handshake."""
        servers, target = self.servers["p256"], self.folder()
        environment = servers.environment(self.work)
        measured(self.ways[0].fetch(target, servers.endpoint, ["bench"]), environment)
        grown = {}
        for count in ENDPOINTS:
            conf = self.work / f"probe-{count}.conf"
            conf.write_text("".join(f"endpoint = {servers.endpoint}?{number}\n" for number in range(count)))
            conf.chmod(0o600)
            command = [AGENT, "probe", f"--config={conf}", f"--dir={target}"]
            grown[count] = self.in_turns({"mtls-agent": lambda: measured(command, environment)})
        return grown

    def instructions(self):
        """Of one fetch each, by valgrind, and for aarch64 by a plugin of QEMU: no other process changes them."""
        tools = {"x86-64": (["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--vgdb=no"], AGENT)}
        if found("qemu-aarch64") and FOREIGN.exists():
            tools["aarch64"] = (["qemu-aarch64", "-plugin", plugin(), "-d", "plugin"], FOREIGN)
        else:
            self.left_out.append("instructions of aarch64: no qemu-aarch64 (Debian: qemu-user), or no program")
        return {name: {kind: self.counted(*tool, kind) for kind in KINDS} for name, tool in tools.items()}

    def counted(self, tool, program, kind):
        """The emulators know neither the system calls of the sandbox nor memfd_secret: it is off, pages are locked."""
        servers = self.servers[kind]
        command = [program, "fetch", f"--dir={self.folder()}", f"--endpoint={servers.endpoint}", "--secret=bench"]
        command = [*map(str, tool), *map(str, command), "--sandbox=off"]
        done = subprocess.run(command, env=servers.environment(self.work), text=True, capture_output=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        return sum(map(int, re.findall(r"Collected : (\d+)", done.stderr)))

    def rest(self, seconds):
        """`run` with one endpoint and usual intervals: wake-ups, processor time and memory of all its processes."""
        servers, log = self.servers["p256"], open(self.work / "run.log", "w")
        command = [AGENT, "run", f"--dir={self.folder()}", "--secret=bench", f"--endpoint={servers.endpoint}"]
        child = subprocess.Popen(command, env=servers.environment(self.work), stderr=log, stdout=log)
        try:
            time.sleep(min(10, seconds))
            before = resting(child.pid)
            time.sleep(seconds)
            after = resting(child.pid)
        finally:
            child.terminate()
            child.wait()
            log.close()
        return {
            "seconds": seconds,
            "wake_ups": after["switches"] - before["switches"],
            "cpu_ms": round(after["cpu"] - before["cpu"], 1),
            "pss_kib": after["pss"],
            "processes": after["processes"],
        }

    def stop(self):
        for servers in self.servers.values():
            servers.stop()


def plugin():
    """QEMU's counter of instructions, built."""
    library = BUILD / "instructions.so"
    source = TESTS / "bench" / "instructions.c"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def family(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def counted_in(path, name):
    return int(re.search(rf"^{name}:\s+(\d+)", path.read_text(), re.M).group(1))


def resting(pid):
    pids, switches, cpu, pss = family(pid), 0, 0, 0
    for one in pids:
        for task in Path(f"/proc/{one}/task").iterdir():
            switches += counted_in(task / "status", "voluntary_ctxt_switches")
            cpu += int((task / "schedstat").read_text().split()[0]) / 1e6
        pss += counted_in(Path(f"/proc/{one}/smaps_rollup"), "Pss")
    return {"switches": switches, "cpu": cpu, "pss": pss, "processes": len(pids)}


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "processor": model.group(1) if model else platform.machine(),
        "count": os.cpu_count(),
        "kernel": platform.release().split("-")[0],
        "load": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
        "version": subprocess.run([AGENT, "--version"], text=True, capture_output=True).stdout.split("\n")[0],
    }


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--turns", type=int, default=9)
    options.add_argument("--rest", type=int, default=600, help="seconds of run at rest")
    options = options.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="work-", dir=BUILD) as folder:
        bench = Bench(Path(folder), options.turns)
        try:
            results = {
                "machine": machine(),
                "turns": options.turns,
                "left_out": bench.left_out,
                "bytes": {way.name: way.bytes for way in bench.ways},
                "same_work": bench.same_work(),
                "start": bench.start(),
                "secrets": bench.by_secrets(),
                "endpoints": bench.by_endpoints(),
                "instructions": bench.instructions(),
                "rest": bench.rest(options.rest),
            }
        finally:
            bench.stop()
    (BUILD / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
