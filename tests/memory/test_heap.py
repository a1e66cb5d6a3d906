# SPDX-License-Identifier: Apache-2.0
"""Who uses the ordinary heap: of our objects those without a secret, of the libraries who is named here."""

import platform
import re
import subprocess
from pathlib import Path

import pytest

from agent import ROOT
from conftest import variant
from servers.imds import Imds
from servers.namespace import Namespace
from test_credentials import NO_KEYS

OBJECTS = ROOT / "build" / platform.machine() / "obj" / "src"
ALLOCATORS = (
    "malloc calloc realloc reallocarray aligned_alloc posix_memalign memalign strdup strndup asprintf "
    "vasprintf getline getdelim fopen fdopen fmemopen open_memstream setenv putenv"
).split()
# Room or file: what of it is on the ordinary heap.
PUBLIC = {
    "config/": "the configuration, in which no credential may stand",
    "run/": "what run publishes and looks at",
    "metrics/": "series, and what is written of them",
    "aws/roots.o": "AWS's roots",
    "base/aside.o": "what is written aside: log lines, status, metrics",
    "base/buf.o": "of buffers that are marked as public: roots, status, metrics, notes, what probe prints",
    "base/json.o": "tokens of JSON that is public: the status file's",
    "commands/attest.o": "results of attestations",
    "commands/fetch.o": "outcomes and errors",
    "commands/probe.o": "results of probes",
    "doctor/": "results of probes, and of look-ups",
    "enclave/probe.o": "what attestations came to",
    "enclave/rehearse.o": "results of probes",
    "sandbox/sandbox_paths.o": "paths, of the configuration",
    "identity/anchors.o": "certificates",
    "identity/report.o": "what inspect says",
    "net/getaddrinfo.o": "addresses of a name",
    "net/resolv_conf.o": "resolv.conf and hosts",
    "net/tls.o": "a ticket of the server's, which is nothing without its secret",
    "net/tls_cache.o": "such tickets",
    "net/tls_peer.o": "the chain that a peer sends",
}
# Of the libraries: libc itself where it reads a directory and a file. (calloc is malloc's own.)
LIBRARIES = {"libc.a calloc.lo", "libc.a fdopendir.lo", "libc.a __fdopen.lo"}


def test_our_objects():
    sources = ROOT / "src"
    objects = [(OBJECTS / source.relative_to(sources)).with_suffix(".o") for source in sources.rglob("*.c")]
    symbols = subprocess.run(
        ["nm", "-u", "-A", *objects], check=True, text=True, stdout=subprocess.PIPE
    ).stdout
    found = {}
    for line in symbols.splitlines():
        path, name = line.split(":")[0], line.split()[-1]
        if name in ALLOCATORS:
            found.setdefault(str(Path(path).relative_to(OBJECTS)), set()).add(name)
    stray = {name: calls for name, calls in found.items() if not name.startswith(tuple(PUBLIC))}
    assert len(objects) > 100 and not stray
    assert all(any(name.startswith(part) for name in found) for part in PUBLIC), "one is not needed"


def places(program):
    """(start, end, object) of all code, by the linker's map."""
    found = []
    text = (program.parent / f"{program.name}.map").read_text()
    for match in re.finditer(r"^ *([0-9a-f]+) +[0-9a-f]+ +([0-9a-f]+) +\d+ {9}(\S+):\(\.text\S*\)$", text, re.M):
        start, size = int(match[1], 16), int(match[2], 16)
        if size:
            archive = re.fullmatch(r".*/(lib\w+\.a)\(([^)]*)\)", match[3])
            found.append((start, start + size, f"{archive[1]} {archive[2]}" if archive else match[3]))
    return found


@pytest.fixture
def nowhere(up, tmp_path):
    """A network in which AWS has a name, and nobody listens."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 aws.test\n")
    mount = 'mount --bind "$0" /etc/hosts && exec "$@"'
    return [*up(Namespace(tmp_path / "namespace")).enter, "sh", "-c", mount, str(hosts)]


def test_libcurl_and_the_rest_at_work(agent, aws, put, good, enclave, up, tmp_path, nowhere):
    """
    Every call of the allocator in a fetch with metadata, AWS and an enclave, in one that fails, and in
    one that has a name to resolve.
    """
    imds = up(Imds(aws.session()))
    program = variant("counting")
    log = tmp_path / "allocations"
    environment = {"ALLOCATIONS": str(log), **NO_KEYS, **imds.environment()}
    arguments = agent.fetch_arguments(put(good), endpoint=enclave.endpoint)
    agent.run(*arguments, env=environment, program=program).succeeded("installed")
    arguments = agent.fetch_arguments(put("no JSON"), endpoint=enclave.endpoint)
    assert agent.run(*arguments, env=environment, program=program).status == 65
    environment = {"ALLOCATIONS": str(log), "AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://aws.test"}
    arguments = agent.fetch_arguments(put(good), "--if-unreachable=fail", deadline="4s")
    assert agent.run(*arguments, env=environment, program=program, prefix=nowhere).status == 69

    known = places(program)
    callers = set()
    for line in log.read_text().split():
        at = int(line, 16)
        callers |= {name for start, end, name in known if start < at <= end} or {f"nobody at {line}"}
    ours = {name.partition("/obj/src/")[2] for name in callers if "/obj/src/" in name}
    assert {"config/config.o", "net/tls_peer.o"} <= ours
    assert not {name for name in ours if not name.startswith(tuple(PUBLIC))}
    libraries = {name for name in callers if "/obj/" not in name}
    assert libraries <= LIBRARIES, libraries - LIBRARIES
    assert "net/getaddrinfo.o" in ours
