"""Whether a file still parses after it was edited: an edit that breaks one is never made. Pure."""

from __future__ import annotations

from posixpath import basename
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SCRIPTS = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts", ".vue", ".svelte")


def broken(path: str, before: str | None, after: str | None) -> str:
    """Why ``after`` does not parse as what ``path`` is; ``""`` if it does, or if ``before`` did not parse either.

    A file that is written in a dialect of its own (JSON with comments, a template) is not held against the edit.
    """
    parse = _parser(basename(path))
    if parse is None or after is None:
        return ""
    wrong = parse(path, after)
    return "" if wrong and before is not None and parse(path, before) else wrong


def _parser(name: str) -> Callable[[str, str], str] | None:
    if name.endswith((".py", ".pyi")):
        return _python
    if name.endswith(".toml") or name == "Pipfile":
        return _toml
    if name.endswith((".json", ".tf.json")):
        return _json
    if name.endswith((".yaml", ".yml")):
        return _yaml
    if name.endswith((".tf", ".tfvars", ".hcl")):
        return _hcl
    return _script if name.endswith(_SCRIPTS) else None


def _python(_path: str, text: str) -> str:
    from sentry_audit.python.syntax import parse

    try:
        parse(text)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or type(error).__name__
    return ""


def _toml(_path: str, text: str) -> str:
    import tomllib

    try:
        tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def _json(_path: str, text: str) -> str:
    import json

    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def _yaml(_path: str, text: str) -> str:
    import yaml

    try:
        for _ in yaml.compose_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            pass
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return " ".join(str(error).split())
    return ""


def _hcl(_path: str, text: str) -> str:
    from sentry_audit.deployment.terraform_syntax import Broken, parsed

    try:
        parsed(text if text.endswith("\n") else f"{text}\n")
    except Broken as error:
        return f"line {error.line}: {error}" if error.line else str(error)
    return ""


def _script(path: str, text: str) -> str:
    from sentry_audit.javascript.syntax import Source

    line = Source(path, text).error_line()
    return f"line {line}: a syntax error" if line is not None else ""
