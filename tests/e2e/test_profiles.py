# SPDX-License-Identifier: Apache-2.0
"""Credentials of profiles, of web identities, and of roles assumed over others. The emulator checks every signature."""

from urllib.parse import parse_qs

import pytest

from agent import snapshot
from servers.aws import REGION
from servers.container import ContainerCredentials
from servers.http import Answer
from servers.imds import Imds

NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


def keys(section, pair, prefix=""):
    return (
        f"[{prefix}{section}]\naws_access_key_id = {pair['aws_access_key_id']}\n"
        f"aws_secret_access_key = {pair['aws_secret_access_key']}\n"
    )


@pytest.fixture
def files(tmp_path):
    """files(config, credentials) writes both below a home; the environment that leads to it, without keys."""

    def write(config="", credentials=""):
        folder = tmp_path / "home" / ".aws"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config").write_text(config)
        (folder / "credentials").write_text(credentials)
        return {**NO_KEYS, "HOME": str(tmp_path / "home")}

    return write


@pytest.fixture
def token_file(tmp_path, aws):
    path = tmp_path / "token.jwt"
    path.write_text(aws.web_token + "\n")
    return path


def forms(aws):
    """What STS was asked."""
    bodies = [request.body.decode() for request in aws.asked if b"Action=AssumeRole" in request.body]
    return [{name: values[0] for name, values in parse_qs(body).items()} for body in bodies]


def signer(request):
    credential = request.headers["Authorization"].split("Credential=")[1].split(",")[0].split("/")
    return credential[0], *credential[2:4]


# ---- roles over what was found


def test_a_role_over_keys_of_the_environment(agent, aws, put, good):
    arguments = [
        f"--role-arn={aws.role_arn}",
        "--role-session-name=host-17",
        "--role-external-id=customer:42/a",
        "--region=" + REGION,
    ]
    result = agent.fetch(put(good), *arguments, env=agent.keys_of(aws.operator_keys)).succeeded("installed")
    assert result.event("credentials")["source"] == "environment"
    assert result.event("role_assumed")["role"] == aws.role_arn
    assert forms(aws) == [
        {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": aws.role_arn,
            "RoleSessionName": "host-17",
            "ExternalId": "customer:42/a",
        }
    ]
    assert signer(aws.asked[0]) == (aws.operator_keys["aws_access_key_id"], REGION, "sts")
    assert signer(aws.asked[-1])[0] not in (aws.operator_keys["aws_access_key_id"], aws.keys["aws_access_key_id"])


def test_a_role_has_a_session_name(agent, aws, put, good):
    agent.fetch(put(good), f"--role-arn={aws.role_arn}", env=agent.keys_of(aws.operator_keys)).succeeded()
    assert forms(aws)[0]["RoleSessionName"].startswith("mtls-agent-")


def test_a_role_that_is_denied(agent, aws, put, good):
    keys = agent.keys_of(aws.denied_keys)
    result = agent.fetch(put(good), f"--role-arn={aws.role_arn}", env=keys, deadline="3s")
    error = result.failed(77, "credentials_failed")
    assert error["subject"] == aws.role_arn
    assert "AccessDenied" in error["reason"] and "trust policy" in error["reason"]
    assert snapshot(agent.dir) is None


def test_sts_that_fails_is_asked_again(agent, aws, put, good):
    aws.faults += [Answer(503), Answer(500)]
    agent.fetch(put(good), f"--role-arn={aws.role_arn}", env=agent.keys_of(aws.operator_keys)).succeeded()
    assert len(forms(aws)) == 3


@pytest.mark.parametrize(
    "option", ["--role-arn=role", "--role-session-name=a b", "--role-external-id=x y", "--profile=a b"]
)
def test_options_are_checked(agent, put, good, option):
    result = agent.fetch(put(good), option)
    assert result.status == 64 and option.split("=")[0] in result.stderr


