# SPDX-License-Identifier: Apache-2.0
"""Looks into live processes: what lies in which mapping, and whether a piece of a secret is among it."""

import base64
import ctypes
import datetime
import hashlib
import hmac
import os
import re
import signal
import struct
import subprocess
import time
from collections import namedtuple
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from agent import wait_for

HERE = Path(__file__).resolve().parent
HITS_MAX = 4096
Hit = namedtuple("Hit", "needle mapping address len")


# ---- secrets, in all forms that they have on their way


def forms_of_number(value):
    """A private value as bytes in both orders, in BearSSL's limbs, in base64 and in hexadecimal."""
    number = int.from_bytes(value, "big")
    bits = len(value) * 8
    i31 = [number >> at & 0x7FFFFFFF for at in range(0, bits, 31)]
    i62 = [number >> at & 0x3FFFFFFFFFFFFFFF for at in range(0, bits, 62)]
    yield "bytes", value
    yield "reversed", value[::-1]
    yield "i31", struct.pack(f"<{len(i31)}I", *i31)
    yield "i62", struct.pack(f"<{len(i62)}Q", *i62)
    yield "hex", value.hex().encode()
    for shift, skip in ((0, 0), (1, 2), (2, 3)):  # characters that depend on what stands before
        text = base64.b64encode(b"\0" * shift + value).rstrip(b"=")
        yield f"base64+{shift}", text[skip : len(text) - 1]


