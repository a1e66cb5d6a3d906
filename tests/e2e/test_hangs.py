# SPDX-License-Identifier: Apache-2.0
"""
Where others hold the other end of what the agent writes, or a file system does not answer: no line of a log, no metric
and no status keeps a signal or a deadline from acting, and the work goes on.
"""

import contextlib
import os
import signal
import socket
import subprocess
import termios
import tty
from pathlib import Path

import pytest

from agent import PATIENCE_S, PROGRAM, wait_for
from servers.hanging import Hanging
from servers.pki import document
from test_hook_run import Hook


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@pytest.mark.parametrize("make", [make_fifo, make_socket, os.mkdir])
def test_a_log_file_is_a_regular_file(agent, tmp_path, put, good, make):
    log = tmp_path / "log"
    make(log)
    agent.fetch(put(good), f"--log-file={log}", deadline="2s").failed(78, "config")


def test_a_fifo_with_a_reader_is_none_either(agent, tmp_path, put, good):
    log = tmp_path / "log"
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    try:
        error = agent.fetch(put(good), f"--log-file={log}", deadline="2s").failed(78, "config")
        assert "no regular file" in error["reason"] and error["subject"] == str(log)
    finally:
        os.close(reader)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/tty", "/dev/full"])
def test_nor_is_a_device(agent, put, good, device):
    agent.fetch(put(good), f"--log-file={device}", deadline="2s").failed(78, "config")


def test_standard_output_by_its_name(agent, put, good):
    result = agent.fetch(put(good), "--log-file=/dev/stdout").succeeded("installed")
    assert result.stdout == result.stderr


@contextlib.contextmanager
def full_pipe():
    """Its end to be written to, in which there is no room any more; nobody reads."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 512)
    os.set_blocking(writer, True)
    yield writer
    os.close(reader)
    os.close(writer)


@contextlib.contextmanager
def stopped_terminal():
    """One whose output somebody has stopped (Ctrl-S), with a little room left: it looks as if it could be written."""
    master, slave = os.openpty()
    tty.setraw(slave)
    termios.tcflow(slave, termios.TCOOFF)
    yield slave
    termios.tcflow(slave, termios.TCOON)
    os.close(master)
    os.close(slave)


@contextlib.contextmanager
def nearly_full_terminal():
    """And one that nobody reads, where part of a line fits."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(slave, False)
    written = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            written += os.write(slave, b"x" * 64)
    os.read(master, 300)
    os.set_blocking(slave, True)
    yield slave
    os.close(master)
    os.close(slave)


OUTPUTS = pytest.mark.parametrize("output", [full_pipe, stopped_terminal, nearly_full_terminal])


