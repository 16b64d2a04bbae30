"""What is read of Google Cloud: the real clients against the loopback server."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sentry_audit.cloud import CloudOptions, Failure, Project, SecretReference, Service, Snapshot, Target
from sentry_audit.errors import UsageError
from sentry_audit.sources.gcp import calls, payloads, read
from tests.gcp_server import errors, secret_manager
from tests.gcp_server.building import add_job, add_pool, add_service
from tests.gcp_server.messages import SecretRef, container, template, to_latest, to_revision
from tests.gcp_server.rig import Rig
from tests.gcp_server.server import GcpServer
from tests.gcp_server.state import ACCESSOR, Rollout, State, grant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
Env = dict[str, str | SecretRef]
PROJECT, NUMBER = "shop-staging", "685789191942"
DEFAULT = f"{NUMBER}-compute@developer.gserviceaccount.com"
KEY = "0123456789abcdef0123456789abcdef"
DSN = f"https://{KEY}@o123.ingest.us.sentry.io/451"
SHOWN = "https://…cdef@o123.ingest.us.sentry.io/451"
API = Target(component="api", environment="staging", project=PROJECT, service="api", regions=("europe-west1",))
CANARY = "c4n4ryc4n4ryc4n4ryc4n4ryc4n4ry00"


@pytest.fixture
def state() -> State:
    """A service that takes its DSN from a secret, a job, a worker pool, and secrets that do not matter."""
    made = State()
    project = made.add_project(PROJECT, NUMBER)
    project.add_secret("sentry-dsn-staging", DSN, accessors=[DEFAULT])
    project.add_secret("db-password", CANARY)
    env: Env = {"SENTRY_DSN": SecretRef("sentry-dsn-staging"), "SENTRY_ENVIRONMENT": "staging", "PASSWORD": CANARY}
    add_service(project, "api", template(env=env))
    add_service(project, "site", template(env={"X": "1"}))
    return made


@pytest.fixture(scope="module")
def running() -> Iterator[GcpServer]:
    with GcpServer(State()) as server:
        yield server


@pytest.fixture
def server(running: GcpServer, state: State) -> GcpServer:
    """The one server, with a world of its own, without faults and with an empty journal."""
    running.heal()
    running.state = state
    running.calls.clear()
    return running


def ask(server: GcpServer, *targets: Target, **options: Any) -> Snapshot:
    return read(list(targets) or [API], CloudOptions(endpoint=server.endpoint, **options))


def only(snapshot: Snapshot) -> Project:
    assert snapshot.failure is None
    return snapshot.projects[0]


def service(snapshot: Snapshot, name: str) -> Service:
    return next(item for item in only(snapshot).services if item.name == name)


def called(server: GcpServer) -> list[str]:
    return sorted(call.method.rpartition("/")[2] for call in server.calls)


# --- what is there ---


def test_a_service_and_its_secret_are_read(server: GcpServer) -> None:
    seen = []
    options = CloudOptions(endpoint=server.endpoint)
    snapshot = read([API], options, lambda done, total, what: seen.append((done, total, what)))
    project = only(snapshot)
    assert (project.id, project.number, project.regions) == (PROJECT, NUMBER, ("europe-west1",))
    assert [item.name for item in project.services] == ["api", "site"]
    api, site = project.services
    assert site.serving is None
    assert site.template.containers[0].variables == ()
    container = api.template.containers[0]
    assert [item.name for item in container.variables] == ["SENTRY_DSN", "SENTRY_ENVIRONMENT"]
    assert container.variables[0].secret == "sentry-dsn-staging"
    assert container.variables[1].value == "staging"
    assert api.template.account == DEFAULT
    assert api.serving is not None
    assert [(item.percent, item.pinned, item.template) for item in api.serving] == [(100, False, api.template)]
    assert api.serving[0].revision == api.latest_ready
    assert api.serving[0].created
    secret = project.secrets[0]
    version = secret.version("latest")
    assert version is not None
    assert version.dsn is not None
    assert (secret.exists, version.number, version.state) == (True, "1", "ENABLED")
    assert (version.dsn.shown, version.dsn.valid, version.dsn.project) == (SHOWN, True, "451")
    assert secret.grants is not None
    assert secret.grants[0].role == ACCESSOR
    assert project.grants is None
    assert (project.unlisted, project.unnamed) == ((), None)
    assert snapshot.identity == f"anonymous (local cloud at {server.endpoint})"
    assert seen[-1][0] == seen[-1][1] == len(server.calls)
    assert snapshot.taken_at.endswith("Z")
    assert len(snapshot.taken_at) == 20


def test_nothing_is_asked_twice_or_in_vain(server: GcpServer) -> None:
    ask(server, API, msgspec.structs.replace(API, component="worker"))
    assert called(server) == [
        "AccessSecretVersion",
        "GetIamPolicy",
        "GetRevision",
        "GetSecretVersion",
        "ListSecrets",
        "ListServices",
    ]


def test_secrets_that_do_not_matter_cost_nothing(server: GcpServer, state: State) -> None:
    few = ask(server)
    count = len(server.calls)
    for index in range(3000):
        state.projects[PROJECT].add_secret(f"other-{index}", "x")
    many = ask(server)
    assert len(server.calls) == 2 * count
    assert only(few).secrets == only(many).secrets
    assert len(msgspec.json.encode(few)) == len(msgspec.json.encode(many))


def test_names_that_look_like_a_dsn_are_told(server: GcpServer, state: State) -> None:
    for name in ("SENTRY_DSN", "sentry-auth-token", "sentry-dsn-production", "dsn-of-database"):
        state.projects[PROJECT].add_secret(name, "x")
    assert only(ask(server)).names == ("SENTRY_DSN", "sentry-dsn-production")


def test_a_revision_that_serves_is_read_where_it_is_not_the_newest(server: GcpServer, state: State) -> None:
    old = template(env={"SENTRY_DSN": DSN})
    traffic = [to_revision("web-00001", 90), to_latest(10), to_revision("web-00002", 0, tag="next")]
    add_service(state.projects[PROJECT], "web", template(env={}), earlier=[old], traffic=traffic)
    web = service(ask(server, msgspec.structs.replace(API, service="web")), "web")
    assert web.serving is not None
    first, newest, tagged = web.serving
    assert (first.percent, first.pinned, newest.percent, newest.pinned) == (90, True, 10, False)
    assert (tagged.percent, tagged.tag, tagged.pinned) == (0, "next", True)
    assert first.template is not None
    variable = first.template.containers[0].variables[0]
    assert variable.dsn is not None
    assert (variable.dsn.shown, variable.value) == (SHOWN, "")
    assert newest.template == tagged.template == web.template
    assert server.count("GetRevision") == 1


def test_a_rollout_that_failed_leaves_the_old_revision_serving(server: GcpServer, state: State) -> None:
    old = template(env={"SENTRY_DSN": DSN})
    rollout = Rollout(outcome="failed", message=f"It said {DSN}.")
    add_service(state.projects[PROJECT], "web", template(env={}), earlier=[old], rollout=rollout)
    web = service(ask(server, msgspec.structs.replace(API, service="web")), "web")
    assert web.not_ready.startswith("HEALTH_CHECK_CONTAINER_ERROR: ")
    assert KEY not in web.not_ready
    assert (web.latest_ready[:9], web.latest_created[:9]) == ("web-00001", "web-00002")
    assert web.serving is not None
    assert web.serving[0].revision == web.latest_ready
    assert web.serving[0].template is not None
    assert [item.name for item in web.serving[0].template.containers[0].variables] == ["SENTRY_DSN"]
    assert web.template.containers[0].variables == ()


def test_jobs_and_worker_pools_are_looked_up_only_where_no_service_has_the_name(
    server: GcpServer, state: State
) -> None:
    env = {"SENTRY_DSN": SecretRef("sentry-dsn-staging")}
    add_job(state.projects[PROJECT], "nightly", env=env)
    add_pool(state.projects[PROJECT], "crawler", env=env)
    ask(server)
    assert not server.count("ListJobs") + server.count("ListWorkerPools")
    snapshot = ask(
        server, *(msgspec.structs.replace(API, component=name, service=name) for name in ("nightly", "crawler"))
    )
    job, pool = service(snapshot, "nightly"), service(snapshot, "crawler")
    assert (job.sort, job.serving, pool.sort) == ("job", (), "worker-pool")
    assert pool.serving is not None
    assert [item.percent for item in pool.serving] == [100]
    assert job.template.containers[0].ingress
    assert not job.template.containers[0].cpu_idle
    assert [item.name for item in only(snapshot).secrets] == ["sentry-dsn-staging"]


def test_a_service_of_that_name_in_another_region_is_another_one(server: GcpServer, state: State) -> None:
    add_service(state.projects[PROJECT], "far", template(env={}), region="us-central1")
    near = msgspec.structs.replace(API, service="far")
    assert only(ask(server, near, msgspec.structs.replace(API, regions=("us-central1",)))).services
    asked = {call.resource for call in server.calls if call.method.endswith("ListJobs")}
    # Where each of the two is looked for, and not found.
    assert asked == {f"projects/{PROJECT}/locations/{region}" for region in ("europe-west1", "us-central1")}


def test_sidecars_networks_and_plain_values(server: GcpServer, state: State) -> None:
    env = {"SENTRY_DSN": "", "DATABASE_DSN": f"postgres://u:{CANARY}@db/x", "SENTRY_URL": "x", "APP_ENVIRONMENT": "qa"}
    made = template(
        env=env,
        sidecars=[container(name="proxy", env={"SENTRY_DSN": SecretRef("sentry-dsn-staging", "3")})],
        egress="ALL_TRAFFIC",
        connector="projects/p/locations/l/connectors/c",
        account="api@shop-staging.iam.gserviceaccount.com",
    )
    add_service(state.projects[PROJECT], "web", made, labels={"goog-terraform-provisioned": "true"})
    web = service(ask(server, msgspec.structs.replace(API, service="web")), "web")
    main, proxy = web.template.containers
    assert (main.ingress, proxy.ingress, main.cpu_idle, web.manager) == (True, False, True, "terraform")
    assert (web.template.egress, web.template.network) == ("ALL_TRAFFIC", "projects/p/locations/l/connectors/c")
    assert web.template.account == "api@shop-staging.iam.gserviceaccount.com"
    shown = {item.name: (item.is_set, item.value, item.dsn) for item in main.variables}
    assert shown == {
        "SENTRY_DSN": (False, "", None),
        "DATABASE_DSN": (True, "", None),
        "SENTRY_URL": (True, "x", None),
        "APP_ENVIRONMENT": (True, "qa", None),
    }
    assert proxy.variables[0].version == "3"


def test_a_mounted_secret_is_read(server: GcpServer, state: State) -> None:
    mounts = {"/secrets/dsn": SecretRef("sentry-dsn-staging", "1")}
    add_service(state.projects[PROJECT], "web", template(env={}, mounts=mounts))
    snapshot = ask(server, msgspec.structs.replace(API, service="web"))
    mount = service(snapshot, "web").template.containers[0].mounts[0]
    assert (mount.path, mount.secret, mount.version) == ("/secrets/dsn", "sentry-dsn-staging", "1")
    version = only(snapshot).secrets[0].version("1")
    assert version is not None
    assert version.dsn is not None


def test_the_conventional_secret_is_looked_for_where_nothing_refers_to_one(server: GcpServer) -> None:
    secrets = only(ask(server, msgspec.structs.replace(API, service="site"))).secrets
    assert [(item.name, item.exists) for item in secrets] == [("sentry-dsn-staging", True)]
    secrets = only(ask(server, msgspec.structs.replace(API, service="", environment="production"))).secrets
    assert [(item.name, item.exists, item.versions) for item in secrets] == [("sentry-dsn-production", False, ())]


def test_versions_are_told_as_they_are_asked_for(server: GcpServer, state: State) -> None:
    secret = state.projects[PROJECT].secrets["sentry-dsn-staging"]
    secret.add(f"{DSN}\n", alias="next")
    secret.add(DSN, state="DISABLED")
    references = tuple(SecretReference(name="sentry-dsn-staging", version=item) for item in ("latest", "next", "9"))
    project = only(ask(server, msgspec.structs.replace(API, secrets=references)))
    latest, following, missing = (project.secrets[0].version(item) for item in ("latest", "next", "9"))
    assert latest is not None
    assert following is not None
    assert missing is not None
    assert (latest.number, latest.state, latest.dsn) == ("3", "DISABLED", None)
    assert latest.unread is not None
    assert latest.unread.code == "NOT_ASKED"
    assert following.dsn is not None
    assert following.dsn.problem.startswith("it has white space or a newline")
    assert (missing.state, missing.failure) == ("MISSING", None)


def test_a_secret_of_another_project_is_read_there(server: GcpServer, state: State) -> None:
    other = state.add_project("vault", "42")
    other.add_secret("errors", DSN)
    grant(other.policy, ACCESSOR, DEFAULT)
    env = {"SENTRY_DSN": SecretRef("projects/42/secrets/errors", "1")}
    add_service(state.projects[PROJECT], "web", template(env=env))
    reference = SecretReference(name="sentry-dsn-staging", project=NUMBER)
    snapshot = ask(server, msgspec.structs.replace(API, service="web", secrets=(reference,)))
    variable = service(snapshot, "web").template.containers[0].variables[0]
    assert (variable.secret, variable.secret_project) == ("errors", "42")
    there = snapshot.project("42")
    assert there is not None
    assert [item.exists for item in there.secrets] == [True]
    assert there.grants is not None
    assert there.grants[0].members == (f"serviceAccount:{DEFAULT}",)
    assert [item.id for item in snapshot.projects] == [PROJECT, "42"]
    assert [item.name for item in only(snapshot).secrets] == ["sentry-dsn-staging"]


def test_the_projects_policy_is_asked_only_for_an_account_that_lacks_a_grant(server: GcpServer, state: State) -> None:
    secret = state.projects[PROJECT].secrets["sentry-dsn-staging"]
    ask(server)
    assert not server.count("Projects/GetIamPolicy")
    del secret.policy.bindings[:]
    secret.allow(DEFAULT, condition="request.time < timestamp('2020-01-01T00:00:00Z')")
    project = only(ask(server))
    assert server.count("Projects/GetIamPolicy") == 1
    assert project.grants == ()
    assert project.secrets[0].grants is not None
    assert project.secrets[0].grants[0].condition.startswith("request.time")


def test_payloads_are_left_alone_on_request(server: GcpServer) -> None:
    version = only(ask(server, payloads=False)).secrets[0].version("latest")
    assert version is not None
    assert version.unread is not None
    assert (version.dsn, version.unread.code) == (None, "NOT_ASKED")
    assert not server.count("AccessSecretVersion")


def test_every_page_is_read(server: GcpServer, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentry_audit.sources.gcp.clients.PAGE", 2)
    monkeypatch.setattr("sentry_audit.sources.gcp.clients.SECRETS_PAGE", 2)
    for index in range(5):
        add_service(state.projects[PROJECT], f"extra-{index}", template(env={}))
        state.projects[PROJECT].add_secret(f"sentry-{index}", "x")
    project = only(ask(server))
    assert len(project.services) == 7
    assert len(project.names) == 5
    assert server.count("ListServices") == 4
    assert server.count("ListSecrets") == 3


def test_a_region_that_cloud_run_cannot_reach_is_told(server: GcpServer, state: State) -> None:
    state.projects[PROJECT].unreachable.add("europe-west1")
    unlisted = only(ask(server)).unlisted
    assert [item.code for item in unlisted] == ["UNAVAILABLE"]
    assert "europe-west1" in unlisted[0].reason


def test_without_regions_all_are_asked(server: GcpServer, state: State) -> None:
    project = state.projects[PROJECT]
    project.regions = [f"region-{index}" for index in range(120)]
    add_service(project, "far", template(env={}), region="region-119")
    target = msgspec.structs.replace(API, regions=(), service="far")
    seen = only(ask(server, target, API))
    assert seen.regions == tuple(project.regions)
    assert [item.region for item in seen.services] == ["region-119"]
    assert server.count("ListLocations") == 2
    assert only(ask(server, target, regions=("region-119",))).regions == ("region-119",)
    assert server.count("ListLocations") == 2


def test_a_project_for_which_no_region_is_named_is_not_seen(server: GcpServer, state: State) -> None:
    state.projects[PROJECT].regions = []
    assert [item.code for item in only(ask(server, msgspec.structs.replace(API, regions=()))).unlisted] == ["NOT_FOUND"]


_READER = """
import sys, msgspec
from sentry_audit.cloud import CloudOptions, Target
from sentry_audit.sources.gcp import read
target = Target(component="a", environment="staging", project=sys.argv[1], service="api")
for account in sys.argv[2:]:
    print(msgspec.json.encode(read([target], CloudOptions(timeout=20, impersonate=account))).decode())
