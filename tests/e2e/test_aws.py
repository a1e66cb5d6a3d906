# SPDX-License-Identifier: Apache-2.0
"""What AWS may answer, and what becomes of it."""

import datetime
import json
import shutil

import pytest

from agent import DRY_RUN, snapshot, wait_for
from day import CLOCK
from servers.aws import aws_error
from servers.http import Answer
from servers.pki import DAY, document
from servers.process import free_port

NOWHERE = "https://localhost:{}"


@pytest.fixture
def unreachable():
    return {"AWS_ENDPOINT_URL_SECRETS_MANAGER": NOWHERE.format(free_port())}


# ---- denied and not found: always an error, with AWS's own words


def test_denied(agent, aws, put, good):
    result = agent.fetch(put(good), env=aws.environment(aws.denied_keys), deadline="3s")
    error = result.failed(77, "aws_denied")
    assert "AccessDeniedException" in error["reason"]
    assert "is not authorized to perform: secretsmanager:GetSecretValue" in error["reason"]
    assert "request id" in error["reason"]
    assert snapshot(agent.dir) is None


def test_unknown_key(agent, aws, put, good):
    unknown = {"aws_access_key_id": "AKIA0000000000000000", "aws_secret_access_key": "x" * 40}
    error = agent.fetch(put(good), *DRY_RUN, env=aws.environment(unknown)).failed(77, "credentials_unknown")
    assert "UnrecognizedClientException" in error["reason"]


def test_wrong_secret_key(agent, aws, put, good):
    wrong = {**aws.keys, "aws_secret_access_key": "x" * 40}
    error = agent.fetch(put(good), env=aws.environment(wrong)).failed(77, "signature_wrong")
    assert "InvalidSignatureException" in error["reason"]
    assert aws.disagreements.pop().startswith("botocore signs")


def test_not_found(agent, aws):
    error = agent.fetch("mtls/absent", "--region=eu-central-1", *DRY_RUN).failed(77, "secret_not_found")
    assert error["subject"] == "mtls/absent"
    assert (
        "ResourceNotFoundException" in error["reason"]
        and "can't find the specified secret" in error["reason"]
    )


def test_scheduled_for_deletion(agent, aws, put, good):
    arn = put(good)
    aws.secrets.delete_secret(SecretId=arn)
    assert "InvalidRequestException" in agent.fetch(arn).failed(77, "secret_deleted")["reason"]


def test_request_id_is_shown(agent, aws, put, good):
    aws.faults.append(
        aws_error(400, "AccessDeniedException", "no", request_id="e0a1b2c3-1111-2222-3333-444455556666")
    )
    error = agent.fetch(put(good), *DRY_RUN).failed(77, "aws_denied")
    assert "e0a1b2c3-1111-2222-3333-444455556666" in error["reason"]


@pytest.mark.parametrize(
    "form",
    [
        Answer(400, b'{"__type":"com.amazonaws.secretsmanager#AccessDeniedException","Message":"no"}'),
        Answer(
            400,
            b'{"message":"no"}',
            {"x-amzn-ErrorType": "AccessDeniedException:http://internal.amazon.com/coral/"},
        ),
        Answer(403, b'{"code":"AccessDeniedException","message":"no"}'),
    ],
)
def test_forms_of_an_error(agent, aws, put, good, form):
    aws.faults.append(form)
    error = agent.fetch(put(good), *DRY_RUN).failed(77, "aws_denied")
    assert error["reason"].startswith("AccessDeniedException: no")


def test_denied_is_an_error_even_with_a_good_set_in_place(agent, aws, put, good):
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    before = snapshot(agent.dir)
    agent.fetch(arn, env=aws.environment(aws.denied_keys)).failed(77, "aws_denied")
    assert snapshot(agent.dir) == before


SKEWED = aws_error(403, "RequestExpired", "Signature expired", Date="Mon, 23 Nov 2015 10:00:00 GMT")


def test_a_wrong_clock_is_corrected_once(agent, aws, put, good):
    aws.faults.append(SKEWED)
    result = agent.fetch(put(good)).succeeded("installed")
    assert result.event("clock_skew")["seconds"] < -86400
    assert [request.headers["X-Amz-Date"][:4] for request in aws.asked][-1] == "2015"


def test_a_wrong_clock_is_corrected_at_sts(agent, aws, put, good):
    expired = "Signature expired: 20261123T100000Z is now earlier than 20261123T101500Z"
    aws.faults.append(
        aws_error(403, "SignatureDoesNotMatch", expired, Date="Mon, 23 Nov 2015 10:00:00 GMT")
    )
    environment = {**aws.environment(aws.operator_keys), "AWS_ENDPOINT_URL_STS": aws.url}
    result = agent.fetch(put(good), f"--role-arn={aws.role_arn}", env=environment)
    assert result.succeeded("installed", "clock_skew", "role_assumed")


