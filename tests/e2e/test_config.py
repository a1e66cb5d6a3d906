# SPDX-License-Identifier: Apache-2.0
"""Flags, environment and file: the same words in all three, and mistakes that say where they are."""

import os

import pytest

from agent import PROGRAM, snapshot
from servers.proxy import FaultProxy


@pytest.mark.parametrize(
    "arguments,word",
    [
        (["--unknown=1"], "unknown"),
        (["--deadlin=1s"], "deadline"),
        (["--deadline=soon"], "soon"),
        (["--deadline=0s"], "deadline"),
        (["--rehearse=maybe"], "maybe"),
        (["--key-mode=0666"], "key-mode"),
        (["--endpoint=localhost"], "localhost"),
        (["--endpoint=localhost:70000"], "70000"),
        (["--endpoint=http://localhost:3000"], "https"),
        (["--dir=relative"], "relative"),
        (["--region=../x"], "region"),
        (["--dir"], "value"),
        (["extra"], "extra"),
        (["-x"], "-x"),
        (["--log-level=info", "--log-level=debug"], "twice"),
        (["--endpoint-url=http://localhost:1"], "plaintext"),
        (["--endpoint-url=http://192.0.2.1"], "plaintext"),
    ],
)
def test_wrong_flags(agent, arguments, word):
    target = [] if arguments[0].startswith("--dir") else [f"--dir={agent.dir}"]
    result = agent.run("fetch", "--secret=x", *target, *arguments)
    assert result.status == 64, result.stderr
    assert word in result.stderr
    assert snapshot(agent.dir) is None


def test_no_secret(agent):
    assert agent.run("fetch", f"--dir={agent.dir}", env={"MTLS_AGENT_LOCK_DIR": None}).status == 64


@pytest.mark.parametrize("command", ["frobnicate", "fetchh"])
def test_unknown_command(agent, command):
    result = agent.run(command)
    assert result.status == 64
    assert command in result.stderr


def test_nothing_at_all(agent):
    assert agent.run().status == 64


def test_help_and_version(agent):
    shown = agent.run("help")
    assert shown.status == 0 and "--endpoint" in shown.stdout and "fetch" in shown.stdout
    assert agent.run("--help").stdout == shown.stdout
    version = agent.run("version")
    assert version.status == 0 and version.stdout.startswith("mtls-agent ")


@pytest.mark.parametrize(
    "name,value",
    [
        ("MTLS_AGENT_DEADLINE", "soon"),
        ("MTLS_AGENT_REHEARSE", "maybe"),
        ("MTLS_AGENT_KEY_MODE", "0666"),
        ("ENCLAVE_ENDPOINT", "http://localhost:3000"),
    ],
)
def test_wrong_environment(agent, name, value):
    result = agent.run("fetch", "--secret=x", f"--dir={agent.dir}", env={name: value})
    assert result.status == 78, result.stderr
    assert name in result.stderr


def test_unknown_variables(agent):
    """A mistyped option is a warning; what a hook is told by is none, since a hook may run the agent."""
    env = {"MTLS_AGENT_DEADLIN": "1s", "MTLS_AGENT_CHANGE_EVENT": "installed", "MTLS_AGENT_CHANGE_SET": ""}
    warnings = agent.run("inspect", "--log-format=json", f"--dir={agent.dir}", env=env).all("variable_unknown")
    assert [(each["variable"], each["did_you_mean"]) for each in warnings] == [
        ("MTLS_AGENT_DEADLIN", "MTLS_AGENT_DEADLINE")
    ]


@pytest.mark.parametrize(
    "name", ["MTLS_AGENT_key_mode", "mtls_agent_key_mode", "MTLS_AGENT_KEY-MODE", "Mtls-Agent-Key-Mode"]
)
def test_variables_in_another_spelling(agent, name):
    """They are not read, and nothing is passed over in silence."""
    result = agent.run("inspect", "--log-format=json", f"--dir={agent.dir}", env={name: "0640"})
    warning = result.event("variable_unknown")
    assert (warning["variable"], warning["did_you_mean"]) == (name, "MTLS_AGENT_KEY_MODE")


def test_a_remark_swallows_nothing(agent, tmp_path, put, good):
    """The line behind a remark with BEGIN in it counts, and refuses the identity."""
    path = config_file(tmp_path, "# ca-bundle = -----BEGIN CERTIFICATE-----\nexpect-subject = CN=Somebody\n")
    agent.fetch(put(good), f"--config={path}").failed(65, "identity_unexpected")


