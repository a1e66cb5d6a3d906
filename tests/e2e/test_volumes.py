# SPDX-License-Identifier: Apache-2.0
"""Directories as platforms give them, mounted for one run, and the agent with and without root's rights."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent import snapshot
from servers.hanging import Hanging
from servers.pki import document

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount and give up its rights")

USER, GROUP = 4321, 8765
ROOT = ()
ORDINARY = ("setpriv", f"--reuid={USER}", f"--regid={GROUP}", "--clear-groups", "--")
IN_GROUP = ("setpriv", f"--reuid={USER}", f"--regid={USER}", f"--groups={GROUP}", "--")

# Mode and group of a volume; who runs the agent; what comes of it; whether others may write there.
VOLUMES = {
    "emptyDir, root": (0o777, 0, ROOT, 0, True),
    "emptyDir": (0o777, 0, ORDINARY, 0, True),
    "emptyDir with fsGroup": (0o2777, GROUP, IN_GROUP, 0, True),
    "fsGroup alone": (0o2775, GROUP, IN_GROUP, 0, True),
    "tmpfs, root": (0o1777, 0, ROOT, 0, False),
    "tmpfs": (0o1777, 0, ORDINARY, 0, False),
    "made by dockerd, root": (0o755, 0, ROOT, 0, False),
    "made by dockerd": (0o755, 0, ORDINARY, 73, False),
}


@pytest.fixture
def reachable(agent, aws, tmp_path):
    """pytest's folders are their owner's alone; what an ordinary user needs is let through."""
    for path in (aws.ca_bundle, *aws.ca_bundle.parents, *agent.dir.parents):
        if str(path).startswith("/tmp/mtls-agent") or path == aws.ca_bundle:
            path.chmod(path.stat().st_mode | 0o055 | (0o044 if path.is_file() else 0))
    return agent


def mounted(agent, how, prefix=(), run="mode=0755"):
    """What runs the agent where its target is mounted, and /run is a container's own."""
    how = f"mount -t tmpfs -o {run} none /run && {how}"
    return ["unshare", "--mount", "sh", "-c", f'{how} && exec "$@"', "sh", *prefix]


OWN_LOCKS = {"MTLS_AGENT_LOCK_DIR": None}  # where the agent itself puts them


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes(reachable, put, good, pair, tmp_path, name):
    """Bound from a folder, which keeps what was installed."""
    mode, group, who, status, open_to_others = VOLUMES[name]
    volume = tmp_path / "volume"
    volume.mkdir()
    os.chown(volume, 0, group)
    volume.chmod(mode)
    agent, arn = reachable, put(good)
    agent.dir.mkdir()
    there = mounted(agent, f"mount --bind {volume} {agent.dir}", who)
    if open_to_others:
        refused = agent.fetch(arn, prefix=there, env=OWN_LOCKS).failed(73, "target_invalid")
        assert f"chmod go-w {agent.dir}" in refused["reason"] and list(volume.iterdir()) == []
    result = agent.fetch(arn, "--writable-dir=warn", prefix=there, env=OWN_LOCKS)
    assert result.status == status, result.stderr
    if status:
        error = result.failed(73, "install_failed")
        assert "Permission denied" in error["reason"] and str(agent.dir) in error["subject"]
        assert list(volume.iterdir()) == []
        return
    result.succeeded("installed")
    assert bool(result.all("target_writable_by_others")) == open_to_others, result.stderr
    key = volume / os.readlink(volume / "..data") / "client.key"
    assert key.read_text() == pair.key
    facts = key.stat()
    assert stat.S_IMODE(facts.st_mode) == 0o600 and facts.st_uid == (USER if who else 0)
    assert stat.S_IMODE(volume.stat().st_mode) == mode
    agent.fetch(arn, "--writable-dir=warn", prefix=there, env=OWN_LOCKS).succeeded("unchanged")


@pytest.mark.parametrize("run", ["mode=0755", "ro"])
def test_where_it_locks(agent, put, good, tmp_path, run):
    """In /run; in the target where that cannot be written to, as in a container with a read-only root."""
    agent.dir.mkdir()
    there = mounted(agent, "true", run=run)
    agent.fetch(put(good), prefix=there, env=OWN_LOCKS).succeeded("installed")
    assert ((agent.dir / "..lock").exists()) == (run == "ro")
    purge = ("purge", "--log-format=json", f"--dir={agent.dir}")
    agent.run(*purge, prefix=there, env=OWN_LOCKS).succeeded("purged")
    assert list(agent.dir.iterdir()) == []


