"""A plan as a file: what ``fix --plan FILE`` keeps, to be read by a person and applied as it is. Pure.

It holds the texts of files before and after, and never the DSN that a secret is given: that is asked for when the plan
is applied.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from sentry_audit.errors import Stale, UsageError
from sentry_audit.fixing import Plan  # noqa: TC001 - msgspec reads the types when it decodes

if TYPE_CHECKING:
    from collections.abc import Callable


class _Saved(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The plan, and what each of its files held when it was made: SHA-256 of the UTF-8 text, ``""`` for no file."""

    schema_version: int = 1
    before: dict[str, str]
    plan: Plan


def dumps(plan: Plan) -> bytes:
    """The plan as JSON."""
    saved = _Saved(before={path: _digest(text) for path, text in _before(plan).items()}, plan=plan)
    return msgspec.json.format(msgspec.json.encode(saved), indent=2) + b"\n"


def loads(data: bytes, name: str, tool_version: str) -> Plan:
    """The plan that ``dumps`` wrote; ``name`` is the file's, for messages.

    Raises UsageError for what is no plan, or was changed since; Stale for the plan of another version of the tool.
    """
    hint = "make it anew: remove the file, and run fix --plan again"
    try:
        saved = msgspec.json.decode(data, type=_Saved)
    except msgspec.DecodeError as error:
        raise UsageError(f"{name} is not a saved plan: {error}", hint) from error
    if saved.schema_version != 1 or saved.plan.schema_version != 1 or saved.plan.tool_version != tool_version:
        raise Stale(f"{name} was made by sentry-audit {saved.plan.tool_version}, and this is {tool_version}", hint)
    for path, text in _before(saved.plan).items():
        if saved.before.get(path) != _digest(text):
            raise UsageError(f"{name} is damaged: its text of {path} is not the one it was made for", hint)
    return saved.plan


def refuse_stale(plan: Plan, text: Callable[[str], str | None], name: str) -> None:
    """Raise Stale if a file is not what ``plan`` was made for; ``text`` gives what it is now."""
    for path, before in _before(plan).items():
        now = text(path)
        if now != before:
            what = "is there now" if before is None else "is gone" if now is None else "was changed"
            raise Stale(
                f"{path} {what} since the plan {name} was made",
                "make it anew: remove the file, and run fix --plan again",
            )


def _before(plan: Plan) -> dict[str, str | None]:
    """Each file as the first step finds it."""
    found: dict[str, str | None] = {}
    for change in (item for step in plan.steps for item in step.files):
        found.setdefault(change.path, change.before)
    return found


def _digest(text: str | None) -> str:
    return "" if text is None else sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
