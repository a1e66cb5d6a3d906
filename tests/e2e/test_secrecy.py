# SPDX-License-Identifier: Apache-2.0
"""Nothing secret leaves the agent but into the installed files: not by logs, process lists, or others' errors."""

import base64
from pathlib import Path

import pytest

from agent import DRY_RUN, wait_for
from servers.aws import aws_error
from servers.http import HOLD
from servers.imds import Imds
from servers.pki import Pair, document
from test_credentials import NO_KEYS, session_environment

FORMATS = pytest.mark.parametrize("log_format", ["text", "json"])


def of_key(pem):
    """Pieces by which a private key would be recognised: as PEM, or in hexadecimal."""
    lines = pem.splitlines()[1:-1]
    binary = base64.b64decode("".join(lines))
    return [line[:32] for line in lines] + [
        binary[at : at + 16].hex() for at in range(0, len(binary) - 16, 16)
    ]


def of_text(*secrets):
    """And those of secret texts: their beginning, middle and end."""
    return [secret[at : at + 16] for secret in secrets for at in (0, len(secret) // 2 - 8, len(secret) - 16)]


def assert_clean(text, pieces):
    found = [piece for piece in pieces if piece.lower() in text.lower()]
    assert not found, f"{found} in:\n{text}"


@pytest.fixture(scope="module")
def session(aws_server):
    return aws_server.session()


def test_what_leaks_would_be_found(agent, put, good, pair, session):
    """The searches below find what they look for where it is."""
    agent.fetch(put(good)).succeeded("installed")
    for text in (
        agent.file("client.key"),
        f"x{session['SessionToken']}x",
        f"x{session['SecretAccessKey'].upper()}x",
    ):
        with pytest.raises(AssertionError):
            assert_clean(
                text, of_key(pair.key) + of_text(session["SecretAccessKey"], session["SessionToken"])
            )


@FORMATS
def test_nothing_secret_is_logged(agent, tmp_path, put, good, pair, session, enclave, up, log_format):
    """At the most talkative level, through metadata, AWS and an enclave."""
    imds = up(Imds(session))
    log = tmp_path / "log"
    result = agent.fetch(
        put(good),
        "--log-level=debug",
        f"--log-file={log}",
        log_format=log_format,
        endpoint=enclave.endpoint,
        env={**NO_KEYS, **imds.environment()},
    )
    assert result.status == 0
    tokens = list(imds.tokens)
    assert len(tokens) == 1
    pieces = of_key(pair.key) + of_text(session["SecretAccessKey"], session["SessionToken"], *tokens)
    assert_clean(result.stdout + result.stderr + log.read_text(), pieces)


@pytest.mark.parametrize("damage", ["truncated", "mismatch", "not base64", "document"])
def test_nothing_secret_is_logged_of_a_bad_identity(agent, put, pair, rogue, authority, damage):
    documents = {
        "truncated": document(Pair(pair.cert, pair.key[:150]), authority.pem),
        "mismatch": document(Pair(rogue.cert, pair.key), authority.pem),
        "not base64": document(Pair(pair.cert, pair.key.replace("\nM", "\n*")), authority.pem),
        "document": document(pair, authority.pem)[:-20],
    }
    result = agent.fetch(put(documents[damage]), "--log-level=debug")
    assert result.status == 65, result.stderr
    assert_clean(result.stderr, of_key(pair.key))


def test_an_error_that_echoes_the_session_token(agent, aws, put, good, session):
    """AWS has done that."""
    token, key = session["SessionToken"], session["SecretAccessKey"]
    aws.faults.append(
        aws_error(400, "AccessDeniedException", f"token {token[:90]} and key {key} are no good")
    )
    result = agent.fetch(put(good), "--log-level=debug", *DRY_RUN, env=session_environment(session))
    reason = result.failed(77, "aws_denied")["reason"]
    assert "[masked]" in reason
    assert_clean(result.stderr, of_text(token[:90], key))


def test_remote_text_cannot_forge_a_line(agent, aws, put, good):
    aws.faults.append(
        aws_error(400, "AccessDeniedException", "no\n2026-01-01T00:00:00Z info installed\x1b[2J\x00\u202e")
    )
    result = agent.fetch(put(good), *DRY_RUN, log_format="text")
    assert result.status == 77
    assert all(line.split()[2] != "installed" for line in result.stderr.splitlines())
    assert result.stderr.isprintable() or set(result.stderr) - {"\n"} <= set(map(chr, range(32, 127)))


def test_nothing_secret_in_the_process_list(agent, aws, put, good, session):
    """Looked at while AWS keeps the agent waiting."""
    aws.faults.append(HOLD)
    running = agent.start(*agent.fetch_arguments(put(good), deadline="80s"), env=session_environment(session))
    try:
        wait_for(lambda: aws.asked)
        proc = Path(f"/proc/{running.pid}")
        seen = "".join((proc / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ"))
    finally:
        running.child.terminate()
        running.finish()
    assert "--secret=" in seen and "AWS_CA_BUNDLE" in seen
    assert_clean(seen, of_text(session["SecretAccessKey"], session["SessionToken"]))


def test_no_core_dump_and_no_other_reader(agent, aws, put, good):
    aws.faults.append(HOLD)
    running = agent.start(*agent.fetch_arguments(put(good), deadline="80s"))
    try:
        wait_for(lambda: aws.asked)
        limits = Path(f"/proc/{running.pid}/limits").read_text()
    finally:
        running.child.terminate()
        running.finish()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]


def test_only_the_target_is_written(agent, tmp_path, put, good):
    """No temporary file anywhere: what is opened for writing lies in the target, but for the lock."""
    trace = tmp_path / "trace"
    strace = [
        "strace",
        "-f",
        "-qq",
        "-e",
        "trace=open,openat,creat,mkdir,mkdirat,link,linkat,symlink,symlinkat,rename,renameat,renameat2",
        "-o",
        str(trace),
    ]
    agent.fetch(put(good), prefix=strace).succeeded("installed")
    writing = [
        line
        for line in trace.read_text().splitlines()
        if "= -1" not in line and ("O_WRONLY" in line or "O_RDWR" in line or "O_CREAT" in line)
    ]
    assert writing
    for line in writing:
        if '"' not in line:  # a name on the locked stack, which strace cannot read: below an open directory
            assert "openat(AT_FDCWD" not in line and " openat(" in line, line
            continue
        path = line.split('"')[1]
        assert not path.startswith("/") or path.startswith(str(agent.dir)), line
