# SPDX-License-Identifier: Apache-2.0
"""platform/rotation: only what the enclave accepts becomes the current version."""

import importlib.util
import sys
import types
import uuid

import boto3
import pytest

from agent import PROGRAM, ROOT
from servers.pki import document

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


@pytest.fixture
def rotation(aws, enclave, monkeypatch):
    """The function's module, with an issuer whose document a test sets."""
    environment = {
        **aws.environment(),
        "ENCLAVE_ENDPOINT": enclave.endpoint,
        "MTLS_AGENT": str(PROGRAM),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    issuer = types.ModuleType("issuer")
    issuer.issue = None
    monkeypatch.setitem(sys.modules, "issuer", issuer)
    monkeypatch.setattr(boto3, "client", lambda service: aws.secrets)
    spec = importlib.util.spec_from_file_location("rotation", ROOT / "platform/rotation/rotation.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.put = lambda value: setattr(module, "issue", lambda: value)
    return module


def call(rotation, arn, token, step):
    rotation.handler({"Step": step, "SecretId": arn, "ClientRequestToken": token}, None)


def test_a_good_identity_becomes_current(rotation, agent, aws, put, good, authority, enclave):
    arn, token = put(good), str(uuid.uuid4())
    coming = document(authority.issue("ECS-Client"), authority.pem)
    rotation.put(coming)
    for step in STEPS:
        call(rotation, arn, token, step)
        call(rotation, arn, token, step)  # Secrets Manager may repeat any of them
    # By its stage: the emulator's default lags behind.
    current = aws.secrets.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")
    assert (current["VersionId"], current["SecretString"]) == (token, coming)
    agent.fetch(arn, "--version-stage=AWSCURRENT", endpoint=enclave.endpoint).succeeded("installed")


def test_a_refused_one_does_not(rotation, aws, put, good, rogue, authority):
    arn, token = put(good), str(uuid.uuid4())
    rotation.put(document(rogue, authority.pem))
    call(rotation, arn, token, "createSecret")
    with pytest.raises(RuntimeError, match="ended with 76"):
        call(rotation, arn, token, "testSecret")
    assert aws.secrets.get_secret_value(SecretId=arn)["SecretString"] == good
