"""The paths of a tree, found by how they end without going through all of them for each question."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class Paths(frozenset[str]):
    """Paths relative to a root, with forward slashes."""

    @cached_property
    def _kinds(self) -> tuple[dict[str, list[str]], frozenset[str]]:
        kinds: dict[str, list[str]] = {}
        folders: set[str] = set()
        for path in self:
            folder, _, name = path.rpartition("/")
            folders.add(folder)
            dot = name.rfind(".")
            kind = name[dot:] if dot >= 0 else ""
            if kind in kinds:
                kinds[kind].append(path)
            else:
                kinds[kind] = [path]
        return kinds, frozenset(folders)

    @property
    def folders(self) -> frozenset[str]:
        """The folders that hold a file; ``""`` is the root."""
        return self._kinds[1]

    def has_folder(self, name: str) -> bool:
        """Whether a file lies in this folder or below it."""
        return name in self.folders or any(folder.startswith(f"{name}/") for folder in self.folders)

    def of(self, *suffixes: str) -> list[str]:
        """The paths with one of these suffixes (``.py``; ``""``: none), in no order."""
        return [path for suffix in suffixes for path in self._kinds[0].get(suffix, ())]

    def but(self, suffixes: Collection[str]) -> list[str]:
        """The paths with none of these suffixes, in no order."""
        return [path for suffix, paths in self._kinds[0].items() if suffix not in suffixes for path in paths]

    def called(self, *names: str) -> list[str]:
        """The files of these names, in any folder, in no order."""
        suffixes = {name[name.rfind(".") :] if "." in name else "" for name in names}
        return [path for path in self.of(*suffixes) if path.rpartition("/")[2] in names]


def named(root: str) -> str:
    """`` ROOT`` as a command takes it, quoted for a shell; ``""`` for the current folder."""
    import shlex

    return "" if root in {"", "."} else f" {shlex.quote(root)}"
