"""What a shell offers after Tab: ids of checks, formats, and the names that the settings hold.

Only the settings file and our own data are read, never the repository: a shell waits for it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer  # noqa: TC002 - typer evaluates it

from sentry_audit import plugins

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.settings import Settings

_DATA = Path(__file__).parent / "data"
_USUAL = ("production", "staging")


def check_ids(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The ids of the catalogue and of the settings' own checks, with their titles."""
    return [(name, title) for name, title in _checks(_root(ctx)) if name.startswith(incomplete)]


def check_lists(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Likewise where several are separated by commas: those before the last comma stay."""
    before, comma, last = incomplete.rpartition(",")
    taken = before.split(",")
    return [
        (f"{before}{comma}{name}", title)
        for name, title in _checks(_root(ctx))
        if name.startswith(last) and name not in taken
    ]


def formats(incomplete: str) -> list[str]:
    """The formats of reports."""
    return _beginning(plugins.names("sentry_audit.reporters"), incomplete)


def environments(ctx: typer.Context, incomplete: str) -> list[str]:
    """The environments that the settings name, else the usual ones."""
    settings = _settings(_root(ctx))
    if settings is None:
        return _beginning(_USUAL, incomplete)
    named = [*settings.environments, settings.default_environment, *(name for name, _ in settings.google_cloud)]
    named += [name for _, services in settings.services for name, _ in services]
    return _beginning(filter(None, (*named, *(() if settings.environments else _USUAL))), incomplete)


def components(ctx: typer.Context, incomplete: str) -> list[str]:
    """The components that the settings name."""
    settings = _settings(_root(ctx))
    return _beginning((item.name for item in settings.components), incomplete) if settings is not None else []


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in dict.fromkeys(words) if word.startswith(incomplete)]


def _root(ctx: typer.Context) -> Path:
    given = ctx.params.get("path")
    return given if isinstance(given, Path) else Path(given) if isinstance(given, str) else Path()


def _settings(root: Path) -> Settings | None:
    """The settings of ``root``, if they can be read."""
    from sentry_audit.errors import AuditError
    from sentry_audit.settings import load

    with suppress(AuditError):
        return load(root)
    return None


def _checks(root: Path) -> list[tuple[str, str]]:
    with suppress(OSError, ValueError, KeyError, TypeError):
        shipped = json.loads((_DATA / "checks.json").read_text(encoding="utf-8"))["checks"]
        return [(item["id"], item["title"]) for item in shipped] + _own_checks(root)
    return []


def _own_checks(root: Path) -> list[tuple[str, str]]:
    from sentry_audit.errors import AuditError

    settings = _settings(root)
    found: list[tuple[str, str]] = []
    for name in settings.checks if settings is not None else ():
        from sentry_audit.app import checks_file

        with suppress(AuditError):
            found += [(item.id, item.title) for item in checks_file(root / name, name)]
    return found
