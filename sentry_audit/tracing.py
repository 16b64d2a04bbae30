"""The way of one variable, link by link: who reads it, what builds with it, what deploys it, which secret it is. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentry_audit.comments import is_commented
from sentry_audit.deployment.environments import canonical, rendered, speaks_of
from sentry_audit.deployment.promotion import promoted
from sentry_audit.deployment.state import by_service, states
from sentry_audit.facts import Deployment, DsnArgument, EnvVar, Image, SecretDeclared
from sentry_audit.javascript.variables import is_compiled_in
from sentry_audit.model import Evidence, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.matching import Matching
    from sentry_audit.deployment.promotion import Promotion
    from sentry_audit.deployment.state import State
    from sentry_audit.facts import Component, Fact, Setting
    from sentry_audit.python.program import Files

_CODE = (".py", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts", ".vue", ".svelte", ".astro")
_BADLY = (Status.GAP, Status.UNKNOWN, Status.PASS)


@dataclass(frozen=True)
class Step:
    """One link of a variable's way: what was found, and where; ``late``: given to the service that runs, not to the build."""

    link: str
    status: Status
    message: str
    evidence: tuple[Evidence, ...] = ()
    late: bool = False


@dataclass(frozen=True)
class Way:
    """The way of one variable to one component (``""``: to none that is known)."""

    component: str
    steps: tuple[Step, ...]

    @property
    def status(self) -> Status:
        """The worst of its links."""
        order = (Status.GAP, Status.UNKNOWN)
        return next((status for status in order if any(step.status is status for step in self.steps)), Status.PASS)


def trace(
    name: str,
    environment: str,
    files: Files,
    components: Sequence[Component],
    facts: Sequence[Fact],
    derived: Sequence[Fact],
    matching: Matching,
) -> list[Way]:
    """The ways of the variable ``name`` in ``environment``: one per component that reads or is given it."""
    reads = _reads(name, files)
    found: list[Way] = []
    for component in components:
        arguments = [
            fact
            for fact in derived
            if isinstance(fact, DsnArgument) and fact.component == component.name and name in fact.variables
        ]
        near = [place for place in reads if _inside(place.path or "", component, components)]
        if arguments:
            head = Step("code", Status.PASS, f"init takes its DSN from {name}", arguments[0].evidence)
        elif near:
            head = Step("code", Status.PASS, f"{name} is read", tuple(near[:3]))
        else:
            continue
        found.append(Way(component.name, (head, *provision(name, environment, component, facts, matching))))
    return found or [Way("", (_unread(name, reads, facts), *_files(name, environment, facts)))]


def _reads(name: str, files: Files) -> list[Evidence]:
    word = re.escape(name)
    named = re.compile(rf"(?<![\w$]){word}(?!\w)")
    taken = re.compile(  # in JavaScript a constant may have the name of a variable
        rf"""(?:\benv\??\.|["'`]){word}\b|\{{[^{{}}]*\b{word}\b[^{{}}]*\}}\s*(?:=\s*[\w.]*\benv\b|from\s*["']\$env/)"""
    )
    found = []
    for path in files.search([name]):
        if path.endswith(_CODE) and "test" not in path:
            pattern = named if path.endswith(".py") else taken
            for number, row in enumerate((files.text(path) or "").splitlines(), 1):
                if pattern.search(row) and not is_commented(row, len(row)):
                    found.append(Evidence(path, number, None, None, name))
                    break
    return found


def _inside(path: str, component: Component, components: Sequence[Component]) -> bool:
    owners = [item for item in components if item.holds(path)]
    longest = max((len(item.folder) for item in owners), default=0)
    return any(item.name == component.name and len(item.folder) == longest for item in owners)


def _unread(name: str, reads: Sequence[Evidence], facts: Sequence[Fact]) -> Step:
    if reads:
        return Step("code", Status.PASS, f"{name} is read", tuple(reads[:3]))
    given = [
        place
        for fact in facts
        if isinstance(fact, Deployment) and any(item.name == name for item in fact.settings)
        for place in fact.evidence
    ]
    if given:
        return Step("code", Status.GAP, f"no code reads {name}, though it is deployed", tuple(given[:3]))
    return Step("code", Status.GAP, f"no code reads {name}")


