"""Dotenv files, read with python-dotenv's parser and never loaded into our own environment."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from sentry_audit.model import Evidence, Problem
from sentry_audit.scanners.base import Found, Scanner
from sentry_audit.scanners.variables import declared

if TYPE_CHECKING:
    from sentry_audit.facts import Fact

_TEMPLATE = re.compile(r"(^|[._-])(example|sample|template|tmpl|dist|default|defaults)([._-]|$)", re.IGNORECASE)
_NAMES = {
    "prod": "production", "production": "production", "staging": "staging", "stage": "staging", "stg": "staging",
    "dev": "development", "development": "development", "local": "development", "test": "test", "testing": "test",
}  # fmt: skip


def matches(path: str) -> bool:
    """``.env``, ``.env.staging``, ``staging.env``, ``env.example`` and the like; not ``env.py``, not direnv's ``.envrc``."""
    name = path.rsplit("/", 1)[-1].lower()
    if name.endswith(
        (".py", ".ts", ".js", ".mjs", ".go", ".rb", ".md", ".rst", ".sh", ".yaml", ".yml", ".json", ".toml", ".d.ts")
    ):
        return False
    if name == ".env" or name.startswith((".env.", ".env-", ".env_")) or name.endswith(".env"):
        return True
    words = set(re.split(r"[._-]", name))
    return name.startswith(("env.", "dotenv.", "env-")) and bool(_TEMPLATE.search(name) or words & _NAMES.keys())


def environment_of(path: str) -> str:
    """The environment that a file's name speaks of, or ``""``."""
    for part in re.split(r"[._-]", path.rsplit("/", 1)[-1].lower()):
        if part in _NAMES:
            return _NAMES[part]
    return ""


def scan(path: str, text: str) -> Found:
    """The variables of a dotenv file; a DSN and a token are facts of their own, and no other value is kept."""
    from dotenv.parser import parse_stream

    template = _TEMPLATE.search(path.rsplit("/", 1)[-1]) is not None
    environment = environment_of(path)
    found: list[Fact] = []
    problems: list[Problem] = []
    for binding in parse_stream(io.StringIO(text)):
        line = binding.original.line + len(binding.original.string) - len(binding.original.string.lstrip("\n"))
        if binding.error:
            saw = Evidence(path, line, None, None, "not KEY=value")
            problems.append(Problem("repo", frozenset({"env_template"}), "not a dotenv line", "write KEY=value", saw))
        elif binding.key is not None:
            found += declared(path, binding.key, binding.value or "", line, template=template, environment=environment)
    return tuple(found), tuple(problems)


SCANNER = Scanner("dotenv", matches, scan)
