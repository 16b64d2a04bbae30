"""Whether the environments of one component send to Sentry in a way that tells them apart, as they run. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.deployment.environments import canonical, named_in
from sentry_audit.derive.live import at, dsn_of, hit, labels, needs, project_of, reached, shown
from sentry_audit.derive.live import found as services_of
from sentry_audit.dsn import names_dsn
from sentry_audit.facts import DsnMatrix, SdkInit
from sentry_audit.model import SentryProject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.cloud import Container, DsnSeen, Service, Snapshot, Target, Variable
    from sentry_audit.derive.live import Needs
    from sentry_audit.facts import Component, Fact

_UNTOLD = "?"


class _Use(Struct, frozen=True):
    """What one environment's service has: its DSN's variable, what that holds, and the label of its events.

    ``holder`` is the project of its secret. ``label`` is a canonical name: ``production`` where nothing sets one, ``?``
    where that is not known.
    """

    environment: str
    service: Service
    variable: Variable
    holder: str
    dsn: DsnSeen | None
    label: str

    @property
    def secret(self) -> tuple[str, str]:
        """(project, name) of its secret; two empty texts for a plain value."""
        return (self.holder, self.variable.secret) if self.variable.secret else ("", "")

    @property
    def project(self) -> str:
        """The Sentry project, as ``host/number``; ``""`` where it is not known."""
        return f"{self.dsn.host}/{self.dsn.project}" if self.dsn is not None and self.dsn.project else ""


def dsn_matrix(
    component: Component, environment: str, snapshot: Snapshot | None, facts: Sequence[Fact]
) -> list[DsnMatrix]:
    """Whether ``component`` in ``environment`` can be told from itself in the other environments of ``snapshot``.

    ``facts`` are those derived for it in ``environment``. Only environments whose values were read count. Nothing
    where there is nothing to compare, or the DSN is compiled in.
    """
    if snapshot is None or snapshot.failure is not None:
        return []
    mine = [fact for fact in facts if fact.component in {"", component.name}]
    targets = [item for item in snapshot.targets if item.component == component.name]
    own = [item for item in targets if item.environment == environment]
    others = [item for item in targets if canonical(item.environment) != canonical(environment)]
    found: list[DsnMatrix] = []
    for target in own:
        use = None if needs(component, target, mine).nothing else _use(component, target, snapshot, mine)
        if use is None:
            continue
        if borrowed := _borrowed(use, snapshot):
            found.append(_fact(component, [use], borrowed))
            continue
        uses = [other for item in others if (other := _use(component, item, snapshot, mine)) is not None]
        found += [_compared(component, use, other) for other in uses if _comparable(use, other)]
    return found


def sentry_projects(
    component: Component, environment: str, snapshot: Snapshot | None, facts: Sequence[Fact]
) -> list[SentryProject]:
    """Where the events of ``component`` go in ``environment``, for each service whose DSN was read."""
    if snapshot is None:
        return []
    mine = [fact for fact in facts if fact.component in {"", component.name}]
    found: list[SentryProject] = []
    for target in snapshot.targets:
        if (target.component, target.environment) != (component.name, environment):
            continue
        use = _use(component, target, snapshot, mine)
        if use is not None and use.dsn is not None and use.dsn.project:
            dsn = use.dsn
            found.append(
                SentryProject(component.name, dsn.host, dsn.project, dsn.shown, dsn.fingerprint, use.service.resource)
            )
    return found


def _use(component: Component, target: Target, snapshot: Snapshot, facts: Sequence[Fact]) -> _Use | None:
    project = snapshot.project(target.project)
    services = services_of(target, project)[0] if project is not None else ()
    wanted = needs(component, target, facts)
    for service in services:
        for container in reached(service.template):
            variable = hit(container, wanted.names)
            if variable is None or not (variable.secret or variable.is_set):
                continue
            label = _label(target, wanted, container, facts)
            holder, dsn = project_of(snapshot, service, variable), dsn_of(snapshot, service, variable)
            return _Use(target.environment, service, variable, holder, dsn, label)
    return None


def _label(target: Target, wanted: Needs, container: Container, facts: Sequence[Fact]) -> str:
    """What events are labelled with: by the code, else by the variable, else by the SDK."""
    names = labels(target, wanted)
    if not names:
        return canonical(target.environment)
    variable = hit(container, names)
    if variable is not None and (variable.secret or variable.is_set):
        return canonical(variable.value) if variable.value else _UNTOLD
    if any("environment" in fact.options for fact in facts if isinstance(fact, SdkInit)):
        return _UNTOLD
    return "production"  # the SDK's own default


def _borrowed(use: _Use, snapshot: Snapshot) -> str:
    """That the secret is named for another environment, where one that is named for this one is there."""
    where, name = use.secret
    theirs = named_in(name)
    if len(theirs) != 1 or canonical(use.environment) in theirs:
        return ""
    project = snapshot.project(where)
    names = {*project.names, *(item.name for item in project.secrets if item.exists)} if project is not None else set()
    own = sorted(item for item in names if names_dsn(item) and named_in(item) == {canonical(use.environment)})
    if not own:
        return ""
    return (
        f"{use.service.name} of {use.environment} takes {use.variable.name} from {name}, the secret of {theirs.pop()}, "
        f"though {own[0]} is there: events of {use.environment} are sent as if they were its own"
    )


def _comparable(use: _Use, other: _Use) -> bool:
    if use.service.resource == other.service.resource:  # one service is both environments
        return False
    same = use.secret[1] != "" and use.secret == other.secret
    return same or (use.dsn is not None and other.dsn is not None and bool(use.project and other.project))


def _compared(component: Component, use: _Use, other: _Use) -> DsnMatrix:
    both = f"{use.service.name} ({use.environment}) and {other.service.name} ({other.environment})"
    one_dsn = _one_dsn(use, other)
    if not one_dsn and use.project != other.project:
        return _fact(component, [use, other], source=f"{both} send to different projects of Sentry")
    what = (
        f"both send to the project {use.project or other.project}"
        if use.project or other.project
        else "both send to one project"
    )
    if one_dsn:
        owner = _owner(use, other)
        what = f"both use one DSN{_how(use, other, owner)}"
        if owner:
            return _fact(component, [use, other], f"{both}: {what}")
    if _UNTOLD in {use.label, other.label}:
        reason = f"{both}: {what}, and what labels their events was not read"
        return _fact(component, [use, other], unknown=reason)
    if use.label == other.label:
        return _fact(component, [use, other], f"{both}: {what}, and label their events {use.label!r}")
    return _fact(
        component, [use, other], source=f"{both}: {what}; the labels {use.label} and {other.label} tell them apart"
    )


def _one_dsn(use: _Use, other: _Use) -> bool:
    """Whether both use one DSN: by what it is where both were read, else by the secret that it comes from."""
    if use.dsn is not None and other.dsn is not None:
        return use.dsn.fingerprint == other.dsn.fingerprint != ""
    return use.secret[1] != "" and use.secret == other.secret


def _how(use: _Use, other: _Use, owner: str) -> str:
    """How two environments come to one DSN, as the end of a sentence."""
    if use.secret[1] and use.secret == other.secret:
        return f", from the secret {use.secret[1]}" + (f", which is {owner}'s by its name" if owner else "")
    names = " and ".join(item.secret[1] or f"{item.variable.name} of {item.service.name}" for item in (use, other))
    return f": {names} hold the same"


def _owner(use: _Use, other: _Use) -> str:
    """The environment that a shared DSN is meant for, as the name of a secret that holds it says."""
    for item in (use, other):
        names = named_in(item.secret[1])
        for environment in (use.environment, other.environment):
            if names == {canonical(environment)}:
                return environment
    return ""


def _fact(
    component: Component, uses: Sequence[_Use], problem: str = "", *, source: str = "", unknown: str = ""
) -> DsnMatrix:
    return DsnMatrix(
        component=component.name, distinct=not problem, problem=problem, source=source, unknown=unknown,
        projects=tuple(f"{item.environment}: {item.project}" for item in uses if item.project),
        evidence=tuple(at(item.service, shown(item.variable)) for item in uses),
    )  # fmt: skip
