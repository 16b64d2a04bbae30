"""GitHub-flavoured Markdown, for the summary of a job or a comment: the verdict, the chains, what is wrong, folded.

Text of the repository stays text: it makes no markup, no mention of a person, and no reference to an issue.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit import __version__
from sentry_audit.dsn import redact
from sentry_audit.model import Evidence, Status
from sentry_audit.reporters._wording import SEVERITIES, clean, cloud_lines, hints, number, place, tally, terms
from sentry_audit.reporters.base import RenderOptions, Reporter
from sentry_audit.reporters.folding import Entry, entries, fold_checks, weight
from sentry_audit.reporters.page import GLYPHS, verdict, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.model import ComponentReport, Remedy, Report

_MARKUP = re.compile(
    r"(?P<entity>[<>&|])"
    r"|(?P<apart>(?<![\w/])@(?=\w)|\#(?=\d)|(?<=GH)-(?=\d))"
    r"|(?P<escape>[\\`*_{}\[\]~$]|^[-+=\#]|(?<=^\d)[.)]|(?<=^\d\d)[.)])"
)
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;"}
_APART = "<!-- -->"
_MOST_EVIDENCE = 8
_MOST_REMEDIES = 4
_MOST_DIFF_LINES = 16
_LONGEST = 400
#: What the words about what was left out take at most.
_RESERVE = 300


class _Section(Struct, frozen=True):
    """Blocks that are shown as far as there is room, and what one of them is called."""

    head: str
    blocks: tuple[str, ...]
    noun: str


def render(reports: Sequence[Report], options: RenderOptions) -> str:
    """The reports one after the other, in at most ``options.limit`` bytes; what that leaves out is counted at the end."""
    room = options.limit - _RESERVE
    parts: list[str] = []
    cut: dict[str, int] = {}
    for report in reports:
        head = _head(report)
        parts.append(head)
        room -= _size(head)
    for index, sections in enumerate([list(_sections(report, options)) for report in reports]):
        for section in sections:
            room = _fill(parts, index, section, room, cut)
    if cut:
        told = ", ".join(number(amount, noun) for noun, amount in cut.items())
        parts.append(f"_Left out, for want of room: {told}. All of it: `sentry-audit check --format json`._\n")
    return "\n".join(parts)


def _fill(parts: list[str], index: int, section: _Section, room: int, cut: dict[str, int]) -> int:
    """Add to the part of a report what there is room for; return the room that is left."""
    shown: list[str] = []
    left = room - _size(section.head)
    for block in section.blocks:
        if left < _size(block):
            break
        shown.append(block)
        left -= _size(block)
    hidden = len(section.blocks) - len(shown)
    if hidden:
        cut[section.noun] = cut.get(section.noun, 0) + hidden
    if not shown:
        return room
    text = "\n".join((section.head, *shown) if section.head else shown)
    parts[index] += f"\n{text}" if text.endswith("\n") else f"\n{text}\n"
    return left


def _size(text: str) -> int:
    return len(text.encode("utf-8")) + 1


def _head(report: Report) -> str:
    status, word = verdict(report)
    where = f" · {_prose(report.environment)}" if report.environment else ""
    headline = f"**{_prose(report.headline)}**\n\n" if report.headline.strip() else ""
    told = cloud_lines(report)
    cloud = "".join(f"\n{_prose(line)}\n" for line in told[:1]) + "".join(f"\n{_code(line)}\n" for line in told[1:])
    return (
        f"## {GLYPHS[status]} {word}{where}\n\n{headline}"
        f"{tally(report)} · exit {report.exit_code} · sentry-audit {__version__}\n{cloud}"
    )


def _sections(report: Report, options: RenderOptions) -> Iterator[_Section]:
    named = len(report.components) > 1
    found = entries(report)
    yield _Section("", tuple(_component(item, options) for item in report.components), "component")
    gaps = sorted(found[Status.GAP], key=lambda entry: weight(entry.finding))
    for severity in SEVERITIES:
        mine = [entry for entry in gaps if entry.finding.severity is severity]
        if mine:
            blocks = tuple(_gap(entry, options, named=named) for entry in mine)
            yield _Section(f"### {severity.value.capitalize()}\n", blocks, f"{severity.value} gap")
    errors = fold_checks(found[Status.ERROR])
    unknown = fold_checks(sorted(found[Status.UNKNOWN], key=lambda entry: weight(entry.finding)))
    yield _list("Checks that crashed (not your application's fault)", errors, "error", options, named=named)
    yield _list("Not decided", unknown, "unknown", options, named=named)
    yield _list("Waived", found[Status.WAIVED], "waived gap", options, named=named)
    if options.show_passed:
        yield _list("Passed", found[Status.PASS], "pass", options, named=named)
        yield _list("Skipped", found[Status.SKIPPED], "skipped check", options, named=named)
    rows = dict.fromkeys(
        f"- {_code(place(item.evidence, options) or item.source)} {_prose(item.reason)}" for item in report.problems
    )
    yield _Section("### Could not be read\n", tuple(rows), "unread place")
    notes = tuple(f"- {_prose(note)}" for note in report.notes)
    yield _Section("### Notes\n", notes, "note")


# --- the chain ----------------------------------------------------------------------------------


def _component(component: ComponentReport, options: RenderOptions) -> str:
    where = (component.role, component.path or ".", component.entry_point or "no entry point seen")
    lines = [
        f"### {_prose(component.name)}\n",
        " · ".join(_prose(word) for word in where if word) + "\n",
        "| link | | what was seen | where |",
        "| :-- | :-- | :-- | :-- |",
    ]
    for link in component.chain:
        seen = next((text for item in link.evidence if (text := place(item, options))), "")
        status = f"{GLYPHS[link.status]} {link.status.value}"
        lines.append(f"| {link.link.value} | {status} | {_prose(link.message)} | {_cell(seen)} |")
    return "\n".join(lines if component.chain else lines[:2]) + "\n"


# --- findings -----------------------------------------------------------------------------------


def _gap(entry: Entry, options: RenderOptions, *, named: bool) -> str:
    finding = entry.finding
    owners = f" · {_html(', '.join(entry.components))}" if named and entry.components else ""
    lines = [
        "<details>",
        f"<summary>✗ <code>{_html(finding.check)}</code>{owners} · {_html(finding.title)}</summary>",
        "",
        _prose(finding.message),
        "",
        *_evidence(entry.evidence, options),
    ]
    for remedy in entry.remedies[:_MOST_REMEDIES]:
        lines += _remedy(remedy)
    lines += _more(len(entry.remedies) - _MOST_REMEDIES, "more like it")
    lines += [line for hint in hints(finding, options) for line in (f"Hint: {_prose(hint)}", "")]
    lines += [f"More: {_code(f'sentry-audit explain {finding.check}')}", "", "</details>", ""]
    return "\n".join(lines)


def _evidence(evidence: Sequence[Evidence], options: RenderOptions) -> list[str]:
    shown = [words for item in evidence if (words := _seen(item, options))]
    rows = [f"- {words}" for words in shown[:_MOST_EVIDENCE]]
    if len(shown) > _MOST_EVIDENCE:
        rows.append(f"- … {len(shown) - _MOST_EVIDENCE} more")
    return [*rows, ""] if rows else []


def _seen(item: Evidence, options: RenderOptions) -> str:
    words = (place(item, options), item.saw)
    return " ".join(_code(word) for word in words if word.strip())


def _remedy(remedy: Remedy) -> Iterator[str]:
    yield f"**Fix:** {_prose(remedy.summary)} ({_prose(remedy.safety)})"
    yield ""
    lines = [visible(line)[:_LONGEST] for line in redact(remedy.diff).strip("\n").splitlines()]
    if lines:
        fence = _fence("\n".join(lines), 3)
        yield from (f"{fence}diff", *lines[:_MOST_DIFF_LINES], fence, "")
        yield from _more(len(lines) - _MOST_DIFF_LINES, "more lines")
    if remedy.command:
        yield _code(remedy.command)
        yield ""


def _list(head: str, found: Sequence[Entry], noun: str, options: RenderOptions, *, named: bool) -> _Section:
    blocks = []
    for entry in found:
        finding = entry.finding
        checks = ", ".join(_code(check) for check in entry.checks)
        owners = f" · {_prose(', '.join(entry.components))}" if named and entry.components else ""
        lines = [f"- {GLYPHS[finding.status]} {checks}{owners}: {_prose(finding.message)}"]
        if finding.status is Status.WAIVED and finding.waiver is not None:
            lines.append(f"  - Reason: {_prose(terms(finding.waiver, options))}")
        if finding.status in {Status.UNKNOWN, Status.ERROR}:
            lines += [f"  - Seen: {words}" for item in entry.evidence[:2] if (words := _seen(item, options))]
            lines += [f"  - Hint: {_prose(hint)}" for hint in hints(finding, options)]
        blocks.append("\n".join(lines))
    return _Section(f"### {head}\n", tuple(blocks), noun)


def _more(hidden: int, words: str) -> list[str]:
    return [f"… {hidden} {words}", ""] if hidden > 0 else []


# --- text that stays text -----------------------------------------------------------------------


def _short(text: str) -> str:
    text = clean(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _prose(text: str) -> str:
    return _MARKUP.sub(_escaped, _short(text))


def _escaped(match: re.Match[str]) -> str:
    """An entity; or what keeps a mention or a reference apart; or a backslash."""
    if match["entity"]:
        return _ENTITIES[match[0]]
    return match[0] + _APART if match["apart"] else f"\\{match[0]}"


def _code(text: str) -> str:
    """``text`` as code; outside of tables."""
    text = _short(text)
    fence = _fence(text, 1)
    space = " " if text[:1] in {"`", " "} or text[-1:] in {"`", " "} else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""


def _fence(text: str, least: int) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)


def _cell(text: str) -> str:
    """``text`` as code in a table, where a pipe ends the cell also inside of backticks."""
    return f"<code>{_prose(text)}</code>" if text else ""


def _html(text: str) -> str:
    """``text`` inside of an HTML block, where Markdown is not read."""
    return re.sub("[@#]|GH-", lambda match: match[0] + _APART, html.escape(_short(text), quote=False))


REPORTER = Reporter("markdown", render)
