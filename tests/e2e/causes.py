# SPDX-License-Identifier: Apache-2.0
"""
What each cause says: a cause's exit status, code and remedy as they must read, and inputs with their cause, what it is about
(the beginning of the subject) and what the reason must name. Who reads the message alone can take the next step.
"""

import base64
import json
from collections import namedtuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, x25519
from cryptography.hazmat.primitives.serialization import pkcs12, pkcs7
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from servers.aws import aws_error
from servers.http import Answer
from servers.pki import DAY, Authority, Pair, _der, _elements, _header, document, key_pem, new_key, openssl

MEMLOCK = (
    "Raise the memlock limit to 8 MiB (LimitMEMLOCK=8M, or ulimits in the task definition), or accept --memory-lock=prefer."
)

# cause: exit status, code, remedy.
CAUSES = {
    # ---- the document
    "document_invalid": (65, "document_invalid", "Store a JSON object with client_cert, client_key and ca_cert."),
    "document_too_large": (65, "document_too_large", "A secret holds at most 64 KiB; leave out what is not needed."),
    "base64": (65, "document_invalid", "Store the text itself: decode it first (base64 -d)."),
    "utf16": (65, "document_invalid", "Store it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE."),
    "binary": (
        65, "document_invalid",
        "Store PEM: openssl x509 -inform DER -in FILE, openssl pkey -inform DER -in FILE; of PKCS#12: openssl pkcs12 -nodes -in FILE.",
    ),
    "encoded_twice": (65, "document_invalid", "Store the object itself, encoded once: jq -r . FILE."),
    "field_missing": (65, "field_missing", "Store client_cert, client_key and ca_cert together in one version."),
    "issuer_is_no_ca": (
        65, "field_missing",
        "Store the CA that signed the enclave's certificate as ca_cert: another CA may have issued the client's certificate.",
    ),
    "field_repeated": (
        65, "field_repeated", "Keep one of them, or install one secret into a subdirectory with sub=ARN.",
    ),
    "pem_invalid": (65, "pem_invalid", "Store the file's text as it is, from BEGIN to END."),
    "wrong_field": (
        65, "pem_invalid",
        "Store each in its own field: the certificate in client_cert, its private key in client_key, the CA in ca_cert.",
    ),
    "certificate_request": (65, "pem_invalid", "Store the certificate that the CA made of this request."),
    "pkcs7": (65, "pem_invalid", "Convert it: openssl pkcs7 -print_certs -in FILE."),
    # ---- the key
    "key_encrypted": (
        65, "key_encrypted", "Store it decrypted (openssl pkey -in client.key); Secrets Manager encrypts it.",
    ),
    "key_unsupported": (
        65, "key_unsupported",
        "Make a key of P-256, P-384 or RSA with 2048 to 4096 bits (openssl ecparam -name prime256v1 -genkey -noout), and have its "
        "certificate issued anew.",
    ),
    "key_openssh": (65, "key_unsupported", "Convert it: ssh-keygen -p -N '' -m PKCS8 -f client.key."),
    "key_form": (65, "key_unsupported", "Convert it: openssl pkey -ec_param_enc named_curve -in client.key."),
    "key_invalid": (65, "key_invalid", "Store the key anew, whole, as it was made (openssl pkey -check -in client.key)."),
    "keys_several": (65, "key_invalid", "Keep the certificate's key, and no other."),
    "key_mismatch": (65, "key_mismatch", "Store key and certificate of one pair in one version of the secret."),
    # ---- certificates
    "certificate_invalid": (65, "certificate_invalid", "Issue it anew; the reason says what is wrong with it."),
    "trust_settings": (65, "certificate_invalid", "Leave them out: openssl x509 -in FILE."),
    "certificates_many": (65, "certificate_invalid", "Leave out the certificates that are not needed."),
    "leaf_purpose": (
        65, "certificate_invalid",
        "Issue it anew with keyUsage digitalSignature and extendedKeyUsage clientAuth (server_cert: serverAuth).",
    ),
    "certificate_expired": (65, "certificate_expired", "Issue a new one and put it into the secret."),
    "ca_expired": (
        65, "certificate_expired",
        "Renew that CA, and store it: a root in ca_cert, an intermediate in client_cert behind the leaf.",
    ),
    "certificate_not_yet_valid": (
        75, "certificate_not_yet_valid", "Check this host's clock, then the certificate's notBefore.",
    ),
    "chain_not_in_ca": (
        65, "chain_not_in_ca", "Add it to ca_cert, or use --client-chain=warn where client and server CAs differ.",
    ),
    "certificate_altered": (
        65, "chain_invalid", "It was altered after it was signed, or another CA of that name signed it: store what the CA issued.",
    ),
    "signature_unsupported": (
        65, "chain_invalid",
        "Have it signed by ECDSA or RSA (PKCS#1) with SHA-256, SHA-384 or SHA-512 (openssl x509 -req -sha256).",
    ),
    "ca_key": (
        65, "chain_invalid",
        "Make that CA anew with a key of P-256, P-384 or RSA with 2048 to 4096 bits, and issue anew what it signed.",
    ),
    "name_constraints": (
        65, "chain_invalid", "Issue the certificate for names that this CA's constraints permit, or by a CA without them.",
    ),
    "path_length": (
        65, "chain_invalid", "Issue the certificate by a CA further up, or that CA anew with a larger pathlen.",
    ),
    "critical_extension": (
        65, "chain_invalid", "Issue that certificate anew without this extension, or with it not critical.",
    ),
    "not_a_ca": (
        65, "chain_invalid", "Issue that CA anew with basicConstraints=critical,CA:TRUE, or store the CA that is meant.",
    ),
    "ca_usage": (
        65, "chain_invalid",
        "Issue that CA anew: keyUsage with keyCertSign, and extendedKeyUsage left out or with that purpose.",
    ),
    "identity_unexpected": (
        65, "identity_unexpected",
        "Check that --secret names this environment's secret, or correct --expect-subject, --expect-san, --expect-ca or "
        "--forbid-version.",
    ),
    # ---- AWS
    "aws_denied": (77, "aws_denied", "Add the statement in the reason to a policy of the role in use."),
    "aws_denied_explicitly": (
        77, "aws_denied_explicitly",
        "An explicit deny outweighs every allow: look for it in the kind of policy that AWS names.",
    ),
    "policy_of_others": (
        77, "aws_denied",
        "The role's own policies do not decide this: the owner of the policy or the account that AWS names must allow it.",
    ),
    "not_subscribed": (
        77, "aws_denied", "Enable the service or the region for this account, or wait until its sign-up is through.",
    ),
    "not_aws": (
        77, "aws_denied",
        "This answer is not from AWS: let the proxy or firewall on the way pass requests to this host, or use a VPC endpoint.",
    ),
    "aws_answer": (
        69, "aws_answer",
        "Check that --endpoint-url names Secrets Manager, and that no proxy or portal answers in its place.",
    ),
    "aws_rejected": (77, "aws_rejected", "See AWS's own words in the reason."),
    "kms_denied": (
        77, "kms_denied",
        "Allow kms:Decrypt on the secret's key to the role in use: in the key's policy, and in the role's.",
    ),
    "kms_failed": (77, "kms_failed", "Check that the key is enabled and not pending deletion."),
    "secret_deleted": (
        77, "secret_deleted", "Restore it (aws secretsmanager restore-secret), or name another.",
    ),
    "secret_not_found": (
        77, "secret_not_found", "Check name, region and account; a name must stand without its ARN's six last characters.",
    ),
    "version_missing": (
        77, "version_missing", "Put a value into it (aws secretsmanager put-secret-value).",
    ),
    "version_unknown": (
        77, "version_unknown",
        "See aws secretsmanager list-secret-version-ids; correct --version-id or --version-stage.",
    ),
    "version_pending": (
        75, "version_pending", "Wait until the rotation has put one, or see why it did not.",
    ),
    "signature_wrong": (
        77, "signature_wrong",
        "Check the secret access key that belongs to the access key in use, and that nothing on the way rewrites requests.",
    ),
    "credentials_expired": (
        77, "credentials_expired",
        "Renew them at the source that the reason names; fresh ones were asked for there already, and none came.",
    ),
    "credentials_unknown": (
        77, "credentials_unknown",
        "Check that the key exists and is active, that it belongs to this partition, and that its session token is complete.",
    ),
    "credentials_missing": (
        77, "credentials_missing",
        "Give the ECS task a task role or the instance an instance profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    ),
    "credentials_failed": (
        77, "credentials_failed", "Repair that source, or unset its variables so that the next one is asked.",
    ),
    "token_file_missing": (
        77, "token_file_missing", "Mount the token where the variable points, or unset it.",
    ),
    "clock_skew": (75, "clock_skew", "Set it: check chrony, or the Time Sync Service at 169.254.169.123."),
    "aws_unreachable": (
        69, "aws_unreachable", "Check DNS, routes, the security group's egress to port 443 and the VPC endpoint.",
    ),
    "aws_untrusted": (
        69, "aws_untrusted", "If a proxy or a private endpoint answers here, name its CA in AWS_CA_BUNDLE.",
    ),
    "aws_dates": (
        69, "aws_untrusted",
        "Set this host's clock: check chrony, or the Time Sync Service at 169.254.169.123. If it is right, see who answers there.",
    ),
    "dns_failed": (
        69, "dns_failed",
        "Check the name, /etc/resolv.conf and the VPC's DNS support; for a VPC endpoint's name, that the endpoint exists.",
    ),
    "proxy_unreachable": (
        69, "proxy_unreachable", "Correct --proxy or HTTPS_PROXY, or add AWS to --no-proxy.",
    ),
    # ---- configuration
    "usage": (64, "usage", "See mtls-agent --help."),
    "config": (78, "config", "Correct the line or the variable named."),
    "ca_bundle": (78, "config", "Name a file of PEM certificates that this user can read: cat DIR/*.pem >FILE."),
    "region_form": (78, "region_missing", "Correct it: a region reads like eu-central-1."),
    "region_missing": (
        78, "region_missing", "Name the secret by its full ARN, or set --region or AWS_REGION.",
    ),
    "not_true_or_false": (
        78, "config", "Set it to true or false, in the environment, the file or the profile.",
    ),
    "session_name": (
        78, "config", "Shorten or correct role_session_name of the profile, or AWS_ROLE_SESSION_NAME.",
    ),
    # ---- the host
    "file_unreadable": (65, "document_invalid", "Name a file that this user can read, or - for standard input."),
    "owner_denied": (
        73, "install_failed",
        "Run it as root or with CAP_CHOWN (AmbientCapabilities=CAP_CHOWN), or leave --owner out.",
    ),
    "owner_unmapped": (
        73, "install_failed", "Name an owner that this user namespace maps (/proc/self/uid_map), or leave --owner out.",
    ),
    "dir_denied": (
        73, "install_failed", "Let the agent's user write there (chown), run it as root, or name another --dir.",
    ),
    "read_only": (
        73, "install_failed", "Mount it writable (in a task definition: readOnly false), or name another --dir.",
    ),
    "disk_full": (73, "install_failed", "Free space or inodes on that file system; the old set is in place."),
    "install_failed": (73, "install_failed", "See the reason; the old set is in place."),
    "target_invalid": (73, "target_invalid", "Correct --dir, or the owner and kind of what is there."),
    "no_identity": (76, "no_identity", "Run mtls-agent fetch first."),
    "memory_lock": (71, "memory_lock", MEMLOCK),
    "memory_full": (71, "memory_full", MEMLOCK),
    "hook_failed": (
        74, "hook_failed",
        "See what --on-change-exec wrote (event hook_output), or the PID of --on-change-signal; it is tried again, also by the next "
        "fetch.",
    ),
    # ---- enclaves
    "enclave_refused": (
        76, "enclave_refused",
        "Check that the enclave trusts the CA of client_cert and expects its common name.",
    ),
    "not_mutual": (
        76, "enclave_refused",
        "Let the enclave ask for a client certificate and demand it; or accept that it does not by --allow-not-mutual.",
    ),
    "enclave_ca": (
        76, "enclave_untrusted",
        "Put the CA that signed the enclave's certificate into ca_cert; let the enclave send its intermediates.",
    ),
    "enclave_dates": (
        76, "enclave_untrusted",
        "Renew the certificate at the enclave, or set the clock that is wrong, here or where it was issued.",
    ),
    "enclave_name": (
        76, "enclave_untrusted",
        "Let the enclave's certificate name the endpoint in its subjectAltName, or write --endpoint NAME@ADDRESS:PORT with a name that "
        "it has.",
    ),
    "enclave_chain": (
        76, "enclave_untrusted", "Let the enclave send its own certificate and its intermediates, and nothing else.",
    ),
    "enclave_certificate": (
        76, "enclave_untrusted", "Issue the enclave's certificate, or its CA's, anew; the reason says what is wrong.",
    ),
    "enclave_unreachable": (
        76, "enclave_unreachable", "Check that it runs, and the security groups for its port.",
    ),
    "enclave_plain": (
        76, "enclave_unreachable", "Let the enclave speak TLS on this port, or name the port on which it does.",
    ),
    "enclave_dns": (
        76, "enclave_unreachable", "Correct the endpoint's name, or write --endpoint NAME@ADDRESS:PORT.",
    ),
}

Row = namedtuple("Row", "make cause subject says", defaults=((),))

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls/host-AbCdEf"
ROLE = "User: arn:aws:sts::123456789012:assumed-role/host/i-0a1b2c3d4e5f67890 is not authorized to perform: "


# ---- documents: what the secret holds, of a PKI that the test makes once


class Pki:
    def __init__(self, work):
        self.work = work
        self.root = Authority("Root")
        self.pair = self.root.issue("Client")
        self.rsa = self.root.issue("Client", "rsa2048")
        self.made = {}

    @property
    def good(self):
        return document(self.pair, self.root.pem)

    def openssl(self, *arguments):
        return openssl(*arguments, cwd=self.work)

    def file(self, name, text):
        (self.work / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    def ca_of(self, key, *options, lines=("basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign")):
        """A CA by openssl, which makes what other tools do not: (its PEM, its key's file)."""
        name = f"ca{len(self.made)}"
        self.made[name] = True
        self.file("ca.cnf", "[req]\ndistinguished_name=dn\n[dn]\n[v3]\nsubjectKeyIdentifier=hash\n" + "\n".join(lines) + "\n")
        self.file(f"{name}.key", key_pem(key))
        pem = self.openssl("req", "-x509", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-days", "30",
                           "-config", "ca.cnf", "-extensions", "v3", *options)
        self.file(f"{name}.crt", pem)
        return pem, name

    def issued(self, name, *options):
        """A client by such a CA: its Pair."""
        key = new_key("p256")
        self.file("leaf.key", key_pem(key))
        self.openssl("req", "-new", "-key", "leaf.key", "-subj", "/CN=Client", "-out", "leaf.csr")
        cert = self.openssl("x509", "-req", "-in", "leaf.csr", "-CA", f"{name}.crt", "-CAkey", f"{name}.key", "-days", "30",
                            "-set_serial", "7", *options)
        return Pair(cert, key_pem(key))

    def by(self, key, *options, lines=("basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign"), sign=()):
        pem, name = self.ca_of(key, *options, lines=lines)
        return document(self.issued(name, *sign), pem)


def der(pem):
    return base64.b64decode("".join(pem.splitlines()[1:-1]))


def pem(label, data):
    body = base64.b64encode(bytes(data)).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def key(make):
    """The key alone is another."""
    return lambda some: document(Pair(some.pair.cert, make(some)), some.root.pem)


def cert(make):
    return lambda some: document(Pair(make(some), some.pair.key), some.root.pem)


def ca(make):
    return lambda some: document(some.pair, make(some))


def fields(**changes):
    """Members of a good document under other names: None leaves one out."""

    def make(some):
        given = dict(json.loads(some.good), **changes.pop("more", {}))
        return json.dumps({changes.get(name, name): value for name, value in given.items() if changes.get(name, name)})

    return make


def body(data):
    return data[_header(data)[0] :]


def pkcs8_algorithm(parameters):
    """An RSA key in PKCS#8 whose algorithm has these parameters."""

    def make(some):
        version, _, octets = list(_elements(body(der(some.rsa.key))))
        algorithm = _der(0x30, bytes.fromhex("06092a864886f70d010101") + parameters)
        return pem("PRIVATE KEY", _der(0x30, version + algorithm + octets))

    return make


def sec1(some, scalar=None, parameters=True):
    numbers = serialization.load_pem_private_key(some.pair.key.encode(), None).private_numbers()
    scalar = scalar or numbers.private_value.to_bytes(32, "big")
    named = _der(0xA0, bytes.fromhex("06082a8648ce3d030107")) if parameters else b""
    return pem("EC PRIVATE KEY", _der(0x30, b"\x02\x01\x01" + _der(0x04, scalar) + named))


def other_key(make):
    return key(lambda some: key_pem(make()))


def multi_prime(some):
    return some.openssl("genrsa", "-primes", "3", "2048")


def lifetime(start, end):
    return lambda some: document(some.root.issue("Client", lifetime=(start * DAY, end * DAY)), some.root.pem)


def authority(*arguments, issue=(), **options):
    """A CA with these properties, and a client of it."""

    def make(some):
        own = Authority("Own", *arguments, **options)
        return document(own.issue("Client", **dict(issue)), own.pem)

    return make


def below(*arguments, **options):
    """An intermediate with these properties, and a client of it."""

    def make(some):
        middle = Authority("Middle", *arguments, parent=some.root, **options)
        leaf = middle.issue("Client")
        return document(Pair(leaf.cert + middle.pem, leaf.key), some.root.pem)

    return make


def too_deep(some):
    root = Authority("Short", basic=(True, 0))
    middle = Authority("Middle", parent=root)
    leaf = middle.issue("Client")
    return document(Pair(leaf.cert + middle.pem, leaf.key), root.pem)


def unknown_extension(critical=True):
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")


def policy_constraints():
    return x509.PolicyConstraints(0, None)


def key_usage_without_sign(some):
    return some.by(new_key("p256"), lines=("basicConstraints=critical,CA:TRUE", "keyUsage=cRLSign"))


def constraint(**subtrees):
    return x509.NameConstraints(subtrees.get("permitted"), subtrees.get("excluded"))


def directory(cn):
    return x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)]))


