"""The loopback Google Cloud over REST: Google's clients, and the APIs' discovery documents as the contract."""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import httplib2
import pytest
import requests
from google.api_core import exceptions
from googleapiclient import discovery, discovery_cache
from googleapiclient.errors import HttpError

from tests.gcp_server import messages as m
from tests.gcp_server.building import add_job, add_pool, add_service
from tests.gcp_server.clients import Clients
from tests.gcp_server.rest import RULES
from tests.gcp_server.secret_manager import crc32c
from tests.gcp_server.server import GcpServer
from tests.gcp_server.state import Rollout, State, grant

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = "projects/shop"
REGION = f"{PROJECT}/locations/europe-west1"
SERVICE = f"{REGION}/services/api"
SECRET = f"{PROJECT}/secrets/sentry-dsn"


@pytest.fixture
def state() -> State:
    made = State()
    project = made.add_project("shop", "210987654321")
    secret = project.add_secret("sentry-dsn", "first", "second", accessors=[project.default_account])
    secret.labels, secret.annotations, secret.expires = {"team": "shop"}, {"note": "x"}, "2031-01-01T00:00:00Z"
    secret.aliases = {"stable": 1}
    secret.allow("other@shop.iam.gserviceaccount.com", condition="true")
    project.add_secret("regional", "x", replicas=("europe-west1", "europe-west3"))
    grant(project.policy, "roles/editor", project.default_account)
    dsn = m.SecretRef("sentry-dsn")
    template = m.template(
        env={"SENTRY_DSN": dsn, "PLAIN": ""},
        sidecars=[m.container(name="proxy", env={"A": "1"})],
        cpu_idle=False,
        mounts={"/secrets/dsn": dsn},
        egress="ALL_TRAFFIC",
        network="default",
    )
    traffic = [m.to_revision("api-00001", 90, "stable"), m.to_latest(10)]
    add_service(project, "api", template, earlier=[m.template()], traffic=traffic, labels={"a": "b"}, client="gcloud")
    add_service(project, "dark", m.template(env={"SENTRY_DSN": m.SecretRef("nope")}))
    add_job(project, "nightly", env={"SENTRY_DSN": dsn})
    add_pool(project, "queue", env={"SENTRY_DSN": dsn})
    return made


@pytest.fixture
def server(state: State) -> Iterator[GcpServer]:
    with GcpServer(state) as made:
        yield made


# Google's Python clients, whose REST transport is another code path than gRPC's


def test_the_python_clients_rest_transport(server: GcpServer, state: State) -> None:
    with Clients(server.endpoint, rest=True) as clients:
        pages = list(clients.secrets.list_secrets(request={"parent": PROJECT, "page_size": 1}).pages)
        assert [page.secrets[0].name.rpartition("/")[2] for page in pages] == ["regional", "sentry-dsn"]
        payload = clients.secrets.access_secret_version(name=f"{SECRET}/versions/latest").payload
        assert (payload.data, payload.data_crc32c) == (b"second", crc32c(b"second"))
        clients.secrets.add_secret_version(
            parent=SECRET, payload={"data": b"\x00\xff", "data_crc32c": crc32c(b"\x00\xff")}
        )
        assert state.projects["shop"].secrets["sentry-dsn"].versions[2].payload == b"\x00\xff"
        service = clients.services.get_service(name=SERVICE)
        service.template.labels["new"] = "yes"
        state.rollout = Rollout(polls=1)
        done = clients.services.update_service(service=service).result(timeout=10)
        assert done.latest_ready_revision == done.latest_created_revision
        with pytest.raises(exceptions.Conflict):
            clients.services.update_service(service=service)
        with pytest.raises(exceptions.NotFound, match="nope"):
            clients.secrets.get_secret(name=f"{PROJECT}/secrets/nope")
        asked = {"resource": SECRET, "options": {"requested_policy_version": 3}}
        assert clients.secrets.get_iam_policy(request=asked).version == 3
    assert {call.protocol for call in server.calls} == {"rest"}


