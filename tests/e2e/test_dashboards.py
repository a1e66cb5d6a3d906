# SPDX-License-Identifier: Apache-2.0
"""platform/dashboards: made from the agent's table, taken by validators, and each query finds what a real run tells."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent import ROOT, wait_for
from servers.aws import aws_error
from servers.pki import document
from test_alarms import families
from test_run_metrics import samples

FOLDER = ROOT / "platform/dashboards"
GRAFANA = json.loads((FOLDER / "grafana.json").read_text())
TEMPLATES = sorted((ROOT / "platform").glob("*/cloudwatch.json"))
PANELS = [panel for panel in GRAFANA["panels"] if panel["type"] != "row"]
# What a life without attestations and waves has nothing of.
QUIET = {"mtls_agent_attestations_total", "mtls_agent_endpoint_attested", "mtls_agent_wave_until_timestamp_seconds"}


def body():
    (dashboard,) = json.loads((FOLDER / "cloudwatch.json").read_text())["Resources"].values()
    return json.loads(dashboard["Properties"]["DashboardBody"]["Fn::Sub"].replace("${AWS::Region}", "eu-west-1"))


def test_they_are_of_today():
    subprocess.run([ROOT / "tools/dashboards", "--check"], check=True)


def test_another_table_is_seen(tmp_path):
    """The check fails where a metric is not on them."""
    copy = tmp_path / "tree"
    for name in ("tools/dashboards", "src/metrics/metrics_families.c", *(f"platform/dashboards/{each}.json" for each in ("grafana", "cloudwatch"))):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    table = copy / "src/metrics/metrics_families.c"
    table.write_text(table.read_text().replace("mtls_agent_wakeups_total", "mtls_agent_wake_ups_total"))
    done = subprocess.run([sys.executable, copy / "tools/dashboards", "--check"], capture_output=True, text=True)
    assert done.returncode == 1 and "grafana.json differ" in done.stderr


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.parent.name)
def test_cloudformation_takes_it(template):
    done = subprocess.run([Path(sys.executable).parent / "cfn-lint", template], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_cloudwatch_has_each_metric():
    """By its own dimensions, as widgets that do not lie on one another."""
    wanted = {(emf, tuple(dimensions)) for *_, emf, dimensions in families() if emf}
    shown, places = set(), set()
    for widget in body()["widgets"]:
        taken = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not taken & places and max(x for x, _ in taken) < 24
        places |= taken
        if widget["type"] == "text":
            continue
        (metric,) = widget["properties"]["metrics"]
        if isinstance(metric[0], dict):
            search = r"""SEARCH\('\{"mtls-agent",([\w,]+)\} MetricName="(\w+)"', '(Sum|Minimum|Maximum|p99)', 300\)"""
            dimensions, name, _ = re.fullmatch(search, metric[0]["expression"]).groups()
            shown.add((name, tuple(dimensions.split(","))))
        else:
            assert metric[0] == "mtls-agent" and metric[2]["stat"] in ("Sum", "Minimum", "Maximum", "p99")
            shown.add((metric[1], ()))
    assert shown == wanted


def test_grafana_has_each_metric():
    assert sorted(panel["description"] for panel in PANELS) == sorted(name for name, *_ in families())
    assert len({panel["id"] for panel in GRAFANA["panels"]}) == len(GRAFANA["panels"])
    known = {each["name"] for each in GRAFANA["templating"]["list"]} | {"__rate_interval"}
    for panel in PANELS:
        (target,) = panel["targets"]
        assert set(re.findall(r"\$(\w+)", target["expr"])) <= known


def snapshots(serve, put, authority, enclave, tmp_path, aws):
    """What two looks at the file of a run see, whose hook runs, and to which AWS has said no, and not now."""
    metrics, hook = tmp_path / "mtls-agent.prom", tmp_path / "hook"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    service = serve(
        put(document(authority.issue("ECS-Client"), authority.pem)),
        f"--metrics-file={metrics}",
        f"--on-change-exec={hook}",
        endpoint=f"https://localhost:{enclave.port}",
        interval="1s",
        probe_interval="1s",
    )
    service.wait("hook_done")
    service.wait("handshake", 2)
    aws.faults += [aws_error(400, "AccessDeniedException", "no") for _ in range(2)]
    service.wait("error", code="aws_denied")
    aws.faults += [aws_error(503, "ServiceUnavailable", "not now")]
    service.wait("retry")
    seen = ("mtls_agent_hook_duration_seconds_bucket", "mtls_agent_retries_total{")
    wait_for(lambda: metrics.exists() and all(name in metrics.read_text() for name in seen))
    yield metrics.read_text()
    service.more("handshake", 3)
    wait_for(lambda: "mtls_agent_endpoint_success_ratio" in metrics.read_text())
    yield metrics.read_text()


def test_each_query_finds_what_a_run_tells(serve, put, authority, enclave, tmp_path, aws):
    first, second = (samples(text) for text in snapshots(serve, put, authority, enclave, tmp_path, aws))
    told = {re.sub("_(bucket|sum|count)$", "", name) if "duration" in name else name for name, _ in second}
    assert {name for name, *_ in families()} - told <= QUIET
    lines = [
        {
            "series": f"{name}{{{','.join(f'{key}={json.dumps(label)}' for key, label in [*sorted(labels), ('job', 'node'), ('instance', 'one')])}}}",
            "values": f"{first.get((name, labels), 0)!r} {value!r}x5",
        }
        for (name, labels), value in second.items()
    ]
    queries = []
    for panel in PANELS:
        expression = re.sub(r"\$__rate_interval", "5m", panel["targets"][0]["expr"])
        expression = re.sub(r"\$\w+", ".*", expression)
        found = [] if panel["description"] in QUIET - told else [{"labels": "{}", "value": 1}]
        queries.append({"expr": f"count({expression}) > bool 0", "eval_time": "4m", "exp_samples": found})
    test = {"evaluation_interval": "1m", "tests": [{"interval": "1m", "input_series": lines, "promql_expr_test": queries}]}
    path = tmp_path / "dashboards.test.yml"
    path.write_text(json.dumps(test))  # which is YAML, too
    done = subprocess.run(["promtool", "test", "rules", path], text=True, capture_output=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
