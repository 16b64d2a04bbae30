"""The world in a YAML file, the program that serves it, and the rig for programs that know no endpoint."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from sentry_audit import dsn
from tests.gcp_server.__main__ import main
from tests.gcp_server.rig import Rig
from tests.gcp_server.state import State
from tests.gcp_server.world import WorldError, load, parse

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "cloud.yaml"
WORLD = """
identities:
  viewer@example.com: [run.services.list]
projects:
  shop:
    number: 210987654321
    regions: [europe-west1, us-central1]
    disabled: [run.googleapis.com]
    policy: {roles/editor: [210987654321-compute@developer.gserviceaccount.com]}
    secrets:
      short: "one"
      list: ["one", "two\\n"]
      long:
        accessors: [210987654321-compute@developer.gserviceaccount.com]
        labels: {team: shop}
        replicas: [europe-west1]
        versions:
          - {payload: one, state: DISABLED}
          - {payload: two, alias: stable}
    services:
      api:
        region: us-central1
        cpu: always
        vpc: {egress: all-traffic, connector: conn}
        mounts: {/secrets/dsn: {secret: long}}
        env: {PLAIN: "1", DSN: {secret: long, version: stable}}
        sidecars: [{name: proxy, env: {A: b}}]
        earlier:
          - env: {DSN: null, OLD: "yes"}
            cpu: requests
        traffic: {api-00001: 90, latest: 10}
      broken:
        fails: it does not listen
      was-fine:
        secrets-checked: false
        env: {DSN: {secret: short}}
    jobs:
      nightly: {env: {DSN: {secret: long, version: 2}}}
    worker-pools:
      queue: {account: queue@shop.iam.gserviceaccount.com}
"""


def test_a_world_is_what_its_file_says() -> None:
    state = parse(WORLD)
    [project] = state
    assert state.identities == {"viewer@example.com": ["run.services.list"]}
    assert (project.number, project.disabled) == ("210987654321", {"run.googleapis.com"})
    assert [item.payload for item in project.secrets["list"].versions] == [b"one", b"two\n"]
    secret = project.secrets["long"]
    assert (secret.aliases, secret.replicas, secret.labels) == ({"stable": 2}, ("europe-west1",), {"team": "shop"})
    assert [item.state for item in secret.versions] == ["DISABLED", "ENABLED"]
    api = project.services["projects/shop/locations/us-central1/services/api"]
    app, proxy = api.template.containers
    assert [item.name for item in app.env] == ["PLAIN", "DSN"]
    assert app.env[1].value_source.secret_key_ref.version == "stable"
    assert (proxy.name, app.resources.cpu_idle, app.volume_mounts[0].mount_path) == ("proxy", False, "/secrets")
    assert api.template.vpc_access.connector == "conn"
    assert [(item.revision[:9], item.percent) for item in api.traffic_statuses] == [("api-00001", 90), ("", 10)]
    old = project.revisions[f"{api.name}/revisions/{api.traffic_statuses[0].revision}"]
    assert [item.name for item in old.containers[0].env] == ["PLAIN", "OLD"]
    assert old.containers[0].resources.cpu_idle
    broken = project.services["projects/shop/locations/europe-west1/services/broken"]
    assert "it does not listen" in broken.terminal_condition.message
    assert project.services["projects/shop/locations/europe-west1/services/was-fine"].latest_ready_revision
    [job] = project.jobs.values()
    assert job.template.template.containers[0].env[0].value_source.secret_key_ref.version == "2"
    [pool] = project.pools.values()
    assert pool.template.service_account == "queue@shop.iam.gserviceaccount.com"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("project: {}", "did you mean `projects`?"),
        ("projects: {shop: {}}", "projects.shop: Object missing required field `number`"),
        ("projects: {shop: {number: x}}", "projects.shop.number: Expected `int`, got `str`"),
        ("projects: {shop: {number: 1, services: {api: {trafic: {latest: 100}}}}}", "did you mean `traffic`?"),
        ("projects: {shop: {number: 1, secrets: {dsn: {versions: [{payload: 1}]}}}}", "dsn.versions[0].payload: Exp"),
        ("projects: {shop: {number: 1, services: {api: {cpu: never}}}}", "projects.shop.services.api.cpu: Invalid enum"),
        ("projects: {shop: {number: 1, services: {api: {traffic: {api-9: 100}}}}}", "api-9 is the start of 0 revisions"),
        ("projects: {shop: {number: 1, services: {api: {traffic: {latest: 50}}}}}", "sum to 100"),
        ("projects: [", "while parsing"),
        ("[]", "the file: Expected `object`, got `array`"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_world_is_named(text: str, expected: str) -> None:
    with pytest.raises(WorldError) as caught:
        parse(text, "world.yaml")
    assert str(caught.value).startswith("world.yaml: ")
    assert expected in str(caught.value)


def test_a_world_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="No such file"):
        load(tmp_path / "none.yaml")


def test_the_examples_world_is_dark_in_staging_and_reports_in_production() -> None:
    staging, production = load(EXAMPLE)
    region = "locations/europe-west1/services"
    worker = staging.services[f"projects/shop-staging/{region}/shop-worker-staging"]
    [status] = worker.traffic_statuses
    serving = staging.revisions[f"{worker.name}/revisions/{status.revision}"]
    assert "SENTRY_DSN" not in {item.name for item in serving.containers[0].env}
    assert "SENTRY_DSN" in {item.name for item in worker.template.containers[0].env}
    assert staging.default_account in worker.terminal_condition.message
    payload = staging.secrets["sentry-dsn-staging"].versions[-1].payload.decode()
    assert (dsn.parse(payload).valid, dsn.parse(payload.strip()).valid) == (False, True)
    worker = production.services[f"projects/shop-production/{region}/shop-worker-production"]
    assert worker.latest_ready_revision == worker.latest_created_revision
    payload = production.secrets["sentry-dsn-production"].versions[-1].payload.decode()
    assert dsn.parse(payload).valid
    for name in ("api", "worker", "web"):
        for project, environment in ((staging, "staging"), (production, "production")):
            assert f"projects/{project.id}/{region}/shop-{name}-{environment}" in project.services


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.gcp_server", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_program_serves_until_it_is_told_to_stop() -> None:
    with start(str(EXAMPLE)) as running:
        assert running.stdout
        line = running.stdout.readline().strip()
        assert line.startswith("listening on 127.0.0.1:")
        endpoint = line.removeprefix("listening on ")
        with urllib.request.urlopen(f"http://{endpoint}/v1/projects/shop-staging/locations", timeout=5) as answer:
            assert json.load(answer)["locations"][0]["locationId"] == "europe-west1"
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0


def test_the_program_ends_with_its_parent(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"{sys.executable} -m tests.gcp_server {EXAMPLE} --print-endpoint & echo $! > {note}; read -r line"
    parent = subprocess.Popen(["sh", "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdin
        assert parent.stdout
        assert parent.stdout.readline().startswith("127.0.0.1:")
        child = int(note.read_text())
        os.kill(child, 0)
        parent.stdin.write("go\n")
        parent.stdin.flush()
        assert parent.stdout.read() == "", "the pipe closes when the server has ended"


def test_the_program_says_what_is_wrong_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "world.yaml"
    file.write_text("projcts: {}", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["gcp_server", str(file)])
    assert main() == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "",
        f"{file}: the file: Object contains unknown field `projcts`; did you mean `projects`?\n",
    )


ASKS = """
import google.auth
from google.auth import impersonated_credentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import run_v2, secretmanager_v1

