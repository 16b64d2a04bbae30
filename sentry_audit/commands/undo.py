"""The command ``undo``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sentry_audit import flags


def undo(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="The run, as fix named it.", show_default="the latest")
    ] = "",
    path: Annotated[
        Path, typer.Option("--root", metavar="PATH", help="The repository.", show_default="the current folder")
    ] = Path(),
    list_runs: Annotated[bool, typer.Option("--list", help="List the runs of fix on this repository.")] = False,
    gcp_endpoint: flags.Endpoint = "",
    impersonate: flags.Impersonate = "",
    quota_project: flags.QuotaProject = "",
) -> None:
    """Take back what a run of fix changed: files byte for byte, and Google Cloud."""
    from sentry_audit.applying import known_runs
    from sentry_audit.applying import undo as take_back
    from sentry_audit.applying.telling import listing, undone
    from sentry_audit.errors import FixFailed, UsageError

    if not path.is_dir():
        raise UsageError(f"no such folder: {path}", "give the folder of the repository that was fixed")
    if list_runs:
        sys.stdout.write(listing(known_runs(path)))
        return
    options = flags.cloud_options("", (), gcp_endpoint, impersonate, quota_project, 60, no_payload=False)
    name, taken = take_back(path, run, cloud=lambda: flags.changer(options), reporter=lambda _: None)
    sys.stdout.write(undone(name, taken))
    if taken.left:
        raise FixFailed(
            f"run {name} is only partly undone", f"look at what is left, then again: sentry-audit undo {name}"
        )


COMMAND = undo
