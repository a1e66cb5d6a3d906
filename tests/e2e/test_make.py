"""The Makefile's own switches, as a builder uses them."""

import os
import pathlib
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
