"""``sentry-audit fix`` on the command line, with fixers of its own: what it shows, keeps, asks for, and how it ends."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from sentry_audit import cli, rehearsing, repairing
from sentry_audit.app import Request
from sentry_audit.cloud_facts import CloudRunEnv
from sentry_audit.errors import AuditError, FixFailed, NothingAudited, Stale, UsageError
from sentry_audit.fixing import Case, Change, Edit, Operation, Plan, Refusal
from sentry_audit.reporters.plan import CLASSES
from tests.gcp_server.server import GcpServer
from tests.trees import FASTAPI, IMAGE, write
from tests.worlds import FILES as LIVE
from tests.worlds import World, everything_right

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from sentry_audit.fixing import Fixer
    from sentry_audit.reporters.base import RenderOptions

FILES = {"main.py": FASTAPI, "requirements.txt": "fastapi\n", "Dockerfile": IMAGE}


def declare(case: Case) -> Change:
    text = case.files.text("requirements.txt") or ""
    return Change(
        summary="will add sentry-sdk to requirements.txt",
        safety="safe",
        edits=(Edit("requirements.txt", f"{text}sentry-sdk>=2.64,<3\n"),),
    )


def refuse(case: Case) -> Refusal:
    return Refusal(reason=f"somebody must write {case.finding.component}'s init", commands=("$EDITOR main.py",))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fixers: dict[str, Fixer] = {"backend-sdk-declared": declare, "backend-init-present": refuse}
    monkeypatch.setattr(rehearsing, "fixers", lambda: fixers)
    return write(tmp_path / "repo", FILES)


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[Collection[str]]:
    """Apply plans without asking; holds which classes needed no question."""
    seen: list[Collection[str]] = []

    def apply(
        request: Request, wishes: repairing.Wishes, plan: Plan, options: RenderOptions, agreed: Collection[str]
    ) -> tuple[Plan, str]:
        del wishes, options
        seen.append(agreed)
        write(request.root, {item.path: item.after or "" for step in plan.steps for item in step.files})
        return plan, "r1" if plan.steps else ""

    monkeypatch.setattr(repairing, "apply_agreed", apply)
    return seen


def run(*arguments: str | Path) -> tuple[int, str]:
    """The exit code and the output; an error of the user's is raised."""
    done = CliRunner().invoke(cli.build(), [*map(str, arguments)], env={"COLUMNS": "80"})
    if isinstance(done.exception, AuditError):
        raise done.exception
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_a_dry_run_shows_what_is_pending_and_changes_nothing(root: Path) -> None:
    code, text = run("fix", root, "--env", "staging", "--offline", "--dry-run")
    assert code == 10
    assert "Safe: nothing that runs behaves differently, but for Sentry\n  • will add sentry-sdk" in text
    assert "closes backend-sdk-declared (app)" in text
    assert "+sentry-sdk>=2.64,<3" in text
    assert "✗ backend-init-present · app\n    somebody must write app's init\n      $EDITOR main.py" in text
    assert (root / "requirements.txt").read_text() == "fastapi\n"
    assert max(map(len, text.splitlines())) <= 80


def test_a_dry_run_with_nothing_to_do_ends_as_check_does(root: Path) -> None:
    code, text = run("fix", root, "--offline", "--dry-run", "--only", "backend-init-present")
    assert (code, "Nothing can be fixed by itself" in text) == (1, True)
    code, text = run("fix", root, "--offline", "--dry-run", "--only", "backend-dsn-resolves")
    assert code == 0
    assert "Nothing is to be fixed" in text
    (root / "main.py").write_text(FASTAPI + "import sentry_sdk\nsentry_sdk.init(dsn=get())\n")
    code, text = run("fix", root, "--offline", "--dry-run", "--only", "backend-dsn-resolves")
    assert code == 4
    assert "? unknown  backend-dsn-resolves" in text


