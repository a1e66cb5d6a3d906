# SPDX-License-Identifier: Apache-2.0
"""What `run` leaves in memory between its cycles: an agent that stops after each job is read there."""

import os
import signal
import ssl
import time

import pytest

from agent import wait_for
from conftest import Enclave, variant
from left import RESUMED, assert_nothing_outside, assert_only_declared
from look import Arena, Frozen, family, is_zero, wait_stopped
from servers.imds import Imds
from servers.pki import document
from test_credentials import NO_KEYS

TABLE_HEAD = 16  # struct tls_cache, before its sessions

HOOK = """#!/bin/sh
echo "$$" >{told}.new && mv {told}.new {told}
exec sleep 30
"""


def stops(service, look):
    """Goes from stop to stop: yields what is there at each."""
    while True:
        wait_stopped(service.pid)
        yield look(service.pid)
        os.kill(service.pid, signal.SIGCONT)


def watch(service, look, until, seconds=40):
    """Looks at each stop until something has come about; how many there were."""
    deadline = time.monotonic() + seconds
    for count, seen in enumerate(stops(service, look), 1):
        assert_only_declared(*seen)
        if until():
            return count
        assert time.monotonic() < deadline, service.tail()


def test_cycles_probes_and_surveys(stay, put, secrets, look, client, client_document, enclave):
    secrets.key(client.key)
    service = stay(put(client_document), endpoint=enclave.endpoint, program=variant("pausing"))
    watch(service, look, lambda: len(enclave.asked) >= 4)
    assert service.all("installed") and service.all("handshake")


def test_a_rotation_with_kept_credentials(stay, aws, put, secrets, look, pairs, authority, enclave, up):
    """From metadata, whose credentials and token are kept from one cycle to the next."""
    session = aws.session()
    imds = up(Imds(session))
    for number, pair in enumerate(pairs.values()):
        secrets.key(pair.key, f"key-{number}")
    secrets.session(session)
    arn = put(document(pairs["p256"], authority.pem))
    service = stay(
        arn, endpoint=enclave.endpoint, program=variant("pausing"), env={**NO_KEYS, **imds.environment()}
    )
    watch(service, look, lambda: service.all("installed"))
    secrets.text("token", *imds.tokens)
    os.kill(service.pid, signal.SIGCONT)
    aws.rotate(arn, document(pairs["rsa4096"], authority.pem))
    watch(service, look, lambda: len(service.all("installed")) == 2)
    os.kill(service.pid, signal.SIGCONT)
    aws.rotate(arn, document(pairs["p256"], authority.pem)[:-30])
    watch(service, look, lambda: service.all("error"))


def test_enclaves_that_refuse(stay, aws, put, secrets, look, pairs, authority, enclave):
    """What is installed, what is new, and what --rollback-on-failure would go back to."""
    secrets.key(pairs["p256"].key, "key-1").key(pairs["rsa4096"].key, "key-2")
    arn = put(document(pairs["rsa4096"], authority.pem))
    service = stay(arn, "--rollback-on-failure", endpoint=enclave.endpoint, program=variant("pausing"))
    watch(service, look, lambda: len(enclave.asked) >= 2)
    enclave.forbid()
    os.kill(service.pid, signal.SIGCONT)
    aws.rotate(arn, document(pairs["p256"], authority.pem))
    watch(service, look, lambda: len(service.all("handshake", result="refused")) >= 6)


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def keeping(request, tmp_path, up, server_pair, authority, secrets):
    """An enclave whose sessions are kept; of TLS 1.2 the key log has the secret that is."""
    newest = getattr(ssl.TLSVersion, request.param)
    enclave = up(Enclave(tmp_path / "keeping", server_pair, authority.pem, newest))
    secrets.key_log(enclave.log)
    return enclave


@pytest.mark.parametrize("ends", ["SIGHUP", "another identity", "a failure"])
def test_kept_sessions(stay, aws, put, secrets, look, pairs, authority, keeping, ends):
    """Are in blocks of their own tag, and nothing is left of those that were dropped."""
    secrets.key(pairs["p256"].key, "key-1").key(pairs["rsa4096"].key, "key-2")
    arn = put(document(pairs["p256"], authority.pem))
    service = stay(arn, endpoint=keeping.endpoint, program=variant("pausing"), interval="2s")
    stopped = stops(service, look)
    resumed = 0
    while resumed < 3:
        memory, outside, inside = next(stopped)
        arena = assert_only_declared(memory, outside, inside, RESUMED)
        resumed = len(service.all("handshake", handshake="resumed"))
    assert arena.tagged()["session"] > 0
    is_logged = "CLIENT_RANDOM" in keeping.log.read_text()
    kept = {secrets.all()[hit.needle] for hit in inside if hit.needle.startswith("master")}
    assert bool(kept) == is_logged, "it is not found where it must be"
    full = len(service.all("handshake", handshake="full"))
    if ends == "SIGHUP":
        service.send(signal.SIGHUP)
    elif ends == "another identity":
        aws.rotate(arn, document(pairs["rsa4096"], authority.pem))
    else:
        keeping.forbid()
    come = {"SIGHUP": "reloaded", "another identity": "installed"}.get(ends, "handshake")
    wanted = {"handshake": {"result": "refused"}}.get(come, {})
    before = len(service.all(come, **wanted))
    for memory, outside, inside in stopped:
        assert_only_declared(memory, outside, inside, RESUMED)
        if len(service.all(come, **wanted)) > before:
            break
    assert not kept & {secrets.all()[hit.needle] for hit in inside}
    if ends != "SIGHUP":  # no probe has come since
        tables = [data for tag, _, data in Arena(memory).used if tag == "session"]
        assert len(tables) == (ends == "a failure")
        assert all(is_zero(data[TABLE_HEAD:]) for data in tables), "a session is left"
    os.kill(service.pid, signal.SIGCONT)
    keeping.answer = None
    while len(service.all("handshake", handshake="full")) < full + 1:
        assert_only_declared(*next(stopped), RESUMED)


def test_the_hook_runner_and_what_it_runs(stay, put, secrets, look, client, client_document, tmp_path):
    """Every process of the agent's: the runner is forked before the environment is erased."""
    secrets.key(client.key)
    told = tmp_path / "told"
    hook = tmp_path / "hook"
    hook.write_text(HOOK.format(told=told))
    hook.chmod(0o755)
    service = stay(put(client_document), f"--on-change-exec={hook}")
    wait_for(told.exists)
    found = family(service.pid)
    assert len(found) >= 3 and int(told.read_text()) in found
    seen = set()
    for pid in found[1:]:
        with Frozen(pid) as alive:
            if not alive:  # what the hook has started may have ended
                continue
            _, outside, inside = look(pid)
        seen.add(pid)
        assert not inside
        assert_nothing_outside(outside)
    assert {found[1], int(told.read_text())} <= seen, "runner and hook"
