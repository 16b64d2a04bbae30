"""Import statements, added where isort would put them."""

from __future__ import annotations

import ast
import itertools
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry_audit.fixers._source import Source, Splice

_FUTURE, _STANDARD, _INSTALLED, _OWN, _RELATIVE = range(5)
Key = tuple[int, int, str]


def bound(source: Source, name: str) -> bool:
    """Whether the file binds ``name`` by an import that runs before everything else."""
    return any(
        (item.asname or item.name.split(".")[0]) == name
        for statement in _block(source.tree)
        for item in getattr(statement, "names", ())
    )


def added(source: Source, statement: str, is_own: Callable[[str], bool]) -> list[Splice]:
    """``statement`` (one import) in its place; nothing if it is there already. ``is_own``: a module of the project's."""
    node = ast.parse(statement).body[0]
    assert isinstance(node, ast.Import | ast.ImportFrom)
    block = _block(source.tree)
    if any(ast.dump(node) == ast.dump(item) for item in block):
        return []
    if isinstance(node, ast.Import) and bound(source, node.names[0].name):
        return []
    merged = _merged(source, node, block)
    if merged is not None:
        return merged
    wanted = _key(node, is_own)
    mine = [item for item in block if _key(item, is_own)[0] == wanted[0]]
    group = paragraph(mine, package(node))
    if len(group) < len(mine):
        block = group
    keys = [_key(item, is_own) for item in block]
    mixed = any(
        one[0] == two[0] and one[1] > two[1] for one, two in itertools.pairwise(keys)
    )  # the two forms of import are sorted into each other
    wanted = _sortable(wanted, mixed)
    before = [item for item, key in zip(block, keys, strict=True) if _sortable(key, mixed) <= wanted]
    if not block:
        return [_first(source, statement)]
    if not before:
        gap = source.end if keys[0][0] != wanted[0] else ""
        place = (
            source.blank_before(block[0]) if source.tree.body[0] is not block[0] else source.line_start(block[0].lineno)
        )
        return [(place, place, statement + source.end + gap)]
    last = before[-1]
    order = [_sortable(key, mixed) for key in keys]
    kin = [item for item in block if package(item) == package(node)]
    if kin and order != sorted(order):  # nothing but its own package says where it belongs
        last = kin[-1]
    place = source.after(last)
    lead = "" if source.text[:place].endswith(("\n", "\r")) else source.end
    if _key(last, is_own)[0] == wanted[0]:
        return [(place, place, lead + statement + source.end)]
    following = block[block.index(last) + 1] if last is not block[-1] else None
    tight = following is not None and following.lineno == (last.end_lineno or 0) + 1
    if following is not None and not tight:
        start = source.blank_before(following)
        same = _key(following, is_own)[0] == wanted[0]
        return [(start, start, statement + source.end + ("" if same else source.end))]
    return [(place, place, lead + ("" if tight else source.end) + statement + source.end)]


def paragraph(section: list[ast.Import | ast.ImportFrom], module: str) -> list[ast.Import | ast.ImportFrom]:
    """The imports of a section that are not parted by blank lines, among which ``module`` belongs.

    Those with its own package, else the first that no package has for itself (isort's own sections).
    """
    groups: list[list[ast.Import | ast.ImportFrom]] = []
    for item in section:
        if groups and item.lineno <= (groups[-1][-1].end_lineno or 0) + 1:
            groups[-1].append(item)
        else:
            groups.append([item])
    own = [group for group in groups if module.partition(".")[0] in map(package, group)]
    shared = [group for group in groups if len(set(map(package, group))) > 1]
    return (own or shared or [section])[0] if len(groups) > 1 else section


def _merged(
    source: Source, node: ast.Import | ast.ImportFrom, block: list[ast.Import | ast.ImportFrom]
) -> list[Splice] | None:
    """The name put into a statement that imports from the same module, where that stands on one line without comment."""
    if not isinstance(node, ast.ImportFrom):
        return None
    for item in block:
        if (
            isinstance(item, ast.ImportFrom) and (item.module, item.level) == (node.module, node.level)
            and item.lineno == item.end_lineno and "(" not in source.written(item)
        ):  # fmt: skip
            if any(known.name == node.names[0].name and not known.asname for known in item.names):
                return []
            names = sorted({*(ast.unparse(known) for known in item.names), node.names[0].name}, key=_isort)
            line = f"from {'.' * node.level}{node.module or ''} import {', '.join(names)}"
            return [(*source.span(item), line)] if len(line) <= 88 else None
    return None


def _isort(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: isort's order of imported names."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name


def _block(tree: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    """The imports at the top of a file, up to the first statement that is none."""
    found: list[ast.Import | ast.ImportFrom] = []
    for index, statement in enumerate(tree.body):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            found.append(statement)
        elif not (index == 0 and _is_docstring(statement)):
            break
    return found


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _key(node: ast.Import | ast.ImportFrom, is_own: Callable[[str], bool]) -> Key:
    if isinstance(node, ast.Import):
        module, form, level = node.names[0].name, 0, 0
    else:
        module, form, level = node.module or "", 1, node.level
    top = module.partition(".")[0]
    if level:
        section = _RELATIVE
    elif module == "__future__":
        section = _FUTURE
    elif top in sys.stdlib_module_names:
        section = _STANDARD
    else:
        section = _OWN if is_own(module) else _INSTALLED
    return section, form, module.lower()


def package(node: ast.Import | ast.ImportFrom) -> str:
    """The package that a statement imports from; dots for a relative one."""
    module = node.names[0].name if isinstance(node, ast.Import) else "." * node.level + (node.module or "")
    return module.partition(".")[0]


def _sortable(key: Key, mixed: bool) -> Key:
    return (key[0], 0, key[2]) if mixed else key


def _first(source: Source, statement: str) -> Splice:
    """At the top of a file without imports: below its docstring, else below its leading comments."""
    body = source.tree.body
    if body and _is_docstring(body[0]):
        place = source.after(body[0])
        return place, place, source.end + statement + source.end
    line = 1
    while line <= len(source.lines) and source.lines[line - 1].startswith("#"):
        line += 1
    place = source.line_start(line) if line <= len(source.lines) else len(source.text)
    blank = source.lines[line - 1 : line] in ([""], [source.end]) and place < len(source.text)
    lead = source.end if line > 1 else ""
    return place, place, lead + statement + source.end + ("" if blank or not body else source.end)
