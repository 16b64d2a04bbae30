"""Workflow commands of GitHub Actions: what is wrong stands beside the line of a pull request that it is about.

The escaping is that of https://github.com/actions/toolkit (packages/core/src/command.ts). A line is a command when it
begins with ``::``, or has ``##[`` anywhere (actions/runner, ActionCommand.cs): no text of a repository may bring about either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.model import Severity, Status
from sentry_audit.reporters._wording import (
    clean,
    cloud_lines,
    hints,
    in_checkout,
    joined,
    number,
    ordered,
    place,
    standing_in,
    tally,
    terms,
)
from sentry_audit.reporters.base import RenderOptions, Reporter
from sentry_audit.reporters.folding import Entry, entries, fold_checks, weight
from sentry_audit.reporters.page import GLYPHS, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.model import Evidence, Finding, Report

#: How many annotations of one kind GitHub shows of one step.
SHOWN = 10
_KINDS = ("error", "warning", "notice")
_BY_SEVERITY = dict(zip((Severity.HIGH, Severity.MEDIUM, Severity.LOW), _KINDS, strict=True))
_MOST_EVIDENCE = 8
_MOST_NAMES = 3
_LONGEST = 4000


class _Annotation(Struct, frozen=True):
    kind: str
    title: str
    message: str
    place: Evidence | None = None
    severity: Severity = Severity.LOW


def render(reports: Sequence[Report], options: RenderOptions) -> str:
    """A folded summary of each report, then the annotations, the gravest first: GitHub shows only the first ones."""
    lines: list[str] = []
    found: list[_Annotation] = []
    for report in reports:
        lines += _summary(report)
        found += _annotations(report, options, named=len(reports) > 1)
    found.sort(key=lambda item: (_KINDS.index(item.kind), -item.severity.rank))
    cut = [(kind, amount) for kind in _KINDS if (amount := sum(item.kind == kind for item in found)) > SHOWN]
    if cut:
        told = ", ".join(f"{SHOWN} of {number(amount, kind)}" for kind, amount in cut)
        text = f"GitHub shows {told} of a step; all of them are in its log"
        found.insert(0, _Annotation("notice", "sentry-audit", text))
    lines += [_command(item, options) for item in found]
    return "\n".join(lines) + "\n"


def _summary(report: Report) -> Iterator[str]:
    """One line per report that can be opened, with a line per gap in it."""
    status, word = verdict(report)
    head = f"sentry-audit {report.environment}: {GLYPHS[status]} {word}  {report.headline}"
    yield f"::group::{_data(clean(head))}"
    for line in cloud_lines(report):
        yield f"= {_harmless(line)}"
    for finding in _gaps(report):
        yield f"✗ gap  {finding.severity.value:<6}  {_harmless(finding.check)}  {_harmless(finding.component)}"
    yield f"= {tally(report)}  exit {report.exit_code}"
    yield "::endgroup::"


def _annotations(report: Report, options: RenderOptions, *, named: bool) -> Iterator[_Annotation]:
    components = {item.name: item for item in report.components}
    where = f" ({report.environment})" if named else ""
    for finding in _gaps(report):
        expired = finding.waiver is not None
        kind = "error" if expired else _BY_SEVERITY[finding.severity]
        title = f"{finding.check}: {finding.title}{where}" + (" (waiver expired)" if expired else "")
        spot = next((item for item in finding.evidence if item.path is not None), None)
        spot = spot or standing_in(finding, components.get(finding.component))
        yield _Annotation(kind, clean(title), _gap(finding, options), spot, finding.severity)
    found = entries(report)
    for status in (Status.ERROR, Status.UNKNOWN):
        for entry in fold_checks(sorted(found[status], key=lambda item: weight(item.finding))):
            severity = entry.finding.severity
            kind = "warning" if status is Status.ERROR or severity is not Severity.LOW else "notice"
            few = len(entry.checks) <= _MOST_NAMES
            named_ = ", ".join(entry.checks) if few else number(len(entry.checks), "check")
            text = joined((_open(entry, options), "" if few else clean(", ".join(entry.checks))))
            yield _Annotation(kind, clean(f"{status.value}: {named_}{where}"), text, _spot(entry), severity)
    for entry in found[Status.WAIVED]:
        waiver = entry.finding.waiver
        reason = f"waived: {terms(waiver, options)}" if waiver else ""
        message = joined((f"{_owners(entry)}{clean(entry.finding.message)}", reason))
        yield _Annotation("notice", clean(f"waived: {entry.finding.check}{where}"), message, _spot(entry))


def _gaps(report: Report) -> list[Finding]:
    """The gaps, the gravest first."""
    return sorted((item for item in ordered(report) if item.status is Status.GAP), key=weight)


def _gap(finding: Finding, options: RenderOptions) -> str:
    """What is wrong, where else that shows, and what closes it."""
    remedy = finding.remedy
    shown = [item for item in finding.evidence if place(item, options) or item.saw]
    return joined(
        (
            f"{clean(finding.component)}: {clean(finding.message)}",
            *(f"{place(item, options)}  {clean(item.saw)}".strip() for item in shown[:_MOST_EVIDENCE]),
            f"fix: {clean(remedy.summary)} ({clean(remedy.safety)})" if remedy else "",
            f"run: {clean(remedy.command)}" if remedy and remedy.command else "",
            *(f"hint: {line}" for line in hints(finding, options)),
        )
    )


def _open(entry: Entry, options: RenderOptions) -> str:
    head = f"{_owners(entry)}{clean(entry.finding.message)}"
    return joined((head, *(f"hint: {line}" for line in hints(entry.finding, options))))


def _owners(entry: Entry) -> str:
    return f"{clean(', '.join(entry.components))}: " if entry.components else ""


def _spot(entry: Entry) -> Evidence | None:
    return next((item for item in entry.evidence if item.path is not None), None)


# --- commands -------------------------------------------------------------------------------------


def _command(item: _Annotation, options: RenderOptions) -> str:
    spot = item.place
    given: list[tuple[str, str]] = []
    if spot is not None and spot.path is not None:
        given.append(("file", clean(in_checkout(spot.path, options))))
        if spot.line:
            given.append(("line", str(spot.line)))
            if spot.column:
                given.append(("col", str(spot.column)))
    given.append(("title", item.title))
    properties = ",".join(f"{name}={_property(value)}" for name, value in given)
    return f"::{item.kind} {properties}::{_data(item.message[:_LONGEST])}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _harmless(text: str) -> str:
    """``text`` for a line that is no command and begins with words of ours: ``##[`` in it is broken up."""
    return clean(text).replace("##[", "## [")


REPORTER = Reporter("github", render)
