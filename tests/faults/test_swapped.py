# SPDX-License-Identifier: Apache-2.0
"""A stranger who may rename beside the target puts a link in its place, at each system call in turn."""

import os

import pytest

from agent import snapshot
from disturb import Fault, faults
from scenes import restore


def clear(stage):
    """What a swap has left."""
    for path in (stage.target, stage.target.with_name("mtls.moved")):
        restore(None, path)


@pytest.fixture
def victim(memory):
    """A directory that the link leads to, with all that an agent might take for its own."""
    directory = memory / "victim"
    (directory / "..set-0123456789abcdef").mkdir(parents=True)
    for name in ("client.key", "..data.tmp", "..agent.tmp", "..set-0123456789abcdef/client.key"):
        (directory / name).write_text("theirs")
    directory.chmod(0o777)
    yield directory
    restore(None, directory)


@pytest.mark.parametrize("name", ["first", "rotation", "replacement"])
def test_swapped_at_each_call(scenes, stages, victim, some, tally, aws, name):
    """Nothing is followed: what it had opened it goes on with, and the link is refused."""
    scene, stage = scenes[name], stages[0]
    untouched, statuses = snapshot(victim), []
    moved = stage.target.with_name("mtls.moved")
    for fault in some(faults("kill", stage.counts(scene))):
        clear(stage)
        restore(scene.template, stage.target)
        outcome = stage.play(scene, Fault(f"swap={stage.target}:{victim}", fault.call, fault.number))
        assert snapshot(victim) == untouched, f"{fault}: {outcome.stderr}"
        assert not outcome.hung and outcome.status in (0, 73), f"{fault}: {outcome.stderr}"
        if not outcome.done:
            continue
        state = scene.state(moved) if moved.exists() else "before"
        assert state == "new" if outcome.status == 0 else state == "before", f"{fault}: {state} {outcome.stderr}"
        if outcome.status == 73:
            assert [e["code"] for e in outcome.events if e["event"] == "error"] == ["target_invalid"], outcome.stderr
        statuses.append(outcome.status)
    clear(stage)
    assert set(statuses) == {0, 73} or os.environ.get("FAULTS")
    tally["directories swapped"] += len(statuses)
