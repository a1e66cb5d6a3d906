# SPDX-License-Identifier: Apache-2.0
"""Where AWS credentials and the region come from. The emulator checks every signature."""

import datetime

import pytest

from agent import DRY_RUN, snapshot
from day import CLOCK
from servers.aws import REGION, aws_error
from servers.container import ContainerCredentials
from servers.imds import TOKEN_HEADER, Imds
from servers.namespace import Namespace
from servers.proxy import FaultProxy

# The agent's environment without any keys.
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


def scope(request):
    """access key, date, region, service of a signed request"""
    credential = request.headers["Authorization"].split("Credential=")[1].split(",")[0]
    return credential.split("/")[:4]


@pytest.fixture(scope="module")
def session(aws_server):
    return aws_server.session()


def session_environment(session):
    return {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }


# ---- the environment


def test_keys_of_the_environment(agent, put, good):
    assert agent.fetch(put(good)).succeeded("installed").event("credentials")["source"] == "environment"


@pytest.mark.parametrize("name", ["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"])
def test_session_of_the_environment(agent, put, good, session, name):
    environment = session_environment(session)
    environment[name] = environment.pop("AWS_SESSION_TOKEN")
    agent.fetch(put(good), env=environment).succeeded("installed")


def test_a_wrong_session_token_is_denied(agent, put, good, session):
    environment = {**session_environment(session), "AWS_SESSION_TOKEN": "x" * 300}
    agent.fetch(put(good), *DRY_RUN, env=environment).failed(77, "credentials_unknown")


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_key_is_an_error(agent, put, good, missing):
    error = agent.fetch(put(good), env={missing: None}).failed(77, "credentials_failed")
    assert missing in error["reason"]


def test_no_credentials_at_all(agent, put, good):
    agent.fetch(put(good), env=NO_KEYS).failed(77, "credentials_missing")
    assert snapshot(agent.dir) is None


def test_blank_is_unset(agent, put, good):
    agent.fetch(put(good), env={"AWS_ACCESS_KEY_ID": " ", "AWS_SECRET_ACCESS_KEY": ""}).failed(
        77, "credentials_missing"
    )


# ---- instance metadata


@pytest.fixture
def imds(up, session):
    return up(Imds(session))


def test_instance_metadata(agent, put, good, imds, session, aws):
    result = agent.fetch(put(good), env={**NO_KEYS, **imds.environment()}).succeeded("installed")
    assert result.event("credentials")["source"] == "imds"
    assert scope(aws.asked[-1])[0] == session["AccessKeyId"]
    assert [request.method for request in imds.asked] == ["PUT", "GET", "GET"]
    assert all(TOKEN_HEADER in request.headers for request in imds.asked[1:])


def test_region_from_instance_metadata(agent, put, names, aws, good, session, up):
    imds = up(Imds(session, region="ap-southeast-2"))
    name = next(names)
    aws.put(name, good, region="ap-southeast-2")
    agent.fetch(name, env={**NO_KEYS, **imds.environment()}).succeeded("installed")
    assert scope(aws.asked[-1])[2] == "ap-southeast-2"


def test_metadata_token_that_expired_is_renewed(agent, put, good, imds):
    imds.expire_tokens = 1
    agent.fetch(put(good), env={**NO_KEYS, **imds.environment()}).succeeded("installed")
    assert [request.method for request in imds.asked].count("PUT") == 2


def test_metadata_not_ready_is_asked_again(agent, put, good, imds):
    imds.not_ready = 2
    agent.fetch(put(good), env={**NO_KEYS, **imds.environment()}).succeeded("installed")


def test_instance_without_a_role(agent, put, good, up, session):
    imds = up(Imds(session, role=None))
    agent.fetch(put(good), *DRY_RUN, env={**NO_KEYS, **imds.environment()}).failed(77, "role_missing")