def private_values(pem):
    """The private values of a key by name. Its public ones are in the certificate as well."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    numbers = key.private_numbers()
    if hasattr(numbers, "private_value"):
        return {"x": numbers.private_value.to_bytes((key.key_size + 7) // 8, "big")}
    values = {
        "d": numbers.d,
        "p": numbers.p,
        "q": numbers.q,
        "dp": numbers.dmp1,
        "dq": numbers.dmq1,
        "qinv": numbers.iqmp,
    }
    return {name: value.to_bytes((value.bit_length() + 7) // 8, "big") for name, value in values.items()}


class Secrets:
    """What is looked for: needles by name ("key p i31"). The first word is the class."""

    def __init__(self):
        self.needles = {}
        self._logs = []

    def add(self, name, value):
        assert len(value) >= 16, name
        self.needles[name] = value
        return self

    def key(self, pem, name="key"):
        for part, value in private_values(pem).items():
            for form, needle in forms_of_number(value):
                self.add(f"{name} {part} {form}", needle)
        return self

    def text(self, name, *values):
        """Secrets of AWS: text."""
        for number, value in enumerate(values):
            self.add(f"{name} {number} text", value.encode())
        return self

    def aws_key(self, secret, region="eu-central-1"):
        """A secret access key, and what is derived from it today and tomorrow to sign with."""
        self.text("credentials", secret)
        today = datetime.datetime.now(datetime.timezone.utc)
        for day in (today, today + datetime.timedelta(1)):
            value = b"AWS4" + secret.encode()
            for step in (day.strftime("%Y%m%d"), region, "secretsmanager", "aws4_request"):
                value = hmac.new(value, step.encode(), hashlib.sha256).digest()
                self.add(f"credentials {day:%d} {step}", value)
        return self

    def session(self, session):
        self.aws_key(session["SecretAccessKey"])
        return self.text("session", session["SessionToken"])

    def key_log(self, path):
        """The secrets of TLS that a server writes down, also those to come."""
        self._logs.append(Path(path))
        return self

    def all(self):
        found = dict(self.needles)
        for number, log in enumerate(self._logs):
            for line in log.read_text().splitlines() if log.exists() else ():
                word = line.split()
                if len(word) == 3:  # of TLS 1.2 the master secret, of TLS 1.3 those of traffic and exporter
                    found[f"master {number} {word[1][:8]} {word[0]}"] = bytes.fromhex(word[2])
        return found


class _Hit(ctypes.Structure):
    _fields_ = [("offset", ctypes.c_uint64), ("needle", ctypes.c_uint32), ("len", ctypes.c_uint32)]


class Scanner:
    """Runs scan.c."""

    def __init__(self, directory):
        library = Path(directory) / "scan.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, HERE / "scan.c"], check=True)
        self._c = ctypes.CDLL(str(library))
        self._c.table_new.restype = ctypes.c_void_p
        self._c.table_free.argtypes = [ctypes.c_void_p]
        self._c.scan.restype = ctypes.c_size_t
        self._c.scan.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_void_p,
            ctypes.c_size_t,
        ]
        self._known = None

    def _table(self, needles):
        """Made anew only where the needles are others."""
        if self._known and self._known[0] == needles:
            return self._known[1]
        if self._known:
            self._c.table_free(self._known[1])
        values = list(needles.values())
        lens = (ctypes.c_uint32 * len(values))(*map(len, values))
        self._known = dict(needles), self._c.table_new(b"".join(values), lens, len(values))
        return self._known[1]

    def scan(self, needles, data):
        """(name, offset, length) of each piece of a needle in data."""
        table, names = self._table(needles), list(needles)
        hits = (_Hit * HITS_MAX)()
        count = self._c.scan(table, data, len(data), ctypes.byref(hits), HITS_MAX)
        return [(names[hit.needle], hit.offset, hit.len) for hit in hits[:count]]


# ---- processes


class Mapping:
    def __init__(self, start, end, perms, name):
        self.start, self.end, self.perms, self.name = start, end, perms, name
        self.flags = set()
        self.data = None  # None: the kernel does not show it

    @property
    def is_arena(self):
        """By what the agent told the kernel of it; nothing else in it has these."""
        return "wf" in self.flags or "secretmem" in self.name

    def __repr__(self):
        return f"{self.start:x}-{self.end:x} {self.perms} {self.name} {' '.join(sorted(self.flags))}"


NOT_MEMORY = ("[vvar]", "[vvar_vclock]", "[vsyscall]")  # the kernel's


def mappings(pid):
    found = []
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(.*)", line)
        if head:
            found.append(Mapping(int(head[1], 16), int(head[2], 16), head[3], head[4]))
        elif line.startswith("VmFlags:"):
            found[-1].flags = set(line.split()[1:])
    return found


def read_memory(pid):
    """Every mapping with what is in it; the process must be stopped."""
    found = mappings(pid)
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        for mapping in found:
            if mapping.name in NOT_MEMORY:
                continue
            try:
                mapping.data = os.pread(memory, mapping.end - mapping.start, mapping.start)
            except OSError:
                mapping.data = None
            if mapping.data is None or len(mapping.data) < mapping.end - mapping.start:
                assert "secretmem" in mapping.name, f"cannot be read: {mapping}"
    finally:
        os.close(memory)
    return found


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def threads(pid):
    return [int(task) for task in os.listdir(f"/proc/{pid}/task")]


def wait_stopped(pid, seconds=90):
    """All threads."""

    def stopped():
        states = set()
        for task in threads(pid):
            try:
                states.add(state_of(f"{pid}/task/{task}"))
            except (FileNotFoundError, ProcessLookupError):
                states.add("ended")
        assert state_of(pid) not in "ZX", f"{pid} has ended"
        return states == {"T"}

    wait_for(stopped, seconds)


def family(pid):
    """The process and its descendants."""
    found = [pid]
    for parent in found:
        try:
            for task in threads(parent):
                found += map(int, Path(f"/proc/{parent}/task/{task}/children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


class Frozen:
    """Stops a process while it is looked at; `with Frozen(pid) as alive` is False where it has ended."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        try:
            os.kill(self.pid, signal.SIGSTOP)
            wait_stopped(self.pid)
        except (ProcessLookupError, FileNotFoundError, AssertionError):
            return False
        return True

    def __exit__(self, *_):
        try:
            os.kill(self.pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


def wait_for_erased_environment(pid, program, secrets, seconds=90):
    """Until the agent has taken over: exec itself puts the environment into its memory."""
    texts = [value for name, value in secrets.needles.items() if name.endswith(" text")]
    proc = Path(f"/proc/{pid}")

    def erased():
        seen = (proc / "environ").read_bytes()
        return os.path.samefile(proc / "exe", program) and seen and not any(text in seen for text in texts)

    deadline = time.monotonic() + seconds
    while not erased():
        assert time.monotonic() < deadline, "secrets stay in the environment"
        time.sleep(0.0005)


# ---- the arena's heap, block by block

TAGS = ("library", "work", "document", "session", "credentials", "token", "key")
BLOCK = struct.Struct("<QQQII")  # struct block of src/base/heap.c
BLOCK_FREE, BLOCK_USED = 0x66726565, 0x75736564
STACK_SIZE = 64 * 1024


class Arena:
    """The arena of a stopped process: its stack, and its heap's blocks as (tag, start, bytes)."""

    def __init__(self, memory):
        parts = sorted((m for m in memory if m.is_arena), key=lambda m: m.start)
        assert parts and parts[0].end - parts[0].start == STACK_SIZE, parts
        self.parts, self.stack = parts, parts[0].data
        self.start = parts[1].start if len(parts) > 1 else 0
        self.heap = b"".join(part.data for part in parts[1:])
        assert len(parts) < 2 or parts[-1].end - self.start == len(self.heap), "the heap has a gap"
        self.used, self.free = [], []
        self._walk()

    def _walk(self):
        at = 0
        while at < len(self.heap):
            size, asked, _, tag, state = BLOCK.unpack_from(self.heap, at)
            assert state in (BLOCK_FREE, BLOCK_USED), "this is not the layout of heap.c"
            data = self.heap[at + BLOCK.size : at + BLOCK.size + size]
            if state == BLOCK_USED:
                self.used.append((TAGS[tag], self.start + at + BLOCK.size, data))
            else:
                self.free.append(data)
            at += BLOCK.size + size

    def tag_at(self, address):
        for tag, start, data in self.used:
            if start <= address < start + len(data):
                return tag
        return "free"

    def tagged(self):
        """Bytes by tag."""
        found = dict.fromkeys(TAGS, 0)
        for tag, _, data in self.used:
            found[tag] += len(data)
        return found


def is_zero(data):
    return not data.strip(b"\0")


# ---- cores

ELF = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
PT_LOAD = 1


def core_memory(path):
    """What a core holds of memory. Its notes, the registers among them, are left out."""
    core = Path(path).read_bytes()
    header = ELF.unpack_from(core)
    assert header[0][:4] == b"\x7fELF" and header[1] == 4, "no core"
    for number in range(header[10]):
        kind, _, offset, address, _, size, _, _ = SEGMENT.unpack_from(core, header[5] + number * header[9])
        if kind == PT_LOAD:
            yield address, core[offset : offset + size]
