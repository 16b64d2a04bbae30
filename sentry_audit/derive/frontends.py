"""Whether the variable of a front end's DSN has a value where it is built; and everything else about a front end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import canonical, named_in
from sentry_audit.deployment.promotion import promoted
from sentry_audit.facts import DeployedEnvironment, DsnMatrix, FrontendVariable
from sentry_audit.model import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.matching import Matching
    from sentry_audit.deployment.promotion import Promotion
    from sentry_audit.facts import Fact
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.labels import Label
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.model import Problem
    from sentry_audit.python.program import Files

#: What a page knows of where it is.
_AT_RUN_TIME = re.compile(r"\b(window|location|document|globalThis|self)\b|__ENV|getConfig\(|[rR]untimeConfig")


class Frontends:
    """The front ends of a repository: read once, and asked about each environment."""

    def __init__(self, files: Files, frontends: Sequence[Frontend], facts: Sequence[Fact]) -> None:
        self.files = files
        self.frontends = list(frontends)
        self.facts = facts
        self.read: dict[str, tuple[list[Fact], Analysis]] = {}

    def derive(self, frontend: Frontend, environment: str, matching: Matching) -> tuple[list[Fact], list[Problem]]:
        """The facts about one front end in one environment, and what could not be parsed."""
        name = frontend.fact.name
        if name not in self.read:
            from sentry_audit.javascript.analysis import Analysis

            analysis = Analysis(self.files, frontend)
            self.read[name] = (analysis.facts(), analysis)
        found, analysis = self.read[name]
        more = [self._variable(frontend, variable, environment, matching) for variable in analysis.variables]
        labels = [self._labelled(frontend, label, environment, matching) for label in analysis.labels]
        shared = promoted(matching, frontend.fact, environment)
        apart = [told_apart(shared, fact, analysis.labels) for fact in more if fact.provided] if shared else []
        return [*found, *more, *labels, *apart], analysis.problems

    def _labelled(self, frontend: Frontend, label: Label, environment: str, matching: Matching) -> Fact:
        """Whether events of the front end carry the environment's name."""
        wanted = canonical(environment)
        if label.open:
            return DeployedEnvironment(declared=True, source="the code", evidence=label.evidence)
        for name in label.variables:
            fact = self._variable(frontend, name, environment, matching)
            if fact.unknown:
                return DeployedEnvironment(unknown=fact.unknown, evidence=(*label.evidence, *fact.evidence))
            if fact.provided:
                problem = self._shared(frontend, name, environment, matching)
                places = (*label.evidence, *fact.evidence)
                return DeployedEnvironment(declared=not problem, source=name, problem=problem, evidence=places)
        built = label.modes or ("production",) if label.builds else ()
        said = built or label.literals or (("production",) if not label.given else ())
        if wanted in {canonical(name) for name in said}:
            return DeployedEnvironment(declared=True, source="the code", evidence=label.evidence)
        if label.variables:
            reads = f"init's environment reads {' or '.join(label.variables)}, which nothing gives the build of {environment}"
            falls = f": it falls back to {said[0]!r}" if said else ""
            return DeployedEnvironment(problem=reads + falls, evidence=label.evidence)
        if built:
            name = label.builds[0]
            problem = f"init's environment is {name}, which is {built[0]!r} in every build: events of {environment} are mislabelled"
        elif said and label.given:
            problem = f"init's environment is the constant {said[0]!r}"
        else:
            problem = f"init sets no environment: events of {environment} are labelled production"
        return DeployedEnvironment(problem=problem, evidence=label.evidence)

    def _shared(self, frontend: Frontend, name: str, environment: str, matching: Matching) -> str:
        """Why a label that is compiled in is wrong here: one image is deployed to several environments."""
        shared = promoted(matching, frontend.fact, environment)
        if shared is None:
            return ""
        given = next((item.value for item in shared.build.settings if item.name == name), "")
        if given and named_in(given) == {canonical(environment)}:
            return ""
        value = f" as {given!r}" if given and not given.startswith("$") else ""
        return f"{shared}, with {name} compiled in{value}: events of {environment} do not say where they are from"

    def _variable(self, frontend: Frontend, name: str, environment: str, matching: Matching) -> FrontendVariable:
        from sentry_audit import tracing

        steps = tracing.provision(name, environment, frontend.fact, self.facts, matching)
        places = tuple(place for step in steps for place in step.evidence)
        gaps = [step for step in steps if step.status is Status.GAP]
        late = any(step.late for step in gaps)
        if gap := next((step for step in gaps if step.late), next(iter(gaps), None)):
            return FrontendVariable(name=name, late=late, problem=gap.message, evidence=gap.evidence or places)
        if unknown := next((step for step in steps if step.status is Status.UNKNOWN and step.link != "secret"), None):
            return FrontendVariable(name=name, unknown=unknown.message, evidence=places)
        source = "; ".join(step.message for step in steps[-2:] if step is steps[-1] or steps[-1].link == "promotion")
        return FrontendVariable(name=name, provided=True, source=source, evidence=places)


def told_apart(shared: Promotion, variable: FrontendVariable, labels: Sequence[Label]) -> Fact:
    """Whether the environments that one image is deployed to can be told apart: by a label that is found at run time."""
    here = (*shared.evidence, *(place for label in labels for place in label.evidence))
    if labels and all(label.open or _AT_RUN_TIME.search(label.evidence[0].saw) for label in labels):
        return DsnMatrix(evidence=here)
    value = variable.source.partition("; one build")[0]
    problem = f"{shared}: both send to one project ({value}), and no label that is set at run time tells them apart"
    if any(len(set(label.literals)) > 1 for label in labels):
        return DsnMatrix(
            unknown=f"{shared}: whether init's environment is decided at run time was not followed", evidence=here
        )
    return DsnMatrix(distinct=False, problem=problem, evidence=here)
