# SPDX-License-Identifier: Apache-2.0
"""
Servers, their settings and their certificates, in one table: what the agent says to each, by which exit status and
by which error code.
"""

import ipaddress
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from agent import Agent, snapshot
from servers.enclave import Go, Nginx, Node, OpenNginx, Python
from servers.more import GnuTls, HaProxy, Plain, Stunnel, nginx, s_server, with_options
from servers.pki import DAY, Authority, Pair, as_version_1, document

NAMES = ["localhost", "enclave.test", "127.0.0.1"]
ACCEPTED, REFUSED, UNTRUSTED, UNREACHABLE = "accepted", "refused", "untrusted", "unreachable"
NOT_MUTUAL = "not_mutual"
CODES = {REFUSED: "enclave_refused", UNTRUSTED: "enclave_untrusted", NOT_MUTUAL: "enclave_refused"}


class Case(NamedTuple):
    server: Any  # a class of tests/servers
    result: str
    sentence: str = ""  # stands in the reason
    leaf: str = "good"  # of LEAVES
    client: str = "good"  # of CLIENTS
    host: str = "localhost"
    flags: tuple = ()
    tls13_only: bool = False


# ---- the certificates that servers show


def names(*accepted, **how):
    return lambda root, _: root.issue("Enclave", names=accepted or NAMES, **how)


def chain(leaf, *authorities):
    return Pair(leaf.cert + "".join(each.pem for each in authorities), leaf.key)


def below(**how):
    """Issued by an intermediate CA that is as said."""

    def make(root, _):
        middle = Authority("Enclave Issuing CA", parent=root, **how)
        return chain(middle.issue("Enclave", names=NAMES), middle)

    return make


def two_below(**how):
    """By two, the upper as said; out of order, and with a stranger's."""

    def make(root, stranger):
        upper = Authority("Enclave Policy CA", parent=root, **how)
        lower = Authority("Enclave Issuing CA", parent=upper)
        return chain(lower.issue("Enclave", names=NAMES), stranger, upper, lower)

    return make


def subtree(text):
    return x509.IPAddress(ipaddress.ip_network(text)) if "/" in text else x509.DNSName(text)


def permitted(*subtrees):
    return below(more=[x509.NameConstraints([subtree(each) for each in subtrees], None)])


def excluded(*subtrees):
    return below(more=[x509.NameConstraints(None, [subtree(each) for each in subtrees])])


def server_with(*extensions, cn="localhost"):
    """A server's, without a subjectAltName unless that is one of the extensions."""
    return lambda root, _: root.issue(cn, usage=ExtendedKeyUsageOID.SERVER_AUTH, more=extensions)


ADDRESS_AS_NAME = x509.SubjectAlternativeName([x509.DNSName("127.0.0.1")])
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")

LEAVES = {
    "good": names(),
    "expired": names(lifetime=(-3 * DAY, -DAY)),
    "not yet valid": names(lifetime=(DAY, 3 * DAY)),
    "another name": names("other.test", "192.0.2.1"),
    "no address": names("localhost"),
    "address as a name": server_with(ADDRESS_AS_NAME),
    "wildcard": names("*.enclave.test"),
    "common name only": server_with(),
    "version 1": lambda root, _: as_version_1(root.issue("localhost"), root),
    "a client's": names(usage=ExtendedKeyUsageOID.CLIENT_AUTH),
    "any purpose": names(usage=ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE),
    "unknown critical extension": names(more=[UNKNOWN]),
    "RSA 1024": names(kind="rsa1024"),
    "RSA 2048": names(kind="rsa2048"),
    "RSA 4096": names(kind="rsa4096"),
    "P-384": names(kind="p384"),
    "P-521": names(kind="p521"),
    "Ed25519": names(kind="ed25519"),
    "a stranger's": lambda _, stranger: stranger.issue("Enclave", names=NAMES),
    "forged": lambda root, _: Authority("Enclave-CA").issue("Enclave", names=NAMES),
    "intermediate": below(),
    "intermediate missing": lambda root, _: Authority("Enclave Issuing CA", parent=root).issue(
        "Enclave", names=NAMES
    ),
    "intermediate expired": below(lifetime=(-3 * DAY, -DAY)),
    "intermediate is no CA": below(basic=(False, None)),
    "intermediate on RSA 1024": below(kind="rsa1024"),
    "two intermediates, unordered": two_below(),
    "path too long": two_below(basic=(True, 0)),
    "names permitted": permitted("localhost", "enclave.test", "127.0.0.0/8"),
    "name not permitted": permitted("enclave.test", "127.0.0.0/8"),
    "address not permitted": permitted("localhost", "enclave.test", "10.0.0.0/8"),
    "name excluded": excluded("test"),
}

