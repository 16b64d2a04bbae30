"""Which tests begin, and which stay together, where several workers run them."""

from __future__ import annotations

import pytest

#: Files whose tests run on one worker: what they share takes long to make.
TOGETHER = (
    "test_verify_next", "test_verify_built", "test_pipelines", "test_applying_killed_live", "test_verify_bugsink",
)  # fmt: skip
#: What takes longest begins, so that no worker is left alone with it at the end: files, the slowest first.
SLOW = (
    *TOGETHER, "test_journey", "test_fix_example", "test_verify_apps", "test_verify_versions", "test_verify_jobs",
    "test_verify_frameworks", "test_fix_capture",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the slow files first, each file of ``TOGETHER`` on one worker; the others stay as they are."""
    for item in items:
        if item.path.stem in TOGETHER:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: SLOW.index(item.path.stem) if item.path.stem in SLOW else len(SLOW))
