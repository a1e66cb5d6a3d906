# SPDX-License-Identifier: Apache-2.0
"""Bottlerocket: what stands in platform/bottlerocket, run as the host would from its first boot on."""

import base64
import re
import tomllib

import pytest

from agent import ROOT, wait_for
from bottlerocket import Host, read_settings
from conftest import SECRET
from images import agent_image
from oci import Runtime

PLATFORM = ROOT / "platform" / "bottlerocket"
SETTINGS = {
    "bootstrap-container": ("bootstrap-containers", "run.conf"),
    "bootstrap-container-kept": ("bootstrap-containers", "var-lib.conf"),
    "host-container": ("host-containers", "host.conf"),
}
RUN, KEPT = "/run/mtls-agent", "/var/lib/mtls-agent"
BOTH = pytest.mark.parametrize(
    "name, directory", [("bootstrap-container", RUN), ("bootstrap-container-kept", KEPT)], ids=["run", "kept"]
)
PATIENCE_S = 60


@pytest.fixture
def image(tmp_path):
    """Nothing but the program: no CA bundle, no shell."""
    return agent_image("host", tmp_path / "image")


@pytest.fixture
def host(tmp_path, surroundings):
    return Host(Runtime(tmp_path / "containers", surroundings.network), tmp_path, surroundings.mounts)


@pytest.fixture
def settings(secret, aws_server):
    """settings(name): the file's, with the emulator's secret and CA, and other lines, in its user-data."""

    def change(name, **lines):
        _, _, read = read_settings(PLATFORM / f"{name}.toml")
        text = base64.b64decode(read["user-data"]).decode().replace(SECRET, secret.arn)
        for option, value in lines.items():
            text, count = re.subn(
                f"(?m)^{option.replace('_', '-')} = .*$", f"{option.replace('_', '-')} = {value}", text
            )
            assert count == 1
        text += f"ca-bundle = {aws_server.ca_bundle.read_text()}"
        return {**read, "user-data": base64.b64encode(text.encode()).decode()}

    return change


def whole(owner="0:10001"):
    return f"client.crt 644 {owner}\nclient.key 640 {owner}\nca.crt 644 {owner}\n"


def names(listing):
    return re.sub(r"(?m)^.*/", "", listing)


@pytest.mark.parametrize("name", SETTINGS)
def test_user_data_is_the_plain_file(name):
    kind, conf = SETTINGS[name]
    found, _, settings = read_settings(PLATFORM / f"{name}.toml")
    assert found == kind
    assert base64.b64decode(settings["user-data"]) == (PLATFORM / "user-data" / conf).read_bytes()


def test_the_guide_shows_the_same_file():
    """What it begins with is run.conf without its comments, and the settings but for the base64."""
    first, second = re.findall(r"(?:\n {4}.+)+", (PLATFORM / "README.md").read_text())[:2]
    conf = (PLATFORM / "user-data/run.conf").read_text().splitlines()
    assert [line.strip() for line in second.split("\n")[1:]] == [line for line in conf if line[0] != "#"]
    shown = tomllib.loads(first)["settings"]["bootstrap-containers"]["mtls-agent"]
    _, _, settings = read_settings(PLATFORM / "bootstrap-container.toml")
    assert shown == {**settings, "user-data": "BASE64"}


@pytest.mark.parametrize(
    "page, indent",
    [("docs/start.md", "    "), ("docs/configuration.md", ""), ("platform/man/mtls-agent.conf.5", "")],
)
def test_the_same_example_everywhere(page, indent):
    lines = [line for line in (PLATFORM / "user-data/run.conf").read_text().splitlines() if line[0] != "#"]
    assert "\n".join(indent + line for line in lines) in (ROOT / page).read_text()
    assert (ROOT / page).read_text().count("root = /.bottlerocket/rootfs") == 1


@pytest.mark.parametrize("memlock", [0, 65536, 8388608])
@BOTH
def test_first_boot(host, settings, image, name, directory, memlock):
    """Whatever may be locked; and all that it says goes to standard error."""
    container, goes_on = host.boot(settings(name), image, memlock=memlock)
    assert goes_on and container.exit_status == 0, container.said()
    assert "installed" in container.said() and container.stdout.read_text() == ""
    assert names(host.installed(directory)) == whole()
    assert ("memory_unlocked" in container.said()) == (memlock < 256 * 1024)


