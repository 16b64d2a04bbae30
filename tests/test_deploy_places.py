"""In which project and region each kind of definition deploys."""

from __future__ import annotations

import pytest

from sentry_audit.deployment.environments import rendered
from sentry_audit.deployment.location import Place, configured, image_project, project_of, region_of
from sentry_audit.deployment.reading import read
from sentry_audit.facts import SecretDeclared
from tests.test_deployments import deployments, only
from tests.test_terraform import call, service
from tests.trees import Texts


def place(files: dict[str, str]) -> tuple[str, str]:
    """(project, region) of the only deployment."""
    found = only(files)
    return found.project, found.region


def places(files: dict[str, str]) -> set[tuple[str, str, str]]:
    """(environment, project, region) of each deployment."""
    return {(item.environment, item.project, item.region) for item in deployments(files)}


def script(text: str) -> tuple[str, str]:
    return place({"deploy.sh": text})


# --- what a project is, and a region ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop-prod", True),
        ("example.com:shop-prod", True),
        ("123456789012", True),
        ("my-project-4711", True),
        ("shop-$ENV", True),
        ("shop-${ENVIRONMENT}-eu", True),
        ("$ENV-shop", True),
        ("$ENV", False),
        ("$1", False),
        ("$PROJECT_ID", False),
        ("shop-$SUFFIX", False),
        ("shop-${var.env}", False),
        ("$(gcloud config get-value project)", False),
        ("shop", False),
        ("Shop-Prod", False),
        ("PROJECT_ID", False),
        ("<project>", False),
        ("your-gcp-project", False),
        ("your-shop-prod", False),
        ("my-project", False),
        ("my-deploy-project-id", False),
        ("project-id", False),
        ("replace-me", False),
        ("default", False),
        ("", False),
    ],
)
def test_what_a_project_is(text: str, expected: bool) -> None:
    assert bool(project_of(text)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("us-central1", True),
        ("northamerica-northeast2", True),
        ("africa-south1", True),
        ("$REGION", False),
        ("us-central1-a", False),
        ("us", False),
        ("REGION", False),
        ("-", False),
        ("", False),
    ],
)
def test_what_a_region_is(text: str, expected: bool) -> None:
    assert bool(region_of(text)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$ENV-shop", "staging-shop"),
        ("${ENV:-dev}-shop", "staging-shop"),
        ("$ENV", "staging"),
        ("$ENVIRON-shop", "$ENVIRON-shop"),
    ],
)
def test_the_name_of_the_environment_is_put_in_and_nothing_else_is_lost(text: str, expected: str) -> None:
    assert rendered(text, "staging") == expected


def test_the_first_that_is_one_counts() -> None:
    assert project_of("$PROJECT", "shop-prod", "other-one") == "shop-prod"
    assert region_of("$REGION", "us-east1", "us-west1") == "us-east1"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("gcr.io/shop-prod/api:1", "shop-prod"),
        ("eu.gcr.io/shop-prod/api", "shop-prod"),
        ("europe-west1-docker.pkg.dev/shop-prod/repo/api@sha256:1", "shop-prod"),
        ("us-docker.pkg.dev/cloudrun/container/hello", ""),
        ("us-docker.pkg.dev/$PROJECT_ID/repo/api", ""),
        ("docker.io/shop-prod/api", ""),
        ("api", ""),
    ],
)
def test_the_project_of_an_image(image: str, expected: str) -> None:
    assert image_project(image) == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("gcloud config set project shop-b", Place("shop-b", "us-east1")),
        ("gcloud --quiet config set core/project shop-b", Place("shop-b", "us-east1")),
        ("gcloud config set run/region us-west1", Place("shop-a", "us-west1")),
        ("gcloud config set compute/region us-west1", Place("shop-a", "us-east1")),
        ("gcloud config set project $PROJECT", Place("$PROJECT", "us-east1")),
        ("gcloud config unset project", Place("", "us-east1")),
        ("gcloud config configurations activate other", Place()),
        ("gcloud config get-value project", Place("shop-a", "us-east1")),
        ("terraform config set project shop-b", Place("shop-a", "us-east1")),
    ],
)
def test_what_gcloud_is_told(command: str, expected: Place) -> None:
    assert configured(Place("shop-a", "us-east1"), command.split()) == expected


