# SPDX-License-Identifier: Apache-2.0
"""
What rounds of probes cost `run`, in time of the processor: all of them full handshakes, against nine of ten resumed.
No test: what counts is the ratio of two runs, one after the other on the same machine.
tests/bench/resume.py [KIND OF KEYS...]
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "e2e")]

from agent import PROGRAM, Agent  # noqa: E402
from servers.aws import Aws  # noqa: E402
from servers.enclave import Nginx  # noqa: E402
from servers.pki import Authority, document  # noqa: E402

ENDPOINTS, ROUNDS, PATIENCE_S = int(os.environ.get("ENDPOINTS", 200)), 10, 600


def processor_ms(pid):
    """Of all threads, those that have ended too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def rounds(service):
    """The sums of rounds, and the processor's time at the end of each, of ROUNDS and one before."""
    found, end = [], time.monotonic() + PATIENCE_S
    while len(found) <= ROUNDS:
        told = service.all("probed")
        if len(told) > len(found):
            found.append((told[-1], processor_ms(service.pid)))
            assert len(told) == len(found), "two rounds at once"
        assert service.child.poll() is None and time.monotonic() < end, service.tail()
        time.sleep(0.01)
    return found


def measure(directory, aws, secret, endpoints, every):
    """Milliseconds of the processor for each round."""
    directory.mkdir()
    agent = Agent(directory, aws.environment())
    options = [f"--probe-full-every={every}", "--rehearse=off", "--log-level=info"]
    service = agent.serve(secret, *options, endpoint=endpoints, interval="1d", probe_interval="2s", deadline="1m")
    try:
        found = rounds(service)
    finally:
        service.stop()
    assert all(told["accepted"] == len(endpoints) for told, _ in found), found
    return [(told, after - before) for (_, before), (told, after) in zip(found, found[1:])]


def tell(name, measured):
    costs = [ms for _, ms in measured]
    print(
        f"    {name}: {statistics.mean(costs):.0f} ms a round ({min(costs):.0f} to {max(costs):.0f}), "
        f"{sum(told['full'] for told, _ in measured)} full, {sum(told['resumed'] for told, _ in measured)} resumed"
    )
    return statistics.mean(costs)


def main(kinds):
    authority = Authority("Enclave-CA")
    with tempfile.TemporaryDirectory(prefix="mtls-agent-bench-") as place:
        place = Path(place)
        aws = Aws(place / "aws")
        for kind in kinds:
            server = authority.issue("localhost", kind, names=["localhost", "*.enclave.test"])
            secret = aws.put(f"mtls/{kind}", document(authority.issue("ECS-Client", kind), authority.pem))
            for version in "1.2", "1.3":
                running = Nginx(place / f"{kind}-{version}", server, authority.pem, tls13_only=version == "1.3")
                names = [f"n{n}.enclave.test@127.0.0.1:{running.port}" for n in range(ENDPOINTS)]
                print(f"{kind}, TLS {version}, {ENDPOINTS} endpoints, {ROUNDS} rounds of each:", flush=True)
                full = measure(place / f"full-{kind}-{version}", aws, secret, names, 1)
                mixed = measure(place / f"mixed-{kind}-{version}", aws, secret, names, 10)
                before = tell("all full", full)
                resumed = tell("resumed", [each for each in mixed if each[0]["full"] == 0])
                after = tell("nine of ten", mixed)
                print(f"    a resumed round costs {resumed / before:.3f}, ten rounds {after / before:.3f} of full ones")
                running.stop()
        aws.stop()


if __name__ == "__main__":
    subprocess.run([PROGRAM, "--version"], check=True)
    main(sys.argv[1:] or ["p256", "rsa2048"])
