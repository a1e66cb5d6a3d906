# SPDX-License-Identifier: Apache-2.0
"""
`doctor` once more: who is told of a change, the service manager, mounts, several sets, a server's set, other Regions, hosts
without IPv6, and file systems that do not answer. As in test_doctor.py, each row breaks one thing of a host that is well.
"""

import json
import os
import shutil
import socket
import subprocess
import time

import pytest

from agent import PATIENCE_S, PROGRAM, ROOT, wait_for
from day import CLOCK
from servers.aws import OTHER_REGIONS, REGION
from servers.hanging import Hanging
from servers.imds import Imds
from servers.names import NameServer, address
from servers.pki import DAY, document
from servers.process import Process
from servers.proxy import FaultProxy
from test_doctor import AWS, CONFIG, ENCLAVE, FILES, HOST, IDENTITY, NAMES, NO_KEYS, TARGET, V4
from test_doctor import Etc, Host, Row, names_server, place, table, told  # noqa: F401
from test_hangs import needs_fuse
from test_regions import FALLBACK, NO_URLS, Regions

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners, users and mounts are root's to make")


@pytest.fixture
def host(agent, aws, put, good, enclave, up, tmp_path, authority, stranger, pair, clock):
    return Host(agent, aws, put, good, enclave, up, tmp_path, (authority, stranger, pair, clock))


# ---- who is told of a change


def hook(text, mode=0o755):
    """A program of these bytes."""

    def broken(host):
        path = host.tmp / "hook"
        path.write_bytes(text() if callable(text) else text)
        path.chmod(mode)
        host.words.append(f"--on-change-exec={path} reload")

    return broken


def loaded_by(loader):
    """A program that is linked dynamically, by a loader that this host has not, as one of another distribution is."""
    program = open(shutil.which("true"), "rb").read()
    known = next(line.split()[-1].rstrip("]") for line in subprocess.run(
        ["readelf", "-l", shutil.which("true")], capture_output=True, text=True, check=True).stdout.splitlines()
        if "program interpreter" in line).encode()
    return program.replace(known, loader[: len(known)].ljust(len(known), b"\0"))


def of_another_machine():
    program = bytearray(open(shutil.which("true"), "rb").read())
    program[18:20] = (0xF3).to_bytes(2, "little")  # RISC-V
    return bytes(program)


def a_hook_on_a_mount_with_noexec(host):
    host.words.append(f"--on-change-exec={host.tmp}/mnt/hook")
    (host.tmp / "mnt").mkdir()
    make = f"printf '#!/bin/sh\\n' >{host.tmp}/mnt/hook; chmod 0755 {host.tmp}/mnt/hook"
    host.inside(f"mount -t tmpfs -o noexec none {host.tmp}/mnt; {make}")


def an_interpreter_that_others_may_write(host):
    shutil.copy("/bin/sh", host.tmp / "shell")
    (host.tmp / "shell").chmod(0o777)
    hook(f"#!{host.tmp}/shell\n".encode())(host)


def a_directory_as_hook(host):
    host.words.append(f"--on-change-exec={host.tmp}")


def pid_file(text, name="nginx.pid", owner=0):
    def broken(host):
        path = host.tmp / name
        path.write_text(str(text(host) if callable(text) else text))
        os.chown(path, owner, owner)
        host.words.append(f"--on-change-signal=HUP:{path}")

    return broken


def sleeper(host):
    return host.up(Process(["sleep", "300"], host.tmp / "sleeper")).pid


def gone(host):
    process = Process(["true"], host.tmp / "gone")
    process.child.wait()
    return process.pid


def no_pid_file(host):
    host.words.append(f"--on-change-signal=HUP:{host.tmp}/nginx.pid")


def a_number_that_nobody_has(host):
    host.words.append(f"--on-change-signal=HUP:{gone(host)}")


def without_the_right_to_signal(host):
    """As root of a container that was left no capability: the process is another user's."""
    other = host.up(Process(["setpriv", "--reuid=1234", "--clear-groups", "sleep", "300"], host.tmp / "sleeper"))
    (host.tmp / "sleep.pid").write_text(f"{other.pid}\n")
    host.words.append(f"--on-change-signal=HUP:{host.tmp}/sleep.pid")
    host.prefix = ["setpriv", "--bounding-set=-kill", "--inh-caps=-kill", "--"]


def variables(**values):
    return lambda host: host.env.update({name: value.format(tmp=host.tmp) for name, value in values.items()})