# --- commands and scripts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gcloud run deploy api --project shop-a --region us-east1", ("shop-a", "us-east1")),
        ("gcloud run deploy api --project=shop-a --region=us-east1", ("shop-a", "us-east1")),
        ("gcloud --project shop-a run services update api --region us-east1", ("shop-a", "us-east1")),
        ("gcloud run jobs update api --project shop-a --region us-east1", ("shop-a", "us-east1")),
        ("gcloud beta run worker-pools deploy api --project shop-a --region us-east1", ("shop-a", "us-east1")),
        ("P=shop-a\nR=us-east1\ngcloud run deploy api --project $P --region ${R}", ("shop-a", "us-east1")),
        ('R="us-east1"  # (e.g. europe-west1) what\'s near\ngcloud run deploy api --region $R', ("", "us-east1")),
        ('R="${REGION:-us-east1}" # a default\ngcloud run deploy api --region "$R"', ("", "us-east1")),
        ('REGION=us-east1\nREGION="${1:-$REGION}"\ngcloud run deploy api --region "$REGION"', ("", "us-east1")),
        ('REGION="${1:-us-east1}"\ngcloud run deploy api --region "$REGION"', ("", "us-east1")),
        ('PROJECT="${1:-shop-staging}"\ngcloud run deploy api --project "$PROJECT"', ("", "")),
        ("gcloud run deploy api --project $PROJECT --region $REGION", ("", "")),
        ("P=$(gcloud config get-value project)\ngcloud run deploy api --project $P", ("", "")),
        ("ENV=${1:-staging}\ngcloud run deploy api --project shop-$ENV", ("shop-${1}", "")),
        ("ENV=$1\ngcloud run deploy api --project $ENV", ("", "")),
        (
            'A=(--project "shop-a"\n  --region us-east1 # here\n)\ngcloud run deploy api "${A[@]}"',
            ("shop-a", "us-east1"),
        ),
        ("gcloud run deploy api # --project shop-a", ("", "")),
        ("gcloud run deploy api --update-labels='a=b # c' --project shop-a", ("shop-a", "")),
    ],
)
def test_the_flags_of_a_command(text: str, expected: tuple[str, str]) -> None:
    assert script(f"{text}\n") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "gcloud config set project shop-a\ngcloud config set run/region us-east1\ngcloud run deploy api",
            ("shop-a", "us-east1"),
        ),
        ("P=shop-a\ngcloud config set project $P --quiet\ngcloud run deploy api", ("shop-a", "")),
        ("setup() {\n  gcloud config set project shop-a\n}\nsetup\ngcloud run deploy api", ("shop-a", "")),
        ("gcloud config set project shop-a\ngcloud run deploy api --project shop-b", ("shop-b", "")),
        ("gcloud config set project shop-a\ngcloud run deploy api --project $P", ("", "")),
        ("gcloud config set project shop-a\ngcloud config set project $P\ngcloud run deploy api", ("", "")),
        ("gcloud run deploy api\ngcloud config set project shop-a", ("", "")),
        (
            "export CLOUDSDK_CORE_PROJECT=shop-a CLOUDSDK_RUN_REGION=us-east1\ngcloud run deploy api",
            ("shop-a", "us-east1"),
        ),
        ("CLOUDSDK_CORE_PROJECT=shop-a gcloud run deploy api", ("shop-a", "")),
        ("CLOUDSDK_CORE_PROJECT=shop-a\ngcloud run deploy api", ("", "")),
        (
            "export CLOUDSDK_CORE_PROJECT=shop-a\ngcloud config set project shop-b\ngcloud run deploy api",
            ("shop-a", ""),
        ),
        ("export CLOUDSDK_CORE_PROJECT=$P\ngcloud config set project shop-b\ngcloud run deploy api", ("", "")),
    ],
)
def test_what_a_script_has_told_gcloud_before(text: str, expected: tuple[str, str]) -> None:
    assert script(f"{text}\n") == expected


def test_two_values_are_two_deployments() -> None:
    text = "for P in shop-a shop-b; do\n  gcloud run deploy api --project $P\ndone\n"
    assert places({"deploy.sh": text}) == {("", "shop-a", ""), ("", "shop-b", "")}


