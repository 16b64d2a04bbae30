"""The texts that an expression of JavaScript may have in production: templates, joins, constants, helpers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.csp import HOLE
from sentry_audit.javascript.syntax import enclosing_functions, entries, string_of, text_of, walk
from sentry_audit.policies.expressions import SAME, WRAPPED, entries_of, is_changed, method_of
from sentry_audit.policies.policy import combined, serialized
from sentry_audit.policies.production import possible, production

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry_audit.javascript.syntax import Source

_DEPTH = 12
Scope = dict[str, tuple[Any, "Source", "Scope"]]
EMPTY: Scope = {}


class Strings:
    """Evaluates expressions. ``imported`` gives the file that a module means in another, parsed."""

    def __init__(self, imported: Callable[[str, str], Source | None]) -> None:
        self.imported = imported

    def texts(self, node: Any, source: Source, scope: Scope = EMPTY, depth: int = 0) -> list[str]:
        """What the text may be, with holes for what is not known."""
        if node is None or depth > _DEPTH:
            return [HOLE]
        kind = node.type
        if (plain := string_of(node)) is not None:
            return [plain]
        if kind == "template_string":
            return self._template(node, source, scope, depth)
        if kind in WRAPPED:
            return self.texts(node.named_children[0], source, scope, depth)
        if kind == "ternary_expression":
            parts = self._branches(node, source)
            return _alternatives([self.texts(part, source, scope, depth + 1) for part in parts])
        if kind == "binary_expression":
            return self._binary(node, source, scope, depth)
        if kind in {"undefined", "null", "false"}:
            return [""]
        if kind == "array":
            return combined(self.items(node, source, scope, depth + 1), " ")
        if kind == "call_expression":
            return self._call(node, source, scope, depth)
        found = self.resolve(node, source, scope)
        if found is None:
            return [HOLE]
        value, where, inner = found
        texts = self.texts(value, where, inner, depth + 1)
        return [f"{text}{HOLE}; {HOLE}" for text in texts] if is_changed(text_of(node), source, where) else texts

    def items(self, node: Any, source: Source, scope: Scope = EMPTY, depth: int = 0) -> list[list[str]]:
        """The elements of a list, each with what it may be; an element that may be absent may be empty."""
        if node is None or depth > _DEPTH:
            return [[HOLE]]
        if node.type in WRAPPED:
            return self.items(node.named_children[0], source, scope, depth)
        if node.type == "array":
            found: list[list[str]] = []
            for child in node.named_children:
                if child.type == "spread_element":
                    found += self._spread(child.named_children[0], source, scope, depth + 1)
                elif child.type != "comment":
                    found.append(self.texts(child, source, scope, depth + 1))
            return found
        if node.type in {"ternary_expression", "binary_expression"}:
            return self._spread(node, source, scope, depth)
        if node.type == "call_expression":
            return self._listed(node, source, scope, depth)
        known = self.resolve(node, source, scope)
        if known is None:
            return [[HOLE]]
        value, where, inner = known
        listed = self.items(value, where, inner, depth + 1)
        return [*listed, [HOLE]] if is_changed(text_of(node), source, where) else listed

    def table(self, node: Any, source: Source, scope: Scope = EMPTY, depth: int = 0) -> list[str] | None:
        """The texts of a policy written as an object of directives; None if ``node`` is none."""
        if node is None or depth > _DEPTH:
            return None
        if node.type in WRAPPED:
            return self.table(node.named_children[0], source, scope, depth)
        if node.type == "call_expression" and text_of(node.child_by_field_name("function")) == "Object.assign":
            pairs, open_ = self._pairs(node.child_by_field_name("arguments"), source, scope, depth)
            return serialized(pairs, open_)
        if node.type != "object":
            known = self.resolve(node, source, scope)
            if known is None:
                return None
            found = self.table(*known, depth + 1)
            changed = found and is_changed(text_of(node), source, known[1])
            return [f"{text}; {HOLE}" for text in found or []] if changed else found
        pairs, open_ = self._pairs(node, source, scope, depth)
        return serialized(pairs, open_)

    def _pairs(
        self, node: Any, source: Source, scope: Scope, depth: int
    ) -> tuple[list[tuple[str, list[list[str]]]], bool]:
        pairs: list[tuple[str, list[list[str]]]] = []
        open_ = False
        for child in node.named_children:
            given = node.type == "arguments"  # of Object.assign, which does with each what a spread does
            if child.type == "spread_element" or (given and child.type != "comment"):
                inside = child if given else child.named_children[0]
                if "getDefaultDirectives" in text_of(inside):
                    pairs.append(("default-src", [["'self'"]]))
                    continue
                known = (inside, source, scope) if inside.type == "object" else self.resolve(inside, source, scope)
                if known is None or known[0].type != "object" or depth > _DEPTH:
                    open_ = True
                else:
                    more, further = self._pairs(*known, depth + 1)
                    pairs, open_ = [*pairs, *more], open_ or further
            elif child.type == "pair":
                key = child.child_by_field_name("key")
                name = HOLE if key.type == "computed_property_name" else text_of(key).strip("\"'`")
                value = child.child_by_field_name("value")
                if text_of(value) in {"null", "undefined", "false"}:
                    continue
                pairs.append((name, self._sources(value, source, scope, depth)))
            elif child.type == "shorthand_property_identifier":
                pairs.append((text_of(child), self.items(child, source, scope, depth + 1)))
        return list(dict(pairs).items()), open_

    def _sources(self, value: Any, source: Source, scope: Scope, depth: int) -> list[list[str]]:
        if value.type in {"string", "template_string"}:
            return [self.texts(value, source, scope, depth + 1)]
        if value.type == "true":
            return []
        listed = self.items(value, source, scope, depth + 1)
        return listed if listed != [[HOLE]] else [self.texts(value, source, scope, depth + 1)]

    def _template(self, node: Any, source: Source, scope: Scope, depth: int) -> list[str]:
        parts: list[list[str]] = []
        for child in node.children:
            if child.type == "template_substitution":
                parts.append(self.texts(child.named_children[0], source, scope, depth + 1))
            elif child.type == "string_fragment":
                parts.append([text_of(child)])
            elif child.type == "escape_sequence":
                parts.append([" " if text_of(child) in {"\\n", "\\\n", "\\t"} else text_of(child)[1:]])
        return combined(parts)

    def _binary(self, node: Any, source: Source, scope: Scope, depth: int) -> list[str]:
        operator = text_of(node.child_by_field_name("operator"))
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if operator == "+":
            return combined([self.texts(part, source, scope, depth + 1) for part in (left, right)])
        if operator == "&&":
            truth = production(left, source)
            if truth is False:
                return [""]
            value = self.texts(right, source, scope, depth + 1)
            return value if truth else _alternatives([value, [""]])
        if operator in {"||", "??"}:
            first = self.texts(left, source, scope, depth + 1)
            return _alternatives([first, self.texts(right, source, scope, depth + 1)] if "" in first else [first])
        return [HOLE]

    def _branches(self, node: Any, source: Source) -> list[Any]:
        truth = production(node.child_by_field_name("condition"), source)
        yes, no = node.child_by_field_name("consequence"), node.child_by_field_name("alternative")
        return [yes, no] if truth is None else [yes if truth else no]

    def _spread(self, node: Any, source: Source, scope: Scope, depth: int) -> list[list[str]]:
        if node.type in WRAPPED:
            return self._spread(node.named_children[0], source, scope, depth)
        if node.type == "ternary_expression":
            lists = [self.items(part, source, scope, depth + 1) for part in self._branches(node, source)]
            if len(lists) == 1:
                return lists[0]
            return [_alternatives([combined(part, " ") if part else [""] for part in lists])]
        if node.type == "binary_expression" and text_of(node.child_by_field_name("operator")) == "&&":
            truth = production(node.child_by_field_name("left"), source)
            inside = self.items(node.child_by_field_name("right"), source, scope, depth + 1)
            if truth is None:
                return [_alternatives([combined(inside, " "), [""]])]
            return inside if truth else []
        if node.type == "binary_expression":
            return [[HOLE]]
        return self.items(node, source, scope, depth + 1)

    def _listed(self, node: Any, source: Source, scope: Scope, depth: int) -> list[list[str]]:
        """The elements of what a call gives."""
        owner, method, arguments = method_of(node)
        if owner is not None and method in SAME:
            return self.items(
                arguments[0] if text_of(owner) == "Object" and arguments else owner, source, scope, depth + 1
            )
        if owner is not None and method == "concat":
            lists = [self.items(part, source, scope, depth + 1) for part in (owner, *arguments)]
            return [item for part in lists for item in part]
        if owner is not None and method == "map" and (inside := entries_of(owner)) is not None:
            table = self.table(inside, source, scope, depth + 1)
            return [table] if table is not None else [[HOLE]]
        if node.child_by_field_name("function").type == "identifier":
            returned = self._returned(node, source, scope, depth)
            lists = [self.items(value, where, inner, depth + 1) for value, where, inner in returned]
            if len(lists) == 1:
                return lists[0]
            return [_alternatives([combined(part, " ") for part in lists])] if lists else [[HOLE]]
        return [[HOLE]]

    def _call(self, node: Any, source: Source, scope: Scope, depth: int) -> list[str]:
        owner, method, arguments = method_of(node)
        if owner is not None and method == "join":
            separator = self.texts(arguments[0], source, scope, depth + 1)[0] if arguments else ","
            return combined(self.items(owner, source, scope, depth + 1), separator)
        if owner is not None and method in SAME:
            return self.texts(owner, source, scope, depth + 1)
        if owner is not None:
            return [HOLE]
        returned = self._returned(node, source, scope, depth)
        return _alternatives([self.texts(value, where, inner, depth + 1) for value, where, inner in returned]) or [HOLE]

    def _returned(self, call: Any, source: Source, scope: Scope, depth: int) -> list[tuple[Any, Source, Scope]]:
        """What a helper returns in production, each with the names that hold in it."""
        name = text_of(call.child_by_field_name("function"))
        where: Source | None = source
        function = source.functions.get(name)
        if function is None and name in source.imports:
            known = source.imports[name]
            where = self.imported(known.module, source.path)
            function = where.functions.get(known.name) if where is not None else None
        if function is None or where is None or depth > _DEPTH:
            return []
        _, _, arguments = method_of(call)
        inner = _bound(function, arguments, source, scope)
        body = function.child_by_field_name("body")
        if body is None or body.type != "statement_block":
            return [(body, where, inner)] if body is not None else []
        found = []
        for node in walk(body):
            if node.type == "return_statement" and node.named_children and enclosing_functions(node)[0] == function:
                if possible(node, where, body):
                    found.append((node.named_children[0], where, inner))
        return found

    def objects(self, node: Any, source: Source, depth: int = 0) -> list[Any]:
        """The objects that an expression may be; none if one of them is not known, or spreads what is not."""
        if node.type in WRAPPED:
            return self.objects(node.named_children[0], source, depth)
        if node.type == "ternary_expression":
            parts = [self.objects(part, source, depth + 1) for part in self._branches(node, source)]
            return [table for part in parts for table in part] if all(parts) else []
        if node.type == "object":
            inner = [
                self.objects(child.named_children[0], source, depth + 1)
                for child in node.named_children
                if child.type == "spread_element"
            ]
            return [node, *(table for part in inner for table in part)] if all(inner) else []
        known = self.resolve(node, source) if depth < _DEPTH else None
        return self.objects(known[0], known[1], depth + 1) if known is not None else []

    def resolve(self, node: Any, source: Source, scope: Scope = EMPTY) -> tuple[Any, Source, Scope] | None:
        """What a name, or an entry of an object that has one, stands for."""
        if node.type == "member_expression":
            owner = self.resolve(node.child_by_field_name("object"), source, scope)
            if owner is None or owner[0].type not in {"object", *WRAPPED}:
                return None
            value = next((part for part in walk(owner[0]) if part.type == "object"), None)
            inside = entries(value)[0].get(text_of(node.child_by_field_name("property"))) if value is not None else None
            return (inside, owner[1], owner[2]) if inside is not None else None
        if node.type not in {"identifier", "shorthand_property_identifier"}:
            return None
        name = text_of(node)
        if name in scope:
            return scope[name]
        if name in source.constants:
            return source.constants[name], source, scope
        if name in source.imports:
            known = source.imports[name]
            other = self.imported(known.module, source.path)
            if other is not None and known.name in other.constants:
                return other.constants[known.name], other, EMPTY
        return None


def _bound(function: Any, arguments: list[Any], source: Source, scope: Scope) -> Scope:
    parameters = function.child_by_field_name("parameters")
    listed = parameters.named_children if parameters is not None else []
    found: Scope = {}
    for parameter, argument in zip(listed, arguments, strict=False):
        name = re.match(r"\w+", text_of(parameter))
        if name:
            found[name[0]] = (argument, source, scope)
    return found


def _alternatives(lists: list[list[str]]) -> list[str]:
    return list(dict.fromkeys(text for part in lists for text in part))
