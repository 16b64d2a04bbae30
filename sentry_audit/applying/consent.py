"""Nothing is changed before somebody has said yes to it: group by group, and to production by its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.deployment.environments import canonical
from sentry_audit.errors import UsageError
from sentry_audit.fixing import Left

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sentry_audit.applying.journal import Run
    from sentry_audit.fixing import Operation, Plan, Step

_PROJECT = re.compile(r"projects/([^/]+)/")
_NOT_AGREED = "you did not agree to this change"
_BUILDS_ON = "it builds on a change that you did not agree to"


class Group(Struct, frozen=True, kw_only=True):
    """The steps of one class (safe, review, live) as they are shown: ``shown`` in short, ``diff`` in full."""

    safety: str
    count: int
    shown: str
    diff: str = ""


class Terminal(Struct, frozen=True):
    """How a person is talked to: ``ask`` gives None where there is nobody (not ``here``), or at the end of the input."""

    ask: Callable[[str], str | None]
    say: Callable[[str], None]
    here: bool = True


def terminal() -> Terminal:
    """Standard input and error, if both are a terminal; a Terminal without anybody else."""
    import sys

    here = sys.stdin.isatty() and sys.stderr.isatty()

    def say(text: str) -> None:
        sys.stderr.write(text if text.endswith("\n") else text + "\n")
        sys.stderr.flush()

    def ask(question: str) -> str | None:
        if not here:
            return None
        sys.stderr.write(question)
        sys.stderr.flush()
        line = sys.stdin.readline()
        return line.strip() if line else None

    return Terminal(ask, say, here)


def consent(
    plan: Plan, groups: Sequence[Group], *, agreed: Collection[str], confirmed: Collection[str], person: Terminal
) -> Plan:
    """The plan with only those steps that were agreed to; the others are left, with the reason.

    ``agreed`` are the classes that need no question (``--yes``, a saved plan); ``confirmed`` the projects that
    ``--confirm-project`` names. Raises UsageError where somebody has to be asked and nobody is there. Nothing has been
    written when it raises, KeyboardInterrupt included.
    """
    accepted = {group.safety for group in groups if _agrees(group, group.safety in agreed, person)}
    if "live" in accepted:
        operations = [step.operation for step in plan.steps if step.operation is not None]
        if not _production(plan.environment, operations, confirmed, person):
            accepted.discard("live")
    return _only(plan, accepted)


def consent_to_run(
    run: Run,
    operations: Sequence[Operation],
    question: str,
    *,
    agreed: bool,
    confirmed: Collection[str],
    person: Terminal,
) -> bool:
    """Whether a run may be taken back, or gone on with: the rules are those of ``consent``.

    ``operations`` are what is to be done, or undone, in Google Cloud; ``agreed``: no question is needed (``--yes``).
    Raises UsageError where somebody has to be asked and nobody is there.
    """
    if not agreed:
        answer = person.ask(question)
        if answer is None:
            raise UsageError(
                "there is nobody to ask whether that is to be done", "pass --yes to do it without a question"
            )
        if answer.lower() not in {"y", "yes"}:
            return False
    environment = run.header.environment if run.header is not None else ""
    return _production(environment, operations, confirmed, person)


def _production(
    environment: str, operations: Sequence[Operation], confirmed: Collection[str], person: Terminal
) -> bool:
    """Whether what is live may be changed: anywhere but in production, and there if the project is named."""
    if canonical(environment) != "production":
        return True
    return all(project in confirmed or _types(project, person) for project in _projects(operations))


def _agrees(group: Group, agreed: bool, person: Terminal) -> bool:
    person.say(group.shown)
    if agreed:
        return True
    changes = "this change" if group.count == 1 else f"these {group.count} changes"
    while True:
        answer = person.ask(f"Apply {changes}? [y/N/d(iff)] ")
        if answer is None:
            raise UsageError(
                "there is nobody to ask whether the changes are to be made",
                "look at them with --dry-run, then pass --yes or --plan FILE",
            )
        if answer.lower() not in {"d", "diff"}:
            return answer.lower() in {"y", "yes"}
        person.say(group.diff or group.shown)


def _projects(operations: Iterable[Operation]) -> list[str]:
    """The Google Cloud projects that are changed."""
    named = (_PROJECT.match(operation.resource) for operation in operations)
    return list(dict.fromkeys(match[1] for match in named if match))


def _types(project: str, person: Terminal) -> bool:
    """Whether a person types the id of a production project: a yes given out of habit changes nothing there."""
    answer = person.ask(f"This changes production. Type the project id ({project}) to go on: ")
    if answer is None:
        raise UsageError(
            f"production in the project {project} is changed only if its id is given", f"--confirm-project {project}"
        )
    return answer == project


def _only(plan: Plan, accepted: Collection[str]) -> Plan:
    """Leave out what was not agreed to, and what was planned on top of that: its files would not be as expected."""
    steps: list[Step] = []
    left = list(plan.left)
    touched: set[str] = set()
    for step in plan.steps:
        paths = {change.path for change in step.files}
        reason = _NOT_AGREED if step.safety not in accepted else _BUILDS_ON if paths & touched else ""
        if not reason:
            steps.append(step)
            continue
        touched |= paths
        left.extend(Left(finding=finding, reason=reason) for finding in step.closes)
    return replace(plan, steps=tuple(steps), left=tuple(left))
