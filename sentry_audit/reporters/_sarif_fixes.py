"""Planned changes of files as SARIF's fixes: exact replacements in the text as it is."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from sentry_audit.dsn import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sentry_audit.fixing import FileChange, Step

#: What SARIF takes for lines unless a run says otherwise (2.1.0, 3.14.25); splitlines knows more ends.
_LINES = re.compile(r"[^\n]*\n|[^\n]+")


class Fixes:
    """The steps of a plan that can be offered each for itself, by the finding that they close."""

    def __init__(self, steps: Sequence[Step]) -> None:
        """Keep the steps whose files no step before them touches, which remove no file, and which tell no secret."""
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
            {"artifactLocation": locate(change.path), "replacements": list(replacements(change))}
            for change in step.files
        ]
        return [{"description": {"text": redact(f"{step.summary} ({step.safety})")}, "artifactChanges": changes}]


def _tellable(change: FileChange) -> bool:
    if change.after is None:
        return False
    given = [last for _, last in _differences(change)]
    return all(redact(text) == text for text in given)


def replacements(change: FileChange) -> Iterator[dict[str, object]]:
    """Whole lines in place of whole lines (SARIF 2.1.0, 3.57); where a region ends at its start, it is an insertion."""
    for region, text in _differences(change):
        yield {"deletedRegion": region, "insertedContent": {"text": text}}


def _differences(change: FileChange) -> Iterator[tuple[dict[str, int], str]]:
    before, after = _LINES.findall(change.before or ""), _LINES.findall(change.after or "")
    open_end = bool(before) and not before[-1].endswith("\n")
    for tag, start, end, first, last in SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        region = {"startLine": start + 1, "startColumn": 1, "endLine": end + 1, "endColumn": 1}
        if open_end and end == len(before):
            edge = len(before[-1]) + 1
            region |= {"endLine": end, "endColumn": edge}
            if start == end:
                region |= {"startLine": end, "startColumn": edge}
        yield region, "".join(after[first:last])
