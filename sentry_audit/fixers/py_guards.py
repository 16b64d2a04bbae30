"""The guard between a real DSN and ``sentry_sdk.init``: it is left to ask whether a DSN is set."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.facts import DsnGuard
from sentry_audit.fixers._code import analysed
from sentry_audit.fixers.dsn_looks import Look, Unclear, leaves
from sentry_audit.fixers.softening import Softening
from sentry_audit.fixing import Change, Refusal
from sentry_audit.python.dsn_guards import DsnGuards, _fields, _passed, _validates
from sentry_audit.python.module import FunctionNode
from sentry_audit.python.truth import guards
from sentry_audit.python.values import ClassRef, Scope, Value

if TYPE_CHECKING:
    from sentry_audit.fixing import Case
    from sentry_audit.python.analysis import Reached
    from sentry_audit.python.module import Module
    from sentry_audit.python.reach import Step

_CHECKERS = frozenset({"AfterValidator", "BeforeValidator", "PlainValidator"})


def fix(case: Case) -> Change | Refusal:
    """Leave of each guard of the finding only whether a DSN is set; what else it asks stays."""
    facts = [fact for fact in case.bad if isinstance(fact, DsnGuard)]
    places = {(here.path, here.line) for fact in facts for here in fact.evidence}
    why = ""
    for item in analysed(case).reached:
        opening = _Opening(case, item, places)
        try:
            opening.run()
        except Unclear as error:
            why = why or str(error)
            continue
        edits = opening.softening.edits()
        if edits:
            where = ", ".join(edit.path for edit in edits)
            return Change(
                summary=f"will let every DSN that is set through the guard in {where}", safety="review",
                edits=tuple(edits),
            )  # fmt: skip
    expression = facts[0].expression if facts else "the guard"
    return Refusal(
        reason=why or f"{expression} is put together in a way that was not followed: ask only whether a DSN is set",
        commands=("if dsn:  # the SDK judges it",),
    )


class _Opening:
    """The guards of one init call that stand at ``places``, softened."""

    def __init__(self, case: Case, item: Reached, places: set[tuple[str | None, int | None]]) -> None:
        self.resolver = analysed(case).resolver
        self.item = item
        self.places = places
        self.guards = DsnGuards(self.resolver, item)
        argument = item.init.options.get("dsn")
        plain = argument is not None and isinstance(argument[0], ast.Name | ast.Attribute)
        self.softening = Softening(ast.unparse(argument[0]) if argument is not None and plain else "")

    def run(self) -> None:
        """Soften all of them. Raises Unclear."""
        for step, bindings in zip(self.item.route.steps, self.item.bindings, strict=True):
            scope = Scope(step.module, bindings, step.function)
            for test, wanted in guards(step.module, step.node):
                look = self._look(scope)
                condition = look.condition(test, wanted)
                if self._here(step.module, test) and not condition.verdict().keeps_real:
                    if condition.decided is None or not self._decided(look, *condition.decided):
                        self.softening.statement(look, test, wanted)
            self._passed(step, scope)
        if self.guards.value is not None:
            self._argument()
            self._validators()

    def _look(self, scope: Scope) -> Look:
        return Look(self.resolver, self.guards.known, scope)

    def _here(self, module: Module, node: ast.AST) -> bool:
        return (module.path, getattr(node, "lineno", None)) in self.places

    def _passed(self, step: Step, scope: Scope) -> None:
        look = self._look(scope)
        for statement in _passed(step):
            if not self._here(step.module, statement):
                continue
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                self.softening._elsewhere(look, statement.value, True, 0)
                continue
            for node in ast.walk(statement):
                if isinstance(node, ast.If) and leaves(node.body) and look.rejects(node.test, False):
                    self.softening.statement(look, node.test, False)
                elif isinstance(node, ast.Assert) and look.rejects(node.test, True):
                    self.softening.statement(look, node.test, True)

    def _argument(self) -> None:
        """``dsn=value if good(value) else ""``, and the condition under which its name is given something else."""
        expression, scope = self.item.init.options["dsn"]
        bindings = self.item.bindings[0] if self.item.bindings else {}
        same = scope.function is self.item.init.function
        look = self._look(Scope(scope.module, bindings, scope.function) if same else scope)
        if not self._here(scope.module, expression):
            return
        if isinstance(expression, ast.IfExp | ast.Call) and look.rejects(expression, True):
            self.softening.statement(look, expression, True)
        for path, line in self.places:
            for node in scope.module.nodes if path == scope.module.path else ():
                if isinstance(node, ast.If) and node.test.lineno == line:
                    self._decided(look, scope.module, node.test)

    def _decided(self, look: Look, module: Module, test: ast.expr) -> bool:
        """Soften the condition under which the name that is asked is given a value; False where it is none."""
        parent = module.parents.get(test)
        if module is not look.module or not isinstance(parent, ast.If):
            return False
        wanted = not leaves(parent.body)
        if not look.rejects(test, wanted):
            return False
        self.softening.statement(look, test, wanted)
        return True

    # --- the settings field -------------------------------------------------------------------------

    def _validators(self) -> None:
        assert self.guards.value is not None
        for module, owner, field, statement in _fields(self.resolver, self.guards.value):
            for call in (item for item in ast.walk(statement) if isinstance(item, ast.Call)):
                self._declared(module, call)
            for function in (item for item in owner.body if isinstance(item, FunctionNode)):
                kind = _validates(function, field)
                if kind and self._here(module, function):
                    self._validator(module, owner, function, kind)

    def _validator(self, module: Module, owner: ast.ClassDef, function: FunctionNode, kind: str) -> None:
        bound = {
            "self": Value("instance", cls=ClassRef(module, owner)),
            "cls": Value("class", cls=ClassRef(module, owner)),
        }
        names = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
        static = any(ast.unparse(item) == "staticmethod" for item in function.decorator_list)
        called = frozenset(names[0 if static else 1 :][:1]) if kind == "field" else frozenset[str]()
        look = Look(self.resolver, self.guards.known, Scope(module, bound, function), called)
        self.softening._body(look, function, 0)
        self.softening.empty(look, function)

    def _declared(self, module: Module, call: ast.Call) -> None:
        """``Field(pattern="…")`` and ``AfterValidator(check)`` in the declaration of the field."""
        if module.qualify(call.func).rpartition(".")[2] in _CHECKERS and call.args:
            found = self.resolver.value(call.args[0], Scope(module))
            if found.kind == "function" and found.function is not None and found.module is not None:
                if self._here(found.module, found.function):
                    parameters = [item.arg for item in (*found.function.args.posonlyargs, *found.function.args.args)]
                    look = self._look(Scope(module))
                    self.softening.helper(look, found.module, found.function, frozenset(parameters[:1]))
        if self._here(module, call):
            for keyword in call.keywords:
                if keyword.arg in {"pattern", "regex"}:
                    self.softening.without_argument(module, call, keyword)


ECOSYSTEM = "pypi"
FIXERS = {"frontend-dsn-guard": fix}
