"""The text of one Python file, edited by the positions of its syntax tree: what is not touched stays byte for byte."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
#: A piece of a text: from, to, and what stands there afterwards.
Splice = tuple[int, int, str]
Span = tuple[int, int]


def splice(text: str, edits: Iterable[Splice]) -> str:
    """``text`` with all ``edits`` made; they must not overlap. What goes to one place goes there in the order given."""
    ordered = sorted(enumerate(edits), key=lambda item: (item[1][0], item[1][1], item[0]))
    for _, (start, end, new) in reversed(ordered):
        text = text[:start] + new + text[end:]
    return text


def line_end(text: str) -> str:
    """The line end that a text uses: the first one, or a plain line feed."""
    found = re.search(r"\r\n|\n|\r", text)
    return found[0] if found else "\n"


def with_line_ends(text: str, like: str) -> str:
    """``text``, written with line feeds, with the line ends of ``like``."""
    return text.replace("\n", line_end(like))


class Source:
    """A text, with the offsets of its lines. ``tree`` is its syntax tree, whose columns count UTF-8 bytes."""

    def __init__(self, text: str, tree: ast.Module) -> None:
        self.text = text
        self.tree = tree
        self.lines = [match[0] for match in _LINE.finditer(text)]
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))
        self.end = line_end(text)

    def offset(self, line: int, column: int) -> int:
        """The place in the text of a line (from 1) and a column in bytes."""
        row = self.lines[line - 1]
        return self.starts[line - 1] + (column if row.isascii() else len(row.encode()[:column].decode()))

    def span(self, node: ast.AST) -> Span:
        """From where to where ``node`` stands."""
        line, column = node.lineno, node.col_offset  # type: ignore[attr-defined]
        last, stop = node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]
        return self.offset(line, column), self.offset(last, stop)

    def written(self, node: ast.AST) -> str:
        """The text of ``node`` as it stands."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_start(self, line: int) -> int:
        """Where a line begins; the line after the last one is the end of the text."""
        return self.starts[min(line, len(self.lines)) - 1]

    def after(self, statement: ast.stmt) -> int:
        """The start of the line after ``statement``."""
        return self.starts[min(statement.end_lineno or statement.lineno, len(self.lines))]

    def indent(self, node: ast.stmt) -> str:
        """The blanks in front of a statement."""
        return self.lines[node.lineno - 1][: node.col_offset]

    @property
    def unit(self) -> str:
        """One step of indentation, as the file has it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.If | ast.Try | ast.With):
                outer, inner = self.indent(node), self.indent(node.body[0])
                if node.body[0].lineno > node.lineno and inner.startswith(outer) and len(inner) > len(outer):
                    return inner[len(outer) :]
        return "    "

    @property
    def quote(self) -> str:
        """The quote that most of the file's strings have."""
        texts = [
            self.written(node).lstrip("rbfuRBFU")
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        ]
        short = [text for text in texts if not text.startswith(('"""', "'''"))]
        single, double = (sum(text.startswith(quote) for text in short) for quote in ("'", '"'))
        return "'" if single > double else '"'

    def lines_of(self, first: ast.stmt, last: ast.stmt | None = None) -> tuple[int, int]:
        """From the start of the first statement's line (its decorators too) to that of the line after the last one's."""
        top = min([first.lineno, *(item.lineno for item in getattr(first, "decorator_list", ()))])
        return self.starts[top - 1], self.after(last or first)

    def without(self, item: Span, siblings: Sequence[Span], within: Span) -> Splice:
        """Takes one argument or element out of its list; ``within`` is what lies between the brackets."""
        spans = sorted(siblings)
        start, end = item
        index = spans.index(item)
        if len(spans) == 1:
            return (*within, "")
        comma = re.compile(r"[ \t]*,").match(self.text, end, within[1])
        stop = comma.end() if comma else end
        rest = re.compile(r"[ \t]*(#[^\r\n]*)?(\r\n|\r|\n)").match(self.text, stop)
        begin = self.text.rfind("\n", 0, start) + 1
        if rest and not self.text[begin:start].strip():
            return begin, rest.end(), ""
        if index + 1 < len(spans):
            return start, spans[index + 1][0], ""
        return spans[index - 1][1], end, ""

    def appended(self, element: str, siblings: Sequence[Span], within: Span) -> Splice:
        """Puts one more argument or element at the end of a list, on a line of its own where they stand on lines."""
        if not siblings:
            return (*within, element)
        start, end = max(siblings)
        begin = self.text.rfind("\n", 0, start) + 1
        blank = self.text[begin:start]
        comma = re.compile(r"\s*,").match(self.text, end, within[1])
        stop = comma.end() if comma else end
        if blank.strip():
            return (stop, within[1], f" {element}") if comma else (end, end, f", {element}")
        if not comma:
            return end, end, f",{self.end}{blank}{element}"
        rest = re.compile(r"[ \t]*(#[^\r\n]*)?(?=\r|\n)").match(self.text, stop)
        place = rest.end() if rest else stop
        return place, place, f"{self.end}{blank}{element},"

    def brackets(self, node: ast.expr) -> Span:
        """What lies between the brackets of a call, a list, a set or a tuple in brackets."""
        start, end = self.span(node)
        if isinstance(node, ast.Call):
            start = self.text.index("(", self.span(node.func)[1])
        return start + 1, end - 1

    def blank_before(self, statement: ast.stmt) -> int:
        """The start of the comment lines right above a statement, else of its own line."""
        line: int = min([statement.lineno, *(item.lineno for item in getattr(statement, "decorator_list", ()))])
        while line > 1 and self.lines[line - 2].lstrip().startswith("#"):
            line -= 1
        return self.starts[line - 1]
