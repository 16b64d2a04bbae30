"""Evidence: what is kept, and when it no longer counts."""

from __future__ import annotations

import json

import pytest

from sentry_audit.cloud import DsnSeen, Project, Secret, SecretVersion, Snapshot, Target
from sentry_audit.errors import EvidenceError, UsageError
from sentry_audit.evidence import dumps, for_targets, loads, seconds, words

NOON = 1_790_000_000.0  # 2026-09-21T14:13:20Z
SNAPSHOT = Snapshot(
    taken_at="2026-09-21T14:13:20Z",
    identity="audit@shop-stg.iam.gserviceaccount.com",
    projects=(
        Project(
            id="shop-stg",
            secrets=(
                Secret(
                    project="shop-stg",
                    name="sentry-dsn",
                    versions=(SecretVersion(asked="latest", state="ENABLED", dsn=DsnSeen(shown="…", valid=True)),),
                ),
            ),
        ),
    ),
    targets=(Target(component="api", environment="staging", project="shop-stg", service="api"),),
)


def test_it_comes_back_as_it_was() -> None:
    data = dumps(SNAPSHOT)
    assert loads(data, "e.json", NOON, 60) == SNAPSHOT
    assert dumps(loads(data, "e.json", NOON, 60)) == data
    assert data.endswith(b"}\n")
    assert json.loads(data)["identity"] == "audit@shop-stg.iam.gserviceaccount.com"


def test_it_is_refused_when_it_is_too_old() -> None:
    data = dumps(SNAPSHOT)
    loads(data, "e.json", NOON + 3599, 3600)
    with pytest.raises(EvidenceError) as caught:
        loads(data, "e.json", NOON + 3 * 86_400, 86_400)
    assert caught.value.message == "e.json was taken 3 days ago; --max-age allows 1 day"
    assert caught.value.hint.endswith("--max-age 4d")
    assert caught.value.exit_code == 2
    loads(data, "e.json", NOON + 3 * 86_400, seconds("4d"))


def test_it_is_refused_when_it_comes_from_the_future() -> None:
    loads(dumps(SNAPSHOT), "e.json", NOON - 60, 3600)
    with pytest.raises(EvidenceError, match="in the future"):
        loads(dumps(SNAPSHOT), "e.json", NOON - 3600, 3600)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is no evidence"),
        (b"{", "is no evidence"),
        (b"[]", "is no evidence"),
        (b"\xff\xfe{}", "is no evidence"),
        (b'{"schema_version": "one"}', "is no evidence"),
        (b'{"schema_version": 2, "taken_at": "2026-09-21T14:13:20Z"}', "schema_version 2"),
        (b'{"schema_version": 1, "taken_at": "yesterday"}', "is no evidence"),
        (b'{"schema_version": 1, "taken_at": "2026-09-21T14:13:20"}', "is no evidence"),
        (b'{"schema_version": 1, "taken_at": "2026-09-21T14:13:20Z", "projects": 7}', "is no evidence"),
    ],
)
def test_what_is_no_evidence(data: bytes, told: str) -> None:
    with pytest.raises(EvidenceError, match=told) as caught:
        loads(data, "e.json", NOON, 60)
    assert "sentry-audit collect -o e.json" in caught.value.hint


def test_it_answers_for_what_is_audited_now() -> None:
    other = (Target(component="web", environment="staging", project="shop-stg", service="web"),)
    assert for_targets(SNAPSHOT, other).targets == other
    assert for_targets(SNAPSHOT, other).projects == SNAPSHOT.projects


@pytest.mark.parametrize(
    ("text", "wanted"), [("45s", 45), ("90m", 5400), ("24h", 86_400), (" 7D ", 604_800), ("2w", 1_209_600)]
)
def test_ages(text: str, wanted: float) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5h", "tomorrow"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(UsageError, match="not an age"):
        seconds(text)


@pytest.mark.parametrize(
    ("age", "told"),
    [(0.4, "0 seconds"), (90, "90 seconds"), (3600, "1 hour"), (5400, "90 minutes"), (86_400 * 30, "4 weeks")],
)
def test_ages_in_words(age: float, told: str) -> None:
    assert words(age) == told
