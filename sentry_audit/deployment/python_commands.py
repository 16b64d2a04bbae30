"""Python scripts that build a gcloud command: as a list, a string, or from a mapping of variables.

A function that builds one is read once for each set of known arguments that the script calls it with.
"""

from __future__ import annotations

import ast
import re
from posixpath import dirname
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import Hint, is_parameter
from sentry_audit.deployment.found import KINDS
from sentry_audit.deployment.gcloud import understand
from sentry_audit.deployment.location import configured
from sentry_audit.deployment.python_bindings import (
    FUNCTIONS,
    allowed,
    attributes_of,
    closed,
    collect,
    defaults_of,
    field_names,
    hints_in,
    locations,
)
from sentry_audit.deployment.python_conditions import hints_of, outcome, taken
from sentry_audit.deployment.python_texts import Scope, each, resolve, split, text, words
from sentry_audit.model import Evidence, Problem
from sentry_audit.python import syntax

if TYPE_CHECKING:
    from sentry_audit.deployment.scripts import Scripts
    from sentry_audit.python.module import FunctionNode
    from sentry_audit.python.program import Files

_DEPLOYS = re.compile(r"gcloud\W+(?:\w+\W+)?run\W+(?:deploy|services|jobs|worker)")
_CALLERS = 3
_MOST = 32


def read(files: Files, scripts: Scripts, path: str) -> None:
    """The deployments that the commands of a Python file make; a problem for one that Python cannot parse."""
    content = files.text(path)
    if content is None:
        return  # the tree says why
    try:
        tree = syntax.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if _DEPLOYS.search(content):
            here = Evidence(path, getattr(error, "lineno", None), None, None, "syntax error")
            reason = "Python cannot parse it, and it may deploy"
            scripts.found.problems.append(Problem("repo", KINDS, reason, f"fix the syntax of {path}", here))
        return
    _Script(tree, path, content, scripts).read()


