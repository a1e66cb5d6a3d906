# SPDX-License-Identifier: Apache-2.0
"""The task definitions as files: what ECS would say to them, and whether the agent knows what it is told."""

import copy
import json
import re
import subprocess
from fnmatch import fnmatchcase

import pytest

from agent import PROGRAM, ROOT
from ecs_rules import problems

PLATFORM = ROOT / "platform"
POLICY = PLATFORM / "ecs" / "task-role-policy.json"
FILES = sorted({*PLATFORM.glob("ecs/*.json"), *PLATFORM.glob("bottlerocket/*.json")} - {POLICY})
EACH = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")


def read(name):
    return json.loads((PLATFORM / name).read_text())


def variables(container):
    return {each["name"]: each["value"] for each in container.get("environment", [])}


# Every container of ours, with where it stands.
AGENTS = {
    f"{path.parent.name}/{path.stem}/{container['name']}": container
    for path in FILES
    for container in json.loads(path.read_text())["containerDefinitions"]
    if "/mtls-agent:" in container["image"]
}
EACH_AGENT = pytest.mark.parametrize("container", AGENTS.values(), ids=AGENTS)


@EACH
def test_ecs_takes_it(path):
    assert problems(json.loads(path.read_text())) == []


@EACH
def test_it_is_registered_and_comes_back_whole(path, aws_server):
    ecs = aws_server.client("ecs")
    sent = json.loads(path.read_text())
    registered = ecs.register_task_definition(**sent)["taskDefinition"]
    kept = ecs.describe_task_definition(taskDefinition=registered["taskDefinitionArn"])["taskDefinition"]
    for name, value in sent.items():
        assert contains(kept[name], value), name


def contains(kept, sent):
    """Whether all that was sent is there; the service adds defaults."""
    if isinstance(sent, dict):
        return all(name in kept and contains(kept[name], value) for name, value in sent.items())
    if isinstance(sent, list):
        return len(kept) == len(sent) and all(map(contains, kept, sent))
    return kept == sent


@EACH_AGENT
def test_the_agent_knows_what_it_is_told(container):
    """Each variable is an option, each value is taken; secret, enclave and directory are there."""
    command = container["command"]
    assert command[0] in ("fetch", "run")
    told = variables(container)
    listed = subprocess.run(
        [PROGRAM, command[0], "--help"], capture_output=True, text=True, check=True
    ).stdout
    options = {f"MTLS_AGENT_{name.upper().replace('-', '_')}" for name in re.findall(r"--([a-z-]+)", listed)}
    assert {name for name in told if name.startswith("MTLS_AGENT_")} <= options
    # What is wrong with the configuration is said before anything is done: here, that there is no set yet.
    done = subprocess.run(
        [PROGRAM, "healthcheck", "--dir=/nowhere"], env=told, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    assert "MTLS_AGENT_SECRET" in told and "ENCLAVE_ENDPOINT" in told
    assert [each["containerPath"] for each in container["mountPoints"]] == ["/etc/ecs/mtls"]


@EACH_AGENT
def test_the_agent_has_few_rights(container):
    assert container["readonlyRootFilesystem"] is True
    assert container["linuxParameters"] == {"capabilities": {"drop": ["ALL"]}}
    assert re.fullmatch(r"\d+:\d+", container["user"])


@EACH
def test_the_application_only_reads(path):
    """But for the one that leaves its number there; and both are told of the same enclave."""
    containers = {each["name"]: each for each in json.loads(path.read_text())["containerDefinitions"]}
    if "app" not in containers:
        return
    (mount,) = containers["app"]["mountPoints"]
    assert mount.get("readOnly", False) == (path.stem != "signal")
    assert len({variables(each)["ENCLAVE_ENDPOINT"] for each in containers.values()}) == 1


def test_the_policy_is_of_that_secret_alone():
    statements = json.loads(POLICY.read_text())["Statement"]
    read_it, decrypt = statements
    secrets = {variables(each)["MTLS_AGENT_SECRET"] for each in AGENTS.values()}
    assert secrets == {read_it["Resource"]}
    assert not any(fnmatchcase(each + "x", read_it["Resource"]) for each in secrets)
    assert decrypt["Action"] == "kms:Decrypt" and "*" not in decrypt["Resource"]


def change(name, container, **members):
    definition = read(name)
    target = definition if container is None else definition["containerDefinitions"][container]
    for member, value in members.items():
        target[member] = value
    return definition


TMPFS_INIT = copy.deepcopy(read("ecs/init-ec2.json"))
TMPFS_INIT["volumes"] = read("ecs/tmpfs-ec2.json")["volumes"]
LIMIT = [{"name": "memlock", "softLimit": 1, "hardLimit": 1}]
WRONG = {
    "no such member": (change("ecs/init-ec2.json", 0, resart="x"), "Unknown parameter"),
    "another type": (change("ecs/init-ec2.json", 0, memory="32"), "Invalid type"),
    "a value that there is not": (change("ecs/init-ec2.json", None, networkMode="vpc"), "none of"),
    "an essential init": (change("ecs/init-ec2.json", 0, essential=True), "which is essential"),
    "nothing essential": (change("ecs/init-ec2.json", 1, essential=False), "no container is essential"),
    "no such container": (
        change("ecs/init-ec2.json", 1, dependsOn=[{"containerName": "x", "condition": "START"}]),
        "which there is not",
    ),
    "health of who has none": (
        change("ecs/init-ec2.json", 1, dependsOn=[{"containerName": "mtls-init", "condition": "HEALTHY"}]),
        "no health check",
    ),
    "no such volume": (change("ecs/init-ec2.json", None, volumes=[]), "do not match"),
    "a health check of a shell": (
        change("ecs/sidecar-ec2.json", 0, healthCheck={"command": ["/mtls-agent", "healthcheck"]}),
        "begins with CMD",
    ),
    "too often": (
        change("ecs/sidecar-ec2.json", 0, healthCheck={"command": ["CMD", "x"], "interval": 1}),
        "interval is out of bounds",
    ),
    "restarts too soon": (
        change("ecs/sidecar-ec2.json", 0, restartPolicy={"enabled": True, "restartAttemptPeriod": 5}),
        "restartAttemptPeriod is out of bounds",
    ),
    "a tmpfs that nobody holds": (TMPFS_INIT, "is empty again when mtls-init has ended"),
    "Fargate on the host's network": (
        change("ecs/init-fargate.json", None, networkMode="host"),
        "not awsvpc",
    ),
    "Fargate of an odd size": (change("ecs/init-fargate.json", None, memory="600"), "no such pair"),
    "Fargate and a host's path": (
        change("ecs/init-fargate.json", None, volumes=[{"name": "mtls", "host": {"sourcePath": "/x"}}]),
        "is of a host",
    ),
    "Fargate and a limit": (change("ecs/init-fargate.json", 0, ulimits=LIMIT), "nofile alone"),
    "Fargate and a capability": (
        change("ecs/init-fargate.json", 0, linuxParameters={"capabilities": {"add": ["IPC_LOCK"]}}),
        "SYS_PTRACE alone",
    ),
    "Fargate and the host's processes": (change("ecs/signal.json", None, pidMode="host"), "task alone"),
    "Fargate and patience": (change("ecs/init-fargate.json", 0, startTimeout=180), "from 2 to 120"),
}


@pytest.mark.parametrize("definition, reason", WRONG.values(), ids=WRONG)
def test_what_ecs_would_not_take_is_found(definition, reason):
    assert any(reason in each for each in problems(definition)), problems(definition)
