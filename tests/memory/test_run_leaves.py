# SPDX-License-Identifier: Apache-2.0
"""What `run` leaves in memory between its cycles: an agent that stops after each job is read there."""

import os
import signal
import time

from agent import wait_for
from conftest import variant
from left import assert_nothing_outside, assert_only_declared
from look import Frozen, family, wait_stopped
from servers.imds import Imds
from servers.pki import document
from test_credentials import NO_KEYS

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
