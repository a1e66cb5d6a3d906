# SPDX-License-Identifier: Apache-2.0
"""Room, inodes, descriptors and memory that are truly used up: step by step, until there is enough."""

import os
import subprocess

import pytest

from agent import PROGRAM
from conftest import STRIDE
from disturb import Fault, Outcome
from scenes import Stage, complaints, restore
from servers.namespace import Disk

NONE = Fault("none")
SCENES = ("first", "rotation", "replacement", "adoption", "healing")
PAGE = 4096
INODES = 64
POWERLESS = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "--"]
# What each is limited to, step by step, until it is enough; and who runs the agent so.
LIMITS = {
    "nofile": (range(3, 64), []),
    "fsize": (range(0, 1 << 14, 101), []),
    "memlock": (range(0, 2 << 20, 8192), POWERLESS),
    "as": (range(0, 32 << 20, 16384 if STRIDE == 1 else 131072), []),
}


@pytest.fixture
def disk(memory, aws_server):
    """disk(...) is a stage whose target lies on a small disk, and that disk."""
    made = []

    def make(name, **size):
        directory = memory / name
        directory.mkdir()
        made.append(Disk(directory / "disk", directory / "log", **size))
        stage = Stage(
            directory / "stage", aws_server.environment(), made[-1].dir / "mtls", directory / "disk" / "mtls"
        )
        stage.prefix = made[-1].enter
        return stage, made[-1]

    yield make
    for each in made:
        each.stop()


def check(stage, scene, free_again=lambda: None, lacking=None):
    """A run where something is used up (as lacking), and one where it is not; the first one's status."""
    outcome = stage.play(lacking or scene, NONE)
    wrong = [*complaints(scene, stage.target, NONE, outcome)]
    free_again()
    within, stage.within = stage.within, []
    wrong += stage.unhealed(scene)
    stage.within = within
    assert not wrong, "\n".join([*wrong, outcome.stderr])
    return outcome.status


@pytest.mark.parametrize("name", SCENES)
def test_room(scenes, disk, tally, name):
    """Page by page; a file takes one."""
    stage, small = disk(f"room-{name}", size="128k")
    statuses = []
    for pages in range(0, 12, 1 if STRIDE == 1 else 3):
        restore(scenes[name].template, stage.target)
        filler = small.fill()
        os.truncate(filler, filler.stat().st_size - pages * PAGE)
        statuses.append(check(stage, scenes[name], filler.unlink))
    assert statuses == [73] * statuses.count(73) + [0] * statuses.count(0)
    assert {*statuses} == {0, 73}
    tally["disks without room"] += len(statuses)


@pytest.mark.parametrize("name", SCENES)
def test_inodes(scenes, disk, tally, name):
    stage, small = disk(f"inodes-{name}", inodes=INODES)
    statuses = []

    def free_again(taken):
        for path in taken:
            path.unlink(missing_ok=True)

    for free in range(0, 18, 1 if STRIDE == 1 else 5):
        restore(scenes[name].template, stage.target)
        taken = small.use_up()
        free_again(taken[:free])
        statuses.append(check(stage, scenes[name], lambda: free_again(taken)))
    assert statuses == [73] * statuses.count(73) + [0] * statuses.count(0)
    assert {*statuses} == {0, 73}
    tally["disks without inodes"] += len(statuses)


def starts(within):
    """Whether the kernel can so much as start the program."""
    return subprocess.run([*within, PROGRAM, "--version"], capture_output=True).returncode == 0


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("name", ["first", "rotation", "tls13"])
def test_limits(scenes, stages, tally, name, limit):
    steps, runner = LIMITS[limit]
    stage, enough, statuses = stages[0], 0, []
    try:
        for value in steps:
            stage.within = ["prlimit", f"--{limit}={value}:{value}", "--", *runner]
            if not starts(stage.within):
                continue
            restore(scenes[name].template, stage.target)
            statuses.append(check(stage, scenes[name], lacking=scenes[name].hurried()))
            enough = enough + 1 if statuses[-1] == 0 else 0
            if enough == 5:
                break
    finally:
        stage.within = []
    assert enough == 5 and set(statuses) - {0}, statuses
    tally[f"limits on {limit}"] += len(statuses)


def test_run_says_what_it_lacks(scenes, stages, tally):
    """With too little memory for `run` to begin at all."""
    stage, enough, errors = stages[0], 0, 0
    argv = stage.argv(scenes["first"])
    argv[1] = "run"
    restore(None, stage.target)
    for value in LIMITS["as"][0]:
        within = ["prlimit", f"--as={value}:{value}", "--"]
        if not starts(within):
            continue
        with subprocess.Popen(
            [*within, *argv], env=stage.environment, stderr=subprocess.PIPE, text=True
        ) as child:
            told = ""
            while '"event":"started"' not in told and (line := child.stderr.readline()):
                told += line
            child.terminate()
            told += child.stderr.read()
        failures = [event for event in Outcome(child.returncode, told).events if event["event"] == "error"]
        assert child.returncode == 0 or (child.returncode, len(failures)) == (71, 1), told
        errors, enough = errors + (child.returncode != 0), enough + 1 if child.returncode == 0 else 0
        if enough == 5:
            break
    assert errors > 0 and enough == 5
    tally["limits on as"] += errors + enough
