"""Which sentry-cli a command runs: what a text, a package.json or the whole repository installs."""

from __future__ import annotations

import json
import re
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

from sentry_audit.javascript.packages import relaxed
from sentry_audit.mentions import MENTIONS
from sentry_audit.python.paths import importable

if TYPE_CHECKING:
    from sentry_audit.python.program import Files

_PINS = (
    re.compile(r"SENTRY_CLI_VERSION[\"']?\s*[=:]\s*[\"']?v?(\d+)"),
    re.compile(r"@sentry/cli@[\^~v]*(\d+)"),
    re.compile(r"sentry-cli==(\d+)"),
    re.compile(r"sentry-cli(?:/releases/download)?/v?(\d+)\.\d"),
    re.compile(r"getsentry/sentry-cli:v?(\d+)"),
)
_NEWEST = re.compile(
    r"get-cli|(npm|pnpm|yarn|bun)\s[^\n]*\b(install|i|add)\b[^\n]*@sentry/cli(?!@)|npx\s[^\n]*@sentry/cli(?!@)|"
    r"pip3?\s+install[^\n]*\bsentry-cli(?!\s*[=<>~])|getsentry/sentry-cli(?!:\d)|brew\s+install[^\n]*sentry-cli"
)
#: Plugins of bundlers bring a sentry-cli 2 with them, up to version 5 at least.
_BRING = re.compile(
    r"^@sentry/((vite|webpack|rollup|esbuild)-plugin|nextjs|nuxt|sveltekit|astro|remix|gatsby|react-router)$"
)


def version_of(files: Files, path: str, text: str, folder: str) -> str:
    """The major version of sentry-cli that runs: pinned beside the command or in package.json; ``newest``; or ``""``."""
    if found := _pinned(text):
        return found
    place = folder or dirname(path)
    while True:
        manifest = join(place, "package.json")
        if manifest in files.paths and (version := _declared(files.text(manifest) or "")):
            return version
        if not place or place == ".":
            return ""
        place = dirname(place)


def _pinned(text: str) -> str:
    """The major version that a text installs; ``newest`` if it names none, ``""`` if it installs none."""
    for pin in _PINS:
        if match := pin.search(text):
            return match[1]
    return "newest" if _NEWEST.search(text) else ""


def _declared(text: str) -> str:
    try:
        data = relaxed(text)
    except (json.JSONDecodeError, RecursionError):
        return ""
    sections = [data.get(key) for key in ("dependencies", "devDependencies")] if isinstance(data, dict) else []
    listed = {name: str(value) for section in sections if isinstance(section, dict) for name, value in section.items()}
    if "@sentry/cli" in listed:
        major = re.match(r"[\^~v=]*(\d+)", listed["@sentry/cli"])
        return major[1] if major else "newest"
    return "2" if any(_BRING.match(name) for name in listed) else ""


def installed(files: Files) -> str:
    """The sentry-cli that the repository's scripts and pipelines install, if all install the same."""
    kinds = (".sh", ".yml", ".yaml", "Dockerfile", "Makefile")
    texts = [files.text(path) or "" for path in files.search(MENTIONS) if path.endswith(kinds) and importable(path)]
    found = {_pinned(text) for text in texts if "sentry-cli" in text or "get-cli" in text} - {""}
    return found.pop() if len(found) == 1 else ""


def clean(folder: str) -> str:
    """A folder as paths write it; ``""`` for the root, and for one that a variable names."""
    path = normpath(folder) if folder else ""
    return "" if path in {"", "."} or "$" in path else path.strip("/")
