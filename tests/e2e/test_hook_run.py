# SPDX-License-Identifier: Apache-2.0
"""Who is told of a changed set, by run and by fetch: once for each set, whatever ends the agent."""

import os
import signal
from pathlib import Path

import pytest

from agent import snapshot, wait_for
from servers.pki import document
from servers.process import Process
from test_run import children

EACH_CYCLE = "--log-level=debug"
FACTS = ("EVENT", "SET", "FINGERPRINT", "NOT_AFTER", "VERSION_ID")


class Hook:
    """A program that notes what it was told, and then does what the test asks for."""

    def __init__(self, directory):
        self.told_file, self.fault_file = directory / "told", directory / "fault"
        self.program = directory / "hook"
        words = " ".join(f'"$MTLS_AGENT_CHANGE_{fact}"' for fact in FACTS)
        self.program.write_text(
            f"#!/bin/sh\nprintf '%s|%s|%s|%s|%s\\n' {words} >>{self.told_file}\n"
            f"[ ! -e {self.fault_file} ] || . {self.fault_file}\n"
        )
        self.program.chmod(0o755)

    @property
    def option(self):
        return f"--on-change-exec={self.program}"

    @property
    def told(self):
        lines = self.told_file.read_text().splitlines() if self.told_file.exists() else []
        return [dict(zip(FACTS, line.split("|"))) for line in lines]

    def fail_by(self, command):
        self.fault_file.write_text(command + "\n")

    def recover(self):
        self.fault_file.unlink()


@pytest.fixture
def hook(tmp_path):
    return Hook(tmp_path)


def rotate(aws, arn, authority, cn="ECS-Client"):
    pair = authority.issue(cn)
    return aws.rotate(arn, document(pair, authority.pem)), pair


def test_its_environment(agent, aws, put, good, pair):
    """Nothing but what is documented."""
    arn = put(good)
    result = agent.fetch(arn, "--on-change-exec=/usr/bin/env").succeeded("installed", "hook_done")
    told = dict(event["line"].split("=", 1) for event in result.all("hook_output"))
    assert set(told) == {"PATH", "MTLS_AGENT_DIR", *(f"MTLS_AGENT_CHANGE_{fact}" for fact in FACTS)}
    assert told["MTLS_AGENT_DIR"] == str(agent.dir)
    assert told["MTLS_AGENT_CHANGE_EVENT"] == "installed" and told["MTLS_AGENT_CHANGE_SET"] == ""
    assert told["MTLS_AGENT_CHANGE_FINGERPRINT"] == result.event("installed")["fingerprint"]
    end = pair.certificate.not_valid_after_utc
    assert told["MTLS_AGENT_CHANGE_NOT_AFTER"] == end.strftime("%Y-%m-%dT%H:%M:%SZ")
    (version,) = aws.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    assert told["MTLS_AGENT_CHANGE_VERSION_ID"] == version


def test_its_arguments_see_no_shell(agent, put, good):
    command = """/usr/bin/printf '%s\\n' "a  b" '$HOME' * \\; `id`"""
    result = agent.fetch(put(good), f"--on-change-exec={command}").succeeded("hook_done")
    assert [event["line"] for event in result.all("hook_output")] == ["a  b", "$HOME", "*", ";", "`id`"]


def test_a_set_of_several_is_told_by_its_name(agent, put, good, hook):
    agent.fetch([f"one={put(good)}", f"other={put(good)}"], hook.option)
    assert [told["SET"] for told in hook.told] == ["one", "other"]


def test_once_for_each_set(serve, aws, put, good, authority, hook):
    arn = put(good)
    service = serve(arn, EACH_CYCLE, hook.option)
    service.wait("hook_done")
    service.more("unchanged", 2)
    version, _ = rotate(aws, arn, authority)
    service.wait("hook_done", 2)
    service.more("unchanged", 2)
    assert [told["EVENT"] for told in hook.told] == ["installed", "installed"]
    assert hook.told[1]["VERSION_ID"] == version
    installed = [each["fingerprint"] for each in service.all("installed")]
    assert [told["FINGERPRINT"] for told in hook.told] == installed


