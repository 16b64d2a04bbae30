"""What applies plans: every byte where it belongs, or everything as it was."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentry_audit.applying import apply, known_runs, resume, undo, unfinished, writing
from sentry_audit.applying.checkout import folders_of_runs
from sentry_audit.applying.journal import locked, prune
from sentry_audit.applying.places import locate
from sentry_audit.applying.texts import encoded
from sentry_audit.errors import AuditError, FixFailed, Stale, UsageError
from sentry_audit.fixing import FileChange, Plan
from sentry_audit.sources.tree import decode
from tests.clouds import FileCloud
from tests.plans import DSN, KEY, LIVE, live, plan, rewriting, snapshot, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sentry_audit.applying import Outcome, Taken


def run(root: Path, steps: Plan, cloud: FileCloud | None = None, *, dirty: bool = False, dsn: str = DSN) -> Outcome:
    return apply(root, steps, cloud=cloud, dsn=lambda: dsn, allow_dirty=dirty, reporter=lambda _: None)


def back(root: Path, name: str = "", cloud: FileCloud | None = None) -> Taken:
    return undo(root, name, cloud=(lambda: cloud) if cloud is not None else None, reporter=lambda _: None)[1]


def git(root: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def committed(root: Path, **files: str) -> Path:
    root.mkdir(exist_ok=True)
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(text)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


# --- every byte ------------------------------------------------------------------------------------

_TEXT = st.lists(st.sampled_from(["a", "b = 1", "é", "", "  x", "# -*- q -*-"]), max_size=4)
_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
_CODECS = st.sampled_from(
    [("", "utf-8"), ("\ufeff", "utf-8"), ("", "latin-1"), ("\ufeff", "utf-16-le"), ("\ufeff", "utf-16-be")]
)
_MODES = st.sampled_from([0o644, 0o755, 0o600, 0o664, 0o640, 0o4755])
_PATHS = st.sampled_from(["a.py", "b.txt", "c/d.py", "c/e/f.sh", "c/e/g.sh", "h/i/j.yaml", ".env", "ä ö.txt"])


@st.composite
def _texts(draw: st.DrawFn) -> str:
    end = draw(_ENDS)
    return end.join(draw(_TEXT)) + draw(st.sampled_from(["", end]))


_FILES = st.dictionaries(_PATHS, st.tuples(_texts(), _CODECS, _MODES), max_size=5)
_STEPS = st.lists(st.lists(st.tuples(_PATHS, st.one_of(st.none(), _texts())), max_size=3), min_size=1, max_size=4)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_FILES, _STEPS)
def test_apply_then_undo_restores_every_byte_and_mode(
    files: dict[str, tuple[str, tuple[str, str], int]], wanted: list[list[tuple[str, str | None]]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, (text, (mark, codec), mode) in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes((mark + text).encode(codec))
            (root / path).chmod(mode)
        before = snapshot(root)
        now = {path: decode(path, before[path][0])[0] for path in files}
        steps = []
        for edits in wanted:
            changes = [(path, now.get(path), after) for path, after in dict(edits).items()]
            steps.append(step(*changes))
            for path, _, after in changes:
                now.pop(path, None)
                now |= {path: after} if after is not None else {}
        run(root, plan(*steps))
        middle = snapshot(root)
        there = {path: decode(path, data)[0] for path, (data, mode) in middle.items() if stat.S_ISREG(mode)}
        assert there == now
        for path in files.keys() & now.keys():
            if all(path not in dict(edits) or dict(edits)[path] is not None for edits in wanted):
                assert middle[path][1] == before[path][1]
        if known_runs(root):
            assert back(root).left == ()
        assert snapshot(root) == before


@settings(deadline=None)
@given(st.binary(max_size=40), st.sampled_from(["a.py", "b.txt"]), st.booleans())
def test_what_is_read_is_written_back_the_same_or_refused(data: bytes, path: str, cookie: bool) -> None:
    data = b"# coding: iso-8859-15\n" + data if cookie else data
    try:
        assert encoded(path, data, decode(path, data)[0]) == data
    except FixFailed:
        assert data[:2] in {b"\xff\xfe", b"\xfe\xff"}


def test_a_character_that_the_encoding_lacks(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("é\n".encode("latin-1"))
    with pytest.raises(FixFailed, match="latin-1, which has no '…'"):
        run(tmp_path, rewriting(tmp_path, a__txt="é …\n"))
    assert known_runs(tmp_path) == []


def test_the_modes_of_new_files(tmp_path: Path) -> None:
    for name, mode in (("a.py", 0o664), ("b.py", 0o664), ("c.sh", 0o600)):
        (tmp_path / name).write_text("x\n")
        (tmp_path / name).chmod(mode)
    (tmp_path / "empty").mkdir()
    new = {"n.py": "x\n", "n.sh": "#!/bin/sh\n", "n.txt": "x\n", "empty/n.py": "x\n", "new/n.sh": "#!/bin/sh\n"}
    mask = os.umask(0o027)
    try:
        run(tmp_path, plan(step(*((path, None, text) for path, text in new.items()))))
    finally:
        os.umask(mask)
    modes = {path: oct((tmp_path / path).stat().st_mode & 0o7777) for path in new}
    assert modes == {"n.py": "0o664", "n.sh": "0o700", "n.txt": "0o664", "empty/n.py": "0o640", "new/n.sh": "0o750"}


def test_a_plan_with_nothing_in_it_leaves_no_trace(tmp_path: Path) -> None:
    assert run(tmp_path, plan()).run == ""
    assert list(tmp_path.iterdir()) == []


# --- what may not be written -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/x",
        "a/../../x",
        "",
        ".",
        "a//b",
        ".git/config",
        ".GIT/hooks/x",
        "a/.git/x",
        ".sentry-audit/x",
        "a\0",
    ],
)
def test_paths_that_are_none_of_the_tree(tmp_path: Path, path: str) -> None:
    with pytest.raises(FixFailed):
        run(tmp_path, plan(step((path, None, "x"))))
    assert list(tmp_path.iterdir()) == []


def test_links(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "in").mkdir(parents=True)
    (root / ".git").mkdir()
    outside.mkdir()
    (outside / "x").write_text("x\n")
    (root / "in/real").write_text("x\n")
    for name, leads in (
        ("out", outside),
        ("file", outside / "x"),
        ("kept", root / ".git"),
        ("nothing", root / "no"),
        ("loop", root / "loop"),
    ):
        (root / name).symlink_to(leads)
    (root / "link").symlink_to("in/real")
    (root / "folder").symlink_to("in")
    for path in ("out/x", "out/new", "file", "kept/config", "nothing", "loop"):
        with pytest.raises(FixFailed):
            locate(str(root), path)
    before = snapshot(root)
    run(root, plan(step(("link", "x\n", "y\n")), step(("folder/new", None, "n\n"))), dirty=True)
    assert (root / "link").is_symlink()
    assert (root / "in/real").read_text() == "y\n"
    assert (root / "in/new").read_text() == "n\n"
    assert back(root).left == ()
    assert snapshot(root) == before


def test_a_folder_that_became_a_link_is_not_followed_by_undo(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "a").mkdir(parents=True)
    (root / "a/x").write_text("x\n")
    run(root, plan(step(("a/x", "x\n", "y\n"))))
    (root / "a").rename(outside)
    (root / "a").symlink_to(outside)
    taken = back(root)
    assert "is a link now" in taken.left[0]
    assert (outside / "x").read_text() == "y\n"


def test_read_only_files_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a\n")
    (tmp_path / "b").write_text("b\n")
    (tmp_path / "b").chmod(0o444)
    before = snapshot(tmp_path)
    with pytest.raises(FixFailed, match="b is read-only"):
        run(tmp_path, plan(step(("a", "a\n", "x\n")), step(("b", "b\n", "x\n"))))
    assert snapshot(tmp_path) == before
    assert known_runs(tmp_path) == []


@contextmanager
def somebody() -> Iterator[None]:
    """Be a user for whom the modes of folders count."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_read_only_folders() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "a").write_text("a\n")
        (root / "a").chmod(0o666)
        (root / "f").mkdir()
        root.chmod(0o777)
        (root / "f").chmod(0o555)
        with somebody(), pytest.raises(FixFailed, match="the folder f is read-only, so f/new/c cannot be written"):
            run(root, plan(step(("a", "a\n", "x\n"), ("f/new/c", None, "c"))))
        assert (root / "a").read_text() == "a\n"


