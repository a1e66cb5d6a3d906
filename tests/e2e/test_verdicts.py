# SPDX-License-Identifier: Apache-2.0
"""
The table of verdicts in docs/verification.md, row by row: what an enclave's answer says of an identity, and what is
done with it where nothing is installed, a good set, or one that is about to end. The peers speak TLS 1.2 and
misbehave at one place.
"""

import socket
from datetime import timedelta
from typing import NamedTuple

import pytest

from agent import Agent, Result, snapshot, wait_for
from servers.enclave import OpenSsl
from servers.more import with_options
from servers.peer import ALERT, HANDSHAKE, HELLO_REQUEST, Peer, Tls12, abort, record
from servers.pki import Pair, document
from servers.process import free_port
from side_by_side import side_by_side

HALF_AN_HOUR = timedelta(minutes=30)
HANDSHAKE_FAILURE, BAD_CERTIFICATE, UNKNOWN_CA, ACCESS_DENIED, DECRYPT_ERROR = 40, 42, 48, 49, 51
UNEXPECTED_MESSAGE, ILLEGAL_PARAMETER, INTERNAL_ERROR, CERTIFICATE_REQUIRED = 10, 47, 80, 116


def until_it_leaves(sock):
    while sock.recv(4096):
        pass


# ---- what a peer does, up to where it misbehaves


def before_hello(end):
    """Once the ClientHello is there."""

    def talk(sock, pair):
        sock.recv(4096)
        end(sock)

    return talk


def within_flight(end):
    """In the middle of the server's first flight: our certificate is not asked for yet."""

    def talk(sock, pair):
        tls = Tls12(sock, pair)
        tls.hello()
        whole = []
        tls.sock = Collected(whole)
        tls.flight()
        sock.sendall(b"".join(whole)[:200])
        end(sock)

    return talk


class Collected:
    """A socket that keeps what is sent."""

    def __init__(self, into):
        self.sendall = into.append


def after_certificate(end):
    """It has our certificate; the rest of our flight may lie unread."""

    def talk(sock, pair):
        tls = Tls12(sock, pair)
        tls.hello()
        tls.flight()
        tls.certificate()
        end(sock)

    return talk


def after_flight(end):
    """It has all of our flight, and has not sent its Finished."""

    def talk(sock, pair):
        tls = Tls12(sock, pair)
        tls.hello()
        tls.flight()
        tls.certificate()
        tls.client_finished()
        end(sock)

    return talk


def after_handshake(end, asks=True):
    def talk(sock, pair):
        tls = Tls12(sock, pair, asks=asks)
        tls.handshake()
        tls.request()
        end(tls)

    return talk


def says(number, level=2):
    return lambda sock: sock.sendall(record(ALERT, bytes([level, number])))


def answers(text):
    return lambda tls: tls.answer(text.encode())


def closes(_):
    """The peer closes by itself when its function ends."""


def well(sock, pair):
    after_handshake(lambda tls: tls.answer())(sock, pair)


# ---- the rows: what a peer does, the verdict, and words of the reason

PROOF, REFUSAL, DOUBT, FAULT, SILENCE = "proof", "refusal", "doubt", "fault", "silence"