@pytest.mark.parametrize("command", ["fetch", "purge", "run"])
def test_a_reader_who_locks_what_he_can(agent, serve, put, good, tmp_path, command):
    """As nobody, and as the root of a container with a read-only mount: he delays, and stops nobody."""
    arn = put(good)
    tmp_path.chmod(0o755)
    agent.fetch(arn).succeeded("installed")
    for name in ("..lock", "..run"):
        (agent.dir / name).touch(0o600)
    script = (
        "import fcntl, os, sys, time\n"
        "for name in ('.', '..lock', '..run'):\n"
        f"    fd = os.open(os.path.join({str(agent.dir)!r}, name), os.O_RDONLY)\n"
        "    fcntl.flock(fd, fcntl.LOCK_SH)\n"
        "    if name != '.': fcntl.lockf(fd, fcntl.LOCK_SH)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    mount = f"mount --bind {agent.dir} {agent.dir} && mount -o remount,bind,ro {agent.dir}"
    reader = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert reader.stdout.readline() == "held\n"
        if command == "fetch":
            assert agent.fetch(arn, "--key-mode=0640").succeeded("healed").all("lock_ignored")
            assert agent.mode("client.key") == 0o640
        elif command == "run":
            serve(arn).wait("ready")
        else:
            agent.run("purge", "--log-format=json", f"--dir={agent.dir}").succeeded("purged")
            assert not (agent.dir / "client.key").exists()
    finally:
        reader.communicate("", timeout=20)


HELD = """
import fcntl, glob, os, stat, struct, sys
(path,) = glob.glob("/run/mtls-agent/*.lock")
facts = os.stat(path)
assert (stat.S_IMODE(facts.st_mode), facts.st_uid) == (0o600, 0), facts
assert stat.S_IMODE(os.stat("/run/mtls-agent").st_mode) == 0o755
target = os.stat(sys.argv[1])
assert path == "/run/mtls-agent/%x-%x.lock" % (target.st_dev, target.st_ino), path
fd = os.open(path, os.O_RDWR)
fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
print("held", flush=True)
sys.stdin.read()
assert os.stat(path).st_ino == facts.st_ino
"""


@pytest.fixture
def own_run(tmp_path):
    """A /run that several commands see, and nobody else."""
    holder = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o mode=0755 none /run && echo ready && exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "ready\n"
    yield ["nsenter", "--target", str(holder.pid), "--mount", "--"]
    holder.communicate("", timeout=60)


def test_the_default_lock(agent, put, good, own_run):
    """It is the target's by device and inode, the agent's alone, waited for within the deadline, and stays where it is."""
    arn = put(good)
    agent.fetch(arn, prefix=own_run, env=OWN_LOCKS).succeeded("installed")
    with subprocess.Popen(
        [*own_run, sys.executable, "-c", HELD, agent.dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        before = snapshot(agent.dir)
        error = agent.fetch(arn, "--key-mode=0640", prefix=own_run, env=OWN_LOCKS, deadline="2s").failed(75, "deadline")
        assert "another agent holds its lock" in error["reason"]
        assert snapshot(agent.dir) == before
        other.stdin.close()
        assert other.wait(60) == 0
    agent.fetch(arn, "--key-mode=0640", prefix=own_run, env=OWN_LOCKS).succeeded("healed")


def test_the_default_lock_of_run(agent, put, good, serve, own_run):
    """Of one directory, under whatever name: one run, which healthcheck sees, and whose end it sees."""
    arn, other_name = put(good), agent.dir.with_name("other")
    agent.dir.mkdir()
    other_name.symlink_to(agent.dir)
    service = serve(arn, prefix=own_run, env=OWN_LOCKS)
    service.wait("ready")
    agent.status()
    health = ("healthcheck", f"--dir={other_name}")
    assert agent.run(*health, prefix=own_run, env=OWN_LOCKS).status == 0
    second = ("run", "--log-format=json", f"--secret={arn}", f"--dir={other_name}")
    agent.run(*second, prefix=own_run, env=OWN_LOCKS).failed(75, "already_running")
    service.send(signal.SIGKILL)
    service.child.wait(60)
    assert "not alive" in agent.run(*health, prefix=own_run, env=OWN_LOCKS).stdout
    assert not (agent.dir / "..run").exists()


BAD_PLACES = {
    "of a stranger": f"mkdir /run/mtls-agent && chown {USER} /run/mtls-agent",
    "writable by others": "mkdir /run/mtls-agent && chmod 1777 /run/mtls-agent",
    "a link of a stranger": f"mkdir /run/elsewhere && ln -s elsewhere /run/mtls-agent && chown -h {USER} /run/mtls-agent",
    "a file": "touch /run/mtls-agent",
}


@pytest.mark.parametrize("place", BAD_PLACES)
def test_a_default_place_that_others_have_made(agent, put, good, own_run, place):
    """Nothing is made there; the target has the lock."""
    subprocess.run([*own_run, "sh", "-c", BAD_PLACES[place]], check=True)
    agent.fetch(put(good), prefix=own_run, env=OWN_LOCKS).succeeded("installed")
    found = subprocess.run([*own_run, "find", "/run", "-name", "*.lock"], check=True, capture_output=True, text=True)
    assert found.stdout == "" and stat.S_IMODE((agent.dir / "..lock").stat().st_mode) == 0o600


def test_a_parent_that_others_may_write_to(agent, put, good, tmp_path):
    """It is refused by name: who can rename there can put another directory in the target's place."""
    arn, parent = put(good), tmp_path / "open" / "to-all"
    (parent / "below").mkdir(parents=True)
    for mode, owner, warned in ((0o777, 0, True), (0o1777, 0, False), (0o755, USER, True), (0o755, 0, False)):
        parent.chmod(mode)
        os.chown(parent, owner, owner)
        refused = agent.fetch(arn, directory=parent / "below" / "mtls")
        if warned:
            assert f"{parent} " in refused.failed(73, "target_invalid")["reason"]
        else:
            assert refused.status == 0
        result = agent.fetch(arn, "--writable-dir=warn", directory=parent / "below" / "mtls")
        assert result.status == 0
        named = {event["dir"] for event in result.all("target_writable_by_others")}
        assert named == ({str(parent)} if warned else set()), (mode, owner)


def test_who_can_read_in_a_sticky_directory(reachable, put, good, tmp_path):
    """Whose links the kernel lets others follow there (fs.protected_symlinks), as docs/install.md says."""
    careful = Path("/proc/sys/fs/protected_symlinks").read_text() == "1\n"
    agent, arn = reachable, put(good)

    def reads(user):
        other = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]
        return subprocess.run([*other, "cat", agent.dir / "ca.crt"], capture_output=True).returncode == 0

    for owner, who, all_may in ((0, ROOT, True), (0, ORDINARY, not careful), (USER, ORDINARY, True)):
        shutil.rmtree(agent.dir, ignore_errors=True)
        agent.dir.mkdir()
        os.chown(agent.dir, owner, owner)
        agent.dir.chmod(0o1777)
        agent.fetch(arn, prefix=mounted(agent, "true", who), env=OWN_LOCKS).succeeded("installed")
        assert reads(USER) and reads(USER + 1) == all_may, (owner, who)


def test_a_read_only_mount(agent, put, good, aws, authority, tmp_path):
    """What is right there is right; nothing else can be made so."""
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    read_only = mounted(
        agent, f"mount --bind {agent.dir} {agent.dir} && mount -o remount,bind,ro {agent.dir}"
    )
    before = snapshot(agent.dir)
    agent.fetch(arn, prefix=read_only).succeeded("unchanged")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    error = agent.fetch(arn, prefix=read_only).failed(73, "install_failed")
    assert "Read-only file system" in error["reason"]
    assert snapshot(agent.dir) == before


# Places that belong to the agent, and what it does where something else stands there.
PLACES = {
    "client.crt": "refused",
    "client.key": "refused",
    "ca.crt": "refused",
    "..data": "refused",
    "SET": "refused",
    "SET/client.key": "healed",
    "SET/manifest": "healed",
    "..data.tmp": "replaced",
    "..lock": "ignored",
    "..agent": "ignored",
    "..agent.tmp": "ignored",
}


def fifo(path, _):
    os.mkfifo(path, 0o666)


def device(path, _):
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


def zeros(path, _):
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


def bound_socket(path, _):
    here = os.getcwd()
    os.chdir(path.parent)  # its name may be too long
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def link(path, victim):
    path.symlink_to(victim)


def loop(path, _):
    path.symlink_to(path.name)


def hard_link(path, victim):
    os.link(victim, path)


KINDS = (fifo, device, zeros, bound_socket, link, loop, hard_link)
# Links to elsewhere are damage where a set is installed; a second name of a file is a plain file.
HEALED = {(name, kind) for name in ("client.crt", "client.key", "ca.crt") for kind in (link, loop, hard_link)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_something_else_in_place(agent, put, good, aws, authority, tmp_path, place, kind):
    """It is neither followed, nor waited for, nor written to."""
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    path = agent.dir / place.replace("SET", os.readlink(agent.dir / "..data"))
    if path.is_dir() and not path.is_symlink():
        path.rename(tmp_path / "away")
    path.unlink(missing_ok=True)
    kind(path, victim)
    new = authority.issue("ECS-Client")
    aws.rotate(arn, document(new, authority.pem))
    before = snapshot(agent.dir)
    result = agent.fetch(arn)
    assert victim.read_text() == "theirs"
    if PLACES[place] == "refused" and (place, kind) not in HEALED:
        assert place.replace("SET", "..set-") in result.failed(73, "target_invalid")["reason"]
        assert snapshot(agent.dir) == before
    else:
        assert result.status == 0 and agent.file("client.key") == new.key, result.stderr


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="no FUSE here")
def test_a_volume_without_a_cache(agent, aws, put, good, tmp_path, up):
    """Of virtiofs or 9p: who writes lends it his own pages, which memfd_secret(2)'s cannot be."""
    volume = up(Hanging(tmp_path / "volume", direct=True))
    there = {"directory": volume.dir / "mtls", "prefix": volume.enter}
    secret = put(good)
    assert agent.fetch(secret, **there).succeeded("installed").event("finished")["backing"] == "memfd_secret"
    assert agent.run("inspect", f"--dir={volume.dir}/mtls", prefix=volume.enter).status == 0
    agent.fetch(secret, **there).succeeded("unchanged")
    assert volume.read("mtls/client.key").strip() == json.loads(good)["client_key"].strip()
