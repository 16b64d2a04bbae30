"""The step of a workflow that tells Sentry of a release, where the repository has what it needs; else what to paste."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import speaks_of
from sentry_audit.deployment.workflows import is_workflow
from sentry_audit.facts import BUILDS, Deployment, Release, ReleaseInCi
from sentry_audit.fixers import yaml_places as places
from sentry_audit.fixers.spelling import Spelling
from sentry_audit.fixers.texts import inserted, row_at, row_start
from sentry_audit.fixing import Change, Edit, Refusal
from sentry_audit.scanners.nodes import children, items, line_of, text_of

if TYPE_CHECKING:
    from typing import Any

    from sentry_audit.fixing import Case, Fixer

_NEEDED = {
    "SENTRY_AUTH_TOKEN": "${{ secrets.SENTRY_AUTH_TOKEN }}",
    "SENTRY_ORG": "${{ vars.SENTRY_ORG }}",
    "SENTRY_PROJECT": "${{ vars.SENTRY_PROJECT }}",
}
#: What a workflow calls that which a release is made from.
_VERSIONS = {"": "${{ github.sha }}", "the commit": "${{ github.sha }}", "the tag": "${{ github.ref_name }}"}
_PASTE = (
    'sentry-cli releases new "$VERSION"',
    'sentry-cli releases set-commits "$VERSION" --auto',
    'sentry-cli releases finalize "$VERSION"',
)


def record(case: Case) -> Change | Refusal:
    """Add getsentry/action-release behind the step that deploys; without a token it is skipped, not a failure."""
    fact = next((fact for fact in case.bad if isinstance(fact, ReleaseInCi)), None)
    if fact is None or "nothing tells Sentry" not in fact.problem:
        return Refusal(reason=fact.problem if fact is not None else "what records releases was not found")
    made_from = next((item.made_from for item in case.facts if isinstance(item, Release) and item.is_set), "")
    if made_from not in _VERSIONS:
        return Refusal(
            reason=f"events carry a release that is made from {made_from}: tell Sentry of that one, by the same name",
            commands=_PASTE,
        )
    for path, line in _deploys(case, fact):
        text = case.files.text(path) or ""
        steps = _steps(path, text, line)
        if steps is None or places.last_leaf(items(steps)[-1]) is None:
            continue
        return _added(case, path, text, line, steps, _VERSIONS[made_from])
    return Refusal(reason="which step deploys was not found in a workflow", commands=_PASTE)


def _deploys(case: Case, fact: ReleaseInCi) -> list[tuple[str, int]]:
    """Where workflows deploy: the places of the finding, else what else stands in the workflows that build the image."""
    named = [(place.path or "", place.line or 0) for place in fact.evidence if not place.saw.startswith("builds")]
    built = {place.path for place in fact.evidence}
    beside = [
        (item.path, item.line)
        for item in case.scanned
        if isinstance(item, Deployment)
        and item.path in built
        and item.line is not None
        and item.resource not in BUILDS
        and speaks_of(item.environment, case.environment)
    ]
    mine = [item for item in beside if _names(case, *item)]
    return [(path, line) for path, line in dict.fromkeys([*named, *mine, *beside]) if is_workflow(path) and line]


def _names(case: Case, path: str, line: int) -> bool:
    """Whether the job around a step names the component."""
    text = case.files.text(path) or ""
    steps = _steps(path, text, line)
    word = rf"(?<![A-Za-z]){re.escape(case.component.name)}(?![A-Za-z])"
    return steps is not None and bool(re.search(word, text[steps.start_mark.index : steps.end_mark.index]))


def _added(case: Case, path: str, text: str, line: int, steps: Any, version: str) -> Change:
    known = _known(case)
    missing = [name for name in _NEEDED if name not in known]
    named = all("name" in children(item) for item in items(steps) if "run" in children(item))
    label = _label(case, path, text, line)
    checkout = next((item for item in items(steps) if "actions/checkout" in text_of(children(item).get("uses"))), None)
    rows = [
        *(["name: Tell Sentry of the release"] if named else []),
        *(["if: env.SENTRY_AUTH_TOKEN != ''"] if "SENTRY_AUTH_TOKEN" in missing else []),
        "uses: getsentry/action-release@v3",
        "env:",
        *(f"  {name}: {known.get(name, usual)}" for name, usual in _NEEDED.items()),
        *([f"  SENTRY_URL: {known['SENTRY_URL']}"] if "SENTRY_URL" in known else []),
        "with:",
        *([f"  environment: {label}"] if label else []),
        f"  release: {version}",
        *(["  set_commits: skip"] if checkout is None else []),
    ]
    at, body = places.listed(text, steps, rows)
    last = items(steps)[-1].start_mark.line
    apart = len(items(steps)) > 1 and not row_at(text, row_start(text, last)).strip()
    spots = [(at, f"\n{body}" if apart else body), *_history(text, checkout)]
    summary = f"will tell Sentry of each release in {path}"
    if missing:
        kinds = {name: "secret" if "TOKEN" in name else "variable" for name in missing}
        told = ", ".join(f"the {kind} {name}" for name, kind in kinds.items())
        until = "; until then the step is skipped" if "SENTRY_AUTH_TOKEN" in missing else ""
        summary += f", once GitHub has {told}{until}"
    return Change(summary=summary, safety="review", edits=(Edit(path, inserted(text, spots)),))


def _history(text: str, checkout: Any) -> list[tuple[int, str]]:
    """Git's history for the checkout, from which the commits of a release are taken; as it is where that is said."""
    if checkout is None:
        return []
    given = children(checkout).get("with")
    if given is None:
        return [places.keyed(text, checkout, "uses", ["with:", "  fetch-depth: 0"])]
    if not places.is_block(given) or "fetch-depth" in children(given):
        return []
    return [places.keyed(text, given, given.value[-1][0].value, ["fetch-depth: 0"])]


def _label(case: Case, path: str, text: str, line: int) -> str:
    """The environment that the step deploys to, as the workflow writes it; ``""`` where it does not tell."""
    found = [item for item in case.scanned if isinstance(item, Deployment) and item.path == path and item.line == line]
    if not found:
        return case.environment
    item = next((item for item in found if item.resource != "image"), found[0])
    begin, end = row_start(text, line), row_start(text, line + 12)
    spelling = Spelling(case, item, text[begin:end])
    told = spelling.label() or ("" if spelling.shared else case.environment)
    return told if not told.startswith("$") or told.startswith("${{") else ""


def _known(case: Case) -> dict[str, str]:
    """What the workflows give to Sentry's tools elsewhere, as they write it."""
    found: dict[str, str] = {}
    for path in sorted(case.files.paths):
        if is_workflow(path):
            for match in re.finditer(
                r"(?m)^[ \t]*(SENTRY_(?:AUTH_TOKEN|ORG|PROJECT|URL)):[ \t]*(\S.*?)[ \t]*\r?$",
                case.files.text(path) or "",
            ):
                if "${{" not in match[2] or re.match(r"[\"']?\$\{\{\s*(secrets|vars)\.", match[2]):
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
