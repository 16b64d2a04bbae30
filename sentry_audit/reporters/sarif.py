"""SARIF 2.1.0, for code scanning on GitHub and other readers: a run per environment, a result per gap.

What could not be decided is no result but a notification of the run: it is not known to be wrong.
Sections named in comments are those of https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from sentry_audit import __version__
from sentry_audit.fingerprints import fingerprint
from sentry_audit.model import Status
from sentry_audit.reporters._sarif_fixes import Fixes
from sentry_audit.reporters._sarif_rules import LEVELS, descriptor, rules_of
from sentry_audit.reporters._wording import (
    clean,
    cloud_lines,
    hints,
    in_checkout,
    joined,
    json_text,
    ordered,
    standing_in,
    terms,
)
from sentry_audit.reporters.base import RenderOptions, Reporter
from sentry_audit.reporters.page import verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentry_audit.model import Evidence, Finding, Problem, Report, Waiver

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"
_SETTINGS = frozenset({"sentry-audit.yaml", "sentry-audit.yml", "pyproject.toml"})
#: Half of a character that no file name has: surrogateescape makes others of bytes that are no UTF-8.
_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_LINK = re.compile(r"\[(?=[^\[\]]*\]\()")
_CODES = {0: "nothing is open", 1: "gaps", 3: "nothing was audited", 4: "not determined"}
_Object = dict[str, object]


def render(reports: Sequence[Report], options: RenderOptions) -> str:
    """One log with a run for each report."""
    runs = [_Run(report, options).run() for report in reports]
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": runs})


class _Run:
    def __init__(self, report: Report, options: RenderOptions) -> None:
        self.report = report
        self.options = options
        self.rules = rules_of(report)
        self.index = {rule.id: number for number, rule in enumerate(self.rules)}
        self.components = {item.name: item for item in report.components}
        self.fixes = Fixes(options.fixes)

    def run(self) -> _Object:
        """The run (3.14); the slash at the end of its id makes a category of its own of each environment on GitHub."""
        findings = ordered(self.report)
        found: _Object = {
            "tool": {"driver": self._driver()},
            "automationDetails": {"id": f"sentry-audit/{quote(clean(self.report.environment), safe='')}/"},
            "invocations": [self._invocation(findings)],
            "results": [self._result(item) for item in findings if item.status in {Status.GAP, Status.WAIVED}],
            "columnKind": "unicodeCodePoints",
            "properties": {
                "environment": clean(self.report.environment),
                "ready": self.report.ready,
                "headline": clean(self.report.headline),
                "counts": self.report.counts(),
            },
        }
        if self.options.checkout:
            found["originalUriBaseIds"] = {_ROOT: {"uri": self.options.checkout}}
        return found

    def _driver(self) -> _Object:
        return {
            "name": "sentry-audit",
            "version": __version__,
            "semanticVersion": __version__,
            "rules": [descriptor(rule, self.report) for rule in self.rules],
        }

    def _invocation(self, findings: Sequence[Finding]) -> _Object:
        crashed = any(item.status is Status.ERROR for item in findings)
        open_ = [item for item in findings if item.status in {Status.UNKNOWN, Status.ERROR}]
        code = self.report.exit_code
        found: _Object = {
            "executionSuccessful": not crashed and code in {0, 1, 4},
            "exitCode": code,
            "exitCodeDescription": _CODES.get(code, "") or f"exit code {code}",
            "toolExecutionNotifications": [
                *self._cloud(),
                *(self._undecided(item) for item in open_),
                *(self._unread(item) for item in self.report.problems),
            ],
        }
        if self.options.now:
            found["endTimeUtc"] = f"{self.options.now}Z"
        if self.options.directory:
            found["workingDirectory"] = {"uri": self.options.directory}
        return found

    # --- results ------------------------------------------------------------------------------------

    def _result(self, finding: Finding) -> _Object:
        found: _Object = {
            "ruleId": clean(finding.check),
            "ruleIndex": self.index[finding.check],
            "level": LEVELS[finding.severity],
            "message": {"text": self._message(finding)},
            "locations": self._locations(finding),
            "partialFingerprints": {"sentryAudit/v1": fingerprint(finding)},
            "properties": {
                "component": clean(finding.component),
                "environment": clean(finding.environment),
                "confidence": finding.confidence.value,
                "verdict": verdict(self.report)[1],
                **({"link": finding.link.value} if finding.link else {}),
                **({"fixSafety": clean(finding.remedy.safety)} if finding.remedy else {}),
            },
        }
        related = [item for item in finding.evidence if item.path is not None][1:]
        if related:
            found["relatedLocations"] = [
                {"id": number, **self._physical(item)} for number, item in enumerate(related, start=1)
            ]
        if finding.status is Status.WAIVED and finding.waiver is not None:
            found["suppressions"] = [self._suppression(finding, finding.waiver)]
        if fixes := self.fixes.of(finding.check, finding.component, self._artifact):
            found["fixes"] = fixes
        return found

    def _message(self, finding: Finding) -> str:
        """What is wrong, what was seen that has no place in a file, what closes it."""
        remedy = finding.remedy
        seen = [item for item in finding.evidence if item.path is None]
        lines = (
            f"{clean(finding.component)}: {clean(finding.message)}" if finding.component else clean(finding.message),
            *(f"Seen: {clean(item.resource or '')} {clean(item.saw)}" for item in seen),
            f"Fix: {clean(remedy.summary)} ({clean(remedy.safety)})" if remedy else "",
            f"Run: {clean(remedy.command)}" if remedy and remedy.command else "",
            *(f"Hint: {line}" for line in hints(finding, self.options)),
        )
        return _plain(joined(lines)) or finding.check

    def _locations(self, finding: Finding) -> list[_Object]:
        """Where it is (3.28): one place in a file, for code scanning shows no others; and the resources it is about."""
        resources = [
            {"fullyQualifiedName": clean(item.resource), "name": _last(clean(item.resource)), "kind": "resource"}
            for item in finding.evidence
            if item.resource
        ]
        first = next((item for item in finding.evidence if item.path is not None), None)
        found: _Object = {}
        if first is not None:
            found = self._physical(first)
        elif instead := standing_in(finding, self.components.get(finding.component)):
            found = self._physical(instead)
            found["message"] = {"text": "This file stands for the component: what was judged is not in a file."}
        if resources:
            found["logicalLocations"] = resources
        return [found] if found else []

    def _physical(self, evidence: Evidence) -> _Object:
        physical: _Object = {"artifactLocation": self._artifact(evidence.path or "")}
        if evidence.line:
            column = {"startColumn": evidence.column} if evidence.column else {}
            physical["region"] = {"startLine": evidence.line, **column}
        found: _Object = {"physicalLocation": physical}
        if evidence.saw.strip():
            found["message"] = {"text": _plain(clean(evidence.saw))}
        return found

    def _artifact(self, path: str) -> Mapping[str, object]:
        address = _address(in_checkout(path, self.options))
        return {"uri": address} if address.startswith("file:") else {"uri": address, "uriBaseId": _ROOT}

    def _suppression(self, finding: Finding, waiver: Waiver) -> _Object:
        """How it is accepted (3.35): in the source where the waiver stands in a file that shows the gap."""
        path = waiver.place.path or ""
        beside = any(item.path == path for item in finding.evidence) and path.rpartition("/")[2] not in _SETTINGS
        found: _Object = {
            "kind": "inSource" if path and beside else "external",
            "status": "accepted",
            "justification": terms(waiver, self.options),
        }
        if path:
            found["location"] = self._physical(waiver.place)
        return found

    # --- notifications ------------------------------------------------------------------------------

    def _cloud(self) -> list[_Object]:
        told = _plain(joined(cloud_lines(self.report)))
        level = "warning" if self.report.cloud and self.report.cloud.failure else "note"
        return [{"level": level, "message": {"text": told}}] if told else []

    def _undecided(self, finding: Finding) -> _Object:
        crashed = finding.status is Status.ERROR
        head = f"{clean(finding.check)} of {clean(finding.component)}: {clean(finding.message)}"
        found: _Object = {
            "level": "error" if crashed else "warning",
            "message": {"text": _plain(joined((head, *(f"Hint: {item}" for item in hints(finding, self.options)))))},
            "associatedRule": {"id": clean(finding.check), "index": self.index[finding.check]},
        }
        places = [self._physical(item) for item in finding.evidence if item.path is not None]
        return {**found, "locations": places} if places else found

    def _unread(self, problem: Problem) -> _Object:
        hint = f"Hint: {clean(problem.hint)}" if problem.hint else ""
        text = _plain(joined((f"{clean(problem.source)}: {clean(problem.reason)}", hint)))
        found: _Object = {"level": "warning", "message": {"text": text}}
        places = [self._physical(problem.evidence)] if problem.evidence.path is not None else []
        return {**found, "locations": places} if places else found


def _address(path: str) -> str:
    """A path as a URI reference (3.4.3): encoded, so that no character of a name becomes a part of an address."""
    plain = _HALVES.sub("\ufffd", path).encode("utf-8", "surrogateescape")
    return f"file://{quote(plain)}" if path.startswith("/") else quote(plain)


def _plain(text: str) -> str:
    """``text`` without what a reader would take for a link into the log (3.11.6)."""
    return _LINK.sub(r"\\[", text)


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2] or name


REPORTER = Reporter("sarif", render)
