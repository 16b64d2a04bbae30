"""Policies in JavaScript: headers() of Next.js, middleware, helmet, SvelteKit, Nuxt, a meta element in JSX."""

from __future__ import annotations

import re
from posixpath import basename
from typing import TYPE_CHECKING, Any

from sentry_audit.csp import HOLE
from sentry_audit.javascript.conditions import guards
from sentry_audit.javascript.syntax import entries, line_of, text_of, walk
from sentry_audit.model import Evidence
from sentry_audit.policies.policy import HEADER, Policy, limited_to
from sentry_audit.policies.production import possible, production

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.javascript.syntax import Source
    from sentry_audit.policies.strings import Strings

#: Entries whose values speak of the development server, or of images.
_ELSEWHERE = frozenset({"server", "preview", "devServer", "images"})
_SETTERS = frozenset({"set", "append", "setHeader", "header", "appendHeader", "writeHead", "setResponseHeader"})
#: Conditions that ask which page is answered, and how: not whether a policy is in use.
_ABOUT_REQUEST = re.compile(
    r"path|url|route|request|\breq\b|response|\bres\b|header|method|html|api|static|locale|session|user", re.IGNORECASE
)
_PATH = re.compile(r"\b\w*(path(name)?|url|route)\b", re.IGNORECASE)


def read(source: Source, strings: Strings) -> Iterator[Policy]:
    """The policies that a file sets and that browsers enforce, in production."""
    for node in walk(source.root):
        for name, value in _headers(node):
            names = [item.lower() for item in strings.texts(name, source)] if not isinstance(name, str) else [name]
            if HEADER in names and not _elsewhere(node) and possible(node, source):
                condition = "" if names == [HEADER] else f"the header's name, {text_of(name)[:60]}, makes it enforced"
                yield from _policy(node, strings.texts(value, source), source, condition)
        for value in _tables(node, source):
            if not _elsewhere(node) and possible(node, source):
                yield from _options(node, value, source, strings)


def _headers(node: Any) -> Iterator[tuple[Any, Any]]:
    """(the expression of a header's name, that of its value) of what a node sets."""
    if node.type == "object":
        found, _ = entries(node)
        for name, value in (("key", "value"), ("name", "value"), ("httpEquiv", "content"), ("http-equiv", "content")):
            if name in found and found.get(value) is not None:
                yield found[name], found[value]
    elif node.type == "pair":
        key = node.child_by_field_name("key")
        if text_of(key).strip("\"'`").lower() == HEADER and key.type == "string":
            yield HEADER, node.child_by_field_name("value")
        elif key.type == "computed_property_name" and node.child_by_field_name("value").type not in {"object", "array"}:
            yield key.named_children[0], node.child_by_field_name("value")
    elif node.type == "call_expression":
        function, given = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        arguments = given.named_children if given is not None else []
        if function is not None and len(arguments) >= 2 and re.split(r"\W", text_of(function))[-1] in _SETTERS:
            start = 1 if text_of(function).endswith("setResponseHeader") and len(arguments) > 2 else 0
            yield arguments[start], arguments[start + 1]
    elif node.type == "assignment_expression":
        left = node.child_by_field_name("left")
        if left.type == "subscript_expression":
            yield left.child_by_field_name("index"), node.child_by_field_name("right")
    elif node.type in {"jsx_self_closing_element", "jsx_opening_element"}:
        attributes = dict(_attributes(node))
        if "httpEquiv" in attributes and "content" in attributes:
            yield attributes["httpEquiv"], attributes["content"]


def _attributes(node: Any) -> Iterator[tuple[str, Any]]:
    for child in node.named_children:
        if child.type == "jsx_attribute" and len(child.named_children) == 2:
            value = child.named_children[1]
            yield text_of(child.named_children[0]), value.named_children[0] if value.type == "jsx_expression" else value