scopes = ["https://www.googleapis.com/auth/cloud-platform"]
secrets = secretmanager_v1.SecretManagerServiceClient()
print([item.name for item in secrets.list_secrets(parent="projects/shop", timeout=10)])
region = "projects/shop/locations/us-central1"
print([item.name for item in run_v2.ServicesClient().list_services(parent=region, timeout=10)])
own, _ = google.auth.default(scopes=scopes)
other = impersonated_credentials.Credentials(own, "other@shop.iam.gserviceaccount.com", scopes)
url = "https://cloudresourcemanager.googleapis.com/v1/projects/shop:getIamPolicy"
print(AuthorizedSession(own).post(url, json={}, timeout=10).status_code)
print(AuthorizedSession(other).post(url, json={}, timeout=10).status_code)
try:
    AuthorizedSession(own).get("https://example.com/", timeout=10)
except OSError:
    print("refused")
"""


def test_a_program_finds_the_rig_without_being_told() -> None:
    state = parse(WORLD)
    state.projects["shop"].disabled.clear()
    state.identities = {"other@shop.iam.gserviceaccount.com": set()}
    with Rig(state) as rig:
        done = subprocess.run(
            [sys.executable, "-c", ASKS], env=rig.env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert "projects/210987654321/secrets/long" in lines[0]
        assert lines[1:] == ["['projects/shop/locations/us-central1/services/api']", "200", "403", "refused"]
        assert rig.refused == ["example.com"]
        assert {"secretmanager.googleapis.com", "run.googleapis.com", "oauth2.googleapis.com"} <= set(rig.reached)
        identities = {call.method.rpartition("/")[2]: call.identity for call in rig.server.calls}
    assert identities["ListSecrets"] == rig.email
    assert identities["GetIamPolicy"] == "other@shop.iam.gserviceaccount.com"


def test_the_rig_knows_no_caller_without_credentials() -> None:
    state = State()
    with Rig(state):
        assert state.anonymous is None
