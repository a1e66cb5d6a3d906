# SPDX-License-Identifier: Apache-2.0
"""A host on which packages are installed, put to use, upgraded and removed: by dpkg, and by rpm, each in Debian."""

import shutil

import pytest

from agent import ROOT, wait_for
from conftest import EARLIER, PACKAGES, RPM, VERSION

AGENT, FETCH, MOUNT = "mtls-agent.service", "mtls-agent-fetch.service", "etc-ecs-mtls.mount"
UNITS = [AGENT, FETCH, MOUNT]
KEY = "/etc/ecs/mtls/client.key"
CONFIG = "/etc/mtls-agent/agent.conf"
LOGROTATE = "/etc/logrotate.d/mtls-agent"
LINK = "/var/log/ecs-init.log"
PATIENCE_S = 90


class Dpkg:
    name = "mtls-agent_{}-1_amd64.deb"
    install = upgrade = ("dpkg", "--install")
    remove = ("dpkg", "--remove")
    listed = ("dpkg", "--status", "mtls-agent")


class Rpm:
    name = "mtls-agent-{}-1.x86_64.rpm"
    install = (*RPM, "--install")
    upgrade = (*RPM, "--upgrade")
    remove = (*RPM, "--erase")
    listed = ("rpm", "--query", "mtls-agent")


@pytest.fixture(params=[Dpkg, Rpm], ids=["dpkg", "rpm"])
def kind(request):
    return request.param


@pytest.fixture
def at_work(host, machine, place, secret, earlier, kind):
    """An earlier version, at work on a host whose ECS agent requires the fetch."""
    place(machine, "ecs.debian.service")
    machine.write("/etc/cloud/cloud-init.disabled", "")
    machine.boot()
    install(machine, kind, earlier, EARLIER)
    host.config(secret)
    machine.systemctl("enable", "--quiet", "ecs.service", FETCH, AGENT)
    machine.systemctl("start", FETCH, AGENT)
    wait_for(lambda: machine.state("ecs.service") == "active", PATIENCE_S)
    return machine


def install(machine, kind, folder, version, way="install"):
    package = kind.name.format(version)
    shutil.copy(folder / package, machine.path("/root"))
    return machine.run(*getattr(kind, way), f"/root/{package}")


def upgrade(machine, kind):
    return install(machine, kind, PACKAGES, VERSION, "upgrade")


def begun(machine, unit):
    """Another one each time that a unit starts."""
    return machine.property(unit, "InvocationID")


# As a shell does at the first <Tab>; the function has another name in each Debian.
COMPLETION = """\
. /usr/share/bash-completion/bash_completion
_comp_load mtls-agent || __load_completion mtls-agent
complete -p mtls-agent
"""


def units_left(machine):
    """What is enabled, or was."""
    return sorted(str(path) for path in machine.path("/etc/systemd/system").rglob("*mtls-agent*"))


def test_installed(machine, kind):
    """Whole, with nothing that runs or will at the next boot, and no word from systemd about its units and their pages."""
    machine.boot()
    install(machine, kind, PACKAGES, VERSION)
    assert machine.run("mtls-agent", "version").startswith(f"mtls-agent {VERSION}")
    assert machine.run("getent", "group", "mtls").startswith("mtls:")
    assert str(machine.path(LINK).readlink()) == "mtls-agent/ecs-init.log"
    for page in ("mtls-agent", "mtls-agent.conf"):
        assert page in machine.run("man", page)
    machine.run("bash", "-c", COMPLETION)
    for unit in UNITS:
        assert machine.state(unit) == "inactive"
    for unit in (AGENT, FETCH):
        assert machine.run("systemctl", "is-enabled", unit, check=False).stdout.strip() == "disabled"
    assert units_left(machine) == []
    assert machine.run("systemd-analyze", "verify", "--man=yes", *UNITS) == ""
    machine.run("logrotate", "--debug", LOGROTATE)


def test_without_systemd(machine, kind):
    """In a container: nothing of it is needed, and the program works."""
    for name in ("systemctl", "systemd-sysusers", "systemd-tmpfiles"):
        machine.path(f"/usr/bin/{name}").unlink()
    install(machine, kind, PACKAGES, VERSION)
    assert machine.run("mtls-agent", "version").startswith(f"mtls-agent {VERSION}")
    assert machine.run("getent", "group", "mtls").startswith("mtls:")
    machine.run(*kind.remove, "mtls-agent")
    assert not machine.path("/usr/bin/mtls-agent").exists()


