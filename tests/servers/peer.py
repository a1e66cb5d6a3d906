# SPDX-License-Identifier: Apache-2.0
"""A TCP server that says to each connection whatever a function says, and a TLS 1.2 server that can be told to misbehave."""

import hashlib
import hmac
import os
import socket
import struct
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .http import loopback_socket
from .proxy import _shut

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
TLS12 = b"\x03\x03"
SUITE = b"\xc0\x2b"  # TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
HELLO_REQUEST = b"\0\0\0\0"


def record(kind, body=b""):
    """A record in plain text."""
    return bytes([kind]) + TLS12 + struct.pack(">H", len(body)) + body


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


class Peer:
    """Runs talk(socket) on a thread for each connection, and closes it after that."""

    def __init__(self, talk, listener=None):
        self.connections = 0
        self._talk = talk
        self._listener = listener or loopback_socket()
        self.port = self._listener.getsockname()[1]
        self._sockets = set()
        self._stopping = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self):
        return f"localhost:{self.port}"

    def stop(self):
        self._stopping = True
        for sock in [self._listener, *list(self._sockets)]:
            _shut(sock)

    def _accept(self):
        while not self._stopping:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            self._sockets.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            self._talk(client)
        except (OSError, EOFError):
            pass  # a client that goes away is what many tests are about
        client.close()
        self._sockets.discard(client)


def _message(kind, body):
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def _vector(size, *parts):
    body = b"".join(parts)
    return len(body).to_bytes(size, "big") + body


def _prf(secret, label, seed, size):
    seed, out, turn = label + seed, b"", label + seed
    while len(out) < size:
        turn = hmac.digest(secret, turn, "sha256")
        out += hmac.digest(secret, turn + seed, "sha256")
    return out[:size]


class Tls12:
    """
    The server's side of one TLS 1.2 connection, a step at a time. Steps are to be taken in the order in which they
    stand here, by whoever lets one out or puts something of his own between them. It verifies nothing of the client.
    """

    def __init__(self, sock, pair, asks=True):
        """pair: a certificate on P-256. asks: for a client certificate."""
        self.sock = sock
        self.asks = asks
        self.seen = []  # kinds of the client's handshake messages
        self._chain = [
            each.public_bytes(serialization.Encoding.DER) for each in x509.load_pem_x509_certificates(pair.cert.encode())
        ]
        self._key = serialization.load_pem_private_key(pair.key.encode(), None)
        self._own = ec.generate_private_key(ec.SECP256R1())
        self._transcript = b""
        self._messages = b""  # of the client, not yet taken
        self._master = self._reads = self._writes = None

    # ---- records

    def read(self):
        """The next record's kind and what is in it."""
        head = read_exactly(self.sock, 5)
        body = read_exactly(self.sock, int.from_bytes(head[3:], "big"))
        if not self._reads:
            return head[0], body
        aead, salt, number = self._reads
        self._reads[2] += 1
        extra = struct.pack(">QB", number, head[0]) + TLS12 + struct.pack(">H", len(body) - 24)
        return head[0], aead.decrypt(salt + body[:8], body[8:], extra)

    def seal(self, kind, body=b""):
        """A record, encrypted where that is its time."""
        if not self._writes:
            return record(kind, body)
        aead, salt, number = self._writes
        self._writes[2] += 1
        nonce = struct.pack(">Q", number)
        extra = nonce + bytes([kind]) + TLS12 + struct.pack(">H", len(body))
        return record(kind, nonce + aead.encrypt(salt + nonce, body, extra))

    def send(self, kind, body=b""):
        self.sock.sendall(self.seal(kind, body))

    def _take(self):
        """The client's next handshake message, counted in."""
        while len(self._messages) < 4 or len(self._messages) < 4 + int.from_bytes(self._messages[1:4], "big"):
            kind, body = self.read()
            if kind == CHANGE_CIPHER_SPEC:
                self._reads = self._client_keys
            elif kind == HANDSHAKE:
                self._messages += body
            else:
                raise EOFError  # an alert
        size = 4 + int.from_bytes(self._messages[1:4], "big")
        message, self._messages = self._messages[:size], self._messages[size:]
        self._transcript += message
        self.seen.append(message[0])
        return message

    def _say(self, kind, body):
        self._transcript += _message(kind, body)
        return _message(kind, body)

    # ---- the steps

    def hello(self):
        self._client_random = self._take()[6:38]

    def flight(self, session_id=b"", exchange=None):
        """ServerHello to ServerHelloDone, in one record. exchange: the curve and point to send instead."""
        self._random = os.urandom(32)
        point = self._own.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        exchange = exchange or b"\x03\x00\x17" + _vector(1, point)
        signed = self._key.sign(self._client_random + self._random + exchange, ec.ECDSA(hashes.SHA256()))
        messages = self._say(2, TLS12 + self._random + _vector(1, session_id) + SUITE + b"\0")
        messages += self._say(11, _vector(3, *(_vector(3, each) for each in self._chain)))
        messages += self._say(12, exchange + b"\x04\x03" + _vector(2, signed))
        if self.asks:
            algorithms = b"\x04\x03\x05\x03\x04\x01\x05\x01"
            messages += self._say(13, b"\x02\x40\x01" + _vector(2, algorithms) + b"\0\0")
        self.send(HANDSHAKE, messages + self._say(14, b""))

    def certificate(self):
        """Reads the client's Certificate."""
        if self.asks:
            assert self._take()[0] == 11

    def client_finished(self):
        """Reads the rest of the client's flight."""
        exchange = self._take()
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), exchange[5:])
        self._master = _prf(
            self._own.exchange(ec.ECDH(), point),
            b"master secret",
            self._client_random + self._random,
            48,
        )
        block = _prf(self._master, b"key expansion", self._random + self._client_random, 40)
        self._client_keys = [AESGCM(block[:16]), block[32:36], 0]
        self._server_keys = [AESGCM(block[16:32]), block[36:40], 0]
        while self.seen[-1] != 20:
            self._take()

    def finished(self, more=b""):
        """ChangeCipherSpec and Finished, with more in the same record."""
        self.send(CHANGE_CIPHER_SPEC, b"\x01")
        self._writes = self._server_keys
        seed = hashlib.sha256(self._transcript).digest()
        self.send(HANDSHAKE, self._say(20, _prf(self._master, b"server finished", seed, 12)) + more)

    def request(self):
        """Reads an HTTP request without a body."""
        data = b""
        while b"\r\n\r\n" not in data:
            kind, body = self.read()
            if kind != APPLICATION_DATA:
                raise EOFError
            data += body
        return data

    def answer(self, data=b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}\n"):
        self.send(APPLICATION_DATA, data)

    def handshake(self):
        """All steps up to the server's Finished."""
        self.hello()
        self.flight()
        self.certificate()
        self.client_finished()
        self.finished()


def abort(sock):
    """Closes with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
