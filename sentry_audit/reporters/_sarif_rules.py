"""The checks of a report as SARIF's reporting descriptors: why, what closes it, what has to be granted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.model import Confidence, Rule, Severity, Status
from sentry_audit.reporters._wording import clean, clean_lines, joined

if TYPE_CHECKING:
    from sentry_audit.model import Report

LEVELS = {Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}
_PROBLEMS = {Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "recommendation"}
_CONFIDENCES = (Confidence.LOW, Confidence.MEDIUM, Confidence.HIGH)


def rules_of(report: Report) -> list[Rule]:
    """The checks that were run, by id; of a finding whose check is not among them what the finding knows."""
    known = {rule.id: rule for rule in report.rules}
    for item in report.findings:
        if item.check not in known:
            known[item.check] = Rule(id=item.check, title=item.title, why="", area=item.area, severity=item.severity)
    return [known[name] for name in sorted(known)]


def descriptor(rule: Rule, report: Report) -> dict[str, object]:
    """One check as a reportingDescriptor (SARIF 2.1.0, 3.49)."""
    sure = [item.confidence for item in report.findings if item.check == rule.id and item.status is Status.GAP]
    precision = min(sure, key=_CONFIDENCES.index, default=Confidence.HIGH)
    title, why = _sentence(rule.title) or rule.id, " ".join(clean_lines(rule.why))
    found: dict[str, object] = {
        "id": clean(rule.id),
        "name": "".join(word[:1].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", clean(rule.id))) or "Check",
        "shortDescription": {"text": title},
        "fullDescription": {"text": _sentence(why) or title},
        "help": {"text": _help(rule, why), "markdown": _help_markdown(rule, why)},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {
            "tags": list(dict.fromkeys(["sentry", "observability", clean(rule.area)])),
            "precision": precision.value,
            "problem.severity": _PROBLEMS[rule.severity],
        },
    }
    if address := next((ref for ref in rule.refs if ref.startswith(("https://", "http://"))), ""):
        found["helpUri"] = address
    return found


def _help(rule: Rule, why: str) -> str:
    return joined(
        (
            why,
            f"What closes it: {clean(rule.remedy)}" if rule.remedy else "",
            f"Permissions: {', '.join(map(clean, rule.permissions))}" if rule.permissions else "",
            f"Repair: sentry-audit fix --only {clean(rule.id)}" if rule.remedy else "",
            f"More: sentry-audit explain {clean(rule.id)}",
            *(f"See {clean(ref)}" for ref in rule.refs),
        )
    )


def _help_markdown(rule: Rule, why: str) -> str:
    parts = [
        why,
        f"**What closes it.** {clean(rule.remedy)}" if rule.remedy else "",
        "**Permissions.** " + ", ".join(f"`{clean(item)}`" for item in rule.permissions) if rule.permissions else "",
        f"```sh\nsentry-audit fix --only {clean(rule.id)}\n```" if rule.remedy else "",
        f"```sh\nsentry-audit explain {clean(rule.id)}\n```",
        "\n".join(f"- <{clean(ref)}>" for ref in rule.refs),
    ]
    return "\n\n".join(part for part in parts if part)


def _sentence(text: str) -> str:
    text = clean(text)
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."
