"""Integrations listed in ``sentry_sdk.init``, with their arguments."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.fixers.pycalls import add_arguments, argument
from sentry_audit.fixers.pyimports import add_import
from sentry_audit.fixing import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.fixers.pysource import Source
    from sentry_audit.fixing import Case
    from sentry_audit.python.inits import InitCall


def list_integrations(case: Case, source: Source, init: InitCall, wanted: Mapping[str, str]) -> list[str] | Refusal:
    """List each integration class of ``wanted`` (full name → arguments), or give a listed one its arguments.

    Returns what init is still to be given as arguments; or why not, where the list is made elsewhere.
    """
    if init.open:
        return Refusal(reason="init is given options that were not followed")
    given = argument(init.call, "integrations")
    expression = given.value if given is not None else None
    if expression is None and "integrations" in init.options:
        return Refusal(reason="the integrations are given outside the call of init: add them there")
    if isinstance(expression, ast.Name):
        expression = _list_of(init, expression.id)
    if given is not None and not isinstance(expression, ast.List):
        return Refusal(reason="integrations is no list that stands in the file: add the integration there")
    elements = list(expression.elts) if isinstance(expression, ast.List) else []
    fresh: list[str] = []
    for dotted, arguments in wanted.items():
        home, _, name = dotted.rpartition(".")
        listed = next(
            (
                item
                for item in elements
                if source.module.qualify(item.func if isinstance(item, ast.Call) else item) == dotted
            ),
            None,
        )
        if isinstance(listed, ast.Call):
            if arguments:
                add_arguments(source, listed, [arguments])
            continue
        if listed is not None:
            source.insert(source.end(listed), f"({arguments})")
            continue
        fresh.append(f"{add_import(source, case.program, home, name, init.call)}({arguments})")
    if not fresh:
        return []
    if isinstance(expression, ast.List):
        _append(source, expression, fresh)
        return []
    return [f"integrations=[{', '.join(fresh)}]"]


def _list_of(init: InitCall, name: str) -> ast.expr | None:
    """The one list that ``name`` is bound to where init is called."""
    around = init.function or init.module.tree
    found = [
        node.value
        for node in ast.walk(around)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == name
    ]
    return found[0] if len(found) == 1 else None


def _append(source: Source, node: ast.List, fresh: list[str]) -> None:
    close = source.end(node) - 1
    if not node.elts:
        source.insert(close, ", ".join(fresh))
        return
    last = node.elts[-1]
    end = source.end(last)
    comma = source.text[end:close].lstrip().startswith(",")
    if last.lineno > node.lineno and node.end_lineno != last.end_lineno:
        assert last.end_lineno is not None
        indent = source.indent(last.lineno)
        if not comma:
            source.insert(end, ",")
        source.insert_lines(last.end_lineno + 1, [f"{indent}{item}," for item in fresh])
        return
    text = ", ".join(fresh)
    whole = source.line(node.lineno)
    if node.lineno == node.end_lineno and not comma and len(whole) + len(text) + 2 > source.length:
        indent = source.indent(node.lineno)
        rows = [source.source(item) for item in node.elts]
        inner = "".join(f"\n{indent}{source.unit}{row}," for row in [*rows, *fresh])
        source.replace(source.start(node) + 1, close, f"{inner}\n{indent}")
        return
    source.insert(end, f", {text}")
