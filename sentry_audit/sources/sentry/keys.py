"""The DSN of a project for ``--dsn-from sentry:ORG/PROJECT``: read, never made, and never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from sentry_audit.errors import UsageError, nearest
from sentry_audit.sources.sentry import payloads
from sentry_audit.sources.sentry.client import Client, RefusedError
from sentry_audit.sources.sentry.places import is_hosted, region

if TYPE_CHECKING:
    from sentry_audit.sentry_project import SentryOptions
    from sentry_audit.sources.sentry.credentials import Credentials


def active_dsn(
    organization: str, project: str, key: str, options: SentryOptions, credentials: Credentials
) -> tuple[str, str]:
    """(where it is from, the DSN) of the key called ``key``, or of the only one that is active.

    Raises UsageError where Sentry does not say, there is none, or several could be meant.
    """
    where = f"{organization}/{project}"
    if not credentials.usable:
        raise UsageError(f"what {credentials.source} holds is no token", "it has characters that no token has")
    try:
        with Client(credentials.token, credentials.source, options.timeout) as client:
            base = credentials.url
            if is_hosted(base):
                path = f"/organizations/{quote(organization, safe='')}/"
                found = client.get(base, path, payloads.Organization, "org:read", (("detailed", "0"),))
                base = region(base, found.links.region)
            path = f"/projects/{quote(organization, safe='')}/{quote(project, safe='')}/keys/"
            keys = client.all(base, path, payloads.Key, "project:read", (("status", "active"),))
    except RefusedError as refused:
        raise UsageError(f"{refused.unread.reason}: there is no DSN from {where}", refused.unread.hint) from None
    usable = [
        item for item in keys if item.active and item.dsn.public and (item.limit is None or item.limit.count != 0)
    ]
    named = [item for item in usable if item.name == key] if key else usable
    names = list(dict.fromkeys(item.name for item in usable))
    if len(named) == 1:
        return f"the key {named[0].name} of {where}", named[0].dsn.public
    if not usable:
        raise UsageError(f"{where} has no active key", "make or enable one in Sentry: Settings > Client Keys (DSN)")
    if not named:
        raise UsageError(
            f"{where} has no active key called {key}", nearest(key, names, f"there are: {', '.join(names)}")
        )
    if len(names) == 1:
        raise UsageError(f"{where} has {len(named)} active keys called {names[0]}", "rename or disable one in Sentry")
    if key:
        raise UsageError(f"{where} has {len(named)} active keys called {key}", "rename or disable one in Sentry")
    raise UsageError(
        f"{where} has {len(usable)} active keys: {', '.join(names)}", f"name one: sentry:{where}#{names[0]}"
    )
