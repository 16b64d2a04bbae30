"""What fixers of Python code ask first: is the SDK there, where is its init, which version resolves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.facts import SdkDependency, SdkInit
from sentry_audit.fixers.projectstyle import line_length
from sentry_audit.fixers.pysource import Source
from sentry_audit.fixing import Change, Refusal
from sentry_audit.python import inits
from sentry_audit.python.paths import deployed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.fixing import Case, Edit
    from sentry_audit.python.inits import InitCall

#: A source that no longer parses with its change, or that could not be read in the first place.
UNPARSED = "the file could not be edited so that it still parses"


def source_of(case: Case, path: str) -> Source | None:
    """The module at ``path``, to be edited; None if it is not Python that can be read, or not deployed code."""
    module = case.program.module(path) if deployed(path) else None
    return Source(module, line_length(case.files, path)) if module is not None else None


def not_python(case: Case) -> Refusal | None:
    """That a Python fix is not for the component, if it is not: a refusal without a reason gives way to others."""
    if case.component.ecosystem != "pypi":
        return Refusal(reason="")
    return None


def sdk_missing(case: Case) -> Refusal | None:
    """Why code that imports the SDK may not be written yet: its image does not install it."""
    refused = not_python(case)
    if refused is not None:
        return refused
    found = next((fact for fact in case.facts if isinstance(fact, SdkDependency)), None)
    if found is not None and not found.declared and not found.unknown:
        return Refusal(
            reason=f"{case.component.name} does not install sentry-sdk, so the import would fail",
            commands=("sentry-audit fix --only backend-sdk-declared",),
        )
    return None


def version_of(case: Case) -> str:
    """The version of sentry-sdk that resolves for the component; the newest measured one if none is known."""
    found = next((fact for fact in case.facts if isinstance(fact, SdkDependency)), None)
    return (found.version if found is not None else "") or case.table.versions[-1]


def init_calls(case: Case) -> list[InitCall]:
    """The init calls that the component reaches."""
    places = {
        (fact.evidence[0].path, fact.evidence[0].line)
        for fact in case.facts
        if isinstance(fact, SdkInit) and fact.evidence
    }
    paths = dict.fromkeys(path for path, _ in sorted(places, key=str) if path and deployed(path))
    found = inits.find(case.program, paths)
    return [item for item in found if (item.module.path, item.call.lineno) in places]


def python_files(case: Case, tokens: Iterable[str]) -> list[str]:
    """The deployed files of the component that contain one of ``tokens``."""
    paths = case.files.search(list(tokens), ".py")
    return [path for path in paths if case.component.holds(path) and deployed(path)]


def changed(summary: str, sources: Iterable[Source], *, safety: str, more: Iterable[Edit] = ()) -> Change | Refusal:
    """The change that ``sources`` were prepared for; a refusal where one of them would not parse."""
    edits = [source.edit() for source in sources]
    if any(edit is None for edit in edits):
        return Refusal(reason=UNPARSED)
    whole = (*(edit for edit in edits if edit is not None), *more)
    return Change(summary=summary, safety=safety, edits=whole)
