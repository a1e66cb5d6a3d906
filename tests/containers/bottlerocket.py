# SPDX-License-Identifier: Apache-2.0
"""
A Bottlerocket host as far as its containers see it: file systems, what host-ctr mounts into a bootstrap or
host container, its rights, and what its end means for the boot. SELinux is stood for by a read-only /etc.
"""

import base64
import tomllib
from pathlib import Path

from oci import DEFAULT_CAPABILITIES, Container, bind

PRIVILEGES = ["SYS_ADMIN", "NET_ADMIN", "SYS_CHROOT", "SYS_MODULE", "AUDIT_CONTROL"]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What each kind may be told, and of which type it is.
SETTINGS = {
    "bootstrap-containers": {"source": str, "mode": str, "essential": bool, "user-data": str},
    "host-containers": {"source": str, "enabled": bool, "superpowered": bool, "user-data": str},
}
MODES = ("always", "once", "off")


def read_settings(path):
    """The kind, name and settings of the one container that a file of settings is about."""
    ((kind, containers),) = tomllib.loads(path.read_text())["settings"].items()
    ((name, settings),) = containers.items()
    for key, value in settings.items():
        assert isinstance(value, SETTINGS[kind][key]), f"{key} = {value!r}"
    assert settings["source"] and settings.get("mode", "off") in MODES
    return kind, name, settings


class Host:
    """Its root in the test's mount namespace: / is read-only, /run in memory; /var and /local stay."""

    def __init__(self, runtime, directory, mounts):
        self.runtime, self._mounts = runtime, list(mounts)
        self.root = Path(directory) / "host"
        for each in ("etc", "run", "var/lib", "local", "mnt", "usr"):
            (self.root / each).mkdir(parents=True)
        self._count = 0
        for part in (".", "var", "local"):
            runtime.inside("mount", "--bind", self.root / part, self.root / part)
        runtime.inside("mount", "-t", "tmpfs", "-o", "ro", "etc", self.root / "etc")
        self._mount_run()
        runtime.inside("mount", "-o", "remount,bind,ro", self.root)

    def _mount_run(self):
        self.runtime.inside("mount", "-t", "tmpfs", "-o", "mode=0755", "run", self.root / "run")

    def know_no_names(self, hosts):
        """From now on containers have these hosts."""
        self._mounts[0] = bind(hosts, "/etc/hosts", "ro")

    def reboot(self):
        self.runtime.inside("umount", self.root / "run")
        self._mount_run()

    def start(self, kind, name, settings, image, memlock=65536):
        """Starts a container as host-ctr does, without arguments and environment but the image's."""
        persistent = self.root / "local" / kind / name
        persistent.mkdir(parents=True, exist_ok=True)
        (persistent / "user-data").write_bytes(base64.b64decode(settings["user-data"], validate=True))
        with_root = kind == "bootstrap-containers" or settings.get("superpowered", False)
        mounts = [
            *self._mounts,
            bind(persistent, f"/.bottlerocket/{kind}/{name}"),
            bind(persistent, f"/.bottlerocket/{kind}/current"),
            *([bind(self.root, "/.bottlerocket/rootfs", "ro")] if with_root else []),
        ]
        self._count += 1
        return Container(
            self.runtime,
            f"{name}-{self._count}",
            image.root,
            [*image.entrypoint, *image.command],
            environment={"PATH": PATH},
            mounts=mounts,
            capabilities=[*DEFAULT_CAPABILITIES, *PRIVILEGES],
            memlock=memlock,
            pid=0,
        )

    def boot(self, settings, image, **options):
        """Runs the bootstrap container to its end: it, and whether the boot goes on to start ECS."""
        container = self.start("bootstrap-containers", "mtls-agent", settings, image, **options)
        return container, container.wait() == 0 or not settings.get("essential", False)

    def installed(self, directory):
        """The names in a directory of the host, with modes and owners."""
        return self.runtime.output(
            "stat",
            "-Lc",
            "%n %a %u:%g",
            *[self.root / directory.lstrip("/") / name for name in ("client.crt", "client.key", "ca.crt")],
        )
