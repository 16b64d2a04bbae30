"""Where a command bundles a front end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDERS = frozenset({"--prefix", "--cwd", "--dir", "-C"})


def bundled_in(words: Sequence[str]) -> str:
    """The folder, from where it is started, in which a bundler is told to build."""
    for at, word in enumerate(words):
        flag, mark, value = word.partition("=")
        if flag in _FOLDERS:
            return value if mark else next(iter(words[at + 1 : at + 2]), ".")
    return "."