def test_only_some_checks(root: Path) -> None:
    code, text = run("fix", root, "--offline", "--dry-run", "--only", "backend-sdk-*,backend-init-present")
    assert (code, "Left to you" in text) == (10, True)
    code, text = run("fix", root, "--offline", "--dry-run", "--only", "backend-sdk-declared")
    assert (code, "Left to you" in text) == (10, False)
    with pytest.raises(UsageError, match="no check is called backend-sdk") as caught:
        run("fix", root, "--offline", "--dry-run", "--only", "backend-sdk")
    assert "did you mean" in caught.value.hint


def test_a_plan_is_saved_and_that_one_is_applied(root: Path, tmp_path: Path, applied: list[Collection[str]]) -> None:
    file = tmp_path / "plan.json"
    code, text = run("fix", root, "--env", "staging", "--offline", "--plan", file)
    assert (code, applied) == (0, [])
    assert f"fix --plan {file}" in text.replace("\n", " ")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("fix", root, "--offline", "--plan", file, "--dry-run")[0] == 10
    with pytest.raises(UsageError, match="is a plan for staging"):
        run("fix", root, "--offline", "--plan", file, "--env", "production")
    code, text = run("fix", root, "--offline", "--plan", file)
    assert code == 1
    assert applied == [CLASSES]
    assert (root / "requirements.txt").read_text() == "fastapi\nsentry-sdk>=2.64,<3\n"
    with pytest.raises(Stale, match=r"requirements\.txt was changed") as caught:
        run("fix", root, "--offline", "--plan", file)
    assert caught.value.exit_code == 6


