"""``--env-vars-file``: what deploys with one is given plain variables in that file, and secrets beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.fixers import deploying
from tests.fixing_deploy import fixed, refused
from tests.test_fix_deploying import APP

if TYPE_CHECKING:
    from pathlib import Path

DEPLOY = "gcloud run deploy shop-staging --source . --region europe-west1 --project shop-staging"
SECRET = " --set-secrets SENTRY_DSN=sentry-dsn-staging:latest"
CHECK = "deploy-environment-declared"


def labelled(tmp_path: Path, name: str, text: str, script: str = "") -> str:
    files = {**APP, "deploy.sh": script or f"{DEPLOY}{SECRET} --env-vars-file={name}\n", name: text}
    written = fixed(tmp_path, files, CHECK, deploying.declare_environment)
    assert set(written) == {name}
    return written[name]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("env.yaml", "LOG: info\nPORT: '8080'\n", "LOG: info\nPORT: '8080'\nSENTRY_ENVIRONMENT: 'staging'\n"),
        ("env.yaml", 'LOG: "info"', 'LOG: "info"\nSENTRY_ENVIRONMENT: "staging"'),
        (
            "env.yaml",
            "# ours\nSENTRY_RELEASE: a1 # it\n# last\nLOG: info\n",
            "# ours\nSENTRY_RELEASE: a1 # it\nSENTRY_ENVIRONMENT: staging\n# last\nLOG: info\n",
        ),
        ("staging.yml", "A: b\r\nC: d\r\n", "A: b\r\nC: d\r\nSENTRY_ENVIRONMENT: staging\r\n"),
        ("env.json", '{"LOG": "info"}\n', '{"LOG": "info", "SENTRY_ENVIRONMENT": "staging"}\n'),
        (
            "env.json",
            '{\n  "LOG": "info"\n}\n',
            '{\n  "LOG": "info",\n  "SENTRY_ENVIRONMENT": "staging"\n}\n',
        ),
        ("staging.env", "LOG=info\n# end\n", "LOG=info\nSENTRY_ENVIRONMENT=staging\n# end\n"),
        ("staging.env", "LOG=info", "LOG=info\nSENTRY_ENVIRONMENT=staging"),
    ],
)
def test_the_label_is_written_into_the_file(tmp_path: Path, name: str, before: str, after: str) -> None:
    assert labelled(tmp_path, name, before) == after


def test_in_cloud_build_and_in_python_too(tmp_path: Path) -> None:
    words = f"{DEPLOY}{SECRET} --env-vars-file=env.yaml".split()[1:]
    build = "steps:\n  - name: gcr.io/cloud-builders/gcloud\n    args:\n" + "".join(
        f"      - {word}\n" for word in words
    )
    code = f"import subprocess\n\nsubprocess.run({['gcloud', *words]!r}, check=True)\n"
    for number, files in enumerate(({"cloudbuild.yaml": build}, {"deploy.py": code})):
        given = {**APP, **files, "env.yaml": "LOG: info\n"}
        written = fixed(tmp_path / str(number), given, CHECK, deploying.declare_environment)
        assert written == {"env.yaml": "LOG: info\nSENTRY_ENVIRONMENT: staging\n"}


def test_the_dsn_comes_from_its_secret_beside_the_file(tmp_path: Path) -> None:
    files = {**APP, "deploy.sh": f"{DEPLOY} --env-vars-file env.yaml\n", "env.yaml": "SENTRY_ENVIRONMENT: staging\n"}
    written = fixed(tmp_path, files, "deploy-dsn-declared", deploying.declare_dsn)
    assert written == {
        "deploy.sh": f"{DEPLOY} --env-vars-file env.yaml \\\n  --update-secrets SENTRY_DSN=sentry-dsn-staging:latest\n"
    }


def test_a_file_for_each_environment(tmp_path: Path) -> None:
    files = {**APP, "env/staging.yaml": "LOG: a\n", "env/production.yaml": "LOG: b\n"}
    for name in ("staging", "production"):
        files[f"{name}.sh"] = f"{DEPLOY}{SECRET} --env-vars-file env/{name}.yaml\n".replace("staging", name)
    written = fixed(tmp_path, files, CHECK, deploying.declare_environment)
    assert written == {"env/staging.yaml": "LOG: a\nSENTRY_ENVIRONMENT: staging\n"}


@pytest.mark.parametrize(
    ("script", "more", "told"),
    [
        (
            f"{DEPLOY}{SECRET} --env-vars-file=env.yaml\n{DEPLOY.replace('staging', 'production')} --env-vars-file=env.yaml\n",
            {"env.yaml": "LOG: info\n"},
            "env.yaml is not staging's alone: deploy.sh:2 gives it to production",
        ),
        (
            f"cat > env.yaml <<END\nLOG: info\nEND\n{DEPLOY}{SECRET} --env-vars-file=env.yaml\n",
            {},
            "was not followed",
        ),
    ],
    ids=["shared", "made"],
)
def test_what_is_not_written_says_why(tmp_path: Path, script: str, more: dict[str, str], told: str) -> None:
    answer = refused(tmp_path, {**APP, "deploy.sh": script, **more}, CHECK, deploying.declare_environment)
    assert told in answer.reason
    assert answer.commands
