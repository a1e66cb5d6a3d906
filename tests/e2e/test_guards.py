# SPDX-License-Identifier: Apache-2.0
"""--expect-subject, --expect-san and --expect-ca: another environment's secret, or CA, is refused."""

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from agent import snapshot, wait_for
from servers.pki import Pair, document, openssl
from servers.process import free_port

NAMES = (
    "subjectAltName=DNS:web.prod.example,DNS:*.prod.example,IP:10.0.0.7,IP:2001:db8::7,URI:spiffe://prod/web"
)


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """The document of an identity with a long subject and names of every kind."""
    at = tmp_path_factory.mktemp("named")
    subject = "/C=DE/O=Example, Inc./CN=Web=1"
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject]
    openssl(
        *new,
        "-keyout",
        "key",
        "-out",
        "cert",
        "-addext",
        NAMES,
        "-addext",
        "basicConstraints=CA:false",
        cwd=at,
    )
    cert = (at / "cert").read_text()
    return document(Pair(cert, (at / "key").read_text()), cert)


GOOD = [
    ["--expect-subject=CN=Web\\=1,O=Example\\, Inc.,C=DE"],
    ["--expect-san=web.prod.example"],
    ["--expect-san=WEB.prod.example"],
    ["--expect-san=*.prod.example"],
    ["--expect-san=10.0.0.7", "--expect-san=2001:DB8:0::7"],
    ["--expect-san=spiffe://prod/web,web.prod.example,10.0.0.7"],
]
BAD = [
    (["--expect-subject=Web"], 'its subject is "CN=Web\\=1,O=Example\\, Inc.,C=DE"; "Web" is expected'),
    (["--expect-subject=CN=Web\\=1"], "is expected"),
    (["--expect-subject=CN=web\\=1,O=Example\\, Inc.,C=DE"], "is expected"),
    (
        ["--expect-san=api.prod.example"],
        "its subjectAltName holds DNS:web.prod.example, DNS:*.prod.example, ",
    ),
    (["--expect-san=web.prod.example", "--expect-san=10.0.0.8"], '"10.0.0.8" is expected'),
    (["--expect-san=spiffe://staging/web"], 'URI:spiffe://prod/web; "spiffe://staging/web" is expected'),
    (["--expect-san=SPIFFE://prod/web"], "is expected"),
]


@pytest.mark.parametrize("arguments", GOOD)
def test_expected(agent, put, named, arguments):
    agent.fetch(put(named), *arguments).succeeded("installed")


@pytest.mark.parametrize("arguments,reason", BAD)
def test_unexpected(agent, put, named, arguments, reason):
    error = agent.fetch(put(named), *arguments).failed(65, "identity_unexpected")
    assert reason in error["reason"]
    assert snapshot(agent.dir) is None


def test_a_common_name_is_enough(agent, put, good):
    agent.fetch(put(good), "--expect-subject=ECS-Client").succeeded("installed")
    agent.fetch(put(good), "--expect-subject=CN=ECS-Client").succeeded("installed")


def test_a_certificate_without_names(agent, put, good):
    error = agent.fetch(put(good), "--expect-san=web.prod.example").failed(65, "identity_unexpected")
    assert "its subjectAltName holds no name" in error["reason"]


def test_what_is_installed_stays(agent, put, good, authority):
    agent.fetch(put(good)).succeeded("installed")
    before = snapshot(agent.dir)
    staging = document(authority.issue("Staging"), authority.pem)
    agent.fetch(put(staging), "--expect-subject=ECS-Client").failed(65, "identity_unexpected")
    assert snapshot(agent.dir) == before


def test_another_environments_set_is_not_kept(agent, put, authority):
    """An image may have been made with it: while AWS cannot be reached, it is no substitute."""
    arn = put(document(authority.issue("Staging"), authority.pem))
    agent.fetch(arn).succeeded("installed")
    away = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{free_port()}"}
    agent.fetch(arn, "--expect-subject=Staging", env=away, deadline="2s").succeeded("kept_stale")
    result = agent.fetch(arn, "--expect-subject=Production", env=away, deadline="2s")
    assert result.status == 69 and not result.all("kept_stale")


