"""Imports put where the project's own import order has them."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.fixers._imports import paragraph
from sentry_audit.fixers.pysource import Source, is_docstring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.python.module import Module
    from sentry_audit.python.program import Program

_FUTURE, _STANDARD, _THIRD, _FIRST = range(4)
_Imported = ast.Import | ast.ImportFrom


class Sdk(Struct, frozen=True):
    """How a module speaks of the SDK: ``name`` before its functions, ``guard`` where it may be missing.

    ``guard`` is the condition that holds where ``try: import sentry_sdk`` succeeded.
    """

    name: str
    guard: str = ""

    def call(self, text: str) -> list[str]:
        """The lines of a statement that calls ``sentry_sdk.text``."""
        return [f"if {self.guard}:", f"    {self.name}.{text}"] if self.guard else [f"{self.name}.{text}"]


def sdk(source: Source, program: Program) -> Sdk:
    """How ``source`` names the SDK; it is imported there if it is not yet."""
    for statement in source.module.tree.body:
        if isinstance(statement, ast.Import):
            for item in statement.names:
                if item.name == "sentry_sdk":
                    return Sdk(item.asname or item.name)
        if isinstance(statement, ast.Try):
            found = _optional(statement)
            if found is not None:
                return found
    add_import(source, program, "sentry_sdk")
    return Sdk("sentry_sdk")


def _optional(attempt: ast.Try) -> Sdk | None:
    """``try: import sentry_sdk`` with what tells that it failed."""
    names = [
        item.asname or item.name
        for statement in attempt.body
        if isinstance(statement, ast.Import)
        for item in statement.names
        if item.name == "sentry_sdk"
    ]
    if not names:
        return None
    for handler in attempt.handlers:
        for statement in handler.body:
            if isinstance(statement, ast.Raise):
                return Sdk(names[0])
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
                target = ast.unparse(statement.targets[0])
                if statement.value.value is None and target == names[0]:
                    return Sdk(names[0], f"{names[0]} is not None")
                if statement.value.value is False:
                    return Sdk(names[0], target)
    return None


def add_import(source: Source, program: Program, module: str, name: str = "", near: ast.AST | None = None) -> str:
    """See that ``name`` of ``module`` (or ``module`` itself) is imported; returns what it is called there.

    ``near`` is the code that needs it: an import of the same package that stands in its function, or in a ``try``,
    gets it as a neighbour.
    """
    scope = source.module.function_of(near) if near is not None else None
    if not name:
        for statement in _visible(source.module, scope):
            for item in statement.names if isinstance(statement, ast.Import) else ():
                if item.name == module:
                    return item.asname or item.name
        if (module, "") in source.imported:
            return module
        source.imported.add((module, ""))
        _add(source, program, module, [], near)
        return module
    return add_names(source, program, module, [name], near)[0]


def add_names(
    source: Source, program: Program, module: str, names: Sequence[str], near: ast.AST | None = None
) -> list[str]:
    """The same for several names of ``module``, in one statement."""
    scope = source.module.function_of(near) if near is not None else None
    known = {
        item.name: item.asname or item.name
        for statement in _visible(source.module, scope)
        if isinstance(statement, ast.ImportFrom) and statement.module == module and not statement.level
        for item in statement.names
    }
    missing = [name for name in names if name not in known and (module, name) not in source.imported]
    source.imported |= {(module, name) for name in missing}
    if missing:
        _add(source, program, module, missing, near)
    return [known.get(name, name) for name in names]


def _add(source: Source, program: Program, module: str, names: Sequence[str], near: ast.AST | None) -> None:
    scope = source.module.function_of(near) if near is not None else None
    limit = source.top_level(near) if near is not None else None
    line = f"from {module} import {', '.join(names)}" if names else f"import {module}"
    neighbours = _neighbour(source.module, module.partition(".")[0], scope) if near is not None else None
    if neighbours is not None:
        _beside(source, neighbours, module, names, line)
        return
    run = _leading(source, limit)
    same = next((item for item in run if isinstance(item, ast.ImportFrom) and item.module == module), None)
    if names and same is not None and not same.level and same.names[0].name != "*":
        _join(source, same, names)
    else:
        _place(source, program, run, module, line)


def _visible(module: Module, scope: ast.AST | None) -> list[_Imported]:
    """The imports that code in ``scope`` sees: of the module, not in conditions, and of its own function."""
    found: list[_Imported] = []
    for statement in module.tree.body:
        if isinstance(statement, _Imported):
            found.append(statement)
        elif isinstance(statement, ast.Try):
            found += [inner for inner in statement.body if isinstance(inner, _Imported)]
    if scope is not None:
        found += [node for node in ast.walk(scope) if isinstance(node, _Imported)]
    return found


def _neighbour(module: Module, package: str, scope: ast.AST | None) -> list[_Imported] | None:
    """The imports of ``package`` that stand together in a function or in a ``try``, if they do."""
    blocks: list[Sequence[ast.stmt]] = []
    if scope is not None:
        for node in ast.walk(scope):
            blocks += [
                getattr(node, name) for name in ("body", "orelse") if isinstance(getattr(node, name, None), list)
            ]
    blocks += [item.body for item in module.tree.body if isinstance(item, ast.Try)]
    for block in blocks:
        mine = [item for item in block if isinstance(item, _Imported) and _top(item) == package]
        if mine:
            return mine
    return None


def _beside(source: Source, beside: list[_Imported], module: str, names: Sequence[str], line: str) -> None:
    same = next((item for item in beside if isinstance(item, ast.ImportFrom) and item.module == module), None)
    if names and same is not None:
        _join(source, same, names)
        return
    before = [item for item in beside if isinstance(item, ast.Import) or (names and (item.module or "") < module)]
    if before:
        source.after(before[-1], [line])
    else:
        source.before(beside[0], [line])


def _top(statement: _Imported) -> str:
    if isinstance(statement, ast.Import):
        return statement.names[0].name.partition(".")[0]
    return "" if statement.level else (statement.module or "").partition(".")[0]


def _leading(source: Source, limit: ast.stmt | None) -> list[_Imported]:
    """The longest run of imports above the first definition, and above ``limit``."""
    runs: list[list[_Imported]] = [[]]
    for statement in source.module.tree.body:
        if statement is limit or isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            break
        if isinstance(statement, _Imported):
            runs[-1].append(statement)
        elif runs[-1] and not (isinstance(statement, ast.Try | ast.If) and _only_imports(statement)):
            runs.append([])
    return max(runs, key=lambda run: sum(not _is_future(item) for item in run))


def _only_imports(statement: ast.Try | ast.If) -> bool:
    return all(isinstance(item, _Imported) for item in statement.body)


def _is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _sort_key(name: str) -> tuple[int, str]:
    """The order of isort and ruff: CONSTANTS, Classes, functions."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2, name)


