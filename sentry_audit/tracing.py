"""The way of one variable, link by link: who reads it, what builds with it, what deploys it, which secret it is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.deployment.environments import canonical, rendered, speaks_of
from sentry_audit.deployment.promotion import promoted
from sentry_audit.deployment.state import by_service, states
from sentry_audit.dsn import names_dsn
from sentry_audit.facts import (
    DeployedDsn,
    Deployment,
    DsnArgument,
    EnvVar,
    FrontendDsn,
    FrontendVariable,
    Image,
    SecretDeclared,
)
from sentry_audit.javascript.variables import is_compiled_in
from sentry_audit.model import Evidence, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.matching import Matching
    from sentry_audit.deployment.promotion import Promotion
    from sentry_audit.deployment.state import State
    from sentry_audit.facts import Component, Fact, Setting
    from sentry_audit.naming import Mentions
    from sentry_audit.python.program import Files

_BADLY = (Status.GAP, Status.UNKNOWN, Status.PASS)
_MOST = 3
_NO_RULE = "its definition names no environment, so it counts for each"


class Step(Struct, frozen=True):
    """One link of a variable's way: what was found, and where; ``late``: given to the service that runs, not to the build."""

    link: str
    status: Status
    message: str
    evidence: tuple[Evidence, ...] = ()
    late: bool = False


class Way(Struct, frozen=True):
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
    from sentry_audit.naming import named_in_code

    named = named_in_code(name, files)
    found: list[Way] = []
    for component in components:
        mine = [fact for fact in derived if fact.component == component.name]
        head = _head(name, component, components, mine, named)
        if head is not None:
            late = any(isinstance(fact, FrontendVariable) and fact.name == name and fact.at_run_time for fact in mine)
            rest = provision(name, environment, component, facts, matching, at_run_time=late)
            found.append(Way(component.name, (head, *_answered(name, rest, mine))))
    return found or [Way("", tuple(_nobodys(name, environment, named, facts)))]


def _head(
    name: str, component: Component, components: Sequence[Component], derived: Sequence[Fact], named: Mentions
) -> Step | None:
    """How the code of ``component`` takes the variable; None if it does not name it."""
    for fact in derived:
        if (isinstance(fact, DsnArgument) and name in fact.variables) or (
            isinstance(fact, FrontendDsn) and name == fact.variable and fact.public
        ):
            return Step("code", Status.PASS, f"init takes its DSN from {name}", fact.evidence)
    if near := _of(component, components, named.reads):
        return Step("code", Status.PASS, f"{name} is read", near)
    if near := _of(component, components, named.names):
        return _unfollowed(name, near)
    return None


def _of(component: Component, components: Sequence[Component], places: Sequence[Evidence]) -> tuple[Evidence, ...]:
    return tuple(place for place in places if _inside(place.path or "", component, components))[:3]


def _unfollowed(name: str, places: Sequence[Evidence]) -> Step:
    what = "it" if places[0].saw == name else places[0].saw
    reason = f"the code names {what}; whether that reads the variable {name} was not followed"
    return Step("code", Status.UNKNOWN, reason, tuple(places[:3]))


def _answered(name: str, steps: Sequence[Step], derived: Sequence[Fact]) -> list[Step]:
    """The steps, with what stands in for this variable where it does not arrive: another variable, or a literal."""
    judged = next(
        (
            fact
            for fact in derived
            if (isinstance(fact, DeployedDsn) and name in fact.variables)
            or (isinstance(fact, FrontendVariable) and fact.name == name)
        ),
        None,
    )
    open_ = (step for step in steps if step.status is not Status.PASS and step.link != "secret")
    broken = next((step for step in steps if step.status is Status.GAP), next(open_, None))
    if judged is None or broken is None or judged.problem or broken.link == "secret":
        return list(steps)
    before = list(steps[: steps.index(broken)])
    places = tuple(dict.fromkeys((*broken.evidence, *judged.evidence)))
    if judged.unknown:
        message = broken.message if broken.message in judged.unknown else f"{broken.message}; {judged.unknown}"
        return [*before, Step(broken.link, Status.UNKNOWN, message, places)]
    return [*before, Step(broken.link, Status.PASS, f"{judged.source}, counts: {broken.message}", places)]


def _nobodys(name: str, environment: str, named: Mentions, facts: Sequence[Fact]) -> list[Step]:
    """The way of a variable that no component reads."""
    given = [
        (item, fact)
        for fact in facts
        if isinstance(fact, Deployment) and speaks_of(fact.environment, environment)
        for item in fact.settings
        if item.name == name
    ]
    steps = [
        Step("deploy", Status.PASS, f"{rendered(fact.service, environment) or 'what is deployed'} gets {_shown(item)}", (_at(item, fact),))
        for item, fact in given
    ][:_MOST]  # fmt: skip
    files = _files(name, environment, facts)
    if not named.reads and not named.names:
        told = ", though it is deployed" if given else f", though {files[0].message}" if files else ""
        places = tuple(place for step in (*steps, *files) for place in step.evidence)
        return [Step("code", Status.GAP, f"no code reads {name}{told}", places[:3])]
    head = Step("code", Status.PASS, f"{name} is read", named.reads[:3])
    if not named.reads:
        head = _unfollowed(name, named.names)
    reason = "what reads it is in no component that was found, so what gives it a value there is not known"
    return [head, *files, *steps, Step("deploy", Status.UNKNOWN, reason)]


