"""The use case ``verify``: what will be executed, each component booted, driven and stopped, and the report of it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit import auditing, chain
from sentry_audit.errors import NothingAudited
from sentry_audit.facts import (
    DeployedDsn,
    DsnArgument,
    Proof,
    RequestContext,
    SdkDependency,
    SdkInit,
    Tracing,
)
from sentry_audit.model import Link, Status
from sentry_audit.proofs import judge
from sentry_audit.python.components import FRAMEWORKS
from sentry_audit.python.factories import application
from sentry_audit.seen import Expected, Observed
from sentry_audit.verifying import jobs
from sentry_audit.verifying.booting import HOOK, Process, free_port
from sentry_audit.verifying.driving import Driver
from sentry_audit.verifying.plan import Boot, plan, without_server
from sentry_audit.verifying.sink import Sink
from sentry_audit.verifying.variables import Variables, python_environment, resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sentry_audit.auditing import Audited, Request
    from sentry_audit.checks import Check
    from sentry_audit.deriving import Deriver
    from sentry_audit.facts import Component, Fact
    from sentry_audit.model import ChainLink, ComponentReport, Evidence, Report
    from sentry_audit.python.components import Service
    from sentry_audit.seen import Stop

#: Libraries that the harness can drive, by the name that they are installed under.
_DATABASES = {"sqlalchemy": "sqlalchemy", "django": "django"}
_MODELS = {"openai": "openai", "anthropic": "anthropic"}
_FRAMEWORKS = {"fastapi": "fastapi", "starlette": "starlette", "flask": "flask", "django": "django", "celery": "celery"}


class Wishes(Struct, frozen=True, kw_only=True):
    """What the command line says of booting: the interpreter, the command, own variables, own headers, patience."""

    python: str = ""
    command: str = ""
    variables: dict[str, str] = {}
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 60.0


class Subject(Struct, frozen=True, kw_only=True):
    """One component, as it will be booted."""

    component: Component
    boot: Boot
    variables: Variables
    expected: Expected
    python: str
    port: int


class Prepared(Struct, frozen=True, kw_only=True):
    """The audit that came before, and what will be executed."""

    request: Request
    collected: Any
    settings: Any
    tree: Any
    audited: Audited
    subjects: tuple[Subject, ...]


def prepare(request: Request, wishes: Wishes, locks: Mapping[str, tuple[str, ...]] | None = None) -> Prepared:
    """Audit the repository for one environment, and say how each Python component is booted; nothing is executed.

    Raises NothingAudited where there is no such component.
    """
    tree, settings = auditing.open_tree(request)
    environment = auditing.environments_of(request, settings, tree)[0]
    collected, deriver = auditing.collect(tree, settings, request)
    services, frontends = auditing.components_of(collected, request.components)
    if not services:
        what = "is a front end" if frontends else "was found"
        raise NothingAudited(f"no Python component {what} in {request.root}", "verify boots Python components")
    audited = auditing.derived(deriver, (services, []), environment)
    subjects = tuple(_subject(service, environment, audited, deriver, request, wishes, locks) for service in services)
    return Prepared(
        request=request, collected=collected, settings=settings, tree=tree, audited=audited, subjects=subjects
    )


def _subject(
    service: Service, environment: str, audited: Audited, deriver: Deriver, request: Request, wishes: Wishes,
    locks: Mapping[str, tuple[str, ...]] | None,
) -> Subject:  # fmt: skip
    component = service.fact
    facts = [fact for fact in audited.facts if fact.component == component.name]
    python = interpreter(request.root / component.folder, request.root, wishes.python)
    port = free_port()
    module = deriver.program.module((component.entry_point or "").partition(":")[0])
    made = application(module, FRAMEWORKS) if module is not None else ("", False)
    boot = plan(component, python, port, wishes.command, made, named=component.name in request.components)
    has = installed_modules(python, (*boot.needs, "sentry_sdk")) if boot.argv else {}
    missing = [name for name in boot.needs if not has.get(name)]
    if missing:
        boot = without_server(boot, component, port)
    variables = resolved(component, environment, deriver.matching, facts, service.image, wishes.variables)
    locked = None if locks is None else locks.get(f"{component.name}@{environment}", ())
    expected = replace(
        _expected(component, environment, facts), installed=has.get("sentry_sdk", True), locked=locked,
        server=boot.server, given=(*boot.notes, *variables.notes), complete=variables.complete,
    )  # fmt: skip
    return Subject(component=component, boot=boot, variables=variables, expected=expected, python=python, port=port)


def _expected(component: Component, environment: str, facts: Sequence[Fact]) -> Expected:
    absent = condition = no_dsn = dead_end = untraced = ""
    conditioned: tuple[Evidence, ...] = ()
    databases: list[str] = []
    models: list[str] = []
    context = next((fact for fact in facts if isinstance(fact, RequestContext)), RequestContext())
    for fact in facts:
        if isinstance(fact, SdkDependency) and not fact.declared and not fact.unknown:
            absent = fact.why_not or "no manifest declares it"
        elif isinstance(fact, SdkInit) and fact.condition:
            condition = f"{fact.condition}" + (f" ({fact.why_not})" if fact.why_not else "")
            conditioned = fact.evidence
        elif isinstance(fact, DeployedDsn) and fact.problem:
            no_dsn = fact.problem
        elif isinstance(fact, DsnArgument) and not fact.unknown:
            dead_end = fact.dead_end
        elif isinstance(fact, Tracing):
            if fact.area == "tracing" and not fact.enabled:
                untraced = fact.problem
            if fact.area == "database" and fact.library in _DATABASES:
                databases.append(_DATABASES[fact.library])
            if fact.area == "llm" and fact.library in _MODELS:
                models.append(_MODELS[fact.library])
    traced = any(isinstance(fact, Tracing) and fact.area == "tracing" and fact.enabled for fact in facts)
    if component.framework == "django" and traced:
        databases.append("django")
    if component.role == "job":  # nothing can be asked of it
        databases, models = [], []
    return Expected(
        component=component.name, environment=environment, role=component.role, absent=absent, condition=condition, conditioned=conditioned,
        no_dsn=no_dsn, dead_end=dead_end, untraced=untraced, databases=tuple(dict.fromkeys(databases)), models=tuple(dict.fromkeys(models)),
        has_authentication=context.has_authentication, sets_user=context.sets_user,
    )  # fmt: skip


def interpreter(folder: Path, root: Path, given: str) -> str:
    """The Python that runs the application: given, its own ``.venv``, the active one, ours."""
    if given:
        return str(Path(given).absolute())
    for place in (folder, root):
        for name in (".venv", "venv"):
            for inner in ("bin/python", "Scripts/python.exe"):
                if (found := place / name / inner).is_file():
                    return str(found.absolute())
    active = os.environ.get("VIRTUAL_ENV", "")
    if active and (found := Path(active) / "bin/python").is_file():
        return str(found)
    return sys.executable


def installed_modules(python: str, names: Sequence[str]) -> dict[str, bool]:
    """Which of the modules ``names`` the interpreter has."""
    import subprocess

    code = "import importlib.util, json, sys; print(json.dumps({n: importlib.util.find_spec(n) is not None for n in sys.argv[1:]}))"
    try:
        done = subprocess.run(
            [python, "-I", "-c", code, *names], capture_output=True, text=True, timeout=30, check=True
        )
        return dict(json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}


def observe(subject: Subject, root: Path, sink: Sink, wishes: Wishes, names: Collection[str]) -> Observed:
    """Boot one component, drive it as far as the proofs ``names`` need, and stop it; nothing of it runs on."""
    boot = subject.boot
    if boot.unknown:
        return Observed(failure=boot.unknown)
    key = f"k{os.urandom(8).hex()}"
    job = jobs.order(wishes.timeout)
    config: dict[str, Any] = {
        **job,
        "dsn": sink.dsn(key),
        "dsns": subject.variables.dsns,
        "absent": ["sentry_sdk"] if subject.expected.absent else [],
    }
    with tempfile.TemporaryDirectory(prefix="sentry-audit-") as folder:
        records = Path(folder) / "records.jsonl"
        config["records"] = str(records)
        environment = python_environment(subject.variables.values, HOOK, json.dumps(config), subject.port)
        try:
            process = Process(boot.argv, root / boot.folder, environment, records)
        except OSError as error:
            return Observed(failure=f"{boot.argv[0]} cannot be started: {error.strerror}")
        try:
            return _observed(subject, process, sink, key, root, wishes, names, job)
        finally:
            process.kill()


def _observed(
    subject: Subject, process: Process, sink: Sink, key: str, root: Path, wishes: Wishes, names: Collection[str],
    job: Mapping[str, Any],
) -> Observed:  # fmt: skip
    driver = Driver(process, subject.port, sink, key, wishes.headers, os.path.realpath(root))
    if subject.expected.server == "celery":
        from sentry_audit.verifying.workers import drive

        failure, stop = drive(driver, wishes.timeout, to_the_end="shutdown" in names)
    elif subject.boot.server == "job":
        failure, stop = jobs.drive(driver, job), None
    else:
        failure, stop = _drive(driver, process, subject, wishes, names)
    process.fresh()
    told = driver.about.get("framework") or subject.component.framework
    own = [value for value in wishes.variables.values() if len(value) > 6]
    return Observed(
        command=" ".join(subject.boot.argv), failure=failure, output=_clean(process.output, own),
        records=tuple(_located(item, driver) for item in process.known),
        probes=tuple(replace(item, records=tuple(_located(one, driver) for one in item.records)) for item in driver.probes),
        sent=driver.sent(), stop=stop, canaries=driver.canaries, request_id=driver.request_id,
        framework=_FRAMEWORKS.get(told, ""), about=driver.about, closed=driver.closed,
    )  # fmt: skip


def _drive(
    driver: Driver, process: Process, subject: Subject, wishes: Wishes, names: Collection[str]
) -> tuple[str, Stop | None]:
    def ready() -> bool:
        if driver.is_up():
            return True
        process.fresh()
        bound = [item["port"] for item in process.known if item.get("kind") == "bind"]
        if bound and subject.port not in bound:
            driver.port = bound[-1]  # it has a port of its own
        return False

    if failure := process.wait(ready, wishes.timeout):
        return failure, None
    driver.drive(subject.expected)
    stop = driver.stop(driver.boom) if driver.about and "shutdown" in names else None
    return "", stop


def _located(record: dict[str, Any], driver: Driver) -> dict[str, Any]:
    """A record whose file is named from the root; one outside of it has none."""
    if not record.get("file"):
        return record
    return {**record, "file": driver.relative(str(record["file"]))}


def _clean(lines: Sequence[str], own: Sequence[str]) -> tuple[str, ...]:
    found = []
    for line in lines:
        for value in own:
            line = line.replace(value, "…")  # noqa: PLW2901 - one value after the other
        found.append(line)
    return tuple(found)


def proofs_of(checks: Sequence[Check]) -> frozenset[str]:
    """The names of the proofs that ``checks`` ask for."""
    return frozenset(
        str(wanted)
        for check in checks
        for field, operator, wanted in check.where
        if check.subject == Proof.kind and field == "name" and operator == "is"
    )


def verify(
    prepared: Prepared, checks: Sequence[Check], wishes: Wishes, say: Callable[[str], None] = lambda _: None
) -> tuple[Report, dict[str, Observed]]:
    """Boot what was prepared, one after the other; the report of the proofs, and what was seen of each component."""
    seen: dict[str, Observed] = {}
    proofs: list[Proof] = []
    names = proofs_of(checks)
    for subject in prepared.subjects:
        name = subject.component.name
        say(f"{name}: booting")
        with Sink() as sink:
            observed = observe(subject, prepared.request.root, sink, wishes, names)
        seen[name] = observed = undeployed(observed, prepared.tree.listed, prepared.request.root)
        proofs += judge(observed, subject.expected)
    made = report(
        prepared, checks, proofs, [subject.component for subject in prepared.subjects],
        deployed={item.component.name for item in prepared.subjects if not item.variables.notes},
    )  # fmt: skip
    return replace(made, notes=(*made.notes, *_notes(seen))), seen


def _notes(seen: Mapping[str, Observed]) -> list[str]:
    """What each component asked for outside this machine, in vain."""
    found = []
    for name, observed in seen.items():
        if hosts := listed([str(item.get("host")) for item in observed.of("blocked")]):
            found.append(f"{name} was kept from reaching {hosts}: verify lets nothing leave this machine")
    return found


def listed(hosts: Sequence[str]) -> str:
    """The first of ``hosts`` in words, each once."""
    once = sorted(set(hosts))
    return ", ".join(once[:5]) + (", …" if len(once) > 5 else "")


def undeployed(observed: Observed, known: Collection[str], root: Path) -> Observed:
    """``observed``, with a DSN that came from a file which is not among those ``known`` of the repository marked."""
    records = []
    for item in observed.records:
        path = os.path.relpath(os.path.realpath(item["dotenv"]), os.path.realpath(root)) if item.get("dotenv") else ""
        records.append({**item, "not_deployed": path} if path and path not in known else item)
    return replace(observed, records=tuple(records))


def report(
    prepared: Prepared, checks: Sequence[Check], proofs: Sequence[Proof], components: Sequence[Component],
    deployed: Collection[str] = (),
) -> Report:  # fmt: skip
    """``proofs`` of ``components`` judged, in the form of every report.

    ``deployed`` are the components that were given what their deployment passes, and nothing made up in its place.
    """
    from sentry_audit import app
    from sentry_audit.accepting import ledger

    request, settings = prepared.request, prepared.settings
    accepted = ledger(request, settings, prepared.tree, lambda: app.ids(request, settings))
    audited = auditing.Audited(prepared.audited.environment, list(proofs), [])
    made = auditing.report(prepared.collected, components, checks, audited, None, request, settings, accepted)
    parts = tuple(_implied(item, deployed=item.name in deployed) for item in made.components)
    ready, headline = chain.verdict(parts, made.environment)
    return replace(made, components=parts, ready=ready, headline=headline)


def _implied(component: ComponentReport, *, deployed: bool) -> ComponentReport:
    """An event that arrived went through what comes before it in the application, whatever else is known of that."""
    arrived = next((link for link in component.chain if link.link is Link.ACCEPTED), None)
    if arrived is None or arrived.status is not Status.PASS:
        return replace(component, chain=_unlooked(component))
    told = "an error of it arrived" + (", with what its deployment passes" if deployed else "")
    implied = {Link.SDK, Link.INIT, Link.DSN} | ({Link.DEPLOY} if deployed else set())
    links = tuple(
        replace(link, status=Status.PASS, message=told)
        if link.link in implied and link.status is Status.UNKNOWN
        else link
        for link in _unlooked(component)
    )
    return replace(component, chain=links)


def _unlooked(component: ComponentReport) -> tuple[ChainLink, ...]:
    """The chain, with why nothing is known of a link that verify does not look at."""
    told = "verify does not look at it: sentry-audit check"
    return tuple(
        replace(link, message=told) if link.status is Status.UNKNOWN and link.link is not Link.ACCEPTED else link
        for link in component.chain
    )
