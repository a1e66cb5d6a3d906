# SPDX-License-Identifier: Apache-2.0
"""What leaves the process by system calls: private values go into the installed key, and nowhere else."""

import re
from pathlib import Path

from conftest import READABLE

WRITES = (
    "write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg,"
    "execve,symlink,symlinkat,rename,renameat,renameat2"
)


def lines_of(trace):
    """(what is written to, the bytes) of each call that strace saw."""
    for line in trace.read_text().splitlines():
        texts = re.findall(r'"((?:\\x[0-9a-f]{2})*)"', line)
        data = b"".join(bytes.fromhex(text.replace("\\x", "")) for text in texts)
        target = re.search(r"\w+\(\d+<([^>]*)>", line)
        path = target[1].encode().decode("unicode_escape") if target else line.split("(")[0].split()[-1]
        yield path, data


def test_writes_of_a_fetch(agent, put, secrets, scanner, client, client_document, enclave, tmp_path):
    """To files, sockets, pipes, and programs: all that it writes, before it is encrypted or after."""
    secrets.key(client.key)
    trace = tmp_path / "trace"
    strace = [
        "strace",
        "-f",
        "-qq",
        "-y",
        "-xx",
        "-s",
        "1000000",
        "-e",
        f"trace={WRITES}",
        "-o",
        str(trace),
        *READABLE,
    ]
    arguments = ["--log-level=debug", "--combined", "--on-change-exec=/bin/true"]
    agent.fetch(put(client_document), *arguments, endpoint=enclave.endpoint, prefix=strace).succeeded(
        "installed"
    )
    found, count = {}, 0
    for path, data in lines_of(trace):
        count += 1
        for hit in scanner.scan(secrets.all(), data):
            found.setdefault(path, set()).add(hit[0].split()[0])
    assert count > 20
    assert {Path(path).name for path in found} == {"client.key", "client.pem"}, found
    assert all(path.startswith(str(agent.dir)) and kinds == {"key"} for path, kinds in found.items()), found


def test_argv_and_environ_of_what_it_starts(agent, put, secrets, scanner, good, pair, tmp_path):
    """Those of the hook, written down by itself."""
    secrets.key(pair.key)
    seen = tmp_path / "seen"
    hook = tmp_path / "hook"
    hook.write_text(
        f"#!/bin/sh\ncat /proc/$$/environ /proc/$$/cmdline /proc/$PPID/cmdline /proc/$PPID/environ >{seen}\n"
    )
    hook.chmod(0o755)
    agent.fetch(put(good), f"--on-change-exec={hook}").succeeded("hook_done")
    assert b"MTLS_AGENT_" in seen.read_bytes()
    assert not scanner.scan(secrets.all(), seen.read_bytes())
