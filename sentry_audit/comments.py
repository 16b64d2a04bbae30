"""Whether a place of a text is on a line that is a comment, in any of the languages that are searched but not parsed."""

from __future__ import annotations

_MARKS = ("#", "//", "*", "/*", "<!--", "{/*")


def is_commented(text: str, offset: int) -> bool:
    """Whether the line of ``offset`` begins as a comment does."""
    start = text.rfind("\n", 0, offset) + 1
    return text[start:offset].lstrip().startswith(_MARKS)
