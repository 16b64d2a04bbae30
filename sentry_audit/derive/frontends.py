"""Whether the variable of a front end's DSN has a value where it is built; and everything else about a front end."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from sentry_audit.facts import FrontendVariable
from sentry_audit.model import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.matching import Matching
    from sentry_audit.facts import Fact
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.model import Problem
    from sentry_audit.policies.reading import Policies
    from sentry_audit.python.program import Files


class Frontends:
    """The front ends of a repository: read once, and asked about each environment."""

    def __init__(self, files: Files, frontends: Sequence[Frontend], facts: Sequence[Fact]) -> None:
        self.files = files
        self.frontends = list(frontends)
        self.facts = facts
        self.read: dict[str, tuple[list[Fact], Analysis]] = {}

    def derive(self, frontend: Frontend, environment: str, matching: Matching) -> tuple[list[Fact], list[Problem]]:
        """The facts about one front end in one environment, and what could not be parsed."""
        from sentry_audit.derive.policies import content_policies

        name = frontend.fact.name
        if name not in self.read:
            from sentry_audit.javascript.analysis import Analysis

            analysis = Analysis(self.files, frontend)
            self.read[name] = (analysis.facts(), analysis)
        found, analysis = self.read[name]
        more = [self._variable(frontend, variable, environment, matching) for variable in analysis.variables]
        policies = content_policies(analysis, self._policies, self.facts, found, environment)
        return [*found, *more, *policies], analysis.problems

    @cached_property
    def _policies(self) -> Policies:
        from sentry_audit.policies.reading import Policies

        return Policies(self.files, self.frontends, self.facts)

    def _variable(self, frontend: Frontend, name: str, environment: str, matching: Matching) -> Fact:
        from sentry_audit import tracing

        steps = tracing.provision(name, environment, frontend.fact, self.facts, matching)
        places = tuple(place for step in steps for place in step.evidence)
        gaps = [step for step in steps if step.status is Status.GAP]
        late = any(step.late for step in gaps)
        if gap := next((step for step in gaps if step.late), next(iter(gaps), None)):
            return FrontendVariable(name=name, late=late, problem=gap.message, evidence=gap.evidence or places)
        if unknown := next((step for step in steps if step.status is Status.UNKNOWN and step.link != "secret"), None):
            return FrontendVariable(name=name, unknown=unknown.message, evidence=places)
        return FrontendVariable(name=name, provided=True, source=steps[-1].message if steps else "", evidence=places)
