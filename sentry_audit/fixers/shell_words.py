"""The words of one shell command with their places in the text, and flags that are added to it in its own style."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.fixers.texts import indent_at, line_at, row_at, row_end, row_start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.fixers.texts import Insertion

_PROGRAM = re.compile(r"(?<![\w./-])(?:gcloud|docker|podman)(?= )")
_ASSIGNED = r"(?m)^[ \t]*(?:-?[ \t]*run:[ \t]*)?(?:(?:export|local|readonly|declare(?:[ \t]+-\w+)*)[ \t]+)?{name}=(\()?"
_VARIABLE = re.compile(r"^\"?\$\$?\{?(\w+)(?:\[@\]|\[\*\])?\}?\"?$")
#: A command that would be longer goes on in a row of its own.
WIDEST = 120
_JOINED = re.compile(r"\\\r?\n")
#: What begins something that holds together within brackets.
_HOLDING = "\\'\"$"
_REDIRECTION = re.compile(r"^\d*[<>]")


class Word(Struct, frozen=True):
    """One word as it is written, quotes and all."""

    start: int
    end: int
    raw: str

    @property
    def plain(self) -> str:
        """The word without quotes and joined lines."""
        return re.sub(r"\\\r?\n|[\"']", "", self.raw)


class Value(Struct, frozen=True):
    """The value of a flag: ``flag`` as it is called, and where the value stands."""

    flag: str
    start: int
    end: int


class Command(Struct, frozen=True):
    """A command: its words, and the text that they stand in. ``folded``: a line end is a space (YAML's ``>``)."""

    text: str
    words: tuple[Word, ...]
    folded: bool = False

    @property
    def raw(self) -> str:
        """The command as it is written."""
        return self.text[self.words[0].start : self.words[-1].end] if self.words else ""

    @property
    def last(self) -> Word:
        """The last word that is no redirection."""
        kept = self.words
        for index, word in enumerate(self.words):
            if _REDIRECTION.match(word.raw):
                kept = self.words[:index]
                break
        return kept[-1]

    def values(self, *flags: str) -> Iterator[Value]:
        """The values that the command itself gives to ``flags``."""
        yield from _values(self.words, flags)

    def variables(self) -> list[str]:
        """The variables that stand in it as whole words or whole values."""
        return [match[1] for word in self.words for match in [_VARIABLE.match(word.raw.rpartition("=")[2])] if match]


def command_at(text: str, line: int, stop: int | None = None, folded: bool = False) -> Command | None:
    """The command that begins on ``line``, which runs gcloud or docker, up to ``stop`` at most; None if none does."""
    start = row_start(text, line)
    match = _PROGRAM.search(text, start, row_end(text, start))
    if match is None:
        return None
    words = tuple(_words(text, match.start(), len(text) if stop is None else stop, folded))
    return Command(text, words, folded) if words else None


def _words(text: str, at: int, stop: int, folded: bool) -> Iterator[Word]:
    """The words from ``at`` up to where the command ends."""
    start = -1
    while at < stop:
        sign = text[at]
        joined = _JOINED.match(text, at)
        blank = sign in " \t\r" or (sign == "\n" and folded)
        if blank or (joined is not None and text[joined.end() : joined.end() + 1] in {" ", "\t"}):
            if start >= 0:
                yield Word(start, at, text[start:at])
            start = -1
            at = at + 1 if joined is None else joined.end()
            continue
        if joined is not None:
            at = joined.end()
            continue
        if sign in "\n;|)`" or (sign == "&" and text[at - 1] not in "<>") or (sign == "#" and start < 0):
            break
        start = at if start < 0 else start
        at = _atom(text, at)
    if start >= 0:
        at = min(at, stop)
        yield Word(start, at, text[start:at])


def _atom(text: str, at: int) -> int:
    """Where it ends what begins at ``at`` and holds together: a quoted text, a substitution, an escaped sign, one sign."""
    if text[at] == "\\":
        return at + 2
    if text[at] == "'":
        return _past(text, text.find("'", at + 1))
    if text[at] == '"':
        at += 1
        while at < len(text) and text[at] != '"':
            at = _atom(text, at) if text[at] == "\\" or text.startswith("$(", at) else at + 1
        return at + 1
    if text.startswith(("$(", "${"), at):
        return _group(text, at + 1)
    return at + 1


def _group(text: str, at: int) -> int:
    """Where the brackets that open at ``at`` close."""
    opens, closes = ("(", ")") if text[at] == "(" else ("{", "}")
    at += 1
    while at < len(text) and text[at] != closes:
        if text[at] == opens:
            at = _group(text, at)
            continue
        at = _atom(text, at) if text[at] in _HOLDING else at + 1
    return at + 1


def _past(text: str, found: int) -> int:
    return len(text) if found < 0 else found + 1


def _values(words: Sequence[Word], flags: Sequence[str]) -> Iterator[Value]:
    for index, word in enumerate(words):
        name, mark, _ = word.plain.partition("=")
        if name not in flags:
            continue
        if mark:
            yield Value(name, word.start + word.raw.index("=") + 1, word.end)
        elif index + 1 < len(words) and not words[index + 1].plain.startswith("--"):
            yield Value(name, words[index + 1].start, words[index + 1].end)


def assignments(text: str, name: str) -> list[tuple[int, int, bool]]:
    """Where values are assigned to the shell variable ``name``: (begin, end, whether it is an array)."""
    found = []
    for match in re.finditer(_ASSIGNED.format(name=re.escape(name)), text):
        if match[1]:
            end = text.find(")", match.end())
            found.append((match.end(), end if end >= 0 else len(text), True))
            continue
        word = next(_words(text, match.end(), len(text), False), None)
        if word is not None and word.start == match.end():
            found.append((word.start, word.end, False))
    return found


def given(command: Command, *flags: str) -> list[Value]:
    """Where ``flags`` get their values: in the command, or in the variables that stand in it."""
    found = list(command.values(*flags))
    text = command.text
    if found:
        whole = [_VARIABLE.match(text[item.start : item.end]) for item in found]
        if not all(whole):
            return [item for item, match in zip(found, whole, strict=True) if not match][-1:]
        names = [match[1] for match in whole if match]
        places = [place for name in names for place in assignments(text, name)]
        return [
            Value(found[-1].flag, begin, end) for begin, end, array in places if not array and "=" in text[begin:end]
        ]
    for name in command.variables():
        for begin, end, array in assignments(text, name):
            inner = tuple(_words(text, begin, end, True)) if array else _inside(text, begin, end)
            found += list(_values(inner, flags))
    return found


def _inside(text: str, begin: int, end: int) -> tuple[Word, ...]:
    """The words of a quoted value."""
    if end - begin > 1 and text[begin] in "\"'" and text[end - 1] == text[begin]:
        begin, end = begin + 1, end - 1
    return tuple(_words(text, begin, end, True))


def extended(text: str, value: Value, entry: str) -> Insertion:
    """``entry`` behind the entries of a flag's value, in front of the quote that ends it."""
    raw = text[value.start : value.end]
    end = value.end - 1 if raw[-1:] in {'"', "'"} else value.end
    inner = raw.strip("\"'")
    escape = re.match(r"\^(.+?)\^", inner)
    separator = escape[1] if escape else ","
    broken = re.search(r",\\(\r?\n[ \t]*)\S", raw)  # one entry a line
    if inner.rstrip().endswith(separator) or not inner:
        separator = ""
    return end, separator + (f"\\{broken[1]}".replace("\r", "") if broken and separator == "," else "") + entry


def added(command: Command, flag: str, value: str, beside: Sequence[str] = ()) -> Insertion:
    """A flag of its own, behind the last of the flags ``beside``, or at the end; written as those are."""
    text = command.text
    neighbours = list(command.values(*beside))
    at = neighbours[-1].end if neighbours else command.last.end
    model = neighbours[-1] if neighbours else None
    if model is None:
        model = next(
            (
                item
                for item in command.values(
                    *(word.plain.partition("=")[0] for word in command.words if word.plain.startswith("--"))
                )
            ),
            None,
        )
    spaced = model is not None and text[model.start - 1] != "="
    quoted = bool(re.search(r"[$ ]", value)) or (bool(neighbours) and text[neighbours[-1].start] in "\"'")
    if '"' in value:
        quoted = True
    rows = [
        word
        for word in command.words
        if word.raw.startswith("--") and line_at(text, word.start) > line_at(text, command.words[0].start)
    ]
    word = f"{flag}{' ' if spaced else '='}" + (f'"{value}"' if quoted else value)
    if not rows:
        broken = not command.folded and len(row_at(text, at)) + len(word) >= WIDEST
        return at, f" \\\n{indent_at(text, at)}  {word}" if broken else f" {word}"
    return at, ("\n" if command.folded else " \\\n") + indent_at(text, rows[0].start) + word
