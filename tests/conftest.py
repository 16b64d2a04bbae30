"""The order of the tests: what takes long begins first, so that no worker is left alone with it at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

#: The files whose tests take longest, the slowest first; each of the first three runs on one worker, for its set-up.
SLOW = (
    "test_verify_next", "test_pipelines", "test_verify_built", "test_journey", "test_fix_example", "test_verify_versions",
    "test_verify_apps", "test_applying_killed_live", "test_verify_jobs", "test_verify_frameworks", "test_fix_capture",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the slow files first, and leave the others as they are."""
    items.sort(key=lambda item: SLOW.index(item.path.stem) if item.path.stem in SLOW else len(SLOW))
