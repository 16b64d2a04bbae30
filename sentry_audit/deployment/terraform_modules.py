"""Terraform's modules: folders of files, and what their names are worth where they are called."""

from __future__ import annotations

import re
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

from msgspec import Struct, field

from sentry_audit.deployment import terraform_functions as functions
from sentry_audit.deployment.found import KINDS
from sentry_audit.deployment.terraform_data import List, Map, Set, Unknown, text_of, whole
from sentry_audit.deployment.terraform_reading import read_file
from sentry_audit.deployment.terraform_syntax import Block, Broken, Source, blocks, problem
from sentry_audit.deployment.terraform_types import conform
from sentry_audit.deployment.terraform_values import Budget, Frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.deployment.found import Found
    from sentry_audit.deployment.terraform_data import Value
    from sentry_audit.deployment.terraform_syntax import Expr
    from sentry_audit.deployment.terraform_values import Step
    from sentry_audit.python.program import Files

#: A variable whose value names an environment.
ENVIRONMENT = re.compile(r"^(\w+_)?(env|environment|stage)(_(name|type|id|slug))?$", re.IGNORECASE)
_META = frozenset({"source", "version", "providers", "count", "for_each", "depends_on"})
_SECRETS = frozenset({"google_secret_manager_secret", "google_secret_manager_regional_secret"})
_VERSIONS = frozenset({"google_secret_manager_secret_version", "google_secret_manager_regional_secret_version"})
_STEPS = 60_000
_NESTED = 6
_MANY = 60


class Module(Struct):
    """One folder of ``.tf`` files. Of blocks of one name the first counts; ``providers`` are all, with their aliases."""

    folder: str
    blocks: dict[tuple[str, ...], Block] = field(default_factory=dict)
    local_blocks: list[Block] = field(default_factory=list)
    providers: list[Block] = field(default_factory=list)

    def of(self, kind: str) -> Iterator[Block]:
        """The blocks of one kind, in order."""
        return (block for key, block in self.blocks.items() if key[0] == kind)


class Modules:
    """The modules of one tree, each read once; what cannot be read becomes a problem."""

    def __init__(self, files: Files, found: Found, outside: frozenset[str] = frozenset()) -> None:
        self.files = files
        self.found = found
        #: Variables that some script or pipeline gives on the command line.
        self.outside = outside
        self._modules: dict[str, Module] = {}
        self._broken: set[tuple[str, int]] = set()
        self._paths: dict[str, list[str]] = {}
        for path in files.paths.of(".tf"):
            self._paths.setdefault(dirname(path), []).append(path)

    @property
    def folders(self) -> frozenset[str]:
        """Every folder that has Terraform files."""
        return frozenset(self._paths)

    def module(self, folder: str) -> Module:
        """The module in ``folder``."""
        if folder not in self._modules:
            module = self._modules[folder] = Module(folder)
            for path in sorted(self._paths.get(folder, ())):
                for block in self._read(path):
                    if block.kind == "locals":
                        module.local_blocks.append(block)
                    else:
                        module.blocks.setdefault((block.kind, *block.labels), block)
                    if block.kind == "provider":
                        module.providers.append(block)
        return self._modules[folder]

    def _read(self, path: str) -> list[Block]:
        text = self.files.text(path)
        try:
            return blocks(path, text or "")
        except Broken as error:
            self.broken(path, error.line)
            return []

    def broken(self, path: str, line: int | None) -> None:
        """Keep that a file could not be read."""
        if (path, line or 0) not in self._broken:
            self._broken.add((path, line or 0))
            self.found.problems.append(problem(path, line, KINDS))

    def attributes(self, block: Block) -> dict[str, Expr]:
        """What is assigned in a block; nothing, and a problem, if it cannot be read."""
        try:
            return block.attributes
        except Broken as error:
            self.broken(block.path, block.line + (error.line or 1) - 1)
            block.broken()
            return {}

    def inner(self, block: Block, kind: str) -> list[Block]:
        """The blocks of one kind in a block."""
        return list(block.blocks(kind)) if self.attributes(block) or block.tree is not None else []


class Run(Struct):
    """One evaluation of a root module: the choices made for it, and the choices that would have mattered."""

    chosen: dict[str, str] = field(default_factory=dict)
    tried: dict[str, dict[str, bool]] = field(default_factory=dict)
    budget: Budget = field(default_factory=lambda: Budget(_STEPS))

    def candidate(self, axis: str, name: str, *, all_named: bool) -> None:
        """Keep that ``name`` is a possible value of ``axis``; ``all_named``: the others are named as well."""
        found = self.tried.setdefault(axis, {})
        found[name] = found.get(name, False) or all_named


