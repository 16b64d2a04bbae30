"""Code that ends an exception before Sentry's integrations see it.

What each framework's integration sees was measured on the real SDK: a FastAPI or Starlette handler for
``Exception`` or 500 runs inside the server-error middleware, which re-raises (captured), and any exception
with a ``status_code`` of 500–599 is captured before its handler runs (``sentry_sdk/integrations/starlette.py``,
``patch_exception_middleware``); a handler for a class of the project's own is not. Flask's
``got_request_exception`` fires only when no handler took the exception.
"""

from __future__ import annotations

import ast
import re
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.facts import ErrorHandler
from sentry_audit.python.module import FunctionNode, Module
from sentry_audit.python.values import place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sentry_audit.model import Evidence
    from sentry_audit.python.program import Program

_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "route", "api_route"})
_TASKS = frozenset({"task", "shared_task", "periodic_task", "actor", "job", "db_task", "db_periodic_task"})
_SENT = frozenset({"capture_exception", "capture_message", "capture_event"})
_LOGGED = frozenset({"exception", "error", "critical", "fatal"})
_SERVER_ERRORS = frozenset(
    {"INTERNAL_SERVER_ERROR", "BAD_GATEWAY", "SERVICE_UNAVAILABLE", "GATEWAY_TIMEOUT", "NOT_IMPLEMENTED"}
)
_WERKZEUG = frozenset({"abort", "InternalServerError", "ServiceUnavailable", "BadGateway"})
#: What a file must contain to be read: a handler, or a clause that catches everything where it matters.
_HANDLERS = ("exception_handler", "errorhandler", "register_error_handler", "process_exception")
_BROAD = re.compile(r"except\s*(?::|[^:\n]*\b(?:Base)?Exception\b)")
_PLACES = (
    "call_next", "Middleware", "scope, receive, send", ".websocket(", ".websocket_route(", "@task", ".task", "shared_task",
    "@actor", ".actor", "@job", ".job(", *(f"{status}" for status in range(500, 505)), "INTERNAL_SERVER_ERROR",
    "BAD_GATEWAY", "SERVICE_UNAVAILABLE", "GATEWAY_TIMEOUT", "HttpResponseServerError",
)  # fmt: skip
_TELLS = frozenset({"close", "send", "send_json", "send_text", "send_bytes"})
_DEPTH = 2


class _Fate(Struct, frozen=True):
    """What becomes of an exception in a block: ``heard`` by Sentry, not, or ``unknown`` and why."""

    heard: bool
    unknown: str = ""


def error_handlers(program: Program, paths: Iterable[str], version: str) -> list[ErrorHandler]:
    """The handlers, middlewares, routes and tasks in ``paths`` that end exceptions.

    ``version`` is the SDK's: from 3.0 on, a logged error is no event by itself.
    """
    logs_count = not version.startswith("3.")
    return [
        handler
        for path in paths
        for handler in program.remember(("error_handlers", path, logs_count), partial(_read, program, path, logs_count))
    ]


def _read(program: Program, path: str, logs_count: bool) -> list[ErrorHandler]:
    text = program.files.text(path) or ""
    handles = any(token in text for token in _HANDLERS)
    if not handles and not ("except" in text and any(token in text for token in _PLACES) and _BROAD.search(text)):
        return []
    module = program.module(path)
    return _Reader(program, module, logs_count=logs_count).read() if module is not None else []


