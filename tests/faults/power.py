# SPDX-License-Identifier: Apache-2.0
"""
What a disk may hold after a power cut. An operation is certain to be there once the file or directory that it
changed was synced; of the others any may be there and any may not, in whatever order. A rename is there whole
or not at all.
"""

import itertools
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

TRACED = "mkdirat,openat,write,fchmod,fchown,fsync,symlinkat,renameat,unlinkat,linkat,ftruncate"
TRACED += ",?rename,?unlink,?mkdir"
LINE = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)(?:<(.*)>(?:\(deleted\))?)?(?: E.*)?$")


def _fd(name):
    return rf"\d+<(?P<{name}>[^>]*)>"


def _string(name):
    return rf'"(?P<{name}>[^"]*)"'


ENTRY = f"{_fd('at')}, {_string('name')}"
FORMS = {
    "mkdirat": ENTRY + r", (?P<mode>\d+)",
    "openat": ENTRY + r", .*O_CREAT.*, (?P<mode>\d+)",
    "write": _fd("file"),
    "fchmod": _fd("file") + r", (?P<mode>\d+)",
    "fchown": _fd("file"),
    "fsync": _fd("file"),
    "symlinkat": f"{_string('text')}, {ENTRY}",
    "renameat": f"{ENTRY}, {_fd('to')}, {_string('new')}",
    "unlinkat": ENTRY,
}
CLAIM = re.compile(r'\\"event\\":\\"(installed|adopted|healed)\\"')


def record(text, below):
    """What strace saw done under a directory, as (call, arguments), and "claim" where success is told."""
    found = []
    for line in text.splitlines():
        parsed = LINE.match(line)
        if not parsed or int(parsed[3]) < 0:
            assert parsed or "exited" in line or "SIG" in line, line
            continue
        if parsed[1] == "write" and CLAIM.search(parsed[2]):
            found.append(("claim", {}))
            continue
        if parsed[1] == "openat" and "O_CREAT" not in parsed[2]:
            continue
        arguments = re.match(FORMS.get(parsed[1], "$"), parsed[2])
        arguments = arguments.groupdict() if arguments else {}
        place = arguments.get("at") or arguments.get("file") or parsed[2]
        if str(below) in place:
            assert arguments, f"an operation that is not known: {line}"
            found.append((parsed[1], arguments))
    return found


@dataclass
class Node:
    """A file, link or directory. data: a file's bytes or a link's text, in the end."""

    kind: str
    mode: int = 0
    data: object = None
    entries: dict = field(default_factory=dict)


@dataclass
class Operation:
    """Sets node.entries, or its mode, or its data; what may become of data is a list."""

    node: Node
    entries: dict = None
    mode: int = None
    data: bool = False

    def outcomes(self):
        """All that a power cut can make of it, None first: it is not there."""
        if not self.data:
            return (None, self)
        whole = self.node.data
        return (None, whole, whole[: len(whole) // 2], bytes(len(whole)))


def load(path):
    """A tree as it lies there, all of it durable."""
    facts = path.lstat()
    if stat.S_ISLNK(facts.st_mode):
        return Node("link", 0o777, os.readlink(path))
    if stat.S_ISREG(facts.st_mode):
        return Node("file", stat.S_IMODE(facts.st_mode), path.read_bytes())
    return Node("dir", stat.S_IMODE(facts.st_mode), None, {each.name: load(each) for each in path.iterdir()})


class Disk:
    """Follows a record from a beginning; contents(path) is what a file holds in the end."""

    def __init__(self, root, at, contents):
        self.root, self.at, self.contents = root, Path(at), contents
        self.now = {}  # entries of each directory as the program sees them
        self.pending = []
        self._see(root)

    def _see(self, node):
        self.now[id(node)] = dict(node.entries)
        for each in node.entries.values():
            self._see(each)

    def _find(self, path):
        node = self.root
        for name in Path(path).relative_to(self.at).parts:
            node = self.now[id(node)][name]
        return node

    def _set(self, directory, **entries):
        node = self._find(directory)
        self.now[id(node)].update(entries)
        self.pending.append(Operation(node, entries={**entries}))

    def _make(self, directory, name, node):
        self._see(node)
        self._set(directory, **{name: node})

    def step(self, call, a):
        """One operation of the record."""
        if call == "mkdirat":
            self._make(a["at"], a["name"], Node("dir", int(a["mode"], 8)))
        elif call == "openat":
            data = self.contents(Path(a["at"]) / a["name"])
            self._make(a["at"], a["name"], Node("file", int(a["mode"], 8), data))
            self.pending.append(Operation(self._find(Path(a["at"]) / a["name"]), data=True))
        elif call == "symlinkat":
            self._make(a["at"], a["name"], Node("link", 0o777, a["text"]))
        elif call == "unlinkat":
            self._set(a["at"], **{a["name"]: None})
        elif call == "renameat":
            assert a["at"] == a["to"], "a rename within one directory"
            self._set(a["at"], **{a["name"]: None, a["new"]: self._find(Path(a["at"]) / a["name"])})
        elif call == "fchmod":
            self.pending.append(Operation(self._find(a["file"]), mode=int(a["mode"], 8)))
        elif call == "fsync":
            self._sync(self._find(a["file"]))

    def _sync(self, node):
        for done in [each for each in self.pending if each.node is node]:
            self.pending.remove(done)
            if done.entries:
                node.entries.update(done.entries)
            elif done.mode is not None:
                node.mode = done.mode
        # A file whose data is not among what is pending holds all of it.

    def cuts(self):
        """Every tree that a power cut can leave now."""
        for outcome in itertools.product(*(each.outcomes() for each in self.pending)):
            yield self._tree(self.root, list(zip(self.pending, outcome)))

    def _tree(self, node, cut):
        """A tree as nested tuples: (kind, mode, text or bytes or entries)."""
        mode, data, entries = node.mode, node.data, dict(node.entries)
        for operation, outcome in cut:
            if operation.node is not node:
                continue
            if operation.data:
                data = b"" if outcome is None else outcome
            elif outcome is not None and operation.entries:
                entries.update(operation.entries)
            elif outcome is not None:
                mode = operation.mode
        if node.kind != "dir":
            return (node.kind, mode, data)
        below = {name: self._tree(each, cut) for name, each in entries.items() if each}
        return (node.kind, mode, tuple(sorted(below.items())))


def put(tree, path):
    """Makes a tree on disk."""
    kind, mode, data = tree
    if kind == "link":
        path.symlink_to(data)
        return
    if kind == "file":
        path.write_bytes(data)
    else:
        path.mkdir(exist_ok=True)
        for name, below in data:
            put(below, path / name)
    path.chmod(mode)
