# SPDX-License-Identifier: Apache-2.0
"""
A month of `mtls-agent run`, compressed: as many cycles as a month has with an interval of five minutes, and twice as many
rounds of probes. Each hour (of twelve cycles) the configuration names other endpoints, and SIGHUP has it read; AWS answers
by dice; who reads the metrics pauses; half-way the clock is set beyond 2038. Nothing grows, and what CloudWatch is told
adds up to what the file and the log say. make soak-month; MONTH_CYCLES makes it shorter, MONTH_SEED repeats one.
"""

import collections
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "e2e")]

from day import CLOCK, Clock  # noqa: E402
from measure import LABEL, SAMPLE, Log, descriptors, resident_kib, switches, threads  # noqa: E402
from servers.aws import aws_error  # noqa: E402
from servers.enclave import Nginx  # noqa: E402
from servers.http import Answer  # noqa: E402
from servers.pki import DAY, Authority  # noqa: E402
from standin import ARN, StandIn  # noqa: E402

CYCLES = int(os.environ.get("MONTH_CYCLES", 30 * 24 * 12))
SEED = int(os.environ.get("MONTH_SEED", time.time_ns() % 1_000_000))
HOUR = 12  # cycles
PATIENCE_S = 120
FLEET = 6  # endpoints at a time, of which the first one stays
BEYOND = 2_300_000_000  # after 2038-01-19
LONG = (-DAY, 30 * 365 * DAY)
RSS_PART, RSS_KIB = 0.05, 100  # as in the soak
UNLUCKY = 0.2  # of AWS's answers
COUNTERS = {  # that CloudWatch knows too, and whose labels are its dimensions
    "fetches": "Fetches",
    "fetch_errors": "FetchErrors",
    "retries": "Retries",
    "installs": "Installs",
    "rollbacks": "Rollbacks",
    "hooks": "Hooks",
    "clock_jumps": "ClockJumps",
    "reloads": "Reloads",
    "sandbox_refusals": "SandboxRefusals",
    "log_lines_dropped": "LogLinesDropped",
    "metrics_dropped": "MetricsDropped",
}

passed = failed = 0


def check(name, fine, detail=""):
    global passed, failed
    passed, failed = passed + bool(fine), failed + (not fine)
    print(f"  {'ok  ' if fine else 'FAIL'}  {name}{': ' if detail else ''}{detail}", flush=True)


