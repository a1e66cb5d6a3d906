# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the Nitro hypervisor: attestation documents of a made-up root, and enclaves that show them."""

import base64
import datetime
import hashlib
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from .enclave import Go, Python
from .http import Answer, Http, json_answer

HOUR = datetime.timedelta(hours=1)
DAY = 24 * HOUR
ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16
)
ES384 = {1: -35}
IMAGE = {0: b"\x0a" * 48, 1: b"\x1a" * 48, 2: b"\x2a" * 48, 3: b"\x3a" * 48, 4: b"\x4a" * 48, 8: b"\x8a" * 48}
DEBUG = {0: bytes(48), 1: bytes(48), 2: bytes(48), 3: b"\x3a" * 48}


# ---- CBOR


class Raw(bytes):
    """Bytes that are CBOR already."""


class Pairs(list):
    """A map in which a key may stand twice."""


def head(major, number):
    for low, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 24:
            return bytes([major << 5 | number])
        if number < 1 << 8 * size:
            return bytes([major << 5 | low]) + number.to_bytes(size, "big")
    raise ValueError(number)


def cbor(value, indefinite=False):
    if isinstance(value, Raw):
        return bytes(value)
    if value is None:
        return b"\xf6"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, (Pairs, dict)):
        pairs = list(value.items() if isinstance(value, dict) else value)
        body = b"".join(cbor(key) + cbor(each) for key, each in pairs)
        return b"\xbf" + body + b"\xff" if indefinite else head(5, len(pairs)) + body
    body = b"".join(map(cbor, value))
    return b"\x9f" + body + b"\xff" if indefinite else head(4, len(value)) + body


# ---- certificates


def utc():
    return datetime.datetime.now(datetime.timezone.utc)


def name_of(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Made up")])


USAGES = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign encipher_only decipher_only"


def usage(*on):
    return x509.KeyUsage(**{name: name in on for name in USAGES.split()})


class Holder:
    """A certificate and its key; issued by another, or by itself."""

    def __init__(
        self,
        name,
        issuer=None,
        ca=True,
        path_len=None,
        curve=None,
        algorithm=None,
        key_usage=None,
        lifetime=(-DAY, DAY),
        more=(),
    ):
        self.key = ec.generate_private_key(curve or ec.SECP384R1())
        issuer = issuer or self
        self.name = name_of(name)
        now = utc()
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + lifetime[0])
            .not_valid_after(now + lifetime[1])
            .add_extension(x509.BasicConstraints(ca, path_len if ca else None), True)
        )
        if key_usage is not False:
            builder = builder.add_extension(key_usage or usage("key_cert_sign" if ca else "digital_signature"), True)
        for extension in more:
            builder = builder.add_extension(extension, False)
        self.certificate = builder.sign(issuer.key, algorithm or hashes.SHA384())

    @property
    def der(self):
        return self.certificate.public_bytes(serialization.Encoding.DER)


class Hardware:
    """
    A root, what is below it, and the documents that come of them. leaf, region and root: options of Holder for
    each of these.
    """

    def __init__(self, leaf=None, region=None, root=None):
        self.root = Holder("made-up.nitro-enclaves", **(root or {}))
        self.region = Holder("region.made-up.nitro-enclaves", self.root, **(region or {}))
        self.leaf_options = leaf or {}
        self.leaf = self.new_leaf()

    def new_leaf(self):
        options = {"ca": False, "lifetime": (datetime.timedelta(0), 3 * HOUR), **self.leaf_options}
        return Holder("i-0123456789abcdef0.made-up.nitro-enclaves", self.region, **options)

    @property
    def fingerprint(self):
        return hashlib.sha256(self.root.der).hexdigest()

    def fields(self, pcrs=None, nonce=None, user_data=None, public_key=None, made=None):
        pcrs = {number: bytes(48) for number in range(16)} | (IMAGE if pcrs is None else pcrs)
        return {
            "module_id": "i-0123456789abcdef0-enc0123456789abcdef",
            "digest": "SHA384",
            "timestamp": int((made or utc()).timestamp() * 1000),
            "pcrs": pcrs,
            "certificate": self.leaf.der,
            "cabundle": [self.root.der, self.region.der],
            "public_key": public_key,
            "user_data": user_data,
            "nonce": nonce,
        }

    def sign(self, payload, header=cbor(ES384), key=None, changed=lambda r, s: (r, s)):
        """COSE_Sign1's four parts."""
        signed = cbor(["Signature1", header, b"", payload])
        pair = decode_dss_signature((key or self.leaf.key).sign(signed, ec.ECDSA(hashes.SHA384())))
        signature = b"".join(number.to_bytes(48, "big") for number in changed(*pair))
        return [header, {}, payload, signature]

    def document(self, indefinite=True, tagged=False, **fields):
        cose = cbor(self.sign(cbor(self.fields(**fields), indefinite)))
        return b"\xd2" + cose if tagged else cose


