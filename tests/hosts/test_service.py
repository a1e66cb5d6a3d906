# SPDX-License-Identifier: Apache-2.0
"""A host that has booted: both units at work, as long as it lives."""

import json
import re
import signal

import pytest

from agent import ROOT, wait_for
from machine import drop_in
from test_boot import needs_identity
from servers.pki import document

LOG = "/var/log/ecs-init.log"
AGENT, FETCH, MOUNT = "mtls-agent.service", "mtls-agent-fetch.service", "etc-ecs-mtls.mount"
PATIENCE_S = 60

CONFIG = """\
log-format = json
owner = daemon:mtls
on-change-exec = /usr/bin/systemctl --no-block reload app.service
on-change-signal = HUP:/run/app/pid
"""


@pytest.fixture(scope="module")
def arn(aws_server, good):
    return aws_server.put("mtls/hosts-service", good)


@pytest.fixture(scope="module")
def up(make_host, place, arn):
    host = make_host()
    machine = host.machine
    host.config(arn, CONFIG)
    host.install()
    needs_identity(machine, place)
    machine.write("/etc/cloud/cloud-init.disabled", "")
    drop_in(machine, AGENT, "[Service]", "WatchdogSec=5s")
    yield host.machine.boot()
    host.stop()


def events(machine, name, path=LOG):
    lines = machine.run("cat", path).splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


def more(machine, name, act):
    """What act() brings about: waits for one more event of that name in the log file."""
    before = len(events(machine, name))
    act()
    wait_for(lambda: len(events(machine, name)) > before, PATIENCE_S)
    return events(machine, name)[-1]


def pid(machine):
    return machine.property(AGENT, "MainPID")


def running_again(machine, before):
    wait_for(lambda: machine.state(AGENT) == "active" and pid(machine) not in ("0", before), PATIENCE_S)


def test_all_is_up(up):
    """Ready, by its own word; and nothing on this host has failed."""
    assert up.state(FETCH) == up.state(MOUNT) == up.state(AGENT) == "active"
    assert up.property(AGENT, "Type") == "notify"
    assert up.property(AGENT, "StatusText").startswith("1 of 1 sets valid")
    assert up.systemctl("--failed", "--no-legend") == ""
    assert "healthy" in up.run("mtls-agent", "healthcheck")


def test_the_agent_ends_a_fetch_before_systemd_does(up):
    assert "MTLS_AGENT_DEADLINE=10m" in up.property(FETCH, "Environment")
    assert up.property(FETCH, "TimeoutStartUSec") == "11min"


def test_the_key_is_in_memory_alone(up):
    assert up.run("stat", "--file-system", "--format=%T", "/etc/ecs/mtls/client.key").strip() == "tmpfs"
    assert list(up.disk("/etc/ecs/mtls").iterdir()) == []


def test_what_holds_the_agent(up):
    """Its own sandbox beside systemd's, and locked memory; nothing that it needs is refused."""
    (sandbox, *_) = events(up, "sandbox")
    assert sandbox["state"] == "on" and sandbox["seccomp"] == "yes" and sandbox["landlock"] > 0
    assert events(up, "started")[0]["backing"] == "memfd_secret"
    assert not events(up, "sandbox_refused") and not events(up, "error")
    assert not events(up, "memory_unlocked")


def test_readers(up):
    """The key is of the owner that is configured; who is in the group may read it."""
    facts = up.run("stat", "--dereference", "--format=%U:%G %a", "/etc/ecs/mtls/client.key")
    assert facts.split() == ["daemon:mtls", "640"]


def test_those_who_use_it_start_with_it(up):
    """They wait for the fetch, and so cannot be told by it: there is nothing to tell them either."""
    assert up.started_at("app.service") >= int(up.property(FETCH, "ExecMainExitTimestampMonotonic"))
    assert events(up, "hook_done") and not up.path("/run/app/told").exists()


def test_both_write_to_journal_and_log_file(up):
    for unit, command in ((FETCH, "installed"), (AGENT, "ready")):
        assert f'"event":"{command}"' in up.journal("--unit", unit)
        assert events(up, command)


