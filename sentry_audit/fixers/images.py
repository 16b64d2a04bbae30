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
    reference = f"${{{name}}}" if before != at and "${" in rows[before - 1] else f"${name}"
    return row_start(text, before + 1), f"ARG {name}\nENV {name}={reference}\n"


def takes_at_end(text: str, name: str) -> Insertion:
    """``ARG`` and ``ENV`` in the last stage, in front of what starts it: a new commit rebuilds nothing before that."""
    rows = text.splitlines()
    for index in range(len(rows) - 1, -1, -1):
        if re.match(r"\s*(CMD|ENTRYPOINT)\b", rows[index], re.IGNORECASE):
            at = index
            while at > 0 and (
                rows[at - 1].lstrip().startswith("#") or re.match(r"\s*(CMD|ENTRYPOINT|EXPOSE)\b", rows[at - 1])
            ):
                at -= 1
            return row_start(text, at + 1), f"ARG {name}\nENV {name}=${name}\n"
        if _STAGE.match(rows[index]):
            break
    return len(text), f"{'' if text.endswith(chr(10)) else chr(10)}ARG {name}\nENV {name}=${name}\n"
