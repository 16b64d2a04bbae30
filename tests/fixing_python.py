"""One fixer run on a written tree, and everything asserted that a fix must not break."""

from __future__ import annotations

import ast
import json
import tomllib
from typing import TYPE_CHECKING

from sentry_audit import app, rehearsing
from sentry_audit.fixing import Case, Change, Refusal
from sentry_audit.model import Status
from sentry_audit.plugins import discover
from tests.trees import write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sentry_audit.fixing import Fixer
    from sentry_audit.model import Report

BAD = {Status.GAP, Status.UNKNOWN, Status.ERROR}


def fixer(check_id: str, ecosystem: str = "pypi") -> Fixer:
    """The one fixer of a check, for components of an ecosystem."""
    home = "sentry_audit.fixers"
    fixers, only = discover(home, "FIXERS"), discover(home, "ECOSYSTEM")
    [found] = [
        each[check_id] for name, each in fixers.items() if check_id in each and only.get(name, ecosystem) == ecosystem
    ]
    return found  # type: ignore[no-any-return]


def cases(root: Path, check_id: str, environment: str = "staging") -> list[Case]:
    """The gaps of one check in the tree at ``root``, each with what a fixer is given."""
    return rehearsing.cases(app.Request(root=root, environments=(environment,), select=(check_id,)))


def report(root: Path, environment: str = "staging") -> Report:
    [found] = app.check(app.Request(root=root, environments=(environment,)))
    return found


def statuses(found: Report) -> dict[tuple[str, str], set[Status]]:
    result: dict[tuple[str, str], set[Status]] = {}
    for item in found.findings:
        result.setdefault((item.check, item.component), set()).add(item.status)
    return result


def run(case: Case) -> Change | Refusal:
    return fixer(case.finding.check, case.component.ecosystem)(case)


def answer(tmp_path: Path, files: Mapping[str, str], check_id: str, environment: str = "staging") -> Change | Refusal:
    """What the fixer says of the first gap of a check in ``files``."""
    write(tmp_path, files)
    return run(cases(tmp_path, check_id, environment)[0])


def apply(root: Path, change: Change) -> None:
    for edit in change.edits:
        path = root / edit.path
        if edit.after is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(edit.after.encode())
            parses(edit.path, edit.after)


def parses(path: str, text: str) -> None:
    if path.endswith(".py"):
        ast.parse(text)
    elif path.endswith((".toml", "Pipfile")):
        tomllib.loads(text)
    elif path.endswith(".json"):
        json.loads(text)


def fixed(
    tmp_path: Path,
    files: Mapping[str, str],
    check_id: str,
    environment: str = "staging",
    closes: tuple[str, ...] = (),
    opens: tuple[str, ...] = (),
) -> dict[str, str]:
    """The texts that fixing every gap of a check changes, by path.

    Asserts that the check is closed (those of ``closes`` too), that no other becomes a gap, unknown or an error (but for
    those of ``opens``, which follow from there being an SDK at all), and that nothing is offered a second time.
    """
    write(tmp_path, files)
    before = statuses(report(tmp_path, environment))
    changed: dict[str, str] = {}
    found = cases(tmp_path, check_id, environment)
    assert found, f"{check_id} is no gap here"
    for _ in range(5):
        if not found:
            break
        change = run(found[0])
        assert isinstance(change, Change), change
        assert change.summary.startswith("will "), change.summary
        assert change.edits
        assert change.safety in {"safe", "review"}
        apply(tmp_path, change)
        changed |= {edit.path: edit.after or "" for edit in change.edits}
        found = cases(tmp_path, check_id, environment)
    assert not found, [item.finding.message for item in found]
    after = statuses(report(tmp_path, environment))
    for key, seen in after.items():
        for status in seen & BAD if not before.get(key, set()) & BAD else seen & {Status.ERROR}:
            assert key[0] in opens, f"{key[0]} of {key[1]} is now {status.value}"
    for name in (check_id, *closes):
        assert not any(seen & BAD for key, seen in after.items() if key[0] == name), name
    return changed
