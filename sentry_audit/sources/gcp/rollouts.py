"""Changes of services, jobs and worker pools: submitted, waited for, and put back where they do not come up.

google.cloud.run.v2: get, change the message that came, clear the revision's name (an explicit one would be taken
already), keep the etag, update, wait. What is ready and serves is looked at in the end, not believed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.cloud import Failure
from sentry_audit.errors import FixFailed, Stale
from sentry_audit.sources.gcp import run, templates
from sentry_audit.sources.gcp.records import ROLL, Done, ServiceNote, key, read_note, write_note
from sentry_audit.sources.gcp.session import UNSURE
from sentry_audit.sources.gcp.writing import sort_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry_audit.fixing import Operation
    from sentry_audit.sources.gcp.session import Session
    from sentry_audit.sources.gcp.writing import Sort

#: Seconds between two looks at a rollout: the first, and the longest.
FIRST, LONGEST = 0.2, 3.0
_AGAIN = "look again, then decide: sentry-audit check"


class Slow(Struct, frozen=True):
    """A rollout that has not ended."""

    seconds: float


class Rollouts:
    """The services of one run; each rollout may take ``patience`` seconds."""

    def __init__(self, session: Session, run_id: str, patience: float) -> None:
        self._session, self._writers, self._run, self._patience = session, session.writers, run_id, patience
        self._until = time.monotonic() + patience

    # --- changes -----------------------------------------------------------------------------------

    def change(self, operation: Operation) -> Done:
        """Do what ``operation`` says, and wait until it serves.

        Raises Stale if somebody changed the service since it was seen, FixFailed if the change did not
        hold; then what was so before is so again, or the message says why not.
        """
        name, sort = operation.resource, sort_of(operation.resource)
        message = self.read(name)
        note = self._mine(message)
        known = next((item for item in note.done if item.key == key(operation)), None) if note is not None else None
        if note is not None and known is not None:
            if message.generation != note.generation and not self.holds(operation):
                raise Stale(f"{name} was changed since this run changed it: it is left as it is", _AGAIN)
            self._finish(message, sort, lambda: self.revert(known))
            return known
        fresh = message.etag == operation.etag or not operation.etag
        ours = note is not None and note.etag == operation.etag and note.generation == message.generation
        if not fresh and not ours:
            told = f"{name} was changed since it was looked at: it is left as it is"
            raise Stale(told, _AGAIN)
        before = _copy(message)
        done = Done(
            does=operation.does,
            resource=name,
            key=key(operation),
            generation=message.generation + 1,
            revision=getattr(message, "latest_created_revision", ""),
            ready=templates.came_up(message, sort),
        )
        changed = (
            self._route(message, sort, done)
            if operation.does == "route-traffic"
            else (self._set(message, sort, operation, done))
        )
        if changed is None:
            return replace(done, generation=message.generation)
        earlier = note.done if note is not None else ()
        etag = note.etag if note is not None else message.etag
        write_note(
            message, ServiceNote(run=self._run, etag=etag, generation=changed.generation, done=(*earlier, changed))
        )
        after = self._submit(message, sort, operation)
        self._finish(after, sort, lambda: self._put_back(name, sort, before, changed))
        return changed

    def _route(self, message: Any, sort: Sort, done: Done) -> Done | None:
        if not sort.routes or templates.goes_to_latest(message, sort):
            return None
        if not templates.came_up(message, sort):
            why = run.not_ready(message) or "it is not ready"
            raise FixFailed(
                f"the traffic of {message.name} was not moved: its newest revision did not come up ({why})", _AGAIN
            )
        before = templates.routes(message, sort)
        templates.to_latest(message, sort)
        return replace(done, routes=before)

    def _set(self, message: Any, sort: Sort, operation: Operation, done: Done) -> Done | None:
        """Set variables; where they are so already, make a new revision: its instances read their secrets anew."""
        template = sort.template(message)
        chosen = templates.indices(template, sort, operation)
        names = [name for name, _, _ in operation.variables]
        same = all(
            templates.gives(templates.variable(template.containers[index], name), secret, value)
            for index in chosen
            for name, secret, value in operation.variables
        )
        if same:
            if not sort.routes:
                return None
            done = replace(done, rolled=templates.roll(message.template, self._run))
        else:
            done = replace(done, was=templates.seen(template, chosen, names))
            for index in chosen:
                for name, secret, value in operation.variables:
                    templates.put(template.containers[index], name, secret, value)
        if sort.routes:
            message.template.revision = ""
        hidden = [item.name for item in done.was if item.kind == "hidden"]
        if hidden and not sort.routes:
            return replace(done, note=_not_kept(operation.resource, hidden[0]))
        return done

    # --- taking back -------------------------------------------------------------------------------

    def revert(self, done: Done) -> str:
        """Make it what it was before; raises Stale if somebody else changed the service since."""
        name, sort = done.resource, sort_of(done.resource)
        if not done.was and done.rolled is None and done.routes is None:
            return f"{name} was not changed"
        message = self.read(name)
        note = self._mine(message)
        mine = next((item for item in note.done if item.key == done.key), None) if note is not None else None
        if mine is None and self._is_back(message, sort, done):
            return f"{name} is as it was"
        expected = {done.generation, note.generation if note is not None and mine is not None else done.generation}
        if message.generation not in expected:
            raise Stale(f"{name} was changed since this run: it is left as it is", _AGAIN)
        if done.routes is not None:
            templates.route_back(message, sort, done.routes)
        template = sort.template(message)
        if not sort.routes and any(item.kind == "hidden" for item in done.was):
            raise FixFailed(f"{name} is left as it is: {done.note}", _AGAIN)
        templates.put_back(template, done.was, self._revision(done))
        if done.rolled is not None:
            templates.unroll(message.template, done.rolled)
        if sort.routes and done.routes is None:
            message.template.revision = ""
        rest = tuple(item for item in note.done if item.key != done.key) if note is not None else ()
        self._note(message, note, rest)
        after = self._wait(self._submit(message, sort), sort)
        if isinstance(after, Slow):
            raise FixFailed(f"{name} was put back, and its rollout did not end in {after.seconds:.0f} seconds", _AGAIN)
        if done.ready and not templates.came_up(after, sort):
            raise FixFailed(f"{name} was put back, and does not come up: {run.not_ready(after)}", _AGAIN)
        return f"{name} is as it was"

    def _is_back(self, message: Any, sort: Sort, done: Done) -> bool:
        if done.routes is not None:
            return templates.routes(message, sort) == done.routes
        rolled = done.rolled is None or message.template.annotations.get(ROLL, "") == done.rolled
        return rolled and templates.is_as_it_was(sort.template(message), done.was)

    def _revision(self, done: Done) -> Any:
        """The revision before, where it has what is not kept; Cloud Run never changes one."""
        if not any(item.kind == "hidden" for item in done.was):
            return None
        return self._session.must(
            "GetRevision", done.revision, lambda timeout: self._writers.revision(done.revision, timeout)
        )

    def _mine(self, message: Any) -> ServiceNote | None:
        note = read_note(message, ServiceNote)
        return note if note is not None and note.run == self._run else None

    def _note(self, message: Any, note: ServiceNote | None, rest: tuple[Done, ...]) -> None:
        """The note that a message carries after it was put back: what is still done of this run."""
        if note is None or not rest:
            write_note(message, None)
        else:
            write_note(message, replace(note, generation=message.generation + 1, done=rest))

    # --- calls -------------------------------------------------------------------------------------

    def read(self, name: str) -> Any:
        """The service, job or worker pool as it is."""
        return self._session.must(sort_of(name).get, name, lambda timeout: self._writers.running(name, timeout))

    def _submit(self, message: Any, sort: Sort, operation: Operation | None = None) -> Any:
        """Have a message checked, then taken; gives it as it is stored, with its rollout under way."""
        account = sort.template(message).service_account

        def ask(validate_only: bool) -> Any:
            return self._session.ask(
                sort.update,
                message.name,
                lambda timeout: self._writers.update(message, timeout, validate_only=validate_only),
                account=account,
                again=validate_only,
            )

        for validate_only in (True, False):
            answer = ask(validate_only)
            if not isinstance(answer, Failure):
                continue
            known = key(operation) if operation is not None else ""
            if not validate_only and answer.code in UNSURE and known:
                now = self.read(message.name)
                note = self._mine(now)
                if note is not None and any(item.key == known for item in note.done):
                    return now
            if answer.code == "ABORTED":
                told = f"{message.name} was changed while this run was about to change it: it is left as it is"
                raise Stale(told, _AGAIN)
            raise self._session.error(answer)
        self._until = time.monotonic() + self._patience
        self._end(answer)
        return self.read(message.name)

    def _end(self, operation: Any) -> None:
        """Wait for an operation, as long as a rollout may take; what became of it is then seen in the service."""
        name, pause = operation.name, FIRST
        while not operation.done and time.monotonic() < self._until:
            time.sleep(min(pause, max(0.0, self._until - time.monotonic())))
            pause = min(pause * 1.5, LONGEST)
            answer = self._session.ask("GetOperation", name, lambda timeout: self._writers.operation(name, timeout))
            if isinstance(answer, Failure):
                return
            operation = answer

    def _wait(self, message: Any, sort: Sort) -> Any:
        """The message as soon as it is settled and serves as it says, or failed; Slow if that takes too long."""
        pause = FIRST
        while True:
            failed = templates.settled(message) and not templates.came_up(message, sort)
            if failed or (templates.settled(message) and templates.serves(message, sort)):
                return message
            if time.monotonic() >= self._until:
                return Slow(self._patience)
            time.sleep(min(pause, max(0.0, self._until - time.monotonic())))
            pause = min(pause * 1.5, LONGEST)
            message = self.read(message.name)

    def _finish(self, message: Any, sort: Sort, back: Callable[[], str]) -> None:
        """Wait for a change that was submitted; if it does not come up, put ``back`` what was there before."""
        after = self._wait(message, sort)
        if not isinstance(after, Slow) and templates.came_up(after, sort):
            return
        why = (
            f"its rollout did not end in {after.seconds:.0f} seconds"
            if isinstance(after, Slow)
            else f"its new revision did not come up: {run.not_ready(after)}"
        )
        try:
            told = back()
        except (FixFailed, Stale) as error:
            told = f"what was there before could not be put back: {error.message}"
        raise FixFailed(f"{message.name} was changed, and {why}; {told}", _show(message.name, sort))

    def _put_back(self, name: str, sort: Sort, before: Any, done: Done) -> str:
        """Submit what was there before, unless somebody else changed it meanwhile; says what is so now."""
        message = self.read(name)
        if message.generation != done.generation:
            return "somebody changed it meanwhile, so it was left as it is"
        message.template.CopyFrom(before.template)
        if sort.routes:
            message.template.revision = ""
            templates.route_back(message, sort, templates.routes(before, sort))
        note = self._mine(message)
        rest = tuple(item for item in note.done if item.key != done.key) if note is not None else ()
        if rest:
            self._note(message, note, rest)
        else:
            message.annotations.clear()
            message.annotations.update(before.annotations)
        after = self._wait(self._submit(message, sort), sort)
        if isinstance(after, Slow):
            return f"what was there before was put back, and that did not end in {after.seconds:.0f} seconds either"
        if not templates.came_up(after, sort):
            return f"what was there before was put back, and does not come up either: {run.not_ready(after)}"
        return "what was there before was put back and serves"

    # --- what is so now ----------------------------------------------------------------------------

    def found(self, operation: Operation) -> Done | None:
        """What this run did of an operation, by its note; None if it changed nothing."""
        note = self._mine(self.read(operation.resource))
        return next((item for item in note.done if item.key == key(operation)), None) if note is not None else None

    def holds(self, operation: Operation) -> bool:
        """Whether what an operation does is so, and serves."""
        sort = sort_of(operation.resource)
        message = self.read(operation.resource)
        if not (templates.settled(message) and templates.came_up(message, sort) and templates.serves(message, sort)):
            return False
        if operation.does == "route-traffic":
            return templates.goes_to_latest(message, sort)
        template = sort.template(message)
        return all(
            templates.gives(templates.variable(template.containers[index], name), secret, value)
            for index in templates.indices(template, sort, operation)
            for name, secret, value in operation.variables
        )


def _copy(message: Any) -> Any:
    copied = type(message)()
    copied.CopyFrom(message)
    return copied


def _not_kept(name: str, variable: str) -> str:
    """Why a job's plain value does not come back, and who can bring it."""
    _, project, _, region, _, short = name.split("/")
    return (
        f"the value that {variable} had in {short} may be secret, so it is not kept, and Cloud Run keeps no revisions of "
        f"jobs: undoing leaves it as it is now; to bring it back: gcloud run jobs update {short} "
        f"--update-env-vars={variable}=VALUE --project={project} --region={region}"
    )


def _show(name: str, sort: Sort) -> str:
    """The gcloud line that shows how it is."""
    _, project, _, region, _, short = name.split("/")
    kind = sort.word.replace(" ", "-")
    return (
        f"gcloud {'beta ' * (kind == 'worker-pool')}run {kind}s describe {short} --project={project} --region={region}"
    )
