"""The scrubbing of a ``beforeSend``, shared with ``beforeSendTransaction``: one function, and both hooks call it.

A function of ``Event`` that returns nothing fits both hooks: ``ErrorEvent`` and ``TransactionEvent`` extend it, and neither
hook takes a function of the other's type (@sentry/core, types ``ClientOptions``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.fixers.js_imports import Imports
from sentry_audit.fixers.js_web import NotClear, add_entry, options_node, pair_of
from sentry_audit.javascript.hooks import function_of, parameter_of
from sentry_audit.javascript.privacy import changes, streams
from sentry_audit.javascript.syntax import FUNCTIONS, bound_names, enclosing_functions, options_of, text_of, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.fixers.js_web import Patch
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init

_NAMES = ("scrubEvent", "scrubSentryEvent", "withoutPersonalData")
_OF_USER = re.compile(r"\.user\s*[?!]?\.\s*(email|username|ip_address|id|name)\b")
_PASTE = ("beforeSendTransaction(event) {", "  // what beforeSend takes out of errors", "  return event;", "},")


def scrub_transactions(analysis: Analysis, patch: Patch, item: Init) -> None:
    """Give an init the hook for transactions. Raises NotClear where what scrubs errors cannot be shared as it is."""
    options, _ = options_of(item.call) or ({}, True)
    hook = options["beforeSend"]
    if streams(analysis, item, options):
        raise NotClear(
            f"{item.evidence}: spans are sent one by one and hold attributes, no fields of events: what beforeSendSpan "
            "takes out of them is yours to say",
            *_of_spans(text_of((function_of(analysis, hook, item.source) or (None, hook))[1])),
        )
    pair = pair_of(options_node(item), "beforeSend")
    if pair.type == "shorthand_property_identifier" or hook.type == "identifier":
        _named(analysis, patch, item, hook)
        return
    function = hook if hook.type in FUNCTIONS else None
    if function is None:
        raise NotClear(f"beforeSend at {item.evidence} is no plain function", *_PASTE)
    _shared(patch, item, function)


def _of_spans(hook: str) -> list[str]:
    """What to paste for SDKs that send spans: what the hook takes from the user, in the words of spans."""
    fields = dict.fromkeys("name" if field == "username" else field for field in _OF_USER.findall(hook))
    if not fields and re.search(r"\.user\b", hook):
        fields = dict.fromkeys(("email", "name", "ip_address"))
    rows = [f'  delete span.attributes["user.{field}"];' for field in fields]
    rows = rows or ['  delete span.attributes["url.full"]; // or what else is personal in your spans']
    return ["beforeSendSpan(span) {", *rows, "  return span;", "},"]


def _named(analysis: Analysis, patch: Patch, item: Init, hook: Any) -> None:
    """The same function for both hooks, where its types allow it."""
    name = text_of(hook)
    found = function_of(analysis, hook, item.source)
    head = text_of(found[1]).partition("{")[0] if found is not None else ""
    if "ErrorEvent" in head or "NonNullable<" in head or "BrowserOptions" in head:
        raise NotClear(
            f"{name} takes errors only, by its type: let it take every event, and give it to both hooks",
            f"function {name}<E extends Sentry.Event>(event: E): E {{",
            f"beforeSendTransaction: {name},",
        )
    if found is not None:
        _only_scrubs(found[1], name)
    add_entry(patch, options_node(item), f"beforeSendTransaction: {name}", "beforeSend")


def _only_scrubs(function: Any, name: str) -> None:
    text = text_of(function.child_by_field_name("body"))
    if re.search(r"\breturn\s+null\b|\bexception\b|[oO]riginalException", text):
        raise NotClear(
            f"{name} chooses among errors too: what of it is for transactions is yours to say", *_PASTE
        )  # fmt: skip


# --- a hook that is written in the init -----------------------------------------------------------------


def _shared(patch: Patch, item: Init, function: Any) -> None:
    """Move what scrubs into a function of its own in front of the init's statement, and call it from both hooks."""
    event, body = parameter_of(function), function.child_by_field_name("body")
    where = f"beforeSend at {item.evidence}"
    if body.type != "statement_block" or not re.fullmatch(r"[\w$]+", event):
        raise NotClear(f"{where} is no plain function of an event", *_PASTE)
    statements = [node for node in body.named_children if node.type != "comment"]
    moved = _moved(statements, event, where)
    _stands_alone(moved, statements, function, event, where)
    name = next((name for name in _NAMES if not re.search(rf"\b{name}\b", item.source.text)), None)
    if name is None:
        raise NotClear(f"{item.source.path} calls something {_NAMES[0]} already", *_PASTE)
    style, typed = patch.style, item.source.path.endswith((".ts", ".tsx", ".mts"))
    kind = ""
    if typed:
        imports = Imports(patch)
        kind = f": {imports.type_of(item.package, 'Event')}"
        imports.flush()
    outer, inner = statement_of(item.call), patch.indent_of(statements[0])
    base = patch.indent_of(outer)
    rows = _rows(patch, moved, event, inner, base + style.indent)
    text = f"function {name}({event}{kind}) {{{style.end}{rows}{style.end}{base}}}{style.end * 2}{base}"
    patch.insert(outer.start_byte, text)
    first, last = _first(moved[0]), moved[-1]
    call = f"{name}({event}){style.semicolon}"
    patch.replace_range(first.start_byte, last.end_byte, call)
    hook = [f"beforeSendTransaction({event}) {{", f"{style.indent}{call}",
            f"{style.indent}return {event}{style.semicolon}", "}"]  # fmt: skip
    pair = pair_of(options_node(item), "beforeSend")
    add_entry(patch, options_node(item), f"{style.end}{patch.indent_of(pair)}".join(hook), "beforeSend")