"""


def test_google_is_asked_with_encryption_and_credentials(state: State) -> None:
    """No endpoint is given: a proxy leads Google's names to the server, with TLS."""
    del state.projects[PROJECT].secrets["sentry-dsn-staging"].policy.bindings[:]
    robot = "reader@fictitious.iam.gserviceaccount.com"
    state.identities[robot] = "*"
    with Rig(state) as rig:
        ran = subprocess.run(
            [sys.executable, "-c", _READER, PROJECT, "", robot],
            capture_output=True, text=True, check=True, env=rig.env, cwd=ROOT,
        )  # fmt: skip
        assert rig.refused == []
        identities = {call.identity for call in rig.server.calls if call.method in FULL.values()}
    assert identities == {rig.email, robot}
    assert ran.stderr == ""
    for line, identity in zip(ran.stdout.splitlines(), (rig.email, robot), strict=True):
        snapshot = msgspec.json.decode(line, type=Snapshot)
        project = only(snapshot)
        assert snapshot.identity == identity
        assert (project.regions, project.unlisted) == (("europe-west1", "us-central1"), ())
        assert project.secrets[0].versions[0].dsn is not None
        assert project.grants == ()


def test_what_is_no_name_is_not_asked(server: GcpServer) -> None:
    reference = SecretReference(name="${PREFIX}-dsn")
    target = msgspec.structs.replace(API, regions=("europe west",), secrets=(reference,))
    project = only(ask(server, target, msgspec.structs.replace(API, project="$PROJECT")))
    assert [item.code for item in project.unlisted] == ["NOT_ASKED"]
    assert project.secrets[0].failure is not None
    assert project.secrets[0].failure.code == "NOT_ASKED"
    assert {call.resource for call in server.calls} == {f"projects/{PROJECT}"}


