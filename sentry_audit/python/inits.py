"""Calls of ``sentry_sdk.init``: where they stand and with which options."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct, field

from sentry_audit.python.values import Resolver, Scope, Value, place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.model import Evidence
    from sentry_audit.python.module import FunctionNode, Module
    from sentry_audit.python.program import Program

_INIT = ("sentry_sdk.init", "sentry_sdk.api.init", "sentry_sdk.client.init")


class InitCall(Struct, eq=False):
    """One call of ``sentry_sdk.init``. ``options`` are its keyword expressions, ``**mapping`` merged in.

    ``open`` is set when some options could not be read (``**kwargs`` of unknown content).
    """

    module: Module
    call: ast.Call
    options: dict[str, tuple[ast.expr, Scope]] = field(default_factory=dict)
    open: bool = False

    @property
    def evidence(self) -> Evidence:
        """Where the call stands."""
        return place(self.module, self.call, self.module.source(self.call, 60))

    @property
    def function(self) -> FunctionNode | None:
        """The function that makes the call, if it is not made at import time."""
        return self.module.function_of(self.call)

    def option(self, name: str, resolver: Resolver, bindings: dict[str, Value] | None = None) -> Value | None:
        """How the option ``name`` ends, or None if it is not passed."""
        if name not in self.options:
            return None
        expression, scope = self.options[name]
        if bindings and scope.function is self.function:
            scope = Scope(scope.module, bindings, scope.function)
        return resolver.value(expression, scope)


def is_init(module: Module, call: ast.Call) -> bool:
    """Whether ``call`` is Sentry's init, through aliases and re-exports of the SDK."""
    name = module.qualify(call.func)
    return name in _INIT or (name.endswith(".sentry_sdk.init") and not name.startswith("."))


def find(program: Program, paths: Iterable[str]) -> list[InitCall]:
    """The init calls in ``paths``, in order of file and line."""
    found = []
    for path in paths:
        text = program.files.text(path)
        if text is None or "sentry_sdk" not in text or "init" not in text:
            continue
        module = program.module(path)
        if module is not None:
            found += [_read(program, module, call) for call in module.calls if is_init(module, call)]
    return sorted(found, key=lambda item: (item.module.path, item.call.lineno))


def _read(program: Program, module: Module, call: ast.Call) -> InitCall:
    init = InitCall(module, call)
    scope = Scope(module, {}, module.function_of(call))
    if call.args and not isinstance(call.args[0], ast.Starred):
        init.options["dsn"] = (call.args[0], scope)
    for keyword in call.keywords:
        if keyword.arg is not None:
            init.options[keyword.arg] = (keyword.value, scope)
        else:
            _merge(program, init, keyword.value, scope)
    return init


def _merge(program: Program, init: InitCall, node: ast.expr, scope: Scope) -> None:
    """Take the options out of ``**mapping``: a dict literal, ``dict(…)``, and later ``mapping[…] =``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        init.options |= {item.arg: (item.value, scope) for item in node.keywords if item.arg}
        return
    value = Resolver(program).value(node, scope)
    literal = value.literal
    if value.kind != "literal" or not isinstance(literal, ast.Dict):
        init.open = True
        return
    for key, entry in zip(literal.keys, literal.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            init.options.setdefault(key.value, (entry, scope))
        else:
            init.open = True
    if isinstance(node, ast.Name) and scope.function is not None:
        for item in ast.walk(scope.function):
            if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Subscript):
                target = item.targets[0]
                if (
                    isinstance(target.value, ast.Name)
                    and target.value.id == node.id
                    and isinstance(target.slice, ast.Constant)
                ):
                    init.options[str(target.slice.value)] = (item.value, scope)
