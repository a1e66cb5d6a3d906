# SPDX-License-Identifier: Apache-2.0
"""`run` for a long time beside servers that never stop talking."""

import os

import pytest

from beside import Beside, talks_of

# Of one processor. It takes 0.036, beside a machine's worth of other work; this leaves room for a processor a quarter as
# fast. One peer that kept the agent busy for its 5 s of a round of 10 s would take 0.5 more.
SHARE = 0.15


@pytest.fixture(scope="module")
def talks(tmp_path_factory, authority):
    return talks_of(authority, tmp_path_factory.mktemp("endless"))


def test_run_lives_beside_them(agent, serve, put, good, enclave, talks, up):
    seconds = int(os.environ.get("SERVERS_SECONDS", 600))
    beside = Beside(agent, serve, put(good), enclave, talks, up, interval="30s", probe_interval="5s", deadline="60s")
    share = beside.lives(rounds=3, seconds=seconds, patience=120)
    print(f"{share:.3f} of a processor")
    assert share < SHARE
    status, _ = beside.service.stop()
    assert status == 0
