"""What is accepted, as people read it: how much by default, and on demand why, by whom and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.reporters.page import GLYPHS, STYLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentry_audit.model import Waiver
    from sentry_audit.reporters.folding import Entry
    from sentry_audit.reporters.page import Page, Span


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
