"""Waivers that are written into a settings file, and taken out of files again: everything else stays as it is.

What comes out is read again: an edit that would mean anything but what was asked for raises CannotEdit.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from sentry_audit.fixers.texts import end_of_line, inserted, row_end
from sentry_audit.fixers.yaml_places import end_of, is_block, key_node, keyed, listed
from sentry_audit.positions import yaml_data
from sentry_audit.scanners.nodes import children, compose, items

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: The keys of a waiver with their texts, in the order in which they are written.
Entry: TypeAlias = "Mapping[str, str | list[str]]"
_KEY = "waivers"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class CannotEdit(Exception):  # noqa: N818 - says what is so
    """The file is written in a way that cannot be added to, or taken from, without changing something else."""


def yaml_rows(entry: Entry) -> list[str]:
    """``entry`` as the rows of a block mapping."""
    return [f"{key}: {_prints(value) if key == 'fingerprint' else _scalar(value)}" for key, value in entry.items()]


def _prints(values: str | list[str]) -> str:
    """Fingerprints in quotes: some would be numbers without."""
    return f"[{', '.join(repr(item) for item in values)}]"


def _scalar(value: str | list[str]) -> str:
    import yaml

    if isinstance(value, str) and _DAY.fullmatch(value):
        return value
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"))
    return text.removesuffix("\n...\n").rstrip("\n")


def added(text: str, entry: Entry) -> str:
    """The YAML ``text`` with one more waiver behind those that it has. Raises CannotEdit."""
    after = _added(text, entry)
    before = yaml_data(text) or {}
    _expect(after, {**before, _KEY: [*(before.get(_KEY) or []), dict(entry)]})
    return after


def _added(text: str, entry: Entry) -> str:
    rows = yaml_rows(entry)
    block = f"{_KEY}:" + "".join(f"\n  {'  ' if index else '- '}{row}" for index, row in enumerate(rows))
    roots = compose("", text, frozenset())[0]
    root = roots[0] if roots else None
    if root is None:
        return inserted(text, [(len(text), f"{_line_end(text)}{block}\n")])
    if not is_block(root):
        raise CannotEdit
    node = children(root).get(_KEY)
    if node is None:
        if re.search(r"^\.\.\.", text, re.MULTILINE) or root.value[0][0].start_mark.column:
            return inserted(text, [keyed(text, root, "", block.split("\n"))])
        return inserted(text, [(len(text), f"{_line_end(text)}{block}\n")])
    if is_block(node):
        return inserted(text, [listed(text, node, rows)])
    if items(node):
        import yaml

        flow = yaml.safe_dump(
            dict(entry), default_flow_style=True, allow_unicode=True, sort_keys=False, width=float("inf")
        )
        return inserted(text, [(items(node)[-1].end_mark.index, f", {flow.strip()}")])
    key = key_node(root, _KEY)
    at = row_end(text, key.end_mark.index)
    kept = text[: node.start_mark.index].rstrip(" ") + text[node.end_mark.index : at] if node.end_mark.index else text
    return inserted(kept + text[at:], [(len(kept), block.partition("\n")[1] + block.partition("\n")[2])])


def _line_end(text: str) -> str:
    return "" if not text or text.endswith("\n") else "\n"


def removed(text: str, indices: Collection[int]) -> str:
    """The YAML ``text`` without those of its waivers; without the key where none is left. Raises CannotEdit."""
    before = yaml_data(text)
    kept = [item for index, item in enumerate(before[_KEY]) if index not in indices]
    after = _removed(text, indices, kept)
    rest = {key: value for key, value in before.items() if key != _KEY}
    _expect(after, {**rest, _KEY: kept} if kept else rest)
    return after


def _removed(text: str, indices: Collection[int], kept: list[Any]) -> str:
    root = compose("", text, frozenset())[0][0]
    node, key = children(root).get(_KEY), key_node(root, _KEY)
    if node is None or key is None or not is_block(root):
        raise CannotEdit
    if not kept:
        return text[: _row_start(text, key.start_mark.index)] + text[_next_row(text, end_of(node, text)) :]
    if not is_block(node):
        import yaml

        flow = yaml.safe_dump(kept, default_flow_style=True, allow_unicode=True, sort_keys=False, width=float("inf"))
        return text[: node.start_mark.index] + flow.strip() + text[node.end_mark.index :]
    for index in sorted(indices, reverse=True):
        item = node.value[index]
        dash = text.rfind("-", 0, item.start_mark.index)
        text = text[: _row_start(text, dash)] + text[_next_row(text, end_of(item, text)) :]
    return text


def _row_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _next_row(text: str, at: int) -> int:
    following = text.find("\n", at)
    return len(text) if following < 0 else following + 1


def _expect(text: str, wanted: dict[str, Any]) -> None:
    import yaml

    try:
        if (yaml_data(text) or {}) == wanted:
            return
    except yaml.YAMLError:
        pass
    raise CannotEdit


def toml_added(text: str, entry: Entry) -> str:
    """A pyproject.toml with one more waiver under ``[tool.sentry-audit]``, which it has. Raises CannotEdit."""
    import tomlkit

    document = tomlkit.parse(text)
    table: Any = document["tool"]["sentry-audit"]
    before = _plain(text)
    values = {
        key: tomlkit.date(value) if isinstance(value, str) and _DAY.fullmatch(value) else value
        for key, value in entry.items()
    }
    existing = table.get(_KEY)
    if isinstance(existing, tomlkit.items.Array):
        inline = tomlkit.inline_table()
        inline.update(values)
        existing.append(inline)
    else:
        new = tomlkit.table()
        new.update(values)
        if existing is None:
            table.append(_KEY, tomlkit.aot())
        table[_KEY].append(new)
    after = _line_ends(text, tomlkit.dumps(document))
    ours = before["tool"]["sentry-audit"]
    ours[_KEY] = [
        *ours.get(_KEY, []),
        {key: getattr(value, "unwrap", lambda value=value: value)() for key, value in values.items()},
    ]
    return _same(after, before)


def toml_removed(text: str, indices: Collection[int]) -> str:
    """A pyproject.toml without those of its waivers. Raises CannotEdit."""
    import tomlkit

    document = tomlkit.parse(text)
    table: Any = document["tool"]["sentry-audit"]
    before = _plain(text)
    ours = before["tool"]["sentry-audit"]
    for index in sorted(indices, reverse=True):
        del table[_KEY][index]
        del ours[_KEY][index]
    if not ours[_KEY]:
        del table[_KEY]
        del ours[_KEY]
    return _same(_line_ends(text, tomlkit.dumps(document)), before)


def _plain(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


def _same(after: str, wanted: Any) -> str:
    import tomllib

    try:
        if _plain(after) == wanted:
            return after
    except tomllib.TOMLDecodeError:
        pass
    raise CannotEdit


def _line_ends(before: str, after: str) -> str:
    return re.sub(r"\r?\n", end_of_line(before), after)


def without_comment(text: str, span: tuple[int, int]) -> str:
    """``text`` without the comment at ``span``, and without its row where nothing else is on it. Raises CannotEdit."""
    start, end = span
    comment = text[start:end]
    closers = [close for opener, close in (("/*", "*/"), ("<!--", "-->")) if comment.startswith(opener)]
    if not comment or any(not comment.endswith(close) for close in closers) or (comment.endswith("*/") and not closers):
        raise CannotEdit
    first, last = _row_start(text, start), row_end(text, end)
    if (text[first:start] + text[end:last]).strip() in {"", "{}"}:
        return text[:first] + text[_next_row(text, end) :]
    if text[end:last].strip():
        return text[:start] + text[end:].lstrip(" ")
    return text[:start].rstrip(" \t") + text[last:]
