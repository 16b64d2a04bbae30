"""Which conditions in JavaScript hold in what is built for production."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.javascript.conditions import guards
from sentry_audit.javascript.syntax import text_of
from sentry_audit.policies.expressions import WRAPPED

if TYPE_CHECKING:
    from sentry_audit.javascript.syntax import Source

_DEPTH = 12
_DEV = re.compile(
    r"^(is|in|__)?_?(dev|development|local|localhost|test)(_?(mode|env|server|build|elopment))?(__)?$", re.IGNORECASE
)
_PROD = re.compile(r"^(is|in)?_?(prod|production)(_?(mode|env|build))?$", re.IGNORECASE)
_COMPARED = re.compile(r"(NODE_ENV|MODE)\b[\"'\]]*\s*(===?|!==?)\s*[\"'`](\w+)")


def possible(node: Any, source: Source, within: Any = None) -> bool:
    """Whether the conditions around a node, up to ``within``, can hold in production."""
    for condition, wanted in guards(node):
        if within is not None and not within.start_byte <= condition.start_byte < within.end_byte:
            continue
        truth = production(condition, source)
        if truth is not None and truth is not wanted:
            return False
    return True


def production(node: Any, source: Source, depth: int = 0) -> bool | None:
    """Whether a condition holds in what is built for production; None if it says nothing about that."""
    if node is None or depth > _DEPTH:
        return None
    if node.type in WRAPPED:
        return production(node.named_children[0], source, depth)
    text = text_of(node)
    if node.type == "unary_expression" and text.startswith("!"):
        inner = production(node.child_by_field_name("argument"), source, depth + 1)
        return None if inner is None else not inner
    if node.type == "binary_expression":
        operator = text_of(node.child_by_field_name("operator"))
        if operator in {"&&", "||"}:
            sides = [production(node.child_by_field_name(side), source, depth + 1) for side in ("left", "right")]
            decisive = operator == "||"
            if decisive in sides:
                return decisive
            return None if None in sides else not decisive
        compared = _COMPARED.search(text)
        if compared and compared[3] in {"production", "development", "test"}:
            return (compared[3] == "production") is not compared[2].startswith("!")
        return None
    if text in {"import.meta.env.PROD", "import.meta.env.DEV"}:
        return text.endswith("PROD")
    name = text.rpartition(".")[2]
    if node.type == "identifier" and name in source.constants:
        known = production(source.constants[name], source, depth + 1)
        if known is not None:
            return known
    if node.type in {"identifier", "member_expression"}:
        return True if _PROD.match(name) else False if _DEV.match(name) else None
    return None
