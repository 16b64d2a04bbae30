"""Terraform's files as blocks with their lines; a block is parsed when something asks for what is in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from sentry_audit.model import Evidence, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"#[^\n]*|//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\""
    r"|<<-?(?P<mark>[A-Za-z_][\w.-]*)[ \t]*\r?\n(?:.*?\n)??[ \t]*(?P=mark)[ \t]*\r?$|[{}]",
    re.DOTALL | re.MULTILINE,
)
_COMMENT = re.compile(r"#[^\n]*|//[^\n]*|/\*.*?\*/", re.DOTALL)
_HEAD = re.compile(r"^([A-Za-z_][\w-]*)((?:[ \t]+(?:\"[^\"\n]*\"|[A-Za-z_][\w-]*))*)[ \t]*$")
_LABEL = re.compile(r"[^\s\"]+")
#: The parser takes about 0.1 ms a line: no file of a real module is larger.
_LARGEST = 400_000


class Broken(Exception):  # noqa: N818 - it says what the text is
    """The text is no HCL; ``line`` is where the parser stopped."""

    def __init__(self, line: int | None) -> None:
        super().__init__("not valid HCL")
        self.line = line


class Source(Struct, frozen=True):
    """A part of a file: its text, and the line of the file on which it begins."""

    path: str
    text: str
    first: int = 1


class Expr(Struct, frozen=True):
    """One expression: the parser's tree, and the text it was parsed from."""

    tree: Any
    source: Source

    @property
    def line(self) -> int:
        """The line of the file on which it begins."""
        return self.source.first + int(getattr(self.tree.meta, "line", 1)) - 1

    @property
    def text(self) -> str:
        """The expression as it is written."""
        meta = self.tree.meta
        return self.source.text[meta.start_pos : meta.end_pos] if hasattr(meta, "start_pos") else ""


class Block(Struct):
    """One block: ``resource "type" "name" { … }``. ``line`` is that of its first word."""

    kind: str
    labels: tuple[str, ...]
    source: Source
    line: int
    tree: Any = None
    _attributes: dict[str, Expr] | None = None
    _blocks: list[Block] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The file it stands in."""
        return self.source.path

    @property
    def attributes(self) -> dict[str, Expr]:
        """What is assigned directly in it; the first of equal names counts. May raise Broken."""
        if self._attributes is None:
            if self.tree is None:
                self.tree = _only(parsed(self.source.text))
            self._attributes = {}
            for child in _body(self.tree):
                if child.data == "attribute":
                    self._attributes.setdefault(_word(child.children[0]), Expr(_trees(child)[-1], self.source))
                elif child.data == "block":
                    self._blocks.append(_block(child, self.source))
        return self._attributes

    def broken(self) -> None:
        """Take it for empty from now on."""
        self._attributes = {}

    def blocks(self, kind: str) -> Iterator[Block]:
        """The blocks of one kind directly in it, ``dynamic`` ones not expanded. May raise Broken."""
        _ = self.attributes
        return (block for block in self._blocks if block.kind == kind)


def parsed(text: str) -> Any:
    """The parser's tree of ``text``; raises Broken."""
    import hcl2
    from lark.exceptions import LarkError

    if len(text) > _LARGEST:
        raise Broken(None)
    try:
        return hcl2.parses_to_tree(text)
    except (LarkError, RecursionError, ValueError, AttributeError, MemoryError) as error:
        line = getattr(error, "line", None)
        raise Broken(line if isinstance(line, int) and line > 0 else None) from None


def blocks(path: str, text: str) -> list[Block]:
    """The top-level blocks of a file. Raises Broken with the line of the file."""
    found = _split(path, text)
    if found is not None:
        return found
    whole = Source(path, text)
    return [_block(child, whole) for child in _body_of(parsed(text)) if child.data == "block"]


def assignments(path: str, text: str) -> dict[str, Expr]:
    """What a ``.tfvars`` file assigns. Raises Broken."""
    whole = Source(path, text)
    return {
        _word(child.children[0]): Expr(_trees(child)[-1], whole)
        for child in _body_of(parsed(text))
        if child.data == "attribute"
    }


def problem(path: str, line: int | None, kinds: frozenset[str]) -> Problem:
    """That a file could not be read as HCL."""
    return Problem(
        source="repo",
        kinds=kinds,
        reason="not valid HCL: what it deploys is not known",
        hint=f"fix the syntax of {path} (terraform validate tells where)",
        evidence=Evidence(path, line, None, None, "syntax error"),
    )


def _split(path: str, text: str) -> list[Block] | None:
    """Blocks by their braces alone, not parsed yet; None if the text is not that plain."""
    found: list[Block] = []
    depth = start = head = 0
    for match in _TOKEN.finditer(text):
        brace = match[0]
        if brace == "{":
            if not depth:
                head = match.start()
            depth += 1
        elif brace == "}":
            depth -= 1
            if depth < 0:
                return None
            if not depth:
                block = _whole(path, text, start, head, match.end())
                if block is None:
                    return None
                found.append(block)
                start = match.end()
    if depth or _COMMENT.sub("", text[start:]).strip():
        return None
    return found


def _whole(path: str, text: str, start: int, head: int, end: int) -> Block | None:
    """The block whose header ends at ``head``, after whatever comments stand in front of it."""
    words = _COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text[start:head])
    match = _HEAD.match(words.strip())
    if match is None:
        return None
    begin = start + len(words) - len(words.lstrip())
    line = text.count("\n", 0, begin) + 1
    return Block(match[1], tuple(_LABEL.findall(match[2])), Source(path, text[begin:end], line), line)


def _trees(tree: Any) -> list[Any]:
    """The children that are rules, white space left out."""
    return [item for item in tree.children if hasattr(item, "children") and item.data != "new_line_or_comment"]


def _body_of(tree: Any) -> list[Any]:
    return [item for body in _trees(tree) for item in _trees(body)]


def _body(block: Any) -> list[Any]:
    return [item for body in _trees(block) if body.data == "body" for item in _trees(body)]


def _only(tree: Any) -> Any:
    found = [item for item in _body_of(tree) if item.data == "block"]
    if len(found) != 1:
        raise Broken(None)
    return found[0]


def _word(tree: Any) -> str:
    """The text of an identifier, keyword or plain string."""
    if not hasattr(tree, "children"):
        return str(tree)
    return "".join(_word(item) for item in tree.children).strip('"')


def _block(tree: Any, source: Source) -> Block:
    names = [_word(item) for item in _trees(tree) if item.data != "body"]
    line = source.first + int(getattr(tree.meta, "line", 1)) - 1
    return Block(names[0] if names else "", tuple(names[1:]), source, line, tree)
