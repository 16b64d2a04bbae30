"""Deploy definitions as repositories really write them: rendered manifests, sourced settings, hosts that look like environments."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from sentry_audit.app import Request, trace
from sentry_audit.deployment.environments import named_in
from sentry_audit.deployment.matching import Matching
from sentry_audit.deployment.reading import read
from sentry_audit.facts import Component, SecretDeclared
from tests.test_deployments import BACKEND, deployments, only, variables
from tests.trees import Texts, audit, findings, message, statuses, write

if TYPE_CHECKING:
    from pathlib import Path

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


# --- manifests that are rendered before they are deployed ------------------------------------------

MANIFEST = """\
    apiVersion: serving.knative.dev/v1
    kind: Service
    metadata:
      name: shop
    spec:
      template:
        spec:
          containers:
          - image: IMAGE_URL
            env:
            - name: SENTRY_DSN
              valueFrom: {secretKeyRef: {name: sentry-dsn, key: latest}}
    """
REPLACE = "gcloud run services replace"


@pytest.mark.parametrize(
    "script",
    [
        f'sed "s|IMAGE_URL|$IMAGE|" run/shop.yaml | {REPLACE} --region=r /dev/stdin\n',
        f"cat run/shop.yaml |\n  envsubst |\n  {REPLACE} -\n",
        f'FILE=run/shop.yaml\nT=$(mktemp)\nsed "s|IMAGE_URL|$IMAGE|" "$FILE" > "$T"\n{REPLACE} "$T" --region r\n',
        f"envsubst < run/shop.yaml > /tmp/out.yaml\n{REPLACE} /tmp/out.yaml\n",
        f"cp run/shop.yaml run/shop.yaml.tmp\nsed -i s/a/b/ run/shop.yaml.tmp\n{REPLACE} run/shop.yaml.tmp\n",
        f'./render.sh run/shop.yaml "$tmp/shop.yaml"\n{REPLACE} "$tmp/shop.yaml"\n',
        f'ROOT=$(cd "$(dirname "$0")/.." && pwd)\nsed s/a/b/ "$ROOT/run/shop.yaml" | {REPLACE} /dev/stdin\n',
    ],
)
def test_a_rendered_manifest_is_the_one_it_was_made_from(script: str) -> None:
    found = only({"run/shop.yaml": MANIFEST, "scripts/deploy-staging.sh": script})
    assert (found.path, found.service, found.environment) == ("run/shop.yaml", "shop", "staging")
    assert found.pipeline == "scripts/deploy-staging.sh"
    assert variables(found) == {"SENTRY_DSN": ("set", "sentry-dsn")}


def test_a_manifest_may_be_rendered_in_another_step() -> None:
    found = only(
        {
            "run/shop.yaml.tmpl": MANIFEST,
            ".github/workflows/deploy.yml": """\
                on: {push: {branches: [main]}}
                jobs:
                  ship:
                    environment: Production
                    steps:
                    - run: envsubst < run/shop.yaml.tmpl > shop.yaml
                    - uses: google-github-actions/deploy-cloudrun@v2
                      with: {metadata: shop.yaml}
                """,
        }
    )
    assert (found.path, found.service, found.environment) == ("run/shop.yaml.tmpl", "shop", "production")


def test_the_default_of_a_substitution_may_name_the_manifest() -> None:
    build = f"""\
        steps:
        - name: gcr.io/google.com/cloudsdktool/cloud-sdk
          entrypoint: bash
          args:
          - -c
          - sed "s|IMAGE_URL|$$IMAGE|" "${{_CONFIG}}" | {REPLACE} /dev/stdin
        substitutions: {{_CONFIG: shop.prod.yaml}}
        """
    found = only({"shop.prod.yaml": MANIFEST, "cloudbuild.yaml": build})
    assert (found.service, found.environment, found.pipeline) == ("shop", "production", "cloudbuild.yaml")


def test_a_manifest_that_stands_in_the_script() -> None:
    body = textwrap.dedent(MANIFEST)
    found = only({"deploy.sh": f"cat > out.yaml <<EOF\n{body}EOF\n{REPLACE} out.yaml\n"})
    assert (found.path, found.service, found.line, found.settings[0].line) == ("deploy.sh", "shop", 2, 12)


def test_a_manifest_that_is_not_found_leaves_the_variables_unknown(tmp_path: Path) -> None:
    report = audit(tmp_path, {**BACKEND, "d.sh": f"make-manifest > out.yaml\n{REPLACE} out.yaml\n"})
    assert statuses(report, "deploy-dsn-declared") == {"unknown"}
    assert "the manifest out.yaml was not found in the repository" in message(report, "deploy-dsn-declared")


def test_what_runs_already_and_is_put_back_declares_nothing() -> None:
    script = "gcloud run services describe shop --format=export > live.yaml\nsed -i s/a/b/ live.yaml\n"
    assert not deployments({"d.sh": script + f"{REPLACE} live.yaml\n"})


def test_a_look_at_what_runs_is_no_part_of_a_manifest() -> None:
    script = f"""\
        T=$(mktemp)
        sed s/a/b/ run/shop.yaml > "$T"
        {REPLACE} "$T" --project=acme.com:shop
        gcloud run services describe shop --project=acme.com:shop
        """
    both = {"run/shop.yaml": MANIFEST, "run.sh": script + "sed s/a/c/ run/other.yaml > $T\n" + f"{REPLACE} $T\n"}
    found = deployments({**both, "run/other.yaml": MANIFEST.replace("name: shop", "name: other")})
    assert [item.service for item in found] == ["shop", "other"]


def test_a_single_container_may_stand_without_a_list() -> None:
    text = MANIFEST.replace("- image", "  image")
    assert variables(only({"service.yaml": text})) == {"SENTRY_DSN": ("set", "sentry-dsn")}


# --- what scripts see ------------------------------------------------------------------------------


def test_a_script_sees_what_it_sources_and_what_starts_it() -> None:
    found = deployments(
        {
            "ops/config.sh": "SERVICE=shop\nSECRET=${SERVICE}-dsn\n",
            "ops/deploy.sh": '. "$(dirname "$0")/config.sh"\ngcloud run deploy $SERVICE-$STAGE --set-secrets=SENTRY_DSN=$SECRET:1\n',
            ".github/workflows/d.yml": """\
                on: {push: {branches: [main]}}
                env: {STAGE: staging}
                jobs:
                  a: {steps: [{run: ./ops/deploy.sh}]}
                  b: {steps: [{run: STAGE=production bash ops/deploy.sh}]}
                """,
        }
    )
    assert [(item.service, item.environment) for item in found] == [
        ("shop-staging", "staging"),
        ("shop-production", "production"),
    ]
    assert {variables(item)["SENTRY_DSN"] for item in found} == {("set", "shop-dsn")}


def test_a_script_is_started_at_the_root_where_its_folders_are_there() -> None:
    files = {"backend/Dockerfile": "FROM python\n", "web/Dockerfile": "FROM node\n"}
    script = 'cd backend\ndocker build -t api .\ncd ..\ndocker build -t web ./web\ncd "$HOME/x"\n'
    found = deployments({**files, "scripts/deploy.sh": "# gcloud\n" + script})
    assert [item.source for item in found] == ["backend", "web"]
    beside = 'SCRIPT_DIR="$(cd "$(dirname "$0")" && pwd)"\ncd "$SCRIPT_DIR/../backend"\ndocker build -t api .\n'
    assert only({**files, "scripts/deploy.sh": "# gcloud\n" + beside}).source == "backend"


def test_what_a_script_prints_is_no_deployment() -> None:
    script = (
        "cat <<EOF\nNext: run\n  gcloud run deploy shop --set-secrets=SENTRY_DSN=dsn:1\nEOF\ngcloud run deploy api\n"
    )
    found = only({"deploy.sh": script})
    assert (found.service, found.line) == ("api", 5)


def test_a_bundle_sees_what_is_exported() -> None:
    script = "DSN=$(cat dsn)\nexport VITE_SENTRY_DSN=$DSN\nnpm run build\ngcloud run deploy shop\n"
    assert "VITE_SENTRY_DSN" in variables(deployments({"deploy.sh": script})[0])


def test_flags_that_a_script_gathers_in_an_array() -> None:
    script = """\
        ARGS=(
          --image gcr.io/p/shop
          --region r
        )
        ARGS+=(--update-secrets "SENTRY_DSN=dsn:1")
        ACTION=deploy
        gcloud run $ACTION shop "${ARGS[@]}"
        """
    found = only({"deploy.sh": script})
    assert (found.line, found.image) == (7, "gcr.io/p/shop")
    assert variables(found) == {"SENTRY_DSN": ("update", "dsn")}


# --- what a definition says of itself --------------------------------------------------------------


def test_the_environment_that_a_service_is_told_decides_where_nothing_else_does() -> None:
    terraform = """\
        resource "google_cloud_run_v2_service" "api" {
          name = "shop"
          template {
            containers {
              image = "shop"
              env {
                name  = "ENVIRONMENT"
                value = "staging"
              }
            }
          }
        }
        """
    found = deployments(
        {
            "a.sh": "gcloud run deploy shop --set-env-vars=APP_ENV=production,NODE_ENV=staging\n",
            "b.sh": "gcloud run deploy shop-stg --set-env-vars=APP_ENV=production\n",
            "c.sh": "gcloud run deploy mail --set-env-vars=NODE_ENV=production,SENTRY_ENVIRONMENT=production\n",
            "main.tf": terraform,
        }
    )
    assert [(item.environment, item.rule.partition(" says")[0]) for item in found] == [
        ("production", "the service's variable APP_ENV"),
        ("staging", "the service's name"),
        ("", ""),
        ("staging", "the service's variable ENVIRONMENT"),
    ]


def test_what_is_done_to_the_same_service_is_of_the_same_environment(tmp_path: Path) -> None:
    script = """\
        gcloud run deploy shop --set-env-vars=APP_ENV=production --set-secrets=SENTRY_DSN=dsn:1
        gcloud run services update shop --set-secrets=CORS=cors:1
        """
    report = audit(tmp_path / "a", {**BACKEND, "deploy.sh": script}, "production")
    assert statuses(report, "deploy-wipes-dsn") == {"gap"}
    other = "gcloud run deploy shop --set-secrets=DB=db:1\n"
    report = audit(tmp_path / "b", {**BACKEND, "a.sh": script.partition("\n")[0], "b.sh": other}, "production")
    assert "b.sh:1 replaces all secrets of shop and leaves out SENTRY_DSN" in message(report, "deploy-wipes-dsn")
    assert statuses(audit(tmp_path / "b", {}, "staging"), "deploy-dsn-declared") == {"unknown"}


def test_a_new_image_says_nothing_about_an_environment_that_nothing_names(tmp_path: Path) -> None:
    files = {
        **BACKEND,
        "a.sh": "gcloud run deploy shop --project acme-prod --set-secrets=SENTRY_DSN=dsn:1\n",
        "b.sh": "gcloud run services update shop --image gcr.io/p/shop\n",
    }
    report = audit(tmp_path, files)
    assert statuses(report, "deploy-dsn-declared") == {"unknown"}
    assert "to production, not to staging" in message(report, "deploy-dsn-declared")


# --- which component, which service ----------------------------------------------------------------


def test_a_placeholder_image_does_not_hide_whose_service_it_is(tmp_path: Path) -> None:
    terraform = """\
        resource "google_cloud_run_v2_service" "app" {
          name = "acme"
          template {
            containers {
              image = "us-docker.pkg.dev/cloudrun/container/hello"
              env {
                name  = "ENVIRONMENT"
                value = "staging"
              }
              env {
                name  = "SENTRY_DSN"
                value = "x"
              }
            }
          }
          lifecycle {
            ignore_changes = [template[0].containers[0].image]
          }
        }
        """
    build = """\
        steps:
        - {name: gcr.io/cloud-builders/docker, args: [build, -t, gcr.io/p/acme, .]}
        - {name: gcr.io/cloud-builders/gcloud, args: [run, deploy, acme, --image, gcr.io/p/acme, --project, acme-stg]}
        """
    files = {**BACKEND, "web/package.json": '{"name": "web", "dependencies": {"next": "15"}}', "web/pages/_app.js": ""}
    report = audit(tmp_path, {**files, "infra/main.tf": terraform, "cloudbuild.yaml": build})
    [finding] = [item for item in findings(report, "deploy-dsn-declared") if item.component != "web"]
    assert finding.status.value == "pass"


def test_a_component_with_a_service_of_its_own_is_not_given_another() -> None:
    components = [Component(name=name, path=".") for name in ("acme-main", "acme-queue-worker")]
    script = """\
        docker build -t gcr.io/p/shop .
        docker build -t gcr.io/p/worker -f Dockerfile.worker .
        gcloud run deploy shop --image gcr.io/p/shop
        gcloud run deploy worker --image gcr.io/p/worker
        """
    matching = Matching(components, read(Texts({"deploy.sh": script})).facts)
    assert {name: [item.service for item in found] for name, found in matching.owners.items()} == {
        "acme-main": ["shop"],
        "acme-queue-worker": ["worker"],
    }


def test_an_image_of_a_folder_below_is_not_the_roots() -> None:
    script = """\
        docker build -f services/broker/Dockerfile -t gcr.io/p/broker .
        docker build -f docker/api.Dockerfile -t gcr.io/p/api .
        gcloud run deploy broker --image gcr.io/p/broker
        gcloud run deploy front --image gcr.io/p/api
        """
    matching = Matching([Component(name="app", path=".")], read(Texts({"deploy.sh": script})).facts)
    assert [item.service for item in matching.owners["app"]] == ["front"]


def test_each_service_of_a_component_needs_the_variable(tmp_path: Path) -> None:
    script = """\
        docker build -t gcr.io/p/api backend
        gcloud run deploy shop-api --image gcr.io/p/api --update-secrets=SENTRY_DSN=dsn:1
        gcloud run deploy shop-queue --image gcr.io/p/api --set-secrets=DB=db:1
        gcloud run jobs deploy shop-migrate --image gcr.io/p/api --set-secrets=DB=db:1
        """
    files = {f"backend/{name}": text for name, text in BACKEND.items()}
    report = audit(tmp_path, {**files, "web/package.json": "{}", "deploy.sh": script})
    assert "deploy.sh:3 deploys shop-queue without SENTRY_DSN" in message(report, "deploy-dsn-declared")
    assert statuses(report, "deploy-wipes-dsn") == {"pass"}


def test_the_dockerfile_says_whose_image_it_is(tmp_path: Path) -> None:
    files = {
        **{f"services/{name}/{path}": text for name in ("api", "mail") for path, text in BACKEND.items()},
        "services/api/Dockerfile": "FROM python\n",
        "services/mail/Dockerfile": "FROM python\n",
        "deploy.sh": """\
            docker build -f services/api/Dockerfile -t gcr.io/p/one .
            docker build -f services/mail/Dockerfile -t gcr.io/p/two .
            gcloud run deploy front --image gcr.io/p/one --update-secrets=SENTRY_DSN=dsn:1
            gcloud run deploy letters --image gcr.io/p/two --update-secrets=DB=db:1
            """,
    }
    report = audit(tmp_path, files)
    assert statuses(report, "deploy-dsn-declared", "api") == {"pass"}
    assert statuses(report, "deploy-dsn-declared", "mail") == {"gap"}


def test_a_script_that_a_build_starts_is_no_pipeline_of_its_own(tmp_path: Path) -> None:
    build = """\
        steps:
        - {name: gcr.io/cloud-builders/gcloud, entrypoint: bash, args: [ci/deploy.sh]}
        - name: gcr.io/cloud-builders/gcloud
          args: [run, services, update, shop, --update-secrets=SENTRY_DSN=dsn:1]
        """
    files = {"ci/deploy.sh": "gcloud run deploy shop --set-secrets=DB=db:1\n", "ci/cloudbuild.yaml": build}
    assert {item.pipeline for item in deployments(files)} == {"ci/cloudbuild.yaml"}
    report = audit(tmp_path, {**BACKEND, **files})
    assert statuses(report, "deploy-dsn-declared") == {"pass"}
    assert statuses(report, "deploy-wipes-dsn") == {"pass"}


def test_a_script_that_renews_a_secret_creates_none(tmp_path: Path) -> None:
    files = {
        **BACKEND,
        "deploy.sh": "gcloud secrets versions add cors --data-file=-\ngcloud run deploy shop --set-secrets=A=a:1\n",
        "setup-db.sh": "gcloud secrets create db\n",
        "setup.sh": "for s in api sentry-dsn; do\n  gcloud secrets create $s\ndone\n",
    }
    assert statuses(audit(tmp_path / "a", files), "secret-script-covers-dsn") == {"pass"}
    report = audit(tmp_path / "b", {**files, "setup.sh": ""})
    assert "setup-db.sh creates the secrets db" in message(report, "secret-script-covers-dsn")
    assert "deploy.sh" not in message(report, "secret-script-covers-dsn")


def test_a_dsn_that_goes_into_a_secret_with_others_is_unknown(tmp_path: Path) -> None:
    script = "for s in api db; do\n  gcloud secrets create $s\ndone\nbundle api key=API_KEY sentry_dsn=SENTRY_DSN\n"
    assert statuses(audit(tmp_path / "a", {**BACKEND, "setup.sh": script}), "secret-script-covers-dsn") == {"unknown"}
    both = "# for Sentry\ngcloud secrets create db\ngcloud run deploy shop --set-secrets=SENTRY_DSN=dsn:1\n"
    assert statuses(audit(tmp_path / "b", {**BACKEND, "setup.sh": both}), "secret-script-covers-dsn") == {"gap"}


def test_a_secret_of_terraform_is_of_the_environment_of_the_services_beside_it(tmp_path: Path) -> None:
    terraform = """\
        resource "google_secret_manager_secret" "db" {
          secret_id = "db"
        }
        resource "google_cloud_run_v2_service" "api" {
          name = "shop"
          template {
            containers {
              env {
                name  = "ENVIRONMENT"
                value = "staging"
              }
            }
          }
        }
        """
    files = {**BACKEND, "infra/main.tf": terraform}
    assert statuses(audit(tmp_path, files, "staging"), "terraform-dsn-secret") == {"gap"}
    assert statuses(audit(tmp_path, files, "production"), "terraform-dsn-secret") == {"skipped"}


BUNDLED = """\
    import json
    import sentry_sdk
    from fastapi import FastAPI
    from pydantic import model_validator
    from pydantic_settings import BaseSettings

    class Settings(BaseSettings):
        sentry_dsn: str = ""
        provider_config: str = ""

        @model_validator(mode="after")
        def unpack(self):
            found = json.loads(self.provider_config).get("sentry_dsn")
            if found is not None:
                self.sentry_dsn = found
            return self

    settings = Settings()
    sentry_sdk.init(dsn=settings.sentry_dsn)
    app = FastAPI()
    """


@pytest.mark.parametrize(
    "code",
    [
        BUNDLED,
        BACKEND["main.py"].replace("init()", "init(dsn=os.getenv('SENTRY_DSN') or fetch('sentry-dsn'))")
        + "import os\nfrom vault import fetch\n",
    ],
)
def test_a_dsn_that_may_come_another_way_is_unknown_where_the_variable_is_not_passed(tmp_path: Path, code: str) -> None:
    bare = "gcloud run deploy shop --set-secrets=PROVIDER_CONFIG=p:1\n"
    report = audit(tmp_path / "a", {**BACKEND, "main.py": code, "d.sh": bare})
    assert statuses(report, "deploy-dsn-declared") == {"unknown"}
    passed = "gcloud run deploy shop --set-secrets=SENTRY_DSN=p:1\n"
    assert statuses(audit(tmp_path / "b", {**BACKEND, "main.py": code, "d.sh": passed}), "deploy-dsn-declared") == {
        "pass"
    }


def test_a_literal_dsn_needs_no_deployment(tmp_path: Path) -> None:
    dsn = "https://0123456789abcdef0123456789abcdef@o1.ingest.us.sentry.io/4"
    code = BACKEND["main.py"].replace("init()", f"init(dsn={dsn!r})")
    report = audit(tmp_path, {**BACKEND, "main.py": code, "d.sh": "gcloud run deploy shop-$ENV --image x\n"})
    assert statuses(report, "deploy-dsn-declared") == {"pass"}
    assert "the DSN is a literal" in message(report, "deploy-dsn-declared")


# --- front ends ------------------------------------------------------------------------------------

FRONTEND = {
    "web/package.json": '{"scripts": {"build": "vite build"}, "dependencies": {"react": "19", "@sentry/react": "^10"},'
    ' "devDependencies": {"vite": "7"}}',
    "web/index.html": '<script type="module" src="/src/main.tsx"></script>',
    "web/src/main.tsx": "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\n",
    "web/Dockerfile": "FROM node AS build\nCOPY . .\nRUN npm run build\n",
}


def test_what_another_host_builds_is_unknown(tmp_path: Path) -> None:
    report = audit(tmp_path / "a", {**FRONTEND, "web/vercel.json": "{}"})
    assert statuses(report, "frontend-dsn-provided") == {"unknown"}
    assert "Vercel builds it (web/vercel.json)" in message(report, "frontend-dsn-provided")
    assert statuses(audit(tmp_path / "b", FRONTEND), "frontend-dsn-provided") == {"gap"}


def test_a_bundle_that_no_image_makes_needs_no_argument(tmp_path: Path) -> None:
    workflow = """\
        on: {push: {branches: [main]}}
        jobs:
          ship:
            environment: staging
            defaults: {run: {working-directory: web}}
            env: {VITE_SENTRY_DSN: "${{ secrets.DSN }}"}
            steps:
            - run: npm run build
            - run: gcloud storage cp -r dist gs://shop
        """
    report = audit(tmp_path / "a", {**FRONTEND, ".github/workflows/web.yml": workflow})
    assert statuses(report, "frontend-dsn-provided") == {"pass"}
    image = "        - run: docker build -t gcr.io/p/web .\n"
    report = audit(tmp_path / "b", {**FRONTEND, ".github/workflows/web.yml": workflow + image})
    assert "web/Dockerfile has no ARG VITE_SENTRY_DSN" in message(report, "frontend-dsn-provided")


# --- what a step of a workflow finds out -----------------------------------------------------------


def test_a_step_may_tell_those_after_it_which_service_they_deploy() -> None:
    found = deployments(
        {
            ".github/workflows/d.yml": """\
                on: {workflow_dispatch: {inputs: {target: {}}}}
                env: {PROJECT: acme-dev-tooling}
                jobs:
                  ship:
                    steps:
                    - id: info
                      run: |
                        if [ ${{ github.event.inputs.target }} == 'production' ]; then
                          echo "service=shop" >> "$GITHUB_OUTPUT"
                          echo "environment=${{ github.event.inputs.target }}" >> "$GITHUB_OUTPUT"
                        else
                          echo "service=shop-staging" >> "$GITHUB_OUTPUT"
                          echo "environment=staging" >> "$GITHUB_OUTPUT"
                        fi
                        echo "tag=1" >> "$GITHUB_OUTPUT"
                    - uses: google-github-actions/deploy-cloudrun@v2
                      with:
                        service: ${{ steps.info.outputs.service }}
                        image: gcr.io/p/shop:${{ steps.info.outputs.tag }}
                """
        }
    )
    assert [(item.service, item.environment, item.image) for item in found] == [
        ("shop", "production", "gcr.io/p/shop:1"),
        ("shop-staging", "staging", "gcr.io/p/shop:1"),
    ]


def test_a_job_may_tell_another_its_environment() -> None:
    found = deployments(
        {
            ".github/workflows/d.yml": """\
                on: {push: {branches: [main, develop]}}
                jobs:
                  setup:
                    outputs: {name: "${{ steps.pick.outputs.env }}"}
                    steps:
                    - id: pick
                      run: |
                        case "${{ github.ref_name }}" in
                          main) NAME=production ;;
                          *) NAME=staging ;;
                        esac
                        echo "env=$NAME" >> $GITHUB_OUTPUT
                  ship:
                    needs: setup
                    environment: ${{ needs.setup.outputs.name }}
                    steps:
                    - run: echo "SECRET=dsn-${{ needs.setup.outputs.name }}" >> $GITHUB_ENV
                    - run: gcloud run deploy shop --update-secrets=SENTRY_DSN=$SECRET:1
                """
        }
    )
    assert [(item.environment, variables(item)["SENTRY_DSN"][1]) for item in found] == [
        ("production", "dsn-production"),
        ("staging", "dsn-staging"),
    ]


def test_an_output_that_tells_no_environment_makes_no_second_way() -> None:
    step = 'if [ "$X" ]; then echo "tag=a" >> $GITHUB_OUTPUT; fi'
    found = only(
        {
            ".github/workflows/d.yml": f"""\
                on: push
                jobs:
                  ship:
                    steps:
                    - {{id: t, run: '{step}'}}
                    - run: gcloud run deploy shop --image gcr.io/p/shop:${{{{ steps.t.outputs.tag }}}}
                """
        }
    )
    assert found.service == "shop"


def test_a_constant_with_the_name_of_a_variable_reads_none(tmp_path: Path) -> None:
    code = {
        **FRONTEND,
        "web/src/env.ts": "export const SENTRY_DSN = import.meta.env.VITE_SENTRY_DSN;\n",
        "web/src/main.tsx": "import { SENTRY_DSN } from './env';\nconsole.log(SENTRY_DSN);\n",
        "server/index.ts": "const { PORT, API_KEY } = process.env;\nstart(PORT, process.env['TOKEN']);\n",
        "deploy.sh": "gcloud run deploy web --source web --set-secrets=SENTRY_DSN=dsn:1\n",
    }
    write(tmp_path, code)
    for name, read_ in (("SENTRY_DSN", False), ("VITE_SENTRY_DSN", True), ("API_KEY", True), ("TOKEN", True)):
        ways = trace(Request(root=tmp_path, environments=("staging",)), name)
        assert (ways[0].steps[0].status.value == "pass") is read_, name


def test_a_default_of_a_variable_of_the_same_name_counts(tmp_path: Path) -> None:
    text = """\
        SERVICE="${SERVICE:-shop}"
        ENV="${ENV:-staging}"
        DSN_SECRET=${DSN_SECRET:-shop-dsn}
        FLAGS="${FLAGS} --set-secrets=SENTRY_DSN=${DSN_SECRET}:1"
        gcloud run deploy "${SERVICE}-${ENV}" --image gcr.io/p/shop $FLAGS
        """
    found = only({"deploy.sh": text})
    assert (found.service, found.settings[0].secret) == ("shop-${ENV}", "shop-dsn")


def test_a_secret_that_a_function_creates_is_shown_where_it_does(tmp_path: Path) -> None:
    text = """\
        gcloud iam service-accounts create runner
        make() {
          if gcloud secrets describe "$1"; then return 0; fi
          gcloud secrets create "$1" \\
            --data-file=-
        }
        API="${API:-api-key}"
        make "$API"
        make mail-key
        """
    created = [fact for fact in read(Texts({"make.sh": text})).facts if isinstance(fact, SecretDeclared)]
    assert [(fact.name, fact.line) for fact in created] == [("api-key", 4), ("mail-key", 4)]
