"""A policy as it was read, and what its place says of the environment it is for."""

from __future__ import annotations

import re
from itertools import product
from posixpath import basename, dirname
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.csp import HOLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.model import Evidence

HEADER = "content-security-policy"
_MOST = 64
_KEPT = frozenset({"connect-src", "default-src", "script-src", "script-src-elem", "sandbox"})
_DEVELOPMENT = re.compile(r"(^|[._-])(dev|devel|develop|development|local|localhost|test|tests|testing)([._-]|$)")
#: Routes that answer with no page: what they forbid forbids nothing to the front end.
_NO_PAGE = re.compile(
    r"^/?(api|_next|_vercel|static|assets|media|uploads?|images?|fonts?|graphql|health\w*)\b|\.\w{2,5}$"
)
_ALL = re.compile(r"^/?(\(\.\*\)|:\w+\*|:\w+\(\.\*\)|\*\*?|\(\?!.*|\(\(\?!.*|)$")


class Policy(Struct, frozen=True):
    """One place that sets a policy.

    ``texts`` are what it may be, one of which it is, with ``HOLE`` for what only the running program knows. ``route``
    is what it is limited to (``""``: every page), ``condition`` what must hold that was not followed. ``unread`` says
    why nothing more is known of it.
    """

    texts: tuple[str, ...]
    evidence: Evidence
    route: str = ""
    condition: str = ""
    unread: str = ""


def combined(parts: Sequence[Sequence[str]], separator: str = "") -> list[str]:
    """Every text that joining one alternative of each part gives; one hole if there are too many."""
    total = 1
    for part in parts:
        total *= max(1, len(part))
    if total > _MOST:
        return [HOLE]
    return list(dict.fromkeys(separator.join(choice) for choice in product(*parts)))


def serialized(entries: Sequence[tuple[str, Sequence[Sequence[str]]]], open_: bool) -> list[str]:
    """The texts of a policy that is written as a table of directives; ``open_``: further ones come from elsewhere.

    Only what decides about connections, and about scripts at all, is kept.
    """
    kept = []
    for name, sources in entries:
        kebab = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower().replace("_", "-")
        if kebab in _KEPT or HOLE in name:
            kept.append(combined([[kebab if HOLE not in name else HOLE], *sources], " "))
    if open_:
        kept.append([HOLE])
    return combined(kept, "; ") if kept else [""]


def for_development(path: str) -> bool:
    """Whether a file's name, or its folder's, says that it is for development or tests only."""
    name = basename(path).lower()
    return bool(_DEVELOPMENT.search(name.rpartition(".")[0] or name)) or basename(dirname(path)) in {"dev", "local"}


def limited_to(route: str) -> str | None:
    """``""`` for a pattern that every page matches, None for one that only what is no page does; else the route."""
    if _ALL.match(route):
        return ""
    return None if _NO_PAGE.search(route) else route
