"""Which file or folder of the tree a command names, seen from where it runs."""

from __future__ import annotations

import re
from functools import cached_property
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.python.program import Files

#: What leads to the checkout or to the script's own folder: ``$(dirname $0)/``, ``${ROOT}/``, ``~/repo/``, ``/workspace/``.
_LEAD = re.compile(r"^(?:\$[\w{}().]*|~(?:/[\w.-]+)?|/\w+)(?:/+|$)")


class Places:
    """The files and folders of one tree."""

    def __init__(self, files: Files) -> None:
        self.files = files

    @cached_property
    def _folders(self) -> frozenset[str]:
        found = {""}
        for path in self.files.paths:
            folder = dirname(path)
            while folder not in found:
                found.add(folder)
                folder = dirname(folder)
        return frozenset(found)

    def file(self, name: str, folder: str, path: str) -> str:
        """The file that ``name`` is in ``folder`` or at the root, said in the script ``path``; ``""`` if there is none."""
        return next((item for item in _candidates(name, folder, path) if item in self.files.paths), "")

    def folder(self, name: str, folder: str, path: str) -> str | None:
        """Likewise for a folder, None if there is none; ``""`` is the root."""
        if normpath(name) == ".":
            return folder
        found = ("" if item == "." else item for item in _candidates(name, folder, path))
        return next((item for item in found if item in self._folders), None)


def _candidates(name: str, folder: str, path: str) -> Iterator[str]:
    if lead := _LEAD.match(name):
        rest = name[lead.end() :] or "."
        yield normpath(join(dirname(path), rest)) if ".." in rest else normpath(rest)
        yield normpath(join(dirname(path), rest))
        return
    yield normpath(join(folder, name))
    yield normpath(name)
