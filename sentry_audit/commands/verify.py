"""The command ``verify``: boot the application, and prove on the wire that its errors reach Sentry."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from sentry_audit import flags, publishing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.auditing import Request
    from sentry_audit.model import Report
    from sentry_audit.verifying.running import Prepared, Wishes
    from sentry_audit.verifying.variables import Variables
    from sentry_audit.wire import Sent

    Locks: TypeAlias = Mapping[str, tuple[str, ...]] | None


def verify(
    path: Annotated[Path, typer.Argument(help="The repository.", show_default="the current folder")] = Path(),
    env: flags.Environment = None,
    component: flags.Components = None,
    built: Annotated[
        Path | None,
        typer.Option("--built", metavar="DIR", help="What a front end was built into: it is opened in a browser."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Execute the application without a question.")] = False,
    env_file: Annotated[
        list[Path] | None,
        typer.Option("--env-file", metavar="FILE", help="Variables to boot it with, as dotenv; repeatable."),
    ] = None,
    python: Annotated[
        str,
        typer.Option(
            "--python", metavar="PATH", help="The interpreter.", show_default="the project's .venv, else the active one"
        ),
    ] = "",
    command: Annotated[
        str,
        typer.Option(
            "--command", metavar="TEXT", help="What starts it, in place of what was found; {port} is its port."
        ),
    ] = "",
    header: Annotated[
        list[str] | None,
        typer.Option("--header", metavar="NAME: VALUE", help="Sent with each request, to be signed in; repeatable."),
    ] = None,
    boot_timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, help="How long it may take to boot.")
    ] = 60,
    record: Annotated[
        bool, typer.Option("--record", help="Write sentry-audit.lock: the JSON paths that leave the application.")
    ] = False,
    locked: Annotated[bool, typer.Option("--locked", help="Fail when a path leaves that is not in it.")] = False,
    select: Annotated[
        list[str] | None, typer.Option("--select", metavar="IDS", help="Only these proofs; comma-separated.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="IDS", help="Not these proofs; comma-separated.")
    ] = None,
    output: flags.Format = None,
    fail_on: flags.FailOn = flags.Least.medium,
    allow_unknown: Annotated[
        bool, typer.Option("--allow-unknown", help="Do not fail when a proof could not be made.")
    ] = False,
    show_passed: flags.ShowPassed = False,
    no_waivers: Annotated[bool, typer.Option("--no-waivers", help="Accept nothing: as if there were none.")] = False,
    show_waived: Annotated[bool, typer.Option("--show-waived", help="Also list what is waived.")] = False,
) -> None:
    """Boot the application on this machine, and prove on the wire that its errors would reach Sentry.

    It is executed with the variables that its deployment passes, in a process that reaches nothing outside this machine.
    """
    from sentry_audit.app import Request
    from sentry_audit.errors import UsageError
    from sentry_audit.reporters.base import exit_code
    from sentry_audit.verifying import locking, running
    from sentry_audit.verifying.booting import ended_together

    if record and locked:
        raise UsageError("--record and --locked exclude each other", "record first, compare later")
    targets = publishing.targets(output or ["terminal"])
    request = Request(
        root=path, environments=(env,) if env else (), components=flags.split(component), select=flags.split(select),
        ignore=flags.split(ignore), fail_on=flags.severity(fail_on),
        allow_unknown=allow_unknown, waivers=not no_waivers, proofs=True,
    )  # fmt: skip
    wishes = running.Wishes(
        python=python, command=command, variables=_variables(env_file or []), headers=_headers(header or []), timeout=boot_timeout
    )  # fmt: skip
    locks = locking.read(path) if locked else None
    with ended_together():
        if built is not None:
            report, sent = _built(request, built, wishes, locks, yes=yes)
        else:
            report, sent = _booted(request, wishes, locks, yes=yes)
    if record:
        before = locking.read(path) if (path / locking.NAME).is_file() else {}
        written = locking.write(path, locking.text(sent, report.environment, before))
        sys.stderr.write(f"{written} was written: look at it, and commit it\n")
    publishing.write([report], targets, show_passed=show_passed, verbose=False, show_waived=show_waived)
    raise typer.Exit(exit_code([report]))


def _booted(request: Request, wishes: Wishes, locks: Locks, *, yes: bool) -> tuple[Report, dict[str, tuple[Sent, ...]]]:
    """What became of the Python components, and what left each."""
    from sentry_audit.app import selected
    from sentry_audit.verifying import running

    prepared = running.prepare(request, wishes, locks)
    checks = selected(request, prepared.settings)
    _consent(_shown(prepared, wishes), yes=yes)
    report, seen = running.verify(prepared, checks, wishes, _progress)
    return report, {name: observed.sent for name, observed in seen.items()}


def _built(
    request: Request, folder: Path, wishes: Wishes, locks: Locks, *, yes: bool
) -> tuple[Report, dict[str, tuple[Sent, ...]]]:
    """What became of a front end that was built into ``folder``, in a browser, and what left it."""
    from sentry_audit.app import selected
    from sentry_audit.verifying import built

    page = built.prepare(request, folder, wishes.variables)
    checks = selected(request, page.prepared.settings)
    told = (
        f"verify opens {folder} in a browser on this machine, where its scripts run; it can reach nothing outside of it:\n"
        f"  {page.component.name}: {page.bundle.scripts} scripts\n"
    )
    if page.build is not None:
        import shlex

        from sentry_audit.verifying.serving import argv

        words = shlex.join(argv(page.build, wishes.command, "PORT"))
        told += f"  its server: {words or page.build.unknown}\n    in {page.build.folder}\n    with {_named(page.variables, wishes)}\n"
    _consent(told, yes=yes)
    return built.verify(page, checks, wishes, _progress, locks)


def _variables(files: list[Path]) -> dict[str, str]:
    """The variables of dotenv files, the last one wins. Raises UsageError for one that is not there."""
    from sentry_audit.errors import UsageError

    found: dict[str, str] = {}
    for file in files:
        if not file.is_file():
            raise UsageError(f"{file} is no file", "give the path of a dotenv file")
        from dotenv import dotenv_values

        found.update({name: value or "" for name, value in dotenv_values(file).items()})
    return found


def _headers(words: list[str]) -> tuple[tuple[str, str], ...]:
    from sentry_audit.errors import UsageError

    found = []
    for word in words:
        name, colon, value = word.partition(":")
        if not colon or not name.strip() or "\n" in word or "\r" in word:
            raise UsageError(f"{name!r} is no header", "for example: --header 'Authorization: Bearer …'")
        found.append((name.strip(), value.strip()))
    return tuple(found)


def _consent(told: str, *, yes: bool) -> None:
    from sentry_audit.applying.consent import terminal
    from sentry_audit.errors import NothingAudited, UsageError

    person = terminal()
    person.say(told)
    if yes:
        return
    answer = person.ask("Execute this? [y/N] ")
    if answer is None:
        raise UsageError("there is nobody to ask whether the application may be executed", "pass --yes")
    if answer.lower() not in {"y", "yes"}:
        raise NothingAudited(
            "nothing was executed: you did not agree to it", "look at what is executed, then pass --yes"
        )


def _shown(prepared: Prepared, wishes: Wishes) -> str:
    import shlex

    lines = ["verify executes this repository's code on this machine; it can reach nothing outside of it:"]
    for item in prepared.subjects:
        lines.append(f"  {item.component.name}: " + (shlex.join(item.boot.argv) or item.boot.unknown))
        lines.append(f"    in {prepared.request.root / item.boot.folder}")
        lines.append(f"    with {_named(item.variables, wishes)}")
    return "\n".join(lines) + "\n"


def _named(variables: Variables, wishes: Wishes) -> str:
    """The names of what is passed, and where each is from."""
    told = []
    for name in sorted(variables.values):
        mark = " (yours)" if name in wishes.variables else " (a stand-in)" if name in variables.stand_ins else ""
        told.append(f"{name}{mark}")
    return ", ".join(told) or "no variables of its own"


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")


COMMAND = verify
EPILOG = flags.more(
    "sentry-audit verify --env staging",
    "sentry-audit verify --env staging --yes --locked --format junit=proofs.xml",
    "sentry-audit verify --env staging --built web/dist",
    codes="0 every proof was made, 1 one shows a gap, 2 usage, 3 nothing to boot, or not agreed, 4 a proof could not be made.",
    see="check, fix, explain.",
)
