"""What a text of JavaScript begins with: followed through constants, functions and files to variables and literals."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.javascript.names import CODE, is_generated
from sentry_audit.javascript.syntax import Source, entries, string_of, text_of, walk
from sentry_audit.javascript.variables import READ

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.javascript.analysis import Analysis

_ORIGIN = re.compile(r"^(window\.|globalThis\.|self\.|document\.)?location\b")
_RUNTIME = re.compile(r"^(window|globalThis|self)\b|useRuntimeConfig|__ENV")
_WRAPPERS = frozenset(
    {"parenthesized_expression", "as_expression", "non_null_expression", "await_expression", "satisfies_expression"}
)
_NOTHING = frozenset({"undefined", "null"})
_DEPTH = 10
_ENOUGH = 20


class Part(Struct, frozen=True):
    """One thing that a text may begin with.

    ``env``: the variable ``text``, read as ``how``; ``literal``: ``text`` itself; ``origin``: the page's own;
    ``unknown``: the expression ``text``, which was not followed.
    """

    kind: str
    text: str
    how: str = ""


class Leading:
    """Follows texts through the files of one front end. Files that are broken are read as far as they can be."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._sources: dict[str, Source | None] = {}

    def source(self, path: str) -> Source | None:
        """The file as a tree, None for what nobody wrote."""
        if path not in self._sources:
            text = self.analysis.files.text(path) if path.endswith(CODE) else None
            self._sources[path] = Source(path, text) if text is not None and not is_generated(text) else None
        return self._sources[path]

    def follow(self, node: Any, source: Source) -> list[Part]:
        """What the text may begin with, in the order in which it is tried."""
        return list(islice(self._follow(node, source, 0), _ENOUGH))

    def _follow(self, node: Any, source: Source, depth: int) -> Iterator[Part]:
        text = text_of(node)
        plain = re.sub(r"\(?(import\.meta|process)(?: as any)?\)?(?=\??\.env)", r"\1", text)
        plain = plain.replace("?.", ".").replace("!", "").replace("(import.meta.env as any)", "import.meta.env")
        if depth > _DEPTH:
            yield Part("unknown", text[:60])
        elif match := READ.match(plain):
            yield Part("env", match[2] or match[3], match[1])
        elif (literal := string_of(node)) is not None:
            yield Part("literal", literal)
        elif text in _NOTHING:
            return
        elif _ORIGIN.match(text):
            yield Part("origin", text[:60])
        elif node.type in _WRAPPERS:
            yield from self._follow(node.named_children[0], source, depth + 1)
        elif node.type == "ternary_expression":
            for name in ("consequence", "alternative"):
                yield from self._follow(node.child_by_field_name(name), source, depth + 1)
        elif node.type == "binary_expression":
            yield from self._binary(node, source, depth)
        elif node.type == "template_string":
            yield from self._template(node, source, depth)
        elif node.type in {"identifier", "shorthand_property_identifier"}:
            yield from self._name(text, source, depth)
        elif node.type == "member_expression":
            yield from self._member(node, source, depth)
        elif node.type in {"call_expression", "new_expression"}:
            yield from self._call(node, source, depth)
        else:
            yield Part("unknown", text[:60])

    def _binary(self, node: Any, source: Source, depth: int) -> Iterator[Part]:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = text_of(node.child_by_field_name("operator"))
        if operator in {"||", "??"}:
            yield from self._follow(left, source, depth + 1)
            yield from self._follow(right, source, depth + 1)
        else:
            yield from self._follow(right if operator == "&&" else left, source, depth + 1)

    def _template(self, node: Any, source: Source, depth: int) -> Iterator[Part]:
        first = next(iter(node.named_children), None)
        if first is not None and first.type == "template_substitution":
            yield from self._follow(first.named_children[0], source, depth + 1)
        else:
            yield Part("literal", text_of(node)[1:-1].partition("${")[0])

    def _name(self, name: str, source: Source, depth: int) -> Iterator[Part]:
        if name in source.functions:
            yield from self._returned(source.functions[name], source, depth)
        elif name in source.constants:
            yield from self._follow(source.constants[name], source, depth + 1)
        elif name in source.imports and (found := self._imported(name, source)) is not None:
            other, original = found
            yield from self._name(original, other, depth + 1)
        else:
            yield Part("unknown", name)

    def _imported(self, name: str, source: Source) -> tuple[Source, str] | None:
        known = source.imports[name]
        path = self.analysis.loading.locate(known.module, source.path)
        other = self.source(path) if path else None
        original = known.name
        if other is not None and original == "default":
            match = re.search(r"export\s+default\s+(\w+)\s*;?\s*$", other.text, re.MULTILINE)
            original = match[1] if match else ""
        if other is None or (original not in other.constants and original not in other.functions):
            return None
        return other, original

    def _returned(self, function: Any, source: Source, depth: int) -> Iterator[Part]:
        body = function.child_by_field_name("body")
        if body is not None and body.type != "statement_block":
            yield from self._follow(body, source, depth + 1)
            return
        for node in walk(body) if body is not None else ():
            if node.type == "return_statement" and node.named_children:
                yield from self._follow(node.named_children[0], source, depth + 1)

    def _member(self, node: Any, source: Source, depth: int) -> Iterator[Part]:
        """``config.apiUrl``: the entry of an object that is written somewhere; ``new URL(x).origin``."""
        owner, key = node.child_by_field_name("object"), text_of(node.child_by_field_name("property"))
        name, where = text_of(owner), source
        if owner.type in {"new_expression", "call_expression"}:
            yield from self._follow(owner, source, depth + 1)
            return
        if _RUNTIME.search(text_of(node)):
            yield Part("unknown", text_of(node)[:60])
            return
        if name in source.imports and (found := self._imported(name, source)) is not None:
            where, name = found
        for item in walk(where.constants[name]) if name in where.constants else ():
            if item.type == "object" and (value := entries(item)[0].get(key)) is not None:
                yield from self._follow(value, where, depth + 1)
                return
        yield Part("unknown", text_of(node)[:60])

    def _call(self, node: Any, source: Source, depth: int) -> Iterator[Part]:
        """``getUrl()``; ``x.replace(…)`` begins as ``x`` does, ``new URL(x)`` and ``String(x)`` too."""
        function = node.child_by_field_name("function") or node.child_by_field_name("constructor")
        arguments = node.child_by_field_name("arguments")
        first = next(iter(arguments.named_children), None) if arguments is not None else None
        name = text_of(function)
        if name in {"URL", "String", "RegExp", "encodeURI"} and first is not None:
            yield from self._follow(first, source, depth + 1)
        elif function is not None and function.type == "identifier":
            yield from self._name(name, source, depth + 1)
        elif re.search(r"\.(replace|replaceAll|trim|trimEnd|toString|concat|toLowerCase)$", name):
            yield from self._follow(function.child_by_field_name("object"), source, depth + 1)
        else:
            yield Part("unknown", text_of(node)[:60])
