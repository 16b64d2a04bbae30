"""Content Security Policy: whether a policy lets a page connect to an address, as browsers decide it.

The matching is that of Content Security Policy Level 3, section 6.7.2: https://www.w3.org/TR/CSP3/#match-url-to-source-list.
A policy may hold parts that only the running program knows; each is written as ``HOLE``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from sentry_audit.guard import both

if TYPE_CHECKING:
    from urllib.parse import SplitResult

#: Stands for a part of a policy that is not known: never a ``;`` inside a directive that something else stands in.
HOLE = "\ufffc"
_HOST_SOURCE = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<host>\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)(?::(?P<port>\d+|\*))?(?P<path>/[^?#]*)?",
    re.IGNORECASE,
)
_SCHEME_SOURCE = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_HOLED = re.compile(r"(?:(?P<scheme>[^:/]*)://)?(?P<host>[^/:]*)(?::[^/]*)?(?:/.*)?")
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_ENDS_OPEN = re.compile(rf"[\w'*]{HOLE}$")


def directives(policy: str) -> dict[str, list[str]]:
    """The directives of one policy: name → sources. Of two with the same name the first counts."""
    found: dict[str, list[str]] = {}
    for part in policy.split(";"):
        words = part.split()
        if words:
            found.setdefault(words[0].lower(), words[1:])
    return found


def connect_sources(policy: str) -> list[str] | None:
    """The sources that decide about connections: of connect-src, else of default-src; None if nothing restricts them.

    Where a hole may hold the directive that decides, it is among the sources.
    """
    known = directives(policy)
    order = list(known)
    holes = [name for name in order if HOLE in name]
    if "connect-src" in known:
        earlier = any(order.index(name) < order.index("connect-src") for name in holes)
        return [*known["connect-src"], *([HOLE] if earlier else [])]
    if "default-src" in known:
        return [*known["default-src"], *([HOLE] if holes else [])]
    return [HOLE] if holes else None


def allows(policy: str, url: str, same_origin: bool = False) -> bool | None:
    """Whether a header of this text lets a page connect to ``url``; None if that depends on what is not known.

    ``same_origin``: ``url`` is of the page's own origin, whose host is not known. A header may hold several policies,
    parted by commas: each must allow it.
    """
    answer: bool | None = True
    for part in policy.split(","):
        sources = connect_sources(part)
        if sources is not None:
            answer = both(answer, _listed(sources, urlsplit(url), same_origin))
    return answer


def runs_scripts(policy: str) -> bool:
    """Whether any script can run under a policy: if none can, no page that runs an SDK is under it."""
    known = directives(policy.partition(",")[0])
    if "sandbox" in known and not {"allow-scripts", HOLE} & {flag.lower() for flag in known["sandbox"]}:
        return False
    sources = next((known[name] for name in ("script-src-elem", "script-src", "default-src") if name in known), ["*"])
    return bool(sources) and [source.lower() for source in sources] != ["'none'"]


def _listed(sources: list[str], url: SplitResult, same_origin: bool) -> bool | None:
    answers = [source_matches(source, url, same_origin) for source in sources]
    if True in answers:
        return True
    return None if None in answers else False


def source_matches(source: str, url: SplitResult, same_origin: bool = False) -> bool | None:
    """Whether one source expression matches an address; None if that depends on what is not known."""
    if HOLE in source:
        return _holed(source, url)
    if source.startswith("'"):
        return same_origin and source.lower() == "'self'"
    if source == "*":
        return url.scheme in _PORTS
    if match := _SCHEME_SOURCE.fullmatch(source):
        return _scheme(match[1].lower(), url.scheme)
    match = _HOST_SOURCE.fullmatch(source)
    if match is None:
        return False  # such as https://*.ingest.*.sentry.io: browsers ignore what is no source expression
    scheme = _scheme(match["scheme"].lower(), url.scheme) if match["scheme"] else True
    if same_origin and match["host"] != "*":
        return None if scheme is not False else False
    return both(scheme, _host(match["host"].lower(), url) and _port(match["port"], url) and _path(match["path"], url))


def _scheme(wanted: str, actual: str) -> bool | None:
    """Http also means https. That ws means http, and wss https, is in the standard and not in every browser."""
    if wanted == actual or (wanted == "http" and actual == "https"):
        return True
    return None if wanted in {"ws", "wss"} and actual == "https" else False


def _host(pattern: str, url: SplitResult) -> bool:
    host = (url.hostname or "").lower()
    if pattern.startswith("*"):
        return host.endswith(pattern[1:])
    return host == pattern


def _port(pattern: str | None, url: SplitResult) -> bool:
    actual = url.port or _PORTS.get(url.scheme)
    if pattern is None:
        return actual == _PORTS.get(url.scheme)
    return pattern == "*" or int(pattern) == actual or (pattern == "80" and actual == 443)


def _path(pattern: str | None, url: SplitResult) -> bool:
    """A path that ends in a slash means all below it, any other itself; ``*`` means nothing in a path."""
    if not pattern or pattern == "/":
        return True
    wanted, actual = unquote(pattern), unquote(url.path)
    return actual.startswith(wanted) if wanted.endswith("/") else actual == wanted


def _holed(source: str, url: SplitResult) -> bool | None:
    """None if some text in place of the holes could make ``source`` match, else False."""
    if source.startswith("'") and source.endswith("'"):
        return False
    if source == HOLE or _ENDS_OPEN.search(source):
        return None  # the hole may begin with a space: then it holds further sources
    match = _HOLED.fullmatch(source)
    if match is None:
        return None
    scheme = (match["scheme"] or "").replace(HOLE, "").lower()
    if scheme and HOLE not in (match["scheme"] or "") and not _scheme(scheme, url.scheme):
        return False
    pattern = ".*".join(re.escape(part) for part in match["host"].lower().split(HOLE))
    return None if re.fullmatch(pattern.replace(r"\*\.", r".*\."), (url.hostname or "").lower()) else False
