"""Which formatters a file's project has: from the settings nearest to it, and from what its hooks and pipelines run."""

from __future__ import annotations

import json
import re
import tomllib
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.formatting.tools import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.python.program import Files

_RUFF = re.compile(r"\bruff\s+format\b|\bid:\s*ruff-format\b")
_BLACK = re.compile(r"\bid:\s*black\b|\bpsf/black\b|\bblack\s+(?:--?\w|[\w./$-]*[./]|src\b|app\b|tests?\b)")
#: Where prose or lists of versions are written, and no command is run.
_PROSE = (".md", ".rst", ".txt", ".lock", ".adoc", ".ipynb", ".html", ".json5")
_STATIC = (
    ".prettierrc",
    ".prettierrc.json",
    ".prettierrc.yaml",
    ".prettierrc.yml",
    ".prettierrc.json5",
    ".prettierrc.toml",
)
_CODE = tuple(
    f"{stem}.{end}" for stem in (".prettierrc", "prettier.config") for end in ("js", "mjs", "cjs", "ts", "mts", "cts")
)
#: Settings that make prettier load code: plugins, and a parser given by its path.
_LOADS = re.compile(r"\bplugins\b|\bparser\b\W+[./]")


class Choice(Struct, frozen=True):
    """A formatter that ``folder`` has settings for; ``home`` is where a person runs it.

    ``left``: why it is not run here all the same.
    """

    tool: str
    folder: str
    left: str = ""
    home: str = ""


class Choosing:
    """What is chosen for the files of one repository; its hooks and pipelines are read once."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._run: dict[str, bool] = {}

    def choices(self, path: str) -> list[Choice]:
        """The formatters of a file, the likeliest first; none where no settings ask for one."""
        if path.endswith(TOOLS["ruff"].suffixes):
            return self._python(path)
        return [item for item in self._web(path) if path.endswith(TOOLS[item.tool].suffixes)]

    # --- Python -------------------------------------------------------------------------------------

    def _python(self, path: str) -> list[Choice]:
        ruff, black, formats = None, None, False
        for folder in _up(path):
            tools = self._toml(join(folder, "pyproject.toml")).get("tool", {})
            own = next((data for name in (".ruff.toml", "ruff.toml") if (data := self._own(join(folder, name)))), None)
            settings = own if own is not None else tools.get("ruff")
            if ruff is None and settings is not None:
                ruff, formats = folder, "format" in settings
            if black is None and "black" in tools:
                black = folder
        runs_ruff, runs_black = self._runs("ruff", _RUFF, "ruff"), self._runs("black", _BLACK, "black")
        found = []
        if runs_ruff or formats:
            found.append((not runs_ruff, Choice("ruff", ruff or "", home=ruff or "")))
        if runs_black or black is not None:
            found.append((not runs_black, Choice("black", black or "", home=black or "")))
        return [choice for _, choice in sorted(found, key=lambda item: item[0])]

    def _runs(self, name: str, pattern: re.Pattern[str], token: str) -> bool:
        """Whether a hook, a pipeline, a script or a Makefile of the repository runs it."""
        if name not in self._run:
            paths = (path for path in self.files.search((token,)) if _runs_commands(path))
            self._run[name] = any(pattern.search(_bare(self.files.text(path) or "")) for path in paths)
        return self._run[name]

    def _own(self, path: str) -> dict[str, Any] | None:
        return (self._toml(path) or {"": None}) if path in self.files.paths else None

    def _toml(self, path: str) -> dict[str, Any]:
        try:
            return tomllib.loads(self.files.text(path) or "") if path in self.files.paths else {}
        except tomllib.TOMLDecodeError:
            return {}

    # --- JavaScript, and what is written beside it ----------------------------------------------------

    def _web(self, path: str) -> Iterator[Choice]:
        found: set[str] = set()
        for folder in _up(path):
            for choice in (self._prettier(folder), self._biome(folder)):
                if choice is not None and choice.tool not in found:
                    found.add(choice.tool)
                    yield replace(choice, home=self._home(path, choice))

    def _home(self, path: str, choice: Choice) -> str:
        """The folder of the package.json that installs it; else that of its settings."""
        word = f'"{TOOLS[choice.tool].package}"'
        manifests = ((folder, join(folder, "package.json")) for folder in _up(path))
        named = (
            folder for folder, name in manifests if name in self.files.paths and word in (self.files.text(name) or "")
        )
        return next(named, choice.folder)

    def _prettier(self, folder: str) -> Choice | None:
        there = [name for name in (*_STATIC, *_CODE) if join(folder, name) in self.files.paths]
        key = self._package(folder)
        if key is None and not there:
            return None
        code = next((name for name in there if name in _CODE), "")
        if code and key is None:
            return Choice("prettier", folder, f"{join(folder, code)} is code, which is not run")
        if isinstance(key, str):
            return Choice("prettier", folder, f"its settings are the package {key}, whose code is not run")
        text = json.dumps(key) if key is not None else self.files.text(join(folder, there[0])) or ""
        if _LOADS.search(text):
            where = join(folder, there[0] if key is None else "package.json")
            return Choice("prettier", folder, f"{where} names plugins, whose code is not run")
        return Choice("prettier", folder)

    def _package(self, folder: str) -> object:
        path = join(folder, "package.json")
        if path not in self.files.paths:
            return None
        try:
            data = json.loads(self.files.text(path) or "")
        except ValueError:
            return None
        return data.get("prettier") if isinstance(data, dict) else None

    def _biome(self, folder: str) -> Choice | None:
        there = any(join(folder, name) in self.files.paths for name in ("biome.json", "biome.jsonc"))
        return Choice("biome", folder) if there else None


def _up(path: str) -> Iterator[str]:
    folder = dirname(path)
    while folder:
        yield folder
        folder = dirname(folder)
    yield ""


def _runs_commands(path: str) -> bool:
    """Whether a file is one in which commands are written: not prose, and no program but nox's."""
    name = basename(path)
    return not name.endswith(_PROSE) and (not name.endswith((".py", ".ts", ".js")) or name == "noxfile.py")


def _bare(text: str) -> str:
    """Without the lines that are remarks."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
