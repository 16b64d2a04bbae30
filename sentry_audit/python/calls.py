"""What a call ends in: environment readers, settings objects, casts, and functions of the tree."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.python.values import (
    _CASTS,
    _DECOUPLE,
    _ENV_OBJECTS,
    _ENVIRON,
    _GETENV,
    _PASS_THROUGH,
    _SECRET_CLIENTS,
    Scope,
    Value,
    dynamic,
    place,
)

if TYPE_CHECKING:
    from sentry_audit.python.module import FunctionNode
    from sentry_audit.python.values import Resolver

_WRAPPERS = frozenset({"functools.lru_cache", "functools.cache", "lru_cache", "cache"})
_SECRET_PATH = re.compile(r"(?:^|/)secrets/([\w-]+)(?:/versions/|$)")


def call_value(resolver: Resolver, node: ast.Call, scope: Scope) -> Value:
    """How the call ``node`` ends; see the module's docstring for what is understood."""
    name = scope.module.qualify(node.func)
    if name in _GETENV:
        return _environment(resolver, node, scope)
    if name.startswith(_DECOUPLE):
        return _environment(resolver, node, scope, cast=_cast_of(node, scope))
    if name in _CASTS and node.args:
        return _converted(resolver.value(node.args[0], scope), name)
    if name in {"typing.cast", "cast"} and len(node.args) == 2:
        return resolver.value(node.args[1], scope)
    if name == "getattr" and len(node.args) >= 2:
        return _getattr(resolver, node, scope)
    if isinstance(node.func, ast.Attribute):
        special = _method(resolver, node, node.func, scope)
        if special is not None:
            return special
    return _called(resolver, node, scope)


def _converted(value: Value, how: str) -> Value:
    """What ``float(…)`` and its like make of a value: of a variable, of a text, of each alternative."""
    if value.kind == "env":
        return replace(value, cast=how)
    if how not in {"float", "int"}:
        return value
    if value.kind == "either":
        return replace(value, options=tuple(_converted(option, how) for option in value.options))
    if value.kind == "literal" and isinstance(value.literal, str):
        try:
            return replace(value, literal=float(value.literal))
        except ValueError:
            return value
    return value


def _argument(node: ast.Call, position: int, *names: str) -> ast.expr | None:
    for keyword in node.keywords:
        if keyword.arg in names:
            return keyword.value
    return node.args[position] if len(node.args) > position else None


def _environment(resolver: Resolver, node: ast.Call, scope: Scope, cast: str = "") -> Value:
    first = _argument(node, 0, "key", "name", "var")
    key = resolver.value(first, scope) if first is not None else None
    if key is None or key.kind != "literal" or not isinstance(key.literal, str):
        return dynamic(scope.module, node, "the variable's name is computed")
    fallback = _argument(node, 1, "default")
    default = resolver.value(fallback, scope) if fallback is not None else None
    return Value("env", names=(key.literal,), default=default, cast=cast, trail=(place(scope.module, node),))


def _cast_of(node: ast.Call, scope: Scope) -> str:
    chosen = _argument(node, 99, "cast")
    name = scope.module.qualify(chosen) if chosen is not None else ""
    return name if name in _CASTS else ""


def _getattr(resolver: Resolver, node: ast.Call, scope: Scope) -> Value:
    name = resolver.value(node.args[1], scope)
    if name.kind != "literal" or not isinstance(name.literal, str):
        return dynamic(scope.module, node, "the attribute's name is computed")
    fake = ast.copy_location(ast.Attribute(node.args[0], name.literal, ast.Load()), node)
    found = resolver.value(fake, scope)
    if len(node.args) == 3 and found.kind == "unfilled" and "does not define" in found.reason:
        default = resolver.value(node.args[2], scope)
        return Value("unfilled", literal=default.literal, reason=found.reason, trail=(*found.trail, *default.trail))
    return found


