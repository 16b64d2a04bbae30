"""The command line: find the command, run it, and turn what went wrong into one message and an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sentry_audit import __version__, plugins

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS = "sentry_audit.commands"
_DEBUG = "SENTRY_AUDIT_DEBUG"
#: The order in which help names the commands; others come after these.
_ORDER = (
    "init",
    "check",
    "fix",
    "undo",
    "verify",
    "collect",
    "trace",
    "diff",
    "waive",
    "waivers",
    "baseline",
    "explain",
    "checks",
)
_EXIT_CODES = (
    "Exit codes: 0 nothing open, 1 gaps, 2 usage, 3 nothing audited, 4 not determined, 5 a fix failed, "
    "6 a stale plan, 10 fix --dry-run has changes, 70 a bug in sentry-audit."
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"sentry-audit {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a bug in sentry-audit.")] = False,
) -> None:
    """Say, with evidence, whether an application's errors can really reach Sentry."""
    del version
    if debug:
        os.environ[_DEBUG] = "1"


def build(words: Sequence[str] = ()) -> typer.Typer:
    """The application; of its commands only the one that the first of ``words`` names, if it names one.

    To load the options of all commands takes a tenth of a short run.
    """
    app = typer.Typer(
        name="sentry-audit",
        help="Say, with evidence, whether an application's errors can really reach Sentry.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=_EXIT_CODES,
    )
    app.callback()(root)
    known = plugins.names(_COMMANDS)
    ordered = [*(name for name in _ORDER if name in known), *(name for name in known if name not in _ORDER)]
    for name in [name for name in words[:1] if name in known] or ordered:
        module = plugins.load(_COMMANDS, name)
        command = module.COMMAND
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, epilog=module.EPILOG)(command)
    return app


def run() -> NoReturn:
    """Run the application; every expected failure is one message, one hint and its exit code."""
    from sentry_audit.errors import AuditError

    try:
        build(sys.argv[1:2])()
    except AuditError as error:
        from sentry_audit.dsn import redact

        sys.stderr.write(redact(f"error: {error.message}\n" + (f"hint: {error.hint}\n" if error.hint else "")))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        from sentry_audit.dsn import redact

        sys.stderr.write(
            redact(
                f"internal error: {type(error).__name__}: {error}\n"
                "hint: this is a bug in sentry-audit; run sentry-audit --debug … and report the traceback\n"
            )
        )
        sys.exit(70)
    sys.exit(0)
