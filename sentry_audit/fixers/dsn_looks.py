"""Where a condition looks at the DSN: what the DSN is called there, and which conditions keep real DSNs out."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.python.dsn_guards import Condition
from sentry_audit.python.module import FunctionNode
from sentry_audit.python.results import Frame, Known, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.python.evaluation import Evaluator
    from sentry_audit.python.module import Module
    from sentry_audit.python.values import Resolver, Scope


class Unclear(Exception):  # noqa: N818 - leaves an edit from any depth, with why it is left to a person
    """A guard is put together in a way that no mechanical edit is clearly right for."""


class Look(Struct, frozen=True):
    """One place of the program: its scope, and the names that the DSN has there besides those that can be followed."""

    resolver: Resolver
    known: Known
    scope: Scope
    called: frozenset[str] = frozenset()

    @property
    def module(self) -> Module:
        """The file."""
        return self.scope.module

    def _frame(self, dsn: Result) -> Frame:
        return Frame(self.scope, dict.fromkeys(self.called, dsn), 1 if self.called else 0)

    def condition(self, test: ast.expr, wanted: bool) -> Condition:
        """``test``, which must be ``wanted``, to be asked about DSNs."""

        def ask(evaluator: Evaluator) -> Result:
            found = evaluator.truth(test, self._frame(evaluator.dsn))
            return Result(bool(found.value) is wanted, found.dsn) if found.known else found

        return Condition(self.resolver, self.known, ask)

    def rejects(self, test: ast.expr, wanted: bool) -> bool:
        """Whether a condition keeps real DSNs out."""
        return not self.condition(test, wanted).verdict().keeps_real

    def depends(self, test: ast.expr) -> bool:
        """Whether a condition asks about the DSN at all."""
        condition = self.condition(test, True)
        condition.verdict()
        return condition.depends or condition.about

    def subject(self, test: ast.expr) -> ast.expr | None:
        """The part of a condition that is the DSN itself."""
        from sentry_audit.python.evaluation import Evaluator

        evaluator = Evaluator(self.resolver, self.known, Result("", True))
        for node in ast.walk(test):
            if isinstance(node, ast.Name) and node.id in self.called:
                return node
            if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript):
                if evaluator.is_dsn(node, self._frame(evaluator.dsn)):
                    return node
        return None


def leaves(body: list[ast.stmt]) -> bool:
    """Whether statements end in an answer that means no: ``return False``, ``return None``, ``raise``, an exit."""
    last = body[-1]
    if isinstance(last, ast.Return):
        return last.value is None or (isinstance(last.value, ast.Constant) and not last.value.value)
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
        return ast.unparse(last.value.func) in {"sys.exit", "exit", "quit"}
    empty = isinstance(last, ast.Assign) and isinstance(last.value, ast.Constant) and not last.value.value
    return empty or isinstance(last, ast.Raise | ast.Continue | ast.Break)


def decisions(function: FunctionNode) -> Iterator[tuple[ast.expr, bool]]:
    """(condition, what it must be) of the statements in a function, those of functions inside it left out."""
    stack: list[ast.AST] = list(reversed(function.body))
    while stack:
        node = stack.pop()
        if isinstance(node, FunctionNode | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.If):
            said = isinstance(last := node.body[-1], ast.Return) and isinstance(last.value, ast.Constant)
            if leaves(node.body):
                yield node.test, False
            elif said:
                yield node.test, True
        elif isinstance(node, ast.Assert):
            yield node.test, True
        elif isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
            yield node.value, True
        stack += reversed(list(ast.iter_child_nodes(node)))


def given(look: Look, function: FunctionNode, call: ast.Call) -> frozenset[str]:
    """The parameters of a function that a call gives the DSN, or what was made of it."""
    names = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
    pairs = [*zip(names, call.args, strict=False), *((item.arg or "", item.value) for item in call.keywords)]
    return frozenset(name for name, value in pairs if look.subject(value) is not None)
