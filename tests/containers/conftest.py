# SPDX-License-Identifier: Apache-2.0
"""The servers of tests/e2e, in a network in which they have the names and addresses that tasks and hosts know."""

import importlib.util

import pytest

from agent import ROOT
from oci import Runtime, bind
from servers.container import ContainerCredentials
from servers.imds import Imds
from servers.namespace import Namespace
from servers.proxy import FaultProxy

# The hooks and fixtures of the other conftest.py are ours as well.
_spec = importlib.util.spec_from_file_location("e2e_conftest", ROOT / "tests" / "e2e" / "conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)
globals().update({name: value for name, value in vars(_e2e).items() if not name.startswith("_")})

TASK_CREDENTIALS, INSTANCE_METADATA = "169.254.170.2", "169.254.169.254"
NAMES = "localhost enclave.example.com secretsmanager.eu-central-1.amazonaws.com"


class Surroundings:
    """
    What containers find around them. to_aws, to_enclave: ways that a test may bar; task_role and instance_role give
    out credentials; mounts: the files that every platform gives its containers.
    """

    def __init__(self, directory, aws, enclave):
        self.network = Namespace(directory / "network", [TASK_CREDENTIALS, INSTANCE_METADATA])
        # crun wants to know what cgroups there are, though it is told to leave them alone.
        Runtime(directory, self.network).inside("mount", "-t", "tmpfs", "cgroup", "/sys/fs/cgroup")
        hosts = directory / "hosts"
        hosts.write_text(f"127.0.0.1 {NAMES}\n")
        resolv = directory / "network" / "resolv.conf"
        self.mounts = [bind(hosts, "/etc/hosts", "ro"), bind(resolv, "/etc/resolv.conf", "ro")]
        session = aws.session()
        listen = self.network.open
        self.to_aws = FaultProxy(aws.port, listener=listen("tcp", "127.0.0.1", 443))
        self.to_enclave = FaultProxy(enclave.port, listener=listen("tcp", "127.0.0.1", 3000))
        self.task_role = ContainerCredentials(session, listener=listen("tcp", TASK_CREDENTIALS, 80))
        self.instance_role = Imds(session, listener=listen("tcp", INSTANCE_METADATA, 80))

    def restore(self):
        for way in (self.to_aws, self.to_enclave):
            way.stage, way.action = None, "hold"

    def stop(self):
        for server in (self.to_aws, self.to_enclave, self.task_role, self.instance_role, self.network):
            server.stop()


@pytest.fixture(scope="session")
def _surroundings(work, aws_server, enclave):
    made = Surroundings(work / "surroundings", aws_server, enclave)
    yield made
    made.stop()


@pytest.fixture
def surroundings(_surroundings, aws):
    """All is well in them when a test begins."""
    _surroundings.restore()
    return _surroundings