def test_rest_denies_with_the_same_details(server: GcpServer, state: State) -> None:
    state.anonymous = ()
    answer = requests.get(f"http://{server.endpoint}/v1/{SECRET}/versions/latest:access", timeout=5)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (403, 403, "PERMISSION_DENIED")
    [info] = error["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert (info["reason"], info["domain"]) == ("IAM_PERMISSION_DENIED", "iam.googleapis.com")
    assert info["metadata"]["permission"] == "secretmanager.versions.access"


@pytest.mark.parametrize(
    ("target", "body", "status", "text"),
    [
        ("/v1/projects/shop/nothing", None, 404, "was not found"),
        (f"/v1/{SECRET}?bogus=1", None, 400, "bogus"),
        (f"/v1/{SECRET}:addVersion", b"{", 400, "Invalid JSON payload"),
        (f"/v1/{SECRET}:addVersion", b'{"payload": {"dta": "eA=="}}', 400, "dta"),
        (f"/v2/{PROJECT}/locations/-/services", None, 400, "wildcard"),
    ],
)
def test_what_rest_does_not_understand(
    server: GcpServer, target: str, body: bytes | None, status: int, text: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://{server.endpoint}{target}", body, timeout=5)
    with caught.value as answer:
        assert answer.code == status
        assert text in json.load(answer)["error"]["message"]


def test_faults_hit_rest_too(server: GcpServer) -> None:
    url = f"http://{server.endpoint}/v1/{SECRET}"
    server.exhaust("*/GetSecret", times=1)
    assert requests.get(url, timeout=5).status_code == 429
    server.malformed("*/GetSecret", times=1)
    with pytest.raises(requests.exceptions.JSONDecodeError):
        requests.get(url, timeout=5).json()
    server.reset("*/GetSecret", times=1)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(url, timeout=5)
    server.hang("*/GetSecret", times=1)
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(url, timeout=0.2)
    assert requests.get(url, timeout=5).json()["name"] == "projects/210987654321/secrets/sentry-dsn"
    assert [call.code for call in server.calls] == ["RESOURCE_EXHAUSTED", "MALFORMED", "RESET", "HANG", "OK"]


def test_regions_come_in_pages_and_an_unknown_project_has_none(server: GcpServer, state: State) -> None:
    state.projects["shop"].regions = [f"region-{index}" for index in range(5)]
    found, token = [], ""
    while True:
        query = {"pageSize": "2", **({"pageToken": token} if token else {})}
        answer = requests.get(f"http://{server.endpoint}/v1/{PROJECT}/locations", query, timeout=5).json()
        found += answer["locations"]
        token = answer.get("nextPageToken", "")
        if not token:
            break
    assert [item["locationId"] for item in found] == state.projects["shop"].regions
    assert found[0]["name"] == "shop/locations/region-0"
    wrong = requests.get(f"http://{server.endpoint}/v1/projects/nope/locations", timeout=5)
    assert (wrong.status_code, wrong.json()) == (200, {})


# The discovery documents, and the client that is made from them


class Api:
    """One API as its discovery document describes it; each answer is checked against its schema."""

    def __init__(self, endpoint: str, name: str, version: str) -> None:
        self.document = json.loads(discovery_cache.get_static_doc(name, version))
        self.http = httplib2.Http(timeout=5)
        options = {"api_endpoint": f"http://{endpoint}"}
        self.root = discovery.build(name, version, http=self.http, static_discovery=True, client_options=options)
        self.seen: set[str] = set()

    def ask(self, request: Any) -> Any:
        """Execute a request, and hold the answer against the schema that its method names."""
        answer = request.execute()
        schema = self._method(request.methodId)["response"]
        problems = violations(answer, schema, self.document["schemas"])
        assert not problems, (request.methodId, problems)
        for part in ("metadata", "response"):
            if "done" in answer or part in answer:
                self._operation(answer.get(part, {}))
        self.seen.add(request.methodId)
        return answer

    def _operation(self, packed: dict[str, Any]) -> None:
        kind = packed.get("@type", "").rpartition("google.cloud.run.v2.")[2]
        if kind:
            rest = {key: value for key, value in packed.items() if key != "@type"}
            assert not violations(rest, {"$ref": f"GoogleCloudRunV2{kind}"}, self.document["schemas"])

    def _method(self, wanted: str) -> dict[str, Any]:
        found: dict[str, Any] = self.document
        *resources, name = wanted.split(".")[1:]
        for resource in resources:
            found = found["resources"][resource]
        method: dict[str, Any] = found["methods"][name]
        return method


#: What a string of a format looks like (developers.google.com/discovery/v1/type-format).
FORMATS = {
    "int64": r"-?\d+",
    "uint64": r"\d+",
    "google-datetime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
    "google-duration": r"-?\d+(\.\d+)?s",
    "byte": r"[A-Za-z0-9+/_-]*={0,2}",
}
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list,
}  # fmt: skip


def violations(value: Any, schema: dict[str, Any], schemas: dict[str, Any], where: str = "$") -> list[str]:
    """Where a JSON value breaks a discovery document's schema."""
    if "$ref" in schema:
        return violations(value, schemas[schema["$ref"]], schemas, where)
    kind = schema.get("type", "any")
    if kind == "any":
        return []
    if not isinstance(value, TYPES[kind]) or (kind == "integer" and isinstance(value, bool)):
        return [f"{where}: {value!r} is no {kind}"]
    if isinstance(value, list):
        rows = enumerate(value)
        return [text for at, item in rows for text in violations(item, schema["items"], schemas, f"{where}[{at}]")]
    if isinstance(value, dict):
        return _of_object(value, schema, schemas, where)
    if isinstance(value, str):
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where}: {value!r} is none of {schema['enum']}"]
        if not re.fullmatch(FORMATS.get(schema.get("format", ""), ".*"), value, re.DOTALL):
            return [f"{where}: {value!r} is no {schema['format']}"]
    return []


