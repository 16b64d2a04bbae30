"""One audit, in its steps: open the tree, read it, derive what follows for an environment, ask the cloud, judge.

The use cases (``app``, ``rehearsing``) put them together; each works on any tree, also one that is edited in memory.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from sentry_audit.errors import NothingAudited, nearest
from sentry_audit.model import ComponentReport, Link, Problem, Report, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date

    from sentry_audit.checks import Check
    from sentry_audit.cloud import CloudOptions, Snapshot, Target
    from sentry_audit.collecting import Collected
    from sentry_audit.deriving import Deriver
    from sentry_audit.facts import Component, Fact
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.model import ChainLink, SentryProject
    from sentry_audit.python.components import Service
    from sentry_audit.sdk_table import SdkTable
    from sentry_audit.sentry_project import SentryOptions
    from sentry_audit.settings import Settings
    from sentry_audit.sources.tree import Tree
    from sentry_audit.waivers.judging import Ledger

DATA = Path(__file__).parent / "data"
#: The services and the front ends that are audited.
Parts: TypeAlias = "tuple[list[Service], list[Frontend]]"


class Request(Struct, frozen=True):
    """What ``check`` is asked for.

    Google Cloud is asked with ``cloud``, or known from the file ``evidence``, of at most ``max_age`` seconds; with neither
    only the repository is looked at. Where ``cloud`` is asked, ``sentry`` says how Sentry is, None not at all. Without
    ``waivers`` nothing is accepted, the baseline included; ``baseline`` stands for the one that the settings name, which
    without ``baselined`` is left alone. ``today`` is for tests. ``proofs``: only the checks on what a
    booted application shows, or none of them; None for all.
    """

    root: Path
    environments: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: Severity | None = Severity.MEDIUM
    allow_unknown: bool = False
    all_environments: bool = False
    cloud: CloudOptions | None = None
    evidence: Path | None = None
    max_age: float = 86_400.0
    waivers: bool = True
    baseline: Path | None = None
    baselined: bool = True
    today: date | None = None
    sentry: SentryOptions | None = None
    proofs: bool | None = False

    @property
    def asks(self) -> bool:
        """Whether anything is to be known of Google Cloud."""
        return self.cloud is not None or self.evidence is not None


class Audited(Struct, frozen=True):
    """One environment: derived facts (at first those of the repository alone), and what could not be read."""

    environment: str
    facts: list[Fact]
    problems: list[Problem]


def sdk_table() -> SdkTable:
    """What each version of sentry-sdk knows, as measured."""
    from sentry_audit.sdk_table import SdkTable

    return SdkTable.loads((DATA / "sentry_sdk.json").read_text(encoding="utf-8"))


@cache
def fixable() -> frozenset[str]:
    """The checks of the catalogue whose gaps ``fix`` may close by itself."""
    return frozenset((DATA / "fixable.txt").read_text(encoding="utf-8").split())


def open_tree(request: Request) -> tuple[Tree, Settings]:
    """The tree of ``request``, less what its settings leave out, and those settings; git is at work meanwhile."""
    from sentry_audit.sources.tree import Tree

    tree = Tree.open(request.root)
    from sentry_audit.settings import load as load_settings

    settings = load_settings(request.root)
    tree.leave_out(settings.exclude)
    return tree, settings


def collect(tree: Tree, settings: Settings, request: Request) -> tuple[Collected, Deriver]:
    """What is read of ``tree``, and what derives from it."""
    from sentry_audit.collecting import collect
    from sentry_audit.deriving import Deriver

    found = collect(tree, request.root, settings)
    services = dict(settings.services)
    deriver = Deriver(
        found.program,
        found.services,
        found.facts,
        found.problems,
        sdk_table(),
        settings.agents,
        services,
        found.frontends,
    )
    return found, deriver


def environments_of(request: Request, settings: Settings, tree: Tree) -> tuple[str, ...]:
    """The environments that are asked for: those named, all that the repository speaks of, or the default one."""
    if request.environments and not request.all_environments:
        return request.environments
    if not request.all_environments:
        return (settings.default_environment,)
    from sentry_audit.scanners.dotenv import SCANNER

    found = dict.fromkeys(settings.environments or ("staging", "production"))
    for path in sorted(tree.paths):
        if SCANNER.matches(path):
            for fact in SCANNER.scan(path, tree.text(path) or "")[0]:
                name = getattr(fact, "environment", "")
                if name:
                    found[name] = None
                break
    return tuple(name for name in found if name not in {"test", "development"} or name in settings.environments)


def components_of(collected: Collected, names: Sequence[str]) -> Parts:
    """The services and front ends called ``names``, or all. Raises NothingAudited for a name that is none."""
    if not names:
        return collected.services, collected.frontends
    services = {service.fact.name: service for service in collected.services}
    frontends = {item.fact.name: item for item in collected.frontends}
    known = [*services, *frontends]
    for name in names:
        if name not in known:
            hint = nearest(name, known, f"the components are: {', '.join(known) or 'none'}")
            raise NothingAudited(f"no component is called {name}", hint)
    wanted = dict.fromkeys(names)
    return [services[name] for name in wanted if name in services], [
        frontends[name] for name in wanted if name in frontends
    ]


def report(
    collected: Collected,
    components: Sequence[Component],
    checks: Sequence[Check],
    audited: Audited,
    snapshot: Snapshot | None,
    request: Request,
    settings: Settings,
    ledger: Ledger,
) -> Report:
    """Judge and link up one environment; ``ledger`` says which gaps are accepted, and notes it."""
    from sentry_audit import chain, engine, live

    environment, facts = audited.environment, audited.facts
    required = settings.requires_sentry(environment)
    problems = audited.problems + collected.problems + collected.tree.problems
    findings = engine.evaluate(checks, facts, problems, components, environment, required, fixable(), str(request.root))
    findings = ledger.apply(findings, environment)
    selected = {check.link for check in checks}
    links = []
    for item in components:
        why = live.unlooked(item.name, environment, snapshot, asked=request.asks)
        told = {link: text for link, text in why.items() if link in selected or link is Link.ACCEPTED}
        links.append(chain.build(item, findings, environment, told))
    parts = tuple(_component(component, chain_) for component, chain_ in zip(components, links, strict=True))
    ready, headline = chain.verdict(parts, environment)
    return Report(
        root=str(request.root),
        environment=environment,
        ready=ready,
        headline=headline,
        components=parts,
        findings=findings,
        problems=tuple(_once(problems)),
        exit_code=engine.exit_code(findings, request.fail_on, request.allow_unknown),
        notes=tuple(collected.notes),
        projects=tuple(_projects(components, audited, snapshot)),
        cloud=live.told(snapshot, str(request.evidence) if request.evidence else ""),
        sentry=live.sentry_told(snapshot, str(request.evidence) if request.evidence else ""),
        rules=tuple(_rule(check) for check in sorted(checks, key=lambda item: item.id)),
    )


def _rule(check: Check) -> Rule:
    return Rule(
        id=check.id,
        title=check.title,
        why=check.why,
        area=check.area,
        severity=check.severity,
        remedy=check.fix.summary if check.fix is not None else "",
        refs=check.refs,
        permissions=check.permissions,
    )


def with_cloud(
    audited: Audited, components: Sequence[Component], snapshot: Snapshot | None, deriver: Deriver
) -> Audited:
    """``audited`` with what follows from ``snapshot``: also that nothing is known, where nothing is."""
    from sentry_audit.derive.cloud import cloud_facts
    from sentry_audit.derive.matrix import dsn_matrix
    from sentry_audit.derive.sentry import sentry_facts

    google = snapshot if snapshot is not None and snapshot.asked_google else None
    found: list[Fact] = []
    for component in components:
        mine = [fact for fact in audited.facts if fact.component == component.name]
        found += cloud_facts(component, audited.environment, google, mine, deriver.matching)
        found += dsn_matrix(component, audited.environment, google, mine)
        found += sentry_facts(component, audited.environment, snapshot, mine)
    return Audited(audited.environment, [*audited.facts, *found], audited.problems)


def _projects(components: Sequence[Component], audited: Audited, snapshot: Snapshot | None) -> Iterator[SentryProject]:
    if snapshot is None:
        return
    from sentry_audit.derive.matrix import sentry_projects

    for component in components:
        yield from sentry_projects(component, audited.environment, snapshot, audited.facts)


def _once(problems: list[Problem]) -> list[Problem]:
    return list({(problem.source, problem.reason, str(problem.evidence)): problem for problem in problems}.values())


def _component(component: Component, links: tuple[ChainLink, ...]) -> ComponentReport:
    return ComponentReport(
        component.name,
        component.path,
        component.ecosystem,
        component.role,
        component.entry_point,
        links,
        component.reasons,
    )


def facts_of(parts: Parts) -> list[Component]:
    """The components themselves."""
    return [*(service.fact for service in parts[0]), *(item.fact for item in parts[1])]


def derived(deriver: Deriver, parts: Parts, environment: str) -> Audited:
    """What the repository alone says of the components ``parts`` in ``environment``."""
    return Audited(environment, *deriver.derive(parts[0], environment, parts[1]))


def snapshot_of(
    request: Request,
    settings: Settings,
    deriver: Deriver,
    parts: Parts,
    audited: Sequence[Audited],
    progress: Callable[[int, int, str], None] | None,
) -> Snapshot | None:
    """What is known of Google Cloud, also of the environments that were not asked for, to tell theirs apart; and of Sentry."""
    if not request.asks:
        return None
    from sentry_audit import live
    from sentry_audit.cloud import CloudOptions
    from sentry_audit.derive.targets import targets

    options = request.cloud or CloudOptions()
    known = {item.environment for item in audited}
    others = [name for name in settings.environments or ("staging", "production") if name not in known]
    components = facts_of(parts)
    wanted: list[Target] = []
    for item in (*audited, *(derived(deriver, parts, name) for name in others)):
        wanted += targets(components, item.environment, deriver.facts, item.facts, deriver.matching, settings, options)
    if request.evidence is not None:
        return live.recall(request.evidence, request.max_age, wanted)
    asked = {item.environment for item in wanted} & known
    snapshot = live.ask(wanted, options, progress) if asked else None
    return _with_sentry(snapshot, request, settings, components, audited)


def _with_sentry(
    snapshot: Snapshot | None,
    request: Request,
    settings: Settings,
    components: Sequence[Component],
    audited: Sequence[Audited],
) -> Snapshot | None:
    """``snapshot`` with what Sentry says about the DSNs that are known now; as it is where there is nothing to ask."""
    if request.sentry is None:
        return snapshot
    from msgspec.structs import replace

    from sentry_audit import live
    from sentry_audit.cloud import Snapshot
    from sentry_audit.derive.sentry import known_dsns, wanted

    options = request.sentry
    if not options.organization:
        options = replace(options, organization=settings.sentry_organization)
    dsns = []
    for item in audited:
        for component in components:
            mine = [fact for fact in item.facts if fact.component == component.name]
            dsns += [(item.environment, dsn) for dsn in known_dsns(component, item.environment, snapshot, mine)]
    if not dsns and (snapshot is None or not snapshot.targets):
        return snapshot
    sentry = live.ask_sentry(wanted(dsns), options, request.root)
    if sentry is None:
        return snapshot
    return replace(snapshot or Snapshot(taken_at=live.now()), sentry=sentry)
