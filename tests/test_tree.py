"""The audited tree, with git and without, and every kind of file that can lie in one."""

from __future__ import annotations

import os
import pathlib
import subprocess
from typing import TYPE_CHECKING

import pytest

from sentry_audit.app import Request, check
from sentry_audit.errors import NothingAudited
from sentry_audit.sources import ahead
from sentry_audit.sources.tree import Tree
from tests.trees import FASTAPI, SDK, audit, message, statuses, write

if TYPE_CHECKING:
    from pathlib import Path

INIT = "import sentry_sdk\nsentry_sdk.init()\n"


def git(root: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "protocol.file.allow=always", *arguments],
        cwd=root,
        check=True,
        capture_output=True,
    )


@pytest.fixture(params=["git", "plain"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    if request.param == "git":
        git(folder, "init", "-q")
    return folder


def test_ignored_files_are_left_out_and_dotenv_files_are_not(root: Path) -> None:
    write(
        root,
        {
            ".gitignore": "build/\n.env*\n*.log\n",
            "a.py": "",
            "build/b.py": "",
            "x.log": "",
            ".env.staging": "A=1\n",
            "sub/.env": "B=1\n",
        },
    )
    tree = Tree.open(root)
    assert set(tree.paths) == {".gitignore", "a.py", ".env.staging", "sub/.env"}


def test_searching(root: Path) -> None:
    write(root, {"a.py": "sentry_sdk", "b.py": "nothing", "c.txt": "sentry_sdk", "d/e.py": "x sentry_sdk.init"})
    if (root / ".git").exists():
        git(root, "add", "a.py", "b.py")
    tree = Tree.open(root)
    assert tree.search(["sentry_sdk"], ".py") == ["a.py", "d/e.py"]
    assert tree.search(["sentry_sdk.init", "nothing"], ".py") == ["b.py", "d/e.py"]
    assert tree.search(["sentry_sdk"]) == ["a.py", "c.txt", "d/e.py"]


def test_a_later_search_looks_only_into_the_hits_of_a_wider_one(root: Path) -> None:
    write(root, {"a.py": "sentry_sdk", "b.py": "sentry", "c.py": "SENTRY_DSN", "d.py": "none"})
    tree = Tree.open(root)
    assert tree.search(["sentry_sdk"], ".py") == ["a.py"]
    assert tree.search(["SENTRY_DSN", "sentry_sdk"], ".py") == ["a.py", "c.py"]


def test_a_file_that_git_tracks_though_it_is_ignored(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "sentry_sdk", ".gitignore": "a.py\n"})
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-f", "a.py")
    tree = Tree.open(tmp_path)
    assert "a.py" in tree.paths
    assert tree.search(["sentry_sdk"], ".py") == ["a.py"]


def test_exclusion(root: Path) -> None:
    write(root, {"a.py": "", "legacy/b.py": "", "c_generated.py": ""})
    tree = Tree.open(root)
    tree.leave_out(["legacy/", "*_generated.py"])
    assert set(tree.paths) == {"a.py"}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbfA = 1\n", "A = 1\n"),
        ("# -*- coding: latin-1 -*-\nA = 'é'\n".encode("latin-1"), "# -*- coding: latin-1 -*-\nA = 'é'\n"),
        ("A = 'é'\n".encode("latin-1"), "A = 'é'\n"),
        ("A = 'é'\n".encode("utf-16"), "A = 'é'\n"),
    ],
    ids=["bom", "declared-latin-1", "latin-1", "utf-16"],
)
def test_encodings(root: Path, data: bytes, text: str) -> None:
    (root / "a.py").write_bytes(data)
    assert Tree.open(root).text("a.py") == text


def test_files_that_are_no_text_are_problems(root: Path) -> None:
    (root / "a.py").write_bytes(b"A = 1\0\n")
    (root / "b.py").write_bytes(b"x = 1\n" * 500_000)
    tree = Tree.open(root)
    assert tree.text("a.py") is None
    assert tree.text("b.py") is None
    assert [problem.evidence.path for problem in tree.problems] == ["a.py", "b.py"]
    assert all(problem.hint for problem in tree.problems)


