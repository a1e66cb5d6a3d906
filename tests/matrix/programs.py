# SPDX-License-Identifier: Apache-2.0
"""Programs and packages of others that the servers here are made of: built once, kept by what they are built from."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

from servers.enclave import CACHE

HERE = Path(__file__).resolve().parent
PROGRAMS = CACHE / "servers"


class Missing(Exception):
    """This machine lacks what a server needs."""


def need(*commands):
    for command in commands:
        if not shutil.which(command, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            raise Missing(f"there is no {command} here")


def need_file(path, package):
    if not Path(path).exists():
        raise Missing(f"there is no {path} here ({package})")


def run(*command, cwd=HERE, **more):
    done = subprocess.run([*map(str, command)], cwd=cwd, env={**os.environ, **more}, text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} fails:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def kept(name, sources, tools, make):
    """The folder that make(folder) has filled, once for these sources, tools and this machine."""
    digest = hashlib.sha256(f"{platform.machine()} {tools}".encode())
    for path in sorted(sources):
        digest.update(os.path.relpath(path, HERE).encode() + path.read_bytes())
    folder = PROGRAMS / f"{name}-{digest.hexdigest()[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = folder.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            make(making)
            making.rename(folder)
    return folder


def rust(name):
    """One of rust/src/bin."""
    need("cargo", "cc")
    sources = [HERE / "rust/Cargo.toml", HERE / "rust/Cargo.lock", *(HERE / "rust/src").rglob("*.rs")]

    def make(folder):
        target = folder / "target"
        run("cargo", "build", "--release", "--locked", "--bins", cwd=HERE / "rust", CARGO_TARGET_DIR=str(target))
        for each in (HERE / "rust/src/bin").glob("*.rs"):
            shutil.copy(target / "release" / each.stem, folder)
        shutil.rmtree(target)

    return kept("rust", sources, run("cargo", "--version"), make) / name


def java():
    """The folder of the classes of java/Enclave.java."""
    need("java", "javac")
    source = HERE / "java/Enclave.java"
    return kept("java", [source], run("javac", "-version"), lambda folder: run("javac", "-d", folder, source))


def c(name, header, package, *libraries):
    """c/NAME.c, with a library that the machine has."""
    need("cc")
    need_file(header, package)
    sources = [HERE / f"c/{name}.c", HERE / "c/common.h"]

    def make(folder):
        run("cc", "-O1", "-Wall", "-Wextra", "-o", folder / name, sources[0], *(f"-l{each}" for each in libraries))

    return kept(name, sources, Path(header).stat().st_mtime_ns, make) / name


def python():
    """A python with what python/requirements.txt names."""
    need("python3")
    requirements = HERE / "python/requirements.txt"

    def make(folder):
        # pip writes no path that it runs from but into scripts, which nobody calls.
        run("python3", "-m", "pip", "install", "--quiet", "--target", folder / "packages", "-r", requirements)

    return kept("python", [requirements], run("python3", "--version"), make) / "packages"