ROWS = {
    "closes at once": (before_hello(closes), FAULT, "closed at once: a forwarder"),
    "resets at once": (before_hello(abort), FAULT, "closed at once: a forwarder"),
    "an alert of a certificate, before ours": (before_hello(says(UNKNOWN_CA)), FAULT, "unknown_ca (48)"),
    "closes within its flight": (within_flight(closes), FAULT, "before it had our certificate"),
    "resets within its flight": (within_flight(abort), FAULT, "before it had our certificate"),
    "an alert within its flight": (within_flight(says(ACCESS_DENIED)), FAULT, ""),
    "unknown_ca": (after_certificate(says(UNKNOWN_CA)), REFUSAL, "unknown_ca (48)"),
    "bad_certificate": (after_flight(says(BAD_CERTIFICATE)), REFUSAL, "bad_certificate (42)"),
    "access_denied": (after_flight(says(ACCESS_DENIED)), REFUSAL, "access_denied (49)"),
    "handshake_failure": (after_flight(says(HANDSHAKE_FAILURE)), REFUSAL, "handshake_failure (40)"),
    "certificate_required": (after_flight(says(CERTIFICATE_REQUIRED)), REFUSAL, "certificate_required (116)"),
    "decrypt_error": (after_flight(says(DECRYPT_ERROR)), FAULT, "decrypt_error (51)"),
    "unexpected_message": (after_flight(says(UNEXPECTED_MESSAGE)), FAULT, "unexpected_message (10)"),
    "internal_error": (after_flight(says(INTERNAL_ERROR)), FAULT, "internal_error (80)"),
    "closes after our certificate": (after_certificate(closes), REFUSAL, "each of 3 times"),
    "resets after our certificate": (after_certificate(abort), REFUSAL, "each of 3 times"),
    "closes after our flight": (after_flight(closes), REFUSAL, "each of 3 times"),
    "closes after the handshake": (after_handshake(closes), DOUBT, "without an answer, each of 3 times"),
    "HTTP 403": (after_handshake(answers("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")), DOUBT, "HTTP 403"),
    "HTTP 404": (after_handshake(answers("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")), PROOF, ""),
    "HTTP 500, and then it breaks off": (after_handshake(answers("HTTP/1.1 500 No\r\nX")), PROOF, ""),
    "a status line that breaks off": (after_handshake(answers("HTTP/1.1 200 O")), FAULT, "broke off"),
    "no HTTP": (after_handshake(answers("220 mail ready\r\n")), FAULT, ""),
    "silence after our certificate": (after_flight(until_it_leaves), SILENCE, "fall silent"),
    "silence before": (before_hello(until_it_leaves), FAULT, "no byte came"),
    "well": (well, PROOF, ""),
}
SLOW = ("silence after our certificate", "silence before")  # 5 s each


@pytest.fixture(scope="module")
def shown(authority):
    return authority.issue("Enclave", names=["localhost"])


@pytest.fixture
def peer(up, shown):
    """A server of whose connections the numbered ones meet another function than the rest."""
    return lambda talk, first=(): up(peer_of(shown, talk, first))


def peer_of(shown, talk, first=()):
    functions = list(first)
    return Peer(lambda sock: (functions.pop(0) if functions else talk)(sock, shown))


# ---- each row, with what is installed before it. They run side by side: a silent peer is waited for.


class Met(NamedTuple):
    """An agent that met a row's peer, with a new identity; what was installed before that."""

    agent: Agent
    certificate: str
    tree: dict
    result: Result


FIRST, OVER_GOOD, OVER_ENDING, REQUIRE = "first", "good", "ending", "require"
SITUATIONS = {FIRST: None, OVER_GOOD: timedelta(days=90), OVER_ENDING: HALF_AN_HOUR, REQUIRE: None}
SILENT_DEADLINE_S, DEADLINE_S = 12, 60  # a silent peer is asked until then


@pytest.fixture(scope="module")
def met(tmp_path_factory, aws_server, authority, shown):
    """By situation and row."""
    directory = tmp_path_factory.mktemp("met")
    # The silent ones first: they take longest.
    keys = [(situation, name) for name in sorted(ROWS, key=lambda name: name not in SLOW) for situation in SITUATIONS]
    agents = {key: Agent(directory / "-".join(map(str, key)), aws_server.environment()) for key in keys}
    new, arns, before = document(authority.issue("ECS-Client"), authority.pem), {}, {}
    for situation, life in SITUATIONS.items():
        old = life and document(authority.issue("ECS-Client", lifetime=(-96 * HALF_AN_HOUR, life)), authority.pem)
        arns[situation] = aws_server.put(f"mtls/verdicts-{situation}", old or new)
        for key in keys:
            if key[0] == situation:
                agents[key].dir.parent.mkdir()
                before[key] = install(agents[key], arns[situation]) if old else (None, None)
        if old:
            aws_server.rotate(arns[situation], new)

    def start(key):
        situation, name = key
        server = peer_of(shown, ROWS[name][0])
        options = {"endpoint": server.endpoint, "deadline": f"{SILENT_DEADLINE_S if name in SLOW else DEADLINE_S}s"}
        more = ["--rehearse=require"] if situation == REQUIRE else []
        return server, agents[key].start(*agents[key].fetch_arguments(arns[situation], *more, **options))

    ended = side_by_side(keys, start)
    assert not aws_server.disagreements
    return {key: Met(agents[key], *before[key], ended[key][1]) for key in keys}