# --- faults ---

FULL = {
    "ListLocations": "google.cloud.location.Locations/ListLocations",
    "ListServices": "google.cloud.run.v2.Services/ListServices",
    "ListJobs": "google.cloud.run.v2.Jobs/ListJobs",
    "ListWorkerPools": "google.cloud.run.v2.WorkerPools/ListWorkerPools",
    "GetRevision": "google.cloud.run.v2.Revisions/GetRevision",
    "ListSecrets": "google.cloud.secretmanager.v1.SecretManagerService/ListSecrets",
    "GetSecret": "google.cloud.secretmanager.v1.SecretManagerService/GetSecret",
    "GetSecretVersion": "google.cloud.secretmanager.v1.SecretManagerService/GetSecretVersion",
    "AccessSecretVersion": "google.cloud.secretmanager.v1.SecretManagerService/AccessSecretVersion",
    "SecretPolicy": "google.cloud.secretmanager.v1.SecretManagerService/GetIamPolicy",
    "ProjectPolicy": "google.cloud.resourcemanager.v3.Projects/GetIamPolicy",
}
TARGETS = (
    msgspec.structs.replace(API, component="web", service="web"),
    msgspec.structs.replace(API, project="elsewhere", regions=()),
    msgspec.structs.replace(
        API, component="gone", service="gone", secrets=(SecretReference(name="errors", project="vault"),)
    ),
)


