# SPDX-License-Identifier: Apache-2.0
"""Waves: `run` waits with a new version as long as what is installed serves. The wall clock is set by the test."""

import datetime
import hashlib
import os
import re
import signal
import time

import pytest

from agent import snapshot, wait_for
from day import CLOCK
from servers.http import Http, json_answer, text_answer
from servers.imds import Imds
from servers.pki import Authority, document
from test_rollback import Fickle

EACH_CYCLE = "--log-level=debug"
HOUR = 3600
ALL_WAIT = "--wave=100%:1h"


@pytest.fixture
def rotation(authority, aws, put, good):
    """A secret, what makes a new version of it, and what makes another one current."""

    class Rotation:
        arn = put(good)

        def rotate(self, issuer=authority, trust=authority.pem):
            pair = issuer.issue("ECS-Client")
            return pair, aws.rotate(self.arn, document(pair, trust))

        def versions(self):
            found = aws.secrets.describe_secret(SecretId=self.arn)["VersionIdsToStages"]
            return {stage: version for version, stages in found.items() for stage in stages}

        def go_back(self):
            """AWSCURRENT is the version before again."""
            is_now = self.versions()
            aws.secrets.update_secret_version_stage(
                SecretId=self.arn,
                VersionStage="AWSCURRENT",
                MoveToVersionId=is_now["AWSPREVIOUS"],
                RemoveFromVersionId=is_now["AWSCURRENT"],
            )

    return Rotation()


@pytest.fixture
def staged(serve, agent, rotation, clock):
    """staged(...): a `run` with waves, by a clock of the test's."""

    def start(*options, wave=ALL_WAIT, env=None, **more):
        more = {"endpoint": (), **more}
        return serve(
            rotation.arn, EACH_CYCLE, wave, *options, program=CLOCK, env={**clock.env, **(env or {})}, **more
        )

    return start


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def memory(agent):
    """The version that waits, and since when, as it is on disk."""
    found = re.search(r"^seen (\w{64}) (\d+)$", agent.file("..agent"), re.M) if (agent.dir / "..agent").exists() else None
    return (found.group(1), int(found.group(2))) if found else None


def told(agent):
    return agent.status()["sets"][0]


def waits(service, count=1):
    """Until it has said so in as many cycles from now on."""
    return service.more("waiting", count)


def test_a_new_version_waits(staged, agent, rotation, clock, tmp_path):
    metrics = tmp_path / "mtls-agent.prom"
    service = staged(f"--metrics-file={metrics}")
    service.wait("ready")
    before, _ = snapshot(agent.dir / "..data"), rotation.rotate()
    started = time.time()
    event = service.wait("waiting", level="info")
    until = seconds(event["until"])
    assert abs(until - started - HOUR) < 60 and memory(agent)[1] == until - HOUR
    clock.set(HOUR - 120)
    waits(service, 3)
    assert {each["until"] for each in service.all("waiting")} == {event["until"]}
    assert snapshot(agent.dir / "..data") == before
    wait_for(lambda: told(agent)["waits_until"] == event["until"])
    assert told(agent)["outcome"] == "waiting" and told(agent)["error"] is None
    assert f"waits until  {event['until']}\n" in agent.run("status", f"--dir={agent.dir}").stdout
    gauge = f'mtls_agent_wave_until_timestamp_seconds{{set="{agent.dir}"}} {int(until)}\n'
    wait_for(lambda: gauge in metrics.read_text())
    assert agent.run("healthcheck", f"--dir={agent.dir}").status == 0
    clock.set(HOUR)
    service.wait("installed", 2)
    wait_for(lambda: told(agent)["waits_until"] is None)
    wait_for(lambda: "mtls_agent_wave_until" not in metrics.read_text())
    service.more("unchanged")
    assert memory(agent) is None and not service.all("error")


def test_it_sleeps_no_longer(staged, agent, rotation):
    """The cycle after which it is installed does not wait for its interval."""
    service = staged(wave="--wave=100%:5s", interval="1d", deadline="10m", env={"TEST_PACE": "20"})
    service.wait("ready")
    rotation.rotate()
    service.send(signal.SIGUSR2)
    service.wait("waiting")
    service.wait("installed", 2)


