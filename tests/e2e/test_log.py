# SPDX-License-Identifier: Apache-2.0
"""The log: one line an event, for people or for programs."""

import json
import os
import re
import subprocess

import pytest

from agent import wait_for


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


@pytest.fixture
def small(tmp_path):
    """A file system of 32 KiB: its directory, and what to put before a command that is to see it."""
    directory = tmp_path / "small"
    directory.mkdir()
    holder = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs -o size=32k none {directory} && echo ready && exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "ready\n"
    yield directory, ["nsenter", "--target", str(holder.pid), "--mount", "--"]
    holder.communicate("", timeout=60)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_full_disk(serve, put, good, tmp_path, small):
    """No two lines become one, what is missing is said where it is missing, and all of it is counted."""
    directory, enter = small
    log, metrics = directory / "log", tmp_path / "metrics"

    def there(*words):
        return subprocess.run([*enter, *words], check=True, capture_output=True, text=True).stdout

    there("dd", "if=/dev/zero", f"of={directory}/filler", "bs=4096", "count=6")
    options = [f"--log-file={log}", f"--metrics-file={metrics}", "--log-level=debug"]
    service = serve(put(good), *options, prefix=enter)
    service.wait("ready")
    wait_for(lambda: len(service.events) > 2 * len(there("cat", str(log)).splitlines()))
    service.more("unchanged")
    wait_for(lambda: "mtls_agent_log_lines_dropped_total " in metrics.read_text())
    there("rm", f"{directory}/filler")
    wait_for(lambda: "log_lines_lost" in there("cat", str(log)))
    service.more("unchanged")
    wait_for(lambda: "unchanged" in there("tail", "-n", "5", str(log)))
    assert service.stop()[0] == 0
    told, written = service.log.read_text().splitlines(), there("cat", str(log)).splitlines()
    lost = [json.loads(line)["lines"] for line in written if '"log_lines_lost"' in line]
    whole = [line for line in written if line in told]
    torn = [line for line in written if line not in told and '"log_lines_lost"' not in line]
    assert len(torn) <= 1 and all(any(each.startswith(line) for each in told) for line in torn), torn
    assert sum(lost) > 5 and len(told) == len(whole) + sum(lost)
    last = metrics.read_text()
    assert f"mtls_agent_log_lines_dropped_total {sum(lost)}\n" in last
