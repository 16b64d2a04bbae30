"""Which tests begin, and which stay together, where several workers run them."""

from __future__ import annotations

import pytest

#: What takes longest begins, so that no worker is left alone with it at the end: files, the slowest first.
SLOW = (
    "test_verify_next", "test_verify_built", "test_pipelines", "test_applying_killed_live", "test_verify_bugsink",
    "test_journey", "test_fix_example", "test_verify_apps", "test_verify_versions", "test_verify_jobs",
    "test_verify_frameworks", "test_fix_capture",
)  # fmt: skip
#: How many of them run on one worker each: what their tests share takes long to make.
TOGETHER = 5


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the slow files first, each file of ``TOGETHER`` on one worker; the others stay as they are."""
    for item in items:
        if item.path.stem in SLOW[:TOGETHER]:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: SLOW.index(item.path.stem) if item.path.stem in SLOW else len(SLOW))
