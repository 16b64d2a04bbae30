"""The project's own formatters: which one a file has, where its program is, and what of a file it may touch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sentry_audit.app import Request
from sentry_audit.formatting import Formatters
from sentry_audit.formatting.changed import changed, keeps
from sentry_audit.formatting.choosing import Choice, Choosing
from sentry_audit.formatting.programs import Programs
from sentry_audit.formatting.tools import TOOLS
from sentry_audit.rehearsing import plan
from sentry_audit.sources.tree import Tree
from tests.plans import snapshot
from tests.trees import Texts, write

RUFF = "[tool.ruff]\nline-length = 60\n"
FORMAT = "[tool.ruff.format]\nquote-style = 'single'\n"
BLACK = "[tool.black]\nline-length = 60\n"
HOOK = "repos:\n- repo: x\n  hooks:\n  - id: {}\n"


def chosen(files: dict[str, str], path: str = "api/main.py") -> list[Choice]:
    return Choosing(Texts({path: "", **files})).choices(path)


@pytest.mark.parametrize(
    ("files", "tools"),
    [
        ({}, []),
        ({"pyproject.toml": RUFF}, []),  # it may be the linter alone
        ({"pyproject.toml": RUFF + FORMAT}, [("ruff", "")]),
        ({"api/ruff.toml": "[format]\n"}, [("ruff", "api")]),
        ({"api/ruff.toml": ""}, []),
        ({"api/ruff.toml": "", ".pre-commit-config.yaml": HOOK.format("ruff-format")}, [("ruff", "api")]),
        ({".pre-commit-config.yaml": HOOK.format("ruff-format")}, [("ruff", "")]),
        ({"pyproject.toml": RUFF, "Makefile": "lint:\n\truff format --check .\n"}, [("ruff", "")]),
        ({"pyproject.toml": RUFF, "README.md": "Run ruff format.\n", "x.sh": "# ruff format .\n"}, []),
        ({".github/workflows/ci.yml": "steps:\n- run: uvx ruff format --diff\n"}, [("ruff", "")]),
        ({"pyproject.toml": BLACK}, [("black", "")]),
        ({"pyproject.toml": "a = = 1\n"}, []),
        ({".pre-commit-config.yaml": HOOK.format("black")}, [("black", "")]),
        ({".pre-commit-config.yaml": HOOK.format("blacken-docs")}, []),
        ({"tox.ini": "commands = black --check src\n"}, [("black", "")]),
        ({"requirements-dev.txt": "black ==24.1\n", "api/colors.py": "black / white\n"}, []),
        ({"pyproject.toml": BLACK + FORMAT}, [("ruff", ""), ("black", "")]),
        ({"pyproject.toml": BLACK + FORMAT, "Makefile": "f:\n\tblack .\n"}, [("black", ""), ("ruff", "")]),
    ],
)  # fmt: skip
def test_which_formatter_python_has(files: dict[str, str], tools: list[tuple[str, str]]) -> None:
    assert [(item.tool, item.folder) for item in chosen(files)] == tools


@pytest.mark.parametrize(
    ("files", "tools"),
    [
        ({}, []),
        ({"package.json": '{"devDependencies": {"prettier": "3"}}'}, []),
        ({"web/package.json": '{"prettier": {"semi": false}}'}, [("prettier", "web", "")]),
        ({"package.json": '{"prettier": "@acme/prettier"}'}, [("prettier", "", "its settings are the package @acme/prettier")]),
        ({"package.json": "{", ".prettierrc": "semi: false\n"}, [("prettier", "", "")]),
        ({"web/.prettierrc": "{}", ".prettierrc": "{}"}, [("prettier", "web", "")]),
        ({".prettierrc.toml": "plugins = ['x']\n"}, [("prettier", "", ".prettierrc.toml names plugins")]),
        ({".prettierrc": "parser: ./mine.js\n"}, [("prettier", "", ".prettierrc names plugins")]),
        ({"web/prettier.config.mjs": "export default {};"}, [("prettier", "web", "web/prettier.config.mjs is code")]),
        ({"web/.prettierrc": "{}", "web/.prettierrc.cjs": ""}, [("prettier", "web", "web/.prettierrc.cjs is code")]),
        ({"biome.jsonc": "{}"}, [("biome", "", "")]),
        ({"biome.json": "{}", "web/.prettierrc": "{}"}, [("prettier", "web", ""), ("biome", "", "")]),
    ],
)  # fmt: skip
def test_which_formatter_a_front_end_has(files: dict[str, str], tools: list[tuple[str, str, str]]) -> None:
    found = chosen(files, "web/src/main.tsx")
    assert [(item.tool, item.folder) for item in found] == [(name, folder) for name, folder, _ in tools]
    assert all(
        item.left.startswith(why) and bool(item.left) == bool(why)
        for item, (_, _, why) in zip(found, tools, strict=True)
    )
    assert not chosen(files, "web/.env")


def test_a_person_runs_it_where_it_is_installed() -> None:
    files = {".prettierrc": "{}", "ui/package.json": '{"devDependencies": {"prettier": "3"}}', "ui/src/a.ts": ""}
    [found] = chosen(files, "ui/src/a.ts")
    assert (found.folder, found.home) == ("", "ui")
    [found] = chosen({"web/.prettierrc": "{}", "package.json": "{}"}, "web/a.ts")
    assert found.home == "web"


# --- where it is ------------------------------------------------------------------------------------


def program(path: Path, text: str = "#!/bin/sh\ncat\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-c", "user.email=a@b.c", "-c", "user.name=x", *words], cwd=root, check=True)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A checkout, where PATH holds nothing but git, and nothing is beside our Python."""
    there = tmp_path / "bin"
    there.mkdir()
    (there / "git").symlink_to(shutil.which("git") or "")
    monkeypatch.setenv("PATH", str(there))
    monkeypatch.setattr(sys, "executable", str(there / "python"))
    root = tmp_path / "root"
    root.mkdir()
    git(root, "init", "-q")
    return root


