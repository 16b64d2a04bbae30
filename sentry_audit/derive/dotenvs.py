"""Which dotenv files the build of a front end reads.

A build for deployment is one in production mode, whatever it is for: it reads ``.env``, ``.env.local``, ``.env.production``
and ``.env.production.local`` (nextjs.org/docs/app/guides/environment-variables, vite.dev/guide/env-and-mode). ``.env.staging``
counts where a script builds in that mode (``vite build --mode staging``), or names the file (``env-cmd -f .env.staging``).
"""

from __future__ import annotations

import re
from posixpath import basename, dirname
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.facts import EnvVar
from sentry_audit.python.paths import importable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.facts import Fact
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.python.program import Files

_ALWAYS = frozenset({".env", ".env.local", ".env.production", ".env.production.local"})
_MODES = frozenset({"vite", "sveltekit", "vue", "remix"})
_RUNS = (
    ".yml",
    ".yaml",
    ".sh",
    ".mk",
    "Makefile",
    "justfile",
    "package.json",
    "Dockerfile",
    ".js",
    ".mjs",
    ".cjs",
    ".ts",
)


def read_by_builds(facts: Sequence[Fact], frontends: Sequence[Frontend], files: Files) -> list[Fact]:
    """``facts`` with what each dotenv file in a front end's folder is read for."""
    found: list[Fact] = []
    known: dict[tuple[str, str], tuple[str, ...]] = {}
    for fact in facts:
        owner = _owner(fact, frontends) if isinstance(fact, EnvVar) and fact.origin == "dotenv" else None
        if owner is None or not isinstance(fact, EnvVar):
            found.append(fact)
            continue
        key = (owner.folder, fact.path)
        if key not in known:
            known[key] = _builds(fact, owner, files)
        found.append(replace(fact, builds=known[key]))
    return found


def _owner(fact: EnvVar, frontends: Sequence[Frontend]) -> Frontend | None:
    """The front end in whose own folder a file is: a bundler looks there, not below."""
    return next((item for item in frontends if dirname(fact.path) == item.folder), None)


def _builds(fact: EnvVar, frontend: Frontend, files: Files) -> tuple[str, ...]:
    name = basename(fact.path)
    mode = name.removeprefix(".env.").removesuffix(".local")
    scripts = " ".join(frontend.manifest.scripts.values())
    modes = set(re.findall(r"--mode[= ](\S+)", scripts)) if frontend.framework in _MODES else set()
    if name in _ALWAYS:  # where each environment has a mode of its own, production's file is read for it alone
        return ("production",) if mode == "production" and modes - {"production", "development"} else ("*",)
    if mode in modes:
        return (fact.environment or mode,)
    paths = sorted(path for path in files.paths if _may_run(path, frontend))
    return (fact.environment or mode,) if files.among(paths, (name,)) else ()


def _may_run(path: str, frontend: Frontend) -> bool:
    """Whether a file may start the build: a pipeline, a script, an image, the front end's own configuration."""
    if not path.endswith(_RUNS) or not importable(path):
        return False
    return not path.endswith((".js", ".mjs", ".cjs", ".ts")) or dirname(path) == frontend.folder
