"""Changes of Google Cloud, one by one: real clients, real gRPC, a server on loopback."""

from __future__ import annotations

import json
import multiprocessing
import time
from typing import TYPE_CHECKING, Any

import pytest

from sentry_audit.cloud import CloudOptions
from sentry_audit.errors import FixFailed, Stale, UsageError
from sentry_audit.fixing import Operation
from sentry_audit.sources.gcp.changing import Changer
from sentry_audit.sources.gcp.payloads import crc32c
from tests.gcp_server import messages, rollouts
from tests.gcp_server.building import add_job, add_pool, redeploy, route
from tests.gcp_server.messages import container, to_latest, to_revision, with_unknown_field
from tests.gcp_server.server import GcpServer
from tests.gcp_server.state import ACCESSOR, Rollout
from tests.worlds import API, KEY, STAGING, everything_right

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.gcp_server.state import Project, State

SECRET = "projects/shop-staging/secrets/sentry-new"
HELD = "projects/shop-staging/secrets/sentry-dsn-staging"
MEMBER = "serviceAccount:api@shop-staging.iam.gserviceaccount.com"
RUN = "run-1"
GAVE_UP = "did not end in 1 seconds"


@pytest.fixture
def state() -> State:
    return everything_right()


@pytest.fixture
def project(state: State) -> Project:
    return state.projects["shop-staging"]


@pytest.fixture
def server(state: State) -> Iterator[GcpServer]:
    with GcpServer(state) as made:
        yield made


@pytest.fixture
def changer(server: GcpServer) -> Iterator[Changer]:
    with Changer(CloudOptions(endpoint=server.endpoint), patience=5) as made:
        yield made


def create(resource: str = SECRET) -> Operation:
    return Operation(does="create-secret", resource=resource, summary="")


def add(resource: str = SECRET) -> Operation:
    return Operation(does="add-version", resource=resource, summary="")


def grant(resource: str = HELD) -> Operation:
    return Operation(does="grant", resource=resource, member=MEMBER, summary="")


def update(etag: str, *variables: tuple[str, str, str], resource: str = API, container: str = "") -> Operation:
    return Operation(
        does="update-service", resource=resource, variables=variables, etag=etag, container=container, summary=""
    )


def move(etag: str) -> Operation:
    return Operation(does="route-traffic", resource=API, etag=etag, summary="")


FROM_SECRET = ("SENTRY_DSN", "sentry-dsn-staging", "latest")


def env_of(template: Any) -> dict[str, Any]:
    return {
        item.name: (item.value_source.secret_key_ref.secret, item.value_source.secret_key_ref.version)
        if item.HasField("value_source")
        else item.value
        for item in template.containers[0].env
    }


def deploy(project: Project, env: dict[str, Any], rollout: Rollout | None = None, **template: Any) -> Any:
    return redeploy(project, API, messages.template(env=env, cpu_idle=False, **template), rollout)


def error_of(call: Callable[[], object], kind: type[FixFailed | Stale]) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.exit_code == (6 if kind is Stale else 5)
    told = f"{caught.value.message}\n{caught.value.hint}"
    assert KEY not in told
    return told


# --- secrets --------------------------------------------------------------------------------------


def test_a_secret_is_created_once_and_deleted(changer: Changer, project: Project, server: GcpServer) -> None:
    inverse = changer.perform(create(), None, RUN)
    made = project.secrets["sentry-new"]
    assert made.labels == {"created-by": "sentry-audit"}
    assert json.loads(made.annotations["sentry-audit-run"])["run"] == RUN
    assert made.replicas == ()
    assert changer.verify(create())
    assert changer.perform(create(), None, RUN) == inverse
    assert json.loads(inverse)["created"] is True
    assert changer.revert(inverse, RUN) == f"{SECRET} was deleted"
    assert "sentry-new" not in project.secrets
    assert changer.revert(inverse, RUN) == f"{SECRET} is not there any more"
    assert not changer.verify(create())
    assert server.count("/DeleteSecret") == 1


def test_another_ones_secret_is_used_and_stays(changer: Changer, project: Project) -> None:
    project.add_secret("sentry-new")
    inverse = changer.perform(create(), None, RUN)
    assert "was not created by this run" in json.loads(inverse)["note"]
    assert "stays" in changer.revert(inverse, RUN)
    assert "sentry-new" in project.secrets


def test_a_secret_of_another_run_is_not_this_ones(changer: Changer, project: Project) -> None:
    changer.perform(create(), None, "run-0")
    inverse = changer.perform(create(), None, RUN)
    assert "created" not in json.loads(inverse)
    assert "stays" in changer.revert(inverse, RUN)
    assert "sentry-new" in project.secrets


