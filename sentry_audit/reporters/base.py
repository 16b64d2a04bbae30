"""What a format is: a name, and a function from reports to text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentry_audit.model import Report

_MILD_TO_GRAVE = (0, 10, 3, 4, 1)
NOTHING_AUDITED = 3


class RenderOptions(Struct, frozen=True):
    """What a reader asked for; formats made for machines ignore all of it."""

    width: int = 80
    color: bool = False
    show_passed: bool = False
    verbose: bool = False
    show_waived: bool = False


class Reporter(Struct, frozen=True):
    """One output format. ``render`` is pure: the same reports and options give the same text."""

    name: str
    render: Callable[[Sequence[Report], RenderOptions], str]


def exit_code(reports: Sequence[Report]) -> int:
    """The exit code of several environments together: a gap outranks an unknown, which outranks success."""
    codes = [report.exit_code for report in reports]

    def gravity(code: int) -> int:
        return _MILD_TO_GRAVE.index(code) if code in _MILD_TO_GRAVE else len(_MILD_TO_GRAVE) + code

    return max(codes, key=gravity, default=NOTHING_AUDITED)
