"""The use case ``verify --built``: a front end that was built, opened in a browser, and the report of it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit import auditing, dsn
from sentry_audit.browsed import Browsed, Known, judge
from sentry_audit.bundled import scan
from sentry_audit.derive.building import Building
from sentry_audit.errors import NothingAudited, UsageError
from sentry_audit.facts import (
    DsnArgument,
    DsnGuard,
    EnvironmentLabel,
    FrontendEnabled,
    FrontendSetup,
    FrontendVariable,
    Image,
    Release,
    TracePropagation,
)
from sentry_audit.proofs import compared
from sentry_audit.served import judge as judge_server
from sentry_audit.served import together
from sentry_audit.verifying import nextjs, running
from sentry_audit.verifying.pages import Pages, index, scripts
from sentry_audit.verifying.variables import Variables, resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sentry_audit.auditing import Request
    from sentry_audit.bundled import Bundle
    from sentry_audit.checks import Check
    from sentry_audit.collecting import Collected
    from sentry_audit.deriving import Deriver
    from sentry_audit.facts import Component, Fact
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.model import Report
    from sentry_audit.served import Served
    from sentry_audit.wire import Sent


class Page(Struct, frozen=True, kw_only=True):
    """A front end as it was built: ``folder`` is what was given, ``apis`` where its requests go.

    ``build`` is what Next.js wrote, for a server that is started with ``variables``; None for files alone. ``notes`` are on
    files that git ignores; ``asks_itself``: the address of a route of its own stands in its scripts;
    ``known`` is what the audit says of it.
    """

    component: Component
    folder: Path
    bundle: Bundle
    apis: tuple[str, ...]
    prepared: running.Prepared
    build: nextjs.Build | None = None
    variables: Variables = Variables()
    notes: tuple[str, ...] = ()
    asks_itself: bool = False
    known: Known = Known()


def prepare(request: Request, folder: Path, given: Mapping[str, str] | None = None) -> Page:
    """Audit the repository for one environment, and read what was built; nothing is opened. ``given`` are the user's variables.

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
    build = nextjs.read(folder)
    texts, maps = scripts(folder if build is None else build.dist)
    bundle = scan(texts, maps)
    variables, notes = Variables(), _ignored_dsn(collected.tree.listed, request.root, component, bundle)
    if build is not None:
        variables = _variables(build, component, environment, collected, deriver, given or {})
        hidden = _ignored(collected.tree.listed, request.root, component, variables)
        variables = replace(variables, values={**dict.fromkeys(hidden, ""), **variables.values})
        notes += [f"{name} of {path} is left out: git ignores the file" for name, path in hidden.items()]
    prepared = running.Prepared(
        request=request, collected=collected, settings=settings, tree=tree, audited=audited, subjects=()
    )
    return Page(
        component=component, folder=folder, bundle=bundle, apis=apis(mine), known=_known(mine), prepared=prepared, build=build,
        variables=variables, notes=tuple(notes), asks_itself=build is not None and asks_itself(build, texts.values()),
    )  # fmt: skip


def _variables(
    build: nextjs.Build, component: Component, environment: str, collected: Collected, deriver: Deriver, given: Mapping[str, str]
) -> Variables:  # fmt: skip
    """What the deployment passes to the server; where none is known, stand-ins for what init reads there."""
    reads = {option: [name for known, name in build.reads if known == option and not name.startswith(_PUBLIC)]
             for option in ("dsn", "environment", "release")}  # fmt: skip
    facts: list[Fact] = []
    if reads["dsn"]:
        facts.append(DsnArgument(variables=tuple(reads["dsn"])))
    if reads["environment"]:
        facts.append(EnvironmentLabel(variables=tuple(reads["environment"])))
    if reads["release"]:
        facts.append(Release(variables=tuple(reads["release"])))
    building = Building(component, environment, collected.facts, deriver.matching, collected.program.files)
    paths = {item.path for item in building.dockerfiles}
    image = next((fact for fact in collected.facts if isinstance(fact, Image) and fact.path in paths), None)
    return resolved(component, environment, deriver.matching, facts, image, given)


def asks_itself(build: nextjs.Build, texts: Collection[str]) -> bool:
    """Whether a script names a route of the build's own: its path up to the first parameter."""
    paths = {item.path.partition("[")[0].rstrip("/") for item in build.routes if item.kind in {"route", "api"}} - {""}
    named = re.compile("[\"'`]" + re.escape(build.base) + f"({'|'.join(map(re.escape, sorted(paths)))})[/?\"'`]")
    return bool(paths) and any(named.search(text) for text in texts)


def _dotenvs(listed: Collection[str], root: Path, component: Component) -> dict[str, dict[str, str]]:
    """What is in dotenv files of the front end that are not of the repository, by path."""
    found = {}
    for file in sorted((root / component.folder).glob(".env*")):
        path = file.relative_to(root).as_posix()
        if path not in listed and file.is_file():
            from dotenv import dotenv_values

            found[path] = {name: value or "" for name, value in dotenv_values(file).items()}
    return found


def _ignored(listed: Collection[str], root: Path, component: Component, passed: Variables) -> dict[str, str]:
    """The variables of Sentry's that only such a file sets, with its path: what is deployed does not have them."""
    return {
        name: path
        for path, values in _dotenvs(listed, root, component).items()
        for name in values
        if ("SENTRY" in name or "DSN" in name) and name not in passed.values
    }


