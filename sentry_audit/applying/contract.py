"""What applying needs of others, and what it gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry_audit.fixing import Operation

#: Hears what is being done, a line at a time.
Reporter: TypeAlias = "Callable[[str], None]"


class Changer(Protocol):
    """What changes Google Cloud. ``run`` names the run on whose behalf; no secret is ever in what is returned or raised.

    Every method may be called again after a process was killed in the middle of it, and then finishes the same work.
    """

    def perform(self, operation: Operation, dsn: str | None, run: str) -> bytes:
        """Make the change; gives, as JSON, what ``revert`` needs, and a ``note`` for the user if there is one to make.

        The DSN is given for an added version only.
        Doing again what ``run`` already did changes nothing and gives the same. What raises has changed nothing, or
        ``found`` finds what it changed. Fails with exit code 6 where the resource is no longer what the plan was made for.
        """

    def found(self, operation: Operation, run: str) -> bytes | None:
        """What ``perform`` of this operation gave, if ``run`` got as far as changing anything; None if it did not."""

    def revert(self, inverse: bytes, run: str) -> str:
        """Take a change back; says in words what was done. What is already taken back stays so."""

    def verify(self, operation: Operation) -> bool:
        """Whether the change has its effect (the new revision serves); raises if that cannot be known."""


class Taken(Struct, frozen=True):
    """What was taken back, in words, and what could not be (each with the reason)."""

    back: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


class Outcome(Struct, frozen=True, kw_only=True):
    """What an apply, or the resuming of one, came to. ``run`` is empty where there was nothing to do.

    ``done`` are the summaries of the steps that now hold; ``taken`` is what the end of an interrupted undo took back.
    """

    run: str = ""
    done: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    taken: Taken | None = None
