"""The report for people: a verdict, the chain of each component, then what is wrong and what to do.

Data is laid out as text, never as markup; every word of it is redacted and freed of control
characters where it enters the page. No line is wider than the page.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from sentry_audit import __version__
from sentry_audit.model import (
    ChainLink,
    ComponentReport,
    Evidence,
    Finding,
    Problem,
    Remedy,
    Report,
    Severity,
    Status,
)
from sentry_audit.paths import named
from sentry_audit.reporters.base import RenderOptions, Reporter
from sentry_audit.reporters.folding import Entry, entries, fold_checks, weight
from sentry_audit.reporters.page import GLYPHS, STYLES, Page, Span, diff_style, verdict
from sentry_audit.reporters.waived import count_waived, draw_waived

if TYPE_CHECKING:
    from collections.abc import Sequence


T = TypeVar("T")
_SEVERITIES = (Severity.HIGH, Severity.MEDIUM, Severity.LOW)
_SKIPPED = re.compile(r"^skipped\b[\s:,–-]*")
_LINK_WIDTH = 11
_MOST_EVIDENCE = 8
_MOST_REMEDIES = 4
_MOST_DIFF_LINES = 16


def render(reports: Sequence[Report], options: RenderOptions) -> str:
    """The reports one after the other, as text of at most ``options.width`` columns."""
    page = Page(options)
    for index, report in enumerate(reports):
        if index:
            page.blank()
            page.row([("─" * page.width, "dim")])
        _draw(page, report, options)
    _matrix(page, reports)
    return page.text()


def _draw(page: Page, report: Report, options: RenderOptions) -> None:
    named = len(report.components) > 1
    found = entries(report)
    gaps = sorted(found[Status.GAP], key=lambda entry: weight(entry.finding))
    _header(page, report)
    for component in report.components:
        _component(page, component, options)
    for entry in gaps:
        page.blank()
        _gap(page, entry, options, named=named)
    unknown = fold_checks(sorted(found[Status.UNKNOWN], key=lambda entry: weight(entry.finding)))
    _section(page, "Not decided", unknown, options, named=named)
    errors = fold_checks(found[Status.ERROR])
    _section(page, "Checks that crashed (not your application's fault)", errors, options, named=named)
    waived = report.counts()[Status.WAIVED.value]
    if options.show_waived:
        draw_waived(page, found[Status.WAIVED], waived, lambda entry: _owners(entry, named=named))
    if options.show_passed:
        _list(page, "Passed", found[Status.PASS], named=named)
        _list(page, "Skipped", found[Status.SKIPPED], named=named)
    if not options.show_waived:
        count_waived(page, waived)
    _problems(page, report.problems, options)
    if report.notes:
        page.blank()
    for note in report.notes:
        page.row([(_flat(note), "")], [("note: ", "bold")])
    page.blank()
    _footer(page, report, gaps, [*errors, *unknown])


def _header(page: Page, report: Report) -> None:
    folder = re.split(r"[/\\]", report.root.rstrip("/\\"))[-1] or report.root
    place = " · ".join(word for word in (report.environment, folder) if word)
    checks = _count(len({finding.check for finding in report.findings}), "check")
    page.spread(
        [("sentry-audit", "bold"), (f" {__version__}  {_flat(place)}", "")],
        f"{checks} · {_count(len(report.components), 'component')}",
    )
    page.blank()
    status, words = verdict(report)
    style = f"bold {STYLES[status]}"
    page.row([(f"{GLYPHS[status]} {words}", style), (f"  {_flat(report.headline)}", "bold")], hang=2)
    _cloud(page, report)
    _sentry(page, report)


def _cloud(page: Page, report: Report) -> None:
    """Where what is said of Google Cloud comes from; or why nothing could be read, in one paragraph."""
    cloud = report.cloud
    if cloud is None:
        return
    if cloud.failure:
        page.blank()
        lead = ("? Google Cloud was not read: ", f"bold {STYLES[Status.UNKNOWN]}")
        page.row([lead, (_flat(cloud.failure), "")], hang=2)
        for line in cloud.command.splitlines():
            page.row([(line, "cyan")], indent=4, hang=6)
        return
    who = f" as {cloud.identity}" if cloud.identity else ""
    where = f" (kept in {cloud.source})" if cloud.source else ""
    words = f"Google Cloud at {cloud.taken_at}{who}{where}"
    page.row([(_flat(words), "dim")], indent=2, hang=2)


def _sentry(page: Page, report: Report) -> None:
    """Likewise of Sentry."""
    sentry = report.sentry
    if sentry is None:
        return
    if sentry.failure:
        page.blank()
        lead = ("? Sentry was not read: ", f"bold {STYLES[Status.UNKNOWN]}")
        page.row([lead, (_flat(sentry.failure), "")], hang=2)
        if sentry.command:
            page.row([(_flat(sentry.command), "cyan")], indent=4, hang=6)
        return
    where = f" (kept in {sentry.source})" if sentry.source else ""
    words = f"Sentry at {sentry.taken_at}: {sentry.url} with the token of {sentry.token_source}{where}"
    page.row([(_flat(words), "dim")], indent=2, hang=2)


def _matrix(page: Page, reports: Sequence[Report]) -> None:
    """Where the events of each component and environment go, when more than one environment was audited."""
    rows = [(item.component, report.environment, item) for report in reports for item in report.projects]
    if len(reports) < 2 or not rows:
        return
    shared = {
        item.fingerprint
        for _, environment, item in rows
        if any(other.fingerprint == item.fingerprint and name != environment for _, name, other in rows)
    }
    page.blank()
    page.row([("─" * page.width, "dim")])
    page.row([("Sentry projects by component and environment", "bold")])
    for component in dict.fromkeys(name for name, _, _ in rows):
        page.row([(component, "bold")], indent=2)
        for report in reports:
            mine = [item for name, environment, item in rows if (name, environment) == (component, report.environment)]
            for item in mine:
                mark = "  ! another environment sends there too" if item.fingerprint in shared else ""
                page.row(
                    [(f"project {item.project} at {item.host}", ""), (mark, STYLES[Status.GAP])],
                    [(f"{report.environment:<14}", "cyan")],
                    indent=4,
                )
            if not mine:
                page.row([("not seen", "dim")], [(f"{report.environment:<14}", "cyan")], indent=4)


def _component(page: Page, component: ComponentReport, options: RenderOptions) -> None:
    where = [component.role, component.path or ".", component.entry_point or "no entry point seen"]
    page.blank()
    page.row([(component.name, "bold"), ("  " + " · ".join(_flat(word) for word in where if word), "")], hang=2)
    if options.verbose:
        for reason in component.reasons:
            page.row([(_flat(reason), "dim")], [("because ", "dim")], indent=2)
    broken = _first_broken(component.chain)
    for index, link in enumerate(component.chain):
        first = index == broken
        message = _flat(link.message)
        if link.status is Status.SKIPPED:
            after = broken is not None and index > broken
            fallback = f"(fix {component.chain[broken].link} first)" if broken is not None and after else ""
            message = _SKIPPED.sub("", message) or fallback
        _link(page, link, message, options, first=first)


def _first_broken(chain: Sequence[ChainLink]) -> int | None:
    """The index of the first gap, else of the first link that could not be decided."""
    for wanted in ({Status.GAP}, {Status.UNKNOWN, Status.ERROR}):
        for index, link in enumerate(chain):
            if link.status in wanted:
                return index
    return None


def _link(page: Page, link: ChainLink, message: str, options: RenderOptions, *, first: bool) -> None:
    color, weight = STYLES[link.status], "bold" if first else ""
    lead = [
        (f"{GLYPHS[link.status]} {link.status.value:<7}  ", f"{weight} {color}".strip()),
        (f"{link.link.value:<{_LINK_WIDTH}}", weight),
    ]
    style = "dim" if link.status is Status.SKIPPED else weight
    body: list[Span] = [(message, style)] if message else []
    places = list(dict.fromkeys(_place(item) for item in link.evidence if _place(item)))
    for place in places if options.verbose else places[:1]:
        body.append(("  " if body else "", ""))
        body.append((place, "dim"))
    page.row(body, lead, indent=2)


def _gap(page: Page, entry: Entry, options: RenderOptions, *, named: bool) -> None:
    finding = entry.finding
    color = "bold red" if finding.severity is Severity.HIGH else "bold yellow"
    page.row(
        [
            ("✗ GAP  ", color),
            (finding.check, "bold"),
            (f"   {finding.severity.value}", color),
            *_owners(entry, named=named),
        ],
        hang=4,
    )
    page.paragraph(finding.title, "bold")
    if finding.message.strip() != finding.title.strip():
        page.paragraph(finding.message)
    _evidence(page, entry.evidence, options)
    shown = entry.remedies if options.verbose else entry.remedies[:_MOST_REMEDIES]
    for remedy in shown:
        _remedy(page, remedy, options)
    _more(page, len(entry.remedies) - len(shown), "more like it")
    _hint(page, finding)
    page.row([(f"sentry-audit explain {finding.check}", "cyan")], [("more: ", "bold")], indent=4)


def _evidence(page: Page, evidence: Sequence[Evidence], options: RenderOptions) -> None:
    shown = evidence if options.verbose else evidence[:_MOST_EVIDENCE]
    for item in shown:
        place, saw = _place(item), _flat(item.saw)
        page.row([(place, "cyan"), ("  " if place and saw else "", ""), (saw, "")], indent=4, hang=6)
    _more(page, len(evidence) - len(shown), "more (all of them: --format json)")


def _remedy(page: Page, remedy: Remedy, options: RenderOptions) -> None:
    page.row([(_flat(remedy.summary), ""), (f" ({remedy.safety})", "dim")], [("fix:  ", "bold")], indent=4)
    lines = remedy.diff.strip("\n").splitlines()
    shown = lines if options.verbose else lines[:_MOST_DIFF_LINES]
    for line in shown:
        page.row([(line, diff_style(line))], indent=6, hang=10)
    _more(page, len(lines) - len(shown), "more lines", indent=6)


def _more(page: Page, hidden: int, words: str, indent: int = 4) -> None:
    if hidden > 0:
        page.row([(f"… {hidden} {words}", "dim")], indent=indent)


def _section(page: Page, head: str, entries: Sequence[Entry], options: RenderOptions, *, named: bool) -> None:
    """Unknowns or errors: which checks, for whom, why, and what would let them be decided."""
    if not entries:
        return
    page.blank()
    page.row([(head, "bold")])
    for entry in entries:
        finding = entry.finding
        word = f"{GLYPHS[finding.status]} {finding.status.value}"
        body = [(", ".join(entry.checks), ""), *_owners(entry, named=named)]
        page.row(body, [(f"{word:<9}  ", STYLES[finding.status])], indent=2, hang=4)
        page.paragraph(finding.message)
        _evidence(page, entry.evidence, options)
        _hint(page, finding)


def _hint(page: Page, finding: Finding) -> None:
    """What would let it be decided: one row per line, so that each command can be taken as it is."""
    for line in finding.hint.splitlines():
        page.row([(_flat(line), "")], [("hint: ", "bold")], indent=4)


def _list(page: Page, head: str, entries: Sequence[Entry], *, named: bool) -> None:
    """One line per check that needs no action."""
    if not entries:
        return
    page.blank()
    page.row([(head, "bold")])
    for entry in entries:
        finding = entry.finding
        word = f"{GLYPHS[finding.status]} {finding.status.value:<7}  "
        message = _SKIPPED.sub("", _flat(finding.message)) if finding.status is Status.SKIPPED else finding.message
        body = [(finding.check, ""), *_owners(entry, named=named), ("  " + _flat(message), "dim")]
        page.row(body, [(word, STYLES[finding.status])], indent=2)


def _problems(page: Page, problems: Sequence[Problem], options: RenderOptions) -> None:
    rows = dict.fromkeys((_place(item.evidence) or item.source, item.reason, item.hint) for item in problems)
    if not rows:
        return
    page.blank()
    page.row([("Could not be read", "bold")])
    for place, reason, hint in rows:
        page.row([(place, "cyan"), (f"  {_flat(reason)}", "")], indent=2, hang=4)
        if hint and options.verbose:
            page.row([(_flat(hint), "")], [("hint: ", "bold")], indent=4)


def _footer(page: Page, report: Report, gaps: Sequence[Entry], open_: Sequence[Entry]) -> None:
    counts = report.counts()
    order = (Status.GAP, Status.PASS, Status.UNKNOWN, Status.SKIPPED, Status.WAIVED, Status.ERROR)
    words = [_tally(status, counts[status.value]) for status in order if counts[status.value]]
    if counts[Status.GAP.value]:
        severities = [finding.severity for finding in report.findings if finding.status is Status.GAP]
        parts = [f"{severities.count(level)} {level.value}" for level in _SEVERITIES if level in severities]
        words[0] += f" ({', '.join(parts)})"
    page.row([(" · ".join(words) or "no check was run", "bold")])
    fixable = sum(
        bool(finding.remedy and finding.remedy.fixable) for finding in report.findings if finding.status is Status.GAP
    )
    if fixable:
        command = f"sentry-audit fix{named(report.root)} --env {report.environment} --dry-run"
        told = f"{fixable} of {counts[Status.GAP.value]} may be fixed: "
        page.row([(told, ""), (command, "cyan")], hang=2)
    check = _next(report, gaps, open_)
    left: list[Span] = [("next: ", "bold"), (f"sentry-audit explain {check}", "cyan")] if check else []
    if left:
        page.spread(left, f"exit {report.exit_code}")
    else:
        page.row([(f"exit {report.exit_code}", "dim")])


def _next(report: Report, gaps: Sequence[Entry], open_: Sequence[Entry]) -> str:
    """The check to read about first: the one that breaks the first broken chain."""
    for component in report.components:
        index = _first_broken(component.chain)
        if index is None or component.chain[index].status is not Status.GAP:
            continue
        for entry in gaps:
            if entry.finding.link is component.chain[index].link and component.name in entry.components:
                return entry.finding.check
    return next((entry.finding.check for entry in (*gaps, *open_)), "")


def _owners(entry: Entry, *, named: bool) -> list[Span]:
    if not named or not entry.components:
        return []
    amount = f"{len(entry.components)} components: " if len(entry.components) > 2 else ""
    return [(" · ", "dim"), (amount + ", ".join(_flat(name) for name in entry.components), "")]


# --- small words --------------------------------------------------------------------------------


def _place(evidence: Evidence) -> str:
    return _flat(str(evidence)) if evidence.path is not None or evidence.resource else ""


def _flat(text: str) -> str:
    """``text`` as one line."""
    return " ".join(text.split())


def _tally(status: Status, number: int) -> str:
    """``2 gaps``, but ``2 pass``: only gaps and errors are things one can count."""
    countable = status in {Status.GAP, Status.ERROR}
    return _count(number, status.value) if countable else f"{number} {status.value}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


REPORTER = Reporter("terminal", render)
