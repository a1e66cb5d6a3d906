# SPDX-License-Identifier: Apache-2.0
"""The unit files as systemd judges them."""

import json
import subprocess

import pytest

from agent import ROOT
from machine import cloud_init, drop_in

SYSTEMD = ROOT / "platform" / "systemd"
UNITS = sorted(path.name for kind in ("service", "mount") for path in SYSTEMD.glob(f"*.{kind}"))
LAYOUTS = ["amazon", "debian"]
SERVICES = [name for name in UNITS if name.endswith(".service")]
# What platform/systemd/README.md explains, and nothing beyond: out of 10, in tenths.
MOST_EXPOSURE = 26


CLOUD_INIT = "/etc/systemd/system/multi-user.target.wants/cloud-init.target"


@pytest.fixture
def installed(host, place):
    """A host of that kind with everything enabled, cloud-init as by its generator."""

    def make(layout="debian"):
        machine = host.machine
        host.install()
        place(machine, "docker.service", f"ecs.{layout}.service")
        cloud_init(machine, layout)
        machine.systemctl("enable", "--quiet", "docker.service", "ecs.service")
        machine.path(CLOUD_INIT).symlink_to("/lib/systemd/system/cloud-init.target")
        return machine

    return make


def boot(machine):
    """What systemd says when it plans one."""
    return machine.run("systemd-analyze", "verify", "--man=no", "multi-user.target", check=False).stdout


def hardening(service):
    """The lines between the comment that begins them and the next section."""
    text = (SYSTEMD / service).read_text()
    return text[text.index("# Root, so that") : text.index("\n[Install]")]


def test_both_are_held_alike():
    assert hardening(SERVICES[0]) == hardening(SERVICES[1])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_verify(installed, layout):
    """No word from systemd about any of them, nor of a cycle where all are booted together."""
    machine = installed(layout)
    assert machine.run("systemd-analyze", "verify", "--man=no", *UNITS) == ""
    assert "cycle" not in boot(machine)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_cycle_would_be_seen(installed, layout):
    """Who waits for the end of cloud-init, and is waited for by what cloud-init waits for."""
    machine = installed(layout)
    waits_for = "cloud-final.service" if layout == "debian" else "ecs.service"
    drop_in(machine, "mtls-agent-fetch.service", "[Unit]", f"After={waits_for}")
    assert "ordering cycle" in boot(machine)


@pytest.mark.parametrize("service", SERVICES)
def test_exposure(installed, service, capfd):
    machine = installed()
    table = machine.run("systemd-analyze", "security", "--offline=true", "--json=short", service)
    open_items = [item for item in json.loads(table) if item["set"] is False]
    last = machine.run("systemd-analyze", "security", "--offline=true", service).strip().splitlines()[-1]
    with capfd.disabled():
        print(f"\n  {last}")
        for item in open_items:
            print(f"    {float(item['exposure']):.1f} {item['name']}: {item['description']}")
    explained = (SYSTEMD / "README.md").read_text().replace("\\|", "|")
    assert [item["name"] for item in open_items if f"`{item['name']}`" not in explained] == []
    machine.run(
        "systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", service
    )


def test_another_prefix(tmp_path):
    """As a package would have it: nothing leads to /usr/local."""
    make = ["make", "-s", "-C", ROOT, "install", f"DESTDIR={tmp_path}", "PREFIX=/usr"]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "usr/bin/mtls-agent").stat().st_mode & 0o777 == 0o755
    for service in SERVICES:
        assert "ExecStart=/usr/bin/mtls-agent " in (tmp_path / "usr/lib/systemd/system" / service).read_text()
    assert not (tmp_path / "usr/local").exists()


def test_what_is_enabled(installed):
    """Fail-closed by default; the drop-in makes the ECS agent want it only, and the way back is the same."""
    machine = installed()
    wants, requires = (f"/etc/systemd/system/ecs.service.{kind}" for kind in ("wants", "requires"))
    fetch = "mtls-agent-fetch.service"
    assert machine.path(f"{requires}/{fetch}").is_symlink()
    drop_in = machine.path(f"/etc/systemd/system/{fetch}.d/fail-open.conf")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(machine.path("/usr/local/share/mtls-agent/fail-open.conf").read_text())
    machine.systemctl("reenable", "--quiet", fetch)
    assert machine.path(f"{wants}/{fetch}").is_symlink()
    assert not machine.path(f"{requires}/{fetch}").is_symlink()
    drop_in.unlink()
    machine.systemctl("reenable", "--quiet", fetch)
    assert machine.path(f"{requires}/{fetch}").is_symlink()
    assert not machine.path(f"{wants}/{fetch}").is_symlink()