def test_rotation(up, aws_server, arn, authority):
    pair = authority.issue("ECS-Client")
    nobody = len(events(up, "hook_nobody"))
    more(up, "hook_done", lambda: aws_server.rotate(arn, document(pair, authority.pem)))
    assert up.run("cat", "/etc/ecs/mtls/client.crt") == pair.cert
    # Those who use it are told, through systemd, and by a signal to another user's process.
    wait_for(lambda: sorted(up.run("cat", "/run/app/told").split()) == ["reload", "signal"], PATIENCE_S)
    assert len(events(up, "hook_nobody")) == nobody


def test_reload(up):
    """By systemctl; a configuration that is wrong changes nothing."""
    before = pid(up)
    path = "/etc/mtls-agent/agent.conf"
    good = up.run("cat", path)
    up.write(path, good + "log-level = loud\n")
    more(up, "reload_refused", lambda: up.systemctl("reload", AGENT))
    up.write(path, good)
    more(up, "reloaded", lambda: up.systemctl("reload", AGENT))
    wait_for(lambda: up.state(AGENT) == "active", PATIENCE_S)  # after the cycle that follows
    assert pid(up) == before


def test_the_log_is_rotated(up):
    """By renaming, as logrotate does it; both units go on in a new file."""
    old = len(up.run("cat", LOG).splitlines())
    up.run("logrotate", "--force", "/etc/logrotate.d/mtls-agent")
    rotated = up.run("cat", "/var/log/mtls-agent/ecs-init.log.1")
    assert len(rotated.splitlines()) >= old
    wait_for(lambda: up.path("/var/log/mtls-agent/ecs-init.log").exists(), PATIENCE_S)
    up.systemctl("restart", FETCH)
    assert events(up, "finished")
    assert up.run("stat", "--format=%a", "/var/log/mtls-agent/ecs-init.log").strip() == "600"


def test_killed(up):
    before = pid(up)
    up.systemctl("kill", "--signal=KILL", "--kill-who=main", AGENT)
    running_again(up, before)
    assert up.path("/etc/ecs/mtls/client.key").is_symlink()


def test_the_watchdog(up):
    """An agent that stands still is replaced."""
    before = pid(up)
    up.systemctl("kill", f"--signal={signal.SIGSTOP.value}", "--kill-who=main", AGENT)
    running_again(up, before)
    assert "watchdog" in up.journal("--unit", AGENT).lower()


def test_stop(up):
    """In order: it says so, and systemd does not have to kill it."""
    up.systemctl("stop", AGENT)
    assert up.state(AGENT) == "inactive" and up.property(AGENT, "Result") == "success"
    assert events(up, "stopped")[-1]["exit_status"] == 0
    assert up.run("mtls-agent", "healthcheck", check=False).returncode == 1  # whatever status it has left
    assert up.path("/etc/ecs/mtls/client.key").is_symlink()
    up.systemctl("start", AGENT)


def test_purge(up):
    """While the agent runs, not; after that all goes, and the next fetch brings it back."""
    assert up.run("mtls-agent", "purge", check=False).returncode == 75
    up.systemctl("stop", AGENT)
    up.run("mtls-agent", "purge")
    assert list(up.path("/etc/ecs/mtls").iterdir()) == []
    up.systemctl("restart", FETCH)
    assert up.path("/etc/ecs/mtls/client.key").is_symlink()


def test_metrics(up):
    """In its own directory from the start, and by the guide's drop-in in the one where node_exporter looks."""
    own = "/run/mtls-agent/mtls-agent.prom"
    wait_for(lambda: up.path(own).exists(), PATIENCE_S)
    guide = (ROOT / "platform/systemd/README.md").read_text().split("\n## Metrics\n")[1]
    lines = re.search(r"```ini\n(.*?)```", guide, re.DOTALL)[1].splitlines()
    (directory,) = [line.split("=")[1] for line in lines if line.startswith("ReadWritePaths=")]
    up.run("mkdir", "-p", directory)
    drop_in(up, AGENT, *lines, name="metrics")
    up.systemctl("daemon-reload")
    up.systemctl("restart", AGENT)
    wait_for(lambda: up.path(f"{directory}/mtls-agent.prom").exists(), PATIENCE_S)
    up.path(f"/etc/systemd/system/{AGENT}.d/metrics.conf").unlink()
    up.systemctl("daemon-reload")
    up.systemctl("restart", AGENT)
