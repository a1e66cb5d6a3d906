# SPDX-License-Identifier: Apache-2.0
"""platform/ecs/register: what its README has somebody do who wants a daemon service, against an AWS that has nothing of it."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from agent import ROOT
from ecs_rules import problems
from servers.aws import REGION
from servers.process import Process

REGISTER = ROOT / "platform/ecs/register"
SECRET = f"arn:aws:secretsmanager:{REGION}:111122223333:secret:own-XyZ123"
KEY = f"arn:aws:kms:{REGION}:111122223333:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
POLICY = f"mtls-agent-{hashlib.sha256(SECRET.encode()).hexdigest()[:12]}"
OWN = ["--secret", SECRET, "--endpoint", "https://own.test:443", "--registry", "registry.test/own"]


class Account:
    """An account of its own, which has AWS's managed policies and nothing else."""

    keys = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "any"}

    def __init__(self, directory):
        server = [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", "0"]
        more = {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true", "HOME": str(directory), "PYTHONUNBUFFERED": "1"}
        self._moto = Process(server, directory / "moto.log", env=more)
        announced = r"Running on (http://127\.0\.0\.1:\d+)"
        self.url = self._moto.wait_until(lambda: re.search(announced, self._moto.output())).group(1)

    def client(self, service):
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, **self.keys)

    def stop(self):
        self._moto.stop()


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    account = Account(tmp_path_factory.mktemp("account"))
    yield account
    account.stop()


@pytest.fixture
def register(account):
    def register(*arguments):
        keys = {name.upper(): value for name, value in account.keys.items()}
        environment = {**keys, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": account.url}
        return subprocess.run(
            [sys.executable, REGISTER, *map(str, arguments)], env=environment, capture_output=True, text=True
        )

    return register


def test_all_twelve(register, account):
    """Registered and checked; nothing of the example's is left in them; once more changes nothing."""
    for _ in range(2):
        done = register(*OWN, "--kms-key", KEY, "--app-image", "app.test/app@sha256:1")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "12 registered"
    ecs = account.client("ecs")
    for line in done.stdout.splitlines():
        if ": arn:" not in line:
            continue
        kept = ecs.describe_task_definition(taskDefinition=line.split(": ")[1])["taskDefinition"]
        text = json.dumps(kept, default=str)
        assert "example.com" not in text and "eu-west-1" not in text and "confidential-cluster" not in text
        assert SECRET in text or "app-host" in text
        assert {each["image"].rsplit("/", 1)[0] for each in kept["containerDefinitions"]} <= {"registry.test/own", "app.test"}
    iam, logs = account.client("iam"), account.client("logs")
    groups = {each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]}
    assert {"/ecs/app", "/ecs/mtls-agent"} <= groups
    for role in ("app", "mtls-agent"):
        document = iam.get_role_policy(RoleName=role, PolicyName=POLICY)["PolicyDocument"]
        read_it, decrypt = document["Statement"]
        assert read_it["Resource"] == SECRET and decrypt["Resource"] == KEY
    attached = iam.list_attached_role_policies(RoleName="ecsTaskExecutionRole")["AttachedPolicies"]
    assert [each["PolicyName"] for each in attached] == ["AmazonECSTaskExecutionRolePolicy"]


@pytest.mark.parametrize("folder, name", [("ecs", "daemon-host.json"), ("bottlerocket", "daemon.json")])
def test_the_daemon_service(register, account, folder, name):
    """From nothing to a service on each instance; with the next definition, the same service."""
    ecs = account.client("ecs")
    ecs.create_cluster(clusterName="fleet")
    arns = []
    for _ in range(2):
        done = register(*OWN, "--daemon", "fleet", ROOT / "platform" / folder / name)
        assert done.returncode == 0, done.stderr
        (service,) = ecs.describe_services(cluster="fleet", services=["mtls-agent"])["services"]
        assert service["schedulingStrategy"] == "DAEMON" and service["status"] == "ACTIVE"
        arns.append(service["taskDefinition"])
    assert arns[0] != arns[1]
    kept = ecs.describe_task_definition(taskDefinition=arns[1])["taskDefinition"]
    sent = {key: value for key, value in kept.items() if key in json.loads((ROOT / "platform" / folder / name).read_text())}
    assert problems(sent) == []
    (statement,) = account.client("iam").get_role_policy(RoleName="mtls-agent", PolicyName=POLICY)["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    ecs.delete_service(cluster="fleet", service="mtls-agent", force=True)
    ecs.delete_cluster(cluster="fleet")


def test_another_secret_takes_nothing_away(register, account):
    """A role has the rights to both."""
    other = SECRET.replace("own-XyZ123", "other-AbC456")
    for secret in (SECRET, other):
        done = register("--secret", secret, *OWN[2:], ROOT / "platform/ecs/sidecar-fargate.json")
        assert done.returncode == 0, done.stderr
    iam = account.client("iam")
    policies = [iam.get_role_policy(RoleName="app", PolicyName=name) for name in iam.list_role_policies(RoleName="app")["PolicyNames"]]
    assert {SECRET, other} <= {policy["PolicyDocument"]["Statement"][0]["Resource"] for policy in policies}


def test_a_role_that_is_not_for_tasks(register, account):
    """Whose it is gets no right to the key."""
    iam = account.client("iam")
    own = json.dumps(iam.get_role(RoleName="app")["Role"]["AssumeRolePolicyDocument"])
    before = iam.list_role_policies(RoleName="app")["PolicyNames"]
    iam.update_assume_role_policy(RoleName="app", PolicyDocument=own.replace("ecs-tasks.", "ec2."))
    try:
        done = register("--secret", SECRET.replace("own-", "third-"), *OWN[2:], ROOT / "platform/ecs/sidecar-fargate.json")
        assert done.returncode == 1 and "is not for tasks" in done.stderr
        assert iam.list_role_policies(RoleName="app")["PolicyNames"] == before
    finally:
        iam.update_assume_role_policy(RoleName="app", PolicyDocument=own)


def test_a_name_is_no_arn(register):
    done = register("--secret", "own", *OWN[2:])
    assert done.returncode == 1 and "--secret is an ARN" in done.stderr
