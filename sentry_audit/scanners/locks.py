"""Lock files: what is pinned, and what pulls it in. Read by their package blocks, not parsed whole."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from sentry_audit.facts import Fact, LockedPackage, Manifest
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from sentry_audit.scanners.base import Found

LOCKS = frozenset({"poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock", "pylock.toml"})
_NAME = re.compile(r'^name = "([^"]+)"', re.MULTILINE)
_VERSION = re.compile(r'^version = "([^"]+)"', re.MULTILINE)


def scan_lock(path: str, text: str) -> Found:
    """The locked sentry-sdk of a lock file, with the packages that require it."""
    name = path.rsplit("/", 1)[-1]
    manifest = Manifest(path=path, format=name, lock=True, evidence=(Evidence(path),))
    if "sentry-sdk" not in text.lower() and "sentry_sdk" not in text:
        return (manifest,), ()
    if name == "Pipfile.lock":
        data = json.loads(text)
        entry = data.get("default", {}).get("sentry-sdk")
        if not isinstance(entry, dict):
            return (manifest,), ()
        version = str(entry.get("version", "")).lstrip("=")
        return (manifest, _locked(path, text, version, ())), ()
    blocks = re.split(r"^\[\[packages?\]\]\s*$", text, flags=re.MULTILINE)
    found: list[Fact] = [manifest]
    requires: list[str] = []
    version = ""
    for block in blocks[1:]:
        title = _NAME.search(block)
        if title is None:
            continue
        if re.sub(r"[-_.]+", "-", title[1]).lower() == "sentry-sdk":
            match = _VERSION.search(block)
            version = match[1] if match else ""
        elif re.search(
            r"sentry[-_]sdk", block.split("[package.metadata]")[0].split("[package.optional-dependencies]")[0]
        ):
            requires.append(title[1])
    if version:
        found.append(_locked(path, text, version, tuple(requires)))
    return tuple(found), ()


def _locked(path: str, text: str, version: str, requires: tuple[str, ...]) -> LockedPackage:
    line = next(
        (number for number, row in enumerate(text.splitlines(), 1) if re.search(r'^(name = |\s*)"sentry[-_]sdk"', row)),
        None,
    )
    where = Evidence(path, line, None, None, f"sentry-sdk {version}")
    return LockedPackage(
        path=path, name="sentry-sdk", version=version, required_by=requires, line=line, evidence=(where,)
    )
