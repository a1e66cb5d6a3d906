# SPDX-License-Identifier: Apache-2.0
"""fetch --dry-run: a coming identity is proven on the enclave, and nothing is installed."""

import uuid

import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from agent import snapshot
from servers.aws import aws_error
from servers.pki import document
from servers.process import free_port


def dry_run(agent, arn, endpoint, *arguments, **options):
    before = snapshot(agent.dir)
    result = agent.fetch(arn, "--dry-run", *arguments, endpoint=endpoint, **options)
    assert snapshot(agent.dir) == before
    return result


def outcome(result):
    return result.event("dry_run")["outcome"]


@pytest.fixture
def pending(aws, put, good):
    """pending(document) makes it the pending version of a secret; the secret's ARN."""

    def make(value):
        arn = put(good)
        aws.secrets.put_secret_value(
            SecretId=arn,
            SecretString=value,
            VersionStages=["AWSPENDING"],
            ClientRequestToken=str(uuid.uuid4()),
        )
        return arn

    return make


def test_proven(agent, put, good, enclave):
    result = dry_run(agent, put(good), enclave.endpoint).succeeded("handshake", "dry_run")
    assert outcome(result) == "proven"
    assert not result.all("installed") and not agent.dir.exists()


def test_refused(agent, put, rogue, authority, enclave):
    result = dry_run(agent, put(document(rogue, authority.pem)), enclave.endpoint)
    result.failed(76, "enclave_refused")
    assert outcome(result) == "failed"


def test_unreachable_is_no_proof(agent, put, good):
    result = dry_run(agent, put(good), f"localhost:{free_port()}")
    result.failed(76, "enclave_unreachable")
    assert outcome(result) == "failed"


def test_one_of_two_is_a_proof_unless_all_are_required(agent, put, good, enclave):
    endpoints = [enclave.endpoint, f"localhost:{free_port()}"]
    assert outcome(dry_run(agent, put(good), endpoints).succeeded()) == "proven"
    dry_run(agent, put(good), endpoints, "--rehearse=require").failed(76, "enclave_unreachable")


def test_a_bad_document(agent, put, enclave):
    result = dry_run(agent, put("{}"), enclave.endpoint)
    result.failed(65, "field_missing")
    assert outcome(result) == "failed"


def test_what_is_installed_is_no_substitute(agent, put, good, enclave):
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    away = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{free_port()}"}
    result = dry_run(agent, arn, enclave.endpoint, env=away, deadline="2s")
    assert result.status == 69 and not result.all("kept_stale")


def test_an_endpoint_is_needed(agent, put, good, enclave):
    assert dry_run(agent, put(good), []).status == 64
    assert dry_run(agent, put(good), enclave.endpoint, "--rehearse=off").status == 64


def test_a_server_has_nothing_to_try(agent, put, authority, enclave):
    server = authority.issue("localhost", names=["localhost"])
    value = '{"server_cert":%s,"server_key":%s}' % tuple(
        '"' + text.replace("\n", "\\n") + '"' for text in (server.cert, server.key)
    )
    assert outcome(dry_run(agent, put(value), enclave.endpoint).succeeded()) == "sound"


def test_a_pending_version(agent, pending, authority, enclave):
    """The test step of a rotation: the version that is to come, before it is the current one."""
    coming = authority.issue("ECS-Client")
    arn = pending(document(coming, authority.pem))
    agent.fetch(arn).succeeded("installed")
    result = dry_run(agent, arn, enclave.endpoint, "--version-stage=AWSPENDING").succeeded("dry_run")
    assert result.event("dry_run")["fingerprint"] == coming.certificate.fingerprint(SHA256()).hex()
    assert agent.file("client.crt") != coming.cert


def test_a_pending_version_that_the_enclave_refuses(agent, pending, rogue, authority, enclave):
    arn = pending(document(rogue, authority.pem))
    result = dry_run(agent, arn, enclave.endpoint, "--version-stage=AWSPENDING")
    result.failed(76, "enclave_refused")


def test_an_empty_pending_version_is_not_yet(agent, aws, put, good, enclave):
    """What AWS itself says there; the emulator says less."""
    message = "Secrets Manager can't find the specified secret value for staging label: AWSPENDING"
    arn = put(good)
    aws.faults.append(aws_error(400, "ResourceNotFoundException", message))
    result = dry_run(agent, arn, enclave.endpoint, "--version-stage=AWSPENDING")
    result.failed(75, "version_pending")
    assert outcome(result) == "not_yet"
