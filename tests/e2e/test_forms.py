# SPDX-License-Identifier: Apache-2.0
"""
Secrets as people and programs write them. Whatever is accepted is installed in one canonical form, which OpenSSL, Python,
Node and Go load.
"""

import json
import re
import textwrap

import pytest
from cryptography.hazmat.primitives import serialization

from servers.loaders import LOADERS
from servers.pki import Authority, Pair, document, key_pem, openssl

PKCS8 = serialization.PrivateFormat.PKCS8
TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL
BLOCK = r"-----BEGIN {0}-----\n(?:[A-Za-z0-9+/]{{64}}\n)*[A-Za-z0-9+/]{{1,64}}={{0,2}}\n-----END {0}-----\n"


class Pki:
    """A root, an intermediate below it, another root, and a client of the intermediate for each kind of key."""

    def __init__(self):
        self.root = Authority("Root")
        self.middle = Authority("Middle", parent=self.root)
        self.other = Authority("Other")
        self.leaf = {
            kind: self.middle.issue("ECS-Client", kind) for kind in ("p256", "p384", "rsa2048", "rsa4096")
        }


@pytest.fixture(scope="module")
def some():
    return Pki()


def edit(cert=None, key=None, ca=None, kind="p256"):
    """A document whose values are edited; each gets the whole PKI and the leaf's pair."""

    def make(some):
        pair = some.leaf[kind]
        return json.dumps(
            {
                "client_cert": cert(some, pair) if cert else pair.cert + some.middle.pem,
                "client_key": key(pair.key) if key else pair.key,
                "ca_cert": ca(some) if ca else some.root.pem,
            }
        )

    return make


def all_values(change, kind="p256"):
    return edit(
        lambda some, pair: change(pair.cert + some.middle.pem),
        change,
        lambda some: change(some.root.pem),
        kind,
    )


def named(cert, key, ca):
    return lambda some: json.dumps(
        {cert: some.leaf["p256"].cert + some.middle.pem, key: some.leaf["p256"].key, ca: some.root.pem}
    )


def spire(some):
    """As SPIRE's aws_secretsmanager store writes it."""
    fields = json.loads(named("x509Svid", "x509SvidKey", "bundle")(some))
    return json.dumps({"spiffeId": "spiffe://example.org/ecs", **fields, "federatedBundles": {}})


def converted(form):
    return lambda key: key_pem(serialization.load_pem_private_key(key.encode(), None), form)


def with_parameters(key):
    """As `openssl ecparam -genkey` writes it."""
    point = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    return point + converted(TRADITIONAL)(key)


def one_line(text):
    """All of a block's base64 on one line."""
    lines = (
        text.replace("-----\n", "-----|").replace("\n-----", "|-----").replace("\n", "").replace("|", "\n")
    )
    return lines.replace("----------", "-----\n-----") + "\n"


def short_lines(text):
    return "".join(
        line if line.startswith("-") else "\n".join(textwrap.wrap(line, 40)) + "\n"
        for line in text.splitlines(keepends=True)
    )


def bag_attributes(text):
    """As `openssl pkcs12` writes it."""
    return text.replace("-----BEGIN", "Bag Attributes\n    localKeyID: 01 02\nsubject=CN = x\n-----BEGIN")


FORMS = {
    "as documented": edit(),
    "a chain of the leaf alone, with the intermediate in ca_cert": edit(
        lambda some, pair: pair.cert, ca=lambda some: some.middle.pem + some.root.pem
    ),
    "the leaf last": edit(lambda some, pair: some.middle.pem + pair.cert),
    "the CA appended": edit(lambda some, pair: pair.cert + some.middle.pem + some.root.pem),
    "the CA first": edit(lambda some, pair: some.root.pem + some.middle.pem + pair.cert),
    "a certificate twice": edit(lambda some, pair: pair.cert + some.middle.pem + pair.cert),
    "a stranger in the chain": edit(lambda some, pair: some.other.pem + pair.cert + some.middle.pem),
    "several anchors": edit(ca=lambda some: some.other.pem + some.root.pem + some.middle.pem),
    "an anchor twice": edit(ca=lambda some: some.root.pem * 2),
    "CRLF": all_values(lambda text: text.replace("\n", "\r\n")),
    "CR": all_values(lambda text: text.replace("\n", "\r")),
    "escaped newlines": all_values(lambda text: text.replace("\n", "\\n")),
    "escaped CRLF": all_values(lambda text: text.replace("\n", "\\r\\n")),
    "no final newline": all_values(str.strip),
    "blank lines around": all_values(lambda text: f"\n\n  {text}\n\n"),
    "white space at line ends": all_values(lambda text: text.replace("\n", "  \t\n")),
    "indented": all_values(lambda text: textwrap.indent(text, "    ")),
    "text around": all_values(lambda text: f"Certificate:\n    Data: 1\n{text}the end"),
    "bag attributes": all_values(bag_attributes),
    "one line": all_values(one_line),
    "short lines": all_values(short_lines),
    "PKCS#1": edit(key=converted(TRADITIONAL), kind="rsa2048"),
    "PKCS#8 of RSA": edit(kind="rsa2048"),
    "RSA 4096": edit(kind="rsa4096"),
    "SEC1": edit(key=converted(TRADITIONAL)),
    "SEC1 with its parameters": edit(key=with_parameters),
    "P-384": edit(kind="p384"),
    "SEC1 of P-384": edit(key=converted(TRADITIONAL), kind="p384"),
    "SPIRE's SVIDStore": spire,
    "Kubernetes' names": named("tls.crt", "tls.key", "ca.crt"),
    "other names": named("certificate", "private_key", "ca_certificate"),
    "short names": named("cert", "key", "ca"),
    "bare PEM": lambda some: some.leaf["p256"].cert + some.middle.pem + some.root.pem + some.leaf["p256"].key,
    "bare PEM, key first": lambda some: some.leaf["p256"].key
    + some.root.pem
    + some.middle.pem
    + some.leaf["p256"].cert,
    "bare PEM with CRLF": lambda some: (
        some.leaf["p256"].cert + some.middle.pem + some.leaf["p256"].key + some.root.pem
    ).replace("\n", "\r\n"),
    "a byte order mark": lambda some: "\ufeff" + edit()(some),
}