def test_each_branch_of_a_script_tells_gcloud_its_own() -> None:
    text = """\
        case "$1" in
          staging) gcloud config set project shop-a ;;
          production) gcloud config set project shop-b ;;
        esac
        gcloud run deploy api --region us-east1
        """
    expected = {("staging", "shop-a", "us-east1"), ("production", "shop-b", "us-east1")}
    assert places({"deploy.sh": text}) == expected
    caller = "bash setup.sh\ngcloud run deploy web\n"
    found = deployments({"setup.sh": text, "all.sh": caller})
    assert [item.project for item in found if item.service == "web"] == [""]  # after which of them it runs is not known


def test_a_script_works_where_its_caller_told_gcloud_to() -> None:
    files = {"all.sh": "gcloud config set project shop-a\n./one.sh\n", "one.sh": "gcloud run deploy api\n"}
    assert place(files) == ("shop-a", "")
    files = {
        "all.sh": "source ./project.sh\ngcloud run deploy api\n",
        "project.sh": "gcloud config set project shop-a\n",
    }
    assert place(files) == ("shop-a", "")


def test_another_script_knows_nothing_of_it() -> None:
    files = {"a.sh": "gcloud config set project shop-a\ngcloud run deploy a\n", "b.sh": "gcloud run deploy b\n"}
    assert {item.service: item.project for item in deployments(files)} == {"a": "shop-a", "b": ""}


def test_the_project_that_gcloud_is_told_tells_the_environment_as_a_flag_does() -> None:
    found = only({"deploy.sh": "gcloud config set project shop-staging\ngcloud run deploy api\n"})
    assert (found.environment, found.rule) == ("staging", "the project says so: shop-staging")


def test_the_project_of_a_secret() -> None:
    text = (
        "gcloud secrets create one --project=shop-a\ngcloud config set project shop-b\ngcloud secrets create two\n"
        "gcloud secrets versions add three --project $P --data-file=-\n"
    )
    found = read(Texts({"secrets.sh": f"{text}gcloud run deploy api\n"})).facts
    assert [(item.name, item.project) for item in found if isinstance(item, SecretDeclared)] == [
        ("one", "shop-a"),
        ("two", "shop-b"),
        ("three", ""),
    ]


@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_a_makefile(quote: str) -> None:
    text = (
        f"REGION = {quote}us-east1{quote}\nPROJECT := $(shell gcloud config get-value project)\n"
        "deploy:\n\tgcloud run deploy api --region $(REGION) --project $(PROJECT)\n"
    )
    assert place({"Makefile": text}) == ("", "us-east1")
    assert place({"Makefile": text.replace("$(shell gcloud config get-value project)", "shop-a")}) == (
        "shop-a",
        "us-east1",
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('run(["gcloud", "run", "deploy", "api", "--project", P, f"--region={R}"])', ("shop-a", "us-east1")),
        ('run(f"gcloud run deploy api --project {P} --region {R}")', ("shop-a", "us-east1")),
        ('run(["gcloud", "config", "set", "project", P])\nrun(["gcloud", "run", "deploy", "api"])', ("shop-a", "")),
        ('run(["gcloud", "run", "deploy", "api", "--project", args.project])', ("", "")),
        (
            'parser.add_argument("--region", default=R)\nrun(["gcloud", "run", "deploy", "api", "--region", args.region])',
            ("", "us-east1"),
        ),
    ],
)
def test_a_python_script(code: str, expected: tuple[str, str]) -> None:
    assert place({"deploy.py": f'P = "shop-a"\nR = "us-east1"\n{code}\n'}) == expected


# --- Cloud Build -----------------------------------------------------------------------------------

BUILD = """\
    steps:
    - name: gcr.io/google.com/cloudsdktool/cloud-sdk
      entrypoint: gcloud
      args: [run, deploy, api, --region=$_REGION, FLAG]
    substitutions: {_REGION: us-east1, _TARGET: shop-a}
    """


