"""A Sentry in which everything is right, for tests to break."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.sentry_project import SentryOptions, Wanted
from sentry_audit.sources.sentry import read
from sentry_audit.sources.sentry.credentials import Credentials
from tests.sentry_server.state import READ, Event, Key, Organization, Project, State, detector, workflow

if TYPE_CHECKING:
    from typing import Any

    from sentry_audit.sentry_project import Sentry, SentryProject
    from tests.sentry_server.server import SentryServer

TOKEN = "sntryu_0123456789abcdef0123456789abcdef0123456789abcdef"
PUBLIC = "0123456789abcdef0123456789abc1f3"
DSN = f"http://{PUBLIC}@127.0.0.1/451"
SECRETS = (TOKEN, PUBLIC, "5ec4e7" * 5)


def everything_right() -> State:
    """One organization with one project, whose key is enabled, with events and an alert."""
    api = Project(
        "451", "api", [Key("f" * 32, "Old", active=False), Key(PUBLIC)], ["staging", "production"],
        events=[Event("staging", "2026-11-20T08:00:00+00:00"), Event("staging", "2026-11-25T08:00:00+00:00")],
        workflows=[workflow("Notify the team", "7")], detectors=[detector("7", "451")],
    )  # fmt: skip
    return State("127.0.0.1", {TOKEN: READ}, [Organization("123", "shop", projects=[api])])


def project_of(state: State) -> Project:
    """The only project."""
    return state.organizations[0].projects[0]


def asked(server: SentryServer, environment: str = "staging", number: str = "451", **given: Any) -> Sentry:
    """What is read of a project of the server."""
    url = given.pop("url", server.url)
    credentials = Credentials(
        token=given.pop("token", TOKEN), source="SENTRY_AUTH_TOKEN", url=url, organization=given.pop("organization", "")
    )
    host = given.pop("host", "127.0.0.1")
    options = SentryOptions(**{"timeout": 10.0, **given})
    return read([Wanted(host=host, id=number, environments=(environment,))], options, credentials)


def one(server: SentryServer, environment: str = "staging", **given: Any) -> SentryProject:
    """Likewise the project alone."""
    [found] = asked(server, environment, **given).projects
    return found
