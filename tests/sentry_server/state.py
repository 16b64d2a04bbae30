"""What the server holds: organizations, projects and what belongs to them, as plain values that tests change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: What a token for reading has.
READ = frozenset({"org:read", "project:read", "event:read", "alerts:read"})


@dataclass
class Key:
    """A client key."""

    public: str
    name: str = "Default"
    active: bool = True
    limit: dict[str, int] | None = None


@dataclass
class Event:
    """An accepted item; ``dataset`` is the table that it is in."""

    environment: str
    timestamp: str
    dataset: str = "errors"


@dataclass
class Project:
    """A project. ``workflows`` and ``detectors`` are answers as they are; so are the older ``rules`` and ``metric_rules``."""

    id: str
    slug: str
    keys: list[Key] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    outcomes: dict[tuple[str, str], int] = field(default_factory=dict)
    workflows: list[dict[str, Any]] = field(default_factory=list)
    detectors: list[dict[str, Any]] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    metric_rules: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Organization:
    """An organization; ``region`` is the address that its links name."""

    id: str
    slug: str
    region: str = ""
    projects: list[Project] = field(default_factory=list)


@dataclass
class State:
    """Everything; ``tokens`` have scopes.

    ``host`` is that of the DSNs. ``old``: a server of before 2024, that takes no numbers in addresses, and has rules in
    place of workflows and no spans. ``page`` is the number of entries on one page.
    """

    host: str
    tokens: dict[str, frozenset[str]] = field(default_factory=dict)
    organizations: list[Organization] = field(default_factory=list)
    old: bool = False
    page: int = 100

    def organization(self, named: str) -> Organization | None:
        """The organization of that slug or, unless the server is old, number."""
        return next((o for o in self.organizations if named == o.slug or (named == o.id and not self.old)), None)

    def project(self, organization: Organization, named: str) -> Project | None:
        """Likewise the project."""
        return next((p for p in organization.projects if named == p.slug or (named == p.id and not self.old)), None)


def workflow(name: str, *detectors: str, environment: str | None = None, enabled: bool = True, actions: int = 1) -> Any:
    """An alert, as listOrganizationWorkflows has it."""
    action = {
        "id": "1",
        "type": "email",
        "integrationId": None,
        "data": {},
        "config": {"targetType": "team"},
        "status": "active",
    }
    return {
        "id": "9", "name": name, "organizationId": "1", "createdBy": None, "dateCreated": "2026-01-15T23:46:39.594915Z",
        "dateUpdated": "2026-01-15T23:46:39.594903Z", "triggers": {"id": "1", "organizationId": "1",
        "logicType": "any-short", "conditions": [], "actions": []}, "environment": environment,
        "actionFilters": [{"id": "1", "organizationId": "1", "logicType": "all", "conditions": [], "actions": [action] * actions}],
        "config": {"frequency": 30}, "detectorIds": list(detectors), "enabled": enabled, "lastTriggered": None, "owner": None,
    }  # fmt: skip


def detector(number: str, project: str, *, enabled: bool = True) -> Any:
    """A monitor, as listOrganizationDetectors has it."""
    return {
        "id": number, "projectId": project, "name": "Error Monitor", "description": None, "type": "error", "workflowIds": [],
        "owner": None, "createdBy": None, "dateCreated": "2025-03-12T11:15:50Z", "dateUpdated": "2025-06-17T14:04:02Z",
        "dataSources": None, "conditionGroup": None, "config": {}, "enabled": enabled, "latestGroup": None,
    }  # fmt: skip
