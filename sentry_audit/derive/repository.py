"""What files of the repository say beside the code: templates, projects per environment, probes."""

from __future__ import annotations

import re
from posixpath import dirname
from typing import TYPE_CHECKING

from sentry_audit.facts import Dsn, DsnArgument, DsnMatrix, EnvTemplate, EnvVar, HealthChecks, Tracing
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sentry_audit.facts import Fact
    from sentry_audit.python.analysis import Analysed
    from sentry_audit.python.program import Files

_NAMES = (
    "health|healthy|healthz|healthcheck|health-check|livez|ready|readyz|liveness|readiness|ping|_ah/health"
    "|__heartbeat__|__lbheartbeat__"
)
_PROBE = re.compile(
    rf"[\"'](/(?:[\w-]+/)*(?:{_NAMES})/?)[\"']"
    rf"|\b(?:re_)?path\(\s*r?[\"']\^?((?:[\w-]+/)*(?:{_NAMES})/?)\$?[\"']"  # Django's routes have no slash in front
)
#: What a file must contain to name a probe.
PROBE_TOKENS = ("health", "ping", "livez", "ready", "liveness", "readiness", "heartbeat")


def probes_in(text: str) -> Iterator[tuple[str, int]]:
    """The paths of probes that a file names, each with where it stands."""
    if any(token in text for token in PROBE_TOKENS):
        for match in _PROBE.finditer(text):
            yield match[1] or f"/{match[2]}", match.start()


def env_templates(analysed: Analysed, facts: Sequence[Fact]) -> list[Fact]:
    """The dotenv templates near a component, and the Sentry variables of its init that they omit."""
    read: dict[str, None] = {}
    for fact in analysed.facts:
        if isinstance(fact, DsnArgument):
            read |= dict.fromkeys(fact.variables)
    for item in analysed.reached:
        for option in ("environment", "release", "traces_sample_rate", "profiles_sample_rate"):
            value = item.option(option, analysed.resolver)
            for leaf in value.leaves() if value is not None else ():
                read |= dict.fromkeys(name for name in leaf.names if "SENTRY" in name)
    if not read:
        return []
    folder = analysed.service.fact.folder
    templates: dict[str, set[str]] = {}
    for fact in facts:
        if isinstance(fact, EnvVar) and fact.template and dirname(fact.path) in {folder, ""}:
            templates.setdefault(fact.path, set()).add(fact.name)
    found: list[Fact] = []
    for path, names in templates.items():
        missing = tuple(name for name in read if name not in names)
        found.append(
            EnvTemplate(
                component=analysed.name,
                path=path,
                complete=not missing,
                missing=missing,
                evidence=(Evidence(path, None, None, None, f"{len(names)} variables"),),
            )
        )
    return found


def dsn_matrix(analysed: Analysed, facts: Sequence[Fact]) -> list[Fact]:
    """Whether the environments' DSNs, where files of the repository hold them, lead to one project."""
    near = [
        fact
        for fact in facts
        if isinstance(fact, Dsn)
        and fact.environment in {"staging", "production"}
        and fact.valid
        and not fact.placeholder
    ]
    projects = {fact.environment: f"{fact.host}/{fact.project}" for fact in near}
    if len(projects) < 2:
        return []
    labelled = any("environment" in item.init.options for item in analysed.reached) or any(
        isinstance(fact, EnvVar) and fact.name == "SENTRY_ENVIRONMENT" and fact.environment in projects and fact.is_set
        for fact in facts
    )
    same = len(set(projects.values())) == 1
    problem = (
        f"{' and '.join(sorted(projects))} send to one project, {projects['staging']}, without an environment label"
        if same
        else ""
    )
    return [
        DsnMatrix(
            component=analysed.name,
            distinct=not same or labelled,
            projects=tuple(f"{name}: {project}" for name, project in sorted(projects.items())),
            problem=problem,
            evidence=tuple(place for fact in near for place in fact.evidence),
        )
    ]


def probe_paths(files: Files, paths: Iterable[str]) -> dict[str, Evidence]:
    """The routes in ``paths`` that ask whether a service is up, and where they stand."""
    found: dict[str, Evidence] = {}
    for path in paths:
        text = files.text(path) or ""
        for probe, start in probes_in(text):
            line = text.count("\n", 0, start) + 1
            found.setdefault(probe, Evidence(path, line, None, None, probe))
    return found


def health_checks(analysed: Analysed) -> list[Fact]:
    """The probe routes of a component whose transactions are sampled, unless a sampler may leave them out."""
    if not any(isinstance(fact, Tracing) and fact.area == "tracing" and fact.enabled for fact in analysed.facts):
        return []
    found = probe_paths(analysed.resolver.program.files, analysed.closure)
    if not found:
        return []
    from sentry_audit.python.hooks import leaves_out

    filtered = any(leaves_out(item.init.options, analysed.resolver) for item in analysed.reached)
    return [
        HealthChecks(component=analysed.name, probes=tuple(found), traced=not filtered, evidence=tuple(found.values()))
    ]
