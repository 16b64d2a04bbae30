"""Variables that fixers give to services and builds, where the repository deploys them."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import hcl2
import pytest
import yaml

from sentry_audit import app
from sentry_audit.fixers import bundles, deploying, release_steps, releasing, secret_scripts, terraforming
from sentry_audit.fixing import Change
from tests.fixing_deploy import apply, audited, bad, cases, fixed, fixed_in, refused
from tests.trees import FASTAPI, IMAGE, SDK, write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.fixing import Fixer

FIXERS: dict[str, Fixer] = {
    **deploying.FIXERS,
    **bundles.FIXERS,
    **releasing.FIXERS,
    **terraforming.FIXERS,
    **secret_scripts.FIXERS,
}
APP = {"requirements.txt": SDK, "main.py": "import sentry_sdk\nsentry_sdk.init()\n" + FASTAPI}
WEB = {
    "web/package.json": '{"scripts": {"build": "next build"}, "dependencies": {"next": "15.3.0", "@sentry/nextjs": "^10"}}',
    "web/instrumentation-client.ts": (
        "import * as Sentry from '@sentry/nextjs';\nSentry.init({\n  dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,\n});\n"
    ),
    "web/Dockerfile": 'FROM node:22\nWORKDIR /app\nCOPY . .\nRUN npm run build\nCMD ["npm", "start"]\n',
}


def parses(files: Mapping[str, str], root: Path) -> None:
    """Whatever was written is still what it was before: a script, YAML, HCL, Python."""
    for path, text in files.items():
        if path.endswith(".sh"):
            subprocess.run(["bash", "-n", str(root / path)], check=True)
        elif path.endswith((".yaml", ".yml")):
            assert list(yaml.safe_load_all(text))
        elif path.endswith(".tf"):
            hcl2.loads(text)
        elif path.endswith(".py"):
            ast.parse(text)


def declared(tmp_path: Path, files: Mapping[str, str], path: str, environment: str = "staging") -> str:
    """The file ``path`` after deploy-dsn-declared was fixed."""
    written = fixed(tmp_path, {**APP, **files}, "deploy-dsn-declared", deploying.declare_dsn, environment)
    parses(written, tmp_path)
    assert set(written) == {path}
    return written[path]


def test_the_shop_is_given_what_its_deployment_owes_it(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    shutil.copytree(Path(__file__).parent.parent / "examples/shop", root)
    for check, components in {
        "deploy-dsn-declared": {"api"},
        "deploy-environment-declared": {"worker", "web"},
        "frontend-dsn-at-build": {"web"},
        "release-set": {"api", "worker", "web"},
    }.items():
        assert {case.component.name for case in cases(root, check)} == components
        parses(fixed_in(root, check, FIXERS[check]), root)
    script = (root / "deploy.sh").read_text()
    assert (
        '--set-secrets="DATABASE_URL=shop-database-url-$environment:latest,SENTRY_DSN=sentry-dsn-$environment:latest"'
    ) in script
    assert 'SENTRY_ENVIRONMENT=$environment,ENVIRONMENT=$environment,SENTRY_RELEASE=$(git rev-parse HEAD)"' in script
    assert (
        "docker build --secret id=SENTRY_AUTH_TOKEN --build-arg SENTRY_ORG=shop --build-arg SENTRY_PROJECT=web \\\n"
        '  --build-arg "NEXT_PUBLIC_ENVIRONMENT=$environment" \\\n'
        '  --build-arg "NEXT_PUBLIC_SENTRY_DSN=$(gcloud secrets versions access latest --secret="sentry-dsn-$environment")" \\\n'
        '  --build-arg "SENTRY_RELEASE=$(git rev-parse HEAD)" \\\n'
        '  --tag "$web" web\n'
    ) in script
    image = (root / "web/Dockerfile").read_text()
    assert "ARG NEXT_PUBLIC_SENTRY_DSN\nENV NEXT_PUBLIC_SENTRY_DSN=$NEXT_PUBLIC_SENTRY_DSN\n" in image
    assert image.index("ENV SENTRY_RELEASE") < image.index("npm run build")


def examples() -> list[tuple[str, dict[str, str]]]:
    """The failing examples of the catalogue whose deployment can be fixed: of front ends it says nothing."""
    found = []
    for check in app.shipped_checks():
        for example in check.examples["fail"] if check.id in FIXERS else ():
            if "files" in example and "web/package.json" not in example["files"]:
                found.append((check.id, example["files"]))
    return found


@pytest.mark.parametrize(("check", "files"), examples(), ids=lambda item: item if isinstance(item, str) else "")
def test_the_examples_of_the_catalogue_are_fixed(check: str, files: dict[str, str], tmp_path: Path) -> None:
    parses(fixed(tmp_path, files, check, FIXERS[check], "production"), tmp_path)


def test_a_single_line_is_extended_behind_its_neighbour(tmp_path: Path) -> None:
    text = declared(
        tmp_path, {"deploy.sh": "gcloud run deploy shop --set-env-vars=LOG_LEVEL=info --quiet\n"}, "deploy.sh"
    )
    assert text == (
        "gcloud run deploy shop --set-env-vars=LOG_LEVEL=info --update-secrets=SENTRY_DSN=sentry-dsn:latest --quiet\n"
    )


def test_line_ends_and_everything_else_stay(tmp_path: Path) -> None:
    script = 'ENV=staging\r\ngcloud run deploy "shop-$ENV" \\\r\n  --source . \\\r\n  --quiet || exit 1 # done\r\n'
    (tmp_path / "deploy.sh").write_bytes(script.encode())
    (tmp_path / "requirements.txt").write_text(SDK)
    (tmp_path / "main.py").write_text(APP["main.py"])
    case = cases(tmp_path, "deploy-dsn-declared")[0]
    change = deploying.declare_dsn(case)
    assert isinstance(change, Change)
    [edit] = change.edits
    assert edit.after is not None
    assert edit.after == script.replace(
        "  --quiet", "  --quiet \\\r\n  --update-secrets SENTRY_DSN=sentry-dsn-staging:latest"
    )
    apply(tmp_path, change)
    assert not cases(tmp_path, "deploy-dsn-declared")


def test_one_entry_a_row_stays_so(tmp_path: Path) -> None:
    script = 'gcloud run deploy shop-staging \\\n  --source . \\\n  --set-secrets "\\\nA=SHOP_A:latest,\\\nB=SHOP_B:latest"\n'
    text = declared(tmp_path, {"deploy.sh": script}, "deploy.sh")
    assert text.endswith('B=SHOP_B:latest,\\\nSENTRY_DSN=SENTRY_DSN:latest"\n')


def test_flags_in_a_variable_are_extended_there(tmp_path: Path) -> None:
    script = (
        'SECRETS="DB=shop-db:latest,KEY=shop-key:latest"\ngcloud run deploy shop --source . --set-secrets="$SECRETS"\n'
    )
    text = declared(tmp_path, {"deploy.sh": script}, "deploy.sh")
    assert text.startswith('SECRETS="DB=shop-db:latest,KEY=shop-key:latest,SENTRY_DSN=shop-sentry-dsn:latest"\n')


def test_a_makefile(tmp_path: Path) -> None:
    make = "deploy:\n\tgcloud run deploy shop-$(ENV) \\\n\t\t--source . \\\n\t\t--set-secrets=DB=db-$(ENV):latest\n"
    text = declared(tmp_path, {"Makefile": make}, "Makefile")
    assert "--set-secrets=DB=db-$(ENV):latest,SENTRY_DSN=sentry-dsn-$(ENV):latest\n" in text


def test_a_workflow_step_and_its_action(tmp_path: Path) -> None:
    run = """\
        on: push
        jobs:
          deploy:
            environment: staging
            steps:
            - run: |
                gcloud run deploy shop \\
                  --source . \\
                  --region europe-west1
        """
    text = declared(tmp_path / "run", {".github/workflows/deploy.yml": run}, ".github/workflows/deploy.yml")
    assert (
        "          --region europe-west1 \\\n          --update-secrets SENTRY_DSN=sentry-dsn-staging:latest\n" in text
    )
    action = """\
        on: push
        jobs:
          deploy:
            environment: staging
            steps:
            - uses: google-github-actions/deploy-cloudrun@v2
              with:
                service: shop
                env_vars: |-
                  A=b
        """
    text = declared(tmp_path / "action", {".github/workflows/deploy.yml": action}, ".github/workflows/deploy.yml")
    assert text.endswith("          A=b\n        secrets: |-\n          SENTRY_DSN=sentry-dsn-staging:latest\n")
    again = action.replace("env_vars: |-\n                  A=b", "secrets: |-\n                  A=a:latest")
    text = declared(tmp_path / "again", {".github/workflows/deploy.yml": again}, ".github/workflows/deploy.yml")
    assert "          A=a:latest\n          SENTRY_DSN=" in text


def test_cloud_build_arguments_and_scripts(tmp_path: Path) -> None:
    step = "name: gcr.io/google.com/cloudsdktool/cloud-sdk\n"
    listed = f"steps:\n- {step}  entrypoint: gcloud\n  args: ['run', 'deploy', 'shop', '--set-secrets=A=a:latest']\n"
    text = declared(tmp_path / "flow", {"cloudbuild.yaml": listed}, "cloudbuild.yaml")
    assert "'--set-secrets=A=a:latest,SENTRY_DSN=sentry-dsn:latest'" in text
    block = f"steps:\n  - {step}    entrypoint: gcloud\n    args:\n      - run\n      - deploy\n      - 'shop'\n\nimages: []\n"
    text = declared(tmp_path / "block", {"cloudbuild.yaml": block}, "cloudbuild.yaml")
    assert "      - 'shop'\n      - '--update-secrets=SENTRY_DSN=sentry-dsn:latest'\n\nimages" in text
    bash = f"steps:\n- {step}  entrypoint: bash\n  args:\n  - -c\n  - |\n    gcloud run deploy shop-"
    bash += "${_ENV} \\\n      --set-secrets=A=a-${_ENV}:latest\n"
    text = declared(tmp_path / "bash", {"cloudbuild.yaml": bash}, "cloudbuild.yaml")
    assert "--set-secrets=A=a-${_ENV}:latest,SENTRY_DSN=sentry-dsn-${_ENV}:latest\n" in text


def test_a_knative_manifest(tmp_path: Path) -> None:
    manifest = """\
        apiVersion: serving.knative.dev/v1
        kind: Service
        metadata:
          name: shop-staging
        spec:
          template:
            spec:
              containers:
                - image: IMAGE
                  env:
                    - name: DB
                      valueFrom:
                        secretKeyRef:
                          key: latest
                          name: db-staging
                  # what it listens to
                  ports:
                    - containerPort: 8000
        """
    text = declared(
        tmp_path,
        {"service.staging.yaml": manifest, "deploy.sh": "gcloud run services replace service.staging.yaml\n"},
        "service.staging.yaml",
    )
    assert (
        "                  name: db-staging\n            - name: SENTRY_DSN\n              valueFrom:\n                secretKeyRef:\n"
        "                  key: latest\n                  name: sentry-dsn-staging\n          # what it listens to\n"
    ) in text


def test_python_lists(tmp_path: Path) -> None:
    script = 'import subprocess\nsubprocess.run([\n    "gcloud",\n    "run",\n    "deploy",\n    "shop",\n    "--source=.",\n])\n'
    text = declared(tmp_path, {"deploy.py": script}, "deploy.py")
    assert '    "--source=.",\n    "--update-secrets=SENTRY_DSN=sentry-dsn:latest",\n])' in text


def test_what_replaces_the_secrets_names_the_dsn_too(tmp_path: Path) -> None:
    files = {
        **APP,
        "setup.sh": "gcloud run services update shop --update-secrets=SENTRY_DSN=dsn-of-shop-sentry:latest\n",
        "deploy.sh": "gcloud run deploy shop --set-secrets=DATABASE_URL=database:latest\n",
    }
    written = fixed(tmp_path, files, "deploy-wipes-dsn", deploying.keep_dsn)
    assert written == {
        "deploy.sh": "gcloud run deploy shop --set-secrets=DATABASE_URL=database:latest,SENTRY_DSN=dsn-of-shop-sentry:latest\n"
    }


def test_the_environment_is_told_as_the_definition_tells_it(tmp_path: Path) -> None:
    script = (
        "gcloud run deploy shop --source . --set-env-vars=APP_ENV=staging --set-secrets=SENTRY_DSN=sentry-dsn:latest\n"
    )
    written = fixed(
        tmp_path, {**APP, "deploy.sh": script}, "deploy-environment-declared", deploying.declare_environment
    )
    assert "--set-env-vars=APP_ENV=staging,SENTRY_ENVIRONMENT=staging " in written["deploy.sh"]


def test_no_environment_is_guessed(tmp_path: Path) -> None:
    files = {**APP, "deploy.sh": "gcloud run deploy shop --source .\n"}
    refusal = refused(tmp_path, files, "deploy-environment-declared", deploying.declare_environment)
    assert "says to which environment" in refusal.reason
    assert refusal.commands == ("gcloud run services update shop --update-env-vars=SENTRY_ENVIRONMENT=staging",)


TERRAFORM = """\
    resource "google_secret_manager_secret" "database" {
      secret_id = "shop-database"
      replication {
        auto {}
      }
    }

    resource "google_secret_manager_secret_iam_member" "api_database" {
      secret_id = google_secret_manager_secret.database.id
      role      = "roles/secretmanager.secretAccessor"
      member    = "serviceAccount:${google_service_account.api.email}"
    }

    resource "google_cloud_run_v2_service" "api" {
      name     = "shop-staging"
      location = "europe-west1"
      template {
        service_account = google_service_account.api.email
        containers {
          image = "image"
          env {
            name = "DATABASE_URL"
            value_source {
              secret_key_ref {
                secret  = google_secret_manager_secret.database.secret_id
                version = "latest"
              }
            }
          }
        }
      }
      depends_on = [google_secret_manager_secret_iam_member.api_database]
    }
    """


@pytest.mark.parametrize("check", ["deploy-dsn-declared", "terraform-dsn-secret"])
def test_terraform_gets_the_secret_the_grant_and_the_variable(check: str, tmp_path: Path) -> None:
    text = fixed(tmp_path, {**APP, "infra/main.tf": TERRAFORM}, check, FIXERS[check])["infra/main.tf"]
    parses({"infra/main.tf": text}, tmp_path)
    assert 'resource "google_secret_manager_secret" "sentry_dsn" {\n  secret_id = "sentry-dsn' in text
    assert 'resource "google_secret_manager_secret_iam_member" "api_sentry_dsn" {' in text
    assert "secret  = google_secret_manager_secret.sentry_dsn.secret_id" in text
    assert "google_secret_manager_secret_iam_member.api_sentry_dsn" in text.partition("depends_on")[2]


def test_terraform_lists_are_extended(tmp_path: Path) -> None:
    text = TERRAFORM.replace(
        'secret_id = "shop-database"', "for_each  = toset(local.secrets)\n      secret_id = each.key"
    )
    text = text.replace("google_secret_manager_secret.database.", 'google_secret_manager_secret.database["db"].')
    text += '\n    locals {\n      secrets = [\n        "db",\n      ]\n    }\n'
    written = fixed(tmp_path, {**APP, "infra/main.tf": text}, "deploy-dsn-declared", deploying.declare_dsn)[
        "infra/main.tf"
    ]
    assert '    "db",\n    "sentry-dsn' in written
    assert 'google_secret_manager_secret.database["sentry-dsn' in written


def test_an_action_that_builds_gets_the_dsn(tmp_path: Path) -> None:
    workflow = """\
        on: push
        jobs:
          web:
            environment: staging
            steps:
            - uses: docker/build-push-action@v6
              with:
                context: web
                push: true
                tags: eu.gcr.io/p/web
            - uses: google-github-actions/deploy-cloudrun@v2
              with:
                service: web
                image: eu.gcr.io/p/web
                secrets: NEXT_PUBLIC_SENTRY_DSN=dsn:latest
        """
    files = {**WEB, ".github/workflows/web.yml": workflow}
    written = fixed(tmp_path, files, "frontend-dsn-at-build", bundles.provide_dsn)
    parses(written, tmp_path)
    assert (
        "        tags: eu.gcr.io/p/web\n        build-args: |\n          NEXT_PUBLIC_SENTRY_DSN=${{ secrets.NEXT_PUBLIC_SENTRY_DSN }}\n"
    ) in written[".github/workflows/web.yml"]


def test_a_deploy_from_source_is_left_to_a_person(tmp_path: Path) -> None:
    files = {
        **WEB,
        "deploy.sh": "gcloud run deploy web-staging --source web --set-secrets=NEXT_PUBLIC_SENTRY_DSN=dsn:latest\n",
    }
    refusal = refused(tmp_path, files, "frontend-dsn-at-build", bundles.provide_dsn)
    assert "deploys from source" in refusal.reason
    assert refusal.commands[0].startswith("docker build --build-arg")


def test_a_static_manifest_gets_the_commit_from_its_image(tmp_path: Path) -> None:
    manifest = """\
        apiVersion: serving.knative.dev/v1
        kind: Service
        metadata: {name: shop}
        spec:
          template:
            spec:
              containers:
              - image: gcr.io/p/shop
        """
    build = """\
        steps:
        - name: gcr.io/cloud-builders/docker
          args: [build, -t, 'gcr.io/p/shop:$SHORT_SHA', .]
        - name: gcr.io/google.com/cloudsdktool/cloud-sdk
          entrypoint: gcloud
          args: [run, services, replace, service.yaml]
        """
    files = {**APP, "Dockerfile": IMAGE, "service.yaml": manifest, "cloudbuild.yaml": build}
    written = fixed(tmp_path, files, "release-set", releasing.set_release, "production")
    assert "SENTRY_RELEASE=$COMMIT_SHA" in written["cloudbuild.yaml"]
    assert "ARG SENTRY_RELEASE\nENV SENTRY_RELEASE=$SENTRY_RELEASE\nCMD" in written["Dockerfile"]


def test_a_second_fix_has_nothing_to_do(tmp_path: Path) -> None:
    files = {**APP, "deploy.sh": "gcloud run deploy shop --set-env-vars=LOG_LEVEL=info\n"}
    fixed(tmp_path, files, "deploy-dsn-declared", deploying.declare_dsn)
    assert not cases(tmp_path, "deploy-dsn-declared")
    assert ("deploy-dsn-declared", "app") not in bad(audited(tmp_path))


@pytest.mark.parametrize(
    ("script", "after"),
    [
        (
            'SECRETS=(\n  "db-url"\n  "jwt-key"\n)\nfor s in "${SECRETS[@]}"; do\n  gcloud secrets create "$s"\ndone\n',
            '  "jwt-key"\n  "sentry-dsn"\n)\n',
        ),
        ("for s in db-url jwt-key; do\n  gcloud secrets create $s\ndone\n", "for s in db-url jwt-key sentry-dsn; do\n"),
        (
            "gcloud secrets create db-url --replication-policy=automatic\n",
            "db-url --replication-policy=automatic\ngcloud secrets create sentry-dsn --replication-policy=automatic\n",
        ),
    ],
)
def test_scripts_that_create_secrets_create_the_dsn_s(script: str, after: str, tmp_path: Path) -> None:
    files = {**APP, "create-secrets.sh": script}
    written = fixed(tmp_path, files, "secret-script-covers-dsn", secret_scripts.cover)
    parses(written, tmp_path)
    assert after in written["create-secrets.sh"]


def test_a_script_with_values_of_its_own_is_left_to_a_person(tmp_path: Path) -> None:
    files = {**APP, "create-secrets.sh": 'bw get notes "key" \\\n\t| gcloud secrets create "db-url" --data-file=-\n'}
    refusal = refused(tmp_path, files, "secret-script-covers-dsn", secret_scripts.cover)
    assert refusal.commands == ("gcloud secrets create sentry-dsn --data-file=-",)


def test_the_name_that_is_deployed_is_the_one_that_is_created(tmp_path: Path) -> None:
    files = {
        **APP,
        "create-secrets.sh": "gcloud secrets create sentry-key-url --replication-policy=automatic\n",
        "deploy.sh": "gcloud run deploy shop --source . --set-secrets=SENTRY_DSN=sentry-dsn:latest\n",
    }
    written = fixed(tmp_path, files, "secret-names-agree", secret_scripts.agree)
    assert written == {"create-secrets.sh": "gcloud secrets create sentry-dsn --replication-policy=automatic\n"}


def test_names_of_other_environments_are_left_to_a_person(tmp_path: Path) -> None:
    files = {
        **APP,
        "create-secrets.sh": "gcloud secrets create sentry-dsn-staging --replication-policy=automatic\n",
        "deploy.sh": "gcloud run deploy shop --source . --set-secrets=SENTRY_DSN=sentry-dsn:latest\n",
    }
    assert "differ in the environment" in refused(tmp_path, files, "secret-names-agree", secret_scripts.agree).reason


WORKFLOW = """\
    on: push
    jobs:
      maps:
        runs-on: ubuntu-latest
        steps:
        - run: ./maps
          env:
            SENTRY_AUTH_TOKEN: ${{ secrets.SENTRY_AUTH_TOKEN }}
            SENTRY_ORG: acme
            SENTRY_PROJECT: shop
      deploy:
        runs-on: ubuntu-latest
        steps:
        - run: gcloud run deploy api --source .
    """


def test_releases_are_recorded_with_what_the_workflows_have(tmp_path: Path) -> None:
    files = {**APP, ".github/workflows/deploy.yml": WORKFLOW}
    written = fixed(tmp_path, files, "release-in-ci", release_steps.record, "production")
    parses(written, tmp_path)
    text = written[".github/workflows/deploy.yml"]
    assert (
        "    - uses: getsentry/action-release@v3\n      env:\n        SENTRY_AUTH_TOKEN: ${{ secrets.SENTRY_AUTH_TOKEN }}\n"
        in text
    )


def test_a_secret_that_others_have_is_not_created_again(tmp_path: Path) -> None:
    other = "gcloud run deploy jobs-staging --source jobs --set-secrets=SENTRY_DSN=sentry-dsn-staging:latest\n"
    both = {f"{folder}/{path}": text for folder in ("api", "jobs") for path, text in APP.items()}
    files = {**both, "infra/main.tf": TERRAFORM.replace("shop-staging", "api-staging"), "jobs.sh": other}
    text = fixed(tmp_path, files, "deploy-dsn-declared", deploying.declare_dsn)["infra/main.tf"]
    assert 'secret  = "sentry-dsn-staging"' in text
    assert 'resource "google_secret_manager_secret" "sentry_dsn"' not in text
    assert 'secret_id = "sentry-dsn-staging"\n  role      = "roles/secretmanager.secretAccessor"' in text


def test_a_build_for_tests_is_given_nothing(tmp_path: Path) -> None:
    workflow = "on: push\njobs:\n  ci:\n    steps:\n    - run: docker build web\n"
    files = {**WEB, ".github/workflows/ci.yml": workflow}
    write(tmp_path, files)
    answer = bundles.provide_dsn(cases(tmp_path, "frontend-dsn-provided")[0])
    assert isinstance(answer, Change)
    assert [edit.path for edit in answer.edits] == ["web/Dockerfile"]
    assert "pass it with --build-arg: what builds web for staging was not found" in answer.summary
