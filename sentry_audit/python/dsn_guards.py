"""The conditions between a DSN and ``sentry_sdk.init``, asked about real DSNs.

They stand in front of the call, in its argument, and in the validators of the settings field that holds the DSN.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.guard import SAMPLES, Verdict, judge, pattern
from sentry_audit.model import Evidence
from sentry_audit.python.evaluated_calls import run
from sentry_audit.python.evaluation import Evaluator, assignments
from sentry_audit.python.execution import execute
from sentry_audit.python.module import FunctionNode
from sentry_audit.python.results import OPEN, Frame, Known, Raised, Result
from sentry_audit.python.truth import guards
from sentry_audit.python.values import ClassRef, Scope, Value, place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sentry_audit.facts import DsnGuard
    from sentry_audit.python.analysis import Reached
    from sentry_audit.python.module import Module
    from sentry_audit.python.reach import Step
    from sentry_audit.python.values import Resolver

_COMPOUND = (ast.If, ast.For, ast.Try, ast.With, ast.Match, ast.Assert)
_LEAVES = (ast.Return, ast.Raise, ast.Assert)
_EXITS = ("sys.exit", "exit", "quit")
_CHECKERS = frozenset({"AfterValidator", "BeforeValidator", "PlainValidator"})
#: The SDK reads it by itself when init is given None.
_OWN = "SENTRY_DSN"


class Condition:
    """Something that lets init run or not. ``about`` tells, once it was asked, whether it looks at the DSN's text."""

    def __init__(self, resolver: Resolver, known: Known, ask: Callable[[Evaluator], Result]) -> None:
        self.resolver = resolver
        self.known = known
        self.ask = ask
        self.about = False
        self.depends = False
        self.decided: tuple[Module, ast.expr] | None = None
        self._verdict: Verdict | None = None

    def __call__(self, dsn: str) -> bool | None:
        """Whether init runs with ``dsn``; what has nothing to do with the DSN is taken to hold."""
        found = self.given(Result(dsn, True))
        self.depends |= found.dsn
        if found.known:
            return bool(found.value)
        return None if found.dsn else True

    def verdict(self) -> Verdict:
        """What the condition does with each kind of DSN; asked once, and only about one if the DSN does not matter."""
        if self._verdict is None:
            first = self(SAMPLES[0][1])
            self._verdict = judge(self) if self.depends or self.about or first is None else Verdict()
        return self._verdict

    def given(self, dsn: Result) -> Result:
        """The answer for any value of the DSN."""
        evaluator = Evaluator(self.resolver, self.known, dsn)
        try:
            found = self.ask(evaluator)
        except Raised:
            found = Result(False, True)
        except RecursionError:
            found = Result(OPEN, True)
        self.about |= evaluator.about and dsn.known
        self.decided = evaluator.decided or self.decided
        return found

    @property
    def blocks(self) -> bool:
        """Whether it keeps init from running whatever the DSN is: then the DSN is not the reason."""
        return self.given(Result(OPEN, True)).value is False