def black(root: Path, folder: str = "") -> str:
    return Programs(str(root)).find(TOOLS["black"], folder)


def test_the_projects_own_program_goes_first(bare: Path) -> None:
    assert black(bare) == ""
    on_path = program(bare.parent / "bin/black")
    assert black(bare) == str(on_path)
    own = program(bare / "api/.venv/bin/black")
    assert black(bare) == str(on_path)
    assert black(bare, "api") == black(bare, "api/src") == str(own)
    top = program(bare / "node_modules/.bin/prettier")
    assert Programs(str(bare)).find(TOOLS["prettier"], "web/app") == str(top)


def test_a_program_that_is_part_of_the_repository_is_not_run(bare: Path) -> None:
    program(bare / "tools/bin/black")
    (bare / ".venv").symlink_to("tools")
    assert black(bare) == ""
    (bare / ".venv").unlink()
    (bare / "tools").rename(bare / ".venv")
    assert black(bare) == str(bare / ".venv/bin/black")
    git(bare, "add", "-f", ".venv")
    assert black(bare) == ""


def test_outside_git_nobody_knows_what_belongs_to_the_repository(bare: Path) -> None:
    program(bare / ".venv/bin/black")
    shutil.rmtree(bare / ".git")
    assert Programs(str(bare)).find(TOOLS["black"], "") == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("#!/bin/sh\necho 'error: no such option' >&2\nexit 2\n", "ruff failed: error: no such option"),
        ("#!/bin/sh\nexit 3\n", "ruff failed: it ended with 3"),
        ("#!/nonexistent/python\n", "ruff failed: [Errno 2]"),
        ("#!/bin/sh\nsleep 20\n", "ruff failed: it gave no answer in "),
    ],
)
def test_a_formatter_that_fails_leaves_the_text_and_is_told(
    bare: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str
) -> None:
    monkeypatch.setattr("sentry_audit.formatting.programs.TIMEOUT", 0.3)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/bin:/usr/bin")
    program(bare.parent / "bin/ruff", text)
    write(bare, {"pyproject.toml": FORMAT})
    found = Formatters(Tree.open(bare)).format("m.py", None, "a = 1\n")
    assert found.text == "a = 1\n"
    assert found.why.startswith(complaint)
    assert found.command == "ruff format"


# --- what it may touch --------------------------------------------------------------------------------


