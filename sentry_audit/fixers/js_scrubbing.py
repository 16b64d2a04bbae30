"""What browsers send as it is: replays without masks, transactions that a hook for errors never sees.

Sources: docs.sentry.io/platforms/javascript/session-replay/privacy (the masks are on by default),
configuration/options (``beforeSendTransaction``), migration/v10-to-v11 (``beforeSendSpan``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.facts import Privacy
from sentry_audit.fixers.js_entries import remove_entries
from sentry_audit.fixers.js_web import NotClear, Patch, analysis_of, answered, bad_of, init_at, refusing
from sentry_audit.javascript.privacy import MASKS, REQUESTS, misses_transactions
from sentry_audit.javascript.syntax import entries, line_of, options_of, text_of, walk

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change
    from sentry_audit.javascript.inits import Init

_REMARKS = re.compile(r"mask|block|replay|text|media|input|show|visible|readable|unredacted", re.IGNORECASE)


@refusing
def scrub(case: Case) -> Change:
    """Give replays their masks back, scrub transactions as errors are scrubbed, or what a server sends of requests."""
    from sentry_audit.fixers.js_requests import scrub_requests
    from sentry_audit.fixers.js_transactions import scrub_transactions

    analysis = analysis_of(case)
    patches: dict[str, Patch] = {}
    told: dict[str, None] = {}
    for fact in bad_of(case):
        assert isinstance(fact, Privacy)
        item = init_at(analysis, fact)
        patch = patches.setdefault(item.source.path, Patch(item.source))
        if fact.unscrubbed.startswith("replays"):
            _mask(patch, item, fact.evidence[-1].line)
            told["mask what users see and type in replays"] = None
        if fact.unscrubbed.startswith(REQUESTS):
            scrub_requests(analysis, patch, item)
            told["take what may be personal out of what the server sends"] = None
        elif misses_transactions(analysis, item, (options_of(item.call) or ({}, True))[0]):
            scrub_transactions(analysis, patch, item)
            told["scrub transactions as errors are scrubbed"] = None
    where = ", ".join(patches)
    edits = [patch.edit() for patch in patches.values()]
    return answered(f"will {' and '.join(told)}, in {where}", edits, "review")


def _mask(patch: Patch, item: Init, line: int | None) -> None:
    """Take out ``maskAllText: false`` and its like: masks are on where nothing is said."""
    calls = [node for node in walk(item.given) if node.type in {"call_expression", "new_expression"}]
    for call in calls:
        listed = call.child_by_field_name("arguments")
        first = listed.named_children[0] if listed is not None and listed.named_children else None
        if first is None or first.type != "object" or line_of(call) != line or call == item.call:
            continue
        given, spread = entries(first)
        off = [name for name in MASKS if text_of(given.get(name)) == "false"]
        if not off:
            continue
        if len(off) == len(first.named_children) and not spread:
            patch.replace(listed, "()")  # nothing else is said
        else:
            remove_entries(patch, first, [given[name].parent for name in off], _REMARKS)
        return
    raise NotClear(
        f"where the masks of replays are switched off at {item.evidence} was not found again",
        "Sentry.replayIntegration({ maskAllText: true, maskAllInputs: true, blockAllMedia: true })",
    )


ECOSYSTEM = "npm"
FIXERS = {"privacy-scrubbing": scrub}
