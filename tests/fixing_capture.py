"""One fixer run on the gaps of its check, in a folder, with the promises that every fix keeps."""

from __future__ import annotations

import ast
import tomllib
from typing import TYPE_CHECKING

import yaml

from sentry_audit import app, rehearsing
from sentry_audit.fixing import Case, Change, Refusal
from sentry_audit.model import Status
from sentry_audit.plugins import discover
from tests.trees import write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sentry_audit.fixing import Fixer

BAD = {Status.GAP, Status.UNKNOWN, Status.ERROR}


def fixers() -> dict[str, Fixer]:
    """Every fixer by its check."""
    return {
        check: fixer for group in discover("sentry_audit.fixers", "FIXERS").values() for check, fixer in group.items()
    }


def cases(root: Path, check_id: str, environment: str = "staging", component: str = "") -> list[Case]:
    """The gaps of one check in ``root``, as fixers are given them."""
    components = (component,) if component else ()
    request = app.Request(root=root, environments=(environment,), components=components, select=(check_id,))
    return rehearsing.cases(request)


def offered(root: Path, check_id: str, environment: str = "staging", component: str = "") -> Change | Refusal:
    """What the fixer says to the first gap of its check in ``root``."""
    found = cases(root, check_id, environment, component)
    assert found, f"{check_id} is no gap"
    return fixers()[check_id](found[0])


def fixed(
    tmp_path: Path, files: Mapping[str, str], check_id: str, environment: str = "staging", component: str = ""
) -> dict[str, str]:
    """Write ``files``, fix every gap of the check, and return the texts that changed, after looking that all is well.

    The check is closed, no other one opens, no second fix is offered, and what was edited parses.
    """
    write(tmp_path, files)
    return fixed_in(tmp_path, check_id, environment, component)


def fixed_in(root: Path, check_id: str, environment: str = "staging", component: str = "") -> dict[str, str]:
    """The same in a folder whose files are there already."""
    before = _statuses(root, environment)
    changed: dict[str, str] = {}
    for _ in range(12):
        found = cases(root, check_id, environment, component)
        if not found:
            break
        change = fixers()[check_id](found[0])
        assert isinstance(change, Change), f"{check_id} was refused: {change}"
        assert change.summary.startswith("will "), change.summary
        for edit in change.edits:
            path = root / edit.path
            assert edit.after is not None
            _parses(edit.path, edit.after)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(edit.after, encoding="utf-8", newline="")
            changed[edit.path] = edit.after
    assert changed, f"{check_id} was no gap"
    after = _statuses(root, environment)
    for (check, name), statuses in after.items():
        if check == check_id and component in {"", name}:
            assert Status.GAP not in statuses, f"{check_id} is still a gap"
        assert not (statuses & BAD) - before.get((check, name), set()), f"{check} of {name} became {statuses}"
    assert not cases(root, check_id, environment, component)
    return changed


def _statuses(root: Path, environment: str) -> dict[tuple[str, str], set[Status]]:
    [report] = app.check(app.Request(root=root, environments=(environment,)))
    found: dict[tuple[str, str], set[Status]] = {}
    for item in report.findings:
        found.setdefault((item.check, item.component), set()).add(item.status)
    return found


def _parses(path: str, text: str) -> None:
    if path.endswith(".py"):
        ast.parse(text)
    elif path.endswith(".toml"):
        tomllib.loads(text)
    elif path.endswith((".yaml", ".yml")):
        list(yaml.safe_load_all(text))
