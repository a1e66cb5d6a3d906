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

import pytest

from agent import PATIENCE_S, PROGRAM, wait_for

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
