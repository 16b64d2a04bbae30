"""From a plan to the actions of a run: every precondition is looked at, and all bytes are known, before one is written."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.applying.journal import Action
from sentry_audit.applying.places import locate, missing_folders, read
from sentry_audit.applying.texts import difference, encoded, text
from sentry_audit.applying.writing import digest, mode_of, new_mode
from sentry_audit.errors import FixFailed, Stale

if TYPE_CHECKING:
    from sentry_audit.fixing import FileChange, Plan, Step


class Prepared(Struct, frozen=True):
    """The actions in their order, and all bytes that they speak of, by name."""

    actions: tuple[Action, ...]
    contents: dict[str, bytes]


class _Disk:
    """The files as they will be at each point of the plan."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.files: dict[str, tuple[bytes | None, int]] = {}
        self.folders: set[str] = set()
        self.contents: dict[str, bytes] = {}

    def look(self, target: str) -> tuple[bytes | None, int]:
        """The bytes and the mode of a file at this point."""
        if target not in self.files:
            data = read(self.root, target)
            self.files[target] = (data, mode_of(self.root, target) if data is not None else 0)
        return self.files[target]

    def keep(self, data: bytes | None) -> str:
        name = digest(data)
        if data is not None:
            self.contents[name] = data
        return name

    def missing(self, target: str) -> tuple[str, ...]:
        """The folders that are first missed by this file."""
        missing = [folder for folder in missing_folders(self.root, target) if folder not in self.folders]
        self.folders.update(missing)
        return tuple(missing)


def targets(root: str, plan: Plan) -> list[str]:
    """The files that a plan writes, as paths below ``root`` with links followed. Raises FixFailed."""
    return list(dict.fromkeys(locate(root, change.path) for step in plan.steps for change in step.files))


def prepare(root: str, plan: Plan) -> Prepared:
    """Look at every file of ``plan``, in its order.

    Raises Stale, with a small diff, for a file that is not what the plan was made for; FixFailed for one that may not be
    written, or that cannot be in its encoding.
    """
    disk = _Disk(root)
    actions: list[Action] = []
    for number, step in enumerate(plan.steps):
        actions.extend(_step(disk, number, step))
    return Prepared(tuple(actions), disk.contents)


def _step(disk: _Disk, number: int, step: Step) -> list[Action]:
    actions = [action for change in step.files if (action := _action(disk, number, change)) is not None]
    if step.operation is not None:
        actions.append(Action(step=number, operation=step.operation))
    return actions


def _action(disk: _Disk, number: int, change: FileChange) -> Action | None:
    target = locate(disk.root, change.path)
    data, mode = disk.look(target)
    found = text(target, data)
    if found != change.before:
        shown = difference(change.path, change.before, found, ("planned for", "now"))
        raise Stale(f"{change.path} is not what the plan was made for:\n{shown}", "nothing was changed; run fix again")
    after = None if change.after is None else encoded(target, data, change.after)
    if after == data:
        return None
    _refuse_protected(disk.root, target, mode if data is not None else None)
    if data is None and after is not None:
        mode = new_mode(disk.root, target, after.startswith(b"#!"))
    disk.files[target] = (after, mode)
    return Action(
        step=number,
        path=change.path,
        target=target,
        before=disk.keep(data),
        after=disk.keep(after),
        mode=mode,
        folders=disk.missing(target) if after is not None else (),
    )


def _refuse_protected(root: str, target: str, mode: int | None) -> None:
    """Refuse what could be replaced by a rename, but was made read-only by somebody; and what cannot be written."""
    path = f"{root}/{target}"
    if mode is not None and (not mode & 0o222 or (os.path.lexists(path) and not os.access(path, os.W_OK))):
        raise FixFailed(f"{target} is read-only", "make it writable (chmod u+w); nothing was changed")
    folder = os.path.dirname(path)  # noqa: PTH120
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)  # noqa: PTH120
    shown = os.path.relpath(folder, root)
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        raise FixFailed(f"{shown} is not a folder, so {target} cannot be made", "nothing was changed")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FixFailed(f"the folder {shown} is read-only, so {target} cannot be written", "nothing was changed")
