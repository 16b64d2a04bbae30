"""Expressions of the audited code, computed for one sample DSN; what does not follow from it stays open.

Nothing of the audited code runs: only operations on plain values that are listed here and in ``evaluated_calls``.
"""

from __future__ import annotations

import ast
import operator as operators
from typing import TYPE_CHECKING, Any
from urllib.parse import ParseResult, SplitResult

from msgspec.structs import replace

from sentry_audit.python.results import OPEN, Frame, Known, Raised, Result, joined
from sentry_audit.python.truth import guards, truth
from sentry_audit.python.values import Scope

if TYPE_CHECKING:
    from sentry_audit.python.module import FunctionNode, Module
    from sentry_audit.python.values import Resolver

_STEPS = 4000
_LONG = 5000
_COMPARE: dict[type[ast.cmpop], Any] = {
    ast.Eq: operators.eq, ast.NotEq: operators.ne, ast.Lt: operators.lt, ast.LtE: operators.le, ast.Gt: operators.gt,
    ast.GtE: operators.ge, ast.Is: lambda one, two: one is two, ast.IsNot: lambda one, two: one is not two,
    ast.In: lambda one, two: one in two, ast.NotIn: lambda one, two: one not in two,
}  # fmt: skip
_ERRORS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
#: What pydantic's URL types and ``sentry_sdk.utils.Dsn`` call the parts of a URL.
_PARTS = {"host": "hostname", "public_key": "username"}
_URL = frozenset({"hostname", "netloc", "scheme", "path", "username", "password", "port", "query", "fragment"})


