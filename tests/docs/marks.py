# SPDX-License-Identifier: Apache-2.0
"""
What pages say of their blocks of code, in comments that readers do not see:

    <!-- have: NAME... -->      what must be there from here on: host.py
    <!-- run -->                the next block is run, by bash; where its lines begin with "$ ", the others are what it prints
    <!-- run: exit N -->        and ends so
    <!-- prints -->             the next block is what the last one has printed
"""

import re
from dataclasses import dataclass, field

from markdown import ROOT, tracked

COMMENT = re.compile(r"^ *<!-- (have|run|prints)(?:: (.*?))? -->$")


@dataclass
class Step:
    """A block that is run, with what it prints (None: nobody says)."""

    page: str
    line: int
    have: list
    script: str
    status: int
    prints: str = None
    commands: list = field(default_factory=list)  # of a dialogue: each, and what it prints


def block(lines, at):
    """The block of code at or behind a line."""
    while not lines[at].strip():
        at += 1
    indent = re.match(" *", lines[at])[0]
    if fence := re.match(r" *(```+|~~~+)", lines[at]):
        end = next(each for each in range(at + 1, len(lines)) if lines[each].strip() == fence[1])
        at += 1
    elif len(indent) >= 4:
        end = next((each for each in range(at, len(lines)) if lines[each].strip() and not lines[each].startswith(indent)), len(lines))
    else:
        raise ValueError(f"line {at + 1}: no block of code")
    return "\n".join(line.removeprefix(indent) for line in lines[at:end]).rstrip() + "\n"


def dialogue(text):
    """Of a block with "$ " each command, and what it prints."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command = re.match(r"(?:.*\\\n)*.*\n", part)[0]
        yield command, part[len(command) :]


def steps(page):
    """A page's steps in their order."""
    lines = (ROOT / page).read_text().splitlines()
    have, found = [], []
    for number, line in enumerate(lines):
        if not (mark := COMMENT.match(line)):
            continue
        kind, words = mark[1], (mark[2] or "").split()
        if kind == "have":
            have = words
            continue
        text = block(lines, number + 1)
        if kind == "prints":
            found[-1].prints = text
            continue
        if words[:1] not in ([], ["exit"]):
            raise ValueError(f"{page}:{number + 1}: what is {' '.join(words)}?")
        status = int(words[1]) if words else 0
        commands = list(dialogue(text)) if text.startswith("$ ") else []
        found.append(Step(page, number + 1, have, text, status, commands=commands))
        have = []
    return found


def pages():
    return [page for page in tracked("*.md") if re.search(r"^ *<!-- run", (ROOT / page).read_text(), re.MULTILINE)]


# ---- what is shown, and what was printed

ELLIPSIS = re.compile(r"…|\.\.\.")


def masked(text):
    """Without what differs from run to run: times, fingerprints, numbers, and how wide columns are."""
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?", "TIME", text)
    text = re.sub(r"\b[0-9a-f]{16,}\b|\b(?:[0-9A-F]{2}:){15,}[0-9A-F]{2}\b", "HEX", text)
    text = re.sub(r"\d+(?:\.\d+)?", "N", text)
    return re.sub(r"[ \t]+", " ", text)


def pattern(shown):
    """What fits a shown text. `…` or `...` is anything; as a line of its own, any lines."""
    parts = []
    for line in shown.rstrip("\n").split("\n"):
        line = re.sub(r"[0-9a-f]{4}(?:…|\.\.\.)(?:[0-9a-f]{2,4})?(?![\w…])", "HEX", line.rstrip())
        if ELLIPSIS.fullmatch(line.strip()):
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*?".join(re.escape(masked(piece)) for piece in ELLIPSIS.split(line)) + r" ?\n")
    return re.compile("".join(parts))


def fits(shown, printed):
    printed = masked("\n".join(line.rstrip() for line in printed.rstrip("\n").split("\n"))) + "\n"
    return pattern(shown).fullmatch(printed) is not None
