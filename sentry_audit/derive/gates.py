"""Whether the conditions in front of a browser's init hold in what is built for an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import canonical
from sentry_audit.facts import EnvVar, FrontendEnabled
from sentry_audit.javascript.enabled import Evaluation, Named
from sentry_audit.javascript.variables import without_prefix
from sentry_audit.python.truth import is_environment_name, same_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentry_audit.deployment.matching import Matching
    from sentry_audit.facts import Fact, FrontendVariable
    from sentry_audit.javascript.analysis import Analysis


def enabled(
    analysis: Analysis,
    environment: str,
    facts: Sequence[Fact],
    matching: Matching,
    provided: Callable[[str], FrontendVariable],
) -> list[Fact]:
    """One fact per init that runs only on a condition. ``provided`` tells whether the build gets a variable."""

    def given(name: str) -> str | None:
        return _given(name, analysis, environment, facts, matching, provided)

    evaluation = Evaluation(analysis, given)
    found: list[Fact] = []
    for gates in analysis.gates:
        unknown: FrontendEnabled | None = None
        closed: FrontendEnabled | None = None
        for gate in gates:
            holds, why = evaluation.holds(gate)
            if holds is False:
                closed = closed or FrontendEnabled(enabled=False, condition=gate.shown, evidence=(gate.evidence,))
            elif why:
                reason = f"whether init runs depends on {gate.shown}: {why}"
                unknown = unknown or FrontendEnabled(condition=gate.shown, unknown=reason, evidence=(gate.evidence,))
        if gates:
            evidence = tuple(gate.evidence for gate in gates)
            found.append(closed or unknown or FrontendEnabled(condition=gates[0].shown, evidence=evidence))
    return found


def _given(
    name: str,
    analysis: Analysis,
    environment: str,
    facts: Sequence[Fact],
    matching: Matching,
    provided: Callable[[str], FrontendVariable],
) -> str | None:
    """The value that a build for ``environment`` has for a variable. Raises LookupError where that is not known."""
    if name == "MODE":
        modes = {label.mode for label in analysis.labels} | {mode for label in analysis.labels for mode in label.modes}
        return next((mode for mode in sorted(modes) if same_environment(mode, environment)), "production")
    for fact in facts:
        if (
            isinstance(fact, EnvVar)
            and (fact.name, fact.template, fact.origin) == (name, False, "dotenv")
            and fact.value
            and analysis.frontend.within(fact.path)
            and fact.is_built_into(canonical(environment))
        ):
            return fact.value
    for build in matching.images(analysis.frontend.fact, environment):
        for item in build.settings:
            if item.name == name and item.value and "$" not in item.value:
                return item.value
    fact_ = provided(name)
    if is_environment_name(without_prefix(name)) and (fact_.provided or fact_.unknown):
        return Named(environment)
    if fact_.provided:
        raise LookupError(f"the value of {name} in {environment} is not known")
    if fact_.unknown:
        raise LookupError(fact_.unknown)
    return None
