"""Words and places that several formats share: redacted, on one line, seen from the root of the checkout."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from sentry_audit.dsn import redact
from sentry_audit.model import Severity, Status
from sentry_audit.reporters.page import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sentry_audit.model import ComponentReport, Evidence, Finding, Report, Waiver
    from sentry_audit.reporters.base import RenderOptions

SEVERITIES = (Severity.HIGH, Severity.MEDIUM, Severity.LOW)
_UNSAFE_RAW = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ORDER = (Status.GAP, Status.PASS, Status.UNKNOWN, Status.SKIPPED, Status.WAIVED, Status.ERROR)


def clean(text: str) -> str:
    """``text`` on one line, without secrets and without characters that cannot be seen."""
    return " ".join(visible(redact(text)).split())


def clean_lines(text: str) -> list[str]:
    """The lines of ``text`` that say something, each clean."""
    return [line for line in map(clean, redact(text).splitlines()) if line]


def in_checkout(path: str, options: RenderOptions) -> str:
    """``path`` of the audited folder, from the root of the checkout; redacted."""
    path = redact(path)
    return path if path.startswith("/") or not options.prefix else f"{options.prefix}/{path}"


def place(evidence: Evidence, options: RenderOptions) -> str:
    """``path:line`` from the root of the checkout, or the resource's name; ``""`` where nothing was seen."""
    if evidence.path is None:
        return clean(evidence.resource or "")
    line = f":{evidence.line}" if evidence.line else ""
    return clean(in_checkout(evidence.path, options)) + line


def terms(waiver: Waiver, options: RenderOptions) -> str:
    """Why a gap is accepted, until when, by whom, and where that is written."""
    until = "for good" if waiver.until == "permanent" else f"until {waiver.until}"
    words = (until, waiver.owner and f"owner {waiver.owner}", waiver.ticket and f"ticket {waiver.ticket}")
    return " · ".join(filter(None, (clean(waiver.reason), *map(clean, words), place(waiver.place, options))))


def hints(finding: Finding, options: RenderOptions) -> list[str]:
    """The lines of the hint; for a gap whose waiver has expired they say so."""
    found = clean_lines(finding.hint)
    if finding.waiver is None or finding.status is not Status.GAP or any("expired" in line for line in found):
        return found
    return [*found, f"its waiver has expired: {terms(finding.waiver, options)}"]


def number(amount: int, noun: str) -> str:
    """``1 gap``, ``2 gaps``."""
    return f"{amount} {noun}{'' if amount == 1 else 's'}"


def tally(report: Report) -> str:
    """The counts in one line: ``2 gaps (1 high, 1 low) · 3 pass``."""
    counts = report.counts()
    countable = {Status.GAP, Status.ERROR}
    words = {
        status: number(counts[status], status.value) if status in countable else f"{counts[status]} {status.value}"
        for status in _ORDER
        if counts[status]
    }
    if Status.GAP in words:
        found = [finding.severity for finding in report.findings if finding.status is Status.GAP]
        parts = [f"{found.count(level)} {level.value}" for level in SEVERITIES if level in found]
        words[Status.GAP] += f" ({', '.join(parts)})"
    return " · ".join(words.values()) or "no check was run"


def cloud_lines(report: Report) -> list[str]:
    """How what is said of Google Cloud came to be known; or why nothing could be read, then what would help."""
    cloud = report.cloud
    if cloud is None:
        return []
    if cloud.failure:
        return [f"Google Cloud was not read: {clean(cloud.failure)}", *clean_lines(cloud.command)]
    who = f" as {clean(cloud.identity)}" if cloud.identity else ""
    where = f" (kept in {clean(cloud.source)})" if cloud.source else ""
    return [f"Google Cloud at {clean(cloud.taken_at)}{who}{where}"]


def ordered(report: Report) -> list[Finding]:
    """The findings in the order of components and ids."""
    order = {component.name: index for index, component in enumerate(report.components)}
    return sorted(report.findings, key=lambda item: (order.get(item.component, -1), item.component, item.check))


def standing_in(finding: Finding, component: ComponentReport | None) -> Evidence | None:
    """The file to show a finding at that has no place in the repository: none of the finding's own evidence.

    For a resource the file that deploys the component; else its entry point; else its manifest, or what its chain saw.
    """
    if component is None:
        return None
    seen: dict[str, Evidence] = {}
    for link in component.chain:
        for item in link.evidence:
            if item.path is not None:
                seen.setdefault(link.link.value, item)
    from sentry_audit.model import Evidence

    entry = (component.entry_point or "").partition(":")[0]
    main = [Evidence(entry)] if entry else []
    resource = any(item.resource for item in finding.evidence)
    choices = [*_of(seen, "deploy"), *main] if resource else main
    return next(iter([*choices, *_of(seen, "sdk"), *seen.values()]), None)


def _of(seen: dict[str, Evidence], link: str) -> Iterator[Evidence]:
    if link in seen:
        yield seen[link]


def json_text(document: object) -> str:
    """``document`` as JSON: every string redacted, and nothing in it that a terminal would act on."""
    text = json.dumps(_redacted(document), indent=2, ensure_ascii=False)
    return _UNSAFE_RAW.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def _redacted(node: object) -> object:
    """``node`` with its strings redacted one by one, before JSON escapes could hide a key."""
    if isinstance(node, str):
        return redact(str(node))
    if isinstance(node, list):
        return [_redacted(item) for item in node]
    if isinstance(node, dict):
        return {key: _redacted(item) for key, item in node.items()}
    return node


def joined(lines: Iterable[str]) -> str:
    """The lines that are not empty, as one text."""
    return "\n".join(line for line in lines if line)
