"""Which manifest of the repository stands behind the file that ``gcloud run services replace`` is given.

Manifests are rendered before they are deployed: with sed, envsubst or cp, into a pipe, by a script that takes both files.
What a command names together belongs together, and the last such command counts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.deployment.knative import MARKS

if TYPE_CHECKING:
    from sentry_audit.deployment.places import Places
    from sentry_audit.python.program import Files
    from sentry_audit.scanners.shell import SimpleCommand

#: The state that runs already, written to a file and put back: nothing is declared.
LIVE = "what runs already"
_NAME = re.compile(r"\.(?:ya?ml|json|tmpl|tpl|template|in|j2|jinja2?|envsubst|dist)$")
_STDIN = frozenset({"-", "/dev/stdin", "/proc/self/fd/0"})


class Manifests:
    """What the commands of one pipeline have said so far about files."""

    def __init__(self, files: Files, places: Places) -> None:
        self.files = files
        self.places = places
        self.documents: dict[str, tuple[str, int]] = {}
        self._said: list[tuple[tuple[str, ...], str, str]] = []

    def note(self, command: SimpleCommand, folder: str, path: str) -> None:
        """Remember which files ``command`` names together; a pipe's commands are one."""
        words = [part for word in command.words[1:] for part in (word, *word.split("=", 1)[1:])]
        names = (LIVE, *command.writes) if "describe" in words else (*words, *command.reads, *command.writes)
        if command.piped and self._said:
            names = (*names, *self._said.pop()[0])
        self._said.append((names, folder, path))

    def origin(self, name: str, folder: str, path: str) -> str:
        """The manifest that ``name`` is or was made from: a path, a here-document, ``LIVE``; ``""`` if it is not known."""
        if target := self._manifest(name, folder, path):
            return target
        return self._before(name, len(self._said), set())

    def _before(self, name: str, end: int, seen: set[str]) -> str:
        """The manifest that is named together with ``name``, or with what is; commands after ``end`` do not count."""
        seen.add(name)
        for at in range(end - 1, -1, -1):
            names, folder, path = self._said[at]
            stream = name in _STDIN and at == end - 1
            if name not in names and not stream:
                continue
            others = [item for item in names if item not in seen]
            found = (self._manifest(item, folder, path) for item in others)
            if target := next((item for item in found if item), ""):
                return target
            if LIVE in names:
                return LIVE
            for item in others:
                if (_NAME.search(item) or item.startswith("$_")) and (target := self._before(item, at, seen)):
                    return target
        return ""

    def _manifest(self, name: str, folder: str, path: str) -> str:
        if name in self.documents:
            return name if any(mark in self.documents[name][0] for mark in MARKS) else ""
        target = self.places.file(name, folder, path) if _NAME.search(name) else ""
        text = self.files.text(target) or "" if target else ""
        return target if any(mark in text for mark in MARKS) else ""