def test_a_wrong_clock_is_named(agent, aws, put, good):
    aws.faults.extend([SKEWED, SKEWED])
    assert "this host's clock is" in agent.fetch(put(good)).failed(75, "clock_skew")["reason"]
    assert len(aws.asked) == 2


def test_a_clock_that_was_set_right_meanwhile_counts(agent, aws, put, good):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    aws.faults.extend([SKEWED, aws_error(403, "RequestExpired", "Signature expired", Date=now)])
    result = agent.fetch(put(good)).succeeded("installed")
    assert [event["seconds"] for event in result.all("clock_skew")][1] == 0
    assert aws.asked[-1].headers["X-Amz-Date"][:4] != "2015"


def test_a_wrong_clock_is_known_in_the_next_cycle(serve, aws, put, good):
    aws.faults.append(SKEWED)
    service = serve(put(good), "--log-level=debug")
    service.wait("clock_skew")
    service.wait("unchanged", 3)
    assert len(service.all("clock_skew")) == 1
    assert [request.headers["X-Amz-Date"][:4] == "2015" for request in aws.asked] == [
        False,
        *[True] * (len(aws.asked) - 1),
    ]


def test_awss_certificate_waits_for_the_clock_too(agent, aws, put, good, clock):
    """As ours does: a host may start before its clock is set."""
    clock.set(-10 * 365 * 86400)
    running = agent.start(*agent.fetch_arguments(put(good), deadline="60s"), program=CLOCK, env=clock.env)
    try:
        waits = any('"clock_wait"' in line for line in iter(running.child.stderr.readline, ""))
    finally:
        clock.set(0)
    assert waits
    running.finish().succeeded("installed")


def test_good_credentials_survive_failures_of_aws(serve, aws, put, good):
    """A role is assumed once, not in each cycle in which AWS is busy, or a secret is missing."""
    env = {**aws.environment(aws.operator_keys), "AWS_ENDPOINT_URL_STS": aws.url}
    options = {"env": env, "deadline": "1s"}
    service = serve(put(good), f"--role-arn={aws.role_arn}", "--log-level=debug", **options)
    service.wait("unchanged")
    aws.faults.extend([FAILED] * 12)
    service.wait("kept_stale", 2, seconds=60)
    aws.faults.clear()
    service.more("unchanged", 2)
    aws.faults.extend([aws_error(400, "ResourceNotFoundException", "Secrets Manager can't find it.")] * 4)
    service.wait("error", code="secret_not_found", seconds=60)
    service.more("unchanged", 2)
    assert len(service.all("role_assumed")) == 1


# ---- throttling and failures pass


THROTTLED = aws_error(400, "ThrottlingException", "Rate exceeded")
FAILED = aws_error(500, "InternalServiceError", "An error occurred on the server side.")
TORN = Answer(502, b"<html>bad gateway</html>", {"Content-Type": "text/html"})


@pytest.mark.parametrize(
    "faults",
    [[THROTTLED], [FAILED, FAILED], [TORN, aws_error(503, "ServiceUnavailable", "later")]],
    ids=["throttled", "500 twice", "502 and 503"],
)
def test_tried_again_until_it_succeeds(agent, aws, put, good, faults):
    aws.faults.extend(faults)
    result = agent.fetch(put(good)).succeeded("installed")
    assert len(result.all("retry")) == len(faults)
    assert len(aws.asked) == len(faults) + 1


@pytest.mark.parametrize("attempts", ["1", "2", "7"])
def test_rounds_follow_until_it_succeeds(agent, aws, put, good, attempts):
    """AWS_MAX_ATTEMPTS is about one round."""
    aws.faults.extend([FAILED] * 3)
    result = agent.fetch(put(good), env={"AWS_MAX_ATTEMPTS": attempts}).succeeded("installed")
    assert len(aws.asked) == 4
    longest = {"1": [1000, 2000, 4000], "2": [50, 1000, 50], "7": [50, 100, 200]}[attempts]
    waits = [event["delay_ms"] for event in result.all("retry")]
    assert all(wait <= most for wait, most in zip(waits, longest, strict=True))