def test_a_root_in_which_no_journal_can_be_kept() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "a").write_text("a\n")
        (root / "a").chmod(0o666)
        (root / ".git").mkdir()
        (root / ".git/HEAD").write_text("ref: refs/heads/main\n")
        root.chmod(0o777)
        with (
            somebody(),
            pytest.raises(FixFailed, match=r"the journal of the run cannot be kept in .*Permission denied"),
        ):
            run(root, plan(step(("a", "a\n", "x\n"))), dirty=True)
        assert (root / "a").read_text() == "a\n"


# --- what is not as it was -------------------------------------------------------------------------


def test_a_file_that_is_not_what_the_plan_was_made_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a\n")
    (tmp_path / "b").write_text(f"one\ntwo = {DSN}\n")
    wanted = plan(step(("a", "a\n", "x\n")), step(("b", "one\nthree\n", "x\n")))
    with pytest.raises(Stale, match=r"b is not what(.|\n)*-three(.|\n)*\+two") as caught:
        run(tmp_path, wanted)
    assert caught.value.exit_code == 6
    assert KEY not in caught.value.message
    assert (tmp_path / "a").read_text() == "a\n"


@pytest.mark.parametrize(("before", "there"), [(None, "mine\n"), ("x\n", None)])
def test_new_files_that_exist_and_old_ones_that_vanished(tmp_path: Path, before: str | None, there: str | None) -> None:
    if there is not None:
        (tmp_path / "a").write_text(there)
    with pytest.raises(Stale, match="there already" if there else "not there any more"):
        run(tmp_path, plan(step(("a", before, "x\n"))), dirty=True)
    assert (tmp_path / "a").exists() == bool(there)


