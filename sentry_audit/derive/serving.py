"""Whether what a Cloud Run service was given, and what really serves, can send events to Sentry. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.cloud_facts import CloudRunEnv, CloudRunEnvironment, CpuAllocation, Egress, ServingRevision
from sentry_audit.deployment.environments import canonical, named_in
from sentry_audit.derive.live import (
    LABEL,
    SORTS,
    at,
    dsn_of,
    hit,
    labels,
    listing,
    named,
    project_of,
    reached,
    revision_at,
    shown,
    telling,
    unseen,
    update,
)
from sentry_audit.derive.sending import cpu, egress
from sentry_audit.facts import DeployedDsn, DeployedEnvironment

if TYPE_CHECKING:
    from sentry_audit.cloud import Container, Service, Serving, Template, Variable
    from sentry_audit.derive.live import Subject
    from sentry_audit.facts import Fact

_NO_CONTAINER = "which of its containers requests reach was not told"


def serving_facts(subject: Subject) -> list[Fact]:
    """Everything about the services of ``subject`` but their secrets."""
    if subject.hidden is not None:
        reason, hint = subject.hidden.reason, subject.hidden.hint
        kinds: tuple[type[Fact], ...] = (CloudRunEnv, CloudRunEnvironment, ServingRevision, CpuAllocation, Egress)
        return [kind(unknown=reason, hint=hint, evidence=(subject.place,)) for kind in kinds]
    if not subject.services:
        return _missing(subject)
    facts: list[Fact] = []
    for service in subject.services:
        if not reached(service.template):
            kinds = (CloudRunEnv, CloudRunEnvironment)
            facts += [kind(unknown=f"{service.name}: {_NO_CONTAINER}", evidence=(at(service, ""),)) for kind in kinds]
        for container in reached(service.template):
            facts += [_variable(subject, service, container), _label(subject, service, container)]
        facts += [*_revisions(subject, service), cpu(subject, service), egress(subject, service)]
    return facts


def _missing(subject: Subject) -> list[Fact]:
    target = subject.target
    command = listing(subject.project, target.sort)
    names = subject.needs.names
    absent = CloudRunEnv(
        name=names[0] if names else "", service=target.service, problem=subject.missing, command=command,
        evidence=(subject.place,),
    )  # fmt: skip
    kinds: tuple[type[Fact], ...] = (CloudRunEnvironment, ServingRevision, CpuAllocation, Egress)
    return [absent, *(kind(needless=subject.missing, evidence=(subject.place,)) for kind in kinds)]


# --- the variable of the DSN ----------------------------------------------------------------------


def _variable(subject: Subject, service: Service, container: Container) -> CloudRunEnv:
    needs = subject.needs
    if needs.nothing:
        return CloudRunEnv(service=service.name, needless=needs.nothing, evidence=needs.evidence)
    variable = hit(container, needs.names)
    if variable is None:
        return _absent(subject, service, container)
    where = named(service, container)
    here = (at(service, shown(variable)),)
    present, problem = True, ""
    if variable.secret:
        source = f"{where} has {shown(variable)}"
    else:
        source = f"{where} has {variable.name} as a plain value"
        problem = _wrong(variable)
        present = not problem
    return CloudRunEnv(
        name=variable.name, service=service.name, container=container.name, present=present,
        plain=present and not variable.secret, from_secret=bool(variable.secret), secret=variable.secret,
        version=variable.version, source=source, problem=f"{variable.name} of {where} {problem}" if problem else "",
        command=_pass(subject, service, container, variable.name), evidence=here,
    )  # fmt: skip


def _wrong(variable: Variable) -> str:
    """What is wrong with a plain value as a DSN, as the end of a sentence."""
    if not variable.is_set:
        return "is set to nothing"
    if variable.dsn is None:
        return "is a plain value that is no DSN"
    if variable.dsn.problem or not variable.dsn.valid:
        return f"is {variable.dsn.shown}, which cannot work: {variable.dsn.problem or 'it is no DSN'}"
    return ""


def _absent(subject: Subject, service: Service, container: Container) -> CloudRunEnv:
    """The container has none of the variables: whether that is wrong, and who has it instead."""
    needs, where = subject.needs, named(service, container)
    name, here = needs.names[0], (at(service, f"no {needs.either}"),)
    if needs.otherwise:
        return CloudRunEnv(name=name, service=service.name, present=True, source=needs.otherwise, evidence=here)
    known = {item.name for item in subject.target.secrets}
    mount = next((item for item in container.mounts if telling(item.secret, known)), None)
    if mount is not None:
        reason = (
            f"{where} has no {needs.either}, but the secret {mount.secret} as the file {mount.path}: whether the code "
            "reads the DSN from there was not followed"
        )
        return CloudRunEnv(name=name, service=service.name, unknown=reason, evidence=(at(service, mount.path),))
    if needs.unsure:
        reason = f"{where} has no {needs.either}, and {needs.unsure}"
        return CloudRunEnv(name=name, service=service.name, unknown=reason, evidence=here)
    return CloudRunEnv(
        name=name, service=service.name, container=container.name, evidence=here,
        problem=f"{service.name} has no {needs.either}{_instead(subject, service, container)}",
        command=_pass(subject, service, container, name),
    )  # fmt: skip


def _instead(subject: Subject, service: Service, container: Container) -> str:
    """Which other container has the variable, or which variable of a similar name is there."""
    for other in service.template.containers:
        if other is not container and not other.ingress and hit(other, subject.needs.names) is not None:
            return (
                f" where it counts: the sidecar {other.name or 'without a name'} has it, the container "
                f"{container.name or 'without a name'} that requests reach does not"
            )
    known = {item.name for item in container.variables}
    near = sorted(name for name in known if "SENTRY" in name.upper() and "DSN" in name.upper())
    return f": it has {', '.join(near)}, which the code does not read" if near else ""


def secret_meant(subject: Subject) -> str:
    """The secret that the repository takes the DSN from, else the one that is usual."""
    deployed = next((fact for fact in subject.facts if isinstance(fact, DeployedDsn)), None)
    told = [item.name for item in subject.target.secrets] + ([deployed.secret] if deployed is not None else [])
    return next((name for name in told if name and "$" not in name), f"sentry-dsn-{subject.environment}")


def _pass(subject: Subject, service: Service, container: Container, name: str) -> str:
    """The line that passes the DSN from a secret; gcloud refuses to change a plain value into one."""
    plain = "" if (there := container.variable(name)) is None or there.secret else f"--remove-env-vars={name} "
    return update(service, f"{plain}--update-secrets={name}={secret_meant(subject)}:latest", container)


# --- the environment's name -----------------------------------------------------------------------


def _label(subject: Subject, service: Service, container: Container) -> CloudRunEnvironment:
    declared = next((fact for fact in subject.facts if isinstance(fact, DeployedEnvironment)), None)
    told = declared.source if declared is not None and declared.declared else ""
    where, names = named(service, container), labels(subject.target, subject.needs)
    if told == "the code" or not names:
        return CloudRunEnvironment(
            service=service.name, labelled=True, source="the code labels events", evidence=declared.evidence if declared else ()
        )  # fmt: skip
    variable = hit(container, names)
    either = " or ".join(names)
    command = update(service, f"--update-env-vars={names[0]}={subject.environment}", container)
    if variable is None or not (variable.secret or variable.is_set):
        here = (at(service, f"no {either}" if variable is None else shown(variable)),)
        if told == "the image":
            return CloudRunEnvironment(
                service=service.name, labelled=True, source="the image labels events", evidence=here
            )
        whose = "every environment" if canonical(subject.environment) == "production" else subject.environment
        ends = (
            f": events of {whose} are labelled production" if LABEL in names else ", which the code labels events with"
        )
        return CloudRunEnvironment(
            service=service.name, variable=names[0], problem=f"{where} has no {either}{ends}", command=command, evidence=here
        )  # fmt: skip
    here = (at(service, shown(variable)),)
    if variable.secret or not variable.value:
        reason = f"what {where} has as {variable.name} was not read" + (": it is a secret" if variable.secret else "")
        return CloudRunEnvironment(service=service.name, variable=variable.name, unknown=reason, evidence=here)
    wrong = is_another(variable.value, subject.environment)
    problem = f"{variable.name} of {where} is {variable.value!r}: events of {subject.environment} carry another's name"
    return CloudRunEnvironment(
        service=service.name, variable=variable.name, value=variable.value, labelled=not wrong,
        source=f"{where} has {shown(variable)}", problem=problem if wrong else "", command=command, evidence=here,
    )  # fmt: skip


def is_another(text: str, environment: str) -> bool:
    """Whether ``text`` names exactly one environment, and not this one."""
    names = named_in(text)
    return len(names) == 1 and canonical(environment) not in names


# --- what serves ----------------------------------------------------------------------------------


def _revisions(subject: Subject, service: Service) -> list[Fact]:
    if service.sort != "service" and not service.serving:
        what = f"{service.name} is a {SORTS[service.sort]}: what starts next has what was deployed last"
        return [ServingRevision(service=service.name, needless=what, evidence=(at(service, ""),))]
    if service.reconciling:
        reason = f"a rollout of {service.name} is under way: ask again when it is done"
        return [ServingRevision(service=service.name, unknown=reason, evidence=(at(service, "reconciling"),))]
    found: list[Fact] = []
    if service.not_ready:
        found.append(_not_ready(service))
    if not service.serving:
        reason = f"which revision of {service.name} gets traffic was not told"
        return found or [ServingRevision(service=service.name, unknown=reason, evidence=(at(service, ""),))]
    return found + [fact for item in service.serving if (fact := _revision(subject, service, item)) is not None]


def _not_ready(service: Service) -> ServingRevision:
    old = service.latest_ready
    still = f": {old} still serves" if old and old != service.latest_created else ": nothing of it serves"
    problem = f"the newest revision {service.latest_created} did not come up ({service.not_ready}){still}"
    where = f"--project={service.project} --region={service.region}"
    return ServingRevision(
        name=service.latest_created, service=service.name, role="newest", problem=problem,
        command=f"gcloud run revisions describe {service.latest_created} {where}",
        evidence=(revision_at(service, service.latest_created, service.not_ready),),
    )  # fmt: skip


def _revision(subject: Subject, service: Service, item: Serving) -> ServingRevision | None:
    role = "traffic" if item.percent > 0 else "tag"
    gets = (
        f"{item.percent}% of the traffic of {service.name} goes"
        if item.percent
        else f"the tag {item.tag} of {service.name} leads"
    )
    template = item.template
    if template is None and item.failure is None and item.revision == service.latest_created:
        template = service.template
    if template is None:
        if role == "tag":
            return None  # hardly anything comes in there: not worth an audit that stays undecided
        why = unseen([item.failure] if item.failure is not None else [], "it was not read")
        reason = f"{gets} to {item.revision}, and what that has is not known: {why.reason}"
        here = revision_at(service, item.revision, f"{item.percent}%")
        return ServingRevision(
            name=item.revision, service=service.name, percent=item.percent, unknown=reason, hint=why.hint, evidence=(here,)
        )  # fmt: skip
    has, lacks = _compared(subject, service, template)
    pinned = "; traffic is pinned to it, so no new revision takes its place" if lacks and item.pinned else ""
    where = f"--project={service.project} --region={service.region}"
    moves = f"--remove-tags={item.tag}" if role == "tag" else "--to-latest"
    return ServingRevision(
        name=item.revision, service=service.name, role=role, percent=item.percent, tag=item.tag, pinned=item.pinned,
        agrees=not lacks, source=f"{gets} to {item.revision}{f', which has {has}' if has else ''}",
        problem=f"{gets} to {item.revision}, which {lacks}{pinned}" if lacks else "",
        command=f"gcloud run services update-traffic {service.name} {where} {moves}",
        evidence=(revision_at(service, item.revision, has or f"no {subject.needs.either or 'variable'}"),),
    )  # fmt: skip


def _compared(subject: Subject, service: Service, template: Template) -> tuple[str, str]:
    """(what a revision has, how it differs from what was deployed last): the end of a sentence, or ``""``."""
    has = ""
    for container in reached(service.template):
        wanted = hit(container, subject.needs.names)
        mine = reached(template)
        same = next((item for item in mine if item.name == container.name), next(iter(mine), None))
        there = hit(same, subject.needs.names) if same is not None else None
        has = shown(there) if there is not None else has
        if wanted is None or not (wanted.secret or wanted.is_set):
            continue
        if there is None or not (there.secret or there.is_set):
            return has, f"has no {subject.needs.either}; the service was given it later"
        if not _same(subject, service, wanted, there):
            return has, f"has {shown(there)}; the service was deployed last with {shown(wanted)}"
    return has, ""


def _same(subject: Subject, service: Service, left: Variable, right: Variable) -> bool:
    """Whether two revisions get one DSN: from one version of one secret, or by what their values are."""
    if left.secret and (left.secret, left.version or "latest") == (right.secret, right.version or "latest"):
        return project_of(subject.snapshot, service, left) == project_of(subject.snapshot, service, right)
    prints = {dsn.fingerprint if (dsn := dsn_of(subject.snapshot, service, item)) else "" for item in (left, right)}
    return len(prints) == 1 and prints != {""}
