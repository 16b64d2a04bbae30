"""Where a DSN's project is asked about: never anywhere but at the Sentry that the token is for.

sentry.io has one host per region (docs.sentry.io/api: us.sentry.io, de.sentry.io); a DSN's host names its region and,
as ``o123.``, its organization.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from msgspec import Struct

from sentry_audit.dsn import is_private
from sentry_audit.errors import UsageError
from sentry_audit.sentry_project import Unread

SENTRY = "https://sentry.io"
_INGEST = re.compile(r"o(\d+)\.ingest(?:\.([a-z]{2}\d?))?\.sentry\.io")
_REGION = re.compile(r"https://[a-z]{2}\d?\.sentry\.io")
_RELAY = re.compile(r"o(\d+)\.ingest\.(.+)")


class Place(Struct, frozen=True):
    """The address that answers for a DSN, and its organization's id (``""``: the DSN does not name it)."""

    base: str
    organization: str = ""


def checked(text: str, named: str) -> str:
    """The address of a Sentry, without a slash at its end; ``named`` says where it was written. Raises UsageError."""
    example = "for example https://sentry.example.com"
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError(f"{named} is not an address of a Sentry", example) from error
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"{named} has a name or a password in it", f"leave it out, {example}")
    if parts.scheme not in {"https", "http"} or not host or parts.query or parts.fragment:
        raise UsageError(f"{named} is not an address of a Sentry", example)
    if parts.scheme == "http" and not is_private(host):
        raise UsageError(f"{named} is http: the token would travel unencrypted to {host}", f"use https://{host}")
    path = parts.path.rstrip("/").removesuffix("/api/0")
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def is_hosted(url: str) -> bool:
    """Whether ``url`` is sentry.io's."""
    host = urlsplit(url).hostname or ""
    return host == "sentry.io" or host.endswith(".sentry.io")


def place(url: str, host: str) -> Place | Unread:
    """Where to ask about a DSN of ``host``, with a token for ``url``; or why that cannot be asked."""
    if is_hosted(url):
        match = _INGEST.fullmatch(host)
        if match is not None:
            return Place(f"https://{match[2] or 'us'}.sentry.io", match[1])
        if host == "sentry.io" or host.endswith(".sentry.io"):
            return Place(url)
        reason = f"the DSN leads to {host}, and the token is for sentry.io"
        return Unread(
            code="NOT_ASKED", reason=reason, hint=f"if {host} is your Sentry: export SENTRY_URL=https://{host}"
        )
    mine = urlsplit(url).hostname or ""
    relay = _RELAY.fullmatch(host)
    if host.strip("[]") == mine:
        return Place(url)
    if relay is not None and relay[2] == mine:
        return Place(url, relay[1])
    reason = f"the DSN leads to {host}, and SENTRY_URL is {url}"
    hint = (
        "leave SENTRY_URL out for sentry.io"
        if host.endswith("sentry.io")
        else f"if that is one Sentry: use {host} in both"
    )
    return Unread(code="NOT_ASKED", reason=reason, hint=hint)


def region(base: str, told: str) -> str:
    """``base``, or the region's address that sentry.io told for an organization: any other place is not believed."""
    known = told.rstrip("/")
    return known if is_hosted(base) and _REGION.fullmatch(known) else base
