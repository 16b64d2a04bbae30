"""Read a repository once: the files of known names, then its components."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from sentry_audit.deployment.names import deploying
from sentry_audit.errors import NothingAudited
from sentry_audit.javascript.packages import discover as discover_frontends
from sentry_audit.javascript.packages import is_browser_sdk
from sentry_audit.mentions import DEPLOYS, POLICIES, RELEASES, TERRAFORM_VARIABLES
from sentry_audit.plugins import discover as plugins
from sentry_audit.python.components import discover
from sentry_audit.python.paths import deployed
from sentry_audit.python.program import Program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sentry_audit.facts import Component, Fact
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.model import Problem
    from sentry_audit.python.components import Service
    from sentry_audit.settings import Settings
    from sentry_audit.sources.tree import Tree


#: Files that are read when something leads to them, not for their names.
_CODE = frozenset(
    {
        ".py",
        ".go",
        ".ts",
        ".tsx",
        ".js",
        ".jsx",
        ".java",
        ".rs",
        ".rb",
        ".cs",
        ".md",
        ".rst",
        ".html",
        ".css",
        ".png",
        ".svg",
    }
)


class Collected(Struct):
    """What the repository says, before any environment is considered."""

    root: Path
    tree: Tree
    program: Program
    services: list[Service]
    facts: list[Fact]
    frontends: list[Frontend] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def collect(tree: Tree, root: Path, settings: Settings) -> Collected:
    """The facts that scanners find in ``tree``, and the components that ``settings`` and the code name.

    Raises NothingAudited for an empty folder.
    """
    from sentry_audit.derive.images import rebased

    scanners = list(plugins("sentry_audit.scanners", "SCANNER").values())
    if not tree.paths:
        raise NothingAudited(f"{root} is empty", "give the folder of a repository")
    facts: list[Fact] = []
    problems: list[Problem] = []
    for path in sorted([*tree.paths.but(_CODE), *tree.paths.called("setup.py")]):
        wanted = [scanner for scanner in scanners if scanner.matches(path)]
        text = tree.text(path) if wanted and deployed(path) else None
        for scanner in wanted if text is not None else ():
            found, unseen = scanner.scan(path, text or "")
            facts += found
            problems += unseen
    frontends, unread = discover_frontends(tree)
    if settings.components:
        named = {item.path: item.name for item in settings.components}
        frontends = [item for item in frontends if item.fact.path in named]
        for item in frontends:
            item.call(named[item.fact.path])
    problems += unread
    if frontends:
        from sentry_audit.derive.dotenvs import read_by_builds

        facts = read_by_builds(facts, frontends, tree)
    if any(is_browser_sdk(name) for item in frontends for name in item.manifest.dependencies):
        tree.prefetch(POLICIES)
    if any(map(deployed, tree.paths.of(".tf"))):
        tree.prefetch(TERRAFORM_VARIABLES)
    tree.probe(sorted(filter(deployed, deploying(tree.paths))))
    if frontends or tree.search(DEPLOYS):
        from sentry_audit.deployment.reading import read as read_deployments

        deployments = read_deployments(tree)
        facts += [settings.placed(fact) for fact in deployments.facts]
        problems += deployments.problems
    if tree.search(RELEASES):
        from sentry_audit.deployment.release_steps import read as read_release_steps

        facts += read_release_steps(tree)
    program = Program(tree)
    facts = rebased(facts, tree.paths)
    named_services = _python(settings, frontends)
    services = discover(program, facts, named_services) if named_services or not settings.components else []
    _tell_apart(frontends, {service.fact.name for service in services})
    notes = [*settings.notes, *(f"{path} is a repository of its own: audit it on its own" for path in tree.submodules)]
    return Collected(root, tree, program, services, facts, frontends, problems, notes + tree.notes)


def _tell_apart(frontends: Sequence[Frontend], services: set[str]) -> None:
    """Call front ends that have the name of a Python component by their folders: a name is what facts are found by."""
    for item in frontends:
        name = item.fact.name
        if name in services:
            others = services | {each.fact.name for each in frontends}
            name = item.folder.replace("/", "-")
            name = name if name and name not in others else f"{item.fact.name}-web"
            while name in others:
                name += "-2"
            item.call(name)


def _python(settings: Settings, frontends: Sequence[Frontend]) -> list[Component]:
    """The components that the settings name and that are no front ends."""
    paths = {item.fact.path for item in frontends}
    return [item for item in settings.components if item.path not in paths]


def nothing(collected: Collected) -> tuple[str, str]:
    """Why there is no component to audit, and what to do about it."""
    paths = collected.tree.paths
    templates = [path for path in paths if "{{" in path or path.endswith((".jinja", ".j2"))]
    generators = {"cookiecutter.json", "copier.yml", "copier.yaml"} & paths
    if templates and (generators or len(templates) > 3):
        return (
            f"{collected.root} is a template, not code yet ({min(templates)})",
            "generate a project from it, and audit that",
        )
    if not any(path.endswith(".py") for path in paths):
        return (
            f"no Python file and no front end in {collected.root}",
            "give the folder of a repository with a Python service, or with a front end that a bundler builds",
        )
    return (
        f"no deployable Python service or front end was found in {collected.root}",
        (
            "a component is what a Dockerfile, a Procfile or a framework's application object starts; "
            "name it in sentry-audit.yaml under components"
        ),
    )
