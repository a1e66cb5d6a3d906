# SPDX-License-Identifier: Apache-2.0
"""The unit files as systemd judges them."""

import json

import pytest

from agent import ROOT

SYSTEMD = ROOT / "platform" / "systemd"
UNITS = sorted(path.name for kind in ("service", "mount") for path in SYSTEMD.glob(f"*.{kind}"))
SERVICES = [name for name in UNITS if name.endswith(".service")]
# What platform/systemd/README.md explains, and nothing beyond: out of 10, in tenths.
MOST_EXPOSURE = 26


@pytest.fixture(scope="module")
def installed(make_host, place):
    host = make_host()
    host.install()
    yield host.machine
    host.stop()


def hardening(service):
    """The lines between the comment that begins them and the next section."""
    text = (SYSTEMD / service).read_text()
    return text[text.index("# Root, so that") : text.index("\n[Install]")]


def test_both_are_held_alike():
    assert hardening(SERVICES[0]) == hardening(SERVICES[1])


@pytest.mark.parametrize("layout", ["amazon", "debian"])
def test_verify(installed, place, layout):
    """No word from systemd about any of them, with Docker's and the ECS agent's beside them."""
    place(installed, "docker.service", f"ecs.{layout}.service")
    said = installed.run("systemd-analyze", "verify", "--man=no", *UNITS, "ecs.service", "docker.service")
    assert said == ""


@pytest.mark.parametrize("service", SERVICES)
def test_exposure(installed, service, capfd):
    table = installed.run("systemd-analyze", "security", "--offline=true", "--json=short", service)
    open_items = [item for item in json.loads(table) if item["set"] is False]
    last = installed.run("systemd-analyze", "security", "--offline=true", service).strip().splitlines()[-1]
    with capfd.disabled():
        print(f"\n  {last}")
        for item in open_items:
            print(f"    {float(item['exposure']):.1f} {item['name']}: {item['description']}")
    explained = (SYSTEMD / "README.md").read_text().replace("\\|", "|")
    assert [item["name"] for item in open_items if f"`{item['name']}`" not in explained] == []
    installed.run(
        "systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", service
    )


def test_what_is_enabled(installed):
    """Fail-closed by default; the drop-in makes the ECS agent want it only, and the way back is the same."""
    wants, requires = (f"/etc/systemd/system/ecs.service.{kind}" for kind in ("wants", "requires"))
    fetch = "mtls-agent-fetch.service"
    assert installed.path(f"{requires}/{fetch}").is_symlink()
    drop_in = installed.path(f"/etc/systemd/system/{fetch}.d/fail-open.conf")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(installed.path("/usr/local/share/mtls-agent/fail-open.conf").read_text())
    installed.systemctl("reenable", "--quiet", fetch)
    assert installed.path(f"{wants}/{fetch}").is_symlink()
    assert not installed.path(f"{requires}/{fetch}").is_symlink()
    drop_in.unlink()
    installed.systemctl("reenable", "--quiet", fetch)
    assert installed.path(f"{requires}/{fetch}").is_symlink()
    assert not installed.path(f"{wants}/{fetch}").is_symlink()
