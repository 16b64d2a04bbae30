"""The gaps that were there before, as a file that reads well in a diff: one gap a line, in the order of their names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.errors import BaselineError
from sentry_audit.fingerprints import fingerprint
from sentry_audit.model import Evidence, Status, Waiver
from sentry_audit.waivers.written import BASELINE, PERMANENT, Written

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sentry_audit.model import Finding

SCHEMA_VERSION = 1
FILE = "sentry-audit-baseline.json"
_HINT = "give a file that sentry-audit baseline create wrote, or make it anew"
_Key = tuple[str, str, str]


class Known(Struct, frozen=True, order=True):
    """A gap that was there on the day ``since``; ``place`` is for people, ``fingerprint`` is what it is known by."""

    check: str
    component: str
    environment: str
    place: str
    fingerprint: str
    since: str

    @property
    def subject(self) -> _Key:
        """What was judged."""
        return self.check, self.component, self.environment


class Compared(Struct, frozen=True):
    """A baseline beside an audit: what stays, what is gone, and the gaps that are not in it."""

    kept: tuple[Known, ...]
    gone: tuple[Known, ...]
    new: tuple[Known, ...]


def gaps(findings: Iterable[Finding], today: str) -> tuple[Known, ...]:
    """The open gaps among ``findings``; those that a waiver accepts need no baseline."""
    return tuple(sorted(_known(item, today) for item in findings if item.status is Status.GAP))


def _known(finding: Finding, today: str) -> Known:
    first = finding.evidence[0] if finding.evidence else Evidence()
    place = " ".join((first.path or first.resource or "").split())
    return Known(finding.check, finding.component, finding.environment, place, fingerprint(finding), today)


def compared(
    before: Sequence[Known], findings: Sequence[Finding], environments: Collection[str], today: str
) -> Compared:
    """``before`` beside ``findings`` of ``environments``.

    What these do not decide stays: another environment, a check that is unknown now.
    """
    now = list(gaps(findings, today))
    open_ = {
        (item.check, item.component, item.environment)
        for item in findings
        if item.unlooked or item.status in {Status.UNKNOWN, Status.ERROR, Status.WAIVED}
    }
    left = [item.fingerprint for item in now]
    kept: list[Known] = []
    gone: list[Known] = []
    for item in sorted(before):
        if item.fingerprint in left:
            left.remove(item.fingerprint)
            kept.append(item)
        elif item.environment not in environments or item.subject in open_:
            kept.append(item)
        else:
            gone.append(item)
    new: list[Known] = []
    for item in now:
        if item.fingerprint in left:
            left.remove(item.fingerprint)
            new.append(item)
    return Compared(tuple(kept), tuple(gone), tuple(new))


def dumps(known: Iterable[Known]) -> str:
    """The file: the same gaps give the same bytes."""
    from sentry_audit.dsn import redact

    rows = [
        json.dumps({name: redact(str(getattr(item, name))) for name in Known.__struct_fields__}, ensure_ascii=False)
        for item in sorted(known)
    ]
    body = ",\n".join(f"    {row}" for row in rows)
    inner = f"[\n{body}\n  ]" if rows else "[]"
    return f'{{\n  "schema_version": {SCHEMA_VERSION},\n  "tool": "sentry-audit",\n  "gaps": {inner}\n}}\n'


def loads(text: str, name: str) -> tuple[Known, ...]:
    """The gaps of a baseline; ``name`` is the file's, for messages. Raises BaselineError."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f"{name}:{error.lineno}" if isinstance(error, json.JSONDecodeError) else name
        raise BaselineError(f"{place}: not JSON", _HINT) from error
    if not isinstance(data, dict) or data.get("tool") != "sentry-audit" or not isinstance(data.get("gaps"), list):
        raise BaselineError(f"{name} is no baseline of sentry-audit", _HINT)
    if data.get("schema_version") != SCHEMA_VERSION:
        version = data.get("schema_version")
        raise BaselineError(f"{name} has schema version {version!r}, not {SCHEMA_VERSION}", _HINT)
    return tuple(sorted(_entry(item, f"{name}: gaps[{index}]") for index, item in enumerate(data["gaps"])))


def _entry(data: Any, name: str) -> Known:
    fields = Known.__struct_fields__
    if not isinstance(data, dict) or set(data) != set(fields) or not all(isinstance(data[key], str) for key in fields):
        raise BaselineError(f"{name} does not have just the texts {', '.join(fields)}", _HINT)
    return Known(**data)


def waivers(known: Iterable[Known], name: str) -> list[Written]:
    """``known`` as waivers: one for each subject and day, bound to what was seen."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for item in known:
        groups.setdefault((*item.subject, item.since), []).append(item.fingerprint)
    return [
        Written(
            waiver=Waiver(reason=f"in the baseline since {since} ({name})", until=PERMANENT, place=Evidence(name)),
            checks=(check,),
            fingerprints=tuple(prints),
            source=BASELINE,
            subject=(check, component, environment),
        )
        for (check, component, environment, since), prints in groups.items()
    ]
