"""The Python files of a repository as one program: which import means which file."""

from __future__ import annotations

from functools import cached_property
from posixpath import basename, dirname, join, normpath
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from msgspec import Struct, field

from sentry_audit.model import Evidence, Problem
from sentry_audit.python import syntax
from sentry_audit.python.module import Module, text_imports

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Sequence

    from sentry_audit.paths import Paths


T = TypeVar("T")


class Files(Protocol):
    """The audited tree, as the pure core sees it."""

    @property
    def paths(self) -> Paths:
        """Every file that counts, relative to the root."""

    def text(self, path: str) -> str | None:
        """The decoded text of one file, or None if it cannot be read as text."""

    def search(self, tokens: Sequence[str], suffix: str = "") -> list[str]:
        """The paths of the text files that contain one of ``tokens``, sorted."""

    def among(self, paths: Iterable[str], tokens: Sequence[str]) -> list[str]:
        """Those of ``paths`` that are text files and contain one of ``tokens``, in their order: for a few paths."""


class Program(Struct, eq=False, dict=True):
    """Modules are parsed when first asked for, and once."""

    files: Files
    problems: dict[str, Problem] = field(default_factory=dict)
    _modules: dict[str, Module | None] = field(default_factory=dict)
    _edges: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _found: dict[tuple[str, str, int], str | None] = field(default_factory=dict)
    _memory: dict[tuple[object, ...], object] = field(default_factory=dict)

    def module(self, path: str) -> Module | None:
        """The parsed file, or None if it cannot be read or parsed (a problem is kept then)."""
        if path not in self._modules:
            text = self.files.text(path)
            module = None
            if text is not None:
                try:
                    module = Module.parse(path, text)
                except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                    self.problems[path] = _syntax_problem(path, error)
            self._modules[path] = module
        return self._modules[path]

    def locate(self, dotted: str, importer: str, level: int = 0) -> str | None:
        """The file that ``import dotted`` in ``importer`` loads, or None if it is not in the tree.

        Absolute names are tried from each folder above the importer, nearest first, then from a
        ``src`` beside it, then anywhere in the tree where exactly one file fits.
        """
        key = (dotted, dirname(importer), level)
        if key not in self._found:
            self._found[key] = self._locate(dotted, importer, level)
        return self._found[key]

    def _locate(self, dotted: str, importer: str, level: int) -> str | None:
        tail = dotted.replace(".", "/")
        if level:
            folder = dirname(importer)
            for _ in range(level - 1):
                folder = dirname(folder)
            stem = normpath(join(folder, tail)) if tail else folder
            return self._at(stem or "__init__")
        if not tail or dotted.partition(".")[0] not in self._tops:
            return None
        folder = dirname(importer)
        while True:
            prefix = f"{folder}/" if folder else ""
            found = self._at(prefix + tail) or self._at(f"{prefix}src/{tail}")
            if found:
                return found
            if not folder:
                break
            folder = dirname(folder)
        return self._anywhere(tail) if "/" in tail else None

    def _at(self, stem: str) -> str | None:
        """The module of ``a/b``: ``a/b.py``, else ``a/b/__init__.py``."""
        return next((path for path in (f"{stem}.py", f"{stem}/__init__.py") if path in self.files.paths), None)

    def _anywhere(self, tail: str) -> str | None:
        hits = [path for path in self._names.get(basename(tail), ()) if f"/{_stem(path)}".endswith(f"/{tail}")]
        return hits[0] if len(hits) == 1 else None

    def remember(self, key: tuple[object, ...], compute: Callable[[], T]) -> T:
        """What ``compute`` gives, computed once per ``key``: files are shared by components and environments."""
        if key not in self._memory:
            self._memory[key] = compute()
        return cast("T", self._memory[key])

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        """The last part of each module's name → the files of that name."""
        found: dict[str, list[str]] = {}
        for path in self.files.paths.of(".py"):
            name = _stem(path).rpartition("/")[2]
            if name in found:
                found[name].append(path)
            else:
                found[name] = [path]
        return found

    @cached_property
    def _tops(self) -> frozenset[str]:
        """Every name that an import of something in the tree can begin with."""
        return frozenset(self._names).union(*(folder.split("/") for folder in self.files.paths.folders))

    def imported(self, path: str) -> tuple[str, ...]:
        """The files that loading ``path`` may load, packages' ``__init__`` included, from its text."""
        if path not in self._edges:
            text = self.files.text(path) or ""
            found: dict[str, None] = {}
            for level, module, names in text_imports(text):
                self._edge(found, module, path, level)
                for name in names:
                    target = self.locate(f"{module}.{name}" if module else name, path, level)
                    if target:
                        found[target] = None
            found.pop(path, None)
            self._edges[path] = tuple(found)
        return self._edges[path]

    def _edge(self, found: dict[str, None], module: str, path: str, level: int) -> None:
        target = self.locate(module, path, level)
        if target:
            found[target] = None
        parts = module.split(".")
        for end in range(1, len(parts)):
            package = self.locate(".".join(parts[:end]), path, level)
            if package and package.endswith("__init__.py"):
                found[package] = None

    def closure(self, entries: Iterable[str], counts: Callable[[str], bool] | None = None) -> dict[str, str]:
        """Every file that loading ``entries`` may load → the file that loads it (``""`` for an entry).

        Files for which ``counts`` is false (tests, and the like) are not followed.
        """
        came_from: dict[str, str] = {}
        queue = [(entry, "") for entry in entries]
        for path, source in queue:
            if path in came_from or (source and counts is not None and not counts(path)):
                continue
            came_from[path] = source
            queue.extend((target, path) for target in self.imported(path) if target not in came_from)
        return came_from

    def define(
        self, module: Module, name: str, seen: frozenset[str] = frozenset()
    ) -> tuple[Module, list[ast.stmt]] | None:
        """The statements that bind ``name`` in ``module``, followed through re-exports.

        Returns the module they stand in, and the statements; None if nothing in the tree binds it.
        """
        if name in module.definitions:
            return module, module.definitions[name]
        key = f"{module.path}:{name}"
        if key in seen:
            return None
        item = module.aliases.get(name)
        if item is not None and item.name:
            target = self.locate(item.module, module.path, item.level)
            if target and (other := self.module(target)) is not None:
                found = self.define(other, item.name, seen | {key})
                if found:
                    return found
        for star in (entry for entry in module.imports if entry.name == "*"):
            target = self.locate(star.module, module.path, star.level)
            if target and (other := self.module(target)) is not None:
                found = self.define(other, name, seen | {key})
                if found:
                    return found
        return None

    def submodule(self, module: Module, name: str) -> Module | None:
        """The module of the tree that ``name`` is bound to in ``module`` by an import, if any."""
        item = module.aliases.get(name)
        if item is None:
            return None
        dotted = ".".join(part for part in (item.module, item.name) if part)
        if not item.name and item.alias == item.module.split(".")[0]:
            dotted = item.alias
        target = self.locate(dotted, module.path, item.level)
        return self.module(target) if target else None


def _stem(path: str) -> str:
    """``a/b.py`` and ``a/b/__init__.py`` → ``a/b``."""
    return path.removesuffix(".py").removesuffix("/__init__")


def _syntax_problem(path: str, error: BaseException) -> Problem:
    line = getattr(error, "lineno", None)
    reason = getattr(error, "msg", None) or str(error) or type(error).__name__
    return Problem(
        source="repo",
        kinds=frozenset(),  # what follows from it is for the analysis to say: it knows who loads the file
        reason=f"not valid Python: {reason}",
        hint=syntax.hint(error),
        evidence=Evidence(path, line, None, None, "syntax error"),
    )
