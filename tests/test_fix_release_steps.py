"""The step that tells Sentry of a release: skipped, not failing, as long as GitHub has no token for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.fixers import release_steps
from sentry_audit.fixing import Change
from tests.fixing_deploy import cases, fixed, refused
from tests.trees import write

if TYPE_CHECKING:
    from pathlib import Path

APP = {
    "requirements.txt": "fastapi\nsentry-sdk>=2.64,<3\n",
    "main.py": "import sentry_sdk\nsentry_sdk.init()\nfrom fastapi import FastAPI\napp = FastAPI()\n",
}
PATH = ".github/workflows/deploy.yml"
CHECKOUT = """\
on: push
jobs:
  deploy:
    runs-on: ubuntu-latest
    steps:
      - name: Fetch
        uses: actions/checkout@v4
      - name: Deploy
        run: gcloud run deploy api --source . # live
"""
STEP = """\
      - name: Tell Sentry of the release
        if: env.SENTRY_AUTH_TOKEN != ''
        uses: getsentry/action-release@v3
        env:
          SENTRY_AUTH_TOKEN: ${{ secrets.SENTRY_AUTH_TOKEN }}
          SENTRY_ORG: ${{ vars.SENTRY_ORG }}
          SENTRY_PROJECT: ${{ vars.SENTRY_PROJECT }}
        with:
          environment: production
          release: ${{ github.sha }}
"""


def changed(root: Path, workflow: str) -> Change:
    write(root, APP | {PATH: workflow})
    answer = release_steps.record(cases(root, "release-in-ci", "production")[0])
    assert isinstance(answer, Change), answer
    return answer


def test_without_a_token_the_step_is_there_and_skipped(tmp_path: Path) -> None:
    written = fixed(tmp_path, APP | {PATH: CHECKOUT}, "release-in-ci", release_steps.record, "production")
    assert written[PATH] == CHECKOUT.replace("@v4\n", "@v4\n        with:\n          fetch-depth: 0\n") + STEP


def test_the_summary_says_what_has_to_be_made_first(tmp_path: Path) -> None:
    summary = changed(tmp_path, CHECKOUT).summary
    assert (
        "once GitHub has the secret SENTRY_AUTH_TOKEN, the variable SENTRY_ORG, the variable SENTRY_PROJECT" in summary
    )
    assert summary.endswith("until then the step is skipped")


def test_the_step_stands_apart_where_all_steps_do(tmp_path: Path) -> None:
    workflow = CHECKOUT.replace("      - name: Deploy", "\n      - name: Deploy")
    assert (changed(tmp_path, workflow).edits[0].after or "").endswith(f"# live\n\n{STEP}")


def test_the_step_goes_where_the_image_is_deployed_that_another_step_builds(tmp_path: Path) -> None:
    workflow = CHECKOUT.replace("deploy api --source .", "deploy api --image eu.gcr.io/acme/api").replace(
        "      - name: Deploy",
        "      - name: Build\n        run: docker build -t eu.gcr.io/acme/api . && docker push eu.gcr.io/acme/api\n"
        "      - name: Deploy",
    )
    write(
        tmp_path,
        {"Dockerfile": "FROM python:3.12\nCOPY . .\nRUN pip install -r requirements.txt\nCMD uvicorn main:app\n"},
    )
    assert (changed(tmp_path, workflow).edits[0].after or "").endswith(STEP)


def test_a_history_that_is_asked_for_stays_as_it_is(tmp_path: Path) -> None:
    workflow = CHECKOUT.replace("@v4\n", "@v4\n        with:\n          fetch-depth: 20\n")
    assert changed(tmp_path, workflow).edits[0].after == workflow + STEP


def test_a_job_that_checks_nothing_out_sets_no_commits(tmp_path: Path) -> None:
    workflow = CHECKOUT.replace("      - name: Fetch\n        uses: actions/checkout@v4\n", "")
    assert changed(tmp_path, workflow).edits[0].after == workflow + STEP + "          set_commits: skip\n"


def test_a_deploy_to_several_environments_names_the_one_that_it_is(tmp_path: Path) -> None:
    workflow = CHECKOUT.replace("deploy api", "deploy api-${{ inputs.environment }}").replace(
        "on: push", "on:\n  workflow_dispatch:\n    inputs:\n      environment:\n        type: string"
    )
    after = changed(tmp_path, workflow).edits[0].after or ""
    assert "          environment: ${{ inputs.environment }}\n" in after


@pytest.mark.parametrize("value", ["${{ matrix.project }}", "${{ env.PROJECT }}"])
def test_what_only_another_job_knows_is_not_taken_over(tmp_path: Path, value: str) -> None:
    workflow = (
        CHECKOUT
        + f"  other:\n    steps:\n      - name: Maps\n        run: ./maps\n        env:\n          SENTRY_PROJECT: {value}\n"
    )
    after = changed(tmp_path, workflow).edits[0].after or ""
    assert "          SENTRY_PROJECT: ${{ vars.SENTRY_PROJECT }}\n" in after


def test_a_release_that_is_called_otherwise_is_left_to_a_person(tmp_path: Path) -> None:
    workflow = CHECKOUT.replace("--source .", "--source . --update-env-vars=SENTRY_RELEASE=$SHORT_SHA")
    refusal = refused(tmp_path, APP | {PATH: workflow}, "release-in-ci", release_steps.record, "production")
    assert "made from the short commit" in refusal.reason
    assert refusal.commands[0].startswith("sentry-cli releases new")
