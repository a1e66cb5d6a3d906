# SPDX-License-Identifier: Apache-2.0
"""Many endpoints, sick ones among them: each has its turn, and nobody is blamed for what is our own."""

import errno
import json
import platform
import signal
import socket
import threading
from collections import Counter

import pytest

from agent import PROGRAMS, wait_for
from servers.http import HOLD
from servers.pki import document
from servers.starve import precede, starved
from test_probe import configuration

DEADLINE = "80s"


@pytest.fixture
def installed(agent, put, good):
    agent.fetch(put(good)).succeeded("installed")
    return agent


# ---- a peer that says little


class Dripper:
    """Accepts connections and sends each a byte of a long ServerHello now and then."""

    def __init__(self, pause):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.endpoint = f"localhost:{self._listener.getsockname()[1]}"
        self._ended = threading.Event()
        self._pause = pause
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._drip, args=(client,), daemon=True).start()

    def _drip(self, client):
        with client:
            try:
                client.sendall(bytes.fromhex("16030303ec020003e80303"))
                while not self._ended.wait(self._pause):
                    client.sendall(b" ")
            except OSError:
                return

    def stop(self):
        self._ended.set()
        self._listener.close()


@pytest.mark.parametrize("percent", [None, 10], ids=["a whole processor", "a tenth"])
@pytest.mark.parametrize("pause", [0.1, 0.4])
def test_a_drip_does_not_stop_the_clock(installed, enclave, up, pause, percent):
    good, dripper = enclave.endpoint, up(Dripper(pause))
    processor = up(starved(percent or 400))
    result = installed.probe([dripper.endpoint, good], deadline=DEADLINE, prefix=processor.prefix)
    said = {event["endpoint"]: event for event in result.all("handshake")}
    assert said[good]["result"] == "accepted"
    assert said[dripper.endpoint]["result"] == "unreachable"
    assert said[dripper.endpoint]["reason"] == "timed out in the TLS handshake"
    assert not result.all("unasked")


# ---- each has its turn, whatever stands before it


