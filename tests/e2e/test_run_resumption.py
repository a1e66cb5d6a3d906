# SPDX-License-Identifier: Apache-2.0
"""
`run` resumes: of ten probes of an enclave nine need no private key, and tell that it can be reached. What they
do not tell is found by the tenth.
"""

import datetime
import re
import signal
import ssl
from pathlib import Path

import pytest

from agent import wait_for
from day import CLOCK
from servers.enclave import Go, OpenSsl
from servers.http import Http, json_answer
from servers.pki import document

ROUND = ["full"] + ["resumed"] * 9
MINUTE = datetime.timedelta(minutes=1)
PACE = {"interval": "1h", "probe_interval": "100ms", "deadline": "60s"}  # rounds alone, after the first cycle
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Enclave:
    """Python's ssl, which keeps its sessions and the key of its tickets whatever it is told meanwhile."""

    def __init__(self, directory, server, client_ca, version="1.3"):
        self.dir = Path(directory)
        self.dir.mkdir()
        self.status = 200
        (self.dir / "clients.crt").write_text(client_ca)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = self.context.maximum_version = VERSIONS[version]
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.load_verify_locations(self.dir / "clients.crt")
        self.show(server)
        self._http = Http(lambda _: json_answer(self.status, {}), context=self.context, orderly=True)
        self.endpoint = f"localhost:{self._http.port}"

    def show(self, server):
        self.context.load_cert_chain(*server.write(self.dir, "server"))

    def refuse(self):
        """Whoever shows a certificate: there is no revocation list that says it is good."""
        self.context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF

    @property
    def seen(self):
        """What it says of each connection that it answered."""
        return ["resumed" if request.resumed else "full" for request in self._http.asked]

    def stop(self):
        self._http.stop()


@pytest.fixture
def server(authority):
    return authority.issue("localhost", names=["localhost"])


@pytest.fixture(params=VERSIONS)
def python(request, tmp_path, server, authority, up):
    return up(Enclave(tmp_path / "python", server, authority.pem, request.param))


@pytest.fixture
def ours(tmp_path, server, authority, up):
    return up(Enclave(tmp_path / "ours", server, authority.pem))


def kinds(service, **fields):
    return [event.get("handshake") for event in service.all("handshake", **fields)]


def rule(events, every=10):
    """
    How each that was accepted is to be: after the rehearsal, a failure (a server that had no time is one), and
    so many others, full.
    """
    since, due = None, []
    for number, event in enumerate(events):
        due.append("full" if since is None or since + 1 == every else "resumed")
        since = 0 if since is None or since + 1 == every else since + 1
        if number == 0 or event["result"] != "accepted":
            since = None
    return [kind for kind, event in zip(due, events) if event["result"] == "accepted"]


def keeps_the_rule(service, count=21, every=10):
    """Of so many handshakes, the rehearsal's first; returns how those that were accepted are to be."""
    service.wait("handshake", count)
    events = service.all("handshake")[:count]
    due = rule(events, every)
    assert [event["handshake"] for event in events if event["result"] == "accepted"] == due
    if len(due) == count:
        assert due == (["full"] + (["full"] + ["resumed"] * (every - 1)) * count)[:count]
    return due


def test_of_twenty_probes_two_are_full(serve, tmp_path, put, good, python):
    """As the server says, the log and the metrics; the first handshake is the rehearsal's."""
    metrics = tmp_path / "agent.prom"
    service = serve(put(good), f"--metrics-file={metrics}", endpoint=python.endpoint, **PACE)
    due = keeps_the_rule(service)
    assert service.stop()[0] == 0
    assert len(due) < 21 or python.seen[:21] == due
    for event in service.all("handshake", result="accepted"):
        assert event["signatures"] == (event["handshake"] == "full")
    counted = re.findall(r'handshakes_completed_total{.*handshake="(\w+)".*} (\d+)', metrics.read_text())
    assert {kind: int(count) for kind, count in counted} == {
        kind: kinds(service).count(kind) for kind in ("full", "resumed")
    }


def test_so_does_go(serve, tmp_path, put, good, server, authority, up):
    enclave = up(Go(tmp_path / "go", server, authority.pem))
    due = keeps_the_rule(serve(put(good), endpoint=enclave.endpoint, **PACE))
    told = re.findall(r"resumed: (\w+)", enclave._process.output())[:21]
    assert len(due) < 21 or told == ["false" if kind == "full" else "true" for kind in due]


