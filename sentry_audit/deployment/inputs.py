"""The files that commands take: of the repository, or made earlier by the same run; and the variables and flags in them.

Semantics: ``--env-vars-file`` of cloud.google.com/sdk/gcloud/reference/run/deploy (YAML or JSON; dotenv for ``*.env``)
and cloud.google.com/sdk/gcloud/reference/topic/flags-file. gcloud's YAML reader takes no key twice, and one document.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from posixpath import join, normpath
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.scanners.nodes import children, compose, items, line_of, text_of, twice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.deployment.places import Places
    from sentry_audit.python.program import Files

_NONE = frozenset[str]()
_TEMPLATES = ("{{", "{%")
#: Separates the entries of a list that a flags file gives: gcloud's own escape, with a sign that no value holds.
_SEPARATOR = "\x1f"


class Part(Struct, frozen=True):
    """A piece of a file: where it stands, and its text behind as many empty lines as there are in front of it."""

    path: str
    text: str


class Input(Struct, frozen=True):
    """What a command's file holds, piece by piece; or ``reason``, why that is not known."""

    parts: tuple[Part, ...] = ()
    reason: str = ""


class Row(Struct, frozen=True):
    """One variable of a file, with the place where it stands."""

    name: str
    value: str
    path: str
    line: int


class Unread(Exception):  # noqa: N818 - it says what the file is
    """A file holds something else than what its command takes."""


#: The file of a name, as seen from where the command runs.
Look = Callable[[str], Input]


class Inputs:
    """The files of one tree, and those that the commands of a run have made so far (``made``, by path)."""

    def __init__(self, files: Files, places: Places) -> None:
        self.files = files
        self.places = places
        self.made: dict[str, Input] = {}

    def get(self, name: str, folders: Sequence[str], path: str = "") -> Input:
        """The file that a command of the script ``path``, which runs in one of ``folders``, calls ``name``."""
        for place in (normpath(join(folder, name)) for folder in (*folders, "")):
            if place in self.made:
                return self.made[place]
        for folder in (*folders, ""):
            if place := self.places.file(name, folder, path):
                text = self.files.text(place)
                return Input((Part(place, text),)) if text is not None else Input(reason=f"{place} cannot be read")
        if "$" in name:
            return Input(reason=f"which file {name} is was not followed")
        return Input(reason=f"{normpath(name)} is not in the repository, and what makes it was not followed")

    def seen_from(self, *folders: str, path: str = "") -> Look:
        """What gives the files of names as a command in one of ``folders`` sees them."""
        return lambda name: self.get(name, folders, path)

    def make(self, name: str, folder: str, content: Input, *, append: bool = False) -> None:
        """Keep that a command which runs in ``folder`` writes ``name``."""
        place = normpath(join(folder, name))
        if append:
            before = self.get(name, (folder,))
            reason = before.reason if place in self.made and before.reason else content.reason
            content = Input((*before.parts, *content.parts), reason)
        self.made[place] = content


def variables(name: str, given: Input, *, plain: bool = False) -> list[Row]:
    """The variables of a file called ``name``; ``plain``: it may hold KEY=VALUE lines whatever it is called.

    Raises Unread with the reason, and with the place if there is one.
    """
    if given.reason:
        raise Unread(given.reason)
    rows = [row for part in given.parts for row in _rows(name, part, plain)]
    if not rows:
        raise Unread(f"{given.parts[0].path if given.parts else name} holds no variables")
    return rows


def _rows(name: str, part: Part, plain: bool) -> Iterator[Row]:
    _no_template(part)
    first = next((row.strip() for row in part.text.splitlines() if row.strip() and not row.strip().startswith("#")), "")
    if name.endswith(".env") or (plain and "=" in first and not first.startswith(("{", "-")) and ": " not in first):
        yield from _dotenv(part)
        return
    for key, node in _mapping(part, _document(part)):
        value = getattr(node, "value", None)
        if not isinstance(value, str):
            raise Unread(f"{part.path}:{line_of(node)}: {key} is no text")
        yield Row(key, "" if node.tag.endswith(":null") else value, part.path, line_of(node))


def _dotenv(part: Part) -> Iterator[Row]:
    from dotenv.parser import parse_stream

    for binding in parse_stream(io.StringIO(part.text)):
        string = binding.original.string
        line = binding.original.line + len(string) - len(string.lstrip("\n"))
        if binding.error:
            raise Unread(f"{part.path}:{line}: not KEY=value")
        if binding.key is not None:
            yield Row(binding.key, binding.value or "", part.path, line)


def flags(look: Look, name: str, depth: int = 0) -> list[str]:
    """The flags of a flags file as words of a command line. Raises Unread."""
    given = look(name)
    if given.reason or depth > 3:
        raise Unread(given.reason or f"{name} names itself")
    found: list[str] = []
    for part in given.parts:
        _no_template(part)
        root = _document(part)
        for member in items(root) or [root]:
            for flag, node in _mapping(part, member):
                if flag == "--flags-file":
                    for path in items(node) or [node]:
                        found += flags(look, text_of(path), depth + 1)
                else:
                    found.append(_flag(part, flag, node))
    return found


def _flag(part: Part, flag: str, node: Any) -> str:
    """One flag with its value: nothing, a text, or the entries of a list or mapping."""
    value = getattr(node, "value", None)
    if isinstance(value, str):
        return flag if node.tag.endswith((":null", ":bool")) else f"{flag}={value}"
    listed = items(node)
    entries = [text_of(item) for item in listed]
    if not listed:
        entries = [f"{key}={text_of(inner)}" for key, inner in _mapping(part, node)]
    return f"{flag}=^{_SEPARATOR}^{_SEPARATOR.join(entries)}"


def _document(part: Part) -> Any:
    """The one document of a YAML (or JSON) file."""
    nodes, problems = compose(part.path, part.text, _NONE)
    for problem in problems:
        raise Unread(f"{problem.evidence}: {problem.reason}")
    if len(nodes) != 1:
        raise Unread(f"{part.path}: {len(nodes)} YAML documents instead of one")
    for key, line in twice(nodes[0]):
        raise Unread(f"{part.path}:{line}: the key {key!r} is there twice")
    return nodes[0]


def _mapping(part: Part, node: Any) -> Iterator[tuple[str, Any]]:
    found = children(node)
    if not found:
        raise Unread(f"{part.path}:{line_of(node)}: not KEY: value")
    yield from found.items()


def _no_template(part: Part) -> None:
    for number, row in enumerate(part.text.splitlines(), 1):
        if any(mark in row for mark in _TEMPLATES):
            raise Unread(f"{part.path}:{number}: a template, and what it becomes is not known")