@pytest.fixture
def mute():
    """mute(count): endpoints that take connections and say nothing."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    yield lambda count: [f"https://localhost:{listener.getsockname()[1]}/{n}" for n in range(count)]
    listener.close()


def test_silent_ones_before_a_good_one(installed, put, authority, enclave, mute, tmp_path):
    """The rehearsal reaches it: what it accepts replaces what is installed."""
    coming = put(document(authority.issue("ECS-Client"), authority.pem))
    conf = configuration(tmp_path / "conf", [*mute(40), enclave.endpoint])
    result = installed.fetch(coming, conf, deadline="20s").succeeded("installed")
    assert [event["endpoint"] for event in result.all("handshake") if event["result"] == "accepted"] == [
        enclave.endpoint
    ]


def test_what_was_not_asked_is_not_counted(agent, serve, put, good, enclave, mute, tmp_path):
    """Hundreds that say nothing leave each much less than a second, which tells nothing about them."""
    conf = configuration(tmp_path / "conf", [*mute(600), enclave.endpoint])
    service = serve(put(good), conf, "--rehearse=off", deadline="5s", interval="1h", probe_interval="100ms")
    precede(service.pid)
    service.wait("unasked", seconds=60)
    service.wait("handshake", seconds=60, endpoint=enclave.endpoint, result="accepted")
    assert not service.all("handshake", result="unreachable")
    wait_for(lambda: agent.status()["endpoints"][-1]["last"] == "accepted", 60)
    silent = agent.status()["endpoints"][:-1]
    assert {each["last"] for each in silent} == {None}


def test_a_probe_says_who_was_not_asked(installed, enclave, mute, tmp_path):
    conf = configuration(tmp_path / "conf", [enclave.endpoint, *mute(500)])
    result = installed.probe([], conf, "--json", deadline="6s")
    assert result.status == 76
    found = Counter(each["result"] for each in json.loads(result.stdout))
    assert found["accepted"] == 1 and found["unasked"] > 400 and found.total() == 501
    assert result.event("unasked")["endpoints"] == found["unasked"]


def test_a_secret_that_hangs(agent, aws, put, good):
    """The sets behind it are installed, and it is itself, in the time that they left."""
    aws.faults.append(HOLD)
    result = agent.fetch([f"{name}={put(good)}" for name in "abc"], deadline="15s").succeeded()
    assert [event["set"] for event in result.all("installed")] == ["b", "c", "a"]


# ---- few descriptors


@pytest.mark.parametrize("most", [24, 32, 100])
def test_few_descriptors_mean_fewer_at_once(installed, enclave, tmp_path, most):
    endpoints = [f"https://{enclave.endpoint}/health?{number}" for number in range(100)]
    conf = configuration(tmp_path / "conf", endpoints)
    installed.probe([], conf, deadline=DEADLINE, prefix=["prlimit", f"--nofile={most}", "--"]).succeeded()


def without_a_socket(report, number):
    """What to put before the agent so that its so many-eth socket(2) finds no descriptor."""
    call = {"x86_64": 41, "aarch64": 198}[platform.machine()]
    return [str(PROGRAMS / "inject"), str(report), "60", f"fail={errno.EMFILE}", str(call), str(number)]


@pytest.mark.parametrize("number", [1, 4, 20])
def test_who_finds_no_descriptor_waits_for_one(installed, enclave, tmp_path, number):
    """Others of this process come and go: what is short now is there a moment later."""
    endpoints = [f"https://127.0.0.1:{enclave.port}/health?{n}" for n in range(30)]
    conf = configuration(tmp_path / "conf", endpoints)
    installed.probe([], conf, prefix=without_a_socket(tmp_path / "report", number)).succeeded()
    assert "done" in (tmp_path / "report").read_text()


def test_no_descriptor_is_not_the_enclaves_fault(installed, enclave, tmp_path):
    result = installed.probe(f"127.0.0.1:{enclave.port}", prefix=without_a_socket(tmp_path / "report", 1))
    assert result.status == 71, result.stderr
    assert result.event("error")["code"] == "descriptors_full"
    assert not result.all("handshake")


def few_threads(most):
    """What to put before the agent so that it may have so many threads: as a user that has no other process."""
    rights = "+dac_override,+dac_read_search,+ipc_lock"
    return [
        *("setpriv", "--reuid=64771", "--regid=64771", "--clear-groups"),
        *(f"--inh-caps={rights}", f"--ambient-caps={rights}", "--"),
        *("prlimit", f"--nproc={most}:{most}", "--"),
    ]


@pytest.mark.parametrize("most", [5, 6, 8])
def test_few_threads_mean_fewer_at_once(installed, enclave, tmp_path, most):
    """The look-up of each name has a thread of its own."""
    endpoints = [f"https://localhost:{enclave.port}/health?{number}" for number in range(60)]
    conf = configuration(tmp_path / "conf", endpoints)
    installed.probe([], conf, deadline=DEADLINE, prefix=few_threads(most)).succeeded()


def test_no_thread_is_not_the_enclaves_fault(installed, enclave):
    """Whatever it is short of: for its own work, or for a name's."""
    for most in range(1, 5):
        result = installed.probe(f"localhost:{enclave.port}", prefix=few_threads(most))
        if result.status != 0:
            assert result.status == 71, result.stderr
            assert result.event("error")["code"] == "threads_full"


# ---- once is enough


def test_an_install_asks_each_endpoint_once(agent, put, good, enclave, tmp_path, serve):
    """The rehearsal's answers count as the first round's."""
    endpoints = [f"https://{enclave.endpoint}/{number}" for number in range(5)]
    arns = [f"{name}={put(good)}" for name in "ab"]
    conf = configuration(tmp_path / "conf", endpoints)
    service = serve(arns, conf, interval="1h", probe_interval="1h")
    service.wait("ready")
    wait_for(lambda: service.send(signal.SIGUSR1) or service.all("status", state="ready"))
    assert Counter(event["endpoint"] for event in service.all("handshake")) == dict.fromkeys(endpoints, 2)
    wait_for(lambda: [each["endpoints_accepting"] for each in agent.status()["sets"]] == [5, 5])
    assert {each["1h"]["asked"] for each in agent.status()["endpoints"]} == {2}
