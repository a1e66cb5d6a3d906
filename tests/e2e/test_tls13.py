# SPDX-License-Identifier: Apache-2.0
"""
TLS 1.3 with enclaves: the rows of docs/verification.md that are its own, with peers that misbehave at one place;
and what a client must take from a server, and what it must not.
"""

import itertools

import pytest

from agent import snapshot
from servers.enclave import Go, Nginx, Node, Python
from servers.more import s_server, with_options
from servers.peer import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Peer, abort, record
from servers.peer13 import COOKIE, KEY_SHARE, P256, P384, SUPPORTED_GROUPS, X25519, Tls13, extension, message, vector
from servers.pki import document

HANDSHAKE_FAILURE, BAD_CERTIFICATE, UNKNOWN_CA, ACCESS_DENIED, DECRYPT_ERROR = 40, 42, 48, 49, 51
UNEXPECTED_MESSAGE, INTERNAL_ERROR, CERTIFICATE_REQUIRED, USER_CANCELED = 10, 80, 116, 90
VERIFY = ("-Verify", "3", "-verify_return_error")


def until_it_leaves(sock):
    while sock.recv(4096):
        pass


def after_hello(end):
    """ServerHello is out, and nothing else."""

    def talk(sock, pair):
        tls = Tls13(sock, pair)
        tls.hello()
        tls.server_hello()
        end(tls)

    return talk


def before_finished(end):
    """The server has proven nothing yet."""

    def talk(sock, pair):
        tls = Tls13(sock, pair)
        tls.hello()
        tls.server_hello()
        tls.send(HANDSHAKE, tls.extensions() + tls.request() + tls.certificate())
        end(tls)

    return talk


def after_finished(end):
    """It has sent all of its flight, and read nothing of ours."""

    def talk(sock, pair):
        tls = Tls13(sock, pair)
        tls.hello()
        tls.server_hello()
        tls.flight()
        end(tls)

    return talk


def after_flight(end, **options):
    """It has all of ours."""

    def talk(sock, pair):
        tls = Tls13(sock, pair, **options)
        tls.handshake()
        end(tls)

    return talk


def after_request(end, **options):
    def asked(tls):
        tls.http_request()
        end(tls)

    return after_flight(asked, **options)


def says(number, level=2):
    """Under the keys of the moment."""

    def say(tls):
        tls.alert(number, level)
        until_it_leaves(tls.sock)

    return say


def forged(number):
    """As somebody on the path would, who has no keys."""

    def send(tls):
        tls.sock.sendall(record(ALERT, bytes([2, number])))
        until_it_leaves(tls.sock)

    return send


def closes(_):
    pass


def resets(tls):
    abort(tls.sock)


def ends(tls):
    tls.alert(0, 1)


def silent(tls):
    until_it_leaves(tls.sock)


def answers(text):
    return lambda tls: tls.answer(text.encode())


def well(tls):
    tls.answer()
    until_it_leaves(tls.sock)


