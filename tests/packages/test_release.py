# SPDX-License-Identifier: Apache-2.0
"""What `make release` refuses, in throw-away clones, and the commit in what it builds."""

import datetime
import os
import re
import shutil

import pytest

from agent import ROOT
from conftest import run

VERSION = "7.8.9"
TODAY = datetime.datetime.now(datetime.timezone.utc).date()
GIT = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "-c", "commit.gpgsign=false"]


def days_ago(days):
    return TODAY - datetime.timedelta(days=days)


class Clone:
    """A tree with nothing against a release of VERSION."""

    def __init__(self, folder):
        self.folder = folder
        run("git", "clone", "-q", "--shared", ROOT, folder)
        for name in ("Makefile", "tools/release", "tools/check-cves"):
            shutil.copy(ROOT / name, folder / name)
        self.write("VERSION", f"{VERSION}\n")
        self.changelog(f"## {VERSION} - {TODAY}")
        self.read_to(days_ago(1), days_ago(29))
        self.commit()

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def changelog(self, heading):
        self.write("CHANGELOG.md", f"# Changelog\n\n{heading}\n\n### Added\n- all\n\n## 7.8.8 - 2020-01-01\n")

    def read_to(self, *days):
        lines = "".join(f"curl's advisories. Read to: {day}\n" for day in days)
        self.write("third_party/CVES.md", f"# Known vulnerabilities\n\n{lines}")

    def commit(self):
        run("git", "add", "--all", cwd=self.folder)
        run(*GIT, "commit", "-qm", "tree: as it has to be", cwd=self.folder)

    def release(self, version=VERSION, check=True, **environment):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "CI"))}
        command = [self.folder / "tools/release", *["--check"] * check, version]
        return run(*command, check=False, env={**env, **environment})


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path / "clone")


def test_nothing_stands_against_it(clone):
    done = clone.release()
    assert done.returncode == 0 and done.stdout == f"nothing stands against {VERSION}\n"


def changed_file(clone):
    clone.write("README.md", "changed\n")


def new_file(clone):
    clone.write("new", "\n")


def a_tag(clone):
    run("git", "tag", f"v{VERSION}", cwd=clone.folder)


def of_changelog(heading):
    def change(clone):
        clone.changelog(heading)
        clone.commit()

    return change


def read_to(*days):
    def change(clone):
        clone.read_to(*days)
        clone.commit()

    return change


@pytest.mark.parametrize(
    "change,reason",
    [
        (changed_file, "what is not committed is in no release"),
        (new_file, "what is not committed is in no release"),
        (a_tag, f"there is a tag v{VERSION} already"),
        (of_changelog(f"## {VERSION} - unreleased"), 'has no date, but "unreleased"'),
        (of_changelog(f"## {VERSION} - 2026-02-30"), 'has no date, but "2026-02-30"'),
        (of_changelog(f"## Unreleased\n- more\n\n## {VERSION} - {TODAY}"), 'begins with "## Unreleased"'),
        (of_changelog(f"## 7.8.10 - {TODAY}"), "CHANGELOG.md begins with"),
        (read_to(), "says of fewer than two lists to which date"),
        (read_to(days_ago(1), days_ago(32)), "32 days ago; 30 are the most"),
        (read_to(days_ago(-2), days_ago(1)), "which is to come"),
        (read_to("2026-13-01", "2026-11-01"), "month must be in 1..12"),
    ],
)
def test_what_stands_against_it(clone, change, reason):
    change(clone)
    done = clone.release()
    assert done.returncode == 1 and reason in done.stdout, done.stdout


def test_another_version_than_the_tree_s(clone):
    done = clone.release("7.9.0")
    assert done.returncode == 1 and f"the file VERSION says {VERSION}, not 7.9.0" in done.stdout


@pytest.mark.parametrize("version", ["", "7.8", "v7.8.9", "7.8.9\n1", "7.8.9-rc1"])
def test_what_is_no_version(clone, version):
    assert clone.release(version).returncode == 64


def test_by_make(clone):
    """VERSION has to be said: that of the tree does not count."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "CI"))}
    said = ["make", "-s", "-C", clone.folder, "release", f"VERSION={VERSION}"]
    done = run(*said, check=False, env=env)
    assert done.returncode != 0 and "DIST_KEY is not set" in done.stdout, done.stdout
    done = run(*said[:-1], check=False, env=env)
    assert done.returncode != 0 and "usage: make release VERSION=" in done.stdout


def keys(folder):
    folder.mkdir(exist_ok=True)
    found = {"PACKAGES_KEY": "0123456789", "PACKAGES_MAINTAINER": "nobody <nobody@example.com>"}
    for name in ("DIST_KEY", "APK_KEY"):
        (folder / name).write_text("a key\n")
        found[name] = str(folder / name)
    return found


def test_never_in_ci(clone, tmp_path):
    done = clone.release(check=False, CI="true", **keys(tmp_path / "keys"))
    assert done.returncode == 1 and "a CI never makes a release" in done.stdout
    assert not (clone.folder / "build").exists()


def test_never_with_a_key_in_the_tree(clone, tmp_path):
    inside = keys(clone.folder / "build")
    done = clone.release(check=False, **inside)
    assert done.returncode == 1 and done.stdout.count("lies in the tree: a release key never does") == 2


@pytest.mark.parametrize("name", ["DIST_KEY", "PACKAGES_KEY", "APK_KEY", "PACKAGES_MAINTAINER"])
def test_never_without_a_key(clone, tmp_path, name):
    found = keys(tmp_path / "keys")
    del found[name]
    done = clone.release(check=False, **found)
    assert done.returncode == 1 and f"{name} is not set" in done.stdout
    assert not (clone.folder / "build").exists()


def test_all_that_is_wrong_is_said_at_once(clone):
    clone.changelog("## Unreleased")
    clone.read_to(days_ago(400), days_ago(1))
    a_tag(clone)
    done = clone.release()
    assert len(done.stdout.splitlines()) == 4


def test_the_commit_in_a_release(tmp_path):
    """And in no other build, so that a change of the docs changes no bytes."""
    copy = tmp_path / "copy"
    copy.mkdir()
    # With the objects that are there, so that only what differs is compiled.
    kept = ["Makefile", "VERSION", "src", "tools", "third_party", "tests", "platform", ".git"]
    run("cp", "-a", *(ROOT / name for name in kept), copy)
    built = ROOT / "build/x86_64"
    (copy / "build/x86_64").mkdir(parents=True)
    run("cp", "-a", built / "obj", *built.glob("third_party*"), copy / "build/x86_64")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    programs = {}
    for release in ("", "1"):
        made = ["make", "-s", "-C", copy, f"RELEASE={release}", "build/x86_64/mtls-agent"]
        run(*made, env=env)
        programs[release] = run(copy / "build/x86_64/mtls-agent", "version").stdout
    version = (ROOT / "VERSION").read_text().strip()
    head = run("git", "rev-parse", "HEAD", cwd=ROOT).stdout.strip()
    assert programs == {"": f"mtls-agent {version}\n", "1": f"mtls-agent {version} ({head})\n"}
    assert re.fullmatch("[0-9a-f]{40}", head)
