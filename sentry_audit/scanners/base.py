"""What a scanner is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.facts import Fact
from sentry_audit.model import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

Found = tuple[tuple[Fact, ...], tuple[Problem, ...]]


class Scanner(Struct, frozen=True):
    """``matches`` tells by a path whether ``scan`` (path, text) can read the file."""

    name: str
    matches: Callable[[str], bool]
    scan: Callable[[str, str], Found]
