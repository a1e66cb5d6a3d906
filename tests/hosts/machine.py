# SPDX-License-Identifier: Apache-2.0
"""A host of its own: systemd as process 1 in a fresh copy of a Debian root, in a network of the test's."""

import os
import subprocess
import time
from pathlib import Path

from servers.process import Process

BOOT_S = 120
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MACHINE_ID = "5cf760eabf5461575cf760eabf546157"  # a host that has one does not enable what is not

# The disk is a tmpfs under an overlay, in the mount namespace of the network's holder, and gone with it.
DISK = """
mkdir -p '{disk}' && mount -t tmpfs -o mode=0755 disk '{disk}' && cd '{disk}' && mkdir upper work root &&
mount -t overlay -o lowerdir='{root}',upperdir='{disk}/upper',workdir='{disk}/work' host '{disk}/root' &&
mount -t tmpfs run /run
"""

# A program in the root of a host that is off, with no process in sight but its own.
OFFLINE = [
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c"),
    'mount -t proc proc "$1/proc" && exec chroot "$@"',
    "sh",
]


def _cgroup_mount():
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise OSError("no cgroup2 is mounted here")


class _Cgroup:
    """All processes of a host, and nothing left of them in the end."""

    def __init__(self, name):
        self.path = _cgroup_mount() / name
        self.path.mkdir()

    def leader(self):
        """Process 1 of the host, as it is numbered outside; None while there is none."""
        try:
            found = (self.path / "payload" / "init.scope" / "cgroup.procs").read_text().split()
        except OSError:
            return None
        return int(found[0]) if found else None

    def remove(self):
        (self.path / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + BOOT_S
        while "populated 1" in (self.path / "cgroup.events").read_text():
            assert time.monotonic() < deadline, f"processes stay in {self.path}"
            time.sleep(0.02)
        for directory, _, _ in os.walk(self.path, topdown=False):
            os.rmdir(directory)


class Machine:
    """Off at first. Files are prepared by path() and run(), which work before boot() as well as after it."""

    numbers = iter(range(1, 10**6))

    def __init__(self, directory, root, network):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self._network = network
        self._disk = self.dir / "disk"
        self._nspawn = self._cgroup = self._leader = None
        self._inside("sh", "-c", DISK.format(disk=self._disk, root=root)).check_returncode()
        self._merged = Path(f"/proc/{network.pid}/root{self._disk}/root")
        self.write("/etc/machine-id", MACHINE_ID + "\n")
        self.write("/etc/hosts", "127.0.0.1 localhost\n")
        self.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")

    def _inside(self, *argv, **options):
        return subprocess.run(
            [*self._network.enter, *map(str, argv)], capture_output=True, text=True, **options
        )

    def path(self, name):
        """A file of the host's, as it is seen from here."""
        return Path(f"/proc/{self._leader}/root{name}") if self._leader else Path(f"{self._merged}{name}")

    def disk(self, name):
        """The same on its disk, whatever is mounted over it."""
        return Path(f"{self._merged}{name}")

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def unpack(self, archive):
        subprocess.run(["tar", "-C", self.path("/"), "--no-overwrite-dir", "-xzf", archive], check=True)

    def run(self, *argv, check=True, input=None):
        """Runs a program there; what it wrote."""
        environment = ["env", "-i", f"PATH={PATH}", "HOME=/root", "SYSTEMD_PAGER="]
        if self._leader:
            prefix = ["nsenter", "--target", self._leader, "--all", "--", *environment]
        else:
            prefix = [*self._network.enter, *OFFLINE, self._disk / "root", *environment]
        done = subprocess.run(
            [*map(str, prefix), *map(str, argv)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
        )
        assert done.returncode == 0 or not check, f"{argv}: exit {done.returncode}\n{done.stdout}"
        return done.stdout if check else done

    def boot(self, wait=True):
        """Until all that starts has started, or has failed; without wait, until commands are taken."""
        name = f"mtls-agent-{os.getpid()}-{next(self.numbers)}"
        self._cgroup = _Cgroup(name)
        enter = f"echo $$ >'{self._cgroup.path}/cgroup.procs' && exec \"$@\""
        self._nspawn = Process(
            [
                *self._network.enter,
                *("sh", "-c", enter, "sh", "systemd-nspawn", "--boot", "--quiet", f"--machine={name}"),
                *("--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off"),
                *("--timezone=off", "--console=pipe", f"--directory={self._disk / 'root'}"),
                # A container manager's filter of its own would hide what a unit's does.
                "--system-call-filter=@known",
            ],
            self.dir / "console",
            env={"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
        self._wait("it does not start", self._find_leader)
        self._wait("systemd does not answer", self._answers)
        if wait:
            self.run("systemctl", "is-system-running", "--wait", check=False)
        return self

    def _find_leader(self):
        self._leader = self._cgroup.leader()
        return self._leader

    def _answers(self):
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("initializing", "starting", "running", "degraded")

    def _wait(self, what, condition):
        deadline = time.monotonic() + BOOT_S
        while not condition():
            assert self._nspawn.child.poll() is None, f"{what}:\n{self._nspawn.output()}"
            assert time.monotonic() < deadline, f"{what}:\n{self._nspawn.output()}"
            time.sleep(0.05)

    def shut_down(self):
        """In order; what is on its disk stays for the next boot."""
        self.run("systemctl", "poweroff", check=False)
        self._nspawn.child.wait(BOOT_S)
        self._off()

    def _off(self):
        self._leader = None
        self._nspawn.stop()
        self._nspawn = None
        self._cgroup.remove()

    def stop(self):
        """At once."""
        if self._nspawn:
            self._off()

    def systemctl(self, *arguments, check=True):
        return self.run("systemctl", *arguments, check=check)

    def property(self, unit, name):
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def state(self, unit):
        return self.property(unit, "ActiveState")

    def has_failed(self, unit):
        """Once at least; it may be tried again by itself."""
        if self.state(unit) == "failed" or self.property(unit, "SubState") == "auto-restart":
            return True
        return int(self.property(unit, "NRestarts")) > 0

    def journal(self, *arguments):
        return self.run("journalctl", "--no-pager", "--output=cat", *arguments)

    def started_at(self, unit):
        """On the monotonic clock, in microseconds; 0: never."""
        return int(self.property(unit, "ExecMainStartTimestampMonotonic"))


def drop_in(machine, unit, *lines, name="test"):
    """A part of a unit's settings."""
    machine.write(f"/etc/systemd/system/{unit}.d/{name}.conf", "\n".join(lines) + "\n")


AMAZON_COMMANDS = Path(__file__).parent / "amazon-commands.txt"


def leave_commands(machine, table):
    """Of all commands those of a table, PACKAGE: COMMAND..., as the image has that this machine, which is off, stands for."""
    lines = [line for line in table.read_text().splitlines() if not line.startswith("#")]
    names = {name for line in lines for name in line.split(": ")[1].split()}
    machine.run("ln", "-sfn", "bash", "/usr/bin/sh")  # not Debian's
    places = [place for folder in ("/usr/bin", "/usr/sbin") for place in machine.disk(folder).iterdir()]
    kept = [f"/usr/{place.parent.name}/{place.name}" for place in places if place.name in names]
    behind_links = machine.run("readlink", "--canonicalize", *kept).split()
    for place in places:
        if f"/usr/{place.parent.name}/{place.name}" not in {*kept, *behind_links}:
            place.unlink()


# What both images do with user data, and none of the rest, which needs more of an image than is here.
CLOUD_CFG = """\
datasource_list: [NoCloud]
cloud_init_modules: [write-files]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-user]
"""


def cloud_init(machine, layout):
    """
    What is different on Amazon Linux: cloud-final does not wait for multi-user.target, since the ECS agent,
    which that wants, waits for cloud-final.
    """
    if layout == "amazon":
        upstream = machine.run("cat", "/usr/lib/systemd/system/cloud-final.service")
        amazon = upstream.replace("After=multi-user.target\n", "")
        machine.write("/etc/systemd/system/cloud-final.service", amazon)


def user_data(machine, layout, text):
    """What cloud-init does at the first boot, on an image of that kind ("amazon", "debian")."""
    machine.write("/etc/cloud/cloud.cfg.d/99-test.cfg", CLOUD_CFG)
    machine.write("/var/lib/cloud/seed/nocloud/meta-data", "instance-id: i-0123456789abcdef0\n")
    machine.write("/var/lib/cloud/seed/nocloud/user-data", text)
    cloud_init(machine, layout)
