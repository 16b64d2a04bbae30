"""Policies in Python: a header that is set, Talisman, django-csp, and Django's own settings."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from sentry_audit.csp import HOLE
from sentry_audit.model import Evidence
from sentry_audit.policies.policy import HEADER, Policy, combined, serialized
from sentry_audit.python.syntax import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETTERS = frozenset({"setdefault", "append", "add", "set", "__setitem__", "add_header"})
#: Names of django-csp, of Django and of code in general for sources.
_NAMES = {"SELF": "'self'", "NONE": "'none'", "UNSAFE_INLINE": "", "UNSAFE_EVAL": "", "NONCE": "", "STRICT_DYNAMIC": ""}
_DEPTH = 10
_DEBUG = re.compile(r"\b(debug|is_dev\w*|dev_mode|testing)\b", re.IGNORECASE)
_PRODUCTION = re.compile(r"is_prod\w*|==\s*['\"]prod(uction)?['\"]", re.IGNORECASE)


def read(path: str, text: str) -> list[Policy]:
    """The policies that a file sets and that browsers enforce, in production."""
    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [Policy((), Evidence(path, None, None, None, "syntax error"), unread=f"{path} could not be parsed")]
    return list(_Reader(path, tree).policies())


class _Reader:
    def __init__(self, path: str, tree: ast.Module) -> None:
        self.path = path
        self.tree = tree
        self.parents: dict[ast.AST, ast.AST] = {}
        self.assigned: dict[str, list[tuple[ast.AST, ast.expr]]] = {}
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Name):
                        self.assigned.setdefault(target.id, []).append((node, node.value))

    def policies(self) -> Iterator[Policy]:
        yield from self._settings()
        for node in ast.walk(self.tree):
            for value in self._values(node):
                if self.runs(node) is not False:
                    table = self.table(value)
                    yield self._policy(node, table if table is not None else self.texts(value))

    def _policy(self, node: ast.AST, texts: list[str]) -> Policy:
        here = Evidence(self.path, getattr(node, "lineno", None), None, None, "Content-Security-Policy")
        return Policy(tuple(texts), here, condition=self._condition(node))

    def _condition(self, node: ast.AST) -> str:
        """The first condition around a policy that limits it to some pages, or may be a switch of it."""
        while node in self.parents:
            parent = self.parents[node]
            if isinstance(parent, ast.If) and node is not parent.test and production(parent.test) is None:
                text = ast.unparse(parent.test)
                holds = (node in parent.body) is not text.startswith("not ")
                if (holds and "path" in text) or not re.search(r"path|request|response|header|scope", text):
                    return f"{text[:60]} is {node in parent.body}"
            node = parent
        return ""

    def _values(self, node: ast.AST) -> Iterator[ast.expr]:
        """The values of the header that a node sets."""
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            if self._is_header(node.targets[0].slice):
                yield node.value
        elif isinstance(node, ast.Dict):
            yield from (
                value for key, value in zip(node.keys, node.values, strict=True) if key and self._is_header(key)
            )
        elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and self._is_header(node.elts[0]):
            yield node.elts[1]
        elif isinstance(node, ast.Call):
            named = {item.arg: item.value for item in node.keywords}
            if isinstance(node.func, ast.Attribute) and node.func.attr in _SETTERS and len(node.args) == 2:
                if self._is_header(node.args[0]):
                    yield node.args[1]
            report = named.get("content_security_policy_report_only")
            if "content_security_policy" in named and not (isinstance(report, ast.Constant) and report.value):
                if not _is_none(named["content_security_policy"]):
                    yield named["content_security_policy"]

    def _is_header(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value.decode(errors="replace") if isinstance(node.value, bytes) else node.value
            return text.lower() == HEADER
        return isinstance(node, ast.Name) and [text.lower() for text in self.texts(node)] == [HEADER]

    def _settings(self) -> Iterator[Policy]:
        """Settings of Django: one variable per directive, or one dictionary."""
        for name in ("CONTENT_SECURITY_POLICY", "SECURE_CSP"):
            for node, value in self.assigned.get(name, ()):
                if isinstance(value, ast.Dict) and self.runs(node) is not False:
                    inside = next((item for key, item in _pairs(value) if key == "DIRECTIVES"), value)
                    yield self._policy(node, self.table(inside) or [HOLE])
        report = [value for _, value in self.assigned.get("CSP_REPORT_ONLY", ())]
        names = [name for name in ("CSP_CONNECT_SRC", "CSP_DEFAULT_SRC") if name in self.assigned]
        if names and not any(isinstance(item, ast.Constant) and item.value is True for item in report):
            parts = [
                combined([[name[4:].lower().replace("_", "-")], self._strung(ast.Name(name))], " ") for name in names
            ]
            if "CSP_CONNECT_SRC" in names or "CSP_DEFAULT_SRC" in names:
                yield self._policy(self.assigned[names[0]][0][0], combined(parts, "; "))

    def texts(self, node: ast.expr, depth: int = 0) -> list[str]:
        """What a text may be, with holes for what is not known."""
        if depth > _DEPTH:
            return [HOLE]
        if isinstance(node, ast.Constant):
            if isinstance(node.value, bytes):
                return [node.value.decode(errors="replace")]
            return [node.value if isinstance(node.value, str) else ""]
        if isinstance(node, ast.JoinedStr):
            parts = [item.value if isinstance(item, ast.FormattedValue) else item for item in node.values]
            return combined([self.texts(part, depth + 1) for part in parts])
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return combined([self.texts(node.left, depth + 1), self.texts(node.right, depth + 1)])
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            return [re.sub(r"%(\(\w+\))?s", HOLE, text) for text in self.texts(node.left, depth + 1)]
        if isinstance(node, ast.IfExp):
            return [text for part in self._branches(node) for text in self.texts(part, depth + 1)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return self._method(node.func, node.args, depth)
        if isinstance(node, ast.Attribute) and node.attr in _NAMES:
            return [_NAMES[node.attr]]
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            values = self._assigned(name)
            if not values:
                return [_NAMES.get(name, HOLE)]
            return list(dict.fromkeys(text for value in values for text in self.texts(value, depth + 1)))
        return [HOLE]

    def _method(self, function: ast.Attribute, arguments: list[ast.expr], depth: int) -> list[str]:
        if function.attr == "join" and arguments:
            separator = self.texts(function.value, depth + 1)[0]
            return combined(self.items(arguments[0], depth + 1), separator)
        if function.attr in {"strip", "encode", "replace", "decode", "rstrip", "dedent"}:
            owner = arguments[0] if function.attr == "dedent" and arguments else function.value
            return self.texts(owner, depth + 1)
        if function.attr == "format":
            return [re.sub(r"\{\w*\}", HOLE, text) for text in self.texts(function.value, depth + 1)]
        return [HOLE]

    def items(self, node: ast.expr, depth: int = 0) -> list[list[str]]:
        """The elements of a list, each with what it may be."""
        if depth > _DEPTH:
            return [[HOLE]]
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            found: list[list[str]] = []
            for item in node.elts:
                found += (
                    self.items(item.value, depth + 1)
                    if isinstance(item, ast.Starred)
                    else [self.texts(item, depth + 1)]
                )
            return found
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return [*self.items(node.left, depth + 1), *self.items(node.right, depth + 1)]
        if isinstance(node, ast.IfExp):
            branches = [self.items(part, depth + 1) for part in self._branches(node)]
            if len(branches) == 1:
                return branches[0]
            return [[text for part in branches for text in (combined(part, " ") if part else [""])]]
        if isinstance(node, ast.GeneratorExp | ast.ListComp):
            inside = node.generators[0].iter
            if isinstance(inside, ast.Call) and isinstance(inside.func, ast.Attribute) and inside.func.attr == "items":
                table = self.table(inside.func.value, depth + 1)
                return [table] if table is not None else [[HOLE]]
            return self.items(inside, depth + 1) if isinstance(node.elt, ast.Name) else [[HOLE]]
        if isinstance(node, ast.Name):
            values = self._assigned(node.id)
            lists = [self.items(value, depth + 1) for value in values]
            more = [[HOLE]] if self._grows(node.id) else []
            if len(lists) == 1:
                return [*lists[0], *more]
            return [[text for part in lists for text in combined(part, " ")], *more] if lists else [[HOLE]]
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return [[node.value]]
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"list", "tuple", "sorted"}
        ):
            return self.items(node.args[0], depth + 1) if node.args else []
        return [[HOLE]]

    def table(self, node: ast.expr, depth: int = 0) -> list[str] | None:
        """The texts of a policy written as a dictionary of directives; None if ``node`` is none."""
        if isinstance(node, ast.Name) and depth <= _DEPTH:
            values = self._assigned(node.id)
            found = self.table(values[-1], depth + 1) if len(values) == 1 else None
            return [f"{text}; {HOLE}" for text in found] if found and self._grows(node.id) else found
        if not isinstance(node, ast.Dict):
            return None
        pairs = [(key, [self._strung(value)]) for key, value in _pairs(node)]
        return serialized(pairs, open_=any(key is None for key in node.keys))

    def _strung(self, value: ast.expr) -> list[str]:
        """Sources in one text: of a list, a text, or a name for one of them."""
        if isinstance(value, ast.Constant):
            return self.texts(value)
        if isinstance(value, ast.Name) and any(
            isinstance(item, ast.Constant | ast.JoinedStr) for item in self._assigned(value.id)
        ):
            return self.texts(value)
        if isinstance(value, ast.JoinedStr | ast.Attribute):
            return self.texts(value)
        return combined(self.items(value), " ")

    def _assigned(self, name: str) -> list[ast.expr]:
        """What is assigned to a name where that runs in production."""
        given = [item for item in self.assigned.get(name, ()) if not isinstance(item[0], ast.AugAssign)]
        return [value for node, value in given if self.runs(node) is not False]

    def _grows(self, name: str) -> bool:
        """Whether something is added to a name's value after it is assigned."""
        if any(
            isinstance(node, ast.AugAssign) and self.runs(node) is not False for node, _ in self.assigned.get(name, ())
        ):
            return True
        for node in ast.walk(self.tree):
            owner = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
            if owner is not None and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in {"append", "extend", "update"} and ast.unparse(owner).startswith(name):
                    return True
        return False

    def _branches(self, node: ast.IfExp) -> list[ast.expr]:
        truth = production(node.test)
        return [node.body, node.orelse] if truth is None else [node.body if truth else node.orelse]

    def runs(self, node: ast.AST) -> bool | None:
        """False if a condition around a node does not hold in production."""
        while node in self.parents:
            parent = self.parents[node]
            if isinstance(parent, ast.If) and node is not parent.test:
                truth = production(parent.test)
                if truth is not None and truth is not (node in parent.body):
                    return False
            node = parent
        return None


def production(test: ast.expr) -> bool | None:
    """Whether a condition holds in production; None if it says nothing about that."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = production(test.operand)
        return None if inner is None else not inner
    if isinstance(test, ast.Name | ast.Attribute):
        text = ast.unparse(test)
        return False if _DEBUG.search(text) else True if _PRODUCTION.search(text) else None
    if isinstance(test, ast.Compare) and _PRODUCTION.search(ast.unparse(test)):
        return True
    return None


def _pairs(node: ast.Dict) -> list[tuple[str, ast.expr]]:
    found = []
    for key, value in zip(node.keys, node.values, strict=True):
        if key is not None:
            found.append((str(key.value) if isinstance(key, ast.Constant) else HOLE, value))
    return found


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not node.value
