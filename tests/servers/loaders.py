# SPDX-License-Identifier: Apache-2.0
"""Loads an installed set as programs do, in four languages; an exception where one of them does not take it."""

import ssl
import subprocess
from pathlib import Path

from .enclave import HERE, go_program
from .pki import openssl


def run(*command):
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def load_openssl(directory):
    """Its key is whole, it is the leaf's, and each file holds certificates that it can read."""
    key = openssl("pkey", "-in", "client.key", "-check", "-noout", cwd=directory)
    assert "Key is valid" in key
    public = openssl("pkey", "-in", "client.key", "-pubout", cwd=directory)
    assert openssl("x509", "-in", "client.crt", "-pubkey", "-noout", cwd=directory) == public
    for name in ("client.crt", "ca.crt"):
        listed = openssl("storeutl", "-noout", "-certs", name, cwd=directory)
        count = (Path(directory) / name).read_text().count("BEGIN CERTIFICATE")
        assert f"Total found: {count}" in listed


def load_python(directory):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(Path(directory) / "client.crt", Path(directory) / "client.key")
    context.load_verify_locations(Path(directory) / "ca.crt")


def load_node(directory):
    run("node", HERE / "load.js", directory)


def load_go(directory):
    run(go_program(HERE / "load.go"), directory)


LOADERS = {"openssl": load_openssl, "python": load_python, "node": load_node, "go": load_go}
