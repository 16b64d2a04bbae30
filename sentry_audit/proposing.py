"""What was found in a repository, as a commented sentry-audit.yaml. Pure.

What would be found again on the next run is commented out: the file freezes nothing unless its reader says so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.dsn import redact
from sentry_audit.modelled import flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sentry_audit.cloud import Target
    from sentry_audit.facts import Component, Deployment

#: What ``init --schema`` writes beside the settings.
SCHEMA = "sentry-audit.schema.json"
_WIDTH = 100
_HEAD = """\
# Settings of sentry-audit, begun by `sentry-audit init`. Everything may be left out. What stands right behind a # is
# what was found, and is looked for anew on every run: take the # away to pin it down.
# All keys: sentry-audit checks schema --settings-format. What counts: sentry-audit check --show-config
"""


class Entry(Struct, frozen=True):
    """Some lines of a section; ``name`` is what tells in an existing file that it is there."""

    name: str
    lines: tuple[str, ...]


class Section(Struct, frozen=True):
    """One key of the settings: what is said above it, its own line, and what stands below. ``active`` ones count."""

    key: str
    above: tuple[str, ...]
    line: str
    entries: tuple[Entry, ...] = ()
    active: bool = False

    def text(self) -> str:
        """The section as it is written."""
        mark = "" if self.active else "#"
        rows = [self.line, *(line for entry in self.entries for line in entry.lines)]
        return "\n".join([*(f"# {line}" for line in self.above), *(f"{mark}{row}" for row in rows)]) + "\n"


class Found(Struct, frozen=True, kw_only=True):
    """What was found: ``environments`` with where they are spoken of, and where components run by the targets.

    ``audited`` are the environments that ``--all-envs`` audits without settings: to write others would change findings.
    """

    environments: Mapping[str, str]
    audited: tuple[str, ...]
    components: Sequence[Component]
    targets: Sequence[Target]
    places: Mapping[tuple[str, str], str]
    unplaced: Sequence[Deployment]
    ownerless: Sequence[Deployment]


def document(sections: Iterable[Section], *, schema: bool = False) -> str:
    """The whole file; with ``schema`` editors are led to it."""
    line = f"# yaml-language-server: $schema={SCHEMA}\n" if schema else ""
    return line + _HEAD + "".join(f"\n{section.text()}" for section in sections)


def missing(sections: Iterable[Section], text: str) -> list[Section]:
    """What of ``sections`` the file ``text`` does not speak of, be it in a comment."""
    found = []
    for section in sections:
        if not re.search(rf"^[ \t#]*{section.key}[ \t]*:", text, re.MULTILINE):
            found.append(section)
            continue
        entries = tuple(entry for entry in section.entries if not _named(entry.name, text))
        if entries:
            found.append(Section(section.key, section.above, section.line, entries))
    return found


def _named(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is not None


def sections(found: Found) -> list[Section]:
    """The sections for what was ``found``, in the order of the file."""
    made = [_environments(found), _default(), _components(found)]
    made += [item for item in (_google_cloud(found), _deployments(found)) if item is not None]
    return made


def _environments(found: Found) -> Section:
    seen = tuple(f"{name}: {place}" for name, place in found.environments.items() if place)
    names = flow(list(found.environments))
    if not seen:
        usual = (
            "The environments that --all-envs audits. Nothing in the repository names any, so these are the usual ones.",
        )
        return Section("environments", usual, f"environments: {names}")
    head = "The environments that --all-envs audits, and where they were seen:"
    above = (head, *(f"- {item}" for item in seen))
    same = set(found.environments) == set(found.audited)
    if same:
        names = flow(list(found.audited))
    return Section("environments", above, f"environments: {names}", active=same)


def _default() -> Section:
    above = ("The environment that is audited when --env is left out.",)
    return Section("default_environment", above, "default_environment: production", active=True)


def _components(found: Found) -> Section:
    above = ["The components that were found, and why. To name any here replaces all that is found."]
    if found.ownerless:
        above.append(
            "These are deployed, and of no component as far as was told; name each as its component's service:"
        )
        above += [_short(f"- {item.service or 'a service'} ({_place(item)})") for item in found.ownerless]
    if not found.components:
        example = ("  - name: api", "    path: services/api")
        return Section(
            "components", ("No component was found. Name them:",), "components:", (Entry("components", example),)
        )
    return Section("components", tuple(above), "components:", tuple(_entry(found, item) for item in found.components))


def _entry(found: Found, component: Component) -> Entry:
    lines = [f"  - name: {flow(component.name)}"]
    lines += [_short(f"      # {reason}") for reason in component.reasons[:1]]
    given = {"path": component.path, "entry_point": component.entry_point, "server": component.server}
    role = component.role if component.role in {"service", "worker", "job"} else ""
    lines += [f"    {key}: {flow(value)}" for key, value in {**given, "role": role}.items() if value]
    return Entry(component.name, (*lines, *_service(found, component.name)))


def _service(found: Found, component: str) -> list[str]:
    """What it is called on Cloud Run, by environment, or why that is not known."""
    mine = [item for item in found.targets if item.component == component]
    names = {item.environment: item.service for item in mine if item.service and "$" not in item.service}
    place = next(
        (found.places[component, item.environment] for item in mine if (component, item.environment) in found.places),
        "",
    )
    if not names:
        return [_short(f"    # service: {item.why}") for item in mine[:1] if item.why]
    value = names if len(set(names.values())) > 1 else next(iter(names.values()))
    return [f"    service: {flow(value)}" + (f"  # {place}" if place else "")]


def _google_cloud(found: Found) -> Section | None:
    """Where each environment runs; more than one project, or none, is for the reader to settle."""
    if not found.targets:
        return None
    entries = []
    for name in found.environments:
        projects: dict[str, tuple[str, ...]] = {}
        rules: dict[str, str] = {}
        mine = [item for item in found.targets if item.environment == name]
        for item in mine:
            if item.project and "$" not in item.project:
                projects[item.project] = tuple(dict.fromkeys((*projects.get(item.project, ()), *item.regions)))
                rules.setdefault(item.project, item.rule)
        rows = []
        for project, regions in projects.items():
            more = {"regions": list(regions)} if regions else {}
            either = "; one of several, choose" if len(projects) > 1 else ""
            rows.append(f"  {flow(name)}: {flow({'project': project, **more})}  # {rules[project]}{either}")
        if mine and not rows:
            why = next((item.why for item in mine if "project" in item.why), "its project was not found")
            rows = [_short(f"  # {why.partition('; give ')[0]}"), f"  {flow(name)}: {{project: the-project-of-{name}}}"]
        if rows:
            entries.append(Entry(name, tuple(rows)))
    above = ("Where each environment runs. This comes before what the deploy definitions say.",)
    return Section("google_cloud", above, "google_cloud:", tuple(entries)) if entries else None


def _deployments(found: Found) -> Section | None:
    """Definitions that speak of no environment, where there is more than one to tell apart."""
    paths = {item.path: _place(item) for item in reversed(found.unplaced)}
    if not paths or len(found.environments) < 2:
        return None
    first = next(iter(found.environments))
    entries = tuple(Entry(path, (f"  {flow(path)}: {first}",)) for path in sorted(paths))
    above = ("These speak of no environment, so they count for all. If each is of one only, say which:",)
    return Section("deployments", above, "deployments:", entries)


def _place(item: Deployment) -> str:
    return str(item.evidence[0]) if item.evidence else item.path


def _short(text: str) -> str:
    """One line of a comment, without secrets."""
    lead = text[: len(text) - len(text.lstrip())]
    words = redact(" ".join(text.split()))
    return lead + (words if len(words) <= _WIDTH else words[: _WIDTH - 1].rstrip() + "…")
