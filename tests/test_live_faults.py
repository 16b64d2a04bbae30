"""Every call with every fault: the right status, the right exit code, no traceback, and an end in time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from sentry_audit.app import Request, check
from sentry_audit.cloud import CloudOptions
from tests.gcp_server.building import add_service, route
from tests.gcp_server.messages import template, to_revision
from tests.gcp_server.server import GcpServer
from tests.gcp_server.state import ACCESSOR, grant, revoke
from tests.trees import findings, statuses, write
from tests.worlds import API, FILES, LIVE, World, everything_right

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Seconds that Google Cloud is given where it fails and where it answers, and that a run may take at most.
SHORT, LONG, MOST = 1.2, 20.0, 8.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Everything right, but such that each call is needed: an old revision serves, and the project grants the access."""
    state = everything_right()
    project = state.projects["shop-staging"]
    revoke(project.secrets["sentry-dsn-staging"].policy, ACCESSOR, project.default_account)
    grant(project.policy, ACCESSOR, project.default_account)
    with GcpServer(state) as server:
        made = World(state, server, write(tmp_path, FILES))
        first = project.services[API].latest_ready_revision.rpartition("/")[2]
        made.state.rollout.secrets_checked = False
        made.deploy(made.env(MORE="1"))
        route(project, API, to_revision(first))
        yield made


SECRETS = "google.cloud.secretmanager.v1.SecretManagerService"
#: Each call that an audit makes, and the check that cannot be decided without it.
CALLS = {
    f"{SECRETS}/ListSecrets": "secret-dsn-exists",
    f"{SECRETS}/GetSecretVersion": "secret-dsn-enabled",
    f"{SECRETS}/AccessSecretVersion": "secret-dsn-valid",
    f"{SECRETS}/GetIamPolicy": "secret-dsn-readable",
    "google.cloud.run.v2.Services/ListServices": "cloud-run-dsn-env",
    "google.cloud.run.v2.Revisions/GetRevision": "cloud-run-serving-revision",
    "google.cloud.resourcemanager.v3.Projects/GetIamPolicy": "secret-dsn-readable",
}
FAULTS: dict[str, Callable[[GcpServer, str], None]] = {
    "PERMISSION_DENIED": lambda server, method: server.deny(method),
    "UNAUTHENTICATED": lambda server, method: server.fail(method, "UNAUTHENTICATED"),
    "RESOURCE_EXHAUSTED": lambda server, method: server.exhaust(method, 0.2),
    "UNAVAILABLE": lambda server, method: server.fail(method, "UNAVAILABLE"),
    "DEADLINE_EXCEEDED": lambda server, method: server.fail(method, "DEADLINE_EXCEEDED"),
    "INTERNAL": lambda server, method: server.fail(method, "INTERNAL"),
    "hang": lambda server, method: server.hang(method),
    "malformed": lambda server, method: server.malformed(method),
    "reset": lambda server, method: server.reset(method),
}
#: Another answer shows that the secret exists: nothing is unknown without the list.
LIST = f"{SECRETS}/ListSecrets"


def judged(world: World, timeout: float = LONG) -> tuple[dict[str, set[str]], int, float]:
    started = time.monotonic()
    cloud = CloudOptions(endpoint=world.server.endpoint, timeout=timeout)
    [report] = check(Request(root=world.root, environments=("staging",), select=LIVE, cloud=cloud))
    assert not [item for item in report.findings if item.status.value == "error"]
    for item in report.findings:
        assert "Traceback" not in item.message + item.hint
    return {name: statuses(report, name) for name in LIVE}, report.exit_code, time.monotonic() - started


def test_every_call_is_made_where_nothing_fails(world: World) -> None:
    found, code, _ = judged(world)
    assert code == 0, found
    assert {call.method for call in world.server.calls} >= CALLS.keys()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", CALLS)
def test_what_was_not_answered_is_unknown(world: World, method: str, fault: str) -> None:
    if method == f"{SECRETS}/GetIamPolicy":  # here the secret grants it, and its project does not
        world.secret.allow(world.staging.default_account)
        revoke(world.staging.policy, ACCESSOR, world.staging.default_account)
    FAULTS[fault](world.server, method)
    found, code, seconds = judged(world, SHORT)
    assert seconds < MOST
    if method == LIST:  # a slow failure may leave no time for the rest
        assert found[CALLS[method]] <= {"pass", "unknown"}
        assert code == 4 or found[CALLS[method]] == {"pass"}
    else:
        assert (found[CALLS[method]], code) == ({"unknown"}, 4)


@pytest.mark.parametrize("method", CALLS)
def test_what_is_there_at_the_second_try_is_seen(world: World, method: str) -> None:
    world.server.fail(method, "UNAVAILABLE", times=1)
    found, code, _ = judged(world)
    assert code == 0, found
    assert found[CALLS[method]] == {"pass"}


@pytest.mark.parametrize("method", CALLS)
def test_what_is_not_found_is_never_a_pass(world: World, method: str) -> None:
    world.server.fail(method, "NOT_FOUND")
    found, code, seconds = judged(world)
    assert seconds < MOST
    if method in {LIST, f"{SECRETS}/GetIamPolicy"}:  # others show that it is there, and who may read it
        assert (found[CALLS[method]], code) == ({"pass"}, 0)
    else:
        assert found[CALLS[method]] <= {"unknown", "gap"}
        assert code in {1, 4}


def test_slow_pages_end_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentry_audit.sources.gcp.clients.PAGE", 1)
    for number in range(20):
        add_service(world.staging, f"other-{number}", template())
    world.staging.services[API] = world.staging.services.pop(API)  # the last page has it
    world.server.delays = {"*/ListServices": 0.4}
    found, code, seconds = judged(world, SHORT)
    assert seconds < MOST
    assert code == 4
    assert found["cloud-run-dsn-env"] == {"unknown"}


def test_a_server_that_says_nothing_is_given_up(world: World) -> None:
    world.server.silent = True
    found, code, seconds = judged(world, SHORT)
    assert seconds < MOST
    assert code == 4
    assert found["cloud-run-dsn-env"] == found["secret-dsn-exists"] == {"unknown"}


def test_the_reason_names_what_to_do(world: World) -> None:
    world.server.deny("*Projects/GetIamPolicy")
    cloud = CloudOptions(endpoint=world.server.endpoint, timeout=LONG)
    [report] = check(Request(root=world.root, environments=("staging",), select=LIVE, cloud=cloud))
    [finding] = findings(report, "secret-dsn-readable")
    assert "resourcemanager.projects.getIamPolicy" in finding.message
    assert "gcloud projects add-iam-policy-binding shop-staging" in finding.hint
