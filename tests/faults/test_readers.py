# SPDX-License-Identifier: Apache-2.0
"""
Who reads during rotations: as docs/install.md says, and as it says one should not. The same readers look at
what other programs do: rename one file after the other, or write over them where they are.
"""

import os
import shutil
import subprocess

import pytest

from agent import PROGRAMS, wait_for
from conftest import STRIDE
from servers.pki import document

ROTATIONS = max(10_000 // STRIDE, 500)
OF_OTHERS = 10_000
OF_THE_PROGRAM = 300 // STRIDE + 5
PAIRS = 8
SAFE = ("pinned", "compared", "combined")
COLUMNS = ("reads", "mixed", "torn", "missing", "begun anew")
ROTATOR = PROGRAMS / "rotations"


@pytest.fixture(scope="module")
def pairs(memory, authority):
    """Pairs that belong together, by number, and a folder of them."""
    directory = memory / "pairs"
    directory.mkdir()
    made = [authority.issue("ECS-Client") for _ in range(PAIRS)]
    for number, pair in enumerate(made):
        (directory / f"{number}.crt").write_text(pair.cert)
        (directory / f"{number}.key").write_text(pair.key)
    return directory, made


@pytest.fixture
def target(memory, pairs):
    directory = memory / "read"
    directory.mkdir()
    yield directory
    shutil.rmtree(directory)


class Readers:
    """One process for each way."""

    def __init__(self, pairs, target, ways):
        pipe, out = subprocess.PIPE, subprocess.PIPE
        self.children = {
            way: subprocess.Popen([ROTATOR, pairs, target, "read", way], stdin=pipe, stdout=out, text=True)
            for way in ways
        }
        for child in self.children.values():
            assert child.stdout.readline() == "ready\n"

    def finish(self):
        """What each has counted, by its way."""
        lines = {way: child.communicate()[0] for way, child in self.children.items()}
        assert all(child.returncode == 0 for child in self.children.values()), lines
        return {way: dict(zip(COLUMNS, map(int, line.split()))) for way, line in lines.items()}


@pytest.fixture
def table(pytestconfig):
    """table(title, results) shows what was counted."""

    def show(title, results):
        lines = [f"{title:44}" + "".join(f"{column:>12}" for column in COLUMNS)]
        lines += [
            f"  {way:42}" + "".join(f"{count:12,}" for count in row.values()) for way, row in results.items()
        ]
        pytestconfig.readings = [*getattr(pytestconfig, "readings", []), *lines]

    return show


def write(pairs, target, way, count):
    subprocess.run([ROTATOR, pairs, target, "write", way, str(count)], check=True)


def assert_whole(results):
    """
    No way ever gives half a file, and none misses one while "..data" stays what it is. The safe ones give no halves of
    two pairs either.
    """
    for way, row in results.items():
        assert row["reads"] > 100 and not (row["torn"] or row["missing"]), results
        assert way not in SAFE or not row["mixed"], results


def test_documented_ways(pairs, target, table, tally):
    """The agent's installer, in one process, without a pause."""
    write(pairs[0], target, "set", 1)
    readers = Readers(pairs[0], target, (*SAFE, "plain"))
    write(pairs[0], target, "set", ROTATIONS)
    results = readers.finish()
    table(f"{ROTATIONS:,} rotations of the agent's installer", results)
    tally["rotations that were read"] += ROTATIONS
    tally["reads in documented ways"] += sum(results[way]["reads"] for way in SAFE)
    assert_whole(results)


def test_the_whole_program(pairs, memory, aws, agent, authority, table, serve, tally):
    """mtls-agent run, for as many versions as AWS has."""
    directory, made = pairs
    documents = [document(pair, authority.pem) for pair in made]
    arn = aws.put("read", documents[0])
    service = serve(arn, "--combined", interval="100ms", probe_interval="0s")
    service.wait("installed")
    readers = Readers(directory, agent.dir, (*SAFE, "plain"))
    for number in range(1, OF_THE_PROGRAM):
        current = os.readlink(agent.dir / "..data")
        aws.rotate(arn, documents[number % PAIRS])
        wait_for(lambda: os.readlink(agent.dir / "..data") != current, 60)
    results = readers.finish()
    table(f"{OF_THE_PROGRAM} rotations of mtls-agent run", results)
    assert_whole(results)


@pytest.mark.parametrize("way", ["renamed", "truncated"])
def test_what_others_do(pairs, target, table, way):
    """The readers see it where there is something to be seen."""
    write(pairs[0], target, way, 1)
    readers = Readers(pairs[0], target, ["plain"])
    write(pairs[0], target, way, OF_OTHERS)
    results = {f"plain, {way}": row for row in readers.finish().values()}
    table(f"{OF_OTHERS:,} rotations, each file {way}", results)
    assert results[f"plain, {way}"]["mixed"] + results[f"plain, {way}"]["torn"] > 0
