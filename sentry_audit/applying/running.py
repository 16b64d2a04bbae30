"""A plan is applied, or a killed run is gone on with: forward to its end, or, on any failure, all the way back."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from sentry_audit import __version__
from sentry_audit.applying.checkout import folders_of_runs, refuse_uncommitted
from sentry_audit.applying.contract import Outcome
from sentry_audit.applying.journal import Doing, Header, Journal, kept, locked, new_name, prune, runs
from sentry_audit.applying.places import read
from sentry_audit.applying.preparing import prepare, targets
from sentry_audit.applying.telling import interrupted, ways_on
from sentry_audit.applying.undoing import part_of, sweep, take_back, tell
from sentry_audit.applying.writing import digest, make_folders, put, remove
from sentry_audit.dsn import redact
from sentry_audit.errors import AuditError, FixFailed, Stale, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sentry_audit.applying.contract import Changer, Reporter, Taken
    from sentry_audit.applying.journal import Action, Run
    from sentry_audit.fixing import Operation, Plan

#: The one operation that is given the DSN.
ADDS = "add-version"


def unfinished(root: Path) -> Run | None:
    """The run on ``root`` that was ended in the middle, if there is one: it is resumed or undone before another begins."""
    real = os.path.realpath(root)
    return next((run for run in reversed(runs(folders_of_runs(real), real)) if run.open), None)


def apply(
    root: Path,
    plan: Plan,
    *,
    cloud: Changer | None,
    dsn: Callable[[], str] | None,
    allow_dirty: bool,
    reporter: Reporter,
) -> Outcome:
    """Make the changes of ``plan``, in its order; on any failure all of them are taken back.

    Raises, with nothing changed or all of it taken back: Stale where something is not what the plan was made for,
    FixFailed where a change failed (the message lists what was taken back, and what could not be), UsageError where
    files have uncommitted changes, a run is unfinished, or the cloud or the DSN is needed and not given.
    """
    real = os.path.realpath(root)
    if not plan.steps:
        return Outcome()
    operations = [step.operation for step in plan.steps if step.operation is not None]
    value = _needed(operations, cloud, dsn)
    folder = folders_of_runs(real)[0]
    _refuse_unfinished(root)
    notes = refuse_uncommitted(real, targets(real, plan), allow=allow_dirty)
    prepared = prepare(real, plan)  # before the lock, whose folder a refused plan does not leave behind
    header = Header(
        tool=__version__,
        run=new_name(),
        began=time.time_ns(),
        root=real,
        environment=plan.environment,
        steps=tuple(Doing(redact(step.summary), step.closes) for step in plan.steps),
        actions=prepared.actions,
    )
    with locked(folder):
        _refuse_unfinished(root)
        journal = Journal.create(folder, header, prepared.contents.values())
        try:
            _Run(journal, header, cloud, value, reporter).forward()
        finally:
            journal.close()
        prune(folder, real, time.time())
    return Outcome(run=header.run, done=_summaries(header), notes=tuple(notes))


def _refuse_unfinished(root: Path) -> None:
    if (run := unfinished(root)) is not None:
        raise UsageError(interrupted(run), ways_on(root))


def resume(
    root: Path, *, cloud: Changer | None, dsn: Callable[[], str] | None, reporter: Reporter, run: str = ""
) -> Outcome:
    """Bring the unfinished run to its end; one that was being taken back is taken back to the end. Raises as ``apply``."""
    real = os.path.realpath(root)
    folder = folders_of_runs(real)[0]
    with locked(folder):
        left = unfinished(root)
        if left is None or (run and left.name != run) or left.header is None:
            raise UsageError("no run was ended in the middle", "sentry-audit undo --list shows the runs")
        header = left.header
        ahead = {number: action for number, action in enumerate(header.actions) if number not in left.actions("done")}
        forward = left.state == "unfinished"
        operations = [action.operation for action in ahead.values() if action.operation is not None]
        value = _needed(operations, cloud, dsn) if forward else ""
        journal = Journal.reopen(left)
        try:
            sweep(header)
            if not forward:
                return Outcome(run=left.name, taken=take_back(journal, header, cloud, reporter))
            _Run(journal, header, cloud, value, reporter).forward()
        finally:
            journal.close()
    return Outcome(run=header.run, done=_summaries(header))


def _needed(operations: list[Operation], cloud: Changer | None, dsn: Callable[[], str] | None) -> str:
    """The DSN, if one of ``operations`` takes it; asked for before anything is written."""
    if operations and cloud is None:
        raise UsageError("the plan changes Google Cloud, which was not asked for", "leave --repo out, or plan again")
    if not any(operation.does == ADDS for operation in operations):
        return ""
    if dsn is None:
        raise UsageError(
            "the plan adds the DSN to Secret Manager, so it must be given",
            "pass --dsn-from env:NAME, file:PATH or prompt",
        )
    return dsn()


def _summaries(header: Header) -> tuple[str, ...]:
    return tuple(step.summary for step in header.steps)


class _Run:
    """One way forward through the actions of a run."""

    def __init__(self, journal: Journal, header: Header, cloud: Changer | None, dsn: str, reporter: Reporter) -> None:
        self.journal = journal
        self.header = header
        self.cloud = cloud
        self.dsn = dsn
        self.say = reporter
        self.at: int | None = None

    def forward(self) -> None:
        """Do what is not done yet; on any failure take back all that is."""
        try:
            done, verified = self.journal.run.actions("done"), self.journal.run.actions("verified")
            told = -1
            for number, action in enumerate(self.header.actions):
                if number in done and (action.operation is None or number in verified):
                    continue
                if action.step != told:
                    told = action.step
                    tell(self.say, self.header.steps[told].summary)
                self.at = number
                self._do(number, action, again=number in done)
            self.at = None
            self.journal.add("applied")
        except BaseException as error:
            with _undisturbed():
                taken = take_back(self.journal, self.header, self.cloud, self.say, self.at)
            raise _failure(error, taken, self.journal.run.name) from error

    def _do(self, number: int, action: Action, *, again: bool) -> None:
        if action.operation is None:
            self.journal.add("intent", number)
            self._write(number, action)
            self.journal.add("done", number)
            return
        assert self.cloud is not None
        if not again:
            self.journal.add("intent", number)
            dsn = self.dsn if action.operation.does == ADDS else None
            inverse = self.cloud.perform(action.operation, dsn, self.journal.run.name)
            if self.dsn and self.dsn.encode() in inverse:
                raise FixFailed("what takes a change back would hold the DSN, which is kept nowhere")
            self.journal.add("done", number, self.journal.keep(inverse))
            if note := _note(inverse):
                tell(self.say, note)
        if not self.cloud.verify(action.operation):
            raise FixFailed(f"{self.header.steps[action.step].summary}: that was done, and is not so now")
        self.journal.add("verified", number)

    def _write(self, number: int, action: Action) -> None:
        root = self.header.root
        now = digest(read(root, action.target))
        if now == action.after:  # by this run, before it was killed
            return
        if now != action.before:
            raise Stale(f"{action.path} was changed by somebody else meanwhile", "run fix again")
        if not action.after:
            remove(root, action.target, before=action.before)
            return
        make_folders(root, action.folders)
        data = kept(self.journal.run, action.after)
        part = part_of(self.header, number)
        put(root, action.target, data, before=action.before, mode=action.mode, part=part)


def _note(inverse: bytes) -> str:
    found = msgspec.json.decode(inverse)
    return str(found.get("note", "")) if isinstance(found, dict) else ""


def _failure(error: BaseException, taken: Taken, run: str) -> BaseException:
    """What is said to the user: what failed, and what was taken back for it."""
    message = _words(error)
    if taken.back:
        message += "\ntaken back:\n" + "\n".join(f"  {line}" for line in taken.back)
    if taken.left:
        message += "\ncould not be taken back:\n" + "\n".join(f"  {line}" for line in taken.left)
        hint = f"look at these, then: sentry-audit undo {run}"
    else:
        hint = "everything is as it was before"
    if isinstance(error, AuditError) and error.hint:
        hint = f"{error.hint}; {hint}"
    if isinstance(error, AuditError) and error.exit_code == Stale.exit_code:
        return Stale(redact(message), hint)
    return FixFailed(redact(message), hint)


def _words(error: BaseException) -> str:
    if isinstance(error, AuditError):
        return error.message
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C"
    if isinstance(error, OSError) and error.strerror:
        named = os.path.basename(str(error.filename)) if error.filename else ""  # noqa: PTH119
        return f"a file could not be written: {error.strerror}" + (f" ({named})" if named else "")
    return f"{type(error).__name__}: {error}"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C stop what takes things back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
