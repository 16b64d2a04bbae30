"""Where each component runs in Google Cloud, as far as the repository, the settings and the command line say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.cloud import SecretReference, Target
from sentry_audit.deployment import gcloud
from sentry_audit.deployment.environments import rendered, speaks_of
from sentry_audit.deployment.location import image_project
from sentry_audit.deployment.state import by_service, states
from sentry_audit.dsn import names_dsn
from sentry_audit.facts import DsnArgument, EnvironmentLabel, FrontendVariable, SecretDeclared

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_audit.cloud import CloudOptions, CloudSettings
    from sentry_audit.deployment.matching import Matching
    from sentry_audit.deployment.state import State
    from sentry_audit.facts import Component, Deployment, Fact

_DSN = ("SENTRY_DSN",)
_LABEL = ("SENTRY_ENVIRONMENT",)
_NAME_IT = "name it in sentry-audit.yaml: components: service"


class Told(Protocol):
    """The user's settings: what they say of Google Cloud in an environment."""

    def cloud(self, environment: str) -> CloudSettings:
        """What they say; empty where they say nothing."""


class _Running(Struct, frozen=True):
    """A service, job or worker pool (``sort``) and the ``states`` that deploy it: none if only the settings name it."""

    name: str
    sort: str = "service"
    states: Sequence[State] = ()

    @property
    def deployments(self) -> list[Deployment]:
        """What deploys it, in order."""
        return [item for state in self.states for item in state.deployments]


class _Place(Struct, frozen=True):
    """A project, its regions, and what told the project."""

    project: str = ""
    regions: tuple[str, ...] = ()
    rule: str = ""
    why: str = ""


def targets(
    components: Sequence[Component],
    environment: str,
    facts: Sequence[Fact],
    derived: Sequence[Fact],
    matching: Matching,
    settings: Told,
    options: CloudOptions,
) -> list[Target]:
    """What to look at in Google Cloud for ``components`` in ``environment``: one target for each service and project.

    ``facts`` are those of the repository, ``derived`` those about the components in this environment. Nothing for a
    component that is deployed only to other environments, or not to Cloud Run, unless the settings name its service; nor
    for a front end that reads its DSN only while it is built.
    """
    asked = _Asked(environment, facts, matching, settings.cloud(environment), options)
    found: list[Target] = []
    for component in components:
        mine = [fact for fact in derived if fact.component == component.name]
        if component.role != "frontend" or _at_run_time(mine):
            found += asked.of(component, mine)
    return found


