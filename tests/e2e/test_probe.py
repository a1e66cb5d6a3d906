# SPDX-License-Identifier: Apache-2.0
"""mtls-agent probe: what the enclaves say to the installed identity; exit 0 or 76."""

import pytest

from agent import snapshot
from servers.enclave import KINDS, Nginx
from servers.pki import document
from servers.process import free_port


@pytest.fixture
def installed(agent, put, pki):
    agent.fetch(put(document(pki.pair("client"), pki.ca_pem))).succeeded("installed")
    return agent


@pytest.mark.parametrize("kind", KINDS)
def test_accepted(installed, enclaves, kind):
    before = snapshot(installed.dir)
    result = installed.probe(enclaves[kind].endpoint).succeeded()
    handshake = result.event("handshake")
    assert handshake["result"] == "accepted"
    assert all(handshake[stage] >= 0 for stage in ("dns_ms", "tcp_ms", "tls_ms", "first_byte_ms"))
    assert snapshot(installed.dir) == before


@pytest.mark.parametrize("kind", KINDS)
def test_refused(agent, put, rogue, pki, enclaves, kind):
    agent.fetch(put(document(rogue, pki.ca_pem))).succeeded("installed")
    result = agent.probe(enclaves[kind].endpoint)
    assert result.status == 76, result.stderr
    assert result.event("handshake")["result"] == "refused"


def test_all_are_asked_and_one_failure_is_one(installed, enclaves):
    endpoints = [enclaves["nginx"].endpoint, f"localhost:{free_port()}", enclaves["go"].endpoint]
    result = installed.probe(endpoints)
    assert result.status == 76, result.stderr
    assert {event["endpoint"]: event["result"] for event in result.all("handshake")} == dict(
        zip(endpoints, ("accepted", "unreachable", "accepted"))
    )


def test_untrusted(installed, tmp_path, stranger, pki, up):
    server = up(Nginx(tmp_path / "x", stranger.issue("localhost", names=["localhost"]), pki.ca_pem))
    result = installed.probe(server.endpoint)
    assert result.status == 76 and result.event("handshake")["result"] == "untrusted"


def test_nothing_installed(agent, enclaves):
    assert agent.probe(enclaves["nginx"].endpoint).event("error")["code"] == "no_identity"


def test_no_endpoint(installed):
    assert installed.probe([]).status == 64


def test_no_aws_is_needed(installed, enclaves):
    environment = {name: None for name in installed.environment if name.startswith("AWS_")}
    installed.probe(enclaves["nginx"].endpoint, env=environment).succeeded()
