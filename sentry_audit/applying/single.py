"""One file of a repository is written outside any run of ``fix``: whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sentry_audit.applying.places import locate, read
from sentry_audit.applying.writing import digest, new_mode, put

if TYPE_CHECKING:
    from pathlib import Path


def contents(root: Path | str, name: str) -> bytes | None:
    """What the file ``name`` below ``root`` holds; None if there is none."""
    base = os.path.realpath(root)
    return read(base, locate(base, name))


def write(root: Path | str, name: str, data: bytes, before: bytes | None) -> None:
    """Make the file ``name`` below ``root`` hold ``data``, if it still holds ``before``. Raises Stale, OSError."""
    base = os.path.realpath(root)
    target = locate(base, name)
    part = f".{target.rpartition('/')[2]}.{os.getpid()}.part"
    put(base, target, data, before=digest(before), mode=new_mode(base, target, script=False), part=part)
