"""verify against the SDK's versions: the oldest still in use, the first of 2.x, those between, and what comes next."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from sentry_audit.proofs import NAMES
from sentry_audit.verifying import running
from tests.verifying import copied, prove, python_with

if TYPE_CHECKING:
    from pathlib import Path

#: What each version shows of the FastAPI application.
SHOWN = frozenset(NAMES) - {"shutdown", "locked"}
STABLE = ("1.45.1", "2.0.1", "2.34.1", "newest")


def python_of(version: str, folder: Path) -> str:
    """An interpreter with everything that these tests have, but for sentry-sdk in ``version``."""
    wanted = {"newest": "sentry-sdk<3", "pre-release": "sentry-sdk>=3.0.0b1"}.get(version, f"sentry-sdk=={version}")
    pre = ["--pre"] if version == "pre-release" else []
    return python_with(folder, "--no-deps", *pre, wanted)


def installed(python: str) -> str:
    code = "from sentry_sdk.consts import VERSION; print(VERSION)"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("version", STABLE)
def test_each_version_is_proven_and_red_for_the_right_reason(version: str, tmp_path: Path) -> None:
    wishes = running.Wishes(python=python_of(version, tmp_path))
    assert version in {"newest", installed(wishes.python)}
    found = prove(copied("fastapi", tmp_path), wishes=wishes)
    assert found.red == {}
    assert found.shown == SHOWN
    edits = {"deploy.sh": ('--set-secrets="SENTRY_DSN=sentry-dsn-staging:latest"', "--quiet")}
    found = prove(copied("fastapi", tmp_path / "dark", edits), wishes=wishes)
    assert found.red == {"init": "no-dsn"}


#: sentry-sdk 3 has lost these, and collects what they kept out: https://docs.sentry.io/platforms/python/migration/2.x-to-3.x
GONE = """\
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=scrub,
        before_send_transaction=scrub,
"""


def test_what_comes_next(tmp_path: Path) -> None:
    python = python_of("pre-release", tmp_path)
    assert installed(python).startswith("3.")
    wishes = running.Wishes(python=python)
    found = prove(copied("fastapi", tmp_path), wishes=wishes)
    assert found.red == {}
    assert "Unknown option 'send_default_pii'" in found.proofs["init"].unknown
    edits = {"app/telemetry.py": (GONE, "        before_send=scrub,\n")}
    found = prove(copied("fastapi", tmp_path / "fitted", edits), wishes=wishes)
    assert found.red == {"no-pii": "leak"}
    assert found.shown == SHOWN - {"no-pii"}
