# SPDX-License-Identifier: Apache-2.0
"""
`mtls-agent run` for a long time, compressed: 10,000 rotations and 100,000 probes of three enclaves, one of which goes
down and comes back, and one of which refuses for a while. What must not grow does not grow. make soak;
SOAK_ROTATIONS and SOAK_PROBES make it shorter.
"""

import collections
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "e2e")]

from agent import PROGRAM, ROOT  # noqa: E402
from measure import Log, Metrics, Sampler, cpu_seconds, descendants, descriptors, switches, threads, zombies  # noqa: E402
from servers.enclave import Nginx  # noqa: E402
from servers.pki import Authority  # noqa: E402
from standin import ARN, StandIn  # noqa: E402

ROTATIONS = int(os.environ.get("SOAK_ROTATIONS", 10_000))
PROBES = int(os.environ.get("SOAK_PROBES", 100_000))
OUT = ROOT / "build" / "soak"
PATIENCE_S = 120  # for anything to come about at all
PHASE_S = 10
INTERVAL, PROBE_INTERVAL = "100ms", "15ms"  # together what two cores can do

# Parts of the run in which the second enclave is down, and the third refuses. None lies in what is compared.
DOWN = ((0.22, 0.25), (0.42, 0.45), (0.62, 0.65), (0.82, 0.85))
REFUSING = ((0.32, 0.37), (0.72, 0.77))
EARLY, LATE = (0.1, 0.2), (0.9, 1.0)

RSS_PART, RSS_KIB = 0.05, 100  # the most that memory may grow by; the larger of the two
ARENA_PART = 0.01  # the same of locked memory: certificates differ by a few bytes
WAKEUPS_A_JOB = 2  # it is due, and it is over
WAKEUPS_SPARE = 0.01
LOCKS = {"..run", "..lock", "..tell"}  # where /run/mtls-agent cannot be used

HOOK = """\
#!/bin/sh
echo "$MTLS_AGENT_CHANGE_VERSION_ID" >>{told}
"""

passed = failed = 0
# What the picture needs beside the samples.
facts = {"cores": os.cpu_count(), "rotations_asked": ROTATIONS, "probes_asked": PROBES}


def check(name, fine, detail=""):
    global passed, failed
    passed, failed = passed + bool(fine), failed + (not fine)
    print(f"  {'ok  ' if fine else 'FAIL'}  {name}{': ' if detail else ''}{detail}", flush=True)


