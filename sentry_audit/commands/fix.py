"""The command ``fix``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sentry_audit import completing, flags, publishing


def fix(
    path: flags.Root = Path(),
    env: flags.Environment = None,
    component: flags.Components = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="IDS",
            autocompletion=completing.check_lists,
            help="Only gaps of these checks (as in check --select); comma-separated.",
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
    no_format: Annotated[
        bool, typer.Option("--no-format", help="Do not run the project's own formatter over what is written.")
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
            help="Where a new secret's DSN comes from: env:NAME, file:PATH, sentry:ORG/PROJECT, prompt or -.",
        ),
    ] = "",
    confirm_project: flags.ConfirmProject = None,
    no_waivers: Annotated[bool, typer.Option("--no-waivers", help="Also fix what is waived.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Only the repository; no cloud is asked.")] = False,
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
) -> None:
    """Fix what check finds: plan, show, ask, apply, and audit again.

    Every change is rehearsed on a copy in memory: it is planned only if it closes its gap and opens no other. Changes are
    safe (only what Sentry sees is different), to be reviewed (the application behaves differently: read the diff), or
    live (Google Cloud); you are asked for each class. --yes makes all three; what a new audit could not prove is made
    only with --unsafe. What is waived is left as it is, what is in the baseline is fixed.
    """
    from sentry_audit.app import Request
    from sentry_audit.evidence import seconds
    from sentry_audit.repairing import Wishes
    from sentry_audit.repairing import fix as repair

    asks = flags.asks_cloud(evidence, offline=offline)
    options = flags.cloud_options(
        project, flags.split(region), gcp_endpoint, impersonate, quota_project, timeout, no_payload=no_payload
    )
    sentry = flags.sentry_options(timeout, sentry_url, sentry_org, sentry_window)
    request = Request(
        root=path,
        environments=(env,) if env else (),
        components=flags.split(component),
        cloud=options if asks else None,
        evidence=evidence,
        max_age=seconds(max_age),
        waivers=not no_waivers,
        baselined=False,
        sentry=sentry if asks else None,
    )
    wishes = Wishes(
        only=flags.split(only),
        repo=repo,
        cloud=cloud,
        dry_run=dry_run,
        file=plan,
        yes=yes,
        unsafe=unsafe,
        formatted=not no_format,
        allow_dirty=allow_dirty,
        resume=resume,
        dsn_from=dsn_from,
        sentry=sentry,
        confirmed=flags.split(confirm_project),
    )
    raise typer.Exit(repair(request, wishes, publishing.options(), flags.progress() if asks else None))


COMMAND = fix
EPILOG = flags.more(
    "sentry-audit fix --env staging --dry-run",
    "sentry-audit fix --only backend-sdk-declared --yes",
    "sentry-audit fix --plan plan.json",
    "sentry-audit fix --cloud --dsn-from env:DSN",
    codes="0 closed, 1 gaps are left, 2 usage, 3 nothing audited, 5 a fix failed, 6 a stale plan, 10 --dry-run has changes.",
    see="check, undo.",
)