def everything(state: State) -> None:
    """A world in which every method is called: a pinned revision, a missing service, a secret that is not there."""
    project = state.projects[PROJECT]
    env = {"SENTRY_DSN": SecretRef("sentry-dsn-staging")}
    traffic = [to_revision("web-00001", 100)]
    add_service(project, "web", template(env={}), earlier=[template(env=env)], traffic=traffic)
    del project.secrets["sentry-dsn-staging"].policy.bindings[:]
    state.add_project("vault", "42")
    state.add_project("elsewhere", "43", regions=["europe-west1"])


def place(snapshot: Snapshot, method: str) -> Failure | None:
    """Where a failure of ``method`` has to be found."""
    project = only(snapshot)
    secret = project.secret("sentry-dsn-staging")
    version = secret.version("latest") if secret else None
    if method == "ListLocations":
        there = snapshot.project("elsewhere")
        return there.unlisted[0] if there and there.unlisted else None
    if method.startswith("List") and method != "ListSecrets":
        return project.unlisted[0] if project.unlisted else None
    if method == "GetRevision":
        serving = service(snapshot, "web").serving
        return serving[0].failure if serving else None
    if method == "GetSecret":
        there = snapshot.project("vault")
        return there.secrets[0].failure if there else None
    found = {
        "ListSecrets": project.unnamed,
        "GetSecretVersion": version.failure if version else None,
        "AccessSecretVersion": version.unread if version else None,
        "SecretPolicy": secret.policy_failure if secret else None,
        "ProjectPolicy": project.policy_failure,
    }
    return found[method]