def provision(
    name: str,
    environment: str,
    component: Component,
    facts: Sequence[Fact],
    matching: Matching,
    *,
    at_run_time: bool = False,
) -> list[Step]:
    """The links behind the code: files, images, builds, deployments and secrets that give ``name`` a value.

    ``at_run_time``: the server reads it while it runs, whatever its prefix says.
    """
    if is_compiled_in(name) and not at_run_time:
        shared = promoted(matching, component, environment)
        files = _files(name, "production" if shared else environment, facts, component)
        provided = any(step.status is Status.PASS for step in files)
        steps = [*files, *_build(name, environment, component, facts, matching, provided, shared)]
        if shared and steps and all(step.status is not Status.GAP for step in steps):
            carried = f"{shared}: they all carry this one value"
            steps.append(Step("promotion", Status.PASS, carried, shared.evidence))
        return steps
    steps = _files(name, environment, facts)
    deployed, item = _deployed(name, environment, component, matching)
    if deployed.status is not Status.PASS and steps and not matching.owners.get(component.name):
        return steps
    return [*steps, deployed, *([_secret(item, environment, facts)] if item is not None and item.secret else [])]


def _files(name: str, environment: str, facts: Sequence[Fact], component: Component | None = None) -> list[Step]:
    """The dotenv files and images that set it."""
    found = []
    images = {fact.path: dict(fact.env) for fact in facts if isinstance(fact, Image)}
    for fact in facts:
        if isinstance(fact, EnvVar) and images.get(fact.path, {}).get(name, "").startswith("$"):
            continue  # ENV NAME=$NAME hands on what the build is given
        if not isinstance(fact, EnvVar) or fact.name != name or fact.template or not fact.is_set:
            continue
        mine = not fact.environment or canonical(fact.environment) == canonical(environment)
        if component is not None:
            if fact.origin == "compose" or not component.holds(fact.path):
                continue
            if mine and fact.builds == ():
                unread = f"{fact.path} sets {name}, and nothing was found that reads that file in a build"
                found.append(Step(fact.origin, Status.UNKNOWN, unread, fact.evidence))
                continue
            other = "" if mine else ", and every build for deployment reads that file"
            if fact.is_built_into(canonical(environment)):
                found.append(Step(fact.origin, Status.PASS, f"{fact.path} sets {name}{other}", fact.evidence))
        elif mine:
            found.append(Step(fact.origin, Status.PASS, f"{fact.path} sets {name}", fact.evidence))
    return found


def _deployed(name: str, environment: str, component: Component, matching: Matching) -> tuple[Step, Setting | None]:
    mine = matching.of(component.name, environment)
    if not mine:
        others = sorted({item.environment for item in matching.elsewhere(component.name, environment)})
        reason = f"no deploy definition of {component.name} for {environment} was found in the repository"
        reason += f", only for {', '.join(others)}" if others else ""
        return Step("deploy", Status.UNKNOWN, reason), None
    groups = by_service(states(mine, environment))
    return min((_given(name, environment, found) for found in groups), key=lambda pair: _BADLY.index(pair[0].status))


def _given(name: str, environment: str, found: Sequence[State]) -> tuple[Step, Setting | None]:
    """What the definitions of one service do with a variable."""
    for state in found:
        if name in state.variables:
            item, deployment = state.variables[name]
            here = Evidence(item.path or deployment.path, item.line or deployment.line, None, None, _shown(item))
            if not item.is_set:
                return Step("deploy", Status.GAP, f"{deployment.service} gets it empty", (here,)), item
            told = f" ({deployment.rule})" if deployment.rule else ""
            return Step(
                "deploy", Status.PASS, f"{rendered(deployment.service, environment)} gets {_shown(item)}{told}", (here,)
            ), item
    for state in found:
        if name in state.lost:
            item, deployment = state.lost[name]
            return Step("deploy", Status.GAP, f"{deployment.evidence[0]} drops it again", deployment.evidence), None
    deployments = [item for state in found for item in state.deployments]
    places = tuple(place for item in deployments for place in item.evidence)
    unresolved = [text for state in found for text in state.unresolved]
    if unresolved:
        return Step("deploy", Status.UNKNOWN, "; ".join(dict.fromkeys(unresolved)), places), None
    service = rendered(deployments[-1].service, environment) or "the service"
    return Step("deploy", Status.GAP, f"{service} is deployed without {name}", places), None


