# SPDX-License-Identifier: Apache-2.0
"""mtls-agent purge: all that the agent has installed goes, and nothing else."""

import fcntl
import os

from agent import snapshot, wait_for

STRANGER = 65534


def purge(agent, *arguments, **options):
    """Without a secret, credentials, or a network: none of them is needed."""
    return agent.run("purge", "--log-format=json", f"--dir={agent.dir}", *arguments, **options)


def names(directory):
    return sorted(os.listdir(directory))


def test_all_that_was_installed(agent, aws, put, good):
    arn = put(good)
    agent.fetch(arn, "--combined").succeeded("installed")
    aws.rotate(arn, good)
    agent.fetch(arn, "--combined", "--on-change-exec=/bin/true").succeeded("installed", "hook_done")
    assert len(names(agent.dir)) > 6
    result = purge(agent).succeeded("purged")
    assert names(agent.dir) == []
    assert result.event("purged")["removed"] > 6 and result.event("purged")["left"] == 0


def test_twice(agent, put, good):
    agent.fetch(put(good)).succeeded("installed")
    purge(agent).succeeded("purged")
    before = snapshot(agent.dir)
    assert purge(agent).succeeded("purged").event("purged")["removed"] == 0
    assert {name: fact[0] for name, fact in snapshot(agent.dir).items()} == {
        name: fact[0] for name, fact in before.items()
    }


def test_where_nothing_ever_was(agent):
    assert purge(agent).succeeded("purged").event("purged")["removed"] == 0
    assert not agent.dir.exists()


def test_sets_in_subdirectories(agent, put, good):
    """Also of secrets that no configuration names any more; an empty subdirectory goes with its set."""
    agent.fetch([f"web={put(good)}", f"db={put(good)}"]).succeeded()
    (agent.dir / "db" / "notes").write_text("mine")
    result = purge(agent).succeeded("purged")
    assert names(agent.dir) == ["db"] and names(agent.dir / "db") == ["notes"]
    assert [event["name"] for event in result.all("purge_left")] == ["db"]


def test_a_set_in_a_subdirectory_elsewhere(agent, put, good, tmp_path):
    """A link is followed for a set that the configuration names, and for no other."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    agent.dir.mkdir()
    (agent.dir / "web").symlink_to(elsewhere)
    secret = f"web={put(good)}"
    agent.fetch(secret).succeeded("installed")
    purge(agent).succeeded("purged", "purge_left")
    assert "client.key" in names(elsewhere)
    purge(agent, f"--secret={secret}").succeeded("purged")
    assert names(elsewhere) == [] and names(agent.dir) == ["web"]


def test_what_a_killed_agent_left(agent, put, good):
    agent.fetch(put(good)).succeeded("installed")
    (agent.dir / "..set-0123456789abcdef").mkdir()
    (agent.dir / "..set-0123456789abcdef" / "client.key").write_text("half a k")
    (agent.dir / "..data.tmp").symlink_to("..set-0123456789abcdef")
    (agent.dir / "..agent.tmp").write_text("")
    purge(agent).succeeded("purged")
    assert names(agent.dir) == []


def test_status_and_metrics(serve, agent, put, good, tmp_path):
    arn = put(good)
    service = serve(arn, f"--metrics-file={tmp_path}/mtls.prom")
    service.wait("ready")
    service.stop()
    assert (agent.dir / "..status.json").exists() and (tmp_path / "mtls.prom").exists()
    (tmp_path / "status.json").write_text("{}")
    options = (f"--metrics-file={tmp_path}/mtls.prom", f"--status-file={tmp_path}/status.json")
    purge(agent, *options).succeeded("purged")
    assert names(agent.dir) == []
    assert not (tmp_path / "mtls.prom").exists() and not (tmp_path / "status.json").exists()


def test_the_status_of_a_service_manager(serve, agent, put, good, tmp_path):
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    service = serve(put(good), env=env)
    service.wait("ready")
    service.stop()
    assert names(runtime) == ["status.json"]
    purge(agent, env=env).succeeded("purged")
    assert names(runtime) == []


def test_refused_while_run_has_it(serve, agent, put, good):
    status = agent.dir.with_name("status.json")  # written whenever it likes
    service = serve(put(good), f"--status-file={status}", interval="1h", probe_interval="0s")
    service.wait("ready")
    before = snapshot(agent.dir)
    purge(agent).failed(75, "already_running")
    assert snapshot(agent.dir) == before
    service.stop()
    purge(agent).succeeded("purged")


def test_files_that_were_there_before_the_agent(agent, put, good):
    """They became the set before: what was taken over goes as well."""
    agent.dir.mkdir()
    for name in ("client.crt", "client.key", "ca.crt"):
        (agent.dir / name).write_text("old")
    agent.fetch(put(good)).succeeded("adopted")
    purge(agent).succeeded("purged")
    assert names(agent.dir) == []


def test_what_is_not_the_agents_stays(agent, put, good, tmp_path):
    agent.fetch(put(good)).succeeded("installed")
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "client.key").write_text("another's")
    (agent.dir / "app.pid").write_text("1")
    (agent.dir / "server.key").write_text("plain")
    (agent.dir / "..set-of-somebody").mkdir()
    (agent.dir / "backup").mkdir()
    (agent.dir / "backup" / "client.key").write_text("a copy")
    (agent.dir / "link.key").symlink_to(victim / "client.key")
    (agent.dir / "..set-00000000000000aa").symlink_to(victim)
    stays = ["..set-00000000000000aa", "..set-of-somebody", "app.pid", "backup", "link.key", "server.key"]
    result = purge(agent).succeeded("purged")
    assert names(agent.dir) == stays
    assert sorted(event["name"] for event in result.all("purge_left")) == stays
    assert names(victim) == ["client.key"] and names(agent.dir / "backup") == ["client.key"]


def test_a_set_with_links_in_it(agent, put, good, tmp_path):
    """They go, and not what they lead to."""
    agent.fetch(put(good)).succeeded("installed")
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("x")
    current = agent.dir / os.readlink(agent.dir / "..data")
    (current / "out").symlink_to(victim)
    (agent.dir / "..agent").unlink(missing_ok=True)
    (agent.dir / "..agent").symlink_to(victim / "precious")
    purge(agent).succeeded("purged")
    assert names(agent.dir) == [] and names(victim) == ["precious"]


def test_a_strangers_directory(agent, put, good):
    agent.fetch(put(good)).succeeded("installed")
    theirs = agent.dir / "web"
    theirs.mkdir()
    (theirs / "client.key").write_text("another's")
    os.chown(theirs, STRANGER, STRANGER)
    assert purge(agent).succeeded("purged").event("purge_left")["name"] == "web"
    assert names(agent.dir) == ["web"] and names(theirs) == ["client.key"]


def test_a_set_of_a_former_owner(agent, put, good):
    """No key stays because the configuration does not name its owner any more."""
    agent.fetch(put(good), f"--owner={STRANGER}:{STRANGER}").succeeded("installed")
    assert not purge(agent).succeeded("purged").all("purge_left")
    assert names(agent.dir) == []


def test_another_set_of_links(agent):
    """A volume whose ..data is not the agent's."""
    agent.dir.mkdir()
    (agent.dir / "..2026_11_26").mkdir()
    (agent.dir / "..data").symlink_to("..2026_11_26")
    before = names(agent.dir)
    purge(agent).succeeded("purged")
    assert names(agent.dir) == before


