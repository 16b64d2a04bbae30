"""A waiver as somebody wrote it: what it says, and which gaps it covers."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.deployment.environments import canonical
from sentry_audit.fingerprints import fingerprint

if TYPE_CHECKING:
    from datetime import date

    from pathspec import GitIgnoreSpec

    from sentry_audit.model import Finding, Waiver

PERMANENT = "permanent"
#: Where waivers are written; the nearer to the gap, the sooner it is taken.
INLINE, SETTINGS, BASELINE = "inline", "settings", "baseline"


class Written(Struct, frozen=True, kw_only=True, dict=True):
    """One waiver. Every scope that is given has to hold; one that is empty holds everywhere.

    ``checks`` are ids or globs of ids; ``paths`` patterns as in ``.gitignore``, of the first place that a finding names;
    ``fingerprints`` bind it to what was seen, each as often as it stands there; ``lines`` are those of ``waiver.place``'s
    file that a comment speaks of; ``span`` is where that comment stands in the text. ``subject`` is the one check,
    component and environment of an entry of a baseline: it stands for the scopes.
    """

    waiver: Waiver
    checks: tuple[str, ...]
    components: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    source: str = SETTINGS
    span: tuple[int, int] = (0, 0)
    subject: tuple[str, str, str] | None = None

    def covers(self, check: str, component: str, environment: str) -> bool:
        """Whether its scope holds findings of ``check``, before anything is seen."""
        if self.subject is not None:
            return self.subject == (check, component, environment)
        return (
            any(fnmatchcase(check, pattern) for pattern in self.checks)
            and (not self.components or any(fnmatchcase(component, pattern) for pattern in self.components))
            and self.holds_in(environment)
        )

    def holds_in(self, environment: str) -> bool:
        """Whether it speaks of ``environment``; ``prod`` is ``production``."""
        return not self.environments or any(
            fnmatchcase(environment, name) or canonical(name) == canonical(environment) for name in self.environments
        )

    def places(self, finding: Finding) -> bool:
        """Whether ``finding`` is where it speaks of: the content aside."""
        if not self.covers(finding.check, finding.component, finding.environment):
            return False
        if self.lines:
            own = self.waiver.place.path
            return any(item.path == own and item.line in self.lines for item in finding.evidence)
        if not self.paths:
            return True
        first = next((item.path for item in finding.evidence if item.path), None)
        return first is not None and self._patterns.match_file(first)

    def bound_to(self, finding: Finding) -> bool:
        """Whether what was seen is what it was written for; always, where it is bound to nothing."""
        return not self.fingerprints or fingerprint(finding) in self.fingerprints

    @cached_property
    def _patterns(self) -> GitIgnoreSpec:
        from pathspec import GitIgnoreSpec

        return GitIgnoreSpec.from_lines(self.paths)

    def expired(self, today: date) -> bool:
        """Whether its last day is over; it holds through the day that ``until`` names."""
        return self.waiver.until != PERMANENT and self.waiver.until < today.isoformat()

    def days_left(self, today: date) -> int | None:
        """The days after ``today`` on which it still holds, negative where it has expired; None if for ever."""
        if self.waiver.until == PERMANENT:
            return None
        return (today.fromisoformat(self.waiver.until) - today).days

    @property
    def exactness(self) -> tuple[int, ...]:
        """The order among waivers of one gap: the nearest place first, then the narrowest scope."""
        near = (INLINE, SETTINGS, BASELINE).index(self.source)
        exact = not any(set(pattern) & set("*?[") for pattern in self.checks)
        narrow = sum(map(bool, (self.fingerprints, self.paths, self.components, self.environments)))
        return near, not exact, -narrow

    def __str__(self) -> str:
        """Where it is written, and of which checks it speaks."""
        return f"{self.waiver.place} ({', '.join(self.checks)})"
