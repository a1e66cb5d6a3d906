# SPDX-License-Identifier: Apache-2.0
"""What can be changed in a C file: one operator, condition, constant, call or return at a time.

It reads tokens, not a grammar: the tree's one style makes that enough. Whatever does not compile afterwards is no mutant.
"""

import re
from collections import Counter
from dataclasses import dataclass, replace

TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)
    |(?P<directive>^[ \t]*\#(?:[^\n\\]|\\.)*(?:\\\n(?:[^\n\\]|\\.)*)*)
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<number>0[xX][0-9a-fA-F]+[uUlL]*|\d+[uUlL]*\b)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<sign><<=|>>=|\.\.\.|->|\+\+|--|&&|\|\||[-+*/%&|^=!<>]=|<<|>>|[-+*/%&|^=!<>?:;,.~(){}\[\]])""",
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
SWAPS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&", "+": "-", "-": "+",
    "/": "*", "%": "/", "<<": ">>", ">>": "<<", "&": "|", "|": "&", "+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=",
    "++": "--", "--": "++",
}  # fmt: skip
EITHER_WAY = {"+", "-", "&"}  # signs that are unary as well
SAYS = {"log_event", "err_set", "err_setv"}  # what is said is not what is done: their arguments stay
NO_ROOM = re.compile(r"\b(\w*MEMORY_FULL|err_memory\w*|[mc]alloc|realloc|arena_alloc|heap_alloc|strn?dup|buf_append\w*|buf_reserve|buf_put\w*)\b|no room")
TYPES = {"const", "struct", "enum", "union", "unsigned", "int", "char", "static", "void", "bool", "goto", "case"}
RETURNS = {"-1": "0", "0": "-1", "true": "false", "false": "true"}


@dataclass(frozen=True)
class Mutant:
    """One change of a file: text[start:end] becomes new."""

    path: str
    function: str
    which: int  # of the changes of its function that read so
    line: int
    start: int
    end: int
    new: str
    kind: str
    before: str  # the whole lines that it touches, blanks folded
    after: str

    def apply(self, text):
        return text[: self.start] + self.new + text[self.end :]

    def place(self):
        return f"{self.path}:{self.line}"

    def __str__(self):
        """As in `named`: it says where it is without a line's number, so that it stays the same when others change."""
        place = f"{self.path} {self.function}" + (f"/{self.which}" if self.which > 1 else "")
        return f"{place}: {self.before} => {self.after}"


def folded(text):
    return " ".join(text.split())


