# SPDX-License-Identifier: Apache-2.0
"""A processor that is short of time: a peer's clock runs while we wait for it, not while it waits for us."""

import itertools
import json
import os
from collections import Counter

import pytest

from agent import wait_for
from servers.enclave import Go
from servers.pki import Authority, document
from servers.starve import precede, starved
from test_probe import configuration

ENDPOINTS = 100

# The whole of it takes minutes: make test-starved.
CASES = [("p256", 5, False), ("p256", 8, True), ("rsa4096", 12, False)]
if os.environ.get("STARVED") == "all":
    CASES = [(kind, *case) for kind in ("p256", "rsa4096") for case in itertools.product((5, 8, 12), (False, True))]
IN_RUN = [("p256", 8), ("rsa4096", 12)]

@pytest.fixture(scope="module")
def authorities():
    return {kind: Authority("Enclave-CA", kind) for kind in ("p256", "rsa4096")}


@pytest.fixture
def place(agent, authorities, tmp_path, up):
    """place(kind): an identity of that kind of key is installed, and a hundred endpoints of one quick server."""

    def make(kind):
        authority = authorities[kind]
        server = authority.issue("localhost", kind, ["localhost", "127.0.0.1"])
        enclave = up(Go(tmp_path / "enclave", server, authority.pem))
        precede(enclave.pid)
        agent.dir.mkdir()
        authority.issue("ECS-Client", kind).write(agent.dir, "client")
        (agent.dir / "ca.crt").write_text(authority.pem)
        return [f"https://127.0.0.1:{enclave.port}/{number}" for number in range(ENDPOINTS)]

    return make


@pytest.mark.parametrize("kind, percent, by_stops", CASES)
def test_few_percent_of_a_processor(agent, place, tmp_path, up, kind, percent, by_stops):
    """It takes longer, and that is all."""
    conf = configuration(tmp_path / "conf", place(kind))
    processor = up(starved(percent, by_stops))
    running = agent.start(
        *("probe", "--json", "--log-format=json", f"--dir={agent.dir}", "--deadline=10m", conf),
        prefix=processor.prefix,
    )
    processor.follow(running.pid)
    stdout, stderr = running.child.communicate(timeout=600)
    assert Counter(each["result"] for each in json.loads(stdout)) == {"accepted": ENDPOINTS}, stderr[-2000:]
    assert running.child.returncode == 0
    assert processor.throttled() > 5, "it was short of time"


@pytest.mark.parametrize("kind, percent", IN_RUN)
def test_run_with_few_percent(put, place, authorities, tmp_path, up, serve, kind, percent):
    """Nobody is called unreachable, though the deadline is much too short: their turn comes in another round."""
    endpoints = place(kind)
    identity = document(authorities[kind].issue("ECS-Client", kind), authorities[kind].pem)
    conf = configuration(tmp_path / "conf", endpoints)
    processor = up(starved(percent))
    service = serve(
        *(put(identity), conf, "--rehearse=off"),
        **{"deadline": "8s", "interval": "1h", "probe_interval": "100ms", "prefix": processor.prefix},
    )
    processor.follow(service.pid)

    def all_were_asked():
        assert service.child.poll() is None, service.tail()
        return {event["endpoint"] for event in service.all("handshake")} == set(endpoints)

    wait_for(all_were_asked, 300)
    assert [event for event in service.all("handshake") if event["result"] != "accepted"] == []
    assert processor.throttled() > 5
