# SPDX-License-Identifier: Apache-2.0
"""TLS sessions are resumed across the rounds of one probe: without the private key, and not for ever."""

import datetime
import socket
import threading
import time

import pytest

from servers.enclave import Nginx, OpenSsl, Python
from servers.http import loopback_socket, text_answer
from servers.more import GnuTls, with_options
from servers.pki import DAY, document

# Keep session IDs; Node and Go know tickets only.
RESUMING = {"nginx": Nginx, "openssl": OpenSsl, "gnutls": GnuTls}
TELLING = with_options(
    Nginx,
    settings='location = /session { return 200 "$ssl_session_reused $ssl_client_verify $ssl_client_s_dn\\n"; }',
)


@pytest.fixture
def installed(agent, put, good):
    agent.fetch(put(good)).succeeded("installed")
    return agent


@pytest.fixture
def server(authority):
    return authority.issue("localhost", names=["localhost"])


def kinds(result):
    return [event.get("handshake") for event in result.all("handshake")]


@pytest.mark.parametrize("kind", RESUMING)
def test_every_tenth_handshake_is_full(installed, tmp_path, server, authority, up, kind):
    running = up(RESUMING[kind](tmp_path / "server", server, authority.pem))
    result = installed.probe(running.endpoint, "--count=12", prefix=running.enter).succeeded()
    assert kinds(result) == ["full", *["resumed"] * 9, "full", "resumed"]
    for handshake in result.all("handshake"):
        assert handshake["result"] == "accepted"
        assert handshake["cipher"].startswith(("ECDHE-", "TLS_"))
        assert handshake["signatures"] == (handshake["handshake"] == "full"), "the private key was used"


def test_the_server_sees_the_same(installed, tmp_path, server, authority, up):
    """And still takes the client for verified."""
    running = up(TELLING(tmp_path / "server", server, authority.pem))
    result = installed.probe(running.endpoint, "--count=3", "--request=/session").succeeded()
    seen = [line.split() for line in result.stdout.splitlines()]
    assert seen == [[kind, "SUCCESS", "CN=ECS-Client"] for kind in (".", "r", "r")]


@pytest.mark.parametrize("kind", ["node", "go"])
def test_without_session_ids_all_are_full(agent, put, pki, enclaves, kind):
    agent.fetch(put(document(pki.pair("client"), pki.ca_pem))).succeeded("installed")
    result = agent.probe(enclaves[kind].endpoint, "--count=3", "--tls-versions=1.2").succeeded()
    assert kinds(result) == ["full"] * 3


def test_each_server_has_its_own(installed, tmp_path, server, authority, up):
    endpoints = [
        up(Nginx(tmp_path / str(number), server, authority.pem)).endpoint for number in range(2)
    ]
    result = installed.probe(endpoints, "--count=2").succeeded()
    assert sorted(kinds(result)) == ["full", "full", "resumed", "resumed"]


def test_a_refusal_is_not_kept(agent, put, rogue, authority, enclave):
    """nginx ends the handshake well and refuses by its answer: each time anew."""
    agent.fetch(put(document(rogue, authority.pem))).succeeded("installed")
    result = agent.probe(enclave.endpoint, "--count=3")
    assert result.status == 76
    assert kinds(result) == ["full"] * 3


@pytest.mark.parametrize("status, kind", [(204, "resumed"), (400, "full"), (403, "full"), (404, "resumed"), (405, "full"), (503, "resumed")])
def test_what_an_answer_tells_of_a_session(installed, tmp_path, server, authority, up, status, kind):
    """One that may be a refusal is not rested upon."""
    saying = with_options(Nginx, settings=f"location = /it {{ return {status}; }}")
    running = up(saying(tmp_path / "server", server, authority.pem))
    assert kinds(installed.probe(running.endpoint, "--count=2", "--request=/it")) == ["full", kind]


class Slow(Python):
    """Takes its time to answer: a round of a probe lasts as long."""

    @staticmethod
    def _answer(_):
        time.sleep(0.2)
        return text_answer(200, "")


def test_never_past_the_end_of_a_certificate(installed, tmp_path, server, authority, up):
    """The server's ends soon: what rests on it is not resumed any more then, and nothing else is accepted."""
    lifetime = datetime.timedelta(seconds=8)
    short = authority.issue("localhost", names=["localhost"], lifetime=(-DAY, lifetime))
    running = up(Nginx(tmp_path / "server", short, authority.pem))
    slow = up(Slow(tmp_path / "slow", server, authority.pem))
    result = installed.probe([running.endpoint, slow.endpoint], "--count=60")
    seen = [event for event in result.all("handshake") if event["endpoint"] == running.endpoint]
    results = [event["result"] for event in seen]  # one that was accepted in time may be told after that
    good = results.count("accepted")
    assert [event["handshake"] for event in seen[:3]] == ["full", "resumed", "resumed"]
    assert len(results) > good and results == ["accepted"] * good + ["untrusted"] * (len(results) - good)


class Grudge:
    """Before a server: passes full handshakes on, and answers an offer to resume with an alert."""

    INTERNAL_ERROR = bytes([21, 3, 3, 0, 2, 2, 80])
    SESSION_ID_LENGTH = 43  # where it stands in a ClientHello's record

    def __init__(self, backend):
        self._backend = backend
        self._listener = loopback_socket()
        self.port = self._listener.getsockname()[1]
        self.refused = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            hello = client.recv(4096)
            if len(hello) > self.SESSION_ID_LENGTH and hello[self.SESSION_ID_LENGTH]:
                self.refused += 1
                client.sendall(self.INTERNAL_ERROR)
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._backend))
            server.sendall(hello)
            for ends in (client, server), (server, client):
                threading.Thread(target=self._pass, args=ends, daemon=True).start()

    @staticmethod
    def _pass(source, sink):
        try:
            while data := source.recv(4096):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def stop(self):
        self._listener.close()


def test_a_server_that_fails_over_a_session_is_asked_in_full(installed, tmp_path, server, authority, up):
    grudge = up(Grudge(up(Nginx(tmp_path / "server", server, authority.pem)).port))
    result = installed.probe(f"localhost:{grudge.port}", "--count=3", "--tls-versions=1.2").succeeded()
    assert kinds(result) == ["full"] * 3
    assert grudge.refused == 2
