# SPDX-License-Identifier: Apache-2.0
"""Certificates that come to their end: a ladder of warnings, whatever the interval."""

import datetime

import pytest

from agent import wait_for
from day import CLOCK, Day
from servers.pki import DAY, Authority, document

HOUR_S = 3600
DAY_S = 24 * HOUR_S
LADDER = [28 * DAY_S, 7 * DAY_S, 3 * DAY_S, 2 * DAY_S, DAY_S, 12 * HOUR_S, 6 * HOUR_S, 2 * HOUR_S, HOUR_S, 0]
LIFE_S = 60 * DAY_S
LONG = (-DAY, 400 * DAY)
SHORT = (-DAY, datetime.timedelta(seconds=LIFE_S))


@pytest.fixture
def begin(serve, agent, clock):
    """A day with this identity, whose wall clock can be set."""

    def start(arn, **options):
        service = serve(arn, "--log-level=debug", program=CLOCK, env=clock.env, interval="150ms", **options)
        service.wait("unchanged", 2)
        return Day(agent, service, program=CLOCK, env=clock.env)

    return start


@pytest.fixture
def ending(put):
    """ending("leaf" or "ca") is a secret in which that one ends in LIFE_S, and the other one much later."""

    def make(which):
        authority = Authority("Ladder-CA", lifetime=SHORT if which == "ca" else LONG)
        pair = authority.issue("ECS-Client", lifetime=SHORT if which == "leaf" else LONG)
        return put(document(pair, authority.pem))

    return make


def told(day, certificate):
    return day.since("expires", certificate=certificate) + day.since("expired", certificate=certificate)


@pytest.mark.parametrize("which", ["leaf", "ca"])
def test_each_rung_once(begin, clock, ending, which):
    day = begin(ending(which))
    for rung, left in enumerate(LADDER):
        clock.set(LIFE_S - left + 60)
        day.wait("expires" if left else "expired", rung + 1 if left else 1, certificate=which)
        tried = len(day.since("attempt"))
        day.wait("attempt", tried + 3)
        assert len(told(day, which)) == rung + 1
    events = told(day, which)
    assert [event["level"] for event in events] == ["warning"] * 9 + ["error"]
    assert [event["hours_left"] for event in events] == [(max(left - 60, 0)) // HOUR_S for left in LADDER]
    assert len({event["not_after"] for event in events}) == 1
    assert not told(day, "ca" if which == "leaf" else "leaf")


def test_rungs_that_are_jumped_over_are_told_as_one(begin, clock, ending, aws, authority):
    """As after a suspend. Set back to long before, it begins again; a new certificate has its own ladder."""
    secret = ending("leaf")
    day = begin(secret)
    clock.set(LIFE_S - 90 * 60)
    assert day.wait("expires")["hours_left"] == 1
    clock.set(LIFE_S - 92 * 60)  # a little back
    tried = len(day.since("unchanged"))
    day.wait("unchanged", tried + 3)
    assert len(told(day, "leaf")) == 1
    clock.set(0)
    day.wait("unchanged", len(day.since("unchanged")) + 3)
    clock.set(LIFE_S - 28 * DAY_S + 60)
    assert day.wait("expires", 2)["hours_left"] == 28 * 24 - 1
    pair = authority.issue("ECS-Client", lifetime=(-DAY, 2 * LIFE_S * datetime.timedelta(seconds=1)))
    aws.rotate(secret, document(pair, authority.pem))
    day.rotates(pair)
    assert len(told(day, "leaf")) == 2


def test_healthcheck_can_ask_for_a_margin(begin, clock, ending):
    day = begin(ending("leaf"))
    assert day.healthcheck("--expires-within=59d") == "healthy"
    assert "ends in" in day.healthcheck("--expires-within=61d")
    clock.set(LIFE_S - 6 * DAY_S)
    assert day.healthcheck("--expires-within=5d") == "healthy"
    assert "ends in" in day.healthcheck("--expires-within=7d")
    assert day.healthcheck() == "healthy"
    clock.set(LIFE_S + 60)
    assert "expired" in day.healthcheck()


def test_whatever_the_interval(serve, put, authority):
    """Fetches and probes a day apart, and by the machine's own clock: two rungs, the second in its time."""
    for margin in (5, 20, 80):  # a slow machine gets another chance to be there before it
        life = datetime.timedelta(seconds=2 * HOUR_S + margin)
        arn = put(document(authority.issue("ECS-Client", lifetime=(-DAY, life)), authority.pem))
        service = serve(arn, "--keep-previous=0s", interval="1d", probe_interval="1d")
        first = service.wait("expires")
        if first["hours_left"] == 2:
            break
        service.stop()
    second = service.wait("expires", 2, seconds=margin + 60)
    assert (second["hours_left"], second["certificate"]) in ((1, "leaf"), (2, "leaf"))
    assert len(service.all("attempt")) == 1  # nothing else was done meanwhile
    wait_for(lambda: len(service.all("expires")) == 2)
