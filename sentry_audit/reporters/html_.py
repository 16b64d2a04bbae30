"""The report as one HTML file that needs nothing else: the chain drawn, findings to filter, fit for paper.

Nothing of the audited repository becomes markup, and a content security policy lets only this page's own style and
script run.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from html import escape
from typing import TYPE_CHECKING

from sentry_audit import __version__
from sentry_audit.dsn import redact
from sentry_audit.fingerprints import fingerprint
from sentry_audit.model import Severity, Status
from sentry_audit.reporters._html_script import SCRIPT
from sentry_audit.reporters._html_style import STYLE
from sentry_audit.reporters.base import RenderOptions, Reporter
from sentry_audit.reporters.folding import weight
from sentry_audit.reporters.page import GLYPHS, diff_style, verdict, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_audit.model import ChainLink, ComponentReport, Evidence, Finding, Problem, Remedy, Report, Rule, Waiver

_CODE = re.compile("`([^`]+)`")
_OPEN = (Status.GAP, Status.UNKNOWN, Status.ERROR, Status.WAIVED)
_HEADS = {
    Status.GAP: "Gaps",
    Status.UNKNOWN: "Not decided",
    Status.ERROR: "Checks that crashed (not your application's fault)",
    Status.WAIVED: "Waived",
    Status.PASS: "Passed",
    Status.SKIPPED: "Skipped",
}


def render(reports: Sequence[Report], options: RenderOptions) -> str:  # noqa: ARG001 - the same for every reader
    """One page with a section for each environment."""
    names = ", ".join(report.environment for report in reports)
    title = f"sentry-audit: {names}" if names else "sentry-audit"
    root = reports[0].root if reports else ""
    body = [
        '<a class="skip" href="#main">Skip to the report</a>',
        f"<header><h1>sentry-audit {_text(names)}</h1>",
        f'<p class="soft">{_text(root)} · version {_text(__version__)}</p></header>',
        '<main id="main">',
        *(part for index, report in enumerate(reports) for part in _environment(report, index)),
        _filters(reports),
        *(part for index, report in enumerate(reports) for part in _findings(report, index, named=len(reports) > 1)),
        "</main>",
        '<footer class="soft"><p>DSNs are shortened; no secret is in this file.</p></footer>',
    ]
    policy = f"default-src 'none'; style-src '{_hash(STYLE)}'; script-src '{_hash(SCRIPT)}'; base-uri 'none'; form-action 'none'"
    head = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{_text(title)}</title>",
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
    ]
    return "\n".join([*head, *body, f"<script>{SCRIPT}</script>", "</body>", "</html>"]) + "\n"


def _hash(text: str) -> str:
    """The source expression of CSP for an inline block."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(text: str) -> str:
    """``text`` as content or as the value of an attribute, on one line."""
    return escape(visible(redact(text)))


