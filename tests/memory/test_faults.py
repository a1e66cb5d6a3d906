# SPDX-License-Identifier: Apache-2.0
"""A bit of the private key flips between reading and signing: no signature leaves, nothing is installed."""

import pytest

from agent import snapshot, wait_for
from conftest import variant
from servers.peer import Peer
from servers.peer13 import Tls13
from servers.pki import document
from servers.proxy import FaultProxy

HANDSHAKE, CHANGE_CIPHER_SPEC = 22, 20
CERTIFICATE, CERTIFICATE_VERIFY = 11, 15
PLACES = {"rsa4096": ["p:0:3", "q:255:0", "dp:17:6", "dq:128:1", "qinv:200:7"], "p256": ["x:0:0", "x:31:7"]}


class Recorder(FaultProxy):
    """Passes all on, and keeps what clients send."""

    def __init__(self, upstream_port):
        self.records = []
        super().__init__(upstream_port)

    def _request_stage(self, piece, count):
        self.records.append(piece)
        return None

    def messages(self):
        """Types of the handshake messages before encryption begins."""
        stream = b""
        for record in self.records:
            if record[0] != HANDSHAKE:
                break
            stream += record[5:]
        found = []
        while len(stream) >= 4:
            found.append(stream[0])
            stream = stream[4 + int.from_bytes(stream[1:4], "big") :]
        return found


@pytest.fixture
def recorder(up, enclave):
    return up(Recorder(enclave.port))


class Server13:
    """A TLS 1.3 server that keeps what clients send, since nobody on the way can read it."""

    def __init__(self, pair):
        self.seen, self.requests = [], 0
        self._pair = pair
        self.peer = Peer(self._talk)

    def _talk(self, sock):
        tls = Tls13(sock, self._pair)
        try:
            tls.handshake()
            tls.http_request()
            self.requests += 1
            tls.answer()
        finally:
            self.seen += tls.seen

    def stop(self):
        self.peer.stop()


@pytest.fixture
def server13(up, server_pair):
    return up(Server13(server_pair))


# What is sent in TLS 1.3 nobody on the way can read.
IN_THE_CLEAR = "--tls-versions=1.2"


@pytest.mark.parametrize("kind", PLACES)
def test_a_sound_key_signs(agent, put, pairs, authority, recorder, kind):
    """What the tests below would see."""
    arguments = agent.fetch_arguments(
        put(document(pairs[kind], authority.pem)), IN_THE_CLEAR, endpoint=f"localhost:{recorder.port}"
    )
    agent.run(*arguments, program=variant("flipping")).succeeded("installed")
    assert {CERTIFICATE, CERTIFICATE_VERIFY} <= set(recorder.messages())


@pytest.mark.parametrize("kind,place", [(kind, place) for kind in PLACES for place in PLACES[kind]])
def test_a_flipped_bit(agent, put, pairs, authority, recorder, enclave, kind, place):
    arguments = agent.fetch_arguments(
        put(document(pairs[kind], authority.pem)), IN_THE_CLEAR, endpoint=f"localhost:{recorder.port}"
    )
    result = agent.run(*arguments, program=variant("flipping"), env={"FLIP": place})
    result.failed(65, "key_invalid")
    assert recorder.connections and CERTIFICATE_VERIFY not in recorder.messages()
    assert not enclave.asked
    assert snapshot(agent.dir) is None


@pytest.mark.parametrize("kind", PLACES)
def test_a_sound_key_signs_in_tls13(agent, put, pairs, authority, server13, kind):
    arguments = agent.fetch_arguments(put(document(pairs[kind], authority.pem)), endpoint=server13.peer.endpoint)
    agent.run(*arguments, program=variant("flipping")).succeeded("installed")
    assert {CERTIFICATE, CERTIFICATE_VERIFY} <= set(server13.seen) and server13.requests == 1


@pytest.mark.parametrize("kind,place", [(kind, place) for kind in PLACES for place in PLACES[kind]])
def test_a_flipped_bit_in_tls13(agent, put, pairs, authority, server13, kind, place):
    arguments = agent.fetch_arguments(put(document(pairs[kind], authority.pem)), endpoint=server13.peer.endpoint)
    result = agent.run(*arguments, program=variant("flipping"), env={"FLIP": place})
    result.failed(65, "key_invalid")
    wait_for(lambda: server13.seen)
    assert CERTIFICATE_VERIFY not in server13.seen and not server13.requests
    assert snapshot(agent.dir) is None