def test_the_server_may_ask_for_more_time(agent, aws, put, good):
    aws.faults.append(aws_error(503, "ServiceUnavailable", "later", **{"x-amz-retry-after": "700"}))
    assert agent.fetch(put(good)).succeeded("installed").event("retry")["delay_ms"] == 700


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_MAX_ATTEMPTS", "0"), ("AWS_MAX_ATTEMPTS", "many"), ("AWS_RETRY_MODE", "fancy")],
)
def test_retry_settings_that_make_no_sense(agent, name, value):
    error = agent.fetch("mtls/x", "--region=eu-central-1", env={name: value}).failed(78, "config")
    assert error["subject"] == name and value in error["reason"]


@pytest.mark.parametrize("mode", ["standard", "adaptive", "legacy"])
def test_retry_modes(agent, put, good, mode):
    agent.fetch(put(good), env={"AWS_RETRY_MODE": mode}).succeeded("installed")


def test_throttled_for_ever(agent, aws, put, good):
    aws.faults.extend([THROTTLED] * 100)
    result = agent.fetch(put(good), deadline="3s")
    assert result.status in (69, 75), result.stderr
    assert "ThrottlingException" in result.event("error")["reason"]
    assert result.seconds < 60


def test_retries_are_spread(agent, aws, put, good):
    """Full jitter: the waits differ, and none is as long as the cap."""
    aws.faults.extend([FAILED] * 4)
    retries = agent.fetch(put(good), deadline="80s").succeeded("installed").all("retry")
    waits = [event["delay_ms"] for event in retries]
    assert len(waits) == 4 and len(set(waits)) > 1 and sum(waits) < 5000


# ---- AWS cannot be reached


def test_unreachable_with_nothing_installed(agent, put, good, unreachable):
    result = agent.fetch(put(good), env=unreachable, deadline="2s")
    assert result.status in (69, 75), result.stderr
    assert snapshot(agent.dir) is None


def test_unreachable_keeps_a_good_set(agent, put, good, unreachable):
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    before = snapshot(agent.dir)
    result = agent.fetch(arn, env=unreachable, deadline="3s").succeeded("kept_stale")
    assert result.event("kept_stale")["level"] == "warning"
    assert snapshot(agent.dir) == before


def test_throttled_keeps_a_good_set(agent, aws, put, good):
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    aws.faults.extend([THROTTLED] * 100)
    agent.fetch(arn, deadline="3s").succeeded("kept_stale")


def test_unreachable_fails_when_told(agent, put, good, unreachable):
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    before = snapshot(agent.dir)
    result = agent.fetch(arn, "--if-unreachable=fail", env=unreachable, deadline="2s")
    assert result.status in (69, 75), result.stderr
    assert snapshot(agent.dir) == before


def test_unreachable_keeps_what_lives_for_an_hour_alone(agent, put, authority, unreachable):
    """How much life is left to serve with is a matter of how long it lives."""
    short = authority.issue("ECS-Client", lifetime=(-DAY / 2400, DAY / 48))
    arn = put(document(short, authority.pem))
    agent.fetch(arn).succeeded("installed")
    agent.fetch(arn, env=unreachable, deadline="2s").succeeded("kept_stale")


def another_account(arn):
    parts = arn.split(":")
    return ":".join([*parts[:4], "999999999999", *parts[5:]])


def another_name(arn):
    return arn[: arn.rindex(":") + 1] + "production/mtls-AbCdEf"


@pytest.mark.parametrize("other", [another_account, another_name])
def test_unreachable_keeps_no_set_of_other_sources(agent, put, good, unreachable, other):
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    before = snapshot(agent.dir)
    result = agent.fetch(other(arn), env={**unreachable, "AWS_MAX_ATTEMPTS": "1"}, deadline="20s")
    assert arn in result.failed(69, "aws_unreachable")["reason"] and not result.all("kept_stale")
    assert snapshot(agent.dir) == before


def test_unreachable_keeps_what_may_be_of_these_sources(agent, put, good, unreachable):
    """A name, an ARN without its suffix, a replica."""
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    parts = arn.split(":")
    replica = ":".join([*parts[:3], "us-west-2", *parts[4:]])
    env = {**unreachable, "AWS_REGION": parts[3]}
    for same in (parts[-1][:-7], arn[:-7], replica):
        agent.fetch(same, env=env, deadline="2s").succeeded("kept_stale")


def lose_manifest(agent):
    (agent.dir / "..data" / "manifest").unlink()


def make_plain(agent):
    files = {name: (agent.dir / name).read_text() for name in ("client.crt", "client.key", "ca.crt")}
    shutil.rmtree(agent.dir)
    agent.dir.mkdir()
    for name, text in files.items():
        (agent.dir / name).write_text(text)
        (agent.dir / name).chmod(0o600)