def _tables(node: Any, source: Source) -> Iterator[Any]:
    """What stands for a policy as options: of helmet, nosecone, nuxt-security, SvelteKit."""
    if node.type == "pair":
        key, value = text_of(node.child_by_field_name("key")).strip("\"'"), node.child_by_field_name("value")
        kit = key == "csp" and basename(source.path).startswith("svelte.config")
        if (key == "contentSecurityPolicy" or kit) and value.type not in {"true", "false"}:
            yield value
    elif node.type == "call_expression":
        function, given = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        if given is not None and re.search(r"(^|\.)contentSecurityPolicy$", text_of(function)) and given.named_children:
            yield given.named_children[0]


def _options(node: Any, value: Any, source: Source, strings: Strings) -> Iterator[Policy]:
    known = (value, source, {}) if value.type == "object" else strings.resolve(value, source)
    if known is None and value.type in {"ternary_expression", "binary_expression", "call_expression"}:
        tables = [part for part in walk(value) if part.type == "object" and _is_table(part)]
        for part in tables[:1]:
            if possible(part, source):
                yield from _options(node, part, source, strings)
        if tables:
            return
    if known is None or known[0].type != "object":
        table = strings.table(value, source)
        if table is not None:
            yield from _policy(node, table, source, "")
            return
        texts = strings.texts(value, source)
        yield from _policy(node, texts, source, "")
        return
    options, _ = entries(known[0])
    report = options.get("reportOnly")
    if report is not None and (text_of(report) == "true" or production(report, known[1]) is True):
        return
    condition = ""
    if report is not None and text_of(report) != "false" and production(report, known[1]) is None:
        condition = f"reportOnly, {text_of(report)[:60]}, is false"
    table = options.get("directives", known[0] if _is_table(known[0]) else None)
    texts_ = strings.table(table, known[1], known[2]) if table is not None else None
    if texts_ is None and table is not None:
        texts_ = strings.texts(table, known[1], known[2])
    # helmet fills in default-src 'self' when no directives are given, or when useDefaults is not switched off
    defaults = "directives" in options or table is None
    if (
        defaults
        and not basename(source.path).startswith("svelte.config")
        and text_of(options.get("useDefaults")) != "false"
    ):
        texts_ = [f"{text}; default-src 'self'" if text else "default-src 'self'" for text in texts_ or [""]]
    yield from _policy(node, texts_ or [HOLE], source, condition)


def _is_table(node: Any) -> bool:
    return any(re.search(r"[sS]rc$|-src$|^directives$", name) for name in entries(node)[0])


def _policy(node: Any, texts: list[str], source: Source, condition: str) -> Iterator[Policy]:
    here = Evidence(source.path, line_of(node), None, None, "Content-Security-Policy")
    route = limited_to(_route(node))
    if route is None:
        return
    yield Policy(tuple(texts), here, route, condition or _condition(node, source))


def _condition(node: Any, source: Source) -> str:
    """The first condition around a policy that may be a switch of it."""
    for condition, wanted in guards(node):
        text = re.sub(r"^\((.*)\)$", r"\1", text_of(condition), flags=re.DOTALL)
        holds = wanted is not text.startswith("!")
        if production(condition, source) is None and (
            (holds and _PATH.search(text)) or not _ABOUT_REQUEST.search(text)
        ):
            return f"{text[:60]} is {'true' if wanted else 'false'}"
    return ""


def _route(node: Any) -> str:
    """The ``source`` of the rule of Next.js, or the key of Nuxt's routeRules, that a header stands in; ``""`` for none."""
    while node.parent is not None:
        node = node.parent
        if node.type == "object":
            found, _ = entries(node)
            if "headers" in found and "source" in found:
                return text_of(found["source"]).strip("\"'`")
        if node.type == "pair" and text_of(node.child_by_field_name("key")).strip("\"'").startswith("/"):
            return text_of(node.child_by_field_name("key")).strip("\"'")
    return ""


def _elsewhere(node: Any) -> bool:
    while node is not None:
        if node.type == "pair" and text_of(node.child_by_field_name("key")).strip("\"'") in _ELSEWHERE:
            return True
        node = node.parent
    return False
