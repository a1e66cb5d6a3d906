# SPDX-License-Identifier: Apache-2.0
"""What a fetch leaves in memory when its work is done, whatever came of it: the agent stops there to be read."""

import json
import os
import re
import signal

import pytest
from cryptography.hazmat.primitives import serialization

from conftest import variant
from left import assert_all_wiped, assert_only_declared
from look import Arena, wait_stopped
from servers.aws import aws_error
from servers.container import ContainerCredentials
from servers.imds import Imds
from servers.pki import DAY, Pair, document, key_pem, new_key
from servers.process import free_port
from test_credentials import NO_KEYS


@pytest.fixture
def leaves(launch, agent, look):
    """leaves(secret, ...) runs a fetch, looks when its work is over and when it has wiped all; the Result."""

    def fetch(secret, *arguments, env=None, **options):
        arguments = agent.fetch_arguments(secret, "--log-level=debug", *arguments, **options)
        running = launch(*arguments, env=env, program=variant("pausing"))
        wait_stopped(running.pid)
        assert_only_declared(*look(running.pid))
        os.kill(running.pid, signal.SIGCONT)
        wait_stopped(running.pid)
        assert_all_wiped(*look(running.pid))
        os.kill(running.pid, signal.SIGCONT)
        return running.finish()

    return fetch


def assert_clean(secrets, scanner, result):
    assert not scanner.scan(secrets.all(), (result.stderr + result.stdout).encode())


# ---- what is installed


def test_of_a_good_identity(leaves, put, secrets, scanner, client, client_document, enclave, agent):
    secrets.key(client.key)
    result = leaves(put(client_document), endpoint=enclave.endpoint).succeeded("installed")
    assert_clean(secrets, scanner, result)
    assert scanner.scan(secrets.all(), agent.file("client.key").encode())
    leaves(put(client_document), endpoint=enclave.endpoint).succeeded("installed")


def test_of_an_unchanged_one(leaves, put, secrets, client, client_document, enclave):
    """Read from the disk, proved and rehearsed again."""
    secrets.key(client.key)
    arn = put(client_document)
    leaves(arn).succeeded("installed")
    leaves(arn, endpoint=enclave.endpoint).succeeded("unchanged")


@pytest.mark.parametrize("arguments", [["--combined"], ["--dry-run"], ["--rehearse=off"]])
def test_of_variants(leaves, put, secrets, client, client_document, enclave, arguments):
    secrets.key(client.key)
    assert leaves(put(client_document), *arguments, endpoint=enclave.endpoint).status == 0


def test_of_a_rollback(leaves, put, aws, secrets, pairs, authority, enclave):
    old, new = (pairs[kind] for kind in ("p256", "rsa4096"))
    secrets.key(old.key, "key-1").key(new.key, "key-2")
    arn = put(document(old, authority.pem))
    leaves(arn).succeeded("installed")
    aws.rotate(arn, document(new, authority.pem))
    leaves(arn).succeeded("installed")
    leaves(arn, "--rollback", endpoint=enclave.endpoint).succeeded("rolled_back")


# ---- where credentials come from


def test_of_metadata(leaves, aws, put, good, secrets, up, enclave, pair):
    session = aws.session()
    imds = up(Imds(session))
    secrets.session(session).key(pair.key)
    leaves(put(good), endpoint=enclave.endpoint, env={**NO_KEYS, **imds.environment()}).succeeded("installed")


def test_of_a_container(leaves, aws, put, good, secrets, up):
    session = aws.session()
    token = "Bearer " + os.urandom(30).hex()
    container = up(ContainerCredentials(session, token))
    secrets.session(session).text("token", token)
    environment = {
        **NO_KEYS,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
    }
    leaves(put(good), env=environment).succeeded("installed")


def test_of_a_web_identity(leaves, aws, put, good, secrets, tmp_path):
    path = tmp_path / "token"
    path.write_text(aws.web_token)
    secrets.text("token", aws.web_token)
    environment = {**NO_KEYS, "AWS_WEB_IDENTITY_TOKEN_FILE": str(path), "AWS_ROLE_ARN": aws.role_arn}
    before = set(aws._secret_keys)
    result = leaves(put(good), env={**environment, "AWS_REGION": "eu-central-1"})
    assert result.status == 0, result.stderr
    assert set(aws._secret_keys) > before


def test_of_a_profile_and_a_role(leaves, aws, put, good, secrets, tmp_path):
    path = tmp_path / "credentials"
    keys = aws.operator_keys
    secrets.aws_key(keys["aws_secret_access_key"])
    path.write_text("[default]\n" + "".join(f"{name} = {value}\n" for name, value in keys.items()))
    environment = {**NO_KEYS, "AWS_SHARED_CREDENTIALS_FILE": str(path), "AWS_CONFIG_FILE": "/nonexistent"}
    leaves(put(good), f"--role-arn={aws.role_arn}", env=environment).succeeded("installed")


