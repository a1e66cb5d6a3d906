# SPDX-License-Identifier: Apache-2.0
"""What may be left when a job is over: a declared list, by tag; and nothing else."""

from look import Arena, is_zero

# Class of secret: the tag under which it may stay until it expires. Keys and master secrets are not on it.
DECLARED = {"credentials": "credentials", "session": "credentials", "token": "token"}
RESUMED = {**DECLARED, "master": "session"}  # where sessions of TLS 1.2 are kept, from probe to probe
NEVER = ("key", "document")  # tags of which not a byte is left


def assert_nothing_outside(outside):
    assert not outside, "\n".join(
        f"{hit.needle}: {hit.len} bytes at {hit.address:x} in {hit.mapping}" for hit in outside
    )


def assert_only_declared(memory, outside, inside, declared=DECLARED):
    """Between jobs; returns the arena."""
    assert_nothing_outside(outside)
    arena = Arena(memory)
    assert is_zero(arena.stack), "the stack is not wiped"
    assert all(is_zero(block) for block in arena.free), "what is freed is not wiped"
    tagged = arena.tagged()
    assert not any(tagged[tag] for tag in NEVER), tagged
    for hit in inside:
        kind, tag = hit.needle.split()[0], arena.tag_at(hit.address)
        assert declared.get(kind) == tag, f"{hit.needle}: {hit.len} bytes in a block of {tag}"
    return arena


def assert_all_wiped(memory, outside, inside):
    """Before the process ends."""
    assert_nothing_outside(outside + inside)
    parts = [mapping for mapping in memory if mapping.is_arena]
    assert parts and all(is_zero(part.data) for part in parts), "the arena is not wiped"