def a_file_as_notify_socket(host):
    (host.tmp / "notify").write_text("")
    host.env["NOTIFY_SOCKET"] = f"{host.tmp}/notify"


def nobody_at_the_notify_socket(host):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(f"{host.tmp}/notify")
    host.env["NOTIFY_SOCKET"] = f"{host.tmp}/notify"


CHANGE = [
    Row("an interpreter that is not there", ["hook_failed"], hook(b"#!/usr/local/bin/bash -e\n")),
    Row("a line that ends as in DOS", ["hook_failed"], hook(b"#!/bin/sh\r\nexit 0\r\n")),
    Row("a loader that is not there", ["hook_failed"], hook(lambda: loaded_by(b"/lib/ld-none.so"))),
    Row("a program of another machine", ["hook_failed"], hook(of_another_machine)),
    Row("a script without its first line", ["hook_failed"], hook(b"systemctl reload nginx\n")),
    Row("an empty program", ["hook_failed"], hook(b"")),
    Row("a hook that is not executable", ["hook_failed"], hook(b"#!/bin/sh\n", 0o644)),
    Row("a directory", ["hook_failed"], a_directory_as_hook),
    Row("a mount with noexec", ["hook_failed"], a_hook_on_a_mount_with_noexec),
    Row("an interpreter that others may write", ["hook_failed"], an_interpreter_that_others_may_write),
    Row("no PID file", ["hook_failed"], no_pid_file),
    Row("a PID file of one that is gone", ["hook_failed"], pid_file(gone)),
    Row("a PID file of another program", ["hook_failed"], pid_file(sleeper)),
    Row("a PID file without a number", ["hook_failed"], pid_file("nginx\n")),
    Row("a PID file of another PID namespace", ["hook_failed"], pid_file("1\n")),
    Row("a PID file of a stranger", ["hook_failed"], pid_file(sleeper, "sleep.pid", owner=1234)),
    Row("a number that nobody has", ["hook_failed"], a_number_that_nobody_has),
    Row("no right to signal", ["hook_failed"], without_the_right_to_signal),
    Row("no notify socket", ["run_unhealthy"], variables(NOTIFY_SOCKET="{tmp}/none")),
    Row("a file as notify socket", ["run_unhealthy"], a_file_as_notify_socket),
    Row("nobody at the notify socket", ["run_unhealthy"], nobody_at_the_notify_socket),
    Row("no path as notify socket", ["run_unhealthy"], variables(NOTIFY_SOCKET="notify")),
    Row("a watchdog of nobody's", ["run_unhealthy"], variables(WATCHDOG_USEC="60000000")),
]


@table(CHANGE)
def test_who_would_not_be_told(host, row):
    row.broken(host)
    (found,) = told(host.examine(), row.codes)
    assert found["room"] == "files"


@pytest.mark.parametrize("program, words", [
    (b"#!/usr/local/bin/bash -e\n", "/usr/local/bin/bash, which interprets it: No such file"),
    (lambda: loaded_by(b"/lib/ld-none.so"), "/lib/ld-none.so, which interprets it: No such file"),
    (b"reload\n", "Exec format error"),
])
def test_what_is_missing_has_its_name(host, program, words):
    """The kernel says "No such file" of a program that stands there; so does the hook itself, with the name."""
    hook(program)(host)
    (found,) = told(host.examine(), ["hook_failed"])
    assert words in found["reason"]
    failed = host.agent.fetch(host.put(host.good), f"--on-change-exec={host.tmp}/hook", directory=host.tmp / "other")
    assert words in failed.failed(74, "hook_failed")["reason"]


@pytest.mark.parametrize("period", ["soon", "0", "5000"])
def test_a_watchdog_without_sense(host, period):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with listener:
        listener.bind(f"{host.tmp}/notify")
        host.env.update(NOTIFY_SOCKET=f"{host.tmp}/notify", WATCHDOG_USEC=period)
        (found,) = told(host.examine(), ["run_unhealthy"])
        assert found["subject"] == "WATCHDOG_USEC"


