# SPDX-License-Identifier: Apache-2.0
"""`run`: fetches, watches, rotates, and ends when it is told to."""

import fcntl
import json
import os
import signal

from agent import PATIENCE_S, wait_for
from servers.aws import aws_error
from servers.pki import document


def test_a_rotation(serve, agent, aws, put, good, authority, enclave):
    arn = put(good)
    service = serve(arn, endpoint=enclave.endpoint)
    first = service.wait("installed")
    service.wait("ready")
    service.wait("handshake", result="accepted", count=3)
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    second = service.wait("installed", 2)
    assert second["fingerprint"] != first["fingerprint"]
    status, seconds = service.stop()
    assert status == 0 and seconds < 1


def test_denied_for_a_while(serve, aws, put, good, authority):
    """Once it is allowed again, the version is asked for first, as before."""
    arn = put(good)
    service = serve(arn)
    service.wait("unchanged")
    aws.faults.extend([aws_error(400, "AccessDeniedException", "not now")] * 6)
    service.wait("error", code="aws_denied")
    aws.faults.clear()
    version = aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    service.wait("version", version_id=version)
    service.wait("installed", 2)


def test_the_hook_is_told_how_it_came(serve, agent, aws, put, good, authority):
    """`pending` is what another process did; a roll-back's own hook knows it as one."""
    hook = "--on-change-exec=/usr/bin/env"
    arn = put(good)
    service = serve(arn, hook)
    service.wait("hook_output", line="MTLS_AGENT_CHANGE_EVENT=installed")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    service.wait("hook_output", 2, line="MTLS_AGENT_CHANGE_EVENT=installed")
    agent.fetch(arn, "--rollback").succeeded("rolled_back")
    service.wait("hook_output", line="MTLS_AGENT_CHANGE_EVENT=pending")
    service.stop()
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    agent.fetch(arn, hook).succeeded("installed")
    result = agent.fetch(arn, "--rollback", hook).succeeded("rolled_back")
    assert "MTLS_AGENT_CHANGE_EVENT=rolled_back" in [each["line"] for each in result.all("hook_output")]


def test_nobody_reads_the_metrics(agent, put, good, enclave):
    """A full pipe on standard output costs lines, not the service."""
    options = [f"--dir={agent.dir}", f"--secret={put(good)}", f"--endpoint={enclave.endpoint}"]
    options += ["--metrics-format=emf", "--probe-interval=100ms", "--interval=200ms"]
    running = agent.start("run", *options)
    fcntl.fcntl(running.child.stdout, fcntl.F_SETPIPE_SZ, 4096)

    def goes_on():
        return (agent.dir / "..status.json").exists() and agent.status()["endpoints"][0]["1h"]["asked"] >= 5

    try:
        wait_for(goes_on, PATIENCE_S)
        running.child.terminate()
        assert running.child.wait(PATIENCE_S) == 0
    finally:
        running.child.kill()
        lines = running.finish().stdout.splitlines()
    assert lines and all("_aws" in json.loads(line) for line in lines)
