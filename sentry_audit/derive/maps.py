"""Whether the build that makes an environment's bundle uploads its source maps, and whether browsers can load them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.facts import SourceMaps
from sentry_audit.javascript.maps import served, upload
from sentry_audit.model import Evidence, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.derive.building import Building
    from sentry_audit.facts import Fact, ReleaseStep
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.bundlers import Plugin

_TOKEN = "SENTRY_AUTH_TOKEN"  # noqa: S105 - a variable's name


def source_maps(
    analysis: Analysis, plugins: list[Plugin], building: Building, steps: Sequence[ReleaseStep]
) -> list[Fact]:
    """What becomes of the source maps of a front end that has an init."""
    found: list[Fact] = []
    if (public := served(analysis, plugins)) is not None:
        found.append(SourceMaps(topic="serving", problem=public[0], evidence=(public[1],)))
    folder = analysis.frontend.folder
    mine = sorted(
        steps, key=lambda step: not folder or folder not in f"{step.path} {step.folder} {step.evidence[0].saw}"
    )
    results = [_by_step(analysis, building, step) for step in mine if "source-maps" in step.does]
    results += [_by_plugin(analysis, building, plugin) for plugin in plugins]
    if not results:
        here = Evidence(analysis.frontend.manifest.path, None, None, None, "no plugin, no sentry-cli sourcemaps upload")
        problem = "nothing uploads its source maps: stack traces stay minified"
        results = [SourceMaps(topic="upload", problem=problem, evidence=(here,))]
    order = [
        next((item for item in results if item.good), None),
        next((item for item in results if item.unknown), None),
    ]
    return [*found, next((item for item in order if item is not None), results[0])]


def _by_step(analysis: Analysis, building: Building, step: ReleaseStep) -> SourceMaps:
    """An upload by sentry-cli or an action: it fails aloud without a token, so what counts is that it runs."""
    if step.script and not _started(analysis, step.script):
        problem = f"nothing runs the script {step.script} of {step.path}, which would upload the source maps"
        return SourceMaps(topic="upload", problem=problem, evidence=step.evidence)
    if step.removed and step.version not in {"1", "2"}:
        reason = (
            f"{step.evidence[0]} uploads them with {step.command}, which sentry-cli 3 no longer has: {step.removed}"
        )
        unknown = "" if step.version else f"{reason}; which version runs was not found"
        return SourceMaps(topic="upload", unknown=unknown, problem="" if unknown else reason, evidence=step.evidence)
    if step.tool == "netlify":
        return SourceMaps(
            topic="upload", unknown="Netlify's plugin uploads them if it is given a token there", evidence=step.evidence
        )
    in_image = any(file.path == step.path for file in building.dockerfiles)
    if in_image or (step.script and building.dockerfiles):
        token = building.reach(_TOKEN)
        if token.status is not Status.PASS:
            reason = f"{step.evidence[0]} uploads them, and {token.message}"
            unknown = reason if token.status is Status.UNKNOWN else ""
            places = (*step.evidence, *token.evidence)
            return SourceMaps(topic="upload", unknown=unknown, problem="" if unknown else reason, evidence=places)
    return SourceMaps(topic="upload", good=True, source=f"{step.tool}: {step.command}", evidence=step.evidence)


def _started(analysis: Analysis, script: str) -> bool:
    """Whether a script of package.json is run by another, by its name (``postbuild``), or by a file that builds."""
    scripts = analysis.frontend.manifest.scripts
    if script == "build" or re.sub(r"^(pre|post)", "", script) in set(scripts) - {script}:
        return True
    pattern = re.compile(rf"(?<![\w:-]){re.escape(script)}(?![\w:-])")
    if any(pattern.search(body) for name, body in scripts.items() if name != script):
        return True
    paths = (path for path in analysis.files.search([script]) if not path.endswith((".md", ".json", ".lock")))
    return any(pattern.search(analysis.files.text(path) or "") for path in paths)


def _by_plugin(analysis: Analysis, building: Building, plugin: Plugin) -> SourceMaps:
    """An upload by a bundler's plugin, which only warns when it has no token."""
    wanted = upload(analysis, plugin)
    if wanted.off:
        return SourceMaps(topic="upload", problem=wanted.off, evidence=(plugin.evidence,))
    evidence: list[Evidence] = [plugin.evidence]
    unknown = f"whether {plugin.evidence} is used was not followed: {wanted.unclear}" if wanted.unclear else ""
    for name, why in wanted.needs:
        if not name:
            return SourceMaps(topic="upload", problem=f"{why}: nothing is uploaded", evidence=(plugin.evidence,))
        if name == "SENTRY_PROJECT" and _rc(analysis):
            continue
        reach = building.reach(name)
        evidence += reach.evidence
        if reach.status is Status.GAP:
            quiet = ", and silent: true hides the warning" if wanted.silent else ""
            problem = f"{reach.message}: {why}{quiet}"
            return SourceMaps(
                topic="upload", problem=problem, evidence=tuple(dict.fromkeys((plugin.evidence, *reach.evidence)))
            )
        if reach.status is Status.UNKNOWN:
            unknown = unknown or reach.message
    places = tuple(dict.fromkeys(evidence))
    if unknown:
        return SourceMaps(topic="upload", unknown=unknown, evidence=places)
    return SourceMaps(topic="upload", good=True, source=plugin.name, evidence=places)


def _rc(analysis: Analysis) -> bool:
    """Whether a configuration of sentry-cli may name the project."""
    return any(
        analysis.frontend.within(path)
        for path in analysis.files.paths
        if path.endswith((".sentryclirc", "sentry.properties"))
    )