def test_after_the_set_is_in_place(agent, put, good, tmp_path):
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ncat {agent.dir}/client.crt >{tmp_path}/seen\n")
    hook.chmod(0o755)
    agent.fetch(put(good), f"--on-change-exec={hook}").succeeded("hook_done")
    assert (tmp_path / "seen").read_text() == agent.file("client.crt")


def test_not_again_by_who_comes_later(serve, agent, put, good, hook):
    """Which set was told of stands beside it."""
    arn = put(good)
    agent.fetch(arn, hook.option).succeeded("hook_done")
    agent.fetch(arn, hook.option).succeeded("unchanged")
    service = serve(arn, EACH_CYCLE, hook.option)
    service.wait("unchanged", 2)
    assert len(hook.told) == 1


def test_a_healed_set_is_told(agent, put, good, hook):
    arn = put(good)
    agent.fetch(arn, hook.option)
    (agent.dir / "client.crt").resolve().write_text("damaged")
    agent.fetch(arn, hook.option).succeeded("healed", "hook_done")
    assert [told["EVENT"] for told in hook.told] == ["installed", "healed"]


def test_it_fails_in_fetch(agent, put, good, hook):
    """The set is in place; who should know was not told, and is by the next fetch."""
    arn = put(good)
    hook.fail_by("echo no such service; exit 3")
    result = agent.fetch(arn, hook.option)
    assert "3" in result.failed(74, "hook_failed")["reason"]
    assert result.event("installed") and result.event("hook_output")["line"] == "no such service"
    before = snapshot((agent.dir / "..data").resolve())
    agent.fetch(arn, hook.option).failed(74, "hook_failed")
    hook.recover()
    agent.fetch(arn, hook.option).succeeded("unchanged", "hook_done")
    agent.fetch(arn, hook.option).succeeded("unchanged")
    assert [told["EVENT"] for told in hook.told] == ["installed", "pending", "pending"]
    assert snapshot((agent.dir / "..data").resolve()) == before


def test_its_failure_hides_no_other(agent, put, good, hook):
    """74 says that every identity is in place."""
    hook.fail_by("exit 3")
    result = agent.fetch([f"good={put(good)}", f"bad={put('{}')}"], hook.option)
    assert result.status == 65
    assert sorted(event["code"] for event in result.all("error")) == ["field_missing", "hook_failed"]


def test_a_program_that_is_not_there(agent, put, good):
    reason = agent.fetch(put(good), "--on-change-exec=/nowhere/hook").failed(74, "hook_failed")["reason"]
    assert "/nowhere/hook" in reason


def test_it_takes_too_long(agent, put, good):
    result = agent.fetch(put(good), "--on-change-exec=/bin/sleep 600", "--on-change-timeout=200ms")
    result.failed(74, "hook_failed")
    assert result.seconds < 80


def metric(path, name):
    """None: there is none."""
    found = [line.split()[-1] for line in path.read_text().splitlines() if line.startswith(name + " ")]
    return float(found[0]) if found else None


def test_it_fails_in_run(serve, agent, put, good, hook, tmp_path):
    """Tried again, less and less often, said once, counted; the set stays; and well again it is told."""
    metrics = tmp_path / "metrics"
    hook.fail_by("exit 3")
    service = serve(put(good), EACH_CYCLE, hook.option, f"--metrics-file={metrics}", interval="300ms")
    wait_for(lambda: len(hook.told) >= 3)
    wait_for(lambda: agent.status()["sets"][0]["on_change"] == "failed")
    assert agent.status()["sets"][0]["on_change_error"]["code"] == "hook_failed"
    assert len(service.all("error", code="hook_failed")) == 1
    assert service.all("ready") and agent.file("client.crt")
    hook.recover()
    service.wait("hook_done")
    wait_for(lambda: agent.status()["sets"][0]["on_change"] == "done")
    wait_for(lambda: metric(metrics, 'mtls_agent_hooks_total{result="done"}') == 1)
    assert metric(metrics, 'mtls_agent_hooks_total{result="failed"}') == len(hook.told) - 1
    service.more("unchanged", 2)
    assert metric(metrics, 'mtls_agent_hooks_total{result="done"}') == 1
    assert len({told["FINGERPRINT"] for told in hook.told}) == 1


