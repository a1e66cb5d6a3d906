# SPDX-License-Identifier: Apache-2.0
"""
Containers as ECS makes them, without a daemon: images unpacked by umoci, run by runc in a network of the test's own, with
Docker's seccomp profile, no capability, a root that is read-only, and what Docker mounts.
"""

import itertools
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

from agent import Running, Service

TARGET = "/etc/ecs/mtls"
HOSTS = "127.0.0.1 localhost aws.test enclave.test\n::1 localhost\n"
PROFILE = Path("/usr/share/containers/seccomp.json")
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
MIB = 1 << 20
_numbers = itertools.count(1)


def unpack(image, directory, arch=ARCH):
    """Unpacks IMAGE ("FOLDER:TAG", an OCI layout) for one architecture into a bundle for runc."""
    directory = Path(directory)
    one = directory / "one"
    copy = [
        "skopeo",
        "--insecure-policy",
        "--override-arch",
        arch,
        "copy",
        "-q",
        f"oci:{image}",
        f"oci:{one}:x",
    ]
    subprocess.run(copy, check=True)
    subprocess.run(["umoci", "unpack", "--image", f"{one}:x", directory / "bundle"], check=True)
    shutil.rmtree(one)
    return directory / "bundle"


def seccomp_profile():
    """The profile as Docker and its kin resolve it for a container without capabilities."""
    profile = json.loads(PROFILE.read_text())
    rules = [
        {
            key: value
            for key, value in rule.items()
            if key in ("names", "action", "args", "errnoRet") and value
        }
        for rule in profile["syscalls"]
        if ARCH in rule.get("includes", {}).get("arches", [ARCH]) and not rule.get("includes", {}).get("caps")
    ]
    arches = [
        each
        for each in profile["archMap"]
        if each["architecture"] == f"SCMP_ARCH_{platform.machine().upper()}"
    ]
    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "architectures": [arches[0]["architecture"], *arches[0]["subArchitectures"]],
        "syscalls": rules,
    }


def bind(source, destination, *options):
    return {"type": "bind", "source": str(source), "destination": destination, "options": ["bind", *options]}


class Container:
    """
    A container of a bundle, which may be used by many. volume: what is mounted at TARGET; None: nothing. files: of the
    host, by where the container sees them. Whoever makes it removes it.
    """

    def __init__(self, bundle, directory, network, env, volume, command=None, files=None, memlock=8 * MIB):
        self.name = f"mtls-agent-test-{os.getpid()}-{next(_numbers)}"
        self.dir = Path(directory) / self.name
        self.dir.mkdir()
        self.runc = ["runc", "--root", str(self.dir / "runc")]
        config = json.loads((Path(bundle) / "config.json").read_text())
        self._confine(config, memlock)
        config["root"] = {"path": str(Path(bundle) / "rootfs"), "readonly": True}
        config["process"]["env"] += [f"{name}={value}" for name, value in env.items() if value is not None]
        if command:
            config["process"]["args"][1:] = command
        namespaces = [each for each in config["linux"]["namespaces"] if each["type"] != "network"]
        config["linux"]["namespaces"] = [
            *namespaces,
            {"type": "network", "path": f"/proc/{network.pid}/ns/net"},
        ]
        config["mounts"] = [each for each in config["mounts"] if each["destination"] != TARGET]
        config["mounts"] += self._mounts(volume, files or {})
        (self.dir / "config.json").write_text(json.dumps(config))

    @staticmethod
    def _confine(config, memlock):
        process = config["process"]
        process["terminal"] = False
        process["capabilities"] = {kind: [] for kind in process["capabilities"]}
        process["rlimits"].append({"type": "RLIMIT_MEMLOCK", "soft": memlock, "hard": memlock})
        config["linux"]["seccomp"] = seccomp_profile()

    def _mounts(self, volume, files):
        for name, text in ("hosts", HOSTS), ("resolv.conf", "nameserver 127.0.0.1\n"), ("hostname", "task\n"):
            (self.dir / name).write_text(text)
            files = {**files, f"/etc/{name}": self.dir / name}
        volumes = [bind(volume, TARGET, "rw")] if volume else []
        return [*volumes, *(bind(source, name, "ro") for name, source in files.items())]

    @property
    def _run(self):
        return [*self.runc, "run", "--bundle", str(self.dir), self.name]

    def start(self):
        return Running(self._run, os.environ)

    def run(self):
        return self.start().finish()

    def serve(self):
        return Service(self._run, os.environ, self.dir / "log", self.dir / "out")

    def remove(self):
        """Whatever became of it."""
        subprocess.run([*self.runc, "delete", "--force", self.name], check=True)

    def exec(self, *arguments):
        """As `docker exec`, and as ECS runs a health check: in the container's environment, as its user."""
        command = [*self.runc, "exec", self.name, "/mtls-agent", *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
