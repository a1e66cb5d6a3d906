# SPDX-License-Identifier: Apache-2.0
"""What a fetch costs: measured, printed, and held to its limits."""

import os
import re
import resource
import subprocess
from pathlib import Path

import pytest

from agent import PROGRAMS, wait_for
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


def test_peak_resident_memory(agent, dear, enclaves, peak, capsys):
    result = agent.fetch(dear, endpoint=[each.endpoint for each in enclaves.values()], prefix=[str(peak)])
    assert result.status == 0, result.stderr
    kib = int(result.stdout)
    with capsys.disabled():
        print(f" {kib} KiB of {RESIDENT_KIB} resident ", end="")
    assert 0 < kib <= RESIDENT_KIB


@pytest.mark.parametrize("endpoints", [1, 8])
def test_locked_memory_by_its_own_account(agent, dear, enclaves, capsys, endpoints):
    urls = [f"https://{enclaves['nginx'].endpoint}/health?{number}" for number in range(endpoints)]
    result = agent.fetch(dear, endpoint=urls).succeeded("installed")
    kib = result.event("finished")["locked_bytes"] / 1024
    with capsys.disabled():
        print(f" {kib:.0f} KiB of {LOCKED_KIB} locked with {endpoints} endpoints ", end="")
    assert 0 < kib <= LOCKED_KIB


def test_locked_memory_by_the_kernels_account(agent, aws, dear):
    """Looked at while an answer is awaited."""
    aws.faults.append(HOLD)
    running = agent.start(*agent.fetch_arguments(dear, deadline="80s"))
    try:
        wait_for(lambda: aws.asked)
        status = Path(f"/proc/{running.pid}/status").read_text()
    finally:
        running.child.terminate()
        running.finish()
    assert 0 < int(re.search(r"VmLck:\s+(\d+) kB", status).group(1)) <= LOCKED_KIB


def test_it_is_quick(agent, dear, enclaves, capsys):
    """AWS and a handshake with RSA-4096 on this machine, by what the processor has to do; generous, for slow ones."""

    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    result = agent.fetch(dear, endpoint=enclaves["nginx"].endpoint).succeeded("installed")
    with capsys.disabled():
        print(f" {result.seconds * 1000:.0f} ms ", end="")
    assert used() - before < 3


def test_a_tight_memlock_limit(agent, dear):
    """Without the right to lock memory it says so, and goes on when told."""
    drop = [
        "prlimit",
        "--memlock=0:0",
        "--",
        "setpriv",
        "--bounding-set=-ipc_lock",
        "--inh-caps=-ipc_lock",
        "--",
    ]
    agent.fetch(dear, prefix=drop).failed(71, "memory_lock")
    agent.fetch(dear, "--memory-lock=prefer", prefix=drop).succeeded("installed")


@pytest.mark.parametrize("kib", [16, 24, 64])
def test_a_small_stack(agent, kib):
    """It is made larger where that is allowed, and told of where it is not."""
    told = ["status", f"--dir={agent.dir}", "--log-format=json"]
    soft = agent.run(*told, prefix=["prlimit", f"--stack={kib * 1024}:8388608"])
    soft.failed(1, "no_status")
    whoever = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    hard = agent.run(*told, prefix=["prlimit", f"--stack={kib * 1024}", *whoever])
    assert (hard.status, "RLIMIT_STACK is too low" in hard.stderr) == (71, True), hard.stderr


def test_a_kernel_without_random_numbers(agent, put, good):
    """getrandom(2), 318 on x86_64 and 278 on aarch64."""
    number = "318" if os.uname().machine == "x86_64" else "278"
    result = agent.fetch(put(good), prefix=[PROGRAMS / "deny", number, "--"])
    assert "no random numbers" in result.failed(71, "system")["reason"]
