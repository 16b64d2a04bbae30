"""A run that is killed (SIGKILL) at any of its steps: it can be brought to its end or taken back, without loss.

The process is killed before each call that changes something on the disk or in the cloud; of a write, half is done.
"""

from __future__ import annotations

import os
import shutil
import signal
import traceback
import warnings
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from sentry_audit.applying import apply, known_runs, resume, undo, unfinished
from sentry_audit.errors import FixFailed, Stale, UsageError
from tests.clouds import FileCloud
from tests.plans import DSN, LIVE, plan, snapshot, step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sentry_audit.fixing import Plan

BEFORE = {"a.py": "a = 1\r\n", "deep/b.txt": "b\n", "gone.txt": "gone\n", "run.sh": "#!/bin/sh\n"}
CALLS = ("replace", "fsync", "unlink", "mkdir", "rmdir", "link", "ftruncate", "chmod", "open")


def wanted() -> Plan:
    """Edits, one file twice, new files in new folders, a removal; then the cloud."""
    return plan(
        step(("a.py", BEFORE["a.py"], "a = 2\r\n"), ("new/folder/c.py", None, "c\n")),
        step(("a.py", "a = 2\r\n", "a = 3\r\n"), ("gone.txt", "gone\n", None)),
        step(("run.sh", BEFORE["run.sh"], "#!/bin/sh\nset -e\n"), ("new/d", None, "d\n")),
        *LIVE,
    )


def tree(root: Path) -> None:
    for path, text in BEFORE.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text.encode())
    (root / "run.sh").chmod(0o755)


class Scene:
    """A root and its cloud, begun anew for each place to be killed at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.again()
        self.before = snapshot(self.root)
        self.apply()
        self.after, self.cloud_after = snapshot(self.root), self.cloud().things()
        self.again()

    def again(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.root.mkdir(parents=True)
        tree(self.root)

    def cloud(self, boundary: Callable[[], None] = lambda: None, fails: int = -1) -> FileCloud:
        return FileCloud(self.folder / "cloud.json", boundary, fails, half=True)

    def apply(self, boundary: Callable[[], None] = lambda: None, fails: int = -1) -> None:
        cloud = self.cloud(boundary, fails)
        apply(self.root, wanted(), cloud=cloud, dsn=lambda: DSN, allow_dirty=False, reporter=lambda _: None)

    def resume(self, boundary: Callable[[], None] = lambda: None) -> None:
        resume(self.root, cloud=self.cloud(boundary), dsn=lambda: DSN, reporter=lambda _: None)

    def undo(self, boundary: Callable[[], None] = lambda: None) -> None:
        taken = undo(self.root, cloud=lambda: self.cloud(boundary), reporter=lambda _: None)[1]
        assert taken.left == ()

    def is_before(self) -> bool:
        return snapshot(self.root) == self.before and self.cloud().things() == {}

    def is_after(self) -> bool:
        once = [entry for entry in self.cloud().state()["log"] if entry.startswith("perform")]
        assert len(once) == len(set(once)) == len(LIVE)  # no version was added twice
        return snapshot(self.root) == self.after and self.cloud().things() == self.cloud_after

    def undo_if_begun(self) -> None:
        if unfinished(self.root) is not None or [run for run in known_runs(self.root) if run.state == "applied"]:
            self.undo()


def killed(number: int, work: Callable[[Callable[[], None]], None]) -> bool:
    """Run ``work`` in a process that is killed at its ``number``-th step; False if it ended before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, "see the output of the child"
        return os.WIFSIGNALED(status)
    code = 1
    try:
        steps = count()

        def boundary() -> None:
            if next(steps) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        _watch(boundary, number, steps)
        work(boundary)
        code = 0
    except FixFailed as error:
        code = 0 if "the cloud broke off" in error.message else 1
        if code:
            traceback.print_exc()
    except BaseException:  # noqa: BLE001 - a child must never go on with the tests
        traceback.print_exc()
    finally:
        os._exit(code)


def _watch(boundary: Callable[[], None], number: int, steps: count[int]) -> None:
    """Step at each call of ``CALLS``, and at each write, half of which is done."""
    for name in CALLS:
        real = getattr(os, name)

        def call(*arguments: Any, _real: Any = real, **named: Any) -> Any:
            if _real is not os_open or arguments[1] & os.O_CREAT:
                boundary()
            return _real(*arguments, **named)

        setattr(os, name, call)
    write = os.write

    def half(file: int, data: bytes) -> int:
        if next(steps) == number:
            write(file, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(file, data)

    os.write = half  # type: ignore[assignment]


os_open = os.open


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A process that is killed leaves to the kernel what it wrote: the disk need not be waited for."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return Scene(tmp_path / "scene")


def test_killed_anywhere_then_undone(scene: Scene) -> None:
    for number in count():
        scene.again()
        if not killed(number, scene.apply):
            break
        scene.undo_if_begun()
        assert scene.is_before(), number
        assert unfinished(scene.root) is None
    assert number > 100
    assert scene.is_after()


def test_killed_anywhere_then_resumed(scene: Scene) -> None:
    for number in count():
        scene.again()
        if not killed(number, scene.apply):
            break
        if unfinished(scene.root) is not None:
            with pytest.raises(UsageError, match="ended in the middle"):
                scene.apply()
            scene.resume()
        elif not known_runs(scene.root):
            scene.apply()
        assert scene.is_after(), number
        [run] = known_runs(scene.root)
        assert run.state == "applied"
        assert len(list((scene.root / ".sentry-audit/runs").iterdir())) == 2  # with the lock
        scene.undo()
        assert scene.is_before(), number


@pytest.mark.parametrize("way", ["undo", "resume"])
def test_killed_again_on_the_way(scene: Scene, way: str) -> None:
    for first in range(30, 1_000, 37):
        for second in count(0, 7):
            scene.again()
            if not killed(first, scene.apply):
                return
            if unfinished(scene.root) is None or not killed(second, getattr(scene, way)):
                break
            if way == "resume" and unfinished(scene.root) is not None:
                scene.resume()
                assert scene.is_after(), (first, second)
            scene.undo_if_begun()
            assert scene.is_before(), (first, second)


@pytest.mark.parametrize("way", ["undo", "resume"])
def test_killed_while_a_failure_is_taken_back(scene: Scene, way: str) -> None:
    for number in count(60, 5):
        scene.again()
        if not killed(number, lambda boundary: scene.apply(boundary, fails=2)):
            break
        state = left.state if (left := unfinished(scene.root)) is not None else ""
        if state and way == "resume":
            scene.resume()
            assert scene.is_after() if state == "unfinished" else scene.is_before(), (number, state)
        scene.undo_if_begun()
        assert scene.is_before(), number
    assert scene.is_before()


def test_somebody_edits_a_file_of_a_killed_run(scene: Scene) -> None:
    """Its file is left, and everything else comes back; the resumed run does not overwrite it either."""
    for way in ("resume", "undo"):
        for number in count(60, 7):
            scene.again()
            if not killed(number, scene.apply):
                break
            if unfinished(scene.root) is None:
                continue
            (scene.root / "run.sh").write_text("mine\n")
            if way == "resume":
                try:
                    scene.resume()
                except Stale as error:
                    assert "run.sh was changed" in error.message  # noqa: PT017 - it depends on where it was killed
            else:
                undo(scene.root, cloud=scene.cloud, reporter=lambda _: None)
            assert (scene.root / "run.sh").read_text() == "mine\n"
            assert unfinished(scene.root) is None
