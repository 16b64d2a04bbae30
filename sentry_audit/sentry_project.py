"""What Sentry was seen to hold for the DSNs of a repository: a part of the evidence that ``collect`` keeps.

Names are the API's own (docs.sentry.io/api). Neither a token nor a key is in here: of a key only the fingerprint that
a DSN made of it has.
"""

from __future__ import annotations

from msgspec import Struct


class Unread(Struct, frozen=True, kw_only=True):
    """A question that Sentry did not answer.

    ``code``: UNAUTHENTICATED, PERMISSION_DENIED, NOT_FOUND, RESOURCE_EXHAUSTED, UNAVAILABLE, DEADLINE_EXCEEDED, MALFORMED,
    REDIRECTED, REJECTED, NOT_ASKED. ``reason`` is one sentence; ``scope`` what the token lacks; ``hint`` what to do.
    """

    code: str
    reason: str
    scope: str = ""
    hint: str = ""


class Key(Struct, frozen=True, kw_only=True):
    """A client key. ``limit`` is the number of events that it lets through in ``window`` seconds, None for no limit."""

    name: str
    fingerprint: str
    active: bool
    limit: int | None = None
    window: int = 0


class Activity(Struct, frozen=True, kw_only=True):
    """The newest event of an ``environment``, by Sentry's own spelling, in the window that was asked for.

    ``last`` is RFC 3339, ``""`` where there is none; ``what`` it is: error, span or transaction.
    """

    environment: str
    last: str = ""
    what: str = ""
    unread: Unread | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """How many items of a ``category`` (error, span, …) had an ``outcome`` (accepted, filtered, rate_limited, …)."""

    outcome: str
    category: str
    quantity: int


class Alert(Struct, frozen=True, kw_only=True):
    """An alert that is connected to a project; ``environment`` is ``""`` for all.

    ``enabled``: it and something that sets it off are; ``acts``: it tells somebody.
    """

    name: str
    enabled: bool
    acts: bool
    environment: str = ""


class SentryProject(Struct, frozen=True, kw_only=True):
    """A project as a DSN names it: by its number ``id`` at ``host``.

    ``exists`` is None where ``unread`` says why that is not known. ``environments`` are all that it ever had an event
    of. Each of ``keys``, ``environments`` and ``alerts`` is None where its own failure says why it was not read.
    ``outcomes`` are of the same window as ``activity``, and asked for only where that has no event.
    """

    host: str
    id: str
    organization: str = ""
    slug: str = ""
    exists: bool | None = True
    keys: tuple[Key, ...] | None = None
    keys_unread: Unread | None = None
    environments: tuple[str, ...] | None = None
    environments_unread: Unread | None = None
    activity: tuple[Activity, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    alerts: tuple[Alert, ...] | None = None
    alerts_unread: Unread | None = None
    unread: Unread | None = None

    @property
    def shown(self) -> str:
        """``shop/api (451)``."""
        name = "/".join(filter(None, (self.organization, self.slug)))
        return f"{name} ({self.id})" if self.slug else f"project {self.id}" + f" of {name}" * bool(name)

    def key(self, fingerprint: str) -> Key | None:
        """The key that a DSN of that fingerprint has."""
        return next((item for item in self.keys or () if item.fingerprint == fingerprint), None)


class Sentry(Struct, frozen=True, kw_only=True):
    """What ``url`` said about the projects that DSNs lead to.

    ``token_source`` says where the token came from, ``window`` how far back events were looked for; ``unread`` why
    nothing could be read at all.
    """

    url: str
    token_source: str = ""
    window: str = "30d"
    projects: tuple[SentryProject, ...] = ()
    unread: Unread | None = None

    def project(self, host: str, id_: str) -> SentryProject | None:
        """The project that a DSN leads to; None if it was not asked about."""
        return next((item for item in self.projects if (item.host, item.id) == (host, id_)), None)


class Wanted(Struct, frozen=True, kw_only=True):
    """A project to ask about, as DSNs name it, and the environments whose events matter."""

    host: str
    id: str
    environments: tuple[str, ...]


class SentryOptions(Struct, frozen=True, kw_only=True):
    """How Sentry is asked; empty fields are looked up where the token is.

    ``organization`` counts for DSNs that do not name theirs; ``timeout`` is in seconds, for the whole run.
    """

    url: str = ""
    organization: str = ""
    window: str = "30d"
    timeout: float = 60.0
