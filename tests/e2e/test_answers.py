# SPDX-License-Identifier: Apache-2.0
"""What commands answer on standard output: their own options, whole or not at all, and not between the lines of the log."""

import json
import os
import pty
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from agent import PROGRAM
from causes import body, der, pem
from servers.loaders import LOADERS
from servers.pki import DAY, Pair, _der, _elements, document, key_pem, new_key

COMMANDS = ["fetch", "inspect", "probe", "attest", "run", "status", "healthcheck", "purge"]


def options_of(text):
    return {line.split()[0] for line in text.splitlines() if line.startswith("  --")}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(agent, command):
    told = agent.run("help", command)
    assert told.status == 0 and told.stdout.startswith(f"Usage: mtls-agent {command} [OPTION]...")
    assert agent.run(command, "--help").stdout == told.stdout == agent.run(command, "--dir=x", "-h").stdout
    every, own = options_of(agent.run("--help").stdout), options_of(told.stdout)
    assert "--dir" in own < every
    assert ("--hook-timeout" in own or "--on-change-exec" in own) == (command in ("fetch", "run"))
    assert ("--endpoint" in own) == (command in ("fetch", "run", "probe", "attest"))
    assert ("--json" in own) == (command in ("inspect", "probe", "attest", "status", "healthcheck"))


def test_help_of_no_command(agent):
    told = agent.run("help", "fetsch")
    assert told.status == 64 and told.stdout == "" and "no such command" in told.stderr


@pytest.mark.parametrize("words", [["fetch", "run"], ["fetch", "fetsch"], ["fetsch", "fetch"], ["--json", "run", "fetch"]])
def test_help_of_two_commands(agent, words):
    """One is taken; the other is not passed over in silence."""
    told = agent.run("help", *words)
    assert told.status == 64 and told.stdout == "" and "one command" in told.stderr


OPERANDS = {"inspect": " [FILE [FILE]]", "attest": " [FILE]", "check-config": " [COMMAND]"}


@pytest.mark.parametrize("command", [*COMMANDS, "doctor", "check-config"])
def test_help_has_the_words_that_a_command_takes(agent, command):
    """In its first line; and it is told no others."""
    first = agent.run("help", command).stdout.splitlines()[0]
    assert first == f"Usage: mtls-agent {command} [OPTION]...{OPERANDS.get(command, '')}"
    words = OPERANDS.get(command, "").split()
    few = [agent.run(command, *["fetch"] * count, "--deadline=5s", "--dir=/nowhere", "--secret=x") for count in range(1, 4)]
    assert ["unexpected word" in each.stderr + each.stdout for each in few] == [n > len(words) for n in range(1, 4)]
    assert all(each.status for each in few[len(words) :])


SAMPLES = """--key-mode=0600 --cert-mode=0644 --dir-mode=0755 --writable-dir=warn --owner=0 --region=eu-central-1 --interval=5m
--wave=100%:1s --count=3 --request=/x --expires-within=1d --as-user=1000 --at=2026-01-01T00:00:00Z --min-endpoints=1
--metrics-format=emf --endpoint=localhost:1 --expect-san=x --attested --combined --json""".split()


@pytest.mark.parametrize("command", [*COMMANDS, "doctor"])
def test_help_lists_what_a_command_takes(agent, command):
    """What is not listed is refused, and what is listed is not."""
    own = options_of(agent.run("help", command).stdout)
    told = {each: agent.run(command, each, "--dir=/nowhere", "--deadline=5s") for each in SAMPLES}
    refused = {each.partition("=")[0] for each, result in told.items() if f"means nothing to {command}" in result.stderr + result.stdout}
    assert refused == {each.partition("=")[0] for each in SAMPLES} - own


FULL = {
    "help": ["help"],
    "help of a command": ["fetch", "--help"],
    "version": ["version"],
    "inspect": ["inspect", "{dir}/client.crt"],
    "inspect --json": ["inspect", "--json", "--dir={dir}"],
    "probe": ["probe", "--dir={dir}", "--endpoint=localhost:1"],
    "probe --json": ["probe", "--json", "--dir={dir}", "--endpoint=localhost:1"],
    "attest": ["attest", "{dir}/client.crt"],
}


