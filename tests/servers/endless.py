# SPDX-License-Identifier: Apache-2.0
"""Peers that never stop talking. Each is a function of one connection, which ends when the client has had enough."""

import ssl
import time

from .peer import ALERT, APPLICATION_DATA, HANDSHAKE, HELLO_REQUEST, Tls12, record

USER_CANCELED = b"\x01\x5a"  # a warning
PIECE = 1 << 14
DROP_S = 0.02  # between two of what comes in drops

# What is never wanted, and never an error by itself.
WASTE = {
    "empty handshake records": (HANDSHAKE, b""),
    "empty application data": (APPLICATION_DATA, b""),
    "empty alerts": (ALERT, b""),
    "warning alerts": (ALERT, USER_CANCELED),
    "HelloRequests": (HANDSHAKE, HELLO_REQUEST),
}

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

# An answer's beginning, and what comes after that without end.
ANSWERS = {
    "1xx answers": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "status line": (b"HTTP/1.1 200 ", b"O" * 64),
    "empty lines": (b"", b"\r\n"),
    "header lines": (HEAD, b"X-A: b\r\n"),
    "one header line": (HEAD + b"X-A: ", b"b" * 64),
    "chunk extensions": (CHUNKED + b"2;", b"a=b;" * 16),
    "chunks": (CHUNKED, b"1\r\n \r\n"),
    "trailers": (CHUNKED + b"0\r\n", b"X-A: b\r\n"),
    "body": (HEAD + b"\r\n", b" " * 64),
}


def _forever(send, block, slowly=False):
    """Sends block again and again: as fast as it is read, or in drops."""
    pieces = block if slowly else block * (PIECE // len(block))
    while True:
        send(pieces)
        if slowly:
            time.sleep(DROP_S)


def in_plain(kind, body, slowly=False):
    """Once the ClientHello is there, in place of a ServerHello."""

    def talk(sock):
        sock.recv(PIECE)
        _forever(sock.sendall, record(kind, body), slowly)

    return talk


def encrypted(pair, kind, body, slowly=False):
    """After the handshake, in place of an answer."""

    def talk(sock):
        tls = Tls12(sock, pair)
        tls.handshake()
        tls.request()
        while True:
            sock.sendall(b"".join(tls.seal(kind, body) for _ in range(1 if slowly else 256)))
            time.sleep(DROP_S if slowly else 0)

    return talk


def finished_and_more(pair):
    """One byte more in the record of its Finished; then it waits."""

    def talk(sock):
        tls = Tls12(sock, pair)
        tls.hello()
        tls.flight()
        tls.certificate()
        tls.client_finished()
        tls.finished(b"\0")
        while sock.recv(PIECE):
            pass

    return talk


def answers(beginning, block, context=None, slowly=False):
    """Once a request's head is there; over TLS where there is a context."""

    def talk(sock):
        if context:
            sock = context.wrap_socket(sock, server_side=True)
        head = b""
        while b"\r\n\r\n" not in head:
            more = sock.recv(PIECE)
            if not more:
                return
            head += more
        sock.sendall(beginning)
        _forever(sock.sendall, block, slowly)

    return talk


def server_context(cert, key, client_ca=None):
    """TLS 1.2; asks for a client certificate where there is a CA for them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


def enclaves(pair, directory, client_ca):
    """Every kind as an enclave that shows pair (on P-256), by name: functions of one connection."""
    kinds = {}
    (directory / "clients.crt").write_text(client_ca)
    context = server_context(*pair.write(directory, "endless"), directory / "clients.crt")
    for speed, slowly in (("", False), (" in drops", True)):
        for name, (kind, body) in WASTE.items():
            kinds[f"{name} in plain text{speed}"] = in_plain(kind, body, slowly)
            kinds[f"{name} after the handshake{speed}"] = encrypted(pair, kind, body, slowly)
        for name, (beginning, block) in ANSWERS.items():
            kinds[f"{name}{speed}"] = answers(beginning, block, context, slowly)
    kinds["a byte after Finished"] = finished_and_more(pair)
    return kinds


def aws(context):
    """Those that can meet the agent as AWS or STS, where no client certificate is asked for."""
    kinds = {f"{name} in plain text": in_plain(*waste) for name, waste in WASTE.items()}
    return {**kinds, **metadata(context)}


def metadata(context=None):
    """Those of HTTP alone."""
    return {name: answers(*answer, context) for name, answer in ANSWERS.items()}