def test_lines_that_a_fix_changed() -> None:
    before = "a\nb\nc\nd\n"
    assert changed(before, "a\nx\ny\nc\nd\nz\n") == [(2, 3), (6, 6)]
    assert changed(before, "a\nd\n") == []
    assert keeps(before, "a\nx y\nc\nd\n", "a\nx\ny\nc\nd\n")
    assert not keeps(before, "a\nx y\nc\nd\n", "a\nx\ny\nC\nd\n")


CLEAN = "import os\n\nf(first, second)\nnames = ['a', 'b']\n"
AS_BLACK = CLEAN.replace("'", '"')


@pytest.mark.parametrize(
    ("tool", "settings", "clean"),
    [("ruff", f"{RUFF}{FORMAT}", CLEAN), ("black", BLACK, AS_BLACK)],
)
def test_python_is_formatted_as_far_as_a_fix_may(tmp_path: Path, tool: str, settings: str, clean: str) -> None:
    if not Programs(str(tmp_path)).find(TOOLS[tool], ""):
        pytest.skip(f"{tool} is not installed")
    write(tmp_path, {"pyproject.toml": settings})
    form = Formatters(Tree.open(tmp_path)).format
    long = 'f(first, second, third=[one, two, three], fourth="fourth", fifth="")\n'
    broken_up = '    fourth="fourth",\n' if tool == "black" else "    fourth='fourth',\n"
    found = form("m.py", clean, clean.replace("f(first, second)\n", long))
    assert found.why == ""
    assert broken_up in found.text

    # A file that was not formatted keeps its own lines: only the changed ones are.
    odd = clean + "x  =  {'a':1}\n"
    found = form("m.py", odd, odd.replace("f(first, second)\n", long))
    assert broken_up in found.text
    assert found.text.endswith("x  =  {'a':1}\n")

    # What was laid out by hand around the change stays.
    by_hand = odd + "g(a ,\n  b)\n"
    assert form("m.py", by_hand, by_hand.replace("  b)", "  b, c)")).text == by_hand.replace("  b)", "  b, c)")

    assert form("new.py", None, "a  = 1\n").text == "a = 1\n"
    assert form("m.py", clean, "a = (\n").why.startswith(f"{tool} failed: ")
    assert form("m.txt", clean, "a  =1").text == "a  =1"
    crlf = clean.replace("\n", "\r\n")
    assert "\n" not in form(
        "m.py", crlf, crlf.replace("f(first, second)\r\n", long.replace("\n", "\r\n"))
    ).text.replace("\r\n", "")


def test_the_file_itself_tells_which_of_two_formatters_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"pyproject.toml": BLACK + FORMAT})
    program(tmp_path / "bin/black", "#!/bin/sh\ntr q b\n")
    program(tmp_path / "bin/ruff", "#!/bin/sh\ntr q r\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(Programs, "_ours", lambda self, program: True)
    form = Formatters(Tree.open(tmp_path)).format
    assert form("m.py", "a\n", "q\n").text == "r\n"
    program(tmp_path / "bin/ruff", "#!/bin/sh\ntr a r\n")
    assert form("m.py", "a\n", "q\n").text == "b\n"


# --- prettier and biome -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both in its node_modules: installed once for all workers."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "node"
    try:
        folder.mkdir()
    except FileExistsError:
        for _ in range(600):
            if (folder / "done").exists():
                break
            time.sleep(0.1)
    else:
        (folder / "package.json").write_text("{}")
        words = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "prettier@3", "@biomejs/biome@2"]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        (folder / "done").write_text(done.stderr if done.returncode else "")
    if failure := (folder / "done").read_text():
        pytest.skip(f"npm installs nothing here: {failure.splitlines()[0]}")
    return folder


