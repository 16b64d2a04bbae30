"""One Python file being edited by text positions, so that all else stays byte for byte."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.fixing import Edit
from sentry_audit.python import syntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.python.module import Module

_LINE_END = re.compile(r"\r\n|\n|\r")


class _Patch(Struct, frozen=True):
    start: int
    end: int
    text: str


class Source:
    r"""The text of one module, and what is to be put in or taken out; ``edit`` applies it all at once.

    Positions are those of the text as it was: patches do not move each other. Line ends in what is put in are ``\n``
    and become the file's own.
    """

    def __init__(self, module: Module, length: int = 88) -> None:
        """``length`` is the line length that the project's formatter keeps."""
        self.module = module
        self.text = module.text
        self.length = length
        self.newline = next(iter(_LINE_END.findall(self.text)), "\n")
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(self.text))]
        self.imported: set[tuple[str, str]] = set()
        self._patches: list[_Patch] = []
        self._sections: dict[tuple[int, int], list[str]] = {}

    # --- positions ------------------------------------------------------------------------------

    def line(self, number: int) -> str:
        """The text of line ``number`` (from 1), without its end."""
        return _LINE_END.sub("", self.text[self.line_start(number) : self.line_start(number + 1)])

    def line_start(self, number: int) -> int:
        """Where line ``number`` begins; the end of the text for one after the last."""
        return self._starts[number - 1] if number <= len(self._starts) else len(self.text)

    def offset(self, line: int, column: int) -> int:
        """The place in the text of the syntax tree's ``line`` and ``column``, which counts bytes of UTF-8."""
        text = self.line(line)
        return self.line_start(line) + (
            column if text.isascii() else len(text.encode()[:column].decode(errors="replace"))
        )

    def start(self, node: ast.expr | ast.stmt | ast.keyword | ast.ExceptHandler) -> int:
        """Where ``node`` begins."""
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt | ast.keyword | ast.ExceptHandler) -> int:
        """Where ``node`` ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.offset(node.end_lineno, node.end_col_offset)

    def source(self, node: ast.expr | ast.stmt | ast.keyword) -> str:
        """``node`` as it is written."""
        return self.text[self.start(node) : self.end(node)]

    def indent(self, number: int) -> str:
        """What line ``number`` begins with."""
        text = self.line(number)
        return text[: len(text) - len(text.lstrip(" \t"))]

    def first_line(self, statement: ast.stmt) -> int:
        """The line where ``statement`` begins, its decorators included."""
        decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
        return min([statement.lineno, *(item.lineno for item in decorators)])

    def above(self, statement: ast.stmt) -> int:
        """The first of the comment lines right above ``statement``; its own first line if there is none."""
        number = self.first_line(statement)
        indent = self.indent(number)
        while number > 1 and self.line(number - 1).startswith(f"{indent}#"):
            number -= 1
        return number

    # --- how it is written ----------------------------------------------------------------------

    @property
    def unit(self) -> str:
        """One step of indentation."""
        for node in self.module.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.If | ast.Try):
                outer, inner = self.indent(node.lineno), self.indent(node.body[0].lineno)
                if inner.startswith(outer) and len(inner) > len(outer) and node.body[0].lineno > node.lineno:
                    return inner[len(outer) :]
        return "    "

    @property
    def quote(self) -> str:
        """The quotation mark of most of the file's strings."""
        single = double = 0
        try:
            for token in tokenize.generate_tokens(io.StringIO(self.text, newline="").readline):
                if token.type == tokenize.STRING:
                    body = token.string.lstrip("rRbBuUfF")
                    single += body.startswith("'") and not body.startswith("'''")
                    double += body.startswith('"') and not body.startswith('"""')
        except (tokenize.TokenError, SyntaxError):
            return '"'
        return "'" if single > double else '"'

    def quoted(self, text: str) -> str:
        """``text``, Python whose strings are in double quotes, with the file's own."""
        return text.replace('"', "'") if self.quote == "'" and '"""' not in text else text

    @property
    def annotated(self) -> bool:
        """Whether the functions of the file say their types; true where there is none."""
        found = [item for item in self.module.functions if item.args.args or item.returns]
        typed = [item for item in found if item.returns or any(each.annotation for each in item.args.args)]
        return not found or len(typed) * 2 >= len(found)

    def names(self) -> set[str]:
        """Every name that the file binds or uses."""
        found = {node.id for node in self.module.nodes if isinstance(node, ast.Name)}
        found |= {node.arg for node in self.module.nodes if isinstance(node, ast.arg)}
        found |= {item.name for item in (*self.module.functions, *self.module.classes)}
        return found | set(self.module.aliases)

    # --- changes --------------------------------------------------------------------------------

    def insert(self, offset: int, text: str) -> None:
        """Put ``text`` in at ``offset``."""
        self._patches.append(_Patch(offset, offset, text))

    def replace(self, start: int, end: int, text: str) -> None:
        """Put ``text`` in the place of what stands from ``start`` to ``end``."""
        self._patches.append(_Patch(start, end, text))

    def insert_lines(self, number: int, lines: Sequence[str]) -> None:
        """Put whole lines in before line ``number``, or at the end."""
        offset = self.line_start(number)
        lead = "\n" if offset and not self.text[offset - 1 : offset].endswith(("\n", "\r")) else ""
        self.insert(offset, lead + "".join(f"{line}\n" for line in lines))

    def section(self, number: int, kind: int, line: str, *, above: bool) -> None:
        """Begin a section of imports before line ``number``, or add to the one of its ``kind`` that was begun there.

        ``above``: what follows the section is parted from it by a blank line, and not what precedes it.
        """
        begun = self._sections.get((number, kind))
        lines = sorted([*(begun or ()), line], key=_import_order)
        self._sections[number, kind] = lines
        if begun is not None:
            old = _section_text(begun, above=above)
            self._patches = [
                _Patch(item.start, item.end, item.text.replace(old, _section_text(lines, above=above)))
                if item.start == self.line_start(number)
                else item
                for item in self._patches
            ]
        else:
            lead = "" if above or number <= len(self._starts) or self.text.endswith(("\n", "\r")) else "\n"
            self.insert(self.line_start(number), lead + _section_text(lines, above=above))

    def top_level(self, node: ast.AST) -> ast.stmt:
        """The statement of the module that ``node`` stands in."""
        chain = [node, *self.module.ancestors(node)]
        return next(item for item in reversed(chain) if isinstance(item, ast.stmt))

    def define_above(self, node: ast.AST, lines: Sequence[str], *, constants: bool = False) -> None:
        """Put a definition in above the statement of the module that ``node`` stands in, parted by blank lines.

        ``constants``: it begins with one, which two blank lines part only from a function or a class before it.
        """
        top = self.top_level(node)
        body = self.module.tree.body
        before = body[body.index(top) - 1] if body.index(top) else None
        number = self.above(top)
        defined = isinstance(before, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        wanted = 0 if before is None else 1 if constants and not defined else 2
        have = 0
        while have < wanted and number - 1 - have >= 1 and not self.line(number - 1 - have).strip():
            have += 1
        self.insert_lines(number, [*[""] * (wanted - have), *lines, "", ""])

    def into_body(self, body: Sequence[ast.stmt], lines: Sequence[str]) -> None:
        """Put statements in at the beginning of a block, after its docstring; a lone ``pass`` gives way to them."""
        first = body[0]
        if len(body) == 1 and isinstance(first, ast.Pass) and not self._shares_line(first):
            indent = self.indent(first.lineno)
            self.replace(self.start(first), self.end(first), f"\n{indent}".join(lines))
            return
        if is_docstring(first):
            if len(body) == 1:
                assert first.end_lineno is not None
                self.insert_lines(first.end_lineno + 1, [self.indent(first.lineno) + line for line in lines])
                return
            first = body[1]
        if self._shares_line(first):
            self._split(first, lines, replaces=len(body) == 1 and isinstance(first, ast.Pass))
            return
        number = self.first_line(first)
        indent = self.indent(number)
        # Comments under the header speak of what follows them.
        while number > 1 and (not self.line(number - 1).strip() or self.line(number - 1).lstrip().startswith("#")):
            number -= 1
        self.insert_lines(number, [indent + line if line else "" for line in lines])

    def before(self, statement: ast.stmt, lines: Sequence[str]) -> None:
        """Put statements in right before ``statement``, with its indentation."""
        if self._shares_line(statement):
            self._split(statement, lines, replaces=False)
            return
        number = self.first_line(statement)
        indent = self.indent(number)
        self.insert_lines(number, [indent + line if line else "" for line in lines])

    def after(self, statement: ast.stmt, lines: Sequence[str]) -> None:
        """Put statements in right after ``statement``, with its indentation."""
        assert statement.end_lineno is not None
        indent = self.indent(self.first_line(statement))
        self.insert_lines(statement.end_lineno + 1, [indent + line if line else "" for line in lines])

    def _shares_line(self, statement: ast.stmt) -> bool:
        number = self.first_line(statement)
        return bool(self.text[self.line_start(number) : self.start(statement)].strip()) and number == statement.lineno

    def _split(self, statement: ast.stmt, lines: Sequence[str], *, replaces: bool) -> None:
        """``except Exception: return None`` becomes a block of its own lines."""
        start = self.start(statement)
        gap = start - len(self.text[:start]) + len(self.text[:start].rstrip(" \t"))
        indent = self.indent(statement.lineno) + self.unit
        block = "".join(f"\n{indent}{line}" for line in lines)
        if replaces:
            self.replace(gap, self.end(statement), block)
        else:
            self.replace(gap, start, f"{block}\n{indent}")

    def edit(self) -> Edit | None:
        """The file with everything put in; None if that is no valid Python."""
        text = self.text
        ordered = sorted(enumerate(self._patches), key=lambda item: (item[1].start, item[1].end, item[0]))
        for _, patch in reversed(ordered):
            text = text[: patch.start] + patch.text.replace("\n", self.newline) + text[patch.end :]
        try:
            syntax.parse(text)
        except (SyntaxError, ValueError):
            return None
        return Edit(self.module.path, text)


def _import_order(line: str) -> tuple[bool, str]:
    words = line.split()
    return words[0] == "from", words[1].lower()


def _section_text(lines: Sequence[str], *, above: bool) -> str:
    text = "".join(f"{line}\n" for line in lines)
    return f"{text}\n" if above else f"\n{text}"


def is_docstring(statement: ast.stmt) -> bool:
    """Whether ``statement`` is a text and nothing else."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
