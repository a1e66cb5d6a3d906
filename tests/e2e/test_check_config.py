# SPDX-License-Identifier: Apache-2.0
"""`check-config`: every mistake in file, variables and flags, as a verb would see them, and what contradicts. Asks nobody."""

import json
import os
import subprocess

import pytest

from agent import PROGRAM, ROOT
from servers.pki import DAY

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls-AbCdEf"
GOOD = f"secret = {SECRET}\nendpoint = enclave.test:8443\n"
KEY = "-----BEGIN PRIVATE KEY-----\\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\\n-----END PRIVATE KEY-----"


@pytest.fixture
def check(tmp_path):
    """check(text, words...) reads the file, and returns what was found."""

    def run(text, *words, env=None, mode=0o644):
        file = tmp_path / "agent.conf"
        if text is not None:
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
            file.chmod(mode)
        argv = [str(PROGRAM), "check-config", *words, "--json", f"--config={file}"]
        done = subprocess.run(argv, env=env or {}, capture_output=True, text=True, timeout=60)
        assert done.stderr == "", done.stderr
        told = json.loads(done.stdout)
        assert done.returncode == (0 if told["good"] else 1) and told["good"] == (not told["findings"])
        return told["findings"]

    return run


def reasons(found):
    assert {each["code"] for each in found} <= {"config"}
    return [f"{each['level']} {each['subject']}: {each['reason']}" for each in found]


@pytest.mark.parametrize("verb", "fetch run probe inspect status healthcheck purge attest doctor".split())
def test_a_good_file_is_good_for_every_verb(check, verb):
    assert check(GOOD, verb) == []


MISTAKES = [
    ("a value", "deadline = soon\n", [(3, "deadline")]),
    ("an unknown option", "dead-line = 5s\n", [(3, "did you mean \"deadline\"")]),
    ("twice", "deadline = 5s\ndeadline = 6s\n", [(4, "given twice")]),
    ("no equals sign", "combined\n", [(3, "not followed by '='")]),
    ("two", "deadline = soon\n\nkey-mode = 0999\n", [(3, "deadline"), (5, "key-mode")]),
    ("a line that is too long", f"# {'x' * 5000}\ndeadline = soon\n", [(3, "longer"), (4, "deadline")]),
    ("a carriage return", "dir = /a\rb\ninterval = no\n", [(3, "carriage"), (4, "interval")]),
    ("a NUL", "dir = /a\0b\ninterval = no\n", [(3, "NUL"), (4, "interval")]),
    ("PEM without an end", "ca-bundle = -----BEGIN CERTIFICATE-----\nAAAA\n", [(3, "-----END")]),
    ("PEM by itself", "-----BEGIN CERTIFICATE-----\nAAAA\n", [(3, "PEM block"), (4, "AAAA")]),
    ("a secret's variable", "AWS_SECRET_ACCESS_KEY = x\nAWS_FOO = 1\n", [(3, "may not stand"), (4, "AWS_FOO")]),
    ("an endpoint", "endpoint = enclave\nendpoint = b:0\n", [(3, "enclave"), (4, "b:0")]),
    ("a flag's option", "config = /x\n", [(3, "cannot be set here")]),
    ("an unknown command", "command = fetsch\n", [(3, "no command")]),
]


