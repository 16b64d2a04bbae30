"""The audited tree with edits in memory: it answers as the written tree would, and refuses what must not be written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sentry_audit.app import Request, check
from sentry_audit.rehearsing import plan
from sentry_audit.sources.overlay import Overlay, refusal
from sentry_audit.sources.tree import Tree
from tests.test_tree import git
from tests.trees import write

SHOP = Path(__file__).parent.parent / "examples" / "shop"
FILES = {
    ".gitignore": "*.log\nlocal/\n",
    "a.py": "import sentry_sdk\n",
    "b.py": "nothing\n",
    "c.txt": "sentry_sdk\n",
    "d/e.py": "x = sentry_sdk.init\n",
    "seen.log": "",
}


@pytest.fixture(params=["git", "plain"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    if request.param == "git":
        git(folder, "init", "-q")
    return write(folder, FILES)


def test_edited_texts_are_read_searched_and_listed(root: Path) -> None:
    tree = Tree.open(root)
    assert tree.search(["sentry_sdk"]) == ["a.py", "c.txt", "d/e.py"]
    edited = Overlay(tree, {"a.py": "print()\n", "b.py": "sentry_sdk\n", "new/f.py": "sentry_sdk\n", "d/e.py": None})
    assert set(edited.paths) == (set(tree.paths) - {"d/e.py"}) | {"new/f.py"}
    assert edited.paths.has_folder("new")
    assert not edited.paths.has_folder("d")
    assert [edited.text(path) for path in ("a.py", "c.txt", "d/e.py")] == ["print()\n", "sentry_sdk\n", None]
    edited.prefetch(["sentry_sdk"], ".py")
    assert edited.search(["sentry_sdk"]) == ["b.py", "c.txt", "new/f.py"]
    assert edited.search(["sentry_sdk"], ".py") == ["b.py", "new/f.py"]
    assert edited.among(["new/f.py", "a.py", "c.txt", "b.py"], ["sentry_sdk"]) == ["new/f.py", "c.txt", "b.py"]
    assert tree.search(["sentry_sdk"]) == ["a.py", "c.txt", "d/e.py"]


def test_it_answers_as_the_written_tree_does(root: Path) -> None:
    edits = {"b.py": "sentry_sdk\n", "new/f.py": "sentry_sdk nothing\n", "a.py": None}
    edited = Overlay(Tree.open(root), edits)
    told = (set(edited.paths), edited.search(["sentry_sdk"]), edited.search(["nothing"], ".py"), edited.text("b.py"))
    (root / "a.py").unlink()
    write(root, {path: text for path, text in edits.items() if text is not None})
    tree = Tree.open(root)
    assert told == (set(tree.paths), tree.search(["sentry_sdk"]), tree.search(["nothing"], ".py"), tree.text("b.py"))


def test_what_could_not_be_read_is_no_problem_once_it_is_removed(root: Path) -> None:
    (root / ".env.staging").write_bytes(b"A\0B")
    tree = Tree.open(root)
    tree.probe([".env.staging"])
    assert [item.evidence.path for item in tree.problems] == [".env.staging"]
    with pytest.raises(ValueError, match="not a text file"):
        Overlay(tree, {".env.staging": None})
    assert [item.evidence.path for item in Overlay(tree, {"b.py": ""}).problems] == [".env.staging"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "not a path"),
        ("/etc/passwd", "not a path"),
        ("../a.py", "not a path"),
        ("d/../a.py", "not a path"),
        ("./a.py", "not a path"),
        ("a\0.py", "not a path"),
        ("d\\a.py", "not a path"),
        ("link.py", "symbolic link"),
        ("folder/e.py", "symbolic link"),
        ("away/new.py", "symbolic link"),
        ("picture.png", "not a text file"),
        ("a.py/b.py", "a file, not a folder"),
        (".git/config.new", "not audited"),
        ("node_modules/a.js", "not audited"),
        ("left/out.py", "not audited"),
        ("seen.log", "there already"),
    ],
)
def test_what_must_not_be_edited(root: Path, tmp_path: Path, path: str, reason: str) -> None:
    (root / "link.py").symlink_to("a.py")
    (root / "folder").symlink_to("d")
    (root / "away").symlink_to(tmp_path)
    (root / "picture.png").write_bytes(b"\x89PNG\0\0")
    tree = Tree.open(root)
    tree.leave_out(["left/"])
    assert reason in refusal(tree, path, "x = 1\n")
    with pytest.raises(ValueError, match=reason):
        Overlay(tree, {path: "x = 1\n"})
    assert not refusal(tree, "a.py", "x = 1\n")
    assert not refusal(tree, "new/g.py", "x = 1\n")


def test_new_files_that_would_not_be_listed_are_refused(root: Path) -> None:
    write(root, {"d/.gitignore": "made.py\n"})
    tree = Tree.open(root)
    for path in ("other.log", "local/a.py", "d/made.py"):
        assert "ignored" in refusal(tree, path, "")
        write(root, {path: ""})
        assert path not in Tree.open(root).paths
    assert not refusal(tree, "d/other.py", "")
    assert "not a file of the audited tree" in refusal(tree, "gone.py", None)


def test_other_repositories_are_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write(tmp_path, {"a.py": "", "inner/x.py": ""})
    git(tmp_path / "inner", "init", "-q")
    git(tmp_path / "inner", "add", ".")
    git(tmp_path / "inner", "commit", "-qm", "x")
    assert "another repository" in refusal(Tree.open(tmp_path), "inner/new.py", "")


@pytest.mark.parametrize("after", ["a\0b", "\ud800"])
def test_texts_that_cannot_be_written_are_refused(root: Path, after: str) -> None:
    assert "could not be written" in refusal(Tree.open(root), "a.py", after)


def test_a_text_that_was_not_read_without_loss_is_refused(root: Path) -> None:
    (root / "c.txt").write_bytes(b"\xff\xfea\0\xd8")
    assert "without loss" in refusal(Tree.open(root), "c.txt", "x")


def test_an_audit_of_the_edited_tree_is_that_of_the_written_one(tmp_path: Path) -> None:
    root = Path(shutil.copytree(SHOP, tmp_path / "shop"))
    request = Request(root=root, environments=("staging",))
    found = plan(request)
    for change in (item for step in found.plan.steps for item in step.files):
        if change.after is None:
            (root / change.path).unlink()
        else:
            (root / change.path).parent.mkdir(parents=True, exist_ok=True)
            (root / change.path).write_text(change.after, encoding="utf-8", newline="")
    assert check(request) == [found.after]
    if not found.plan.steps:
        assert found.after == found.before
