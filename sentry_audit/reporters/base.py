"""What a format is: a name, and a function from reports to text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentry_audit.fixing import Step
    from sentry_audit.model import Report

#: A comment on GitHub takes 65 536 characters.
COMMENT_LIMIT = 65_000
_MILD_TO_GRAVE = (0, 10, 3, 4, 1)
NOTHING_AUDITED = 3


class RenderOptions(Struct, frozen=True):
    """What a reader asked for, and where and when that was: each format takes what it has a use for.

    ``prefix`` leads from the root of the checkout to the audited folder; ``checkout`` and ``directory`` are the addresses
    (``file:///…/``) of that root and of the current folder, ``now`` is the time in UTC (``2026-01-31T12:00:00``), each
    ``""`` where it is not known. ``limit`` is how many bytes the reader takes at most, for formats that can leave things
    out. ``fixes`` are the steps of a plan for the findings.
    """

    width: int = 80
    color: bool = False
    show_passed: bool = False
    verbose: bool = False
    show_waived: bool = False
    prefix: str = ""
    checkout: str = ""
    directory: str = ""
    now: str = ""
    limit: int = COMMENT_LIMIT
    fixes: tuple[Step, ...] = ()


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
