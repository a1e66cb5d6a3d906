# SPDX-License-Identifier: Apache-2.0
"""The quick starts for containers of docs/start.md, word for word, as somebody does who comes by."""

import base64
import json
import re
import shutil

import pytest

from agent import PROGRAM, ROOT
from bottlerocket import Host
from conftest import SECRET
from images import agent_image
from oci import Container, Runtime, bind


def block(beginning):
    """The first indented lines behind this heading, and the text behind them."""
    text = (ROOT / "docs/start.md").read_text()
    behind = text[text.index(f"\n{beginning}") :]
    indented = re.search(r"\n\n((?: {4}.*\n)+)", behind)
    return re.sub(r"(?m)^ {4}", "", indented[1]), behind[indented.end() :]


def build(dockerfile, directory):
    """The root of an image FROM scratch, and its entry point."""
    first, *instructions = dockerfile.splitlines()
    assert first == "FROM scratch"
    entrypoint = None
    for instruction, rest in (line.split(" ", 1) for line in instructions):
        if instruction == "COPY":
            source, place = rest.split()
            assert source == PROGRAM.name
            shutil.copy(PROGRAM, directory / place.lstrip("/"))
        elif instruction == "ENTRYPOINT":
            entrypoint = json.loads(rest)
        else:
            pytest.fail(f"the page's Dockerfile has {instruction}")
    return entrypoint


def test_the_scratch_image(tmp_path, surroundings, secret, aws_server):
    dockerfile, behind = block("## In a scratch image")
    sentence = behind.strip().split(".")[0]
    variables = re.findall(r"`([A-Z_]+)`", sentence)
    (place,) = re.findall(r"`(/[a-z/]+)`", sentence)
    values = {"MTLS_AGENT_SECRET": secret.arn, "ENCLAVE_ENDPOINT": "https://enclave.example.com:3000"}
    root, volume = tmp_path / "root", tmp_path / "volume"
    root.mkdir()
    volume.mkdir()
    container = Container(
        Runtime(tmp_path / "containers", surroundings.network),
        "readme",
        root,
        build(dockerfile, root),
        environment={**surroundings.variables, **{name: values[name] for name in variables}},
        mounts=[
            *surroundings.mounts,
            bind(aws_server.ca_bundle, "/aws-ca.pem", "ro"),
            bind(volume, place, "rw"),
        ],
        memlock=8388608,
    )
    assert container.wait() == 0, container.said()
    assert "installed" in container.said() and (volume / "client.key").exists()


def test_the_bottlerocket_user_data(tmp_path, surroundings, secret, aws_server):
    text, _ = block("## On Bottlerocket")
    assert SECRET in text
    told = f"{text.replace(SECRET, secret.arn)}ca-bundle = {aws_server.ca_bundle.read_text()}"
    host = Host(Runtime(tmp_path / "containers", surroundings.network), tmp_path, surroundings.mounts)
    settings = {"user-data": base64.b64encode(told.encode()).decode(), "essential": True}
    container, goes_on = host.boot(settings, agent_image("host", tmp_path / "image"))
    assert goes_on, container.said()
    assert "client.key 640 0:10001" in host.installed("/run/mtls-agent")
