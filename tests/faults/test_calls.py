# SPDX-License-Identifier: Apache-2.0
"""
The whole program, killed at each system call and failed at each, from the first on that leads to its target.
After each the target is looked at, and the agent is run once more.
"""

import pytest

from disturb import ERRORS, faults

SCENES = ("first", "rotation", "replacement", "adoption", "healing", "links", "tls13")
KINDS = ("kill", "short", *ERRORS)
LITTLE = 10  # without the sandbox: every tenth fault


@pytest.fixture
def suffer(everywhere, tally):
    """suffer(scene, faults, ...) plays all of them, and fails with what was wrong."""

    def all_of(scene, chosen, *arguments):
        done = everywhere(lambda stage, fault: stage.suffer(scene, fault, *arguments), chosen)
        reached = sum(outcome.done for outcome, _ in done)
        tally["calls disturbed"] += reached
        tally[f"of them by {chosen[0].action}"] += reached
        tally[f"in {scene.name}"] += reached
        tally["calls that a run did not come to"] += len(done) - reached
        wrong = [complaint for _, found in done for complaint in found]
        assert not wrong, f"{len(wrong)} of {len(done)}:\n" + "\n".join(wrong[:20])
        assert reached >= len(done) // 2  # threads do not take the same steps each time

    return all_of


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SCENES)
def test_each_call(scenes, stages, suffer, some, aws, name, kind):
    scene = scenes[name]
    suffer(scene, some(faults(kind, stages[0].counts(scene))))


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_sandbox(scenes, stages, suffer, some, aws, kind):
    scene, off = scenes["rotation"], "--sandbox=off"
    suffer(scene, some(faults(kind, stages[0].counts(scene, off))[::LITTLE]), off)
