# SPDX-License-Identifier: Apache-2.0
"""A TLS 1.3 server (RFC 8446) that is played a step at a time, and can be told to misbehave."""

import hashlib
import hmac
import os
import struct
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .peer import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, TLS12, read_exactly, record

SUITE = b"\x13\x01"  # TLS_AES_128_GCM_SHA256
X25519, P256, P384 = b"\0\x1d", b"\0\x17", b"\0\x18"
CURVES = {P256: ec.SECP256R1, P384: ec.SECP384R1}
SUPPORTED_GROUPS, SUPPORTED_VERSIONS, COOKIE, KEY_SHARE, SIGNATURE_ALGORITHMS = 10, 43, 44, 51, 13
RETRY = hashlib.sha256(b"HelloRetryRequest").digest()


def vector(size, *parts):
    body = b"".join(parts)
    return len(body).to_bytes(size, "big") + body


def message(kind, body=b""):
    return bytes([kind]) + vector(3, body)


def extension(kind, body=b""):
    return struct.pack(">H", kind) + vector(2, body)


def expand(secret, label, context=b"", size=32):
    """HKDF-Expand-Label (section 7.1), of one block."""
    info = struct.pack(">H", size) + vector(1, b"tls13 " + label) + vector(1, context)
    return hmac.digest(secret, info + b"\1", "sha256")[:size]


class Keys:
    def __init__(self, secret):
        self.secret = secret
        self.aead = AESGCM(expand(secret, b"key", size=16))
        self.iv = int.from_bytes(expand(secret, b"iv", size=12), "big")
        self.number = 0

    def nonce(self):
        self.number += 1
        return (self.iv ^ (self.number - 1)).to_bytes(12, "big")

    def next(self):
        return Keys(expand(self.secret, b"traffic upd"))


class Hello:
    """A ClientHello, read."""

    def __init__(self, raw):
        self.raw = raw
        self.random, rest = raw[6:38], raw[38:]
        self.session_id, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        size = int.from_bytes(rest[:2], "big")
        self.suites, rest = rest[2 : 2 + size], rest[2 + size + 2 + 2 :]
        self.extensions = {}
        while rest:
            kind, size = struct.unpack(">HH", rest[:4])
            assert kind not in self.extensions, "an extension stands twice"
            self.extensions[kind], rest = rest[4 : 4 + size], rest[4 + size :]

    def share(self):
        """Its one group and public value."""
        body = self.extensions[KEY_SHARE]
        assert int.from_bytes(body[:2], "big") == len(body) - 2
        assert int.from_bytes(body[4:6], "big") == len(body) - 6
        return body[2:4], body[6:]


