# SPDX-License-Identifier: Apache-2.0
"""What the agent gives up: what it cannot do any more, what goes on working, and what it says about it."""

import ctypes
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from errno import EACCES, EAFNOSUPPORT, EBADF, ENOSYS, EPERM

import pytest

from agent import ROOT, wait_for
from servers.container import ContainerCredentials
from servers.namespace import Namespace
from servers.proxy import FaultProxy

CALLS = ROOT / "build" / "tests" / "calls"
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

    def attempt(what, operand=None, *options, command="run", prefix=(), env=None):
        needs = ["--secret=x"] if command in ("run", "fetch") else []
        words = [what, *([str(operand)] if operand else ()), "--", command, f"--dir={tmp_path}/mtls"]
        done = subprocess.run(
            [*prefix, ESCAPE, *words, *needs, *options],
            env={"PATH": "/usr/bin:/bin", **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        assert done.returncode <= 0, done.stderr
        attempt.log, attempt.output = done.stderr, done.stdout
        if done.returncode:
            return signal.Signals(-done.returncode).name
        result = done.stdout.strip()
        return int(result) if result.isdigit() else result

    (tmp_path / "mtls").mkdir()
    return attempt


KILLED = ("execve", "execveat", "ptrace", "process-vm", "bpf", "module", "unshare", "i386", "x32")
REFUSED = {
    **dict.fromkeys(("bind-stream", "listen", "fork", "make-code", "map-code", "signal", "setrlimit", "dumpable"), EPERM),
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


@pytest.mark.parametrize("what", ["clocks", "socket"])
def test_what_the_agent_needs(escape, what):
    """Clocks as system calls, where a kernel has no vDSO."""
    assert escape(what) == "done"
    assert "sandbox_refused" not in escape.log


def test_an_abort_ends_by_its_trap(escape):
    """It sends no signal, as that may go to anybody."""
    assert escape("abort") == escape("main-abort") == "SIGSYS"
    assert escape("abort", None, "--sandbox=off") == "SIGABRT"


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
@pytest.mark.parametrize("command", ["run", "fetch"])
def test_the_log_is_not_the_workers(escape, tmp_path, command):
    log = tmp_path / "log"
    log.mkdir()
    for what, answer in (("write", EACCES), ("main-write", "done")):
        assert escape(what, log / "new", f"--log-file={log}/log", command=command) == answer


@needs_landlock
@pytest.mark.parametrize("command", ["inspect", "probe", "healthcheck", "status"])
def test_who_only_looks_writes_nothing(escape, tmp_path, command):
    there = tmp_path / "mtls" / "file"
    there.write_text("x")
    assert escape("read", there, command=command) == "done"
    assert escape("write", there, command=command) == EACCES
    assert escape("remove", there, command=command) == EPERM


@needs_landlock
@needs_root
def test_fetch_reads_less_where_a_set_stands(escape, tmp_path):
    """Before, resolv.conf may still come."""
    if (tmp_path / "mtls" / "client.crt").exists() or os.path.islink("/etc/resolv.conf"):
        pytest.skip("resolv.conf is a link here")
    (tmp_path / "mtls" / "client.crt").write_text("x")
    for command in ("fetch", "probe"):
        assert escape("read", "/etc/shadow", command=command) == EACCES


# ---- which system calls are left ----

X86_64 = os.uname().machine == "x86_64"
on_x86_64 = pytest.mark.skipif(not X86_64, reason="the page counts the calls of x86_64")
DEADLY = {"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "bpf", "init_module"}
DEADLY |= {"finit_module", "delete_module", "kexec_load", "kexec_file_load", "add_key", "request_key", "keyctl"}
DEADLY |= {"perf_event_open", "userfaultfd", "mount", "umount2", "pivot_root", "chroot", "setns", "unshare"}
UNKNOWN = {"rseq", "io_uring_setup", "clone3", "close_range", "openat2", "fchmodat2"}
OF_PROBES = {335, 336}  # uretprobe, uprobe: the kernel itself takes them past every filter
LAST_CALL = 470


@pytest.fixture(scope="module")
def numbers():
    """The kernel's numbers of this machine, by name."""
    made = subprocess.run(
        ["cc", "-E", "-dM", "-include", "asm/unistd.h", "-x", "c", "/dev/null"],
        check=True,
        capture_output=True,
        text=True,
    )
    found = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", made.stdout)}
    return {"fchmodat2": 452, **found}


def page():
    """The calls that docs/sandbox.md lists, and those of them that are fallbacks."""
    text = (ROOT / "docs" / "sandbox.md").read_text()
    listed, fallbacks = (
        {
            name
            for row in re.search(rf"\| {head} \|.*\n\|---.*\n((?:\|.*\n)+)", text)[1].splitlines()
            for name in re.findall(r"`(\w+)`", row.split("|")[1])
        }
        for head in ("call", "fallback")
    )
    return listed | fallbacks, fallbacks


@on_x86_64
def test_the_page_counts_them():
    listed, fallbacks = page()
    text = (ROOT / "docs" / "sandbox.md").read_text()
    assert f"there are {len(listed)} calls ({len(listed - fallbacks)} and {len(fallbacks)} fallbacks)" in text


def answers(escape, thread, calls, *options, **more):
    """What becomes of each call: whether it was refused, and its result."""
    assert escape(f"{thread}calls", ",".join(calls), *options, **more).endswith("done")
    return [tuple(map(int, line.split()[1:])) for line in escape.output.splitlines()[:-1]]


@on_x86_64
@pytest.mark.parametrize("thread", ["", "main-"])
@pytest.mark.parametrize("command", ["run", "fetch", "probe", "attest", "inspect", "status", "healthcheck", "purge"])
def test_what_is_not_listed_is_refused(escape, numbers, thread, command):
    allowed = {numbers[name] for name in page()[0]}
    deadly = {numbers[name] for name in DEADLY}
    unknown = {numbers[name] for name in UNKNOWN}
    tried = [number for number in range(LAST_CALL) if number not in allowed | deadly | OF_PROBES]
    got = dict(zip(tried, answers(escape, thread, map(str, tried), command=command)))
    assert len(got) == len(tried) > 350
    for number, (refused, result) in got.items():
        assert (refused, result) == ((0, -ENOSYS) if number in unknown else (1, -EPERM)), number


@on_x86_64
@pytest.mark.parametrize("name", sorted(DEADLY))
def test_each_deadly_call_ends_the_process(escape, numbers, name):
    assert escape("calls", str(numbers[name])) == escape("main-calls", str(numbers[name])) == "SIGSYS"


INHERITS = (
    "import os, socket, sys; one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); os.dup2(one.fileno(), 9);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@on_x86_64
@pytest.mark.parametrize("thread", ["", "main-"])
def test_no_socket_is_inherited(escape, numbers, thread):
    """It could be connected to anybody."""
    call = f"{numbers['connect']}:9:&:16"
    assert answers(escape, thread, [call], prefix=[sys.executable, "-c", INHERITS])[0][1] == -EBADF


@pytest.fixture
def victim():
    child = subprocess.Popen(["sleep", "600"])
    yield child
    child.kill()
    child.wait()


HOOK = "--on-change-exec=/bin/true"


def numbered(numbers, calls):
    return [re.sub(r"^\w+", lambda found: str(numbers[found[0]]), each) for each in calls]


@on_x86_64
@pytest.mark.parametrize("thread", ["", "main-"])
def test_nobody_is_killed_but_the_hook_runner(escape, numbers, victim, thread):
    """It may be killed, by the first thread, and get no other signal. Groups and all are tried with 0, which harms nobody."""
    to_runner = [f"kill:RUNNER:{number}" for number in (0, 1, 2, 10, 15, 18, 19)]
    others = [f"kill:{victim.pid}:9", f"tkill:{victim.pid}:9", f"tgkill:{victim.pid}:{victim.pid}:9"]
    all_of_them = ["kill:-1:0", "kill:0:0", "kill:1:0", f"kill:-{victim.pid}:0"]
    refused = [*to_runner, *others, *all_of_them]
    got = answers(escape, thread, numbered(numbers, [*refused, "kill:RUNNER:9"]), HOOK)
    assert dict(zip(refused, got[:-1])) == dict.fromkeys(refused, (1, -EPERM))
    assert got[-1] == (0, 0 if thread or LANDLOCK < 6 else -EPERM)
    assert victim.poll() is None
    assert answers(escape, thread, numbered(numbers, others[:1]), HOOK, "--sandbox=off") == [(0, 0)]
    assert victim.wait(60) == -signal.SIGKILL


@on_x86_64
@pytest.mark.parametrize("thread", ["", "main-"])
def test_without_a_hook_nobody_is_killed(escape, numbers, victim, thread):
    calls = [f"kill:{victim.pid}:9", "kill:RUNNER:0"]  # without a runner that is its own group
    assert answers(escape, thread, numbered(numbers, calls)) == [(1, -EPERM)] * 2
    assert victim.poll() is None


@on_x86_64
@pytest.mark.parametrize("thread", ["", "main-"])
def test_the_managers_socket_leads_to_it_alone(escape, numbers, tmp_path, thread):
    """It is connected once; what is sent there arrives, and it cannot be led elsewhere."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(60)
        calls = ["connect:NOTIFY:&:16", "sendto:NOTIFY:@x:1:0:&:16", "sendto:NOTIFY:@hello:5:0:0:0"]
        new = ["socket:2:2:0", "connect:BEFORE:&:16", "socket:1:2:0"]
        got = answers(escape, thread, numbered(numbers, [*calls, *new]), HOOK, env={"NOTIFY_SOCKET": path})
        assert [refused for refused, _ in got] == [1, 1, 0, 0, 0, 1]
        assert got[2] == (0, 5) and got[4] == (0, 0)
        assert manager.recv(64) == b"hello"


OF_GROUPS = {
    "inspect": "flock socket connect sendto setsockopt eventfd2 prctl timerfd_settime fchmod fchown unlink rename mkdirat",
    "probe": "flock fchmod fchown unlink rename renameat symlinkat mkdirat timerfd_settime prctl",
    "purge": "connect sendto setsockopt eventfd2 timerfd_settime prctl",
    "fetch": "timerfd_settime prctl",
}


@on_x86_64
@pytest.mark.parametrize("command", OF_GROUPS)
def test_what_a_command_does_not_need(escape, numbers, command):
    calls = [str(numbers[name]) for name in OF_GROUPS[command].split()]
    assert {refused for refused, _ in answers(escape, "", calls, command=command)} == {1}


def arguments(path):
    """Calls that are listed, with arguments that are not; the pages of flags are the kernel's own."""
    yield from (f"openat:-100:@{path}:{flags}:{mode}" for flags in ("0101", "0102") for mode in MODES)
    yield from (f"open:@{path}:{flags}:{mode}" for flags in ("0101", "0102", "01101") for mode in MODES)
    yield from (f"mkdirat:-100:@{path}:{mode}" for mode in MODES)
    yield from (f"fchmod:FD:{mode}" for mode in MODES)
    yield f"openat:-100:@{path}:020200002:04755"
    yield f"open:@{path}:020200002:04755"
    yield from (f"fcntl:0:{command}" for command in (0, 1, 8, 10, 1024, 1030, 1031, 1033))
    yield from (f"prctl:{option}" for option in (1, 4, 8, 15, 22, 24, 38, 47))
    yield from (f"ioctl:0:{request:#x}" for request in (0x5412, 0x5421, 0x541B, 0x40086602, 0x8914))
    yield from (f"socket:{family}:2:0" for family in (1, 16, 17, 38, 40))
    yield from (f"socket:{family}:{kind}:0" for family in (2, 10) for kind in (3, 5))
    yield from (f"setsockopt:3:{level}:{option}" for level, option in ((1, 1), (1, 36), (0, 1), (6, 31), (41, 1)))
    yield from ("sendto:3:&:1:0:&:16", "connect:0:&:16", "connect:2:&:16", "prlimit64:0:4:&:0")
    yield from ("mmap:0:4096:5:0x22:-1:0", "mmap:0:4096:7:0x22:-1:0", "mprotect:&:4096:5", "mprotect:&:4096:4")
    yield from (f"madvise:&:0:{advice}" for advice in (4, 8, 11, 12, 17))
    yield from (f"futex:&:{operation}" for operation in (4, 6, 9, 11, 12))
    yield from (f"clone:{flags:#x}" for flags in (17, 0x10000, 0x7D0F11, 0x7D0F00 | 0x20000000))


MODES = ("04755", "02755", "01755", "06755", "07777")


@on_x86_64
@pytest.mark.parametrize("thread", ["", "main-"])
def test_arguments_that_nobody_needs(escape, numbers, tmp_path, thread):
    there = tmp_path / "mtls" / "new"
    calls = [each.replace("FD", "2") for each in arguments(there)]
    named = [re.sub(r"^\w+", lambda found: str(numbers[found[0]]), each) for each in calls]
    got = dict(zip(calls, answers(escape, thread, named)))
    assert len(got) == len(calls)
    assert [each for each, (refused, _) in got.items() if not refused] == []
    assert not there.exists()


WAYS_TO_SET_USER_ID = [
    "chmod:@PATH:04755",
    "fchmod:1:04755",
    "fchmodat:-100:@PATH:04755",
    "fchmodat2:-100:@PATH:04755:0",
    "chown:@PATH:0:0",
    "lchown:@PATH:0:0",
    "fchownat:-100:@PATH:0:0:0",
    "creat:@PATH.new:04755",
    "open:@PATH.new:0102:04755",
    "openat:-100:@PATH.new:0102:04755",
    "openat2:-100:@PATH.new:&:24",
    "mknod:@PATH.new:0104755:0",
    "mknodat:-100:@PATH.new:0104755:0",
    "mkdir:@PATH.new:02755",
    "mkdirat:-100:@PATH.new:02755",
    "link:@PATH:@PATH.new",
    "linkat:-100:@PATH:-100:@PATH.new:0",
    "setxattr:@PATH:@security.capability:&:20:0",
    "fsetxattr:1:@security.capability:&:20:0",
    "memfd_create:@x:0",
    "io_uring_setup:1:&",
    "renameat2:-100:@PATH:-100:@PATH.new:4",
    "umask:0",
]


@on_x86_64
@pytest.mark.parametrize("thread", ["", "main-"])
def test_no_way_to_a_set_user_id_file(escape, numbers, tmp_path, thread):
    there = tmp_path / "mtls" / "file"
    there.write_text("x")
    there.chmod(0o755)
    calls = [
        re.sub(r"^\w+", lambda found: str(numbers[found[0]]), each).replace("PATH", str(there))
        for each in WAYS_TO_SET_USER_ID
    ]
    got = answers(escape, thread, calls)
    assert len(got) == len(calls)
    assert [way for way, (_, result) in zip(WAYS_TO_SET_USER_ID, got) if result >= 0] == []
    assert [path.name for path in there.parent.iterdir() if path.name.startswith("file")] == ["file"]
    assert there.stat().st_mode & 0o7777 == 0o755
    got = answers(escape, thread, [f"{numbers['chmod']}:@{there}:04755"], command="fetch")
    assert got[0] == (1, -EPERM)


def used(directory):
    """What `calls` noted, as (thread, number, arguments)."""
    for file in directory.iterdir():
        for line in file.read_text().splitlines():
            thread, number, *rest = line.split()
            yield file.name.split(".")[0], thread, int(number), tuple(map(int, rest))


@pytest.fixture
def traced(agent, serve, aws, tmp_path, put, good, enclave, up):
    """All commands, at what they do on good days and bad ones, and the calls that they made."""
    reports = tmp_path / "calls"
    reports.mkdir()
    watch = [CALLS, reports]
    log, metrics = tmp_path / "log" / "a", tmp_path / "metrics" / "a"
    log.parent.mkdir()
    metrics.parent.mkdir()
    owner = ["--owner=12345:12345"] if os.geteuid() == 0 else []
    hook = ["--on-change-exec=/bin/true"]
    secret = put(good)
    agent.fetch(secret, *owner, *hook, endpoint=enclave.endpoint, prefix=watch).succeeded("installed")
    agent.fetch(secret, *owner, "--combined", endpoint=enclave.endpoint, prefix=watch)
    agent.fetch("no-such-secret", "--deadline=3s", prefix=watch)
    agent.fetch(secret, *owner, "--rollback", prefix=watch)
    network = up(Namespace(tmp_path / "network"))
    up(NameServer(network.open("udp", "127.0.0.2", 53), "127.0.0.1"))
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "resolv.conf").write_text("nameserver 127.0.0.2\n")
    mounts = ["unshare", "--mount", "sh", "-c", f'mount --bind {etc} /etc && exec "$@"', "sh"]
    there = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://secrets.test:9"}
    agent.fetch(secret, deadline="2s", env=there, prefix=[*network.enter, *mounts, *watch])
    agent.run("purge", f"--dir={agent.dir}", prefix=watch)
    service = serve(
        secret,
        *hook,
        *owner,
        f"--log-file={log}",
        f"--metrics-file={metrics}",
        "--log-level=debug",
        endpoint=enclave.endpoint,
        prefix=watch,
    )
    service.wait("ready")
    service.wait("hook_done")
    service.wait("handshake", result="accepted")
    wait_for(metrics.exists)
    log.rename(f"{log}.1")
    service.send(signal.SIGHUP)
    service.more("unchanged", 2)
    service.send(signal.SIGUSR1)
    service.more("unchanged", 2)
    assert agent.run("status", f"--dir={agent.dir}", prefix=watch).status == 0
    agent.run("healthcheck", f"--dir={agent.dir}", "--min-endpoints=1", prefix=watch)
    assert agent.probe(enclave.endpoint, "--count=3", prefix=watch).status == 0
    agent.probe([enclave.endpoint] * 1 + ["127.0.0.1:9"], prefix=watch)
    assert agent.run("inspect", f"--dir={agent.dir}", prefix=watch).status == 0
    service.stop()
    assert agent.run("purge", f"--dir={agent.dir}", prefix=watch).status == 0
    commands = {"fetch": 5, "run": 1, "status": 1, "healthcheck": 1, "probe": 2, "inspect": 1, "purge": 2}
    wait_for(lambda: len(list(reports.iterdir())) == sum(commands.values()))
    time.sleep(0.1)
    found = list(used(reports))
    assert {command for command, *_ in found} == set(commands)
    return found


@on_x86_64
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may trace it, and make a network")
def test_nothing_is_listed_that_nobody_makes(traced, numbers):
    listed, fallbacks = page()
    names = {number: name for name, number in numbers.items()}
    made = {names[number] for _, _, number, _ in traced}
    assert made <= listed
    assert sorted(listed - made - fallbacks) == []
    arguments = {}
    for _, _, number, rest in traced:
        arguments.setdefault(names[number], set()).add(rest)
    assert {rest[1] for rest in arguments["fcntl"]} == {2, 3, 4, 36, 37}
    assert {rest[0] for rest in arguments["prctl"]} == {3, 21, 39}
    assert {rest[2] for rest in arguments["mmap"]} == {0, 3}
    assert {rest[2] for rest in arguments["mprotect"]} == {3}
    assert {rest[0] for rest in arguments["clone"]} == {0x7D0F00}
    assert {rest[1:3] for rest in arguments["setsockopt"]} == {(6, 1)}
    assert {rest[1:3] for rest in arguments["getsockopt"]} == {(1, 4), (6, 11)}
    assert {rest[4] for rest in arguments["sendto"]} == {0}
    for command in ("fetch", "run", "probe"):
        narrowed = {thread for of, thread, number, _ in traced if (of, number) == (command, 446)}
        assert narrowed == {"other"}


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
    Again and again, in an /etc of the test's own. Nobody serves at 127.0.0.9, nor at 127.0.0.1, which the
    agent asks where it cannot read the file.
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
    wait_for(lambda: len(container.asked) > asked)
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
