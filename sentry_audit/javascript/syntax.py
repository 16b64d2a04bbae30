"""JavaScript and TypeScript as trees: what a file imports, defines, calls. tree-sitter is loaded when first needed."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.javascript.names import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Nodes that are functions.
FUNCTIONS = frozenset(
    {
        "function_declaration",
        "function_expression",
        "arrow_function",
        "method_definition",
        "generator_function_declaration",
    }
)
_NAMED = frozenset({"function_declaration", "class_declaration", "abstract_class_declaration", "class"})
_SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script\s*>", re.DOTALL | re.IGNORECASE)
_AMPERSAND = re.compile(r"(?<!&)&(?![&=]|#?\w+;)")
_ACCESSOR = re.compile(r"\baccessor(?=\s*[?!]?\s*[:;=])")


@cache
def _parser(typescript: bool) -> Any:
    import tree_sitter
    import tree_sitter_typescript

    language = tree_sitter_typescript.language_typescript() if typescript else tree_sitter_typescript.language_tsx()
    return tree_sitter.Parser(tree_sitter.Language(language))


class Import(Struct, frozen=True):
    """What a local name stands for: ``name`` of ``module`` (``*``: all of it, ``default``)."""

    module: str
    name: str


class Source:
    """One parsed file."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        typed = path.endswith((".ts", ".mts", ".cts"))
        if path.endswith(COMPONENTS):
            typed = 'lang="ts' in text or "lang='ts" in text
            text = _script(text)
        self.root = _parsed(typed, text)
        self.imports: dict[str, Import] = {}
        self.constants: dict[str, Any] = {}
        self.functions: dict[str, Any] = {}
        self.classes: dict[str, Any] = {}
        self.bound: dict[str, tuple[str, Any]] = {}
        self.exported: dict[str, Import] = {}
        self.default: Any = None
        self._index()

    def error_line(self) -> int | None:
        """The line of the first syntax error, or None."""
        return (
            next((line_of(node) for node in walk(self.root) if node.type == "ERROR" or node.is_missing), None)
            if self.root.has_error
            else None
        )

    def _index(self) -> None:
        for node in walk(self.root):
            if node.type == "import_statement":
                self._import(node)
            elif node.type == "variable_declarator":
                self._declare(node.child_by_field_name("name"), node.child_by_field_name("value"))
            elif node.type == "export_statement":
                self._export(node)
            elif node.type in _NAMED and (name := node.child_by_field_name("name")) is not None:
                (self.classes if "class" in node.type else self.functions).setdefault(text_of(name), node)

    def _declare(self, name: Any, value: Any) -> None:
        if name is None or value is None:
            return
        if (module := _required(value)) is not None:
            if name.type == "identifier":
                self.imports.setdefault(text_of(name), Import(module, "*"))
            elif name.type == "object_pattern":
                for key, local in bound_names(name):
                    self.imports.setdefault(local, Import(module, key))
        elif name.type == "identifier":
            self.constants.setdefault(text_of(name), value)
            if value.type in FUNCTIONS:
                self.functions.setdefault(text_of(name), value)
            elif value.type == "class":
                self.classes.setdefault(text_of(name), value)
        elif name.type == "object_pattern":
            for key, local in bound_names(name):
                self.bound.setdefault(local, (key, value))

    def _export(self, node: Any) -> None:
        """``export default …``, and what is handed on from other files: ``export { a as b } from``, ``export * from``."""
        source = node.child_by_field_name("source")
        if source is None:
            if any(child.type == "default" for child in node.children):
                self.default = node.child_by_field_name("value") or node.child_by_field_name("declaration")
            return
        module = string_of(source) or ""
        specifiers = [part for part in walk(node) if part.type == "export_specifier"]
        for part in specifiers:
            name, alias = part.child_by_field_name("name"), part.child_by_field_name("alias")
            self.exported[text_of(alias or name)] = Import(module, text_of(name))
        if not specifiers:
            self.exported.setdefault(f"*{module}", Import(module, "*"))

    def _import(self, node: Any) -> None:
        source = node.child_by_field_name("source")
        if source is None:
            return
        module = string_of(source) or ""
        for part in walk(node):
            if part.type == "namespace_import":
                self.imports[text_of(part.named_children[0])] = Import(module, "*")
            elif part.type == "import_specifier":
                name, alias = part.child_by_field_name("name"), part.child_by_field_name("alias")
                self.imports[text_of(alias or name)] = Import(module, text_of(name))
            elif part.type == "import_clause":
                for child in part.named_children:
                    if child.type == "identifier":
                        self.imports[text_of(child)] = Import(module, "default")

    def calls(self) -> Iterator[tuple[Any, str, str]]:
        """(the call, the module its function comes from, the function's name) of calls to imported functions."""
        for node in walk(self.root):
            if node.type == "call_expression" and (function := node.child_by_field_name("function")) is not None:
                if function.type == "identifier" and text_of(function) in self.imports:
                    known = self.imports[text_of(function)]
                    yield node, known.module, known.name
                elif function.type == "member_expression":
                    owner = function.child_by_field_name("object")
                    known_ = self.imports.get(text_of(owner)) if owner is not None else None
                    if known_ is not None:
                        yield node, known_.module, text_of(function.child_by_field_name("property"))


