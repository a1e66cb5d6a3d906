# SPDX-License-Identifier: Apache-2.0
"""A private key, or a password, where it does not belong: it is refused, shown nowhere and sent nowhere."""

import base64
import json
import os
import re
import subprocess
import urllib.parse
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from agent import DRY_RUN, PROGRAM, ROOT, wait_for
from servers.aws import AMZ_JSON, REGION, aws_error
from servers.container import ContainerCredentials
from servers.enclave import Python
from servers.http import HOLD, Answer, json_answer, text_answer
from servers.imds import CREDENTIALS, Imds, credential_json
from servers.peer import Peer
from servers.pki import document
from test_credentials import NO_KEYS
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


def formed(pair, form):
    """A key in one of its forms, and what it would be recognised by. It is nobody's who is installed."""
    der = base64.b64decode("".join(pair.key.splitlines()[1:-1]))
    text = FORMS[form](pair.key, der)
    flat = text.replace("\n", "")
    return text, of_key(pair.key) + [flat[at : at + 20] for at in range(len(flat) // 3, len(flat) - 20, 20)]


@pytest.fixture(scope="module", params=FORMS)
def key(request, rogue):
    return formed(rogue, request.param)


@pytest.fixture(scope="module", params=["pem", "base64 of der", "json"])
def answered(request, rogue):
    """The same for the many places of answers."""
    return formed(rogue, request.param)


def everything(agent, result, *files):
    """All that the agent wrote, but for the keys that it was to install."""
    texts = [result.stdout, result.stderr, *(path.read_text() for path in files if path.exists())]
    texts += [path.read_text() for path in agent.dir.rglob("*") if path.is_file() and path.name != "client.key"]
    return "\n".join(texts)


def sent(*servers):
    """All that came to stand-ins: what a packet to AWS would hold."""
    requests = [request for server in servers for request in server.asked]
    return "\n".join(
        "\n".join([request.method, request.path, str(request.headers), request.body.decode("utf-8", "replace")])
        for request in requests
    )


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


# ---- files of the agent's own, and others'


def files_of(agent, hidden):
    """The manifest, what the agent knows of its set, and its status: with a key in them, in each place there is."""
    current = agent.dir / os.readlink(agent.dir / "..data")
    status, manifest, memory = agent.dir / "..status.json", current / "manifest", agent.dir / "..agent"
    status.chmod(0o600)
    told = json.loads(status.read_text())
    for at in (told, told["sets"][0]):
        for name in at:
            at[name] = hidden if not isinstance(at[name], (list, dict)) else at[name]
    for path, texts in {
        status: [json.dumps(told), json.dumps({hidden: hidden}), hidden],
        manifest: [hidden, *in_each_line(manifest.read_text(), hidden)],
        memory: [hidden, *in_each_line(memory.read_text() if memory.exists() else "held x\n", hidden)],
    }.items():
        yield from ((path, text) for text in texts)


def in_each_line(text, hidden):
    lines, one = text.splitlines(), flat(hidden)
    for number, line in enumerate(lines):
        changed = " ".join([*line.split(" ")[:-1], one])
        yield "\n".join([*lines[:number], changed, *lines[number + 1 :], ""])
    yield text + hidden


def test_in_what_lies_in_the_target(agent, tmp_path, put, good, answered, serve):
    """Whoever put it there: no command shows it, though each reads it."""
    text, pieces = answered
    arn = put(good)
    service = serve(arn)
    service.wait("ready")
    agent.status()
    service.stop()
    where = [f"--dir={agent.dir}", f"--log-file={tmp_path}/log", "--log-level=debug"]
    commands = (["inspect", "--json"], ["status"], ["healthcheck"])
    before = {path: path.read_bytes() for path in agent.dir.rglob("*") if path.is_file() and not path.is_symlink()}
    for path, hidden in list(files_of(agent, text)):
        path.write_text(hidden)
        for command in commands:
            result = agent.run(*command, *where)
            assert_clean(result.stdout + result.stderr + (tmp_path / "log").read_text(), pieces)
        path.write_bytes(before.get(path, b""))
    away = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://localhost:1"}
    for path, hidden in list(files_of(agent, text)):
        if path.name == "..status.json":
            continue
        path.write_text(hidden)
        for command in (["fetch", f"--secret={arn}x", "--deadline=1s"], ["fetch", f"--secret={arn}", "--rollback"]):
            result = agent.run(*command, *where, env=away)
            assert_clean(result.stdout + result.stderr + (tmp_path / "log").read_text(), pieces)
        path.write_bytes(before.get(path, b""))
    (agent.dir / "..agent").write_text(text)
    result = agent.run("purge", *where)
    assert_clean(result.stdout + result.stderr + (tmp_path / "log").read_text(), pieces)


def test_in_a_file_to_look_at(agent, tmp_path, answered):
    """Of attest, and of the roots that it is to believe."""
    text, pieces = answered
    file, roots = tmp_path / "file", tmp_path / "roots"
    for hidden in (text, text + "\n" + text, "x" + text, flat(text)):
        file.write_text(hidden)
        roots.write_text(hidden)
        for words in ([str(file)], [str(file), "--json"], [str(file), f"--attest-root={roots}"]):
            result = agent.run("attest", *words, "--log-level=debug", f"--log-file={tmp_path}/log")
            assert result.status != 0
            assert_nowhere(agent, result, tmp_path, pieces)


def test_in_a_pid_file(agent, tmp_path, put, good, answered):
    text, pieces = answered
    file = tmp_path / "pid"
    for hidden in (text, text[:30], "1 " + flat(text), flat(text)[40:60]):
        file.write_text(hidden)
        result = agent.fetch(put(good), f"--on-change-signal=HUP:{file}", f"--log-file={tmp_path}/log", "--log-level=debug")
        assert result.status == 74 and "no process number" in result.event("error")["reason"], result.stderr
        assert_nowhere(agent, result, tmp_path, pieces)


# ---- answers


def flat(text):
    """As a header may hold it."""
    return text.replace("\n", " ")


def assert_nowhere(agent, result, tmp_path, pieces, *servers):
    assert_clean(everything(agent, result, tmp_path / "log", tmp_path / "metrics"), pieces)
    assert_clean(sent(*servers), pieces)


def misplaced_in(answer, text):
    """The answer again and again, with text in the place of each of its members, and of members' names."""
    for name in [*answer, "more"]:
        for value in (text, [text], {text: [text]}):
            yield name, {**answer, name: value}
    yield "a name", {**answer, text: "x"}


def value_of(good):
    return {
        "ARN": f"arn:aws:secretsmanager:{REGION}:123456789012:secret:x-abcdef",
        "Name": "x",
        "VersionId": "60a9253d-4d12-45ef-8ca9-32988fbdb19e",
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": 1.7e9,
        "SecretString": good,
    }


def test_in_what_aws_answers(agent, aws, tmp_path, put, good, answered):
    """A value may hold a key in one member alone, SecretString, and there as its document has it."""
    text, pieces = answered
    arguments, environment = base(agent, put(good), tmp_path)
    for name, body in misplaced_in(value_of(good), text):
        aws.faults[:] = [Answer(200, json.dumps(body).encode(), {"Content-Type": AMZ_JSON})] * 9
        result = agent.run(*arguments, "--deadline=1s", "--endpoint=localhost:1", "--dry-run", env=environment)
        assert name in (*value_of(good), "more", "a name")
        assert_nowhere(agent, result, tmp_path, pieces, aws)


def test_in_what_aws_describes(agent, aws, tmp_path, put, good, answered):
    text, pieces = answered
    arn = put(good)
    arguments, environment = base(agent, arn, tmp_path)
    agent.run(*arguments, env=environment).succeeded("installed")
    answer = {"ARN": arn, "Name": "x", "VersionIdsToStages": {"60a9253d-4d12-45ef-8ca9-32988fbdb19e": ["AWSCURRENT"]}}
    answers = [body for _, body in misplaced_in(answer, text)]
    answers += [{**answer, "VersionIdsToStages": {text: ["AWSCURRENT"]}}, {**answer, "DeletedDate": text}]
    for body in answers:
        aws.faults[:] = [Answer(200, json.dumps(body).encode(), {"Content-Type": AMZ_JSON})]
        result = agent.run(*arguments, "--deadline=5s", env=environment)
        assert_nowhere(agent, result, tmp_path, pieces, aws)


def errors_with(text, status):
    """An error of AWS's, or of somebody's on the way, with text in each place there is."""
    yield aws_error(status, text, "message")
    yield aws_error(status, "InternalFailure", text)
    yield aws_error(status, "InternalFailure", "See this: " + text)
    yield aws_error(status, "InternalFailure", "message", request_id=flat(text))
    yield aws_error(status, "InternalFailure", "message", **{"x-amzn-ErrorType": flat(text)})
    yield Answer(status, text.encode(), {"Content-Type": "text/html"})
    yield Answer(status, b"{}", {"Content-Type": AMZ_JSON, "x-amzn-ErrorType": flat(text)})
    code, message = (f"<{name}>{escape(text)}</{name}>" for name in ("Code", "Message"))
    yield Answer(status, f"<ErrorResponse><Error>{code}{message}</Error></ErrorResponse>".encode())
    yield json_answer(status, {"Error": {"Code": text, "Message": text}})
    yield Answer(status, b"", {"Location": "https://localhost/" + flat(text), "Date": flat(text), "Server": flat(text)})


@pytest.mark.parametrize("status", [307, 400, 403, 503])
def test_in_what_aws_says_of_an_error(agent, aws, tmp_path, put, good, answered, status):
    text, pieces = answered
    arguments, environment = base(agent, put(good), tmp_path)
    for answer in errors_with(text, status):
        aws.faults[:] = [answer] * 9
        result = agent.run(*arguments, *DRY_RUN, "--deadline=1s", env={**environment, "AWS_MAX_ATTEMPTS": "1"})
        assert result.status != 0
        assert_nowhere(agent, result, tmp_path, pieces, aws)


def test_run_tells_nobody_of_it(agent, aws, tmp_path, put, good, answered, serve):
    """By status, metrics and log, while AWS says it again and again."""
    text, pieces = answered
    arn = put(good)
    metrics = tmp_path / "metrics"
    options = [f"--metrics-file={metrics}", f"--log-file={tmp_path}/log", "--log-level=debug"]
    service = serve(arn, *options, env={"AWS_MAX_ATTEMPTS": "1"})
    service.wait("ready")
    for answer in errors_with(text, 500):
        aws.faults[:] = [answer] * 3
        wait_for(lambda: not aws.faults)
        for file in (metrics, agent.dir / "..status.json", tmp_path / "log", service.log):
            assert_clean(file.read_text(), pieces)
    shown = [agent.run("status", f"--dir={agent.dir}", *form) for form in ([], ["--json"])]
    service.stop()
    for result in shown:
        assert_clean(result.stdout + result.stderr, pieces)
    for file in (metrics, agent.dir / "..status.json", tmp_path / "log", service.log):
        assert_clean(file.read_text(), pieces)
    assert_clean(sent(aws), pieces)


# ---- answers that credentials come by


class MisplacingImds(Imds):
    """Its answer to what ends with where is another one."""

    def misplace(self, where, change):
        self.where, self.change = where, change

    def _answer(self, request):
        answer = super()._answer(request)
        return self.change(answer) if request.path.endswith(self.where) else answer


@pytest.fixture(scope="module")
def session(aws_server):
    return aws_server.session()


def test_in_what_instance_metadata_answers(agent, aws, tmp_path, names, good, answered, session, up):
    text, pieces = answered
    name = next(names)
    aws.put(name, good)
    arguments, environment = base(agent, name, tmp_path)
    imds = up(MisplacingImds(session))
    environment = {**environment, **NO_KEYS, **imds.environment()}
    role = CREDENTIALS + imds.role
    places = [("/latest/api/token", lambda _: text_answer(200, text)), (CREDENTIALS, lambda _: text_answer(200, text))]
    places += [("placement/region", lambda _: text_answer(200, text))]
    for status in (400, 403, 500):
        places += [(where, lambda _: text_answer(status, text)) for where in ("token", CREDENTIALS, role, "region")]
    credentials = credential_json(session, Code="Success", Message="x")
    places += [(role, lambda _, body=body: json_answer(200, body)) for _, body in misplaced_in(credentials, text)]
    for where, change in places:
        imds.misplace(where, change)
        result = agent.run(*arguments, *DRY_RUN, "--deadline=2s", env=environment)
        assert imds.asked
        assert_nowhere(agent, result, tmp_path, pieces, aws)
        assert_clean("".join(request.path for request in imds.asked), pieces)
        imds.asked.clear()


class MisplacingContainer(ContainerCredentials):
    def _answer(self, request):
        return self.answer


def test_in_what_a_container_is_given(agent, aws, tmp_path, put, good, answered, session, up):
    text, pieces = answered
    arguments, environment = base(agent, put(good), tmp_path)
    container = up(MisplacingContainer(session))
    environment = {**environment, **NO_KEYS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri}
    credentials = credential_json(session, RoleArn="x", Code="Success", Message="x")
    answers = [json_answer(200, body) for _, body in misplaced_in(credentials, text)]
    for status in (400, 401, 403, 500):
        answers += [text_answer(status, text), json_answer(status, {"code": text, "message": text, "Message": text})]
    for answer in answers:
        container.answer = answer
        result = agent.run(*arguments, *DRY_RUN, "--deadline=2s", env={**environment, "AWS_MAX_ATTEMPTS": "1"})
        assert container.asked
        assert_nowhere(agent, result, tmp_path, pieces, aws, container)


def xml_of(action, credentials):
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in credentials.items())
    return f"<{action}Response><{action}Result><Credentials>{inner}</Credentials></{action}Result></{action}Response>"


@pytest.mark.parametrize("action", ["AssumeRole", "AssumeRoleWithWebIdentity"])
def test_in_what_sts_answers(agent, aws, tmp_path, put, good, answered, session, action):
    text, pieces = answered
    arguments, environment = base(agent, put(good), tmp_path)
    environment["AWS_MAX_ATTEMPTS"] = "1"
    if action == "AssumeRole":
        arguments.append(f"--role-arn={aws.role_arn}")
        environment |= agent.keys_of(aws.operator_keys)
    else:
        token = tmp_path / "token"
        token.write_text(aws.web_token)
        environment |= {**NO_KEYS, "AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": aws.role_arn}
    credentials = {name: session[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
    credentials["Expiration"] = session["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ")
    answers = [answer for status in (400, 403, 500) for answer in errors_with(text, status)]
    for name, body in misplaced_in(credentials, text):
        result = {f"{action}Result": {"Credentials": body, "AssumedRoleUser": {"Arn": text}}}
        answers.append(json_answer(200, {f"{action}Response": result}))
        if name in credentials and isinstance(body[name], str):
            answers.append(Answer(200, xml_of(action, body).encode(), {"Content-Type": "text/xml"}))
    for answer in answers:
        aws.faults[:] = [answer]
        result = agent.run(*arguments, *DRY_RUN, "--deadline=2s", env=environment)
        assert not aws.faults
        assert_nowhere(agent, result, tmp_path, pieces, aws)


# ---- files that tokens come by


@pytest.mark.parametrize("around", ["{}", "{}\n", "eyJhbGciOiJSUzI1NiJ9.{}", "Bearer {}"])
def test_in_a_token_file(agent, aws, tmp_path, put, good, answered, session, up, around):
    text, pieces = answered
    arguments, environment = base(agent, put(good), tmp_path)
    container = up(ContainerCredentials(session))
    token = tmp_path / "token"
    token.write_text(around.format(text))
    for variables in (
        {"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": aws.role_arn},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token)},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri, "AWS_CONTAINER_AUTHORIZATION_TOKEN": around.format(text)},
    ):
        result = agent.run(*arguments, *DRY_RUN, "--deadline=2s", env={**environment, **NO_KEYS, **variables})
        assert result.status != 0
        assert_nowhere(agent, result, tmp_path, pieces, aws, container)
    assert not aws.asked and not container.asked


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"])
def test_in_a_variable_of_credentials(agent, aws, tmp_path, put, good, answered, session, name):
    text, pieces = answered
    arguments, environment = base(agent, put(good), tmp_path)
    result = agent.run(*arguments, *DRY_RUN, env={**environment, name: text})
    assert result.status != 0
    assert_nowhere(agent, result, tmp_path, pieces, aws)


