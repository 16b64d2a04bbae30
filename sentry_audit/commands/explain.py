"""The command ``explain``: a page about one check."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def explain(
    check_id: Annotated[str, typer.Argument(metavar="CHECK_ID", help="For example backend-sdk-declared.")],
) -> None:
    """Say why a check exists, what it looks at, and what closes it."""
    from sentry_audit.app import describe
    from sentry_audit.catalogue import explanation

    sys.stdout.write(explanation(describe(check_id)))


COMMAND = explain
