"""Functions that init is given: whether an event can survive them.

The SDK drops an event whose ``before_send`` returns None or raises (sentry_sdk/client.py,
``_prepare_event``); a sampler that returns None, a string, or raises, samples nothing.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.python.truth import returns
from sentry_audit.python.values import place

if TYPE_CHECKING:
    from sentry_audit.model import Evidence
    from sentry_audit.python.module import FunctionNode, Module
    from sentry_audit.python.values import Value

_MUTATORS = frozenset({"update", "append", "extend", "clear", "sort", "insert", "remove"})
#: Keys that every event has, so that a subscript on them cannot fail.
_ALWAYS = frozenset({"event_id", "timestamp", "platform", "sdk", "release", "environment", "server_name"})
Judgement = tuple[str, str, tuple["Evidence", ...]]


def hook_problem(value: Value, module: Module) -> Judgement:
    """(what drops events, what is not known, where) of a ``before_send``."""
    function, owner = _function(value, module)
    if function is None:
        return "", f"the function could not be followed: {value.reason or value.kind}", ()
    if isinstance(function, ast.Lambda):
        nothing = _is_nothing(function.body)
        return ("it returns None for every event" if nothing else "", "", (place(owner, function),))
    here = place(owner, function, f"def {function.name}")
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function)) or isinstance(
        function, ast.AsyncFunctionDef
    ):
        return "it is not a plain function: what it returns is never an event", "", (here,)
    found = [item.value for item in returns(function) if item.value is not None]
    if not found and not all(isinstance(item, ast.Raise) for item in function.body[-1:]):
        return f"{function.name} never returns the event, so every event is dropped", "", (here,)
    if all(_is_nothing(item) for item in found):
        return f"{function.name} returns None on every path, so every event is dropped", "", (here,)
    raising = _may_raise(owner, function)
    if raising is not None:
        text = owner.source(raising, 60)
        return (
            f"{function.name} raises KeyError on events without it ({text}), and an event whose hook raises is dropped",
            "",
            (place(owner, raising),),
        )
    return "", "", (here,)


def sampler_problem(value: Value, module: Module) -> Judgement:
    """(what keeps a sampler from sampling, what is not known, where)."""
    function, owner = _function(value, module)
    if function is None:
        return "", f"the sampler could not be followed: {value.reason or value.kind}", ()
    results = (
        [function.body]
        if isinstance(function, ast.Lambda)
        else [item.value for item in returns(function) if item.value is not None]
    )
    here = (place(owner, function, "the sampler"),)
    if not results:
        return "it never returns a rate, so nothing is sampled", "", here
    if all(isinstance(item, ast.Constant) and (not item.value or isinstance(item.value, str)) for item in results):
        return "it returns 0, None or a string on every path, so nothing is sampled", "", here
    return "", "", here


def _function(value: Value, module: Module) -> tuple[FunctionNode | ast.Lambda | None, Module]:
    if value.kind == "function" and value.function is not None and value.module is not None:
        return value.function, value.module
    if value.kind == "literal" and isinstance(value.literal, ast.Lambda):
        return value.literal, module
    return None, module


def _is_nothing(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return node.value is None
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATORS


def _may_raise(module: Module, function: FunctionNode) -> ast.AST | None:
    """A subscript of the event that is neither tried, nor tested, nor assigned before."""
    if not function.args.args:
        return None
    skip = 1 if function.args.args[0].arg in {"self", "cls"} else 0
    names = {argument.arg for argument in function.args.args[skip : skip + 1]}
    text = ast.unparse(function)
    for node in ast.walk(function):
        if not (
            isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and isinstance(node.slice, ast.Constant)
        ):
            continue
        key = node.slice.value
        if not (isinstance(node.value, ast.Name) and node.value.id in names and isinstance(key, str)) or key in _ALWAYS:
            continue
        around = module.ancestors(node)
        if any(isinstance(parent, ast.Try) for parent in around):
            continue
        tested = (f"'{key}' in ", f".get('{key}'", f"setdefault('{key}'", f"['{key}'] = ", f"'{key}' not in ")
        if not any(mark in text for mark in tested):
            return node
    return None
