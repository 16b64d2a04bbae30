"""Texts changed at exact places: everything else stays as it is, the line ends of the file too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: (where, what is put there).
Insertion = tuple[int, str]


def end_of_line(text: str) -> str:
    r"""How the lines of ``text`` end: ``\r\n`` or ``\n``."""
    return "\r\n" if "\r\n" in text else "\n"


def inserted(text: str, insertions: Iterable[Insertion]) -> str:
    """``text`` with all ``insertions``, their line ends those of the text; several at one place keep their order."""
    eol = end_of_line(text)
    for at, more in sorted(insertions, key=lambda item: item[0])[::-1]:
        text = text[:at] + more.replace("\n", eol) + text[at:]
    return text


def row_start(text: str, line: int) -> int:
    """Where the line with that number (from 1) begins; the end of the text if it has fewer."""
    at = 0
    for _ in range(line - 1):
        following = text.find("\n", at)
        if following < 0:
            return len(text)
        at = following + 1
    return at


def row_end(text: str, at: int) -> int:
    """Where the row that holds ``at`` ends, its line end not counted."""
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return end - 1 if end > at and text[end - 1] == "\r" else end


def line_at(text: str, at: int) -> int:
    """The number of the line that holds ``at``, from 1."""
    return text.count("\n", 0, at) + 1


def indent_at(text: str, at: int) -> str:
    """The white space in front of the row that holds ``at``."""
    start = text.rfind("\n", 0, at) + 1
    match = re.match(r"[ \t]*", text[start:])
    return match[0] if match else ""


def row_at(text: str, at: int) -> str:
    """The row that holds ``at``."""
    return text[text.rfind("\n", 0, at) + 1 : row_end(text, at)]