@pytest.fixture
def impatient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that a test can afford: short only where nothing will come, as a busy machine answers late."""
    silent = request.node.callspec.params["fault"][0] == "DEADLINE_EXCEEDED"
    monkeypatch.setattr(calls, "PER_CALL", 0.5 if silent else 5.0)
    monkeypatch.setattr(calls, "FIRST_PAUSE", 0.02)


Fault = tuple[str, "Callable[[GcpServer, str], None]"]
LASTING: list[Fault] = [
    ("NOT_FOUND", lambda server, method: server.fail(method, "NOT_FOUND")),
    ("PERMISSION_DENIED", lambda server, method: server.deny(method)),
    ("UNAUTHENTICATED", lambda server, method: server.fail(method, "UNAUTHENTICATED")),
    ("RESOURCE_EXHAUSTED", lambda server, method: server.exhaust(method, 30)),
    ("DEADLINE_EXCEEDED", lambda server, method: server.hang(method)),
    ("MALFORMED", lambda server, method: server.malformed(method)),
    ("INTERNAL", lambda server, method: server.fail(method, "INTERNAL")),
]
PASSING: list[Fault] = [
    ("UNAVAILABLE", lambda server, method: server.fail(method, "UNAVAILABLE", times=2)),
    ("RESOURCE_EXHAUSTED", lambda server, method: server.exhaust(method, 0.05, times=1)),
    ("reset", lambda server, method: server.reset(method, times=1)),
    ("slow", lambda server, method: server.delays.update({method: 0.1})),
]


@pytest.mark.parametrize("method", FULL)
@pytest.mark.parametrize("fault", LASTING, ids=lambda fault: fault[0])
def test_a_fault_ends_where_it_belongs(
    server: GcpServer, state: State, impatient: None, fault: Fault, method: str
) -> None:
    everything(state)
    code, inject = fault
    inject(server, FULL[method])
    snapshot = ask(server, *TARGETS, timeout=30)
    failure = place(snapshot, method)
    if code == "NOT_FOUND" and method in {"GetSecret", "GetSecretVersion"}:
        assert failure is None
        vault = snapshot.project("vault")
        assert vault is not None
        assert [item.exists for item in vault.secrets] == [False]
        return
    assert failure is not None
    assert failure.code == code
    assert failure.resource
    assert "could not be" in failure.reason
    assert "\n" not in failure.reason
    if code == "PERMISSION_DENIED":
        assert failure.permission
        assert failure.permission in failure.reason
        assert failure.command.startswith(("gcloud projects add-iam", "gcloud secrets add-iam"))
        assert " --member=YOUR_ACCOUNT --role=roles/" in failure.command
    if code == "UNAUTHENTICATED":
        assert failure.command == "gcloud auth application-default login"
    msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot)


@pytest.mark.parametrize("method", FULL)
@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault[0])
def test_a_fault_that_passes_leaves_no_trace(
    server: GcpServer, state: State, impatient: None, fault: Fault, method: str
) -> None:
    everything(state)
    fault[1](server, FULL[method])
    snapshot = ask(server, *TARGETS, timeout=30)
    failures = [place(snapshot, item) for item in FULL]
    assert failures == [None] * len(FULL)
    assert {call.method for call in server.calls} == set(FULL.values())


def test_slow_pages_end_with_the_run(server: GcpServer, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentry_audit.sources.gcp.clients.PAGE", 1)
    for index in range(40):
        add_service(state.projects[PROJECT], f"extra-{index}", template(env={}))
    server.delays["*/ListServices"] = 0.1
    started = time.monotonic()
    project = only(ask(server, timeout=0.7))
    assert time.monotonic() - started < 4
    assert 1 <= len(project.services) < 12
    assert [item.code for item in project.unlisted] == ["DEADLINE_EXCEEDED"]
    assert "--timeout of 0.7 seconds was reached" in project.unlisted[0].reason


def test_a_server_that_is_silent_costs_no_more_than_the_run(server: GcpServer) -> None:
    server.silent = True
    started = time.monotonic()
    project = only(ask(server, timeout=0.6))
    assert time.monotonic() - started < 4
    assert project.unlisted[0].code == "DEADLINE_EXCEEDED"
    assert project.unnamed is not None


def test_an_api_that_is_gone_is_not_asked_again(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PER_QUESTION", 2.0)
    with GcpServer(state) as server:
        endpoint = server.endpoint
    regions = tuple(f"europe-west{index}" for index in range(1, 60))
    started = time.monotonic()
    snapshot = read([msgspec.structs.replace(API, regions=regions)], CloudOptions(endpoint=endpoint, timeout=60))
    assert time.monotonic() - started < 30  # each of 59 questions would take two seconds
    assert {item.code for item in only(snapshot).unlisted} == {"UNAVAILABLE"}
    assert len(only(snapshot).unlisted) == 59
    assert "run.googleapis.com cannot be reached" in only(snapshot).unlisted[0].reason


def test_an_api_that_is_off_is_told_with_the_line_that_switches_it_on(server: GcpServer, state: State) -> None:
    state.projects[PROJECT].disabled.add("secretmanager.googleapis.com")
    failure = only(ask(server)).unnamed
    assert failure is not None
    assert failure.code == "API_DISABLED"
    assert failure.command == f"gcloud services enable secretmanager.googleapis.com --project={PROJECT}"


def test_a_quota_project_that_may_not_be_used_is_told(server: GcpServer) -> None:
    detail = errors.error_info("USER_PROJECT_DENIED", consumer="projects/x")
    server.fail("*/ListSecrets", "PERMISSION_DENIED", details=[detail])
    failure = only(ask(server)).unnamed
    assert failure is not None
    assert "--quota-project" in failure.reason


def test_a_caller_is_told_apart_by_a_token(server: GcpServer, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    state.anonymous = None
    state.tokens["t0ken"] = "auditor@shop-staging.iam.gserviceaccount.com"
    state.identities["auditor@shop-staging.iam.gserviceaccount.com"] = {"run.services.list"}
    assert only(ask(server)).unlisted[0].code == "UNAUTHENTICATED"
    monkeypatch.setenv("SENTRY_AUDIT_GCP_TOKEN", "t0ken")
    project = only(ask(server))
    assert project.unlisted == ()
    assert project.unnamed is not None
    assert project.unnamed.permission == "secretmanager.secrets.list"
    secret = project.secrets[0]
    assert (secret.exists, secret.failure is not None) == (None, True)


def test_without_the_list_single_answers_tell_what_is_there(server: GcpServer) -> None:
    server.deny("*/ListSecrets")
    references = (SecretReference(name="sentry-dsn-staging"), SecretReference(name="sentry-dsn-nowhere"))
    project = only(ask(server, msgspec.structs.replace(API, secrets=references)))
    assert [(item.name, item.exists) for item in project.secrets] == [
        ("sentry-dsn-nowhere", False),
        ("sentry-dsn-staging", True),
    ]
    assert server.count("GetSecret") == 1


def test_a_checksum_that_does_not_fit_is_no_payload(server: GcpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_manager, "crc32c", lambda data: 1)
    version = only(ask(server)).secrets[0].version("latest")
    assert version is not None
    assert version.unread is not None
    assert (version.dsn, version.unread.code) == (None, "MALFORMED")


# --- secrets stay where they are ---

PAYLOADS = {
    "none": CANARY.encode(),
    "binary": b"\xff" + CANARY.encode(),
    "mark": b"\xef\xbb\xbf" + CANARY.encode(),
    "key": f"https://{CANARY}@o1.ingest.sentry.io/1".encode(),
    "host": f"https://k@{CANARY}".encode(),
    "port": f"https://{KEY}@host.example.com:{CANARY}/1".encode(),
    "path": f"https://{KEY}@hooks.example.com/services/{CANARY}".encode(),
    "json": json.dumps({"password": CANARY}).encode(),
    "placeholder": f"${{{CANARY}}}".encode(),
}


@pytest.mark.parametrize("kind", PAYLOADS)
def test_of_a_payload_nothing_is_shown_that_may_be_secret(kind: str) -> None:
    data = PAYLOADS[kind]
    assert CANARY not in repr(payloads.judge(data))
    assert CANARY not in repr(payloads.seen(data.decode("utf-8", "replace")))


def test_a_payload_is_judged_byte_for_byte() -> None:
    assert payloads.judge(DSN.encode()).valid
    assert payloads.judge(f"{DSN}\n".encode()).problem.startswith("it has white space")
    assert payloads.judge(f'"{DSN}"'.encode()).shown == SHOWN
    assert "byte order mark" in payloads.judge(b"\xef\xbb\xbf" + DSN.encode()).problem
    assert payloads.judge(DSN.encode("utf-16")).problem == "it is not text in UTF-8"


def test_the_checksum_is_that_of_the_standard() -> None:
    assert payloads.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, appendix B.4
    assert payloads.crc32c(b"\xff" * 32) == 0x62A8AB43


_CLIENT = """
import logging, sys, msgspec
logging.basicConfig(level=logging.DEBUG)
logging.getLogger("google").setLevel(logging.DEBUG)
logging.getLogger("google.cloud.secretmanager_v1").setLevel(logging.DEBUG)
from sentry_audit.cloud import CloudOptions, SecretReference, Target
from sentry_audit.sources.gcp import read
names = sys.argv[3:]
target = Target(component="a", environment="staging", project=sys.argv[2], regions=("europe-west1",), service="api",
                variables=("SENTRY_DSN", "OTHER"), secrets=tuple(SecretReference(name=name) for name in names))
