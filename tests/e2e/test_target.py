# SPDX-License-Identifier: Apache-2.0
"""Targets that cannot be used: exit 73, and what is there stays as it is."""

import json
import os
import platform
import stat
import subprocess

import pytest

from agent import PROGRAM, PROGRAMS, snapshot, wait_for
from servers.pki import document

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away and mount")


def test_a_file_in_the_way(agent, put, good):
    agent.dir.write_text("a file")
    agent.fetch(put(good)).failed(73, "target_invalid")
    assert agent.dir.read_text() == "a file"


@AS_ROOT
def test_a_link_of_a_stranger(agent, tmp_path, put, good):
    (tmp_path / "elsewhere").mkdir()
    agent.dir.symlink_to(tmp_path / "elsewhere")
    os.lchown(agent.dir, 65534, 65534)
    agent.fetch(put(good)).failed(73, "target_invalid")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_directory_in_place_of_a_file(agent, put, good):
    (agent.dir / "client.key").mkdir(parents=True)
    (agent.dir / "client.key/mine").write_text("mine")
    result = agent.fetch(put(good))
    assert result.status == 73, result.stderr
    assert (agent.dir / "client.key/mine").read_text() == "mine"


@AS_ROOT
def test_a_set_of_a_stranger(agent, put, good):
    """As where the owner has changed: it is not believed, and replaced."""
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    current = agent.dir / os.readlink(agent.dir / "..data")
    os.chown(current, 65534, 65534)
    agent.fetch(arn).succeeded("healed")
    assert (agent.dir / os.readlink(agent.dir / "..data")).stat().st_uid == 0


@AS_ROOT
def test_a_read_only_file_system(agent, tmp_path, put, good):
    """Mounted for this run alone, in a mount namespace of its own."""
    mount = f'mkdir {agent.dir} && mount -t tmpfs -o ro none {agent.dir} && exec "$@"'
    result = agent.fetch(put(good), prefix=["unshare", "--mount", "sh", "-c", mount, "sh"])
    assert result.status == 73, result.stderr


