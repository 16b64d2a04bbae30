"""What is accepted, as people read it: how much by default, and on demand why, by whom and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.model import Status
from sentry_audit.reporters._wording import number
from sentry_audit.reporters.page import GLYPHS, STYLES, Page, diff_style

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from sentry_audit.fixing import FileChange
    from sentry_audit.model import Finding, Waiver
    from sentry_audit.reporters.base import RenderOptions
    from sentry_audit.reporters.folding import Entry
    from sentry_audit.reporters.page import Span
    from sentry_audit.waivers.written import Written


def draw_waived(page: Page, entries: Sequence[Entry], number: int, owners: Callable[[Entry], list[Span]]) -> None:
    """Each accepted gap with its reason; ``number`` of them, ``owners`` says whose an entry is."""
    if not entries:
        return
    page.blank()
    page.row([("Waived", "bold"), (f"  {number} accepted, none of them fixed", "dim")])
    for entry in entries:
        finding = entry.finding
        word = f"{GLYPHS[finding.status]} {finding.status.value:<7}  "
        body = [(finding.check, ""), *owners(entry), ("  " + " ".join(finding.message.split()), "dim")]
        page.row(body, [(word, STYLES[finding.status])], indent=2)
        if finding.waiver is not None:
            page.row([(finding.waiver.reason, "")], [("reason: ", "bold")], indent=4)
            page.row([(_terms(finding.waiver), "dim")], indent=4)


def count_waived(page: Page, number: int) -> None:
    """One line that says how many there are, and how to see them."""
    if not number:
        return
    page.blank()
    are = "gap is" if number == 1 else "gaps are"
    page.row([(f"{number} {are} waived: ", ""), ("sentry-audit check --show-waived", "cyan")])


def _terms(waiver: Waiver) -> str:
    until = "permanent" if waiver.until == "permanent" else f"until {waiver.until}"
    words = (until, waiver.owner and f"owner {waiver.owner}", waiver.ticket and f"ticket {waiver.ticket}")
    place = str(waiver.place) if waiver.place.path or waiver.place.resource else ""
    return " · ".join(" ".join(word.split()) for word in (*words, place) if word)


def render_given(file: str, findings: Sequence[Finding], until: str, options: RenderOptions) -> str:
    """What ``waive`` did: each gap that is accepted from now on."""
    page = Page(options)
    when = "for good" if until == "permanent" else f"until {until}"
    are = f"{number(len(findings), 'gap')} {'is' if len(findings) == 1 else 'are'}"
    page.row([(f"{are} waived {when}, in {file}:", "bold")])
    for item in findings:
        where = f"{item.check} · {item.component} · {item.environment}"
        place = next((f"  {place}" for place in item.evidence if place.path or place.resource), "")
        page.row(
            [(where, ""), (f"  {' '.join(item.message.split())}{place}", "dim")],
            [(f"{GLYPHS[Status.WAIVED]} ", STYLES[Status.WAIVED])],
            indent=2,
        )
    return page.text()


def render_written(written: Sequence[Written], complaints: Sequence[str], today: date, options: RenderOptions) -> str:
    """What ``waivers list`` prints: every waiver, and those that are not honoured."""
    page = Page(options)
    for item in written:
        days = item.days_left(today)
        late = f"  expired {number(-days, 'day')} ago" if days is not None and days < 0 else ""
        page.row([(", ".join(item.checks), "bold"), (late, STYLES[Status.GAP])])
        page.row([(item.waiver.reason, "")], [("reason: ", "bold")], indent=2)
        page.row([(_terms(item.waiver), "dim")], indent=2)
        scopes = ("components", item.components), ("environments", item.environments), ("paths", item.paths)
        for name, values in scopes:
            if values:
                page.row([(f"{name}: {', '.join(values)}", "dim")], indent=2)
    for text in complaints:
        page.row([(text, "")], [("note: ", "bold")])
    if not written and not complaints:
        page.row([("nothing is waived", "")])
    return page.text()


def render_pruning(
    unused: Sequence[str], changes: Sequence[FileChange], left: Sequence[str], options: RenderOptions
) -> str:
    """What ``waivers prune`` would take out, and why, as diffs."""
    from sentry_audit.reporters.plan import unified

    page = Page(options)
    if not unused:
        page.row([("every waiver is needed", "")])
    for text in unused:
        page.row([(text, "")], [("- ", "red")])
    for change in changes:
        page.blank()
        for line in unified(change):
            page.verbatim(line, diff_style(line))
    for text in left:
        page.row([(text, "")], [("note: ", "bold")])
    return page.text()
