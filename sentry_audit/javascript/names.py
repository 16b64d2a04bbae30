"""What a name, or a glance at the text, says of a file of JavaScript: whether it is code, a test, a bundle."""

from __future__ import annotations

import re
from posixpath import basename

SUFFIXES = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts")
#: Single-file components: what is read of them is their script.
COMPONENTS = (".vue", ".svelte")
CODE = (*SUFFIXES, *COMPONENTS)
_TEST = re.compile(r"\.(test|spec|stories)\.\w+$|(^|/)(__tests__|__mocks__|e2e|cypress)/")
_MINIFIED = 2000
_LIMIT = 400_000


def is_test(path: str) -> bool:
    """Whether a file is a test's, a story's or a mock's by its name."""
    return _TEST.search(path) is not None or basename(path).startswith("mock")


def is_generated(text: str) -> bool:
    """Whether a file is a bundle or minified: nobody wrote it, so nothing in it is evidence."""
    return len(text) > _LIMIT or (len(text) > _MINIFIED * 4 and len(text) / (text.count("\n") + 1) > _MINIFIED)
