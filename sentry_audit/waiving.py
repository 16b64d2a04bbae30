"""The use cases around waivers: accept what is a gap now, take out what is needed no longer, and keep a baseline."""

from __future__ import annotations

import os
from collections import Counter
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.accepting import load_baseline, refuse_unknown, today
from sentry_audit.app import accounted, check, ids
from sentry_audit.applying.single import contents, write
from sentry_audit.applying.texts import encoded
from sentry_audit.applying.texts import text as decoded
from sentry_audit.auditing import environments_of, open_tree
from sentry_audit.deployment.environments import canonical
from sentry_audit.errors import NothingAudited, Stale, UsageError, nearest
from sentry_audit.fingerprints import fingerprint
from sentry_audit.fixing import FileChange
from sentry_audit.model import Status, Waiver
from sentry_audit.settings import FILE, PROJECT, TABLE
from sentry_audit.waivers import baseline, editing
from sentry_audit.waivers.written import INLINE, PERMANENT, SETTINGS, Written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentry_audit.auditing import Request
    from sentry_audit.model import Finding
    from sentry_audit.waivers.judging import Ledger, Unused

    Progress = Callable[[int, int, str], None] | None


class Wish(Struct, frozen=True, kw_only=True):
    """What ``waive`` is asked for: the flags of the command line, as they are."""

    check: str
    reason: str
    until: str
    paths: tuple[str, ...] = ()
    owner: str = ""
    ticket: str = ""
    any_content: bool = False


class Given(Struct, frozen=True):
    """What was waived, and the file that says so now."""

    file: str
    findings: tuple[Finding, ...]


class Pruning(Struct, frozen=True):
    """What would be taken out: the waivers with the reasons, the files, and what is left to a person."""

    unused: tuple[Unused, ...]
    changes: tuple[FileChange, ...]
    left: tuple[str, ...] = ()


# --- waive --------------------------------------------------------------------------------------


def waive(request: Request, wish: Wish, progress: Progress = None) -> Given:
    """Accept the gaps of one check that are there now, and write it into the settings.

    The waiver speaks of the components that ``request`` names, and of the environments that it audits. Raises UsageError
    for a wish that cannot be meant, NothingAudited where there is no such gap.
    """
    _refuse(request, wish)
    settings = open_tree(request)[1]
    known = ids(request, settings)
    if wish.check not in known:
        hint = nearest(wish.check, known, "see: sentry-audit checks list")
        raise UsageError(f"no check is called {wish.check}", hint)
    reports = check(replace(request, select=(wish.check,), baselined=False), progress=progress)
    judged = [item for report in reports for item in report.findings if item.check == wish.check]
    environments = [report.environment for report in reports]
    written = Written(waiver=Waiver(reason=wish.reason, until=wish.until), checks=(wish.check,), paths=wish.paths)
    gaps = [item for item in judged if item.status is Status.GAP and written.places(item)]
    if not gaps:
        raise NothingAudited(*_nothing(wish, judged, environments))
    entry: dict[str, str | list[str]] = {
        "check": wish.check,
        "reason": " ".join(wish.reason.split()),
        "until": wish.until,
        "components": list(request.components),
        "environments": environments,
        "paths": list(wish.paths),
        "owner": wish.owner,
        "ticket": wish.ticket,
        "fingerprint": [] if wish.any_content else sorted(fingerprint(item) for item in gaps),
    }
    file = _add(request.root, {key: value for key, value in entry.items() if value})
    return Given(file, tuple(gaps))


def _refuse(request: Request, wish: Wish) -> None:
    from sentry_audit.dsn import redact

    if not wish.reason.strip():
        raise UsageError("a waiver needs a reason", 'for example: --reason "the base image has it"')
    if redact(wish.reason) != wish.reason:
        raise UsageError("the reason holds a DSN, which would be committed with it", "say it without")
    if wish.until == PERMANENT:
        return
    try:
        day = date.fromisoformat(wish.until)
    except ValueError:
        day = None
    if day is None or day.isoformat() != wish.until:
        hint = "for example: --until 2027-01-31, or --until permanent"
        raise UsageError(f"--until {wish.until} is neither a date nor permanent", hint)
    if day < today(request):
        raise UsageError(f"--until {wish.until} is over", f"today is {today(request)}, by UTC")


def _nothing(wish: Wish, judged: Sequence[Finding], environments: Sequence[str]) -> tuple[str, str]:
    """Why there is nothing to waive, and what to do about it."""
    where = ", ".join(environments)
    waived = next((item for item in judged if item.status is Status.WAIVED), None)
    unknown = next((item for item in judged if item.status is Status.UNKNOWN), None)
    if any(item.status is Status.GAP for item in judged):
        places = dict.fromkeys(str(item.evidence[0]) for item in judged if item.status is Status.GAP and item.evidence)
        return (
            f"no gap of {wish.check} in {where} begins at {', '.join(wish.paths)}",
            f"its gaps are at: {', '.join(places) or 'no file'}",
        )
    if waived is not None and waived.waiver is not None:
        return f"{wish.check} is waived in {where} already", f"it is written in {waived.waiver.place}"
    if unknown is not None:
        return f"{wish.check} is unknown in {where}, and only gaps are waived: {unknown.message}", unknown.hint
    return f"{wish.check} has no gap in {where}", "look at: sentry-audit check; --env and --all-envs say where to look"


