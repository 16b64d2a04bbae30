"""Findings and waivers → findings: what is accepted, what was accepted for too long, and which waiver is of no use."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.deployment.environments import canonical
from sentry_audit.errors import nearest
from sentry_audit.fingerprints import fingerprint
from sentry_audit.model import Status
from sentry_audit.waivers.written import BASELINE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date

    from sentry_audit.model import Finding
    from sentry_audit.waivers.written import Written

#: From how many days before its end on a waiver is spoken of.
SOON = 14
PRUNE = "sentry-audit waivers prune"
UPDATE = "sentry-audit baseline update"
_OPEN = frozenset({Status.UNKNOWN, Status.ERROR})
_Key = tuple[str, str, str]


class Unused(Struct, frozen=True):
    """A waiver without which the audit would say the same, and why."""

    written: Written
    why: str


class Ledger:
    """The waivers of one run, and what came of each: ``apply`` for every environment, then ``notes``.

    Only gaps can be waived: to accept what nobody could look at would be to pass by not looking.
    """

    def __init__(self, written: Iterable[Written], today: date, complaints: Sequence[str] = ()) -> None:
        self.written = tuple(written)
        self.today = today
        self.complaints = tuple(complaints)
        self.environments: list[str] = []
        self._broad = [index for index, item in enumerate(self.written) if item.subject is None]
        self._exact: dict[_Key, list[int]] = {}
        for index, item in enumerate(self.written):
            if item.subject is not None:
                self._exact.setdefault(item.subject, []).append(index)
        self._left = [Counter(item.fingerprints) for item in self.written]
        self._used: set[int] = set()
        self._lapsed: set[int] = set()
        self._changed: set[int] = set()
        self._seen: dict[_Key, set[Status]] = {}

    def apply(self, findings: Sequence[Finding], environment: str) -> tuple[Finding, ...]:
        """``findings`` of one environment with every accepted gap waived.

        A gap whose waiver has expired stays one, has that waiver, and says so; one whose waiver was written for other
        content says that.
        """
        self.environments.append(environment)
        for item in findings:
            status = Status.UNKNOWN if item.unlooked else item.status
            self._seen.setdefault((item.check, item.component, item.environment), set()).add(status)
        if not self.written:
            return tuple(findings)
        return tuple(self._judged(item) if item.status is Status.GAP else item for item in findings)

    def _judged(self, finding: Finding) -> Finding:
        subject = finding.check, finding.component, finding.environment
        known = (*self._broad, *self._exact.get(subject, ()))
        near = [index for index in known if self.written[index].places(finding)]
        if not near:
            return finding
        near.sort(key=lambda index: (self.written[index].expired(self.today), self.written[index].exactness, index))
        seen = fingerprint(finding)
        bound = [index for index in near if not self.written[index].fingerprints or self._left[index][seen] > 0]
        for index in bound[:1]:
            self._left[index][seen] -= 1
            written = self.written[index]
            days = written.days_left(self.today)
            if days is None or days >= 0:
                self._used.add(index)
                return replace(finding, status=Status.WAIVED, waiver=written.waiver)
            self._lapsed.add(index)
            told = f"its waiver expired {_days(-days)} ago ({written.waiver.place}): {written.waiver.reason}"
            return replace(finding, waiver=written.waiver, hint=_joined(finding.hint, told))
        others = [index for index in near if self.written[index].source != BASELINE]
        if not others:
            return finding
        self._changed.update(others)
        place = self.written[others[0]].waiver.place
        told = f"the waiver in {place} was given for something else that was seen here: look again before you renew it"
        return replace(finding, hint=_joined(finding.hint, told))

    def unused(self, known: Collection[str]) -> list[Unused]:
        """The waivers of which this run, if it judged all checks and components, shows that they are of no use.

        ``known`` are the environments that there are; a waiver is left alone while a check that it speaks of is
        undecided, or an environment that it names was not looked at.
        """
        found: list[Unused] = []
        for index, item in enumerate(self.written):
            if item.source == BASELINE or index in self._used or not self._looked(item, known):
                continue
            keys = [key for key in self._seen if item.covers(*key)]
            if any(self._seen[key] & _OPEN for key in keys):
                continue
            days = item.days_left(self.today)
            if index in self._changed:
                why = "what it was given for is not there any more, and something else is"
            elif index in self._lapsed and days is not None:
                why = f"it expired {_days(-days)} ago"
            else:
                why = "there is no such gap" + self._where(item) if keys else self._nowhere(item)
                why += f", and it expired {_days(-days)} ago" if days is not None and days < 0 else ""
            found.append(Unused(item, why))
        return found

    def _looked(self, item: Written, known: Collection[str]) -> bool:
        """Whether every environment that ``item`` names was audited, of those that there are."""
        if not item.environments:
            return True
        named = [name for name in known if item.holds_in(name)]
        if not named:
            return any(item.holds_in(name) for name in self.environments)
        return all(name in self.environments for name in named)

    def _where(self, item: Written) -> str:
        return "" if item.environments else f" in {', '.join(self.environments)}"

    def _nowhere(self, item: Written) -> str:
        """Why nothing that was audited is in the scope of ``item``."""
        if item.components:
            return f"there is no component {', '.join(item.components)}"
        return "no check that it names was run"

    def _misspelt(self, known: Collection[str]) -> list[str]:
        """Environments that waivers name, and that are nearly called as those that there are."""
        found: list[str] = []
        for item in self.written:
            for name in item.environments if item.source != BASELINE else ():
                there = [*known, *self.environments]
                if not set(name) & set("*?[") and canonical(name) not in map(canonical, there):
                    hint = nearest(name, there, "")
                    found += [f"{item}: nothing else speaks of the environment {name}; {hint}"] if hint else []
        return found

    def gone(self) -> tuple[int, str]:
        """How many gaps of the baseline are decided and not there any more, and the baseline's file."""
        number, name = 0, ""
        for subject, indices in self._exact.items():
            name = self.written[indices[0]].waiver.place.path or ""
            if subject in self._seen and not self._seen[subject] & _OPEN:
                number += sum(self._left[index].total() for index in indices)
        return number, name

    def notes(self, known: Collection[str], *, whole: bool) -> list[str]:
        """What is to be said of the waivers themselves; ``whole``: all checks and components were audited."""
        found = [*self.complaints, *self._misspelt(known)]
        for item in self.unused(known) if whole else ():
            found.append(f"{item.written} waives nothing: {item.why}; {PRUNE} takes out what is needed nowhere")
        for index in sorted(self._used):
            item_ = self.written[index]
            days = item_.days_left(self.today)
            if days is not None and days <= SOON:
                left = f"expires in {_days(days)}" if days else "expires today"
                found.append(f"{item_} {left}: it holds through {item_.waiver.until}")
        number, name = self.gone()
        if number:
            are = "gap of {} is" if number == 1 else "gaps of {} are"
            found.append(f"{number} {are.format(name)} gone: {UPDATE}")
        return found


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"


def _joined(hint: str, more: str) -> str:
    return f"{hint}\n{more}" if hint else more
