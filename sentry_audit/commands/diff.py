"""The command ``diff``: two environments side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sentry_audit import completing, flags, publishing


def diff(
    left: Annotated[
        str, typer.Argument(metavar="ENV_A", autocompletion=completing.environments, help="For example staging.")
    ],
    right: Annotated[
        str, typer.Argument(metavar="ENV_B", autocompletion=completing.environments, help="For example production.")
    ],
    path: flags.Root = Path(),
    offline: flags.Offline = False,
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
    """Show what differs between two environments along the whole chain."""
    from sentry_audit.app import Request, difference
    from sentry_audit.reporters.ways import render_difference

    cloud = flags.cloud_options(
        project, flags.split(region), gcp_endpoint, impersonate, quota_project, timeout, no_payload=no_payload
    )
    sentry = flags.sentry_options(timeout, sentry_url, sentry_org, sentry_window)
    request = Request(root=path, cloud=None if offline else cloud, sentry=None if offline else sentry)
    found = difference(request, left, right, None if offline else flags.progress())
    sys.stdout.write(render_difference(left, right, found, publishing.options()))


COMMAND = diff
EPILOG = flags.more(
    "sentry-audit diff staging production",
    "sentry-audit diff staging production --offline",
    codes="0 whatever differs, 2 usage, 3 nothing audited.",
    see="check --all-envs, trace.",
)
