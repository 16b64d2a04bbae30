"""What deploys a service, read from every kind of definition; and what its variables are afterwards."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_audit.deployment.branches import branches
from sentry_audit.deployment.environments import rendered, told
from sentry_audit.deployment.gcloud import settings, understand
from sentry_audit.deployment.reading import read
from sentry_audit.facts import Deployment, SecretDeclared
from tests.trees import FASTAPI, SDK, Texts, audit, findings, message, statuses

if TYPE_CHECKING:
    from pathlib import Path

BACKEND = {"requirements.txt": SDK, "main.py": f"import sentry_sdk\nsentry_sdk.init()\n{FASTAPI}"}


def deployments(files: dict[str, str]) -> list[Deployment]:
    return [fact for fact in read(Texts(files)).facts if isinstance(fact, Deployment)]


def only(files: dict[str, str]) -> Deployment:
    [found] = deployments(files)
    return found


def variables(deployment: Deployment) -> dict[str, tuple[str, str]]:
    return {item.name: (item.operation, item.secret or item.value) for item in deployment.settings}


# --- commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1,B=2", [("A", ""), ("B", "")]),
        ("/etc/key=key:1,A=a:1", [("A", "")]),
        ("^@^A=1,2@SENTRY_ENVIRONMENT=staging", [("A", ""), ("SENTRY_ENVIRONMENT", "staging")]),
        (
            "SENTRY_DSN=https://0123456789abcdef0123456789abcdef@o1.ingest.us.sentry.io/4",
            [("SENTRY_DSN", "https://…cdef@o1.ingest.us.sentry.io/4")],
        ),
    ],
)
def test_lists_of_variables(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(item.name, item.value) for item in settings(text, "set", "plain", 1)] == expected


@pytest.mark.parametrize(
    ("command", "resource", "service"),
    [
        ("gcloud run deploy shop --image x", "service", "shop"),
        ("gcloud --project p beta run deploy shop", "service", "shop"),
        ("gcloud run services update shop", "service", "shop"),
        ("gcloud run jobs update nightly", "job", "nightly"),
        ("gcloud beta run worker-pools deploy listener", "worker-pool", "listener"),
        ("docker buildx build -t gcr.io/p/shop:1 .", "image", ""),
    ],
)
def test_commands(command: str, resource: str, service: str) -> None:
    change = understand(tuple(command.split()))
    assert change is not None
    assert (change.resource, change.service) == (resource, service)


@pytest.mark.parametrize(
    "command", ["gcloud run services describe shop", "docker push x", "gcloud auth login", "echo gcloud"]
)
def test_commands_that_deploy_nothing(command: str) -> None:
    assert understand(tuple(command.split())) is None


# --- where definitions stand ----------------------------------------------------------------------


def test_cloud_build() -> None:
    found = deployments(
        {
            "cloudbuild.yaml": """\
                substitutions: {_SERVICE: shop, _ENV: staging}
                steps:
                - name: gcr.io/cloud-builders/docker
                  args: [build, -t, gcr.io/p/shop, --build-arg, VITE_SENTRY_DSN=$_DSN, web]
                - name: gcr.io/google.com/cloudsdktool/cloud-sdk
                  entrypoint: gcloud
                  args:
                  - run
                  - deploy
                  - ${_SERVICE}-${_ENV}
                  - --update-secrets=SENTRY_DSN=dsn-${_ENV}:latest
                - name: gcr.io/cloud-builders/gcloud
                  entrypoint: bash
                  args:
                  - -c
                  - |
                    # gcloud run deploy old
                    gcloud run services update shop --clear-env-vars
                """
        }
    )
    image, service, update = found
    assert (image.resource, image.source, variables(image)) == ("image", "web", {"VITE_SENTRY_DSN": ("set", "$_DSN")})
    assert (service.service, service.environment) == ("shop-${_ENV}", "")
    assert rendered(service.service, "production") == "shop-production"
    assert service.settings[0].line == 11
    assert (update.line, update.settings[0].operation) == (18, "clear")


def test_cloud_build_secrets_reach_build_arguments() -> None:
    found = only(
        {
            "cloudbuild.yaml": """\
                steps:
                - name: gcr.io/cloud-builders/docker
                  entrypoint: bash
                  secretEnv: [DSN]
                  args: ['-c', 'docker build --build-arg NEXT_PUBLIC_SENTRY_DSN=$$DSN .']
                availableSecrets:
                  secretManager:
                  - {versionName: projects/p/secrets/front-dsn/versions/latest, env: DSN}
                """
        }
    )
    assert variables(found) == {"NEXT_PUBLIC_SENTRY_DSN": ("set", "front-dsn")}


def test_a_workflow_for_the_action() -> None:
    found = deployments(
        {
            ".github/workflows/deploy.yml": """\
                on:
                  workflow_dispatch:
                    inputs:
                      target: {type: choice, options: [staging, production]}
                jobs:
                  go:
                    environment: ${{ inputs.target }}
                    steps:
                    - uses: google-github-actions/deploy-cloudrun@v2
                      with:
                        service: shop-${{ inputs.target }}
                        env_vars: |
                          SENTRY_ENVIRONMENT=${{ inputs.target }}
                          # a note
                          LOG=1
                        env_vars_update_strategy: overwrite
                        secrets: SENTRY_DSN=shop-dsn:latest
                """
        }
    )
    assert [(item.service, item.environment) for item in found] == [
        ("shop-staging", "staging"),
        ("shop-production", "production"),
    ]
    assert variables(found[0])["SENTRY_ENVIRONMENT"] == ("set", "staging")
    assert variables(found[0])["SENTRY_DSN"] == ("update", "shop-dsn")


def test_a_workflow_with_a_matrix_and_a_called_one() -> None:
    found = deployments(
        {
            ".github/workflows/main.yml": """\
                on: {push: {branches: [main]}}
                jobs:
                  each:
                    strategy:
                      matrix:
                        include:
                        - {env: staging, project: shop-stg}
                        - {env: production, project: shop-prd}
                    uses: ./.github/workflows/one.yml
                    with: {environment: "${{ matrix.env }}"}
                """,
            ".github/workflows/one.yml": """\
                on: {workflow_call: {inputs: {environment: {type: string}}}}
                jobs:
                  deploy:
                    steps:
                    - run: gcloud run deploy shop --update-secrets SENTRY_DSN=dsn-${{ inputs.environment }}:1
                """,
        }
    )
    assert [(item.environment, variables(item)["SENTRY_DSN"][1]) for item in found] == [
        ("staging", "dsn-staging"),
        ("production", "dsn-production"),
    ]
    assert {item.pipeline for item in found} == {".github/workflows/main.yml"}


def test_a_job_that_cannot_run_for_an_environment() -> None:
    found = deployments(
        {
            ".github/workflows/d.yml": """\
                on:
                  workflow_dispatch: {inputs: {env: {options: [staging, production]}}}
                jobs:
                  prod:
                    if: inputs.env == 'production'
                    steps: [{run: gcloud run deploy shop}]
                """
        }
    )
    assert [item.environment for item in found] == ["production"]


def test_knative() -> None:
    found = only(
        {
            "service.yaml": """\
                apiVersion: serving.knative.dev/v1
                kind: Service
                metadata: {name: shop-staging}
                spec:
                  template:
                    spec:
                      containers:
                      - image: proxy
                        env: [{name: SENTRY_DSN, value: x}]
                      - image: shop
                        ports: [{containerPort: 8080}]
                        env:
                        - name: SENTRY_DSN
                          valueFrom: {secretKeyRef: {name: dsn, key: latest}}
                """
        }
    )
    assert (found.declarative, found.service, found.environment) == (True, "shop-staging", "staging")
    assert variables(found) == {"SENTRY_DSN": ("set", "dsn")}


def test_a_wrapper_script_hands_on_to_another() -> None:
    found = only(
        {
            "release.sh": "#!/bin/sh\nbash scripts/deploy.sh production\n",
            "scripts/deploy.sh": "gcloud run deploy shop-$1 --update-secrets SENTRY_DSN=dsn-$1:latest\n",
        }
    )
    assert (found.service, found.environment, found.path) == ("shop-production", "production", "scripts/deploy.sh")
    assert found.pipeline == "release.sh"


def test_what_real_scripts_do() -> None:
    found = only(
        {
            "deploy.sh": """\
                PROJECT="${PROJECT:?set it}"
                names="
                SENTRY_DSN
                DB_PASSWORD
                "
                for name in $names; do
                  secrets="${secrets}${name}=shop-${name}:latest,"
                done
                CMD="gcloud run deploy shop --project=$PROJECT"
                CMD="$CMD --set-secrets=$secrets"
                eval $CMD
                """
        }
    )
    assert variables(found)["SENTRY_DSN"] == ("set", "shop-SENTRY_DSN")
    assert variables(found)["DB_PASSWORD"] == ("set", "shop-DB_PASSWORD")


def test_secrets_that_a_script_creates() -> None:
    files = {
        "create.sh": """\
            ensure() {
              local name="$1"
              gcloud secrets create "$name" --data-file=-
            }
            ensure api-key
            NAMES=(database-url sentry-dsn)
            for item in "${NAMES[@]}"; do gcloud secrets create $item; done
            """
    }
    found = [fact.name for fact in read(Texts(files)).facts if isinstance(fact, SecretDeclared)]
    assert found == ["api-key", "database-url", "sentry-dsn"]


def test_a_makefile() -> None:
    files = {"Makefile": "SERVICE = shop\n\ndeploy-staging:\n\t@gcloud run deploy $(SERVICE) --clear-secrets\n"}
    found = only(files)
    assert (found.service, found.environment, found.line) == ("shop", "staging", 4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("case $1 in\n  staging) A=1 ;;\n  prod) A=2 ;;\nesac\necho $A\n", ["production", "staging"]),
        ('if [ "$ENV" = "production" ]; then\n  A=1\nfi\n', ["production", "staging"]),
        ("if [ -n x ]; then\n  A=1\nfi\n", [""]),
    ],
)
def test_one_script_for_several_environments(text: str, expected: list[str]) -> None:
    parts = branches(text)
    assert [name for name, _, _ in parts] == expected
    assert {part.count("\n") for _, _, part in parts} == {text.count("\n")}


def test_what_tells_the_environment() -> None:
    assert told([("shop", "the service"), ("acme-prod", "the project")]) == (
        "production",
        "the project says so: acme-prod",
    )
    assert told([("build-test-deploy", "the job's name")]) == ("", "")
    assert told([("staging-to-production", "the file's name")]) == ("", "")


@pytest.mark.parametrize(
    "code",
    [
        'subprocess.run(["gcloud", "run", "deploy", f"shop-{env}", "--update-secrets=SENTRY_DSN=dsn:1"])',
        'command = ["gcloud", "run", "deploy", NAME]\n    command += ["--update-secrets", "SENTRY_DSN=dsn:1"]\n    run(command)',
        'os.system(f"gcloud run deploy shop-{env} --update-secrets=SENTRY_DSN=dsn:1")',
        'flags = ",".join(f"{k}={v}" for k, v in SECRETS.items())\n    run(["gcloud", "run", "deploy", NAME, f"--update-secrets={flags}"])',
    ],
)
def test_python_scripts_that_build_the_command(code: str) -> None:
    found = only({"deploy.py": f'SECRETS = {{"SENTRY_DSN": "dsn:1"}}\nNAME = "shop"\ndef deploy(env):\n    {code}\n'})
    assert variables(found) == {"SENTRY_DSN": ("update", "dsn")}
    assert found.service in {"shop", "shop-${env}"}
    assert found.path == "deploy.py"


def test_a_command_in_a_comment_or_a_docstring_is_none() -> None:
    assert not deployments({"deploy.py": '"""gcloud run deploy shop"""\n# gcloud run deploy shop\nX = 1\n'})


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("cloudbuild.yaml", "steps:\n\t- name: gcloud\n", 2),
        (".github/workflows/a.yml", "on: push\njobs:\n  a: {run: gcloud\n", 4),
        ("service.yaml", "apiVersion: serving.knative.dev/v1\nname: {{ .Values.name }}\n", 2),
        ("cloudbuild.yaml", "steps:\n- name: gcloud\n  args: [run]\n  args: [x]\n", 4),
        ("main.tf", 'resource "google_cloud_run_v2_service" "a" {\n  name =\n}\n', 2),
    ],
)
def test_broken_files_are_problems_with_their_line(path: str, text: str, line: int) -> None:
    problems = read(Texts({path: text})).problems
    assert [(item.evidence.path, item.evidence.line) for item in problems] == [(path, line)]
    assert "deployed_dsn" in problems[0].kinds


@given(st.text(max_size=300))
def test_reading_never_raises(text: str) -> None:
    for path in (
        "cloudbuild.yaml",
        ".github/workflows/a.yml",
        "deploy.sh",
        "deploy.py",
        "Makefile",
        "service.yaml",
        "main.tf",
    ):
        for mark in ("gcloud ", "serving.knative.dev ", "google_cloud_run ", "steps: "):
            read(Texts({path: mark + text}))


# --- verdicts ------------------------------------------------------------------------------------


def test_an_update_keeps_and_a_set_drops(tmp_path: Path) -> None:
    setup = "gcloud run services update shop --update-secrets=SENTRY_DSN=dsn:latest\n"
    report = audit(
        tmp_path / "a", {**BACKEND, "setup.sh": setup, "deploy.sh": "gcloud run deploy shop --update-secrets=DB=db:1\n"}
    )
    assert statuses(report, "deploy-dsn-declared") == {"pass"}
    assert statuses(report, "deploy-wipes-dsn") == {"pass"}
    report = audit(
        tmp_path / "b", {**BACKEND, "setup.sh": setup, "deploy.sh": "gcloud run deploy shop --set-secrets=DB=db:1\n"}
    )
    assert "deploy.sh:1 replaces all secrets of shop and leaves out SENTRY_DSN" in message(report, "deploy-wipes-dsn")


def test_plain_variables_and_secrets_are_two_sorts(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            **BACKEND,
            "d.sh": "gcloud run deploy shop --update-secrets=SENTRY_DSN=d:1\ngcloud run services update shop --set-env-vars=A=1\n",
        },
    )
    assert statuses(report, "deploy-wipes-dsn") == {"pass"}


def test_a_differently_named_service_with_differently_named_variables(tmp_path: Path) -> None:
    files = {
        "api/requirements.txt": SDK,
        "api/main.py": BACKEND["main.py"],
        "api/Dockerfile": 'FROM python\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["uvicorn", "main:app"]\n',
        "deploy-api.sh": "gcloud run deploy api --source api --update-env-vars=LOG=1\n",
        "deploy-docs.sh": "gcloud run deploy docs --update-secrets=DOCS_SENTRY_DSN=docs-dsn:1\n",
    }
    report = audit(tmp_path, files)
    assert "deploy-api.sh:1 deploys api without SENTRY_DSN" in message(report, "deploy-dsn-declared")
    assert "docs" not in message(report, "deploy-dsn-declared")


def test_another_variable_than_the_code_reads(tmp_path: Path) -> None:
    report = audit(tmp_path, {**BACKEND, "d.sh": "gcloud run deploy shop --update-secrets=SENTRY_DSN_STAGING=d:1\n"})
    assert "it passes SENTRY_DSN_STAGING, which the code does not read" in message(report, "deploy-dsn-declared")


def test_a_whole_list_in_a_variable_is_unknown(tmp_path: Path) -> None:
    report = audit(tmp_path, {**BACKEND, "d.sh": "gcloud run deploy shop --set-secrets=$SECRETS\n"})
    assert statuses(report, "deploy-dsn-declared") == {"unknown"}


def test_only_another_environment_is_deployed(tmp_path: Path) -> None:
    report = audit(tmp_path, {**BACKEND, "d.sh": "gcloud run deploy shop-production --set-secrets=SENTRY_DSN=d:1\n"})
    assert statuses(report, "deploy-dsn-declared") == {"unknown"}
    assert "deploys" in message(report, "deploy-dsn-declared")


def test_the_settings_say_which_environment_a_file_is_of(tmp_path: Path) -> None:
    files = {
        **BACKEND,
        "d.sh": "gcloud run deploy shop --set-env-vars=A=1\n",
        "sentry-audit.yaml": "deployments: {d.sh: staging}\n",
    }
    assert statuses(audit(tmp_path, files), "deploy-dsn-declared") == {"gap"}
    assert statuses(audit(tmp_path, files, "production"), "deploy-dsn-declared") == {"unknown"}


def test_the_environment_label(tmp_path: Path) -> None:
    wrong = "gcloud run deploy shop --update-secrets=SENTRY_DSN=d:1 --update-env-vars=SENTRY_ENVIRONMENT=production\n"
    report = audit(tmp_path / "a", {**BACKEND, "d.sh": wrong})
    assert "SENTRY_ENVIRONMENT is 'production' for staging" in message(report, "deploy-environment-declared")
    code = BACKEND["main.py"].replace("init()", "init(environment='staging')")
    report = audit(tmp_path / "b", {**BACKEND, "main.py": code, "d.sh": wrong})
    assert statuses(report, "deploy-environment-declared") == {"pass"}


def test_secret_names_that_disagree(tmp_path: Path) -> None:
    files = {
        **BACKEND,
        "d.sh": "gcloud run deploy shop --update-secrets=SENTRY_DSN=sentry-dsn:1\n",
        "c.sh": "gcloud secrets create sentry_dsn\n",
    }
    report = audit(tmp_path, files)
    assert "from sentry-dsn, but what is created is sentry_dsn (c.sh:1)" in message(report, "secret-names-agree")
    assert statuses(report, "secret-script-covers-dsn") == {"pass"}


def test_a_script_without_sentrys_secret(tmp_path: Path) -> None:
    report = audit(tmp_path, {**BACKEND, "c.sh": "for s in db redis; do\n  gcloud secrets create $s\ndone\n"})
    [finding] = findings(report, "secret-script-covers-dsn")
    assert "db, redis" in finding.message


def test_a_dsn_is_never_shown(tmp_path: Path) -> None:
    key = "0123456789abcdef0123456789abcdef"
    files = {
        **BACKEND,
        "d.sh": f"gcloud run deploy shop --set-env-vars=SENTRY_DSN=https://{key}@o1.ingest.us.sentry.io/4\n",
    }
    report = audit(tmp_path, files)
    assert statuses(report, "deploy-dsn-declared") == {"pass"}
    assert key not in str(report)


# --- Terraform -----------------------------------------------------------------------------------

SERVICE = """\
    variable "env" {}
    resource "google_cloud_run_v2_service" "api" {
      name = "shop-${var.env}"
      template {
        containers {
          image = "sidecar"
          env {
            name  = "SENTRY_DSN"
            value = "x"
          }
        }
        containers {
          image = "shop"
          ports { container_port = 8080 }
          # env { name = "SENTRY_DSN" }
          dynamic "env" {
            for_each = local.secrets
            content {
              name = env.key
              value_source {
                secret_key_ref {
                  secret  = env.value
                  version = "latest"
                }
              }
            }
          }
        }
      }
    }
    """


def terraform(files: dict[str, str]) -> list[Deployment]:
    return [item for item in deployments(files) if item.origin == "terraform"]


def test_terraform_per_values_file() -> None:
    local = 'locals {\n  secrets = var.env == "production" ? { SENTRY_DSN = "dsn" } : { DB = "db-${var.env}" }\n}\n'
    found = terraform(
        {
            "main.tf": SERVICE,
            "locals.tf": local,
            "staging.tfvars": 'env = "staging"\n',
            "prod.tfvars": 'env = "production"\n',
        }
    )
    assert [(item.service, item.environment, variables(item)) for item in found] == [
        ("shop-production", "production", {"SENTRY_DSN": ("set", "dsn")}),
        ("shop-staging", "staging", {"DB": ("set", "db-staging")}),
    ]
    assert found[0].line == 2


def test_terraform_modules_are_followed_and_remote_ones_named() -> None:
    found = terraform(
        {
            "envs/staging/main.tf": """\
                module "api" {
                  source = "../../modules/run"
                  env    = "staging"
                }
                module "web" {
                  source       = "GoogleCloudPlatform/cloud-run/google"
                  service_name = "web"
                }
                """,
            "modules/run/main.tf": SERVICE,
            "modules/run/more.tf": "locals {\n  secrets = { SENTRY_DSN = google_secret_manager_secret.dsn.secret_id }\n}\n"
            'resource "google_secret_manager_secret" "dsn" {\n  secret_id = "sentry-dsn"\n}\n',
        }
    )
    assert [(item.service, item.environment) for item in found] == [("shop-staging", "staging"), ("web", "staging")]
    assert variables(found[0]) == {"SENTRY_DSN": ("set", "sentry-dsn")}
    assert "was not read" in found[1].unresolved[0]


def test_terraform_that_is_switched_off_or_left_to_others() -> None:
    head = 'resource "google_cloud_run_service" "a" {\n  name = "a"\n'
    assert not terraform({"main.tf": head + "  count = 0\n}\n"})
    ignored = terraform(
        {"main.tf": head + "  lifecycle {\n    ignore_changes = [template[0].spec[0].containers[0].env]\n  }\n}\n"}
    )
    assert "ignored" in ignored[0].unresolved[0]


def test_terraform_that_does_not_know_sentry(tmp_path: Path) -> None:
    text = textwrap.dedent(SERVICE).replace("local.secrets", '{ DB = "db" }')
    report = audit(tmp_path, {**BACKEND, "infra/main.tf": text, "infra/staging.tfvars": 'env = "staging"\n'})
    assert "Terraform manages the service shop-staging of staging" in message(report, "terraform-dsn-secret")
    assert statuses(report, "deploy-dsn-declared") == {"gap"}


def test_terraform_removes_what_a_script_sets(tmp_path: Path) -> None:
    text = textwrap.dedent(SERVICE).replace("local.secrets", "{}").replace("shop-${var.env}", "shop")
    script = "gcloud run services update shop --update-secrets=SENTRY_DSN=dsn:1\n"
    report = audit(tmp_path, {**BACKEND, "infra/main.tf": text, "d.sh": script})
    assert "declares all variables of shop and leaves out SENTRY_DSN" in message(report, "deploy-wipes-dsn")
