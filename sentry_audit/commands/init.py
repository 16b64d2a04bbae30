"""The command ``init``: the settings of a repository, begun with what is found in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sentry_audit import flags


def init(
    path: flags.Root = Path(),
    print_: Annotated[
        bool, typer.Option("--print", help="Print the settings, whatever is there; nothing is written.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Also write sentry-audit.schema.json, and lead editors to it.")
    ] = False,
) -> None:
    """Write sentry-audit.yaml, with the components, environments and deployments that are found, and where.

    Only the repository is looked at. What would be found anyway is commented out, so that findings are the same as
    before. Settings that are there stay as they are: then what they do not speak of is shown, and nothing is written.
    """
    from sentry_audit.initialising import begin, proposal

    if print_:
        sys.stdout.write(proposal(path, schema=schema))
        return
    begun = begin(path, schema=schema)
    for name in begun.written:
        sys.stdout.write(f"written: {path / name}\n")
    if begun.diff:
        sys.stdout.write(
            f"{path / 'sentry-audit.yaml'} is there, and stays as it is. It could also say:\n\n{begun.diff}"
        )
    elif not begun.written:
        sys.stdout.write(f"{path / 'sentry-audit.yaml'} is there: nothing to add\n")
    if "sentry-audit.yaml" in begun.written:
        sys.stdout.write("look at what counts: sentry-audit check --show-config\n")


COMMAND = init
EPILOG = flags.more(
    "sentry-audit init",
    "sentry-audit init services/shop --schema",
    "sentry-audit init --print",
    codes="0 written, or nothing to add; 2 settings that are wrong, or in pyproject.toml; 3 an empty folder.",
    see="check --show-config, checks schema --settings-format.",
)
