# SPDX-License-Identifier: Apache-2.0
"""
Fail-over: three Regions in a network of its own, each with its own names and addresses, and one emulator behind
them, which goes by the Region that a request is signed for.
"""

import pytest

from agent import snapshot, wait_for
from servers.aws import OTHER_REGIONS, REGION, aws_error
from servers.names import NameServer, address
from servers.namespace import Namespace
from servers.pki import document
from servers.proxy import FaultProxy

FIRST, SECOND = OTHER_REGIONS
ADDRESSES = {REGION: "10.77.0.1", FIRST: "10.77.0.2", SECOND: "10.77.0.3"}
FALLBACK = f"--fallback-region={FIRST},{SECOND}"
NO_URLS = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": None, "AWS_ENDPOINT_URL_STS": None}


class Regions:
    """open(region) has it answer; until then, and from close(region) on, it resets connections."""

    def __init__(self, directory, up, aws):
        self.network = up(Namespace(directory, addresses=[f"{each}/32" for each in ADDRESSES.values()]))
        self.enter = self.network.enter

        def say(query):
            found = [ADDRESSES[region] for region in ADDRESSES if f".{region}." in query.name]
            return query.answer([address(query.name, each) for each in found if query.kind == "A"])

        up(NameServer(self.network.open("udp", "127.0.0.1", 53), say, self.network.open("tcp", "127.0.0.1", 53)))
        self._proxies = {
            region: up(FaultProxy(aws.port, "accept", "reset", listener=self.network.open("tcp", at, 443)))
            for region, at in ADDRESSES.items()
        }

    def open(self, *names):
        for name in names:
            self._proxies[name].stage = None

    def close(self, name):
        self._proxies[name].stage = "accept"

    def asked(self, name):
        """Connections that came, to whatever end."""
        return self._proxies[name].connections


@pytest.fixture
def regions(tmp_path, up, aws):
    return Regions(tmp_path / "network", up, aws)


@pytest.fixture
def replicated(aws, put):
    """replicated(document): the ARN of a secret with a replica in each other Region."""

    def make(value):
        arn = put(value)
        targets = [{"Region": region} for region in OTHER_REGIONS]
        aws.secrets.replicate_secret_to_regions(SecretId=arn, AddReplicaRegions=targets)
        return arn

    return make


@pytest.fixture
def fetch(agent, regions):
    def run(secret, *arguments, deadline="8s", env=None):
        return agent.fetch(
            secret, FALLBACK, *arguments, deadline=deadline, env={**NO_URLS, **(env or {})}, prefix=regions.enter
        )

    return run


def signed_for(aws):
    """The Regions that requests were signed for, in their order."""
    scopes = [request.headers["Authorization"].split("/")[2] for request in aws.asked]
    return [each for i, each in enumerate(scopes) if i == 0 or scopes[i - 1] != each]


def failures(result):
    return [(each["region"], each.get("next"), each["code"]) for each in result.all("region_failed")]


def source(agent):
    """The secret that the installed set was made of."""
    (line,) = [line for line in (agent.dir / "..data" / "manifest").read_text().splitlines() if "source" in line]
    return line


@pytest.mark.parametrize("named", ["arn", "name"])
def test_a_first_install(agent, aws, fetch, regions, replicated, good, named):
    """By the next Region, with its own name and signature; then it is the same secret, and the same version."""
    regions.open(FIRST, SECOND)
    arn = replicated(good)
    secret = arn if named == "arn" else arn.rpartition(":")[2][:-7]
    env = {"AWS_REGION": REGION}
    result = fetch(secret, env=env).succeeded("installed")
    assert failures(result) == [(REGION, FIRST, "aws_unreachable")]
    told = result.event("secret")
    assert (told["region"], told["secret"]) == (FIRST, arn)
    assert signed_for(aws) == [FIRST] and regions.asked(SECOND) == 0
    regions.open(REGION)
    aws.asked.clear()
    result = fetch(secret, env=env).succeeded("unchanged")
    assert signed_for(aws) == [REGION] and not failures(result)
    assert [request.headers["X-Amz-Target"] for request in aws.asked] == ["secretsmanager.DescribeSecret"]


def test_in_order(aws, fetch, regions, replicated, good):
    regions.open(SECOND)
    result = fetch(replicated(good)).succeeded("installed")
    assert failures(result) == [(REGION, FIRST, "aws_unreachable"), (FIRST, SECOND, "aws_unreachable")]
    assert result.event("secret")["region"] == SECOND and signed_for(aws) == [SECOND]


