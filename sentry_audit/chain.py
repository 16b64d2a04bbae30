"""The evidence chain of one component, and what it comes to: the product's first two lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.model import ChainLink, Link, Severity, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentry_audit.facts import Component
    from sentry_audit.model import ComponentReport, Finding

_ORDER = (Status.GAP, Status.ERROR, Status.UNKNOWN, Status.PASS, Status.WAIVED, Status.SKIPPED)


def build(
    component: Component, findings: Sequence[Finding], environment: str, unlooked: Mapping[Link, str]
) -> tuple[ChainLink, ...]:
    """One entry per link, in order; after the first broken one the rest is skipped.

    ``unlooked`` says for each link why nothing is known of it when no check judged it.
    """
    del environment
    links: list[ChainLink] = []
    broken: Link | None = None
    for link in Link:
        if broken is not None:
            links.append(ChainLink(link, Status.SKIPPED, f"fix {broken.value} first"))
            continue
        mine = [item for item in findings if item.component == component.name and item.link is link]
        entry = _link(link, mine, unlooked)
        links.append(entry)
        if entry.status is Status.GAP:
            broken = link
    return tuple(links)


def _link(link: Link, findings: Sequence[Finding], unlooked: Mapping[Link, str]) -> ChainLink:
    breaking = [item for item in findings if not (item.status is Status.GAP and item.severity is not Severity.HIGH)]
    worst: Finding | None = None
    for finding in breaking or findings:
        status = _status(finding)
        if (
            worst is None
            or _ORDER.index(status) < _ORDER.index(_status(worst))
            or (worst is not None and status is Status.GAP and finding.severity.rank > worst.severity.rank)
        ):
            worst = finding
    if worst is None or _status(worst) is Status.SKIPPED:
        needless = next((item for item in findings if item.needless), None)
        if needless is not None:
            message = needless.message.removeprefix("not applicable: ")
            return ChainLink(link, Status.PASS, f"nothing is needed: {message}", needless.evidence)
        return ChainLink(link, Status.UNKNOWN, unlooked.get(link, "no check of it was selected"))
    return ChainLink(link, _status(worst), worst.message, worst.evidence)


def _status(finding: Finding) -> Status:
    """Only gaps of high severity break a link: an unbounded version is a gap, and events still arrive."""
    if finding.status is Status.GAP and finding.severity is not Severity.HIGH:
        return Status.PASS
    return finding.status


def verdict(components: Sequence[ComponentReport], environment: str) -> tuple[bool, str]:
    """(whether every link of every component is proven, the headline)."""
    broken = [item for item in components if any(link.status is Status.GAP for link in item.chain)]
    if broken:
        first = broken[0]
        link = next(link for link in first.chain if link.status is Status.GAP)
        if len(broken) == 1:
            return False, f"{first.name}: errors cannot reach Sentry from {environment}: {link.message}"
        names = ", ".join(item.name for item in broken[:4]) + (", …" if len(broken) > 4 else "")
        return False, f"{len(broken)} of {len(components)} components cannot reach Sentry from {environment}: {names}"
    open_links = {link.link for item in components for link in item.chain if link.status is not Status.PASS}
    if open_links:
        names = ", ".join(link.value for link in Link if link in open_links)
        return False, f"nothing is broken in what was audited; not proven for {environment}: {names}"
    return True, f"errors of {environment} reach Sentry: every link is proven"
