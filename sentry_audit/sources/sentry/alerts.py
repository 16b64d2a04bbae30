"""The alerts of a project: workflows and the detectors that set them off, or the rules that older servers have instead."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from sentry_audit.sentry_project import Alert
from sentry_audit.sources.sentry import payloads
from sentry_audit.sources.sentry.client import RefusedError

if TYPE_CHECKING:
    from sentry_audit.sentry_project import SentryProject
    from sentry_audit.sources.sentry.client import Client

SCOPE = "alerts:read"
#: Numbers in one question, so that its address stays short.
_AT_ONCE = 100


def read(client: Client, base: str, seen: SentryProject) -> list[Alert]:
    """The alerts that are connected to a project. Raises RefusedError."""
    try:
        return _workflows(client, base, seen)
    except RefusedError as refused:
        if refused.unread.code != "NOT_FOUND":
            raise
        newer = refused
    found, missing = [], 0
    for ask in (_issue_rules, _metric_rules):
        try:
            found += ask(client, base, seen)
        except RefusedError as refused:
            if refused.unread.code != "NOT_FOUND":
                raise
            missing += 1
    if missing == 2:
        raise newer
    return found


def _workflows(client: Client, base: str, seen: SentryProject) -> list[Alert]:
    organization = f"/organizations/{quote(seen.organization, safe='')}"
    found = client.all(base, f"{organization}/workflows/", payloads.Workflow, SCOPE, (("project", seen.id),))
    names = list(dict.fromkeys(name for item in found for name in item.detectors))
    known: dict[str, payloads.Detector] = {}
    for start in range(0, len(names), _AT_ONCE):
        query = tuple(("id", name) for name in names[start : start + _AT_ONCE])
        known |= {
            item.id: item for item in client.all(base, f"{organization}/detectors/", payloads.Detector, SCOPE, query)
        }
    alerts = []
    for item in found:
        # The stream of a project's issues sets off alerts, too, and need not be listed: it is always on.
        mine = [known.get(name) for name in item.detectors if _of(known.get(name), seen)]
        enabled = item.enabled and any(detector is None or detector.enabled for detector in mine)
        if mine:
            alerts.append(Alert(name=item.name, enabled=enabled, acts=item.acts, environment=item.environment or ""))
    return alerts


def _of(detector: payloads.Detector | None, seen: SentryProject) -> bool:
    return detector is None or detector.project in {None, seen.id}


def _issue_rules(client: Client, base: str, seen: SentryProject) -> list[Alert]:
    path = f"/projects/{quote(seen.organization, safe='')}/{quote(seen.slug, safe='')}/rules/"
    return [
        Alert(
            name=item.name,
            enabled=item.status == "active" and not item.muted,
            acts=bool(item.actions),
            environment=item.environment or "",
        )
        for item in client.all(base, path, payloads.IssueRule, SCOPE)
    ]


def _metric_rules(client: Client, base: str, seen: SentryProject) -> list[Alert]:
    path = f"/organizations/{quote(seen.organization, safe='')}/alert-rules/"
    return [
        Alert(
            name=item.name,
            enabled=item.status == 0 and not item.muted,
            acts=any(trigger.actions for trigger in item.triggers),
            environment=item.environment or "",
        )
        for item in client.all(base, path, payloads.MetricRule, SCOPE, (("project", seen.id),))
        if not item.projects or seen.slug in item.projects
    ]
