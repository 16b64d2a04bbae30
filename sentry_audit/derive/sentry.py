"""From what Sentry said of its projects, and the DSNs that the audit found, to facts of one component. Pure.

Nothing is derived where Sentry was not asked, or no DSN is known to ask about: the checks are skipped then, and the
link ``accepted`` of the chain stays unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.deployment.environments import canonical
from sentry_audit.derive.live import needs
from sentry_audit.derive.matrix import sentry_projects
from sentry_audit.facts import Dsn, DsnArgument, FrontendDsn
from sentry_audit.model import Evidence
from sentry_audit.sentry_facts import SentryAlerts, SentryEvents, SentryKey
from sentry_audit.sentry_project import SentryProject, Unread, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sentry_audit.cloud import Snapshot
    from sentry_audit.facts import Component, Fact
    from sentry_audit.sentry_project import Activity, Alert, Key, Sentry

KINDS: tuple[type[Fact], ...] = (SentryKey, SentryEvents, SentryAlerts)
_UNITS = {"d": "day", "h": "hour", "m": "minute", "w": "week"}
#: What Sentry may have done with what it was sent, in words.
_DROPPED = {
    "filtered": "filtered out", "rate_limited": "dropped for a rate limit or a quota", "invalid": "refused as invalid",
    "abuse": "dropped for an abuse limit", "cardinality_limited": "dropped for a cardinality limit",
}  # fmt: skip
#: What counts as something that an application sent.
_EVENTS = frozenset({"error", "default", "security", "transaction", "span", "transaction_indexed", "span_indexed"})


class Known(Struct, frozen=True):
    """A DSN that a component has in an environment: redacted, where it leads, and where it was seen."""

    shown: str
    host: str
    project: str
    fingerprint: str
    place: Evidence


def known_dsns(component: Component, environment: str, snapshot: Snapshot | None, facts: Sequence[Fact]) -> list[Known]:
    """The DSNs of ``component``: those that its services have as they run, else those that the repository holds."""
    found = [
        Known(item.dsn, item.host, item.project, item.fingerprint, Evidence(resource=item.resource, saw=item.dsn))
        for item in sentry_projects(component, environment, snapshot, facts)
    ]
    return found or list(_written(component, environment, facts))


def _written(component: Component, environment: str, facts: Sequence[Fact]) -> Iterator[Known]:
    """The DSNs that stand where init takes one from: the literal itself, or a dotenv file of this environment."""
    mine = [fact for fact in facts if fact.component == component.name]
    ends = [fact for fact in mine if isinstance(fact, DsnArgument | FrontendDsn)]
    names = {name for fact in ends for name in _variables(fact)}
    literals = {(place.path, place.line) for fact in ends if not _variables(fact) for place in fact.evidence}
    seen: set[str] = set()
    for fact in mine:
        if not isinstance(fact, Dsn) or not fact.valid or fact.fingerprint in seen or not fact.evidence:
            continue
        place = fact.evidence[0]
        literal = fact.hardcoded and not fact.name and (place.path, place.line) in literals
        given = fact.name in names and fact.environment and canonical(fact.environment) == canonical(environment)
        if literal or given:
            seen.add(fact.fingerprint)
            yield Known(fact.shown, fact.host, fact.project, fact.fingerprint, place)


def _variables(fact: Fact) -> tuple[str, ...]:
    if isinstance(fact, DsnArgument):
        return fact.variables
    return (fact.variable,) if isinstance(fact, FrontendDsn) and fact.variable else ()


def wanted(dsns: Iterable[tuple[str, Known]]) -> list[Wanted]:
    """What to ask Sentry about: ``dsns`` are those known, each with its environment."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for environment, item in dsns:
        found.setdefault((item.host, item.project), {})[environment] = None
    return [Wanted(host=host, id=number, environments=tuple(names)) for (host, number), names in found.items()]


def sentry_facts(
    component: Component, environment: str, snapshot: Snapshot | None, facts: Sequence[Fact]
) -> list[Fact]:
    """What is so of ``component`` in Sentry; ``facts`` are those already derived for it in ``environment``."""
    sentry = snapshot.sentry if snapshot is not None else None
    if snapshot is None or sentry is None:
        return []
    known = known_dsns(component, environment, snapshot, facts)
    if not known:
        return _unknown_dsn(component, environment, snapshot, facts)
    found: list[Fact] = []
    for item in known:
        found += _of(_Asked(component, environment, sentry, item))
    return list(dict.fromkeys(found))


