"""One file is replaced, made or removed: whole or not at all, whatever happens in between."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from contextlib import suppress
from hashlib import sha256
from posixpath import splitext
from typing import TYPE_CHECKING

from sentry_audit.applying.places import full, read
from sentry_audit.errors import Stale

if TYPE_CHECKING:
    from collections.abc import Sequence

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def digest(data: bytes | None) -> str:
    """What names the bytes of a file: SHA-256; empty if there is no file."""
    return "" if data is None else sha256(data).hexdigest()


def put(root: str, target: str, data: bytes, *, before: str, mode: int, part: str, copy: str = "") -> None:
    """Make ``target`` hold ``data``, if it still is what ``before`` names.

    ``part`` is the name of the file beside it that is written first. A file that is there keeps its mode, its owner and
    its attributes; a new one gets ``mode``. On a full disk ``copy``, a file with the same bytes, is linked in.

    Raises Stale, OSError.
    """
    path = full(root, target)
    folder = os.path.dirname(path)  # noqa: PTH120
    beside = f"{folder}/{part}"
    try:
        try:
            _write(beside, data, path, mode)
        except OSError as error:
            if not copy or error.errno not in _FULL:
                raise
            _link(copy, beside, path, mode)
        _expect(root, target, before)
        os.replace(beside, path)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)  # noqa: PTH108
        raise
    sync_folder(folder)


def remove(root: str, target: str, *, before: str) -> None:
    """Remove a file that still is what ``before`` names. Raises Stale, OSError."""
    path = full(root, target)
    _expect(root, target, before)
    os.unlink(path)  # noqa: PTH108
    sync_folder(os.path.dirname(path))  # noqa: PTH120


def _expect(root: str, target: str, before: str) -> None:
    if digest(read(root, target)) != before:
        raise Stale(f"{target} was changed by somebody else meanwhile", "it is left as it is; run fix again")


def _write(beside: str, data: bytes, path: str, mode: int) -> None:
    descriptor = os.open(beside, _CREATE, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        _dress(beside, path, mode)
        os.fsync(descriptor)


def _link(copy: str, beside: str, path: str, mode: int) -> None:
    """Give ``copy`` a second name: takes no room, and the bytes of an undo are there already."""
    with suppress(FileNotFoundError):
        os.unlink(beside)  # noqa: PTH108
    os.link(copy, beside)
    _dress(beside, path, mode)


def _dress(beside: str, path: str, mode: int) -> None:
    """Give the new file what the old one has beside its bytes; where there is none: ``mode``, the folder's owner."""
    try:
        like = os.lstat(path)
        mode = stat.S_IMODE(like.st_mode)
    except FileNotFoundError:
        like = os.stat(os.path.dirname(path))  # noqa: PTH116, PTH120
    mine = os.lstat(beside)
    if hasattr(os, "geteuid") and os.geteuid() == 0 and (like.st_uid, like.st_gid) != (mine.st_uid, mine.st_gid):
        with suppress(OSError):
            os.chown(beside, like.st_uid, like.st_gid)
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for name in os.listxattr(path):
                with suppress(OSError):
                    os.setxattr(beside, name, os.getxattr(path, name))
    os.chmod(beside, mode)  # noqa: PTH101 - last: a change of the owner takes bits away


def make_folders(root: str, folders: Sequence[str]) -> None:
    """Make ``folders``, from the top down; one that is there already is fine. Raises OSError."""
    for folder in folders:
        path = full(root, folder)
        with suppress(FileExistsError):
            os.mkdir(path)  # noqa: PTH102
            sync_folder(os.path.dirname(path))  # noqa: PTH120


def remove_folders(root: str, folders: Sequence[str]) -> None:
    """Remove those of ``folders`` that are empty, from the bottom up."""
    for folder in reversed(folders):
        with suppress(OSError):
            os.rmdir(f"{root}/{folder}")  # noqa: PTH106


def sync_folder(folder: str) -> None:
    """Have the names in a folder reach the disk, on systems that know of such a thing."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network file systems have no sync of folders
            raise
    finally:
        os.close(descriptor)


def mode_of(root: str, target: str) -> int:
    """The mode of a file that is there."""
    return stat.S_IMODE(os.lstat(f"{root}/{target}").st_mode)


def new_mode(root: str, target: str, script: bool) -> int:
    """The mode for a new file: that of most files beside it (first those with its ending), else 0644 and the umask.

    ``script``: it starts with ``#!``, so whoever may read it may run it.
    """
    folder, _, name = target.rpartition("/")
    modes: dict[str, list[int]] = {}
    with suppress(OSError), os.scandir(f"{root}/{folder}") as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                mode = stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode) & 0o666
                modes.setdefault(splitext(entry.name)[1], []).append(mode)
    beside = modes.get(splitext(name)[1]) or [mode for group in modes.values() for mode in group]
    mode = min(Counter(beside).most_common(), key=lambda pair: (-pair[1], pair[0]))[0] if beside else 0o644 & ~_umask()
    mode |= 0o600
    return mode | (mode & 0o444) >> 2 if script else mode


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