class _Reader:
    """One module's code that ends exceptions."""

    def __init__(self, program: Program, module: Module, *, logs_count: bool) -> None:
        self.program = program
        self.module = module
        self.logs_count = logs_count
        text = module.text
        self.flask = bool(re.search(r"^\s*(?:from|import) (?:flask|quart)", text, re.MULTILINE))

    def read(self) -> list[ErrorHandler]:
        found: list[ErrorHandler] = []
        routes: dict[str, list[tuple[Evidence, str]]] = {}
        for function in self.module.functions:
            for handles, node in self._handled(function):
                found += self._handler(function, handles, node)
            where = self._where(function)
            if where == "middleware":
                found += self._middleware(function)
            elif where:
                for clause in self._broad(function, where):
                    routes.setdefault(where, []).append(clause)
            if function.name == "process_exception" and self.module.class_of(function) is not None:
                found += self._process_exception(function)
        for where, clauses in routes.items():
            found += self._collected(where, clauses)
        found += self._registered()
        return found

    # --- exception handlers ---------------------------------------------------------------------

    def _handled(self, function: FunctionNode) -> Iterator[tuple[str, ast.expr | None]]:
        """What a decorated handler handles, as text and as the expression."""
        for decorator in function.decorator_list:
            if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute):
                if decorator.func.attr in {"exception_handler", "errorhandler", "app_errorhandler"} and decorator.args:
                    yield self.module.source(decorator.args[0], 60), decorator.args[0]

    def _registered(self) -> list[ErrorHandler]:
        """Handlers that are registered by a call: ``add_exception_handler``, ``exception_handlers={…}``."""
        pairs: list[tuple[ast.expr, ast.expr]] = []
        for call in self.module.calls:
            name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            if name in {"add_exception_handler", "register_error_handler"} and len(call.args) == 2:
                pairs.append((call.args[0], call.args[1]))
            for keyword in call.keywords:
                if keyword.arg == "exception_handlers" and isinstance(keyword.value, ast.Dict):
                    pairs += [
                        (key, value) for key, value in zip(keyword.value.keys, keyword.value.values, strict=True) if key
                    ]
        found: list[ErrorHandler] = []
        for handled, handler in pairs:
            if not isinstance(handler, ast.Name):
                continue
            target = self.program.define(self.module, handler.id)
            if target and isinstance(target[1][-1], FunctionNode):
                reader = (
                    self if target[0] is self.module else _Reader(self.program, target[0], logs_count=self.logs_count)
                )
                reader.flask = self.flask
                found += reader._handler(target[1][-1], self.module.source(handled, 60), handled)
        return found

    def _handler(self, function: FunctionNode, handles: str, node: ast.expr | None) -> list[ErrorHandler]:
        name = handles.rsplit(".", 1)[-1]
        statuses = answered_with(function.body)
        answers = max(statuses, default=0)
        broad = name in {"Exception", "BaseException"}
        seen_before = name in {"500", "InternalServerError", "INTERNAL_SERVER_ERROR"} or (broad and not self.flask)
        if name.endswith(("HTTPException", "ValidationError", "WebSocketDisconnect")) or (
            handles.isdigit() and handles != "500"
        ):
            return []
        if not seen_before and not self.flask:
            # Starlette's integration captures whatever carries a server error in its status_code.
            own = self._own_status(node)
            seen_before = own >= 500 if own else _copies_status(function)
        fate = _Fate(True) if seen_before else self._fate(function.body)
        if answers < 500 and not seen_before:
            return []
        problem = f"{function.name} answers {answers} for {handles}, and Sentry never hears of it"
        return [
            ErrorHandler(
                where="exception_handler",
                handles=handles,
                answers=str(answers or ""),
                captures=fate.heard,
                problem="" if fate.heard else problem,
                unknown=fate.unknown,
                evidence=(place(self.module, function, f"handles {handles}"),),
            )
        ]

    def _own_status(self, node: ast.expr | None) -> int:
        """The literal ``status_code`` that the handled class gives its instances, or 0."""
        if not isinstance(node, ast.Name):
            return 0
        target = self.program.define(self.module, node.id)
        if target is None or not isinstance(target[1][-1], ast.ClassDef):
            return 0
        for item in ast.walk(target[1][-1]):
            if isinstance(item, ast.Assign | ast.AnnAssign) and isinstance(item.value, ast.Constant):
                targets = item.targets if isinstance(item, ast.Assign) else [item.target]
                if any(ast.unparse(part).rsplit(".", 1)[-1] == "status_code" for part in targets):
                    return item.value.value if isinstance(item.value.value, int) else 0
        return 0

    # --- middleware -----------------------------------------------------------------------------

    def _middleware(self, function: FunctionNode) -> list[ErrorHandler]:
        found: list[ErrorHandler] = []
        for attempt in (node for node in ast.walk(function) if isinstance(node, ast.Try)):
            text = "\n".join(ast.unparse(item) for item in attempt.body)
            if not re.search(r"\b(call_next|self\.app|self\.inner|get_response|call_app)\(|\.app\(scope", text):
                continue
            for clause in attempt.handlers:
                if not _catches_all(clause):
                    continue
                fate = self._fate(clause.body)
                problem = f"{_owner(self.module, function)} catches every error of the application and answers itself"
                found.append(
                    ErrorHandler(
                        where="middleware",
                        handles="Exception",
                        answers=str(max(answered_with(clause.body), default="")),
                        captures=fate.heard,
                        problem="" if fate.heard else f"{problem}: Sentry never hears of them",
                        unknown=fate.unknown,
                        evidence=(place(self.module, clause, _clause(self.module, clause)),),
                    )
                )
        return found

    def _process_exception(self, function: FunctionNode) -> list[ErrorHandler]:
        answered = [node for node in ast.walk(function) if isinstance(node, ast.Return) and not _nothing(node.value)]
        if not answered or max(answered_with(function.body), default=500) < 500:
            return []
        fate = self._fate(function.body)
        name = _owner(self.module, function)
        return [
            ErrorHandler(
                where="middleware",
                handles="Exception",
                captures=fate.heard,
                problem="" if fate.heard else f"{name} answers errors itself: Django then sends no signal to Sentry",
                unknown=fate.unknown,
                evidence=(place(self.module, function, f"def {function.name}"),),
            )
        ]

    # --- routes, sockets, tasks -----------------------------------------------------------------

    def _where(self, function: FunctionNode) -> str:
        for decorator in function.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
            if name == "middleware":
                return "middleware"
            if isinstance(decorator, ast.Call) and isinstance(target, ast.Attribute):
                if name in {"websocket", "websocket_route"}:
                    return "websocket"
                if name in _VERBS and decorator.args and isinstance(decorator.args[0], ast.Constant | ast.JoinedStr):
                    return "route"
            if name in _TASKS:
                return "worker"
        owner = self.module.class_of(function)
        names = [argument.arg for argument in function.args.args]
        if owner is not None:
            bases = " ".join(ast.unparse(base) for base in owner.bases)
            if function.name == "dispatch" and "Middleware" in bases:
                return "middleware"
            if function.name == "__call__" and names[1:] == ["scope", "receive", "send"]:
                return "middleware"
            if re.search(r"View|Resource|Consumer", bases) and (function.name in _VERBS or "request" in names[:2]):
                return "route"
            return ""
        return "route" if names[:1] == ["request"] and self.module.function_of(function) is None else ""

    def _broad(self, function: FunctionNode, where: str) -> Iterator[tuple[Evidence, str]]:
        """The clauses of ``function`` that catch everything; with the reason why Sentry may yet hear of it."""
        own = [
            node
            for node in ast.walk(function)
            if isinstance(node, ast.Try) and self.module.function_of(node) is function
        ]
        for attempt in own:
            for clause in attempt.handlers:
                if not _catches_all(clause):
                    continue
                if where == "route" and max(answered_with(clause.body), default=0) < 500:
                    continue
                if where == "websocket" and _only_tells(attempt):
                    continue
                if where == "worker" and not _main_part(function, attempt):
                    continue
                fate = self._fate(clause.body)
                state = "heard" if fate.heard else fate.unknown
                yield place(self.module, clause, _clause(self.module, clause)), state

    def _collected(self, where: str, clauses: Sequence[tuple[Evidence, str]]) -> list[ErrorHandler]:
        """One fact for what Sentry does not hear of, one for what it may, one for what it does."""
        lost = [here for here, state in clauses if not state]
        open_ = [(here, state) for here, state in clauses if state and state != "heard"]
        heard = [here for here, state in clauses if state == "heard"]
        found: list[ErrorHandler] = []
        if lost:
            what = {
                "route": "catches every error and answers 5xx",
                "websocket": "catches every error of a socket",
                "worker": "catches every error of a task",
            }[where]
            times = "" if len(lost) == 1 else f", in {len(lost)} places"
            problem = f"{self.module.path} {what}{times}: Sentry never hears of it"
            found.append(
                ErrorHandler(where=where, handles="Exception", captures=False, problem=problem, evidence=tuple(lost))
            )
        if open_:
            found.append(ErrorHandler(where=where, unknown=open_[0][1], evidence=tuple(here for here, _ in open_)))
        if heard:
            found.append(ErrorHandler(where=where, handles="Exception", evidence=tuple(heard)))
        return found

    # --- what a block does ----------------------------------------------------------------------

    def _fate(self, body: Sequence[ast.stmt], depth: int = 0) -> _Fate:
        """Whether Sentry hears of an exception that ``body`` handles."""
        unknown = ""
        for node in (inner for statement in body for inner in ast.walk(statement)):
            if isinstance(node, ast.Raise):
                if self._answers_only(node):
                    continue
                return _Fate(True)
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _SENT or name == "retry":
                return _Fate(True)
            if self._is_log(node, name):
                if not self.logs_count:
                    unknown = unknown or "the error is only logged, which sentry-sdk 3 does not send by itself"
                elif "structlog" in self.module.text:
                    unknown = (
                        unknown or "the error is logged with structlog, which reaches Sentry only through a processor"
                    )
                else:
                    return _Fate(True)
            if depth < _DEPTH and (helper := self._helper(node)) is not None:
                reader, function = helper
                inner = reader._fate(function.body, depth + 1) if not _reraises_only(function) else _Fate(False)
                if inner.heard:
                    return inner
                unknown = unknown or inner.unknown
        return _Fate(False, unknown)

    def _answers_only(self, node: ast.Raise) -> bool:
        """Whether a raise is an answer that Sentry does not take for an error."""
        if node.exc is None:
            return False
        text = ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc).rsplit(".", 1)[-1]
        if self.flask:
            return text in _WERKZEUG or text == "HTTPException"
        if text == "HTTPException":
            statuses = answered_with([node])
            return bool(statuses) and max(statuses) < 500
        return False

    def _is_log(self, node: ast.Call, name: str) -> bool:
        if not isinstance(node.func, ast.Attribute):
            return False
        if name == "log" and node.args:
            return ast.unparse(node.args[0]).rsplit(".", 1)[-1] in {"ERROR", "CRITICAL", "FATAL"}
        return name in _LOGGED and "log" in ast.unparse(node.func.value).lower()

    def _helper(self, node: ast.Call) -> tuple[_Reader, FunctionNode] | None:
        """A function of the repository that the block calls."""
        if isinstance(node.func, ast.Name):
            target = self.program.define(self.module, node.func.id)
            if target is not None and isinstance(target[1][-1], FunctionNode):
                module, function = target[0], target[1][-1]
                reader = self if module is self.module else _Reader(self.program, module, logs_count=self.logs_count)
                return reader, function
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "self":
            owner = self.module.class_of(node)
            for item in owner.body if owner is not None else ():
                if isinstance(item, FunctionNode) and item.name == node.func.attr:
                    return self, item
        return None


