"""Terraform's expressions, evaluated as far as they can be known from the repository.

What cannot be known is an ``Unknown``; a map or list of which only a part is known says so in ``missing``.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct, field

from sentry_audit.deployment import terraform_functions as functions
from sentry_audit.deployment.terraform_data import List, Map, Unknown, key_of, text_of, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.terraform_data import Value
    from sentry_audit.deployment.terraform_syntax import Expr, Source

#: One step of ``a.b[c]``: ("attr", "b"), ("index", a value), ("splat", the steps below each element).
Step = tuple[str, Any]
#: Each takes a handful of Python's frames.
_DEPTH = 100
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_PLAIN = re.compile(r"[\w.\[\]\"*-]{1,80}")


class Budget:
    """How many more steps an evaluation may take: a hostile module could ask for any number."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.depth = 0

    def spend(self, steps: int = 1) -> bool:
        """Whether there were that many left."""
        self.steps -= steps
        return self.steps > 0


class Scope(Protocol):
    """What names mean in one module."""

    @property
    def budget(self) -> Budget:
        """The steps that are left."""

    def head(self, name: str, steps: Sequence[Step]) -> tuple[Value, int]:
        """What ``name`` and the first steps mean, and how many steps that took."""

    def call(self, name: str, arguments: Sequence[Value]) -> Value | None:
        """What a function that reads files gives; None if it is no such function."""

    def tried(self, unknown: Unknown, key: Value) -> None:
        """Told when an unknown value is compared with ``key``, or selects from a map with the keys ``key``."""


class Frame(Struct, frozen=True):
    """Where an expression is evaluated: its module, its text, and the names bound around it."""

    scope: Scope
    source: Source
    bound: dict[str, Value] = field(default_factory=dict)

    def of(self, expression: Expr | None, default: Value = None) -> Value:
        """What an expression of this module gives."""
        if expression is None:
            return default
        return _value(expression.tree, Frame(self.scope, expression.source, self.bound))

    def bind(self, **names: Value) -> Frame:
        """The same with more names."""
        return Frame(self.scope, self.source, {**self.bound, **names})


def _value(tree: Any, frame: Frame) -> Value:
    budget = frame.scope.budget
    rule = _RULES.get(str(tree.data))
    if budget.depth > _DEPTH or not budget.spend() or rule is None:
        return Unknown("${…}", "it is too deep to follow")
    budget.depth += 1
    try:
        return rule(tree, frame)
    finally:
        budget.depth -= 1


def parts(tree: Any) -> list[Any]:
    """The children that are rules, white space left out."""
    return [item for item in tree.children if hasattr(item, "children") and item.data != "new_line_or_comment"]


def written(tree: Any, frame: Frame) -> str:
    """The text of an expression, as an interpolation; only a plain path is shown in full."""
    meta = tree.meta
    text = frame.source.text[meta.start_pos : meta.end_pos] if hasattr(meta, "start_pos") else ""
    return f"${{{text}}}" if _PLAIN.fullmatch(text) else "${…}"


def _word(tree: Any) -> str:
    return "".join(str(item) for item in tree.children)


def _term(tree: Any, frame: Frame) -> Value:
    inner = parts(tree)
    return _value(inner[0], frame) if inner else Unknown("${…}")


def _number(tree: Any, _frame: Frame) -> Value:
    text = _word(tree)
    try:
        return int(text) if re.fullmatch(r"-?\d{1,18}", text) else float(text)
    except ValueError:
        return Unknown("${…}")


def _literal(tree: Any, _frame: Frame) -> Value:
    return {"true": True, "false": False}.get(_word(tree))


def _string(tree: Any, frame: Frame) -> Value:
    pieces: list[Value] = []
    for part in parts(tree):
        for item in part.children:
            if not hasattr(item, "children"):
                text = str(item)
                pieces.append(text[1:] if text.startswith(("$${", "%%{")) else _unescaped(text))
            elif item.data == "interpolation":
                inner = parts(item)
                pieces.append(_value(inner[0], frame) if inner else "")
            else:
                return Unknown("${…}", "its template was not followed")
    if len(pieces) == 1:
        return pieces[0]
    return functions.join_texts(pieces)


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "uU" and len(code) > 1:
            number = int(code[1:], 16)
            return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else ""
        return _ESCAPES.get(code, match[0])

    return _ESCAPE.sub(one, text) if "\\" in text else text


