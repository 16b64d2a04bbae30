"""Dotenv files, read with python-dotenv's parser and never loaded into our own environment."""

from __future__ import annotations

import io
import re

from sentry_audit import dsn
from sentry_audit.facts import AuthToken, EnvVar, Fact
from sentry_audit.model import Evidence, Problem
from sentry_audit.scanners.base import Found, Scanner

_TEMPLATE = re.compile(r"(^|[._-])(example|sample|template|tmpl|dist|default|defaults)([._-]|$)", re.IGNORECASE)
_SHOWN = re.compile(r"^(SENTRY_(?!.*(DSN|TOKEN|KEY|SECRET)).*|(.*_)?(ENV|ENVIRONMENT|STAGE)|.*_ENABLED|.*RATE|DEBUG|DJANGO_SETTINGS_MODULE)$", re.IGNORECASE)
_NAMES = {"prod": "production", "production": "production", "staging": "staging", "stage": "staging", "stg": "staging", "dev": "development", "development": "development", "local": "development", "test": "test", "testing": "test"}  # fmt: skip


def matches(path: str) -> bool:
    """``.env``, ``.env.*``, ``*.env``, ``env.example`` and the like."""
    name = path.rsplit("/", 1)[-1]
    if name.endswith((".py", ".ts", ".js", ".md", ".sh", ".yaml", ".yml")):
        return False
    return name.startswith((".env", "env.", "dotenv.")) or name.endswith(".env")


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
            continue
        if binding.key is None:
            continue
        value = binding.value or ""
        here = Evidence(path, line, None, None, binding.key)
        shown = value if _SHOWN.match(binding.key) and not dsn.looks_like_dsn(value) else ""
        found.append(
            EnvVar(path=path, name=binding.key, is_set=bool(value.strip()), value=shown, template=template, environment=environment, line=line, evidence=(here,))
        )
        found += _secrets(path, binding.key, value, line, template, environment)
    return tuple(found), tuple(problems)


def _secrets(path: str, name: str, value: str, line: int, template: bool, environment: str) -> list[Fact]:
    if not value.strip():
        return []
    if "sntrys_" in value or "sntryu_" in value or (name == "SENTRY_AUTH_TOKEN" and not template and not value.startswith(("$", "<"))):
        problem = "an auth token is committed or lies in a file"
        return [AuthToken(name=name, problem=problem, evidence=(Evidence(path, line, None, None, f"{name}=…"),))]
    if name.upper().endswith("SENTRY_DSN") or "SENTRY" in name.upper() and "DSN" in name.upper() or (dsn.looks_like_dsn(value) and "sentry" in value):
        parsed = dsn.parse(value)
        if parsed.placeholder and not template:
            parsed = dsn.parse(value)
        here = Evidence(path, line, None, None, f"{name}={parsed.shown}")
        return [dsn.fact(parsed, name=name, hardcoded=not template and not parsed.placeholder, environment=environment, evidence=(here,))]
    return []


SCANNER = Scanner("dotenv", matches, scan)
