# SPDX-License-Identifier: Apache-2.0
"""What the soak sees of the agent: its log as it comes, its metrics file, and /proc."""

import collections
import json
import os
import re
import threading
import time
from pathlib import Path

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
CYCLE_ENDS = {"installed", "healed", "adopted", "unchanged", "kept_unproven", "error"}


class Log(threading.Thread):
    """Reads the agent's log to its end and keeps counts, not lines: of a long run there are many."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self._stream = stream
        self.events = collections.Counter()
        self.notable = collections.Counter()  # (level, event) at warning and error
        self.notable_bytes = collections.Counter()  # the same; of lines
        self.probes = collections.Counter()  # by endpoint
        self.rehearsed = 0
        self._worst = {}  # ms, by endpoint, since take_worst()
        self.errors = collections.deque(maxlen=20)
        self._in_cycle = False
        self.start()

    def run(self):
        for line in self._stream:
            self._take(json.loads(line), len(line))

    def _take(self, event, size):
        name = event["event"]
        if event["level"] in ("warning", "error"):
            self.notable[event["level"], name] += 1
            self.notable_bytes[name] += size
        if event["level"] == "error":
            self.errors.append(event)
        if name == "handshake":
            self._take_handshake(event)
        elif name == "secret":  # one that is tried before it is installed
            self._in_cycle = True
        elif name in CYCLE_ENDS:
            self._in_cycle = False
        self.events[name] += 1

    def _take_handshake(self, event):
        if self._in_cycle:
            self.rehearsed += 1
            return
        self.probes[event["endpoint"]] += 1
        if event["tls_ms"] >= 0:
            took = max(event["tcp_ms"], 0) + event["tls_ms"]
            self._worst[event["endpoint"]] = max(took, self._worst.get(event["endpoint"], 0))

    def take_worst(self, endpoint):
        """The longest handshake of a probe; NaN: there was none."""
        return self._worst.pop(endpoint, float("nan"))

    @property
    def probed(self):
        return sum(self.probes.values())


class Metrics:
    """The metrics file as it is now."""

    def __init__(self, path):
        self._series = [
            (name, dict(LABEL.findall(labels)), float(value))
            for name, labels, value in SAMPLE.findall(Path(path).read_text())
        ]

    def sum(self, name, **labels):
        return sum(
            value
            for series, found, value in self._series
            if series == f"mtls_agent_{name}"
            and all(found.get(key) == label for key, label in labels.items())
        )


def facts(pid):
    """/proc/PID/status, in KiB where it is memory; {} where the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


def resident_kib(pid):
    return int(facts(pid)["VmRSS"][0])


def threads(pid):
    return int(facts(pid)["Threads"][0])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def switches(pid):
    """How often its main thread has slept and was woken."""
    return int(facts(pid)["voluntary_ctxt_switches"][0])


def cpu_seconds(pid):
    """Of the process with its threads, those that have ended included; of no child."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descendants(pid):
    """Pids below a process, zombies included."""
    children = collections.defaultdict(list)
    for each in filter(str.isdigit, os.listdir("/proc")):
        parent = facts(each).get("PPid")
        if parent:
            children[int(parent[0])].append(int(each))
    found, left = [], [pid]
    while left:
        found += children[left[0]]
        left += children[left.pop(0)]
    return found


def zombies(pid):
    return [each for each in descendants(pid) if facts(each).get("State", [""])[0] == "Z"]


class Sampler(threading.Thread):
    """
    Writes a row a second into a file of tab-separated values, and keeps the rows. The agent has more descriptors and a
    second thread while a job runs, so the least of these that was seen in between is kept, too.
    """

    LOOK_S = 0.04

    PROCESS = ["seconds", "rotations", "fetches", "probes", "hooks", "wakeups", "rss_kib", "runner_kib"]
    PROCESS += ["descriptors", "threads", "least_descriptors", "least_threads"]
    PROCESS += ["cpu_s", "locked_bytes", "peak_bytes"]
    ENDPOINT = ["accepted", "refused", "unreachable", "other", "sum_s", "count", "worst_ms"]

    def __init__(self, pid, runner, metrics_file, log, endpoints, path):
        super().__init__(daemon=True)
        self.pid, self.runner, self.metrics_file, self.log = pid, runner, metrics_file, log
        self.endpoints, self.path = endpoints, path
        self.rows, self.failure = [], None
        self._ended = threading.Event()
        self.started = time.monotonic()

    def stop(self):
        self._ended.set()
        self.join()

    def run(self):
        try:
            self._run()
        except (OSError, KeyError, ValueError) as error:  # the agent is gone
            self.failure = error

    def _run(self):
        columns = [*self.PROCESS]
        for number in range(1, len(self.endpoints) + 1):
            columns += [f"{name}_{number}" for name in self.ENDPOINT]
        with open(self.path, "w", encoding="ascii") as file:
            print("\t".join(columns), file=file, flush=True)
            while not self._ended.is_set():  # the last row is of the end
                row = self.sample(self._least())
                self.rows.append(dict(zip(columns, row)))
                print("\t".join(f"{value:.10g}" for value in row), file=file, flush=True)

    def _least(self):
        """Looks for a second; the least number of descriptors and of threads."""
        seen, end = [], time.monotonic() + 1
        while time.monotonic() < end and not self._ended.wait(self.LOOK_S):
            seen.append((descriptors(self.pid), threads(self.pid)))
        return [min(column) for column in zip(*seen)] or [descriptors(self.pid), threads(self.pid)]

    def sample(self, least):
        metrics = Metrics(self.metrics_file)
        row = [
            time.monotonic() - self.started,
            metrics.sum("installs_total", outcome="installed"),
            metrics.sum("fetches_total"),
            self.log.probed,
            metrics.sum("hooks_total", result="done"),
            metrics.sum("wakeups_total"),
            resident_kib(self.pid),
            resident_kib(self.runner),
            descriptors(self.pid),
            threads(self.pid),
            *least,
            cpu_seconds(self.pid),
            metrics.sum("memory_locked_bytes"),
            metrics.sum("memory_peak_bytes"),
        ]
        for endpoint in self.endpoints:
            row += self._endpoint(metrics, endpoint)
        return row

    def _endpoint(self, metrics, endpoint):
        counts = [
            metrics.sum("handshakes_total", endpoint=endpoint, result=result)
            for result in ("accepted", "refused", "unreachable")
        ]
        return [
            *counts,
            metrics.sum("handshakes_total", endpoint=endpoint) - sum(counts),
            metrics.sum("handshake_duration_seconds_sum", endpoint=endpoint),
            metrics.sum("handshake_duration_seconds_count", endpoint=endpoint),
            self.log.take_worst(endpoint),
        ]
