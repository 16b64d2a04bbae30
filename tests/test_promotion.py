"""One image, built once and deployed to several environments: what is compiled in is the same in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.app import Request, trace
from tests.test_frontend import DOCKERFILE, INIT, next_app
from tests.trees import audit, message, statuses, write

if TYPE_CHECKING:
    from pathlib import Path

ONE = """\
on: {push: {branches: [main]}}
jobs:
  build:
    steps:
    - uses: docker/build-push-action@v6
      with:
        context: web
        tags: gcr.io/p/web:${{ github.sha }}
        build-args: |
          NEXT_PUBLIC_SENTRY_DSN=${{ secrets.SENTRY_DSN }}
          NEXT_PUBLIC_ENV=production
  staging:
    environment: staging
    steps:
    - run: gcloud run deploy web --image gcr.io/p/web:${{ github.sha }}
  production:
    environment: production
    needs: staging
    steps:
    - uses: google-github-actions/deploy-cloudrun@v3
      with: {service: web, image: "gcr.io/p/web:${{ github.sha }}"}
"""
OWN = """\
on: {workflow_dispatch: {inputs: {environment: {type: choice, options: [staging, production]}}}}
jobs:
  go:
    environment: ${{ inputs.environment }}
    steps:
    - run: docker build --build-arg NEXT_PUBLIC_SENTRY_DSN=${{ secrets.SENTRY_DSN }} -t gcr.io/p/web:1 web
    - run: gcloud run deploy web --image gcr.io/p/web:1
"""
SCRIPT = """\
docker build --build-arg NEXT_PUBLIC_SENTRY_DSN=$DSN -t $IMAGE web
gcloud run deploy web-staging --image $IMAGE
gcloud run deploy web-production --image $IMAGE
"""


def files(workflow: str = ONE, label: str = "", path: str = ".github/workflows/ci.yml", **more: str) -> dict[str, str]:
    code = INIT.replace(" });", f", environment: {label} }});") if label else INIT
    image = DOCKERFILE.replace("ARG NEXT", "ARG NEXT_PUBLIC_ENV\nARG NEXT", 1)
    return {**next_app(**{"instrumentation-client.ts": code, **more}), "web/Dockerfile": image, path: workflow}


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_one_value_for_both_is_said(tmp_path: Path, environment: str) -> None:
    report = audit(tmp_path, files(), environment)
    assert statuses(report, "frontend-dsn-provided", "web") == {"pass"}
    said = message(report, "frontend-dsn-provided")
    assert "the build gets NEXT_PUBLIC_SENTRY_DSN=$secrets.SENTRY_DSN" in said
    assert "one build (.github/workflows/ci.yml:5) makes the image of production and staging" in said
    assert statuses(report, "dsn-distinct-environments", "web") == {"gap"}
    assert "both send to one project" in message(report, "dsn-distinct-environments")


def test_a_trace_names_the_promotion(tmp_path: Path) -> None:
    write(tmp_path, files())
    [way] = trace(Request(root=tmp_path, environments=("staging",)), "NEXT_PUBLIC_SENTRY_DSN")
    assert way.steps[-1].link == "promotion"
    assert len(way.steps[-1].evidence) == 3


@pytest.mark.parametrize("label", ["window.__ENV.name", "location.hostname === 'a.b' ? 'production' : 'staging'"])
def test_a_label_that_is_found_at_run_time_makes_it_fine(tmp_path: Path, label: str) -> None:
    report = audit(tmp_path, files(label=label))
    assert statuses(report, "dsn-distinct-environments", "web") == {"pass"}
    assert statuses(report, "deploy-environment-declared", "web") == {"pass"}


def test_a_dsn_that_is_found_at_run_time_makes_it_fine(tmp_path: Path) -> None:
    code = INIT.replace("process.env.NEXT_PUBLIC_SENTRY_DSN", "window.__ENV.SENTRY_DSN")
    report = audit(tmp_path, files(**{"instrumentation-client.ts": code}))
    assert statuses(report, "frontend-dsn-provided", "web") == {"skipped"}
    assert statuses(report, "dsn-distinct-environments", "web") == {"skipped"}


def test_a_label_that_is_compiled_in_is_right_in_one_environment_only(tmp_path: Path) -> None:
    given = files(label="process.env.NEXT_PUBLIC_ENV")
    assert statuses(audit(tmp_path, given, "production"), "deploy-environment-declared", "web") == {"pass"}
    report = audit(tmp_path, given, "staging")
    assert statuses(report, "deploy-environment-declared", "web") == {"gap"}
    assert "with NEXT_PUBLIC_ENV compiled in as 'production'" in message(report, "deploy-environment-declared")


def test_a_label_that_two_constants_may_be_is_unknown(tmp_path: Path) -> None:
    report = audit(tmp_path, files(label="flag() ? 'staging' : 'production'"))
    assert statuses(report, "dsn-distinct-environments", "web") == {"unknown"}


def test_the_file_of_another_environment_is_not_in_the_image(tmp_path: Path) -> None:
    dsn = "NEXT_PUBLIC_SENTRY_DSN=https://0123456789abcdef0123456789abcdef@o1.ingest.us.sentry.io/4\n"
    bare = ONE.replace("          NEXT_PUBLIC_SENTRY_DSN=${{ secrets.SENTRY_DSN }}\n", "")
    report = audit(tmp_path / "a", files(bare, **{".env.staging": dsn}))
    assert "pass" not in statuses(report, "frontend-dsn-provided", "web")
    report = audit(tmp_path / "b", files(bare, **{".env.production": dsn}))
    assert statuses(report, "frontend-dsn-provided", "web") == {"pass"}
    assert "makes the image of production and staging" in message(report, "frontend-dsn-provided")


@pytest.mark.parametrize(("text", "path"), [(SCRIPT, "release.sh")])
def test_a_script_that_deploys_one_image_twice(tmp_path: Path, text: str, path: str) -> None:
    report = audit(tmp_path, files(text, path=path))
    assert "one build (release.sh:1) makes the image of production and staging (release.sh:3, release.sh:2)" in message(
        report, "frontend-dsn-provided"
    )


def test_another_workflow_promotes_the_image(tmp_path: Path) -> None:
    head, _, _ = ONE.partition("  production:")
    promote = "on: workflow_dispatch\njobs:\n  production:\n    steps:\n    - run: gcloud run deploy web --image gcr.io/p/web:1\n"
    given = {**files(head), ".github/workflows/promote-production.yml": promote}
    assert statuses(audit(tmp_path, given, "production"), "dsn-distinct-environments", "web") == {"gap"}


@pytest.mark.parametrize(
    "text",
    [
        OWN,
        ONE.replace("gcr.io/p/web:${{ github.sha }}\n  prod", "gcr.io/other/web:1\n  prod"),
        ONE.replace("  build:\n", "  build:\n    environment: production\n"),
    ],
)
def test_builds_of_their_own_are_not_shared(tmp_path: Path, text: str) -> None:
    for environment in ("staging", "production"):
        report = audit(tmp_path, files(text), environment)
        assert statuses(report, "dsn-distinct-environments", "web") == {"skipped"}
        assert "one build" not in message(report, "frontend-dsn-provided")