def test_it_hangs_in_run(serve, agent, aws, put, good, authority, hook, tmp_path):
    """Its time is limited, and cycles go on meanwhile."""
    metrics = tmp_path / "metrics"
    hook.fail_by("exec sleep 60")
    arn = put(good)
    service = serve(arn, EACH_CYCLE, hook.option, "--on-change-timeout=1s", f"--metrics-file={metrics}")
    wait_for(lambda: hook.told)
    service.wait("unchanged", 2)
    rotate(aws, arn, authority)
    service.wait("installed", 2)
    service.wait("error", code="hook_failed")
    hook.recover()
    service.wait("hook_done")
    wait_for(lambda: metric(metrics, 'mtls_agent_hooks_total{result="timeout"}') >= 1)
    assert hook.told[-1]["FINGERPRINT"] == service.all("installed")[-1]["fingerprint"]


def test_a_reload_waits_for_it(serve, put, good, hook, enclave):
    """And nothing else does."""
    hook.fail_by("exec sleep 60")
    service = serve(put(good), EACH_CYCLE, hook.option, "--on-change-timeout=2m", endpoint=enclave.endpoint)
    wait_for(lambda: hook.told)
    service.wait("ready")
    service.send(signal.SIGHUP)
    service.more("unchanged", 3)
    service.more("handshake", 3)
    assert not service.all("reloaded")
    (runner,) = children(service.pid)
    hook.recover()
    for program in children(runner):
        os.kill(program, signal.SIGTERM)
    service.wait("reloaded")
    service.wait("hook_done")


def test_it_is_ended_with_the_agent(serve, tmp_path, put, good):
    """A hook that is at work when the agent has to go gets what there is of its second, and SIGTERM."""
    hook = tmp_path / "hook"
    hook.write_text(
        f"#!/bin/sh\ntrap 'echo ended >{tmp_path}/ended; exit' TERM\n"
        f"sleep 600 &\necho $$ >{tmp_path}/pid\nwait\n"
    )
    hook.chmod(0o755)
    service = serve(put(good), f"--on-change-exec={hook}", "--on-change-timeout=5m")
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    status, seconds = service.stop()
    assert status == 0 and seconds < 60
    wait_for(lambda: (tmp_path / "ended").exists())
    wait_for(lambda: not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["owner", "group", "all", "directory", "link"])
def test_a_program_that_others_could_have_written(agent, put, good, tmp_path, what):
    """It does not run, and the error says why; the identity is in place."""
    directory, ran = tmp_path / "hooks", tmp_path / "ran"
    directory.mkdir()
    hook = directory / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)
    named = hook
    if what == "owner":
        os.chown(hook, 65534, 65534)
    elif what == "group":
        hook.chmod(0o775)
    elif what == "all":
        hook.chmod(0o757)
    elif what == "directory":
        directory.chmod(0o777)
    else:
        named = tmp_path / "link"
        named.symlink_to(hook)
        os.lchown(named, 65534, 65534)
    arn = put(good)
    reason = agent.fetch(arn, f"--on-change-exec={named}").failed(74, "hook_failed")["reason"]
    assert "is not run" in reason and not ran.exists(), reason
    hook.chmod(0o755)
    directory.chmod(0o755)
    os.chown(hook, 0, 0)
    agent.fetch(arn, f"--on-change-exec={hook}").succeeded("hook_done")
    assert ran.exists()


def test_its_runner_is_gone(serve, put, good, hook):
    """Nobody could be told any more: run ends, so that whoever started it starts it anew."""
    service = serve(put(good), hook.option)
    service.wait("hook_done")
    (runner,) = children(service.pid)
    os.kill(runner, signal.SIGKILL)
    assert service.child.wait(20) == 71
    assert service.all("error", subject="hook") and service.all("stopped", exit_status=71)


@pytest.mark.parametrize("command", ["run", "fetch"])
def test_a_crash_between_swap_and_hook(serve, agent, put, good, hook, command):
    """Killed while the hook runs: the next start runs it again, since nobody knows how it went."""
    arn = put(good)
    hook.fail_by("exec sleep 60")
    if command == "run":
        victim = serve(arn, hook.option)
    else:
        victim = agent.start(*agent.fetch_arguments(arn, hook.option))
    wait_for(lambda: hook.told)
    os.kill(victim.pid, signal.SIGKILL)
    victim.child.wait(10)
    hook.recover()
    service = serve(arn, EACH_CYCLE, hook.option)
    service.wait("hook_done")
    service.more("unchanged", 2)
    assert [told["EVENT"] for told in hook.told] == ["installed", "pending"]
    assert hook.told[0]["VERSION_ID"] == hook.told[1]["VERSION_ID"]


