"""The entries under ``waivers`` in the settings → Written."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.model import Evidence, Waiver
from sentry_audit.positions import Wrong, told
from sentry_audit.waivers.written import PERMANENT, Written

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry_audit.positions import Path
    from sentry_audit.settings_model import Waiver as Entry


class Places(Struct, frozen=True):
    """Where the values of a file stand: its name, and what gives the line of a value, where that is known."""

    name: str
    line_of: Callable[[Path], int | None] | None = None

    def of(self, path: Path) -> Evidence:
        """The place of the value at ``path``."""
        return Evidence(self.name, self.line_of(path) if self.line_of is not None else None)


def waiver(entry: Entry, path: Path, places: Places) -> Written:
    """One entry. Raises Wrong for a day that is none: the model knows only what a date looks like."""
    return Written(
        waiver=Waiver(
            reason=_words(entry.reason),
            until=_until(entry.until, (*path, "until")),
            owner=_words(entry.owner),
            ticket=_words(entry.ticket),
            place=places.of(path),
        ),
        checks=(_words(entry.check),),
        components=_scope(entry.components),
        environments=_scope(entry.environments),
        paths=_scope(entry.paths),
        fingerprints=_scope(entry.fingerprint),
    )


def _until(value: str, path: Path) -> str:
    if value == PERMANENT:
        return PERMANENT
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        from sentry_audit.settings_model import UNTIL

        raise Wrong(path, f"{told(path)}: {value!r} is neither a date nor permanent", UNTIL) from None


def _words(value: str | int) -> str:
    return " ".join(str(value).split())


def _scope(value: str | list[str] | None) -> tuple[str, ...]:
    """One text, or a list of texts; none is everything."""
    return tuple(item.strip() for item in ([value] if isinstance(value, str) else value or ()))
