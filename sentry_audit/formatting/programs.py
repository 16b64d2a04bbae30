"""The programs of formatters: found where they are installed, never installed; run over standard input.

A repository under audit is not trusted: a program that is part of it is not run. What its folders of installed things
hold counts only where git says that nothing there was committed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.sources import git

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.formatting.tools import Tool

#: Long enough for node to start on a busy machine.
TIMEOUT = 30.0


class Output(Struct, frozen=True):
    """What a formatter printed; or None, and what it said instead (``""``: it was told not to format)."""

    text: str | None
    complaint: str = ""


class Programs:
    """The programs for one repository; where each is, is looked up once."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self._found: dict[tuple[str, str], str] = {}
        self._installed: dict[str, bool] = {}

    def find(self, tool: Tool, folder: str) -> str:
        """The program for the files in ``folder``: the project's own, else one on PATH, else one beside our Python; or ``""``."""
        if (tool.name, folder) not in self._found:
            self._found[tool.name, folder] = next(self._candidates(tool, folder), "")
        return self._found[tool.name, folder]

    def _candidates(self, tool: Tool, folder: str) -> Iterator[str]:
        for place in self._places(tool, folder):
            if (found := shutil.which(tool.name, path=place)) and self._ours(found):
                yield found
        for place in os.environ.get("PATH", "").split(os.pathsep):
            if os.path.isabs(place) and (found := shutil.which(tool.name, path=place)) and self._ours(found):  # noqa: PTH117
                yield found
        if tool.python and (found := shutil.which(tool.name, path=os.path.dirname(sys.executable))):  # noqa: PTH120
            yield found

    def _places(self, tool: Tool, folder: str) -> Iterator[str]:
        names = (".venv/bin", "venv/bin", ".venv/Scripts") if tool.python else ("node_modules/.bin",)
        while True:
            for name in names:
                yield os.path.join(self.root, folder, name)  # noqa: PTH118
            if not folder:
                return
            folder = os.path.dirname(folder)  # noqa: PTH120

    def _ours(self, program: str) -> bool:
        """Whether whoever runs this installed it, and the repository did not bring it along."""
        for path in (os.path.abspath(program), os.path.realpath(program)):  # noqa: PTH100
            if not git.inside(self.root, path):
                continue
            parts = Path(path).relative_to(self.root).parts
            at = next((index for index, name in enumerate(parts) if name in {"node_modules", ".venv", "venv"}), None)
            if at is None or not self._uncommitted("/".join(parts[: at + 1])):
                return False
        return True

    def _uncommitted(self, folder: str) -> bool:
        """Whether git knows the repository, and nothing of ``folder`` is in it; a link that is committed is."""
        if folder not in self._installed:
            job = git.start(self.root, "ls-files", "-z", "--", folder) if git.checkout(self.root) else None
            self._installed[folder] = job is not None and job.output() == b""
        return self._installed[folder]

    def run(self, program: str, arguments: Sequence[str], folder: str, text: str) -> Output:
        """What ``program`` makes of ``text`` in ``folder``."""
        try:
            done = subprocess.run(
                [program, *arguments],
                input=text.encode(),
                capture_output=True,
                cwd=os.path.join(self.root, folder),  # noqa: PTH118
                env={**os.environ, "NO_COLOR": "1"},
                timeout=TIMEOUT,
                check=False,
            )
            if done.returncode == 0:
                return Output(done.stdout.decode())
        except subprocess.TimeoutExpired:
            return Output(None, f"it gave no answer in {TIMEOUT:.0f} seconds")
        except (OSError, UnicodeError) as error:
            return Output(None, str(error))
        said = done.stderr.decode("utf-8", "replace")
        if "formatter is currently disabled" in said:
            return Output(None)
        lines = said.strip().splitlines()
        return Output(None, lines[0].strip() if lines else f"it ended with {done.returncode}")
