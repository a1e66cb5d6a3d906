# SPDX-License-Identifier: Apache-2.0
"""A private key, or a password, where it does not belong: it is refused, shown nowhere and sent nowhere."""

import base64
import json
import re
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from agent import PROGRAM, ROOT, wait_for
from servers.aws import aws_error
from servers.http import HOLD
from test_secrecy import assert_clean, of_key

OPTIONS = re.findall(
    r"^  --([a-z-]+)", subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout, re.M
)
SOURCE = (ROOT / "src/config/config_variables.c").read_text()
VARIABLES = sorted(
    set(re.findall(r'^ +"((?:AWS|HTTPS|NO)_[A-Z0-9_]+)",', SOURCE, re.M)) - {"AWS_SECRET_ACCESS_KEY"}
)
FORMS = {
    "pem": lambda pem, der: pem,
    "base64 of pem": lambda pem, der: base64.b64encode(pem.encode()).decode(),
    "base64 of der": lambda pem, der: base64.b64encode(der).decode(),
    "base64 in another phase": lambda pem, der: "ab" + base64.b64encode(der).decode(),
    "hex of der": lambda pem, der: der.hex(),
    "url": lambda pem, der: urllib.parse.quote(pem, safe=""),
    "json": lambda pem, der: json.dumps(pem)[1:-1],
}


@pytest.fixture(scope="module", params=FORMS)
def key(request, pair):
    """A key in one of its forms, and what it would be recognised by."""
    der = base64.b64decode("".join(pair.key.splitlines()[1:-1]))
    text = FORMS[request.param](pair.key, der)
    flat = text.replace("\n", "")
    return text, of_key(pair.key) + [flat[at : at + 20] for at in range(len(flat) // 3, len(flat) - 20, 20)]


def everything(agent, result, *files):
    texts = [result.stdout, result.stderr, *(path.read_text() for path in files if path.exists())]
    texts += [path.read_text() for path in agent.dir.glob("..*") if path.is_file()]
    return "\n".join(texts)


def base(agent, arn, tmp_path):
    return ["fetch", "--log-format=json", "--log-level=debug", f"--dir={agent.dir}", f"--log-file={tmp_path}/log"], {
        "MTLS_AGENT_SECRET": arn
    }


def test_the_lists_are_whole():
    """What the tests below go through comes from the program; here is what must be among it."""
    assert {"secret", "region", "endpoint", "role-arn", "proxy", "dir", "log-file"} <= set(OPTIONS)
    assert {"AWS_REGION", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "HTTPS_PROXY"} <= set(VARIABLES)
    assert len(OPTIONS) > 50 and len(VARIABLES) > 25


def test_in_an_option(agent, aws, tmp_path, put, good, key):
    text, pieces = key
    arguments, environment = base(agent, put(good), tmp_path)
    for option in OPTIONS:
        here = [each for each in arguments if not each.startswith(f"--{option}=")]
        result = agent.run(*here, f"--{option}={text}", env=environment)
        assert result.status == 64, (option, result.stderr)
        assert_clean(everything(agent, result, tmp_path / "log"), pieces)
    assert not aws.asked


def test_in_a_variable_of_an_option(agent, aws, tmp_path, put, good, key):
    text, pieces = key
    arguments, environment = base(agent, put(good), tmp_path)
    for option in OPTIONS:
        here = [each for each in arguments if not each.startswith(f"--{option}=")]
        name = "MTLS_AGENT_" + option.upper().replace("-", "_")
        result = agent.run(*here, env={**environment, name: text})
        assert result.status == 78, (option, result.stderr)
        assert_clean(everything(agent, result, tmp_path / "log"), pieces)
    assert not aws.asked


def test_in_a_line_of_the_file(agent, aws, tmp_path, put, good, key):
    text, pieces = key
    arguments, environment = base(agent, put(good), tmp_path)
    path = tmp_path / "conf"
    for name in [*OPTIONS, *VARIABLES, text.split("\n")[0]]:
        path.write_text(f"{name} = {text}\n")
        path.chmod(0o600)
        here = [each for each in arguments if not each.startswith(f"--{name}=")]
        result = agent.run(*here, f"--config={path}", env={n: v for n, v in environment.items() if name != "secret"})
        if name in OPTIONS and f"--{name}=" in " ".join(arguments):
            continue  # a flag outweighs it
        assert result.status == 78, (name, result.stderr)
        assert_clean(everything(agent, result, tmp_path / "log"), pieces)
    assert not aws.asked


def test_in_a_variable_of_aws(agent, aws, tmp_path, put, good, key):
    text, pieces = key
    arguments, environment = base(agent, put(good), tmp_path)
    for name in VARIABLES:
        result = agent.run(*arguments, env={**environment, name: text})
        assert result.status == 78, (name, result.stderr)
        assert_clean(everything(agent, result, tmp_path / "log"), pieces)
    assert not aws.asked


def test_in_a_shared_file(agent, aws, tmp_path, put, good, key):
    text, pieces = key
    arguments, environment = base(agent, put(good), tmp_path)
    shared = tmp_path / "shared"
    line = text.replace("\n", "\n  ")
    for name in ("region", "role_arn", "aws_access_key_id", "aws_session_token", "endpoint_url", "external_id", "x"):
        shared.write_text(f"[default]\n{name} = {line}\n")
        result = agent.run(*arguments, env={**environment, "AWS_CONFIG_FILE": str(shared)})
        assert result.status == 78, (name, result.stderr)
        assert_clean(everything(agent, result, tmp_path / "log"), pieces)
    assert not aws.asked


def test_in_what_aws_says_of_an_error(agent, aws, tmp_path, put, good, key):
    text, pieces = key
    arguments, environment = base(agent, put(good), tmp_path)
    aws.faults.append(aws_error(400, "ValidationException", text))
    result = agent.run(*arguments, env=environment)
    assert result.status != 0
    assert_clean(everything(agent, result, tmp_path / "log"), pieces)


PASSWORDS = {
    "AWS_ENDPOINT_URL": "https://user:geheimnis@localhost:1",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://user:geheimnis@localhost:1",
    "AWS_ENDPOINT_URL_STS": "https://user:geheimnis@localhost:1",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://user:geheimnis@127.0.0.1:1",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://user:geheimnis@127.0.0.1:1",
    "HTTPS_PROXY": "https://user:geheimnis@127.0.0.1:1",
}


@pytest.mark.parametrize("name", PASSWORDS)
def test_a_password_in_a_url(agent, tmp_path, put, good, name):
    arguments, environment = base(agent, put(good), tmp_path)
    keys = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    off = {"AWS_EC2_METADATA_DISABLED": None} if "METADATA" in name else {}
    result = agent.run(*arguments, "--deadline=5s", env={**environment, **keys, **off, name: PASSWORDS[name]})
    assert result.status != 0
    assert_clean(everything(agent, result, tmp_path / "log"), ["geheimnis"])


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "AWS_SECRET_KEY", "HTTPS_PROXY"])
def test_what_leaves_the_environment(agent, aws, put, good, name):
    """Whether anything here uses it or not."""
    aws.faults.append(HOLD)
    value = "geheimnis" if name == "AWS_SECRET_KEY" else "http://user:geheimnis@127.0.0.1:1"
    no_proxy = {"NO_PROXY": "*"}
    running = agent.start(*agent.fetch_arguments(put(good), deadline="80s"), env={name: value, **no_proxy})
    try:
        wait_for(lambda: aws.asked)
        assert b"geheimnis" not in Path(f"/proc/{running.pid}/environ").read_bytes()
    finally:
        running.child.terminate()
        running.finish()