def test_a_restart_does_not_begin_anew(staged, agent, rotation, clock):
    service = staged()
    service.wait("ready")
    rotation.rotate()
    until = service.wait("waiting")["until"]
    service.stop()
    clock.set(HOUR // 2)
    service = staged()
    assert service.wait("waiting")["until"] == until
    service.send(signal.SIGHUP)
    assert waits(service, 2)["until"] == until
    clock.set(HOUR)
    service.wait("installed")


def test_a_clock_that_was_set_back(staged, agent, rotation, clock):
    """It waits no longer than its wave from now on."""
    clock.set(10 * HOUR)
    service = staged()
    service.wait("ready")
    rotation.rotate()
    first = seconds(service.wait("waiting")["until"])
    clock.set(0)
    wait_for(lambda: seconds(service.all("waiting")[-1]["until"]) < first - 9 * HOUR)
    assert memory(agent)[1] <= time.time() + 1


def test_moved_back(staged, agent, rotation, clock):
    """AWSCURRENT is what is installed again, which ends the wait; later it begins anew."""
    service = staged()
    service.wait("ready")
    rotation.rotate()
    first = service.wait("waiting")["until"]
    rotation.go_back()
    service.more("unchanged")
    wait_for(lambda: memory(agent) is None and told(agent)["waits_until"] is None)
    clock.set(HOUR + 60)
    rotation.go_back()
    second = waits(service)["until"]
    assert seconds(second) - seconds(first) >= HOUR + 60 - 1
    assert len(service.all("installed")) == 1


def test_another_version_begins_anew(staged, agent, rotation, clock):
    service = staged()
    service.wait("ready")
    rotation.rotate()
    first, version = service.wait("waiting")["until"], memory(agent)[0]
    clock.set(HOUR // 2)
    pair, _ = rotation.rotate()
    wait_for(lambda: memory(agent)[0] != version)
    second = waits(service)["until"]
    assert seconds(second) - seconds(first) >= HOUR // 2 - 1
    clock.set(2 * HOUR)
    service.wait("installed", 2)
    assert agent.file("client.crt") == pair.cert


def test_a_persons_fetch_ends_it(staged, agent, rotation):
    service = staged()
    service.wait("ready")
    pair, _ = rotation.rotate()
    waits(service)
    agent.fetch(rotation.arn).succeeded("installed")
    service.more("unchanged")
    assert agent.file("client.crt") == pair.cert
    wait_for(lambda: memory(agent) is None)


def test_without_waves_it_is_forgotten(staged, serve, agent, rotation):
    service = staged()
    service.wait("ready")
    rotation.rotate()
    waits(service)
    service.stop()
    assert memory(agent)
    service = serve(rotation.arn, endpoint=())
    service.wait("installed")
    wait_for(lambda: memory(agent) is None)


def test_what_cannot_be_described(staged, agent, aws, rotation, clock):
    """The version is known when it is fetched; what is installed waits for nothing."""
    service = staged(env=aws.environment(aws.value_only_keys))
    service.wait("ready")
    service.more("unchanged", 2)
    assert not service.all("waiting")
    pair, _ = rotation.rotate()
    waits(service, 2)
    clock.set(HOUR)
    service.wait("installed", 2)
    assert agent.file("client.crt") == pair.cert


def test_a_push_is_no_hurry(staged, rotation):
    service = staged()
    service.wait("ready")
    rotation.rotate()
    waits(service)
    service.send(signal.SIGUSR2)
    service.wait("pushed")
    waits(service, 2)
    assert len(service.all("installed")) == 1


# ---- who never waits


def test_a_first_install(staged):
    staged().wait("installed")


@pytest.mark.parametrize("damage", ["key", "manifest", "set"])
def test_what_is_damaged(staged, agent, rotation, damage):
    service = staged()
    service.wait("ready")
    pair, _ = rotation.rotate()
    waits(service)
    if damage == "key":
        (agent.dir / "client.key").resolve().write_text("x")
    else:
        (agent.dir / "..data" / "manifest").unlink()
    if damage == "set":
        (agent.dir / "client.crt").resolve().unlink()
    wait_for(lambda: (agent.dir / "client.crt").exists() and agent.file("client.crt") == pair.cert)


def test_the_version_before(staged, agent, rotation, pair, clock):
    """Where the new one was installed already, the way back is no roll-out."""
    service = staged()
    service.wait("ready")
    rotation.rotate()
    waits(service)
    clock.set(HOUR)
    service.wait("installed", 2)
    waited = len(service.all("waiting"))
    rotation.go_back()
    service.wait("installed", 3)
    assert agent.file("client.crt") == pair.cert and len(service.all("waiting")) == waited


def test_what_expires(staged, agent, rotation, pair, clock):
    """An hour and a half before its end an hour's wait would leave too little."""
    service = staged()
    service.wait("ready")
    end = pair.certificate.not_valid_after_utc.timestamp()
    clock.set(end - time.time() - 1.5 * HOUR)
    service.more("unchanged", 2)
    rotation.rotate()
    service.wait("installed", 2)
    assert not service.all("waiting")


def test_what_the_enclaves_refuse(staged, agent, rotation, authority, tmp_path, up):
    """The new version waits until they no longer take the old one."""
    second = Authority("Second-CA")
    server = authority.issue("localhost", names=["localhost"])
    enclave = up(Fickle(tmp_path / "enclave", server, authority.pem + second.pem))
    service = staged(endpoint=enclave.endpoint)
    service.wait("ready")
    service.wait("handshake", result="accepted", count=2)
    pair, _ = rotation.rotate(second, trust=authority.pem + second.pem)
    waits(service, 2)
    enclave.trust(second)
    service.wait("installed", 2)
    assert agent.file("client.crt") == pair.cert


def test_what_they_cannot_be_asked_about_waits(staged, agent, rotation, authority, tmp_path, up):
    server = authority.issue("localhost", names=["localhost"])
    enclave = up(Fickle(tmp_path / "enclave", server, authority.pem))
    service = staged(endpoint=enclave.endpoint)
    service.wait("ready")
    enclave.stop()
    service.more("handshake", 2, result="unreachable")
    rotation.rotate()
    waits(service, 3)
    assert len(service.all("installed")) == 1


def test_the_very_version(staged, rotation):
    """Who names it wants it now."""
    service = staged()
    service.wait("ready")
    _, version = rotation.rotate()
    waits(service)
    service.stop()
    staged(f"--version-id={version}").wait("installed")


# ---- which wave


def place(host, version):
    """The share of hosts that come before it."""
    return int.from_bytes(hashlib.sha256(f"{host}\n{version}".encode()).digest()[:4], "big") * 100 >> 32


def task(up, answer):
    """The task metadata endpoint, and the variable that leads there."""
    server = up(Http(lambda request: answer if request.path == "/v4/abc/task" else text_answer(404, "no")))
    return {"ECS_CONTAINER_METADATA_URI_V4": f"http://127.0.0.1:{server.port}/v4/abc"}


@pytest.mark.parametrize("kind", ["instance", "task", "task without a name", "name"])
def test_by_the_hosts_identity(staged, agent, rotation, aws, up, kind):
    """By that and by the version: known to who can compute SHA-256."""
    arn = "arn:aws:ecs:eu-central-1:123456789012:task/confidential/0123456789abcdef0123456789abcdef"
    imds = up(Imds(aws.session()))
    env = imds.environment() if kind != "name" else {}
    if kind == "task":
        env |= task(up, json_answer(200, {"Cluster": "confidential", "TaskARN": arn, "Containers": []}))
    if kind == "task without a name":
        env |= task(up, json_answer(200, {"TaskARN": None}))
    service = staged(wave="--wave=25%:1h,50%:2h,75%:3h,100%:4h", env=env)
    service.wait("ready")
    rotation.rotate()
    event = service.wait("waiting")
    version, since = memory(agent)
    assert event["host"] == {"task": arn, "name": os.uname().nodename}.get(kind, imds.instance)
    assert seconds(event["until"]) - since == (place(event["host"], version) // 25 + 1) * HOUR


def test_who_is_first_does_not_wait(staged, agent, rotation, aws):
    service = staged(wave="--wave=99%:0s,100%:0s")
    service.wait("ready")
    rotation.rotate()
    service.wait("installed", 2)
    assert not service.all("waiting") and memory(agent) is None


@pytest.mark.parametrize(
    "value,word",
    [
        ("10%", "no share"),
        ("10:5m", "no share"),
        ("%:5m", "no share"),
        ("10%:soon", "no share"),
        ("-1%:5m", "no share"),
        ("0%:0s,100%:1h", "more hosts"),
        ("50%:0s,50%:1h", "more hosts"),
        ("50%:1h,100%:5m", "more hosts"),
        ("101%:5m", "more hosts"),
        ("4294967297%:5m", "more hosts"),
        ("100%:31d", "30d at most"),
        ("100%:106751991167d", "30d at most"),
        ("10%:0s,50%:10m", "leaves hosts out"),
        (",".join(f"{n}%:0s" for n in range(1, 10)), "one too many"),
    ],
)
def test_no_waves(agent, value, word):
    result = agent.run("run", "--secret=x", f"--dir={agent.dir}", f"--wave={value}")
    assert result.status == 64 and word in result.stderr