def altered(some):
    data = bytearray(der(some.pair.cert))
    data[-10] ^= 1
    return pem("CERTIFICATE", data)


def ber_signature(some):
    """The length of its SEQUENCE in a byte more than DER has it."""
    tbs, algorithm, signature = _elements(body(der(some.pair.cert)))
    values = body(signature)[1:]
    return pem("CERTIFICATE", _der(0x30, tbs + algorithm + _der(0x03, b"\0\x30\x81" + values[1:])))


def excluded_by_another_type(some):
    """The name that is excluded, as a BMPString."""
    own = Authority("Own", more=[constraint(excluded=[directory("Client")])])
    new = new_key("p256")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CLIENT", _type=_ASN1Type.BMPString)])
    made = own._builder(name, new.public_key(), own, (-DAY, DAY)).sign(own.key, hashes.SHA256())
    return document(Pair(made.public_bytes(serialization.Encoding.PEM).decode(), key_pem(new)), own.pem)


def leaf_usage(some):
    return document(
        some.root.issue("Client", more=[x509.KeyUsage(False, False, True, False, False, False, False, False, False)]),
        some.root.pem,
    )


def server_part(some):
    server = some.root.issue("Server", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    return document(some.pair, some.root.pem, server_cert=server.cert, server_key=server.key)


def trusted(some):
    some.file("root", some.root.pem)
    return some.openssl("x509", "-in", "root", "-trustout", "-addreject", "serverAuth")


def csr(some):
    some.file("k", some.pair.key)
    return some.openssl("req", "-new", "-key", "k", "-subj", "/CN=Client")


def signed_pkcs7(some):
    return pkcs7.serialize_certificates([some.pair.certificate], serialization.Encoding.PEM).decode()


def p12(some):
    return pkcs12.serialize_key_and_certificates(
        b"x", serialization.load_pem_private_key(some.pair.key.encode(), None), some.pair.certificate, None,
        serialization.BestAvailableEncryption(b"secret"),
    )


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def encrypted(some, form=serialization.PrivateFormat.PKCS8):
    return key_pem(serialization.load_pem_private_key(some.pair.key.encode(), None), form, b"secret")


def openssh(some):
    loaded = serialization.load_pem_private_key(some.pair.key.encode(), None)
    return key_pem(loaded, serialization.PrivateFormat.OpenSSH)


def explicit(some):
    return some.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-param_enc", "explicit")


def wrong_point(some):
    data = bytearray(der(some.pair.key))
    data[data.index(b"\x04\x20") + 10] ^= 1
    return pem("PRIVATE KEY", data)


DOCUMENTS = {
    # the whole
    "empty": Row(lambda some: " ", "document_invalid", "", ["empty"]),
    "text": Row(lambda some: "hello world", "document_invalid", "", ["neither a JSON object nor PEM"]),
    "a list": Row(lambda some: f"[{some.good}]", "document_invalid", "", ["does not begin with {"]),
    "cut off": Row(lambda some: some.good[:-30], "document_invalid", "", ["not JSON"]),
    "a comma too many": Row(lambda some: some.good[:-1] + ",}", "document_invalid", "", ["not JSON"]),
    "single quotes": Row(lambda some: some.good.replace('"', "'"), "document_invalid", "", ["not JSON"]),
    "too large": Row(lambda some: some.good + " " * 66000, "document_too_large", "", ["it has 67"]),
    "a number": Row(fields(more={"client_cert": 7}), "document_invalid", "", ["client_cert is no string"]),
    "an object in a field": Row(fields(more={"ca_cert": {"a": "b"}}), "document_invalid", "", ["ca_cert is no string"]),
    "twice encoded": Row(lambda some: json.dumps(some.good), "encoded_twice", "", ["a JSON string"]),
    "escaped by hand": Row(lambda some: some.good.replace('"', '\\"'), "encoded_twice", "", ["quotation marks are escaped"]),
    "base64 of it": Row(lambda some: b64(some.good), "base64", "", ["base64", "JSON"]),
    "base64 of it in lines": Row(lambda some: base64.encodebytes(some.good.encode()).decode(), "base64", "", ["base64"]),
    "base64 of a bundle": Row(lambda some: b64(some.pair.cert + some.pair.key), "base64", "", ["base64", "PEM"]),
    "UTF-16": Row(lambda some: some.good.encode("utf-16"), "utf16", "", ["UTF-16"]),
    "UTF-16 without a mark": Row(lambda some: some.good.encode("utf-16-le"), "utf16", "", ["UTF-16"]),
    "UTF-16, big end first": Row(lambda some: b"\xfe\xff" + some.good.encode("utf-16-be"), "utf16", "", ["UTF-16"]),
    "PKCS#12": Row(p12, "binary", "", ["DER or PKCS#12"]),
    "a certificate in DER": Row(lambda some: der(some.pair.cert), "binary", "", ["DER or PKCS#12"]),
    "base64 of PKCS#12": Row(lambda some: b64(p12(some)), "binary", "", ["DER or PKCS#12"]),
    # fields
    "no key": Row(fields(client_key=None), "field_missing", "", ["client_key is missing", "looked for client_key"]),
    "null": Row(fields(more={"client_key": None}), "field_missing", "", ["client_key is missing"]),
    "the console's empty text": Row(fields(more={"ca_cert": ""}), "field_missing", "", ["ca_cert is missing"]),
    "nothing known": Row(lambda some: '{"user": "a", "pass": "b"}', "field_missing", "", ["found user, pass"]),
    "ACM": Row(
        fields(client_cert="Certificate", client_key="PrivateKey", ca_cert="CertificateChain"), "issuer_is_no_ca", "",
        ["ca_cert is missing", "CertificateChain"],
    ),
    "Vault": Row(
        fields(client_cert="certificate", client_key="private_key", ca_cert="issuing_ca"), "issuer_is_no_ca", "",
        ["ca_cert is missing", "issuing_ca"],
    ),
    "Vault's whole answer": Row(
        lambda some: json.dumps({"request_id": "x", "data": json.loads(some.good)}), "field_missing", "",
        ["found request_id, data"],
    ),
    "cert-manager's": Row(
        fields(client_cert="tls.crt", client_key="tls.key", ca_cert="ca-bundle.pem"), "field_missing", "", ["found ca-bundle.pem"],
    ),
    "two names": Row(fields(more={"private_key": "x"}), "field_repeated", "", ["client_key and private_key"]),
    "two spellings": Row(fields(more={"CLIENT_KEY": "x"}), "field_repeated", "", ["client_key"]),
    "twice": Row(lambda some: some.good[:-1] + ', "client_key": "x"}', "field_repeated", "", ["client_key stands in it twice"]),
    # PEM
    "a key in client_cert": Row(cert(lambda some: some.pair.key), "wrong_field", "client_cert of", ["private key"]),
    "a certificate in client_key": Row(key(lambda some: some.pair.cert), "wrong_field", "client_key of", ["CERTIFICATE"]),
    "a public key in client_key": Row(
        key(lambda some: pem("PUBLIC KEY", b"0")), "wrong_field", "client_key of", ["PUBLIC KEY"]),
    "a key beside ca_cert": Row(ca(lambda some: some.root.pem + some.pair.key), "wrong_field", "ca_cert of", ["private key"]),
    "a request": Row(cert(csr), "certificate_request", "client_cert of", ["CERTIFICATE REQUEST"]),
    "PKCS#7": Row(cert(signed_pkcs7), "pkcs7", "client_cert of", ["PKCS7"]),
    "base64 of the certificate": Row(cert(lambda some: b64(some.pair.cert)), "base64", "client_cert of", ["base64", "PEM"]),
    "base64 of the key": Row(key(lambda some: b64(some.pair.key)), "base64", "client_key of", ["base64", "PEM"]),
    "base64 of the CA": Row(ca(lambda some: b64(some.root.pem)), "base64", "ca_cert of", ["base64", "PEM"]),
    "bare base64 of DER": Row(cert(lambda some: b64(der(some.pair.cert))), "binary", "client_cert of", ["DER"]),
    "a file's name": Row(cert(lambda some: "/etc/pki/client.crt"), "pem_invalid", "client_cert of", ["no PEM block"]),
    "cut short": Row(key(lambda some: some.pair.key[:120]), "pem_invalid", "client_key of", ["PRIVATE KEY", "damaged"]),
    "other letters": Row(cert(lambda some: some.pair.cert.replace("A", "*")), "pem_invalid", "client_cert of", ["damaged"]),
    # keys
    "under a password": Row(key(encrypted), "key_encrypted", "client_key of", ["password"]),
    "under an old password": Row(
        key(lambda some: encrypted(some, serialization.PrivateFormat.TraditionalOpenSSL)), "key_encrypted", "client_key of"),
    "OpenSSH": Row(key(openssh), "key_openssh", "client_key of", ["OpenSSH"]),
    "explicit parameters": Row(key(explicit), "key_form", "client_key of", ["explicit parameters"]),
    "SEC1 without its curve": Row(
        key(lambda some: sec1(some, parameters=False)), "key_form", "client_key of", ["curve is not named"]),
    "Ed25519": Row(other_key(lambda: new_key("ed25519")), "key_unsupported", "client_key of", ["Ed25519"]),
    "Ed448": Row(other_key(ed448.Ed448PrivateKey.generate), "key_unsupported", "client_key of", ["Ed448"]),
    "X25519": Row(other_key(x25519.X25519PrivateKey.generate), "key_unsupported", "client_key of", ["X25519"]),
    "DSA": Row(other_key(lambda: dsa.generate_private_key(1024)), "key_unsupported", "client_key of", ["DSA"]),
    "P-521": Row(other_key(lambda: new_key("p521")), "key_unsupported", "client_key of", ["secp521r1"]),
    "secp256k1": Row(
        other_key(lambda: ec.generate_private_key(ec.SECP256K1())), "key_unsupported", "client_key of", ["secp256k1"]),
    "brainpool": Row(
        other_key(lambda: ec.generate_private_key(ec.BrainpoolP256R1())), "key_unsupported", "client_key of", ["brainpoolP256r1"]),
    "RSA 1024": Row(other_key(lambda: new_key("rsa1024")), "key_unsupported", "client_key of", ["RSA 1024"]),
    "three primes": Row(key(multi_prime), "key_unsupported", "client_key of", ["two primes"]),
    "RSA for PSS alone": Row(
        key(lambda some: some.openssl("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048")), "key_unsupported",
        "client_key of", ["RSASSA-PSS"],
    ),
    "strange parameters": Row(
        key(pkcs8_algorithm(b"\x02\x01\x07")), "key_invalid", "client_key of", ["parameters"]),
    "a wrong point": Row(key(wrong_point), "key_invalid", "client_key of", ["point"]),
    "no DER": Row(key(lambda some: pem("PRIVATE KEY", b"hello")), "key_invalid", "client_key of", ["not DER"]),
    "two keys": Row(key(lambda some: some.pair.key + some.rsa.key), "keys_several", "client_key of", ["more than one"]),
    "another key": Row(other_key(lambda: new_key("p256")), "key_mismatch", "client_cert of", ["no certificate in it"]),
    # the leaf
    "for servers": Row(
        lambda some: document(some.root.issue("Client", usage=ExtendedKeyUsageOID.SERVER_AUTH), some.root.pem), "leaf_purpose",
        "client_cert of", ["no clientAuth"],
    ),
    "for encryption": Row(leaf_usage, "leaf_purpose", "client_cert of", ["no digitalSignature"]),
    "a server's for clients": Row(server_part, "leaf_purpose", "server_cert of", ["no serverAuth"]),
    "expired": Row(lifetime(-3, -1), "certificate_expired", "client_cert of", ['"CN=Client" expired']),
    "not begun": Row(lifetime(1, 3), "certificate_not_yet_valid", "client_cert of", ['"CN=Client" is valid from']),
    "trust settings": Row(ca(trusted), "trust_settings", "ca_cert of", ["trust settings"]),
    "certificate of other bytes": Row(
        cert(lambda some: pem("CERTIFICATE", b"hello")), "certificate_invalid", "client_cert of", ["not a certificate in DER"]),
    "eleven and more": Row(
        lambda some: document(Pair(some.pair.cert + "".join(Authority(f"A{n}").pem for n in range(12)), some.pair.key), some.root.pem),
        "certificates_many", "client_cert of", ["more than"],
    ),
    # the chain
    "altered": Row(cert(altered), "certificate_altered", "client_cert of", ["was not signed by the key of"]),
    "a signature in BER": Row(cert(ber_signature), "certificate_altered", "client_cert of", ["was not signed"]),
    "signed by Ed25519": Row(
        lambda some: some.by(new_key("ed25519")), "signature_unsupported", "client_cert of", ["Ed25519"]),
    "signed by PSS of another salt": Row(
        lambda some: some.by(
            new_key("rsa2048"), sign=("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:20")),
        "signature_unsupported", "client_cert of", ["RSASSA-PSS"],
    ),
    "signed with SHA-1": Row(
        lambda some: some.by(new_key("p256"), sign=("-sha1",)), "signature_unsupported", "client_cert of", ["SHA-1"]),
    "signed with SHA-224": Row(
        lambda some: some.by(new_key("rsa2048"), sign=("-sha224",)), "signature_unsupported", "client_cert of", ["SHA-224"]),
    "a CA of RSA 1024": Row(authority("rsa1024"), "ca_key", "ca_cert of", ["RSA 1024"]),
    "an intermediate of RSA 1024": Row(below("rsa1024"), "ca_key", "client_cert of", ["RSA 1024"]),
    "a CA of secp256k1": Row(
        lambda some: some.by(ec.generate_private_key(ec.SECP256K1())), "ca_key", "ca_cert of", ["another curve"]),
    "an excluded name": Row(
        authority(more=[constraint(excluded=[directory("Client")])]), "name_constraints", "ca_cert of", ["exclude"]),
    "an excluded name of another type": Row(excluded_by_another_type, "name_constraints", "ca_cert of", ["exclude"]),
    "a name that is not permitted": Row(
        authority(more=[constraint(permitted=[directory("Other")])]), "name_constraints", "ca_cert of", ["do not permit"]),
    "an intermediate's constraint": Row(
        below(more=[constraint(permitted=[directory("Other")])]), "name_constraints", "client_cert of", ["do not permit"]),
    "path length": Row(too_deep, "path_length", "ca_cert of", ["pathLenConstraint"]),
    "a CA with an unknown extension": Row(
        authority(more=[unknown_extension()]), "critical_extension", "ca_cert of", ["critical extension", "1.2.3.4.5"]),
    "an intermediate with one": Row(
        below(more=[unknown_extension()]), "critical_extension", "client_cert of", ["critical extension"]),
    "a leaf with one": Row(
        authority(issue={"more": [unknown_extension()]}), "critical_extension", "client_cert of", ["critical extension"]),
    "policyConstraints": Row(
        authority(more=[policy_constraints()]), "critical_extension", "ca_cert of", ["policyConstraints"]),
    "no basicConstraints": Row(
        lambda some: some.by(new_key("p256"), lines=("keyUsage=keyCertSign",)), "not_a_ca", "ca_cert of", ["is no CA"]),
    "CA:FALSE": Row(authority(basic=(False, None)), "not_a_ca", "ca_cert of", ["is no CA"]),
    "an intermediate that is none": Row(below(basic=(False, None)), "not_a_ca", "client_cert of", ["is no CA"]),
    "no keyCertSign": Row(key_usage_without_sign, "ca_usage", "ca_cert of", ["keyCertSign"]),
    "a CA for servers": Row(
        authority(more=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])]), "ca_usage", "ca_cert of", ["no clientAuth"]),
    "an expired CA": Row(authority(lifetime=(-3 * DAY, -DAY)), "ca_expired", "ca_cert of", ['"CN=Own" expired']),
    "an expired intermediate": Row(below(lifetime=(-3 * DAY, -DAY)), "ca_expired", "client_cert of", ['"CN=Middle" expired']),
    "a CA that has not begun": Row(
        authority(lifetime=(DAY, 3 * DAY)), "certificate_not_yet_valid", "ca_cert of", ['"CN=Own" is valid from']),
}

