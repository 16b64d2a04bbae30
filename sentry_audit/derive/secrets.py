"""Whether the secret of a DSN is there, holds one, and is what running instances have. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.cloud_facts import Secret, SecretAccess, SecretFreshness, SecretPayload, SecretVersionState
from sentry_audit.derive.access import access
from sentry_audit.derive.live import (
    SORTS,
    Unseen,
    at,
    before,
    hit,
    project_of,
    reached,
    revision_at,
    shown,
    telling,
    unseen,
    update,
)
from sentry_audit.dsn import names_dsn
from sentry_audit.errors import nearest
from sentry_audit.facts import DeployedDsn, DsnArgument, SecretName, SecretScript
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit import cloud
    from sentry_audit.derive.live import Subject
    from sentry_audit.facts import Fact

KINDS: tuple[type[Fact], ...] = (Secret, SecretVersionState, SecretPayload, SecretAccess, SecretFreshness)
_BREAKS = "it breaks the next cold start, running instances keep what they read"
_STATES = {"DISABLED": "is disabled", "DESTROYED": "is destroyed", "MISSING": "is not there"}


class Reference(Struct, frozen=True):
    """A secret that something takes the DSN from: ``source`` says what, in words.

    ``service`` and ``variable`` are set where a running service does.
    """

    project: str
    name: str
    version: str
    source: str
    evidence: tuple[Evidence, ...] = ()
    service: cloud.Service | None = None
    variable: str = ""


def secret_facts(subject: Subject) -> list[Fact]:
    """Everything about the secrets that the DSN of ``subject`` comes from."""
    references = _running(subject)
    if not references:
        told = _told(subject)
        if isinstance(told, Unseen):
            return [kind(unknown=told.reason, hint=told.hint, evidence=(subject.place,)) for kind in KINDS]
        if isinstance(told, str):
            places = tuple(at(item, "") for item in subject.services) or subject.needs.evidence
            return [kind(needless=told, evidence=places) for kind in KINDS]
        references = told
    facts: list[Fact] = []
    for reference in references:
        facts += _judged(subject, reference)
    return list(dict.fromkeys(facts))


# --- which secret ---------------------------------------------------------------------------------


def _running(subject: Subject) -> list[Reference]:
    """The secrets that the services' containers take the DSN from, as they were deployed last."""
    found = []
    for service in subject.services:
        for container in reached(service.template):
            variable = hit(container, subject.needs.names)
            if variable is not None and variable.secret:
                found.append(
                    Reference(
                        project=project_of(subject.snapshot, service, variable),
                        name=variable.secret,
                        version=variable.version or "latest",
                        source=f"{service.name} takes {variable.name} from it",
                        evidence=(at(service, shown(variable)),),
                        service=service,
                        variable=variable.name,
                    )
                )
    return found


def _told(subject: Subject) -> list[Reference] | str | Unseen:
    """The secrets that the repository takes the DSN from; why none is needed; or why that is not known."""
    target, needs, project = subject.target, subject.needs, subject.project.id
    if needs.secret:
        source, places = "the code reads the DSN from it", needs.evidence
        version = next((item.version for item in target.secrets if item.name == needs.secret), "latest")
        where = next((item.project for item in target.secrets if item.name == needs.secret), "") or project
        return [Reference(where, needs.secret, version, source, places)]
    deployed = next((fact for fact in subject.facts if isinstance(fact, DeployedDsn)), None)
    places = deployed.evidence if deployed is not None and deployed.secret else ()
    source = f"{places[0]} takes the DSN from it" if places else "the repository takes the DSN from it"
    if target.secrets:
        return [Reference(item.project or project, item.name, item.version, source, places) for item in target.secrets]
    if deployed is not None and deployed.secret:
        if "$" in deployed.secret:
            return Unseen(f"which secret the DSN comes from was not followed: {deployed.secret} ({places[0]})")
        name, version = deployed.secret.rpartition("/")[2], deployed.version or "latest"
        return [Reference(project, name, version, source, places)]
    if needs.nothing or needs.otherwise:
        return needs.nothing or f"the DSN is {needs.otherwise}"
    if subject.hidden is not None:
        return subject.hidden
    for service in subject.services:
        for container in reached(service.template):
            variable = hit(container, needs.names)
            if variable is not None and variable.is_set:
                return f"{service.name} has {variable.name} as a plain value, and nothing refers to a secret"
    usual = f"sentry-dsn-{subject.environment}"
    return [Reference(project, usual, "latest", f"nothing in {subject.environment} names another")]


# --- what is so of it -----------------------------------------------------------------------------


def _judged(subject: Subject, reference: Reference) -> list[Fact]:
    exists, secret = _exists(subject, reference)
    if exists.unknown:
        rest: list[Fact] = [
            kind(unknown=exists.unknown, hint=exists.hint, evidence=exists.evidence) for kind in KINDS[1:]
        ]
        return [exists, *rest]
    if not exists.exists:
        why = f"there is no secret {reference.name}"
        return [exists, *(kind(needless=why, evidence=exists.evidence) for kind in KINDS[1:])]
    if secret is None:
        why = f"the secret {reference.name} was not read: only its name is known"
        return [exists, *(kind(unknown=why, evidence=exists.evidence) for kind in KINDS[1:])]
    return [
        exists,
        *_version(reference, secret),
        *access(subject, reference.project, secret, reference.service),
        *_freshness(subject, reference, secret),
    ]


