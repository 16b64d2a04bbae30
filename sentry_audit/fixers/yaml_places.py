"""Where things stand in a YAML text, and entries that are added to its lists and mappings in their own style."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.fixers.texts import row_at, row_end
from sentry_audit.scanners.nodes import children, compose, items, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.fixers.texts import Insertion


class Scalar(Struct, frozen=True):
    """A scalar that is a script: where its text ends, whether a line end is a space in it, and its quote."""

    end: int
    folded: bool
    quote: str


def nodes(path: str, text: str) -> Iterator[Any]:
    """All nodes of ``text``, from the outside to the inside."""
    stack = list(reversed(compose(path, text, frozenset())[0]))
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node.value, list):
            stack += [part for item in reversed(node.value) for part in (item if isinstance(item, tuple) else (item,))]


def mapping_at(path: str, text: str, line: int, key: str) -> Any:
    """The mapping that begins on ``line`` and has ``key``, or None."""
    return next((node for node in nodes(path, text) if line_of(node) == line and key in children(node)), None)


def script_at(path: str, text: str, at: int) -> Scalar | None:
    """The scalar that holds the place ``at``, or None."""
    for node in nodes(path, text):
        if isinstance(node.value, str) and node.start_mark.index <= at < node.end_mark.index:
            quote = node.style if node.style in {'"', "'"} else ""
            return Scalar(node.end_mark.index - bool(quote), node.style != "|", quote)
    return None


def last_leaf(node: Any) -> Any:
    """The scalar (or flow collection) that stands last in ``node``."""
    while isinstance(node.value, list) and node.value and not node.flow_style:
        node = node.value[-1][1] if isinstance(node.value[-1], tuple) else node.value[-1]
    return node


def end_of(node: Any, text: str) -> int:
    """Where the text of ``node`` ends, comments and empty lines behind it not counted."""
    leaf = last_leaf(node)
    end = int(leaf.end_mark.index)
    if getattr(leaf, "style", None) in {"|", ">"}:
        return len(text[:end].rstrip())
    return end


def key_node(mapping: Any, key: str) -> Any:
    """The node of the key itself."""
    return next((name for name, _ in mapping.value if name.value == key), None)


def listed(text: str, sequence: Any, rows: list[str]) -> Insertion:
    """A new entry behind those of a block ``sequence``; ``rows`` are its lines, the first without its dash."""
    last = items(sequence)[-1]
    begin = row_at(text, last.start_mark.index)
    dash = begin[: len(begin) - len(begin.lstrip())]
    gap = begin[len(dash) : last.start_mark.column] or "- "
    at = row_end(text, end_of(sequence, text))
    body = "".join(f"\n{dash}{gap if not index else ' ' * len(gap)}{row}" for index, row in enumerate(rows))
    return at, body


def keyed(text: str, mapping: Any, behind: str, rows: list[str]) -> Insertion:
    """New lines behind the entry ``behind`` of a block ``mapping`` (its last one if it has none), in its indentation."""
    pair = next(((key, value) for key, value in mapping.value if key.value == behind), mapping.value[-1])
    indent = " " * pair[0].start_mark.column
    at = row_end(text, end_of(pair[1], text))
    return at, "".join(f"\n{indent}{row}" for row in rows)


def in_scalar(text: str, node: Any, entry: str, separator: str) -> Insertion:
    """``entry`` at the end of a scalar's text: on a line of its own in a block, behind ``separator`` else."""
    if node.style in {"|", ">"}:
        end = len(text[: node.end_mark.index].rstrip())
        row = row_at(text, end)
        comma = "," if row.rstrip().endswith(",") is False and separator == "," and node.style == ">" else ""
        return end, f"{comma}\n{row[: len(row) - len(row.lstrip())]}{entry}"
    end = node.end_mark.index - (1 if node.style in {'"', "'"} else 0)
    return end, separator + entry


def quoted_like(node: Any, value: str) -> str:
    """``value`` in the quotes that ``node`` has."""
    quote = node.style if node is not None and getattr(node, "style", None) in {'"', "'"} else ""
    return f"{quote}{value}{quote}"


def is_block(node: Any) -> bool:
    """Whether a list or mapping is written over lines, not in brackets."""
    return node is not None and isinstance(node.value, list) and bool(node.value) and not node.flow_style
