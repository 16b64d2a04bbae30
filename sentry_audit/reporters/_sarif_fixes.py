"""Planned changes of files as SARIF's fixes: exact replacements of the text as it is."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from sentry_audit.dsn import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sentry_audit.fixing import FileChange, Step


class Fixes:
    """The steps of a plan that can be offered each for itself, by the finding that they close."""

    def __init__(self, steps: Sequence[Step]) -> None:
        """Keep the steps whose files no step before them touches, and which hold no secret."""
        self._by_finding: dict[tuple[str, str], Step] = {}
        touched: set[str] = set()
        for step in steps:
            paths = {change.path for change in step.files}
            if step.files and not paths & touched and all(map(_tellable, step.files)):
                for item in step.closes:
                    self._by_finding.setdefault((item.check, item.component), step)
            touched |= paths

    def of(self, check: str, component: str, locate: Callable[[str], Mapping[str, object]]) -> list[dict[str, object]]:
        """The fixes of one finding; ``locate`` makes an artifactLocation of a path."""
        step = self._by_finding.get((check, component))
        if step is None:
            return []
        changes = [
            {"artifactLocation": locate(change.path), "replacements": list(_replacements(change))}
            for change in step.files
        ]
        return [{"description": {"text": redact(step.summary)}, "artifactChanges": changes}]


def _tellable(change: FileChange) -> bool:
    """Whether the change can be written as replacements: not for a file that goes, nor for a secret."""
    return change.after is not None and redact(change.after) == change.after and "\r" not in (change.before or "")


def _replacements(change: FileChange) -> Iterator[dict[str, object]]:
    """Whole lines in place of whole lines (SARIF 2.1.0, 3.57); a region that ends where it begins is an insertion."""
    before, after = (change.before or "").splitlines(keepends=True), (change.after or "").splitlines(keepends=True)
    for tag, start, end, first, last in SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        region = {"startLine": start + 1, "startColumn": 1, "endLine": end + 1, "endColumn": 1}
        if end == len(before) and before and not before[-1].endswith("\n"):
            region |= {"endLine": end, "endColumn": len(before[-1]) + 1}
            if start == end:
                region |= {"startLine": end, "startColumn": len(before[-1]) + 1}
        yield {"deletedRegion": region, "insertedContent": {"text": "".join(after[first:last])}}
