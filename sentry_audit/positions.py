"""Mistakes in files of ours, and the lines on which they stand: found in a second pass, made for messages only."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The way to a value: the keys of mappings, the indices of lists.
Path = tuple[str | int, ...]


class Wrong(Exception):  # noqa: N818 - carries a mistake to where its line is known
    """A value that cannot be meant: where it is in its file, what is wrong with it, and what to write."""

    def __init__(self, path: Sequence[str | int], message: str, hint: str = "") -> None:
        """Keep where, what and how."""
        super().__init__(message)
        self.path, self.message, self.hint = tuple(path), message, hint


def told(path: Sequence[str | int]) -> str:
    """``("components", 0, "name")`` as ``components[0].name``."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return words.removeprefix(".")


def listed(found: Sequence[Wrong], place: Callable[[Path], str], name: str) -> tuple[str, str]:
    """The message and the hint for the mistakes of the file ``name``; ``place`` says where a value stands."""
    if len(found) == 1:
        return f"{place(found[0].path)}: {found[0].message}", found[0].hint
    rows = [f"  {place(item.path)}: {item.message}" + (f"\n    {item.hint}" if item.hint else "") for item in found]
    return "\n".join([f"{len(found)} mistakes in {name}", *rows]), ""


def no_yaml(error: Exception, text: str, name: str) -> tuple[str, str]:
    """The message and the hint for a ``yaml.YAMLError`` in the file ``name``."""
    mark = getattr(error, "problem_mark", None)
    place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    row = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    hint = "indent with spaces: this line begins with a tab" if row.lstrip(" ").startswith("\t") else "fix the YAML"
    return f"{place}: {getattr(error, 'problem', None) or 'not YAML'}", hint


@lru_cache(maxsize=8)
def _composed(text: str) -> Any:
    """The root node of a YAML text: composed once, however many values are looked for. Raises yaml.YAMLError."""
    import yaml

    return yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def twice(text: str) -> list[Wrong]:
    """The keys of a YAML text that stand twice in one mapping: YAML would take the last in silence."""
    import yaml

    found: list[Wrong] = []
    known: set[int] = set()

    def look(node: Any, path: Path) -> None:
        if id(node) in known:  # an alias, perhaps of what it stands in
            return
        known.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, value in node.value:
                name = str(key.value)
                if name in seen and name != "<<":
                    message = f"the key {name!r} is there twice: lines {seen[name]} and {key.start_mark.line + 1}"
                    found.append(Wrong((*path, name), message, "keep one of them"))
                seen.setdefault(name, key.start_mark.line + 1)
                look(value, (*path, name))
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                look(item, (*path, index))

    look(_composed(text), ())
    return found


def yaml_data(text: str) -> Any:
    """The content of a YAML text; a date stays the text that it is, so that one that cannot be has a line.

    Raises yaml.YAMLError.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {  # noqa: RUF012 - as yaml has it
            first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
            for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    return yaml.load(text, Loader)  # noqa: S506 - a safe loader


def yaml_line(text: str, path: Sequence[str | int]) -> int:
    """The line of a YAML text on which the value at ``path`` stands, or the nearest one above that is there."""
    import yaml

    node = _composed(text)
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def toml_line(text: str, table: str, path: Sequence[str | int]) -> int | None:
    """The line of a TOML text on which ``path`` below ``table`` stands, as far as headers and keys tell; else None.

    Tables in brackets and keys at the beginning of a line are found; what is written inline is on the line of its key.
    """
    lines = text.splitlines()
    found: int | None = None
    begin, prefix = 0, re.escape(table)
    for index, part in enumerate(path):
        if isinstance(part, int):
            headers = [at for at, line in enumerate(lines) if re.match(rf"\s*\[\[\s*{prefix}\s*\]\]", line)]
            if part >= len(headers):
                break
            begin = headers[part] + 1
        else:
            longer = rf"{prefix}\.{re.escape(part)}"
            header = next((at for at, line in enumerate(lines) if re.match(rf"\s*\[\[?\s*{longer}\s*\]", line)), None)
            if header is None:
                key = _key(lines, begin if index else _table(lines, prefix), part)
                return key if key is not None else found
            begin, prefix = header + 1, longer
        found = begin
    return found


def _table(lines: Sequence[str], prefix: str) -> int:
    return next((at + 1 for at, line in enumerate(lines) if re.match(rf"\s*\[\s*{prefix}\s*\]", line)), len(lines))


def _key(lines: Sequence[str], begin: int, key: str) -> int | None:
    """The line of ``key`` in the table whose first line has the index ``begin``."""
    for at in range(begin, len(lines)):
        if re.match(r"\s*\[", lines[at]):
            return None
        if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[.=]", lines[at]):
            return at + 1
    return None
