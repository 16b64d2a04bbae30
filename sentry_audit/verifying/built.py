"""The use case ``verify --built``: a front end that was built, opened in a browser, and the report of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit import auditing
from sentry_audit.browsed import Browsed, judge
from sentry_audit.bundled import scan
from sentry_audit.errors import NothingAudited, UsageError
from sentry_audit.facts import TracePropagation
from sentry_audit.verifying import running
from sentry_audit.verifying.pages import index, scripts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.auditing import Request
    from sentry_audit.bundled import Bundle
    from sentry_audit.checks import Check
    from sentry_audit.facts import Component, Fact
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.model import Report


class Page(Struct, frozen=True, kw_only=True):
    """A front end as it was built: ``folder`` is what was given, ``apis`` where its requests go."""

    component: Component
    folder: Path
    bundle: Bundle
    apis: tuple[str, ...]
    prepared: running.Prepared


def prepare(request: Request, folder: Path) -> Page:
    """Audit the repository for one environment, and read what was built; nothing is opened.

    Raises UsageError for a folder that is not there, or where it is not known which front end it is of; NothingAudited.
    """
    tree, settings = auditing.open_tree(request)
    environment = auditing.environments_of(request, settings, tree)[0]
    collected, deriver = auditing.collect(tree, settings, request)
    parts = auditing.components_of(collected, ())
    if not parts[1]:
        raise NothingAudited(f"no front end was found in {request.root}", "--built is for front ends")
    component = _owner(parts[1], request, folder)
    audited = auditing.derived(deriver, parts, environment)
    mine = [fact for fact in audited.facts if fact.component == component.name]
    texts, maps = scripts(folder)
    prepared = running.Prepared(
        request=request, collected=collected, settings=settings, tree=tree, audited=audited, subjects=()
    )
    return Page(component=component, folder=folder, bundle=scan(texts, maps), apis=_apis(mine), prepared=prepared)


def _owner(frontends: Sequence[Frontend], request: Request, folder: Path) -> Component:
    """The front end that ``folder`` was built of: the one that was named, the one that it is in, the only one."""
    named = [item for item in frontends if item.fact.name in request.components]
    if request.components:
        if len(named) != 1:
            raise UsageError("--built is of one front end", f"name it: --component {frontends[0].fact.name}")
        return named[0].fact
    place = Path(os.path.relpath(folder.resolve(), request.root.resolve())).as_posix()
    holding = [item for item in frontends if not item.folder or place.startswith(f"{item.folder}/")]
    holding.sort(key=lambda item: len(item.folder))
    if not holding and len(frontends) > 1:
        names = ", ".join(item.fact.name for item in frontends)
        raise UsageError(f"which front end {folder} was built of is not known", f"name it with --component: {names}")
    return (holding or list(frontends))[-1].fact


def _apis(facts: Sequence[Fact]) -> tuple[str, ...]:
    """The origins that the front end's requests go to, as far as its code says."""
    found: dict[str, None] = {}
    for fact in facts:
        if (
            isinstance(fact, TracePropagation)
            and fact.side == "targets"
            and fact.address.startswith(("http://", "https://"))
        ):
            found["/".join(fact.address.split("/", 3)[:3])] = None
    return tuple(found)


def verify(page: Page, checks: Sequence[Check]) -> Report:
    """Open what was built in a browser, and judge what came of it."""
    seen = Browsed(failure=_NO_PAGE)
    if (first := index(page.folder)) is not None and page.bundle.sdk:
        from sentry_audit.verifying.browsing import browse

        seen = browse(first.parent, page.apis)
    environment = page.prepared.audited.environment
    proofs = judge(page.bundle, seen, page.component.name, environment)
    made = running.report(page.prepared, checks, proofs, [page.component])
    return replace(made, notes=(*made.notes, *_notes(page, seen)))


def _notes(page: Page, seen: Browsed) -> list[str]:
    found = []
    if page.bundle.maps:
        more = f" and {len(page.bundle.maps) - 1} more" if page.bundle.maps[1:] else ""
        found.append(
            f"{page.bundle.maps[0]}{more}: source maps lie beside what is served; anybody can read the code in them"
        )
    if len(page.bundle.dsns) > 1:
        found.append("more than one DSN was built in: " + ", ".join(value.shown for _, value in page.bundle.dsns))
    if seen.blocked:
        hosts = ", ".join(seen.blocked[:5]) + (", …" if len(seen.blocked) > 5 else "")
        found.append(f"{page.component.name} was kept from reaching {hosts}: verify lets nothing leave this machine")
    if seen.errors:
        found.append(f"the page had an error of its own: {seen.errors[0]}")
    return found


_NO_PAGE = (
    "there is no index.html in it: a page that only its server can give is not opened (give out/ of a static export)"
)