def _ignored_dsn(listed: Collection[str], root: Path, component: Component, bundle: Bundle) -> list[str]:
    built_in = {value.fingerprint for _, value in bundle.dsns if value.fingerprint}
    return [
        f"the DSN that was built in is the one of {path} ({name}), which git ignores: a build elsewhere has no such file"
        for path, values in _dotenvs(listed, root, component).items()
        for name, text in values.items()
        if dsn.parse(text).fingerprint in built_in
    ]


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


def _known(facts: Sequence[Fact]) -> Known:
    """What the audit says of why a page may have no DSN, or no init."""
    no_dsn = no_init = condition = ""
    for fact in facts:
        if isinstance(fact, FrontendVariable) and not fact.at_run_time and not fact.provided:
            no_dsn = no_dsn or fact.problem
        elif isinstance(fact, FrontendSetup) and (fact.ignored or not fact.loaded):
            no_init = no_init or fact.why_not
        elif isinstance(fact, DsnGuard) and not fact.keeps_real:
            condition = condition or fact.expression
        elif isinstance(fact, FrontendEnabled) and not fact.enabled:
            condition = condition or fact.condition
    return Known(no_dsn=no_dsn, no_init=no_init, condition=condition)


def apis(facts: Sequence[Fact]) -> tuple[str, ...]:
    """The origins that the front end's requests go to, as far as its code says."""
    addresses = [fact.address for fact in facts if isinstance(fact, TracePropagation) and fact.side == "targets"]
    # An address may say behind it which variable it comes from.
    return tuple(dict.fromkeys(found[0] for item in addresses if (found := _ORIGIN.match(item)) is not None))


def verify(
    page: Page,
    checks: Sequence[Check],
    wishes: running.Wishes | None = None,
    say: Callable[[str], None] = lambda _: None,
    locks: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[Report, dict[str, tuple[Sent, ...]]]:
    """Open what was built in a browser, and judge what came of it; where a server gives the page, likewise of that.

    ``locks`` are the paths that may leave. The report, and the errors that left: what a sampled trace holds is another each time.
    """
    if page.build is not None:
        seen, served = _served(page, page.build, checks, wishes or running.Wishes(), say)
    else:
        seen, served = _opened(page), None
    environment, name = page.prepared.audited.environment, page.component.name
    of_server = judge_server(served, environment) if served is not None else {}
    errors = tuple(item for item in (*seen.sent, *(served.sent if served else ())) if item.type == "event")
    known = None if locks is None else locks.get(f"{name}@{environment}", ())
    pages = judge(page.bundle, seen, name, environment, page.known)
    proofs = [together(item, of_server.get(item.name)) for item in pages if item.name != "locked"]
    proofs.append(replace(compared(errors, known), component=name))
    made = running.report(page.prepared, checks, proofs, [page.component])
    return replace(made, notes=(*made.notes, *_notes(page, seen, served))), {name: errors}


def _opened(page: Page) -> Browsed:
    first = index(page.folder)
    if first is None:
        return Browsed(failure=_NO_PAGE)
    if not page.bundle.sdk:
        return Browsed(failure="it has no SDK")
    from sentry_audit.verifying.browsing import browse

    with Pages(first.parent) as pages:
        return browse(pages.address, page.apis)


def _served(
    page: Page, build: nextjs.Build, checks: Sequence[Check], wishes: running.Wishes, say: Callable[[str], None]
) -> tuple[Browsed, Served]:
    """What was seen of the page in a browser, and of the server that gives it."""
    from sentry_audit.verifying.browsing import browse
    from sentry_audit.verifying.serving import Server
    from sentry_audit.verifying.sink import Sink

    say(f"{page.component.name}: starting its server")
    with Sink() as sink, Server(build, page.variables, sink, wishes) as server:
        if server.failure:
            return Browsed(
                failure=f"its server does not start here: {server.failure}", remedy=server.remedy
            ), server.seen()
        seen = Browsed(failure="it has no SDK")
        if page.bundle.sdk:
            say(f"{page.component.name}: opening its page")
            asked = (*page.apis, *([server.address] if page.asks_itself else ()))
            seen = browse(server.page(), asked, build.static)
        say(f"{page.component.name}: asking its server for errors")
        server.drive(running.proofs_of(checks))
        return seen, server.seen()


def _notes(page: Page, seen: Browsed, served: Served | None) -> list[str]:
    found = list(page.notes)
    if page.bundle.maps:
        more = f" and {len(page.bundle.maps) - 1} more" if page.bundle.maps[1:] else ""
        found.append(
            f"{page.bundle.maps[0]}{more}: source maps lie beside what is served; anybody can read the code in them"
        )
    if len(page.bundle.dsns) > 1:
        found.append("more than one DSN was built in: " + ", ".join(value.shown for _, value in page.bundle.dsns))
    refused = [str(item.get("host")) for item in served.of("blocked")] if served is not None else []
    ingest = {value.host for _, value in page.bundle.dsns}
    if edge := running.listed([host for host in refused if host in ingest]):
        found.append(f"what Edge functions of {page.component.name} (middleware) send to {edge} is not looked at")
    asked = [*seen.blocked, *(host for host in refused if host not in ingest)]
    if hosts := running.listed(asked):
        found.append(f"{page.component.name} was kept from reaching {hosts}: verify lets nothing leave this machine")
    if seen.errors:
        found.append(f"the page had an error of its own: {seen.errors[0]}")
    return found


_ORIGIN = re.compile(r"https?://[^/\s]+")
_NO_PAGE = (
    "there is no index.html in it, and it is no build of Next.js: a page that only its server can give is not opened"
)
#: What Next.js compiles in: of what is passed to its server it has nothing.
_PUBLIC = "NEXT_PUBLIC_"