# What other tools read is read: these are installed.
ACCEPTED = {
    "PKCS#8 of RSA without NULL": lambda some: document(
        Pair(some.rsa.cert, pkcs8_algorithm(b"")(some)), some.root.pem),
    "a scalar with zeros before it": lambda some: document(
        Pair(some.pair.cert, sec1(some, b"\0\0" + serialization.load_pem_private_key(
            some.pair.key.encode(), None).private_numbers().private_value.to_bytes(32, "big"))), some.root.pem),
    "PKCS#8 of version 2": lambda some: document(
        Pair(some.pair.cert, pem("PRIVATE KEY", _der(0x30, b"\x02\x01\x01" + b"".join(list(_elements(body(der(some.pair.key))))[1:])
             + _der(0x81, b"\0" + some.pair.certificate.public_key().public_bytes(
                 serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint))))), some.root.pem),
    "CLIENT_CERT": fields(client_cert="CLIENT_CERT", client_key="CLIENT_KEY", ca_cert="CA_CERT"),
    "clientCert": fields(client_cert="clientCert", client_key="clientKey", ca_cert="caCert"),
    "client-cert": fields(client_cert="client-cert", client_key="client-key", ca_cert="ca-cert"),
    "ACM with a CA": fields(client_cert="Certificate", client_key="PrivateKey"),
    "Vault with a CA": fields(client_cert="certificate", client_key="private_key", more={"issuing_ca": "x", "ca_chain": ["y"]}),
    "null beside": fields(more={"server_cert": None, "server_key": "", "cert": "", "private_key": None}),
}