def run_with(agent, arn, *arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
    return subprocess.Popen(
        [
            str(PROGRAM),
            "run",
            *("--log-format=json", "--deadline=5s", "--interval=400ms"),
            *(f"--dir={agent.dir}", f"--secret={arn}"),
            *map(str, arguments),
        ],
        env=agent.environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
    )


def finish(child):
    """Its exit status after SIGTERM."""
    try:
        child.terminate()
        return child.wait(PATIENCE_S)
    finally:
        child.kill()
        child.wait()


def works(agent):
    """Whether `run` has finished cycles: it wrote so."""
    return (agent.dir / "..status.json").exists() and agent.status()["sets"][0]["last_success"]


def goes_on(agent):
    """Waits until it has written its status anew, twice."""
    for _ in range(2):
        before = (agent.dir / "..status.json").stat().st_ino, agent.status()["sets"][0]["last_fetch"]
        wait_for(
            lambda: ((agent.dir / "..status.json").stat().st_ino, agent.status()["sets"][0]["last_fetch"]) != before,
            PATIENCE_S,
        )


@OUTPUTS
def test_run_whose_standard_error_stalls(agent, put, good, output):
    with output() as end:
        child = run_with(agent, put(good), "--log-level=debug", stderr=end)
        try:
            wait_for(lambda: works(agent), PATIENCE_S)
            goes_on(agent)
        finally:
            status = finish(child)
    assert status == 0


@OUTPUTS
def test_run_whose_metrics_stall(agent, put, good, output):
    with output() as end:
        child = run_with(agent, put(good), "--metrics-format=emf", stdout=end)
        try:
            wait_for(lambda: works(agent), PATIENCE_S)
            goes_on(agent)
        finally:
            status = finish(child)
    assert status == 0


@OUTPUTS
def test_fetch_whose_standard_error_stalls(agent, put, good, output):
    with output() as end:
        child = subprocess.Popen(
            [str(PROGRAM), *agent.fetch_arguments(put(good), "--log-level=debug")],
            env=agent.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=end,
        )
        try:
            assert child.wait(PATIENCE_S) == 0
        finally:
            child.kill()
            child.wait()
    assert (agent.dir / "client.crt").exists()


@OUTPUTS
@pytest.mark.parametrize("command", ["healthcheck", "status", "inspect"])
def test_an_answer_that_nobody_reads(agent, put, good, serve, output, command):
    """Its exit status is one too."""
    service = serve(put(good))
    service.wait("ready")
    wait_for(lambda: works(agent))
    words = [str(PROGRAM), command, f"--dir={agent.dir}", "--deadline=2s"]
    with output() as end:
        child = subprocess.Popen(
            words, env=agent.environment, stdin=subprocess.DEVNULL, stdout=end, stderr=subprocess.DEVNULL
        )
        try:
            child.wait(PATIENCE_S)
        finally:
            child.kill()
            child.wait()


def test_a_renamed_log_that_became_a_fifo(agent, tmp_path, put, good, serve):
    """Neither a reader that stalls nor none at all: the old file is written on."""
    log, old = tmp_path / "log", tmp_path / "log.1"
    service = serve(put(good), f"--log-file={log}", "--log-level=debug")
    service.wait("installed")
    log.rename(old)
    os.mkfifo(log)
    size = old.stat().st_size
    wait_for(lambda: old.stat().st_size > size)
    goes_on(agent)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    try:
        goes_on(agent)
        with contextlib.suppress(BlockingIOError):
            assert os.read(reader, 1) == b""
    finally:
        os.close(reader)
    assert service.stop()[0] == 0


def test_one_that_hangs_is_unhealthy(agent, put, good, serve):
    """It holds its lock, but has not written its status for longer than it ever would."""
    service = serve(put(good), deadline="1s")
    service.wait("installed")
    wait_for(lambda: works(agent))

    def health():
        return agent.run("healthcheck", f"--dir={agent.dir}", "--log-format=json")

    assert health().stdout == "healthy\n"
    service.send(signal.SIGSTOP)
    try:
        wait_for(lambda: health().status == 1, PATIENCE_S)
        assert "written no status" in health().stdout
    finally:
        service.send(signal.SIGCONT)
    wait_for(lambda: health().status == 0, PATIENCE_S)


def test_lost_lines_are_counted_once(agent, tmp_path, put, good):
    """A counter that grows by what was lost, not by all that was ever lost each time."""
    metrics = tmp_path / "metrics"

    def lost():
        lines = metrics.read_text().splitlines() if metrics.exists() else []
        return [int(line.split()[1]) for line in lines if line.startswith("mtls_agent_log_lines_dropped_total ")]

    with full_pipe() as end:
        child = run_with(agent, put(good), f"--metrics-file={metrics}", stderr=end)
        try:
            wait_for(lambda: lost() and lost()[0] > 0 and works(agent), PATIENCE_S)
            for _ in range(3):
                goes_on(agent)
            assert lost()[0] < 100
        finally:
            finish(child)


# ---- a file system that does not answer ----

PLACES = {
    "target": "--dir={}/mtls",
    "locks": "--lock-dir={}/locks",
    "status": "--status-file={}/status.json",
    "metrics": "--metrics-file={}/metrics",
    "log": "--log-file={}/log",
    "configuration": "--config={}/conf",
}
needs_fuse = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/fuse"), reason="no FUSE here")


@pytest.fixture
def hanging(tmp_path, up):
    return up(Hanging(tmp_path / "hanging"))


def placed(hanging, tmp_path, what):
    """The options of an agent all of whose files answer, but for one."""
    options = {name: option.format(tmp_path / "answers") for name, option in PLACES.items() if name != "configuration"}
    (tmp_path / "answers").mkdir()
    options[what] = PLACES[what].format(hanging.dir)
    if what == "configuration":
        hanging.run("sh", "-c", f"echo 'log-level = debug' > {hanging.dir}/conf")
    return [*options.values(), *(["--log-level=debug"] if what == "log" else [])]


def serve_there(serve, hanging, arn, options, **more):
    return serve(arn, *options, dir_flag=False, prefix=hanging.enter, env={"MTLS_AGENT_LOCK_DIR": None}, **more)


def health_of(agent, hanging, options):
    """What healthcheck says, which must say it in time."""
    options = [option for option in options if not option.startswith(("--log-file", "--metrics-file"))]
    environment = {"MTLS_AGENT_LOCK_DIR": None}
    return agent.run("healthcheck", "--deadline=1s", *options, prefix=hanging.enter, env=environment)


def settled(service):
    service.wait("installed")
    service.wait("ready")


@needs_fuse
@pytest.mark.parametrize("what", PLACES)
def test_run_ends_where_a_file_system_hangs(agent, put, good, serve, hanging, tmp_path, what):
    """By SIGTERM, at once; and before that who asks for its health is told, but of a log alone."""
    options = placed(hanging, tmp_path, what)
    service = serve_there(serve, hanging, put(good), options, deadline="60s" if what in ("target", "locks") else "1s")
    settled(service)
    wait_for(lambda: health_of(agent, hanging, options).status == 0)
    hanging.hang()
    if what == "configuration":
        service.send(signal.SIGHUP)
        assert "does not answer" in service.wait("reload_refused")["reason"]
    if what == "log":
        service.more("unchanged", 2)
        assert health_of(agent, hanging, options).status == 0
    else:
        wait_for(lambda: health_of(agent, hanging, options).status == 1, PATIENCE_S)
        assert health_of(agent, hanging, options).stdout.startswith("unhealthy: ")
    assert service.child.poll() is None
    assert service.stop()[0] == 0


@needs_fuse
@pytest.mark.parametrize("what", ["target", "locks"])
def test_run_ends_by_its_deadline_where_its_work_hangs(put, good, serve, hanging, tmp_path, what):
    """So that its supervisor starts another one."""
    service = serve_there(serve, hanging, put(good), placed(hanging, tmp_path, what), deadline="2s")
    settled(service)
    hanging.hang()
    assert service.child.wait(PATIENCE_S) == 75
    assert service.all("error")[-1]["code"] == "deadline"


@needs_fuse
@pytest.mark.parametrize("what", ["status", "metrics", "log", "configuration"])
def test_run_works_on_where_what_it_tells_hangs(aws, put, good, serve, hanging, tmp_path, what):
    """And tells again, once that answers."""
    service = serve_there(serve, hanging, put(good), placed(hanging, tmp_path, what))
    settled(service)
    hanging.hang()
    if what == "configuration":
        service.send(signal.SIGHUP)
        service.wait("reload_refused")
    for _ in range(3):
        aws.asked.clear()
        wait_for(lambda: aws.asked, PATIENCE_S)
    hanging.go()
    if what == "configuration":
        service.send(signal.SIGHUP)
        service.wait("reloaded")
    elif what == "log":
        wait_for(lambda: "log_lines_lost" in hanging.read("log"))
    else:
        service.wait("published")
    assert service.stop()[0] == 0


@needs_fuse
@pytest.mark.parametrize("what", ["status", "metrics", "log"])
def test_a_configuration_is_read_where_what_is_told_hangs(aws, put, good, serve, hanging, tmp_path, what):
    """It is no part of what is told."""
    config, secrets = tmp_path / "conf" / "agent.conf", [put(good), put(good)]
    config.parent.mkdir()
    config.write_text(f"secret = {secrets[0]}\n")
    options = [*placed(hanging, tmp_path, what), f"--config={config}"]
    service = serve_there(serve, hanging, [], options)
    settled(service)
    hanging.hang()
    if what != "log":  # else a line waits for it
        service.more("unchanged")
    config.write_text(f"secret = {secrets[1]}\n")
    aws.asked.clear()
    service.send(signal.SIGHUP)
    service.wait("reloaded", seconds=PATIENCE_S)
    wait_for(lambda: any(secrets[1].encode() in each.body for each in aws.asked), PATIENCE_S)
    assert service.stop()[0] == 0


@needs_fuse
def test_a_log_that_was_refused_stays_out_of_use(put, good, serve, hanging, tmp_path):
    """Also where it opens in the end, after who asked for it has given up."""
    config, log = tmp_path / "conf" / "agent.conf", tmp_path / "answers" / "log"
    config.parent.mkdir()
    log.parent.mkdir()
    secret = put(good)
    config.write_text(f"secret = {secret}\nlog-file = {log}\n")
    options = [f"--config={config}", f"--dir={tmp_path}/mtls", "--sandbox=off", "--log-level=debug"]
    service = serve_there(serve, hanging, [], options)
    settled(service)
    hanging.hang()
    config.write_text(f"secret = {secret}\nlog-file = {hanging.dir}/log\n")
    service.send(signal.SIGHUP)
    refused = service.wait("reload_refused", seconds=PATIENCE_S)
    assert refused["subject"] == f"{hanging.dir}/log" and "cannot be opened" in refused["reason"]
    hanging.go()
    wait_for(lambda: hanging.run("ls", str(hanging.dir)).stdout.split() == ["log"])
    before = len(service.events)
    service.more("unchanged", 3)
    assert hanging.read("log") == ""
    assert len(log.read_text().splitlines()) > before
    assert service.stop()[0] == 0


@needs_fuse
@pytest.mark.parametrize("what", ["status", "metrics"])
def test_hooks_are_told_where_what_is_published_hangs(aws, put, good, authority, serve, hanging, tmp_path, what):
    hook, arn = Hook(tmp_path), put(good)
    service = serve_there(serve, hanging, arn, [*placed(hanging, tmp_path, what), hook.option])
    service.wait("hook_done")
    hanging.hang()
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    service.wait("hook_done", 2, seconds=PATIENCE_S)
    assert service.stop()[0] == 0


def fetch_there(hanging, tmp_path, what, arn, *more):
    options = [option for option in placed(hanging, tmp_path, what) if "status" not in option and "metrics" not in option]
    return ["fetch", "--log-format=json", f"--secret={arn}", *options, *more]


BEFORE_WORK = pytest.mark.parametrize("what", ["target", "locks", "configuration", "log"])


@needs_fuse
@BEFORE_WORK
def test_fetch_ends_by_its_deadline(agent, put, good, hanging, tmp_path, what):
    arguments = fetch_there(hanging, tmp_path, what, put(good), "--deadline=4s")
    hanging.hang()
    result = agent.run(*arguments, prefix=hanging.enter, env={"MTLS_AGENT_LOCK_DIR": None})
    if what == "log":
        assert result.status == 78 and "cannot be opened" in result.stderr, result.stderr
    else:  # before the configuration is read nobody knows which form a log has
        assert result.status == 75 and "the deadline has passed" in result.stderr, result.stderr


@needs_fuse
@BEFORE_WORK
@pytest.mark.parametrize("command", ["fetch", "run"])
def test_a_signal_ends_what_has_not_begun(agent, put, good, hanging, tmp_path, what, command):
    """Also as PID 1, which the kernel ends for no signal that it does not handle."""
    arguments = [command, *fetch_there(hanging, tmp_path, what, put(good), "--deadline=60s")[1:]]
    hanging.hang()
    as_init = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    starter = agent.start(*arguments, prefix=[*hanging.enter, *as_init], env={"MTLS_AGENT_LOCK_DIR": None})
    try:
        children = Path(f"/proc/{starter.pid}/task/{starter.pid}/children")
        wait_for(lambda: children.read_text().split())
        inner = int(children.read_text().split()[0])
        wait_for(lambda: is_agent_that_looks_out(inner))
        os.kill(inner, signal.SIGTERM)
        result = starter.finish()
    finally:
        starter.child.kill()
    assert result.status in ((0,) if command == "run" else (143,)), result.stderr


def told(tmp_path, way, command, options):
    """The arguments that name a command behind its options, or in a file that answers."""
    if way == "behind options":
        return [*options, command]
    (tmp_path / "told.conf").write_text(f"command = {command}\n")
    return [f"--config={tmp_path}/told.conf", *options]


NOT_THE_FIRST_WORD = pytest.mark.parametrize("way", ["behind options", "file"])


@needs_fuse
@NOT_THE_FIRST_WORD
def test_health_is_told_wherever_it_is_asked_for(agent, hanging, tmp_path, way):
    """In its own words and with its own status."""
    arguments = told(tmp_path, way, "healthcheck", [f"--dir={hanging.dir}/mtls", "--deadline=1s"])
    hanging.hang()
    result = agent.run(*arguments, prefix=hanging.enter, env={"MTLS_AGENT_LOCK_DIR": None})
    assert result.status == 1, result.stderr
    assert result.stdout.startswith("unhealthy: there was no answer in time"), result.stdout


@needs_fuse
@NOT_THE_FIRST_WORD
@pytest.mark.parametrize("command, number, status", [("run", 15, 0), ("fetch", 15, 143), ("fetch", 1, 129)])
def test_how_a_signal_ends_it_wherever_it_is_named(agent, hanging, tmp_path, way, command, number, status):
    """What stays was asked to end; SIGHUP asks it to read its configuration, and ends all others."""
    options = [f"--dir={hanging.dir}/mtls", "--deadline=60s", "--secret=x"]
    arguments = told(tmp_path, way, command, options)
    hanging.hang()
    started = agent.start(*arguments, prefix=hanging.enter, env={"MTLS_AGENT_LOCK_DIR": None})
    try:
        wait_for(lambda: is_agent_that_looks_out(started.pid) and waits_for_the_file_system(started.pid))
        if command == "run":
            os.kill(started.pid, signal.SIGHUP)
        os.kill(started.pid, number)
        assert started.finish().status == status
    finally:
        started.child.kill()


def waits_for_the_file_system(pid):
    return "fuse" in Path(f"/proc/{pid}/stack").read_text()


def is_agent_that_looks_out(pid):
    """Whether the agent has a thread that reads signals, or does so itself. While it starts a thread it blocks them all."""
    if not Path(f"/proc/{pid}/comm").read_text().startswith("mtls-agent"):
        return False
    status = Path(f"/proc/{pid}/status").read_text()
    blocked = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigBlk")), 16)
    return blocked >> (signal.SIGTERM - 1) & 1 and not blocked >> (signal.SIGQUIT - 1) & 1


@needs_fuse
@pytest.mark.parametrize("what", ["program", "pid file"])
def test_run_ends_where_its_hook_hangs(put, good, serve, hanging, tmp_path, what):
    """So that its supervisor starts another one: nobody would be told any more, and SIGHUP would wait for ever."""
    hanging.run("sh", "-c", f"cp /bin/true {hanging.dir}/hook && echo 999999 > {hanging.dir}/pid")
    option = f"--on-change-exec={hanging.dir}/hook" if what == "program" else f"--on-change-signal=HUP:{hanging.dir}/pid"
    hanging.hang()
    options = [f"--dir={tmp_path}/mtls", "--on-change-timeout=1s", option]
    service = serve_there(serve, hanging, put(good), options)
    service.wait("ready")
    assert service.child.wait(PATIENCE_S) != 0
    assert "does not answer" in service.all("error")[-1]["reason"]