def wait_for(what, condition, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come about within {seconds} s")
        time.sleep(0.02)


class Dice(StandIn):
    """Secrets Manager on a bad month."""

    def __init__(self, *arguments, dice, **options):
        self._dice, self.lucky = dice, True
        super().__init__(*arguments, **options)

    def _answer(self, request):
        if self.lucky or self._dice.random() > UNLUCKY:
            return super()._answer(request)
        return self._dice.choice(
            [
                Answer(500, b"{}", {}),
                Answer(503, b"", {}),
                aws_error(400, "ThrottlingException", "Rate exceeded"),
                aws_error(400, "AccessDeniedException", "no"),
                Answer(200, b"not json", {}),
            ]
        )


class CountingLog(Log):
    """By endpoint and result as well."""

    def __init__(self, stream):
        self.handshakes = collections.Counter()
        super().__init__(stream)

    def _take_handshake(self, event):
        self.handshakes[event["endpoint"], event["result"]] += 1


class CloudWatch(threading.Thread):
    """Adds up what is told on standard output, and rests now and then."""

    def __init__(self, stream, dice):
        super().__init__(daemon=True)
        self._stream, self._dice = stream, dice
        self.hasty, self.sums = False, collections.Counter()
        self.start()

    def run(self):
        for line in self._stream:
            document = json.loads(line)
            for directive in document["_aws"]["CloudWatchMetrics"]:
                (names,) = directive["Dimensions"]
                dimensions = frozenset((name, document[name]) for name in names)
                for metric in directive["Metrics"]:
                    value = document[metric["Name"]]
                    if metric["Unit"] == "Count":
                        self.sums[metric["Name"], dimensions] += value
            if not self.hasty and self._dice.random() < 0.0003:
                time.sleep(self._dice.uniform(0.5, 4))


class Month:
    def __init__(self, work, dice):
        self.work, self.dice, self.target = work, dice, work / "mtls"
        self.metrics_file, self.conf = work / "metrics.prom", work / "agent.conf"
        self.clock = Clock(work / "clock")
        self.authority = Authority("Enclave-CA", lifetime=LONG)
        self.aws = Dice(work, self.target, self.authority, lifetime=LONG, dice=dice)
        names = ["localhost", "*.enclave.test"]
        server = self.authority.issue("localhost", names=names, lifetime=LONG)
        self.enclave = Nginx(work / "enclave", server, self.authority.pem)
        self.hours, self.samples, self.names = 0, [], set()
        self.configure()
        self.child = subprocess.Popen(
            [CLOCK, "run", f"--config={self.conf}", "--on-change-exec=/bin/true"],
            env={"PATH": "/usr/bin:/bin", "TEST_HASTE": "100", **self.clock.env, **self.aws.environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.pid = self.child.pid
        self.log, self.told = CountingLog(self.child.stderr), CloudWatch(self.child.stdout, random.Random(SEED))
        wait_for("ready", lambda: self.log.events["ready"] or self.child.poll() is not None)

    def endpoints(self):
        """One that stays; others that are new each hour, alive or not."""
        host, port = "127.0.0.1", self.enclave.port
        come = [f"e{self.hours * FLEET + n}.enclave.test@{host}:{port}" for n in range(FLEET - 2)]
        return [self.enclave.endpoint, *come, f"e{self.hours}.gone.test@{host}:1"]

    def configure(self, interval="100ms", probe_interval="200ms"):
        lines = [f"secret = {ARN}", f"dir = {self.target}", "log-format = json", "keep-previous = 1s"]
        lines += [f"endpoint = {endpoint}" for endpoint in self.endpoints()]
        lines += [f"metrics-file = {self.metrics_file}", "metrics-format = emf", "log-level = debug"]
        lines += [f"interval = {interval}", f"probe-interval = {probe_interval}", "deadline = 20s", ""]
        self.conf.write_text("\n".join(lines))
        self.conf.chmod(0o600)

    def reload(self, **options):
        self.configure(**options)
        count = self.log.events["reloaded"]
        self.child.send_signal(signal.SIGHUP)
        wait_for("the end of a reload", lambda: self.log.events["reloaded"] > count)

    def series(self):
        return [(name, dict(LABEL.findall(labels)), float(value)) for name, labels, value in self.read()]

    def read(self):
        return SAMPLE.findall(self.metrics_file.read_text())

    def cycles(self):
        return sum(value for name, _, value in self.series() if name == "mtls_agent_fetches_total")

    def sample(self):
        inside = [path.name for path in self.target.iterdir()]
        self.samples.append((resident_kib(self.pid), len(self.read()), len(inside)))

    def run(self):
        self.aws.lucky, self.aws.rotating = False, True
        said, later, last, moved = 0, False, 0, time.monotonic()
        while (cycles := self.cycles()) < CYCLES:
            if cycles > last:
                last, moved = cycles, time.monotonic()
            if self.child.poll() is not None or time.monotonic() - moved > PATIENCE_S:
                raise RuntimeError(f"it goes no further: {self.child.poll()} {list(self.log.errors)[-3:]}")
            if cycles >= (self.hours + 1) * HOUR:
                self.hours = int(cycles // HOUR)
                self.reload()
                self.sample()
            if not later and cycles > CYCLES / 2:
                self.clock.set(BEYOND - time.time())
                later = True
            if cycles / CYCLES >= (said + 1) / 10:
                said += 1
                rss, series, names = self.samples[-1] if self.samples else (0, 0, 0)
                print(f"{said * 10:3} %  {cycles:6.0f} cycles  {rss} KiB  {series} samples  {names} names", flush=True)
            time.sleep(0.05)

    def rest(self):
        """All is well for a while, then nothing is done any more, and all of it is read."""
        self.aws.lucky, self.aws.rotating, self.told.hasty = True, False, True
        before = self.log.events["unchanged"]
        wait_for("a good cycle", lambda: self.log.events["unchanged"] > before + 3)
        self.reload(interval="1d", probe_interval="0s")
        wait_for("rest", self.rests)

    def rests(self):
        before = switches(self.pid)
        time.sleep(1)
        return switches(self.pid) == before

    def stop(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.enclave.stop()
        self.aws.stop()


def check_flat(month):
    rss, series, names = zip(*month.samples)
    tenth = max(1, len(rss) // 10)
    early, late = (statistics.median(part) for part in (rss[tenth : 2 * tenth + 1], rss[-tenth:]))
    most = max(early * (1 + RSS_PART), early + RSS_KIB)
    check("memory is flat", late <= most, f"{early:.0f} KiB early, {late:.0f} late, at most {most:.0f}")
    early, late = max(series[: 3 * tenth]), max(series[-tenth:])
    check("series are as many", late <= early * 1.1, f"{early} samples early, {late} late")
    check("files are as many", max(names[-tenth:]) <= max(names[: 3 * tenth]), f"{max(names)} at most")


def check_counts(month):
    file, told, log = month.series(), month.told.sums, month.log
    wrong = []
    for name, metric in COUNTERS.items():
        for series, labels, value in file:
            if series == f"mtls_agent_{name}_total":
                dimensions = frozenset((key.capitalize(), label) for key, label in labels.items())
                if told[metric, dimensions] != value:
                    wrong.append((metric, labels, value, told[metric, dimensions]))
    check("each count that CloudWatch was told is the file's", not wrong, f"{wrong[:3] or ''}")
    shaken = {}
    for (metric, dimensions), value in told.items():
        if metric == "Handshakes" and value:
            known = dict(dimensions)
            shaken[known["Endpoint"], known["Result"]] = value
    others = {key: (count, shaken.get(key)) for key, count in log.handshakes.items() if shaken.get(key) != count}
    total = sum(log.handshakes.values())
    check("and each handshake is the log's", not others and shaken, f"{total} of {len(shaken)} {dict(list(others.items())[:3]) or ''}")
    stays = month.enclave.endpoint
    counted = sum(value for name, labels, value in file if name == "mtls_agent_handshakes_total" and labels["endpoint"] == stays)
    logged = sum(count for (endpoint, _), count in log.handshakes.items() if endpoint == stays)
    check("one that stays was never counted anew", counted == logged, f"{counted:.0f}")
    gone = {labels["endpoint"] for _, labels, _ in file if "endpoint" in labels} - set(month.endpoints())
    check("nothing is left of endpoints that have gone", not gone, f"{len(gone)}")


def check_bad_luck(month):
    errors = {code: value for name, labels, value in month.series() if name == "mtls_agent_fetch_errors_total" and (code := labels["code"])}
    check("AWS failed at times", sum(errors.values()) > CYCLES / 100, f"{errors}")
    check("and it went on installing", month.log.events["installed"] > CYCLES / 20, f"{month.log.events['installed']} times")
    wakeups = sum(value for name, _, value in month.series() if name == "mtls_agent_wakeups_total")
    check("beyond 2038 it does not spin", wakeups < 6 * month.cycles() + 1000, f"{wakeups:.0f} wake-ups")


def live(month):
    found = descriptors(month.pid)
    month.run()
    month.rest()
    check("a month of cycles", month.cycles() >= CYCLES, f"{month.cycles():.0f}, {month.hours} sets of endpoints")
    check_flat(month)
    wait_for("the last line", lambda: month.told.sums["Reloads", frozenset({("Result", "done")})] == month.log.events["reloaded"])
    check_counts(month)
    check_bad_luck(month)
    check("at rest it has one thread of work", threads(month.pid) <= month.threads)
    check("at rest it has the descriptors that it began with", descriptors(month.pid) == month.descriptors, f"{found}")
    month.child.send_signal(signal.SIGTERM)
    check("it ends when it is told to", month.child.wait(PATIENCE_S) == 0)


def main():
    if os.geteuid() != 0:
        sys.exit("the agent lets nobody but root see its descriptors: run this as root")
    print(f"seed {SEED}")
    with tempfile.TemporaryDirectory(prefix="mtls-agent-month-") as directory:
        month = Month(Path(directory), random.Random(SEED))
        try:
            month.rest()
            month.descriptors, month.threads = descriptors(month.pid), threads(month.pid)
            month.reload()
            live(month)
        except (RuntimeError, TimeoutError) as error:
            check("it goes on to the end", False, str(error))
        finally:
            month.stop()
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
