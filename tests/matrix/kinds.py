# SPDX-License-Identifier: Apache-2.0
"""
Every kind of enclave, with one interface: kind(directory, pair, client_ca, words). Words say what it may speak: tls12,
tls13, p384 (that curve alone), ems or fips (extended master secret is required), and what else a kind knows.
"""

import socket
import ssl

import programs
from programs import HERE, need
from servers.enclave import HERE as SERVERS
from servers.enclave import Enclave, Nginx, OpenSsl, go_program
from servers.more import GnuTls, HaProxy, Stunnel
from servers.process import Process


class Spoken(Enclave):
    """A server that is told its words on its command line; command() is what comes before DIRECTORY and PORT."""

    env = {}

    def __init__(self, directory, pair, client_ca, words):
        self.words = words
        self._command = self.command()
        super().__init__(directory, pair, client_ca)

    def launch(self, port):
        return Process([*self._command, self.dir, port, *self.words], self.dir / "log", self.env)


def rust(program, *more):
    class Rust(Spoken):
        def command(self):
            self.words = [*self.words, *more]
            return [programs.rust(program)]

    return Rust


def c(name, *how):
    class C(Spoken):
        def command(self):
            return [programs.c(name, *how)]

    return C


def shake_hands(port, cert, key):
    """Once, with a certificate that need not be taken, for as long as it takes."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(cert, key)
    try:
        with context.wrap_socket(socket.create_connection(("localhost", port), 300)) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            tls.recv(1)
    except (ssl.SSLError, ConnectionError):
        pass  # a refusal


def java(name):
    class Java(Spoken):
        def start(self, port):
            """A JVM loads most of TLS at its first handshake: on a busy machine for longer than the agent waits for a peer."""
            super().start(port)
            shake_hands(self.port, self.cert_path, self.key_path)

        def command(self):
            classes = programs.java()
            required = ["-Djdk.tls.allowLegacyMasterSecret=false"] if "ems" in self.words else []
            return ["java", "-Xmx64m", "-XX:TieredStopAtLevel=1", *required, "-cp", classes, "Enclave", name]

    return Java


def python(name, packages=False):
    class Python(Spoken):
        def command(self):
            need("python3")
            if packages:
                self.env = {"PYTHONPATH": str(programs.python())}
            return ["python3", HERE / "python/enclave.py", name]

    return Python


class Go(Spoken):
    def command(self):
        need("go")
        if "fips" in self.words:
            self.env = {"GODEBUG": "fips140=on"}
        return [go_program(SERVERS / "enclave.go")]


class Node(Spoken):
    def command(self):
        need("node")
        return ["node", SERVERS / "enclave.js"]


def settled(kind, command, **settings):
    """One that takes its settings from its class: each word's."""

    class Settled(kind):
        def __init__(self, directory, pair, client_ca, words):
            need(command)
            for word in words:
                for name, value in settings.get(word, {}).items():
                    setattr(self, name, value)
            super().__init__(directory, pair, client_ca, tls13_only="tls13" in words)

    return Settled


INSISTS = ("-Verify", "3", "-verify_return_error")
KINDS = {
    "axum, rustls with ring": rust("axum", "ring"),
    "axum, rustls with aws-lc-rs": rust("axum", "aws-lc-rs"),
    "hyper, rustls with ring": rust("hyper", "ring"),
    "hyper, rustls with aws-lc-rs": rust("hyper", "aws-lc-rs"),
    "s2n-tls": rust("s2n"),
    "Go": Go,
    "Node": Node,
    "Python http.server": python("http_server"),
    "Python ssl": python("ssl"),
    "aiohttp": python("aiohttp", packages=True),
    "uvicorn": python("uvicorn", packages=True),
    "nginx": settled(Nginx, "nginx", p384={"settings": "ssl_ecdh_curve secp384r1;"}),
    "HAProxy": settled(
        HaProxy, "haproxy", p384={"settings": "curves P-384"}, tls12={"settings": "ssl-max-ver TLSv1.2"}
    ),
    "stunnel": settled(
        Stunnel, "stunnel4", p384={"settings": "curves = P-384"}, tls12={"settings": "sslVersionMax = TLSv1.2"}
    ),
    "OpenSSL": settled(
        OpenSsl,
        "openssl",
        p384={"arguments": (*INSISTS, "-groups", "P-384")},
        tls12={"arguments": (*INSISTS, "-tls1_2")},
    ),
    "GnuTLS": settled(GnuTls, "gnutls-serv", p384={"groups": ":-GROUP-ALL:+GROUP-SECP384R1"}),
    "Mbed TLS": c("mbedtls", "/usr/include/mbedtls/ssl.h", "libmbedtls-dev", "mbedtls", "mbedx509", "mbedcrypto"),
    "wolfSSL": c("wolfssl", "/usr/include/wolfssl/ssl.h", "libwolfssl-dev", "wolfssl"),
    "Java HttpsServer": java("https"),
    "Java SSLServerSocket": java("socket"),
}

# Who can insist on extended master secret in TLS 1.2 (RFC 7627), and by which word.
INSISTING = {
    "axum, rustls with ring": "ems",
    "hyper, rustls with aws-lc-rs": "ems",
    "Go": "fips",
    "Java HttpsServer": "ems",
    "Java SSLServerSocket": "ems",
}

# How each says, in TLS 1.2, that it does not want a certificate.
ALERT, CLOSE, ANSWER, SILENCE = "an alert", "a close", "HTTP 400", "silence"
SAYS = {name: ALERT for name in KINDS} | {
    "Node": CLOSE,
    "aiohttp": CLOSE,
    "uvicorn": CLOSE,
    "nginx": ANSWER,
    "s2n-tls": SILENCE,
}

# And in TLS 1.3, where the client has said all that it has to say by then.
SAYS_13 = SAYS | {"Java HttpsServer": CLOSE}

# Who does not understand a word: Debian's Mbed TLS has no TLS 1.3, s2n-tls takes its groups from a policy.
DEAF = {"Mbed TLS": "tls13", "s2n-tls": "p384"}
# Who cannot do without the other version, so that we do.
UNABLE = [("s2n-tls", "1.2")]
# Of whom the tests' settings name one version only.
ONE_VERSION = ("nginx", "GnuTLS", "Mbed TLS")
