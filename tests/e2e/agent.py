# SPDX-License-Identifier: Apache-2.0
"""Runs the agent as its users do, and reads what it says."""

import itertools
import json
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("MTLS_AGENT") or ROOT / "build" / "mtls-agent").resolve()
PROGRAMS = Path(os.environ.get("MTLS_AGENT_PROGRAMS") or ROOT / "build" / "tests").resolve()  # for tests alone
DRY_RUN = ("--dry-run", "--endpoint=localhost:1")  # of which AWS's refusal is told at once, on a first install as well
PATIENCE_S = 90  # longer than any deadline that a test gives


class Result:
    """How a run ended: exit status, what it wrote, how long it took."""

    def __init__(self, status, stdout, stderr, seconds):
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        self.seconds = seconds

    @property
    def events(self):
        """What it logged, as JSON; a line that is something else is a mistake of the agent."""
        return [json.loads(line) for line in self.stderr.splitlines()]

    def all(self, name):
        return [event for event in self.events if event["event"] == name]

    def event(self, name):
        """The only event of that name."""
        found = self.all(name)
        assert len(found) == 1, f"{len(found)} events {name!r} in:\n{self.stderr}"
        return found[0]

    def names(self):
        return [event["event"] for event in self.events]

    def failed(self, status, code):
        """Asserts that it failed with this exit status and this one error, and returns the error."""
        assert self.status == status, f"exit {self.status}, not {status}:\n{self.stderr}"
        error = self.event("error")
        assert error["code"] == code, self.stderr
        return error

    def succeeded(self, *events):
        """Asserts success with these events and no error, and returns itself."""
        assert self.status == 0, f"exit {self.status}:\n{self.stderr}"
        assert not self.all("error"), self.stderr
        for name in events:
            self.event(name)
        return self


class Running:
    def __init__(self, argv, env, pass_fds=()):
        self.started = time.monotonic()
        self.child = subprocess.Popen(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            pass_fds=pass_fds,
        )

    @property
    def pid(self):
        return self.child.pid

    def finish(self, patience=PATIENCE_S):
        try:
            stdout, stderr = self.child.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self.child.kill()
            raise AssertionError(f"the agent hangs:\n{self.child.communicate()[1]}")
        return Result(self.child.returncode, stdout, stderr, time.monotonic() - self.started)


