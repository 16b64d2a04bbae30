"""Where each component runs in Google Cloud: from deployments, settings and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.app import sdk_table
from sentry_audit.cloud import CloudOptions, CloudSettings, SecretReference
from sentry_audit.collecting import collect
from sentry_audit.derive.targets import targets
from sentry_audit.deriving import Deriver
from sentry_audit.errors import SettingsError
from sentry_audit.settings import load, parse
from sentry_audit.sources.tree import Tree
from tests.trees import FASTAPI, IMAGE, SDK, write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

from sentry_audit.cloud import Target

MAIN = f"import os\nimport sentry_sdk\nsentry_sdk.init(dsn=os.environ['SENTRY_DSN'])\n{FASTAPI}"
API = {"api/main.py": MAIN, "api/requirements.txt": SDK, "api/Dockerfile": IMAGE}
DEPLOY = "gcloud run deploy shop-api --source api"


def found(root: Path, files: Mapping[str, str], environment: str = "staging", **options: object) -> list[Target]:
    """The targets of a repository with ``files``."""
    write(root, files)
    settings = load(root)
    collected = collect(Tree.open(root), root, settings)
    deriver = Deriver(
        collected.program,
        collected.services,
        collected.facts,
        collected.problems,
        sdk_table(),
        names=dict(settings.services),
        frontends=collected.frontends,
    )
    derived, _ = deriver.derive(collected.services, environment, collected.frontends)
    components = [*(item.fact for item in collected.services), *(item.fact for item in collected.frontends)]
    given = CloudOptions(**options)  # type: ignore[arg-type]
    return targets(components, environment, collected.facts, derived, deriver.matching, settings, given)


def one(root: Path, files: Mapping[str, str], environment: str = "staging", **options: object) -> Target:
    [target] = found(root, files, environment, **options)
    return target


def where(root: Path, files: Mapping[str, str], environment: str = "staging", **options: object) -> set[object]:
    """(service, project, regions) of each target."""
    return {(item.service, item.project, item.regions) for item in found(root, files, environment, **options)}


# --- the project and its regions -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "project", "region"),
    [("staging", "shop-stg", "europe-west1"), ("production", "shop-prod", "us-east1")],
)
def test_each_environment_has_the_project_of_its_own_job(
    tmp_path: Path, environment: str, project: str, region: str
) -> None:
    workflow = """\
        on: push
        jobs:
          staging:
            environment: staging
            steps:
            - {uses: google-github-actions/auth@v2, with: {project_id: shop-stg}}
            - {run: gcloud run deploy shop-api --source api --region europe-west1}
          production:
            environment: production
            steps:
            - {uses: google-github-actions/auth@v2, with: {project_id: shop-prod}}
            - {run: gcloud run deploy shop-api --source api --region us-east1}
        """
    target = one(tmp_path, {**API, ".github/workflows/deploy.yml": workflow}, environment)
    assert (target.component, target.environment) == ("api", environment)
    assert (target.service, target.sort) == ("shop-api", "service")
    assert (target.project, target.regions, target.why) == (project, (region,), "")
    assert target.rule == f".github/workflows/deploy.yml:{7 if environment == 'staging' else 12}"


def test_a_name_that_holds_the_environments_is_rendered(tmp_path: Path) -> None:
    script = 'ENV=$1\ngcloud run deploy "shop-api-$ENV" --source api --project "shop-$ENV" --region europe-west1\n'
    assert where(tmp_path, {**API, "deploy.sh": script}) == {("shop-api-staging", "shop-staging", ("europe-west1",))}


def test_regions_of_several_deployments_are_asked_together(tmp_path: Path) -> None:
    script = f"for R in europe-west1 us-east1; do\n  {DEPLOY} --project=shop-all --region=$R\ndone\n"
    assert where(tmp_path, {**API, "deploy.sh": script}) == {("shop-api", "shop-all", ("europe-west1", "us-east1"))}


def test_a_service_in_two_projects_is_looked_at_in_both(tmp_path: Path) -> None:
    script = f"{DEPLOY} --project=shop-one --region=us-east1\n{DEPLOY} --project=shop-two --region=us-west1\n"
    first, second = found(tmp_path, {**API, "deploy.sh": script})
    assert (first.project, first.regions) == ("shop-one", ("us-east1",))
    assert (second.project, second.regions) == ("shop-two", ("us-west1",))
    assert "shop-one (deploy.sh:1) and shop-two (deploy.sh:2)" in first.why == second.why
    assert "give --project, or google_cloud: staging: project" in first.why


def test_a_project_that_is_not_followed_is_not_known(tmp_path: Path) -> None:
    script = f"{DEPLOY} --image europe-docker.pkg.dev/acme-images/r/api --project=$PROJECT_ID --region=$REGION\n"
    target = one(tmp_path, {**API, "deploy.sh": script})
    assert (target.project, target.regions, target.rule) == ("", (), "")
    assert "deploy.sh:1" in target.why
    assert "its image is in acme-images" in target.why
    assert target.why.endswith("give --project, or google_cloud: staging: project in sentry-audit.yaml")


def test_the_project_of_googles_tools_counts_where_nothing_else_names_one(tmp_path: Path) -> None:
    target = one(tmp_path, {**API, "deploy.sh": f"{DEPLOY}\n"}, ambient="shop-ci")
    assert (target.project, target.rule, target.why) == ("shop-ci", "GOOGLE_CLOUD_PROJECT", "")
    target = one(tmp_path, {**API, "deploy.sh": f"{DEPLOY} --project=shop-one\n"}, ambient="shop-ci")
    assert target.project == "shop-one"


@pytest.mark.parametrize("image", ["us-docker.pkg.dev/cloudrun/container/hello", "acme/api", "api:1"])
def test_an_image_of_nobodys_project_is_not_spoken_of(tmp_path: Path, image: str) -> None:
    assert "its image" not in one(tmp_path, {**API, "deploy.sh": f"{DEPLOY} --image {image}\n"}).why


def test_the_project_of_the_secret_is_the_services(tmp_path: Path) -> None:
    script = (
        f"gcloud secrets create sentry-dsn --project=shop-x\ngcloud secrets create other --project=shop-y\n{DEPLOY}\n"
    )
    target = one(tmp_path, {**API, "deploy.sh": script})
    assert (target.project, target.rule) == ("shop-x", "the secret sentry-dsn (deploy.sh:1)")


def test_secrets_in_two_projects_tell_nothing(tmp_path: Path) -> None:
    script = f"gcloud secrets create sentry-dsn --project=shop-x\ngcloud secrets create dsn-sentry --project=shop-y\n{DEPLOY}\n"
    assert one(tmp_path, {**API, "deploy.sh": script}).project == ""


def test_the_command_line_comes_before_the_settings_and_these_before_deployments(tmp_path: Path) -> None:
    files = {**API, "deploy.sh": f"{DEPLOY} --project=shop-repo --region=us-east1\n"}
    assert where(tmp_path, files) == {("shop-api", "shop-repo", ("us-east1",))}
    files["sentry-audit.yaml"] = "google_cloud: {staging: {project: shop-set, regions: [us-west1]}}\n"
    target = one(tmp_path, files)
    assert (target.project, target.regions) == ("shop-set", ("us-west1",))
    assert target.rule == "google_cloud in the settings"
    target = one(tmp_path, files, project="shop-flag", regions=("asia-east1",))
    assert (target.project, target.regions, target.rule) == ("shop-flag", ("asia-east1",), "--project")


def test_regions_of_another_project_are_not_taken(tmp_path: Path) -> None:
    files = {**API, "deploy.sh": f"{DEPLOY} --project=shop-repo --region=us-east1\n"}
    assert one(tmp_path, files, project="shop-flag").regions == ()
    assert one(tmp_path, files, project="shop-repo").regions == ("us-east1",)


# --- what is deployed ------------------------------------------------------------------------------


def test_a_component_that_is_several_services_has_several_targets(tmp_path: Path) -> None:
    script = "for S in api-web api-jobs; do\n  gcloud run deploy $S --source api --project shop-x\ndone\n"
    assert where(tmp_path, {**API, "deploy.sh": script}) == {("api-web", "shop-x", ()), ("api-jobs", "shop-x", ())}


@pytest.mark.parametrize(
    ("command", "sort"),
    [
        ("gcloud run deploy api", "service"),
        ("gcloud run jobs deploy api", "job"),
        ("gcloud beta run worker-pools deploy api", "worker-pool"),
    ],
)
def test_the_sort_of_what_runs(tmp_path: Path, command: str, sort: str) -> None:
    assert one(tmp_path, {**API, "deploy.sh": f"{command} --source api\n"}).sort == sort


def test_a_worker_pool_beside_a_service_is_a_target_and_a_job_is_none(tmp_path: Path) -> None:
    script = (
        "gcloud run deploy api --source api\ngcloud beta run worker-pools deploy api-pool --source api\n"
        "gcloud run jobs deploy api-migrate --source api\n"
    )
    assert {(item.service, item.sort) for item in found(tmp_path, {**API, "deploy.sh": script})} == {
        ("api", "service"),
        ("api-pool", "worker-pool"),
    }


def test_a_component_that_is_deployed_elsewhere_has_no_target(tmp_path: Path) -> None:
    files = {**API, "deploy-production.sh": f"{DEPLOY} --project=shop-prod\n"}
    assert found(tmp_path, files, "staging", project="shop-x") == []
    assert where(tmp_path, files, "production") == {("shop-api", "shop-prod", ())}
    files["sentry-audit.yaml"] = "components: [{name: api, path: api, service: shop-api-stg}]\n"
    assert where(tmp_path, files, "staging", project="shop-x") == {("shop-api-stg", "shop-x", ())}


def test_a_repository_that_deploys_nothing_to_cloud_run_has_no_target(tmp_path: Path) -> None:
    assert found(tmp_path, {**API, "fly.toml": "app = 'shop'\n"}) == []


def test_a_project_that_is_told_is_looked_at_though_nothing_is_deployed(tmp_path: Path) -> None:
    target = one(tmp_path, API, project="shop-x")
    assert (target.service, target.project) == ("", "shop-x")
    assert "nothing in the repository deploys api to Cloud Run" in target.why
    assert "components: service" in target.why


def test_a_service_that_the_settings_name_needs_no_definition(tmp_path: Path) -> None:
    files = {**API, "sentry-audit.yaml": "components: [{name: api, path: api, service: shop-api}]\n"}
    target = one(tmp_path, files)
    assert (target.service, target.project) == ("shop-api", "")
    assert target.why.startswith("its project is not known: no deploy definition names one; give --project")


def test_deployments_of_no_component_are_named(tmp_path: Path) -> None:
    other = {"jobs/main.py": MAIN, "jobs/requirements.txt": SDK, "jobs/Dockerfile": IMAGE}
    script = "gcloud run deploy checkout --image x --project shop-x --region us-east1\n"
    first, second = found(tmp_path, {**API, **other, "deploy.sh": script})
    assert {first.component, second.component} == {"api", "jobs"}
    assert (first.service, first.project, first.regions) == ("", "shop-x", ("us-east1",))
    assert "which deployment is of api was not told: checkout" in first.why


@pytest.mark.parametrize("name", ["$SERVICE", "$1", "${ENVIRONMENT}"])
def test_a_name_that_is_not_followed_is_none(tmp_path: Path, name: str) -> None:
    target = one(tmp_path, {**API, "deploy.sh": f"gcloud run deploy {name} --source api --project shop-x\n"})
    assert (target.service, target.project) == ("", "shop-x")
    assert "what api is called on Cloud Run was not followed in deploy.sh:1" in target.why


def test_a_name_that_is_not_followed_is_what_the_settings_say(tmp_path: Path) -> None:
    files = {
        **API,
        "deploy.sh": "gcloud run deploy $SERVICE --source api --project shop-x --region us-east1\n",
        "sentry-audit.yaml": "components: [{name: api, path: api, service: shop-api}]\n",
    }
    assert where(tmp_path, files) == {("shop-api", "shop-x", ("us-east1",))}


def test_a_service_by_environment(tmp_path: Path) -> None:
    files = {
        **API,
        "deploy.sh": (
            "gcloud run deploy checkout --image x --project shop-prod\n"
            "gcloud run deploy checkout-next --image x --project shop-next\n"
        ),
        "sentry-audit.yaml": (
            "components:\n- {name: api, path: api, service: {staging: checkout-next, production: checkout}}\n"
        ),
    }
    assert where(tmp_path, files) == {("checkout-next", "shop-next", ())}
    assert where(tmp_path, files, "production") == {("checkout", "shop-prod", ())}
    assert where(tmp_path, files, "prod") == {("checkout", "shop-prod", ())}


# --- its variables and secrets ---------------------------------------------------------------------


def test_variables_are_those_that_the_code_reads(tmp_path: Path) -> None:
    code = (
        "import os\nimport sentry_sdk\n"
        "sentry_sdk.init(dsn=os.environ['SHOP_DSN'], environment=os.environ['APP_ENV'])\n" + FASTAPI
    )
    target = one(tmp_path, {**API, "api/main.py": code, "deploy.sh": f"{DEPLOY}\n"})
    assert target.variables == ("SHOP_DSN", "APP_ENV")


def test_the_sdks_own_variables_are_the_usual_ones(tmp_path: Path) -> None:
    target = one(tmp_path, {**API, "api/main.py": FASTAPI, "deploy.sh": f"{DEPLOY}\n"})
    assert target.variables == ("SENTRY_DSN", "SENTRY_ENVIRONMENT")


def test_a_literal_needs_no_variable(tmp_path: Path) -> None:
    dsn = "https://0123456789abcdef0123456789abcdef@o1.ingest.us.sentry.io/4"
    code = f"import sentry_sdk\nsentry_sdk.init(dsn={dsn!r}, environment='staging')\n{FASTAPI}"
    assert one(tmp_path, {**API, "api/main.py": code, "deploy.sh": f"{DEPLOY}\n"}).variables == ()


def test_the_label_is_known_where_only_the_settings_name_the_service(tmp_path: Path) -> None:
    code = "import os\nimport sentry_sdk\nsentry_sdk.init(environment=os.environ['APP_ENV'])\n" + FASTAPI
    settings = "components: [{name: api, path: api, service: shop-api}]\n"
    target = one(tmp_path, {**API, "api/main.py": code, "sentry-audit.yaml": settings})
    assert target.variables == ("SENTRY_DSN", "APP_ENV")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("SENTRY_DSN=sentry-dsn:latest,OTHER=other:1", SecretReference(name="sentry-dsn")),
        ("SENTRY_DSN=sentry-dsn:7", SecretReference(name="sentry-dsn", version="7")),
        (
            "SENTRY_DSN=projects/shop-keys/secrets/dsn:2",
            SecretReference(name="dsn", version="2", project="shop-keys"),
        ),
    ],
)
def test_the_secret_of_the_variable(tmp_path: Path, given: str, expected: SecretReference) -> None:
    assert one(tmp_path, {**API, "deploy.sh": f"{DEPLOY} --set-secrets={given}\n"}).secrets == (expected,)


def test_the_secret_is_of_the_environment(tmp_path: Path) -> None:
    script = 'gcloud run deploy "api-$ENV" --source api --set-secrets=SENTRY_DSN=dsn-$ENV:latest\n'
    assert one(tmp_path, {**API, "deploy.sh": script}).secrets == (SecretReference(name="dsn-staging"),)


@pytest.mark.parametrize("value", ["$SECRET:latest", "dsn:$VERSION"])
def test_a_secret_that_is_not_followed_is_none(tmp_path: Path, value: str) -> None:
    assert one(tmp_path, {**API, "deploy.sh": f"{DEPLOY} --set-secrets=SENTRY_DSN={value}\n"}).secrets == ()


def test_a_secret_that_a_later_step_removes_is_none(tmp_path: Path) -> None:
    script = f"{DEPLOY} --set-secrets=SENTRY_DSN=sentry-dsn:latest\n{DEPLOY} --set-secrets=OTHER=other:1\n"
    assert one(tmp_path, {**API, "deploy.sh": script}).secrets == ()


def test_a_secret_that_the_code_reads_itself(tmp_path: Path) -> None:
    code = (
        "import sentry_sdk\nfrom google.cloud import secretmanager\n"
        "client = secretmanager.SecretManagerServiceClient()\n"
        "dsn = client.access_secret_version(name='projects/p/secrets/sentry-dsn/versions/latest').payload.data.decode()\n"
        f"sentry_sdk.init(dsn=dsn)\n{FASTAPI}"
    )
    target = one(tmp_path, {**API, "api/main.py": code, "deploy.sh": f"{DEPLOY}\n"})
    assert [item.name for item in target.secrets] == ["sentry-dsn"]
    assert target.variables == ("SENTRY_ENVIRONMENT",)


def test_the_secret_of_the_settings_is_looked_at_too(tmp_path: Path) -> None:
    files = {
        **API,
        "deploy.sh": f"{DEPLOY} --set-secrets=SENTRY_DSN=sentry-dsn:latest\n",
        "sentry-audit.yaml": "google_cloud: {secret: 'api-dsn:3'}\n",
    }
    assert one(tmp_path, files).secrets == (
        SecretReference(name="sentry-dsn"),
        SecretReference(name="api-dsn", version="3"),
    )


# --- front ends ------------------------------------------------------------------------------------

SVELTE = {
    "package.json": (
        '{"name": "web", "scripts": {"build": "vite build"},'
        ' "dependencies": {"@sveltejs/kit": "2.0.0", "svelte": "5.0.0", "@sentry/sveltekit": "9.0.0"}}'
    ),
    "svelte.config.js": "export default {};\n",
    "Dockerfile": "FROM node:22\nCOPY . .\nRUN npm ci && npm run build\nCMD node build\n",
    "deploy.sh": "gcloud run deploy web --source . --project shop-x --set-secrets=PUBLIC_SENTRY_DSN=sentry-dsn:latest\n",
}


def hooks(module: str) -> dict[str, str]:
    code = f"import {{ {'env' if module.endswith('dynamic/public') else 'PUBLIC_SENTRY_DSN'} }} from '{module}';\n"
    given = "env.PUBLIC_SENTRY_DSN" if module.endswith("dynamic/public") else "PUBLIC_SENTRY_DSN"
    return {
        "src/hooks.client.ts": f"import * as Sentry from '@sentry/sveltekit';\n{code}Sentry.init({{ dsn: {given} }});\n"
    }


def test_a_front_end_that_reads_its_dsn_while_it_runs_has_a_target(tmp_path: Path) -> None:
    target = one(tmp_path, {**SVELTE, **hooks("$env/dynamic/public")})
    assert (target.component, target.service, target.project) == ("web", "web", "shop-x")
    assert target.variables == ("PUBLIC_SENTRY_DSN", "SENTRY_ENVIRONMENT")
    assert target.secrets == (SecretReference(name="sentry-dsn"),)


def test_a_front_end_whose_dsn_is_compiled_in_has_none(tmp_path: Path) -> None:
    assert found(tmp_path, {**SVELTE, **hooks("$env/static/public")}, project="shop-x") == []


# --- settings --------------------------------------------------------------------------------------


def test_what_is_said_for_all_environments_and_for_one(tmp_path: Path) -> None:
    text = (
        "google_cloud:\n  project: shop\n  regions: [us-east1]\n  staging: {project: shop-stg}\n  prod: {secret: dsn}\n"
    )
    write(tmp_path, {"sentry-audit.yaml": text})
    settings = load(tmp_path)
    assert settings.cloud("staging") == CloudSettings(project="shop-stg", regions=("us-east1",))
    assert settings.cloud("production") == CloudSettings(project="shop", regions=("us-east1",), secret="dsn")
    assert settings.cloud("qa") == CloudSettings(project="shop", regions=("us-east1",))


def test_what_nothing_is_said_of_is_empty() -> None:
    assert parse(None, "sentry-audit.yaml").cloud("staging") == CloudSettings()
    assert parse({"google_cloud": {"qa": {"project": "shop-qa"}}}, "x").cloud("staging") == CloudSettings()
    assert parse({"google_cloud": None}, "x").cloud("staging") == CloudSettings()


@pytest.mark.parametrize(
    ("data", "expected", "hint"),
    [
        ({"google_cloud": {"projet": "shop"}}, "google_cloud: unknown key 'projet'", "did you mean project?"),
        (
            {"google_cloud": {"staging": "shop"}},
            "google_cloud: unknown key 'staging'",
            "google_cloud: {staging: {project",
        ),
        (
            {"google_cloud": {"staging": {"region": ["us-east1"]}}},
            "google_cloud.staging: unknown key 'region'",
            "did you mean regions?",
        ),
        ({"google_cloud": ["shop"]}, "google_cloud must be a mapping, not list", "for example"),
        ({"google_cloud": {"project": 7}}, "google_cloud.project must be a text, not int", "project: a-name"),
        ({"google_cloud": {"project": {"a": 1}}}, "google_cloud.project must be a text, not dict", "project: a-name"),
        ({"google_cloud": {"qa": {"secret": None}}}, "google_cloud.qa.secret must be a text, not NoneType", "secret:"),
        ({"google_cloud": {"regions": "us-east1"}}, "google_cloud.regions must be a list", "regions: [europe-west1]"),
        ({"google_cloud": {"qa": {"regions": [1]}}}, "google_cloud.qa.regions must be a list", "regions: ["),
        ({"google_clod": {}}, "unknown key 'google_clod'", "did you mean google_cloud?"),
        (
            {"components": [{"name": "api", "path": "api", "service": {"staging": 1}}]},
            "components[0]: service must be a name, or map environments to names",
            "staging: shop-api-stg",
        ),
        (
            {"components": [{"name": "api", "path": "api", "service": ["x"]}]},
            "components[0]: service must be",
            "service:",
        ),
    ],
)
def test_settings_that_cannot_be_meant(data: object, expected: str, hint: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse(data, "sentry-audit.yaml")
    assert str(error.value).startswith("sentry-audit.yaml: ")
    assert expected in str(error.value)
    assert hint in error.value.hint


def test_the_settings_of_pyproject_say_it_too(tmp_path: Path) -> None:
    text = "[tool.sentry-audit.google_cloud.staging]\nproject = 'shop-stg'\n"
    write(tmp_path, {"pyproject.toml": text})
    assert load(tmp_path).cloud("staging").project == "shop-stg"
