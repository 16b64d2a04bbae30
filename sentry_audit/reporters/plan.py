"""A plan for people: what will be changed, as diffs and as one line per operation, and what is left to them and why."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit import __version__
from sentry_audit.model import Status
from sentry_audit.reporters.folding import entries, fold_checks
from sentry_audit.reporters.page import GLYPHS, STYLES, Page, diff_style

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sentry_audit.fixing import FileChange, Left, Plan, Step
    from sentry_audit.model import Report
    from sentry_audit.reporters.base import RenderOptions
    from sentry_audit.reporters.folding import Entry

#: The classes in the order in which they are applied, with what each means.
CLASSES = {
    "safe": ("Safe", "nothing that runs behaves differently, but for Sentry"),
    "review": ("To be reviewed", "the application behaves differently: read the diff"),
    "unproven": ("Not proven", "audited with it, nothing can be said (--unsafe)"),
    "live": ("Live", "Google Cloud changes"),
}


class Shown(Struct, frozen=True):
    """The steps of one class: how many, and as they are shown to whoever has to agree to them."""

    safety: str
    count: int
    text: str


def groups(plan: Plan, options: RenderOptions) -> list[Shown]:
    """The plan in parts, in the order in which they build on each other."""
    found = []
    for safety in CLASSES:
        steps = [step for step in plan.steps if step.safety == safety]
        if steps:
            page = Page(options)
            _group(page, safety, steps)
            found.append(Shown(safety, len(steps), page.text()))
    return found


def render_plan(plan: Plan, options: RenderOptions, after: Report | None = None, wanted: Collection[str] = ()) -> str:
    """The whole plan; ``after`` is the audit of what it edits, whose undecided ``wanted`` checks are told too."""
    page = Page(options)
    page.spread(
        [("sentry-audit", "bold"), (f" {__version__}  fix · {plan.environment}", "")], _count(len(plan.steps), "change")
    )
    if not plan.steps:
        page.blank()
        page.row([("Nothing can be fixed by itself" if plan.left else "Nothing is to be fixed", "bold")])
    text = page.text() + "".join("\n" + group.text for group in groups(plan, options))
    return text + _rest(plan, options, _undecided(after, wanted), _waived(after, wanted))


def render_rest(plan: Plan, options: RenderOptions, after: Report | None = None, wanted: Collection[str] = ()) -> str:
    """What the plan leaves to people, and the checks that are not decided."""
    return _rest(plan, options, _undecided(after, wanted), _waived(after, wanted))


def _undecided(after: Report | None, wanted: Collection[str]) -> list[Entry]:
    if after is None:
        return []
    found = entries(after)
    return [
        entry
        for status in (Status.UNKNOWN, Status.ERROR)
        for entry in fold_checks([item for item in found[status] if not wanted or item.finding.check in wanted])
    ]


def _waived(after: Report | None, wanted: Collection[str]) -> int:
    """How many gaps are accepted, and so were not planned for."""
    found = () if after is None else after.findings
    return sum(item.status is Status.WAIVED and (not wanted or item.check in wanted) for item in found)


def _rest(plan: Plan, options: RenderOptions, undecided: Sequence[Entry], waived: int) -> str:
    page = Page(options)
    _left(page, plan.left)
    _notes(page, plan.notes)
    if undecided:
        page.blank()
        page.row([("Not decided", "bold")])
    for entry in undecided:
        status = entry.finding.status
        owners = ", ".join(entry.components)
        page.row(
            [(", ".join(entry.checks), ""), (f" · {owners}" if owners else "", "dim")],
            [(f"{GLYPHS[status]} {status.value:<7}  ", STYLES[status])],
            indent=2,
            hang=4,
        )
        page.paragraph(entry.finding.message)
        for line in entry.finding.hint.splitlines():
            page.row([(" ".join(line.split()), "")], [("hint: ", "bold")], indent=4)
    page.blank()
    counts = [(safety, sum(step.safety == safety for step in plan.steps)) for safety in CLASSES]
    words = [f"{number} {safety}" for safety, number in counts if number]
    words += [f"{len(plan.left)} left"] if plan.left else []
    words += [f"{sum(len(item.checks) for item in undecided)} not decided"] if undecided else []
    words += [f"{waived} waived (--no-waivers fixes them too)"] if waived else []
    page.row([(" · ".join(words) or "nothing to do", "bold")])
    return page.text()


def _group(page: Page, safety: str, steps: Sequence[Step]) -> None:
    name, meaning = CLASSES[safety]
    page.row([(name, "bold"), (f": {meaning}", "")])
    for step in steps:
        page.row([(" ".join(step.summary.split()), "")], [("• ", "cyan")], indent=2)
        closed = dict.fromkeys(
            f"{item.check} ({item.component})" if item.component else item.check for item in step.closes
        )
        page.row([(", ".join(closed), "dim")], [("closes ", "dim")], indent=4)
    for change in _composed(steps):
        page.blank()
        for line in unified(change):
            page.verbatim(line, diff_style(line))


def _composed(steps: Sequence[Step]) -> list[FileChange]:
    """One change per file: from what the first step finds to what the last one leaves."""
    from msgspec.structs import replace

    found: dict[str, FileChange] = {}
    for change in (item for step in steps for item in step.files):
        first = found.get(change.path, change)
        found[change.path] = replace(first, after=change.after)
    return [item for item in found.values() if item.before != item.after]


def unified(change: FileChange) -> Iterator[str]:
    """The lines of a unified diff, as ``git apply`` takes it, without their line ends."""
    before, after = _lines(change.before), _lines(change.after)
    old = f"a/{change.path}" if change.before is not None else "/dev/null"
    new = f"b/{change.path}" if change.after is not None else "/dev/null"
    for line in difflib.unified_diff(before, after, old, new):
        yield line.rstrip("\r\n")
        if not line.endswith("\n"):
            yield "\\ No newline at end of file"


def _lines(text: str | None) -> list[str]:
    """Lines with their ends; only a line feed ends one, as for git."""
    return (
        []
        if not text
        else [f"{line}\n" for line in text.split("\n")[:-1]] + [line for line in text.split("\n")[-1:] if line]
    )


def _left(page: Page, left: Sequence[Left]) -> None:
    if not left:
        return
    page.blank()
    page.row([("Left to you", "bold")])
    folded: dict[tuple[str, tuple[str, ...]], list[Left]] = {}
    for item in left:
        folded.setdefault((item.reason, item.commands), []).append(item)
    for (reason, commands), items in folded.items():
        checks = ", ".join(dict.fromkeys(item.finding.check for item in items))
        owners = ", ".join(dict.fromkeys(item.finding.component for item in items if item.finding.component))
        page.row(
            [(checks, "bold"), (f" · {owners}" if owners else "", "dim")],
            [(f"{GLYPHS[Status.GAP]} ", STYLES[Status.GAP])],
            indent=2,
            hang=4,
        )
        page.paragraph(reason)
        for line in (line for command in commands for line in command.splitlines()):
            page.row([(line, "cyan")], indent=6, hang=8)


def _notes(page: Page, notes: Sequence[str]) -> None:
    if not notes:
        return
    page.blank()
    for note in notes:
        page.row([(note, "")], [("note: ", "bold")], indent=2, hang=4)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
