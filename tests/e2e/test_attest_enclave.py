# SPDX-License-Identifier: Apache-2.0
"""Attestation over the connection to the enclave: the five conventions, our own, and who tries to pass for one."""

import datetime
import json
import os
import ssl

import pytest

from servers.enclave import KINDS
from servers.http import Answer
from servers.nitro import DEBUG, HOUR, IMAGE, Attested, Exporting, Hardware, pcr_set, utc

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a file of roots must be root's")
WANTED = f"--attest-pcr={pcr_set(numbers=(0, 3))}"


@pytest.fixture(scope="module")
def hardware():
    return Hardware()


@pytest.fixture(scope="module")
def root(tmp_path_factory, hardware):
    path = tmp_path_factory.mktemp("roots") / "roots"
    path.write_text(hardware.fingerprint + "\n")
    return f"--attest-root={path}"


@pytest.fixture
def server(tmp_path, up, authority, hardware):
    """server(convention): an enclave that is attested; another each time."""

    def start(convention="generic", **options):
        pair = authority.issue("localhost", names=["localhost", "127.0.0.1"])
        where = tmp_path / f"enclave-{len(list(tmp_path.iterdir()))}"
        return up(Attested(where, pair, authority.pem, options.pop("hardware", hardware), convention, **options))

    return start


@pytest.fixture
def installed(agent, put, good):
    agent.fetch(put(good)).succeeded("installed")
    return agent


@pytest.fixture
def ask(installed, root):
    """ask(enclave, ...): what `attest` finds."""

    def run(enclave, *arguments):
        result = installed.run(
            "attest",
            "--log-format=json",
            "--json",
            f"--dir={installed.dir}",
            f"--endpoint={enclave.endpoint}",
            f"--attest-profile={getattr(enclave, 'convention', 'generic')}",
            root,
            WANTED,
            *arguments,
        )
        found = json.loads(result.stdout)[0]
        if result.status:
            assert result.status == 76 and result.event("error")["code"] == found["result"], result.stderr
        return found

    return run


@pytest.fixture
def fetch(agent, put, good, root):
    """fetch(enclave, ...): of a first identity, where only an attested enclave counts."""

    def run(enclave, *arguments, **options):
        return agent.fetch(
            put(good), "--attest=require", root, WANTED, *arguments, endpoint=enclave.endpoint, **options
        )

    return run


# ---- what is attested


@pytest.mark.parametrize("convention", ("generic", "nitriding"))
def test_attested(ask, server, convention):
    enclave = server(convention)
    found = ask(enclave)
    assert found["result"] == "attested_other_root" and found["image_compared"]
    assert found["binding"] == {"generic": "spki-sha256"}.get(convention, convention)
    assert found["nonce"] in enclave.asked_for[0] and len(found["nonce"]) == 40 and found["nonce_is_ours"]


@pytest.mark.parametrize(
    "convention, code",
    (
        ("nautilus", "attested_stale"),
        ("marlin", "attested_stale"),
        ("evervault", "attested_stale"),
        ("opensecret", "attested_unbound"),
    ),
)
def test_what_conventions_cannot_prove(ask, fetch, server, agent, convention, code):
    enclave = server(convention)
    found = ask(enclave)
    assert found["result"] == code and found["genuine"] and not found["debug"]
    assert found["nonce_is_ours"] == (code == "attested_unbound") and found["binding"] is None
    before = agent.file("client.crt")
    fetch(enclave, f"--attest-profile={convention}").failed(76, code)
    assert agent.file("client.crt") == before


def test_every_nonce_is_new(ask, server):
    enclave = server()
    for _ in range(3):
        ask(enclave)
    assert len(set(enclave.asked_for)) == 3


