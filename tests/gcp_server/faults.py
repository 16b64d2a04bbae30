"""What goes wrong on purpose."""

from __future__ import annotations

import fnmatch
import threading
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from . import errors
from .errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Fault(Struct, kw_only=True):
    """``kind`` is ``status``, ``hang``, ``malformed``, ``reset`` or ``deny``.

    It holds for calls of ``method`` (a full name, or a pattern: ``*/AccessSecretVersion``) on resources whose name
    contains ``where``; it spares the first ``after`` of them and then hits ``times`` (None: each).
    """

    method: str
    kind: str
    where: str = ""
    times: int | None = None
    after: int = 0
    error: RefusedError | None = None
    permission: str = ""
    retry_after: float = 0.0

    def hits(self, method: str, resource: str) -> bool:
        """Whether this call is hit; counts it."""
        if not fnmatch.fnmatchcase(method, self.method) or self.where not in resource:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


class Faults:
    """The faults that are set, and how long calls take; the server inherits this. Thread safe."""

    def __init__(self) -> None:
        #: Seconds that every call takes; ``delays`` those of single methods (patterns).
        self.latency = 0.0
        self.delays: dict[str, float] = {}
        #: Whether the server accepts connections and says nothing.
        self.silent = False
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def fail(
        self,
        method: str,
        code: str,
        message: str = "injected",
        *,
        details: Iterable[Any] = (),
        times: int | None = None,
        after: int = 0,
        where: str = "",
    ) -> None:
        """Answer with a status; ``code`` is its name, ``details`` are messages such as google.rpc.ErrorInfo."""
        error = RefusedError(getattr(code, "name", code), message, details)
        self._add(Fault(method=method, kind="status", error=error, times=times, after=after, where=where))

    def deny(self, method: str, *, times: int | None = None, where: str = "") -> None:
        """Answer that the caller lacks the method's permission, in Google's words."""
        self._add(Fault(method=method, kind="deny", times=times, where=where))

    def exhaust(self, method: str, retry_after: float = 1.0, *, times: int | None = None, where: str = "") -> None:
        """Answer that the quota is used up; RetryInfo says ``retry_after`` seconds."""
        self._add(Fault(method=method, kind="exhaust", retry_after=retry_after, times=times, where=where))

    def hang(self, method: str, *, times: int | None = None, after: int = 0, where: str = "") -> None:
        """Never answer, until the caller gives up."""
        self._add(Fault(method=method, kind="hang", times=times, after=after, where=where))

    def malformed(self, method: str, *, times: int | None = None, after: int = 0, where: str = "") -> None:
        """Answer with bytes that are no message."""
        self._add(Fault(method=method, kind="malformed", times=times, after=after, where=where))

    def reset(self, method: str, *, times: int | None = None, after: int = 0, where: str = "") -> None:
        """Reset the TCP connection instead of an answer, with all other calls that are on it.

        A gRPC client may lose its next call too: it sends it before it sees that the connection is gone.
        """
        self._add(Fault(method=method, kind="reset", times=times, after=after, where=where))

    def heal(self) -> None:
        """Take all faults and delays back."""
        with self._lock:
            self._faults.clear()
        self.latency, self.delays, self.silent = 0.0, {}, False

    def fault(self, method: str, resource: str) -> Fault | None:
        """The first fault that hits a call."""
        with self._lock:
            return next((item for item in self._faults if item.hits(method, resource)), None)

    def delay(self, method: str) -> float:
        """How many seconds a call takes."""
        found = (seconds for pattern, seconds in self.delays.items() if fnmatch.fnmatchcase(method, pattern))
        return next(found, self.latency)

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)


def refusal(fault: Fault, api: str, permission: str, resource: str, number: str) -> RefusedError:
    """The status that a fault answers with."""
    if fault.kind == "deny":
        return errors.denied(permission, resource)
    if fault.kind == "exhaust":
        return errors.exhausted(api, number, fault.retry_after)
    return fault.error or RefusedError("INTERNAL", "injected")
