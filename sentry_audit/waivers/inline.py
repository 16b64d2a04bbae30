"""``# sentry-audit: ignore[check-id] reason`` → Written: comments only, and never one that is half understood.

Comments of Python and JavaScript are told by their tokenizers; elsewhere a comment has a line of its own.
"""

from __future__ import annotations

import io
import re
import tokenize
from fnmatch import fnmatchcase
from posixpath import splitext
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.errors import nearest
from sentry_audit.mentions import WAIVER
from sentry_audit.model import Evidence, Waiver
from sentry_audit.waivers.written import INLINE, PERMANENT, Written

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

_SCRIPTS = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")
_COMPONENTS = (".vue", ".svelte")
_MARKS = {
    ".html": ("<!--",), ".htm": ("<!--",), ".xml": ("<!--",), ".vue": ("<!--",), ".svelte": ("<!--",),
    ".sql": ("--",), ".css": ("/*",), ".scss": ("//", "/*"), ".tf": ("#", "//", "/*"), ".hcl": ("#", "//", "/*"),
    ".py": ("#",), **dict.fromkeys(_SCRIPTS, ("//", "/*", "{/*")),
}  # fmt: skip
_WRITTEN = re.compile(r"sentry-audit:\s*([A-Za-z-]*)\s*(\[[^\]\n]*\]?)?([^\n]*)")
_FIELD = re.compile(r"(?<!\S)([A-Za-z_]+)=(\S*)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_FIELDS = ("until", "owner", "ticket")
_END = re.compile(r"\s*(?:\*/\}?|-->)\s*$")
_EXAMPLE = "sentry-audit: ignore[check-id] reason"


class _Comment(Struct, frozen=True):
    """The line of a comment that holds ``WAIVER``: its text up to the end of the line, where it begins, what it is alone on."""

    line: int
    text: str
    start: int
    alone: bool
    certain: bool = True


class _Refused(Exception):  # noqa: N818 - why a comment is no waiver
    pass


def read(path: str, text: str, today: date, known: Collection[str]) -> tuple[list[Written], list[str]]:
    """The waivers in the comments of a file, and what is to be said of those that are not honoured.

    ``known`` are the ids of the checks that there are; ``today`` serves to read dates.
    """
    found: list[Written] = []
    complaints: list[str] = []
    lines = text.split("\n")
    for comment in _comments(path, text):
        match = _WRITTEN.search(comment.text)
        if match is None:
            continue
        place = Evidence(path, comment.line)
        try:
            written = _written(match, comment, place, today, known)
        except _Refused as refused:
            complaints.append(f"{place}: this waiver is not honoured: {refused}")
            continue
        if written is not None:
            found.append(_reaching(written, comment, lines))
    return found, complaints


def _written(
    match: re.Match[str], comment: _Comment, place: Evidence, today: date, known: Collection[str]
) -> Written | None:
    """The waiver of one comment; None if it is ordinary text. Raises _Refused."""
    word, bracket, rest = match[1], match[2], match[3]
    if word != "ignore":
        if bracket or nearest(word, ("ignore",), ""):
            raise _Refused(f"it says {word!r}; write {_EXAMPLE}")
        return None
    if not comment.certain:
        raise _Refused("in such a file a waiver is a comment on a line of its own, above what it is for")
    checks = tuple(part.strip() for part in (bracket or "").strip("[]").split(",") if part.strip())
    if not checks or bracket[-1] != "]":
        raise _Refused(f"it names no check in brackets; write {_EXAMPLE}")
    for pattern in checks:
        if not any(fnmatchcase(item, pattern) for item in known):
            raise _Refused(f"no check is called {pattern} ({nearest(pattern, known, 'see: sentry-audit checks list')})")
    fields, reason = _fields(_END.sub("", rest))
    if not reason:
        raise _Refused(f"it gives no reason; write {_EXAMPLE}")
    return Written(
        waiver=Waiver(
            reason=reason,
            until=_until(fields.get("until", PERMANENT), today),
            owner=fields.get("owner", ""),
            ticket=fields.get("ticket", ""),
            place=place,
        ),
        checks=checks,
        lines=(comment.line,),
        source=INLINE,
        span=(comment.start, comment.start + len(comment.text)),
    )


def _fields(text: str) -> tuple[dict[str, str], str]:
    """``until=``, ``owner=`` and ``ticket=`` wherever they stand, and the rest as the reason. Raises _Refused."""
    fields: dict[str, str] = {}

    def take(match: re.Match[str]) -> str:
        key, value = match[1], match[2].rstrip(",;")
        if key in fields:
            raise _Refused(f"{key}= is there twice")
        if key in _FIELDS:
            if not value:
                raise _Refused(f"{key}= has no value")
            fields[key] = value
            return ""
        if _DAY.fullmatch(value) or key.lower() in _FIELDS or nearest(key, _FIELDS, ""):
            raise _Refused(f"{key}= is unknown ({nearest(key, _FIELDS, 'known are: ' + ', '.join(_FIELDS))})")
        return match[0]

    words = " ".join(_FIELD.sub(take, text).split())
    return fields, words.lstrip("-–—: ").strip()


def _until(value: str, today: date) -> str:
    if value == PERMANENT:
        return value
    try:
        if today.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise _Refused(f"until={value} is neither a date (2027-01-31) nor permanent")


def _reaching(written: Written, comment: _Comment, lines: list[str]) -> Written:
    """``written`` with the lines that it is for: its own, and if it is alone there the next that is no comment."""
    from msgspec.structs import replace

    if not comment.alone:
        return written
    following = comment.line
    while following < len(lines) and _is_remark(lines[following]):
        following += 1
    return replace(written, lines=(comment.line, following + 1))


def _is_remark(line: str) -> bool:
    return line.lstrip().startswith(("#", "//", "/*", "*", "<!--", "{/*", "--"))


# --- which comments there are -------------------------------------------------------------------


def _comments(path: str, text: str) -> Iterator[_Comment]:
    suffix = splitext(path)[1]
    if suffix in {".py", ".pyi"}:
        try:
            yield from _python(text)
        except (tokenize.TokenError, SyntaxError):
            yield from _alone(text, ("#",), complain=False)
    elif suffix in _SCRIPTS or suffix in _COMPONENTS:
        yield from _javascript(path, text)
        if suffix in _COMPONENTS:
            yield from _alone(text, ("<!--",), complain=False)
    else:
        yield from _alone(text, _MARKS.get(suffix, ("#",)), complain=True)


def _python(text: str) -> Iterator[_Comment]:
    starts = _starts(text)
    for token in list(tokenize.generate_tokens(io.StringIO(text, newline="").readline)):
        if token.type == tokenize.COMMENT and WAIVER in token.string:
            row, column = token.start
            start = starts[row - 1] + column
            yield _Comment(row, token.string.rstrip(), start, not token.line[:column].strip())


def _javascript(path: str, text: str) -> Iterator[_Comment]:
    """Comments of the scripts; each line of a block comment is looked at on its own."""
    from sentry_audit.javascript.syntax import Source, text_of, walk

    rows = text.split("\n")
    starts = _starts(text)
    for node in walk(Source(path, text).root):
        if node.type not in {"comment", "html_comment"}:
            continue
        first = node.start_point[0]
        for offset, part in enumerate(text_of(node).split("\n")):
            if WAIVER in part and first + offset < len(rows):
                shown = part.strip()
                column = max(rows[first + offset].find(shown), 0)
                around = rows[first + offset].replace(shown, "", 1).strip()
                alone = around in {"", "{}"} or offset > 0
                yield _Comment(first + offset + 1, shown, starts[first + offset] + column, alone)


def _alone(text: str, marks: tuple[str, ...], *, complain: bool) -> Iterator[_Comment]:
    """Lines that begin as a comment does; with ``complain`` also what may be a comment behind something, as uncertain."""
    starts = _starts(text)
    for index, row in enumerate(text.split("\n")):
        at = row.find(WAIVER)
        if at < 0:
            continue
        column = len(row) - len(row.lstrip())
        if row[column:].startswith(marks):
            yield _Comment(index + 1, row.strip(), starts[index] + column, alone=True)
        elif complain and row[:at].rstrip().endswith(marks):
            yield _Comment(index + 1, row[at:].rstrip(), starts[index] + at, alone=False, certain=False)


def _starts(text: str) -> list[int]:
    """Where each row begins."""
    starts = [0]
    for match in re.finditer("\n", text):
        starts.append(match.end())
    return starts
