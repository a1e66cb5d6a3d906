# SPDX-License-Identifier: Apache-2.0
"""
The alarms of platform/alarms over what a real `run` emits on a bad day: each rings, and each is quiet again afterwards.
CloudWatch is a small evaluator of alarms; the rules are promtool's. The wall clock is ours, so that a day takes a minute.
"""

import collections
import json
import subprocess
import time

import pytest

from agent import wait_for
from day import CLOCK
from servers.aws import aws_error
from servers.enclave import Nginx
from servers.pki import DAY, document
from test_alarms import ALARMS, alarms
from test_run_metrics import samples

PERIOD = 300
PACE = 120  # so many times faster goes the clock of its schedule: an hour is half a minute
OPTIONS = {"interval": "24s", "probe_interval": "8s", "deadline": "20m"}


# ---- CloudWatch: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html


class CloudWatch:
    """The values of each metric, by its name, dimensions, and period; read as they come."""

    def __init__(self, path):
        self._path, self._read = path, 0
        self.values = collections.defaultdict(list)

    def look(self):
        with open(self._path, "rb") as file:
            file.seek(self._read)
            lines = file.read().split(b"\n")[:-1]
        self._read += sum(len(line) + 1 for line in lines)
        for line in map(json.loads, lines):
            period = line["_aws"]["Timestamp"] // 1000 // PERIOD
            for directive in line["_aws"]["CloudWatchMetrics"]:
                (names,) = directive["Dimensions"]
                dimensions = frozenset((name, line[name]) for name in names)
                for metric in directive["Metrics"]:
                    value = line[metric["Name"]]
                    values = value if isinstance(value, list) else [value]
                    self.values[metric["Name"], dimensions, period] += values
        return self.values


STATISTICS = {"Sum": sum, "Maximum": max, "Minimum": min, "SampleCount": len}
COMPARISONS = {"LessThanThreshold": float.__lt__, "GreaterThanThreshold": float.__gt__}


def statistic(known, metric, stat, period):
    dimensions = frozenset((each["Name"], each["Value"]) for each in metric.get("Dimensions", []))
    values = known.get((metric["MetricName"], dimensions, period))
    return STATISTICS[stat](values) if values else None


def value_of(known, alarm, period):
    if "Metrics" not in alarm:
        return statistic(known, alarm, alarm["Statistic"], period)
    parts = {
        query["Id"]: statistic(known, query["MetricStat"]["Metric"], query["MetricStat"]["Stat"], period)
        for query in alarm["Metrics"]
        if "MetricStat" in query
    }
    (expression,) = [query["Expression"] for query in alarm["Metrics"] if "Expression" in query]
    summed = [parts[name] for name in expression.split(" + ")]
    return None if None in summed else sum(summed)


def rings(known, alarm, last):
    """Whether all periods breach, up to the last one."""
    breaches = COMPARISONS[alarm["ComparisonOperator"]]
    missing = {"breaching": True, "notBreaching": False, "ignore": False}[alarm["TreatMissingData"]]
    values = [value_of(known, alarm, last - back) for back in range(alarm["EvaluationPeriods"])]
    return all(missing if value is None else breaches(float(value), float(alarm["Threshold"])) for value in values)


# ---- the day


