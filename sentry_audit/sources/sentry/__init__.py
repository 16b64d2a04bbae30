"""What Sentry holds for the projects that DSNs lead to, read with its Web API (docs.sentry.io/api).

``requests`` is loaded only when something is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.sentry_project import Sentry, SentryOptions, Wanted
    from sentry_audit.sources.sentry.credentials import Credentials


def read(wanted: Sequence[Wanted], options: SentryOptions, credentials: Credentials) -> Sentry:
    """Ask about ``wanted``, for at most ``options.timeout`` seconds; what is not answered is in there as ``Unread``."""
    from sentry_audit.sources.sentry import reading

    return reading.read(wanted, options, credentials)
