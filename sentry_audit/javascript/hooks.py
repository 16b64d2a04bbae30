"""``beforeSend`` and its like: whether an event survives them.

An event whose hook returns null or throws is not sent (@sentry/core, ``_processEvent``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import Hook
from sentry_audit.javascript.syntax import FUNCTIONS, line_of, text_of
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sentry_audit.facts import Fact
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init
    from sentry_audit.javascript.syntax import Source

_HOOKS = ("beforeSend", "beforeSendTransaction", "beforeSendLog")
_NOTHING = frozenset({"null", "undefined", "", "void 0", "false"})
#: What an event may lack. Source: @sentry/core, types ``Event`` (all optional).
_OPTIONAL = r"(?:exception|request|user|extra|tags|contexts|breadcrumbs|message|transaction)"
_DIRECT = re.compile(rf"^(\w+)\.({_OPTIONAL})!?\s*(\.|\[)")


def hooks(analysis: Analysis, item: Init, options: Mapping[str, Any]) -> Iterator[Fact]:
    """One fact per hook of an init."""
    for option in _HOOKS:
        node = options.get(option)
        if node is None or text_of(node) in _NOTHING:
            continue
        here = Evidence(item.source.path, line_of(node), saw=f"{option}: {text_of(node)}".partition("\n")[0][:80])
        shown = text_of(node).partition("\n")[0][:60]
        found = function_of(analysis, node, item.source)
        if found is None:
            reason = f"{option}: {shown} could not be followed"
            yield Hook(option=option, function=shown, unknown=reason, evidence=(here,))
            continue
        source, function = found
        problem, line = _problem(function)
        where = (Evidence(source.path, line, saw=shown),) if line is not None else ()
        yield Hook(option=option, function=shown, keeps_events=not problem, problem=problem, evidence=(here, *where))


def function_of(analysis: Analysis, node: Any, source: Source) -> tuple[Source, Any] | None:
    """The function that a hook is, through names, imports and TypeScript's assertions."""
    for _ in range(4):
        if node.type in FUNCTIONS:
            return source, node
        if node.type in {"as_expression", "satisfies_expression", "parenthesized_expression"} and node.named_children:
            node = node.named_children[0]
            continue
        name = text_of(node)
        if name in source.functions:
            return source, source.functions[name]
        if name in source.constants:
            node = source.constants[name]
            continue
        known = source.imports.get(name)
        path = analysis.loading.locate(known.module, source.path) if known is not None else None
        other = analysis.source(path) if path is not None else None
        if known is None or other is None:
            return None
        node = other.functions.get(known.name) or other.constants.get(known.name) or other.default
        source = other
        if node is None:
            return None
    return None


def _problem(function: Any) -> tuple[str, int | None]:
    """(what drops every event, or may, the line)."""
    body = function.child_by_field_name("body")
    if body is None:
        return "", None
    if body.type != "statement_block":
        return ("it returns null for every event", line_of(body)) if _is_nothing(body) else ("", None)
    returned = [node for node in _own(body) if node.type == "return_statement"]
    values = [node.named_children[0] for node in returned if node.named_children]
    throws = any(node.type == "throw_statement" for node in body.named_children[-1:])
    if not values and not throws:
        return "it never returns the event, so every event is dropped", line_of(function)
    if values and all(map(_is_nothing, values)):
        return "it returns null on every path, so every event is dropped", line_of(values[0])
    return _throwing(function, body)


def returned(function: Any) -> list[Any]:
    """What a function's results are: the ends of what it returns, both sides of ``… ? … : …``."""
    body = function.child_by_field_name("body")
    if body.type != "statement_block":
        return _ends(body)
    found = [node for node in _own(body) if node.type == "return_statement" and node.named_children]
    return [end for node in found for end in _ends(node.named_children[0])]


def _ends(node: Any) -> list[Any]:
    if node.type in {"parenthesized_expression", "await_expression"}:
        return _ends(node.named_children[0])
    if node.type != "ternary_expression":
        return [node]
    return [*_ends(node.child_by_field_name("consequence")), *_ends(node.child_by_field_name("alternative"))]


def _own(node: Any) -> Iterator[Any]:
    """The nodes below ``node``, those of functions in it left out."""
    for child in node.children:
        yield child
        if child.type not in FUNCTIONS:
            yield from _own(child)


def _is_nothing(node: Any) -> bool:
    text = text_of(node)
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    return text in _NOTHING


def _throwing(function: Any, body: Any) -> tuple[str, int | None]:
    """A first access to what events may lack, without ``?.`` and with nothing in front that looks whether it is there."""
    name = parameter_of(function)
    for node in _own(body):
        if node.type not in {"member_expression", "subscript_expression"}:
            continue
        match = _DIRECT.match(text_of(node))
        if match is None or match[1] != name:
            continue
        if _asked(node, body, f"{name}.{match[2]}"):
            continue
        return (
            f"it throws on events without {match[2]} ({text_of(node)[:50]}), and an event whose hook throws is not sent",
            line_of(node),
        )
    return "", None


def parameter_of(function: Any) -> str:
    """The name of a function's first parameter, or the pattern that it is."""
    listed = function.child_by_field_name("parameters") or function.child_by_field_name("parameter")
    first = listed if listed is not None and listed.type == "identifier" else None
    if listed is not None and listed.type == "formal_parameters" and listed.named_children:
        first = listed.named_children[0]
    return text_of(first).partition(":")[0].rstrip("?").strip()


def _asked(node: Any, body: Any, subject: str) -> bool:
    """Whether something before the access, or around it, mentions ``subject`` by itself: a condition, an assignment, a try."""
    pattern = re.compile(rf"(?<![\w.]){re.escape(subject)}(?!\s*!?[\w.\[])|(?<![\w.]){re.escape(subject)}\?\.")
    current = node
    while current.parent is not None and current != body:
        current = current.parent
        if current.type == "try_statement":
            return True
    before = body.text[: node.start_byte - body.start_byte].decode(errors="replace")
    return bool(pattern.search(before))
