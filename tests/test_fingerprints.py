"""The identity of a finding: it survives edits around it, and changes when the problem does."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sentry_audit.fingerprints import fingerprint
from sentry_audit.model import Evidence, Finding, Severity, Status

FINDING = Finding(
    check="dsn-hardcoded",
    title="No DSN is committed",
    area="config",
    severity=Severity.MEDIUM,
    status=Status.GAP,
    message="app/main.py:12 holds a DSN",
    component="api",
    environment="staging",
    evidence=(Evidence("app/main.py", 12, 5, saw='dsn="https://…a1f3@o1.ingest.sentry.io/1"'),),
)


@pytest.mark.parametrize(
    "same",
    [
        replace(FINDING, evidence=(Evidence("app/main.py", 40, 9, saw='dsn="https://…a1f3@o1.ingest.sentry.io/1"'),)),
        replace(FINDING, evidence=(replace(FINDING.evidence[0], saw='dsn="https://…a1f3@o1.ingest.sentry.io/1"  '),)),
        replace(FINDING, severity=Severity.HIGH, title="Another", message="told in other words"),
        replace(FINDING, evidence=FINDING.evidence * 2),
    ],
)
def test_it_survives_edits_elsewhere(same: Finding) -> None:
    assert fingerprint(same) == fingerprint(FINDING)


@pytest.mark.parametrize(
    "other",
    [
        replace(FINDING, check="dsn-format"),
        replace(FINDING, component="worker"),
        replace(FINDING, environment="production"),
        replace(FINDING, evidence=(replace(FINDING.evidence[0], path="app/other.py"),)),
        replace(FINDING, evidence=(replace(FINDING.evidence[0], saw='dsn="https://…b2e4@o1.ingest.sentry.io/2"'),)),
        replace(FINDING, evidence=()),
    ],
)
def test_another_problem_is_another_finding(other: Finding) -> None:
    assert fingerprint(other) != fingerprint(FINDING)


def test_the_next_revision_with_the_same_problem_is_the_same_finding() -> None:
    service = "projects/p/locations/r/services/api"
    first, second, other = (
        replace(FINDING, evidence=(Evidence(resource=f"{service}/revisions/{name}", saw=saw),))
        for name, saw in (
            ("api-00041", "no SENTRY_DSN"),
            ("api-00042-x7f", "no SENTRY_DSN"),
            ("api-00042-x7f", "A_DSN"),
        )
    )
    assert fingerprint(first) == fingerprint(second) != fingerprint(other)


def test_without_a_place_the_message_counts_but_not_its_lines() -> None:
    bare = replace(FINDING, evidence=())
    assert fingerprint(bare) == fingerprint(replace(bare, message="app/main.py:99:3 holds a DSN"))
    assert fingerprint(bare) != fingerprint(replace(bare, message="app/main.py:12 holds two DSNs"))
