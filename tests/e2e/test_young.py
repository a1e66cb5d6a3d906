# SPDX-License-Identifier: Apache-2.0
"""A role, a policy or a secret that was made a minute ago: AWS does not know it everywhere yet."""

import json

import pytest

from agent import DRY_RUN, PROGRAM
from day import CLOCK
from servers.aws import aws_error
from servers.http import Answer, json_answer, text_answer
from servers.imds import Imds

WHO = "User: arn:aws:sts::123456789012:assumed-role/host/i-0a1b2c3d4e5f67890 is not authorized to perform: "
READ = f"{WHO}secretsmanager:GetSecretValue on resource: mtls/host "
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
HASTE = {"TEST_HASTE": "50"}  # pauses, so many times shorter

DENIED = aws_error(400, "AccessDeniedException", f"{READ}because no identity-based policy allows the action")
UNKNOWN = aws_error(400, "UnrecognizedClientException", "The security token included in the request is invalid.")
STS_DENIED = Answer(
    403,
    b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message>"
    b"</Error></ErrorResponse>",
    {"Content-Type": "text/xml"},
)

# What AWS answers once or twice, and then no more: by its code here.
YOUNG = {
    "aws_denied": [DENIED, DENIED],
    "kms_denied": [aws_error(400, "AccessDeniedException", "Access to KMS is not allowed")],
    "credentials_unknown": [UNKNOWN],
    "secret_not_found": [
        aws_error(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    ],
    "version_missing": [
        aws_error(
            400,
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
        )
    ],
}

# What waiting cannot mend.
FINAL = {
    "explicit deny": Answer(
        400, json.dumps({"__type": "AccessDeniedException", "Message": f"{READ}with an explicit deny"}).encode()
    ),
    "organisation": aws_error(400, "AccessDeniedException", f"{READ}because no service control policy allows it"),
    "resources": aws_error(400, "AccessDeniedException", f"{READ}because no resource control policy allows it"),
    "endpoint": aws_error(400, "AccessDeniedException", f"{READ}because no VPC endpoint policy allows it"),
    "key": aws_error(400, "AccessDeniedException", f"{WHO}kms:Decrypt on it with an explicit deny in a policy"),
    "signature": aws_error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match"),
    "deleted": aws_error(400, "InvalidRequestException", "it was marked for deletion."),
    "something before AWS": text_answer(403, "Forbidden"),
}


@pytest.fixture
def fetch(agent):
    """fetch(secret, ...) by an agent whose pauses are short; as agent.fetch() else."""

    def run(secret, *arguments, env=None, program=CLOCK, deadline="10m", **options):
        argv = agent.fetch_arguments(secret, *arguments, deadline=deadline, **options)
        return agent.run(*argv, env={**HASTE, **(env or {})}, program=program)

    return run


def times(aws, action):
    return [request.headers.get("X-Amz-Target", "").endswith(action) for request in aws.asked].count(True)


@pytest.mark.parametrize("code", YOUNG)
def test_asked_again(fetch, aws, put, good, code):
    """With one line that says what for."""
    aws.faults += YOUNG[code]
    result = fetch(put(good)).succeeded("installed")
    wait = result.event("aws_wait")
    assert wait["code"] == code and wait["reason"] and wait["what"] and 0 < wait["left_ms"] <= 120_000
    assert len(result.all("credentials")) > len(YOUNG[code])
    assert times(aws, "GetSecretValue") == len(YOUNG[code]) + 1


def test_with_its_own_pauses(fetch, aws, put, good):
    aws.faults.append(DENIED)
    fetch(put(good), program=PROGRAM).succeeded("installed", "aws_wait")


ROLE_NOT_THERE = [text_answer(404, "Not Found")] * 2
ROLE_LISTED = [text_answer(200, "mtls-agent"), text_answer(404, "Not Found")]
ROLE_NOT_TRUSTED = [
    text_answer(200, "mtls-agent"),
    json_answer(200, {"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role mtls-agent."}),
]


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        (ROLE_NOT_THERE, "role_missing"),
        (ROLE_LISTED, "credentials_failed"),
        (ROLE_NOT_TRUSTED, "credentials_failed"),
    ],
    ids=["no role", "no credentials", "not trusted yet"],
)
def test_the_instances_role(fetch, aws, put, good, up, answers, code):
    imds = up(Imds(aws.session()))
    imds.faults += answers
    result = fetch(put(good), env={**NO_KEYS, **imds.environment()}).succeeded("installed")
    assert result.event("aws_wait")["code"] == code


@pytest.mark.parametrize(
    "fault", [STS_DENIED, aws_error(403, "InvalidClientTokenId", "The security token is invalid.")]
)
def test_a_role_to_assume(fetch, agent, aws, put, good, fault):
    aws.faults += [fault] * 2
    keys = agent.keys_of(aws.operator_keys)
    result = fetch(put(good), f"--role-arn={aws.role_arn}", env=keys).succeeded("installed")
    assert result.event("aws_wait")["code"] == "credentials_failed"
    assert result.event("aws_wait")["subject"] == aws.role_arn


@pytest.mark.parametrize("case", FINAL)
def test_at_once(fetch, aws, put, good, case):
    aws.faults.append(FINAL[case])
    result = fetch(put(good))
    assert result.status == 77 and not result.all("aws_wait") and result.event("error")
    assert times(aws, "GetSecretValue") == 1


