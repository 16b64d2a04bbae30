"""Which lines a fix changed, and whether a formatter kept to them."""

from __future__ import annotations

from difflib import SequenceMatcher


def changed(before: str, after: str) -> list[tuple[int, int]]:
    """The lines of ``after`` that are new or different, as (first, last), counted from 1."""
    return [(begin + 1, end) for tag, _, _, begin, end in _opcodes(before, after) if tag != "equal" and begin < end]


def keeps(before: str, after: str, formatted: str) -> bool:
    """Whether ``formatted`` still has all lines of ``before`` that ``after`` has: only what was changed is formatted."""
    return _gone(before, formatted) <= _gone(before, after)


def _gone(before: str, after: str) -> set[int]:
    """The lines of ``before`` that ``after`` lacks."""
    return {line for tag, begin, end, _, _ in _opcodes(before, after) if tag != "equal" for line in range(begin, end)}


def _opcodes(before: str, after: str) -> list[tuple[str, int, int, int, int]]:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return list(SequenceMatcher(None, old, new, autojunk=False).get_opcodes())
