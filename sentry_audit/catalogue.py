"""What a check file is good for besides judging: listing, and testing itself by its examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.facts import KINDS, Component, Fact
from sentry_audit.model import Evidence, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_audit.checks import Check


class ExampleResult(Struct, frozen=True):
    """How one example ended, the one of that ``index`` under ``key``; ``problem`` is empty when it ended as it should."""

    check: str
    key: str
    index: int
    problem: str = ""


def listing(checks: Sequence[Check]) -> str:
    """One line per check, by area: id, severity, where it applies, title."""
    width = max(len(check.id) for check in checks) if checks else 0
    lines: list[str] = []
    area = ""
    for check in sorted(checks, key=lambda item: (item.area, checks.index(item))):
        if check.area != area:
            area = check.area
            lines += ["", area] if lines else [area]
        where = "verify" if check.subject == "proof" else "always" if check.environments == "all" else "where required"
        lines.append(f"  {check.id:<{width}}  {check.severity.value:<6}  {where:<14}  {check.title}")
    return "\n".join([*lines, "", f"{len(checks)} checks; sentry-audit explain CHECK_ID tells more", ""])


def run_examples(checks: Iterable[Any]) -> list[ExampleResult]:
    """Judge every example of ``checks``: ``pass`` ones must pass, ``fail`` ones must give a gap."""
    found: list[ExampleResult] = []
    for check in checks:
        for expected, examples in check.examples.items():
            for index, example in enumerate(examples):
                statuses = judge(check, example)
                wanted = {"pass": Status.PASS, "fail": Status.GAP, "unknown": Status.UNKNOWN}[expected]
                bad = wanted not in statuses or (expected == "pass" and statuses - {Status.PASS, Status.SKIPPED})
                shown = ", ".join(sorted(status.value for status in statuses)) or "nothing"
                found.append(ExampleResult(check.id, expected, index, f"it gave {shown}" if bad else ""))
    return found


def judge(check: Any, example: dict[str, Any]) -> set[Status]:
    """The statuses that ``check`` gives on one example (``files:`` run through the scanners, ``facts:`` as they are)."""
    from sentry_audit import engine

    if "files" in example:
        return _judge_files(check, example)
    facts: list[Fact] = []
    for entry in example["facts"]:
        for kind, values in entry.items():
            given = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
            facts.append(_fact(KINDS[kind], given))
    component = Component(component="example", name="example", path=".", ecosystem=check.ecosystem or "pypi")
    findings = engine.evaluate([check], facts, [], [component], "production", True)
    return {finding.status for finding in findings}


def _fact(kind: type[Fact], given: dict[str, Any]) -> Fact:
    from msgspec.structs import fields

    for item in fields(kind):
        if item.required and item.name not in given:
            given[item.name] = "example"
    return kind(**{"component": "example", "evidence": (Evidence("example"),), **given})


def _judge_files(check: Any, example: dict[str, Any]) -> set[Status]:
    import tempfile
    from pathlib import Path

    from sentry_audit.app import Request
    from sentry_audit.app import check as audit

    with tempfile.TemporaryDirectory() as folder:
        for name, text in example["files"].items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        reports = audit(
            Request(root=Path(folder), environments=(example.get("environment", "production"),)), checks=[check]
        )
    return {finding.status for report in reports for finding in report.findings}
