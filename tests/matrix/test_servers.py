# SPDX-License-Identifier: Apache-2.0
"""
Real servers of every kind that enclaves are made of. What each says to an identity, again and again: always the same
verdict and exit status, and nothing that is refused is installed.
"""

import datetime
from typing import NamedTuple

import pytest

from agent import PROGRAM, Agent, snapshot
from day import CLOCK, Clock
from kinds import ALERT, ANSWER, CLOSE, DEAF, INSISTING, KINDS, ONE_VERSION, SAYS, SAYS_13, SILENCE, UNABLE
from servers.pki import DAY, document

HOUR = datetime.timedelta(hours=1)
DEADLINE_S = 60
SILENT_DEADLINE_S = 14  # a silent server is asked until then
SIDE_BY_SIDE = 5


class Way(NamedTuple):
    """The server's words, how each kind says there that it wants no certificate, and the version and group that come of it."""

    words: tuple
    says: dict
    version: str
    group: str = ""


WAYS = {
    "1.2": Way(("tls12",), SAYS, "1.2"),
    "1.3": Way(("tls13",), SAYS_13, "1.3"),
    "either": Way((), SAYS_13, "1.3"),
    "P-384": Way(("tls13", "p384"), SAYS_13, "1.3", "P-384"),  # which we offer no share of: HelloRetryRequest
}


class Identity(NamedTuple):
    """arn, and who has it installed; the agent's program and environment, where its clock is not the servers'."""

    arn: str
    agent: Agent
    program: object
    env: dict


@pytest.fixture(scope="module")
def identities(tmp_path_factory, aws_server, authority, stranger):
    """right: what all of them take; stranger: of another CA; expired: by the servers' clocks, not by the agent's."""
    directory = tmp_path_factory.mktemp("identities")
    behind = Clock(directory / "clock")
    behind.set(-12 * 3600)
    made = {
        "right": (authority.issue("ECS-Client"), PROGRAM, {}),
        "stranger": (stranger.issue("ECS-Client"), PROGRAM, {}),
        "expired": (authority.issue("ECS-Client", lifetime=(-DAY, -6 * HOUR)), CLOCK, behind.env),
    }
    found = {}
    for name, (pair, program, env) in made.items():
        arn = aws_server.put(f"mtls/servers-{name}", document(pair, authority.pem))
        agent = Agent(directory / name, aws_server.environment())
        agent.dir.parent.mkdir()
        agent.run(*agent.fetch_arguments(arn), program=program, env=env).succeeded("installed")
        found[name] = Identity(arn, agent, program, env)
    return found


def in_turn(times, start):
    return [start(number).finish() for number in range(times)]


def at_once(times, start):
    """Some at a time, since each of them is only waiting."""
    results = []
    while len(results) < times:
        numbers = range(len(results), min(times, len(results) + SIDE_BY_SIDE))
        results += [process.finish() for process in [start(number) for number in numbers]]
    return results


def repeat(is_silent, times, start):
    """start(number) starts an agent; the results of so many."""
    return (at_once if is_silent else in_turn)(times, start)


def of_server(kind, way, server, reach, identity):
    """Options of whoever meets this server with this identity."""
    options = reach(server)
    deadline = SILENT_DEADLINE_S if way.says[kind] == SILENCE else DEADLINE_S
    env = {**identity.env, **options.get("env", {})}
    if (kind, way.version) in UNABLE:
        env["MTLS_AGENT_TLS_VERSIONS"] = way.version
    return f"{deadline}s", {"program": identity.program, "prefix": options.get("prefix", ()), "env": env}


CASES = pytest.mark.parametrize("name", ["right", "stranger", "expired"])
WRONG = pytest.mark.parametrize("name", ["stranger", "expired"])


def does(kind, way):
    """Whether a server of that kind can be had that way."""
    return DEAF.get(kind) not in way.words and (way.words or kind not in ONE_VERSION)


def spoken(*names):
    """One worker has all of a kind, and so starts its server once."""
    return pytest.mark.parametrize(
        "kind, way",
        [
            pytest.param(kind, WAYS[name], id=f"{kind}-{name}", marks=pytest.mark.xdist_group(kind))
            for kind in KINDS
            for name in names
            if does(kind, WAYS[name])
        ],
    )


