"""The command ``collect``: evidence of what Google Cloud and Sentry hold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sentry_audit import flags, publishing


def collect(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where to keep it, as JSON.", show_default=False)
    ],
    path: flags.Root = Path(),
    env: flags.Environments = None,
    component: flags.Components = None,
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
    """Ask Google Cloud and Sentry, and keep what they say as evidence: check --evidence needs no credentials."""
    from sentry_audit.app import Request, collect_evidence
    from sentry_audit.evidence import dumps, summary

    cloud = flags.cloud_options(
        project, flags.split(region), gcp_endpoint, impersonate, quota_project, timeout, no_payload=no_payload
    )
    request = Request(
        root=path,
        environments=tuple(env or ()),
        all_environments=not env,
        components=flags.split(component),
        cloud=cloud,
        sentry=flags.sentry_options(timeout, sentry_url, sentry_org, sentry_window),
    )
    snapshot = collect_evidence(request, flags.progress())
    publishing.save(output, dumps(snapshot).decode())
    sys.stdout.write(summary(snapshot, str(output)))
    raise typer.Exit(4 if snapshot.failure or (snapshot.sentry and snapshot.sentry.unread) else 0)


COMMAND = collect
EPILOG = flags.more(
    "sentry-audit collect --env staging -o evidence.json",
    "sentry-audit check --env staging --evidence evidence.json",
    codes="0 kept, 2 usage, 3 nothing to ask for, 4 nothing could be asked.",
    see="check --evidence.",
)
