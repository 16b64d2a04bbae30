"""Where code reads a variable of the environment, and where it only names one: the first links of a way. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.comments import is_commented
from sentry_audit.javascript.names import is_test
from sentry_audit.model import Evidence
from sentry_audit.python.paths import importable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.python.program import Files

_JAVASCRIPT = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts", ".vue", ".svelte", ".astro")
_OTHER = (
    ".go",
    ".rs",
    ".php",
    ".rb",
    ".java",
    ".kt",
    ".cs",
    ".ex",
    ".exs",
    ".swift",
    ".dart",
    ".scala",
    ".erl",
    ".clj",
    ".pl",
)
#: Prefixes that a bundler or django-configurations puts before the name that code uses.
_PREFIX = re.compile(r"^(NEXT_PUBLIC|VITE|REACT_APP|GATSBY|VUE_APP|PUBLIC|EXPO_PUBLIC|NUXT_PUBLIC|NUXT|DJANGO)_")


class Mentions(Struct, frozen=True):
    """Where a variable is read; and where it is named, and whether that reads it was not followed."""

    reads: tuple[Evidence, ...] = ()
    names: tuple[Evidence, ...] = ()


def named_in_code(name: str, files: Files) -> Mentions:
    """Where the repository's code reads or names the variable ``name``, tests and comments left out."""
    paths = [path for path in files.search([name]) if importable(path) and not is_test(path)]
    word = re.escape(name)
    taken = re.compile(  # in JavaScript a constant may have the name of a variable
        rf"""(?:\benv\??\.|["'`]){word}\b|\{{[^{{}}]*\b{word}\b[^{{}}]*\}}\s*(?:=\s*[\w.]*\benv\b|from\s*["']\$env/)"""
    )
    quoted = re.compile(rf"""["']{word}["']""")
    reads = [
        *_rows(name, (path for path in paths if path.endswith(".py")), files, quoted),
        *_rows(name, (path for path in paths if path.endswith(_JAVASCRIPT)), files, taken),
    ]
    if reads:
        return Mentions(tuple(sorted(reads, key=str)))
    names = _named(name, paths, files)
    if not names and (bare := _PREFIX.sub("", name)) != name:
        names = _named(bare, [path for path in files.search([bare]) if importable(path) and not is_test(path)], files)
    return Mentions(names=names)


def _named(name: str, paths: Iterable[str], files: Files) -> tuple[Evidence, ...]:
    """Members and keys of that name (``Config.NAME``), and other languages, which are not read."""
    word = re.escape(name)
    ways = (
        ((".py",), re.compile(rf"""^[^"'#]*(?<![\w$]){word}\b""")),
        (_JAVASCRIPT, re.compile(rf"""[\w)\]]\??\.{word}\b|^[^"'`]*(?<![\w$.]){word}\s*:(?!\s*string\b)""")),
        (_OTHER, re.compile(rf"(?<![\w$]){word}\b")),
    )
    known = [path for path in paths if not path.endswith(".d.ts")]
    found = [
        place
        for endings, pattern in ways
        for place in _rows(name, (path for path in known if path.endswith(endings)), files, pattern)
    ]
    return tuple(sorted(found, key=str))


def _rows(name: str, paths: Iterable[str], files: Files, pattern: re.Pattern[str]) -> list[Evidence]:
    """The first row of each file that ``pattern`` is in."""
    found = []
    for path in paths:
        rows = enumerate((files.text(path) or "").splitlines(), 1)
        line = next((number for number, row in rows if pattern.search(row) and not is_commented(row, len(row))), None)
        if line is not None:
            found.append(Evidence(path, line, None, None, name))
    return found