for timeout in (10, 10):
    print(msgspec.json.encode(read([target], CloudOptions(endpoint=sys.argv[1], timeout=timeout))).decode())
"""


def test_no_secret_gets_out(server: GcpServer, state: State) -> None:
    project = state.projects[PROJECT]
    for name, data in PAYLOADS.items():
        project.add_secret(f"dsn-{name}", data)
    env = {"SENTRY_DSN": CANARY, "OTHER": CANARY, "DB_DSN": f"mysql://{CANARY}@db", "SENTRY_KEY": CANARY}
    add_service(project, "api", template(env=env))
    server.malformed("*/AccessSecretVersion", times=1, after=len(PAYLOADS) + 2)
    server.fail("*/AccessSecretVersion", "INTERNAL", times=1, after=len(PAYLOADS) + 3)
    names = [f"dsn-{name}" for name in PAYLOADS]
    ran = subprocess.run(
        [sys.executable, "-c", _CLIENT, server.endpoint, PROJECT, *names],
        capture_output=True, text=True, check=True, env={"GOOGLE_SDK_PYTHON_LOGGING_SCOPE": "google", "PATH": ""},
        cwd=ROOT,
    )  # fmt: skip
    assert server.count("AccessSecretVersion") == 2 * len(PAYLOADS)
    assert '"MALFORMED"' in ran.stdout
    assert CANARY not in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


# --- how it is asked ---


@pytest.mark.parametrize(
    "endpoint", ["8.8.8.8:80", "localhost", "run.googleapis.com:443", "127.0.0.1@x.com:80", "127.0.0.1:"]
)
def test_only_a_loopback_address_is_asked_without_encryption(endpoint: str) -> None:
    with pytest.raises(UsageError, match="loopback"):
        read([API], CloudOptions(endpoint=endpoint))


@pytest.mark.parametrize("endpoint", ["127.0.0.2:9", "[::1]:9", "localhost:9"])
def test_loopback_addresses_are_taken(endpoint: str) -> None:
    assert only(read([API], CloudOptions(endpoint=endpoint, timeout=0.2))).unlisted


def test_nothing_of_google_is_loaded_before_something_is_read() -> None:
    code = "import sys, sentry_audit.sources.gcp; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {name for name in loaded if name.split(".")[0] in {"google", "grpc", "requests"}}


def test_reads_beyond_the_quota_take_turns() -> None:
    bucket = calls.Bucket(burst=2, rate=50)
    started = time.monotonic()
    assert [bucket.take(1) for _ in range(4)] == [True] * 4
    assert time.monotonic() - started > 0.03
    assert not calls.Bucket(burst=0, rate=1).take(0.5)


def test_a_region_in_trouble_does_not_end_the_others() -> None:
    breaker = calls.Breaker()
    failure = Failure(code="UNAVAILABLE", reason="x: y")
    breaker.answered()
    breaker.silent(failure)
    breaker.silent(failure)
    assert breaker.broken() is None
    breaker.silent(failure)
    assert breaker.broken() is failure


def test_calls_run_at_the_same_time(server: GcpServer, state: State) -> None:
    ask(server)
    server.latency = 0.1
    started = time.monotonic()
    ask(server)
    # Services, then version, policy and revision, then the payload.
    assert time.monotonic() - started < 10 * 0.1  # one after the other they would take more
    assert logging.getLogger("google").level >= logging.WARNING
