"""The command line: parse, call the use case, print, exit. Nothing is decided here."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sentry_audit import __version__, flags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.checks import Check
    from sentry_audit.model import Report
    from sentry_audit.reporters.base import RenderOptions

_DEBUG = "SENTRY_AUDIT_DEBUG"

app = typer.Typer(
    name="sentry-audit",
    help="Say, with evidence, whether an application's errors can really reach Sentry.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 nothing open, 1 gaps, 2 usage, 3 nothing audited, 4 not determined, 5 a fix failed, "
    "6 a stale plan, 10 fix --dry-run has changes, 70 a bug in sentry-audit.",
)
checks_app = typer.Typer(
    help="The catalogue of checks: list, validate, test, schema.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(checks_app, name="checks")


class FailOn(StrEnum):
    """From which severity on a gap fails the run."""

    high = "high"
    medium = "medium"
    low = "low"
    never = "never"


def _version(value: bool) -> None:
    if value:
        typer.echo(f"sentry-audit {__version__}")
        raise typer.Exit


@app.callback()
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


Root = Annotated[Path, typer.Argument(help="The repository.", show_default="the current folder")]


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="The repository to audit.", show_default="the current folder")] = Path(),
    env: flags.Environments = None,
    all_envs: Annotated[
        bool, typer.Option("--all-envs", help="Audit every environment that the repository speaks of.")
    ] = False,
    component: flags.Components = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            "--select", metavar="IDS", help="Only these checks (ids, globs, area:…, severity:…); comma-separated."
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="IDS", help="Not these checks; comma-separated.")
    ] = None,
    offline: flags.Offline = False,
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", metavar="FILE", help="What collect wrote, in place of asking the cloud."),
    ] = None,
    max_age: Annotated[
        str, typer.Option("--max-age", metavar="AGE", help="How old evidence may be: 90m, 24h, 7d.")
    ] = "24h",
    project: flags.Project = "",
    region: flags.Regions = None,
    gcp_endpoint: flags.Endpoint = "",
    impersonate: flags.Impersonate = "",
    quota_project: flags.QuotaProject = "",
    timeout: flags.Timeout = 60,
    no_payload: flags.NoPayload = False,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="FORMAT[=FILE]",
            help="terminal or json; with =FILE into a file; repeatable.",
            show_default="terminal",
        ),
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="From which severity on a gap fails the run.")
    ] = FailOn.medium,
    allow_unknown: Annotated[
        bool, typer.Option("--allow-unknown", help="Do not fail when a check could not be decided.")
    ] = False,
    show_passed: Annotated[
        bool, typer.Option("--show-passed", help="Also list what passed and what was skipped.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say why each component was taken for one.")] = False,
    fix_: Annotated[
        bool, typer.Option("--fix", help="Then fix what was found, as the command fix does; it asks first.")
    ] = False,
) -> None:
    """Audit a repository: which link of the chain to Sentry is broken, and where."""
    from sentry_audit.app import Request
    from sentry_audit.app import check as audit
    from sentry_audit.errors import UsageError
    from sentry_audit.evidence import seconds
    from sentry_audit.model import Severity, Status
    from sentry_audit.reporters.base import exit_code

    if offline and evidence is not None:
        raise UsageError("--offline and --evidence exclude each other", "leave --offline out: evidence asks no cloud")
    asks = not offline and evidence is None
    cloud = flags.cloud_options(
        project, _split(region), gcp_endpoint, impersonate, quota_project, timeout, no_payload=no_payload
    )
    targets = _targets(output or ["terminal"])
    request = Request(
        root=path,
        environments=tuple(env or ()),
        all_environments=all_envs,
        components=_split(component),
        select=_split(select),
        ignore=_split(ignore),
        fail_on=None if fail_on is FailOn.never else Severity(fail_on.value),
        allow_unknown=allow_unknown,
        cloud=cloud if asks else None,
        evidence=evidence,
        max_age=seconds(max_age),
    )
    if fix_ and (all_envs or len(request.environments) > 1):
        raise UsageError("--fix works in one environment at a time", "give one: --env staging")
    progress = flags.progress() if asks else None
    reports = audit(request, progress=progress)
    _write(reports, targets, show_passed=show_passed, verbose=verbose)
    if fix_ and any(finding.status is Status.GAP for finding in reports[0].findings):
        from sentry_audit.repairing import Wishes, fix_selected

        sys.stdout.flush()
        raise typer.Exit(fix_selected(request, Wishes(), _options(), progress))
    raise typer.Exit(exit_code(reports))


@app.command()
def fix(
    path: Root = Path(),
    env: Annotated[
        str | None, typer.Option("--env", metavar="NAME", help="The environment.", show_default="production")
    ] = None,
    component: flags.Components = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="IDS", help="Only gaps of these checks (as in check --select); comma-separated."
        ),
    ] = None,
    repo: Annotated[bool, typer.Option("--repo", help="Change only files of the repository.")] = False,
    cloud: Annotated[bool, typer.Option("--cloud", help="Change only Google Cloud.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done and stop: exit 10 if there is anything.")
    ] = False,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Save the plan in FILE and stop; if FILE is there, apply just that plan without asking again.",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask: make the safe, the reviewed and the live changes that are shown.")
    ] = False,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Also changes whose effect a new audit could not prove.")
    ] = False,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Also edit files that have uncommitted changes.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was ended in the middle; nothing is planned.")
    ] = False,
    dsn_from: Annotated[
        str,
        typer.Option(
            "--dsn-from",
            metavar="SOURCE",
            help="Where a new secret's DSN comes from: env:NAME, file:PATH, prompt or -.",
        ),
    ] = "",
    confirm_project: Annotated[
        list[str] | None,
        typer.Option(
            "--confirm-project", metavar="ID", help="Change production in this project without asking for its id."
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Only the repository; no cloud is asked.")] = False,
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", metavar="FILE", help="What collect wrote, in place of asking the cloud."),
    ] = None,
    max_age: Annotated[
        str, typer.Option("--max-age", metavar="AGE", help="How old evidence may be: 90m, 24h, 7d.")
    ] = "24h",
    project: flags.Project = "",
    region: flags.Regions = None,
    gcp_endpoint: flags.Endpoint = "",
    impersonate: flags.Impersonate = "",
    quota_project: flags.QuotaProject = "",
    timeout: flags.Timeout = 60,
    no_payload: flags.NoPayload = False,
) -> None:
    """Fix what check finds: plan, show, ask, apply, and audit again.

    Every change is rehearsed on a copy in memory: it is planned only if it closes its gap and opens no other. Changes are
    safe (only what Sentry sees is different), to be reviewed (the application behaves differently: read the diff), or
    live (Google Cloud); you are asked for each class. --yes makes all three; what a new audit could not prove is made
    only with --unsafe.
    """
    from sentry_audit.app import Request
    from sentry_audit.errors import UsageError
    from sentry_audit.evidence import seconds
    from sentry_audit.repairing import Wishes
    from sentry_audit.repairing import fix as repair

    if offline and evidence is not None:
        raise UsageError("--offline and --evidence exclude each other", "leave --offline out: evidence asks no cloud")
    asks = not offline and evidence is None
    options = flags.cloud_options(
        project, _split(region), gcp_endpoint, impersonate, quota_project, timeout, no_payload=no_payload
    )
    request = Request(
        root=path,
        environments=(env,) if env else (),
        components=_split(component),
        cloud=options if asks else None,
        evidence=evidence,
        max_age=seconds(max_age),
    )
    wishes = Wishes(
        only=_split(only),
        repo=repo,
        cloud=cloud,
        dry_run=dry_run,
        file=plan,
        yes=yes,
        unsafe=unsafe,
        allow_dirty=allow_dirty,
        resume=resume,
        dsn_from=dsn_from,
        confirmed=_split(confirm_project),
    )
    raise typer.Exit(repair(request, wishes, _options(), flags.progress() if asks else None))


@app.command()
def collect(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where to keep it, as JSON.", show_default=False)
    ],
    path: Root = Path(),
    env: flags.Environments = None,
    component: flags.Components = None,
    project: flags.Project = "",
    region: flags.Regions = None,
    gcp_endpoint: flags.Endpoint = "",
    impersonate: flags.Impersonate = "",
    quota_project: flags.QuotaProject = "",
    timeout: flags.Timeout = 60,
    no_payload: flags.NoPayload = False,
) -> None:
    """Ask Google Cloud, and keep what it says as evidence: check --evidence needs no credentials."""
    from sentry_audit.app import Request, collect_evidence
    from sentry_audit.evidence import dumps, summary

    cloud = flags.cloud_options(
        project, _split(region), gcp_endpoint, impersonate, quota_project, timeout, no_payload=no_payload
    )
    request = Request(
        root=path, environments=tuple(env or ()), all_environments=not env, components=_split(component), cloud=cloud
    )
    snapshot = collect_evidence(request, flags.progress())
    _save(output, dumps(snapshot).decode())
    sys.stdout.write(summary(snapshot, str(output)))
    raise typer.Exit(4 if snapshot.failure else 0)


def _split(values: list[str] | None) -> tuple[str, ...]:
    return tuple(part.strip() for value in values or () for part in value.split(",") if part.strip())


def _targets(values: Sequence[str]) -> list[tuple[str, Path | None]]:
    from sentry_audit.errors import UsageError, nearest
    from sentry_audit.plugins import names

    known = names("sentry_audit.reporters")
    found: list[tuple[str, Path | None]] = []
    for value in values:
        name, _, file = value.partition("=")
        if name not in known:
            hint = nearest(name, known, f"the formats are: {', '.join(known)}")
            raise UsageError(f"no format is called {name}", hint)
        found.append((name, Path(file) if file else None))
    if sum(file is None for _, file in found) > 1:
        raise UsageError(
            "two formats would go to standard output", "give all but one a file: --format json=report.json"
        )
    return found


def _write(
    reports: Sequence[Report], targets: Sequence[tuple[str, Path | None]], *, show_passed: bool, verbose: bool
) -> None:
    from sentry_audit.plugins import load
    from sentry_audit.reporters.base import RenderOptions

    for name, file in targets:
        reporter = load("sentry_audit.reporters", name).REPORTER
        options = RenderOptions(
            width=_width(), color=file is None and _color(), show_passed=show_passed, verbose=verbose
        )
        text = reporter.render(reports, options)
        if file is None:
            sys.stdout.write(text if text.endswith("\n") else text + "\n")
            continue
        _save(file, text)


def _save(file: Path, text: str) -> None:
    """Write a file whole: what was there stays until all of it is out."""
    from sentry_audit.errors import UsageError

    if file.is_dir():
        raise UsageError(f"{file} is a folder", "give the name of a file in it")
    special = file.exists() and not file.is_file()  # /dev/stdout and pipes are written to, not replaced
    target = file if special else file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        target.write_text(text, encoding="utf-8")
        if not special:
            target.replace(file.resolve() if file.is_symlink() else file)
    except OSError as error:
        if not special:
            target.unlink(missing_ok=True)
        raise UsageError(
            f"{file} cannot be written: {error.strerror}", "give a file in a folder that exists"
        ) from error


def _width() -> int:
    import shutil

    return max(40, min(80, shutil.get_terminal_size((80, 24)).columns))


def _color() -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


@app.command()
def trace(
    variable: Annotated[str, typer.Argument(metavar="VARIABLE", help="For example SENTRY_DSN.")],
    path: Root = Path(),
    env: Annotated[
        str | None, typer.Option("--env", metavar="NAME", help="The environment.", show_default="production")
    ] = None,
    component: Annotated[
        list[str] | None, typer.Option("--component", metavar="NAME", help="Only this component; repeatable.")
    ] = None,
) -> None:
    """Follow one variable, link by link, from the code that reads it up to where it breaks."""
    from sentry_audit.app import Request
    from sentry_audit.app import trace as follow
    from sentry_audit.reporters.ways import exit_code, render_trace

    ways = follow(Request(root=path, environments=(env,) if env else (), components=_split(component)), variable)
    sys.stdout.write(render_trace(variable, ways, _options()))
    raise typer.Exit(exit_code(ways))


@app.command()
def diff(
    left: Annotated[str, typer.Argument(metavar="ENV_A", help="For example staging.")],
    right: Annotated[str, typer.Argument(metavar="ENV_B", help="For example production.")],
    path: Root = Path(),
    offline: flags.Offline = False,
    project: flags.Project = "",
    region: flags.Regions = None,
    gcp_endpoint: flags.Endpoint = "",
    impersonate: flags.Impersonate = "",
    quota_project: flags.QuotaProject = "",
    timeout: flags.Timeout = 60,
    no_payload: flags.NoPayload = False,
) -> None:
    """Show what differs between two environments along the whole chain."""
    from sentry_audit.app import Request, difference
    from sentry_audit.reporters.ways import render_difference

    cloud = flags.cloud_options(
        project, _split(region), gcp_endpoint, impersonate, quota_project, timeout, no_payload=no_payload
    )
    request = Request(root=path, cloud=None if offline else cloud)
    found = difference(request, left, right, None if offline else flags.progress())
    sys.stdout.write(render_difference(left, right, found, _options()))


def _options() -> RenderOptions:
    from sentry_audit.reporters.base import RenderOptions

    return RenderOptions(width=_width(), color=_color())


@app.command()
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


@app.command()
def explain(
    check_id: Annotated[str, typer.Argument(metavar="CHECK_ID", help="For example backend-sdk-declared.")],
) -> None:
    """Say why a check exists, what it looks at, and what closes it."""
    from sentry_audit.app import describe
    from sentry_audit.catalogue import explanation

    sys.stdout.write(explanation(describe(check_id)))


@checks_app.command("list")
def list_checks() -> None:
    """List the checks of the catalogue."""
    from sentry_audit.app import shipped_checks
    from sentry_audit.catalogue import listing

    sys.stdout.write(listing(shipped_checks()))


@checks_app.command()
def validate(
    file: Annotated[Path | None, typer.Argument(help="A check file; the shipped one when left out.")] = None,
) -> None:
    """Read a check file, and name what is wrong with it by file, line and key."""
    checks = _load(file)
    sys.stdout.write(
        f"{file or 'checks.yaml'}: {len(checks)} {'check' if len(checks) == 1 else 'checks'}, no mistake found\n"
    )


@checks_app.command("test")
def run_tests(
    file: Annotated[Path | None, typer.Argument(help="A check file; the shipped one when left out.")] = None,
    select: Annotated[list[str] | None, typer.Option("--select", metavar="IDS", help="Only these checks.")] = None,
) -> None:
    """Run the examples of a check file: each pass example must pass, each fail example must be a gap."""
    from sentry_audit.catalogue import run_examples
    from sentry_audit.engine import select as choose

    results = run_examples(choose(_load(file), _split(select), ()))
    for result in results:
        if result.problem:
            sys.stdout.write(f"✗ failed  {result.check} {result.example}: {result.problem}\n")
    failed = sum(bool(result.problem) for result in results)
    sys.stdout.write(f"{len(results) - failed} passed, {failed} failed\n")
    raise typer.Exit(1 if failed else 0)


@checks_app.command()
def schema(
    output_format: Annotated[
        bool, typer.Option("--output-format", help="The schema of --format json instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of check files, or of the JSON report."""
    import json

    if output_format:
        from sentry_audit.reporters.schema import output_schema

        document = output_schema()
    else:
        from sentry_audit.checks import schema as checks_schema

        document = checks_schema()
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def _load(file: Path | None) -> tuple[Check, ...]:
    from sentry_audit.app import checks_file, shipped_checks

    return shipped_checks() if file is None else checks_file(file)


def _leave_out_others(words: Sequence[str]) -> None:
    """Keep only the command that the first word names: to make the options of all takes a tenth of a short run."""
    wanted = [
        item
        for item in app.registered_commands
        if (item.name or getattr(item.callback, "__name__", "").replace("_", "-")) in words
    ]
    if wanted:
        app.registered_commands, app.registered_groups = wanted, []


def run() -> NoReturn:
    """Run the application; every expected failure is one message, one hint and its exit code."""
    from sentry_audit.errors import AuditError

    _leave_out_others(sys.argv[1:2])
    try:
        app()
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
