# SPDX-License-Identifier: Apache-2.0
"""Whom to trust for AWS, by a file or by the text itself."""

import os
from pathlib import Path

import pytest

NONE = {"AWS_CA_BUNDLE": None}


@pytest.fixture
def fetch_with(agent, put, good, tmp_path):
    """Fetches with these lines in the configuration file."""

    def fetch(text, arn=None):
        (tmp_path / "conf").write_text(text)
        return agent.fetch(arn or put(good), f"--config={tmp_path}/conf", env=NONE)

    return fetch


def test_an_option(agent, aws, put, good):
    agent.fetch(put(good), f"--ca-bundle={aws.ca_bundle}", env=NONE).succeeded("installed")


def test_it_wins_over_the_variable(agent, aws, put, good):
    environment = {"AWS_CA_BUNDLE": "/nowhere"}
    agent.fetch(put(good), f"--ca-bundle={aws.ca_bundle}", env=environment).succeeded("installed")
    agent.fetch(put(good), env=environment).failed(78, "config")


@pytest.mark.parametrize("line", ["ca-bundle = {}", "AWS_CA_BUNDLE = {}"])
def test_a_path_in_the_file(aws, fetch_with, line):
    fetch_with(line.format(aws.ca_bundle)).succeeded("installed")


@pytest.mark.parametrize(
    "layout",
    [
        "ca-bundle = {true}combined = yes\n",
        "combined = yes\nca-bundle={other}{true}",
        "ca-bundle =\t{true}{other}# more\ncombined = yes",
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_inline(agent, aws, fetch_with, stranger, layout, ends):
    text = layout.format(true=aws.ca_bundle.read_text(), other=stranger.pem)
    fetch_with(text.replace("\n", ends)).succeeded("installed")
    assert (agent.dir / "client.pem").exists() == ("combined" in layout)


def test_inline_indented(aws, fetch_with):
    lines = aws.ca_bundle.read_text().splitlines()
    fetch_with("ca-bundle = " + "\n    ".join(lines) + "\n").succeeded("installed")


def test_inline_in_the_environment(agent, aws, put, good):
    environment = {**NONE, "MTLS_AGENT_CA_BUNDLE": aws.ca_bundle.read_text()}
    agent.fetch(put(good), env=environment).succeeded("installed")


def test_another_one_does_not_do(fetch_with, stranger):
    fetch_with(f"ca-bundle = {stranger.pem}").failed(69, "aws_untrusted")


@pytest.mark.parametrize(
    ("make", "line", "part"),
    [
        (lambda pem, key: f"combined = yes\nca-bundle = {pem[:200]}\nregion = x\n", 2, "has no line -----END"),
        (lambda pem, key: f"ca-bundle = {key}", 1, "holds a private key"),
        (lambda pem, key: f"ca-bundle = {pem}{key}", 1, "holds a private key"),
        (lambda pem, key: f"ca-bundle = {pem}wrong = 1\n", None, "unknown option"),
        (lambda pem, key: f"ca-bundle = {pem}\n{pem}", None, "follow each other without a gap"),
        (lambda pem, key: f"region = {key}", 1, "holds a private key"),
    ],
)
def test_mistakes_say_where_they_are(aws, fetch_with, pair, make, line, part):
    text = make(aws.ca_bundle.read_text(), pair.key)
    result = fetch_with(text, arn="mtls/x")
    assert result.status == 78
    number = line or text.count("\n", 0, text.rindex("-----END")) + 2
    if "\n\n" in text:
        number = text.count("\n", 0, text.index("\n\n")) + 3
    assert f"line {number}:" in result.stderr and part in result.stderr
    assert pair.key.splitlines()[1][:20] not in result.stderr


def test_a_damaged_certificate(aws, fetch_with):
    text = aws.ca_bundle.read_text().replace("MII", "MI*", 1)
    result = fetch_with(f"ca-bundle = {text}")
    assert result.status == 78 and "code=config" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("how", ["owner", "mode", "directory"])
def test_a_bundle_that_others_could_have_written(agent, aws, put, good, tmp_path, how):
    """Who writes it chooses which server is taken for AWS."""
    directory = tmp_path / "bundles"
    directory.mkdir()
    bundle = directory / "ca.pem"
    bundle.write_bytes(Path(aws.ca_bundle).read_bytes())
    bundle.chmod(0o644)
    if how == "owner":
        os.chown(bundle, 65534, 65534)
    elif how == "mode":
        bundle.chmod(0o664)
    else:
        directory.chmod(0o777)
    error = agent.fetch(put(good), f"--ca-bundle={bundle}").failed(78, "config")
    assert "stranger" in error["reason"] or "chmod go-w" in error["reason"]
