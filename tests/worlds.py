"""A repository and a cloud in which everything is right, for tests to break."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.app import Request, check
from sentry_audit.cloud import CloudOptions
from tests.gcp_server import messages
from tests.gcp_server.building import add_service, redeploy
from tests.gcp_server.messages import SecretRef
from tests.gcp_server.state import State

if TYPE_CHECKING:
    from pathlib import Path

    from sentry_audit.model import Report
    from tests.gcp_server.server import GcpServer
    from tests.gcp_server.state import Rollout

KEY = "0123456789abcdef0123456789abc1f3"
STAGING = f"https://{KEY}@o123.ingest.us.sentry.io/451"
PRODUCTION = f"https://fedcba9876543210fedcba987654{KEY[-4:]}@o123.ingest.us.sentry.io/452"
API = "projects/shop-staging/locations/europe-west1/services/shop-api-staging"
FILES = {
    "requirements.txt": "fastapi\nuvicorn\nsentry-sdk>=2.64,<3\n",
    "Dockerfile": """\
        FROM python:3.12-slim
        WORKDIR /app
        COPY requirements.txt .
        RUN pip install --no-cache-dir -r requirements.txt
        COPY . .
        CMD ["uvicorn", "main:app", "--port", "8080"]
        """,
    "main.py": """\
        import os

        import sentry_sdk
        from fastapi import FastAPI

        sentry_sdk.init(environment=os.environ.get("SENTRY_ENVIRONMENT"), traces_sample_rate=0.1)
        app = FastAPI()
        """,
    "deploy.sh": """\
        #!/bin/sh
        gcloud run deploy "shop-api-$1" --source . --project "shop-$1" --region europe-west1 \\
          --set-env-vars "SENTRY_ENVIRONMENT=$1" --set-secrets "SENTRY_DSN=sentry-dsn-$1:latest"
        """,
}


LIVE = (
    "secret-dsn-exists", "secret-dsn-enabled", "secret-dsn-valid", "secret-dsn-readable", "secret-dsn-current",
    "cloud-run-dsn-env", "cloud-run-dsn-from-secret", "cloud-run-environment-env", "cloud-run-serving-revision",
    "cloud-run-cpu-throttled", "cloud-run-egress", "deploy-drift", "dsn-distinct-environments",
)  # fmt: skip


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
        redeploy(
            self.staging,
            API,
            messages.template(env=self.env() if env is None else env, **{"cpu_idle": False, **template}),
            rollout,
        )

    def audit(self, environment: str = "staging", **options: Any) -> Report:
        cloud = CloudOptions(endpoint=self.server.endpoint, timeout=20, **options)
        [report] = check(Request(root=self.root, environments=(environment,), select=LIVE, cloud=cloud))
        return report


def everything_right() -> State:
    """What Google Cloud holds for ``FILES``, staging and production."""
    state = State()
    for environment, dsn in (("staging", STAGING), ("production", PRODUCTION)):
        project = state.add_project(f"shop-{environment}")
        project.add_secret(f"sentry-dsn-{environment}", dsn, accessors=[project.default_account])
        env: dict[str, str | SecretRef] = {
            "SENTRY_DSN": SecretRef(f"sentry-dsn-{environment}"), "SENTRY_ENVIRONMENT": environment,
        }  # fmt: skip
        add_service(project, f"shop-api-{environment}", messages.template(env=env, cpu_idle=False))
    return state
