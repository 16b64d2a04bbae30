"""The parts of the API's answers that count, as its schema has them (github.com/getsentry/sentry-api-schema).

Everything else in an answer is skipped. Older servers leave fields out: those have a default.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Links(Struct):
    """Where an organization lives."""

    region: str = field(default="", name="regionUrl")


class Organization(Struct):
    """listOrganizations, getOrganization."""

    id: str
    slug: str
    links: Links = field(default_factory=Links)


class Project(Struct):
    """getProject, listOrganizationProjects."""

    id: str
    slug: str
    organization: Organization | None = None


class RateLimit(Struct):
    """Of a key: ``count`` events in ``window`` seconds."""

    count: int | None = None
    window: int | None = None


class KeyDsn(Struct):
    """The DSN of a key, for ``--dsn-from``."""

    public: str = ""

    def __repr__(self) -> str:
        return "KeyDsn(…)"


class Key(Struct):
    """listProjectKeys."""

    name: str
    public: str | None
    active: bool = field(name="isActive")
    limit: RateLimit | None = field(default=None, name="rateLimit")
    dsn: KeyDsn = field(default_factory=KeyDsn)

    def __repr__(self) -> str:
        return f"Key({self.name!r}, …)"


class Environment(Struct):
    """listProjectEnvironments."""

    name: str


class Event(Struct):
    """A row of the table of events."""

    timestamp: str


class Events(Struct):
    """The table of events."""

    data: list[Event]


class Group(Struct):
    """Of listOrganizationStatsV2: how many there are ``by`` outcome and category."""

    by: dict[str, Any]
    totals: dict[str, int | float]


class Stats(Struct):
    """listOrganizationStatsV2."""

    groups: list[Group]


class Action(Struct):
    """What an alert does; ``status`` is ``active`` where it has one."""

    status: str = "active"


class Actions(Struct):
    """A group of conditions with what follows."""

    actions: list[Action] = field(default_factory=list)


class Workflow(Struct):
    """listOrganizationWorkflows: an alert, set off by ``detectors``."""

    name: str
    enabled: bool
    environment: str | None = None
    filters: list[Actions] = field(default_factory=list, name="actionFilters")
    triggers: Actions | None = None
    detectors: list[str] = field(default_factory=list, name="detectorIds")

    @property
    def acts(self) -> bool:
        """Whether it tells anybody."""
        groups = [*self.filters, *([self.triggers] if self.triggers is not None else [])]
        return any(item.status == "active" for group in groups for item in group.actions)


class Detector(Struct):
    """A monitor: what sets off alerts."""

    id: str
    enabled: bool
    project: str | None = field(default=None, name="projectId")


class IssueRule(Struct):
    """Of older servers, /projects/…/rules/."""

    name: str
    environment: str | None = None
    status: str = "active"
    actions: list[Any] = field(default_factory=list)
    muted: bool = field(default=False, name="snoozeForEveryone")


class MetricRule(Struct):
    """Of older servers, /organizations/…/alert-rules/: ``status`` 0 is enabled."""

    name: str
    environment: str | None = None
    status: int = 0
    triggers: list[Actions] = field(default_factory=list)
    projects: list[str] = field(default_factory=list)
    muted: bool = field(default=False, name="snoozeForEveryone")
