# SPDX-License-Identifier: Apache-2.0
"""mtls-agent probe: what the enclaves say to the installed identity; exit 0 or 76."""

import json
import socket
import threading
import time
from collections import Counter

import pytest

from agent import snapshot
from servers.enclave import KINDS, Nginx, Python
from servers.http import text_answer
from servers.more import with_options
from servers.namespace import Namespace
from servers.pki import document
from servers.process import free_port


@pytest.fixture
def installed(agent, put, pki):
    agent.fetch(put(document(pki.pair("client"), pki.ca_pem))).succeeded("installed")
    return agent


@pytest.mark.parametrize("kind", KINDS)
def test_accepted(installed, enclaves, kind):
    before = snapshot(installed.dir)
    result = installed.probe(enclaves[kind].endpoint).succeeded()
    handshake = result.event("handshake")
    assert handshake["result"] == "accepted"
    assert all(handshake[stage] >= 0 for stage in ("dns_ms", "tcp_ms", "tls_ms", "first_byte_ms"))
    assert snapshot(installed.dir) == before


@pytest.mark.parametrize("kind", KINDS)
def test_refused(agent, put, rogue, pki, enclaves, kind):
    agent.fetch(put(document(rogue, pki.ca_pem))).succeeded("installed")
    result = agent.probe(enclaves[kind].endpoint)
    assert result.status == 76, result.stderr
    assert result.event("handshake")["result"] == "refused"


def test_all_are_asked_and_one_failure_is_one(installed, enclaves):
    endpoints = [enclaves["nginx"].endpoint, f"localhost:{free_port()}", enclaves["go"].endpoint]
    result = installed.probe(endpoints)
    assert result.status == 76, result.stderr
    assert {event["endpoint"]: event["result"] for event in result.all("handshake")} == dict(
        zip(endpoints, ("accepted", "unreachable", "accepted"))
    )


def test_untrusted(installed, tmp_path, stranger, pki, up):
    server = up(Nginx(tmp_path / "x", stranger.issue("localhost", names=["localhost"]), pki.ca_pem))
    result = installed.probe(server.endpoint)
    assert result.status == 76 and result.event("handshake")["result"] == "untrusted"


def test_nothing_installed(agent, enclaves):
    assert agent.probe(enclaves["nginx"].endpoint).event("error")["code"] == "no_identity"


def test_no_endpoint(installed):
    assert installed.probe([]).status == 64


def test_no_aws_is_needed(installed, enclaves):
    environment = {name: None for name in installed.environment if name.startswith("AWS_")}
    installed.probe(enclaves["nginx"].endpoint, env=environment).succeeded()


# ---- what it prints


def test_a_row_for_each(installed, enclaves):
    endpoints = [enclaves["nginx"].endpoint, f"localhost:{free_port()}"]
    header, *rows = installed.probe(endpoints).stdout.splitlines()
    assert header.split()[:4] == ["RESULT", "ENDPOINT", "HTTP", "HANDSHAKE"]
    rows = {row.split()[1]: row.split() for row in rows}
    good, dead = (rows[endpoint] for endpoint in endpoints)
    assert good[0] == "accepted" and good[2:4] == ["200", "full"] and good[4].startswith(("ECDHE-", "TLS_"))
    assert dead[0] == "unreachable" and "connection:" in dead


def test_json(installed, enclaves):
    dead = f"localhost:{free_port()}"
    port = enclaves["nginx"].port
    result = installed.probe([f"https://LOCALHOST:{port}/health", dead], "--json", "--count=2")
    found = json.loads(result.stdout)
    assert Counter((each["endpoint"] == dead, each["round"], each["result"]) for each in found) == {
        (False, 1, "accepted"): 1,
        (False, 2, "accepted"): 1,
        (True, 1, "unreachable"): 1,
        (True, 2, "unreachable"): 1,
    }
    events = result.all("handshake")
    for each, event in zip(found, events):
        assert {key: value for key, value in each.items() if key not in ("round", "label")}.items() <= event.items()
        assert each["label"] == (dead if each["endpoint"] == dead else f"localhost:{port}")