def test_an_upgrade(at_work, kind):
    """Restarts what runs, and neither the fetch nor the ECS agent that requires it; what the administrator changed stays."""
    machine = at_work
    before = {unit: begun(machine, unit) for unit in (AGENT, FETCH, MOUNT, "ecs.service")}
    identity = machine.path(KEY).read_bytes()
    ours = machine.path(LOGROTATE).read_text() + "# ours\n"
    machine.write(LOGROTATE, ours)
    config = machine.path(CONFIG).read_text()
    upgrade(machine, kind)
    wait_for(lambda: begun(machine, AGENT) != before[AGENT] and machine.state(AGENT) == "active", PATIENCE_S)
    for unit in (FETCH, MOUNT, "ecs.service"):
        assert begun(machine, unit) == before[unit] and machine.state(unit) == "active"
    assert machine.path(KEY).read_bytes() == identity
    assert machine.path(LOGROTATE).read_text() == ours and machine.path(CONFIG).read_text() == config
    assert VERSION in machine.run(*kind.listed) and EARLIER not in machine.run(*kind.listed)
    for unit in (AGENT, FETCH):
        assert machine.run("systemctl", "is-enabled", unit).strip() == "enabled"


def test_an_upgrade_of_what_does_not_run(machine, kind, earlier):
    machine.boot()
    install(machine, kind, earlier, EARLIER)
    upgrade(machine, kind)
    assert machine.state(AGENT) == machine.state(FETCH) == "inactive" and units_left(machine) == []


def test_an_upgrade_while_aws_is_away(host, machine, kind, earlier, secret):
    """The service has no identity yet, so is not ready; the upgrade does not wait until it is."""
    machine.boot()
    install(machine, kind, earlier, EARLIER)
    host.config(secret)
    host.aws_is_down()
    machine.systemctl("mask", "--quiet", FETCH)
    machine.systemctl("start", "--no-block", AGENT)
    wait_for(lambda: machine.property(AGENT, "MainPID") != "0", PATIENCE_S)
    before = begun(machine, AGENT)
    upgrade(machine, kind)
    wait_for(lambda: begun(machine, AGENT) not in ("", before), PATIENCE_S)
    assert machine.state(AGENT) == "activating"
    host.aws_is_down(False)
    wait_for(lambda: machine.state(AGENT) == "active", PATIENCE_S)


def test_removed(at_work, kind):
    """The program goes, the identity stays, and the ECS agent neither stops now nor stays away at its next start."""
    machine = at_work
    ecs, identity = begun(machine, "ecs.service"), machine.path(KEY).read_bytes()
    machine.run(*kind.remove, "mtls-agent")
    assert not machine.path("/usr/bin/mtls-agent").exists()
    assert machine.state(AGENT) == "inactive" and units_left(machine) == []
    assert begun(machine, "ecs.service") == ecs and machine.state("ecs.service") == "active"
    assert machine.path(KEY).read_bytes() == identity
    assert machine.path(CONFIG).exists()
    machine.systemctl("restart", "ecs.service")
    assert machine.state("ecs.service") == "active"


@pytest.mark.parametrize("kind", [Dpkg], ids=["dpkg"])
def test_purged(at_work, kind):
    """As well what package and units have made; not what the administrator or the agent has."""
    machine = at_work
    assert machine.path("/var/log/mtls-agent/ecs-init.log").exists()
    machine.run(*kind.remove, "mtls-agent")
    for name in (LOGROTATE, "/var/log/mtls-agent/ecs-init.log", CONFIG):
        assert machine.path(name).exists()
    told = machine.run("dpkg", "--purge", "mtls-agent")
    assert "still holds an identity" in told
    for name in (LOGROTATE, "/var/log/mtls-agent", "/usr/share/doc/mtls-agent", "/usr/share/mtls-agent"):
        assert not machine.path(name).exists(), name
    assert not machine.path(LINK).is_symlink()
    assert machine.path(CONFIG).exists() and machine.path(KEY).exists()
    assert machine.run("dpkg", "--status", "mtls-agent", check=False).returncode != 0


def test_installed_again_after_a_removal(machine, kind):
    machine.boot()
    install(machine, kind, PACKAGES, VERSION)
    machine.write(LOGROTATE, "# ours\n")
    machine.run(*kind.remove, "mtls-agent")
    install(machine, kind, PACKAGES, VERSION)
    if kind is Dpkg:
        assert machine.path(LOGROTATE).read_text() == "# ours\n"
    assert machine.state(AGENT) == "inactive"
    assert machine.run("systemd-analyze", "verify", "--man=yes", *UNITS) == ""
