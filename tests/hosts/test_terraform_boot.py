# SPDX-License-Identifier: Apache-2.0
"""A host that boots with the user data of the Terraform module, and what EventBridge has Run Command do there."""

import os
import re
import subprocess

import pytest

from agent import wait_for
from machine import AMAZON_COMMANDS, leave_commands, user_data
from release import BUCKET, KEY
from servers.aws import REGION
from servers.pki import document
from test_cloud_init import AGENT, FETCH, PATIENCE_S
from tofu import TERRAFORM, Host, Tofu

LOOK = TERRAFORM / "confidential-container/modules/push/look.sh"
PLACE = "/srv/mtls-of/an_app"


@pytest.fixture
def render(tmp_path):
    return Host(Tofu(tmp_path / "tofu"), tmp_path)


def test_another_path(host, place, release, secret, render, up):
    """It is in memory there too, before ECS starts; metrics are told without another word; so at the second boot."""
    machine = host.machine
    leave_commands(machine, AMAZON_COMMANDS)
    place(machine, "docker.service", "ecs.amazon.service")
    machine.systemctl("enable", "--quiet", "docker.service", "ecs.service")
    _, *servers = release.by_s3(host)
    for server in servers:
        up(server)
    host.config(secret)
    lines = dict(
        line.split(" = ") for line in machine.path("/etc/mtls-agent/agent.conf").read_text().splitlines() if line
    )
    machine.path("/etc/mtls-agent/agent.conf").unlink()
    source = {"bucket": BUCKET, "key": KEY, "sha256": release.sha256, "region": REGION}
    told = render(
        agent_source={"s3": source, "image": None},
        secrets=[secret],
        endpoints=[lines.pop("endpoint")],
        mtls_certificate_path=PLACE,
        agent_options={name: value for name, value in lines.items() if name != "secret"},
    )
    user_data(machine, "amazon", told["user_data"])
    machine.boot(wait=False)
    unit = machine.run("systemd-escape", "--path", "--suffix=mount", PLACE).strip()
    for _ in range(2):
        wait_for(lambda: machine.state("ecs.service") == machine.state(AGENT) == "active", PATIENCE_S)
        assert machine.run("findmnt", "--noheadings", "--output=FSTYPE", "--mountpoint", PLACE).strip() == "tmpfs"
        assert machine.path(f"{PLACE}/client.key").exists() and not machine.disk(f"{PLACE}/client.key").exists()
        assert 0 < machine.started_at(FETCH) < machine.started_at("ecs.service")
        metrics = machine.path("/run/mtls-agent/mtls-agent.prom")
        wait_for(lambda: "mtls_agent_last_success_timestamp_seconds{" in metrics.read_text(), PATIENCE_S)
        assert machine.run("systemd-analyze", "verify", "--man=no", unit, FETCH, AGENT, "ecs.service") == ""
        machine.shut_down()
        machine.boot(wait=False)


@pytest.mark.parametrize("active, containers", [(True, []), (False, ["one", "two"]), (True, ["one"]), (False, [])])
def test_who_is_told(tmp_path, active, containers):
    """The agent of the host, the agents of daemon services, and nobody else."""
    stubs = {
        "systemctl": f'[ "$1" != is-active ] || exit {0 if active else 3}',
        "docker": f'[ "$1" != ps ] || printf "%s\\n" {" ".join(containers)}',
    }
    for name, what in stubs.items():
        stub = tmp_path / name
        stub.write_text(f'#!/bin/sh\n[ "$2" = --quiet ] || echo "${{0##*/}} $*" >>{tmp_path}/calls\n{what}\n')
        stub.chmod(0o755)
    (tmp_path / "calls").touch()
    done = subprocess.run(
        ["sh", LOOK], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0 and done.stdout == "", done.stdout
    assert (tmp_path / "calls").read_text().splitlines() == [
        *(["systemctl kill -s SIGUSR2 --kill-who=main mtls-agent.service"] if active else []),
        *(f"docker kill --signal=USR2 {each}" for each in containers),
    ]

def test_a_new_version_is_pushed(host, aws_server, authority):
    """The agent, whose next look is an hour away, has it within minutes of the command, and goes on as it was."""
    machine = host.machine
    arn = aws_server.put("mtls/pushed", document(authority.issue("ECS-Client"), authority.pem))
    host.install()
    host.config(arn)
    config = machine.path("/etc/mtls-agent/agent.conf")
    config.write_text(re.sub("interval = 2s", "interval = 1h", config.read_text()))
    machine.boot()
    wait_for(lambda: machine.state(AGENT) == "active", PATIENCE_S)
    data, process = machine.path("/etc/ecs/mtls/..data"), machine.property(AGENT, "MainPID")
    before = os.readlink(data)
    aws_server.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    machine.run("sh", "-s", input=LOOK.read_text())
    wait_for(lambda: os.readlink(data) != before, 2 * PATIENCE_S)
    assert machine.property(AGENT, "MainPID") == process
