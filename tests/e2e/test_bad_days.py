# SPDX-License-Identifier: Apache-2.0
"""
Days on which something goes wrong. The good set stays, the log says it once, the status says what it is, and
when it is over `run` goes on by itself.
"""

import array
import contextlib
import fcntl
import json
import os
import re
import socket
import termios
import threading

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from agent import wait_for
from day import CLOCK, CYCLES, HASTY, QUICK, Day
from servers.aws import READ, aws_error
from servers.container import ContainerCredentials
from servers.enclave import Nginx
from servers.namespace import Disk, Namespace
from servers.pki import Pair, document
from servers.proxy import FaultProxy

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
DAY_S = 86400
YEAR_S = 365 * DAY_S


@pytest.fixture
def begin(serve, agent):
    """begin(secret, ...) starts a `run`, sees it well, and returns its day."""

    def start(arn, *arguments, endpoint=(), env=None, **options):
        options = {**QUICK, **options}
        service = serve(arn, "--log-level=debug", *arguments, endpoint=endpoint, env=env, **options)
        service.wait("ready", seconds=60)
        service.wait("unchanged", 2, seconds=60)
        if endpoint:
            service.wait("handshake", 2, result="accepted", seconds=60)
        return Day(agent, service)

    return start


@pytest.fixture
def rotate(aws, authority):
    """rotate(secret) puts the next good version, and returns its pair."""

    def put(arn):
        pair = authority.issue("ECS-Client")
        aws.rotate(arn, document(pair, authority.pem))
        return pair

    return put


@pytest.fixture
def own_enclave(up, tmp_path, authority):
    """nginx of the test's own, to be stopped and changed."""
    return up(Nginx(tmp_path / "enclave", authority.issue("localhost", names=["localhost"]), authority.pem))


# ---- AWS ----


@pytest.fixture
def way(aws, up):
    """The way to AWS, which can be let down, and the variables that lead there."""
    proxy = up(FaultProxy(aws.port))
    return proxy, {"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{proxy.port}"}


@pytest.mark.parametrize("action, cycles", [("reset", CYCLES), ("hold", 3)])
def test_aws_does_not_answer(begin, way, put, good, rotate, enclave, action, cycles):
    """Connections are reset, or taken without an answer ever; probes go on."""
    arn = put(good)
    proxy, env = way
    day = begin(arn, endpoint=enclave.endpoint, env=env, **HASTY)
    proxy.action, proxy.stage = action, "accept"
    event = day.endures(("kept_stale", "aws_unreachable"), cycles)
    assert event["level"] == "warning"
    day.blames("aws_unreachable", outcome="kept_stale")
    probed = len(day.since("handshake", result="accepted"))
    day.wait("handshake", probed + 2, result="accepted")
    proxy.stage = None
    day.recovers()
    day.rotates(rotate(arn))


def test_aws_fails(begin, aws, put, good, rotate):
    """503 for each request, and then all is well."""
    arn = put(good)
    day = begin(arn, **HASTY)
    aws.faults += [aws_error(503, "ServiceUnavailable", "try later")] * 10000
    day.endures(("kept_stale", "aws_busy"))
    day.blames("aws_busy", outcome="kept_stale")
    aws.faults.clear()
    day.recovers()
    day.rotates(rotate(arn))


def test_a_restart_while_aws_is_down(begin, serve, way, put, good, rotate, agent):
    """Who comes up while AWS is down serves what is installed, and is ready."""
    arn = put(good)
    proxy, env = way
    begin(arn, env=env, **HASTY).service.stop()
    proxy.action, proxy.stage = "reset", "accept"
    service = serve(arn, "--log-level=debug", env=env, **HASTY)
    service.wait("ready")
    day = Day(agent, service)
    service.wait("kept_stale", CYCLES, seconds=60)
    assert len(service.all("kept_stale", level="warning")) == 1
    assert day.kept()
    proxy.stage = None
    day.recovers()
    day.rotates(rotate(arn))


# ---- names ----


