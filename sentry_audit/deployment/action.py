"""The inputs of ``google-github-actions/deploy-cloudrun`` as the command that the action runs.

Semantics: the README and the source of the action. ``env_vars`` and ``secrets`` merge unless the strategy (from v2 on) is
``overwrite``; the secrets of a job are always replaced (from v2 on); ``env_vars_file`` is an input of v1 and v2 only;
next to ``metadata`` all else but ``flags`` is without effect. Without a ``region`` it deploys to us-central1; of two
flags gcloud takes the last one, and those of ``flags`` come last.
"""

from __future__ import annotations

import re
import shlex
from posixpath import normpath
from typing import TYPE_CHECKING

from sentry_audit.deployment.gcloud import Change, from_file, setting, understand
from sentry_audit.deployment.location import flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.deployment.inputs import Look
    from sentry_audit.facts import Setting

_VERSION = re.compile(r"@v?(\d{1,3})(?!\w)")
_WHOLE = re.compile(r"^\$[\w.(]+\)?$")
_NOTE = re.compile(r"#\s*v?(\d+)\b")


def major(uses: str, text: str, line: int) -> int | None:
    """The major version that ``uses`` names, or the comment behind a commit's hash; None if neither does."""
    if match := _VERSION.search(uses):
        return int(match[1])
    rows = text.splitlines()[line - 1 : line + 40]
    row = next((row for row in rows if uses in row), "")
    note = _NOTE.search(row.partition(uses)[2])
    return int(note[1]) if note else None


def change(given: Mapping[str, str], version: int | None, line: int, look: Look) -> Change:
    """What the action changes when it gets the inputs ``given``."""
    flags = _words(given.get("flags", ""))
    region = flag(flags, "--region") or given.get("region", "us-central1")
    project = flag(flags, "--project") or given.get("project_id", "")
    if "metadata" in given:
        return Change("replace", "service", "", file=normpath(given["metadata"]), project=project, region=region)
    more = understand(("gcloud", "run", "deploy", "service", *flags), line, look)
    found, unresolved, ignored = _variables(given, version, line, look)
    found += _secrets(given, version, line)
    if more is not None:
        found += more.settings
        unresolved += more.unresolved
    resource = "job" if "job" in given else "service"
    return Change(
        "deploy", resource, given.get("job") or given.get("service", ""), tuple(found), given.get("image", ""),
        given.get("source", ""), project, unresolved=tuple(unresolved), ignored=tuple(ignored), region=region,
    )  # fmt: skip


def _variables(
    given: Mapping[str, str], version: int | None, line: int, look: Look
) -> tuple[list[Setting], list[str], list[str]]:
    operation = _operation(given, "env_vars", version)
    found: list[Setting] = []
    unresolved: list[str] = []
    ignored: list[str] = []
    name = given.get("env_vars_file", "")
    if name and version not in {None, 1, 2}:
        ignored.append(f"env_vars_file is no input of deploy-cloudrun v{version}, so {name} is not read")
    elif name:
        found, reason = from_file(name, operation, line, look, plain=True)
        unresolved += [f"env_vars_file {name}: {reason}"] if reason else []
    pairs = _pairs(given.get("env_vars", ""))
    found += [setting(key, value, operation, "plain", line) for key, value, mark in pairs if mark]
    unresolved += [f"env_vars {key} was not followed" for key, _, mark in pairs if not mark and _WHOLE.match(key)]
    return found, unresolved, ignored


def _secrets(given: Mapping[str, str], version: int | None, line: int) -> list[Setting]:
    operation = _operation(given, "secrets", version)
    if "job" in given and version != 1:
        operation = "set"
    return [
        setting(key, value, operation, "secret", line)
        for key, value, mark in _pairs(given.get("secrets", ""))
        if mark and not key.startswith("/")  # a mounted file
    ]


def _operation(given: Mapping[str, str], name: str, version: int | None) -> str:
    overwrites = given.get(f"{name}_update_strategy") == "overwrite"
    return "set" if overwrites and version not in {0, 1} else "update"


def _pairs(text: str) -> list[tuple[str, str, bool]]:
    """``KEY=VALUE`` entries, by comma or line, with quotes and backslashes: (key, value, whether it is such an entry)."""
    entries: list[str] = [""]
    quote = ""
    rest = iter("\n".join(row for row in text.splitlines() if not row.lstrip().startswith("#")))
    for sign in rest:
        if sign == "\\":
            entries[-1] += next(rest, "")
        elif quote:
            quote = "" if sign == quote else quote
            entries[-1] += sign
        elif sign in "\"'" and entries[-1].endswith("="):
            quote = sign
            entries[-1] += sign
        elif sign in ",\n":
            entries.append("")
        else:
            entries[-1] += sign
    found = []
    for entry in (entry.strip() for entry in entries):
        key, mark, value = entry.partition("=")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if key and entry != "{}":
            found.append((key.strip(), value, bool(mark)))
    return found


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()
