"""The release that a bundler's plugin puts into a front end: by name, from SENTRY_RELEASE, a pipeline's variable, or git."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.facts import Release
from sentry_audit.javascript.bundlers import variable_of
from sentry_audit.javascript.syntax import string_of, text_of
from sentry_audit.model import Status
from sentry_audit.releases import is_constant, made_from

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sentry_audit.derive.building import Building, Reach
    from sentry_audit.javascript.bundlers import Plugin
    from sentry_audit.model import Evidence

#: Variables of hosts and pipelines that the plugins read after SENTRY_RELEASE (utils.ts, determineReleaseName).
_AMBIENT = (
    "GITHUB_SHA", "CI_COMMIT_SHA", "BITBUCKET_COMMIT", "CIRCLE_SHA1", "BUILDKITE_COMMIT", "VERCEL_GIT_COMMIT_SHA", "COMMIT_REF",
    "CF_PAGES_COMMIT_SHA", "RENDER_GIT_COMMIT", "RAILWAY_GIT_COMMIT_SHA", "GIT_COMMIT", "SOURCE_VERSION", "BUILD_SOURCEVERSION",
    "SOURCE_COMMIT", "CODEBUILD_RESOLVED_SOURCE_VERSION", "AWS_COMMIT_ID",
)  # fmt: skip
#: Platforms that give a build neither such a variable nor git's history.
_SILENT = frozenset({"Firebase App Hosting"})


def injected(plugins: Sequence[Plugin], building: Building, raw: Release) -> Release:
    """The release that a bundler's plugin puts in, if one does: SENTRY_RELEASE, a variable of the pipeline, git's HEAD."""
    live = [item for item in plugins if not _off(item)]
    if not live:
        off = next((item for item in plugins), None)
        reason = f"and {off.evidence} injects none" if off is not None else "and no bundler plugin injects one"
        problem = f"init gets no release, {reason}: browsers read no variable"
        places = (off.evidence,) if off is not None else ()
        return Release(problem=problem, evidence=(*raw.evidence, *places))
    plugin = live[0]
    evidence = (*raw.evidence, plugin.evidence)
    name = plugin.option("release", "name") or (plugin.option("release") if _is_text(plugin) else None)
    if name is not None:
        return _named(plugin, name, building, evidence)
    told = building.reach("SENTRY_RELEASE")
    if told.status is Status.PASS and not (told.value and is_constant(told.value)):
        return Release(
            is_set=True, source=told.message, made_from=made_from(told.value), evidence=(*evidence, *told.evidence)
        )
    if told.status is Status.PASS:
        problem = f"release is the constant {told.value!r}: {told.message}"
        return Release(problem=problem, evidence=(*evidence, *told.evidence))
    return _ambient(building, told, evidence)


def _named(plugin: Plugin, name: Any, building: Building, evidence: tuple[Evidence, ...]) -> Release:
    """The release that the plugin is given by name."""
    literal = string_of(name)
    if literal is not None:
        problem = f"{plugin.evidence} gives every build the release {literal!r}" if is_constant(literal) else ""
        return Release(is_set=not problem, source=f"the literal {literal!r}", problem=problem, evidence=evidence)
    variable = variable_of(name)
    if not variable:
        return Release(is_set=True, source=text_of(name)[:60], made_from=made_from(text_of(name)), evidence=evidence)
    reach = building.reach(variable)
    if reach.status is Status.GAP:  # undefined: the plugin goes on to its defaults
        return _ambient(building, reach, evidence)
    unknown = f"the plugin's release is {variable}: {reach.message}" if reach.status is Status.UNKNOWN else ""
    same = is_constant(reach.value) if reach.value else False
    problem = f"release is the constant {reach.value!r}: {reach.message}" if same else ""
    return Release(
        is_set=not unknown and not same, source=f"{variable}: {reach.message}", problem=problem, unknown=unknown,
        made_from=made_from(reach.value or variable), evidence=(*evidence, *reach.evidence),
    )  # fmt: skip


def _ambient(building: Building, told: Reach, evidence: tuple[Evidence, ...]) -> Release:
    """A variable of the pipeline or of the host, or git's HEAD."""
    if not building.dockerfiles:
        platform = building.platform[0]
        if platform and platform not in _SILENT:
            return Release(
                is_set=True,
                source=f"the commit, from {platform}",
                made_from="the commit",
                evidence=evidence,
            )
        if building.bundles:
            places = building.bundles[0].evidence
            return Release(
                is_set=True,
                source="the commit, from the pipeline",
                made_from="the commit",
                evidence=(*evidence, *places),
            )
        reason = f"the plugin takes it from a variable of the pipeline or from git, and {told.message}"
        return Release(unknown=reason, evidence=evidence)
    for name in _AMBIENT:
        if any(name in file.args or name in file.env for file in building.dockerfiles):
            found = building.reach(name)
            if found.status is Status.PASS:
                return Release(
                    is_set=True, source=found.message, made_from="the commit", evidence=(*evidence, *found.evidence)
                )
    head = building.git_head()
    if head.status is Status.PASS:
        return Release(is_set=True, source=head.message, made_from="the commit", evidence=(*evidence, *head.evidence))
    if told.status is Status.UNKNOWN:
        return Release(unknown=told.message, evidence=(*evidence, *told.evidence))
    problem = f"the plugin finds no release while the image is built: {told.message}; {head.message}"
    return Release(problem=problem, evidence=(*evidence, *told.evidence, *head.evidence))


def _off(plugin: Plugin) -> bool:
    """Whether a plugin injects no release."""
    values = [plugin.option("disable")], [plugin.option("release", "inject")]
    return any(text_of(value) == "true" for value in values[0] if value is not None) or any(
        text_of(value) == "false" for value in values[1] if value is not None
    )


def _is_text(plugin: Plugin) -> bool:
    value = plugin.option("release")
    return value is not None and value.type != "object"
