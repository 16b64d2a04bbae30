"""Measure which options, names and integrations each sentry-sdk version knows.

Downloads the wheels of a list of versions, reads their sources with ``ast`` (nothing of them
is imported or run) and writes one compact JSON file in which every fact is a list of ranges
``[first version that has it, last version that has it]``. The end is null when the newest
measured stable version still has it. Pre-releases are described by their difference from
that newest stable version, so that they never stretch a range.

    python scripts/generate_sdk_data.py --output sentry_audit/data/sentry_sdk.json
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
import tempfile
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Ranges = list[list[str | None]]
Modules = dict[str, ast.Module]

PACKAGE = "sentry_sdk"
INTEGRATIONS = f"{PACKAGE}.integrations"
ROOT_CLASS = f"{INTEGRATIONS}.Integration"
OLDEST = (1, 0, 0)
WORKERS = 4


@dataclass(slots=True)
class IntegrationFacts:
    """What one version's integration class accepts."""

    arguments: set[str] = field(default_factory=set)
    is_open: bool = False


@dataclass(slots=True)
class Measurement:
    """Everything read from the wheel of one version."""

    version: str
    options: set[str]
    exports: set[str]
    modules: set[str]
    integrations: dict[str, IntegrationFacts]
    auto_enabled: set[str]
    default: set[str]
    min_versions: dict[str, str]


# --- which versions -------------------------------------------------------------------------


def version_key(version: str) -> tuple[int, int, int, int, str, int]:
    """Return a sort key: a pre-release comes before the release it prepares."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(?:(a|b|rc)(\d+))?", version)
    if match is None:
        raise ValueError(f"not a version this script understands: {version}")
    major, minor, patch, stage, number = match.groups()
    return int(major), int(minor), int(patch), int(stage is None), stage or "", int(number or 0)


def is_prerelease(version: str) -> bool:
    """Tell whether a version is an alpha, beta or release candidate."""
    return version_key(version)[3] == 0


def available_versions() -> list[str]:
    """Return every published version, pre-releases included, oldest first."""
    command = [sys.executable, "-m", "pip", "index", "versions", "sentry-sdk", "--pre"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    listed = re.search(r"^Available versions: (.+)$", shown, re.MULTILINE)
    if listed is None:
        raise RuntimeError("pip listed no versions of sentry-sdk")
    return sorted(listed.group(1).split(", "), key=version_key)


def default_versions(available: Iterable[str]) -> list[str]:
    """Return every stable version since 1.0.0, patches too, and the newest pre-release ahead of them.

    Patches are measured because names do arrive in them (FastAPI became automatic in 1.9.x).
    """
    ordered = sorted(available, key=version_key)
    stable = [v for v in ordered if not is_prerelease(v) and version_key(v)[:3] >= OLDEST]
    return [*stable, *(v for v in ordered[-1:] if is_prerelease(v))]


def wheel_of(version: str, folder: Path) -> Path:
    """Return the wheel of a version, downloading it unless the folder already has it."""
    pattern = f"sentry_sdk-{version}-*.whl"
    if not any(folder.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "-d", str(folder), f"sentry-sdk=={version}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"cannot download sentry-sdk {version}:\n{done.stderr}")
    return next(iter(sorted(folder.glob(pattern))))


# --- reading one wheel ----------------------------------------------------------------------


def parse_wheel(wheel: Path) -> Modules:
    """Return the syntax tree of every module in a wheel; a package is named as its folder."""
    trees: Modules = {}
    with zipfile.ZipFile(wheel) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old sources hold invalid escapes
        for name in sorted(archive.namelist()):
            if name.startswith(f"{PACKAGE}/") and name.endswith(".py"):
                dotted = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
                trees[dotted] = ast.parse(archive.read(name))
    return trees


def keyword_parameters(function: ast.FunctionDef) -> IntegrationFacts:
    """Return the names that can be passed by keyword to a method, and whether any name can."""
    arguments = function.args
    positional = (arguments.posonlyargs + arguments.args)[1:]  # without self
    names = {a.arg for a in positional if a not in arguments.posonlyargs}
    names |= {a.arg for a in arguments.kwonlyargs}
    return IntegrationFacts(names, arguments.kwarg is not None)


def own_init(node: ast.ClassDef) -> ast.FunctionDef | None:
    """Return the ``__init__`` that a class itself defines: the last one wins, as at run time."""
    found = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    return found[-1] if found else None


def read_options(trees: Modules) -> set[str]:
    """Return the options ``init`` accepts without raising ``Unknown option``.

    These are the parameters that DEFAULT_OPTIONS is built from, and the old names that
    ``_get_options`` still lets through (``if key == "with_locals":``).
    """
    inits = [
        own_init(node)
        for node in ast.walk(trees[f"{PACKAGE}.consts"])
        if isinstance(node, ast.ClassDef) and node.name == "ClientConstructor"
    ]
    if len(inits) != 1 or inits[0] is None:
        raise RuntimeError("ClientConstructor.__init__ was not found")
    renamed: set[str] = set()
    for node in ast.walk(trees[f"{PACKAGE}.client"]):
        if isinstance(node, ast.FunctionDef) and node.name in {"_get_options", "get_options"}:
            for test in ast.walk(node):
                match test:
                    case ast.Compare(
                        left=ast.Name(id="key"),
                        ops=[ast.Eq()],
                        comparators=[ast.Constant(value=str(name))],
                    ):
                        renamed.add(name)
                    case _:
                        pass
    return keyword_parameters(inits[0]).arguments | renamed


def strings_of(node: ast.AST) -> list[str]:
    """Return the texts of a literal list or tuple, or of one literal text."""
    parts = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
    return [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]


def assigned(tree: ast.Module, name: str) -> list[ast.expr]:
    """Return what a module assigns, adds or appends to one of its names."""
    values: list[ast.expr] = []
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                values.append(value)
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) | (
                ast.AugAssign(target=ast.Name(id=target), value=value)
            ) if target == name:
                values.append(value)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=target), attr="append" | "extend"),
                args=[value],
            ) if target == name:
                values.append(value)
            case _:
                pass
    return values


def assigned_strings(tree: ast.Module, name: str) -> set[str]:
    """Return the texts a module puts into one of its names."""
    return {text for value in assigned(tree, name) for text in strings_of(value)}


def read_exports(trees: Modules) -> set[str]:
    """Return the public names of the package: ``__all__`` and what it plainly imports."""
    top = trees[PACKAGE]
    names: set[str] = set()
    for node in top.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                star = alias.name == "*"
                source = trees.get(node.module)
                if star and source is not None:
                    names |= assigned_strings(source, "__all__")
                elif not star and node.module.startswith(PACKAGE):
                    names.add(alias.asname or alias.name)
        elif isinstance(node, ast.Delete):
            names -= {t.id for t in node.targets if isinstance(t, ast.Name)}
    names |= assigned_strings(top, "__all__")
    return {name for name in names if not name.startswith("_")}


def read_default_integrations(tree: ast.Module) -> set[str]:
    """Return the default integrations; before they had a name they were a call's argument."""
    names = assigned_strings(tree, "_DEFAULT_INTEGRATIONS")
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "integrations":
            names.update(strings_of(node.value))
    return names


