"""The conditions in front of ``init``, asked about sample DSNs."""

from __future__ import annotations

import operator as operators
import re
from typing import TYPE_CHECKING, Any

from sentry_audit.guard import both, matches, negated
from sentry_audit.javascript.syntax import line_of, string_of, text_of, walk

if TYPE_CHECKING:
    from sentry_audit.javascript.syntax import Source
    from sentry_audit.javascript.values import Values

_DEPTH = 5
_COMPARE = {">": operators.gt, ">=": operators.ge, "<": operators.lt, "<=": operators.le, "===": operators.eq, "==": operators.eq,
            "!==": operators.ne, "!=": operators.ne}  # fmt: skip
_JUMPS = frozenset({"return_statement", "throw_statement"})


def guards(call: Any) -> list[tuple[Any, bool]]:
    """(condition, what it must be) for each ``if``, ``&&``, ternary and early return that decides whether ``call`` runs."""
    found: list[tuple[Any, bool]] = []
    node = call
    while node.parent is not None:
        parent = node.parent
        if parent.type == "if_statement":
            condition = parent.child_by_field_name("condition")
            if node == parent.child_by_field_name("consequence"):
                found.append((condition, True))
            elif node == parent.child_by_field_name("alternative"):
                found.append((condition, False))
        elif parent.type == "ternary_expression" and node != parent.child_by_field_name("condition"):
            found.append((parent.child_by_field_name("condition"), node == parent.child_by_field_name("consequence")))
        elif parent.type == "binary_expression" and node == parent.child_by_field_name("right"):
            if text_of(parent.child_by_field_name("operator")) == "&&":
                found.append((parent.child_by_field_name("left"), True))
        elif parent.type in {"statement_block", "program"}:
            for before in parent.named_children:
                if before.start_byte >= node.start_byte:
                    break
                if before.type == "if_statement" and _leaves(before.child_by_field_name("consequence")):
                    found.append((before.child_by_field_name("condition"), False))
        node = parent
    return found


def _leaves(node: Any) -> bool:
    if node is None:
        return False
    return node.type in _JUMPS or (
        node.type == "statement_block" and any(item.type in _JUMPS for item in node.named_children)
    )


