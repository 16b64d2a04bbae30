"""Where an API of a front end is in one environment: at the page's own origin, elsewhere, or not known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.deployment.environments import canonical
from sentry_audit.facts import EnvVar, Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.deployment.matching import Matching
    from sentry_audit.facts import Component, Fact
    from sentry_audit.javascript.origins import Base
    from sentry_audit.model import Evidence

_LOCAL = re.compile(r"^(https?:)?//(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]|host\.docker\.internal)(:|/|$)")
#: Others' services: what is asked there is no trace of ours.
_FOREIGN = re.compile(
    r"//([\w-]+\.)*(github|google|googleapis|openai|stripe|supabase|posthog|sentry|maptiler|mapbox|openstreetmap)\.\w+"
)


class Address(Struct, frozen=True):
    """Where requests of one client go.

    ``own``: to the page's origin (None: not known); ``urls`` are addresses that are known, a developer's machine among
    them; ``variable`` is what gives it; ``unknown`` why it was not followed.
    """

    own: bool | None
    variable: str = ""
    urls: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    unknown: str = ""

    def deployed(self, environment: str) -> list[str]:
        """The addresses that count in an environment: a developer's machine only in development."""
        local = canonical(environment) == "development"
        return [url for url in self.urls if local or not _LOCAL.match(url)]

    @property
    def shown(self) -> str:
        """The address for a message: what is known of it, and the variable that gives it."""
        known = next((url for url in self.urls if not _LOCAL.match(url)), next(iter(self.urls), ""))
        if known and self.variable:
            return f"{known} ({self.variable})" if not _LOCAL.match(known) else self.variable
        return known or self.variable or "its API"


def located(base: Base, component: Component, facts: Sequence[Fact], matching: Matching, environment: str) -> Address:
    """Where the requests of a client go in ``environment``."""
    given: list[tuple[str, Evidence]] = []
    variable = base.variable
    if variable:
        given = [
            item for item in _values(variable, component, facts, matching, environment) if _counts(item[0], environment)
        ]
    texts = [given[0][0]] if given else [part.text for part in base.parts if part.kind == "literal"]
    places = (base.evidence, given[0][1]) if given else (base.evidence,)
    absolute = tuple(text for text in texts if re.match(r"(https?:)?//", text) and not _FOREIGN.search(text))
    if any(_FOREIGN.search(text) for text in texts):
        return Address(True, variable, (), places)
    if absolute:
        return Address(False, variable, absolute, places)
    if given:
        return Address(True, variable, tuple(texts), places)
    kinds = {part.kind for part in base.parts}
    if variable and kinds == {"env"}:
        return Address(False, variable, (), places)
    if variable:
        fallback = next((part.text for part in base.parts if part.kind != "env"), "")
        reason = f"{variable} has no value here, and without one requests go to {fallback or 'the page itself'}"
        return Address(None, variable, (), places, reason)
    if "unknown" in kinds:
        return Address(None, "", (), places, next(part.text for part in base.parts if part.kind == "unknown"))
    return Address(True, "", tuple(texts), places)


def _counts(text: str, environment: str) -> bool:
    """A developer's machine is no address of a deployed API."""
    return canonical(environment) == "development" or not _LOCAL.match(text)


def _values(
    name: str, component: Component, facts: Sequence[Fact], matching: Matching, environment: str
) -> Iterator[tuple[str, Evidence]]:
    """The values that files, images and deployments give a variable, the environment's own first."""
    for deployment in matching.images(component, environment):
        for item in deployment.settings:
            if item.name == name and _is_plain(item.value):
                yield item.value, deployment.evidence[0]
    found = [
        fact
        for fact in facts
        if isinstance(fact, EnvVar) and fact.name == name and fact.value and not fact.template and _near(fact, component)
        and (not fact.environment or canonical(fact.environment) == canonical(environment))
    ]  # fmt: skip
    for fact in sorted(found, key=lambda item: not item.environment):
        if fact.origin in {"dotenv", "image"} and _is_plain(fact.value):
            yield fact.value, fact.evidence[0]
    for image in facts:
        if isinstance(image, Image) and component.holds(image.path):
            for key, value in image.env:
                if key == name and _is_plain(value):
                    yield value, image.evidence[0]


def _is_plain(value: str) -> bool:
    return bool(value) and not value.startswith("$")


def _near(fact: EnvVar, component: Component) -> bool:
    return "/" not in fact.path or component.holds(fact.path)
