"""The use cases, in the order in which things happen. Read this second, after ``model``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from sentry_audit.errors import NothingAudited, UsageError
from sentry_audit.model import ComponentReport, Evidence, Link, Problem, Report, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.checks import Check
    from sentry_audit.facts import Component, Fact
    from sentry_audit.python.components import Service
    from sentry_audit.settings import Settings
    from sentry_audit.sources.tree import Tree

#: Links that the offline audit of a back end does not look at, and why.
UNLOOKED = {
    Link.DEPLOY: "not looked at: deployment definitions are not part of this audit yet",
    Link.SECRET: "not looked at: Secret Manager was not asked",
    Link.CLOUD_RUN: "not looked at: Cloud Run was not asked",
    Link.ACCEPTED: "not looked at: no event was sent",
}


@dataclass(frozen=True)
class Request:
    """What ``check`` is asked for."""

    root: Path
    environments: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: Severity | None = Severity.MEDIUM
    allow_unknown: bool = False
    all_environments: bool = False


@dataclass
class Collected:
    """What the repository says, before any environment is considered."""

    root: Path
    tree: Tree
    services: list[Service]
    facts: list[Fact]
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def checks_text() -> str:
    """The shipped ``checks.yaml``: from the wheel, else from the checkout that an editable install points to."""
    shipped = resources.files("sentry_audit") / "data" / "checks.yaml"
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    return (Path(__file__).parent.parent / "checks.yaml").read_text(encoding="utf-8")


def shipped_checks() -> tuple[Check, ...]:
    """The checks of the catalogue."""
    from sentry_audit.checks import load

    return load(checks_text(), "checks.yaml")


def check(request: Request, checks: Sequence[Check] | None = None) -> list[Report]:
    """Audit ``request.root`` in each environment asked for; one report each.

    ``checks`` replaces the catalogue.

    Raises NothingAudited when there is nothing to look at, UsageError for names that do not exist.
    """
    from sentry_audit.engine import select
    from sentry_audit.settings import load as load_settings
    from sentry_audit.sources.tree import Tree

    tree = Tree.open(request.root)
    checks = select(tuple(checks) if checks is not None else shipped_checks(), request.select, request.ignore)
    if not checks:
        raise NothingAudited("no check is selected", "leave --select and --ignore out, or see: sentry-audit checks list")
    settings = load_settings(request.root, tree)
    environments = _environments(request, settings, tree)
    collected = collect(tree, request.root, settings)
    wanted = _components(collected.services, request.components)
    if not wanted:
        raise NothingAudited(*_nothing(collected))
    return [report(collected, wanted, checks, environment, request, settings) for environment in environments]


def _environments(request: Request, settings: Settings, tree: Tree) -> tuple[str, ...]:
    if request.environments and not request.all_environments:
        return request.environments
    if not request.all_environments:
        return (settings.default_environment,)
    from sentry_audit.scanners.dotenv import SCANNER

    found = dict.fromkeys(settings.environments or ("staging", "production"))
    for path in sorted(tree.paths):
        if SCANNER.matches(path):
            for fact in SCANNER.scan(path, tree.text(path) or "")[0]:
                name = getattr(fact, "environment", "")
                if name:
                    found[name] = None
                break
    return tuple(name for name in found if name not in {"test", "development"} or name in settings.environments)


def collect(tree: Tree, root: Path, settings: Settings) -> Collected:
    """Read the repository once: its files of known names, then its components."""
    from sentry_audit.plugins import discover as plugins
    from sentry_audit.python.components import APP_TOKENS, deployed, discover
    from sentry_audit.python.program import Program

    tree.prefetch(["sentry_sdk"], ".py")
    tree.prefetch(list(APP_TOKENS), ".py")
    scanners = plugins("sentry_audit.scanners", "SCANNER")
    facts: list[Fact] = []
    problems: list[Problem] = []
    for path in sorted(tree.paths):
        for scanner in scanners.values():
            if scanner.matches(path) and deployed(path):
                text = tree.text(path)
                if text is not None:
                    found, unseen = scanner.scan(path, text)
                    facts += found
                    problems += unseen
    facts = rebased(facts, tree)
    services = discover(Program(tree), facts, settings.components)
    notes = [f"{path} is a submodule: audit it on its own" for path in tree.submodules]
    if not tree.paths:
        raise NothingAudited(f"{root} is empty", "give the folder of a repository")
    return Collected(root, tree, services, facts, problems, notes)


def rebased(facts: list[Fact], tree: Tree) -> list[Fact]:
    """Dockerfiles whose build context is not their own folder, as compose or their COPY lines tell."""
    from posixpath import dirname, join, normpath

    from sentry_audit.facts import Image, Process
    from sentry_audit.scanners.docker import rebase

    contexts = {
        fact.image: fact.context for fact in facts if isinstance(fact, Process) and fact.origin == "compose" and fact.image
    }
    result: list[Fact] = []
    for fact in facts:
        if isinstance(fact, Image):
            context = contexts.get(fact.path)
            if context is None:
                context = fact.context
                while context and not _fits(fact, context, tree):
                    context = dirname(context)
            if context != fact.context:
                fact = rebase(fact, context)  # noqa: PLW2901
        elif isinstance(fact, Process) and fact.image and fact.origin in {"dockerfile", "docker", "image"}:
            image = next((item for item in result if isinstance(item, Image) and item.path == fact.image), None)
            if image is not None and image.context != fact.context:
                fact = replace(fact, context=image.context)  # noqa: PLW2901
        result.append(fact)
    del join, normpath
    return result


def _fits(image: object, context: str, tree: Tree) -> bool:
    """Whether every source that the Dockerfile copies by name is there in ``context``."""
    from posixpath import join, normpath

    from sentry_audit.facts import Image

    assert isinstance(image, Image)
    for source, _ in image.copied:
        name = normpath(join(context, source.lstrip("/")))
        if any(mark in source for mark in "*$?[") or source in {".", "./", "/"}:
            continue
        if name not in tree.paths and not any(path.startswith(f"{name}/") for path in tree.paths):
            return False
    return True


def _components(services: list[Service], names: Sequence[str]) -> list[Service]:
    if not names:
        return services
    import difflib

    known = {service.fact.name: service for service in services}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"the components are: {', '.join(known) or 'none'}"
            error = NothingAudited(f"no component is called {name}", hint)
            raise error
    return [known[name] for name in dict.fromkeys(names)]


def _nothing(collected: Collected) -> tuple[str, str]:
    paths = collected.tree.paths
    templates = [path for path in paths if "{{" in path or path.endswith((".jinja", ".j2"))]
    if templates and ("cookiecutter.json" in paths or "copier.yml" in paths or "copier.yaml" in paths or len(templates) > 3):
        return (
            f"{collected.root} is a template, not code yet ({min(templates)})",
            "generate a project from it, and audit that",
        )
    if not any(path.endswith(".py") for path in paths):
        return (f"no Python file in {collected.root}", "give the folder of a repository with a Python service")
    return (
        f"no deployable Python service was found in {collected.root}",
        "a component is what a Dockerfile, a Procfile or a framework's application object starts; "
        "name it in sentry-audit.yaml under components",
    )


def report(
    collected: Collected,
    services: list[Service],
    checks: Sequence[Check],
    environment: str,
    request: Request,
    settings: Settings,
) -> Report:
    """Derive, judge and link up one environment."""
    from sentry_audit import chain, engine

    facts, problems = derive(collected, services, environment)
    components = [service.fact for service in services]
    required = settings.requires_sentry(environment)
    problems = problems + collected.problems + collected.tree.problems
    findings = engine.evaluate(checks, facts, problems, components, environment, required)
    links = [chain.build(component, findings, environment, UNLOOKED) for component in components]
    parts = tuple(_component(component, chain_) for component, chain_ in zip(components, links, strict=True))
    ready, headline = chain.verdict(parts, environment)
    return Report(
        root=str(request.root),
        environment=environment,
        ready=ready,
        headline=headline,
        components=parts,
        findings=findings,
        problems=tuple(_once(problems)),
        exit_code=engine.exit_code(findings, request.fail_on, request.allow_unknown),
        notes=tuple(collected.notes),
    )


def _once(problems: list[Problem]) -> list[Problem]:
    return list({(problem.source, problem.reason, str(problem.evidence)): problem for problem in problems}.values())


def _component(component: Component, links: object) -> ComponentReport:
    return ComponentReport(
        component.name, component.path, component.ecosystem, component.role, component.entry_point, links, component.reasons  # type: ignore[arg-type]
    )


def derive(collected: Collected, services: list[Service], environment: str) -> tuple[list[Fact], list[Problem]]:
    """Facts about each component in one environment, from what was collected."""
    from sentry_audit.derive.dependencies import Manifests, names, sdk_dependency
    from sentry_audit.derive.repository import dsn_matrix, env_templates, health_checks
    from sentry_audit.python.analysis import Code
    from sentry_audit.python.capture import error_handlers
    from sentry_audit.python.config import config_classes
    from sentry_audit.python.context import request_context
    from sentry_audit.python.options import option_facts
    from sentry_audit.python.program import Program
    from sentry_audit.python.shutdown import job_exit, shutdown
    from sentry_audit.sdk_table import SdkTable

    table = SdkTable.loads((resources.files("sentry_audit") / "data" / "sentry_sdk.json").read_text(encoding="utf-8"))
    program = Program(collected.tree)
    code = Code(program, collected.facts, collected.services)
    manifests = Manifests.of(collected.facts, collected.problems)
    facts: list[Fact] = []
    for service in services:
        dependency, installed = sdk_dependency(service, manifests, table)
        version = dependency.version or table.versions[-1]
        analysed = code.analyse(service, environment)
        analysed.facts += option_facts(analysed, table, version, names(installed))
        analysed.facts += config_classes(analysed)
        analysed.facts += env_templates(analysed, collected.facts)
        analysed.facts += dsn_matrix(analysed, collected.facts)
        if analysed.reached:
            paths = list(analysed.closure)
            analysed.facts += health_checks(analysed)
            analysed.facts += error_handlers(program, paths, version)
            analysed.facts += request_context(program, paths)
            if service.fact.role == "service":
                analysed.facts += shutdown(program, paths, service.fact.server)
            analysed.facts += job_exit(program, paths, service.entries[0] if service.entries else "", service.fact.server)
        facts += [replace(fact, component=service.fact.name) for fact in (dependency, *analysed.facts)]
    facts += located(collected, services)
    return facts, list(program.problems.values())


def located(collected: Collected, services: list[Service]) -> list[Fact]:
    """DSNs and tokens that stand in files, given to the component whose folder they are in."""
    from sentry_audit.facts import AuthToken, Dsn

    found: list[Fact] = []
    for fact in [*collected.facts, *_literal_dsns(collected)]:
        if isinstance(fact, Dsn | AuthToken) and fact.evidence:
            path = fact.evidence[0].path or ""
            owners = [service for service in services if service.fact.path == "." or path.startswith(service.fact.path + "/")]
            owner = max(owners, key=lambda item: len(item.fact.path)) if owners else None
            if owner is None and len(services) != 1:
                owner = None
            name = owner.fact.name if owner is not None else services[0].fact.name
            found.append(replace(fact, component=name))
    return found


def _literal_dsns(collected: Collected) -> list[Fact]:
    """DSNs in Python code that can be deployed."""
    from sentry_audit import dsn
    from sentry_audit.python.components import deployed

    found: list[Fact] = []
    for path in collected.tree.search(["ingest", "sentry.io/", "@sentry"], ".py"):
        text = collected.tree.text(path) if deployed(path) else None
        for offset, value in dsn.find(text or ""):
            line = (text or "").count("\n", 0, offset) + 1
            start = (text or "").rfind("\n", 0, offset) + 1
            if (text or "")[start:offset].lstrip().startswith("#"):
                continue
            found.append(dsn.fact(value, hardcoded=True, evidence=(Evidence(path, line, None, None, value.shown),)))
    return found


def describe(check_id: str) -> Check:
    """The check with that id; raises UsageError with the nearest id."""
    import difflib

    known = {item.id: item for item in shipped_checks()}
    if check_id in known:
        return known[check_id]
    near = difflib.get_close_matches(check_id, known, 1, 0.4)
    raise UsageError(f"no check is called {check_id}", f"did you mean {near[0]}?" if near else "see: sentry-audit checks list")
