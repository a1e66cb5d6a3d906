# SPDX-License-Identifier: Apache-2.0
"""
libcurl's connection pool and session cache know nothing of what our hook sets. A rogue identity used after a
good one, in one process and over one pool, must be refused by every kind of server; a handle without the hook
must fail closed.
"""

import subprocess

import pytest

from agent import PROGRAMS
from servers.enclave import KINDS

POOL_TRAP = PROGRAMS / "pool-trap"


@pytest.fixture(scope="module")
def directories(tmp_path_factory, pki, rogue):
    """Two installed identities that trust the same enclave; the enclave trusts the first."""
    made = []
    for name, identity in ("good", pki.pair("client")), ("rogue", rogue):
        directory = tmp_path_factory.mktemp(name)
        identity.write(directory, "client")
        (directory / "ca.crt").write_text(pki.ca_pem)
        made.append(directory)
    return made


def run(*arguments):
    return subprocess.run([POOL_TRAP, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rogue_identity_after_a_good_one_is_refused(directories, enclaves, kind):
    result = run(*directories, enclaves[kind].endpoint)
    assert result.returncode == 0, result.stdout + result.stderr
    if kind in ("nginx", "openssl"):  # the others keep no session, or drop one that was not closed in form
        assert "session resumed" in result.stdout


def test_the_trap_would_be_seen(directories, enclaves):
    """The same program with the good identity in both places: it is accepted, and so not all is refused."""
    result = run(directories[0], directories[0], enclaves["nginx"].endpoint)
    assert result.returncode == 1, result.stdout + result.stderr


def test_a_handle_without_the_hook_fails_closed(directories, enclaves):
    result = run("--no-hook", directories[0], enclaves["nginx"].endpoint)
    assert result.returncode == 0, result.stdout + result.stderr