def test_so_does_openssl(serve, tmp_path, put, good, server, authority, up):
    """Whose sessions of TLS 1.2 are found by their ID."""
    enclave = up(OpenSsl(tmp_path / "openssl", server, authority.pem))
    service = serve(put(good), "--tls-versions=1.2", endpoint=enclave.endpoint, **PACE)
    keeps_the_rule(service)


@pytest.mark.parametrize("every", [1, 3])
def test_which_is_full_can_be_said(serve, put, good, ours, every):
    service = serve(put(good), f"--probe-full-every={every}", endpoint=ours.endpoint, **PACE)
    keeps_the_rule(service, 10, every)


@pytest.mark.parametrize("options", [["--attest=report", f"--attest-pcr=0:{'1' * 96}"], ["--tls-versions=1.2"]])
def test_all_are_full(serve, put, good, tmp_path, server, authority, up, options):
    """With attestation; and with a server that knows tickets of TLS 1.2 alone."""
    enclave = up(Go(tmp_path / "go", server, authority.pem))
    service = serve(put(good), *options, endpoint=enclave.endpoint, **PACE)
    service.wait("handshake", 6)
    assert set(kinds(service)) == {"full"}


def test_a_refusal_is_found_by_the_tenth(serve, put, good, python):
    service = serve(put(good), endpoint=python.endpoint, **PACE)
    service.wait("handshake", 3, result="accepted")
    python.refuse()
    refused = service.wait("handshake", result="refused")
    assert refused["level"] == "warning" and refused["signatures"] == 1
    accepted = kinds(service, result="accepted")
    assert len(accepted) <= 11 and accepted.count("resumed") >= 1
    service.wait("handshake", 4, result="refused")
    assert kinds(service, result="accepted") == accepted


def test_another_key_of_the_servers(serve, put, good, python, authority):
    """It is found by the tenth, said, and the one after is full too."""
    service = serve(put(good), endpoint=python.endpoint, **PACE)
    service.wait("handshake", 3)
    python.show(authority.issue("localhost", names=["localhost"]))
    service.wait("handshake", 23)
    events = service.all("handshake", result="accepted")[:22]
    news = [number for number, event in enumerate(events) if event["level"] == "info" and number > 1]
    if len(service.all("handshake")) == len(service.all("handshake", result="accepted")):
        assert python.seen[:22] == ["full", *ROUND, "full", *ROUND] and news == [11]
    assert [event["handshake"] for event in events[news[0] : news[0] + 3]] == ["full", "full", "resumed"]


def test_a_server_that_forgets(serve, put, tmp_path, good, server, authority, up):
    """Is asked in full, and answers."""
    enclave = up(Go(tmp_path / "go", server, authority.pem))
    service = serve(put(good), endpoint=enclave.endpoint, **PACE)
    service.wait("handshake", 3, handshake="resumed")
    enclave.stop()
    service.wait("handshake", result="unreachable")
    before = len(service.all("handshake"))
    enclave.start(enclave.port)
    service.wait("handshake", 6, handshake="resumed")
    later = [event for event in service.all("handshake")[before:] if event["result"] == "accepted"]
    assert [event["handshake"] for event in later[:3]] == ["full", "resumed", "resumed"]


def test_the_one_after_a_failure_is_full(serve, put, good, python):
    """What looks like a refusal over a resumed session is asked at once by a full handshake, which counts."""
    service = serve(put(good), endpoint=python.endpoint, **PACE)
    service.wait("handshake", 3, handshake="resumed")
    python.status = 403
    refused = service.wait("handshake", 2, result="refused")
    python.status = 200
    service.more("handshake", 3, result="accepted")
    assert refused["handshake"] == "full" and kinds(service, result="refused").count("resumed") == 0
    after = [event["handshake"] for event in service.all("handshake")]
    first = len(after) - after[::-1].index("full") - 1
    assert after[first : first + 3] == ["full", "resumed", "resumed"]


def test_a_hangup_drops_them(serve, put, good, ours):
    """Also where the configuration stays as it is."""
    service = serve(put(good), endpoint=ours.endpoint, **PACE)
    service.wait("handshake", 3, handshake="resumed")
    service.send(signal.SIGHUP)
    service.wait("reload_refused") if service.all("reload_refused") else service.wait("reloaded")
    mark = len(ours.seen)
    service.more("handshake", 3, handshake="resumed")
    assert "full" in ours.seen[mark - 1 : mark + 2]


