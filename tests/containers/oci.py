# SPDX-License-Identifier: Apache-2.0
"""Containers by crun, in a network and a mount namespace of the test's own; without cgroups."""

import json
import subprocess
from pathlib import Path

from agent import PATIENCE_S, wait_for

# What Docker and containerd give a container that asks for nothing.
DEFAULT_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE "
    "SYS_CHROOT KILL AUDIT_WRITE"
).split()
MASKED = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/scsi"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
# Should the tests die before they have stopped a container: crun passes the signal on.
NOT_LEFT_BEHIND = ["setpriv", "--pdeathsig", "TERM", "--"]
DEVICES = [{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}]


def bind(source, destination, *options):
    return {
        "destination": str(destination),
        "type": "bind",
        "source": str(source),
        "options": ["rbind", "rprivate", *options],
    }


def _rights(user, held):
    """User and capabilities: who is not root has none but those that it may get."""
    ready = {"effective": held, "permitted": held} if user[0] == 0 else {}
    return {"user": {"uid": user[0], "gid": user[1]}, "capabilities": {"bounding": held, **ready}}


class Runtime:
    """Where containers run: a Namespace of tests/servers, and a directory of the test's own."""

    def __init__(self, directory, network):
        self.dir = Path(directory)
        self.network = network

    def inside(self, *argv):
        """Runs a command in the namespace, with which its mounts go."""
        self.output(*argv)

    def output(self, *argv):
        """The same, for what it writes."""
        command = [*self.network.enter, *map(str, argv)]
        return subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ).stdout

    def crun(self, *argv):
        command = ["crun", "--root", self.dir / "crun", "--cgroup-manager=disabled", *argv]
        return [*self.network.enter, *map(str, command)]


class Container:
    """
    One container, started at once. user: (uid, gid); memlock: bytes; pid: the process whose PID namespace it
    joins, 0 for that of the host, None for its own.
    """

    def __init__(
        self,
        runtime,
        name,
        root,
        argv,
        user=(0, 0),
        environment=(),
        mounts=(),
        capabilities=DEFAULT_CAPABILITIES,
        memlock=65536,
        pid=None,
        read_only=True,
    ):
        self.runtime, self.name = runtime, name
        self.bundle = runtime.dir / name
        self.bundle.mkdir(parents=True, exist_ok=True)
        self.log, self.stdout = self.bundle / "log", self.bundle / "out"
        self._process = {
            "args": list(argv),
            "env": [f"{key}={value}" for key, value in dict(environment).items()],
            "cwd": "/",
            "rlimits": [{"type": "RLIMIT_MEMLOCK", "soft": memlock, "hard": memlock}],
            **_rights(user, [f"CAP_{each}" for each in capabilities]),
        }
        self._capabilities = self._process["capabilities"]["bounding"]
        spaces = [{"type": kind} for kind in ("mount", "ipc", "uts")]
        if pid is None:
            spaces.append({"type": "pid"})
        elif pid:
            spaces.append({"type": "pid", "path": f"/proc/{pid}/ns/pid"})
        proc = {"destination": "/proc", "type": "proc", "source": "proc"}
        config = {
            "ociVersion": "1.0.0",
            "process": self._process,
            "root": {"path": str(root), "readonly": read_only},
            "mounts": [proc, *DEVICES, *mounts],
            "linux": {"namespaces": spaces, "maskedPaths": MASKED, "readonlyPaths": READ_ONLY},
        }
        (self.bundle / "config.json").write_text(json.dumps(config, indent=2))
        self.child = self._start()

    def _start(self):
        with open(self.log, "ab") as log, open(self.stdout, "ab") as out:
            return subprocess.Popen(
                [*NOT_LEFT_BEHIND, *self.runtime.crun("run", "--bundle", self.bundle, self.name)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )

    def restart(self):
        assert self.exit_status is not None
        self.child = self._start()

    @property
    def exit_status(self):
        """None as long as it runs."""
        return self.child.poll()

    def wait(self):
        """Its exit status, when it has ended."""
        try:
            return self.child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end:\n{self.said()}") from None

    def said(self):
        return self.log.read_text(errors="replace")

    @property
    def events(self):
        """What an agent logged with log-format json; whole lines only."""
        lines = [line for line in self.said().splitlines(True) if line.endswith("\n")]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def event(self, name, **fields):
        """The last one of that name and these fields, when it has come."""

        def found():
            return [each for each in self.events if each["event"] == name and fields.items() <= each.items()]

        try:
            wait_for(found, PATIENCE_S)
        except AssertionError:
            raise AssertionError(f"{self.name} has no event {name} {fields}:\n{self.said()}") from None
        return found()[-1]

    def says(self, *lines):
        """Waits until it has written these lines to its standard output, and no others."""

        def heard():
            return self.stdout.read_text().splitlines()

        wait_for(lambda: heard() == list(lines) or self.exit_status is not None, PATIENCE_S)
        assert heard() == list(lines) and self.exit_status is None, self.said()

    def exec(self, *argv, user=None):
        """Runs a command in it, as its own process is run, or as another user: the finished process."""
        process = {**self._process, "args": list(argv), **(_rights(user, self._capabilities) if user else {})}
        (self.bundle / "exec.json").write_text(json.dumps(process))
        return subprocess.run(
            self.runtime.crun("exec", "--process", self.bundle / "exec.json", self.name),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def kill(self, signal):
        """Sends its process a signal."""
        subprocess.run(
            self.runtime.crun("kill", self.name, signal),
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE_S,
        )

    @property
    def pid(self):
        """Of its first process, as the machine numbers it."""
        state = subprocess.run(
            self.runtime.crun("state", self.name),
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        return json.loads(state.stdout)["pid"]

    def stop(self):
        """SIGTERM, as ECS does, then SIGKILL; the exit status."""
        for signal, seconds in (("TERM", 3), ("KILL", PATIENCE_S)):
            if self.exit_status is None:
                # It may end by itself just now.
                subprocess.run(self.runtime.crun("kill", self.name, signal), capture_output=True)
                try:
                    self.child.wait(seconds)
                except subprocess.TimeoutExpired:
                    continue
        return self.exit_status
