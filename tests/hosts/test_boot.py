# SPDX-License-Identifier: Apache-2.0
"""What comes before what when a host boots, and what it comes to when there is no identity."""

import pytest

from agent import wait_for
from machine import drop_in, user_data

AGENT, FETCH, MOUNT = "mtls-agent.service", "mtls-agent-fetch.service", "etc-ecs-mtls.mount"
KEY = "/etc/ecs/mtls/client.key"
FAIL_OPEN = f"/etc/systemd/system/{FETCH}.d/fail-open.conf"
PATIENCE_S = 90


@pytest.fixture
def image(host, secret, place):
    """An AMI with everything in it, of Debian's or of Amazon's kind; cloud-init is off unless asked for."""

    def make(layout="debian", cloud_init=False):
        machine = host.machine
        host.config(secret)
        host.install()
        place(machine, "docker.service", f"ecs.{layout}.service")
        machine.systemctl("enable", "--quiet", "docker.service", "ecs.service")
        if not cloud_init:
            machine.write("/etc/cloud/cloud-init.disabled", "")
        return host

    return make


@pytest.mark.parametrize("layout", ["amazon", "debian"])
def test_order(image, layout, secret):
    """With cloud-init, which writes the configuration: nobody is left out, one comes after the other."""
    host = image(layout, cloud_init=True)
    machine = host.machine
    config = machine.path("/etc/mtls-agent/agent.conf")
    indented = "".join(f"      {line}\n" for line in config.read_text().splitlines())
    config.unlink()
    file = f"  - path: /etc/mtls-agent/agent.conf\n    content: |\n{indented}"
    user_data(machine, layout, f"#cloud-config\nwrite_files:\n{file}")
    machine.boot()
    assert machine.systemctl("--failed", "--no-legend") == ""
    times = [
        int(machine.property(MOUNT, "ActiveEnterTimestampMonotonic")),
        machine.started_at(FETCH),
        int(machine.property(FETCH, "ExecMainExitTimestampMonotonic")),
        machine.started_at("docker.service"),
        machine.started_at("ecs.service"),
    ]
    assert 0 not in times and times == sorted(times)
    assert machine.started_at(AGENT) > times[2]
    assert machine.run("cat", "/run/ecs-saw").endswith(f" {KEY}\n")
    assert machine.run("cloud-init", "status", check=False).stdout.strip() == "status: done"


def short(machine):
    """An operator's patience with AWS."""
    drop_in(machine, FETCH, "[Service]", "Environment=MTLS_AGENT_DEADLINE=3s")


def test_no_identity_no_ecs(image):
    """And when AWS is back, all comes by itself."""
    host = image()
    machine = host.machine
    host.aws_is_down()
    short(machine)
    machine.boot(wait=False)
    wait_for(lambda: machine.has_failed(FETCH), PATIENCE_S)
    wait_for(lambda: machine.property("multi-user.target", "ActiveState") == "active", PATIENCE_S)
    assert machine.state("ecs.service") == "inactive" and machine.started_at("ecs.service") == 0
    assert "Dependency failed for ecs.service" in machine.journal("--boot")
    assert machine.state("docker.service") == "active" and machine.state(AGENT) == "activating"
    assert "aws_unreachable" in machine.run("cat", "/var/log/ecs-init.log")
    host.aws_is_down(False)
    wait_for(lambda: machine.state("ecs.service") == "active", PATIENCE_S)
    wait_for(lambda: machine.state(AGENT) == "active", PATIENCE_S)
    assert machine.state(FETCH) == "active"
    machine.shut_down()


# Counts its tries, and is a fetch from the third one on; before, it ends with a status.
FLAKY = """\
#!/bin/sh
echo try >>/var/log/mtls-agent/tries
[ "$(wc -l </var/log/mtls-agent/tries)" -gt 2 ] || exit {status}
exec /usr/local/bin/mtls-agent fetch
"""


def flaky(machine, status):
    machine.write("/usr/local/bin/flaky", FLAKY.format(status=status), 0o755)
    more = ("ExecStart=", "ExecStart=/usr/local/bin/flaky", "RestartSec=1s")
    drop_in(machine, FETCH, "[Service]", *more, name="flaky")


def tries(machine):
    return machine.run("cat", "/var/log/mtls-agent/tries").count("try")


