"""The formatters that are known: what they format, and how each is called over standard input.

Sources: docs.astral.sh/ruff/formatter, black.readthedocs.io (usage: ``--line-ranges``), prettier.io/docs/cli and
/docs/options (``rangeStart``), biomejs.dev/reference/cli.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

PYTHON = (".py", ".pyi")
SCRIPTS = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")
_JSON = (".json", ".jsonc", ".json5")
_PAGES = (".css", ".scss", ".less", ".html", ".vue", ".yaml", ".yml")


class Tool(Struct, frozen=True, kw_only=True):
    """One formatter: ``whole`` and ``part`` give its arguments for a path, and for lines of a text.

    ``part`` is None where it formats whole files only, or for files that do not end in one of ``ranged``. ``command`` is
    what a person runs on files, ``package`` what npm installs it by.
    """

    name: str
    command: str
    suffixes: tuple[str, ...]
    whole: Callable[[str], tuple[str, ...]]
    part: Callable[[str, int, int], tuple[str, ...]] | None = None
    ranged: tuple[str, ...] = ()
    python: bool = False
    package: str = ""


def _ruff(path: str) -> tuple[str, ...]:
    return ("format", "--no-cache", "--force-exclude", "--stdin-filename", path, "-")


def _ruff_part(_text: str, first: int, last: int) -> tuple[str, ...]:
    return (f"--range={first}-{last + 1}",)


def _black(path: str) -> tuple[str, ...]:
    return ("-q", "--stdin-filename", path, "-")


def _black_part(_text: str, first: int, last: int) -> tuple[str, ...]:
    return (f"--line-ranges={first}-{last}",)


def _prettier(path: str) -> tuple[str, ...]:
    return ("--stdin-filepath", path)


def _prettier_part(text: str, first: int, last: int) -> tuple[str, ...]:
    """Offsets as JavaScript counts: in units of UTF-16."""
    lines = text.splitlines(keepends=True)
    start, stop = (len("".join(lines[:count]).encode("utf-16-le")) // 2 for count in (first - 1, last))
    return ("--range-start", str(start), "--range-end", str(stop))


def _biome(path: str) -> tuple[str, ...]:
    return ("format", f"--stdin-file-path={path}")


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            name="ruff",
            command="ruff format",
            suffixes=PYTHON,
            whole=_ruff,
            part=_ruff_part,
            ranged=PYTHON,
            python=True,
        ),
        Tool(
            name="black", command="black", suffixes=PYTHON, whole=_black, part=_black_part, ranged=PYTHON, python=True
        ),
        Tool(
            name="prettier",
            package="prettier",
            command="npx prettier --write",
            suffixes=(*SCRIPTS, *_JSON, *_PAGES),
            whole=_prettier,
            part=_prettier_part,
            ranged=(*SCRIPTS, *_JSON),
        ),
        Tool(
            name="biome",
            package="@biomejs/biome",
            command="npx biome format --write",
            suffixes=(*SCRIPTS, *_JSON[:2], ".css"),
            whole=_biome,
        ),
    )
}
