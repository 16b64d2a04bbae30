"""The command ``waivers``: what is accepted, and what of it is of no use any more."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sentry_audit import flags, publishing

COMMAND = typer.Typer(help="Look at the waivers, and take out those of no use.", no_args_is_help=True)


@COMMAND.command(
    "list",
    epilog=flags.more(
        "sentry-audit waivers list", codes="0 listed, 2 settings that are wrong.", see="waive, waivers prune."
    ),
)
def list_(path: flags.Root = Path()) -> None:
    """List every waiver: where it is written, of which check, until when, and why."""
    from sentry_audit.accepting import ledger
    from sentry_audit.app import Request, ids
    from sentry_audit.auditing import open_tree
    from sentry_audit.reporters.waived import render_written

    request = Request(root=path, baselined=False)
    tree, settings = open_tree(request)
    found = ledger(request, settings, tree, lambda: ids(request, settings))
    sys.stdout.write(render_written(found.written, found.complaints, found.today, publishing.options()))


@COMMAND.command(
    epilog=flags.more(
        "sentry-audit waivers prune --offline",
        "sentry-audit waivers prune --yes",
        codes="0 nothing to do, or written; 1 declined, 2 usage.",
        see="waivers list.",
    )
)
def prune(
    path: flags.Root = Path(),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    offline: flags.Offline = False,
    evidence: flags.Evidence = None,
    project: flags.Project = "",
    region: flags.Regions = None,
    gcp_endpoint: flags.Endpoint = "",
    impersonate: flags.Impersonate = "",
    quota_project: flags.QuotaProject = "",
    timeout: flags.Timeout = 60,
    no_payload: flags.NoPayload = False,
) -> None:
    """Take out waivers that have expired, or that no gap needs in any environment: shows a diff, and asks.

    A waiver stays while a check that it speaks of could not be decided.
    """
    from sentry_audit.app import Request
    from sentry_audit.applying.consent import terminal
    from sentry_audit.errors import UsageError
    from sentry_audit.reporters.waived import render_pruning
    from sentry_audit.waiving import prune as take_out
    from sentry_audit.waiving import pruning

    asks = flags.asks_cloud(evidence, offline=offline)
    cloud = flags.cloud_options(
        project, flags.split(region), gcp_endpoint, impersonate, quota_project, timeout, no_payload=no_payload
    )
    sentry = flags.sentry_options(timeout) if asks else None
    request = Request(root=path, cloud=cloud if asks else None, evidence=evidence, sentry=sentry)
    found = pruning(request, flags.progress() if asks else None)
    shown = [f"{item.written}: {item.why}" for item in found.unused]
    sys.stdout.write(render_pruning(shown, found.changes, found.left, publishing.options()))
    if not found.changes:
        return
    if not yes:
        sys.stdout.flush()
        answer = terminal().ask("Take them out? [y/N] ")
        if answer is None:
            raise UsageError("there is nobody to ask whether they are to be taken out", "look at them, then pass --yes")
        if answer.lower() not in {"y", "yes"}:
            sys.stdout.write("nothing was changed\n")
            raise typer.Exit(1)
    take_out(request, found)
    sys.stdout.write(f"written: {', '.join(change.path for change in found.changes)}\n")
