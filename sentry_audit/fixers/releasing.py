"""The release: the commit, given to a server where it is deployed, and to a front end where it is built."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.deployment.makefiles import is_makefile
from sentry_audit.deployment.workflows import is_workflow
from sentry_audit.facts import FrontendDsn, Release
from sentry_audit.fixers.bundles import builds, provide
from sentry_audit.fixers.definitions import Given, edits
from sentry_audit.fixers.deploying import given_to, seen, writers
from sentry_audit.fixers.images import takes_at_end
from sentry_audit.fixers.passing import CLOUDBUILD, SCRIPT, WORKFLOW, pass_to
from sentry_audit.fixers.spelling import commit_in
from sentry_audit.fixers.texts import indent_at, inserted, row_end, row_start
from sentry_audit.fixing import Change, Edit, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.facts import Deployment
    from sentry_audit.fixers.definitions import Placed
    from sentry_audit.fixers.spelling import Spelling
    from sentry_audit.fixing import Case, Fixer

_DEFAULT = "SENTRY_RELEASE"
_DSN_ROW = re.compile(r"^[ \t]*dsn\b.*,[ \t]*\r?$")
#: What is put together from a static file knows no commit: the image carries it.
_STATIC = frozenset({"knative", "terraform"})


def set_release(case: Case) -> Change | Refusal:
    """Let events carry the commit as their release."""
    bad = [fact for fact in case.bad if isinstance(fact, Release)]
    if case.component.ecosystem == "npm":
        return _front(case, bad)
    fact = next(iter(bad), Release())
    if fact.constant and not fact.variables:
        return Refusal(
            reason=f"the code gives init the constant {fact.constant!r}: leave release out there, and set {_DEFAULT}"
        )
    name = (fact.variables or (_DEFAULT,))[0]
    targets = writers(seen(case), case.environment, "plain")
    if not targets:
        return Refusal(reason="no deployment of it was found in the repository")
    if any(item.origin in _STATIC for item in targets):
        return _in_image(case, name, targets)

    def ask(spelling: Spelling) -> Given | Refusal:
        told = commit(spelling, kind_of(spelling.deployment.path, case))
        return told if isinstance(told, Refusal) else Given(name, told, "plain")

    placed = given_to(case, targets, ask)
    if isinstance(placed, Refusal):
        return placed
    paths = ", ".join(dict.fromkeys(item.path for item in targets))
    return Change(summary=f"will set {name} to the commit in {paths}", safety="safe", edits=edits(case, placed))


def kind_of(path: str, case: Case) -> str:
    """How a file that builds or deploys is written: script, workflow, or cloudbuild."""
    if is_workflow(path):
        return WORKFLOW
    if path.endswith((".yaml", ".yml")):
        return WORKFLOW if "runs:" in (case.files.text(path) or "") else CLOUDBUILD
    return SCRIPT


def commit(spelling: Spelling, kind: str) -> str | Refusal:
    """The commit as that kind of file calls it."""
    path = spelling.deployment.path
    text = spelling.case.files.text(path) or ""
    if kind == WORKFLOW:
        return "${{ github.sha }}"
    if kind == CLOUDBUILD:
        if re.search(r"\$\{?(COMMIT_SHA|SHORT_SHA|REVISION_ID)\b", text):
            return "$COMMIT_SHA"
        return Refusal(reason=f"whether a trigger starts {path}, so that $COMMIT_SHA is set, is not known")
    if path.endswith(".py"):
        return Refusal(reason=f"{path} makes the command in Python: give it the commit from subprocess or the pipeline")
    if not is_makefile(path) and (name := commit_in([text[: row_start(text, spelling.deployment.line or 1)]])):
        return f"${name}"
    return "$(git rev-parse HEAD)"


def _in_image(case: Case, name: str, targets: Sequence[Deployment]) -> Change | Refusal:
    """The commit as a variable of the image, where what deploys it is a static file."""
    made = [item for item in builds(case) if item.resource == "image"]
    files = [item.dockerfile or f"{item.source.strip('./')}/Dockerfile".lstrip("/") for item in made]
    dockerfiles = [path for path in dict.fromkeys(files) if path in case.files.paths]
    if not made or len(dockerfiles) != 1:
        return Refusal(
            reason=f"{targets[0].path} is a static file, which knows no commit, and what builds the image was not found"
        )
    placed: Placed = []
    for item in made:
        more = pass_to(case, item, name, commit)
        if isinstance(more, Refusal):
            return more
        placed += more
    spot = takes_at_end(case.files.text(dockerfiles[0]) or "", name)
    paths = ", ".join(dict.fromkeys([dockerfiles[0], *(path for path, _ in placed)]))
    return Change(
        summary=f"will build the commit into the image as {name}, in {paths}", safety="safe",
        edits=edits(case, [(dockerfiles[0], spot), *placed]),
    )  # fmt: skip


# --- the front end ----------------------------------------------------------------------------------


def _front(case: Case, bad: Sequence[Release]) -> Change | Refusal:
    named = next((fact for fact in bad if fact.variables), None)
    if named is not None:
        return _safe(provide(case, named.variables[0], commit, "the commit"))
    if any("plugin finds no release" in fact.problem for fact in bad):
        return _safe(provide(case, _DEFAULT, commit, "the commit"))
    if not all("init gets no release" in fact.problem for fact in bad):
        return Refusal(reason="the code gives init a constant: take the release from a variable that the build gets")
    told = _option(case)
    if told is None:
        return Refusal(reason="init gets no release: add one to it, from a variable that the build gets")
    name, expression = told
    change = provide(case, name, commit, "the commit")
    if isinstance(change, Refusal):
        return change
    inits = {(place.path, place.line) for fact in bad for place in fact.evidence[:1] if place.path and place.line}
    added: list[Edit] = []
    for path, line in sorted(inits):
        text = case.files.text(path or "") or ""
        row = _dsn_row(text, line or 1)
        if row is None:
            return Refusal(reason=f"the options of init in {path}:{line} were not followed: add release: {expression}")
        more = f"\n{indent_at(text, row)}release: {expression},"
        added.append(Edit(path or "", inserted(text, [(row_end(text, row), more)])))
    paths = ", ".join(item.path for item in added)
    return Change(summary=f"{change.summary}, and to init in {paths}", safety="safe", edits=(*added, *change.edits))


def _safe(change: Change | Refusal) -> Change | Refusal:
    from msgspec.structs import replace

    return replace(change, safety="safe") if isinstance(change, Change) else change


def _option(case: Case) -> tuple[str, str] | None:
    """(the variable of the release, how code reads it), both like the DSN's."""
    fact = next(
        (fact for fact in case.facts if isinstance(fact, FrontendDsn) and fact.variable.endswith("SENTRY_DSN")), None
    )
    if fact is None:
        return None
    name = fact.variable.replace("SENTRY_DSN", "SENTRY_RELEASE")
    for place in fact.evidence:
        text = case.files.text(place.path or "") or ""
        for prefix in ("process.env.", "import.meta.env."):
            if prefix + fact.variable in text:
                return name, prefix + name
    return None


def _dsn_row(text: str, line: int) -> int | None:
    """Where the row with init's ``dsn`` begins, if that is a row of its own."""
    rows = text.split("\n")
    for number in range(line, min(line + 8, len(rows))):
        if _DSN_ROW.match(rows[number]):
            return row_start(text, number + 1)
        if ")" in rows[number] and "(" not in rows[number]:
            return None
    return None


FIXERS: dict[str, Fixer] = {"release-set": set_release}
