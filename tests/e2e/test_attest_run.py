# SPDX-License-Identifier: Apache-2.0
"""`mtls-agent run` beside enclaves that have to be attested."""

import base64
import hashlib
import itertools
import os
import random
import signal

import pytest

from agent import wait_for
from servers.nitro import DEBUG, Attested, Hardware, pcr_set, spki
from servers.proxy import FaultProxy

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a file of roots must be root's")


class Balanced(FaultProxy):
    """One name for several: each connection goes to any of them."""

    def __init__(self, *ports):
        self._ports, self._random = ports, random.Random(1)
        super().__init__(ports[0])

    @property
    def _upstream_port(self):
        return self._random.choice(self._ports)

    @_upstream_port.setter
    def _upstream_port(self, port):
        pass


class Turns(Balanced):
    """Each in its turn."""

    def __init__(self, *ports):
        self._turns = itertools.cycle(ports)
        super().__init__(*ports)

    @property
    def _upstream_port(self):
        return next(self._turns)

    @_upstream_port.setter
    def _upstream_port(self, port):
        pass


@pytest.fixture(scope="module")
def hardware():
    return Hardware()


@pytest.fixture
def arguments(tmp_path, hardware):
    path = tmp_path / "roots"
    path.write_text(hardware.fingerprint)
    return ["--attest=require", f"--attest-root={path}", f"--attest-pcr={pcr_set()}"]


@pytest.fixture
def enclave(tmp_path, up, authority, hardware):
    return up(Attested(tmp_path / "enclave", server_of(authority), authority.pem, hardware))


def server_of(authority):
    """A server's certificate with a key of its own."""
    return authority.issue("localhost", names=["localhost"])


def endpoint(agent):
    return agent.status()["endpoints"][0]


def health(agent, *arguments):
    return agent.run("healthcheck", f"--dir={agent.dir}", "--attested", *arguments)


def test_asked_once_then_known_by_its_key(agent, serve, put, good, enclave, arguments, hardware):
    """And as long as it is known, so is the root."""
    service = serve(put(good), *arguments, endpoint=enclave.endpoint)
    service.wait("handshake", count=8, result="accepted", attestation="attested_other_root", root=hardware.fingerprint)
    assert len(enclave.asked_for) <= 3  # before the install, and once by the first round
    wait_for(lambda: endpoint(agent)["attestation"] == "attested_other_root")
    assert endpoint(agent)["attested_at"] and endpoint(agent)["1h"]["unattested"] == 0
    assert endpoint(agent)["root"] == hardware.fingerprint
    shown = agent.run("status", f"--dir={agent.dir}").stdout
    assert "attested_other_root" in shown and hardware.fingerprint in shown
    assert health(agent).status == 0


def test_asked_anew_after_a_while(agent, serve, put, good, enclave, arguments):
    service = serve(put(good), *arguments, "--attest-interval=1s", endpoint=enclave.endpoint)
    wait_for(lambda: len(enclave.asked_for) >= 5)
    assert len(set(enclave.asked_for)) == len(enclave.asked_for)
    enclave.options = {"pcrs": DEBUG}
    event = service.wait("handshake", result="unattested")
    assert (event["attestation"], event["level"]) == ("attested_debug", "warning")
    wait_for(lambda: endpoint(agent)["attestation"] == "attested_debug")
    wait_for(lambda: agent.status()["sets"][0]["endpoints_accepting"] == 0)
    assert health(agent).status == 1 and "attested_debug" in health(agent).stdout
    enclave.options = {}
    service.more("handshake", result="accepted")
    wait_for(lambda: health(agent).status == 0)


@pytest.mark.parametrize("options, code", (({"pcrs": DEBUG}, "attested_debug"), ({"user_data": None}, "attested_other_key")))
def test_a_report_asks_no_more_than_that(agent, serve, put, good, enclave, arguments, hardware, options, code):
    """What is missing is known for as long as what is proved."""
    enclave.options = options
    service = serve(put(good), "--attest=report", *arguments[1:], endpoint=enclave.endpoint)
    event = service.wait("handshake", count=8, result="accepted", attestation=code, root=hardware.fingerprint)
    assert event["reason"].startswith(f"{code}: ")
    said = service.all("handshake", attestation=code, level="warning")  # by the rehearsal, and by the first round
    assert 1 <= len(said) <= 2 and "the root" in said[0]["reason"]
    assert len(enclave.asked_for) <= 3
    wait_for(lambda: endpoint(agent)["attestation"] == code)
    assert health(agent).status == 1 and code in health(agent).stdout


