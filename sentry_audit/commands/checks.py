"""The commands under ``checks``: what the catalogue holds, and whether a check file is sound."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentry_audit import completing, flags

if TYPE_CHECKING:
    from sentry_audit.checks import Check

APP = typer.Typer(
    help="The catalogue of checks: list, validate, test, schema.", no_args_is_help=True, rich_markup_mode=None
)


#: How an example has to end.
_ENDS = {"pass": "a pass", "fail": "a gap", "unknown": "unknown"}


@APP.command(
    "list",
    epilog=flags.more(
        "sentry-audit checks list", codes="0 listed, 2 settings or check files that are wrong.", see="explain."
    ),
)
def list_checks(path: flags.Root = Path()) -> None:
    """List the checks of the catalogue, and those that the settings of the repository add."""
    from sentry_audit.app import all_checks
    from sentry_audit.catalogue import listing

    sys.stdout.write(listing(all_checks(path)))


@APP.command(
    epilog=flags.more(
        "sentry-audit checks validate checks/ours.yaml",
        codes="0 no mistake, 2 mistakes.",
        see="checks test, checks schema.",
    )
)
def validate(
    file: Annotated[Path | None, typer.Argument(help="A check file; the shipped one when left out.")] = None,
) -> None:
    """Read a check file, and name what is wrong with it by file, line and key."""
    checks = _load(file)
    sys.stdout.write(
        f"{file or 'checks.yaml'}: {len(checks)} {'check' if len(checks) == 1 else 'checks'}, no mistake found\n"
    )


@APP.command(
    "test",
    epilog=flags.more(
        "sentry-audit checks test checks/ours.yaml",
        "sentry-audit checks test --select dsn-format",
        codes="0 all as they should be, 1 some are not, 2 mistakes in the file.",
        see="checks validate.",
    ),
)
def run_tests(
    file: Annotated[Path | None, typer.Argument(help="A check file; the shipped one when left out.")] = None,
    select: Annotated[
        list[str] | None,
        typer.Option("--select", metavar="IDS", autocompletion=completing.check_lists, help="Only these checks."),
    ] = None,
) -> None:
    """Run the examples of a check file: each pass example must pass, each fail example must be a gap."""
    from sentry_audit.catalogue import run_examples
    from sentry_audit.engine import select as choose

    checks = _load(file)
    results = run_examples(choose(checks, flags.split(select), ()))
    order = [item.id for item in checks]
    for result in results:
        if result.problem:
            path = ("checks", order.index(result.check), "examples", result.key, result.index)
            place = f"{file or 'checks.yaml'}:{_line(file, path)}"
            sys.stdout.write(
                f"✗ failed  {result.check}  {place}  {result.key}[{result.index}]: {result.problem}, not {_ENDS[result.key]}\n"
            )
    failed = sum(bool(result.problem) for result in results)
    sys.stdout.write(f"{len(results) - failed} passed, {failed} failed\n")
    raise typer.Exit(1 if failed else 0)


@APP.command(
    epilog=flags.more(
        "sentry-audit checks schema > checks.schema.json",
        "sentry-audit checks schema --settings-format",
        codes="0 printed, 2 usage.",
        see="init --schema.",
    )
)
def schema(
    settings_format: Annotated[
        bool, typer.Option("--settings-format", help="The schema of sentry-audit.yaml instead.")
    ] = False,
    output_format: Annotated[
        bool, typer.Option("--output-format", help="The schema of --format json instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of check files, of sentry-audit.yaml, or of the JSON report.

    Editors complete and check a YAML file by it whose first line is:
    # yaml-language-server: $schema=FILE
    """
    import json

    from sentry_audit.errors import UsageError

    document: dict[str, object]
    if settings_format and output_format:
        raise UsageError("--settings-format and --output-format exclude each other", "print one after the other")
    if output_format:
        from sentry_audit.reporters.schema import output_schema

        document = output_schema()
    elif settings_format:
        from sentry_audit.settings_model import schema as settings_schema

        document = settings_schema()
    else:
        from sentry_audit.checks_schema import schema as checks_schema

        document = checks_schema()
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def _line(file: Path | None, path: tuple[str | int, ...]) -> int:
    from sentry_audit.app import checks_text
    from sentry_audit.positions import yaml_line

    return yaml_line(checks_text() if file is None else file.read_text(encoding="utf-8-sig"), path)


def _load(file: Path | None) -> tuple[Check, ...]:
    from sentry_audit.app import checks_file, shipped_checks

    return shipped_checks() if file is None else checks_file(file)


COMMAND = APP