def install(agent, arn):
    agent.fetch(arn).succeeded("installed")
    return agent.file("client.crt"), snapshot(agent.dir)


ROW = pytest.mark.parametrize("name", ROWS)


@ROW
def test_on_a_first_install(met, name):
    _, verdict, words = ROWS[name]
    agent, _, _, result = met[FIRST, name]
    told = result.event("handshake") if verdict is not FAULT and verdict is not SILENCE else result.all("handshake")[-1]
    if verdict == PROOF:
        assert told["result"] == "accepted", result.stderr
        result.succeeded("installed")
        return
    assert words in told["reason"], result.stderr
    if verdict in (REFUSAL, DOUBT):
        assert told["result"] == "refused"
        result.failed(76, "enclave_refused")
        assert snapshot(agent.dir) is None
    else:
        assert told["result"] == "unreachable"
        assert result.succeeded("installed").event("unproven")


@ROW
def test_over_a_good_set(met, name):
    """The installed identity meets the same, so that a doubt says nothing."""
    _, verdict, _ = ROWS[name]
    agent, _, tree, result = met[OVER_GOOD, name]
    if verdict == PROOF:
        result.succeeded("installed")
    elif verdict == REFUSAL:
        result.failed(76, "enclave_refused")
        assert snapshot(agent.dir) == tree
    else:
        result.succeeded("kept_unproven")
        assert snapshot(agent.dir) == tree


@ROW
def test_over_a_set_that_is_about_to_end(met, name):
    _, verdict, _ = ROWS[name]
    agent, certificate, _, result = met[OVER_ENDING, name]
    if verdict == REFUSAL:
        result.failed(76, "enclave_refused")
        assert agent.file("client.crt") == certificate
    else:
        result.succeeded("installed")
        assert agent.file("client.crt") != certificate


@ROW
def test_under_require(met, name):
    _, verdict, _ = ROWS[name]
    agent, _, _, result = met[REQUIRE, name]
    if verdict == PROOF:
        result.succeeded("installed")
        return
    result.failed(76, "enclave_refused" if verdict in (REFUSAL, DOUBT) else "enclave_unreachable")
    assert snapshot(agent.dir) is None


# ---- faults of the network are no refusals


@pytest.mark.parametrize("times", (1, 2))
@pytest.mark.parametrize("place", (after_certificate, after_flight, after_handshake))
@pytest.mark.parametrize("end", (closes, abort))
def test_a_connection_that_breaks_once_or_twice(agent, put, good, peer, times, place, end):
    if place is after_handshake and end is abort:
        end = lambda tls: abort(tls.sock)
    server = peer(well, [place(end)] * times)
    result = agent.fetch(put(good), endpoint=server.endpoint).succeeded("installed")
    assert result.event("handshake")["result"] == "accepted"
    assert server.connections == times + 1


def test_the_alert_counts_that_comes_after_a_close(agent, put, good, peer):
    server = peer(after_flight(says(UNKNOWN_CA)), [after_flight(closes)])
    result = agent.fetch(put(good), endpoint=server.endpoint)
    result.failed(76, "enclave_refused")
    assert "unknown_ca" in result.event("handshake")["reason"]


def test_a_hello_request_from_somebody_on_the_path(agent, put, good, peer):
    """TLS clients pass over it."""

    def talk(sock, pair):
        sock.sendall(record(HANDSHAKE, HELLO_REQUEST))
        well(sock, pair)

    agent.fetch(put(good), endpoint=peer(talk).endpoint).succeeded("installed")


