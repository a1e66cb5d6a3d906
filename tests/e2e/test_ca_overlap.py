# SPDX-License-Identifier: Apache-2.0
"""--ca-overlap: while a CA is replaced, ca.crt holds the old one for a while."""

import datetime
import json
import os
import re
import time

import pytest
from cryptography import x509

from agent import snapshot, wait_for
from servers.enclave import Nginx
from servers.pki import DAY, Authority, document
from servers.process import free_port

HOUR = "--ca-overlap=1h"


@pytest.fixture(scope="module")
def old():
    return Authority("Old-CA")


@pytest.fixture(scope="module")
def new():
    return Authority("New-CA")


@pytest.fixture
def rotated(aws, agent, put, old, new):
    """The old CA's identity is installed, the new CA's is in the secret; the ARN."""
    arn = put(document(old.issue("ECS-Client"), old.pem))
    agent.fetch(arn, HOUR).succeeded("installed")
    aws.rotate(arn, document(new.issue("ECS-Client"), new.pem))
    return arn


def overlaps(agent):
    return re.findall(r"^overlap ([0-9a-f]{64}) (\d+)$", (agent.dir / "..data/manifest").read_text(), re.M)


def test_off_by_default(agent, rotated, new):
    agent.fetch(rotated).succeeded("installed")
    assert agent.file("ca.crt") == new.pem and not overlaps(agent)


def test_old_anchors_are_kept_beside_the_new(agent, rotated, old, new):
    event = agent.fetch(rotated, HOUR).succeeded("installed", "ca_overlap").event("ca_overlap")
    assert agent.file("ca.crt") == new.pem + old.pem
    ((digest, until),) = overlaps(agent)
    assert event["fingerprint"] == digest
    assert 3590 <= int(until) - time.time() <= 3600
    before = snapshot(agent.dir)
    assert not agent.fetch(rotated, HOUR).succeeded("unchanged").all("ca_overlap")
    assert snapshot(agent.dir) == before


def test_an_enclave_of_either_ca_is_trusted(agent, tmp_path, rotated, old, new, up):
    """The rehearsal trusts what will be installed."""
    servers = {
        name: up(Nginx(tmp_path / name, ca.issue("localhost", names=["localhost"]), old.pem + new.pem))
        for name, ca in (("old", old), ("new", new))
    }
    endpoints = [server.endpoint for server in servers.values()]
    agent.fetch(rotated, endpoint=servers["old"].endpoint).failed(76, "enclave_untrusted")
    agent.fetch(rotated, HOUR, "--rehearse=require", endpoint=endpoints).succeeded("installed")
    agent.probe(endpoints).succeeded()


def test_it_ends_though_the_version_is_the_same(agent, rotated, old, new):
    agent.fetch(rotated, "--ca-overlap=2s").succeeded("installed")
    assert old.pem in agent.file("ca.crt")
    time.sleep(2.1)
    agent.fetch(rotated, "--ca-overlap=2s").succeeded("ca_overlap_ended")
    assert agent.file("ca.crt") == new.pem and not overlaps(agent)
    agent.fetch(rotated, "--ca-overlap=2s").succeeded("unchanged")


def test_it_ends_while_no_endpoint_can_be_reached(agent, rotated, old, new):
    agent.fetch(rotated, "--ca-overlap=2s").succeeded("installed")
    time.sleep(2.1)
    nowhere = f"localhost:{free_port()}"
    agent.fetch(rotated, "--ca-overlap=2s", endpoint=nowhere).succeeded("unproven", "ca_overlap_ended")
    assert agent.file("ca.crt") == new.pem


def test_it_does_not_end_where_the_enclave_is_not_ready(agent, tmp_path, rotated, old, new, up):
    """Like any other set that the enclave would not work with."""
    server = up(Nginx(tmp_path / "late", old.issue("localhost", names=["localhost"]), old.pem + new.pem))
    agent.fetch(rotated, "--ca-overlap=2s", endpoint=server.endpoint).succeeded("installed")
    time.sleep(2.1)
    agent.fetch(rotated, "--ca-overlap=2s", endpoint=server.endpoint).failed(76, "enclave_untrusted")
    assert old.pem in agent.file("ca.crt")


def test_turning_it_off_ends_it(agent, rotated, new):
    agent.fetch(rotated, HOUR).succeeded("installed")
    agent.fetch(rotated).succeeded("ca_overlap_ended")
    assert agent.file("ca.crt") == new.pem


