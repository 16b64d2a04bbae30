"""Whether a condition holds in one environment: true, false, or not known, and why."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from sentry_audit.python.module import FunctionNode, Module
from sentry_audit.python.values import Scope, place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.model import Evidence
    from sentry_audit.python.values import Resolver, Value


class _Sentinel:
    """A value that is not known exactly."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


SET: Final = _Sentinel("set")
UNKNOWN: Final = _Sentinel("unknown")
#: ``GITHUB_ENV`` and its like are paths, Pinecone's environment is where its index stands.
_ENVIRONMENT = re.compile(
    r"^(?!(?:GITHUB|BASH|VIRTUAL)_ENV$|PINECONE_)(?:[A-Z]+_)*(?:ENV|ENVIRONMENT|STAGE|DEPLOYMENT|ENV_NAME|ENVIRONMENT_NAME)$"
)
_SYNONYMS = (
    {"production", "prod", "prd", "live"},
    {"staging", "stage", "stg", "preprod"},
    {"development", "dev", "local", "develop"},
    {"test", "testing", "tests"},
)
_PLATFORM = frozenset({"K_SERVICE", "K_REVISION", "K_CONFIGURATION", "PORT", "HOSTNAME", "HOME", "PATH"})
_FALSE = frozenset({"", "0", "false", "no", "off", "n", "f", "none"})


class Verdict(Struct, frozen=True):
    """Whether a condition holds, why (in one clause), and where that was seen."""

    holds: bool | None
    why: str = ""
    evidence: tuple[Evidence, ...] = ()


def same_environment(one: str, other: str) -> bool:
    """Whether two names are usual names of one environment (``prod``, ``production``)."""
    first, second = one.lower(), other.lower()
    return first == second or any(first in names and second in names for names in _SYNONYMS)


def is_environment_name(variable: str) -> bool:
    """Whether a variable's name says that it holds the environment's name."""
    return _ENVIRONMENT.match(variable.upper()) is not None


def cast(text: str, how: str) -> object:
    """A variable's text as the settings library would convert it (``bool`` as pydantic reads it)."""
    if how == "bool":
        return text.strip().lower() not in _FALSE
    if how in {"int", "float"}:
        try:
            return float(text)
        except ValueError:
            return text
    return text


def concrete(resolver: Resolver, value: Value) -> object:
    """The Python object that ``value`` is in this environment, ``SET`` (truthy, not known) or ``UNKNOWN``."""
    match value.kind:
        case "literal" | "unfilled":
            if isinstance(value.literal, ast.AST):
                return UNKNOWN
            return value.literal
        case "env":
            return _variable(resolver, value)
        case "either":
            for option in value.options:
                found = concrete(resolver, option)
                if found is UNKNOWN or found is SET or found:
                    return found
            return concrete(resolver, value.options[-1])
        case "instance" | "class" | "module" | "function":
            return SET
    return UNKNOWN


def _variable(resolver: Resolver, value: Value) -> object:
    for name in value.names:
        if name in resolver.provided:
            return cast(resolver.provided[name], value.cast)
    for name in value.names:
        if "DSN" in name.upper() or name in _PLATFORM:
            return SET
        if is_environment_name(name) and resolver.environment:
            return resolver.environment
    if value.default is not None:
        found = concrete(resolver, value.default)
        return cast(found, value.cast) if isinstance(found, str) and value.cast else found
    return UNKNOWN


def truth(resolver: Resolver, test: ast.expr, scope: Scope) -> Verdict:
    """Whether ``test`` holds in the resolver's environment."""
    match test:
        case ast.BoolOp(op=ast.And()):
            return _all([truth(resolver, item, scope) for item in test.values])
        case ast.BoolOp(op=ast.Or()):
            return _any([truth(resolver, item, scope) for item in test.values])
        case ast.UnaryOp(op=ast.Not()):
            inner = truth(resolver, test.operand, scope)
            return Verdict(None if inner.holds is None else not inner.holds, inner.why, inner.evidence)
        case ast.Compare(ops=[operator], comparators=[right]):
            return _compare(resolver, test, operator, right, scope)
        case ast.Call(func=ast.Name(id="bool" | "all" | "any"), args=[argument]):
            if isinstance(argument, ast.List | ast.Tuple):
                verdicts = [truth(resolver, item, scope) for item in argument.elts]
                return _any(verdicts) if isinstance(test.func, ast.Name) and test.func.id == "any" else _all(verdicts)
            return truth(resolver, argument, scope)
    value = resolver.value(test, scope)
    found = concrete(resolver, value)
    trail = value.trail or (place(scope.module, test),)
    text = scope.module.source(test, 60)
    if found is SET:
        return Verdict(True, f"{text} is set", trail)
    if found is UNKNOWN:
        return Verdict(None, value.reason or _unset(value) or f"{text} is not known here", trail)
    return Verdict(bool(found), f"{text} is {_shown(value, found)}", trail)