@pytest.mark.parametrize(
    "binding, make",
    (
        ("leaf-sha256", lambda cert, spki, sha: {"user_data": sha(256, cert)}),
        ("leaf-sha384", lambda cert, spki, sha: {"user_data": sha(384, cert)}),
        ("leaf-sha512", lambda cert, spki, sha: {"user_data": sha(512, cert)}),
        ("spki-sha256", lambda cert, spki, sha: {"user_data": sha(256, spki)}),
        ("spki-sha384", lambda cert, spki, sha: {"user_data": sha(384, spki)}),
        ("spki-sha512", lambda cert, spki, sha: {"user_data": sha(512, spki)}),
        ("spki", lambda cert, spki, sha: {"user_data": spki}),
        ("public-key", lambda cert, spki, sha: {"public_key": spki}),
    ),
)
def test_generic_bindings(ask, server, binding, make):
    import hashlib

    from cryptography.hazmat.primitives import serialization
    from servers.nitro import spki

    enclave = server()
    certificate = enclave.pair.certificate
    good = make(
        certificate.public_bytes(serialization.Encoding.DER),
        spki(certificate),
        lambda bits, data: hashlib.new(f"sha{bits}", data).digest(),
    )
    enclave.options = {"user_data": None, **good}
    assert ask(enclave, f"--attest-binding={binding}")["result"] == "attested_other_root"
    for name, value in good.items():
        enclave.options[name] = value[:-1]
        assert ask(enclave, f"--attest-binding={binding}")["result"] == "attested_other_key"
        enclave.options[name] = None
        assert ask(enclave, f"--attest-binding={binding}")["result"] == "attested_other_key"


EXPORTER = "--attest-binding=exporter", "--attest-path=/attestation"


@pytest.mark.parametrize("version", ("tls12", "tls13"))
def test_an_exporter_is_of_one_connection(ask, tmp_path, up, authority, hardware, version):
    """It is as good as a nonce, and none is said to be ours that was not sent."""
    pair = authority.issue("localhost", names=["localhost"])
    enclave = up(Exporting(tmp_path / "exporting", pair, authority.pem, hardware, [version]))
    found = ask(enclave, *EXPORTER)
    assert (found["result"], found["binding"]) == ("attested_other_root", "exporter")
    enclave.options = {"nonce": b"n" * 20}
    found = ask(enclave, *EXPORTER)
    assert (found["result"], found["nonce"]) == ("attested_other_root", "6e" * 20) and not found["nonce_is_ours"]
    enclave.options = {}
    found = ask(enclave, EXPORTER[0])
    assert found["result"] == "attested_other_root" and found["nonce_is_ours"]
    assert len(set(enclave.exporters)) == 3
    for other in (enclave.exporters[0], enclave.exporters[0][:-1], b"", None):
        enclave.options = {"user_data": other}
        assert ask(enclave, *EXPORTER)["result"] == "attested_other_key"


def test_a_certificate_that_is_over_by_the_exporter(installed, tmp_path, up, authority):
    """The document is of this connection: a clock is wrong. One of another connection may be old."""
    over = Hardware(leaf=lifetime(-10800, -60))
    root = tmp_path / "roots"
    root.write_text(over.fingerprint)
    pair = authority.issue("localhost", names=["localhost"])
    enclave = up(Exporting(tmp_path / "exporting", pair, authority.pem, over))
    arguments = ["attest", "--log-format=json", f"--dir={installed.dir}", f"--endpoint={enclave.endpoint}", f"--attest-root={root}"]
    installed.run(*arguments, *EXPORTER).failed(76, "attestation_clock")
    enclave.options = {"user_data": enclave.exporters[0]}
    installed.run(*arguments, *EXPORTER).failed(76, "attestation_expired")


@pytest.mark.parametrize("option, code", ((0, "attested_other_key"), (1, "attested_unbound")))
def test_a_connection_without_an_exporter(ask, server, tmp_path, authority, hardware, up, option, code):
    """TLS 1.2 without extended master secret, SSL_OP_NO_EXTENDED_MASTER_SECRET: others could have the same."""

    class Old(Attested):
        def prepare(self, context):
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.options |= option

    pair = authority.issue("localhost", names=["localhost"])
    found = ask(up(Old(tmp_path / "old", pair, authority.pem, hardware)), *EXPORTER)
    assert found["result"] == code and not found["nonce_is_ours"]


def test_no_binding_proves_nothing(ask, server):
    assert ask(server(), "--attest-binding=none")["result"] == "attested_unbound"
    assert ask(server(), "--attest-binding=exporter", "--attest-path=/attestation?nonce={nonce}")["result"] in (
        "attested_unbound",
        "attested_other_key",
    )
    assert ask(server(), "--attest-path=/attestation")["result"] == "attested_stale"


# ---- who tries to pass for one

