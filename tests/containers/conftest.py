# SPDX-License-Identifier: Apache-2.0
"""The servers of tests/e2e, in a network in which they have the names and addresses that hosts know."""

import importlib.util
import json

import pytest

from agent import ROOT
from images import images
from oci import Runtime, bind
from servers.container import ContainerCredentials
from servers.imds import Imds
from servers.namespace import Namespace
from servers.pki import document
from servers.proxy import FaultProxy
from task import Task

# The hooks and fixtures of the other conftest.py are ours as well.
_spec = importlib.util.spec_from_file_location("e2e_conftest", ROOT / "tests" / "e2e" / "conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)
globals().update({name: value for name, value in vars(_e2e).items() if not name.startswith("_")})

TASK_CREDENTIALS, INSTANCE_METADATA = "169.254.170.2", "169.254.169.254"
# The one in our files.
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:confidential-cluster-mtls-cert-AbCdEf"
NAMES = "localhost enclave.example.com secretsmanager.eu-central-1.amazonaws.com"


class Surroundings:
    """
    What containers find around them. to_aws, to_enclave: ways that a test may bar; task_role, instance_role:
    who gives out credentials; mounts: the files that every platform gives its containers.
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

    @property
    def variables(self):
        """What ECS gives a task's containers; and a bundle in place of Amazon's roots, for the emulator."""
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": self.task_role.path,
            "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/0f5b9c36",
            "AWS_EXECUTION_ENV": "AWS_ECS_EC2",
            "AWS_CA_BUNDLE": "/aws-ca.pem",
        }

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


@pytest.fixture
def secret(names, aws, authority):
    """A secret with the identity ECS-Client, to be rotated."""

    class Secret:
        name = next(names)
        arn = aws.put(name, document(authority.issue("ECS-Client"), authority.pem))

        @staticmethod
        def rotate(cn):
            aws.rotate(Secret.name, document(authority.issue(cn), authority.pem))

    return Secret


@pytest.fixture
def task(tmp_path, surroundings, secret, aws_server):
    """task(path) is that task definition as a Task, with the secret's ARN; it stops with the test."""
    tasks = []

    def make(path, app="follow.py", change=lambda definition: None, host=tmp_path / "host", **environment):
        definition = json.loads(path.read_text().replace(SECRET, secret.arn))
        change(definition)
        directory = tmp_path / f"task-{len(tasks)}"
        tasks.append(
            Task(
                definition,
                Runtime(directory, surroundings.network),
                images(directory / "images", aws_server.ca_bundle, app),
                host,
                surroundings.variables,
                # `run` asks at most so often; else as it stands.
                {"MTLS_AGENT_INTERVAL": "1s", "MTLS_AGENT_PROBE_INTERVAL": "1s", **environment},
                surroundings.mounts,
            )
        )
        return tasks[-1]

    yield make
    for each in reversed(tasks):
        each.stop()
    for each in tasks:
        for container in each.containers.values():
            assert "sandbox_refused" not in container.said() and "PRIVATE KEY" not in container.said()