@pytest.mark.parametrize("command", ["status", "healthcheck", "inspect"])
def test_a_mistake_in_what_is_not_needed(agent, tmp_path, put, good, command):
    agent.fetch(put(good)).succeeded("installed")
    path = config_file(tmp_path, f"dir = {agent.dir}\nendpoint = bad\nfrobnicate = 1\n")
    assert agent.run(command, f"--config={path}").status in (0, 1, 69)


@pytest.mark.parametrize("line", ["key-mode = 0777", "cert-mode = x", "dir-mode = 0", "log-level = loud", "log-format = xml"])
def test_a_mode_that_is_wrong_keeps_nobody_from_asking(agent, tmp_path, put, good, enclave, line):
    """Nor from removing: what is written has that mode, and nothing is."""
    agent.fetch(put(good)).succeeded("installed")
    path = config_file(tmp_path, f"dir = {agent.dir}\n{line}\n")
    asked = agent.run("probe", f"--config={path}", f"--endpoint={enclave.endpoint}")
    assert asked.status == 0 and "accepted" in asked.stdout and "config_mistake" in asked.stderr
    assert agent.run("purge", f"--config={path}").status == 0 and not list(agent.dir.glob("client.*"))
    assert agent.run("fetch", f"--config={path}", f"--secret={put(good)}").status == 78


def config_file(tmp_path, text):
    path = tmp_path / "agent.conf"
    path.write_text(text)
    path.chmod(0o644)
    return path


def test_everything_from_the_environment(agent, put, good, enclave):
    result = agent.run(
        "fetch",
        env={
            "MTLS_AGENT_SECRET": put(good),
            "MTLS_AGENT_DIR": str(agent.dir),
            "MTLS_AGENT_LOG_FORMAT": "json",
            "MTLS_AGENT_ENDPOINT": enclave.endpoint,
            "MTLS_AGENT_DEADLINE": "20s",
        },
    )
    result.succeeded("handshake", "installed")


def test_everything_from_a_file(agent, tmp_path, aws, put, good, enclave):
    """As on Bottlerocket, which passes neither arguments nor environment."""
    variables = "".join(f"{name} = {value}\n" for name, value in aws.place().items())
    path = config_file(
        tmp_path,
        f"# the agent\ncommand = fetch\nsecret = {put(good)}\ndir = {agent.dir}\n"
        f"endpoint = {enclave.endpoint}\n\nlog-format = json\n{variables}",
    )
    result = agent.run(f"--config={path}", env={name: None for name in aws.place()})
    result.succeeded("handshake", "installed")