@pytest.mark.parametrize("what", FULL)
def test_a_full_disk_is_told(agent, put, good, what):
    agent.fetch(put(good)).succeeded("installed")
    argv = [str(PROGRAM), *(each.format(dir=agent.dir) for each in FULL[what])]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(argv, env=agent.environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 72, done.stderr
    assert done.stderr.count("code=output_failed") == 1 and "No space left on device" in done.stderr


def test_a_status_that_cannot_be_written_is_told(agent, put, good, serve):
    service = serve(put(good))
    service.wait("installed")
    agent.status()
    with open("/dev/full", "wb") as full:
        argv = [str(PROGRAM), "status", f"--dir={agent.dir}"]
        done = subprocess.run(argv, env=agent.environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 72 and "output_failed" in done.stderr


def test_a_health_check_for_programs(agent, put, good, serve):
    nothing = agent.run("healthcheck", "--json", f"--dir={agent.dir}")
    told = json.loads(nothing.stdout)
    assert nothing.status == 1 and told["healthy"] is False and "no identity is installed" in told["reason"]
    service = serve(put(good))
    service.wait("installed")
    well = agent.run("healthcheck", "--json", f"--dir={agent.dir}")
    assert well.status == 0 and json.loads(well.stdout) == {"healthy": True, "reason": None}


def on_a_terminal(agent, *arguments):
    """Both outputs are one terminal; all that stands on it."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen([str(PROGRAM), *arguments], env=agent.environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while more := os.read(ours, 65536):
            seen += more
    except OSError:  # its other end is closed
        pass
    os.close(ours)
    child.wait(60)
    return seen.decode()


def test_on_a_terminal_the_answer_is_alone(agent, put, good, enclave):
    agent.fetch(put(good)).succeeded("installed")
    inspected = on_a_terminal(agent, "inspect", f"--dir={agent.dir}")
    assert inspected.startswith(f"{agent.dir}: good") and "info" not in inspected
    probed = on_a_terminal(agent, "probe", f"--dir={agent.dir}", f"--endpoint={enclave.endpoint}")
    assert [line.split()[0] for line in probed.splitlines()] == ["RESULT", "accepted"]
    asked = on_a_terminal(agent, "probe", f"--dir={agent.dir}", f"--endpoint={enclave.endpoint}", "--request=/health")
    assert "info" not in asked and "handshake" not in asked
    told = on_a_terminal(agent, "probe", f"--dir={agent.dir}", f"--endpoint={enclave.endpoint}", "--log-level=debug")
    assert " info handshake " in told  # who asks for it gets it
    assert " info " in agent.run("inspect", f"--dir={agent.dir}").stderr  # and who reads it elsewhere


# ---- what inspect notices besides


def test_another_mode_than_the_configured_one(agent, put, good):
    agent.fetch(put(good)).succeeded("installed")
    assert "has mode" not in agent.run("inspect", f"--dir={agent.dir}").stdout
    (agent.dir / "client.key").chmod(0o640)
    (agent.dir / "ca.crt").chmod(0o600)
    told = agent.run("inspect", f"--dir={agent.dir}")
    assert told.status == 0
    assert "warning  client_key: client.key has mode 0640; key-mode is 0600" in told.stdout
    assert "warning  ca_cert: ca.crt has mode 0600; cert-mode is 0644" in told.stdout
    told = agent.run("inspect", f"--dir={agent.dir}", "--key-mode=0640", "--cert-mode=0600")
    assert told.stdout.count("has mode") == 1  # client.crt's


def named(authority, key, value, kind):
    """A client whose name has that string type, whatever stands in it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CCCC", _type=kind)])
    made = authority._builder(name, key.public_key(), authority, (-DAY, DAY)).sign(authority.key, hashes.SHA256())
    tbs, algorithm, _ = _elements(body(made.public_bytes(serialization.Encoding.DER)))
    tbs = tbs.replace(b"CCCC", value)
    return signed(authority, key, tbs, algorithm)


def signed(authority, key, tbs, algorithm):
    signature = authority.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return Pair(pem("CERTIFICATE", _der(0x30, tbs + algorithm + _der(0x03, b"\0" + signature))), key_pem(key))


def negative(authority, key):
    pair = authority.issue("Client", key=key)
    tbs, algorithm, _ = _elements(body(der(pair.cert)))
    parts = list(_elements(body(tbs)))
    return signed(authority, key, _der(0x30, parts[0] + _der(0x02, b"\x81\x01") + b"".join(parts[2:])), algorithm)


FLAWS = {
    "a negative serial number": (negative, "its serial number is negative"),
    "@ in a PrintableString": (lambda a, k: named(a, k, b"C@CC", _ASN1Type.PrintableString), "PrintableString"),
    "_ in a PrintableString": (lambda a, k: named(a, k, b"C_CC", _ASN1Type.PrintableString), "PrintableString"),
    "broken UTF-8": (lambda a, k: named(a, k, b"C\xff\xc3C", _ASN1Type.UTF8String), "broken UTF-8"),
    "Latin-1 in an IA5String": (lambda a, k: named(a, k, b"C\xe9CC", _ASN1Type.IA5String), "letters that its type has not"),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_what_programs_in_go_refuse(agent, put, authority, flaw, monkeypatch):
    """It is a warning, since others read it: OpenSSL does all but one, Go does not."""
    monkeypatch.setenv("GODEBUG", "x509negativeserial=0")  # as programs of today's Go have it
    make, text = FLAWS[flaw]
    agent.fetch(put(document(make(authority, new_key("p256")), authority.pem))).succeeded("installed")
    told = agent.run("inspect", f"--dir={agent.dir}")
    assert told.status == 0 and "warning  client_cert: programs in Go refuse " in told.stdout and text in told.stdout
    if flaw != "broken UTF-8":
        LOADERS["openssl"](agent.dir)
    with pytest.raises(Exception):
        LOADERS["go"](agent.dir)


def test_what_programs_in_go_take(agent, put, good):
    agent.fetch(put(good)).succeeded("installed")
    assert "Go" not in agent.run("inspect", f"--dir={agent.dir}").stdout
    LOADERS["go"](agent.dir)


def test_the_remedy_is_shown(agent, put, authority):
    expired = document(authority.issue("Old", lifetime=(-3 * DAY, -DAY)), authority.pem)
    path = agent.dir.parent / "document"
    path.write_text(expired)
    assert "remedy\n  Issue a new one and put it into the secret.\n" in agent.run("inspect", path).stdout
    (told,) = json.loads(agent.run("inspect", path, "--json").stdout)
    assert (told["cause"], told["remedy"]) == ("certificate_expired", "Issue a new one and put it into the secret.")
