"""The command ``undo``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sentry_audit import flags, publishing


def undo(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="The run, as fix named it.", show_default="the latest")
    ] = "",
    path: Annotated[
        Path, typer.Option("--root", metavar="PATH", help="The repository.", show_default="the current folder")
    ] = Path(),
    list_runs: Annotated[bool, typer.Option("--list", help="List the runs of fix on this repository.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: take back what is shown.")] = False,
    confirm_project: flags.ConfirmProject = None,
    gcp_endpoint: flags.Endpoint = "",
    impersonate: flags.Impersonate = "",
    quota_project: flags.QuotaProject = "",
) -> None:
    """Take back what a run of fix changed: files byte for byte, and Google Cloud.

    You are asked first, as fix asks; in production by the id of each project whose Google Cloud is changed.
    """
    from sentry_audit.applying import known_runs, undoable
    from sentry_audit.applying import undo as take_back
    from sentry_audit.applying.consent import consent_to_run, terminal
    from sentry_audit.applying.telling import listing, to_be_undone, undo_command, undone
    from sentry_audit.errors import FixFailed, UsageError

    if not path.is_dir():
        raise UsageError(f"no such folder: {path}", "give the folder of the repository that was fixed")
    if list_runs:
        sys.stdout.write(listing(known_runs(path)))
        return
    width = publishing.options().width
    chosen, person = undoable(path, run), terminal()
    if chosen.ahead:
        person.say(to_be_undone(chosen, width))
        confirmed = flags.split(confirm_project)
        if not consent_to_run(
            chosen, chosen.live, "Take this back? [y/N] ", agreed=yes, confirmed=confirmed, person=person
        ):
            sys.stdout.write("nothing was changed\n")
            raise typer.Exit(1)
    options = flags.cloud_options("", (), gcp_endpoint, impersonate, quota_project, 60, no_payload=False)
    name, taken = take_back(path, chosen.name, cloud=lambda: flags.changer(options), reporter=lambda _: None)
    sys.stdout.write(undone(name, taken, width))
    if taken.left:
        raise FixFailed(
            f"run {name} is only partly undone", f"look at what is left, then again: {undo_command(name, path)}"
        )


COMMAND = undo
EPILOG = flags.more(
    "sentry-audit undo",
    "sentry-audit undo --list",
    codes="0 taken back, 1 declined, 2 usage or no such run, 5 something could not be taken back.",
    see="fix.",
)