def _unknown_dsn(component: Component, environment: str, snapshot: Snapshot, facts: Sequence[Fact]) -> list[Fact]:
    """Where it runs is known, and its DSN is not: undecided. Where nothing says that it has one here: nothing."""
    targets = [item for item in snapshot.targets if (item.component, item.environment) == (component.name, environment)]
    mine = [fact for fact in facts if fact.component in {"", component.name}]
    if not targets or needs(component, targets[0], mine).built:
        return []
    reason = f"the DSN that {component.name} has in {environment} is not known, so that Sentry was not asked about it"
    return [kind(component=component.name, unknown=reason) for kind in KINDS]


class _Asked(Struct, frozen=True):
    """One DSN of one component, and what Sentry said."""

    component: Component
    environment: str
    sentry: Sentry
    dsn: Known

    def unread(
        self, unread: Unread | None, kinds: Sequence[type[Fact]] = KINDS, where: Evidence | None = None
    ) -> list[Fact]:
        """Facts that are unknown, for one reason."""
        told = unread or Unread(code="NOT_ASKED", reason="it was not asked for")
        scope = f" (needs {told.scope})" if told.scope and told.scope not in told.reason else ""
        here = (where or self.dsn.place,)
        return [
            kind(component=self.component.name, unknown=told.reason + scope, hint=told.hint, evidence=here)
            for kind in kinds
        ]

    def at(self, project: SentryProject, page: str) -> str:
        """The address of a page of the project's settings or alerts."""
        return f"{self.sentry.url}/settings/{project.organization}/projects/{project.slug}/{page}"

    def evidence(self, project: SentryProject, saw: str) -> tuple[Evidence, ...]:
        """Where the DSN was seen, and the project as a place that was looked at."""
        name = f"{project.organization}/{project.slug or project.id}"
        return (self.dsn.place, Evidence(resource=f"{self.sentry.url}/{name}", saw=saw))


def _of(asked: _Asked) -> list[Fact]:
    if asked.sentry.unread is not None:
        return asked.unread(asked.sentry.unread)
    project = asked.sentry.project(asked.dsn.host, asked.dsn.project)
    if project is None:
        reason = f"Sentry was not asked about project {asked.dsn.project} at {asked.dsn.host}"
        return asked.unread(Unread(code="NOT_ASKED", reason=reason, hint="collect the evidence again"))
    if project.exists is None or project.unread is not None:
        return asked.unread(project.unread)
    if not project.exists:
        problem = (
            f"{project.organization} has no project {project.id}: Sentry refuses what is sent to {asked.dsn.shown}"
        )
        fact = SentryKey(
            component=asked.component.name, project=project.shown, shown=asked.dsn.shown, problem=problem,
            address=f"{asked.sentry.url}/organizations/{project.organization}/projects/",
            evidence=asked.evidence(project, "no such project"),
        )  # fmt: skip
        return [fact, *asked.unread(Unread(code="NOT_FOUND", reason=problem), KINDS[1:])]
    return [*_key(asked, project), *_events(asked, project), *_alerts(asked, project)]


# --- the key --------------------------------------------------------------------------------------


def _key(asked: _Asked, project: SentryProject) -> list[Fact]:
    if project.keys is None:
        return asked.unread(project.keys_unread, (SentryKey,))
    key = project.key(asked.dsn.fingerprint)
    problem = _wrong(asked, project, key)
    name = key.name if key is not None else ""
    source = f"the key {name} of {project.shown} is enabled: {asked.dsn.shown}" + _limited(key)
    return [
        SentryKey(
            component=asked.component.name, name=name, project=project.shown, shown=asked.dsn.shown, active=not problem,
            source="" if problem else source, problem=problem, address=asked.at(project, "keys/"),
            evidence=asked.evidence(project, f"key {name}" if name else "no such key"),
        )
    ]  # fmt: skip


def _wrong(asked: _Asked, project: SentryProject, key: Key | None) -> str:
    """What is wrong with a key; ``""`` for nothing."""
    refuses = "Sentry refuses what is sent with it"
    if key is None:
        return f"the key of {asked.dsn.shown} is none of {project.shown}: it was deleted, or never was one; {refuses}"
    if not key.active:
        return f"the key {key.name} of {project.shown} is disabled: {refuses}"
    if key.limit == 0:
        return f"the key {key.name} of {project.shown} is limited to 0 events: {refuses}"
    return ""


def _limited(key: Key | None) -> str:
    return f" (limited to {key.limit} events in {key.window} seconds)" if key is not None and key.limit else ""


