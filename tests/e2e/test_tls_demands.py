# SPDX-License-Identifier: Apache-2.0
"""What servers insist on in TLS 1.2: extended master secret (RFC 7627), and RSA-PSS alone (RFC 8017)."""

import re
import subprocess

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from servers.enclave import Go, Nginx
from servers.more import GnuTls, s_server, with_options
from servers.pki import Authority, document
from servers.proxy import FaultProxy

HANDSHAKE = 22
SERVER_HELLO, CERTIFICATE_VERIFY = 2, 15
EXTENDED_MASTER_SECRET = 23
VERIFY = ("-Verify", "3", "-verify_return_error", "-tls1_2")
HASHES = {"SHA256": 0x0804, "SHA384": 0x0805, "SHA512": 0x0806}


class Tap(FaultProxy):
    """Passes all on, and keeps what of the handshake is not encrypted."""

    def __init__(self, upstream_port):
        self._asked, self._answered = b"", b""
        super().__init__(upstream_port)

    def _request_stage(self, piece, count):
        if piece[0] == HANDSHAKE:
            self._asked += piece[5:]

    def _answer_stage(self, piece, count):
        if piece[0] == HANDSHAKE:
            self._answered += piece[5:]

    @staticmethod
    def _message(stream, kind):
        while stream[0] != kind:
            stream = stream[4 + int.from_bytes(stream[1:4], "big") :]
        return stream[4 : 4 + int.from_bytes(stream[1:4], "big")]

    def client_scheme(self):
        """By which the client signed."""
        return int.from_bytes(self._message(self._asked, CERTIFICATE_VERIFY)[:2], "big")

    def server_extensions(self):
        hello = self._message(self._answered, SERVER_HELLO)
        rest = hello[34 + 1 + hello[34] + 3 + 2 :]
        found = set()
        while rest:
            found.add(int.from_bytes(rest[:2], "big"))
            rest = rest[4 + int.from_bytes(rest[2:4], "big") :]
        return found


@pytest.fixture(scope="module")
def server(authority):
    return authority.issue("localhost", names=["localhost"])


@pytest.fixture(scope="module")
def rsa_server(authority):
    return authority.issue("localhost", "rsa2048", names=["localhost"])


@pytest.fixture(scope="module")
def rsa_client(authority):
    return authority.issue("ECS-Client", "rsa2048")


@pytest.fixture
def installed(agent, put, good):
    agent.fetch(put(good)).succeeded("installed")
    return agent


@pytest.fixture
def installed_rsa(agent, put, rsa_client, authority):
    agent.fetch(put(document(rsa_client, authority.pem))).succeeded("installed")
    return agent


def kinds(result):
    return [event.get("handshake") for event in result.all("handshake")]


# ---- extended master secret


def go_version():
    said = subprocess.run(["go", "version"], check=True, capture_output=True, text=True).stdout
    return tuple(int(part) for part in re.search(r"go(\d+)\.(\d+)", said).groups())


@pytest.mark.skipif(go_version() < (1, 24), reason="Go before 1.24 has no FIPS mode, and so nothing that insists on it")
@pytest.mark.parametrize("mode", ["on", "only"])
@pytest.mark.parametrize("keys", ["p256", "rsa2048"])
def test_go_in_fips_mode_accepts(agent, put, tmp_path, authority, up, keys, mode):
    """tests/matrix has more servers that insist on it."""
    leaf = authority.issue("localhost", keys, names=["localhost"])
    arn = put(document(authority.issue("ECS-Client", keys), authority.pem))
    strict = with_options(Go, env={"GODEBUG": f"fips140={mode}"}, words=("tls12",))
    running = up(strict(tmp_path / "server", leaf, authority.pem))
    agent.fetch(arn, "--rehearse=require", endpoint=running.endpoint).succeeded("installed")