class NameServer:
    """Says that every name is 127.0.0.1, or that it is out of order, or nothing at all."""

    def __init__(self, sock):
        self.well = True
        self.rcode = 0  # where all is not well; None: no answer
        self._socket = sock
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            while True:
                query, peer = self._socket.recvfrom(512)
                if not query:
                    return
                if self.well or self.rcode is not None:
                    self._socket.sendto(self._answer(query), peer)
        except OSError:
            pass

    def _answer(self, query):
        question = query[12 : query.index(b"\0", 12) + 5]
        found = self.well and question[-4:] == b"\0\1\0\1"  # A, IN
        flags = b"\x81" + bytes([0x80 + (0 if self.well else self.rcode)])
        head = query[:2] + flags + b"\0\1\0" + bytes([found]) + b"\0\0\0\0"
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1"
        return head + question + answer * found

    def stop(self):
        with contextlib.suppress(OSError):  # it has no peer, and wakes who reads all the same
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.mark.parametrize("rcode, cycles", [(3, CYCLES), (None, 3)], ids=["nxdomain", "silent"])
def test_names_are_dead(begin, aws, up, put, good, rotate, tmp_path, rcode, cycles):
    arn = put(good)
    network = up(Namespace(tmp_path / "network"))
    names = up(NameServer(network.open("udp", "127.0.0.1", 53)))
    way = up(FaultProxy(aws.port, listener=network.open("tcp", "127.0.0.1")))
    env = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://aws.test:{way.port}"}
    day = begin(arn, env=env, prefix=network.enter, **HASTY)
    names.well, names.rcode = False, rcode
    day.endures(("kept_stale", "dns_failed"), cycles)
    day.blames("dns_failed", outcome="kept_stale")
    names.well = True
    day.recovers()
    day.rotates(rotate(arn))


# ---- the disk ----


@pytest.fixture
def disk(up, agent, tmp_path):
    return up(Disk(agent.dir, tmp_path / "disk.log"))


def test_the_disk_is_full(serve, agent, disk, put, good, rotate, tmp_path):
    """The status stands elsewhere, and says so."""
    arn = put(good)
    status = tmp_path / "status.json"
    service = serve(arn, "--log-level=debug", f"--status-file={status}", prefix=disk.enter, **QUICK)
    service.wait("unchanged", 2)
    agent.status = lambda: json.loads(status.read_text())
    day = Day(agent, service, directory=disk.dir, prefix=disk.enter)
    filler = disk.fill()
    pair = rotate(arn)
    day.endures(("error", "install_failed"))
    assert "No space left" in day.since("error")[0]["reason"]
    day.blames("install_failed", outcome="failed")
    filler.unlink()
    day.rotates(pair)
    assert len(list(disk.dir.glob("..set-*"))) == 2  # the current one and the one before, and no leftovers


def test_the_disk_is_full_for_the_status_too(serve, agent, disk, put, good, rotate):
    arn = put(good)
    service = serve(arn, "--log-level=debug", prefix=disk.enter, **QUICK)
    service.wait("unchanged", 2)
    agent.status = lambda: json.loads((disk.dir / "..status.json").read_text())
    day = Day(agent, service, directory=disk.dir, prefix=disk.enter)
    filler = disk.fill()
    pair = rotate(arn)
    day.wait("error", CYCLES, code="install_failed")
    assert sorted(map(str, day.said())) == ["('error', 'install_failed')", "not_published"]
    assert day.kept()
    assert agent.status()["sets"][0]["outcome"] == "unchanged"  # the last one that could be written, whole
    filler.unlink()
    day.rotates(pair)
    assert len(day.since("published")) == 1


# ---- credentials ----


@pytest.fixture
def user(aws):
    """A user of the test's own who may read secrets: boto3's IAM, its name, and a way to keys."""
    iam = aws.client("iam")
    name = "bad-day"
    iam.create_user(UserName=name)
    policy = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": READ, "Resource": "*"}]}
    )

    class User:
        keys = []

        def allow(self):
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)

        def deny(self):
            iam.delete_user_policy(UserName=name, PolicyName="own")

        def new_key(self):
            self.keys.append(iam.create_access_key(UserName=name)["AccessKey"])
            return self.keys[-1]

        def revoke(self, key):
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
            self.keys.remove(key)

    made = User()
    made.allow()
    yield made
    for key in list(made.keys):
        made.revoke(key)
    made.deny()
    iam.delete_user(UserName=name)


