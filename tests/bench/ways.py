# SPDX-License-Identifier: Apache-2.0
"""The same work, done in different ways: who does it, how it is called, what must be on the host for it."""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "bench"
ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:"
AGENT = ROOT / "build" / "mtls-agent"
FOREIGN = ROOT / "build" / "aarch64" / "mtls-agent"
SITE = Path(sys.executable).parents[1] / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"


def bytes_of(*paths):
    """Of files and of folders with all that is in them."""
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())


class Way:
    """Its name; what to run, of which FOLDER, ENDPOINT and SECRET... are the last arguments; what it needs."""

    def __init__(self, name, command, needs, start):
        self.name, self.command, self.bytes, self.start = name, command, bytes_of(*needs), start

    def fetch(self, folder, endpoint, secrets):
        return [*map(str, self.command), str(folder), endpoint, *secrets]


class OurWay(Way):
    """A subdirectory for each of several secrets, which are then named by their ARN."""

    def fetch(self, folder, endpoint, secrets):
        sets = secrets if len(secrets) == 1 else [f"{name}={ARN}{name}" for name in secrets]
        options = [f"--dir={folder}", f"--endpoint={endpoint}", *(f"--secret={one}" for one in sets)]
        return [*map(str, self.command), *options]


def go(program):
    """A program of the Go module beside this file, small as Go can make it."""
    binary = BUILD / program
    command = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, f"./{program}"]
    subprocess.run(command, cwd=HERE / "go", check=True)
    return binary


def found(name):
    path = shutil.which(name)
    return Path(path).resolve() if path else None


def site(*names):
    return [SITE / name for name in names]


def ways():
    """Those that this machine has what they need for, ours first; and why others are left out."""
    left_out = []
    rows = [OurWay("mtls-agent", [AGENT, "fetch"], [AGENT.resolve()], [AGENT, "--version"])]
    if found("go"):
        binary = go("fetch")
        rows.append(Way("Go, aws-sdk-go-v2", [binary], [binary], [binary]))
    else:
        left_out.append("Go: no go")
    boto = site("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3")
    python = [sys.executable, HERE / "fetch.py"]
    rows.append(Way("Python, boto3", python, [found("python3"), *boto], [sys.executable, "-c", "import boto3"]))
    if found("npm"):
        shutil.copytree(HERE / "node", BUILD / "node", dirs_exist_ok=True)
        subprocess.run(["npm", "install", "--no-package-lock", "--silent"], cwd=BUILD / "node", check=True)
        sdk = BUILD / "node" / "node_modules"
        node = ["node", BUILD / "node" / "fetch.js"]
        rows.append(Way("Node, AWS SDK", node, [found("node"), sdk], ["node", "-e", ""]))
    else:
        left_out.append("Node: no npm")
    if all(map(found, ("aws", "jq", "curl", "openssl"))):
        tools = [found(name) for name in ("jq", "curl", "openssl")]
        start = ["aws", "--version"]
        rows.append(Way("AWS CLI, jq, curl", [HERE / "fetch.sh"], [*tools, *cli()], start))
    else:
        left_out.append("shell: no aws, jq, curl or openssl")
    return rows, left_out


def cli():
    """What `aws` loads, told by itself: a script beside its packages, or a bundle."""
    aws = found("aws")
    code = "import awscli, botocore, os; print(*(os.path.dirname(m.__file__) for m in (awscli, botocore)), sep='\\n')"
    for python in (aws.parent / "python3", aws.parent / "python", Path("python3")):
        told = subprocess.run([str(python), "-c", code], text=True, capture_output=True)
        if told.returncode == 0:
            return [Path(line) for line in told.stdout.split("\n") if line]
    return [aws.parent]
