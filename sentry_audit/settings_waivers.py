"""The entries under ``waivers`` in the settings → Written, refusing what it would otherwise have to guess."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.errors import nearest
from sentry_audit.model import Evidence, Waiver
from sentry_audit.positions import Wrong, told
from sentry_audit.waivers.written import PERMANENT, Written

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry_audit.positions import Path

KEYS = (
    "check",
    "reason",
    "until",
    "components",
    "environments",
    "paths",
    "owner",
    "ticket",
    "fingerprint",
)
EXAMPLE = "{check: dsn-hardcoded, reason: why it is accepted, until: 2027-01-31}"
_UNTIL = "write the last day on which it holds (until: 2027-01-31), or until: permanent"


class Places(Struct, frozen=True):
    """Where the values of a file stand: its name, and what gives the line of a value, where that is known."""

    name: str
    line_of: Callable[[Path], int | None] | None = None

    def of(self, path: Path) -> Evidence:
        """The place of the value at ``path``."""
        return Evidence(self.name, self.line_of(path) if self.line_of is not None else None)


def known(data: Any, keys: tuple[str, ...], path: Path) -> None:
    """Refuse what is no mapping, and keys that are none of ``keys``. Raises Wrong."""
    where = f"{told(path)}: " if path else ""
    if not isinstance(data, dict):
        raise Wrong(path, f"{where}expected a mapping, found {type(data).__name__}", f"the keys are: {', '.join(keys)}")
    for key in data:
        if key not in keys:
            hint = nearest(key, keys, f"the keys are: {', '.join(keys)}")
            raise Wrong((*path, str(key)), f"{where}unknown key {key!r}", hint)


def waiver(data: Any, path: Path, places: Places) -> Written:
    """One entry. Raises Wrong: a waiver has a check, a reason, and a last day or ``permanent``."""
    known(data, KEYS, path)
    for key in ("check", "reason", "until"):
        if key not in data:
            raise Wrong(path, f"{told(path)}: {key!r} is missing", f"for example: {EXAMPLE}")
    return Written(
        waiver=Waiver(
            reason=_text(data, "reason", path, required=True),
            until=_until(data["until"], (*path, "until")),
            owner=_text(data, "owner", path),
            ticket=_text(data, "ticket", path),
            place=places.of(path),
        ),
        checks=(_text(data, "check", path, required=True),),
        components=_texts(data, "components", path),
        environments=_texts(data, "environments", path),
        paths=_texts(data, "paths", path),
        fingerprints=_texts(data, "fingerprint", path),
    )


def _until(value: Any, path: Path) -> str:
    """An ISO date, or ``permanent``; YAML gives a text, TOML a date or a text."""
    if value == PERMANENT:
        return PERMANENT
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    try:
        return _day(value)
    except (TypeError, ValueError):
        raise Wrong(path, f"{told(path)}: {str(value)!r} is neither a date nor permanent", _UNTIL) from None


def _day(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    day = date.fromisoformat(value).isoformat()
    if day != value:  # 20270131 and 2027-W04-7 are ISO dates too, and nobody can read them
        raise ValueError(value)
    return day


def _text(data: dict[str, Any], key: str, path: Path, *, required: bool = False) -> str:
    value = data.get(key, "")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # ticket: 1204
    if not isinstance(value, str):
        raise Wrong((*path, key), f"{told((*path, key))} must be a text, not {type(value).__name__}")
    words = " ".join(value.split())
    if required and not words:
        raise Wrong((*path, key), f"{told((*path, key))} is empty", f"for example: {EXAMPLE}")
    return words


def _texts(data: dict[str, Any], key: str, path: Path) -> tuple[str, ...]:
    """One text, or a list of texts; an empty list would cover nothing, and reads as everything."""
    value = data.get(key)
    if key not in data:
        return ()
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(item, str) and item.strip() for item in found):
        message = f"{told((*path, key))} must be a name or a list of names"
        raise Wrong((*path, key), message, f"for example: {key}: [api]; leave {key} out for all")
    return tuple(item.strip() for item in found)
