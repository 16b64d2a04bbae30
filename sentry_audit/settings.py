"""The user's settings: ``sentry-audit.yaml``, else ``[tool.sentry-audit]``; what they may say is in ``settings_model``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.errors import SettingsError
from sentry_audit.facts import Component, Deployment, SecretDeclared
from sentry_audit.positions import Wrong, listed, no_yaml, toml_line, twice, yaml_data, yaml_line
from sentry_audit.settings_waivers import Places, waiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sentry_audit.cloud import CloudSettings
    from sentry_audit.facts import Fact
    from sentry_audit.positions import Path as Path_
    from sentry_audit.settings_model import Component as Entry
    from sentry_audit.settings_model import File
    from sentry_audit.waivers.written import Written

FILE = "sentry-audit.yaml"
PROJECT = "pyproject.toml"
TABLE = "tool.sentry-audit"
#: The Cloud Run services of a component, as (environment, name); the environment is ``""`` for all.
Services = tuple[tuple[str, str], ...]


class Settings(Struct, frozen=True):
    """What a repository says about itself. Sentry is optional in ``optional_environments``.

    ``exclude`` are patterns as in ``.gitignore``; ``agents`` are entry points of agent runs (``path.py:name``);
    ``checks`` are check files that add to the catalogue, relative to the root; ``deployments`` says which environment
    the deploy definitions of a file are of (patterns as in a shell), ``services`` the Cloud Run service of a component;
    ``google_cloud`` where each environment runs (``""``: all of them); ``sentry_organization`` is asked about DSNs that do
    not name theirs; ``waivers`` which gaps are accepted; ``baseline``
    the file of those that were there before, relative to the root; ``notes`` is what is to be said of the settings
    themselves.
    """

    environments: tuple[str, ...] = ()
    default_environment: str = "production"
    optional_environments: tuple[str, ...] = ("development", "dev", "local", "test", "testing")
    components: tuple[Component, ...] = ()
    exclude: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    deployments: tuple[tuple[str, str], ...] = ()
    services: tuple[tuple[str, Services], ...] = ()
    google_cloud: tuple[tuple[str, CloudSettings], ...] = ()
    waivers: tuple[Written, ...] = ()
    baseline: str = ""
    sentry_organization: str = ""
    notes: tuple[str, ...] = ()

    def cloud(self, environment: str) -> CloudSettings:
        """Where ``environment`` runs: what is said of it, and of all for the rest."""
        from sentry_audit.cloud import CloudSettings
        from sentry_audit.deployment.environments import canonical

        both = [
            next((item for name, item in self.google_cloud if canonical(name) == wanted), CloudSettings())
            for wanted in (canonical(environment), "")
        ]
        own, usual = both
        return CloudSettings(
            project=own.project or usual.project,
            regions=own.regions or usual.regions,
            secret=own.secret or usual.secret,
        )

    def placed(self, fact: Fact) -> Fact:
        """``fact``, in the environment that ``deployments`` gives its file, or ``services`` its service."""
        if not isinstance(fact, Deployment | SecretDeclared):
            return fact
        environment = next((name for pattern, name in self.deployments if fnmatchcase(fact.path, pattern)), None)
        if environment is None and isinstance(fact, Deployment):
            named = {name for _, given in self.services for name, service in given if service == fact.service}
            environment = named.pop() if len(named) == 1 and "" not in named else None
        if environment is None:
            return fact
        if isinstance(fact, Deployment):
            return replace(fact, environment=environment, rule="the settings say so")
        return replace(fact, environment=environment)

    def requires_sentry(self, environment: str) -> bool:
        """Whether a dark Sentry is a gap in this environment."""
        return environment not in self.optional_environments


class Source(Struct, frozen=True):
    """Where settings are written: the file's name, its content as parsed, and what gives the line of a value.

    ``table`` is what of the file is ours; ``unread`` names another place whose settings do not count for this one.
    """

    name: str = ""
    data: Any = None
    line_of: Callable[[Path_], int | None] | None = None
    table: str = ""
    unread: str = ""


def load(root: Path) -> Settings:
    """The settings of the repository at ``root``, or the defaults. Raises SettingsError."""
    source = find(root)
    settings = parse(source.data, source.name, source.line_of, source.table)
    return replace(settings, notes=(f"{source.name} counts, {source.unread} does not",)) if source.unread else settings


def find(root: Path) -> Source:
    """Where the settings of ``root`` are written; its ``name`` is empty if nowhere. Raises SettingsError."""
    text = _read(root / FILE)
    project = _read(root / PROJECT, ours=False)
    if text is not None:
        data = _yaml(text, FILE)
        unread = f"[{TABLE}] in {PROJECT}" if project and TABLE in project and _table(project, strict=False) else ""
        return Source(FILE, data, lambda path: yaml_line(text, path), unread=unread)
    if project is None or TABLE not in project or (table := _table(project)) is None:
        return Source()
    return Source(PROJECT, table, lambda path: toml_line(project, TABLE, path), f"[{TABLE}]")


def _table(project: str, *, strict: bool = True) -> Any:
    """Our table of a pyproject.toml, dates as texts; None if there is none."""
    import tomllib

    from msgspec import to_builtins

    try:
        tools = tomllib.loads(project).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        if not strict:
            return None
        raise SettingsError(f"{PROJECT}: {error}", "fix the TOML") from error
    return to_builtins(tools.get("sentry-audit")) if isinstance(tools, dict) else None


def _read(path: Path, *, ours: bool = True) -> str | None:
    """The text of a file, None if it is not there (or, when it is not ours to insist on, cannot be read)."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        if not ours:
            return None
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SettingsError(f"{path.name} cannot be read: {reason}", "make it a readable UTF-8 file") from error