def test_a_new_identity_drops_them(serve, aws, put, good, authority, ours):
    """Its rehearsal and the first probe after the installation are full."""
    arn = put(good)
    service = serve(arn, endpoint=ours.endpoint, interval="500ms", probe_interval="100ms")
    service.wait("handshake", 3, handshake="resumed")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    service.wait("installed", 2)
    before = [event["event"] for event in service.events].count("handshake")
    names = [event for event in service.events if event["event"] in ("installed", "handshake")]
    at = [number for number, event in enumerate(names) if event["event"] == "installed"][1]
    service.wait("handshake", before + 3)
    names = [event for event in service.events if event["event"] in ("installed", "handshake")]
    assert names[at - 1]["handshake"] == "full"
    assert [event["handshake"] for event in names[at + 1 : at + 4]] == ["full", "resumed", "resumed"]


def test_while_a_roll_back_is_armed(serve, aws, put, good, authority, ours):
    """There is a set to go back to: all are full. Before that, nine of ten resume."""
    arn = put(good)
    service = serve(arn, "--rollback-on-failure", endpoint=ours.endpoint, interval="500ms", probe_interval="100ms")
    service.wait("handshake", 3, handshake="resumed")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    service.wait("installed", 2)
    service.more("handshake", 2)
    mark = len(ours.seen)
    service.more("handshake", 6)
    assert set(ours.seen[mark:]) == {"full"}


def rounds(service):
    """The handshakes of each round of probes that is over, by their endpoints."""
    done, current = [], {}
    for event in service.events:
        if event["event"] == "handshake":
            current[event["endpoint"]] = event
        elif event["event"] == "probed":
            done.append(current)
            current = {}
    return done


def test_a_doubt_is_not_cleared(serve, tmp_path, put, good, server, authority, up, ours):
    """By an enclave that resumes, while another one refuses: it is asked in full, and no doubt begins."""
    other = up(Enclave(tmp_path / "other", server, authority.pem))
    service = serve(
        put(good), "--rollback-on-failure", endpoint=[ours.endpoint, other.endpoint], interval="1h", probe_interval="200ms"
    )
    service.wait("handshake", 2, endpoint=ours.endpoint, handshake="resumed")
    other.status = 403

    def resumed_beside_a_refusal():
        told = rounds(service)
        return [
            after
            for before, after in zip(told, told[1:])
            if before.get(ours.endpoint, {}).get("handshake") == "resumed"
            and before.get(other.endpoint, {}).get("status") == 403
        ]

    wait_for(lambda: len(resumed_beside_a_refusal()) >= 2)
    assert {after[ours.endpoint]["handshake"] for after in resumed_beside_a_refusal()} == {"full"}
    assert not service.all("rollback_considered") and not service.all("not_rolled_back")


@pytest.mark.parametrize("whose", ["server", "client"])
def test_never_beyond_the_dates(serve, agent, put, tmp_path, authority, good, server, up, clock, whose):
    """Of either leaf, whatever the clock that is set says: nothing rests on a certificate that is not valid."""
    lifetime = (-60 * MINUTE, 60 * MINUTE)
    short = authority.issue("localhost", names=["localhost"], lifetime=lifetime)
    mine = document(authority.issue("ECS-Client", lifetime=lifetime), authority.pem)
    enclave = up(Enclave(tmp_path / "enclave", short if whose == "server" else server, authority.pem))
    service = serve(
        put(good if whose == "server" else mine), endpoint=enclave.endpoint, program=CLOCK, env=clock.env, **PACE
    )
    for ahead, problem in (2 * 3600, "certificate_expired"), (-2 * 3600, "certificate_not_yet_valid"):
        service.more("handshake", 3, handshake="resumed")
        clock.set(ahead)
        if whose == "server":
            service.more("handshake", result="untrusted")
            mark = len(enclave.seen)
            service.more("handshake", 2, result="untrusted")
            assert len(enclave.seen) == mark, "a session was resumed"
        else:  # it is not asked about then
            wait_for(lambda: (agent.status()["sets"][0]["problem"] or {}).get("code") == problem)
        first = len(service.all("handshake", result="accepted"))
        clock.set(0)
        service.more("handshake", result="accepted")
        assert kinds(service, result="accepted")[first] == "full"
