# SPDX-License-Identifier: Apache-2.0
"""`healthcheck`: one line and 0 or 1, from the directory alone; more only where it is asked for."""

import datetime
import json
import os
import signal

import pytest

from agent import PROGRAM, Running, wait_for
from day import CLOCK
from servers.aws import aws_error
from servers.pki import DAY, document
from servers.process import free_port

EACH_CYCLE = "--log-level=debug"


@pytest.fixture
def check(agent):
    """As a container's health check runs it: with the directory, and nothing in its environment but where locks lie."""

    def run(*arguments, prefix=(), program=PROGRAM, env=None):
        argv = [*prefix, str(program), "healthcheck", f"--dir={agent.dir}", *arguments]
        result = Running(argv, {"MTLS_AGENT_LOCK_DIR": str(agent.locks), **(env or {})}).finish()
        assert result.stderr == "" and len(result.stdout.splitlines()) == 1, result.stdout + result.stderr
        return result

    return run


def assert_healthy(result):
    assert (result.status, result.stdout) == (0, "healthy\n")


def assert_not(result, *words):
    assert result.status == 1 and result.stdout.startswith("unhealthy: "), result.stdout
    for word in words:
        assert word in result.stdout


@pytest.fixture
def running(serve, put, good):
    service = serve(put(good), EACH_CYCLE)
    service.wait("ready")
    return service


def test_all_is_well(running, check):
    assert_healthy(check())


def test_no_directory(check, agent):
    assert_not(check(), str(agent.dir))


def test_no_set_yet(serve, agent, aws, put, good, check):
    aws.faults += [aws_error(400, "AccessDeniedException", "no") for _ in range(1000)]
    service = serve(put(good), EACH_CYCLE)
    service.wait("error")
    assert_not(check(), str(agent.dir))


@pytest.mark.parametrize("damage", ["another key", "no key", "no certificate", "garbage"])
def test_a_broken_pair(serve, agent, put, good, rogue, check, damage):
    service = serve(put(good), interval="1h")
    service.wait("ready")
    assert_healthy(check())
    name = "client.crt" if damage == "no certificate" else "client.key"
    path = (agent.dir / name).resolve()
    if damage.startswith("no "):
        path.unlink()
    else:
        path.write_text(rogue.key if damage == "another key" else "garbage")
    assert_not(check())


def test_an_expired_leaf(serve, put, authority, check, clock):
    soon = authority.issue("ECS-Client", lifetime=(-DAY, datetime.timedelta(hours=1)))
    service = serve(put(document(soon, authority.pem)), EACH_CYCLE, program=CLOCK, env=clock.env)
    service.wait("ready")
    assert_healthy(check(program=CLOCK, env=clock.env))
    clock.set(2 * 3600)
    assert_not(check(program=CLOCK, env=clock.env), "expired")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_run_is_not_alive(running, check, end):
    running.send(end)
    running.child.wait(10)
    assert_not(check(), "mtls-agent run is not alive")


def test_run_never_was(agent, put, good, check):
    agent.fetch(put(good)).succeeded("installed")
    assert_not(check(), "mtls-agent run is not alive")


def test_without_a_status_file(serve, tmp_path, put, good, check):
    serve(put(good), f"--status-file={tmp_path}/nowhere/status.json").wait("ready")
    assert_healthy(check())


def test_with_a_status_file_that_is_none(serve, agent, put, good, check):
    serve(put(good), interval="1h").wait("ready")
    (agent.dir / "..status.json").write_text("garbage")
    assert_healthy(check())


def test_enclaves_and_aws_are_not_its_affair(serve, agent, aws, put, good, check):
    """By default: a restart would mend neither."""
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    aws.faults += [aws_error(400, "AccessDeniedException", "no") for _ in range(1000)]
    service = serve(arn, EACH_CYCLE, endpoint=f"localhost:{free_port()}")
    service.wait("error")
    service.wait("handshake", 2, result="unreachable")
    assert_healthy(check())


def test_it_says_what_it_checked_at_each_call(running, agent, check):
    """It holds no lock that another check or run would trip over."""
    for _ in range(5):
        assert_healthy(check())
    options = (f"--dir={agent.dir}", f"--lock-dir={agent.locks}")
    many = [Running([str(PROGRAM), "healthcheck", *options], {}) for _ in range(8)]
    assert [each.finish().stdout for each in many] == ["healthy\n"] * 8


