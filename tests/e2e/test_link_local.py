# SPDX-License-Identifier: Apache-2.0
"""
Metadata and container credentials at their own addresses, as on EC2, ECS and EKS: in a network of the test's own,
whose loopback carries them, with a way out to the emulator.
"""

import pytest

from servers.container import ContainerCredentials
from servers.imds import Imds
from servers.namespace import Namespace
from servers.proxy import FaultProxy

ECS, EKS, IMDS = "169.254.170.2", "169.254.170.23", ("169.254.169.254", "fd00:ec2::254")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    network = Namespace(tmp_path_factory.mktemp("network"), [ECS, EKS, *IMDS])
    yield network
    network.stop()


@pytest.fixture(scope="module")
def session(aws_server):
    return aws_server.session()


@pytest.fixture
def environment(aws, up, network):
    to_aws = up(FaultProxy(aws.port, listener=network.open("tcp", "127.0.0.1")))
    return {
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_EC2_METADATA_DISABLED": None,
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{to_aws.port}",
    }


def source(agent, network, secret, environment):
    result = agent.fetch(secret, env=environment, prefix=network.enter).succeeded("installed")
    return result.event("credentials")["source"]


def test_ecs_task(agent, network, environment, up, put, good, session):
    container = up(ContainerCredentials(session, listener=network.open("tcp", ECS, 80)))
    container.uninitialized = 1  # 503 first
    environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = container.path
    assert source(agent, network, put(good), environment) == "container"
    assert len(container.asked) == 2


def test_eks_pod_identity(agent, network, environment, up, put, good, session, tmp_path):
    container = up(ContainerCredentials(session, token="pod-token", listener=network.open("tcp", EKS, 80)))
    container.path = "/v1/credentials"
    token = tmp_path / "eks-pod-identity-token"
    token.write_text("pod-token")
    environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"http://{EKS}/v1/credentials"
    environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = str(token)
    assert source(agent, network, put(good), environment) == "container"
    assert container.asked[0].headers["Authorization"] == "pod-token"


def test_instance_metadata(agent, network, environment, up, put, good, session):
    imds = up(Imds(session, listener=network.open("tcp", IMDS[0], 80)))
    assert source(agent, network, put(good), environment) == "imds"
    assert imds.asked[0].headers["Host"] == IMDS[0]


def test_instance_metadata_over_ipv6(agent, network, environment, up, put, good, session):
    imds = up(Imds(session, listener=network.open("tcp", IMDS[1], 80)))
    environment["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"] = "IPv6"
    assert source(agent, network, put(good), environment) == "imds"
    assert imds.asked[0].headers["Host"] == f"[{IMDS[1]}]"


def test_metadata_token_refused_once(agent, network, environment, up, put, good, session):
    imds = up(Imds(session, listener=network.open("tcp", IMDS[0], 80)))
    imds.expire_tokens = 1
    assert source(agent, network, put(good), environment) == "imds"
    assert [request.method for request in imds.asked].count("PUT") == 2


def test_expired_credentials_of_the_instance_are_used(agent, network, environment, up, put, good, session):
    """Static stability: while the service that renews them is out of order, AWS decides, not the agent's clock."""
    imds = up(Imds(session, listener=network.open("tcp", IMDS[0], 80)))
    imds.stale = True
    result = agent.fetch(put(good), env=environment, prefix=network.enter).succeeded("installed")
    assert result.event("credentials_expired")["expired"] == "2026-01-01T06:00:00Z"


def test_a_hop_limit_that_is_too_small(agent, network, environment, up, put, good, session):
    """Connections are taken, and the token's answer never arrives."""
    imds = up(Imds(session, listener=network.open("tcp", IMDS[0], 80)))
    imds.hold_path = "/api/token"
    result = agent.fetch(put(good), env=environment, prefix=network.enter, deadline="85s")
    assert "hop limit" in result.failed(69, "metadata_hop_limit")["reason"]
    assert result.seconds < 70  # not until the deadline


def test_nothing_there(agent, network, environment, put, good):
    result = agent.fetch(put(good), env=environment, prefix=network.enter)
    reason = result.failed(77, "credentials_missing")["reason"]
    for each in ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "no profile default", IMDS[0]):
        assert each in reason
