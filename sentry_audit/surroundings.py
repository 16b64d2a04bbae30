"""Where and when a run takes place, as far as reports speak of it: the checkout, the time, the summary of a job."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentry_audit.reporters.base import RenderOptions

#: GitHub shows no summary of a step that takes more than 1 MiB.
_SUMMARY_LIMIT = 1_000_000
_LEAST_SUMMARY = 2_000


def surroundings(root: Path) -> RenderOptions:
    """The options that follow from where ``root`` lies.

    Readers open paths from the top of the git work tree; outside of one from the current folder, if ``root`` is in it;
    else from ``root`` itself.
    """
    from datetime import UTC, datetime

    from sentry_audit.reporters.base import RenderOptions

    folder, here = root.resolve(), Path.cwd()
    top = next((item for item in (folder, *folder.parents) if (item / ".git").exists()), None)
    if top is None:
        top = here.resolve() if folder.is_relative_to(here.resolve()) else folder
    prefix = folder.relative_to(top).as_posix()
    return RenderOptions(
        prefix="" if prefix == "." else prefix,
        checkout=_address(top),
        directory=_address(here),
        now=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
    )


def _address(folder: Path) -> str:
    return folder.as_uri().rstrip("/") + "/"


def step_summary() -> tuple[Path, int] | None:
    """The file that GitHub Actions shows as the summary of this step, and how many bytes it still takes; else None."""
    name = os.environ.get("GITHUB_STEP_SUMMARY", "")
    if not name:
        return None
    file = Path(name)
    try:
        used = file.stat().st_size
    except OSError:
        used = 0
    return file, _SUMMARY_LIMIT - used


def append_summary(file: Path, text: str, room: int) -> None:
    """Add ``text`` to a step's summary; say on standard error where that cannot be done, for the report is elsewhere too."""
    if room < _LEAST_SUMMARY:
        sys.stderr.write(f"note: the step summary {file} is full: the report is not in it\n")
        return
    try:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        sys.stderr.write(f"note: the step summary {file} cannot be written: {error.strerror}\n")
