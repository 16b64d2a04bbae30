"""The loopback Google Cloud, asked by programs that are not Python's clients: Node's clients, and gcloud."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.gcp_server import messages as m
from tests.gcp_server.building import add_pool, add_service
from tests.gcp_server.rig import Rig
from tests.gcp_server.secret_manager import crc32c
from tests.gcp_server.server import GcpServer
from tests.gcp_server.state import ACCESSOR, Project, State

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("@google-cloud/run@3.3.0", "@google-cloud/secret-manager@6.3.0")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sentry-audit-tests"
CLIENT = Path(__file__).parent / "gcp_server" / "node_client.mjs"


@pytest.fixture
def state() -> State:
    made = State()
    project = made.add_project("shop", "210987654321")
    project.add_secret("sentry-dsn", "https://feedface00feedface00feedface0000@o1.ingest.de.sentry.io/102")
    add_service(project, "api", m.template())
    add_pool(project, "queue")
    return made


@pytest.fixture
def shop(state: State) -> Project:
    return state.projects["shop"]


@pytest.fixture
def server(state: State) -> Iterator[GcpServer]:
    with GcpServer(state) as made:
        yield made


@pytest.fixture(scope="session")
def node_packages() -> Path:
    """A folder with Google's Node clients; installed once, and kept outside of the repository."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed")
    folder = CACHE / "-".join(item.rpartition("@")[2] for item in PACKAGES)
    if (folder / "complete").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_text("{}", encoding="utf-8")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", *PACKAGES]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"npm cannot install {' '.join(PACKAGES)}: {error}")
    (folder / "complete").touch()
    return folder


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_nodes_clients(server: GcpServer, shop: Project, node_packages: Path, protocol: str) -> None:
    payload = shop.secrets["sentry-dsn"].versions[0].payload
    command = ["node", str(CLIENT), str(node_packages), *server.endpoint.split(":"), protocol]
    env = {**os.environ, "NO_GCE_CHECK": "true", "METADATA_SERVER_DETECTION": "none"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "secrets": ["projects/210987654321/secrets/sentry-dsn"],
        "payload": payload.decode(),
        "checksum": crc32c(payload),
        "added": "projects/210987654321/secrets/sentry-dsn/versions/2",
        "missing": 5,
        "ready": True,
        "label": protocol,
        "conflict": 10,
    }
    assert shop.secrets["sentry-dsn"].versions[1].payload == b"from node"
    assert {call.protocol for call in server.calls} == {protocol}


class Gcloud:
    """gcloud with a configuration of its own, which asks ``endpoint`` for secrets."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._env = {
            **env,
            "CLOUDSDK_CONFIG": str(folder),
            "CLOUDSDK_CORE_PROJECT": "shop",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        }

    def __call__(self, *arguments: str, data: bytes = b"") -> Any:
        """What a command prints: JSON if it is any, else text."""
        command = ["gcloud", *arguments, "--format=json"]
        done = subprocess.run(command, input=data, capture_output=True, timeout=60, env=self._env, check=False)
        if done.returncode:
            raise GcloudError(done.stderr.decode())
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout.decode()


class GcloudError(Exception):
    """What gcloud says on stderr."""


@pytest.fixture
def gcloud(server: GcpServer, tmp_path: Path) -> Gcloud:
    if not shutil.which("gcloud"):
        pytest.skip("gcloud is not installed")
    override = {"CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"http://{server.endpoint}/"}
    path = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true"}
    return Gcloud(tmp_path, {**path, **override})


def test_gclouds_secret_commands(gcloud: Gcloud, server: GcpServer, shop: Project) -> None:
    member = f"serviceAccount:{shop.default_account}"
    bind = ("secrets", "add-iam-policy-binding", "sentry-dsn", f"--member={member}", f"--role={ACCESSOR}")
    access = ("secrets", "versions", "access", "latest", "--secret=sentry-dsn")
    with ThreadPoolExecutor(2) as pool:
        added = pool.submit(gcloud, "secrets", "versions", "add", "sentry-dsn", "--data-file=-", data=b"x\n")
        granted = pool.submit(gcloud, *bind)
    assert added.result()["name"] == "projects/210987654321/secrets/sentry-dsn/versions/2"
    assert shop.secrets["sentry-dsn"].versions[1].checked, "gcloud sends dataCrc32c"
    assert member in granted.result()["bindings"][0]["members"]
    assert base64.urlsafe_b64decode(gcloud(*access)["payload"]["data"]) == b"x\n"
    assert {call.protocol for call in server.calls} == {"rest"}


def test_gcloud_updates_a_worker_pool_without_being_told_of_the_server(state: State, shop: Project) -> None:
    if not shutil.which("gcloud"):
        pytest.skip("gcloud is not installed")
    [pool] = shop.pools.values()
    before = pool.latest_ready_revision
    state.tokens["made-up"] = "auditor@fictitious.iam.gserviceaccount.com"
    with Rig(state) as rig:
        token = Path(rig.env["HOME"]) / "token"
        token.write_text("made-up", encoding="utf-8")
        gcloud = Gcloud(Path(rig.env["CLOUDSDK_CONFIG"]), {**rig.env, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token)})
        arguments = ("--region=europe-west1", "--update-env-vars=SENTRY_ENVIRONMENT=staging")
        gcloud("beta", "run", "worker-pools", "update", "queue", *arguments)
        assert [call.code for call in rig.server.calls if call.method.endswith("UpdateWorkerPool")] == ["OK"]
    pool = shop.pools[pool.name]
    assert pool.latest_ready_revision != before
    assert [item.name for item in pool.template.containers[0].env] == ["SENTRY_ENVIRONMENT"]
