"""What the changes of Google Cloud are made of: the services of a case, the secret of its DSN, and their operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.deployment.environments import rendered, speaks_of
from sentry_audit.deployment.matching import runs
from sentry_audit.deployment.state import first, states
from sentry_audit.derive import live
from sentry_audit.derive.deployments import setting_at
from sentry_audit.dsn import names_dsn
from sentry_audit.facts import DeployedDsn
from sentry_audit.fixers._cloud_places import Named, Place, not_renewed
from sentry_audit.fixing import Operation, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_audit.cloud import Container, Project, Secret, Snapshot, Variable
    from sentry_audit.facts import Deployment
    from sentry_audit.fixing import Case

ROLE = "roles/secretmanager.secretAccessor"
#: Stands in an account until the project's number is known.
_NO_NUMBER = "PROJECT_NUMBER"
_NOT_READABLE = "whether the secret {} exists is not known"


# --- the secret -----------------------------------------------------------------------------------


def meant(case: Case, place: Place) -> Named:
    """The secret that the DSN is to come from: as the deploy definition names it, else the usual one."""
    for item in place.target.secrets:
        if "$" not in item.name + item.version:
            return Named(item.project or place.service.project, item.name, item.version or "latest")
    deployed = next((fact for fact in case.facts if isinstance(fact, DeployedDsn)), None)
    if deployed is not None and deployed.secret and "$" not in deployed.secret + deployed.version:
        return Named(place.service.project, deployed.secret.rpartition("/")[2], deployed.version or "latest")
    return Named(place.service.project, f"sentry-dsn-{case.environment}")


def seen(snapshot: Snapshot | None, secret: Named) -> tuple[Project | None, Secret | None]:
    """What was seen of a secret."""
    project = snapshot.project(secret.project) if snapshot is not None else None
    return project, project.secret(secret.name) if project is not None else None


def filled(case: Case, secret: Named) -> list[Operation] | Refusal:
    """What lets a secret have a version that can be read and is a DSN: nothing, if it has one."""
    project, there = seen(case.snapshot, secret)
    if project is None:
        return Refusal(reason=f"{_NOT_READABLE.format(secret.name)}: the project {secret.project} was not read")
    if there is None or there.exists is None:
        if there is None and secret.name in project.names:
            return []
        if there is not None or project.unnamed is not None or not names_dsn(secret.name):
            return Refusal(reason=_NOT_READABLE.format(secret.name))
    if there is None or not there.exists:
        if secret.version != "latest":
            return Refusal(
                reason=f"version {secret.version} of {secret.name} is asked for, and a new secret has no such version: "
                "let the definition ask for latest"
            )
        return [create(secret), add(case, secret)]
    version = there.version(secret.version)
    if version is not None and version.failure is not None:
        return []  # it is there; what it holds is another check's
    if version is not None and version.state == "ENABLED":
        return [] if version.dsn is None or version.dsn.valid else [add(case, secret)]
    if secret.version == "latest":
        return [add(case, secret)]
    return Refusal(
        reason=f"version {secret.version} of {secret.name} is asked for, and cannot be read",
        commands=(f"gcloud secrets versions list {secret.name} --project={secret.project}",),
    )


def create(secret: Named) -> Operation:
    """A secret."""
    return Operation(
        does="create-secret",
        resource=secret.resource,
        summary=f"will create the secret {secret.name} in {secret.project}",
    )


def add(case: Case, secret: Named) -> Operation:
    """A version of a secret that holds the DSN; it says which services will not read it by themselves."""
    return Operation(
        does="add-version",
        resource=secret.resource,
        summary=f"will add a version to {secret.name} in {secret.project} that holds the given DSN and nothing else"
        f"{not_renewed(case, secret)}",
    )


def grants(case: Case, secret: Named, accounts: Iterable[str]) -> list[Operation] | Refusal:
    """What lets service accounts read a secret: a role on the secret, for those that have none yet."""
    project, there = seen(case.snapshot, secret)
    made = []
    for account in dict.fromkeys(accounts):
        if not account or _NO_NUMBER in account:
            return Refusal(
                reason=f"which account is to read {secret.name} is not known",
                commands=(f"gcloud projects describe {secret.project} --format='value(projectNumber)'",),
            )
        policies = (
            (there.grants if there is not None else None) or (),
            (project.grants if project is not None else None) or (),
        )
        if not any(
            _granted(grant.role, grant.members, account)
            for policy in policies
            for grant in policy
            if not grant.condition
        ):
            made.append(grant(secret, account))
    return made


def _granted(role: str, members: Iterable[str], account: str) -> bool:
    return role in {ROLE, "roles/secretmanager.admin"} and f"serviceAccount:{account}" in members


def grant(secret: Named, account: str) -> Operation:
    """A service account's right to read a secret."""
    return Operation(
        does="grant",
        resource=secret.resource,
        member=f"serviceAccount:{account}",
        summary=f"will let {account} read {secret.name} (secretAccessor on that secret alone)",
    )


