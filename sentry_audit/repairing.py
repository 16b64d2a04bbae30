"""The command ``fix``: plan or load a plan, show it, hand over what is agreed to, and say what came of it."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - msgspec reads the types
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit import __version__
from sentry_audit.errors import FixFailed, UsageError
from sentry_audit.fixing import Closed, Plan
from sentry_audit.model import Status
from sentry_audit.reporters.plan import CLASSES, groups, render_plan, render_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from sentry_audit.app import Request
    from sentry_audit.applying import Changer
    from sentry_audit.cloud import CloudOptions
    from sentry_audit.model import Report
    from sentry_audit.rehearsing import Planned
    from sentry_audit.reporters.base import RenderOptions
    from sentry_audit.sentry_project import SentryOptions

PENDING = 10


class Wishes(Struct, frozen=True, kw_only=True):
    """What ``fix`` is asked for: the flags of the command line, as they are."""

    only: tuple[str, ...] = ()
    repo: bool = False
    cloud: bool = False
    dry_run: bool = False
    file: Path | None = None
    yes: bool = False
    unsafe: bool = False
    formatted: bool = True
    allow_dirty: bool = False
    resume: bool = False
    dsn_from: str = ""
    sentry: SentryOptions | None = None
    confirmed: tuple[str, ...] = ()


def fix(
    request: Request, wishes: Wishes, options: RenderOptions, progress: Callable[[int, int, str], None] | None = None
) -> int:
    """Do what ``sentry-audit fix`` does, and give its exit code.

    Raises UsageError for wishes that exclude each other, Stale for a saved plan that does not fit any more, FixFailed
    where a change failed, and what an audit raises.
    """
    _refuse(request, wishes)
    if wishes.resume or _goes_on(request, wishes):
        return _resume(request, wishes, options, progress)
    if wishes.file is not None and wishes.file.exists():
        plan = _load(request, wishes.file)
        request = replace(request, environments=(plan.environment,), all_environments=False)
        if wishes.dry_run:
            sys.stdout.write(render_plan(plan, options))
            return PENDING if plan.steps else 0
        return _carry_out(request, wishes, plan, options, progress, agreed=CLASSES)
    planned = _plan(request, wishes, progress)
    if wishes.file is not None and not wishes.dry_run:
        return _keep(planned, wishes.file, options)
    if wishes.dry_run or not planned.plan.steps:
        sys.stdout.write(render_plan(planned.plan, options, planned.after, planned.wanted))
        return PENDING if planned.plan.steps else _code(request, planned.after, planned.wanted)
    agreed = CLASSES if wishes.yes else ()
    return _carry_out(request, wishes, planned.plan, options, progress, agreed=agreed, wanted=planned.wanted)


def fix_selected(
    request: Request, wishes: Wishes, options: RenderOptions, progress: Callable[[int, int, str], None] | None = None
) -> int:
    """``fix`` for what ``check`` found with the same flags: all checks are audited, and those it selects are fixed."""
    from sentry_audit.app import selected
    from sentry_audit.auditing import open_tree

    wanted = tuple(item.id for item in selected(request, open_tree(request)[1]))
    return fix(replace(request, select=(), ignore=()), replace(wishes, only=wanted), options, progress)


def _refuse(request: Request, wishes: Wishes) -> None:
    if wishes.resume and (wishes.dry_run or wishes.file is not None or wishes.only or wishes.repo or wishes.cloud):
        raise UsageError("--resume goes on with the run that there is, as it was planned", "leave the other flags out")
    if wishes.repo and wishes.cloud:
        raise UsageError("--repo and --cloud exclude each other", "leave both out to fix both")
    if wishes.cloud and request.cloud is None:
        raise UsageError(
            "--cloud changes Google Cloud, which --offline and --evidence do not ask", "leave --cloud or those out"
        )


def _goes_on(request: Request, wishes: Wishes) -> bool:
    """Whether a run that was ended in the middle is to be gone on with, before anything else is planned.

    What only looks is told of it. Raises UsageError if it is not to be: nothing is changed on top of half a run.
    """
    from sentry_audit.applying import unfinished
    from sentry_audit.applying.consent import consent_to_run, terminal
    from sentry_audit.applying.telling import interrupted, ways_on

    run = unfinished(request.root)
    if run is None or run.header is None:
        return False
    person = terminal()
    if wishes.dry_run or (wishes.file is not None and not wishes.file.exists()):
        person.say(f"note: {interrupted(run)}\n  {ways_on(request.root)}")
        return False
    refusal = UsageError(interrupted(run), ways_on(request.root))
    if wishes.cloud or wishes.repo or not (wishes.yes or person.here):
        raise refusal
    person.say(interrupted(run))
    back = run.state == "undoing"
    live = run.live if back else [item.operation for item in run.header.actions if item.operation is not None]
    question = "Take the rest of it back now? [y/N] " if back else "Go on with it now? [y/N] "
    if not consent_to_run(run, live, question, agreed=wishes.yes, confirmed=wishes.confirmed, person=person):
        raise refusal
    return True


def _plan(request: Request, wishes: Wishes, progress: Callable[[int, int, str], None] | None) -> Planned:
    from sentry_audit.rehearsing import plan

    return plan(
        request,
        wishes.only,
        repo=not wishes.cloud,
        cloud=not wishes.repo,
        unproven=wishes.unsafe,
        formatted=wishes.formatted,
        progress=progress,
    )


def _keep(planned: Planned, file: Path, options: RenderOptions) -> int:
    from sentry_audit.saving import dumps

    sys.stdout.write(render_plan(planned.plan, options, planned.after, planned.wanted))
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(dumps(planned.plan))
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror}", "give a new file in a folder that exists"
        ) from error
    sys.stdout.write(f"saved as {file}; apply just this with: sentry-audit fix --plan {file}\n")
    return 0


def _load(request: Request, file: Path) -> Plan:
    """The saved plan, if every file is still what it was made for."""
    from sentry_audit.saving import loads, refuse_stale
    from sentry_audit.sources.tree import Tree

    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}", "give the path of a plan, or of a new file"
        ) from error
    plan = loads(data, str(file), __version__)
    if request.environments and request.environments != (plan.environment,):
        raise UsageError(
            f"{file} is a plan for {plan.environment}", f"leave --env out, or give --env {plan.environment}"
        )
    refuse_stale(plan, Tree.open(request.root).text, str(file))
    return plan


def _carry_out(
    request: Request,
    wishes: Wishes,
    plan: Plan,
    options: RenderOptions,
    progress: Callable[[int, int, str], None] | None,
    *,
    agreed: Collection[str],
    wanted: Collection[str] = (),
) -> int:
    """Ask, apply, audit again, and say what is still open."""
    from sentry_audit.app import check
    from sentry_audit.applying.telling import undo_command

    done, run = apply_agreed(request, wishes, plan, options, agreed)
    if not run:
        sys.stdout.write(render_rest(done, options) + "nothing was changed\n")
        return 1
    [after] = check(request, progress=progress)
    back = undo_command(run, request.root)
    sys.stdout.write(render_rest(done, options, after, wanted) + f"made in run {run}; take it back with: {back}\n")
    gaps = {Closed(item.check, item.component) for item in after.findings if item.status is Status.GAP}
    told = {item.finding for item in done.left}
    promised = {item for step in done.steps if step.safety != "unproven" for item in step.closes}
    if failed := sorted(f"{item.check} ({item.component})" for item in promised & gaps - told):
        raise FixFailed(f"the changes are made, but do not close {', '.join(failed)}", f"take them back with: {back}")
    return _code(request, after, wanted)


def apply_agreed(
    request: Request, wishes: Wishes, plan: Plan, options: RenderOptions, agreed: Collection[str]
) -> tuple[Plan, str]:
    """Ask for the classes that are not ``agreed``, and make the changes; gives the plan as agreed to, and the run's name.

    The name is empty where nothing was agreed to. Raises what ``applying.apply`` raises.
    """
    from sentry_audit.applying import apply
    from sentry_audit.applying.consent import Group, consent, terminal
    from sentry_audit.applying.telling import folded

    person = terminal()

    def say(line: str) -> None:
        person.say(folded(line, options.width))

    shown = [Group(safety=item.safety, count=item.count, shown=f"{item.text}\n") for item in groups(plan, options)]
    plan = consent(plan, shown, agreed=agreed, confirmed=wishes.confirmed, person=person)
    live = any(step.operation is not None for step in plan.steps)
    with _changer(request.cloud if live else None) as cloud:
        source = _dsn(wishes, person.say, request.root)
        outcome = apply(request.root, plan, cloud=cloud, dsn=source, allow_dirty=wishes.allow_dirty, reporter=say)
    for note in outcome.notes:
        say(f"note: {note}")
    return plan, outcome.run


def _resume(
    request: Request, wishes: Wishes, options: RenderOptions, progress: Callable[[int, int, str], None] | None
) -> int:
    """Bring a run that was ended in the middle to its end, forward or back, and audit."""
    from sentry_audit.app import check
    from sentry_audit.applying import resume, unfinished
    from sentry_audit.applying.consent import terminal
    from sentry_audit.applying.telling import folded, undo_command, undone

    person = terminal()

    def say(line: str) -> None:
        person.say(folded(line, options.width))

    run = unfinished(request.root)
    with _changer(request.cloud) as cloud:
        outcome = resume(request.root, cloud=cloud, dsn=_dsn(wishes, person.say, request.root), reporter=say)
    if outcome.taken is not None:
        sys.stdout.write(undone(outcome.run, outcome.taken, options.width))
    if run is not None and run.header is not None:
        request = replace(request, environments=(run.header.environment,), all_environments=False)
    [after] = check(request, progress=progress)
    sys.stdout.write(render_rest(Plan(tool_version=__version__, environment=after.environment), options, after))
    if outcome.taken is None:
        back = undo_command(outcome.run, request.root)
        sys.stdout.write(f"run {outcome.run} is applied; take it back with:\n  {back}\n")
    if outcome.taken is not None and outcome.taken.left:
        raise FixFailed(
            f"run {outcome.run} is only partly taken back",
            f"look at what is left, then: {undo_command(outcome.run, request.root)}",
        )
    return _code(request, after, ())


def _dsn(wishes: Wishes, say: Callable[[str], None], root: Path) -> Callable[[], str] | None:
    from sentry_audit.applying.dsn_source import dsn_source

    return dsn_source(wishes.dsn_from, say, wishes.sentry, root) if wishes.dsn_from else None


@contextmanager
def _changer(options: CloudOptions | None) -> Iterator[Changer | None]:
    """What changes Google Cloud; None, and nothing is loaded for it, without ``options``."""
    if options is None:
        yield None
        return
    from sentry_audit.sources.gcp.changing import Changer as Changing

    with Changing(options) as changing:
        yield changing


def _code(request: Request, report: Report, wanted: Collection[str]) -> int:
    """The exit code of what is open of the ``wanted`` checks."""
    from sentry_audit.engine import exit_code

    findings = [item for item in report.findings if not wanted or item.check in wanted]
    return exit_code(findings, request.fail_on, request.allow_unknown)
