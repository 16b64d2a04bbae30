"""A Content Security Policy that is written as a text: Sentry's host among those that pages may connect to.

Source: docs.sentry.io/platforms/javascript/troubleshooting; www.w3.org/TR/CSP3.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.facts import ContentPolicy
from sentry_audit.fixers.js_web import NotClear, answered, bad_of, refusing
from sentry_audit.fixing import Edit

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change

#: Where sentry.io takes events today; which of the two is decided when the organisation is made.
_TODAY = "https://*.ingest.us.sentry.io https://*.ingest.de.sentry.io"
_SOURCE = r"(?:'[\w+/=-]+'|[^\s;\"'`,\\$<>]+)"
_CONNECT = re.compile(rf"(?<![\w-])connect-src(?P<sources>(?:[ \t]+{_SOURCE})+)")
_DEFAULT = re.compile(rf"(?<![\w-])default-src(?P<sources>(?:[ \t]+{_SOURCE})+)")
_HOSTS = re.compile(r"not to (.+), and there is no tunnel")


@refusing
def fix(case: Case) -> Change:
    """Add the host of the DSN to connect-src, or connect-src where only default-src is there."""
    facts = [fact for fact in bad_of(case) if isinstance(fact, ContentPolicy)]
    if not facts:
        raise NotClear("the policy was not found again")
    wanted = _wanted(facts[0].problem)
    paste = f"connect-src 'self' {wanted};"
    path = facts[0].evidence[0].path or ""
    text = case.files.text(path)
    if text is None:
        raise NotClear(f"{path} could not be read", paste)
    found = list(_CONNECT.finditer(text))
    if len(found) == 1 and text.count("connect-src") == 1:
        after = _extended(text, found[0], wanted)
    elif not found and "connect-src" not in text and "connectSrc" not in text:
        default = list(_DEFAULT.finditer(text))
        if len(default) != 1:
            raise NotClear(f"where the policy of {path} says what pages may connect to was not followed", paste)
        sources = default[0]["sources"].split()
        listed = " ".join(source for source in sources if source != "'none'")
        directive = " ".join(filter(None, ["connect-src", listed, wanted]))
        after = f"{text[: default[0].end()]}; {directive}{text[default[0].end() :]}"
    else:
        raise NotClear(f"{path} writes its policy as a list, or several of them", paste)
    return answered(f"will let pages connect to {wanted} in the policy of {path}", [Edit(path, after)], "review")


def _wanted(problem: str) -> str:
    if "which needs 'self'" in problem:
        return "'self'"
    found = _HOSTS.search(problem)
    if found is None:
        raise NotClear(problem)
    if found[1] == "Sentry's ingest host":
        return _TODAY
    return " ".join(f"https://{host}" for host in found[1].split(" or "))


def _extended(text: str, found: re.Match[str], wanted: str) -> str:
    if found["sources"].split() == ["'none'"]:
        return f"{text[: found.start('sources')]} {wanted}{text[found.end() :]}"
    return f"{text[: found.end()]} {wanted}{text[found.end() :]}"


ECOSYSTEM = "npm"
FIXERS = {"frontend-csp-allows-sentry": fix}
