# SPDX-License-Identifier: Apache-2.0
"""The Markdown files of the tree: their links, and the anchors of their headings as forges and mdBook make them."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"""(\]\(|\b(?:href|src)=")([^)\s"]+)((?:\s+"[^"]*")?\)|")""")


def tracked(*patterns):
    """Files of this tree, also those not yet added to git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in dict.fromkeys(names) if (ROOT / name).is_file()]


def blank(match):
    return re.sub(r"[^\n]", " ", match[0])


def prose(text):
    """The text with as many spaces in place of what is code."""
    text = re.sub(r"^( *)(```+|~~~+)[^\n]*\n.*?^ *\2 *$", blank, text, flags=re.MULTILINE | re.DOTALL)
    lines, before, in_list = [], "", False
    for line in text.split("\n"):
        if line and not line.startswith(" "):
            in_list = re.match(r"([-*+]|\d+\.) ", line) is not None
        code = line.startswith("    ") and not in_list and (before.strip() == "" or (lines and before.startswith("    ")))
        before = line
        lines.append(" " * len(line) if code else line)
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", blank, "\n".join(lines), flags=re.DOTALL)


def headings(text):
    """Of each heading: its level, its text and its anchor."""
    seen = {}
    for start, marks in ((each.start(), each[1]) for each in re.finditer(r"^(#{1,6}) ", prose(text), re.MULTILINE)):
        title = text[start:].split("\n", 1)[0].lstrip("# ").rstrip("# ")
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
        anchor = re.sub(r"[^\w\- ]", "", title.replace("*", "")).lower().replace(" ", "-")
        times = seen[anchor] = seen.get(anchor, -1) + 1
        yield len(marks), title, f"{anchor}-{times}" if times else anchor


def links(text):
    """Of each link: the number of its line, and where it leads."""
    for match in LINK.finditer(prose(text)):
        yield text.count("\n", 0, match.start()) + 1, match[2]