@pytest.mark.parametrize("late", [False, True])
def test_a_file_that_changes_while_the_plan_is_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    for name in "abc":
        (tmp_path / name).write_text(f"{name}\n")
    real: Callable[..., None] = writing._write if late else writing.put

    def meddle(*arguments: Any, **named: Any) -> None:
        if late or arguments[1] == "a":
            real(*arguments, **named)
        if (not late and arguments[1] == "a") or (late and str(arguments[2]).endswith("/c")):
            (tmp_path / "c").write_text("somebody's\n")
        if not late and arguments[1] != "a":
            real(*arguments, **named)

    monkeypatch.setattr("sentry_audit.applying.writing._write" if late else "sentry_audit.applying.running.put", meddle)
    with pytest.raises(
        Stale, match=r"c was changed by somebody else meanwhile\ntaken back:\n  restored b\n  restored a$"
    ):
        run(tmp_path, plan(*(step((name, f"{name}\n", "x\n")) for name in "abc")))
    assert [(tmp_path / name).read_text() for name in "abc"] == ["a\n", "b\n", "somebody's\n"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".sentry-audit", "a", "b", "c"]


# --- git -------------------------------------------------------------------------------------------


def test_uncommitted_changes_are_refused_but_only_in_files_to_be_edited(tmp_path: Path) -> None:
    root = committed(tmp_path / "r", a="a\n", b="b\n", c="c\n")
    (root / "a").write_text("changed\n")
    (root / "u").write_text("untracked\n")
    wanted = plan(step(("a", "changed\n", "x\n"), ("u", "untracked\n", "x\n"), ("c", "c\n", "x\n")))
    with pytest.raises(UsageError, match=r"not committed:\n  a \(has.*\n  u \(is not tracked\)$") as caught:
        run(root, wanted)
    assert "--allow-dirty" in caught.value.hint
    assert (root / "c").read_text() == "c\n"
    run(root, plan(step(("c", "c\n", "x\n"))))
    run(root, rewriting(root, a="x\n", u="x\n"), dirty=True)
    assert back(root).back == ("restored u", "restored a")
    assert (root / "a").read_text() == "changed\n"


def test_a_folder_of_a_checkout_as_the_root(tmp_path: Path) -> None:
    top = committed(tmp_path / "r", a="a\n")
    (top / "sub").mkdir()
    (top / "sub/x [1].py").write_text("x\n")
    with pytest.raises(UsageError, match=r"  x \[1\]\.py \(is not tracked\)"):
        run(top / "sub", plan(step(("x [1].py", "x\n", "y\n"))))
    run(top / "sub", plan(step(("x [1].py", "x\n", "y\n"))), dirty=True)
    assert known_runs(top) == []
    assert [item.state for item in known_runs(top / "sub")] == ["applied"]
    assert "sentry-audit" not in git(top, "status", "--porcelain", "--ignored")


