# SPDX-License-Identifier: Apache-2.0
"""What applications and people do with the installed identity: our example clients, curl and openssl."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from servers.enclave import go
from servers.pki import Commands, document
from servers.process import BUILD

CLIENTS = Path(__file__).resolve().parents[2] / "platform" / "clients"
COMMANDS = {
    "python": lambda: [sys.executable, CLIENTS / "python/watermark.py"],
    "node": lambda: ["node", CLIENTS / "node/watermark.js"],
    "go": lambda: [go_client()],
}
CLIENT = pytest.mark.parametrize("client", COMMANDS)


def go_client():
    """Each time; go itself keeps what has not changed."""
    program = BUILD / "tests/watermark-go"
    made = program.with_suffix(f".{os.getpid()}")
    go("build", "-buildvcs=false", "-o", made, "./watermark", cwd=CLIENTS / "go", GO111MODULE="on", GOPROXY="off")
    return made.rename(program)


@pytest.fixture(scope="module")
def nginx(enclaves):
    return enclaves["nginx"]


@pytest.fixture(scope="module")
def second(pki, tmp_path_factory):
    """The next client certificate of the README's CA."""
    directory = tmp_path_factory.mktemp("second")
    for name in ("ca.crt", "ca.key"):
        shutil.copy(pki.dir / name, directory)
    commands = Commands(directory)
    commands.make_client("ECS-Client-2")
    return document(commands.pair("client"), commands.ca_pem)


@pytest.fixture
def arn(put, pki):
    return put(document(pki.pair("client"), pki.ca_pem))


@pytest.fixture
def installed(agent, arn, nginx):
    """The README's identity, fetched and tried."""
    agent.fetch(arn, endpoint=nginx.endpoint).succeeded("installed")
    return agent


def environment(directory, server):
    variables = {"CERT_DIR": str(directory), "ENCLAVE_ENDPOINT": f"https://{server.endpoint}"}
    return {"PATH": os.environ["PATH"], "HOME": str(directory), **variables}


def run(*argv, env=None):
    return subprocess.run(
        [*map(str, argv)], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def succeeded(*argv, env=None):
    done = run(*argv, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(agent, *names):
    return [agent.dir / name for name in names]


# ---- our examples


@CLIENT
def test_a_client_is_answered(installed, nginx, client):
    answer = json.loads(succeeded(*COMMANDS[client](), env=environment(installed.dir, nginx)))
    assert answer == {"watermark": "c2VlbiBhbmQgc2lnbmVk", "client": "CN=ECS-Client"}


@CLIENT
def test_plain_files_do_as_well(installed, nginx, tmp_path, client):
    """Without ..data: what others put there."""
    for path in files(installed, "client.crt", "client.key", "ca.crt"):
        shutil.copy(path, tmp_path / path.name)
    answer = json.loads(succeeded(*COMMANDS[client](), env=environment(tmp_path, nginx)))
    assert answer["client"] == "CN=ECS-Client"


@CLIENT
def test_another_ca_is_not_trusted(agent, put, pki, stranger, nginx, client):
    agent.fetch(put(document(pki.pair("client"), stranger.pem))).succeeded("installed")
    done = run(*COMMANDS[client](), env=environment(agent.dir, nginx))
    assert done.returncode == 1 and "certificate" in done.stderr.lower() and not done.stdout


@CLIENT
def test_a_rotation_is_seen(installed, aws, arn, second, nginx, client):
    """By a program that goes on, at its next request."""
    with subprocess.Popen(
        [*map(str, COMMANDS[client]()), "0.05"],
        env=environment(installed.dir, nginx),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert json.loads(running.stdout.readline())["client"] == "CN=ECS-Client"
            aws.rotate(arn, second)
            installed.fetch(arn, endpoint=nginx.endpoint).succeeded("installed")
            assert any(json.loads(line)["client"] == "CN=ECS-Client-2" for line in running.stdout)
        finally:
            running.kill()


@CLIENT
def test_a_set_that_goes_between_two_reads(installed, nginx, tmp_path, client):
    """The first file that is read is a pipe, so that the client is in the middle when the set is replaced and gone."""
    for name in ("..set-1", "..set-2"):
        shutil.copytree((installed.dir / "..data").resolve(), tmp_path / name)
    (tmp_path / "..data").symlink_to("..set-1")
    first = tmp_path / "..set-1" / ("ca.crt" if client == "python" else "client.crt")
    content = first.read_bytes()
    first.unlink()
    os.mkfifo(first)
    with subprocess.Popen(
        [*map(str, COMMANDS[client]())],
        env=environment(tmp_path, nginx),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            with open(first, "wb") as pipe:
                (tmp_path / "new").symlink_to("..set-2")
                (tmp_path / "new").rename(tmp_path / "..data")
                (tmp_path / "..set-1/client.key").unlink()
                pipe.write(content)
            assert json.loads(running.communicate(timeout=60)[0])["client"] == "CN=ECS-Client"
        finally:
            running.kill()


# ---- by hand


@pytest.mark.parametrize("path", ["/health", "/api/watermark"])
def test_curl(installed, nginx, path):
    cert, key, ca = files(installed, "client.crt", "client.key", "ca.crt")
    url = f"https://{nginx.endpoint}{path}"
    answer = succeeded("curl", "-sSv", "--cert", cert, "--key", key, "--cacert", ca, url)
    assert json.loads(answer)["client"] == "CN=ECS-Client"


def test_curl_without_the_identity(installed, nginx):
    (ca,) = files(installed, "ca.crt")
    assert "400 No required SSL certificate" in succeeded(
        "curl", "-sS", "--cacert", ca, f"https://{nginx.endpoint}/health"
    )


def test_openssl_shows_the_certificate(installed):
    (cert,) = files(installed, "client.crt")
    text = succeeded("openssl", "x509", "-in", cert, "-text", "-noout")
    assert "CN = ECS-Client" in text or "CN=ECS-Client" in text


def test_openssl_verifies_it(installed):
    cert, ca = files(installed, "client.crt", "ca.crt")
    assert succeeded("openssl", "verify", "-CAfile", ca, cert) == f"{cert}: OK\n"


def test_openssl_finds_its_key(installed):
    cert, key = files(installed, "client.crt", "client.key")
    of_cert = succeeded("openssl", "x509", "-in", cert, "-noout", "-pubkey")
    assert of_cert == succeeded("openssl", "pkey", "-in", key, "-pubout")


def test_openssl_connects(installed, nginx):
    cert, key, ca = files(installed, "client.crt", "client.key", "ca.crt")
    peer = ["-connect", nginx.endpoint, "-verify_return_error"]
    shown = succeeded("openssl", "s_client", *peer, "-cert", cert, "-key", key, "-CAfile", ca)
    assert "Verify return code: 0 (ok)" in shown


def test_ls_shows_links(installed):
    listed = succeeded("ls", "-la", installed.dir)
    for name in ("client.crt", "client.key", "ca.crt"):
        assert f"{name} -> ..data/{name}" in listed