# ---- what is refused


def damaged(pair, ca, other):
    """Documents that are refused, each with its exit status."""
    whole = document(pair, ca)
    encrypted = serialization.load_pem_private_key(pair.key.encode(), None)
    body = re.sub(r"-----[^\n]*-----\n", "", pair.key)
    return {
        "no JSON": whole[:-20],
        "no PEM": whole.replace("BEGIN PRIVATE", "BEGIN PRIVATES"),
        "no base64": document(Pair(pair.cert, pair.key.replace("\nM", "\n*", 1)), ca),
        "truncated": document(Pair(pair.cert, pair.key[:150] + "\n-----END PRIVATE KEY-----\n"), ca),
        "short DER": document(Pair(pair.cert, pair.key.replace(body, body[:80] + "\n")), ca),
        "another's key": document(Pair(other.cert, pair.key), ca),
        "encrypted": document(Pair(pair.cert, key_pem(encrypted, password=b"x")), ca),
        "two keys": document(Pair(pair.cert, pair.key + key_pem(new_key("p256"))), ca),
        "no certificate": document(Pair("", pair.key), ca),
        "no CA": document(pair, ""),
        "twice": whole[:-1] + ', "client_key": ' + json.dumps(pair.key) + "}",
        "key as certificate": document(Pair(pair.key, pair.key), ca),
        "key as CA": document(pair, pair.key),
        "key in a list": json.dumps({"client_cert": pair.cert, "client_key": [pair.key], "ca_cert": ca}),
        "unknown member": json.dumps({"key": pair.key}),
    }


CASES = list(damaged(Pair("", key_pem(new_key("p256"))), "", Pair("", "")))


@pytest.mark.parametrize("case", CASES)
def test_of_a_refused_document(leaves, put, secrets, scanner, client, authority, rogue, case):
    secrets.key(client.key)
    result = leaves(put(damaged(client, authority.pem, rogue)[case]))
    assert result.status == 65, result.stderr
    assert_clean(secrets, scanner, result)


@pytest.mark.parametrize("case", ["expired", "stranger's", "unexpected"])
def test_of_a_refused_identity(leaves, put, secrets, authority, rogue, pair, case):
    old = authority.issue("ECS-Client", lifetime=(-9 * DAY, -DAY))
    pem = {"expired": old, "stranger's": rogue, "unexpected": pair}[case]
    secrets.key(pem.key)
    arguments = ["--expect-subject=Another"] if case == "unexpected" else ["--client-chain=require"]
    assert leaves(put(document(pem, authority.pem)), *arguments).status == 65


# ---- what fails


def test_of_a_failed_handshake(leaves, put, secrets, client, authority, enclave):
    """The enclave does not take a certificate of another CA."""
    stranger = authority.issue("ECS-Client", lifetime=(-DAY, DAY))
    enclave.forbid()
    secrets.key(stranger.key)
    assert leaves(put(document(stranger, authority.pem)), endpoint=enclave.endpoint).status == 76


def test_of_a_handshake_refused_by_the_enclave(leaves, put, secrets, rogue, stranger, authority, enclave):
    secrets.key(rogue.key)
    both = authority.pem + stranger.pem
    assert leaves(put(document(rogue, both)), endpoint=enclave.endpoint).status == 76


def test_of_an_enclave_that_is_not_trusted(leaves, put, secrets, rogue, stranger, enclave):
    secrets.key(rogue.key)
    result = leaves(put(document(rogue, stranger.pem)), endpoint=enclave.endpoint)
    assert result.all("handshake") and result.status != 70, result.stderr


def test_of_an_enclave_that_is_not_there(leaves, put, secrets, client, client_document):
    secrets.key(client.key)
    assert leaves(put(client_document), endpoint=f"localhost:{free_port()}").all("unproven")


def test_of_aws_that_says_no(leaves, aws, put, good):
    denial = "no, with an explicit deny in an identity-based policy"
    aws.faults.extend([aws_error(400, "AccessDeniedException", denial)] * 3)
    assert leaves(put(good)).status == 77


def test_of_a_target_that_cannot_be_used(leaves, agent, put, secrets, client, client_document):
    secrets.key(client.key)
    agent.dir.write_text("a file")
    assert leaves(put(client_document)).status == 73


def test_the_arena_is_read_as_it_is(launch, agent, put, good, look):
    """The layout that the tests above rely on: every byte of the heap belongs to a block."""
    running = launch(*agent.fetch_arguments(put(good)), program=variant("pausing"))
    wait_stopped(running.pid)
    memory, _, inside = look(running.pid)
    arena = Arena(memory)
    assert arena.used and arena.free and {hit.needle.split()[0] for hit in inside} == {"credentials"}
    assert all("lo" in part.flags and "dd" in part.flags for part in arena.parts)