@AS_ROOT
def test_a_full_file_system_keeps_the_old_set(agent, aws, put, good, pair, authority):
    """Installed once in 64 KiB, then filled up; seen from within, in a mount namespace of its own."""
    arn = put(good)
    arguments = agent.fetch_arguments(arn)
    script = """
        mkdir "$TARGET" && mount -t tmpfs -o size=64k none "$TARGET" && "$@" 2>/dev/null &&
        echo installed && read -r _ && {
            cat /dev/zero >"$TARGET/fill" 2>/dev/null; "$@"; echo $?; cat "$TARGET/client.key"
        }"""
    child = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(PROGRAM), *arguments],
        env={**agent.environment, "TARGET": str(agent.dir)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "installed\n"
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    stdout, stderr = child.communicate("go\n", timeout=60)
    assert stdout == "73\n" + pair.key, stderr
    assert json.loads(stderr.splitlines()[-1])["exit_status"] == 73


@AS_ROOT
def test_a_directory_without_rights_to_it(agent, put, good):
    """Run without root's power over other people's files."""
    agent.dir.mkdir()
    agent.dir.chmod(0o555)
    os.chown(agent.dir, 65534, 65534)
    before = snapshot(agent.dir)
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", "--"]
    result = agent.fetch(put(good), prefix=powerless)
    assert result.status == 73, result.stderr
    assert str(agent.dir) in result.event("error")["subject"]
    assert snapshot(agent.dir) == before


def sets_of(agent):
    return sorted(path.name for path in agent.dir.glob("..set-*"))


def test_a_damaged_set_before_goes_at_once(agent, aws, put, authority, pair):
    """Its key was open to all."""
    arn = put(document(pair, authority.pem))
    agent.fetch(arn).succeeded("installed")
    (agent.dir / "client.key").resolve().chmod(0o666)
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    agent.fetch(arn).succeeded("installed")
    assert sets_of(agent) == [os.readlink(agent.dir / "..data")]


def test_a_cycle_that_fails_sweeps_too(agent, aws, put, authority, pair):
    arn = put(document(pair, authority.pem))
    agent.fetch(arn).succeeded("installed")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    agent.fetch(arn).succeeded("installed")
    assert len(sets_of(agent)) == 2
    away = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://127.0.0.1:1"}
    agent.fetch(arn, "--keep-previous=0s", env=away, deadline="3s").succeeded("kept_stale")
    assert sets_of(agent) == [os.readlink(agent.dir / "..data")]


def test_a_directory_is_whole_from_the_first_moment(agent, put, good):
    """One that is killed behind mkdir(2) leaves no directory that readers cannot enter."""
    fchmod = {"x86_64": 91, "aarch64": 52}[platform.machine()]
    prefix = (str(PROGRAMS / "deny"), str(fchmod), "--")
    agent.fetch(put(good), prefix=prefix).failed(73, "install_failed")
    assert stat.S_IMODE(agent.dir.stat().st_mode) == 0o755


SUB = "s" * 63  # the longest subdirectory


def path_of(length, base):
    """An absolute path of so many bytes below another one."""
    path = str(base)
    while length - len(path) > 201:
        path += "/" + "d" * 199
    return path + "/" + "e" * (length - len(path) - 1)


@pytest.mark.parametrize("total", [1021, 1022, 1023])
def test_the_longest_path(agent, put, good, serve, tmp_path, total):
    """Of a directory and the subdirectory of a set: all commands, status and hook as anywhere else."""
    directory, told = path_of(total - 1 - len(SUB), tmp_path), tmp_path / "told"
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\nprintf "%s" "$MTLS_AGENT_DIR" >{told}\n')
    hook.chmod(0o755)
    where = f"--dir={directory}"
    secret = f"{SUB}={put(good)}"
    agent.fetch(secret, directory=directory).succeeded("installed")
    assert json.loads(good)["client_key"] == open(f"{directory}/{SUB}/client.key").read()
    agent.fetch(secret, directory=directory).succeeded("unchanged")
    service = serve(secret, where, f"--on-change-exec={hook}", dir_flag=False)
    service.wait("hook_done")
    assert told.read_text() == f"{directory}/{SUB}"
    wait_for(lambda: os.path.exists(f"{directory}/..status.json"))
    assert agent.run("healthcheck", where, f"--secret={secret}").stdout == "healthy\n"
    assert agent.run("inspect", where, f"--secret={secret}").status == 0
    service.stop()
    agent.run("purge", where, "--log-format=json").succeeded("purged")
    assert not os.listdir(directory) or os.listdir(directory) == [SUB] and not os.listdir(f"{directory}/{SUB}")


@pytest.mark.parametrize("command", ["fetch", "run", "inspect", "healthcheck"])
def test_a_path_that_is_too_long(agent, aws, put, good, tmp_path, command):
    """It is refused before anything is asked or made."""
    directory = path_of(1024 - 1 - len(SUB), tmp_path)
    secret = f"{SUB}={put(good)}"
    result = agent.run(command, f"--dir={directory}", f"--secret={secret}", "--log-format=json")
    assert result.status == 64 and "dir is too long" in result.stderr, result.stderr
    assert not aws.asked and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the number is x86_64's")
@pytest.mark.parametrize("number", range(1, 9))
def test_killed_while_it_makes_directories(agent, put, good, tmp_path, number):
    """By each fchmod(2), also with a strict umask: whoever is to pass does so after the next fetch."""
    arn, directory = put(good), tmp_path / "one" / "two" / "mtls"
    umask = ["sh", "-c", 'umask 077; exec "$@"', "sh"]
    inject = [PROGRAMS / "inject", tmp_path / "report", "60", "kill", "91", str(number)]
    killed = agent.fetch(arn, directory=directory, prefix=[*umask, *inject])
    assert killed.status == 137 or number > 3, killed.stderr
    made = [path for path in (tmp_path / "one", tmp_path / "one" / "two", directory, agent.locks) if path.exists()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} <= {0o755}, (made, killed.stderr)
    agent.fetch(arn, directory=directory, prefix=umask).succeeded()
    for path in (tmp_path / "one", tmp_path / "one" / "two", directory, agent.locks):
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
