"""Plans and trees for the tests of what applies them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sentry_audit.fixing import Closed, FileChange, Operation, Plan, Step
from sentry_audit.sources.tree import decode

KEY = "0123456789abcdef0123456789abcdef"
DSN = f"https://{KEY}@o123.ingest.us.sentry.io/451"
SECRET = "projects/shop-staging/secrets/sentry-dsn"
SERVICE = "projects/shop-staging/locations/europe-west1/services/api"


def step(*changes: tuple[str, str | None, str | None], safety: str = "review", summary: str = "will edit") -> Step:
    """A step of file changes: (path, before, after)."""
    files = tuple(FileChange(*change) for change in changes)
    return Step(summary=summary, safety=safety, closes=(Closed("a-check", "api"),), files=files)


def live(does: str, resource: str = SECRET, member: str = "") -> Step:
    """A step of one operation."""
    summary = f"will {does}"
    operation = Operation(does=does, resource=resource, summary=summary, member=member)
    return Step(summary=summary, safety="live", closes=(Closed("a-check", "api"),), operation=operation)


LIVE = (
    live("create-secret"),
    live("add-version"),
    live("grant", member="serviceAccount:a"),
    live("update-service", SERVICE),
)


def plan(*steps: Step, environment: str = "staging") -> Plan:
    """A plan of these steps."""
    return Plan(tool_version="1", environment=environment, steps=steps)


def rewriting(root: Path, **after: str | None) -> Plan:
    """One step that gives each file of ``root`` (``__`` stands for a dot) its text."""
    changes = []
    for name, text in after.items():
        file = root / name.replace("__", ".")
        before = decode(file.name, file.read_bytes())[0] if file.exists() else None
        changes.append((name.replace("__", "."), before, text))
    return plan(step(*changes))


def snapshot(root: Path) -> dict[str, tuple[bytes, int]]:
    """Every file, link and folder below ``root`` with its mode, but what git and the journal keep."""
    found: dict[str, tuple[bytes, int]] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in {".git", ".sentry-audit"}]
        for name in (*folders, *files):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            data = (
                os.fsencode(path.readlink()) if stat.S_ISLNK(mode) else b"" if stat.S_ISDIR(mode) else path.read_bytes()
            )
            found[path.relative_to(root).as_posix()] = (data, mode)
    return found