def answered_with(body: Sequence[ast.stmt]) -> list[int]:
    """The literal HTTP statuses that ``body`` answers with; ``abort(500)`` counts."""
    found: list[int] = []
    for node in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rsplit(".", 1)[-1]
            if name == "HttpResponseServerError":
                found.append(500)
            found += [_status(keyword.value) for keyword in node.keywords if keyword.arg in {"status_code", "status"}]
            if name in {"HTTPException", "abort", "Response", "JSONResponse"} and node.args:
                found += [_status(argument) for argument in node.args[:2]]
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) > 1:
            found.append(_status(node.value.elts[1]))
    return [status for status in found if status]


def _status(node: ast.expr) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and 100 <= node.value < 600:
        return node.value
    name = ast.unparse(node).removesuffix(".value").rsplit(".", 1)[-1]
    if match := re.match(r"HTTP_(\d{3})_", name):
        return int(match[1])
    return 500 if name in _SERVER_ERRORS else 0


def _copies_status(function: FunctionNode) -> bool:
    """Whether the answer takes its status from the exception's own ``status_code``."""
    names = [argument.arg for argument in function.args.args]
    return any(f"{name}.status_code" in ast.unparse(function) for name in names[1:])


def _catches_all(clause: ast.ExceptHandler) -> bool:
    caught = clause.type.elts if isinstance(clause.type, ast.Tuple) else [clause.type]
    return any(item is None or ast.unparse(item) in {"Exception", "BaseException"} for item in caught)