def test_a_session_id_that_is_not_ours(agent, put, good, peer, shown):
    """A bit was flipped on the way: the server's Finished does not fit, which the identity has no part in."""

    def talk(sock, pair):
        tls = Tls12(sock, pair)
        tls.hello()
        tls._transcript = tls._transcript[:-1] + bytes([tls._transcript[-1] ^ 1])
        tls.flight()
        tls.certificate()
        tls.client_finished()
        tls.finished()
        until_it_leaves(sock)

    result = agent.fetch(put(good), endpoint=peer(talk).endpoint)
    assert result.succeeded("installed").event("unproven")
    assert {event["result"] for event in result.all("handshake")} == {"unreachable"}
    assert "saw different handshakes" in result.all("handshake")[0]["reason"]


# ---- the installed identity tells what a doubt means

DOUBTS = {
    "closes after the handshake": [after_handshake(closes)] * 3,
    "HTTP 403": [ROWS["HTTP 403"][0]],
    "silence after our certificate": [after_flight(until_it_leaves)],
}


@pytest.mark.parametrize("name", DOUBTS)
def test_a_doubt_where_the_installed_identity_is_accepted(agent, aws, put, good, authority, peer, name):
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    before = snapshot(agent.dir)
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    server = peer(well, DOUBTS[name])
    error = agent.fetch(arn, endpoint=server.endpoint).failed(76, "enclave_refused")
    assert "the installed identity is accepted there" in error["reason"]
    assert snapshot(agent.dir) == before


@pytest.mark.parametrize("name", DOUBTS)
def test_a_doubt_where_the_installed_identity_cannot_be_tried(agent, aws, put, good, authority, peer, name):
    """That the comparison fails says nothing against the new identity."""
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    server = peer(before_hello(closes), DOUBTS[name])
    agent.fetch(arn, endpoint=server.endpoint, deadline="9s").succeeded("kept_unproven")


# ---- what the agent says itself


def test_renegotiation_for_the_certificate_is_told_as_that(agent, put, good, peer):
    def asks_late(tls):
        tls.send(HANDSHAKE, HELLO_REQUEST)
        until_it_leaves(tls.sock)

    server = peer(after_handshake(asks_late, asks=False))
    result = agent.fetch(put(good), endpoint=server.endpoint)
    result.failed(76, "enclave_refused")
    assert "by renegotiation" in result.event("handshake")["reason"]
    assert result.event("handshake")["result"] == "not_mutual"


@pytest.mark.parametrize(
    "make, number",
    (
        (lambda authority, other: other.issue("Enclave", names=["localhost"]), 48),
        (lambda authority, other: authority.issue("Enclave", names=["elsewhere.test"]), 42),
        (
            lambda authority, other: authority.issue(
                "Enclave", names=["localhost"], lifetime=(-2 * HALF_AN_HOUR, -HALF_AN_HOUR)
            ),
            45,
        ),
    ),
    ids=("unknown_ca", "bad_certificate", "certificate_expired"),
)
def test_our_refusal_reaches_the_server(agent, put, good, up, authority, stranger, make, number):
    """RFC 5246 section 7.2.2: so that the enclave's log says why, too."""
    heard = []

    def talk(sock):
        tls = Tls12(sock, make(authority, stranger))
        tls.hello()
        tls.flight()
        heard.append(tls.read())

    server = up(Peer(talk))
    agent.fetch(put(good), endpoint=server.endpoint).failed(76, "enclave_untrusted")
    wait_for(lambda: heard)  # it may read it after the agent's end
    assert heard == [(ALERT, bytes([2, number]))]


def test_a_point_of_small_order(agent, put, good, up, shown):
    """X25519 with a secret that everybody knows (RFC 8422 section 5.11): nothing of ours follows."""
    heard = []

    def talk(sock):
        tls = Tls12(sock, shown)
        tls.hello()
        tls.flight(exchange=b"\x03\x00\x1d\x20" + bytes(32))
        heard.append(tls.read())

    error = agent.fetch(put(good), "--rehearse=require", endpoint=up(Peer(talk)).endpoint)
    assert "curve" in error.failed(76, "enclave_unreachable")["reason"]
    wait_for(lambda: heard)
    assert set(heard) == {(ALERT, bytes([2, ILLEGAL_PARAMETER]))}


