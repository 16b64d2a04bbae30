"""What a Terraform expression is, as far as variables and locals decide it; everything else is ``Unknown``.

Semantics: developer.hashicorp.com/terraform/language/expressions. python-hcl2 gives expressions as ``${…}`` texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WORD = re.compile(
    r'\s*("(?:\\.|\$\{(?:[^{}]|\{[^{}]*\})*\}|[^"\\])*"|[A-Za-z_][\w-]*|\d+(?:\.\d+)?|==|!=|&&|\|\||=>|\S)'
)
_DEPTH = 24


@dataclass(frozen=True)
class Unknown:
    """A value that was not followed; ``text`` is its expression."""

    text: str

    def __str__(self) -> str:
        return f"${{{self.text}}}"


@dataclass
class Scope:
    """What names mean in one module: ``var.*``, ``local.*``, ``each.*``, and ``references`` to resources."""

    variables: Mapping[str, Any] = field(default_factory=dict)
    locals: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)
    reference: Callable[[str], Any] = Unknown
    depth: int = 0

    def value(self, node: Any) -> Any:
        """A parsed HCL value with every expression put in that is known."""
        if isinstance(node, str):
            return self._text(node)
        if isinstance(node, list):
            return [self.value(item) for item in node]
        if isinstance(node, dict):
            return {str(plain(key)): self.value(item) for key, item in node.items() if not str(key).startswith("__")}
        return node

    def text(self, node: Any) -> str:
        """A value as text; what is not known stays visible as ``${…}``."""
        value = self.value(node)
        if value is None or isinstance(value, (dict, list)):
            return ""
        return str(value).lower() if isinstance(value, bool) else str(value)

    def _text(self, text: str) -> Any:
        if text.startswith("${") and text.endswith("}"):
            return self.expression(text[2:-1])
        if text.startswith('"') and text.endswith('"') and len(text) > 1:
            return self._filled(text[1:-1])
        return text

    def _filled(self, text: str) -> str:
        """The parts of ``"a-${var.b}"`` put together."""
        found, at = [], 0
        for match in re.finditer(r"\$\{((?:[^{}]|\{[^{}]*\})*)\}", text):
            value = self.expression(match[1])
            found += [text[at : match.start()], self._shown(value, match[0])]
            at = match.end()
        return "".join([*found, text[at:]]).replace('\\"', '"')

    @staticmethod
    def _shown(value: Any, written: str) -> str:
        if isinstance(value, (Unknown, dict, list)) or value is None:
            return written
        return str(value).lower() if isinstance(value, bool) else str(value)

    def expression(self, text: str) -> Any:
        """The value of an expression; Unknown where it cannot be told."""
        if self.depth > _DEPTH:
            return Unknown(text)
        self.depth += 1
        try:
            parser = _Parser(_WORD.findall(text), self)
            value = parser.ternary()
            return value if parser.at == len(parser.words) else Unknown(text)
        except (IndexError, ValueError, TypeError, KeyError, RecursionError):
            return Unknown(text)
        finally:
            self.depth -= 1

    def lookup(self, path: list[Any]) -> Any:
        """``var.name.key``, ``local.name``, ``each.value``, ``terraform.workspace``, or a resource's attribute."""
        text = ".".join(str(part) for part in path)
        head = str(path[0])
        if head == "var" and len(path) > 1:
            value, rest = self.variables.get(path[1], Unknown(text)), path[2:]
        elif head == "local" and len(path) > 1:
            value, rest = self.locals.get(path[1], Unknown(text)), path[2:]
            value = self.value(value)
        elif ".".join(map(str, path[:2])) in self.names:
            value, rest = self.names[".".join(map(str, path[:2]))], path[2:]
        else:
            return self.reference(text)
        for part in rest:
            if (isinstance(value, dict) and part in value) or (
                isinstance(value, list) and isinstance(part, int) and part < len(value)
            ):
                value = value[part]
            else:
                return Unknown(text)
        return value


def plain(key: Any) -> Any:
    """A key or label without its quotes."""
    return key[1:-1] if isinstance(key, str) and len(key) > 1 and key[0] == key[-1] == '"' else key


