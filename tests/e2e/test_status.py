# SPDX-License-Identifier: Apache-2.0
"""What run says about itself: the status file, and `mtls-agent status`, which reads it for people."""

import datetime
import json
import os
import threading

import pytest

from agent import wait_for
from servers.aws import aws_error
from servers.process import free_port

EACH_CYCLE = "--log-level=debug"
MEMBERS = {
    "format": int,
    "written": "time",
    "uptime_s": int,
    "next_within_s": int,
    "agent": {"version": str, "state": str, "pid": int, "started": "time", "dir": str, "config": (str, None)},
    "sets": [
        {
            "set": str,
            "outcome": (str, None),
            "error": ({"code": str, "cause": str, "subject": (str, None), "reason": str, "remedy": str}, None),
            "last_fetch": ("time", None),
            "last_success": ("time", None),
            "waits_until": ("time", None),
            "region": (str, None),
            "installed": (
                {
                    "fingerprint": str,
                    "subject": (str, None),
                    "key": (str, None),
                    "not_before": ("time", None),
                    "not_after": "time",
                    "ca_not_after": ("time", None),
                    "version_ids": [str],
                },
                None,
            ),
            "problem": ({"code": str, "cause": str, "subject": (str, None), "reason": str, "remedy": str}, None),
            "on_change": str,
            "on_change_error": ({"code": str, "cause": str, "subject": (str, None), "reason": str, "remedy": str}, None),
            "endpoints_accepting": (int, None),
        }
    ],
    "endpoints": [
        {
            "endpoint": str,
            "label": str,
            "last": (str, None),
            "last_at": ("time", None),
            "failed_at": ("time", None),
            "failure": (str, None),
            "attestation": (str, None),
            "root": (str, None),
            "attested_at": ("time", None),
            **{
                window: dict.fromkeys(
                    (
                        "asked",
                        "accepted",
                        "refused",
                        "not_mutual",
                        "untrusted",
                        "unattested",
                        "unreachable",
                        "mean_ms",
                        "worst_ms",
                    ),
                    int,
                )
                for window in ("1h", "24h")
            },
        }
    ],
    "memory": {"locked_bytes": int, "peak_bytes": int, "backing": str},
    "sandbox": {
        "core": bool,
        "dumpable": bool,
        "no_new_privs": bool,
        "seccomp": bool,
        "landlock": int,
        "capabilities": (str, None),
        "refused": int,
        "absent": (str, None),
    },
}


def conforms(value, kind, path=""):
    """Exactly these members, of these types."""
    if isinstance(kind, tuple):
        if value is not None:
            conforms(value, kind[0], path)
    elif isinstance(kind, dict):
        assert set(value) == set(kind), path
        for name, inner in kind.items():
            conforms(value[name], inner, f"{path}.{name}")
    elif isinstance(kind, list):
        for item in value:
            conforms(item, kind[0], f"{path}[]")
    elif kind == "time":
        datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")
    else:
        assert type(value) is kind, f"{path}: {value!r}"


def view(agent, *arguments, **options):
    return agent.run("status", f"--dir={agent.dir}", *arguments, **options)


def test_its_members(serve, agent, aws, put, good, pair, enclave):
    arn, dead = put(good), f"localhost:{free_port()}"
    given = f"https://LOCALHOST:{enclave.port}/health?x"
    service = serve(arn, endpoint=[given, dead], probe_interval="200ms")
    service.wait("handshake", 3, result="unreachable")
    service.wait("ready")
    wait_for(lambda: agent.status()["endpoints"][1]["1h"]["asked"] >= 2)
    status = agent.status()
    conforms(status, MEMBERS)
    assert status["format"] == 1
    assert status["agent"]["state"] == "ready" and status["agent"]["pid"] == service.pid
    (told,) = status["sets"]
    assert told["error"] is None and told["problem"] is None and told["on_change"] == "none"
    assert told["installed"]["fingerprint"] == service.all("installed")[0]["fingerprint"]
    assert told["installed"]["subject"] == "CN=ECS-Client"
    versions = aws.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    assert told["installed"]["version_ids"] == list(versions)
    end = pair.certificate.not_valid_after_utc
    assert told["installed"]["not_after"] == end.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert told["endpoints_accepting"] == 1
    good_one, bad_one = status["endpoints"]
    assert (good_one["endpoint"], good_one["last"]) == (given, "accepted")
    assert good_one["label"] == f"localhost:{enclave.port}" and bad_one["label"] == dead
    assert good_one["failure"] is None
    assert good_one["1h"]["accepted"] == good_one["1h"]["asked"] > 0
    assert (bad_one["endpoint"], bad_one["last"]) == (dead, "unreachable") and bad_one["failure"]
    for window in ("1h", "24h"):
        assert bad_one[window]["unreachable"] == bad_one[window]["asked"] > 0 == bad_one[window]["accepted"]
    assert oct((agent.dir / "..status.json").stat().st_mode & 0o777) == "0o644"


def test_while_there_is_no_set(serve, agent, aws, put, good):
    aws.faults += [aws_error(400, "AccessDeniedException", "no") for _ in range(1000)]
    service = serve(put(good), EACH_CYCLE)
    service.wait("error", 2)
    wait_for(lambda: agent.status()["sets"][0]["error"])
    status = agent.status()
    conforms(status, MEMBERS)
    (told,) = status["sets"]
    assert status["agent"]["state"] == "starting" and told["outcome"] == "failed"
    assert told["error"]["code"] == "aws_denied" and told["problem"]["code"] == "no_identity"
    assert told["installed"] is None and told["last_success"] is None and told["last_fetch"]


