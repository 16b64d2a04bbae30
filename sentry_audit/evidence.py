"""What was seen of Google Cloud and Sentry, kept as a file: taken where there are credentials, judged where there are none.

The file is a ``cloud.Snapshot`` as JSON. It holds no secret, says when it was taken and as whom, and is refused when it is too old.
"""

from __future__ import annotations

import datetime  # noqa: TC003 - msgspec evaluates it
import re
from typing import TYPE_CHECKING, Annotated

import msgspec

from sentry_audit.cloud import Snapshot
from sentry_audit.errors import EvidenceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.cloud import Failure, Project, Target
    from sentry_audit.sentry_project import Sentry, Unread

_AGE = re.compile(r"(\d+)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_UNITS = (("w", "week"), ("d", "day"), ("h", "hour"), ("m", "minute"), ("s", "second"))
#: Clocks of two machines differ; a file from further ahead than this many seconds is no evidence.
_AHEAD = 300


def dumps(snapshot: Snapshot) -> bytes:
    """``snapshot`` as JSON, in a stable order and readable in a diff."""
    return msgspec.json.format(msgspec.json.encode(snapshot, order="deterministic"), indent=2) + b"\n"


def loads(data: bytes, name: str, now: float, max_age: float) -> Snapshot:
    """The snapshot in the file ``name``; ``now`` and ``max_age`` in seconds (``now`` since 1970).

    Raises EvidenceError if it is no evidence, of another version, or too old.
    """
    again = "collect it again: sentry-audit collect -o " + name
    try:
        version = msgspec.json.decode(data, type=_Version).schema_version
        snapshot = msgspec.json.decode(data, type=Snapshot) if version == 1 else None
        taken = msgspec.json.decode(data, type=_Taken).taken_at.timestamp()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EvidenceError(f"{name} is no evidence that sentry-audit collected: {error}", again) from error
    if snapshot is None:
        raise EvidenceError(f"{name} has schema_version {version}; this sentry-audit reads version 1", again)
    age = now - taken
    if age < -_AHEAD:
        raise EvidenceError(f"{name} says that it was taken in the future, at {snapshot.taken_at}", "check the clocks")
    if age > max_age:
        hint = f"{again}, or let older evidence count: --max-age {_flag(age)}"
        raise EvidenceError(f"{name} was taken {words(age)} ago; --max-age allows {words(max_age)}", hint)
    return snapshot


def for_targets(snapshot: Snapshot, targets: Sequence[Target]) -> Snapshot:
    """``snapshot`` asked for ``targets``, those of the tree that is audited now.

    What it never asked for stays unknown: a service or a secret that the repository has named since.
    """
    return msgspec.structs.replace(snapshot, targets=tuple(targets))


def summary(snapshot: Snapshot, name: str) -> str:
    """What ``collect`` says of the file that it wrote."""
    who = f" as {snapshot.identity}" if snapshot.identity else ""
    lines = [f"{name}: Google Cloud at {snapshot.taken_at}{who}"] if snapshot.asked_google else []
    if snapshot.failure is not None:
        lines += _told(snapshot.failure)
    for project in snapshot.projects:
        asked = [item for item in project.services if item.serving is not None]
        known = f"{_count(len(project.services), 'service')} in {', '.join(project.regions) or 'no region'}"
        lines.append(
            f"  {project.id}: {known}, {len(asked)} of this repository; {_count(len(project.secrets), 'secret')} read"
        )
        for failure in project_failures(project):
            lines += _told(failure)
    if snapshot.sentry is not None:
        lines += _sentry(snapshot.sentry, "" if lines else f"{name}: ", snapshot.taken_at)
    return "\n".join(lines) + "\n"


def _sentry(sentry: Sentry, lead: str, taken_at: str) -> list[str]:
    """What is said of Sentry: the projects, and once what was not answered."""
    source = f" with the token of {sentry.token_source}" if sentry.token_source else ""
    lines = [f"{lead}Sentry at {taken_at}, {sentry.url}{source}"]
    lines += [] if sentry.projects or sentry.unread else ["  no DSN is known to ask about"]
    unread: list[Unread | None] = [sentry.unread]
    for project in sentry.projects:
        words = [_count(len(project.keys), "key")] if project.keys is not None else []
        words += [_count(len(project.alerts), "alert")] if project.alerts is not None else []
        words += [f"last {item.what} of {item.environment} {item.last}" for item in project.activity if item.last]
        lines.append(f"  {project.shown} at {project.host}: {', '.join(words) or 'nothing was read'}")
        unread += [project.unread, project.keys_unread, project.environments_unread, project.alerts_unread]
        unread += [item.unread for item in project.activity]
    for item in dict.fromkeys(filter(None, unread)):
        lines += [f"  ! {item.reason}", *(f"    {line}" for line in item.hint.splitlines())]
    return lines


def project_failures(project: Project) -> list[Failure]:
    """Every question about a project that was not answered, once."""
    found = [*project.unlisted, project.unnamed, project.policy_failure]
    for service in project.services:
        found += [item.failure for item in service.serving or ()]
    for secret in project.secrets:
        found += [secret.failure, secret.policy_failure]
        found += [failure for item in secret.versions for failure in (item.failure, item.unread)]
    return list(dict.fromkeys(item for item in found if item is not None))


def _told(failure: Failure) -> list[str]:
    return [f"  ! {failure.reason}", *(f"    {line}" for line in failure.command.splitlines())]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def seconds(text: str) -> float:
    """``90m``, ``24h``, ``7d`` in seconds; raises UsageError."""
    match = _AGE.fullmatch(text.strip().lower())
    if match is None:
        raise UsageError(f"--max-age {text}: not an age", "write a number and a unit: 90m, 24h, 7d")
    return int(match[1]) * _SECONDS[match[2]]


def words(age: float) -> str:
    """An age for people: ``3 days``, ``90 minutes``."""
    for unit, word in _UNITS:
        amount = int(age // _SECONDS[unit])
        if amount >= 2 or (amount == 1 and age % _SECONDS[unit] == 0) or unit == "s":
            return f"{amount} {word}{'' if amount == 1 else 's'}"
    raise AssertionError(age)  # pragma: no cover - seconds always fit


def _flag(age: float) -> str:
    """The smallest round age that lets ``age`` pass."""
    unit = "d" if age > 2 * 86_400 else "h" if age > 7200 else "m"
    return f"{int(age // _SECONDS[unit]) + 1}{unit}"


class _Version(msgspec.Struct):
    schema_version: int


class _Taken(msgspec.Struct):
    taken_at: Annotated[datetime.datetime, msgspec.Meta(tz=True)]
