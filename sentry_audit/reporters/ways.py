"""What ``trace`` and ``diff`` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.model import Status
from sentry_audit.reporters.page import GLYPHS, STYLES, Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.differing import Difference, Side
    from sentry_audit.model import Evidence
    from sentry_audit.reporters.base import RenderOptions
    from sentry_audit.tracing import Way

_MOST = 4
_VERDICTS = {
    Status.GAP: "it breaks at {link}",
    Status.UNKNOWN: "nothing is broken in what was read; not determined: {link}",
    Status.PASS: "every link that the repository declares is there",
}


def exit_code(ways: Sequence[Way]) -> int:
    """1 if a way breaks, 4 if a link could not be determined, else 0."""
    found = {way.status for way in ways}
    return 1 if Status.GAP in found else 4 if Status.UNKNOWN in found else 0


def render_trace(name: str, ways: Sequence[Way], options: RenderOptions) -> str:
    """The links of each way, up to where it breaks, each with its place."""
    page = Page(options)
    for index, way in enumerate(ways):
        if index:
            page.blank()
        page.row([(name, "bold"), (f" → {way.component}" if way.component else "", "")])
        broken = next((step for step in way.steps if step.status is Status.GAP), None)
        for step in way.steps:
            lead = [
                (f"{GLYPHS[step.status]} {step.status.value:<7}  ", STYLES[step.status]),
                (f"{step.link:<10} ", "bold"),
            ]
            page.row([(step.message, "")], lead, indent=2)
            _places(page, step.evidence)
            if step is broken:
                break
        status = way.status
        links = ", ".join(dict.fromkeys(step.link for step in way.steps if step.status is status))
        page.row(
            [(f"{GLYPHS[status]} {_VERDICTS[status].format(link=broken.link if broken else links)}", STYLES[status])]
        )
    return page.text()


def render_difference(left: str, right: str, found: Sequence[Difference], options: RenderOptions) -> str:
    """Each difference as two lines, one per environment."""
    page = Page(options)
    if not found:
        page.row([(f"{left} and {right} do not differ in anything that was audited", "")])
        return page.text()
    component = None
    for item in found:
        if item.component != component:
            if component is not None:
                page.blank()
            component = item.component
            page.row([(component, "bold")])
        page.row([(item.subject, "cyan")], indent=2)
        for side in (item.left, item.right):
            _side(page, side, max(len(left), len(right)))
    number = f"{len(found)} {'difference' if len(found) == 1 else 'differences'}"
    page.blank()
    page.row([(f"{number} between {left} and {right}", "bold")])
    return page.text()


def _side(page: Page, side: Side, width: int) -> None:
    lead = [
        (f"{side.environment:<{width}}  ", ""),
        (f"{GLYPHS[side.status]} {side.status.value:<7}  ", STYLES[side.status]),
    ]
    page.row([(side.message, "")], lead, indent=4)
    _places(page, side.evidence)


def _places(page: Page, evidence: Sequence[Evidence]) -> None:
    places = list(dict.fromkeys(f"{item}  {item.saw}".rstrip() if item.path else "" for item in evidence))
    for place in [place for place in places if place][:_MOST]:
        page.row([(place, "dim")], indent=12, hang=14)
