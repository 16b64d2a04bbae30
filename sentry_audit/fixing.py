"""What fixing speaks of: a case, what is changed for it, what is left to a person. Pure; nothing here writes.

A fixer is a function from a ``Case`` to a ``Change``, or to a ``Refusal`` that says why it makes none. The modules of
``sentry_audit.fixers`` give them by check: ``FIXERS = {"backend-sdk-declared": declare}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentry_audit.cloud import Snapshot, Target
    from sentry_audit.facts import Component, Fact
    from sentry_audit.model import Finding
    from sentry_audit.python.program import Files, Program
    from sentry_audit.sdk_table import SdkTable


class Edit(Struct, frozen=True):
    """The whole text of one file after the change, with the line ends that it had; ``path`` is relative to the root.

    None removes the file. A file that is not there yet is made. Bytes (encoding, a byte order mark, the mode) are kept by
    what writes it.
    """

    path: str
    after: str | None


class Operation(Struct, frozen=True, kw_only=True):
    """One change of Google Cloud.

    ``does``: create-secret, add-version, grant, update-service, route-traffic. ``resource`` is the full name of what is
    changed (``projects/P/secrets/S``, ``projects/P/locations/L/services/S``); ``variables`` are those that a service is
    given: (name, secret, version) for a secret one, (name, "", value) for a plain one; ``member`` is who is granted
    roles/secretmanager.secretAccessor. ``etag`` is the service's as it was seen: another one means that somebody
    changed it since. The value of a version is never in here: it is asked for when it is added.
    """

    does: str
    resource: str
    summary: str
    member: str = ""
    variables: tuple[tuple[str, str, str], ...] = ()
    container: str = ""
    etag: str = ""


class Change(Struct, frozen=True, kw_only=True):
    """What closes a finding. ``summary`` says it in one line, in the future tense: "will add sentry-sdk to …".

    ``safety``: safe (nothing that runs behaves differently but for Sentry), review (behaviour changes: read the diff), live
    (it changes Google Cloud).
    """

    summary: str
    safety: str = "review"
    edits: tuple[Edit, ...] = ()
    operations: tuple[Operation, ...] = ()


class Refusal(Struct, frozen=True, kw_only=True):
    """Why a finding is left to a person, and what that person may do: ``commands`` can be pasted."""

    reason: str
    commands: tuple[str, ...] = ()


class Case(Struct, frozen=True, kw_only=True):
    """A gap, and everything that is known around it.

    ``bad`` are the facts that made it one; ``facts`` all that were derived for the component in this environment,
    ``scanned`` those of the whole repository. ``program`` parses Python once, ``files`` are the texts as they are now
    (with the changes of fixes before this one). ``targets`` are where the component runs.
    """

    finding: Finding
    bad: tuple[Fact, ...]
    component: Component
    environment: str
    facts: tuple[Fact, ...]
    scanned: Sequence[Fact]
    program: Program
    table: SdkTable
    snapshot: Snapshot | None = None
    targets: tuple[Target, ...] = ()

    @property
    def files(self) -> Files:
        """The texts of the repository."""
        return self.program.files


#: A change for a case, or why there is none.
Fixer: TypeAlias = "Callable[[Case], Change | Refusal]"


# --- the plan: what is shown, saved, applied and undone ---------------------------------------------


class Closed(Struct, frozen=True):
    """A finding that a step closes, or that is left: the check, and the component."""

    check: str
    component: str


class FileChange(Struct, frozen=True):
    """One file before and after, as text; None where it is not there. ``before`` is the precondition of writing ``after``."""

    path: str
    before: str | None
    after: str | None


class Step(Struct, frozen=True, kw_only=True):
    """One change of a plan: file changes, or one operation of the cloud, never both."""

    summary: str
    safety: str
    closes: tuple[Closed, ...]
    files: tuple[FileChange, ...] = ()
    operation: Operation | None = None


class Left(Struct, frozen=True, kw_only=True):
    """A finding that the plan does not close: why, and what a person can paste."""

    finding: Closed
    reason: str
    commands: tuple[str, ...] = ()


class Plan(Struct, frozen=True, kw_only=True):
    """Everything that ``fix`` will do, in order: file steps first (fix at the owner first), then operations.

    ``notes`` say what else there is to know of it: why a file is not formatted.
    """

    schema_version: int = 1
    tool_version: str
    environment: str
    steps: tuple[Step, ...] = ()
    left: tuple[Left, ...] = ()
    notes: tuple[str, ...] = ()
