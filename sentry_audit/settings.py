"""The user's settings: ``sentry-audit.yaml``, else ``[tool.sentry-audit]``; unknown keys are refused."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.errors import SettingsError, nearest
from sentry_audit.facts import Component, Deployment, SecretDeclared
from sentry_audit.positions import Wrong, told, toml_line, yaml_data, yaml_line
from sentry_audit.settings_waivers import EXAMPLE, Places, known, waiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sentry_audit.cloud import CloudSettings
    from sentry_audit.facts import Fact
    from sentry_audit.positions import Path as Path_
    from sentry_audit.waivers.written import Written

FILE = "sentry-audit.yaml"
PROJECT = "pyproject.toml"
TABLE = "tool.sentry-audit"
_KEYS = (
    "environments",
    "default_environment",
    "optional_environments",
    "components",
    "exclude",
    "agents",
    "checks",
    "deployments",
    "google_cloud",
    "waivers",
    "baseline",
    "sentry",
)
_COMPONENT_KEYS = ("name", "path", "entry_point", "role", "server", "service")
_CLOUD_KEYS = ("project", "regions", "secret")
_EXAMPLE = "for example: google_cloud: {staging: {project: shop-stg, regions: [europe-west1]}}"
#: The Cloud Run services of a component, as (environment, name); the environment is ``""`` for all.
Services = tuple[tuple[str, str], ...]


class Settings(Struct, frozen=True):
    """What a repository says about itself. Sentry is optional in ``optional_environments``.

    ``exclude`` are patterns as in ``.gitignore``; ``agents`` are entry points of agent runs (``path.py:name``);
    ``checks`` are check files that add to the catalogue, relative to the root; ``deployments`` says which environment
    the deploy definitions of a file are of (patterns as in a shell), ``services`` the Cloud Run service of a component;
    ``google_cloud`` where each environment runs (``""``: all of them); ``sentry_organization`` is asked about DSNs that do
    not name theirs; ``waivers`` which gaps are accepted; ``baseline`` the file of those that were there before, relative to
    the root.
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


