"""Where the events of a front end are to go, and how they leave the page: to the DSN's host, or through a tunnel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from sentry_audit import csp, dsn
from sentry_audit.deployment.environments import speaks_of
from sentry_audit.facts import Dsn
from sentry_audit.guard import SAMPLES
from sentry_audit.javascript.syntax import line_of, options_of, text_of, walk
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentry_audit.facts import Fact
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init
    from sentry_audit.policies.reading import Policies
    from sentry_audit.policies.strings import Strings

#: What the tunnel of Next.js takes: https://docs.sentry.io/platforms/javascript/guides/nextjs/configuration/build/
_TUNNELLED = re.compile(r"^o\d+\.ingest(\.[a-z]{2})?\.sentry\.io$")
PAGE = "https://page.invalid/tunnel"


class Way(Struct, frozen=True):
    """How events leave a page: ``tunnel`` is "" (to the DSN's host), "page" (its own origin), an address, or unknown.

    ``saas_only``: other hosts than sentry.io's are reached directly all the same.
    """

    tunnel: str = ""
    saas_only: bool = False
    unknown: str = ""
    evidence: tuple[Evidence, ...] = ()

    def allowed(self, text: str, url: str) -> bool | None:
        """Whether a policy lets events for the DSN's envelope address ``url`` leave."""
        direct = csp.allows(text, url)
        if self.unknown:
            return True if direct and csp.allows(text, PAGE, same_origin=True) else None
        if not self.tunnel or (self.saas_only and not _TUNNELLED.match(urlsplit(url).hostname or "")):
            return direct
        return csp.allows(text, self.tunnel, same_origin=self.tunnel == PAGE)


class Target(Struct, frozen=True):
    """Where the events of a front end are to go: ``addresses`` by name, and whether they are ``known`` or samples."""

    addresses: Mapping[str, str]
    known: bool


def target_of(analysis: Analysis, facts: Sequence[Fact], environment: str) -> Target:
    """The hosts of the front end's DSN, where it is in the code or in a file; else one sample of each kind."""
    hosts: dict[str, str] = {}
    for item in analysis.loaded or analysis.inits:
        options, _ = options_of(item.call) or ({}, False)
        if options.get("dsn") is None:
            continue
        origin = analysis.values.origin(options["dsn"], item.source)
        names = {name for name, _ in origin.variables}
        given = [fact for fact in facts if isinstance(fact, Dsn) and fact.name in names and fact.valid]
        for fact in given:
            if speaks_of(fact.environment, environment) and not fact.placeholder:
                hosts[fact.host] = f"https://{fact.host}/api/{fact.project}/envelope/"
        for text in origin.literals:
            value = dsn.parse(text)
            if value.valid and not names:
                hosts[value.host] = _envelope(text)
    if hosts:
        return Target(hosts, known=True)
    return Target({kind: _envelope(sample) for kind, sample in SAMPLES}, known=False)


def _envelope(text: str) -> str:
    value = dsn.parse(text)
    port = f":{value.port}" if value.port else ""
    return f"{value.scheme}://{value.host}{port}{value.path}/api/{value.project}/envelope/"


def way_of(analysis: Analysis, strings: Strings, policies: Policies) -> Way:
    """How the init, or the build, says that events leave the page."""
    for item in analysis.loaded or analysis.inits:
        read = options_of(item.call)
        here = (item.evidence,)
        if read is None:
            return Way(unknown="the options of init, which may name a tunnel, were not followed", evidence=here)
        options, spread = read
        if "tunnel" in options:
            node = options["tunnel"]
            if text_of(node) == "true":
                return Way(PAGE, evidence=here)
            return _named(strings.texts(node, item.source), text_of(node), here)
        if spread and not _spread(item, strings):
            return Way(unknown="init's options, which may name a tunnel, are spread from elsewhere", evidence=here)
    config = policies.config(analysis.frontend) if analysis.frontend.framework == "nextjs" else None
    for node in walk(config.root) if config is not None else ():
        if node.type == "pair" and text_of(node.child_by_field_name("key")).strip("\"'") == "tunnelRoute":
            value = node.child_by_field_name("value")
            here = (Evidence(config.path if config else None, line_of(node), None, None, text_of(node)[:80]),)
            if text_of(value) not in {"undefined", "false"}:
                return Way(PAGE, saas_only=True, evidence=here)
    return Way()


def _spread(item: Init, strings: Strings) -> bool:
    """Whether all that is spread into the options of an init is known, and names no tunnel."""
    options = next(iter(item.call.child_by_field_name("arguments").named_children), None)
    for child in options.named_children if options is not None else ():
        if child.type == "spread_element":
            tables = strings.objects(child.named_children[0], item.source)
            if not tables or any("tunnel" in text_of(table) for table in tables):
                return False
    return True


def _named(texts: list[str], shown: str, here: tuple[Evidence, ...]) -> Way:
    ways = {
        ""
        if not text
        else PAGE
        if text.startswith("/") and csp.HOLE not in text
        else text
        if "://" in text
        else csp.HOLE
        for text in texts
    }
    if len(ways) == 1 and csp.HOLE not in (only := ways.pop()):
        return Way(only, evidence=here)
    return Way(unknown=f"where the tunnel {shown[:60]} leads was not followed", evidence=here)
