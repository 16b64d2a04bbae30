"""YAML as nodes with their lines: what a file says and where, without building its objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sentry_audit.model import Evidence, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator


def compose(path: str, text: str, kinds: frozenset[str]) -> tuple[list[Any], list[Problem]]:
    """The root nodes of the documents in ``text``; a problem about ``kinds`` with its line if it is no YAML.

    The documents in front of a broken one are kept. Never raises.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: list[Any] = []
    try:
        found += (node for node in yaml.compose_all(text, Loader=loader) if node is not None)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        reason = f"not valid YAML: {error.problem or error.context or 'it cannot be read'}"
        where = Evidence(path, line, column, None, "syntax error")
        return found, [Problem("repo", kinds, reason, f"fix the syntax of {path}", where)]
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        where = Evidence(path, None, None, None, "")
        return found, [Problem("repo", kinds, f"not valid YAML: {error}", f"save {path} as UTF-8 text", where)]
    return found, []


def children(node: Any) -> dict[str, Any]:
    """The entries of a mapping node, merges (``<<``) put in; nothing for any other node. The last of equal keys wins.

    Each node is merged once, however often it is named: nested merges would multiply.
    """
    found: dict[str, Any] = {}
    _merge(node, found, set())
    return found


def _merge(root: Any, found: dict[str, Any], seen: set[int]) -> None:
    """Put the entries of ``root`` into ``found``, and behind them what it merges in: the earlier of them counts."""
    import yaml

    stack = [root]
    while stack:
        node = stack.pop()
        if not isinstance(node, yaml.MappingNode) or id(node) in seen:
            continue
        seen.add(id(node))
        own: dict[str, Any] = {}
        merged: list[Any] = []
        for key, value in node.value:
            if key.value == "<<":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif isinstance(key.value, str):
                own[key.value] = value
        for name, value in own.items():
            found.setdefault(name, value)
        stack += reversed(merged)


def items(node: Any) -> list[Any]:
    """The entries of a sequence node; nothing for any other node."""
    import yaml

    return node.value if isinstance(node, yaml.SequenceNode) else []


def text_of(node: Any) -> str:
    """The text of a scalar node, else ``""``."""
    return node.value if node is not None and isinstance(node.value, str) else ""


def line_of(node: Any) -> int:
    """The line on which a node begins, from 1."""
    return int(node.start_mark.line) + 1


def at(node: Any, *path: str) -> Any:
    """The node below ``node`` at ``path``, or None."""
    for part in path:
        node = children(node).get(part)
    return node


def twice(node: Any) -> Iterator[tuple[str, int]]:
    """Keys that stand twice in one mapping, with the line of the second; YAML readers differ in which one wins."""
    for mapping in _mappings(node):
        seen: set[str] = set()
        for key, _ in mapping.value:
            name = text_of(key)
            if name in seen and name not in {"", "<<"}:
                yield name, line_of(key)
            seen.add(name)


def templated(node: Any) -> int | None:
    """The line of the first ``{{ … }}`` that is no text: to YAML it is a mapping as the key of a mapping."""
    lines = [line_of(key) for mapping in _mappings(node) for key, _ in mapping.value if not isinstance(key.value, str)]
    return min(lines, default=None)


def _mappings(node: Any) -> Iterator[Any]:
    """The mapping nodes at and below ``node``, each once, however many aliases name it."""
    import yaml

    stack, seen = [node], set()
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, yaml.MappingNode):
            yield current
            stack.extend(value for _, value in current.value)
        elif isinstance(current, yaml.SequenceNode):
            stack.extend(current.value)