class Day:
    """The agent, its enclave, and a wall clock that goes from one period to the next when we say so."""

    def __init__(self, service, agent, clock, endpoint, metrics):
        self.service, self.agent, self.clock, self.metrics = service, agent, clock, metrics
        self.labels = {"Set": str(agent.dir), "Endpoint": endpoint, "Topic": "arn:aws:sns:eu-central-1:123456789012:t"}
        self.now = time.time()
        self.told = CloudWatch(service.stdout)
        self.snapshots = []  # (phase, what the file held)

    def _advance(self, seconds):
        self.now += seconds
        self.clock.set(self.now - time.time())

    def leap(self, time):
        self._advance(time.total_seconds() // PERIOD * PERIOD)

    def live(self, phase, periods=4, more=lambda: True, alive=True):
        """Some periods, each with what is emitted in it, until more() holds."""
        done = 0
        while done < periods or not more():
            assert done < 200, (phase, self.ringing())
            self._advance(PERIOD)
            if alive:
                key = "Wakeups", frozenset(), int(self.now // PERIOD)
                wait_for(lambda: len(self.told.look()[key]) >= 3, 120)
                self.snapshots.append((phase, self.now, self.metrics.read_text()))
            done += 1

    def ringing(self):
        last, known = int(self.now // PERIOD), self.told.look()
        return {alarm["AlarmName"] for alarm in alarms(**self.labels) if rings(known, alarm, last)}


@pytest.fixture
def server(tmp_path, authority, up):
    return up(Nginx(tmp_path / "enclave", authority.issue("localhost", names=["localhost"]), authority.pem))


@pytest.fixture
def day(serve, agent, put, authority, clock, server, tmp_path):
    """Configured by a URL; the alarms are told HOST:PORT."""
    metrics, fault = tmp_path / "mtls-agent.prom", tmp_path / "fault"
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\n[ ! -e {fault} ]\n")
    hook.chmod(0o755)
    pair = authority.issue("ECS-Client", lifetime=(-DAY, 60 * DAY))
    arn = put(document(pair, authority.pem))
    service = serve(
        arn,
        "--metrics-format=emf",
        f"--metrics-file={metrics}",
        f"--on-change-exec={hook}",
        "--on-change-timeout=10m",
        endpoint=f"https://localhost:{server.port}",
        program=CLOCK,
        env={**clock.env, "TEST_HASTE": "50", "TEST_PACE": str(PACE)},
        **OPTIONS,
    )
    service.wait("ready")
    service.wait("hook_done")
    wait_for(metrics.exists)
    made = Day(service, agent, clock, f"localhost:{server.port}", metrics)
    made.arn, made.fault = arn, fault
    made.now -= made.now % PERIOD
    return made


def test_each_alarm_rings_and_is_quiet_again(day, aws, authority, stranger, server, agent):
    quiet = "well"
    rung = {}

    def ring(name, begin, end, more=lambda: True):
        begin()
        day.live(name, periods=8, more=lambda: name in day.ringing())
        rung[name] = day.ringing()
        end()
        day.live(quiet, more=lambda: name not in day.ringing() and more())

    def deny():
        aws.faults += [aws_error(400, "AccessDeniedException", "no") for _ in range(3000)]

    def trust(authority):
        server.stop()
        server.ca_path.write_text(authority.pem)
        server.start(server.port)

    def fail_hook():
        day.fault.touch()
        aws.rotate(day.arn, document(authority.issue("ECS-Client", lifetime=(-DAY, 60 * DAY)), authority.pem))
        day.service.wait("error", code="hook_failed")

    day.live(quiet)
    assert day.ringing() == set()
    ring("FetchFailing", deny, aws.faults.clear)
    assert rung["FetchFailing"] == {"FetchFailing"}
    ring("Refused", lambda: trust(stranger), lambda: trust(authority))
    assert rung["Refused"] <= {"Refused", "SuccessRatioLow"}
    day.live(quiet, more=lambda: not day.ringing())
    ring("SuccessRatioLow", server.stop, lambda: server.start(server.port))
    ring("HookFailing", fail_hook, day.fault.unlink)
    day.live(quiet, more=lambda: not day.ringing())
    rings_by_rules(day)
    day.service.stop()
    day.live("Gone", alive=False)
    assert day.ringing() >= {"Gone", "FetchFailing", "Refused", "SuccessRatioLow", "CertificateExpires"}


def test_a_certificate_that_ends(day):
    """Seen from afar: first for a week, then for a day."""
    day.live("well")
    assert day.ringing() == set()
    day.leap(55 * DAY)
    day.live("soon", periods=2)
    assert day.ringing() & {"CertificateExpiresSoon", "CertificateExpires"} == {"CertificateExpiresSoon"}
    day.leap(4.5 * DAY)
    day.live("now", periods=2)
    assert day.ringing() >= {"CertificateExpiresSoon", "CertificateExpires"}


def rings_by_rules(day):
    """Prometheus: the snapshots, a minute apart, ring the rules of the same names."""
    series = collections.defaultdict(dict)
    for minute, (_, taken, text) in enumerate(each for each in day.snapshots for _ in range(PERIOD // 60)):
        for (name, labels), value in samples(text).items():
            if name.endswith("_timestamp_seconds") or name.endswith("start_time_seconds"):
                value += minute * 60 - taken
            series[name, labels][minute] = value
    minutes = len(day.snapshots) * PERIOD // 60
    lines = [
        {
            "series": f"{name}{{{','.join(f'{key}={json.dumps(label)}' for key, label in [*sorted(labels), ('job', 'node'), ('instance', 'one')])}}}",
            "values": " ".join(repr(values[minute]) if minute in values else "_" for minute in range(minutes)),
        }
        for (name, labels), values in series.items()
    ]
    phases = [phase for phase, *_ in day.snapshots for _ in range(PERIOD // 60)]
    queries = []
    for name in ("FetchFailing", "Refused", "SuccessRatioLow", "HookFailing"):
        last = max(minute for minute, phase in enumerate(phases) if phase == name)
        query = f'count(ALERTS{{alertname="MtlsAgent{name}",alertstate="firing"}}) > bool 0'
        queries.append({"expr": query, "eval_time": f"{last}m", "exp_samples": [{"labels": "{}", "value": 1}]})
    for at in (3, minutes - 1):
        query = 'count(ALERTS{alertstate="firing"})'
        queries.append({"expr": query, "eval_time": f"{at}m", "exp_samples": []})
    test = {
        "rule_files": [str(ALARMS / "prometheus-rules.yml")],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": lines, "promql_expr_test": queries}],
    }
    path = day.metrics.with_name("rules.test.yml")
    path.write_text(json.dumps(test))  # which is YAML, too
    done = subprocess.run(["promtool", "test", "rules", path], text=True, capture_output=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
