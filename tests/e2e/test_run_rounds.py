# SPDX-License-Identifier: Apache-2.0
"""What `run` says of its probes: what is news of an endpoint, and one line a round. Metrics count them all."""

import re
import signal
import ssl

import pytest

from servers.process import free_port
from test_run_resumption import PACE, Enclave, server

__all__ = ["server"]
INFO = "--log-level=info"


@pytest.fixture
def ours(tmp_path, server, authority, up):
    return up(Enclave(tmp_path / "ours", server, authority.pem))


def told(service, name="handshake"):
    return [event for event in service.events if event["event"] == name]


def test_a_line_a_round(serve, tmp_path, put, good, ours):
    """However many endpoints there are; each handshake is counted."""
    metrics, dead = tmp_path / "agent.prom", f"localhost:{free_port()}"
    service = serve(put(good), INFO, f"--metrics-file={metrics}", endpoint=[ours.endpoint, dead], **PACE)
    service.wait("probed", 20)
    service.stop()
    said = [(event["endpoint"], event["result"], event["level"]) for event in told(service)]
    # Of the rehearsal, which asks those again that say nothing, and of the first round.
    assert said.count((ours.endpoint, "accepted", "info")) == len(said) - said.count((dead, "unreachable", "warning")) == 2
    probed = told(service, "probed")
    assert len(said) <= 6
    for line in probed:
        assert (line["level"], line["endpoints"], line["accepted"], line["failed"]) == ("info", 2, 1, 1)
        assert line["full"] + line["resumed"] == 1 and 0 <= line["min_ms"] == line["median_ms"] == line["max_ms"]
    assert [line["full"] for line in probed[:20]] == ([1] + [0] * 9) * 2
    counted = re.findall(r"handshakes_total{.*} (\d+)", metrics.read_text())
    assert sum(map(int, counted)) == len(said) - 2 + 2 * len(probed)


def test_what_is_news(serve, put, good, ours):
    """Another verdict, another status, and back; not what comes again."""
    service = serve(put(good), INFO, "--probe-full-every=1", endpoint=ours.endpoint, **PACE)
    service.wait("probed", 3)
    expected = [("accepted", 200, "info")] * 2
    for status, result, level in [
        (403, "refused", "warning"),
        (401, "refused", "warning"),
        (200, "accepted", "info"),
        (503, "accepted", "info"),
        (200, "accepted", "info"),
    ]:
        ours.status = status
        service.wait("handshake", len(expected) + 1)
        expected.append((result, status, level))
        service.more("probed", 4)
    assert [(event["result"], event["status"], event["level"]) for event in told(service)] == expected


def test_another_version_of_tls_is_news(serve, put, good, ours):
    service = serve(put(good), INFO, "--probe-full-every=1", endpoint=ours.endpoint, **PACE)
    service.wait("probed", 2)
    ours.context.minimum_version = ssl.TLSVersion.TLSv1_2
    ours.context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert service.wait("handshake", 3)["tls"] == "1.2"
    service.more("probed", 3)
    assert [event["tls"] for event in told(service)] == ["1.3", "1.3", "1.2"]


def test_after_a_hangup_all_is_said_once_more(serve, put, good, ours):
    service = serve(put(good), INFO, endpoint=ours.endpoint, **PACE)
    service.wait("probed", 2)
    assert len(told(service)) == 2
    service.send(signal.SIGHUP)
    service.wait("handshake", 3)
    service.more("probed", 3)
    assert len(told(service)) == 3


def test_each_handshake_is_there_at_level_debug(serve, put, good, ours):
    service = serve(put(good), "--log-level=debug", endpoint=ours.endpoint, **PACE)
    service.wait("probed", 12)
    assert [event["level"] for event in told(service)][:12] == ["info"] * 2 + ["debug"] * 10
