# SPDX-License-Identifier: Apache-2.0
"""The servers of tests/e2e, and the scenes in which the agent is disturbed."""

import collections
import importlib.util
import itertools
import os
import queue
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent import ROOT
from scenes import Scene, Stage, restore
from servers.enclave import Nginx
from servers.more import with_options
from servers.pki import document

# The hooks and fixtures of the other conftest.py are ours as well.
_spec = importlib.util.spec_from_file_location("e2e_conftest", ROOT / "tests" / "e2e" / "conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)
globals().update({name: value for name, value in vars(_e2e).items() if not name.startswith("_")})

STRIDE = int(os.environ.get("FAULTS", 1))  # every so manieth fault
counted = collections.Counter()


def pytest_terminal_summary(terminalreporter):
    _e2e.pytest_terminal_summary(terminalreporter)
    for what, count in counted.items():
        terminalreporter.write_line(f"{count:12,}  {what}")
    for line in getattr(terminalreporter.config, "readings", []):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def tally():
    """Counts of what was done, printed at the end."""
    return counted


@pytest.fixture(scope="session")
def some():
    """some(list): all of it, or with FAULTS=30 a thirtieth that is spread over it; another one each time."""
    turn = itertools.count()
    return lambda faults: faults[next(turn) % min(STRIDE, len(faults)) :: STRIDE]


@pytest.fixture(scope="session")
def memory():
    """A folder in memory: fsync(2) is slow on disks."""
    directory = tempfile.mkdtemp(
        prefix="mtls-agent-faults-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    )
    yield Path(directory)
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def old(authority):
    return authority.issue("ECS-Client")


@pytest.fixture(scope="session")
def new(authority):
    return authority.issue("ECS-Client")


@pytest.fixture(scope="session")
def newer(work, authority):
    """An enclave with TLS 1.3 alone, which asks for another group than the agent's first."""
    kind = with_options(Nginx, settings="ssl_ecdh_curve secp384r1;")
    running = kind(work / "newer", authority.issue("localhost", names=["localhost"]), authority.pem, tls13_only=True)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def scenes(memory, aws_server, enclave, newer, authority, old, new):
    """Every scene by its name; AWS gives the new set from here on."""
    arn = aws_server.put("faults", document(old, authority.pem))
    stage = Stage(memory / "made", aws_server.environment())
    arguments = [
        "fetch",
        "--log-format=json",
        "--deadline=8s",
        f"--secret={arn}",
        f"--endpoint={enclave.endpoint}",
    ]
    files = {"client.crt": new.cert, "client.key": new.key, "ca.crt": authority.pem}
    templates = {name: memory / "templates" / name for name in ("installed", "plain", "damaged", "links")}

    def install(template):
        whole = Scene("made", None, arguments, {})
        assert stage.play(whole).status == 0
        shutil.copytree(stage.target, templates[template], symlinks=True)

    install("installed")
    aws_server.rotate("faults", document(new, authority.pem))
    restore(None, stage.target)
    install("damaged")
    (templates["damaged"] / "client.key").write_text(old.key)
    restore(templates["damaged"], templates["links"])
    (templates["links"] / "client.key").write_text(new.key)
    (templates["links"] / "client.crt").unlink()
    (templates["links"] / "ca.crt").unlink()
    (templates["links"] / "ca.crt").symlink_to("/etc/ssl/elsewhere")
    templates["plain"].mkdir()
    old.write(templates["plain"], "client")
    (templates["plain"] / "ca.crt").write_text(authority.pem)
    made = [
        Scene("first", None, arguments, files),
        Scene("rotation", templates["installed"], arguments, files),
        Scene("replacement", templates["installed"], [*arguments, "--keep-previous=0s"], files),
        Scene("adoption", templates["plain"], arguments, files),
        Scene("healing", templates["damaged"], arguments, files),
        Scene("links", templates["links"], arguments, files, by_name=True),
        Scene("tls13", templates["installed"], [*arguments[:-1], f"--endpoint={newer.endpoint}"], files),
    ]
    return {scene.name: scene for scene in made}


@pytest.fixture(scope="session")
def stages(memory, aws_server):
    """As many as keep the cores busy: an agent mostly waits."""
    return [Stage(memory / f"stage-{n}", aws_server.environment()) for n in range(2 * os.cpu_count())]


@pytest.fixture(scope="session")
def everywhere(stages):
    """everywhere(play, faults) is play(stage, fault) of each fault, on all stages at once."""
    free = queue.SimpleQueue()
    for stage in stages:
        free.put(stage)

    def one(play, fault):
        stage = free.get()
        try:
            return play(stage, fault)
        finally:
            free.put(stage)

    def each(play, faults):
        with ThreadPoolExecutor(len(stages)) as pool:
            return [*pool.map(lambda fault: one(play, fault), faults)]

    return each
