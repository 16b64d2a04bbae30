"""Application factories: the module that calls one at its top, which is what a server is given."""

from __future__ import annotations

import ast
from posixpath import basename
from typing import TYPE_CHECKING

from sentry_audit.python.paths import deployed

if TYPE_CHECKING:
    from collections.abc import Container
    from typing import TypeAlias

    from sentry_audit.python.module import Module
    from sentry_audit.python.program import Program

    #: A file, a line of it, and what stands there.
    Place: TypeAlias = tuple[str, int, str]


def factory_call(program: Program, module: Module, makers: Container[str], names: Container[str]) -> Place | None:
    """Where a file called one of ``names`` says ``app = create_app()`` with the factory of ``module``.

    ``makers`` are the classes of applications. None where ``module`` makes its application at its top, or where no file,
    or more than one, calls the factory there.
    """
    calls = [call for call in module.calls if module.qualify(call.func) in makers]
    functions = {found.name for call in calls if (found := module.function_of(call)) is not None}
    if not functions or any(module.function_of(call) is None for call in calls):
        return None
    places = [
        (path, statement.lineno, ast.unparse(statement)[:50])
        for path in program.files.search(sorted(functions), ".py")
        if path != module.path and basename(path) in names and deployed(path)
        for other in (program.module(path),)
        if other is not None
        for statement in other.tree.body
        if _calls(program, other, statement, functions, module.path)
    ]
    return places[0] if len(places) == 1 else None


def application(module: Module, makers: Container[str]) -> tuple[str, bool]:
    """(the name in ``module`` that a server is given, whether it is a factory); ``("", False)`` where there is none.

    ``makers`` are the classes of applications. A factory is a function that can be called without arguments.
    """
    functions: dict[str, bool] = {}
    for call in module.calls:
        if module.qualify(call.func) not in makers:
            continue
        found = module.function_of(call)
        if found is None and isinstance(statement := module.parents.get(call), ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if isinstance(targets[0], ast.Name):
                return targets[0].id, False
        elif isinstance(found, ast.FunctionDef) and found in module.tree.body:
            given = found.args
            needs = len(given.posonlyargs) + len(given.args) > len(given.defaults) or None in given.kw_defaults
            functions[found.name] = not needs
    for statement in module.tree.body:
        if (
            isinstance(statement, ast.Assign)
            and isinstance(statement.value, ast.Call)
            and isinstance(statement.targets[0], ast.Name)
        ):
            called = statement.value.func
            if isinstance(called, ast.Name) and called.id in functions:
                return statement.targets[0].id, False
    return next(((name, True) for name, callable_ in functions.items() if callable_), ("", False))


def _calls(program: Program, module: Module, statement: ast.stmt, functions: Container[str], home: str) -> bool:
    """Whether a statement binds what one of ``functions``, imported from ``home``, returns."""
    value = statement.value if isinstance(statement, ast.Assign) else None
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
        return False
    item = module.aliases.get(value.func.id)
    return item is not None and item.name in functions and program.locate(item.module, module.path, item.level) == home
