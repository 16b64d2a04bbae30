"""The live audit as a whole: the repository stays as it is, and only what Google Cloud holds changes.

Real clients, real gRPC, a server on loopback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct

from sentry_audit.app import Request, check
from sentry_audit.cloud import CloudOptions
from tests.gcp_server import messages
from tests.gcp_server.building import add_service, redeploy
from tests.gcp_server.messages import SecretRef
from tests.gcp_server.server import GcpServer
from tests.gcp_server.state import Rollout, State
from tests.trees import statuses, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sentry_audit.model import Report

KEY = "0123456789abcdef0123456789abc1f3"
STAGING = f"https://{KEY}@o123.ingest.us.sentry.io/451"
PRODUCTION = f"https://fedcba9876543210fedcba987654{KEY[-4:]}@o123.ingest.us.sentry.io/452"
API = "projects/shop-staging/locations/europe-west1/services/shop-api-staging"
FILES = {
    "requirements.txt": "fastapi\ngunicorn\nsentry-sdk>=2.64,<3\n",
    "Dockerfile": """\
        FROM python:3.12-slim
        WORKDIR /app
        COPY requirements.txt .
        RUN pip install --no-cache-dir -r requirements.txt
        COPY . .
        CMD ["gunicorn", "main:app"]
        """,
    "main.py": """\
        import os

        import sentry_sdk
        from flask import Flask

        sentry_sdk.init(environment=os.environ.get("SENTRY_ENVIRONMENT"), traces_sample_rate=0.1)
        app = Flask(__name__)
        """,
    "deploy.sh": """\
        #!/bin/sh
        gcloud run deploy "shop-api-$1" --source . --project "shop-$1" --region europe-west1 \\
          --set-env-vars "SENTRY_ENVIRONMENT=$1" --set-secrets "SENTRY_DSN=sentry-dsn-$1:latest"
        """,
}


class World(Struct):
    """A repository and a cloud in which everything is right, and what a test changes."""

    state: State
    server: GcpServer
    root: Path

    @property
    def staging(self) -> Any:
        return self.state.projects["shop-staging"]

    @property
    def secret(self) -> Any:
        return self.staging.secrets["sentry-dsn-staging"]

    def env(self, **changed: Any) -> dict[str, Any]:
        """The variables of the service; None leaves one out."""
        usual: dict[str, Any] = {"SENTRY_DSN": SecretRef("sentry-dsn-staging"), "SENTRY_ENVIRONMENT": "staging"}
        return {name: value for name, value in (usual | changed).items() if value is not None}

    def deploy(self, env: dict[str, Any] | None = None, *, rollout: Rollout | None = None, **template: Any) -> None:
        """Deploy the API of staging anew."""
        redeploy(self.staging, API, messages.template(env=self.env() if env is None else env, **template), rollout)

    def audit(self, environment: str = "staging", **options: Any) -> Report:
        cloud = CloudOptions(endpoint=self.server.endpoint, timeout=20, **options)
        [report] = check(Request(root=self.root, environments=(environment,), cloud=cloud))
        return report


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    state = State()
    for environment, dsn in (("staging", STAGING), ("production", PRODUCTION)):
        project = state.add_project(f"shop-{environment}")
        project.add_secret(f"sentry-dsn-{environment}", dsn, accessors=[project.default_account])
        env: dict[str, str | SecretRef] = {
            "SENTRY_DSN": SecretRef(f"sentry-dsn-{environment}"), "SENTRY_ENVIRONMENT": environment,
        }  # fmt: skip
        add_service(project, f"shop-api-{environment}", messages.template(env=env))
    with GcpServer(state) as server:
        yield World(state, server, write(tmp_path, FILES))


LIVE = [
    "secret-dsn-exists", "secret-dsn-enabled", "secret-dsn-valid", "secret-dsn-readable", "secret-dsn-current",
    "cloud-run-dsn-env", "cloud-run-dsn-from-secret", "cloud-run-environment-env", "cloud-run-serving-revision",
    "cloud-run-cpu-throttled", "cloud-run-egress", "deploy-drift", "dsn-distinct-environments",
]  # fmt: skip


def test_where_everything_is_right_every_check_passes(world: World) -> None:
    report = world.audit()
    assert {check_id: statuses(report, check_id) for check_id in LIVE} == {check_id: {"pass"} for check_id in LIVE}
    chain = {link.link.value: link.status.value for link in report.components[0].chain}
    assert chain["secret"] == chain["cloud-run"] == "pass"
    assert report.cloud is not None
    assert report.cloud.projects == ("shop-production", "shop-staging")
