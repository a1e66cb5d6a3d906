# SPDX-License-Identifier: Apache-2.0
"""Agents with a lapse, which must be found; and secret memory, which nobody reads."""

import random
import time

import pytest

from agent import wait_for
from conftest import READABLE, variant
from left import assert_only_declared
from look import Arena, Frozen, wait_for_erased_environment, wait_stopped
from servers.pki import document

PATIENCE = 50  # fetches, until the lapse shows


def test_memory_that_is_not_wiped_is_found(
    launch, agent, put, secrets, look, client, client_document, enclave
):
    """What is freed, and the environment."""
    secrets.key(client.key)
    arguments = agent.fetch_arguments(put(client_document), endpoint=enclave.endpoint)
    running = launch(*arguments, program=variant("unwiped"))
    wait_stopped(running.pid)
    memory, outside, inside = look(running.pid)
    arena = Arena(memory)
    free = {hit.needle.split()[0] for hit in inside if arena.tag_at(hit.address) == "free"}
    assert free >= {"key", "credentials"}
    assert {(hit.needle.split()[0], hit.mapping.name) for hit in outside} == {("credentials", "[stack]")}
    for seen in ((memory, outside, []), (memory, [], inside)):
        with pytest.raises(AssertionError):
            assert_only_declared(*seen)


def test_a_stack_elsewhere_is_found(launch, agent, put, secrets, glance, pairs, authority, enclave):
    """At random moments: an RSA signature takes its time, and works on the stack."""
    secrets.key(pairs["rsa4096"].key)
    arn = put(document(pairs["rsa4096"], authority.pem))
    program = variant("elsewhere")
    found = set()
    for number in range(PATIENCE):
        arguments = agent.fetch_arguments(arn, endpoint=enclave.endpoint, directory=f"{agent.dir}-{number}")
        running = launch(*arguments, program=program)
        wait_for_erased_environment(running.pid, program, secrets)
        while seen := glance(running.pid):
            found |= {(hit.needle.split()[0], hit.needle.split()[-1]) for hit in seen[1]}
            time.sleep(random.uniform(0, 0.02))
        running.finish().succeeded("installed")
        if len(found) > 1:
            break
    assert {kind for kind, _ in found} >= {"key"}, found


def test_secret_memory_is_closed_to_root(launch, agent, put, secrets, look, client, client_document, enclave):
    """memfd_secret(2) as the kernel has it: the arena cannot be read, and there is nothing outside of it."""
    secrets.key(client.key)
    prefix = READABLE[:-3]  # without the denial
    running = launch(
        *agent.fetch_arguments(put(client_document), endpoint=enclave.hold().endpoint, deadline="80s"),
        prefix=prefix,
    )
    wait_for(lambda: enclave.asked)
    with Frozen(running.pid):
        memory, outside, inside = look(running.pid)
    running.child.terminate()
    backing = running.finish().event("finished")["backing"]
    if backing != "memfd_secret":
        pytest.skip("this kernel has no memfd_secret(2)")
    arena = [mapping for mapping in memory if mapping.is_arena]
    assert len(arena) >= 2 and all("secretmem" in mapping.name and mapping.data is None for mapping in arena)
    assert not outside and not inside
