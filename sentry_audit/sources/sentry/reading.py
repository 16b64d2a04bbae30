"""One reading of Sentry: each project that a DSN leads to, its keys, the newest events, its alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from msgspec.structs import replace

from sentry_audit import dsn
from sentry_audit.deployment.environments import canonical
from sentry_audit.sentry_project import Activity, Key, Outcome, Sentry, SentryProject, Unread
from sentry_audit.sources.sentry import alerts, payloads
from sentry_audit.sources.sentry.client import Client, RefusedError
from sentry_audit.sources.sentry.places import Place, is_hosted, place, region

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentry_audit.sentry_project import SentryOptions, Wanted
    from sentry_audit.sources.sentry.credentials import Credentials

T = TypeVar("T")
#: Which table of events an item is in, and what it is called; the last is that of servers without spans.
_DATASETS = (("errors", "error"), ("spans", "span"), ("transactions", "transaction"))
PROJECT, ORGANIZATION, EVENTS = "project:read", "org:read", "event:read and org:read"


def read(wanted: Sequence[Wanted], options: SentryOptions, credentials: Credentials) -> Sentry:
    """See ``sentry_audit.sources.sentry.read``."""
    seen = Sentry(url=credentials.url, token_source=credentials.source, window=options.window)
    if not credentials.usable:
        reason = f"what {credentials.source} holds is no token: it has characters that no token has"
        return replace(seen, unread=Unread(code="UNAUTHENTICATED", reason=reason))
    with Client(credentials.token, credentials.source, options.timeout) as client:
        reader = _Reader(client, credentials, options.window)
        projects: list[SentryProject] = []
        for item in wanted:
            projects.append(reader.project(item))
            if projects[-1].unread is not None and projects[-1].unread.code == "UNAUTHENTICATED":
                return replace(seen, unread=projects[-1].unread)
        return replace(seen, projects=tuple(projects))


class _Reader:
    def __init__(self, client: Client, credentials: Credentials, window: str) -> None:
        self._client, self._credentials, self._window = client, credentials, window

    def project(self, wanted: Wanted) -> SentryProject:
        """What is so of one project; where something fails, only that is missing."""
        seen = SentryProject(host=wanted.host, id=wanted.id)
        where = place(self._credentials.url, wanted.host)
        if isinstance(where, Unread):
            return replace(seen, exists=None, unread=where)
        try:
            where = where if where.organization else self._organization(where)
            seen = replace(seen, organization=where.organization)
            found = self._found(where, wanted.id)
        except RefusedError as refused:
            return replace(seen, exists=None, unread=refused.unread)
        if found is None:
            return replace(seen, exists=False)
        named = found.organization.slug if found.organization is not None else where.organization
        seen = replace(seen, organization=named, slug=found.slug)
        return self._details(seen, where.base, wanted)

    def _organization(self, where: Place) -> Place:
        """The organization that the DSN does not name: the one that was told, or the only one that there is."""
        told = self._credentials.organization
        if told and not is_hosted(where.base):
            return Place(where.base, told)
        if told:
            found = self._client.get(
                where.base, f"/organizations/{quote(told, safe='')}/", payloads.Organization, ORGANIZATION, (("detailed", "0"),)
            )  # fmt: skip
            return Place(region(where.base, found.links.region), found.slug)
        known = self._client.all(where.base, "/organizations/", payloads.Organization, ORGANIZATION)
        if len(known) != 1:
            reason = f"the token sees {len(known) or 'no'} organizations, and the DSN does not say which one is meant"
            raise RefusedError(Unread(code="NOT_ASKED", reason=reason, hint="name it: --sentry-org SLUG"))
        return Place(region(where.base, known[0].links.region), known[0].slug)

    def _found(self, where: Place, number: str) -> payloads.Project | None:
        """The project; None if the organization has none of that number. Older servers take no number in an address."""
        try:
            path = f"/projects/{quote(where.organization, safe='')}/{number}/"
            return self._client.get(where.base, path, payloads.Project, PROJECT)
        except RefusedError as refused:
            if refused.unread.code != "NOT_FOUND":
                raise
        path = f"/organizations/{quote(where.organization, safe='')}/projects/"
        known = self._client.all(where.base, path, payloads.Project, ORGANIZATION, (("per_page", "100"),))
        return next((item for item in known if item.id == number), None)

    def _details(self, seen: SentryProject, base: str, wanted: Wanted) -> SentryProject:
        path = f"/projects/{quote(seen.organization, safe='')}/{quote(seen.slug, safe='')}"
        keys = _tried(lambda: self._client.all(base, f"{path}/keys/", payloads.Key, PROJECT))
        read = None if isinstance(keys, Unread) else tuple(_key(item, seen) for item in keys)
        seen = replace(seen, keys=read, keys_unread=keys if isinstance(keys, Unread) else None)
        shown = (("visibility", "all"),)
        names = _tried(lambda: self._client.all(base, f"{path}/environments/", payloads.Environment, PROJECT, shown))
        if isinstance(names, Unread):
            seen = replace(seen, environments_unread=names)
        else:
            seen = replace(seen, environments=tuple(item.name for item in names))
            seen = self._events(seen, base, wanted)
        found = _tried(lambda: alerts.read(self._client, base, seen))
        if isinstance(found, Unread):
            return replace(seen, alerts_unread=found)
        return replace(seen, alerts=tuple(found))

    def _events(self, seen: SentryProject, base: str, wanted: Wanted) -> SentryProject:
        meant = {canonical(name) for name in wanted.environments}
        names = [name for name in seen.environments or () if canonical(name) in meant]
        activity = tuple(self._newest(seen, base, name) for name in names)
        quiet = any(not item.last and item.unread is None for item in activity) or len(names) < len(meant)
        counted = _tried(lambda: self._outcomes(seen, base)) if quiet else ()
        return replace(seen, activity=activity, outcomes=() if isinstance(counted, Unread) else counted)

    def _newest(self, seen: SentryProject, base: str, environment: str) -> Activity:
        """The newest event of an environment: the first kind of which there is one."""
        refused: dict[str, Unread] = {}
        for dataset, what in _DATASETS:
            query = (
                ("dataset", dataset), ("field", "id"), ("field", "timestamp"), ("sort", "-timestamp"), ("per_page", "1"),
                ("project", seen.id), ("environment", environment), ("statsPeriod", self._window),
            )  # fmt: skip
            path = f"/organizations/{quote(seen.organization, safe='')}/events/"
            try:
                rows = self._client.get(base, path, payloads.Events, EVENTS, query).data
            except RefusedError as error:
                refused[dataset] = error.unread
                if error.unread.code != "REJECTED":
                    return Activity(environment=environment, unread=error.unread)
                continue
            if rows:
                return Activity(environment=environment, last=rows[0].timestamp, what=what)
            if dataset == "spans":  # a server that has spans keeps transactions there
                break
        unread = refused.get("errors") or refused.get("transactions")  # else both sorts were looked at
        return Activity(environment=environment, unread=unread)

    def _outcomes(self, seen: SentryProject, base: str) -> tuple[Outcome, ...]:
        """What became of everything that was sent to the project, of whatever environment."""
        query = (
            ("field", "sum(quantity)"), ("groupBy", "outcome"), ("groupBy", "category"), ("project", seen.id),
            ("statsPeriod", self._window), ("interval", "1d"),
        )  # fmt: skip
        path = f"/organizations/{quote(seen.organization, safe='')}/stats_v2/"
        groups = self._client.get(base, path, payloads.Stats, ORGANIZATION, query).groups
        counts = [
            Outcome(
                outcome=str(item.by.get("outcome", "")),
                category=str(item.by.get("category", "")),
                quantity=int(item.totals.get("sum(quantity)", 0)),
            )
            for item in groups
        ]
        return tuple(sorted((item for item in counts if item.quantity), key=lambda item: (item.outcome, item.category)))


def _tried(ask: Callable[[], T]) -> T | Unread:
    try:
        return ask()
    except RefusedError as refused:
        return refused.unread


def _key(item: payloads.Key, seen: SentryProject) -> Key:
    """A key without itself: the fingerprint that a DSN of that host has with it."""
    value = dsn.parse(f"https://{item.public}@{seen.host}/{seen.id}")
    limit = item.limit.count if item.limit is not None else None
    window = item.limit.window if item.limit is not None else None
    return Key(name=item.name, fingerprint=value.fingerprint, active=item.active, limit=limit, window=window or 0)
