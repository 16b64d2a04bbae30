"""Functions that init is given: whether an event can survive them.

The SDK drops an event whose ``before_send`` returns None or raises (sentry_sdk/client.py,
``_prepare_event``); a sampler that returns None, a string, or raises, samples nothing.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.python.truth import returns
from sentry_audit.python.values import place
from sentry_audit.wire import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.model import Evidence
    from sentry_audit.python.module import FunctionNode, Module
    from sentry_audit.python.values import Resolver, Scope, Value

#: Options of init that leave transactions out; ``before_send_transaction`` may.
_CHOOSING = frozenset({"traces_sampler", "ignore_transactions", "ignore_spans"})
_LOGGED = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log", "print"})
_MUTATORS = frozenset({"update", "append", "extend", "clear", "sort", "insert", "remove"})
#: Keys that every event has, so that a subscript on them cannot fail.
_ALWAYS = frozenset({"event_id", "timestamp", "platform", "sdk", "release", "environment", "server_name"})
Judgement = tuple[str, str, tuple["Evidence", ...]]


def hook_problem(value: Value, module: Module) -> Judgement:
    """(what drops events, what is not known, where) of a ``before_send``."""
    function, owner = function_of(value, module)
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


def leaves_out(options: Mapping[str, tuple[ast.expr, Scope]], resolver: Resolver) -> bool:
    """Whether ``options`` of init can leave transactions out: by a sampler, a list, or a hook that drops some of them."""
    if options.keys() & _CHOOSING:
        return True
    if "before_send_transaction" not in options:
        return False
    expression, scope = options["before_send_transaction"]
    function, _ = function_of(resolver.value(expression, scope), scope.module)
    if function is None:
        return True
    found = [function.body] if isinstance(function, ast.Lambda) else [item.value for item in returns(function)]
    event = event_of(function)
    return any(
        item is None
        or any(_hands_on(each, event) for each in branches(item))  # which may drop it
        or any(isinstance(node, ast.Constant) and node.value is None for node in ast.walk(item))
        for item in found
    )


def scrubs(function: FunctionNode | ast.Lambda) -> bool:
    """Whether a hook takes something out of events, writes over it, or has another function do so.

    One that only chooses among events, groups or tags them, does not.
    """
    event = event_of(function)
    if isinstance(function, ast.Lambda):
        return _hands_on(function.body, event)
    returned = {item.value.id for item in returns(function) if isinstance(item.value, ast.Name)}
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in returned and _hands_on(value, event):
                return True
            case ast.Assign(targets=targets) | ast.Delete(targets=targets):
                if any(_is_personal(item) for item in targets if isinstance(item, ast.Subscript)):
                    return True
            case ast.AugAssign(target=ast.Subscript() as target) if _is_personal(target):
                return True
            case ast.Call(func=ast.Attribute(attr="pop" | "clear" | "update")) if _is_personal(node):
                return True
            case ast.Return(value=ast.expr() as value) | ast.Expr(value=ast.Call() as value):
                if any(_hands_on(item, event) for item in branches(value)):
                    return True
    return False


def event_of(function: FunctionNode | ast.Lambda) -> str:
    """What a hook calls the event that it is given."""
    names = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
    return next((name for name in names if name not in {"self", "cls"}), "")


def branches(value: ast.expr) -> list[ast.expr]:
    """What an expression ends with: both sides of ``… if … else …``."""
    return [*branches(value.body), *branches(value.orelse)] if isinstance(value, ast.IfExp) else [value]


def _is_personal(node: ast.expr) -> bool:
    return PERSONAL.search(ast.unparse(node)) is not None


def _hands_on(node: ast.expr, event: str) -> bool:
    """Whether ``node`` is a call that is given the event, other than one that logs it."""
    if not isinstance(node, ast.Call) or (_name(node.func) in _LOGGED):
        return False
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    return any(isinstance(item, ast.Name) and item.id == event for item in given)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def sampler_problem(value: Value, module: Module) -> Judgement:
    """(what keeps a sampler from sampling, what is not known, where)."""
    function, owner = function_of(value, module)
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


def function_of(value: Value, module: Module) -> tuple[FunctionNode | ast.Lambda | None, Module]:
    """The function that a hook's ``value`` is and the module it stands in; ``module`` and None if it was not followed."""
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