def _unset(value: Value) -> str:
    return f"{value.names[0]} has no default and nothing that was read sets it" if value.names else ""


def _shown(value: Value, found: object) -> str:
    if value.kind == "env" and value.names:
        return f"{found!r} by default, and nothing in the repository sets {value.names[0]}"
    return repr(found)


def _all(verdicts: list[Verdict]) -> Verdict:
    for holds in (False, None):
        for verdict in verdicts:
            if verdict.holds is holds:
                return verdict
    return verdicts[0]


def _any(verdicts: list[Verdict]) -> Verdict:
    for holds in (True, None):
        for verdict in verdicts:
            if verdict.holds is holds:
                return verdict
    return verdicts[0]


def _compare(resolver: Resolver, test: ast.Compare, operator: ast.cmpop, right: ast.expr, scope: Scope) -> Verdict:
    left_value = resolver.value(test.left, scope)
    left = concrete(resolver, left_value)
    wanted = _constants(resolver, right, scope)
    evidence = (place(scope.module, test),)
    text = scope.module.source(test, 80)
    negative = isinstance(operator, ast.NotEq | ast.NotIn | ast.IsNot)
    if wanted is None or left is UNKNOWN:
        return Verdict(None, left_value.reason or _unset(left_value) or f"{text} is not known here", evidence)
    if left is SET:
        if all(item is None or item == "" for item in wanted):
            return Verdict(negative, text, evidence)
        return Verdict(None, f"{text} depends on a value that is not known here", evidence)
    if isinstance(left, str) and left == resolver.environment and _names_environment(left_value):
        return _environment(resolver, left, wanted, negative, text, evidence)
    return Verdict((left in wanted) is not negative, f"{text}: it is {_shown(left_value, left)}", evidence)


def _names_environment(value: Value) -> bool:
    return any(is_environment_name(name) for leaf in value.leaves() for name in leaf.names)


def _environment(
    resolver: Resolver, left: str, wanted: list[object], negative: bool, text: str, evidence: tuple[Evidence, ...]
) -> Verdict:
    if left in wanted:
        return Verdict(not negative, f"{text} in {left}", evidence)
    synonyms = [item for item in wanted if isinstance(item, str) and same_environment(item, left)]
    if not synonyms:
        return Verdict(negative, f"{text} is {'true' if negative else 'false'} in {left}", evidence)
    if synonyms[0] in resolver.vocabulary:
        return Verdict(not negative, f"{text} ({left} is called {synonyms[0]!r} here)", evidence)
    if left in resolver.vocabulary:
        why = f"{text} compares with {synonyms[0]!r}, but this environment is called {left!r}"
        return Verdict(negative, why, evidence)
    return Verdict(None, f"{text}: whether {left} is called {synonyms[0]!r} here is not known", evidence)


def _constants(resolver: Resolver, node: ast.expr, scope: Scope) -> list[object] | None:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        items = [_constants(resolver, item, scope) for item in node.elts]
        return None if any(item is None for item in items) else [found for item in items for found in item or ()]
    value = resolver.value(node, scope)
    if value.kind == "literal" and isinstance(value.literal, ast.Tuple | ast.List | ast.Set):
        return _constants(resolver, value.literal, scope)
    found = concrete(resolver, value)
    return None if found is UNKNOWN or found is SET else [found]


