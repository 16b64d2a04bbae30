"""What the command line says of a run that was ended in the middle, and what ``undo`` asks before it does anything."""

from __future__ import annotations

import os
import signal
import warnings
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from sentry_audit import cli
from sentry_audit.applying import apply, consent, known_runs, unfinished
from sentry_audit.errors import AuditError, UsageError
from tests.clouds import FileCloud
from tests.plans import DSN, LIVE, plan, snapshot, step
from tests.test_consent import Person
from tests.trees import FASTAPI, IMAGE, write

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"main.py": FASTAPI, "requirements.txt": "fastapi\n", "Dockerfile": IMAGE}
EDITS = (
    step(
        ("requirements.txt", "fastapi\n", "fastapi\nsentry-sdk>=2.64,<3\n"), summary="will add sentry-sdk; will pin it"
    ),
    step(("new.txt", None, "new\n"), summary="will add new.txt"),
)
YES = ("--yes", "--offline")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = write(tmp_path / "repo", FILES)
    monkeypatch.chdir(made)
    return made


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """The exit code, what was printed, and what was said beside it; an error of the user's is raised."""
    done = CliRunner().invoke(cli.build(), [*map(str, arguments)], env={"COLUMNS": "80"})
    if isinstance(done.exception, AuditError):
        raise done.exception
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def applied(root: Path, environment: str = "staging", live: bool = False) -> str:
    """The name of a run that was applied."""
    wanted = plan(*EDITS, *(LIVE if live else ()), environment=environment)
    cloud = FileCloud(root.parent / "cloud.json")
    return apply(root, wanted, cloud=cloud, dsn=lambda: DSN, allow_dirty=True, reporter=lambda _: None).run


