# SPDX-License-Identifier: Apache-2.0
"""tools/make-certs: what it makes passes the agent, OpenSSL, Go, Python and Node, as strictly as they can look."""

import datetime
import json
import shutil
import socket
import ssl
import stat
import subprocess

import pytest
from cryptography import x509
from cryptography.x509 import DNSName
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from agent import PROGRAMS, ROOT, snapshot
from servers.enclave import HERE, KINDS, Nginx, go_program
from servers.loaders import LOADERS
from servers.pki import Pair, openssl

NAMES = ("enclave.test", "localhost", "127.0.0.1", "::1")


class Tool:
    def __init__(self, directory):
        self.dir = directory

    def run(self, *arguments):
        command = [ROOT / "tools/make-certs", f"--dir={self.dir}", *arguments]
        return subprocess.run(command, text=True, capture_output=True, stdin=subprocess.DEVNULL)

    def make(self, *arguments):
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def text(self, name):
        return (self.dir / name).read_text()

    def certificate(self, name):
        return x509.load_pem_x509_certificate(self.text(name).encode())

    def pair(self, name):
        return Pair(self.text(f"{name}.crt"), self.text(f"{name}.key"))


@pytest.fixture(scope="module", params=["p256", "p384", "rsa2048"])
def made(request, tmp_path_factory):
    """A PKI of each kind of key."""
    tool = Tool(tmp_path_factory.mktemp("made") / "pki")
    tool.secret = tool.make(f"--key={request.param}", "--secret-json", "all", *NAMES)
    return tool


@pytest.fixture
def tool(tmp_path):
    return Tool(tmp_path / "pki")


def test_openssl_is_strict_about_it(made):
    strict = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-CAfile", "ca.crt"]

    def accepts(*arguments):
        return subprocess.run([*strict, *arguments], cwd=made.dir, capture_output=True).returncode == 0

    for purpose, right, wrong in (("sslclient", "client", "server"), ("sslserver", "server", "client")):
        assert accepts("-purpose", purpose, f"{right}.crt")
        assert not accepts("-purpose", purpose, f"{wrong}.crt")
    assert accepts("-verify_hostname", "enclave.test", "server.crt")
    assert accepts("-verify_ip", "127.0.0.1", "server.crt")
    assert not accepts("-verify_hostname", "other.test", "server.crt")


def test_a_verifier_by_rfc_5280_takes_it(made):
    """pyca/cryptography's, which keeps to the public PKI's rules."""
    builder = PolicyBuilder().store(Store([made.certificate("ca.crt")]))
    builder.build_server_verifier(DNSName("enclave.test")).verify(made.certificate("server.crt"), [])


def test_the_strict_profile_takes_it(made, tmp_path):
    """As the agent looks at AWS."""
    program = PROGRAMS / "conformance"
    if not program.exists():
        pytest.skip("make conformance builds it")
    case = {
        "features": [],
        "validation_kind": "SERVER",
        "trusted_certs": [made.text("ca.crt")],
        "untrusted_intermediates": [],
        "peer_certificate": made.text("server.crt"),
    }
    names = [{"kind": "DNS", "value": "enclave.test"}, {"kind": "IP", "value": "127.0.0.1"}]
    cases = [{"id": name["kind"], "expected_peer_name": name, **case} for name in names]
    (tmp_path / "suite").write_text(json.dumps({"version": 1, "testcases": cases}))
    done = subprocess.run([program, "limbo", tmp_path / "suite"], capture_output=True, check=True)
    results = [each["actual_result"] for each in json.loads(done.stdout)["results"]]
    assert results == ["SUCCESS", "SUCCESS"]


def test_extensions(made):
    ca, client, server = (made.certificate(f"{name}.crt") for name in ("ca", "client", "server"))
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).critical
    assert ca.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    for leaf, purpose in (
        (client, ExtendedKeyUsageOID.CLIENT_AUTH),
        (server, ExtendedKeyUsageOID.SERVER_AUTH),
    ):
        extensions = leaf.extensions
        assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [purpose]
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        assert usage.digital_signature and not usage.key_cert_sign
        assert (
            extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == identifier
        )
        assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc) == datetime.timedelta(days=365)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == list(NAMES)
    serials = {each.serial_number for each in (ca, client, server)}
    assert len(serials) == 3 and all(0 < each.bit_length() < 160 for each in serials)


