"""What leaves a Python program besides its errors: scrubbing, personal data, prompts."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.facts import Dependency, RequestContext, Tracing
from sentry_audit.fixers.common import changed, init_calls, not_python, python_files, source_of, version_of
from sentry_audit.fixers.listing import list_integrations
from sentry_audit.fixers.people import set_user
from sentry_audit.fixers.pycalls import add_arguments, argument, remove_argument, replace_value
from sentry_audit.fixing import Refusal
from sentry_audit.python.integrations import LLMS, PACKAGE
from sentry_audit.sdk_table import key

if TYPE_CHECKING:
    from sentry_audit.fixers.pysource import Source
    from sentry_audit.fixing import Case, Change, Edit, Fixer
    from sentry_audit.python.inits import InitCall

_NO_INIT = "the call of sentry_sdk.init was not found as plain code"


def one_init(case: Case) -> tuple[InitCall, Source] | Refusal:
    """The init call that the finding is about, and its file."""
    refused = not_python(case)
    if refused is not None:
        return refused
    found = init_calls(case)
    places = {(place.path, place.line) for place in case.finding.evidence}
    mine = [
        item
        for item in found
        if any(
            path == item.module.path and line is not None and item.call.lineno <= line <= (item.call.end_lineno or line)
            for path, line in places
        )
    ]
    chosen = mine[0] if mine else found[0] if len(found) == 1 else None
    if chosen is None:
        return Refusal(reason=_NO_INIT if not found else "several calls of sentry_sdk.init are reached")
    source = source_of(case, chosen.module.path)
    return (chosen, source) if source is not None else Refusal(reason=_NO_INIT)


def keep_personal(case: Case) -> Change | Refusal:
    """Do not send personal data by default."""
    found = one_init(case)
    if isinstance(found, Refusal):
        return found
    init, source = found
    given = argument(init.call, "send_default_pii")
    if given is None or not isinstance(given.value, ast.Constant):
        return Refusal(reason="send_default_pii comes from configuration: set it to False there")
    version = version_of(case)
    where = f"{init.module.path}: nothing personal is sent then but what set_user is given"
    if key(version) >= (2, 72):  # the option itself is deprecated from there on, and False is its default
        remove_argument(source, init.call, given)
        summary = f"will remove send_default_pii in {where}"
    else:
        replace_value(source, init.call, given, "False")
        summary = f"will set send_default_pii to False in {where}"
    return changed(summary, [source], safety="review", more=_user_instead(case, init.module.path))


def _user_instead(case: Case, path: str) -> tuple[Edit, ...]:
    """What tells Sentry the user's id from now on, where only ``send_default_pii`` did; nothing if that is not clear."""
    if not any(isinstance(fact, RequestContext) and fact.has_authentication for fact in case.facts):
        return ()
    if python_files(case, ("set_user(",)):
        return ()
    told = set_user(case)
    if isinstance(told, Refusal) or any(edit.path == path for edit in told.edits):
        return ()
    return told.edits


def restore_scrubber(case: Case) -> Change | Refusal:
    """Take out what switches the SDK's own scrubber off."""
    found = one_init(case)
    if isinstance(found, Refusal):
        return found
    init, source = found
    given = argument(init.call, "data_collection")
    if given is None:
        return Refusal(reason="data_collection is set outside the call of init: remove it there")
    remove_argument(source, init.call, given)
    return changed(
        f"will remove data_collection in {init.module.path}, so that the EventScrubber works again",
        [source],
        safety="review",
    )


def keep_prompts(case: Case) -> Change | Refusal:
    """Do not send what models are asked and answer."""
    found = one_init(case)
    if isinstance(found, Refusal):
        return found
    init, source = found
    version = version_of(case)
    names = [PACKAGE + LLMS[name] for name in _models(case)]
    known = [name for name in names if case.table.has_argument(name, "include_prompts", version)]
    if not known:
        return Refusal(reason=f"no integration of the models in use takes include_prompts in sentry-sdk {version}")
    more = list_integrations(case, source, init, dict.fromkeys(known, "include_prompts=False"))
    if isinstance(more, Refusal):
        return more
    add_arguments(source, init.call, more)
    shown = ", ".join(name.rsplit(".", 1)[-1] for name in known)
    return changed(f"will keep prompts out: {shown}(include_prompts=False)", [source], safety="review")


def _models(case: Case) -> list[str]:
    """The libraries that call models, as installed."""
    found = {fact.library for fact in case.facts if isinstance(fact, Tracing) and fact.area == "llm"}
    if not found:
        found = {fact.name for fact in case.scanned if isinstance(fact, Dependency) and case.component.holds(fact.path)}
    return [name for name in LLMS if name in found]


FIXERS: dict[str, Fixer] = {
    "privacy-default-pii": keep_personal,
    "privacy-scrubber-active": restore_scrubber,
    "llm-prompts-private": keep_prompts,
}
