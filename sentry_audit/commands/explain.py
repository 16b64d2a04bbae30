"""The command ``explain``: a page about one check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sentry_audit import completing, flags


def explain(
    check_id: Annotated[
        str,
        typer.Argument(
            metavar="CHECK_ID",
            help="For example backend-sdk-declared.",
            show_default=False,
            autocompletion=completing.check_ids,
        ),
    ] = "",
    path: flags.Root = Path(),
) -> None:
    """Say why a check exists, what it looks at, what closes it, and what it needs; offline.

    Checks of your own are known where the settings of the repository name their file.
    """
    from sentry_audit.app import describe
    from sentry_audit.auditing import fixable
    from sentry_audit.errors import UsageError
    from sentry_audit.explaining import explanation

    if not check_id:
        raise UsageError(
            "which check?", "see: sentry-audit checks list; then for example: sentry-audit explain dsn-format"
        )
    sys.stdout.write(explanation(describe(check_id, path), can_fix=check_id in fixable()))


COMMAND = explain
EPILOG = flags.more(
    "sentry-audit explain backend-sdk-declared",
    codes="0 explained, 2 no such check (the nearest is named).",
    see="checks list, check.",
)