class DsnGuards:
    """All guards of one init call that a component reaches."""

    def __init__(self, resolver: Resolver, item: Reached) -> None:
        self.resolver = resolver
        self.item = item
        self.value = item.option("dsn", resolver)
        self.known = self._known()
        self._tests: list[Condition] = []
        self._conditions: dict[tuple[int, bool], Condition] = {}

    def _known(self) -> Known:
        init = self.item.init
        if self.value is None:
            return Known(frozenset() if init.open else frozenset({_OWN}))
        names = {name for leaf in self.value.leaves() for name in leaf.names}
        expression, scope = init.options["dsn"]
        if not names and isinstance(expression, ast.Name):
            found = assignments(scope.function, expression) if scope.function is not None else []
            defined = self.resolver.program.define(scope.module, expression.id)
            for statement in found or (defined[1] if defined is not None else ()):
                if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
                    other = self.resolver.value(statement.value, scope)
                    names |= {name for leaf in other.leaves() for name in leaf.names}
        literal = all(leaf.kind == "literal" for leaf in self.value.leaves())
        text = ast.unparse(expression) if isinstance(expression, ast.Name | ast.Attribute) and not literal else ""
        return Known(frozenset(names), "" if names else text, scope.module)

    def condition(self, scope: Scope, test: ast.expr, wanted: bool) -> Condition:
        """``test``, which stands in ``scope`` and must be ``wanted``."""

        def ask(evaluator: Evaluator) -> Result:
            found = evaluator.truth(test, Frame(scope))
            return Result(bool(found.value) is wanted, found.dsn) if found.known else found

        return Condition(self.resolver, self.known, ask)

    def looks(self, scope: Scope, test: ast.expr, wanted: bool) -> Verdict | None:
        """What ``test`` does with real DSNs, if it looks at the text of the DSN at all."""
        verdict, about, _ = self._asked(scope, test, wanted)
        return verdict if about else None

    def lets_through(self, scope: Scope, test: ast.expr, wanted: bool) -> bool:
        """Whether ``test`` asks only for a DSN of some sort, and so holds for every real one."""
        verdict, _, depends = self._asked(scope, test, wanted)
        return depends and not verdict.undecided and not verdict.rejects

    def _asked(self, scope: Scope, test: ast.expr, wanted: bool) -> tuple[Verdict, bool, bool]:
        condition = self.condition(scope, test, wanted)
        if not self.known.names and not self.known.text:
            return Verdict(), False, False
        key = (id(test), wanted)
        condition = self._conditions.setdefault(key, condition)
        return condition.verdict(), condition.about, condition.depends

    def facts(self) -> Iterator[DsnGuard]:
        """One fact for each guard that looks at the DSN."""
        if not self.known.names and not self.known.text:
            return
        for step, bindings in zip(self.item.route.steps, self.item.bindings, strict=True):
            scope = Scope(step.module, bindings, step.function)
            for test, wanted in guards(step.module, step.node):
                if "__name__" not in ast.dump(test):
                    condition = self.condition(scope, test, wanted)
                    self._tests.append(condition)
                    yield from self._fact(condition, step.module, test)
            for statement in _passed(step):
                if not self._names_dsn(statement):
                    continue
                condition = Condition(self.resolver, self.known, _falls_through(statement, scope))
                yield from self._fact(condition, step.module, statement)
        if self.value is not None:
            yield from self._argument()
            yield from self._validators(self.value)

    def _fact(self, condition: Condition, module: Module, node: ast.AST, shown: str = "") -> Iterator[DsnGuard]:
        verdict = condition.verdict()
        if verdict.rejects and condition.blocks:
            return
        text = shown or module.source(node, 80)
        here: tuple[Evidence, ...] = (Evidence(module.path, getattr(node, "lineno", None), None, None, text),)
        if verdict.rejects and condition.decided is not None:
            where, test = condition.decided
            text = f"{text} (decided by: {where.source(test, 60)})"
            here = (*here, place(where, test))
        found = verdict.fact(text, here, about=condition.about)
        if found is not None:
            yield found

    def _names_dsn(self, statement: ast.stmt) -> bool:
        """A cheap look first: most statements in front of init have nothing to do with it."""
        text = ast.unparse(statement)
        argument = self.item.init.options.get("dsn")
        return "dsn" in text.lower() or (argument is not None and ast.unparse(argument[0]) in text)

    # --- the argument, and the settings field ------------------------------------------------------

    def _argument(self) -> Iterator[DsnGuard]:
        """``dsn=value if good(value) else ""``: an argument that is empty for real DSNs."""
        expression, scope = self.item.init.options["dsn"]
        bindings = self.item.bindings[0] if self.item.bindings else {}
        bound = Scope(scope.module, bindings, scope.function) if scope.function is self.item.init.function else scope

        def ask(evaluator: Evaluator) -> Result:
            found = evaluator.value(expression, Frame(bound))
            return self._kept(found) if found.known else Result(OPEN)

        condition = Condition(self.resolver, self.known, ask)
        rejects = condition.verdict().rejects
        if rejects and not any(set(rejects) <= set(test.verdict().rejects) for test in self._tests):
            yield from self._fact(condition, scope.module, expression, f"dsn={scope.module.source(expression, 70)}")

    def _kept(self, found: Result, *, asked: bool = False) -> Result:
        """Whether init gets a DSN out of ``found``; given None, the SDK reads its own variable."""
        if found.value is None and _OWN in self.known.names:
            stopped = asked and any(test.given(Result(None, True)).value is False for test in self._tests)
            return Result(not stopped, True)
        return Result(bool(found.value), True)

    def _validators(self, value: Value) -> Iterator[DsnGuard]:
        for module, owner, field, statement in _fields(self.resolver, value):
            for call in (item for item in ast.walk(statement) if isinstance(item, ast.Call)):
                yield from self._declared(module, field, call)
            for function in (item for item in owner.body if isinstance(item, FunctionNode)):
                kind = _validates(function, field)
                if kind:
                    condition = Condition(self.resolver, self.known, self._validator(module, owner, function, kind))
                    yield from self._fact(condition, module, function, f"the validator {function.name}() of {field}")

    def _validator(
        self, module: Module, owner: ast.ClassDef, function: FunctionNode, kind: str
    ) -> Callable[[Evaluator], Result]:
        bindings = {
            "self": Value("instance", cls=ClassRef(module, owner)),
            "cls": Value("class", cls=ClassRef(module, owner)),
        }
        names = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
        static = any(ast.unparse(item) == "staticmethod" for item in function.decorator_list)

        def ask(evaluator: Evaluator) -> Result:
            given: dict[str, Result] = {}
            if kind == "field" and len(names) > (0 if static else 1):
                given[names[0 if static else 1]] = evaluator.dsn
            found = run(evaluator, function, module, given, bindings, 0)
            if not found.known or kind == "model":
                return Result(OPEN, found.dsn and not found.known and evaluator.about)
            return self._kept(found, asked=True)

        return ask

    def _declared(self, module: Module, field: str, call: ast.Call) -> Iterator[DsnGuard]:
        """``Field(pattern="…")`` and ``AfterValidator(check)`` in the declaration of the field."""
        if module.qualify(call.func).rpartition(".")[2] in _CHECKERS and call.args:
            found = self.resolver.value(call.args[0], Scope(module))
            if found.kind == "function" and found.function is not None and found.module is not None:
                ask = self._checker(found.module, found.function)
                shown = f"{found.function.name}() checks {field}"
                yield from self._fact(Condition(self.resolver, self.known, ask), found.module, found.function, shown)
        for keyword in call.keywords:
            text = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
            if keyword.arg in {"pattern", "regex"} and isinstance(text, str):
                condition = Condition(self.resolver, self.known, _fits(text))
                yield from self._fact(condition, module, call, f"{field}: {module.source(call, 70)}")

    def _checker(self, module: Module, function: FunctionNode) -> Callable[[Evaluator], Result]:
        names = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]

        def ask(evaluator: Evaluator) -> Result:
            found = run(evaluator, function, module, dict.fromkeys(names[:1], evaluator.dsn), {}, 0)
            return self._kept(found, asked=True) if found.known else Result(OPEN, found.dsn and evaluator.about)

        return ask