def test_a_new_leaf_does_not_prolong_it(agent, aws, rotated, new):
    agent.fetch(rotated, HOUR).succeeded("installed")
    before = overlaps(agent)
    time.sleep(1.1)
    aws.rotate(rotated, document(new.issue("ECS-Client"), new.pem))
    agent.fetch(rotated, HOUR).succeeded("installed")
    assert overlaps(agent) == before


def test_a_shorter_time_holds_at_once(agent, rotated):
    agent.fetch(rotated, HOUR).succeeded("installed")
    agent.fetch(rotated, "--ca-overlap=10m").succeeded("healed")
    ((_, until),) = overlaps(agent)
    assert int(until) - time.time() <= 600


def test_an_old_anchor_that_comes_back_is_one_of_its_own(agent, aws, rotated, old, new):
    agent.fetch(rotated, HOUR).succeeded("installed")
    aws.rotate(rotated, document(new.issue("ECS-Client"), old.pem + new.pem))
    agent.fetch(rotated, HOUR).succeeded("installed")
    assert agent.file("ca.crt") == old.pem + new.pem and not overlaps(agent)


def test_several_anchors(agent, aws, put, old, new):
    others = [Authority(f"Other-{number}") for number in range(3)]
    arn = put(document(old.issue("ECS-Client"), old.pem + "".join(each.pem for each in others)))
    agent.fetch(arn, HOUR).succeeded("installed")
    aws.rotate(arn, document(new.issue("ECS-Client"), new.pem + others[1].pem))
    agent.fetch(arn, HOUR).succeeded("installed")
    assert agent.file("ca.crt") == new.pem + others[1].pem + old.pem + others[0].pem + others[2].pem
    assert len(overlaps(agent)) == 3


def test_nothing_is_kept_of_another_secret(agent, put, old, new):
    """Its CA may be another environment's."""
    agent.fetch(put(document(old.issue("ECS-Client"), old.pem)), HOUR).succeeded("installed")
    agent.fetch(put(document(new.issue("ECS-Client"), new.pem)), HOUR).succeeded("installed")
    assert agent.file("ca.crt") == new.pem and not overlaps(agent)


def in_the_set(agent, name):
    return agent.dir / os.readlink(agent.dir / "..data") / name


@pytest.mark.parametrize("name", ["client.key", "client.crt"])
def test_what_is_wrong_with_the_rest_loses_nothing(agent, rotated, old, new, name):
    in_the_set(agent, name).unlink()
    os.mkfifo(in_the_set(agent, name))
    result = agent.fetch(rotated, HOUR)
    assert result.status == 0 and result.event("ca_overlap") and not result.all("ca_overlap_lost"), result.stderr
    assert agent.file("ca.crt") == new.pem + old.pem


