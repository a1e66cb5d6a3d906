# SPDX-License-Identifier: Apache-2.0
"""
Names. In a network of its own the agent stands beside glibc's `getent ahosts` with the same files and servers:
what that finds the agent finds, and goes there.
"""

import subprocess
import time

import pytest

from servers.enclave import KINDS
from servers.names import AAAA, CNAME, RCODE, NameServer, address, encode, record
from servers.namespace import Namespace
from servers.proxy import FaultProxy

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls/host-AbCdEf"
V4, V6, PORT = "10.77.0.1", "fd77::1", 8443
FIRST, SECOND, NOBODY = "127.0.1.1", "127.0.1.2", "127.0.1.9"
GOOD = {"A": V4, "AAAA": V6}


@pytest.fixture
def place(tmp_path, up):
    """A host with an IPv4 and an IPv6 address."""
    return up(Namespace(tmp_path / "network", addresses=[f"{V4}/32", f"{V6}/128"]))


@pytest.fixture
def place_without_ipv6(tmp_path, up):
    network = up(Namespace(tmp_path / "network", addresses=[f"{V4}/32"]))
    off = "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6"
    subprocess.run([*network.enter, "sh", "-c", off], check=True)
    return network


@pytest.fixture(scope="module")
def server(tmp_path_factory, authority):
    names = ["enclave", "enclave.test", "deep.enclave.test", "under_score.test", "aws.test"]
    running = KINDS["nginx"](
        tmp_path_factory.mktemp("names-enclave"), authority.issue("enclave", names=names), authority.pem
    )
    yield running
    running.stop()


@pytest.fixture
def installed(agent, put, good):
    agent.fetch(put(good)).succeeded("installed")
    return agent


class Etc:
    """An /etc of the test's own, for whoever is started with enter."""

    def __init__(self, directory, network, resolv, hosts=""):
        directory.mkdir()
        (directory / "resolv.conf").write_text(resolv)
        (directory / "hosts").write_text(hosts)
        (directory / "nsswitch.conf").write_text("hosts: files dns\n")
        mount = f'mount --bind {directory} /etc && exec "$@"'
        self.enter = [*network.enter, "unshare", "--mount", "sh", "-c", mount, "sh"]


# ---- what servers say: of each kind of question what is answered


def zone(names, lacking="NXDOMAIN"):
    """names: of each name what is said to A and to AAAA. Of others: lacking."""

    def say(query):
        what = names.get(query.name.lower(), {}).get(query.kind, "nothing" if query.name in names else lacking)
        if callable(what):
            return what(query)
        if what == "silent":
            return None
        if what == "nothing":
            return query.answer()
        if what in RCODE:
            return query.answer(rcode=RCODE[what])
        return query.answer([address(query.name, what)])

    return say


def lost_once(text):
    """The first packet of each socket is lost, for each kind of question."""
    seen = set()

    def say(query):
        key = (query.sender, query.kind)
        if key in seen:
            return query.answer([address(query.name, text)])
        seen.add(key)
        return None

    return say


def late(text, seconds):
    def say(query):
        time.sleep(seconds)
        return query.answer([address(query.name, text)])

    return say


def cut(text):
    """Many addresses, which are whole over TCP alone."""

    def say(query):
        if not query.stream:
            return query.answer(flags=0x8380)
        more = [f"10.78.{n // 256}.{n % 256}" for n in range(150)] if query.kind == "A" else []
        return query.answer([address(query.name, each) for each in (text, *more)])

    return say


def alias(text, count=8, pointing=True):
    def say(query):
        chain = [query.name, *(f"alias-{n}.test" for n in range(count))]
        links = [record(owner, CNAME, encode(to)) for owner, to in zip(chain, chain[1:])]
        return query.answer([*links, *([address(chain[-1], text)] if pointing else [])])

    return say


def referral(query):
    return query.answer(flags=0x8000)


def repeated(query):
    return [query.answer(rcode=2)] * 5


def liars(text):
    """Before the right answer some that are not to this question."""

    def say(query):
        wrong = [address(query.name, "10.66.6.6" if query.kind == "A" else "fd66::6")]
        other = encode("other.test") + query.question[-4:]
        return [
            query.answer(wrong, identity=bytes([query.packet[0] ^ 1, query.packet[1]])),
            query.answer(wrong, question=other),
            query.answer(wrong, flags=0x0100),
            b"",
            b"\0" * 11,
            query.answer([address("other.test", "10.66.6.6"), address(query.name, text)]),
        ]

    return say


