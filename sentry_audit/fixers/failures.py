"""A failure of init that is caught is logged as an error; a second init that switches Sentry off goes."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from sentry_audit.facts import SdkInit, SdkSetup
from sentry_audit.fixers import _imports
from sentry_audit.fixers._code import analysed, edit, own_module, source_of, with_argument
from sentry_audit.fixing import Change, Refusal
from sentry_audit.python.analysis import swallowed

if TYPE_CHECKING:
    from sentry_audit.fixers._source import Source, Splice
    from sentry_audit.fixing import Case
    from sentry_audit.model import Evidence
    from sentry_audit.python.analysis import Reached
    from sentry_audit.python.module import Module

_QUIET = frozenset({"warning", "warn", "info", "debug"})
_LOGGERS = re.compile(r"^(logging\.getLogger|structlog\.(stdlib\.)?get_logger|loguru\.logger)$")
_MESSAGE = "Sentry could not be initialised"


def make_visible(case: Case) -> Change | Refusal:
    """``logger.exception`` in the handler, in the place of what it logs quietly."""
    wrong = {item.init.evidence: item for item in analysed(case).reached}
    places = [
        caught
        for fact in case.bad
        if isinstance(fact, SdkInit)
        for evidence in fact.evidence
        if evidence in wrong and (caught := swallowed(wrong[evidence])) is not None
    ]
    module = case.program.module(places[0].path) if places and places[0].path else None
    handler = _handler(module, places[0]) if module is not None else None
    if module is None or handler is None:
        return Refusal(reason="the handler that hides it was not found")
    source = source_of(module)
    splices = _louder(case, source, module, handler)
    return Change(
        summary=f"will log a failure of init as an error in {module.path}", edits=(edit(source, module.path, splices),)
    )


def _handler(module: Module, place: Evidence) -> ast.ExceptHandler | None:
    return next(
        (node for node in module.nodes if isinstance(node, ast.ExceptHandler) and node.lineno == place.line), None
    )


def _louder(case: Case, source: Source, module: Module, handler: ast.ExceptHandler) -> list[Splice]:
    logger = _logger(module)
    for statement in handler.body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if not isinstance(call, ast.Call):
            continue
        if isinstance(call.func, ast.Attribute) and call.func.attr in _QUIET and _logs(module, call.func.value):
            end = source.span(call.func)[1]
            return [(end - len(call.func.attr), end, "exception")]
        if ast.unparse(call.func) == "print" and len(call.args) == 1 and not call.keywords and logger:
            return [(*source.span(call.func), f"{logger}.exception")]
    splices = [] if logger else _imports.added(source, "import logging", own_module(case, module.path))
    quote = source.quote
    line = f"{logger or 'logging'}.exception({quote}{_MESSAGE}{quote})"
    first = handler.body[0]
    if isinstance(first, ast.Pass) or _is_ellipsis(first):
        return [*splices, (*source.span(first), line)]
    if first.lineno == handler.lineno:
        start = source.span(first)[0]
        return [*splices, (start, start, f"{line}; ")]
    start = source.line_start(first.lineno)
    return [*splices, (start, start, source.indent(first) + line + source.end)]


def _is_ellipsis(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and statement.value.value is ...
    )


def _logs(module: Module, node: ast.expr) -> bool:
    """Whether it is a logger, by its name or by how it is made; ``warnings`` is none."""
    name = module.qualify(node)
    return name != "warnings" and bool(re.search(r"log", name, re.IGNORECASE) or name in _made(module))


def _made(module: Module) -> list[str]:
    """The module's own loggers."""
    found = []
    for name, statements in module.definitions.items():
        value = getattr(statements[-1], "value", None)
        if isinstance(value, ast.Call) and _LOGGERS.match(module.qualify(value.func)):
            found.append(name)
    return found


def _logger(module: Module) -> str:
    """The logger that the file uses; ``""`` if it has none."""
    made = _made(module)
    if made:
        return made[0]
    known = [name for name, item in module.aliases.items() if (item.module, item.name) == ("loguru", "logger")]
    return known[0] if known else "logging" if _imports.bound(source_of(module), "logging") else ""


def keep_first(case: Case) -> Change | Refusal:
    """Without the second init, whose options the first one is given, where both stand side by side."""
    fact = next((item for item in case.bad if isinstance(item, SdkSetup)), None)
    reached = analysed(case).reached
    first = next((item for item in reached if "dsn" in item.init.options), None)
    places = {(item.path, item.line) for item in (fact.evidence if fact is not None else ())}
    second = next(
        (
            item
            for item in reached
            if (item.init.evidence.path, item.init.evidence.line) in places and item is not first
        ),
        None,
    )
    if first is None or second is None:
        return Refusal(reason="which of the two init calls is meant was not found")
    splices = _joined(first, second)
    if splices is None:
        return Refusal(
            reason=(
                f"{second.init.evidence} runs after {first.init.evidence} and replaces it: give its options to the first "
                "one, and remove it; the two are not next to each other, or disagree on an option"
            )
        )
    module = first.init.module
    return Change(
        summary=f"will remove the second init in {module.path}, and keep its options in the first",
        edits=(edit(source_of(module), module.path, splices),),
    )


def _joined(first: Reached, second: Reached) -> list[Splice] | None:
    module, one, two = first.init.module, first.init.call, second.init.call
    statement = module.parents.get(two)
    other = module.parents.get(one)
    if (
        module is not second.init.module or not isinstance(statement, ast.Expr) or not isinstance(other, ast.Expr)
        or module.parents.get(statement) is not module.parents.get(other) or statement.lineno < other.lineno
        or two.args or any(item.arg is None for item in two.keywords)
    ):  # fmt: skip
        return None
    source = source_of(module)
    splices: list[Splice] = [(*source.lines_of(statement), "")]
    known = {item.arg: source.written(item.value) for item in one.keywords}
    if any(item.arg is None for item in one.keywords):
        return None
    added = [item for item in two.keywords if item.arg not in known]
    if any(item.arg in known and known[item.arg] != source.written(item.value) for item in two.keywords):
        return None
    body = getattr(module.parents.get(statement), "body", [])
    between = body[body.index(other) + 1 : body.index(statement)] if statement in body and other in body else None
    if between is None or (added and between):
        return None
    if added:
        splices.append(with_argument(source, one, ", ".join(source.written(item) for item in added)))
    return splices


FIXERS = {"backend-init-failure-visible": make_visible, "backend-init-once": keep_first}
