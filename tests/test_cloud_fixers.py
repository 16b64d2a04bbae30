"""The gaps of Google Cloud, closed: a world that is broken, the fixer's operations, done with the real clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from sentry_audit import engine
from sentry_audit.cloud import CloudOptions, DsnSeen, Grant, Snapshot, Template
from sentry_audit.fixers.cloud import FIXERS
from sentry_audit.fixing import Case, Change, Refusal
from sentry_audit.sources.gcp.changing import Changer
from tests import snapshots, test_live
from tests.cloud_fixing import answers, cases, perform, states
from tests.gcp_server import messages
from tests.gcp_server.building import add_service, route
from tests.gcp_server.messages import SecretRef
from tests.gcp_server.server import GcpServer
from tests.gcp_server.state import Rollout
from tests.trees import write
from tests.worlds import API, FILES, KEY, STAGING, World, everything_right

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sentry_audit.model import Finding
    from sentry_audit.python.program import Program
    from sentry_audit.sdk_table import SdkTable


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
    "a private Sentry": "which network or NAT leads to Sentry is not known here",
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


# --- what was only seen in part -------------------------------------------------------------------


def _case(seen: Snapshot, finding: Finding) -> Case:
    """A case of what was seen."""
    facts = snapshots.derived(seen)
    [check] = [item for item in snapshots.CHECKS if item.id == finding.check]
    return Case(
        finding=finding,
        bad=engine.bad_facts(check, facts, "api"),
        component=snapshots.API,
        environment="staging",
        facts=tuple(facts),
        scanned=(),
        program=cast("Program", None),
        table=cast("SdkTable", None),
        snapshot=seen,
        targets=seen.targets,
    )


def _fixed(seen: Snapshot, check_id: str) -> Change | Refusal:
    [finding] = snapshots.findings(seen, check_id)
    return FIXERS[check_id](_case(seen, finding))


def _without(**project: Any) -> Snapshot:
    """A service without the variable."""
    service = snapshots.service(snapshots.LABEL, etag='"1"')
    return snapshots.snapshot(snapshots.project(services=(service,), **project))


def _does(change: Change | Refusal) -> list[str]:
    assert isinstance(change, Change)
    return [item.does for item in change.operations]


def test_a_secret_that_is_all_right_is_only_passed() -> None:
    change = _fixed(_without(), "cloud-run-dsn-env")
    assert _does(change) == ["update-service"]
    assert isinstance(change, Change)
    assert change.operations[0].variables == (("SENTRY_DSN", "sentry-dsn-staging", "latest"),)
    assert change.operations[0].etag == '"1"'


def test_a_secret_that_is_not_there_is_created_filled_and_granted_first() -> None:
    change = _fixed(_without(secrets=()), "cloud-run-dsn-env")
    assert _does(change) == ["create-secret", "add-version", "grant", "update-service"]


@pytest.mark.parametrize(
    ("version", "does"),
    [
        ({"state": "DISABLED", "dsn": None}, ["add-version", "update-service"]),
        ({"state": "MISSING", "number": "", "dsn": None}, ["add-version", "update-service"]),
        ({"dsn": DsnSeen(shown="", valid=False, problem="it is empty")}, ["add-version", "update-service"]),
        ({"dsn": None, "unread": snapshots.DENIED}, ["update-service"]),
    ],
)
def test_a_version_is_added_only_where_the_newest_is_no_use(version: dict[str, Any], does: list[str]) -> None:
    secret = snapshots.secret(snapshots.version(**version))
    assert _does(_fixed(_without(secrets=(secret,)), "cloud-run-dsn-env")) == does


def test_a_secret_of_which_nothing_is_known_is_not_touched() -> None:
    secret = snapshots.secret(exists=None, versions=(), grants=None, failure=snapshots.DENIED)
    refusal = _fixed(_without(secrets=(secret,)), "cloud-run-dsn-env")
    assert isinstance(refusal, Refusal)
    assert "whether the secret sentry-dsn-staging exists is not known" in refusal.reason
    assert any("--update-secrets=SENTRY_DSN=sentry-dsn-staging:latest" in command for command in refusal.commands)


def test_an_account_without_its_number_is_granted_nothing() -> None:
    account = "PROJECT_NUMBER-compute@developer.gserviceaccount.com"
    service = snapshots.service(template=snapshots.template(snapshots.FROM_SECRET, snapshots.LABEL, account=account))
    seen = snapshots.snapshot(snapshots.project(services=(service,)))
    refusal = _fixed(seen, "secret-dsn-readable")
    assert isinstance(refusal, Refusal)
    assert "projectNumber" in " ".join(refusal.commands)


def test_a_role_on_a_condition_is_not_the_role() -> None:
    held = (Grant(role=snapshots.ACCESSOR, members=(f"serviceAccount:{snapshots.ACCOUNT}",), condition="false"),)
    seen = _without(secrets=(snapshots.secret(grants=held),))
    assert _does(_fixed(seen, "cloud-run-dsn-env")) == ["grant", "update-service"]


def test_each_container_of_a_job_gets_it_by_its_name() -> None:
    template = Template(
        containers=(snapshots.container(snapshots.FROM_SECRET, name="a"), snapshots.container(name="b")),
        account=snapshots.ACCOUNT,
    )
    job = snapshots.service(sort="job", template=template, serving=())
    seen = snapshots.snapshot(snapshots.project(services=(job,)), targets=(snapshots.target(sort="job"),))
    change = _fixed(seen, "cloud-run-dsn-env")
    assert isinstance(change, Change)
    [operation] = change.operations
    assert operation.resource == "projects/shop/locations/europe-west1/jobs/shop-api-staging"
    assert operation.container == "b"


def test_a_jobs_plain_value_is_said_to_be_lost() -> None:
    job = snapshots.service(snapshots.PLAIN, snapshots.LABEL, sort="job", serving=())
    seen = snapshots.snapshot(snapshots.project(services=(job,)), targets=(snapshots.target(sort="job"),))
    change = _fixed(seen, "cloud-run-dsn-from-secret")
    assert isinstance(change, Change)
    assert "undoing cannot put it back" in change.summary


def test_a_new_version_reaches_what_has_the_secret_already() -> None:
    lacking = snapshots.service(snapshots.LABEL)
    having = snapshots.service(region="us-central1")
    seen = snapshots.snapshot(
        snapshots.project(
            services=(lacking, having),
            regions=("europe-west1", "us-central1"),
            secrets=(snapshots.secret(snapshots.version(state="DISABLED", dsn=None)),),
        ),
        targets=(snapshots.target(regions=()),),
    )
    change = _fixed(seen, "cloud-run-dsn-env")
    assert _does(change) == ["add-version", "update-service", "update-service"]
    assert isinstance(change, Change)
    assert {item.resource for item in change.operations[1:]} == {lacking.resource, having.resource}


def test_each_region_is_a_service_of_its_own() -> None:
    one = snapshots.service(snapshots.LABEL, etag='"1"')
    other = snapshots.service(snapshots.LABEL, etag='"2"', region="us-central1")
    seen = snapshots.snapshot(
        snapshots.project(services=(one, other), regions=("europe-west1", "us-central1")),
        targets=(snapshots.target(regions=()),),
    )
    found = snapshots.findings(seen, "cloud-run-dsn-env")
    assert len(found) == 2
    case = _case(seen, found[1])
    change = FIXERS["cloud-run-dsn-env"](case)
    assert isinstance(change, Change)
    assert [item.resource for item in change.operations] == [other.resource]
    assert [item.etag for item in change.operations] == ['"2"']


def test_a_host_in_a_private_network_is_left_to_a_person() -> None:
    private = DsnSeen(
        shown="https://…@sentry.internal/1", valid=True, fingerprint="f", host="sentry.internal", project="1"
    )
    secret = snapshots.secret(snapshots.version(dsn=private))
    refusal = _fixed(snapshots.snapshot(snapshots.project(secrets=(secret,))), "cloud-run-egress")
    assert isinstance(refusal, Refusal)
    assert "network" in refusal.reason
    assert refusal.commands


# --- what else reads the secret -------------------------------------------------------------------

WORKER = """\
import os

