"""What the names of a Python deploy script hold: assignments, defaults, attributes of objects, choices of arguments."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import is_parameter
from sentry_audit.deployment.python_texts import Scope, each, pairs, resolve, text, values, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sentry_audit.deployment.environments import Hint
    from sentry_audit.python.module import FunctionNode

_LOCATION = re.compile(r"^(?:gcp_|google_)?(?:cloud_)?(?:project(?:_id)?|region|location)$")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def collect(body: list[ast.stmt], scope: Scope) -> None:
    """The values that each name of a body is given: assigned, added, appended, extended."""
    for statement in body:
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                scope[node.targets[0].id] = [node.value]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                scope[node.target.id] = [node.value]
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                scope.setdefault(node.target.id, []).append(node.value)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                owner, key = node.targets[0].value, node.targets[0].slice
                if isinstance(owner, ast.Name):
                    scope.setdefault(owner.id, []).append(ast.Dict([key], [node.value]))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                owner, item = node.func.value, node.args[0]
                if isinstance(owner, ast.Name) and node.func.attr in {"append", "extend", "update"}:
                    more = ast.List(elts=[item], ctx=ast.Load()) if node.func.attr == "append" else item
                    scope.setdefault(owner.id, []).append(more)


def locations(calls: Iterable[ast.Call], scope: Scope) -> None:
    """The defaults of options that name the project or the region: ``add_argument("--region", default="us-east1")``."""
    for call in calls:
        given = [item.value for item in call.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        name = next((item[2:].replace("-", "_") for item in given if item.startswith("--")), "")
        default = next((item.value for item in call.keywords if item.arg == "default"), None)
        if default is not None and _LOCATION.match(name):
            scope.setdefault(f".{name}", [default])


def field_names(node: ast.ClassDef, module: Scope) -> list[str]:
    """The fields of a class, in the order in which its objects are given them."""
    return [item.id for item in values(f"class {node.name}", [module]) if isinstance(item, ast.Name)]


def attributes_of(init: FunctionNode, scopes: list[Scope]) -> Iterator[tuple[str, list[ast.expr]]]:
    """(attribute, its values) for each that ``__init__`` gives its object."""
    for item in ast.walk(init):
        if isinstance(item, ast.Assign | ast.AnnAssign) and item.value is not None:
            target = item.targets[0] if isinstance(item, ast.Assign) else item.target
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
                known = resolve(item.value, scopes)
                yield target.attr, [closed(known, scopes)] if known is not None else []


def closed(node: ast.expr, scopes: list[Scope]) -> ast.expr:
    """A value with the names of its own scope put in, so that it means the same elsewhere."""
    match node:
        case ast.Constant() | ast.Set():
            return node
        case ast.List(elts=items) | ast.Tuple(elts=items):
            kind = ast.List if isinstance(node, ast.List) else ast.Tuple
            return kind([_part(item, scopes) for item in items], ast.Load())
        case ast.Call(func=ast.Name()):
            return node
    if (table := pairs(node, scopes)) is not None:
        return ast.Dict([key for key, _ in table], [_part(value, scopes) for _, value in table])
    if listed := words(node, scopes):
        return ast.List([ast.Constant(word) for word in listed], ast.Load())
    return ast.Constant(text(node, scopes))


def _part(node: ast.expr, scopes: list[Scope]) -> ast.expr:
    known = None if isinstance(node, ast.Starred) else resolve(node, scopes)
    return node if known is None else closed(known, scopes)


def defaults_of(function: FunctionNode) -> Scope:
    """The parameters that have a default, with it."""
    positional = [*function.args.posonlyargs, *function.args.args]
    given = zip(reversed(positional), reversed(function.args.defaults), strict=False)
    found: Scope = {item.arg: [value] for item, value in given}
    return found | {
        item.arg: [value]
        for item, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if value
    }


def allowed(function: FunctionNode) -> list[Scope]:
    """``env: Literal["staging", "production"]`` and ``click.Choice([…])`` say what an argument may be."""
    for item in (*function.args.args, *function.args.kwonlyargs):
        if not is_parameter(item.arg):
            continue
        match item.annotation:
            case ast.Subscript(value=owner, slice=ast.Tuple(elts=elements)) if ast.unparse(owner).endswith("Literal"):
                return [{item.arg: [element]} for element in elements]
        for decorator in function.decorator_list:
            for node in ast.walk(decorator):
                if (
                    isinstance(node, ast.Call)
                    and ast.unparse(node.func).endswith("Choice")
                    and f"--{item.arg}" in ast.unparse(decorator)
                ):
                    rounds = each(ast.Name(item.arg, ast.Store()), node.args[0], []) if node.args else None
                    return rounds or [{}]
    return [{}]


def hints_in(scope: Scope, what: str) -> list[Hint]:
    """What the arguments that hold an environment's name tell."""
    found: list[Hint] = []
    for name, given in scope.items():
        plain = name.lstrip(".")
        if is_parameter(plain) and len(given) == 1 and isinstance(given[0], ast.Constant):
            found.append((str(given[0].value), f"{what} ({plain})"))
    return found