def _inside(path: str, component: Component, components: Sequence[Component]) -> bool:
    owners = [item for item in components if item.holds(path)]
    longest = max((len(item.folder) for item in owners), default=0)
    return any(item.name == component.name and len(item.folder) == longest for item in owners)


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
        how = f"sets {name} to the {fact.reference} of what runs it" if fact.reference else f"sets {name}"
        mine = not fact.environment or canonical(fact.environment) == canonical(environment)
        if component is not None:
            if fact.origin == "compose" or not component.holds(fact.path):
                continue
            if mine and fact.builds == ():
                unread = f"{fact.path} {how}, and nothing was found that reads that file in a build"
                found.append(Step(fact.origin, Status.UNKNOWN, unread, fact.evidence))
                continue
            other = "" if mine else ", and every build for deployment reads that file"
            if fact.is_built_into(canonical(environment)):
                found.append(Step(fact.origin, Status.PASS, f"{fact.path} {how}{other}", fact.evidence))
        elif mine:
            found.append(Step(fact.origin, Status.PASS, f"{fact.path} {how}", fact.evidence))
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
            here = _at(item, deployment)
            if not item.is_set:
                return Step("deploy", Status.GAP, f"{deployment.service} gets it empty", (here,)), item
            told = f" ({deployment.rule or _NO_RULE})" if deployment.rule or not deployment.environment else ""
            return Step(
                "deploy", Status.PASS, f"{rendered(deployment.service, environment)} gets {_shown(item)}{told}", (here,)
            ), item
    for state in found:
        if name in state.lost:
            item, deployment = state.lost[name]
            sort = "secrets" if item.sort == "secret" else "plain variables"
            dropped = f"{deployment.evidence[0]} replaces all {sort} and drops it again"
            return Step("deploy", Status.GAP, dropped, (_at(item, deployment), *deployment.evidence)), None
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
    steps = _images(name, component, facts, matching, provided)
    if not steps:  # buildpacks build it: a Dockerfile gets none of these
        mine = matching.of(component.name, environment)
        builds += [item for item in mine if item.source and any(one.build for one in item.settings)]
    for deployment in builds:
        for item in deployment.settings:
            if item.name == name:
                here = _at(item, deployment)
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
    return [*steps, _not_found(name, environment, component, [] if steps else builds)]


def _holds(image: Image, component: Component, components: Sequence[Component]) -> bool:
    """Whether an image can be made of a front end: its Dockerfile is the front end's, and so is what it copies."""
    return _inside(image.path, component, components) and (component.path != "." or not image.context)


def _not_found(name: str, environment: str, component: Component, builds: Sequence[Deployment]) -> Step:
    """What is known where no build was found that is deployed and gives the variable."""
    bundle = next(
        (item for item in builds if item.resource == "bundle" and (item.source or component.path == ".")), None
    )
    if bundle is None:
        return Step(
            "build", Status.UNKNOWN, f"what builds {component.name} for {environment} was not found in the repository"
        )
    where = bundle.evidence[0]
    reason = f"{where} builds it without {name}, and whether that is what {environment} gets was not found"
    return Step("build", Status.UNKNOWN, reason, bundle.evidence)


def _at(item: Setting, deployment: Deployment) -> Evidence:
    return Evidence(item.path or deployment.path, item.line or deployment.line, None, None, _shown(item))


def _images(name: str, component: Component, facts: Sequence[Fact], matching: Matching, provided: bool) -> list[Step]:
    """Whether the Dockerfiles that build the front end take the variable while they do."""
    steps: list[Step] = []
    for image in facts:
        if not isinstance(image, Image) or not _holds(image, component, matching.components):
            continue
        if name in image.args or any(key == name for key, _ in image.env):
            line = dict(zip(image.args, image.args_at, strict=False)).get(name)
            here = Evidence(image.path, line, None, None, name)
            steps.append(Step("image", Status.PASS, f"{image.path} takes {name} while it builds", (here,)))
        elif not provided and image.bundles_at is not None:
            reason = f"{image.path} has no ARG {name}: a value given to the build does not reach the bundler"
            here = Evidence(image.path, image.bundles_at, None, None, "builds the front end")
            steps.append(Step("image", Status.GAP, reason, (here,)))
    return steps


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
    similar = [fact for fact in declared if names_dsn(fact.name)]
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
