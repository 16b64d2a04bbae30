"""Where a run takes place: the paths that readers of a report can open, whatever folder was audited from where."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sentry_audit import plugins
from sentry_audit.surroundings import surroundings
from tests.test_cli import run
from tests.trees import write

LITTLE = {
    "api/requirements.txt": "flask\n",
    "api/Dockerfile": 'FROM python\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["gunicorn", "main:app"]\n',
    "api/main.py": "from flask import Flask\napp = Flask(__name__)\n",
}


@pytest.mark.parametrize("git", ["folder", "file"])
def test_paths_begin_at_the_top_of_the_work_tree(git: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = tmp_path / "examples/my shop"
    shop.mkdir(parents=True)
    if git == "folder":
        (tmp_path / ".git").mkdir()
    else:
        (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    for here, root in ((tmp_path, shop), (shop, Path()), (Path("/"), shop)):
        monkeypatch.chdir(here)
        found = surroundings(root)
        assert found.prefix == "examples/my shop"
        assert found.checkout == tmp_path.resolve().as_uri() + "/"
    assert surroundings(tmp_path).prefix == ""


def test_a_work_tree_in_another_is_the_one_that_counts(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub/.git").mkdir(parents=True)
    (tmp_path / "sub/api").mkdir()
    assert surroundings(tmp_path / "sub/api").prefix == "api"


def test_without_git_paths_begin_at_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    assert surroundings(Path("b")).prefix == "b"
    assert surroundings(Path("b")).directory == (tmp_path / "a").as_uri() + "/"
    assert surroundings(Path("../c")).prefix == ""
    assert surroundings(Path("../c")).checkout == (tmp_path / "c").as_uri() + "/"


def test_every_format_for_a_forge_names_paths_of_the_checkout(tmp_path: Path) -> None:
    write(tmp_path, {f"apps/shop/{path}": text for path, text in LITTLE.items()})
    (tmp_path / ".git").mkdir()
    formats = ("sarif", "junit", "markdown", "github")
    files = {name: tmp_path / f"r.{name}" for name in formats}
    asked = [word for name in formats for word in ("--format", f"{name}={files[name]}")]
    done = run("check", ".", "--offline", *asked, cwd=tmp_path / "apps/shop")
    assert done.returncode == 1
    [audited] = json.loads(files["sarif"].read_text("utf-8"))["runs"]
    uris = {
        place["physicalLocation"]["artifactLocation"]["uri"]
        for item in audited["results"]
        for place in item["locations"]
    }
    assert uris
    assert all(uri.startswith("apps/shop/api/") for uri in uris)
    failures = [item.text or "" for item in ET.parse(files["junit"]).iter("failure")]
    assert any("apps/shop/api/requirements.txt" in text for text in failures)
    assert "`apps/shop/api/requirements.txt" in files["markdown"].read_text("utf-8")
    assert "file=apps/shop/api/requirements.txt" in files["github"].read_text("utf-8")


@pytest.mark.parametrize("name", plugins.names("sentry_audit.reporters"))
def test_the_exit_code_is_the_same_in_every_format_and_files_are_written(name: str, tmp_path: Path) -> None:
    write(tmp_path, LITTLE)
    file = tmp_path / "report"
    done = run("check", tmp_path, "--offline", "--format", f"{name}={file}")
    assert (done.returncode, done.stdout) == (1, "")
    assert file.read_text("utf-8").endswith("\n")


def test_help_names_every_format() -> None:
    words = " ".join(run("check", "--help").stdout.split())
    assert ", ".join(plugins.names("sentry_audit.reporters")) in words
