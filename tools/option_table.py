# SPDX-License-Identifier: Apache-2.0
"""The tables of options and commands, as the program has them: read from src/config/options.c and src/commands/commands.c."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def source(path):
    return (ROOT / "src" / path).read_text()


def text(cell):
    """The strings of a cell of C; what stands together is one. None: there is no string."""
    return "".join(STRING.findall(cell)).replace('\\"', '"') if '"' in cell else None


@dataclass
class Option:
    """A row of the table; what it lacks is None."""

    name: str
    metavar: str
    setter: str
    check: str
    fallback: str
    least: str
    most: str
    flags: set
    commands: list  # that have a use for it; all of them where nothing is said
    help: str

    @property
    def repeatable(self):
        return "LIST" in self.flags

    @property
    def words(self):
        """What it may be, where that is a choice."""
        return self.metavar.split("|") if self.setter in ("set_choice", "set_second") else []

    @property
    def limits(self):
        """The least and the most of a duration or a number; None: there are none."""
        least = "1" if self.setter == "set_number" else self.least
        return (least, self.most) if self.setter in ("set_duration", "set_number") and self.most else None


def rows():
    """Each row's cells, cut at commas outside of quotes and braces; words that follow each other are one."""
    table = re.search(r"const struct option options\[\] = \{\n(.*?)\n\};", source("config/options.c"), re.DOTALL)[1]
    for body in re.findall(r"^    \{(.*?)\},$", table, re.DOTALL | re.MULTILINE):
        cells = re.findall(r'(?:"(?:[^"\\]|\\.)*"|\([^()]*\)|[^,"(])+', body)
        named, plain = {}, []
        for cell in map(str.strip, cells):
            name = re.match(r"\.(\w+)\s*=\s*(.*)", cell, re.DOTALL)
            if name:
                named[name[1]] = name[2]
            elif cell:
                plain.append(cell)
        yield plain, named


def verbs():
    """The commands that take options, in the program's order."""
    return STRING.findall(re.search(r"names\[\] = \{(.*?)\};", source("config/config_verb.c"), re.DOTALL)[1])


def options():
    groups = dict(re.findall(r"^#define (\w+)\s+\((VERB_.*|\w+ \| VERB_.*)\)$", source("config/options.c"), re.MULTILINE))
    known = verbs()
    for plain, named in rows():
        expression = named.get("verbs", "")
        while found := [name for name in groups if re.search(rf"\b{name}\b", expression)]:
            expression = re.sub(rf"\b{found[0]}\b", groups[found[0]], expression)
        taken = {verb.lower().replace("_", "-") for verb in re.findall(r"\bVERB_(\w+)", expression)}
        if not taken <= set(known):
            raise SystemExit(f"a row of src/config/options.c is not understood: {plain[0]}")
        yield Option(
            name=text(plain[0]),
            metavar=text(plain[1]),
            setter=plain[2],
            check=plain[4] if len(plain) > 4 else None,
            flags=set(re.findall(r"OPTION_(\w+)", named.get("flags", ""))),
            commands=[verb for verb in known if verb in taken] or known,
            help=text(named["help"]),
            **{each: text(named.get(each, "")) or None for each in ("fallback", "least", "most")},
        )


def takes(command, option):
    """Whether `help COMMAND` shows it: doctor looks at all that run does, check-config at whatever it is given."""
    wider = {"doctor": ["run", "probe", "status"], "check-config": option.commands}
    return any(verb in option.commands for verb in [command, *wider.get(command, [])])


def commands():
    """Of each command: its name, its operands and what it is for."""
    table = re.search(r"command_list\[\] = \{\n(.*?)\n\};", source("commands/commands.c"), re.DOTALL)[1]
    for row in re.findall(r"\{(\"[^}]*)\}", table):
        words = STRING.findall(row)
        yield words[0], words[1].strip() if len(words) == 3 else "", words[-1]
    for name, purpose in re.findall(r"  (version|help) +([^\\\"]+)\\n", source("main.c")):
        yield name, "", purpose


def variables():
    """The variables of others that are honoured, in the environment and in the file."""
    found = re.search(r"honoured\[\] = \{(.*?)\};", source("config/config_variables.c"), re.DOTALL)[1]
    return STRING.findall(found)
