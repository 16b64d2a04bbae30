"""One release for both ends: the commit, in the place of what the definitions give to one of them, or to both."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.facts import Deployment, Release, ReleaseStep, SharedRelease
from sentry_audit.fixers.bundles import provide
from sentry_audit.fixers.js_web import NotClear, Patch, analysis_of, answered, init_at, reads, refusing
from sentry_audit.fixers.releasing import commit, kind_of
from sentry_audit.fixers.spelling import Spelling
from sentry_audit.fixers.texts import row_start
from sentry_audit.fixing import Edit, Refusal
from sentry_audit.javascript.names import CODE
from sentry_audit.javascript.syntax import options_of

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change
    from sentry_audit.model import Evidence

_COMMIT = "the commit"
_NAME = re.compile(r"(?:--build-arg )?([A-Za-z_]\w*)")
_VALUE = r"\$\([^()]*\)|\$\{\{[^}]*\}\}|\$\{[^}]*\}|[^\s,\"'\\]+"
_PASTE = ('SENTRY_RELEASE="$(git rev-parse HEAD)"',)


@refusing
def share(case: Case) -> Change:
    """Let what is not made from the commit be made from it, where the repository defines it."""
    fact = next((item for item in case.bad if isinstance(item, SharedRelease)), None)
    if fact is None or len(fact.evidence) < len(("front", "back")):
        raise NotClear("where the two releases come from was not followed", *_PASTE)
    texts: dict[str, str] = {}
    for made_from, place in zip((fact.source, fact.other), fact.evidence, strict=False):
        if made_from != _COMMIT:
            browsers = (place.path or "").endswith(CODE) and place == fact.evidence[0]
            more = _browsers(case) if browsers else [_given(case, place, texts)]
            texts |= {edit.path: edit.after or "" for edit in more}
    told = [item for item in case.scanned if isinstance(item, ReleaseStep) and "release" in item.does]
    also = f"; {told[0].evidence[0]} has to name the same" if told else ""
    return answered(
        f"will make the releases of both ends from the commit, in {', '.join(texts)}{also}",
        [Edit(path, text) for path, text in texts.items()],
        "review",
    )


def _given(case: Case, place: Evidence, texts: dict[str, str]) -> Edit:
    """The definition that gives a variable its value, which is the commit now. Raises NotClear."""
    path, line = place.path or "", place.line or 1
    item = next(
        (
            fact
            for fact in case.scanned
            if isinstance(fact, Deployment)
            and fact.path == path
            and (fact.line == line or any(one.line == line for one in fact.settings))
        ),
        None,
    )
    match = _NAME.match(place.saw)
    if item is None or match is None:
        raise NotClear(f"{place} says what the release is: let it be the commit", *_PASTE)
    text = texts.get(path, case.files.text(path) or "")
    told = commit(Spelling(case, item, "", text), kind_of(path, case))
    if isinstance(told, Refusal):
        raise NotClear(told.reason, *told.commands)
    found = re.compile(rf"(?<![\w$]){re.escape(match[1])}[ \t]*[=:][ \t]*[\"']?(?P<value>{_VALUE})").search(
        text, row_start(text, line)
    )
    if found is None:
        raise NotClear(f"{place} gives {match[1]} in a way that was not followed", *_PASTE)
    start, end = found.span("value")
    return Edit(path, text[:start] + told + text[end:])


def _browsers(case: Case) -> list[Edit]:
    """The release that code gives to a browser's init, read from a variable that the build has the commit in.

    Raises NotClear.
    """
    analysis = analysis_of(case)
    fact = next((item for item in case.facts if isinstance(item, Release)), None)
    item = init_at(analysis, fact) if fact is not None else None
    given = (options_of(item.call) or ({}, False))[0].get("release") if item is not None else None
    if item is None or given is None:
        raise NotClear("what init is given as its release was not found again", *_PASTE)
    expression = reads(analysis, "SENTRY_RELEASE")
    patch = Patch(item.source)
    patch.replace(given, expression)
    change = provide(case, expression.rpartition(".")[2], commit, _COMMIT)
    if isinstance(change, Refusal):
        raise NotClear(change.reason, *change.commands)
    return [patch.edit(), *change.edits]


ECOSYSTEM = "npm"
FIXERS = {"release-shared": share}
