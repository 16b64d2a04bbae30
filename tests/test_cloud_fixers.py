"""The gaps of Google Cloud, closed: a world that is broken, the fixer's operations, done with the real clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sentry_audit.cloud import CloudOptions
from sentry_audit.fixing import Change, Refusal
from sentry_audit.sources.gcp.changing import Changer
from tests import test_live
from tests.cloud_fixing import answers, perform, states
from tests.gcp_server import messages
from tests.gcp_server.building import route
from tests.gcp_server.messages import SecretRef
from tests.gcp_server.server import GcpServer
from tests.gcp_server.state import Rollout
from tests.trees import write
from tests.worlds import API, FILES, KEY, STAGING, World, everything_right

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    state = everything_right()
    with GcpServer(state) as server:
        yield World(state, server, write(tmp_path, FILES))


@pytest.fixture
def changer(world: World) -> Iterator[Changer]:
    with Changer(CloudOptions(endpoint=world.server.endpoint), patience=5) as made:
        yield made


def _unreadable(world: World) -> None:
    """A revision that could not read its secret, which it can now."""
    test_live._no_accessor(world)
    world.deploy(world.env(MORE="1"))
    world.secret.allow(world.staging.default_account)


def _unreadable_still(world: World) -> None:
    test_live._no_accessor(world)
    world.deploy(world.env(MORE="1"))


def _nothing(world: World) -> None:
    """No secret, and a service that was never told of any."""
    del world.staging.secrets["sentry-dsn-staging"]
    world.deploy({})


REFUSED = {
    "no service": "deploy it",
    "failed rollout": "in its logs",
    "CPU": "paid for",
    "another secret": "deploy shop-api-staging (deploy.sh)",
    "not deployed yet": "the next deploy brings it: deploy shop-api-staging (deploy.sh)",
}
MORE: list[tuple[str, str, Callable[[World], None], str]] = [
    ("could not read", "cloud-run-serving-revision", _unreadable, ""),
    ("cannot read", "secret-dsn-readable", _unreadable_still, ""),
    ("nothing", "secret-dsn-exists", _nothing, ""),
    ("no variable, no secret", "cloud-run-dsn-env", _nothing, ""),
]
FIXED = [item for item in (*test_live.GAPS, *MORE) if item[0] not in REFUSED and item[1] != "dsn-distinct-environments"]


@pytest.mark.parametrize("item", FIXED, ids=[item[0] for item in FIXED])
def test_a_gap_is_closed_and_no_other_opened(world: World, changer: Changer, item: Any) -> None:
    item[2](world)
    before = states(world.root, world.server)
    assert "gap" in before[item[1]]
    secrets = set(world.staging.secrets)
    template = messages.clone(world.staging.services[API].template)
    offers = answers(world.root, world.server, item[1])
    inverses: list[bytes] = []
    for change in dict.fromkeys(offers):
        assert isinstance(change, Change)
        assert change.safety == "live"
        inverses = [*perform(changer, change), *inverses]
        assert KEY not in change.summary + str(change.operations)
    after = states(world.root, world.server)
    assert after[item[1]] == {"pass"}
    opened = {name for name, found in after.items() if found - {"pass", "skipped"} and not found <= before[name]}
    assert not opened
    assert KEY.encode() not in b"".join(inverses)
    assert answers(world.root, world.server, item[1]) == []
    told = [changer.revert(inverse, "run-1") for inverse in inverses]
    assert KEY not in "".join(told)
    assert set(world.staging.secrets) == secrets
    assert world.staging.services[API].template == template


@pytest.mark.parametrize(("name", "told"), REFUSED.items(), ids=list(REFUSED))
def test_what_is_left_to_a_person_says_why(world: World, name: str, told: str) -> None:
    _, check_id, change, _ = next(item for item in test_live.GAPS if item[0] == name)
    change(world)
    [refusal] = answers(world.root, world.server, check_id)
    assert isinstance(refusal, Refusal)
    assert told in refusal.reason
    assert refusal.commands


def _only(world: World, check_id: str) -> Change | Refusal:
    [answer] = dict.fromkeys(answers(world.root, world.server, check_id))
    return answer


def test_a_pinned_version_that_is_disabled_is_left_to_a_person(world: World) -> None:
    world.deploy(world.env(SENTRY_DSN=SecretRef("sentry-dsn-staging", "1")))
    world.secret.versions[0].state = "DISABLED"
    refusal = _only(world, "secret-dsn-enabled")
    assert isinstance(refusal, Refusal)
    assert "version 1 of sentry-dsn-staging is asked for by name" in refusal.reason
    assert any("gcloud secrets versions enable 1" in command for command in refusal.commands)


def test_two_different_dsns_are_not_chosen_between(world: World) -> None:
    other = STAGING.replace("/451", "/999")
    world.deploy(world.env(SENTRY_DSN=other))
    refusal = _only(world, "cloud-run-dsn-from-secret")
    assert isinstance(refusal, Refusal)
    assert "which one is right" in refusal.reason
    assert KEY not in refusal.reason


def test_traffic_is_not_moved_to_a_revision_without_the_dsn(world: World) -> None:
    old = world.staging.services[API].latest_ready_revision.rpartition("/")[2]
    world.deploy(world.env(SENTRY_DSN=None))
    new = world.staging.services[API].latest_ready_revision.rpartition("/")[2]
    world.deploy()
    route(world.staging, API, messages.to_revision(new))
    world.deploy(world.env(MORE="1"), rollout=Rollout(outcome="failed"))
    [*found] = answers(world.root, world.server, "cloud-run-serving-revision")
    assert old != new
    assert all(isinstance(item, Refusal) for item in found)
    assert any("cannot be moved" in item.reason for item in found if isinstance(item, Refusal))


def test_a_summary_says_what_moves(world: World) -> None:
    test_live._split(world)
    change = _only(world, "cloud-run-serving-revision")
    assert isinstance(change, Change)
    assert "will move all traffic of shop-api-staging to its newest revision (now: 90% latest, 10% " in change.summary


def test_a_definition_that_takes_it_back_is_named(world: World) -> None:
    deploy = world.root / "deploy.sh"
    deploy.write_text(deploy.read_text().replace("SENTRY_DSN=sentry-dsn-$1:latest", "OTHER=other:latest"))
    world.deploy(world.env(SENTRY_DSN=None))
    change = _only(world, "cloud-run-dsn-env")
    assert isinstance(change, Change)
    assert (
        "the next deploy reverts this unless the repository's definition is changed too (deploy.sh:" in change.summary
    )


def test_a_definition_that_gives_it_already_is_no_warning(world: World) -> None:
    world.deploy(world.env(SENTRY_DSN=None))
    change = _only(world, "cloud-run-dsn-env")
    assert isinstance(change, Change)
    assert "reverts" not in change.summary
    assert change.operations[0].etag == world.staging.services[API].etag


def test_a_secret_of_another_project_is_named_in_full(world: World) -> None:
    deploy = world.root / "deploy.sh"
    deploy.write_text(
        deploy.read_text().replace("=sentry-dsn-$1:", "=projects/shop-production/secrets/sentry-dsn-production:")
    )
    world.deploy(world.env(SENTRY_DSN=None))
    change = _only(world, "cloud-run-dsn-env")
    assert isinstance(change, Change)
    [granted, given] = change.operations
    assert granted.resource == "projects/shop-production/secrets/sentry-dsn-production"
    assert given.variables == (("SENTRY_DSN", "projects/shop-production/secrets/sentry-dsn-production", "latest"),)