# ---- what they are shown: all of the CA that servers trust, but one

CLIENTS = {
    "good": lambda root, _: root.issue("ECS-Client"),
    "RSA": lambda root, _: root.issue("ECS-Client", "rsa2048"),
    "P-384": lambda root, _: root.issue("ECS-Client", "p384"),
    "a stranger's": lambda _, stranger: stranger.issue("ECS-Client"),
}


# ---- the table

VERIFY = ("-Verify", "3", "-verify_return_error")
WEAK = s_server(*VERIFY, "-cipher", "DEFAULT@SECLEVEL=0")
SUITES = {
    "RSA 2048": ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"),
    "good": (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ),
}
OTHER_SUITES = ("AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256")
GROUPS = ("X25519", "P-256", "P-384", "P-521")
KINDS = {
    "nginx": Nginx,
    "openssl": s_server(*VERIFY),
    "gnutls": GnuTls,
    "node": Node,
    "go": Go,
    "python": Python,
    "haproxy": HaProxy,
    "stunnel": Stunnel,
}


def cipher(suite):
    return s_server(*VERIFY, "-tls1_2", "-cipher", suite)


CASES = {
    # Kinds of servers: a good identity, another one, and TLS 1.3 only.
    **{f"{name}": Case(kind, ACCEPTED) for name, kind in KINDS.items()},
    **{f"{name}, RSA": Case(kind, ACCEPTED, leaf="RSA 2048", client="RSA") for name, kind in KINDS.items()},
    **{
        f"{name}, a stranger": Case(kind, REFUSED, "certificate", client="a stranger's")
        for name, kind in KINDS.items()
    },
    "nginx, a stranger": Case(Nginx, REFUSED, "HTTP 400", client="a stranger's"),
    **{f"{name}, TLS 1.3 only": Case(kind, ACCEPTED, tls13_only=True) for name, kind in KINDS.items()},
    **{
        f"{name}, TLS 1.3 only, RSA": Case(kind, ACCEPTED, leaf="RSA 2048", client="RSA", tls13_only=True)
        for name, kind in KINDS.items()
    },
    **{
        f"{name}, TLS 1.3 only, a stranger": Case(kind, REFUSED, "", client="a stranger's", tls13_only=True)
        for name, kind in KINDS.items()
    },
    # Cipher suites and groups.
    **{
        suite: Case(cipher(suite), ACCEPTED, leaf=leaf) for leaf, suites in SUITES.items() for suite in suites
    },
    **{
        suite: Case(cipher(suite), UNREACHABLE, "no common cipher suite", leaf="RSA 2048")
        for suite in OTHER_SUITES
    },
    **{
        f"group {group}": Case(
            s_server(*VERIFY, "-tls1_2", "-groups", group), ACCEPTED, leaf="RSA 2048", client="RSA"
        )
        for group in GROUPS
    },
    "group X448": Case(s_server(*VERIFY, "-groups", "X448"), UNREACHABLE, "no common cipher suite"),
    "TLS 1.1": Case(
        s_server(*VERIFY, "-tls1_1", "-cipher", "ALL@SECLEVEL=0"), UNREACHABLE, "no version of TLS in common"
    ),
    "no TLS": Case(Plain, UNREACHABLE, "the TLS handshake failed"),
    # Ways to ask for a client's certificate, or not to.
    "openssl asks": Case(s_server("-verify", "3"), ACCEPTED),
    "openssl asks a stranger": Case(s_server("-verify", "3"), ACCEPTED, client="a stranger's"),
    "openssl insists": Case(s_server("-Verify", "3"), ACCEPTED),
    "openssl insists with a stranger": Case(s_server("-Verify", "3"), ACCEPTED, client="a stranger's"),
    "openssl asks and verifies": Case(s_server("-verify", "3", "-verify_return_error"), ACCEPTED),
    "openssl asks and verifies a stranger": Case(
        s_server("-verify", "3", "-verify_return_error"), REFUSED, "certificate", client="a stranger's"
    ),
    "openssl does not ask": Case(s_server(), NOT_MUTUAL, "not mutual TLS"),
    "openssl wants RSASSA-PSS": Case(
        s_server(*VERIFY, "-client_sigalgs", "rsa_pss_rsae_sha256"), ACCEPTED, client="RSA"
    ),
    "openssl wants SHA-384": Case(s_server(*VERIFY, "-tls1_2", "-client_sigalgs", "ECDSA+SHA384"), ACCEPTED),
    "openssl wants SHA-384 in TLS 1.3": Case(
        s_server(*VERIFY, "-tls1_3", "-client_sigalgs", "ECDSA+SHA384"), UNREACHABLE, "P-256 signs with SHA-256"
    ),
    "nginx asks": Case(nginx("optional"), ACCEPTED),
    "nginx asks a stranger": Case(nginx("optional"), REFUSED, "HTTP 400", client="a stranger's"),
    "nginx takes any": Case(nginx("optional_no_ca"), ACCEPTED, client="a stranger's"),
    "nginx does not ask": Case(OpenNginx, NOT_MUTUAL, "not mutual TLS"),
    "gnutls asks": Case(with_options(GnuTls, arguments=()), ACCEPTED),
    "gnutls does not ask": Case(
        with_options(GnuTls, arguments=("--disable-client-cert",)), NOT_MUTUAL, "not mutual TLS"
    ),
    "haproxy asks": Case(with_options(HaProxy, verify="optional"), ACCEPTED),
    "haproxy asks a stranger": Case(
        with_options(HaProxy, verify="optional"), REFUSED, "certificate", client="a stranger's"
    ),
    "stunnel takes any": Case(with_options(Stunnel, verify="no"), ACCEPTED, client="a stranger's"),
    "stunnel does not ask": Case(
        with_options(Stunnel, require="no", verify="no"), NOT_MUTUAL, "not mutual TLS"
    ),
    "haproxy does not ask": Case(with_options(HaProxy, verify="none"), NOT_MUTUAL, "not mutual TLS"),
    "client on P-384": Case(Nginx, ACCEPTED, client="P-384"),
    # The server's certificate.
    "expired": Case(Nginx, UNTRUSTED, '"CN=Enclave" expired at', leaf="expired"),
    "not yet valid": Case(Nginx, UNTRUSTED, '"CN=Enclave" is valid from', leaf="not yet valid"),
    "a client's": Case(Nginx, UNTRUSTED, "has no serverAuth", leaf="a client's"),
    "any purpose": Case(Nginx, ACCEPTED, leaf="any purpose"),
    "critical extension": Case(Nginx, UNTRUSTED, "critical extension", leaf="unknown critical extension"),
    "weak key": Case(WEAK, UNTRUSTED, "is RSA 1024: at least 2048 is needed", leaf="RSA 1024"),
    "RSA 4096": Case(Nginx, ACCEPTED, leaf="RSA 4096"),
    "P-384": Case(Nginx, ACCEPTED, leaf="P-384"),
    "P-521": Case(Nginx, ACCEPTED, leaf="P-521"),
    "Ed25519": Case(Nginx, UNREACHABLE, "no common cipher suite", leaf="Ed25519"),
    # Names.
    "another name": Case(
        Nginx, UNTRUSTED, "it is for other.test, 192.0.2.1, not for localhost", "another name"
    ),
    "address": Case(Nginx, ACCEPTED, host="127.0.0.1"),
    "address not named": Case(Nginx, UNTRUSTED, "not for 127.0.0.1", "no address", host="127.0.0.1"),
    "address as a name": Case(
        Nginx, UNTRUSTED, "it is for DNS:127.0.0.1, not for 127.0.0.1", "address as a name", host="127.0.0.1"
    ),
    "name at an address": Case(Nginx, ACCEPTED, host="enclave.test@127.0.0.1"),
    "another name at an address": Case(Nginx, UNTRUSTED, "not for other.test", host="other.test@127.0.0.1"),
    "wildcard": Case(Nginx, ACCEPTED, leaf="wildcard", host="a.enclave.test@127.0.0.1"),
    "wildcard for two labels": Case(
        Nginx, UNTRUSTED, "it is for *.enclave.test", "wildcard", host="a.b.enclave.test@127.0.0.1"
    ),
    "wildcard for none": Case(
        Nginx, UNTRUSTED, "it is for *.enclave.test", "wildcard", host="enclave.test@127.0.0.1"
    ),
    "common name only": Case(Nginx, UNTRUSTED, "subjectAltName=DNS:localhost", "common name only"),
    "common name allowed": Case(Nginx, ACCEPTED, leaf="common name only", flags=("--allow-cn",)),
    "common name is another": Case(
        Nginx,
        UNTRUSTED,
        "its common name is not other.test",
        "common name only",
        host="other.test@127.0.0.1",
        flags=("--allow-cn",),
    ),
    "version 1": Case(Nginx, UNTRUSTED, "subjectAltName=DNS:localhost", leaf="version 1"),
    "version 1 allowed": Case(Nginx, ACCEPTED, leaf="version 1", flags=("--allow-cn",)),
    # The way to the CA.
    "wrong CA": Case(Nginx, UNTRUSTED, "CN=Stranger-CA", leaf="a stranger's"),
    "forged": Case(Nginx, UNTRUSTED, "was not signed by the key of", leaf="forged"),
    "intermediate": Case(Nginx, ACCEPTED, leaf="intermediate"),
    "intermediate missing": Case(
        Nginx,
        UNTRUSTED,
        '"CN=Enclave Issuing CA", is neither sent nor a trust anchor',
        leaf="intermediate missing",
    ),
    "intermediate expired": Case(
        Nginx, UNTRUSTED, '"CN=Enclave Issuing CA" expired at', leaf="intermediate expired"
    ),
    "intermediate is no CA": Case(
        Nginx,
        UNTRUSTED,
        '"CN=Enclave Issuing CA" has issued a certificate and is no CA',
        "intermediate is no CA",
    ),
    "weak intermediate": Case(
        with_options(Nginx, settings="ssl_ciphers DEFAULT@SECLEVEL=0;"),
        UNTRUSTED,
        '"CN=Enclave Issuing CA" is RSA 1024',
        leaf="intermediate on RSA 1024",
    ),
    "unordered chain": Case(Nginx, ACCEPTED, leaf="two intermediates, unordered"),
    "path too long": Case(
        Nginx, UNTRUSTED, 'pathLenConstraint of "CN=Enclave Policy CA" is exceeded', leaf="path too long"
    ),
    "names permitted": Case(Nginx, ACCEPTED, leaf="names permitted"),
    "name not permitted": Case(Nginx, UNTRUSTED, "do not permit a name", leaf="name not permitted"),
    "address not permitted": Case(Nginx, UNTRUSTED, "do not permit a name", leaf="address not permitted"),
    "name excluded": Case(Nginx, UNTRUSTED, "exclude a name", leaf="name excluded"),
}