def test_a_session_name_needs_a_role(agent, put, good):
    result = agent.fetch(put(good), "--role-session-name=host-17")
    assert result.status == 64 and "role-session-name names the session of no role-arn" in result.stderr


# ---- profiles


def test_keys_of_the_credentials_file(agent, aws, put, good, files):
    result = agent.fetch(put(good), env=files(credentials=keys("default", aws.keys))).succeeded("installed")
    event = result.event("credentials")
    assert (event["source"], event["profile"]) == ("profile", "default")
    assert "AWS_ACCESS_KEY_ID is not set" in event["skipped"]
    assert aws.keys["aws_secret_access_key"] not in result.stderr


@pytest.mark.parametrize("named", ["flag", "variable"])
def test_a_named_profile_comes_first(agent, aws, put, good, files, named):
    """Before keys of the environment, which may do nothing here."""
    env = {**files(credentials=keys("app", aws.keys)), **agent.keys_of(aws.denied_keys)}
    arguments = ["--profile=app"] if named == "flag" else []
    if named == "variable":
        env["AWS_PROFILE"] = "app"
    result = agent.fetch(put(good), *arguments, env=env).succeeded("installed")
    assert result.event("credentials")["profile"] == "app"


def test_keys_of_the_environment_come_before_the_default_profile(agent, aws, put, good, files):
    env = {**files(credentials=keys("default", aws.denied_keys)), **agent.keys_of(aws.keys)}
    result = agent.fetch(put(good), env=env).succeeded("installed")
    assert result.event("credentials")["source"] == "environment"


def test_files_by_their_variables(agent, aws, put, good, tmp_path):
    """Neither HOME nor a user database is needed."""
    config, credentials = tmp_path / "c", tmp_path / "k"
    config.write_text("[profile app]\noutput = json\n")
    credentials.write_text(keys("app", aws.keys))
    env = {
        **NO_KEYS,
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_PROFILE": "app",
    }
    agent.fetch(put(good), env=env).succeeded("installed")


def test_the_profile_brings_region_endpoint_and_ca(agent, aws, names, good, files):
    name = next(names)
    aws.put(name, good, region="sa-east-1")
    config = (
        f"[default]\nregion = sa-east-1\nca_bundle = {aws.ca_bundle}\nendpoint_url = https://nobody.invalid\n"
        f"services = here\n[services here]\nsecrets_manager =\n  endpoint_url = {aws.url}\n"
    )
    env = {
        **files(config, keys("default", aws.keys)),
        "AWS_CA_BUNDLE": None,
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": None,
        "AWS_ENDPOINT_URL_STS": None,
    }
    agent.fetch(name, env=env).succeeded("installed")
    assert signer(aws.asked[-1])[1] == "sa-east-1"


def test_a_role_over_a_source_profile(agent, aws, put, good, files):
    config = (
        f"[profile app]\nrole_arn = {aws.role_arn}\nsource_profile = base\nexternal_id = x42\n"
        f"role_session_name = by-profile\nduration_seconds = 900\n"
    )
    env = {**files(config, keys("base", aws.operator_keys)), "AWS_PROFILE": "app"}
    agent.fetch(put(good), env=env).succeeded("installed")
    form = forms(aws)[0]
    assert (form["ExternalId"], form["RoleSessionName"], form["DurationSeconds"]) == ("x42", "by-profile", "900")


def test_a_role_over_a_role_over_a_profile(agent, aws, put, good, files):
    config = (
        f"[profile app]\nrole_arn = {aws.role_arn}\nsource_profile = hop\n"
        f"[profile hop]\nrole_arn = {aws.hop_arn}\nsource_profile = base\n" + keys("base", aws.operator_keys, "profile ")
    )
    agent.fetch(put(good), env={**files(config), "AWS_PROFILE": "app"}).succeeded("installed")
    assert [form["RoleArn"] for form in forms(aws)] == [aws.hop_arn, aws.role_arn]


