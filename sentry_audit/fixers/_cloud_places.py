"""Where a case's component runs, and what else reads a secret that is changed for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.derive import live

if TYPE_CHECKING:
    from sentry_audit.cloud import Container, Service, Snapshot, Target, Variable
    from sentry_audit.derive.live import Needs
    from sentry_audit.facts import Fact
    from sentry_audit.fixing import Case


class Place(Struct, frozen=True):
    """A service of a case's component, and what its DSN comes from."""

    service: Service
    target: Target
    needs: Needs

    @property
    def accounts(self) -> tuple[str, ...]:
        """Those that the newest revision and those that serve run as."""
        found = [self.service.template, *(item.template for item in self.service.serving or ())]
        return tuple(dict.fromkeys(item.account for item in found if item is not None))

    @property
    def pinned(self) -> tuple[str, ...]:
        """The revisions that get traffic by their names: no new one takes their place."""
        return tuple(
            f"{item.percent}% {item.revision}" for item in self.service.serving or () if item.pinned and item.percent
        )


class Named(Struct, frozen=True):
    """A secret's version, as something refers to it."""

    project: str
    name: str
    version: str = "latest"

    @property
    def resource(self) -> str:
        """The full name of the secret."""
        return f"projects/{self.project}/secrets/{self.name}"

    def seen_from(self, service: Service, snapshot: Snapshot | None) -> str:
        """How a service refers to it: by its id, in another project by its full name."""
        own = snapshot.project(service.project) if snapshot is not None else None
        names = {service.project, *((own.id, own.number) if own is not None else ())}
        return self.name if self.project in names else self.resource


def bad(case: Case) -> list[Fact]:
    """The facts that the case's finding is about: those of its places, where they can be told."""
    return [item for item in case.bad if item.evidence == case.finding.evidence] or list(case.bad)


def places(case: Case) -> list[Place]:
    """The services that the component runs as in this environment."""
    found: dict[str, Place] = {}
    for target in case.targets:
        project = case.snapshot.project(target.project) if case.snapshot is not None else None
        if project is None or (target.component, target.environment) != (case.component.name, case.environment):
            continue
        needs = live.needs(case.component, target, case.facts)
        for service in live.found(target, project)[0]:
            found.setdefault(service.resource, Place(service, target, needs))
    return list(found.values())


def place_of(case: Case, fact: Fact) -> Place | None:
    """The service that a fact is about: the one at its place, else the only one of its name."""
    resources = [item.resource or "" for item in fact.evidence]
    name = getattr(fact, "service", "")
    here = [
        item for item in places(case) if any((text + "/").startswith(item.service.resource + "/") for text in resources)
    ]
    named = [item for item in places(case) if item.service.name == name]
    return here[0] if here else named[0] if len(named) == 1 else None


def users(case: Case, secret: Named) -> list[tuple[Place, Container, Variable]]:
    """What takes the DSN from a secret, as it was deployed last."""
    assert case.snapshot is not None
    found = []
    for place in places(case):
        for container in live.reached(place.service.template):
            variable = live.hit(container, place.needs.names)
            if variable is not None and variable.secret == secret.name:
                where = live.project_of(case.snapshot, place.service, variable)
                if _id(case.snapshot, where) == _id(case.snapshot, secret.project):
                    found.append((place, container, variable))
    return found


def readers(case: Case, secret: Named) -> list[tuple[Place | None, Container, Variable, Service]]:
    """What else gets the newest version of a secret when it starts: services that this component does not run as.

    With its place, where it is known that another component of this environment runs as it. A job gets it at its next
    execution.
    """
    assert case.snapshot is not None
    mine = {place.service.resource for place in places(case)}
    owned = _owned(case)
    found: dict[tuple[str, str], tuple[Place | None, Container, Variable, Service]] = {}
    for project in case.snapshot.projects:
        for service in project.services:
            if service.resource in mine or service.sort == "job":
                continue
            for container in service.template.containers:
                for variable in container.variables:
                    if _is_newest_of(case.snapshot, service, variable, secret):
                        target = owned.get(service.resource)
                        place = Place(service, target, live.needs(case.component, target, ())) if target else None
                        found.setdefault((service.resource, container.name), (place, container, variable, service))
    return list(found.values())


def _owned(case: Case) -> dict[str, Target]:
    """The services that components of this environment run as, by their full names."""
    assert case.snapshot is not None
    return {
        service.resource: target
        for target in case.snapshot.targets
        if target.environment == case.environment and (project := case.snapshot.project(target.project)) is not None
        for service in live.found(target, project)[0]
    }


def _is_newest_of(snapshot: Snapshot, service: Service, variable: Variable, secret: Named) -> bool:
    if variable.secret != secret.name or (variable.version or "latest") != "latest":
        return False
    return _id(snapshot, live.project_of(snapshot, service, variable)) == _id(snapshot, secret.project)


def not_renewed(case: Case, secret: Named) -> str:
    """Which services keep what they have until their next revision, though they ask for the newest: nobody's here."""
    names = ", ".join(dict.fromkeys(item.name for place, _, _, item in readers(case, secret) if place is None))
    return f"; not rolled out for it, though its instances read {secret.name} when they start: {names}" if names else ""


def _id(snapshot: Snapshot, project: str) -> str:
    known = snapshot.project(project)
    return known.id if known is not None else project