WITHOUT = {
    "nginx": with_options(Nginx, settings="ssl_conf_command Options -ExtendedMasterSecret;"),
    "gnutls": with_options(GnuTls, groups=":%NO_SESSION_HASH"),
}


@pytest.mark.parametrize("kind", WITHOUT)
def test_a_session_without_it_is_not_kept(installed, tmp_path, server, authority, up, kind):
    """A server that knows sessions, and resumes them with it, as tests/e2e/test_resumption.py has it."""
    running = up(WITHOUT[kind](tmp_path / "server", server, authority.pem))
    result = installed.probe(running.endpoint, "--count=3", prefix=running.enter).succeeded()
    assert kinds(result) == ["full"] * 3


@pytest.mark.parametrize("kind,agreed", [(Nginx, True), (WITHOUT["nginx"], False)])
def test_it_is_agreed_on_where_the_server_has_it(installed, tmp_path, server, authority, up, kind, agreed):
    tap = up(Tap(up(kind(tmp_path / "server", server, authority.pem)).port))
    installed.probe(f"localhost:{tap.port}").succeeded()
    assert (EXTENDED_MASTER_SECRET in tap.server_extensions()) is agreed


def test_it_is_agreed_on_with_aws(agent, aws, put, good, up):
    tap = up(Tap(aws.port))
    env = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{tap.port}"}
    agent.fetch(put(good), env=env).succeeded("installed")
    assert EXTENDED_MASTER_SECRET in tap.server_extensions()


# ---- RSA-PSS


def pss_only(kind, name):
    """A server that signs by RSA-PSS with one hash, and takes nothing else."""
    scheme = f"RSA-PSS+{name}"
    if kind == "openssl":
        return s_server(*VERIFY, "-sigalgs", scheme, "-client_sigalgs", scheme)
    if kind == "nginx":
        commands = ("SignatureAlgorithms", "ClientSignatureAlgorithms")
        return with_options(Nginx, settings=" ".join(f"ssl_conf_command {command} {scheme};" for command in commands))
    return with_options(GnuTls, groups=f":-SIGN-ALL:+SIGN-RSA-PSS-RSAE-{name}:+SIGN-ECDSA-SHA256")


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("kind", ["openssl", "nginx", "gnutls"])
def test_rsa_pss_alone(installed_rsa, tmp_path, rsa_server, authority, up, kind, name):
    running = up(pss_only(kind, name)(tmp_path / "server", rsa_server, authority.pem))
    result = installed_rsa.probe(running.endpoint, prefix=running.enter).succeeded()
    assert result.event("handshake")["signatures"] == 1


@pytest.mark.parametrize("bits", [2049, 3072, 4095, 4096])
def test_rsa_pss_by_keys_of_all_sizes(agent, put, tmp_path, authority, up, bits):
    """Also by those whose encoded message is a byte shorter than the modulus."""
    client = authority.issue("ECS-Client", f"rsa{bits}")
    leaf = authority.issue("localhost", f"rsa{bits // 8 * 8}", names=["localhost"])
    running = up(pss_only("openssl", "SHA256")(tmp_path / "server", leaf, authority.pem))
    arn = put(document(client, authority.pem))
    agent.fetch(arn, "--rehearse=require", endpoint=running.endpoint).succeeded("installed")


SCHEMES = {
    "what all take": (VERIFY, 0x0401),
    **{f"RSA-PSS {name} alone": ((*VERIFY, "-client_sigalgs", f"RSA-PSS+{name}"), HASHES[name]) for name in HASHES},
    "RSA-PSS first": ((*VERIFY, "-client_sigalgs", "RSA-PSS+SHA512:RSA-PSS+SHA256:RSA+SHA384"), 0x0501),
    "RSA-PSS and SHA-1": ((*VERIFY, "-client_sigalgs", "RSA+SHA1:RSA-PSS+SHA512:RSA-PSS+SHA256"), 0x0804),
}


