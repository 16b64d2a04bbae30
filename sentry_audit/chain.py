"""The evidence chain of one component, and what it comes to: the product's first two lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.model import ChainLink, Link, Severity, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sentry_audit.facts import Component
    from sentry_audit.model import ComponentReport, Finding

_ORDER = (Status.GAP, Status.WAIVED, Status.ERROR, Status.UNKNOWN, Status.PASS, Status.SKIPPED)
_BREAKS = frozenset({Status.GAP, Status.WAIVED})
#: A key that is enabled does not prove that an event is accepted.
_NO_PROOF = frozenset({"sentry-key-active"})


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
    breaking = [item for item in findings if not (item.status in _BREAKS and item.severity is not Severity.HIGH)]
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
    if link is Link.ACCEPTED and _status(worst) is Status.PASS:
        proofs = [item for item in findings if item.check not in _NO_PROOF and item.status is not Status.SKIPPED]
        if not any(item.status is Status.PASS for item in proofs):
            told = next(iter(proofs), worst)
            lead = "" if proofs else "whether an event is accepted was not looked at; "
            return ChainLink(link, Status.UNKNOWN, lead + told.message, told.evidence)
    message = worst.message
    if _status(worst) is Status.WAIVED and worst.waiver is not None:
        message = f"{message} (accepted: {worst.waiver.reason})"
    return ChainLink(link, _status(worst), message, worst.evidence)


def _status(finding: Finding) -> Status:
    """Only gaps of high severity break a link, accepted or not: an unbounded version is one, and events still arrive."""
    if finding.status in _BREAKS and finding.severity is not Severity.HIGH:
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
    accepted = [item.name for item in components if any(link.status is Status.WAIVED for link in item.chain)]
    if accepted:
        return False, _accepted(components, environment, accepted)
    if names := _names(components, lambda status: status is not Status.PASS):
        return False, f"nothing is broken in what was audited; not proven for {environment}: {names}"
    return True, f"errors of {environment} reach Sentry: every link is proven"


def _accepted(components: Sequence[ComponentReport], environment: str, names: Sequence[str]) -> str:
    """The headline where a link is broken and that is accepted: it is not said that errors arrive."""
    waived = _names(components, lambda status: status is Status.WAIVED)
    rest = _names(components, lambda status: status not in {Status.PASS, Status.WAIVED, Status.SKIPPED})
    who = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
    also = f"; not proven: {rest}" if rest else ""
    return f"{who}: errors cannot reach Sentry from {environment}, which is waived: {waived}{also}"


def _names(components: Sequence[ComponentReport], wanted: Callable[[Status], bool]) -> str:
    """The links of any component whose status is ``wanted``, in the order of the chain."""
    found = {link.link for item in components for link in item.chain if wanted(link.status)}
    return ", ".join(link.value for link in Link if link in found)