# --- events ---------------------------------------------------------------------------------------


def _events(asked: _Asked, project: SentryProject) -> list[Fact]:
    mine = [item for item in project.activity if canonical(item.environment) == canonical(asked.environment)]
    newest = max((item for item in mine if item.last), key=lambda item: item.last, default=None)
    unread = next((item.unread for item in mine if item.unread is not None), None)
    if newest is None and (project.environments is None or unread is not None):
        return asked.unread(unread or project.environments_unread, (SentryEvents,))
    named = [item for item in project.environments or () if canonical(item) == canonical(asked.environment)]
    if newest is None and named and not mine:
        reason = f"Sentry was not asked for events of {asked.environment} in {project.shown}"
        return asked.unread(Unread(code="NOT_ASKED", reason=reason), (SentryEvents,))
    window = _words(asked.sentry.window)
    return [
        SentryEvents(
            component=asked.component.name, project=project.shown, seen=newest is not None,
            last=newest.last if newest is not None else "", window=window,
            source=_seen(newest, project) if newest is not None else "",
            problem="" if newest is not None else _silent(asked, project, named, window),
            address=f"{asked.sentry.url}/organizations/{project.organization}/issues/?project={project.id}",
            evidence=asked.evidence(project, f"last {newest.what} {newest.last}" if newest is not None else "no event"),
        )
    ]  # fmt: skip


def _seen(newest: Activity, project: SentryProject) -> str:
    return f"{project.shown} accepted its last {newest.what} of {newest.environment} at {newest.last}"


def _silent(asked: _Asked, project: SentryProject, named: Sequence[str], window: str) -> str:
    """What is known where no event was seen: never more than that."""
    what = f"no event of {asked.environment} was accepted by {project.shown} in {window}"
    if not named:
        others = ", ".join((project.environments or ())[:5])
        what = f"{project.shown} never had an event of {asked.environment}"
        what += f" (of {others} it had)" if others else ", nor of any other environment"
    counts: dict[str, int] = {}
    for item in project.outcomes:
        if item.category in _EVENTS:
            counts[item.outcome] = counts.get(item.outcome, 0) + item.quantity
    told = [f"{counts[outcome]} were {words}" for outcome, words in _DROPPED.items() if counts.get(outcome)]
    if told:
        return f"{what}; in this time, whatever the environment, {', '.join(told)}"
    return f"{what}: either nothing failed and nothing is traced, or nothing arrives"


def _words(window: str) -> str:
    number, unit = window[:-1], _UNITS.get(window[-1:], "")
    return f"{number} {unit}{'' if number == '1' else 's'}" if unit else window


# --- alerts ---------------------------------------------------------------------------------------


def _alerts(asked: _Asked, project: SentryProject) -> list[Fact]:
    if project.alerts is None:
        return asked.unread(project.alerts_unread, (SentryAlerts,))
    good = [item for item in project.alerts if item.enabled and item.acts and _speaks(item, asked.environment)]
    names = tuple(item.name for item in good)
    return [
        SentryAlerts(
            component=asked.component.name, project=project.shown, covered=bool(good), names=names,
            source=f"{', '.join(names[:3])} of {project.shown}" if good else "",
            problem="" if good else _untold(asked, project),
            address=f"{asked.sentry.url}/organizations/{project.organization}/alerts/rules/?project={project.id}",
            evidence=asked.evidence(project, f"{len(project.alerts)} alert{'' if len(project.alerts) == 1 else 's'}"),
        )
    ]  # fmt: skip


def _speaks(alert: Alert, environment: str) -> bool:
    return not alert.environment or canonical(alert.environment) == canonical(environment)


def _untold(asked: _Asked, project: SentryProject) -> str:
    """That nobody hears of an error, and what alerts there are all the same."""
    what = f"no enabled alert of {project.shown} tells anybody about {asked.environment}"
    alerts = project.alerts or ()
    others = sorted({item.environment for item in alerts if not _speaks(item, asked.environment)})
    off = [item.name for item in alerts if _speaks(item, asked.environment) and not item.enabled]
    mute = [item.name for item in alerts if _speaks(item, asked.environment) and item.enabled and not item.acts]
    told = [f"{', '.join(off[:3])} is off"] * bool(off) + [f"{', '.join(mute[:3])} tells nobody"] * bool(mute)
    told += [f"there are alerts for {', '.join(others)} only"] * bool(others and not told)
    return what + (f": {'; '.join(told)}" if told else "")