class _Script:
    def __init__(self, tree: ast.Module, path: str, content: str, scripts: Scripts) -> None:
        self.tree = tree
        self.path = path
        self.content = content
        self.scripts = scripts
        self.look = scripts.inputs.seen_from("", dirname(path), path=path)
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self.module: Scope = {}
        self.calls: dict[str, list[ast.Call]] = {}
        self.wrappers: set[str] = set()
        self._bound: dict[tuple[FunctionNode, int, int], list[tuple[Scope, list[Hint]]]] = {}
        self._assigned: dict[FunctionNode, Scope] = {}

    def read(self) -> None:
        collect(self.tree.body, self.module)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                self.calls.setdefault(name, []).append(node)
            elif isinstance(node, ast.ClassDef):
                self._fields(node)
            elif isinstance(node, FUNCTIONS) and _runs_gcloud(node):
                self.wrappers.add(node.name)
        locations(self.calls.get("add_argument", ()), self.module)
        for chosen in self._choices():
            self.visit(self.tree.body, [self.module, chosen], hints_in(chosen, "the choice"))

    def _fields(self, node: ast.ClassDef) -> None:
        """The fields of a class, in order, and their defaults."""
        order: list[ast.expr] = []
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                order.append(item.target)
                if item.value is not None:
                    self.module[f"{node.name}.{item.target.id}"] = [item.value]
        if order:
            self.module[f"class {node.name}"] = order

    def _choices(self) -> list[Scope]:
        """What an option that holds the environment may be: ``add_argument("--env", choices=[…])``."""
        for call in self.calls.get("add_argument", []):
            name = next((item.value for item in call.args if isinstance(item, ast.Constant) and isinstance(item.value, str)
                         and not (item.value.startswith("-") and not item.value.startswith("--"))), "")  # fmt: skip
            name = name.lstrip("-").replace("-", "_")
            listed = next((item.value for item in call.keywords if item.arg == "choices"), None)
            if listed is not None and is_parameter(name):
                rounds = each(ast.Name(name, ast.Store()), listed, [self.module])
                if rounds:
                    return [{f".{name}": item[name]} for item in rounds[:_MOST]]
        return [{}]

    # --- statements --------------------------------------------------------------------------------

    def visit(self, body: list[ast.stmt], scopes: list[Scope], hints: list[Hint]) -> None:
        for statement in body:
            if isinstance(statement, FUNCTIONS):
                self._function(statement, scopes, hints)
            elif isinstance(statement, ast.ClassDef):
                for made, more in self._made(statement, scopes):
                    self.visit(statement.body, [*scopes, made], [*more, *hints])
            elif isinstance(statement, ast.If):
                self._if(statement, scopes, hints)
            elif isinstance(statement, ast.For):
                for inner in each(statement.target, statement.iter, scopes) or [Scope()]:
                    self.visit(statement.body, [*scopes, inner], [*hints_in(inner, "the loop"), *hints])
            elif isinstance(statement, ast.With | ast.Try | ast.While | ast.AsyncWith):
                for name in ("body", "orelse", "finalbody"):
                    self.visit(getattr(statement, name, []), scopes, hints)
                for handler in getattr(statement, "handlers", []):
                    self.visit(handler.body, scopes, hints)
                for item in getattr(statement, "items", []):
                    self._commands(ast.Expr(item.context_expr), scopes, hints)
            else:
                self._commands(statement, scopes, hints)

    def _function(self, function: FunctionNode, scopes: list[Scope], hints: list[Hint]) -> None:
        for bound, more in self._bindings(function, scopes, _CALLERS)[:_MOST]:
            inner: Scope = {}
            around = [*scopes, bound]
            body = taken(function.body, around)
            collect(body, inner)
            self.visit(body, [*around, inner], [*more, *hints])

    def _if(self, statement: ast.If, scopes: list[Scope], hints: list[Hint]) -> None:
        holds = outcome(statement.test, scopes)
        if holds is not False:
            self.visit(statement.body, scopes, [*hints_of(statement.test), *hints])
        if holds is not True:
            self.visit(statement.orelse, scopes, hints)

    def _commands(self, statement: ast.stmt, scopes: list[Scope], hints: list[Hint]) -> None:
        for node in ast.walk(statement):
            if isinstance(node, ast.List | ast.Tuple) and _starts(node, scopes):
                self._keep(_command(statement, node, scopes), node.lineno, hints)
            elif isinstance(node, ast.Call) and (handed := self._handed(node, scopes)):
                self._keep(handed, node.lineno, hints)
            elif isinstance(node, ast.Call):
                for argument in node.args[:1]:
                    if isinstance(argument, ast.Constant | ast.JoinedStr) and "gcloud" in (
                        plain := text(argument, scopes)
                    ):
                        self._keep(split(plain), argument.lineno, hints)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant | ast.JoinedStr | ast.BinOp):
                if "gcloud run" in (plain := text(node.value, scopes)):
                    self._keep(split(plain), node.lineno, hints)

    def _handed(self, call: ast.Call, scopes: list[Scope]) -> list[str]:
        """The command of ``gcloud("run", "deploy", …)`` or ``gcloud(["run", …])``, where the function puts gcloud in front."""
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if not call.args or (name not in self.wrappers and "gcloud" not in name.lower()):
            return []
        given = words(ast.List(call.args, ast.Load()), scopes)
        if given[:1] != ["run"] and given[:1] not in (["beta"], ["alpha"], ["builds"]):
            given = words(call.args[0], scopes)
        return ["gcloud", *given] if given[:1] in (["run"], ["beta"], ["alpha"], ["builds"]) else []

    def _keep(self, command: list[str], line: int, hints: list[Hint]) -> None:
        change = understand(tuple(command), line, self.look) if command else None
        if change is not None:
            self.scripts.keep(change, self.path, self.content, line, "script", hints, "")
        elif command:
            self.scripts.place = configured(self.scripts.place, command)

    # --- callers -----------------------------------------------------------------------------------

    def _bindings(self, function: FunctionNode, scopes: list[Scope], depth: int) -> list[tuple[Scope, list[Hint]]]:
        """The sets of known arguments that a function is called with, and what they tell of the environment.

        Of ``scopes`` only the module and the choice count, so each function is followed once per ``depth``.
        """
        key = (function, depth, id(scopes[1]))
        if key not in self._bound:
            self._bound[key] = self._called(function, scopes, depth)
        return self._bound[key]

    def _called(self, function: FunctionNode, scopes: list[Scope], depth: int) -> list[tuple[Scope, list[Hint]]]:
        arguments = function.args
        names = [item.arg for item in (*arguments.posonlyargs, *arguments.args) if item.arg not in {"self", "cls"}]
        every = [*names, *(item.arg for item in arguments.kwonlyargs)]
        rest = [item.arg for item in (arguments.vararg, arguments.kwarg) if item is not None]
        unknown: Scope = {name: [] for name in (*every, *rest)}
        found: list[tuple[Scope, list[Hint]]] = []
        for call in self.calls.get(function.name, []) if depth and every else []:
            if function in self._around(call) or len(found) >= _MOST:
                continue
            for around, more in self._contexts(call, scopes, depth):
                bound = unknown | defaults_of(function)
                given = dict(zip(names, call.args, strict=False))
                given |= {item.arg: item.value for item in call.keywords if item.arg in every}
                for name, value in given.items():
                    known = resolve(value, around)
                    bound[name] = [closed(known, around)] if known is not None else []
                found.append((bound, [*hints_in(bound, f"the call of {function.name}()"), *more]))
        if not found:
            found = [(unknown | chosen, hints_in(chosen, "the type")) for chosen in allowed(function)]
        return found

    def _contexts(self, call: ast.Call, scopes: list[Scope], depth: int) -> list[tuple[list[Scope], list[Hint]]]:
        """The scopes in which a call is made, one for each round of the loops and each call of the function around it."""
        around: list[tuple[list[Scope], list[Hint]]] = [(scopes[:2], [])]
        child: ast.AST = call
        path = [call, *self._around(call)]
        for node, child in reversed(list(zip(path[1:], path, strict=False))):
            more: list[tuple[list[Scope], list[Hint]]] = []
            for inner, hints in around:
                if isinstance(node, FUNCTIONS):
                    for bound, told in self._bindings(node, inner, depth - 1):
                        more.append(([*inner, bound, self._locals(node)], [*told, *hints]))
                elif isinstance(node, ast.For) and child in node.body:
                    rounds = each(node.target, node.iter, inner) or [Scope()]
                    more += [([*inner, item], [*hints_in(item, "the loop"), *hints]) for item in rounds]
                elif isinstance(node, ast.If) and child in (*node.body, *node.orelse):
                    holds = outcome(node.test, inner)
                    if holds is None or holds is (child in node.body):
                        more.append((inner, [*(hints_of(node.test) if child in node.body else []), *hints]))
                else:
                    more.append((inner, hints))
            around = more[:_MOST]
        return around

    def _locals(self, function: FunctionNode) -> Scope:
        """The values that the names of a function are given in its body."""
        if function not in self._assigned:
            self._assigned[function] = {}
            collect(function.body, self._assigned[function])
        return self._assigned[function]

    def _around(self, node: ast.AST) -> list[ast.AST]:
        found = []
        while (parent := self.parents.get(node)) is not None:
            found.append(parent)
            node = parent
        return found

    def _made(self, node: ast.ClassDef, scopes: list[Scope]) -> list[tuple[Scope, list[Hint]]]:
        """What the attributes of an object are, for each place where the script makes one."""
        init = next((item for item in node.body if isinstance(item, FUNCTIONS) and item.name == "__init__"), None)
        made: list[tuple[Scope, list[Hint]]] = []
        for call in self.calls.get(node.name, []):
            for around, more in self._contexts(call, scopes, _CALLERS):
                names = (
                    [item.arg for item in init.args.args[1:]] if init is not None else field_names(node, self.module)
                )
                given = dict(zip(names, call.args, strict=False)) | {
                    item.arg: item.value for item in call.keywords if item.arg
                }
                bound: Scope = defaults_of(init) if init is not None else {}
                for name, value in given.items():
                    known = resolve(value, around)
                    bound[name] = [closed(known, around)] if known is not None else []
                attributes = dict(attributes_of(init, [*around, bound])) if init is not None else bound
                held: Scope = {f".{name}": value for name, value in attributes.items()}
                made.append((held, [*hints_in(held, f"{node.name}()"), *more]))
        return made[:_MOST] or [({}, [])]


