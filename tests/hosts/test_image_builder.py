# SPDX-License-Identifier: Apache-2.0
"""The component of platform/ami/image-builder: its form, and its steps on a build instance."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from agent import ROOT
from machine import AMAZON_COMMANDS, leave_commands
from scripts import shellcheck

AMI = ROOT / "platform" / "ami"
COMPONENT = yaml.safe_load((AMI / "image-builder/component.yaml").read_text())
SCHEMA = json.loads((Path(__file__).parent / "component.schema.json").read_text())
PHASES = {phase["name"]: phase["steps"] for phase in COMPONENT["phases"]}
STEPS = [
    pytest.param(step, id=f"{phase}-{step['name']}") for phase, steps in PHASES.items() for step in steps
]
LAST = PHASES["validate"][-1]
SETS = "/etc/ecs/mtls"


def script(step, **parameters):
    """As Image Builder runs it: references replaced, all commands in one script."""
    text = "\n".join(step["inputs"]["commands"])
    for name, value in parameters.items():
        text = text.replace("{{ " + name + " }}", value)
    assert "{{" not in text
    return text


def test_schema():
    jsonschema.validate(COMPONENT, SCHEMA)
    assert list(PHASES) == ["build", "validate", "test"]
    assert all(len({step["name"] for step in steps}) == len(steps) for steps in PHASES.values())


@pytest.mark.parametrize("step", STEPS)
def test_scripts(step):
    shellcheck(script(step, Url="s3://bucket/archive", Sha256="0" * 64, Region=""), "bash")


def test_one_installer():
    assert (AMI / "install.sh").read_text() in script(PHASES["build"][0], Url="", Sha256="", Region="")


class Instance:
    """Where an image is built: a step's exit status and words."""

    def __init__(self, host, url, sha256):
        self.machine, self.url = host.machine, url
        self._parameters = {"Url": url, "Sha256": sha256, "Region": ""}

    def run(self, step):
        return self.machine.run("bash", "-s", check=False, input=script(step, **self._parameters))

    def phase(self, name):
        for step in PHASES[name]:
            done = self.run(step)
            assert done.returncode == 0, f"{step['name']}: {done.stdout}"


@pytest.fixture(scope="module")
def built(make_host, release):
    """An instance after the phase build. Its own disk is what will be in the image."""
    host = make_host()
    leave_commands(host.machine, AMAZON_COMMANDS)
    host.machine.write("/etc/cloud/cloud-init.disabled", "")
    host.machine.boot()
    url, *servers = release.by_s3(host)
    instance = Instance(host, url, release.sha256)
    instance.phase("build")
    yield instance
    for server in servers:
        server.stop()
    host.stop()


def test_validate(built):
    built.phase("validate")


@pytest.mark.parametrize(
    "name",
    [
        f"{SETS}/client.key",
        f"{SETS}/..data",
        "/var/lib/mtls-agent/..set-0123456789abcdef/client.key",
        "/run/mtls-agent/status.json",
        "/srv/mtls/..status.json",
        "/var/log/mtls-agent/ecs-init.log",
    ],
)
def test_what_must_not_be_in_an_image(built, name):
    """Also where something else is mounted over it: what counts is the disk."""
    machine = built.machine
    planted = machine.disk(name)
    made = [each for each in [planted, *planted.parents] if not each.exists()]
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text("planted")
    done = built.run(LAST)
    for each in made:
        each.unlink() if each == planted else each.rmdir()
    told = [line for line in done.stdout.splitlines() if line.startswith("/")]
    assert done.returncode == 1 and len(told) == 1 and name.startswith(told[0])
    assert built.run(LAST).returncode == 0


def test_another_archive(built):
    """What is there already stays as it is."""
    before = built.machine.run("sha256sum", "/usr/local/bin/mtls-agent")
    text = script(PHASES["build"][0], Url=built.url, Sha256="0" * 64, Region="")
    done = built.machine.run("bash", "-s", check=False, input=text)
    assert done.returncode != 0 and "did NOT match" in done.stdout
    assert built.machine.run("sha256sum", "/usr/local/bin/mtls-agent") == before


def test_test(built):
    """On an instance that was started from the image."""
    built.machine.shut_down()
    built.machine.boot()
    built.phase("test")
