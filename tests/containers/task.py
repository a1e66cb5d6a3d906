# SPDX-License-Identifier: Apache-2.0
"""
Runs a task definition as ECS does: volumes, users, capabilities, limits, order, health checks and restarts.
Health is asked for at once rather than each interval; log drivers, cpu and memory sizes are not here.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from agent import PATIENCE_S, wait_for
from oci import DEFAULT_CAPABILITIES, Container, bind

DEFAULT_MEMLOCK = 65536  # the least that a container host's systemd and kernel give


@dataclass
class Image:
    """A root directory, and of an image's configuration what counts here."""

    root: Path
    entrypoint: list
    command: list = field(default_factory=list)
    user: str = "0:0"
    mounts: list = field(default_factory=list)  # what stands for the parts of its root that lie elsewhere


class Volumes:
    """A task's volumes, as Docker makes them."""

    def __init__(self, runtime, directory, host):
        self.runtime, self.dir, self.host = runtime, Path(directory), Path(host)
        self._users = {}

    def path(self, volume):
        source = volume.get("host", {}).get("sourcePath")
        path = self.host / source.lstrip("/") if source else self.dir / volume["name"]
        self.runtime.inside("mkdir", "-p", "-m", "0755", path)  # root's, as dockerd makes what is not there
        return path

    def attach(self, volume, image, destination):
        """Before a container is made; of a driver's file system the first one mounts it."""
        path = self.path(volume)
        options = volume.get("dockerVolumeConfiguration", {}).get("driverOpts")
        if options and not self._users.setdefault(path, 0):
            self.runtime.inside("mount", "-t", options["type"], "-o", options["o"], options["device"], path)
        if options:
            self._users[path] += 1
            return path
        of_image = image.root / destination.lstrip("/")
        if "sourcePath" not in volume.get("host", {}) and of_image.is_dir() and not os.listdir(path):
            shutil.copystat(of_image, path)
            os.chown(path, of_image.stat().st_uid, of_image.stat().st_gid)
        return path

    def detach(self, volume):
        """After a container has stopped; the last one takes a driver's file system along."""
        path = self.path(volume)
        if path in self._users:
            self._users[path] -= 1
            if not self._users[path]:
                self.runtime.inside("umount", path)


class Stopped(Exception):
    """The task stops before all its containers run."""


class Task:
    """
    images: an Image for each name in the task definition's images, without registry. injected: variables that
    ECS sets. environment: overrides, as RunTask takes them, for every container of the agent's.
    """

    def __init__(self, definition, runtime, images, host, injected, environment=(), common_mounts=()):
        self.definition, self.runtime, self.images = definition, runtime, images
        self._injected, self._environment = dict(injected), dict(environment)
        self._common_mounts = list(common_mounts)
        directory = runtime.dir / "volumes"
        self.volumes = Volumes(runtime, directory, host)
        self._by_name = {each["name"]: each for each in definition["containerDefinitions"]}
        self._volumes = {each["name"]: each for each in definition.get("volumes", [])}
        self.containers, self._attached = {}, {}
        self._pause = None

    def start(self):
        """Starts all containers, each when it may; Stopped where one never may."""
        if self.definition.get("pidMode") == "task":
            image = self.images["pause"]
            self._pause = Container(self.runtime, "pause", image.root, image.entrypoint, mounts=image.mounts)
            wait_for(lambda: "ready" in self._pause.said(), PATIENCE_S)
        for name in self._by_name:
            self.start_one(name)
        return self

    def start_one(self, name):
        """That container, after those that it depends on: the container."""
        definition = self._by_name[name]
        for dependency in definition.get("dependsOn", []) if name not in self.containers else []:
            self.start_one(dependency["containerName"])
            self._await(dependency["containerName"], dependency["condition"])
        if name not in self.containers:
            self.containers[name] = self._run(definition)
        return self.containers[name]

    def _await(self, name, condition):
        container = self.containers[name]
        if condition == "HEALTHY":
            wait_for(lambda: self.is_healthy(name) or container.exit_status is not None, PATIENCE_S)
            if container.exit_status is not None:
                raise Stopped(
                    f"{name} ended before it was healthy: {container.exit_status}\n{container.said()}"
                )
        elif condition in ("COMPLETE", "SUCCESS"):
            status = container.wait()
            self._detach(name)
            if condition == "SUCCESS" and status != 0:
                raise Stopped(f"{name} did not succeed: {status}\n{container.said()}")

    def is_healthy(self, name):
        kind, *command = self._by_name[name]["healthCheck"]["command"]
        assert kind == "CMD"
        return self.containers[name].exec(*command).returncode == 0

    def _run(self, definition):
        image = self.images[definition["image"].rsplit("/")[-1]]
        fargate = self.definition["requiresCompatibilities"] == ["FARGATE"]
        uid, gid = (int(part) for part in definition.get("user", image.user).split(":"))
        variables = {each["name"]: each["value"] for each in definition.get("environment", [])}
        is_agent = "MTLS_AGENT_SECRET" in variables
        mounts = []
        for mount in definition.get("mountPoints", []):
            volume = self._volumes[mount["sourceVolume"]]
            path = self.volumes.attach(volume, image, mount["containerPath"])
            self._attached.setdefault(definition["name"], []).append(volume)
            mounts.append(bind(path, mount["containerPath"], "ro" if mount.get("readOnly") else "rw"))
        limits = {each["name"]: each["hardLimit"] for each in definition.get("ulimits", [])}
        return Container(
            self.runtime,
            definition["name"],
            image.root,
            [*image.entrypoint, *definition.get("command", image.command)],
            (uid, gid),
            {**self._injected, **variables, **(self._environment if is_agent else {})},
            [*self._common_mounts, *image.mounts, *mounts],
            _capabilities(definition),
            # What Fargate's limit is, nobody says: none at all is the worst.
            limits.get("memlock", 0 if fargate else DEFAULT_MEMLOCK),
            self._pause.pid if self._pause else None,
            definition.get("readonlyRootFilesystem", False),
        )

    def restart(self, name):
        """What the restart policy does for a container that has ended by itself."""
        policy = self._by_name[name].get("restartPolicy", {})
        status = self.containers[name].exit_status
        assert policy.get("enabled") and status not in policy.get(
            "ignoredExitCodes", []
        ), f"{name} is not restarted"
        self.containers[name].restart()

    def _detach(self, name):
        for volume in self._attached.pop(name, []):
            self.volumes.detach(volume)

    def stop(self):
        for name in reversed(self.containers):
            self.containers[name].stop()
            self._detach(name)
        if self._pause:
            self._pause.stop()

    def __getitem__(self, name):
        return self.containers[name]


def _capabilities(definition):
    asked = definition.get("linuxParameters", {}).get("capabilities", {})
    dropped, added = asked.get("drop", []), asked.get("add", [])
    kept = [] if "ALL" in dropped else [each for each in DEFAULT_CAPABILITIES if each not in dropped]
    return [*kept, *added]


def mounted(path, network):
    """The type of the file system that is mounted there, in a Namespace; None: nothing is."""
    found = subprocess.run(
        [*network.enter, "findmnt", "--noheadings", "--output", "FSTYPE", "--mountpoint", str(path)],
        capture_output=True,
        text=True,
    )
    return found.stdout.strip() or None
