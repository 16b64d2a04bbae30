"""From changes that are kept to the steps of a plan: in order, each thing once. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.fixing import Closed, Edit, FileChange, Operation, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")
#: What the cloud needs first: a version needs its secret, a service the right to read it.
ORDER = ("create-secret", "add-version", "grant", "update-service", "route-traffic")


class Kept(Struct, frozen=True):
    """A change that goes into the plan."""

    summary: str
    safety: str
    closes: tuple[Closed, ...]
    edits: tuple[Edit, ...] = ()
    operations: tuple[Operation, ...] = ()


def file_steps(kept: Sequence[Kept], text: Callable[[str], str | None]) -> list[Step]:
    """A step for each change, in their order; each finds the files as the one before left them (``text``: at first)."""
    now: dict[str, str | None] = {}
    found = []
    for item in kept:
        changes: dict[str, FileChange] = {}
        for edit in item.edits:
            before = now[edit.path] if edit.path in now else text(edit.path)
            first = changes[edit.path].before if edit.path in changes else before
            changes[edit.path] = FileChange(edit.path, first, edit.after)
            now[edit.path] = edit.after
        files = tuple(change for change in changes.values() if change.before != change.after)
        found.append(Step(summary=item.summary, safety=item.safety, closes=item.closes, files=files))
    return found


class _Joined(Struct):
    operation: Operation
    summaries: list[str]
    closes: list[Closed]


def operation_steps(kept: Iterable[tuple[T, Kept]]) -> tuple[list[Step], dict[T, str]]:
    """The operations in the order that the cloud needs, each once; and what clashes with one before it, by its key.

    Everything that one service is given is one update: each update makes a revision, and the next would be stale.
    """
    joined: dict[tuple[str, ...], _Joined] = {}
    clashes: dict[T, str] = {}
    for key, item in kept:
        if clash := next(filter(None, (_clash(joined, operation) for operation in item.operations)), ""):
            clashes[key] = clash
            continue
        for operation in item.operations:
            same = joined.setdefault(_name(operation), _Joined(replace(operation, variables=()), [], []))
            variables = (*same.operation.variables, *operation.variables)
            same.operation = replace(same.operation, variables=tuple(dict.fromkeys(variables)))
            same.summaries.append(operation.summary)
            same.closes += item.closes
    ordered = sorted(joined.values(), key=lambda item: _place(item.operation))
    return [_step(item) for item in ordered], clashes


def _step(item: _Joined) -> Step:
    summary = "; ".join(dict.fromkeys(item.summaries))
    return Step(
        summary=summary,
        safety="live",
        closes=tuple(dict.fromkeys(item.closes)),
        operation=replace(item.operation, summary=summary),
    )


def _clash(joined: dict[tuple[str, ...], _Joined], operation: Operation) -> str:
    same = joined.get(_name(operation))
    given = {name: rest for name, *rest in same.operation.variables} if same is not None else {}
    for name, *rest in operation.variables:
        if given.get(name, rest) != rest:
            return f"another change gives {name} of {operation.resource} another value: which one is right?"
    return ""


def _name(operation: Operation) -> tuple[str, ...]:
    return operation.does, operation.resource, operation.member, operation.container, operation.etag


def _place(operation: Operation) -> int:
    return ORDER.index(operation.does) if operation.does in ORDER else len(ORDER)
