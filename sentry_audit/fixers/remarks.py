"""What a remark above a guard says, and whether it still holds once the guard asks nothing else."""

from __future__ import annotations

import re

#: What a remark says of a guard that looks at the text of a DSN, and does not once the guard no longer does.
_ABOUT_TEXT = re.compile(
    r"\b(real|valid\w*|invalid|proper\w*|correct\w*|genuine|placeholders?|dummy|fake|formats?|prefix\w*|starts?|begins?"
    r"|contains?|includes?|looks?|https?|urls?|hosts?|domains?|regions?|ingest)\b|sentry\.io",
    re.IGNORECASE,
)
_TO_TOOLS = re.compile(
    r"eslint|prettier|biome|@ts-|istanbul|\bc8\b|\bv8\b|webpack|noqa|type: ignore|pylint|pragma|TODO|FIXME",
    re.IGNORECASE,
)
#: A longer one says more than what the guard asks.
LONGEST = 3


def is_about_text(said: str) -> bool:
    """Whether a remark speaks of what a DSN looks like, and to people."""
    return _ABOUT_TEXT.search(said) is not None and _TO_TOOLS.search(said) is None
