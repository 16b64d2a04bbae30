"""The example project, from dark to ready and back: the repository and the Google Cloud that it runs in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.gcp_server.server import GcpServer
from tests.gcp_server.world import load

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parent.parent / "examples"
DSN = "https://feedface00feedface00feedface1234@o1.ingest.de.sentry.io/102"


@pytest.fixture
def server() -> Iterator[GcpServer]:
    with GcpServer(load(EXAMPLES / "cloud.yaml")) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    shutil.copytree(EXAMPLES / "shop", root)
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.email=a@b.c", "-c", "user.name=x", "commit", "-qm", "all"],
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sentry_audit", *arguments], cwd=root, capture_output=True, text=True,
        env={**os.environ, "COLUMNS": "80", "DSN": DSN, "PYTHONPATH": str(EXAMPLES.parent)}, check=False,
    )  # fmt: skip


def contents(root: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {str(path.relative_to(root)): (path.stat().st_mode, path.read_bytes()) for path in files}


def serving(server: GcpServer) -> dict[str, list[tuple[str, int]]]:
    """Where each service's traffic goes."""
    services = server.state.projects["shop-staging"].services
    return {name: [(item.revision, item.percent) for item in service.traffic] for name, service in services.items()}


def test_from_dark_to_ready_and_back(shop: Path, server: GcpServer) -> None:
    endpoint = ("--gcp-endpoint", server.endpoint)
    before, traffic, before_gaps = contents(shop), serving(server), gaps(shop, *endpoint)
    dark = run(shop, "check", "--env", "staging", *endpoint)
    assert dark.returncode == 1

    dry = run(shop, "fix", "--env", "staging", "--dry-run", *endpoint)
    assert dry.returncode == 10
    assert (contents(shop), serving(server)) == (before, traffic)

    fixed = run(shop, "fix", "--env", "staging", "--yes", "--dsn-from", "env:DSN", *endpoint)
    assert fixed.returncode == 0, fixed.stderr
    assert "feedface1234" not in fixed.stdout + fixed.stderr
    ready = run(shop, "check", "--env", "staging", *endpoint)
    assert ready.returncode == 0, ready.stdout
    assert run(shop, "fix", "--env", "staging", "--dry-run", *endpoint).returncode == 0

    nowhere = run(shop, "undo", "--yes", "--gcp-endpoint", "127.0.0.1:9")
    assert nowhere.returncode == 5
    assert "partly undone" in nowhere.stderr
    assert contents(shop) == before
    taken = run(shop, "undo", "--yes", *endpoint)
    assert taken.returncode == 0, taken.stderr
    assert contents(shop) == before
    assert serving(server) == traffic
    again = run(shop, "check", "--env", "staging", *endpoint)
    assert again.returncode == 1
    versions = server.state.projects["shop-staging"].secrets["sentry-dsn-staging"].versions
    assert [item.state for item in versions] == ["ENABLED", "ENABLED", "DISABLED", "ENABLED"]
    assert versions[3].payload == versions[1].payload  # shop-web asks for latest, and could before
    assert "version 4 holds what version 2 does" in " ".join(taken.stdout.split())
    assert gaps(shop, *endpoint) == before_gaps


def gaps(shop: Path, *arguments: str) -> set[tuple[str, str]]:
    found = json.loads(run(shop, "check", "--env", "staging", "--format", "json", *arguments).stdout)["findings"]
    return {(item["check"], item["component"]) for item in found if item["status"] == "gap"}
