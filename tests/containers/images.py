# SPDX-License-Identifier: Apache-2.0
"""The roots that containers run on: the agent's own, with the program alone, and one with Python."""

import os
import shutil
import sys
from pathlib import Path

from agent import PROGRAM, ROOT
from oci import bind
from task import Image

APPS = Path(__file__).resolve().parent / "apps"
AGENT, ROOT_USER = (10001, 10001), (0, 0)


def agent_image(directory, owner, ca_bundle=None):
    """A scratch image: /mtls-agent, and where it installs; the bundle in place of Amazon's roots."""
    root = Path(directory)
    (root / "etc/ecs/mtls").mkdir(parents=True)
    os.chown(root / "etc/ecs/mtls", *owner)
    shutil.copy(PROGRAM, root / "mtls-agent")
    if ca_bundle:
        shutil.copy(ca_bundle, root / "aws-ca.pem")
    return Image(root, ["/mtls-agent"], "{}:{}".format(*owner))


def app_image(directory, program):
    """This machine's Python with the tests' packages, platform/clients, and one of apps/ as entry point."""
    root = Path(directory)
    python = {Path(place) for place in ("/usr", sys.base_prefix, sys.prefix)}
    mounts = [bind(place.resolve(), place, "ro") for place in sorted(python)]
    mounts += [bind(ROOT / "platform/clients/python", "/clients", "ro"), bind(APPS, "/apps", "ro")]
    for mount in mounts:
        (root / mount["destination"].lstrip("/")).mkdir(parents=True)
    for each in ("bin", "lib", "lib64"):
        (root / each).symlink_to(f"usr/{each}")
    entrypoint = ["/usr/bin/env", "PYTHONPATH=/clients", sys.executable, "-B", f"/apps/{program}"]
    return Image(root, entrypoint, mounts=mounts)


def images(directory, ca_bundle, app="follow.py"):
    """By the part of an image's name behind the registry."""
    directory = Path(directory)
    return {
        "mtls-agent:nonroot": agent_image(directory / "nonroot", AGENT, ca_bundle),
        "mtls-agent:host": agent_image(directory / "host", ROOT_USER, ca_bundle),
        "app:1": app_image(directory / "app", app),
        "pause": app_image(directory / "pause", "pause.py"),
    }
