"""The release that events carry in one environment: what gives its variables a value, and whether both ends agree."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.deployment.environments import speaks_of
from sentry_audit.deployment.state import states
from sentry_audit.derive.building import Reach
from sentry_audit.facts import EnvVar, Release, SharedRelease
from sentry_audit.model import Evidence, Status
from sentry_audit.releases import is_constant, made_from

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentry_audit.deployment.matching import Matching
    from sentry_audit.facts import Component, Fact, Image
    from sentry_audit.python.program import Files
    from sentry_audit.scanners.bundling import Bundling
_CODE = (".py", ".md", ".rst", ".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".vue", ".svelte")


def judged(raw: Release, look: Callable[[str], Reach], otherwise: Callable[[], Release]) -> Release:
    """What ``raw`` comes to where ``look`` says what each variable has; ``otherwise`` is what is sent if all are empty."""
    if raw.unknown or (raw.problem and not raw.variables):
        return raw
    if not raw.variables:
        return raw if raw.is_set else otherwise()
    asked = [(name, look(name)) for name in raw.variables]
    for name, reach in asked:
        if reach.status is Status.PASS:
            if reach.value and is_constant(reach.value):
                problem = f"release is the constant {reach.value!r}: {reach.message}"
                return replace(raw, is_set=False, problem=problem, evidence=_both(raw, reach))
            made = made_from(f"{reach.value} {'' if reach.value else name}") or raw.made_from
            return replace(
                raw,
                is_set=True,
                source=f"{name}: {reach.message}",
                made_from=made,
                problem="",
                evidence=_both(raw, reach),
            )
        if reach.status is Status.UNKNOWN:
            return replace(
                raw, is_set=False, unknown=f"the code reads {name}: {reach.message}", evidence=_both(raw, reach)
            )
    if raw.is_set:
        return raw
    name, reach = asked[0]
    if raw.constant:
        problem = f"every release is called {raw.constant!r}: {reach.message}"
        return replace(raw, problem=problem, evidence=_both(raw, reach))
    found = otherwise()
    if found.is_set or found.unknown:
        return found
    return replace(found, problem=f"{reach.message}, and {found.problem}", evidence=_both(raw, reach))


def _both(raw: Release, reach: Reach) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys((*raw.evidence, *reach.evidence)))


class Running:
    """What a back end's deployment gives it when it runs."""

    def __init__(
        self,
        component: Component,
        environment: str,
        image: Image | None,
        facts: Sequence[Fact],
        matching: Matching,
        files: Files,
    ) -> None:
        self.component, self.environment, self.facts, self.files = component, environment, facts, files
        self.mine = matching.of(component.name, environment)
        self.builds = [item for item in matching.images(component, environment) if item.resource == "image"]
        self.states = states(self.mine, environment)
        self._image = image

    @cached_property
    def image(self) -> Bundling | None:
        """What the component's Dockerfile gives to what it starts."""
        if self._image is None:
            return None
        from sentry_audit.scanners.bundling import bundling

        return bundling(self._image.path, self.files.text(self._image.path) or "")

    def look(self, name: str) -> Reach:
        """Whether the running component has ``name``: from its deployment, its image, or a dotenv file."""
        for state in self.states:
            if name in state.variables:
                item, deployment = state.variables[name]
                here = Evidence(
                    deployment.path,
                    item.line or deployment.line,
                    None,
                    None,
                    f"{name}={item.value}" if item.value else name,
                )
                if not item.is_set and item.sort == "plain":
                    return Reach(Status.GAP, f"{here} sets {name} to nothing", (here,))
                return Reach(Status.PASS, f"{here} sets it", (here,), item.value)
        for found in (self._baked(name), self._dotenv(name)):
            if found is not None:
                return found
        places = tuple(place for item in self.mine for place in item.evidence)
        if self.mine and name == "K_REVISION":
            return Reach(Status.PASS, "Cloud Run sets it", places, name)
        unresolved = [text for state in self.states for text in state.unresolved]
        if unresolved:
            return Reach(Status.UNKNOWN, "; ".join(dict.fromkeys(unresolved)), places)
        if self.mine:
            return Reach(Status.GAP, f"no deployment sets {name}", places)
        mentions = [path for path in self.files.search([name]) if not path.endswith(_CODE)] if "SENTRY" in name else []
        if name != "SENTRY_RELEASE" or mentions:
            where = f"; {mentions[0]} mentions it" if mentions else ""
            reason = f"what gives {name} a value in {self.environment} was not found in the repository{where}"
            return Reach(Status.UNKNOWN, reason, tuple(Evidence(path) for path in mentions[:1]))
        return Reach(Status.GAP, f"nothing in the repository sets {name}")

    def _baked(self, name: str) -> Reach | None:
        """A variable that the image sets, as a constant or from an argument of its build."""
        if self.image is None or name not in self.image.last.env:
            return None
        value, line = self.image.last.env[name]
        here = Evidence(self.image.path, line, None, None, f"ENV {name}={value}")
        from sentry_audit.scanners.bundling import references

        wanted = [item for item in references(value) if item in self.image.last.args]
        if not wanted:
            return Reach(Status.PASS, f"{here} sets it", (here,), value)
        for build in self.builds:
            for item in build.settings:
                if item.name == wanted[0] and item.sort != "mount" and item.is_set:
                    there = Evidence(build.path, item.line or build.line, None, None, f"--build-arg {item.name}")
                    return Reach(Status.PASS, f"{there} gives the image {item.name}", (here, there), item.value)
        default = self.image.last.args[wanted[0]][0]
        pipelines = {item.pipeline for item in self.mine}
        if default:
            return Reach(
                Status.PASS,
                f"{here} sets it, and no build that was found gives {wanted[0]} another value",
                (here,),
                default,
            )
        if any(build.pipeline in pipelines for build in self.builds):
            return Reach(Status.GAP, f"what builds {self.image.path} passes no --build-arg {wanted[0]}", (here,))
        return Reach(
            Status.UNKNOWN,
            f"whether what builds {self.image.path} passes --build-arg {wanted[0]} was not found",
            (here,),
        )

    def _dotenv(self, name: str) -> Reach | None:
        for fact in self.facts:
            if (
                isinstance(fact, EnvVar)
                and fact.name == name
                and fact.is_set
                and fact.origin == "dotenv"
                and not fact.template
            ):
                if fact.environment and speaks_of(fact.environment, self.environment):
                    return Reach(Status.PASS, f"{fact.path} sets it", fact.evidence, fact.value)
        return None

    def nothing(self, raw: Release) -> Release:
        """What is sent if nothing sets a release: on Cloud Run, the revision's name (sentry_sdk.utils, get_default_release)."""
        tail = (
            "events carry Cloud Run's revision, which no front end shares"
            if self.mine
            else "events carry the revision's name or nothing"
        )
        problem = f"no release is set: without git in the image, {tail}"
        places = tuple(place for item in self.mine for place in item.evidence)
        return Release(problem=problem, evidence=(*raw.evidence, *places))


def shared(found: Sequence[Fact], components: Sequence[Component]) -> list[Fact]:
    """For each front end whose release is made from something else than a back end's: that they do not line up."""
    made: dict[str, Release] = {}
    for fact in found:
        if isinstance(fact, Release) and fact.is_set and fact.made_from and not fact.unknown:
            made.setdefault(fact.component, fact)
    ends = {item.name: item.role == "frontend" for item in components}
    backs = [fact for name, fact in made.items() if name in ends and not ends[name]]
    result: list[Fact] = []
    for name, front in made.items():
        if not ends.get(name) or not backs:
            continue
        other = next((back for back in backs if back.made_from != front.made_from), None)
        same = any(back.made_from == front.made_from for back in backs)
        if other is None or same:
            result.append(SharedRelease(component=name, source=front.made_from, evidence=front.evidence[-1:]))
            continue
        problem = (
            f"releases of {name} are made from {front.made_from}, those of {other.component} from {other.made_from}"
        )
        places = (*front.evidence[-1:], *other.evidence[-1:])
        result.append(
            SharedRelease(
                component=name, agrees=False, source=front.made_from, other=other.made_from, problem=problem,
                evidence=places,
            )
        )  # fmt: skip
    return result