class Service:
    """
    `mtls-agent run`, whose log can be read while it lives. Events are parsed as they come. What a cycle says
    again comes at level debug alone. records: at that level, of which handshakes alone are looked at, so that
    each is there.
    """

    def __init__(self, argv, env, log, stdout, records=False):
        self.log, self.stdout, self.records = Path(log), Path(stdout), records
        with open(self.log, "wb") as stderr, open(self.stdout, "wb") as out:
            self.child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=stderr)

    @property
    def pid(self):
        return self.child.pid

    @property
    def events(self):
        """Whole lines only: the last one may be on its way."""
        found = [json.loads(line) for line in self.log.read_text().splitlines(True) if line.endswith("\n")]
        if not self.records:
            return found
        return [event for event in found if event["level"] != "debug" or event["event"] == "handshake"]

    def tail(self):
        return "\n".join(line[:300] for line in self.log.read_text().splitlines()[-40:])

    def all(self, name, **fields):
        return [
            event
            for event in self.events
            if event["event"] == name and all(event.get(key) == value for key, value in fields.items())
        ]

    def wait(self, name, count=1, seconds=60, **fields):
        """Waits until so many events of that name and these fields have come, each in its time; the last one of them."""

        def come(number):
            assert self.child.poll() is None, f"it ended with {self.child.returncode}:\n{self.tail()}"
            return len(self.all(name, **fields)) >= number

        try:
            for number in range(1, count + 1):
                wait_for(lambda number=number: come(number), seconds)
        except AssertionError as error:
            raise AssertionError(f"{error} ({name} {fields}) in:\n{self.tail()}") from None
        return self.all(name, **fields)[count - 1]

    def more(self, name, count=1, **fields):
        """Waits for so many more of them than there are now."""
        return self.wait(name, len(self.all(name, **fields)) + count, **fields)

    def send(self, number):
        self.child.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Ends it; the exit status, and how long it took."""
        started = time.monotonic()
        if self.child.poll() is None:
            self.child.send_signal(number)
        try:
            status = self.child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"the agent hangs:\n{self.tail()}")
        return status, time.monotonic() - started


class Agent:
    """The agent with a target directory, and nothing in its environment but what leads it to the emulator."""

    def __init__(self, directory, environment):
        self.dir = Path(directory) / "mtls"
        self._numbers = itertools.count(1)
        self.locks = Path(directory) / "locks"  # not the machine's: nothing is left in /run
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "AWS_EC2_METADATA_DISABLED": "true",
            "MTLS_AGENT_LOCK_DIR": str(self.locks),
            **environment,
        }

    @staticmethod
    def keys_of(pair):
        """The environment's part of an access key as IAM gives it."""
        return {
            "AWS_ACCESS_KEY_ID": pair["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": pair["aws_secret_access_key"],
        }

    def start(self, *arguments, env=None, prefix=(), program=PROGRAM):
        """env: changes of the environment, None to unset; prefix: a command that runs the agent."""
        environment = {**self.environment, **(env or {})}
        environment = {name: value for name, value in environment.items() if value is not None}
        return Running([*prefix, str(program), *map(str, arguments)], environment)

    def run(self, *arguments, **options):
        return self.start(*arguments, **options).finish()

    def fetch_arguments(
        self, secret, *arguments, endpoint=(), deadline="60s", directory=None, log_format="json"
    ):
        secrets = [secret] if isinstance(secret, str) else secret
        endpoints = [endpoint] if isinstance(endpoint, str) else endpoint
        return [
            "fetch",
            f"--log-format={log_format}",
            f"--deadline={deadline}",
            f"--dir={directory or self.dir}",
            *(f"--secret={each}" for each in secrets),
            *(f"--endpoint={each}" for each in endpoints),
            *arguments,
        ]

    def fetch(self, secret, *arguments, env=None, prefix=(), **options):
        return self.run(*self.fetch_arguments(secret, *arguments, **options), env=env, prefix=prefix)

    def serve(
        self,
        secret,
        *arguments,
        endpoint=(),
        deadline="30s",
        interval="400ms",
        probe_interval="300ms",
        dir_flag=True,
        program=PROGRAM,
        env=None,
        prefix=(),
    ):
        """
        Starts `run`, with time compressed; an interval of None: without that flag. Whoever starts it stops it,
        as the fixture serve does.
        """
        secrets = [secret] if isinstance(secret, str) else secret
        endpoints = [endpoint] if isinstance(endpoint, str) else endpoint
        environment = {**self.environment, **(env or {})}
        tells = any(str(each).startswith(("--log-level", "--config")) for each in arguments)
        records = not tells and "MTLS_AGENT_LOG_LEVEL" not in environment
        argv = [
            *prefix,
            str(program),
            "run",
            "--log-format=json",
            *["--log-level=debug"] * records,
            f"--deadline={deadline}",
            *([f"--interval={interval}"] if interval else ()),
            *([f"--probe-interval={probe_interval}"] if probe_interval else ()),
            *([f"--dir={self.dir}"] if dir_flag else ()),
            *(f"--secret={each}" for each in secrets),
            *(f"--endpoint={each}" for each in endpoints),
            *map(str, arguments),
        ]
        number = next(self._numbers)
        files = (self.dir.with_name(f"run-{number}.{kind}") for kind in ("log", "out"))
        environment = {name: value for name, value in environment.items() if value is not None}
        return Service(argv, environment, *files, records)

    def status(self):
        """What `run` says about itself, from its file, which is written beside its work: the first may be on its way."""
        path = self.dir / "..status.json"
        wait_for(path.exists)
        return json.loads(path.read_text())

    def probe(self, endpoint, *arguments, deadline="60s", **options):
        endpoints = [endpoint] if isinstance(endpoint, str) else endpoint
        return self.run(
            "probe",
            "--log-format=json",
            f"--deadline={deadline}",
            f"--dir={self.dir}",
            *(f"--endpoint={each}" for each in endpoints),
            *arguments,
            **options,
        )

    def file(self, name):
        return (self.dir / name).read_text()

    def mode(self, name):
        return stat.S_IMODE((self.dir / name).stat().st_mode)


def snapshot(directory):
    """All that can be seen of a tree, times and inodes included; what was not touched compares equal."""
    if not Path(directory).exists():
        return None
    seen = {}
    for path in [Path(directory), *sorted(Path(directory).rglob("*"))]:
        facts = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        seen[str(path)] = (
            facts.st_mode,
            facts.st_uid,
            facts.st_gid,
            facts.st_ino,
            facts.st_mtime_ns,
            content,
        )
    return seen


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