def test_a_secret_that_was_made_anew_since_stays(changer: Changer, project: Project) -> None:
    inverse = changer.perform(create(), None, RUN)
    del project.secrets["sentry-new"]
    changer.perform(create(), None, "run-2")
    assert "stays" in changer.revert(inverse, RUN)
    assert "sentry-new" in project.secrets


@pytest.mark.parametrize("used", ["version", "member"])
def test_a_created_secret_that_others_use_stays(changer: Changer, project: Project, used: str) -> None:
    inverses = [changer.perform(item, STAGING, RUN) for item in (create(), add())]
    if used == "version":
        project.secrets["sentry-new"].add("somebody's")
    else:
        project.secrets["sentry-new"].allow("other@shop.iam.gserviceaccount.com")
    told = [changer.revert(item, RUN) for item in reversed(inverses)]
    assert "stays" in told[-1]
    assert "sentry-new" in project.secrets


def test_a_version_holds_exactly_the_dsn_and_is_added_once(
    changer: Changer, project: Project, server: GcpServer
) -> None:
    changer.perform(create(), None, RUN)
    inverse = changer.perform(add(), STAGING, RUN)
    [version] = project.secrets["sentry-new"].versions
    assert version.payload == STAGING.encode()
    assert version.checked
    assert json.loads(inverse)["version"] == 1
    assert changer.perform(add(), STAGING, RUN) == inverse
    assert server.count("/AddSecretVersion") == 1
    assert changer.verify(add())
    assert "is disabled" in changer.revert(inverse, RUN)
    assert version.state == "DISABLED"
    assert "is disabled" in changer.revert(inverse, RUN)
    assert server.count("/DisableSecretVersion") == 1
    assert server.count("/DestroySecretVersion") == 0
    assert not changer.verify(add())


def test_what_the_newest_version_holds_is_not_added_again(
    changer: Changer, project: Project, server: GcpServer
) -> None:
    inverse = changer.perform(add(HELD), STAGING, RUN)
    assert server.count("/AddSecretVersion") == 0
    assert changer.revert(inverse, RUN) == f"no version was added to {HELD}"
    assert project.secrets["sentry-dsn-staging"].versions[0].state == "ENABLED"
    assert project.secrets["sentry-dsn-staging"].annotations == {}


@pytest.mark.parametrize("state_", ["DISABLED", "DESTROYED"])
def test_an_older_version_that_holds_it_does_not_count(changer: Changer, project: Project, state_: str) -> None:
    held = project.secrets["sentry-dsn-staging"]
    held.add("wrong", state_)
    assert json.loads(changer.perform(add(HELD), STAGING, RUN))["version"] == 3
    assert [item.payload for item in held.versions] == [STAGING.encode(), b"wrong", STAGING.encode()]


def test_a_note_on_anothers_secret_goes_with_the_change(changer: Changer, project: Project) -> None:
    held = project.secrets["sentry-dsn-staging"]
    held.annotations = {"owner": "team"}
    held.add("wrong")
    inverse = changer.perform(add(HELD), STAGING, RUN)
    assert held.annotations["owner"] == "team"
    changer.revert(inverse, RUN)
    assert held.annotations == {"owner": "team"}


@pytest.mark.parametrize(
    ("before", "after", "back"),
    [
        ("ENABLED", (), True),
        ("DISABLED", (), False),
        ("DESTROYED", (), False),
        ("ENABLED", ("somebody's",), False),
    ],
)
def test_latest_leads_again_to_what_it_led_to(
    changer: Changer, project: Project, server: GcpServer, before: str, after: tuple[str, ...], back: bool
) -> None:
    """Whatever asks for latest gets the newest version, or does not start: nothing falls back to the one before."""
    held = project.secrets["sentry-dsn-staging"]
    held.add("wrong", before)
    inverse = changer.perform(add(HELD), STAGING, RUN)
    for payload in after:
        held.add(payload)
    told = changer.revert(inverse, RUN)
    assert held.versions[2].state == "DISABLED"
    assert held.annotations == {}
    assert [item.payload for item in held.versions[3:]] == ([b"wrong"] if back else [item.encode() for item in after])
    assert ("version 4 holds what version 2 does" in told) == back
    number = len(held.versions)
    changer.revert(inverse, RUN)
    assert len(held.versions) == number
    server.fail("*/GetSecretVersion", "PERMISSION_DENIED")
    assert "could not be read" in error_of(lambda: changer.revert(inverse, RUN), FixFailed)


