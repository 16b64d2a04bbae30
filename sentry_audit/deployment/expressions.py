"""GitHub's ``${{ … }}``: what is known is put in, the rest stays visible as ``$secrets.NAME``, ``$inputs.name``.

Semantics: docs.github.com/actions/reference/workflows-and-actions/expressions.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

from sentry_audit.scanners.nodes import at, children, items, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_NAME = re.compile(r"^[\w.-]+$")
_CHOICE = re.compile(r"&&\s*'([^']*)'\s*\|\|\s*'([^']*)'$")
_DEFAULT = re.compile(r"^([\w.-]+)\s*\|\|\s*'[^']*'$")
_FORMAT = re.compile(r"^(?:(.+?)\s*&&\s*)?format\('([^'{}]*)\{0\}([^'{}]*)',\s*([\w.-]+)\)(?:\s*\|\|\s*'([^']*)')?$")
_TERM = re.compile(r"([\w.-]+)\s*(==|!=)\s*'([^']*)'")
_LIMIT = 12

Context = dict[str, str]


def fill(text: str, context: Mapping[str, str]) -> str:
    """``text`` with every expression that ``context`` decides put in, the others as one word each."""

    def value(match: re.Match[str]) -> str:
        inner = match[1]
        if default := _DEFAULT.match(inner):
            inner = default[1]
        if inner in context:
            return context[inner]
        if _NAME.match(inner):
            return f"${inner}"
        formatted = _FORMAT.match(inner)
        if formatted and (decided := not formatted[1] or _decide(formatted[1], context)) is not None:
            argument = context.get(formatted[4], f"${formatted[4]}")
            return f"{formatted[2]}{argument}{formatted[3]}" if decided else formatted[5] or ""
        choice = _CHOICE.search(inner)
        if choice and (decided := _decide(inner[: choice.start()], context)) is not None:
            return choice[1] if decided else choice[2]
        return "$(" + re.sub(r"[^\w.]+", "_", inner).strip("_") + ")"

    return _EXPRESSION.sub(value, text)


def _decide(condition: str, context: Mapping[str, str]) -> bool | None:
    term = _TERM.search(condition)
    if term is None or "&&" in condition or "||" in condition:
        return None
    known = context.get(term[1])
    return None if known is None else (known == term[3]) == (term[2] == "==")


def holds(condition: str, context: Mapping[str, str]) -> bool:
    """False only if a job's or step's ``if`` cannot hold in ``context``."""
    inner = _EXPRESSION.sub(lambda match: match[1], condition).strip()
    if inner == "false":
        return False
    if "||" in inner:
        return any(holds(part, context) for part in inner.split("||"))
    for term in _TERM.finditer(inner):
        known = context.get(term[1])
        if known is not None and not known.startswith("$") and (known == term[3]) != (term[2] == "=="):
            return False
    return True


def combinations(strategy: Any, context: Mapping[str, str]) -> list[Context]:
    """What ``matrix.*`` is in each run of a job; one empty context for a job without a matrix (or a computed one)."""
    matrix = children(at(strategy, "matrix"))
    axes: list[list[Context]] = []
    for name, node in matrix.items():
        if name not in {"include", "exclude"} and items(node):
            axes.append([found for item in items(node) for found in [_entries(f"matrix.{name}", item, context)]])
    runs = [dict(pair for part in parts for pair in part.items()) for parts in itertools.product(*axes)]
    extra = [_entries("matrix", item, context) for item in items(matrix.get("include"))]
    if not axes:
        runs = extra
    else:
        for more in extra:
            fitting = [run for run in runs if all(run.get(key, value) == value for key, value in more.items())]
            for run in fitting:
                run.update(more)
            runs += [] if fitting else [more]
    return runs[:_LIMIT] or [{}]


def _entries(name: str, node: Any, context: Mapping[str, str]) -> Context:
    fields = children(node)
    if not fields:
        return {name: fill(text_of(node), context)}
    found: Context = {}
    for key, value in fields.items():
        found.update(_entries(f"{name}.{key}", value, context))
    return found
