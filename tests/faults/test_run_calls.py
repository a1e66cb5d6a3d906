# SPDX-License-Identifier: Apache-2.0
"""
`mtls-agent run`, disturbed while it installs a new version: killed, it is started again, as an init system
would; where a call failed, it makes up for it by itself, or ends with a reason and is started again.
"""

import subprocess
import time

import pytest

from disturb import ERRORS, Fault, Outcome, faults, injecting, read_report
from scenes import INSTALLED, Scene, restore

OFTEN = 4  # every fourth fault
FOR_GOOD = {"open", "landlock_add_rule", "seccomp"}  # and each that sets up what cannot be undone later
PATIENCE_S = 60
FATAL = {71, 73, 75}  # docs/run.md


class Run:
    """One `run` in a stage, with a fault or without."""

    def __init__(self, stage, scene, fault=None):
        self.stage, self.scene, self.fault = stage, scene, fault
        self.log = stage.report.with_suffix(".log")
        argv = stage.argv(scene)
        argv = [*injecting(stage.report, fault), *argv] if fault else argv
        with open(self.log, "wb") as stderr:
            self.child = subprocess.Popen(
                argv,
                env=stage.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    def wait(self):
        """Until it has ended, or the new set is there and told of; False where neither comes."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if self.child.poll() is not None:
                return True
            told = {event["event"] for event in Outcome(0, self.log.read_text(errors="replace")).events}
            if self.scene.state(self.stage.target) == "new" and told & (INSTALLED | {"log_lines_lost"}):
                return True
            time.sleep(0.005)
        return False

    def finish(self):
        """Ends it, where it goes on; how it went."""
        came = self.wait()
        if self.child.poll() is None:
            self.child.terminate()
        status = self.child.wait(PATIENCE_S)
        outcome = Outcome(status, self.log.read_text(errors="replace"), hung=not came)
        return read_report(self.stage.report, outcome) if self.fault else outcome


@pytest.fixture(scope="module")
def scene(scenes):
    rotation = scenes["rotation"]
    arguments = ["run", "--interval=300ms", "--probe-interval=300ms", *rotation.arguments[1:]]
    return Scene("run", rotation.template, arguments, rotation.new)


def suffer(stage, scene, fault):
    """All that is wrong after a fault; whether it came to it."""
    restore(scene.template, stage.target)
    outcome = Run(stage, scene, fault).finish()
    state = scene.state(stage.target)
    wrong = ["hangs"] if outcome.hung else []
    wrong += [] if state in ("before", "new") else [state]
    if not (fault.action == "kill" and outcome.done) and outcome.status:
        errors = [event for event in outcome.events if event["event"] == "error"]
        wrong += (
            [] if outcome.status in FATAL and errors else [f"ends with {outcome.status} and errors {errors}"]
        )
    again = Run(stage, scene).finish()
    if again.hung or again.status or scene.state(stage.target) != "new":
        wrong.append(f"started again: {again.status}, {scene.state(stage.target)}\n{again.stderr}")
    wrong += [*scene.wrong_attributes(stage.target)]
    return outcome.done, [f"{fault}: {each}\n{outcome.stderr}" for each in wrong]


@pytest.mark.parametrize("kind", ["kill", "short", *ERRORS])
def test_run(scene, stages, everywhere, some, tally, aws, kind):
    stage = stages[0]
    restore(scene.template, stage.target)
    counts = Run(stage, scene, Fault("none")).finish().counts
    every = faults(kind, counts)
    chosen = [*every[::OFTEN], *(fault for fault in every if fault.call in FOR_GOOD)]
    done = everywhere(lambda each, fault: suffer(each, scene, fault), some(chosen))
    wrong = [complaint for _, found in done for complaint in found]
    tally["calls of run disturbed"] += sum(reached for reached, _ in done)
    assert not wrong, f"{len(wrong)} of {len(done)}:\n" + "\n".join(wrong[:10])
    assert sum(reached for reached, _ in done) >= len(done) // 2
