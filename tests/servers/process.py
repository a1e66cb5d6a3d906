# SPDX-License-Identifier: Apache-2.0
"""A server as a child process: started, awaited, ended by its own pid, and never outliving its parent."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

STARTUP_S = 600  # of a machine with much else to do; a server that ends instead is seen at once
BUILD = Path(__file__).resolve().parents[2] / "build"


def free_port():
    """A port of loopback that nobody listens on now; its user must be ready to lose it, and try another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


class Process:
    """Runs argv with its output in a log file; the kernel ends it should this process die first."""

    def __init__(self, argv, log, env=None, cwd=None):
        self.log = Path(log)
        given = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        if sys.dont_write_bytecode:
            given["PYTHONDONTWRITEBYTECODE"] = "1"
        with open(self.log, "wb") as output:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", *map(str, argv)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env={**given, **(env or {})},
            )

    @property
    def pid(self):
        return self.child.pid

    def wait_until(self, ready):
        """Waits for ready() to be true; False where the process ended first."""
        deadline = time.monotonic() + STARTUP_S
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                return False
            found = ready()
            if found:
                return found
            time.sleep(0.02)
        self.stop()
        raise TimeoutError(f"{self.child.args[4]} was not ready in {STARTUP_S} s: {self.output()}")

    def output(self):
        return self.log.read_text(errors="replace")

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


def start_on(port, make, host="127.0.0.1", attempts=5):
    """
    make(port) starts a Process that will listen there; returns it and the port. No port: a free one, and
    another where the process ended at once, as for a port that was taken meanwhile.
    """
    for _ in range(1 if port else attempts):
        chosen = port or free_port()
        process = make(chosen)
        if process.wait_until(lambda: listening(chosen, host)):
            return process, chosen
    raise RuntimeError(f"{process.child.args[4]} does not start: {process.output()}")
