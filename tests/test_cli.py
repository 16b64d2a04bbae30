"""The command line as its users run it: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from sentry_audit.reporters.schema import output_schema
from tests.trees import FASTAPI, SDK, write

ROOT = Path(__file__).parent.parent
GOOD = {
    "requirements.txt": SDK,
    "Dockerfile": 'FROM python\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["gunicorn", "main:app"]\n',
    "main.py": """\
        import os
        import sentry_sdk
        from flask import Flask
        sentry_sdk.init(
            environment=os.environ.get("SENTRY_ENVIRONMENT"),
            release=os.environ["SENTRY_RELEASE"],
            traces_sample_rate=float(os.environ.get("SENTRY_TRACES_SAMPLE_RATE", "0.1")),
        )
        app = Flask(__name__)
        """,
}


def run(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sentry_audit", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd or ROOT,
        env={**os.environ, "COLUMNS": "80", **environment},
        check=False,
    )


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sentry-audit ")


@pytest.mark.parametrize("command", [[], ["check"], ["explain"], ["checks"], ["checks", "test"]])
def test_help(command: list[str]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_the_example_has_gaps() -> None:
    done = run("check", "examples/shop", "--env", "staging", "--offline")
    assert done.returncode == 1
    assert done.stderr == ""
    assert "NOT READY" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_readme_shows_what_the_tool_prints() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0].splitlines() for block in text.split("```console\n")[1:]]
    assert len(blocks) == 2
    for block in blocks:
        assert block[0].startswith("$ sentry-audit ")
        done = run(*block[0].split()[2:])
        printed = done.stdout.splitlines()
        at = 0
        for line in block[1:]:
            if line == "…":
                continue
            assert line in printed[at:], f"not printed: {line!r}"
            at = printed.index(line, at)


def test_json_follows_the_published_schema() -> None:
    done = run("check", "examples/shop", "--env", "staging", "--format", "json")
    report = json.loads(done.stdout)
    jsonschema.validate(report, output_schema())
    assert report["schema_version"] == 1
    assert report["exit_code"] == done.returncode == 1
    assert run("checks", "schema", "--output-format").stdout == json.dumps(output_schema(), indent=2) + "\n"


def test_a_service_with_nothing_open(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    done = run("check", tmp_path, "--select", "backend-*", "--ignore", "backend-error-context", "--allow-unknown")
    assert done.returncode == 0, done.stdout
    assert "✗ GAP" not in done.stdout


def test_two_formats_at_once(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    done = run("check", "examples/shop", "--format", "terminal", "--format", f"json={file}")
    assert "NOT READY" in done.stdout
    assert json.loads(file.read_text())["environment"] == "production"
    done = run("check", "examples/shop", "--format", "terminal", "--format", "json")
    assert done.returncode == 2
    assert "two formats" in done.stderr


def test_all_environments(tmp_path: Path) -> None:
    write(tmp_path, {**GOOD, ".env.qa": "SENTRY_ENVIRONMENT=qa\n", ".env.staging": "SENTRY_ENVIRONMENT=staging\n"})
    done = run("check", tmp_path, "--all-envs", "--format", "json", "--select", "backend-init-present")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    jsonschema.validate(document, output_schema())
    assert [item["environment"] for item in document["environments"]] == ["staging", "production"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["check", "nowhere"], 3, ["no such folder", "nowhere"]),
        (["check", "README.md"], 3, ["not a folder"]),
        (["check", "examples/shop", "--component", "apii"], 3, ["apii", "did you mean api?"]),
        (["check", "examples/shop", "--select", "dsn-fromat"], 2, ["dsn-fromat", "did you mean dsn-format?"]),
        (["check", "examples/shop", "--select", "dsn-format", "--ignore", "dsn-*"], 3, ["no check is selected"]),
        (["check", "examples/shop", "--format", "jsn"], 2, ["jsn", "did you mean json?"]),
        (["check", "examples/shop", "--format", "json=/no/such/dir/x"], 2, ["/no/such/dir/x", "cannot be written"]),
        (["check", "--fail-on", "hihg"], 2, ["hihg"]),
        (["chek"], 2, ["chek"]),
        (["explain", "backend-sdk-declard"], 2, ["did you mean backend-sdk-declared?"]),
        (["checks", "validate", "nowhere.yaml"], 2, ["nowhere.yaml", "cannot be read"]),
        (["checks", "validate", "pyproject.toml"], 2, ["pyproject.toml"]),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], code: int, words: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("componets: []\n", ["componets", "did you mean components?"]),
        ("components:\n  - name: a\n", ["components[0]", "path"]),
        ("environments: staging\n", ["environments must be a list"]),
        ("components: 3\n", ["components must be a list"]),
        ("a: [\n", ["sentry-audit.yaml:2"]),
        ("- 1\n", ["mapping"]),
        ("checks: [no.yaml]\n", ["no.yaml"]),
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, text: str, words: list[str]) -> None:
    write(tmp_path, {**GOOD, "sentry-audit.yaml": text})
    done = run("check", tmp_path)
    assert done.returncode == 2, done.stderr
    for word in words:
        assert word in done.stderr


def test_checks_of_ones_own(tmp_path: Path) -> None:
    example = (ROOT / "docs" / "checks.md").read_text().split("```yaml\n")[1].split("```")[0]
    write(tmp_path, {**GOOD, "ours.yaml": example, "sentry-audit.yaml": "checks: [ours.yaml]\n"})
    write(tmp_path, {".env.staging": "SENTRY_DSN=https://0123456789abcdef0123456789aba1f3@o1.ingest.us.sentry.io/1\n"})
    assert run("checks", "test", tmp_path / "ours.yaml").returncode == 0
    done = run("check", tmp_path, "--select", "our-project")
    assert done.returncode == 1
    assert "leads out of the EU" in done.stdout
    assert "0123456789abcdef" not in done.stdout


def test_verbose_says_why_a_component_is_one() -> None:
    assert "because" in run("check", "examples/shop", "--verbose").stdout


def test_no_colour_unless_asked() -> None:
    assert "\x1b[" not in run("check", "examples/shop").stdout
    assert "\x1b[" in run("check", "examples/shop", FORCE_COLOR="1").stdout
    assert "\x1b[" not in run("check", "examples/shop", FORCE_COLOR="1", NO_COLOR="1").stdout


def test_a_bug_is_said_to_be_one(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    code = (
        "import sys, sentry_audit.app, sentry_audit.cli as cli\n"
        "def boom(*a, **k): raise RuntimeError('at https://0123456789abcdef0123456789aba1f3@o1.ingest.sentry.io/1')\n"
        "sentry_audit.app.check = boom\nsys.argv = ['sentry-audit', *sys.argv[1:]]\ncli.run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "check", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 70
    assert "bug in sentry-audit" in done.stderr
    assert "Traceback" not in done.stderr
    assert "0123456789abcdef" not in done.stderr
    debug = [sys.executable, "-c", code, "--debug", "check", str(tmp_path)]
    assert "Traceback" in subprocess.run(debug, capture_output=True, text=True, check=False).stderr


def test_the_current_folder_is_the_default(tmp_path: Path) -> None:
    write(tmp_path, {"requirements.txt": SDK, "main.py": FASTAPI})
    assert run("check", cwd=tmp_path).returncode == 1
