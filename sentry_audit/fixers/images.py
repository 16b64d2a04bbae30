"""Variables that a Dockerfile takes while an image is built."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.fixers.texts import row_start

if TYPE_CHECKING:
    from sentry_audit.fixers.texts import Insertion

#: Variables like those that are put in: other ARGs of the stage are of its packages and tools.
_TAKES = re.compile(r"\s*(ARG|ENV)\s+(NEXT_PUBLIC|VITE|PUBLIC|REACT_APP|SENTRY)_", re.IGNORECASE)
_STAGE = re.compile(r"^\s*FROM\s", re.IGNORECASE)


def takes(text: str, name: str, line: int) -> Insertion:
    """``ARG`` and ``ENV`` in front of the instruction on ``line``, behind those that stand in front of it already."""
    rows = text.splitlines()
    at = line - 1
    while at > 0 and rows[at - 1].lstrip().startswith("#"):
        at -= 1  # what is said of the instruction stays with it
    before = at
    for index in range(at - 1, -1, -1):
        if _STAGE.match(rows[index]):
            break
        if _TAKES.match(rows[index]):
            before = index + 1
            while rows[before - 1].rstrip().endswith("\\"):
                before += 1
            break
    return row_start(text, before + 1), f"ARG {name}\nENV {name}=${name}\n"
