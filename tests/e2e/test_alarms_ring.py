# SPDX-License-Identifier: Apache-2.0
"""
The alarms of platform/alarms over what a real `run` emits on a bad day: each rings, and each is quiet again afterwards.
CloudWatch is a small evaluator of alarms; the rules are promtool's. The wall clock is ours, so that a day takes a minute.
"""

import collections
import json
import os
import subprocess
import time

import pytest

from agent import wait_for
from day import CLOCK
from servers.aws import aws_error
from servers.enclave import Nginx
from servers.nitro import DEBUG, Attested, Hardware, pcr_set
from servers.pki import DAY, Authority, document
from test_alarms import ALARMS, alarms
from test_run_metrics import samples

PERIOD = 300
PACE = 120  # so many times faster goes the clock of its schedule: an hour is half a minute
OPTIONS = {"interval": "24s", "probe_interval": "8s", "deadline": "20m"}


# ---- CloudWatch: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html


class CloudWatch:
    """The values of each metric, by its name, dimensions, and period; read as they come."""

    def __init__(self):
        self.path, self._read = None, 0
        self.values = collections.defaultdict(list)

    def follow(self, path):
        """From now on another run tells."""
        self.path, self._read = path, 0

    def look(self):
        with open(self.path, "rb") as file:
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

    def __init__(self, start, agent, clock, endpoint, metrics):
        self._start, self.agent, self.clock, self.metrics = start, agent, clock, metrics
        self.labels = {"Set": str(agent.dir), "Endpoint": endpoint, "Topic": "arn:aws:sns:eu-central-1:123456789012:t"}
        self.now = time.time()
        self.now -= self.now % PERIOD
        self.told = CloudWatch()
        self.snapshots = []  # (phase, when, what the file held)
        self.start()

    def start(self):
        self.service = self._start()
        self.told.follow(self.service.stdout)
        self.service.wait("ready")
        wait_for(self.metrics.exists)

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
            self.snapshots.append((phase, self.now, self.metrics.read_text() if alive else ""))
            done += 1

    def ringing(self):
        last, known = int(self.now // PERIOD), self.told.look()
        return {alarm["AlarmName"] for alarm in alarms(**self.labels) if rings(known, alarm, last)}


@pytest.fixture
def server(tmp_path, authority, up):
    return up(Nginx(tmp_path / "enclave", authority.issue("localhost", names=["localhost"]), authority.pem))


@pytest.fixture
def begin(serve, agent, clock, tmp_path):
    """begin(arn, server, ...): a day of a run that is configured by a URL; the alarms are told HOST:PORT."""

    def begin(arn, server, *arguments, **options):
        metrics = tmp_path / "mtls-agent.prom"

        def start():
            return serve(
                arn,
                "--metrics-format=emf",
                f"--metrics-file={metrics}",
                *arguments,
                endpoint=f"https://localhost:{server.port}",
                program=CLOCK,
                env={**clock.env, "TEST_HASTE": "50", "TEST_PACE": str(PACE)},
                **{**OPTIONS, **options},
            )

        return Day(start, agent, clock, f"localhost:{server.port}", metrics)

    return begin


@pytest.fixture
def day(begin, put, authority, server, tmp_path):
    """One with a hook, which fails while there is a fault."""
    fault, hook = tmp_path / "fault", tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\n[ ! -e {fault} ]\n")
    hook.chmod(0o755)
    pair = authority.issue("ECS-Client", lifetime=(-DAY, 60 * DAY))
    arn = put(document(pair, authority.pem))
    made = begin(arn, server, f"--on-change-exec={hook}", "--on-change-timeout=10m")
    made.service.wait("hook_done")
    made.arn, made.fault = arn, fault
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
    day.service.stop()
    day.live("Gone", alive=False)
    assert day.ringing() >= {"Gone", "FetchFailing", "Refused", "SuccessRatioLow", "CertificateExpires"}
    day.start()
    day.live(quiet, more=lambda: not day.ringing())
    rings_by_rules(day, {name: name for name in (*rung, "Gone")}, quiet_at_the_end=("Gone", *rung))


def test_a_certificate_that_ends(day, aws, authority):
    """Seen from afar: first for a week, then for a day; until there is another one."""
    both = {"CertificateExpiresSoon", "CertificateExpires"}
    day.live("well")
    assert day.ringing() == set()
    day.leap(55 * DAY)
    day.live("CertificateExpiresSoon", periods=2)
    assert day.ringing() & both == {"CertificateExpiresSoon"}
    day.leap(4.5 * DAY)
    day.live("CertificateExpires", periods=2)
    assert day.ringing() >= both
    aws.rotate(day.arn, document(authority.issue("ECS-Client", lifetime=(-DAY, 200 * DAY)), authority.pem))
    day.service.wait("installed", 2)
    day.live("well", more=lambda: not day.ringing() & both)
    rings_by_rules(day, {name: name for name in both}, quiet_at_the_end=both)


def test_a_ca_that_ends(begin, put, aws, authority, tmp_path, up):
    """Seen four weeks before, until the secret and the enclave have the next one."""
    old = Authority("Old", lifetime=(-DAY, 60 * DAY))
    leaf = {"lifetime": (-DAY, 50 * DAY)}
    server = up(Nginx(tmp_path / "old", old.issue("localhost", names=["localhost"], **leaf), old.pem))
    arn = put(document(old.issue("ECS-Client", **leaf), old.pem))
    day = begin(arn, server)
    day.live("well")
    assert day.ringing() == set()
    day.leap(35 * DAY)
    day.live("CaExpiresSoon", periods=2)
    assert day.ringing() == {"CaExpiresSoon"}
    server.stop()
    following = Nginx(tmp_path / "new", authority.issue("localhost", names=["localhost"]), authority.pem)
    following.stop()
    following.start(server.port)
    up(following)
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    day.service.wait("installed", 2)
    day.live("well", more=lambda: "CaExpiresSoon" not in day.ringing())
    rings_by_rules(day, {"CaExpiresSoon": "CaExpiresSoon"}, quiet_at_the_end=["CaExpiresSoon"])


@pytest.mark.skipif(os.geteuid() != 0, reason="a file of roots must be root's")
def test_an_enclave_that_proves_nothing(begin, put, good, authority, tmp_path, up):
    hardware, roots = Hardware(), tmp_path / "roots"
    roots.write_text(hardware.fingerprint)
    server = up(Attested(tmp_path / "enclave", authority.issue("localhost", names=["localhost"]), authority.pem, hardware))
    told = ["--attest=report", f"--attest-root={roots}", f"--attest-pcr={pcr_set()}", "--attest-interval=10s"]
    day = begin(put(good), server, *told)
    day.live("well", more=lambda: not day.ringing())
    server.options = {"pcrs": DEBUG}
    day.live("Unattested", more=lambda: "Unattested" in day.ringing())
    server.options = {}
    day.live("well", more=lambda: "Unattested" not in day.ringing())
    rings_by_rules(day, {"Unattested": "Unattested"}, quiet_at_the_end=["Unattested"])


def rings_by_rules(day, when, quiet_at_the_end):
    """Prometheus: over the snapshots, a minute apart, each of these rules rings in its phase, and not in the end."""
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
    for name, phase in when.items():
        last = max(minute for minute, each in enumerate(phases) if each == phase)
        query = f'count(ALERTS{{alertname="MtlsAgent{name}",alertstate="firing"}}) > bool 0'
        queries.append({"expr": query, "eval_time": f"{last}m", "exp_samples": [{"labels": "{}", "value": 1}]})
    for name in quiet_at_the_end:
        query = f'count(ALERTS{{alertname="MtlsAgent{name}",alertstate="firing"}})'
        for at in (3, minutes - 1):
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
