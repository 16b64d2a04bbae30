"""Whether the variable of a front end's DSN has a value where it is built; and everything else about a front end."""

from __future__ import annotations

from functools import cached_property, partial
from posixpath import join, normpath
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.facts import FrontendVariable, Image, Release, SourceMaps
from sentry_audit.model import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.matching import Matching
    from sentry_audit.derive.building import Building, Reach
    from sentry_audit.facts import Fact
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.javascript.propagation import Sender
    from sentry_audit.javascript.values import Variable
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
        self.senders: dict[str, Sender | None] = {}

    def derive(self, frontend: Frontend, environment: str, matching: Matching) -> tuple[list[Fact], list[Problem]]:
        """The facts about one front end in one environment, and what could not be parsed."""
        from sentry_audit.deployment.promotion import promoted
        from sentry_audit.derive.gates import enabled
        from sentry_audit.derive.labels import labelled
        from sentry_audit.derive.policies import content_policies
        from sentry_audit.derive.promoted import told_apart

        found, analysis = self._analysis(frontend)

        def provided(name: str) -> FrontendVariable:
            return self._variable(frontend, name, environment, matching)

        shared = promoted(matching, frontend.fact, environment)
        given = [self._given(frontend, item, environment, matching) for item in analysis.variables.values()]
        compiled = [fact for fact in given if fact.provided and not analysis.variables[fact.name].at_run_time]
        more: list[Fact] = [*given]
        more += [told_apart(shared, fact, analysis.labels) for fact in compiled] if shared else []
        more += [labelled(label, environment, provided, shared) for label in analysis.labels]
        more += enabled(analysis, environment, self.facts, matching, provided)
        more += content_policies(analysis, self._policies, self.facts, found, environment)
        more += self._built(analysis, [fact for fact in found if isinstance(fact, Release)], environment, matching)
        return [*(fact for fact in found if not isinstance(fact, Release)), *more], analysis.problems

    @cached_property
    def _policies(self) -> Policies:
        from sentry_audit.policies.reading import Policies

        return Policies(self.files, self.frontends, self.facts)

    def sender(self, frontend: Frontend) -> Sender | None:
        """Where the requests of one front end go, and whether they carry its trace; the same in every environment."""
        name = frontend.fact.name
        if name not in self.senders:
            from sentry_audit.javascript.propagation import sender

            self.senders[name] = sender(self._analysis(frontend)[1])
        return self.senders[name]

    def _analysis(self, frontend: Frontend) -> tuple[list[Fact], Analysis]:
        name = frontend.fact.name
        if name not in self.read:
            from sentry_audit.javascript.analysis import Analysis

            analysis = Analysis(self.files, frontend)
            self.read[name] = (analysis.facts(), analysis)
        return self.read[name]

    def _built(self, analysis: Analysis, raw: Sequence[Release], environment: str, matching: Matching) -> list[Fact]:
        """The release and the source maps of a front end that initialises the SDK, as it is built."""
        from sentry_audit.derive import ci, maps, releases
        from sentry_audit.derive.building import Building
        from sentry_audit.derive.injected import injected

        component = analysis.frontend.fact
        steps = ci.steps_of(component, matching.components, self.facts)
        if not analysis.inits:
            return ci.release_in_ci(component, steps, matching, self.files) if analysis.plugins else []
        building = Building(component, environment, self.facts, matching, self.files)
        found: list[Fact] = []
        for fact in raw:
            otherwise = partial(injected, analysis.plugins, building, fact)
            found.append(releases.judged(fact, partial(_look, analysis, building), otherwise))
        uploaded = maps.source_maps(analysis, analysis.plugins, building, steps)
        found += uploaded
        upload = next((item for item in uploaded if isinstance(item, SourceMaps) and item.topic == "upload"), None)
        plugin = next(iter(analysis.plugins), None)
        return [*found, *ci.release_in_ci(component, steps, matching, self.files, upload, plugin)]

    def _given(self, frontend: Frontend, variable: Variable, environment: str, matching: Matching) -> FrontendVariable:
        """Whether the variable of a DSN has a value; a literal stands in for one that nothing sets."""
        fact = self._variable(frontend, variable.name, environment, matching, at_run_time=variable.at_run_time)
        fact = replace(fact, at_run_time=variable.at_run_time)
        if variable.has_literal and not fact.provided:
            source = f"a literal, in case nothing sets {variable.name}"
            places = (variable.evidence,) if variable.evidence is not None else fact.evidence
            return FrontendVariable(
                name=variable.name, provided=True, given=True, at_run_time=variable.at_run_time, source=source,
                evidence=places,
            )  # fmt: skip
        return fact

    def _variable(
        self, frontend: Frontend, name: str, environment: str, matching: Matching, *, at_run_time: bool = False
    ) -> FrontendVariable:
        from sentry_audit import tracing

        steps = tracing.provision(name, environment, frontend.fact, self.facts, matching, at_run_time=at_run_time)
        places = tuple(place for step in steps for place in step.evidence)
        gaps = [step for step in steps if step.status is Status.GAP]
        late = any(step.late for step in gaps)
        if gap := next((step for step in gaps if step.late), next(iter(gaps), None)):
            by_hand = "" if at_run_time else _from_source(frontend, environment, self.facts, matching)
            return FrontendVariable(
                name=name, late=late, given=late, problem=gap.message, by_hand=by_hand, evidence=gap.evidence or places
            )
        if unknown := next((step for step in steps if step.status is Status.UNKNOWN and step.link != "secret"), None):
            return FrontendVariable(name=name, unknown=unknown.message, evidence=places)
        source = "; ".join(step.message for step in steps[-2:] if step is steps[-1] or steps[-1].link == "promotion")
        return FrontendVariable(name=name, provided=True, given=True, source=source, evidence=places)


def _from_source(frontend: Frontend, environment: str, facts: Sequence[Fact], matching: Matching) -> str:
    """Why no edit lets a build see a variable: Cloud Run builds from source with a Dockerfile, which gets no arguments."""
    component = frontend.fact
    if any(item.resource == "image" for item in matching.images(component, environment)):
        return ""
    sources = [item for item in matching.of(component.name, environment) if item.source and not item.image]
    files = {fact.path for fact in facts if isinstance(fact, Image) and fact.bundles_at is not None}
    if not any(normpath(join(item.source, "Dockerfile")) in files for item in sources):
        return ""
    return "Cloud Run passes no build arguments to a Dockerfile: build the image, and deploy it with --image"


def _look(analysis: Analysis, building: Building, name: str) -> Reach:
    """What a variable has while a front end is built: from the bundler's configuration, or from what runs it."""
    from sentry_audit.derive.building import Reach
    from sentry_audit.javascript.bundlers import defined

    told = defined(analysis, name)
    if told is None:
        return building.reach(name)
    place, expression, variable = told
    if variable and variable != name:
        return building.reach(variable)
    return Reach(Status.PASS, f"{place} defines it", (place,), expression)
