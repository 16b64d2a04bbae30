"""Deploy definitions that look as if they passed the DSN, and do not; and those that do by a detour."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.test_deployments import BACKEND, deployments, variables
from tests.test_frontend import vite_app
from tests.trees import audit, message, statuses

if TYPE_CHECKING:
    from pathlib import Path

API = {
    "api/requirements.txt": BACKEND["requirements.txt"],
    "api/main.py": BACKEND["main.py"],
    "api/Dockerfile": 'FROM python\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["uvicorn", "main:app"]\n',
}


def test_a_workflow_of_another_service_with_other_names_proves_nothing(tmp_path: Path) -> None:
    other = """\
        on: push
        jobs:
          docs:
            environment: staging
            steps:
            - uses: google-github-actions/deploy-cloudrun@v2
              with: {service: docs, source: docs, secrets: "DOCS_SENTRY_DSN=docs-dsn:1,SENTRY_DSN=docs-dsn:1"}
        """
    own = (
        "on: push\njobs:\n  api:\n    environment: staging\n    steps:\n    - run: gcloud run deploy api --source api\n"
    )
    files = {**API, ".github/workflows/docs.yml": textwrap.dedent(other), ".github/workflows/api.yml": own}
    report = audit(tmp_path, files)
    assert statuses(report, "deploy-dsn-declared") == {"gap"}
    assert ".github/workflows/api.yml:6 deploys api without SENTRY_DSN" in message(report, "deploy-dsn-declared")
    assert "docs" not in message(report, "deploy-dsn-declared")


def test_only_another_service_is_deployed(tmp_path: Path) -> None:
    other = "on: push\njobs:\n  x:\n    steps:\n    - run: gcloud run deploy docs --set-secrets=SENTRY_DSN=docs-dsn:1\n"
    web = {"web/requirements.txt": "flask\n", "web/app.py": "from flask import Flask\napp = Flask(__name__)\n"}
    report = audit(tmp_path, {**API, **web, ".github/workflows/docs.yml": other})
    assert "pass" not in statuses(report, "deploy-dsn-declared")


@pytest.mark.parametrize(
    "wrapper",
    [
        "scripts/deploy.sh staging\n",
        "exec ./scripts/deploy.sh staging\n",
        'bash "$(dirname "$0")/scripts/deploy.sh" staging\n',
        'cd scripts && ./deploy.sh "staging"\n',
        'DIR=scripts\n"$DIR/deploy.sh" staging\n',
        "deploy() {\n  ./scripts/deploy.sh $1\n}\ndeploy staging\n",
        'for name in staging; do ./scripts/deploy.sh "$name"; done\n',
        "sh scripts/middle.sh staging\n",
    ],
)
def test_a_wrapper_that_hands_on_to_another_script(wrapper: str) -> None:
    found = deployments(
        {
            "release.sh": f"#!/bin/sh\nset -e\n{wrapper}",
            "scripts/middle.sh": 'exec "$(dirname "$0")/deploy.sh" "$1"\n',
            "scripts/deploy.sh": "gcloud run deploy shop-$1 --update-secrets SENTRY_DSN=dsn-$1:latest\n",
        }
    )
    assert ("shop-staging", {"SENTRY_DSN": ("update", "dsn-staging")}) in [
        (item.service, variables(item)) for item in found if item.pipeline == "release.sh"
    ]


def test_a_wrapper_passes_the_verdict_of_the_script_that_it_calls(tmp_path: Path) -> None:
    files = {
        **BACKEND,
        "release.sh": "./scripts/deploy.sh staging\n",
        "scripts/deploy.sh": "gcloud run deploy shop-$1 --set-env-vars=LOG=1\n",
    }
    report = audit(tmp_path, files)
    assert "scripts/deploy.sh:1 deploys shop-staging without SENTRY_DSN" in message(report, "deploy-dsn-declared")


@pytest.mark.parametrize("marks", [("# ", ""), ("// ", ""), ("/*\n", "*/\n")])
def test_terraform_that_is_commented_out_is_none(tmp_path: Path, marks: tuple[str, str]) -> None:
    env = 'env {\n  name  = "SENTRY_DSN"\n  value = "x"\n}\n'
    first, last = marks
    hidden = "".join(f"{first}{row}" for row in env.splitlines(True)) if not last else first + env + last
    service = 'resource "google_cloud_run_v2_service" "shop" {{\n  name = "shop"\n  template {{\n  containers {{\n{}}}\n}}\n}}\n'
    report = audit(tmp_path / "a", {**BACKEND, "main.tf": service.format(hidden)})
    assert statuses(report, "deploy-dsn-declared") == {"gap"}
    report = audit(tmp_path / "b", {**BACKEND, "main.tf": service.format(env)})
    assert statuses(report, "deploy-dsn-declared") == {"pass"}


def test_set_secrets_of_a_later_step_drops_what_an_earlier_one_set(tmp_path: Path) -> None:
    workflow = """\
        on: push
        jobs:
          go:
            steps:
            - run: gcloud run services update shop --update-secrets=SENTRY_DSN=dsn:1
            - run: gcloud run deploy shop --set-secrets=DATABASE_URL=db:1
        """
    report = audit(tmp_path, {**BACKEND, ".github/workflows/d.yml": workflow})
    assert statuses(report, "deploy-dsn-declared") == {"gap"}
    assert "d.yml:6 replaces all secrets and drops SENTRY_DSN again" in message(report, "deploy-dsn-declared")
    assert statuses(report, "deploy-wipes-dsn") == {"gap"}


@pytest.mark.parametrize(("name", "wanted"), [("SENTRY_DSN", "gap"), ("VITE_SENTRY_DSN", "pass")])
def test_vite_without_its_prefix(tmp_path: Path, name: str, wanted: str) -> None:
    code = f"import * as Sentry from '@sentry/react';\nSentry.init({{ dsn: import.meta.env.{name} }});\n"
    report = audit(tmp_path, {**vite_app(code), "web/.env": f"{name}=https://k@example.com/1\n"})
    assert statuses(report, "frontend-dsn-public", "web") == {wanted}


def test_a_script_in_the_middle_is_read_with_what_it_is_given_only() -> None:
    files = {
        "release.sh": "sh middle.sh staging\n",
        "middle.sh": "./deploy.sh $1\n",
        "deploy.sh": "gcloud run deploy shop-$1\n",
    }
    assert [item.service for item in deployments(files)] == ["shop-staging"]
