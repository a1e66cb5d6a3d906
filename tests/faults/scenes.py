# SPDX-License-Identifier: Apache-2.0
"""What the agent finds in its target, what it has to leave there, and what a fault must never leave."""

import os
import shutil
import stat

from agent import PROGRAM
from disturb import ERRORS, Fault, disturbed

NAMES = ("client.crt", "client.key", "ca.crt", "client.pem")
MODES = {"client.key": 0o600, "client.pem": 0o600}
OTHERS = ("..data", "..agent")
INSTALLED = {"installed", "adopted", "healed", "unchanged"}
KEPT = {"kept_stale", "kept_unproven"}


def read(directory):
    """What a reader gets by each name; None: there is nothing."""
    found = {}
    for name in NAMES:
        try:
            found[name] = (directory / name).read_text()
        except FileNotFoundError:
            found[name] = None
    return found


def restore(template, directory):
    """Makes directory what the template is; nothing where that is None."""
    if directory.is_symlink():
        directory.unlink()
    shutil.rmtree(directory, ignore_errors=True)
    if template:
        shutil.copytree(template, directory, symlinks=True)


class Scene:
    """
    A beginning (a directory, or None), the agent's arguments, and the files that it is to install. by_name:
    the beginning is no whole set, so that names come right one after the other.
    """

    def __init__(self, name, template, arguments, new, by_name=False):
        self.name, self.template, self.arguments, self.by_name = name, template, arguments, by_name
        self.new = {**dict.fromkeys(NAMES), **new}
        self.before = read(template) if template else dict.fromkeys(NAMES)

    def hurried(self):
        """The same with a deadline that can be waited for."""
        arguments = ["--deadline=2s" if each.startswith("--deadline=") else each for each in self.arguments]
        return Scene(self.name, self.template, arguments, self.new, self.by_name)

    def state(self, directory):
        """before, new, or what else it is."""
        found = read(directory)
        if found == self.new:
            return "new"
        if found == self.before:
            return "before"
        if self.by_name and all(text in (self.before[name], self.new[name]) for name, text in found.items()):
            return "before"
        return f"broken: {({name: text and text[:40] for name, text in found.items()})}"

    def wrong_attributes(self, directory):
        """The new set's owners and modes that are not as they should be."""
        current = directory / os.readlink(directory / "..data")
        wanted = {
            current: 0o755,
            **{current / name: MODES.get(name, 0o644) for name in NAMES if self.new[name]},
        }
        for path, mode in wanted.items():
            facts = path.stat()
            if (stat.S_IMODE(facts.st_mode), facts.st_uid) != (mode, os.geteuid()):
                yield f"{path.name} has mode {facts.st_mode:o} and owner {facts.st_uid}"

    def debris(self, directory):
        """What should not lie in a target after a good run."""
        current = os.readlink(directory / "..data")
        kept = {current, *OTHERS, *(name for name in NAMES if self.new[name])}
        for line in (directory / current / "manifest").read_text().splitlines():
            if line.startswith("previous "):
                kept.add(line.split()[1])
        return sorted(set(os.listdir(directory)) - kept)


def complaints(scene, directory, fault, outcome):
    """What is wrong after a fault; nothing, if all is well."""
    state = scene.state(directory)
    if outcome.hung:
        yield "hangs"
    if state not in ("before", "new"):
        yield state
    if state == "new":
        yield from scene.wrong_attributes(directory)
    if fault.action == "kill" and outcome.done:
        return
    if outcome.status >= 128:
        yield f"crashes with {outcome.status}"
    elif outcome.status == 0:
        yield from false_claims(scene, state, fault, outcome)
    else:
        yield from bad_failures(scene, state, fault, outcome)


def false_claims(scene, state, fault, outcome):
    """Success is that the set is there to stay, or that a good one was kept as the log says."""
    told = set(outcome.names())
    if fault.call == "fsync" and fault.action in ERRORS and fault.action != "EINTR" and outcome.done:
        yield "claims success, and a sync has failed"
    if state == "new" and (told & INSTALLED or loses_lines(fault, outcome)):
        return
    if state == "before" and scene.before["client.key"] and told & KEPT:
        return
    yield f"claims success: {state}, {sorted(told)}"


def bad_failures(scene, state, fault, outcome):
    """One error that says what failed; what was there is there still."""
    errors = [event for event in outcome.events if event["event"] == "error"]
    if not loses_lines(fault, outcome) and [bool(each["code"] and each["reason"]) for each in errors] != [
        True
    ]:
        yield f"ends with {outcome.status} and errors {errors}"
    if any("Permission denied" in each["reason"] for each in errors):  # which no fault here gives
        yield f"its own sandbox is in the way: {errors}"
    if outcome.status == 73 and state == "new" and not scene.by_name:
        yield f"cannot install, and the new set is there: {errors}"


def loses_lines(fault, outcome):
    """Whether what was disturbed is the log itself."""
    return fault.call in ("write", "poll") and outcome.fd == 2


class Stage:
    """
    A place where scenes are played, over and over. within: a command that runs the agent; prefix: one that
    runs that, where the target may have another name.
    """

    def __init__(self, directory, environment, target=None, name=None):
        directory.mkdir()
        self.report = directory / "report"
        locks = directory.with_name(f"locks-{directory.name}")
        locks.mkdir()
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "AWS_EC2_METADATA_DISABLED": "true",
            "MTLS_AGENT_LOCK_DIR": str(locks),
            **environment,
        }
        self.target = target or directory / "mtls"
        self.name = name or self.target
        self.within, self.prefix = [], []
        self._counts = {}

    def argv(self, scene, *arguments):
        return [PROGRAM, *scene.arguments, f"--dir={self.name}", *arguments]

    def play(self, scene, fault=Fault("none"), *arguments):
        argv = [*self.within, *self.argv(scene, *arguments)]
        return disturbed(argv, self.environment, self.report, fault, self.prefix)

    def counts(self, scene, *arguments):
        """How many of each call it makes when nothing is wrong: the most of a few times."""
        counts = self._counts.setdefault((scene.name, arguments), {})
        for _ in range(0 if counts else 3):
            restore(scene.template, self.target)
            outcome = self.play(scene, Fault("none"), *arguments)
            assert outcome.status == 0 and scene.state(self.target) == "new", outcome.stderr
            counts.update({call: max(n, counts.get(call, 0)) for call, n in outcome.counts.items()})
        return counts

    def suffer(self, scene, fault, *arguments):
        """One fault, and a run after it: whether it came to it, and all that is wrong."""
        restore(scene.template, self.target)
        outcome = self.play(scene, fault, *arguments)
        wrong = [*complaints(scene, self.target, fault, outcome)]
        wrong += [f"{each} (in the next run)" for each in self.unhealed(scene, *arguments)]
        return outcome, [f"{scene.name}, {fault}: {each}\n{outcome.stderr}" for each in wrong]

    def unhealed(self, scene, *arguments):
        """What a run without a fault does not make good."""
        after = self.play(scene, Fault("none"), *arguments)
        state = scene.state(self.target)
        if after.status != 0 or state != "new" or not set(after.names()) & INSTALLED:
            return [f"ends with {after.status}, {state}: {after.stderr}"]
        return [
            *scene.wrong_attributes(self.target),
            *(f"left: {each}" for each in scene.debris(self.target)),
        ]
