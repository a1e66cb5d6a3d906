# SPDX-License-Identifier: Apache-2.0
"""What run tells a service manager, by the protocol of sd_notify(3)."""

import contextlib
import re
import signal
import socket
import time

import pytest

from agent import wait_for
from servers.aws import aws_error
from servers.http import HOLD

EACH_CYCLE = "--log-level=debug"
DENIED = ("AccessDeniedException", "no, with an explicit deny in an identity-based policy")


class Manager:
    """A manager's end: every message since it began, each as the list of its lines."""

    def __init__(self, path):
        self.path = path
        self.messages = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path.replace("@", "\0", 1))
        self._socket.setblocking(False)

    def stop(self):
        self._socket.close()

    def read(self):
        while True:
            try:
                self.messages.append(self._socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return self.messages

    def all(self, assignment):
        return [message for message in self.read() if message[0].startswith(assignment)]

    def wait(self, assignment, count=1, seconds=60):
        """The position of the last of so many messages that begin so."""
        try:
            wait_for(lambda: len(self.all(assignment)) >= count, seconds)
        except AssertionError:
            raise AssertionError(f"{assignment} did not come in {self.messages}") from None
        found = [at for at, message in enumerate(self.messages) if message[0].startswith(assignment)]
        return found[count - 1]


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, up):
    abstract = f"@mtls-agent-{tmp_path.name}-{time.time_ns()}"
    return up(Manager(str(tmp_path / "notify") if request.param == "path" else abstract))


@pytest.fixture
def one(tmp_path, up):
    return up(Manager(str(tmp_path / "notify")))


def told_by(manager, **more):
    return {"NOTIFY_SOCKET": manager.path, **more}


def test_ready_once_there_is_a_valid_set(serve, agent, aws, put, good, manager):
    """Until then it asks for more time; it says what it is at."""
    arn = put(good)
    aws.faults += [aws_error(400, *DENIED) for _ in range(3)]
    service = serve(arn, EACH_CYCLE, env=told_by(manager))
    service.wait("ready")
    ready = manager.wait("READY=1")
    before = manager.messages[:ready]
    assert ["EXTEND_TIMEOUT_USEC=30000000"] in before
    assert any(message[0].startswith("STATUS=0 of 1 sets valid") for message in before)
    assert any("last fetch: failed" in message[0] for message in before)
    manager.wait("STATUS=1 of 1 sets valid")
    service.more("unchanged", 2)
    assert len(manager.all("READY=1")) == 1 and manager.messages[-1][0].startswith("STATUS=")
    assert service.all("installed")


def test_not_ready_without_a_set(serve, aws, put, good, one):
    aws.faults += [aws_error(400, *DENIED) for _ in range(1000)]
    service = serve(put(good), EACH_CYCLE, env=told_by(one))
    service.wait("error", 3)
    service.stop()
    assert not one.all("READY=1") and one.all("EXTEND_TIMEOUT_USEC=") and one.all("STOPPING=1")


def test_ready_at_once_with_a_set_of_before(serve, agent, aws, put, good, one):
    """Though AWS is denied: what is installed serves."""
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    aws.faults += [aws_error(400, *DENIED) for _ in range(1000)]
    serve(arn, env=told_by(one)).wait("ready")
    one.wait("READY=1")


def test_reloading(serve, put, good, one):
    """The time of the reload by the monotonic clock, and READY=1 when it is done."""
    service = serve(put(good), env=told_by(one))
    one.wait("READY=1")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    service.send(signal.SIGHUP)
    reloading = one.wait("RELOADING=1")
    ready = one.wait("READY=1", 2)
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert reloading < ready
    (usec,) = [re.fullmatch(r"MONOTONIC_USEC=(\d+)", line)[1] for line in one.messages[reloading][1:]]
    assert before <= int(usec) <= after


def test_a_reload_that_is_refused_ends_too(serve, tmp_path, put, good, one):
    path = tmp_path / "agent.conf"
    path.write_text("log-level = info\n")
    service = serve(put(good), f"--config={path}", env=told_by(one))
    one.wait("READY=1")
    path.write_text("log-level = loud\n")
    service.send(signal.SIGHUP)
    service.wait("reload_refused")
    assert one.wait("RELOADING=1") < one.wait("READY=1", 2)


