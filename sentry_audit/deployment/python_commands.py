"""Python scripts that build a gcloud command: as a list, a string, or from a mapping of variables.

A function that builds one is read once for each set of known arguments that the script calls it with.
"""

from __future__ import annotations

import ast
import re
from posixpath import dirname
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import Hint, canonical, is_parameter
from sentry_audit.deployment.found import KINDS
from sentry_audit.deployment.gcloud import understand
from sentry_audit.deployment.python_texts import Scope, each, pairs, resolve, split, text, values, words
from sentry_audit.model import Evidence, Problem
from sentry_audit.python import syntax

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.deployment.scripts import Scripts
    from sentry_audit.python.program import Files

_DEPLOYS = re.compile(r"gcloud\W+(?:\w+\W+)?run\W+(?:deploy|services|jobs|worker)")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_Function = ast.FunctionDef | ast.AsyncFunctionDef
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
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                owner, key = node.targets[0].value, node.targets[0].slice
                if isinstance(owner, ast.Name):
                    scope.setdefault(owner.id, []).append(ast.Dict([key], [node.value]))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                owner, item = node.func.value, node.args[0]
                if isinstance(owner, ast.Name) and node.func.attr in {"append", "extend", "update"}:
                    more = ast.List(elts=[item], ctx=ast.Load()) if node.func.attr == "append" else item
                    scope.setdefault(owner.id, []).append(more)


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
        self._bound: dict[tuple[_Function, int, int], list[tuple[Scope, list[Hint]]]] = {}
        self._assigned: dict[_Function, Scope] = {}

    def read(self) -> None:
        _collect(self.tree.body, self.module)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                self.calls.setdefault(name, []).append(node)
            elif isinstance(node, ast.ClassDef):
                self._fields(node)
            elif isinstance(node, _FUNCTIONS) and _runs_gcloud(node):
                self.wrappers.add(node.name)
        for chosen in self._choices():
            self.visit(self.tree.body, [self.module, chosen], _named(chosen, "the choice"))

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
            if isinstance(statement, _FUNCTIONS):
                self._function(statement, scopes, hints)
            elif isinstance(statement, ast.ClassDef):
                for made, more in self._made(statement, scopes):
                    self.visit(statement.body, [*scopes, made], [*more, *hints])
            elif isinstance(statement, ast.If):
                self._if(statement, scopes, hints)
            elif isinstance(statement, ast.For):
                for inner in each(statement.target, statement.iter, scopes) or [Scope()]:
                    self.visit(statement.body, [*scopes, inner], [*_named(inner, "the loop"), *hints])
            elif isinstance(statement, ast.With | ast.Try | ast.While | ast.AsyncWith):
                for name in ("body", "orelse", "finalbody"):
                    self.visit(getattr(statement, name, []), scopes, hints)
                for handler in getattr(statement, "handlers", []):
                    self.visit(handler.body, scopes, hints)
                for item in getattr(statement, "items", []):
                    self._commands(ast.Expr(item.context_expr), scopes, hints)
            else:
                self._commands(statement, scopes, hints)

    def _function(self, function: _Function, scopes: list[Scope], hints: list[Hint]) -> None:
        for bound, more in self._bindings(function, scopes, _CALLERS)[:_MOST]:
            inner: Scope = {}
            around = [*scopes, bound]
            body = _taken(function.body, around)
            _collect(body, inner)
            self.visit(body, [*around, inner], [*more, *hints])

    def _if(self, statement: ast.If, scopes: list[Scope], hints: list[Hint]) -> None:
        holds = _holds(statement.test, scopes)
        if holds is not False:
            self.visit(statement.body, scopes, [*_condition(statement.test), *hints])
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

    # --- callers -----------------------------------------------------------------------------------

    def _bindings(self, function: _Function, scopes: list[Scope], depth: int) -> list[tuple[Scope, list[Hint]]]:
        """The sets of known arguments that a function is called with, and what they tell of the environment.

        Of ``scopes`` only the module and the choice count, so each function is followed once per ``depth``.
        """
        key = (function, depth, id(scopes[1]))
        if key not in self._bound:
            self._bound[key] = self._called(function, scopes, depth)
        return self._bound[key]

    def _called(self, function: _Function, scopes: list[Scope], depth: int) -> list[tuple[Scope, list[Hint]]]:
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
                bound = unknown | _defaults(function)
                given = dict(zip(names, call.args, strict=False))
                given |= {item.arg: item.value for item in call.keywords if item.arg in every}
                for name, value in given.items():
                    known = resolve(value, around)
                    bound[name] = [_closed(known, around)] if known is not None else []
                found.append((bound, [*_named(bound, f"the call of {function.name}()"), *more]))
        if not found:
            found = [(unknown | chosen, _named(chosen, "the type")) for chosen in _literals(function)]
        return found

    def _contexts(self, call: ast.Call, scopes: list[Scope], depth: int) -> list[tuple[list[Scope], list[Hint]]]:
        """The scopes in which a call is made, one for each round of the loops and each call of the function around it."""
        around: list[tuple[list[Scope], list[Hint]]] = [(scopes[:2], [])]
        child: ast.AST = call
        path = [call, *self._around(call)]
        for node, child in reversed(list(zip(path[1:], path, strict=False))):
            more: list[tuple[list[Scope], list[Hint]]] = []
            for inner, hints in around:
                if isinstance(node, _FUNCTIONS):
                    for bound, told in self._bindings(node, inner, depth - 1):
                        more.append(([*inner, bound, self._locals(node)], [*told, *hints]))
                elif isinstance(node, ast.For) and child in node.body:
                    rounds = each(node.target, node.iter, inner) or [Scope()]
                    more += [([*inner, item], [*_named(item, "the loop"), *hints]) for item in rounds]
                elif isinstance(node, ast.If) and child in (*node.body, *node.orelse):
                    holds = _holds(node.test, inner)
                    if holds is None or holds is (child in node.body):
                        more.append((inner, [*(_condition(node.test) if child in node.body else []), *hints]))
                else:
                    more.append((inner, hints))
            around = more[:_MOST]
        return around

    def _locals(self, function: _Function) -> Scope:
        """The values that the names of a function are given in its body."""
        if function not in self._assigned:
            self._assigned[function] = {}
            _collect(function.body, self._assigned[function])
        return self._assigned[function]

    def _around(self, node: ast.AST) -> list[ast.AST]:
        found = []
        while (parent := self.parents.get(node)) is not None:
            found.append(parent)
            node = parent
        return found

    def _made(self, node: ast.ClassDef, scopes: list[Scope]) -> list[tuple[Scope, list[Hint]]]:
        """What the attributes of an object are, for each place where the script makes one."""
        init = next((item for item in node.body if isinstance(item, _FUNCTIONS) and item.name == "__init__"), None)
        made: list[tuple[Scope, list[Hint]]] = []
        for call in self.calls.get(node.name, []):
            for around, more in self._contexts(call, scopes, _CALLERS):
                names = [item.arg for item in init.args.args[1:]] if init is not None else _order(node, self.module)
                given = dict(zip(names, call.args, strict=False)) | {
                    item.arg: item.value for item in call.keywords if item.arg
                }
                bound: Scope = _defaults(init) if init is not None else {}
                for name, value in given.items():
                    known = resolve(value, around)
                    bound[name] = [_closed(known, around)] if known is not None else []
                attributes = dict(_attributes(init, [*around, bound])) if init is not None else bound
                held: Scope = {f".{name}": value for name, value in attributes.items()}
                made.append((held, [*_named(held, f"{node.name}()"), *more]))
        return made[:_MOST] or [({}, [])]


