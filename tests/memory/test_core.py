# SPDX-License-Identifier: Apache-2.0
"""
Core dumps of an agent that is allowed to make them: no secret is in the memory that they hold. What was in a
register at that moment is in a core's notes, and is left out here: nothing but the ban on cores keeps that.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from agent import PROGRAM, wait_for
from conftest import READABLE, variant
from look import core_memory, wait_for_erased_environment

PATTERN = Path("/proc/sys/kernel/core_pattern").read_text().strip()
CORES = 8

pytestmark = pytest.mark.skipif(
    PATTERN.startswith("|") or "/" in PATTERN, reason=f"cores go elsewhere here: {PATTERN}"
)


@pytest.fixture
def dump(launch, agent, tmp_path, secrets, scanner):
    """dump(program, arguments, wait) forces a core after wait(running): the hits in it."""

    def force(program, arguments, wait):
        directory = tmp_path / f"core-{time.monotonic_ns()}"
        directory.mkdir()
        limits = ["prlimit", "--core=unlimited", "--", "env", "-C", str(directory), *READABLE]
        running = launch(*arguments, program=program, prefix=limits)
        wait_for_erased_environment(running.pid, program, secrets)
        wait(running)
        os.kill(running.pid, signal.SIGSEGV)
        status = running.finish().status
        cores = list(directory.iterdir())
        if status != -signal.SIGSEGV:
            return None  # it was quicker
        assert cores, "no core was made"
        return [hit for _, data in core_memory(cores[0]) for hit in scanner.scan(secrets.all(), data)]

    return force


@pytest.mark.parametrize("lapse", [False, True])
def test_a_core_at_work(dump, agent, put, secrets, client, client_document, enclave, lapse):
    """While the arena is full of secrets. With the arena part of the core they would be found."""
    secrets.key(client.key)
    arguments = agent.fetch_arguments(put(client_document), endpoint=enclave.hold().endpoint)
    hits = dump(
        variant("dumped" if lapse else "dumping"), arguments, lambda _: wait_for(lambda: enclave.asked)
    )
    kinds = {hit[0].split()[0] for hit in hits}
    assert kinds == ({"key", "credentials", "master"} if lapse else set())


def test_cores_at_random_moments(dump, agent, put, secrets, client, client_document, enclave):
    secrets.key(client.key)
    arn = put(client_document)
    cores, most = 0, 0.12
    for number in range(10 * CORES):
        arguments = agent.fetch_arguments(arn, endpoint=enclave.endpoint, directory=f"{agent.dir}-{number}")
        hits = dump(variant("dumping"), arguments, lambda _, most=most: time.sleep(random.uniform(0, most)))
        assert not hits
        cores += hits is not None
        if hits is None:  # the agent was quicker: the moments lie within its life, however short that is
            most *= 0.8
        if cores == CORES:
            return
    raise AssertionError(f"only {cores} cores")


def test_the_program_as_it_is_makes_none(dump, agent, put, client_document, enclave):
    arguments = agent.fetch_arguments(put(client_document), endpoint=enclave.hold().endpoint)
    with pytest.raises(AssertionError, match="no core was made"):
        dump(PROGRAM, arguments, lambda _: wait_for(lambda: enclave.asked))
