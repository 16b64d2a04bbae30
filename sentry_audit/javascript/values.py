"""Where a value comes from in JavaScript: variables of the environment, literals, the page; through constants and files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from sentry_audit.javascript.syntax import entries, line_of, string_of, text_of, walk
from sentry_audit.javascript.variables import READ
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry_audit.javascript.loading import Loading
    from sentry_audit.javascript.syntax import Source

_PAGE = re.compile(r"^(window|globalThis|self)\b|useRuntimeConfig|\bfetch\(")
_ON_SERVER = frozenset({'typeofwindow==="undefined"', 'typeofwindow=="undefined"', "isServer", "import.meta.env.SSR"})
_IN_BROWSER = frozenset(
    {'typeofwindow!=="undefined"', 'typeofwindow!="undefined"', "isBrowser", "!isServer", "!import.meta.env.SSR"}
)
_EMPTY = frozenset({"undefined", "null", '""', "''", "``", "false"})
#: Nodes whose blanks are part of what they say.
_TEXTS = frozenset({"string", "template_string"})
#: What makes a truth value of what it compares.
_COMPARES = frozenset({"===", "==", "!==", "!=", "<", "<=", ">", ">=", "in", "instanceof"})
_DEPTH = 6


class Origin(Struct):
    """``variables`` are (name, how it is read); ``literals`` texts in code; ``page`` is true for what comes at run time."""

    variables: list[tuple[str, str]] = field(default_factory=list)
    literals: list[str] = field(default_factory=list)
    page: bool = False
    unknown: list[str] = field(default_factory=list)
    trail: list[Evidence] = field(default_factory=list)


class Variable(Struct, frozen=True):
    """A variable that a DSN comes from: read while the server runs, or compiled in; with a literal in case it is not set."""

    name: str
    at_run_time: bool = False
    has_literal: bool = False
    evidence: Evidence | None = None


class Values:
    """Follows values through the files of one front end."""

    def __init__(self, loading: Loading, source: Callable[[str], Source | None]) -> None:
        self.loading = loading
        self.source = source

    def origin(self, node: Any, source: Source) -> Origin:
        """Where the value of an expression comes from."""
        found = Origin()
        self._follow(node, source, found, 0)
        return found

    def _follow(self, node: Any, source: Source, found: Origin, depth: int) -> None:
        text = " ".join(text_of(node).split()) if node.type not in _TEXTS else text_of(node)
        if depth > _DEPTH:
            found.unknown.append(text[:60])
        elif match := READ.match(text.replace("?.", ".").replace("!", "")):
            known = (
                source.imports.get("env") if match[1] == "env" else None
            )  # SvelteKit's: svelte.dev/docs/kit/$env-dynamic-public
            how = known.module if known is not None and known.module.startswith("$env/") else match[1]
            found.variables.append((match[2] or match[3], how))
            found.trail.append(Evidence(source.path, line_of(node), None, None, text[:80]))
        elif (plain := string_of(node)) is not None:
            if plain:
                found.literals.append(plain)
        elif text in _EMPTY:
            return
        elif _PAGE.search(text) and node.type in {"member_expression", "subscript_expression", "call_expression"}:
            found.page = True
            found.trail.append(Evidence(source.path, line_of(node), None, None, text[:80]))
        elif node.type in {
            "binary_expression",
            "ternary_expression",
            "parenthesized_expression",
            "as_expression",
            "non_null_expression",
            "await_expression",
            "satisfies_expression",
        }:
            if node.type == "binary_expression" and text_of(node.child_by_field_name("operator")) in _COMPARES:
                found.unknown.append(text[:60])
                return
            for part in _parts(node):
                self._follow(part, source, found, depth + 1)
        elif node.type in {"identifier", "shorthand_property_identifier"}:
            self._name(text, source, found, depth)
        elif node.type == "member_expression":
            self._member(node, source, found, depth)
        elif node.type == "call_expression" and text.endswith((".trim()", ".toString()")):
            self._follow(node.child_by_field_name("function").child_by_field_name("object"), source, found, depth + 1)
        else:
            found.unknown.append(text[:60])

    def _name(self, name: str, source: Source, found: Origin, depth: int) -> None:
        if name in source.constants:
            self._follow(source.constants[name], source, found, depth + 1)
        elif name in source.bound:
            self._bound(name, source, found, depth)
        elif name in source.imports:
            self._imported(source, name, lambda other, node: self._follow(node, other, found, depth + 1), found)
        else:
            found.unknown.append(name)

    def _bound(self, name: str, source: Source, found: Origin, depth: int) -> None:
        """``const { name } = …``: a variable of the environment, or an entry of an object."""
        key, value = source.bound[name]
        match = READ.match(f"{text_of(value)}.{key}")
        if match:
            known = source.imports.get("env") if match[1] == "env" else None
            how = known.module if known is not None and known.module.startswith("$env/") else match[1]
            found.variables.append((key, how))
            found.trail.append(Evidence(source.path, line_of(value), None, None, f"{key} of {match[1]}"))
            return
        inside, over = _entry(source, source.constants.get(text_of(value), value), key, 0)
        if inside is None:
            found.unknown.append(f"{name} of {text_of(value)[:40]}")
        else:
            self._follow(inside, source, found, depth + 1)
            found.unknown += [f"{name}, over which {over} is spread"] if over else []

    def _imported(self, source: Source, name: str, use: Callable[[Source, Any], None], found: Origin) -> None:
        known = source.imports[name]
        if known.module.startswith("$env/"):  # SvelteKit's: svelte.dev/docs/kit/$env-static-public
            found.variables.append((known.name, known.module))
            found.trail.append(Evidence(source.path, None, None, None, f"{known.name} from {known.module}"))
            return
        path = self.loading.locate(known.module, source.path)
        other = self.source(path) if path else None
        node = other.constants.get(known.name) if other is not None else None
        if node is None and other is not None and known.name == "default":
            node = other.constants.get(text_of(other.default), other.default)
        if other is None or node is None:
            found.unknown.append(f"{name} from {known.module}")
        else:
            use(other, node)

    def _member(self, node: Any, source: Source, found: Origin, depth: int) -> None:
        """``config.dsn``: the entry of an object that is written somewhere; ``env.X`` of a module that reads variables."""
        owner, key = text_of(node.child_by_field_name("object")), text_of(node.child_by_field_name("property"))

        def entry(where: Source, value: Any) -> None:
            inside, over = _entry(where, value, key, 0)
            if inside is None:
                found.unknown.append(f"{owner}.{key}")
            else:
                self._follow(inside, where, found, depth + 1)
                found.unknown += [f"{owner}.{key}, over which {over} is spread"] if over else []

        if owner in source.constants:
            entry(source, source.constants[owner])
        elif owner in source.imports:
            self._imported(source, owner, entry, found)
        else:
            found.unknown.append(text_of(node)[:60])

    def written(self, node: Any, source: Source) -> tuple[Any, Source] | None:
        """Where what ``config.key`` or an imported name stands for is written, and in which file."""
        found: list[tuple[Any, Source]] = []
        if node.type == "identifier" and text_of(node) in source.imports:
            self._imported(source, text_of(node), lambda other, value: found.append((value, other)), Origin())
        elif node.type == "member_expression":
            owner, key = text_of(node.child_by_field_name("object")), text_of(node.child_by_field_name("property"))

            def entry(where: Source, value: Any) -> None:
                inside, over = _entry(where, value, key, 0)
                found.extend([(inside, where)] if inside is not None and not over else [])

            if owner in source.constants:
                entry(source, source.constants[owner])
            elif owner in source.imports:
                self._imported(source, owner, entry, Origin())
        return found[0] if found else None


def _alternatives(node: Any) -> list[Any]:
    """The branches of a ternary; of one that asks whether there is a window, the browser's."""
    test, *branches = list[Any](node.named_children)
    asked = re.sub(r"\s", "", text_of(test)).strip("()").replace("'", '"')
    if asked in _ON_SERVER:
        return branches[1:]
    return branches[:1] if asked in _IN_BROWSER else branches


def _parts(node: Any) -> list[Any]:
    """The operands that an expression may take its value from: of ``a && b``, ``b``."""
    if node.type == "ternary_expression":
        return _alternatives(node)
    parts = list[Any](node.named_children)
    if node.type == "binary_expression" and text_of(node.child_by_field_name("operator")) == "&&":
        return parts[-1:]
    return parts[:1] if node.type in {"as_expression", "satisfies_expression"} else parts


def _entry(source: Source, value: Any, key: str, depth: int) -> tuple[Any, str]:
    """(the value of ``key`` in an object, or in what is spread into it; what is spread over it and was not followed)."""
    for item in walk(value):
        if item.type != "object":
            continue
        inside, _ = entries(item)
        found, over = inside.get(key), ""
        for child in item.named_children:
            if child.type != "spread_element" or (key in inside and child.start_byte < inside[key].start_byte):
                continue
            name = text_of(child).lstrip(".")
            if name not in source.constants or depth >= _DEPTH:
                over = name[:60]
                continue
            spread, further = _entry(source, source.constants[name], key, depth + 1)
            if spread is not None:
                found, over = spread, further
        if found is not None:
            return found, over
    return None, ""
