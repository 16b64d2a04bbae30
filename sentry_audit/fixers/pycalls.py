"""Keyword arguments of a call put in, replaced and taken out, as the call is laid out."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentry_audit.fixers.pysource import Source


def add_arguments(source: Source, call: ast.Call, texts: Sequence[str]) -> None:
    """Put ``texts`` (``name=value``) at the end of the arguments of ``call``, before ``**options``."""
    if not texts:
        return
    text = ", ".join(texts)
    close = source.end(call) - 1
    given: list[ast.expr | ast.keyword] = sorted(
        [*call.args, *call.keywords], key=lambda item: (item.lineno, item.col_offset)
    )
    if not given:
        open_ = source.end(call.func) + source.text[source.end(call.func) :].index("(") + 1
        source.replace(open_, close, text if "#" not in source.text[open_:close] else source.text[open_:close] + text)
        return
    stars = [item for item in given if isinstance(item, ast.keyword) and item.arg is None]
    own_lines = given[0].lineno > call.func.lineno and source.line(given[-1].lineno).lstrip().startswith(
        _head(source, given[-1])
    )
    if stars and stars[-1] is given[-1]:
        gap = f"\n{source.indent(stars[-1].lineno)}" if own_lines else " "
        source.insert(source.start(stars[-1]), "".join(f"{each},{gap}" for each in texts))
        return
    last = given[-1]
    end = _closed(source, last)
    comma = source.text[end:close].lstrip().startswith(",")
    if own_lines:
        assert last.end_lineno is not None
        indent = source.indent(given[0].lineno if len(given) == 1 else last.lineno)
        number = source.text.count("\n", 0, end) + 1
        if close < source.line_start(number + 1):  # the bracket stands on the last argument's line
            source.insert(end, "".join(f",\n{indent}{each}" for each in texts))
            return
        if not comma:
            source.insert(end, ",")
        source.insert_lines(number + 1, [f"{indent}{each}," for each in texts])
        return
    line = source.line(call.lineno)
    flat = call.lineno == call.end_lineno
    if flat and not comma and len(line) + len(text) + 2 <= source.length:
        source.insert(end, f", {text}")
    elif flat:
        rows = [source.text[source.start(item) : _closed(source, item)] for item in given]
        _explode(source, call, [*rows, *texts])
    else:
        source.insert(end, f" {text}" if comma and end + 1 == close else f", {text}")


def _head(source: Source, item: ast.expr | ast.keyword) -> str:
    return source.text[source.start(item) : source.start(item) + 3]


def _closed(source: Source, item: ast.expr | ast.keyword) -> int:
    """The end of an argument, with the brackets around it that the syntax tree leaves out."""
    end = source.end(item)
    start = source.start(item.value) if isinstance(item, ast.keyword) else source.start(item)
    depth = 0
    before = source.text[:start].rstrip()
    while before.endswith("(") and isinstance(item, ast.keyword):
        depth += 1
        before = before[:-1].rstrip()
    for _ in range(depth):
        rest = source.text[end:]
        gap = len(rest) - len(rest.lstrip())
        if rest.lstrip().startswith(")"):
            end += gap + 1
    return end


def replace_value(source: Source, call: ast.Call, keyword: ast.keyword, text: str, more: Sequence[str] = ()) -> None:
    """Give the argument ``keyword`` of ``call`` another value, and ``call`` the arguments ``more``."""
    replace_values(source, call, [(keyword, text)], more)


def replace_values(
    source: Source, call: ast.Call, texts: Sequence[tuple[ast.keyword, str]], more: Sequence[str] = ()
) -> None:
    """The same for several arguments: whatever is changed of one call is changed at once, as its layout may change."""
    line = source.line(call.lineno)
    longer = sum(len(text) - len(source.source(keyword.value)) for keyword, text in texts)
    longer += sum(len(each) + 2 for each in more)
    if call.lineno == call.end_lineno and len(line) + longer > source.length:
        given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
        new = {id(keyword): f"{keyword.arg}={text}" for keyword, text in texts}
        rows = [
            new.get(id(item)) or source.text[source.start(item) : _closed(source, item)]
            for item in sorted(given, key=lambda item: (item.lineno, item.col_offset))
        ]
        _explode(source, call, [*rows, *more])
        return
    for keyword, text in texts:
        source.replace(source.start(keyword.value), source.end(keyword.value), text)
    add_arguments(source, call, more)


def set_arguments(source: Source, call: ast.Call, texts: Mapping[str, str]) -> None:
    """Give ``call`` the arguments ``texts``, by their names: those that it has get another value."""
    given = [(keyword, text) for name, text in texts.items() if (keyword := argument(call, name)) is not None]
    have = {keyword.arg for keyword, _ in given}
    replace_values(source, call, given, [f"{name}={text}" for name, text in texts.items() if name not in have])


def _explode(source: Source, call: ast.Call, rows: Sequence[str]) -> None:
    """Give each argument of a call that stands on one line its own."""
    indent = source.indent(call.lineno)
    inner = "".join(f"\n{indent}{source.unit}{row}," for row in rows)
    open_ = source.end(call.func) + source.text[source.end(call.func) :].index("(") + 1
    source.replace(open_, source.end(call) - 1, f"{inner}\n{indent}")


def remove_argument(source: Source, call: ast.Call, keyword: ast.keyword) -> None:
    """Take the argument ``keyword`` out, with its line where it has its own."""
    start, end = source.start(keyword), _closed(source, keyword)
    close = source.end(call) - 1
    rest = source.text[end:close]
    after = end + len(rest) - len(rest.lstrip(" \t"))
    has_comma = source.text[after : after + 1] == ","
    if has_comma:
        after += 1
    number = source.text.count("\n", 0, start) + 1
    last = source.text.count("\n", 0, end) + 1
    tail = source.text[after : source.line_start(last + 1)].strip()
    if not source.text[source.line_start(number) : start].strip() and (not tail or tail.startswith("#")):
        source.replace(source.line_start(number), source.line_start(last + 1), "")
        return
    if has_comma:
        rest = source.text[after:close]
        source.replace(start, after + len(rest) - len(rest.lstrip(" \t")), "")
        return
    before = source.text[:start].rstrip()
    if before.endswith(","):
        start = len(before) - 1
    source.replace(start, end, "")


def argument(call: ast.Call, name: str) -> ast.keyword | None:
    """The keyword argument ``name`` of ``call``, if it is given as such."""
    return next((item for item in call.keywords if item.arg == name), None)
