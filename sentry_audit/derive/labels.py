"""Whether the events of a front end are labelled with the environment that it is built for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import canonical
from sentry_audit.derive.promoted import mislabelled
from sentry_audit.facts import DeployedEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry_audit.deployment.promotion import Promotion
    from sentry_audit.facts import FrontendVariable
    from sentry_audit.javascript.labels import Label


def labelled(
    label: Label, environment: str, provided: Callable[[str], FrontendVariable], shared: Promotion | None = None
) -> DeployedEnvironment:
    """Whether events carry the environment's name. ``provided`` tells whether the build gets a variable.

    ``shared``: the build makes the image of other environments too.
    """
    wanted = canonical(environment)
    if label.open:
        return DeployedEnvironment(declared=True, source="the code", evidence=label.evidence)
    for name in label.variables:
        fact = provided(name)
        if fact.unknown:
            return DeployedEnvironment(unknown=fact.unknown, evidence=(*label.evidence, *fact.evidence))
        if fact.provided:
            problem = mislabelled(shared, name, environment)
            places = (*label.evidence, *fact.evidence)
            return DeployedEnvironment(declared=not problem, source=name, problem=problem, evidence=places)
    built = (label.mode, *label.modes) if "MODE" in label.builds else ("production",) if label.builds else ()
    said = built or label.literals or (("production",) if not label.given else ())
    if wanted in {canonical(name) for name in said}:
        return DeployedEnvironment(declared=True, source="the code", evidence=label.evidence)
    if label.variables:
        reads = (
            f"init's environment reads {' or '.join(label.variables)}, which nothing gives the build of {environment}"
        )
        falls = f": it falls back to {said[0]!r}" if said else ""
        return DeployedEnvironment(problem=reads + falls, evidence=label.evidence)
    if built:
        name = label.builds[0]
        problem = f"init's environment is {name}, which is {built[0]!r} in every build: events of {environment} are mislabelled"
    elif said and label.given:
        one = len(set(said)) == 1
        names = " or ".join(repr(name) for name in dict.fromkeys(said))
        problem = (
            f"init's environment is the constant {names}"
            if one
            else f"init's environment is {names}, never {environment!r}"
        )
    else:
        problem = f"init sets no environment: events of {environment} are labelled production"
    return DeployedEnvironment(problem=problem, evidence=label.evidence)
