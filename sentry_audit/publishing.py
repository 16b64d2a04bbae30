"""Where output goes: formats to standard output or into files, as wide and as coloured as the terminal is."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.fixing import Step
    from sentry_audit.model import Report
    from sentry_audit.reporters.base import RenderOptions

#: The formats for GitHub Actions, which has a page for every job.
_SUMMARISED = frozenset({"markdown", "github"})


def targets(values: Sequence[str]) -> list[tuple[str, Path | None]]:
    """What ``--format`` asks for: each format, and its file (None: standard output). Raises UsageError."""
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


def write(
    reports: Sequence[Report],
    targets: Sequence[tuple[str, Path | None]],
    *,
    show_passed: bool,
    verbose: bool,
    show_waived: bool = False,
    fixes: Sequence[Step] = (),
) -> None:
    """Render ``reports`` in every format asked for, with ``fixes`` where a format has a place for them.

    Under GitHub Actions, Markdown and annotations on standard output also make the summary of the step; not where Markdown
    goes into a file: whoever asks for that decides what is done with it.

    Raises UsageError for a file that cannot be written.
    """
    from msgspec.structs import replace

    from sentry_audit.plugins import load
    from sentry_audit.surroundings import append_summary, step_summary, surroundings

    about = replace(
        surroundings(Path(reports[0].root if reports else "")),
        width=_width(),
        show_passed=show_passed,
        verbose=verbose,
        show_waived=show_waived,
    )
    summary = step_summary() if _summarised(targets) else None
    if summary is not None:
        options = replace(about, limit=summary[1])
        append_summary(
            summary[0], load("sentry_audit.reporters", "markdown").REPORTER.render(reports, options), summary[1]
        )
    for name, file in targets:
        reporter = load("sentry_audit.reporters", name).REPORTER
        text = reporter.render(reports, replace(about, color=file is None and _color(), fixes=tuple(fixes)))
        if file is None:
            sys.stdout.write(text if text.endswith("\n") else text + "\n")
            continue
        save(file, text)


def _summarised(targets: Sequence[tuple[str, Path | None]]) -> bool:
    shown = any(file is None and name in _SUMMARISED for name, file in targets)
    return shown and not any(file is not None and name == "markdown" for name, file in targets)


def save(file: Path, text: str) -> None:
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


def options() -> RenderOptions:
    """What this terminal can show."""
    from sentry_audit.reporters.base import RenderOptions

    return RenderOptions(width=_width(), color=_color())


def _width() -> int:
    import shutil

    return max(40, min(80, shutil.get_terminal_size((80, 24)).columns))


def _color() -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")
