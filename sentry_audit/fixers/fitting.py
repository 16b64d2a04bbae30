"""Lines that a fix made too long, broken: one item a line of the list, the call or the object that grew.

For what no formatter of the project goes over: those make more of it.
"""

from __future__ import annotations

import ast
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.fixers.projectstyle import line_length, set_length
from sentry_audit.fixing import Edit
from sentry_audit.javascript.names import COMPONENTS, SUFFIXES
from sentry_audit.javascript.syntax import Source, walk
from sentry_audit.python import syntax

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.fixing import Change
    from sentry_audit.python.program import Files

#: Breaking one line makes others: this ends it.
_MOST = 40
_LITERALS = {"array", "object"}


class _Brackets(Struct, frozen=True):
    """What stands in brackets on one line: where those open and close (in bytes), and its items begin and end."""

    open: int
    close: int
    items: tuple[tuple[int, int], ...]
    trailing: bool = True


def fitted(change: Change, files: Files) -> Change:
    """``change`` with lines that are no longer than the project has them, as far as they are its own."""
    return replace(change, edits=tuple(_edit(edit, files) for edit in change.edits))


def _edit(edit: Edit, files: Files) -> Edit:
    if edit.after is None or not edit.path.endswith((".py", *SUFFIXES)) or edit.path.endswith(COMPONENTS):
        return edit
    before = files.text(edit.path) or ""
    # Without settings the file itself tells how long its lines may be.
    width = set_length(files, edit.path) or max(
        [line_length(files, edit.path), *(len(line) for line in before.splitlines())]
    )
    return Edit(edit.path, _fitted(edit.path, before, edit.after, width))


def _fitted(path: str, before: str, after: str, width: int) -> str:
    done = set(before.splitlines())
    for _ in range(_MOST):
        lines = after.splitlines()
        number = next((at for at, line in enumerate(lines, 1) if len(line) > width and line not in done), None)
        if number is None:
            return after
        done.add(lines[number - 1])
        after = _broken(path, after, number) or after
    return after


def _broken(path: str, text: str, number: int) -> str:
    """``text`` with its line ``number`` broken at the outermost brackets that open and close on it; ``""`` if it has none."""
    try:
        found = list(_python(text, number) if path.endswith(".py") else _script(path, text, number))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    if not found:
        return ""
    data, brackets = text.encode(), min(found, key=lambda item: item.open)
    row = data[data.rfind(b"\n", 0, brackets.open) + 1 : brackets.open]
    lead = row[: len(row) - len(row.lstrip())]
    unit = b"\t" if b"\t" in lead else b"    " if path.endswith(".py") or _by_four(data) else b"  "
    end = b"\r\n" if b"\r\n" in data else b"\n"
    rows = [data[begin:stop].strip() for begin, stop in brackets.items]
    inner = (b"," + end + lead + unit).join(rows) + (b"," if brackets.trailing else b"")
    done = data[: brackets.open] + end + lead + unit + inner + end + lead + data[brackets.close :]
    return _sound(path, done.decode())


def _by_four(data: bytes) -> bool:
    """Whether a file is indented by four blanks: it has no line of two, and one of four."""
    return b"\n    " in data and not any(
        line.startswith(b"  ") and line[2:3] not in {b" ", b"*"} for line in data.split(b"\n")
    )


def _sound(path: str, text: str) -> str:
    if path.endswith(".py"):
        syntax.parse(text)
        return text
    return text if Source(path, text).error_line() is None else ""


def _python(text: str, number: int) -> Iterator[_Brackets]:
    starts = [0]
    for row in text.encode().split(b"\n"):
        starts.append(starts[-1] + len(row) + 1)
    data = text.encode()
    for node in ast.walk(syntax.parse(text)):
        if not isinstance(node, ast.Call | ast.List | ast.Tuple | ast.Set) or (node.lineno, node.end_lineno) != (
            number, number,
        ):  # fmt: skip
            continue
        given: list[ast.expr | ast.keyword] = (
            [*node.args, *node.keywords] if isinstance(node, ast.Call) else [*node.elts]
        )
        base = starts[number - 1]
        begin = base + (node.func.end_col_offset or 0) if isinstance(node, ast.Call) else base + node.col_offset
        begin = data.index(b"(", begin) if isinstance(node, ast.Call) else begin
        stop = base + (node.end_col_offset or 0) - 1
        if data[begin : begin + 1] not in b"([{" or any(isinstance(item, ast.GeneratorExp) for item in given):
            continue
        if isinstance(node, ast.Call) and len(given) < 2:
            continue  # a line of its own for the one argument reads worse than a long line
        places = sorted((base + item.col_offset, base + (item.end_col_offset or 0)) for item in given)
        yield from _split(data, begin + 1, stop, places)


def _script(path: str, text: str, number: int) -> Iterator[_Brackets]:
    """Lists and objects first: a call is broken only if it holds none, as its last one may hang."""
    data = text.encode()
    calls: list[_Brackets] = []
    found = False
    for node in walk(Source(path, text).root):
        if node.type not in {*_LITERALS, "arguments"} or (node.start_point[0], node.end_point[0]) != (
            number - 1, number - 1,
        ):  # fmt: skip
            continue
        children: list[Any] = list(node.named_children)
        if any(child.type == "comment" for child in children):
            continue
        places = [(child.start_byte, child.end_byte) for child in children]
        split = list(_split(data, node.start_byte + 1, node.end_byte - 1, places))
        if node.type == "arguments":
            calls += [replace(item, trailing=False) for item in split]
        else:
            found = found or bool(split)
            yield from split
    if not found:
        yield from calls


def _split(data: bytes, begin: int, stop: int, places: list[tuple[int, int]]) -> Iterator[_Brackets]:
    """The items between the commas, with the brackets around them that a syntax tree leaves out."""
    if not places:
        return
    commas = [data.index(b",", end, start) for (_, end), (start, _) in pairwise(places)]
    last = data.find(b",", places[-1][1], stop)
    bounds = [begin - 1, *commas, stop if last < 0 else last]
    items = tuple((first + 1, second) for first, second in pairwise(bounds))
    yield _Brackets(begin, stop, items)
