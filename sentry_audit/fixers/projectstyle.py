"""How long the lines of a project may be, from the settings nearest to a file."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentry_audit.python.program import Files

_SETUP = re.compile(r"^\s*(?:max[-_]line[-_]length|line[-_]length)\s*=\s*(\d+)", re.MULTILINE)
_PRINTED = re.compile(r"""\b(?:printWidth|lineWidth)["']?\s*[:=]\s*(\d+)""")
_SECTION = re.compile(r"^\[([^\n]+)\]\s*$", re.MULTILINE)
_PYTHON = ("ruff.toml", ".ruff.toml", "pyproject.toml", "setup.cfg", "tox.ini", ".flake8", ".editorconfig")
_WEB = (
    *(f".prettierrc{end}" for end in ("", ".json", ".yaml", ".yml", ".json5", ".toml", ".js", ".cjs", ".mjs", ".ts")),
    *(f"prettier.config.{end}" for end in ("js", "cjs", "mjs", "ts")),
    *("package.json", "biome.json", "biome.jsonc", ".editorconfig"),
)


def line_length(files: Files, path: str) -> int:
    """The line length that is set above ``path``; what its formatters have without settings (88 and 80), else."""
    return set_length(files, path) or (88 if path.endswith((".py", ".pyi")) else 80)


def set_length(files: Files, path: str) -> int:
    """The line length that ruff, Black, flake8, prettier, biome or .editorconfig is set to above ``path``; 0 for none."""
    names = _PYTHON if path.endswith((".py", ".pyi")) else _WEB
    folder = dirname(path)
    while True:
        for name in names:
            text = files.text(join(folder, name)) if join(folder, name) in files.paths else None
            if text and (found := _configured(name, text, path)):
                return found
        if not folder:
            return 0
        folder = dirname(folder)


def _configured(name: str, text: str, path: str) -> int:
    if name == ".editorconfig":
        return _edited(text, basename(path))
    if name in _WEB and not name.endswith(".toml"):
        match = _PRINTED.search(text)
        return int(match[1]) if match else 0
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
        found = data.get("line-length") or data.get("printWidth")
    return found if isinstance(found, int) else 0


def _edited(text: str, name: str) -> int:
    """What .editorconfig says of files of this name: the last section that matches (editorconfig.org)."""
    found = 0
    parts = _SECTION.split(text)
    for pattern, body in zip(parts[1::2], parts[2::2], strict=False):
        match = _SETUP.search(body)
        if match and any(fnmatch(name, each) for each in _patterns(pattern)):
            found = int(match[1])
    return found


def _patterns(pattern: str) -> list[str]:
    """The globs of a section without its braces; folders are not looked at."""
    braces = re.fullmatch(r"(.*)\{([^{}]*)\}(.*)", pattern.rpartition("/")[2])
    if braces is None:
        return [pattern.rpartition("/")[2]]
    return [f"{braces[1]}{each.strip()}{braces[3]}" for each in braces[2].split(",")]