class Instance(Struct, eq=False):
    """A module where it is called (or applied): what its names are worth there."""

    modules: Modules
    module: Module
    run: Run
    given: dict[str, Expr] = field(default_factory=dict)
    parent: Frame | None = None
    caller: Instance | None = None
    call_block: Block | None = None
    key: str = ""
    _cache: dict[tuple[str, str], Value] = field(default_factory=dict)
    _children: dict[tuple[str, str], Instance | None] = field(default_factory=dict)
    _locals: dict[str, Expr] | None = None
    _open_ended: bool | None = None

    @property
    def budget(self) -> Budget:
        """The steps that are left."""
        return self.run.budget

    @property
    def depth(self) -> int:
        """How many calls led here."""
        return self.caller.depth + 1 if self.caller else 0

    @property
    def root(self) -> Instance:
        """The module that is applied."""
        return self.caller.root if self.caller else self

    def frame(self, **bound: Value) -> Frame:
        """A frame of this module."""
        return Frame(self, Source("", ""), bound)

    def head(self, name: str, steps: Sequence[Step]) -> tuple[Value, int]:
        """What ``name`` and the first steps mean, and how many steps that took."""
        names = [str(key) for kind, key in steps if kind == "attr"]
        match name, names:
            case "var", [first, *_]:
                return self._cached("var", first), 1
            case "local", [first, *_]:
                return self._cached("local", first), 1
            case "terraform", ["workspace", *_]:
                return self.run.chosen.get("workspace", Unknown("${terraform.workspace}", axis="workspace")), 1
            case "path", [first, *_]:
                return (self.module.folder if first == "module" else self.root.module.folder) or ".", 1
            case "module", [first, *_]:
                return self._cached("module", first), 1
            case "data", [first, second, *_]:
                return self._resource(("data", first, second)), 2
            case (("each" | "count" | "self"), _):
                return Unknown(), 0
            case _, [first, *_]:
                return self._resource(("resource", name, first)), 1
        return Unknown(), 0

    def tried(self, unknown: Unknown, key: Value) -> None:
        """Keep what a variable that names the environment is compared with."""
        if unknown.axis and isinstance(key, list):
            for item in key:
                self.run.candidate(unknown.axis, text_of(item), all_named=whole(key))
        elif unknown.axis and isinstance(key, str):
            self.run.candidate(unknown.axis, key, all_named=False)

    def call(self, name: str, arguments: Sequence[Value]) -> Value | None:
        """Functions that read files of the tree."""
        folders = (self.root.module.folder, self.module.folder)
        return read_file(self.modules.files, folders, name, arguments, self.budget)

    def _cached(self, kind: str, name: str) -> Value:
        key = (kind, name)
        if key not in self._cache:
            self._cache[key] = Unknown(f"${{{kind}.{name}}}", "it depends on itself")
            compute = {"var": self._variable, "local": self._local, "module": self._called}[kind]
            self._cache[key] = compute(name)
        return self._cache[key]

    def _variable(self, name: str) -> Value:
        block = self.module.blocks.get(("variable", name))
        attributes = self.modules.attributes(block) if block is not None else {}
        unknown = self._open(name)
        if name in self.given and self.parent is not None:
            value = self.parent.of(self.given[name])
        elif name in self.given:
            value = self.frame().of(self.given[name])
        elif f"var.{name}" in self.run.chosen and self.caller is None:
            return self.run.chosen[f"var.{name}"]
        elif "default" not in attributes or (self.caller is None and name in self.modules.outside):
            self._validated(block, unknown)
            return unknown
        else:
            value = self.frame().of(attributes["default"])
            sensitive = "sensitive" in attributes and self.frame().of(attributes["sensitive"]) is True
            if self.caller is None and sensitive and (value is None or value == ""):
                return unknown
            if self.caller is None and (value is None or value in ([], {})) and self._unseen():
                value = List() if isinstance(value, list) else Map()
                value.missing = (f"var.{name}, whose value may stand outside the repository,",)
        if isinstance(value, Unknown) and not value.text:
            value = unknown
        return conform(value, attributes["type"], self.frame()) if "type" in attributes else value

    def _unseen(self) -> bool:
        """Whether some variable must be given a value, and nothing in the tree gives it."""
        if self._open_ended is None:
            self._open_ended = any(
                block.labels
                and block.labels[0] not in self.given
                and block.labels[0] not in self.modules.outside
                and "default" not in self.modules.attributes(block)
                for block in self.module.of("variable")
            )
        return self._open_ended

    def _open(self, name: str) -> Unknown:
        return Unknown(f"${{var.{name}}}", "", f"var.{name}" if ENVIRONMENT.match(name) and self.caller is None else "")

    def _validated(self, block: Block | None, unknown: Unknown) -> None:
        """``validation { condition = contains(["staging", "production"], var.environment) }`` names them all."""
        for rule in self.modules.inner(block, "validation") if block is not None and unknown.axis else ():
            condition = self.modules.attributes(rule).get("condition")
            match = re.match(
                r"^contains\(\s*\[([^\]]*)\]\s*,\s*var\.\w+\s*,?\s*\)$", condition.text if condition else ""
            )
            for name in re.findall(r'"([\w-]+)"', match[1]) if match else ():
                self.run.candidate(unknown.axis, name, all_named=True)

    def _local(self, name: str) -> Value:
        expression = self.locals().get(name)
        return self.frame().of(expression) if expression is not None else Unknown(f"${{local.{name}}}")

    def locals(self) -> dict[str, Expr]:
        """The expressions of the module's locals."""
        if self._locals is None:
            self._locals = {}
            for block in self.module.local_blocks:
                self._locals |= self.modules.attributes(block)
        return self._locals

    def _resource(self, key: tuple[str, ...]) -> Value:
        block = self.module.blocks.get(key)
        if block is None:
            return Unknown()
        return self._each(block, lambda bound: Resource(self, block, bound))

    def _called(self, name: str) -> Value:
        block = self.module.blocks.get(("module", name))
        if block is None:
            return Unknown()

        def one(bound: dict[str, Value]) -> Value:
            child = self.child(block, bound)
            return Output(child) if child is not None else Unknown()

        return self._each(block, one)

    def _each(self, block: Block, make: object) -> Value:
        assert callable(make)
        found = self.instances(block)
        attributes = self.modules.attributes(block)
        if "for_each" in attributes:
            if any(note for _, note in found):
                return Unknown()
            return Map({text_of(bound["each"]["key"]): make(bound) for bound, _ in found})
        if "count" in attributes:
            return List(make(bound) for bound, _ in found)
        return make({})

    def instances(self, block: Block) -> list[tuple[dict[str, Value], str]]:
        """(the names bound, what is not known) of each of the things that a block with for_each or count makes."""
        attributes = self.modules.attributes(block)
        if (expression := attributes.get("for_each")) is not None:
            over = self.frame().of(expression)
            found = functions.pairs(over)
            if found is None:
                return [({}, f"for_each over {text_of(over)} was not followed")]
            rows: list[tuple[dict[str, Value], str]] = [
                ({"each": Map(key=key, value=value)}, "") for key, value in _keyed(found, over)[:_MANY]
            ]
            rows += [({}, f"for_each has more: {note}") for note in getattr(over, "missing", ())[:1]]
            return rows
        if (expression := attributes.get("count")) is not None:
            count = self.frame().of(expression)
            if isinstance(count, (int, float)):
                return [({"count": Map(index=index)}, "") for index in range(min(int(count), _MANY))]
            if isinstance(count, str) and count.isdecimal():
                return [({"count": Map(index=index)}, "") for index in range(min(int(count[:4]), _MANY))]
            return [({"count": Map(index=0)}, f"count = {expression.text[:80]} was not followed")]
        return [({}, "")]

    def child(self, block: Block, bound: dict[str, Value]) -> Instance | None:
        """The local module that a call names, with its arguments; None if it is not in the tree."""
        key = text_of(bound["each"]["key"]) if "each" in bound else text_of(bound.get("count", Map()).get("index"))
        name = (block.labels[0] if block.labels else "", key)
        if name not in self._children:
            self._children[name] = self._child(block, bound, key)
        return self._children[name]

    def _child(self, block: Block, bound: dict[str, Value], key: str) -> Instance | None:
        attributes = self.modules.attributes(block)
        source = self.frame().of(attributes.get("source"))
        folder = local_folder(self.module.folder, source) if isinstance(source, str) else None
        if folder is None or folder not in self.modules.folders or self.depth >= _NESTED:
            return None
        given = {name: value for name, value in attributes.items() if name not in _META}
        return Instance(
            self.modules, self.modules.module(folder), self.run, given, self.frame(**bound), self, block, key
        )


