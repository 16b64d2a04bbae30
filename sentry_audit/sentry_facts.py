"""What is judged of Sentry itself: one frozen struct per kind, each of one component in one environment.

``derive.sentry`` makes them from what its API said (``sentry_project``) about the DSNs that the audit found.
``project`` is ``organization/project (number)``, ``address`` the page of Sentry where a gap is closed.
"""

from __future__ import annotations

from sentry_audit.facts import Fact


class SentryKey(Fact, frozen=True, kw_only=True):
    """Whether Sentry takes what is sent with a DSN's key: it is one of the ``project``'s, enabled, and not limited to 0.

    ``name`` is what the key is called there; ``shown`` the DSN without it.
    """

    name: str = ""
    project: str = ""
    shown: str = ""
    active: bool = False
    source: str = ""
    problem: str = ""
    address: str = ""


class SentryEvents(Fact, frozen=True, kw_only=True):
    """Whether Sentry accepted an event of the environment in the ``window``: an error, a span or a transaction.

    ``last`` is when the newest one was (RFC 3339).
    """

    project: str = ""
    seen: bool = False
    last: str = ""
    window: str = ""
    source: str = ""
    problem: str = ""
    address: str = ""


class SentryAlerts(Fact, frozen=True, kw_only=True):
    """Whether an enabled alert of the ``project`` tells somebody about the environment (``covered``); ``names``: which."""

    project: str = ""
    covered: bool = False
    names: tuple[str, ...] = ()
    source: str = ""
    problem: str = ""
    address: str = ""