def _join(source: Source, statement: ast.ImportFrom, names: Sequence[str]) -> None:
    """Add ``names`` to ``from module import …``, in their order."""
    present = [item.name for item in statement.names]
    ordered = present == sorted(present, key=_sort_key)
    text = source.source(statement)
    if statement.lineno == statement.end_lineno:
        written = {item.name: ast.unparse(item) for item in statement.names}
        both = [*present, *names]
        whole = [written.get(name, name) for name in (sorted(both, key=_sort_key) if ordered else both)]
        head = f"from {'.' * statement.level}{statement.module or ''} import "
        indent = source.indent(statement.lineno)
        line = head + (f"({', '.join(whole)})" if "(" in text else ", ".join(whole))
        if len(indent + line) > source.length:
            rows = "".join(f"{indent}{source.unit}{each},\n" for each in whole)
            line = f"{head}(\n{rows}{indent})"
        source.replace(source.start(statement), source.end(statement), line)
        return
    last = statement.names[-1]
    one_each = last.lineno > statement.lineno and last.lineno != statement.end_lineno
    for name in sorted(names, key=_sort_key):
        following = next((item for item in statement.names if _sort_key(item.name) > _sort_key(name)), None)
        anchor = following if ordered and following is not None else last
        gap = f"\n{source.indent(anchor.lineno)}" if one_each else " "
        if anchor is following:
            source.insert(source.offset(anchor.lineno, anchor.col_offset), f"{name},{gap}")
            continue
        assert last.end_lineno is not None
        assert last.end_col_offset is not None
        source.insert(source.offset(last.end_lineno, last.end_col_offset), f",{gap}{name}")