def _heredoc(tree: Any, _frame: Frame) -> Value:
    head, _, rest = str(tree.children[0]).partition("\n")
    body = rest.rstrip().rpartition("\n")[0]
    if "${" in body or "%{" in body:
        return Unknown("${…}", "its template was not followed")
    return (textwrap.dedent(body) if head.startswith("<<-") else body) + "\n"


def _tuple(tree: Any, frame: Frame) -> Value:
    return List(_value(item, frame) for item in parts(tree))


def _object(tree: Any, frame: Frame) -> Value:
    found = Map()
    for element in parts(tree):
        if element.data != "object_elem":
            continue
        key_tree, value_tree = parts(element)[0], parts(element)[-1]
        key = _key(key_tree, frame)
        if isinstance(key, Unknown):
            found.missing += (f"the key {key.text}",)
        else:
            found[key_of(key)] = _value(value_tree, frame)
    return found


def _key(tree: Any, frame: Frame) -> Value:
    """A key of an object: a bare word is its own name."""
    inner = parts(tree)[0]
    if inner.data == "keyword":
        return _word(inner)
    if inner.data == "expr_term":
        word = parts(inner)
        if len(word) == 1 and word[0].data in {"identifier", "literal_value"} and len(inner.children) == 1:
            return _word(word[0])
    return _value(inner, frame)


def _conditional(tree: Any, frame: Frame) -> Value:
    test, then, other = parts(tree)[:3]
    known = _value(test, frame)
    if isinstance(known, bool):
        return _value(then if known else other, frame)
    first, second = _value(then, frame), _value(other, frame)
    if _same(first, second) is True:
        return first
    return functions.either(first, second, written(test, frame))


def _same(left: Value, right: Value) -> bool | None:
    """Whether two values are equal; None if that is not known."""
    for value in (left, right):
        if isinstance(value, Unknown) or not whole(value):
            return None
    plain = (str, int, float, bool, type(None))
    if isinstance(left, plain) and isinstance(right, plain):
        return bool(left == right) if isinstance(left, bool) == isinstance(right, bool) else False
    if isinstance(left, (dict, list)) and isinstance(right, (dict, list)):
        return True if not left and not right else (False if bool(left) != bool(right) else None)
    return False if left is None or right is None else None


def _binary(tree: Any, frame: Frame) -> Value:
    left_tree, term = parts(tree)[:2]
    operator = _word(parts(term)[0]).rpartition("\n")[2].strip()
    left = _value(left_tree, frame)
    if operator == "&&" and left is False:
        return False
    if operator == "||" and left is True:
        return True
    right = _value(parts(term)[-1], frame)
    if operator in {"==", "!="}:
        for one, two in ((left, right), (right, left)):
            if isinstance(one, Unknown):
                frame.scope.tried(one, two)
        same = _same(left, right)
        return Unknown(written(tree, frame)) if same is None else same is (operator == "==")
    return functions.operate(operator, left, right)


def _unary(tree: Any, frame: Frame) -> Value:
    value = _value(parts(tree)[-1], frame)
    negative = str(tree.children[0]).strip() == "-"
    if negative and isinstance(value, (int, float)) and not isinstance(value, bool):
        return -value
    if not negative and isinstance(value, bool):
        return not value
    return Unknown("${…}")


def _path(tree: Any, frame: Frame) -> Value:
    """``a.b["c"][0].d``, from its head on."""
    steps: list[Step] = []
    current = tree
    while current.data != "identifier":
        inner = parts(current)
        if current.data == "expr_term" and len(inner) == 1 and inner[0].data in _PATHS:
            current = inner[0]
        elif current.data in _PATHS and len(inner) == 2:
            steps[:0] = _steps(inner[1], frame)
            current = inner[0]
        else:
            break
    if current.data == "identifier":
        name = _word(current)
        value, used = (frame.bound[name], 0) if name in frame.bound else frame.scope.head(name, steps)
    else:
        value, used = _value(current, frame), 0
    found = functions.walk(value, steps[used:], written(tree, frame), frame.scope.tried)
    if isinstance(found, Unknown) and not found.text:
        return Unknown(written(tree, frame), found.reason, found.axis, found.failed)
    return found


