"""A head start: git lists and searches the folder to be audited while the command line is still being loaded.

Half of a short run is Python loading modules; git has another core. A wrong guess costs one git process, which
ends unread: what is audited is decided by the command line, never here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sentry_audit.mentions import TOKENS
from sentry_audit.sources import git

if TYPE_CHECKING:
    from collections.abc import Sequence

_FLAGS = frozenset({"--offline", "--all-envs", "--allow-unknown", "--show-passed", "--verbose", "-v"})
_started: dict[str, git.Jobs] = {}


def begin(arguments: Sequence[str]) -> None:
    """Start on the folder that the arguments of ``check`` seem to name."""
    root = os.path.realpath(guess(arguments))
    if os.path.isdir(root) and git.checkout(root) is not None:  # noqa: PTH112 - pathlib is not loaded yet
        _started[root] = git.begin(root, TOKENS)


def guess(arguments: Sequence[str]) -> str:
    """The first argument that is neither an option nor an option's value; the current folder without one."""
    before = ""
    for word in arguments:
        if not word.startswith("-") and (not before.startswith("-") or "=" in before or before in _FLAGS):
            return word
        before = word
    return "."


def take(root: str) -> git.Jobs | None:
    """The jobs that run on ``root`` (absolute, resolved), once."""
    return _started.pop(root, None)
