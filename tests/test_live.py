"""The live audit as a whole: the repository stays as it is, and only what Google Cloud holds changes.

Real clients, real gRPC, a server on loopback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sentry_audit.app import Request, check, collect_evidence
from sentry_audit.cloud import CloudOptions
from sentry_audit.evidence import dumps
from tests.gcp_server import messages
from tests.gcp_server.building import route
from tests.gcp_server.messages import SecretRef, container, to_latest, to_revision
from tests.gcp_server.server import GcpServer
from tests.gcp_server.state import Rollout, revoke
from tests.trees import findings, message, statuses, write
from tests.worlds import API, FILES, KEY, LIVE, PRODUCTION, STAGING, World, everything_right

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    state = everything_right()
    with GcpServer(state) as server:
        yield World(state, server, write(tmp_path, FILES))


def test_where_everything_is_right_every_check_passes(world: World) -> None:
    report = world.audit()
    assert {check_id: statuses(report, check_id) for check_id in LIVE} == {check_id: {"pass"} for check_id in LIVE}
    assert report.exit_code == 0
    assert report.cloud is not None
    assert set(report.cloud.projects) == {"shop-production", "shop-staging"}


def test_the_chain_is_proven_up_to_what_serves(world: World) -> None:
    cloud = CloudOptions(endpoint=world.server.endpoint, timeout=20)
    [report] = check(Request(root=world.root, environments=("staging",), cloud=cloud))
    chain = {link.link.value: link.status.value for link in report.components[0].chain}
    assert chain.pop("accepted") == "unknown"
    assert set(chain.values()) == {"pass"}
    [offline] = check(Request(root=world.root, environments=("staging",)))
    told = {link.link.value: link.message for link in offline.components[0].chain}
    assert told["secret"] == "not looked at: Secret Manager was not asked (--offline)"


def _replaced(payload: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.secret.versions[-1].payload = payload.encode()

    return change


def _state(state: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.secret.versions[-1].state = state

    return change


def _no_secret(world: World) -> None:
    world.staging.add_secret("sentry-dsn-stagging", STAGING)
    del world.staging.secrets["sentry-dsn-staging"]


def _no_accessor(world: World) -> None:
    revoke(world.secret.policy, "roles/secretmanager.secretAccessor", world.staging.default_account)


def _newer_version(world: World) -> None:
    world.secret.add(STAGING)


def _no_variable(world: World) -> None:
    world.deploy(world.env(SENTRY_DSN=None))


def _only_the_sidecar(world: World) -> None:
    sidecar = container("europe-docker.pkg.dev/shop/otel:1", world.env(), name="otel")
    world.deploy(world.env(SENTRY_DSN=None), sidecars=[sidecar])


def _plain(world: World) -> None:
    world.deploy(world.env(SENTRY_DSN=STAGING))


def _no_service(world: World) -> None:
    service = world.staging.services.pop(API)
    other = messages.clone(service)
    other.name = API.replace("shop-api-staging", "shop-api-stage")
    world.staging.services[other.name] = other


def _label(value: str | None) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.deploy(world.env(SENTRY_ENVIRONMENT=value))

    return change


def _pinned(world: World) -> None:
    old = world.staging.services[API].latest_ready_revision.rpartition("/")[2]
    world.deploy(world.env(SENTRY_DSN=None))
    new = world.staging.services[API].latest_ready_revision.rpartition("/")[2]
    world.deploy()
    assert old != new
    route(world.staging, API, to_revision(new))


def _split(world: World) -> None:
    world.deploy(world.env(SENTRY_DSN=None))
    without = world.staging.services[API].latest_ready_revision.rpartition("/")[2]
    world.deploy()
    route(world.staging, API, to_latest(90), to_revision(without, 10))


def _failed(world: World) -> None:
    world.deploy(world.env(MORE="1"), rollout=Rollout(outcome="failed"))


def _cpu(world: World) -> None:
    world.deploy(cpu_idle=True)


def _another_secret(world: World) -> None:
    world.staging.add_secret("sentry-dsn-other", STAGING, accessors=[world.staging.default_account])
    world.deploy(world.env(SENTRY_DSN=SecretRef("sentry-dsn-other")))


def _productions(world: World) -> None:
    world.secret.versions[-1].payload = PRODUCTION.encode()
    world.deploy(world.env(SENTRY_ENVIRONMENT="production"))


GAPS: list[tuple[str, str, Callable[[World], None], str]] = [
    ("no secret", "secret-dsn-exists", _no_secret, "sentry-dsn-stagging"),
    ("disabled", "secret-dsn-enabled", _state("DISABLED"), "disabled"),
    ("destroyed", "secret-dsn-enabled", _state("DESTROYED"), "destroyed"),
    ("newline", "secret-dsn-valid", _replaced(STAGING + "\n"), "newline"),
    ("quoted", "secret-dsn-valid", _replaced(f'"{STAGING}"'), "quoted"),
    ("no DSN", "secret-dsn-valid", _replaced("changeme"), "form"),
    ("no accessor", "secret-dsn-readable", _no_accessor, "default compute account"),
    ("newer version", "secret-dsn-current", _newer_version, "shop-api-staging"),
    ("no variable", "cloud-run-dsn-env", _no_variable, "SENTRY_DSN"),
    ("only a sidecar", "cloud-run-dsn-env", _only_the_sidecar, "otel"),
    ("no service", "cloud-run-dsn-env", _no_service, "did you mean shop-api-stage"),
    ("plain", "cloud-run-dsn-from-secret", _plain, "plain"),
    ("no label", "cloud-run-environment-env", _label(None), "SENTRY_ENVIRONMENT"),
    ("production's label", "cloud-run-environment-env", _label("production"), "production"),
    ("pinned", "cloud-run-serving-revision", _pinned, "100%"),
    ("split", "cloud-run-serving-revision", _split, "10%"),
    ("failed rollout", "cloud-run-serving-revision", _failed, "HEALTH_CHECK_CONTAINER_ERROR"),
    ("CPU", "cloud-run-cpu-throttled", _cpu, "CPU"),
    ("a private Sentry", "cloud-run-egress", _replaced(f"https://{KEY}@sentry.internal/7"), "sentry.internal"),
    ("another secret", "deploy-drift", _another_secret, "sentry-dsn-other"),
    ("not deployed yet", "deploy-drift", _no_variable, "SENTRY_DSN"),
    ("production's DSN", "dsn-distinct-environments", _productions, "production"),
]


@pytest.mark.parametrize(("check_id", "change", "told"), [item[1:] for item in GAPS], ids=[item[0] for item in GAPS])
def test_only_the_cloud_changes(world: World, check_id: str, change: Callable[[World], None], told: str) -> None:
    assert statuses(world.audit(), check_id) == {"pass"}
    change(world)
    report = world.audit()
    assert "gap" in statuses(report, check_id)
    assert told in message(report, check_id)
    assert report.exit_code == 1
    assert not [item for item in report.findings if item.status.value == "error"]


def test_what_goes_through_a_network_is_unknown(world: World) -> None:
    world.deploy(egress="ALL_TRAFFIC", network="default")
    report = world.audit()
    assert statuses(report, "cloud-run-egress") == {"unknown"}


@pytest.mark.parametrize("item", GAPS, ids=[item[0] for item in GAPS])
def test_evidence_gives_the_same_verdicts(world: World, item: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    item[2](world)
    live = world.audit()
    cloud = CloudOptions(endpoint=world.server.endpoint, timeout=20)
    kept = dumps(collect_evidence(Request(root=world.root, all_environments=True, cloud=cloud)))
    path = tmp_path_factory.mktemp("evidence") / "evidence.json"
    path.write_bytes(kept)
    asked = len(world.server.calls)
    [judged] = check(Request(root=world.root, environments=("staging",), select=LIVE, evidence=path))
    assert len(world.server.calls) == asked
    assert judged.findings == live.findings
    assert judged.exit_code == live.exit_code
    assert KEY.encode() not in kept


DENIED = [
    ("*/AccessSecretVersion", "secret-dsn-valid", "secretmanager.versions.access"),
    ("*/GetSecretVersion", "secret-dsn-enabled", "secretmanager.versions.get"),
    ("*SecretManagerService/GetIamPolicy", "secret-dsn-readable", "secretmanager.secrets.getIamPolicy"),
    ("*/ListServices", "cloud-run-dsn-env", "run.services.list"),
]


@pytest.mark.parametrize(("method", "check_id", "permission"), DENIED)
def test_a_missing_permission_is_unknown_and_told(world: World, method: str, check_id: str, permission: str) -> None:
    world.server.deny(method)
    report = world.audit()
    assert statuses(report, check_id) == {"unknown"}
    [finding] = findings(report, check_id)
    assert permission in finding.message
    assert finding.hint.startswith("gcloud ")
    assert report.exit_code == 4
    world.server.heal()
    assert statuses(world.audit(), check_id) == {"pass"}


def test_another_projects_permissions_do_not_matter(world: World) -> None:
    world.server.deny("*", where="shop-production")
    report = world.audit()
    assert {check_id: statuses(report, check_id) for check_id in LIVE[:-1]} == {item: {"pass"} for item in LIVE[:-1]}
    assert report.exit_code == 0
