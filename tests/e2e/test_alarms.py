# SPDX-License-Identifier: Apache-2.0
"""platform/alarms: Prometheus takes the rules, they fire when they should, AWS takes the alarms, and both name metrics that exist."""

import json
import re
import subprocess

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.validate import ParamValidator

from agent import ROOT

ALARMS = ROOT / "platform/alarms"
FAMILIES = (ROOT / "src/metrics/metrics_families.c").read_text()
NAMESPACE = "mtls-agent"
GIVEN = {
    "Topic": "arn:aws:sns:eu-central-1:123456789012:alerts",
    "Set": "/etc/ecs/mtls",
    "Endpoint": "enclave.example.com:3000",
}


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], cwd=ALARMS, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_rules():
    assert "SUCCESS: 10 rules found" in promtool("check", "rules", "prometheus-rules.yml")


def test_alerts_fire_when_they_should():
    assert "SUCCESS" in promtool("test", "rules", "prometheus-rules.test.yml")


def families():
    """Each row of the agent's table of metrics: what Prometheus and what CloudWatch call it, and its CloudWatch dimensions."""
    for row in re.split(r"\n    \[METRIC_", FAMILIES)[1:]:
        name = re.search(r'\.name = "(\w+)"', row)[1]
        labels = re.findall(r'"(\w+)"', (re.search(r"\.labels = {([^}]*)}", row) or [None, ""])[1])
        emf = re.search(r'\.emf = {EMF_\w+,\s*"(\w+)",\s*"(\w+)",\s*\d+,\s*([^}]*)}', row)
        dimensions = [labels[int(bit)].capitalize() for bit in re.findall(r"LABEL_(\d)", emf[3])] if emf else None
        yield name, labels, emf and emf[1], dimensions


def test_rules_name_metrics_that_exist():
    known = {name for name, *_ in families()}
    used = set(re.findall(r"\bmtls_agent_\w+", (ALARMS / "prometheus-rules.yml").read_text()))
    assert len(known) > 20 and used and used <= known


def test_an_alert_for_each_alarm():
    readme = (ALARMS / "README.md").read_text()
    alerts = re.findall(r"alert: (\w+)", (ALARMS / "prometheus-rules.yml").read_text())
    assert [name for name in [*alerts, *template()["Resources"]] if f"`{name}`" not in readme] == []


def template():
    return json.loads((ALARMS / "cloudwatch.json").read_text())


def resolve(value, given):
    if isinstance(value, dict):
        return given[value["Ref"]] if set(value) == {"Ref"} else {k: resolve(v, given) for k, v in value.items()}
    return [resolve(item, given) for item in value] if isinstance(value, list) else value


def alarms(**given):
    """What CloudFormation makes of the template: the parameters of PutMetricAlarm, which its properties are named after."""
    read = template()
    defaults = {name: parameter.get("Default") for name, parameter in read["Parameters"].items()}
    for name, resource in read["Resources"].items():
        assert resource["Type"] == "AWS::CloudWatch::Alarm"
        yield {"AlarmName": name, **resolve(resource["Properties"], {**defaults, **GIVEN, **given})}


def queried(alarm):
    """The metrics that an alarm looks at."""
    if "Metrics" not in alarm:
        return [alarm]
    return [query["MetricStat"]["Metric"] for query in alarm["Metrics"] if "MetricStat" in query]


@pytest.mark.parametrize("alarm", list(alarms()), ids=lambda alarm: alarm["AlarmName"])
def test_cloudwatch_takes_the_alarm(alarm):
    client = boto3.client("cloudwatch", region_name="eu-central-1", config=Config(signature_version=UNSIGNED))
    shape = client.meta.service_model.operation_model("PutMetricAlarm").input_shape
    report = ParamValidator().validate(alarm, shape)
    assert not report.has_errors(), report.generate_report()
    assert sorted(set(alarm) - set(shape.members)) == []
    for name in ("Statistic", "ComparisonOperator"):
        assert alarm.get(name) in [*shape.members[name].enum, None]
    assert alarm["ComparisonOperator"] and alarm["TreatMissingData"] in ("breaching", "notBreaching", "ignore", "missing")


@pytest.mark.parametrize("alarm", list(alarms()), ids=lambda alarm: alarm["AlarmName"])
def test_the_alarm_looks_at_a_metric_that_exists(alarm):
    known = {emf: dimensions for *_, emf, dimensions in families() if emf}
    for metric in queried(alarm):
        assert metric["Namespace"] == NAMESPACE
        assert [dimension["Name"] for dimension in metric.get("Dimensions", [])] == known[metric["MetricName"]]
