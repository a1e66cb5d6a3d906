# SPDX-License-Identifier: Apache-2.0
"""
What counts as acceptance of the identity where enclaves are attested: the answer of the health path, over the connection
that was attested, or another one on which the same key answers. The attestation's route may be open to anybody.
"""

import json
import os

import pytest

from agent import wait_for
from servers.http import HOLD, Answer, json_answer
from servers.nitro import DEBUG, Attested, Hardware, pcr_set
from servers.peer import ALERT, Peer, Tls12
from servers.peer13 import Tls13
from servers.pki import document
from test_attest_run import Turns

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a file of roots must be root's")
POLICIES = ("require", "report")


class Two(Attested):
    """Its two routes can be changed: attestation(answer) and health(request)."""

    def __init__(self, *arguments, **options):
        self.attestation, self.health = (lambda answer: answer), (lambda request: json_answer(200, {}))
        super().__init__(*arguments, **options)

    def _answer(self, request):
        if "attestation" not in request.path:
            return self.health(request)
        self.asked_for.append(request.path)
        return self.attestation(self.encoded(request.path))

    @property
    def connections(self):
        """What was asked on each: "attestation", or the path."""
        asked = {}
        for request in list(self._process.asked):
            asked.setdefault(request.client, []).append("attestation" if "attestation" in request.path else request.path)
        return list(asked.values())


def closing(answer):
    answer.headers["Connection"] = "close"
    return answer


def ending(answer):
    answer.ends = True
    return answer


def cut(answer):
    answer.cut = True
    return answer


def redirect(_):
    return Answer(302, headers={"Location": "/health"})


@pytest.fixture(scope="module")
def hardware():
    return Hardware()


@pytest.fixture
def server(tmp_path, up, authority, hardware):
    """server(): an enclave that is attested, with a key of its own."""

    def start(**options):
        pair = authority.issue("localhost", names=["localhost"])
        where = tmp_path / f"enclave-{len(list(tmp_path.iterdir()))}"
        return up(Two(where, pair, authority.pem, hardware, **options))

    return start


@pytest.fixture
def asks(tmp_path, hardware):
    """asks(policy): the options."""
    path = tmp_path / "roots"
    path.write_text(hardware.fingerprint)
    return lambda policy: [f"--attest={policy}", f"--attest-root={path}", f"--attest-pcr={pcr_set()}"]


@pytest.fixture
def installed(agent, put, good):
    agent.fetch(put(good)).succeeded("installed")
    return agent


@pytest.fixture
def probe(installed, asks):
    """probe(endpoints, policy): what each comes to; with JSON, whose events are one for each."""

    def run(endpoints, policy="require", *arguments):
        result = installed.probe(endpoints, *asks(policy), "--json", *arguments)
        found = json.loads(result.stdout)
        assert len(result.all("handshake")) == len(found)
        return found[0] if isinstance(endpoints, str) else {each["endpoint"]: each for each in found}

    return run


# ---- one connection


@pytest.mark.parametrize("policy", POLICIES)
def test_over_the_attested_connection(probe, server, policy):
    enclave = server()
    enclave.health = lambda request: Answer(204)
    found = probe(enclave.endpoint, policy)
    assert (found["result"], found["status"], found["attestation"]) == ("accepted", 204, "attested_other_root")
    assert enclave.connections == [["attestation", "/health"]]
    assert found["dns_ms"] >= 0 and found["tcp_ms"] >= 0 and found["tls_ms"] >= 0 and found["first_byte_ms"] >= 0


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("status", (400, 401, 403))
def test_an_open_route_accepts_nobody(agent, put, good, server, asks, policy, status):
    """It attests well, to whoever asks; the application wants nothing of this identity."""
    enclave = server()
    enclave.health = lambda request: Answer(status)
    result = agent.fetch(put(good), *asks(policy), endpoint=enclave.endpoint)
    assert f"HTTP {status}" in result.failed(76, "enclave_refused")["reason"]
    handshake = result.event("handshake")
    assert (handshake["result"], handshake["attestation"]) == ("refused", "attested_other_root")
    assert not (agent.dir / "client.crt").exists()


@pytest.mark.parametrize("policy", POLICIES)
def test_the_old_identity_is_accepted_and_the_next_is_not(agent, put, good, authority, server, asks, policy):
    """Whoever refuses the next one alone has refused it, attested or not."""
    enclave = server()
    agent.fetch(put(good), *asks(policy), endpoint=enclave.endpoint).succeeded("installed")
    before = agent.file("client.crt")
    first = enclave._process.asked[-1].peer["serialNumber"]
    enclave.health = lambda request: Answer(200 if request.peer["serialNumber"] == first else 403)
    for pcrs in (None, DEBUG):
        enclave.options = {"pcrs": pcrs} if pcrs else {}
        arn = put(document(authority.issue("ECS-Client"), authority.pem))
        agent.fetch(arn, *asks(policy), endpoint=enclave.endpoint).failed(76, "enclave_refused")
        assert agent.file("client.crt") == before


