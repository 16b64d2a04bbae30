"""What makes a finding the same finding after an edit elsewhere: its subject and what was seen, never the line."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentry_audit.model import Finding

_LINE = re.compile(r"(?<=[\w/.])(:\d+)+\b")
#: Every deployment makes a revision of another name; one that has the same problem is no other problem.
_REVISION = re.compile(r"(/revisions)/[^/]+")
_LENGTH = 16


def fingerprint(finding: Finding) -> str:
    """16 hexadecimal digits of the check, the component, the environment and what was seen where, without lines and revisions.

    Where no place was seen, the message stands for it. The severity, the texts of the check and the waiver are not in it.
    """
    seen = sorted(
        {(item.path or _REVISION.sub(r"\1", item.resource or ""), _plain(item.saw)) for item in finding.evidence}
    )
    parts = [finding.check, finding.component, finding.environment, *(part for pair in seen for part in pair)]
    if not seen:
        parts.append(_plain(finding.message))
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:_LENGTH]


def _plain(text: str) -> str:
    """``text`` with single spaces, and without the line numbers of places that it names."""
    return " ".join(_LINE.sub("", text).split())
