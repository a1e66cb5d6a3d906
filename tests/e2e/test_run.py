# SPDX-License-Identifier: Apache-2.0
"""`run`: fetches, watches, rotates, and ends when it is told to."""

import datetime
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from agent import PATIENCE_S, snapshot, wait_for
from day import CLOCK
from servers.aws import aws_error
from servers.http import HOLD
from servers.loaders import load_openssl, load_python
from servers.pki import document
from servers.process import free_port
from servers.proxy import FaultProxy
from test_secrecy import assert_clean, of_key, of_text

HOUR = datetime.timedelta(hours=1)
EACH_CYCLE = "--log-level=debug"  # says each time what comes of it
WRITERS = 6  # threads: the log to standard error and to a file, metrics lines, files, notes, the configuration
PROMPT_S = 30  # it ends within one second, on a machine that has one for it; what it would wait for is a minute


def operations(aws):
    return [request.headers["X-Amz-Target"].rsplit(".")[-1] for request in aws.asked]


def proc(pid, name):
    return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")


def children(pid):
    return [int(child) for child in proc(pid, f"task/{pid}/children").split()]


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
    assert status == 0 and seconds < PROMPT_S


def test_an_empty_target(serve, agent, put, good):
    service = serve(put(good))
    assert not agent.dir.exists() or not (agent.dir / "client.crt").exists()
    service.wait("ready")
    load_openssl(agent.dir)
    load_python(agent.dir)
    assert agent.mode("client.key") == 0o600


def test_cycles_that_change_nothing(serve, agent, aws, tmp_path, put, good, enclave):
    """They ask which version is current, and neither for its value nor the disk to write."""
    service = serve(put(good), EACH_CYCLE, f"--status-file={tmp_path}/status.json", endpoint=enclave.endpoint)
    service.wait("ready")
    service.wait("unchanged")
    aws.asked.clear()
    before = snapshot(agent.dir)
    service.more("unchanged", 4)
    assert snapshot(agent.dir) == before
    assert len(aws.asked) >= 3 and set(operations(aws)) == {"DescribeSecret"}


def test_a_hangup_refreshes_at_once(serve, aws, put, good, authority):
    """But for the floor between two cycles."""
    arn = put(good)
    service = serve(arn, interval="1h")
    service.wait("ready")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    service.send(signal.SIGHUP)
    service.wait("installed", 2)


def test_a_push(serve, aws, put, good, authority):
    """The next cycle comes within a minute, and knows what it knew: a bad version is not read again."""
    arn = put(good)
    pace = {"TEST_PACE": "20"}
    service = serve(arn, EACH_CYCLE, interval="1d", deadline="10m", program=CLOCK, env=pace)
    service.wait("ready")
    aws.rotate(arn, "no document")
    service.send(signal.SIGUSR2)
    assert 0 <= service.wait("pushed")["in_ms"] <= 60000
    service.wait("error", code="document_invalid")
    aws.asked.clear()
    service.send(signal.SIGUSR2)
    service.wait("error", 2, code="document_invalid")
    assert operations(aws) == ["DescribeSecret"]
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    service.send(signal.SIGUSR2)
    service.wait("installed", 2)
    assert service.stop()[0] == 0


def test_a_push_is_nothing_to_fetch(agent, aws, put, good):
    aws.faults += [HOLD]
    running = agent.start(*agent.fetch_arguments(put(good), deadline="4s"))
    wait_for(lambda: aws.asked)
    os.kill(running.pid, signal.SIGUSR2)
    assert running.finish().status in (69, 75)


def test_a_users_signal_logs_the_status(serve, put, good, enclave):
    service = serve(put(good), endpoint=enclave.endpoint, interval="1h", probe_interval="1h")
    installed = service.wait("installed")
    wait_for(lambda: service.send(signal.SIGUSR1) or service.all("status_endpoint", asked_1h=1))
    assert service.all("status_endpoint")[-1]["accepted_1h"] == 1
    assert service.all("status_set")[-1]["fingerprint"] == installed["fingerprint"]
    assert service.all("status", state="ready")
    assert len(service.all("attempt", step="describe_secret")) <= 1, "it is no refresh"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("busy_with", ["nothing", "aws", "enclave"])
def test_it_ends_at_once(serve, aws, put, good, enclave, up, number, busy_with):
    proxy = up(FaultProxy(enclave.port, "hello", "hold"))
    if busy_with == "aws":
        aws.faults += [HOLD]
    endpoint = f"localhost:{proxy.port}" if busy_with == "enclave" else ()
    service = serve(put(good), endpoint=endpoint, deadline="60s", interval="1h")
    if busy_with == "nothing":
        service.wait("ready")
    else:
        wait_for(lambda: aws.asked if busy_with == "aws" else proxy.connections)
    status, seconds = service.stop(number)
    assert status == 0 and seconds < PROMPT_S
    assert service.all("stopped", exit_status=0)
    assert not service.all("error")