@dataclass
class _Parser:
    words: list[str]
    scope: Scope
    at: int = 0

    def peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def take(self, wanted: str = "") -> str:
        word = self.words[self.at]
        if wanted and word != wanted:
            raise ValueError(word)
        self.at += 1
        return word

    def ternary(self) -> Any:
        condition = self.either()
        if self.peek() != "?":
            return condition
        self.take()
        yes = self.ternary()
        self.take(":")
        no = self.ternary()
        if isinstance(condition, Unknown):
            return yes if yes == no else Unknown("a condition on " + condition.text)
        return yes if condition else no

    def either(self) -> Any:
        value = self.comparison()
        while self.peek() in {"&&", "||"}:
            operator = self.take()
            other = self.comparison()
            if isinstance(value, Unknown) or isinstance(other, Unknown):
                value = Unknown(f"{value} {operator} {other}")
            else:
                value = (value and other) if operator == "&&" else (value or other)
        return value

    def comparison(self) -> Any:
        value = self.term()
        if self.peek() in {"==", "!="}:
            equal = self.take() == "=="
            other = self.term()
            if isinstance(value, Unknown) or isinstance(other, Unknown):
                return next(item for item in (value, other) if isinstance(item, Unknown))
            return (value == other) == equal
        return value

    def term(self) -> Any:
        word = self.take()
        if word == "!":
            value = self.term()
            return value if isinstance(value, Unknown) else not value
        if word == "(":
            value = self.ternary()
            self.take(")")
            return value
        if word == "[":
            return self.listed("]")
        if word == "{":
            return self.mapping()
        if word.startswith('"'):
            return self.scope._filled(word[1:-1])
        if word[0].isdigit():
            return float(word) if "." in word else int(word)
        if word in {"true", "false", "null"}:
            return {"true": True, "false": False, "null": None}[word]
        if not re.match(r"[A-Za-z_]", word):
            raise ValueError(word)
        if self.peek() == "(":
            self.take()
            return _call(word, self.listed(")"))
        return self.scope.lookup(self.path(word))

    def path(self, head: str) -> list[Any]:
        found: list[Any] = [head]
        while self.peek() in {".", "["}:
            if self.take() == ".":
                found.append(self.take())
                continue
            index = self.ternary()
            self.take("]")
            found.append(index)
        return found

    def listed(self, end: str) -> list[Any]:
        found = []
        while self.peek() != end:
            found.append(self.ternary())
            if self.peek() == ",":
                self.take()
        self.take(end)
        return found

    def mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.peek() != "}":
            key = self.take().strip('"')
            if self.take() not in {"=", ":"}:
                raise ValueError(key)
            found[key] = self.ternary()
            if self.peek() == ",":
                self.take()
        self.take("}")
        return found


def _call(name: str, arguments: list[Any]) -> Any:
    """The functions that name services, join variables and choose values."""
    unknown = next((item for item in arguments if isinstance(item, Unknown)), None)
    if name == "merge" and all(isinstance(item, dict) for item in arguments):
        return {key: value for item in arguments for key, value in item.items()}
    if name == "concat" and all(isinstance(item, list) for item in arguments):
        return [value for item in arguments for value in item]
    if name in {"coalesce", "try"}:
        return next((item for item in arguments if item not in (None, "")), Unknown(name))
    if unknown is not None:
        return Unknown(f"{name}({unknown.text})")
    match name, arguments:
        case (("toset" | "tolist" | "tomap" | "tostring" | "nonsensitive" | "sensitive"), [value]):
            return value
        case "format", [str() as template, *rest] if template.count("%s") == len(rest):
            return template.replace("%s", "{}").format(*rest)
        case (("lower" | "upper"), [str() as value]):
            return value.lower() if name == "lower" else value.upper()
        case "lookup", [dict() as table, key, *default]:
            return table.get(key, default[0] if default else Unknown(f"lookup({key})"))
        case "join", [str() as mark, list() as parts]:
            return mark.join(map(str, parts))
        case "replace", [str() as text, str() as old, str() as new] if not old.startswith("/"):
            return text.replace(old, new)
    return Unknown(f"{name}(…)")
