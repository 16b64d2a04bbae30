"""What was seen of a booted application, and what was expected of it: what ``sentry_audit.proofs`` judges. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from sentry_audit.model import Evidence  # noqa: TC001 - msgspec evaluates it

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.wire import Sent

#: One line that the hook wrote.
Record = dict[str, Any]


class Probe(Struct, frozen=True, kw_only=True):
    """One thing that the application was asked to do.

    ``id`` is in the message of the error, ``trace`` and ``span`` are those that the request said it goes on from. ``status``
    is what it answered with, 0 for nothing; ``how``: route (its own) or harness; ``what`` is it in words. ``records`` are
    what was written down meanwhile; ``trouble`` says why it could not be asked.
    """

    name: str
    id: str
    trace: str = ""
    span: str = ""
    status: int = 0
    how: str = "harness"
    what: str = ""
    detail: str = ""
    records: tuple[Record, ...] = ()
    trouble: str = ""
    evidence: tuple[Evidence, ...] = ()


class Stop(Struct, frozen=True, kw_only=True):
    """How it ended: of ``raised`` events that were queued at SIGTERM, ``arrived`` arrived; ``code`` is its exit code."""

    raised: int = 0
    arrived: int = 0
    code: int | None = None
    killed: bool = False


class Observed(Struct, frozen=True, kw_only=True):
    """All that was seen of one component.

    ``failure`` says why it did not boot; ``output`` are its last lines; ``closed`` says why the routes of
    verify could not be reached in it.
    """

    command: str = ""
    failure: str = ""
    output: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
    probes: tuple[Probe, ...] = ()
    sent: tuple[Sent, ...] = ()
    stop: Stop | None = None
    canaries: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""
    framework: str = ""
    closed: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    def of(self, *kinds: str) -> list[Record]:
        """The records of these kinds, in order."""
        return [item for item in self.records if item.get("kind") in kinds]

    def probe(self, name: str) -> Probe | None:
        """The first probe of that name."""
        return next((item for item in self.probes if item.name == name), None)


class Expected(Struct, frozen=True, kw_only=True):
    """What the audit knows of the component, for one environment.

    ``absent`` says why the image has no SDK, ``condition`` what init depends on (it stands at ``conditioned``), ``no_dsn``
    why no DSN is passed, ``dead_end`` what init's DSN ends in; ``complete``: all that is passed is known; ``given`` are
    notes on what was put in by verify itself. ``locked`` are the paths that the lock file allows.
    """

    component: str
    environment: str
    role: str = "service"
    server: str = ""
    installed: bool = True
    absent: str = ""
    condition: str = ""
    conditioned: tuple[Evidence, ...] = ()
    no_dsn: str = ""
    dead_end: str = ""
    complete: bool = True
    given: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    untraced: str = ""
    has_authentication: bool = False
    sets_user: bool = False
    locked: tuple[str, ...] | None = None