def test_metadata_disabled_on_the_instance(agent, put, good, imds):
    imds.disabled = True
    error = agent.fetch(put(good), env={**NO_KEYS, **imds.environment()}).failed(77, "metadata_off")
    assert "metadata options turn it off" in error["reason"]


def test_metadata_disabled_by_variable(agent, put, good, imds):
    environment = {**NO_KEYS, **imds.environment(), "AWS_EC2_METADATA_DISABLED": "True"}
    agent.fetch(put(good), env=environment).failed(77, "credentials_missing")
    assert imds.asked == []


def test_never_version_1(agent, put, good, imds):
    """However the token request fails, nothing is asked without a token."""
    imds.disabled = True
    agent.fetch(put(good), env={**NO_KEYS, **imds.environment()}, deadline="3s")
    assert {request.method for request in imds.asked} == {"PUT"}


def test_keys_of_the_environment_come_first(agent, put, good, imds):
    agent.fetch(put(good), env=imds.environment()).succeeded("installed")
    assert imds.asked == []


def test_metadata_never_goes_through_a_proxy(agent, put, good, imds):
    dead = "http://127.0.0.1:9"
    agent.fetch(
        put(good),
        env={**NO_KEYS, **imds.environment(), "http_proxy": dead, "HTTP_PROXY": dead, "ALL_PROXY": dead},
    ).succeeded("installed")


# ---- container credentials


def test_container_by_full_uri(agent, put, good, up, session):
    container = up(ContainerCredentials(session))
    environment = {**NO_KEYS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri}
    assert (
        agent.fetch(put(good), env=environment).succeeded("installed").event("credentials")["source"]
        == "container"
    )


def test_container_token(agent, put, good, up, session):
    container = up(ContainerCredentials(session, token="Bearer one"))
    environment = {
        **NO_KEYS,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Bearer one",
    }
    agent.fetch(put(good), env=environment).succeeded("installed")


def test_container_token_file_is_read_anew(agent, tmp_path, put, good, up, session):
    container = up(ContainerCredentials(session, token="one"))
    token = tmp_path / "token"
    environment = {
        **NO_KEYS,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "not this",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
    }
    token.write_text("one")
    arn = put(good)
    agent.fetch(arn, env=environment).succeeded("installed")
    container.token = "two"
    token.write_text("two")
    agent.fetch(arn, env=environment).succeeded("unchanged")


def test_container_token_changes_between_tries(agent, tmp_path, put, good, up, session):
    """The file is read at every try, not once."""
    container = up(ContainerCredentials(session, token="two"))
    container.uninitialized = 1
    token = tmp_path / "token"
    token.write_text("two")
    agent.fetch(
        put(good),
        env={
            **NO_KEYS,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
        },
    ).succeeded("installed")
    assert len(container.asked) == 2


def test_container_token_with_a_line_break_is_refused(agent, put, good, up, session, tmp_path):
    container = up(ContainerCredentials(session))
    token = tmp_path / "token"
    token.write_text("one\r\nX-Injected: yes")
    environment = {
        **NO_KEYS,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
    }
    agent.fetch(put(good), env=environment).failed(77, "credentials_failed")
    assert container.asked == []


