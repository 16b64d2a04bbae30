"""The conditions in front of a browser's init that are not about its DSN: which hold in a build for one environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.deployment.environments import canonical
from sentry_audit.guard import both, negated
from sentry_audit.javascript.conditions import guards
from sentry_audit.javascript.syntax import line_of, string_of, text_of
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init
    from sentry_audit.javascript.syntax import Source

#: What is so in every build for deployment, in browsers. Sources: nextjs.org/docs, vite.dev/guide/env-and-mode.
_KNOWN = {
    "import.meta.env.PROD": True, "import.meta.env.DEV": False, "import.meta.env.SSR": False, "process.env.NODE_ENV": "production",
    "import.meta.env.NODE_ENV": "production", "process.browser": True, "isBrowser": True, "isServer": False, "__DEV__": False,
    "true": True, "false": False, "undefined": None, "null": None,
}  # fmt: skip
#: Whether init ran already: what it is the first time.
_ONCE = re.compile(
    r"isInitiali[sz]ed|[iI]nitiali[sz]ed\b|getClient\(|isEnabled\(|getCurrentHub\(|\bstarted\b|\bloaded\b|\b[sS]entry\)?$"
)
_DSN = re.compile(r"dsn", re.IGNORECASE)
_DEPTH = 6
#: Expressions that are true or false, and no name or text.
_CONDITIONS = frozenset(
    {"binary_expression", "unary_expression", "call_expression", "parenthesized_expression", "true", "false"}
)


class Gate(Struct, frozen=True):
    """A condition, what it must be for init to run, the file it stands in, and its place."""

    source: Source
    node: Any
    wanted: bool
    evidence: Evidence

    @property
    def shown(self) -> str:
        """The condition as it is written."""
        return " ".join(re.sub(r"^\((.*)\)$", r"\1", text_of(self.node), flags=re.DOTALL).split())[:80]


def gates(item: Init, options: Mapping[str, Any]) -> list[Gate]:
    """The conditions in front of an init, ``enabled`` among them."""
    found = guards(item.call)
    if options.get("enabled") is not None:
        found.append((options["enabled"], True))
    return [
        Gate(
            item.source,
            node,
            wanted,
            Evidence(item.source.path, line_of(node), saw=text_of(node).partition("\n")[0][:80]),
        )
        for node, wanted in found
    ]


class Named(str):
    """The name of the environment that is asked about, as far as it is known: others may write it shorter."""

    __slots__ = ()


class _Unknown(Exception):  # noqa: N818 - leaves the evaluation from any depth, with what was not known
    """A part that could not be decided."""


class Evaluation:
    """Asks conditions in one environment.

    ``given(name)`` is the value of a variable of the build, None for one that is not set; it raises LookupError, with
    the reason, for one that is not known.
    """

    def __init__(self, analysis: Analysis, given: Callable[[str], str | None]) -> None:
        self.analysis = analysis
        self.given = given

    def holds(self, gate: Gate) -> tuple[bool | None, str]:
        """(whether the gate lets init run; None where ``why`` was not known, why)."""
        try:
            answer = self._truth(gate.node, gate.source, 0)
        except _Unknown as unknown:
            return None, str(unknown)
        return (answer if gate.wanted else negated(answer)), ""

    def _truth(self, node: Any, source: Source, depth: int) -> bool | None:
        """Whether an expression holds; None for one about the DSN, or about a second init, which others judge."""
        text = text_of(node)
        if node.type in {"parenthesized_expression", "as_expression", "non_null_expression", "await_expression"}:
            return self._truth(node.named_children[0], source, depth)
        if node.type == "unary_expression" and text.startswith("!"):
            return negated(self._truth(node.child_by_field_name("argument"), source, depth))
        if node.type == "binary_expression":
            operator = text_of(node.child_by_field_name("operator"))
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            if operator == "&&":
                return self._and(left, right, source, depth)
            if operator == "||":
                return self._or(left, right, source, depth)
        if _ONCE.search(text) or self._is_dsn(node, source):
            return None
        if node.type == "binary_expression":
            return self._compared(node, source, depth)
        if node.type == "identifier" and text in source.constants and depth < _DEPTH:
            return self._truth(source.constants[text], source, depth + 1)
        if node.type == "call_expression" and (answer := self._call(node, source, depth)) is not _NOT:
            return answer if answer is None else bool(answer)
        if (place := self._elsewhere(node, source, depth)) is not None:
            return self._truth(*place, depth + 1)
        return bool(self._value(node, source, depth))

    def _elsewhere(self, node: Any, source: Source, depth: int) -> tuple[Any, Source] | None:
        """A condition that is written in an object, or in another file, and not where it is asked."""
        place = self.analysis.values.written(node, source) if depth < _DEPTH else None
        return place if place is not None and place[0].type in _CONDITIONS else None

    def _and(self, left: Any, right: Any, source: Source, depth: int) -> bool | None:
        """One that is surely false decides, whatever the other is."""
        answers, unknown = self._parts(left, right, source, depth)
        if False in answers:
            return False
        if unknown is not None:
            raise unknown
        return both(*(True if answer is None else answer for answer in answers)) if True in answers else None

    def _or(self, left: Any, right: Any, source: Source, depth: int) -> bool | None:
        answers, unknown = self._parts(left, right, source, depth)
        if True in answers:
            return True
        if unknown is not None:
            raise unknown
        return None if None in answers else False

    def _parts(self, left: Any, right: Any, source: Source, depth: int) -> tuple[list[bool | None], _Unknown | None]:
        answers: list[bool | None] = []
        unknown = None
        for part in (left, right):
            try:
                answers.append(self._truth(part, source, depth))
            except _Unknown as error:
                unknown = error
        return answers, unknown

    def _is_dsn(self, node: Any, source: Source) -> bool:
        if _DSN.search(text_of(node)):
            return True
        if node.type not in {"identifier", "member_expression"}:
            return False
        origin = self.analysis.values.origin(node, source)
        return any(_DSN.search(name) for name, _ in origin.variables)

    def _compared(self, node: Any, source: Source, depth: int) -> bool:
        operator = text_of(node.child_by_field_name("operator"))
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if operator not in {"===", "==", "!==", "!="}:
            raise _Unknown(f"{text_of(node)[:60]} was not followed")
        if text_of(left).startswith("typeof "):
            there = re.search(r"\b(window|document|navigator|globalThis)$", text_of(left)) is not None
            absent = string_of(right) == "undefined"
            if not there:
                raise _Unknown(f"{text_of(node)[:60]} was not followed")
            return (not absent) == (operator in {"===", "=="})
        one, other = self._value(left, source, depth), self._value(right, source, depth)
        same = one == other
        if not same and isinstance(one, str) and isinstance(other, str) and Named in {type(one), type(other)}:
            if canonical(one) == canonical(other):
                raise _Unknown(f"whether {one} is called {other!r} here is not known")
        return same == (operator in {"===", "=="})

    def _call(self, node: Any, source: Source, depth: int) -> object:
        """``Boolean(x)``, ``["staging", "production"].includes(x)``; a function of the repository with one return."""
        function = node.child_by_field_name("function")
        arguments = (
            node.child_by_field_name("arguments").named_children if node.child_by_field_name("arguments") else []
        )
        if text_of(function) == "Boolean" and len(arguments) == 1:
            return self._truth(arguments[0], source, depth)
        if function is not None and function.type == "member_expression" and len(arguments) == 1:
            owner = function.child_by_field_name("object")
            if owner.type == "identifier" and text_of(owner) in source.constants:
                owner = source.constants[text_of(owner)]
            if text_of(function.child_by_field_name("property")) == "includes" and owner.type == "array":
                listed = [string_of(item) or "" for item in owner.named_children]
                value = self._value(arguments[0], source, depth)
                if isinstance(value, Named) and value not in listed and canonical(value) in map(canonical, listed):
                    raise _Unknown(f"whether {value} is called otherwise here is not known")
                return value in listed
        return _NOT

    def _value(self, node: Any, source: Source, depth: int) -> object:
        """The value of an expression: a string, a boolean, or None for nothing."""
        text = text_of(node).replace("?.", ".")
        if text in _KNOWN:
            return _KNOWN[text]
        if (plain := string_of(node)) is not None:
            return plain
        if depth > _DEPTH:
            raise _Unknown(f"{text[:60]} was not followed")
        if node.type == "binary_expression" and text_of(node.child_by_field_name("operator")) in {"||", "??"}:
            left = self._value(node.child_by_field_name("left"), source, depth + 1)
            return left or self._value(node.child_by_field_name("right"), source, depth + 1)
        if node.type == "ternary_expression":
            test, one, other = node.named_children
            return self._value(other if self._truth(test, source, depth + 1) is False else one, source, depth + 1)
        if node.type == "identifier" and text in source.constants:
            value = source.constants[text]
            if value.type in {"binary_expression", "unary_expression", "call_expression", "parenthesized_expression"}:
                operator = text_of(value.child_by_field_name("operator")) if value.type == "binary_expression" else ""
                if operator not in {"||", "??"}:
                    answer = self._truth(value, source, depth + 1)
                    if answer is None:
                        raise _Unknown(f"{text[:60]} was not followed")
                    return answer
            return self._value(value, source, depth + 1)
        return self._variable(node, source)

    def _variable(self, node: Any, source: Source) -> object:
        origin = self.analysis.values.origin(node, source)
        names = list(dict.fromkeys(name for name, _ in origin.variables))
        if origin.page or origin.unknown or len(names) != 1:
            if not names and len(set(origin.literals)) == 1 and not origin.page and not origin.unknown:
                return origin.literals[0]
            raise _Unknown(f"it depends on {' '.join(text_of(node).split())[:60]}, which was not followed")
        if names[0] == "NODE_ENV":
            return "production"
        try:
            value = self.given(names[0])
        except LookupError as error:
            raise _Unknown(str(error.args[0])) from None
        return value if value is not None else next(iter(origin.literals), None)


_NOT = object()