import sentry_sdk
from celery import Celery

sentry_sdk.init(environment=os.environ.get("SENTRY_ENVIRONMENT"))
app = Celery("mail", broker=os.environ["BROKER"])
"""
MAILER = "projects/shop-staging/locations/europe-west1/services/shop-mailer-staging"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[World]:
    """Two components that take their DSN from one secret, which holds none; a third service is nobody's."""
    state = everything_right()
    project = state.projects["shop-staging"]
    project.secrets["sentry-dsn-staging"].add("wrong")
    env: dict[str, str | SecretRef] = {"SENTRY_DSN": SecretRef("sentry-dsn-staging"), "SENTRY_ENVIRONMENT": "staging"}
    for name in ("shop-mailer-staging", "foreign"):
        add_service(project, name, messages.template(env=env, cpu_idle=False))
    deploy = FILES["deploy.sh"].replace("shop-api", "shop-mailer").replace("--source .", "--source mailer")
    files = {f"api/{name}": text for name, text in FILES.items() if name != "deploy.sh"} | {
        "deploy.sh": FILES["deploy.sh"].replace("--source .", "--source api"),
        "mailer.sh": deploy,
        "mailer/requirements.txt": "celery\nsentry-sdk>=2.64,<3\n",
        "mailer/main.py": WORKER,
        "mailer/Dockerfile": "FROM python:3.12-slim\nCOPY . .\nRUN pip install -r requirements.txt\n"
        'CMD ["celery", "-A", "main", "worker"]\n',
    }
    with GcpServer(state) as server:
        yield World(state, server, write(tmp_path, files))


def test_a_new_version_is_rolled_out_to_all_components_that_read_it(two: World) -> None:
    """Each in the plan of either: to have the one without the other would leave that with the old value."""
    for case in cases(two.root, two.server, "secret-dsn-valid"):
        change = FIXERS["secret-dsn-valid"](case)
        assert isinstance(change, Change)
        assert [item.does for item in change.operations] == ["add-version", "update-service", "update-service"]
        assert {item.resource for item in change.operations[1:]} == {API, MAILER}
        assert change.summary.count("not rolled out for it") == 1
        assert "when they start: foreign" in change.summary


def test_pinned_traffic_of_another_component_is_moved_by_its_own_case_alone(two: World) -> None:
    old = two.staging.services[MAILER].latest_ready_revision.rpartition("/")[2]
    route(two.staging, MAILER, messages.to_revision(old))
    [case] = [item for item in cases(two.root, two.server, "secret-dsn-valid") if item.component.name == "api"]
    change = FIXERS["secret-dsn-valid"](case)
    assert isinstance(change, Change)
    assert {item.resource for item in change.operations[1:]} == {API}
    assert change.summary.endswith("whose instances read sentry-dsn-staging anew")
