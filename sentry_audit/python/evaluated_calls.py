"""Calls in the conditions of the audited code: built-ins, strings, regular expressions, URLs, and its own functions."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse, urlsplit

from sentry_audit.guard import pattern
from sentry_audit.python.calls import bind
from sentry_audit.python.module import FunctionNode
from sentry_audit.python.results import OPEN, Frame, Raised, Result
from sentry_audit.python.settings import ancestry
from sentry_audit.python.values import Scope, Value

if TYPE_CHECKING:
    from sentry_audit.python.evaluation import Evaluator
    from sentry_audit.python.module import Module

_DEPTH = 8
_SAME = frozenset({"get_secret_value", "unicode_string", "__str__"})
_SPACE = frozenset({"strip", "lstrip", "rstrip"})
_STRING = frozenset(
    {"startswith", "endswith", "find", "rfind", "index", "rindex", "count", "lower", "upper", "casefold", "split", "rsplit",
     "partition", "rpartition", "replace", "removeprefix", "removesuffix", "isdigit", "isalnum", "isalpha", "isascii",
     "isspace", "islower", "isupper", "isdecimal", "isnumeric", "join", "splitlines"}
)  # fmt: skip
_METHODS: dict[type, frozenset[str]] = {
    str: _STRING | _SPACE,
    list: frozenset({"index", "count"}), tuple: frozenset({"index", "count"}),
    dict: frozenset({"get", "keys", "values", "items"}),
    re.Pattern: frozenset({"match", "search", "fullmatch", "findall"}),
    re.Match: frozenset({"group", "groups", "start", "end", "span"}),
}  # fmt: skip
_REGEX = frozenset({"re.match", "re.search", "re.fullmatch", "re.compile", "re.findall"})
_URLS: dict[str, Any] = {"urllib.parse.urlparse": urlparse, "urllib.parse.urlsplit": urlsplit}
_DSN = frozenset({"sentry_sdk.utils.Dsn"})
#: Types that hold a text and show the same text again.
_WRAPPERS = frozenset({"SecretStr", "HttpUrl", "AnyUrl", "AnyHttpUrl", "URL", "Secret"})
_CONVERT: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "sorted": sorted, "int": int}
_TYPES: dict[str, type] = {
    "str": str,
    "bytes": bytes,
    "int": int,
    "bool": bool,
    "list": list,
    "dict": dict,
    "tuple": tuple,
}


def constant(name: str) -> object | None:
    """A constant of the standard library that conditions use: a flag of ``re``."""
    head, _, tail = name.rpartition(".")
    found = getattr(re, tail, None) if head in {"re", "re.RegexFlag"} and tail.isupper() else None
    return found if isinstance(found, re.RegexFlag) else None


def call(evaluator: Evaluator, node: ast.Call, frame: Frame) -> Result:
    """What a call gives for the sample."""
    if any(isinstance(item, ast.Starred) for item in node.args) or any(item.arg is None for item in node.keywords):
        return evaluator.unknown(node=node, frame=frame)
    name = frame.module.qualify(node.func)
    if name in {"any", "all"} and len(node.args) == 1:
        return _quantified(evaluator, node.args[0], frame, some=name == "any")
    if name == "isinstance" and len(node.args) == 2:
        return _isinstance(evaluator, node, frame)
    if (method := _method(evaluator, node, frame)) is not None:
        return method
    if evaluator.is_dsn(node, frame):
        return evaluator.dsn
    arguments = [evaluator.value(item, frame) for item in node.args]
    if (built_in := _built_in(evaluator, name, node, arguments, frame)) is not None:
        return built_in
    if (own := _own(evaluator, node, arguments, frame)) is not None:
        return own
    if name.rpartition(".")[2] in _WRAPPERS and len(arguments) == 1:
        return arguments[0]
    given = [*arguments, *(evaluator.value(item.value, frame) for item in node.keywords)]
    found = evaluator.resolver.value(node, frame.scope) if not any(item.dsn for item in given) else None
    if found is not None and found.kind == "literal" and not isinstance(found.literal, ast.AST):
        return Result(found.literal)
    return evaluator.unknown(*given)


def _built_in(evaluator: Evaluator, name: str, node: ast.Call, arguments: list[Result], frame: Frame) -> Result | None:
    known = all(item.known for item in arguments)
    dsn = any(item.dsn for item in arguments)
    values: list[Any] = [item.value for item in arguments]
    if name == "bool" and len(arguments) == 1:
        return evaluator.truth(node.args[0], frame)
    if name in _DSN and arguments and known:
        evaluator.about = True
        return _checked(values[0])
    if name in _REGEX | _URLS.keys() or name in {"str", "len", *_CONVERT}:
        if not known or not arguments:
            return evaluator.unknown(*arguments)
        if name in _REGEX:
            return _regex(evaluator, name, node, values, frame, dsn)
        evaluator.about |= dsn and name not in {"str"} | _URLS.keys()
        if name in _URLS:
            return Result(_URLS[name](values[0]), dsn) if isinstance(values[0], str) else evaluator.unknown(*arguments)
        if name == "str":
            return (
                Result(str(values[0]), dsn)
                if isinstance(values[0], str | int | float | None)
                else evaluator.unknown(*arguments)
            )
        return Result(len(values[0]) if name == "len" else _CONVERT[name](values[0]), dsn)
    return None


def _checked(value: object) -> Result:
    """``sentry_sdk.utils.Dsn(…)``: the SDK's own check, right by definition."""
    from sentry_audit import dsn

    text = str(value or "")
    if not dsn.looks_like_dsn(text):
        raise Raised("BadDsn")
    return Result(urlsplit(text), True)


