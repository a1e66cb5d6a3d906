# SPDX-License-Identifier: Apache-2.0
"""
A file system in memory that can stop to answer, as NFS does when its server is away: FUSE's own protocol (7.31) over
/dev/fuse, mounted in a mount namespace of its own. Who waits for it then can be killed, and nothing else, as with NFS.
"""

import ctypes
import errno
import os
import select
import stat
import struct
import subprocess
import sys
from pathlib import Path

HEADER = struct.Struct("<IIQQIIII")
KNOWN_MINOR = 31
DIRECT_IO = 1  # an answer to open and create: FOPEN_DIRECT_IO
FLUSH, POLL, INTERRUPT, FORGET, BATCH_FORGET, INIT = 25, 40, 36, 2, 42, 26


class Node:
    def __init__(self, number, mode, uid, gid):
        self.number, self.mode, self.uid, self.gid = number, mode, uid, gid
        self.links = 2 if stat.S_ISDIR(mode) else 1
        self.data = bytearray()
        self.names = {}


class Tree:
    """What is there, and what each request does with it: the answer's bytes, or OSError."""

    def __init__(self, opened):
        self.opened = struct.pack("<QII", 0, opened, 0)
        self.root = Node(1, stat.S_IFDIR | 0o755, 0, 0)
        self.nodes = {1: self.root}
        self.requests = {
            1: self.look_up,
            3: lambda node, body, caller: self.attributes(node),
            4: self.set_attributes,
            5: lambda node, body, caller: bytes(node.data),
            6: self.make_link,
            8: self.make_file,
            9: self.make_directory,
            10: self.remove,
            11: self.remove,
            12: lambda node, body, caller: self.rename(node, body[8:], struct.unpack_from("<Q", body)[0]),
            14: lambda node, body, caller: self.opened,
            15: self.read,
            16: self.write,
            17: lambda node, body, caller: struct.pack("<5Q4I24x", 1 << 20, 1 << 19, 1 << 19, 9999, 9999, 4096, 255, 4096, 0),
            18: lambda node, body, caller: b"",
            20: lambda node, body, caller: b"",
            27: lambda node, body, caller: struct.pack("<QII", 0, 0, 0),
            28: self.list,
            29: lambda node, body, caller: b"",
            30: lambda node, body, caller: b"",
            35: self.create,
            45: lambda node, body, caller: self.rename(node, body[16:], struct.unpack_from("<Q", body)[0]),
        }

    def attributes(self, node):
        return struct.pack("<QII", 0, 0, 0) + self._attributes(node)

    def _attributes(self, node):
        size = len(node.data)
        return struct.pack("<6Q10I", node.number, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0, node.mode, node.links, node.uid, node.gid, 0, 4096, 0)

    def entry(self, node):
        return struct.pack("<QQQQII", node.number, 0, 0, 0, 0, 0) + self._attributes(node)

    def find(self, parent, name):
        if name not in parent.names:
            raise OSError(errno.ENOENT, "")
        return parent.names[name]

    def look_up(self, parent, body, caller):
        return self.entry(self.find(parent, body.rstrip(b"\0")))

    def add(self, parent, name, mode, caller):
        if name in parent.names:
            raise OSError(errno.EEXIST, "")
        node = Node(max(self.nodes) + 1, mode, *caller)
        self.nodes[node.number] = parent.names[name] = node
        return node

    def make_file(self, parent, body, caller):
        return self.entry(self.add(parent, body[16:].rstrip(b"\0"), struct.unpack_from("<I", body)[0], caller))

    def make_directory(self, parent, body, caller):
        mode = struct.unpack_from("<I", body)[0] | stat.S_IFDIR
        return self.entry(self.add(parent, body[8:].rstrip(b"\0"), mode, caller))

    def make_link(self, parent, body, caller):
        name, text = body.split(b"\0")[:2]
        node = self.add(parent, name, stat.S_IFLNK | 0o777, caller)
        node.data[:] = text
        return self.entry(node)

    def create(self, parent, body, caller):
        node = self.add(parent, body[16:].rstrip(b"\0"), struct.unpack_from("<I", body, 4)[0] | stat.S_IFREG, caller)
        return self.entry(node) + self.opened

    def remove(self, parent, body, caller):
        name = body.rstrip(b"\0")
        node = self.find(parent, name)
        if node.names:
            raise OSError(errno.ENOTEMPTY, "")
        del parent.names[name]
        node.links = 0
        return b""

    def rename(self, parent, names, to):
        old, new = names.split(b"\0")[:2]
        node, target = self.find(parent, old), self.nodes[to]
        if new in target.names and target.names[new] is not node:
            if target.names[new].names:
                raise OSError(errno.ENOTEMPTY, "")
            target.names[new].links = 0
        del parent.names[old]
        target.names[new] = node
        return b""

    def set_attributes(self, node, body, caller):
        valid = struct.unpack_from("<I", body)[0]
        if valid & 1:
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(struct.unpack_from("<I", body, 68)[0])
        if valid & 2:
            node.uid = struct.unpack_from("<I", body, 76)[0]
        if valid & 4:
            node.gid = struct.unpack_from("<I", body, 80)[0]
        if valid & 8:
            size = struct.unpack_from("<Q", body, 16)[0]
            node.data[:] = node.data[:size].ljust(size, b"\0")
        return self.attributes(node)

    def read(self, node, body, caller):
        at, size = struct.unpack_from("<8xQI", body)
        return bytes(node.data[at : at + size])

    def write(self, node, body, caller):
        at, size = struct.unpack_from("<8xQI", body)
        node.data[at : at + size] = body[40 : 40 + size]
        return struct.pack("<II", size, 0)

    def list(self, node, body, caller):
        at = struct.unpack_from("<8xQ", body)[0]
        entries = b""
        for number, (name, child) in enumerate(list(node.names.items())[at:], at + 1):
            entry = struct.pack("<QQII", child.number, number, len(name), child.mode >> 12) + name
            entry += b"\0" * (-len(entry) % 8)
            if len(entries) + len(entry) > 4096:
                break
            entries += entry
        return entries


