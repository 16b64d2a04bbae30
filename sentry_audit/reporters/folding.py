"""Findings that say the same, said once: of one check over many components, or of many checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from sentry_audit.model import Evidence, Finding, Link, Remedy, Report, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")


class Entry(Struct, frozen=True):
    """Findings that say the same: of one check over many components, or of many checks."""

    finding: Finding
    checks: tuple[str, ...]
    components: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    remedies: tuple[Remedy, ...]


def entries(report: Report) -> dict[Status, list[Entry]]:
    """All findings by status, one entry per check, message and waiver, in the order of components and ids."""
    order = {component.name: index for index, component in enumerate(report.components)}
    ordered = sorted(report.findings, key=lambda item: (order.get(item.component, -1), item.component, item.check))
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for item in ordered:
        groups.setdefault((item.status, item.check, item.severity, item.message, item.hint, item.waiver), []).append(
            item
        )
    found: dict[Status, list[Entry]] = {status: [] for status in Status}
    for group in groups.values():
        found[group[0].status].append(
            Entry(
                group[0],
                (group[0].check,),
                unique(item.component for item in group if item.component),
                unique(evidence for item in group for evidence in item.evidence),
                unique(item.remedy for item in group if item.remedy),
            )
        )
    return found


def weight(finding: Finding) -> tuple[int, int]:
    """The order in which findings are read: by severity, and among equals along the chain."""
    links = list(Link)
    return -finding.severity.rank, links.index(finding.link) if finding.link is not None else len(links)


def fold_checks(found: Sequence[Entry]) -> list[Entry]:
    """Entries of different checks with one reason and the same components as one."""
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in found:
        groups.setdefault((entry.components, entry.finding.message, entry.finding.hint), []).append(entry)
    return [
        Entry(
            group[0].finding,
            tuple(entry.finding.check for entry in group),
            group[0].components,
            unique(evidence for entry in group for evidence in entry.evidence),
            (),
        )
        for group in groups.values()
    ]


def unique(items: Iterable[T]) -> tuple[T, ...]:
    """``items`` in their order, each once."""
    return tuple(dict.fromkeys(items))