def _regex(evaluator: Evaluator, name: str, node: ast.Call, values: list[Any], frame: Frame, dsn: bool) -> Result:
    flags: Any = values[1 if name == "re.compile" else 2] if len(values) > (1 if name == "re.compile" else 2) else 0
    for keyword in node.keywords:
        if keyword.arg == "flags":
            flags = evaluator.value(keyword.value, frame).value
    compiled = values[0] if isinstance(values[0], re.Pattern) else None
    if compiled is None and isinstance(values[0], str) and isinstance(flags, int):
        compiled = pattern(values[0], flags)
    if compiled is None:
        return Result(OPEN, dsn)
    if name == "re.compile":
        return Result(compiled, dsn)
    evaluator.about |= dsn
    return Result(getattr(compiled, name.partition(".")[2])(values[1]), dsn)


def _quantified(evaluator: Evaluator, node: ast.expr, frame: Frame, *, some: bool) -> Result:
    items = evaluator.items(node, frame)
    if items is None:
        return evaluator.unknown(node=node, frame=frame)
    dsn = any(item.dsn for item in items)
    for item in items:
        if item.known and bool(item.value) is some:
            return Result(some, dsn)
    opened = [item for item in items if not item.known]
    return evaluator.unknown(*opened) if opened else Result(not some, dsn)


def _isinstance(evaluator: Evaluator, node: ast.Call, frame: Frame) -> Result:
    value = evaluator.value(node.args[0], frame)
    kinds = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
    names = [ast.unparse(kind) for kind in kinds]
    if not value.known or not all(name in _TYPES or name.rpartition(".")[2] in _WRAPPERS for name in names):
        return Result(OPEN, value.dsn)
    if value.dsn and isinstance(value.value, str) and any(name not in _TYPES for name in names) and "str" not in names:
        return Result(OPEN)  # whether the DSN is a plain text or one of pydantic's URLs is not about the DSN's text
    return Result(isinstance(value.value, tuple(_TYPES[name] for name in names if name in _TYPES)), value.dsn)


def _method(evaluator: Evaluator, node: ast.Call, frame: Frame) -> Result | None:
    if not isinstance(node.func, ast.Attribute) or constant(frame.module.qualify(node.func)) is not None:
        return None
    owner = evaluator.value(node.func.value, frame)
    name = node.func.attr
    if not owner.known:
        if owner.dsn:
            return evaluator.unknown(owner)
        return None
    if name in _SAME and isinstance(owner.value, str):
        return owner
    kind = next((kind for kind in _METHODS if isinstance(owner.value, kind)), None)
    if kind is None or name not in _METHODS[kind] or node.keywords:
        return evaluator.unknown(owner) if owner.dsn else None
    arguments = [evaluator.value(item, frame) for item in node.args]
    dsn = owner.dsn or any(item.dsn for item in arguments)
    if not all(item.known for item in arguments):
        return evaluator.unknown(owner, *arguments)
    evaluator.about |= dsn and name not in _SPACE
    values: list[Any] = [item.value for item in arguments]
    found = getattr(owner.value, name)(*values)
    return Result(list(found) if kind is dict and name != "get" else found, dsn)