def test_a_plan_that_cannot_be_saved(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        run("fix", root, "--offline", "--plan", tmp_path / "no" / "plan.json")
    with pytest.raises(UsageError, match="cannot be read"):
        run("fix", root, "--offline", "--plan", tmp_path)


def test_yes_agrees_to_all_classes_and_what_stays_open_decides(
    root: Path, applied: list[Collection[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    assert run("fix", root, "--offline", "--yes", "--only", "backend-sdk-declared") == (
        0,
        "\n1 safe\nmade in run r1; take it back with: sentry-audit undo r1\n",
    )
    assert applied == [CLASSES]
    assert run("fix", root, "--offline", "--yes", "--only", "backend-init-present")[0] == 1
    assert len(applied) == 1


def test_without_yes_nothing_is_agreed_to_before(root: Path, applied: list[Collection[str]]) -> None:
    run("fix", root, "--offline", "--only", "backend-sdk-declared")
    assert applied == [()]


def test_what_is_applied_and_stays_open_is_a_failure(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repairing, "apply_agreed", lambda request, wishes, plan, options, agreed: (plan, "r1"))
    with pytest.raises(FixFailed, match=r"do not close backend-sdk-declared \(app\)") as caught:
        run("fix", root, "--offline", "--yes")
    assert (caught.value.exit_code, caught.value.hint) == (
        5,
        f"take them back with: sentry-audit undo r1 --root {root}",
    )


def test_where_nothing_is_agreed_to_nothing_is_changed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        repairing, "apply_agreed", lambda request, wishes, plan, options, agreed: (replace(plan, steps=()), "")
    )
    code, text = run("fix", root, "--offline")
    assert (code, text.splitlines()[-1]) == (1, "nothing was changed")


def test_check_can_go_on_to_fix(root: Path, applied: list[Collection[str]]) -> None:
    code, text = run("check", root, "--offline", "--select", "backend-sdk-declared,backend-init-present", "--fix")
    assert code == 1
    assert text.index("NOT READY") < text.index("Left to you")
    assert applied == [()]
    assert "sentry-sdk" in (root / "requirements.txt").read_text()
    assert run("check", root, "--offline", "--select", "backend-sdk-declared", "--fix")[0] == 0
    assert len(applied) == 1
    with pytest.raises(UsageError, match="one environment"):
        run("check", root, "--offline", "--all-envs", "--fix")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--repo", "--cloud"], "exclude each other"),
        (["--resume", "--dry-run"], "--resume goes on"),
        (["--cloud", "--offline"], "--cloud changes Google Cloud"),
        (["--offline", "--evidence", "x.json"], "exclude each other"),
    ],
)
def test_flags_that_contradict_each_other(root: Path, flags: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run("fix", root, *flags)


def test_one_environment_at_a_time(root: Path) -> None:
    with pytest.raises(UsageError, match="one environment at a time"):
        rehearsing.plan(Request(root=root, environments=("staging", "production")))


def test_nothing_to_audit(tmp_path: Path) -> None:
    with pytest.raises(NothingAudited):
        run("fix", tmp_path, "--offline", "--dry-run")


def test_check_loads_nothing_of_fix(root: Path) -> None:
    import subprocess

    code = (
        "import sys; from sentry_audit.cli import build\n"
        f"try: build(['check'])(['check', {str(root)!r}, '--offline'])\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    loaded = {name for name in done.stderr.split() if name.startswith("sentry_audit.")}
    assert "sentry_audit.app" in loaded
    parts = {name.split(".")[1] for name in loaded}
    assert not parts & {
        "planning",
        "fixing",
        "fixers",
        "steps",
        "saving",
        "rehearsing",
        "repairing",
        "parsing",
        "comparing",
    }
    assert "sentry_audit.sources.overlay" not in loaded


# --- live --------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    state = everything_right()
    with GcpServer(state) as server:
        yield World(state, server, write(tmp_path / "shop", LIVE))


def live(world: World, *flags: str) -> tuple[int, str]:
    return run("fix", world.root, "--env", "staging", "--gcp-endpoint", world.server.endpoint, "--dry-run", *flags)


def test_what_is_wrong_in_the_cloud_is_planned_with_what_was_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Case] = []

    def patch(case: Case) -> Change:
        seen.append(case)
        [target] = case.targets
        resource = f"projects/{target.project}/locations/europe-west1/services/{target.service}"
        return Change(
            summary="will patch",
            safety="live",
            operations=(Operation(does="update-service", resource=resource, summary=f"will patch {target.service}"),),
        )

    monkeypatch.setattr(rehearsing, "fixers", lambda: {"cloud-run-dsn-env": patch})
    world.deploy(world.env(SENTRY_DSN=None))
    code, text = live(world, "--only", "cloud-run-dsn-env")
    assert code == 10
    assert "Live: Google Cloud changes\n  • will patch shop-api-staging\n    closes cloud-run-dsn-env" in text
    [case] = {item.finding: item for item in seen}.values()
    assert [type(fact) for fact in case.bad] == [CloudRunEnv]
    assert case.snapshot is not None
    assert case.snapshot.project("shop-staging") is not None
    code, text = live(world, "--only", "cloud-run-dsn-env", "--repo")
    assert (code, "(--repo), which was left out" in text) == (1, True)


def test_a_deploy_that_is_due_is_no_reason_against_an_edit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The edited definition and the running service differ until the next deploy, and nothing else is to be done."""

    def label(case: Case) -> Change:
        text = case.files.text("deploy.sh") or ""
        new = text.replace("--set-env-vars X=1", '--set-env-vars "SENTRY_ENVIRONMENT=$1"')
        return Change(summary="will set it", safety="review", edits=(Edit("deploy.sh", new),))

    def never(case: Case) -> Change:
        raise AssertionError(case.finding.message)

    fixers: dict[str, Fixer] = {"deploy-environment-declared": label, "deploy-drift": never}
    monkeypatch.setattr(rehearsing, "fixers", lambda: fixers)
    script = world.root / "deploy.sh"
    script.write_text(script.read_text().replace('--set-env-vars "SENTRY_ENVIRONMENT=$1"', "--set-env-vars X=1"))
    world.deploy(world.env(SENTRY_ENVIRONMENT=None, X="1"))
    code, text = live(world)
    assert code == 10
    assert "closes deploy-environment-declared" in text
    assert "deploy-drift" not in text.partition("Not decided")[0]