def test_stopping(serve, put, good, one):
    service = serve(put(good), env=told_by(one))
    one.wait("READY=1")
    assert not one.all("STOPPING=1")
    assert service.stop()[0] == 0
    assert len(one.all("STOPPING=1")) == 1


BY_ITS_PID = ["sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh"]


@pytest.mark.parametrize("prefix", [[], BY_ITS_PID], ids=["for all", "for it"])
def test_the_watchdog(serve, put, good, one, prefix):
    """At half the time, and not much more often."""
    started = time.monotonic()
    serve(put(good), interval="1h", env=told_by(one, WATCHDOG_USEC="400000"), prefix=prefix)
    one.wait("WATCHDOG=1", 5)
    assert len(one.all("WATCHDOG=1")) <= (time.monotonic() - started) / 0.2 + 1


def test_the_watchdog_beats_while_aws_hangs(serve, aws, put, good, one):
    aws.faults += [HOLD]
    serve(put(good), deadline="60s", env=told_by(one, WATCHDOG_USEC="200000"))
    wait_for(lambda: aws.asked)
    one.wait("WATCHDOG=1", len(one.all("WATCHDOG=1")) + 5)


@pytest.mark.parametrize(
    "variables", [{"WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"}, {}], ids=["of another", "none"]
)
def test_no_watchdog(serve, put, good, one, variables):
    service = serve(put(good), EACH_CYCLE, env=told_by(one, **variables))
    service.wait("unchanged", 3)
    assert one.all("STATUS=") and not one.all("WATCHDOG")


def test_the_hook_does_not_hear_of_the_manager(serve, put, good, one):
    service = serve(put(good), "--on-change-exec=/usr/bin/env", env=told_by(one, WATCHDOG_USEC="10000000"))
    service.wait("hook_done")
    lines = [event["line"] for event in service.all("hook_output")]
    assert lines and not [line for line in lines if "NOTIFY_SOCKET" in line or "WATCHDOG" in line]


def test_a_manager_that_is_gone(serve, put, good, one):
    """Does no harm."""
    service = serve(put(good), EACH_CYCLE, env=told_by(one))
    one.wait("READY=1")
    one.stop()
    service.more("unchanged", 2)
    assert not service.all("error") and service.stop()[0] == 0


def test_a_full_queue_loses_nothing(serve, put, good, one):
    """Another one's messages fill the manager's queue: READY=1 comes once there is room."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        other.connect(one.path)
        with contextlib.suppress(BlockingIOError):
            while True:
                other.send(b"STATUS=noise")
        service = serve(put(good), EACH_CYCLE, env=told_by(one))
        service.wait("ready")
        service.more("unchanged", 2)
    one.wait("READY=1")


def test_ready_once_the_status_says_so(serve, agent, put, good, one):
    """Who starts when it is ready finds the file."""
    serve(put(good), env=told_by(one), interval="1h")
    one.wait("READY=1")
    assert agent.status()["agent"]["state"] == "ready"


def test_the_second_of_two_hangups_is_waited_for(serve, aws, put, good, one):
    """The one that came while the first was worked on: its file has not been read yet."""
    service = serve(put(good), EACH_CYCLE, env=told_by(one), interval="1h")
    service.wait("ready")
    one.wait("READY=1")
    held = len(aws.asked)
    aws.faults += [HOLD]
    service.send(signal.SIGHUP)
    wait_for(lambda: len(aws.asked) > held)
    service.send(signal.SIGHUP)
    one.wait("RELOADING=1", 2)
    one.wait("READY=1", 2)
    service.wait("reloaded", 2)
    service.wait("unchanged")
    service.stop()
    order = [message[0] for message in one.read() if message[0] in ("RELOADING=1", "READY=1")]
    assert order == ["READY=1", "RELOADING=1", "RELOADING=1", "READY=1"]
