# SPDX-License-Identifier: Apache-2.0
"""
A rotation function of Secrets Manager whose test step is mtls-agent: a new identity becomes the current version only after
the enclave has accepted it in a real handshake.
"""

import os
import subprocess

import boto3

# Yours: issue() returns the new secret document, as tools/make-certs --secret-json prints it.
from issuer import issue

# ENCLAVE_ENDPOINT is read by the agent itself. Lambda allows no locked memory to speak of.
AGENT = [
    os.environ.get("MTLS_AGENT", "/usr/local/bin/mtls-agent"),
    "fetch",
    "--dry-run",
    "--memory-lock=prefer",
]


def handler(event, context):
    STEPS[event["Step"]](boto3.client("secretsmanager"), event["SecretId"], event["ClientRequestToken"])


def create(manager, secret, token):
    """Puts the pending version; a repeated call finds it there."""
    version = {"SecretId": secret, "VersionId": token, "VersionStage": "AWSPENDING"}
    try:
        manager.get_secret_value(**version)
    except manager.exceptions.ResourceNotFoundException:
        manager.put_secret_value(
            SecretId=secret, ClientRequestToken=token, SecretString=issue(), VersionStages=["AWSPENDING"]
        )


def deploy(manager, secret, token):
    """Nothing: the enclave trusts a CA, not single certificates."""


def test(manager, secret, token):
    """Exit status 0: proven. 75: not yet, and anything else: refused; Secrets Manager calls again after either."""
    arguments = [f"--secret={secret}", "--version-stage=AWSPENDING", "--deadline=30s"]
    status = subprocess.run([*AGENT, *arguments], stdin=subprocess.DEVNULL).returncode
    if status != 0:
        raise RuntimeError(f"the pending version is not proven: mtls-agent ended with {status}, see the log")


def finish(manager, secret, token):
    """Makes it the current version."""
    stages = manager.describe_secret(SecretId=secret)["VersionIdsToStages"]
    current = next(version for version, names in stages.items() if "AWSCURRENT" in names)
    if current != token:
        manager.update_secret_version_stage(
            SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )


STEPS = {"createSecret": create, "setSecret": deploy, "testSecret": test, "finishSecret": finish}
