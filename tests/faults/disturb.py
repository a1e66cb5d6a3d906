# SPDX-License-Identifier: Apache-2.0
"""System calls by their names, which errors each may give, and the agent with one of them disturbed."""

import errno
import functools
import json
import os
import re
import subprocess
from dataclasses import dataclass, field

from agent import PROGRAMS

ERRORS = ("EIO", "ENOSPC", "EINTR", "EAGAIN", "EMFILE", "ENOMEM", "EDQUOT", "EROFS")
# Who may look into a process that forbids it: root, and whoever made the namespace that it is in.
AS_ROOT = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--"]
PATIENCE_S = 40  # for what its own deadline of 8 s ends after 10 at most

OPEN = {"open", "openat"}
CHANGE = {"mkdirat", "symlinkat", "rename", "renameat", "renameat2", "fchmod", "fchown", "ftruncate"}
REMOVE = {"unlink", "unlinkat"}
LOOK = {"access", "faccessat", "faccessat2", "newfstatat", "stat", "lstat", "fstat", "fstatfs", "statx"}
LOOK |= {"readlink", "readlinkat", "getdents64"}
DATA = {"read", "write", "readv", "writev", "pread64", "lseek"}
NETWORK = {"socket", "bind", "connect", "sendto", "recvfrom", "sendmsg", "recvmsg"}
NETWORK |= {"setsockopt", "getsockopt", "getsockname", "getpeername", "socketpair", "shutdown"}
MEMORY = {"mmap", "brk", "mprotect", "mremap", "munmap", "madvise", "mlock", "mincore", "clone"}
RIGHTS = {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp", "prctl"}
WAIT = {"poll", "ppoll", "futex", "nanosleep", "clock_nanosleep", "flock", "wait4", "fcntl"}
EVENTS = {"eventfd2", "pipe2", "timerfd_create", "signalfd4", "epoll_create1"}

# Where each error applies: what the manual pages or a file system's own code give for the call.
MAY_FAIL = {
    "EIO": OPEN | CHANGE | REMOVE | LOOK | DATA | {"close", "fsync", "sendto", "recvfrom"},
    "ENOSPC": OPEN | CHANGE | {"write", "writev", "fsync", "close"},
    "EDQUOT": OPEN | CHANGE | {"write", "writev", "fsync", "close"},
    "EROFS": OPEN | CHANGE | REMOVE,
    "EMFILE": OPEN | EVENTS | {"socket", "socketpair", "landlock_create_ruleset"},
    "EINTR": OPEN
    | DATA
    | WAIT
    | {"close", "fsync", "getrandom", "connect", "sendto", "recvfrom", "sendmsg", "recvmsg"},
    "EAGAIN": {"read", "write", "poll", "futex", "flock", "fcntl", "connect", "clone", "mmap"}
    | {"mlock", "sendto", "recvfrom", "sendmsg", "recvmsg"},
    "ENOMEM": OPEN | CHANGE | REMOVE | LOOK | DATA | NETWORK | MEMORY | RIGHTS | EVENTS | {"poll", "capset"},
}
# Those that cannot fail as they are called; they are killed at like all others.
NEVER_FAIL = {"exit", "exit_group", "geteuid", "getuid", "getegid", "getpid", "gettid", "umask"}
NEVER_FAIL |= {
    "rt_sigprocmask",
    "rt_sigaction",
    "rt_sigreturn",
    "set_tid_address",
    "capget",
    "sched_getaffinity",
}
NEVER_FAIL |= {"timerfd_settime", "prlimit64"}
CUT = {"read", "write", "sendto", "recvfrom"}


@functools.cache
def numbers():
    """The kernel's number of each call, by name, as the compiler's headers have them."""
    text = subprocess.run(
        ["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", os.devnull],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)\n", text)}


@functools.cache
def names():
    return {number: name for name, number in numbers().items()}


@dataclass(frozen=True)
class Fault:
    """What is done at which call: none, kill, short, an error's name, or swap=DIR:TO."""

    action: str
    call: str = "exit"
    number: int = 0

    def __str__(self):
        return f"{self.action} at {self.call} {self.number}"

    @property
    def argument(self):
        return f"fail={getattr(errno, self.action)}" if self.action in ERRORS else self.action


@dataclass
class Outcome:
    status: int
    stderr: str
    done: bool = False  # it came to that call
    fd: int = -1  # that call's first argument
    hung: bool = False
    counts: dict = field(default_factory=dict)

    @property
    def events(self):
        """What it logged, without lines that a fault has cut. It is text before the configuration is read."""
        found = []
        for line in self.stderr.splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                early = re.match(r'\S+ error error code=(\w+) .*reason="(.+?)"', line)
                found += [{"event": "error", "code": early[1], "reason": early[2]}] if early else []
        return found

    def names(self):
        return [event["event"] for event in self.events]


def injecting(report, fault):
    """What is to be put before a command."""
    number = numbers()[fault.call]
    return [
        *AS_ROOT,
        PROGRAMS / "inject",
        report,
        str(PATIENCE_S),
        fault.argument,
        str(number),
        str(fault.number),
    ]


def read_report(report, outcome):
    for line in report.read_text().splitlines():
        word, *rest = line.split()
        if word == "call":
            outcome.counts[names()[int(rest[0])]] = int(rest[1])
        elif word == "done":
            outcome.done, outcome.fd = True, int(rest[0])
        else:
            outcome.hung = True
    return outcome


def disturbed(argv, env, report, fault, prefix=()):
    """Runs a command with a fault; prefix runs all of that."""
    child = subprocess.run(
        [*prefix, *injecting(report, fault), *argv],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    return read_report(report, Outcome(child.returncode, child.stderr))


def faults(kind, counts):
    """Every fault of a kind for a program that makes so many of each call."""
    unknown = set(counts) - set.union(*MAY_FAIL.values()) - NEVER_FAIL
    assert not unknown, f"whether these can fail is not said: {sorted(unknown)}"
    calls = counts if kind == "kill" else CUT if kind == "short" else MAY_FAIL[kind]
    return [
        Fault(kind, call, n) for call in sorted(counts) if call in calls for n in range(1, counts[call] + 1)
    ]
