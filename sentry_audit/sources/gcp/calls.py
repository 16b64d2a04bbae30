"""How a call is made: with a deadline, with retries, and not at all once its API is known to be out of reach."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeVar

from sentry_audit.cloud import Failure
from sentry_audit.sources.gcp import failures, permissions

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry_audit.sources.gcp.permissions import Question

T = TypeVar("T")

#: Seconds that one call gets; without them those of Jobs, Revisions and WorkerPools never end.
PER_CALL = 10.0
#: Seconds that one question gets with all its retries, and the first and the longest pause between two of them.
PER_QUESTION, FIRST_PAUSE, LONGEST_PAUSE = 15.0, 0.25, 2.0
#: Secret Manager allows 600 reads per minute and project (cloud.google.com/secret-manager/quotas); others read there too.
BURST, PER_SECOND = 300, 8.0
#: Questions in a row that have to fail for want of an answer before an API that has answered counts as gone.
IN_A_ROW = 3

_AGAIN = {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}
_SILENT = {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
#: Payloads have a quota of their own, of 90,000 reads per minute.
_UNCOUNTED = {"AccessSecretVersion"}


class Deadline:
    """The end of the whole run."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = time.monotonic() + seconds

    def left(self) -> float:
        """The seconds that are left; 0 when it is over."""
        return max(0.0, self._until - time.monotonic())


class Breaker:
    """Whether one API still answers: a first question in vain, or some in a row later on, and it is not asked again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answered = False
        self._in_vain = 0
        self._broken: Failure | None = None

    def answered(self) -> None:
        """It said something, be it no."""
        with self._lock:
            self._answered, self._in_vain = True, 0

    def silent(self, failure: Failure) -> None:
        """A question got no answer, with all its retries."""
        with self._lock:
            self._in_vain += 1
            if self._in_vain >= (IN_A_ROW if self._answered else 1):
                self._broken = failure

    def broken(self) -> Failure | None:
        """Why it is not asked any more."""
        with self._lock:
            return self._broken


class Bucket:
    """A token bucket: ``burst`` reads at once, then ``rate`` per second."""

    def __init__(self, burst: float = BURST, rate: float = PER_SECOND) -> None:
        self._lock = threading.Lock()
        self._burst, self._rate = float(burst), rate
        self._tokens, self._at = float(burst), time.monotonic()

    def take(self, longest: float) -> bool:
        """Wait for a turn, unless that would take more than ``longest`` seconds; whether there was one."""
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
            wait = max(0.0, (1 - self._tokens) / self._rate)
            if wait > longest:
                return False
            self._tokens -= 1
        if wait:
            time.sleep(wait)
        return True


class Caller:
    """Makes the calls of one run; safe to use from many threads."""

    def __init__(self, identity: str, deadline: Deadline, breakers: defaultdict[str, Breaker] | None = None) -> None:
        self._identity = identity
        self.deadline = deadline
        self._breakers: defaultdict[str, Breaker] = defaultdict(Breaker) if breakers is None else breakers
        self._buckets: defaultdict[str, Bucket] = defaultdict(Bucket)
        self._lock = threading.Lock()

    def ask(self, question: Question, invoke: Callable[[float], T], *, again: bool = True) -> T | Failure:
        """What ``invoke(timeout in seconds)`` returns, or why it does not; never raises.

        ``again`` is false for what must not be done twice: it is not retried.
        """
        with self._lock:
            breaker, bucket = self._breakers[question.rpc.host], self._buckets[question.project]
        counted = question.rpc.host == permissions.SECRETS and question.method not in _UNCOUNTED
        if counted and not bucket.take(self.deadline.left()):
            return failures.not_asked(question, self.deadline.seconds)
        started = time.monotonic()
        pause = FIRST_PAUSE
        while True:
            left = min(self.deadline.left(), PER_QUESTION - (time.monotonic() - started))
            if self.deadline.left() <= 0:
                return failures.not_asked(question, self.deadline.seconds)
            broken = breaker.broken()
            if broken is not None:
                return _same(broken, question)
            timeout = min(PER_CALL, left)
            try:
                answer = invoke(timeout)
            except Exception as error:  # noqa: BLE001 - whatever a call raises is an answer that we did not get
                wait = failures.retry_after(error) or pause * random.uniform(0.5, 1)  # noqa: S311 - no secret
                if again and failures.code(error) in _AGAIN and wait < left - 0.05:
                    time.sleep(wait)
                    pause = min(pause * 2, LONGEST_PAUSE)
                    continue
                return self._failed(error, question, breaker, timeout)
            breaker.answered()
            return answer

    def _failed(self, error: Any, question: Question, breaker: Breaker, timeout: float) -> Failure:
        failure = failures.explain(error, question, self._identity, timeout)
        if failure.code in _SILENT and self.deadline.left() <= 0.1:
            return failures.not_asked(question, self.deadline.seconds)
        if failure.code in _SILENT:
            breaker.silent(failure)
        else:
            breaker.answered()
        return failure


def _same(broken: Failure, question: Question) -> Failure:
    """``broken`` as the failure of ``question``, which was not asked because of it."""
    _, _, why = broken.reason.partition(": ")
    return Failure(
        code=broken.code,
        reason=f"{question.unseen}: {why}",
        resource=question.resource,
        command=broken.command,
    )