def _runs_gcloud(function: FunctionNode) -> bool:
    """Whether a function puts ``gcloud`` in front of the arguments that it is given."""
    names = {item.arg for item in (function.args.vararg, *function.args.args[:2]) if item is not None}
    for node in ast.walk(function):
        if (
            isinstance(node, ast.List)
            and node.elts
            and text(node.elts[0], []).rpartition("/")[2].removesuffix(".cmd") == "gcloud"
        ):
            if any(isinstance(item, ast.Starred) and getattr(item.value, "id", "") in names for item in node.elts):
                return True
        if isinstance(node, ast.BinOp) and isinstance(node.left, ast.List) and node.left.elts:
            if text(node.left.elts[0], []) == "gcloud" and names & {
                item.id for item in ast.walk(node.right) if isinstance(item, ast.Name)
            }:
                return True
    return False


def _starts(node: ast.List | ast.Tuple, scopes: list[Scope]) -> bool:
    return bool(node.elts) and text(node.elts[0], scopes).rpartition("/")[2] in {"gcloud", "docker"}


def _command(statement: ast.stmt, node: ast.List | ast.Tuple, scopes: list[Scope]) -> list[str]:
    """The words of a command, with what its name is given later (``command += [...]``)."""
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is node:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        if isinstance(target, ast.Name):
            return words(target, scopes)
    return words(node, scopes)
