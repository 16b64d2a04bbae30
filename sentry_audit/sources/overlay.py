"""The audited tree with edits in memory: how it would be audited once they were written. Nothing is written here."""

from __future__ import annotations

import os
from functools import cached_property
from posixpath import dirname, normpath
from typing import TYPE_CHECKING

from sentry_audit.paths import Paths
from sentry_audit.sources import git
from sentry_audit.sources.tree import Tree
from sentry_audit.sources.walk import FOREIGN, ours, passes_over

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sentry_audit.model import Problem


class Overlay(Tree):
    """``tree`` with ``edits``: the whole text of a file by its path, None for one that is removed.

    What is not edited is answered by ``tree``, whose reads and searches are reused. Raises ValueError for an edit that
    ``refusal`` does not allow.
    """

    def __init__(self, tree: Tree, edits: Mapping[str, str | None]) -> None:
        for path, after in edits.items():
            if reason := refusal(tree, path, after):
                raise ValueError(f"{path}: {reason}")
        self.root = tree.root
        self._tree = tree
        self._edits = dict(edits)

    # --- which files ------------------------------------------------------------------------------

    @cached_property
    def paths(self) -> Paths:
        """Every file that counts, with those that are added and without those that are removed."""
        there = {path for path, text in self._edits.items() if text is not None}
        return Paths((self._tree.paths - self._edits.keys()) | there)

    @property
    def submodules(self) -> tuple[str, ...]:
        """As in the tree itself."""
        return self._tree.submodules

    def leave_out(self, patterns: Sequence[str]) -> None:
        """Not here: the tree itself is told before it is edited."""
        raise NotImplementedError(f"leave {', '.join(patterns)} out of the tree that is edited")

    # --- what is said of them ---------------------------------------------------------------------

    @property
    def problems(self) -> list[Problem]:  # type: ignore[override]
        """Those of the tree, without what an edit puts right."""
        return [item for item in self._tree.problems if item.evidence.path not in self._edits]

    @property
    def notes(self) -> list[str]:  # type: ignore[override]
        """Those of the tree."""
        return self._tree.notes

    def text(self, path: str) -> str | None:
        """The text as edited; None for a file that is removed."""
        return self._edits[path] if path in self._edits else self._tree.text(path)

    def probe(self, paths: Iterable[str]) -> None:
        """What is edited is text; the rest as in the tree."""
        self._tree.probe([path for path in paths if path not in self._edits])

    # --- which mention something ------------------------------------------------------------------

    def prefetch(self, tokens: Sequence[str], suffix: str = "") -> None:
        """Start a search of the tree."""
        self._tree.prefetch(tokens, suffix)

    def search(self, tokens: Sequence[str], suffix: str = "") -> list[str]:
        """As in the tree; edited files are looked through in memory."""
        hits = {path for path in self._tree.search(tokens, suffix) if path not in self._edits}
        hits.update(path for path in self._edits if path.endswith(suffix) and self._mentions_edited(path, tokens))
        return sorted(hits)

    def among(self, paths: Iterable[str], tokens: Sequence[str]) -> list[str]:
        """Those of ``paths`` that contain one of ``tokens``, in their order."""
        paths = list(paths)
        hits = set(self._tree.among([path for path in paths if path not in self._edits], tokens))
        return [path for path in paths if path in hits or self._mentions_edited(path, tokens)]

    def _mentions_edited(self, path: str, tokens: Sequence[str]) -> bool:
        text = self._edits.get(path)
        return text is not None and any(token in text for token in tokens)


def refusal(tree: Tree, path: str, after: str | None) -> str:
    """Why ``path`` must not be given the text ``after`` (None: be removed); ``""`` if it may.

    An edit stays below the root, goes through no link, and touches only what is audited: other repositories, foreign
    folders, what the settings leave out and files that git ignores are not.
    """
    base = os.path.realpath(tree.root)
    if not path or normpath(path) != path or path.startswith(("/", "..")) or "\\" in path or "\0" in path:
        return "not a path below the audited folder"
    if os.path.realpath(f"{base}/{path}") != os.path.join(base, *path.split("/")):  # noqa: PTH118
        return "a symbolic link, or behind one"
    if after is not None and ("\0" in after or any("\ud800" <= char <= "\udfff" for char in after)):
        return "its new text could not be written: it has NUL bytes or lone surrogates in it"
    if path in tree.paths and os.path.lexists(f"{base}/{path}"):
        text = tree.text(path)
        if text is None:
            return "not a text file that can be read"
        return "its text was not read without loss" if "\ufffd" in text else ""
    return _new(tree, base, path, after)


def _new(tree: Tree, base: str, path: str, after: str | None) -> str:
    if after is None:
        return "not a file of the audited tree"
    if os.path.lexists(f"{base}/{path}"):
        return "there already, but not a file of the audited tree"
    if any(path.startswith(f"{folder.rstrip('/')}/") for folder in tree.submodules):
        return "in another repository"
    if FOREIGN & set(dirname(path).split("/")) or not ours({path}, tree.excluded):
        return "not audited: the settings leave it out, or its folder is not the application's"
    folder = dirname(path)
    while folder and not os.path.lexists(f"{base}/{folder}"):
        folder = dirname(folder)
    if folder and not os.path.isdir(f"{base}/{folder}"):  # noqa: PTH112
        return f"{folder} is a file, not a folder"
    passed = git.ignores(base, path) if git.checkout(base) is not None else passes_over(base, path)
    return "a file of this name is ignored (.gitignore), and would not be audited" if passed else ""