def test_a_file_of_fifty_megabytes(root: Path) -> None:
    write(root, {"requirements.txt": SDK, "main.py": INIT + FASTAPI})
    with (root / "data.py").open("wb") as file:
        file.truncate(50 << 20)
    [report] = check(Request(root=root, environments=("staging",)))
    assert statuses(report, "backend-init-present") == {"pass"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_a_problem(root: Path) -> None:
    write(root, {"a.py": "sentry_sdk"})
    (root / "a.py").chmod(0)
    tree = Tree.open(root)
    assert tree.text("a.py") is None
    assert tree.problems


def test_links_that_go_in_circles_or_out(root: Path, tmp_path: Path) -> None:
    write(root, {"requirements.txt": SDK, "main.py": INIT + FASTAPI})
    (tmp_path / "secret.txt").write_text("sentry-sdk")
    (root / "loop").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    (root / "out.py").symlink_to(tmp_path / "secret.txt")
    (root / "dangling.py").symlink_to(root / "nothing")
    [report] = check(Request(root=root, environments=("staging",)))
    assert statuses(report, "backend-init-present") == {"pass"}
    assert Tree.open(root).text("out.py") is None


def test_a_submodule_is_named_and_not_audited(tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    for folder in (inner, outer):
        folder.mkdir()
        git(folder, "init", "-q")
    write(inner, {"main.py": INIT + FASTAPI})
    git(inner, "add", "-A")
    git(inner, "commit", "-qm", "x")
    git(outer, "submodule", "add", "-q", str(inner), "lib")
    write(outer, {"requirements.txt": SDK, "main.py": FASTAPI})
    [report] = check(Request(root=outer, environments=("staging",)))
    assert [item.entry_point for item in report.components] == ["main.py"]
    assert any("lib" in note for note in report.notes)


def test_a_repository_cannot_make_git_run_its_programs(tmp_path: Path) -> None:
    write(
        tmp_path, {"requirements.txt": SDK, "main.py": INIT + FASTAPI, ".gitattributes": "*.py filter=evil diff=evil\n"}
    )
    git(tmp_path, "init", "-q")
    script = tmp_path.parent / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path.parent}/ran\ncat\n")
    script.chmod(0o755)
    for key in ("core.fsmonitor", "diff.evil.textconv", "filter.evil.clean", "core.pager", "core.editor"):
        git(tmp_path, "config", key, str(script))
    [report] = check(Request(root=tmp_path, environments=("staging",)))
    assert statuses(report, "backend-init-present") == {"pass"}
    assert not (tmp_path.parent / "ran").exists()


def test_a_checkout_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {".gitignore": "x.py\n", "x.py": INIT, "requirements.txt": SDK, "main.py": FASTAPI})
    git(tmp_path, "init", "-q")
    monkeypatch.setenv("PATH", "/nowhere")
    [report] = check(Request(root=tmp_path, environments=("staging",)))
    assert statuses(report, "backend-init-present") == {"gap"}


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NothingAudited, match="is empty"):
        check(Request(root=tmp_path))
    with pytest.raises(NothingAudited, match="no such folder"):
        check(Request(root=tmp_path / "no"))
    write(tmp_path, {"README.md": "x"})
    with pytest.raises(NothingAudited, match="no Python file"):
        check(Request(root=tmp_path))
    write(tmp_path, {"lib.py": "x = 1\n"})
    with pytest.raises(NothingAudited, match="no deployable"):
        check(Request(root=tmp_path))


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("pyproject.toml", "[project\n", "pyproject.toml:1"),
        ("requirements.txt", "fastapi\n!!! broken\n", "requirements.txt:2"),
    ],
)
def test_a_broken_manifest_makes_the_sdk_unknown(tmp_path: Path, name: str, text: str, place: str) -> None:
    report = audit(tmp_path, {name: text, "main.py": INIT + FASTAPI})
    assert statuses(report, "backend-sdk-declared") == {"unknown"}
    assert place in message(report, "backend-sdk-declared")
    assert statuses(report, "backend-init-present") == {"pass"}


def test_broken_yaml_does_not_end_the_audit(tmp_path: Path) -> None:
    report = audit(tmp_path, {"requirements.txt": SDK, "main.py": INIT + FASTAPI, "docker-compose.yml": "a: [\n"})
    assert statuses(report, "backend-init-present") == {"pass"}
    assert [str(problem.evidence) for problem in report.problems] == ["docker-compose.yml:2"]


def test_a_name_that_is_not_utf_8(root: Path) -> None:
    write(root, {"requirements.txt": SDK, "main.py": INIT + FASTAPI})
    with open(os.fsencode(root) + b"/caf\xe9.py", "w", encoding="utf-8") as file:  # noqa: PTH123 - a name of bytes
        file.write("sentry_sdk\n")
    [report] = check(Request(root=root, environments=("staging",)))
    assert statuses(report, "backend-init-present") == {"pass"}


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ([], "."),
        (["--env", "staging"], "."),
        (["--env", "staging", "api"], "api"),
        (["api", "--env", "staging"], "api"),
        (["--offline", "api"], "api"),
        (["--env=staging", "api"], "api"),
    ],
)
def test_the_head_start_guesses_the_folder(arguments: list[str], folder: str) -> None:
    assert ahead.guess(arguments) == folder


def test_a_wrong_guess_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q")
    write(tmp_path / "staging", {"main.py": INIT})
    write(tmp_path / "app", {"requirements.txt": SDK, "main.py": INIT + FASTAPI})
    monkeypatch.chdir(tmp_path)
    ahead.begin(["-X", "staging"])
    ahead.begin(["staging"])
    [report] = check(Request(root=tmp_path / "app", environments=("staging",)))
    assert [item.entry_point for item in report.components] == ["main.py"]
    ahead.begin(["app"])
    [report] = check(Request(root=pathlib.Path("app"), environments=("staging",)))
    assert report.root == "app"
