"""What a scanner is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentry_audit.facts import Fact
from sentry_audit.model import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

Found = tuple[tuple[Fact, ...], tuple[Problem, ...]]


@dataclass(frozen=True, slots=True)
class Scanner:
    """``matches`` tells by a path whether ``scan`` (path, text) can read the file."""

    name: str
    matches: Callable[[str], bool]
    scan: Callable[[str, str], Found]