def test_all_who_are_told(host):
    """A program, a daemon of its PID file's name and one of a name that says nothing, a manager, and its watchdog."""
    (host.tmp / "hook").write_text("#!/bin/sh\n")
    (host.tmp / "hook").chmod(0o755)
    pid = sleeper(host)
    for name in ("sleep.pid", "server.pid", "sleep-blue.pid"):
        (host.tmp / name).write_text(f"{pid}\n")
        host.words.append(f"--on-change-signal=HUP:{host.tmp}/{name}")
    host.words.append(f"--on-change-exec={host.tmp}/hook reload")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{host.tmp}/notify")
        host.env.update(NOTIFY_SOCKET=f"{host.tmp}/notify", WATCHDOG_USEC="60000000", WATCHDOG_PID="1")
        result = host.examine()
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.recv(64)
    told(result, [])
    assert f"SIGHUP finds process {pid}" in json.loads(result.stdout)["rooms"]["files"]
    assert subprocess.run(["kill", "-0", str(pid)], check=False).returncode == 0


def test_a_filter_that_refuses_to_tell_rights(host):
    """As an older container runtime's does, with EPERM: that is nothing about a file."""
    hook(b"#!/bin/sh\n")(host)
    host.words.append(f"--metrics-file={host.tmp}/metrics")
    host.prefix = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=faccessat2:error=EPERM", "--"]
    told(host.examine(), [])


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_neighbours_command_line_is_only_text(host, form):
    """What he calls himself, and at what length, does nothing to root's terminal, and hides nothing."""
    name = "\x1b]0;x\x07\x9b2J\nproblem" + "-" * 100_000
    neighbour = host.up(Process(["bash", "-c", 'exec -a "$0" sleep 300', name], host.tmp / "sleeper"))
    comm = f"/proc/{neighbour.pid}/comm"
    wait_for(lambda: open(comm, encoding="ascii").read() == "sleep\n", PATIENCE_S)
    pid_file(neighbour.pid)(host)
    result = host.examine(form=("--json",) if form == "json" else ())
    assert result.status == 1 and f"process {neighbour.pid} is" in result.stdout
    assert not any(ord(c) < 0x20 and c != "\n" or 0x7F <= ord(c) < 0xA0 for c in result.stdout)
    assert not any(line.startswith("problem--") for line in result.stdout.splitlines())


def test_who_may_be_signalled_by_root_alone(host):
    """Another user than the agent's is not told of what is none of his business."""
    host.open_way()
    for each in (host.aws.ca_bundle.parent, host.aws.ca_bundle.parent.parent):
        each.chmod(0o755)
    (host.tmp / "sleep.pid").write_text(f"{sleeper(host)}\n")
    host.words.append(f"--on-change-signal=HUP:{host.tmp}/sleep.pid")
    host.prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    result = host.examine()
    told(result, [])
    assert "only root can tell of SIGHUP" in json.loads(result.stdout)["rooms"]["files"]


# ---- mounts, readers, sets


def a_mount_that_follows_no_link(host):
    host.inside(f"mount --bind {host.agent.dir} {host.agent.dir}; mount -o remount,bind,nosymfollow {host.agent.dir}")


def no_place_yet_on_a_mount_that_follows_no_link(host):
    host.unset()
    host.inside(f"mount --bind {host.tmp} {host.tmp}; mount -o remount,bind,nosymfollow {host.tmp}")


def nothing_below_a_read_only_mount(host):
    host.unset()
    (host.tmp / "ro").mkdir()
    host.agent.dir = host.tmp / "ro/mtls"
    host.inside(f"mount -t tmpfs -o ro none {host.tmp}/ro")


def servers_set(host):
    server = host.authority.issue("localhost", names=["localhost"])
    value = {"server_cert": server.cert, "server_key": server.key, "ca_cert": host.authority.pem}
    host.secret, host.endpoint = host.put(json.dumps(value)), None
    host.agent.dir = host.tmp / "server"


def servers_reader(*words, shut=None):
    def broken(host):
        host.open_way()
        servers_set(host)
        host.agent.fetch(host.secret, *words, directory=host.agent.dir).succeeded()
        host.words += [*words, "--as-user=1000:1000"]
        if shut:
            (host.agent.dir / shut).chmod(0o600)

    return broken


def only_the_combined_file(host):
    """Whoever widened the key by hand forgot the file that holds it, too."""
    host.open_way()
    host.agent.dir = host.tmp / "both"
    host.agent.fetch(host.secret, "--combined", directory=host.agent.dir).succeeded()
    (host.agent.dir / "client.key").chmod(0o644)
    host.words += ["--combined", "--as-user=1000:1000"]


