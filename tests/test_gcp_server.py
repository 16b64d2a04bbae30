"""The loopback Google Cloud, asked by Google's own Python clients over gRPC."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.api_core.future import polling
from google.api_core.retry import Retry
from google.cloud import run_v2
from google.rpc import error_details_pb2

from tests.gcp_server import messages as m
from tests.gcp_server.building import add_job, add_pool, add_service, redeploy, route
from tests.gcp_server.clients import Clients
from tests.gcp_server.secret_manager import crc32c
from tests.gcp_server.server import GcpServer
from tests.gcp_server.state import ACCESSOR, Project, Rollout, State, grant, revoke

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = "projects/shop"
REGION = f"{PROJECT}/locations/europe-west1"
SECRET = f"{PROJECT}/secrets/sentry-dsn"
PAYLOAD = "https://feedface00feedface00feedface0000@o1.ingest.de.sentry.io/102"
ACCESS = "google.cloud.secretmanager.v1.SecretManagerService/AccessSecretVersion"
ONCE = {"retry": None, "timeout": 5}


@pytest.fixture
def state() -> State:
    made = State()
    project = made.add_project("shop", "210987654321")
    project.add_secret("sentry-dsn", PAYLOAD, accessors=[project.default_account])
    return made


@pytest.fixture
def shop(state: State) -> Project:
    return state.projects["shop"]


@pytest.fixture
def server(state: State) -> Iterator[GcpServer]:
    with GcpServer(state) as made:
        yield made


@pytest.fixture
def clients(server: GcpServer) -> Iterator[Clients]:
    with Clients(server.endpoint) as made:
        yield made


def with_dsn(**rest: Any) -> Any:
    return m.template(env={"SENTRY_DSN": m.SecretRef("sentry-dsn")}, **rest)


# Secret Manager


def test_names_in_answers_carry_the_projects_number(clients: Clients) -> None:
    [secret] = clients.secrets.list_secrets(parent=PROJECT)
    assert secret.name == "projects/210987654321/secrets/sentry-dsn"
    assert secret.etag.startswith('"')
    assert clients.secrets.get_secret(name=secret.name).create_time == secret.create_time


def test_a_payload_has_its_castagnoli_checksum(clients: Clients, shop: Project) -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    assert crc32c(b"not-a-secret") == 679015127  # as Google's own server answered, in golang/oscar's recording
    answer = clients.secrets.access_secret_version(name=f"{SECRET}/versions/latest")
    assert answer.name == "projects/210987654321/secrets/sentry-dsn/versions/1"
    assert (answer.payload.data, answer.payload.data_crc32c) == (PAYLOAD.encode(), crc32c(PAYLOAD.encode()))
    with pytest.raises(exceptions.InvalidArgument, match="checksum"):
        clients.secrets.add_secret_version(parent=SECRET, payload={"data": b"x", "data_crc32c": 1})
    added = clients.secrets.add_secret_version(parent=SECRET, payload={"data": b"x", "data_crc32c": crc32c(b"x")})
    assert added.client_specified_payload_checksum
    assert shop.secrets["sentry-dsn"].versions[1].payload == b"x"


@pytest.mark.parametrize("data", [b"", b"x" * 65_537])
def test_a_payload_has_1_to_65536_bytes(clients: Clients, data: bytes) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="65536"):
        clients.secrets.add_secret_version(parent=SECRET, payload={"data": data})


def test_latest_is_the_newest_even_when_it_is_disabled(clients: Clients, shop: Project) -> None:
    shop.secrets["sentry-dsn"].add("second", alias="stable")
    shop.secrets["sentry-dsn"].add("third")
    latest = clients.secrets.get_secret_version(name=f"{SECRET}/versions/latest")
    clients.secrets.disable_secret_version(name=latest.name)
    with pytest.raises(exceptions.FailedPrecondition, match="versions/3] is in DISABLED state"):
        clients.secrets.access_secret_version(name=f"{SECRET}/versions/latest")
    assert clients.secrets.access_secret_version(name=f"{SECRET}/versions/stable").payload.data == b"second"
    clients.secrets.destroy_secret_version(name=latest.name)
    with pytest.raises(exceptions.FailedPrecondition, match="DESTROYED"):
        clients.secrets.enable_secret_version(name=latest.name)
    states = [item.state.name for item in clients.secrets.list_secret_versions(parent=SECRET)]
    assert states == ["DESTROYED", "ENABLED", "ENABLED"]
    enabled = clients.secrets.list_secret_versions(request={"parent": SECRET, "filter": "state:ENABLED"})
    assert len(list(enabled)) == 2


def test_what_is_not_there_is_named_as_google_names_it(clients: Clients) -> None:
    text = r"Secret \[projects/210987654321/secrets/nope\] not found or has no versions."
    with pytest.raises(exceptions.NotFound, match=text):
        clients.secrets.access_secret_version(name=f"{PROJECT}/secrets/nope/versions/latest")
    with pytest.raises(exceptions.NotFound, match=r"versions/9\] not found"):
        clients.secrets.get_secret_version(name=f"{SECRET}/versions/9")
    with pytest.raises(exceptions.Forbidden) as caught:
        clients.secrets.get_secret(name="projects/other/secrets/x")
    assert caught.value.reason == "CONSUMER_INVALID"


def test_pages_hold_for_one_request(clients: Clients, shop: Project, server: GcpServer) -> None:
    for index in range(24):
        shop.add_secret(f"other-{index:02d}", "x")
    request = {"parent": PROJECT, "page_size": 10}
    pages = list(clients.secrets.list_secrets(request=request).pages)
    assert [len(page.secrets) for page in pages] == [10, 10, 5]
    assert len({secret.name for page in pages for secret in page.secrets}) == 25
    assert server.count("ListSecrets") == 3
    for token in ("nonsense", pages[0].next_page_token):
        with pytest.raises(exceptions.InvalidArgument, match="page token"):
            clients.secrets.list_secrets(request={**request, "filter": "name:x", "page_token": token})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("name:dsn", {"sentry-dsn", "other-dsn"}),
        ("name:sentry OR name:token", {"sentry-dsn", "token"}),
        ("labels.team=shop", {"token"}),
        ("name:dsn AND name:other", {"other-dsn"}),
        ("name:DSN", {"sentry-dsn", "other-dsn"}),
    ],
)
def test_secrets_are_filtered(clients: Clients, shop: Project, expression: str, expected: set[str]) -> None:
    shop.add_secret("other-dsn", "x")
    shop.add_secret("token", "x").labels = {"team": "shop"}
    found = clients.secrets.list_secrets(request={"parent": PROJECT, "filter": expression})
    assert {item.name.rpartition("/")[2] for item in found} == expected
    with pytest.raises(exceptions.InvalidArgument):
        clients.secrets.list_secrets(request={"parent": PROJECT, "filter": "name~x"})


def test_a_secret_is_created_changed_and_deleted(clients: Clients, shop: Project) -> None:
    secret = {"replication": {"user_managed": {"replicas": [{"location": "europe-west1"}]}}}
    made = clients.secrets.create_secret(parent=PROJECT, secret_id="new", secret=secret)
    assert made.replication.user_managed.replicas[0].location == "europe-west1"
    with pytest.raises(exceptions.AlreadyExists):
        clients.secrets.create_secret(parent=PROJECT, secret_id="new", secret=secret)
    made.labels["team"] = "shop"
    with pytest.raises(exceptions.InvalidArgument, match="mask"):
        clients.secrets.update_secret(secret=made)
    stale = made.etag
    made = clients.secrets.update_secret(secret=made, update_mask={"paths": ["labels"]})
    assert shop.secrets["new"].labels == {"team": "shop"}
    with pytest.raises(exceptions.FailedPrecondition, match="etag"):
        clients.secrets.delete_secret(request={"name": made.name, "etag": stale})
    clients.secrets.delete_secret(request={"name": made.name, "etag": made.etag})
    assert "new" not in shop.secrets


# IAM


def test_a_policy_changes_only_where_nobody_else_changed_it(clients: Clients, shop: Project) -> None:
    policy = clients.secrets.get_iam_policy(request={"resource": SECRET})
    shop.secrets["sentry-dsn"].allow("other@shop.iam.gserviceaccount.com")
    grant(policy, ACCESSOR, "mine@shop.iam.gserviceaccount.com")
    policy.etag = b"stale"
    with pytest.raises(exceptions.Aborted, match="concurrent policy changes"):
        clients.secrets.set_iam_policy(request={"resource": SECRET, "policy": policy})
    policy = clients.secrets.get_iam_policy(request={"resource": SECRET})
    policy.bindings[0].members.append("serviceAccount:mine@shop.iam.gserviceaccount.com")
    clients.secrets.set_iam_policy(request={"resource": SECRET, "policy": policy})
    assert len(shop.secrets["sentry-dsn"].policy.bindings[0].members) == 3


def test_conditions_are_seen_by_those_who_ask_for_version_3(clients: Clients, shop: Project) -> None:
    shop.secrets["sentry-dsn"].allow("other@x.iam.gserviceaccount.com", condition="request.time < timestamp('2030')")
    old = clients.secrets.get_iam_policy(request={"resource": SECRET})
    assert old.bindings[1].role.startswith(f"{ACCESSOR}_withcond_")
    new = clients.secrets.get_iam_policy(request={"resource": SECRET, "options": {"requested_policy_version": 3}})
    assert (new.bindings[1].role, new.version) == (ACCESSOR, 3)
    assert "2030" in new.bindings[1].condition.expression
    new.version = 1
    with pytest.raises(exceptions.InvalidArgument, match="version must be 3"):
        clients.secrets.set_iam_policy(request={"resource": SECRET, "policy": new})


def test_a_projects_policy_needs_no_routing_header(clients: Clients, shop: Project) -> None:
    grant(shop.policy, "roles/editor", shop.default_account)
    [binding] = clients.project_policy("shop").bindings
    assert (binding.role, list(binding.members)) == ("roles/editor", [f"serviceAccount:{shop.default_account}"])


def test_each_identity_has_its_permissions(server: GcpServer, state: State) -> None:
    state.tokens = {"t1": "viewer@example.com", "t2": "owner@example.com"}
    state.identities = {"viewer@example.com": {"secretmanager.secrets.get"}, "owner@example.com": "*"}
    with Clients(server.endpoint, token="t1") as viewer:
        viewer.secrets.get_secret(name=SECRET)
        with pytest.raises(exceptions.PermissionDenied) as caught:
            viewer.secrets.access_secret_version(name=f"{SECRET}/versions/latest")
        asked = ["secretmanager.secrets.get", "secretmanager.versions.access"]
        held = viewer.secrets.test_iam_permissions(request={"resource": SECRET, "permissions": asked})
        assert list(held.permissions) == asked[:1]
        with pytest.raises(exceptions.PermissionDenied, match=r"denied on resource '.*' .or resource may not exist"):
            list(viewer.services.list_services(parent=REGION))
    error = caught.value
    resource = f"{SECRET}/versions/latest"
    assert (error.reason, error.domain) == ("IAM_PERMISSION_DENIED", "iam.googleapis.com")
    assert error.metadata == {"permission": "secretmanager.versions.access", "resource": resource}
    text = f"Permission 'secretmanager.versions.access' denied for resource '{resource}' (or it may not exist)."
    assert error.message == text
    with Clients(server.endpoint, token="t2") as owner:
        owner.secrets.access_secret_version(name=resource)
    with Clients(server.endpoint, token="nobody's") as stranger, pytest.raises(exceptions.Unauthenticated):
        stranger.secrets.get_secret(name=SECRET)
    identities = [(call.identity, call.code) for call in server.calls]
    assert identities[0] == ("viewer@example.com", "OK")
    assert identities[-1] == ("unknown", "UNAUTHENTICATED")
    state.anonymous = None
    with Clients(server.endpoint) as nobody, pytest.raises(exceptions.Unauthenticated):
        nobody.secrets.get_secret(name=SECRET)


# Cloud Run


def test_an_update_makes_a_revision_that_takes_the_traffic(clients: Clients, shop: Project) -> None:
    add_service(shop, "api", m.template(env={"A": "1"}))
    service = clients.services.get_service(name=f"{REGION}/services/api")
    assert service.template.service_account == shop.default_account
    first = service.latest_ready_revision
    service.template.containers[0].env.append(run_v2.EnvVar(name="B", value="2"))
    operation = clients.services.update_service(service=service)
    assert operation.metadata.name == service.name
    done = operation.result(timeout=5)
    assert done.latest_ready_revision == done.latest_created_revision != first
    assert (done.generation, done.observed_generation, done.reconciling) == (2, 2, False)
    revision = clients.revisions.get_revision(name=done.latest_ready_revision)
    assert {item.name: item.value for item in revision.containers[0].env} == {"A": "1", "B": "2"}
    names = [item.name for item in clients.revisions.list_revisions(parent=service.name)]
    assert names == [done.latest_ready_revision, first]
    same = clients.services.update_service(service=done).result(timeout=5)
    assert same.latest_created_revision == done.latest_created_revision, "the template is the same"


def test_a_stale_etag_is_a_conflict(clients: Clients, shop: Project) -> None:
    add_service(shop, "api", m.template())
    service = clients.services.get_service(name=f"{REGION}/services/api")
    route(shop, service.name, m.to_latest())
    with pytest.raises(exceptions.Aborted):
        clients.services.update_service(service=service)
    service.etag = ""
    clients.services.update_service(service=service)


def test_an_echoed_revision_name_is_a_conflict(clients: Clients, shop: Project) -> None:
    add_service(shop, "api", m.template(revision="api-first"))
    service = clients.services.get_service(name=f"{REGION}/services/api")
    service.template.containers[0].image = "europe-docker.pkg.dev/x/y/z:2"
    with pytest.raises(exceptions.AlreadyExists, match="Revision named 'api-first' with different configuration"):
        clients.services.update_service(service=service)
    service.template.revision = ""
    revision = clients.services.update_service(service=service).result().latest_ready_revision
    assert "/api-00002-" in revision


def test_pinned_traffic_stays_pinned(clients: Clients, shop: Project) -> None:
    add_service(shop, "api", with_dsn(), earlier=[m.template()], traffic=[m.to_revision("api-00001")])
    service = clients.services.get_service(name=f"{REGION}/services/api")
    service.template.labels["new"] = "yes"
    service = clients.services.update_service(service=service).result()
    [status] = service.traffic_statuses
    assert (status.revision[:9], status.percent) == ("api-00001", 100)
    assert "api-00004" in service.latest_ready_revision
    serving = clients.revisions.get_revision(name=f"{service.name}/revisions/{status.revision}")
    assert not serving.containers[0].env


def test_traffic_must_be_whole_and_go_to_what_is_there(clients: Clients, shop: Project) -> None:
    add_service(shop, "api", m.template())
    service = clients.services.get_service(name=f"{REGION}/services/api")
    service.traffic[0].percent = 50
    with pytest.raises(exceptions.InvalidArgument, match="sum to 100"):
        clients.services.update_service(service=service)
    service.traffic = [
        run_v2.TrafficTarget(type_="TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", revision="no", percent=100)
    ]
    with pytest.raises(exceptions.InvalidArgument, match="does not exist"):
        clients.services.update_service(service=service)


def test_a_revision_whose_account_cannot_read_its_secret_does_not_come_up(clients: Clients, shop: Project) -> None:
    revoke(shop.secrets["sentry-dsn"].policy, ACCESSOR, shop.default_account)
    add_service(shop, "api", m.template())
    service = clients.services.get_service(name=f"{REGION}/services/api")
    ready = service.latest_ready_revision
    reference = {"secret_key_ref": {"secret": "sentry-dsn", "version": "latest"}}
    service.template.containers[0].env.append(run_v2.EnvVar(name="SENTRY_DSN", value_source=reference))
    with pytest.raises(exceptions.InternalServerError, match="Permission denied on secret: projects/210987654321/"):
        clients.services.update_service(service=service).result(timeout=5)
    service = clients.services.get_service(name=service.name)
    assert service.terminal_condition.state.name == "CONDITION_FAILED"
    assert service.terminal_condition.reason.name == "SECRETS_ACCESS_CHECK_FAILED"
    assert service.latest_ready_revision == ready != service.latest_created_revision
    grant(shop.policy, "roles/secretmanager.admin", shop.default_account)
    redeploy(shop, service.name, with_dsn(cpu_idle=False))
    service = clients.services.get_service(name=service.name)
    assert service.latest_ready_revision == service.latest_created_revision


@pytest.mark.parametrize("broken", ["disabled", "no secret", "no version"])
def test_a_revision_without_its_secret_does_not_come_up(shop: Project, broken: str) -> None:
    version = "7" if broken == "no version" else "latest"
    secret = "nope" if broken == "no secret" else "sentry-dsn"
    if broken == "disabled":
        shop.secrets["sentry-dsn"].versions[0].state = "DISABLED"
    service = add_service(shop, "api", m.template(env={"SENTRY_DSN": m.SecretRef(secret, version)}))
    assert not service.latest_ready_revision
    assert not service.traffic_statuses


def test_an_operation_ends_when_it_is_due(clients: Clients, shop: Project, state: State) -> None:
    add_service(shop, "api", m.template())
    name = f"{REGION}/services/api"

    def update(rollout: Rollout) -> Any:
        state.rollout = rollout
        service = clients.services.get_service(name=name)
        service.template.labels["n"] = str(service.generation)
        return clients.services.update_service(service=service)

    fast = polling.DEFAULT_POLLING.with_delay(0.01, 0.02).with_timeout(2)
    operation = update(Rollout(polls=3))
    assert not operation.done(retry=None)
    operation.result(polling=fast)
    operation = update(Rollout(outcome="failed"))
    with pytest.raises(exceptions.FailedPrecondition, match="failed to start and listen"):
        operation.result(polling=fast)
    assert (
        clients.services.get_service(name=name).terminal_condition.revision_reason.name
        == "HEALTH_CHECK_CONTAINER_ERROR"
    )
    operation = update(Rollout(outcome="never"))
    with pytest.raises((TimeoutError, exceptions.RetryError)):
        operation.result(polling=fast.with_timeout(0.1))
    service = clients.services.get_service(name=name)
    assert service.reconciling
    assert service.latest_created_revision != service.latest_ready_revision


def test_waiting_for_an_operation_lets_others_ask(clients: Clients, shop: Project, state: State) -> None:
    from google.longrunning import operations_pb2

    add_service(shop, "api", m.template())
    state.rollout = Rollout(seconds=0.2)
    service = clients.services.get_service(name=f"{REGION}/services/api")
    service.template.labels["n"] = "1"
    operation = clients.services.update_service(service=service)
    request = operations_pb2.WaitOperationRequest(name=operation.operation.name, timeout={"seconds": 5})
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(clients.services.wait_operation, request)
        assert clients.services.get_service(name=service.name).reconciling
        assert operations_pb2.Operation.FromString(waiting.result(5)).done, "the client leaves this answer as it came"


def test_what_a_client_does_not_know_survives(clients: Clients, shop: Project) -> None:
    service = add_service(shop, "api", m.template())
    m.with_unknown_field(service)
    m.with_unknown_field(service.template)
    service.ingress = 99
    seen = clients.services.get_service(name=service.name)
    seen.template.labels["n"] = "1"
    clients.services.update_service(service=seen).result()
    stored = shop.services[service.name]
    assert stored.SerializeToString().count(b"from a newer server") == 2
    assert stored.ingress == 99


def test_the_global_endpoint_takes_one_region_at_a_time(clients: Clients, shop: Project) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="wildcard"):
        clients.services.list_services(parent=f"{PROJECT}/locations/-")
    with pytest.raises(exceptions.MethodNotImplemented, match="not implemented, or supported, or enabled"):
        clients.services.list_services(parent=PROJECT)
    add_service(shop, "api", m.template(), region="us-central1")
    assert not list(clients.services.list_services(parent=REGION))
    shop.unreachable.add("europe-west1")
    [page] = clients.services.list_services(parent=REGION).pages
    assert list(page.unreachable) == [REGION]


def test_run_finds_the_region_in_the_routing_header(server: GcpServer, shop: Project) -> None:
    import grpc

    add_service(shop, "api", m.template())
    with grpc.insecure_channel(server.endpoint) as channel:
        call = channel.unary_unary("/google.cloud.run.v2.Services/GetService")
        request = run_v2.GetServiceRequest.serialize(run_v2.GetServiceRequest(name=f"{REGION}/services/api"))
        with pytest.raises(grpc.RpcError) as caught:
            call(request)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert call(request, metadata=[("x-goog-request-params", "location=europe-west1")])


def test_jobs_and_worker_pools(clients: Clients, shop: Project) -> None:
    add_job(shop, "nightly", env={"A": "1"})
    add_pool(shop, "queue", env={"A": "1"}, account="queue@shop.iam.gserviceaccount.com")
    [job] = clients.jobs.list_jobs(parent=REGION)
    job.template.template.containers[0].env.append(run_v2.EnvVar(name="B", value="2"))
    assert len(clients.jobs.update_job(job=job).result().template.template.containers[0].env) == 2
    assert clients.jobs.get_job(name=job.name).template.template.service_account == shop.default_account
    [pool] = clients.pools.list_worker_pools(parent=REGION)
    before = pool.latest_ready_revision
    pool = clients.pools.update_worker_pool(request={"worker_pool": pool, "force_new_revision": True}).result()
    assert pool.latest_ready_revision != before
    assert pool.instance_split_statuses[0].percent == 100


def test_a_service_is_created_checked_and_deleted(clients: Clients, shop: Project) -> None:
    service = run_v2.Service(template={"containers": [{"image": "x"}]})
    request = {"parent": REGION, "service_id": "api", "service": service}
    clients.services.create_service(request={**request, "validate_only": True})
    assert not shop.services
    made = clients.services.create_service(request=request).result()
    assert made.template.containers[0].resources.cpu_idle
    with pytest.raises(exceptions.AlreadyExists):
        clients.services.create_service(request=request)
    clients.services.delete_service(name=made.name).result()
    assert not shop.revisions
    with pytest.raises(exceptions.NotFound, match="Resource 'api' of kind 'SERVICE' in region 'europe-west1'"):
        clients.services.get_service(name=made.name)


# Faults


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("NOT_FOUND", exceptions.NotFound),
        ("PERMISSION_DENIED", exceptions.PermissionDenied),
        ("UNAUTHENTICATED", exceptions.Unauthenticated),
        ("RESOURCE_EXHAUSTED", exceptions.ResourceExhausted),
        ("UNAVAILABLE", exceptions.ServiceUnavailable),
        ("DEADLINE_EXCEEDED", exceptions.DeadlineExceeded),
        ("INTERNAL", exceptions.InternalServerError),
    ],
)
def test_a_method_fails_as_often_as_told(
    clients: Clients, server: GcpServer, code: str, error: type[Exception]
) -> None:
    server.fail(ACCESS, code, times=1, after=1)
    name = f"{SECRET}/versions/latest"
    clients.secrets.access_secret_version(name=name, **ONCE)
    with pytest.raises(error):
        clients.secrets.access_secret_version(name=name, **ONCE)
    clients.secrets.access_secret_version(name=name, **ONCE)
    assert [call.code for call in server.calls] == ["OK", code, "OK"]


def test_a_fault_can_be_about_one_resource(clients: Clients, server: GcpServer, shop: Project) -> None:
    shop.add_secret("other", "x")
    server.deny("*/AccessSecretVersion", where="sentry")
    clients.secrets.access_secret_version(name=f"{PROJECT}/secrets/other/versions/1", **ONCE)
    with pytest.raises(exceptions.PermissionDenied) as caught:
        clients.secrets.access_secret_version(name=f"{SECRET}/versions/1", **ONCE)
    assert caught.value.metadata["permission"] == "secretmanager.versions.access"
    server.heal()
    clients.secrets.access_secret_version(name=f"{SECRET}/versions/1", **ONCE)


def test_a_used_up_quota_says_when_to_come_back(clients: Clients, server: GcpServer) -> None:
    server.exhaust("*/GetSecret", retry_after=1.5)
    with pytest.raises(exceptions.ResourceExhausted) as caught:
        clients.secrets.get_secret(name=SECRET, **ONCE)
    [retry] = [item for item in caught.value.details if isinstance(item, error_details_pb2.RetryInfo)]
    assert retry.retry_delay.ToMilliseconds() == 1500
    assert caught.value.reason == "RATE_LIMIT_EXCEEDED"


def test_an_api_that_is_off_says_how_to_turn_it_on(clients: Clients, shop: Project) -> None:
    shop.disabled.add("run.googleapis.com")
    with pytest.raises(exceptions.PermissionDenied, match="Cloud Run Admin API has not been used in project") as caught:
        list(clients.services.list_services(parent=REGION))
    assert caught.value.reason == "SERVICE_DISABLED"
    assert caught.value.metadata["consumer"] == "projects/210987654321"
    clients.secrets.get_secret(name=SECRET)


def test_hang_malformed_and_reset(clients: Clients, server: GcpServer) -> None:
    server.malformed("*/GetSecret", times=1)
    with pytest.raises(exceptions.InternalServerError, match="deserializing"):
        clients.secrets.get_secret(name=SECRET, **ONCE)
    server.hang("*/GetSecret", times=1)
    started = time.monotonic()
    with pytest.raises(exceptions.DeadlineExceeded):
        clients.secrets.get_secret(name=SECRET, retry=None, timeout=0.2)
    assert time.monotonic() - started < 2
    server.reset("*/GetSecret", times=1)
    with pytest.raises(exceptions.ServiceUnavailable):
        clients.secrets.get_secret(name=SECRET, **ONCE)
    retry = Retry(initial=0.02, timeout=3)
    assert clients.secrets.get_secret(name=SECRET, retry=retry, timeout=3).name


def test_a_silent_socket_says_nothing(server: GcpServer) -> None:
    server.silent = True
    with Clients(server.endpoint) as clients, pytest.raises(exceptions.GoogleAPICallError) as caught:
        clients.secrets.get_secret(name=SECRET, retry=None, timeout=0.3)
    assert isinstance(caught.value, exceptions.DeadlineExceeded | exceptions.ServiceUnavailable)
    assert not server.calls


def test_latency_is_each_calls_own(clients: Clients, server: GcpServer) -> None:
    clients.secrets.get_secret(name=SECRET)
    server.latency = 0.5
    server.delays["*/AccessSecretVersion"] = 0.0
    started = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda _: clients.secrets.get_secret(name=SECRET), range(32)))
    took = time.monotonic() - started
    assert 0.5 <= took < 8, "one after the other they take 16 seconds"
    started = time.monotonic()
    clients.secrets.access_secret_version(name=f"{SECRET}/versions/1")
    assert time.monotonic() - started < 0.5
    assert all(call.ended - call.started >= 0.5 for call in server.calls[1:33])


def test_the_journal_holds_no_payload(clients: Clients, server: GcpServer) -> None:
    clients.secrets.access_secret_version(name=f"{SECRET}/versions/latest")
    clients.secrets.add_secret_version(parent=SECRET, payload={"data": b"canary-" + PAYLOAD.encode()})
    assert server.count("AccessSecretVersion") == 1
    assert server.calls[0].resource == f"{SECRET}/versions/latest"
    assert "feedface" not in repr(server.calls)


def test_it_stops_by_itself(state: State) -> None:
    before = threading.active_count()
    with GcpServer(state) as server:
        endpoint = server.endpoint
        server.hang("*/GetSecret")
        with Clients(endpoint) as clients, pytest.raises(exceptions.DeadlineExceeded):
            clients.secrets.get_secret(name=SECRET, retry=None, timeout=0.1)
    with Clients(endpoint) as clients, pytest.raises(exceptions.ServiceUnavailable):
        clients.secrets.get_secret(name=SECRET, retry=None, timeout=1)
    deadline = time.monotonic() + 3
    while threading.active_count() > before + 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threading.active_count() <= before + 2
