"""The files that shell text makes: by redirections, here-documents, ``tee``, ``cp``, ``envsubst`` and ``sed``."""

from __future__ import annotations

import re
import shlex
from posixpath import basename
from typing import TYPE_CHECKING

from msgspec import Struct, field

from sentry_audit.deployment.inputs import Input, Part
from sentry_audit.scanners.shell import expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sentry_audit.deployment.inputs import Inputs

#: What takes files: without one of these, nobody asks what was written.
TAKES = ("-file", "replace", "env_vars_file", "metadata:")
_SUBSTITUTION = re.compile(r"\$\([^()]*\)|`[^`\n]*`")
_ASSIGNMENT = re.compile(r"^(?:(?:export|local|readonly)\s+)?([A-Za-z_]\w*)=(\S*)$")
_HEREDOC = re.compile(r"(?<!<)<<-?\s*[\"']?(\w+)[\"']?")
_BREAKS = frozenset({";", "&&", "||", "&", "(", ")", ";;"})
_LONGEST = 60


class Write(Struct, frozen=True):
    """That ``name`` is written at ``path``:``line``: with ``parts``, or what the files ``sources`` hold, or for ``reason`` unknown."""

    name: str
    path: str
    line: int
    append: bool = False
    parts: tuple[Part, ...] = ()
    sources: tuple[str, ...] = ()
    reason: str = ""

    def apply(self, inputs: Inputs, folder: str) -> None:
        """Keep what it makes, seen from ``folder``."""
        given = [inputs.get(name, (folder,), self.path) for name in self.sources]
        parts = (*self.parts, *(part for item in given for part in item.parts))
        reason = self.reason or next((item.reason for item in given if item.reason), "")
        inputs.make(self.name, folder, Input(parts, reason), append=self.append)


class _Output(Struct, frozen=True):
    """What a command prints."""

    parts: tuple[Part, ...] = ()
    sources: tuple[str, ...] = ()
    known: bool = False


class _Scan(Struct):
    path: str
    known: dict[str, str]
    group: list[Part] | None = None
    found: list[Write] = field(default_factory=list)

    def line(self, row: str, number: int, body: Part | None) -> None:
        """One line of commands; ``body`` is its here-document."""
        tokens = _tokens(_SUBSTITUTION.sub("$_", row))
        if len(tokens) <= 2 and (match := _ASSIGNMENT.match(" ".join(tokens))):
            self.known[match[1]] = expand(match[2], self.known)
            return
        before = _Output()
        for segment, piped in _segments([expand(word, self.known) for word in tokens]):
            before = self._segment(segment, before if piped else _Output(), number, body)

    def _segment(self, tokens: list[str], stdin: _Output, number: int, body: Part | None) -> _Output:
        while tokens[:1] and tokens[0] in {"{", "then", "do", "else"}:
            if tokens[0] == "{":
                self.group = []
            tokens = tokens[1:]
        words, targets, stdin = _redirected(tokens, stdin, body)
        if words[:1] == ["}"] and self.group is not None:
            output = _Output(tuple(self.group), known=True)
            self.group = None
        else:
            output = _printed(words, stdin, lambda text: Part(self.path, "\n" * (number - 1) + text))
            if self.group is not None and not targets and output.known:
                self.group += output.parts
        program = basename(words[0]) if words else ""
        plain = [word for word in words[1:] if not word.startswith("-")]
        if program == "tee":
            append = any(word in {"-a", "--append"} for word in words)
            targets += [(name, append) for name in plain]
        elif program in {"cp", "mv"} and len(plain) == 2:
            self.found.append(Write(plain[1], self.path, number, sources=(plain[0],)))
        for name, append in targets:
            if not name.startswith("/dev/"):
                shown = f"{self.path}:{number} makes {name} with {program or 'a command'}"
                reason = "" if output.known else f"{shown}, which was not followed"
                self.found.append(Write(name, self.path, number, append, output.parts, output.sources, reason))
        return output