def test_a_role_that_is_forbidden_to_be_assumed(fetch, agent, aws, put, good):
    aws.faults.append(aws_error(403, "AccessDenied", f"{WHO}sts:AssumeRole with an explicit deny in a policy"))
    result = fetch(put(good), f"--role-arn={aws.role_arn}", env=agent.keys_of(aws.operator_keys))
    result.failed(77, "credentials_failed")
    assert not result.all("aws_wait")


def test_never_in_a_dry_run(fetch, aws, put, good):
    aws.faults.append(DENIED)
    result = fetch(put(good), *DRY_RUN)
    result.failed(77, "aws_denied")
    assert not result.all("aws_wait") and times(aws, "GetSecretValue") == 1


def test_never_where_a_good_set_is_in_place(fetch, aws, put, good):
    arn = put(good)
    fetch(arn).succeeded("installed")
    aws.asked.clear()
    aws.faults += [DENIED] * 2  # of describing, and of reading
    result = fetch(arn)
    result.failed(77, "aws_denied")
    assert not result.all("aws_wait") and len(aws.asked) == 2


def test_a_broken_set_is_none(fetch, agent, aws, put, good):
    arn = put(good)
    fetch(arn).succeeded("installed")
    (agent.dir / "client.key").resolve().write_text("gone")
    aws.faults += [DENIED] * 2
    result = fetch(arn).succeeded("aws_wait")
    assert result.names()[-2] in ("healed", "installed")


def test_it_stays_refused(fetch, agent, aws, put, good):
    """Six tries, with fresh credentials each; then the cause with its own exit status, and how long was waited."""
    aws.faults += [DENIED] * 50
    result = fetch(put(good))
    error = result.failed(77, "aws_denied")
    assert times(aws, "GetSecretValue") == len(result.all("credentials")) == 6
    assert result.event("aws_wait") and "; waited " in error["reason"]
    assert "no identity-based policy allows" in error["reason"] and '{"Effect":"Allow"' in error["reason"]
    assert not agent.dir.exists()


def test_the_last_cause_is_told(fetch, aws, put, good, up):
    imds = up(Imds(aws.session()))
    imds.faults += ROLE_NOT_THERE
    aws.faults += [DENIED] * 50
    result = fetch(put(good), env={**NO_KEYS, **imds.environment()})
    assert result.event("aws_wait")["code"] == "role_missing"
    assert "; waited " in result.failed(77, "aws_denied")["reason"]


def test_what_is_final_ends_it(fetch, aws, put, good):
    aws.faults += [DENIED, FINAL["explicit deny"]]
    result = fetch(put(good))
    assert "; waited " in result.failed(77, "aws_denied_explicitly")["reason"]
    assert times(aws, "GetSecretValue") == 2


def test_within_the_deadline(fetch, aws, put, good):
    """The cause is told, and not that time is up."""
    aws.faults += [DENIED] * 50
    result = fetch(put(good), program=PROGRAM, deadline="4s")
    assert "; waited " in result.failed(77, "aws_denied")["reason"]
    assert result.event("aws_wait")["left_ms"] <= 4000


def test_the_others_do_not_wait(fetch, aws, put, good):
    """A set that is there is installed before one that is not there yet is waited for."""
    aws.faults.append(YOUNG["secret_not_found"][0])
    result = fetch([f"young={put(good)}", f"old={put(good)}"]).succeeded("aws_wait")
    assert [event["set"] for event in result.all("installed")] == ["old", "young"]
    names = result.names()
    assert names.index("installed") < names.index("aws_wait")


def test_one_of_two_stays_refused(fetch, aws, put, good):
    absent = put(good)
    aws.secrets.delete_secret(SecretId=absent, ForceDeleteWithoutRecovery=True)
    result = fetch([f"absent={absent}", f"there={put(good)}"])
    error = result.failed(77, "secret_not_found")
    assert error["subject"] == absent and result.event("installed")["set"] == "there"
    assert times(aws, "GetSecretValue") == 7


def test_runs_first_cycle(serve, aws, put, good):
    aws.faults += [DENIED] * 3
    service = serve(put(good), program=CLOCK, env=HASTE)
    service.wait("ready")
    assert len(service.all("aws_wait")) == 1 and not service.all("error")


def test_runs_later_cycles(serve, aws, put, good):
    """They come by themselves: one try each, as ever."""
    aws.faults += [DENIED] * 1000
    service = serve(put(good), "--log-level=debug", program=CLOCK, env=HASTE)
    assert "; waited " in service.wait("error", code="aws_denied")["reason"]
    assert times(aws, "GetSecretValue") == 6
    service.wait("error", 4, code="aws_denied")
    service.stop()
    assert len(service.all("aws_wait")) == 1
    assert times(aws, "GetSecretValue") <= 6 + len(service.all("error")) - 1 + 1  # one may have been cut off


def test_credentials_that_are_taken_are_kept(serve, aws, put, good, up):
    """Fresh ones for each try, and then the same from cycle to cycle."""
    imds = up(Imds(aws.session()))
    aws.faults += [DENIED] * 2
    env = {**HASTE, **NO_KEYS, **imds.environment()}
    service = serve(put(good), "--log-level=debug", program=CLOCK, env=env)
    service.wait("ready")
    service.wait("unchanged", 3)
    assert len(service.all("credentials")) == 3
