# SPDX-License-Identifier: Apache-2.0
"""
How long a probe of many endpoints takes, alone and with some among them that never answer. No test: what counts
is the ratio of two runs, one after the other on the same machine. tests/bench/probe.py [KIND OF KEYS]
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "e2e")]

from agent import PROGRAM  # noqa: E402
from servers.enclave import Python  # noqa: E402
from servers.namespace import Namespace  # noqa: E402
from servers.pki import Authority  # noqa: E402

ENDPOINTS, HOLES = 900, 100
RATIO_MAX = 1.5


class Inside(Python):
    """In a network of its own."""

    namespace = None

    def listen(self, port):
        return self.namespace.open("tcp", "127.0.0.1", port or 0)


def probe(work, namespace, endpoints):
    """Seconds until the last endpoint had accepted and until the end, how many accepted, and the last log line."""
    conf = work / "agent.conf"
    conf.write_text("".join(f"endpoint = {endpoint}\n" for endpoint in endpoints))
    conf.chmod(0o600)
    command = [*namespace.enter, PROGRAM, "probe", f"--config={conf}", f"--dir={work / 'mtls'}"]
    started, last, accepted = time.monotonic(), 0, 0
    with open(work / "log", "w+") as log:
        child = subprocess.Popen(
            [*command, "--deadline=10m"], stdout=subprocess.PIPE, stderr=log, text=True, env={}
        )
        for line in child.stdout:
            if line.startswith("accepted"):
                last, accepted = time.monotonic() - started, accepted + 1
        child.wait()
        log.seek(0)
        return last, time.monotonic() - started, accepted, log.readlines()[-1]


def report(name, measured):
    last, whole, accepted, finished = measured
    print(f"{name}: {accepted} accepted within {last:.2f} s, all done in {whole:.2f} s")
    print("  " + finished.strip())


def main(kind):
    with tempfile.TemporaryDirectory(prefix="mtls-agent-bench-") as directory:
        work = Path(directory)
        authority = Authority("Enclave-CA")
        (work / "mtls").mkdir()
        authority.issue("ECS-Client", kind).write(work / "mtls", "client")
        (work / "mtls" / "ca.crt").write_text(authority.pem)
        namespace = Namespace(work / "network", black_hole="10.99.0.1/16")
        Inside.namespace = namespace
        server = Inside(work / "server", authority.issue("localhost", kind, ["localhost"]), authority.pem)
        try:
            good = [f"https://localhost:{server.port}/health?{number}" for number in range(ENDPOINTS)]
            mixed = list(good)
            for number in range(HOLES):
                mixed.insert(number * ENDPOINTS // HOLES, f"localhost@10.99.{number}.2:443")
            alone, among = probe(work, namespace, good), probe(work, namespace, mixed)
        finally:
            server.stop()
            namespace.stop()
    report(f"{ENDPOINTS} endpoints", alone)
    report(f"the same among {HOLES} that never answer", among)
    ratio = among[0] / alone[0]
    print(f"ratio {ratio:.2f} (at most {RATIO_MAX})")
    return 0 if ratio <= RATIO_MAX and alone[2] == among[2] == ENDPOINTS else 1


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["p256"])))
