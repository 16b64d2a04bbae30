"""What the deploy definitions of a repository come to for one component in one environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sentry_audit.deployment.environments import canonical, named_in, rendered, speaks_of
from sentry_audit.deployment.state import State, by_service, first, states
from sentry_audit.dsn import names_dsn
from sentry_audit.facts import (
    DeployedDsn,
    DeployedEnvironment,
    Deployment,
    DeployWipe,
    DsnArgument,
    SecretDeclared,
    SecretName,
    SecretScript,
    TerraformDsn,
)
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sentry_audit.deployment.matching import Matching
    from sentry_audit.facts import Component, Fact, Image, Setting

_DEFAULT = ("SENTRY_DSN",)
_Judged = TypeVar("_Judged", DeployedDsn, DeployedEnvironment)


def deployed(
    component: Component,
    matching: Matching,
    argument: DsnArgument | None,
    label: tuple[str, ...] | None,
    image: Image | None,
    environment: str,
) -> list[Fact]:
    """The facts about the variables of a back end.

    ``argument`` is where its DSN comes from; ``label`` the variables that its ``environment`` option reads: None if it
    has no such option, empty if the option needs no variable. Nothing if the repository deploys nothing.
    """
    mine = matching.of(component.name, environment)
    baked = {name for name, _ in image.env} if image else set()
    if argument is not None and argument.resolves and not argument.variables:
        variables: tuple[str, ...] = ()
    else:
        variables = (argument.variables if argument else ()) or _DEFAULT
    literal = _needless(argument, matching) if argument is not None and not variables else []
    if not mine:
        return _nowhere(component, matching, environment) if variables else literal
    groups = by_service(states(mine, environment))
    theirs = [[item for state in group for item in state.deployments] for group in groups]
    both = list(zip(groups, theirs, strict=True))
    facts: list[Fact] = [_worst(_labelled(found, own, label, baked, environment) for found, own in both)]
    facts += literal
    if variables:
        facts.append(_worst(_declared(found, own, argument, variables, baked, image) for found, own in both))
        facts += [fact for found in groups for fact in _wipes(found, variables)]
    return facts


def _needless(argument: DsnArgument, matching: Matching) -> list[Fact]:
    """That no deployment has to pass a DSN which stands in the code, where something is deployed."""
    if not matching.owners and not matching.ownerless:
        return []
    return [DeployedDsn(declared=True, source="it needs none, the DSN is a literal", evidence=argument.evidence[-1:])]


def _worst(facts: Iterable[_Judged]) -> _Judged:
    """Of what is so for each service of a component, the worst: each has its own variables."""
    return min(facts, key=lambda fact: (not fact.problem, not fact.unknown))


def _nowhere(component: Component, matching: Matching, environment: str) -> list[Fact]:
    """Deployments that may be the component's, or are in other environments: then it is not known what it gets."""
    other = matching.elsewhere(component.name, environment)
    if other:
        names = ", ".join(sorted({item.environment for item in other}))
        reason = f"this repository deploys {component.name} to {names}, not to {environment}"
    elif matching.ownerless and component.role != "frontend":
        other = [item for item in matching.ownerless if speaks_of(item.environment, environment)]
        names = ", ".join(sorted({rendered(item.service, environment) or "a service" for item in other}))
        reason = f"which deployment is of {component.name} was not told: {names} (name it in sentry-audit.yaml: components: service)"
    if not other:
        return []
    return [DeployedDsn(unknown=reason, evidence=_places(other))]


def _places(deployments: Sequence[Deployment]) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys(place for item in deployments for place in item.evidence))


def setting_at(item: Setting, deployment: Deployment) -> Evidence:
    """Where a deployment sets a variable, and to what."""
    shown = item.name
    if item.secret:
        shown += f" from the secret {item.secret}" + (f":{item.version}" if item.version else "")
    elif item.value:
        shown += f"={item.value}"
    return Evidence(item.path or deployment.path, item.line or deployment.line, None, None, shown)