class _Asked(Struct, frozen=True):
    """One environment, and everything that is known of it."""

    environment: str
    facts: Sequence[Fact]
    matching: Matching
    told: CloudSettings
    options: CloudOptions

    def of(self, component: Component, derived: Sequence[Fact]) -> list[Target]:
        """The targets of one component."""
        variables = _dsn_variables(derived)
        return [
            Target(
                component=component.name,
                environment=self.environment,
                project=place.project,
                regions=place.regions,
                service=running.name,
                sort=running.sort,
                variables=tuple(dict.fromkeys((*variables, *_label(derived)))),
                secrets=self._secrets(running, variables, derived),
                rule=place.rule,
                why="; ".join(filter(None, (why, place.why))),
            )
            for running, why in self._running(component)
            for place in self._places(running)
        ]

    # --- what runs it ------------------------------------------------------------------------------

    def _running(self, component: Component) -> list[tuple[_Running, str]]:
        """What runs the component, each with the reason why its name is not known."""
        mine = self.matching.of(component.name, self.environment)
        groups = [_running(group, self.environment) for group in by_service(states(mine, self.environment))]
        if named := self._named(component):
            known = {item.name: item for item in groups}
            unnamed = replace(groups[0], name="") if [item.name for item in groups] == [""] else _Running("")
            return [(known.get(name) or replace(unnamed, name=name), "") for name in named]
        if groups:
            return [(item, "" if item.name else _nameless(item, component)) for item in groups]
        if component.role == "frontend" or self.matching.elsewhere(component.name, self.environment):
            return []
        others = [item for item in self.matching.ownerless if speaks_of(item.environment, self.environment)]
        if others:
            names = ", ".join(sorted({rendered(item.service, self.environment) or "a service" for item in others}))
            why = f"which deployment is of {component.name} was not told: {names} ({_NAME_IT})"
            return [(_Running("", others[0].resource, states(others, self.environment)), why)]
        anything = self.matching.owners or self.matching.ownerless
        if (self.options.project or self.told.project) and not anything:
            return [(_Running(""), f"nothing in the repository deploys {component.name} to Cloud Run ({_NAME_IT})")]
        return []

    def _named(self, component: Component) -> list[str]:
        """The services that the settings give the component here."""
        given = self.matching.services.get(component.name, ())
        own = [name for environment, name in given if environment and speaks_of(environment, self.environment)]
        return own or [name for environment, name in given if not environment]

    # --- where -------------------------------------------------------------------------------------

    def _places(self, running: _Running) -> list[_Place]:
        """Where it runs: in one project, or in each of those that it is deployed to."""
        if self.options.project:
            return [self._place(running, self.options.project, "--project")]
        if self.told.project:
            return [self._place(running, self.told.project, "google_cloud in the settings")]
        named: dict[str, Deployment] = {}
        for item in running.deployments:
            if item.project:
                named.setdefault(rendered(item.project, self.environment), item)
        if named:
            places = " and ".join(f"{name} ({item.evidence[0]})" for name, item in named.items())
            why = f"it is deployed to {places}; choose one: {self._remedy}" if len(named) > 1 else ""
            return [self._place(running, name, str(item.evidence[0]), why) for name, item in named.items()]
        created = self._created()
        if len(created) == 1:
            [(name, secret)] = created.items()
            return [self._place(running, name, f"the secret {secret.name} ({secret.evidence[0]})")]
        if self.options.ambient:
            return [self._place(running, self.options.ambient, "GOOGLE_CLOUD_PROJECT")]
        return [self._place(running, "", "", f"its project is not known: {self._looked(running)}; {self._remedy}")]

    def _looked(self, running: _Running) -> str:
        """What was looked at for a project, and found without one."""
        places = dict.fromkeys(str(item.evidence[0]) for item in running.deployments)
        if not places:
            return "no deploy definition names one"
        looked = f"none could be followed in {', '.join(places)}"
        registries = dict.fromkeys(filter(None, (image_project(item.image) for item in running.deployments)))
        also = f" (its image is in {', '.join(registries)}, which may not be where it runs)" if registries else ""
        return looked + also

    @property
    def _remedy(self) -> str:
        return f"give --project, or google_cloud: {self.environment}: project in sentry-audit.yaml"

    def _created(self) -> dict[str, SecretDeclared]:
        """The projects in which the environment's secrets are created: those of the DSN, if there are any."""
        here = [
            fact
            for fact in self.facts
            if isinstance(fact, SecretDeclared) and fact.project and speaks_of(fact.environment, self.environment)
        ]
        here = [fact for fact in here if names_dsn(fact.name)] or here
        return {rendered(fact.project, self.environment): fact for fact in reversed(here)}

    def _place(self, running: _Running, project: str, rule: str, why: str = "") -> _Place:
        """``project`` with the regions of it: all that are told, else those of the deployments that go there."""
        regions = self.options.regions or self.told.regions
        if not regions:
            given = ((rendered(item.project, self.environment), item.region) for item in running.deployments)
            named = (rendered(region, self.environment) for other, region in given if other in {"", project})
            regions = tuple(dict.fromkeys(filter(None, named)))
        return _Place(project, regions, rule, why)

    # --- its secrets -------------------------------------------------------------------------------

    def _secrets(
        self, running: _Running, variables: Sequence[str], derived: Sequence[Fact]
    ) -> tuple[SecretReference, ...]:
        """The secrets that the DSN comes from: by deployments, by the code, by the settings."""
        settings = [
            state.variables[name][0] for name in variables for state in running.states if name in state.variables
        ]
        found = [
            SecretReference(name=item.secret, version=item.version or "latest", project=item.project)
            for item in settings
        ]
        for fact in derived:
            if isinstance(fact, DsnArgument):
                found.append(SecretReference(name=fact.secret))
        if self.told.secret:
            item = gcloud.setting("", self.told.secret, "set", "secret", None)
            found.append(SecretReference(name=item.secret, version=item.version or "latest", project=item.project))
        return tuple(dict.fromkeys(item for item in found if item.name and "$" not in item.name + item.version))


def _running(group: Sequence[State], environment: str) -> _Running:
    """What the states of one service come to."""
    names = (_followed(item.service, environment) for state in group for item in state.deployments)
    return _Running(next(filter(None, names), ""), group[-1].resource, group)


def _followed(service: str, environment: str) -> str:
    """A service's name in an environment: ``""`` if it is not known, or nothing but the environment's name."""
    name = rendered(service, environment)
    return "" if "$" in name or not rendered(service, "") else name


def _nameless(running: _Running, component: Component) -> str:
    places = ", ".join(dict.fromkeys(str(item.evidence[0]) for item in running.deployments))
    return f"what {component.name} is called on Cloud Run was not followed in {places} ({_NAME_IT})"


def _at_run_time(derived: Iterable[Fact]) -> list[str]:
    """The variables that a front end's server reads the DSN from while it runs."""
    return [fact.name for fact in derived if isinstance(fact, FrontendVariable) and fact.at_run_time]


def _dsn_variables(derived: Sequence[Fact]) -> tuple[str, ...]:
    """The variables that the DSN comes from: the SDK's own where it is not known, none if the code has it or fetches it."""
    if names := _at_run_time(derived):
        return tuple(names)
    argument = next((fact for fact in derived if isinstance(fact, DsnArgument)), None)
    if argument is None or argument.variables:
        return argument.variables if argument else _DSN
    return () if argument.resolves or argument.secret else _DSN


def _label(derived: Iterable[Fact]) -> tuple[str, ...]:
    """The variables that the environment's name comes from."""
    return next((fact.variables for fact in derived if isinstance(fact, EnvironmentLabel)), _LABEL)
