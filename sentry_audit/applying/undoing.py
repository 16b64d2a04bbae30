"""What a run did is taken back, in reverse order: files byte for byte, the cloud by what each change left for it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from sentry_audit.applying.checkout import folders_of_runs
from sentry_audit.applying.contract import Taken
from sentry_audit.applying.journal import Journal, kept, locked, path_of, runs
from sentry_audit.applying.places import full, read
from sentry_audit.applying.texts import difference, text
from sentry_audit.applying.writing import digest, make_folders, put, remove, remove_folders
from sentry_audit.dsn import redact
from sentry_audit.errors import AuditError, FixFailed, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from sentry_audit.applying.contract import Changer, Reporter
    from sentry_audit.applying.journal import Header, Run
    from sentry_audit.fixing import Operation

_HINT = "sentry-audit undo --list shows the runs"


def known_runs(root: Path) -> list[Run]:
    """The runs on ``root``, the oldest first."""
    real = os.path.realpath(root)
    return runs(folders_of_runs(real), real)


def undoable(root: Path, run: str = "") -> Run:
    """The run that ``undo`` takes back: the one of that name, else the latest that is not undone.

    Raises UsageError if there is no such run, FixFailed if its journal cannot be read.
    """
    chosen = _chosen(known_runs(root), run)
    if chosen.header is None:
        raise FixFailed(
            f"the journal of run {chosen.name} is damaged", f"the files as they were: {chosen.folder}/bytes"
        )
    return chosen


def undo(root: Path, run: str = "", *, cloud: Callable[[], Changer] | None, reporter: Reporter) -> tuple[str, Taken]:
    """Take back a run (the latest that is not undone); gives its name, and what was and was not taken back.

    What was changed by somebody else since stays as it is; the rest is taken back all the same. ``cloud`` is asked for
    only if the run changed Google Cloud. Whoever calls this has asked for consent. Raises what ``undoable`` raises.
    """
    undoable(root, run)  # before anything is made for the lock
    with locked(folders_of_runs(os.path.realpath(root))[0]):
        chosen = undoable(root, run)
        header = chosen.header
        assert header is not None
        asks = bool(chosen.live)
        if asks and cloud is None:
            raise UsageError(
                f"run {chosen.name} changed Google Cloud, which was not asked for", "undo it with the cloud"
            )
        changer = cloud() if asks and cloud is not None else None
        journal = Journal.reopen(chosen)
        try:
            sweep(header)
            return chosen.name, take_back(journal, header, changer, reporter)
        finally:
            journal.close()


def _chosen(known: list[Run], name: str) -> Run:
    if not name:
        whole = [run for run in known if run.state in {"applied", "unfinished", "undoing"}]
        left = whole or [run for run in known if run.state == "partly undone"]
        if not left:
            raise UsageError("there is no run to undo here", _HINT if known else "fix has not been run on this root")
        return left[-1]
    found = [run for run in known if run.name == name]
    if not found:
        raise UsageError(f"no run on this root is called {name}", nearest(name, [run.name for run in known], _HINT))
    if found[0].state == "undone":
        raise UsageError(f"run {name} is undone already", _HINT)
    return found[0]


def part_of(header: Header, number: int) -> str:
    """The name of the file in which action ``number`` is first written: told by the run, so that a dead run's is found."""
    return f".sentry-audit-{header.run}-{number}.part"


def sweep(header: Header) -> None:
    """Remove what a killed run had half written."""
    for number, action in enumerate(header.actions):
        if action.target:
            with suppress(OSError, AuditError):
                os.unlink(os.path.join(os.path.dirname(full(header.root, action.target)), part_of(header, number)))  # noqa: PTH108, PTH118, PTH120


