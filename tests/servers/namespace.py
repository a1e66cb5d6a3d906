# SPDX-License-Identifier: Apache-2.0
"""A network of its own for one test: only loopback, with addresses and a name server of the test's choice."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from .process import Process

OPEN_SOCKET = """
import socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
family = socket.AF_INET6 if ":" in sys.argv[3] else socket.AF_INET
opened = socket.socket(family, socket.SOCK_DGRAM if sys.argv[2] == "udp" else socket.SOCK_STREAM)
if sys.argv[2] == "connect":
    opened.setblocking(False)
    opened.connect_ex((sys.argv[3], int(sys.argv[4])))
else:
    opened.bind((sys.argv[3], int(sys.argv[4])))
if sys.argv[2] == "tcp":
    opened.listen(512)
socket.send_fds(channel, [b"."], [opened.fileno()])
"""


class Namespace:
    """
    Held by a sleeping process; in it /etc/resolv.conf names 127.0.0.1 alone. What is sent to black_hole
    ("10.99.0.1/16", without its own address) is never answered. Never touches the machine's own network.
    """

    def __init__(self, directory, addresses=(), black_hole=None):
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        resolv = directory / "resolv.conf"
        resolv.write_text("nameserver 127.0.0.1\n")
        steps = [
            "ip link set lo up",
            *(f"ip address add {address} dev lo" for address in addresses),
            *(self._hole(black_hole) if black_hole else ()),
            f"mount --bind '{resolv}' /etc/resolv.conf",
            "echo ready",
            "exec sleep infinity",
        ]
        self._user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self._holder = Process(
            ["unshare", *self._user, "--net", "--mount", "sh", "-c", " && ".join(steps)], directory / "log"
        )
        if not self._holder.wait_until(lambda: "ready" in self._holder.output()):
            raise OSError(self._holder.output().strip())

    @staticmethod
    def _hole(network):
        """A cable whose other end nobody listens at, and on which nobody asks who has an address."""
        return [
            "ip link add hole type veth peer name end",
            f"ip address add {network} dev hole",
            "ip link set hole arp off up",
            "ip link set end up",
        ]

    @property
    def pid(self):
        """Of the process that holds it."""
        return self._holder.pid

    @property
    def enter(self):
        """What to put before a command line so that it runs inside."""
        user = ["--user", "--preserve-credentials"] if self._user else []
        return ["nsenter", "--target", str(self._holder.pid), *user, "--net", "--mount", "--"]

    def connect(self, address, port):
        """A socket that connects inside, or tries to."""
        return self.open("connect", address, port)

    def open(self, kind, address, port=0):
        """A socket ("tcp", listening, or "udp") bound inside, for use outside."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            subprocess.run(
                [
                    *self.enter,
                    sys.executable,
                    "-c",
                    OPEN_SOCKET,
                    str(theirs.fileno()),
                    kind,
                    address,
                    str(port),
                ],
                pass_fds=[theirs.fileno()],
                check=True,
            )
            fd = socket.recv_fds(ours, 1, 1)[1][0]
        return socket.socket(fileno=fd)

    def stop(self):
        self._holder.stop()


class Disk:
    """A small disk of its own for one test, in a mount namespace that a sleeping process holds."""

    def __init__(self, directory, log, size="256k", inodes=0):
        """inodes: how many there are; 0: as many as are asked for."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        mount = f"mount -t tmpfs -o size={size},nr_inodes={inodes},mode=0755 disk '{directory}'"
        self._user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        steps = f"{mount} && echo ready && exec sleep infinity"
        self._holder = Process(["unshare", *self._user, "--mount", "sh", "-c", steps], log)
        if not self._holder.wait_until(lambda: "ready" in self._holder.output()):
            raise OSError(self._holder.output().strip())
        self.dir = Path(f"/proc/{self._holder.pid}/root{directory}")  # as it is seen from outside

    @property
    def enter(self):
        """What to put before a command line so that it sees the disk."""
        user = ["--user", "--preserve-credentials"] if self._user else []
        return ["nsenter", "--target", str(self._holder.pid), *user, "--mount", "--"]

    def fill(self):
        """Not a page is free after this; returns the file that takes them."""
        path = self.dir / "filler"
        with open(path, "wb", buffering=0) as filler:
            try:
                while filler.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        return path

    def use_up(self):
        """Not an inode is free after this; returns the files that take them."""
        taken = []
        try:
            while True:
                path = self.dir / f"taken-{len(taken)}"
                path.touch()
                taken.append(path)
        except OSError:
            return taken

    def stop(self):
        self._holder.stop()