OF_BOTTLEROCKET = [f".bottlerocket/{kind}-containers/current/user-data" for kind in ("bootstrap", "host")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a root of its own")
@pytest.mark.parametrize("name", [*OF_BOTTLEROCKET, "etc/mtls-agent.conf"])
def test_command_of_a_default_file(agent, tmp_path, put, good, name):
    """Bottlerocket's stands in for the command of an image that says `fetch` and nothing else; all else outweighs a file's."""
    root, other = tmp_path / "root", tmp_path / "other.conf"
    seen = [tmp_path.parents[-2], PROGRAM.parent]  # /tmp, and the program
    for path in (*seen, f"/{name}"):
        (root / str(path).lstrip("/")).mkdir(parents=True)
    file = root / name
    file.rmdir()
    mounts = " && ".join(f"mount --bind {path} {root}{path}" for path in seen)
    there = ["unshare", "--mount", "sh", "-c", f'{mounts} && exec /usr/sbin/chroot {root} "$@"', "sh"]
    lines = f"dir = {agent.dir}\nlog-format = json\nsecret = {put(good)}\n"

    def does(*arguments):
        """Of fetch and inspect, each of which leaves its mark."""
        result = agent.run(*arguments, prefix=there)
        assert result.status == 0, result.stderr
        return "inspect" if "CN=ECS-Client" in result.stdout else "fetch" if result.all("finished") else None

    file.write_text(lines)
    assert does("fetch") == "fetch" and does("inspect") == "inspect"
    file.write_text(f"command = inspect\n{lines}")
    other.write_text(file.read_text())
    assert does("fetch") == ("inspect" if name in OF_BOTTLEROCKET else "fetch")
    assert does() == does("inspect") == "inspect"
    assert does("fetch", "--log-level=debug") == does("fetch", f"--config={other}") == "fetch"
    file.write_text(f"command = fetch\n{lines}")
    assert does("inspect") == "inspect" and does() == "fetch"


def test_flags_win_over_environment_over_file(agent, tmp_path, put, good):
    path = config_file(tmp_path, f"secret = {put('{}')}\nlog-format = text\ndir = {tmp_path}/file\n")
    arn = put(good)
    result = agent.run(
        "fetch",
        f"--config={path}",
        "--log-format=json",
        f"--dir={agent.dir}",
        env={
            "MTLS_AGENT_SECRET": arn,
            "MTLS_AGENT_LOG_FORMAT": "text",
            "MTLS_AGENT_DIR": f"{tmp_path}/environment",
        },
    )
    assert result.succeeded("installed").event("secret")["secret"] == arn
    assert (agent.dir / "client.key").exists()
    assert not (tmp_path / "file").exists() and not (tmp_path / "environment").exists()


@pytest.mark.parametrize(
    "text,word",
    [
        ("secret = x\nunknown = 1\n", "line 2"),
        ("secret = x\nsecret\n", "line 2"),
        ("secret = x\nAWS_SECRET_ACCESS_KEY = y\n", "AWS_SECRET_ACCESS_KEY"),
        ("secret = x\nAWS_NOPE = y\n", "AWS_NOPE"),
        ("secret = x\ndeadline = 1s\ndeadline = 2s\n", "deadline"),
    ],
    ids=["unknown option", "no value", "a secret of AWS", "unknown variable", "twice"],
)
def test_wrong_file(agent, tmp_path, text, word):
    result = agent.run("fetch", f"--config={config_file(tmp_path, text)}")
    assert result.status == 78, result.stderr
    assert "agent.conf" in result.stderr and word in result.stderr


def test_a_file_that_others_may_write(agent, tmp_path):
    path = config_file(tmp_path, "secret = x\n")
    path.chmod(0o666)
    assert agent.run("fetch", f"--config={path}").status == 78


def test_a_file_of_a_stranger(agent, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    path = config_file(tmp_path, "secret = x\n")
    os.chown(path, 65534, 65534)
    assert agent.run("fetch", f"--config={path}").status == 78


def test_a_file_that_is_not_there(agent, tmp_path):
    assert agent.run("fetch", f"--config={tmp_path}/absent").status == 78


def test_secret_keys_in_a_file_are_not_echoed(agent, tmp_path):
    result = agent.run("fetch", f"--config={config_file(tmp_path, 'AWS_SECRET_ACCESS_KEY = wJalrXUtnFEMI')}")
    assert "wJalrXUtnFEMI" not in result.stderr


def test_a_plaintext_endpoint_on_loopback_when_told(agent, aws, put, good, up):
    plain = up(FaultProxy(aws.plaintext_port, plain=True))
    agent.fetch(
        put(good), f"--endpoint-url=http://127.0.0.1:{plain.port}", "--allow-plaintext-endpoint"
    ).succeeded("installed")


def test_the_place_of_the_file(agent, tmp_path):
    """In a directory of its own, or where it was before; of both the log says which one counts."""
    etc = tmp_path / "etc"
    new, old = etc / "mtls-agent" / "agent.conf", etc / "mtls-agent.conf"
    new.parent.mkdir(parents=True)
    for path in (new, old):
        path.write_text("log-format = json\n")
        path.chmod(0o644)
    mounts = ["unshare", "--mount", "sh", "-c", f'mount --bind {etc} /etc && exec "$@"', "sh"]

    def probe():
        return agent.probe("localhost:1", prefix=mounts)

    both = probe()
    assert both.event("config_read")["file"] == "/etc/mtls-agent/agent.conf"
    ignored = both.event("config_ignored")
    assert (ignored["file"], ignored["read"]) == ("/etc/mtls-agent.conf", "/etc/mtls-agent/agent.conf")
    new.unlink()
    before = probe()
    assert before.event("config_read")["file"] == "/etc/mtls-agent.conf" and not before.all("config_ignored")
    old.rename(new)
    assert probe().event("config_read")["file"] == "/etc/mtls-agent/agent.conf"
