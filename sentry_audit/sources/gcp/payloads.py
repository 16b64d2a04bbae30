"""What a secret's payload is as a DSN. The payload itself goes no further than this module."""

from __future__ import annotations

from functools import cache

from sentry_audit import dsn
from sentry_audit.cloud import DsnSeen

_POLYNOMIAL = 0x82F63B78  # Castagnoli, reflected: RFC 3720, appendix B.4


#: Problems of what otherwise is a DSN: its host and its project may be shown.
_HARMLESS = ("it is a placeholder", "it uses http")


@cache
def _table() -> tuple[int, ...]:
    rows = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        rows.append(value)
    return tuple(rows)


def crc32c(data: bytes) -> int:
    """The CRC32C of ``data``, as Secret Manager sends it along."""
    table = _table()
    value = 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ table[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def judge(data: bytes) -> DsnSeen:
    """What the bytes of a payload are as a DSN, exactly as an application would get them."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return DsnSeen(shown="", valid=False, problem="it is not text in UTF-8")
    if text.startswith("\ufeff"):
        return DsnSeen(shown="", valid=False, problem="it begins with a byte order mark, which is part of the value")
    return seen(text)


def seen(text: str) -> DsnSeen:
    """What ``text`` is as a DSN. Of text that is none, nothing is shown: it may be any other secret."""
    parsed = dsn.parse(text)
    clean = dsn.parse(text.strip().strip("\"'"))
    if not parsed.fingerprint or (clean.problem and not clean.problem.startswith(_HARMLESS)):
        # The only problem that repeats a part of the text.
        problem = "its port is not a number" if parsed.problem.endswith("is not a port") else parsed.problem
        return DsnSeen(shown="", valid=False, problem=problem)
    return DsnSeen(
        shown=clean.shown, valid=parsed.valid, problem=parsed.problem, fingerprint=parsed.fingerprint, host=parsed.host,
        project=parsed.project,
    )  # fmt: skip