def killed(root: Path, environment: str = "staging", live: bool = False) -> str:
    """The name of a run that is killed when its second change has been begun."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        [left] = known_runs(root)
        return left.name
    try:
        names = iter(range(9))

        def say(_: str) -> None:
            if next(names) == 1:
                os.kill(os.getpid(), signal.SIGKILL)

        wanted = plan(*EDITS, *(LIVE if live else ()), environment=environment)
        cloud = FileCloud(root.parent / "cloud.json")
        apply(root, wanted, cloud=cloud, dsn=lambda: DSN, allow_dirty=True, reporter=say)
    finally:
        os._exit(1)


def person(monkeypatch: pytest.MonkeyPatch, *answers: str) -> Person:
    """Somebody sits at the terminal."""
    somebody = Person(*answers)
    monkeypatch.setattr(consent, "terminal", lambda: somebody.terminal)
    return somebody


# --- a run that was ended in the middle --------------------------------------------------------------


def told(name: str) -> str:
    return f"run {name} (staging) was ended in the middle:\n  1 of 2 changes were begun"


WAYS = "go on with it: sentry-audit fix --resume\n  or take it back: sentry-audit undo"


def test_fix_refuses_to_begin_and_says_how_to_end_it(root: Path) -> None:
    name = killed(root)
    before = snapshot(root)
    with pytest.raises(UsageError) as caught:
        run("fix", "--env", "staging", "--offline")
    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == (told(name), WAYS, 2)
    with pytest.raises(UsageError):
        run("fix", "--env", "staging", "--cloud", "--yes")
    assert snapshot(root) == before


def test_the_ways_on_can_be_pasted_from_elsewhere(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(root)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        run("fix", "repo", "--offline")
    assert "sentry-audit fix repo --resume" in caught.value.hint
    assert "sentry-audit undo --root repo" in caught.value.hint
    assert run("undo", "--root", "repo", "--yes")[0] == 0


def test_what_only_looks_is_told_of_it(root: Path, tmp_path: Path) -> None:
    name = killed(root)
    note = f"note: {told(name)}\n  {WAYS}\n"
    assert run("check", "--env", "staging", "--offline")[2].endswith(note)
    code, _, said = run("fix", "--env", "staging", "--offline", "--dry-run")
    assert (code, said) == (10, note)
    assert run("fix", "--env", "staging", "--offline", "--plan", tmp_path / "plan.json")[2] == note
    assert run("undo", "--list")[1].splitlines()[0] == (
        f"{name}  staging  ended in the middle: sentry-audit fix --resume, or undo"
    )
    assert unfinished(root) is not None


def test_check_says_nothing_of_runs_that_were_ended(root: Path) -> None:
    applied(root)
    assert run("check", "--env", "staging", "--offline")[2] == ""


@pytest.mark.parametrize("flags", [("--resume",), ("--yes",)])
def test_it_is_gone_on_with(root: Path, flags: tuple[str, ...]) -> None:
    name = killed(root)
    code, out, said = run("fix", "--env", "staging", "--offline", *flags)
    assert code == 1  # the init is still to be written
    assert said.splitlines()[-1] == "will add new.txt"
    assert f"run {name} is applied" in out
    assert f"take it back with:\n  sentry-audit undo {name}" in out
    assert (root / "new.txt").read_text() == "new\n"
    assert (root / "requirements.txt").read_text().count("sentry-sdk") == 1
    assert [item.state for item in known_runs(root)] == ["applied"]


def test_somebody_is_asked_whether_to_go_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = killed(root)
    nobody = person(monkeypatch, "n")
    with pytest.raises(UsageError, match="ended in the middle"):
        run("fix", "--env", "staging", "--offline")
    assert nobody.heard == [told(name), "Go on with it now? [y/N] "]
    person(monkeypatch, "y")
    assert f"run {name} is applied" in run("fix", "--env", "staging", "--offline")[1]
    assert (root / "new.txt").is_file()


def test_production_is_gone_on_with_by_its_project(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(root, "production", live=True)
    with pytest.raises(UsageError, match="only if its id is given") as caught:
        run("fix", *YES)
    assert caught.value.hint == "--confirm-project shop-staging"
    somebody = person(monkeypatch, "y", "shop-production")
    with pytest.raises(UsageError, match="ended in the middle"):
        run("fix", "--offline")
    assert "Type the project id (shop-staging)" in somebody.heard[-1]


def test_half_a_run_is_undone(root: Path) -> None:
    before = dict(FILES)
    name = killed(root)
    code, out, said = run("undo", "--yes")
    assert (code, out) == (0, f"run {name}:\n  restored requirements.txt\n")
    assert said == f"Run {name} (staging) did:\n  • add sentry-sdk; pin it\n"
    assert {path.name for path in root.iterdir()} == {*before, ".sentry-audit"}
    assert (root / "requirements.txt").read_text() == "fastapi\n"


# --- undo asks ---------------------------------------------------------------------------------------


def test_undo_shows_what_it_takes_back_and_asks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = applied(root)
    after = snapshot(root)
    with pytest.raises(UsageError, match="nobody to ask") as caught:
        run("undo")
    assert "--yes" in caught.value.hint
    somebody = person(monkeypatch, "")
    assert run("undo")[:2] == (1, "nothing was changed\n")
    shown = f"Run {name} (staging) did:\n  • add new.txt\n  • add sentry-sdk; pin it\n"
    assert somebody.heard == [shown, "Take this back? [y/N] "]
    assert snapshot(root) == after
    person(monkeypatch, "y")
    assert run("undo")[:2] == (0, f"run {name}:\n  removed new.txt\n  restored requirements.txt\n")


def test_undo_in_production_asks_for_the_project(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    applied(root, "production", live=True)
    after = snapshot(root)
    with pytest.raises(UsageError, match="production in the project shop-staging") as caught:
        run("undo", "--yes")
    assert caught.value.hint == "--confirm-project shop-staging"
    for answers in (("y", "y"), ("y", ""), ("n",)):
        somebody = person(monkeypatch, *answers)
        assert run("undo")[:2] == (1, "nothing was changed\n")
    assert "Type the project id" not in somebody.heard[-1]
    assert snapshot(root) == after
    assert [item.state for item in known_runs(root)] == ["applied"]
    person(monkeypatch, "y", "shop-staging")
    monkeypatch.setattr("sentry_audit.flags.changer", lambda _: FileCloud(root.parent / "cloud.json"))
    assert run("undo")[0] == 0
    assert (root / "requirements.txt").read_text() == "fastapi\n"


@pytest.mark.parametrize("confirmed", ["shop-staging", "another,shop-staging"])
def test_a_machine_undoes_production_by_its_flags(root: Path, monkeypatch: pytest.MonkeyPatch, confirmed: str) -> None:
    applied(root, "production", live=True)
    monkeypatch.setattr("sentry_audit.flags.changer", lambda _: FileCloud(root.parent / "cloud.json"))
    assert run("undo", "--yes", "--confirm-project", confirmed)[0] == 0


def test_files_of_production_need_no_project(root: Path) -> None:
    applied(root, "production")
    assert run("undo", "--yes")[0] == 0
