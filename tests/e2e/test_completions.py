# SPDX-License-Identifier: Apache-2.0
"""What bash, zsh and fish offer behind `mtls-agent`, as a user presses Tab: what the program itself says that it takes."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from agent import PROGRAM, ROOT

FOLDER = ROOT / "platform/completions"
WITHIN_S = 30
BASH = ("bash", "--norc", "--noprofile", "-i"), f"source {FOLDER}/mtls-agent.bash"
ZSH = ("zsh", "-f", "-i"), f"fpath=({FOLDER} $fpath); autoload -Uz compinit; compinit -u -D; PROMPT='$ '"


def need(shell):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")


def commands():
    told = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  ([a-z][a-z-]*) +\S", told, re.MULTILINE)


TAKE_OPTIONS = [name for name in commands() if name not in ("version", "help")]


def options(command):
    """What it takes, as it says itself."""
    told = subprocess.run([PROGRAM, "help", command], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  (--[a-z-]+)", told, re.MULTILINE))


class Shell:
    """A shell at a terminal."""

    def __init__(self, command, home):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(home)
            os.execvpe(command[0], command, {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "dumb", "PS1": "$ "})
        self.seen = ""

    def type(self, keys):
        os.write(self.terminal, keys.encode())

    def wait(self, pattern):
        """Until that was shown; returns all that was shown."""
        deadline = time.monotonic() + WITHIN_S
        while not re.search(pattern, self.seen, re.DOTALL):
            assert select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))[0], self.seen
            self.seen += os.read(self.terminal, 65536).decode(errors="replace").replace("\r", "")
        return self.seen

    def stop(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


@pytest.fixture(scope="module", params=[BASH, ZSH], ids=["bash", "zsh"])
def started(request, tmp_path_factory):
    command, first = request.param
    need(command[0])
    home = tmp_path_factory.mktemp("home")
    (home / "certificates").mkdir()
    (home / "agent.conf").write_text("")
    one = Shell(command, home)
    one.type(f"{first}\n")
    yield one
    one.stop()


@pytest.fixture
def shell(started):
    """With an empty line."""
    started.type("\x15echo RE''ADY\n")
    started.wait("READY\n")
    started.seen = ""
    return started


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("fet", "fetch "),
        ("run --memory-lock pre", "run --memory-lock prefer "),
        ("probe --show-ch", "probe --show-chain "),
        ("fetch --key-mode=0640 --rehearse=req", "fetch --key-mode=0640 --rehearse=require "),
        ("doctor --endpoint=a:1 --as-us", "doctor --endpoint=a:1 --as-user"),
        ("status --config age", "status --config agent.conf "),
        ("purge --dir cert", "purge --dir certificates/"),
        ("inspect age", "inspect agent.conf "),
        ("check-config heal", "check-config healthcheck "),
    ],
)
def test_what_tab_completes(shell, typed, shown):
    shell.type(f"mtls-agent {typed}\t")
    shell.wait(rf"mtls-agent {re.escape(shown)}")


def test_what_tab_lists(shell):
    """Of a choice all words."""
    shell.type("mtls-agent fetch --if-unreachable \t\t")
    shell.wait(r"fail.*keep|keep.*fail")


@pytest.mark.parametrize("command", TAKE_OPTIONS)
def test_bash_offers_what_the_program_takes(command):
    script = f"""
    source {FOLDER}/mtls-agent.bash
    COMP_WORDS=(mtls-agent {command} --) COMP_CWORD=2
    _mtls_agent
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    told = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True).stdout
    assert set(told.split()) - {"--help"} == options(command)


def test_bash_offers_every_command():
    script = f"source {FOLDER}/mtls-agent.bash; COMP_WORDS=(mtls-agent '') COMP_CWORD=1; _mtls_agent; echo ${{COMPREPLY[@]}}"
    told = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True).stdout
    assert set(told.split()) == set(commands())


def fish(line):
    """What fish offers behind a line, without the descriptions."""
    need("fish")
    script = f"source {FOLDER}/mtls-agent.fish; complete -C '{line}'"
    done = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, timeout=WITHIN_S)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return {each.split("\t")[0] for each in done.stdout.splitlines()}


def test_fish_offers_every_command():
    assert fish("mtls-agent ") == set(commands())


@pytest.mark.parametrize("command", TAKE_OPTIONS)
def test_fish_offers_what_the_program_takes(command):
    assert fish(f"mtls-agent {command} --") - {"--help"} == options(command)


def test_fish_offers_words_of_a_choice():
    assert fish("mtls-agent run --log-format ") == {"text", "json"}
    assert fish("mtls-agent run --log-format=") == {"--log-format=text", "--log-format=json"}


def test_zsh_offers_what_the_program_takes(tmp_path):
    """In a list, as two tabs show it."""
    need("zsh")
    one = Shell(ZSH[0], tmp_path)
    try:
        one.type(f"{ZSH[1]}; LISTMAX=10000; echo RE''ADY\n")
        one.wait("READY\n")
        one.type("mtls-agent healthcheck --\t\t")
        seen = one.wait(".*".join(rf"{each}\b" for each in sorted(options("healthcheck"))))
    finally:
        one.stop()
    shown = set(re.findall(r"(--[a-z][a-z-]+)", seen.split("mtls-agent healthcheck --", 1)[1]))
    assert shown - {"--help"} == options("healthcheck")