# ---- what AWS answers


def no_value(what):
    return aws_error(400, "ResourceNotFoundException", f"Secrets Manager can't find the specified secret value for {what}")


def denied(words):
    return aws_error(400, "AccessDeniedException", f"{ROLE}secretsmanager:GetSecretValue on resource: {ARN} {words}")


def page(status, text):
    return Answer(status, text.encode())


ANSWERS = {
    "no policy of the role's": Row(
        denied("because no identity-based policy allows the secretsmanager:GetSecretValue action"), "aws_denied", ARN,
        [f'"Action":"secretsmanager:GetSecretValue","Resource":"{ARN}"', "the role's own policies"],
    ),
    "the secret's policy": Row(
        denied("because no resource-based policy allows the secretsmanager:GetSecretValue action"), "aws_denied", ARN,
        ["the secret's own policy"],
    ),
    "the boundary": Row(
        denied("because no permissions boundary allows the secretsmanager:GetSecretValue action"), "aws_denied", ARN,
        ["the role's permissions boundary"],
    ),
    "an endpoint's policy": Row(
        denied("because no VPC endpoint policy allows the secretsmanager:GetSecretValue action"), "policy_of_others", ARN,
        ["the VPC endpoint's policy"],
    ),
    "an organisation's policy": Row(
        denied("because no service control policy allows the secretsmanager:GetSecretValue action"), "policy_of_others", ARN,
        ["a service control policy"],
    ),
    "an explicit deny": Row(
        denied("with an explicit deny in a service control policy"), "aws_denied_explicitly", ARN, ["a service control policy"]),
    "an explicit deny of the secret's": Row(
        denied("with an explicit deny in a resource-based policy"), "aws_denied_explicitly", ARN, ["the secret's own policy"]),
    "not subscribed": Row(
        aws_error(400, "OptInRequired", "You are not subscribed to this service"), "not_subscribed", ARN, ["OptInRequired"]),
    "a filter's page": Row(
        page(403, "<!DOCTYPE html><html><head><title>Web filter: blocked</title></head></html>"), "not_aws", ARN,
        ["Web filter: blocked"],
    ),
    "a filter's page by 401": Row(page(401, "<html><title>Sign in</title></html>"), "not_aws", ARN, ["Sign in"]),
    "a filter's text": Row(page(403, "Egress to this host is not allowed."), "not_aws", ARN, ["Egress to this host"]),
    "a filter's JSON": Row(page(403, '{"error": "blocked by rule 7"}'), "not_aws", ARN, ["blocked by rule 7"]),
    "a filter's silence": Row(page(403, ""), "not_aws", ARN, ["403"]),
    "a portal": Row(page(200, "<html><title>Sign in to Wi-Fi</title></html>"), "aws_answer", ARN, ["Sign in to Wi-Fi"]),
    "no key": Row(aws_error(400, "AccessDeniedException", "Access to KMS is not allowed"), "kms_denied", ARN, ["kms:Decrypt"]),
    "no key, with its name": Row(
        aws_error(400, "AccessDeniedException", f"{ROLE}kms:Decrypt on the KMS key arn:aws:kms:eu-central-1:1:key/k"), "kms_denied",
        ARN, ["kms:Decrypt"],
    ),
    "a key that is disabled": Row(
        aws_error(400, "DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the provided KMS key."),
        "kms_failed", ARN, ["KMS key"],
    ),
    "deleted": Row(
        aws_error(400, "InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion."),
        "secret_deleted", ARN, ["marked for deletion"],
    ),
    "not there": Row(
        aws_error(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret."), "secret_not_found", ARN,
        ["in eu-central-1", "made anew by the same name has another ARN"],
    ),
    "no current version": Row(no_value("staging label: AWSCURRENT"), "version_missing", ARN, ["AWSCURRENT"]),
    "no previous version": Row(no_value("staging label: AWSPREVIOUS"), "version_unknown", ARN, ["AWSPREVIOUS"]),
    "no pending version": Row(no_value("staging label: AWSPENDING"), "version_pending", ARN, ["AWSPENDING"]),
    "no such version": Row(no_value("VersionId: 11111111-2222"), "version_unknown", ARN, ["11111111-2222"]),
    "a signature": Row(
        aws_error(400, "InvalidSignatureException", "The request signature we calculated does not match"), "signature_wrong", ARN,
        ["credentials of environment"],
    ),
    "an expired token": Row(
        aws_error(400, "ExpiredTokenException", "The security token included in the request is expired"), "credentials_expired", ARN,
        ["credentials of environment"],
    ),
    "an unknown key": Row(
        aws_error(400, "UnrecognizedClientException", "The security token included in the request is invalid."), "credentials_unknown",
        ARN, ["credentials of environment"],
    ),
    "a clock": Row(
        aws_error(400, "InvalidSignatureException", "Signature expired: 20200101T000000Z is now earlier than", Date="today"),
        "clock_skew", ARN, ["Signature expired"],
    ),
    "something new": Row(aws_error(400, "ValidationException", "Invalid name."), "aws_rejected", ARN, ["ValidationException"]),
}
