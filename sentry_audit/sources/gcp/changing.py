"""Changes of Google Cloud, one operation at a time: done, taken back, looked at again.

Everything can be done twice: what is so already is left, and what a killed run did is recognized by the notes that it
left (see ``records``).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Self

import msgspec

from sentry_audit.errors import FixFailed, UsageError
from sentry_audit.sources.gcp import credentials, machine
from sentry_audit.sources.gcp.calls import Breaker
from sentry_audit.sources.gcp.clients import check_endpoint
from sentry_audit.sources.gcp.records import Done
from sentry_audit.sources.gcp.rollouts import Rollouts
from sentry_audit.sources.gcp.session import Session
from sentry_audit.sources.gcp.vault import Vault
from sentry_audit.sources.gcp.writing import Writers

if TYPE_CHECKING:
    from sentry_audit.cloud import CloudOptions
    from sentry_audit.fixing import Operation

#: Seconds that a rollout gets, and one operation besides: a startup probe may take four minutes.
PATIENCE, BESIDES = 300.0, 120.0
#: What is done to Secret Manager; all else is done to Cloud Run.
SECRETS = frozenset({"create-secret", "add-version", "grant"})


class Changer:
    """Changes Google Cloud as whoever ``options`` lead to; nothing is asked before the first operation.

    ``patience``: the seconds that a rollout may take. Raises UsageError if ``options.endpoint`` is not a loopback
    address.
    """

    def __init__(self, options: CloudOptions, patience: float = PATIENCE) -> None:
        if options.endpoint:
            check_endpoint(options.endpoint)
        self._options, self._patience = options, patience
        self._access: credentials.Access | None = None
        self._writers: Writers | None = None
        #: What is taken back together finds out once that an API is out of reach; what failed before does not count.
        self._out_of_reach: defaultdict[str, Breaker] = defaultdict(Breaker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Close the connections."""
        if self._writers is not None:
            self._writers.__exit__(kind, error, trace)
            self._writers = None

    def perform(self, operation: Operation, dsn: str | None, run: str) -> bytes:
        """Do ``operation`` for the run ``run``; gives, as JSON, what ``revert`` needs: never a secret.

        ``dsn`` is what a version is to hold, and used for nothing else. Raises FixFailed if it could not be done, or
        was taken back because it did not come up; Stale if somebody changed the service since it was seen.
        """
        session = self._session(dsn or "")
        vault, rollouts = Vault(session, run), Rollouts(session, run, self._patience)
        if operation.does == "create-secret":
            done = vault.create(operation)
        elif operation.does == "add-version":
            done = vault.add(operation, dsn)
        elif operation.does == "grant":
            done = vault.grant(operation)
        elif operation.does in {"update-service", "route-traffic"}:
            done = rollouts.change(operation)
        else:
            raise UsageError(f"there is no operation {operation.does}")
        return msgspec.json.encode(done)

    def found(self, operation: Operation, run: str) -> bytes | None:
        """What ``perform`` of this operation gave, or would have; None if ``run`` did not get as far as a change."""
        session = self._session()
        if operation.does in SECRETS:
            done = Vault(session, run).found(operation)
        else:
            done = Rollouts(session, run, self._patience).found(operation)
        return msgspec.json.encode(done) if done is not None else None

    def revert(self, inverse: bytes, run: str) -> str:
        """Take back what ``perform`` gave ``inverse`` for; says what is so now. What is back already is left.

        Raises Stale, and changes nothing, if somebody changed the service since; FixFailed.
        """
        done = msgspec.json.decode(inverse, type=Done)
        session = self._session(breakers=self._out_of_reach)
        vault = Vault(session, run)
        if done.does == "create-secret":
            return vault.uncreate(done)
        if done.does == "add-version":
            return vault.disable(done)
        if done.does == "grant":
            return vault.revoke(done)
        return Rollouts(session, run, self._patience).revert(done)

    def verify(self, operation: Operation) -> bool:
        """Whether what ``operation`` does is so now; of a version that may not be read, whether it is there."""
        session = self._session()
        if operation.does in SECRETS:
            return Vault(session, "").holds(operation)
        return Rollouts(session, "", self._patience).holds(operation)

    def _session(self, hidden: str = "", breakers: defaultdict[str, Breaker] | None = None) -> Session:
        if self._access is None:
            machine.prepare()
            local = self._options.endpoint
            found = credentials.local(local) if local else credentials.load(self._options)
            if isinstance(found, credentials.Denied):
                raise FixFailed(found.failure.reason, found.failure.command)
            self._access = found
        if self._writers is None:
            self._writers = Writers(self._access)
        # A rollout may have to be taken back, which is another one.
        return Session(self._writers, self._access.identity, 2 * self._patience + BESIDES, hidden, breakers)