SINGLE = f"nameserver {FIRST}\n"
BOTH = f"nameserver {FIRST}\nnameserver {SECOND}\n"
EKS = "search ns.svc.test svc.test corp.test\noptions ndots:5\n" + SINGLE
WAYS = ("SERVFAIL", "NXDOMAIN", "REFUSED", "NOTIMP", "FORMERR", "nothing", "silent")


def one(a, aaaa):
    return zone({"enclave.test": {"A": a, "AAAA": aaaa}})


def searched(way):
    """A domain under which every question fails, beside a good absolute name."""
    return zone({"enclave.test": GOOD}, lacking=way)


# NAME: (the name, resolv.conf, what FIRST says, what SECOND says or None, hosts)
ROWS = {
    "both": ("enclave.test", SINGLE, one(V4, V6), None, ""),
    **{f"A, AAAA {way}": ("enclave.test", SINGLE, one(V4, way), None, "") for way in WAYS},
    **{f"AAAA, A {way}": ("enclave.test", SINGLE, one(way, V6), None, "") for way in WAYS},
    **{
        f"ndots:5, the domains {way}": ("enclave.test", EKS, searched(way), None, "")
        for way in ("SERVFAIL", "NXDOMAIN", "REFUSED", "nothing", "silent")
    },
    "found in the second domain": (
        "enclave", "search corp.test test\n" + SINGLE, zone({"enclave.test": GOOD}), None, ""),
    "the domain's failure, then the name": (
        "enclave", "search corp.test\n" + SINGLE,
        zone({"enclave": GOOD, "enclave.corp.test": {"A": "SERVFAIL", "AAAA": "SERVFAIL"}}), None, ""),
    "the root as a domain, then a good one": (
        "enclave", "search . test\n" + SINGLE, zone({"enclave.test": GOOD}), None, ""),
    "domain": ("enclave", "search no.test\ndomain test\n" + SINGLE, zone({"enclave.test": GOOD}), None, ""),
    "a faster denial from the second": (
        "enclave.test", BOTH, zone({"enclave.test": {"A": late(V4, 0.5), "AAAA": late(V6, 0.5)}}), zone({}), ""),
    "a denial from the second, after its first second": (
        "enclave.test", BOTH, zone({"enclave.test": {"A": late(V4, 1.7), "AAAA": late(V6, 1.7)}}), zone({}), ""),
    "the first denies, the second would not": ("enclave.test", BOTH, zone({}), one(V4, V6), ""),
    "the first fails": ("enclave.test", BOTH, one("SERVFAIL", "SERVFAIL"), one(V4, V6), ""),
    "the first repeats its failure": (
        "enclave.test", BOTH, one(repeated, repeated),
        zone({"enclave.test": {"A": late(V4, 0.6), "AAAA": late(V6, 0.6)}}), ""),
    "the first refuses": ("enclave.test", BOTH, one("REFUSED", "REFUSED"), one(V4, V6), ""),
    "the first refers": (
        "enclave.test", BOTH, zone({"enclave.test": {"A": referral, "AAAA": referral}}), one(V4, V6), ""),
    "the first is silent": ("enclave.test", BOTH, one("silent", "silent"), one(V4, V6), ""),
    "nobody is at the first": (
        "enclave.test", f"nameserver {NOBODY}\nnameserver {FIRST}\n", one(V4, V6), None, ""),
    "a packet is lost": (
        "enclave.test", SINGLE, zone({"enclave.test": {"A": lost_once(V4), "AAAA": lost_once(V6)}}), None, ""),
    "cut off": (
        "enclave.test", SINGLE, zone({"enclave.test": {"A": cut(V4), "AAAA": cut(V6)}}), None, ""),
    "always by TCP": ("enclave.test", "options use-vc\n" + SINGLE, one(V4, V6), None, ""),
    "aliases": (
        "enclave.test", SINGLE, zone({"enclave.test": {"A": alias(V4), "AAAA": alias(V6)}}), None, ""),
    "an alias of nothing": (
        "enclave.test", SINGLE,
        zone({"enclave.test": {"A": alias(V4, pointing=False), "AAAA": alias(V6, pointing=False)}}), None, ""),
    "answers to other questions": (
        "enclave.test", SINGLE, zone({"enclave.test": {"A": liars(V4), "AAAA": liars(V6)}}), None, ""),
    "hosts": ("enclave.test", SINGLE, zone({}), None, f"{V4} other.test Enclave.TEST # enclave\n"),
    "hosts, with a comment": ("enclave.test", SINGLE, one("NXDOMAIN", "NXDOMAIN"), None, f"{V4} x # enclave.test\n"),
    "a final dot": ("enclave.test.", EKS, zone({"enclave.test": GOOD, "enclave.test.corp.test": GOOD}), None, ""),
    "a name that is not there": ("enclave.test", SINGLE, zone({}), None, ""),
    "no record": ("enclave.test", SINGLE, one("nothing", "nothing"), None, ""),
    "an underscore": ("under_score.test", SINGLE, zone({"under_score.test": GOOD}), None, ""),
    "odd lines": (
        "enclave.test", f"; nameserver {NOBODY}\n#x\n\nnameserver\nnameserver x.y\nnonsense 1\noptions\n"
        f"nameserver\t{FIRST} # the first\noptions timeout:999 ndots:x\n", one(V4, V6), None, ""),
}  # fmt: skip


