# SPDX-License-Identifier: Apache-2.0
"""
Whatever stops, wherever: the agent ends by its deadline. All cases run at once, since each is only waiting.
"""

import signal

import pytest

from agent import Agent, snapshot, wait_for
from servers.http import HOLD
from servers.imds import Imds
from servers.namespace import Namespace
from servers.proxy import FaultProxy
from test_credentials import NO_KEYS

DEADLINE_S = 8
GRACE_S = 30  # for a machine that is busy; without a deadline there is no end at all
TLS_STAGES = ("accept", "hello", "handshake", "request", "answer")
AWS = [f"aws {stage} hold" for stage in TLS_STAGES] + [f"aws {stage} drip" for stage in TLS_STAGES[1:]]
IMDS = ["imds accept", "imds token", "imds answer", "imds region", "imds role", "imds credentials"]
ENCLAVE = [f"enclave {stage}" for stage in TLS_STAGES]
DNS = ["dns aws", "dns enclave"]


class Stage:
    """Servers that stop, and agents that meet them."""

    def __init__(self, directory, aws, enclave, arn, session):
        self.directory, self.aws, self.enclave, self.arn, self.session = directory, aws, enclave, arn, session
        self.servers = []
        self.silent = []
        self.running = {}
        self.agents = {}

    def up(self, server):
        self.servers.append(server)
        return server

    def start(self, case, env=None, endpoint=None, secret=None, prefix=()):
        agent = self.agents[case] = Agent(self.directory / case.replace(" ", "-"), self.aws.environment())
        agent.dir.parent.mkdir()
        rehearsal = ["--rehearse=require", f"--endpoint={endpoint}"] if endpoint else []
        arguments = agent.fetch_arguments(secret or self.arn, *rehearsal, deadline=f"{DEADLINE_S}s")
        self.running[case] = agent.start(*arguments, env=env, prefix=prefix)

    def start_aws(self, case):
        _, stage, action = case.split()
        proxy = self.up(FaultProxy(self.aws.port, stage, action))
        self.start(case, {"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{proxy.port}"})

    def start_imds(self, case):
        imds = self.up(Imds(self.session))
        environment = {**NO_KEYS, **imds.environment()}
        place = case.split()[1]
        imds.hold_path = {
            "token": "/token",
            "role": "/security-credentials/",
            "credentials": "/mtls-agent",
            "region": "/region",
        }.get(place)
        if place in ("accept", "answer"):
            proxy = self.up(FaultProxy(imds.port, place, plain=True))
            environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = f"http://127.0.0.1:{proxy.port}"
        self.start(case, environment, secret="a-name" if place == "region" else None)

    def start_enclave(self, case):
        proxy = self.up(FaultProxy(self.enclave.port, case.split()[1]))
        self.start(case, endpoint=f"localhost:{proxy.port}")

    def start_dns(self, case):
        """A name server that never answers, in a network where it is the only one."""
        network = self.up(Namespace(self.directory / f"net-{case.split()[1]}"))
        self.silent += [network.open(kind, "127.0.0.1", 53) for kind in ("udp", "tcp")]
        if case == "dns aws":
            self.start(
                case, {"AWS_ENDPOINT_URL_SECRETS_MANAGER": None, "AWS_CA_BUNDLE": None}, prefix=network.enter
            )
            return
        to_aws = self.up(FaultProxy(self.aws.port, listener=network.open("tcp", "127.0.0.1")))
        self.start(
            case,
            {"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{to_aws.port}"},
            endpoint="enclave.test:3000",
            prefix=network.enter,
        )

    def stop(self):
        for running in self.running.values():
            if running.child.poll() is None:
                running.child.kill()
                running.finish()
        for server in reversed(self.servers):
            server.stop()
        for each in self.silent:
            each.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory, aws_server, enclave, good):
    arn = aws_server.put("mtls/deadline", good)
    stage = Stage(tmp_path_factory.mktemp("deadline"), aws_server, enclave, arn, aws_server.session())
    try:
        for case in AWS + IMDS + ENCLAVE + DNS:
            getattr(stage, f"start_{case.split()[0]}")(case)
        stage.results = {case: running.finish() for case, running in stage.running.items()}
        yield stage
    finally:
        stage.stop()


@pytest.mark.parametrize("case", AWS + IMDS + DNS[:1])
def test_aws_stops(stage, case):
    result = stage.results[case]
    assert result.status in (69, 75), result.stderr
    result.event("error")
    assert result.seconds < DEADLINE_S + GRACE_S
    assert snapshot(stage.agents[case].dir) is None


@pytest.mark.parametrize("case", ENCLAVE + DNS[1:])
def test_an_enclave_stops(stage, case):
    result = stage.results[case]
    assert result.status in (75, 76), result.stderr
    result.event("error")
    assert result.seconds < DEADLINE_S + GRACE_S
    assert snapshot(stage.agents[case].dir) is None


def test_a_signal_ends_it_at_once(agent, aws, put, good):
    aws.faults.append(HOLD)
    running = agent.start(*agent.fetch_arguments(put(good), deadline="80s"))
    wait_for(lambda: aws.asked)
    running.child.terminate()
    result = running.finish()
    assert result.status == 128 + signal.SIGTERM
    assert result.event("signal")["signal"] == signal.SIGTERM
    assert result.seconds < 60
    assert snapshot(agent.dir) is None
