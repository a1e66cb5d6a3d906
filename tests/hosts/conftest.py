# SPDX-License-Identifier: Apache-2.0
"""The servers of tests/e2e, and hosts to boot beside them: each with a network that leads to them."""

import importlib.util
import itertools
import subprocess
from pathlib import Path

import pytest

from agent import ROOT
from machine import Machine
from release import Release
from servers.imds import Imds
from servers.namespace import Namespace
from servers.proxy import FaultProxy

# The hooks and fixtures of the other conftest.py are ours as well.
_spec = importlib.util.spec_from_file_location("e2e_conftest", ROOT / "tests" / "e2e" / "conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)
globals().update({name: value for name, value in vars(_e2e).items() if not name.startswith("_")})

ARCHIVE = ROOT / "build" / "mtls-agent-host.tar.gz"  # by make host-archive
METADATA = "169.254.169.254"

CONFIG = """\
secret = {secret}
endpoint = localhost:{enclave}
ca-bundle = /etc/aws-ca.pem
interval = 2s
probe-interval = 2s
AWS_ENDPOINT_URL_SECRETS_MANAGER = https://localhost:{aws}
{more}
"""


@pytest.fixture(scope="session")
def debian():
    made = subprocess.run([ROOT / "tools" / "make-root"], stdout=subprocess.PIPE, text=True, check=True)
    return Path(made.stdout.strip())


class Host:
    """A machine on EC2: metadata gives it credentials, and AWS and an enclave can be reached."""

    def __init__(self, directory, debian, aws, enclave):
        self.network = Namespace(directory / "network", [METADATA])
        self.machine = Machine(directory / "machine", debian, self.network)
        self._servers = [
            Imds(aws.session(), listener=self.network.open("tcp", METADATA, 80)),
            FaultProxy(aws.port, listener=self.network.open("tcp", "127.0.0.1")),
            FaultProxy(enclave.port, listener=self.network.open("tcp", "127.0.0.1")),
        ]
        self.imds, self.aws, self.enclave = self._servers
        self._ca = aws.ca_bundle.read_text()

    def config(self, secret, more=""):
        """/etc/mtls-agent/agent.conf, and what makes it lead to the emulator."""
        self.machine.write("/etc/aws-ca.pem", self._ca)
        ports = {"aws": self.aws.port, "enclave": self.enclave.port}
        self.machine.write("/etc/mtls-agent/agent.conf", CONFIG.format(secret=secret, more=more, **ports))

    def install(self):
        """The program and its units, as a user installs and enables them."""
        self.machine.unpack(ARCHIVE)
        self.machine.run("systemd-sysusers")
        self.machine.run("systemd-tmpfiles", "--create", "/usr/local/lib/tmpfiles.d/mtls-agent.conf")
        self.machine.systemctl("enable", "--quiet", "mtls-agent-fetch.service", "mtls-agent.service")

    def aws_is_down(self, down=True):
        self.aws.stage, self.aws.action = ("accept", "reset") if down else (None, "hold")

    def stop(self):
        self.machine.stop()
        for server in self._servers:
            server.stop()
        self.network.stop()


@pytest.fixture(scope="session")
def make_host(tmp_path_factory, debian, aws_server, enclave):
    """make_host() makes one that is off; whoever made it stops it."""
    numbers = itertools.count(1)
    return lambda: Host(tmp_path_factory.mktemp(f"host-{next(numbers)}"), debian, aws_server, enclave)


@pytest.fixture
def host(make_host):
    made = make_host()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def secret(aws_server, good):
    """One that nobody rotates."""
    return aws_server.put("mtls/hosts", good)


UNITS = ROOT / "tests" / "hosts" / "units"


@pytest.fixture(scope="session")
def place():
    """place(machine, "app.service", "ecs.amazon.service") puts in stand-ins, as app.service and ecs.service."""

    def put(machine, *names):
        for name in names:
            first, last = name.split(".")[0], name.split(".")[-1]
            machine.write(f"/etc/systemd/system/{first}.{last}", (UNITS / name).read_text())

    return put


@pytest.fixture(scope="session")
def release(tmp_path_factory, aws_server):
    return Release(tmp_path_factory.mktemp("release"), ARCHIVE, aws_server)
