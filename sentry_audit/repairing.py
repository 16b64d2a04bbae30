"""The command ``fix``: plan or load a plan, show it, hand over what is agreed to, and say what came of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path  # noqa: TC003 - msgspec reads the types
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit import __version__
from sentry_audit.errors import FixFailed, UsageError
from sentry_audit.fixing import Closed
from sentry_audit.model import Status
from sentry_audit.reporters.plan import CLASSES, groups, render_plan, render_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sentry_audit.app import Request
    from sentry_audit.fixing import Plan
    from sentry_audit.model import Report
    from sentry_audit.rehearsing import Planned
    from sentry_audit.reporters.base import RenderOptions

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
    allow_dirty: bool = False
    dsn_from: str = ""
    confirmed: tuple[str, ...] = ()


def fix(
    request: Request, wishes: Wishes, options: RenderOptions, progress: Callable[[int, int, str], None] | None = None
) -> int:
    """Do what ``sentry-audit fix`` does, and give its exit code.

    Raises UsageError for wishes that exclude each other, Stale for a saved plan that does not fit any more, FixFailed
    where a change failed, and what an audit raises.
    """
    _refuse(request, wishes)
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
    if wishes.repo and wishes.cloud:
        raise UsageError("--repo and --cloud exclude each other", "leave both out to fix both")
    if wishes.cloud and request.cloud is None:
        raise UsageError(
            "--cloud changes Google Cloud, which --offline and --evidence do not ask", "leave --cloud or those out"
        )


def _plan(request: Request, wishes: Wishes, progress: Callable[[int, int, str], None] | None) -> Planned:
    from sentry_audit.rehearsing import plan

    return plan(
        request,
        wishes.only,
        repo=not wishes.cloud,
        cloud=not wishes.repo,
        unproven=wishes.unsafe,
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

    done = apply_agreed(request, wishes, plan, options, agreed)
    [after] = check(request, progress=progress)
    sys.stdout.write(render_rest(done, options, after, wanted))
    gaps = {Closed(item.check, item.component) for item in after.findings if item.status is Status.GAP}
    told = {item.finding for item in done.left}
    promised = {item for step in done.steps if step.safety != "unproven" for item in step.closes}
    if failed := sorted(f"{item.check} ({item.component})" for item in promised & gaps - told):
        raise FixFailed(
            f"the changes are made, but do not close {', '.join(failed)}", "take them back with: sentry-audit undo"
        )
    return _code(request, after, wanted)


def apply_agreed(request: Request, wishes: Wishes, plan: Plan, options: RenderOptions, agreed: Collection[str]) -> Plan:
    """Ask for the classes that are not ``agreed``, and make the changes; gives the plan as far as it was made."""
    from contextlib import nullcontext

    from sentry_audit.applying import apply
    from sentry_audit.applying.consent import Group, consent, terminal
    from sentry_audit.applying.dsn_source import dsn_source
    from sentry_audit.sources.gcp.changing import Changer

    person = terminal()
    source = dsn_source(wishes.dsn_from, person.say) if wishes.dsn_from else None
    shown = [Group(safety=item.safety, count=item.count, shown=item.text) for item in groups(plan, options)]
    plan = consent(plan, shown, agreed=agreed, confirmed=wishes.confirmed, person=person)
    live = request.cloud if any(step.operation is not None for step in plan.steps) else None
    with Changer(live) if live is not None else nullcontext() as cloud:
        apply(request.root, plan, cloud=cloud, dsn=source, allow_dirty=wishes.allow_dirty, reporter=person.say)
    return plan


def _code(request: Request, report: Report, wanted: Collection[str]) -> int:
    """The exit code of what is open of the ``wanted`` checks."""
    from sentry_audit.engine import exit_code

    findings = [item for item in report.findings if not wanted or item.check in wanted]
    return exit_code(findings, request.fail_on, request.allow_unknown)