def take_back(
    journal: Journal, header: Header, cloud: Changer | None, say: Reporter, failed: int | None = None
) -> Taken:
    """Take back everything that was begun and is not taken back yet; a failure of one leaves the others to be tried.

    ``failed`` is the action that could not be done just now: a file that somebody else changed was not written by it.
    The journal is told as far as it can be: on a full disk nothing may keep files from coming back.
    """
    ahead = journal.run.ahead
    back: list[str] = []
    left: dict[str, str] = {}
    stays: list[int] = []
    _tell(journal, "undoing")
    for number in ahead:
        action = header.actions[number]
        if action.target in left and action.operation is None:
            continue
        if reader := _reader(header, stays, action.operation):
            named = header.steps[action.step].summary
            left[f"{number}"] = f"{named}: it stays as long as {reader} is not taken back, which may read the secret"
            continue
        _tell(journal, "reverting", number)
        try:
            said = _revert(journal, header, number, cloud, written=number != failed)
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest is still to be taken back
            named = action.path or header.steps[action.step].summary
            left[action.target or f"{number}"] = f"{named}: {redact(_words(error))}"
            stays.append(number)
            continue
        if said:
            tell(say, said)
            back.append(redact(said))
        _tell(journal, "reverted", number)
    _tell(journal, "undone", left=tuple(left.values()))
    return Taken(tuple(back), tuple(left.values()))


def _reader(header: Header, stays: Iterable[int], operation: Operation | None) -> str:
    """What could not be taken back and takes a variable from the secret that ``operation`` changed; ``""`` if nothing."""
    if operation is None or "/secrets/" not in operation.resource:
        return ""
    for number in stays:
        left = header.actions[number].operation
        secrets = [secret for _, secret, _ in left.variables if secret] if left is not None else []
        if left is not None and any(
            f"/secrets/{item}".endswith(f"/{operation.resource.rpartition('/')[2]}") for item in secrets
        ):
            return left.resource.rpartition("/")[2]
    return ""


def _tell(journal: Journal, event: str, action: int = -1, left: tuple[str, ...] = ()) -> None:
    with suppress(OSError):
        journal.add(event, action, left=left)


def _words(error: Exception) -> str:
    if isinstance(error, AuditError):
        return error.message
    return str((isinstance(error, OSError) and error.strerror) or f"{type(error).__name__}: {error}")


def tell(reporter: Reporter, line: str) -> None:
    """Tell the user; that nobody listens any more (a closed pipe) stops no change half way."""
    with suppress(OSError, ValueError):
        reporter(redact(line))


def _revert(journal: Journal, header: Header, number: int, cloud: Changer | None, *, written: bool) -> str:
    action = header.actions[number]
    if action.operation is None:
        return _restore(journal.run, header, number, written=written)
    if cloud is None:
        raise FixFailed("Google Cloud was not asked for")
    done = journal.run.actions("done").get(number)
    inverse = kept(journal.run, done.inverse) if done is not None else cloud.found(action.operation, journal.run.name)
    return cloud.revert(inverse, journal.run.name) if inverse is not None else ""


def _restore(run: Run, header: Header, number: int, *, written: bool) -> str:
    """Bring one file to what it was before the action; gives what was done, empty if nothing had to be."""
    action = header.actions[number]
    root, target = header.root, action.target
    data = read(root, target)
    said = ""
    if digest(data) != action.before:
        if digest(data) != action.after and not written:
            return ""
        if digest(data) != action.after:
            shown = difference(
                action.path, text(target, _bytes(run, action.after)), text(target, data), ("fixed", "now")
            )
            raise FixFailed(f"it was changed since, so it is left as it is:\n{shown}")
        if not action.before:
            remove(root, target, before=action.after)
            said = f"removed {action.path}"
        else:
            make_folders(root, _folders(target))
            before = kept(run, action.before)
            copy = path_of(run, action.before)
            part = part_of(header, number)
            put(root, target, before, before=action.after, mode=action.mode, part=part, copy=copy)
            said = f"restored {action.path}"
    remove_folders(root, action.folders)
    return said


def _bytes(run: Run, name: str) -> bytes | None:
    return kept(run, name) if name else None


def _folders(target: str) -> list[str]:
    parts = target.split("/")[:-1]
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]
