"""Other people's pipelines: a pull request of a fork, the examples to copy, and the hooks of pre-commit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.gcp_server.server import GcpServer
from tests.gcp_server.world import load
from tests.pipelines import ROOT, Action, document, environment, shell, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

DSN = "https://0123456789abcdef0123feedface1234@o123.ingest.us.sentry.io/451"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runner")


@pytest.fixture(scope="module")
def server() -> Iterator[GcpServer]:
    with GcpServer(load(ROOT / "examples" / "cloud.yaml")) as running:
        yield running


@pytest.fixture(scope="module")
def repaired(tmp_path_factory: pytest.TempPathFactory, server: GcpServer) -> Path:
    """The example, repaired and committed, with the evidence of its cloud."""
    root = tmp_path_factory.mktemp("repaired") / "shop"
    shutil.copytree(ROOT / "examples" / "shop", root)
    variables = os.environ | {"DSN": DSN, "SENTRY_AUDIT_GCP_ENDPOINT": server.endpoint}
    for arguments in (
        ["fix", "--env", "staging", "--yes", "--dsn-from", "env:DSN"],
        ["collect", "--env", "staging", "-o", "sentry-evidence.json"],
    ):
        command = [sys.executable, "-m", "sentry_audit", *arguments]
        subprocess.run(command, cwd=root, env=variables, check=True, capture_output=True)
    git(root, "init", "--quiet", ".")
    commit(root)
    return root


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "core.hooksPath=/dev/null"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "state")


@pytest.fixture
def shop(repaired: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(repaired, tmp_path / "shop"))


def line_of(file: Path, words: str) -> int:
    return next(number for number, line in enumerate(file.read_text().splitlines(), 1) if words in line)


def test_a_pull_request_of_a_fork(shop: Path, tmp_path: Path, built: Path, runner: Path) -> None:
    """Without any credentials: evidence judges it, a new gap fails at its line, a waived one passes, an expired one fails."""
    action = Action(runner, built, GITHUB_ACTIONS="true")
    known = {"environment": "staging", "evidence": "sentry-evidence.json"}
    code, log, summary, outputs = action.run(shop, **known)
    assert (code, outputs["exit-code"]) == (0, "0"), log
    assert "::error" not in log
    assert "staging" in summary

    main = shop / "api" / "app" / "main.py"
    main.write_text(main.read_text() + f'\n\nBACKUP_DSN = "{DSN}"\n')
    line = line_of(main, "BACKUP_DSN")
    code, log, summary, outputs = action.run(shop, **known, html=str(tmp_path / "o.html"))
    assert (code, outputs["exit-code"]) == (1, "1")
    assert re.search(rf"^::(error|warning) file=api/app/main\.py,line={line},", log, re.MULTILINE)
    assert "dsn-hardcoded" in summary
    results = json.loads(Path(outputs["sarif"]).read_text())["runs"][0]["results"]
    assert {item["ruleId"] for item in results} == {"dsn-hardcoded"}
    assert (tmp_path / "o.html").is_file()
    assert "feedface1234" not in log + summary + Path(outputs["sarif"]).read_text() + (tmp_path / "o.html").read_text()

    waiver = "waivers:\n- check: dsn-hardcoded\n  reason: it goes with the next release\n  owner: team-a\n  until: {}\n"
    settings = shop / "sentry-audit.yaml"
    settings.write_text(waiver.format("2999-01-31"))
    code, log, summary, _ = action.run(shop, **known)
    assert code == 0, log
    assert "it goes with the next release" in log
    assert "it goes with the next release" in summary

    settings.write_text(waiver.format("2026-01-31"))
    code, log, summary, _ = action.run(shop, **known)
    assert code == 1
    assert re.search(rf"^::(error|warning) file=api/app/main\.py,line={line},.*expired", log, re.MULTILINE)
    assert "expired" in summary


def test_a_baseline_lets_only_new_gaps_fail(shop: Path, tmp_path: Path, built: Path, runner: Path) -> None:
    action = Action(runner, built)
    worker = shop / "worker" / "tasks.py"
    worker.write_text(worker.read_text() + f'\nOLD_DSN = "{DSN}"\n')
    command = [sys.executable, "-m", "sentry_audit", "baseline", "create", "--env", "staging", "--offline"]
    subprocess.run(command, cwd=shop, check=True, capture_output=True)
    known = {"environment": "staging", "offline": "true", "baseline": "sentry-audit-baseline.json"}
    assert action.run(shop, **known)[0] == 0
    main = shop / "api" / "app" / "main.py"
    main.write_text(main.read_text() + f'\nNEW_DSN = "{DSN}"\n')
    code, log, *_ = action.run(shop, **known)
    assert code == 1
    assert "file=api/app/main.py" in log


def test_without_evidence_the_repository_alone_is_judged(shop: Path, tmp_path: Path, built: Path, runner: Path) -> None:
    (shop / "sentry-evidence.json").unlink()
    code, log, *_ = Action(runner, built).run(shop, environment="staging", evidence="sentry-evidence.json")
    assert code == 0, log
    assert "only the repository is audited" in log


def test_inputs_are_never_part_of_the_script(shop: Path, tmp_path: Path, built: Path, runner: Path) -> None:
    evil = f'$(touch {tmp_path}/owned); `touch {tmp_path}/owned`"; touch {tmp_path}/owned #'
    code, *_ = Action(runner, built).run(shop, environment=evil, select=evil, offline="true")
    assert code != 0
    assert not (tmp_path / "owned").exists()


def test_the_example_for_github(shop: Path, tmp_path: Path, built: Path, runner: Path, server: GcpServer) -> None:
    jobs = document("examples/ci/github.yml")["jobs"]
    (shop / "sentry-evidence.json").unlink()
    variables = environment(built, RUNNER_TEMP=str(tmp_path), SENTRY_AUDIT_GCP_ENDPOINT=server.endpoint)
    steps = [step["run"] for step in jobs["collect"]["steps"] if "run" in step]
    assert steps
    for step in steps:
        done = shell(step, shop, variables)
        assert done.returncode == 0, done.stderr
    used = next(step for step in jobs["audit"]["steps"] if "sentry-audit" in step.get("uses", ""))
    inputs = {name.replace("-", "_"): value for name, value in used["with"].items()}
    assert inputs.keys() <= {name.replace("-", "_") for name in document("action.yml")["inputs"]}
    code, log, *_ = Action(runner, built).run(shop, **(inputs | {"environment": "staging"}))
    assert code == 0, log


def test_the_example_for_gitlab(shop: Path, built: Path, server: GcpServer, tmp_path: Path) -> None:
    job = document("examples/ci/gitlab.yml")["sentry-audit"]
    given = {name: value.replace("$CI_PROJECT_DIR", str(shop)) for name, value in job["variables"].items()}
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    variables = environment(built, **given, SENTRY_AUDIT_GCP_ENDPOINT=server.endpoint, GOOGLE_ID_TOKEN="t")
    variables |= {"CI_PROJECT_DIR": str(shop), "SENTRY_ENV": "staging", "PATH": f"{venv / 'bin'}:{variables['PATH']}"}
    done = shell("\n".join([*job["before_script"], *job["script"]]), shop, variables)
    assert done.returncode == 0, done.stdout + done.stderr
    junit = ET.parse(shop / job["artifacts"]["reports"]["junit"]).getroot()
    assert int(junit.get("tests") or sum(int(suite.get("tests", 0)) for suite in junit)) > 50
    assert all((shop / name).is_file() for name in job["artifacts"]["paths"])
    from google.auth import identity_pool

    credentials = identity_pool.Credentials.from_file(given["GOOGLE_APPLICATION_CREDENTIALS"])
    assert credentials.service_account_email == "sentry-audit@shop-prod.iam.gserviceaccount.com"
    assert (shop / ".google-token").stat().st_mode & 0o077 == 0


def test_the_example_for_cloud_build(shop: Path, built: Path, server: GcpServer, tmp_path: Path) -> None:
    pipeline = document("examples/ci/cloudbuild.yaml")
    [audit, deploy] = pipeline["steps"]
    assert deploy["waitFor"] == [audit["id"]]
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    *options, script = audit["args"]
    script = script.replace("$_SENTRY_ENV", "staging").replace("$PROJECT_ID", "shop-staging")
    variables = environment(built, SENTRY_AUDIT_GCP_ENDPOINT=server.endpoint)
    variables["PATH"] = f"{venv / 'bin'}:{variables['PATH']}"
    done = shell(script, shop, variables, *(option.replace("c", "") for option in options))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_hooks_of_pre_commit(shop: Path, built: Path, tmp_path: Path) -> None:
    [audit, checks] = document(".pre-commit-hooks.yaml")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    variables = environment(built)
    variables["PATH"] = f"{venv / 'bin'}:{variables['PATH']}"
    assert shell("pip install --quiet sentry-audit", shop, variables).returncode == 0
    wanted = re.compile(audit["files"])
    for name in (
        "api/app/main.py",
        "web/next.config.ts",
        "deploy.sh",
        "web/Dockerfile",
        "api/.env.staging",
        "api/requirements.txt",
    ):
        assert wanted.search(name), name
    assert not wanted.search("docs/readme.md")
    assert shell(audit["entry"], shop, variables).returncode == 0
    requirements = shop / "api" / "requirements.txt"
    requirements.write_text(re.sub(r"(?m)^sentry-sdk.*\n", "", requirements.read_text()))
    done = shell(audit["entry"], shop, variables)
    assert done.returncode == 1
    assert "backend-sdk-declared" in done.stdout
    assert re.search(checks["files"], "ops/sentry-checks.yaml")
    (shop / "sentry-checks.yaml").write_text((ROOT / "checks.yaml").read_text()[:0] + "checks: []\n")
    assert shell(f"{checks['entry']} sentry-checks.yaml", shop, variables).returncode == 0
