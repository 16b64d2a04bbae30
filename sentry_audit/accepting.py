"""Gather what is accepted: waivers in the settings, in comments of the tree, and the baseline."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING

from sentry_audit.errors import BaselineError, SettingsError, nearest
from sentry_audit.mentions import WAIVER
from sentry_audit.settings import FILE
from sentry_audit.waivers.judging import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import date
    from pathlib import Path

    from sentry_audit.auditing import Request
    from sentry_audit.settings import Settings
    from sentry_audit.sources.tree import Tree
    from sentry_audit.waivers.baseline import Known
    from sentry_audit.waivers.written import Written

#: Files that speak about waivers, or cannot hold comments.
_UNREAD = (".md", ".rst", ".adoc", ".json", ".ipynb", ".lock", ".svg", ".csv")


def today(request: Request) -> date:
    """The day on which ``request`` is judged: that of UTC, so that every machine says the same."""
    return request.today or datetime.now(UTC).date()


def ledger(request: Request, settings: Settings, tree: Tree, ids: Callable[[], Collection[str]]) -> Ledger:
    """The waivers that count for ``request``; ``ids`` gives the checks that there are, where that matters.

    Raises SettingsError for a waiver of a check that there is not, BaselineError.
    """
    day = today(request)
    if not request.waivers:
        return Ledger((), day)
    ids = cache(ids)
    refuse_unknown(settings.waivers, ids)
    found = list(settings.waivers)
    beside, complaints = in_comments(tree, day, ids)
    found += beside
    if request.baseline is not None or (settings.baseline and request.baselined):
        from sentry_audit.waivers import baseline

        file = request.baseline or request.root / settings.baseline
        found += baseline.waivers(load_baseline(file), str(request.baseline or settings.baseline))
    return Ledger(found, day, complaints)


def in_comments(tree: Tree, day: date, ids: Callable[[], Collection[str]]) -> tuple[list[Written], list[str]]:
    """The waivers in comments, and what is wrong with those that are not honoured."""
    hits = [path for path in tree.search((WAIVER,)) if not path.endswith(_UNREAD) and path != FILE]
    if not hits:
        return [], []
    from sentry_audit.waivers.inline import read

    found: list[Written] = []
    complaints: list[str] = []
    for path in hits:
        if (text := tree.text(path)) is not None:
            more, wrong = read(path, text, day, ids())
            found += more
            complaints += wrong
    return found, complaints


def refuse_unknown(written: Sequence[Written], ids: Callable[[], Collection[str]]) -> None:
    """Raise SettingsError for the first of ``written`` that names no check."""
    for item in written:
        for pattern in item.checks:
            if not any(fnmatchcase(name, pattern) for name in ids()):
                hint = nearest(pattern, ids(), "see: sentry-audit checks list")
                raise SettingsError(f"{item.waiver.place}: waivers: no check is called {pattern}", hint)


def load_baseline(file: Path) -> tuple[Known, ...]:
    """The gaps of a baseline. Raises BaselineError."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        hint = f"make it with: sentry-audit baseline create -o {file}"
        raise BaselineError(f"the baseline {file} cannot be read: {error.strerror}", hint) from error
    except UnicodeDecodeError as error:
        raise BaselineError(f"the baseline {file} is not UTF-8 text", "make it anew") from error
    from sentry_audit.waivers.baseline import loads

    return loads(text, str(file))