def needs_identity(machine, place, unit="app.service"):
    """A service as the guides order it."""
    place(machine, unit)
    drop_in(machine, unit, "[Unit]", f"Requires={FETCH}", f"After={FETCH}", "[Install]", "WantedBy=multi-user.target")
    machine.systemctl("enable", "--quiet", unit)


@pytest.mark.parametrize("status", [69, 77])
def test_fails_twice(image, place, status):
    """All that require the fetch are there in the end, and the boot did not wait for them."""
    machine = image().machine
    flaky(machine, status)
    needs_identity(machine, place)
    machine.boot()
    for unit in ("ecs.service", "app.service"):
        wait_for(lambda unit=unit: machine.state(unit) == "active", PATIENCE_S)
    assert machine.state(FETCH) == "active" and tries(machine) == 3
    assert "Dependency failed for ecs.service" in machine.journal("--boot")
    assert machine.run("cat", "/run/ecs-saw").endswith(f" {KEY}\n")


@pytest.mark.parametrize("status", [64, 65, 78])
def test_what_is_wrong_is_not_tried_again(image, status):
    machine = image().machine
    flaky(machine, status)
    machine.boot()
    assert machine.state(FETCH) == "failed" and machine.property(FETCH, "ExecMainStatus") == str(status)
    assert machine.property(FETCH, "NRestarts") == "0" and tries(machine) == 1
    assert machine.started_at("ecs.service") == 0


def test_who_is_disabled_is_not_started(image):
    machine = image().machine
    machine.systemctl("disable", "--quiet", "ecs.service")
    flaky(machine, 69)
    machine.boot()
    wait_for(lambda: machine.state(FETCH) == "active", PATIENCE_S)
    assert machine.started_at("ecs.service") == 0


HOOK = "on-change-timeout = 5s\non-change-exec = /usr/bin/systemctl"


@pytest.mark.parametrize(
    ("hook", "status"),
    [
        ("--no-block reload", 0),
        ("--no-block try-reload-or-restart", 0),
        ("try-reload-or-restart", 0),
        ("reload", 74),
    ],
)
def test_a_hook_for_who_waits_for_the_fetch(image, place, secret, hook, status):
    """One that waits for a service that waits for the fetch fails, and keeps nobody down."""
    host = image()
    machine = host.machine
    host.config(secret, f"{HOOK} {hook} app.service")
    needs_identity(machine, place)
    machine.boot()
    for unit in (FETCH, "ecs.service", "app.service"):
        assert machine.state(unit) == "active"
    assert machine.property(FETCH, "ExecMainStatus") == str(status)
    assert machine.property(FETCH, "NRestarts") == "0"
    assert ("hook_failed" in machine.run("cat", "/var/log/ecs-init.log")) is (status == 74)


def test_fail_open(image):
    host = image()
    machine = host.machine
    host.aws_is_down()
    machine.write(FAIL_OPEN, machine.run("cat", "/usr/local/share/mtls-agent/fail-open.conf"))
    short(machine)
    machine.systemctl("reenable", "--quiet", FETCH)
    machine.boot(wait=False)
    wait_for(lambda: machine.state("ecs.service") == "active", PATIENCE_S)
    assert machine.has_failed(FETCH)
    assert not machine.path(KEY).exists()


@pytest.mark.parametrize("disk", [False, True], ids=["memory", "disk"])
def test_a_reboot_without_aws(image, disk):
    """On a disk the identity serves on; in memory it is gone, and so is the ECS agent."""
    host = image()
    machine = host.machine
    if disk:
        machine.systemctl("mask", MOUNT)
    short(machine)
    machine.boot()
    assert machine.state("ecs.service") == "active"
    machine.shut_down()
    assert machine.disk(KEY).is_symlink() is disk
    assert list(machine.disk("/etc/ecs/mtls").rglob("*.key")) == [] or disk
    host.aws_is_down()
    machine.boot(wait=False)
    wait_for(lambda: machine.state(FETCH) == "active" or machine.has_failed(FETCH), PATIENCE_S)
    assert machine.has_failed(FETCH) is not disk
    assert ("kept_stale" in machine.run("cat", "/var/log/ecs-init.log")) is disk
    if disk:
        wait_for(lambda: machine.state("ecs.service") == "active", PATIENCE_S)
        wait_for(lambda: machine.state(AGENT) == "active", PATIENCE_S)
    else:
        wait_for(lambda: machine.property("multi-user.target", "ActiveState") == "active", PATIENCE_S)
        assert machine.started_at("ecs.service") == 0
