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
    from collections.abc import Callable, Collection, Sequence

    from sentry_audit.fixing import Plan, Step

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
    """How a person is talked to: ``ask`` gives None where there is nobody, or at the end of the input."""

    ask: Callable[[str], str | None]
    say: Callable[[str], None]


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

    return Terminal(ask, say)


def consent(
    plan: Plan, groups: Sequence[Group], *, agreed: Collection[str], confirmed: Collection[str], person: Terminal
) -> Plan:
    """The plan with only those steps that were agreed to; the others are left, with the reason.

    ``agreed`` are the classes that need no question (``--yes``, a saved plan); ``confirmed`` the projects that
    ``--confirm-project`` names. Raises UsageError where somebody has to be asked and nobody is there. Nothing has been
    written when it raises, KeyboardInterrupt included.
    """
    accepted = {group.safety for group in groups if _agrees(group, group.safety in agreed, person)}
    if "live" in accepted and canonical(plan.environment) == "production":
        for project in _projects(plan):
            if project not in confirmed and not _types(project, person):
                accepted.discard("live")
                break
    return _only(plan, accepted)


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


def _projects(plan: Plan) -> list[str]:
    """The Google Cloud projects that the plan changes."""
    named = (_PROJECT.match(step.operation.resource) for step in plan.steps if step.operation is not None)
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
