"""The operators of the check language: one line each."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from msgspec import Struct


class Operator(Struct, frozen=True):
    """``holds(actual, wanted)``; ``takes`` are the types that ``wanted`` may have."""

    holds: Callable[[Any, Any], bool]
    takes: tuple[type, ...]
    meaning: str


_SCALAR = (str, int, float, bool, type(None))
_NUMBER = (int, float)

OPERATORS: dict[str, Operator] = {
    "is": Operator(lambda actual, wanted: bool(actual == wanted), _SCALAR, "equals"),
    "is_not": Operator(lambda actual, wanted: bool(actual != wanted), _SCALAR, "differs from"),
    "in": Operator(lambda actual, wanted: actual in wanted, (list,), "is one of"),
    "not_in": Operator(lambda actual, wanted: actual not in wanted, (list,), "is none of"),
    "at_least": Operator(lambda actual, wanted: actual is not None and actual >= wanted, _NUMBER, "is at least"),
    "at_most": Operator(lambda actual, wanted: actual is not None and actual <= wanted, _NUMBER, "is at most"),
    "above": Operator(lambda actual, wanted: actual is not None and actual > wanted, _NUMBER, "is above"),
    "below": Operator(lambda actual, wanted: actual is not None and actual < wanted, _NUMBER, "is below"),
    "matches": Operator(
        lambda actual, wanted: re.search(wanted, str(actual)) is not None, (str,), "matches the regular expression"
    ),
    "contains": Operator(lambda actual, wanted: wanted in actual, _SCALAR, "contains"),
    "empty": Operator(lambda actual, wanted: (not actual) is wanted, (bool,), "is empty"),
    "starts_with": Operator(lambda actual, wanted: str(actual).startswith(wanted), (str,), "starts with"),
}

Condition = tuple[str, str, Any]


def conditions(table: Mapping[str, Any]) -> tuple[Condition, ...]:
    """``{field: value | [values] | {operator: value}}`` as (field, operator, wanted) triples."""
    found: list[Condition] = []
    for name, wanted in table.items():
        if isinstance(wanted, Mapping):
            found += [(name, operator, value) for operator, value in wanted.items()]
        else:
            found.append((name, "in" if isinstance(wanted, list) else "is", wanted))
    return tuple(found)


def holds(fact: object, wanted: Collection[Condition]) -> bool:
    """Whether every condition holds for the fields of ``fact``."""
    return all(OPERATORS[operator].holds(getattr(fact, name), value) for name, operator, value in wanted)
