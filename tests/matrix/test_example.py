# SPDX-License-Identifier: Apache-2.0
"""platform/enclave, the example of an enclave: it enrols by attestation, and is attested. Its NSM is a stand-in with a made-up root."""

import base64
import json
import os
import socket
import subprocess
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from agent import PROGRAM, ROOT
from programs import Missing, need
from servers.nitro import DEBUG, Hardware, pcr_set
from servers.pki import DAY, alternative_names
from servers.process import BUILD, Process, start_on

SOURCE = ROOT / "platform/enclave"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a file of roots must be root's")


@pytest.fixture(scope="module")
def program():
    try:
        need("cargo", "cc")
    except Missing as missing:
        pytest.skip(str(missing))
    target = BUILD / "enclave"
    subprocess.run(
        ["cargo", "build", "--locked", "--features", "stand-in"],
        cwd=SOURCE,
        check=True,
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
    )
    return target / "debug/enclave"


class Service:
    """A listener of which each connection is one call of serve(stream)."""

    def __init__(self, listener):
        self.listener = listener
        self.listener.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                self.serve(stream)

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Nsm(Service):
    """In place of /dev/nsm."""

    def __init__(self, path, hardware):
        self.path, self.hardware, self.options = path, hardware, {}
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        super().__init__(listener)

    def serve(self, stream):
        words = [None if word == b"-" else bytes.fromhex(word.decode()) for word in stream.readline().split()]
        fields = dict(zip(("nonce", "user_data", "public_key"), words))
        stream.write(self.hardware.document(**fields, **self.options))


class Signer(Service):
    """The CA's service: it signs a request whose key a good image attests with the nonce that was given out."""

    def __init__(self, authority, root, directory):
        self.authority, self.root, self.directory = authority, root, directory
        self.refused = []
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        super().__init__(listener)

    def serve(self, stream):
        nonce = os.urandom(20)
        stream.write(nonce.hex().encode() + b"\n")
        stream.flush()
        request, attestation = (base64.b64decode(word) for word in stream.readline().split())
        request = x509.load_der_x509_csr(request)
        key = request.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        path = self.directory / "to-be-signed"
        path.write_bytes(attestation)
        done = subprocess.run(
            [PROGRAM, "attest", path, "--json", self.root, f"--attest-pcr={pcr_set()}"],
            capture_output=True,
            timeout=60,
            check=False,
        )
        found = json.loads(done.stdout)[0]
        good = done.returncode == 0 and found["nonce"] == nonce.hex() and found["public_key"] == key.hex()
        if good and request.is_signature_valid:
            stream.write(self.sign(request).encode())
        else:
            self.refused.append(found["result"])

    def sign(self, request):
        builder = self.authority._builder(request.subject, request.public_key(), self.authority, (-DAY, DAY))
        builder = builder.add_extension(alternative_names(["localhost"]), False)
        return builder.sign(self.authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def parts(program, tmp_path, up, authority):
    """What stands around the example: hardware, NSM, the CA's service."""

    class Parts:
        hardware = Hardware()

        def start(self):
            def launch(port):
                environment = {
                    "LISTEN": f"127.0.0.1:{port}",
                    "NAME": "localhost",
                    "CA": f"127.0.0.1:{self.signer.port}",
                    "CLIENT_CA": str(tmp_path / "clients.crt"),
                    "NSM_STAND_IN": str(self.nsm.path),
                }
                return Process([program], tmp_path / "enclave.log", environment)

            process, port = start_on(None, launch, "127.0.0.1")
            up(process)
            return f"localhost:{port}"

    made = Parts()
    (tmp_path / "clients.crt").write_text(authority.pem)
    (tmp_path / "roots").write_text(made.hardware.fingerprint)
    made.root = f"--attest-root={tmp_path / 'roots'}"
    made.nsm = up(Nsm(tmp_path / "nsm", made.hardware))
    made.signer = up(Signer(authority, made.root, tmp_path))
    return made


def test_the_example(parts, agent, put, good):
    endpoint = parts.start()
    require = ["--attest=require", parts.root, f"--attest-pcr={pcr_set()}"]
    arn = put(good)
    result = agent.fetch(arn, *require, endpoint=endpoint).succeeded("installed")
    handshake = result.event("handshake")
    assert (handshake["attestation"], handshake["status"]) == ("attested_other_root", 200)
    assert "watermark" in agent.probe(endpoint, "--request=/api/watermark").stdout
    for nonce in ("", "zz", "00" * 65):
        wrong = agent.probe(endpoint, "--json", f"--health-path=/attestation?nonce={nonce}&user_data=00")
        assert json.loads(wrong.stdout)[0]["status"] == 400
    parts.nsm.options = {"pcrs": DEBUG}
    agent.fetch(arn, *require, endpoint=endpoint).failed(76, "attested_debug")


def test_nobody_signs_for_a_debug_image(parts, tmp_path):
    parts.nsm.options = {"pcrs": DEBUG}
    with pytest.raises(Exception):
        parts.start()
    assert parts.signer.refused and set(parts.signer.refused) == {"attested_debug"}
    assert "the CA has signed nothing" in (tmp_path / "enclave.log").read_text()
