# SPDX-License-Identifier: Apache-2.0
"""A processor that is short of time: a share of one core for one process, by a cgroup's quota, else by stops."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

PERIOD_S = 0.1
V1, V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")


def quota_directory():
    """A fresh cgroup of whose processor time a quota can be set; None where this machine gives us none."""
    for parent, sign in ((V1, "cpu.cfs_quota_us"), (V2, "cpu.max")):
        path = parent / f"mtls-agent-test-{os.getpid()}-{threading.get_ident()}"
        try:
            path.mkdir()
        except OSError:
            continue
        if (path / sign).exists():
            return path
        path.rmdir()
    return None


class Quota:
    """Put prefix before a command line: what it starts has percent of one core, in slices of 100 ms."""

    def __init__(self, directory, percent):
        self._path = directory
        quota, period = round(percent * PERIOD_S * 10_000), round(PERIOD_S * 1_000_000)
        if (directory / "cpu.max").exists():
            (directory / "cpu.max").write_text(f"{quota} {period}")
        else:
            (directory / "cpu.cfs_period_us").write_text(str(period))
            (directory / "cpu.cfs_quota_us").write_text(str(quota))
        self.prefix = ["sh", "-c", f'echo $$ >{directory}/cgroup.procs && exec "$@"', "sh"]

    def follow(self, pid):
        """The kernel does."""

    def throttled(self):
        """How often it had to wait for its next slice."""
        facts = dict(line.split() for line in (self._path / "cpu.stat").read_text().splitlines())
        return int(facts["nr_throttled"])

    def stop(self):
        deadline = time.monotonic() + 10
        while True:
            try:
                self._path.rmdir()
                return
            except OSError:  # its last process is still on its way out
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


class Stops:
    """The same by SIGSTOP and SIGCONT, of a process that follow() names."""

    prefix = ()

    def __init__(self, percent):
        self._run, self._count = PERIOD_S * percent / 100, 0
        self._ended = threading.Event()
        self._thread = None

    def follow(self, pid):
        self._thread = threading.Thread(target=self._stop_and_go, args=(pid,))
        self._thread.start()

    def _stop_and_go(self, pid):
        try:
            while not self._ended.is_set():
                os.kill(pid, signal.SIGSTOP)
                self._count += 1
                self._ended.wait(PERIOD_S - self._run)
                os.kill(pid, signal.SIGCONT)
                time.sleep(self._run)
        except ProcessLookupError:
            return

    def throttled(self):
        return self._count

    def stop(self):
        self._ended.set()
        if self._thread:
            self._thread.join()


def precede(pid):
    """Lets a process have its processor before all others, where we may: a quick peer, whatever else the machine does."""
    with contextlib.suppress(PermissionError):
        for task in os.listdir(f"/proc/{pid}/task"):
            os.setpriority(os.PRIO_PROCESS, int(task), -20)


def starved(percent, by_stops=False):
    """Quota or Stops."""
    directory = None if by_stops else quota_directory()
    return Quota(directory, percent) if directory else Stops(percent)
