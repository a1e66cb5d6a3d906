# SPDX-License-Identifier: Apache-2.0
"""
Errors that end the search: each case with its code, its cause, its object and a remedy. moto cannot make most of
them; the server in front of it then answers in AWS's wire form, in the words of the recorded answers where those
have them.
"""

import pytest

from agent import DRY_RUN, snapshot
from servers.aws import aws_error
from servers.connect import ConnectProxy
from servers.http import Answer
from servers.namespace import Namespace
from servers.process import free_port

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls/host-AbCdEf"
ROLE = "User: arn:aws:sts::123456789012:assumed-role/host/i-0a1b2c3d4e5f67890 is not authorized to perform: "
NOT_FOUND = aws_error(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


def no_value(what):
    return aws_error(
        400,
        "ResourceNotFoundException",
        f"Secrets Manager can't find the specified secret value for {what}",
    )


# What AWS answers, exit status, code, what the reason must name.
CASES = {
    "denied": (
        aws_error(400, "AccessDeniedException", f"{ROLE}secretsmanager:GetSecretValue on resource: {ARN} because no "
                  "identity-based policy allows the secretsmanager:GetSecretValue action"),
        77, "aws_denied",
        ["assumed-role/host", f'"Action":"secretsmanager:GetSecretValue","Resource":"{ARN}"', "the role's own policies"],
    ),
    "denied by an endpoint's policy": (
        aws_error(400, "AccessDeniedException", f"{ROLE}secretsmanager:GetSecretValue on resource: {ARN} because no VPC "
                  "endpoint policy allows the secretsmanager:GetSecretValue action"),
        77, "aws_denied", ["the VPC endpoint's policy"],
    ),
    "forbidden": (
        aws_error(400, "AccessDeniedException", f"{ROLE}secretsmanager:GetSecretValue on resource: {ARN} with an "
                  "explicit deny in a service control policy"),
        77, "aws_denied_explicitly", ["a service control policy"],
    ),
    "key denied": (
        aws_error(400, "AccessDeniedException", "Access to KMS is not allowed"),
        77, "kms_denied", ["kms:Decrypt", "KmsKeyId"],
    ),
    "key denied, with the key": (
        aws_error(400, "AccessDeniedException", f"{ROLE}kms:Decrypt on the KMS key arn:aws:kms:eu-central-1:1:key/k"),
        77, "kms_denied", ["kms:Decrypt"],
    ),
    "key disabled": (
        aws_error(400, "DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the "
                  "provided KMS key."),
        77, "kms_failed", ["KMS key"],
    ),
    "marked for deletion": (
        aws_error(400, "InvalidRequestException", "You can't perform this operation on the secret because it was "
                  "marked for deletion."),
        77, "secret_deleted", ["marked for deletion"],
    ),
    "not found": (NOT_FOUND, 77, "secret_not_found", ["in eu-central-1", "made anew by the same name has another ARN"]),
    "no current version": (no_value("staging label: AWSCURRENT"), 77, "version_missing", ["AWSCURRENT"]),
    "no previous version": (no_value("staging label: AWSPREVIOUS"), 77, "version_unknown", ["AWSPREVIOUS"]),
    "no pending version": (no_value("staging label: AWSPENDING"), 75, "version_pending", ["AWSPENDING"]),
    "no such version": (no_value("VersionId: 11111111-2222"), 77, "version_unknown", ["11111111-2222"]),
    "stage of another version": (
        aws_error(400, "InvalidRequestException", "You provided a VersionStage that is not associated to the "
                  "provided VersionId."),
        77, "version_unknown", ["VersionStage"],
    ),
    "signature": (
        aws_error(400, "InvalidSignatureException", "The request signature we calculated does not match"),
        77, "signature_wrong", ["credentials of environment"],
    ),
    "expired": (
        aws_error(400, "ExpiredTokenException", "The security token included in the request is expired"),
        77, "credentials_expired", ["credentials of environment"],
    ),
    "unknown": (
        aws_error(400, "UnrecognizedClientException", "The security token included in the request is invalid."),
        77, "credentials_unknown", ["credentials of environment"],
    ),
    "clock, without a Date": (
        aws_error(400, "InvalidSignatureException", "Signature expired: 20200101T000000Z is now earlier than",
                  Date="today"),
        75, "clock_skew", ["Signature expired"],
    ),
    "something new": (
        aws_error(400, "ValidationException", "Invalid name."), 77, "aws_rejected", ["ValidationException"]
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(agent, aws, case):
    answer, status, code, parts = CASES[case]
    aws.faults.extend([answer] * 3)
    error = agent.fetch(ARN, *DRY_RUN).failed(status, code)  # which waits for nothing
    assert error["subject"] == ARN and error["remedy"]
    assert all(part in error["reason"] for part in ["request id", f"localhost:{aws.port}", *parts]), error["reason"]
    assert snapshot(agent.dir) is None


@pytest.mark.parametrize(
    ("secret", "part"),
    [
        (ARN[:-7], "lacks the hyphen and six characters"),
        ("mtls/host-AbCdEf", "stands without the hyphen and six characters"),
        ("mtls/host", "only in the account of the credentials and in this region"),
    ],
)
def test_names_and_arns(agent, aws, secret, part):
    aws.faults.append(NOT_FOUND)
    error = agent.fetch(secret, "--region=eu-central-1", *DRY_RUN).failed(77, "secret_not_found")
    assert part in error["reason"]


def test_the_statement_for_a_name_in_another_partition(agent, aws):
    aws.faults.append(aws_error(400, "AccessDeniedException", "no"))
    error = agent.fetch("mtls/host", "--region=cn-north-1", *DRY_RUN).failed(77, "aws_denied")
    assert '"Resource":"arn:aws-cn:secretsmanager:cn-north-1:*:secret:mtls/host-??????"' in error["reason"]


def test_the_statement_is_whole_for_long_names(agent, aws):
    """Whatever is cut, what is to be pasted is not."""
    arn = f"arn:aws:secretsmanager:eu-central-1:123456789012:secret:{'a' * 500}-AbCdEf"
    aws.faults.append(aws_error(400, "AccessDeniedException", ROLE + "x " * 200))
    reason = agent.fetch(arn, *DRY_RUN).failed(77, "aws_denied")["reason"]
    assert f'add {{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"{arn}"}}' in reason
    assert "AccessDeniedException" in reason


# What is no answer of AWS's, and what of it must be passed on.
STRANGE = {
    "a middlebox's page": ("<!DOCTYPE html>\n<html><head><Title>Web filter:\n blocked</Title>", "Web filter: blocked"),
    "plain text": ("Egress to this host\n is not allowed.\n", "Egress to this host is not allowed."),
    "XML": ("<Error><Why>blocked</Why><Who>proxy</Who></Error>", "blocked proxy"),
    "JSON of another kind": ('{"error": "invalid_client", "code": null}', "invalid_client"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_not_awss_answer_is_quoted(agent, aws, kind):
    body, said = STRANGE[kind]
    aws.faults.append(Answer(403, body.encode()))
    error = agent.fetch(ARN, *DRY_RUN).failed(77, "aws_denied")
    assert said in error["reason"]
    assert error["remedy"].startswith("This answer is not from AWS")


def test_a_portal_that_answers_for_aws_is_named(agent, aws):
    aws.faults.append(Answer(200, b"<html><title>Sign in to Wi-Fi</title></html>"))
    assert '("Sign in to Wi-Fi")' in agent.fetch(ARN, *DRY_RUN).failed(69, "aws_answer")["reason"]


@pytest.mark.parametrize(
    ("code", "message", "remedy"),
    [
        ("AccessDeniedException", "no VPC endpoint policy allows the action", "The role's own policies"),
        ("OptInRequired", "You are not subscribed to this service", "Enable the service or the region"),
        ("AccessDeniedException", "no identity-based policy allows the action", "Add the statement"),
    ],
)
def test_the_remedy_of_a_denial(agent, aws, code, message, remedy):
    aws.faults.append(aws_error(400, code, message))
    assert agent.fetch(ARN, *DRY_RUN).failed(77, "aws_denied")["remedy"].startswith(remedy)


def test_a_role_session_name_is_not_cut(agent, aws, tmp_path):
    (tmp_path / "token").write_text(aws.web_token)
    env = {
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_ROLE_ARN": aws.role_arn,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_SESSION_NAME": "n" * 65,
    }
    error = agent.fetch(ARN, *DRY_RUN, env=env).failed(78, "config")
    assert "(65 bytes)" in error["reason"] and "AWS_ROLE_SESSION_NAME" in error["remedy"]
    assert aws.asked == []


def test_a_field_behind_an_arn(agent):
    """As ECS has it in valueFrom."""
    result = agent.run("fetch", f"--secret={ARN}:client_cert::", f"--dir={agent.dir}")
    assert result.status == 64 and "has a ':' behind the secret's name" in result.stderr


# ---- nobody is reached


def fetch_at(agent, url, **options):
    return agent.fetch(ARN, env={"AWS_ENDPOINT_URL_SECRETS_MANAGER": url}, deadline="2s", **options)


def test_nobody_listens(agent):
    port = free_port()
    error = fetch_at(agent, f"https://localhost:{port}").failed(69, "aws_unreachable")
    assert f"localhost:{port}" in error["reason"] and "127.0.0.1" in error["reason"]


def test_no_such_name(agent):
    error = fetch_at(agent, "https://vpce-0123.secretsmanager.eu-central-1.vpce.invalid").failed(69, "dns_failed")
    assert "vpce-0123" in error["reason"]


def test_a_middlebox(agent, tmp_path, stranger):
    (tmp_path / "other.pem").write_text(stranger.pem)
    error = agent.fetch(ARN, env={"AWS_CA_BUNDLE": f"{tmp_path}/other.pem"}).failed(69, "aws_untrusted")
    assert "Test AWS Root" in error["reason"] and "AWS_CA_BUNDLE" in error["remedy"]


@pytest.fixture
def network(up, tmp_path):
    return lambda **options: up(Namespace(tmp_path / "net", **options))


def test_no_route(agent, network):
    """A network of loopback alone."""
    inside = network()
    error = fetch_at(agent, "https://203.0.113.1", prefix=inside.enter).failed(69, "no_route")
    assert "203.0.113.1:443" in error["reason"] and "NAT gateway" in error["remedy"]


@pytest.mark.parametrize(("address", "code"), [("203.0.113.1", "private_dns"), ("10.0.0.1", "aws_unreachable")])
def test_a_public_address_that_is_silent(agent, network, address, code):
    """As where a VPC endpoint is there, and its private DNS is not. A full backlog drops what comes."""
    inside = network(addresses=[address])
    listener = inside.open("tcp", address, 443)
    listener.listen(0)
    waiting = [inside.connect(address, 443) for _ in range(3)]
    error = agent.fetch(
        ARN,
        env={"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://{address}"},
        deadline="3s",
        prefix=inside.enter,
    ).failed(69, code)
    assert address in error["reason"]
    for each in [listener, *waiting]:
        each.close()


def test_dns_is_dead(agent, network):
    inside = network()
    silent = inside.open("udp", "127.0.0.1", 53)
    fetch_at(agent, "https://secretsmanager.test", prefix=inside.enter).failed(69, "dns_failed")
    silent.close()


def test_a_proxy_that_refuses(agent, up):
    proxy = up(ConnectProxy(status=403))
    error = agent.fetch(ARN, f"--proxy=127.0.0.1:{proxy.port}").failed(69, "proxy_refused")
    assert "403" in error["reason"]