def mount(directory):
    """The descriptor that requests come from."""
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fuse},rootmode=40755,user_id=0,group_id=0,allow_other,default_permissions"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"hanging", os.fsencode(directory), b"fuse", 0, options.encode()) < 0:
        raise OSError(ctypes.get_errno(), "mount")
    return fuse


def answer(fuse, tree, request):
    _, opcode, unique, number, uid, gid, _, _ = HEADER.unpack_from(request)
    body = request[HEADER.size :]
    error, reply = 0, b""
    if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
        return
    if opcode == INIT:
        major, minor, readahead = struct.unpack_from("<III", body)
        reply = struct.pack("<4I2H2I2HI28x", 7, min(minor, KNOWN_MINOR), readahead, 0, 16, 12, 65536, 1, 16, 0, 0)
    elif opcode not in tree.requests:
        error = errno.ENOSYS
    else:
        try:
            reply = tree.requests[opcode](tree.nodes[number], body, (uid, gid))
        except OSError as problem:
            error = problem.errno
    os.write(fuse, struct.pack("<IiQ", 16 + len(reply), -error, unique) + reply)


def serve(directory, opened):
    """Until standard input ends; a line there is "hang" or "go"."""
    fuse, tree, hangs = mount(directory), Tree(opened), False
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([0] if hangs else [0, fuse], [], [])
        if 0 in ready:
            line = os.read(0, 64)
            if not line:
                return
            hangs = line.strip() == b"hang"
            print(line.decode().strip(), flush=True)
        elif fuse in ready:
            answer(fuse, tree, os.read(fuse, 1 << 18))


class Hanging:
    """The server, held in a process of its own, and its mount namespace."""

    def __init__(self, directory, direct=False):
        """direct: without a cache, so that who reads and writes lends it his own pages, as virtiofs and 9p do."""
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self._user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self._child = subprocess.Popen(
            ["unshare", *self._user, "--mount", sys.executable, __file__, str(self.dir), str(DIRECT_IO if direct else 0)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._child.stdout.readline() == "ready\n"
        # Its first close(2) asks it to flush, and never again: a process that is killed does not wait for that.
        self.run("sh", "-c", f"echo > {self.dir}/first && rm {self.dir}/first")

    @property
    def enter(self):
        """What to put before a command line so that it sees the file system."""
        user = ["--user", "--preserve-credentials"] if self._user else []
        return ["nsenter", "--target", str(self._child.pid), *user, "--mount", "--"]

    def run(self, *argv, **options):
        return subprocess.run([*self.enter, *argv], check=True, capture_output=True, text=True, timeout=60, **options)

    def read(self, name):
        return self.run("cat", str(self.dir / name)).stdout

    def _say(self, word):
        self._child.stdin.write(word + "\n")
        self._child.stdin.flush()
        assert self._child.stdout.readline() == word + "\n"

    def hang(self):
        self._say("hang")

    def go(self):
        self._say("go")

    def stop(self):
        """Who still waits gets an error."""
        self._child.stdin.close()
        self._child.wait(20)
        self._child.stdout.close()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
