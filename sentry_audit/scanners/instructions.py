"""A Dockerfile's instructions with their lines, as docs.docker.com/reference/dockerfile/ defines them.

Our own reader because the ones on PyPI do not know heredocs (``RUN <<EOF``), which BuildKit has had since 2021.
"""

from __future__ import annotations

import json
import re

from msgspec import Struct

_HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_]\w*)\1")
_ESCAPE = re.compile(r"^#\s*escape\s*=\s*(\S)\s*$", re.IGNORECASE)
_FLAG = re.compile(r"^--([\w-]+)(?:=(\S+))?\s*")


class Instruction(Struct, frozen=True):
    """``name`` in capitals; ``value`` without flags and line continuations; ``body`` of its heredocs."""

    name: str
    value: str
    line: int
    flags: tuple[tuple[str, str], ...] = ()
    body: str = ""

    def flag(self, name: str) -> str:
        """The value of ``--name=``, or ``""``."""
        return next((value for key, value in self.flags if key == name), "")

    @property
    def words(self) -> tuple[str, ...] | None:
        """The arguments of the exec form (a JSON array), or None for the shell form."""
        if not self.value.startswith("["):
            return None
        try:
            data = json.loads(self.value)
        except ValueError:
            return None
        return tuple(str(item) for item in data) if isinstance(data, list) else None


def read(text: str) -> list[Instruction]:
    """Every instruction of a Dockerfile; lines that are none are passed over."""
    lines = text.splitlines()
    escape = "\\"
    if lines and (match := _ESCAPE.match(lines[0])):
        escape = match[1]
    found: list[Instruction] = []
    at = 0
    while at < len(lines):
        start = at
        logical, at = _logical(lines, at, escape)
        name, _, value = logical.strip().partition(" ")
        if not name.isalpha():
            continue
        body = ""
        if name.upper() in {"RUN", "COPY", "ADD"}:
            body, at = _bodies(value, lines, at)
        flags: list[tuple[str, str]] = []
        value = value.strip()
        while match := _FLAG.match(value):
            flags.append((match[1], match[2] or ""))
            value = value[match.end() :]
        found.append(Instruction(name.upper(), value, start + 1, tuple(flags), body))
    return found


def _logical(lines: list[str], at: int, escape: str) -> tuple[str, int]:
    """One line with its continuations (comments and empty lines inside them do not count), and the next index."""
    parts: list[str] = []
    while at < len(lines):
        line = lines[at].rstrip()
        at += 1
        if line.lstrip().startswith("#") or not line.strip():
            if not parts:
                return "", at
            continue
        if not line.endswith(escape):
            parts.append(line)
            break
        parts.append(line[: -len(escape)])
    return " ".join(part.replace("\t", " ") for part in parts), at


def _bodies(value: str, lines: list[str], at: int) -> tuple[str, int]:
    body: list[str] = []
    for match in _HEREDOC.finditer(value):
        start = at
        while at < len(lines) and lines[at].strip() != match[2]:
            at += 1
        if at >= len(lines):  # never closed: it was no heredoc
            return "", start
        body += lines[start:at]
        at += 1
    return "\n".join(body), at
