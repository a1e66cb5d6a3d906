# SPDX-License-Identifier: Apache-2.0
"""
Peers that never stop talking. As an enclave, each stands beside one that is well: that one is proved and the identity
installed, the other one is told with its true cause, and none of them keeps `run` from its work. As AWS or metadata,
each is an error like any other.
"""

import datetime
import re

import pytest

from agent import Agent, snapshot
from beside import NAMES, Beside, talks_of
from servers import endless
from servers.peer import Peer
from servers.pki import Authority, document
from side_by_side import side_by_side

DEADLINE_S = 80  # far beyond what one endpoint may take
LIMIT_S = 40  # an endpoint's 5 and 10 s, on a machine that has much else to do
AWS_DEADLINE_S = 6
SHARE = 0.6  # of one processor, with a probe of all of them every two seconds
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls/host-AbCdEf"

# The status has come, so the identity is proved; what comes after that does not matter.
PROVED = ("header lines", "one header line", "chunk extensions", "chunks", "trailers", "body")
CAUSE = re.compile(
    "timed out|without (an |any )?end|no end|never end|too (many|much|long|large)|out of turn|empty|no HTTP", re.I
)
FALSE_CAUSE = re.compile("refuse|answered HTTP [12]..$|Success|no error|the name is too long")


def seconds_between(first, last):
    times = (datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")) for event in (first, last))
    return -(next(times) - next(times)).total_seconds()


# ---- as an enclave


@pytest.fixture(scope="module")
def talks(tmp_path_factory, authority):
    return talks_of(authority, tmp_path_factory.mktemp("endless"))


@pytest.fixture(scope="module")
def fetched(tmp_path_factory, aws_server, pair, authority, talks, enclave):
    directory = tmp_path_factory.mktemp("fetched")
    arn = aws_server.put("mtls/endless", document(pair, authority.pem))
    agents = {name: Agent(directory / str(number), aws_server.environment()) for number, name in enumerate(NAMES)}

    def start(name):
        server, agent = Peer(talks[name]), agents[name]
        agent.dir.parent.mkdir()
        endpoints = [server.endpoint, enclave.endpoint]
        return server, agent.start(*agent.fetch_arguments(arn, endpoint=endpoints, deadline=f"{DEADLINE_S}s"))

    return {name: (agents[name], *ended) for name, ended in side_by_side(NAMES, start).items()}


@pytest.mark.parametrize("name", NAMES)
def test_an_enclave_beside_a_good_one(fetched, enclave, name):
    agent, server, result = fetched[name]
    result.succeeded("installed")
    assert (agent.dir / "client.crt").exists()
    told = {event["endpoint"]: event for event in result.all("handshake")}
    assert told[enclave.endpoint]["result"] == "accepted", result.stderr
    bad = told[server.endpoint]
    assert seconds_between(result.events[0], bad) < LIMIT_S
    if name.removesuffix(" in drops") in PROVED and bad["result"] == "accepted":
        return
    assert bad["result"] == "unreachable", result.stderr
    assert CAUSE.search(bad["reason"]) and not FALSE_CAUSE.search(bad["reason"]), bad["reason"]


def test_run_lives_beside_all_of_them(agent, serve, put, good, enclave, talks, up):
    beside = Beside(
        agent, serve, put(good), enclave, talks, up, interval="1h", probe_interval="2s", deadline=f"{DEADLINE_S}s"
    )
    assert beside.lives(rounds=2) < SHARE
    status, _ = beside.service.stop()
    assert status == 0


# ---- as AWS, STS, instance metadata and the container's


def place_of(place, port, directory):
    """The variables that lead the agent to a peer on that port."""
    https, http = f"https://localhost:{port}", f"http://127.0.0.1:{port}"
    bundle = {"AWS_CA_BUNDLE": str(directory / "ca.pem"), "AWS_REGION": "eu-central-1"}
    if place == "aws":
        keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI"}
        return {**keys, **bundle, "AWS_ENDPOINT_URL_SECRETS_MANAGER": https}
    if place == "sts":
        role = {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/mtls-agent"}
        token = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(directory / "token")}
        return {**role, **token, **bundle, "AWS_ENDPOINT_URL_STS": https}
    if place == "container":
        return {**bundle, "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{http}/credentials"}
    return {**bundle, "AWS_EC2_METADATA_SERVICE_ENDPOINT": http, "AWS_EC2_METADATA_DISABLED": "false"}


AWS_CASES = [
    f"{place}: {name}"
    for place, table in (("aws", endless.aws), ("sts", endless.aws), ("imds", endless.metadata), ("container", endless.metadata))
    for name in table(None)
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    directory = tmp_path_factory.mktemp("asked")
    authority = Authority("Endless Root")
    (directory / "ca.pem").write_text(authority.pem)
    (directory / "token").write_text("eyJhbGciOiJSUzI1NiJ9.e30.c2ln")
    context = endless.server_context(*authority.issue("localhost", names=["localhost"]).write(directory, "aws"))
    tables = {"aws": endless.aws(context), "sts": endless.aws(context)}
    tables |= {"imds": endless.metadata(), "container": endless.metadata()}

    agents = {case: Agent(directory / str(number), {}) for number, case in enumerate(AWS_CASES)}

    def start(case):
        place, name = case.split(": ")
        server, agent = Peer(tables[place][name]), agents[case]
        agent.dir.parent.mkdir()
        arguments = agent.fetch_arguments(ARN, deadline=f"{AWS_DEADLINE_S}s")
        return server, agent.start(*arguments, env=place_of(place, server.port, directory))

    return {case: (agents[case], *ended) for case, ended in side_by_side(AWS_CASES, start).items()}


@pytest.mark.parametrize("case", AWS_CASES)
def test_whoever_answers_as_aws(asked, case):
    """The agent ends by itself, before the supervisor has to end it, and says what was wrong."""
    agent, server, result = asked[case]
    assert result.status in (69, 75, 77), f"exit {result.status}:\n{result.stderr}"
    error = result.event("error")
    assert error["reason"] and error["reason"] != "the work did not end in time", result.stderr
    assert not re.search("Success|no error|the name is too long|: Error$", error["reason"]), error["reason"]
    assert server.connections > 0
    assert snapshot(agent.dir) is None
