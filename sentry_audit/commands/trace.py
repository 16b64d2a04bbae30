"""The command ``trace``: the way of one variable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sentry_audit import flags, publishing


def trace(
    variable: Annotated[str, typer.Argument(metavar="VARIABLE", help="For example SENTRY_DSN.")],
    path: flags.Root = Path(),
    env: flags.Environment = None,
    component: flags.Components = None,
) -> None:
    """Follow one variable, link by link, from the code that reads it up to where it breaks."""
    from sentry_audit.app import Request
    from sentry_audit.app import trace as follow
    from sentry_audit.reporters.ways import exit_code, render_trace

    ways = follow(Request(root=path, environments=(env,) if env else (), components=flags.split(component)), variable)
    sys.stdout.write(render_trace(variable, ways, publishing.options()))
    raise typer.Exit(exit_code(ways))


COMMAND = trace
EPILOG = flags.more(
    "sentry-audit trace SENTRY_DSN --env staging",
    codes="0 it arrives, 1 it breaks, 3 it is named nowhere, 4 not determined.",
    see="check, diff.",
)
