"""``init`` begins the settings, and ``--show-config`` tells what counts."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import jsonschema
import pytest

from sentry_audit.app import Request, check
from sentry_audit.errors import UsageError
from sentry_audit.initialising import begin, proposal
from sentry_audit.positions import yaml_data
from sentry_audit.settings import load, parse
from sentry_audit.settings_model import schema
from tests.test_cli import GOOD, ROOT, run
from tests.trees import write

if TYPE_CHECKING:
    from pathlib import Path

NAME = "sentry-audit.yaml"
STAGED = {
    **GOOD,
    ".github/workflows/staging.yml": """\
        on: {push: {branches: [main]}}
        jobs:
          deploy-staging:
            environment: staging
            runs-on: ubuntu-latest
            steps:
            - run: gcloud run deploy shop-api-stg --source . --project shop-stg --region europe-west1
        """,
    ".github/workflows/production.yml": """\
        on: {release: {types: [published]}}
        jobs:
          deploy-production:
            environment: production
            runs-on: ubuntu-latest
            steps:
            - run: gcloud run deploy shop-api --source . --project shop-prod --region europe-west1
        """,
}


def uncommented(text: str) -> str:
    """``text`` with all settings in it active, as its reader would make them."""
    return "".join(f"{re.sub('^#(?! [^ ])', '', row)}\n" for row in text.splitlines())


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return shutil.copytree(ROOT / "examples/shop", tmp_path / "shop")


def test_what_is_found_is_written_with_where_it_was_seen(tmp_path: Path) -> None:
    text = proposal(write(tmp_path, STAGED))
    assert "# - staging: .github/workflows/staging.yml:7\n" in text
    assert "\nenvironments: [staging, production]\n" in text
    assert "\ndefault_environment: production\n" in text
    assert "#      # Dockerfile:4 starts it: gunicorn main:app" in text
    assert "service: {staging: shop-api-stg, production: shop-api}  # .github/workflows/staging.yml:7\n" in text
    assert "#  staging: {project: shop-stg, regions: [europe-west1]}  # .github/workflows/staging.yml:7\n" in text
    assert yaml_data(text) == {"environments": ["staging", "production"], "default_environment": "production"}


def test_everything_that_is_commented_out_may_be_uncommented(tmp_path: Path, shop: Path) -> None:
    for root in (write(tmp_path / "staged", STAGED), shop):
        data = yaml_data(uncommented(proposal(root)))
        assert {"components", "google_cloud", "environments"} <= set(data)
        jsonschema.Draft202012Validator(schema()).validate(data)
        settings = parse(data, NAME)
        assert settings.cloud("staging").project in {"shop-stg", "shop-staging"}
        assert all(item.name for item in settings.components)


def test_findings_are_the_same_after_it(tmp_path: Path, shop: Path) -> None:
    for root in (write(tmp_path / "staged", STAGED), shop):
        for environment in ("staging", "production"):
            before = check(Request(root=root, environments=(environment,)))
            begin(root)
            after = check(Request(root=root, environments=(environment,)))
            assert [item.findings for item in after] == [item.findings for item in before]
            assert [item.components for item in after] == [item.components for item in before]
            (root / NAME).unlink()


def test_a_second_run_changes_nothing(shop: Path) -> None:
    assert begin(shop).written == (NAME,)
    before = (shop / NAME).read_bytes()
    done = run("init", shop)
    assert (done.returncode, done.stdout) == (0, f"{shop / NAME} is there: nothing to add\n")
    assert (shop / NAME).read_bytes() == before
    assert [item.name for item in shop.iterdir() if "part" in item.name] == []


def test_a_file_that_is_there_stays_and_what_it_does_not_speak_of_is_shown(shop: Path) -> None:
    text = "default_environment: staging\ncomponents:\n- {name: api, path: api}\n- {name: worker, path: worker}\n"
    (shop / NAME).write_text(text)
    done = run("init", shop)
    assert done.returncode == 0
    assert "is there, and stays as it is" in done.stdout
    assert "+#environments: [staging, production]" in done.stdout
    assert "+#  - name: web" in done.stdout
    assert "+#  - name: api" not in done.stdout
    assert "+default_environment" not in done.stdout
    assert (shop / NAME).read_text() == text


def test_settings_of_pyproject_are_not_doubled(tmp_path: Path) -> None:
    write(tmp_path, {**GOOD, "pyproject.toml": "[project]\nname = 'x'\n[tool.sentry-audit]\nexclude = ['a']\n"})
    with pytest.raises(UsageError, match=r"the settings are in pyproject.toml.*would count in their place"):
        begin(tmp_path)
    assert not (tmp_path / NAME).exists()
    assert "default_environment" in run("init", tmp_path, "--print").stdout


def test_print_writes_nothing(shop: Path) -> None:
    before = sorted(shop.rglob("*"))
    assert run("init", shop, "--print").stdout == proposal(shop)
    assert sorted(shop.rglob("*")) == before


def test_editors_are_led_to_a_schema_that_is_there(shop: Path) -> None:
    done = run("init", shop, "--schema")
    assert done.stdout.splitlines()[:2] == [f"written: {shop / NAME}", f"written: {shop / 'sentry-audit.schema.json'}"]
    first = (shop / NAME).read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=sentry-audit.schema.json"
    assert json.loads((shop / first.partition("$schema=")[2]).read_text()) == schema()
    assert "nothing to add" in run("init", shop, "--schema").stdout


def test_a_repository_without_components_is_told_how_to_name_them(tmp_path: Path) -> None:
    text = proposal(write(tmp_path, {"README.md": "x\n"}))
    assert "# No component was found. Name them:\n#components:\n#  - name: api\n" in text
    assert load(tmp_path).components == ()


def test_a_deployment_of_no_component_is_named(tmp_path: Path) -> None:
    deploy = "gcloud run deploy mail --image gcr.io/x/mail\ngcloud run deploy billing --image gcr.io/x/billing\n"
    text = proposal(write(tmp_path, {**GOOD, "deploy.sh": deploy}))
    assert "# - mail (deploy.sh:1)\n" in text
    assert "# - billing (deploy.sh:2)\n" in text


def test_no_secret_is_written(tmp_path: Path) -> None:
    dsn = "https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/1"
    start = f'FROM python\nCOPY . .\nCMD ["sh", "-c", "SENTRY_DSN={dsn} gunicorn main:app"]\n'
    text = proposal(write(tmp_path, {**GOOD, "Dockerfile": start}))
    assert "gunicorn" in text
    assert "0123456789abcdef" not in text


# --- --show-config ------------------------------------------------------------------------------


def rows(text: str) -> dict[str, str]:
    """Names of settings, and what is told of each."""
    joined = text.replace("\n      ", " ")
    return dict(line.strip().split(": ", 1) for line in joined.splitlines() if line.startswith("  "))


def test_each_setting_tells_where_it_comes_from(tmp_path: Path) -> None:
    text = (
        "# ours\ndefault_environment: staging\ngoogle_cloud:\n  project: shop\n  qa: {regions: [us-east1]}\n"
        "waivers:\n  - {check: dsn-format, reason: r, until: permanent}\nchecks: [ours.yaml]\nbaseline: old.json\n"
    )
    ours = (ROOT / "docs" / "checks.md").read_text().split("```yaml\n")[1].split("```")[0]
    write(tmp_path, {**GOOD, NAME: text, "ours.yaml": ours})
    assert run("baseline", "create", tmp_path, "--offline", "-o", tmp_path / "old.json").returncode == 0
    done = run("check", tmp_path, "--show-config", "--fail-on", "high", "--offline", GOOGLE_CLOUD_PROJECT="other")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(len(line) <= 80 or "/" in line for line in done.stdout.splitlines())
    found = rows(done.stdout)
    assert found["environments"].endswith("(default)")
    assert found["default_environment"] == "staging  (sentry-audit.yaml:2)"
    assert found["google_cloud.project"] == "shop  (sentry-audit.yaml:4)"
    assert found["google_cloud.qa"] == "{regions: [us-east1]}  (sentry-audit.yaml:5)"
    assert found["--env"] == "staging  (sentry-audit.yaml:2)"
    assert found["--fail-on"] == "high  (command line)"
    assert found["--timeout"].endswith("(default)")
    assert found["GOOGLE_CLOUD_PROJECT"] == "other  (environment variable)"
    assert "ours.yaml, 1  (sentry-audit.yaml:8)" in done.stdout
    assert re.fullmatch(
        r"old.json, \d+ gaps  \(sentry-audit.yaml:9\)", rows(done.stdout.partition("Files that")[2])["baseline"]
    )
    assert rows(run("check", tmp_path, "--show-config", "--env", "qa").stdout)["--env"] == "qa  (command line)"


def test_the_settings_of_pyproject_have_lines_too(tmp_path: Path) -> None:
    text = "[project]\nname = 'x'\n\n[tool.sentry-audit]\nexclude = ['legacy/']\n"
    write(tmp_path, {**GOOD, "pyproject.toml": text})
    found = rows(run("check", tmp_path, "--show-config").stdout)
    assert found["exclude"] == "[legacy/]  (pyproject.toml:5)"


def test_no_secret_is_shown(tmp_path: Path) -> None:
    dsn = "https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/1"
    write(tmp_path, {**GOOD, NAME: f"exclude: ['{dsn}']\n"})
    done = run("check", tmp_path, "--show-config")
    assert "0123456789abcdef" not in done.stdout
    assert "o1.ingest.sentry.io" in done.stdout


def test_a_token_is_said_to_be_there_and_no_more(tmp_path: Path) -> None:
    done = run("check", write(tmp_path, GOOD), "--show-config", SENTRY_AUTH_TOKEN="sntryu_0123456789abcdef")
    assert "  SENTRY_AUTH_TOKEN: set, not shown  (environment variable)\n" in done.stdout
    assert "0123456789abcdef" not in done.stdout


def test_settings_that_are_wrong_are_not_shown(tmp_path: Path) -> None:
    write(tmp_path, {**GOOD, NAME: "exclud: [a]\n"})
    done = run("check", tmp_path, "--show-config")
    assert (done.returncode, done.stdout) == (2, "")
    assert "sentry-audit.yaml:1: unknown key 'exclud'" in done.stderr