# ---- reasons that name the true cause


@pytest.fixture
def two_stacks():
    """A port that is free on 127.0.0.1 and on ::1."""
    with socket.socket(socket.AF_INET6) as six, socket.create_server(("127.0.0.1", 0)) as four:
        six.bind(("::1", four.getsockname()[1]))
        yield four


def test_one_address_refuses_and_the_other_closes(agent, put, good, two_stacks, up, shown):
    """::1 refuses; what 127.0.0.1 does is the cause."""
    up(Peer(closes, two_stacks))
    result = agent.fetch(put(good), "--rehearse=require", endpoint=f"localhost:{two_stacks.getsockname()[1]}")
    reason = result.failed(76, "enclave_unreachable")["reason"]
    assert "closed at once: a forwarder" in reason and "refused" not in reason


@pytest.mark.parametrize(
    "lengths, code, words",
    (
        ((10, 100, 97), "enclave_unreachable", "malformed or too large"),
        ((70006, 70003, 70000), "enclave_untrusted", "64 KiB"),
        ((0xFFFFFF, 0xFFFFFC, 0xFFFFF9), "enclave_unreachable", "sends without end"),
    ),
    ids=("ends early", "is too large", "has no end"),
)
def test_a_malformed_certificate_message(agent, put, good, up, shown, lengths, code, words):
    """lengths: of the message, of its list, and of the certificate in it."""

    def talk(sock):
        tls = Tls12(sock, shown)
        tls.hello()
        whole = []
        tls.sock = Collected(whole)
        tls.flight()
        flight = b"".join(whole)[5:]
        at = 4 + int.from_bytes(flight[1:4], "big")
        sock.sendall(record(HANDSHAKE, flight[:at]))
        sock.sendall(record(HANDSHAKE, b"\x0b" + b"".join(each.to_bytes(3, "big") for each in lengths)))
        for _ in range(0, lengths[2], 7000):
            sock.sendall(record(HANDSHAKE, bytes(7000)))
        until_it_leaves(sock)

    result = agent.fetch(put(good), "--rehearse=require", endpoint=up(Peer(talk)).endpoint)
    assert words in result.failed(76, code)["reason"]


def test_a_server_of_another_curve(agent, put, tmp_path, authority, up):
    """P-384 only, and a client key of P-256."""
    server = authority.issue("Enclave", "p384", names=["localhost"])
    kind = with_options(OpenSsl, arguments=("-Verify", "3", "-verify_return_error", "-curves", "P-384", "-tls1_2"))
    enclave = up(kind(tmp_path / "p384", server, authority.pem))
    pair = authority.issue("ECS-Client", "p256")
    error = agent.fetch(put(document(pair, authority.pem)), endpoint=enclave.endpoint).failed(76, "enclave_refused")
    assert "takes keys of P-384" in error["reason"] and "extended master secret" not in error["reason"]


def test_a_chain_of_more_than_ten(agent, put, good, up, authority):
    """The remedy is about the chain, not about names."""
    pair = authority.issue("Enclave", names=["localhost"])
    long = Pair(pair.cert + authority.pem * 12, pair.key)

    def talk(sock):
        tls = Tls12(sock, long)
        tls.hello()
        tls.flight()
        until_it_leaves(sock)

    error = agent.fetch(put(good), endpoint=up(Peer(talk)).endpoint).failed(76, "enclave_untrusted")
    assert "more than 10 certificates" in error["reason"]
    assert "intermediates" in error["remedy"] and "subjectAltName" not in error["remedy"]


@pytest.mark.parametrize("place", ("aws", "metadata"))
def test_a_port_that_refuses(agent, place):
    port = free_port()
    environment = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x" * 40}
    if place == "aws":
        environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = f"https://127.0.0.1:{port}"
    else:
        environment = {**dict.fromkeys(environment), "AWS_EC2_METADATA_DISABLED": "false"}
        environment |= {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}", "AWS_REGION": "eu-central-1"}
    result = agent.fetch("mtls/host", env=environment, deadline="2s")
    assert "Connection refused" in result.event("error")["reason"], result.stderr
