"""Many questions at once: threads ask, one thread hears the answers and decides what to ask next."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
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
        self._heard: SimpleQueue[Future[Any]] = SimpleQueue()
        self._done = 0

    def ask(self, question: Question, invoke: Callable[[float], T], then: Callable[[T | Failure], None]) -> None:
        """Ask ``question`` with ``invoke(timeout)``; ``then`` gets the answer, or the failure."""
        future = self._pool.submit(self._caller.ask, question, invoke)
        self._pending[future] = question, then
        future.add_done_callback(self._heard.put)

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
        """Wait for the next answer; when the time is over, those that are still out are given up."""
        deadline = self._caller.deadline
        try:
            future = self._heard.get(timeout=deadline.left() + GRACE)
        except Empty:
            for late, (question, _) in list(self._pending.items()):
                self._tell(late, failures.not_asked(question, deadline.seconds))
            return
        if future in self._pending:
            self._tell(future, future.result())

    def _tell(self, future: Future[Any], answer: Any) -> None:
        question, then = self._pending.pop(future)
        self._done += 1
        then(answer)
        self._progress(self._done, self._done + len(self._pending), question.what)
