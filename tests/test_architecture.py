"""The shape of the house: what may import what, and what starting the program loads."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "sentry_audit"
#: Modules above the line: they may read, write and ask the environment.
EDGE = {
    "__main__",
    "cli",
    "commands",
    "publishing",
    "surroundings",
    "initialising",
    "showing",
    "completing",
    "app",
    "auditing",
    "rehearsing",
    "repairing",
    "settings",
    "collecting",
    "catalogue",
    "plugins",
    "sources",
    "evidence",
    "accepting",
    "settings_waivers",
    "waiving",
    "live",
    "flags",
    "applying",
    "formatting",
    "verifying",
}
FORBIDDEN = {
    "os",
    "subprocess",
    "socket",
    "google",
    "grpc",
    "typer",
    "time",
    "random",
    "datetime",
    "shutil",
    "tempfile",
    "pathlib",
}
#: From the bottom upwards: a module imports only what stands at its own height or below.
HEIGHTS = {
    "model": 0, "errors": 0, "paths": 0, "mentions": 0, "comments": 0, "releases": 0, "positions": 0,
    "modelled": 1, "settings_model": 2, "checks_mistakes": 2, "checks_schema": 2,
    "facts": 1, "cloud_facts": 1, "cloud": 0,
    "sentry_project": 0, "sentry_facts": 1,
    "guard": 1, "predicates": 1, "fingerprints": 1,
    "dsn": 2, "sdk_table": 2, "checks": 2, "chain": 2,
    "engine": 3, "scanners": 3, "python": 4, "javascript": 4, "deployment": 4, "policies": 4, "csp": 1,
    "wire": 1, "seen": 1, "silence": 2, "proofs": 5, "bundled": 3, "browsed": 6, "served": 7,
    "derive": 5, "reporters": 5, "deriving": 6, "tracing": 5, "naming": 5, "differing": 5, "settings": 6, "plugins": 6, "sources": 6,
    "evidence": 5, "fixing": 5, "parsing": 5, "comparing": 6, "steps": 6, "saving": 6, "fixers": 6, "known_fixers": 7, "planning": 7,
    "proposing": 6, "initialising": 9, "showing": 9, "explaining": 9, "completing": 9,
    "leaving": 6, "trying": 6, "tidying": 6, "formatting": 8,
    "waivers": 6, "settings_waivers": 6, "accepting": 6, "waiving": 9,
    "applying": 8, "verifying": 9, "live": 7, "flags": 9, "publishing": 9, "surroundings": 9, "commands": 9,
    "collecting": 7, "auditing": 7, "app": 8, "catalogue": 9, "rehearsing": 9, "repairing": 9, "cli": 10, "__main__": 11,
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Dotted names that run-time imports of ``path`` name; those under TYPE_CHECKING do not count."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update(f"{node.module}.{item.name}" for item in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_below_the_line_nothing_touches_the_world(path: Path) -> None:
    if part(path) in EDGE:
        return
    assert not {name.split(".")[0] for name in imports(path)} & FORBIDDEN


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    height = HEIGHTS.get(part(path))
    for name in imports(path):
        if name.startswith("sentry_audit.") and height is not None:
            target = name.split(".")[1]
            if target in HEIGHTS:
                allowed = HEIGHTS[target] <= height or (part(path), target) == ("scanners", "python")
                assert allowed, f"{path.name} imports {name}"


@pytest.mark.parametrize("module", ["sentry_audit.cli", "sentry_audit.app", "sentry_audit.collecting"])
def test_starting_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not {
        name
        for name in loaded
        if re.match(
            r"(sentry_audit\.(modelled|settings_model)|google|grpc|yaml|rich\.console|dotenv|sentry_sdk|pydantic|packaging)\b",
            name,
        )
    }


def test_the_version_is_told_without_loading_anything() -> None:
    code = (
        "import sys; sys.argv = ['x', '--version']; from sentry_audit.__main__ import main; main(); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "typer" not in loaded
    assert "sentry_audit.cli" not in loaded


def test_every_part_is_placed() -> None:
    assert {part(path) for path in modules()} - {"__init__"} <= HEIGHTS.keys()
