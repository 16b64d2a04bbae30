"""The application object of a component: where FastAPI, Starlette, Flask or Quart is called, and what it is called."""

from __future__ import annotations

import ast
from posixpath import dirname
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.python.module import FunctionNode
from sentry_audit.python.paths import deployed

if TYPE_CHECKING:
    from sentry_audit.fixing import Case
    from sentry_audit.python.module import Module

_CLASSES = {
    "fastapi.FastAPI": "fastapi",
    "fastapi.applications.FastAPI": "fastapi",
    "starlette.applications.Starlette": "starlette",
    "flask.Flask": "flask",
    "flask.app.Flask": "flask",
    "quart.Quart": "quart",
}


class App(Struct, frozen=True):
    """``name = FastAPI(…)``: the statement, the call, and the module and block that they stand in."""

    module: Module
    call: ast.Call
    statement: ast.Assign | ast.AnnAssign
    name: str
    framework: str
    block: list[ast.stmt]

    @property
    def class_name(self) -> str:
        """The class as the module calls it."""
        return ast.unparse(self.call.func)


def loaded(case: Case) -> list[str]:
    """The files that the component loads, as far as they are its own and deployed; its entry point first."""
    entry = (case.component.entry_point or "").partition(":")[0]
    if not entry:
        return []
    closure = case.program.closure([entry], deployed)
    return [path for path in closure if deployed(path)]


def find_app(case: Case) -> App | None:
    """The one application that the component serves; None where there is none in plain sight, or several."""
    path, _, attribute = (case.component.entry_point or "").partition(":")
    found: list[App] = []
    for name in loaded(case):
        text = case.files.text(name) or ""
        if not any(item.rpartition(".")[2] in text for item in _CLASSES):
            continue
        module = case.program.module(name)
        if module is not None:
            found += _apps(module)
    served = [item for item in found if item.module.path == path and item.name == attribute.removesuffix("()")]
    near = [item for item in found if item.module.path == path]
    for chosen in (served, near, found):
        if len(chosen) == 1:
            return chosen[0]
    return None


def _apps(module: Module) -> list[App]:
    found: list[App] = []
    for call in module.calls:
        framework = _CLASSES.get(module.qualify(call.func))
        statement = module.parents.get(call)
        if framework is None or not isinstance(statement, ast.Assign | ast.AnnAssign):
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        block = _block(module, statement)
        if isinstance(target, ast.Name) and block is not None:
            found.append(App(module, call, statement, target.id, framework, block))
    return found


def _block(module: Module, statement: ast.stmt) -> list[ast.stmt] | None:
    """The statements among which ``statement`` stands, where they are a module's or a function's."""
    parent = module.parents.get(statement)
    if isinstance(parent, ast.Module | FunctionNode) and statement in parent.body:
        return parent.body
    return None


def dotted(case: Case, module: Module, path: str) -> str:
    """The name by which ``module`` imports the file ``path`` (there, or to be made), as it imports its own neighbours.

    ``""`` where nothing tells which folder the component's imports start from.
    """
    stem = path.removesuffix(".py").removesuffix("/__init__")
    for item in module.imports:
        if item.level:
            continue
        target = case.program.locate(item.module, module.path)
        if target is None:
            continue
        tail = item.module.replace(".", "/")
        found = target.removesuffix(".py").removesuffix("/__init__")
        if found.endswith(tail):
            root = found[: len(found) - len(tail)]
            if stem.startswith(root):
                return stem[len(root) :].replace("/", ".")
    here = module.path.removesuffix(".py")
    for word in case.component.start:
        name = word.partition(":")[0]
        tail = name.replace(".", "/")
        if ":" in word and (f"/{here}").endswith(f"/{tail}"):
            root = here[: len(here) - len(tail)]
            return stem[len(root) :].replace("/", ".") if stem.startswith(root) else ""
    if dirname(module.path) == case.component.folder == dirname(path):
        return stem.rpartition("/")[2]
    return ""
