# SPDX-License-Identifier: Apache-2.0
"""Every task definition of platform/ecs at work: as far as they say it, and as far as ECS would do it."""

import pytest

from agent import ROOT, wait_for
from servers.aws import aws_error
from task import Stopped, mounted

ECS = ROOT / "platform" / "ecs"
PATIENCE_S = 60
STRANGER = (30001, 30001)

INIT = pytest.mark.parametrize("name", ["init-ec2", "init-fargate"])
SIDECAR = pytest.mark.parametrize("name", ["sidecar-ec2", "sidecar-fargate", "tmpfs-ec2"])
BOTH = pytest.mark.parametrize("name", ["init-and-sidecar-ec2", "init-and-sidecar-fargate"])


def who(cn="ECS-Client"):
    return f"CN={cn}"


def closed_to_strangers(app):
    """Whoever is neither the application's user nor of its group reads no key; certificates are for all."""
    read = "open('/etc/ecs/mtls/client.key').read()"
    assert app.exec("/usr/bin/python3", "-c", read).returncode == 0
    refused = app.exec("/usr/bin/python3", "-c", read, user=STRANGER)
    assert refused.returncode != 0 and "Permission denied" in refused.stderr


def read_only(app):
    refused = app.exec("/usr/bin/python3", "-c", "open('/etc/ecs/mtls/x', 'w')", user=(0, 0))
    assert refused.returncode != 0 and "Read-only file system" in refused.stderr


@INIT
def test_the_application_starts_with_its_identity(task, name):
    running = task(ECS / f"{name}.json").start()
    running["app"].says(who())
    unlocked = [each for each in running["mtls-init"].events if each["event"] == "memory_unlocked"]
    assert bool(unlocked) == (name == "init-fargate")  # where the limit cannot be set, and may be anything
    closed_to_strangers(running["app"])
    read_only(running["app"])


@pytest.mark.parametrize("name", [*INIT.args[1], *BOTH.args[1]])
def test_no_application_without_an_identity(task, aws, name):
    aws.faults.append(aws_error(400, "AccessDeniedException", "with an explicit deny in an identity-based policy"))
    running = task(ECS / f"{name}.json")
    with pytest.raises(Stopped, match="mtls-init did not succeed: 77"):
        running.start()
    assert list(running.containers) == ["mtls-init"]
    assert running["mtls-init"].event("error")["code"] == "aws_denied_explicitly"


def test_a_volume_that_is_roots(task):
    """An image that has no directory there, or one of root's, leaves the volume to root."""
    running = task(ECS / "init-ec2.json")
    (running.images["mtls-agent:nonroot"].root / "etc/ecs/mtls").rmdir()
    with pytest.raises(Stopped, match="mtls-init did not succeed: 73"):
        running.start()


@SIDECAR
def test_the_application_waits_for_health_and_sees_a_rotation(task, secret, name):
    running = task(ECS / f"{name}.json").start()
    running["app"].says(who())
    secret.rotate("ECS-Client-2")
    running["app"].says(who(), who("ECS-Client-2"))
    closed_to_strangers(running["app"])
    read_only(running["app"])


@SIDECAR
def test_a_sidecar_that_was_killed_comes_back(task, secret, name):
    running = task(ECS / f"{name}.json").start()
    running["app"].says(who())
    agent = running["mtls-agent"]
    agent.kill("KILL")
    assert agent.wait() == 137
    running.restart("mtls-agent")
    wait_for(lambda: running.is_healthy("mtls-agent"), PATIENCE_S)
    secret.rotate("ECS-Client-2")
    running["app"].says(who(), who("ECS-Client-2"))


@SIDECAR
def test_no_health_without_an_identity(task, surroundings, name):
    surroundings.to_aws.stage, surroundings.to_aws.action = "accept", "reset"
    running = task(ECS / f"{name}.json", MTLS_AGENT_DEADLINE="2s")
    agent = running.start_one("mtls-agent")
    assert agent.event("error")["code"] == "aws_unreachable"
    assert not running.is_healthy("mtls-agent")
    surroundings.restore()
    running.start()
    running["app"].says(who())


def test_the_tmpfs_is_one(task, surroundings):
    """In memory alone, and not there any more when the last container has left it."""
    running = task(ECS / "tmpfs-ec2.json").start()
    running["app"].says(who())
    directory = running.volumes.path({"name": "mtls"})
    assert mounted(directory, surroundings.network) == "tmpfs"
    running.stop()
    assert mounted(directory, surroundings.network) is None and not list(directory.iterdir())


@BOTH
def test_init_and_sidecar(task, secret, name):
    running = task(ECS / f"{name}.json").start()
    running["app"].says(who())
    running["mtls-agent"].event("ready")
    assert [each["event"] for each in running["mtls-agent"].events if each["event"] == "installed"] == []
    wait_for(lambda: running.is_healthy("mtls-agent"), PATIENCE_S)
    secret.rotate("ECS-Client-2")
    running["app"].says(who(), who("ECS-Client-2"))
    closed_to_strangers(running["app"])


def test_a_signal_tells_the_application(task, secret):
    running = task(ECS / "signal.json", "reload.py").start()
    running["app"].says(who())
    secret.rotate("ECS-Client-2")
    running["app"].says(who(), who("ECS-Client-2"))
    assert running["mtls-agent"].event("hook_signal")["signal"] == "HUP"


@pytest.mark.parametrize(
    "change, reason",
    [
        # The first process that it numbers is itself.
        (lambda definition: definition.pop("pidMode"), "the process to signal is in another PID namespace"),
        (
            lambda definition: definition["containerDefinitions"][1].update(user="0:0"),
            "Operation not permitted",
        ),
    ],
    ids=["no pidMode", "another uid"],
)
def test_a_signal_needs_a_namespace_and_a_user(task, secret, change, reason):
    running = task(ECS / "signal.json", "reload.py", change).start()
    running["app"].says(who())
    secret.rotate("ECS-Client-2")
    assert reason in running["mtls-agent"].event("error", code="hook_failed")["reason"]
    running["mtls-agent"].event("installed")  # the set is new nevertheless


def test_a_daemon_for_the_host(task, secret, tmp_path):
    """The daemon installs on the host; another task's application only reads there."""
    daemon = task(ECS / "daemon-host.json").start()
    wait_for(lambda: daemon.is_healthy("mtls-agent"), PATIENCE_S)
    assert (tmp_path / "host/etc/ecs/mtls/client.key").exists()
    app = task(ECS / "app-host.json").start()["app"]
    app.says(who())
    secret.rotate("ECS-Client-2")
    app.says(who(), who("ECS-Client-2"))
    closed_to_strangers(app)
    read_only(app)


def test_a_daemon_takes_over_from_the_boot(task, secret, tmp_path, agent):
    """The daemon goes on with what `fetch` has installed as root at boot; owner and modes become its own."""
    agent.dir = tmp_path / "host/etc/ecs/mtls"
    agent.fetch(secret.arn).succeeded("installed")
    daemon = task(ECS / "daemon-host.json").start()
    daemon["mtls-agent"].event("healed")
    assert (agent.dir / "client.key").stat().st_gid == 10001
    task(ECS / "app-host.json").start()["app"].says(who())
