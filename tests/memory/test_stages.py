# SPDX-License-Identifier: Apache-2.0
"""
What TLS 1.3 keeps secret, stage by stage: once a secret has its successor, no piece of it is left anywhere, nor
of what was derived from it. The agent says what its secrets are, and stops at each stage to be read.
"""

import hashlib
import hmac
import os
import signal
import struct

import pytest

from agent import wait_for
from conftest import variant
from left import assert_nothing_outside
from look import Hit, forms_of_number, read_memory, state_of, threads
from servers.more import s_server
from servers.peer import Peer
from servers.peer13 import P384, Tls13
from servers.pki import document
from sha2 import first_state

# tests/memory/staged.c has the same.
SECRETS = ["scalar", "shared", "early", "secret", "ours", "theirs", "our data", "their data"]
SECRETS += ["exporter", "resumption", "ticket"]
STAGES = {32: "hello", 33: "proven", 34: "open", 35: "updated"}
TRAFFIC = ("ours", "theirs", "our data", "their data")

# Which may be there at a stage: the last one of each. All others are gone.
LIVES = {
    "hello": ("secret", "ours", "theirs"),
    "proven": ("secret", "ours", "our data", "their data", "exporter"),
    "open": ("our data", "their data", "exporter", "resumption", "ticket"),
    "updated": ("our data", "their data", "exporter", "resumption", "ticket"),
    "over": (),
}
# And of these, which must be found: else the search would mean nothing.
SEEN = {
    "hello": {"secret", "ours", "theirs"},
    "proven": {"secret", "ours", "our data", "their data", "exporter"},
    "open": {"our data", "their data", "exporter"},
    "updated": {"our data", "their data", "exporter"},
    "over": set(),
}


def expand(secret, label, context=b"", size=None):
    """HKDF-Expand-Label (RFC 8446 section 7.1), of one block."""
    digest = "sha384" if len(secret) == 48 else "sha256"
    size = size or len(secret)
    info = struct.pack(">HB", size, 6 + len(label)) + b"tls13 " + label + bytes([len(context)]) + context
    return hmac.digest(secret, info + b"\1", digest)[:size]


EXPORTED = b"EXPORTER-Channel-Binding"  # what the agent takes of each connection (RFC 9266)


def empty_hash(secret):
    return hashlib.new("sha384" if len(secret) == 48 else "sha256").digest()


def forms_of_key(key):
    """As it is, as HMAC has it in its first block, and what HMAC keeps of that: the hash's state."""
    kind, size = ("sha384", 128) if len(key) == 48 else ("sha256", 64)
    yield "", key
    for where, pad in ((", inner", 0x36), (", outer", 0x5C)):
        block = bytes(byte ^ pad for byte in key.ljust(size, b"\0"))
        yield where, block[: len(key)]
        words, width = first_state(block, kind)
        for order in ("big", "little"):
            yield f"{where} state, {order}", b"".join(word.to_bytes(width, order) for word in words)


def derived(name, secret):
    """A secret in its forms, and what nobody needs any more when it is over."""
    if name in ("scalar", "shared"):
        yield from (pair for pair in forms_of_number(secret) if "base64" not in pair[0])
        return
    nothing = empty_hash(secret)
    labels = [b"derived", b"res binder"] if name in ("early", "secret") else []
    keys = {"itself": secret, **{label.decode(): expand(secret, label, nothing) for label in labels}}
    if name in TRAFFIC:
        keys["finished"] = expand(secret, b"finished")
        yield "key of 128 bits", expand(secret, b"key", size=16)
        yield "key of 256 bits", expand(secret, b"key", size=32)
    if name == "early":
        keys["finished of the binder"] = expand(keys["res binder"], b"finished")
    for what, key in keys.items():
        yield from ((what + form, value) for form, value in forms_of_key(key))


class Told:
    """What the agent has said so far."""

    def __init__(self, path):
        self.path = path
        self.stops = 0

    def read(self):
        """The stage at which it has stopped, and all secrets in their order."""
        data = self.path.read_bytes() if self.path.exists() else b""
        secrets, stages = [], []
        while data:
            kind, size = data[0], data[1]
            if kind in STAGES:
                stages.append(STAGES[kind])
            else:
                secrets.append((SECRETS[kind], data[2 : 2 + size]))
            data = data[2 + size :]
        stage = stages[-1] if len(stages) > self.stops else "over"
        self.stops = len(stages)
        return stage, secrets


def is_stopped(running):
    """Waits until it is, or has ended."""

    def over():
        try:
            return state_of(running.pid) in "ZX" or all(
                state_of(f"{running.pid}/task/{task}") == "T" for task in threads(running.pid)
            )
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_for(over, 90)
    try:
        return state_of(running.pid) == "T"
    except FileNotFoundError:
        return False


