"""The Makefile's own switches, as a builder uses them."""

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("setting", "shown"), [("V=1", True), ("V=", True), ("V=0", False), (None, False)])
def test_v_shows_or_hides_the_commands(setting, shown):
    rule = "probe-v: ; $(V)echo ran"
    command = ["make", "--no-print-directory", f"--eval={rule}", "probe-v"]
    command += [setting] if setting else []
    # The make that runs this test must not lend its own switches.
    outer = ("V", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "ran" in lines
    assert ("echo ran" in lines) == shown


# In the place of a compiler: makes what it is to make, of arguments that belong together.
COMPILER = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
    -o) : >"$2" ;;
    -ffile-prefix-map=*=.) ;;
    *=.) exit 1 ;;
    esac
    shift
done
"""


@pytest.fixture
def build(tmp_path):
    """build(sources, ...) links a program of these by a compiler that does nothing, in a folder; what make says."""
    compiler = tmp_path / "cc"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "V"}

    def run(sources, *settings, root=ROOT):
        settings = [f"SRC={' '.join(sources)}", f"OUT={tmp_path / 'out'}", f"CC={compiler}", *settings]
        target = [each.removeprefix("target=") for each in settings if each.startswith("target=")]
        settings = [each for each in settings if not each.startswith("target=")]
        done = subprocess.run(
            ["make", "--no-print-directory", *settings, *(target or [str(tmp_path / "out/mtls-agent.debug")])],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_source_that_was_removed_is_noticed(build):
    libraries = f"TP={ROOT / 'build/x86_64/third_party'}"
    both = ["src/main.c", "src/config/parse.c"]
    assert "LINK" in build(both, libraries)
    assert "LINK" not in build(both, libraries)
    assert "LINK" in build(both[:1], libraries)


def test_a_patch_that_was_removed_is_noticed(build, tmp_path):
    patches = tmp_path / "third_party.patches"
    settings = [f"TP={tmp_path / 'third_party'}", f"target={patches}"]
    build([], "PATCHES=b a", *settings)
    before = patches.stat().st_mtime_ns
    build([], "PATCHES=a b", *settings)
    assert patches.read_text().split() == ["a", "b"] and patches.stat().st_mtime_ns == before
    build([], "PATCHES=a", *settings)
    assert patches.read_text().split() == ["a"]
    stamp = f"{tmp_path / 'third_party'}.stamp"
    rules = subprocess.run(
        ["make", "-npq", settings[0]], cwd=ROOT, capture_output=True, text=True, timeout=300
    ).stdout.splitlines()
    assert any(line.startswith(f"{stamp}:") and str(patches) in line for line in rules)


def test_a_blank_in_the_path_of_the_checkout(build, tmp_path):
    root = tmp_path / "a checkout"
    for part in ("src", "third_party", "tools", "tests/fuzz"):
        shutil.copytree(ROOT / part, root / part, symlinks=True)
    for part in ("Makefile", "VERSION"):
        shutil.copy(ROOT / part, root / part)
    assert "LINK" in build(["src/main.c"], f"TP={ROOT / 'build/x86_64/third_party'}", root=root)
