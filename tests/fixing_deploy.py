"""Run one fixer on the gaps of its check, write what it changes, and audit again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit import app, rehearsing
from sentry_audit.app import Request
from sentry_audit.fixing import Case, Change, Refusal
from tests.trees import write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sentry_audit.fixing import Fixer
    from sentry_audit.model import Report

BAD = {"gap", "unknown", "error"}


def cases(root: Path, check_id: str, environment: str = "staging") -> list[Case]:
    """A case for each gap of one check."""
    return rehearsing.cases(Request(root=root, environments=(environment,), select=(check_id,)))


def audited(root: Path, environment: str = "staging") -> Report:
    [report] = app.check(Request(root=root, environments=(environment,)))
    return report


def bad(report: Report) -> set[tuple[str, str]]:
    return {(item.check, item.component) for item in report.findings if item.status.value in BAD}


def apply(root: Path, change: Change) -> dict[str, str]:
    """Write the edits; what was written, by path."""
    for edit in change.edits:
        assert edit.after is not None
        (root / edit.path).parent.mkdir(parents=True, exist_ok=True)
        with (root / edit.path).open("w", encoding="utf-8", newline="") as stream:
            stream.write(edit.after)
    return {edit.path: edit.after or "" for edit in change.edits}


def fixed(
    root: Path, files: Mapping[str, str], check_id: str, fixer: Fixer, environment: str = "staging", rounds: int = 6
) -> dict[str, str]:
    """The files that ``fixer`` changes until no gap of the check is left; nothing else becomes bad."""
    write(root, files)
    return fixed_in(root, check_id, fixer, environment, rounds)


def fixed_in(root: Path, check_id: str, fixer: Fixer, environment: str = "staging", rounds: int = 6) -> dict[str, str]:
    before = bad(audited(root, environment))
    written: dict[str, str] = {}
    assert cases(root, check_id, environment), f"{check_id} is no gap here"
    for _ in range(rounds):
        case = next(iter(cases(root, check_id, environment)), None)
        if case is None:
            break
        change = fixer(case)
        assert isinstance(change, Change), change
        assert change.edits
        written |= apply(root, change)
    report = audited(root, environment)
    assert not [item for item in report.findings if item.check == check_id and item.status.value in BAD]
    assert bad(report) <= before, bad(report) - before
    return written


def refused(root: Path, files: Mapping[str, str], check_id: str, fixer: Fixer, environment: str = "staging") -> Refusal:
    """The refusal of the first gap."""
    write(root, files)
    result = fixer(cases(root, check_id, environment)[0])
    assert isinstance(result, Refusal), result
    return result
