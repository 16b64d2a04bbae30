"""Exceptions that code ends by itself are told to Sentry first: handlers, middleware, routes, sockets, tasks.

The exception is captured with its own name, as the first thing that its handler does. Where a handler also answers
what the caller did wrong (4xx), only the answers of 5xx tell.
"""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING

from sentry_audit.fixers.common import changed, sdk_missing, source_of
from sentry_audit.fixers.pyimports import add_import, sdk
from sentry_audit.fixing import Refusal
from sentry_audit.python.capture import answered_with
from sentry_audit.python.module import FunctionNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.fixers.pyimports import Sdk
    from sentry_audit.fixers.pysource import Source
    from sentry_audit.fixing import Case, Change, Fixer

_NAMES = ("error", "exc", "err", "e", "exception", "caught")
_LEFT = "add sentry_sdk.capture_exception(error) before it answers"


def capture(case: Case) -> Change | Refusal:
    """Capture what the handlers of the finding end."""
    refused = sdk_missing(case)
    if refused is not None:
        return refused
    places: dict[str, set[int]] = {}
    for place in case.finding.evidence:
        if place.path and place.line:
            places.setdefault(place.path, set()).add(place.line)
    sources: list[Source] = []
    done: list[str] = []
    for path, lines in places.items():
        source = source_of(case, path)
        if source is None:
            return Refusal(reason=f"{path} is no code that can be edited: {_LEFT}")
        names = sdk(source, case.program)
        for line in sorted(lines):
            told = _at(case, source, names, line)
            if not told:
                return Refusal(reason=f"the handler at {path}:{line} was not found: {_LEFT}")
            done.append(told)
        sources.append(source)
    where = ", ".join(places)
    what = f"what {done[0]} catches" if len(done) == 1 else f"what {len(done)} handlers catch"
    return changed(f"will capture {what}, in {where}", sources, safety="review")


def _at(case: Case, source: Source, names: Sdk, line: int) -> str:
    """Capture in the handler that stands at ``line``; what it is called, ``""`` if there is none."""
    for node in source.module.nodes:
        if isinstance(node, ast.ExceptHandler) and node.lineno == line:
            return _clause(case, source, names, node)
        if isinstance(node, FunctionNode) and node.lineno == line:
            return _function(source, names, node)
    return ""


def _function(source: Source, names: Sdk, function: FunctionNode) -> str:
    """A handler function: the exception is its last positional parameter."""
    found = [item.arg for item in (*function.args.posonlyargs, *function.args.args) if item.arg not in {"self", "cls"}]
    if not found:
        return ""
    lines = names.call(f"capture_exception({found[-1]})")
    answers = list(_server_errors(function.body))
    if min(answered_with(function.body), default=500) < 500 and answers:
        for answer in answers:
            source.before(answer, lines)
    else:
        source.into_body(function.body, lines)
    return function.name


def _server_errors(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The innermost statements that answer 5xx."""
    for statement in body:
        if max(answered_with([statement]), default=0) < 500:
            continue
        inner = [item for block in _blocks(statement) for item in _server_errors(block)]
        if inner:
            yield from inner
        else:
            yield statement


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(statement, name, None)
        if isinstance(block, list):
            yield block
    for item in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield item.body


def _clause(case: Case, source: Source, names: Sdk, clause: ast.ExceptHandler) -> str:
    """An ``except``: its own name for the exception, or one that nothing around it uses."""
    function = source.module.function_of(clause)
    name = clause.name or ""
    if not name and clause.type is not None:
        name = _free_name(source, function, clause)
        if not name:
            return ""
        end = source.end(clause.type)
        if source.text[end : end + 1] == ")":  # the parser leaves the brackets around one class out
            end += 1
        source.insert(end, f" as {name}")
    lines = names.call(f"capture_exception({name})")
    socket = _socket_class(source, function, clause)
    if socket and name:
        gone = add_import(source, case.program, socket, "WebSocketDisconnect")
        lines = [f"if not isinstance({name}, {gone}):", *(f"    {line}" for line in lines)]
    lines = [line.replace("    ", source.unit) for line in lines]
    source.into_body(clause.body, lines)
    return function.name if function is not None else "the module"


def _free_name(source: Source, function: FunctionNode | None, clause: ast.ExceptHandler) -> str:
    """What the file calls most of its exceptions, as far as nothing here is called so: ``as`` unbinds its name."""
    used = {node.id for node in ast.walk(function or source.module.tree) if isinstance(node, ast.Name)}
    used |= {node.arg for node in ast.walk(function or source.module.tree) if isinstance(node, ast.arg)}
    used |= set(source.module.aliases) | set(source.module.definitions)
    clauses = [node.name for node in source.module.nodes if isinstance(node, ast.ExceptHandler) and node.name]
    used -= {name for name in clauses if function is not None and not _bound(function, name)}
    around = [*source.module.ancestors(clause), *ast.walk(clause)]
    used |= {node.name for node in around if isinstance(node, ast.ExceptHandler) and node.name}
    common = [name for name, _ in Counter(clauses).most_common()]
    return next((name for name in (*common, *_NAMES) if name not in used), "")


def _bound(function: FunctionNode, name: str) -> bool:
    """Whether ``name`` is anything else in ``function`` than what its other handlers call an exception."""
    stored = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
    ]
    arguments = [node for node in ast.walk(function) if isinstance(node, ast.arg) and node.arg == name]
    return bool(stored or arguments)


def _socket_class(source: Source, function: FunctionNode | None, clause: ast.ExceptHandler) -> str:
    """The module of WebSocketDisconnect, where ``clause`` would take each client that leaves for an error."""
    if function is None:
        return ""
    whole = ast.unparse(function)
    attempt = source.module.parents.get(clause)
    if "receive" not in whole and "iter_" not in whole:
        return ""
    if not any(".websocket" in ast.unparse(item) for item in function.decorator_list):
        return ""
    inner = [node for node in ast.walk(function) if isinstance(node, ast.Try)]
    around = [item for item in inner if item is attempt or item in source.module.ancestors(clause)]
    nested = [item for item in inner if attempt in source.module.ancestors(item)]
    for item in (*around, *nested):
        if any(other.type is not None and "Disconnect" in ast.unparse(other.type) for other in item.handlers):
            return ""
    if "Disconnect" in "".join(ast.unparse(item) for item in clause.body):
        return ""
    for name in ("WebSocket", "WebSocketDisconnect", "FastAPI", "APIRouter"):
        known = source.module.aliases.get(name)
        if known is not None and not known.level and known.module.partition(".")[0] in {"fastapi", "starlette"}:
            own = known.module == "fastapi" or "websockets" in known.module
            return known.module if own else "starlette.websockets"
    return "starlette.websockets"


FIXERS: dict[str, Fixer] = {
    "backend-errors-captured": capture,
    "websocket-errors-captured": capture,
    "worker-errors-captured": capture,
}
