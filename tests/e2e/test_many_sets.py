# SPDX-License-Identifier: Apache-2.0
"""Many secrets: side by side, each of them once, and none in the way of the others."""

import json
import signal
from collections import Counter

import pytest

from agent import Agent, wait_for
from servers.aws import aws_error
from servers.http import HOLD
from servers.pki import document
from servers.secrets import Secrets

SIDE_BY_SIDE = 8
MANY = 256
LOCKED = 1024 * 1024  # for any number of them
DEADLINE = "1h"
PATIENCE_S = 1200  # for hundreds of installs, on whatever machine
THROTTLED = aws_error(400, "ThrottlingException", "Rate exceeded")
DELETED = aws_error(
    400,
    "InvalidRequestException",
    "You can't perform this operation on the secret because it was marked for deletion.",
)


@pytest.fixture
def secrets(tmp_path, up):
    return up(Secrets(tmp_path / "secrets"))


@pytest.fixture
def agent(tmp_path, secrets):
    return Agent(tmp_path, secrets.environment())


@pytest.fixture
def serve(agent, up):
    """As the one of all tests, which serves the agent of another AWS."""
    return lambda *arguments, **options: up(agent.serve(*arguments, **options))


def sets(arns):
    """A set for each."""
    return [f"s{number:03}={arn}" for number, arn in enumerate(arns)]


def installed(agent, number):
    return (agent.dir / f"s{number:03}" / "client.crt").exists()


# ---- round trips


def test_sixteen_secrets_take_three_round_trips(agent, secrets, good):
    """The first one by itself, which shows that AWS takes the credentials; then eight, and the rest."""
    arns = [secrets.put(good) for _ in range(16)]
    secrets.rounds = [1, 8, 7]
    result = agent.fetch(sets(arns), deadline=DEADLINE)
    assert result.status == 0 and not secrets.late
    assert secrets.count("GetSecretValue") == dict.fromkeys(arns, 1)
    assert len(secrets.calls) == 16
    assert (secrets.most, len(secrets.connections)) == (8, 8)
    assert len(result.all("installed")) == 16
    assert [event["requests"] for event in result.all("side_by_side")] == [8, 7]


def test_sets_of_several_secrets(agent, secrets, pair, authority):
    """Of one set, too, and over the ends of sets."""
    parts = [{"client_cert": pair.cert}, {"client_key": pair.key}, {"ca_cert": authority.pem}]
    arns = [secrets.put(json.dumps(part)) for _ in range(5) for part in parts]
    secrets.rounds = [1, 8, 6]
    named = [f"s{number // 3:03}={arn}" for number, arn in enumerate(arns)]
    result = agent.fetch(named, deadline=DEADLINE)
    assert result.status == 0 and not secrets.late
    assert secrets.count("GetSecretValue") == dict.fromkeys(arns, 1)
    assert len(result.all("installed")) == 5


def test_a_set_is_asked_for_at_once(agent, secrets, pair, authority, good):
    """Its secrets are of one moment: where some would have to wait, all of them do."""
    parts = [{"client_cert": pair.cert}, {"client_key": pair.key}, {"ca_cert": authority.pem}]
    first = secrets.put(good)
    arns = [secrets.put(json.dumps(part)) for _ in range(3) for part in parts]
    secrets.rounds = [1, 6, 3]
    named = [f"s{1 + number // 3:03}={arn}" for number, arn in enumerate(arns)]
    result = agent.fetch([f"s000={first}", *named], deadline=DEADLINE)
    assert result.status == 0 and not secrets.late
    assert secrets.count("GetSecretValue") == dict.fromkeys([first, *arns], 1)
    assert len(result.all("installed")) == 4


def test_descriptions_too(agent, secrets, good):
    """What is installed already is described, side by side, and no value is asked for."""
    arns = [secrets.put(good) for _ in range(16)]
    assert agent.fetch(sets(arns), deadline=DEADLINE).status == 0
    secrets.forget()
    secrets.rounds = [1, 8, 7]
    result = agent.fetch(sets(arns), deadline=DEADLINE)
    assert result.status == 0 and not secrets.late
    assert secrets.count("DescribeSecret") == dict.fromkeys(arns, 1)
    assert len(secrets.calls) == 16 and len(result.all("unchanged")) == 16


