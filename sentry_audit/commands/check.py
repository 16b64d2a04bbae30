"""The command ``check``: audit, report, and on demand go on to ``fix``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentry_audit import completing, flags, publishing

if TYPE_CHECKING:
    from sentry_audit.app import Request
    from sentry_audit.fixing import Step


def check(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="The repository to audit.", show_default="the current folder")] = Path(),
    env: flags.Environments = None,
    all_envs: Annotated[
        bool, typer.Option("--all-envs", help="Audit every environment that the repository speaks of.")
    ] = False,
    component: flags.Components = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            "--select",
            metavar="IDS",
            autocompletion=completing.check_lists,
            help="Only these checks (ids, globs, area:…, severity:…); comma-separated.",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore", metavar="IDS", autocompletion=completing.check_lists, help="Not these checks; comma-separated."
        ),
    ] = None,
    offline: flags.Offline = False,
    evidence: flags.Evidence = None,
    max_age: flags.MaxAge = "24h",
    project: flags.Project = "",
    region: flags.Regions = None,
    gcp_endpoint: flags.Endpoint = "",
    impersonate: flags.Impersonate = "",
    quota_project: flags.QuotaProject = "",
    timeout: flags.Timeout = 60,
    no_payload: flags.NoPayload = False,
    sentry_url: flags.SentryUrl = "",
    sentry_org: flags.SentryOrganization = "",
    sentry_window: flags.SentryWindow = "30d",
    output: flags.Format = None,
    with_fixes: Annotated[
        bool, typer.Option("--with-fixes", help="Plan the fixes of files too, for --format sarif; nothing is changed.")
    ] = False,
    fail_on: flags.FailOn = flags.Least.medium,
    allow_unknown: Annotated[
        bool, typer.Option("--allow-unknown", help="Do not fail when a check could not be decided.")
    ] = False,
    show_passed: flags.ShowPassed = False,
    no_waivers: Annotated[
        bool, typer.Option("--no-waivers", help="Accept nothing: as if there were no waivers and no baseline.")
    ] = False,
    show_waived: Annotated[
        bool, typer.Option("--show-waived", help="Also list what is waived: why, by whom, until when.")
    ] = False,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline", metavar="FILE", help="Only gaps that are not in FILE fail the run; see baseline create."
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say why each component was taken for one.")] = False,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Tell each setting and where it comes from; nothing is audited.")
    ] = False,
    fix_: Annotated[
        bool, typer.Option("--fix", help="Then fix what was found, as the command fix does; it asks first.")
    ] = False,
) -> None:
    """Audit a repository: which link of the chain to Sentry is broken, and where."""
    from sentry_audit.app import Request
    from sentry_audit.app import check as audit
    from sentry_audit.errors import UsageError
    from sentry_audit.evidence import seconds
    from sentry_audit.model import Status
    from sentry_audit.reporters.base import exit_code

    asks = flags.asks_cloud(evidence, offline=offline)
    if no_waivers and baseline is not None:
        raise UsageError("--no-waivers and --baseline exclude each other", "--no-waivers leaves the baseline out too")
    cloud = flags.cloud_options(
        project, flags.split(region), gcp_endpoint, impersonate, quota_project, timeout, no_payload=no_payload
    )
    sentry = flags.sentry_options(timeout, sentry_url, sentry_org, sentry_window)
    targets = publishing.targets(output or ["terminal"])
    request = Request(
        root=path,
        environments=tuple(env or ()),
        all_environments=all_envs,
        components=flags.split(component),
        select=flags.split(select),
        ignore=flags.split(ignore),
        fail_on=flags.severity(fail_on),
        allow_unknown=allow_unknown,
        cloud=cloud if asks else None,
        evidence=evidence,
        max_age=seconds(max_age),
        waivers=not no_waivers,
        baseline=baseline,
        sentry=sentry if asks else None,
    )
    if fix_ and (all_envs or len(request.environments) > 1):
        raise UsageError("--fix works in one environment at a time", "give one: --env staging")
    if with_fixes and (all_envs or len(request.environments) > 1):
        raise UsageError("--with-fixes works in one environment at a time", "give one: --env staging")
    if with_fixes and all(name != "sarif" for name, _ in targets):
        raise UsageError("--with-fixes is for --format sarif", "add it, or see the plan: sentry-audit fix --dry-run")
    if show_config:
        _show_config(context, request)
        return
    progress = flags.progress() if asks else None
    fixes: tuple[Step, ...] = ()
    if with_fixes:
        from sentry_audit import rehearsing

        planned = rehearsing.plan(request, cloud=False, progress=progress)
        reports, fixes = [planned.before], planned.plan.steps
    else:
        reports = audit(request, progress=progress)
    publishing.write(reports, targets, show_passed=show_passed, verbose=verbose, show_waived=show_waived, fixes=fixes)
    _tell_of_half_a_run(path)
    if fix_ and any(finding.status is Status.GAP for finding in reports[0].findings):
        from sentry_audit.repairing import Wishes, fix_selected

        sys.stdout.flush()
        raise typer.Exit(fix_selected(request, Wishes(), publishing.options(), progress))
    raise typer.Exit(exit_code(reports))


def _show_config(context: typer.Context, request: Request) -> None:
    from sentry_audit import settings, showing

    found = settings.load(request.root), settings.find(request.root)
    sys.stdout.write(showing.shown(request, showing.options_of(context, *found)))


def _tell_of_half_a_run(root: Path) -> None:
    """Say that ``fix`` was ended in the middle here: what was audited is then neither what was nor what is to be."""
    top = next((item for item in (root.absolute(), *root.absolute().parents) if (item / ".git").exists()), root)
    if not ((root / ".sentry-audit/runs").is_dir() or (top / ".git").is_file() or (top / ".git/sentry-audit").is_dir()):
        return  # nothing is loaded for it where fix has never been
    from sentry_audit.applying import unfinished
    from sentry_audit.applying.telling import interrupted, ways_on

    if (run := unfinished(root)) is not None:
        sys.stdout.flush()
        sys.stderr.write(f"note: {interrupted(run)}\n  {ways_on(root)}\n")


COMMAND = check
EPILOG = flags.more(
    "sentry-audit check --env staging",
    "sentry-audit check --all-envs --offline --fail-on high",
    "sentry-audit check --select 'dsn-*,area:privacy' --format sarif=out.sarif",
    "sentry-audit check --show-config",
    codes="0 nothing open, 1 gaps, 2 usage, 3 nothing audited, 4 not determined.",
    see="fix, explain, waive, baseline; init for the settings.",
)
