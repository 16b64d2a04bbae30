"""What of Google Cloud is one component's in one environment, and the words and commands that say so. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from sentry_audit.dsn import names_dsn
from sentry_audit.errors import nearest
from sentry_audit.facts import DeployedDsn, DsnArgument, FrontendDsn, FrontendVariable
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_audit.cloud import Container, DsnSeen, Failure, Project, Service, Snapshot, Target, Template, Variable
    from sentry_audit.deployment.matching import Matching
    from sentry_audit.facts import Component, Fact

DEFAULT = ("SENTRY_DSN",)
LABEL = "SENTRY_ENVIRONMENT"
SORTS = {"service": "service", "job": "job", "worker-pool": "worker pool"}
_GROUPS = {"service": "run services", "job": "run jobs", "worker-pool": "beta run worker-pools"}
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|\+00:00)")
_REGION = re.compile(r"/locations/([a-z0-9-]+)")
_MOST_REGIONS = 3
F = TypeVar("F", bound="Fact")


class Unseen(Struct, frozen=True):
    """Why something could not be determined, and the command that would let it be."""

    reason: str
    hint: str = ""


def unseen(failures: Iterable[Failure], otherwise: str = "") -> Unseen:
    """What ``failures`` come to; ``otherwise`` where there are none. A permission is named once."""
    reasons, hints = [], []
    for item in failures:
        needs = f" (needs {item.permission} on {item.resource or 'the project'})"
        reasons.append(item.reason + (needs if item.permission and item.permission not in item.reason else ""))
        hints.append(item.command)
    hint = next(filter(None, hints), "")
    return Unseen("; ".join(dict.fromkeys(reasons)) or otherwise, hint)


class Needs(Struct, frozen=True):
    """What gives a component its DSN while it runs.

    ``names`` are the variables, the first that has a value counts. ``nothing`` says why no variable is needed,
    ``built`` that it is compiled in: then nothing that runs matters. ``otherwise`` is what gives it one where none is
    set, ``unsure`` why that is not known. ``secret`` is the one that the code itself reads it from.
    """

    names: tuple[str, ...] = DEFAULT
    nothing: str = ""
    built: bool = False
    otherwise: str = ""
    unsure: str = ""
    secret: str = ""
    evidence: tuple[Evidence, ...] = ()

    @property
    def either(self) -> str:
        """The variables, in words."""
        return " or ".join(self.names)


class Subject(Struct, frozen=True):
    """One component in one environment: where it is meant to run, and what was found there.

    ``services`` are those of its target's name, one per region. Without any, ``missing`` says that there is none, or
    ``hidden`` why that is not known.
    """

    component: Component
    environment: str
    target: Target
    project: Project
    snapshot: Snapshot
    facts: Sequence[Fact]
    matching: Matching
    needs: Needs
    services: tuple[Service, ...] = ()
    missing: str = ""
    hidden: Unseen | None = None

    @property
    def place(self) -> Evidence:
        """Where the service was looked for."""
        return Evidence(resource=f"projects/{self.project.id}", saw=f"{SORTS[self.target.sort]} {self.target.service}")


def fact_of(kind: type[F], facts: Iterable[Fact]) -> F | None:
    """The first fact of a kind."""
    return next((fact for fact in facts if isinstance(fact, kind)), None)


# --- what the code needs --------------------------------------------------------------------------


def needs(component: Component, target: Target | None, facts: Sequence[Fact]) -> Needs:
    """What gives ``component`` its DSN, as its code and its image say."""
    told = tuple(name for name in (target.variables if target else ()) if "DSN" in name.upper()) or DEFAULT
    if component.role == "frontend":
        return _frontend(component, facts)
    argument = fact_of(DsnArgument, facts)
    if argument is None:
        return Needs(told)
    places = argument.evidence[-1:]
    if argument.secret:
        nothing = f"the code reads the DSN from the secret {argument.secret} by itself"
        return Needs((), nothing, secret=argument.secret, evidence=places)
    if argument.resolves and not argument.variables:
        return Needs((), "the DSN is a literal in the code", evidence=places)
    names = argument.variables or told
    if argument.literal:
        return Needs(names, otherwise=f"a literal in the code, in case nothing sets {' or '.join(names)}")
    deployed = fact_of(DeployedDsn, facts)
    if deployed is not None and deployed.declared and deployed.evidence and deployed.evidence[0].saw.startswith("ENV "):
        return Needs(names, otherwise=deployed.source)
    return Needs(names, unsure=argument.unknown or argument.also)


def labels(target: Target, needs: Needs) -> tuple[str, ...]:
    """The variables that the environment's name comes from; none if the code says it by itself."""
    return tuple(name for name in target.variables if name not in needs.names and "DSN" not in name.upper())


def _frontend(component: Component, facts: Sequence[Fact]) -> Needs:
    """A front end's DSN is compiled in, unless its server hands it out while it runs."""
    variables = [fact for fact in facts if isinstance(fact, FrontendVariable)]
    late = tuple(dict.fromkeys(fact.name for fact in variables if fact.at_run_time))
    if late:
        return Needs(late)
    what = variables[0].name if variables else "the DSN"
    dsn = fact_of(FrontendDsn, facts)
    places = variables[0].evidence[-1:] if variables else dsn.evidence[-1:] if dsn else ()
    return Needs((), f"{what} is compiled in when {component.name} is built", built=True, evidence=places)


# --- what was found -------------------------------------------------------------------------------


