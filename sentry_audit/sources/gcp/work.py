"""Many questions at once: threads ask, one thread hears the answers and decides what to ask next."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeVar

from sentry_audit.sources.gcp import failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry_audit.cloud import Failure
    from sentry_audit.sources.gcp.calls import Caller
    from sentry_audit.sources.gcp.permissions import Question

T = TypeVar("T")

#: Measured: 64 halve the time once more, from 96 on a connection's limit of 100 streams resets calls.
THREADS = 32
#: Seconds that calls get to notice, after the deadline, that they are over.
GRACE = 0.5


class Work:
    """The questions of one run. All but the calls themselves happens in the thread that calls ``run``."""

    def __init__(self, caller: Caller, progress: Callable[[int, int, str], None] | None = None) -> None:
        self._caller = caller
        self._progress = progress or (lambda _done, _total, _what: None)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="gcp")
        self._pending: dict[Future[Any], tuple[Question, Callable[[Any], None]]] = {}
        self._done = 0

    def ask(self, question: Question, invoke: Callable[[float], T], then: Callable[[T | Failure], None]) -> None:
        """Ask ``question`` with ``invoke(timeout)``; ``then`` gets the answer, or the failure."""
        future = self._pool.submit(self._caller.ask, question, invoke)
        self._pending[future] = question, then

    def run(self, idle: Callable[[], None]) -> None:
        """Hear all answers; ``idle`` is called when there is nothing to wait for, and may ask more."""
        try:
            while True:
                while self._pending:
                    self._hear()
                idle()
                if not self._pending:
                    return
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _hear(self) -> None:
        deadline = self._caller.deadline
        heard, _ = wait(self._pending, deadline.left() + GRACE, FIRST_COMPLETED)
        over = not heard and deadline.left() <= 0
        for future in list(self._pending) if over else heard:
            question, then = self._pending.pop(future)
            answer = failures.not_asked(question, deadline.seconds) if over else future.result()
            self._done += 1
            then(answer)
            self._progress(self._done, self._done + len(self._pending), question.what)
