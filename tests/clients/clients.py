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
    version = tuple(int(part or 0) for part in re.search(r"(\d+)(?:\.(\d+))?", run(*command)).groups())
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
    """In a copy: npm installs into the folder of the programs."""
    need_version((20, 18), "node", "--version")
    need("npm")
    sources = [*(CLIENTS / "node").glob("*.js*")]

    def make(folder):
        for source in sources:
            shutil.copy(source, folder)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)

    return ["node", kept("client-node", sources, run("npm", "--version"), make) / "watermark-undici.js"], {}


def go(name, *more):
    """more: files that are built into the program too."""

    def command():
        need_version((1, 19), "go", "version")
        module = CLIENTS / "go"
        offline = {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "", "CGO_ENABLED": "0"}
        caches = {"GOCACHE": str(CACHE / "go"), "GOPATH": str(CACHE / "gopath")}

        def make(folder):
            source = shutil.copytree(module, folder / "source")
            for each in more:
                shutil.copy(each, source / name)
            run("go", "build", "-trimpath", "-o", folder / "program", f"./{name}", cwd=source, **offline, **caches)

        sources = [*module.rglob("*.go"), module / "go.mod", *more]
        return [kept(f"client-go-{name}", sources, run("go", "version"), make) / "program"], {}

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


def crowd(kind, name=None):
    """A program that asks by many threads or the like at the same time; how many is its argument."""

    def command():
        argv, more = kind()
        *interpreter, program = argv
        if name:
            path = {"PYTHONPATH": f"{CLIENTS / 'python'}:{more.get('PYTHONPATH', '')}"}
            return [*interpreter, CROWDS / "crowd.py", name], path
        return [*interpreter, CROWDS / "crowd.js", program], more

    return command


CROWDS = HERE / "crowds"
MANY = {
    "Python requests": crowd(KINDS["Python requests"], "watermark"),
    "Python httpx": crowd(KINDS["Python httpx"], "watermark_httpx"),
    "Node https": crowd(node),
    "Node undici": crowd(undici),
    "Go net/http": go("watermark", CROWDS / "crowd.go"),
}

SERVERS = {"Go": go("server"), "Python": python("server.py")}


def environment(directory, **more):
    """What a program of ours is given, and nothing of this machine's own settings."""
    return {"PATH": os.environ["PATH"], "HOME": str(directory), "CERT_DIR": str(directory), **more}
