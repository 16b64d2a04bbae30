"""Makefiles that deploy: each target's recipe is a script."""

from __future__ import annotations

import re
from posixpath import basename, dirname
from typing import TYPE_CHECKING

from sentry_audit.scanners.shell import expand

if TYPE_CHECKING:
    from sentry_audit.deployment.scripts import Scripts

_TARGET = re.compile(r"^([\w./%-]+(?:\s+[\w./%-]+)*)\s*:(?!=)[^\n]*$", re.MULTILINE)
_VARIABLE = re.compile(r"^(?:export\s+)?(\w+)\s*[?:]?:?=\s*(.*)$", re.MULTILINE)


_NAMES = ("Makefile", "makefile", "GNUmakefile", ".mk")


def is_makefile(path: str) -> bool:
    """Whether the name is a Makefile's."""
    return path.endswith(_NAMES) and (path.endswith(".mk") or basename(path) in _NAMES)


def read(scripts: Scripts, path: str) -> None:
    """The deployments of a Makefile: each target's recipe, with the target's name as a hint."""
    text = scripts.files.text(path) or ""
    variables = {name: _unquoted(value.strip()) for name, value in _VARIABLE.findall(text)}
    variables = {name: expand(_shell(value), variables) for name, value in variables.items()}
    targets = list(_TARGET.finditer(text))
    for index, match in enumerate(targets):
        end = targets[index + 1].start() if index + 1 < len(targets) else len(text)
        rows = [row[1:].lstrip("@-") if row.startswith("\t") else "" for row in text[match.end() : end].split("\n")]
        recipe = _shell("\n".join(rows))
        if "gcloud" in recipe or "docker" in recipe or ".sh" in recipe:
            start = text.count("\n", 0, match.end()) + 1
            hints = [(match[1], "the target's name")]
            scripts.text(path, recipe, variables, hints, "makefile", 0, start, dirname(path), whole=text)


def _unquoted(value: str) -> str:
    """A value without the quotes around it, which the shell takes off where it is put in."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _shell(text: str) -> str:
    """Make's ``$(NAME)`` and ``$$`` as the shell writes them."""
    return re.sub(r"\$\((\w+)\)", r"${\1}", text).replace("$$", "$")
