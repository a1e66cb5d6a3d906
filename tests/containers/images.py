# SPDX-License-Identifier: Apache-2.0
"""The images that containers run: the agent's own, as `make images` makes them, and one with Python."""

import functools
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from agent import ROOT
from oci import bind
from task import Image

APPS = Path(__file__).resolve().parent / "apps"
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
_unpacked_in = tempfile.TemporaryDirectory(prefix="mtls-agent-images-")  # to the end of the tests


@functools.cache
def _unpacked(tag):
    """Where the image of this machine's architecture is unpacked, and what is to be run of it."""
    directory = Path(_unpacked_in.name) / tag
    directory.mkdir()
    copy = ["skopeo", "--insecure-policy", "--override-arch", ARCH, "copy", "-q"]
    subprocess.run([*copy, f"oci:{ROOT}/build/images:{tag}", f"oci:{directory}/one:x"], check=True)
    inspect = ["skopeo", "inspect", "--config", f"oci:{directory}/one:x"]
    config = json.loads(subprocess.run(inspect, check=True, stdout=subprocess.PIPE).stdout)["config"]
    subprocess.run(["umoci", "raw", "unpack", "--image", f"{directory}/one:x", directory / "root"], check=True)
    return directory / "root", config


def agent_image(tag, directory, ca_bundle=None):
    """A copy of the agent's image, and the bundle in place of Amazon's roots."""
    source, config = _unpacked(tag)
    root = Path(directory)
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", source, root], check=True)
    if ca_bundle:
        shutil.copy(ca_bundle, root / "aws-ca.pem")
    return Image(root, config["Entrypoint"], config["Cmd"], config["User"])


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
        "mtls-agent:nonroot": agent_image("nonroot", directory / "nonroot", ca_bundle),
        "mtls-agent:host": agent_image("host", directory / "host", ca_bundle),
        "app:1": app_image(directory / "app", app),
        "pause": app_image(directory / "pause", "pause.py"),
    }