class Resource(Struct, frozen=True, eq=False):
    """A resource or data source that something refers to."""

    instance: Instance
    block: Block
    bound: dict[str, Value]

    def attribute(self, name: str) -> Value:
        """The value of one of its arguments; a secret's id and name are its ``secret_id``."""
        attributes = self.instance.modules.attributes(self.block)
        kind = self.block.labels[0] if self.block.labels else ""
        names = [name]
        if kind in _SECRETS and name in {"id", "name", "secret_id"}:
            names = ["secret_id", "secret", "name"]
        elif kind in _VERSIONS and name in {"id", "name", "secret"}:
            names = ["secret"]
        found = next((attributes[item] for item in names if item in attributes), None)
        return self.instance.frame(**self.bound).of(found, Unknown())


class Output(Struct, frozen=True, eq=False):
    """A local module that something refers to."""

    instance: Instance

    def attribute(self, name: str) -> Value:
        """The value of one of its outputs."""
        block = self.instance.module.blocks.get(("output", name))
        if block is None or not self.instance.budget.spend():
            return Unknown()
        return self.instance.frame().of(self.instance.modules.attributes(block).get("value"), Unknown())


def local_folder(folder: str, source: str) -> str | None:
    """The folder that ``source`` names as seen from ``folder``; None if it is no path."""
    if not source.startswith(("./", "../")) and source not in {".", ".."}:
        return None
    path = normpath(join(folder, source))
    return "" if path == "." else path


def _keyed(pairs: list[tuple[Value, Value]], over: Value) -> list[tuple[Value, Value]]:
    """Pairs for ``for_each``, where a list stands for a set of its elements."""
    return [(value, value) for _, value in pairs] if isinstance(over, list) and not isinstance(over, Set) else pairs