FAULTS = {
    "debug image": ({"pcrs": DEBUG}, "attested_debug"),
    "another PCR0": ({"pcrs": {**IMAGE, 0: b"\x0b" * 48}}, "attested_other_image"),
    "another role": ({"pcrs": {**IMAGE, 3: b"\x3b" * 48}}, "attested_other_image"),
    "no nonce": ({"nonce": None}, "attested_replayed"),
    "an empty nonce": ({"nonce": b""}, "attested_replayed"),
    "another nonce": ({"nonce": b"n" * 20}, "attested_replayed"),
    "another key": ({"user_data": b"k" * 32}, "attested_other_key"),
    "no key": ({"user_data": None}, "attested_other_key"),
    "an empty key": ({"user_data": b""}, "attested_other_key"),
    "a clock 3 h ahead": ({"made": utc() + 3 * HOUR}, "attestation_clock"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_refused(ask, fetch, server, agent, what):
    enclave = server()
    enclave.options, code = FAULTS[what]
    assert ask(enclave)["result"] == code
    before = agent.file("client.crt")
    result = fetch(enclave)
    error = result.failed(76, code)
    assert error["subject"] == enclave.endpoint and enclave.hardware.fingerprint in error["reason"]
    handshake = result.event("handshake")
    assert handshake["result"] == "unattested" and handshake["attestation"] == code
    assert handshake["root"] == enclave.hardware.fingerprint
    assert agent.file("client.crt") == before


def test_a_relay_that_shows_anothers_document(ask, server):
    """It passes our nonce on to a good enclave, whose document is bound to that one's key."""
    good, relay = server(), server()
    relay.show = good.document
    assert ask(relay)["result"] == "attested_other_key"


def test_an_old_document(ask, server):
    """One that was good once, as its enclave's own."""
    enclave = server()
    old = enclave.document(b"o" * 20)
    assert ask(enclave)["result"] == "attested_other_root"
    enclave.show = lambda nonce: old
    assert ask(enclave)["result"] == "attested_replayed"


def test_an_oracle_that_signs_what_it_is_handed(ask, server):
    """
    A good image that lets its callers choose user_data attests any key. What it signs looks as good as can be, so
    that who serves such a route is nobody to ask for bindings: docs/attestation.md says so. Where the image binds its
    own key elsewhere, that binding tells it.
    """
    oracle, relay = server(), server()
    relay.show = lambda nonce: oracle.hardware.document(nonce=nonce, **relay.bound())
    assert ask(relay)["result"] == "attested_other_root"
    assert ask(relay, "--attest-binding=public-key")["result"] == "attested_other_key"


def lifetime(start, end):
    return {"lifetime": (datetime.timedelta(seconds=start), datetime.timedelta(seconds=end))}


@pytest.mark.parametrize("start, end", ((-10800, -60), (3 * 3600, 6 * 3600)))
def test_clocks_that_differ_by_hours(installed, server, root, tmp_path, start, end):
    """Ours, or that of who signed: the document echoes our nonce, so it is of now."""
    other = Hardware(leaf=lifetime(start, end))
    path = tmp_path / "roots"
    path.write_text(other.fingerprint)
    enclave = server(hardware=other)
    arguments = ["attest", "--log-format=json", f"--dir={installed.dir}", f"--endpoint={enclave.endpoint}", f"--attest-root={path}"]
    assert "it is 20" in installed.run(*arguments).failed(76, "attestation_clock")["reason"]
    if end < 0:
        old = other.document(nonce=b"n" * 20, **enclave.bound())
        enclave.show = lambda nonce: old
        installed.run(*arguments).failed(76, "attestation_expired")


def test_no_document(ask, server, enclaves, agent):
    enclave = server()
    for answer in (Answer(404), Answer(500, b"{}")):
        enclave.encoded = lambda path, answer=answer: answer
        assert ask(enclave)["result"] == "attestation_missing"
    for body in (b"", b"{}", b"x" * 50000, b"\x84" * 200):
        enclave.encoded = lambda path, body=body: Answer(200, body)
        assert ask(enclave)["result"] == "attestation_malformed"


def test_an_enclave_that_cannot_be_reached(ask, server):
    enclave = server()
    enclave.stop()
    found = ask(enclave, "--deadline=3s")
    assert found["result"] == "attestation_missing" and "unreachable" in found["reason"]


# ---- what that decides


def test_only_an_attested_enclave_counts(fetch, server, hardware):
    result = fetch(server()).succeeded("installed")
    assert result.event("handshake")["attestation"] == "attested_other_root"
    assert result.event("handshake")["status"] == 200
    assert result.event("handshake")["root"] == hardware.fingerprint


def test_one_of_several(agent, put, good, server, root):
    """One that is attested proves an identity; by rehearse=require all have to be."""
    attested, other = server(), server()
    other.options = {"pcrs": DEBUG}
    endpoints = [attested.endpoint, other.endpoint]
    arn = put(good)
    agent.fetch(arn, "--attest=require", "--rehearse=require", root, WANTED, endpoint=endpoints).failed(76, "attested_debug")
    agent.fetch(arn, "--attest=require", root, WANTED, endpoint=endpoints).succeeded("installed")


def test_a_report_alone(agent, put, good, server, root):
    enclave = server()
    enclave.options = {"pcrs": DEBUG}
    result = agent.fetch(put(good), "--attest=report", root, WANTED, endpoint=enclave.endpoint)
    handshake = result.succeeded("installed").event("handshake")
    assert (handshake["result"], handshake["attestation"]) == ("accepted", "attested_debug")
    assert handshake["level"] == "warning" and "PCR0" in handshake["reason"]


def test_an_enclave_that_knows_no_attestation(agent, put, pki, enclaves):
    """A 404 is the application's affair, but nobody's proof."""
    from servers.pki import document

    arn = put(document(pki.pair("client"), pki.ca_pem))
    for kind in KINDS:
        if kind in ("nginx", "go"):
            result = agent.fetch(arn, "--attest=report", endpoint=enclaves[kind].endpoint).succeeded()
            assert result.event("handshake")["attestation"] in ("attestation_missing", "attestation_malformed")
            agent.fetch(arn, "--attest=require", WANTED, endpoint=enclaves[kind].endpoint).failed(
                76, result.event("handshake")["attestation"]
            )


@pytest.mark.parametrize("status", (400, 401, 403))
def test_a_path_that_is_refused_says_nothing_of_the_identity(agent, put, good, server, root, status):
    """The health path does: frameworks protect what they do not know."""
    enclave = server()
    enclave.encoded = lambda path: Answer(status, b"no")
    result = agent.fetch(put(good), "--attest=report", root, WANTED, endpoint=enclave.endpoint).succeeded("installed")
    assert result.all("handshake")[-1]["attestation"] == "attestation_missing"
    agent.fetch(put(good), "--attest=require", root, WANTED, endpoint=enclave.endpoint).failed(76, "attestation_missing")


@pytest.mark.parametrize("where", ("file", "environment"))
def test_what_probe_asks_takes_no_attestations_place(agent, put, good, server, root, tmp_path, where):
    """One file serves all commands."""
    enclave = server()
    enclave.options = {"pcrs": DEBUG}
    (tmp_path / "conf").write_text("request = /api/words\n")
    more = {"file": (f"--config={tmp_path}/conf",), "environment": ()}[where]
    env = {"file": {}, "environment": {"MTLS_AGENT_REQUEST": "/api/words"}}[where]
    arguments = ("--attest=require", root, WANTED, *more)
    agent.fetch(put(good), *arguments, endpoint=enclave.endpoint, env=env).failed(76, "attested_debug")


def test_who_is_not_attested_does_not_hold_a_version_back(agent, put, good, server, root):
    """It says nothing of the identity, which is tried again."""
    enclave = server()
    enclave.options = {"pcrs": DEBUG}
    arn = put(good)
    agent.fetch(arn, "--attest=require", root, WANTED, endpoint=enclave.endpoint).failed(76, "attested_debug")
    enclave.options = {}
    agent.fetch(arn, "--attest=require", root, WANTED, endpoint=enclave.endpoint).succeeded("installed")


def test_probe_shows_it(installed, server, root, hardware):
    good, bad = server(), server()
    bad.options = {"pcrs": DEBUG}
    result = installed.probe([good.endpoint, bad.endpoint], "--attest=require", root, WANTED, "--json", "--count=2")
    assert result.status == 76
    found = {each["endpoint"]: each for each in json.loads(result.stdout)}
    assert (found[good.endpoint]["attestation"], found[good.endpoint]["root"]) == ("attested_other_root", hardware.fingerprint)
    assert (found[bad.endpoint]["result"], found[bad.endpoint]["attestation"]) == ("unattested", "attested_debug")
    text = installed.probe([good.endpoint, bad.endpoint], "--attest=report", root, WANTED).succeeded().stdout
    assert f"attestation: attested_other_root by the root {hardware.fingerprint}\n" in text
    assert "attestation: attested_debug: PCR0 is zero" in text
    assert text.count(hardware.fingerprint) == 2