def test_it_is_replaced_at_once(serve, agent, put, good, enclave):
    """Who reads all the time sees a whole document each time."""
    service = serve(put(good), endpoint=enclave.endpoint, probe_interval="5ms")
    service.wait("ready")
    path, versions, broken = agent.dir / "..status.json", set(), []
    enough = threading.Event()

    def read():
        while not enough.is_set():
            with open(path) as file:
                facts = os.fstat(file.fileno())
                text = file.read()
            try:
                json.loads(text)
            except ValueError:
                broken.append(text)
            versions.add((facts.st_ino, facts.st_mtime_ns))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        wait_for(lambda: len(versions) >= 100 or broken, 60)
    finally:
        enough.set()
        reader.join()
    assert not broken
    service.stop()
    assert [name for name in os.listdir(agent.dir) if "status" in name] == ["..status.json"]


def test_for_people(serve, agent, put, good, enclave):
    service = serve(put(good), endpoint=enclave.endpoint)
    service.wait("ready")
    wait_for(lambda: agent.status()["endpoints"][0]["last"])
    seen = view(agent)
    assert seen.status == 0 and seen.stderr == ""
    first = seen.stdout.splitlines()[0]
    assert first.startswith("mtls-agent ") and first.endswith(", ready")
    fingerprint = service.all("installed")[0]["fingerprint"]
    for word in ("CN=ECS-Client", str(service.pid), enclave.endpoint, "accepted", fingerprint):
        assert word in seen.stdout


def test_for_programs(serve, agent, put, good):
    service = serve(put(good), interval="1h")
    service.wait("ready")
    wait_for(lambda: agent.status()["agent"]["state"] == "ready")
    assert view(agent, "--json").status == 0
    wait_for(lambda: json.loads(view(agent, "--json").stdout) == agent.status())


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_after_it_has_ended(serve, agent, put, good, end):
    service = serve(put(good))
    service.wait("ready")
    wait_for((agent.dir / "..status.json").exists)
    if end == "stopped":
        service.stop()
        assert agent.status()["agent"]["state"] == "stopped"
    else:
        service.child.kill()
        service.child.wait()
    seen = view(agent)
    assert seen.status == 1 and seen.stdout.splitlines()[0].endswith(", not running")
    assert view(agent, "--json").status == 1


def test_nobody_has_written_one(agent):
    seen = view(agent)
    assert seen.status == 1 and "no_status" in seen.stderr and seen.stdout == ""


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format":2}', "\0" * 10])
def test_what_is_none(serve, agent, put, good, text):
    service = serve(put(good))
    service.wait("ready")
    service.stop()
    (agent.dir / "..status.json").write_text(text)
    seen = view(agent)
    assert seen.status == 1 and "no_status" in seen.stderr


def test_at_another_path(serve, agent, tmp_path, put, good):
    path = tmp_path / "status.json"
    serve(put(good), f"--status-file={path}").wait("ready")
    wait_for(path.exists)
    assert not (agent.dir / "..status.json").exists()
    assert view(agent, f"--status-file={path}").status == 0
    assert view(agent).status == 1


def test_in_the_runtime_directory(serve, agent, tmp_path, put, good):
    """As systemd's RuntimeDirectory= makes it; the first, of several."""
    directory = tmp_path / "runtime"
    directory.mkdir()
    variables = {"RUNTIME_DIRECTORY": f"{directory}:/nowhere"}
    serve(put(good), env=variables).wait("ready")
    wait_for((directory / "status.json").exists)
    assert not (agent.dir / "..status.json").exists()
    assert view(agent, env=variables).status == 0


def test_it_cannot_be_written(serve, agent, tmp_path, put, good, authority):
    """Said once; no harm to the rest; and written again as soon as it can be."""
    directory = tmp_path / "later"
    service = serve(put(good), EACH_CYCLE, f"--status-file={directory}/status.json")
    service.wait("not_published")
    service.wait("ready")
    service.more("unchanged", 4)
    (said,) = service.all("not_published")
    assert said["level"] == "warning" and said["file"] == f"{directory}/status.json"
    directory.mkdir()
    wait_for((directory / "status.json").exists)
    assert not service.all("error")


def test_of_as_many_endpoints_as_there_may_be(serve, agent, put, good, enclave):
    """What run writes at its largest, status and healthcheck read."""
    dead = free_port()
    names = (f"{number}.{'.'.join(['x' * 60] * 3)}" for number in range(1, 1024))
    endpoints = [enclave.endpoint, *(f"{name}@127.0.0.1:{dead}" for name in names)]
    service = serve(put(good), endpoint=endpoints, interval="10s", probe_interval="10m", deadline="60s")
    service.wait("ready", seconds=90)
    wait_for(lambda: agent.status()["endpoints"][-1]["last"], 90)
    assert len(agent.status()["endpoints"]) == 1024
    seen = view(agent)
    assert seen.status == 0 and seen.stdout.count("\nendpoint ") == 1024, seen.stderr
    wait_for(lambda: json.loads(view(agent, "--json").stdout) == agent.status())
    healthy = agent.run("healthcheck", f"--dir={agent.dir}", "--min-endpoints=1", "--max-fetch-age=1h")
    assert healthy.stdout == "healthy\n", healthy.stdout