def _add(root: Path, entry: editing.Entry) -> str:
    """Write ``entry`` into the settings; gives the file's name."""
    base = os.path.realpath(root)
    name = _settings_file(base)
    data = contents(base, name)
    text = decoded(name, data) or ""
    try:
        after = editing.toml_added(text, entry) if name == PROJECT else editing.added(text, entry)
    except editing.CannotEdit:
        rows = "\n".join(f"  {'  ' if index else '- '}{row}" for index, row in enumerate(editing.yaml_rows(entry)))
        raise UsageError(
            f"{name} is written in a way that nothing can be added to safely", f"add it yourself:\nwaivers:\n{rows}"
        ) from None
    write(base, name, encoded(name, data, after), data)
    return name


def _settings_file(base: str) -> str:
    """The file that ``settings.load`` reads; sentry-audit.yaml where there is none."""
    text = "" if Path(base, FILE).exists() else (decoded(PROJECT, contents(base, PROJECT)) or "")
    if TABLE not in text:
        return FILE
    import tomllib

    return PROJECT if "sentry-audit" in tomllib.loads(text).get("tool", {}) else FILE


# --- prune --------------------------------------------------------------------------------------


def everywhere(request: Request) -> Request:
    """``request`` in every environment that there is, or that a waiver names; for nothing less can one be of no use."""
    tree, settings = open_tree(request)
    refuse_unknown(settings.waivers, lambda: ids(request, settings))
    found = environments_of(replace(request, all_environments=True), settings, tree)
    there = {canonical(name) for name in found}
    plain = [name for item in settings.waivers for name in item.environments if not set(name) & set("*?[")]
    named = [name for name in plain if canonical(name) not in there]
    return replace(
        request, environments=tuple(dict.fromkeys((*found, *named))), all_environments=False, baselined=False
    )


def pruning(request: Request, progress: Progress = None) -> Pruning:
    """What is of no use among the waivers of ``request.root``, and the files without it; nothing is written.

    A waiver that speaks of what could not be decided stays.
    """
    request = everywhere(request)
    ledger = accounted(request, progress=progress)[1]
    unused = ledger.unused(request.environments)
    base = os.path.realpath(request.root)
    changes: list[FileChange] = []
    left: list[str] = []
    for path in dict.fromkeys(item.written.waiver.place.path or "" for item in unused):
        mine = [item.written for item in unused if item.written.waiver.place.path == path]
        text = decoded(path, contents(base, path)) or ""
        try:
            changes.append(FileChange(path=path, before=text, after=_without(text, path, mine, ledger)))
        except editing.CannotEdit:
            left += [f"take it out by hand: {item}" for item in mine]
    return Pruning(tuple(unused), tuple(changes), tuple(left))


def _without(text: str, path: str, mine: Sequence[Written], ledger: Ledger) -> str:
    if mine[0].source == INLINE:
        for item in sorted(mine, key=lambda each: each.span, reverse=True):
            text = editing.without_comment(text, item.span)
        return text
    listed = [item for item in ledger.written if item.source == SETTINGS]
    indices = {index for index, item in enumerate(listed) if any(item is each for each in mine)}
    return editing.toml_removed(text, indices) if path == PROJECT else editing.removed(text, indices)


def prune(request: Request, found: Pruning) -> None:
    """Write the files of ``found``. Raises Stale for one that has changed since."""
    base = os.path.realpath(request.root)
    for change in found.changes:
        data = contents(base, change.path)
        if (decoded(change.path, data) or "") != change.before:
            raise Stale(f"{change.path} was changed by somebody else meanwhile", "it is left as it is; prune again")
        write(base, change.path, encoded(change.path, data, change.after or ""), data)


# --- baseline -----------------------------------------------------------------------------------


def baseline_file(request: Request, given: Path | None) -> Path:
    """Where the baseline is: as given, as the settings name it, or under its usual name."""
    if given is not None:
        return given
    return request.root / (open_tree(request)[1].baseline or baseline.FILE)


def create_baseline(request: Request, file: Path, progress: Progress = None) -> tuple[baseline.Known, ...]:
    """Write all open gaps of ``request`` into a new file. Raises UsageError if it is there."""
    from sentry_audit.publishing import save

    if file.exists():
        raise UsageError(f"{file} is there already", "bring it up to date with: sentry-audit baseline update")
    reports = check(replace(request, baselined=False), progress=progress)
    known = baseline.gaps((item for report in reports for item in report.findings), today(request).isoformat())
    save(file, baseline.dumps(known))
    return known


def update_baseline(request: Request, file: Path, *, add: bool, progress: Progress = None) -> baseline.Compared:
    """Take out of the baseline what is gone, and with ``add`` put in what is new."""
    from sentry_audit.publishing import save

    before = load_baseline(file)
    reports = check(replace(request, baselined=False), progress=progress)
    found = baseline.compared(
        before,
        [item for report in reports for item in report.findings],
        [report.environment for report in reports],
        today(request).isoformat(),
    )
    after = (*found.kept, *found.new) if add else found.kept
    if Counter(after) != Counter(before):
        save(file, baseline.dumps(after))
    return found
