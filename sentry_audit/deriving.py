"""From what was read to what follows for each component in one environment: every deriver, in order. Pure."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.deployment.environments import canonical
from sentry_audit.deployment.matching import Matching
from sentry_audit.derive import releases
from sentry_audit.derive.committed import committed
from sentry_audit.derive.dependencies import Manifests, names, sdk_dependency
from sentry_audit.derive.deployments import deployed as deployments_of
from sentry_audit.derive.deployments import secrets
from sentry_audit.derive.frontends import Frontends
from sentry_audit.derive.repository import dsn_matrix, env_templates, health_checks
from sentry_audit.facts import (
    DeployedDsn,
    Deployment,
    DsnArgument,
    EnvironmentLabel,
    Privacy,
    Release,
    ReleaseStep,
    SdkSetup,
)
from sentry_audit.python.analysis import Code
from sentry_audit.python.capture import error_handlers
from sentry_audit.python.config import config_classes
from sentry_audit.python.context import request_context
from sentry_audit.python.options import option_facts
from sentry_audit.python.shutdown import job_exit, shutdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentry_audit.deployment.matching import Services
    from sentry_audit.derive.dependencies import Installed
    from sentry_audit.facts import Fact, TracePropagation
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.model import Problem
    from sentry_audit.python.analysis import Analysed
    from sentry_audit.python.components import Service
    from sentry_audit.python.program import Program
    from sentry_audit.sdk_table import SdkTable


#: Packages with Sentry in their name that never initialise the SDK.
_NO_INIT = frozenset(
    {"sentry-sdk", "structlog-sentry", "sentry-relay", "sentry-arroyo", "sentry-protos", "sentry-kafka-schemas",
     "sentry-redis-tools", "sentry-cli", "types-sentry-sdk", "raven"}
)  # fmt: skip


class Deriver:
    """What was read of one repository, indexed once for all its components and environments.

    ``services`` are all components; ``problems`` those of the scanners; ``agents`` entry points of agent runs;
    ``names`` the Cloud Run services of components, where the settings say them.
    """

    def __init__(
        self,
        program: Program,
        services: Sequence[Service],
        facts: Sequence[Fact],
        problems: Sequence[Problem],
        table: SdkTable,
        agents: Sequence[str] = (),
        names: Mapping[str, Services] | None = None,
        frontends: Sequence[Frontend] = (),
    ) -> None:
        self.program = program
        self.services = list(services)
        self.facts = facts
        self.table = table
        self.agents = tuple(agents)
        self.code = Code(program, facts, self.services)
        self.manifests = Manifests.of(facts, problems)
        self.frontends = Frontends(program.files, frontends, facts)
        components = [*(service.fact for service in services), *(item.fact for item in frontends)]
        self.matching = Matching(components, facts, names)
        self._analysed: dict[tuple[str, str], Analysed] = {}

    def derive(
        self, services: Sequence[Service], environment: str, frontends: Sequence[Frontend] = ()
    ) -> tuple[list[Fact], list[Problem]]:
        """The facts about ``services`` and ``frontends`` in ``environment``, and the files that could not be parsed."""
        found: list[Fact] = []
        unread: list[Problem] = []
        wanted = {service.fact.name for service in services} | {item.fact.name for item in frontends}
        for item in frontends:
            more, problems = self.frontends.derive(item, environment, self.matching)
            found += [replace(fact, component=item.fact.name) for fact in more]
            unread += problems
        for service in services:
            found += self._service(service, environment)
        found += [fact for fact in self._propagation(environment) if fact.component in wanted]
        components = [*(item.fact for item in services), *(item.fact for item in frontends)]
        found += releases.shared(found, components)
        located = [fact for fact in self.located if fact.component in wanted]
        return found + located, [*self.program.problems.values(), *unread]

    def _propagation(self, environment: str) -> list[TracePropagation]:
        """What goes on from the front ends to the back ends: of all of them, whichever were asked for."""
        if not self.services or not self.frontends.frontends:
            return []
        senders = [(item.fact, sender) for item in self.frontends.frontends if (sender := self.frontends.sender(item))]
        if not senders:
            return []
        from sentry_audit.derive.propagation import propagation, receiver
        from sentry_audit.python.cors import cors

        receivers = []
        for service in self.services:
            if service.fact.role == "service":
                key = (service.fact.name, environment)
                if key not in self._analysed:
                    self._service(service, environment)
                analysed = self._analysed[key]
                receivers.append(receiver(service.fact, analysed.facts, cors(analysed, self.program)))
        return propagation(senders, receivers, self.facts, environment, self.matching)

    def _service(self, service: Service, environment: str) -> list[Fact]:
        dependency, installed = sdk_dependency(service, self.manifests, self.table)
        version = dependency.version or self.table.versions[-1]
        analysed = self.code.analyse(service, environment)
        analysed.facts += option_facts(analysed, self.table, version, names(installed))
        analysed.facts += config_classes(analysed)
        analysed.facts += env_templates(analysed, self.facts)
        analysed.facts += dsn_matrix(analysed, self.facts)
        analysed.facts += self._deployments(service, analysed, environment)
        analysed.facts = self._released(service, analysed, environment)
        if analysed.reached:
            analysed.facts += self._running(service, analysed, version)
        self._analysed[service.fact.name, environment] = analysed
        facts = [_by_package(fact, installed) for fact in (dependency, *analysed.facts)]
        return [replace(fact, component=service.fact.name) for fact in facts]

    def _deployments(self, service: Service, analysed: Analysed, environment: str) -> list[Fact]:
        """What the repository's deployments give the component."""
        argument = next((fact for fact in analysed.facts if isinstance(fact, DsnArgument)), None)
        label = _label(analysed, environment)
        found = deployments_of(service.fact, self.matching, argument, label, service.image, environment)
        given = next((fact for fact in found if isinstance(fact, DeployedDsn)), None)
        if label is not None:
            found = [*found, EnvironmentLabel(variables=label)]
        return [*found, *secrets(service.fact, self.matching, self.facts, argument, given, environment)]

    def _running(self, service: Service, analysed: Analysed, version: str) -> list[Fact]:
        """What the code that the component loads does with errors, requests and its own end."""
        paths = list(analysed.closure)
        found: list[Fact] = [*health_checks(analysed), *error_handlers(self.program, paths, version)]
        if service.fact.role == "service":
            pii = any(isinstance(fact, Privacy) and fact.send_default_pii for fact in analysed.facts)
            found += request_context(self.program, paths, self.agents, pii=pii)
            found += shutdown(self.program, paths, service.fact.server)
        return [*found, *job_exit(self.program, paths, service.fact.server)]

    def _released(self, service: Service, analysed: Analysed, environment: str) -> list[Fact]:
        """The component's facts, with its release as it is in the environment, and who tells Sentry of it."""
        running = releases.Running(
            service.fact, environment, service.image, self.facts, self.matching, self.program.files
        )
        found = [
            releases.judged(fact, running.look, partial(running.nothing, fact)) if isinstance(fact, Release) else fact
            for fact in analysed.facts
        ]
        if not analysed.reached:
            return found
        if not any(isinstance(fact, Deployment | ReleaseStep) for fact in self.facts):
            return found
        from sentry_audit.derive import ci

        steps = ci.steps_of(service.fact, self.matching.components, self.facts)
        return [*found, *ci.release_in_ci(service.fact, steps, self.matching, self.program.files)]

    @cached_property
    def located(self) -> list[Fact]:
        """DSNs and tokens that stand in files, given to the component whose folder they are in."""
        return committed(self.program.files, self.facts, self.matching.components)


def _label(analysed: Analysed, environment: str) -> tuple[str, ...] | None:
    """The variables that init's ``environment`` reads; none if it needs none here, None if init does not set it."""
    values = [item.option("environment", analysed.resolver) for item in analysed.reached]
    leaves = [leaf for value in values if value is not None for leaf in value.leaves()]
    if not leaves:
        return None
    if any(isinstance(leaf.literal, str) and canonical(leaf.literal) == canonical(environment) for leaf in leaves):
        return ()
    return tuple(dict.fromkeys(name for leaf in leaves for name in leaf.names))


def _by_package(fact: Fact, installed: Installed) -> Fact:
    """Without an init in the repository, an installed package may hold one: then nothing is known of it."""
    if not isinstance(fact, SdkSetup) or fact.present or fact.unknown:
        return fact
    package = next(
        (item for item in installed.dependencies if "sentry" in item.name and item.name not in _NO_INIT), None
    )
    if package is None:
        return fact
    reason = f"no init is in the repository, but the package {package.name} is installed, which may call it"
    return replace(fact, unknown=reason, evidence=package.evidence)