def test_it_fails_itself(aws, fetch, regions, replicated, good):
    """It answers, with 503: tried until half of the deadline is over."""
    regions.open(REGION, FIRST)
    aws.failing[f"secretsmanager.{REGION}.amazonaws.com"] = aws_error(503, "InternalServiceError", "later")
    result = fetch(replicated(good)).succeeded("installed")
    assert failures(result) == [(REGION, FIRST, "aws_busy")]
    assert signed_for(aws) == [REGION, FIRST]
    before = [each for each in result.all("attempt") if each["step"] == "get_secret_value"]
    assert before[0]["left_ms"] <= 4000 and before[-1]["attempt"] == 1 and len(before) > 2


@pytest.mark.parametrize(
    "answer,status,code",
    [
        (aws_error(400, "AccessDeniedException", "no"), 77, "aws_denied"),
        (aws_error(400, "ResourceNotFoundException", "Secrets Manager can't find it."), 77, "secret_not_found"),
        (aws_error(400, "ThrottlingException", "Rate exceeded"), 69, "aws_busy"),
    ],
    ids=["denied", "not there", "throttled"],
)
def test_never_on_a_refusal(agent, aws, fetch, regions, replicated, good, pair, authority, answer, status, code):
    """Nor on what is asked of the caller: to come later."""
    regions.open(REGION, FIRST, SECOND)
    arn = replicated(good)
    aws.failing[f"secretsmanager.{REGION}.amazonaws.com"] = answer
    result = fetch(arn, deadline="3s")
    result.failed(status, code)
    assert not result.all("region_failed") and regions.asked(FIRST) == regions.asked(SECOND) == 0
    assert signed_for(aws) == [REGION] and snapshot(agent.dir / "client.key") is None


def test_a_fallback_that_refuses(agent, aws, fetch, regions, replicated, good):
    """Its policy is wrong, which says nothing of what is installed: as if there were no fallback."""
    regions.open(REGION, FIRST)
    arn = replicated(good)
    fetch(arn).succeeded("installed")
    regions.close(REGION)
    aws.failing[f"secretsmanager.{FIRST}.amazonaws.com"] = aws_error(400, "AccessDeniedException", "no")
    result = fetch(arn).succeeded("kept_stale")
    assert result.event("kept_stale")["code"] == "aws_unreachable"
    refused = [(FIRST, None, "aws_denied")] * 2  # to describe it, and its value
    assert failures(result) == [(REGION, FIRST, "aws_unreachable"), *refused]


def test_it_heals(agent, fetch, regions, replicated, good):
    """The same version, damaged."""
    regions.open(REGION, FIRST)
    arn = replicated(good)
    fetch(arn).succeeded("installed")
    key = agent.file("client.key")
    regions.close(REGION)
    (agent.dir / "client.key").resolve().write_text("damaged")
    fetch(arn).succeeded("healed")
    assert agent.file("client.key") == key
    fetch(arn).succeeded("unchanged")


def test_it_replaces_nothing(agent, aws, fetch, regions, replicated, good, authority):
    """A replica may be behind: what is installed stays, until its own Region tells of another one."""
    regions.open(REGION, FIRST)
    arn = replicated(good)
    fetch(arn).succeeded("installed")
    before = snapshot(agent.dir / "..data")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    regions.close(REGION)
    aws.asked.clear()
    kept = fetch(arn).succeeded("kept_stale").event("kept_stale")
    assert kept["code"] == "aws_unreachable" and snapshot(agent.dir / "..data") == before
    assert {request.headers["X-Amz-Target"] for request in aws.asked} == {"secretsmanager.DescribeSecret"}
    assert fetch(arn, "--if-unreachable=fail").failed(69, "aws_unreachable")
    regions.open(REGION)
    fetch(arn).succeeded("installed")


def only(operation, answer):
    """For aws.failing: the one operation fails."""
    return lambda request: answer if request.headers["X-Amz-Target"].endswith(operation) else None


def test_it_fails_after_it_described(agent, aws, fetch, regions, replicated, good, authority):
    """The new version is its own Region's word, the value a replica's."""
    regions.open(REGION, FIRST)
    arn = replicated(good)
    fetch(arn).succeeded("installed")
    before = snapshot(agent.dir / "..data")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    host = f"secretsmanager.{REGION}.amazonaws.com"
    aws.failing[host] = only("GetSecretValue", aws_error(503, "InternalServiceError", "later"))
    result = fetch(arn).succeeded("kept_stale")
    assert failures(result) == [(REGION, FIRST, "aws_busy")] and result.event("secret")["region"] == FIRST
    assert result.event("kept_stale")["code"] == "aws_busy" and snapshot(agent.dir / "..data") == before
    aws.failing.clear()
    fetch(arn).succeeded("installed")


