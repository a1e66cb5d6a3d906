# SPDX-License-Identifier: Apache-2.0
"""A stranger who may rename beside the target, or above it, puts a link there, at each system call."""

import os

import pytest

from agent import snapshot
from conftest import STRIDE
from disturb import Fault, faults
from scenes import Stage, restore

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")

ALONE = "--sandbox=off"  # which would forbid it as well
TRAPS = ("client.key", "..data.tmp", "..agent.tmp", "..set-0123456789abcdef/client.key")


@pytest.fixture(scope="module")
def stage(memory, stages):
    """One whose target has a directory above it that can be swapped as well."""
    return Stage(memory / "swapped", stages[0].environment, memory / "swapped" / "volume" / "mtls")


@pytest.fixture
def victim(memory):
    """A directory that the link leads to, with all that an agent might take for its own."""
    directory = memory / "victim"
    for trap in (*TRAPS, *(f"mtls/{name}" for name in TRAPS)):
        (directory / trap).parent.mkdir(parents=True, exist_ok=True)
        (directory / trap).write_text("theirs")
    for path in (directory, directory / "mtls"):
        path.chmod(0o777)
    yield directory
    restore(None, directory)


def prepare(scene, stage):
    """The beginning, without what the swap before has left."""
    for path in (stage.target.parent, stage.target.parent.with_name("volume.moved")):
        restore(None, path)
    stage.target.parent.mkdir()
    restore(scene.template, stage.target)


@pytest.mark.parametrize("what", ["target", "parent"])
@pytest.mark.parametrize("name", ["first", "rotation", "replacement"])
def test_swapped_at_each_call(scenes, stages, stage, victim, some, tally, aws, name, what):
    """Nothing is followed: what it had opened it goes on with, and the link is refused."""
    scene = scenes[name]
    place = stage.target if what == "target" else stage.target.parent
    moved = place.with_name(f"{place.name}.moved") / stage.target.relative_to(place)
    untouched, statuses = snapshot(victim), set()
    for fault in some(faults("kill", stages[0].counts(scene, ALONE))):
        prepare(scene, stage)
        outcome = stage.play(scene, Fault(f"swap={place}:{victim}", fault.call, fault.number), ALONE)
        assert snapshot(victim) == untouched, f"{fault}: {outcome.stderr}"
        assert not outcome.hung and outcome.status in (0, 73), f"{fault}: {outcome.stderr}"
        if not outcome.done:
            continue
        state = scene.state(moved) if moved.exists() else "before"
        assert state == ("before" if outcome.status else "new"), f"{fault}: {state} {outcome.stderr}"
        if outcome.status == 73:
            (error,) = [event for event in outcome.events if event["event"] == "error"]
            assert error["code"] in ("target_invalid", "install_failed"), outcome.stderr
        statuses.add(outcome.status)
        tally["directories swapped"] += 1
    assert statuses == {0, 73} or STRIDE > 1