def test_worktrees_keep_their_runs_where_git_keeps_theirs(tmp_path: Path) -> None:
    top = committed(tmp_path / "r", a="a\n")
    git(top, "worktree", "add", "-q", str(tmp_path / "w"))
    [place, _] = folders_of_runs(str(tmp_path / "w"))
    assert place == str(top / ".git/worktrees/w/sentry-audit/runs")
    run(tmp_path / "w", rewriting(tmp_path / "w", a="x\n"))
    assert back(tmp_path / "w").back == ("restored a",)


@pytest.mark.parametrize("word", ["gitdir: ../r/.git", "gitdir: /etc", "nothing", "gitdir: "])
def test_a_git_file_that_points_elsewhere_is_not_believed(tmp_path: Path, word: str) -> None:
    committed(tmp_path / "r", a="a\n")
    (tmp_path / "x").mkdir()
    (tmp_path / "x/.git").write_text(word)
    assert folders_of_runs(str(tmp_path / "x")) == (str(tmp_path / "x/.sentry-audit/runs"),)


def test_no_program_that_the_repository_names_is_run(tmp_path: Path) -> None:
    root = committed(tmp_path / "r", a="a\n", __gitattributes="* filter=evil\n")
    git(root, "config", "filter.evil.clean", f"touch {tmp_path}/ran; cat")
    git(root, "config", "filter.evil.required", "true")
    os.utime(root / "a", (1, 1))
    run(root, rewriting(root, a="x\n"))
    assert not (tmp_path / "ran").exists()