def _steps(tree: Any, frame: Frame) -> list[Step]:
    if tree.data == "get_attr":
        return [("attr", _word(parts(tree)[-1]))]
    if tree.data == "short_index":
        return [("index", _integer(tree))]
    if tree.data == "braces_index":
        return [("index", _value(parts(tree)[0], frame))]
    inner = parts(tree)
    each = next((at for at, item in enumerate(inner) if item.data != "get_attr"), len(inner))
    if tree.data == "full_splat":
        each = len(inner)
    below = [step for item in inner[:each] for step in _steps(item, frame)]
    return [("splat", below), *(step for item in inner[each:] for step in _steps(item, frame))]


def _integer(tree: Any) -> int:
    digits = re.sub(r"\D", "", _word(tree))[:9]
    return int(digits) if digits else 0


def _call(tree: Any, frame: Frame) -> Value:
    inner = parts(tree)
    names = [_word(item) for item in inner if item.data == "identifier"]
    given = next((item for item in inner if item.data == "arguments"), None)
    values = [_value(item, frame) for item in parts(given)] if given is not None else []
    if given is not None and any(str(item) == "..." for item in given.children if not hasattr(item, "children")):
        last = values.pop() if values else None
        if not isinstance(last, list):
            return Unknown(f"${{{names[0]}(…)}}")
        values += last
        if not whole(last):
            values.append(Unknown("${…}"))
    if len(names) != 1:
        return Unknown("${…}")
    if names[0] in {"lookup", "contains"} and len(values) > 1 and isinstance(values[1], Unknown):
        keys = List(values[0]) if isinstance(values[0], (dict, list)) else List()
        for one in [keys] if names[0] == "lookup" and len(values) == 2 else keys:
            frame.scope.tried(values[1], one)
    own = frame.scope.call(names[0], values)
    return own if own is not None else functions.call(names[0], values)


def _for(tree: Any, frame: Frame) -> Value:
    """``[for k, v in x : v if c]`` and ``{for k, v in x : k => v...}``."""
    inner = parts(tree)
    intro = parts(inner[0])
    names = [_word(item) for item in intro if item.data == "identifier" and item is not intro[-1]]
    over = _value(intro[-1], frame)
    condition = next((parts(item)[-1] for item in inner if item.data == "for_cond"), None)
    results = [item for item in inner[1:] if item.data != "for_cond"]
    grouping = any(str(item) == "..." for item in tree.children if not hasattr(item, "children"))
    found: Value = List() if tree.data == "for_tuple_expr" else Map()
    pairs = functions.pairs(over)
    if pairs is None:
        found.missing = (written(intro[-1], frame),)
        return found
    found.missing = tuple(getattr(over, "missing", ()))
    for key, value in pairs:
        bound = {names[0]: value} if len(names) == 1 else dict(zip(names, (key, value), strict=False))
        here = frame.bind(**bound)
        wanted = _value(condition, here) if condition is not None else True
        if isinstance(wanted, Unknown):
            found.missing += (f"those for which {written(condition, here)}",)
        elif wanted:
            _add(found, [_value(item, here) for item in results], grouping)
        if not frame.scope.budget.spend() or len(found) > functions.LARGEST:
            found.missing += ("more of them",)
            break
    return found


def _add(found: Value, results: list[Value], grouping: bool) -> None:
    if isinstance(found, List):
        found.append(results[0])
    elif isinstance(results[0], Unknown):
        found.missing += (f"the key {results[0].text}",)
    elif grouping:
        found.setdefault(key_of(results[0]), List()).append(results[-1])
    else:
        found[key_of(results[0])] = results[-1]


_PATHS = frozenset(
    {"identifier", "get_attr_expr_term", "index_expr_term", "attr_splat_expr_term", "full_splat_expr_term"}
)
_RULES = {
    "expr_term": _term, "int_lit": _number, "float_lit": _number, "literal_value": _literal, "string": _string,
    "heredoc_template": _heredoc, "heredoc_template_trim": _heredoc, "tuple": _tuple, "object": _object,
    "conditional": _conditional, "binary_op": _binary, "unary_op": _unary, "function_call": _call,
    "for_tuple_expr": _for, "for_object_expr": _for, **dict.fromkeys(_PATHS, _path),
}  # fmt: skip

__all__ = ["Budget", "Frame", "List", "Map", "Scope", "Step", "Unknown", "parts", "text_of", "written"]
