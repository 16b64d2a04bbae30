"""What has to be settled in this process before the Google packages are loaded."""

from __future__ import annotations

import logging
import os
from pathlib import Path

#: The firmware's name of the machine.
PRODUCT = Path("/sys/class/dmi/id/product_name")
#: Set on Cloud Run, in its jobs, in Cloud Build and on App Engine, which have no such firmware to look at.
_SIGNS = ("GCE_METADATA_HOST", "K_SERVICE", "CLOUD_RUN_JOB", "BUILDER_OUTPUT", "GAE_ENV")


def is_googles() -> bool:
    """Whether this may be a machine of Google's, which has a metadata server to ask; no network is touched."""
    if os.environ.get("NO_GCE_CHECK", "").lower() == "true":
        return False
    if any(os.environ.get(name) for name in _SIGNS):
        return True
    try:
        return "Google" in PRODUCT.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def prepare() -> None:
    """Keep the Google packages quiet, and from waiting for a metadata server that is not there.

    With GOOGLE_SDK_PYTHON_LOGGING_SCOPE, or at DEBUG, they log payloads. grpcio's core writes lines of its own to
    stderr, and its Python part tracebacks of answers that it cannot read.
    """
    os.environ.pop("GOOGLE_SDK_PYTHON_LOGGING_SCOPE", None)
    os.environ["GRPC_VERBOSITY"] = "NONE"
    if is_googles():
        os.environ.setdefault("GCE_METADATA_TIMEOUT", "1")
    else:
        os.environ["NO_GCE_CHECK"] = "true"
    logging.getLogger("google").setLevel(logging.WARNING)
    logging.getLogger("grpc").setLevel(logging.CRITICAL)
    for name, logger in list(logging.Logger.manager.loggerDict.items()):
        if name.startswith("google.") and isinstance(logger, logging.Logger) and 0 < logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)
