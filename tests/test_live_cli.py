"""The live audit on the command line: flags, evidence, credentials that are missing, and secrets that stay secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from sentry_audit.reporters.schema import output_schema
from tests.gcp_server.server import GcpServer
from tests.trees import write
from tests.worlds import FILES, KEY, STAGING, World, everything_right

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
NO_CREDENTIALS = {"GOOGLE_APPLICATION_CREDENTIALS": "", "NO_GCE_CHECK": "true", "CLOUDSDK_CONFIG": "/nonexistent"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    state = everything_right()
    with GcpServer(state) as server:
        yield World(state, server, write(tmp_path / "shop", FILES))


def run(*arguments: str | Path, home: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    usual = {key: value for key, value in os.environ.items() if not key.startswith(("GOOGLE_", "CLOUDSDK_", "GCE_"))}
    if home is not None:
        usual["HOME"] = str(home)
    return subprocess.run(
        [sys.executable, "-m", "sentry_audit", *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, env={**usual, "COLUMNS": "80", **environment}, check=False, timeout=60,
    )  # fmt: skip


def test_the_report_says_where_its_knowledge_comes_from(world: World) -> None:
    done = run("check", world.root, "--env", "staging", "--gcp-endpoint", world.server.endpoint)
    assert done.stderr == ""
    assert f"local cloud at {world.server.endpoint}" in " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= 80
    done = run(
        "check", world.root, "--env", "staging", "--gcp-endpoint", world.server.endpoint, "--format", "json",
    )  # fmt: skip
    document = json.loads(done.stdout)
    jsonschema.validate(document, output_schema())
    assert document["google_cloud"]["projects"] == ["shop-staging", "shop-production"]
    assert document["google_cloud"]["evidence"] is None
    [project] = document["sentry_projects"]
    assert (project["component"], project["host"], project["project"]) == ("app", "o123.ingest.us.sentry.io", "451")
    assert project["dsn"] == "https://…c1f3@o123.ingest.us.sentry.io/451"


def test_planning_fixes_asks_the_cloud_nothing_more_and_reports_the_same(world: World, tmp_path: Path) -> None:
    flags = ("--env", "staging", "--gcp-endpoint", world.server.endpoint, "--format", "json")
    plain = run("check", world.root, *flags)
    asked = sorted(call.method for call in world.server.calls)
    assert asked
    world.server.calls.clear()
    fixed = run("check", world.root, *flags, "--with-fixes", "--format", f"sarif={tmp_path / 'r.sarif'}")
    assert sorted(call.method for call in world.server.calls) == asked
    before, after = json.loads(plain.stdout), json.loads(fixed.stdout)
    assert len(before["findings"]) > 9
    assert (after["findings"], after["notes"], after["components"]) == (
        before["findings"], before["notes"], before["components"],
    )  # fmt: skip
    assert fixed.returncode == plain.returncode


def test_all_environments_side_by_side(world: World) -> None:
    done = run("check", world.root, "--all-envs", "--gcp-endpoint", world.server.endpoint)
    table = done.stdout.partition("Sentry projects by component and environment")[2]
    assert "staging       project 451 at o123.ingest.us.sentry.io" in table
    assert "production    project 452 at o123.ingest.us.sentry.io" in table
    assert "!" not in table
    world.secret.versions[-1].payload = (
        world.state.projects["shop-production"].secrets["sentry-dsn-production"].versions[-1].payload
    )
    done = run("check", world.root, "--all-envs", "--gcp-endpoint", world.server.endpoint)
    assert "another environment sends there too" in " ".join(done.stdout.split())


def test_evidence_is_judged_where_there_are_no_credentials(world: World, tmp_path: Path) -> None:
    kept = tmp_path / "evidence.json"
    done = run("collect", world.root, "-o", kept, "--gcp-endpoint", world.server.endpoint)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{kept}: Google Cloud at ")
    assert "shop-staging: 1 service in europe-west1" in done.stdout
    live = run("check", world.root, "--env", "staging", "--gcp-endpoint", world.server.endpoint, "--format", "json")
    asked = len(world.server.calls)
    judged = run(
        "check", world.root, "--env", "staging", "--evidence", kept, "--format", "json",
        home=tmp_path, **NO_CREDENTIALS,
    )  # fmt: skip
    assert len(world.server.calls) == asked
    before, after = json.loads(live.stdout), json.loads(judged.stdout)
    assert after["google_cloud"]["evidence"] == str(kept)
    assert after["findings"] == before["findings"]
    assert judged.returncode == live.returncode


def test_old_evidence_is_refused(world: World, tmp_path: Path) -> None:
    kept = tmp_path / "evidence.json"
    run("collect", world.root, "-o", kept, "--gcp-endpoint", world.server.endpoint)
    document = json.loads(kept.read_text())
    document["taken_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 50 * 3600))
    kept.write_text(json.dumps(document))
    done = run("check", world.root, "--evidence", kept)
    assert done.returncode == 2
    assert "was taken 2 days ago; --max-age allows 1 day" in done.stderr
    assert run("check", world.root, "--evidence", kept, "--max-age", "3d").returncode != 2


def test_what_the_evidence_does_not_hold_is_unknown(world: World, tmp_path: Path) -> None:
    kept = tmp_path / "evidence.json"
    run("collect", world.root, "-o", kept, "--gcp-endpoint", world.server.endpoint)
    script = world.root / "deploy.sh"
    script.write_text(script.read_text().replace("SENTRY_DSN=sentry-dsn-$1", "SENTRY_DSN=sentry-api-dsn-$1"))
    done = run("check", world.root, "--env", "staging", "--evidence", kept, "--format", "json")
    status = {item["check"]: item["status"] for item in json.loads(done.stdout)["findings"]}
    assert status["deploy-drift"] == "gap"
    script.write_text(script.read_text().replace("shop-$1", "other-$1"))
    done = run("check", world.root, "--env", "staging", "--evidence", kept, "--format", "json")
    status = {item["check"]: item["status"] for item in json.loads(done.stdout)["findings"]}
    assert status["cloud-run-dsn-env"] == status["secret-dsn-exists"] == "unknown"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--gcp-endpoint", "cloud.example.com:443"], "loopback"),
        (["--gcp-endpoint", "10.0.0.1:443"], "loopback"),
        (["--max-age", "soon"], "not an age"),
        (["--evidence", "nowhere.json"], "cannot be read"),
        (["--offline", "--evidence", "e.json"], "exclude each other"),
    ],
)
def test_flags_that_cannot_be(world: World, flags: list[str], told: str) -> None:
    done = run("check", world.root, "--env", "staging", *flags)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_without_credentials_the_repository_is_still_audited(world: World, tmp_path: Path) -> None:
    started = time.monotonic()
    done = run("check", world.root, "--env", "staging", home=tmp_path, **NO_CREDENTIALS)
    assert time.monotonic() - started < 10
    assert done.returncode == 1 or done.returncode == 4
    assert done.stdout.count("Google Cloud was not read") == 1
    assert "gcloud auth application-default login" in done.stdout
    assert "The component initialises the SDK" in done.stdout
    selected = run(
        "check", world.root, "--env", "staging", "--select", "cloud-run-dsn-env,backend-init-present",
        home=tmp_path, **NO_CREDENTIALS,
    )  # fmt: skip
    assert selected.returncode == 4


def test_a_tree_that_runs_elsewhere_needs_no_credentials(tmp_path: Path) -> None:
    files = {name: text for name, text in FILES.items() if name != "deploy.sh"}
    done = run("check", write(tmp_path / "app", files), "--env", "staging", home=tmp_path, **NO_CREDENTIALS)
    assert "Google Cloud" not in done.stdout.replace("Google Cloud was not asked", "")
    assert "google" not in done.stderr


@pytest.mark.parametrize("fault", ["", "malformed", "reset", "deny"])
def test_no_secret_is_shown_anywhere(world: World, tmp_path: Path, fault: str) -> None:
    canary = "c0ffee11c0ffee22c0ffee33c0ffee44"
    world.secret.add(STAGING.replace(KEY, canary) + "\n")
    world.deploy(world.env(SENTRY_DSN=STAGING.replace(KEY, canary), OTHER_TOKEN=canary, SENTRY_AUTH_TOKEN=canary))
    world.deploy()
    if fault:
        getattr(world.server, fault)("*/AccessSecretVersion", times=2)
    kept, report = tmp_path / "evidence.json", tmp_path / "report.json"
    loud: Any = {"GOOGLE_SDK_PYTHON_LOGGING_SCOPE": "google", "GRPC_VERBOSITY": "DEBUG", "PYTHONLOGLEVEL": "DEBUG"}
    endpoint = ("--gcp-endpoint", world.server.endpoint)
    first = run(
        "--debug",
        "check",
        world.root,
        "--all-envs",
        *endpoint,
        "--format",
        "terminal",
        "--format",
        f"json={report}",
        **loud,
    )
    second = run("--debug", "collect", world.root, "-o", kept, *endpoint, **loud)
    for text in (first.stdout, first.stderr, second.stdout, second.stderr, kept.read_text(), report.read_text()):
        assert canary not in text
        assert KEY not in text
    assert "Traceback" not in first.stderr + second.stderr


def test_what_differs_between_two_environments_that_run(world: World) -> None:
    done = run("diff", "staging", "production", world.root, "--gcp-endpoint", world.server.endpoint)
    assert "cloud-run-dsn-env" not in done.stdout
    world.deploy(world.env(SENTRY_DSN=None))
    done = run("diff", "staging", "production", world.root, "--gcp-endpoint", world.server.endpoint)
    assert "shop-api-staging has no SENTRY_DSN" in " ".join(done.stdout.split())
    assert (done.stderr, done.returncode) == ("", 0)
    done = run("diff", "staging", "production", world.root, "--offline")
    assert "has no SENTRY_DSN" not in " ".join(done.stdout.split())
