# SPDX-License-Identifier: Apache-2.0
"""What `run` counts over a changing life: other endpoints, other secrets, another format, readers who pause, the year 2038."""

import collections
import contextlib
import json
import os
import signal
import time

import pytest

from agent import wait_for
from day import CLOCK
from servers.aws import aws_error
from servers.process import free_port
from test_reload import configure
from test_run_metrics import EACH_CYCLE, Metrics, emf, samples

QUIET = {"interval": "1h", "probe_interval": "1h"}


@pytest.fixture
def metrics(tmp_path):
    return Metrics(tmp_path / "agent.prom")


@pytest.fixture
def configured(serve, tmp_path, agent, put, good, metrics):
    """Starts one by a file; the service, and what writes the file anew and has it read."""
    path = tmp_path / "agent.conf"
    settings = {
        "secret": put(good),
        "dir": agent.dir,
        "interval": "400ms",
        "probe_interval": "200ms",
        "log_level": "debug",
        "metrics_file": metrics.path,
    }

    def change(service=None, **options):
        settings.update(options)
        configure(path, **settings)
        if service:
            before = len(service.all("reloaded"))
            service.send(signal.SIGHUP)
            service.wait("reloaded", before + 1)

    def start(**options):
        change(**options)
        flags = {"interval": None, "probe_interval": None, "dir_flag": False}
        return serve([], f"--config={path}", **flags), change

    return start


def labels(metrics, name):
    """All values of a label."""
    return {dict(given)[name] for _, given in samples(metrics.path.read_text()) if name in dict(given)}


def test_what_is_not_configured_any_more_goes(configured, metrics, put, good, agent):
    first, second = (f"localhost:{free_port()}" for _ in range(2))
    service, change = configured(endpoint=[first])
    service.wait("handshake", endpoint=first)
    wait_for(lambda: metrics.path.exists() and first in labels(metrics, "endpoint"))
    change(service, endpoint=[second], secret=[f"web={put(good)}"])
    service.wait("handshake", endpoint=second)
    wait_for(lambda: labels(metrics, "endpoint") == {second})
    wait_for(lambda: labels(metrics, "set") == {"web"})
    metrics.check()


def test_one_label_however_it_is_written(configured, metrics, enclave):
    """HOST:PORT, which an alarm names."""
    service, _ = configured(endpoint=[f"https://LOCALHOST:{enclave.port}/health?1", f"https://localhost:{enclave.port}"])
    service.wait("handshake", 4)
    wait_for(lambda: metrics.path.exists() and labels(metrics, "endpoint") == {f"localhost:{enclave.port}"})
    wait_for(
        lambda: metrics.get("mtls_agent_handshakes_total", endpoint=f"localhost:{enclave.port}", result="accepted") >= 4
    )
    assert metrics.get("mtls_agent_endpoint_success_ratio", endpoint=f"localhost:{enclave.port}", window="1h") == 1


def test_a_switch_of_format_tells_no_past(configured, metrics, enclave):
    service, change = configured(endpoint=[enclave.endpoint])
    service.wait("handshake", 12, result="accepted")
    change(service, metrics_format="emf", **QUIET)

    def told(name):
        return [line[name] for line in emf(service) if name in line and line.get("Result", "accepted") == "accepted"]

    wait_for(lambda: told("Handshakes"))
    since = len(service.all("handshake", result="accepted"))
    assert sum(told("Handshakes")) < 12 <= since
    change(service, probe_interval="100ms")
    wait_for(lambda: told("HandshakeDuration"))