class Source:
    """A file, its tokens, and the mutants found in it."""

    def __init__(self, path, text):
        self.path, self.text, self.found, self.function = path, text, {}, ""
        self.tokens = [
            (match.lastgroup, match.group(), match.start())
            for match in TOKEN.finditer(text)
            if match.lastgroup not in ("comment", "directive")
        ]
        self.partner = self._pairs()

    def _pairs(self):
        opened, pairs = [], {}
        for i, (kind, token, _) in enumerate(self.tokens):
            if kind == "sign" and token in "({[":
                opened.append(i)
            elif kind == "sign" and token in ")}]" and opened:
                pairs[i] = opened.pop()
                pairs[pairs[i]] = i
        return pairs

    def at(self, i):
        return self.tokens[i][1] if 0 <= i < len(self.tokens) else ""

    def span(self, first, last):
        """From the start of one token to the end of another."""
        return self.tokens[first][2], self.tokens[last][2] + len(self.tokens[last][1])

    def code(self, first, last):
        start, end = self.span(first, last)
        return self.text[start:end]

    def add(self, kind, first, last, new):
        start, end = self.span(first, last)
        head, tail = self.text.rfind("\n", 0, start) + 1, self.text.find("\n", end)
        changed = self.text[head:start] + new + self.text[end:tail]
        self.found[start, end, new] = Mutant(
            self.path, self.function, 1, self.text.count("\n", 0, start) + 1, start, end, new, kind,
            folded(self.text[head:tail]), folded(changed),
        )  # fmt: skip

    def bodies(self):
        """Each function's name, and the first and last token of its body."""
        i = 0
        while i < len(self.tokens):
            if self.at(i) == "{" and i in self.partner:
                if self.at(i - 1) == ")":
                    yield self.at(self.partner[i - 1] - 1), i + 1, self.partner[i] - 1
                i = self.partner[i]
            i += 1

    def end_of_statement(self, i):
        while self.at(i) != ";":
            i = self.partner[i] if self.at(i) in ("(", "{", "[") else i
            if self.at(i) == "}":
                return i
            i += 1
        return i

    def silent(self, first, last):
        """The tokens that are left alone: what is said, tables, sizes of arrays, and what becomes of a lack of memory."""
        out = set()
        for i in range(first, last + 1):
            token, before = self.at(i), self.at(i - 1)
            if token in SAYS and self.at(i + 1) == "(":
                out.update(range(i + 1, self.partner[i + 1] + 1))
            if token in ("static", "enum") and before in ("{", "}", ";"):
                out.update(range(i, self.end_of_statement(i) + 1))
            if token == "{" and self.at(i + 2) == "}":
                out.add(i + 1)
            if token == "[" and self.starts_declaration(i):
                out.update(range(i, self.partner[i] + 1))
            if token == "if" and self.at(i + 1) == "(":
                end = self.end_of_statement(self.partner[i + 1] + 1)
                body = self.at(self.partner[i + 1] + 1)
                if body == "log_event" or (NO_ROOM.search(self.code(i, end)) and body != "{"):
                    out.update(range(i, end + 1))
        return out

    def starts_declaration(self, i):
        """Whether the statement that holds this token declares something, up to here."""
        start = i
        while self.at(start - 1) not in ("{", "}", ";", ""):
            start -= 1
            if self.at(start) in (")", "]"):
                start = self.partner[start]
        words = [self.tokens[k] for k in range(start, i)]
        if not words or any(token == "=" for _, token, _ in words):
            return False
        return words[0][1] in TYPES or (len(words) > 1 and words[0][0] == words[1][0] == "word")

    def opens_statement(self, i):
        before = self.at(i - 1)
        if before == ")":
            return self.at(self.partner[i - 1] - 1) in ("if", "for", "while")
        return before in (";", "{", "}", "else") or (before == ":" and self.at(i - 2) == "default")

    def _operator(self, i, in_for):
        kind, token, _ = self.tokens[i]
        if kind != "sign" or token not in SWAPS:
            return
        if token in ("++", "--") and in_for:
            return  # a hang, at best
        before_kind, before = self.tokens[i - 1][0], self.at(i - 1)
        if token in EITHER_WAY and (before == "return" or not (before_kind in ("word", "number") or before in (")", "]"))):
            return
        self.add("operator", i, i, SWAPS[token])

    def _number(self, i):
        kind, token, _ = self.tokens[i]
        if kind == "number" and not (self.at(i - 1) == "return" and self.at(i + 1) == ";"):
            digits = token.rstrip("uUlL")
            before = self.tokens[i - 2]
            failure = self.at(i - 1) == "-" and before[1] not in (")", "]") and (before[0] == "sign" or before[1] == "return")
            standard_input = digits == "0" and self.at(i - 1) in ("<", ">=") and before[1].endswith("fd")
            if not failure and not standard_input:  # another negative number fails as well; 0 is always taken
                base = 8 if digits[0] == "0" and digits.isdigit() else 0
                self.add("constant", i, i, f"{int(digits, base) + 1}{token[len(digits):]}")

    def _condition(self, i):
        if self.at(i) == "if" and self.at(i + 1) == "(":
            last = self.partner[i + 1]
            inner = self.code(i + 1, last)
            self.add("condition negated", i + 1, last, f"(!{inner})")
            self.add("condition never", i + 1, last, f"({inner} && 0)")
        if self.at(i) == "!":
            self.add("condition negated", i, i, "")

    def _statement(self, i):
        if not self.opens_statement(i):
            return
        end = self.end_of_statement(i)
        if self.at(i) == "return":
            self._return(i, end)
            return
        name = i + 3 if (self.at(i), self.at(i + 1), self.at(i + 2)) == ("(", "void", ")") else i
        if self.tokens[name][0] != "word" or self.at(name) in TYPES | {"log_event"}:
            return
        if self.at(name + 1) == "(" and self.partner[name + 1] == end - 1 and self.at(name) not in ("if", "for", "while", "switch"):
            self.add("call dropped", i, end, ";")

    def _return(self, i, end):
        value = self.code(i + 1, end - 1) if end > i + 1 else ""
        if not value:
            self.add("return dropped", i, end, ";")
        elif value in RETURNS:
            self.add("return", i + 1, end - 1, RETURNS[value])
        elif self.at(i + 1) in SAYS and self.partner[i + 2] == end - 1:
            self.add("error dropped", i + 1, end - 1, f"0 & {value}")

    def mutants(self):
        for self.function, first, last in self.bodies():
            silent = self.silent(first, last)
            loops = set()
            for i in range(first, last + 1):
                if self.at(i) == "for" and self.at(i + 1) == "(":
                    loops.update(range(i + 1, self.partner[i + 1] + 1))
                if self.at(i) in ("return", "(") or self.tokens[i][0] == "word":
                    if i not in silent:
                        self._statement(i)
                if i in silent:
                    continue
                self._operator(i, i in loops)
                self._number(i)
                self._condition(i)
        alike = Counter()
        for key in sorted(self.found):
            name = str(self.found[key])
            alike[name] += 1
            yield replace(self.found[key], which=alike[name])


def mutants_of(path, text):
    return list(Source(path, text).mutants())