PROOF, REFUSAL, DOUBT, FAULT = "proof", "refusal", "doubt", "fault"
ROWS = {
    "closes after ServerHello": (after_hello(closes), FAULT, "before it had our certificate"),
    "resets after ServerHello": (after_hello(resets), FAULT, ""),
    "an alert in plain text after ServerHello": (after_hello(forged(UNKNOWN_CA)), FAULT, "came out of turn"),
    "an alert under the handshake's keys": (before_finished(says(UNKNOWN_CA)), FAULT, "unknown_ca (48)"),
    "a forged alert before Finished": (before_finished(forged(BAD_CERTIFICATE)), FAULT, "came out of turn"),
    "closes before Finished": (before_finished(closes), FAULT, "before it had our certificate"),
    "unknown_ca": (after_flight(says(UNKNOWN_CA)), REFUSAL, "unknown_ca (48)"),
    "unknown_ca before it has read": (after_finished(says(UNKNOWN_CA)), REFUSAL, "unknown_ca (48)"),
    "bad_certificate after the request": (after_request(says(BAD_CERTIFICATE)), REFUSAL, "bad_certificate (42)"),
    "certificate_required": (after_flight(says(CERTIFICATE_REQUIRED)), REFUSAL, "certificate_required (116)"),
    "handshake_failure": (after_flight(says(HANDSHAKE_FAILURE)), REFUSAL, "handshake_failure (40)"),
    "access_denied as a warning": (after_flight(says(ACCESS_DENIED, 1)), REFUSAL, "access_denied (49)"),
    "decrypt_error": (after_flight(says(DECRYPT_ERROR)), FAULT, "decrypt_error (51)"),
    "internal_error": (after_flight(says(INTERNAL_ERROR)), FAULT, "internal_error (80)"),
    "a forged alert after our flight": (after_flight(forged(UNKNOWN_CA)), FAULT, "came out of turn"),
    "closes after our flight": (after_flight(closes), DOUBT, "without an answer, each of 3 times"),
    "resets after our flight": (after_flight(resets), DOUBT, "without an answer, each of 3 times"),
    "ends after our flight": (after_flight(ends), DOUBT, "without an answer, each of 3 times"),
    "HTTP 403": (after_request(answers("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")), DOUBT, "HTTP 403"),
    "HTTP 404": (after_request(answers("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")), PROOF, ""),
    "a status line that breaks off": (after_request(answers("HTTP/1.1 200 O")), FAULT, "broke off"),
    "settings of HTTP/2": (after_flight(answers("\0\0\0\4\0\0\0\0\0")), FAULT, ""),
    "tickets and no answer": (
        after_request(lambda tls: tls.send(HANDSHAKE, message(4, bytes(8) + vector(1, b"n") + vector(2, b"t") + b"\0\0"))),
        DOUBT,
        "without an answer",
    ),
    "silence after our flight": (after_flight(silent), FAULT, "fall silent when they refuse"),
    "well": (after_request(well), PROOF, ""),
}


@pytest.fixture(scope="module")
def shown(authority):
    return authority.issue("Enclave", names=["localhost"])


@pytest.fixture
def peer(up, shown):
    """Collects what went wrong in it: a test that expects to be accepted looks there."""

    def start(talk):
        return up(Peer(lambda sock: talk(sock, shown)))

    return start


@pytest.fixture
def installed(agent, put, good):
    agent.fetch(put(good)).succeeded("installed")
    return agent


@pytest.mark.parametrize("name", ROWS)
def test_on_a_first_install(agent, put, good, peer, name):
    talk, verdict, words = ROWS[name]
    result = agent.fetch(put(good), endpoint=peer(talk).endpoint, deadline="20s")
    told = result.all("handshake")[-1]
    if verdict == PROOF:
        assert told["result"] == "accepted", result.stderr
        result.succeeded("installed")
        return
    assert words in told["reason"], result.stderr
    if verdict == FAULT:
        assert told["result"] == "unreachable", result.stderr
        assert result.succeeded("installed").event("unproven")
    else:
        assert told["result"] == "refused", result.stderr
        result.failed(76, "enclave_refused")
        assert snapshot(agent.dir) is None


def test_silence_that_spares_the_installed_identity(installed, aws_server, authority, up, shown):
    """Some servers say nothing when they refuse, for which we cannot wait; who has just answered the old one is not busy."""
    silence, answer = after_flight(silent), after_request(well)
    met = itertools.count()
    server = up(Peer(lambda sock: (answer if next(met) % 2 else silence)(sock, shown)))
    arn = aws_server.put("mtls/silence", document(authority.issue("ECS-Client"), authority.pem))
    before = snapshot(installed.dir)
    result = installed.fetch(arn, endpoint=server.endpoint, deadline="30s")
    assert "accepted there" in result.failed(76, "enclave_refused")["reason"]
    assert snapshot(installed.dir) == before


def test_no_certificate_request(installed, peer):
    result = installed.probe(peer(after_request(well, asks=False)).endpoint)
    assert result.event("handshake")["result"] == "not_mutual"