def load(root: Path) -> Settings:
    """The settings of the repository at ``root``, or the defaults. Raises SettingsError."""
    text = _read(root / FILE)
    if text is not None:
        return parse(_yaml(text, FILE), FILE, lambda path: yaml_line(text, path))
    project = _read(root / PROJECT, ours=False)
    if project is None or TABLE not in project:
        return Settings()
    import tomllib

    try:
        data = tomllib.loads(project).get("tool", {}).get("sentry-audit", {})
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{PROJECT}: {error}", "fix the TOML") from error
    return parse(data, PROJECT, lambda path: toml_line(project, TABLE, path), f"[{TABLE}]")


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
        return yaml_data(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise SettingsError(f"{place}: {getattr(error, 'problem', None) or 'not YAML'}", "fix the YAML") from error


def parse(data: Any, name: str, line_of: Callable[[Path_], int | None] | None = None, table: str = "") -> Settings:
    """Settings from parsed YAML or TOML. Raises SettingsError.

    For messages, and for where waivers stand: ``name`` is the file's, ``line_of`` gives the line of a value, ``table``
    is what of the file is ours.
    """
    if data is None:
        return Settings()
    places = Places(name, line_of)
    try:
        return _parsed(data, places)
    except Wrong as wrong:
        place = ": ".join(word for word in (str(places.of(wrong.path)), table) if word)
        raise SettingsError(f"{place}: {wrong.message}", wrong.hint) from None


def _parsed(data: Any, places: Places) -> Settings:
    known(data, _KEYS, ())
    components = _list(data, "components", "for example: components: [{name: api, path: services/api}]")
    usual = Settings()
    return Settings(
        environments=_names(data, "environments", ()),
        default_environment=str(data.get("default_environment", usual.default_environment)),
        optional_environments=_names(data, "optional_environments", usual.optional_environments),
        components=tuple(_component(item, ("components", index)) for index, item in enumerate(components)),
        exclude=_names(data, "exclude", ()),
        agents=_names(data, "agents", ()),
        checks=_names(data, "checks", ()),
        deployments=_pairs(data, "deployments"),
        services=tuple(
            (item["name"], _services(item["service"], ("components", index)))
            for index, item in enumerate(components)
            if item.get("service")
        ),
        google_cloud=_google_cloud(data["google_cloud"]) if data.get("google_cloud") is not None else (),
        waivers=tuple(
            waiver(item, ("waivers", index), places)
            for index, item in enumerate(_list(data, "waivers", f"for example: waivers: [{EXAMPLE}]"))
        ),
        baseline=_baseline(data),
        sentry_organization=_sentry(data["sentry"]) if data.get("sentry") is not None else "",
    )


def _baseline(data: dict[str, Any]) -> str:
    value = data.get("baseline", "")
    if not isinstance(value, str):
        raise Wrong(("baseline",), f"baseline must be a path, not {type(value).__name__}", "baseline: a-file.json")
    return value


def _services(value: Any, path: Path_) -> Services:
    """One service, or one per environment."""
    if isinstance(value, str):
        return (("", value),)
    if not isinstance(value, dict) or not all(isinstance(item, str) and item for item in value.values()):
        raise Wrong(
            (*path, "service"),
            f"{told(path)}: service must be a name, or map environments to names",
            "for example: service: {staging: shop-api-stg, production: shop-api}",
        )
    return tuple((str(environment), service) for environment, service in value.items())


def _sentry(data: Any) -> str:
    """The organization. An address is refused: whoever writes to the repository would be sent the user's token."""
    if isinstance(data, dict) and "url" in data:
        message = "sentry.url is not read from a repository: the token would be sent there"
        raise Wrong(("sentry", "url"), message, "export SENTRY_URL, or pass --sentry-url")
    known(data, ("organization",), ("sentry",))
    organization = data.get("organization", "")
    if not isinstance(organization, str):
        message = f"sentry.organization must be a text, not {type(organization).__name__}"
        raise Wrong(("sentry", "organization"), message, "for example: sentry: {organization: shop}")
    return organization


def _google_cloud(data: Any) -> tuple[tuple[str, CloudSettings], ...]:
    """What is said of each environment, and under ``""`` of all."""
    path = ("google_cloud",)
    if not isinstance(data, dict):
        raise Wrong(path, f"google_cloud must be a mapping, not {type(data).__name__}", _EXAMPLE)
    shared = {key: value for key, value in data.items() if key in _CLOUD_KEYS or not isinstance(value, dict)}
    for key in shared.keys() - set(_CLOUD_KEYS):
        hint = nearest(str(key), _CLOUD_KEYS, _EXAMPLE)
        raise Wrong((*path, str(key)), f"google_cloud: unknown key {key!r}", hint)
    found = [("", _cloud(shared, path))] if shared else []
    for environment, value in data.items():
        if environment not in shared:
            known(value, _CLOUD_KEYS, (*path, str(environment)))
            found.append((str(environment), _cloud(value, (*path, str(environment)))))
    return tuple(found)


def _cloud(data: dict[str, Any], path: Path_) -> CloudSettings:
    from sentry_audit.cloud import CloudSettings

    for key in ("project", "secret"):
        if not isinstance(data.get(key, ""), str):
            where = (*path, key)
            message = f"{told(where)} must be a text, not {type(data[key]).__name__}"
            raise Wrong(where, message, f"write {key}: a-name")
    regions = data.get("regions", [])
    if not isinstance(regions, list) or not all(isinstance(item, str) for item in regions):
        where = (*path, "regions")
        raise Wrong(where, f"{told(where)} must be a list of regions", "for example: regions: [europe-west1]")
    return CloudSettings(project=data.get("project", ""), regions=tuple(regions), secret=data.get("secret", ""))


def _list(data: dict[str, Any], key: str, hint: str) -> list[Any]:
    value = data.get(key, [])
    if not isinstance(value, list):
        raise Wrong((key,), f"{key} must be a list", hint)
    return value


def _names(data: dict[str, Any], key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    value = data.get(key, list(default))
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Wrong((key,), f"{key} must be a list of names", f"for example: {key}: [staging, production]")
    return tuple(value)


def _pairs(data: dict[str, Any], key: str) -> tuple[tuple[str, str], ...]:
    value = data.get(key, {})
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise Wrong((key,), f"{key} must map files to environments", f"for example: {key}: {{deploy/*.yaml: staging}}")
    return tuple((str(pattern), environment) for pattern, environment in value.items())


def _component(data: Any, path: Path_) -> Component:
    known(data, _COMPONENT_KEYS, path)
    if not isinstance(data.get("name"), str) or not isinstance(data.get("path"), str):
        message = f"{told(path)}: name and path are required"
        raise Wrong(path, message, "for example: {name: api, path: services/api}")
    role = data.get("role", "")
    if role not in {"", "service", "worker", "job"}:
        raise Wrong((*path, "role"), f"{told(path)}: role must be service, worker or job, not {role!r}")
    entry = data.get("entry_point")
    folder = data["path"].strip("/") or "."
    return Component(
        name=data["name"], path=folder, role=role, server=str(data.get("server", "")),
        entry_point=str(entry) if entry else None, component=data["name"],
    )  # fmt: skip