@pytest.mark.parametrize(
    ("flag", "expected"),
    [("--quiet", ""), ("--project=$PROJECT_ID", ""), ("--project=$_TARGET", "shop-a"), ("--project=$_OTHER", "")],
)
def test_a_build_of_which_the_project_is_not_known(flag: str, expected: str) -> None:
    assert place({"cloudbuild.yaml": BUILD.replace("FLAG", flag)}) == (expected, "us-east1")


@pytest.mark.parametrize("flag", ["--quiet", "--project=$PROJECT_ID", "'--project=${PROJECT_ID}'"])
def test_a_build_that_is_submitted_to_a_project(flag: str) -> None:
    build = BUILD.replace("FLAG", flag)
    submit = "gcloud builds submit --config cloudbuild.yaml --project {}\n"
    files = {"cloudbuild.yaml": build, "staging.sh": submit.format("shop-a"), "production.sh": submit.format("shop-b")}
    assert places(files) == {("staging", "shop-a", "us-east1"), ("production", "shop-b", "us-east1")}
    files = {
        "cloudbuild.yaml": build,
        "a.sh": "gcloud config set project shop-a\ngcloud builds submit --config cloudbuild.yaml\n",
    }
    assert place(files) == ("shop-a", "us-east1")


def test_a_build_may_be_given_its_region() -> None:
    submit = "gcloud builds submit --config cloudbuild.yaml --substitutions=_REGION=us-west1\n"
    assert place({"cloudbuild.yaml": BUILD.replace("FLAG", "-q"), "a.sh": submit}) == ("", "us-west1")


def test_what_a_build_tells_gcloud_stays_in_it() -> None:
    build = """\
        steps:
        - {name: gcr.io/cloud-builders/gcloud, entrypoint: bash, args: [-c, gcloud config set run/region us-east1]}
        - {name: gcr.io/cloud-builders/gcloud, args: [run, deploy, api]}
        """
    text = "gcloud config set project shop-a\ngcloud builds submit --config cloudbuild.yaml\ngcloud run deploy web\n"
    found = deployments({"cloudbuild.yaml": build, "deploy.sh": text})
    assert {(item.service, item.project, item.region) for item in found} == {
        ("api", "shop-a", "us-east1"),
        ("web", "shop-a", ""),
    }


# --- workflows -------------------------------------------------------------------------------------


def job(*steps: str, more: str = "", top: str = "") -> dict[str, str]:
    rows = "".join(f"    - {step}\n" for step in steps)
    return {".github/workflows/ship.yml": f"on: push\n{top}jobs:\n  ship:\n{more}    steps:\n{rows}"}


ACTION = "{uses: google-github-actions/deploy-cloudrun@v2, with: {service: api, %s}}"
RUN = "{run: gcloud run deploy api}"
AUTH = "{uses: google-github-actions/auth@v2, with: {%s}}"
SETUP = "{uses: google-github-actions/setup-gcloud@v2, with: {%s}}"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("project_id: shop-a, region: us-east1", ("shop-a", "us-east1")),
        ("project_id: shop-a", ("shop-a", "us-central1")),
        ("region: ''", ("", "us-central1")),
        ("region: '${{ vars.REGION }}'", ("", "")),
        ("project_id: '${{ vars.GCP_PROJECT }}'", ("", "us-central1")),
        ("flags: '--region=us-west1 --project shop-b', region: us-east1", ("shop-b", "us-west1")),
    ],
)
def test_the_inputs_of_the_action(given: str, expected: tuple[str, str]) -> None:
    assert place(job(ACTION % given)) == expected


@pytest.mark.parametrize(
    ("steps", "project"),
    [
        ((AUTH % "project_id: shop-a", RUN), "shop-a"),
        ((AUTH % "service_account: deployer@shop-a.iam.gserviceaccount.com", RUN), "shop-a"),
        ((AUTH % "project_id: shop-b, service_account: d@shop-a.iam.gserviceaccount.com", RUN), "shop-b"),
        ((AUTH % "credentials_json: '${{ secrets.KEY }}'", RUN), ""),
        ((AUTH % "project_id: '${{ secrets.PROJECT }}'", RUN), ""),
        ((AUTH % "project_id: shop-a", SETUP % "version: latest", RUN), "shop-a"),
        ((SETUP % "project_id: shop-a", RUN), "shop-a"),
        ((SETUP % "project_id: shop-a", ACTION % "region: us-east1"), "shop-a"),
        ((AUTH % "project_id: shop-a", AUTH % "credentials_json: x", RUN), ""),
        ((RUN, AUTH % "project_id: shop-a"), ""),
        (("{run: gcloud config set project shop-a}", RUN), "shop-a"),
        (("{run: 'echo \"CLOUDSDK_CORE_PROJECT=shop-a\" >> $GITHUB_ENV'}", RUN), "shop-a"),
        ((AUTH % "project_id: shop-a", "{run: gcloud run deploy api --project $P}"), ""),
    ],
)
def test_the_steps_before(steps: tuple[str, ...], project: str) -> None:
    assert only(job(*steps)).project == project