def test_only_one_on_a_directory(serve, agent, put, good):
    arn = put(good)
    first = serve(arn, EACH_CYCLE)
    first.wait("ready")
    second = serve(arn)
    assert second.child.wait(30) == 75
    assert second.all("error", code="already_running")
    first.more("unchanged")
    first.stop()
    serve(arn).wait("ready")


def test_a_fetch_beside_it(serve, agent, put, good):
    """Is let in: the lock is not the directory's."""
    arn = put(good)
    serve(arn).wait("ready")
    agent.fetch(arn).succeeded("unchanged")


IN_A_PID_NAMESPACE = [
    "unshare",
    *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]),
    "--pid",
    "--fork",
    "--mount-proc",
    "--kill-child",
]


def test_as_pid_1(serve, tmp_path, put, good):
    """As in a container without an init: it ends on SIGTERM, and reaps whatever is left to it."""
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\n(sleep 0.2; exit 3) </dev/null >/dev/null 2>&1 &\n")
    hook.chmod(0o755)
    service = serve(put(good), EACH_CYCLE, f"--on-change-exec={hook}", prefix=IN_A_PID_NAMESPACE)
    try:
        service.wait("hook_done")
        (agent,) = children(service.pid)
        assert proc(agent, "status").split("NSpid:")[1].split()[1] == "1"
        enter = ["nsenter", f"--target={agent}", "--pid", *(["--user"] if os.geteuid() else [])]
        orphans = "for i in 1 2 3; do sleep 0.1 & done"
        subprocess.run([*enter, "sh", "-c", orphans], check=True)
        assert len(children(agent)) == 4  # the orphans are there, with the hook's runner
        (runner,) = [child for child in children(agent) if proc(child, "comm") == "mtls-agent-hook\n"]
        wait_for(lambda: children(agent) == [runner] and children(runner) == [])
        service.more("unchanged")
    finally:
        for child in children(service.pid) if service.child.poll() is None else ():
            os.kill(child, signal.SIGTERM)
    assert service.child.wait(10) == 0
    assert service.all("stopped", exit_status=0)


def test_several_sets(serve, agent, aws, put, good, authority, enclave):
    """Each by itself: one rotates, the other is left alone."""
    one, other = put(good), put(document(authority.issue("Other"), authority.pem))
    service = serve([f"one={one}", f"other={other}"], EACH_CYCLE, endpoint=enclave.endpoint)
    service.wait("ready")
    load_openssl(agent.dir / "one")
    before = snapshot(agent.dir / "other")
    aws.rotate(one, document(authority.issue("ECS-Client"), authority.pem))
    service.wait("installed", 2, set="one")
    service.more("unchanged", set="one")
    assert snapshot(agent.dir / "other") == before
    assert [each["set"] for each in agent.status()["sets"]] == ["one", "other"]


def test_one_of_several_sets_fails(serve, agent, put, good):
    service = serve([f"good={put(good)}", f"bad={put('{}')}"], EACH_CYCLE)
    service.wait("installed", set="good")
    service.wait("error")
    service.wait("unchanged", set="good")
    wait_for(lambda: [each["outcome"] for each in agent.status()["sets"]] == ["unchanged", "failed"])
    assert not service.all("ready")


def test_without_endpoints(serve, agent, put, good):
    service = serve(put(good), EACH_CYCLE)
    service.wait("ready")
    service.more("unchanged", 2)
    assert not service.all("handshake") and agent.status()["endpoints"] == []


def test_without_probes(serve, put, good, enclave):
    """The rehearsal alone shakes hands."""
    service = serve(put(good), EACH_CYCLE, endpoint=enclave.endpoint, probe_interval="0s")
    service.wait("ready")
    service.wait("unchanged", 3)
    assert len(service.all("handshake")) == 1


def test_a_storm_of_hangups(serve, aws, put, good, enclave):
    """The floor holds, for AWS and for enclaves: half a second for an interval of one."""
    service = serve(put(good), endpoint=enclave.endpoint, interval="1s", probe_interval="1h")
    service.wait("ready")
    aws.asked.clear()
    started = time.monotonic()

    def asked_again():
        service.send(signal.SIGHUP)
        return len(aws.asked) >= 4

    wait_for(asked_again)
    counts = len(aws.asked), len(service.all("handshake"))
    most = (time.monotonic() - started) / 0.5 + 2  # what was under way when the count began is one more
    assert counts[0] <= most and counts[1] <= most + 2


