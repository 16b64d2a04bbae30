"""What Google Cloud holds for a repository, read once, with the real clients.

Nothing here loads ``google`` or ``grpc`` before something is read: that takes half a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentry_audit.cloud import CloudOptions, Snapshot, Target


def read(
    targets: Sequence[Target], options: CloudOptions, progress: Callable[[int, int, str], None] | None = None
) -> Snapshot:
    """Ask Google Cloud about ``targets``, for at most ``options.timeout`` seconds.

    ``progress(done, total, what)`` is called in the calling thread as answers come in. Whatever Google answers, or
    does not, ends up in the snapshot as a ``Failure``. Raises UsageError if ``options.endpoint`` is not a loopback
    address.
    """
    from sentry_audit.sources.gcp import reading

    return reading.read(targets, options, progress)