def test_the_variables_of_a_workflow() -> None:
    top = "env: {CLOUDSDK_CORE_PROJECT: shop-a, REGION: us-east1}\n"
    assert place(job("{run: 'gcloud run deploy api --region ${{ env.REGION }}'}", top=top)) == ("shop-a", "us-east1")
    assert place(job("{run: gcloud run deploy api --region $REGION}", top=top)) == ("shop-a", "us-east1")
    assert place(job(RUN, more="    env: {CLOUDSDK_RUN_REGION: us-west1}\n", top=top)) == ("shop-a", "us-west1")


def test_two_environments_of_one_workflow() -> None:
    matrix = (
        "    strategy:\n      matrix:\n        include:\n"
        "        - {env: staging, project: shop-a, region: us-east1}\n"
        "        - {env: production, project: shop-b, region: us-west1}\n"
    )
    expected = {("staging", "shop-a", "us-east1"), ("production", "shop-b", "us-west1")}
    given = ACTION % "project_id: '${{ matrix.project }}', region: '${{ matrix.region }}'"
    assert places(job(given, more=matrix)) == expected
    signed = (
        AUTH % "project_id: '${{ matrix.project }}'",
        "{run: 'gcloud run deploy api --region ${{ matrix.region }}'}",
    )
    assert places(job(*signed, more=matrix)) == expected


def test_a_step_that_finds_out_the_environment_finds_out_its_project() -> None:
    text = """\
        on: push
        jobs:
          ship:
            steps:
            - run: |
                if [ "$GITHUB_REF" = refs/heads/main ]; then
                  echo "ENV=production" >> $GITHUB_ENV
                  echo "P=shop-b" >> $GITHUB_ENV
                else
                  echo "ENV=staging" >> $GITHUB_ENV
                  echo "P=shop-a" >> $GITHUB_ENV
                fi
            - {uses: google-github-actions/auth@v2, with: {project_id: "${{ env.P }}"}}
            - run: gcloud run deploy api
        """
    assert places({".github/workflows/a.yml": text}) == {("staging", "shop-a", ""), ("production", "shop-b", "")}


def test_a_job_knows_nothing_of_another() -> None:
    text = """\
        on: push
        jobs:
          one:
            steps:
            - {uses: google-github-actions/auth@v2, with: {project_id: shop-a}}
            - {run: gcloud run deploy one}
          two:
            steps:
            - {run: gcloud run deploy two}
        """
    found = deployments({".github/workflows/a.yml": text})
    assert {item.service: item.project for item in found} == {"one": "shop-a", "two": ""}


def test_a_workflow_that_is_called_with_a_project() -> None:
    caller = """\
        on: push
        jobs:
          staging: {uses: ./.github/workflows/ship.yml, with: {project: shop-a, environment: staging}}
          production: {uses: ./.github/workflows/ship.yml, with: {project: shop-b, environment: production}}
        """
    called = (
        "on: {workflow_call: {}}\njobs:\n  ship:\n    steps:\n    - " + ACTION % "project_id: '${{ inputs.project }}'"
    )
    files = {".github/workflows/push.yml": caller, ".github/workflows/ship.yml": called + "\n"}
    assert places(files) == {("staging", "shop-a", "us-central1"), ("production", "shop-b", "us-central1")}


# --- Knative ---------------------------------------------------------------------------------------