@pytest.fixture
def stages(launch, scanner, tmp_path):
    """stages(*arguments) runs the agent and looks at each stage: the Result, and how often it was at which."""

    def look_at(pid, stage, secrets):
        last = dict(secrets)
        alive = {(name, last[name]) for name in LIVES[stage] if name in last}
        found = {f"{at} {name}": (name, value) for at, (name, value) in enumerate(secrets)}
        needles = {
            f"{at} {name} {form}": needle
            for at, (name, value) in found.items()
            if (name, value) not in alive
            for form, needle in derived(name, value)
            if len(needle) >= 16
        }
        for name, value in alive:
            needles[f"alive {name}"] = value
            if name == "exporter":
                parent = expand(value, EXPORTED, empty_hash(value))
                needles.update((f"what is exported from{form}", needle) for form, needle in forms_of_key(parent))
        hits = [
            Hit(name, mapping, mapping.start + offset, size)
            for mapping in read_memory(pid)
            if mapping.data
            for name, offset, size in scanner.scan(needles, mapping.data)
        ]
        gone = [hit for hit in hits if not hit.needle.startswith("alive")]
        assert not gone, f"at {stage}:\n" + "\n".join(
            f"{hit.needle}: {hit.len} bytes at {hit.address:x} in {hit.mapping}" for hit in gone
        )
        assert_nothing_outside([hit for hit in hits if not hit.mapping.is_arena])
        assert {hit.needle[6:] for hit in hits} >= SEEN[stage] & {name for name, _ in alive}, (stage, hits)

    def run(*arguments):
        told, counts = Told(tmp_path / "stages"), {}
        running = launch(*arguments, program=variant("staged"), env={"STAGES": str(told.path)})
        while is_stopped(running):
            stage, secrets = told.read()
            look_at(running.pid, stage, secrets)
            counts[stage] = counts.get(stage, 0) + 1
            os.kill(running.pid, signal.SIGCONT)
        return running.finish(), counts

    return run


@pytest.fixture
def probes(agent, put, stages, authority, pairs):
    """probes(endpoint, ...) does so by the installed identity, with 1.3 alone."""

    def probe(endpoint, *arguments, pair=pairs["p256"]):
        agent.fetch(put(document(pair, authority.pem))).succeeded("installed")
        where = f"--dir={agent.dir}", f"--endpoint={endpoint}"
        return stages("probe", "--log-format=json", "--deadline=600s", "--tls-versions=1.3", *where, *arguments)

    return probe


@pytest.fixture
def started(up, tmp_path, server_pair, authority):
    """started(*arguments): s_server with these."""

    def start(*arguments):
        kind = s_server("-Verify", "3", "-verify_return_error", "-tls1_3", *arguments)
        return up(kind(tmp_path / "server", server_pair, authority.pem))

    return start


def test_of_a_fetch(stages, agent, put, client_document, enclave):
    """A rehearsal; AWS is asked by TLS 1.2 beside it."""
    arguments = agent.fetch_arguments(
        put(client_document), "--tls-versions=1.3", endpoint=enclave.endpoint, deadline="600s"
    )
    result, counts = stages(*arguments)
    assert result.succeeded("installed").event("handshake")["tls"] == "1.3"
    assert counts == {"hello": 2, "proven": 1, "open": 1, "over": 2}


@pytest.mark.parametrize("suite", ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256"))
def test_of_each_suite(probes, started, suite):
    result, counts = probes(started("-ciphersuites", f"TLS_{suite}").endpoint)
    assert result.succeeded().event("handshake")["cipher"] == f"TLS_{suite}"
    assert counts == {"hello": 2, "proven": 1, "open": 1, "over": 2}


@pytest.mark.parametrize("group", ("P-256", "P-384", "P-521"))
def test_of_a_group_that_is_asked_for(probes, started, authority, group):
    """By HelloRetryRequest, with a key on P-384."""
    result, counts = probes(started("-groups", group).endpoint, pair=authority.issue("ECS-Client", "p384"))
    assert result.succeeded().event("handshake")["group"] == group
    assert counts == {"hello": 2, "proven": 1, "open": 1, "over": 2}


@pytest.mark.parametrize("suite", ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384"))
def test_of_resumption(probes, started, suite):
    result, counts = probes(started("-ciphersuites", f"TLS_{suite}", "-groups", "P-384").endpoint, "--count=3")
    assert [each["handshake"] for each in result.succeeded().all("handshake")] == ["full", "resumed", "resumed"]
    assert counts == {"hello": 6, "proven": 3, "open": 3, "over": 2}


def test_of_key_updates(probes, up, server_pair):
    """Both ways, again and again."""

    def talk(sock):
        tls = Tls13(sock, server_pair)
        tls.hello()
        tls.retry(P384)
        tls.server_hello()
        tls.flight()
        tls.client_flight()
        tls.http_request()
        for _ in range(3):
            tls.update(asks=1)
            tls.read()
            tls.reads = tls.reads.next()
        tls.answer()
        tls.read()

    result, counts = probes(up(Peer(talk)).endpoint)
    assert result.succeeded().event("handshake")["tls"] == "1.3"
    assert counts == {"hello": 2, "proven": 1, "open": 1, "updated": 6, "over": 2}
