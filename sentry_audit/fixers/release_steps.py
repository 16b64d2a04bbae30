"""The step of a workflow that tells Sentry of a release, where the repository has what it needs; else what to paste."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.deployment.workflows import is_workflow
from sentry_audit.facts import ReleaseInCi
from sentry_audit.fixers import yaml_places as places
from sentry_audit.fixers.texts import inserted
from sentry_audit.fixing import Change, Edit, Refusal
from sentry_audit.scanners.nodes import children, items, line_of

if TYPE_CHECKING:
    from typing import Any

    from sentry_audit.fixing import Case, Fixer

_NEEDED = ("SENTRY_AUTH_TOKEN", "SENTRY_ORG", "SENTRY_PROJECT")


def record(case: Case) -> Change | Refusal:
    """Add getsentry/action-release behind the step that deploys."""
    fact = next((fact for fact in case.bad if isinstance(fact, ReleaseInCi)), None)
    if fact is None or "nothing tells Sentry" not in fact.problem:
        return Refusal(reason=fact.problem if fact is not None else "what records releases was not found")
    known = _known(case)
    paste = (
        'sentry-cli releases new "$VERSION"',
        'sentry-cli releases set-commits "$VERSION" --auto',
        'sentry-cli releases finalize "$VERSION"',
    )
    if set(known) != set(_NEEDED):
        missing = ", ".join(name for name in _NEEDED if name not in known)
        return Refusal(
            reason=f"no workflow has {missing} yet, and a release step fails without: set it first", commands=paste
        )
    for place in fact.evidence:
        path = place.path or ""
        text = case.files.text(path) or ""
        if not is_workflow(path) or place.line is None:
            continue
        steps = _steps(path, text, place.line)
        if steps is None:
            continue
        last = places.last_leaf(items(steps)[-1])
        rows = [
            "uses: getsentry/action-release@v3",
            "env:",
            *(f"  {name}: {known[name]}" for name in _NEEDED),
            "with:",
            f"  environment: {case.environment}",
            "  release: ${{ github.sha }}",
        ]
        if place.saw.startswith("builds") or last is None:
            continue
        return Change(
            summary=f"will tell Sentry of each release in {path}",
            safety="review",
            edits=(Edit(path, inserted(text, [places.listed(text, steps, rows)])),),
        )
    return Refusal(reason="which step deploys was not found in a workflow", commands=paste)


def _known(case: Case) -> dict[str, str]:
    """What the workflows give to Sentry's tools elsewhere, as they write it."""
    found: dict[str, str] = {}
    for path in sorted(case.files.paths):
        if is_workflow(path):
            for match in re.finditer(
                r"(?m)^[ \t]*(SENTRY_(?:AUTH_TOKEN|ORG|PROJECT)):[ \t]*(\S.*?)[ \t]*\r?$", case.files.text(path) or ""
            ):
                found.setdefault(match[1], match[2])
    return found


def _steps(path: str, text: str, line: int) -> Any:
    """The list of steps that holds ``line``."""
    for node in places.nodes(path, text):
        steps = children(node).get("steps")
        if steps is not None and places.is_block(steps) and line_of(steps) <= line <= steps.end_mark.line + 1:
            return steps
    return None


FIXERS: dict[str, Fixer] = {"release-in-ci": record}