# ---- enclaves, proxies, certificates


class TalkativeEnclave(Python):
    def _answer(self, request):
        return self.answer


def test_in_what_an_enclave_answers(agent, aws, tmp_path, put, pair, authority, answered, up):
    text, pieces = answered
    server = authority.issue("localhost", names=["localhost"])
    enclave = up(TalkativeEnclave(tmp_path / "enclave", server, authority.pem))
    enclave.answer = text_answer(200, "ok")
    arguments, environment = base(agent, put(document(pair, authority.pem)), tmp_path)
    arguments.append(f"--endpoint={enclave.endpoint}")
    agent.run(*arguments, env=environment).succeeded("installed")
    for answer in errors_with(text, 200), errors_with(text, 302), errors_with(text, 500):
        for enclave.answer in answer:
            for command in (arguments, ["probe", *arguments[1:]], ["probe", *arguments[1:], "--json"]):
                assert_nowhere(agent, agent.run(*command, env=environment), tmp_path, pieces, aws)
    enclave.answer = text_answer(200, "Here it is: " + text)
    result = agent.run("probe", *arguments[1:], "--request=/x", env=environment)
    assert result.status != 0 and result.event("answer_withheld")["bytes"] > 100
    assert_nowhere(agent, result, tmp_path, pieces, aws)


