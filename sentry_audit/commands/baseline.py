"""The command ``baseline``: the gaps that were there before, so that only new ones fail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentry_audit import completing, flags

if TYPE_CHECKING:
    from sentry_audit.app import Request

COMMAND = typer.Typer(
    help="Keep the gaps that are there in a file, so that only new ones fail a run.", no_args_is_help=True
)
_Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="The baseline.",
        show_default="what the settings name, or sentry-audit-baseline.json",
    ),
]
_Environments = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME",
        autocompletion=completing.environments,
        help="Only this one; repeatable.",
        show_default="all",
    ),
]


@COMMAND.command(
    epilog=flags.more(
        "sentry-audit baseline create --offline",
        "sentry-audit check --baseline sentry-audit-baseline.json",
        codes="0 written, 2 usage, or the file is there already.",
        see="check --baseline, baseline update.",
    )
)
def create(
    path: flags.Root = Path(),
    output: _Output = None,
    env: _Environments = None,
    offline: flags.Offline = False,
    evidence: flags.Evidence = None,
    project: flags.Project = "",
    region: flags.Regions = None,
    gcp_endpoint: flags.Endpoint = "",
    impersonate: flags.Impersonate = "",
    quota_project: flags.QuotaProject = "",
    timeout: flags.Timeout = 60,
    no_payload: flags.NoPayload = False,
) -> None:
    """Write all gaps that are there now into a new file; check --baseline FILE then fails for new ones only."""
    from sentry_audit.waiving import baseline_file, create_baseline

    cloud = (project, flags.split(region), gcp_endpoint, impersonate, quota_project, timeout)
    request = _request(path, env, evidence, cloud, offline=offline, no_payload=no_payload)
    file = baseline_file(request, output)
    known = create_baseline(request, file, flags.progress() if request.cloud else None)
    sys.stdout.write(
        f"{file}: {_count(len(known), 'gap')}\nuse it with: sentry-audit check --baseline {file}\n"
        "or in sentry-audit.yaml: baseline: FILE\n"
    )


@COMMAND.command(
    epilog=flags.more(
        "sentry-audit baseline update --offline",
        "sentry-audit baseline update --add",
        codes="0 written, 2 usage.",
        see="baseline create.",
    )
)
def update(
    path: flags.Root = Path(),
    output: _Output = None,
    env: _Environments = None,
    add: Annotated[bool, typer.Option("--add", help="Also put in the gaps that are new.")] = False,
    offline: flags.Offline = False,
    evidence: flags.Evidence = None,
    project: flags.Project = "",
    region: flags.Regions = None,
    gcp_endpoint: flags.Endpoint = "",
    impersonate: flags.Impersonate = "",
    quota_project: flags.QuotaProject = "",
    timeout: flags.Timeout = 60,
    no_payload: flags.NoPayload = False,
) -> None:
    """Take the gaps that are gone out of the baseline; what could not be decided stays in it."""
    from sentry_audit.waiving import baseline_file, update_baseline

    cloud = (project, flags.split(region), gcp_endpoint, impersonate, quota_project, timeout)
    request = _request(path, env, evidence, cloud, offline=offline, no_payload=no_payload)
    file = baseline_file(request, output)
    found = update_baseline(request, file, add=add, progress=flags.progress() if request.cloud else None)
    left_out = "" if add or not found.new else ", left out (--add puts them in)"
    sys.stdout.write(f"{file}: {len(found.kept)} kept, {len(found.gone)} gone, {len(found.new)} new{left_out}\n")
    for item in found.new:
        sys.stdout.write(f"  new: {item.check}  {item.component} · {item.environment}  {item.place}".rstrip() + "\n")


def _request(
    path: Path,
    env: list[str] | None,
    evidence: Path | None,
    cloud: tuple[str, tuple[str, ...], str, str, str, float],
    *,
    offline: bool,
    no_payload: bool,
) -> Request:
    from sentry_audit.app import Request

    asks = flags.asks_cloud(evidence, offline=offline)
    return Request(
        root=path,
        environments=tuple(env or ()),
        all_environments=not env,
        cloud=flags.cloud_options(*cloud, no_payload=no_payload) if asks else None,
        evidence=evidence,
        sentry=flags.sentry_options(cloud[-1]) if asks else None,
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
