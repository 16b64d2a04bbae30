"""Hooks that drop every event because they return nothing: they return the event."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.facts import Hook
from sentry_audit.fixers._code import edit, node_at, source_of
from sentry_audit.fixing import Change, Refusal
from sentry_audit.python.truth import returns

if TYPE_CHECKING:
    from sentry_audit.fixing import Case


def keep_events(case: Case) -> Change | Refusal:
    """``return event`` at the end of a hook that has no return statement at all."""
    fact = next((item for item in case.bad if isinstance(item, Hook)), None)
    if fact is None or len(fact.evidence) < 2:
        return Refusal(reason="the hook was not found")
    place = fact.evidence[-1]
    module = case.program.module(place.path) if place.path else None
    found = node_at(module, place, ast.FunctionDef, ast.AsyncFunctionDef) if module is not None else None
    if module is None or found is None:
        return Refusal(reason=f"{place}: {fact.problem}; read the key with .get(), or return the event")
    if not isinstance(found, ast.FunctionDef):
        return Refusal(
            reason=f"{place}: {fact.problem}; the SDK calls it without awaiting it, so write it as a plain function"
        )
    generator = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(found))
    if returns(found) or generator:
        return Refusal(reason=f"{place}: {fact.problem}; which of its paths are meant to drop events is not certain")
    arguments = [item.arg for item in (*found.args.posonlyargs, *found.args.args)]
    names = arguments[1:] if arguments[:1] in (["self"], ["cls"]) else arguments
    last = found.body[-1]
    if not names or last.lineno == found.lineno:
        return Refusal(reason=f"{place}: {fact.problem}; it is written on one line, or takes no event")
    if _rebound(found, names[0]):
        return Refusal(reason=f"{place}: {fact.problem}; {names[0]} is given another value in it")
    source = source_of(module)
    line = f"{source.indent(last)}return {names[0]}"
    if isinstance(last, ast.Pass):
        start, end = source.span(last)
        splice = (start, end, f"return {names[0]}")
    else:
        after = source.after(last)
        closed = source.text[:after].endswith(("\n", "\r"))
        splice = (after, after, f"{line}{source.end}" if closed else f"{source.end}{line}")
    return Change(
        summary=f"will return the event from {found.name} in {module.path}",
        edits=(edit(source, module.path, [splice]),),
    )


def _rebound(function: ast.FunctionDef, name: str) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load)
        for node in ast.walk(function)
    )


FIXERS = {"hooks-keep-events": keep_events}
ECOSYSTEM = "pypi"
