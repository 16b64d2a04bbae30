"""A baseline lets only new gaps fail, shrinks by itself, and grows only when it is told to."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from sentry_audit.app import Request
from sentry_audit.errors import BaselineError, UsageError
from sentry_audit.model import Evidence, Status
from sentry_audit.waivers.baseline import Known, compared, dumps, gaps, loads, waivers
from sentry_audit.waivers.judging import Ledger
from sentry_audit.waiving import create_baseline, update_baseline
from tests.test_cli import run
from tests.test_waivers import GAP, REPOSITORY
from tests.trees import audit, findings, write

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 11, 26)
DAY = "2026-11-26"
NAME = "sentry-audit-baseline.json"
OTHER = replace(GAP, check="release-set", evidence=(), message="no release")


def request(root: Path, **changes: object) -> Request:
    return Request(root=root, all_environments=True, today=TODAY, **changes)  # type: ignore[arg-type]


# --- the file -----------------------------------------------------------------------------------


def test_the_file_reads_well_in_a_diff() -> None:
    text = dumps(gaps([OTHER, GAP], DAY))
    assert text == dumps(gaps([GAP, OTHER], DAY))
    assert loads(text, NAME) == gaps([GAP, OTHER], DAY)
    rows = [line for line in text.splitlines() if '"check"' in line]
    assert [json.loads(row.rstrip(","))["check"] for row in rows] == ["dsn-hardcoded", "release-set"]
    assert json.loads(rows[0].rstrip(","))["place"] == "api/main.py"
    assert json.loads(dumps([])) == {"schema_version": 1, "tool": "sentry-audit", "gaps": []}


def test_only_open_gaps_are_in_it() -> None:
    others = [replace(GAP, status=status) for status in Status if status is not Status.GAP]
    assert len(gaps([GAP, *others], DAY)) == 1


def test_no_secret_is_in_it() -> None:
    key = "0123456789abcdef0123456789abcdef"
    leaking = replace(GAP, evidence=(Evidence(resource=f"https://{key}@o1.ingest.sentry.io/1"),))
    assert key not in dumps(gaps([leaking], DAY))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "baseline.json:1: not JSON"),
        ('{"schema_version": 1,\n', "baseline.json:2: not JSON"),
        ("[]", "is no baseline"),
        ('{"schema_version": 1, "gaps": []}', "is no baseline"),
        ('{"schema_version": 2, "tool": "sentry-audit", "gaps": []}', "schema version 2"),
        ('{"schema_version": 1, "tool": "sentry-audit", "gaps": [{}]}', r"gaps\[0\] does not have"),
        ('{"schema_version": 1, "tool": "sentry-audit", "gaps": {"a": 1}}', "is no baseline"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_file_that_is_no_baseline(text: str, words: str) -> None:
    with pytest.raises(BaselineError, match=words):
        loads(text, "baseline.json")


# --- what it accepts ----------------------------------------------------------------------------


def test_what_is_in_it_is_waived_and_says_since_when() -> None:
    ledger = Ledger(waivers(gaps([GAP], DAY), NAME), TODAY)
    found, other = ledger.apply([GAP, OTHER], "staging")
    assert found.waiver is not None
    assert found.waiver.reason == f"in the baseline since {DAY} ({NAME})"
    assert found.waiver.until == "permanent"
    assert other == OTHER


def test_it_has_each_gap_as_often_as_it_was_there() -> None:
    ledger = Ledger(waivers(gaps([GAP, GAP], DAY), NAME), TODAY)
    found = ledger.apply([GAP, GAP, GAP], "staging")
    assert [item.status for item in found] == [Status.WAIVED, Status.WAIVED, Status.GAP]
    assert found[2].hint == ""


def test_what_is_gone_is_counted_once_it_is_decided() -> None:
    for status, number in ((Status.PASS, 1), (Status.UNKNOWN, 0), (Status.ERROR, 0)):
        ledger = Ledger(waivers(gaps([GAP, OTHER], DAY), NAME), TODAY)
        ledger.apply([replace(GAP, status=status), OTHER], "staging")
        assert ledger.gone() == (number, NAME)
        told = ledger.notes(["staging"], whole=True)
        assert told == ([f"1 gap of {NAME} is gone: sentry-audit baseline update"] if number else [])


# --- update -------------------------------------------------------------------------------------


def test_an_update_keeps_days_and_what_is_undecided() -> None:
    old = gaps([GAP, OTHER, replace(GAP, environment="production")], "2026-01-01")
    changed = replace(GAP, evidence=(Evidence("api/new.py", 1, saw="dsn=…"),))
    found = compared(old, [changed, OTHER], ["staging"], DAY)
    assert {(item.check, item.environment, item.since) for item in found.kept} == {
        ("release-set", "staging", "2026-01-01"),
        ("dsn-hardcoded", "production", "2026-01-01"),
    }
    assert [item.place for item in found.gone] == ["api/main.py"]
    assert [(item.place, item.since) for item in found.new] == [("api/new.py", DAY)]
    undecided = compared(old, [replace(GAP, status=Status.UNKNOWN), OTHER], ["staging"], DAY)
    assert (len(undecided.kept), undecided.gone, undecided.new) == (3, (), ())


def test_one_of_two_that_are_the_same_is_gone() -> None:
    found = compared(gaps([GAP, GAP], DAY), [GAP], ["staging"], DAY)
    assert (len(found.kept), len(found.gone), len(found.new)) == (1, 1, 0)


def test_only_new_gaps_fail(tmp_path: Path) -> None:
    write(tmp_path, REPOSITORY)
    file = tmp_path / NAME
    known = create_baseline(request(tmp_path), file)
    assert known
    assert {item.environment for item in known} == {"staging", "production"}
    clean = audit(tmp_path, {}, baseline=file, allow_unknown=True)
    assert (clean.exit_code, clean.counts()["gap"], clean.ready) == (0, 0, False)
    files = {"requirements.txt": "\nfastapi\nsentry-sdk>=2.30\n", "sentry-audit.yaml": f"baseline: {NAME}\n"}
    broken = audit(tmp_path, files, allow_unknown=True)
    assert broken.exit_code == 1
    [new] = [item for item in broken.findings if item.status is Status.GAP]
    assert new.check == "backend-sdk-bounded"
    assert f"1 gap of {NAME} is gone: sentry-audit baseline update" in broken.notes
    assert findings(audit(tmp_path, {}, baselined=False), "release-set")[0].status is Status.GAP


def test_an_update_adds_only_when_told_to(tmp_path: Path) -> None:
    write(tmp_path, REPOSITORY)
    file = tmp_path / NAME
    create_baseline(request(tmp_path), file)
    before = file.read_bytes()
    update_baseline(request(tmp_path), file, add=False)
    assert file.read_bytes() == before
    write(tmp_path, {"requirements.txt": "fastapi\nsentry-sdk>=2.30\n"})
    found = update_baseline(request(tmp_path), file, add=False)
    assert (len(found.gone), len(found.new)) == (2, 2)
    assert not set(found.gone + found.new) & set(loads(file.read_text(), NAME))
    update_baseline(request(tmp_path), file, add=True)
    assert set(found.new) <= set(loads(file.read_text(), NAME))


def test_a_waived_gap_needs_no_baseline(tmp_path: Path) -> None:
    text = "waivers: [{check: release-set, reason: r, until: permanent}]\n"
    write(tmp_path, {**REPOSITORY, "sentry-audit.yaml": text})
    known = create_baseline(request(tmp_path), tmp_path / NAME)
    assert "release-set" not in {item.check for item in known}
    with pytest.raises(UsageError, match="is there already"):
        create_baseline(request(tmp_path), tmp_path / NAME)


def test_names_in_it_are_no_patterns() -> None:
    known = Known("c", "[api]*", "staging", "", "0" * 16, DAY)
    [written] = waivers([known], NAME)
    assert written.covers("c", "[api]*", "staging")
    assert not written.covers("c", "apix", "staging")


# --- commands -----------------------------------------------------------------------------------


def test_commands_as_users_run_them(tmp_path: Path) -> None:
    write(tmp_path, {**REPOSITORY, "sentry-audit.yaml": f"baseline: {NAME}\n"})
    done = run("check", tmp_path, "--offline")
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be read" in done.stderr
    assert "sentry-audit baseline create" in done.stderr
    done = run("baseline", "create", tmp_path, "--offline")
    assert done.returncode == 0, done.stderr
    assert f"{NAME}: " in done.stdout
    done = run("check", tmp_path, "--offline", "--allow-unknown", "--env", "staging")
    assert done.returncode == 0, done.stdout
    assert "gaps are waived" in done.stdout
    assert run("check", tmp_path, "--offline", "--no-waivers").returncode == 1
    done = run("check", tmp_path, "--offline", "--no-waivers", "--baseline", tmp_path / NAME)
    assert (done.returncode, "exclude each other" in done.stderr) == (2, True)
    write(tmp_path, {"requirements.txt": "fastapi\nsentry-sdk>=2.30\n"})
    done = run("baseline", "update", tmp_path, "--offline")
    assert "2 gone, 2 new, left out (--add puts them in)" in done.stdout
    assert "new: backend-sdk-bounded" in done.stdout
    write(tmp_path, {NAME: "{}"})
    assert run("check", tmp_path, "--offline").returncode == 2