def _place(source: Source, program: Program, run: list[_Imported], module: str, line: str) -> None:
    """Give the import a line of its own in the section of its sort."""

    def section(statement: _Imported) -> int:
        if _is_future(statement):
            return _FUTURE
        if isinstance(statement, ast.ImportFrom) and statement.level:
            return _FIRST
        name = statement.names[0].name if isinstance(statement, ast.Import) else statement.module or ""
        return _section(program, source.module.path, name)

    wanted = _section(program, source.module.path, module)
    if not run:
        _first(source, wanted, line)
        return
    mine = [item for item in run if section(item) == wanted]
    if mine:
        _among(source, paragraph(mine, module), module, line)
        return
    before = [item for item in run if section(item) < wanted]
    if before:
        last = before[-1]
        assert last.end_lineno is not None
        following = source.line(last.end_lineno + 1)
        more = [item for item in run if item.lineno > last.lineno]
        # Sections that are not parted by blank lines are not parted by a new one either.
        parted = not (more and following.strip() and more[0].lineno == last.end_lineno + 1)
        if parted:
            source.section(last.end_lineno + 1, wanted, line, above=False)
        else:
            source.insert_lines(last.end_lineno + 1, [line])
    else:
        source.section(source.above(run[0]), wanted, line, above=True)


def _section(program: Program, path: str, module: str) -> int:
    top = module.partition(".")[0]
    if not top:
        return _FIRST
    if top in sys.stdlib_module_names:
        return _STANDARD
    return _FIRST if program.locate(module, path) or program.locate(top, path) else _THIRD


def _first(source: Source, kind: int, line: str) -> None:
    """The only imports of a file: after its docstring, before its code."""
    body = source.module.tree.body
    if body and is_docstring(body[0]):
        assert body[0].end_lineno is not None
        source.section(body[0].end_lineno + 1, kind, line, above=False)
    elif body:
        source.section(source.above(body[0]), kind, line, above=True)
    else:
        source.insert_lines(1, [line])


def _among(source: Source, mine: list[_Imported], module: str, line: str) -> None:
    """Put the import among those of its section, as they are ordered."""

    def name(item: _Imported) -> str:
        return item.names[0].name if isinstance(item, ast.Import) else item.module or ""

    plain = [item for item in mine if isinstance(item, ast.Import)]
    froms = [item for item in mine if isinstance(item, ast.ImportFrom)]
    by_name = [name(item).lower() for item in mine]
    straight_first = not plain or not froms or plain[-1].lineno < froms[0].lineno
    if by_name == sorted(by_name) and not straight_first:
        pool: Sequence[_Imported] = mine
    elif straight_first:
        pool = plain if line.startswith("import ") else froms
        if not pool:
            if line.startswith("import "):
                source.insert_lines(source.above(mine[0]), [line])
            else:
                source.after(mine[-1], [line])
            return
    else:
        pool = [item for item in mine if isinstance(item, ast.Import) == line.startswith("import ")]
    following = next((item for item in pool if name(item).lower() > module.lower()), None)
    ordered = [name(item).lower() for item in pool] == sorted(name(item).lower() for item in pool)
    kin = [item for item in pool if _top(item) == module.partition(".")[0]]
    kin = kin or [item for item in mine if _top(item) == module.partition(".")[0]]
    if following is not None and ordered:
        source.insert_lines(source.above(following), [line])
    elif kin and not ordered:  # nothing but its own package says where it belongs
        earlier = [item for item in kin if name(item).lower() <= module.lower()]
        source.after(earlier[-1], [line]) if earlier else source.before(kin[0], [line])
    else:
        source.after(pool[-1], [line])