# glibc takes a short packet for the end, now and then an answer to another question, and asks no more once it has waited
# for an A that never came.
BETTER_THAN_GETENT = {"AAAA, A silent", "answers to other questions"}


def stand_up(up, network, first, second):
    servers = {}
    for at, say in ((FIRST, first), (SECOND, second)):
        if say:
            servers[at] = up(NameServer(network.open("udp", at, 53), say, network.open("tcp", at, 53)))
    return servers


def opened(up, network, server, *addresses):
    for each in addresses:
        up(FaultProxy(server.port, listener=network.open("tcp", each, PORT)))


def beside_getent(installed, etc, name):
    """What getent finds, and the agent's handshake; both at once."""
    getent = subprocess.Popen(
        [*etc.enter, "getent", "ahosts", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    probed = installed.probe(f"{name}:{PORT}", prefix=etc.enter)
    found = {line.split()[0] for line in getent.communicate(timeout=60)[0].splitlines()}
    return found, probed.event("handshake")


@pytest.mark.parametrize("row", ROWS)
def test_as_getent_has_it(installed, place, server, up, tmp_path, row):
    name, resolv, first, second, hosts = ROWS[row]
    opened(up, place, server, V4, V6)
    stand_up(up, place, first, second)
    found, handshake = beside_getent(installed, Etc(tmp_path / "etc", place, resolv, hosts), name)
    if found or row in BETTER_THAN_GETENT:
        assert handshake["result"] == "accepted", (found, handshake)
        right = {V4, V6} if row in BETTER_THAN_GETENT else found
        assert handshake["peer"].rpartition(":")[0].strip("[]") in right
    else:
        assert handshake["result"] == "unreachable" and "was not resolved" in handshake["reason"]


@pytest.mark.parametrize("way", [V6, *WAYS])
def test_without_ipv6(installed, place_without_ipv6, server, up, tmp_path, way):
    opened(up, place_without_ipv6, server, V4)
    servers = stand_up(up, place_without_ipv6, one(V4, way), None)
    etc = Etc(tmp_path / "etc", place_without_ipv6, f"nameserver fd77::53\n{SINGLE}")
    asked = installed.probe(f"enclave.test:{PORT}", prefix=etc.enter).event("handshake")
    assert asked["result"] == "accepted" and asked["peer"] == f"{V4}:{PORT}"
    assert all(kind == "A" for _, kind, _ in servers[FIRST].asked)
    found, _ = beside_getent(installed, etc, "enclave.test")
    assert V4 in found


# ---- what is told where nothing helps

TOLD = {
    "denied": (SINGLE, one("NXDOMAIN", "NXDOMAIN"), f"{FIRST} answered NXDOMAIN"),
    "two things": (SINGLE, one("NXDOMAIN", "SERVFAIL"), f"{FIRST} answered NXDOMAIN for A and SERVFAIL for AAAA"),
    "no address": (SINGLE, one("nothing", "nothing"), f"{FIRST} answered no address"),
    "silence": (SINGLE, one("silent", "silent"), f"{FIRST} answered nothing"),
    "nobody there": (
        f"nameserver {NOBODY}\n{SINGLE}", one("SERVFAIL", "SERVFAIL"),
        f"{NOBODY} answered nothing (it cannot be reached); {FIRST} answered SERVFAIL"),
    "no server": ("", one("silent", "silent"), "/etc/resolv.conf names no server"),
}  # fmt: skip


@pytest.mark.parametrize("case", TOLD)
def test_who_said_what_of_an_enclave(installed, place, up, tmp_path, case):
    resolv, say, told = TOLD[case]
    stand_up(up, place, say, None)
    etc = Etc(tmp_path / "etc", place, resolv)
    reason = installed.probe(f"enclave.test:{PORT}", prefix=etc.enter).event("handshake")["reason"]
    assert reason.startswith("the name was not resolved") and told in reason


def test_who_said_what_of_aws(agent, place, up, tmp_path):
    servers = stand_up(up, place, one("NXDOMAIN", "SERVFAIL"), None)
    etc = Etc(tmp_path / "etc", place, SINGLE)
    result = agent.fetch(
        ARN, env={"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://enclave.test"}, deadline="10s", prefix=etc.enter
    )
    assert f"{FIRST} answered NXDOMAIN for A and SERVFAIL for AAAA" in result.failed(69, "dns_failed")["reason"]
    assert len(result.all("attempt")) < 10
    assert servers[FIRST].asked.count(("enclave.test", "A", False)) < 10


def test_who_said_what_of_a_proxy(agent, place, up, tmp_path):
    stand_up(up, place, one("REFUSED", "REFUSED"), None)
    etc = Etc(tmp_path / "etc", place, SINGLE)
    result = agent.fetch(
        ARN, "--proxy=http://enclave.test.:3128",
        env={"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://aws.test"}, deadline="4s", prefix=etc.enter,
    )  # fmt: skip
    assert f"{FIRST} answered REFUSED" in result.failed(69, "proxy_unreachable")["reason"]


# ---- hostile servers: each ends, and the one beside it is not held up


def endless(query):
    """A stream that never ends, and drips."""
    if not query.stream:
        return query.answer(flags=0x8380)
    time.sleep(20)
    return None


def loop(query):
    """A name that points to itself."""
    return query.answer([b"\xc0" + bytes([12 + len(query.question)]) + b"\0\x05\0\x01\0\0\0\1\0\2\xc0\x0c"])


HOSTILE = {
    "a pointer to itself": loop,
    "more records than there are": lambda query: query.answer([address(query.name, V4)[:-2]], count=65535),
    "a record longer than the message": lambda query: query.answer(
        [encode(query.name) + b"\0\1\0\1\0\0\0\1\xff\xff"]),
    "aliases in a ring": lambda query: query.answer(
        [record(query.name, CNAME, encode("b.test")), record("b.test", CNAME, encode(query.name))] * 20),
    "too many aliases": alias(V4, count=40),
    "an address of the wrong length": lambda query: query.answer([record(query.name, 1, b"\x0a\0\0"),
                                                                  record(query.name, AAAA, b"\xfd\0")]),
    "oversized": lambda query: query.answer([record("x.test", 16, b"\xff" * 255)] * 200),
    "a stream without an end": endless,
    "only other identities": lambda query: [query.answer([address(query.name, V4)], identity=bytes([a, b]))
                                            for a in range(4) for b in range(64) if bytes([a, b]) != query.packet[:2]],
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_server(installed, place, server, up, tmp_path, kind):
    opened(up, place, server, V4)
    good = zone({"enclave.test": GOOD})
    stand_up(up, place, lambda query: HOSTILE[kind](query) if query.name == "bad.test" else good(query), None)
    etc = Etc(tmp_path / "etc", place, SINGLE)
    result = installed.probe([f"bad.test:{PORT}", f"enclave.test:{PORT}"], prefix=etc.enter)
    by_name = {event["endpoint"]: event for event in result.all("handshake")}
    assert by_name[f"enclave.test:{PORT}"]["result"] == "accepted"
    assert by_name[f"bad.test:{PORT}"]["result"] == "unreachable"
    assert "was not resolved" in by_name[f"bad.test:{PORT}"]["reason"]


# ---- a final dot


def test_a_final_dot_is_the_resolvers_alone(installed, place, server, up, tmp_path):
    """The name is asked as it stands, and is neither in the certificate nor in SNI."""
    opened(up, place, server, V4)
    servers = stand_up(up, place, zone({"enclave.test": {"A": V4}}), None)
    etc = Etc(tmp_path / "etc", place, EKS)
    installed.probe(f"https://enclave.test.:{PORT}/health", prefix=etc.enter).succeeded()
    assert {name for name, *_ in servers[FIRST].asked} == {"enclave.test"}


def test_a_final_dot_in_awss_url(agent, aws, place, up, tmp_path, put, good):
    way = up(FaultProxy(aws.port, listener=place.open("tcp", V4)))
    stand_up(up, place, zone({"aws.test": {"A": V4}}), None)
    etc = Etc(tmp_path / "etc", place, EKS)
    agent.fetch(
        put(good), env={"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://aws.test.:{way.port}"}, prefix=etc.enter
    ).succeeded("installed")
