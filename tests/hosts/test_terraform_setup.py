# SPDX-License-Identifier: Apache-2.0
"""
The script in the Terraform module's user data, run in a root and a network of its own, with instance metadata
at its own address and S3 under its own name. What systemd and apt are told is written down, not done.
"""

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from agent import ROOT
from s3 import NAME, S3, Role
from servers.aws import REGION
from servers.imds import Imds
from servers.namespace import Namespace
from servers.pki import Authority
from tofu import Host, Tofu

ARCHIVE = ROOT / "build/mtls-agent-host.tar.gz"
BUCKET, KEY = "host-archives", "mtls-agent/host.tar.gz"
METADATA = "169.254.169.254"
ECS_PACKAGE = f"/amazon-ecs-agent-{REGION}/amazon-ecs-init-latest.amd64.deb"
LOGS_PACKAGE = "/ubuntu/amd64/latest/amazon-cloudwatch-agent.deb"
KEY_SERVER = "keyserver.ubuntu.com"
LOGS_NAME = f"amazoncloudwatch-agent-{REGION}.{NAME}"
ECS_KEY, LOGS_KEY = "F34C3DDAE72926B079BEAEC6BCE9D9A42D51784F", "937616F3450B7D806CBD9725D58167303B789C72"
NAMES = [NAME, KEY_SERVER, LOGS_NAME]
TOLD = ["systemctl", "systemd-sysusers", "systemd-tmpfiles", "apt-get", "dpkg", "dnf"]

# `systemctl cat` finds no ECS, as on Canonical's image.
WRITES_DOWN = """#!/bin/sh
echo "${0##*/} $*" >>/calls
[ "$*" != "cat ecs.service" ]
"""
WATCHED_CURL = """#!/bin/sh
echo "curl $*" >>/calls
exec /usr/bin/curl "$@"
"""
ENTER = """
root=$1
mount --rbind /usr "$root/usr"
mount --bind "$root/local" "$root/usr/local"
mount --rbind /dev "$root/dev"
exec chroot "$root" /bin/sh -c "$2"
"""


class Signer:
    """Somebody with a key of OpenPGP."""

    def __init__(self, directory):
        self._home = directory
        self._home.mkdir(mode=0o700)
        self._gpg("--passphrase", "", "--quick-generate-key", "Test <test@example.com>", "ed25519", "sign", "never")
        listed = self._gpg("--list-keys", "--with-colons").decode()
        self.fingerprint = re.search(r"^fpr:+(\w+):", listed, re.MULTILINE)[1]
        self.key = self._gpg("--export", "--armor")

    def _gpg(self, *arguments, input=None):
        command = ["gpg", "--homedir", self._home, "--batch", "--pinentry-mode=loopback", *arguments]
        return subprocess.run(command, input=input, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout

    def sign(self, content):
        return self._gpg("--detach-sign", "--armor", input=content)

    def stop(self):
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], check=True)


