"""What a variable's type adds to its value: defaults of optional attributes, sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sentry_audit.deployment import terraform_functions as functions
from sentry_audit.deployment.terraform_data import List, Map, Set, Unknown, whole
from sentry_audit.deployment.terraform_values import Frame, parts

if TYPE_CHECKING:
    from sentry_audit.deployment.terraform_data import Value
    from sentry_audit.deployment.terraform_syntax import Expr

_DEEP = 8


def conform(value: Value, kind: Expr, frame: Frame) -> Value:
    """``value`` as a variable of the type ``kind`` holds it."""
    if "optional(" not in kind.text and "set(" not in kind.text:
        return value
    return _conform(value, kind.tree, Frame(frame.scope, kind.source), 0)


def _conform(value: Value, tree: Any, frame: Frame, depth: int) -> Value:
    name, arguments = _called(tree)
    if not arguments or depth > _DEEP or not frame.scope.budget.spend():
        return value
    inner = arguments[0]
    found: Value
    match name:
        case "optional":
            if value is None and len(arguments) > 1:
                return frame.of(_expression(arguments[1], frame))
            return value if value is None else _conform(value, inner, frame, depth + 1)
        case "set" | "list" if isinstance(value, list):
            found = Set() if name == "set" else List()
            found += [_conform(item, inner, frame, depth + 1) for item in value]
        case "map" if isinstance(value, dict):
            found = Map({key: _conform(item, inner, frame, depth + 1) for key, item in value.items()})
        case "object" if isinstance(value, dict):
            found = _object(value, inner, frame, depth)
        case _:
            return value
    found.missing = tuple(getattr(value, "missing", ()))
    return functions.to_set(found) if name == "set" else found


def _object(value: Value, tree: Any, frame: Frame, depth: int) -> Value:
    found = Map()
    inner = parts(tree)
    for element in parts(inner[0]) if inner and inner[0].data == "object" else ():
        if element.data == "object_elem":
            key_tree, kind = parts(element)[0], parts(element)[-1]
            key = "".join(str(token) for token in key_tree.scan_values(lambda _: True)).strip('"')
            there = value.get(key, None if whole(value) else Unknown("${…}"))
            found[key] = _conform(there, kind, frame, depth + 1)
    return found or value


def _called(tree: Any) -> tuple[str, list[Any]]:
    """The name and the arguments of ``map(string)``."""
    while tree.data == "expr_term" and parts(tree):
        tree = parts(tree)[0]
    if tree.data != "function_call":
        return "", []
    inner = parts(tree)
    given = next((item for item in inner if item.data == "arguments"), None)
    name = "".join(str(item) for item in inner[0].children)
    return name, parts(given) if given is not None else []


def _expression(tree: Any, frame: Frame) -> Expr:
    from sentry_audit.deployment.terraform_syntax import Expr

    return Expr(tree, frame.source)
