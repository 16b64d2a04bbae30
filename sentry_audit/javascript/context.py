"""Whether events of a front end say whose they are: ``setUser`` after signing in, and nothing after signing out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import FrontendUser
from sentry_audit.javascript.syntax import enclosing_functions, entries, line_of, options_of, text_of, walk
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source

#: Packages that sign users in, in browsers.
_SIGNS_IN = re.compile(
    r"^(next-auth|@auth/.+|@clerk/.+|@auth0/.+|auth0-js|better-auth|aws-amplify|@aws-amplify/.+|@azure/msal-.+|keycloak-js"
    r"|@react-keycloak/.+|oidc-client(-ts)?|react-oidc-context|@okta/.+|@supabase/(ssr|auth-.+)|@workos-inc/.+|@stackframe/.+"
    r"|@propelauth/.+|supertokens-.+|@descope/.+|@privy-io/.+|lucia|iron-session|angular-oauth2-oidc|@nuxtjs/auth.*|nuxt-auth-utils)$"
)
#: Files that sign users in by their names: app/login/page.tsx, src/contexts/AuthContext.tsx, stores/auth.ts.
_FILES = re.compile(
    r"(^|/)\(?(log-?in|sign-?in)\)?(/page|/index|/\+page|-?(page|form|view|screen|container))?\.(tsx?|jsx?|vue|svelte)$"
    r"|(^|/)(use-?)?auth(entication)?-?(context|provider|store|service|slice|guard)?(\.service)?\.(tsx?|jsx?|vue|svelte)$",
    re.IGNORECASE,
)
_EMPTY = frozenset({"null", "undefined", "{}"})


def user(analysis: Analysis) -> FrontendUser:
    """One fact about who events are said to be of."""
    known = _authentication(analysis)
    setters = [place for path in analysis.mentioning for place in _setters(analysis, path)]
    setters = [item for item in setters if analysis.loading.runs(item[0].path or "")]
    given = [here for here, empty in setters if empty is not True]
    cleared = [here for here, empty in setters if empty is True]
    unsure = next((here for here, empty in setters if empty is None), None)
    if known is not None and unsure is not None and not cleared:
        reason = f"{unsure} sets the user to what it is given: whether that is ever nothing was not followed"
        return FrontendUser(has_authentication=True, sets_user=True, unknown=reason, evidence=(known, unsure))
    sets, clears = bool(given) or _initial(analysis), bool(cleared)
    problem = ""
    if known is not None and not sets:
        problem = f"users sign in ({known.saw}), and nothing that browsers load calls Sentry's setUser: events do not say whom they hit"
    elif known is not None and given and not clears:
        problem = f"{given[0]} sets the user, and nothing clears it: after signing out, events still carry the last one"
    evidence = (*((known,) if known is not None else ()), *given[:3], *cleared[:3])
    return FrontendUser(
        has_authentication=known is not None, sets_user=sets, clears_user=clears, problem=problem, evidence=evidence
    )


def _authentication(analysis: Analysis) -> Evidence | None:
    """What shows that users sign in: a dependency made for it, else a file that is named for it."""
    manifest = analysis.frontend.manifest
    for name, (specifier, _, line) in sorted(manifest.dependencies.items()):
        if _SIGNS_IN.match(name):
            return Evidence(manifest.path, line, saw=f"{name} {specifier}")
    for path in analysis.loading.code:
        if _FILES.search(path):
            return Evidence(path, saw=path.rpartition("/")[2])
    return None


def _setters(analysis: Analysis, path: str) -> Iterator[tuple[Evidence, bool | None]]:
    """(the place, whether it clears the user; None if that depends on who calls) of each ``setUser`` of the SDK."""
    if "setUser" not in (analysis.files.text(path) or ""):
        return
    source = analysis.source(path)
    if source is None:
        return
    for node in set_user_calls(source):
        arguments = node.child_by_field_name("arguments").named_children
        here = Evidence(path, line_of(node), saw=text_of(node).partition("\n")[0][:80])
        value = arguments[0] if arguments else None
        if value is None or text_of(value) in _EMPTY:
            yield here, True
            continue
        if value.type == "identifier" and text_of(value) in source.constants:
            value = source.constants[text_of(value)]
        yield here, None if _depends_on_caller(value) else False
        if _may_be_empty(value):
            yield here, True


def set_user_calls(source: Source) -> Iterator[Any]:
    """The calls of the SDK's ``setUser`` in a file."""
    for node in walk(source.root):
        function = node.child_by_field_name("function") if node.type == "call_expression" else None
        if function is not None and _is_set_user(function, source):
            yield node


def _is_set_user(function: Any, source: Source) -> bool:
    """``Sentry.setUser``, ``setUser`` of the SDK, ``scope.setUser``; not a ``useState`` of that name."""
    if function.type == "identifier":
        known = source.imports.get(text_of(function))
        return known is not None and known.name == "setUser" and known.module.startswith("@sentry/")
    if function.type != "member_expression" or text_of(function.child_by_field_name("property")) != "setUser":
        return False
    owner = text_of(function.child_by_field_name("object"))
    known = source.imports.get(re.split(r"[.?(!]", owner)[0])
    return (known is not None and known.module.startswith("@sentry/")) or bool(re.search(r"[sS]cope|[sS]entry", owner))


def _depends_on_caller(value: Any) -> bool:
    """A parameter of the function around it, or an object that holds nothing else."""
    functions = enclosing_functions(value)
    parameters = functions[0].child_by_field_name("parameters") if functions else None
    if parameters is None:
        return False
    names = set(re.findall(r"[A-Za-z_$][\w$]*", text_of(parameters)))
    if value.type == "object":
        parts = [part.child_by_field_name("value") if part.type == "pair" else part for part in value.named_children]
        return bool(parts) and all(text_of(part) in names for part in parts)
    return value.type == "identifier" and text_of(value) in names


def _may_be_empty(value: Any) -> bool:
    """``user ? {…} : null``, ``user ?? null``: one call that both sets and clears."""
    if value.type == "ternary_expression":
        return any(text_of(part) in _EMPTY for part in value.named_children[1:])
    return value.type == "binary_expression" and text_of(value.named_children[-1]) in _EMPTY


def _initial(analysis: Analysis) -> bool:
    """Whether init is given a user: ``initialScope: { user: … }``."""
    for item in analysis.loaded:
        options, _ = options_of(item.call) or ({}, True)
        scope = options.get("initialScope")
        if scope is not None and scope.type == "object" and "user" in entries(scope)[0]:
            return True
    return False
