"""Entries of objects in JavaScript: taken out with what is said of them, and added in rows of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sentry_audit.fixers.js_web import add_entry, pair_of
from sentry_audit.javascript.syntax import text_of

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

    from sentry_audit.fixers.js_web import Patch

_BLANKS = b" \t\r"


def remove_entries(patch: Patch, node: Any, gone: Sequence[Any], remarks: re.Pattern[str]) -> None:
    """Take entries out of an object: with their rows, the remarks behind them, and those above that speak of ``remarks``.

    All other remarks stay, and so does whether the last entry has a comma. Once for an object.
    """
    others = [child for child in node.named_children if child.type != "comment"]
    kept = [child for child in others if child not in gone]
    if not kept and not is_lined(node):
        patch.cut(node.start_byte + 1, node.end_byte - 1)
        return
    rows = [_rows(patch, entry, remarks) for entry in gone]
    whole = [row for row in rows if row is not None]
    if len(whole) < len(rows):
        _from_row(patch, others, kept)
        return
    for start, end in _merged(whole):
        patch.cut(*_one_gap(patch, start, end))
    if others[-1] in gone and _comma(others[-1]) is None and kept and (comma := _comma(kept[-1])) is not None:
        patch.cut(comma.start_byte, comma.end_byte)


def _from_row(patch: Patch, others: Sequence[Any], kept: Sequence[Any]) -> None:
    """Take entries out of a row that they share with others."""
    last = others.index(kept[-1])
    for index, entry in enumerate(others[:last]):
        if entry not in kept:
            patch.cut(entry.start_byte, others[index + 1].start_byte)
    if last + 1 < len(others):
        patch.cut(kept[-1].end_byte, others[-1].end_byte)


def _merged(rows: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(rows):
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found


def _comma(entry: Any) -> Any:
    following = entry.next_sibling
    return following if following is not None and following.type == "," else None


def add_rows(patch: Patch, node: Any, rows: Sequence[str], after: str = "") -> None:
    """Add an entry of several rows to an object; one that stands in a single row is laid out first.

    ``rows`` are written with double quotes and two blanks a step, as all that is written anew.
    """
    children = [child for child in node.named_children if child.type != "comment"]
    if is_lined(node):
        anchor = (pair_of(node, after) if after else None) or children[-1]
        add_entry(patch, node, written(patch, rows, patch.indent_of(anchor)), after)
        return
    style = patch.style
    outer = patch.indent_of(node)
    inner = outer + style.indent
    if any(child.type == "comment" for child in node.named_children) or "\n" in text_of(node):
        add_entry(patch, node, written(patch, rows, inner), after)
        return
    given = [text_of(child) for child in children]
    place = next((index + 1 for index, child in enumerate(children) if child == pair_of(node, after)), len(given))
    given.insert(place, written(patch, rows, inner))
    body = "".join(f"{inner}{entry},{style.end}" for entry in given)
    patch.replace(node, f"{{{style.end}{body}{outer}}}")


def is_lined(node: Any) -> bool:
    """Whether the entries of an object stand in rows of their own."""
    first = next((child for child in node.named_children if child.type != "comment"), None)
    return first is not None and bool(first.start_point[0] != node.start_point[0])


def written(patch: Patch, rows: Sequence[str], indent: str) -> str:
    """Rows in the style of a file, all but the first below ``indent``."""
    return f"{patch.style.end}{indent}".join(patch.style.written("\n".join(rows)).split(patch.style.end))


def _rows(patch: Patch, entry: Any, remarks: re.Pattern[str]) -> tuple[int, int] | None:
    """The whole rows of an entry, and of what is said of it; None where something else stands in them."""
    first, end = _row_start(patch, entry.start_byte), (_comma(entry) or entry).end_byte
    found = patch.bytes.find(b"\n", end)
    last = len(patch.bytes) if found < 0 else found + 1
    behind = patch.bytes[end:last].strip()
    alone = not behind or behind.startswith(b"//") or (behind.startswith(b"/*") and behind.endswith(b"*/"))
    if not alone or patch.bytes[first : entry.start_byte].strip():
        return None
    above = _remarks(patch, entry, remarks)
    return _row_start(patch, above.start_byte) if above is not None else first, last


def _row_start(patch: Patch, at: int) -> int:
    return patch.bytes.rfind(b"\n", 0, at) + 1


def _remarks(patch: Patch, entry: Any, remarks: re.Pattern[str]) -> Any:
    """The first of the remarks right above an entry, if any of them speaks of it."""
    found: list[Any] = []
    below, before = entry, entry.prev_sibling
    while before is not None and before.type == "comment" and before.end_point[0] == below.start_point[0] - 1:
        if patch.bytes[_row_start(patch, before.start_byte) : before.start_byte].strip():
            break  # it is said of what stands in front of it
        found.insert(0, before)
        below, before = before, before.prev_sibling
    return found[0] if found and remarks.search(" ".join(text_of(node) for node in found)) else None


def _one_gap(patch: Patch, start: int, end: int) -> tuple[int, int]:
    """The rows that are cut, with an empty one at their side where two would meet, or one would meet a brace."""
    above = patch.bytes[_row_start(patch, start - 1) : start]
    found = patch.bytes.find(b"\n", end)
    below = patch.bytes[end : len(patch.bytes) if found < 0 else found + 1]
    if not above.strip(_BLANKS + b"\n") and (not below.strip() or below.strip().startswith(b"}")):
        return start - len(above), end
    if not below.strip() and above.rstrip().endswith(b"{"):
        return start, end + len(below)
    return start, end