def _yaml(text: str, name: str) -> Any:
    import yaml

    try:
        data, wrong = yaml_data(text), twice(text)
    except yaml.YAMLError as error:
        raise SettingsError(*no_yaml(error, text, name)) from error
    if wrong:
        raise SettingsError(*listed(wrong, lambda path: f"{name}:{yaml_line(text, path)}", name))
    return data


def parse(data: Any, name: str, line_of: Callable[[Path_], int | None] | None = None, table: str = "") -> Settings:
    """Settings from parsed YAML or TOML. Raises SettingsError.

    For messages, and for where waivers stand: ``name`` is the file's, ``line_of`` gives the line of a value, ``table``
    is what of the file is ours.
    """
    if data is None:
        return Settings()
    from sentry_audit.modelled import mistakes
    from sentry_audit.settings_model import File, read

    places = Places(name, line_of)
    found = list(mistakes(File, data))
    if not found:
        try:
            return _settings(read(data), data, places)
        except Wrong as wrong:
            found = [wrong]

    def place(path: Path_) -> str:
        return ": ".join(word for word in (str(places.of(path)), table) if word)

    raise SettingsError(*listed(found, place, name))


def _settings(file: File, data: dict[str, Any], places: Places) -> Settings:
    usual = Settings()
    components = file.components or []
    return Settings(
        environments=tuple(file.environments or ()),
        default_environment=file.default_environment or usual.default_environment,
        optional_environments=tuple(
            usual.optional_environments if file.optional_environments is None else file.optional_environments
        ),
        components=tuple(map(_component, components)),
        exclude=tuple(file.exclude or ()),
        agents=tuple(file.agents or ()),
        checks=tuple(file.checks or ()),
        deployments=tuple((file.deployments or {}).items()),
        services=tuple((item.name, _services(item.service)) for item in components if item.service),
        google_cloud=_google_cloud(data["google_cloud"]) if data.get("google_cloud") else (),
        waivers=tuple(waiver(item, ("waivers", index), places) for index, item in enumerate(file.waivers or ())),
        baseline=file.baseline or "",
        sentry_organization=file.sentry.organization if file.sentry is not None else "",
    )


def _component(entry: Entry) -> Component:
    return Component(
        name=entry.name,
        path=entry.path.strip("/") or ".",
        role=entry.role or "",
        server=entry.server or "",
        entry_point=entry.entry_point or None,
        component=entry.name,
    )


def _services(given: str | dict[str, str]) -> Services:
    """One service, or one per environment."""
    return (("", given),) if isinstance(given, str) else tuple(given.items())


def _google_cloud(data: dict[str, Any]) -> tuple[tuple[str, CloudSettings], ...]:
    """What is said of each environment, and under ``""`` of all."""
    from sentry_audit.cloud import CloudSettings
    from sentry_audit.settings_model import by_environment

    return tuple(
        (name, CloudSettings(project=item.project, regions=tuple(item.regions), secret=item.secret))
        for name, item in by_environment(data).items()
    )