def _parsed(typed: bool, text: str) -> Any:
    """The tree of a file.

    What compilers take and the grammar does not is rewritten, places unchanged: a bare ``&`` in the text of JSX (in
    code, ``|`` stands wherever ``&`` does), and a property called ``accessor``.
    """
    root = _parser(typed).parse(text.encode()).root_node
    if root.has_error:
        other = _ACCESSOR.sub("accesso_", _AMPERSAND.sub("|", text))
        if other != text and not (again := _parser(typed).parse(other.encode()).root_node).has_error:
            return again
    return root


def _required(value: Any) -> str | None:
    """The module of ``require("x")`` or ``await import("x")``."""
    while value.type in {"await_expression", "parenthesized_expression"} and value.named_children:
        value = value.named_children[0]
    function = value.child_by_field_name("function") if value.type == "call_expression" else None
    if function is None or text_of(function) not in {"require", "import"}:
        return None
    arguments = value.child_by_field_name("arguments")
    return string_of(arguments.named_children[0]) if arguments is not None and arguments.named_children else None


def bound_names(pattern: Any) -> Iterator[tuple[str, str]]:
    """(the key, the local name) of each entry of ``{ a, b: c }`` on the left of an assignment or among parameters."""
    for child in pattern.named_children:
        if child.type == "shorthand_property_identifier_pattern":
            yield text_of(child), text_of(child)
        elif child.type == "object_assignment_pattern" and child.named_children:
            yield text_of(child.named_children[0]), text_of(child.named_children[0])
        elif child.type == "pair_pattern":
            value = child.child_by_field_name("value")
            if value is not None and value.type == "identifier":
                yield text_of(child.child_by_field_name("key")), text_of(value)


def _script(text: str) -> str:
    """The scripts of a single-file component, each where it stands: all else is blank, so lines stay as they are."""
    found, at = [], 0
    for match in _SCRIPT.finditer(text):
        found += [_blank(text[at : match.start(2)]), match[2]]
        at = match.end(2)
    return "".join([*found, _blank(text[at:])])


def _blank(text: str) -> str:
    return re.sub(r"[^\n]+", "", text)