class Machine:
    """A root with this machine's /usr, and nothing else of it."""

    def __init__(self, directory, authority):
        self.root = directory / "root"
        for name in ("usr", "local", "dev", "etc", "run", "stubs"):
            (self.root / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            if Path("/", name).is_symlink():
                (self.root / name).symlink_to(os.readlink(Path("/", name)))
        for name, text in {**dict.fromkeys(TOLD, WRITES_DOWN), "curl": WATCHED_CURL}.items():
            (self.root / "stubs" / name).write_text(text)
            (self.root / "stubs" / name).chmod(0o755)
        (self.root / "ca.pem").write_text(authority.pem)
        (self.root / ".curlrc").write_text(
            "\n".join(['cacert = "/ca.pem"', *(f'resolve = "{name}:443:127.0.0.1"' for name in NAMES), ""])
        )
        (self.root / "calls").touch()

    def run(self, network, script):
        command = [*network.enter, "unshare", "--mount", "sh", "-euc", ENTER, "sh", self.root, script]
        environment = {"PATH": "/stubs:/usr/sbin:/usr/bin:/sbin:/bin", "CURL_HOME": "/", "HOME": "/"}
        return subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    @property
    def calls(self):
        return (self.root / "calls").read_text().splitlines()

    @property
    def told(self):
        return [call for call in self.calls if not call.startswith("curl ")]

    @property
    def program(self):
        return self.root / "local/bin/mtls-agent"


@pytest.fixture(scope="module")
def render(tmp_path_factory):
    directory = tmp_path_factory.mktemp("host")
    host = Host(Tofu(directory), directory)
    good = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()

    def render(sha256=good, **inputs):
        source = {"bucket": BUCKET, "key": KEY, "sha256": sha256, "region": None}
        return host(agent_source={"s3": source, "image": None}, **inputs)

    return render


@pytest.fixture(scope="module")
def authority():
    return Authority("Test AWS Root")


@pytest.fixture
def network(tmp_path):
    network = Namespace(tmp_path / "network", [METADATA])
    yield network
    network.stop()


@pytest.fixture
def s3(aws_server, tmp_path, authority, network):
    listener = network.open("tcp", "127.0.0.1", 443)
    s3 = S3(aws_server, tmp_path, authority, listener, BUCKET, KEY, ARCHIVE.read_bytes(), NAMES)
    yield s3
    s3.stop()


@pytest.fixture
def session(aws_server, render):
    """Credentials of a role with the policy that the module gives to hosts."""
    role = Role(aws_server, "tf-host", policy=render()["instance_policy"])
    yield role.session
    role.stop()


@pytest.fixture
def machine(tmp_path, authority):
    return Machine(tmp_path, authority)


@pytest.fixture
def boot(machine, network, s3, session, render):
    """Runs the script that these inputs give."""
    imds = Imds(session, listener=network.open("tcp", METADATA, 80))

    def boot(replaced=None, **inputs):
        ((_, _, script),) = yaml.safe_load(render(**inputs)["user_data"])["runcmd"]
        for old, new in (replaced or {}).items():
            assert old in script or old == LOGS_KEY
            script = script.replace(old, new)
        return machine.run(network, script)

    yield boot
    imds.stop()


def test_installs_and_starts(machine, boot, session):
    done = boot()
    assert done.returncode == 0, done.stdout
    version = subprocess.run([machine.program, "--version"], stdout=subprocess.PIPE, text=True)
    assert (ROOT / "VERSION").read_text().strip() in version.stdout
    assert machine.told == [
        "systemd-sysusers ",
        "systemd-tmpfiles --create --prefix=/var/log/ecs-init.log",
        "systemctl daemon-reload",
        "systemctl enable mtls-agent-fetch.service mtls-agent.service",
        "systemctl start --no-block mtls-agent-fetch.service mtls-agent.service",
        "systemctl start --no-block ecs.service",
    ]
    for secret in ("AccessKeyId", "SecretAccessKey", "SessionToken"):
        assert session[secret] not in "\n".join(machine.calls)
    assert list((machine.root / "run").iterdir()) == []


def test_another_archive_is_not_unpacked(machine, boot):
    done = boot(sha256="0" * 64)
    assert done.returncode != 0 and "FAILED" in done.stdout
    assert not machine.program.exists() and machine.told == []


def test_another_archive_ends_the_host(machine, boot):
    assert boot(sha256="0" * 64, on_fetch_failure="poweroff").returncode != 0
    assert not machine.program.exists() and machine.told == ["systemctl poweroff"]


@pytest.fixture
def signer(tmp_path, up):
    return lambda name: up(Signer(tmp_path / name))


@pytest.fixture
def ubuntu(s3, boot, signer):
    """Boots Ubuntu with a package of ECS that amazon has signed, as the script is told, or the key is another's."""

    def ubuntu(by=None, package=b"package", **inputs):
        amazon = signer("amazon")
        by = by or amazon
        signature = by.sign(b"package")
        keys = f"/pks/lookup?op=get&options=mr&search=0x{amazon.fingerprint}"
        s3.also = {ECS_PACKAGE: package, f"{ECS_PACKAGE}.asc": signature, keys: by.key}
        s3.also |= {LOGS_PACKAGE: package, f"{LOGS_PACKAGE}.sig": signature, "/assets/amazon-cloudwatch-agent.gpg": by.key}
        pinned = {ECS_KEY: amazon.fingerprint, LOGS_KEY: amazon.fingerprint}
        return boot(pinned, ami_os="ubuntu", **inputs)

    return ubuntu


def test_ubuntu_gets_ecs_after_the_agent(machine, ubuntu):
    done = ubuntu()
    assert done.returncode == 0, done.stdout
    told = [call.split()[0:2] for call in machine.told]
    assert (
        told.index(["systemctl", "enable"])
        < told.index(["apt-get", "install"])
        < told.index(["dpkg", "--force-confold"])
    )
    assert machine.told[-1] == "systemctl start --no-block ecs.service"


def test_ubuntu_installs_the_log_agent_that_is_signed(machine, ubuntu):
    done = ubuntu(log_group_name="/ecs/mtls")
    assert len([call for call in machine.told if call.startswith("dpkg")]) == 2, done.stdout


@pytest.mark.parametrize("other", ["package", "key"])
def test_ubuntu_installs_nothing_that_is_not_signed(machine, ubuntu, signer, other):
    """Another package under the signature, and one that is signed well, but by somebody else, whose key is served."""
    done = ubuntu(package=b"other") if other == "package" else ubuntu(by=signer("other"))
    assert done.returncode != 0 and not any(call.startswith("dpkg") for call in machine.told)


def test_a_missing_log_is_no_reason_to_stop(machine, boot):
    done = boot(log_group_name="/ecs/mtls", on_fetch_failure="poweroff")
    assert done.returncode == 0, done.stdout
    assert "no CloudWatch agent" in done.stdout and "systemctl poweroff" not in machine.told
    assert list((machine.root / "run").iterdir()) == []