# --- the service ----------------------------------------------------------------------------------


def update(
    case: Case, place: Place, container: Container | None, variable: tuple[str, str, str], what: str
) -> Operation:
    """A new revision of a service with that variable; with one that it has already, instances start anew."""
    several = container is not None and len(place.service.template.containers) > 1
    later = reverted(case, place, variable)
    return Operation(
        does="update-service",
        resource=place.service.resource,
        container=container.name if container is not None and several else "",
        variables=(variable,),
        etag=place.service.etag,
        summary=f"will {what}{f'; {later}' if later else ''}",
    )


def renew(case: Case, place: Place, container: Container, variable: Variable) -> list[Operation]:
    """A new revision with the variables that there are: its instances read the secret anew."""
    reference = Named(
        live.project_of(case.snapshot, place.service, variable) if case.snapshot is not None else place.service.project,
        variable.secret,
    )
    secret = (
        f"projects/{variable.secret_project}/secrets/{variable.secret}" if variable.secret_project else variable.secret
    )
    what = f"roll out a new revision of {place.service.name}, whose instances read {reference.name} anew"
    operation = update(case, place, container, (variable.name, secret, variable.version or "latest"), what)
    return [operation, *served(place)]


def served(place: Place) -> list[Operation]:
    """What lets a new revision serve where traffic is pinned: it says what is moved."""
    if not place.pinned or place.service.sort == "job":
        return []
    return [route(place)]


def route(place: Place) -> Operation:
    """All traffic to the newest revision, with what gets it now."""
    now = ", ".join(
        f"{item.percent}% {'latest' if not item.pinned else item.revision}"
        for item in place.service.serving or ()
        if item.percent
    )
    return Operation(
        does="route-traffic",
        resource=place.service.resource,
        etag=place.service.etag,
        summary=f"will move all traffic of {place.service.name} to its newest revision (now: {now or 'unknown'}); tags stay",
    )


def reverted(case: Case, place: Place, variable: tuple[str, str, str]) -> str:
    """What the next deploy does to a variable that a live change sets; ``""`` if nothing, or nothing is known to deploy it."""
    found = states(deployments(case, place.service.name), case.environment)
    name, secret, value = variable
    given = first(found, (name,))
    if given is not None:
        item, by = given
        same = item.secret.rpartition("/")[2] == secret.rpartition("/")[2] if secret else item.value == value
        return "" if same else _warning(str(setting_at(item, by)))
    sort = "secret" if secret else "plain"
    wiper = next((state.replaced[sort] for state in found if sort in state.replaced), None)
    return _warning(str(wiper.evidence[0]) if wiper.evidence else wiper.path) if wiper is not None else ""


def _warning(where: str) -> str:
    return f"the next deploy reverts this unless the repository's definition is changed too ({where})"


def deployments(case: Case, service: str) -> Sequence[Deployment]:
    """The repository's definitions of a service, by its name."""
    environment = case.environment
    return [
        item
        for item in runs(case.scanned)
        if speaks_of(item.environment, environment) and rendered(item.service, environment) == service
    ]


def once(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """Each operation once, in the order that Google Cloud needs; updates of one service made one."""
    order = ("create-secret", "add-version", "grant", "update-service", "route-traffic")
    found: dict[tuple[str, str, str, str], Operation] = {}
    for item in operations:
        place = item.does, item.resource, item.member, item.container
        known = found.get(place)
        given = (*(known.variables if known is not None else ()), *item.variables)
        found[place] = replace(item, variables=tuple(dict.fromkeys(given)))
    return tuple(sorted(found.values(), key=lambda item: order.index(item.does)))
