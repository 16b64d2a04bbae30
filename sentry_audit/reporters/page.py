"""Lines of styled text of a fixed width, for terminals: redacted, and with nothing invisible in them."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from sentry_audit.model import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.text import Text

    from sentry_audit.model import Report
    from sentry_audit.reporters.base import RenderOptions

Span = tuple[str, str]
"""A piece of text and its style."""

GLYPHS = {
    Status.PASS: "✓",
    Status.GAP: "✗",
    Status.UNKNOWN: "?",
    Status.SKIPPED: "–",
    Status.WAIVED: "~",
    Status.ERROR: "!",
}
STYLES = {
    Status.PASS: "green",
    Status.GAP: "red",
    Status.UNKNOWN: "yellow",
    Status.SKIPPED: "dim",
    Status.WAIVED: "cyan",
    Status.ERROR: "magenta",
}
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_NARROWEST = 24
_LEAST_BODY = 20


class Page:
    """Lines of styled text of a fixed width; the only place where data becomes output."""

    def __init__(self, options: RenderOptions) -> None:
        from io import StringIO

        from rich.console import Console

        self.width = max(options.width, _NARROWEST)
        self._lines: list[Text] = []
        self._file = StringIO()
        self._console = Console(
            file=self._file,
            width=self.width,
            color_system="standard" if options.color else None,
            force_terminal=options.color,
            force_jupyter=False,
            legacy_windows=False,
            highlight=False,
            _environ={},
        )

    def blank(self) -> None:
        """End a paragraph."""
        self._lines.append(_join([]))

    def row(self, body: Iterable[Span], lead: Iterable[Span] = (), indent: int = 0, hang: int | None = None) -> None:
        """Add ``lead`` and ``body``, wrapped; further lines start at column ``hang`` (else under the body)."""
        first, rest = _join([(" " * indent, ""), *lead]), _join(body)
        column = first.cell_len if hang is None else hang
        if max(first.cell_len, column) > self.width - _LEAST_BODY:
            first.append_text(rest)
            first, rest, column = _join([]), first, 2
        lines = rest.wrap(self._console, self.width - max(first.cell_len, column), overflow="fold") or [rest]
        for number, line in enumerate(lines):
            whole = _join([(" " * column, "")]) if number else first.copy()
            whole.append_text(line)
            whole.rstrip()
            self._lines.append(whole)

    def verbatim(self, line: str, style: str = "") -> None:
        """Add one line as it is, however long: what is copied must not be broken."""
        self._lines.append(_join([(line, style)]))

    def paragraph(self, text: str, style: str = "", indent: int = 4) -> None:
        """Add text that may have line breaks of its own."""
        for line in text.strip().splitlines():
            self.row([(line.strip(), style)], indent=indent)

    def spread(self, left: Sequence[Span], right: str) -> None:
        """Add ``left``, and ``right`` at the right margin, or below where both do not fit."""
        text = _join(left)
        gap = self.width - text.cell_len - _join([(right, "")]).cell_len
        if gap >= 2:
            self.row([*left, (" " * gap, ""), (right, "dim")])
        else:
            self.row(left, hang=2)
            self.row([(right, "dim")])

    def text(self) -> str:
        """Everything added so far."""
        for line in self._lines:
            self._console.print(line, soft_wrap=True)
        return self._file.getvalue()


def diff_style(line: str) -> str:
    """The style of a line of a diff."""
    if line.startswith(("---", "+++", "@@", "\\ ")):
        return "dim"
    return {"+": "green", "-": "red"}.get(line[:1], "")


def verdict(report: Report) -> tuple[Status, str]:
    """What a report comes to, in a word."""
    if report.ready:
        return Status.PASS, "READY"
    links = {link.status for component in report.components for link in component.chain}
    if Status.GAP in links | {finding.status for finding in report.findings}:
        return Status.GAP, "NOT READY"
    return (Status.WAIVED, "WAIVED") if Status.WAIVED in links else (Status.UNKNOWN, "NOT PROVEN")


def _join(spans: Iterable[Span]) -> Text:
    """Spans as one styled text: redacted, then with every invisible character made visible."""
    from rich.text import Text

    from sentry_audit.dsn import redact

    text = Text()
    for plain, style in spans:
        text.append(visible(redact(plain)), style)
    return text


def visible(text: str) -> str:
    """``text`` on one line, without a character that could move the cursor or hide another."""
    text = re.sub(r"\r?\n|\r", " ", text).replace("\t", "    ")
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii") if unicodedata.category(char) in _UNSEEN else char
        for char in text
    )