def test_it_goes_on_after_a_pause(serve, aws, put, good, enclave):
    """Suspended it sleeps; awake again it goes on, and does not make up for what it missed."""
    both = {"interval": "200ms", "probe_interval": "200ms"}
    service = serve(put(good), EACH_CYCLE, endpoint=enclave.endpoint, **both)
    service.wait("ready")
    service.wait("unchanged")
    service.send(signal.SIGSTOP)
    wait_for(lambda: "State:\tT" in proc(service.pid, "status"))
    aws.asked.clear()
    time.sleep(1)
    assert not aws.asked
    started = time.monotonic()
    service.send(signal.SIGCONT)
    service.more("unchanged", 3)
    service.more("handshake", 3, result="accepted")
    assert len(aws.asked) <= (time.monotonic() - started) / 0.1 + 2


def test_a_pause_in_mid_work_is_no_hang(serve, aws, put, good, up):
    """Longer than the deadline and what comes after it: that time did not pass for the agent."""
    proxy = up(FaultProxy(aws.port, "accept", "hold"))
    endpoint = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{proxy.port}"}
    service = serve(put(good), interval="200ms", probe_interval="0s", deadline="1s", env=endpoint)
    wait_for(lambda: proxy.connections > 0)
    service.send(signal.SIGSTOP)
    wait_for(lambda: "State:\tT" in proc(service.pid, "status"))
    time.sleep(4)
    proxy.stage = None
    service.send(signal.SIGCONT)
    service.wait("ready", seconds=60)


SPREAD = {"interval": "1h", "probe_interval": "0s", "dir_flag": False, "deadline": "60s"}


def test_hosts_that_start_together(serve, agent, put, good, authority, tmp_path):
    """
    Where a good set is in place they ask AWS within a minute, each at another moment, though they are ready
    at once. Who has none, or one that ends soon, waits for nobody.
    """
    arn, ending = put(good), put(document(authority.issue("ECS-Client", lifetime=(-2 * HOUR, HOUR / 2)), authority.pem))
    for number in range(10):
        agent.fetch(arn, directory=tmp_path / str(number)).succeeded("installed")
    agent.fetch(ending, directory=tmp_path / "ending").succeeded("installed")
    together = [serve(arn, f"--dir={tmp_path}/{number}", **SPREAD) for number in range(10)]
    for service in together:
        service.wait("ready")
    late = serve(ending, f"--dir={tmp_path}/ending", **SPREAD)
    new = serve(arn, f"--dir={tmp_path}/new", **SPREAD)
    new.wait("installed")
    late.wait("attempt")
    assert [service for service in together if not service.all("attempt")]


def test_no_descriptor_is_lost(serve, put, good, enclave, pair, authority, aws):
    arn = put(good)
    service = serve(
        arn,
        EACH_CYCLE,
        "--on-change-exec=/bin/true",
        endpoint=enclave.endpoint,
        interval="100ms",
        probe_interval="20ms",
    )

    def least():
        """While it does nothing it has the fewest."""
        counts = []
        for _ in range(100):
            counts.append(len(os.listdir(f"/proc/{service.pid}/fd")))
            time.sleep(0.002)
        return min(counts)

    service.wait("hook_done")
    service.wait("unchanged", 2)
    before = least()
    for number in range(3):
        aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
        service.send(signal.SIGHUP)
        service.wait("hook_done", number + 2)
    service.more("unchanged", 10)
    service.wait("handshake", 100)
    assert least() <= before


def switches(pid, task):
    """How often a thread has gone to sleep."""
    return int(proc(pid, f"task/{task}/status").split("\nvoluntary_ctxt_switches:")[1].split()[0])


def test_it_sleeps_when_nothing_is_to_be_done(serve, put, good):
    service = serve(put(good), interval="1h", probe_interval="0s")
    service.wait("ready")


    def slept():
        """Of each thread: main's, and those that write for it."""
        return {task: switches(service.pid, task) for task in os.listdir(f"/proc/{service.pid}/task")}

    wait_for(lambda: len(slept()) <= 1 + WRITERS)
    wait_for(lambda: "State:\tS" in proc(service.pid, "status"))
    time.sleep(0.2)
    before = slept()
    time.sleep(2)
    assert slept() == before


