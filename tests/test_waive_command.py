"""``waive`` and ``waivers``: what they write, what they refuse, and what they leave as it is."""

from __future__ import annotations

import json
import subprocess
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_audit.app import Request
from sentry_audit.errors import NothingAudited, UsageError
from sentry_audit.model import Status
from sentry_audit.positions import toml_line, yaml_data
from sentry_audit.waivers import editing
from sentry_audit.waiving import Wish, prune, pruning, waive
from tests.test_cli import run
from tests.test_waivers import REPOSITORY
from tests.trees import audit, findings, write

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 11, 26)
ENTRY: dict[str, str | list[str]] = {
    "check": "dsn-hardcoded",
    "reason": 'it\'s "x": # no, {yes}',
    "until": "2027-01-31",
    "environments": ["prod"],
    "owner": "@a",
    "fingerprint": ["0123", "12e4"],
}
BLOCK = "waivers:\n  - check: a\n    reason: r  # c\n    until: permanent\n# tail\nexclude: [b]\n"


def request(root: Path, environment: str = "staging", **changes: object) -> Request:
    return Request(root=root, environments=(environment,), today=TODAY, **changes)  # type: ignore[arg-type]


def wish(check: str = "backend-sdk-bounded", **changes: object) -> Wish:
    return Wish(**{"check": check, "reason": "why", "until": "2027-01-31", **changes})  # type: ignore[arg-type]


# --- writing ------------------------------------------------------------------------------------


def test_it_writes_what_the_next_audit_accepts(tmp_path: Path) -> None:
    write(tmp_path, REPOSITORY)
    given_ = waive(request(tmp_path), wish(owner="@platform", ticket="OPS-12"))
    assert (given_.file, [item.component for item in given_.findings]) == ("sentry-audit.yaml", ["app"])
    text = (tmp_path / "sentry-audit.yaml").read_text()
    assert text.startswith(
        "waivers:\n  - check: backend-sdk-bounded\n    reason: why\n    until: 2027-01-31\n    environments: [staging]\n"
        "    owner: '@platform'\n    ticket: OPS-12\n    fingerprint: ['"
    )
    [found] = findings(audit(tmp_path, {}, today=TODAY), "backend-sdk-bounded")
    assert found.status is Status.WAIVED
    [elsewhere] = findings(audit(tmp_path, {}, "production", today=TODAY), "backend-sdk-bounded")
    assert elsewhere.status is Status.GAP
    assert elsewhere.hint == ""


def test_a_changed_problem_is_not_hidden(tmp_path: Path) -> None:
    write(tmp_path, REPOSITORY)
    waive(request(tmp_path), wish())
    moved = audit(tmp_path, {"requirements.txt": "\n\nfastapi\nsentry-sdk>=2.64\n"}, today=TODAY)
    assert findings(moved, "backend-sdk-bounded")[0].status is Status.WAIVED
    changed = audit(tmp_path, {"requirements.txt": "fastapi\nsentry-sdk>=2.30\n"}, today=TODAY)
    [found] = findings(changed, "backend-sdk-bounded")
    assert found.status is Status.GAP
    assert "the waiver in sentry-audit.yaml:2 was given for something else" in found.hint


def test_any_content_accepts_what_is_to_come(tmp_path: Path) -> None:
    write(tmp_path, REPOSITORY)
    waive(request(tmp_path), wish(any_content=True))
    assert "fingerprint" not in (tmp_path / "sentry-audit.yaml").read_text()
    changed = audit(tmp_path, {"requirements.txt": "fastapi\nsentry-sdk>=2.30\n"}, today=TODAY)
    assert findings(changed, "backend-sdk-bounded")[0].status is Status.WAIVED


