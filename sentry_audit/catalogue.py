"""What a check file is good for besides judging: listing, explaining, and testing itself by its examples."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.facts import KINDS, Component, Fact
from sentry_audit.model import Evidence, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_audit.checks import Check, Fix


class ExampleResult(Struct, frozen=True):
    """How one example ended; ``problem`` is empty when it ended as it should."""

    check: str
    example: str
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


_WHERE = {"all": "in every environment", "required": "where Sentry is required (not in development)"}


def explanation(check: Check) -> str:
    """A page about one check, at most 80 columns wide."""
    kind = KINDS[check.subject]
    fields = "; ".join(line.strip() for line in (kind.__doc__ or "").strip().splitlines()[:1])
    parts = [
        f"{check.id}\n{'=' * len(check.id)}",
        check.title,
        f"severity: {check.severity.value}\napplies:  {_WHERE[check.environments]}"
        + (f"\nlink:     {check.link.value}" if check.link else ""),
        "WHY\n" + _wrapped(check.why),
        f"WHAT IS LOOKED AT\n{_wrapped(f'{check.subject}: {fields}')}",
        f"WHAT IS SAID\n{_wrapped(check.message)}",
        "WHAT CLOSES IT\n" + (_fix(check.fix) if check.fix else _wrapped("see the documentation")),
    ]
    if check.permissions:
        parts.append("PERMISSIONS\n" + "\n".join(f"  {item}" for item in check.permissions))
    if check.refs:
        parts.append("READ MORE\n" + "\n".join(f"  {item}" for item in check.refs))
    return "\n\n".join(parts) + "\n"


def _fix(fix: Fix) -> str:
    """What closes a gap, and what closes it in components of other ecosystems."""
    parts = [("", fix), *((f"{name}: ", other) for name, other in fix.others)]
    return "\n".join(
        _wrapped(f"{name}{item.summary} ({item.safety})")
        + (f"\n{textwrap.indent(item.diff, '    ')}" if item.diff else "")
        for name, item in parts
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(
        " ".join(text.split()), 78, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )


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
                found.append(ExampleResult(check.id, f"{expected}[{index}]", f"it gave {shown}" if bad else ""))
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