def walk(node: Any) -> Iterator[Any]:
    """``node`` and all below it, in order."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(current.children))


def text_of(node: Any) -> str:
    """The source text of a node."""
    return node.text.decode(errors="replace") if node is not None else ""


def line_of(node: Any) -> int:
    """The line on which a node begins, from 1."""
    return int(node.start_point[0]) + 1


def string_of(node: Any) -> str | None:
    """The value of a string without interpolation, else None."""
    if node is None or node.type not in {"string", "template_string"}:
        return None
    if any(child.type == "template_substitution" for child in node.children):
        return None
    return re.sub(r"\\(.)", r"\1", text_of(node)[1:-1])


#: What TypeScript, or a pair of brackets, puts around an expression without changing it.
_AROUND = frozenset({"as_expression", "satisfies_expression", "parenthesized_expression"})


def options_of(call: Any) -> tuple[dict[str, Any], bool] | None:
    """(the options of ``init({...})`` by name, whether more are spread in, or set later); None if they are no object."""
    node = options_object(call)
    if node is None:
        arguments = call.child_by_field_name("arguments")
        return ({}, False) if arguments is None or not arguments.named_children else None
    found, spread = entries(node)
    return found, spread or _is_changed(node)


def options_object(call: Any) -> Any:
    """The object that ``init`` is given, in the call or as a constant of the same file; None if there is none."""
    arguments = call.child_by_field_name("arguments")
    given = [node for node in arguments.named_children if node.type != "comment"] if arguments is not None else []
    node = _plain(given[0]) if given else None
    if node is not None and node.type == "identifier":
        node = _constant(call, text_of(node))
    return node if node is not None and node.type == "object" else None


def _constant(node: Any, name: str) -> Any:
    """What the constant ``name`` of the file of ``node`` is; None if it has none."""
    while node.parent is not None:
        node = node.parent
    for child in node.named_children:
        declared = child.named_children[0] if child.type == "export_statement" and child.named_children else child
        if declared.type == "lexical_declaration" and text_of(declared).startswith("const"):
            for item in declared.named_children:
                if item.type == "variable_declarator" and text_of(item.child_by_field_name("name")) == name:
                    value = item.child_by_field_name("value")
                    return _plain(value) if value is not None else None
    return None


def _plain(node: Any) -> Any:
    """``node`` without TypeScript's assertions and brackets around it."""
    while node.type in _AROUND and node.named_children:
        node = node.named_children[0]
    return node


def _is_changed(node: Any) -> bool:
    """Whether the constant that an object is, if it is one, is written to as well."""
    around = node.parent
    while around.type in _AROUND:
        around = around.parent
    if around.type != "variable_declarator":
        return False
    name = re.escape(text_of(around.child_by_field_name("name")))
    while around.parent is not None:
        around = around.parent
    return re.search(rf"\b{name}(\.\w+|\[[^\]]+\])\s*=[^=]|\bassign\(\s*{name}\b", text_of(around)) is not None


def entries(node: Any) -> tuple[dict[str, Any], bool]:
    """(the entries of an object, whether more are spread in)."""
    found: dict[str, Any] = {}
    spread = False
    for child in node.named_children:
        if child.type == "pair":
            found[text_of(child.child_by_field_name("key")).strip("\"'")] = child.child_by_field_name("value")
        elif child.type == "shorthand_property_identifier":
            found[text_of(child)] = child
        elif child.type == "spread_element":
            spread = True
        elif child.type == "method_definition":
            found[text_of(child.child_by_field_name("name"))] = child
    return found, spread


def enclosing_functions(node: Any) -> list[Any]:
    """The functions around a node, the innermost first."""
    found = []
    while node.parent is not None:
        node = node.parent
        if node.type in FUNCTIONS:
            found.append(node)
    return found


def class_of(function: Any) -> str:
    """The name of the class whose method a function is; ``""`` if it is none's."""
    owner = function.parent.parent if function.type == "method_definition" and function.parent is not None else None
    return text_of(owner.child_by_field_name("name")) if owner is not None and "class" in owner.type else ""


def name_of(function: Any) -> str:
    """The name by which a function is known: its own, or that of the constant it is given to."""
    if (name := function.child_by_field_name("name")) is not None:
        return text_of(name)
    parent = function.parent
    while parent is not None and parent.type in {"arguments", "call_expression", "parenthesized_expression"}:
        parent = parent.parent
    if parent is not None and parent.type == "variable_declarator":
        return text_of(parent.child_by_field_name("name"))
    return ""
