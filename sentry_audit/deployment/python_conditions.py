"""What the conditions of a Python deploy script say: whether they hold, and which environment is under them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import canonical, is_parameter
from sentry_audit.deployment.python_texts import resolve

if TYPE_CHECKING:
    from sentry_audit.deployment.environments import Hint
    from sentry_audit.deployment.python_texts import Scope


def taken(body: list[ast.stmt], scopes: list[Scope]) -> list[ast.stmt]:
    """The statements of a body with those conditions decided that are known."""
    found: list[ast.stmt] = []
    for statement in body:
        holds = outcome(statement.test, scopes) if isinstance(statement, ast.If) else None
        if isinstance(statement, ast.If) and holds is not None:
            found += taken(statement.body if holds else statement.orelse, scopes)
        else:
            found.append(statement)
    return found


def outcome(test: ast.expr, scopes: list[Scope]) -> bool | None:
    """Whether a comparison of known texts holds."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    left, right = resolve(test.left, scopes), resolve(test.comparators[0], scopes)
    sign = test.ops[0]
    if not isinstance(left, ast.Constant) or right is None:
        return None
    if isinstance(sign, ast.Eq | ast.NotEq) and isinstance(right, ast.Constant):
        return (left.value == right.value) is isinstance(sign, ast.Eq)
    if isinstance(sign, ast.In | ast.NotIn) and isinstance(right, ast.List | ast.Tuple | ast.Set):
        if all(isinstance(item, ast.Constant) for item in right.elts):
            return (left.value in [item.value for item in right.elts if isinstance(item, ast.Constant)]) is isinstance(
                sign, ast.In
            )
    return None


def hints_of(test: ast.expr) -> list[Hint]:
    """``args.env == "staging"`` tells the environment of what stands under it."""
    match test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[ast.Constant(value=str() as value)]):
            name = ast.unparse(left).rpartition(".")[2]
            if not is_parameter(name) and canonical(value) not in {"production", "staging", "development"}:
                return []
            return [(value, f"the condition {ast.unparse(test)[:60]}")]
    return []