def read_min_versions(tree: ast.Module) -> dict[str, str]:
    """Return the oldest version of each library that the SDK supports."""
    found: dict[str, str] = {}
    for value in assigned(tree, "_MIN_VERSIONS"):
        for name, numbers in ast.literal_eval(value).items():
            found[name] = ".".join(str(number) for number in numbers)
    return found


# --- the integration classes of one wheel ---------------------------------------------------


def imported_names(module: str, trees: Modules) -> dict[str, str]:
    """Return local name -> dotted origin for every ``from ... import ...`` of a module."""
    package = module if any(m.startswith(f"{module}.") for m in trees) else module.rpartition(".")[0]
    origins: dict[str, str] = {}
    for node in ast.walk(trees[module]):
        if isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                origins[alias.asname or alias.name] = f"{source}.{alias.name}"
    return origins


class ClassIndex:
    """The classes of the integrations package and how they inherit from one another."""

    def __init__(self, trees: Modules) -> None:
        """Index every class below ``sentry_sdk.integrations``."""
        self.nodes: dict[str, ast.ClassDef] = {}
        self.bases: dict[str, list[str]] = {}
        self.aliases: dict[str, str] = {}
        for module in sorted(m for m in trees if f"{m}.".startswith(f"{INTEGRATIONS}.")):
            origins = imported_names(module, trees)
            for node in ast.walk(trees[module]):
                if isinstance(node, ast.ClassDef):
                    name = f"{module}.{node.name}"
                    self.nodes[name] = node
                    dotted = [ast.unparse(base) for base in node.bases]
                    self.bases[name] = [
                        base if "." in base else origins.get(base, f"{module}.{base}") for base in dotted
                    ]
            for local, origin in origins.items():
                if origin.startswith(f"{module}."):
                    self.aliases[f"{module}.{local}"] = origin  # a package that re-exports

    def lineage(self, name: str) -> Iterator[str]:
        """Yield a class and its ancestors, nearest first."""
        yield name
        for base in self.bases.get(name, []):
            yield from self.lineage(self.aliases.get(base, base))

    def facts(self, name: str) -> IntegrationFacts:
        """Return what a class accepts, from the nearest ``__init__`` above it."""
        for ancestor in self.lineage(name):
            node = self.nodes.get(ancestor)
            init = own_init(node) if node is not None else None
            if init is not None:
                return keyword_parameters(init)
        return IntegrationFacts()

    def integrations(self) -> dict[str, IntegrationFacts]:
        """Return every integration class by each dotted path it can be imported from."""
        found = {
            name: self.facts(name) for name in self.nodes if name != ROOT_CLASS and ROOT_CLASS in self.lineage(name)
        }
        return found | {a: found[o] for a, o in self.aliases.items() if o in found}


