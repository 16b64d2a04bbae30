"""What the evaluation of an expression knows and finds: values that may be open, the names of a frame, the DSN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

if TYPE_CHECKING:
    import ast

    from sentry_audit.python.module import Module
    from sentry_audit.python.values import Scope


class _Open:
    def __repr__(self) -> str:
        return "open"


OPEN: Final = _Open()


class Result(Struct, frozen=True):
    """A value, or ``OPEN``; ``dsn`` says whether it depends on the DSN."""

    value: object
    dsn: bool = False

    @property
    def known(self) -> bool:
        """Whether the value was computed."""
        return self.value is not OPEN


class Raised(Exception):  # noqa: N818 - it is what the audited code raises
    """The audited code raises an exception of this name."""


class Frame(Struct):
    """One place of the program: its scope, and the values of the names that were computed on the way."""

    scope: Scope
    locals: dict[str, Result] = field(default_factory=dict)
    depth: int = 0

    @property
    def module(self) -> Module:
        """The file."""
        return self.scope.module


class Known(Struct, frozen=True):
    """By what the DSN is recognised: the variables that init's is read from, and how init's argument is written."""

    names: frozenset[str] = frozenset()
    text: str = ""
    module: Module | None = None
    #: What was found of each node of the code in front of init; to follow one is what costs.
    seen: dict[ast.expr, bool] = field(default_factory=dict)


def joined(one: Result, two: Result, dsn: bool) -> Result:
    """Either value, and which is not known; ``dsn``: it depends on the DSN which."""
    if one.known and two.known and type(one.value) is type(two.value) and one.value == two.value:
        return Result(one.value, one.dsn or two.dsn)
    return Result(OPEN, dsn or any(item.dsn and not item.known for item in (one, two)))