@pytest.mark.parametrize("call", ["AccessSecretVersion", "AddSecretVersion"])
def test_a_version_that_cannot_be_put_back_stays(
    changer: Changer, project: Project, server: GcpServer, call: str
) -> None:
    held = project.secrets["sentry-dsn-staging"]
    held.add("wrong")
    inverse = changer.perform(add(HELD), STAGING, RUN)
    server.deny(f"*/{call}")
    told = changer.revert(inverse, RUN)
    assert [item.state for item in held.versions] == ["ENABLED"] * 3
    assert "gcloud secrets versions access 2 --secret=sentry-dsn-staging --project=shop-staging | " in told
    assert changer.revert(inverse, RUN) == told


def test_an_answer_that_is_lost_puts_nothing_back_twice(
    changer: Changer, project: Project, server: GcpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = project.secrets["sentry-dsn-staging"]
    held.add("wrong")
    inverse = changer.perform(add(HELD), STAGING, RUN)
    lose_one_answer(server, monkeypatch, "/AddSecretVersion")
    assert "version 4 holds" in changer.revert(inverse, RUN)
    assert [item.state for item in held.versions] == ["ENABLED", "ENABLED", "DISABLED", "ENABLED"]


def test_without_the_right_to_read_there_is_still_one_version(
    changer: Changer, project: Project, server: GcpServer
) -> None:
    held = project.secrets["sentry-dsn-staging"]
    held.add("wrong")
    server.deny("*/AccessSecretVersion")
    inverse = changer.perform(add(HELD), STAGING, RUN)
    assert changer.perform(add(HELD), STAGING, RUN) == inverse
    assert len(held.versions) == 3
    assert changer.verify(add(HELD))


def test_an_answer_that_was_lost_is_no_second_version(
    changer: Changer, project: Project, server: GcpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is there, and its answer never came."""
    lost = lose_one_answer(server, monkeypatch, "/AddSecretVersion")
    changer.perform(create(), None, RUN)
    inverse = changer.perform(add(), STAGING, RUN)
    assert len(project.secrets["sentry-new"].versions) == 1
    assert json.loads(inverse)["version"] == 1
    assert lost


def lose_one_answer(server: GcpServer, monkeypatch: pytest.MonkeyPatch, method: str) -> list[int]:
    """Let one call do what it does, and its answer never come; gives a list that is filled by then."""
    real = server._answer
    lost: list[int] = []

    def lose(called: Any, *rest: Any) -> Any:
        answer = real(called, *rest)
        if called.name.endswith(method) and not lost:
            lost.append(1)
            raise lost_answer()
        return answer

    monkeypatch.setattr(server, "_answer", lose)
    return lost


def lost_answer() -> Exception:
    from tests.gcp_server.errors import RefusedError

    return RefusedError("UNAVAILABLE", f"connection lost while sending {STAGING}")


def test_a_dsn_is_in_no_error(changer: Changer, project: Project, server: GcpServer) -> None:
    changer.perform(create(), None, RUN)
    server.fail("*/AddSecretVersion", "INVALID_ARGUMENT", f"bad payload: {STAGING} {KEY}")
    with pytest.raises(FixFailed, match=r"bad payload: https://…c1f3@o123.ingest.us.sentry.io/451 …$") as caught:
        changer.perform(add(), STAGING, RUN)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert project.secrets["sentry-new"].versions == []


def test_a_version_that_was_refused_is_not_taken_for_ours(
    changer: Changer, project: Project, server: GcpServer
) -> None:
    held = project.secrets["sentry-dsn-staging"]
    held.add("wrong")
    server.deny("*/AddSecretVersion")
    error_of(lambda: changer.perform(add(HELD), STAGING, RUN), FixFailed)
    held.add("somebody's")
    assert changer.found(add(HELD), RUN) is None


def test_without_a_dsn_nothing_is_added(changer: Changer, server: GcpServer) -> None:
    changer.perform(create(), None, RUN)
    assert "--dsn-from" in error_of(lambda: changer.perform(add(), None, RUN), FixFailed)
    assert server.count("/AddSecretVersion") == 0


def test_a_checksum_that_nobody_compared_is_an_error(
    changer: Changer, server: GcpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.gcp_server import secret_manager

    real = secret_manager.version_message

    def unchecked(*given: Any) -> Any:
        made = real(*given)
        made.client_specified_payload_checksum = False
        return made

    monkeypatch.setattr(secret_manager, "version_message", unchecked)
    changer.perform(create(), None, RUN)
    assert "checksum" in error_of(lambda: changer.perform(add(), STAGING, RUN), FixFailed)
    assert crc32c(b"123456789") == 0xE3069283


def test_a_member_is_added_once_and_taken_out(changer: Changer, project: Project, server: GcpServer) -> None:
    policy = project.secrets["sentry-dsn-staging"].policy
    before = messages.clone(policy)
    inverse = changer.perform(grant(), None, RUN)
    [binding] = policy.bindings
    assert list(binding.members) == [*before.bindings[0].members, MEMBER]
    assert changer.perform(grant(), None, RUN) == inverse
    assert changer.verify(grant())
    assert server.count("SecretManagerService/SetIamPolicy") == 1
    changer.revert(inverse, RUN)
    assert policy.bindings == before.bindings
    assert not changer.verify(grant())
    changer.revert(inverse, RUN)
    assert server.count("SecretManagerService/SetIamPolicy") == 2


def test_a_condition_stays_with_its_own_binding(changer: Changer, project: Project) -> None:
    secret = project.secrets["sentry-dsn-staging"]
    secret.allow(MEMBER, condition="request.time < timestamp('2030-01-01T00:00:00Z')")
    secret.policy.etag = b"7"
    before = messages.clone(secret.policy)
    inverse = changer.perform(grant(), None, RUN)
    limited = next(item for item in secret.policy.bindings if item.HasField("condition"))
    free = next(item for item in secret.policy.bindings if not item.HasField("condition"))
    assert list(limited.members) == [MEMBER]
    assert MEMBER in free.members
    assert secret.policy.version == 3
    changer.revert(inverse, RUN)
    assert secret.policy.bindings == before.bindings


def test_a_member_that_was_there_stays(changer: Changer, project: Project) -> None:
    project.secrets["sentry-dsn-staging"].allow(MEMBER)
    inverse = changer.perform(grant(), None, RUN)
    assert "did not grant it" in changer.revert(inverse, RUN)
    assert changer.verify(grant())


@pytest.mark.parametrize(("times", "fails"), [(2, False), (3, True)])
def test_a_policy_that_others_write_is_read_anew(changer: Changer, server: GcpServer, times: int, fails: bool) -> None:
    server.fail("*SecretManagerService/SetIamPolicy", "ABORTED", "concurrent policy changes", times=times)
    if fails:
        error_of(lambda: changer.perform(grant(), None, RUN), FixFailed)
        return
    assert json.loads(changer.perform(grant(), None, RUN))["granted"] is True
    assert server.count("SecretManagerService/GetIamPolicy") == 3


# --- services -------------------------------------------------------------------------------------


def test_plain_becomes_secret_in_one_revision(changer: Changer, project: Project, server: GcpServer) -> None:
    before = messages.clone(deploy(project, {"SENTRY_DSN": STAGING, "MORE": "1"}))
    revisions = set(project.revisions)
    operation = update(before.etag, FROM_SECRET)
    inverse = changer.perform(operation, STAGING, RUN)
    after = project.services[API]
    assert env_of(after.template) == {"SENTRY_DSN": ("sentry-dsn-staging", "latest"), "MORE": "1"}
    assert len(set(project.revisions) - revisions) == 1
    assert after.latest_ready_revision == after.latest_created_revision != before.latest_created_revision
    assert KEY.encode() not in inverse
    assert KEY not in str(after.annotations)
    assert changer.verify(operation)
    assert changer.perform(operation, STAGING, RUN) == inverse
    assert len(set(project.revisions) - revisions) == 1
    assert [call.code for call in server.calls if call.method.endswith("/UpdateService")] == ["OK", "OK"]
    assert changer.revert(inverse, RUN) == f"{API} is as it was"
    assert project.services[API].template == before.template
    assert project.services[API].annotations == before.annotations
    assert changer.revert(inverse, RUN) == f"{API} is as it was"
    assert server.count("/UpdateService") == 4


def test_it_is_checked_before_it_is_done(changer: Changer, project: Project, server: GcpServer) -> None:
    before = messages.clone(deploy(project, {}))
    server.fail("*/UpdateService", "INVALID_ARGUMENT", "no such thing", times=1)
    told = error_of(lambda: changer.perform(update(before.etag, FROM_SECRET), None, RUN), FixFailed)
    assert "no such thing" in told
    assert server.count("/UpdateService") == 1
    assert project.services[API] == before


def test_two_changes_of_one_service_in_one_run(changer: Changer, project: Project) -> None:
    before = messages.clone(deploy(project, {"SENTRY_ENVIRONMENT": "production"}))
    operations = [update(before.etag, FROM_SECRET), update(before.etag, ("SENTRY_ENVIRONMENT", "", "staging"))]
    inverses = [changer.perform(item, None, RUN) for item in operations]
    assert [changer.perform(item, None, RUN) for item in operations] == inverses
    assert env_of(project.services[API].template) == {
        "SENTRY_ENVIRONMENT": "staging",
        "SENTRY_DSN": ("sentry-dsn-staging", "latest"),
    }
    for inverse in reversed(inverses):
        changer.revert(inverse, RUN)
    assert project.services[API].template == before.template
    assert project.services[API].annotations == {}


def test_what_is_so_already_gets_a_new_revision(changer: Changer, project: Project) -> None:
    before = messages.clone(project.services[API])
    operation = update(before.etag, FROM_SECRET)
    inverse = changer.perform(operation, None, RUN)
    after = project.services[API]
    assert after.latest_ready_revision != before.latest_ready_revision
    assert after.template.containers == before.template.containers
    assert changer.perform(operation, None, RUN) == inverse
    assert project.services[API].latest_ready_revision == after.latest_ready_revision
    changer.revert(inverse, RUN)
    assert project.services[API].template == before.template


def test_unknown_fields_survive(changer: Changer, project: Project) -> None:
    service = deploy(project, {"SENTRY_DSN": STAGING})
    with_unknown_field(service)
    with_unknown_field(service.template)
    with_unknown_field(service.template.containers[0])
    with_unknown_field(service.template.containers[0].env[0])
    inverse = changer.perform(update(service.etag, FROM_SECRET), None, RUN)
    _assert_unknown(project.services[API])
    changer.revert(inverse, RUN)
    _assert_unknown(project.services[API])


def _assert_unknown(service: Any) -> None:
    """Each level has its own, which the levels below it cannot stand for."""
    assert service.SerializeToString().count(b"from a newer server") == 4
    assert b"from a newer server" in service.template.containers[0].env[0].SerializeToString()


def test_somebody_elses_change_is_not_overwritten(changer: Changer, project: Project, server: GcpServer) -> None:
    seen = project.services[API].etag
    theirs = messages.clone(deploy(project, {"THEIRS": "1"}))
    told = error_of(lambda: changer.perform(update(seen, FROM_SECRET), None, RUN), Stale)
    assert "was changed since it was looked at" in told
    assert project.services[API] == theirs
    assert server.count("/UpdateService") == 0


def test_a_change_in_between_is_not_overwritten(
    changer: Changer, project: Project, server: GcpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody deploys after the service was read and before it is written."""
    seen, real = deploy(project, {}).etag, server._answer

    def answer(method: Any, *rest: Any) -> Any:
        if method.name.endswith("/UpdateService") and "THEIRS" not in env_of(project.services[API].template):
            deploy(project, {"THEIRS": "1"})
        return real(method, *rest)

    monkeypatch.setattr(server, "_answer", answer)
    error_of(lambda: changer.perform(update(seen, FROM_SECRET), None, RUN), Stale)
    assert env_of(project.services[API].template) == {"THEIRS": "1"}


def test_a_change_since_is_not_undone(changer: Changer, project: Project, server: GcpServer) -> None:
    inverse = changer.perform(update(deploy(project, {}).etag, FROM_SECRET), None, RUN)
    theirs = messages.clone(project.services[API])
    theirs.template.containers[0].env.add(name="THEIRS", value="1")
    redeploy(project, API, theirs.template)
    asked = server.count("/UpdateService")
    assert "was changed since this run" in error_of(lambda: changer.revert(inverse, RUN), Stale)
    assert "THEIRS" in env_of(project.services[API].template)
    assert server.count("/UpdateService") == asked


def test_a_revisions_name_is_not_taken_twice(changer: Changer, project: Project) -> None:
    service = deploy(project, {}, revision="shop-api-staging-named")
    assert service.template.revision == "shop-api-staging-named"
    inverse = changer.perform(update(service.etag, FROM_SECRET), None, RUN)
    assert project.services[API].template.revision == ""
    changer.revert(inverse, RUN)
    assert env_of(project.services[API].template) == {}


def test_only_the_container_that_requests_reach_is_changed(changer: Changer, project: Project) -> None:
    sidecar = container("europe-docker.pkg.dev/shop/otel:1", {"A": "1"}, name="otel")
    service = deploy(project, {}, sidecars=[sidecar])
    before = messages.clone(service.template)
    inverse = changer.perform(update(service.etag, FROM_SECRET), None, RUN)
    template = project.services[API].template
    assert env_of(template) == {"SENTRY_DSN": ("sentry-dsn-staging", "latest")}
    assert template.containers[1] == before.containers[1]
    changer.revert(inverse, RUN)
    assert project.services[API].template == before


def test_a_container_that_is_gone_is_told(changer: Changer, project: Project) -> None:
    operation = update(project.services[API].etag, FROM_SECRET, container="worker")
    assert "no container worker" in error_of(lambda: changer.perform(operation, None, RUN), Stale)


# --- rollouts -------------------------------------------------------------------------------------


def test_a_revision_that_does_not_come_up_is_taken_back(
    changer: Changer, state: State, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = messages.clone(deploy(project, {"MORE": "1"}))
    operation = update(before.etag, FROM_SECRET)
    real = rollouts.deploy

    def first_fails(*given: Any, **rest: Any) -> Any:
        state.rollouts[API] = Rollout(outcome="ready" if state.rollouts else "failed")
        return real(*given, **rest)

    monkeypatch.setattr(rollouts, "deploy", first_fails)
    told = error_of(lambda: changer.perform(operation, None, RUN), FixFailed)
    assert changer.found(operation, RUN) is None
    assert "HEALTH_CHECK_CONTAINER_ERROR" in told
    assert "put back and serves" in told
    assert "gcloud run services describe shop-api-staging --project=shop-staging --region=europe-west1" in told
    after = project.services[API]
    assert after.template == before.template
    assert after.annotations == {}
    assert after.latest_ready_revision == after.latest_created_revision
    assert [item.type_ for item in after.traffic_statuses] == [item.type_ for item in before.traffic_statuses]


def test_a_secret_that_cannot_be_read_is_why(changer: Changer, project: Project) -> None:
    project.add_secret("unreadable", STAGING)
    before = messages.clone(deploy(project, {}))
    told = error_of(
        lambda: changer.perform(update(before.etag, ("SENTRY_DSN", "unreadable", "latest")), None, RUN), FixFailed
    )
    assert "SECRETS_ACCESS_CHECK_FAILED" in told
    assert "put back and serves" in told
    assert project.services[API].template == before.template


def test_a_rollout_that_never_ends_is_bounded(server: GcpServer, state: State, project: Project) -> None:
    etag = deploy(project, {}).etag
    state.rollouts[API] = Rollout(outcome="never")
    started = time.monotonic()
    with Changer(CloudOptions(endpoint=server.endpoint), patience=1) as changer:
        told = error_of(lambda: changer.perform(update(etag, FROM_SECRET), None, RUN), FixFailed)
    assert GAVE_UP in told
    assert time.monotonic() - started < 8
    assert env_of(project.services[API].template) == {}


def test_a_slow_rollout_is_waited_for(changer: Changer, state: State, project: Project) -> None:
    etag = deploy(project, {}).etag
    state.rollouts[API] = Rollout(seconds=0.6)
    changer.perform(update(etag, FROM_SECRET), None, RUN)
    after = project.services[API]
    assert not after.reconciling
    assert after.latest_ready_revision == after.latest_created_revision


def test_without_the_right_to_see_operations_the_service_tells(
    changer: Changer, state: State, project: Project, server: GcpServer
) -> None:
    etag = deploy(project, {}).etag
    state.rollouts[API] = Rollout(seconds=0.5)
    server.deny("*/GetOperation")
    changer.perform(update(etag, FROM_SECRET), None, RUN)
    assert not project.services[API].reconciling


def test_an_update_whose_answer_was_lost_is_recognized(
    changer: Changer, project: Project, server: GcpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    etag, real = deploy(project, {}).etag, server._answer

    def answer(method: Any, request: Any, *rest: Any) -> Any:
        made = real(method, request, *rest)
        if method.name.endswith("/UpdateService") and not request.validate_only:
            raise lost_answer()
        return made

    monkeypatch.setattr(server, "_answer", answer)
    inverse = changer.perform(update(etag, FROM_SECRET), None, RUN)
    assert json.loads(inverse)["was"]
    assert env_of(project.services[API].template)["SENTRY_DSN"] == ("sentry-dsn-staging", "latest")


# --- killed ---------------------------------------------------------------------------------------


def test_a_run_that_is_killed_finds_what_it_did(server: GcpServer, project: Project) -> None:
    """Between the change and the journal: another process does it again, under the same run."""
    before = messages.clone(deploy(project, {"SENTRY_DSN": STAGING}))
    secrets = set(project.secrets)
    operations = [
        create(),
        add(),
        grant(SECRET),
        Operation(does="grant", resource=SECRET, member=f"serviceAccount:{project.default_account}", summary=""),
        update(before.etag, ("SENTRY_DSN", "sentry-new", "latest")),
    ]
    first = []
    for operation in operations:
        with Changer(CloudOptions(endpoint=server.endpoint), patience=5) as killed:
            first.append(killed.perform(operation, STAGING, RUN))
    with Changer(CloudOptions(endpoint=server.endpoint), patience=5) as changer:
        assert [changer.found(item, RUN) for item in operations] == first
        assert [changer.found(item, "run-2") for item in operations] == [None] * len(operations)
        assert [changer.perform(item, STAGING, RUN) for item in operations] == first
        assert len(project.secrets["sentry-new"].versions) == 1
        for inverse in reversed(first):
            changer.revert(inverse, RUN)
        assert [changer.found(item, RUN) for item in operations] == [None] * len(operations)
    assert project.services[API].template == before.template
    assert set(project.secrets) == secrets


def test_a_run_that_is_killed_while_it_rolls_out_waits_on(server: GcpServer, state: State, project: Project) -> None:
    before = messages.clone(deploy(project, {}))
    state.rollouts[API] = Rollout(seconds=1.5)
    operation = update(before.etag, FROM_SECRET)
    process = multiprocessing.get_context("spawn").Process(target=_perform, args=(server.endpoint, operation))
    process.start()
    until = time.monotonic() + 20
    while project.services[API].generation == before.generation and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.join()
    assert project.services[API].reconciling
    revisions = len(project.revisions)
    with Changer(CloudOptions(endpoint=server.endpoint), patience=5) as changer:
        inverse = changer.perform(operation, None, RUN)
        assert len(project.revisions) == revisions
        assert not project.services[API].reconciling
        assert server.count("/UpdateService") == 2
        state.rollouts.clear()
        changer.revert(inverse, RUN)
    assert project.services[API].template == before.template


def _perform(endpoint: str, operation: Operation) -> None:
    """What is killed: a process of its own."""
    Changer(CloudOptions(endpoint=endpoint), patience=30).perform(operation, None, RUN)


# --- traffic --------------------------------------------------------------------------------------


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def test_pinned_traffic_stays_until_it_is_moved(changer: Changer, project: Project) -> None:
    old = _short(deploy(project, {}).latest_ready_revision)
    service = route(project, API, to_revision(old, 100), to_latest(0, "next"))
    before = messages.clone(service)
    inverses = [changer.perform(update(before.etag, FROM_SECRET), None, RUN)]
    assert [(item.revision, item.percent) for item in project.services[API].traffic_statuses if item.percent] == [
        (old, 100)
    ]
    operation = move(before.etag)
    assert not changer.verify(operation)
    inverses.append(changer.perform(operation, None, RUN))
    assert changer.perform(operation, None, RUN) == inverses[-1]
    assert changer.verify(operation)
    targets = project.services[API].traffic
    assert [(item.revision, item.percent, item.tag) for item in targets] == [("", 100, "next")]
    for inverse in reversed(inverses):
        changer.revert(inverse, RUN)
    assert project.services[API].traffic == before.traffic
    assert project.services[API].template == before.template


def test_tags_of_revisions_stay(changer: Changer, project: Project) -> None:
    old = _short(deploy(project, {}).latest_ready_revision)
    deploy(project, {"MORE": "1"})
    service = route(project, API, to_revision(old, 60, "old"), to_latest(40))
    inverse = changer.perform(move(service.etag), None, RUN)
    targets = project.services[API].traffic
    assert [(item.revision, item.percent, item.tag) for item in targets] == [("", 100, ""), (old, 0, "old")]
    changer.revert(inverse, RUN)
    assert [(item.revision, item.percent) for item in project.services[API].traffic] == [(old, 60), ("", 40)]


def test_traffic_does_not_move_to_what_did_not_come_up(changer: Changer, project: Project) -> None:
    old = _short(deploy(project, {}).latest_ready_revision)
    route(project, API, to_revision(old))
    service = deploy(project, {"MORE": "1"}, Rollout(outcome="failed"))
    told = error_of(lambda: changer.perform(move(service.etag), None, RUN), FixFailed)
    assert "HEALTH_CHECK_CONTAINER_ERROR" in told
    assert _short(project.services[API].traffic[0].revision) == old


def test_traffic_that_goes_there_already_is_left(changer: Changer, project: Project, server: GcpServer) -> None:
    inverse = changer.perform(move(project.services[API].etag), None, RUN)
    assert server.count("/UpdateService") == 0
    assert changer.revert(inverse, RUN) == f"{API} was not changed"


# --- jobs and worker pools ------------------------------------------------------------------------


def test_a_job_gets_it_and_gives_it_back(changer: Changer, project: Project) -> None:
    job = add_job(project, "nightly", env={"SENTRY_ENVIRONMENT": "production"})
    before = messages.clone(job)
    operation = update(job.etag, FROM_SECRET, ("SENTRY_ENVIRONMENT", "", "staging"), resource=job.name)
    inverse = changer.perform(operation, None, RUN)
    template = project.jobs[job.name].template.template
    assert env_of(template) == {"SENTRY_ENVIRONMENT": "staging", "SENTRY_DSN": ("sentry-dsn-staging", "latest")}
    assert changer.verify(operation)
    assert changer.perform(operation, None, RUN) == inverse
    changer.revert(inverse, RUN)
    assert project.jobs[job.name].template == before.template


def test_a_jobs_plain_dsn_cannot_be_put_back_and_that_is_told(changer: Changer, project: Project) -> None:
    job = add_job(project, "nightly", env={"SENTRY_DSN": STAGING})
    inverse = changer.perform(update(job.etag, FROM_SECRET, resource=job.name), None, RUN)
    assert KEY.encode() not in inverse
    assert "is not kept" in json.loads(inverse)["note"]
    assert "is not kept" in error_of(lambda: changer.revert(inverse, RUN), FixFailed)


def test_a_worker_pool_gets_a_new_revision(changer: Changer, project: Project) -> None:
    pool = add_pool(project, "mailer", env={"SENTRY_DSN": STAGING})
    before = messages.clone(pool)
    operation = update(pool.etag, FROM_SECRET, resource=pool.name)
    inverse = changer.perform(operation, None, RUN)
    after = project.pools[pool.name]
    assert env_of(after.template) == {"SENTRY_DSN": ("sentry-dsn-staging", "latest")}
    assert after.latest_ready_revision != before.latest_ready_revision
    assert changer.verify(operation)
    changer.revert(inverse, RUN)
    assert project.pools[pool.name].template == before.template


# --- refused --------------------------------------------------------------------------------------

DENIED: list[tuple[str, Callable[[str], Operation], str]] = [
    ("*/CreateSecret", lambda etag: create(), "secretmanager.secrets.create"),
    ("*/AddSecretVersion", lambda etag: add(HELD), "secretmanager.versions.add"),
    ("*SecretManagerService/SetIamPolicy", lambda etag: grant(), "secretmanager.secrets.setIamPolicy"),
    ("*/UpdateService", lambda etag: update(etag, FROM_SECRET), "run.services.update"),
    ("*/GetService", lambda etag: update(etag, FROM_SECRET), "run.services.get"),
]


@pytest.mark.parametrize(("method", "operation", "permission"), DENIED, ids=[item[2] for item in DENIED])
def test_a_missing_permission_is_named(
    changer: Changer, server: GcpServer, project: Project, method: str, operation: Any, permission: str
) -> None:
    etag = deploy(project, {}).etag
    before = messages.clone(project.services[API])
    server.deny(method)
    told = error_of(lambda: changer.perform(operation(etag), f"{STAGING}9", RUN), FixFailed)
    assert permission in told
    assert "gcloud " in told
    assert project.services[API] == before
    assert len(project.secrets["sentry-dsn-staging"].versions) == 1
    server.heal()
    changer.perform(operation(etag), f"{STAGING}9", RUN)


def test_to_act_as_the_service_account_is_a_right_of_its_own(
    changer: Changer, server: GcpServer, project: Project
) -> None:
    from tests.gcp_server.errors import error_info

    etag = deploy(project, {}).etag
    info = error_info("IAM_PERMISSION_DENIED", "iam.googleapis.com", permission="iam.serviceaccounts.actAs")
    server.fail("*/UpdateService", "PERMISSION_DENIED", "Permission denied", details=[info])
    told = error_of(lambda: changer.perform(update(etag, FROM_SECRET), None, RUN), FixFailed)
    account = project.default_account
    assert f"gcloud iam service-accounts add-iam-policy-binding {account}" in told
    assert "roles/iam.serviceAccountUser" in told


def test_a_silent_cloud_ends(server: GcpServer, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentry_audit.sources.gcp import calls

    monkeypatch.setattr(calls, "PER_CALL", 0.5)
    etag = deploy(project, {}).etag
    server.hang("*/UpdateService")
    with Changer(CloudOptions(endpoint=server.endpoint), patience=1) as changer:
        told = error_of(lambda: changer.perform(update(etag, FROM_SECRET), None, RUN), FixFailed)
    assert "gave no answer" in told
    assert env_of(project.services[API].template) == {}


def test_a_remote_endpoint_is_refused() -> None:
    with pytest.raises(UsageError):
        Changer(CloudOptions(endpoint="run.googleapis.com:443"))


def test_an_operation_that_is_none_is_refused(changer: Changer) -> None:
    with pytest.raises(UsageError):
        changer.perform(Operation(does="delete-everything", resource=API, summary=""), None, RUN)


def test_the_role_is_the_one_that_the_audit_looks_for() -> None:
    from sentry_audit.sources.gcp.vault import ROLE

    assert ROLE == ACCESSOR
