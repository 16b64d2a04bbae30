"""JUnit XML, as Ant writes it and CI servers read it: a suite per component and environment, a case per check.

Follows https://github.com/windyroad/JUnit-Schema where a time is given to it: a suite must have one there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from sentry_audit import __version__
from sentry_audit.model import Status
from sentry_audit.reporters._wording import clean, cloud_lines, hints, joined, ordered, place, tally, terms
from sentry_audit.reporters.base import RenderOptions, Reporter
from sentry_audit.reporters.page import verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.model import Finding, Report

#: What XML 1.0 has no way to write.
_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOWHERE = "repository"
_OUTCOMES = {
    Status.GAP: "failure",
    Status.UNKNOWN: "error",
    Status.ERROR: "error",
    Status.SKIPPED: "skipped",
    Status.WAIVED: "skipped",
}


def render(reports: Sequence[Report], options: RenderOptions) -> str:
    """One document for all environments; every check that was run is a case, also those that passed."""
    root = ET.Element("testsuites")
    for report in reports:
        suites: dict[str, list[Finding]] = {item.name: [] for item in report.components}
        for finding in ordered(report):
            suites.setdefault(finding.component, []).append(finding)
        for name, findings in suites.items():
            _suite(root, report, name, findings, options)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(
    root: ET.Element, report: Report, component: str, findings: Sequence[Finding], options: RenderOptions
) -> None:
    outcomes = [_OUTCOMES.get(finding.status, "") for finding in findings]
    suite = _add(
        root,
        "testsuite",
        package=f"sentry-audit.{report.environment}",
        id=str(len(root)),
        name=component or _NOWHERE,
        hostname="localhost",
        tests=str(len(findings)),
        failures=str(outcomes.count("failure")),
        errors=str(outcomes.count("error")),
        skipped=str(outcomes.count("skipped")),
        time="0",
    )
    if options.now:
        suite.set("timestamp", options.now)
    properties = _add(suite, "properties")
    about = {
        "sentry-audit": __version__,
        "environment": report.environment,
        "verdict": f"{verdict(report)[1]}: {report.headline}",
        "exit code": str(report.exit_code),
    }
    for name, value in about.items():
        _add(properties, "property", name=name, value=value)
    for finding in findings:
        _case(suite, finding, f"sentry-audit.{report.environment}.{component or _NOWHERE}", options)
    said = [tally(report), *cloud_lines(report), *(f"note: {clean(note)}" for note in report.notes)]
    unread = [
        f"{place(item.evidence, options) or clean(item.source)}: {clean(item.reason)}" for item in report.problems
    ]
    _add(suite, "system-out").text = _speakable(joined(said))
    _add(suite, "system-err").text = _speakable(joined(dict.fromkeys(unread)))


def _case(suite: ET.Element, finding: Finding, owner: str, options: RenderOptions) -> None:
    case = _add(suite, "testcase", name=finding.check, classname=owner, time="0")
    outcome = _OUTCOMES.get(finding.status)
    if outcome is None:
        return
    message = clean(finding.message)
    if finding.waiver is not None and finding.status is Status.WAIVED:
        message = f"waived: {terms(finding.waiver, options)}"
    elif finding.waiver is not None:
        message += " (its waiver has expired)"
    element = _add(case, outcome, message=message)
    if outcome == "failure":
        element.set("type", finding.severity.value)
    elif outcome == "error":
        element.set("type", finding.status.value)
    element.text = _speakable(_body(finding, options))


def _body(finding: Finding, options: RenderOptions) -> str:
    """What a person needs who sees only this case."""
    remedy = finding.remedy
    evidence = (f"{place(item, options)}  {clean(item.saw)}".strip() for item in finding.evidence)
    return joined(
        (
            clean(finding.title),
            clean(finding.message),
            *evidence,
            f"fix: {clean(remedy.summary)} ({clean(remedy.safety)})" if remedy else "",
            f"run: {clean(remedy.command)}" if remedy and remedy.command else "",
            *(f"hint: {line}" for line in hints(finding, options)),
            f"more: sentry-audit explain {clean(finding.check)}",
        )
    )


def _add(parent: ET.Element, tag: str, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, tag, {name: _speakable(clean(value)) for name, value in attributes.items()})


def _speakable(text: str) -> str:
    return _UNSPEAKABLE.sub("\ufffd", text)


REPORTER = Reporter("junit", render)