def test_no_scheme_of_our_key(installed, peer):
    """It has not seen the identity, so that nothing is known of it."""
    server = peer(after_request(well, schemes=b"\x08\x04\x08\x07"))
    told = installed.probe(server.endpoint).event("handshake")
    assert told["result"] == "unreachable" and "so no certificate was sent" in told["reason"]


# ---- what a server may do


def each_message_in_pieces(sock, pair):
    tls = Tls13(sock, pair)
    tls.hello()
    tls.server_hello()
    for said in (tls.extensions(), tls.request(), tls.certificate(), tls.verify(), tls.finished()):
        for at in range(0, len(said), 50):
            tls.send(HANDSHAKE, said[at : at + 50], padding=at % 7)
    tls.application_keys()
    tls.client_flight()
    tls.http_request()
    well(tls)


def retried(group=None, cookie=b""):
    def talk(sock, pair):
        tls = Tls13(sock, pair)
        tls.hello()
        tls.retry(group, cookie)
        assert not group or tls.client.share()[0] == group
        assert tls.client.extensions.get(COOKIE, b"\0\0") == vector(2, cookie)
        sock.sendall(record(CHANGE_CIPHER_SPEC, b"\x01"))
        tls.server_hello()
        tls.flight()
        tls.client_flight()
        tls.http_request()
        well(tls)

    return talk


def change_cipher_specs(sock, pair):
    tls = Tls13(sock, pair)
    tls.hello()
    tls.server_hello()
    sock.sendall(record(CHANGE_CIPHER_SPEC, b"\x01"))
    tls.flight()
    tls.client_flight()
    tls.http_request()
    well(tls)