PLACES = [
    Row("a mount that follows no link", ["target_invalid"], a_mount_that_follows_no_link),
    Row("no place yet on one", ["target_invalid"], no_place_yet_on_a_mount_that_follows_no_link),
    Row("nothing below a read-only mount", ["read_only"], nothing_below_a_read_only_mount),
    Row("a server's own key", ["reader_denied"], servers_reader()),
    Row("a server's own certificate", ["reader_denied"], servers_reader("--owner=0:1000", shut="server.crt")),
    Row("the combined file", ["reader_denied"], only_the_combined_file),
]


@table(PLACES)
def test_where_it_is_installed(host, row):
    row.broken(host)
    (found,) = told(host.examine(), row.codes)
    assert found["room"] == "target"
    last = {"a server's own key": "server.key", "a server's own certificate": "server.crt", "the combined file": "client.pem"}
    assert found["subject"].endswith(last.get(row.name, ""))


def test_a_server_who_may_read_his_set(host):
    servers_reader("--owner=0:1000")(host)
    told(host.examine(), [])


def test_the_mount_is_told(host):
    (host.tmp / "mnt").mkdir()
    host.unset()
    host.agent.dir = host.tmp / "mnt/mtls"
    host.inside(f"mount -t tmpfs -o nodev none {host.tmp}/mnt")
    report = json.loads(host.examine().stdout)
    assert f"{host.tmp}/mnt is of tmpfs, rw,nodev" in report["rooms"]["target"]


def two_sets(host):
    secrets = [host.secret, host.put(host.good)]
    host.words += [f"--secret={name}={secret}" for name, secret in zip("ab", secrets)]
    host.secret, host.agent.dir = None, host.tmp / "sets"
    host.agent.run(
        "fetch", f"--dir={host.agent.dir}", *host.words, "--log-format=json", env=host.env
    ).succeeded()


def test_the_same_is_wrong_with_two_sets(host):
    """What is wrong is of a place: the same code twice."""
    two_sets(host)
    told(host.examine(), [])
    for name in "ab":
        (host.agent.dir / name / "..data").unlink()
    found = told(host.examine(), ["no_identity"] * 2)
    assert {each["subject"] for each in found} == {f"{host.agent.dir}/{name}" for name in "ab"}
    for name in "ab":
        directory = host.agent.dir / name
        shutil.rmtree(directory)
        directory.mkdir()
        for file, text in (("client.crt", host.pair.cert), ("client.key", host.authority.issue("x").key), ("ca.crt", host.authority.pem)):
            (directory / file).write_text(text)
    found = told(host.examine(), ["key_mismatch"] * 2)
    assert {each["subject"].rpartition("/")[2] for each in found} == {"a", "b"}


def test_one_of_two_sets_is_not_there(host):
    """What is wrong with the other one's secret is not in its way."""
    two_sets(host)
    lost = host.words[0].partition("a=")[2]
    host.aws.secrets.delete_secret(SecretId=lost)
    shutil.rmtree(host.agent.dir / "b")
    found = told(host.examine(), ["secret_deleted", "no_identity"])
    assert found[1]["subject"] == f"{host.agent.dir}/b"


def test_the_same_ends_in_two_sets(host):
    ending = host.authority.issue("ECS-Client", lifetime=(-90 * DAY, 2 * DAY))
    host.secret, host.good = host.put(document(ending, host.authority.pem)), document(ending, host.authority.pem)
    two_sets(host)
    told(host.examine(), ["certificate_ends"] * 2)
    host.env.update(NO_KEYS)  # by what is installed
    told(host.examine(), ["certificate_ends"] * 2 + ["credentials_missing"])


@pytest.mark.parametrize("verb", ["doctor", "check-config"])
def test_an_interval_beyond_the_life_of_one_of_the_sets(host, verb):
    """A server's, in a subdirectory."""
    server = host.authority.issue("localhost", names=["localhost"], lifetime=(-DAY / 24, DAY / 24))
    short = host.put(json.dumps({"server_cert": server.cert, "server_key": server.key, "ca_cert": host.authority.pem}))
    words = [f"--secret=client={host.secret}", f"--secret=server={short}", f"--dir={host.tmp}/sets", "--interval=2h"]
    host.agent.run("fetch", *words, "--log-format=json").succeeded()
    report = json.loads(host.agent.run(verb, *words, "--json").stdout)
    (found,) = [each for each in report["findings"] if each["code"] == "config"]
    assert found["subject"] == "interval" and f"{host.tmp}/sets/server/server.crt" in found["reason"]


# ---- other Regions


@pytest.fixture
def regions(tmp_path, up, aws):
    return Regions(tmp_path / "network", up, aws)


