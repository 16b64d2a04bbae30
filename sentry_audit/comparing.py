"""What one audit shows that another did not: gaps that are gone, and what got worse. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

from sentry_audit.fixing import Closed
from sentry_audit.model import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sentry_audit.model import Finding

#: What tells a gap from another: check, component, message, file.
Key: TypeAlias = tuple[str, str, str, str]
Tally: TypeAlias = "dict[tuple[str, str], Counter[Status]]"
_BAD = frozenset({Status.GAP, Status.UNKNOWN, Status.ERROR})


def worse(
    before: Sequence[Finding], after: Sequence[Finding], but: Collection[str] = (), *, revealing: bool = False
) -> list[Finding]:
    """What of ``after`` is a gap or not decided, and was neither ``before``, or is a gap more often; not checks of ``but``.

    ``revealing``: what had nothing to judge before may be a gap now, as the options of an init that never ran.
    """
    old, new = tally(before), tally(after)
    found = []
    for item in after:
        key = (item.check, item.component)
        if item.status not in _BAD or item.check in but:
            continue
        was = old.get(key, Counter())
        fresh = not any(was[status] for status in _BAD)
        judged = was[Status.SKIPPED] > new[key][Status.SKIPPED] or (was[Status.SKIPPED] and not was[Status.PASS])
        if revealing and fresh and judged and item.status is not Status.ERROR:
            continue
        more = item.status is Status.GAP and 0 < was[Status.GAP] < new[key][Status.GAP]
        if fresh or more or (item.status is Status.ERROR and not was[Status.ERROR]):
            found.append(item)
    return found


def gained(before: Sequence[Finding], after: Sequence[Finding]) -> Counter[Closed]:
    """How many gaps of a check are gone; none where it cannot be decided any more."""
    old, new = tally(before), tally(after)
    found: Counter[Closed] = Counter()
    for (check, component), statuses in old.items():
        now = new.get((check, component), Counter())
        gone = statuses[Status.GAP] - now[Status.GAP]
        if gone > 0 and now[Status.UNKNOWN] <= statuses[Status.UNKNOWN] and now[Status.ERROR] <= statuses[Status.ERROR]:
            found[Closed(check, component)] = gone
    return found


def tally(findings: Iterable[Finding]) -> Tally:
    """How many findings of each status a check has for a component."""
    found: Tally = {}
    for item in findings:
        found.setdefault((item.check, item.component), Counter())[item.status] += 1
    return found


def key_of(finding: Finding) -> Key:
    """What tells a gap from another, though the lines of its file move."""
    return (
        finding.check,
        finding.component,
        finding.message,
        (finding.evidence[0].path or "") if finding.evidence else "",
    )


def told(finding: Finding) -> str:
    """A finding in one phrase."""
    return f"{finding.check} ({finding.status.value}: {finding.message})"
