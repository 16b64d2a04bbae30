"""Packages of npm, installed once for all workers of a run."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NPM = shutil.which("npm")
needs_npm = pytest.mark.skipif(not NPM, reason="no npm here, which brings Sentry's SDK for JavaScript")


def _node() -> tuple[int, ...]:
    """The version of Node.js, () without one."""
    node = shutil.which("node")
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout if node else ""
    return tuple(int(part) for part in told.strip().lstrip("v").split(".") if part.isdigit())


needs_next = pytest.mark.skipif(
    not NPM or _node() < (20, 9), reason="no npm with Node.js 20.9 here, which Next.js 16 needs"
)


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder ``name`` that ``make`` fills, by the worker that comes first; the others wait for it."""
    base = factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / name
    ready, failed = folder.with_name(f"{name}.ready"), folder.with_name(f"{name}.failed")
    try:
        folder.mkdir()
    except FileExistsError:
        while not ready.exists():
            assert not failed.exists(), f"{name} could not be made: see the other worker"
            time.sleep(0.2)
        return folder
    try:
        make(folder)
    except BaseException:
        failed.touch()
        raise
    ready.touch()
    return folder


def install(folder: Path) -> None:
    """``npm install`` of what ``folder``'s package.json asks for."""
    command = [str(NPM), "install", "--silent", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, timeout=240, capture_output=True)


def build(folder: Path, **variables: str) -> None:
    """``npm run build`` with ``variables``."""
    command, environment = [str(NPM), "run", "build", "--silent"], os.environ | variables
    subprocess.run(command, cwd=folder, check=True, timeout=240, capture_output=True, env=environment)
