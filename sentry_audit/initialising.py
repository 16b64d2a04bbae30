"""Begin the settings of a repository: look, propose, write once."""

from __future__ import annotations

import json
from difflib import unified_diff
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit import proposing
from sentry_audit.auditing import Request, collect, derived, environments_of, facts_of, open_tree
from sentry_audit.deployment.environments import canonical, parameter_in
from sentry_audit.errors import UsageError
from sentry_audit.facts import Deployment, EnvVar
from sentry_audit.settings import FILE, PROJECT, TABLE, find

if TYPE_CHECKING:
    from pathlib import Path

    from sentry_audit.collecting import Collected
    from sentry_audit.deployment.matching import Matching
    from sentry_audit.settings import Settings
    from sentry_audit.sources.tree import Tree

#: What is no environment of its own for those who deploy.
_NOT_DEPLOYED = frozenset({"development", "test", "local"})


class Begun(Struct, frozen=True):
    """What ``begin`` did: the files that it wrote, or the ``diff`` of what a file that is there does not speak of."""

    written: tuple[str, ...] = ()
    diff: str = ""


def proposal(root: Path, *, schema: bool = False) -> str:
    """The settings that would be written for the repository at ``root``."""
    return proposing.document(_sections(root), schema=schema)


def begin(root: Path, *, schema: bool = False) -> Begun:
    """Write the settings of ``root`` if it has none; a file that is there stays as it is.

    Raises UsageError where the settings are in pyproject.toml, SettingsError, NothingAudited, FixFailed.
    """
    source = find(root)
    if source.name == PROJECT:
        line = source.line_of(()) if source.line_of is not None else None
        place = f"{PROJECT}:{line}" if line else PROJECT
        raise UsageError(
            f"the settings are in {place}, [{TABLE}]; a {FILE} would count in their place",
            "look at what init would write, and add it there: sentry-audit init --print",
        )
    sections = _sections(root)
    written = _write(root, proposing.SCHEMA, _schema()) if schema else ()
    text = _text(root)
    if text is None:
        return Begun((*_write(root, FILE, proposing.document(sections, schema=schema)), *written))
    more = proposing.missing(sections, text)
    lead = f"# yaml-language-server: $schema={proposing.SCHEMA}\n"
    first = lead if schema and "$schema=" not in text else ""
    after = first + (text if text.endswith("\n") or not text else f"{text}\n")
    after += "".join(f"\n{item.text()}" for item in more)
    rows = unified_diff(text.splitlines(), after.splitlines(), FILE, f"{FILE} (proposed)", lineterm="", n=1)
    return Begun(written, "".join(f"{row}\n" for row in rows) if first or more else "")


def _schema() -> str:
    from sentry_audit.settings_model import schema

    return json.dumps(schema(), indent=1) + "\n"


def _text(root: Path) -> str | None:
    try:
        return (root / FILE).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None


def _write(root: Path, name: str, text: str) -> tuple[str, ...]:
    """Make the file ``name`` hold ``text``, whole or not at all; nothing if it does already."""
    from sentry_audit.applying.single import contents, write

    before, data = contents(root, name), text.encode()
    if before == data:
        return ()
    write(root, name, data, before)
    return (name,)


# --- what is there ------------------------------------------------------------------------------


def _sections(root: Path) -> list[proposing.Section]:
    request = Request(root=root)
    tree, settings = open_tree(request)
    found = _found(request, tree, replace(settings, components=(), services=(), deployments=(), google_cloud=()))
    return proposing.sections(found)


def _found(request: Request, tree: Tree, settings: Settings) -> proposing.Found:
    """What discovery gives without the help of the settings, but for what they leave out."""
    from sentry_audit.cloud import CloudOptions
    from sentry_audit.derive.targets import targets

    collected, deriver = collect(tree, settings, request)
    parts = collected.services, collected.frontends
    components = facts_of(parts)
    environments = _environments(collected, request, settings, tree)
    matching = deriver.matching
    wanted = [
        target
        for name in environments
        for target in targets(
            components,
            name,
            deriver.facts,
            derived(deriver, parts, name).facts,
            matching,
            settings,
            CloudOptions(),
        )
    ]
    return proposing.Found(
        environments=environments,
        audited=environments_of(replace(request, all_environments=True), settings, tree),
        components=components,
        targets=wanted,
        places=_places(matching, environments),
        unplaced=_unplaced(matching),
        ownerless=_once(matching.ownerless),
    )


def _environments(collected: Collected, request: Request, settings: Settings, tree: Tree) -> dict[str, str]:
    """The environments that are deployed, with where each was seen; the usual ones where none is spoken of."""
    found: dict[str, str] = {}
    for fact in collected.facts:
        if isinstance(fact, Deployment | EnvVar) and fact.environment and fact.evidence:
            name = canonical(fact.environment)
            if name not in _NOT_DEPLOYED:
                found.setdefault(name, str(fact.evidence[0]))
    if found:
        return dict(sorted(found.items(), key=lambda item: (item[0] == "production", item[0])))
    return dict.fromkeys(environments_of(replace(request, all_environments=True), settings, tree), "")


def _places(matching: Matching, environments: dict[str, str]) -> dict[tuple[str, str], str]:
    """Where the first definition of each component stands, by environment."""
    return {
        (component, name): str(mine[0].evidence[0])
        for component in matching.owners
        for name in environments
        if (mine := matching.of(component, name)) and mine[0].evidence
    }


def _unplaced(matching: Matching) -> list[Deployment]:
    """Definitions that speak of no environment, and hold no variable of its name."""
    everything = [item for items in matching.owners.values() for item in items] + matching.ownerless
    return [
        item
        for item in everything
        if not item.environment and not any(map(parameter_in, (item.service, item.project, item.image)))
    ]


def _once(deployments: list[Deployment]) -> list[Deployment]:
    return list({(item.service, item.path): item for item in reversed(deployments)}.values())[::-1]