def test_a_reboot_while_aws_is_away_keeps_the_set(host, settings, image, surroundings):
    host.boot(settings("bootstrap-container-kept"), image)
    surroundings.to_aws.stage, surroundings.to_aws.action = "accept", "reset"
    host.reboot()
    container, goes_on = host.boot(settings("bootstrap-container-kept", deadline="3s"), image)
    assert goes_on and container.exit_status == 0 and "kept_stale" in container.said()
    assert names(host.installed(KEPT)) == whole()


def test_memory_forgets_at_a_reboot(host, settings, image, surroundings):
    """Then there is nothing to be kept: an essential container halts the boot."""
    assert host.boot(settings("bootstrap-container"), image)[1]
    surroundings.to_aws.stage, surroundings.to_aws.action = "accept", "reset"
    host.reboot()
    container, goes_on = host.boot(settings("bootstrap-container", deadline="3s"), image)
    assert not goes_on and container.exit_status == 69
    assert "error code=aws_unreachable" in container.said()


@BOTH
def test_a_wrong_secret(host, settings, image, aws, secret, name, directory):
    """The reason is on standard error, which goes to the console; only an essential one halts the boot."""
    aws.rotate(secret.name, '{"client_cert": "none"}')
    container, goes_on = host.boot(settings(name), image)
    assert container.exit_status == 65
    assert goes_on == (name == "bootstrap-container-kept")
    assert re.search(
        r'^\S+ error error code=\w+ .*reason=".+" remedy=".+"$', container.said(), re.M
    ), container.said()


@BOTH
def test_a_name_server_that_hangs(host, settings, image, surroundings, tmp_path, name, directory):
    """The host has no time limit for it; the agent has."""
    empty = tmp_path / "hosts"
    empty.write_text("127.0.0.1 localhost\n")
    host.know_no_names(empty)
    with surroundings.network.open("udp", "127.0.0.1", 53), surroundings.network.open("tcp", "127.0.0.1", 53):
        container, goes_on = host.boot(settings(name, deadline="3s"), image)
    assert container.exit_status == 69 and "error code=dns_failed" in container.said()
    assert int(re.search(r" finished .*ms=(\d+)", container.said())[1]) <= 3000 + 30000
    assert goes_on == (name == "bootstrap-container-kept")


@pytest.mark.parametrize("directory", ["/etc/mtls-agent", "/usr/mtls-agent"])
def test_where_nothing_can_be_installed(host, settings, image, directory):
    """The error says so, and the guide where."""
    container, _ = host.boot(settings("bootstrap-container", dir=directory), image)
    assert container.exit_status == 73 and "Read-only file system" in container.said()


def test_a_task_reads_and_a_daemon_rotates(host, settings, image, task, secret):
    """The set of the boot is what the daemon goes on with, and what tasks see, read-only."""
    host.boot(settings("bootstrap-container"), image)
    app = task(PLATFORM / "app.json", host=host.root).start()["app"]
    app.says("CN=ECS-Client")
    daemon = task(PLATFORM / "daemon.json", host=host.root).start()
    wait_for(lambda: daemon.is_healthy("mtls-agent"), PATIENCE_S)
    assert not [each for each in daemon["mtls-agent"].events if each["event"] in ("installed", "healed")]
    secret.rotate("ECS-Client-2")
    app.says("CN=ECS-Client", "CN=ECS-Client-2")
    assert names(host.installed(RUN)) == whole()
    write = app.exec("/usr/bin/python3", "-c", "open('/etc/ecs/mtls/x', 'w')", user=(0, 0))
    assert "Read-only file system" in write.stderr


def test_a_task_that_comes_first_sees_it_come(host, settings, image, task):
    """Docker makes the directory that is not there; the agent installs into it, and the mount shows it."""
    app = task(PLATFORM / "app.json", "wait.py", host=host.root).start()["app"]
    app.says("waiting")
    host.boot(settings("bootstrap-container"), image)
    app.says("waiting", "CN=ECS-Client")


def test_a_host_container_stays(host, settings, image, secret):
    """Though the image's own command is another: what the operator says counts."""
    assert image.command == ["fetch"]
    told = settings("host-container")
    container = host.start("host-containers", "mtls-agent", told, image)
    wait_for(lambda: "ready" in container.said(), PATIENCE_S)
    assert names(host.installed(RUN)) == whole()
    for command in "inspect", "status", "healthcheck":
        assert container.exec("/mtls-agent", command).returncode == 0
    assert container.stop() == 0 and " stopped exit_status=0" in container.said()