def _clause(module: Module, clause: ast.ExceptHandler) -> str:
    return "except:" if clause.type is None else f"except {module.source(clause.type, 40)}:"


def _owner(module: Module, function: FunctionNode) -> str:
    owner = module.class_of(function)
    return owner.name if owner is not None else function.name


def _nothing(node: ast.expr | None) -> bool:
    return node is None or (isinstance(node, ast.Constant) and node.value is None)


def _only_tells(attempt: ast.Try) -> bool:
    """Whether ``attempt`` only says something to the other end, or closes: that it has gone is no error."""
    calls = [
        item.value.value for item in attempt.body if isinstance(item, ast.Expr) and isinstance(item.value, ast.Await)
    ]
    names = [item.func.attr for item in calls if isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute)]
    return len(names) == len(attempt.body) and set(names) <= _TELLS


def _main_part(function: FunctionNode, attempt: ast.Try) -> bool:
    """Whether ``attempt`` holds most of what the function does, and not one optional step of it."""
    inside = sum(1 for statement in attempt.body for node in ast.walk(statement) if isinstance(node, ast.stmt))
    whole = sum(1 for statement in function.body for node in ast.walk(statement) if isinstance(node, ast.stmt))
    rest = sum(
        1
        for clause in attempt.handlers
        for item in clause.body
        for node in ast.walk(item)
        if isinstance(node, ast.stmt)
    )
    return attempt in function.body and inside * 2 >= whole - rest


def _reraises_only(function: FunctionNode) -> bool:
    """A helper whose only way to be heard is a raise of its own (``raise NotImplementedError``) tells nothing."""
    text = ast.unparse(function)
    return not any(mark in text for mark in (*_SENT, *(f".{name}(" for name in _LOGGED), ".log("))
