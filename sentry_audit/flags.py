"""Flags that more than one command takes, and what they come to."""

from __future__ import annotations

import os
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentry_audit import completing, plugins
from sentry_audit.cloud import CloudOptions
from sentry_audit.sentry_project import SentryOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry_audit.applying.contract import Changer
    from sentry_audit.model import Severity

Root = Annotated[Path, typer.Argument(help="The repository.", show_default="the current folder")]
Components = Annotated[
    list[str] | None,
    typer.Option(
        "--component", metavar="NAME", autocompletion=completing.components, help="Only this component; repeatable."
    ),
]
Environments = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME",
        autocompletion=completing.environments,
        help="The environment to audit for.",
        show_default="production",
    ),
]
Environment = Annotated[
    str | None,
    typer.Option(
        "--env",
        metavar="NAME",
        autocompletion=completing.environments,
        help="The environment.",
        show_default="production",
    ),
]
Evidence = Annotated[
    Path | None,
    typer.Option("--evidence", metavar="FILE", help="What collect wrote, in place of asking the cloud."),
]
MaxAge = Annotated[str, typer.Option("--max-age", metavar="AGE", help="How old evidence may be: 90m, 24h, 7d.")]
Format = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        autocompletion=completing.formats,
        metavar="FORMAT[=FILE]",
        help=f"{', '.join(plugins.names('sentry_audit.reporters'))}; with =FILE into a file; repeatable.",
        show_default="terminal",
    ),
]
ShowPassed = Annotated[bool, typer.Option("--show-passed", help="Also list what passed and what was skipped.")]


class Least(StrEnum):
    """From which severity on a gap fails the run."""

    high = "high"
    medium = "medium"
    low = "low"
    never = "never"


FailOn = Annotated[Least, typer.Option("--fail-on", help="From which severity on a gap fails the run.")]
Offline = Annotated[bool, typer.Option("--offline", help="Only the repository; no cloud is asked.")]
Project = Annotated[
    str,
    typer.Option(
        "--project", metavar="ID", help="The Google Cloud project.", show_default="what the repository deploys to"
    ),
]
Regions = Annotated[
    list[str] | None,
    typer.Option(
        "--region", metavar="NAME", help="Only this region; repeatable.", show_default="what the repository deploys to"
    ),
]
Endpoint = Annotated[
    str,
    typer.Option(
        "--gcp-endpoint",
        metavar="HOST:PORT",
        envvar="SENTRY_AUDIT_GCP_ENDPOINT",
        show_envvar=False,
        help="A local cloud on this machine in place of Google's; also as SENTRY_AUDIT_GCP_ENDPOINT.",
    ),
]
Impersonate = Annotated[
    str,
    typer.Option("--impersonate-service-account", metavar="EMAIL", help="Ask Google Cloud as this service account."),
]
QuotaProject = Annotated[
    str, typer.Option("--quota-project", metavar="ID", help="The project whose quota the calls count against.")
]
ConfirmProject = Annotated[
    list[str] | None,
    typer.Option(
        "--confirm-project", metavar="ID", help="Change production in this project without asking for its id."
    ),
]
Timeout = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", min=1, help="How long Google Cloud, and after it Sentry, may take."),
]
NoPayload = Annotated[
    bool, typer.Option("--no-payload", help="Do not read the DSN's secret itself, only what is about it.")
]
SentryUrl = Annotated[
    str,
    typer.Option(
        "--sentry-url", metavar="URL", help="The Sentry that the token is for.", show_default="SENTRY_URL, or sentry.io"
    ),
]
SentryOrganization = Annotated[
    str,
    typer.Option(
        "--sentry-org",
        metavar="SLUG",
        help="The organization of DSNs that do not name theirs.",
        show_default="SENTRY_ORG",
    ),
]
SentryWindow = Annotated[
    str, typer.Option("--sentry-window", metavar="AGE", help="How far back an accepted event counts: 24h, 14d.")
]
_WINDOW = re.compile(r"[1-9]\d{0,3}[hdw]")


def sentry_options(timeout: float, url: str = "", organization: str = "", window: str = "30d") -> SentryOptions:
    """How Sentry is asked, where there is a token. Raises UsageError."""
    from sentry_audit.errors import UsageError

    if not _WINDOW.fullmatch(window):
        raise UsageError(f"--sentry-window {window}: not a span of time", "write a number and a unit: 24h, 14d, 4w")
    organization = organization or os.environ.get("SENTRY_ORG", "").strip()
    return SentryOptions(url=url, organization=organization, window=window, timeout=timeout)


def more(*examples: str, codes: str, see: str) -> str:
    """What ``--help`` says below the options of a command: examples, exit codes, related commands."""
    rows = "\n".join(f"  {item}" for item in examples)
    return f"\b\nExamples:\n{rows}\n\nExit codes: {codes}\n\nSee also: {see}"


def severity(least: Least) -> Severity | None:
    """From which severity on a gap fails the run, None for none."""
    from sentry_audit.model import Severity

    return None if least is Least.never else Severity(least.value)


def asks_cloud(evidence: Path | None, *, offline: bool) -> bool:
    """Whether Google Cloud is asked. Raises UsageError for both flags at once."""
    from sentry_audit.errors import UsageError

    if offline and evidence is not None:
        raise UsageError("--offline and --evidence exclude each other", "leave --offline out: evidence asks no cloud")
    return not offline and evidence is None


def split(values: list[str] | None) -> tuple[str, ...]:
    """The words of repeatable options that also take several, separated by commas."""
    return tuple(part.strip() for value in values or () for part in value.split(",") if part.strip())


def cloud_options(
    project: str,
    regions: tuple[str, ...],
    endpoint: str,
    impersonate: str,
    quota_project: str,
    timeout: float,
    no_payload: bool,
) -> CloudOptions:
    """The flags as one value."""
    return CloudOptions(
        project=project,
        regions=regions,
        endpoint=endpoint,
        impersonate=impersonate,
        quota_project=quota_project,
        timeout=timeout,
        payloads=not no_payload,
        ambient=os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("CLOUDSDK_CORE_PROJECT") or "",
    )


def changer(options: CloudOptions) -> Changer:
    """What changes Google Cloud; loaded only where a run does that."""
    from sentry_audit.sources.gcp.changing import Changer as Changing

    return Changing(options)


def progress() -> Callable[[int, int, str], None] | None:
    """What shows on a terminal's standard error how far the reading of the cloud is; None where nobody looks."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int, what: str) -> None:
        line = f"Google Cloud: {done} of {total} answers  {what}"[:78] if done < total else ""
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()

    return show