def _secret_name(node: ast.Call) -> str | None:
    """The secret that a call of Secret Manager's client names: ``projects/p/secrets/NAME/versions/latest``."""
    texts = [item.value for item in ast.walk(node) if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return next((match[1] for text in texts if (match := _SECRET_PATH.search(text))), None)


def _method(resolver: Resolver, node: ast.Call, func: ast.Attribute, scope: Scope) -> Value | None:
    if func.attr in _SECRET_CLIENTS:
        unseen = dynamic(scope.module, node, "read from a secret store while the program runs")
        return replace(unseen, literal=_secret_name(node))
    if func.attr in _PASS_THROUGH:
        return resolver.value(func.value, scope)
    if func.attr == "get" and scope.module.qualify(func.value).endswith("environ"):
        return _environment(resolver, node, scope)
    base = resolver.value(func.value, scope)
    if base.kind == "dynamic" and base.call is not None:
        made_by = base.module.qualify(base.call.func) if base.module else ""
        if made_by.startswith(_ENV_OBJECTS):
            kind = func.attr if func.attr in {"bool", "float", "int"} else _cast_of(node, scope)
            return _environment(resolver, node, scope, cast=kind)
    if func.attr == "get" and node.args:
        key = resolver.value(node.args[0], scope)
        if base.kind == "literal" and isinstance(base.literal, ast.Dict):
            default = resolver.value(node.args[1], scope) if len(node.args) > 1 else None
            return resolver.pick(base.literal, key, node, scope, default)
        if base.kind == "instance" and key.kind == "literal" and isinstance(key.literal, str):
            return resolver.member(base, key.literal, node, scope)
        if base.kind == "env" and scope.module.qualify(func.value) in _ENVIRON:
            return _environment(resolver, node, scope)
    if base.kind in {"instance", "class"}:
        from sentry_audit.python.settings import method_value

        return method_value(resolver, base, func.attr, node, scope)
    return None


def bind(resolver: Resolver, function: FunctionNode, node: ast.Call, scope: Scope, skip: int = 0) -> dict[str, Value]:
    """The parameters of ``function`` as the call ``node`` gives them; ``skip`` leaves out ``self``."""
    args = function.args
    names = [item.arg for item in (*args.posonlyargs, *args.args)][skip:]
    bound = {
        name: resolver.value(value, scope)
        for name, value in zip(names, node.args, strict=False)
        if not isinstance(value, ast.Starred)
    }
    known = {*names, *(item.arg for item in args.kwonlyargs)}
    for keyword in node.keywords:
        if keyword.arg in known and keyword.arg is not None:
            bound[keyword.arg] = resolver.value(keyword.value, scope)
    return bound


def _called(resolver: Resolver, node: ast.Call, scope: Scope) -> Value:
    callee = resolver.value(node.func, scope)
    if callee.kind == "either":
        useful = [option for option in callee.options if option.kind in {"class", "function"}]
        if len(useful) == 1:
            callee = useful[0]
    if callee.kind == "class":
        return Value(
            "instance", cls=callee.cls, call=node, module=scope.module, trail=(*callee.trail, place(scope.module, node))
        )
    if callee.kind == "function" and callee.function is not None and callee.module is not None:
        bindings = bind(resolver, callee.function, node, scope)
        return resolver.call_function(callee.function, callee.module, bindings).via(place(scope.module, node))
    if isinstance(node.func, ast.Call) and scope.module.qualify(node.func.func) in _WRAPPERS:
        return resolver.value(ast.copy_location(ast.Call(node.args[0], [], []), node), scope) if node.args else callee
    if scope.module.qualify(node.func).startswith(_ENV_OBJECTS) or _is_env_object(callee):
        return Value(
            "dynamic",
            reason="an environment reader",
            call=node,
            module=scope.module,
            trail=(place(scope.module, node),),
        )
    if callee.kind == "dynamic" and callee.call is not None and callee.module is not None:
        if callee.module.qualify(callee.call.func).startswith(_ENV_OBJECTS):
            return _environment(resolver, node, scope, cast=_cast_of(node, scope))
    return Value(
        "dynamic",
        reason=f"{scope.module.source(node.func, 60)}() is not in the repository"
        if not callee.reason
        else callee.reason,
        call=node,
        module=scope.module,
        trail=(place(scope.module, node),),
    )


def _is_env_object(callee: Value) -> bool:
    return callee.kind == "dynamic" and callee.reason.startswith("Env comes from the package environ")