@pytest.fixture
def web(installed: Path, tmp_path: Path) -> Path:
    """A checkout of a front end in which somebody has run npm install."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("node_modules\n")
    (tmp_path / "web").mkdir()
    shutil.copytree(installed / "node_modules", tmp_path / "web/node_modules", symlinks=True)
    return tmp_path


PAGE = "import * as Sentry from '@sentry/react'\n\nSentry.init({ dsn: 'é😀' })\n"
LONG = PAGE.replace("})", "integrations: [Sentry.browserTracingIntegration(), Sentry.replayIntegration()] })")
SHAPED = """\
Sentry.init({
  dsn: 'é😀',
  integrations: [
    Sentry.browserTracingIntegration(),
    Sentry.replayIntegration(),
  ],
})
"""


def test_prettier_formats_what_was_and_what_is_changed(web: Path) -> None:
    write(web, {"web/.prettierrc": '{"semi": false, "singleQuote": true}'})
    before = snapshot(web)
    form = Formatters(Tree.open(web)).format
    after = LONG.replace("'é😀' ", "'é😀', ")
    assert form("web/src/main.tsx", PAGE, after).text.endswith(SHAPED)
    odd = "const π = {  a:1 }; // 😀\n"
    found = form("web/src/main.tsx", odd + PAGE, odd + after)
    assert found.text.startswith(odd)
    assert found.text.endswith(SHAPED)
    assert form("web/c.yaml", "a:   1\n", "a:   1\nb:   2\n").text == "a:   1\nb:   2\n"
    assert form("web/package.json", "{}\n", '{"a":1}\n').text == '{\n  "a": 1\n}\n'
    assert snapshot(web) == before
    write(web, {"web/prettier.config.js": "throw new Error('run')"})
    found = Formatters(Tree.open(web)).format("web/src/main.tsx", PAGE, after)
    assert (found.text, found.command, found.folder) == (after, "npx prettier --write", "web")
    assert found.why == "web/prettier.config.js is code, which is not run"


def test_biome_formats_whole_files(web: Path) -> None:
    write(web, {"web/biome.json": '{"javascript": {"formatter": {"quoteStyle": "single", "semicolons": "asNeeded"}}}'})
    form = Formatters(Tree.open(web)).format
    after = LONG.replace("'é😀' ", "'é😀', ")
    assert "\n\tintegrations: [" in form("web/src/main.tsx", PAGE, after).text
    odd = "const a = {  a:1 };\n"
    assert form("web/src/main.tsx", odd, odd + after).text == odd + after
    assert form("web/src/main.tsx", PAGE, "f(").why.startswith("biome failed: ")
    write(web, {"web/biome.json": '{"formatter": {"enabled": false}}'})
    found = Formatters(Tree.open(web)).format("web/src/main.tsx", None, after)
    assert (found.text, found.why) == (after, "")


# --- in a plan ----------------------------------------------------------------------------------------

API = """\
import os

import sentry_sdk
from fastapi import FastAPI

sentry_sdk.init(dsn=os.environ.get('SENTRY_DSN'), environment='staging')
app = FastAPI()
"""
FILES = {"requirements.txt": "fastapi==0.115.0\nsentry-sdk==2.40.0\n", "main.py": API}
SETTINGS = f"{RUFF.replace('60', '100')}{FORMAT}"


def rehearsed(root: Path, *, formatted: bool = True) -> tuple[str, tuple[str, ...]]:
    request = Request(root=root, environments=("staging",))
    found = plan(request, ("privacy-scrubbing", "backend-tracing"), formatted=formatted)
    texts = {change.path: change.after or "" for step in found.plan.steps for change in step.files}
    assert {item.component for item in found.after.findings}
    return texts["main.py"], found.plan.notes


def test_a_plan_holds_formatted_texts(tmp_path: Path) -> None:
    write(tmp_path, FILES | {"pyproject.toml": SETTINGS})
    before = snapshot(tmp_path)
    text, notes = rehearsed(tmp_path)
    ruff = [str(Path(sys.executable).with_name("ruff")), "format", "--no-cache", "--stdin-filename", "main.py", "-"]
    again = subprocess.run(ruff, cwd=tmp_path, input=text, capture_output=True, text=True, check=True).stdout
    assert (text, notes) == (again, ())
    assert snapshot(tmp_path) == before
    plain, _ = rehearsed(tmp_path, formatted=False)
    assert "EventScrubber(" in plain


def test_what_is_not_formatted_is_noted_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, FILES | {"pyproject.toml": BLACK})
    monkeypatch.setattr(Programs, "find", lambda self, tool, folder: "")
    _, notes = rehearsed(tmp_path)
    assert notes == ("not formatted: main.py: black was not found here; afterwards, run: black main.py",)
    assert rehearsed(tmp_path, formatted=False)[1] == ()
