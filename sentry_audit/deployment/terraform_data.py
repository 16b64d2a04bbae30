"""What a Terraform expression can be worth: plain values, parts of maps and lists, things that are not known."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

Value = Any


class Unknown(Struct, frozen=True):
    """A value that the repository does not tell.

    ``text`` is how it is shown (``api-${var.env}``), ``axis`` what would decide it (a variable or the workspace),
    ``failed`` that Terraform itself would find nothing there.
    """

    text: str = ""
    reason: str = ""
    axis: str = ""
    failed: bool = False


class Map(dict[str, Any]):
    """A map or object; ``missing`` says which of its entries are not known."""

    missing: tuple[str, ...] = ()


class List(list[Any]):
    """A list, tuple or set; ``missing`` says which of its elements are not known."""

    missing: tuple[str, ...] = ()


class Set(List):
    """A set, in the order in which it was written."""


@runtime_checkable
class Lazy(Protocol):
    """A resource or module whose attributes are looked up when they are asked for."""

    def attribute(self, name: str) -> Value:
        """What its attribute is worth."""


def whole(value: Value) -> bool:
    """Whether all entries of a map or list are known."""
    return not getattr(value, "missing", ())


def key_of(value: Value) -> str:
    """A key of a map, which is always a text."""
    return text_of(value)


def text_of(value: Value) -> str:
    """A value as Terraform puts it into a text; what is not known as it is written."""
    match value:
        case Unknown():
            return value.text or "${…}"
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case str():
            return value
        case int() | float():
            return (
                str(int(value))
                if isinstance(value, float) and abs(value) < 1e15 and value == int(value)
                else str(value)
            )
    return "${…}"
