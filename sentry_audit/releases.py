"""What the name of a release says: whether it tells one build from the next, and what it is made from."""

from __future__ import annotations

import re

_CONSTANT = re.compile(
    r"^(?:[\w.-]+@)?(unknown|none|null|dev|development|production|prod|staging|latest|main|master|local|undefined|n/a|"
    r"0\.0\.0|1\.0\.0|0\.1\.0)$",
    re.IGNORECASE,
)
#: (what a release is made from, what the expression that gives it contains), the first that fits.
_MADE_FROM = (
    ("the short commit", re.compile(r"short|::7|slice\(0|substring\(0|\[:\d", re.IGNORECASE)),
    (
        "the commit",
        re.compile(
            r"COMMIT_SHA|GITHUB_SHA|github\.sha|GIT_SHA|GIT_COMMIT|COMMIT_REF|REVISION_ID|CIRCLE_SHA1|rev-parse|COMMIT\b"
        ),
    ),
    ("the tag", re.compile(r"TAG_NAME|ref_name|github\.ref\b|describe|release\.tag_name")),
    ("the package's version", re.compile(r"package\.json|npm_package_version|\bpkg\.|__version__|importlib\.metadata")),
    ("Cloud Run's revision", re.compile(r"K_REVISION")),
)


def is_constant(release: str) -> bool:
    """Whether a release is a word that stays the same from build to build."""
    return not release.strip() or bool(_CONSTANT.match(release.strip()))


def made_from(expression: str) -> str:
    """What an expression makes a release from: ``the commit``, ``the tag``; ``""`` if it does not say."""
    return next((name for name, pattern in _MADE_FROM if pattern.search(expression)), "")
