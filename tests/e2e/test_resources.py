# SPDX-License-Identifier: Apache-2.0
"""What a fetch costs: measured, printed, and held to its limits."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from servers.http import HOLD
from servers.pki import document

RESIDENT_KIB = 3 * 1024
LOCKED_KIB = 512
HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def peak(tmp_path_factory):
    program = tmp_path_factory.mktemp("peak") / "peak"
    subprocess.run(["cc", "-Os", "-o", program, HERE / "peak.c"], check=True)
    return program


@pytest.fixture
def dear(put, pki):
    """The README's identity: RSA-4096 is the dearest of all."""
    return put(document(pki.pair("client"), pki.ca_pem))


def test_peak_resident_memory(agent, dear, enclaves, peak, record_property, capsys):
    result = agent.fetch(dear, endpoint=[each.endpoint for each in enclaves.values()], prefix=[str(peak)])
    assert result.status == 0, result.stderr
    kib = int(result.stdout)
    with capsys.disabled():
        print(f" {kib} KiB of {RESIDENT_KIB} resident ", end="")
    assert 0 < kib <= RESIDENT_KIB


def test_locked_memory_by_its_own_account(agent, dear, enclaves, capsys):
    result = agent.fetch(dear, endpoint=enclaves["nginx"].endpoint).succeeded()
    kib = result.event("finished")["locked_bytes"] / 1024
    with capsys.disabled():
        print(f" {kib:.0f} KiB of {LOCKED_KIB} locked ", end="")
    assert 0 < kib <= LOCKED_KIB


def test_locked_memory_by_the_kernels_account(agent, aws, dear):
    """While an answer is awaited; memfd_secret does not count as VmLck, so mappings of it are added."""
    aws.faults.append(HOLD)
    running = agent.start(*agent.fetch_arguments(dear, deadline="2s"))
    try:
        deadline = time.monotonic() + 2
        while not aws.asked and time.monotonic() < deadline:
            time.sleep(0.01)
        proc = Path(f"/proc/{running.pid}")
        kib = int(re.search(r"VmLck:\s+(\d+)", (proc / "status").read_text()).group(1))
        for mapping in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) .*secretmem", (proc / "maps").read_text(), re.MULTILINE):
            kib += (int(mapping[1], 16) - int(mapping[0], 16)) // 1024 if kib == 0 else 0
    finally:
        running.finish()
    assert 0 < kib <= LOCKED_KIB


def test_it_is_quick(agent, dear, enclaves, capsys):
    """AWS and a handshake with RSA-4096 on this machine; generous, for slow ones."""
    result = agent.fetch(dear, endpoint=enclaves["nginx"].endpoint).succeeded("installed")
    with capsys.disabled():
        print(f" {result.seconds * 1000:.0f} ms ", end="")
    assert result.seconds < 3


def test_a_tight_memlock_limit(agent, dear):
    """Without the right to lock memory it says so, and goes on when told."""
    drop = ["prlimit", "--memlock=0:0", "--", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "--"]
    agent.fetch(dear, prefix=drop).failed(71, "memory_lock")
    agent.fetch(dear, "--memory-lock=prefer", prefix=drop).succeeded("installed")