def test_a_role_option_over_a_profile(agent, aws, put, good, files):
    config = f"[default]\nrole_arn = {aws.hop_arn}\nsource_profile = base\n" + keys("base", aws.operator_keys, "profile ")
    agent.fetch(put(good), f"--role-arn={aws.role_arn}", env=files(config)).succeeded("installed", "role_assumed")
    assert [form["RoleArn"] for form in forms(aws)] == [aws.hop_arn, aws.role_arn]


@pytest.mark.parametrize("source", ["Environment", "Ec2InstanceMetadata", "EcsContainer"])
def test_a_role_over_a_credential_source(agent, aws, put, good, files, up, source):
    env = files(f"[profile app]\nrole_arn = {aws.role_arn}\ncredential_source = {source}\n")
    env["AWS_PROFILE"] = "app"
    hop = aws.session(aws.hop_arn)
    if source == "Environment":
        env.update(agent.keys_of(aws.operator_keys))
    elif source == "Ec2InstanceMetadata":
        env.update(up(Imds(hop)).environment())
    else:
        env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = up(ContainerCredentials(hop)).full_uri
    agent.fetch(put(good), env=env).succeeded("installed")
    assert forms(aws)[0]["RoleArn"] == aws.role_arn


def test_a_credential_source_that_has_none(agent, aws, put, good, files):
    env = {
        **files(f"[profile app]\nrole_arn = {aws.role_arn}\ncredential_source = Environment\n"),
        "AWS_PROFILE": "app",
    }
    error = agent.fetch(put(good), env=env).failed(77, "credentials_failed")
    assert error["subject"] == "app"
    assert "Environment" in error["reason"] and "AWS_ACCESS_KEY_ID" in error["reason"]
    assert aws.asked == []


def test_a_named_profile_that_is_absent(agent, aws, put, good, files):
    """An error, even where another source would have some."""
    env = {**files("[profile other]\n"), **agent.keys_of(aws.keys), "AWS_PROFILE": "app"}
    error = agent.fetch(put(good), env=env).failed(77, "credentials_failed")
    assert "no profile app of AWS_PROFILE in " in error["reason"]


@pytest.mark.parametrize(
    "content,word",
    [
        ("sso_session = corp", "SSO"),
        ("credential_process = /bin/keys", "credential_process"),
        ("login_session = me", "login_session"),
        ("role_arn = arn:aws:iam::123456789012:role/a\nsource_profile = app\nmfa_serial = m", "mfa_serial"),
    ],
)
def test_what_a_profile_needs_and_is_not_supported(agent, put, good, files, content, word):
    env = {**files(f"[profile app]\n{content}\n"), "AWS_PROFILE": "app"}
    error = agent.fetch(put(good), env=env).failed(77, "credentials_failed")
    assert f"needs {word}, which is not supported" in error["reason"]


def test_a_damaged_file_is_named_with_its_line(agent, aws, put, good, files):
    secret = "aws_secret_access_key hunter2"
    result = agent.fetch(put(good), env=files(credentials=f"[default]\n{secret}\n"))
    error = result.failed(78, "config")
    assert error["subject"].endswith("/.aws/credentials")
    assert error["reason"] == "line 2 has no ="
    assert "hunter2" not in result.stderr


def test_a_profile_without_credentials_is_passed_over_aloud(agent, aws, put, good, files):
    env = {**files("[profile app]\nregion = eu-west-1\n"), **agent.keys_of(aws.keys), "AWS_PROFILE": "app"}
    event = agent.fetch(put(good), env=env).succeeded("installed").event("credentials")
    assert event["source"] == "environment"
    assert "profile app holds no credentials" in event["skipped"]


# ---- web identity


def web(aws, token_file, **more):
    return {
        **NO_KEYS,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file),
        "AWS_ROLE_ARN": aws.role_arn,
        "AWS_REGION": REGION,
        **more,
    }