def test_a_rotation_of_all(agent, secrets, pair, authority, good):
    """What a description shows to be new is fetched beside the next descriptions."""
    arns = [secrets.put(good) for _ in range(16)]
    assert agent.fetch(sets(arns), deadline=DEADLINE).status == 0
    for arn in arns:
        secrets.change(arn, document(authority.issue("ECS-Client"), authority.pem))
    secrets.forget()
    secrets.rounds += [1, 8, 8, 8, 7]
    result = agent.fetch(sets(arns), deadline=DEADLINE)
    assert result.status == 0 and not secrets.late
    for operation in ("DescribeSecret", "GetSecretValue"):
        assert secrets.count(operation) == dict.fromkeys(arns, 1)
    assert len(result.all("installed")) == 16


def test_a_single_one_is_asked_for_as_ever(agent, secrets, good):
    result = agent.fetch(secrets.put(good)).succeeded("installed", "attempt", "secret")
    assert not result.all("side_by_side") and len(secrets.connections) == 1


def test_lines_name_their_set(agent, secrets, good):
    """What a set's turn says stands together, and in the order of the sets."""
    arns = [secrets.put(good) for _ in range(10)]
    result = agent.fetch(sets(arns), deadline=DEADLINE)
    of_sets = [event["set"] for event in result.events if "set" in event]
    assert of_sets == sorted(of_sets) and set(of_sets) == {f"s{number:03}" for number in range(10)}
    assert all("set" in event for event in result.events if event["event"] in ("secret", "rehearsal", "identity"))
    said = [event for event in result.events if event["event"] in ("attempt", "secret")]
    assert [event["event"] for event in said] == ["attempt", "secret"] * 10
    assert [event.get("object") or event["secret"] for event in said] == [arn for arn in arns for _ in range(2)]


# ---- one of them


def test_one_that_fails_is_told_by_its_name(agent, secrets, good):
    arns = [secrets.put(good) for _ in range(12)]
    secrets.values[arns[4]] = DELETED
    secrets.values[arns[7]] = aws_error(400, "AccessDeniedException", "User is not authorized to perform it")
    secrets.values[arns[9]] = "{}"
    result = agent.fetch(sets(arns), deadline="30s")
    assert result.status != 0
    told = {event["subject"] for event in result.all("error")}
    assert {arns[4], arns[9]} <= told
    assert [installed(agent, number) for number in range(12)] == [n not in (4, 7, 9) for n in range(12)]


def test_one_that_hangs_takes_no_other_with_it(agent, secrets, good):
    arns = [secrets.put(good) for _ in range(12)]
    secrets.values[arns[3]] = HOLD
    result = agent.fetch(sets(arns), deadline="24s")
    assert result.event("error")["subject"] == arns[3]
    assert [installed(agent, number) for number in range(12)] == [n != 3 for n in range(12)]


def test_throttling_makes_it_fewer(agent, secrets, good):
    """Half of a round is throttled: nothing is asked for side by side until AWS gives in."""
    arns = [secrets.put(good) for _ in range(32)]
    refused = Counter()

    def throttled(arn):
        def answer():
            refused[arn] += 1
            return THROTTLED if refused[arn] == 1 else good

        return answer

    for arn in arns[1:9:2]:
        secrets.values[arn] = throttled(arn)
    result = agent.fetch(sets(arns), deadline=DEADLINE)
    assert result.status == 0
    asked = secrets.count("GetSecretValue")
    assert asked == {arn: 2 if arn in refused else 1 for arn in arns}
    rounds = [event["requests"] for event in result.all("side_by_side")]
    assert rounds[0] == 8 and rounds[1] < 8
    assert len(result.all("retry")) == 4