def test_modes(made):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.dir.iterdir()}
    assert modes == {
        f"{name}.{end}": 0o600 if end == "key" else 0o644
        for name in ("ca", "client", "server")
        for end in ("crt", "key")
    }


def test_the_document(made, agent, put):
    assert json.loads(made.secret) == {
        "client_cert": made.text("client.crt"),
        "client_key": made.text("client.key"),
        "ca_cert": made.text("ca.crt"),
    }
    agent.fetch(put(made.secret), "--client-chain=require", "--expect-subject=ECS-Client").succeeded(
        "installed"
    )
    for load in LOADERS.values():
        load(agent.dir)
    assert agent.run("inspect", f"--dir={agent.dir}").status == 0
    assert agent.run("inspect", made.dir / "server.crt").status == 0


@pytest.mark.parametrize("kind", KINDS)
def test_enclaves_accept_it(made, agent, put, tmp_path, up, kind):
    """Each shows the server's certificate and verifies the client's."""
    server = up(KINDS[kind](tmp_path / kind, made.pair("server"), made.text("ca.crt")))
    result = agent.fetch(put(made.secret), endpoint=server.endpoint).succeeded("installed")
    assert result.event("handshake")["result"] == "accepted"


@pytest.mark.parametrize("client", ["python", "node", "go", "openssl"])
def test_clients_accept_the_server(made, tmp_path, up, client):
    """By its name and by its address."""
    server = up(Nginx(tmp_path / "enclave", made.pair("server"), made.text("ca.crt")))
    for host in ("localhost", "127.0.0.1"):
        CLIENTS[client](made.dir, host, server.port)


def python_client(directory, host, port):
    context = ssl.create_default_context(cafile=directory / "ca.crt")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(directory / "client.crt", directory / "client.key")
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with context.wrap_socket(plain, server_hostname=host) as tls:
            tls.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            assert b"healthy" in tls.recv(4096) + tls.recv(4096)


def node_client(directory, host, port):
    script = """
        const fs = require("fs"), https = require("https"), [dir, host, port] = process.argv.slice(1);
        const read = (name) => fs.readFileSync(`${dir}/${name}`);
        https.get({ host, port, path: "/health", ca: read("ca.crt"), cert: read("client.crt"), key: read("client.key") },
            (answer) => { console.log(answer.statusCode); answer.resume(); });
    """
    command = ["node", "-e", script, str(directory), host, str(port)]
    assert subprocess.run(command, text=True, capture_output=True, check=True).stdout == "200\n"


def go_client(directory, host, port):
    program = go_program(HERE / "client.go")
    command = [program, str(directory), f"https://{host}:{port}/health"]
    assert subprocess.run(command, text=True, capture_output=True, check=True).stdout == "200\n"


def openssl_client(directory, host, port):
    verify = "-verify_ip" if host[0].isdigit() else "-verify_hostname"
    files = ["-CAfile", "ca.crt", "-cert", "client.crt", "-key", "client.key"]
    done = openssl(
        *["s_client", "-connect", f"127.0.0.1:{port}", "-x509_strict", "-verify_return_error", "-brief"],
        *[verify, host, *files],
        cwd=directory,
    )
    assert "error" not in done.lower()


CLIENTS = {"python": python_client, "node": node_client, "go": go_client, "openssl": openssl_client}


# ---- rotation


def test_rotation_with_overlap(tool, agent, aws, put, tmp_path, up):
    """Both sides trust both CAs first; then each gets its new certificate, in any order; then the old CA goes."""
    tool.make("all", "localhost")
    following = Tool(tool.dir / "next")
    tool.make("rotate")
    both = following.text("ca-bundle.crt")
    assert both == following.text("ca.crt") + tool.text("ca.crt")
    following.make("client")
    following.make("server", "localhost")

    old_server = up(Nginx(tmp_path / "old", tool.pair("server"), both))
    new_server = up(Nginx(tmp_path / "new", following.pair("server"), both))
    endpoints = [old_server.endpoint, new_server.endpoint]
    arn = put(tool.make("--secret-json"))
    agent.fetch(arn, endpoint=old_server.endpoint).succeeded("installed")
    aws.rotate(arn, following.make("--secret-json"))
    agent.fetch(arn, "--rehearse=require", endpoint=endpoints).succeeded("installed")
    assert agent.file("ca.crt") == both

    (following.dir / "ca-bundle.crt").unlink()
    aws.rotate(arn, following.make("--secret-json"))
    agent.fetch(arn, endpoint=new_server.endpoint).succeeded("installed")
    assert agent.file("ca.crt") == following.text("ca.crt")
    agent.fetch(arn, "--rehearse=require", endpoint=endpoints).failed(76, "enclave_untrusted")


