# SPDX-License-Identifier: Apache-2.0
"""A day on which something goes wrong while `run` runs: what stays, what is said, and how it ends."""

import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes

from agent import PROGRAM, PROGRAMS, snapshot, wait_for

CLOCK = PROGRAMS / "agent-clock"  # the agent, with a wall clock that can be set
CYCLES = 8  # so many go wrong
QUICK = {"deadline": "10s", "interval": "120ms", "probe_interval": "150ms"}
HASTY = {**QUICK, "deadline": "1s"}  # one try of AWS a cycle
OUTCOMES = ("installed", "unchanged", "kept_stale", "kept_unproven", "error")  # of a cycle


def current(directory):
    """The set that is in place, to the byte and the inode."""
    directory = Path(directory)
    data = directory / "..data"
    return os.readlink(data), snapshot(data.resolve())


class Clock:
    """How many seconds the wall clock of CLOCK is ahead; the machine's own is left alone."""

    def __init__(self, path):
        self._path = Path(path)
        self.env = {"TEST_CLOCK_FILE": str(path)}
        self.set(0)

    def set(self, seconds, end=" "):
        """In place and at once: the agent has it open."""
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(file, f"{int(seconds):<19}{end}".encode(), 0)
        os.close(file)

    def no_threads(self, none):
        """Whether there are none to be had, with the clock as it is."""
        self.set(0, "!" if none else " ")


class Day:
    """
    A `run` that is well, its log at level debug: what is not said again is there, at that level. From here on
    trouble is counted. directory: where the test sees the target.
    """

    def __init__(self, agent, service, program=PROGRAM, env=None, prefix=(), directory=None):
        self.agent, self.service = agent, service
        self._how = {"program": program, "env": env, "prefix": prefix}
        self.dir = Path(directory or agent.dir)
        self._set = current(self.dir)
        self._from = len(service.events)
        assert self.healthy()

    def healthcheck(self, *arguments):
        """The one line of healthcheck; healthy or not is also its exit status."""
        result = self.agent.run("healthcheck", f"--dir={self.agent.dir}", *arguments, **self._how)
        line = result.stdout
        assert line.count("\n") == 1, result.stdout + result.stderr
        assert (result.status, line == "healthy\n") in ((0, True), (1, False)), line
        return line.strip()

    def healthy(self, *arguments):
        line = self.healthcheck(*arguments)
        assert line == "healthy"
        return True

    def since(self, name, **fields):
        return [
            event
            for event in self.service.events[self._from :]
            if event["event"] == name and all(event.get(key) == value for key, value in fields.items())
        ]

    def wait(self, name, count=1, seconds=60, **fields):
        """Waits until so many of these have come since the day began, at any level."""

        def come():
            assert self.service.child.poll() is None, self.log()
            return len(self.since(name, **fields)) >= count

        try:
            wait_for(come, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error} ({name} {fields}):\n{self.log()}") from None
        return self.since(name, **fields)[count - 1]

    def said(self):
        """Warnings and errors, but for handshakes, which are a record."""
        return [
            (event["event"], event["code"]) if "code" in event else event["event"]
            for event in self.service.events[self._from :]
            if event["level"] in ("warning", "error") and event["event"] != "handshake"
        ]

    def kept(self):
        """The good set is as it was, and serves."""
        assert current(self.dir) == self._set
        return self.healthy()

    def endures(self, said, cycles=CYCLES):
        """
        The trouble is met in so many cycles, and said once; the set stays. said: event, or event and code, of
        the trouble. Returns what was said.
        """
        name, code = said if isinstance(said, tuple) else (said, None)
        self.wait(name, cycles, **({"code": code} if code else {}))
        assert self.said() == [said], self.log()
        assert self.kept()
        return self.since(name)[0]

    def status(self):
        """What it says of its one set."""
        return self.agent.status()["sets"][0]

    def blames(self, code, **others):
        """The status says what is wrong."""

        def told():
            status = self.status()
            return (status["error"] or {}).get("code") == code and others.items() <= status.items()

        wait_for(told, 60)

    def recovers(self):
        """Without a signal it is well again, and says so once."""
        self.wait("unchanged", level="info")
        self._settles()

    def rotates(self, pair):
        """This pair, which is the next version, is installed, and said once; it may be by now."""
        mark = pair.certificate.fingerprint(hashes.SHA256()).hex()
        wait_for(lambda: (self.dir / "client.crt").read_text() == pair.cert, 60)
        self.wait("installed", fingerprint=mark)
        self._settles()
        assert len(self.since("installed", fingerprint=mark)) == 1, self.log()
        assert self.since("installed")[-1]["fingerprint"] == mark, self.log()
        assert self.healthy()

    def _settles(self):
        """Some good cycles on, the status says so, and the log has said what changed, and nothing else."""
        self.wait("unchanged", len(self.since("unchanged")) + 3)
        wait_for(lambda: self.status()["outcome"] == "unchanged")
        assert self.status()["error"] is None and self.status()["problem"] is None
        before = None
        for event in self.service.events:
            outcome = event["event"], event.get("code")
            if event["event"] in OUTCOMES and outcome != ("error", "hook_failed"):
                assert (event["level"] == "debug") == (outcome == before), self.log()
                before = outcome

    def log(self):
        """What was said since, for who reads why a test failed; without handshakes."""
        return "".join(
            f"\n{event}"
            for event in self.service.events[self._from :]
            if event["level"] != "debug" and event["event"] != "handshake"
        )