def test_the_margin_before_expiry(running, check):
    assert_healthy(check("--expires-within=80d"))
    assert_not(check("--expires-within=100d"), "certificate ends in")


def test_the_cas_margin_before_expiry(running, check):
    """The CA of these tests outlives the leaf."""
    assert_not(check("--expires-within=400d"))


def test_the_age_of_the_last_fetch(serve, agent, aws, put, good, check):
    arn = put(good)
    service = serve(arn, EACH_CYCLE)
    service.wait("ready")
    service.wait("unchanged")
    assert_healthy(check("--max-fetch-age=1h"))
    aws.faults += [aws_error(400, "AccessDeniedException", "no") for _ in range(1000)]
    service.wait("error")
    wait_for(lambda: check("--max-fetch-age=1s").status == 1)
    assert_not(check("--max-fetch-age=1s"), "fetch")
    assert_healthy(check("--max-fetch-age=1h"))
    aws.faults.clear()
    service.more("unchanged")
    wait_for(lambda: check("--max-fetch-age=2s").status == 0)


def test_no_fetch_has_succeeded_yet(serve, agent, aws, put, good, check):
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    aws.faults += [aws_error(400, "AccessDeniedException", "no") for _ in range(1000)]
    serve(arn, EACH_CYCLE).wait("error")
    assert_not(check("--max-fetch-age=1h"), "fetch")


def test_how_many_endpoints_accept(serve, put, good, enclave, check):
    endpoints = [enclave.endpoint, f"https://{enclave.endpoint}/health?2", f"localhost:{free_port()}"]
    service = serve(put(good), endpoint=endpoints)
    service.wait("ready")
    wait_for(lambda: check("--min-endpoints=2").status == 0)
    assert_healthy(check("--min-endpoints=1"))
    assert_not(check("--min-endpoints=3"), "2 endpoints accept, fewer than 3")


def test_a_servers_set_is_shown_to_no_endpoint(serve, agent, put, good, authority, enclave, check):
    """Beside a client's, which is."""
    server = authority.issue("localhost", names=["localhost"])
    other = put(json.dumps({"server_cert": server.cert, "server_key": server.key}))
    ours = put(good)
    service = serve([f"client={ours}", f"server={other}"], endpoint=enclave.endpoint)
    service.wait("ready")
    wait_for(lambda: agent.status()["sets"][0]["endpoints_accepting"] == 1)
    named = [f"--secret=client={ours}", f"--secret=server={other}"]
    assert_healthy(check("--min-endpoints=1", *named))
    assert_not(check("--min-endpoints=2", *named), "1 endpoints accept, fewer than 2")


def test_the_options_need_a_status(serve, tmp_path, put, good, check):
    """What only run knows cannot be good where it does not tell."""
    serve(put(good), f"--status-file={tmp_path}/nowhere/status.json").wait("ready")
    assert_not(check("--max-fetch-age=1h"))
    assert_not(check("--min-endpoints=1"))


def test_several_sets(serve, agent, put, good, check):
    """Named as run's are; one that is broken is enough."""
    secrets = [f"one={put(good)}", f"other={put(good)}"]
    serve(secrets, interval="1h").wait("ready")
    named = [f"--secret={each}" for each in secrets]
    assert_healthy(check(*named))
    (agent.dir / "other" / "client.key").resolve().unlink()
    assert_not(check(*named), "other")


def test_it_uses_no_network(serve, tmp_path, put, good, enclave, check):
    service = serve(put(good), endpoint=enclave.endpoint)
    service.wait("ready")
    wait_for(lambda: check("--min-endpoints=1").status == 0)
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-qq", "-e", "trace=network,execve", "-o", str(trace)]
    assert_healthy(check("--min-endpoints=1", "--max-fetch-age=1h", prefix=strace))
    calls = [line for line in trace.read_text().splitlines() if "+++" not in line]
    assert len(calls) == 1 and "execve(" in calls[0], calls


def test_it_changes_nothing(running, agent, check):
    seen = {name: os.lstat(agent.dir / name).st_mtime_ns for name in ("..data", "client.crt")}
    assert_healthy(check())
    assert seen == {name: os.lstat(agent.dir / name).st_mtime_ns for name in seen}