@pytest.fixture
def replicated(host, regions, aws):
    """The host has a secret with replicas, and asks for them; but for AWS there is nobody."""
    targets = [{"Region": region} for region in OTHER_REGIONS]
    aws.secrets.replicate_secret_to_regions(SecretId=host.secret, AddReplicaRegions=targets)
    host.env.update(NO_URLS)
    host.words += [FALLBACK, "--deadline=40s"]
    host.endpoint, host.prefix = None, regions.enter
    return host


def test_all_regions_are_well(replicated, regions, aws):
    regions.open(REGION, *OTHER_REGIONS)
    aws.asked.clear()
    result = replicated.examine()
    told(result, [])
    assert len(aws.asked) == 2 and all(f"secretsmanager.{each}." in result.stdout for each in (REGION, *OTHER_REGIONS))


def test_the_own_region_is_down(replicated, regions):
    """What its replica holds is looked at."""
    regions.open(*OTHER_REGIONS)
    result = replicated.examine()
    (found,) = told(result, ["aws_unreachable"])
    assert REGION in found["reason"] + found["subject"]
    assert f" of {OTHER_REGIONS[0]}" in json.loads(result.stdout)["rooms"]["aws"]


@pytest.fixture
def forgotten(regions, up):
    """Regions whose names have no address any more, by a name server that stands in."""
    gone = []
    known = {region: f"10.77.0.{i}" for i, region in enumerate((REGION, *OTHER_REGIONS), 1)}

    def say(query):
        region = next((each for each in known if f".{each}." in query.name), None)
        if region is None or region in gone:
            return query.answer(rcode=3)
        return query.answer([address(query.name, known[region])] if query.kind == "A" else [])

    open_ = regions.network.open
    up(NameServer(open_("udp", "127.0.0.99", 53), say, open_("tcp", "127.0.0.99", 53)))
    return gone


def by(host, server):
    etc = host.tmp / "etc"
    etc.mkdir()
    (etc / "resolv.conf").write_text(f"options timeout:1 attempts:1\nnameserver {server}\n")
    (etc / "hosts").write_text("127.0.0.1 localhost\n")
    host.prefix = [*host.prefix, "unshare", "--mount", "sh", "-c", f'mount --bind {etc} /etc && exec "$@"', "sh"]


def test_the_own_regions_name_is_gone(replicated, regions, forgotten):
    regions.open(REGION, *OTHER_REGIONS)
    forgotten.append(REGION)
    by(replicated, "127.0.0.99")
    result = replicated.examine()
    (found,) = told(result, ["dns_failed"])
    assert found["subject"] == f"secretsmanager.{REGION}.amazonaws.com"
    assert f" of {OTHER_REGIONS[0]}" in json.loads(result.stdout)["rooms"]["aws"]


def test_a_fallbacks_name_is_gone(replicated, regions, forgotten):
    """It would be missed on the day when it is needed."""
    regions.open(REGION, *OTHER_REGIONS)
    forgotten.append(OTHER_REGIONS[1])
    by(replicated, "127.0.0.99")
    (found,) = told(replicated.examine(), ["dns_failed"])
    assert found["subject"] == f"secretsmanager.{OTHER_REGIONS[1]}.amazonaws.com"


# ---- a host without IPv6


@pytest.mark.parametrize("what", ["no address but its own", "switched off"])
def test_aaaa_of_a_host_without_ipv6(host, place, what):  # noqa: F811
    """A server that fails for AAAA is no matter of one that could not use the answer; where IPv6 is off, it is not asked."""
    Etc(host, place, "options timeout:1 attempts:1\nnameserver 127.0.0.53\n")
    subprocess.run([*place.enter, "ip", "address", "del", "fd77::1/128", "dev", "lo"], check=True)
    if what == "switched off":
        subprocess.run([*place.enter, "ip", "-6", "address", "flush", "dev", "lo"], check=True)
    names = names_server(host, place, "127.0.0.53", lambda name, kind: 2 if kind == "AAAA" else V4)
    port = host.up(FaultProxy(host.enclave.port, listener=place.open("tcp", V4))).port
    host.endpoint = f"enclave.test:{port}"
    told(host.examine("--deadline=40s"), [])
    assert ("AAAA" in {kind for _, kind, _ in names.asked}) == (what != "switched off")


# ---- what does not answer


@pytest.fixture
def hanging(tmp_path, up):
    return up(Hanging(tmp_path / "hanging"))


