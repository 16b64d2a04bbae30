"""The command ``waive``: accept the gaps of one check, in writing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sentry_audit import completing, flags, publishing


def waive(
    check_id: Annotated[
        str,
        typer.Argument(
            metavar="CHECK_ID", autocompletion=completing.check_ids, help="The check whose gaps are accepted."
        ),
    ],
    path: flags.Root = Path(),
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why they are accepted.")] = "",
    until: Annotated[
        str, typer.Option("--until", metavar="DATE", help="The last day (2027-01-31, in UTC), or permanent.")
    ] = "",
    env: flags.Environments = None,
    all_envs: Annotated[
        bool, typer.Option("--all-envs", help="In every environment that the repository speaks of.")
    ] = False,
    component: flags.Components = None,
    paths: Annotated[
        list[str] | None,
        typer.Option("--path", metavar="PATTERN", help="Only gaps in these files, as in .gitignore; repeatable."),
    ] = None,
    owner: Annotated[str, typer.Option("--owner", metavar="NAME", help="Who answers for it.")] = "",
    ticket: Annotated[str, typer.Option("--ticket", metavar="ID", help="Where it is followed up.")] = "",
    any_content: Annotated[
        bool,
        typer.Option("--any-content", help="Also gaps of the check that are to come; else only what is seen now."),
    ] = False,
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
) -> None:
    """Accept the gaps of a check that are there now, with a reason and a last day, in sentry-audit.yaml.

    The waiver is bound to what is seen now: when that changes, the gap is open again. After its last day it is, too.
    """
    from sentry_audit.app import Request
    from sentry_audit.errors import UsageError
    from sentry_audit.evidence import seconds
    from sentry_audit.waiving import Wish
    from sentry_audit.waiving import waive as accept

    if not reason or not until:
        raise UsageError(
            "a waiver needs a reason and a last day", 'give --reason "…" and --until 2027-01-31, or --until permanent'
        )
    asks = flags.asks_cloud(evidence, offline=offline)
    cloud = flags.cloud_options(
        project, flags.split(region), gcp_endpoint, impersonate, quota_project, timeout, no_payload=no_payload
    )
    request = Request(
        root=path,
        environments=tuple(env or ()),
        all_environments=all_envs,
        components=flags.split(component),
        cloud=cloud if asks else None,
        evidence=evidence,
        max_age=seconds(max_age),
        sentry=flags.sentry_options(timeout) if asks else None,
    )
    wish = Wish(
        check=check_id,
        reason=reason,
        until=until,
        paths=tuple(paths or ()),
        owner=owner,
        ticket=ticket,
        any_content=any_content,
    )
    given = accept(request, wish, flags.progress() if asks else None)
    from sentry_audit.reporters.waived import render_given

    sys.stdout.write(render_given(given.file, given.findings, until, publishing.options()))


COMMAND = waive
EPILOG = flags.more(
    "sentry-audit waive privacy-scrubbing --reason 'no data' --until 2027-01-31",
    codes="0 written, 2 usage, 3 there is no such gap.",
    see="waivers, baseline, check --show-waived.",
)
