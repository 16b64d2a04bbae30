"""What is known of Google Cloud and of Sentry for an audit: asked now, or kept as evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.errors import EvidenceError
from sentry_audit.model import CloudRead, Link, SentryRead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sentry_audit.cloud import CloudOptions, Snapshot, Target
    from sentry_audit.sentry_project import Sentry, SentryOptions, Wanted

_OFFLINE = {
    Link.SECRET: "not looked at: Secret Manager was not asked (--offline)",
    Link.CLOUD_RUN: "not looked at: Cloud Run was not asked (--offline)",
}
_NOWHERE = {
    Link.SECRET: "not looked at: the repository does not say where on Cloud Run it is deployed",
    Link.CLOUD_RUN: "not looked at: the repository does not say where on Cloud Run it is deployed",
}
_NO_TOKEN = {
    Link.ACCEPTED: "not looked at: no event was sent, and Sentry was not asked (SENTRY_AUTH_TOKEN is not set, or no DSN is known)"
}
_OTHERS = {
    Link.DEPLOY: "no deploy definition of it for Cloud Run was found in the repository",
    Link.ACCEPTED: "not looked at: no event was sent",
}


def ask(
    targets: Sequence[Target], options: CloudOptions, progress: Callable[[int, int, str], None] | None = None
) -> Snapshot | None:
    """What Google Cloud says about ``targets``; None, and no credentials are looked for, if there are none."""
    if not targets:
        return None
    from sentry_audit.sources.gcp import read

    return read(targets, options, progress)


def ask_sentry(wanted: Sequence[Wanted], options: SentryOptions, root: Path) -> Sentry | None:
    """What Sentry says about ``wanted``, for an audit of ``root``; None without a token. For nothing, nobody is asked.

    Raises UsageError for an address that cannot be Sentry's.
    """
    from sentry_audit.sources.sentry.credentials import find

    credentials = find(options, root)
    if credentials is None:
        return None
    if not wanted:
        from sentry_audit.sentry_project import Sentry

        return Sentry(url=credentials.url, token_source=credentials.source, window=options.window)
    from sentry_audit.sources.sentry import read

    return read(wanted, options, credentials)


def now() -> str:
    """This moment, as RFC 3339 in UTC."""
    import datetime

    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def recall(path: Path, max_age: float, targets: Sequence[Target]) -> Snapshot:
    """What the evidence file ``path`` says about ``targets``; ``max_age`` in seconds. Raises EvidenceError."""
    import time

    from sentry_audit.evidence import for_targets, loads

    try:
        data = path.read_bytes()
    except OSError as error:
        hint = f"collect it first: sentry-audit collect -o {path}"
        raise EvidenceError(f"{path} cannot be read: {error.strerror}", hint) from error
    return for_targets(loads(data, str(path), time.time(), max_age), targets)


def told(snapshot: Snapshot | None, source: str = "") -> CloudRead | None:
    """What a report says about where its knowledge of Google Cloud comes from; ``source`` names the evidence file."""
    if snapshot is None or not snapshot.asked_google:
        return None
    return CloudRead(
        snapshot.taken_at,
        snapshot.identity,
        snapshot.identity_source,
        source,
        tuple(item.id for item in snapshot.projects),
        snapshot.failure.reason if snapshot.failure else "",
        snapshot.failure.command if snapshot.failure else "",
    )


def sentry_told(snapshot: Snapshot | None, source: str = "") -> SentryRead | None:
    """Likewise of Sentry."""
    if snapshot is None or snapshot.sentry is None or not (snapshot.sentry.projects or snapshot.sentry.unread):
        return None
    sentry, unread = snapshot.sentry, snapshot.sentry.unread
    return SentryRead(
        snapshot.taken_at,
        sentry.url,
        sentry.token_source,
        source,
        tuple(item.shown for item in sentry.projects),
        unread.reason if unread else "",
        unread.hint if unread else "",
    )


def unlooked(component: str, environment: str, snapshot: Snapshot | None, *, asked: bool) -> dict[Link, str]:
    """Why nothing is known of a link that no check judged; ``asked`` is false for an audit of the repository alone."""
    if not asked:
        return _OTHERS | _OFFLINE
    mine = snapshot is not None and any(
        item.component == component and item.environment == environment for item in snapshot.targets
    )
    told = _OTHERS if mine else _OTHERS | _NOWHERE
    return told | ({} if snapshot is not None and snapshot.sentry is not None else _NO_TOKEN)
