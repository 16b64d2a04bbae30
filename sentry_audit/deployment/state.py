"""What a service's variables are after each pipeline has run.

``set`` replaces all variables of its sort, ``update`` merges, the last writer wins; a declarative definition is all
there is. Plain variables and secret ones are two sorts: ``--set-env-vars`` leaves secrets alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit.deployment.environments import rendered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_audit.facts import Deployment, Setting


class State(Struct):
    """The variables that one pipeline leaves behind, each with the deployment that set it.

    ``replaced`` names, for each sort, the deployment that threw away what was there before; ``lost`` what it threw away
    of what the same pipeline had set.
    """

    pipeline: str
    service: str = ""
    resource: str = "service"
    variables: dict[str, tuple[Setting, Deployment]] = field(default_factory=dict)
    replaced: dict[str, Deployment] = field(default_factory=dict)
    lost: dict[str, tuple[Setting, Deployment]] = field(default_factory=dict)
    unresolved: list[str] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)

    @property
    def last(self) -> Deployment | None:
        """The deployment that runs last."""
        return self.deployments[-1] if self.deployments else None

    def apply(self, deployment: Deployment, environment: str) -> None:
        """Run one deployment of the pipeline."""
        self.deployments.append(deployment)
        self.unresolved += deployment.unresolved
        if deployment.declarative:
            for sort in ("plain", "secret"):
                self._replace(sort, deployment)
        for item in deployment.settings:
            if item.build:
                continue
            if (
                item.operation in {"set", "clear"}
                and not deployment.declarative
                and self.replaced.get(item.sort) is not deployment
            ):
                self._replace(item.sort, deployment)
            if item.operation == "remove":
                self.variables.pop(item.name, None)
            elif item.name:
                self.variables[item.name] = (_rendered(item, environment), deployment)
                self.lost.pop(item.name, None)

    def _replace(self, sort: str, deployment: Deployment) -> None:
        self.replaced[sort] = deployment
        for name, (item, _) in list(self.variables.items()):
            if item.sort == sort:
                self.lost[name] = (item, deployment)
                del self.variables[name]


def _rendered(item: Setting, environment: str) -> Setting:
    return replace(item, value=rendered(item.value, environment), secret=rendered(item.secret, environment))


def states(deployments: Iterable[Deployment], environment: str) -> list[State]:
    """One state per pipeline and service, in order."""
    found: dict[tuple[str, str], State] = {}
    for item in sorted(deployments, key=lambda item: item.order):
        key = (item.pipeline, rendered(item.service, environment))
        found.setdefault(key, State(*key, item.resource)).apply(item, environment)
    return list(found.values())


def by_service(found: Iterable[State]) -> list[list[State]]:
    """The states of each service and worker pool; those of jobs where there is neither.

    A definition whose service is not known by name goes with the only one that is.
    """
    groups: dict[str, list[State]] = {}
    for state in found:
        groups.setdefault("" if "$" in state.service else state.service, []).append(state)
    if len(groups) == 2 and "" in groups:
        return [[state for group in groups.values() for state in group]]
    running = [group for group in groups.values() if any(state.resource != "job" for state in group)]
    return running or list(groups.values())


def first(found: Sequence[State], names: Iterable[str]) -> tuple[Setting, Deployment] | None:
    """The setting of the first of ``names`` that a pipeline leaves behind."""
    return next((state.variables[name] for name in names for state in found if name in state.variables), None)