def found(target: Target, project: Project) -> tuple[tuple[Service, ...], str, Unseen | None]:
    """(the services of the target's name, why there is none, why that is not known): the first that applies."""
    mine = [item for item in project.services if item.name == target.service and item.sort == target.sort]
    here = tuple(item for item in mine if not target.regions or item.region in target.regions)
    if here:
        return here, "", None
    what = f"{SORTS[target.sort]} {target.service}"
    unlisted = [item for item in project.unlisted if _concerns(item, target)]
    if unlisted:
        why = unseen(unlisted)
        return (), "", Unseen(f"whether there is a {what} is not known: {why.reason}", why.hint)
    unasked = [name for name in target.regions if name not in project.regions]
    if unasked or not project.regions:
        where = f"the region {unasked[0]}" if unasked else f"no region of {project.id}"
        return (), "", Unseen(f"whether there is a {what} is not known: {where} was {'not ' * bool(unasked)}asked")
    return (), f"there is no {what} in {project.id} ({_regions(target, project)}){_meant(target, project, mine)}", None


def _concerns(failure: Failure, target: Target) -> bool:
    """Whether what could not be listed may hold the target: not where it was another region."""
    region = _REGION.search(failure.resource)
    return region is None or not target.regions or region[1] in target.regions


def _regions(target: Target, project: Project) -> str:
    names = target.regions or project.regions
    more = f" and {len(names) - _MOST_REGIONS} more regions" if len(names) > _MOST_REGIONS else ""
    return ", ".join(names[:_MOST_REGIONS]) + more


def _meant(target: Target, project: Project, elsewhere: Sequence[Service]) -> str:
    """What may be meant instead: the same name elsewhere, or of another sort, or a similar name."""
    if elsewhere:
        return f": it is in {', '.join(item.region for item in elsewhere)}"
    other = next((item for item in project.services if item.name == target.service), None)
    if other is not None:
        return f": {other.name} is a {SORTS[other.sort]} in {other.region}"
    names = sorted({item.name for item in project.services})
    hint = nearest(target.service, names, "")
    return f": {hint}" if hint else f"; there are {', '.join(names[:5])}" if names else "; there are no services"


def reached(template: Template | None) -> tuple[Container, ...]:
    """The containers that requests reach; in jobs and worker pools all."""
    return tuple(item for item in template.containers if item.ingress) if template is not None else ()


def hit(container: Container, names: Iterable[str]) -> Variable | None:
    """The first of ``names`` that has a value in ``container``, else one that is there and empty."""
    there = [item for name in names if (item := container.variable(name)) is not None]
    return next((item for item in there if item.secret or item.is_set), next(iter(there), None))


def project_of(snapshot: Snapshot, service: Service, variable: Variable) -> str:
    """The project of the secret that a variable comes from, by its id where that is known."""
    named = variable.secret_project or service.project
    project = snapshot.project(named)
    return project.id if project is not None else named


def dsn_of(snapshot: Snapshot, service: Service, variable: Variable) -> DsnSeen | None:
    """The DSN that a variable has: its own, or what its secret's version holds; None where that was not read."""
    if not variable.secret:
        return variable.dsn
    project = snapshot.project(project_of(snapshot, service, variable))
    secret = project.secret(variable.secret) if project is not None else None
    version = secret.version(variable.version) if secret is not None else None
    return version.dsn if version is not None else None


def telling(secret: str, known: Iterable[str]) -> bool:
    """Whether a secret of that name is a DSN's: by its name, or because it is ``known`` to be."""
    return names_dsn(secret) or secret in known


def before(left: str, right: str) -> bool | None:
    """Whether one moment (RFC 3339, UTC) is before another; None if one of them is none."""
    moments = [_MOMENT.fullmatch(text.strip()) for text in (left, right)]
    keys = [(match[1], (match[2] or "").ljust(9, "0")) for match in moments if match is not None]
    return keys[0] < keys[1] if len(keys) == 2 else None


# --- words and commands ---------------------------------------------------------------------------


def shown(variable: Variable) -> str:
    """``SENTRY_DSN from the secret sentry-dsn:latest``; a plain value only where it may be shown."""
    if variable.secret:
        return f"{variable.name} from the secret {variable.secret}:{variable.version or 'latest'}"
    if not variable.is_set:
        return f"{variable.name} is empty"
    value = variable.dsn.shown if variable.dsn is not None else variable.value
    return f"{variable.name}={value}" if value else f"{variable.name} is set"


def at(service: Service, saw: str) -> Evidence:
    """The service as a place that was looked at."""
    return Evidence(resource=service.resource, saw=saw)


def revision_at(service: Service, revision: str, saw: str) -> Evidence:
    """Likewise one of its revisions."""
    return Evidence(resource=f"{service.resource}/revisions/{revision}", saw=saw)


def named(service: Service, container: Container) -> str:
    """``shop-api``, with its container where it has several."""
    several = len(service.template.containers) > 1 and container.name
    return f"{service.name} (container {container.name})" if several else service.name


def listing(project: Project, sort: str) -> str:
    """The gcloud line that shows which services, jobs or worker pools there are."""
    return f"gcloud {_GROUPS[sort]} list --project={project.id}"


def update(service: Service, flags: str, container: Container | None = None) -> str:
    """The gcloud line that changes a service, job or worker pool."""
    several = container is not None and container.name and len(service.template.containers) > 1
    which = f" --container={container.name}" if container is not None and several else ""
    where = f"--project={service.project} --region={service.region}"
    return f"gcloud {_GROUPS[service.sort]} update {service.name} {where}{which} {flags}"