def test_old_ones_serve_until_there_are_new_ones(serve, put, good, up, session, clock):
    """In the last quarter of their life they are asked for anew, and there are none."""
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=10)
    container = up(ContainerCredentials({**session, "Expiration": end}))
    env = {**NO_KEYS, **clock.env, "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri}
    service = serve(put(good), "--log-level=debug", env=env, program=CLOCK, deadline="10s")
    service.wait("unchanged", 3)
    assert len(container.asked) == 1
    container.uninitialized = 1000
    clock.set(8 * 60)
    service.wait("credentials_not_renewed", 2)
    service.more("unchanged", 2)
    assert not service.all("error")
    container.uninitialized = 0
    service.more("credentials", source="container")


def test_files_are_read_anew_when_credentials_are_refused(agent, aws, put, good, tmp_path):
    """By who rotates keys while the agent asks."""
    file = tmp_path / "credentials"
    names = ("aws_access_key_id", "aws_secret_access_key")

    def write(pair):
        file.write_text("[default]\n" + "".join(f"{name}={pair[name]}\n" for name in names))

    def refuse_and_rotate():
        write(aws.keys)
        return aws_error(400, "ExpiredTokenException", "expired")

    write(aws.denied_keys)
    env = {**NO_KEYS, "AWS_SHARED_CREDENTIALS_FILE": str(file)}
    aws.faults.append(refuse_and_rotate)
    agent.fetch(put(good), env=env).succeeded("installed", "credentials_refused")


def test_container_never_ready(agent, put, good, up, session):
    container = up(ContainerCredentials(session))
    container.uninitialized = 1000
    environment = {**NO_KEYS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri}
    agent.fetch(put(good), env=environment, deadline="2s").failed(69, "container_not_ready")


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/no/t"},
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/no/t", "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/host"},
    ],
    ids=["container", "web identity"],
)
def test_token_file_missing(agent, put, good, variables):
    error = agent.fetch(put(good), env={**NO_KEYS, **variables}).failed(77, "token_file_missing")
    assert "/no/t" in error["reason"] + error["subject"]


def test_container_not_ready_is_asked_again(agent, put, good, up, session):
    """The ECS agent answers 503 until the task's role is there."""
    container = up(ContainerCredentials(session))
    container.uninitialized = 2
    environment = {**NO_KEYS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri}
    agent.fetch(put(good), env=environment).succeeded("installed")
    assert len(container.asked) == 3


