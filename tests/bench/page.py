# SPDX-License-Identifier: Apache-2.0
"""
Writes what tests/bench/bench.py has measured (build/bench/results.json) into docs/performance.md, between
<!-- bench NAME --> and <!-- end -->, and into docs/performance.svg; the short table into docs/compare.md.
"""

import json
import math
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"p256": "P-256", "rsa2048": "RSA-2048", "rsa4096": "RSA-4096"}
OURS = "mtls-agent"
WIDTH, ROW, LEFT = 900, 22, 170
COLORS = ("#1f6feb", "#d1570a", "#0d8f7f", "#8a4fd0", "#5d6878")


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def spread(figure):
    least, median, most = figure
    return f"{median:.1f} ({least:.1f}–{most:.1f})"


def same_work(results, of):
    work = results["same_work"]
    rows = []
    for way, size in results["bytes"].items():
        cells = [f"{of(work[kind][way]['wall'])} / {of(work[kind][way]['cpu'])}" for kind in KINDS]
        peak = max(work[kind][way]["peak"][1] for kind in KINDS)
        rows.append([way, *cells, f"{peak:.1f}", f"{size:,}"])
    return table(["", *(f"{name}: wall / CPU ms" for name in KINDS.values()), "peak MiB", "bytes"], rows)


def ratios(results):
    """How many times ours the others take, by medians."""
    work = results["same_work"]
    rows = []
    for way in results["bytes"]:
        if way != OURS:
            times = lambda kind, figure: work[kind][way][figure][1] / work[kind][OURS][figure][1]  # noqa: E731
            rows.append([way, *(f"{times(kind, 'wall'):.2f} / {times(kind, 'cpu'):.2f}" for kind in KINDS)])
    return table(["times ours", *(f"{name}: wall / CPU" for name in KINDS.values())], rows)


def lost(results):
    """Each cell in which somebody is ahead of us."""
    work, names = results["same_work"], {"wall": "wall time", "cpu": "processor time", "peak": "memory"}
    lines = [
        f"- {way} takes {figures[figure][1]:.1f} {'MiB' if figure == 'peak' else 'ms'} of {name} with {KINDS[kind]}; "
        f"we take {work[kind][OURS][figure][1]:.1f}."
        for kind in KINDS
        for way, figures in work[kind].items()
        for figure, name in names.items()
        if figures[figure][1] < work[kind][OURS][figure][1]
    ]
    return "\n".join(lines) or "Nobody is ahead of us in any cell of this run."


def growth(results, name):
    def cell(figures):
        return f"{spread(figures['wall'])} / {spread(figures['cpu'])}, {figures['peak'][1]:.1f} MiB"

    rows = [[count, *map(cell, ways.values())] for count, ways in results[name].items()]
    first = next(iter(results[name].values()))
    return table([name, *(f"{way}: wall / CPU ms, peak" for way in first)], rows)


def instructions(results):
    counts = results["instructions"].items()
    rows = [[name, *(f"{kinds[kind] / 1e6:.1f}" for kind in KINDS)] for name, kinds in counts]
    return table(["million instructions of one fetch", *KINDS.values()], rows)


def start(results):
    figures = ("wall", "cpu", "peak")
    rows = [[way, *(spread(found[name]) for name in figures)] for way, found in results["start"].items()]
    return table(["start alone", "wall ms", "CPU ms", "peak MiB"], rows)


def rest(results):
    run = results["rest"]
    return (
        f"`run` with one endpoint, watched for {run['seconds']} seconds: {run['wake_ups']} wake-ups, {run['cpu_ms']} ms "
        f"of processor time, {run['pss_kib']} KiB of memory in {run['processes']} processes."
    )


def machine(results):
    about = results["machine"]
    return (
        f"{about['version']} on {about['date']}: {about['count']} × {about['processor']}, Linux {about['kernel']}, "
        f"load {about['load']:.1f} at the start; medians (least–most) of {results['turns']} turns."
    )


def bars(results):
    """Wall time of each way and kind of key, on a scale of powers of ten."""
    work = results["same_work"]
    scale = lambda ms: (WIDTH - LEFT - 90) * math.log10(max(ms, 1)) / 4  # noqa: E731
    height = ROW * (len(KINDS) * (len(results["bytes"]) + 1.5)) + 20
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif"'
    yield 'font-size="12">'
    yield f'<rect width="{WIDTH}" height="{height:.0f}" fill="#fff"/>'
    y = 10
    for kind, name in KINDS.items():
        y += ROW
        yield f'<text x="{LEFT}" y="{y - 6}" font-weight="bold">{name}: milliseconds of wall time for one identity</text>'
        for power in range(5):
            x = LEFT + scale(10**power)
            yield f'<path d="M{x:.1f} {y}v{ROW * len(work[kind])}" stroke="#ddd"/>'
        for color, (way, figures) in zip(COLORS, work[kind].items()):
            least, median, most = figures["wall"]
            middle = y + ROW / 2
            yield f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end">{way}</text>'
            yield f'<rect x="{LEFT}" y="{y + 4}" width="{scale(median):.1f}" height="{ROW - 8}" fill="{color}"/>'
            yield f'<path d="M{LEFT + scale(least):.1f} {middle}H{LEFT + scale(most):.1f}" stroke="#000"/>'
            yield f'<text x="{LEFT + scale(most) + 6:.1f}" y="{middle + 4}">{median:.1f}</text>'
            y += ROW
        y += ROW / 2
    yield "</svg>"


def write(path, parts):
    text = path.read_text()
    for name, part in parts.items():
        block = re.compile(rf"(<!-- bench {name} -->\n).*?(<!-- end -->)", re.S)
        text = block.sub(lambda found: f"{found.group(1)}\n{part}\n\n{found.group(2)}", text)
    path.write_text(text)


def main():
    results = json.loads((ROOT / "build" / "bench" / "results.json").read_text())
    parts = {
        "machine": machine(results),
        "lost": lost(results),
        "work": same_work(results, spread),
        "short": same_work(results, lambda figure: f"{figure[1]:.1f}"),
        "ratios": ratios(results),
        "picture": "![Wall time of each way](performance.svg)",
        "secrets": growth(results, "secrets"),
        "endpoints": growth(results, "endpoints"),
        "instructions": instructions(results),
        "start": start(results),
        "rest": rest(results),
    }
    write(ROOT / "docs" / "performance.md", parts)
    write(ROOT / "docs" / "compare.md", parts)
    (ROOT / "docs" / "performance.svg").write_text("\n".join(bars(results)) + "\n")


if __name__ == "__main__":
    main()