def test_json_of_nothing(agent, enclaves):
    result = agent.probe(enclaves["nginx"].endpoint, "--json")
    assert result.status == 76 and json.loads(result.stdout) == []


def test_each_set_is_named(agent, put, good, enclave, aws):
    arn = put(good)
    agent.fetch([f"a={arn}", f"b={arn}"]).succeeded()
    result = agent.probe(enclave.endpoint, "--json", f"--secret=a={arn},b={arn}").succeeded()
    assert [each["set"] for each in json.loads(result.stdout)] == ["a", "b"]


def test_the_chain_of_one_that_fails(installed, tmp_path, stranger, pki, up):
    """Escaped: it comes from who knows whom."""
    leaf = stranger.issue("evil\x1b[2J\nname", names=["localhost", "192.0.2.1"])
    server = up(Nginx(tmp_path / "x", leaf, pki.ca_pem))
    text = installed.probe(server.endpoint, "--show-chain").stdout
    assert "\x1b" not in text
    assert "subject: CN=evil\\1B[2J\\0Aname" in text
    assert "issuer:  CN=Stranger-CA" in text
    assert "names:   DNS:localhost, IP:192.0.2.1" in text
    (row,) = json.loads(installed.probe(server.endpoint, "--show-chain", "--json").stdout)
    (cert,) = row["chain"]
    assert cert["issuer"] == "CN=Stranger-CA" and cert["names"] == "DNS:localhost, IP:192.0.2.1"
    assert cert["not_before"] < cert["not_after"]


def test_no_chain_of_one_that_accepts(installed, enclaves):
    assert "subject" not in installed.probe(enclaves["nginx"].endpoint, "--show-chain").succeeded().stdout


# ---- the answer's body


def test_the_body_as_it_is(installed, enclaves):
    """What curl with the installed files prints."""
    result = installed.probe(enclaves["nginx"].endpoint, "--request=/api/watermark").succeeded()
    assert json.loads(result.stdout) == {"watermark": "c2VlbiBhbmQgc2lnbmVk", "client": "CN=ECS-Client"}
    assert result.stdout.endswith("\n")


def test_bodies_in_the_order_of_the_endpoints(installed, enclaves):
    endpoints = [enclaves[kind].endpoint for kind in ("python", "go", "python")]
    result = installed.probe(endpoints, "--request=/x").succeeded()
    decoder, rest, servers = json.JSONDecoder(), result.stdout, []
    while rest.strip():
        value, end = decoder.raw_decode(rest.lstrip())
        rest = rest.lstrip()[end:]
        servers.append(value["server"])
    assert servers == ["python", "go", "python"]


def of_size(size):
    return with_options(Python, _answer=staticmethod(lambda _: text_answer(200, "x" * size)))


@pytest.mark.parametrize("size,status", [(1 << 20, 0), ((1 << 20) + 1, 76)])
def test_a_body_has_a_bound(agent, put, good, authority, tmp_path, up, size, status):
    agent.fetch(put(good)).succeeded("installed")
    server = up(of_size(size)(tmp_path / "s", authority.issue("localhost", names=["localhost"]), authority.pem))
    result = agent.probe(server.endpoint, "--request=/")
    assert result.status == status, result.stderr
    if status == 0:
        assert result.stdout == "x" * size
    else:
        assert result.event("answer_cut")["bytes"] <= 1 << 20


# ---- many endpoints

ENDPOINTS, HOLES = 900, 100
LOCKED_MAX = 3 * 1024 * 1024 + 256 * 1024


class Inside(Python):
    """In a network of its own."""

    namespace = None

    def listen(self, port):
        return self.namespace.open("tcp", "127.0.0.1", port or 0)


@pytest.fixture
def holes(tmp_path, up):
    return up(Namespace(tmp_path / "network", black_hole="10.99.0.1/16"))


@pytest.fixture
def inside(holes, tmp_path, authority, up):
    kind = with_options(Inside, namespace=holes)
    return up(kind(tmp_path / "inside", authority.issue("localhost", names=["localhost"]), authority.pem))


def configuration(path, endpoints):
    path.write_text("".join(f"endpoint = {endpoint}\n" for endpoint in endpoints))
    path.chmod(0o600)
    return f"--config={path}"


