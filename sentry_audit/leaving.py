"""Why a gap stays: what a plan leaves to people, and what they can paste. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from sentry_audit.comparing import key_of
from sentry_audit.fixing import Closed, Left

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sentry_audit.comparing import Key
    from sentry_audit.fixing import Case, Change, Refusal
    from sentry_audit.planning import Scope


#: How a change that no audit could prove is asked for: the reason why one was dropped names it.
_UNPROVEN = "--unsafe"


class Noted(Struct):
    """What planning came upon: why a gap's change was ``dropped``, what its fixer ``answers`` instead of one.

    ``halves`` are gaps whose files are edited as far as they go: what is left of them is the cloud's. ``before`` are the
    gaps that there were at first.
    """

    before: Collection[Key]
    dropped: dict[Key, str] = field(default_factory=dict)
    answers: dict[Key, Refusal] = field(default_factory=dict)
    halves: dict[Key, Change] = field(default_factory=dict)


def left(
    cases: Iterable[Case], noted: Noted, scope: Scope, known: Collection[str], clashes: Mapping[Key, str]
) -> tuple[Left, ...]:
    """Every gap of ``cases`` that stays, with why, and what can be pasted.

    ``known`` are the checks that have a fixer, ``clashes`` why an operation of the cloud was left out.
    """
    found: list[Left] = []
    for case in cases:
        if not scope.wants(case.finding) or scope.deploys_later(case.finding, noted.before):
            continue
        reason, commands = _why(case, noted, scope, known, clashes)
        found.append(Left(finding=Closed(case.finding.check, case.finding.component), reason=reason, commands=commands))
    return tuple(dict.fromkeys(found))


def _why(
    case: Case, noted: Noted, scope: Scope, known: Collection[str], clashes: Mapping[Key, str]
) -> tuple[str, tuple[str, ...]]:
    key, remedy = key_of(case.finding), case.finding.remedy
    said = tuple(dict.fromkeys(str(command) for fact in case.bad if (command := getattr(fact, "command", ""))))
    commands = said if case.finding.check in scope.cloud_checks else ()
    commands = commands or ((command,) if (command := _next(case, noted)) else ())
    if key in clashes:
        return clashes[key], commands
    if key in noted.dropped:
        return noted.dropped[key], commands
    if key in noted.halves:
        return "its files are edited; Google Cloud is left as it is (--repo)", commands
    advice = remedy.summary if remedy is not None else case.finding.title
    if key in noted.answers:
        return noted.answers[key].reason or advice, noted.answers[key].commands or commands
    if case.finding.check in known and scope.repo and scope.cloud:
        return "there was too much to be planned at once: apply this, and plan again", commands
    if case.finding.check in known:
        where = "the repository (--cloud)" if not scope.repo else "Google Cloud (--repo)"
        return f"its fix changes {where}, which was left out", commands
    return advice, commands


def _next(case: Case, noted: Noted) -> str:
    """What to run for a gap that stays: not the fix again that has just been refused."""
    key, remedy = key_of(case.finding), case.finding.remedy
    command = remedy.command if remedy is not None else ""
    if not command.startswith("sentry-audit fix "):
        return command
    if _UNPROVEN in noted.dropped.get(key, ""):
        return f"{command} {_UNPROVEN}"
    refused = key in noted.dropped or key in noted.answers
    return f"sentry-audit explain {case.finding.check}" if refused else command
