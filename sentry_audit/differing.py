"""What differs between two environments: each verdict that is not the same in both, with what was seen. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.model import Status

if TYPE_CHECKING:
    from sentry_audit.model import Evidence, Finding, Report


class Side(Struct, frozen=True):
    """One environment's half of a difference."""

    environment: str
    status: Status
    message: str
    evidence: tuple[Evidence, ...] = ()


class Difference(Struct, frozen=True):
    """One subject (a check) of one component that is not the same in two environments."""

    component: str
    subject: str
    left: Side
    right: Side


def differences(left: Report, right: Report) -> list[Difference]:
    """The findings of two reports of one repository that differ in verdict or in what was seen, chain links first."""
    ours, theirs = _by_check(left), _by_check(right)
    found: list[Difference] = []
    for key in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(key, []), theirs.get(key, [])
        told = _said(one, left.environment) != _said(other, right.environment)
        if told and _said(one, "") != _said(other, ""):  # a file's name may hold one of the two
            found.append(Difference(key[0], key[1], _side(one, left.environment), _side(other, right.environment)))
    linked = {(item.component, item.check) for report in (left, right) for item in report.findings if item.link}
    return sorted(found, key=lambda item: (item.component, (item.component, item.subject) not in linked))


def _by_check(report: Report) -> dict[tuple[str, str], list[Finding]]:
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        found.setdefault((finding.component, finding.check), []).append(finding)
    return found


def _said(findings: list[Finding], environment: str) -> set[tuple[Status, str, tuple[str, ...]]]:
    """What the findings say, the environment's own name left out (``""``: as it stands)."""
    return {
        (
            item.status,
            _without(item.message, environment),
            tuple(_without(place.saw, environment, "") for place in item.evidence),
        )
        for item in findings
        if item.status is not Status.SKIPPED
    }


def _without(text: str, name: str, mark: str = "…") -> str:
    """``text`` with ``mark`` for the environment's name; without a mark, ``shop-staging`` is ``shop`` and says the same."""
    return re.sub(re.escape(name) if mark else rf"[-_.]?{re.escape(name)}", mark, text) if name else text


def _side(findings: list[Finding], environment: str) -> Side:
    shown = [item for item in findings if item.status is not Status.PASS] or findings
    if not shown:
        return Side(environment, Status.SKIPPED, "nothing to judge")
    message = "; ".join(dict.fromkeys(item.message for item in shown))
    return Side(environment, shown[0].status, message, tuple(place for item in shown for place in item.evidence))