SOME = 8


class Counting(Python):
    """Knows how many were with it at once. None of the first has its answer before some are."""

    def start(self, port):
        self.now = self.most = 0
        self.changed = threading.Condition()
        super().start(port)

    def _answer(self, _):
        with self.changed:
            self.now += 1
            self.most = max(self.most, self.now)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most > SOME, 3)
        time.sleep(0.05)
        with self.changed:
            self.now -= 1
        return text_answer(200, "")


def test_at_most_32_at_once(agent, put, good, tmp_path, authority, up):
    agent.fetch(put(good)).succeeded("installed")
    server = up(Counting(tmp_path / "s", authority.issue("localhost", names=["localhost"]), authority.pem))
    endpoints = [f"https://localhost:{server.port}/{number}" for number in range(150)]
    agent.probe([], configuration(tmp_path / "conf", endpoints)).succeeded()
    assert SOME < server.most <= 32


def test_little_memory_means_fewer_at_once(installed, tmp_path, enclaves):
    """Less than 32 handshakes need: it takes longer, and that is all."""
    endpoints = [f"https://{enclaves['nginx'].endpoint}/health?{number}" for number in range(50)]
    limit = ["prlimit", f"--memlock={768 * 1024}", "--", "setpriv", "--bounding-set=-ipc_lock"]
    limit += ["--inh-caps=-ipc_lock", "--"]
    result = installed.probe([], configuration(tmp_path / "conf", endpoints), prefix=limit).succeeded()
    assert result.event("finished")["locked_bytes"] <= 768 * 1024


def full_listener():
    """A listener that drops who wants to connect, and the connections that fill it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = [socket.socket() for _ in range(2)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
    return listener, fillers


def test_a_slow_one_waits_for_a_place(agent, put, good, tmp_path, authority, up):
    """
    It gives up its place while it waits for its connection, which comes when all places are taken by servers that
    accept connections and say nothing. It gets another one, and its handshake.
    """
    agent.fetch(put(good)).succeeded("installed")
    late, fillers = full_listener()
    mute = socket.create_server(("127.0.0.1", 0), backlog=128)
    slow = f"localhost:{late.getsockname()[1]}"
    silent = [f"https://localhost:{mute.getsockname()[1]}/{number}" for number in range(35)]
    running = agent.start(
        "probe", "--log-format=json", f"--dir={agent.dir}", configuration(tmp_path / "conf", [slow, *silent])
    )
    time.sleep(0.5)
    for filler in fillers:
        filler.close()
    server = authority.issue("localhost", names=["localhost"])
    kind = with_options(Python, listen=lambda *_: late)
    up(kind(tmp_path / "late", server, authority.pem))
    result = running.finish()
    mute.close()
    results = {event["endpoint"]: event["result"] for event in result.all("handshake")}
    assert results == {slow: "accepted", **dict.fromkeys(silent, "unreachable")}
    assert {event.get("reason") for event in result.all("handshake")} == {
        None,
        "timed out in the TLS handshake: the connection was taken, and no byte came",
    }


def test_a_thousand_endpoints(agent, put, good, tmp_path, holes, inside):
    """A hundred of them never answer: the others are not held up, and memory stays in bounds."""
    agent.fetch(put(good)).succeeded("installed")
    endpoints = [f"https://localhost:{inside.port}/health?{number}" for number in range(ENDPOINTS)]
    for number in range(HOLES):
        endpoints.insert(number * 10, f"localhost@10.99.{number}.2:443")
    result = agent.probe(
        [], configuration(tmp_path / "conf", endpoints), "--json", deadline="80s", prefix=holes.enter
    )
    assert result.status == 76, result.stderr[-2000:]
    found = json.loads(result.stdout)
    assert Counter(each["result"] for each in found) == {"accepted": ENDPOINTS, "unreachable": HOLES}
    assert {each["endpoint"] for each in found} == set(endpoints)
    silent = [each for each in found if each["result"] == "unreachable"]
    assert {each["reason"] for each in silent} == {"timed out in the TCP connection"}
    assert result.event("finished")["locked_bytes"] <= LOCKED_MAX
