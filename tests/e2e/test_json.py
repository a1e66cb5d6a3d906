# SPDX-License-Identifier: Apache-2.0
"""docs/json.md against what the program prints: each key that it prints is there with its type, and each key there is printed."""

import datetime
import json
import os
import re
import subprocess

import pytest

from agent import PROGRAM, ROOT, wait_for
from servers.nitro import Attested, Hardware, pcr_set
from servers.peer import Peer
from servers.peer13 import Tls13
from servers.pki import document
from servers.process import free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a file of roots must be root's")
OFFLINE = {"PATH": "/usr/bin:/bin", "AWS_EC2_METADATA_DISABLED": "true"}
ELSEWHERE = {"sandbox.absent"}  # of a kernel that lacks something: test_sandbox.py
PCR = re.compile(r"pcr[0-9]+$")


def sections():
    """Of each section of the page its keys, and what each may be."""
    found = {}
    for part in (ROOT / "docs/json.md").read_text().split("\n## ")[1:]:
        rows = re.findall(r"^\| `([^`]+)` \| ([^|]+?) \|", part, re.MULTILINE)
        found[part.split("\n")[0]] = {key: set(re.split(r", | or ", kind)) for key, kind in rows}
    return found


SECTIONS = sections()


def kinds_of(value):
    """What the page may call it."""
    if isinstance(value, str):
        try:
            datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")
            return {"time", "string"}
        except ValueError:
            return {"string"}
    if isinstance(value, list):
        return {"list", "list of string"} if all(isinstance(each, str) for each in value) else {"list"}
    return {{dict: "object", bool: "boolean", int: "number", type(None): "null"}[type(value)]}


