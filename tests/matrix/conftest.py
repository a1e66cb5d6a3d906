# SPDX-License-Identifier: Apache-2.0
"""The fixtures and hooks of tests/e2e; what this machine cannot build is skipped, with the reason."""

import importlib.util
import os

import pytest

import kinds
from agent import ROOT
from programs import Missing

# The hooks and fixtures of the other conftest.py are ours as well.
_spec = importlib.util.spec_from_file_location("e2e_conftest", ROOT / "tests" / "e2e" / "conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)
globals().update({name: value for name, value in vars(_e2e).items() if not name.startswith("_")})


@pytest.fixture(scope="session")
def times():
    """How often each is asked."""
    return int(os.environ.get("SERVERS_TIMES", 10))


@pytest.fixture(scope="module")
def running(tmp_path_factory, authority):
    """running(kind, *words) is that server, started once."""
    started = {}
    pair = authority.issue("Enclave", names=["localhost", "127.0.0.1"])

    def run(kind, *words):
        if (kind, words) not in started:
            try:
                started[kind, words] = kinds.KINDS[kind](
                    tmp_path_factory.mktemp("server"), pair, authority.pem, [*words]
                )
            except Missing as missing:
                pytest.skip(str(missing))
        return started[kind, words]

    yield run
    for server in started.values():
        server.stop()