@pytest.fixture(scope="module")
def made(authority, stranger):
    """made(table, name) makes each certificate once."""
    kept = {}

    def make(table, name):
        if (id(table), name) not in kept:
            kept[id(table), name] = table[name](authority, stranger)
        return kept[id(table), name]

    return make


@pytest.fixture(scope="module")
def secrets(aws_server, authority, made):
    return {
        name: aws_server.put(f"mtls/matrix-{number}", document(made(CLIENTS, name), authority.pem))
        for number, name in enumerate(CLIENTS)
    }


@pytest.fixture(scope="module")
def agents(tmp_path_factory, aws_server, secrets):
    """An agent for each client's certificate, which it has installed."""
    agents = {name: Agent(tmp_path_factory.mktemp("agent"), aws_server.environment()) for name in CLIENTS}
    for name, agent in agents.items():
        agent.fetch(secrets[name]).succeeded("installed")
    return agents


@pytest.mark.parametrize("name", CASES)
def test_matrix(agents, secrets, made, authority, tmp_path, up, reach, name):
    case = CASES[name]
    agent = agents[case.client]
    server = up(
        case.server(tmp_path / "server", made(LEAVES, case.leaf), authority.pem, tls13_only=case.tls13_only)
    )
    endpoint = f"{case.host}:{server.port}"

    there = reach(server)
    result = agent.probe(endpoint, *case.flags, **there)
    handshake = result.event("handshake")
    assert handshake["result"] == case.result, result.stderr
    assert result.status == (0 if case.result == ACCEPTED else 76), result.stderr
    assert case.sentence in handshake.get("reason", ""), result.stderr
    assert (handshake["result"] == ACCEPTED) == ("reason" not in handshake)

    if case.result in CODES:
        fresh = Agent(tmp_path, agent.environment)
        error = fresh.fetch(secrets[case.client], *case.flags, endpoint=endpoint, **there).failed(
            76, CODES[case.result]
        )
        assert error["subject"] == endpoint and case.sentence in error["reason"]
        assert snapshot(fresh.dir) is None


@pytest.mark.parametrize("name", KINDS)
def test_a_refusal_is_always_the_same(agents, made, authority, tmp_path, up, reach, name):
    """Also that of a server which closes before it has read all that was sent: its alert is read first."""
    server = up(KINDS[name](tmp_path / "server", made(LEAVES, "good"), authority.pem))
    there = reach(server)
    results = [agents["a stranger's"].probe(server.endpoint, **there) for _ in range(10)]
    assert {(result.status, result.event("handshake")["result"]) for result in results} == {(76, REFUSED)}
    (reason,) = {result.event("handshake")["reason"] for result in results}
    assert {"nginx": "HTTP 400", "node": "closed"}.get(name, "alert") in reason