def _declared(
    found: Sequence[State],
    mine: Sequence[Deployment],
    argument: DsnArgument | None,
    variables: tuple[str, ...],
    baked: set[str],
    image: Image | None,
) -> DeployedDsn:
    hit = first(found, variables)
    if hit is not None:
        item, deployment = hit
        if not item.is_set and item.sort == "plain":
            problem = f"{deployment.evidence[0]} sets {item.name} to nothing"
            return DeployedDsn(variables=variables, problem=problem, evidence=(setting_at(item, deployment),))
        source = f"{item.name} in {setting_at(item, deployment)}" + (
            f", from the secret {item.secret}" if item.secret else ""
        )
        return DeployedDsn(
            declared=True, variables=variables, source=source, secret=item.secret, version=item.version,
            evidence=(setting_at(item, deployment),),
        )  # fmt: skip
    if baked & set(variables) and image is not None:
        name = min(baked & set(variables))
        here = Evidence(image.path, None, None, None, f"ENV {name}")
        return DeployedDsn(declared=True, variables=variables, source=f"{name} in {image.path}", evidence=(here,))
    if argument is not None and argument.literal:
        source = f"a literal, in case nothing sets {' or '.join(variables)}"
        return DeployedDsn(declared=True, variables=variables, source=source, evidence=argument.evidence[-1:])
    similar = sorted(
        {name for state in found for name in state.variables if "SENTRY" in name.upper() and "DSN" in name.upper()}
    )
    unresolved = list(dict.fromkeys(text for state in found for text in state.unresolved))
    if unresolved:
        return DeployedDsn(variables=variables, unknown="; ".join(unresolved), evidence=_places(mine))
    if argument is not None and argument.unknown:
        seen = f"; {', '.join(similar)} is passed" if similar else ""
        return DeployedDsn(unknown=f"which variable it needs is not known{seen}", evidence=_places(mine))
    if argument is not None and argument.also:
        reason = f"{' or '.join(variables)} is not passed, and {argument.also}"
        return DeployedDsn(variables=variables, unknown=reason, evidence=(*_places(mine), *argument.evidence[-1:]))
    lost = next((state.lost[name] for state in found for name in variables if name in state.lost), None)
    place = f"{mine[-1].evidence[0]} deploys {mine[-1].service or 'it'} without {' or '.join(variables)}"
    if lost is not None:
        place = f"{lost[1].evidence[0]} replaces all {_sort(lost[0])} and drops {lost[0].name} again"
    elif similar:
        place += f": it passes {', '.join(similar)}, which the code does not read"
    ignored = [f"; {text}" for item in mine for text in item.ignored]
    return DeployedDsn(variables=variables, problem=place + "".join(ignored[:1]), evidence=_places(mine))


def _sort(item: Setting) -> str:
    return "secrets" if item.sort == "secret" else "plain variables"


def _wipes(found: Sequence[State], variables: Sequence[str]) -> list[Fact]:
    facts: list[Fact] = []
    hit = first(found, variables)
    for state in found:
        kept = next((state.variables[name] for name in variables if name in state.variables), None)
        lost = next((state.lost[name] for name in variables if name in state.lost), None)
        if kept is not None or (hit is None and lost is None) or state.last is None:
            if kept is not None:
                facts.append(DeployWipe(evidence=(setting_at(*kept),)))
            continue
        item, setter = hit or lost  # type: ignore[misc]
        wiper = lost[1] if lost else state.replaced.get(item.sort)
        if wiper is None:
            facts.append(DeployWipe(evidence=state.last.evidence))
        elif state.unresolved:
            facts.append(DeployWipe(unknown="; ".join(dict.fromkeys(state.unresolved)), evidence=wiper.evidence))
        else:
            manner = "declares all variables" if wiper.declarative else f"replaces all {_sort(item)}"
            where = "" if setter is wiper else f", which {setting_at(item, setter)} sets"
            problem = (
                f"{wiper.evidence[0]} {manner} of {wiper.service or 'the service'} and leaves out {item.name}{where}"
            )
            places = (*wiper.evidence, *((setting_at(item, setter),) if setter is not wiper else ()))
            facts.append(DeployWipe(keeps=False, problem=problem, evidence=places))
    return facts


def _labelled(
    found: Sequence[State], mine: Sequence[Deployment], label: tuple[str, ...] | None, baked: set[str], environment: str
) -> DeployedEnvironment:
    if label == ():
        return DeployedEnvironment(declared=True, source="the code", evidence=_places(mine))
    names = label or ("SENTRY_ENVIRONMENT",)
    hit = first(found, names)
    if hit is not None:
        item, deployment = hit
        named = named_in(item.value)
        wrong = len(named) == 1 and canonical(environment) not in named and item.value.strip().isalpha()
        problem = f"{item.name} is {item.value!r} for {environment}" if wrong else ""
        return DeployedEnvironment(
            declared=not wrong, source=item.name, problem=problem, evidence=(setting_at(item, deployment),)
        )
    if baked & set(names):
        return DeployedEnvironment(declared=True, source="the image", evidence=_places(mine))
    unresolved = list(dict.fromkeys(text for state in found for text in state.unresolved))
    if unresolved:
        return DeployedEnvironment(unknown="; ".join(unresolved), evidence=_places(mine))
    reads = f"the code reads {' or '.join(names)}, which" if label else "neither the code nor"
    tail = "no deployment sets" if label else "a deployment sets SENTRY_ENVIRONMENT"
    whose = "every environment" if canonical(environment) == "production" else environment
    problem = f"{reads} {tail}: events of {whose} are labelled production" if not label else f"{reads} {tail}"
    return DeployedEnvironment(problem=problem, evidence=_places(mine))


