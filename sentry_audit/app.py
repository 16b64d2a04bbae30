"""The use cases, in the order in which things happen. Read this second, after ``model``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.errors import ChecksFileError, NothingAudited, UsageError, nearest
from sentry_audit.model import ComponentReport, Link, Problem, Report, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sentry_audit.checks import Check
    from sentry_audit.cloud import CloudOptions, Snapshot, Target
    from sentry_audit.collecting import Collected
    from sentry_audit.deriving import Deriver
    from sentry_audit.differing import Difference
    from sentry_audit.facts import Component, Fact
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.model import ChainLink, SentryProject
    from sentry_audit.python.components import Service
    from sentry_audit.sdk_table import SdkTable
    from sentry_audit.settings import Settings
    from sentry_audit.sources.tree import Tree
    from sentry_audit.tracing import Way

DATA = Path(__file__).parent / "data"


class Request(Struct, frozen=True):
    """What ``check`` is asked for.

    Google Cloud is asked with ``cloud``, or known from the file ``evidence``, of at most ``max_age`` seconds; with neither
    only the repository is looked at.
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


class Audited(Struct, frozen=True):
    """One environment as the repository alone shows it: derived facts, and what could not be read."""

    environment: str
    facts: list[Fact]
    problems: list[Problem]


def checks_text() -> str:
    """The shipped ``checks.yaml``: from the wheel, else from the checkout that an editable install points to."""
    shipped = DATA / "checks.yaml"
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    return (DATA.parent.parent / "checks.yaml").read_text(encoding="utf-8")


def sdk_table() -> SdkTable:
    """What each version of sentry-sdk knows, as measured."""
    from sentry_audit.sdk_table import SdkTable

    return SdkTable.loads((DATA / "sentry_sdk.json").read_text(encoding="utf-8"))


def shipped_checks(*, examples: bool = True) -> tuple[Check, ...]:
    """The checks of the catalogue; without their examples they are read at a tenth of the time."""
    from sentry_audit.checks import load, loaded

    text = checks_text()
    data = None if examples else _parsed(text)
    return load(text, "checks.yaml") if data is None else loaded(data)


def _parsed(text: str) -> dict[str, object] | None:
    """``text`` as scripts/generate_checks_data.py parsed it; None if that was another text.

    To load a YAML parser and to parse the catalogue took a tenth of a short run.
    """
    import json
    import zlib

    try:
        known = json.loads((DATA / "checks.json").read_text(encoding="utf-8"))
        return {"checks": known["checks"]} if known["crc32"] == zlib.crc32(text.encode()) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check(
    request: Request, checks: Sequence[Check] | None = None, progress: Callable[[int, int, str], None] | None = None
) -> list[Report]:
    """Audit ``request.root`` in each environment asked for; one report each.

    ``checks`` replaces the catalogue; ``progress`` hears how many questions to Google Cloud were answered, of how many.

    Raises NothingAudited when there is nothing to look at, UsageError for names that do not exist, EvidenceError.
    """
    tree, settings = _tree(request)
    from sentry_audit.collecting import nothing
    from sentry_audit.engine import select

    known = (
        tuple(checks)
        if checks is not None
        else (*shipped_checks(examples=False), *_own_checks(request.root, settings.checks))
    )
    checks = select(known, request.select, request.ignore)
    if not checks:
        raise NothingAudited(
            "no check is selected", "leave --select and --ignore out, or see: sentry-audit checks list"
        )

    environments = _environments(request, settings, tree)
    collected, deriver = _collect(tree, settings, request)
    wanted, frontends = _components(collected, request.components)
    if not wanted and not frontends:
        raise NothingAudited(*nothing(collected))
    audited = [_audited(deriver, (wanted, frontends), environment) for environment in environments]
    components = [*(service.fact for service in wanted), *(item.fact for item in frontends)]
    snapshot = _snapshot(request, settings, deriver, (wanted, frontends), audited, progress)
    return [report(collected, deriver, components, checks, item, snapshot, request, settings) for item in audited]


def collect_evidence(request: Request, progress: Callable[[int, int, str], None] | None = None) -> Snapshot:
    """What Google Cloud says about the components of ``request.root`` in the environments asked for.

    Raises NothingAudited when there is nothing to ask for.
    """
    tree, settings = _tree(request)
    environments = _environments(request, settings, tree)
    collected, deriver = _collect(tree, settings, request)
    parts = _components(collected, request.components)
    audited = [_audited(deriver, parts, environment) for environment in environments]
    snapshot = _snapshot(request, settings, deriver, parts, audited, progress)
    if snapshot is None:
        raise NothingAudited(
            f"nothing in {request.root} says where on Cloud Run it is deployed for {', '.join(environments)}",
            "name project and service in sentry-audit.yaml: google_cloud, and components: service",
        )
    return snapshot


def _audited(deriver: Deriver, parts: tuple[list[Service], list[Frontend]], environment: str) -> Audited:
    return Audited(environment, *deriver.derive(parts[0], environment, parts[1]))