def _prose(text: str) -> str:
    """``text`` with what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", _text(text))


# --- the chain --------------------------------------------------------------------------------------


def _environment(report: Report, index: int) -> Iterable[str]:
    status, words = verdict(report)
    yield f'<section aria-labelledby="env-{index}">'
    yield f'<h2 id="env-{index}">{_text(report.environment)}</h2>'
    yield f'<p class="verdict {status.value}">{_mark(status, words)}'
    yield f' <span class="what">{_text(report.headline)}</span></p>'
    counts = report.counts()
    yield '<ul class="counts">'
    for item in Status:
        if counts[item.value]:
            yield f'<li class="{item.value}">{_glyph(item)} {counts[item.value]} {item.value}</li>'
    yield f'<li class="soft">exit code {report.exit_code}</li></ul>'
    yield from _cloud(report)
    yield from _sentry(report)
    for component in report.components:
        yield from _component(component)
    yield "</section>"


def _sentry(report: Report) -> Iterable[str]:
    sentry = report.sentry
    if sentry is None:
        return
    if sentry.failure:
        yield f'<p class="unknown">{_mark(Status.UNKNOWN, "Sentry was not read")}: {_text(sentry.failure)}</p>'
        yield f'<p class="soft">{_text(sentry.command)}</p>' if sentry.command else ""
        return
    where = f" (kept in {sentry.source})" if sentry.source else ""
    words = f"Sentry at {sentry.taken_at}: {sentry.url} with the token of {sentry.token_source}{where}"
    yield f'<p class="soft">{_text(words)}</p>'


def _cloud(report: Report) -> Iterable[str]:
    cloud = report.cloud
    if cloud is None:
        return
    if cloud.failure:
        yield f'<p class="unknown">{_mark(Status.UNKNOWN, "Google Cloud was not read")}: {_text(cloud.failure)}</p>'
        yield _commands(cloud.command)
        return
    who = f" as {cloud.identity}" if cloud.identity else ""
    where = f" (kept in {cloud.source})" if cloud.source else ""
    yield f'<p class="soft">{_text(f"Google Cloud at {cloud.taken_at}{who}{where}")}</p>'


def _component(component: ComponentReport) -> Iterable[str]:
    where = [component.role, component.path or ".", component.entry_point or "no entry point seen"]
    yield f'<h3>{_text(component.name)}</h3><p class="soft">{_text(" · ".join(word for word in where if word))}</p>'
    yield f'<ol class="chain" aria-label="{_text(f"The chain of {component.name} to Sentry")}">'
    for link in component.chain:
        yield _link(link)
    yield "</ol>"


def _link(link: ChainLink) -> str:
    place = next((f'<span class="place">{_text(_place(item))}</span>' for item in link.evidence if _place(item)), "")
    what = f'<span class="what">{_text(link.message)}{place}</span>' if link.message or place else ""
    status = link.status
    mark = f'<span class="tag">{_glyph(status)} {status.value}</span>'
    return f'<li class="{status.value}"><strong>{_text(link.link.value)}</strong> {mark}<br>{what}</li>'


# --- the findings -----------------------------------------------------------------------------------


def _filters(reports: Sequence[Report]) -> str:
    present = {finding.status for report in reports for finding in report.findings}
    components = dict.fromkeys(component.name for report in reports for component in report.components)
    boxes = "".join(_box("status", item.value, checked=item in _OPEN) for item in _HEADS if item in present)
    levels = "".join(_box("severity", level.value, checked=True) for level in Severity)
    environments = dict.fromkeys(report.environment for report in reports)
    return "\n".join(
        [
            "<h2>Findings</h2>",
            '<form class="filters" hidden aria-label="Which findings are shown">',
            f"<fieldset><legend>Status</legend>{boxes}</fieldset>",
            f"<fieldset><legend>Severity</legend>{levels}</fieldset>",
            _choice("component", components),
            _choice("environment", environments),
            '<label><span>Words</span><input type="search" name="words" autocomplete="off"></label>',
            '<button type="button" id="open">Open or close all</button> <button type="reset">Reset</button>',
            '<output id="shown" class="soft"></output>',
            "</form>",
        ]
    )


def _choice(name: str, values: Iterable[str]) -> str:
    """A list to choose one of ``values`` from, or all."""
    options = "".join(f'<option value="{_text(value)}">{_text(value)}</option>' for value in values)
    return f'<label><span>{name.title()}</span><select name="{name}"><option value="">all</option>{options}</select></label>'


def _box(name: str, value: str, *, checked: bool) -> str:
    on = " checked" if checked else ""
    return f'<label><input type="checkbox" name="{name}" value="{value}"{on}> {value}</label>'


def _findings(report: Report, index: int, *, named: bool) -> Iterable[str]:
    rules = {rule.id: rule for rule in report.rules}
    seen: Counter[str] = Counter()
    where = f" in {report.environment}" if named else ""
    for status, head in _HEADS.items():
        mine = [item for item in report.findings if item.status is status]
        if not mine:
            continue
        mine.sort(key=lambda item: (weight(item), item.component, item.check, item.message))
        name = f"{status.value}-{index}"
        yield f'<section class="findings" aria-labelledby="{name}">'
        yield f'<h3 id="{name}">{_text(head + where)} ({len(mine)})</h3>'
        for item in mine:
            mark = fingerprint(item)
            seen[mark] += 1
            name = f"f-{index}-{mark}" + (f"-{seen[mark]}" if seen[mark] > 1 else "")
            yield from _finding(item, rules.get(item.check), name)
        yield "</section>"
    yield from _problems(report.problems)
    for note in report.notes:
        yield f"<p>{_text(note)}</p>"


def _finding(finding: Finding, rule: Rule | None, name: str) -> Iterable[str]:
    status = finding.status.value
    yield (
        f'<details class="finding" id="{name}" data-status="{status}"'
        f' data-severity="{finding.severity.value}" data-component="{_text(finding.component)}"'
        f' data-environment="{_text(finding.environment)}">'
    )
    yield (
        f'<summary><span class="tag {status}">{_mark(finding.status, status)}</span> <span class="id">{_text(finding.check)}</span>'
        f' <span class="soft">{finding.severity.value} · {_text(finding.component)} · {_text(finding.environment)}</span>'
        f'<span class="about">{_text(finding.message)}</span></summary><div>'
    )
    if finding.title.strip() != finding.message.strip():
        yield f"<p><strong>{_prose(finding.title)}</strong></p>"
    if finding.waiver is not None:
        yield _waiver(finding.waiver)
    yield from _evidence(finding.evidence)
    yield _commands(finding.hint)
    if finding.remedy is not None:
        yield from _remedy(finding.remedy)
    if rule is not None:
        yield from _rule(rule)
    yield "</div></details>"


def _waiver(waiver: Waiver) -> str:
    rows = [
        ("waived because", waiver.reason),
        ("until", waiver.until),
        ("owner", waiver.owner),
        ("ticket", waiver.ticket),
        ("written in", _place(waiver.place)),
    ]
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in rows if value) + "</dl>"


def _evidence(evidence: Sequence[Evidence]) -> Iterable[str]:
    rows = [(place, item.saw) for item in evidence if (place := _place(item)) or item.saw]
    if not rows:
        return
    yield "<table><caption>Seen</caption><tbody>"
    for place, saw in rows:
        yield f"<tr>{_row_head(place)}<td>{f'<code>{_text(saw)}</code>' if saw else ''}</td></tr>"
    yield "</tbody></table>"


def _row_head(place: str) -> str:
    return f'<th scope="row" class="place">{_text(place)}</th>' if place else "<td></td>"


def _remedy(remedy: Remedy) -> Iterable[str]:
    yield f'<p><strong>Fix</strong> {_prose(remedy.summary)} <span class="soft">({_text(remedy.safety)})</span></p>'
    if remedy.diff:
        lines = []
        for line in remedy.diff.strip("\n").splitlines():
            kind = {"green": "add", "red": "del"}.get(diff_style(line), "")
            lines.append(f'<span class="{kind}">{_text(line)}</span>' if kind else _text(line))
        yield _code("\n".join(lines))
    yield _commands(remedy.command)


def _rule(rule: Rule) -> Iterable[str]:
    yield f"<p><strong>Why</strong> {_prose(' '.join(rule.why.split()))}</p>"
    if rule.permissions:
        yield f"<p><strong>Permissions</strong> {_text(', '.join(rule.permissions))}</p>"
    links = [ref for ref in rule.refs if ref.startswith("https://")]
    if links:
        yield "<p><strong>Read more</strong> " + " ".join(_reference(ref) for ref in links) + "</p>"


def _reference(address: str) -> str:
    return f'<a href="{_text(address)}" rel="noreferrer noopener">{_text(address.removeprefix("https://"))}</a>'


def _problems(problems: Sequence[Problem]) -> Iterable[str]:
    rows = dict.fromkeys((_place(item.evidence) or item.source, item.reason, item.hint) for item in problems)
    if not rows:
        return
    yield "<h3>Could not be read</h3><table><tbody>"
    for place, reason, hint in rows:
        yield f'<tr>{_row_head(place)}<td>{_text(reason)} <span class="soft">{_text(hint)}</span></td></tr>'
    yield "</tbody></table>"


# --- small words ------------------------------------------------------------------------------------


def _glyph(status: Status) -> str:
    return f'<span aria-hidden="true">{GLYPHS[status]}</span>'


def _mark(status: Status, words: str) -> str:
    return f"{_glyph(status)} <strong>{_text(words)}</strong>"


def _commands(text: str) -> str:
    return _code("\n".join(_text(line) for line in text.splitlines())) if text.strip() else ""


def _code(markup: str) -> str:
    """A block that can be scrolled, also by keyboard."""
    return f'<pre tabindex="0"><code>{markup}</code></pre>'


def _place(evidence: Evidence) -> str:
    return str(evidence) if evidence.path is not None or evidence.resource else ""


REPORTER = Reporter("html", render)
