"""The operations: each has a path, the scopes any of which it needs, and what it answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .state import Key, Organization, Project, State

Query = dict[str, list[str]]
_ORG = {"org:read", "org:write", "org:admin"}
_PROJECT = {"project:read", "project:write", "project:admin"}


class NoSuchError(Exception):
    """404."""


class BadError(Exception):
    """400."""


class Operation(NamedTuple):
    """``lists``: the answer has pages."""

    path: str
    scopes: set[str]
    answer: Any
    lists: bool = False


def _organization(state: State, named: str) -> Organization:
    found = state.organization(named)
    if found is None:
        raise NoSuchError
    return found


def _project(state: State, names: list[str]) -> tuple[Organization, Project]:
    organization = _organization(state, names[0])
    found = state.project(organization, names[1])
    if found is None:
        raise NoSuchError
    return organization, found


def _told(item: Organization) -> dict[str, Any]:
    return {
        "id": item.id, "slug": item.slug, "name": item.slug.title(), "status": {"id": "active", "name": "active"},
        "links": {"organizationUrl": f"https://{item.slug}.sentry.io", "regionUrl": item.region},
    }  # fmt: skip


def _key(state: State, project: Project, key: Key) -> dict[str, Any]:
    return {
        "id": key.public, "name": key.name, "label": key.name, "public": key.public, "secret": "5ec4e7" * 5,
        "projectId": int(project.id), "isActive": key.active, "rateLimit": key.limit,
        "dsn": {
            "secret": f"http://{key.public}:{'5ec4e7' * 5}@{state.host}/{project.id}",
            "public": f"http://{key.public}@{state.host}/{project.id}",
            "csp": f"https://{state.host}/api/{project.id}/csp-report/?sentry_key={key.public}",
        },
        "browserSdkVersion": "10.x", "dateCreated": "2023-06-21T19:50:26.036254Z", "useCase": "user",
    }  # fmt: skip


def organizations(state: State, _names: list[str], _query: Query) -> Any:
    return [_told(item) for item in state.organizations]


def organization(state: State, names: list[str], _query: Query) -> Any:
    return _told(_organization(state, names[0]))


def projects(state: State, names: list[str], _query: Query) -> Any:
    return [{"id": item.id, "slug": item.slug, "name": item.slug} for item in _organization(state, names[0]).projects]


def project(state: State, names: list[str], _query: Query) -> Any:
    owner, found = _project(state, names)
    return {"id": found.id, "slug": found.slug, "organization": _told(owner), "status": "active"}


def keys(state: State, names: list[str], query: Query) -> Any:
    found = _project(state, names)[1]
    wanted = query.get("status", [""])[0]
    chosen = [item for item in found.keys if not wanted or item.active == (wanted == "active")]
    return [_key(state, found, item) for item in chosen]


def environments(state: State, names: list[str], query: Query) -> Any:
    found = _project(state, names)[1]
    hidden = found.hidden if query.get("visibility", ["visible"])[0] == "all" else []
    return [
        {"id": str(n), "name": name, "isHidden": name in found.hidden}
        for n, name in enumerate([*found.environments, *hidden])
    ]


def events(state: State, names: list[str], query: Query) -> Any:
    owner = _organization(state, names[0])
    dataset = query.get("dataset", [""])[0]
    known = {"errors", "transactions"} if state.old else {"errors", "logs", "profile_functions", "spans"}
    if dataset not in known or not query.get("field"):
        raise BadError
    found = [item for item in owner.projects if item.id in query.get("project", [])]
    wanted = set(query.get("environment", []))
    if not wanted <= {name for item in found for name in (*item.environments, *item.hidden)}:
        raise NoSuchError
    rows = [
        e for item in found for e in item.events if e.dataset == dataset and (not wanted or e.environment in wanted)
    ]
    rows.sort(key=lambda item: item.timestamp, reverse=query.get("sort") == ["-timestamp"])
    count = int(query.get("per_page", ["50"])[0])
    return {"data": [{"id": "a" * 32, "timestamp": item.timestamp} for item in rows[:count]], "meta": {"fields": {}}}


def stats(state: State, names: list[str], query: Query) -> Any:
    owner = _organization(state, names[0])
    if query.get("field") != ["sum(quantity)"] or query.get("groupBy") != ["outcome", "category"]:
        raise BadError
    found = [item for item in owner.projects if item.id in query.get("project", [])]
    groups = [
        {
            "by": {"outcome": outcome, "category": category},
            "totals": {"sum(quantity)": n},
            "series": {"sum(quantity)": [n]},
        }
        for item in found
        for (outcome, category), n in item.outcomes.items()
    ]
    return {"start": "2026-10-27T00:00:00Z", "end": "2026-11-26T00:00:00Z", "intervals": [], "groups": groups}


def workflows(state: State, names: list[str], query: Query) -> Any:
    owner = _organization(state, names[0])
    if state.old:
        raise NoSuchError
    return [flow for item in owner.projects if item.id in query.get("project", [item.id]) for flow in item.workflows]


def detectors(state: State, names: list[str], query: Query) -> Any:
    owner = _organization(state, names[0])
    if state.old:
        raise NoSuchError
    found = [one for item in owner.projects for one in item.detectors]
    return [one for one in found if one["id"] in query.get("id", [one["id"]])]


def rules(state: State, names: list[str], _query: Query) -> Any:
    found = _project(state, names)[1]
    if not state.old:
        raise NoSuchError
    return found.rules


def metric_rules(state: State, names: list[str], query: Query) -> Any:
    owner = _organization(state, names[0])
    if not state.old:
        raise NoSuchError
    return [rule for item in owner.projects if item.id in query.get("project", [item.id]) for rule in item.metric_rules]


_ALERTS = {"alerts:read", *_ORG}
OPERATIONS = (
    Operation("/organizations/", _ORG, organizations, lists=True),
    Operation("/organizations/{}/", _ORG, organization),
    Operation("/organizations/{}/projects/", _ORG, projects, lists=True),
    Operation("/organizations/{}/events/", _ORG, events),
    Operation("/organizations/{}/stats_v2/", _ORG, stats),
    Operation("/organizations/{}/workflows/", _ALERTS, workflows, lists=True),
    Operation("/organizations/{}/detectors/", _ALERTS, detectors, lists=True),
    Operation("/organizations/{}/alert-rules/", _ALERTS, metric_rules, lists=True),
    Operation("/projects/{}/{}/", _PROJECT, project),
    Operation("/projects/{}/{}/keys/", _PROJECT, keys, lists=True),
    Operation("/projects/{}/{}/environments/", _PROJECT, environments),
    Operation("/projects/{}/{}/rules/", {"alerts:read", *_PROJECT}, rules, lists=True),
)


def find(path: str) -> tuple[Operation, list[str]] | None:
    """The operation at ``path`` (below /api/0), and the names in it."""
    for operation in OPERATIONS:
        match = re.fullmatch(operation.path.replace("{}", "([^/]+)"), path)
        if match is not None:
            return operation, list(match.groups())
    return None