def _fits(text: str) -> Callable[[Evaluator], Result]:
    compiled = pattern(text)

    def ask(evaluator: Evaluator) -> Result:
        evaluator.about = True
        if compiled is None or not isinstance(evaluator.dsn.value, str):
            return Result(OPEN, evaluator.dsn.dsn)
        return Result(compiled.search(evaluator.dsn.value) is not None, True)

    return ask


def _falls_through(statement: ast.stmt, scope: Scope) -> Callable[[Evaluator], Result]:
    def ask(evaluator: Evaluator) -> Result:
        outcome = execute(evaluator, [statement], Frame(scope))
        if outcome.kind == "open":
            return Result(OPEN, outcome.dsn and evaluator.about)
        return Result(outcome.kind == "next", True)

    return ask


def _passed(step: Step) -> Iterator[ast.stmt]:
    """The statements in front of ``step`` that may leave its function, and that ``truth.guards`` does not give."""
    module, child = step.module, step.node
    given = {id(test) for test, _ in guards(module, step.node)}
    for parent in module.ancestors(step.node):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(parent, name, None)
            if isinstance(block, list) and child in block:
                yield from (item for item in block[: block.index(child)] if _may_leave(module, item, given))
        if isinstance(parent, FunctionNode):
            break
        child = parent


def _may_leave(module: Module, statement: ast.stmt, given: set[int]) -> bool:
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Call) and bool(statement.value.args)
    if not isinstance(statement, _COMPOUND) or (isinstance(statement, ast.If) and id(statement.test) in given):
        return False
    return any(
        isinstance(item, _LEAVES) or (isinstance(item, ast.Call) and module.qualify(item.func) in _EXITS)
        for item in ast.walk(statement)
    )


def _fields(resolver: Resolver, value: Value) -> Iterator[tuple[Module, ast.ClassDef, str, ast.stmt]]:
    """The fields of settings classes on the way of the DSN, from the places that were passed."""
    seen: set[tuple[str, int]] = set()
    for here in (here for leaf in (value, *value.leaves()) for here in leaf.trail):
        if here.path is None or here.line is None or (here.path, here.line) in seen:
            continue
        seen.add((here.path, here.line))
        module = resolver.program.module(here.path)
        for owner in module.classes if module is not None else ():
            for statement in owner.body:
                if isinstance(statement, ast.AnnAssign) and statement.lineno == here.line and module is not None:
                    if isinstance(statement.target, ast.Name):
                        yield module, owner, statement.target.id, statement


def _validates(function: FunctionNode, field: str) -> str:
    """``field`` if the method is a validator of ``field``, ``model`` if it sees the whole object, else nothing."""
    for item in function.decorator_list:
        if not isinstance(item, ast.Call):
            continue
        name = ast.unparse(item.func).rpartition(".")[2]
        named = {part.value for part in item.args if isinstance(part, ast.Constant)}
        if name in {"field_validator", "validator"} and named & {field, "*"}:
            return "field"
        mode = next((part.value for part in item.keywords if part.arg == "mode"), None)
        if name == "model_validator" and isinstance(mode, ast.Constant) and mode.value == "after":
            return "model"
    return "model" if function.name == "__post_init__" else ""
