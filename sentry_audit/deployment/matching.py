"""Which deployments are of which component: by what is built, by where it stands, by name."""

from __future__ import annotations

import re
from posixpath import dirname
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import named_in, parameter_in, speaks_of
from sentry_audit.facts import Deployment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sentry_audit.facts import Component, Fact

_WORD = re.compile(r"[a-z]+|\d+")
_VARIABLE = re.compile(r"\$[({]?[\w.]+[)}]?")
_PLAIN = frozenset({"service", "cloud", "run", "cloudrun", "gcr", "docker", "image", "latest"})
_RUNS = frozenset({"service", "job", "worker-pool"})
_BUILT = frozenset({"image", "bundle"})


def words(name: str) -> frozenset[str]:
    """The words of a name that tell one service from another: no environment, no ``service``, no variables."""
    found = _WORD.findall(_VARIABLE.sub(" ", name).lower())
    return frozenset(word for word in found if word not in _PLAIN and not named_in(word))


def runs(facts: Iterable[Fact]) -> list[Deployment]:
    """The deployments of services and jobs (not the builds of images)."""
    return [fact for fact in facts if isinstance(fact, Deployment) and fact.resource in _RUNS]


class Matching:
    """The deployments of each component, decided once for a repository.

    ``services`` gives the names of a component's Cloud Run services, where the user's settings say them.
    """

    def __init__(
        self, components: Sequence[Component], facts: Sequence[Fact], services: Mapping[str, str] | None = None
    ) -> None:
        self.components = components
        self.builds = [fact for fact in facts if isinstance(fact, Deployment) and fact.resource in _BUILT]
        self.services = services or {}
        self.folders = {_image(item.image): item for item in self.builds if item.image}
        self.owners: dict[str, list[Deployment]] = {}
        self.ownerless: list[Deployment] = []
        everything = runs(facts)
        names = {words(item.service) for item in everything}
        for item in everything:
            owners = self._owners(item)
            if not owners and len(components) == 1 and len(names) == 1:
                owners = [components[0].name]
            for name in owners:
                self.owners.setdefault(name, []).append(item)
            if not owners:
                self.ownerless.append(item)

    def of(self, component: str, environment: str) -> list[Deployment]:
        """What deploys ``component`` in ``environment``: definitions that name it, else those that name none."""
        mine = [item for item in self.owners.get(component, []) if speaks_of(item.environment, environment)]
        named = [item for item in mine if item.environment or parameter_in(item.service)]
        return named or mine

    def elsewhere(self, component: str, environment: str) -> list[Deployment]:
        """What deploys ``component`` in other environments only."""
        return [item for item in self.owners.get(component, []) if not speaks_of(item.environment, environment)]

    def images(self, component: Component, environment: str) -> list[Deployment]:
        """The image builds (and bundles) that are made of ``component``'s folder."""
        mine = [item for item in self.builds if self.makes(component, item)]
        return [item for item in mine if speaks_of(item.environment, environment)]

    def makes(self, component: Component, item: Deployment) -> bool:
        """Whether an image, or a bundle, is made of ``component``."""
        if item.file and component.path != "." and _within(dirname(item.file), component.path):
            return True
        folder = _clean(item.source)
        if folder or component.path == ".":
            return _within(folder, component.path)
        named = words(_image(item.image))
        return (bool(named) and bool(named & words(component.name))) or len(self.components) == 1

    def _owners(self, item: Deployment) -> list[str]:
        told = [name for name, service in self.services.items() if service == item.service]
        if told:
            return told
        scores = {component.name: self._score(component, item) for component in self.components}
        best = max(scores.values(), default=0)
        return [name for name, score in scores.items() if score == best and best > 0]

    def _score(self, component: Component, item: Deployment) -> int:
        mine, theirs = words(component.name), words(item.service)
        score = 0
        if mine and mine == theirs:
            score = 70
        elif mine & theirs:
            score = 30 + 20 * len(mine & theirs) // len(mine | theirs)
        built = self.folders.get(_image(item.image)) if item.image else None
        source = _clean(item.source) if item.source else _clean(built.source) if built else ""
        if source and component.path != "." and _within(source, component.path):
            score += 60
        elif (item.source or built) and not source and component.path == ".":
            score += 20
        if component.path != "." and _within(dirname(item.path), component.path):
            score += 40
        return score


def _clean(folder: str) -> str:
    return folder.strip("/").removeprefix("./").removeprefix(".")


def _within(folder: str, path: str) -> bool:
    return path == "." or folder == path or folder.startswith(f"{path}/")


def _image(name: str) -> str:
    """``europe-docker.pkg.dev/p/r/api:tag`` → ``api``."""
    last = name.rsplit("/", 1)[-1]
    return re.split(r"[:@]", last)[0]