def test_all_environments_are_named(tmp_path: Path) -> None:
    write(tmp_path, REPOSITORY)
    waive(Request(root=tmp_path, all_environments=True, today=TODAY), wish())
    [entry] = yaml_data((tmp_path / "sentry-audit.yaml").read_text())["waivers"]
    assert entry["environments"] == ["staging", "production"]
    assert len(entry["fingerprint"]) == 2


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_is_there_stays_byte_for_byte(tmp_path: Path, end: str, mark: bytes) -> None:
    write(tmp_path, REPOSITORY)
    before = mark + f"# ours{end}exclude: ['x/']  # é{end}# end{end}".encode()
    (tmp_path / "sentry-audit.yaml").write_bytes(before)
    waive(request(tmp_path), wish())
    after = (tmp_path / "sentry-audit.yaml").read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == after.count(end.encode())
    assert findings(audit(tmp_path, {}, today=TODAY), "backend-sdk-bounded")[0].status is Status.WAIVED


def test_pyproject_is_written_where_the_settings_are_there(tmp_path: Path) -> None:
    before = "[tool.sentry-audit]  # ours\nexclude = ['x/']\n\n[tool.other]\na = 1\n"
    write(tmp_path, {**REPOSITORY, "pyproject.toml": before})
    assert waive(request(tmp_path), wish()).file == "pyproject.toml"
    text = (tmp_path / "pyproject.toml").read_text()
    assert all(line in text.splitlines() for line in before.splitlines())
    [found] = findings(audit(tmp_path, {}, today=TODAY), "backend-sdk-bounded")
    assert found.waiver is not None
    assert found.waiver.place.line == toml_line(text, "tool.sentry-audit", ("waivers", 0))
    assert not (tmp_path / "sentry-audit.yaml").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"check": "backend-sdk-bound"}, "no check is called backend-sdk-bound"),
        ({"check": "backend-*"}, "no check is called backend-*"),
        ({"reason": " \n"}, "needs a reason"),
        ({"reason": "https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/1"}, "holds a DSN"),
        ({"until": "2026-11-25"}, "is over"),
        ({"until": "tomorrow"}, "neither a date nor permanent"),
        ({"until": "20270131"}, "neither a date nor permanent"),
    ],
)
def test_a_wish_that_cannot_be_meant(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    write(tmp_path, REPOSITORY)
    with pytest.raises(UsageError, match=words.replace("*", r"\*")):
        waive(request(tmp_path), wish(**changes))  # type: ignore[arg-type]
    assert not (tmp_path / "sentry-audit.yaml").exists()


def test_what_is_no_gap_cannot_be_waived(tmp_path: Path) -> None:
    write(tmp_path, {**REPOSITORY, "main.py": REPOSITORY["main.py"].replace("init()", "init(**unknown())")})
    for check, words in (
        ("backend-init-present", "has no gap in staging"),
        ("backend-dsn-resolves", "is unknown in staging, and only gaps are waived"),
    ):
        with pytest.raises(NothingAudited, match=words):
            waive(request(tmp_path), wish(check))
    with pytest.raises(NothingAudited, match="begins at services/") as error:
        waive(request(tmp_path), wish(paths=("services/",)))
    assert error.value.hint == "its gaps are at: requirements.txt:2"
    waive(request(tmp_path), wish(paths=("requirements.txt",)))
    with pytest.raises(NothingAudited, match="is waived in staging already"):
        waive(request(tmp_path), wish())


@settings(deadline=None)
@given(st.text(max_size=40).filter(str.strip))
def test_any_reason_is_read_as_it_was_written(reason: str) -> None:
    words = " ".join(reason.split())
    after = editing.added(BLOCK, {**ENTRY, "reason": words})
    assert yaml_data(after)["waivers"][1]["reason"] == words
    assert after.startswith(BLOCK.partition("# tail")[0])
    assert after.endswith(BLOCK.partition("until: permanent\n")[2])


# --- texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "exclude: [a]",
        "exclude: [a]\n# end\n",
        "waivers:\n",
        "waivers: []  # none\nexclude: [a]\n",
        "waivers: # x\nexclude: [a]\n",
        "waivers: null\n",
        BLOCK,
        BLOCK.replace("\n", "\r\n"),
        "waivers:\n    -   check: a\n        reason: |\n          x\n          y\n        until: permanent\n\n# t\n",
        "waivers: [{check: a, reason: b, until: permanent}]\n",
        "---\nexclude: [a]\n...\n",
        "exclude: |\n  text\n\n",
    ],
)
def test_an_entry_is_added_to_whatever_is_there(text: str) -> None:
    after = editing.added(text, ENTRY)
    before = yaml_data(text) or {}
    assert yaml_data(after) == {**before, "waivers": [*(before.get("waivers") or []), ENTRY]}
    comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    assert all(comment in after for comment in comments)


