"""The token of a bundler's plugin: mounted while the image is built, handed over by what builds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.app import Request, check
from sentry_audit.model import Status
from sentry_audit.rehearsing import plan
from tests.trees import write

if TYPE_CHECKING:
    from pathlib import Path

WEB = {
    "web/package.json": '{"scripts": {"build": "next build"}, "dependencies": {"next": "15.3.0", "@sentry/nextjs": "^10"}}',
    "web/instrumentation-client.ts": "import * as Sentry from '@sentry/nextjs';\n"
    "Sentry.init({ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN });\n",
    "web/next.config.ts": "import { withSentryConfig } from '@sentry/nextjs';\n"
    "export default withSentryConfig({}, { org: 'acme', project: 'web', silent: true });\n",
}
HEAD = "FROM node:22\nWORKDIR /app\nCOPY . .\n"
TAIL = 'RUN npm run build\nCMD ["npm", "start"]\n'
MOUNTED = (
    'RUN --mount=type=secret,id=SENTRY_AUTH_TOKEN,env=SENTRY_AUTH_TOKEN \\\n    npm run build\nCMD ["npm", "start"]\n'
)
SYNTAX = "# syntax=docker/dockerfile:1\n"
PUSH = """\
on: push
jobs:
  web:
    runs-on: ubuntu-latest
    steps:
    - uses: docker/build-push-action@v6
      with:
        context: web
        push: true
        tags: eu.gcr.io/acme/web
    - run: gcloud run deploy web --image eu.gcr.io/acme/web
"""
WORKFLOW = ".github/workflows/web.yml"
CLOUD = """\
steps:
  - name: gcr.io/cloud-builders/docker
    args: ["build", "-t", "eu.gcr.io/acme/web", "web"]
  - name: gcr.io/google.com/cloudsdktool/cloud-sdk
    entrypoint: gcloud
    args: ["run", "deploy", "web", "--image", "eu.gcr.io/acme/web"]