def manifest(metadata: str = "") -> str:
    return f"""\
        apiVersion: serving.knative.dev/v1
        kind: Service
        metadata: {{name: api{metadata}}}
        spec: {{template: {{spec: {{containers: [{{image: api}}]}}}}}}
        """


@pytest.mark.parametrize(
    ("metadata", "command", "expected"),
    [
        (", namespace: shop-a, labels: {cloud.googleapis.com/location: us-east1}", "", ("shop-a", "us-east1")),
        (", namespace: '123456789012'", "", ("123456789012", "")),
        (", annotations: {cloud.googleapis.com/location: us-east1}", "", ("", "us-east1")),
        (", namespace: PROJECT_ID", "", ("", "")),
        (", namespace: default", "", ("", "")),
        ("", "--project shop-a --region us-east1", ("shop-a", "us-east1")),
        (", labels: {cloud.googleapis.com/location: us-east1}", "--region us-west1", ("", "us-west1")),
        (", labels: {cloud.googleapis.com/location: us-east1}", "--region $R", ("", "us-east1")),
        (", namespace: '123456789012'", "--project shop-a", ("shop-a", "")),
        (", namespace: shop-a", "--project $P", ("shop-a", "")),
    ],
)
def test_a_manifest(metadata: str, command: str, expected: tuple[str, str]) -> None:
    files = {"service.yaml": manifest(metadata)}
    if command:
        files["deploy.sh"] = f"gcloud run services replace service.yaml {command}\n"
    assert place(files) == expected


def test_a_manifest_is_deployed_where_gcloud_works() -> None:
    before = "gcloud config set project shop-a\ngcloud config set run/region us-west1\n"
    replace = "gcloud run services replace service.yaml\n"
    assert place({"service.yaml": manifest(), "deploy.sh": before + replace}) == ("shop-a", "us-west1")
    labelled = manifest(", namespace: '123456789012', labels: {cloud.googleapis.com/location: us-east1}")
    assert place({"service.yaml": labelled, "deploy.sh": before + replace}) == ("shop-a", "us-east1")
    rendered = f"{before}envsubst < service.yaml | gcloud run services replace - --region us-east1\n"
    assert place({"service.yaml": manifest(), "deploy.sh": rendered}) == ("shop-a", "us-east1")
    assert place({"deploy.sh": f"{before}gcloud run services replace lost.yaml\n"}) == ("shop-a", "us-west1")


def test_a_manifest_that_the_action_takes() -> None:
    step = "{uses: google-github-actions/deploy-cloudrun@v2, with: {metadata: service.yaml, project_id: shop-a, region: us-east1}}"
    assert place({"service.yaml": manifest(), **job(step)}) == ("shop-a", "us-east1")
    step = "{uses: google-github-actions/deploy-cloudrun@v2, with: {metadata: service.yaml}}"
    assert place({"service.yaml": manifest(), **job(AUTH % "project_id: shop-b", step)}) == ("shop-b", "us-central1")


# --- Terraform -------------------------------------------------------------------------------------

PROVIDER = 'provider "google" {\n  project = var.project_id\n  region = var.region\n}\n'
VARIABLES = 'variable "project_id" {}\nvariable "region" {\n  default = "us-east1"\n}\nvariable "environment" {}\n'


def test_a_resource_has_its_own_place() -> None:
    rest = 'project = "shop-a"\n  location = "us-west1"'
    assert place({"main.tf": service(rest=rest) + PROVIDER + VARIABLES}) == ("shop-a", "us-west1")


def test_tfvars_of_each_environment() -> None:
    files = {
        "infra/main.tf": service(rest="location = var.region") + PROVIDER + VARIABLES,
        "infra/staging.tfvars": 'project_id = "shop-a"\nenvironment = "staging"\n',
        "infra/production.tfvars": 'project_id = "shop-b"\nregion = "us-west1"\nenvironment = "production"\n',
    }
    assert places(files) == {("staging", "shop-a", "us-east1"), ("production", "shop-b", "us-west1")}


def test_a_variable_without_a_value_is_not_followed() -> None:
    files = {"main.tf": service(rest="location = var.place") + PROVIDER + VARIABLES + 'variable "place" {}\n'}
    assert place(files) == ("", "")
    assert place({"main.tf": service(rest="project = var.project_id") + VARIABLES}) == ("", "")