def test_web_identity(agent, aws, put, good, token_file):
    env = web(aws, token_file, AWS_ROLE_SESSION_NAME="pod-3")
    result = agent.fetch(put(good), env=env).succeeded("installed")
    assert result.event("credentials")["source"] == "web_identity"
    request = aws.asked[0]
    assert request.method == "POST" and "?" not in request.path
    assert forms(aws)[0]["RoleSessionName"] == "pod-3"
    assert aws.web_token not in result.stderr


def test_web_identity_by_a_profile(agent, aws, put, good, token_file, files):
    config = (
        f"[profile app]\nrole_arn = {aws.role_arn}\nsource_profile = pod\n"
        f"[profile pod]\nrole_arn = {aws.hop_arn}\nweb_identity_token_file = {token_file}\n"
    )
    agent.fetch(put(good), env={**files(config), "AWS_PROFILE": "app"}).succeeded("installed")
    assert [form["RoleArn"] for form in forms(aws)] == [aws.hop_arn, aws.role_arn]


def test_web_identity_token_is_read_anew(agent, aws, put, good, token_file):
    """The first token is refused in passing; by the second try the file holds another one."""
    class Rotating(list):
        def pop(self, index):
            token_file.write_text(aws.web_token)
            return super().pop(index)

    token_file.write_text("old.token.sig")
    aws.faults = Rotating([Answer(503)])
    try:
        agent.fetch(put(good), env=web(aws, token_file)).succeeded("installed")
    finally:
        aws.faults = []
    assert [form["WebIdentityToken"] for form in forms(aws)] == ["old.token.sig", aws.web_token]


def test_web_identity_without_its_token(agent, aws, put, good, tmp_path):
    path = tmp_path / "absent"
    error = agent.fetch(put(good), env=web(aws, path)).failed(77, "token_file_missing")
    assert error["subject"] == str(path)
    assert "No such file" in error["reason"]


def test_web_identity_that_is_refused(agent, aws, put, good, token_file):
    token_file.write_text("another.token.sig")
    error = agent.fetch(put(good), env=web(aws, token_file)).failed(77, "credentials_failed")
    assert "InvalidIdentityToken: No OpenIDConnect provider found" in error["reason"]


def test_nothing_secret_of_profiles_and_tokens_is_logged(agent, aws, put, good, files, token_file):
    """At the most talkative level, and though STS echoes the token."""
    config = (
        f"[profile app]\nrole_arn = {aws.role_arn}\nsource_profile = pod\n"
        f"[profile pod]\nrole_arn = {aws.hop_arn}\nweb_identity_token_file = {token_file}\n"
    )
    env = {**files(config, keys("base", aws.keys)), "AWS_PROFILE": "app"}
    message = f"<Code>InternalFailure</Code><Message>of {aws.web_token}</Message>"
    aws.faults.append(Answer(500, f"<ErrorResponse><Error>{message}</Error></ErrorResponse>".encode()))
    result = agent.fetch(put(good), "--log-level=debug", env=env).succeeded("installed")
    assert "InternalFailure: of [masked]" in result.event("retry")["cause"]
    for secret in (aws.web_token, aws.keys["aws_secret_access_key"]):
        assert secret[:16] not in result.stderr and secret[-16:] not in result.stderr


def test_web_identity_without_a_role(agent, aws, put, good, token_file):
    error = agent.fetch(put(good), env=web(aws, token_file, AWS_ROLE_ARN=None)).failed(77, "credentials_failed")
    assert "AWS_ROLE_ARN" in error["reason"]


def test_byte_order_marks_and_white_space(agent, aws, put, good, files, token_file):
    """As editors put them at the beginning of a file."""
    token_file.write_text("\ufeff" + aws.web_token + "\r\n")
    config = f"[default]\nrole_arn = {aws.role_arn}\nweb_identity_token_file = {token_file}\n"
    agent.fetch(put(good), env=files("\ufeff" + config, "\ufeff[other]\n")).succeeded("installed")