def test_in_what_a_proxy_answers(agent, aws, tmp_path, put, good, answered, up):
    text, pieces = answered
    arguments, environment = base(agent, put(good), tmp_path)
    for status in (200, 302, 407, 503):
        head = f"HTTP/1.1 {status} {flat(text)}\r\nX: {flat(text)}\r\nLocation: {flat(text)}\r\n\r\n{text}".encode()
        proxy = up(Peer(lambda client, head=head: (client.recv(4096), client.sendall(head))))
        options = [f"--proxy=http://127.0.0.1:{proxy.port}", "--no-proxy=none.test", *DRY_RUN, "--deadline=2s"]
        result = agent.run(*arguments, *options, env={**environment, "AWS_MAX_ATTEMPTS": "1"})
        assert result.status != 0 and proxy.connections
        assert_nowhere(agent, result, tmp_path, pieces, aws)


def test_in_a_certificate(agent, aws, tmp_path, put, authority, answered):
    """In a name of it, and behind a URL's user: by inspect, in both forms, and by what is installed."""
    text, pieces = answered
    leaf = authority.issue("x", names=[f"https://user:geheimnis@host.test/{urllib.parse.quote(text)}"])
    file = tmp_path / "leaf.pem"
    file.write_text(leaf.cert)
    for form in ([], ["--json"]):
        result = agent.run("inspect", *form, str(file))
        assert "x" in result.stdout
        assert_clean(result.stdout + result.stderr, [*pieces, "geheimnis"])


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