def write_profile(path, key):
    """By a rename, as one writes such a file."""
    id_, secret = key["AccessKeyId"], key["SecretAccessKey"]
    text = f"[default]\naws_access_key_id={id_}\naws_secret_access_key={secret}\n"
    path.with_suffix(".tmp").write_text(text)
    path.with_suffix(".tmp").rename(path)


@pytest.fixture
def by_profile(user, tmp_path):
    """A profile with a key of the user, and the variables that name it."""
    path = tmp_path / "credentials"
    write_profile(path, user.new_key())
    return path, {
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_SHARED_CREDENTIALS_FILE": str(path),
    }


def test_the_key_is_revoked(begin, user, by_profile, put, good, rotate):
    """Until another one stands in its place."""
    arn = put(good)
    path, env = by_profile
    day = begin(arn, env=env)
    user.revoke(user.keys[0])
    day.wait("error", CYCLES, code="credentials_unknown")
    assert day.said() == ["credentials_refused", ("error", "credentials_unknown")]
    assert day.kept()
    day.blames("credentials_unknown", outcome="failed")
    write_profile(path, user.new_key())
    day.recovers()
    day.rotates(rotate(arn))


def test_the_policy_is_taken_away(begin, user, by_profile, put, good, rotate):
    arn = put(good)
    day = begin(arn, env=by_profile[1])
    user.deny()
    day.wait("error", CYCLES, code="aws_denied")
    # Who may not describe the secret is asked for its value.
    assert day.said() == ["describe_denied", ("error", "aws_denied")]
    assert day.kept()
    day.blames("aws_denied", outcome="failed")
    user.allow()
    day.recovers()
    day.rotates(rotate(arn))


def test_the_session_has_expired(begin, aws, up, put, good, rotate):
    """It was given for hours; AWS does not take it any more, and its source has no other yet."""
    arn = put(good)
    source = up(ContainerCredentials(aws.session()))
    env = {
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": source.full_uri,
    }
    day = begin(arn, env=env)
    expired = aws_error(400, "ExpiredTokenException", "The security token included in the request is expired")
    aws.faults += [expired] * 10000
    day.wait("error", CYCLES, code="credentials_expired")
    assert day.said() == ["credentials_refused", ("error", "credentials_expired")]
    assert day.kept()
    day.blames("credentials_expired", outcome="failed")
    source.session = aws.session()
    aws.faults.clear()
    day.recovers()
    day.rotates(rotate(arn))


# ---- the secret ----


def test_the_secret_is_deleted_and_restored(begin, aws, put, good, rotate):
    arn = put(good)
    day = begin(arn)
    aws.secrets.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
    day.endures(("error", "secret_deleted"))
    day.blames("secret_deleted", outcome="failed")
    aws.secrets.restore_secret(SecretId=arn)
    day.recovers()
    day.rotates(rotate(arn))


def test_the_secret_is_gone_and_made_again(begin, aws, names, good, authority):
    """By its name, as who makes it again has another ARN."""
    name = next(names)
    aws.put(name, good)
    day = begin(name, "--region=eu-central-1")
    aws.secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    day.endures(("error", "secret_not_found"))
    day.blames("secret_not_found", outcome="failed")
    pair = authority.issue("ECS-Client")
    aws.put(name, document(pair, authority.pem))
    day.rotates(pair)


def foreign_key(pair, authority):
    return document(Pair(pair.cert, authority.issue("ECS-Client").key), authority.pem)


def half_a_pem(pair, authority):
    return document(Pair(pair.cert[:300], pair.key), authority.pem)


def without_key(pair, authority):
    return json.dumps({"client_cert": pair.cert, "ca_cert": authority.pem})


GARBAGE = {
    "not_json": ("document_invalid", lambda pair, authority: "-----BEGIN"),
    "half_a_pem": ("pem_invalid", half_a_pem),
    "foreign_key": ("key_mismatch", foreign_key),
    "no_key": ("field_missing", without_key),
}


