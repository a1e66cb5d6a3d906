# SPDX-License-Identifier: Apache-2.0
"""Which version of a secret is meant, and how little is asked to find out that nothing has changed."""

import json

import pytest

from agent import snapshot
from servers.aws import AMZ_JSON, aws_error
from servers.container import ContainerCredentials
from servers.http import Answer
from servers.pki import document
from test_credentials import NO_KEYS


def operations(aws):
    """What was asked since the last look."""
    asked = [request.headers["X-Amz-Target"].split(".")[1] for request in aws.asked]
    aws.asked.clear()
    return asked


GET, DESCRIBE = "GetSecretValue", "DescribeSecret"


@pytest.fixture
def installed(agent, aws, put, good):
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    assert operations(aws) == [GET]
    return arn


def test_unchanged_without_its_value(agent, aws, installed, enclave):
    before = snapshot(agent.dir)
    result = agent.fetch(installed, endpoint=f"localhost:{enclave.port}").succeeded("unchanged", "handshake")
    assert not result.all("secret") and result.event("version")["stage"] == "AWSCURRENT"
    assert operations(aws) == [DESCRIBE]
    assert snapshot(agent.dir) == before


def test_changed(agent, aws, installed, authority):
    aws.rotate(installed, document(authority.issue("ECS-Client"), authority.pem))
    agent.fetch(installed).succeeded("installed")
    assert operations(aws) == [DESCRIBE, GET]


@pytest.mark.parametrize("damage", ["changed", "gone", "manifest"])
def test_a_damaged_set_is_fetched_again(agent, aws, installed, damage):
    if damage == "changed":
        (agent.dir / "client.crt").resolve().write_text(agent.file("ca.crt"))
    elif damage == "gone":
        (agent.dir / "client.key").resolve().unlink()
    else:
        (agent.dir / "..data" / "manifest").unlink()
    agent.fetch(installed).succeeded("healed")
    assert operations(aws) == ([GET] if damage == "manifest" else [DESCRIBE, GET])


def test_modes_and_links_are_healed_from_the_disk(agent, aws, installed):
    (agent.dir / "client.key").resolve().chmod(0o644)
    agent.fetch(installed).succeeded("healed")
    assert agent.mode("client.key") == 0o600
    (agent.dir / "client.crt").unlink()
    agent.fetch(installed).succeeded("healed")
    assert operations(aws) == [DESCRIBE, DESCRIBE]


def test_combined_later(agent, aws, installed):
    agent.fetch(installed, "--combined").succeeded()
    assert (agent.dir / "client.pem").exists()
    assert operations(aws) == [DESCRIBE]


def test_a_bad_enclave_still_counts(agent, installed, work, stranger):
    agent.fetch(installed, "--rehearse=require", endpoint="localhost:1").failed(76, "enclave_unreachable")


def test_several_secrets_are_one_version(agent, aws, put, pair, authority):
    """All of them are described: only as a whole it can be told from one that was rolled back."""
    fields = json.loads(document(pair, authority.pem))
    key = put(json.dumps({"client_key": fields.pop("client_key")}))
    rest = put(json.dumps(fields))
    agent.fetch([key, rest]).succeeded("installed")
    assert operations(aws) == [GET, GET]
    agent.fetch([key, rest]).succeeded("unchanged")
    assert operations(aws) == [DESCRIBE, DESCRIBE]
    aws.rotate(key, json.dumps({"client_key": pair.key}))
    agent.fetch([key, rest]).succeeded("installed")
    assert operations(aws) == [DESCRIBE, DESCRIBE, GET, GET]


def test_a_name_and_its_arn_are_one(agent, aws, names, good):
    name = next(names)
    arn = aws.put(name, good)
    agent.fetch(arn).succeeded("installed")
    agent.fetch(name, "--region=eu-central-1").succeeded("unchanged")
    assert operations(aws) == [GET, DESCRIBE]


def test_describe_denied_is_said_once_for_each_set(agent, aws, put, good):
    arns = [put(good), put(good)]
    secrets = [f"a={arns[0]}", f"b={arns[1]}"]
    environment = aws.environment(aws.value_only_keys)
    agent.fetch(secrets, env=environment).succeeded()
    operations(aws)
    result = agent.fetch(secrets, env=environment).succeeded()
    assert len(result.all("unchanged")) == 2
    assert operations(aws) == [DESCRIBE, GET] * 2
    assert [event["secret"] for event in result.all("describe_denied")] == arns
    for event in result.all("describe_denied"):
        assert '"Action":"secretsmanager:DescribeSecret"' in event["reason"]


def test_describe_denied_of_one_set_is_not_the_others(agent, aws, put, good):
    secrets = [f"a={put(good)}", f"b={put(good)}"]
    agent.fetch(secrets).succeeded()
    operations(aws)
    aws.faults.append(aws_error(400, "AccessDeniedException", "no"))
    assert len(agent.fetch(secrets).succeeded("describe_denied").all("unchanged")) == 2
    assert operations(aws) == [DESCRIBE, GET, DESCRIBE]


@pytest.mark.parametrize(
    "message",
    [
        "User: arn:aws:sts::1:assumed-role/KMSReader/i-0 is not authorized to perform: secretsmanager:DescribeSecret "
        "on resource: prod/KMS/mtls because no identity-based policy allows it",
        "Access to KMS is not allowed",
    ],
    ids=["a name", "a sentence"],
)
def test_describe_denied_where_kms_is_spoken_of(agent, aws, installed, message):
    aws.faults.append(aws_error(400, "AccessDeniedException", message))
    agent.fetch(installed).succeeded("describe_denied", "unchanged")
    assert operations(aws) == [DESCRIBE, GET]