def test_it_replaces_nothing_of_unknown_version(agent, aws, fetch, regions, replicated, good, authority):
    """Without its manifest a good set is as good."""
    regions.open(REGION, FIRST)
    arn = replicated(good)
    fetch(arn).succeeded("installed")
    (agent.dir / "..data" / "manifest").unlink()
    before = snapshot(agent.dir / "..data")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    regions.close(REGION)
    fetch(arn).succeeded("kept_stale")
    assert snapshot(agent.dir / "..data") == before
    regions.open(REGION)
    fetch(arn).succeeded("healed")


def test_a_description_denied_by_a_fallback(serve, agent, aws, regions, replicated, good):
    """It says nothing of the secret's own Region."""
    regions.open(REGION, FIRST)
    arn = replicated(good)
    service = serve(arn, FALLBACK, "--log-level=debug", deadline="4s", env=NO_URLS, prefix=regions.enter)
    service.wait("ready")
    host = f"secretsmanager.{FIRST}.amazonaws.com"
    aws.failing[host] = only("DescribeSecret", aws_error(400, "AccessDeniedException", "no"))
    regions.close(REGION)
    service.wait("describe_denied")
    regions.open(REGION)
    service.more("version", region=REGION)


def test_no_credentials(fetch, regions, replicated, good):
    """An agent of ECS that is not up yet is of this host, and of no Region."""
    regions.open(REGION, FIRST, SECOND)
    env = {
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/",
    }
    result = fetch(replicated(good), env=env, deadline="3s")
    result.failed(69, "aws_unreachable")
    assert not result.all("region_failed") and regions.asked(FIRST) == regions.asked(REGION) == 0


def test_its_sts_throttles(aws, fetch, regions, replicated, good):
    regions.open(REGION, FIRST, SECOND)
    aws.failing[f"sts.{REGION}.amazonaws.com"] = aws_error(400, "Throttling", "Rate exceeded")
    keys = {**aws.environment(aws.operator_keys), **NO_URLS, "AWS_REGION": REGION}
    result = fetch(replicated(good), f"--role-arn={aws.role_arn}", env=keys, deadline="3s")
    result.failed(69, "aws_busy")
    assert not result.all("region_failed") and regions.asked(FIRST) == 0


def test_credentials_of_that_region(aws, fetch, regions, replicated, good):
    """STS of the Region that is down is down as well."""
    regions.open(FIRST)
    keys = {**aws.environment(aws.operator_keys), **NO_URLS, "AWS_REGION": REGION}
    result = fetch(replicated(good), f"--role-arn={aws.role_arn}", env=keys).succeeded("installed")
    assert failures(result) == [(REGION, FIRST, "aws_unreachable")]
    assert signed_for(aws) == [FIRST] and len(aws.asked) == 2


def test_a_url_is_of_its_own_region(agent, aws, fetch, regions, replicated, good):
    """What is configured for the one leads to no other."""
    regions.open(FIRST)
    env = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://{ADDRESSES[REGION]}:9"}
    result = fetch(replicated(good), env=env).succeeded("installed")
    assert signed_for(aws) == [FIRST] and failures(result) == [(REGION, FIRST, "aws_unreachable")]


def test_run_tells_which(serve, agent, aws, regions, replicated, good, tmp_path):
    metrics = tmp_path / "mtls-agent.prom"
    regions.open(FIRST)
    arn = replicated(good)
    service = serve(
        arn, FALLBACK, f"--metrics-file={metrics}", deadline="4s", env=NO_URLS, prefix=regions.enter
    )

    def served():
        return agent.status()["sets"][0]["region"]

    service.wait("ready")
    wait_for(lambda: served() == FIRST)
    shown = agent.run("status", f"--dir={agent.dir}").stdout
    assert f"region       {FIRST}\n" in shown
    regions.open(REGION)
    wait_for(lambda: served() == REGION)
    for region in (FIRST, REGION):
        wait_for(lambda: f'mtls_agent_answers_total{{set="{agent.dir}",region="{region}"}}' in metrics.read_text())
    regions.close(REGION)
    regions.close(FIRST)
    wait_for(lambda: served() is None)
    assert agent.status()["sets"][0]["outcome"] == "kept_stale"


@pytest.mark.parametrize("value", ["eu-west-1a", "EU", "eu-west-1,"])
def test_no_region(agent, value):
    assert agent.run("fetch", "--secret=x", f"--dir={agent.dir}", f"--fallback-region={value}").status == 64