def _build(
    name: str, environment: str, component: Component, facts: Sequence[Fact], matching: Matching, provided: bool,
    shared: Promotion | None,
) -> list[Step]:  # fmt: skip
    """A variable that is compiled in: the image's ARG, and who gives it a value while it builds."""
    builds = matching.images(component, environment)
    if shared is not None and shared.build not in builds:
        builds.append(shared.build)
    steps: list[Step] = []
    for image in facts:
        if isinstance(image, Image) and component.holds(image.path):
            if name in image.args or any(key == name for key, _ in image.env):
                steps.append(
                    Step(
                        "image",
                        Status.PASS,
                        f"{image.path} takes {name} while it builds",
                        (Evidence(image.path, None, None, None, name),),
                    )
                )
            elif not provided:
                steps.append(
                    Step(
                        "image",
                        Status.GAP,
                        f"{image.path} has no ARG {name}: a value given to the build does not reach the bundler",
                        (Evidence(image.path),),
                    )
                )
    for deployment in builds:
        for item in deployment.settings:
            if item.name == name:
                here = Evidence(item.path or deployment.path, item.line or deployment.line, None, None, _shown(item))
                status = Status.PASS if item.is_set else Status.GAP
                steps.append(Step("build", status, f"the build gets {_shown(item)}", (here,)))
                if item.secret:
                    steps.append(_secret(item, environment, facts))
                bundled = not any(other.image for other in builds)  # no image is built: its ARGs do not count
                return [step for step in steps if not (bundled and step.link == "image")]
    if provided:
        return steps
    late, _ = _deployed(name, environment, component, matching)
    if late.status is Status.PASS:
        reason = f"{name} is set only for the running service: it is compiled in at build, so that is without effect"
        return [*steps, Step("build", Status.GAP, reason, late.evidence, late=True)]
    pipelines = {item.pipeline for item in matching.of(component.name, environment)}
    deployed = [item for item in builds if item.pipeline in pipelines]
    places = tuple(place for item in deployed for place in item.evidence)  # a build for tests proves nothing
    if places:
        return [*steps, Step("build", Status.GAP, f"what builds it does not give it {name}", places)]
    if hosted := [item for item in builds if item.unresolved]:
        reason = "; ".join(text for item in hosted for text in item.unresolved)
        return [Step("build", Status.UNKNOWN, reason, tuple(place for item in hosted for place in item.evidence))]
    return [
        *steps,
        Step(
            "build", Status.UNKNOWN, f"what builds {component.name} for {environment} was not found in the repository"
        ),
    ]


def _shown(item: Setting) -> str:
    if item.secret:
        return f"{item.name} from the secret {item.secret}" + (f":{item.version}" if item.version else "")
    return f"{item.name}={item.value}" if item.value else item.name


def _secret(item: Setting, environment: str, facts: Sequence[Fact]) -> Step:
    declared = [fact for fact in facts if isinstance(fact, SecretDeclared) and speaks_of(fact.environment, environment)]
    wanted = rendered(item.secret, environment)
    same = [fact for fact in declared if rendered(fact.name, environment) == wanted]
    if same:
        return Step(
            "secret", Status.UNKNOWN, f"{wanted} is created here; whether it exists was not asked", same[0].evidence
        )
    similar = [fact for fact in declared if "sentry" in fact.name.lower()]
    if similar:
        names = ", ".join(fact.name for fact in similar)
        return Step(
            "secret",
            Status.GAP,
            f"what is created is {names}, not {wanted}",
            tuple(place for fact in similar for place in fact.evidence),
        )
    return Step(
        "secret", Status.UNKNOWN, f"{wanted} is not created by this repository; whether it exists was not asked"
    )
