"""The token, and the Sentry that it is for: from the environment, else from the user's own ``~/.sentryclirc``.

Never from the audited repository: whoever can write there could have the token sent to a server of theirs.
docs.sentry.io/cli/configuration/ has the names.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.sources.sentry.places import SENTRY, checked

if TYPE_CHECKING:
    from configparser import ConfigParser

    from sentry_audit.sentry_project import SentryOptions

FILE = ".sentryclirc"
VARIABLE = "SENTRY_AUTH_TOKEN"
#: What may stand in a header.
_TOKEN = re.compile(r"[\x21-\x7e]+")
_LIMIT = 100_000


class Credentials(Struct, frozen=True, kw_only=True):
    """A token, where it is from, and where it may be sent: to ``url`` alone (``sentry.io``: to its regions too)."""

    token: str
    source: str
    url: str
    organization: str = ""

    def __repr__(self) -> str:
        return f"Credentials(source={self.source!r}, url={self.url!r})"

    @property
    def usable(self) -> bool:
        """Whether the token can be sent at all."""
        return _TOKEN.fullmatch(self.token) is not None


def find(options: SentryOptions, root: Path) -> Credentials | None:
    """The token that there is, for an audit of ``root``; None without one.

    Raises UsageError where the address that goes with it cannot be one.
    """
    told = None if os.environ.get(VARIABLE, "").strip() and options.url else _own_file(root)
    token, source = os.environ.get(VARIABLE, "").strip(), VARIABLE
    if not token and told is not None:
        token, source = told.get("auth", "token", fallback="").strip(), f"~/{FILE}"
    if not token:
        return None
    address, named = options.url, "--sentry-url"
    if not address:
        address, named = os.environ.get("SENTRY_URL", "").strip(), "SENTRY_URL"
    if not address and told is not None:
        address, named = told.get("defaults", "url", fallback="").strip(), f"~/{FILE}"
    organization = options.organization or (
        told.get("defaults", "org", fallback="").strip() if told is not None else ""
    )
    url = checked(address, named) if address else SENTRY
    return Credentials(token=token, source=source, url=url, organization=organization)


def _own_file(root: Path) -> ConfigParser | None:
    """What the user's own file says; None where there is none, or it is a part of the audited tree."""
    try:
        home = Path.home().resolve()
        if home.is_relative_to(root.resolve()):
            return None
        with (home / FILE).open("rb") as file:
            text = file.read(_LIMIT).decode("utf-8-sig")
    except (OSError, RuntimeError, UnicodeDecodeError):
        return None
    import configparser

    found = configparser.ConfigParser(interpolation=None)
    try:
        found.read_string(text)
    except configparser.Error:  # its text would have the line, and so the token
        return None
    return found
