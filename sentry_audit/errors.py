"""What can go wrong for a user, as one small tree.

AuditError
├── UsageError          the command line asks for something that cannot be          exit 2
├── ChecksFileError     checks.yaml cannot be read as checks                         exit 2
├── EvidenceError       what ``collect`` wrote cannot be read, or is too old          exit 2
├── SettingsError       sentry-audit.yaml or [tool.sentry-audit] is wrong            exit 2
├── BaselineError       the baseline cannot be read as one                           exit 2
├── NothingAudited      there was nothing to look at                                 exit 3
├── FixFailed           a change could not be made; what was taken back is listed    exit 5
└── Stale               what is to be changed is no longer what was planned for      exit 6
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class AuditError(Exception):
    """A failure that is the input's, not ours: one message, one hint, one exit code."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep ``message`` (what, and where) and ``hint`` (what to do about it)."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(AuditError):
    """An argument that names nothing we know."""


class ChecksFileError(AuditError):
    """A check file that cannot be loaded; the message names file, line and key."""


class SettingsError(AuditError):
    """A settings file that cannot be loaded; the message names file, line and key."""


class EvidenceError(AuditError):
    """A file of evidence that cannot be used; the message says why."""


class BaselineError(AuditError):
    """A baseline that cannot be used; the message says why."""


class NothingAudited(AuditError):  # noqa: N818 - says what happened, not that it is an exception
    """No input, no component or no check was left to audit."""

    exit_code = 3


class FixFailed(AuditError):  # noqa: N818 - says what happened
    """A change could not be made or did not hold; the message lists what was taken back."""

    exit_code = 5


class Stale(AuditError):  # noqa: N818 - says what happened
    """A file, a service or a secret is no longer what the plan was made for; it was left as it is."""

    exit_code = 6


def nearest(word: object, known: Iterable[str], otherwise: str) -> str:
    """A hint for a name that does not exist: the nearest one of ``known``, else ``otherwise``."""
    import difflib

    found = difflib.get_close_matches(str(word), list(known), 1, 0.5)
    return f"did you mean {found[0]}?" if found else otherwise
