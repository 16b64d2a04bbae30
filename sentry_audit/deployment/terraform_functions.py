"""Terraform's functions and operators, on values of which some are not known."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from sentry_audit.deployment.terraform_data import Lazy, List, Map, Set, Unknown, Value, key_of, text_of, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

LARGEST = 2_000
_LONGEST = 20_000
_VERB = re.compile(r"%[-+# 0]*\d*(?:\.\d+)?([a-zA-Z%])")


def join_texts(pieces: Iterable[Value]) -> Value:
    """Values side by side in one text; if one is not known, neither is the whole."""
    found = list(pieces)
    text = "".join(text_of(item) for item in found)
    if len(text) > _LONGEST:
        return Unknown("${…}", "it is too long")
    unknown = next((item for item in found if isinstance(item, (Unknown, dict, list, Lazy))), None)
    return text if unknown is None else Unknown(text, getattr(unknown, "reason", ""))


def pairs(value: Value) -> list[tuple[Value, Value]] | None:
    """The (key, value) pairs that a loop over ``value`` sees; None if that is not known."""
    if isinstance(value, dict):
        return sorted(value.items())
    if isinstance(value, Set):
        return [(item, item) for item in value]
    if isinstance(value, list):
        return list(enumerate(value))
    return [] if value is None else None


def either(first: Value, second: Value, test: str) -> Value:
    """One of two values, nobody knows which: what both have is known."""
    if isinstance(first, dict) and isinstance(second, dict):
        both = Map({key: _agreed(value, second[key]) for key, value in first.items() if key in second})
        only = sorted({*first, *second} - {*both})
        both.missing = _missing(first) + _missing(second)
        if only:
            both.missing += (f"{', '.join(only[:5])}{', …' if only[5:] else ''}, which depend on {test}",)
        return both
    if isinstance(first, list) and isinstance(second, list):
        neither = List()
        neither.missing = (f"what depends on {test}",)
        return neither
    return Unknown("${…}", f"{test} is not known")


def _agreed(first: Value, second: Value) -> Value:
    plain = (str, int, float, bool)
    return first if isinstance(first, plain) and isinstance(second, plain) and first == second else Unknown("${…}")


def _missing(value: Value) -> tuple[str, ...]:
    return tuple(getattr(value, "missing", ()))


def walk(value: Value, steps: Sequence[tuple[str, Any]], text: str, tried: Callable[[Unknown, Value], None]) -> Value:
    """What stands at ``steps`` below ``value``, which as a whole is written ``text``."""
    for at, (kind, key) in enumerate(steps):
        if kind == "splat":
            items = value if isinstance(value, list) else [] if value is None else [value]
            if isinstance(value, (Unknown, dict)):
                return Unknown(text)
            found = List(walk(item, key, text, tried) for item in items)
            found.missing = _missing(value)
            return walk(found, steps[at + 1 :], text, tried)
        if isinstance(key, Unknown):
            tried(key, List(value) if isinstance(value, dict) else None)
            return Unknown(text, key.reason)
        value = _step(value, key, text)
        if isinstance(value, Unknown):
            rest = steps[at + 1 :]
            return Unknown(text, value.reason, "", value.failed) if rest or not value.text else value
    return value


def _step(value: Value, key: Value, text: str) -> Value:
    if isinstance(value, Lazy):
        return value.attribute(key_of(key))
    if isinstance(value, dict):
        name = key_of(key)
        if name in value:
            return value[name]
        return Unknown(text, f"it has no {name}", failed=whole(value))
    if isinstance(value, list):
        try:
            return value[int(key)]
        except (ValueError, TypeError, IndexError, OverflowError):
            return Unknown(text, failed=whole(value))
    return Unknown(text, getattr(value, "reason", ""), failed=not isinstance(value, Unknown))


def operate(operator: str, left: Value, right: Value) -> Value:
    """Arithmetic, comparison and logic; ``==`` is for who knows what was compared."""
    if operator in {"&&", "||"}:
        if isinstance(left, bool) and isinstance(right, bool):
            return (left and right) if operator == "&&" else (left or right)
        if right is (operator == "||") and isinstance(left, Unknown):
            return right
        return Unknown("${…}")
    try:
        one, two = _number(left), _number(right)
        return _arithmetic(operator, one, two)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return Unknown("${…}")


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError
    return float(value)


def _arithmetic(operator: str, one: float, two: float) -> Value:
    match operator:
        case "<" | ">" | "<=" | ">=":
            return {"<": one < two, ">": one > two, "<=": one <= two, ">=": one >= two}[operator]
        case "+":
            found = one + two
        case "-":
            found = one - two
        case "*":
            found = one * two
        case "/":
            found = one / two
        case "%":
            found = math.fmod(one, two)
        case _:
            raise ValueError
    return int(found) if found.is_integer() and abs(found) < 1e15 else found


def call(name: str, given: Sequence[Value]) -> Value:
    """What a function gives; Unknown for one that is not known here, or that would fail."""
    function = _PARTIAL.get(name)
    if function is None:
        if name not in _STRICT:
            return Unknown(f"${{{name}(…)}}", f"{name}() was not evaluated")
        if any(isinstance(item, Unknown) or not _settled(item) for item in given):
            return Unknown(f"${{{name}(…)}}", "its argument is not known")
        function = _STRICT[name]
    try:
        found = function(*given)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, RecursionError, OverflowError):
        return Unknown(
            f"${{{name}(…)}}", f"{name}() fails", failed=all(not isinstance(item, Unknown) for item in given)
        )
    if (isinstance(found, str) and len(found) > _LONGEST) or (isinstance(found, (dict, list)) and len(found) > LARGEST):
        return Unknown(f"${{{name}(…)}}", "it is too large")
    return found


def _settled(value: Value) -> bool:
    """Whether a value of a function of texts and lists of texts is known throughout."""
    if isinstance(value, list):
        return whole(value) and not any(isinstance(item, (Unknown, Lazy)) for item in value)
    return not isinstance(value, Lazy) and whole(value)


def _merge(*given: Value) -> Value:
    """Later maps win; after one that is not known, only the names of the earlier are."""
    found = Map()
    for item in given:
        if isinstance(item, dict):
            if not whole(item):
                for key in found:
                    found[key] = Unknown("${…}", "it may be replaced")
                found.missing += _missing(item)
            found.update(item)
        elif item is not None:
            for key in found:
                found[key] = Unknown("${…}", "it may be replaced")
            found.missing += (text_of(item),)
    return found


def _concat(*given: Value) -> Value:
    found = List()
    for item in given:
        if isinstance(item, list):
            found += item
            found.missing += _missing(item)
        else:
            found.missing += (text_of(item),)
    return found


def _coalesce(*given: Value) -> Value:
    for item in given:
        if isinstance(item, Unknown) or (item is not None and item != ""):
            return Unknown(item.text, item.reason) if isinstance(item, Unknown) else item
    raise ValueError


def _coalesce_list(*given: Value) -> Value:
    for item in given:
        if isinstance(item, Unknown) or item or not whole(item):
            return item
    raise ValueError


def _try(*given: Value) -> Value:
    return next((item for item in given if not (isinstance(item, Unknown) and item.failed)), given[-1])


def _can(item: Value) -> Value:
    if isinstance(item, Unknown):
        return False if item.failed else Unknown("${can(…)}")
    return True


def _lookup(value: Value, key: Value, *default: Value) -> Value:
    if isinstance(value, Lazy):
        return value.attribute(key_of(key))
    if isinstance(value, Unknown) or isinstance(key, Unknown):
        return Unknown("${lookup(…)}")
    name = key_of(key)
    if name in value:
        found = value[name]
        return default[0] if found is None and default else found
    if not whole(value):
        return Unknown("${lookup(…)}")
    return default[0] if default else Unknown("${lookup(…)}", failed=True)


def to_set(value: Value) -> Value:
    """``toset``: each element once."""
    if isinstance(value, Unknown):
        return value
    found = Set()
    found.missing = _missing(value)
    seen = set()
    for item in value:
        mark = text_of(item) if isinstance(item, (str, int, float, Unknown)) else str(id(item))
        if mark not in seen:
            seen.add(mark)
            found.append(item)
    return found


def _flatten(value: Value) -> Value:
    found = List()
    stack = [value]
    steps = 0
    while stack:
        steps += 1
        item = stack.pop()
        if isinstance(item, list):
            found.missing += _missing(item)
            stack += reversed(item)
        elif isinstance(item, Unknown):
            found.missing += (item.text,)
        else:
            found.append(item)
        if steps > 4 * LARGEST:
            return Unknown("${flatten(…)}")
    return found


def _keys(value: Value) -> Value:
    if isinstance(value, Unknown):
        return Unknown("${keys(…)}")
    found = List(sorted(value))
    found.missing = _missing(value)
    return found


def _values(value: Value) -> Value:
    if isinstance(value, Unknown):
        return Unknown("${values(…)}")
    found = List(value[key] for key in sorted(value))
    found.missing = _missing(value)
    return found


def _compact(value: Value) -> Value:
    if isinstance(value, Unknown):
        return value
    found = List(item for item in value if item is not None and item != "" and not isinstance(item, Unknown))
    found.missing = _missing(value) + tuple(i.text for i in value if isinstance(i, Unknown))
    return found


def _zipmap(keys: Value, values: Value) -> Value:
    if isinstance(keys, Unknown) or isinstance(values, Unknown):
        return Unknown("${zipmap(…)}")
    found = Map(zip((key_of(item) for item in keys), values, strict=False))
    found.missing = _missing(keys)
    return found


def _contains(value: Value, wanted: Value) -> Value:
    if isinstance(value, Unknown) or isinstance(wanted, Unknown):
        return Unknown("${contains(…)}")
    if any(not isinstance(item, (Unknown, dict, list)) and item == wanted for item in value):
        return True
    return False if _settled(value) else Unknown("${contains(…)}")


def _length(value: Value) -> Value:
    if isinstance(value, Unknown) or not whole(value):
        return Unknown("${length(…)}")
    return len(value)


def _format(pattern: Value, *given: Value) -> Value:
    if not isinstance(pattern, str):
        return Unknown("${format(…)}")
    rest = list(given)
    found: list[Value] = []
    at = 0
    for match in _VERB.finditer(pattern):
        found.append(pattern[at : match.start()])
        at = match.end()
        if match[1] == "%":
            found.append("%")
        elif match[0] in {"%s", "%v", "%d"}:
            found.append(rest.pop(0))
        elif match[0] == "%q":
            found += ['"', rest.pop(0), '"']
        else:
            item = rest.pop(0)
            known = isinstance(item, (int, float)) and match[1] in "dfxXb" and len(match[0]) < 8
            found.append(match[0] % item if known and match[1] != "b" else Unknown("${…}"))
    return join_texts([*found, pattern[at:]])


def _join(separator: Value, *given: Value) -> Value:
    items: list[Value] = []
    for item in given:
        if not isinstance(item, list) or not whole(item):
            return Unknown("${join(…)}")
        items += item
    pieces: list[Value] = []
    for index, item in enumerate(items):
        pieces += [separator, item] if index else [item]
    return join_texts(pieces)


def _cast(value: Value) -> Value:
    return value if isinstance(value, Unknown) or value is None else join_texts([value])


def _tonumber(value: Value) -> Value:
    if isinstance(value, (Unknown, int, float)) or value is None:
        return value
    return int(value) if re.fullmatch(r"-?\d{1,18}", value) else float(value)


def _tobool(value: Value) -> Value:
    return value if isinstance(value, (Unknown, bool)) or value is None else {"true": True, "false": False}[value]


def _one(value: Value) -> Value:
    if isinstance(value, Unknown) or not whole(value):
        return Unknown("${one(…)}")
    return value[0] if value else None


def _replace(text: str, old: str, new: str) -> Value:
    if len(old) > 1 and old.startswith("/") and old.endswith("/"):
        return Unknown("${replace(…)}", "its pattern was not followed")
    if len(text) * len(new) > _LONGEST * 50:
        raise ValueError
    return text.replace(old, new) if old else text


def _substr(text: str, start: int, length: int) -> str:
    return text[start:] if length < 0 else text[start : start + length]


def _element(value: list[Value], index: int) -> Value:
    return value[index % len(value)]


def _json(value: Value) -> Value:
    import json

    if isinstance(value, (dict, list)):
        inner = list(value.values()) if isinstance(value, dict) else value
        if any(isinstance(item, (dict, list, Unknown, Lazy)) for item in inner):
            return Unknown("${jsonencode(…)}")
    return json.dumps(value, separators=(",", ":"))


def _set(kind: str) -> Callable[..., Value]:
    def of(first: list[Value], *others: list[Value]) -> Value:
        rest = [[text_of(item) for item in other] for other in others]
        if kind == "union":
            return to_set(_concat(first, *others))
        if kind == "subtract":
            return List(item for item in first if all(text_of(item) not in other for other in rest))
        return List(item for item in first if all(text_of(item) in other for other in rest))

    return of


def _same(value: Value) -> Value:
    return value


#: Those that can say something although an argument, or a part of it, is not known.
_PARTIAL: dict[str, Callable[..., Value]] = {
    "merge": _merge, "concat": _concat, "coalesce": _coalesce, "coalescelist": _coalesce_list, "try": _try, "can": _can,
    "lookup": _lookup, "toset": to_set, "tolist": _same, "tomap": _same, "distinct": to_set, "sort": _same,
    "flatten": _flatten, "keys": _keys, "values": _values, "compact": _compact, "zipmap": _zipmap,
    "contains": _contains, "length": _length, "format": _format, "join": _join, "tostring": _cast,
    "tonumber": _tonumber, "tobool": _tobool, "one": _one, "sensitive": _same, "nonsensitive": _same,
    "ephemeralasnull": _same,
}  # fmt: skip
_STRICT: dict[str, Callable[..., Value]] = {
    "lower": lambda text: text.lower(), "upper": lambda text: text.upper(), "title": lambda text: text.title(),
    "trimspace": lambda text: text.strip(), "trim": lambda text, cut: text.strip(cut), "chomp": lambda text: text.rstrip("\r\n"),
    "trimprefix": lambda text, cut: text.removeprefix(cut), "trimsuffix": lambda text, cut: text.removesuffix(cut),
    "replace": _replace, "substr": _substr, "split": lambda cut, text: List(text.split(cut) if cut else list(text)),
    "element": _element, "startswith": lambda text, start: text.startswith(start),
    "endswith": lambda text, end: text.endswith(end), "strcontains": lambda text, part: part in text,
    "jsonencode": _json, "reverse": lambda items: List(reversed(items)), "setunion": _set("union"),
    "setsubtract": _set("subtract"), "setintersection": _set("intersection"),
    "basename": lambda text: text.rstrip("/").rpartition("/")[2], "dirname": lambda text: text.rpartition("/")[0] or ".",
}  # fmt: skip
