"""What ``explain``, ``--help`` and the shell's Tab tell."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import typer

from sentry_audit.app import shipped_checks
from sentry_audit.auditing import fixable
from sentry_audit.checks import load
from sentry_audit.cli import build
from sentry_audit.explaining import explanation
from tests.test_cli import GOOD, run
from tests.trees import write

if TYPE_CHECKING:
    from pathlib import Path

CHECKS = {item.id: item for item in shipped_checks()}
OURS = """\
checks:
- id: our-check
  title: Ours
  area: ours
  severity: low
  each: dsn
  where: {placeholder: false}
  expect: {host: {matches: "sentry[.]io$"}}
  message: "{shown} is elsewhere"
  why: |
    One reason.

    Another one.
  examples:
    pass: [{facts: [{dsn: {shown: x, host: a.sentry.io}}]}]
    fail: [{facts: [{dsn: {shown: x, host: b.example.com}}]}]
"""
OWN = {**GOOD, "ours.yaml": OURS, "sentry-audit.yaml": "checks: [ours.yaml]\n"}
SECTIONS = ("WHY", "WHAT IS LOOKED AT", "WHAT IS SAID", "WHAT CLOSES IT", "PERMISSIONS")


@pytest.mark.parametrize("name", CHECKS)
def test_each_page_has_all_sections_and_fits(name: str) -> None:
    check = CHECKS[name]
    page = explanation(check, can_fix=name in fixable())
    blocks = dict(block.split("\n", 1) for block in page.split("\n\n") if block.startswith((*SECTIONS, "READ MORE")))
    assert list(blocks) == [*SECTIONS, "READ MORE"]
    assert all(text.strip() for text in blocks.values())
    diffs = (
        {line for item in (check.fix, *dict(check.fix.others).values()) if item for line in item.diff.splitlines()}
        if check.fix
        else set()
    )
    long = [
        line
        for line in page.splitlines()
        if len(line) > 80 and "://" not in line and line.strip() not in {x.strip() for x in diffs}
    ]
    assert long == []
    assert ("may do it" in page) == (name in fixable())
    for permission in check.permissions:
        row = next(line for line in blocks["PERMISSIONS"].splitlines() if line.split()[0] == permission)
        assert "(roles/" in row or "(a scope of the Sentry token)" in row
    assert bool(check.permissions) or "None: only the repository is read." in page


def test_cloud_checks_say_what_they_need() -> None:
    needing = {name for name, item in CHECKS.items() if item.subject.startswith(("secret_", "cloud_run_"))}
    assert needing
    without = {name for name in needing if not CHECKS[name].permissions and CHECKS[name].area != "secrets"}
    assert without == set()
    assert "  secretmanager.versions.get  (roles/secretmanager.viewer)" in explanation(CHECKS["secret-dsn-enabled"])


def test_a_page_tells_the_evidence_in_words() -> None:
    [ours] = load(OURS, "x")
    page = explanation(ours)
    assert "  Every dsn where placeholder equals false has: host matches the regular\n  expression " in page
    assert "  One reason.\n\n  Another one.\n" in page
    assert "No fix does it by itself" in page


def test_checks_of_ones_own_are_listed_and_explained(tmp_path: Path) -> None:
    write(tmp_path, OWN)
    done = run("explain", "our-check", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("our-check\n=========\n\nOurs\n")
    assert "\nours\n  our-check " in run("checks", "list", tmp_path).stdout
    assert "our-check" not in run("checks", "list", cwd=tmp_path / "..").stdout
    assert "did you mean our-check?" in run("explain", "our-chek", cwd=tmp_path).stderr


def test_a_check_of_the_catalogue_is_explained_whatever_the_settings_are(tmp_path: Path) -> None:
    write(tmp_path, {"sentry-audit.yaml": "exclud: []\n"})
    assert run("explain", "dsn-format", tmp_path).returncode == 0
    assert "unknown key 'exclud'" in run("explain", "nothing", tmp_path).stderr


def test_explain_without_a_check_says_what_to_do() -> None:
    done = run("explain")
    assert done.returncode == 2
    assert "see: sentry-audit checks list" in done.stderr


# --- --help ---------------------------------------------------------------------------------------


def commands() -> list[str]:
    found = []
    for name, command in typer.main.get_command(build()).commands.items():  # type: ignore[attr-defined]
        children = getattr(command, "commands", None)
        found += [f"{name} {child}" for child in children] if children else [name]
    return found


@pytest.mark.parametrize("command", commands())
def test_help_is_a_page_of_a_manual(command: str) -> None:
    done = run(*command.split(), "--help")
    assert done.returncode == 0
    for head in ("Usage:", "Options:", "\n  Examples:\n    sentry-audit ", "\n  Exit codes: 0 ", "\n  See also: "):
        assert head in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    examples = done.stdout.partition("Examples:\n")[2].partition("\n\n")[0]
    assert any(line.split()[1 : 1 + len(command.split())] == command.split() for line in examples.splitlines())


@pytest.mark.parametrize("command", commands())
def test_options_of_the_examples_are_there(command: str) -> None:
    root = typer.main.get_command(build())
    known: Any = root
    for word in command.split():
        known = known.commands[word]
    for line in known.epilog.partition("Examples:\n")[2].partition("\n\n")[0].splitlines():
        words = line.split()[1:]
        target: Any = root
        while words and words[0] in getattr(target, "commands", {}):
            target = target.commands[words.pop(0)]
        options = {name for item in target.params for name in (*item.opts, *item.secondary_opts)}
        assert {word for word in words if word.startswith("-")} <= options, line


# --- completion ----------------------------------------------------------------------------------


def completed(words: str, folder: Path, shell: str = "bash") -> list[str]:
    """What a shell gets when Tab is pressed at the end of ``words``."""
    program = "import sys; sys.argv[0] = 'sentry-audit'; from sentry_audit.__main__ import main; main()"
    given = {"_SENTRY_AUDIT_COMPLETE": f"complete_{shell}", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **given, "_TYPER_COMPLETE_ARGS": words},
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_are_completed(tmp_path: Path) -> None:
    assert {"check", "init", "fix", "checks"} <= set(completed("sentry-audit ", tmp_path))
    assert completed("sentry-audit check", tmp_path) == ["check", "checks"]
    assert completed("sentry-audit checks sch", tmp_path) == ["schema"]
    assert completed("sentry-audit check --show-c", tmp_path) == ["--show-config"]


def test_ids_of_checks_are_completed(tmp_path: Path) -> None:
    write(tmp_path, OWN)
    assert completed("sentry-audit explain dsn-form", tmp_path) == ["dsn-format"]
    assert completed("sentry-audit explain our", tmp_path) == ["our-check"]
    assert completed("sentry-audit check --ignore dsn-form", tmp_path) == ["dsn-format"]
    assert completed("sentry-audit check --select dsn-format,our", tmp_path) == ["dsn-format,our-check"]
    assert "dsn-format" in completed("sentry-audit fix --only dsn-", tmp_path)
    assert "dsn-format" in " ".join(completed("sentry-audit explain dsn-form", tmp_path, "zsh"))


def test_names_of_the_settings_are_completed(tmp_path: Path) -> None:
    assert completed("sentry-audit check --env ", tmp_path) == ["production", "staging"]
    assert completed("sentry-audit check --component ", tmp_path) == []
    text = "environments: [qa, live]\ncomponents: [{name: api, path: a}, {name: mail, path: b}]\n"
    write(tmp_path, {"sentry-audit.yaml": text})
    assert completed("sentry-audit check --env ", tmp_path) == ["qa", "live", "production"]
    assert completed("sentry-audit diff qa l", tmp_path) == ["live"]
    assert completed("sentry-audit check --component a", tmp_path) == ["api"]
    write(tmp_path, {"sentry-audit.yaml": "environmets: [qa]\n"})
    assert completed("sentry-audit check --env st", tmp_path) == ["staging"]


def test_formats_are_completed(tmp_path: Path) -> None:
    assert completed("sentry-audit check --format j", tmp_path) == ["json", "junit"]


def test_completion_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, typer; from sentry_audit import completing\n"
        "context = typer.Context(typer.main.get_command(typer.Typer(callback=lambda: None)))\n"
        "for ask in (completing.check_lists, completing.environments, completing.components): ask(context, '')\n"
        "completing.formats(''); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    parts = {name for name in done.stdout.split() if name.startswith(("google", "grpc", "yaml", "tree_sitter"))}
    assert parts == set()
    assert "sentry_audit.collecting" not in done.stdout.split()
