# SPDX-License-Identifier: Apache-2.0
"""What the tests share: the servers, started once, and an agent with a directory of its own for each test."""

import itertools
import os
import shutil
import sys
import tempfile

import pytest

from agent import PROGRAM, ROOT, Agent
from day import Clock
from servers.aws import Aws
from servers.enclave import KINDS
from servers.pki import Authority, Commands, document
from servers.proxy import FaultProxy


# The long ones begin first, so that none is left alone at the end.
LONG = "misplaced bad_days tls13 starved endless rollback names verdicts probe turns run enclave alarms".split()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if not PROGRAM.exists():
        pytest.exit(f"{PROGRAM} does not exist: run make first", 2)
    if not config.option.basetemp:  # --basetemp=DIR keeps what the tests leave
        config.own_basetemp = config.option.basetemp = tempfile.mkdtemp(prefix="mtls-agent-e2e-")


def _turn(item):
    name = item.path.stem.removeprefix("test_")
    return LONG.index(name) if name in LONG else len(LONG)


def pytest_collection_modifyitems(items):
    """Leaves out what tests/left-out names for the kind of program that is under test."""
    items.sort(key=_turn)
    for line in (ROOT / "tests/left-out").read_text().splitlines():
        kind, _, rest = line.partition(" ")
        place, _, reason = rest.partition(" ")
        path, _, name = place.partition("::")
        here = [item for item in items if ROOT / path == item.path]
        named = [item for item in here if name in ("*", item.originalname)]
        if kind != os.environ.get("TEST_KIND") or not here:
            continue
        if not named and here[0].config.option.keyword == "":
            raise pytest.UsageError(f"tests/left-out: no test {place}")
        for item in named:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter):
    count = terminalreporter.stats
    config = terminalreporter.config
    skipped = len(count.get("skipped", []))
    config.closing_line = (
        f"{len(count.get('passed', []))} passed, "
        f"{len(count.get('failed', [])) + len(count.get('error', []))} failed"
        f"{f', {skipped} skipped' if skipped else ''}"
    )


def pytest_unconfigure(config):
    """Leaves nothing; says the last line of all, as every test command here ends."""
    if hasattr(config, "own_basetemp"):
        shutil.rmtree(config.own_basetemp)
    if hasattr(config, "closing_line"):
        print(config.closing_line)
        sys.stdout.flush()


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def aws_server(work):
    server = Aws(work / "aws")
    yield server
    server.stop()


@pytest.fixture
def aws(aws_server):
    """AWS as it is when all is well."""
    aws_server.faults.clear()
    aws_server.asked.clear()
    aws_server.disagreements.clear()
    yield aws_server
    aws_server.faults.clear()
    aws_server.failing.clear()
    aws_server.checks_time = False
    assert not aws_server.disagreements


@pytest.fixture(scope="session")
def pki(work):
    """A PKI by the README's commands: a client, "server" with a subjectAltName, and "server-cn" without."""
    made = Commands(work / "pki")
    made.make_ca()
    made.make_client()
    made.make_server(san="DNS:localhost,DNS:enclave.test,IP:127.0.0.1,IP:::1")
    made.make_server("server-cn")
    return made


@pytest.fixture(scope="session")
def authority():
    """A CA that is quick to issue from."""
    return Authority("Enclave-CA")


@pytest.fixture(scope="session")
def stranger():
    """Another CA, which no enclave trusts."""
    return Authority("Stranger-CA")


@pytest.fixture(scope="session")
def pair(authority):
    return authority.issue("ECS-Client")


@pytest.fixture(scope="session")
def rogue(stranger):
    return stranger.issue("ECS-Client")


@pytest.fixture
def up():
    """up(server) returns it, and stops it when the test ends."""
    servers = []
    yield lambda server: servers.append(server) or server
    for server in reversed(servers):
        server.stop()


@pytest.fixture
def reach(aws_server, up):
    """reach(server) are the options of an agent that meets it, in that server's own network where it has one."""

    def options(server):
        if not server.enter:
            return {}
        to_aws = up(FaultProxy(aws_server.port, listener=server.network.open("tcp", "127.0.0.1")))
        url = f"https://localhost:{to_aws.port}"
        return {"prefix": server.enter, "env": {"AWS_ENDPOINT_URL_SECRETS_MANAGER": url}}

    return options


@pytest.fixture(scope="session")
def enclaves(work, pki):
    """One of each kind with the README's PKI."""
    running = {name: kind(work / name, pki.pair("server"), pki.ca_pem) for name, kind in KINDS.items()}
    yield running
    for each in running.values():
        each.stop()


@pytest.fixture(scope="session")
def enclave(work, authority):
    """nginx with certificates of authority."""
    names = ["localhost", "enclave.test", "enclave.example.com", "127.0.0.1", "::1"]
    server = authority.issue("localhost", names=names)
    running = KINDS["nginx"](work / "enclave", server, authority.pem)
    yield running
    running.stop()


@pytest.fixture
def agent(tmp_path, aws):
    return Agent(tmp_path, aws.environment())


@pytest.fixture
def serve(agent):
    """serve(secret, ...) is agent.serve(), and is stopped when the test ends."""
    services = []

    def start(*arguments, **options):
        services.append(agent.serve(*arguments, **options))
        return services[-1]

    yield start
    for service in services:
        service.stop()


@pytest.fixture
def clock(tmp_path):
    """The wall clock of an agent that is started with its variables as CLOCK."""
    return Clock(tmp_path / "clock")


@pytest.fixture(scope="session")
def names():
    """Names that no secret has had."""
    return (f"mtls/test-{number}" for number in itertools.count(1))


@pytest.fixture
def put(aws, names):
    """put(document) makes a secret of it and returns its ARN."""
    return lambda value, **options: aws.put(next(names), value, **options)


@pytest.fixture(scope="session")
def good(pair, authority):
    """The document of a good identity."""
    return document(pair, authority.pem)
