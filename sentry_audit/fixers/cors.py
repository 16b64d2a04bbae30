"""CORS of a back end: the headers of a trace among those that browsers may send.

Starlette's CORSMiddleware, Flask-CORS, django-cors-headers: docs.sentry.io/platforms/python/tracing/distributed-tracing.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.facts import TracePropagation
from sentry_audit.fixers import _imports
from sentry_audit.fixers._code import own_module, source_of
from sentry_audit.fixers.js_web import NotClear, answered, bad_of, refusing
from sentry_audit.fixing import Edit
from sentry_audit.python.cors import HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.fixing import Case, Change

_PASTE = 'allow_headers=[..., "sentry-trace", "baggage"]'


@refusing
def fix(case: Case) -> Change:
    """Allow ``sentry-trace`` and ``baggage`` in each configuration that does not."""
    facts = [fact for fact in bad_of(case) if isinstance(fact, TracePropagation)]
    if not facts:
        raise NotClear("the configuration of CORS was not found again", _PASTE)
    if facts[0].side != "cors":
        raise NotClear(f"{facts[0].problem}: its init must sample traces first", "sentry-audit explain backend-tracing")
    missing = [name for name in HEADERS if name in facts[0].problem.partition(": ")[0]]
    places = [(here.path, here.line) for here in facts[0].evidence if here.path and here.line]
    edits = []
    for path in dict.fromkeys(path for path, _ in places):
        lines = {line for at, line in places if at == path}
        edits.append(_allowed(case, path or "", {line or 0 for line in lines}, missing))
    where = ", ".join(edit.path for edit in edits)
    return answered(f"will let browsers send {' and '.join(missing)} to {where}", edits, "review")


class _Text:
    """One file of Python, edited by the positions of its nodes, which count bytes."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.bytes = text.encode()
        self.end = "\r\n" if "\r\n" in text else "\n"
        self.starts = [0]
        for row in self.bytes.split(b"\n"):
            self.starts.append(self.starts[-1] + len(row) + 1)
        self.tree = ast.parse(text)
        self.parts: dict[int, str] = {}

    def begin(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def stop(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        return self.starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def lead(self, at: int) -> str:
        row = self.bytes[self.bytes.rfind(b"\n", 0, at) + 1 : at]
        return row[: len(row) - len(row.lstrip())].decode()

    def edit(self) -> Edit:
        after = self.bytes
        for at in sorted(self.parts, reverse=True):
            after = after[:at] + self.parts[at].encode() + after[at:]
        ast.parse(after)
        return Edit(self.path, after.decode())


def _allowed(case: Case, path: str, lines: set[int], missing: list[str]) -> Edit:
    whole = case.files.text(path)
    if whole is None:
        raise NotClear(f"{path} could not be read", _PASTE)
    try:
        text = _Text(path, whole)
    except SyntaxError as error:
        raise NotClear(f"{path} could not be parsed", _PASTE) from error
    for node in ast.walk(text.tree):
        if isinstance(node, ast.Call) and node.lineno in lines and _is_cors(node):
            _call(text, node, missing)
        elif (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and node.lineno in lines
            and _named(node) == "CORS_ALLOW_HEADERS"
        ):
            _append(text, node.value, missing)
    if not text.parts and "corsheaders" in whole and "CORS_ALLOW_HEADERS" not in whole:
        _django(case, text, missing)
    if not text.parts:
        raise NotClear(f"which headers {path} allows is written in a way that is not edited by itself", _PASTE)
    return text.edit()


def _is_cors(node: ast.Call) -> bool:
    return "CORS" in ast.unparse(node.func) or any("CORSMiddleware" in ast.unparse(item) for item in _given(node))


def _given(node: ast.Call) -> Iterator[ast.expr]:
    yield from node.args
    yield from (item.value for item in node.keywords if item.arg == "middleware_class")


def _named(node: ast.Assign | ast.AnnAssign) -> str:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


def _call(text: _Text, node: ast.Call, missing: list[str]) -> None:
    given = next((item.value for item in node.keywords if item.arg == "allow_headers"), None)
    if given is None and any(item.arg in {None, "resources"} for item in node.keywords):
        raise NotClear(f"what {text.path}:{node.lineno} is given was not followed", _PASTE)
    if given is not None:
        _append(text, given, missing)
        return
    last = node.keywords[-1] if node.keywords else node.args[-1]
    at, quote = text.stop(last), _quote(text)
    lined = (last.lineno, last.lineno) != (node.lineno, node.end_lineno) and last.lineno != node.lineno
    names = ", ".join(f"{quote}{name}{quote}" for name in missing)
    gap = f"{text.end}{text.lead(text.begin(last))}" if lined else " "
    text.parts[at] = f",{gap}allow_headers=[{names}]"


def _append(text: _Text, value: ast.expr | None, missing: list[str]) -> None:
    """Add to a list or a tuple: written there, behind a name of the file, or at the right of a ``+``."""
    if isinstance(value, ast.Name):
        found = [
            node.value
            for node in text.tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign) and _named(node) == value.id
        ]
        value = found[0] if len(found) == 1 else None
    if isinstance(value, ast.BinOp):
        value = value.right
    if not isinstance(value, ast.List | ast.Tuple | ast.Set):
        raise NotClear(f"the headers that {text.path} allows are no list that could be added to", _PASTE)
    quote = _quote(text, value)
    names = [f"{quote}{name}{quote}" for name in missing]
    if not value.elts:
        text.parts[text.begin(value) + 1] = ", ".join(names) + (
            "," if isinstance(value, ast.Tuple) and len(names) == 1 else ""
        )
        return
    last = value.elts[-1]
    lined = last.lineno != value.lineno
    gap = f",{text.end}{text.lead(text.begin(last))}" if lined else ", "
    text.parts[text.stop(last)] = "".join(f"{gap}{name}" for name in names)


def _django(case: Case, text: _Text, missing: list[str]) -> None:
    """``CORS_ALLOW_HEADERS`` behind the last setting of CORS, over the library's own list."""
    settings = [
        node
        for node in text.tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and _named(node).startswith("CORS_")
    ]
    if not settings:
        raise NotClear(
            f"{text.path} has no setting of CORS to put it beside",
            "from corsheaders.defaults import default_headers",
            'CORS_ALLOW_HEADERS = (*default_headers, "sentry-trace", "baggage")',
        )
    quote = _quote(text)
    names = ", ".join(f"{quote}{name}{quote}" for name in missing)
    text.parts[text.stop(settings[-1])] = f"{text.end}CORS_ALLOW_HEADERS = (*default_headers, {names})"
    if "default_headers" in text.bytes.decode():
        return
    statement = "from corsheaders.defaults import default_headers"
    module = case.program.module(text.path)
    if module is None:
        raise NotClear(f"{text.path} could not be parsed", _PASTE)
    for start, stop, written in _imports.added(source_of(module), statement, own_module(case, text.path)):
        if start != stop:
            raise NotClear(f"how {text.path} imports from corsheaders is not edited by itself", _PASTE)
        text.parts[len(module.text[:start].encode())] = written


def _quote(text: _Text, near: ast.expr | None = None) -> str:
    rows = text.bytes[text.begin(near) : text.stop(near)] if near is not None else b""
    rows = rows if b"'" in rows or b'"' in rows else text.bytes
    return "'" if rows.count(b"'") > rows.count(b'"') else '"'


ECOSYSTEM = "pypi"
FIXERS = {"trace-propagation": fix}