def test_another_secret_has_no_past(configured, metrics, agent, aws, put, good):
    """It was never fetched, and must not look as if it had been."""
    service, change = configured(metrics_format="prometheus")
    service.wait("ready")
    wait_for(lambda: metrics.path.exists() and agent.status()["sets"][0]["last_success"])
    other = put(good)
    aws.faults += [aws_error(400, "AccessDeniedException", "no") for _ in range(60)]
    change(service, secret=other)
    service.wait("error", subject=other)  # a cycle for the one before may have been on its way
    wait_for(lambda: (agent.status()["sets"][0]["error"] or {}).get("subject") == other)
    assert agent.status()["sets"][0]["last_success"] is None
    wait_for(lambda: metrics.get("mtls_agent_last_success_timestamp_seconds", set=str(agent.dir)) is None)


def test_a_set_that_moves_keeps_its_past(configured, agent, aws, put, good):
    one, two = put(good), put(good)
    service, change = configured(secret=[f"one={one}", f"two={two}"])
    service.wait("ready")
    wait_for(lambda: all(each["last_success"] for each in agent.status()["sets"]))
    before = {each["set"]: each["last_success"] for each in agent.status()["sets"]}
    aws.faults += [aws_error(400, "AccessDeniedException", "no") for _ in range(200)]
    change(service, secret=[f"two={two}", f"one={one}"], interval="1h")

    def told():
        return {each["set"]: each["last_success"] for each in agent.status()["sets"]}

    wait_for(lambda: list(told()) == ["two", "one"] and None not in told().values())
    assert all(told()[name] >= before[name] for name in before)


def test_a_reader_who_pauses_loses_nothing(serve, agent, put, good, tmp_path, enclave):
    """More than the pipe holds at once, and nobody reads for a while: the sums are what the log tells."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    seen = bytearray()

    def read():
        with contextlib.suppress(BlockingIOError):
            while part := os.read(reader, 65536):
                seen.extend(part)

    endpoints = [enclave.endpoint, *(f"localhost:{free_port()}" for _ in range(100))]
    log = tmp_path / "log"
    log.touch()
    prefix = ["sh", "-c", 'exec "$@" >"$0"', pipe]
    service = serve(
        put(good),
        EACH_CYCLE,
        "--metrics-format=emf",
        f"--log-file={log}",
        endpoint=endpoints,
        probe_interval="1s",
        prefix=prefix,
    )
    service.log = log
    for rounds in (3, 6, 9):
        service.wait("handshake", rounds, endpoint=enclave.endpoint, seconds=120)
        time.sleep(2.5)  # more than the agent waits for a reader
        read()

    def sums():
        read()
        told = collections.Counter()
        for line in bytes(seen).split(b"\n")[:-1]:
            document = json.loads(line)
            if "Handshakes" in document:
                told[document["Endpoint"], document["Result"]] += document["Handshakes"]
        return {key: count for key, count in told.items() if count}

    def logged():
        return dict(collections.Counter((each["endpoint"], each["result"]) for each in service.all("handshake")))

    wait_for(lambda: sums() == logged(), 120)
    os.close(reader)


def test_it_tells_that_it_lives(serve, agent, put, good, tmp_path):
    """Each four minutes, though there is nothing to do for an hour: no alarm rings on a healthy host."""
    service = serve(
        put(good),
        EACH_CYCLE,
        "--metrics-format=emf",
        interval="24h",
        probe_interval="0s",
        deadline="50m",
        program=CLOCK,
        env={"TEST_PACE": "200"},
    )
    service.wait("ready")

    def published():
        return sum("Wakeups" in line for line in emf(service))

    def cycles():
        return sum(len(service.all(name)) for name in ("installed", "unchanged"))

    wait_for(lambda: published() >= cycles() + 4)
    assert agent.status()["next_within_s"] == 240 + 50 * 60 + 7


def test_it_sleeps_beyond_2038(serve, put, good, clock, metrics, enclave):
    """Where no end is known that a timer could wait for."""
    clock.set(2_300_000_000 - time.time())
    service = serve(put(good), EACH_CYCLE, metrics.option, program=CLOCK, env=clock.env, deadline="1s")
    service.wait("error", 8, seconds=120)
    wait_for(metrics.path.exists)
    assert metrics.get("mtls_agent_wakeups_total") < 200
