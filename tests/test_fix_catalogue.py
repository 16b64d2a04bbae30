"""Each fixable check on each of its own failing examples: closed, nothing else opened, idle afterwards, taken back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sentry_audit.app import Request, shipped_checks
from sentry_audit.applying import apply, undo
from sentry_audit.known_fixers import fixers
from sentry_audit.model import Link, Status
from sentry_audit.rehearsing import plan as planned
from tests.trees import write

if TYPE_CHECKING:
    from sentry_audit.fixing import Plan

#: Where these break, what comes after them is not judged.
REVEALING = {Link.SDK, Link.INIT, Link.DSN}
#: Examples that no file of theirs can mend for certain, and why.
REFUSED = {
    "release-set-1": "nothing can be said: --unsafe makes the change",  # what builds the front end is not there
}
BAD = {Status.GAP, Status.UNKNOWN, Status.ERROR}


def _examples() -> list[Any]:
    known = fixers()
    found = []
    for check in shipped_checks():
        if check.id not in known:
            continue
        for number, example in enumerate(check.examples.get("fail", [])):
            if "files" in example:
                name = f"{check.id}-{number}"
                found.append(pytest.param(check.id, example["files"], REFUSED.get(name, ""), id=name))
    return found


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    found = {}
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in {".git", ".sentry-audit"}]
        for name in files:
            path = Path(folder, name)
            found[str(path.relative_to(root))] = (path.stat().st_mode, path.read_bytes())
    return found


def plan(root: Path, check_id: str, environment: str) -> Plan:
    request = Request(root=root, environments=(environment,))
    return planned(request, (check_id,), repo=True, cloud=False, unproven=False, progress=None).plan


def judged(root: Path, environment: str, statuses: set[Status]) -> set[tuple[str, str]]:
    from sentry_audit.app import check

    [report] = check(Request(root=root, environments=(environment,)))
    return {(item.check, item.component) for item in report.findings if item.status in statuses}


@pytest.mark.parametrize(("check_id", "files", "refusal"), _examples())
def test_a_fix_closes_its_check_opens_no_other_and_can_be_taken_back(
    tmp_path: Path, check_id: str, files: dict[str, str], refusal: str
) -> None:
    write(tmp_path, files)
    environment = "production"
    before, gaps = snapshot(tmp_path), judged(tmp_path, environment, BAD)
    [link] = [check.link for check in shipped_checks(examples=False) if check.id == check_id]
    unjudged = judged(tmp_path, environment, {Status.SKIPPED}) if link in REVEALING else set()
    assert check_id in {check for check, _ in gaps}
    made = plan(tmp_path, check_id, environment)
    if refusal:
        assert not made.steps
        assert refusal in made.left[0].reason
        return
    if not made.steps:
        assert made.left
        assert all(item.reason for item in made.left)
        pytest.skip(f"left: {made.left[0].reason}")
    apply(tmp_path, made, cloud=None, dsn=None, allow_dirty=True, reporter=lambda _: None)
    after = judged(tmp_path, environment, BAD)
    left = {item.finding.check for item in made.left if item.reason}
    assert check_id not in {check for check, _ in after} - left
    assert after <= gaps | unjudged
    assert not plan(tmp_path, check_id, environment).steps
    undo(tmp_path, cloud=None, reporter=lambda _: None)
    assert snapshot(tmp_path) == before
