"""Whether a service has Sentry's variables as the repository's definitions would deploy it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.cloud_facts import DeployDrift
from sentry_audit.deployment.environments import rendered
from sentry_audit.deployment.state import by_service, first, states
from sentry_audit.derive.deployments import setting_at
from sentry_audit.derive.live import at, labels, named, reached, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.cloud import Container, Service, Variable
    from sentry_audit.deployment.state import State
    from sentry_audit.derive.live import Subject
    from sentry_audit.facts import Deployment, Fact, Setting
    from sentry_audit.model import Evidence

_CHANGES = "the next deploy changes it to that"


def drift_facts(subject: Subject) -> list[Fact]:
    """One fact per variable of Sentry's that a service has, or that a definition gives it."""
    if subject.hidden is not None:
        reason, hint = subject.hidden.reason, subject.hidden.hint
        return [DeployDrift(unknown=reason, hint=hint, evidence=(subject.place,))]
    if not subject.services:
        return [DeployDrift(service=subject.target.service, needless=subject.missing, evidence=(subject.place,))]
    mine = subject.matching.of(subject.component.name, subject.environment)
    facts: list[Fact] = []
    for service in subject.services:
        found = _states(mine, service, subject.environment)
        here = (at(service, ""),)
        if not found:
            what = f"no definition in the repository deploys {service.name}: there is nothing to compare it with"
            facts.append(DeployDrift(service=service.name, needless=what, evidence=here))
            continue
        container = next(iter(reached(service.template)), None)
        if container is None:
            reason = f"{service.name}: which of its containers requests reach was not told"
            facts.append(DeployDrift(service=service.name, unknown=reason, evidence=here))
            continue
        names = dict.fromkeys([*subject.needs.names, *labels(subject.target, subject.needs)])
        judged = [fact for name in names if (fact := _compared(service, container, found, name)) is not None]
        what = f"neither {service.name} nor the repository has {' or '.join(names)}"
        what = what if names else f"{service.name} needs no variable of Sentry's"
        facts += judged or [DeployDrift(service=service.name, needless=what, evidence=here)]
    return facts


def _states(mine: Sequence[Deployment], service: Service, environment: str) -> list[State]:
    """What the definitions of that service leave behind: of those that name it, else of all that are not another's."""
    groups = by_service(states(mine, environment))
    named_so = [state for group in groups for state in group if rendered(state.service, environment) == service.name]
    open_ = [state for group in groups for state in group if not state.service or "$" in state.service]
    return named_so or open_ or (groups[0] if len(groups) == 1 else [])


def _compared(service: Service, container: Container, found: Sequence[State], name: str) -> DeployDrift | None:
    live = container.variable(name)
    if live is not None and not (live.secret or live.is_set):
        live = None
    given = first(found, (name,))
    if given is not None and not (given[0].is_set or given[0].secret):
        given = None
    if live is None and given is None:
        return None
    if live is None and given is not None:
        return _undeployed(service, container, name, *given)
    assert live is not None
    if given is None:
        return _unknown_to(service, container, live, found)
    return _both(service, container, live, *given)


def _who(service: Service) -> str:
    return f" (deployed last with {service.manager})" if service.manager else ""


def _undeployed(service: Service, container: Container, name: str, item: Setting, by: Deployment) -> DeployDrift:
    place = setting_at(item, by)
    problem = f"{place} gives {service.name} {name}, which it does not have{_who(service)}"
    effect = "the next deploy brings it"
    return DeployDrift(
        name=name, service=service.name, manager=service.manager, effect=effect, problem=f"{problem}: {effect}",
        source=str(place), evidence=(at(service, f"{named(service, container)} has no {name}"), place),
    )  # fmt: skip


def _unknown_to(service: Service, container: Container, live: Variable, found: Sequence[State]) -> DeployDrift:
    """The service has what no definition sets: the next deploy keeps it, or drops it."""
    here = at(service, shown(live))
    unresolved = list(dict.fromkeys(text for state in found for text in state.unresolved))
    wiper = _dropping(live, found)
    places: tuple[Evidence, ...] = (here, *(wiper.evidence if wiper is not None else ()))
    if wiper is None and not unresolved:
        source = f"{named(service, container)} has {live.name}, and no definition takes it away"
        return DeployDrift(
            name=live.name, service=service.name, manager=service.manager, agrees=True, effect="the next deploy keeps it",
            source=source, evidence=places,
        )  # fmt: skip
    if unresolved:
        reason = f"whether the next deploy of {service.name} keeps {live.name} is not known: {'; '.join(unresolved)}"
        return DeployDrift(name=live.name, service=service.name, unknown=reason, evidence=places)
    assert wiper is not None
    effect = "the next deploy drops it"
    manner = "declares all variables" if wiper.declarative else "replaces or removes it"
    problem = (
        f"{service.name} has {shown(live)}{_who(service)}, and nothing in the repository gives it that: "
        f"{wiper.evidence[0]} {manner}, so {effect}"
    )
    return DeployDrift(
        name=live.name, service=service.name, manager=service.manager, effect=effect, problem=problem, evidence=places
    )


def _dropping(live: Variable, found: Sequence[State]) -> Deployment | None:
    """The deployment after which the variable is gone: one that replaces all of its sort, or removes it by name."""
    sort = "secret" if live.secret else "plain"
    for state in found:
        if sort in state.replaced:
            return state.replaced[sort]
        for item in state.deployments:
            if any(each.operation == "remove" and each.name == live.name for each in item.settings):
                return item
    return None


def _both(service: Service, container: Container, live: Variable, item: Setting, by: Deployment) -> DeployDrift:
    place = setting_at(item, by)
    places = (at(service, shown(live)), place)
    written = item.secret if item.sort == "secret" else item.value
    if "$" in written or "$" in item.version:
        reason = f"what {place} gives {service.name} as {live.name} was not followed: {written}"
        return DeployDrift(name=live.name, service=service.name, unknown=reason, evidence=places)
    differs = _difference(live, item)
    if not differs:
        return DeployDrift(
            name=live.name, service=service.name, manager=service.manager, agrees=True, effect="the next deploy changes nothing",
            source=f"{named(service, container)} has {shown(live)}, as {place} gives it", evidence=places,
        )  # fmt: skip
    problem = f"{service.name} has {shown(live)}{_who(service)}, but {place} gives it {differs}: {_CHANGES}"
    return DeployDrift(
        name=live.name, service=service.name, manager=service.manager, effect=_CHANGES, problem=problem, source=str(place),
        evidence=places,
    )  # fmt: skip


def _difference(live: Variable, item: Setting) -> str:
    """What the definition gives, in words, where that is something else; ``""`` where it is not, or cannot be told."""
    if item.sort == "secret":
        name, version = item.secret.rpartition("/")[2], item.version or "latest"
        same = live.secret == name and (live.version or "latest") == version
        return "" if same else f"{live.name} from the secret {name}:{version}"
    if live.secret:
        return f"{live.name} as a plain value{f', {item.value}' if item.value else ''}"
    value = live.dsn.shown if live.dsn is not None else live.value
    return f"{live.name}={item.value}" if value and item.value and value != item.value else ""