def test_it_wakes_for_its_probes_alone(serve, put, good, enclave):
    """main for each round: the timer, the job's end, and what it waits for to hand over."""
    service = serve(put(good), endpoint=enclave.endpoint, interval="1h", probe_interval="100ms")
    service.wait("handshake", 2)
    count, before = len(service.all("handshake")), switches(service.pid, service.pid)
    service.more("handshake", 10)
    after, rounds = switches(service.pid, service.pid), len(service.all("handshake")) - count
    assert rounds <= after - before <= 8 * (rounds + 1)


def test_nothing_secret_is_seen(serve, agent, aws, tmp_path, put, good, pair, authority, enclave):
    """In the log, the status, the metrics, and what /proc tells of it and of the hook's runner."""
    rotated = authority.issue("ECS-Client")
    arn = put(good)
    log, metrics = tmp_path / "log", tmp_path / "metrics"
    service = serve(
        arn,
        "--log-level=debug",
        f"--log-file={log}",
        f"--metrics-file={metrics}",
        "--metrics-format=emf",
        "--on-change-exec=/usr/bin/env",
        endpoint=enclave.endpoint,
    )
    service.wait("hook_done")
    aws.rotate(arn, document(rotated, authority.pem))
    service.wait("hook_done", 2)
    service.send(signal.SIGUSR1)
    service.wait("status")
    (runner,) = children(service.pid)
    assert proc(runner, "comm") == "mtls-agent-hook\n"
    processes = [proc(pid, name) for pid in (service.pid, runner) for name in ("cmdline", "environ")]
    assert all("--secret=" in text for text in processes[::2])
    files = [service.log, service.stdout, log, metrics, agent.dir / "..status.json", agent.dir / "..agent"]
    pieces = of_key(pair.key) + of_key(rotated.key) + of_text(aws.keys["aws_secret_access_key"])
    assert_clean("".join(processes + [path.read_text() for path in files]), pieces)


def test_many_endpoints_some_of_them_dead(serve, agent, put, good, enclave):
    alive = [f"https://{enclave.endpoint}/health?{number}" for number in range(36)]
    dead = [f"localhost:{free_port()}" for _ in range(4)]
    service = serve(put(good), endpoint=[*alive, *dead], probe_interval="200ms")
    service.wait("ready")
    accepted, unreachable = set(), set()

    def all_told():  # each within the test: where there is little processor time, some are late now and then
        status = agent.status()
        told = {each["endpoint"]: each["last"] for each in status["endpoints"]}
        now = {endpoint for endpoint, last in told.items() if last == "accepted"}
        # Those of the last round, which may not have come to all of them.
        assert (status["sets"][0]["endpoints_accepting"] or 0) <= len(now)
        accepted.update(now)
        unreachable.update(endpoint for endpoint, last in told.items() if last == "unreachable")
        return accepted == set(alive) and unreachable >= set(dead)

    wait_for(all_told, 300)
    status, seconds = service.stop()
    assert status == 0 and seconds < PROMPT_S


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


def test_somebody_removes_the_directory(serve, agent, put, good):
    """Then it ends, and who starts it again has a set again."""
    arn = put(good)
    service = serve(arn)
    service.wait("ready")
    shutil.rmtree(agent.dir)
    assert service.child.wait(20) == 73
    assert service.all("error", code="target_invalid")
    again = serve(arn)
    again.wait("ready")
    assert agent.run("healthcheck", f"--dir={agent.dir}").status == 0


@pytest.mark.parametrize("how", ["made anew", "mounted over"])
def test_another_directory_in_its_place(serve, agent, put, good, how):
    """The sandbox holds the old one: it ends with 73, and who starts it again finds the new one."""
    arn = put(good)
    prefix = ()
    if how == "mounted over":
        if os.geteuid() != 0:
            pytest.skip("only root may mount")
        prefix = ["unshare", "--mount", "--propagation", "private"]
    service = serve(arn, prefix=prefix)
    service.wait("ready")
    if how == "made anew":
        agent.dir.rename(agent.dir.with_name("before"))
        agent.dir.mkdir()
    else:
        subprocess.run(
            ["nsenter", f"--target={service.pid}", "--mount", "mount", "-t", "tmpfs", "none", agent.dir], check=True
        )
    assert service.child.wait(60) == 73
    assert "start again" in service.all("error", code="target_invalid")[-1]["reason"]


def test_no_thread_for_a_moment(serve, put, good, clock):
    """It is tried again, and said once."""
    service = serve(put(good), EACH_CYCLE, program=CLOCK, env=clock.env)
    service.wait("ready")
    clock.no_threads(True)
    assert "thread" in service.wait("error")["subject"]
    time.sleep(2.5)
    clock.no_threads(False)
    service.more("unchanged", 2)
    assert len(service.all("error")) == 1
