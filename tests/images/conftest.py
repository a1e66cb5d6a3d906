# SPDX-License-Identifier: Apache-2.0
"""The servers of tests/e2e, and a network in which containers find them."""

import importlib.util
import os

import pytest

from agent import ROOT
from servers.container import ContainerCredentials
from servers.namespace import Namespace
from servers.proxy import FaultProxy

# The hooks and fixtures of the other conftest.py are ours as well.
_spec = importlib.util.spec_from_file_location("e2e_conftest", ROOT / "tests" / "e2e" / "conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)
globals().update({name: value for name, value in vars(_e2e).items() if not name.startswith("_")})

ECS = "169.254.170.2"


@pytest.fixture(scope="session", autouse=True)
def root():
    if os.geteuid() != 0:
        pytest.exit("containers for other users are made by root", 2)


@pytest.fixture(scope="session")
def network(work):
    """Loopback with the address of the ECS agent, and no way out."""
    network = Namespace(work / "network", [ECS])
    yield network
    network.stop()


@pytest.fixture
def task(aws, up, network, enclave):
    """The environment of a task's container on ECS, with what leads to the emulator and to the enclave."""
    credentials = up(ContainerCredentials(aws.session(), listener=network.open("tcp", ECS, 80)))
    to_aws = up(FaultProxy(aws.port, listener=network.open("tcp", "127.0.0.1")))
    to_enclave = up(FaultProxy(enclave.port, listener=network.open("tcp", "127.0.0.1")))
    return {
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": credentials.path,
        "AWS_EXECUTION_ENV": "AWS_ECS_EC2",
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://aws.test:{to_aws.port}",
        "AWS_CA_BUNDLE": "/aws-ca.pem",
        "ENCLAVE_ENDPOINT": f"enclave.test:{to_enclave.port}",
        "MTLS_AGENT_LOG_FORMAT": "json",
    }
