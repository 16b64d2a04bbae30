"""What each version of sentry-sdk knows: options, integration arguments, names. Measured, not remembered.

The data is ``data/sentry_sdk.json``, made by ``scripts/generate_sdk_data.py`` from the real packages.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from msgspec import Struct

Ranges = list[list[str | None]]


def key(version: str) -> tuple[int, ...]:
    """The numeric parts of a release (``2.14.0`` → (2, 14, 0)); pre-release marks are ignored."""
    parts = []
    for piece in version.split(".")[:3]:
        digits = "".join(character for character in piece if character.isdigit())
        parts.append(int(digits) if digits else 0)
    return tuple(parts)


class SdkTable(Struct, frozen=True, dict=True):
    """The measured table; ``data`` is the parsed file."""

    data: dict[str, Any]

    @classmethod
    def loads(cls, text: str) -> SdkTable:
        """The table from its JSON text."""
        return cls(json.loads(text))

    @cached_property
    def versions(self) -> tuple[str, ...]:
        """The stable versions that were measured, oldest first."""
        return tuple(self.data["generated_from"])

    def resolve(self, specifier: str) -> str:
        """The newest measured version that a PEP 440 specifier allows; ``""`` when none does."""
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            allowed = SpecifierSet(specifier)
        except InvalidSpecifier:
            return ""
        return next((version for version in reversed(self.versions) if allowed.contains(version)), "")

    def bounded(self, specifier: str) -> bool:
        """Whether a specifier keeps the major after the newest measured one out."""
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            return not SpecifierSet(specifier).contains(f"{key(self.versions[-1])[0] + 1}.0.0")
        except InvalidSpecifier:
            return False

    def has_option(self, name: str, version: str) -> bool:
        """Whether ``sentry_sdk.init`` of that version takes the option."""
        return _within(self.data["options"].get(name), version, self.versions)

    def option_lives(self, name: str) -> str:
        """In words, which versions take the option (``""`` when none ever did)."""
        return _words(self.data["options"].get(name))

    def options(self, version: str) -> list[str]:
        """All options of that version."""
        return [name for name in self.data["options"] if self.has_option(name, version)]

    def has_export(self, name: str, version: str) -> bool:
        """Whether ``sentry_sdk.NAME`` exists in that version, as a name or a submodule."""
        return _within(self.data["exports"].get(name), version, self.versions) or _within(
            self.data["modules"].get(name), version, self.versions
        )

    def export_lives(self, name: str) -> str:
        """In words, which versions have the name."""
        return _words(self.data["exports"].get(name) or self.data["modules"].get(name))

    def integration(self, dotted: str) -> dict[str, Any] | None:
        """What is known of an integration class by its full name, or None if no version has it."""
        found: dict[str, Any] | None = self.data["integrations"].get(dotted)
        return found

    def has_integration(self, dotted: str, version: str) -> bool:
        """Whether that version has the integration class."""
        entry = self.integration(dotted)
        return entry is not None and _within(entry["since"], version, self.versions)

    def has_argument(self, dotted: str, argument: str, version: str) -> bool:
        """Whether the integration's constructor takes the keyword in that version."""
        entry = self.integration(dotted)
        return entry is not None and (
            entry["open"] or _within(entry["arguments"].get(argument), version, self.versions)
        )

    def argument_lives(self, dotted: str, argument: str) -> str:
        """In words, which versions take the keyword."""
        entry = self.integration(dotted)
        return _words(entry["arguments"].get(argument)) if entry else ""

    def auto_enabled(self, dotted: str, version: str) -> bool:
        """Whether that version switches the integration on by itself."""
        entry = self.integration(dotted)
        return entry is not None and (
            _within(entry["auto_enabled"], version, self.versions) or _within(entry["default"], version, self.versions)
        )


def _within(ranges: Ranges | None, version: str, versions: tuple[str, ...]) -> bool:
    """A version between two measured ones is taken as the measured one below it."""
    if not ranges:
        return False
    wanted = key(version)
    measured = next((item for item in reversed(versions) if key(item) <= wanted), versions[0])
    return any(
        key(first or "0") <= key(measured) and (last is None or key(measured) <= key(last)) for first, last in ranges
    )


def _words(ranges: Ranges | None) -> str:
    if not ranges:
        return ""
    return ", ".join(f"since {first}" if last is None else f"from {first} to {last}" for first, last in ranges)
