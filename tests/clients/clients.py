# SPDX-License-Identifier: Apache-2.0
"""The programs of platform/clients, built once: each kind is the command that runs it, and its variables."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from agent import ROOT
from programs import Missing, kept, need, run
from servers.enclave import CACHE
from servers.process import BUILD

HERE = Path(__file__).resolve().parent
CLIENTS = ROOT / "platform" / "clients"


def need_version(least, *command):
    """The first numbers that the command prints are at least these."""
    need(command[0])
    version = tuple(map(int, re.search(r"(\d+)\.(\d+)", run(*command)).groups()))
    if version < least:
        raise Missing(f"{command[0]} here is {'.'.join(map(str, version))}, and {'.'.join(map(str, least))} is needed")


def with_packages(name):
    """The variables of a Python that has what the file NAME.txt here asks for."""
    asked = HERE / f"{name}.txt"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "-r", asked]
    folder = kept(f"client-{name}", [asked], sys.version, lambda folder: run(*install, "--target", folder / "packages"))
    return {"PYTHONPATH": str(folder / "packages")}


def python(name, packages=None):
    def command():
        return [sys.executable, CLIENTS / "python" / name], with_packages(packages) if packages else {}

    return command


def node():
    need("node")
    return ["node", CLIENTS / "node/watermark.js"], {}


def undici():
    """In a copy: what npm installs lies beside the programs."""
    need_version((20, 18), "node", "--version")
    need("npm")
    sources = [*(CLIENTS / "node").glob("*.js*")]

    def make(folder):
        for source in sources:
            shutil.copy(source, folder)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)

    return ["node", kept("client-node", sources, run("npm", "--version"), make) / "watermark-undici.js"], {}


def go(name):
    def command():
        need_version((1, 19), "go", "version")
        sources = [*(CLIENTS / "go").rglob("*.go"), CLIENTS / "go/go.mod"]
        offline = {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "", "CGO_ENABLED": "0"}
        caches = {"GOCACHE": str(CACHE / "go"), "GOPATH": str(CACHE / "gopath")}

        def make(folder):
            run("go", "build", "-trimpath", "-o", f"{folder}/", "./...", cwd=CLIENTS / "go", **offline, **caches)

        return [kept("client-go", sources, run("go", "version"), make) / name], {}

    return command


def java():
    need_version((11, 0), "javac", "-version")
    need("java")
    sources = [*(CLIENTS / "java").glob("*.java")]
    classes = kept("client-java", sources, run("javac", "-version"), lambda folder: run("javac", "-d", folder, *sources))
    return ["java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", classes, "Watermark"], {}


def rust():
    need_version((1, 85), "cargo", "--version")
    need("cc")
    crate = CLIENTS / "rust"

    def make(folder):
        target = BUILD / "clients/rust"
        run("cargo", "build", "--release", "--locked", cwd=crate, CARGO_TARGET_DIR=str(target))
        shutil.copy(target / "release/watermark", folder)

    sources = [*crate.glob("Cargo.*"), *crate.rglob("src/*.rs")]
    return [kept("client-rust", sources, run("cargo", "--version"), make) / "watermark"], {}


def c():
    need("cc")
    asked = ["cc", "-E", "-P", "-xc", "-"]
    text = "#include <curl/curl.h>\nversion LIBCURL_VERSION_NUM\n"
    seen = subprocess.run(asked, input=text, text=True, capture_output=True)
    version = re.search(r"^version (0x\w+)", seen.stdout, re.MULTILINE)
    if seen.returncode != 0 or not version or int(version[1], 16) < 0x075500:
        raise Missing("there is no <curl/curl.h> of 7.85 or later here (libcurl4-openssl-dev)")
    sources = [*(CLIENTS / "c").glob("*.[ch]")]
    strict = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]

    def make(folder):
        programs = [source for source in sources if source.suffix == ".c"]
        run("cc", *strict, "-o", folder / "watermark", *programs, "-lcurl")

    return [kept("client-c", sources, version[1] + run("cc", "--version"), make) / "watermark"], {}


KINDS = {
    "Python requests": python("watermark.py"),
    "Python httpx": python("watermark_httpx.py", "httpx"),
    "Node https": node,
    "Node undici": undici,
    "Go net/http": go("watermark"),
    "Java java.net.http": java,
    "Rust reqwest": rust,
    "C libcurl": c,
}

SERVERS = {"Go": go("server"), "Python": python("server.py")}


def environment(directory, **more):
    """What a program of ours is given, and nothing of this machine's own settings."""
    return {"PATH": os.environ["PATH"], "HOME": str(directory), "CERT_DIR": str(directory), **more}