def writes(path: str, text: str, start: int, variables: Mapping[str, str]) -> list[Write]:
    """What ``text``, which stands in ``path`` from line ``start`` on, writes, in order."""
    if ">" not in text and "tee " not in text and "cp " not in text and "mv " not in text:
        return []
    scan = _Scan(path, dict(variables))
    rows = text.split("\n")
    at = 0
    while at < len(rows):
        number, row = at + start, rows[at]
        at += 1
        if not row.strip() or row.lstrip().startswith("#"):
            continue
        while at < len(rows) and (row.rstrip().endswith("\\") or not _whole(row)) and at - number + start <= _LONGEST:
            row = f"{row.rstrip()[:-1]} {rows[at]}" if row.rstrip().endswith("\\") else f"{row}\n{rows[at]}"
            at += 1
        body = None
        if match := _HEREDOC.search(row):
            first = at
            while at < len(rows) and rows[at].strip() != match[1]:
                at += 1
            lines = "\n".join(rows[first:at])
            body = Part(path, "\n" * (first + start - 1) + expand(lines, scan.known) + "\n")
            at += 1
        scan.line(row, number, body)
    return scan.found


def _whole(row: str) -> bool:
    try:
        shlex.split(row)
    except ValueError:
        return False
    return True


def _tokens(row: str) -> list[str]:
    lexer = shlex.shlex(row, posix=True, punctuation_chars="<>|&;()")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        found = list(lexer)
    except ValueError:
        return []
    return found[: found.index("#")] if "#" in found else found


def _segments(tokens: Sequence[str]) -> Iterator[tuple[list[str], bool]]:
    """(the words of a command, whether another is piped into it)."""
    words: list[str] = []
    piped = False
    for word in [*tokens, ";"]:
        if word not in _BREAKS and word != "|":
            words.append(word)
            continue
        if words:
            yield words, piped
        words, piped = [], word == "|"


def _redirected(
    tokens: Sequence[str], stdin: _Output, body: Part | None
) -> tuple[list[str], list[tuple[str, bool]], _Output]:
    """(the words without redirections, the (file, appended) that are written, what is read)."""
    words: list[str] = []
    targets: list[tuple[str, bool]] = []
    rest = iter(tokens)
    for word in rest:
        if word in {">", ">>", ">|"}:
            name = next(rest, "")
            if words and words[-1].isdigit() and words[-1] != "1":
                words.pop()  # 2> log
            elif name:
                words = words[:-1] if words[-1:] == ["1"] else words
                targets.append((name, word == ">>"))
        elif word == "<":
            stdin = _Output(sources=(next(rest, ""),), known=True)
        elif word in {"<<", "<<<"}:
            next(rest, "")
            stdin = _Output((body,), known=True) if body is not None else _Output()
        elif word in {">&", "&>", "&>>"}:
            next(rest, "")
        else:
            words.append(word)
    return words, targets, stdin


def _printed(words: list[str], stdin: _Output, make: Callable[[str], Part]) -> _Output:
    """What a command prints, if it is one of those that print what they are given."""
    while words and "=" in words[0] and not words[0].startswith("-"):
        words = words[1:]
    program = basename(words[0]) if words else ""
    plain = [word for word in words[1:] if not word.startswith("-")]
    if program == "echo":
        text = " ".join(word for word in words[1:] if word not in {"-e", "-n", "-E", "-en", "-ne"})
        escaped = any(word in {"-e", "-en", "-ne"} for word in words[1:])
        return _Output((make((text.replace("\\n", "\n") if escaped else text) + "\n"),), known=True)
    if program == "printf" and plain:
        return _Output((make(_formatted(plain[0], plain[1:])),), known=True)
    if program == "cat" and plain:
        return _Output(sources=tuple(plain), known=True)
    if program in {"cat", "tee", "envsubst"} or not program:
        return stdin
    if program == "sed" and "-n" not in words and "-i" not in words:
        scripts = [word for word in plain if re.match(r"^s(\W).*\1.*\1", word, re.DOTALL)]
        files = [word for word in plain if word not in scripts]
        if scripts and len(files) <= 1:
            return _Output(sources=tuple(files), known=True) if files else stdin
    return _Output()


def _formatted(template: str, arguments: Sequence[str]) -> str:
    """What ``printf`` makes of its arguments: the template again until none is left."""
    template = template.replace("\\n", "\n")
    rest = list(arguments)
    found = ""
    while True:
        found += re.sub(r"%[sdb]", lambda _: rest.pop(0) if rest else "", template)
        if not rest or "%" not in template:
            return found
