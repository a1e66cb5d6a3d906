# SPDX-License-Identifier: Apache-2.0
"""How much memory is locked, and what happens where it cannot be."""

import re
from pathlib import Path

import pytest

from agent import wait_for
from conftest import READABLE, Enclave
from look import Arena, Frozen, mappings
from servers.pki import document

NEED_KIB = 256  # for one secret and one endpoint, as the error says
MANY_KIB = 1024  # for any number of secrets
NO_RIGHT = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "--"]


def limited(kib):
    """A prefix: so much may be locked."""
    return ["prlimit", f"--memlock={kib * 1024}:{kib * 1024}", "--", *NO_RIGHT]


@pytest.mark.parametrize("prefix", [[], READABLE], ids=["memfd_secret", "mlock"])
def test_the_need(agent, put, client_document, enclave, capsys, prefix):
    """By the agent's account; with a CA of EC, and keys of EC and RSA 4096."""
    result = agent.fetch(put(client_document), endpoint=enclave.endpoint, prefix=prefix).succeeded(
        "installed"
    )
    locked = result.event("finished")["locked_bytes"]
    with capsys.disabled():
        print(f" {locked / 1024:.0f} KiB of {NEED_KIB} ", end="")
    assert 0 < locked <= NEED_KIB * 1024


def test_the_need_of_the_readmes_identity(agent, put, pki, up, tmp_path, capsys):
    """RSA 4096 throughout, the dearest of all."""
    server = up(Enclave(tmp_path / "rsa", pki.pair("server"), pki.ca_pem))
    result = agent.fetch(put(document(pki.pair("client"), pki.ca_pem)), endpoint=server.endpoint)
    locked = result.succeeded("installed").event("finished")["locked_bytes"]
    with capsys.disabled():
        print(f" {locked / 1024:.0f} KiB of {NEED_KIB} ", end="")
    assert 0 < locked <= NEED_KIB * 1024


def test_the_need_suffices(agent, put, client_document, enclave):
    """With that limit and no right to lock more."""
    prefix = limited(NEED_KIB)
    agent.fetch(put(client_document), endpoint=enclave.endpoint, prefix=prefix).succeeded("installed")


def test_locked_by_the_kernels_account(launch, agent, put, client_document, enclave):
    """The arena's mappings, and no others, are locked, left out of cores, and not inherited by a fork."""
    running = launch(*agent.fetch_arguments(put(client_document), endpoint=enclave.hold().endpoint))
    wait_for(lambda: enclave.asked)
    arena = [mapping for mapping in mappings(running.pid) if mapping.is_arena]
    size = sum(mapping.end - mapping.start for mapping in arena)
    status = Path(f"/proc/{running.pid}/status").read_text()
    assert size == int(re.search(r"VmLck:\s+(\d+) kB", status)[1]) * 1024
    assert all({"lo", "dd", "wf"} <= mapping.flags for mapping in arena)


def test_refused_is_an_error(agent, put, good):
    error = agent.fetch(put(good), prefix=limited(16)).failed(71, "memory_lock")
    assert f"the limit is 16 KiB; a fetch needs {NEED_KIB} KiB" in error["reason"]
    assert "LimitMEMLOCK" in error["remedy"] and "--memory-lock=prefer" in error["remedy"]
    assert not agent.dir.exists()


def test_refused_and_preferred(agent, stay, put, good, enclave, tmp_path):
    """Log, status and metrics say that it is not locked."""
    result = agent.fetch(put(good), "--memory-lock=prefer", prefix=limited(0)).succeeded("installed")
    warning = result.event("memory_unlocked")
    assert (warning["level"], warning["backing"]) == ("warning", "unlocked")
    assert result.event("finished")["locked_bytes"] == 0

    metrics = tmp_path / "metrics.prom"
    arguments = ["--memory-lock=prefer", f"--metrics-file={metrics}"]
    service = stay(put(good), *arguments, endpoint=enclave.endpoint, prefix=limited(0))
    service.wait("ready")
    wait_for(metrics.exists)
    assert service.all("memory_unlocked", backing="unlocked")
    assert agent.status()["memory"]["backing"] == "unlocked" and agent.status()["memory"]["locked_bytes"] == 0
    text = metrics.read_text()
    assert re.search(r'^mtls_agent_memory_lock_info\{backing="unlocked"\} 1$', text, re.M)
    assert re.search(r"^mtls_agent_memory_locked_bytes 0$", text, re.M)


@pytest.mark.parametrize("kib", [64, 200])
def test_too_little_and_preferred(agent, put, good, enclave, kib):
    """A limit that the stack keeps to, or some of the heap, and the whole does not: told at the start, and used."""
    result = agent.fetch(
        put(good), "--memory-lock=prefer", endpoint=enclave.endpoint, prefix=limited(kib)
    ).succeeded("installed")
    names = result.names()
    assert names.index("memory_unlocked") < names.index("attempt")
    finished = result.event("finished")
    assert finished["backing"] == "unlocked" and finished["locked_bytes"] <= kib * 1024


