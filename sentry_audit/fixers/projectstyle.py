"""How the project's formatter has its lines, from the settings nearest to a file."""

from __future__ import annotations

import re
import tomllib
from posixpath import dirname, join
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentry_audit.python.program import Files

_SETUP = re.compile(r"^\s*(?:max[-_]line[-_]length|line[-_]length)\s*=\s*(\d+)", re.MULTILINE)


def line_length(files: Files, path: str) -> int:
    """The line length that ruff, Black or flake8 is set to above ``path``; 88, as both formatters have it, else."""
    folder = dirname(path)
    while True:
        for name in ("ruff.toml", ".ruff.toml", "pyproject.toml", "setup.cfg", "tox.ini", ".flake8"):
            text = files.text(join(folder, name)) if join(folder, name) in files.paths else None
            if text and (found := _configured(name, text)):
                return found
        if not folder:
            return 88
        folder = dirname(folder)


def _configured(name: str, text: str) -> int:
    if not name.endswith(".toml"):
        match = _SETUP.search(text)
        return int(match[1]) if match else 0
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return 0
    if name == "pyproject.toml":
        tools = data.get("tool", {})
        found = tools.get("ruff", {}).get("line-length") or tools.get("black", {}).get("line-length")
    else:
        found = data.get("line-length")
    return found if isinstance(found, int) else 0