@pytest.mark.parametrize("text", ["{exclude: [a]}\n", "waivers: &x\n  - {check: a}\nexclude: *x\n"])
def test_what_cannot_be_added_to_safely_is_left(text: str) -> None:
    with pytest.raises(editing.CannotEdit):
        editing.added(text, ENTRY)


@pytest.mark.parametrize("indices", [{0}, {1}, {2}, {0, 2}, {0, 1}, {0, 1, 2}])
def test_entries_are_taken_out_and_nothing_else(indices: set[int]) -> None:
    text = (
        "# top\nwaivers:\n  - check: a  # x\n    reason: r\n  - check: b\n    reason: >\n      q\n\n"
        "  -\n    check: c\nexclude: [d]  # y\n"
    )
    after = editing.removed(text, indices)
    kept = [item for index, item in enumerate("abc") if index not in indices]
    data = yaml_data(after)
    assert [item["check"] for item in data.get("waivers", [])] == kept
    assert after.startswith("# top\n")
    assert after.endswith("exclude: [d]  # y\n")


def test_toml_comes_back_as_it_was() -> None:
    text = '[project]\nname = "x"\n\n[tool.sentry-audit]\nexclude = ["a"]  # c\n\n[tool.other]\nx = 1\n'
    once = editing.toml_added(text, ENTRY)
    twice = editing.toml_added(once, ENTRY)
    assert editing.toml_removed(twice, {1}) == once
    assert editing.toml_removed(once, {0}) == text
    assert "\n" not in editing.toml_added(text.replace("\n", "\r\n"), ENTRY).replace("\r\n", "")


@pytest.mark.parametrize(
    ("text", "comment", "after"),
    [
        ("a\n# w\nb\n", "# w", "a\nb\n"),
        ("a  # w\nb\n", "# w", "a\nb\n"),
        ("a  // w\r\nb\r\n", "// w", "a\r\nb\r\n"),
        ("f(/* w */ 1)\n", "/* w */", "f(1)\n"),
        ("<b>\n  {/* w */}\n</b>\n", "/* w */", "<b>\n</b>\n"),
        ("/*\n * w\n */\n", "* w", "/*\n */\n"),
    ],
)
def test_a_comment_is_taken_out_with_its_row_where_it_is_alone(text: str, comment: str, after: str) -> None:
    at = text.index(comment)
    assert editing.without_comment(text, (at, at + len(comment))) == after


@pytest.mark.parametrize(("text", "comment"), [("/* w\n more */\n", "/* w"), ("/*\n w */\n", "w */")])
def test_part_of_a_comment_is_left_to_a_person(text: str, comment: str) -> None:
    at = text.index(comment)
    with pytest.raises(editing.CannotEdit):
        editing.without_comment(text, (at, at + len(comment)))


# --- prune --------------------------------------------------------------------------------------


