# SPDX-License-Identifier: Apache-2.0
"""What run counts: a file for Prometheus, and lines for CloudWatch; both say what the log says."""

import collections
import json
import re
import subprocess
import threading
import time
from pathlib import Path

import jsonschema
import pytest

from agent import wait_for
from servers.aws import aws_error
from servers.enclave import Nginx
from servers.pki import document
from servers.process import free_port

EACH_CYCLE = "--log-level=debug"
SCHEMA = jsonschema.Draft202012Validator(json.loads(Path(__file__).with_name("emf.schema.json").read_text()))
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def samples(text):
    """By name and labels."""
    read = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.fullmatch(line).groups()
            key = (name, frozenset(LABEL.findall(labels or "")))
            assert key not in read, line
            read[key] = float(value)
    return read


class Metrics:
    def __init__(self, path):
        self.path = path
        self.option = f"--metrics-file={path}"

    def get(self, name, **labels):
        """None: there is none."""
        wanted = frozenset((key, value) for key, value in labels.items() if value)
        found = [
            value
            for (other, given), value in samples(self.path.read_text()).items()
            if other == name and frozenset(pair for pair in given if pair[1]) == wanted
        ]
        return found[0] if found else None

    def check(self):
        """promtool has nothing to say against it."""
        with open(self.path) as file:
            check = ["promtool", "check", "metrics"]
            done = subprocess.run(check, stdin=file, text=True, capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def metrics(tmp_path):
    return Metrics(tmp_path / "agent.prom")


@pytest.fixture
def refusing(tmp_path, authority, stranger, up):
    """An enclave of ours that lets in nobody of ours."""
    return up(Nginx(tmp_path / "refusing", authority.issue("localhost", names=["localhost"]), stranger.pem))


def said(service):
    """What the log tells: how many of each."""
    shaken = collections.Counter(
        (event["endpoint"], event["result"], event.get("alert", "")) for event in service.all("handshake")
    )
    denied, hooks = len(service.all("error", code="aws_denied")), len(service.all("hook_done"))
    installed, unchanged = len(service.all("installed")), len(service.all("unchanged"))
    return {
        "handshakes": dict(shaken),
        "installs": installed,
        "fetches": {"installed": installed, "unchanged": unchanged, "failed": denied},
        "cycles": installed + unchanged + denied,
        "denied": denied,
        "hooks": (hooks, hooks),
    }


def assert_agree(service, counted, seconds=60):
    """That both tell the same, at a moment at which nothing is between being said and being counted."""
    deadline = time.monotonic() + seconds
    while True:
        before = said(service)
        seen = counted()
        if before == said(service) and (before == seen or time.monotonic() > deadline):
            break
        time.sleep(0.02)
    assert seen == before


def busy_life(service, aws, arn, authority):
    """A rotation and a denial, of describing and of reading."""
    service.wait("ready")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    service.wait("hook_done", 2)
    aws.faults += [aws_error(400, "AccessDeniedException", "no") for _ in range(2)]
    service.wait("error", code="aws_denied")
    service.more("unchanged", 2)
    service.more("handshake", 4)


def test_it_says_what_the_log_says(serve, agent, aws, put, good, authority, enclave, refusing, metrics):
    """After a busy life: a rotation, a denial, refusals, a dead endpoint."""
    arn, dead = put(good), f"localhost:{free_port()}"
    service = serve(
        arn,
        EACH_CYCLE,
        metrics.option,
        "--on-change-exec=/bin/true",
        endpoint=[enclave.endpoint, refusing.endpoint, dead],
    )
    busy_life(service, aws, arn, authority)
    of_set = {"set": str(agent.dir)}

    def counted():
        read = samples(metrics.path.read_text())
        shaken = {
            tuple(dict(labels).get(name, "") for name in ("endpoint", "result", "alert")): value
            for (name, labels), value in read.items()
            if name == "mtls_agent_handshakes_total" and value
        }
        return {
            "handshakes": shaken,
            "installs": metrics.get("mtls_agent_installs_total", outcome="installed", **of_set),
            "fetches": {
                result: metrics.get("mtls_agent_fetches_total", result=result, **of_set)
                for result in ("installed", "unchanged", "failed")
            },
            "cycles": metrics.get("mtls_agent_fetch_duration_seconds_count"),
            "denied": metrics.get("mtls_agent_fetch_errors_total", code="aws_denied", **of_set),
            "hooks": (
                metrics.get("mtls_agent_hooks_total", result="done"),
                metrics.get("mtls_agent_hook_duration_seconds_count"),
            ),
        }

    assert_agree(service, counted)
    assert {result for _, result, _ in said(service)["handshakes"]} == {"accepted", "refused", "unreachable"}
    assert said(service)["installs"] == 2
    assert metrics.get("mtls_agent_endpoint_success_ratio", endpoint=enclave.endpoint, window="1h") == 1
    assert metrics.get("mtls_agent_endpoint_success_ratio", endpoint=dead, window="24h") == 0
    metrics.check()


def test_what_is_installed(serve, agent, aws, put, good, pair, authority, metrics):
    arn = put(good)
    service = serve(arn, metrics.option)
    service.wait("ready")
    labels = {"set": str(agent.dir), "certificate": "leaf"}

    def end(which):
        return metrics.get(f"mtls_agent_certificate_not_{which}_timestamp_seconds", **labels)

    wait_for(lambda: metrics.path.exists() and end("after") is not None)
    assert end("after") == pair.certificate.not_valid_after_utc.timestamp()
    assert end("before") == pair.certificate.not_valid_before_utc.timestamp()
    (old,) = aws.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    info = {"set": str(agent.dir), "secret": arn}
    assert metrics.get("mtls_agent_secret_version_info", version_id=old, **info) == 1
    new = aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    service.wait("installed", 2)
    wait_for(lambda: metrics.get("mtls_agent_secret_version_info", version_id=new, **info) == 1)
    assert metrics.get("mtls_agent_secret_version_info", version_id=old, **info) is None


def test_zeroes_from_the_first_moment(serve, agent, aws, put, good, enclave, metrics):
    """A rate or an alarm needs what it looks at before anything has failed."""
    service = serve(put(good), metrics.option, endpoint=enclave.endpoint)
    service.wait("ready")
    wait_for(metrics.path.exists)
    for result in ("refused", "untrusted", "unreachable"):
        assert metrics.get("mtls_agent_handshakes_total", endpoint=enclave.endpoint, result=result) == 0
    for name, labels in {
        "fetches": {"set": str(agent.dir), "result": "failed"},
        "rollbacks": {"set": str(agent.dir)},
        "hooks": {"result": "failed"},
        "reloads": {"result": "failed"},
    }.items():
        assert metrics.get(f"mtls_agent_{name}_total", **labels) == 0


def test_promtool_takes_it_at_every_stage(serve, aws, put, good, enclave, metrics):
    aws.faults += [aws_error(400, "AccessDeniedException", "no") for _ in range(3)]
    service = serve(put(good), EACH_CYCLE, metrics.option, endpoint=enclave.endpoint)
    wait_for(metrics.path.exists)
    metrics.check()
    service.wait("ready")
    service.wait("unchanged", 2)
    metrics.check()


def test_it_is_replaced_at_once(serve, put, good, enclave, metrics):
    """Who reads all the time finds the last line each time."""
    service = serve(put(good), metrics.option, endpoint=enclave.endpoint, probe_interval="5ms")
    service.wait("ready")
    wait_for(metrics.path.exists)
    last = metrics.path.read_text().splitlines()[-1].split()[0]
    broken, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            text = metrics.path.read_text()
            if not text.endswith("\n") or text.splitlines()[-1].split()[0] != last:
                broken.append(text)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        service.more("handshake", 60)
    finally:
        stop.set()
        reader.join()
    assert not broken


def test_no_file_is_no_harm(serve, put, good, tmp_path):
    """A directory that is not there is said once; made, it is used."""
    directory = tmp_path / "textfile"
    service = serve(put(good), EACH_CYCLE, f"--metrics-file={directory}/agent.prom")
    service.wait("ready")
    service.more("unchanged", 3)
    (said,) = service.all("not_published")
    assert said["level"] == "warning" and "agent.prom" in said["file"]
    directory.mkdir()
    wait_for((directory / "agent.prom").exists)


def emf(service):
    lines = [line for line in service.stdout.read_text().splitlines(True) if line.endswith("\n")]
    return [json.loads(line) for line in lines]


def totals(service):
    """The sums of the counters, by metric and dimensions, as CloudWatch would add them up."""
    sums = collections.Counter()
    for line in emf(service):
        for directive in line["_aws"]["CloudWatchMetrics"]:
            (names,) = directive["Dimensions"]
            dimensions = frozenset((name, line[name]) for name in names)
            for metric in directive["Metrics"]:
                value = line[metric["Name"]]
                sums[metric["Name"], dimensions] += len(value) if isinstance(value, list) else value
    return sums


def test_cloudwatch(serve, agent, aws, put, good, authority, enclave, refusing):
    """Each line is a document of its format, and their sums are what the log tells."""
    arn = put(good)
    service = serve(
        arn,
        EACH_CYCLE,
        "--metrics-format=emf",
        "--on-change-exec=/bin/true",
        endpoint=[enclave.endpoint, refusing.endpoint],
    )
    busy_life(service, aws, arn, authority)

    def counted():
        sums = totals(service)

        def of(metric, **dimensions):
            return sums[metric, frozenset(dimensions.items())]

        shaken = {
            (dict(dimensions)["Endpoint"], dict(dimensions)["Result"], ""): value
            for (metric, dimensions), value in sums.items()
            if metric == "Handshakes" and value
        }
        of_set = {"Set": str(agent.dir)}
        return {
            "handshakes": shaken,
            "installs": of("Installs", Outcome="installed", **of_set),
            "fetches": {
                result: of("Fetches", Result=result, **of_set)
                for result in ("installed", "unchanged", "failed")
            },
            "cycles": of("FetchDuration"),
            "denied": of("FetchErrors", Code="aws_denied", **of_set),
            "hooks": (of("Hooks", Result="done"), of("HookDuration")),
        }

    assert_agree(service, counted)
    assert {result for _, result, _ in said(service)["handshakes"]} == {"accepted", "refused"}
    lines = emf(service)
    for line in lines:
        SCHEMA.validate(line)
    assert len(lines) > 10


def test_cloudwatch_has_times_that_are_left(serve, agent, put, good, pair):
    service = serve(put(good), "--metrics-format=emf")
    service.wait("ready")
    wait_for(lambda: [line for line in emf(service) if line.get("Certificate") == "leaf"])
    line = next(line for line in emf(service) if line.get("Certificate") == "leaf")
    left = pair.certificate.not_valid_after_utc.timestamp() - line["_aws"]["Timestamp"] / 1000
    assert abs(line["CertificateTimeLeft"] - left) <= 2


def test_standard_output_is_silent_without_it(serve, put, good, metrics):
    service = serve(put(good), EACH_CYCLE, metrics.option)
    service.wait("unchanged", 2)
    service.stop()
    assert service.stdout.read_text() == ""


def test_both(serve, put, good, metrics):
    """emf beside a file."""
    service = serve(put(good), EACH_CYCLE, metrics.option, "--metrics-format=emf")
    service.wait("unchanged", 2)
    service.stop()
    metrics.check()
    assert emf(service)