class Condition:
    """One condition, which can be asked about a DSN. ``about`` says whether it looks at the DSN's text at all."""

    def __init__(self, values: Values, source: Source, names: frozenset[str], node: Any, wanted: bool) -> None:
        self.values = values
        self.source = source
        self.names = names
        self.node = node
        self.wanted = wanted
        self.about = False
        self.line = line_of(node)

    def __call__(self, dsn: str) -> bool | None:
        """Whether init runs with ``dsn``; what has nothing to do with the DSN is taken to hold."""
        answer = self._truth(self.node, self.source, self.names, dsn, 0)
        if answer is None:
            return None
        return answer if self.wanted else not answer

    def _is_dsn(self, node: Any, source: Source, names: frozenset[str]) -> bool:
        if node is None:
            return False
        text = text_of(node).replace("?", "").replace("!", "")
        text = re.sub(r"\.(trim|toString|toLowerCase)\(\)$", "", text)
        if text in names:
            return True
        if (
            node.type == "call_expression"
            and (function := node.child_by_field_name("function")) is not None
            and function.type == "member_expression"
        ):
            return text_of(function.child_by_field_name("property")) in {
                "trim",
                "toString",
                "toLowerCase",
            } and self._is_dsn(function.child_by_field_name("object"), source, names)
        if node.type in {"identifier", "member_expression"}:
            origin = self.values.origin(node, source)
            return bool(origin.variables) and all(name in self.names for name, _ in origin.variables)
        return False

    def _neutral(self) -> bool:
        """What a term that does not look at the DSN is taken for: whatever lets init run."""
        return self.wanted

    def _truth(self, node: Any, source: Source, names: frozenset[str], dsn: str, depth: int) -> bool | None:
        if depth > _DEPTH or node is None:
            return None
        kind = node.type
        if kind in {"parenthesized_expression", "as_expression", "non_null_expression", "await_expression"}:
            return self._truth(node.named_children[0], source, names, dsn, depth)
        if kind == "unary_expression" and text_of(node).startswith("!"):
            inner = Condition(self.values, source, self.names, node, not self.wanted)
            answer = inner._truth(node.child_by_field_name("argument"), source, names, dsn, depth)
            self.about |= inner.about
            return negated(answer)
        if kind == "binary_expression":
            return self._binary(node, source, names, dsn, depth)
        if self._is_dsn(node, source, names):
            return True
        if kind == "call_expression":
            return self._call(node, source, names, dsn, depth)
        if kind == "identifier" and text_of(node) in source.constants:
            return self._truth(source.constants[text_of(node)], source, names, dsn, depth + 1)
        return None if self._mentions(node, source, names) else self._neutral()

    def _mentions(self, node: Any, source: Source, names: frozenset[str]) -> bool:
        return any(
            self._is_dsn(part, source, names) for part in walk(node) if part.type in {"identifier", "member_expression"}
        )

    def _binary(self, node: Any, source: Source, names: frozenset[str], dsn: str, depth: int) -> bool | None:
        operator = text_of(node.child_by_field_name("operator"))
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if operator in {"&&", "||", "??"}:
            one, two = (self._truth(part, source, names, dsn, depth) for part in (left, right))
            return both(one, two) if operator == "&&" else negated(both(negated(one), negated(two)))
        if text_of(left).startswith("typeof "):
            return operator in {"===", "=="} if "string" in text_of(right) else operator in {"!==", "!="}
        if not self._mentions(node, source, names):
            return self._neutral()
        negative = operator in {"!==", "!="}
        if operator in {"===", "==", "!==", "!="}:
            if text_of(right) in {"undefined", "null"}:
                return negative
            literal = string_of(right)
            if literal is not None and self._is_dsn(left, source, names):
                self.about |= bool(literal)
                return (dsn == literal) != negative
        found = re.match(r"^(.+?)\??\.(length|indexOf|search)\b(?:\((.*)\))?$", text_of(left))
        number = re.match(r"^-?\d+$", text_of(right))
        if found and number:
            self.about |= found[2] != "length"
            value = len(dsn) if found[2] == "length" else dsn.find((found[3] or "").strip("\"'`"))
            compare = _COMPARE.get(operator)
            return compare(value, int(number[0])) if compare is not None else None
        return None

    def _call(self, node: Any, source: Source, names: frozenset[str], dsn: str, depth: int) -> bool | None:
        function = node.child_by_field_name("function")
        arguments = (
            node.child_by_field_name("arguments").named_children if node.child_by_field_name("arguments") else []
        )
        if function is not None and function.type == "member_expression":
            owner, method = function.child_by_field_name("object"), text_of(function.child_by_field_name("property"))
            if self._is_dsn(owner, source, names):
                return self._method(method, arguments, dsn)
            if method == "test" and arguments and self._is_dsn(arguments[0], source, names):
                self.about = True
                return self._regex(owner, source, dsn)
            if method in {"some", "every"} and self._mentions(node, source, names):
                return None
        name = text_of(function)
        if name == "Boolean" and arguments:
            return self._truth(arguments[0], source, names, dsn, depth)
        if not any(self._is_dsn(item, source, names) for item in arguments):
            return None if self._mentions(node, source, names) else self._neutral()
        where, body = self._function(name, source)
        return self._body(where, body, arguments, source, names, dsn, depth) if where is not None else None

    def _method(self, method: str, arguments: list[Any], dsn: str) -> bool | None:
        literal = string_of(arguments[0]) if arguments else None
        self.about = True
        if literal is not None and method in {"includes", "startsWith", "endsWith"}:
            return {
                "includes": literal in dsn,
                "startsWith": dsn.startswith(literal),
                "endsWith": dsn.endswith(literal),
            }[method]
        if method == "match" and arguments and arguments[0].type == "regex":
            return self._regex(arguments[0], self.source, dsn)
        return None

    def _regex(self, node: Any, source: Source, dsn: str) -> bool | None:
        if node.type == "identifier" and text_of(node) in source.constants:
            node = source.constants[text_of(node)]
        found = re.match(r"^/(.*)/([a-z]*)$", text_of(node), re.DOTALL)
        return matches(found[1], dsn, found[2]) if found else None

    def _function(self, name: str, source: Source) -> tuple[Source | None, Any]:
        if name in source.functions:
            return source, source.functions[name]
        if name in source.imports:
            known = source.imports[name]
            path = self.values.loading.locate(known.module, source.path)
            other = self.values.source(path) if path else None
            if other is not None and known.name in other.functions:
                return other, other.functions[known.name]
        return None, None

    def _body(
        self,
        where: Source,
        function: Any,
        arguments: list[Any],
        source: Source,
        names: frozenset[str],
        dsn: str,
        depth: int,
    ) -> bool | None:
        """What a helper returns for ``dsn``: an expression, or ``if … return`` statements in order."""
        parameters = function.child_by_field_name("parameters") or function.child_by_field_name("parameter")
        listed = (
            parameters.named_children
            if parameters is not None and parameters.type == "formal_parameters"
            else [parameters]
        )
        given = [index for index, item in enumerate(arguments) if self._is_dsn(item, source, names)]
        bound = frozenset(
            text_of(listed[index]).partition(":")[0].partition("=")[0].strip().rstrip("?")
            for index in given
            if index < len(listed)
        )
        body = function.child_by_field_name("body")
        if body is None:
            return None
        if body.type != "statement_block":
            return self._truth(body, where, bound, dsn, depth + 1)
        for statement in body.named_children:
            if statement.type == "if_statement":
                answer = self._truth(statement.child_by_field_name("condition"), where, bound, dsn, depth + 1)
                returned = next(
                    (
                        item
                        for item in walk(statement.child_by_field_name("consequence"))
                        if item.type == "return_statement"
                    ),
                    None,
                )
                if returned is None or answer is None:
                    return None
                if answer:
                    return self._returned(returned, where, bound, dsn, depth)
            elif statement.type == "return_statement":
                return self._returned(statement, where, bound, dsn, depth)
            elif statement.type not in {"lexical_declaration", "comment", "expression_statement"}:
                return None
        return None

    def _returned(self, statement: Any, where: Source, bound: frozenset[str], dsn: str, depth: int) -> bool | None:
        if not statement.named_children:
            return False
        value = statement.named_children[0]
        if text_of(value) in {"true", "false"}:
            return text_of(value) == "true"
        return self._truth(value, where, bound, dsn, depth + 1)