def test_only_the_attestation_is_asked_where_that_is_the_question(installed, server, asks):
    enclave = server()
    arguments = ["attest", f"--dir={installed.dir}", f"--endpoint={enclave.endpoint}", *asks("report")]
    assert installed.run(*arguments).status == 0
    assert enclave.connections == [["attestation"]]


def test_paths_of_one_server(probe, server):
    """Each over its own connection, whatever else is open to the same server."""
    enclave = server()
    paths = [f"/path-{number}" for number in range(6)]
    found = probe([f"https://{enclave.endpoint}{path}" for path in paths])
    assert {each["result"] for each in found.values()} == {"accepted"}
    assert sorted(enclave.connections) == [["attestation", path] for path in paths]


SAYS = {
    "204": (b"HTTP/1.1 204 OK\r\n\r\n", None, "accepted", ""),
    "401": (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", None, "refused", "HTTP 401"),
    "access_denied": (b"", 49, "refused", "access_denied (49)"),
    "internal_error": (b"", 80, "unreachable", "internal_error (80)"),
    "no HTTP": (b"220 mail ready\r\n", None, "unreachable", "no HTTP"),
    "interim answers, and then it closes": (b"HTTP/1.1 100 Continue\r\n\r\n" * 9, None, "accepted", ""),
    "both answers at once": (None, None, "accepted", ""),
}

AGAIN = ("interim answers, and then it closes", "both answers at once")  # which are no answers to it


@pytest.mark.parametrize("version", (Tls12, Tls13))
@pytest.mark.parametrize("what", SAYS)
def test_what_comes_to_the_second_request(probe, up, authority, version, what):
    """As what comes to the only one: docs/verification.md has the table."""
    says, alert, result, reason = SAYS[what]
    shown, none = authority.issue("localhost", names=["localhost"]), b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"

    def talk(sock):
        tls = version(sock, shown)
        tls.handshake()
        ask = tls.request if version is Tls12 else tls.http_request
        if b"/attestation?" not in ask():
            return tls.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        if says is None:
            return tls.answer(none + none)
        tls.answer(none)
        assert b"GET /health " in ask()
        if says:
            tls.answer(says)
        if alert:
            tls.send(ALERT, bytes([2, alert]))

    peer = up(Peer(talk))
    found = probe(peer.endpoint, "report")
    assert found["result"] == result and reason in found.get("reason", "")
    assert found["attestation"] == "attestation_missing"
    assert peer.connections == (2 if what in AGAIN else 1)


# ---- two


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("end", (closing, ending))
def test_a_server_of_one_request(probe, server, policy, end):
    """The same key answers over the second connection."""
    enclave = server()
    enclave.attestation = end
    found = probe(enclave.endpoint, policy)
    assert (found["result"], found["attestation"]) == ("accepted", "attested_other_root")
    assert enclave.connections == [["attestation"], ["/health"]]
    enclave.health = lambda request: Answer(403)
    assert probe(enclave.endpoint, policy)["result"] == "refused"


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_not_attested_on_the_first_is_not_on_the_second(probe, server, policy):
    enclave = server()
    enclave.options, enclave.attestation = {"pcrs": DEBUG}, closing
    found = probe(enclave.endpoint, policy)
    assert found["result"] == {"require": "unattested", "report": "accepted"}[policy]
    assert found["attestation"] == "attested_debug" and "PCR0 is zero" in found["reason"]
    assert enclave.connections == [["attestation"], ["/health"]]


def test_closes_of_the_health_path(probe, server):
    """Three in a row, as elsewhere; the one behind the attestation is none of them."""
    enclave = server()

    def close(request):
        raise ConnectionError

    enclave.health = close
    found = probe(enclave.endpoint)
    assert (found["result"], found["attestation"]) == ("refused", "attested_other_root")
    assert "each of 3 times" in found["reason"]
    assert enclave.connections == [["attestation", "/health"], ["/health"], ["/health"], ["/health"]]


ANSWERS = {
    "a body that is cut off": (cut, "attestation_malformed", 2),
    "a redirect": (redirect, "attestation_missing", 1),
    "404": (lambda answer: Answer(404), "attestation_missing", 1),
    "403, closing": (lambda answer: closing(Answer(403)), "attestation_missing", 2),
    "too long": (lambda answer: Answer(200, b"x" * 50000), "attestation_malformed", 2),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("what", ANSWERS)
def test_no_attestation(probe, server, what, policy):
    """The health path tells all the same, over a connection that is left."""
    enclave = server()
    enclave.attestation, code, connections = ANSWERS[what]
    found = probe(enclave.endpoint, policy)
    assert found["result"] == {"require": "unattested", "report": "accepted"}[policy]
    assert found["attestation"] == code and found["status"] == 200
    assert len(enclave.connections) == connections and len(enclave.asked_for) == 1
    enclave.health = redirect
    assert probe(enclave.endpoint, policy)["status"] == 302
    enclave.health = lambda request: Answer(403)
    assert probe(enclave.endpoint, policy)["result"] == "refused"


def test_an_attestation_that_never_comes(probe, server):
    """It has half of the time; a report refuses nobody for it, and by require nobody is let pass."""
    enclaves = [server() for _ in range(2)]
    for enclave in enclaves:
        enclave.attestation = lambda answer: HOLD
    for enclave, policy, result in zip(enclaves, POLICIES, ("unattested", "accepted")):
        found = probe(enclave.endpoint, policy)
        assert (found["result"], found["attestation"]) == (result, "attestation_missing")
        assert enclave.connections == [["attestation"], ["/health"]]


def test_a_health_path_that_never_answers(probe, server):
    """It proves nothing, however good the attestation is."""
    enclave = server()
    enclave.health = lambda request: HOLD
    found = probe(enclave.endpoint)
    assert (found["result"], found["attestation"]) == ("unreachable", "attested_other_root")
    assert enclave.connections == [["attestation", "/health"]]


# ---- several behind one name


@pytest.mark.parametrize("policy", POLICIES)
def test_another_key_is_attested_by_itself(probe, server, up, policy):
    """Each connection meets the other one, until one is met again."""
    first, second = server(), server()
    for enclave in (first, second):
        enclave.attestation = closing
    found = probe(f"localhost:{up(Turns(first.port, second.port)).port}", policy)
    assert (found["result"], found["attestation"]) == ("accepted", "attested_other_root")
    assert (first.connections, second.connections) == ([["attestation"], ["/health"]], [["attestation"]])


def test_the_health_path_of_one_that_is_not_attested(probe, server, up):
    """A good document of one lends nothing to the other, whose answer it is."""
    good, other = server(), server()
    good.attestation = other.attestation = closing
    other.options = {"pcrs": DEBUG}
    turns = up(Turns(good.port, other.port, other.port))
    found = probe(f"localhost:{turns.port}")
    assert (found["result"], found["attestation"]) == ("unattested", "attested_debug")
    assert good.connections == [["attestation"]]


@pytest.mark.parametrize("policy", POLICIES)
def test_another_key_each_time(probe, server, up, policy):
    """That has an end."""
    enclaves = [server() for _ in range(5)]
    for enclave in enclaves:
        enclave.attestation = closing
    found = probe(f"localhost:{up(Turns(*(enclave.port for enclave in enclaves))).port}", policy)
    assert found["result"] == {"require": "unattested", "report": "accepted"}[policy]
    assert found["attestation"] == "attestation_missing" and "another key" in found["reason"]
    assert [enclave.connections for enclave in enclaves] == [[["attestation"]]] * 4 + [[["/health"]]]


def test_a_relay_of_the_attestation_alone(probe, server):
    """A document of another enclave, and a health path of its own, over one connection or two."""
    good, relay = server(), server()
    relay.show = good.document
    for end in (lambda answer: answer, closing):
        relay.attestation = end
        assert probe(relay.endpoint)["attestation"] == "attested_other_key"
        assert probe(relay.endpoint)["result"] == "unattested"


# ---- in run


@pytest.mark.parametrize("end", (lambda answer: answer, closing))
def test_each_probe_is_one(agent, serve, put, good, server, asks, tmp_path, end):
    """However many connections it takes: one event, and one count in the metrics."""
    enclave, path = server(), tmp_path / "mtls-agent.prom"
    enclave.attestation = end
    words = [*asks("require"), "--attest-interval=100ms", f"--metrics-file={path}"]
    service = serve(put(good), *words, endpoint=enclave.endpoint)
    service.wait("handshake", count=5, result="accepted", attestation="attested_other_root")
    total = f'mtls_agent_handshakes_total{{endpoint="{enclave.endpoint}",result="accepted",alert=""}} '
    wait_for(lambda: total in path.read_text())
    service.stop()
    events = service.all("handshake")
    assert {event["result"] for event in events} == {"accepted"}
    counted = int(path.read_text().split(total)[1].split()[0])
    assert counted == len(events) <= len(enclave.asked_for) <= len(events) + 1


def test_an_identity_that_is_refused_while_attestations_are_good(agent, serve, put, good, server, asks):
    """As where nobody is attested."""
    enclave = server()
    service = serve(put(good), *asks("require"), "--attest-interval=100ms", endpoint=enclave.endpoint)
    service.wait("handshake", count=2, result="accepted")
    enclave.health = lambda request: Answer(403)
    event = service.wait("handshake", result="refused")
    assert event["attestation"] == "attested_other_root" and event["status"] == 403
    wait_for(lambda: agent.status()["sets"][0]["endpoints_accepting"] == 0)


def test_when_it_was_attested(agent, serve, put, good, server, asks):
    """Of a key that is known, when its document was judged."""
    enclave = server()
    service = serve(put(good), *asks("require"), endpoint=enclave.endpoint)
    service.wait("handshake", count=4, result="accepted")
    asked, first = len(enclave.asked_for), agent.status()["endpoints"][0]
    wait_for(lambda: agent.status()["endpoints"][0]["last_at"] > max(first["last_at"], first["attested_at"]))
    assert len(enclave.asked_for) == asked
    assert agent.status()["endpoints"][0]["attested_at"] == first["attested_at"]