def _of_object(value: dict[str, Any], schema: dict[str, Any], schemas: dict[str, Any], where: str) -> list[str]:
    known, rest = schema.get("properties", {}), schema.get("additionalProperties")
    found = []
    for key, item in value.items():
        if key in known or rest is not None:
            found += violations(item, known.get(key, rest), schemas, f"{where}.{key}")
        else:
            found.append(f"{where}.{key}: unknown")
    return found


def test_the_schema_walker_sees_what_is_wrong() -> None:
    schemas = json.loads(discovery_cache.get_static_doc("secretmanager", "v1"))["schemas"]
    good = {"name": "x", "state": "ENABLED", "createTime": "2025-06-15T15:06:40Z", "etag": '"1"'}
    assert not violations(good, {"$ref": "SecretVersion"}, schemas)
    for bad in ({"state": "ENABELD"}, {"nmae": "x"}, {"createTime": 5}, {"createTime": "soon"}, {"name": 1}):
        assert violations({**good, **bad}, {"$ref": "SecretVersion"}, schemas), bad


def test_secret_manager_keeps_its_discovery_document(server: GcpServer, state: State) -> None:
    api = Api(server.endpoint, "secretmanager", "v1")
    with api.root as root:
        secrets = root.projects().secrets()
        versions = secrets.versions()
        latest = f"{SECRET}/versions/latest"
        assert api.ask(secrets.list(parent=PROJECT, filter="name:sentry", pageSize=1))["totalSize"] == 1
        assert api.ask(secrets.get(name=SECRET))["versionAliases"] == {"stable": "1"}
        payload = {"data": base64.b64encode(b"third").decode(), "dataCrc32c": str(crc32c(b"third"))}
        api.ask(secrets.addVersion(parent=SECRET, body={"payload": payload}))
        assert api.ask(versions.access(name=latest))["payload"] == payload
        api.ask(versions.get(name=latest))
        for change in (versions.disable, versions.enable, versions.destroy):
            api.ask(change(name=f"{SECRET}/versions/3", body={}))
        assert len(api.ask(versions.list(parent=SECRET))["versions"]) == 3
        policy = api.ask(secrets.getIamPolicy(resource=SECRET, options_requestedPolicyVersion=3))
        assert policy["bindings"][1]["condition"]["expression"] == "true"
        api.ask(secrets.setIamPolicy(resource=SECRET, body={"policy": policy}))
        with pytest.raises(HttpError, match="concurrent policy changes") as caught:
            secrets.setIamPolicy(resource=SECRET, body={"policy": policy}).execute()
        assert caught.value.status_code == 409
        asked = {"permissions": ["secretmanager.versions.access"]}
        assert api.ask(secrets.testIamPermissions(resource=SECRET, body=asked)) == asked
        body = {"replication": {"automatic": {}}, "labels": {"a": "b"}}
        made = api.ask(secrets.create(parent=PROJECT, secretId="new", body=body))
        api.ask(secrets.patch(name=made["name"], updateMask="labels", body={"labels": {"c": "d"}}))
        assert state.projects["shop"].secrets["new"].labels == {"c": "d"}
        api.ask(secrets.delete(name=made["name"]))
    assert len(api.seen) == sum(path.startswith("/v1/") and "SecretManager" in method for _, path, method, _ in RULES)


