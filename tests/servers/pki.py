# SPDX-License-Identifier: Apache-2.0
"""Certificates: by the README's commands with openssl, and variants that these commands do not make."""

import datetime
import ipaddress
import json
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def openssl(*arguments, cwd):
    return subprocess.run(
        ["openssl", *arguments],
        cwd=cwd,
        check=True,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ).stdout


class Commands:
    """A directory in which the README's commands are run; it then holds ca.crt, client.crt, server.crt and keys."""

    def __init__(self, directory):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)

    def run(self, *arguments):
        return openssl(*arguments, cwd=self.dir)

    def make_ca(self, cn="Enclave-CA"):
        self.run("genrsa", "-out", "ca.key", "4096")
        self.run(
            "req", "-new", "-x509", "-days", "365", "-key", "ca.key", "-out", "ca.crt", "-subj", f"/CN={cn}"
        )

    def make_client(self, cn="ECS-Client"):
        self.run("genrsa", "-out", "client.key", "4096")
        self.run("req", "-new", "-key", "client.key", "-out", "client.csr", "-subj", f"/CN={cn}")
        self.run(
            "x509",
            "-req",
            "-days",
            "365",
            "-in",
            "client.csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-out",
            "client.crt",
        )

    def make_server(self, name="server", cn="localhost", san=None):
        """As the client's, and with a subjectAltName where san is given ("DNS:localhost,IP:127.0.0.1")."""
        self.run("genrsa", "-out", f"{name}.key", "2048")
        self.run("req", "-new", "-key", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={cn}")
        extensions = []
        if san:
            (self.dir / f"{name}.ext").write_text(f"subjectAltName={san}\n")
            extensions = ["-extfile", f"{name}.ext"]
        self.run(
            "x509",
            "-req",
            "-days",
            "365",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-out",
            f"{name}.crt",
            *extensions,
        )

    def pair(self, name):
        return Pair((self.dir / f"{name}.crt").read_text(), (self.dir / f"{name}.key").read_text())

    @property
    def ca_pem(self):
        return (self.dir / "ca.crt").read_text()


class Pair:
    """A certificate (or chain) and its key, as PEM."""

    def __init__(self, cert, key):
        self.cert = cert
        self.key = key

    def write(self, directory, name):
        """Writes NAME.crt and NAME.key there and returns their paths."""
        paths = Path(directory) / f"{name}.crt", Path(directory) / f"{name}.key"
        paths[0].write_text(self.cert)
        paths[1].write_text(self.key)
        return paths

    @property
    def certificate(self):
        return x509.load_pem_x509_certificate(self.cert.encode())


def document(pair, ca, **more):
    """The secret of the README."""
    return json.dumps({"client_cert": pair.cert, "client_key": pair.key, "ca_cert": ca, **more})


def new_key(kind):
    """ "p256", "p384", "p521", "ed25519" or RSA bits as "rsa2048"."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(
        {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}[kind]
    )


def key_pem(key, form=serialization.PrivateFormat.PKCS8, password=None):
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


def _der(tag, content):
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _header(data):
    """Length of the first element's header, and of its content."""
    if data[1] < 0x80:
        return 2, data[1]
    header = 2 + (data[1] & 0x7F)
    return header, int.from_bytes(data[2:header], "big")


def _elements(data):
    """The DER elements that data consists of, each whole."""
    while data:
        size = sum(_header(data))
        yield data[:size]
        data = data[size:]


def as_version_1(pair, issuer):
    """The certificate without version and extensions, as `openssl x509 -req` made it before OpenSSL 3.2."""
    tbs = pair.certificate.tbs_certificate_bytes
    kept = [part for part in _elements(tbs[_header(tbs)[0] :]) if part[0] not in (0xA0, 0xA3)]
    tbs = _der(0x30, b"".join(kept))
    signature = _der(0x03, b"\0" + issuer.key.sign(tbs, ec.ECDSA(hashes.SHA256())))
    certificate = x509.load_der_x509_certificate(_der(0x30, tbs + kept[1] + signature))
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), pair.key)


def alternative_names(names):
    def one(name):
        try:
            return x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    return x509.SubjectAlternativeName([one(name) for name in names])


class Authority:
    """A CA with its key at hand and all extensions that strict verifiers want; intermediate with a parent."""

    def __init__(self, cn, kind="p256", parent=None, lifetime=(-DAY, 365 * DAY), basic=(True, None), more=(), key=None):
        """basic: whether it is a CA, and its path length; more: critical extensions beside the usual."""
        self.key = key or new_key(kind)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
        issuer = parent or self
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = self._builder(self.name, self.key.public_key(), issuer, lifetime)
        for extension in (x509.BasicConstraints(*basic), usage, *more):
            builder = builder.add_extension(extension, True)
        self.certificate = builder.sign(issuer.key, hashes.SHA256())

    @staticmethod
    def _builder(subject, public_key, issuer, lifetime):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + lifetime[0])
            .not_valid_after(now + lifetime[1])
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False)
        )

    def sign(self, builder):
        """As all CAs do; others override it."""
        return builder.sign(self.key, hashes.SHA256())

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, cn, kind="p256", names=(), lifetime=(-DAY, 90 * DAY), usage=None, more=(), key=None):
        """
        A leaf: a server's where it has names, else a client's; usage, one or a list, overrides its extended key
        usage. more: critical extensions.
        """
        key = key or new_key(kind)
        usage = usage or (ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
        builder = self._builder(subject, key.public_key(), self, lifetime)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage if isinstance(usage, list) else [usage]), False)
        if names:
            builder = builder.add_extension(alternative_names(names), False)
        for extension in more:
            builder = builder.add_extension(extension, True)
        cert = self.sign(builder)
        return Pair(cert.public_bytes(serialization.Encoding.PEM).decode(), key_pem(key))