class Tls13:
    """
    The server's side of one connection. Steps are to be taken in the order in which they stand here, by whoever
    leaves one out or puts something of his own between them. It verifies nothing of the client but its Finished.
    """

    def __init__(self, sock, pair, asks=True, schemes=b"\x04\x03\x05\x03\x08\x04\x08\x05\x08\x06"):
        """pair: a certificate on P-256. asks: for a client certificate, with these signature schemes."""
        self.sock = sock
        self.asks = asks
        self.schemes = schemes
        self.seen = []  # kinds of the client's messages
        self.heard = []  # its alerts
        self.done = threading.Event()  # for who waits for the end
        self.reads = self.writes = None
        self._chain = [
            each.public_bytes(serialization.Encoding.DER) for each in x509.load_pem_x509_certificates(pair.cert.encode())
        ]
        self._key = serialization.load_pem_private_key(pair.key.encode(), None)
        self._transcript = b""
        self._messages = b""

    # ---- records

    def read(self):
        """The next record's kind and what is in it."""
        head = read_exactly(self.sock, 5)
        body = read_exactly(self.sock, int.from_bytes(head[3:], "big"))
        kind = head[0]
        if self.reads and kind != CHANGE_CIPHER_SPEC:
            text = self.reads.aead.decrypt(self.reads.nonce(), body, head).rstrip(b"\0")
            kind, body = text[-1], text[:-1]
        if kind == ALERT:
            self.heard.append(body[1])
        return kind, body

    def seal(self, kind, body=b"", padding=0):
        """A record, protected where that is its time."""
        if not self.writes or kind == CHANGE_CIPHER_SPEC:
            return record(kind, body)
        text = body + bytes([kind]) + bytes(padding)
        head = bytes([APPLICATION_DATA]) + TLS12 + struct.pack(">H", len(text) + 16)
        return head + self.writes.aead.encrypt(self.writes.nonce(), text, head)

    def send(self, kind, body=b"", padding=0):
        self.sock.sendall(self.seal(kind, body, padding))

    def _take(self):
        while len(self._messages) < 4 or len(self._messages) < 4 + int.from_bytes(self._messages[1:4], "big"):
            kind, body = self.read()
            if kind == HANDSHAKE:
                self._messages += body
            elif kind != CHANGE_CIPHER_SPEC:
                raise EOFError  # an alert
        size = 4 + int.from_bytes(self._messages[1:4], "big")
        taken, self._messages = self._messages[:size], self._messages[size:]
        self.seen.append(taken[0])
        return taken

    def say(self, kind, body=b""):
        """A message, counted in; not sent."""
        said = message(kind, body)
        self._transcript += said
        return said

    def hash(self):
        return hashlib.sha256(self._transcript).digest()

    # ---- the steps

    def hello(self):
        """Reads a ClientHello."""
        self.client = Hello(self._take())
        self._transcript += self.client.raw
        return self.client

    def retry(self, group=None, cookie=b"", extra=b""):
        """Sends a HelloRetryRequest, and reads the second ClientHello."""
        first = self.client
        self._transcript = message(254, self.hash())
        extensions = extension(SUPPORTED_VERSIONS, b"\x03\x04") + extra
        if group:
            extensions += extension(KEY_SHARE, group)
        if cookie:
            extensions += extension(COOKIE, vector(2, cookie))
        self.send(HANDSHAKE, self.say(2, self._server_hello(RETRY, extensions)))
        self.hello()
        return first

    def _server_hello(self, random, extensions, suite=SUITE):
        body = TLS12 + random + vector(1, self.client.session_id) + suite + b"\0" + vector(2, extensions)
        return body

    def _agree(self, group, value):
        if group == X25519:
            own = x25519.X25519PrivateKey.generate()
            public = own.public_key().public_bytes_raw()
            return public, own.exchange(x25519.X25519PublicKey.from_public_bytes(value))
        curve = CURVES[group]()
        own = ec.generate_private_key(curve)
        public = own.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return public, own.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, value))

    def server_hello(self, extra=b"", after=b"", share=None, suite=SUITE, version=b"\x03\x04"):
        """Sends ServerHello. after: bytes behind it in its record. From then on all is protected."""
        group, value = self.client.share()
        public, shared = self._agree(group, value)
        extensions = extension(SUPPORTED_VERSIONS, version)
        extensions += extension(KEY_SHARE, group + vector(2, public)) if share is None else share
        self.send(HANDSHAKE, self.say(2, self._server_hello(os.urandom(32), extensions + extra, suite)) + after)
        nothing = hashlib.sha256().digest()
        early = hmac.digest(bytes(32), bytes(32), "sha256")
        secret = hmac.digest(expand(early, b"derived", nothing), shared, "sha256")
        self._master = hmac.digest(expand(secret, b"derived", nothing), bytes(32), "sha256")
        self.reads = Keys(expand(secret, b"c hs traffic", self.hash()))
        self.writes = Keys(expand(secret, b"s hs traffic", self.hash()))

    def extensions(self, body=b""):
        return self.say(8, vector(2, body))

    def request(self):
        return self.say(13, b"\0" + vector(2, extension(SIGNATURE_ALGORITHMS, vector(2, self.schemes))))

    def certificate(self, extra=b""):
        return self.say(11, b"\0" + vector(3, *(vector(3, each) + vector(2, extra) for each in self._chain)))

    def verify(self, scheme=b"\x04\x03", digest=hashes.SHA256):
        content = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + self.hash()
        return self.say(15, scheme + vector(2, self._key.sign(content, ec.ECDSA(digest()))))

    def finished(self):
        return self.say(20, hmac.digest(expand(self.writes.secret, b"finished"), self.hash(), "sha256"))

    def application_keys(self):
        """Of what the server sends; the client's come with its Finished."""
        self._client_secret = expand(self._master, b"c ap traffic", self.hash())
        self.exporter = expand(self._master, b"exp master", self.hash())
        self.writes = Keys(expand(self._master, b"s ap traffic", self.hash()))

    def flight(self):
        """EncryptedExtensions to Finished, in one record."""
        said = self.extensions() + (self.request() if self.asks else b"") + self.certificate() + self.verify()
        self.send(HANDSHAKE, said + self.finished())
        self.application_keys()

    def client_flight(self):
        """Reads the client's."""
        while 20 not in self.seen:
            before = self.hash()
            taken = self._take()
            self._transcript += taken
        assert taken[4:] == hmac.digest(expand(self.reads.secret, b"finished"), before, "sha256")
        self.reads = Keys(self._client_secret)

    def http_request(self):
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

    def alert(self, number, level=2):
        self.send(ALERT, bytes([level, number]))

    def handshake(self):
        self.hello()
        self.server_hello()
        self.flight()
        self.client_flight()

    def update(self, asks=0):
        self.send(HANDSHAKE, message(24, bytes([asks])))
        self.writes = self.writes.next()
