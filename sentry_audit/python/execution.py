"""Statements of the audited code, followed for one sample DSN: whether a function returns, raises, or goes on."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from sentry_audit.python.results import OPEN, Frame, Raised, Result, joined

if TYPE_CHECKING:
    from sentry_audit.python.evaluation import Evaluator

_VALUE_ERRORS = frozenset(
    {"ValueError", "BadDsn", "UnicodeDecodeError", "UnicodeEncodeError", "ValidationError", "PydanticCustomError"}
)
_LOOKUP_ERRORS = frozenset({"LookupError", "IndexError", "KeyError"})
_EXITS = frozenset({"sys.exit", "exit", "quit", "os._exit"})


class Outcome(Struct, frozen=True):
    """How a block ends. ``open``: not known, and ``dsn`` says whether the DSN decides."""

    kind: Literal["next", "return", "raise", "break", "continue", "open"] = "next"
    result: Result = field(default_factory=lambda: Result(None))
    name: str = ""
    dsn: bool = False


def execute(evaluator: Evaluator, body: list[ast.stmt], frame: Frame) -> Outcome:
    """How ``body`` ends for the evaluator's sample."""
    for index, statement in enumerate(body):
        if evaluator.steps < 0:
            return Outcome("open", dsn=True)
        try:
            if isinstance(statement, ast.If):
                test = evaluator.truth(statement.test, frame)
                if not test.known:
                    return _either(evaluator, statement, body[index + 1 :], frame, test.dsn)
                outcome = execute(evaluator, statement.body if test.value else statement.orelse, frame)
            else:
                outcome = _statement(evaluator, statement, frame)
        except Raised as error:
            return Outcome("raise", name=str(error))
        if outcome.kind != "next":
            return outcome
    return Outcome()


def _either(evaluator: Evaluator, statement: ast.If, rest: list[ast.stmt], frame: Frame, dsn: bool) -> Outcome:
    """Both ways of a condition that is not known, each with what comes after it."""
    ends = [
        execute(evaluator, [*branch, *rest], Frame(frame.scope, dict(frame.locals), frame.depth))
        for branch in (statement.body, statement.orelse)
    ]
    one, two = ends
    if one.kind == two.kind == "return":
        found = joined(one.result, two.result, dsn)
        return Outcome("return", found)
    if one.kind == two.kind and one.kind != "open":
        return one
    return Outcome("open", dsn=dsn or any(end.dsn for end in ends))


def _statement(evaluator: Evaluator, statement: ast.stmt, frame: Frame) -> Outcome:
    match statement:
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            frame.locals |= evaluator.unpacked(statement, evaluator.value(value, frame))
        case ast.AugAssign(target=ast.Name(id=name)):
            before = frame.locals.get(name, Result(OPEN))
            frame.locals[name] = Result(OPEN, before.dsn or evaluator.value(statement.value, frame).dsn)
        case ast.Expr(value=ast.Call() as value):
            if frame.module.qualify(value.func) in _EXITS:
                return Outcome("raise", name="SystemExit")
            looked = evaluator.about
            if not _touches(value, frame):
                return Outcome()
            if not evaluator.value(value, frame).known:
                evaluator.about = looked  # to log the DSN is not to look at it
        case ast.With() | ast.AsyncWith():
            return execute(evaluator, statement.body, frame)
        case ast.For():
            return _loop(evaluator, statement, frame)
        case ast.Try():
            return _try(evaluator, statement, frame)
        case ast.Match():
            return _match(evaluator, statement, frame)
        case ast.While() | ast.AsyncFor():
            return Outcome("open", dsn=evaluator.unknown(node=statement, frame=frame).dsn)
        case _:
            return _end(evaluator, statement, frame)
    return Outcome()


def _touches(call: ast.Call, frame: Frame) -> bool:
    """Whether a call is given something that may be the DSN; any other call cannot depend on it."""
    names = {item.id for item in ast.walk(call) if isinstance(item, ast.Name)}
    return any(frame.locals[name].dsn for name in names & frame.locals.keys()) or "dsn" in ast.unparse(call).lower()


def _end(evaluator: Evaluator, statement: ast.stmt, frame: Frame) -> Outcome:
    """What a statement that ends a block does; all others go on."""
    match statement:
        case ast.Return(value=value):
            return Outcome("return", Result(None) if value is None else evaluator.value(value, frame))
        case ast.Raise(exc=exc):
            target = exc.func if isinstance(exc, ast.Call) else exc
            return Outcome("raise", name=ast.unparse(target).rpartition(".")[2] if target is not None else "Exception")
        case ast.Assert(test=test):
            held = evaluator.truth(test, frame)
            if held.value is False:
                return Outcome("raise", name="AssertionError")
            return Outcome("open", dsn=True) if held.dsn and not held.known else Outcome()
        case ast.Break():
            return Outcome("break")
        case ast.Continue():
            return Outcome("continue")
    return Outcome()


def _loop(evaluator: Evaluator, statement: ast.For, frame: Frame) -> Outcome:
    items = evaluator.items(statement.iter, frame)
    if items is None or not isinstance(statement.target, ast.Name):
        return Outcome("open", dsn=evaluator.unknown(node=statement, frame=frame).dsn)
    for item in items:
        frame.locals[statement.target.id] = item
        outcome = execute(evaluator, statement.body, frame)
        if outcome.kind == "break":
            return Outcome()
        if outcome.kind not in {"next", "continue"}:
            return outcome
    return execute(evaluator, statement.orelse, frame)


def _try(evaluator: Evaluator, statement: ast.Try, frame: Frame) -> Outcome:
    outcome = execute(evaluator, statement.body, frame)
    if outcome.kind == "raise":
        handler = next((item for item in statement.handlers if _catches(item, outcome.name)), None)
        if handler is not None:
            outcome = execute(evaluator, handler.body, frame)
    elif outcome.kind == "next":
        outcome = execute(evaluator, statement.orelse, frame)
    last = execute(evaluator, statement.finalbody, frame)
    return outcome if last.kind == "next" else last


def _catches(handler: ast.ExceptHandler, name: str) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    for kind in (ast.unparse(item).rpartition(".")[2] for item in kinds):
        if kind == name or kind == "BaseException" or (kind == "Exception" and name != "SystemExit"):
            return True
        if (kind == "ValueError" and name in _VALUE_ERRORS) or (kind == "LookupError" and name in _LOOKUP_ERRORS):
            return True
    return False


def _match(evaluator: Evaluator, statement: ast.Match, frame: Frame) -> Outcome:
    subject = evaluator.value(statement.subject, frame)
    for case in statement.cases:
        match case.pattern:
            case ast.MatchValue(value=ast.Constant(value=wanted)) | ast.MatchSingleton(value=wanted):
                if not subject.known:
                    return Outcome("open", dsn=subject.dsn)
                evaluator.about |= subject.dsn and not isinstance(wanted, bool | None)
                fits = subject.value == wanted
            case ast.MatchAs(pattern=None, name=name):
                fits = True
                if name:
                    frame.locals[name] = subject
            case _:
                return Outcome("open", dsn=subject.dsn)
        held = evaluator.truth(case.guard, frame) if fits and case.guard is not None else Result(True)
        if fits and not held.known:
            return Outcome("open", dsn=held.dsn)
        if fits and held.value:
            return execute(evaluator, case.body, frame)
    return Outcome()
