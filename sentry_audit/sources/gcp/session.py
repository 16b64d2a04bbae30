"""The calls of one change, each with its time and its permission; what fails ends as one error with one command."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from sentry_audit.cloud import Failure
from sentry_audit.errors import FixFailed
from sentry_audit.sources.gcp.calls import Caller, Deadline
from sentry_audit.sources.gcp.permissions import Question

if TYPE_CHECKING:
    from collections import defaultdict
    from collections.abc import Callable

    from sentry_audit.sources.gcp.calls import Breaker
    from sentry_audit.sources.gcp.writing import Writers

T = TypeVar("T")

#: How often something is looked at anew and tried again, and the seconds between.
TRIES, PAUSE = 3, 0.5
#: The codes after which a call may have been carried out all the same.
UNSURE = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "MALFORMED"})
#: The codes that are worth another try.
PASSING = UNSURE | {"ABORTED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"}


class Session:
    """One change: it may take ``seconds``. ``hidden`` is a DSN, which no text may show, nor its key.

    ``breakers`` are shared by changes that need not each find out that an API does not answer.
    """

    def __init__(
        self,
        writers: Writers,
        identity: str,
        seconds: float,
        hidden: str = "",
        breakers: defaultdict[str, Breaker] | None = None,
    ) -> None:
        self.writers = writers
        self._caller = Caller(identity, Deadline(seconds), breakers)
        key = hidden.partition("://")[2].partition("@")[0]
        self._hidden = [item for item in (hidden, key) if item]

    def ask(
        self, method: str, resource: str, invoke: Callable[[float], T], *, again: bool = True, account: str = ""
    ) -> T | Failure:
        """What ``invoke(timeout)`` returns, or why it does not."""
        parts = resource.split("/")
        secret = parts[3] if parts[2:3] == ["secrets"] else ""
        question = Question(method, parts[1], resource, secret, account)
        return self._caller.ask(question, invoke, again=again)

    def must(self, method: str, resource: str, invoke: Callable[[float], T], *, again: bool = True) -> T:
        """What ``invoke(timeout)`` returns; raises FixFailed."""
        answer = self.ask(method, resource, invoke, again=again)
        if isinstance(answer, Failure):
            raise self.error(answer)
        return answer

    def error(self, failure: Failure, more: str = "") -> FixFailed:
        """A failure as an error: the permission and the line that grants it are in it."""
        reason = failure.reason + (f"; {more}" if more else "")
        return FixFailed(self.clean(reason), self.clean(failure.command))

    def clean(self, text: str) -> str:
        """``text`` without what is not to be shown."""
        for secret in self._hidden:
            text = text.replace(secret, "…")
        return text

    def pause(self, attempt: int) -> None:
        """Wait before something is tried again."""
        time.sleep(PAUSE * (attempt + 1))