def test_cloud_run_keeps_its_discovery_document(server: GcpServer, state: State) -> None:
    api = Api(server.endpoint, "run", "v2")
    with api.root as root:
        places = root.projects().locations()
        services, revisions, jobs, pools = (
            places.services(),
            places.services().revisions(),
            places.jobs(),
            places.workerPools(),
        )
        assert len(api.ask(services.list(parent=REGION))["services"]) == 2
        service = api.ask(services.get(name=SERVICE))
        assert {status.get("tag") for status in service["trafficStatuses"]} == {"stable", None}
        for revision in api.ask(revisions.list(parent=SERVICE))["revisions"]:
            api.ask(revisions.get(name=revision["name"]))
        state.rollout = Rollout(polls=1)
        service["template"]["labels"] = {"new": "yes"}
        operation = api.ask(services.patch(name=SERVICE, body=service))
        assert "done" not in operation
        assert api.ask(places.operations().get(name=operation["name"]))["done"]
        api.ask(places.operations().wait(name=operation["name"], body={"timeout": "1s"}))
        state.rollout = Rollout(outcome="failed")
        service = services.get(name=SERVICE).execute()
        service["template"]["labels"] = {"new": "no"}
        failed = api.ask(services.patch(name=SERVICE, body=service, updateMask="template"))
        assert failed["error"]["code"] == 9
        state.rollout = Rollout()
        api.ask(services.getIamPolicy(resource=SERVICE))
        api.ask(services.testIamPermissions(resource=SERVICE, body={"permissions": ["run.services.update"]}))
        body = {"template": {"containers": [{"image": "x"}]}}
        api.ask(services.create(parent=REGION, serviceId="new", body=body))
        api.ask(services.delete(name=f"{REGION}/services/new"))
        [job] = api.ask(jobs.list(parent=REGION))["jobs"]
        job = api.ask(jobs.get(name=job["name"]))
        api.ask(jobs.patch(name=job["name"], body=job))
        [pool] = api.ask(pools.list(parent=REGION))["workerPools"]
        pool = api.ask(pools.get(name=pool["name"]))
        before = pool["latestReadyRevision"]
        operation = api.ask(pools.patch(name=pool["name"], body=pool, forceNewRevision=True))
        assert operation["response"]["latestReadyRevision"] != before
    assert len(api.seen) == sum(path.startswith("/v2/") for _, path, _, _ in RULES)


def test_projects_and_regions_keep_their_discovery_documents(server: GcpServer) -> None:
    api = Api(server.endpoint, "cloudresourcemanager", "v3")
    with api.root as root:
        assert api.ask(root.projects().get(name=PROJECT))["name"] == "projects/210987654321"
        policy = api.ask(root.projects().getIamPolicy(resource=PROJECT, body={}))
        api.ask(root.projects().setIamPolicy(resource=PROJECT, body={"policy": policy}))
        api.ask(root.projects().testIamPermissions(resource=PROJECT, body={"permissions": ["x"]}))
    api = Api(server.endpoint, "cloudresourcemanager", "v1")
    with api.root as root:
        [binding] = api.ask(root.projects().getIamPolicy(resource="shop", body={}))["bindings"]
        assert binding["role"] == "roles/editor"
    api = Api(server.endpoint, "run", "v1")
    with api.root as root:
        locations = api.ask(root.projects().locations().list(name=PROJECT))["locations"]
        assert [item["locationId"] for item in locations] == ["europe-west1", "us-central1"]
