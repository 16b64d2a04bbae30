"""Whether a front end's requests carry its trace: the tracing of its init, and which addresses it names as targets."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.guard import matches
from sentry_audit.javascript.following import Leading
from sentry_audit.javascript.options import instruments
from sentry_audit.javascript.origins import Base, bases, relative_request
from sentry_audit.javascript.syntax import entries, line_of, options_of, text_of, walk
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.following import Part
    from sentry_audit.javascript.inits import Init
    from sentry_audit.javascript.syntax import Source

#: The address in the documentation's example, which is nobody's.
PLACEHOLDER = re.compile(
    r"yourserver|your-server|your-?api|yourdomain|example\.(com|org)|myproject\.org", re.IGNORECASE
)
#: Route handlers of Next.js.
_HANDLER = re.compile(r"(^|/)(pages/api/.+|app/(.+/)?route)\.(ts|tsx|js|mjs)$")
#: Addresses of no one in particular: an entry that matches all of them matches any API.
_ANY = ("https://api.acme.dev/v1/x", "https://backend-7hq2.a.run.app/x", "http://203.0.113.9:8000/x")
_LOCAL = ("http://localhost:8000/x", "http://127.0.0.1:8000/x", "/api/x")


class Target(Struct, frozen=True):
    """One entry of ``tracePropagationTargets``: a ``text`` or ``regex`` that addresses must contain, or a value's parts."""

    text: str
    regex: bool = False
    flags: str = ""
    parts: tuple[Part, ...] = ()

    def matches(self, address: str) -> bool | None:
        """Whether requests to ``address`` match; None for what was not followed."""
        if self.parts:
            known = [part.text for part in self.parts if part.kind == "literal" and part.text]
            if any(text.rstrip("/") in address for text in known):
                return True
            return False if all(part.kind in {"literal", "origin"} for part in self.parts) else None
        if self.regex:
            return matches(self.text, address, self.flags)
        return self.text.lower() in address.lower() if "i" in self.flags else self.text in address

    @property
    def is_placeholder(self) -> bool:
        """Whether it is the documentation's example."""
        return bool(PLACEHOLDER.search(self.text))

    @property
    def is_local(self) -> bool:
        """Whether it matches the machines of developers and the page's own origin only."""
        if self.parts:
            return all(part.kind == "origin" for part in self.parts)
        return any(self.matches(item) for item in _LOCAL) and not any(self.matches(item) for item in _ANY)


class Targets(Struct, frozen=True):
    """What one init names as targets. ``listed`` is None where it names none.

    Then the page's own origin is the only one, and up to version 7 ``usual``: the default, a developer's machine.
    """

    listed: tuple[Target, ...] | None = None
    usual: tuple[Target, ...] = ()
    unknown: str = ""
    evidence: Evidence | None = None

    def cover(self, variable: str, addresses: list[str]) -> bool | None:
        """Whether requests to an API match: to one of ``addresses``, or to what ``variable`` holds."""
        verdicts: list[bool | None] = []
        for target in self.usual if self.listed is None else self.listed:
            if variable and any(part.kind == "env" and part.text == variable for part in target.parts):
                return True
            if addresses:
                verdicts += [target.matches(f"{item.rstrip('/')}/x") for item in addresses]
            elif target.is_placeholder or target.is_local:
                verdicts.append(False)
            else:
                verdicts.append(True if all(target.matches(item) for item in _ANY) else None)
        if True in verdicts:
            return True
        return None if None in verdicts or self.unknown else False

    @property
    def elsewhere(self) -> bool:
        """Whether some entry means another origin than the page's, and not only a developer's machine."""
        return any(not target.is_placeholder and not target.is_local for target in self.listed or ())


class Sender:
    """One front end: whether its init ``traces`` (None: not followed), and whether it ``instruments`` requests.

    Where they go is read when that is first asked for.
    """

    def __init__(self, analysis: Analysis, item: Init, options: dict[str, Any], spread: bool) -> None:
        self.name = analysis.frontend.fact.name
        self.evidence = item.evidence
        self.traces, self.problem = _traces(analysis, item, options, spread)
        self.instruments = instruments(analysis, item, options)
        self._leading = Leading(analysis)
        self.targets = _targets(analysis, item, options, spread, self._leading)

    @cached_property
    def bases(self) -> list[Base]:
        """The addresses that its API clients begin with."""
        return bases(self._leading)

    @cached_property
    def answers(self) -> str:
        """A route handler of the front end's own server, which answers what is asked at its origin; ``""`` if none may."""
        analysis = self._leading.analysis
        if analysis.frontend.framework != "nextjs" or "rewrites" in analysis.config("next.config"):
            return ""
        mine = (path for path in analysis.loading.code if _HANDLER.search(path))
        return min(mine, default="")

    @cached_property
    def relative(self) -> Evidence | None:
        """A request to the page's own origin."""
        return relative_request(self._leading)