def test_a_report_asks_another_key_at_once(agent, serve, put, good, up, authority, hardware, enclave, arguments, tmp_path):
    enclave.options = {"pcrs": DEBUG}
    service = serve(put(good), "--attest=report", *arguments[1:], endpoint=enclave.endpoint)
    service.wait("handshake", count=4, attestation="attested_debug")
    enclave.stop()
    second = up(Attested(tmp_path / "second", server_of(authority), authority.pem, hardware, port=enclave.port))
    service.more("handshake", count=4, result="accepted", attestation="attested_other_root")
    assert len(second.asked_for) == 1


def test_another_key_is_asked_at_once(agent, serve, put, good, up, authority, hardware, enclave, arguments, tmp_path):
    service = serve(put(good), *arguments, endpoint=enclave.endpoint)
    service.wait("handshake", count=3, result="accepted")
    enclave.stop()
    second = up(Attested(tmp_path / "second", server_of(authority), authority.pem, hardware, port=enclave.port))
    service.more("handshake", count=2, result="accepted", attestation="attested_other_root")
    assert len(second.asked_for) >= 1
    second.stop()
    third = up(Attested(tmp_path / "third", server_of(authority), authority.pem, hardware, port=enclave.port))
    third.options = {"pcrs": DEBUG}
    service.more("handshake", result="unattested", attestation="attested_debug")


def test_without_probes_it_is_attested_all_the_same(agent, serve, put, good, enclave, arguments):
    serve(put(good), *arguments, "--attest-interval=300ms", endpoint=enclave.endpoint, probe_interval="0s")
    wait_for(lambda: len(enclave.asked_for) >= 4)


def test_a_new_policy_is_asked_for(agent, serve, put, good, enclave, arguments, tmp_path):
    """SIGHUP: keys that were attested for another image are not known any more."""
    conf = tmp_path / "mtls-agent.conf"
    conf.write_text(f"attest-pcr = {pcr_set()}\n")
    service = serve(put(good), *arguments[:2], "--log-level=debug", f"--config={conf}", endpoint=enclave.endpoint)
    service.wait("handshake", count=3, result="accepted")
    conf.write_text(f"attest-pcr = {pcr_set({0: bytes([7]) * 48})}\n")
    service.send(signal.SIGHUP)
    service.wait("reloaded")
    service.more("handshake", result="unattested", attestation="attested_other_image")


def test_metrics(agent, serve, put, good, enclave, arguments, hardware, tmp_path):
    path = tmp_path / "mtls-agent.prom"
    service = serve(put(good), *arguments, "--attest-interval=1s", f"--metrics-file={path}", endpoint=enclave.endpoint)
    service.wait("handshake", count=3, result="accepted")
    name = f'endpoint="{enclave.endpoint}"'
    attested = f"mtls_agent_endpoint_attested{{{name},root="
    wait_for(lambda: f'{attested}"{hardware.fingerprint}"}} 1' in path.read_text())
    assert f'mtls_agent_attestations_total{{{name},result="attested_other_root",root="{hardware.fingerprint}"}}' in path.read_text()
    assert f'mtls_agent_handshakes_total{{{name},result="unattested",alert=""}} 0' in path.read_text()
    enclave.options = {"pcrs": DEBUG}
    wait_for(lambda: f'{attested}""}} 0' in path.read_text() and path.read_text().count(attested) == 1)
    assert f'mtls_agent_attestations_total{{{name},result="attested_debug",root="{hardware.fingerprint}"}}' in path.read_text()


def test_nothing_attested_is_not_healthy(agent, serve, put, good, enclave):
    """attested says what nobody asked for."""
    service = serve(put(good), endpoint=enclave.endpoint)
    service.wait("handshake", count=2, result="accepted")
    wait_for(lambda: agent.status()["sets"][0]["endpoints_accepting"] == 1)
    assert health(agent).status == 1 and "no endpoint is attested" in health(agent).stdout
    assert agent.run("healthcheck", f"--dir={agent.dir}").status == 0


def pin(pair):
    return base64.b64encode(hashlib.sha256(spki(pair.certificate)).digest()).decode()


def test_pins(agent, serve, put, good, up, authority, hardware, enclave, arguments, tmp_path):
    """By fetch, and kept up to date by run; never an empty list in place of one."""
    pins = tmp_path / "enclave.pins"
    arguments = [*arguments, f"--attest-pins={pins}"]
    arn = put(good)
    agent.fetch(arn, *arguments, endpoint=enclave.endpoint).succeeded("installed", "pins_written")
    first = f"sha256//{pin(enclave.pair)} {enclave.endpoint} root={hardware.fingerprint}\n"
    assert pins.read_text() == first and pins.stat().st_mode & 0o777 == 0o644
    before = pins.stat().st_ino
    service = serve(arn, *arguments, "--attest-interval=1s", endpoint=enclave.endpoint)
    service.wait("handshake", count=3, result="accepted")
    assert pins.stat().st_ino == before
    enclave.stop()
    service.wait("handshake", count=3, result="unreachable")
    assert pins.read_text() == first
    second = up(Attested(tmp_path / "second", server_of(authority), authority.pem, hardware, port=enclave.port))
    wait_for(lambda: pins.read_text() == first.replace(pin(enclave.pair), pin(second.pair)))
    pins.unlink()
    (tmp_path / "enclave.pins").mkdir()
    service.wait("pins_unwritten")