def test_run_does_not_ask_for_what_is_denied_in_each_cycle(serve, aws, put, good):
    """And of two sets that is a matter of the one alone."""
    secrets = [f"a={put(good)}", f"b={put(good)}"]
    service = serve(secrets, "--log-level=debug")
    service.wait("ready")
    service.more("unchanged", 2)
    aws.faults.append(aws_error(400, "AccessDeniedException", "no"))
    denied = service.wait("describe_denied")["secret"]
    aws.asked.clear()
    service.more("unchanged", 6)
    service.stop()
    asked = [(json.loads(request.body)["SecretId"], request.headers["X-Amz-Target"]) for request in aws.asked]
    seen = {(secret, target.split(".")[1]) for secret, target in asked}
    (other,) = {secret.split("=")[1] for secret in secrets} - {denied}
    assert seen == {(denied, GET), (other, DESCRIBE)}


def test_marked_for_deletion_is_an_error_though_installed(agent, aws, installed):
    aws.secrets.delete_secret(SecretId=installed)
    agent.fetch(installed).failed(77, "secret_deleted")
    assert operations(aws) == [DESCRIBE, GET]


def test_not_found_though_installed(agent, aws, installed):
    aws.secrets.delete_secret(SecretId=installed, ForceDeleteWithoutRecovery=True)
    agent.fetch(installed).failed(77, "secret_not_found")


# ---- stages and ids


def test_previous(agent, aws, installed, authority):
    before = agent.file("client.crt")
    aws.rotate(installed, document(authority.issue("ECS-Client"), authority.pem))
    agent.fetch(installed).succeeded("installed")
    assert agent.file("client.crt") != before
    agent.fetch(installed, "--version-stage=AWSPREVIOUS").succeeded("installed")
    assert agent.file("client.crt") == before
    operations(aws)
    agent.fetch(installed, "--version-stage=AWSPREVIOUS").succeeded("unchanged")
    assert operations(aws) == [DESCRIBE]


@pytest.mark.parametrize("label", ["AWSPENDING", "blue/green"])
def test_a_label(agent, aws, installed, authority, label):
    pending = authority.issue("ECS-Client")
    aws.secrets.put_secret_value(
        SecretId=installed, SecretString=document(pending, authority.pem), VersionStages=[label]
    )
    agent.fetch(installed, f"--version-stage={label}").succeeded("installed")
    assert agent.file("client.crt") == pending.cert


def test_an_id(agent, aws, installed, authority):
    before = agent.file("client.crt")
    first = aws.secrets.describe_secret(SecretId=installed)["VersionIdsToStages"]
    aws.rotate(installed, document(authority.issue("ECS-Client"), authority.pem))
    agent.fetch(installed).succeeded("installed")
    operations(aws)
    agent.fetch(installed, f"--version-id={next(iter(first))}").succeeded("installed")
    assert agent.file("client.crt") == before
    assert "VersionStage" not in json.loads(aws.asked[-1].body)
    agent.fetch(installed, f"--version-id={next(iter(first))}").succeeded("unchanged")


def test_an_id_is_of_one_secret(agent, installed):
    result = agent.fetch([installed, installed + "x"], f"--version-id={'1' * 32}")
    assert result.status == 64 and "is of one secret" in result.stderr


def test_stage_and_id_that_disagree(agent, aws, installed):
    aws.faults.append(
        aws_error(
            400,
            "InvalidRequestException",
            "You provided a VersionStage that is not associated to the provided VersionId.",
        )
    )
    agent.fetch(installed, f"--version-id={'1' * 32}", "--version-stage=AWSCURRENT").failed(77, "version_unknown")


@pytest.mark.parametrize("value", ["", "x" * 257, "a b", "a\x07"])
def test_what_is_no_label(agent, value):
    result = agent.fetch("mtls/x", f"--version-stage={value}")
    assert result.status == 64 and "staging label" in result.stderr


def test_a_pending_version_that_is_empty(agent, aws, put):
    """As CreateSecret and RotateSecret leave it before anybody has put a value there."""
    arn = put("x")
    body = {"ARN": arn, "Name": "x", "VersionId": "1" * 36, "VersionStages": ["AWSPENDING"]}
    aws.faults.append(Answer(200, json.dumps(body).encode(), {"Content-Type": AMZ_JSON}))
    error = agent.fetch(arn, "--version-stage=AWSPENDING").failed(75, "version_pending")
    assert "AWSPENDING" in error["reason"]


# ---- credentials that AWS no longer takes


EXPIRED = aws_error(400, "ExpiredTokenException", "The security token included in the request is expired")


def test_credentials_are_refreshed_once(agent, aws, up, put, good):
    container = up(ContainerCredentials(aws.session()))
    environment = {**NO_KEYS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri}
    arn = put(good)
    aws.faults.append(EXPIRED)
    old = container.session
    container.next_session = aws.session()
    result = agent.fetch(arn, env=environment).succeeded("installed", "credentials_refused")
    assert len(result.all("credentials")) == 2 and len(container.asked) == 2
    keys = [request.headers["Authorization"].split("Credential=")[1].split("/")[0] for request in aws.asked]
    assert keys == [old["AccessKeyId"], container.session["AccessKeyId"]]

    aws.faults.extend([EXPIRED] * 3)
    container.next_session = aws.session()
    agent.fetch(arn, env=environment, directory=agent.dir.parent / "other").failed(77, "credentials_expired")
    assert len(aws.faults) == 1