def _snapshot(
    request: Request,
    settings: Settings,
    deriver: Deriver,
    parts: tuple[list[Service], list[Frontend]],
    audited: Sequence[Audited],
    progress: Callable[[int, int, str], None] | None,
) -> Snapshot | None:
    """What is known of Google Cloud: also of the environments that were not asked for, to tell theirs apart."""
    if request.cloud is None and request.evidence is None:
        return None
    from sentry_audit import live
    from sentry_audit.cloud import CloudOptions
    from sentry_audit.derive.targets import targets

    options = request.cloud or CloudOptions()
    known = {item.environment for item in audited}
    others = [name for name in settings.environments or ("staging", "production") if name not in known]
    components = [*(service.fact for service in parts[0]), *(item.fact for item in parts[1])]
    wanted: list[Target] = []
    for item in (*audited, *(_audited(deriver, parts, name) for name in others)):
        wanted += targets(components, item.environment, deriver.facts, item.facts, deriver.matching, settings, options)
    if request.evidence is not None:
        return live.recall(request.evidence, request.max_age, wanted)
    asked = {item.environment for item in wanted} & known
    return live.ask(wanted, options, progress) if asked else None


def trace(request: Request, name: str) -> list[Way]:
    """The way of one variable in the environment asked for.

    Raises NothingAudited when there is nothing to look at, or the variable is named nowhere.
    """
    from sentry_audit import tracing
    from sentry_audit.facts import DsnArgument

    tree, settings = _tree(request)
    collected, deriver = _collect(tree, settings, request)
    environment = _environments(request, settings, tree)[0]
    services, frontends = _components(collected, request.components)
    derived = deriver.derive(services, environment, frontends)[0]
    read = {item for fact in derived if isinstance(fact, DsnArgument) for item in fact.variables}
    if name not in read and not collected.tree.search([name]):
        known = sorted(_variables(collected.facts) | read)
        raise NothingAudited(f"{name} is named nowhere in {request.root}", nearest(name, known, "check the spelling"))
    components = [*(service.fact for service in services), *(item.fact for item in frontends)]
    return tracing.trace(name, environment, tree, components, collected.facts, derived, deriver.matching)


def _variables(facts: Sequence[Fact]) -> set[str]:
    from sentry_audit.facts import Deployment, EnvVar

    found = {fact.name for fact in facts if isinstance(fact, EnvVar)}
    return found | {item.name for fact in facts if isinstance(fact, Deployment) for item in fact.settings if item.name}


def difference(
    request: Request, left: str, right: str, progress: Callable[[int, int, str], None] | None = None
) -> list[Difference]:
    """What differs between two environments along the chain."""
    from sentry_audit.differing import differences

    reports = check(replace(request, environments=(left, right), all_environments=False), progress=progress)
    return differences(reports[0], reports[1])


def _tree(request: Request) -> tuple[Tree, Settings]:
    """The tree of ``request``, less what its settings leave out, and those settings; git is at work meanwhile."""
    from sentry_audit.sources.tree import Tree

    tree = Tree.open(request.root)
    from sentry_audit.settings import load as load_settings

    settings = load_settings(request.root)
    tree.leave_out(settings.exclude)
    return tree, settings


def _collect(tree: Tree, settings: Settings, request: Request) -> tuple[Collected, Deriver]:
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


def checks_file(path: Path, name: str = "") -> tuple[Check, ...]:
    """The checks of a file of the user's; raises ChecksFileError."""
    from sentry_audit.checks import load

    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ChecksFileError(f"{path} cannot be read: {error.strerror}", "give the path of a check file") from error
    except UnicodeDecodeError as error:
        raise ChecksFileError(f"{path} is not UTF-8 text (byte {error.start})", "save it as UTF-8") from error
    return load(text, name or str(path))


def _own_checks(root: Path, names: Sequence[str]) -> list[Check]:
    """The checks that the settings add; an id of the catalogue's cannot be taken."""
    taken = {item.id for item in shipped_checks(examples=False)} if names else set()
    found: list[Check] = []
    for name in names:
        for item in checks_file(root / name, name):
            if item.id in taken:
                raise ChecksFileError(f"{name}: the check {item.id} exists already", "choose another id")
            taken.add(item.id)
            found.append(item)
    return found


def _environments(request: Request, settings: Settings, tree: Tree) -> tuple[str, ...]:
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


def _components(collected: Collected, names: Sequence[str]) -> tuple[list[Service], list[Frontend]]:
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
    deriver: Deriver,
    components: Sequence[Component],
    checks: Sequence[Check],
    audited: Audited,
    snapshot: Snapshot | None,
    request: Request,
    settings: Settings,
) -> Report:
    """Judge and link up one environment."""
    from sentry_audit import chain, engine, live

    environment = audited.environment
    asked = request.cloud is not None or request.evidence is not None
    facts = [*audited.facts, *_cloud_facts(components, audited, snapshot, deriver)] if asked else audited.facts
    required = settings.requires_sentry(environment)
    problems = audited.problems + collected.problems + collected.tree.problems
    findings = engine.evaluate(checks, facts, problems, components, environment, required)
    selected = {check.link for check in checks}
    links = []
    for item in components:
        why = live.unlooked(item.name, environment, snapshot, asked=asked)
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
    )


def _cloud_facts(
    components: Sequence[Component], audited: Audited, snapshot: Snapshot | None, deriver: Deriver
) -> list[Fact]:
    from sentry_audit.derive.cloud import cloud_facts
    from sentry_audit.derive.matrix import dsn_matrix

    found: list[Fact] = []
    for component in components:
        mine = [fact for fact in audited.facts if fact.component == component.name]
        found += cloud_facts(component, audited.environment, snapshot, mine, deriver.matching)
        found += dsn_matrix(component, audited.environment, snapshot, mine)
    return found


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


def describe(check_id: str) -> Check:
    """The check with that id; raises UsageError with the nearest id."""
    known = {item.id: item for item in shipped_checks()}
    if check_id in known:
        return known[check_id]
    raise UsageError(f"no check is called {check_id}", nearest(check_id, known, "see: sentry-audit checks list"))