@pytest.mark.parametrize("form", FORMS)
def test_accepted_forms_load_everywhere(agent, put, some, form):
    agent.fetch(put(FORMS[form](some))).succeeded("installed")
    cert, key, ca = (agent.file(name) for name in ("client.crt", "client.key", "ca.crt"))
    assert re.fullmatch(f"({BLOCK.format('CERTIFICATE')})+", cert)
    assert re.fullmatch(f"({BLOCK.format('CERTIFICATE')})+", ca)
    assert re.fullmatch(BLOCK.format("PRIVATE KEY"), key)
    leaf = next(pair for pair in some.leaf.values() if pair.key == key)
    assert cert.startswith(leaf.cert)
    for load in LOADERS.values():
        load(agent.dir)


def test_every_form_of_one_identity_gives_the_same_files(agent, put, some):
    same = ["CRLF", "escaped newlines", "SEC1", "the leaf last", "Kubernetes' names", "bare PEM", "one line"]
    installed = set()
    for form in same:
        agent.fetch(put(FORMS[form](some))).succeeded()
        installed.add(tuple(agent.file(name) for name in ("client.crt", "client.key", "ca.crt")))
    assert len(installed) == 1


@pytest.mark.parametrize("curve,name", [("P-521", "secp521r1"), ("secp256k1", "secp256k1")])
def test_other_curves_are_refused_by_name(agent, put, some, tmp_path, curve, name):
    openssl(
        "genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", "key", cwd=tmp_path
    )
    pair = Pair(some.leaf["p256"].cert, (tmp_path / "key").read_text())
    assert name in agent.fetch(put(document(pair, some.root.pem))).failed(65, "key_unsupported")["reason"]


def test_the_programs_refuse_what_is_damaged(agent, put, good, some):
    """What shows that they look."""
    agent.fetch(put(good)).succeeded("installed")
    for load in LOADERS.values():
        load(agent.dir)
    (agent.dir / "client.key").unlink()
    (agent.dir / "client.key").write_text(some.leaf["p256"].key)
    for load in LOADERS.values():
        with pytest.raises(Exception):
            load(agent.dir)


# ---- other labels of certificates


def test_a_certificate_of_old_openssl(agent, put, some):
    leaf = some.root.issue("ECS-Client")
    old = some.root.pem.replace("CERTIFICATE", "X509 CERTIFICATE")
    agent.fetch(put(document(leaf, some.other.pem + old))).succeeded("installed")
    assert agent.file("ca.crt") == some.other.pem + some.root.pem


def test_a_trusted_certificate(agent, tmp_path, put, some):
    """OpenSSL's own form. What it says about trust cannot be installed, and does not vanish either."""
    leaf = some.root.issue("ECS-Client")
    (tmp_path / "root").write_text(some.root.pem)
    trusted = ["x509", "-in", "root", "-trustout"]
    plain = openssl(*trusted, cwd=tmp_path)
    limited = openssl(*trusted, "-addreject", "serverAuth", cwd=tmp_path)
    assert "TRUSTED" in plain and "TRUSTED" in limited
    agent.fetch(put(document(leaf, plain))).succeeded("installed")
    assert agent.file("ca.crt") == some.root.pem
    error = agent.fetch(put(document(leaf, some.root.pem + limited))).failed(65, "certificate_invalid")
    assert "trust settings" in error["reason"]
