"""Runs one fixer on each gap of its check, and proves on the files that are written that the gap is closed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sentry_audit import app, rehearsing
from sentry_audit.fixing import Case, Change, Refusal
from sentry_audit.model import Status
from tests.trees import write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sentry_audit.fixing import Fixer
    from sentry_audit.model import Finding

BAD = {Status.GAP, Status.UNKNOWN, Status.ERROR}


def cases(root: Path, check_id: str, environment: str = "staging") -> list[Case]:
    """A case for each gap of one check in the files below ``root``."""
    return rehearsing.cases(app.Request(root=root, environments=(environment,), select=(check_id,)))


def answers(root: Path, fixer: Fixer, check_id: str, environment: str = "staging") -> list[Change | Refusal]:
    """What a fixer says to each gap."""
    return [fixer(case) for case in cases(root, check_id, environment)]


def fixed(
    root: Path,
    files: Mapping[str, str],
    fixer: Fixer,
    check_id: str,
    environment: str = "staging",
    judged_now: frozenset[str] = frozenset(),
) -> dict[str, str]:
    """The texts that the fixer changed, after it closed every gap of its check and opened no other.

    ``judged_now`` are checks that can be judged only after the fix, such as those of an init that was not there.
    """  # fmt: skip
    write(root, files)
    before = _bad(root, environment)
    changed: dict[str, str] = {}
    for _ in range(8):
        todo = answers(root, fixer, check_id, environment)
        if not todo:
            break
        answer = todo[0]
        assert isinstance(answer, Change), answer
        for edit in answer.edits:
            path = root / edit.path
            path.parent.mkdir(parents=True, exist_ok=True)
            if edit.after is None:
                path.unlink()
                changed.pop(edit.path, None)
            else:
                path.write_text(edit.after, encoding="utf-8", newline="")
                changed[edit.path] = edit.after
    assert changed, f"{check_id} has no gap to fix"
    after = _bad(root, environment)
    assert not any(item.check == check_id and item.status in BAD for item in after), after
    known = Counter((item.check, item.component) for item in before)
    new = [item for item in after if not known[item.check, item.component] and item.check not in judged_now]
    assert not new, new
    return changed


def _bad(root: Path, environment: str) -> list[Finding]:
    [report] = app.check(app.Request(root=root, environments=(environment,)))
    return [item for item in report.findings if item.status in BAD]
