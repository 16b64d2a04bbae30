"""Imports that nothing uses once code was taken out."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.fixers._source import Source, Splice
    from sentry_audit.python.module import Module


def unused_imports(module: Module, source: Source, gone: Sequence[ast.AST]) -> Iterator[Splice]:
    """What takes out the imports whose names only the nodes ``gone`` used."""
    inside = {id(part) for node in gone for part in ast.walk(node)}
    before = {node.id for node in module.nodes if isinstance(node, ast.Name) and id(node) in inside}
    after = {node.id for node in module.nodes if isinstance(node, ast.Name) and id(node) not in inside}
    idle = before - after
    exported = {
        part.value for node in module.nodes if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for part in ast.walk(node) if isinstance(part, ast.Constant)
    }  # fmt: skip
    for statement in module.tree.body:
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            continue
        names = [(alias.asname or alias.name).partition(".")[0] for alias in statement.names]
        dropped = [
            alias for alias, name in zip(statement.names, names, strict=True) if name in idle and name not in exported
        ]
        if dropped and len(dropped) == len(names):
            yield (*source.lines_of(statement), "")
        elif dropped:
            yield from _without(source, statement, dropped)


def _without(source: Source, statement: ast.Import | ast.ImportFrom, dropped: Sequence[ast.alias]) -> Iterator[Splice]:
    spans = [source.span(alias) for alias in statement.names]
    kept = [span for span, alias in zip(spans, statement.names, strict=True) if alias not in dropped]
    if "\n" not in source.text[spans[0][0] : spans[-1][1]]:
        yield spans[0][0], spans[-1][1], ", ".join(source.text[start:end] for start, end in kept)
        return
    for alias in dropped:
        yield source.without(source.span(alias), spans, (spans[0][0], spans[-1][1]))