def test_prune_takes_out_what_is_needed_nowhere(tmp_path: Path) -> None:
    text = """\
        # ours
        waivers:
          - check: release-set  # needed in production only
            reason: r
            until: permanent
            environments: [production]
          - check: release-set
            reason: r
            until: 2026-11-20
          - {check: backend-dsn-resolves, reason: undecided, until: permanent}
          - {check: dsn-hardcoded, reason: never there, until: permanent, environments: [staging]}
        """
    main = "# sentry-audit: ignore[dsn-hardcoded] old\n" + REPOSITORY["main.py"].replace("init()", "init(**unknown())")
    write(tmp_path, {**REPOSITORY, "main.py": main, "sentry-audit.yaml": text})
    found = pruning(request(tmp_path))
    assert [(str(item.written), item.why) for item in found.unused] == [
        ("sentry-audit.yaml:7 (release-set)", "it expired 6 days ago"),
        ("sentry-audit.yaml:11 (dsn-hardcoded)", "there is no such gap"),
        ("main.py:1 (dsn-hardcoded)", "there is no such gap in staging, production"),
    ]
    before = (tmp_path / "sentry-audit.yaml").read_text()
    prune(request(tmp_path), found)
    after = (tmp_path / "sentry-audit.yaml").read_text()
    assert after.splitlines() == [*before.splitlines()[:6], before.splitlines()[9]]
    assert (tmp_path / "main.py").read_text().startswith("import sentry_sdk\n")
    assert pruning(request(tmp_path)).unused == ()


def test_commands_as_users_run_them(tmp_path: Path) -> None:
    write(tmp_path, REPOSITORY)
    done = run("waive", "backend-sdk-bounded", tmp_path, "--env", "staging", "--offline")
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs a reason and a last day" in done.stderr
    common = ("--reason", "the image pins it", "--until", "2099-01-31", "--offline")
    done = run("waive", "backend-sdk-bounded", tmp_path, "--env", "staging", *common)
    assert done.returncode == 0, done.stderr
    assert "1 gap is waived until 2099-01-31, in sentry-audit.yaml" in done.stdout
    assert run("waive", "backend-sdk-bounded", tmp_path, "--env", "staging", *common).returncode == 3
    done = run("check", tmp_path, "--env", "staging", "--offline", "--select", "backend-sdk-bounded", "--show-waived")
    assert done.returncode == 0
    assert "reason: the image pins it" in done.stdout
    done = run("check", tmp_path, "--env", "staging", "--offline", "--select", "backend-sdk-bounded", "--no-waivers")
    assert done.returncode == 1
    done = run("waivers", "list", tmp_path)
    assert "the image pins it" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert run("waivers", "prune", tmp_path, "--offline").stdout == "every waiver is needed\n"


def test_prune_writes_only_what_was_agreed_to(tmp_path: Path) -> None:
    text = "waivers: [{check: dsn-hardcoded, reason: r, until: permanent}]\n"
    write(tmp_path, {**REPOSITORY, "sentry-audit.yaml": text})
    done = run("waivers", "prune", tmp_path, "--offline")
    assert done.returncode == 2
    assert f"-{text}" in done.stdout
    assert (tmp_path / "sentry-audit.yaml").read_text() == text
    done = run("waivers", "prune", tmp_path, "--offline", "--yes")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sentry-audit.yaml").read_text() == ""


def test_fix_leaves_what_is_waived(tmp_path: Path) -> None:
    text = "waivers: [{check: backend-sdk-bounded, reason: r, until: permanent}]\n"
    write(tmp_path, {**REPOSITORY, "sentry-audit.yaml": text})
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    command = ("fix", tmp_path, "--env", "staging", "--offline", "--dry-run", "--only", "backend-sdk-bounded")
    done = run(*command)
    assert "sentry-sdk>=2.64,<3" not in done.stdout
    assert "1 waived (--no-waivers fixes them too)" in done.stdout
    done = run(*command, "--no-waivers")
    assert done.returncode == 10, done.stdout
    assert "+sentry-sdk>=2.64,<3" in done.stdout


def test_the_json_has_the_waiver(tmp_path: Path) -> None:
    text = "waivers:\n- {check: release-set, reason: r, until: 2099-01-31, owner: o, ticket: t}\n"
    write(tmp_path, {**REPOSITORY, "sentry-audit.yaml": text})
    done = run("check", tmp_path, "--offline", "--select", "release-set", "--format", "json")
    [found] = json.loads(done.stdout)["findings"]
    assert found["status"] == "waived"
    place = {"path": "sentry-audit.yaml", "line": 2, "column": None, "resource": None, "saw": ""}
    assert found["waiver"] == {"reason": "r", "until": "2099-01-31", "owner": "o", "ticket": "t", "place": place}