def test_a_container_endpoint_that_refuses_is_not_passed_over(agent, put, good, up, session, imds):
    """A configured source that fails is an error, not a reason to try the next one."""
    container = up(ContainerCredentials(session, token="another"))
    environment = {**NO_KEYS, **imds.environment(), "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri}
    error = agent.fetch(put(good), env=environment).failed(77, "credentials_failed")
    assert "401" in error["reason"]
    assert imds.asked == []


@pytest.mark.parametrize(
    "uri",
    [
        "http://192.0.2.1/creds",
        "http://[2001:db8::1]/creds",
        "http://169.254.169.254/creds",
        "ftp://127.0.0.1/creds",
    ],
)
def test_a_container_uri_that_leads_away_is_refused(agent, put, good, uri):
    environment = {**NO_KEYS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": uri}
    result = agent.fetch(put(good), env=environment, deadline="5s")
    assert result.status in (77, 78), result.stderr


def test_container_by_relative_uri(agent, aws, tmp_path, put, good, up, session):
    """At 169.254.170.2, as in an ECS task: in a network of its own, with a way out to the emulator."""
    task = up(Namespace(tmp_path / "task", ["169.254.170.2"]))
    container = up(ContainerCredentials(session, listener=task.open("tcp", "169.254.170.2", 80)))
    to_aws = up(FaultProxy(aws.port, listener=task.open("tcp", "127.0.0.1")))
    environment = {
        **NO_KEYS,
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": container.path,
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{to_aws.port}",
    }
    result = agent.fetch(put(good), env=environment, prefix=task.enter).succeeded("installed")
    assert result.event("credentials")["source"] == "container"
    assert len(container.asked) == 1


# ---- the region


def test_region_of_the_arn_comes_first(agent, aws, put, good):
    arn = put(good, region="us-west-2")
    agent.fetch(arn, "--region=eu-north-1", env={"AWS_REGION": "eu-south-1"}).succeeded("installed")
    assert scope(aws.asked[-1])[2:] == ["us-west-2", "secretsmanager"]


@pytest.mark.parametrize(
    "flag,environment,expected",
    [
        ("--region=us-east-2", {"AWS_REGION": "us-west-1", "AWS_DEFAULT_REGION": "us-west-2"}, "us-east-2"),
        (None, {"AWS_REGION": "us-west-1", "AWS_DEFAULT_REGION": "us-west-2"}, "us-west-1"),
        (None, {"AWS_DEFAULT_REGION": "us-west-2"}, "us-west-2"),
    ],
)
def test_region_of_a_name(agent, aws, names, good, flag, environment, expected):
    name = next(names)
    aws.put(name, good, region=expected)
    agent.fetch(name, *[flag] * bool(flag), env=environment).succeeded("installed")
    assert scope(aws.asked[-1])[2] == expected


def test_no_region_at_all(agent, aws, good):
    agent.fetch("some-name").failed(78, "region_missing")
    assert aws.asked == []


def test_secrets_of_two_regions(agent, aws, put, good, authority):
    first, second = put(good, region=REGION), put(good, region="us-west-2")
    agent.fetch([f"one={first}", f"two={second}"]).succeeded()
    assert {scope(request)[2] for request in aws.asked} == {REGION, "us-west-2"}


def test_the_request_says_who_asks(agent, aws, put, good):
    """For CloudTrail."""
    agent.fetch(put(good)).succeeded()
    assert aws.asked[-1].headers["User-Agent"].startswith("mtls-agent/")
    assert aws.asked[-1].headers["X-Amz-Target"] == "secretsmanager.GetSecretValue"


# ---- white space and switches


@pytest.mark.parametrize("value", ["us-west-1\n", " us-west-1 ", "us-west-1\r\n"])
def test_white_space_around_a_region(agent, aws, names, good, value):
    name = next(names)
    aws.put(name, good, region="us-west-1")
    agent.fetch(name, env={"AWS_REGION": value}).succeeded("installed")


def test_white_space_around_keys_and_urls(agent, put, good):
    padded = {
        name: f" {agent.environment[name]}\r\n"
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_SECRETS_MANAGER")
    }
    agent.fetch(put(good), env=padded).succeeded("installed")


def test_a_zone_is_no_region(agent, aws):
    reason = agent.fetch("some-name", env={"AWS_REGION": "eu-central-1a"}).failed(78, "region_missing")["reason"]
    assert '"eu-central-1a" is an availability zone' in reason
    assert aws.asked == []


SWITCHES = [
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_STS_REGIONAL_ENDPOINTS",
]


@pytest.mark.parametrize("value", ["1", "yes", "ture"])
@pytest.mark.parametrize("name", SWITCHES)
def test_what_is_neither_true_nor_false(agent, aws, put, good, name, value):
    """Nothing is asked of an endpoint that was not meant."""
    error = agent.fetch(put(good), env={name: value}).failed(78, "config")
    assert error["subject"] == name and f'"{value}" is neither' in error["reason"]
    assert aws.asked == []


@pytest.mark.parametrize("value", ["False", "FALSE"])
def test_switches_in_any_case(agent, put, good, value):
    agent.fetch(put(good), env={"AWS_USE_FIPS_ENDPOINT": value}).succeeded("installed")


# ---- the region of the instance


def test_the_region_of_the_instance_is_asked_once(serve, names, aws, good, session, up):
    imds = up(Imds(session))
    name = next(names)
    aws.put(name, good)
    service = serve(name, "--log-level=debug", env=imds.environment())
    service.wait("unchanged", count=2)
    assert sum(request.path.endswith("placement/region") for request in imds.asked) == 1


def test_metadata_that_fails_is_no_missing_region(agent, names, session, up):
    """It may pass: the host is not told to correct its configuration."""
    imds = up(Imds(session))
    imds.hold_path = "api/token"
    error = agent.fetch(next(names), *DRY_RUN, env=imds.environment()).failed(69, "metadata_hop_limit")
    assert "hop limit" in error["remedy"]


def test_metadata_that_is_slow(agent, names, aws, good, session, up):
    """Longer than a try takes: the next one has more time."""
    imds = up(Imds(session))
    name = next(names)
    aws.put(name, good)
    imds.delay_s = 2.5
    agent.fetch(name, env={**NO_KEYS, **imds.environment()}, deadline="60s").succeeded("installed")