@needs_fuse
@pytest.mark.parametrize("form", ["--json", "text", "variable"])
@pytest.mark.parametrize("verb", ["doctor", "check-config"])
def test_it_ends_in_time_where_the_configuration_hangs(agent, hanging, verb, form):
    hanging.run("sh", "-c", f"echo 'interval = 5m' >{hanging.dir}/conf")
    hanging.hang()
    words = [verb, f"--config={hanging.dir}/conf", "--deadline=3s", *(["--json"] if form == "--json" else [])]
    env = {"MTLS_AGENT_LOCK_DIR": None, **({"MTLS_AGENT_JSON": "true"} if form == "variable" else {})}
    began = time.monotonic()
    result = agent.run(*words, prefix=hanging.enter, env=env)
    assert time.monotonic() - began < PATIENCE_S
    assert result.status == 1 and result.stderr == ""
    if form == "text":
        assert result.stdout.startswith("problem deadline: ") and "configuration" in result.stdout
        return
    report = json.loads(result.stdout)
    (found,) = report["findings"]
    assert (found["code"], found["subject"], report["good"]) == ("deadline", "configuration", False)


@needs_fuse
@pytest.mark.parametrize("what", ["--dir", "--metrics-file", "--on-change-exec"])
def test_it_ends_in_time_where_a_file_hangs(host, hanging, what):
    """And tells what it has found before."""
    (host.tmp / "agent.conf").write_text("interval = never\n")
    (host.tmp / "agent.conf").chmod(0o644)
    hanging.run("sh", "-c", f"mkdir {hanging.dir}/mtls")
    hanging.hang()
    words = [f"{what}={hanging.dir}/mtls", f"--config={host.tmp}/agent.conf", "--deadline=3s", "--json", "--on-change-timeout=1s"]
    result = host.agent.run("doctor", *words, prefix=hanging.enter, env={"MTLS_AGENT_LOCK_DIR": None})
    codes = [each["code"] for each in json.loads(result.stdout)["findings"]]
    assert result.status == 1 and codes == ["config", "deadline"]


def test_a_fifo_as_configuration(agent, tmp_path):
    """Nobody waits for who would write to it."""
    os.mkfifo(tmp_path / "agent.conf")
    for verb in ("doctor", "check-config"):
        result = agent.run(verb, f"--config={tmp_path}/agent.conf", "--json", "--deadline=20s")
        (found,) = [each for each in json.loads(result.stdout)["findings"] if each["code"] == "config"]
        assert result.status == 1 and found["reason"] == "is not a regular file"




# ---- names by a search list


SEARCH = [
    Row("found by a search domain", [], lambda name, kind: {"A": V4, "AAAA": ""}[kind] if name == "enclave.corp.test" else 3),
    Row("a search domain's server that fails", ["dns_failed"], lambda name, kind: 2 if name == "enclave.corp.test" else 3),
    Row("in no search domain", ["dns_failed"], lambda name, kind: 3),
]


@table(SEARCH)
def test_a_search_list(host, place, row):  # noqa: F811
    """The name that was asked is told."""
    Etc(host, place, "options timeout:1 attempts:1\nsearch corp.test other.test\nnameserver 127.0.0.53\n")
    names_server(host, place, "127.0.0.53", row.broken)
    port = host.up(FaultProxy(host.enclave.port, listener=place.open("tcp", V4))).port
    host.endpoint = f"enclave:{port}"
    host.words.append("--allow-cn")
    found = told(host.examine("--deadline=40s"), row.codes or ["enclave_name"])
    if row.codes:
        asked = "enclave.corp.test" if "fails" in row.name else "enclave"
        assert f"(for {asked}; search corp.test other.test)" in found[0]["reason"]


@pytest.mark.parametrize("resolv", [None, "", "options timeout:1 attempts:1\n"])
def test_no_name_server(host, place, resolv):  # noqa: F811
    Etc(host, place, resolv or "")
    if resolv is None:
        (host.tmp / "etc/resolv.conf").unlink()
    host.endpoint = "enclave.test:8443"
    (found,) = told(host.examine("--deadline=60s"), ["dns_failed"])
    assert "/etc/resolv.conf names no server" in found["reason"]


# ---- both Regions, young things, clocks


def test_neither_region_will_do(replicated, regions, aws):
    """Each with what is wrong with it."""
    regions.open(*OTHER_REGIONS)
    replicated.env.update(replicated.agent.keys_of(aws.denied_keys))
    found = told(replicated.examine(), ["aws_unreachable", "aws_denied"])
    assert f"in {OTHER_REGIONS[0]}" in found[1]["reason"]


