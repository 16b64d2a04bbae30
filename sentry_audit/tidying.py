"""What is to be written, as the project's formatter has it: the last text of each file in each class of changes. Pure.

Within a class nobody sees a file half changed; a person who agrees to some classes only gets formatted files too.
"""

from __future__ import annotations

import shlex
from posixpath import relpath
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.fixing import Edit
from sentry_audit.parsing import broken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sentry_audit.steps import Kept


class Formatted(Struct, frozen=True):
    """A text; where it is not formatted though the project has a formatter for it, why, and the command to run in ``folder``."""

    text: str
    why: str = ""
    command: str = ""
    folder: str = ""


class Formatter(Protocol):
    """The project's own formatters."""

    def format(self, path: str, before: str | None, after: str) -> Formatted:
        """``after``, formatted as far as a fix may; ``before`` is the file as it is now, None for one that is made."""


class Tidied(Struct, frozen=True):
    """The changes with formatted texts, and what is to be said of those that are not."""

    kept: list[Kept]
    notes: tuple[str, ...] = ()


def tidied(
    kept: Sequence[Kept],
    text: Callable[[str], str | None],
    formatter: Formatter,
    spoils: Callable[[Mapping[str, str | None]], bool],
) -> Tidied:
    """``kept`` with the texts that ``formatter`` gives.

    ``text`` is a file as it is now; ``spoils`` says whether the tree with these edits would be audited worse than with
    those of ``kept``: what spoils it is left unformatted, and said.
    """
    found: dict[tuple[int, int], str] = {}
    told: list[tuple[str, Formatted]] = []
    for at, edit in _last(kept):
        assert edit.after is not None
        before = text(edit.path)
        answer = formatter.format(edit.path, before, edit.after)
        if answer.why:
            told.append((edit.path, answer))
        elif wrong := broken(edit.path, before, answer.text):
            told.append((edit.path, replace(answer, why=f"formatted, it would not parse any more: {wrong}")))
        elif answer.text != edit.after:
            found[at] = answer.text
    done = _with(kept, found)
    if found and spoils(_edits(done)):
        paths = dict.fromkeys(kept[index].edits[place].path for index, place in found)
        good: dict[tuple[int, int], str] = {}
        for path in paths:
            more = {at: new for at, new in found.items() if kept[at[0]].edits[at[1]].path == path}
            if spoils(_edits(_with(kept, good | more))):
                told.append((path, Formatted("", "formatted, it would be audited worse")))
            else:
                good |= more
        done = _with(kept, good)
    return Tidied(done, _notes(told))


def _last(kept: Sequence[Kept]) -> list[tuple[tuple[int, int], Edit]]:
    """Where each file is written last in each class."""
    found: dict[tuple[str, str], tuple[tuple[int, int], Edit]] = {}
    for index, item in enumerate(kept):
        for place, edit in enumerate(item.edits):
            found[item.safety, edit.path] = (index, place), edit
    return [(at, edit) for at, edit in found.values() if edit.after is not None]


def _with(kept: Sequence[Kept], texts: Mapping[tuple[int, int], str]) -> list[Kept]:
    return [
        replace(
            item,
            edits=tuple(
                Edit(edit.path, texts.get((index, place), edit.after)) for place, edit in enumerate(item.edits)
            ),
        )
        for index, item in enumerate(kept)
    ]


def _edits(kept: Iterable[Kept]) -> dict[str, str | None]:
    return {edit.path: edit.after for item in kept for edit in item.edits}


def _notes(told: Iterable[tuple[str, Formatted]]) -> tuple[str, ...]:
    """One note for all files that are left for one reason."""
    paths: dict[tuple[str, str, str], list[str]] = {}
    for path, item in told:
        same = paths.setdefault((item.why, item.command, item.folder), [])
        if path not in same:
            same.append(path)
    return tuple(_note(*reason, found) for reason, found in paths.items())


def _note(why: str, command: str, folder: str, paths: Sequence[str]) -> str:
    said = f"not formatted: {', '.join(paths)}: {why}"
    if not command:
        return said
    words = f"{command} {shlex.join(relpath(path, folder or '.') for path in paths)}"
    return f"{said}; afterwards, run: {f'(cd {shlex.quote(folder)} && {words})' if folder else words}"
