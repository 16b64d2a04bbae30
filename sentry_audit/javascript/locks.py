"""Lock files of JavaScript: which version of a package an install puts in. Found by text, in the places of each format.

A lock may have 10 MB: none is parsed whole, only the few lines that a format keeps for one package of one folder.
"""

from __future__ import annotations

import json
import re
from posixpath import dirname, join, relpath
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sentry_audit.javascript.packages import Frontend, Manifest
    from sentry_audit.python.program import Files

_VERSION = re.compile(r"v?(\d+\.\d+\.\d+(?:-[\w.-]+)?)")
_CONFLICT = "<<<<<<< "
_SECTIONS = ("dependencies", "devDependencies", "optionalDependencies")


class Locked(Struct, frozen=True):
    """The ``version`` that a lock file holds; ``""`` if none could be told, and where that was looked for."""

    version: str = ""
    evidence: Evidence | None = None


class _Wanted(Struct, frozen=True):
    """A package as the manifest of ``folder`` (relative to the lock, ``""`` for the same) asks for it."""

    package: str
    specifier: str
    folder: str
    workspace: str


def resolved(files: Files, frontend: Frontend, package: str) -> str:
    """The exact version of ``package`` that the front end's lock file holds; ``""`` if none does."""
    return locked(files, frontend, package).version


def locked(files: Files, frontend: Frontend, package: str) -> Locked:
    """What the lock files nearest to the front end say of ``package``.

    Where a folder has those of several package managers, they must agree.
    """
    manifest = _asking(frontend, package)
    folder = manifest.folder
    while True:
        present = [name for name in _READERS if join(folder, name) in files.paths]
        if present:
            break
        if not folder:
            return Locked()
        folder = dirname(folder)
    specifier = manifest.dependencies.get(package, ("",))[0]
    below = "" if folder == manifest.folder else relpath(manifest.folder, folder or ".")
    wanted = _Wanted(package, specifier, below, manifest.name)
    found: list[Locked] = []
    for name in present:
        path = join(folder, name)
        text = (files.text(path) or "").replace("\r\n", "\n")
        if text.startswith(_CONFLICT) or f"\n{_CONFLICT}" in text:
            return Locked("", Evidence(path, None, None, None, "the lock file has unresolved conflicts"))
        version, at = _READERS[name](text, wanted)
        if version:
            line = text.count("\n", 0, at) + 1
            found.append(Locked(version, Evidence(path, line, None, None, f"{package} {version}")))
    return found[0] if len({item.version for item in found}) == 1 else Locked()


def _asking(frontend: Frontend, package: str) -> Manifest:
    """The manifest that names the package: the front end's, or that of a package of the repository it depends on."""
    if package in frontend.manifest.dependencies:
        return frontend.manifest
    used = (frontend.manifests.get(name) for name in frontend.manifest.dependencies)
    return next((item for item in used if item is not None and package in item.dependencies), frontend.manifest)


def _plain(value: str) -> str:
    """The version in what a lock writes for one, or ``""`` for a link, a file, a repository or another package."""
    match = _VERSION.match(value)
    return match[1] if match else ""


# --- npm -------------------------------------------------------------------------------------------


def _npm(text: str, wanted: _Wanted) -> tuple[str, int]:
    """``package-lock.json``: ``packages`` by folder since version 2, before that ``dependencies`` by name."""
    match = re.match(r"\{\n([ \t]+)\"", text)
    if match is None:
        return "", 0
    indent = match[1]
    packages = _within(text, "packages", indent)
    if packages is None:
        names = None if wanted.folder else _within(text, "dependencies", indent)
        return _npm_entry(text, names, indent, wanted.package, wanted.package)
    if wanted.folder and _key(text, packages, indent, wanted.folder) < 0:
        return "", 0
    folder = wanted.folder
    while True:
        key = join(folder, "node_modules", wanted.package)
        if _key(text, packages, indent, key) >= 0 or not folder:
            return _npm_entry(text, packages, indent, key, wanted.package)
        folder = dirname(folder)


def _within(text: str, name: str, indent: str) -> tuple[int, int] | None:
    """Where the object ``name`` of the outermost object begins and ends."""
    start = text.find(f'\n{indent}"{name}": {{\n')
    return None if start < 0 else (start, text.find(f"\n{indent}}}", start))


def _key(text: str, span: tuple[int, int], indent: str, key: str) -> int:
    return text.find(f"\n{indent * 2}{json.dumps(key)}: {{", span[0], span[1])


def _npm_entry(text: str, span: tuple[int, int] | None, indent: str, key: str, package: str) -> tuple[str, int]:
    at = _key(text, span, indent, key) if span is not None else -1
    if at < 0:
        return "", 0
    try:
        entry, _ = json.JSONDecoder().raw_decode(text, text.index("{", at))
    except json.JSONDecodeError:
        return "", 0
    alias = entry.get("name", package) != package
    return ("" if alias else _plain(str(entry.get("version", ""))), at + 1)


