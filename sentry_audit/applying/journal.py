"""The journal of a run: what was meant to be done, and what was, so that a killed run can be ended either way.

A run has a folder with ``journal.jsonl`` (each line is on the disk before what it announces happens) and ``bytes/``:
the files before and after, named by their SHA-256. The first line says everything that the run is going to do.
Nothing of a run is in its journal that was not in the plan or in the files; the DSN is not.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from sentry_audit.applying.writing import digest, sync_folder
from sentry_audit.dsn import redact
from sentry_audit.errors import FixFailed, UsageError
from sentry_audit.fixing import Closed, Operation  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SCHEMA = 1
#: How many ended runs are kept, and for how many days all of them are.
KEPT, YOUNG = 20, 90
_RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Action(Struct, frozen=True, kw_only=True):
    """The smallest thing that is done whole: one file replaced, made or removed; or one operation of the cloud.

    ``before`` and ``after`` name bytes (empty: no file); ``path`` is the plan's, ``target`` what it leads to. ``mode`` is
    that of the file before, or of a new one. ``folders`` are those that are made for it.
    """

    step: int
    path: str = ""
    target: str = ""
    before: str = ""
    after: str = ""
    mode: int = 0o644
    folders: tuple[str, ...] = ()
    operation: Operation | None = None


class Doing(Struct, frozen=True):
    """A step of the plan, as far as it is told of later."""

    summary: str
    closes: tuple[Closed, ...] = ()


class Header(Struct, frozen=True, kw_only=True):
    """The first line: everything that the run is going to do; ``began`` (nanoseconds) orders runs of one second."""

    schema: int = SCHEMA
    tool: str
    run: str
    began: int
    root: str
    environment: str
    steps: tuple[Doing, ...]
    actions: tuple[Action, ...]


class Line(Struct, frozen=True, omit_defaults=True):
    """A later line.

    ``event``: intent, done (with the name of the ``inverse``), verified, applied; undoing, reverting, reverted, and undone
    with what was ``left``.
    """

    event: str
    action: int = -1
    inverse: str = ""
    left: tuple[str, ...] = ()


class Run(Struct, frozen=True, kw_only=True):
    """A run as its journal shows it. ``state``: unfinished, undoing, applied, undone, partly undone, damaged."""

    name: str
    folder: str
    state: str
    header: Header | None = None
    lines: tuple[Line, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it was ended in the middle of something."""
        return self.state in {"unfinished", "undoing"}

    @property
    def ahead(self) -> list[int]:
        """The actions that were begun and are not taken back, the last first."""
        return sorted(self.actions("intent").keys() - self.actions("reverted").keys(), reverse=True)

    @property
    def live(self) -> list[Operation]:
        """The changes of Google Cloud among these."""
        assert self.header is not None
        found = (self.header.actions[number].operation for number in self.ahead)
        return [operation for operation in found if operation is not None]

    def actions(self, event: str) -> dict[int, Line]:
        """The actions that ``event`` was written of."""
        return {line.action: line for line in self.lines if line.event == event}


class Journal:
    """An open journal, to which lines are added."""

    def __init__(self, run: Run, descriptor: int) -> None:
        self.run = run
        self._file = descriptor

    @classmethod
    def create(cls, folder: str, header: Header, contents: Iterable[bytes]) -> Journal:
        """Begin a run: its ``contents`` and its first line are on the disk when this returns.

        Raises FixFailed if they cannot be, UsageError for a plan with a secret in it.
        """
        place = f"{folder}/{header.run}"
        first = msgspec.json.encode(header) + b"\n"
        if redact(first.decode()) != first.decode():
            raise UsageError("the plan has a secret in it, which a journal must not keep", "plan again: fix --dry-run")
        try:
            _make(Path(place) / "bytes")
            for data in contents:
                _keep(place, data)
            sync_folder(f"{place}/bytes")
            descriptor = os.open(f"{place}/journal.jsonl", _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            journal = cls(Run(name=header.run, folder=place, state="unfinished", header=header), descriptor)
            journal._write(first)
            sync_folder(place)
            sync_folder(folder)
        except OSError as error:
            shutil.rmtree(place, ignore_errors=True)
            raise FixFailed(
                f"the journal of the run cannot be kept in {folder}: {error.strerror}", "nothing was changed"
            ) from error
        return journal

    @classmethod
    def reopen(cls, run: Run) -> Journal:
        """Go on with a run; a line that was half written when it was killed is dropped. Raises FixFailed."""
        try:
            descriptor = os.open(f"{run.folder}/journal.jsonl", _FLAGS)
            with os.fdopen(os.dup(descriptor), "rb") as file:
                os.ftruncate(descriptor, file.read().rfind(b"\n") + 1)
        except OSError as error:
            raise FixFailed(f"the journal of {run.name} cannot be written: {error.strerror}") from error
        return cls(run, descriptor)

    def add(self, event: str, action: int = -1, inverse: str = "", left: tuple[str, ...] = ()) -> None:
        """Add a line; it is on the disk when this returns. Raises OSError, and then no part of it is there."""
        line = Line(event, action, inverse, tuple(redact(item) for item in left))
        self._write(msgspec.json.encode(line) + b"\n")
        self.run = msgspec.structs.replace(self.run, lines=(*self.run.lines, line))

    def _write(self, data: bytes) -> None:
        end = os.lseek(self._file, 0, os.SEEK_END)
        try:
            rest = data
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, end)
            raise

    def keep(self, data: bytes) -> str:
        """Keep what a change of the cloud needs to be taken back; gives its name. Raises OSError."""
        name = _keep(self.run.folder, data)
        sync_folder(f"{self.run.folder}/bytes")
        return name

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)