def test_a_link_in_place_of_the_folder_of_runs(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "r"
    root.mkdir()
    (root / ".sentry-audit").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FixFailed, match="journal"):
        run(root, plan(step(("a", None, "x"))))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_outside_of_git_the_journal_hides_itself_and_a_note_is_made(tmp_path: Path) -> None:
    outcome = run(tmp_path, plan(step(("a", None, "x"))))
    assert "no git checkout" in outcome.notes[0]
    assert (tmp_path / ".sentry-audit/.gitignore").read_text() == "*\n"
    assert stat.S_IMODE((tmp_path / ".sentry-audit/runs").stat().st_mode) == 0o700
    files = [path for path in (tmp_path / ".sentry-audit/runs").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


# --- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [20_000, 9_000, 4_000])
def test_a_full_disk(tmp_path: Path, size: int) -> None:
    """A limit on the size of files stands in for it: both stop a write in the middle."""
    for name in "ab":
        (tmp_path / name).write_text(f"{name}\n" * 2_500)
    before = snapshot(tmp_path)
    wanted = rewriting(tmp_path, a="x\n", new__txt="y\n", b="z\n" * 5_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        if size == 20_000:
            run(tmp_path, wanted)
        else:
            with pytest.raises(FixFailed, match=r"[Ff]ile too large"):
                run(tmp_path, wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    if size == 20_000:
        back(tmp_path)
    assert snapshot(tmp_path) == before
    assert unfinished(tmp_path) is None


def test_no_room_at_all_once_the_first_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / name).write_text(f"{name}\n")
    before = snapshot(tmp_path)
    real = writing._write
    written: list[str] = []

    def full(beside: str, data: bytes, path: str, mode: int) -> None:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        real(beside, data, path, mode)

    monkeypatch.setattr(writing, "_write", full)
    with pytest.raises(FixFailed, match=r"No space left on device\ntaken back:\n  restored b\n  restored a$") as caught:
        run(tmp_path, rewriting(tmp_path, a="x\n", b="x\n", c="x\n"))
    assert caught.value.exit_code == 5
    assert snapshot(tmp_path) == before


def test_ctrl_c_takes_everything_back(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a\n")
    before = snapshot(tmp_path)
    cloud = FileCloud(tmp_path.parent / "cloud.json", boundary=lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(FixFailed, match=r"stopped by Ctrl-C\ntaken back:\n  restored a$"):
        run(tmp_path, plan(step(("a", "a\n", "x\n")), *LIVE), cloud)
    assert snapshot(tmp_path) == before
    assert cloud.things() == {}


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("number", range(4))
def test_a_cloud_that_fails(tmp_path: Path, number: int, half: bool) -> None:
    root = tmp_path / "r"
    root.mkdir()
    (root / "a").write_text("a\n")
    before = snapshot(root)
    cloud = FileCloud(tmp_path / "cloud.json", fails=number, half=half)
    with pytest.raises(FixFailed, match="RuntimeError: the cloud") as caught:
        run(root, plan(step(("a", "a\n", "x\n"), ("n/m", None, "x\n")), *LIVE), cloud)
    assert caught.value.message.count("took back") == number + half
    assert "restored a" in caught.value.message
    assert snapshot(root) == before
    assert cloud.things() == {}
    log = cloud.state()["log"]
    done = [entry.removeprefix("perform ") for entry in log if entry.startswith("perform")]
    assert [entry.removeprefix("revert ") for entry in log if entry.startswith("revert")] == done[::-1]
    assert [item.state for item in known_runs(root)] == ["undone"]


def test_a_change_of_the_cloud_that_does_not_hold(tmp_path: Path) -> None:
    cloud = FileCloud(tmp_path / "cloud.json", unverified="will update-service")
    with pytest.raises(FixFailed, match="will update-service: that was done, and is not so now"):
        run(tmp_path, plan(*LIVE), cloud)
    assert cloud.things() == {}


def test_what_cannot_be_taken_back_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = FileCloud(tmp_path / "cloud.json", fails=3)
    with monkeypatch.context() as patch:

        def refuse(_: FileCloud, inverse: bytes, run: str) -> str:
            raise RuntimeError("no permission")

        patch.setattr(FileCloud, "revert", refuse)
        with pytest.raises(FixFailed, match="could not be taken back:\n  will grant: RuntimeError") as caught:
            run(tmp_path, plan(step(("a", None, "x")), *LIVE), cloud)
    [left] = known_runs(tmp_path)
    assert left.state == "partly undone"
    assert f"undo {left.name}" in caught.value.hint
    assert not (tmp_path / "a").exists()
    assert cloud.things()
    assert back(tmp_path, left.name, cloud).left == ()
    assert cloud.things() == {}


def test_the_dsn_is_asked_for_before_anything_is_written_and_kept_nowhere(tmp_path: Path) -> None:
    root = tmp_path / "r"
    root.mkdir()
    wanted = plan(step(("a", None, "x")), *LIVE)
    cloud = FileCloud(tmp_path / "cloud.json")
    for bad in (None, "raise"):

        def refuse() -> str:
            raise UsageError("no DSN")

        with pytest.raises(UsageError, match="DSN"):
            apply(root, wanted, cloud=cloud, dsn=refuse if bad else None, allow_dirty=False, reporter=lambda _: None)
        assert list(root.iterdir()) == []
    with pytest.raises(UsageError, match="Google Cloud"):
        run(root, wanted)
    said: list[str] = []
    apply(root, wanted, cloud=cloud, dsn=lambda: DSN, allow_dirty=False, reporter=said.append)
    assert said[1:] == ["will create-secret", "will add-version", "will grant", "will update-service"]
    assert not any(KEY in path.read_bytes().decode("latin-1") for path in root.rglob("*") if path.is_file())


def test_a_cloud_that_would_have_the_dsn_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = FileCloud.perform
    monkeypatch.setattr(
        FileCloud, "perform", lambda self, operation, dsn, run: real(self, operation, dsn, run) + (dsn or "").encode()
    )
    cloud = FileCloud(tmp_path / "cloud.json")
    with pytest.raises(FixFailed, match="would hold the DSN"):
        run(tmp_path, plan(*LIVE), cloud)
    assert cloud.things() == {}
    assert not any(
        KEY.encode() in path.read_bytes() for path in (tmp_path / ".sentry-audit").rglob("*") if path.is_file()
    )


def test_a_plan_with_a_secret_in_it_is_refused(tmp_path: Path) -> None:
    cloud = FileCloud(tmp_path / "cloud.json")
    with pytest.raises(UsageError, match="a secret in it"):
        run(tmp_path, plan(live("update-service", f"projects/p/{DSN}")), cloud)
    assert cloud.things() == {}


def test_two_at_once(tmp_path: Path) -> None:
    with locked(folders_of_runs(str(tmp_path))[0]), pytest.raises(UsageError, match="another sentry-audit"):
        run(tmp_path, plan(step(("a", None, "x"))))
    run(tmp_path, plan(step(("a", None, "x"))))


# --- undo ------------------------------------------------------------------------------------------


def test_undo_leaves_what_was_changed_since_and_undoes_the_rest(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text(f"{name}\n")
    done = run(tmp_path, rewriting(tmp_path, a="x\n", b="x\n", c=None, d="d\n"))
    (tmp_path / "b").write_text("x\nmine\n")
    taken = back(tmp_path)
    assert taken.back == ("removed d", "restored c", "restored a")
    [left] = taken.left
    assert left.startswith("b: it was changed since")
    assert "+mine" in left
    assert (tmp_path / "b").read_text() == "x\nmine\n"
    assert known_runs(tmp_path)[0].state == "partly undone"
    assert back(tmp_path).left == taken.left
    (tmp_path / "b").write_text("x\n")
    assert back(tmp_path, done.run).back == ("restored b",)
    with pytest.raises(UsageError, match="undone already"):
        back(tmp_path, done.run)


def test_folders_that_were_made_are_removed_unless_somebody_uses_them(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    run(tmp_path, plan(step(("there/n/m/a", None, "x"), ("used/b", None, "x"))))
    (tmp_path / "used/mine").write_text("x")
    assert back(tmp_path).left == ()
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("[!.]*/**/*")) == ["used/mine"]
    assert (tmp_path / "there").is_dir()


def test_the_latest_run_is_undone_first_and_others_by_name(tmp_path: Path) -> None:
    names = [run(tmp_path, plan(step((name, None, "x")))).run for name in "ab"]
    known = [item.name for item in known_runs(tmp_path)]
    assert set(names) == set(known)
    back(tmp_path)
    assert [item.state for item in known_runs(tmp_path)] == ["applied", "undone"]
    with pytest.raises(UsageError, match="is called x"):
        back(tmp_path, "x")
    back(tmp_path, known[0])
    assert [item.state for item in known_runs(tmp_path)] == ["undone", "undone"]


def test_a_run_that_changed_the_cloud_is_not_undone_without_it(tmp_path: Path) -> None:
    cloud = FileCloud(tmp_path / "cloud.json")
    run(tmp_path, plan(step(("a", None, "x")), *LIVE), cloud)
    with pytest.raises(UsageError, match="changed Google Cloud"):
        back(tmp_path)
    assert (tmp_path / "a").exists()
    assert len(back(tmp_path, cloud=cloud).back) == 5
    assert cloud.things() == {}


@pytest.mark.parametrize("damage", [b"no json\n", b'{"event":1}\n'])
def test_a_damaged_journal(tmp_path: Path, damage: bytes) -> None:
    done = run(tmp_path, plan(step(("a", None, "x"))))
    with (tmp_path / f".sentry-audit/runs/{done.run}/journal.jsonl").open("ab") as file:
        file.write(damage)
    assert known_runs(tmp_path)[0].state == "damaged"
    with pytest.raises(FixFailed, match="damaged"):
        back(tmp_path, done.run)


def test_bytes_that_were_kept_and_are_damaged_are_not_written_back(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a\n")
    done = run(tmp_path, rewriting(tmp_path, a="x\n"))
    for file in (tmp_path / f".sentry-audit/runs/{done.run}/bytes").iterdir():
        file.write_text("other")
    assert "damaged" in back(tmp_path).left[0]
    assert (tmp_path / "a").read_text() == "x\n"


def test_undo_on_the_command_line(tmp_path: Path) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-m", "sentry_audit", "undo", *arguments, "--root", str(tmp_path)]
        return subprocess.run(call, capture_output=True, text=True, check=False)

    ran = command()
    assert (ran.returncode, ran.stderr.splitlines()[0]) == (2, "error: there is no run to undo here")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a").write_text("a\n")
    name = run(tmp_path, rewriting(tmp_path, a="x\n", b="x\n")).run
    assert command("--list").stdout == f"{name}  staging  applied\n    will edit\n"
    (tmp_path / "b").write_text("mine\n")
    ran = command("--yes")
    assert ran.returncode == 5
    assert ran.stdout.startswith(f"run {name}:\n  restored a\nleft as it is:\n  b: it was changed since")
    (tmp_path / "b").unlink()
    ran = command(name, "--yes")
    assert (ran.returncode, ran.stdout) == (0, f"run {name}:\n  nothing had to be taken back\n")


def aged(root: Path, name: str, days: float) -> None:
    """Make a run that old."""
    file = root / ".sentry-audit/runs" / name / "journal.jsonl"
    first, _, rest = file.read_text().partition("\n")
    header = json.loads(first)
    header["began"] -= int(days * 86_400e9)
    file.write_text(f"{json.dumps(header)}\n{rest}")


def test_old_runs_are_removed_but_none_that_can_still_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentry_audit.applying.running._refuse_unfinished", lambda _: None)
    names: dict[tuple[str, int], str] = {}
    for state, days in (
        ("unfinished", 500),
        ("applied", 450),
        ("damaged", 450),
        ("undone", 400),
        ("applied", 91),
        ("undone", 89),
        ("undone", 0),
    ):
        name = names[state, days] = run(tmp_path, rewriting(tmp_path, a=f"{len(names)}\n")).run
        file = tmp_path / ".sentry-audit/runs" / name / "journal.jsonl"
        if state == "undone":
            back(tmp_path, name)
        if state == "unfinished":
            file.write_text(file.read_text().replace('{"event":"applied"}\n', ""))
        aged(tmp_path, name, days)
        if state == "damaged":
            file.write_text("{}\n")

    def pruned(newest: int) -> list[tuple[str, int]]:
        """Those that are gone when so many are kept."""
        monkeypatch.setattr("sentry_audit.applying.journal.KEPT", newest)
        prune(str(tmp_path / ".sentry-audit/runs"), str(tmp_path), time.time())
        there = {item.name for item in known_runs(tmp_path)}
        assert {item.name for item in (tmp_path / ".sentry-audit/runs").iterdir()} == {*there, "lock"}
        return [item for item, name in names.items() if name not in there]

    assert pruned(20) == []
    assert pruned(4) == [("applied", 450)]
    assert pruned(1) == [("applied", 450), ("undone", 400)]  # the latest that can be undone stays
    names["applied", 0] = run(tmp_path, rewriting(tmp_path, a="last\n")).run
    assert pruned(1) == [("applied", 450), ("undone", 400), ("applied", 91)]


def test_old_runs_of_another_root_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentry_audit.applying.journal.KEPT", 1)
    top = committed(tmp_path / "r", a="a\n")
    (top / "sub").mkdir()
    (top / "sub/b").write_text("b\n")
    run(top / "sub", rewriting(top / "sub", b="x\n"), dirty=True)
    for text in ("x\n", "y\n", "z\n"):
        name = run(top, rewriting(top, a=text), dirty=True).run
        file = top / ".git/sentry-audit/runs" / name / "journal.jsonl"
        file.write_text(re.sub(r'"began":\d+', f'"began":{len(text)}', file.read_text()))
    assert (len(known_runs(top)), len(known_runs(top / "sub"))) == (1, 1)


def test_a_removal_that_is_killed_is_ended_by_the_next(tmp_path: Path) -> None:
    name = run(tmp_path, rewriting(tmp_path, a="x\n")).run
    (tmp_path / ".sentry-audit/runs" / name / "journal.jsonl").unlink()
    run(tmp_path, rewriting(tmp_path, a="y\n"))
    assert not (tmp_path / ".sentry-audit/runs" / name).exists()


def test_nothing_is_resumed_where_nothing_was_ended(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="no run was ended"):
        resume(tmp_path, cloud=None, dsn=None, reporter=lambda _: None)


def test_file_changes_of_one_file_in_two_names(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a\n")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(Stale):
        run(tmp_path, plan(step(("a", "a\n", "x\n")), step(("b", "a\n", "y\n"))))
    run(tmp_path, plan(step(("a", "a\n", "x\n")), step(("b", "x\n", "y\n"))))
    assert (tmp_path / "a").read_text() == "y\n"
    assert back(tmp_path).left == ()
    assert (tmp_path / "a").read_text() == "a\n"
    assert FileChange("b", None, None).path == "b"