# ---- what it refuses


@pytest.mark.parametrize(
    "arguments",
    [["ca"], ["client"], ["server", "localhost"], ["all", "localhost"], ["--key=rsa2048", "client", "Other"]],
)
def test_nothing_is_overwritten(tool, arguments):
    tool.make("all", "localhost")
    before = snapshot(tool.dir)
    done = tool.run(*arguments)
    assert done.returncode == 1 and "exists" in done.stderr
    after = snapshot(tool.dir)
    for seen in (before, after):
        del seen[str(tool.dir)]  # its own time changes
    assert after == before


def test_a_link_is_not_written_through(tool, tmp_path):
    tool.dir.mkdir()
    (tool.dir / "ca.key").symlink_to(tmp_path / "elsewhere")
    assert tool.run("ca").returncode == 1
    assert not (tmp_path / "elsewhere").exists() and [path.name for path in tool.dir.iterdir()] == ["ca.key"]


# What the agent never matches: it takes some for addresses, and for a wildcard a whole first label alone.
NEVER = ["a.1", "0x7f000001", "a.0x", "a*.b", "*a.b", "a.*.b", "*", "a.b.", f"{'a' * 64}.b", ".".join(["a" * 60] * 5)]


@pytest.mark.parametrize(
    "arguments",
    [
        ["server"],
        ["server", "a b"],
        ["server", "DNS:x,IP:1.2.3.4"],
        ["server", "x\nURI:y"],
        ["server", "spiffe://a/b"],
        *([kind, *cn, name] for kind, *cn in (["server"], ["client", "Web"]) for name in NEVER),
        ["all", "a.1"],
        ["client", " a"],
        ["client", "a/O=b"],
        ["client", ""],
        ["client", "x" * 65],
        ["--key=p521", "client"],
        ["--days=0", "client"],
        ["--days=1e9", "client"],
        ["everything"],
        ["--verbose", "ca"],
        [],
    ],
)
def test_wrong_use(tool, arguments):
    tool.make("ca")
    done = tool.run(*arguments)
    assert done.returncode == 2 and "--help" in done.stderr
    assert {path.name for path in tool.dir.iterdir()} == {"ca.crt", "ca.key"}


def test_without_a_ca(tool):
    assert tool.run("client").returncode == 1
    assert tool.run("--secret-json").returncode == 1
    assert tool.run("rotate").returncode == 1


def test_clients_names(tool, agent, put):
    tool.make("ca")
    out = tool.make("--secret-json", "client", "Web", "web.example", "10.0.0.7", "spiffe://prod/web")
    guards = ["--expect-subject=CN=Web", "--expect-san=web.example,10.0.0.7,spiffe://prod/web"]
    agent.fetch(put(out), *guards).succeeded("installed")


@pytest.mark.parametrize("name,host", [("*.enclave.test", "a.enclave.test"), ("10.example", "10.example")])
def test_unusual_names_that_match(tool, tmp_path, agent, up, put, name, host):
    out = tool.make("--secret-json", "all", name)
    enclave = up(Nginx(tmp_path / "enclave", tool.pair("server"), tool.text("ca.crt")))
    port = enclave.endpoint.rpartition(":")[2]
    agent.fetch(put(out), "--rehearse=require", endpoint=f"{host}@127.0.0.1:{port}").succeeded("installed")


@pytest.mark.skipif(not shutil.which("dash"), reason="there is no dash")
def test_a_plain_shell_is_enough(tool):
    command = ["dash", str(ROOT / "tools/make-certs"), "--dir", str(tool.dir), "all", "localhost"]
    assert subprocess.run(command, stdin=subprocess.DEVNULL).returncode == 0