# --- pnpm ------------------------------------------------------------------------------------------


def _pnpm(text: str, wanted: _Wanted) -> tuple[str, int]:
    """``pnpm-lock.yaml``: the direct dependencies of each folder, or of the only one at the outermost level."""
    text = f"\n{text}"
    for start, end, depth in _importers(text, wanted.folder or "."):
        for section in _SECTIONS:
            at = text.find(f"\n{depth}{section}:\n", start, end)
            if at < 0:
                continue
            stop = _dedent(text, at + 1, len(depth), end)
            name = re.escape(wanted.package)
            entry = re.compile(
                rf"\n{depth}  ['\"]?{name}['\"]?:(?:[ ]+(?P<old>\S+)|\n(?:{depth}    .*\n)*?{depth}    version: (?P<new>\S+))"
            )
            if match := entry.search(text, at, stop):
                return _plain((match["new"] or match["old"]).strip("'\"")), match.start()
    return "", 0


def _importers(text: str, folder: str) -> Iterator[tuple[int, int, str]]:
    """(where the block of a folder begins, where it ends, how far its entries are indented), of each document."""
    at = text.find("\nimporters:\n")
    if at < 0 and folder == ".":
        yield 0, len(text), ""
    while at >= 0:
        end = _dedent(text, at + 1, 0, len(text))
        for quote in ("", "'", '"'):
            start = text.find(f"\n  {quote}{folder}{quote}:\n", at, end)
            if start >= 0:
                yield start, _dedent(text, start + 1, 2, end), "    "
        at = text.find("\nimporters:\n", end)


def _dedent(text: str, start: int, indent: int, end: int) -> int:
    """Where the block whose first line is at ``start`` ends: the next line that is not indented further."""
    match = re.compile(rf"\n(?! {{{indent + 1}}})(?=\S| )").search(text, start, end)
    return match.start() + 1 if match else end


# --- yarn ------------------------------------------------------------------------------------------


def _yarn(text: str, wanted: _Wanted) -> tuple[str, int]:
    """``yarn.lock``: blocks headed by what was asked for; without that, the only version of the package there is."""
    name = re.escape(wanted.package)
    block = re.compile(rf"^\"?{name}@.*:\n(?:  .*\n)*?  version:? \"?([^\"\n]+)", re.MULTILINE)
    found: dict[str, int] = {}
    for match in _blocks(text, wanted.package, block):
        asked = {item.strip().strip('"') for item in match[0].partition(":\n")[0].split(",")}
        version = _plain(match[1])
        if {f"{wanted.package}@{wanted.specifier}", f"{wanted.package}@npm:{wanted.specifier}"} & asked:
            return version, match.start()
        found.setdefault(version, match.start())
    return next(iter(found.items())) if len(found) == 1 else ("", 0)


def _blocks(text: str, package: str, block: re.Pattern[str]) -> Iterator[re.Match[str]]:
    for head in (f"\n{package}@", f'\n"{package}@'):
        at = text.find(head)
        while at >= 0:
            if match := block.match(text, at + 1):
                yield match
            at = text.find(head, at + 1)


# --- bun -------------------------------------------------------------------------------------------


def _bun(text: str, wanted: _Wanted) -> tuple[str, int]:
    """``bun.lock``: one line for each package, under its workspace's name where versions differ."""
    workspaces, packages = text.find('\n  "workspaces": {'), text.find('\n  "packages": {')
    if packages < 0 or (wanted.folder and text.find(f'\n    "{wanted.folder}": {{', workspaces, packages) < 0):
        return "", 0
    for key in (f"{wanted.workspace}/{wanted.package}", wanted.package):
        start = f'\n    "{key}": ["{wanted.package}@'
        at = text.find(start, packages)
        if at >= 0:
            return _plain(text[at + len(start) : at + len(start) + 60].partition('"')[0]), at + 1
    return "", 0


_READERS: dict[str, Callable[[str, _Wanted], tuple[str, int]]] = {
    "pnpm-lock.yaml": _pnpm,
    "yarn.lock": _yarn,
    "bun.lock": _bun,
    "npm-shrinkwrap.json": _npm,
    "package-lock.json": _npm,
}


# --- without a lock --------------------------------------------------------------------------------


def lowest(specifier: str) -> str:
    """The lowest version that a specifier allows, as far as it says (``13``, ``13.4``); ``""`` if it has no lower end."""
    versions = []
    for part in specifier.split("||"):
        match = re.match(
            r"\s*(?:npm:(?:@?[\w./-]+@)?|workspace:)?\s*(?:[\^~=v]|>=?)?\s*v?(\d+(?:\.\d+)*(?:-[\w.-]+)?)", part
        )
        if match is None:
            return ""
        versions.append(match[1])
    return min(versions, key=_order)


def _order(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("-")[0])))