def _runs_gcloud(function: _Function) -> bool:
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


def _order(node: ast.ClassDef, module: Scope) -> list[str]:
    return [item.id for item in values(f"class {node.name}", [module]) if isinstance(item, ast.Name)]


def _attributes(init: _Function, scopes: list[Scope]) -> Iterator[tuple[str, list[ast.expr]]]:
    for item in ast.walk(init):
        if isinstance(item, ast.Assign | ast.AnnAssign) and item.value is not None:
            target = item.targets[0] if isinstance(item, ast.Assign) else item.target
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
                known = resolve(item.value, scopes)
                yield target.attr, [_closed(known, scopes)] if known is not None else []


def _closed(node: ast.expr, scopes: list[Scope]) -> ast.expr:
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
    return node if known is None else _closed(known, scopes)


def _defaults(function: _Function) -> Scope:
    positional = [*function.args.posonlyargs, *function.args.args]
    given = zip(reversed(positional), reversed(function.args.defaults), strict=False)
    found: Scope = {item.arg: [value] for item, value in given}
    return found | {
        item.arg: [value]
        for item, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if value
    }


def _literals(function: _Function) -> list[Scope]:
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


def _named(scope: Scope, what: str) -> list[Hint]:
    """What the arguments that hold an environment's name tell."""
    found: list[Hint] = []
    for name, given in scope.items():
        plain = name.lstrip(".")
        if is_parameter(plain) and len(given) == 1 and isinstance(given[0], ast.Constant):
            found.append((str(given[0].value), f"{what} ({plain})"))
    return found


def _taken(body: list[ast.stmt], scopes: list[Scope]) -> list[ast.stmt]:
    """The statements of a body with those conditions decided that are known."""
    found: list[ast.stmt] = []
    for statement in body:
        holds = _holds(statement.test, scopes) if isinstance(statement, ast.If) else None
        if isinstance(statement, ast.If) and holds is not None:
            found += _taken(statement.body if holds else statement.orelse, scopes)
        else:
            found.append(statement)
    return found


def _holds(test: ast.expr, scopes: list[Scope]) -> bool | None:
    """Whether a comparison of known texts holds."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    left, right = resolve(test.left, scopes), resolve(test.comparators[0], scopes)
    sign = test.ops[0]
    if not isinstance(left, ast.Constant) or right is None:
        return None
    if isinstance(sign, ast.Eq | ast.NotEq) and isinstance(right, ast.Constant):
        return (left.value == right.value) is isinstance(sign, ast.Eq)
    if isinstance(sign, ast.In | ast.NotIn) and isinstance(right, ast.List | ast.Tuple | ast.Set):
        if all(isinstance(item, ast.Constant) for item in right.elts):
            return (left.value in [item.value for item in right.elts if isinstance(item, ast.Constant)]) is isinstance(
                sign, ast.In
            )
    return None


def _condition(test: ast.expr) -> list[Hint]:
    """``args.env == "staging"`` tells the environment of what stands under it."""
    match test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[ast.Constant(value=str() as value)]):
            name = ast.unparse(left).rpartition(".")[2]
            if not is_parameter(name) and canonical(value) not in {"production", "staging", "development"}:
                return []
            return [(value, f"the condition {ast.unparse(test)[:60]}")]
    return []


def _starts(node: ast.List | ast.Tuple, scopes: list[Scope]) -> bool:
    return bool(node.elts) and text(node.elts[0], scopes).rpartition("/")[2] in {"gcloud", "docker"}


def _command(statement: ast.stmt, node: ast.List | ast.Tuple, scopes: list[Scope]) -> list[str]:
    """The words of a command, with what its name is given later (``command += [...]``)."""
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is node:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        if isinstance(target, ast.Name):
            return words(target, scopes)
    return words(node, scopes)