def key_updates(tls):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}\n"
    for at in range(0, len(answer), 12):
        tls.update(asks=at // 12 % 2)
        tls.answer(answer[at : at + 12])
    until_it_leaves(tls.sock)


def key_update_is_answered(tls):
    tls.update(asks=1)
    kind, body = tls.read()
    assert (kind, body) == (HANDSHAKE, message(24, b"\0")), (kind, body)
    tls.reads = tls.reads.next()
    tls.answer()
    assert tls.read() == (ALERT, b"\x01\0")


def whole_records(tls):
    """Of the greatest size, with as much padding as there may be."""
    tls.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 16387\r\n\r\n")
    tls.send(APPLICATION_DATA, b" " * 16384)
    tls.send(APPLICATION_DATA, b"{}\n", padding=16381)
    until_it_leaves(tls.sock)


def a_few_empty_records(tls):
    for _ in range(8):
        tls.send(APPLICATION_DATA, b"", padding=3)
    tls.alert(USER_CANCELED, 1)
    well(tls)


def a_large_ticket(tls):
    ticket = message(4, bytes(8) + vector(1, b"nonce") + vector(2, bytes(40000)) + b"\0\0")
    for at in range(0, len(ticket), 16000):
        tls.send(HANDSHAKE, ticket[at : at + 16000])
    well(tls)


TAKEN = {
    "messages in pieces": each_message_in_pieces,
    "another group": retried(P256),
    "P-384": retried(P384),
    "a cookie": retried(cookie=b"c" * 300),
    "a cookie and another group": retried(P384, b"cookie"),
    "ChangeCipherSpec": change_cipher_specs,
    "key updates": after_request(key_updates),
    "a key update that is to be answered": after_request(key_update_is_answered),
    "records of full size": after_request(whole_records),
    "a few empty records": after_request(a_few_empty_records),
    "a large ticket": after_request(a_large_ticket),
}


@pytest.mark.parametrize("name", TAKEN)
def test_is_taken(installed, peer, name):
    told = installed.probe(peer(TAKEN[name]).endpoint).succeeded().event("handshake")
    assert told["result"] == "accepted" and told["cipher"] == "TLS_AES_128_GCM_SHA256"


# ---- what it may not


def hello_with(**options):
    def wrong(tls):
        tls.hello()
        tls.server_hello(**options)
        tls.reads = None

    return wrong


def retry_with(*arguments, **options):
    def wrong(tls):
        tls.hello()
        tls.retry(*arguments, **options)

    return wrong


def flight_of(make):
    def wrong(tls):
        tls.hello()
        tls.server_hello()
        tls.send(HANDSHAKE, make(tls))

    return wrong


def twice_retried(tls):
    tls.hello()
    tls.retry(P256)
    tls.retry(P384)


def another_suite(tls):
    tls.hello()
    tls.retry(P256)
    tls.server_hello(suite=b"\x13\x03")
    tls.reads = None


def finished_is_wrong(tls):
    said = tls.extensions() + tls.request() + tls.certificate() + tls.verify()
    return said + message(20, bytes(32))


def behind_finished(tls):
    return tls.extensions() + tls.request() + tls.certificate() + tls.verify() + tls.finished() + message(4)


def signature_is_wrong(tls):
    said = tls.extensions() + tls.request() + tls.certificate()
    tls._transcript += b"x"
    return said + tls.verify()


def application_data(tls):
    tls.hello()
    tls.server_hello()
    tls.send(APPLICATION_DATA, b"x")


def downgraded(tls):
    """A server that knows TLS 1.3 and was made to choose 1.2."""
    tls.hello()
    random = bytes(24) + b"DOWNGRD\x01"
    tls.sock.sendall(record(HANDSHAKE, message(2, b"\x03\x03" + random + b"\0\xc0\x2b\0\0\0")))


def resumed_what_is_none(tls):
    tls.hello()
    body = b"\x03\x03" + bytes(32) + vector(1, tls.client.session_id) + b"\xc0\x2b\0\0\0"
    tls.sock.sendall(record(HANDSHAKE, message(2, body)))


DECODE_ERROR, ILLEGAL, PROTOCOL, MISSING, UNSUPPORTED, BAD_MAC = 50, 47, 70, 109, 110, 20
NOT_TAKEN = {
    "a suite that was not offered": (hello_with(suite=b"\x13\x04"), ILLEGAL),
    "no share": (hello_with(share=b""), MISSING),
    "another group's share": (hello_with(share=extension(KEY_SHARE, P256 + vector(2, b"\4" + bytes(64)))), ILLEGAL),
    "a share of zeros": (hello_with(share=extension(KEY_SHARE, X25519 + vector(2, bytes(32)))), ILLEGAL),
    "a share that is short": (hello_with(share=extension(KEY_SHARE, X25519 + vector(2, bytes(31)))), ILLEGAL),
    "a share twice": (hello_with(extra=extension(KEY_SHARE, X25519 + vector(2, bytes(32)))), ILLEGAL),
    "version 1.2 in the extension": (hello_with(version=b"\3\3"), ILLEGAL),
    "an extension that was not offered": (hello_with(extra=extension(0x1234)), UNSUPPORTED),
    "a message behind ServerHello": (hello_with(after=message(8, b"\0\0")), UNEXPECTED_MESSAGE),
    "a retry that changes nothing": (retry_with(), ILLEGAL),
    "a retry for the same group": (retry_with(X25519), ILLEGAL),
    "a retry for a group that was not offered": (retry_with(b"\x01\x00"), ILLEGAL),
    "a retry with an empty cookie": (retry_with(extra=extension(COOKIE, b"\0\0")), DECODE_ERROR),
    "two retries": (twice_retried, UNEXPECTED_MESSAGE),
    "another suite after a retry": (another_suite, ILLEGAL),
    "an extension without ours": (flight_of(lambda tls: tls.extensions(extension(0x1234))), UNSUPPORTED),
    "an extension of another message": (flight_of(lambda tls: tls.extensions(extension(KEY_SHARE))), ILLEGAL),
    "extensions that end early": (flight_of(lambda tls: tls.say(8, b"\0\5\0")), DECODE_ERROR),
    "a protocol that was not offered": (
        flight_of(lambda tls: tls.extensions(extension(16, vector(2, vector(1, b"h2"))))),
        ILLEGAL,
    ),
    "no EncryptedExtensions": (flight_of(lambda tls: tls.certificate()), UNEXPECTED_MESSAGE),
    "two requests": (flight_of(lambda tls: tls.extensions() + tls.request() + tls.request()), UNEXPECTED_MESSAGE),
    "a request without schemes": (
        flight_of(lambda tls: tls.extensions() + tls.say(13, b"\0\0\0")),
        MISSING,
    ),
    "a request with a context": (
        flight_of(lambda tls: tls.extensions() + tls.say(13, b"\1c\0\0")),
        ILLEGAL,
    ),
    "no certificate": (
        flight_of(lambda tls: tls.extensions() + tls.say(11, b"\0\0\0\0")),
        DECODE_ERROR,
    ),
    "an extension of a certificate": (
        flight_of(lambda tls: tls.extensions() + tls.certificate(extension(5))),
        UNSUPPORTED,
    ),
    "PKCS#1": (
        flight_of(lambda tls: tls.extensions() + tls.certificate() + tls.verify(b"\x04\x01")),
        ILLEGAL,
    ),
    "a curve with another hash": (
        flight_of(lambda tls: tls.extensions() + tls.certificate() + tls.verify(b"\x05\x03")),
        ILLEGAL,
    ),
    "a wrong signature": (flight_of(signature_is_wrong), DECRYPT_ERROR),
    "a wrong Finished": (flight_of(finished_is_wrong), DECRYPT_ERROR),
    "a message behind Finished": (flight_of(behind_finished), UNEXPECTED_MESSAGE),
    "application data within the handshake": (application_data, UNEXPECTED_MESSAGE),
    "a downgrade": (downgraded, ILLEGAL),
    "a session that is none": (resumed_what_is_none, ILLEGAL),
}


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_is_not_taken(installed, peer, name):
    """And the server hears why."""
    wrong, alert = NOT_TAKEN[name]
    spoken = []

    def talk(sock, pair):
        tls = Tls13(sock, pair)
        spoken.append(tls)
        try:
            wrong(tls)
            while not tls.heard:
                tls.read()
        finally:
            tls.done.set()

    told = installed.probe(peer(talk).endpoint).event("handshake")
    assert told["result"] == "unreachable", told
    assert spoken[0].done.wait(30) and len(spoken) == 1
    assert spoken[0].heard == [alert], told


# ---- resumption

RESUMING = {"nginx": Nginx, "openssl": s_server(*VERIFY), "go": Go}


@pytest.mark.parametrize("kind", RESUMING)
@pytest.mark.parametrize("key", ("p256", "rsa2048"))
def test_every_tenth_handshake_is_full(agent, put, tmp_path, authority, up, kind, key):
    """By tickets, each of which serves once."""
    agent.fetch(put(document(authority.issue("ECS-Client", key), authority.pem))).succeeded("installed")
    server = authority.issue("localhost", names=["localhost"])
    running = up(RESUMING[kind](tmp_path / "server", server, authority.pem, tls13_only=True))
    told = agent.probe(running.endpoint, "--count=12").succeeded().all("handshake")
    assert [each["handshake"] for each in told] == ["full", *["resumed"] * 9, "full", "resumed"]
    assert {(each["result"], each["tls"]) for each in told} == {("accepted", "1.3")}
    for each in told:
        assert each["signatures"] == (each["handshake"] == "full"), "the private key was used"


def test_a_ticket_serves_once(installed, tmp_path, authority, up):
    """Node gives no new one with a session that is resumed."""
    server = authority.issue("localhost", names=["localhost"])
    running = up(Node(tmp_path / "server", server, authority.pem, tls13_only=True))
    told = installed.probe(running.endpoint, "--count=5").succeeded().all("handshake")
    assert [each["handshake"] for each in told] == ["full", "resumed", "full", "resumed", "full"]


def test_versions_alone(installed, tmp_path, authority, up):
    """One that can do both is asked by the newer one, or by what was told."""
    server = authority.issue("localhost", names=["localhost"])
    running = up(Python(tmp_path / "server", server, authority.pem))
    for flags, version in ((), "1.3"), (("--tls-versions=1.3",), "1.3"), (("--tls-versions=1.2",), "1.2"):
        assert installed.probe(running.endpoint, *flags).succeeded().event("handshake")["tls"] == version
    old = up(with_options(Nginx)(tmp_path / "old", server, authority.pem))
    assert installed.probe(old.endpoint).succeeded().event("handshake")["tls"] == "1.2"
    told = installed.probe(old.endpoint, "--tls-versions=1.3").event("handshake")
    assert told["result"] == "unreachable" and "no version of TLS in common" in told["reason"]


@pytest.mark.parametrize("group", ("X25519", "P-256", "P-384", "P-521"))
def test_groups(installed, tmp_path, authority, up, group):
    """All but the first by HelloRetryRequest."""
    server = authority.issue("localhost", names=["localhost"])
    running = up(s_server(*VERIFY, "-tls1_3", "-groups", group)(tmp_path / "server", server, authority.pem))
    told = installed.probe(running.endpoint, "--count=2").succeeded().all("handshake")
    assert [each["group"] for each in told] == [group] * 2
    assert [each["handshake"] for each in told] == ["full", "resumed"]


@pytest.mark.parametrize("versions", ((), ("--tls-versions=1.3",), ("--tls-versions=1.2",)))
def test_x25519_is_offered_first(installed, peer, versions):
    """It takes the least of a processor; and the one share is of it."""
    hellos = []
    running = peer(lambda sock, pair: hellos.append(Tls13(sock, pair).hello()))
    installed.probe(running.endpoint, *versions)
    assert hellos
    for hello in hellos:
        assert hello.extensions[SUPPORTED_GROUPS] == vector(2, b"\0\x1d\0\x17\0\x18\0\x19")
        if "--tls-versions=1.2" in versions:
            assert KEY_SHARE not in hello.extensions
        else:
            assert (hello.share()[0], len(hello.share()[1])) == (X25519, 32)


@pytest.mark.parametrize("kind", (Nginx, Go, Node, Python, s_server(*VERIFY)), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("versions", ("1.2", "1.3"))
def test_usual_servers_take_x25519(installed, tmp_path, authority, up, kind, versions):
    """Without HelloRetryRequest: see test_groups."""
    server = authority.issue("localhost", names=["localhost"])
    running = up(kind(tmp_path / "server", server, authority.pem, tls13_only=versions == "1.3"))
    told = installed.probe(running.endpoint, f"--tls-versions={versions}").succeeded().event("handshake")
    assert (told["tls"], told["group"]) == (versions, "X25519")


@pytest.mark.parametrize("suite", ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256"))
@pytest.mark.parametrize("key", ("p256", "p384", "rsa2048"))
def test_suites(agent, put, tmp_path, authority, up, suite, key):
    agent.fetch(put(document(authority.issue("ECS-Client", key), authority.pem))).succeeded("installed")
    server = authority.issue("localhost", key, names=["localhost"])
    running = up(
        s_server(*VERIFY, "-tls1_3", "-ciphersuites", f"TLS_{suite}")(tmp_path / "server", server, authority.pem)
    )
    told = agent.probe(running.endpoint, "--count=3").succeeded().all("handshake")
    assert {each["cipher"] for each in told} == {f"TLS_{suite}"}
    assert [each["handshake"] for each in told] == ["full", "resumed", "resumed"]


def test_a_stateless_server_and_its_cookie(installed, tmp_path, authority, up):
    server = authority.issue("localhost", names=["localhost"])
    running = up(s_server(*VERIFY, "-tls1_3", "-stateless")(tmp_path / "server", server, authority.pem))
    installed.probe(running.endpoint).succeeded()
