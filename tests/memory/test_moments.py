# SPDX-License-Identifier: Apache-2.0
"""The program as it is shipped, stopped at random moments: no piece of a secret lies outside the arena."""

import os
import random
import time

import pytest

from agent import PROGRAM
from left import assert_nothing_outside
from look import family, wait_for_erased_environment
from servers.imds import Imds
from servers.pki import document
from test_credentials import NO_KEYS

MOMENTS = int(os.environ.get("MEMORY_MOMENTS") or 60)
PATIENCE = 20  # times as many moments, until a secret was seen at work


@pytest.fixture
def busy(stay, aws, put, secrets, pairs, authority, enclave, up):
    """`run` with credentials from metadata, cycles and probes all the time, and a hook."""
    session = aws.session()
    imds = up(Imds(session))
    for name, pair in pairs.items():
        secrets.key(pair.key, f"key-{name}")
    secrets.session(session)
    arn = put(document(pairs["p256"], authority.pem))
    service = stay(
        arn,
        "--on-change-exec=/bin/true",
        "--log-level=debug",
        endpoint=enclave.endpoint,
        interval="200ms",
        probe_interval="200ms",
        env={**NO_KEYS, **imds.environment()},
    )
    service.wait("started")
    service.arn = arn
    service.imds = imds
    return service


def test_run(busy, aws, secrets, glance, scanner, pairs, authority):
    """Rotated all the while, from one kind of key to the other. Also what it has logged."""
    documents = [document(pair, authority.pem) for pair in pairs.values()]
    seen, moments = set(), 0
    while moments < MOMENTS or not seen >= {"key", "master"}:
        assert moments < MOMENTS * PATIENCE, f"only {seen} were seen at work"
        if moments % 5 == 0:
            aws.rotate(busy.arn, documents[moments // 5 % 2])
        time.sleep(random.uniform(0, 0.04))
        for number, token in enumerate(list(busy.imds.tokens)):
            secrets.needles[f"token {number} text"] = token.encode()
        for pid in family(busy.pid):
            found = glance(pid)
            assert found or pid != busy.pid, busy.tail()
            if found and pid == busy.pid:
                assert_nothing_outside(found[1])
                seen |= {hit.needle.split()[0].split("-")[0] for hit in found[2]}
            elif found:
                assert_nothing_outside(found[1] + found[2])
        moments += 1
    busy.wait("installed", 2)
    assert not scanner.scan(secrets.all(), busy.log.read_bytes() + busy.stdout.read_bytes())


def test_run_of_a_profile(stay, aws, put, good, secrets, glance, tmp_path):
    """The shared file is read by both threads: by main for the sandbox's sake, which has no arena's stack."""
    path = tmp_path / "credentials"
    secrets.aws_key(aws.keys["aws_secret_access_key"])
    path.write_text("[default]\n" + "".join(f"{name} = {value}\n" for name, value in aws.keys.items()))
    environment = {**NO_KEYS, "AWS_SHARED_CREDENTIALS_FILE": str(path), "AWS_CONFIG_FILE": "/nonexistent"}
    service = stay(put(good), interval="100ms", env=environment)
    service.wait("installed")
    seen, moments = set(), 0
    while moments < MOMENTS or "credentials" not in seen:
        assert moments < MOMENTS * PATIENCE, f"only {seen} were seen at work"
        time.sleep(random.uniform(0, 0.04))
        found = glance(service.pid)
        assert_nothing_outside(found[1])
        seen |= {hit.needle.split()[0].split("-")[0] for hit in found[2]}
        moments += 1


def test_fetch(launch, agent, put, secrets, glance, client, client_document, enclave):
    """One after the other, from the moment on at which the environment is erased."""
    secrets.key(client.key)
    arn = put(client_document)
    moments = 0
    while moments < MOMENTS // 4:
        running = launch(
            *agent.fetch_arguments(arn, endpoint=enclave.endpoint, directory=f"{agent.dir}-{moments}")
        )
        try:
            wait_for_erased_environment(running.pid, PROGRAM, secrets)
            while found := glance(running.pid):
                assert_nothing_outside(found[1])
                moments += 1
                time.sleep(random.uniform(0, 0.02))
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended
        running.finish().succeeded("installed")
