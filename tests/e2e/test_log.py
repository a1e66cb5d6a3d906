# SPDX-License-Identifier: Apache-2.0
"""The log: one line an event, for people or for programs."""

import json
import re

import pytest


def test_json(agent, put, good):
    result = agent.fetch(put(good)).succeeded()
    for line in result.stderr.splitlines():
        event = json.loads(line)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["time"])
        assert event["level"] in ("debug", "info", "warning", "error")
        assert re.fullmatch(r"[a-z_]+", event["event"])
    assert result.stdout == ""


def test_text(agent, put, good):
    result = agent.fetch(put(good), log_format="text")
    assert result.status == 0
    lines = result.stderr.splitlines()
    assert all(
        re.fullmatch(r'\S+Z (info|warning) [a-z_]+( [a-z_]+=("([^"\\]|\\.)*"|\S+))*', line) for line in lines
    ), lines
    assert any(" installed " in line and f"dir={agent.dir}" in line for line in lines)


def test_level(agent, put, good):
    arn = put(good)
    assert agent.fetch(arn, "--log-level=error").stderr == ""
    assert agent.fetch(arn, "--log-level=warning").stderr == ""


def test_errors_have_all_that_a_user_needs(agent, put):
    error = agent.fetch(put("{}")).failed(65, "field_missing")
    assert error["level"] == "error"
    assert all(error[field] for field in ("what", "subject", "reason", "remedy"))


def test_file_and_standard_error(agent, tmp_path, put, good):
    log = tmp_path / "log"
    result = agent.fetch(put(good), f"--log-file={log}").succeeded()
    assert log.read_text() == result.stderr
    again = agent.fetch(put(good), f"--log-file={log}")
    assert log.read_text() == result.stderr + again.stderr
    assert log.stat().st_mode & 0o007 == 0


def test_a_log_file_that_cannot_be_opened(agent, put, good):
    agent.fetch(put(good), "--log-file=/nowhere/log").failed(78, "config")


@pytest.mark.parametrize("name", ["MTLS_AGENT_LOG_FORMAT"])
def test_format_from_the_environment(agent, put, good, name):
    result = agent.run("fetch", f"--secret={put(good)}", f"--dir={agent.dir}", env={name: "json"})
    result.succeeded("installed")
