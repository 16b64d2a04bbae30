"""Whether the pipelines of a component record its releases in Sentry, with commands that sentry-cli still has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.deployment.cloudbuild import is_cloudbuild
from sentry_audit.deployment.release_steps import elsewhere
from sentry_audit.deployment.workflows import is_workflow
from sentry_audit.facts import ReleaseInCi, ReleaseStep
from sentry_audit.javascript.syntax import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.matching import Matching
    from sentry_audit.facts import Component, Deployment, Fact, SourceMaps
    from sentry_audit.javascript.bundlers import Plugin
    from sentry_audit.model import Evidence
    from sentry_audit.python.program import Files

_PUSHES = re.compile(
    r"docker\s+push|--push\b|\bpush:\s*(true|['\"]?\$\{\{)|builds\s+submit|kaniko|^images:", re.MULTILINE
)
_CALLS = re.compile(r"uses:\s*[\"']?[\w.-]+/[\w.-]+/\.github/workflows/")
_SHIPPING = re.compile(r"deploy|release|build|push|publish|ship|sentry|docker|image|\bcd\b", re.IGNORECASE)


def steps_of(component: Component, components: Sequence[Component], facts: Sequence[Fact]) -> list[ReleaseStep]:
    """The steps that are about a component: those in its folder, and those in no other component's."""
    found = []
    for fact in facts:
        if isinstance(fact, ReleaseStep):
            owners = [item for item in components if item.path != "." and f"{fact.folder}/".startswith(f"{item.path}/")]
            nearest = max(owners, key=lambda item: len(item.path), default=None)
            if nearest is None or nearest.path == component.path:
                found.append(fact)
    return found


def release_in_ci(
    component: Component,
    steps: Sequence[ReleaseStep],
    matching: Matching,
    files: Files,
    maps: SourceMaps | None = None,
    plugin: Plugin | None = None,
) -> list[Fact]:
    """Whether the pipelines that build or deploy a component tell Sentry of its releases; nothing if there are none.

    ``plugin`` is a bundler's, which records them when it uploads source maps: ``maps`` says whether it does.
    """
    found: list[Fact] = [
        _removed(step) for step in steps if step.removed and step.version != "2" and step.version != "1"
    ]
    mine = [
        *matching.owners.get(component.name, []),
        *(item for item in matching.builds if matching.makes(component, item)),
    ]
    pipelines = {item.pipeline: item for item in mine if _ships(item, files)}
    telling = [step for step in steps if "release" in step.does]
    if telling:
        source = f"{telling[0].tool}: {telling[0].command}"
        return [*found, ReleaseInCi(recorded=True, source=source, evidence=telling[0].evidence)]
    calls = _elsewhere(files)
    if not pipelines and not calls:
        return found
    if plugin is not None and maps is not None and text_of(plugin.option("release", "create")) != "false":
        if maps.good:
            return [*found, ReleaseInCi(recorded=True, source=plugin.name, evidence=maps.evidence)]
        if maps.unknown:
            return [
                *found,
                ReleaseInCi(unknown=f"{plugin.name} records releases: {maps.unknown}", evidence=maps.evidence),
            ]
    if calls:
        unknown = f"{calls[0]} calls a workflow of another repository, which may do it"
        return [*found, ReleaseInCi(unknown=unknown, evidence=calls)]
    names = ", ".join(sorted(pipelines)[:3])
    problem = f"{names} builds or deploys {component.name}, and nothing tells Sentry of its releases"
    places = tuple(dict.fromkeys(place for item in pipelines.values() for place in item.evidence))
    return [*found, ReleaseInCi(problem=problem, evidence=places)]


def _ships(item: Deployment, files: Files) -> bool:
    """Whether a pipeline deploys a service, or builds an image that leaves it: one for tests is nobody's release."""
    if item.resource == "bundle" or not (is_workflow(item.pipeline) or is_cloudbuild(item.pipeline)):
        return False
    return item.resource != "image" or bool(_PUSHES.search(files.text(item.path) or ""))


def _elsewhere(files: Files) -> tuple[Evidence, ...]:
    """The calls of other repositories' workflows whose names say that they build or deploy."""
    paths = sorted(path for path in files.paths if is_workflow(path))
    found = [place for path in paths if _CALLS.search(files.text(path) or "") for place in elsewhere(files, path)]
    return tuple(place for place in found if _SHIPPING.search(place.saw))


def _removed(step: ReleaseStep) -> ReleaseInCi:
    """A command that the newest sentry-cli does not have; unknown if it is not known which version runs."""
    text = f"{step.command} is gone in sentry-cli 3: use {step.removed}"
    if step.version or step.tool == "fastlane":
        return ReleaseInCi(problem=text, evidence=step.evidence)
    return ReleaseInCi(unknown=f"{text}; which version runs was not found", evidence=step.evidence)