def kept(run: Run, name: str) -> bytes:
    """The bytes of that name. Raises FixFailed if they are gone or no longer what they were."""
    try:
        data = Path(path_of(run, name)).read_bytes()
    except OSError as error:
        raise FixFailed(f"what run {run.name} kept cannot be read: {error.strerror}") from error
    if digest(data) != name:
        raise FixFailed(f"what run {run.name} kept is damaged: {path_of(run, name)}")
    return data


def path_of(run: Run, name: str) -> str:
    """Where the bytes of that name are."""
    return f"{run.folder}/bytes/{name}"


def _keep(place: str, data: bytes) -> str:
    """Write bytes under their name, unless they are there; a name never has other bytes than its own."""
    name = digest(data)
    path = Path(place, "bytes", name)
    if path.is_file() and digest(path.read_bytes()) == name:
        return name
    path.unlink(missing_ok=True)
    descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    return name


def _make(folder: Path) -> None:
    """Make the folder and those above it, for this user alone; a folder that is ours is never a link."""
    if os.path.realpath(folder) != str(folder):
        raise NotADirectoryError(errno.ENOTDIR, "there is a link in its path")
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(str(folder.parent))
    hidden = folder.parent / ".gitignore"
    if folder.parent.name == ".sentry-audit" and not hidden.is_file():
        hidden.write_text("*\n", encoding="utf-8")


def new_name() -> str:
    """The name of a new run: the time (UTC), and what tells it from another of the same second."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}"


def runs(folders: Iterable[str], root: str) -> list[Run]:
    """The runs on ``root`` that began, the oldest first."""
    found = [run for folder in folders for run in _runs(folder) if run.header is None or run.header.root == root]
    return sorted(found, key=lambda run: (run.name[:-4], run.header.began if run.header is not None else 0))


def _runs(folder: str) -> Iterator[Run]:
    with suppress(FileNotFoundError, NotADirectoryError):
        for name in sorted(os.listdir(folder)):  # noqa: PTH208
            if _RUN.fullmatch(name) and (run := _read(f"{folder}/{name}", name)) is not None:
                yield run


def _read(folder: str, name: str) -> Run | None:
    """A run from its journal; None if it was killed before its first line was whole, when it had changed nothing."""
    try:
        written = Path(folder, "journal.jsonl").read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        return Run(name=name, folder=folder, state="damaged")
    first, *rest = written[: written.rfind(b"\n") + 1].splitlines() or [b""]
    if not first:
        return None
    try:
        header = msgspec.json.decode(first, type=Header)
        lines = tuple(msgspec.json.decode(line, type=Line) for line in rest)
    except msgspec.DecodeError:
        return Run(name=name, folder=folder, state="damaged")
    if header.schema != SCHEMA:
        return Run(name=name, folder=folder, state="damaged")
    return Run(name=name, folder=folder, state=_state(lines), header=header, lines=lines)


def _state(lines: tuple[Line, ...]) -> str:
    state = "unfinished"
    for line in lines:
        if line.event in {"applied", "undoing"}:
            state = line.event
        elif line.event == "undone":
            state = "partly undone" if line.left else "undone"
    return state


def prune(folder: str, root: str, now: float) -> None:
    """Remove old runs on ``root``, of those that are ended; ``now`` are seconds, as of time.time.

    The newest ``KEPT`` stay, and those younger than ``YOUNG`` days; and always the latest that can be undone. To be
    called with the lock held.
    """
    ended = [run for run in runs([folder], root) if run.state in {"applied", "undone"} and run.header is not None]
    applied = [run.name for run in ended if run.state == "applied"]
    for run in ended[:-KEPT]:
        assert run.header is not None
        if now - run.header.began / 1e9 > YOUNG * 86_400 and run.name not in applied[-1:]:
            with suppress(OSError):
                Path(run.folder, "journal.jsonl").unlink()  # first: without it the rest is swept by whoever comes next
            shutil.rmtree(run.folder, ignore_errors=True)


@contextmanager
def locked(folder: str) -> Iterator[None]:
    """Hold the root for one process, and remove what is left of runs that never began.

    Raises UsageError if another one holds it, FixFailed if the folder cannot be made.
    """
    try:
        _make(Path(folder))
        descriptor = os.open(f"{folder}/lock", _FLAGS | os.O_CREAT, 0o600)
    except OSError as error:
        raise FixFailed(
            f"the journal of the run cannot be kept in {folder}: {error.strerror}", "nothing was changed"
        ) from error
    try:
        _lock(descriptor)
        for name in os.listdir(folder):  # noqa: PTH208
            if _RUN.fullmatch(name) and _read(f"{folder}/{name}", name) is None:
                shutil.rmtree(f"{folder}/{name}", ignore_errors=True)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Take the lock, which ends with the process, however that ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UsageError(
            "another sentry-audit is changing this repository at the moment", "wait until it is done"
        ) from error
