"""Policies in configurations of nginx, templates of them included: what ``add_header`` sends with the front end's pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct, field

from sentry_audit.model import Evidence
from sentry_audit.policies.policy import HEADER, Policy, limited_to

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"""#[^\n]*|"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|([;{}])|((?:\$\{[^}]*\}|\{\{.*?\}\}|[^\s;{}"'])+)""", re.DOTALL
)
#: Locations that answer with the page itself.
_PAGE = re.compile(r"^(=?/|=/index\.html|\^~/|/index\.html|@\w+|~\*?.*\\\.html?\)?\$?|~\*?\^/?(\.\*)?\$?)$")

_Directive = tuple[list[str], int]


class Block(Struct):
    """A block: its words (``location /``), its own directives, and the blocks in it."""

    words: list[str]
    line: int
    directives: list[_Directive] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def headers(self) -> list[_Directive]:
        """The headers that it adds."""
        return [item for item in self.directives if item[0][0] == "add_header" and len(item[0]) > 2]


def parse(text: str) -> Block:
    """The blocks of a configuration; what is no configuration gives blocks that mean nothing, and no error."""
    top = Block([], 1)
    stack, begun = [top], 1
    words: list[str] = []
    for match in _TOKEN.finditer(text):
        if match[0].startswith("#"):
            continue
        if match[3] is None:
            if not words:
                begun = text.count("\n", 0, match.start()) + 1
            quoted = match[1] if match[1] is not None else match[2]
            words.append(re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match[4])
        elif match[3] == ";":
            if words:
                stack[-1].directives.append((words, begun))
            words = []
        elif match[3] == "{":
            block = Block(words, begun)
            stack[-1].blocks.append(block)
            stack.append(block)
            words = []
        else:
            words = []
            if len(stack) > 1:
                stack.pop()
    return top


def read(path: str, text: str) -> Iterator[Policy]:
    """The policies that a configuration sends with pages."""
    top = parse(text)
    given = [words for block in _all(top) for words, _ in block.directives if words[0] == "set" and len(words) == 3]
    variables = {words[1]: words[2] for words in given}
    for words, line, route in _sent(top, [], ""):
        value = words[2]
        for name in sorted(variables, key=len, reverse=True):
            value = value.replace(name, variables[name])
        yield Policy((value,), Evidence(path, line, None, None, "add_header Content-Security-Policy"), route)


def _all(block: Block) -> Iterator[Block]:
    yield block
    for inner in block.blocks:
        yield from _all(inner)


def _sent(block: Block, inherited: list[_Directive], route: str) -> Iterator[tuple[list[str], int, str]]:
    """(the directive, its line, the location it is limited to). A block that adds headers inherits none."""
    mine = block.headers() or inherited
    pages = 0
    for inner in block.blocks:
        if inner.words[:1] == ["location"]:
            page = _PAGE.match("".join(inner.words[1:])) is not None
            pages += page
            limited = "" if page else limited_to(inner.words[-1])
            if limited is not None and (page or "\\." not in limited):
                yield from _sent(inner, mine if page else [], limited or route)
        else:
            yield from _sent(inner, mine, route)
    # those of a server reach the page through its locations, where there are some, which may replace them
    around = any(inner.words[:1] in (["server"], ["http"]) for inner in block.blocks)
    if block.words[:1] in (["server"], ["location"], []) and not pages and not around:
        for words, line in mine:
            if words[1].lower() == HEADER:
                yield words, line, route
