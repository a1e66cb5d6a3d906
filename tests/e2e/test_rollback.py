# SPDX-License-Identifier: Apache-2.0
"""Back to the set before: by hand, and by itself when the enclaves refuse a new one after all."""

import datetime
import os
import shutil
import time

import pytest

from agent import snapshot, wait_for
from servers.enclave import Nginx
from servers.pki import DAY, Authority, document
from servers.process import free_port
from servers.proxy import FaultProxy
from test_hook_run import Hook, metric

EACH_CYCLE = "--log-level=debug"


@pytest.fixture(scope="module")
def second():
    """A CA that the enclave trusts for a while."""
    return Authority("Second-CA")


@pytest.fixture
def rotation(authority, aws, put, good):
    """A secret, and what makes a new version of it."""

    class Rotation:
        arn = put(good)

        def rotate(self, issuer=authority, cn="ECS-Client", trust=authority.pem, **options):
            pair = issuer.issue(cn, **options)
            aws.rotate(self.arn, document(pair, trust))
            return pair

    return Rotation()


def installed(agent):
    return agent.file("client.crt")


def test_by_hand(agent, rotation, pair, enclave):
    agent.fetch(rotation.arn, endpoint=enclave.endpoint).succeeded("installed")
    rotation.rotate()
    second = agent.fetch(rotation.arn, endpoint=enclave.endpoint).succeeded("installed").event("installed")
    back = agent.fetch(rotation.arn, "--rollback", endpoint=enclave.endpoint)
    back.succeeded("rolled_back", "handshake")
    assert back.event("rolled_back")["left"] == second["fingerprint"]
    assert installed(agent) == pair.cert
    agent.probe(enclave.endpoint).succeeded("handshake")


def test_what_was_rolled_back_is_held(serve, agent, rotation, pair):
    """Until another version comes, by run as by fetch."""
    agent.fetch(rotation.arn)
    rotation.rotate()
    agent.fetch(rotation.arn)
    agent.fetch(rotation.arn, "--rollback").succeeded("rolled_back")
    agent.fetch(rotation.arn).succeeded("held_back")
    service = serve(rotation.arn, EACH_CYCLE)
    service.wait("held_back", 3)
    assert service.all("ready") and installed(agent) == pair.cert
    third = rotation.rotate()
    service.wait("installed")
    assert installed(agent) == third.cert
    service.wait("unchanged", 2)
    assert not service.all("error")


def delete_key(agent):
    (agent.dir / "client.key").resolve().unlink()


def open_key(agent):
    (agent.dir / "client.key").resolve().chmod(0o666)


def change_key(agent):
    (agent.dir / "client.key").resolve().write_text("x")


def remove_link(agent):
    (agent.dir / "client.key").unlink()


def remove_set(agent):
    shutil.rmtree((agent.dir / "..data").resolve())


def remove_all(agent):
    (agent.dir / "..data").unlink()


BROKEN = [delete_key, open_key, change_key, remove_link, remove_set, remove_all]


@pytest.mark.parametrize("damage", BROKEN)
def test_held_back_looks_at_what_is_installed(agent, rotation, damage):
    agent.fetch(rotation.arn)
    rotation.rotate()
    agent.fetch(rotation.arn)
    agent.fetch(rotation.arn, "--rollback").succeeded("rolled_back")
    agent.fetch(rotation.arn).succeeded("held_back")
    damage(agent)
    result = agent.fetch(rotation.arn)
    assert result.status in (65, 73, 76) and not result.all("held_back"), result.stderr
    assert "held back" in result.event("error")["reason"]


