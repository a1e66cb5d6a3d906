# SPDX-License-Identifier: Apache-2.0
"""
What is wrong with a task definition: by the model that the SDKs have of ECS, and by rules that its
documentation has and the model lacks. problems() lists them in words.
"""

import botocore.loaders
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

MODEL = ServiceModel(botocore.loaders.Loader().load_service_model("ecs", "service-2"))
INPUT = MODEL.operation_model("RegisterTaskDefinition").input_shape

# Memory in MiB for each size of cpu.
FARGATE_SIZES = {
    "256": [512, 1024, 2048],
    "512": range(1024, 4097, 1024),
    "1024": range(2048, 8193, 1024),
    "2048": range(4096, 16385, 1024),
    "4096": range(8192, 30721, 1024),
    "8192": range(16384, 61441, 4096),
    "16384": range(32768, 122881, 8192),
}
FARGATE_LACKS_OF_A_TASK = ["ipcMode", "placementConstraints"]
FARGATE_LACKS_OF_A_CONTAINER = ["privileged", "links", "dnsServers", "dockerSecurityOptions", "extraHosts"]
FARGATE_LACKS_OF_LINUX = ["devices", "sharedMemorySize", "maxSwap", "swappiness"]
# Bounds that the documentation names: of healthCheck, and of a restart policy.
BOUNDS = {"interval": (5, 300), "timeout": (2, 60), "retries": (1, 10), "startPeriod": (0, 300)}
RESTART_PERIOD_S = (60, 1800)


def problems(definition):
    found = ParamValidator().validate(definition, INPUT)
    if found.has_errors():
        return found.generate_report().splitlines()
    wrong = [*_enums(definition, INPUT, "")]
    containers = definition["containerDefinitions"]
    wrong += _of_the_task(definition, containers)
    for container in containers:
        wrong += [f"{container['name']}: {each}" for each in _of_a_container(container, definition)]
    return wrong


def _enums(value, shape, path):
    """Values that are none of those which the model lists: botocore leaves that to the service."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from _enums(member, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for member in value:
            yield from _enums(member, shape.member, f"{path}[]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path}: {value!r} is none of {shape.enum}"


def _of_the_task(definition, containers):
    names = [each["name"] for each in containers]
    volumes = {each["name"] for each in definition.get("volumes", [])}
    if len(set(names)) < len(names):
        yield "two containers of one name"
    if not any(each.get("essential", True) for each in containers):
        yield "no container is essential"
    if volumes != {mount["sourceVolume"] for each in containers for mount in each.get("mountPoints", [])}:
        yield "volumes and mount points do not match"
    for volume in definition.get("volumes", []):
        yield from _of_a_volume(volume, containers)
    if "FARGATE" in definition["requiresCompatibilities"]:
        yield from _of_a_fargate_task(definition)


def _of_a_volume(volume, containers):
    if "host" in volume and "dockerVolumeConfiguration" in volume:
        yield f"volume {volume['name']} is of two kinds"
    options = volume.get("dockerVolumeConfiguration", {}).get("driverOpts", {})
    waited_for = {
        each["containerName"]
        for container in containers
        for each in container.get("dependsOn", [])
        if each["condition"] in ("COMPLETE", "SUCCESS")
    }
    users = [
        container["name"]
        for container in containers
        if any(mount["sourceVolume"] == volume["name"] for mount in container.get("mountPoints", []))
    ]
    if options.get("type") == "tmpfs" and users and users[0] in waited_for:
        # Docker unmounts what its local driver has mounted when the last container that uses it has stopped.
        yield f"volume {volume['name']} is empty again when {users[0]} has ended"


def _of_a_fargate_task(definition):
    if definition["networkMode"] != "awsvpc":
        yield "Fargate: networkMode is not awsvpc"
    sizes = FARGATE_SIZES.get(definition.get("cpu"), [])
    if not definition.get("memory", "").isdigit() or int(definition["memory"]) not in sizes:
        yield "Fargate: no such pair of cpu and memory"
    if definition.get("pidMode") == "host":
        yield "Fargate: pidMode may be task alone"
    if "executionRoleArn" not in definition:
        yield "Fargate: nobody may pull the image and write the log"
    yield from (f"Fargate: no {each}" for each in FARGATE_LACKS_OF_A_TASK if each in definition)
    for volume in definition.get("volumes", []):
        if "sourcePath" in volume.get("host", {}) or "dockerVolumeConfiguration" in volume:
            yield f"Fargate: volume {volume['name']} is of a host"


def _of_a_container(container, definition):
    by_name = {each["name"]: each for each in definition["containerDefinitions"]}
    for dependency in container.get("dependsOn", []):
        other = by_name.get(dependency["containerName"])
        if other is None:
            yield f"depends on {dependency['containerName']}, which there is not"
        elif dependency["condition"] in ("COMPLETE", "SUCCESS") and other.get("essential", True):
            yield f"waits for the end of {other['name']}, which is essential"
        elif dependency["condition"] == "HEALTHY" and "healthCheck" not in other:
            yield f"waits for the health of {other['name']}, which has no health check"
    if "healthCheck" in container:
        yield from _of_a_health_check(container["healthCheck"])
    policy = container.get("restartPolicy", {})
    if not _within(policy.get("restartAttemptPeriod", RESTART_PERIOD_S[0]), RESTART_PERIOD_S):
        yield "restartAttemptPeriod is out of bounds"
    if "FARGATE" in definition["requiresCompatibilities"]:
        yield from _of_a_fargate_container(container)
    elif "memory" not in container and "memory" not in definition:
        yield "EC2: no memory"


def _of_a_health_check(check):
    if check["command"][0] not in ("CMD", "CMD-SHELL"):
        yield "a health check begins with CMD or CMD-SHELL"
    for name, bounds in BOUNDS.items():
        if name in check and not _within(check[name], bounds):
            yield f"health check: {name} is out of bounds"


def _of_a_fargate_container(container):
    linux = container.get("linuxParameters", {})
    added = set(linux.get("capabilities", {}).get("add", []))
    if added - {"SYS_PTRACE"}:
        yield "Fargate: of capabilities SYS_PTRACE alone can be added"
    if any(each["name"] != "nofile" for each in container.get("ulimits", [])):
        yield "Fargate: of limits nofile alone can be set"
    if not _within(container.get("startTimeout", 2), (2, 120)):
        yield "Fargate: startTimeout is from 2 to 120"
    lacking = [each for each in FARGATE_LACKS_OF_A_CONTAINER if each in container]
    lacking += [each for each in FARGATE_LACKS_OF_LINUX if each in linux]
    yield from (f"Fargate: no {each}" for each in lacking)


def _within(value, bounds):
    return bounds[0] <= value <= bounds[1]
