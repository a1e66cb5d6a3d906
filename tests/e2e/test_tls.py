# SPDX-License-Identifier: Apache-2.0
"""What is spoken with an enclave, and what is not; and how a server that wants something else is named."""

import subprocess

import pytest
from cryptography import x509

from servers.enclave import Go, Nginx, OpenNginx
from servers.more import Plain, s_server, with_options
from servers.pki import Authority, Pair, document, key_pem
from servers.process import free_port

VERIFY = ("-Verify", "3", "-verify_return_error", "-tls1_2")


@pytest.fixture
def server(authority):
    return authority.issue("localhost", names=["localhost"])


@pytest.fixture
def installed(agent, put, good):
    agent.fetch(put(good)).succeeded("installed")
    return agent


# ---- cipher suites


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA"])
def test_cbc_only_where_told(installed, tmp_path, server, authority, up, suite):
    running = up(s_server(*VERIFY, "-cipher", suite)(tmp_path / "server", server, authority.pem))
    result = installed.probe(running.endpoint)
    assert result.status == 76
    assert "no common cipher suite" in result.event("handshake")["reason"]
    result = installed.probe(running.endpoint, "--tls-suites=compatible").succeeded()
    assert result.event("handshake")["cipher"] == suite


@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256"])
def test_never_without_ecdhe(installed, tmp_path, authority, up, suite):
    server = authority.issue("localhost", "rsa2048", names=["localhost"])
    running = up(s_server(*VERIFY, "-cipher", suite)(tmp_path / "server", server, authority.pem))
    assert installed.probe(running.endpoint, "--tls-suites=compatible").status == 76


def test_an_aead_is_preferred(installed, tmp_path, server, authority, up):
    running = up(s_server(*VERIFY)(tmp_path / "server", server, authority.pem))
    result = installed.probe(running.endpoint, "--tls-suites=compatible").succeeded()
    assert result.event("handshake")["cipher"] in (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    )


# ---- the client's chain


@pytest.mark.parametrize("depth,accepted", [(1, False), (2, True)])
def test_intermediates_are_sent(agent, put, tmp_path, server, authority, up, depth, accepted):
    """nginx knows the root alone; it finds the way only by what we send, and only as far as it may."""
    upper = Authority("Policy CA", parent=authority)
    lower = Authority("Issuing CA", parent=upper)
    leaf = lower.issue("ECS-Client")
    chain = Pair(leaf.cert + lower.pem + upper.pem, leaf.key)
    agent.fetch(put(document(chain, authority.pem))).succeeded("installed")
    strict = with_options(Nginx, settings=f"ssl_verify_depth {depth};")
    running = up(strict(tmp_path / "server", server, authority.pem))
    result = agent.probe(running.endpoint)
    assert (result.event("handshake")["result"] == "accepted") is accepted, result.stderr


# ---- not mutual


def test_a_ca_that_may_only_sign_certificates_is_no_server(agent, tmp_path, put, pair, up):
    """OpenSSL would not be one with it; Go is."""
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    server = Authority("Server-CA", more=(names,))
    enclave = up(Go(tmp_path / "enclave", Pair(server.pem, key_pem(server.key)), server.pem))
    agent.fetch(put(document(pair, server.pem))).succeeded("installed")
    probed = agent.probe(enclave.endpoint)
    assert probed.status == 76 and "no digitalSignature" in probed.stdout


def test_a_server_that_asks_for_no_certificate(installed, tmp_path, server, authority, up):
    running = up(OpenNginx(tmp_path / "server", server, authority.pem))
    result = installed.probe(running.endpoint)
    assert result.status == 76
    handshake = result.event("handshake")
    assert handshake["result"] == "not_mutual" and handshake["signatures"] == 0
    assert "no client certificate" in handshake["reason"]
    result = installed.probe(running.endpoint, "--allow-not-mutual").succeeded()
    assert result.event("handshake")["result"] == "accepted"


def test_such_a_server_proves_nothing_before_an_install(agent, put, good, tmp_path, server, authority, up):
    running = up(OpenNginx(tmp_path / "server", server, authority.pem))
    arn = put(good)
    agent.fetch(arn, endpoint=running.endpoint).failed(76, "enclave_refused")
    agent.fetch(arn, "--allow-not-mutual", endpoint=running.endpoint).succeeded("installed")


# ---- renegotiation


def test_renegotiation_is_refused(installed, tmp_path, server, authority):
    """The server asks for another handshake instead of an answer; it gets an alert, and no handshake."""
    cert, key = server.write(tmp_path, "server")
    clients = tmp_path / "clients.crt"
    clients.write_text(authority.pem)
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-tls1_2", "-naccept", "1"]
    command += ["-Verify", "3", "-CAfile", clients, "-cert", cert, "-key", key]
    with subprocess.Popen(
        list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as openssl:
        try:
            while b"ACCEPT" not in openssl.stdout.readline():
                assert openssl.poll() is None
            running = installed.start(
                "probe", "--log-format=json", f"--dir={installed.dir}", f"--endpoint=localhost:{port}"
            )
            seen = b""
            while b"GET /health" not in seen:
                seen += openssl.stdout.readline()
            openssl.stdin.write(b"R\n")
            openssl.stdin.flush()
            result = running.finish()
        finally:
            openssl.kill()
        said = seen + openssl.stdout.read()
    assert said.count(b"CIPHER is") == 1, said
    assert b"no renegotiation" in said, said
    handshake = result.event("handshake")
    assert handshake["signatures"] == 1 and handshake["result"] != "accepted"


# ---- no TLS


def test_what_is_no_tls_is_named(installed, tmp_path, server, authority, up):
    result = installed.probe(up(Plain(tmp_path / "server", server, authority.pem)).endpoint)
    assert "neither TLS 1.2 nor 1.3" in result.event("handshake")["reason"]