def test_what_is_young_may_pass(host):
    host.env.update(host.agent.keys_of(host.aws.denied_keys))
    (found,) = told(host.examine(), ["aws_denied"])
    assert "made a minute ago" in found["reason"]


@pytest.mark.parametrize("years", [-20, 20])
def test_a_clock_of_another_decade(host, years):
    """As of a host without a battery. No certificate is valid then, AWS's own least of all; the clock is what is wrong."""
    host.program = CLOCK
    host.env.update(host.clock.env)
    host.clock.set(years * 365 * 86400)
    (found,) = told(host.examine(), ["aws_dates"])
    assert "clock" in found["remedy"]


def test_a_clock_that_is_months_ahead(host):
    """AWS tells by how much. The certificate has expired by that clock, and by no other one."""
    host.secret = host.put(document(host.authority.issue("ECS-Client", lifetime=(-DAY, 20 * DAY)), host.authority.pem))
    host.agent.fetch(host.secret).succeeded()
    host.aws.checks_time = True
    host.program = CLOCK
    host.env.update(host.clock.env)
    host.clock.set(30 * 86400)
    result = host.examine()
    told(result, ["clock_skew"])
    assert "too wrong to judge dates by" in json.loads(result.stdout)["rooms"]["aws"]
    host.clock.set(3600)  # by which it is as expired as it is
    host.hold(document(host.authority.issue("ECS-Client", lifetime=(-9 * DAY, -DAY)), host.authority.pem))
    told(host.examine(), ["certificate_expired", "clock_skew"])


# ---- healthy: as it stands on a machine


def test_as_on_an_ami(host, serve, tmp_path):
    """All that a unit's file may have, by the instance's role, and `run` at work."""
    imds = host.up(Imds(host.aws.session()))
    (tmp_path / "hook").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "hook").chmod(0o755)
    pid = host.up(Process(["sleep", "300"], tmp_path / "sleeper")).pid
    (tmp_path / "sleep.pid").write_text(f"{pid}\n")
    (tmp_path / "state").mkdir()
    config = tmp_path / "agent.conf"
    config.write_text(
        f"secret = {host.secret}\nendpoint = {host.endpoint}\ndir = {tmp_path}/ami\nowner = 0:1000\nexpect-subject = CN=ECS-Client\n"
        f"metrics-file = {tmp_path}/state/agent.prom\nstatus-file = {tmp_path}/state/status.json\n"
        f"on-change-exec = {tmp_path}/hook\non-change-signal = CONT:{tmp_path}/sleep.pid\n"
    )
    config.chmod(0o644)
    host.open_way()
    host.agent.dir = tmp_path / "ami"
    host.env.update({**NO_KEYS, **imds.environment()})
    service = serve([], f"--config={config}", dir_flag=False, env=host.env)
    service.wait("hook_done")
    wait_for(lambda: (tmp_path / "state/status.json").exists())
    host.secret = host.endpoint = None
    host.words += [f"--config={config}", "--as-user=1000:1000"]
    result = host.examine()
    told(result, [])
    rooms = json.loads(result.stdout)["rooms"]
    assert rooms["run"] == "mtls-agent run is alive" and "credentials of imds, after environment" in rooms["aws"]
    assert rooms["aws"].endswith("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set")
    assert set(rooms) == {"config", "host", "target", "files", "names", "aws", "identity", "enclave", "run"}
    told(host.agent.run("check-config", f"--config={config}", "--json"), [])


BOTTLEROCKET = "/.bottlerocket/host-containers/current/user-data"


