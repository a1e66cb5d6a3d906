# SPDX-License-Identifier: Apache-2.0
"""The search itself: it finds what is there. Without that, all that it does not find would mean nothing."""

import os
import subprocess

import pytest

from agent import wait_for
from conftest import PROGRAMS
from look import Arena, Frozen, Secrets, forms_of_number, private_values, read_memory
from servers.imds import Imds
from test_credentials import NO_KEYS

FORMS = ["global", "heap", "stack", "page", "reversed", "i31", "i62"]


def plant(lines):
    """The program that holds what it is told to."""
    child = subprocess.Popen(
        [PROGRAMS / "plant"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=0
    )
    child.stdin.write("".join(lines) + "\n")
    assert child.stdout.readline() == "ready\n"
    return child


@pytest.fixture
def planted(scanner):
    children = []

    def found(needles, lines):
        children.append(plant(lines))
        with Frozen(children[-1].pid):
            memory = read_memory(children[-1].pid)
        hits = [
            (hit[0], mapping)
            for mapping in memory
            if mapping.data
            for hit in scanner.scan(needles, mapping.data)
        ]
        return {name for name, _ in hits}, {mapping.name for _, mapping in hits}

    yield found
    for child in children:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


@pytest.mark.parametrize("form", FORMS)
def test_what_is_planted_is_found(planted, pairs, form):
    """In the program's data, heap, stack and mappings; in BearSSL's own forms, made by its own function."""
    values = {
        f"{kind} {part}": value
        for kind, pair in pairs.items()
        for part, value in private_values(pair.key).items()
    }
    if form in ("global", "stack"):  # there is one place of them
        values = {"p256 x": values["p256 x"]}
    needles = {
        f"{name} {kind}": data for name, value in values.items() for kind, data in forms_of_number(value)
    }
    assert planted(needles, [])[0] == set()
    names, _ = planted(needles, [f"{form} {value.hex()}\n" for value in values.values()])
    assert names >= {f"{name} {form if form in ('reversed', 'i31', 'i62') else 'bytes'}" for name in values}


def test_a_piece_is_enough(planted):
    value = os.urandom(256)
    assert planted({"it": value}, [f"page {value[100:116].hex()}\n"])[0] == {"it"}
    assert planted({"it": value}, [f"page {value[100:115].hex()}\n"])[0] == set()


def test_text_forms_are_found(scanner, pairs, client_document):
    """The document of a key, whatever the key's place in it."""
    for pair in pairs.values():
        secrets = Secrets().key(pair.key)
        for shift in range(3):
            names = {
                hit[0].split()[1] for hit in scanner.scan(secrets.all(), b"-" * shift + pair.key.encode())
            }
            assert names == set(private_values(pair.key))
        assert not scanner.scan(secrets.all(), pair.cert.encode())


def test_an_agent_at_work_holds_what_is_looked_for(
    launch, agent, put, secrets, look, client, client_document, enclave, up, aws
):
    """Secrets of every kind are in the arena while a fetch waits for the enclave, and are seen there."""
    session = aws.session()
    imds = up(Imds(session))
    secrets.key(client.key).session(session)
    arguments = agent.fetch_arguments(put(client_document), endpoint=enclave.hold().endpoint)
    running = launch(*arguments, env={**NO_KEYS, **imds.environment()})
    wait_for(lambda: enclave.asked)
    with Frozen(running.pid):
        memory, outside, inside = look(running.pid)
    assert {hit.needle.split()[0] for hit in inside} == {"key", "credentials", "session", "master"}
    found = {
        hit.needle.split()[1]
        for hit in inside
        if hit.needle.startswith("key") and hit.needle.endswith("bytes")
    }
    assert found == set(private_values(client.key))
    assert not outside
    arena = Arena(memory)
    assert all(arena.tagged()[tag] for tag in ("key", "credentials"))


def test_a_metadata_token_is_found(launch, agent, put, good, secrets, look, up, aws):
    """While the metadata service keeps the agent waiting for credentials."""
    imds = up(Imds(aws.session()))
    imds.hold_path = f"/{imds.role}"
    running = launch(*agent.fetch_arguments(put(good)), env={**NO_KEYS, **imds.environment()})
    wait_for(lambda: any(request.path.endswith(imds.hold_path) for request in imds.asked))
    secrets.text("token", *imds.tokens)
    with Frozen(running.pid):
        memory, outside, inside = look(running.pid)
    assert not outside
    assert "token" in {Arena(memory).tag_at(hit.address) for hit in inside if hit.needle.startswith("token")}
