"""Whose events they are: ``setUser`` where a front end is known to learn who signed in, and nobody after signing out.

The id alone is sent. Where no such place is known, what to paste. The ways are tried from what a library vouches for to
what the application keeps itself: the hook of a library whose provider is rendered, a listener of Firebase or Supabase,
the state of a context, a store of zustand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.facts import FrontendUser
from sentry_audit.fixers import js_user_clearing, js_user_hooks, js_user_listeners, js_user_states
from sentry_audit.fixers.js_web import NotClear, analysis_of, answered, bad_of, named, refusing

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change

_WAYS = (
    js_user_hooks.component, js_user_listeners.listener, js_user_states.context, js_user_states.store, js_user_states.redux,
)  # fmt: skip
_PASTE = ("Sentry.setUser({ id: user.id }); // after signing in", "Sentry.setUser(null); // after signing out")


@refusing
def user(case: Case) -> Change:
    """Call ``setUser`` where users are known to have signed in and out."""
    analysis = analysis_of(case)
    if not analysis.package:
        raise NotClear(f"{analysis.frontend.manifest.path} has no Sentry SDK yet: nothing could be imported", *_PASTE)
    facts = [fact for fact in bad_of(case) if isinstance(fact, FrontendUser)]
    known = next((here for fact in facts for here in fact.evidence), None)
    where = f" ({known})" if known is not None else ""
    if any(fact.unknown for fact in facts):
        raise NotClear(f"{facts[0].unknown}: pass it null after signing out", _PASTE[1])
    if any(fact.sets_user for fact in facts):
        edit = js_user_clearing.cleared(analysis, facts[0].evidence)
        return answered(f"will forget the user after signing out, in {edit.path}", [edit], "review")
    for way in _WAYS:
        edits = way(analysis)
        if edits:
            paths = named([edit.path for edit in edits])
            return answered(f"will tell Sentry the user's id, and to forget it, in {paths}", edits, "review")
    raise NotClear(
        f"where users have signed in, and where they sign out, is known to the application only{where}", *_PASTE
    )


ECOSYSTEM = "npm"
FIXERS = {"frontend-user-context": user}