def test_throttled_for_good_is_no_storm(agent, secrets, good):
    """One request at a time, and few."""
    arns = [secrets.put(good), *(secrets.put(THROTTLED) for _ in range(31))]
    secrets.rounds = [1, 8]
    result = agent.fetch(sets(arns), deadline="20s")
    assert len(result.all("error")) == 31 and result.all("error")[0]["code"] == "aws_busy"
    assert len(result.all("side_by_side")) == 1 and secrets.most == 8
    assert installed(agent, 0) and not installed(agent, 1)
    assert max(secrets.count("GetSecretValue").values()) < 40  # by chance some pauses are short


# ---- 256 sets


def test_256_sets(agent, secrets, good):
    arns = [secrets.put(good) for _ in range(MANY)]
    secrets.values[arns[100]] = DELETED
    secrets.values[arns[200]] = json.dumps({"client_cert": "none"})
    secrets.rounds = [1, *[8] * 31, 7]
    result = agent.start(*agent.fetch_arguments(sets(arns), deadline=DEADLINE)).finish(PATIENCE_S)
    assert {event["subject"] for event in result.all("error")} == {arns[100], arns[200]} and not secrets.late
    assert secrets.count("GetSecretValue") == dict.fromkeys(arns, 1)
    assert secrets.most == SIDE_BY_SIDE and len(secrets.connections) <= SIDE_BY_SIDE
    assert len(result.all("installed")) == MANY - 2
    assert result.event("finished")["locked_bytes"] <= LOCKED


def test_one_more_is_refused(agent, secrets, good):
    arns = [secrets.put(good)] * (MANY + 1)
    result = agent.fetch(sets(arns))
    assert result.status == 64 and "is one subdirectory too many: at most 256" in result.stderr


def test_run_serves_256_sets(agent, secrets, good, pair, authority, serve):
    """One is deleted, one is refused; a rotation of another one reaches it, and no value is asked for again."""
    arns = [secrets.put(good) for _ in range(MANY)]
    secrets.values[arns[100]] = DELETED
    secrets.values[arns[200]] = json.dumps({"client_cert": "none"})
    service = serve(sets(arns), deadline=DEADLINE, interval="2s", probe_interval="0s")
    wait_for(lambda: len(service.all("installed")) == MANY - 2, seconds=PATIENCE_S)
    wait_for(lambda: agent.status()["sets"][255]["outcome"] == "unchanged", seconds=PATIENCE_S)
    said = {each["set"]: each for each in agent.status()["sets"]}
    assert len(said) == MANY
    assert {name for name, each in said.items() if each["outcome"] == "failed"} == {"s100", "s200"}
    fetched = secrets.count("GetSecretValue")
    assert all(fetched[arn] == 1 for number, arn in enumerate(arns) if number not in (100, 200))
    assert len(secrets.connections) <= 2 * SIDE_BY_SIDE * len(service.all("credentials"))

    secrets.change(arns[255], document(authority.issue("ECS-Client"), authority.pem))
    service.wait("installed", MANY - 1, seconds=PATIENCE_S)
    assert service.all("installed")[-1]["set"] == "s255"


def test_a_reload_to_more_sets_and_to_fewer(agent, secrets, good, serve, tmp_path):
    arns = [secrets.put(good) for _ in range(40)]
    conf = tmp_path / "agent.conf"
    conf.write_text("".join(f"secret = {each}\n" for each in sets(arns[:2])))
    service = serve([], f"--config={conf}", deadline=DEADLINE, interval="1h", probe_interval="0s")
    service.wait("ready")
    conf.write_text("".join(f"secret = {each}\n" for each in sets(arns)))
    service.send(signal.SIGHUP)
    service.wait("installed", 40, seconds=PATIENCE_S)
    wait_for(lambda: len(agent.status()["sets"]) == 40)
    assert all(each["installed"] and not each["problem"] for each in agent.status()["sets"])
    conf.write_text("".join(f"secret = {each}\n" for each in sets(arns)[20:]))
    service.send(signal.SIGHUP)
    service.wait("reloaded", 2, seconds=PATIENCE_S)
    wait_for(lambda: len(agent.status()["sets"]) == 20)
    assert max(secrets.count("GetSecretValue").values()) == 1