@pytest.mark.parametrize("case", SCHEMES)
def test_how_our_key_signs(installed_rsa, tmp_path, server, authority, up, case):
    """By PKCS#1 wherever it is taken: every server knows that."""
    arguments, scheme = SCHEMES[case]
    tap = up(Tap(up(s_server(*arguments)(tmp_path / "server", server, authority.pem)).port))
    installed_rsa.probe(f"localhost:{tap.port}").succeeded()
    assert tap.client_scheme() == scheme


def test_no_scheme_for_our_key(installed_rsa, tmp_path, server, authority, up):
    """No refusal of the certificate, which the server has not seen."""
    wants = s_server(*VERIFY, "-client_sigalgs", "ECDSA+SHA256")
    running = up(wants(tmp_path / "server", server, authority.pem))
    result = installed_rsa.probe(running.endpoint)
    assert result.status == 76
    handshake = result.event("handshake")
    assert handshake["result"] == "unreachable" and handshake["signatures"] == 0
    assert "takes no SHA-2 signature of this key's type" in handshake["reason"]


# ---- certificates signed by RSA-PSS, which who offers it must take


class PssAuthority(Authority):
    """A CA that signs by RSA-PSS with these parameters."""

    def __init__(self, name, salt, mask, cn="PSS-CA"):
        self._hash, self._padding = name(), padding.PSS(padding.MGF1(mask()), salt)
        super().__init__(cn, "rsa2048")

    def sign(self, builder):
        return builder.sign(self.key, self._hash, rsa_padding=self._padding)


AS_IN_TLS = {
    "SHA-256": (hashes.SHA256, 32, hashes.SHA256),
    "SHA-384": (hashes.SHA384, 48, hashes.SHA384),
    "SHA-512": (hashes.SHA512, 64, hashes.SHA512),
}
OTHERWISE = {
    "a short salt": (hashes.SHA256, 20, hashes.SHA256),
    "another hash's salt": (hashes.SHA384, 32, hashes.SHA384),
    "another hash in MGF1": (hashes.SHA256, 32, hashes.SHA384),
    "SHA-224": (hashes.SHA224, 28, hashes.SHA224),
}


def enclave_of(issuer, tmp_path):
    """nginx with a leaf of this CA."""
    return Nginx(tmp_path / "server", issuer.issue("localhost", names=["localhost"]), issuer.pem)


@pytest.mark.parametrize("name", AS_IN_TLS)
def test_chains_signed_by_rsa_pss(agent, put, tmp_path, up, name):
    issuer = PssAuthority(*AS_IN_TLS[name])
    arn = put(document(issuer.issue("ECS-Client"), issuer.pem))
    agent.fetch(arn, "--rehearse=require", endpoint=up(enclave_of(issuer, tmp_path)).endpoint).succeeded("installed")
    assert f"RSASSA-PSS with {name}" in agent.run("inspect", f"--dir={agent.dir}").stdout


@pytest.mark.parametrize("name", OTHERWISE)
def test_other_parameters_are_named(agent, put, pair, tmp_path, up, name):
    issuer = PssAuthority(*OTHERWISE[name])
    agent.fetch(put(document(pair, issuer.pem))).succeeded("installed")
    handshake = agent.probe(up(enclave_of(issuer, tmp_path)).endpoint).event("handshake")
    assert handshake["result"] == "untrusted"
    assert "RSASSA-PSS with parameters that TLS does not have" in handshake["reason"]


def test_a_chain_that_another_key_signed(agent, put, pair, tmp_path, up):
    issuer, namesake = (PssAuthority(*AS_IN_TLS["SHA-256"]) for _ in range(2))
    agent.fetch(put(document(pair, issuer.pem))).succeeded("installed")
    handshake = agent.probe(up(enclave_of(namesake, tmp_path)).endpoint).event("handshake")
    assert handshake["result"] == "untrusted" and "was not signed by the key of" in handshake["reason"]