def secrets(
    component: Component,
    matching: Matching,
    facts: Sequence[Fact],
    argument: DsnArgument | None,
    dsn: DeployedDsn | None,
    environment: str,
) -> list[Fact]:
    """Whether scripts and Terraform that create secrets know the DSN's, and by the name that is deployed."""
    declared = [fact for fact in facts if isinstance(fact, SecretDeclared)]
    found: list[Fact] = []
    found += _scripts([item for item in declared if _concerns(item.path, component, matching)])
    here = [item for item in declared if speaks_of(item.environment, environment)]
    found += _terraform(component, matching, [item for item in here if item.origin == "terraform"], dsn, environment)
    known = {rendered(item.name, environment): item for item in here if names_dsn(item.name)}
    if argument is not None and argument.secret:  # the program asks for it, whatever the deployment passes
        return [*found, *_name(argument.secret, f"the code reads the DSN from {argument.secret}", argument, dsn, known)]
    if dsn is not None and dsn.secret:
        found += _name(dsn.secret, f"the deployment takes the DSN from {dsn.secret}", dsn, None, known)
    return found


def _name(
    name: str, told: str, user: Fact, passed: DeployedDsn | None, known: Mapping[str, SecretDeclared]
) -> list[Fact]:
    """Whether the secret that is used is one of those that are created, or else the one that is deployed."""
    if known:
        others = ", ".join(f"{other} ({item.evidence[0]})" for other, item in known.items())
        problem = "" if name in known else f"{told}, but what is created is {others}"
        evidence = (*user.evidence, *(place for item in known.values() for place in item.evidence))
        return [SecretName(name=name, agrees=not problem, problem=problem, evidence=evidence)]
    if passed is not None and passed.secret:
        problem = "" if name == passed.secret else f"{told}, but the deployment passes {passed.secret}"
        return [SecretName(name=name, agrees=not problem, problem=problem, evidence=(*user.evidence, *passed.evidence))]
    return []


def _concerns(path: str, component: Component, matching: Matching) -> bool:
    """Whether a script is ``component``'s: one that stands in the folder of other components is only theirs."""
    holders = {item.path for item in matching.components if item.path != "." and path.startswith(f"{item.path}/")}
    return not holders or component.path == max(holders, key=len)


def _scripts(declared: Sequence[SecretDeclared]) -> list[Fact]:
    """Whether the scripts that create secrets know Sentry's: one of them is enough."""
    known = {fact.path for fact in declared if names_dsn(fact.name)}
    creating = [fact for fact in declared if fact.origin == "script"]
    scripts: dict[str, list[SecretDeclared]] = {}
    for fact in [item for item in creating if item.path in known] or creating:
        scripts.setdefault(fact.path, []).append(fact)
    found: list[Fact] = []
    for path, listed in scripts.items():
        names = tuple(dict.fromkeys(item.name for item in listed))
        open_ = "" if known else next((item.unresolved for item in listed if item.unresolved), "")
        evidence = tuple(place for item in listed for place in item.evidence)
        found.append(SecretScript(path=path, covers=bool(known), names=names, unknown=open_, evidence=evidence))
    return found


def _terraform(
    component: Component,
    matching: Matching,
    declared: Sequence[SecretDeclared],
    dsn: DeployedDsn | None,
    environment: str,
) -> list[Fact]:
    mine = [item for item in matching.of(component.name, environment) if item.origin == "terraform"]
    if not mine and not declared:
        return []
    names = [item.name for item in declared]
    unresolved = [text for item in mine for text in item.unresolved] + [
        item.unresolved for item in declared if item.unresolved
    ]
    evidence = _places(mine) or tuple(place for item in declared for place in item.evidence)
    passed = any(
        "SENTRY" in item.name.upper() and "DSN" in item.name.upper() for each in mine for item in each.settings
    )
    if passed or any(map(names_dsn, names)) or (dsn is not None and dsn.declared and not declared):
        return [TerraformDsn(evidence=evidence)]
    if unresolved:
        return [TerraformDsn(unknown="; ".join(dict.fromkeys(unresolved)), evidence=evidence)]
    what = f"the service {mine[0].service}" if mine else f"{len(names)} secrets"
    return [
        TerraformDsn(
            managed=False,
            problem=f"Terraform manages {what} of {environment}, but not the Sentry DSN",
            evidence=evidence,
        )
    ]