def test_a_lock_that_is_somebody_elses(agent, put, good, tmp_path):
    """Where it is to lie in the target: whether a run is alive cannot be told, and nothing goes."""
    agent.fetch(put(good)).succeeded("installed")
    (agent.dir / "..run").symlink_to(tmp_path / "elsewhere")
    before = snapshot(agent.dir)
    purge(agent, f"--lock-dir={agent.dir}").failed(73, "target_invalid")
    assert snapshot(agent.dir) == before and not (tmp_path / "elsewhere").exists()
    assert purge(agent).succeeded("purged").event("purge_left")["name"] == "..run"


def test_what_cannot_be_removed(agent, put, good):
    """All else goes, and it is an error."""
    agent.fetch(put(good)).succeeded("installed")
    current = agent.dir / os.readlink(agent.dir / "..data")
    (current / "kept").mkdir()
    (current / "kept" / "file").write_text("x")
    result = purge(agent)
    result.failed(73, "install_failed")
    assert result.event("purge_failed")["name"] == current.name
    assert names(agent.dir) == [current.name] and names(current) == ["kept"]


def test_a_subdirectory_that_is_locked(agent, put, good):
    """By a fetch that takes longer than the deadline: the others go."""
    agent.fetch([f"{name}={put(good)}" for name in ("a", "m", "z")]).succeeded()
    facts = (agent.dir / "m").stat()
    lock = os.open(agent.locks / f"{facts.st_dev:x}-{facts.st_ino:x}.lock", os.O_RDWR)
    fcntl.lockf(lock, fcntl.LOCK_EX)
    result = purge(agent, "--deadline=1s")
    result.failed(73, "install_failed")
    assert result.event("purge_failed")["name"] == "m" and names(agent.dir) == ["m"]
    os.close(lock)
    purge(agent).succeeded("purged")
    assert names(agent.dir) == []


def test_below_a_root(agent, put, good, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    agent.fetch(put(good), f"--root={root}", directory="/var/lib/mtls-agent").succeeded("installed")
    agent.run("purge", "--log-format=json", f"--root={root}", "--dir=/var/lib/mtls-agent").succeeded("purged")
    assert names(root / "var/lib/mtls-agent") == []


def test_another_agents_status_stays(agent, serve, put, good, tmp_path):
    """One status file for all, by RUNTIME_DIRECTORY: it is another directory's."""
    other, runtime = tmp_path / "other", tmp_path / "runtime"
    runtime.mkdir()
    agent.fetch(put(good)).succeeded("installed")
    service = serve(put(good), f"--dir={other}", dir_flag=False, env={"RUNTIME_DIRECTORY": str(runtime)})
    service.wait("ready")
    wait_for((runtime / "status.json").exists)
    result = purge(agent, env={"RUNTIME_DIRECTORY": str(runtime)}).succeeded("purged")
    assert (runtime / "status.json").exists()
    assert str(runtime / "status.json") in [event["name"] for event in result.all("purge_left")]
    service.stop()
    (tmp_path / "mtls").mkdir(exist_ok=True)
    agent.run("purge", "--log-format=json", f"--dir={other}", env={"RUNTIME_DIRECTORY": str(runtime)}).succeeded("purged")
    assert not (runtime / "status.json").exists()


def test_where_another_agent_lives(agent, serve, put, good):
    """In a subdirectory that is its own: its set stays."""

    def lasting():
        """It writes its status meanwhile."""
        return [name for name in names(agent.dir / "web") if not name.endswith(".tmp")]

    agent.fetch(put(good)).succeeded("installed")
    service = serve(put(good), f"--dir={agent.dir}/web", dir_flag=False)
    service.wait("ready")
    before = lasting()
    result = purge(agent).succeeded("purged")
    assert [event["name"] for event in result.all("purge_left")] == ["web"]
    assert lasting() == before and "client.key" in before
