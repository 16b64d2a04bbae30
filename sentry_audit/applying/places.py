"""Where a path of a plan really is. Nothing outside the root, or inside what git keeps, is ever written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sentry_audit.errors import FixFailed
from sentry_audit.sources import git

#: Folders that are nobody's sources; in lower case, as a file system may not tell cases apart.
_KEPT_OUT = frozenset({".git", ".sentry-audit"})
_HINT = "nothing was changed by this"
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def locate(root: str, path: str) -> str:
    """Where ``path`` is below ``root`` once links are followed, relative to it; ``root`` is resolved itself.

    Raises FixFailed where that is outside, inside ``.git``, or the end of a link to nothing.
    """
    parts = path.split("/")
    if not path or "\0" in path or path.startswith("/") or {"", ".", ".."} & set(parts) or os.path.splitdrive(path)[0]:
        raise FixFailed(f"{path!r} is no path below the root", _HINT)
    full = f"{root}/{path}"
    target = os.path.realpath(full)
    if not git.inside(root, target) or target == root:
        raise FixFailed(f"{path} is a link that leads out of {root}, so it is not written", "edit what it leads to")
    if Path(target).is_symlink() or (Path(full).is_symlink() and not Path(target).exists()):
        raise FixFailed(f"{path} is a link to nothing, so it is not written", "remove it, or make what it leads to")
    relative = os.path.relpath(target, root).replace(os.sep, "/")
    if _KEPT_OUT & {part.lower() for part in (*parts, *relative.split("/"))}:
        raise FixFailed(f"{path} is inside what git or sentry-audit keeps for itself, so it is not written", _HINT)
    return relative


def full(root: str, target: str) -> str:
    """The whole path of what ``locate`` gave; raises FixFailed if a link has come in between since."""
    path = f"{root}/{target}"
    folder = os.path.dirname(path)  # noqa: PTH120 - the tree speaks in strings
    if os.path.realpath(folder) != folder:
        raise FixFailed(f"a folder above {target} is a link now, so it is not written", "undo that first")
    return path


def read(root: str, target: str) -> bytes | None:
    """The bytes of a file; None if there is none. Raises FixFailed if it is something else, or cannot be read."""
    path = full(root, target)
    try:
        descriptor = os.open(path, _READ)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FixFailed(f"{target} cannot be read: {error.strerror}", _HINT) from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FixFailed(f"{target} is not a file, so it is not written", _HINT)
        return file.read()


def missing_folders(root: str, target: str) -> list[str]:
    """The folders above ``target`` that are not there, from the top down."""
    parts = target.split("/")[:-1]
    above = ["/".join(parts[: number + 1]) for number in range(len(parts))]
    return [folder for folder in above if not os.path.lexists(f"{root}/{folder}")]