class Evaluator:
    """Computes expressions with ``dsn`` for the DSN. ``about`` tells afterwards whether its text was looked at."""

    def __init__(self, resolver: Resolver, known: Known, dsn: Result) -> None:
        self.resolver = resolver
        self.known = known
        self.dsn = dsn
        self.about = False
        #: The condition under which a name was assigned, where the DSN decides it.
        self.decided: tuple[Module, ast.expr] | None = None
        self.steps = _STEPS
        self._following: set[tuple[str, int]] = set()

    def truth(self, node: ast.expr, frame: Frame) -> Result:
        """Whether ``node`` holds; what does not depend on the DSN may be known of the environment."""
        found = self.value(node, frame)
        if found.known:
            return Result(bool(found.value), found.dsn)
        if found.dsn or isinstance(node, ast.BoolOp | ast.UnaryOp) or self._mentions(node, frame):
            return found
        holds = truth(self.resolver, node, frame.scope).holds
        return found if holds is None else Result(holds)

    def value(self, node: ast.expr, frame: Frame) -> Result:
        """The value of ``node``; raises ``Raised`` where Python would raise."""
        self.steps -= 1
        if self.steps < 0:
            return Result(OPEN, True)
        try:
            found = self._value(node, frame)
        except _ERRORS as error:
            raise Raised(type(error).__name__) from None
        too_long = isinstance(found.value, str | list | tuple) and len(found.value) > _LONG
        return Result(OPEN, found.dsn) if too_long else found

    def _value(self, node: ast.expr, frame: Frame) -> Result:
        match node:
            case ast.Constant(value=value):
                return Result(value)
            case ast.Name():
                return self._name(node, frame)
            case ast.Attribute():
                return self._attribute(node, frame)
            case ast.Call():
                from sentry_audit.python.evaluated_calls import call

                return call(self, node, frame)
            case ast.BoolOp():
                return self._bool(node, frame)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.truth(operand, frame)
                return Result(not inner.value, inner.dsn) if inner.known else inner
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.value(operand, frame)
                return Result(-inner.value, inner.dsn) if isinstance(inner.value, int | float) else self.unknown(inner)
            case ast.Compare():
                return self._compare(node, frame)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                chosen = self.truth(test, frame)
                if chosen.known:
                    found = self.value(body if chosen.value else orelse, frame)
                    return Result(found.value, found.dsn or chosen.dsn)
                return joined(self.value(body, frame), self.value(orelse, frame), chosen.dsn)
            case ast.NamedExpr(target=target, value=value):
                frame.locals[target.id] = self.value(value, frame)
                return frame.locals[target.id]
        return self._composed(node, frame)

    def _composed(self, node: ast.expr, frame: Frame) -> Result:
        match node:
            case ast.List() | ast.Tuple() | ast.Set() | ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                items = self.items(node, frame)
                if items is None or not all(item.known for item in items):
                    return self.unknown(*(items or ()), node=node, frame=frame)
                kind = {ast.Tuple: tuple, ast.Set: set, ast.SetComp: set}.get(type(node), list)
                return Result(kind(item.value for item in items), any(item.dsn for item in items))
            case ast.Dict(keys=keys, values=values) if all(key is not None for key in keys):
                pairs = [
                    (self.value(key, frame), self.value(value, frame))
                    for key, value in zip(keys, values, strict=True)
                    if key
                ]
                if all(key.known and value.known for key, value in pairs):
                    return Result(
                        {key.value: value.value for key, value in pairs}, any(value.dsn for _, value in pairs)
                    )
            case ast.Subscript(value=owner, slice=key):
                return self._subscript(node, owner, key, frame)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                one, two = self.value(left, frame), self.value(right, frame)
                if one.known and two.known:
                    return Result(operators.add(one.value, two.value), one.dsn or two.dsn)
                return self.unknown(one, two)
            case ast.JoinedStr(values=values):
                parts = [
                    self.value(part.value if isinstance(part, ast.FormattedValue) else part, frame) for part in values
                ]
                if all(part.known for part in parts):
                    return Result("".join(str(part.value) for part in parts), any(part.dsn for part in parts))
                return self.unknown(*parts)
        return self.unknown(node=node, frame=frame)

    def unknown(self, *parts: Result, node: ast.AST | None = None, frame: Frame | None = None) -> Result:
        """Open; dependent on the DSN if one of ``parts``, or a name in ``node``, is."""
        dsn = any(part.dsn for part in parts) or (
            node is not None and frame is not None and self._mentions(node, frame)
        )
        self.about |= dsn
        return Result(OPEN, dsn)

    def _mentions(self, node: ast.AST, frame: Frame) -> bool:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id in frame.locals:
                if frame.locals[part.id].dsn:
                    return True
            elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
                if self._name(part, frame).dsn:
                    return True
            elif isinstance(part, ast.Attribute | ast.Call) and self.is_dsn(part, frame):
                return True
        return False

    # --- names -----------------------------------------------------------------------------------

    def is_dsn(self, node: ast.expr, frame: Frame) -> bool:
        """Whether ``node`` is what init's DSN is read from."""
        if frame.depth:
            return self._is_dsn(node, frame)
        if node not in self.known.seen:
            self.known.seen[node] = self._is_dsn(node, frame)
        return self.known.seen[node]

    def _is_dsn(self, node: ast.expr, frame: Frame) -> bool:
        leaves = self.resolver.value(node, frame.scope).leaves()
        names = {name for leaf in leaves for name in leaf.names}
        if names:
            return names <= self.known.names
        return bool(self.known.text) and frame.module is self.known.module and self.known.text == ast.unparse(node)

    def _name(self, node: ast.Name, frame: Frame) -> Result:
        if node.id in frame.locals:
            return frame.locals[node.id]
        if node.id not in frame.scope.bindings:
            found = self._assigned(node, frame)
            if found is not None:
                return found
        return self._resolved(node, frame)

    def _resolved(self, node: ast.expr, frame: Frame) -> Result:
        if self.is_dsn(node, frame):
            return self.dsn
        value = self.resolver.value(node, frame.scope)
        if value.kind in {"literal", "unfilled"}:
            if not isinstance(value.literal, ast.AST):
                return Result(value.literal) if value.kind == "literal" else Result(OPEN)
            if isinstance(value.literal, ast.Dict | ast.List | ast.Tuple | ast.Set):
                return self.value(value.literal, replace(frame, locals={}))
        return Result(OPEN)

    def _assigned(self, node: ast.Name, frame: Frame) -> Result | None:
        """What the assignments of a name give it, the last one that holds first; None if it has none here."""
        function = frame.scope.function
        where, inside = frame.module, function
        found = assignments(function, node) if function is not None else []
        if not found:
            defined = self.resolver.program.define(frame.module, node.id)
            if defined is None or node.id in _parameters(function):
                return None
            where, inside = defined[0], None
            found = [
                item for item in defined[1]
                if isinstance(item, ast.Assign | ast.AnnAssign) and item.value is not None
                and (where is not frame.module or function is not None or item.lineno < node.lineno)
            ]  # fmt: skip
            if any(isinstance(item, ast.AugAssign) for item in defined[1]):
                return None
        if not found:
            return None
        shared = guards(where, node) if where is frame.module and inside is function else []
        scope = frame.scope if inside is not None else Scope(where)
        inner = Frame(scope, dict(frame.locals) if inside is not None else {}, frame.depth)
        return self._last(node.id, found, inner, shared)

    def _last(
        self, name: str, found: list[ast.Assign | ast.AnnAssign], frame: Frame, shared: list[tuple[ast.expr, bool]]
    ) -> Result | None:
        last = found[-1]
        key = (frame.module.path, id(last))
        if key in self._following:
            return Result(OPEN)
        self._following.add(key)
        try:
            reached = Result(True)
            for test, wanted in guards(frame.module, last):
                if reached.value is not False and (test, wanted) not in shared:
                    answer = self.truth(test, frame)
                    self.decided = (frame.module, test) if answer.dsn and answer.known else self.decided
                    if not answer.known:
                        reached = Result(OPEN, answer.dsn or reached.dsn)
                    elif answer.value is not wanted:
                        reached = Result(False, answer.dsn)
            earlier = (
                self._last(name, found[:-1], frame, shared) if reached.value is not True and len(found) > 1 else None
            )
            if reached.value is False:
                return earlier
            assert last.value is not None
            value = self.unpacked(last, self.value(last.value, frame)).get(name, Result(OPEN))
            if name == self.known.text and frame.module is self.known.module and not value.known:
                value = self.dsn  # read from where it cannot be followed: a secret store, a request
            return value if reached.known or earlier is None else joined(value, earlier, reached.dsn)
        finally:
            self._following.discard(key)

    def unpacked(self, statement: ast.Assign | ast.AnnAssign, value: Result) -> dict[str, Result]:
        """The names that an assignment of ``value`` binds, with what each gets."""
        found: dict[str, Result] = {}
        for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
            if isinstance(target, ast.Name):
                found[target.id] = value
            elif isinstance(target, ast.Tuple | ast.List):
                parts = list(value.value) if isinstance(value.value, str | list | tuple) else None
                if parts is not None and len(parts) != len(target.elts):
                    raise Raised("ValueError")
                for index, item in enumerate(target.elts):
                    if isinstance(item, ast.Name):
                        found[item.id] = Result(OPEN if parts is None else parts[index], value.dsn)
        return found

    # --- operations ------------------------------------------------------------------------------

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Result:
        from sentry_audit.python.evaluated_calls import constant, of_object

        if self.is_dsn(node, frame):
            return self.dsn
        if (found := constant(frame.module.qualify(node))) is not None:
            return Result(found)
        owner = self.value(node.value, frame)
        if owner.dsn and isinstance(owner.value, str | SplitResult | ParseResult):
            name = _PARTS.get(node.attr, node.attr)
            if name in _URL:
                from urllib.parse import urlsplit

                self.about = True
                return Result(
                    getattr(urlsplit(owner.value) if isinstance(owner.value, str) else owner.value, name), True
                )
        if owner.dsn:
            return self.unknown(owner)
        return of_object(self, node, frame) or self._resolved(node, frame)

    def _bool(self, node: ast.BoolOp, frame: Frame) -> Result:
        stops = isinstance(node.op, ast.Or)
        open_: list[Result] = []
        dsn, last = False, Result(None)
        for item in node.values:
            last = self.value(item, frame)
            held = Result(bool(last.value), last.dsn) if last.known else self.truth(item, frame)
            if not held.known:
                open_.append(held)
                continue
            dsn |= held.dsn
            last = last if last.known else held
            if held.value is stops:
                return Result(stops if open_ else last.value, dsn)
        return Result(OPEN, any(item.dsn for item in open_)) if open_ else Result(last.value, dsn)

    def _compare(self, node: ast.Compare, frame: Frame) -> Result:
        results = [self.value(item, frame) for item in (node.left, *node.comparators)]
        dsn, undecided = False, False
        for index, sign in enumerate(node.ops):
            left, right = results[index : index + 2]
            if not (left.dsn or right.dsn) and not (left.known and right.known):
                undecided = True
                continue
            plain = any(
                item.value in (None, "", True, False) if _simple(item.value) else False for item in (left, right)
            )
            self.about |= (left.dsn or right.dsn) and not plain
            dsn |= left.dsn or right.dsn
            if not (left.known and right.known):
                return Result(OPEN, True)
            if not _COMPARE[type(sign)](left.value, right.value):
                return Result(False, dsn)
        return Result(OPEN, False) if undecided else Result(True, dsn)

    def _subscript(self, node: ast.expr, owner: ast.expr, key: ast.expr, frame: Frame) -> Result:
        if self.is_dsn(node, frame):
            return self.dsn
        base = self.value(owner, frame)
        bounds = (key.lower, key.upper, key.step) if isinstance(key, ast.Slice) else (key,)
        parts = [Result(None) if bound is None else self.value(bound, frame) for bound in bounds]
        if not base.known or not all(part.known for part in parts):
            return self.unknown(base, *parts)
        self.about |= base.dsn
        index: Any = slice(*(part.value for part in parts)) if isinstance(key, ast.Slice) else parts[0].value
        if not isinstance(base.value, str | list | tuple | dict):
            return self.unknown(base)
        return Result(base.value[index], base.dsn or any(part.dsn for part in parts))

    def items(self, node: ast.expr, frame: Frame) -> list[Result] | None:
        """The elements of a list, a tuple, or a comprehension over one; None if they cannot be told."""
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return (
                None
                if any(isinstance(item, ast.Starred) for item in node.elts)
                else [self.value(item, frame) for item in node.elts]
            )
        if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp):
            if len(node.generators) != 1 or not isinstance(node.generators[0].target, ast.Name):
                return None
            generator = node.generators[0]
            source = self.items(generator.iter, frame)
            if source is None:
                return None
            found = []
            for item in source:
                inner = Frame(frame.scope, {**frame.locals, node.generators[0].target.id: item}, frame.depth)
                kept = [self.truth(test, inner) for test in generator.ifs]
                if not all(test.known for test in kept):
                    return None
                if all(test.value for test in kept):
                    found.append(self.value(node.elt, inner))
            return found
        value = self.value(node, frame)
        if isinstance(value.value, list | tuple | set | frozenset | str | dict):
            return [Result(item, value.dsn) for item in value.value]
        return None


def _simple(value: object) -> bool:
    return value is None or isinstance(value, str | bool)


def _parameters(function: FunctionNode | None) -> set[str]:
    if function is None:
        return set()
    args = function.args
    return {item.arg for item in (*args.posonlyargs, *args.args, *args.kwonlyargs)}


def assignments(function: FunctionNode, node: ast.Name) -> list[ast.Assign | ast.AnnAssign]:
    """The assignments of a local name in front of ``node``, in order."""
    found = [
        item for item in ast.walk(function)
        if isinstance(item, ast.Assign | ast.AnnAssign) and item.value is not None
        and (item.end_lineno or item.lineno) < node.lineno
        and any(isinstance(part, ast.Name) and part.id == node.id and isinstance(part.ctx, ast.Store)
                for target in (item.targets if isinstance(item, ast.Assign) else [item.target]) for part in ast.walk(target))
    ]  # fmt: skip
    return sorted(found, key=lambda item: item.lineno)