@pytest.mark.parametrize("text, found", [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_every_mistake_with_its_line(check, text, found):
    said = reasons(check(GOOD + text))
    assert len(said) == len(found), said
    for each, (line, words) in zip(said, found):
        assert each.startswith("problem ") and f"line {line}: " in each and words in each


TOGETHER = [
    ("plain HTTP", "endpoint-url = http://127.0.0.1:1\n", "run", "allow-plaintext-endpoint"),
    ("a session of no role", "role-session-name = host\n", "run", "role-arn"),
    ("two files at one place", "status-file = /run/x\nmetrics-file = /run/x\n", "run", "status-file"),
    ("a file of the set", "metrics-file = /etc/ecs/mtls/ca.crt\n", "run", "installed set"),
    ("roll-back without a set before", "rollback-on-failure = true\nkeep-previous = 0s\n", "run", "keep-previous"),
    ("an attestation of anybody", "attest = require\n", "fetch", "attest-pcr"),
    ("a dry run that stays", "dry-run = true\n", "run", "for fetch"),
    ("too many endpoints asked for", "min-endpoints = 9\n", "healthcheck", "more than there are"),
]


@pytest.mark.parametrize("text, verb, words", [row[1:] for row in TOGETHER], ids=[row[0] for row in TOGETHER])
def test_what_is_wrong_together(check, text, verb, words):
    (said,) = reasons(check(GOOD + text, verb))
    assert said.startswith("problem ") and words in said


def test_two_that_are_wrong_together_are_both_told(check):
    said = reasons(check(GOOD + "role-external-id = some\nrole-session-name = host\n"))
    assert len(said) == 2 and "role-external-id" in " ".join(said) and "role-session-name" in " ".join(said)


CONTRADICTIONS = [
    ("an endpoint twice", "endpoint = https://enclave.test:8443\n", "endpoint", "twice"),
    ("a key that nobody gets to", "key-mode = 0640\ndir-mode = 0700\n", "key-mode", "wider"),
    ("a healthcheck between cycles", "max-fetch-age = 6m\n", "max-fetch-age", "interval"),
    ("a rehearsal that is off", "rehearse = off\n", "rehearse", "refuse"),
    ("images, and nobody is asked", f"attest-pcr = 0:{'ab' * 48}\n", "attest-pcr", "set attest"),
    ("exceptions from no proxy", "no-proxy = a.test\n", "no-proxy", "none"),
    ("a short overlap", "ca-overlap = 1m\n", "ca-overlap", "interval"),
    ("lines without a file", "metrics-format = emf\n", "metrics-format", "standard output"),
    ("a slow hook", "on-change-exec = /bin/true\non-change-timeout = 2m\n", "on-change-timeout", "deadline"),
]


@pytest.mark.parametrize("text, on, words", [row[1:] for row in CONTRADICTIONS], ids=[row[0] for row in CONTRADICTIONS])
def test_what_contradicts_is_a_warning(check, text, on, words):
    (said,) = reasons(check(GOOD + text))
    assert said.startswith(f"warning {on}: ") and words in said


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY"])
def test_exceptions_from_the_proxy_of_a_variable(check, name):
    assert check(GOOD + "no-proxy = a.test\n", env={name: "http://proxy.test:3128"}) == []


def test_an_interval_beyond_the_certificates_life(check, tmp_path, authority):
    target = tmp_path / "mtls"
    target.mkdir()
    short = authority.issue("ECS-Client", lifetime=(-DAY / 24, DAY / 24))
    (target / "client.crt").write_text(short.cert)
    text = GOOD + f"dir = {target}\ninterval = "
    (said,) = reasons(check(text + "2h\n"))
    assert said.startswith("warning interval: ") and "life" in said
    assert check(text + "5m\n") == []


def test_a_memory_limit_under_which_prefer_is_needed(tmp_path):
    """By the limits of the process that asks."""
    (tmp_path / "agent.conf").write_text(GOOD)
    argv = ["prlimit", "--memlock=65536:65536", "--", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"]
    argv += [str(PROGRAM), "check-config", f"--config={tmp_path / 'agent.conf'}", "--json"]
    done = subprocess.run(argv, env={}, capture_output=True, text=True, timeout=60)
    (found,) = json.loads(done.stdout)["findings"]
    assert (found["level"], found["code"]) == ("warning", "memory_lock") and "prefer" in found["remedy"]


def test_variables_and_flags_too(check):
    env = {"MTLS_AGENT_INTERVAL": "never", "MTLS_AGENT_SECRETE": "x", "AWS_PROFILE": KEY.replace("\\n", "\n")}
    said = reasons(check(GOOD, "--deadline=soon", "--nothing", env=env))
    assert [each.split(":")[0] for each in said] == [
        "problem --deadline",
        "problem --nothing",
        "problem MTLS_AGENT_INTERVAL",
        "problem AWS_PROFILE",
        "warning MTLS_AGENT_SECRETE",
    ]
    assert "MTLS_AGENT_SECRET?" in said[-1] and "MIGH" not in " ".join(said)


def test_a_flag_of_another_verb(check):
    (said,) = reasons(check(GOOD, "fetch", "--count=3"))
    assert said.startswith("problem --count: ") and "it is for probe" in said


def test_no_secret(check):
    (said,) = reasons(check("endpoint = enclave.test:8443\n"))
    assert "needs a secret" in said
    assert check("endpoint = enclave.test:8443\n", "probe") == []


def test_a_secret_that_is_a_mistake_is_not_missing_too(check):
    (said,) = reasons(check("secrets = x\nendpoint = enclave.test:8443\n"))
    assert "line 1" in said
    (said,) = reasons(check(GOOD, mode=0o666))
    assert "write" in said


def test_the_files_own_command(check):
    """It says for whom the file is, where nobody else does."""
    (said,) = reasons(check(GOOD + "command = healthcheck\nmin-endpoints = 9\n"))
    assert "more than there are" in said


def test_a_file_that_is_not_there_or_of_strangers(check, tmp_path):
    said = reasons(check(None, f"--secret={SECRET}"))
    assert len(said) == 1 and "cannot be opened" in said[0]
    said = reasons(check(GOOD, f"--secret={SECRET}", mode=0o666))
    assert len(said) == 1 and "write" in said[0]


def test_an_unknown_verb():
    done = subprocess.run([str(PROGRAM), "check-config", "fetsch"], env={}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 64 and "fetsch" in done.stderr


def test_what_belongs_to_no_option_is_not_shown():
    """A value behind an option that nobody knows: it may be a key."""
    key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    for command in ("check-config", "doctor", "fetch"):
        argv = [str(PROGRAM), command, "--aws-secret-access-key", key]
        done = subprocess.run(argv, env={"AWS_EC2_METADATA_DISABLED": "true"}, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and key not in done.stdout + done.stderr


def test_as_another_user_without_network(check, tmp_path):
    """Nothing that it does needs root, or a socket."""
    if os.geteuid() != 0:
        pytest.skip("it is another user's already")
    copy = tmp_path / "mtls-agent"
    copy.write_bytes(PROGRAM.read_bytes())
    copy.chmod(0o755)
    command = ["strace", "-f", "-qq", "-e", "trace=network,%creds", "-o", "/dev/stderr"] if _has_strace() else []
    argv = [*command, "setpriv", "--reuid=65534", "--clear-groups", str(PROGRAM), "check-config", f"--secret={SECRET}"]
    done = subprocess.run(argv, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "socket(AF_INET" not in done.stderr


def _has_strace():
    return any(os.access(f"{each}/strace", os.X_OK) for each in os.environ["PATH"].split(":"))


def test_the_schema_takes_what_the_program_takes():
    """platform/config.schema.json is made from the same table."""
    schema = json.loads((ROOT / "platform/config.schema.json").read_text())
    properties = schema["properties"]
    assert not schema["additionalProperties"]
    assert properties["rehearse"]["enum"] == ["refuse", "require", "off"]
    assert properties["endpoint"]["items"]["type"] == "string" and properties["combined"]["type"] == "boolean"
    help_text = subprocess.run([str(PROGRAM), "--help"], capture_output=True, text=True, check=True).stdout
    named = {line.split()[0][2:] for line in help_text.splitlines() if line.startswith("  --")}
    flags_alone = {"config", "at", "rollback"}
    assert named - flags_alone == {name for name in properties if not name.startswith(("AWS_", "HTTPS", "NO_"))} - {"command"}
