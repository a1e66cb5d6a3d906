# SPDX-License-Identifier: Apache-2.0
"""The user data of platform/ami/cloud-init, as cloud-init reads it, and on hosts that boot with it."""

import pytest
import yaml

from agent import ROOT, wait_for
from machine import AMAZON_COMMANDS, drop_in, leave_commands, user_data
from scripts import shellcheck

AMI = ROOT / "platform" / "ami"
FILES = {"amazon": AMI / "cloud-init/amazon-linux-2023.yaml", "debian": AMI / "cloud-init/ubuntu.yaml"}
SCRIPT = AMI / "install.sh"
INSTALLER = "/run/mtls-agent-install"
AGENT, FETCH = "mtls-agent.service", "mtls-agent-fetch.service"
EC2_LIMIT = 16 * 1024
PATIENCE_S = 90


def written(data, path):
    (content,) = [each["content"] for each in data["write_files"] if each["path"] == path]
    return content


@pytest.mark.parametrize("layout", FILES)
def test_schema(host, layout):
    """By cloud-init's own."""
    host.machine.write("/root/user-data", FILES[layout].read_text())
    said = host.machine.run("cloud-init", "schema", "--config-file", "/root/user-data")
    assert said.startswith("Valid ") and FILES[layout].stat().st_size < EC2_LIMIT


@pytest.mark.parametrize("layout", FILES)
def test_scripts(layout):
    """One installer, in both and by itself."""
    data = yaml.safe_load(FILES[layout].read_text())
    assert written(data, INSTALLER) == SCRIPT.read_text()
    shellcheck(SCRIPT.read_text())
    assert [line[0] for line in data["runcmd"]] == ["sh", "systemctl", "systemctl"]


class FirstBoot:
    """A host of that kind whose image knows nothing of mtls-agent, and the user data that is pasted."""

    def __init__(self, host, layout, place):
        self.host, self.machine, self.layout = host, host.machine, layout
        if layout == "amazon":
            leave_commands(self.machine, AMAZON_COMMANDS)
        place(self.machine, "docker.service", f"ecs.{layout}.service")
        enabled = ["docker.service", "ecs.service"] if layout == "amazon" else ["docker.service"]
        self.machine.systemctl("enable", "--quiet", *enabled)

    def boot(self, secret, url, sha256):
        """With secret, endpoint, URL and SHA-256 changed as the file says."""
        data = yaml.safe_load(FILES[self.layout].read_text())
        self.host.config(secret)
        config = self.machine.path("/etc/mtls-agent/agent.conf")
        for each in data["write_files"]:
            if each["path"] == "/etc/mtls-agent/agent.conf":
                each["content"] = config.read_text()
        config.unlink()
        assert data["runcmd"][0][:2] == ["sh", INSTALLER]
        data["runcmd"][0][2:] = [url, sha256]
        user_data(self.machine, self.layout, "#cloud-config\n" + yaml.safe_dump(data))
        self.machine.boot(wait=False)

    def wait_for_cloud_init(self):
        def done():
            return self.machine.state("cloud-final.service") in ("active", "failed")

        wait_for(done, PATIENCE_S)

    def log(self):
        return self.machine.run("cat", "/var/log/cloud-init-output.log")


@pytest.fixture
def first_boot(host, place):
    return lambda layout: FirstBoot(host, layout, place)


def test_amazon_linux(first_boot, release, secret, up):
    """From S3, and the ECS agent of the image starts behind the first fetch."""
    boot = first_boot("amazon")
    url, *servers = release.by_s3(boot.host)
    for server in servers:
        up(server)
    boot.boot(secret, url, release.sha256)
    boot.wait_for_cloud_init()
    machine = boot.machine
    assert machine.state("cloud-final.service") == "active", boot.log()
    assert machine.run("sh", "-c", "command -v aws perl openssl", check=False).stdout == ""
    assert "ECS_CLUSTER=" in machine.run("cat", "/etc/ecs/ecs.config")
    wait_for(lambda: machine.state("ecs.service") == machine.state(AGENT) == "active", PATIENCE_S)
    fetched = int(machine.property(FETCH, "ExecMainExitTimestampMonotonic"))
    assert 0 < fetched < machine.started_at("ecs.service")
    assert machine.run("cat", "/run/ecs-saw").endswith(" /etc/ecs/mtls/client.key\n")
    metrics = machine.path("/run/mtls-agent/mtls-agent.prom")
    wait_for(lambda: metrics.exists() and "mtls_agent_last_success_timestamp_seconds{" in metrics.read_text(), PATIENCE_S)
    mode = machine.run("stat", "--format=%a %U", "/usr", "/etc", "/usr/local/bin/mtls-agent").split("\n")
    assert mode[:3] == ["755 root", "755 root", "755 root"]


def test_ubuntu(first_boot, release, secret, up):
    """From a URL; what is installed behind it finds an identity, and so does the next boot."""
    boot = first_boot("debian")
    url, server = release.by_https(boot.host)
    up(server)
    boot.boot(secret, url, release.sha256)
    boot.wait_for_cloud_init()
    machine = boot.machine
    assert machine.state("cloud-final.service") == "active", boot.log()
    machine.systemctl("enable", "--quiet", "ecs.service")
    machine.systemctl("start", "ecs.service")
    wait_for(lambda: machine.state(AGENT) == "active", PATIENCE_S)
    machine.shut_down()
    machine.boot()
    times = [machine.started_at(unit) for unit in (FETCH, "docker.service", "ecs.service")]
    assert 0 not in times and times == sorted(times)
    assert machine.state(AGENT) == "active"


def test_another_archive(first_boot, release, secret, up):
    """Of another SHA-256: nothing of it is installed, and the ECS agent does not start, now or later."""
    boot = first_boot("amazon")
    url, server = release.by_https(boot.host)
    up(server)
    boot.boot(secret, url, "0" * 64)
    boot.wait_for_cloud_init()
    machine = boot.machine
    assert "computed checksum did NOT match" in boot.log()
    assert not machine.path("/usr/local/bin/mtls-agent").exists()
    assert machine.state("ecs.service") == "inactive" and machine.started_at("ecs.service") == 0
    assert machine.systemctl("is-enabled", "ecs.service", check=False).stdout.strip() == "disabled"


def test_no_identity_at_the_first_boot(first_boot, release, secret, up):
    """The ECS agent was on its way already: it is stopped there, and gets its turn at the next boot."""
    boot = first_boot("amazon")
    machine = boot.machine
    drop_in(machine, FETCH, "[Service]", "Environment=MTLS_AGENT_DEADLINE=3s")
    boot.host.aws_is_down()
    url, *servers = release.by_s3(boot.host)
    for server in servers:
        up(server)
    boot.boot(secret, url, release.sha256)
    boot.wait_for_cloud_init()
    assert machine.has_failed(FETCH)
    assert machine.state("ecs.service") == "inactive" and machine.started_at("ecs.service") == 0
    assert machine.systemctl("is-enabled", "ecs.service").strip() == "enabled"
    boot.host.aws_is_down(False)
    machine.stop()
    machine.boot()
    assert machine.state(FETCH) == machine.state("ecs.service") == "active"
