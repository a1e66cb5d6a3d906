# SPDX-License-Identifier: Apache-2.0
"""What the agent gives up: what it cannot do any more, what goes on working, and what it says about it."""

import ctypes
import os
import signal
import socket
import struct
import subprocess
import threading
from errno import EACCES, EAFNOSUPPORT, EPERM

import pytest

from agent import ROOT, wait_for
from servers.container import ContainerCredentials
from servers.namespace import Namespace
from servers.proxy import FaultProxy

ESCAPE = ROOT / "build" / "tests" / "escape"
OLD_KERNEL = ROOT / "build" / "tests" / "old-kernel"
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
LANDLOCK = max(0, ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1))  # this kernel's ABI
CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, IPC_LOCK = (1 << bit for bit in (0, 1, 2, 3, 14))

needs_landlock = pytest.mark.skipif(LANDLOCK == 0, reason="this kernel has no Landlock")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")


# ---- what it cannot do any more ----


@pytest.fixture
def escape(tmp_path):
    """escape(what, operand) tries it: "done", the errno that it got, or the signal that ended it."""

    def attempt(what, operand=None, *options, command="run", prefix=()):
        needs = ["--secret=x"] if command in ("run", "fetch") else []
        words = [what, *([str(operand)] if operand else ()), "--", command, f"--dir={tmp_path}/mtls"]
        done = subprocess.run(
            [*prefix, ESCAPE, *words, *needs, *options],
            env={"PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        assert done.returncode <= 0, done.stderr
        attempt.log = done.stderr
        if done.returncode:
            return signal.Signals(-done.returncode).name
        result = done.stdout.strip()
        return int(result) if result.isdigit() else result

    (tmp_path / "mtls").mkdir()
    return attempt


KILLED = ("execve", "execveat", "ptrace", "process-vm", "bpf", "module", "unshare", "i386", "x32")
REFUSED = {
    **dict.fromkeys(("listen", "fork", "make-code", "map-code", "signal", "setrlimit", "dumpable"), EPERM),
    **dict.fromkeys(("local-stream", "raw-socket"), EAFNOSUPPORT),
}


@pytest.mark.parametrize("what", KILLED)
def test_what_ends_the_process(escape, what):
    if what in ("i386", "x32") and os.uname().machine != "x86_64":
        pytest.skip("another architecture")
    assert escape(what) == "SIGSYS"


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(escape, what):
    assert escape(what) == REFUSED[what]
    assert escape(f"main-{what}") == REFUSED[what]
    assert "warning sandbox_refused system_call=" in escape.log and "count=1\n" in escape.log


@pytest.mark.parametrize("what", ["listen", "fork", "make-code", "map-code", "signal", "local-stream"])
def test_what_goes_without_a_sandbox(escape, what):
    """So the tests above would notice if nothing was refused."""
    assert escape(what, None, "--sandbox=off") == "done"


@pytest.mark.parametrize("what", ["clocks", "bind-datagram", "socket"])
def test_what_the_agent_needs(escape, what):
    """Clocks as system calls, where a kernel has no vDSO; what musl's resolver does."""
    assert escape(what) == "done"
    assert "sandbox_refused" not in escape.log


def test_an_abort_is_an_abort(escape):
    assert escape("abort") == escape("main-abort") == "SIGABRT"


@pytest.mark.skipif(LANDLOCK < 4, reason="this kernel's Landlock knows no network")
def test_no_stream_is_bound(escape):
    assert escape("bind-stream") == EACCES


@pytest.mark.parametrize("command", ["inspect", "healthcheck", "status"])
def test_who_asks_nobody_has_no_network(escape, command):
    assert escape("socket", command=command) == EACCES


@needs_landlock
@needs_root
def test_shadow_is_not_read(escape):
    assert escape("read", "/etc/shadow", "--sandbox=off") == "done"
    assert escape("read", "/etc/shadow") == EACCES
    assert escape("read", "/etc/hosts") == "done"


@needs_landlock
@needs_root
def test_shadow_in_a_container(escape):
    """There resolv.conf and hosts are mounts, and no thread may read what is beside them."""
    mounts = " && ".join(f"mount --bind /etc/{name} /etc/{name}" for name in ("resolv.conf", "hosts"))
    container = ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"]
    assert escape("main-read", "/etc/shadow", prefix=container) == EACCES
    assert escape("main-read", "/etc/hosts", prefix=container) == "done"
    assert escape("main-read", "/etc/resolv.conf", prefix=container) == "done"


@needs_landlock
def test_files_elsewhere(escape, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    there = other / "file"
    there.write_text("x")
    for what in ("read", "write", "main-read", "main-write"):
        assert escape(what, there) == EACCES
    assert escape("write", other / "new") == escape("remove", there) == EACCES
    assert escape("write", tmp_path / "mtls" / "new") == escape("read", tmp_path / "mtls" / "new") == "done"
    assert escape("remove", tmp_path / "mtls" / "new") == "done"


@needs_landlock
@pytest.mark.parametrize("command", ["inspect", "probe", "healthcheck", "status"])
def test_who_only_looks_writes_nothing(escape, tmp_path, command):
    there = tmp_path / "mtls" / "file"
    there.write_text("x")
    assert escape("read", there, command=command) == "done"
    assert escape("write", there, command=command) == EACCES
    assert escape("remove", there, command=command) == EPERM


# ---- what goes on working ----


class NameServer:
    """Knows one address for every name."""

    def __init__(self, listener, address):
        self.asked = 0
        self._listener, self._address = listener, socket.inet_aton(address)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                query, sender = self._listener.recvfrom(512)
            except OSError:
                return
            if not sender:
                return
            self.asked += 1
            end = query.index(0, 12) + 5
            kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
            answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + self._address if kind == 1 else b""
            head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, bool(answer), 0, 0)
            self._listener.sendto(head + query[12:end] + answer, sender)

    def stop(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()


def replace(path, text):
    """As configuration management does, and certbot, and DHCP clients."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)


@pytest.mark.parametrize("form", ["plain", "link"])
def test_resolv_conf_is_replaced(agent, serve, aws, up, tmp_path, put, good, enclave, form):
    """
    Again and again, in an /etc of the test's own. Nobody serves at 127.0.0.9, nor at 127.0.0.1, which musl
    asks where it cannot read the file.
    """
    network = up(Namespace(tmp_path / "network"))
    to_aws = up(FaultProxy(aws.port, listener=network.open("tcp", "127.0.0.1")))
    to_enclave = up(FaultProxy(enclave.port, listener=network.open("tcp", "127.0.0.1")))
    up(NameServer(network.open("udp", "127.0.0.2", 53), "127.0.0.1"))
    etc = tmp_path / "etc"
    resolv = etc / "resolv.conf" if form == "plain" else tmp_path / "resolve" / "resolv.conf"
    etc.mkdir()
    (etc / "hosts").write_text("127.0.0.1 localhost\n")
    if form == "link":
        resolv.parent.mkdir()
        (etc / "resolv.conf").symlink_to(resolv)
    text = "nameserver {}\noptions timeout:1 attempts:1\n"
    resolv.write_text(text.format("127.0.0.9"))
    service = serve(
        put(good),
        endpoint=f"enclave.test:{to_enclave.port}",
        env={"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{to_aws.port}"},
        prefix=[
            *network.enter,
            *("unshare", "--mount", "sh", "-c", f'mount --bind {etc} /etc && exec "$@"', "sh"),
        ],
    )
    service.wait("ready", seconds=60)
    assert not service.all("handshake", result="accepted")
    for _ in range(2):
        replace(resolv, text.format("127.0.0.2"))
        service.more("handshake", 2, result="accepted", seconds=60)
        replace(resolv, text.format("127.0.0.9"))
        service.more("handshake", 2, result="unreachable", seconds=60)
    replace(etc / "hosts", "127.0.0.1 localhost enclave.test\n")
    service.more("handshake", 2, result="accepted", seconds=60)


@pytest.mark.parametrize("form", ["plain", "projected"])
def test_a_token_is_replaced(serve, tmp_path, put, good, up, session, form):
    """By a rename of the file, or of the link of a Kubernetes volume to the directory that it is in."""
    container = up(ContainerCredentials(session, token="one"))
    volume = tmp_path / "volume"
    volume.mkdir()

    def write(text):
        if form == "plain":
            replace(volume / "token", text)
            return
        (volume / f"..{text}").mkdir()
        (volume / f"..{text}" / "token").write_text(text)
        (volume / "..data.new").symlink_to(f"..{text}")
        (volume / "..data.new").replace(volume / "..data")

    write("one")
    if form == "projected":
        (volume / "token").symlink_to("..data/token")
    service = serve(
        put(good),
        "--log-level=debug",
        env={
            **NO_KEYS,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(volume / "token"),
        },
    )
    service.wait("ready")
    container.token = "two"
    write("two")
    asked = len(container.asked)
    service.send(signal.SIGHUP)
    wait_for(lambda: len(container.asked) > asked, 20)
    assert container.asked[-1].headers["Authorization"] == "two"
    service.more("unchanged")
    assert not service.all("error")


@pytest.fixture(scope="module")
def session(aws_server):
    return aws_server.session()


def settings(agent, secret, **more):
    options = {"secret": secret, "dir": agent.dir, "interval": "400ms", "log-level": "debug", **more}
    return "".join(f"{name} = {value}\n" for name, value in options.items())


def test_configuration_log_and_metrics_are_replaced(agent, serve, tmp_path, put, good):
    path, log = tmp_path / "conf" / "agent.conf", tmp_path / "log" / "agent.log"
    for directory in ("conf", "log", "metrics"):
        (tmp_path / directory).mkdir()
    first = settings(agent, put(good), **{"log-file": log, "metrics-file": tmp_path / "metrics" / "a.prom"})
    path.write_text(first)
    service = serve([], f"--config={path}", interval=None, probe_interval=None, dir_flag=False)
    service.wait("ready")
    for number in ("1", "2"):
        log.rename(f"{log}.{number}")
        replace(path, first.replace("a.prom", f"b{number}.prom"))
        service.send(signal.SIGHUP)
        service.wait("reloaded", int(number))
        wait_for(lambda: log.exists() and '"reloaded"' in log.read_text())
        wait_for((tmp_path / "metrics" / f"b{number}.prom").exists)
    assert not service.all("not_published")


@needs_landlock
@pytest.mark.parametrize("option", ["metrics-file", "log-file", "ca-bundle"])
def test_a_reload_that_leads_elsewhere(agent, serve, tmp_path, put, good, option):
    path, other = tmp_path / "conf" / "agent.conf", tmp_path / "other"
    path.parent.mkdir()
    other.mkdir()
    secret = put(good)
    path.write_text(settings(agent, secret))
    service = serve([], f"--config={path}", interval=None, probe_interval=None, dir_flag=False)
    service.wait("ready")
    replace(path, settings(agent, secret, **{option: other / "file"}))
    service.send(signal.SIGHUP)
    refused = service.wait("reload_refused")
    assert refused["reason"].startswith(f"{other / 'file'} needs a restart")
    service.more("unchanged", 2)
    assert not list(other.iterdir())
    replace(path, settings(agent, secret, **{"log-level": "debug"}))
    service.send(signal.SIGHUP)
    service.wait("reloaded")


def test_a_bundle_of_a_profile(agent, serve, aws, tmp_path, put, good):
    """A file that only the shared configuration names."""
    bundle, config = tmp_path / "pki" / "ca.pem", tmp_path / "aws" / "config"
    bundle.parent.mkdir()
    config.parent.mkdir()
    bundle.write_bytes(open(aws.environment()["AWS_CA_BUNDLE"], "rb").read())
    config.write_text(f"[default]\nca_bundle = {bundle}\n")
    service = serve(put(good), env={"AWS_CA_BUNDLE": None, "AWS_CONFIG_FILE": str(config)})
    service.wait("ready")
    assert not service.all("error")


# ---- capabilities ----


def status_of(pid):
    with open(f"/proc/{pid}/status") as lines:
        return dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)


@needs_root
def test_capabilities_are_dropped(agent, serve, put, good):
    service = serve(put(good))
    service.wait("ready")
    told = status_of(service.pid)
    kept = CHOWN | FOWNER | IPC_LOCK
    assert int(told["CapEff"], 16) == int(told["CapPrm"], 16) == kept
    assert int(told["CapBnd"], 16) == int(told["CapInh"], 16) == int(told["CapAmb"], 16) == 0
    assert service.wait("sandbox")["capabilities"] == "chown fowner ipc_lock"


@needs_root
@pytest.mark.parametrize("whose", ["directory", "token", "plain key", "owner"])
def test_others_files_are_still_used(agent, serve, tmp_path, put, good, up, session, whose):
    """Where modes and owners would keep root from its work, it keeps the right to override them."""
    tmp_path.chmod(0o755)
    options, environment = [], {}
    if whose == "directory":
        agent.dir.mkdir(mode=0o700)
        os.chown(agent.dir, 12345, 12345)
        options = ["--writable-dir=warn"]
    elif whose == "plain key":
        agent.dir.mkdir()
        (agent.dir / "client.key").write_text("by hand")
        (agent.dir / "client.key").chmod(0o600)
        os.chown(agent.dir / "client.key", 12345, 12345)
    elif whose == "token":
        token = tmp_path / "token"
        token.write_text("one")
        token.chmod(0o600)
        os.chown(token, 12345, 12345)
        environment = {
            **NO_KEYS,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": up(ContainerCredentials(session, token="one")).full_uri,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
        }
    else:
        options = ["--owner=12345:12345"]
    service = serve(put(good), *options, env=environment)
    service.wait("ready")
    assert "dac_override" in service.wait("sandbox")["capabilities"]
    assert int(status_of(service.pid)["CapEff"], 16) & (DAC_OVERRIDE | DAC_READ_SEARCH)
    assert not service.all("error")


@needs_root
def test_a_key_of_its_owner_is_looked_at(agent, put, good, enclave):
    """By commands that were not told whose it is."""
    agent.fetch(put(good), "--owner=12345:12345").succeeded("installed")
    assert agent.probe(enclave.endpoint).status == 0
    assert agent.run("inspect", f"--dir={agent.dir}").status == 0


# ---- what it says about it ----


def metric(text, name):
    return next(line for line in text.splitlines() if line.startswith(name))


def test_log_status_and_metrics_tell(agent, serve, tmp_path, put, good):
    prom = tmp_path / "a.prom"
    service = serve(put(good), f"--metrics-file={prom}")
    service.wait("ready")
    said = service.wait("sandbox")
    assert (said["level"], said["state"], said["seccomp"]) == ("info", "on", "yes")
    assert said["landlock"] == min(LANDLOCK, said["landlock"]) and bool(said["landlock"]) == bool(LANDLOCK)
    kernel = status_of(service.pid)
    assert (kernel["NoNewPrivs"], kernel["Seccomp"]) == ("1", "2")
    wait_for(prom.exists)
    told = agent.status()["sandbox"]
    assert told["no_new_privs"] and told["seccomp"] and not told["core"] and not told["dumpable"]
    assert told["landlock"] == said["landlock"] and told["refused"] == 0
    assert told["absent"] == (None if LANDLOCK else said["absent"])
    text = prom.read_text()
    assert 'seccomp="yes"' in metric(text, "mtls_agent_sandbox_info")
    assert f'landlock="{"yes" if LANDLOCK else "no"}"' in metric(text, "mtls_agent_sandbox_info")
    assert metric(text, "mtls_agent_sandbox_refusals_total ").endswith(" 0")


def test_no_sandbox(agent, serve, put, good):
    service = serve(put(good), "--sandbox=off")
    service.wait("ready")
    said = service.wait("sandbox")
    assert (said["state"], said["seccomp"], said["landlock"]) == ("off", "no", 0)
    kernel, told = status_of(service.pid), agent.status()["sandbox"]
    assert kernel["Seccomp"] == status_of(os.getpid())["Seccomp"]
    assert kernel["NoNewPrivs"] == status_of(os.getpid())["NoNewPrivs"]
    assert kernel["CapEff"] == status_of(os.getpid())["CapEff"]
    assert told["landlock"] == 0 and told["capabilities"] is None and told["absent"] is None


@pytest.mark.parametrize(
    "kind, words",
    [("missing", "this kernel does not have it"), ("forbidden", "it is not allowed here")],
)
def test_a_kernel_without(agent, serve, put, good, enclave, kind, words):
    """It works as always, and says what is not in force."""
    secret = put(good)
    old = [OLD_KERNEL, kind]
    service = serve(secret, "--on-change-exec=/bin/true", endpoint=enclave.endpoint, prefix=old)
    service.wait("ready")
    service.wait("hook_done")
    service.wait("handshake", result="accepted")
    said = service.wait("sandbox")
    assert (said["seccomp"], said["landlock"]) == ("no", 0)
    assert f"landlock: {words}" in said["absent"] and "seccomp: " in said["absent"]
    assert agent.status()["sandbox"]["absent"] == said["absent"]
    assert not service.all("error")
    assert "landlock: " in agent.fetch(secret, prefix=old).event("sandbox")["absent"]


def test_a_once_only_command_says_it_when_asked(agent, put, good):
    secret = put(good)
    assert not agent.fetch(secret).all("sandbox")
    assert agent.fetch(secret, "--log-level=debug").event("sandbox")["state"] == "on"


def test_sandbox_is_fixed(agent, serve, tmp_path, put, good):
    path = tmp_path / "agent.conf"
    secret = put(good)
    path.write_text(settings(agent, secret))
    service = serve([], f"--config={path}", interval=None, probe_interval=None, dir_flag=False)
    service.wait("ready")
    replace(path, settings(agent, secret, sandbox="off"))
    service.send(signal.SIGHUP)
    assert "sandbox cannot change" in service.wait("reload_refused")["reason"]
    assert status_of(service.pid)["Seccomp"] == "2"


def test_purge_removes_all_from_within(agent, put, good):
    agent.fetch(put(good), "--combined").succeeded("installed")
    result = agent.run("purge", f"--dir={agent.dir}", "--log-format=json", "--log-level=debug").succeeded("purged")
    assert result.event("sandbox")["state"] == "on" and not result.all("sandbox_refused")
    assert list(agent.dir.iterdir()) == []