def values_asked(aws):
    return sum(request.headers.get("X-Amz-Target", "").endswith("GetSecretValue") for request in aws.asked)


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_rotated_in(begin, aws, put, good, pair, authority, rotate, kind):
    """It is not asked for in each cycle; good ones come through at once."""
    code, make = GARBAGE[kind]
    arn = put(good)
    day = begin(arn)
    asked = values_asked(aws)
    aws.rotate(arn, make(pair, authority))
    day.endures(("error", code))
    wait_for(lambda: len(day.since("error")) >= values_asked(aws) - asked + CYCLES // 2, 60)
    day.blames(code, outcome="failed")
    day.rotates(rotate(arn))


@pytest.mark.parametrize("option", ["--expect-subject=CN=ECS-Client", "--expect-san=client.production.test"])
def test_the_secret_of_another_environment(begin, aws, put, authority, option):
    """It is a good identity, but not ours: what is expected says so."""

    def ours():
        return authority.issue("ECS-Client", names=["client.production.test"], usage=CLIENT)

    arn = put(document(ours(), authority.pem))
    day = begin(arn, option)
    theirs = authority.issue("Staging-Client", names=["client.staging.test"], usage=CLIENT)
    aws.rotate(arn, document(theirs, authority.pem))
    day.endures(("error", "identity_unexpected"))
    day.blames("identity_unexpected", outcome="failed")
    pair = ours()
    aws.rotate(arn, document(pair, authority.pem))
    day.rotates(pair)


# ---- the enclave ----


def test_the_enclave_is_down(begin, own_enclave, put, good, rotate):
    """It is said once, and each handshake at level debug; what comes meanwhile waits until it can be tried."""
    arn = put(good)
    day = begin(arn, endpoint=own_enclave.endpoint, deadline="2s")
    own_enclave.stop()
    day.wait("handshake", CYCLES, result="unreachable")
    assert day.said() == [] and day.kept()
    levels = [event["level"] for event in day.since("handshake", result="unreachable")]
    assert levels[0] == "warning" and set(levels[2:]) == {"debug"}  # the first may have met it while it stopped
    wait_for(lambda: day.status()["endpoints_accepting"] == 0)
    pair = rotate(arn)
    day.endures("kept_unproven", 2)
    wait_for(lambda: day.status()["outcome"] == "kept_unproven", 60)
    endpoint = day.agent.status()["endpoints"][0]
    assert endpoint["last"] == "unreachable" and "Connection refused" in endpoint["failure"]
    own_enclave.start(own_enclave.port)
    day.rotates(pair)
    wait_for(lambda: day.status()["endpoints_accepting"] == 1)


def let_in(enclave, authority):
    """Starts the enclave again for clients of this CA alone."""
    enclave.stop()
    enclave.ca_path.write_text(authority.pem)
    enclave.start(enclave.port)


def test_the_enclave_refuses(begin, own_enclave, put, good, rotate, authority, stranger):
    """It was started with another CA for its clients: the set is as good as before, and stays."""
    arn = put(good)
    day = begin(arn, endpoint=own_enclave.endpoint)
    let_in(own_enclave, stranger)
    day.wait("handshake", CYCLES, result="refused")
    assert day.said() == [] and day.kept()
    wait_for(lambda: day.status()["endpoints_accepting"] == 0)
    endpoint = day.agent.status()["endpoints"][0]
    assert endpoint["last"] == "refused" and endpoint["failure"]
    let_in(own_enclave, authority)
    day.wait("handshake", len(day.since("handshake", result="accepted")) + 2, result="accepted")
    wait_for(lambda: day.status()["endpoints_accepting"] == 1)
    day.rotates(rotate(arn))


def test_a_version_that_the_enclave_refuses(begin, aws, own_enclave, put, good, authority, stranger):
    """It is not tried in each cycle, but comes into place once the enclave takes it."""
    arn = put(good)
    day = begin(arn, endpoint=own_enclave.endpoint)
    asked = values_asked(aws)
    pair = stranger.issue("ECS-Client")
    aws.rotate(arn, document(pair, authority.pem + stranger.pem))
    day.endures(("error", "enclave_refused"))
    wait_for(lambda: len(day.since("error")) >= values_asked(aws) - asked + CYCLES // 2, 60)
    day.blames("enclave_refused", outcome="failed")
    own_enclave.stop()
    own_enclave.ca_path.write_text(authority.pem + stranger.pem)
    own_enclave.start(own_enclave.port)
    day.rotates(pair)


# ---- the hook ----


def script(path, text):
    path.with_suffix(".new").write_text("#!/bin/sh\n" + text)
    path.with_suffix(".new").chmod(0o755)
    path.with_suffix(".new").rename(path)


def test_the_hook_hangs(begin, put, good, rotate, tmp_path):
    """It ignores TERM. Cycles and installs go on, and it is tried again until it has done its work."""
    arn = put(good)
    hook = tmp_path / "hook"
    script(hook, "true\n")
    day = begin(arn, f"--on-change-exec={hook}", "--on-change-timeout=100ms")
    day.service.wait("hook_done")
    script(hook, "trap '' TERM\nwhile :; do sleep 1; done\n")
    day.rotates(rotate(arn))
    day.wait("error", code="hook_failed")
    day.rotates(rotate(arn))
    wait_for(lambda: day.status()["on_change"] in ("failed", "running"))
    tried = len(day.since("unchanged"))
    day.wait("unchanged", tried + 2 * CYCLES)
    assert day.said() == [("error", "hook_failed")]
    assert day.status()["on_change_error"]["code"] == "hook_failed" and day.healthy()
    script(hook, "true\n")
    day.wait("hook_done")
    wait_for(lambda: day.status()["on_change"] == "done")
    assert day.status()["on_change_error"] is None
    assert len(day.since("hook_done")) == 1


# ---- the log ----


class Fifo:
    """A pipe with a small buffer as the agent's standard error (2) or output (1), read only when asked."""

    def __init__(self, path, number):
        os.mkfifo(path)
        self._path = path
        self.prefix = ["sh", "-c", f'exec "$@" {number}>"$0"', path]
        self._fd = -1
        self.open()

    def open(self):
        self._fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, 8192)

    def close(self):
        os.close(self._fd)

    def lines(self):
        """The whole lines that are there."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self._fd, 65536).decode().splitlines()
        return []

    def drain_until(self, found, seconds=60):
        """Reads on until found(line); all whole lines of JSON that were read."""
        seen = []

        def come():
            lines = self.lines()
            seen.extend(lines)
            return any(found(line) for line in lines)

        wait_for(come, seconds)
        return [json.loads(line) for line in seen if line.startswith("{") and line.endswith("}")]

    def is_full(self):
        """Its second and last page is begun: it takes no more."""
        size = array.array("i", [0])
        fcntl.ioctl(self._fd, termios.FIONREAD, size)
        return size[0] > 4096


@pytest.fixture
def begin_by_fifo(serve, agent, tmp_path):
    """A day whose log can be read from a file, while standard error or output is a FIFO."""

    def start(arn, number, *arguments):
        fifo = Fifo(tmp_path / "fifo", number)
        log = tmp_path / "log"
        log.touch()
        service = serve(
            arn, "--log-level=debug", f"--log-file={log}", *arguments, prefix=fifo.prefix, **QUICK
        )
        service.log = log
        return fifo, service

    return start


def test_nobody_holds_the_log(begin_by_fifo, agent, put, good, rotate):
    """The collector has died: writing fails. When another one has come, lines come again."""
    arn = put(good)
    fifo, service = begin_by_fifo(arn, 2)
    fifo.drain_until(lambda line: '"unchanged"' in line)
    day = Day(agent, service)
    fifo.close()
    day.wait("unchanged", CYCLES)
    day.rotates(rotate(arn))
    assert day.said() == []
    fifo.open()
    events = fifo.drain_until(lambda line: '"unchanged"' in line)
    assert [event["event"] for event in events].count("log_lines_lost") == 1
    day.rotates(rotate(arn))


def test_nobody_reads_the_log(begin_by_fifo, agent, put, good, rotate, tmp_path):
    """The pipe is full. Nothing waits for it, and what was lost is counted."""
    arn = put(good)
    metrics = tmp_path / "metrics.prom"
    fifo, service = begin_by_fifo(arn, 2, f"--metrics-file={metrics}")

    def lost():
        found = re.search(r"^mtls_agent_log_lines_dropped_total (\d+)", metrics.read_text(), re.MULTILINE)
        return int(found.group(1)) if found else 0

    fifo.drain_until(lambda line: '"unchanged"' in line)
    day = Day(agent, service)
    wait_for(lost, 60)
    tried = len(day.since("unchanged"))
    day.wait("unchanged", tried + CYCLES)
    day.rotates(rotate(arn))
    assert day.said() == []
    events = fifo.drain_until(lambda line: '"log_lines_lost"' in line)
    assert [event["lines"] > 0 for event in events if event["event"] == "log_lines_lost"] == [True]
    fifo.drain_until(lambda line: '"unchanged"' in line)
    day.rotates(rotate(arn))


def test_nobody_reads_the_log_at_the_end(begin_by_fifo, agent, put, good):
    """TERM ends it even so."""
    fifo, service = begin_by_fifo(put(good), 2)
    service.wait("unchanged", 2)
    wait_for(fifo.is_full, 60)
    assert service.stop()[0] == 0


def test_nobody_reads_the_metrics(begin_by_fifo, agent, put, good, rotate):
    """Of CloudWatch's lines on standard output, the same: the work goes on, and TERM ends it."""
    arn = put(good)
    fifo, service = begin_by_fifo(arn, 1, "--metrics-format=emf")
    service.wait("unchanged", 2)
    day = Day(agent, service)
    wait_for(fifo.is_full, 60)
    tried = len(day.since("unchanged"))
    day.wait("unchanged", tried + CYCLES)
    day.rotates(rotate(arn))
    assert day.said() == []
    fifo.drain_until(lambda line: line.startswith('{"_aws"') and line.endswith("}"))
    day.rotates(rotate(arn))
    wait_for(fifo.is_full, 60)
    assert service.stop()[0] == 0


# ---- the clock ----


@pytest.fixture
def begin_by_clock(serve, agent, aws, clock, enclave):
    """A day whose wall clock can be set."""
    aws.checks_time = True

    def start(arn):
        service = serve(
            arn, "--log-level=debug", endpoint=enclave.endpoint, program=CLOCK, env=clock.env, **QUICK
        )
        service.wait("unchanged", 2)
        service.wait("handshake", 2, result="accepted")
        return Day(agent, service, program=CLOCK, env=clock.env)

    return start


def test_the_clock_is_set_back_a_year(begin_by_clock, clock, put, good, rotate):
    """No certificate is valid yet, AWS's as little as ours; it is still the same good set."""
    arn = put(good)
    day = begin_by_clock(arn)
    clock.set(-YEAR_S)
    day.endures(("error", "aws_untrusted"))
    day.blames("aws_untrusted", outcome="failed")
    assert day.status()["problem"]["code"] == "certificate_not_yet_valid"
    clock.set(0)
    day.recovers()
    day.rotates(rotate(arn))


def test_the_clock_is_set_forward(begin_by_clock, clock, put, good, rotate):
    """By 80 days, which the set survives. AWS says what time it is, so that a rotation comes even so."""
    arn = put(good)
    day = begin_by_clock(arn)
    clock.set(80 * DAY_S)
    day.wait("clock_skew")
    day.wait("unchanged", CYCLES)
    assert sorted(day.said()) == ["clock_skew", "expires"] and day.kept()
    day.rotates(rotate(arn))
    assert sorted(day.said()) == ["clock_skew", "expires", "expires"]  # of the new one, too
    clock.set(0)
    tried = len(day.since("unchanged"))
    day.wait("unchanged", tried + CYCLES)
    day.rotates(rotate(arn))
    assert sorted(day.said()) == ["clock_skew", "clock_skew", "expires", "expires"]


def test_the_clock_is_set_forward_beyond_the_end(begin_by_clock, clock, put, good, rotate):
    """By 100 days: the set counts as expired, and is left alone until the clock is right."""
    arn = put(good)
    day = begin_by_clock(arn)
    clock.set(100 * DAY_S)
    day.wait("error", CYCLES, code="aws_untrusted")
    assert sorted(map(str, day.said())) == ["('error', 'aws_untrusted')", "expired"]
    assert "expired" in day.healthcheck()
    assert day.status()["problem"]["code"] == "certificate_expired"
    clock.set(0)
    day.recovers()
    assert day.kept()
    day.rotates(rotate(arn))
