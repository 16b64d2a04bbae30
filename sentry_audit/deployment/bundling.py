"""Commands that bundle a front end, and where they do."""

from __future__ import annotations

import re
from itertools import dropwhile
from posixpath import basename
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDERS = frozenset({"--prefix", "--cwd", "--dir", "-C"})
_BUILDS = re.compile(r"^(npm|pnpm|yarn|bun|npx|next|vite)$")


def is_frontend_build(words: Sequence[str]) -> bool:
    """``npm run build``, ``pnpm --filter web build``, ``next build``, ``vite build``."""
    rest = list(dropwhile(lambda word: "=" in word, words))
    return (
        bool(rest)
        and bool(_BUILDS.match(basename(rest[0])))
        and any(word.partition(":")[0] == "build" for word in rest[1:])
    )


def bundled_in(words: Sequence[str]) -> str:
    """The folder, from where it is started, in which a bundler is told to build."""
    for at, word in enumerate(words):
        flag, mark, value = word.partition("=")
        if flag in _FOLDERS:
            return value if mark else next(iter(words[at + 1 : at + 2]), ".")
    return "."