def _exists(subject: Subject, reference: Reference) -> tuple[Secret, cloud.Secret | None]:
    name, where = reference.name, reference.project
    here = Evidence(resource=f"projects/{where}/secrets/{name}", saw=reference.source)
    places = (here, *reference.evidence)
    project = subject.snapshot.project(where)
    secret = project.secret(name) if project is not None else None
    if project is None:
        why = Unseen(f"the secret {name} was not looked for: the project {where} was not read")
    elif secret is not None and secret.exists is not None:
        if secret.exists:
            return Secret(name=name, project=where, exists=True, source=f"{name} in {where}", evidence=places), secret
        return _gone(subject, reference, project, places), secret
    elif secret is not None:
        why = unseen([secret.failure] if secret.failure else [], f"whether the secret {name} exists is not known")
    elif name in project.names:
        return Secret(name=name, project=where, exists=True, source=f"{name} in {where}", evidence=places), None
    elif project.unnamed is not None:
        why = unseen([project.unnamed])
    elif names_dsn(name):
        return _gone(subject, reference, project, places), None
    else:
        why = Unseen(f"whether the secret {name} exists in {where} was not asked")
    return Secret(name=name, project=where, unknown=why.reason, hint=why.hint, evidence=places), None


def _gone(subject: Subject, reference: Reference, project: cloud.Project, places: tuple[Evidence, ...]) -> Secret:
    there = sorted({*project.names, *(item.name for item in project.secrets if item.exists)})
    name = reference.name
    hint = nearest(name, there, "")
    meant = hint.removeprefix("did you mean ").removesuffix("?")
    names = _names(subject, reference)
    problem = f"the secret {name} is not in {reference.project} ({reference.source})"
    problem += f": {hint}" if hint else f"; there are {', '.join(there[:5])}" if there else ""
    if names:
        problem += f" — the names differ: {names}"
    command = f"gcloud secrets create {name} --project={reference.project} --replication-policy=automatic --data-file=-"
    return Secret(
        name=name, project=reference.project, nearest=meant, source=reference.source, problem=problem,
        command=f'printf %s "$SENTRY_DSN" | {command}', evidence=places,
    )  # fmt: skip


def _names(subject: Subject, reference: Reference) -> str:
    """Who calls the secret what, where not all use one name; ``""`` where they do."""
    said: dict[str, str] = {reference.service.name: reference.name} if reference.service is not None else {}
    for fact in subject.facts:
        if isinstance(fact, DsnArgument) and fact.secret:
            said["the code"] = fact.secret
        elif isinstance(fact, DeployedDsn) and fact.secret:
            said[str(fact.evidence[0]) if fact.evidence else "the deployment"] = fact.secret
        elif isinstance(fact, SecretScript):
            for name in filter(names_dsn, fact.names):
                said[f"{fact.path} creates"] = name
        elif isinstance(fact, SecretName) and not fact.agrees:
            for place in fact.evidence:
                if telling(place.saw, ()):
                    said.setdefault(str(place), place.saw)
    for item in subject.target.secrets:
        if item.name not in said.values():
            said["the repository"] = item.name
    if len({*said.values(), reference.name}) < 2:
        return ""
    return ", ".join(f"{name} ({who})" for who, name in said.items())


def _version(reference: Reference, secret: cloud.Secret) -> list[Fact]:
    """The state of the version that is asked for, and what it holds."""
    asked, name, where = reference.version, reference.name, reference.project
    here = Evidence(resource=f"projects/{where}/secrets/{name}/versions/{asked}", saw="")
    seen = secret.version(asked)
    if seen is None or seen.failure is not None or not seen.state:
        failures = [seen.failure] if seen is not None and seen.failure is not None else []
        why = unseen(failures, f"the version {asked} of {name} was not read")
        places = (here, *reference.evidence)
        return [
            kind(unknown=why.reason, hint=why.hint, evidence=places) for kind in (SecretVersionState, SecretPayload)
        ]
    places = (Evidence(resource=here.resource, saw=f"{seen.number or asked}: {seen.state}"), *reference.evidence)
    state = _state(reference, seen, places)
    if not state.enabled:
        what = f"the version {asked} of {name} cannot be read"
        return [state, SecretPayload(name=name, needless=what, evidence=places)]
    return [state, _payload(reference, seen, places[0])]