# ---- enclaves


def spki(certificate):
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


class Attested(Python):
    """
    Mutual TLS, and attestation by one of the conventions. What it shows can be changed: options of
    Hardware.document(), and show(request's nonce) in place of all.
    """

    def __init__(self, directory, server, client_ca, hardware, convention="generic", **options):
        self.hardware, self.convention, self.pair = hardware, convention, server
        self.options, self.show = {}, None
        self.asked_for = []
        super().__init__(directory, server, client_ca, **options)

    def nonce_of(self, path):
        """The bytes that a caller of this path wants to find again; None: there are none."""
        for before in ("/attestation?nonce=", "/enclave/attestation?nonce="):
            if path.startswith(before):
                return bytes.fromhex(path[len(before) :])
        if path.startswith("/attestation/") and self.convention == "opensecret":
            return path[len("/attestation/") :].encode()
        return None

    def bound(self):
        certificate = self.pair.certificate
        return {
            "generic": {"user_data": hashlib.sha256(spki(certificate)).digest()},
            "nautilus": {"public_key": b"\x01" * 32},
            "nitriding": {
                "user_data": b"\x12\x20" + certificate.fingerprint(hashes.SHA256()) + b"\x12\x20" + bytes(32),
                "public_key": b"dummy",
            },
            "evervault": {"user_data": spki(certificate)},
            "opensecret": {"public_key": b"\x02" * 32},
            "marlin": {"public_key": b"\x03" * 64},
        }[self.convention]

    def document(self, nonce):
        if self.show:
            return self.show(nonce)
        return self.hardware.document(**{"nonce": nonce, **self.bound(), **self.options})

    def encoded(self, path):
        document = self.document(self.nonce_of(path))
        text = base64.b64encode(document)
        return {
            "generic": Answer(200, document),
            "nautilus": json_answer(200, {"attestation": document.hex()}),
            "nitriding": Answer(200, text + b"\n"),
            "evervault": json_answer(200, {"attestation_doc": text.decode()}),
            "opensecret": json_answer(200, {"attestation_document": text.decode()}),
            "marlin": Answer(200, document),
        }[self.convention]

    def _answer(self, request):
        if "attestation" not in request.path:
            return json_answer(200, {"status": "healthy"})
        self.asked_for.append(request.path)
        return self.encoded(request.path)


class Exporting(Go):
    """Binds its documents to the connection's exporter (RFC 9266). options: of Hardware.document(), in place of its own."""

    def __init__(self, directory, server, client_ca, hardware, words=()):
        self.hardware, self.options, self.exporters = hardware, {}, []
        self._nsm = Http(self._document)
        self.words = (*words, f"nsm=http://127.0.0.1:{self._nsm.port}/")
        super().__init__(directory, server, client_ca)

    def _document(self, request):
        asked = parse_qs(urlsplit(request.path).query)
        self.exporters.append(bytes.fromhex(asked["exporter"][0]))
        nonce = bytes.fromhex(asked["nonce"][0]) if "nonce" in asked else None
        return Answer(200, self.hardware.document(**{"user_data": self.exporters[-1], "nonce": nonce, **self.options}))

    def stop(self):
        super().stop()
        self._nsm.stop()


def pcr_set(pcrs=None, numbers=(0,)):
    """As --attest-pcr has it."""
    pcrs = IMAGE if pcrs is None else pcrs
    return "+".join(f"{number}:{pcrs[number].hex()}" for number in numbers)
