"""What starting a component loads: its entry files, what they name in strings, and what cannot be told."""

from __future__ import annotations

import ast
import re
from posixpath import dirname
from typing import TYPE_CHECKING

from sentry_audit.model import Evidence
from sentry_audit.python.paths import importable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_audit.python.program import Program

_DOTTED = re.compile(r"^[A-Za-z_]\w*(\.\w+)+(:\w+)?$")
_SETTINGS = re.compile(r"settings|config|conf\b|environments")
#: Loads modules whose names the text does not show.
_DYNAMIC = re.compile(
    r"\b(?:import_module|__import__|load_module)\(\s*(?!\s*[\"'])\w|\bpkgutil\.(?:iter_modules|walk_packages)"
    r"|\b(?:iter_)?entry_points\(|\bfind_modules\("
)


def roots(program: Program, entries: Sequence[str], settings: Sequence[str]) -> tuple[str, ...]:
    """The files that are loaded first: ``entries``, Django's ``settings``, and what both name in strings.

    Strings count in entry files (``uvicorn.run("app.main:app")``) and in settings (INSTALLED_APPS, MIDDLEWARE).
    """
    found = [*entries, *_named(program, entries), *settings]
    files = program.closure(settings, lambda path: importable(path) and _SETTINGS.search(path) is not None)
    found += _named(program, files)
    return tuple(dict.fromkeys(found))


def _named(program: Program, paths: Iterable[str]) -> list[str]:
    found: list[str] = []
    for path in paths:
        module = program.module(path)
        for node in module.nodes if module is not None else ():
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            if _DOTTED.match(node.value):
                dotted = node.value.partition(":")[0]
                names = [dotted, dotted.rpartition(".")[0], f"{dotted}.apps"]
            elif node.value.isidentifier() and _SETTINGS.search(path):
                names = [f"{node.value}.apps"]
            else:
                continue
            targets = (program.locate(name, path) for name in names if name)
            found += [target for target in targets if target and importable(target)]
    return list(dict.fromkeys(found))


def dynamic_import(program: Program, closure: Iterable[str], near: str) -> Evidence | None:
    """Where the code that is loaded loads modules by computed names, in the package of the file ``near``."""
    package = _package(near)
    for path in closure:
        text = program.files.text(path) or ""
        match = _DYNAMIC.search(text) if _package(path) == package else None
        if match:
            return Evidence(path, text.count("\n", 0, match.start()) + 1, None, None, match[0])
    return None


def _package(path: str) -> str:
    """The top folder of a file, ``src`` left out."""
    parts = [part for part in dirname(path).split("/") if part != "src"]
    return (
        "/".join(parts[:2])
        if len(parts) > 1 and parts[0] in {"apps", "services", "packages", "backend", "server"}
        else parts[0]
    )
