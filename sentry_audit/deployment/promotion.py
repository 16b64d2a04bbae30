"""One build whose image is deployed to several environments: whatever is compiled into it is the same in all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.deployment.environments import TOLD_SERVICE, canonical, parameter_in

if TYPE_CHECKING:
    from sentry_audit.deployment.matching import Matching
    from sentry_audit.facts import Component, Deployment
    from sentry_audit.model import Evidence

_TAG = re.compile(r"[:@][^/]*$")


class Promotion(Struct, frozen=True):
    """``build`` makes the image; ``deployments`` (one per environment, by name) take it."""

    build: Deployment
    deployments: tuple[Deployment, ...]

    @property
    def environments(self) -> str:
        """Their names, as a phrase."""
        names = [canonical(item.environment) for item in self.deployments]
        return f"{', '.join(names[:-1])} and {names[-1]}"

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The build, and what takes its image where."""
        return tuple(dict.fromkeys(place for item in (self.build, *self.deployments) for place in item.evidence))

    def __str__(self) -> str:
        """What is so, without what follows from it."""
        places = ", ".join(str(item.evidence[0]) for item in self.deployments)
        return f"one build ({self.build.evidence[0]}) makes the image of {self.environments} ({places})"


def promoted(matching: Matching, component: Component, environment: str) -> Promotion | None:
    """The build that ``component`` shares in ``environment`` with another one; None if each may have its own.

    A build that names an environment, or whose image's name holds one, is that environment's own; what it compiles in
    (``NEXT_PUBLIC_ENV=production``) names none while there is only one such value.
    """
    builds = [item for item in matching.made_of(component) if item.origin != "compose"]
    named = {canonical(item.environment): item.rule for item in builds if item.environment}
    if len(named) > 1 or not all(rule.startswith(TOLD_SERVICE) for rule in named.values()):
        return None
    for build in builds:
        found: dict[str, Deployment] = {}
        for item in matching.owners.get(component.name, []):
            if item.environment and _takes(item, build):
                found.setdefault(canonical(item.environment), item)
        if len(found) > 1 and canonical(environment) in found:
            return Promotion(build, tuple(found[name] for name in sorted(found)))
    return None


def _takes(deployment: Deployment, build: Deployment) -> bool:
    """Whether a deployment takes the image of a build: by name, and one with variables only in the same pipeline."""
    name = _TAG.sub("", build.image)
    if not name or parameter_in(name) or _TAG.sub("", deployment.image) != name:
        return False
    return "$" not in name or deployment.pipeline == build.pipeline