def test_a_variable_that_is_filled_in_later_is_none() -> None:
    files = {"main.tf": service() + PROVIDER + VARIABLES, "terraform.tfvars": 'project_id = "your-gcp-project-id"\n'}
    assert place(files) == ("", "us-east1")


def test_a_project_by_the_workspace() -> None:
    text = (
        'locals {\n  projects = {\n    staging = "shop-a"\n    production = "shop-b"\n  }\n}\n'
        'provider "google" {\n  project = local.projects[terraform.workspace]\n}\n'
    )
    found = places({"main.tf": service() + text})
    assert {("staging", "shop-a", ""), ("production", "shop-b", "")} <= found
    assert all(not project or "$" not in project for _, project, _ in found)


def test_a_service_in_each_region() -> None:
    rest = 'for_each = toset(["us-east1", "us-west1"])\n  location = each.value\n  project = "shop-a"'
    assert places({"main.tf": service(rest=rest)}) == {("", "shop-a", "us-east1"), ("", "shop-a", "us-west1")}


def test_a_project_that_terraform_makes() -> None:
    made = 'resource "google_project" "shop" {\n  name = "Shop"\n  project_id = "shop-a"\n}\n'
    assert place({"main.tf": made + service(rest="project = google_project.shop.project_id")}) == ("shop-a", "")


ALIASED = (
    'provider "google" {\n  project = "shop-a"\n  region = "us-east1"\n}\n'
    'provider "google" {\n  alias = "eu"\n  project = "shop-b"\n  region = "europe-west1"\n}\n'
    'provider "google-beta" {\n  project = "shop-c"\n}\n'
)


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("", ("shop-a", "us-east1")),
        ("provider = google.eu", ("shop-b", "europe-west1")),
        ("provider = google-beta", ("shop-c", "")),
        ("provider = google.other", ("", "")),
        ("project = null", ("shop-a", "us-east1")),
    ],
)
def test_the_provider_of_a_resource(rest: str, expected: tuple[str, str]) -> None:
    assert place({"main.tf": service(rest=rest) + ALIASED}) == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("", ("shop-a", "us-east1")), ("providers = {\n  google = google.eu\n}", ("shop-b", "europe-west1"))],
)
def test_the_provider_of_a_module(argument: str, expected: tuple[str, str]) -> None:
    files = {"main.tf": call("api", "./modules/run", argument) + ALIASED, "modules/run/main.tf": service()}
    assert place(files) == expected


def test_a_provider_that_a_module_hands_on_under_its_own_name() -> None:
    inner = "terraform {\n  required_providers {\n    google = {\n      configuration_aliases = [google.target]\n    }\n  }\n}\n"
    files = {
        "main.tf": call("api", "./modules/run", "providers = {\n  google.target = google.eu\n}") + ALIASED,
        "modules/run/main.tf": inner + service(rest="provider = google.target"),
    }
    assert place(files) == ("shop-b", "europe-west1")


def test_a_module_from_elsewhere() -> None:
    arguments = ('service_name = "api"', 'project_id = "shop-a"', 'location = "us-east1"')
    text = call("api", "GoogleCloudPlatform/cloud-run/google", *arguments)
    assert place({"main.tf": text}) == ("shop-a", "us-east1")
    text = call("api", "GoogleCloudPlatform/cloud-run/google//modules/v2", 'service_name = "api"')
    assert place({"main.tf": text + ALIASED}) == ("shop-a", "us-east1")


def test_a_worker_pool_is_one() -> None:
    text = service().replace("google_cloud_run_v2_service", "google_cloud_run_v2_worker_pool")
    assert only({"main.tf": text}).resource == "worker-pool"


def test_the_project_of_a_secret_of_terraform() -> None:
    own = 'resource "google_secret_manager_secret" "a" {\n  secret_id = "one"\n  project = "shop-x"\n}\n'
    usual = 'resource "google_secret_manager_secret" "b" {\n  secret_id = "two"\n}\n'
    found = read(Texts({"main.tf": own + usual + ALIASED})).facts
    assert {item.name: item.project for item in found if isinstance(item, SecretDeclared)} == {
        "one": "shop-x",
        "two": "shop-a",
    }