class Listener(Process):
    """A daemon that notes each SIGHUP, and goes on."""

    def __init__(self, directory):
        self.notes = directory / "signals"
        self.notes.write_text("")
        script = f"trap 'echo HUP >>{self.notes}' HUP; echo ready; while :; do sleep 0.02; done"
        # Whoever started the tests may ignore it, and a shell cannot change that.
        super().__init__(["env", "--default-signal=HUP", "sh", "-c", script], directory / "listener.log")
        assert self.wait_until(lambda: "ready" in self.output())

    @property
    def count(self):
        return len(self.notes.read_text().splitlines())


@pytest.mark.parametrize("by", ["pid file", "pid"])
def test_a_signal(serve, aws, put, good, authority, tmp_path, up, by):
    listener = up(Listener(tmp_path))
    pid_file = tmp_path / "daemon.pid"
    pid_file.write_text(f"{listener.pid}\n")
    arn = put(good)
    whom = pid_file if by == "pid file" else listener.pid
    service = serve(arn, EACH_CYCLE, f"--on-change-signal=HUP:{whom}")
    assert service.wait("hook_signal")["pid"] == listener.pid
    service.wait("hook_done")
    wait_for(lambda: listener.count == 1)
    rotate(aws, arn, authority)
    service.wait("hook_done", 2)
    wait_for(lambda: listener.count == 2)
    service.more("unchanged", 2)
    assert listener.count == 2


def test_a_signal_and_a_program_by_fetch(agent, put, good, hook, tmp_path, up):
    """All are told, whoever of them fails."""
    listener = up(Listener(tmp_path))
    hook.fail_by("exit 1")
    agent.fetch(put(good), hook.option, f"--on-change-signal=HUP:{listener.pid}").failed(74, "hook_failed")
    wait_for(lambda: listener.count == 1)


@pytest.mark.parametrize("pid_file", ["missing", "stale"])
def test_nobody_runs(serve, agent, put, good, tmp_path, pid_file):
    """Then nobody has to be told: a warning, and done."""
    path = tmp_path / "daemon.pid"
    if pid_file == "stale":
        gone = Process(["true"], tmp_path / "gone.log")
        gone.child.wait()
        path.write_text(f"{gone.pid}\n")
    service = serve(put(good), EACH_CYCLE, f"--on-change-signal=HUP:{path}")
    assert service.wait("hook_nobody")["level"] == "warning"
    service.wait("hook_done")
    service.more("unchanged", 2)
    assert len(service.all("hook_nobody")) == 1 and not service.all("error")
    wait_for(lambda: agent.status()["sets"][0]["on_change"] == "done")


# ---- what it leaves behind, and what others do beside it


def lives_on(path, count=5):
    before = len(path.read_text())
    wait_for(lambda: len(path.read_text()) >= before + count)


@pytest.fixture
def left(tmp_path):
    """The file of who was left running, which ends with the test."""
    path = tmp_path / "lives"
    path.touch()
    yield path
    path.unlink()
    path.mkdir()  # it cannot write there, and ends


def leave_one(hook, path):
    hook.fail_by(f"( while echo words && echo >>{path}; do sleep 0.05; done ) &")


def test_what_it_leaves_may_go_on_writing(agent, put, good, hook, left):
    """Also once the agent has ended: nobody dies of a closed pipe, and nobody waits for the end of our own output."""
    leave_one(hook, left)
    agent.fetch(put(good), hook.option).succeeded("hook_done")
    lives_on(left)


def test_what_it_leaves_is_heard_by_run(serve, put, good, hook, left):
    leave_one(hook, left)
    service = serve(put(good), EACH_CYCLE, hook.option)
    service.wait("hook_done")
    service.more("hook_output", 5)
    service.stop()
    lives_on(left)


