"""Which deployments are of which component: by what is built, by where it stands, by name."""

from __future__ import annotations

import re
from posixpath import basename, dirname
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import named_in, parameter_in, rendered, speaks_of
from sentry_audit.facts import BUILDS, Deployment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sentry_audit.facts import Component, Fact

_WORD = re.compile(r"[a-z]+|\d+")
_VARIABLE = re.compile(r"\$[({]?[\w.]+[)}]?")
_PLAIN = frozenset({"service", "cloud", "run", "cloudrun", "gcr", "docker", "image", "latest"})
_RUNS = frozenset({"service", "job", "worker-pool"})
_SHARED = re.compile(r"(?:^|/)(?:\.?docker\w*|build|deploy\w*|infra\w*|ops|ci|containers?|images|config|tools)(?:/|$)")
#: Workflows that build a front end to look at it, and ship nothing.
_FOR_TESTS = re.compile(
    r"(?:^|[._-])(?:lighthouse|e2e|playwright|cypress|storybook|chromatic|tests?|lint|size)(?:[._-]|$)", re.IGNORECASE
)
#: The Cloud Run services of a component, as (environment, name); the environment is ``""`` for all.
Services = tuple[tuple[str, str], ...]
_WEAK = 20  # built from the root, like everything else that is there
_TOLD = 1000  # the user's settings say it


def words(name: str) -> frozenset[str]:
    """The words of a name that tell one service from another: no environment, no ``service``, no variables."""
    found = _WORD.findall(_VARIABLE.sub(" ", name).lower())
    return frozenset(word for word in found if word not in _PLAIN and not named_in(word))


def runs(facts: Iterable[Fact]) -> list[Deployment]:
    """The deployments of services and jobs (not the builds of images)."""
    return [fact for fact in facts if isinstance(fact, Deployment) and fact.resource in _RUNS]


class Matching:
    """The deployments of each component, decided once for a repository.

    ``services`` gives a component's Cloud Run services, by environment, where the user's settings say them.
    """

    def __init__(
        self, components: Sequence[Component], facts: Sequence[Fact], services: Mapping[str, Services] | None = None
    ) -> None:
        self.components = components
        self.builds = [fact for fact in facts if isinstance(fact, Deployment) and fact.resource in BUILDS]
        self.services = services or {}
        self.folders = {_image(item.image): item for item in self.builds if item.image}
        self.owners: dict[str, list[Deployment]] = {}
        self.ownerless: list[Deployment] = []
        everything = runs(facts)
        linked = self._linked(everything)
        names = {words(item.service) for item in everything} - {frozenset()}
        for item in everything:
            owners = linked[id(item)]
            if not owners and len(components) == 1 and len(names) <= 1:
                owners = [components[0].name]
            for name in owners:
                self.owners.setdefault(name, []).append(item)
            if not owners:
                self.ownerless.append(item)

    def _linked(self, everything: Sequence[Deployment]) -> dict[int, list[str]]:
        """The owners of each deployment: those of its service, whichever of its definitions shows them best.

        A component that has a service of its own is not also given those which are only built from the same folder.
        """
        services: dict[object, dict[str, int]] = {}
        for item in everything:
            scores = services.setdefault(words(item.service) or id(item), {})
            for name, score in self._scores(item).items():
                scores[name] = max(score, scores.get(name, 0))
        strong = {
            name
            for scores in services.values()
            for name, score in scores.items()
            if score > _WEAK and score == max(scores.values())
        }
        found: dict[int, list[str]] = {}
        for item in everything:
            scores = services[words(item.service) or id(item)]
            best = max(scores.values(), default=0)
            owners = [name for name, score in scores.items() if score == best and best > 0]
            others = [name for name in owners if name not in strong]
            found[id(item)] = others if best <= _WEAK and others else owners
        return found

    def of(self, component: str, environment: str) -> list[Deployment]:
        """What deploys ``component`` in ``environment``: definitions that name it, else those that name none.

        Those that name none and only change the image say nothing where others are of other environments.
        """
        mine = [item for item in self.owners.get(component, []) if speaks_of(item.environment, environment)]
        named = [item for item in mine if item.environment or parameter_in(item.service)]
        if named or not self.elsewhere(component, environment):
            return named or mine
        says = any(item.settings or item.unresolved or item.declarative for item in mine)
        return mine if says else []

    def elsewhere(self, component: str, environment: str) -> list[Deployment]:
        """What deploys ``component`` in other environments only."""
        return [item for item in self.owners.get(component, []) if not speaks_of(item.environment, environment)]

    def images(self, component: Component, environment: str) -> list[Deployment]:
        """The image builds (and bundles) of ``environment`` that are made of ``component``'s folder."""
        made = (item for item in self.made_of(component) if speaks_of(item.environment, environment))
        return [item for item in made if item.resource != "bundle" or not _FOR_TESTS.search(basename(item.path))]

    def made_of(self, component: Component) -> list[Deployment]:
        """Likewise for all environments."""
        return [item for item in self.builds if self.makes(component, item)]

    def makes(self, component: Component, item: Deployment) -> bool:
        """Whether an image, or a bundle, is made of ``component``."""
        folder = self._folder(item)
        if folder or component.path == ".":
            return _within(folder, component.path)
        named = words(_image(item.image))
        return (bool(named) and bool(named & words(component.name))) or len(self.components) == 1

    def _folder(self, item: Deployment) -> str:
        """The folder that is built: the Dockerfile's, where the context is wider and no folder of Dockerfiles holds it."""
        beside, source = dirname(item.dockerfile).strip("./"), _clean(item.source)
        own = any(component.path != "." and _within(beside, component.path) for component in self.components)
        return beside if own or (beside and not source and not _SHARED.search(beside)) else source

    def _scores(self, item: Deployment) -> dict[str, int]:
        told = {name: _TOLD for name, given in self.services.items() if _told(item.service, given)}
        return told or {component.name: self._score(component, item) for component in self.components}

    def _score(self, component: Component, item: Deployment) -> int:
        mine, theirs = words(component.name), words(item.service)
        score = 0
        if mine and mine == theirs:
            score = 70
        elif mine & theirs:
            score = 30 + 20 * len(mine & theirs) // len(mine | theirs)
        built = self.folders.get(_image(item.image)) if item.image else None
        source = self._folder(item) if item.source else self._folder(built) if built else ""
        if source and component.path != "." and _within(source, component.path):
            score += 60
        elif (item.source or built) and not source and component.path == ".":
            score += _WEAK
        if component.path != "." and _within(dirname(item.path), component.path):
            score += 40
        return score


def _told(service: str, given: Services) -> bool:
    """Whether the settings give this service; a variable in its name stands for the environment's."""
    return any(
        service == name or (environment and rendered(service, environment) == name) for environment, name in given
    )


def _clean(folder: str) -> str:
    return folder.strip("/").removeprefix("./").removeprefix(".")


def _within(folder: str, path: str) -> bool:
    return path == "." or folder == path or folder.startswith(f"{path}/")


def _image(name: str) -> str:
    """``europe-docker.pkg.dev/p/r/api:tag`` → ``api``."""
    last = name.rsplit("/", 1)[-1]
    return re.split(r"[:@]", last)[0]