def measure(version: str, wheel: Path) -> Measurement:
    """Read everything this project needs to know from one wheel."""
    trees = parse_wheel(wheel)
    registry = trees[INTEGRATIONS]
    children = (m.removeprefix(f"{PACKAGE}.") for m in trees if m != PACKAGE)
    return Measurement(
        version=version,
        options=read_options(trees),
        exports=read_exports(trees),
        modules={m for m in children if "." not in m and not m.startswith("_")},
        integrations=ClassIndex(trees).integrations(),
        auto_enabled=assigned_strings(registry, "_AUTO_ENABLING_INTEGRATIONS"),
        default=read_default_integrations(registry),
        min_versions=read_min_versions(registry),
    )


# --- many wheels to one table ---------------------------------------------------------------


def ranges(presence: Iterable[tuple[str, bool]]) -> Ranges:
    """Return the runs of consecutive versions that are marked as having the thing."""
    runs: Ranges = []
    previous = False
    for version, present in presence:
        if present and not previous:
            runs.append([version, version])
        elif present:
            runs[-1][1] = version
        previous = present
    if previous:
        runs[-1][1] = None
    return runs


def range_table(stable: list[Measurement], names_of: Callable[[Measurement], Iterable[str]]) -> dict[str, Ranges]:
    """Return the ranges of every name that any measured version has, in order of name."""
    held = [(measurement.version, set(names_of(measurement))) for measurement in stable]
    names = sorted(set().union(*(names for _, names in held)))
    return {name: ranges((version, name in names) for version, names in held) for name in names}


def integration_entry(stable: list[Measurement], name: str) -> dict[str, Any]:
    """Return what is known of one integration class over all versions."""

    def arguments(measurement: Measurement) -> set[str]:
        facts = measurement.integrations.get(name)
        return facts.arguments if facts is not None else set()

    holders = [m for m in stable if name in m.integrations]
    return {
        "since": ranges((m.version, name in m.integrations) for m in stable),
        "arguments": range_table(stable, arguments),
        "open": any(m.integrations[name].is_open for m in holders),
        "auto_enabled": ranges((m.version, name in m.auto_enabled) for m in stable),
        "default": ranges((m.version, name in m.default) for m in stable),
    }


def difference(old: set[str], new: set[str], label: str) -> dict[str, list[str]]:
    """Return what was removed and added, under names that start with the label."""
    return {f"{label}_removed": sorted(old - new), f"{label}_added": sorted(new - old)}


def prerelease_entry(newest: Measurement, preview: Measurement) -> dict[str, list[str]]:
    """Return how a pre-release differs from the newest stable version."""

    def arguments(measurement: Measurement) -> set[str]:
        facts = measurement.integrations.items()
        return {f"{name}({arg})" for name, fact in facts for arg in fact.arguments}

    return (
        difference(newest.options, preview.options, "options")
        | difference(newest.exports, preview.exports, "exports")
        | difference(newest.modules, preview.modules, "modules")
        | difference(set(newest.integrations), set(preview.integrations), "integrations")
        | difference(arguments(newest), arguments(preview), "arguments")
        | difference(newest.auto_enabled, preview.auto_enabled, "auto_enabled")
        | difference(newest.default, preview.default, "default")
    )


def build_table(measurements: Iterable[Measurement]) -> dict[str, Any]:
    """Turn the measurements of many versions into the committed table."""
    ordered = sorted(measurements, key=lambda m: version_key(m.version))
    stable = [m for m in ordered if not is_prerelease(m.version)]
    newest = stable[-1]
    classes = sorted({name for m in stable for name in m.integrations})
    return {
        "generated_from": [m.version for m in stable],
        "options": range_table(stable, lambda m: m.options),
        "exports": range_table(stable, lambda m: m.exports),
        "modules": range_table(stable, lambda m: m.modules),
        "integrations": {name: integration_entry(stable, name) for name in classes},
        "min_versions": {name: {newest.version: oldest} for name, oldest in sorted(newest.min_versions.items())},
        "prereleases": {m.version: prerelease_entry(newest, m) for m in ordered if is_prerelease(m.version)},
    }


def render(table: dict[str, Any]) -> str:
    """Write the table as JSON with one entry per line: small, and readable in a diff."""

    def compact(value: object) -> str:
        return json.dumps(value, separators=(",", ":"))

    sections = []
    for section, content in table.items():
        if isinstance(content, dict):
            lines = [f"  {compact(key)}: {compact(entry)}" for key, entry in content.items()]
            sections.append(f" {compact(section)}: {{\n" + ",\n".join(lines) + "\n }")
        else:
            sections.append(f" {compact(section)}: {compact(content)}")
    return "{\n" + ",\n".join(sections) + "\n}\n"


def main(argv: list[str] | None = None) -> int:
    """Download, measure and write; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("versions", nargs="*", help="default: every stable version since 1.0.0")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--wheels", type=Path, help="keep the downloads here and reuse them")
    options = parser.parse_args(argv)
    versions = options.versions or default_versions(available_versions())
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.wheels or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(WORKERS) as pool:
            wheels = list(pool.map(lambda version: wheel_of(version, folder), versions))
        measurements = [measure(v, wheel) for v, wheel in zip(versions, wheels, strict=True)]
    text = render(build_table(measurements))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    sys.stderr.write(f"{len(versions)} versions, {len(text.encode())} bytes\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