@spoken(*WAYS)
@CASES
def test_probe(running, reach, identities, times, kind, way, name):
    server, identity, says = running(kind, *way.words), identities[name], way.says[kind]
    _, options = of_server(kind, way, server, reach, identity)
    arguments = ["probe", "--log-format=json", f"--deadline={DEADLINE_S}s", f"--dir={identity.agent.dir}"]
    results = repeat(
        says == SILENCE,
        times,
        lambda _: identity.agent.start(*arguments, f"--endpoint={server.endpoint}", **options),
    )
    said = [result.event("handshake") for result in results]
    wanted = "accepted" if name == "right" else "unreachable" if says == SILENCE else "refused"
    assert [each["result"] for each in said] == [wanted] * times, said
    assert {result.status for result in results} == {0 if name == "right" else 76}
    reasons = {each.get("reason", "") for each in said}
    assert len(reasons) == 1, reasons
    if name == "right":
        assert {each["tls"] for each in said} == {way.version}
        assert not way.group or {each["group"] for each in said} == {way.group}
        return
    words = {ALERT: "alert", CLOSE: "closed", ANSWER: "HTTP 400", SILENCE: "timed out"}[says]
    assert words in reasons.pop()


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in INSISTING])
def test_who_insists_on_extended_master_secret(running, identities, times, kind):
    server, agent = running(kind, "tls12", INSISTING[kind]), identities["right"].agent
    for _ in range(times):
        result = agent.probe(server.endpoint, deadline=f"{DEADLINE_S}s").succeeded()
        assert result.event("handshake")["result"] == "accepted"


@spoken("1.2", "1.3")
@CASES
def test_first_install(tmp_path, running, reach, identities, aws_server, times, kind, way, name):
    server, identity = running(kind, *way.words), identities[name]
    deadline, options = of_server(kind, way, server, reach, identity)
    agents = [Agent(tmp_path / str(number), aws_server.environment()) for number in range(times)]

    def start(number):
        agent = agents[number]
        agent.dir.parent.mkdir(exist_ok=True)
        arguments = agent.fetch_arguments(identity.arn, "--rehearse=refuse", endpoint=server.endpoint, deadline=deadline)
        return agent.start(*arguments, **options)

    for agent, result in zip(agents, repeat(way.says[kind] == SILENCE, times, start)):
        if name == "right":
            result.succeeded("installed")
        elif way.says[kind] == SILENCE:
            result.succeeded("unproven", "installed")
        else:
            assert result.failed(76, "enclave_refused")["subject"] == server.endpoint
            assert snapshot(agent.dir) is None


@spoken("1.2", "1.3")
@WRONG
def test_where_each_must_accept(tmp_path, running, reach, identities, aws_server, kind, way, name):
    server, identity = running(kind, *way.words), identities[name]
    deadline, options = of_server(kind, way, server, reach, identity)
    agent = Agent(tmp_path, aws_server.environment())
    arguments = agent.fetch_arguments(identity.arn, "--rehearse=require", endpoint=server.endpoint, deadline=deadline)
    silent = way.says[kind] == SILENCE
    agent.run(*arguments, **options).failed(76, "enclave_unreachable" if silent else "enclave_refused")
    assert snapshot(agent.dir) is None


@spoken("1.2", "1.3")
@WRONG
def test_over_a_good_one(tmp_path, running, reach, identities, aws_server, times, kind, way, name):
    server, identity, right = running(kind, *way.words), identities[name], identities["right"]
    deadline, options = of_server(kind, way, server, reach, identity)
    agents = [Agent(tmp_path / str(number), aws_server.environment()) for number in range(times)]
    before = []
    for agent in agents:
        agent.dir.parent.mkdir()
        agent.fetch(right.arn).succeeded("installed")
        before.append(agent.file("client.crt"))

    def start(number):
        arguments = agents[number].fetch_arguments(
            identity.arn, "--rehearse=refuse", endpoint=server.endpoint, deadline=deadline
        )
        return agents[number].start(*arguments, **options)

    for agent, old, result in zip(agents, before, repeat(way.says[kind] == SILENCE, times, start)):
        result.failed(76, "enclave_refused")  # also by silence, since the installed one is accepted
        assert agent.file("client.crt") == old
