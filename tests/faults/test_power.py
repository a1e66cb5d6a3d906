# SPDX-License-Identifier: Apache-2.0
"""The power is cut after each operation of the program, and all that a disk may then hold is looked at."""

import collections
import shutil
import subprocess
from pathlib import Path

import pytest

from agent import PROGRAM, PROGRAMS
from disturb import AS_ROOT
from power import TRACED, Disk, load, put, record
from scenes import MODES, restore

MEMFD_SECRET = "447"  # strace reads no names in secret memory
SCENES = ("first", "rotation", "replacement", "adoption", "healing", "links")
LINKS = 8  # the most that are followed
NEEDLESS = {"adoption": [("mtls", 0)]}  # the first time, no name leads through "..data" yet
# How many syncs a scene takes: of each file and the manifest, of the set, of the target before "..data" names the
# set and after; "first" of the directory that the target was made in, "adoption" of the plain files as a set too.
SYNCS = {"first": 8, "rotation": 7, "replacement": 7, "adoption": 13, "healing": 7, "links": 1}
RUNS = 400  # of the trees that are different, at most so many for a scene are given to the agent


@pytest.fixture(scope="module")
def recorded(scenes, stages, aws_server):
    """recorded(name): a scene's beginning and record, and what its files hold in the end."""
    known = {}

    def make(name):
        scene, stage = scenes[name], stages[0]
        restore(scene.template, stage.target)
        trace = stage.report.with_suffix(".strace")
        strace = [*AS_ROOT, "strace", "-f", "-y", "-s", "400", "-e", f"trace={TRACED}", "-o", trace]
        argv = [PROGRAM, *scene.arguments, "--sandbox=off", f"--dir={stage.target}"]
        subprocess.run(
            [*strace, PROGRAMS / "deny", MEMFD_SECRET, "--", *argv],
            env=stage.environment,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        files = {path: path.read_bytes() for path in stage.target.rglob("*") if path.is_file()}
        return record(trace.read_text(), stage.target.parent), files

    return lambda name: known.get(name) or known.setdefault(name, make(name))


class Cut:
    """All power cuts of a record."""

    def __init__(self, scene, stage, steps, files):
        self.scene, self.stage, self.steps, self.files = scene, stage, steps, files
        self.looked_at, self.trees, self.broken = 0, {}, []

    def _contents(self, path):
        """Of a set that is gone in the end, nobody asks."""
        return self.files.get(path, b"gone")

    def run(self, without=()):
        """without: the numbers of steps that are left out."""
        place = self.stage.target.parent / "cut"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        if self.scene.template:
            restore(self.scene.template, place / "mtls")
        disk, claimed = Disk(load(place), self.stage.target.parent, self._contents), False
        for number, (call, arguments) in enumerate([("begin", {}), *self.steps]):
            claimed = claimed or call == "claim"
            if number not in without:
                disk.step(call, arguments)
            for tree in disk.cuts():
                self._look(tree, claimed, f"step {number}, {call} {arguments}")
        return self

    def _look(self, tree, claimed, where):
        self.looked_at += 1
        if (tree, claimed) not in self.trees:
            self.trees[tree, claimed] = self._judge(tree, claimed)
        if self.trees[tree, claimed]:
            self.broken.append(f"{where}: {self.trees[tree, claimed]}")

    def _judge(self, tree, claimed):
        """What is wrong with a tree, once success was claimed or before."""
        seen = {name: _file(tree, ("mtls", name)) for name in self.scene.new}
        found = {name: text for name, (_, text) in seen.items()}
        before, new = self.scene.before, self.scene.new
        if found == new:
            return self._judge_new(tree, seen)
        whole = found == before
        if self.scene.by_name:
            whole = all(text in (before[name], new[name]) for name, text in found.items())
        return None if whole and not claimed else f"{found}"

    def _judge_new(self, tree, seen):
        wanted = {name: MODES.get(name, 0o644) for name, text in self.scene.new.items() if text}
        modes = {name: seen[name][0] for name in wanted}
        manifest = _file(tree, ("mtls", "..data", "manifest"))[1]
        if modes == wanted and manifest and manifest.encode() in self.files.values():
            return None
        return f"{modes}, {manifest}"


def _file(tree, path, links=0):
    """Mode and text of a file in a tree, through its links; None, None: there is none."""
    for place, name in enumerate(path):
        below = dict(tree[2]).get(name) if tree[0] == "dir" else None
        if below is None or links > LINKS:
            return None, None
        if below[0] == "link":
            return _file(tree, (*below[2].split("/"), *path[place + 1 :]), links + 1)
        tree = below
    return (tree[1], tree[2].decode()) if tree[0] == "file" else (None, None)


def groups(steps):
    """Numbers of the syncs, put together where they are of one thing and no other set is shown in between."""
    found, shown = collections.defaultdict(list), 0
    for number, (call, arguments) in enumerate(steps, 1):
        shown += call == "renameat" and arguments["new"] == "..data"
        if call == "fsync":
            found[arguments["file"], shown].append(number)
    return found


@pytest.mark.parametrize("name", SCENES)
def test_each_power_cut(scenes, stages, recorded, tally, name, some):
    scene, stage = scenes[name], stages[0]
    cut = Cut(scene, stage, *recorded(name)).run()
    tally["power cuts looked at"] += cut.looked_at
    tally["different trees after them"] += len(cut.trees)
    assert not cut.broken, f"{len(cut.broken)} of {cut.looked_at}:\n" + "\n".join(cut.broken[:5])
    assert any(call == "claim" for call, _ in cut.steps)
    trees = sorted({tree for tree, _ in cut.trees}, key=repr)
    for tree in some(trees[:: len(trees) // RUNS + 1]):
        restore(None, stage.target)
        put(dict(tree[2])["mtls"], stage.target) if "mtls" in dict(tree[2]) else None
        assert not stage.unhealed(scene)
        tally["agents run after a power cut"] += 1


@pytest.mark.parametrize("name", SCENES)
def test_no_sync_but_those_that_are_needed(recorded, name):
    steps, _ = recorded(name)
    assert [call for call, _ in steps].count("fsync") == SYNCS[name]


@pytest.mark.parametrize("name", SCENES)
def test_what_a_sync_less_would_do(scenes, stages, recorded, some, name):
    """The model finds it: without any one of its syncs the program is not safe."""
    steps, files = recorded(name)
    for (what, shown), left_out in some([*groups(steps).items()]):
        needless = (Path(what).name, shown) in NEEDLESS.get(name, [])
        cut = Cut(scenes[name], stages[0], steps, files).run(left_out)
        assert needless == (not cut.broken), f"{what}, after {shown} sets were shown"
