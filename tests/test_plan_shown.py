"""A plan as it is shown, and as it is kept in a file."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from sentry_audit.errors import Stale, UsageError
from sentry_audit.fixing import Closed, FileChange, Left, Operation, Plan, Step
from sentry_audit.reporters.base import RenderOptions
from sentry_audit.reporters.plan import groups, render_plan, unified
from sentry_audit.saving import dumps, loads, refuse_stale
from tests.trees import audit

if TYPE_CHECKING:
    from pathlib import Path

KEY = "0123456789abcdef0123456789abcdef"
DSN = f"https://{KEY}@o1.ingest.us.sentry.io/2"
PLAN = Plan(
    tool_version="1.0",
    environment="staging",
    steps=(
        Step(
            summary="will add sentry-sdk to requirements.txt",
            safety="safe",
            closes=(Closed("backend-sdk-declared", "api"),),
            files=(FileChange("requirements.txt", "fastapi\n", "fastapi\nsentry-sdk\n"),),
        ),
        Step(
            summary="will bound sentry-sdk in requirements.txt, and say so in a sentence that is longer than a line",
            safety="safe",
            closes=(Closed("backend-sdk-bounded", "api"), Closed("backend-sdk-bounded", "worker")),
            files=(FileChange("requirements.txt", "fastapi\nsentry-sdk\n", "fastapi\nsentry-sdk>=2.30,<3\n"),),
        ),
        Step(
            summary="will call sentry_sdk.init in main.py",
            safety="review",
            closes=(Closed("backend-init-present", "api"),),
            files=(
                FileChange("main.py", "app = 1", f'sentry_sdk.init("{DSN}")\napp = 1'),
                FileChange("gone.py", "x\n", None),
                FileChange("new.py", None, "y\n"),
            ),
        ),
        Step(
            summary="will create the secret sentry-dsn in shop-staging",
            safety="live",
            closes=(Closed("secret-dsn-exists", "api"),),
            operation=Operation(does="create-secret", resource="projects/shop-staging/secrets/sentry-dsn", summary="x"),
        ),
    ),
    left=(
        Left(finding=Closed("release-set", "api"), reason="two ways to do it", commands=("git describe", "a\nb")),
        Left(finding=Closed("release-set", "web"), reason="two ways to do it", commands=("git describe", "a\nb")),
    ),
)


def test_it_is_grouped_by_what_is_agreed_to_with_one_diff_for_each_file() -> None:
    text = render_plan(PLAN, RenderOptions())
    assert text.splitlines()[0] == "sentry-audit 0.1.0  fix · staging".ljust(71) + "4 changes"
    heads = ["Safe: ", "To be reviewed: ", "Live: ", "Left to you"]
    assert [text.index(f"\n{head}") for head in heads] == sorted(text.index(f"\n{head}") for head in heads)
    assert text.count("--- a/requirements.txt") == 1
    assert "\n+sentry-sdk>=2.30,<3\n" in text
    assert "\n+sentry-sdk\n" not in text
    assert "• will create the secret sentry-dsn in shop-staging\n    closes secret-dsn-exists (api)" in text
    assert "✗ release-set · api, web\n    two ways to do it\n      git describe\n      a\n      b\n" in text
    assert text.endswith("2 safe · 1 review · 1 live · 2 left\n")
    assert [(item.safety, item.count) for item in groups(PLAN, RenderOptions())] == [
        ("safe", 2), ("review", 1), ("live", 1),
    ]  # fmt: skip


def test_no_line_is_wider_than_the_page_but_for_diffs() -> None:
    text = render_plan(PLAN, RenderOptions(width=60))
    prose = [line for line in text.splitlines() if not line.startswith(("+", "-"))]
    assert max(map(len, prose)) <= 60


def test_a_dsn_is_shown_redacted() -> None:
    text = render_plan(PLAN, RenderOptions())
    assert KEY not in text
    assert '+sentry_sdk.init("https://…cdef@o1.ingest.us.sentry.io/2")' in text


def test_colours_are_those_of_a_diff() -> None:
    text = render_plan(PLAN, RenderOptions(color=True))
    assert "\x1b[32m+sentry-sdk>=2.30,<3\x1b[0m" in text
    assert "\x1b[31m-x\x1b[0m" in text
    assert "\x1b" not in render_plan(PLAN, RenderOptions())


def test_what_is_not_decided_is_told(tmp_path: Path) -> None:
    report = audit(
        tmp_path, {"main.py": "from fastapi import FastAPI\napp = FastAPI()\n", "requirements.txt": "-r x.txt\n"}
    )
    [unknown] = [item for item in report.findings if item.check == "backend-sdk-declared"]
    assert unknown.status == "unknown"
    text = render_plan(replace(PLAN, steps=(), left=()), RenderOptions(), report)
    assert "Nothing is to be fixed" in text
    assert "not decided" in text.splitlines()[-1]
    assert "backend-sdk-declared" in text.partition("Not decided")[2]
    assert "Not decided" not in render_plan(PLAN, RenderOptions(), report, {"release-set"})


TEXTS = ["", "a\n", "a", "a\nb\nc\nd\ne\nf\n", "a\nb\nX\nd\ne\nf", "a\x0bb\u2028c\n", None]


@pytest.mark.parametrize("before", TEXTS)
@pytest.mark.parametrize("after", TEXTS)
def test_git_takes_the_diffs(tmp_path: Path, before: str | None, after: str | None) -> None:
    lines = list(unified(FileChange("d/a.txt", before, after)))
    if (before or "") == (after or ""):
        assert not lines
        return
    file = tmp_path / "d" / "a.txt"
    file.parent.mkdir()
    if before is not None:
        file.write_text(before, encoding="utf-8", newline="")
    patch = "\n".join(lines) + "\n"
    subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=tmp_path, check=True, capture_output=True)
    now = file.read_bytes().decode() if file.exists() else None
    assert (now or "") == (after or "")


def test_a_saved_plan_is_the_same_plan() -> None:
    data = dumps(PLAN)
    assert loads(data, "plan.json", "1.0") == PLAN
    assert re.findall(r'"requirements.txt": "([0-9a-f]{64})"', data.decode())
    now = {"requirements.txt": "fastapi\n", "main.py": "app = 1", "gone.py": "x\n"}
    refuse_stale(PLAN, now.get, "plan.json")


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("requirements.txt", "flask\n", "requirements.txt was changed since the plan plan.json was made"),
        ("main.py", None, "main.py is gone"),
        ("new.py", "", "new.py is there now"),
    ],
)
def test_a_plan_for_other_files_is_stale(path: str, text: str | None, words: str) -> None:
    now: dict[str, str | None] = {"requirements.txt": "fastapi\n", "main.py": "app = 1", "gone.py": "x\n"}
    now[path] = text
    with pytest.raises(Stale, match=re.escape(words)) as caught:
        refuse_stale(PLAN, now.get, "plan.json")
    assert caught.value.exit_code == 6


def test_what_is_no_plan_or_was_touched_is_refused() -> None:
    with pytest.raises(UsageError, match=r"plan\.json is not a saved plan"):
        loads(b"{}", "plan.json", "1.0")
    with pytest.raises(UsageError, match="is not a saved plan"):
        loads(b"\xff", "plan.json", "1.0")
    document = msgspec.json.decode(dumps(PLAN))
    document["plan"]["steps"][0]["files"][0]["before"] = "flask\n"
    with pytest.raises(UsageError, match=r"damaged: its text of requirements\.txt"):
        loads(msgspec.json.encode(document), "plan.json", "1.0")
    with pytest.raises(Stale, match=r"made by sentry-audit 1\.0, and this is 1\.1"):
        loads(dumps(PLAN), "plan.json", "1.1")