@pytest.mark.parametrize("prefix", [[], READABLE, limited(NEED_KIB)], ids=["memfd_secret", "mlock", "limited"])
def test_preferred_is_as_required(agent, put, client_document, enclave, prefix):
    """As long as it can be had: the same memory, and no warning."""
    required, preferred = (
        agent.fetch(
            put(client_document), f"--memory-lock={how}", endpoint=enclave.endpoint, prefix=prefix, directory=agent.dir / how
        )
        for how in ("require", "prefer")
    )
    told = [result.succeeded("installed").event("finished") for result in (required, preferred)]
    assert 0 < told[0]["locked_bytes"] <= told[1]["locked_bytes"]  # which asks for the need at once
    assert told[0]["backing"] == told[1]["backing"] != "unlocked"
    assert not preferred.all("memory_unlocked")


@pytest.mark.parametrize("kib", [64, 96, 128, 160, 200])
def test_preferred_locks_what_required_would(agent, put, client_document, enclave, kib):
    """Whatever is within the limit is locked, and only what is beyond it is not."""
    arn, options = put(client_document), {"endpoint": enclave.endpoint, "prefix": limited(kib)}
    assert agent.fetch(arn, **options).status == 71
    told = agent.fetch(arn, "--memory-lock=prefer", **options).succeeded("installed", "memory_unlocked").event("finished")
    assert kib - 32 < told["locked_bytes"] / 1024 <= kib


def test_unlocked_memory_holds_all_of_it(launch, agent, put, client, client_document, secrets, look, enclave):
    """It is the arena still: out of cores, not inherited, and nothing lies outside."""
    secrets.key(client.key)
    arguments = agent.fetch_arguments(
        put(client_document), "--memory-lock=prefer", endpoint=enclave.hold().endpoint
    )
    running = launch(*arguments, prefix=[*limited(0), *READABLE])
    wait_for(lambda: enclave.asked)
    with Frozen(running.pid):
        memory, outside, inside = look(running.pid)
    arena = [mapping for mapping in memory if mapping.is_arena]
    assert arena and all({"dd", "wf"} <= mapping.flags and "lo" not in mapping.flags for mapping in arena)
    assert not outside and inside


def test_what_a_rehearsal_waits_with(launch, put, client, client_document, secrets, look, enclave, agent):
    """Of the secret: the files that are to be installed, once each. Its document is gone, and so are the PEMs that were read,
    but for the last record in the buffer of AWS's connection."""
    secrets.key(client.key)
    running = launch(*agent.fetch_arguments(put(client_document), endpoint=enclave.hold().endpoint))
    wait_for(lambda: enclave.asked)
    with Frozen(running.pid):
        memory, outside, _ = look(running.pid)
    assert not outside
    arena = Arena(memory)
    held = b"".join([arena.stack, *arena.free, *(data for tag, _, data in arena.used if tag != "library")])
    for pem in (client.key, client.cert):
        lines = pem.encode().splitlines()[1:-1]
        assert [held.count(line) for line in lines] == [1] * len(lines)
    assert held.count(b"client_key") == held.count(b"-----\\n") == 0


@pytest.mark.parametrize("kib", [NEED_KIB, 320, 384, 448, 512, 576, 640, 704, 768, 896, MANY_KIB])
def test_many_secrets(agent, put, client_document, enclave, capsys, kib):
    """As many side by side as there is memory for, beside what a set needs; by the last limit, as many as ever."""
    arns = [f"s{number}={put(client_document)}" for number in range(12)]
    result = agent.fetch(arns, endpoint=enclave.endpoint, prefix=limited(kib))
    assert result.status == 0 and len(result.all("installed")) == 12, result.stderr
    beside = [event["requests"] for event in result.all("side_by_side")]
    with capsys.disabled():
        print(f" {result.event('finished')['locked_bytes'] / 1024:.0f} of {kib} KiB: {beside} ", end="")
    assert kib < MANY_KIB or beside == [8, 3]


def test_nothing_is_unlocked_for_speed(agent, put, client_document, enclave):
    """What could be asked side by side is not, where that much cannot be locked."""
    arns = [f"s{number}={put(client_document)}" for number in range(12)]
    prefix = limited(NEED_KIB + 64)
    result = agent.fetch(arns, "--memory-lock=prefer", endpoint=enclave.endpoint, prefix=prefix)
    assert len(result.all("installed")) == 12 and not result.all("memory_unlocked") + result.all("side_by_side")


def test_two_secrets_need_no_more_than_one(agent, put, client_document, enclave):
    arns = [f"s{number}={put(client_document)}" for number in range(2)]
    result = agent.fetch(arns, endpoint=enclave.endpoint)
    assert 0 < result.event("finished")["locked_bytes"] <= NEED_KIB * 1024


def test_full_is_a_clear_error(agent, put, client_document, enclave):
    """Where locked memory ends, so does the fetch: never on the ordinary heap."""
    result = agent.fetch(put(client_document), endpoint=enclave.endpoint, prefix=limited(128))
    assert result.status == 71, result.stderr
    assert result.event("error")["code"] == "memory_full", result.stderr
    assert not agent.dir.exists()