# --- functions of the repository -------------------------------------------------------------------


def of_object(evaluator: Evaluator, node: ast.Attribute, frame: Frame) -> Result | None:
    """The property ``node`` of an object whose class stands in the repository."""
    base = evaluator.resolver.value(node.value, frame.scope)
    found = _member(evaluator, base, node.attr)
    if found is None or not any("property" in ast.unparse(item) for item in found[1].decorator_list):
        return None
    return run(evaluator, found[1], found[0], {}, {"self": base}, frame.depth)


def _member(evaluator: Evaluator, base: Value, name: str) -> tuple[Module, FunctionNode] | None:
    if base.kind not in {"instance", "class"} or base.cls is None:
        return None
    for ref in ancestry(evaluator.resolver, base.cls).classes:
        for item in ref.node.body:
            if isinstance(item, FunctionNode) and item.name == name:
                return ref.module, item
    return None


def _own(evaluator: Evaluator, node: ast.Call, arguments: list[Result], frame: Frame) -> Result | None:
    """A call of a function or method of the repository, run for the sample."""
    callee = evaluator.resolver.value(node.func, frame.scope)
    bindings: dict[str, Value] = {}
    skip = 0
    if (inner := _inner(node.func, frame)) is not None:
        module, function = frame.module, inner
    elif callee.kind == "function" and callee.function is not None and callee.module is not None:
        module, function = callee.module, callee.function
    elif isinstance(node.func, ast.Attribute):
        base = evaluator.resolver.value(node.func.value, frame.scope)
        found = _member(evaluator, base, node.func.attr)
        if found is None:
            return None
        module, function = found
        if not any(ast.unparse(item) == "staticmethod" for item in function.decorator_list):
            skip = 1
            bindings["self"] = bindings["cls"] = base
    else:
        return None
    bindings |= bind(evaluator.resolver, function, node, frame.scope, skip=skip)
    names = [item.arg for item in (*function.args.posonlyargs, *function.args.args)][skip:]
    given = dict(zip(names, arguments, strict=False))
    given |= {item.arg: evaluator.value(item.value, frame) for item in node.keywords if item.arg}
    return run(evaluator, function, module, given, bindings, frame.depth)


def _inner(node: ast.expr, frame: Frame) -> FunctionNode | None:
    """A function that is defined inside the function around the call."""
    around = frame.scope.function
    if around is None or not isinstance(node, ast.Name):
        return None
    return next(
        (
            item
            for item in ast.walk(around)
            if isinstance(item, FunctionNode) and item.name == node.id and item is not around
        ),
        None,
    )


def run(
    evaluator: Evaluator,
    function: FunctionNode,
    module: Module,
    given: dict[str, Result],
    bindings: dict[str, Value],
    depth: int,
) -> Result:
    """What ``function`` returns with its parameters ``given``; raises ``Raised`` if it raises."""
    from sentry_audit.python.execution import execute

    if depth > _DEPTH or any(isinstance(item, ast.Yield | ast.YieldFrom) for item in ast.walk(function)):
        return evaluator.unknown(*given.values())
    scope = Scope(module, {name: value for name, value in bindings.items() if name not in given}, function)
    frame = Frame(scope, dict(given), depth + 1)
    positional = [*function.args.posonlyargs, *function.args.args]
    defaults = dict(
        zip(
            [item.arg for item in positional][len(positional) - len(function.args.defaults) :],
            function.args.defaults,
            strict=True,
        )
    )
    defaults |= {
        item.arg: value
        for item, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if value
    }
    for name, value in defaults.items():
        if name not in given and name not in bindings:
            frame.locals[name] = evaluator.value(value, Frame(Scope(module), {}, depth + 1))
    outcome = execute(evaluator, function.body, frame)
    if outcome.kind == "raise":
        raise Raised(outcome.name)
    if outcome.kind == "open":
        return Result(OPEN, outcome.dsn)
    return outcome.result
