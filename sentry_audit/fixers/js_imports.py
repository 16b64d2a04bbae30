"""Imports of JavaScript: what a file needs to call the SDK or a hook of React, in the way that it imports already."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.fixers.js_web import NotClear, module_of
from sentry_audit.javascript.packages import is_browser_sdk
from sentry_audit.javascript.syntax import string_of, text_of, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.fixers.js_web import Patch

_RELATIVE = re.compile(r"^(\.|@/|~|#)")
_TYPES = re.compile(r"^import\s+type\b")


def module_node(root: Any, module: str) -> Iterator[Any]:
    """The strings that name ``module`` in imports, exports and calls of require, import and their like."""
    for node in walk(root):
        if node.type == "string" and string_of(node) == module and node.parent is not None:
            if node.parent.type in {"import_statement", "export_statement", "arguments", "import_require_clause"}:
                yield node


class Imports:
    """The imports of the file that is edited; ``of`` and ``hook`` say how a name is written there."""

    def __init__(self, patch: Patch) -> None:
        self.patch = patch
        self.root = patch.source.root
        self.statements = [
            node for node in self.root.named_children if node.type == "import_statement" and module_of(node)
        ]
        self._new: dict[str, str] = {}
        self._added: dict[tuple[int, str], None] = {}
        self._first: list[str] = []

    def of(self, package: str, name: str) -> str:
        """``Sentry.captureException``, or ``captureException`` where the file imports names one by one."""
        known = self.patch.source.imports
        package = next((item.module for item in known.values() if is_browser_sdk(item.module)), package)
        for local, item in known.items():
            if item.module == package and item.name in {"*", "default"} and not self._is_type(package, local):
                return f"{local}.{name}"
            if item.module == package and item.name == name and not self._is_type(package, local):
                return local
        if (listed := self._named(package)) is not None:
            return self._add(listed, name)
        if self._new.get(package) is None:
            self._free("Sentry")
            self._statement(package, "* as Sentry", "Sentry")
            self._new[package] = "Sentry"
        return f"{self._new[package]}.{name}"

    def type_of(self, package: str, name: str) -> str:
        """``Sentry.Event``, or ``Event`` where the file imports names one by one; the type is no value at run time."""
        known = self.patch.source.imports
        package = next((item.module for item in known.values() if is_browser_sdk(item.module)), package)
        for local, item in known.items():
            if item.module == package and item.name in {"*", "default"}:
                return f"{local}.{name}"
            if item.module == package and item.name == name:
                return local
        if (listed := self._named(package)) is not None:
            self._free(name)
            self._added[listed.end_byte, f"type {name}"] = None
            return name
        return self.of(package, name)

    def aliased(self, package: str, name: str, alias: str) -> str:
        """A name of a package of which the file imports others, under another name: it has its own that is called so."""
        known = self.patch.source.imports
        package = next((item.module for item in known.values() if is_browser_sdk(item.module)), package)
        listed = self._named(package)
        if listed is None:
            return self.of(package, name)
        self._free(alias)
        self._added[listed.end_byte, f"{name} as {alias}"] = None
        return alias

    def hook(self, name: str) -> str:
        """``useEffect``, or ``React.useEffect`` where the file uses React by its name."""
        return self.by_name("react", name)

    def by_name(self, package: str, name: str) -> str:
        """A name that is imported by itself, or through what the file calls the package."""
        for local, item in self.patch.source.imports.items():
            if item.module == package and item.name == name and not self._is_type(package, local):
                return local
        if (listed := self._named(package)) is not None:
            return self._add(listed, name)
        for local, item in self.patch.source.imports.items():
            if item.module == package and item.name in {"*", "default"} and not self._is_type(package, local):
                return f"{local}.{name}"
        self._free(name)
        self._statement(package, f"{{ {name} }}", f"{{ {name} }}")
        return name

    def flush(self) -> None:
        """Write the names that are added to statements which are there."""
        by_node: dict[int, list[str]] = {}
        for at, name in self._added:
            by_node.setdefault(at, []).append(name)
        for at, names in by_node.items():
            self.patch.insert(at, "".join(f", {name}" for name in names))
        self._added = {}
        if self._first:
            self._at_top()

    def _at_top(self) -> None:
        """Write the first imports of a file that has none."""
        at, lead = self._top()
        end, rest = self.patch.style.end, self.patch.bytes[at:]
        goes_on = rest.lstrip(b" \t").startswith((b"\n", b"\r")) or re.match(rb"(const|var|let) .*require\(", rest)
        gap = end if goes_on or not rest else end * 2
        self.patch.insert(at, f"{lead}{end.join(self._first)}{gap}")
        self._first = []

    def _is_type(self, package: str, local: str) -> bool:
        nodes = [node for node in self.statements if module_of(node) == package and _TYPES.match(text_of(node))]
        return any(re.search(rf"\b{re.escape(local)}\b", text_of(node)) for node in nodes)

    def _named(self, package: str) -> Any:
        """The last specifier of ``import { … } from package``."""
        for node in self.statements:
            if module_of(node) != package or _TYPES.match(text_of(node)):
                continue
            clause = next((item for item in node.named_children if item.type == "import_clause"), None)
            listed = (
                next((item for item in clause.named_children if item.type == "named_imports"), None) if clause else None
            )
            names = [item for item in listed.named_children if item.type == "import_specifier"] if listed else []
            if names:
                return names[-1]
        return None

    def _add(self, last: Any, name: str) -> str:
        self._free(name)
        self._added[last.end_byte, name] = None
        return name

    def _free(self, name: str) -> None:
        source = self.patch.source
        if any(name in table for table in (source.imports, source.constants, source.functions, source.classes)):
            raise NotClear(f"{source.path} has something else that is called {name}")

    def _statement(self, module: str, clause: str, plain: str) -> None:
        style, patch = self.patch.style, self.patch
        text = f"import {clause} from {style.quoted(module)}{style.semicolon}"
        if not self.statements and self._is_common():
            text = f"const {plain} = require({style.quoted(module)}){style.semicolon}"
        if self.statements and _RELATIVE.match(module):
            self._own(module, text)
        elif self.statements:
            before = self._before(module)
            if before is not None:
                patch.insert(before.start_byte, f"{text}{style.end}")
            else:
                packages = [node for node in self.statements if not _RELATIVE.match(module_of(node))]
                patch.insert((packages or self.statements)[-1].end_byte, f"{style.end}{text}")
        else:
            self._first.append(text)

    def _own(self, module: str, text: str) -> None:
        """Write the import of a file of the project: by the alphabet where its like follow it, else behind all others."""
        sort = module.partition("/")[0]
        beside = [node for node in self.statements if module_of(node).partition("/")[0] == sort]
        names = [module_of(node).lower() for node in beside]
        pairs = zip(beside, names, strict=True)
        after = next((node for node, name in pairs if name > module.lower()), None) if names == sorted(names) else None
        if after is not None:
            self.patch.insert(after.start_byte, f"{text}{self.patch.style.end}")
        else:
            last = (beside or self.statements)[-1]
            self.patch.insert(last.end_byte, f"{self.patch.style.end}{text}")

    def _before(self, module: str) -> Any:
        """The import that the new one goes in front of: by the alphabet where packages follow it, else by none."""
        packages = [node for node in self.statements if not _RELATIVE.match(module_of(node))]
        if not packages:
            return self.statements[0]
        while len(packages) > 1 and module_of(packages[0]).startswith("node:"):
            packages = packages[1:]  # Node's own stand in front of all others
        names = [module_of(node).lower() for node in packages]
        if names == sorted(names):
            return next((node for node, name in zip(packages, names, strict=True) if name > module), None)
        return None

    def _is_common(self) -> bool:
        exports = any(node.type == "export_statement" for node in self.root.named_children)
        return not exports and bool(re.search(r"\brequire\(|module\.exports", self.patch.source.text))

    def _top(self) -> tuple[int, str]:
        """(where the first import goes, what comes before it): behind directives, and a comment that stands alone."""
        children: Sequence[Any] = self.root.children
        behind = -1
        for index, node in enumerate(children):
            following = children[index + 1] if index + 1 < len(children) else None
            if node.type == "comment" or node.type == "hash_bang_line":
                apart = following is None or following.start_point[0] > node.end_point[0] + 1
                behind = index if apart and (behind >= 0 or self._is_led(children, index)) else behind
            elif _is_directive(node):
                behind = index
            else:
                break
        if behind < 0:
            return 0, ""
        node, end = children[behind], self.patch.style.end
        following = children[behind + 1] if behind + 1 < len(children) else None
        if following is None:
            return node.end_byte, end * 2
        return following.start_byte, end if following.start_point[0] == node.end_point[0] + 1 else ""

    def _is_led(self, children: Sequence[Any], index: int) -> bool:
        """Whether only comments stand in front: a licence, say, that is about the file."""
        return all(node.type in {"comment", "hash_bang_line"} for node in children[: index + 1])


def _is_directive(node: Any) -> bool:
    """Whether a statement is ``"use client"`` or its like, which counts only in front of all others."""
    inner = node.named_children
    return bool(node.type == "expression_statement" and inner and inner[0].type == "string")