DAMAGES = {
    "no file": lambda path: (path.unlink(), os.mkfifo(path)),
    "gone": lambda path: path.unlink(),
    "damaged": lambda path: path.write_text(path.read_text().replace("MII", "MIJ")),
    "no PEM": lambda path: path.write_text(path.read_text().replace("-----END", "-----DNE")),
    "no manifest": lambda path: path.with_name("manifest").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_cannot_be_kept_is_told_of(agent, rotated, new, damage):
    """Enclaves that still show certificates of the old CA will not be trusted."""
    DAMAGES[damage](in_the_set(agent, "ca.crt"))
    result = agent.fetch(rotated, HOUR)
    assert result.status == 0 and result.event("ca_overlap_lost")["level"] == "warning", result.stderr
    assert agent.file("ca.crt") == new.pem and not overlaps(agent)
    assert not agent.fetch(rotated, HOUR).succeeded("unchanged").all("ca_overlap_lost")


def test_where_nothing_is_installed_nothing_is_lost(agent, put, old):
    result = agent.fetch(put(document(old.issue("ECS-Client"), old.pem)), HOUR).succeeded("installed")
    assert not result.all("ca_overlap_lost")


def test_inspect_tells_them_apart(agent, rotated):
    agent.fetch(rotated, HOUR).succeeded("installed")
    result = agent.run("inspect", "--json", f"--dir={agent.dir}", "--expires-within=30d")
    (inspected,) = json.loads(result.stdout)
    anchors = {
        each["subject"]: "kept_until" in each
        for each in inspected["certificates"]
        if each["field"] == "ca_cert"
    }
    assert result.status == 0 and anchors == {"CN=New-CA": False, "CN=Old-CA": True}


def test_no_anchor_outlives_itself(agent, aws, put, old, new):
    ended = Authority("Ended", lifetime=(-2 * DAY, -DAY))
    ending = Authority("Ending", lifetime=(-DAY, datetime.timedelta(minutes=10)))
    arn = put(document(old.issue("ECS-Client"), old.pem + ended.pem + ending.pem))
    agent.fetch(arn, HOUR).succeeded("installed")
    aws.rotate(arn, document(new.issue("ECS-Client"), new.pem + old.pem))
    agent.fetch(arn, HOUR).succeeded("installed")
    assert agent.file("ca.crt") == new.pem + old.pem + ending.pem
    ((_, until),) = overlaps(agent)
    assert 590 <= int(until) - time.time() <= 600


def fat(number):
    """A CA whose certificate takes 3.5 KiB as PEM."""
    names = [x509.DNSName(f"{number}-{each}.{'.'.join(['x' * 60] * 4)}"[:250]) for each in range(9)]
    return Authority(f"Fat-{number}", more=(x509.NameConstraints(None, names),))


def test_as_large_as_it_gets(agent, aws, put, old, new):
    """What is written is read: more than any one secret holds."""
    first, second = ([fat(number + each) for each in range(14)] for number in (0, 100))
    pems = ["".join(each.pem for each in some) for some in (first, second)]
    arn = put(document(old.issue("ECS-Client"), old.pem + pems[0]))
    agent.fetch(arn, HOUR).succeeded("installed")
    aws.rotate(arn, document(new.issue("ECS-Client"), new.pem + pems[1]))
    agent.fetch(arn, HOUR).succeeded("installed")
    whole = agent.file("ca.crt")
    assert len(whole) > 80 * 1024 and whole == new.pem + pems[1] + old.pem + pems[0]
    agent.fetch(arn, HOUR).succeeded("unchanged")
    assert agent.run("inspect", f"--dir={agent.dir}").status == 0
    leaf = new.issue("ECS-Client")
    aws.rotate(arn, document(leaf, new.pem + pems[1]))
    agent.fetch(arn, HOUR).succeeded("installed")
    assert agent.file("ca.crt") == whole and agent.file("client.crt") == leaf.cert
    agent.fetch(arn, HOUR, "--rollback").succeeded("rolled_back")


def test_while_it_lasts_nothing_is_read_nor_rehearsed(agent, aws, serve, rotated, old, tmp_path, up):
    """No more than without it: DescribeSecret tells that nothing has changed."""
    enclave = up(Nginx(tmp_path / "enclave", old.issue("localhost", names=["localhost"]), old.pem))
    agent.fetch(rotated, HOUR).succeeded("installed")
    whole = agent.file("ca.crt")
    aws.asked.clear()
    service = serve(rotated, HOUR, "--log-level=debug", endpoint=enclave.endpoint, probe_interval="0s")
    service.wait("unchanged", 4)
    targets = {request.headers["X-Amz-Target"] for request in aws.asked}
    assert targets == {"secretsmanager.DescribeSecret"} and not service.all("rehearsal")
    assert agent.file("ca.crt") == whole and len(overlaps(agent)) == 1


@pytest.mark.parametrize("change", ["end", "combined"])
def test_the_way_back_stays(agent, rotated, old, new, change):
    """What is of the same version is no set to go back to."""
    agent.fetch(rotated, HOUR).succeeded("installed")
    if change == "end":
        agent.fetch(rotated).succeeded("ca_overlap_ended")
    else:
        agent.fetch(rotated, HOUR, "--combined").succeeded("healed")
    agent.fetch(rotated, "--rollback").succeeded("rolled_back")
    assert agent.file("ca.crt") == old.pem


def test_an_anchor_that_is_kept_for_a_while_rings_no_alarm(agent, serve, aws, put, new):
    ending = Authority("Ending", lifetime=(-DAY, DAY))
    arn = put(document(new.issue("ECS-Client"), new.pem + ending.pem))
    agent.fetch(arn, HOUR).succeeded("installed")
    aws.rotate(arn, document(new.issue("ECS-Client"), new.pem))
    service = serve(arn, HOUR)
    service.wait("ca_overlap")
    service.wait("ready")
    healthy = agent.run("healthcheck", f"--dir={agent.dir}", "--expires-within=30d")
    assert healthy.stdout == "healthy\n" and ending.pem in agent.file("ca.crt")
    service.wait("installed")
    end = f"{new.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    wait_for(lambda: agent.status()["sets"][0]["installed"]["ca_not_after"] == end)