def test_as_in_a_host_container(host, tmp_path):
    """Bottlerocket: a root of its own, user data as configuration, the host's own tree below /.bottlerocket, SELinux."""
    imds = host.up(Imds(host.aws.session()))
    root, rootfs = tmp_path / "image", tmp_path / "rootfs"
    for each in ("proc", "sys/fs/selinux", "dev", "etc", "run", "aws", ".bottlerocket/rootfs", ".bottlerocket/host-containers/current"):
        (root / each).mkdir(parents=True)
    for each in ("etc/ecs/mtls", "var/lib"):
        (rootfs / each).mkdir(parents=True)
    os.setxattr(rootfs / "etc/ecs/mtls", "security.selinux", b"system_u:object_r:local_t:s0\0")
    (root / "mtls-agent").touch()
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    data = f"secret = {host.secret}\nendpoint = {host.endpoint}\nroot = /.bottlerocket/rootfs\nAWS_CA_BUNDLE = /aws/{host.aws.ca_bundle.name}\n"
    (root / BOTTLEROCKET[1:]).write_text(data)
    host.inside(
        f"mount --bind {PROGRAM} {root}/mtls-agent; mount --bind {host.aws.ca_bundle.parent} {root}/aws; mount -t proc proc {root}/proc\n"
        f"mount --bind {rootfs} {root}/.bottlerocket/rootfs; mount -t tmpfs none {root}/sys/fs; mkdir {root}/sys/fs/selinux\n"
        f"echo 1 >{root}/sys/fs/selinux/enforce",
        "/usr/sbin/chroot", str(root),
    )
    host.env = {**NO_KEYS, **imds.environment(), "AWS_CA_BUNDLE": None, "MTLS_AGENT_LOCK_DIR": None}
    fetched = host.agent.run("fetch", env=host.env, prefix=host.prefix, program="/mtls-agent")
    assert fetched.status == 0, fetched.stderr
    result = host.agent.run("doctor", "--json", env=host.env, prefix=host.prefix, program="/mtls-agent")
    told(result, [])
    rooms = json.loads(result.stdout)["rooms"]
    assert BOTTLEROCKET in rooms["config"] and "label system_u:object_r:local_t:s0" in rooms["target"]
    assert "/.bottlerocket/rootfs/etc/ecs/mtls" in rooms["target"]


# ---- what people look for by hand


# The steps of an example that many hosts were set up by, in its words: which rows show that each is found, and where it is explained.
STEPS = {
    "IAM role has secretsmanager:GetSecretValue": ["a role that may not read", "an explicit deny", "a key that may not be used"],
    "secret ARN is correct": ["no such secret"],
    "secret exists in the same Region": ["no such secret", "no region", "a deleted secret"],
    "download errors": ["no credentials", "nobody at AWS", "AWS of another CA", "nobody at the proxy"],
    "security group rules allow traffic": ["nobody listens"],  # and test_a_firewall_before_the_enclave
    "enclave is running and listening": ["nobody listens", "a dead forwarder", "a forwarder that hangs", "plain HTTP"],
    "endpoint URL is correct": ["an endpoint twice", "no such name", "another name"],
    "network connectivity (ping, telnet)": ["no such name", "no server that answers", "nobody listens"],
    "certificate format (PEM)": ["damaged PEM", "no document"],
    "expiration dates": ["an expired leaf", "a leaf of the future", "a leaf that ends soon", "a CA that ends soon", "an expired server"],
    "CA matches the enclave's": ["a server of another CA", "refused by an alert"],
    "common name is the expected one": ["refused by HTTP 400", "another subject than expected"],
    "chmod 600": ["mode 0777", "a key of another certificate"],
    "container has read access": ["a reader who is another user", "a reader before a closed directory", "a server's own key"],
    "SELinux": ["a label that no container reads"],
    "ls, cat, openssl x509": ["nothing is installed", "a dangling link", "a swapped key"],
    "curl --cert --key --cacert": ["refused by closing", "no client certificate asked for", "TLS 1.3 alone, and 1.2 is asked for"],
}


ALL = CONFIG + HOST + TARGET + FILES + AWS + IDENTITY + ENCLAVE + NAMES + CHANGE + PLACES + SEARCH


@pytest.mark.parametrize("step", STEPS)
def test_each_step_is_found_and_explained(step):
    """Rows that are tested, whose codes the page has where it lists the usual questions, or what is looked at."""
    page = (ROOT / "docs/doctor.md").read_text()
    for name in STEPS[step]:
        (row,) = [each for each in ALL if each.name == name]
        assert row.codes and all(is_on_page(code, page) for code in row.codes), (name, row.codes)


def is_on_page(code, page):
    """By its own name, or with others ("aws_*"), or as a finer cause of one."""
    known = {line.split("`")[1]: line.split("`")[3] for line in (ROOT / "docs/errors.md").read_text().splitlines() if line.startswith("| `") and line.count("`") >= 4}
    names = {code, known.get(code, code)}
    return any(f"`{name}`" in page or f"`{name.split('_')[0]}_*`" in page for name in names)


def test_there_are_enough_of_them():
    """Broken set-ups, each by its name and its codes."""
    assert len({row.name for row in ALL}) == len(ALL) and len([row for row in ALL if row.codes]) >= 120