def wait_for(what, condition, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come about within {seconds} s")
        time.sleep(0.02)


def bring_back(enclave):
    """On its own port, which somebody's outgoing connection may have meanwhile."""

    def started():
        try:
            enclave.start(enclave.port)
        except RuntimeError:
            return False
        return True

    wait_for("the enclave's port", started)


class Soak:
    """The agent, and the world around it."""

    def __init__(self, work):
        self.work, self.target = work, work / "mtls"
        self.metrics_file, self.told_file = work / "metrics.prom", work / "told"
        self.authority, self.stranger = Authority("Enclave-CA"), Authority("Stranger-CA")
        self.aws = StandIn(work, self.target, self.authority)
        server = self.authority.issue("localhost", names=["localhost"])
        self.enclaves = [Nginx(work / f"enclave-{n}", server, self.authority.pem) for n in (1, 2, 3)]
        self.endpoints = [enclave.endpoint for enclave in self.enclaves]
        self.down = self.refuses = False
        self._start_agent()

    def _start_agent(self):
        hook = self.work / "hook"
        hook.write_text(HOOK.format(told=self.told_file))
        hook.chmod(0o700)
        self.told_file.touch()
        self.conf = self.work / "agent.conf"
        self.configure(INTERVAL, PROBE_INTERVAL, send=False)
        self.child = subprocess.Popen(
            [PROGRAM, "run", f"--config={self.conf}", f"--on-change-exec={hook}"],
            env={"PATH": "/usr/bin:/bin", **self.aws.environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.pid = self.child.pid
        self.log = Log(self.child.stderr)
        self.wait_event("ready")
        self.wait_event("hook_done")
        self.runner = descendants(self.pid)[0]

    def configure(self, interval, probe_interval, send=True):
        """Writes the configuration; has the agent read it, and waits until it has."""
        lines = [f"secret = {ARN}", f"dir = {self.target}", "log-format = json", "log-level = debug", "keep-previous = 1s"]
        lines += [f"endpoint = {endpoint}" for endpoint in self.endpoints]
        lines += [f"metrics-file = {self.metrics_file}", f"interval = {interval}"]
        lines += [f"probe-interval = {probe_interval}", "deadline = 30s", ""]
        self.conf.write_text("\n".join(lines))
        self.conf.chmod(0o600)
        if send:
            count = self.log.events["reloaded"]
            self.child.send_signal(signal.SIGHUP)
            self.wait_event("reloaded", count + 1)

    def wait_event(self, name, count=1):
        def come():
            if self.child.poll() is not None:
                raise RuntimeError(f"the agent ended with {self.child.returncode}: {list(self.log.errors)}")
            return self.log.events[name] >= count

        wait_for(name, come)

    def metrics(self):
        return Metrics(self.metrics_file)

    def rotations(self):
        return self.log.events["installed"]

    def progress(self):
        return min(self.rotations() / ROTATIONS, self.log.probed / PROBES, 1)

    def misbehave(self, progress):
        """Lets the enclaves be as they are to be at this point of the run."""
        down = any(start <= progress < end for start, end in DOWN)
        refuses = any(start <= progress < end for start, end in REFUSING)
        if down != self.down:
            self.down = down
            self.enclaves[1].stop()
            if not down:
                bring_back(self.enclaves[1])
        if refuses != self.refuses:
            self.refuses = refuses
            self.enclaves[2].stop()
            self.enclaves[2].ca_path.write_text((self.stranger if refuses else self.authority).pem)
            bring_back(self.enclaves[2])

    def sets(self):
        return [path.name for path in self.target.glob("..set-*")]

    def rest(self):
        """Nothing new, the replaced set gone, no probes, and no look at AWS for a day."""
        self.aws.rotating = False
        self.configure(INTERVAL, "0s")
        wait_for("the end of the set before", lambda: len(self.sets()) == 1)
        self.configure("1d", "0s")
        wait_for("rest", self.rests)

    def rests(self):
        before = switches(self.pid)
        time.sleep(1)
        return switches(self.pid) == before

    def stop(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        for server in [*self.enclaves, self.aws]:
            server.stop()


def run(soak, sampler):
    """The long part: until all rotations and probes are done."""
    soak.aws.rotating = True
    said, moved, last = 0, time.monotonic(), 0
    while (progress := soak.progress()) < 1:
        if progress > last:
            moved, last = time.monotonic(), progress
        if soak.child.poll() is not None or sampler.failure or time.monotonic() - moved > PATIENCE_S:
            raise RuntimeError(
                f"it goes no further: {soak.child.poll()} {sampler.failure} {list(soak.log.errors)}"
            )
        if progress >= (said + 1) / 10 and sampler.rows:
            said += 1
            row = sampler.rows[-1]
            print(
                f"{said * 10:3} %  {row['seconds']:5.0f} s  {row['rotations']:6.0f} rotations  "
                f"{row['probes']:7.0f} probes  {row['rss_kib']:.0f} KiB  {row['descriptors']:.0f} descriptors",
                flush=True,
            )
        soak.misbehave(progress)
        time.sleep(0.05)
    soak.aws.rotating = False
    soak.misbehave(0)


def phase(soak, interval, probe_interval, rotating, count):
    """Milliseconds of CPU for each of what count() counts, with nothing else to do."""
    soak.aws.rotating = rotating
    soak.configure(interval, probe_interval)
    time.sleep(1)
    before, cpu = count(), cpu_seconds(soak.pid)
    time.sleep(PHASE_S)
    done = count() - before
    return 1000 * (cpu_seconds(soak.pid) - cpu) / done if done else float("nan")


def costs(soak):
    def fetches():
        return soak.metrics().sum("fetches_total")

    return {
        "probe": phase(soak, "1d", PROBE_INTERVAL, False, lambda: soak.log.probed),
        "cycle without news": phase(soak, INTERVAL, "0s", False, fetches),
        "rotation": phase(soak, INTERVAL, "0s", True, soak.rotations),
    }


def between(rows, window, name):
    """Values of a column within a part of the run."""

    def progress(row):
        return min(row["rotations"] / ROTATIONS, row["probes"] / PROBES, 1)

    return [row[name] for row in rows if window[0] <= progress(row) <= window[1]]


def check_flat(rows):
    for column, name in (("rss_kib", "memory of the agent"), ("runner_kib", "memory of the hook runner")):
        early, late = (statistics.median(between(rows, window, column)) for window in (EARLY, LATE))
        most = max(early * (1 + RSS_PART), early + RSS_KIB)
        check(f"{name} is flat", late <= most, f"{early:.0f} KiB early, {late:.0f} late, at most {most:.0f}")
    for name in ("descriptors", "threads"):
        early, late = (min(between(rows, window, f"least_{name}")) for window in (EARLY, LATE))
        most = max(row[name] for row in rows)
        check(f"{name} are as many", early == late, f"{early:.0f} early, {late:.0f} late, {most:.0f} at most")
    for column, name in (("locked_bytes", "locked memory"), ("peak_bytes", "its peak")):
        early, late = (max(between(rows, window, column)) for window in (EARLY, LATE))
        most = early * (1 + ARENA_PART)
        check(
            f"{name} is flat", late <= most, f"{early:.0f} bytes early, {late:.0f} late, at most {most:.0f}"
        )


def check_work(soak):
    metrics, log = soak.metrics(), soak.log
    installed = metrics.sum("installs_total", outcome="installed")
    made = len(soak.aws.versions)
    facts.update(rotations=made, probes=log.probed)
    check(
        "every version was installed",
        installed == made == log.events["installed"],
        f"{installed:.0f} of {made}",
    )
    check("rotations", made >= ROTATIONS, f"{made}")
    check("probes", log.probed >= PROBES, f"{log.probed}, and {log.rehearsed} handshakes before installs")
    counted = metrics.sum("handshakes_total")
    check("every handshake is in the log", counted == log.events["handshake"], f"{counted:.0f} counted")
    check("no line of the log was lost", metrics.sum("log_lines_dropped_total") == 0)
    for endpoint, verdict in ((soak.endpoints[1], "unreachable"), (soak.endpoints[2], "refused")):
        seen = metrics.sum("handshakes_total", endpoint=endpoint, result=verdict)
        check(f"an enclave was {verdict} at times", seen > 0, f"{seen:.0f} handshakes")
    first = metrics.sum("handshakes_total", endpoint=soak.endpoints[0])
    accepted = metrics.sum("handshakes_total", endpoint=soak.endpoints[0], result="accepted")
    check("the enclave that was well accepted all", first == accepted, f"{accepted:.0f} of {first:.0f}")


def check_hook(soak):
    told = soak.told_file.read_text().split()
    runs = soak.metrics().sum("hooks_total", result="done")
    twice = [version for version, count in collections.Counter(told).items() if count > 1]
    order = {version: number for number, version in enumerate(soak.aws.versions)}
    numbers = [order[version] for version in told]
    facts["overtaken"] = overtaken = len(order) - len(set(told))
    check(
        "the hook ran once for a version, in order",
        not twice and numbers == sorted(numbers),
        f"{runs:.0f} runs",
    )
    check("and for the last one", told[-1] == soak.aws.versions[-1])
    check("few versions were overtaken by the next", overtaken <= len(order) / 100, f"{overtaken}")


def check_wakeups(soak):
    metrics = soak.metrics()
    cycles, hooks = metrics.sum("fetches_total"), metrics.sum("hooks_total")
    rounds = max(soak.log.probes.values())
    signals = soak.log.events["reloaded"]
    wakeups = metrics.sum("wakeups_total")
    facts["wakeups_a_duty"] = wakeups / (cycles + rounds + hooks)
    due = WAKEUPS_A_JOB * (cycles + rounds) + hooks + signals
    check(
        "it wakes up for what is due",
        wakeups <= due * (1 + WAKEUPS_SPARE),
        f"{wakeups:.0f} for {cycles:.0f} cycles, {rounds:.0f} rounds of probes, {hooks:.0f} hooks: "
        f"{facts['wakeups_a_duty']:.2f} for each",
    )


def check_leftovers(soak):
    names = {path.name for path in soak.target.iterdir()} - {"client.crt", "client.key", "ca.crt"}
    own = {"..agent", "..data", "..status.json", *soak.sets()}
    check(
        "one set is left, and nothing half-made",
        names - LOCKS == own and len(soak.sets()) == 1,
        " ".join(sorted(names)),
    )
    check("no zombie", not zombies(soak.pid), f"{len(descendants(soak.pid))} process below the agent")
    check("at rest it has one thread", threads(soak.pid) == 1)
    check("at rest it has the descriptors that it began with", descriptors(soak.pid) == soak.descriptors)
    woken = switches(soak.pid)
    time.sleep(PHASE_S)
    woken = switches(soak.pid) - woken
    check("at rest it sleeps", woken <= 1, f"woken {woken} times in {PHASE_S} s")


def check_log(soak, hours):
    log = soak.log
    quiet = sum(size for name, size in log.notable_bytes.items() if name != "handshake") / hours / 1024
    handshakes = log.notable_bytes["handshake"] / hours / 1024
    errors = {name: count for (level, name), count in log.notable.items() if level == "error"}
    check("no error", not errors, f"{errors or ''}")
    print(f"        warnings: {dict((name, count) for (_, name), count in log.notable.items())}")
    facts["log_kib_an_hour"] = quiet
    print(
        f"        the log at level warning: {quiet:.0f} KiB an hour, and {handshakes:.0f} of failed handshakes"
    )


def check_end(soak):
    healthy = subprocess.run(
        [PROGRAM, "healthcheck", f"--config={soak.conf}"], env={}, capture_output=True, text=True
    )
    check("it is healthy", healthy.returncode == 0, healthy.stdout.strip() or healthy.stderr.strip())
    last = [each["last"] for each in json.loads((soak.target / "..status.json").read_text())["endpoints"]]
    check("all enclaves accept again", last == ["accepted"] * len(soak.endpoints), f"{last}")
    started = time.monotonic()
    soak.child.send_signal(signal.SIGTERM)
    status = soak.child.wait(PATIENCE_S)
    check(
        "it ends when it is told to", status == 0, f"exit {status} after {time.monotonic() - started:.2f} s"
    )


def main():
    if os.geteuid() != 0:
        sys.exit("the agent lets nobody but root see its descriptors: run this as root")
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mtls-agent-soak-") as directory:
        soak = Soak(Path(directory))
        try:
            soak_all(soak)
        except (RuntimeError, TimeoutError) as error:
            check("it goes on to the end", False, str(error))
        finally:
            soak.stop()
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


def soak_all(soak):
    soak.rest()
    soak.descriptors = descriptors(soak.pid)
    soak.configure(INTERVAL, PROBE_INTERVAL)
    samples = OUT / "samples.tsv"
    sampler = Sampler(soak.pid, soak.runner, soak.metrics_file, soak.log, soak.endpoints, samples)
    sampler.start()
    started = time.monotonic()
    run(soak, sampler)
    seconds = time.monotonic() - started
    sampler.stop()
    check_flat(sampler.rows)
    check_log(soak, seconds / 3600)
    cost = costs(soak)
    soak.rest()
    check_work(soak)
    check_hook(soak)
    check_wakeups(soak)
    check_leftovers(soak)
    for name, value in cost.items():
        print(f"        CPU of the agent for a {name}: {value:.2f} ms")
        facts[f"ms_for_a_{name.replace(' ', '_')}"] = value
    with open(samples, "a", encoding="ascii") as file:
        for name, value in facts.items():
            print(f"# {name}\t{value:.10g}", file=file)
    check_end(soak)


if __name__ == "__main__":
    sys.exit(main())