@pytest.mark.parametrize("lose", [lose_manifest, make_plain])
def test_what_does_not_say_of_which_sources_it_is(agent, put, good, unreachable, lose):
    """It counts as of these, and says so once AWS is there."""
    arn, other = put(good), put(good)
    agent.fetch(arn).succeeded("installed")
    lose(agent)
    agent.fetch(other, env=unreachable, deadline="2s").succeeded("kept_stale")
    assert agent.fetch(arn).status == 0
    agent.fetch(arn, env=unreachable, deadline="2s").succeeded("kept_stale")
    assert agent.fetch(other, env=unreachable, deadline="2s").status == 69


def test_a_set_of_other_sources_is_no_way_back_either(agent, put, good, unreachable):
    first, second = put(good), put(good)
    agent.fetch(first).succeeded("installed")
    agent.fetch(second).succeeded("installed")
    assert first in agent.fetch(second, "--rollback").failed(73, "no_previous")["reason"]


def test_unproven_replaces_a_set_of_other_sources(agent, put, good, authority):
    """A host that moves to another environment whose enclaves are not up yet."""
    nobody = f"localhost:{free_port()}"
    agent.fetch(put(good)).succeeded("installed")
    new = authority.issue("ECS-Client")
    agent.fetch(put(document(new, authority.pem)), endpoint=nobody).succeeded("unproven", "installed")
    assert agent.file("client.crt") == new.cert


def test_nor_is_run_ready_with_it(agent, serve, put, good, unreachable):
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    other = another_name(arn)
    service = serve(other, env=unreachable, deadline="3s")
    service.wait("error")
    assert not service.all("ready")

    def problem():
        return agent.status()["sets"][0]["problem"] or {}

    wait_for(lambda: problem().get("code") == "identity_unexpected")
    assert arn in problem()["reason"]
    line = agent.run("healthcheck", f"--dir={agent.dir}", f"--secret={other}")
    assert line.status == 1 and arn in line.stdout


@pytest.mark.parametrize("damage", ["expiring", "damaged", "missing"])
def test_unreachable_keeps_only_what_will_serve(agent, put, authority, unreachable, damage):
    life = DAY / 48 if damage == "expiring" else DAY
    arn = put(document(authority.issue("ECS-Client", lifetime=(-DAY, life)), authority.pem))
    agent.fetch(arn).succeeded("installed")
    if damage == "damaged":
        (agent.dir / "client.key").resolve().write_text("x")
    if damage == "missing":
        (agent.dir / "ca.crt").resolve().unlink()
    result = agent.fetch(arn, env=unreachable, deadline="2s")
    assert result.status in (69, 75), result.stderr
    assert not result.all("kept_stale")


def test_a_certificate_that_is_not_trusted(agent, tmp_path, put, good, stranger):
    other = tmp_path / "other.pem"
    other.write_text(stranger.pem)
    result = agent.fetch(put(good), env={"AWS_CA_BUNDLE": str(other)}, deadline="3s")
    result.failed(69, "aws_untrusted")


def test_amazons_roots_are_built_in(agent, aws, put, good):
    """Without AWS_CA_BUNDLE the emulator's certificate is a stranger's."""
    agent.fetch(put(good), env={"AWS_CA_BUNDLE": None}, deadline="3s").failed(69, "aws_untrusted")
    assert aws.asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"ARN":"x"}',
        b'{"ARN":"x","VersionId":"y"}',
        b"<html>hello</html>",
        json.dumps({"ARN": "x", "VersionId": "y", "SecretBinary": "*"}).encode(),
    ],
)
def test_an_answer_that_makes_no_sense(agent, aws, put, good, body):
    aws.faults.extend([Answer(200, body, {"Content-Type": "application/json"})] * 50)
    result = agent.fetch(put(good), deadline="3s")
    assert result.status == 69, result.stderr
    assert result.event("error")["code"] == "aws_answer"
    assert snapshot(agent.dir) is None


def test_an_endless_answer_is_cut(agent, aws, put, good):
    aws.faults.append(Answer(200, b" " * (8 << 20)))
    result = agent.fetch(put(good), deadline="5s")
    assert result.status in (65, 69), result.stderr


def test_redirects_are_not_followed(agent, aws, put, good, up):
    aws.faults.append(Answer(302, b"", {"Location": f"{aws.url}/"}))
    result = agent.fetch(put(good), deadline="3s")
    assert result.status == 69, result.stderr
    assert len(aws.asked) == 1