def _state(reference: Reference, seen: cloud.SecretVersion, places: tuple[Evidence, ...]) -> SecretVersionState:
    asked, name, where = reference.version, reference.name, reference.project
    pinned = asked.isdigit()
    what = f"version {asked} of {name}" if asked != "latest" else f"the newest version of {name}"
    if seen.number and seen.number != asked:
        what += f" ({seen.number})"
    problem = ""
    if seen.state != "ENABLED":
        ends = f"{what} {_STATES.get(seen.state, f'is {seen.state}')}"
        if asked == "latest":
            ends += (
                ", and nothing falls back to an older one" if seen.state != "MISSING" else ": the secret has no version"
            )
        problem = f"{ends} ({reference.source}): {_BREAKS if reference.service else 'nothing can read it'}"
    add = f'printf %s "$SENTRY_DSN" | gcloud secrets versions add {name} --project={where} --data-file=-'
    if seen.state == "DISABLED" and seen.number:
        add = f"gcloud secrets versions enable {seen.number} --secret={name} --project={where}"
    elif pinned and reference.service is not None:
        add = update(reference.service, f"--update-secrets={reference.variable}={name}:latest")
    return SecretVersionState(
        name=name, project=where, version=asked, number=seen.number, state=seen.state, enabled=not problem, pinned=pinned,
        source=f"{what} is enabled", problem=problem, command=add, evidence=places,
    )  # fmt: skip


def _payload(reference: Reference, seen: cloud.SecretVersion, here: Evidence) -> SecretPayload:
    asked, name, where = reference.version, reference.name, reference.project
    if seen.dsn is None:
        why = unseen([seen.unread] if seen.unread is not None else [], f"what {name}:{asked} holds was not read")
        return SecretPayload(
            name=name, project=where, version=asked, unknown=why.reason, hint=why.hint, evidence=(here,)
        )
    value = seen.dsn
    wrong = value.problem or ("" if value.valid else "it is no DSN")
    place = Evidence(resource=here.resource, saw=value.shown)
    return SecretPayload(
        name=name, project=where, version=asked, valid=not wrong, shown=value.shown, host=value.host,
        fingerprint=value.fingerprint, source=f"{name}:{asked} holds {value.shown}",
        problem=f"what {name}:{asked} holds cannot work as a DSN: {wrong} ({value.shown})" if wrong else "",
        command=f'printf %s "$SENTRY_DSN" | gcloud secrets versions add {name} --project={where} --data-file=-',
        evidence=(place,),
    )  # fmt: skip


# --- what running instances have ------------------------------------------------------------------


def _freshness(subject: Subject, reference: Reference, secret: cloud.Secret) -> Iterable[Fact]:
    """Whether revisions that serve are younger than the version that they read as ``latest`` when they start.

    Cloud Run resolves a variable's secret when an instance starts, a mounted one at each read.
    """
    service, name = reference.service, reference.name
    if service is None:
        return [SecretFreshness(name=name, needless=f"no service that runs takes the DSN from {name}")]
    here = at(service, f"{reference.variable} from the secret {name}:{reference.version}")
    if service.sort != "service" and not service.serving:
        what = f"{service.name} is a {SORTS[service.sort]}: what starts next reads it anew"
        return [SecretFreshness(name=name, service=service.name, needless=what, evidence=(here,))]
    if reference.version != "latest":
        source = f"{service.name} asks for version {reference.version}, not for the newest"
        return [SecretFreshness(name=name, service=service.name, source=source, evidence=(here,))]
    newest = secret.version("latest")
    if not service.serving or newest is None or newest.failure is not None:
        reason = f"which version of {name} the instances of {service.name} have is not known"
        return [SecretFreshness(name=name, service=service.name, unknown=reason, evidence=(here,))]
    if newest.state != "ENABLED":
        what = f"the newest version of {name} cannot be read"
        return [SecretFreshness(name=name, service=service.name, needless=what, evidence=(here,))]
    return [_since(subject, reference, service, item, newest) for item in service.serving if item.percent > 0]


def _since(
    subject: Subject, reference: Reference, service: cloud.Service, item: cloud.Serving, newest: cloud.SecretVersion
) -> SecretFreshness:
    name, template = reference.name, item.template
    if template is None and item.failure is None and item.revision == service.latest_created:
        template = service.template
    here = revision_at(service, item.revision, f"created {item.created or 'at an unknown time'}")
    containers = reached(template)
    variables = [found for part in containers if (found := hit(part, subject.needs.names)) is not None]
    asks = any(found.secret == name and (found.version or "latest") == "latest" for found in variables)
    older = before(item.created, newest.created)
    if template is None or (asks and older is None):
        failures = [item.failure] if item.failure is not None else []
        why = unseen(failures, f"when {item.revision} was made, or what it has, is not known")
        return SecretFreshness(
            name=name, service=service.name, revision=item.revision, unknown=why.reason, hint=why.hint, evidence=(here,)
        )
    number = newest.number or "latest"
    problem = (
        f"{item.revision} ({item.percent}% of the traffic of {service.name}) is older than version {number} of {name}: "
        "instances that started before have the old value until they are replaced"
    )
    stale = asks and bool(older)
    version = f"projects/{reference.project}/secrets/{name}/versions/{number}"
    return SecretFreshness(
        name=name, service=service.name, revision=item.revision, current=not stale, problem=problem if stale else "",
        source=f"{item.revision} was made after version {number} of {name}",
        command=update(service, f"--update-secrets={reference.variable}={name}:{number}"),
        evidence=(here, Evidence(resource=version, saw=f"created {newest.created}")),
    )  # fmt: skip
