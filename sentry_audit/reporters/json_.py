"""The JSON contract, schema version 1: for programs, and for people who keep evidence.

Fields may be added, never renamed or removed, while ``schema_version`` stays 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit import __version__
from sentry_audit.fingerprints import fingerprint
from sentry_audit.reporters._wording import json_text
from sentry_audit.reporters.base import RenderOptions, Reporter, exit_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.model import (
        ChainLink,
        CloudRead,
        ComponentReport,
        Evidence,
        Finding,
        Problem,
        Remedy,
        Report,
        SentryProject,
        SentryRead,
        Waiver,
    )

SCHEMA_VERSION = 1


def render(reports: Sequence[Report], options: RenderOptions) -> str:  # noqa: ARG001 - the same for every reader
    """One object for one environment; else ``environments``, one such object each, and their ``exit_code``."""
    documents = [_report(report) for report in reports]
    document: object = (
        documents[0]
        if len(documents) == 1
        else {"schema_version": SCHEMA_VERSION, "environments": documents, "exit_code": exit_code(reports)}
    )
    return json_text(document)


def _report(report: Report) -> dict[str, object]:
    order = {component.name: index for index, component in enumerate(report.components)}
    findings = sorted(report.findings, key=lambda item: (order.get(item.component, -1), item.component, item.check))
    problems = sorted(report.problems, key=lambda item: (item.source, str(item.evidence), item.component, item.reason))
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "sentry-audit", "version": __version__},
        "root": report.root,
        "environment": report.environment,
        "verdict": {"ready": report.ready, "headline": report.headline},
        "components": [_component(component) for component in report.components],
        "findings": [_finding(finding) for finding in findings],
        "problems": [_problem(problem) for problem in problems],
        "notes": list(report.notes),
        "google_cloud": _cloud(report.cloud) if report.cloud else None,
        "sentry": _sentry(report.sentry) if report.sentry else None,
        "sentry_projects": [_project(item) for item in report.projects],
        "counts": report.counts(),
        "exit_code": report.exit_code,
    }


def _cloud(cloud: CloudRead) -> dict[str, object]:
    return {
        "taken_at": cloud.taken_at,
        "identity": cloud.identity,
        "identity_source": cloud.identity_source,
        "evidence": cloud.source or None,
        "projects": list(cloud.projects),
        "failure": cloud.failure,
        "command": cloud.command,
    }


def _sentry(sentry: SentryRead) -> dict[str, object]:
    return {
        "taken_at": sentry.taken_at,
        "url": sentry.url,
        "token_source": sentry.token_source,
        "evidence": sentry.source or None,
        "projects": list(sentry.projects),
        "failure": sentry.failure,
        "command": sentry.command,
    }


def _project(item: SentryProject) -> dict[str, object]:
    return {
        "component": item.component,
        "host": item.host,
        "project": item.project,
        "dsn": item.dsn,
        "fingerprint": item.fingerprint,
        "resource": item.resource,
    }


def _component(component: ComponentReport) -> dict[str, object]:
    return {
        "name": component.name,
        "path": component.path,
        "ecosystem": component.ecosystem,
        "role": component.role,
        "entry_point": component.entry_point,
        "reasons": list(component.reasons),
        "chain": [_link(link) for link in component.chain],
    }


def _link(link: ChainLink) -> dict[str, object]:
    return {
        "link": link.link.value,
        "status": link.status.value,
        "message": link.message,
        "evidence": [_evidence(item) for item in link.evidence],
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "check": finding.check,
        "title": finding.title,
        "area": finding.area,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "status": finding.status.value,
        "component": finding.component,
        "environment": finding.environment,
        "link": finding.link.value if finding.link else None,
        "message": finding.message,
        "hint": finding.hint,
        "evidence": [_evidence(item) for item in finding.evidence],
        "remedy": _remedy(finding.remedy) if finding.remedy else None,
        "waiver": _waiver(finding.waiver) if finding.waiver else None,
        "fingerprint": fingerprint(finding),
    }


def _waiver(waiver: Waiver) -> dict[str, object]:
    return {
        "reason": waiver.reason,
        "until": waiver.until,
        "owner": waiver.owner,
        "ticket": waiver.ticket,
        "place": _evidence(waiver.place),
    }


def _evidence(evidence: Evidence) -> dict[str, object]:
    return {
        "path": evidence.path,
        "line": evidence.line,
        "column": evidence.column,
        "resource": evidence.resource,
        "saw": evidence.saw,
    }


def _remedy(remedy: Remedy) -> dict[str, object]:
    return {
        "fixable": remedy.fixable,
        "safety": remedy.safety,
        "summary": remedy.summary,
        "command": remedy.command,
    }


def _problem(problem: Problem) -> dict[str, object]:
    return {
        "source": problem.source,
        "kinds": sorted(problem.kinds),
        "component": problem.component,
        "reason": problem.reason,
        "hint": problem.hint,
        "evidence": _evidence(problem.evidence),
    }


REPORTER = Reporter("json", render)
