"""Guards in front of ``init``: which real DSNs a condition lets through. Shared by Python and JavaScript.

The samples are shaped like the DSNs that Sentry hands out: docs.sentry.io/concepts/key-terms/dsn-explainer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.facts import DsnGuard

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry_audit.model import Evidence

_KEY = "0123456789abcdef0123456789abcdef"
#: (what kind of DSN it is, a DSN of that kind).
SAMPLES: tuple[tuple[str, str], ...] = (
    ("sentry.io (US)", f"https://{_KEY}@o450.ingest.us.sentry.io/4501"),
    ("sentry.io (EU)", f"https://{_KEY}@o450.ingest.de.sentry.io/4501"),
    ("sentry.io (older)", f"https://{_KEY}@o450.ingest.sentry.io/4501"),
    ("self-hosted", f"https://{_KEY}@errors.acme.dev/7"),
    ("self-hosted with a path", f"https://{_KEY}@acme.dev/sentry/7"),
)
#: Without these a guard switches Sentry off for what sentry.io hands out today.
REQUIRED = frozenset({"sentry.io (US)", "sentry.io (EU)"})
#: A repeated group that ends in a repetition may take longer than anybody waits: ``(\\w+)+@``.
_EXPLOSIVE = re.compile(r"[+*]\)+[+*{]")


class Verdict(Struct, frozen=True):
    """``rejects`` are the kinds of DSN that a condition keeps out; ``undecided`` those it was not followed for."""

    rejects: tuple[str, ...] = ()
    undecided: bool = False

    @property
    def keeps_real(self) -> bool:
        """Whether the DSNs of sentry.io today pass."""
        return not REQUIRED & set(self.rejects)

    def fact(self, expression: str, here: tuple[Evidence, ...], *, about: bool) -> DsnGuard | None:
        """The fact that ``expression`` is a guard; None if it is not ``about`` the DSN's text and keeps nothing out."""
        if self.rejects:
            return DsnGuard(expression=expression, keeps_real=self.keeps_real, rejects=self.rejects, evidence=here)
        if self.undecided:
            return DsnGuard(expression=expression, unknown=f"the guard {expression} was not followed", evidence=here)
        return DsnGuard(expression=expression, evidence=here) if about else None


def judge(condition: Callable[[str], bool | None]) -> Verdict:
    """Ask a condition about each sample; it gives None for what it cannot decide."""
    answers = [(kind, condition(sample)) for kind, sample in SAMPLES]
    return Verdict(
        tuple(kind for kind, answer in answers if answer is False), any(answer is None for _, answer in answers)
    )


def pattern(text: str, flags: int = 0) -> re.Pattern[str] | None:
    """A regular expression of the audited code; None if it is none that Python understands, or may never end."""
    try:
        return None if _EXPLOSIVE.search(text) else re.compile(text, flags)
    except (re.error, ValueError, OverflowError, RecursionError):
        return None


def matches(text: str, value: str, flags: str = "") -> bool | None:
    """Whether a regular expression of JavaScript is found in ``value``; None if that cannot be told."""
    compiled = pattern(text.replace(r"\/", "/"), re.IGNORECASE if "i" in flags else 0)
    return None if compiled is None else compiled.search(value) is not None


def both(left: bool | None, right: bool | None) -> bool | None:
    """``and``, where None is what cannot be decided."""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def negated(value: bool | None) -> bool | None:
    """``not``, where None stays None."""
    return None if value is None else not value
