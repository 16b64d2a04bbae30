"""What the init of a browser sends of users: personal data that is asked for, and what is collected by default.

Sources: docs.sentry.io/platforms/javascript/migration/v10-to-v11 (Data Collection), @sentry/core ``DataCollection``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.facts import Privacy
from sentry_audit.fixers.js_entries import add_rows, is_lined, remove_entries, written
from sentry_audit.fixers.js_web import (
    NotClear,
    Patch,
    add_entry,
    analysis_of,
    answered,
    bad_of,
    init_at,
    named,
    options_node,
    pair_of,
    refusing,
)
from sentry_audit.javascript.privacy import PERSONAL, asked_for, collection_of, knows_collection
from sentry_audit.javascript.syntax import entries, options_of, text_of

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init

#: Names in headers and queries that tell of users: what 10 denied of them by default (``PII_HEADER_SNIPPETS``).
_DENIED = '{ deny: ["forwarded", "-ip", "remote-", "via", "-user"] }'
#: What 10 sent without ``sendDefaultPii``, in the words of 11. Local variables and source lines stay as they are.
_STRICT = {
    "userInfo": "false",
    "cookies": "false",
    "httpHeaders": _DENIED,
    "httpBodies": "[]",
    "urlQueryParams": _DENIED,
    "genAI": "{ inputs: false, outputs: false }",
    "databaseQueryData": "false",
}
_REMARKS = re.compile(
    r"sendDefaultPii|\bPII\b|personal|identif|\bIPs?\b|cookies|sensitive|privacy|GDPR|user data|user info",
    re.IGNORECASE,
)


@refusing
def default_pii(case: Case) -> Change:
    """Take out what asks for personal data; ``setUser`` says what is needed of users."""
    analysis = analysis_of(case)
    patches: dict[str, Patch] = {}
    told: list[str] = []
    for fact in bad_of(case):
        assert isinstance(fact, Privacy)
        item = init_at(analysis, fact)
        patch = patches.setdefault(item.source.path, Patch(item.source))
        node = options_node(item)
        pair = pair_of(node, "sendDefaultPii")
        if pair is not None and text_of(pair.child_by_field_name("value")) == "true":
            remove_entries(patch, node, [pair], _REMARKS)
            told.append("sendDefaultPii")
        else:
            told += _closed(patch, analysis, item)
    if not told:
        raise NotClear("what asks for personal data was not found again")
    where = ", ".join(patches)
    said = "remove sendDefaultPii" if "sendDefaultPii" in told else f"switch {named(list(dict.fromkeys(told)))} off"
    summary = f"will {said} in {where}: nothing personal is sent then but what setUser is given"
    return answered(summary, [patch.edit() for patch in patches.values()], "review")


def _closed(patch: Patch, analysis: Analysis, item: Init) -> list[str]:
    """The entries of ``dataCollection`` that are switched off."""
    options, _ = options_of(item.call) or ({}, True)
    collection = collection_of(item, options)
    asked = asked_for(collection) if knows_collection(analysis, item) else []
    for key in asked:
        patch.replace(entries(collection)[0][key], _STRICT[key])
    return [f"dataCollection.{key}" for key in asked]


@refusing
def collection(case: Case) -> Change:
    """Say with ``dataCollection`` that no more is collected than 10 did by default."""
    analysis = analysis_of(case)
    patches: dict[str, Patch] = {}
    for fact in bad_of(case):
        assert isinstance(fact, Privacy)
        item = init_at(analysis, fact)
        patch = patches.setdefault(item.source.path, Patch(item.source))
        _collect(patch, item)
    if not patches:
        raise NotClear("the init that collects too much was not found again")
    where = ", ".join(patches)
    summary = f"will keep cookies, bodies and who the user is from being collected, with dataCollection in {where}"
    return answered(summary, [patch.edit() for patch in patches.values()], "review")


def _collect(patch: Patch, item: Init) -> None:
    options, _ = options_of(item.call) or ({}, True)
    given = collection_of(item, options)
    block = ["dataCollection: {", *(f"  {key}: {value}," for key, value in _STRICT.items()), "}"]
    node = options_node(item)
    if given is not None and not given.named_children:
        pair = pair_of(node, "dataCollection")
        rows = ["{", *block[1:]]
        patch.replace(given, written(patch, rows, patch.indent_of(pair if given.parent == pair else given)))
        return
    if given is not None:
        rows = [f"{key}: {_STRICT[key]}" for key in PERSONAL]
        lined = given.start_point[0] != given.named_children[0].start_point[0]
        gap = f",{patch.style.end}{patch.indent_of(given.named_children[0])}" if lined else ", "
        add_entry(patch, given, gap.join(rows))
        return
    old = pair_of(node, "sendDefaultPii")  # 11 has it no more
    if old is not None and text_of(old.child_by_field_name("value")) == "false" and is_lined(node):
        patch.replace(old, written(patch, block, patch.indent_of(old)))
        return
    add_rows(patch, node, block, "environment" if pair_of(node, "environment") is not None else "dsn")


ECOSYSTEM = "npm"
FIXERS = {"privacy-default-pii": default_pii, "privacy-scrubber-active": collection}
