"""What a change leaves behind: what taking it back needs, and notes on what was changed.

Nothing in here is secret: of a variable that stood in a service as it is, only where to find its value again.
A note is an annotation, written together with the change or before it: a run that was killed finds there what it did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from sentry_audit.fixing import Operation

#: The annotation of what was created or is being changed: the run, in a note's JSON.
NOTE = "sentry-audit-run"
#: The annotation of a template that makes a new revision where nothing else in it changed.
ROLL = "sentry-audit-rollout"
#: The label of the secrets that were created here.
LABEL, MADE_BY = "created-by", "sentry-audit"


class Was(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A variable of a container before: ``kind`` is absent, secret, plain, or hidden (the revision before has it)."""

    container: int
    name: str
    kind: str
    secret: str = ""
    version: str = ""
    value: str = ""


class Route(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a part of the traffic went: a message of the API, encoded, with what it had of unknown fields."""

    target: bytes


class Done(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One operation that was done, and what was so before.

    ``key`` tells the operation from others on the same ``resource``. ``generation`` is the service's after it,
    ``revision`` the full name of the one before; ``rolled`` the template's annotation before (None: it was not touched).
    ``ready``: it had come up before. ``version`` is the number of the one that was added, ``created`` and ``granted``:
    by this run. ``note`` is a sentence for whoever runs it.
    """

    does: str
    resource: str
    key: str = ""
    generation: int = 0
    revision: str = ""
    was: tuple[Was, ...] = ()
    rolled: str | None = None
    routes: tuple[Route, ...] | None = None
    ready: bool = True
    created: bool = False
    version: int = 0
    member: str = ""
    granted: bool = False
    note: str = ""


class ServiceNote(Struct, frozen=True, kw_only=True):
    """What a run did to a service, in order; ``etag`` is what it found, ``generation`` what it left."""

    run: str
    etag: str
    generation: int
    done: tuple[Done, ...] = ()


class SecretNote(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run does to a secret: it ``created`` it, adds this ``version``, and grants ``members`` their role."""

    run: str
    created: bool = False
    version: int = 0
    members: tuple[str, ...] = ()


N = TypeVar("N")


def read_note(message: Any, kind: type[N]) -> N | None:
    """The note in a message's annotations; None if there is none, or another program's."""
    text = message.annotations.get(NOTE, "")
    try:
        return msgspec.json.decode(text, type=kind) if text else None
    except msgspec.DecodeError:
        return None


def write_note(message: Any, note: Any) -> None:
    """Put a note into a message's annotations; None takes it out."""
    if note is None:
        message.annotations.pop(NOTE, None)
    else:
        message.annotations[NOTE] = msgspec.json.encode(note).decode()


def key(operation: Operation) -> str:
    """What tells an operation from others: everything but words and the etag."""
    told = (operation.does, operation.resource, operation.member, operation.container, operation.variables)
    import hashlib

    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:12]