def guards(module: Module, node: ast.AST) -> list[tuple[ast.expr, bool]]:
    """The conditions in front of ``node`` inside its function: (test, whether it must hold).

    Early exits count: after ``if not dsn: return``, ``dsn`` holds.
    """
    found: list[tuple[ast.expr, bool]] = []
    child: ast.AST = node
    for parent in module.ancestors(node):
        if isinstance(parent, ast.If):
            if child in parent.body:
                found.append((parent.test, True))
            elif child in parent.orelse:
                found.append((parent.test, False))
        elif isinstance(parent, ast.IfExp) and child is not parent.test:
            found.append((parent.test, child is parent.body))
        elif isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.And) and child in parent.values:
            found.extend((item, True) for item in parent.values[: parent.values.index(child)])
        elif isinstance(parent, ast.Match):
            found.extend(_case(parent, child))
        for name in ("body", "orelse", "finalbody"):
            block = getattr(parent, name, None)
            if isinstance(block, list) and child in block:
                found.extend(_exits(block[: block.index(child)]))
        if isinstance(parent, FunctionNode):
            break
        child = parent
    return found


def terms(test: ast.expr, must_hold: bool) -> list[tuple[ast.expr, bool]]:
    """The parts of a condition that must all be as given: of ``a and b``, and of ``not (a or b)``."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return terms(test.operand, not must_hold)
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) is must_hold:
        return [term for item in test.values for term in terms(item, must_hold)]
    return [(test, must_hold)]


def _case(statement: ast.Match, chosen: ast.AST) -> Iterable[tuple[ast.expr, bool]]:
    """The comparisons by which ``match`` comes to one of its cases, as far as they are with constants."""
    for case in statement.cases:
        wanted = case.pattern
        value = wanted.value if isinstance(wanted, ast.MatchValue) else None
        if isinstance(wanted, ast.MatchSingleton):
            value = ast.copy_location(ast.Constant(wanted.value), statement.subject)
        if value is not None and (case is chosen or case.guard is None):
            yield (
                ast.copy_location(ast.Compare(statement.subject, [ast.Eq()], [value]), statement.subject),
                case is chosen,
            )
        if case is chosen:
            if case.guard is not None:
                yield case.guard, True
            return


def _exits(block: list[ast.stmt]) -> Iterable[tuple[ast.expr, bool]]:
    for statement in block:
        if isinstance(statement, ast.If) and _leaves(statement.body[-1]):
            yield statement.test, False
            if len(statement.orelse) == 1:  # elif
                yield from _exits(statement.orelse)


def _leaves(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Return | ast.Raise | ast.Continue | ast.Break):
        return True
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and ast.unparse(statement.value.func) in {"sys.exit", "exit", "quit"}
    )


def guarded(resolver: Resolver, node: ast.AST, scope: Scope) -> bool | None:
    """Whether ``node`` is reached inside its function: True, False, or None when it is not known."""
    verdicts = []
    for test, must_hold in guards(scope.module, node):
        verdict = truth(resolver, test, scope).holds
        verdicts.append(None if verdict is None else verdict is must_hold)
    if False in verdicts:
        return False
    return None if None in verdicts else True


def first_return(
    resolver: Resolver, function: FunctionNode, scope: Scope
) -> tuple[ast.expr | None, tuple[ast.expr, ...]]:
    """(the return expression that surely runs first, those before it that may run).

    Returns in exception handlers and nested functions do not count.
    """
    undecided: list[ast.expr] = []
    for node in returns(function):
        if node.value is None:
            continue
        if any(isinstance(parent, ast.ExceptHandler) for parent in scope.module.ancestors(node)):
            continue
        reached = guarded(resolver, node, scope)
        if reached is True:
            return node.value, tuple(undecided)
        if reached is None:
            undecided.append(node.value)
    return None, tuple(undecided)


def returns(function: FunctionNode) -> list[ast.Return]:
    """The return statements of a function, not of the functions inside it, in order."""
    found: list[ast.Return] = []
    queue: list[ast.AST] = list(function.body)
    while queue:
        node = queue.pop(0)
        if isinstance(node, ast.Return):
            found.append(node)
        elif not isinstance(node, FunctionNode | ast.ClassDef | ast.Lambda):
            queue.extend(ast.iter_child_nodes(node))
    return sorted(found, key=lambda item: item.lineno)