def test_one_that_ignores_sigterm_is_killed(agent, put, good, hook, tmp_path):
    """By fetch too, whose deadline is what it has: two seconds after it was asked to end."""
    hook.fail_by(f"trap '' TERM\necho $$ >{tmp_path}/pid\nwhile :; do sleep 0.1; done")
    error = agent.fetch(put(good), hook.option, deadline="8s").failed(74, "hook_failed")
    assert "did not end within" in error["reason"]
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_one_that_ignores_sigterm_ends_with_the_agent(serve, put, good, hook, tmp_path):
    hook.fail_by(f"trap '' TERM\necho $$ >{tmp_path}/pid\nwhile :; do sleep 0.1; done")
    service = serve(put(good), hook.option)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    assert service.stop()[0] == 0
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_one_that_fails_delays_no_other(serve, put, good, hook):
    """Each has a time of its own, 5 s and more, after which it is tried again."""
    hook.fail_by('[ "$MTLS_AGENT_CHANGE_SET" = last ]')
    secret = put(good)
    sets = [*(f"set{number}={secret}" for number in range(8)), f"last={secret}"]
    service = serve(sets, hook.option, interval="1h")
    service.wait("ready")
    service.wait("hook_done", seconds=35)


def test_two_agents_with_one_hook_tell_once(serve, agent, aws, put, good, authority, hook, tmp_path):
    """A fetch by hand installs while its hook takes its time, and run looks again and again meanwhile."""
    arn = put(good)
    service = serve(arn, EACH_CYCLE, hook.option)
    service.wait("hook_done")
    hook.fail_by(f"while [ ! -e {tmp_path}/enough ]; do sleep 0.05; done")
    rotate(aws, arn, authority)
    running = agent.start(*agent.fetch_arguments(arn, hook.option, deadline="60s"))
    wait_for(lambda: len(hook.told) == 2)
    service.more("unchanged", 6)
    (tmp_path / "enough").touch()
    running.finish()
    service.more("unchanged", 6)
    assert len(hook.told) == 2


def test_without_proc(agent, put, good, hook, tmp_path):
    """Descriptors are closed for the hook by the kernel, which needs no /proc."""
    prefix = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--mount", "sh", "-c"]
    prefix += ['mount -t tmpfs none /proc && exec "$@"', "sh"]
    agent.fetch(put(good), hook.option, prefix=prefix).succeeded("hook_done")


def test_run_without_proc(serve, agent, aws, put, good, authority, hook, enclave):
    """Signals, changes, probes and hooks as anywhere else."""
    prefix = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--mount", "sh", "-c"]
    prefix += ['mount -t tmpfs none /proc && exec "$@"', "sh"]
    arn = put(good)
    service = serve(arn, hook.option, EACH_CYCLE, endpoint=enclave.endpoint, prefix=prefix)
    service.wait("hook_done")
    _, pair = rotate(aws, arn, authority)
    service.send(signal.SIGHUP)
    service.wait("hook_done", 2)
    service.more("handshake", result="accepted")
    assert agent.file("client.crt") == pair.cert and len(hook.told) == 2
    assert service.stop()[0] == 0 and not service.all("error")


def test_of_two_sets_a_hook_that_outlives_the_deadline(agent, put, good, tmp_path):
    """Both are installed, and neither is told of: the status is the hook's."""
    program = tmp_path / "hook"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    sets = [f"one={put(good)}", f"two={put(good)}"]
    result = agent.fetch(sets, f"--on-change-exec={program}", deadline="6s")
    assert result.status == 74, result.stderr
    assert len(result.all("installed")) == 2
    errors = result.all("error")
    assert len(errors) == 2 and {error["code"] for error in errors} == {"hook_failed"}


@pytest.mark.parametrize("ends", ["kill -9 $PPID; sleep 60", "kill -9 $PPID"])
def test_fetch_whose_runner_dies(agent, put, good, hook, ends):
    """Nobody knows whether somebody was told, so that this is no success; and the next fetch tells."""
    arn = put(good)
    hook.fail_by(ends)
    error = agent.fetch(arn, hook.option).failed(74, "hook_failed")
    assert "runner is gone" in error["reason"]
    hook.recover()
    agent.fetch(arn, hook.option).succeeded("unchanged", "hook_done")
    assert [each["EVENT"] for each in hook.told] == ["installed", "pending"]
    agent.fetch(arn, hook.option).succeeded("unchanged")
    assert len(hook.told) == 2