images: ["eu.gcr.io/acme/web"]
"""


def fixed(root: Path, files: dict[str, str]) -> dict[str, str]:
    """The files that the plan changes; the gap is closed, and no other is opened."""
    write(root, files)
    request = Request(root=root, environments=("production",))
    bad = {Status.GAP, Status.UNKNOWN, Status.ERROR}
    before = {(item.check, item.component) for item in check(request)[0].findings if item.status in bad}
    made = plan(request, ("source-maps",), repo=True, cloud=False, unproven=False, progress=None).plan
    assert made.steps, made.left
    written = {change.path: change.after or "" for step in made.steps for change in step.files}
    write(root, written)
    after = {(item.check, item.component) for item in check(request)[0].findings if item.status in bad}
    assert after <= before - {("source-maps", "web")}, after - before
    return written


def refused(root: Path, files: dict[str, str]) -> str:
    write(root, files)
    request = Request(root=root, environments=("production",))
    made = plan(request, ("source-maps",), repo=True, cloud=False, unproven=False, progress=None).plan
    assert not made.steps
    return made.left[0].reason


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HEAD + TAIL, SYNTAX + HEAD + MOUNTED),
        (SYNTAX + HEAD + TAIL, SYNTAX + HEAD + MOUNTED),
        (f"# syntax=docker/dockerfile:1.12\n{HEAD}{TAIL}", f"# syntax=docker/dockerfile:1.12\n{HEAD}{MOUNTED}"),
        # an argument stays in the image's history
        (f"{HEAD}ARG SENTRY_AUTH_TOKEN\nENV SENTRY_AUTH_TOKEN=$SENTRY_AUTH_TOKEN\n{TAIL}", SYNTAX + HEAD + MOUNTED),
        # mounted as a file that nothing reads
        (
            f"{HEAD}RUN --mount=type=secret,id=sentry_auth_token npm run build\n",
            f"{SYNTAX}{HEAD}RUN --mount=type=secret,id=sentry_auth_token,env=SENTRY_AUTH_TOKEN npm run build\n",
        ),
    ],
)
def test_the_dockerfile_mounts_the_token_for_the_bundler(tmp_path: Path, before: str, after: str) -> None:
    workflow = PUSH
    if "id=sentry_auth_token" in before:
        workflow = PUSH.replace(
            "push: true\n", "push: true\n        secrets: |\n          sentry_auth_token=${{ secrets.T }}\n"
        )
    written = fixed(tmp_path, WEB | {"web/Dockerfile": before, WORKFLOW: workflow})
    assert written["web/Dockerfile"] == after


def test_the_action_hands_the_token_over(tmp_path: Path) -> None:
    written = fixed(tmp_path, WEB | {"web/Dockerfile": HEAD + TAIL, WORKFLOW: PUSH})
    row = "        secrets: |\n          SENTRY_AUTH_TOKEN=${{ secrets.SENTRY_AUTH_TOKEN }}\n"
    assert written[WORKFLOW] == PUSH.replace("acme/web\n    - run", f"acme/web\n{row}    - run")


def test_a_step_that_runs_docker_gets_the_token_and_hands_it_over(tmp_path: Path) -> None:
    workflow = (
        "on: push\njobs:\n  web:\n    runs-on: ubuntu-latest\n    steps:\n    - run: |\n"
        "        docker build -t eu.gcr.io/acme/web web\n        docker push eu.gcr.io/acme/web\n"
        "        gcloud run deploy web --image eu.gcr.io/acme/web\n"
    )
    text = fixed(tmp_path, WEB | {"web/Dockerfile": HEAD + TAIL, WORKFLOW: workflow})[WORKFLOW]
    assert "docker build --secret id=SENTRY_AUTH_TOKEN,env=SENTRY_AUTH_TOKEN -t" in text
    assert "      env:\n        SENTRY_AUTH_TOKEN: ${{ secrets.SENTRY_AUTH_TOKEN }}\n" in text


@pytest.mark.parametrize(
    "args",
    [
        '    args: ["build", "-t", "eu.gcr.io/acme/web", "web"]\n',
        "    args:\n      - build\n      - -t\n      - eu.gcr.io/acme/web\n      - web\n",
        "    entrypoint: bash\n    args:\n      - -c\n      - |\n        docker build -t eu.gcr.io/acme/web web\n",
    ],
)
def test_cloud_build_takes_the_token_from_secret_manager(tmp_path: Path, args: str) -> None:
    cloud = CLOUD.replace('    args: ["build", "-t", "eu.gcr.io/acme/web", "web"]\n', args)
    text = fixed(tmp_path, WEB | {"web/Dockerfile": HEAD + TAIL, "cloudbuild.yaml": cloud})["cloudbuild.yaml"]
    assert "id=SENTRY_AUTH_TOKEN,env=SENTRY_AUTH_TOKEN" in text
    assert "    env:\n      - DOCKER_BUILDKIT=1\n    secretEnv:\n      - SENTRY_AUTH_TOKEN\n" in text
    assert text.endswith(
        "\navailableSecrets:\n  secretManager:\n"
        "    - versionName: projects/$PROJECT_ID/secrets/sentry-auth-token/versions/latest\n"
        "      env: SENTRY_AUTH_TOKEN\n"
    )


def test_a_script_hands_over_the_token_that_it_is_run_with(tmp_path: Path) -> None:
    script = "docker build -t eu.gcr.io/acme/web web\ndocker push eu.gcr.io/acme/web\ngcloud run deploy web --image eu.gcr.io/acme/web\n"
    text = fixed(tmp_path, WEB | {"web/Dockerfile": HEAD + TAIL, "deploy.sh": script})["deploy.sh"]
    assert text.startswith("docker build --secret id=SENTRY_AUTH_TOKEN,env=SENTRY_AUTH_TOKEN -t")


def test_project_and_organisation_come_with_the_token_where_the_plugin_reads_them(tmp_path: Path) -> None:
    config = WEB["web/next.config.ts"].replace(
        "org: 'acme', project: 'web'", "org: process.env.SENTRY_ORG, project: process.env.SENTRY_PROJECT"
    )
    written = fixed(tmp_path, WEB | {"web/next.config.ts": config, "web/Dockerfile": HEAD + TAIL, WORKFLOW: PUSH})
    assert "ARG SENTRY_PROJECT\nENV SENTRY_PROJECT=$SENTRY_PROJECT\nARG SENTRY_ORG\n" in written["web/Dockerfile"]
    rows = "        build-args: |\n          SENTRY_PROJECT=${{ vars.SENTRY_PROJECT }}\n          SENTRY_ORG=${{ vars.SENTRY_ORG }}\n"
    assert rows in written[WORKFLOW]
    assert written[WORKFLOW].count("build-args") == 1
    assert "SENTRY_AUTH_TOKEN=${{ secrets.SENTRY_AUTH_TOKEN }}\n" in written[WORKFLOW]


def test_cloud_build_declares_each_substitution_once(tmp_path: Path) -> None:
    config = WEB["web/next.config.ts"].replace(
        "org: 'acme', project: 'web'", "org: process.env.SENTRY_ORG, project: process.env.SENTRY_PROJECT"
    )
    files = WEB | {"web/next.config.ts": config, "web/Dockerfile": HEAD + TAIL, "cloudbuild.yaml": CLOUD}
    text = fixed(tmp_path, files)["cloudbuild.yaml"]
    assert 'substitutions:\n  _SENTRY_PROJECT: ""\n  _SENTRY_ORG: ""\n' in text
    assert text.count("substitutions:") == text.count("availableSecrets:") == 1


def test_a_front_end_that_a_step_builds_gets_the_token_there(tmp_path: Path) -> None:
    workflow = (
        "on: push\njobs:\n  web:\n    runs-on: ubuntu-latest\n    steps:\n    - run: npm ci && npm run build\n"
        "      working-directory: web\n    - run: docker build -t eu.gcr.io/acme/web web && docker push eu.gcr.io/acme/web\n"
        "    - run: gcloud run deploy web --image eu.gcr.io/acme/web\n"
    )
    dockerfile = "FROM nginx\nCOPY out /usr/share/nginx/html\n"
    written = fixed(tmp_path, WEB | {"web/Dockerfile": dockerfile, WORKFLOW: workflow})
    assert set(written) == {WORKFLOW}
    row = "npm run build\n      env:\n        SENTRY_AUTH_TOKEN: ${{ secrets.SENTRY_AUTH_TOKEN }}\n"
    assert row in written[WORKFLOW]


def test_an_old_dockerfile_syntax_is_left_to_a_person(tmp_path: Path) -> None:
    files = WEB | {"web/Dockerfile": f"# syntax=docker/dockerfile:1.4\n{HEAD}{TAIL}", WORKFLOW: PUSH}
    assert "docker/dockerfile 1.4" in refused(tmp_path, files)


def test_a_called_workflow_is_left_to_a_person_unless_it_inherits_secrets(tmp_path: Path) -> None:
    called = PUSH.replace("on: push", "on:\n  workflow_call:")
    caller = "on: push\njobs:\n  web:\n    uses: ./.github/workflows/web.yml\n"
    files = WEB | {"web/Dockerfile": HEAD + TAIL, WORKFLOW: called, ".github/workflows/main.yml": caller}
    assert "hand the secret on" in refused(tmp_path, files)
    inheriting = {".github/workflows/main.yml": f"{caller}    secrets: inherit\n"}
    assert "SENTRY_AUTH_TOKEN=" in fixed(tmp_path, files | inheriting)[WORKFLOW]
