"""Fixing Google Cloud in tests: a case of a gap, what the fixer makes of it, and that done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit import app, rehearsing
from sentry_audit.cloud import CloudOptions
from sentry_audit.fixers.cloud import FIXERS
from tests.worlds import LIVE, STAGING

if TYPE_CHECKING:
    from pathlib import Path

    from sentry_audit.fixing import Case, Change, Refusal
    from sentry_audit.sources.gcp.changing import Changer
    from tests.gcp_server.server import GcpServer

RUN = "run-1"


def cases(root: Path, server: GcpServer, check_id: str, environment: str = "staging") -> list[Case]:
    """The gaps of one check, each with all that is known around it."""
    cloud = CloudOptions(endpoint=server.endpoint, timeout=20)
    return rehearsing.cases(app.Request(root=root, environments=(environment,), select=(check_id,), cloud=cloud))


def answers(root: Path, server: GcpServer, check_id: str) -> list[Change | Refusal]:
    """What the fixer says to each gap of its check."""
    return [FIXERS[check_id](case) for case in cases(root, server, check_id)]


def perform(changer: Changer, change: Change, dsn: str = STAGING, run: str = RUN) -> list[bytes]:
    """Do a change, twice: the second time nothing happens. Gives what takes it back, last first."""
    inverses = []
    for operation in change.operations:
        inverse = changer.perform(operation, dsn, run)
        assert changer.perform(operation, dsn, run) == inverse
        assert changer.verify(operation)
        inverses.append(inverse)
    return inverses[::-1]


def states(root: Path, server: GcpServer) -> dict[str, set[str]]:
    """The statuses of all checks of Google Cloud."""
    cloud = CloudOptions(endpoint=server.endpoint, timeout=20)
    [report] = app.check(app.Request(root=root, environments=("staging",), select=LIVE, cloud=cloud))
    found: dict[str, set[str]] = {}
    for finding in report.findings:
        found.setdefault(finding.check, set()).add(finding.status.value)
    return found
