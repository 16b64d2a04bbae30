"""Between the text of a file and its bytes: what was read in one encoding is written in the same."""

from __future__ import annotations

import codecs
import io
import tokenize
from difflib import unified_diff

from sentry_audit.dsn import redact
from sentry_audit.errors import FixFailed
from sentry_audit.sources.tree import decode

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SHOWN = 24


def text(path: str, data: bytes | None) -> str | None:
    """The text of a file as fixers were given it, without a byte order mark; None if there is no file."""
    return None if data is None else decode(path, data)[0]


def encoded(path: str, like: bytes | None, after: str) -> bytes:
    """``after`` in the encoding of ``like``, with its byte order mark if it has one; a new file is UTF-8.

    Raises FixFailed where that encoding lacks a character, or where ``like`` could not be written back as it was.
    """
    mark, codec = _codec(path, like) if like is not None else (b"", "utf-8")
    try:
        return mark + after.encode(codec)
    except UnicodeEncodeError as error:
        wrong = error.object[error.start]
        raise FixFailed(f"{path} is written in {codec}, which has no {wrong!r}", "save it as UTF-8 first") from error


def _codec(path: str, data: bytes) -> tuple[bytes, str]:
    """The mark and the encoding with which the text that was read gives the same bytes again."""
    content = decode(path, data)[0]
    mark, named = next(((mark, codec) for mark, codec in _MARKS if data.startswith(mark)), (b"", ""))
    for start, codec in ((mark, named), (b"", _cookie(data)), (b"", "utf-8"), (b"", "latin-1")):
        try:
            if codec and start + content.encode(codec) == data:
                return start, codec
        except (UnicodeEncodeError, LookupError):
            continue
    raise FixFailed(f"{path} cannot be written back as it is: its encoding is damaged", "save it as UTF-8 first")


def _cookie(data: bytes) -> str:
    try:
        return tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except (SyntaxError, UnicodeDecodeError):
        return ""


def difference(path: str, expected: str | None, actual: str | None, names: tuple[str, str]) -> str:
    """A small diff from what was expected to what is there; the keys of DSNs are taken out."""
    if expected is None or actual is None:
        return f"  {path} {'is not there any more' if actual is None else 'is there already'}"
    old, new = (redact(content).splitlines() for content in (expected, actual))
    lines = list(unified_diff(old, new, f"{path} ({names[0]})", f"{path} ({names[1]})", lineterm="", n=1))
    if not lines:
        return f"  {path}: only bytes that do not show differ (line ends, a byte order mark, a key)"
    more = [f"… and {len(lines) - _SHOWN} lines more"] if len(lines) > _SHOWN else []
    return "\n".join(f"  {line}" for line in [*lines[:_SHOWN], *more])