@pytest.mark.parametrize("damage", BROKEN)
def test_kept_stale_looks_at_what_is_installed(agent, rotation, damage):
    agent.fetch(rotation.arn)
    away = {"env": {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://127.0.0.1:1"}, "deadline": "1s"}
    agent.fetch(rotation.arn, **away).succeeded("kept_stale")
    damage(agent)
    result = agent.fetch(rotation.arn, **away)
    assert result.status in (69, 75) and not result.all("kept_stale"), result.stderr


@pytest.mark.parametrize("damage", BROKEN)
def test_kept_unproven_looks_at_what_is_installed(agent, rotation, damage):
    """The next one is unproven, but whole."""
    agent.fetch(rotation.arn)
    new = rotation.rotate()
    damage(agent)
    result = agent.fetch(rotation.arn, endpoint=f"localhost:{free_port()}")
    assert result.status == 0 and not result.all("kept_unproven"), result.stderr
    assert installed(agent) == new.cert


def test_held_back_with_an_expired_identity(agent, rotation):
    soon = rotation.rotate(lifetime=(-DAY, datetime.timedelta(seconds=6)))
    agent.fetch(rotation.arn)
    rotation.rotate()
    agent.fetch(rotation.arn)
    agent.fetch(rotation.arn, "--rollback").succeeded("rolled_back")
    wait_for(lambda: datetime.datetime.now(datetime.timezone.utc) > soon.certificate.not_valid_after_utc)
    wait_for(lambda: agent.fetch(rotation.arn).status == 65)


def test_no_longer_than_until_then(agent, aws, rotation):
    """The label may come back to what was rolled back once."""
    agent.fetch(rotation.arn)
    second = rotation.rotate()
    version = agent.fetch(rotation.arn).event("secret")["version_id"]
    agent.fetch(rotation.arn, "--rollback").succeeded("rolled_back")
    rotation.rotate()
    third = agent.fetch(rotation.arn).succeeded("installed").event("secret")["version_id"]
    aws.secrets.update_secret_version_stage(
        SecretId=rotation.arn, VersionStage="AWSCURRENT", MoveToVersionId=version, RemoveFromVersionId=third
    )
    agent.fetch(rotation.arn).succeeded("installed")
    assert installed(agent) == second.cert


def test_the_very_version_is_not_held(agent, rotation):
    agent.fetch(rotation.arn)
    second = rotation.rotate()
    version = agent.fetch(rotation.arn).event("secret")["version_id"]
    agent.fetch(rotation.arn, "--rollback").succeeded("rolled_back")
    agent.fetch(rotation.arn, f"--version-id={version}").succeeded("installed")
    assert installed(agent) == second.cert


def test_beside_a_run(serve, agent, rotation, pair, tmp_path):
    """It holds the version back too, and tells the hook of the set that it finds."""
    hook = Hook(tmp_path)
    service = serve(rotation.arn, EACH_CYCLE, hook.option)
    service.wait("hook_done")
    rotation.rotate()
    service.wait("hook_done", 2)
    service.more("unchanged")
    agent.fetch(rotation.arn, "--rollback").succeeded("rolled_back")
    service.wait("held_back", 2)
    service.wait("hook_done", 3)
    assert installed(agent) == pair.cert
    assert [told["FINGERPRINT"] for told in hook.told[::2]] == [hook.told[0]["FINGERPRINT"]] * 2


def test_by_hand_the_hook_is_told(agent, rotation, tmp_path):
    hook = Hook(tmp_path)
    agent.fetch(rotation.arn, hook.option)
    rotation.rotate()
    agent.fetch(rotation.arn, hook.option)
    agent.fetch(rotation.arn, "--rollback", hook.option).succeeded("rolled_back", "hook_done")
    assert hook.told[2]["FINGERPRINT"] == hook.told[0]["FINGERPRINT"]


def refused_as_none(agent, arn, *arguments):
    before = snapshot(agent.dir)
    error = agent.fetch(arn, "--rollback", *arguments).failed(73, "no_previous")
    assert snapshot(agent.dir) == before
    return error


def test_no_set_before(agent, rotation):
    agent.fetch(rotation.arn)
    refused_as_none(agent, rotation.arn)


def test_only_one_step(agent, rotation):
    agent.fetch(rotation.arn)
    for _ in range(2):
        rotation.rotate()
        agent.fetch(rotation.arn)
    agent.fetch(rotation.arn, "--rollback").succeeded("rolled_back")
    refused_as_none(agent, rotation.arn)


def test_an_expired_set_before(agent, rotation):
    soon = rotation.rotate(lifetime=(-DAY, datetime.timedelta(seconds=4)))
    agent.fetch(rotation.arn).succeeded("installed")
    rotation.rotate()
    agent.fetch(rotation.arn).succeeded("installed")
    wait_for(lambda: datetime.datetime.now(datetime.timezone.utc) > soon.certificate.not_valid_after_utc)
    assert "expired" in refused_as_none(agent, rotation.arn)["reason"]


def test_a_damaged_set_before(agent, rotation):
    agent.fetch(rotation.arn)
    before = (agent.dir / "..data").resolve()
    rotation.rotate()
    agent.fetch(rotation.arn)
    (before / "client.key").write_text((agent.dir / "client.key").read_text())
    refused_as_none(agent, rotation.arn)


def test_by_hand_not_to_what_the_enclave_refuses(agent, rotation, authority, second, enclave):
    rotation.rotate(second, trust=authority.pem + second.pem)
    agent.fetch(rotation.arn).succeeded("installed")
    rotation.rotate()
    agent.fetch(rotation.arn, endpoint=enclave.endpoint).succeeded("installed")
    before = snapshot((agent.dir / "..data").resolve())
    agent.fetch(rotation.arn, "--rollback", endpoint=enclave.endpoint).failed(76, "enclave_refused")
    assert snapshot((agent.dir / "..data").resolve()) == before


class Fickle(Nginx):
    """Whom it lets in can be changed."""

    def only_13(self):
        port = self.port
        self.stop()
        self.tls13_only = True
        self.start(port)

    def trust(self, *authorities):
        port = self.port
        self.stop()
        self.ca_path.write_text("".join(each.pem for each in authorities))
        self.start(port)


@pytest.fixture
def fickle(tmp_path, authority, second, up):
    server = authority.issue("localhost", names=["localhost"])
    return up(Fickle(tmp_path / "enclave", server, authority.pem + second.pem))


@pytest.fixture
def turned(serve, agent, rotation, authority, second, fickle, tmp_path):
    """run with a new set that the enclave accepted, and then refuses; what options there are."""

    def start(*options, interval="400ms", tls13_only=False):
        if tls13_only:
            fickle.only_13()
        service = serve(
            rotation.arn,
            EACH_CYCLE,
            *options,
            endpoint=fickle.endpoint,
            interval=interval,
            probe_interval="200ms",
        )
        service.wait("ready")
        new = rotation.rotate(second, trust=authority.pem + second.pem)
        service.wait("installed", 2)
        assert installed(agent) == new.cert
        service.more("handshake", result="accepted")
        fickle.trust(authority)
        return service, new

    return start


def test_no_descriptor_is_lost_on_the_way_back(turned, agent, rotation, authority, second, fickle):
    """Nor locked memory: as much after many as after the first two."""
    service, _ = turned("--rollback-on-failure")

    def held():
        """While it does nothing it has the fewest."""
        counts = []
        for _ in range(100):
            counts.append(len(os.listdir(f"/proc/{service.pid}/fd")))
            time.sleep(0.002)
        return min(counts), agent.status()["memory"]["locked_bytes"]

    for number in range(1, 9):
        service.wait("rolled_back", number)
        service.more("handshake", 2, result="accepted")
        if number == 2:
            before = held()
        # Before it is trusted: the one that was held back might be taken again, and be the one to go back to.
        new = rotation.rotate(second, trust=authority.pem + second.pem)
        fickle.trust(authority, second)
        wait_for(lambda: installed(agent) == new.cert)
        service.more("handshake", result="accepted")
        fickle.trust(authority)
    service.wait("rolled_back", 9)
    service.more("handshake", 2, result="accepted")
    after = held()
    assert after[0] <= before[0] and after[1] <= before[1]


def test_by_itself(turned, agent, rotation, pair, authority, second, fickle, tmp_path):
    """The hook is told, it is counted, and the version is not tried again while the set before serves."""
    hook, metrics = Hook(tmp_path), tmp_path / "metrics"
    service, new = turned("--rollback-on-failure", hook.option, f"--metrics-file={metrics}")
    back = service.wait("rolled_back")
    assert installed(agent) == pair.cert and back["level"] == "warning"
    service.wait("hook_done", 3)
    assert hook.told[2]["EVENT"] == "rolled_back"
    assert hook.told[2]["FINGERPRINT"] == hook.told[0]["FINGERPRINT"] == back["fingerprint"]
    service.more("handshake", 3, result="accepted")
    service.wait("held_back", 2)
    assert len(service.all("rolled_back")) == 1 and len(hook.told) == 3
    wait_for(lambda: metric(metrics, f'mtls_agent_rollbacks_total{{set="{agent.dir}"}}') == 1)
    third = rotation.rotate()
    service.wait("installed", 3)
    assert installed(agent) == third.cert


def test_by_itself_not_at_the_first_refusal(turned, agent, authority, second, fickle):
    """Refused for less than the time that it takes: a fault, or somebody on the way for a moment."""
    service, new = turned("--rollback-on-failure", interval="5s")
    service.wait("rollback_considered", refused=1)
    service.more("handshake", 3, result="refused")
    fickle.trust(authority, second)
    service.more("handshake", 3, result="accepted")
    assert not service.all("rolled_back") and installed(agent) == new.cert


def test_by_itself_after_three(turned, agent, pair):
    service, new = turned("--rollback-on-failure", interval="2s")
    service.wait("rolled_back")
    assert [event["refused"] for event in service.all("rollback_considered")] == [1, 2]
    assert installed(agent) == pair.cert


class Forger(FaultProxy):
    """Somebody on the way who says unknown_ca in plain text in the server's place."""

    def _fail(self, client):
        client.sendall(b"\x15\x03\x03\x00\x02\x02\x30")
        super()._fail(client)


@pytest.mark.parametrize("kind", [Forger, FaultProxy])
def test_by_itself_not_by_somebody_on_the_way(serve, agent, rotation, authority, up, tmp_path, kind):
    """In 1.3 he stands behind the server's Finished, and has no keys; a close is a doubt, which anybody can raise."""
    server = authority.issue("localhost", names=["localhost"])
    enclave = up(Nginx(tmp_path / "enclave", server, authority.pem, tls13_only=True))
    relay = up(kind(enclave.port, None, "close"))
    service = serve(
        rotation.arn,
        EACH_CYCLE,
        "--rollback-on-failure=authenticated",
        endpoint=f"localhost:{relay.port}",
        interval="400ms",
        probe_interval="200ms",
    )
    service.wait("ready")
    new = rotation.rotate()
    service.wait("installed", 2)
    service.more("handshake", result="accepted")
    asked = len(service.all("handshake"))
    relay.stage = "request"  # in 1.3 that is the client's own flight
    wait_for(lambda: len(service.all("handshake")) > asked + 8)
    assert not service.all("rollback_considered") and installed(agent) == new.cert


def test_by_itself_where_the_refusal_is_authenticated(turned, agent, pair):
    """A real one of TLS 1.3."""
    service, _ = turned("--rollback-on-failure=authenticated", interval="2s", tls13_only=True)
    service.wait("rolled_back")
    assert installed(agent) == pair.cert


def test_a_hook_that_failed_for_what_is_gone_is_told_of_what_is_back(agent, rotation, pair, tmp_path):
    """It may have turned the application before it failed."""
    hook = Hook(tmp_path)
    agent.fetch(rotation.arn, hook.option).succeeded("hook_done")
    rotation.rotate()
    hook.fail_by("false")
    agent.fetch(rotation.arn, hook.option).failed(74, "hook_failed")
    hook.recover()
    agent.fetch(rotation.arn, "--rollback", hook.option).succeeded("rolled_back", "hook_done")
    assert hook.told[-1]["FINGERPRINT"] == hook.told[0]["FINGERPRINT"] and installed(agent) == pair.cert


def test_what_was_rolled_back_by_itself_is_tried_again(turned, agent, pair, authority, second, fickle):
    """While the set before serves: rehearsed, and then it goes forward."""
    service, new = turned("--rollback-on-failure")
    service.wait("rolled_back")
    service.wait("still_refused", seconds=40)
    service.more("held_back")
    assert installed(agent) == pair.cert and not service.all("error")
    fickle.trust(authority, second)
    service.wait("installed", 3, seconds=60)
    assert installed(agent) == new.cert and service.all("tried_again")


def test_nor_by_fetch_more_often_than_each_hour(serve, turned, agent, rotation, pair, authority, second, fickle):
    service, new = turned("--rollback-on-failure")
    service.wait("rolled_back")
    service.stop()
    fickle.trust(authority, second)
    agent.fetch(rotation.arn, endpoint=fickle.endpoint).succeeded("held_back")
    assert installed(agent) == pair.cert
    wait_for(
        lambda: agent.fetch(rotation.arn, "--interval=100ms", endpoint=fickle.endpoint).succeeded().all("installed")
    )
    assert installed(agent) == new.cert


def test_a_forbidden_version(agent, aws, rotation, pair, enclave):
    """Neither back to it nor forward to it: its key may be the stolen one."""
    old = agent.fetch(rotation.arn).event("secret")["version_id"]
    second = rotation.rotate()
    agent.fetch(rotation.arn, f"--forbid-version={old}").succeeded("installed")
    assert old in refused_as_none(agent, rotation.arn, f"--forbid-version={old}")["reason"]
    new = agent.fetch(rotation.arn, f"--forbid-version={old}").succeeded("unchanged").event("version")["version_id"]
    aws.secrets.update_secret_version_stage(
        SecretId=rotation.arn, VersionStage="AWSCURRENT", MoveToVersionId=old, RemoveFromVersionId=new
    )
    error = agent.fetch(rotation.arn, f"--forbid-version={old}").failed(65, "identity_unexpected")
    assert old in error["reason"] and installed(agent) == second.cert


def test_a_forbidden_version_is_not_kept(agent, rotation):
    old = agent.fetch(rotation.arn).event("secret")["version_id"]
    away = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://127.0.0.1:1"}
    options = {"env": away, "deadline": "2s"}
    agent.fetch(rotation.arn, **options).succeeded("kept_stale")
    assert agent.fetch(rotation.arn, f"--forbid-version={old}", **options).status in (69, 75)


@pytest.mark.parametrize("option", ("--rehearse=off", "--rehearse=refuse"))
def test_what_was_rolled_back_stays_back_while_nobody_can_be_asked(turned, agent, pair, second, fickle, option):
    """An enclave that restarts must not bring back what it refuses."""
    service, new = turned("--rollback-on-failure", option)
    service.wait("rolled_back")
    service.wait("held_back", 2)
    fickle.stop()
    service.more("handshake", 5, result="unreachable")
    cycles = len(service.all("still_refused")) + len(service.all("kept_unproven"))
    wait_for(lambda: len(service.all("still_refused")) + len(service.all("kept_unproven")) >= cycles + 3, 60)
    assert installed(agent) == pair.cert != new.cert


def test_by_itself_only_once_for_a_version(turned, agent, pair, authority, second, fickle):
    """The enclave comes back to it, so that it is installed again; then it stays, come what may."""
    service, new = turned("--rollback-on-failure")
    service.wait("rolled_back")
    fickle.trust(second)
    service.wait("installed", 3)
    assert installed(agent) == new.cert
    fickle.trust(authority)
    service.wait("not_rolled_back")
    service.more("handshake", 2)
    assert len(service.all("rolled_back")) == 1 and installed(agent) == new.cert


def test_by_itself_not_to_what_is_refused_too(turned, agent, fickle, stranger, monkeypatch):
    """An enclave that lets in nobody any more."""
    trust = fickle.trust
    monkeypatch.setattr(fickle, "trust", lambda *_: trust(stranger))
    service, new = turned("--rollback-on-failure")
    service.wait("not_rolled_back", count=2)
    assert not service.all("rolled_back") and installed(agent) == new.cert


def test_by_itself_not_to_an_expired_set(serve, agent, rotation, authority, second, fickle):
    soon = rotation.rotate(lifetime=(-DAY, datetime.timedelta(seconds=6)))
    options = {"endpoint": fickle.endpoint, "probe_interval": "200ms"}
    service = serve(rotation.arn, EACH_CYCLE, "--rollback-on-failure", **options)
    service.wait("ready")
    new = rotation.rotate(second, trust=authority.pem + second.pem)
    service.wait("installed", 2)
    wait_for(lambda: datetime.datetime.now(datetime.timezone.utc) > soon.certificate.not_valid_after_utc)
    fickle.trust(authority)
    service.wait("not_rolled_back")
    assert installed(agent) == new.cert and not service.all("rolled_back")


def test_by_default_not_by_itself(turned, agent):
    service, new = turned()
    service.more("handshake", 5, result="refused")
    service.more("unchanged", 2)
    assert not service.all("rolled_back") and not service.all("not_rolled_back")
    assert installed(agent) == new.cert


def test_unreachable_is_no_refusal(serve, agent, rotation, fickle):
    """A dead enclave says nothing about a set."""
    options = {"endpoint": fickle.endpoint, "probe_interval": "200ms"}
    service = serve(rotation.arn, EACH_CYCLE, "--rollback-on-failure", **options)
    service.wait("ready")
    new = rotation.rotate()
    service.wait("installed", 2)
    fickle.stop()
    service.wait("handshake", 4, result="unreachable")
    assert not service.all("rolled_back") and installed(agent) == new.cert
