"""Python scripts that build a gcloud command: as a list, a string, or from a mapping of variables."""

from __future__ import annotations

import ast
import re
import shlex
from posixpath import dirname
from typing import TYPE_CHECKING

from sentry_audit.deployment.found import KINDS
from sentry_audit.deployment.gcloud import understand
from sentry_audit.model import Evidence, Problem
from sentry_audit.python import syntax

if TYPE_CHECKING:
    from sentry_audit.deployment.scripts import Scripts
    from sentry_audit.python.program import Files

_DEPTH = 12
_DEPLOYS = re.compile(r"gcloud\W+(?:\w+\W+)?run\W+(?:deploy|services|jobs|worker)")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Scope = dict[str, list[ast.expr]]


def read(files: Files, scripts: Scripts, path: str) -> None:
    """The deployments that the commands of a Python file make; a problem for one that Python cannot parse."""
    text = files.text(path)
    if text is None:
        return  # the tree says why
    try:
        tree = syntax.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if _DEPLOYS.search(text):
            here = Evidence(path, getattr(error, "lineno", None), None, None, "syntax error")
            reason = "Python cannot parse it, and it may deploy"
            scripts.found.problems.append(Problem("repo", KINDS, reason, f"fix the syntax of {path}", here))
        return
    module: Scope = {}
    _collect(tree.body, module)
    _visit(tree.body, [module], path, text, scripts)


def _collect(body: list[ast.stmt], scope: Scope) -> None:
    """The values that each name of a body is given: assigned, added, appended, extended."""
    for statement in body:
        if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                scope[node.targets[0].id] = [node.value]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                scope[node.target.id] = [node.value]
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                scope.setdefault(node.target.id, []).append(node.value)
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
            ):
                if node.func.attr in {"append", "extend"} and node.args:
                    item = node.args[0]
                    more = ast.List(elts=[item], ctx=ast.Load()) if node.func.attr == "append" else item
                    scope.setdefault(node.func.value.id, []).append(more)


def _visit(body: list[ast.stmt], scopes: list[Scope], path: str, text: str, scripts: Scripts) -> None:
    for statement in body:
        if isinstance(statement, _FUNCTIONS):
            inner: Scope = {}
            _collect(statement.body, inner)
            _visit(statement.body, [*scopes, inner], path, text, scripts)
            continue
        if isinstance(statement, ast.ClassDef):
            _visit(statement.body, scopes, path, text, scripts)
            continue
        for node in ast.walk(statement):
            if isinstance(node, (ast.List, ast.Tuple)) and _starts(node, scopes):
                _keep(_command(statement, node, scopes), node.lineno, path, text, scripts)
            elif isinstance(node, ast.Call):
                for argument in node.args[:1]:
                    if isinstance(argument, (ast.Constant, ast.JoinedStr)) and "gcloud" in (
                        plain := _text(argument, scopes, 0)
                    ):
                        _keep(_split(plain), argument.lineno, path, text, scripts)
            elif isinstance(node, ast.Assign) and isinstance(node.value, (ast.Constant, ast.JoinedStr)):
                if "gcloud run" in (plain := _text(node.value, scopes, 0)):
                    _keep(_split(plain), node.lineno, path, text, scripts)


def _starts(node: ast.List | ast.Tuple, scopes: list[Scope]) -> bool:
    return bool(node.elts) and _text(node.elts[0], scopes, 0).rpartition("/")[2] in {"gcloud", "docker"}


def _command(statement: ast.stmt, node: ast.List | ast.Tuple, scopes: list[Scope]) -> list[str]:
    """The words of a command, with what its name is given later (``command += [...]``)."""
    if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is node:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        if isinstance(target, ast.Name):
            return _words(target, scopes, 0)
    return _words(node, scopes, 0)


def _keep(words: list[str], line: int, path: str, text: str, scripts: Scripts) -> None:
    look = scripts.inputs.seen_from("", dirname(path), path=path)
    change = understand(tuple(words), line, look) if words else None
    if change is not None:
        scripts.keep(change, path, text, line, "script", (), "")


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text.replace("\\\n", " "))
    except ValueError:
        return text.split()


def _values(name: str, scopes: list[Scope]) -> list[ast.expr]:
    return next((scope[name] for scope in reversed(scopes) if name in scope), [])


def _words(node: ast.expr, scopes: list[Scope], depth: int) -> list[str]:
    """A list expression as words; what is not known is a word ``$name``."""
    if depth > _DEPTH:
        return []
    if isinstance(node, (ast.List, ast.Tuple)):
        return [word for item in node.elts for word in _item(item, scopes, depth)]
    if isinstance(node, ast.Name):
        return [word for value in _values(node.id, scopes) for word in _words(value, scopes, depth + 1)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_words(node.left, scopes, depth + 1), *_words(node.right, scopes, depth + 1)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "split":
        return _split(_text(node.func.value, scopes, depth + 1))
    return []


def _item(node: ast.expr, scopes: list[Scope], depth: int) -> list[str]:
    return _words(node.value, scopes, depth + 1) if isinstance(node, ast.Starred) else [_text(node, scopes, depth)]


def _text(node: ast.expr, scopes: list[Scope], depth: int) -> str:
    """A string expression, its unknown parts as ``$name``."""
    if depth > _DEPTH:
        return ""
    match node:
        case ast.Constant(value=str() as value):
            return value
        case ast.Constant(value=value):
            return str(value)
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, scopes, depth + 1) for part in parts)
        case ast.FormattedValue(value=value):
            return _text(value, scopes, depth + 1)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, scopes, depth + 1) + _text(right, scopes, depth + 1)
        case ast.Name(id=name):
            values = _values(name, scopes)
            return _text(values[0], scopes, depth + 1) if len(values) == 1 and _is_text(values[0]) else f"${{{name}}}"
        case ast.Call(func=ast.Attribute(value=separator, attr="join"), args=[argument]):
            return _text(separator, scopes, depth + 1).join(_joined(argument, scopes, depth + 1))
        case ast.Attribute(attr=name):
            return f"${{{name}}}"
    return "$_"


def _is_text(node: ast.expr) -> bool:
    return not isinstance(node, (ast.List, ast.Dict, ast.Set, ast.Tuple))


def _joined(node: ast.expr, scopes: list[Scope], depth: int) -> list[str]:
    """What ``",".join(…)`` joins: a list, or ``f"{k}={v}" for k, v in VARIABLES.items()``."""
    if not isinstance(node, (ast.GeneratorExp, ast.ListComp)):
        return _words(node, scopes, depth)
    generator = node.generators[0]
    source = (
        generator.iter.func.value
        if isinstance(generator.iter, ast.Call) and isinstance(generator.iter.func, ast.Attribute)
        else generator.iter
    )
    tables = _values(source.id, scopes) if isinstance(source, ast.Name) else [source]
    found: list[str] = []
    for table in tables:
        if isinstance(table, ast.Dict) and isinstance(generator.target, ast.Tuple) and len(generator.target.elts) == 2:
            names = [item.id if isinstance(item, ast.Name) else "" for item in generator.target.elts]
            for key, value in zip(table.keys, table.values, strict=True):
                if key is not None:
                    inner = dict(zip(names, ([key], [value]), strict=True))
                    found.append(_text(node.elt, [*scopes, inner], depth + 1))
        elif isinstance(table, (ast.List, ast.Tuple)) and isinstance(generator.target, ast.Name):
            found += [_text(node.elt, [*scopes, {generator.target.id: [item]}], depth + 1) for item in table.elts]
    return found or ["$_"]