def test_pins_of_a_dry_run(agent, put, good, enclave, arguments, tmp_path):
    """It changes nothing."""
    pins = tmp_path / "enclave.pins"
    words = [*arguments, f"--attest-pins={pins}", "--dry-run"]
    for text in (None, "as it was\n"):
        if text:
            pins.write_text(text)
        result = agent.fetch(put(good), *words, endpoint=enclave.endpoint).succeeded("dry_run")
        assert not result.all("pins_written")
        assert (pins.read_text() if text else pins.exists()) == (text or False)


def test_what_is_left_of_pins(agent, put, good, enclave, arguments, tmp_path):
    """A kill leaves a temporary file, which the next who writes takes away; purge takes all."""
    pins = tmp_path / "pins" / "enclave.pins"
    pins.parent.mkdir()
    left, other = pins.with_name("enclave.pins.0123456789abcdef.tmp"), pins.with_name("enclave.pins.mine")
    left.write_text("half")
    other.write_text("mine")
    agent.fetch(put(good), *arguments, f"--attest-pins={pins}", endpoint=enclave.endpoint).succeeded("pins_written")
    assert sorted(pins.parent.iterdir()) == [pins, other]
    left.write_text("half")
    agent.run("purge", "--log-format=json", f"--dir={agent.dir}", f"--attest-pins={pins}").succeeded("purged")
    assert sorted(pins.parent.iterdir()) == [other]


def test_several_behind_one_name(agent, serve, put, good, up, authority, hardware, enclave, arguments, tmp_path):
    """Each is judged by its own document: the good one lends nothing to the other."""
    other = up(Attested(tmp_path / "other", server_of(authority), authority.pem, hardware))
    pins = tmp_path / "enclave.pins"
    balanced = up(Balanced(enclave.port, other.port))
    name = f"localhost:{balanced.port}"
    service = serve(put(good), *arguments, f"--attest-pins={pins}", "--attest-interval=2s", endpoint=name)
    service.wait("handshake", count=6, result="accepted")
    both = {pin(enclave.pair), pin(other.pair)}
    wait_for(lambda: both == {line[8:52] for line in pins.read_text().splitlines()})
    other.options = {"pcrs": DEBUG}
    service.more("handshake", count=3, result="unattested", attestation="attested_debug")
    service.more("handshake", count=3, result="accepted", attestation="attested_other_root")
    wait_for(lambda: pins.read_text() == f"sha256//{pin(enclave.pair)} {name} root={hardware.fingerprint}\n")


def test_each_has_its_turn(agent, serve, put, good, up, authority, hardware, enclave, arguments, tmp_path):
    """A balancer shows now this one, now that one: who is met is asked, on that connection, and is known by its own key."""
    other = up(Attested(tmp_path / "other", server_of(authority), authority.pem, hardware))
    pins = tmp_path / "enclave.pins"
    balanced = up(Turns(enclave.port, other.port))
    service = serve(put(good), *arguments, f"--attest-pins={pins}", endpoint=f"localhost:{balanced.port}")
    service.wait("handshake", count=8, result="accepted")
    assert {pin(enclave.pair), pin(other.pair)} == {line[8:52] for line in pins.read_text().splitlines()}
    assert len(enclave.asked_for) <= 2 and len(other.asked_for) == 1


@pytest.mark.parametrize("options", ({"pcrs": DEBUG}, {"user_data": b"k" * 32}))
def test_nobody_stands_in_for_another(agent, serve, put, good, up, authority, hardware, enclave, arguments, tmp_path, options):
    """One of two is attested: every other connection is not, whatever is known of the name."""
    other = up(Attested(tmp_path / "other", server_of(authority), authority.pem, hardware))
    other.options = options
    balanced = up(Turns(enclave.port, other.port))
    service = serve(put(good), *arguments, endpoint=f"localhost:{balanced.port}")
    service.wait("handshake", count=9)
    told = [event["result"] for event in service.all("handshake")[:9]]
    assert told == ["accepted", "unattested"] * 4 + ["accepted"]
    assert len(enclave.asked_for) <= 2
