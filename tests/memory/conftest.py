# SPDX-License-Identifier: Apache-2.0
"""The servers and the agent of tests/e2e, and what looks into the agent's memory."""

import importlib.util
import os
import ssl
from pathlib import Path

import pytest

from agent import ROOT
from look import Frozen, Hit, Scanner, Secrets, read_memory
from servers.aws import Aws
from servers.http import HOLD, Http, json_answer, text_answer
from servers.pki import document

# The hooks and fixtures of the other conftest.py are ours as well.
_spec = importlib.util.spec_from_file_location("e2e_conftest", ROOT / "tests" / "e2e" / "conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)
globals().update({name: value for name, value in vars(_e2e).items() if not name.startswith("_")})

MEMFD_SECRET = "447"
PROGRAMS = ROOT / "build" / "tests"
# Nothing can read secret memory: without it the arena is private memory under mlock(2), which root can read.
READABLE = [str(PROGRAMS / "deny"), MEMFD_SECRET, "--"]
if os.geteuid() != 0:  # whoever made the namespace may read what is not dumpable in it
    READABLE = ["unshare", "--user", "--map-root-user", "--", *READABLE]


def variant(name):
    """An agent of the Makefile's list MEMORY."""
    return PROGRAMS / "memory" / name


class Enclave:
    """An enclave of Python's, by TLS 1.3 or older, that keeps a key log. answer: an Answer, or HOLD."""

    def __init__(self, directory, server, client_ca, newest=ssl.TLSVersion.TLSv1_3):
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "clients.crt").write_text(client_ca)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = newest
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(directory / "clients.crt")
        context.load_cert_chain(*server.write(directory, "server"))
        self.log = directory / "keys.log"
        context.keylog_filename = str(self.log)
        self.answer = None
        self._http = Http(self._answer, context=context, orderly=True)
        self.port = self._http.port
        self.endpoint = f"localhost:{self.port}"

    def _answer(self, _request):
        return self.answer or json_answer(200, {"server": "python"})

    @property
    def asked(self):
        return self._http.asked

    def hold(self):
        self.answer = HOLD
        return self

    def forbid(self):
        self.answer = text_answer(403, "no")
        return self

    def stop(self):
        self._http.stop()


@pytest.fixture(scope="session")
def aws_server(work):
    server = Aws(work / "aws", key_log=work / "aws-keys.log")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def aws_log(work):
    return work / "aws-keys.log"


@pytest.fixture(scope="session")
def server_pair(authority):
    return authority.issue("localhost", names=["localhost", "127.0.0.1"])


@pytest.fixture
def enclave(tmp_path, up, server_pair, authority):
    return up(Enclave(tmp_path / "enclave", server_pair, authority.pem))


@pytest.fixture(scope="session")
def pairs(authority):
    """A client of each kind of key: the smallest and the largest."""
    return {kind: authority.issue("ECS-Client", kind) for kind in ("p256", "rsa4096")}


@pytest.fixture(params=["p256", "rsa4096"])
def client(request, pairs):
    return pairs[request.param]


@pytest.fixture
def client_document(client, authority):
    return document(client, authority.pem)


@pytest.fixture(scope="session")
def scanner(work):
    return Scanner(work)


@pytest.fixture
def secrets(aws, aws_log, enclave):
    """What every test looks for: AWS's keys, and the master secrets of AWS and enclave."""
    keys = aws.keys["aws_secret_access_key"]
    return Secrets().aws_key(keys).key_log(aws_log).key_log(enclave.log)


@pytest.fixture
def look(scanner, secrets):
    """look(pid): a stopped process's memory, and the hits in it: (memory, outside, inside)."""

    def look_at(pid):
        memory = read_memory(pid)
        needles = secrets.all()
        hits = [
            Hit(name, mapping, mapping.start + offset, size)
            for mapping in memory
            if mapping.data
            for name, offset, size in scanner.scan(needles, mapping.data)
        ]
        outside = [hit for hit in hits if not hit.mapping.is_arena]
        return memory, outside, [hit for hit in hits if hit.mapping.is_arena]

    return look_at


@pytest.fixture
def glance(look):
    """glance(pid) stops a process for as long as it is looked at; None where it has ended."""

    def stop_and_look(pid):
        with Frozen(pid) as alive:
            return look(pid) if alive else None

    return stop_and_look


@pytest.fixture
def launch(agent):
    """launch(*arguments) starts an agent that ends with the test, stopped or not."""
    running = []

    def start(*arguments, **options):
        running.append(agent.start(*arguments, **{"prefix": READABLE, **options}))
        return running[-1]

    yield start
    for each in running:
        if each.child.poll() is None:
            each.child.kill()
        each.child.communicate()


@pytest.fixture
def stay(agent):
    """The same of agent.serve()."""
    running = []

    def start(*arguments, **options):
        running.append(agent.serve(*arguments, **{"prefix": READABLE, **options}))
        return running[-1]

    yield start
    for each in running:
        if each.child.poll() is None:
            each.child.kill()
        each.child.wait()
