"""Deploy definitions as repositories really write them: rendered manifests, sourced settings, hosts that look like environments."""

from __future__ import annotations

import pytest

from sentry_audit.deployment.environments import named_in
from tests.test_deployments import deployments, only, variables

# --- which environment -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("europe-west1-docker.pkg.dev/acme/shop/api:latest", set()),
        ("europe-west1-docker.pkg.dev/acme-prod/shop/api", {"production"}),
        ("https://api.shop.dev/v1", set()),
        ("service.dev.yaml", {"development"}),
        ("shop-dev", {"development"}),
    ],
)
def test_a_host_name_is_no_environment(text: str, expected: set[str]) -> None:
    assert named_in(text) == expected


def test_only_a_variable_that_is_named_for_it_tells_a_workflows_environment() -> None:
    found = deployments(
        {
            ".github/workflows/deploy.yml": """\
                on: {push: {branches: [main]}}
                env:
                  IMAGE: europe-docker.pkg.dev/acme-prod/shop/api
                  NODE_ENV: production
                  GREETING: live
                jobs:
                  ship:
                    steps: [{run: "gcloud run deploy shop --image $IMAGE"}]
                """,
            ".github/workflows/stage.yml": """\
                on: {push: {branches: [main]}}
                env: {GCP_PROJECT_ID: acme-stg, NODE_ENV: production}
                jobs:
                  ship:
                    steps: [{run: gcloud run deploy shop}]
                """,
        }
    )
    assert [item.environment for item in found] == ["", "staging"]


# --- where a front end is bundled ------------------------------------------------------------------


def test_a_bundle_is_made_where_the_step_runs() -> None:
    [workflow, build] = deployments(
        {
            ".github/workflows/web.yml": """\
                on: {push: {branches: [main]}}
                jobs:
                  web:
                    defaults: {run: {working-directory: apps/web}}
                    env: {VITE_SENTRY_DSN: "${{ secrets.DSN }}"}
                    steps: [{run: npm run build}]
                """,
            "cloudbuild.yaml": "steps:\n- {name: node, entrypoint: npm, dir: apps/web, args: [run, build]}\n",
        }
    )
    assert (workflow.source, build.source) == ("apps/web", "apps/web")
    assert variables(workflow) == {"VITE_SENTRY_DSN": ("set", "$secrets.DSN")}


@pytest.mark.parametrize(
    "command", ["npm --prefix apps/web run build", "yarn --cwd=apps/web build", "pnpm -C apps/web build"]
)
def test_a_bundler_may_be_told_its_folder(command: str) -> None:
    found = only({".github/workflows/a.yml": f"on: push\njobs:\n  a:\n    steps: [{{run: {command}}}]\n"})
    assert found.source == "apps/web"


def test_a_variable_of_a_workflow_is_shown_where_it_is_set() -> None:
    found = deployments(
        {
            ".github/workflows/web.yml": """\
                on: {push: {branches: [main]}}
                jobs:
                  staging:
                    environment: staging
                    env:
                      VITE_SENTRY_DSN: ${{ secrets.DSN_STAGING }}
                    steps: [{run: npm run build}]
                  production:
                    environment: production
                    env:
                      VITE_SENTRY_DSN: ${{ secrets.DSN }}
                    steps: [{run: npm run build}]
                """
        }
    )
    assert [(item.environment, item.settings[0].line) for item in found] == [("staging", 6), ("production", 11)]
