"""Terraform's functions that read files: of the audited tree only."""

from __future__ import annotations

import json
from posixpath import join, normpath
from typing import TYPE_CHECKING, Any

from sentry_audit.deployment.terraform_data import List, Map, Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.terraform_data import Value
    from sentry_audit.deployment.terraform_values import Budget
    from sentry_audit.python.program import Files

_NAMES = frozenset({"file", "fileexists", "yamldecode", "jsondecode"})
_DEEP = 20
#: Merges of merges multiply: with so many aliases they cannot become many.
_ALIASES = 30


def read_file(
    files: Files, folders: Sequence[str], name: str, arguments: Sequence[Value], budget: Budget
) -> Value | None:
    """What ``name`` gives for ``arguments``; None if it is another function."""
    if name not in _NAMES:
        return None
    given = arguments[0] if len(arguments) == 1 else None
    if not isinstance(given, str):
        return Unknown(f"${{{name}(…)}}", "its argument is not known")
    if name in {"file", "fileexists"}:
        path = next((item for item in _places(given, folders) if item in files.paths), "")
        if name == "fileexists":
            return bool(path)
        text = files.text(path) if path else None
        return text if text is not None else Unknown(f"${{{name}(…)}}", f"{given[:60]} is not in the repository")
    return _decoded(name, given, budget)


def _places(given: str, folders: Sequence[str]) -> list[str]:
    return [normpath(given), *(normpath(join(folder, given)) for folder in folders)]


def _decoded(name: str, text: str, budget: Budget) -> Value:
    import yaml

    if text.count("*") > _ALIASES and "<<" in text:
        return Unknown(f"${{{name}(…)}}", "it merges too many aliases", failed=True)
    try:
        return _data(json.loads(text) if name == "jsondecode" else yaml.safe_load(text), budget)
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError):
        return Unknown(f"${{{name}(…)}}", "its text cannot be read", failed=True)


def _data(value: Any, budget: Budget, depth: int = 0) -> Value:
    if depth > _DEEP or not budget.spend():
        return Unknown("${…}", "it is too large")
    if isinstance(value, dict):
        return Map({str(key): _data(item, budget, depth + 1) for key, item in value.items()})
    if isinstance(value, list):
        return List(_data(item, budget, depth + 1) for item in value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
