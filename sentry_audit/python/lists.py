"""The strings in a list of settings: written out, spread, added together, or the default of a variable."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.python.paths import deployed
from sentry_audit.python.truth import guarded
from sentry_audit.python.values import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.python.module import Module
    from sentry_audit.python.values import Resolver, Value

_SEQUENCES = frozenset({"list", "tuple", "set", "sorted", "frozenset"})
_DEPTH = 8


class Names(Struct, frozen=True):
    """The strings of a list, in lower case; ``unknown`` says which part of it was not followed."""

    found: frozenset[str] = frozenset()
    unknown: str = ""

    def __add__(self, other: Names) -> Names:
        return Names(self.found | other.found, self.unknown or other.unknown)


def listed(
    resolver: Resolver, node: ast.expr, scope: Scope, known: Mapping[str, frozenset[str]], depth: int = 0
) -> Names:
    """The strings that the list ``node`` ends in. ``known`` are lists of packages, by their dotted names."""
    shown = scope.module.source(node, 60)
    if depth > _DEPTH:
        return Names(unknown=f"{shown} was not followed")
    match node:
        case ast.Constant(value=str() as text):
            return Names(frozenset(part.strip().lower() for part in text.split(",") if part.strip()))
        case ast.List() | ast.Tuple() | ast.Set():
            return sum((listed(resolver, item, scope, known, depth + 1) for item in node.elts), Names())
        case ast.Starred():
            return listed(resolver, node.value, scope, known, depth + 1)
        case ast.BinOp(op=ast.Add() | ast.BitOr()):
            left, right = (listed(resolver, item, scope, known, depth + 1) for item in (node.left, node.right))
            return left + right
        case ast.Call() if scope.module.qualify(node.func) in _SEQUENCES and len(node.args) == 1:
            return listed(resolver, node.args[0], scope, known, depth + 1)
        case ast.Name() | ast.Attribute() if scope.module.qualify(node) in known:
            return Names(known[scope.module.qualify(node)])
        case ast.Name() if node.id not in scope.bindings:
            defined = resolver.program.define(scope.module, node.id)
            if defined is not None:
                return assigned(resolver, *defined, known, depth)
    found = Names()
    for leaf in resolver.value(node, scope).leaves():
        found += _ended(resolver, leaf, scope, shown, known, depth)
    return found


def assigned(
    resolver: Resolver, owner: Module, statements: list[ast.stmt], known: Mapping[str, frozenset[str]], depth: int = 0
) -> Names:
    """What the statements that bind a name put into it, ``+=`` included."""
    found = Names()
    for statement in statements:
        value = getattr(statement, "value", None)
        if isinstance(value, ast.expr) and guarded(resolver, statement, Scope(owner)) is not False:
            names = listed(resolver, value, Scope(owner), known, depth + 1)
            found = found + names if isinstance(statement, ast.AugAssign) else names
    return found


def _ended(
    resolver: Resolver, leaf: Value, scope: Scope, shown: str, known: Mapping[str, frozenset[str]], depth: int
) -> Names:
    if isinstance(leaf.literal, ast.expr):
        return listed(resolver, leaf.literal, home(leaf, resolver, scope), known, depth + 1)
    if isinstance(leaf.literal, str):
        return Names(frozenset({leaf.literal.lower()}))
    if leaf.kind != "env":
        return Names(unknown=f"{shown} was not followed{f': {leaf.reason}' if leaf.reason else ''}")
    found = Names(unknown=_given(resolver, leaf.names))
    for item in leaf.default.leaves() if leaf.default else ():
        found += _ended(resolver, item, scope, shown, known, depth + 1)
    return found


def _given(resolver: Resolver, names: tuple[str, ...]) -> str:
    """What may set a variable: a file that is no code and mentions it. Without one, its default counts."""
    for path in resolver.program.files.search(names) if names else ():
        if not path.endswith((".py", ".md", ".rst", ".txt")) and deployed(path):
            return f"{path} mentions {names[0]}, and what it sets was not followed"
    return ""


def home(value: Value, resolver: Resolver, scope: Scope) -> Scope:
    """The scope of the file in which a value that was followed stands."""
    path = value.trail[-1].path if value.trail else None
    module = resolver.program.module(path) if path else None
    return Scope(module) if module is not None else scope