def keys(value, path=""):
    """Each key that is in it, by its path, with its value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            here = f"{path}.{PCR.sub('pcr0', name)}" if path else name
            yield here, inner
            yield from keys(inner, here)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner, f"{path}[]")


class Seen:
    """What was printed of one section."""

    def __init__(self, section):
        self.section, self.page, self.kinds = section, SECTIONS[section], {}

    def add(self, text):
        for path, value in keys(json.loads(text)):
            assert path in self.page, f"docs/json.md, {self.section}: {path} is not there"
            kinds = kinds_of(value)
            assert kinds & self.page[path], f"docs/json.md, {self.section}: {path} is {self.page[path]}, and was {value!r}"
            self.kinds.setdefault(path, set()).update(kinds)

    def complete(self):
        missing = [path for path in self.page if path not in ELSEWHERE and not self.kinds.get(path, set()) - {"null"}]
        assert not missing, f"docs/json.md, {self.section}: never printed"


def say(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, env=OFFLINE, timeout=60, text=True)
    return done.stdout


@pytest.fixture(scope="module")
def hardware():
    return Hardware()


@pytest.fixture
def roots(tmp_path, hardware):
    path = tmp_path / "roots"
    path.write_text(hardware.fingerprint)
    return path


@pytest.fixture
def attested(tmp_path, up, authority, hardware):
    return up(Attested(tmp_path / "attested", authority.issue("localhost", names=["localhost"]), authority.pem, hardware))


def test_the_page_has_every_form():
    assert set(SECTIONS) == {"status", "healthcheck", "probe", "inspect", "inspect A B", "attest", "doctor", "The log"}
    verbs = re.findall(r"^  ([a-z][a-z-]*) ", say("help"), re.MULTILINE)
    told = (ROOT / "docs/json.md").read_text()
    for verb in verbs:
        if verb not in ("version", "help") and "--json" in say("help", verb).split():
            assert f"`mtls-agent {verb} --json" in told


def test_status(agent, serve, aws, put, good, authority, attested, roots, tmp_path):
    seen = Seen("status")
    attest = ["--attest=report", f"--attest-root={roots}", f"--attest-pcr={pcr_set()}"]
    dead = f"localhost:{free_port()}"

    def look(condition):
        def come():
            text = (agent.dir / "..status.json").read_text()
            seen.add(text)
            return condition(json.loads(text))

        wait_for((agent.dir / "..status.json").exists)
        wait_for(come)

    conf = tmp_path / "agent.conf"
    conf.write_text("on-change-exec = /bin/false\nwave = 50%:1h,100%:1h\n")
    arn = put(good)
    service = serve(arn, f"--config={conf}", "--log-level=debug", *attest, endpoint=[attested.endpoint, dead])
    look(
        lambda status: status["endpoints"][0]["root"]
        and status["endpoints"][1]["failure"]
        and status["sets"][0]["on_change_error"]
        and status["sets"][0]["endpoints_accepting"]
    )
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    look(lambda status: status["sets"][0]["waits_until"])
    service.stop()
    service = serve("arn:aws:secretsmanager:eu-west-1:123456789012:secret:none-AbCdEf", endpoint=dead)
    look(lambda status: status["sets"][0]["error"])
    service.stop()
    (agent.dir / "client.key").unlink()
    service = serve("arn:aws:secretsmanager:eu-west-1:123456789012:secret:none-AbCdEf",)
    look(lambda status: status["sets"][0]["problem"])
    service.stop()
    seen.complete()


def test_healthcheck(agent, put, good):
    seen = Seen("healthcheck")
    seen.add(say("healthcheck", "--json", f"--dir={agent.dir}"))
    seen.complete()


def test_probe(agent, put, good, enclave, attested, roots, stranger, up):
    seen = Seen("probe")
    agent.fetch(f"web={put(good)}").succeeded("installed")

    def talk(sock):
        tls = Tls13(sock, stranger.issue("localhost", names=["localhost"]))
        tls._chain.append(b"\x30\x01\x00")
        tls.hello()
        tls.server_hello()
        tls.flight()
        while sock.recv(4096):
            pass

    strange = up(Peer(talk))
    endpoints = [enclave.endpoint, attested.endpoint, strange.endpoint, f"localhost:{free_port()}"]
    seen.add(
        say(
            "probe",
            "--json",
            "--show-chain",
            "--secret=web=arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf",
            f"--dir={agent.dir}",
            "--attest=report",
            f"--attest-root={roots}",
            *(f"--endpoint={each}" for each in endpoints),
        )
    )
    seen.complete()


def test_inspect(agent, put, good, pair, authority, rogue, tmp_path, aws):
    seen = Seen("inspect")
    arn = put(good)
    agent.fetch(arn, "--ca-overlap=1h").succeeded("installed")
    other = type(authority)("Another-CA")
    aws.rotate(arn, document(other.issue("ECS-Client"), other.pem))
    agent.fetch(arn, "--ca-overlap=1h").succeeded("installed")
    seen.add(say("inspect", "--json", f"--dir={agent.dir}"))
    seen.add(say("inspect", "--json", f"--dir={agent.dir}", "--expires-within=36500d"))
    bare = tmp_path / "bare.pem"
    bare.write_text(pair.cert)
    mixed = tmp_path / "mixed.json"
    mixed.write_text(document(type(pair)(pair.cert, rogue.key), authority.pem))
    bare_key = tmp_path / "key.json"
    bare_key.write_text(json.dumps({"client_cert": pair.cert, "client_key": pair.key}))
    for path in bare, mixed, bare_key:
        seen.add(say("inspect", "--json", path))
    seen.complete()


def test_inspect_of_two(pair, rogue, authority, tmp_path):
    seen = Seen("inspect A B")
    for name, one in (("a", pair), ("b", rogue)):
        (tmp_path / name).write_text(document(one, authority.pem))
    seen.add(say("inspect", "--json", tmp_path / "a", tmp_path / "b"))
    seen.complete()


def test_attest(agent, put, good, attested, roots, hardware, tmp_path):
    seen = Seen("attest")
    agent.fetch(put(good)).succeeded("installed")
    common = ["attest", "--json", f"--attest-root={roots}", f"--dir={agent.dir}"]
    seen.add(say(*common, f"--endpoint={attested.endpoint}", f"--attest-pcr={pcr_set()}"))
    file = tmp_path / "document"
    file.write_bytes(hardware.document(nonce=b"n", user_data=b"u", public_key=b"k"))
    seen.add(say(*common, file, "--at=2024-09-09T19:49:12Z"))
    file.write_bytes(b"nothing")
    seen.add(say(*common, file))
    seen.complete()


def test_doctor(agent, put, good, enclave):
    seen = Seen("doctor")
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    words = ["--json", f"--secret={arn}", f"--dir={agent.dir}", f"--endpoint={enclave.endpoint}", "--on-change-exec=/bin/true"]
    seen.add(agent.run("doctor", *words).stdout)
    seen.add(agent.run("doctor", *words, f"--endpoint=localhost:{free_port()}").stdout)
    seen.add(agent.run("check-config", *words).stdout)
    seen.complete()


def test_the_log(agent, put, good):
    page = SECTIONS["The log"]
    said = agent.fetch(put(good)).stderr
    for line in said.splitlines():
        event = json.loads(line)
        assert list(event)[:3] == list(page)
        assert all(kinds_of(event[key]) & page[key] for key in page)
        assert all(kinds_of(value) & {"string", "number"} for value in event.values())
