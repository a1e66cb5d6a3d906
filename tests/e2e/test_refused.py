# SPDX-License-Identifier: Apache-2.0
"""Identities that must never be installed: exit 65, the reason said, and nothing touched."""

import base64
import datetime
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from agent import snapshot
from servers.http import Answer
from servers.pki import DAY, Authority, Pair, document, key_pem, new_key


def without(field):
    def make(pair, ca, **_):
        fields = json.loads(document(pair, ca))
        del fields[field]
        return json.dumps(fields)

    return make


def with_key(make_key):
    return lambda pair, ca, **_: document(Pair(pair.cert, make_key(pair)), ca)


def with_cert(make_cert):
    return lambda pair, ca, **_: document(Pair(make_cert(pair), pair.key), ca)


def encrypted(pair):
    return key_pem(serialization.load_pem_private_key(pair.key.encode(), None), password=b"secret")


def encrypted_by_header(pair):
    key = serialization.load_pem_private_key(pair.key.encode(), None)
    return key_pem(key, serialization.PrivateFormat.TraditionalOpenSSL, b"secret")


def der(pem):
    return bytearray(base64.b64decode("".join(pem.splitlines()[1:-1])))


def pem(label, data):
    body = base64.encodebytes(bytes(data)).decode().replace("\n", "")
    lines = "\n".join(body[i : i + 64] for i in range(0, len(body), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def flipped_key(pair):
    """One bit of the scalar is wrong: the public point beside it no longer fits."""
    data = der(pair.key)
    data[data.index(b"\x04\x20") + 10] ^= 1
    return pem("PRIVATE KEY", data)


def flipped_cert(pair):
    data = der(pair.cert)
    data[-10] ^= 1
    return pem("CERTIFICATE", data)


def rsa_with_a_wrong_crt_value(authority, **_):
    """openssl would sign with it, and the wrong signature would give the key away."""
    pair = authority.issue("ECS-Client", "rsa2048")
    numbers = serialization.load_pem_private_key(pair.key.encode(), None).private_numbers()
    damaged = numbers.dmp1 + 2
    data = der(key_pem(numbers.private_key()))
    good = numbers.dmp1.to_bytes((numbers.dmp1.bit_length() + 7) // 8, "big")
    at = bytes(data).index(good)
    data[at : at + len(good)] = damaged.to_bytes(len(good), "big")
    return document(Pair(pair.cert, pem("PRIVATE KEY", data)), authority.pem)


def lifetime(start, end):
    return lambda authority, **_: document(
        authority.issue("ECS-Client", lifetime=(start * DAY, end * DAY)), authority.pem
    )


def usage(purpose):
    return lambda authority, **_: document(authority.issue("ECS-Client", usage=purpose), authority.pem)


def key_of(kind):
    return lambda authority, **_: document(authority.issue("ECS-Client", kind), authority.pem)


REFUSED = {
    "key encrypted": (with_key(encrypted), "key_encrypted"),
    "key encrypted by a header": (with_key(encrypted_by_header), "key_encrypted"),
    "no certificate": (without("client_cert"), "field_missing"),
    "no key": (without("client_key"), "field_missing"),
    "no CA": (without("ca_cert"), "field_missing"),
    "empty value": (lambda pair, ca, **_: document(Pair(pair.cert, ""), ca), "field_missing"),
    "another key": (with_key(lambda _: key_pem(new_key("p256"))), "key_mismatch"),
    "key of another kind": (with_key(lambda _: key_pem(new_key("rsa2048"))), "key_mismatch"),
    "damaged key": (with_key(flipped_key), "key_invalid"),
    "wrong CRT value": (rsa_with_a_wrong_crt_value, "key_invalid"),
    "key cut short": (with_key(lambda pair: pair.key[:120]), "pem_invalid"),
    "key is no base64": (with_key(lambda pair: pair.key.replace("A", "*")), "pem_invalid"),
    "unsupported curve": (key_of("p521"), "key_unsupported"),
    "key too small": (key_of("rsa1024"), "key_unsupported"),
    "expired": (lifetime(-3, -1), "certificate_expired"),
    "certificate cut short": (with_cert(lambda pair: pair.cert[:200]), "pem_invalid"),
    "signature damaged": (with_cert(flipped_cert), "chain_invalid"),
    "for servers only": (usage(ExtendedKeyUsageOID.SERVER_AUTH), "certificate_invalid"),
    "no JSON": (lambda **_: '{"client_cert":', "document_invalid"),
    "a JSON list": (lambda **_: "[]", "document_invalid"),
    "value is a number": (lambda pair, ca, **_: document(pair, ca, client_key=1), "document_invalid"),
    "two names of one field": (
        lambda pair, ca, **_: document(pair, ca, private_key=pair.key),
        "field_repeated",
    ),
    "a field twice": (
        lambda pair, ca, **_: document(pair, ca)[:-1] + ', "client_key": "x"}',
        "field_repeated",
    ),
    "NUL in a value": (
        lambda pair, ca, **_: document(Pair(pair.cert, pair.key + "\0"), ca),
        "document_invalid",
    ),
    "a list around it": (lambda pair, ca, **_: f"[{document(pair, ca)}]", "document_invalid"),
    "a comment before it": (lambda pair, ca, **_: f"// mine\n{document(pair, ca)}", "document_invalid"),
    "a zero-width space before it": (lambda pair, ca, **_: f"\u200b{document(pair, ca)}", "document_invalid"),
    "plain text": (lambda **_: "hello", "document_invalid"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(agent, put, authority, pair, good, case):
    make, code = REFUSED[case]
    value = make(pair=pair, ca=authority.pem, authority=authority)
    arn = put(value)
    error = agent.fetch(arn).failed(65, code)
    assert arn in error["subject"] and error["reason"] and error["remedy"]
    assert snapshot(agent.dir) is None

    kept = put(good)
    agent.fetch(kept).succeeded("installed")
    before = snapshot(agent.dir)
    agent.fetch(arn).failed(65, code)
    assert snapshot(agent.dir) == before


def test_an_issuer_that_is_not_in_ca_is_a_warning(agent, put, rogue, authority):
    """ca_cert is there to verify the enclave; the CA of clients may be another."""
    warning = agent.fetch(put(document(rogue, authority.pem))).succeeded("installed").event("chain_not_in_ca")
    assert warning["level"] == "warning"


def test_and_an_error_when_told(agent, put, rogue, authority):
    agent.fetch(put(document(rogue, authority.pem)), "--client-chain=require").failed(65, "chain_not_in_ca")
    assert snapshot(agent.dir) is None


def test_another_ca_of_the_same_name_is_another_ca(agent, put, authority):
    foreign = put(document(Authority("Enclave-CA").issue("ECS-Client"), authority.pem))
    agent.fetch(foreign, "--client-chain=require").failed(65, "chain_not_in_ca")
    assert snapshot(agent.dir) is None
    agent.fetch(foreign).succeeded("installed").event("chain_not_in_ca")


def test_an_expired_twin_of_an_intermediate_is_passed_over(agent, put, authority):
    """It has the good one's name and key, and stands before it."""
    middle = Authority("Middle", parent=authority)
    leaf = middle.issue("ECS-Client")
    expired = Authority("Middle", parent=authority, lifetime=(-2 * DAY, -DAY), key=middle.key)
    chain = Pair(leaf.cert + expired.pem + middle.pem, leaf.key)
    agent.fetch(put(document(chain, authority.pem)), "--client-chain=require").succeeded("installed")
    assert agent.file("client.crt") == leaf.cert + middle.pem + expired.pem


@pytest.mark.parametrize("other", ["an expired leaf", "a CA"])
def test_of_one_key_the_good_leaf_is_taken(agent, put, authority, other):
    leaf = authority.issue("ECS-Client")
    key = serialization.load_pem_private_key(leaf.key.encode(), None)
    if other == "a CA":
        first = Authority("Some-CA", key=key).pem
    else:
        first = authority.issue("ECS-Client", lifetime=(-3 * DAY, -DAY), key=key).cert
    agent.fetch(put(document(Pair(first + leaf.cert, leaf.key), authority.pem))).succeeded("installed")
    assert agent.file("client.crt") == leaf.cert + first


def test_a_file_of_authorities_beside_an_identity(agent, put, authority):
    """An authority of it that is no root is trusted as well, and belongs to no chain."""
    middle = Authority("Middle", parent=authority)
    leaf = middle.issue("ECS-Client")
    agent.fetch([put(leaf.cert + leaf.key), put(middle.pem + authority.pem)]).succeeded("installed")
    assert (agent.file("client.crt"), agent.file("ca.crt")) == (leaf.cert, middle.pem + authority.pem)


def test_not_yet_valid_is_a_matter_of_clocks(agent, put, authority):
    """The host may be waiting for its time: tried again until the deadline, then exit 75."""
    future = document(authority.issue("ECS-Client", lifetime=(DAY, 2 * DAY)), authority.pem)
    result = agent.fetch(put(future), deadline="4s")
    result.failed(75, "certificate_not_yet_valid")
    assert 1.5 < result.seconds < 60
    assert snapshot(agent.dir) is None


def test_one_that_begins_in_four_minutes_is_not_valid_now(agent, put, authority):
    """No enclave would take it."""
    soon = authority.issue("ECS-Client", lifetime=(datetime.timedelta(minutes=4), DAY))
    agent.fetch(put(document(soon, authority.pem)), deadline="4s").failed(75, "certificate_not_yet_valid")
    assert snapshot(agent.dir) is None


def test_one_that_begins_before_the_deadline_is_waited_for(agent, put, authority):
    soon = authority.issue("ECS-Client", lifetime=(datetime.timedelta(seconds=5), DAY))
    result = agent.fetch(put(document(soon, authority.pem)), deadline="60s").succeeded("installed")
    assert result.all("clock_wait")
    assert datetime.datetime.now(datetime.timezone.utc) >= soon.certificate.not_valid_before_utc


def test_an_intermediate_makes_the_chain(agent, put, authority):
    middle = Authority("Middle", parent=authority)
    leaf = middle.issue("ECS-Client")
    chain = Pair(leaf.cert + middle.pem, leaf.key)
    result = agent.fetch(put(document(chain, authority.pem)), "--client-chain=require").succeeded("installed")
    assert not result.all("chain_not_in_ca")
    assert agent.file("client.crt") == leaf.cert + middle.pem


@pytest.mark.parametrize("size", [65536, 66000])
def test_the_largest_document(agent, aws, put, pair, authority, size):
    """Secrets Manager's own limit is 64 KiB; what is beyond cannot be an identity."""
    base = document(pair, authority.pem, padding="")
    value = document(pair, authority.pem, padding="x" * (size - len(base)))
    assert len(value) == size
    body = json.dumps(
        {
            "ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:big-AbCdEf",
            "Name": "big",
            "VersionId": "11111111-2222-3333-4444-555555555555",
            "SecretString": value,
        }
    )
    aws.faults.append(Answer(200, body.encode(), {"Content-Type": "application/x-amz-json-1.1"}))
    result = agent.fetch(put("x"))
    if size == 65536:
        result.succeeded("installed")
    else:
        result.failed(65, "document_too_large")
        assert snapshot(agent.dir) is None