def sender(analysis: Analysis) -> Sender | None:
    """What is known of the requests of a front end; None if no init runs that could be followed."""
    for item in analysis.loaded:
        read = options_of(item.call)
        if read is not None:
            return Sender(analysis, item, *read)
    return None


def _traces(analysis: Analysis, item: Init, options: dict[str, Any], spread: bool) -> tuple[bool | None, str]:
    """(whether the browser samples traces, why not)."""
    rate = options.get("tracesSampleRate")
    if rate is not None and re.fullmatch(r"0(\.0*)?", text_of(rate)):
        return False, "its tracesSampleRate is 0, which tells the back end not to sample either"
    sampled = rate is not None or "tracesSampler" in options or text_of(options.get("enableTracing")) == "true"
    if not sampled:
        return (None, "") if spread else (False, "its init has no tracesSampleRate")
    if instruments(analysis, item, options):
        return True, ""
    return (None, "") if spread else (False, "its init has no browserTracingIntegration()")


def _targets(analysis: Analysis, item: Init, options: dict[str, Any], spread: bool, leading: Leading) -> Targets:
    node = options.get("tracePropagationTargets")
    if node is None:
        node = _in_integration(options.get("integrations"))
    major = re.match(r"\d+", analysis.version(item.package))
    if node is None:
        usual = (Target("localhost"),) if major and int(major[0]) < 8 else ()
        unknown = (
            "init's options are spread from elsewhere, so its tracePropagationTargets are not known" if spread else ""
        )
        return Targets(None, usual, unknown, item.evidence)
    source, here = item.source, Evidence(item.source.path, line_of(node), None, None, text_of(node)[:80])
    node, source = _array(node, source, leading)
    if node is None:
        return Targets((), (), "what tracePropagationTargets holds was not followed", here)
    flags = "i" if major and int(major[0]) >= 11 else ""
    found: list[Target] = []
    unknown = ""
    for entry in node.named_children:
        if entry.type == "comment":
            continue
        target = _target(entry, source, leading, flags)
        if target is None:
            unknown = f"{text_of(entry)[:60]} in tracePropagationTargets was not followed"
        else:
            found.append(target)
    return Targets(tuple(found), (), unknown, here)


def _in_integration(node: Any) -> Any:
    """The targets in ``browserTracingIntegration({…})`` or ``new BrowserTracing({…})``, as version 7 took them."""
    for item in walk(node) if node is not None else ():
        if item.type == "object":
            inside, _ = entries(item)
            for key in ("tracePropagationTargets", "tracingOrigins"):
                if key in inside:
                    return inside[key]
    return None


def _array(node: Any, source: Source, leading: Leading) -> tuple[Any, Source]:
    """The array that an expression is, through one name."""
    if node.type in {"identifier", "shorthand_property_identifier"}:
        name = text_of(node)
        known = source.imports.get(name)
        if name not in source.constants and known is not None:
            path = leading.analysis.loading.locate(known.module, source.path)
            other = leading.source(path) if path else None
            if other is not None:
                source, name = other, known.name
        node = source.constants.get(name, node)
    while node is not None and node.type in {"as_expression", "satisfies_expression", "parenthesized_expression"}:
        node = node.named_children[0]
    return (node, source) if node is not None and node.type == "array" else (None, source)


def _target(node: Any, source: Source, leading: Leading, flags: str) -> Target | None:
    if node.type == "regex":
        pattern = text_of(node.child_by_field_name("pattern"))
        return Target(pattern, regex=True, flags=flags + text_of(node.child_by_field_name("flags")))
    parts = tuple(leading.follow(node, source))
    if not parts or any(part.kind == "unknown" for part in parts):
        return None
    if len(parts) == 1 and parts[0].kind == "literal":
        return Target(parts[0].text, flags=flags)
    return Target(text_of(node)[:60], flags=flags, parts=parts)