def test_a_servers_identity_has_the_expected_names(agent, put, authority):
    server = authority.issue("enclave", names=["enclave.test"])
    arn = put(json.dumps({"server_cert": server.cert, "server_key": server.key}))
    agent.fetch(arn, "--expect-san=other.test").failed(65, "identity_unexpected")
    agent.fetch(arn, "--expect-san=enclave.test").succeeded("installed")


@pytest.mark.parametrize("kind", ["an address", "a URI"])
def test_a_dns_name_of_that_text_is_not_it(agent, put, authority, kind):
    name = {"an address": "10.0.0.7", "a URI": "spiffe://prod/web"}[kind]
    more = (x509.SubjectAlternativeName([x509.DNSName(name)]),)
    arn = put(document(authority.issue("Web", more=more), authority.pem))
    error = agent.fetch(arn, f"--expect-san={name}").failed(65, "identity_unexpected")
    assert f"DNS:{name}" in error["reason"]


# ---- the CA


def digest(authority):
    return authority.certificate.fingerprint(SHA256()).hex()


def test_only_expected_cas_are_trusted(agent, put, authority, stranger, pair):
    both = put(document(pair, authority.pem + stranger.pem))
    error = agent.fetch(both, f"--expect-ca={digest(authority)}").failed(65, "identity_unexpected")
    assert '"CN=Stranger-CA"' in error["reason"] and digest(stranger) in error["reason"]
    assert snapshot(agent.dir) is None
    pins = f"{digest(authority)},{digest(stranger)}"
    agent.fetch(both, f"--expect-ca={pins}").succeeded("installed")


def test_a_fingerprint_as_openssl_writes_it(agent, put, good, authority):
    text = ":".join(digest(authority)[at : at + 2] for at in range(0, 64, 2)).upper()
    agent.fetch(put(good), f"--expect-ca={'0' * 64}", f"--expect-ca={text}").succeeded("installed")


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "g" * 64, "0" * 62 + ":", "Enclave-CA"])
def test_what_is_no_fingerprint(agent, put, good, text):
    assert agent.fetch(put(good), f"--expect-ca={text}").status == 64


def test_a_ca_that_is_kept_for_a_while_is_judged_too(agent, aws, put, authority, stranger):
    """One that was trusted, and is not to be any more: its time ends at once."""
    arn = put(document(stranger.issue("ECS-Client"), stranger.pem))
    agent.fetch(arn).succeeded("installed")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    agent.fetch(arn, "--ca-overlap=1h").succeeded("installed", "ca_overlap")
    assert agent.file("ca.crt") == authority.pem + stranger.pem
    away = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{free_port()}"}
    pinned = f"--expect-ca={digest(authority)}"
    assert agent.fetch(arn, pinned, env=away, deadline="2s").status == 69
    event = agent.fetch(arn, "--ca-overlap=1h", pinned).succeeded().event("ca_overlap_unexpected")
    assert event["fingerprint"] == digest(stranger) and agent.file("ca.crt") == authority.pem


def test_there_is_no_way_back_to_another_ca(agent, aws, put, authority, stranger):
    arn = put(document(stranger.issue("ECS-Client"), stranger.pem))
    agent.fetch(arn).succeeded("installed")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    agent.fetch(arn).succeeded("installed")
    error = agent.fetch(arn, "--rollback", f"--expect-ca={digest(authority)}").failed(73, "no_previous")
    assert digest(stranger) in error["reason"] and agent.file("ca.crt") == authority.pem


def test_inspect_says_so(agent, put, good, authority):
    agent.fetch(put(good)).succeeded("installed")
    looked = agent.run("inspect", f"--dir={agent.dir}", f"--expect-ca={'0' * 64}")
    assert looked.status == 1 and "this CA is not expected" in looked.stdout
    assert agent.run("inspect", f"--dir={agent.dir}", f"--expect-ca={digest(authority)}").status == 0


def test_status_says_so(agent, put, good, serve):
    service = serve(put(good), f"--expect-ca={'0' * 64}")
    service.wait("error", code="identity_unexpected")
    wait_for(lambda: "this CA is not expected" in agent.run("status", f"--dir={agent.dir}").stdout)