def _moved(statements: list[Any], event: str, where: str) -> list[Any]:
    """The statements that scrub: from the first that takes something out to the ``return`` at the end."""
    if len(statements) < 2 or text_of(statements[-1]).rstrip(";").strip() != f"return {event}":
        raise NotClear(f"{where} does not end with the event", *_PASTE)
    start = next((index for index, node in enumerate(statements) if changes(node)), len(statements))
    while start and _leads(statements[start - 1], event):
        start -= 1
    moved = statements[start:-1]
    returned = [node for part in moved for node in _own(part) if node.type == "return_statement"]
    if not moved or any(text_of(node).rstrip(";").strip() != f"return {event}" for node in returned):
        raise NotClear(f"{where} drops events among what it scrubs: what of it is for transactions is yours", *_PASTE)
    return moved


def _leads(statement: Any, event: str) -> bool:
    """Whether a statement only makes way for what scrubs: it declares something, or lets an event go as it is."""
    if statement.type == "if_statement":
        returned = [text_of(node).rstrip(";").strip() for node in _own(statement) if node.type == "return_statement"]
        return bool(returned) and set(returned) == {f"return {event}"}
    return statement.type in {"lexical_declaration", "variable_declaration", "function_declaration"}


def _own(node: Any) -> Iterator[Any]:
    yield node
    for child in node.children:
        if child.type not in FUNCTIONS:
            yield from _own(child)


def _stands_alone(moved: list[Any], statements: list[Any], function: Any, event: str, where: str) -> None:
    """Raise NotClear where what is moved uses what it would leave behind."""
    used = {text_of(node) for part in moved for node in walk(part) if "identifier" in node.type}
    left = set(re.findall(r"[\w$]+", text_of(function.child_by_field_name("parameters")))) - {event}
    left -= {"Sentry", "Event", "ErrorEvent", "any", "unknown", "EventHint"}
    around = [node for outer in enclosing_functions(function) for node in walk(outer)]
    kept = [node for part in statements if part not in moved for node in walk(part)]
    for node in (*around, *kept):
        if node.type == "variable_declarator" and not any(_within(node, part) for part in moved):
            name = node.child_by_field_name("name")
            left |= {text_of(name)} if name.type == "identifier" else {local for _, local in bound_names(name)}
    text = " ".join(text_of(part) for part in moved)
    if (lost := sorted(used & left)) or re.search(r"\bawait\b|\bthis\b|\bexception\b", text):
        what = f"uses {', '.join(lost)}" if lost else "looks at what transactions do not have, or waits"
        raise NotClear(f"what {where} scrubs {what}: share it with beforeSendTransaction by hand", *_PASTE)


def _within(node: Any, part: Any) -> bool:
    return bool(part.start_byte <= node.start_byte and node.end_byte <= part.end_byte)


def _first(node: Any) -> Any:
    """A statement, with the remarks right above it."""
    while node.prev_sibling is not None and node.prev_sibling.type == "comment":
        if node.prev_sibling.end_point[0] < node.start_point[0] - 1:
            break
        node = node.prev_sibling
    return node


def statement_of(call: Any) -> Any:
    """The outermost statement around the init that stands in a block or a file, with the remarks above it."""
    node = call
    while node.parent is not None and node.parent.type != "program":
        node = node.parent
    return _first(node)


def _rows(patch: Patch, moved: list[Any], event: str, before: str, after: str) -> str:
    """The statements as they are, a step further out; an early ``return event`` returns nothing there."""
    if moved[0].start_point[0] == moved[-1].parent.start_point[0]:  # all in one row
        early = re.compile(rf"\breturn {re.escape(event)}(?![\w$.])")
        return patch.style.end.join(f"{after}{early.sub('return', text_of(part))}" for part in moved)
    start, end = _first(moved[0]).start_byte, moved[-1].end_byte
    data = patch.bytes[start:end]
    ends = [node for part in moved for node in _own(part) if node.type == "return_statement"]
    for node in reversed(ends):
        text = "return" + (";" if text_of(node).endswith(";") else "")
        data = data[: node.start_byte - start] + text.encode() + data[node.end_byte - start :]
    rows = data.decode().split(patch.style.end)
    return patch.style.end.join(
        (after + row.removeprefix(before) if row.strip() else row) for row in [before + rows[0], *rows[1:]]
    )
