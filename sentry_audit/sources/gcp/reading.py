"""One reading of Google Cloud, from credentials to snapshot."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.cloud import Failure, Project, Service, Snapshot, Template
from sentry_audit.sources.gcp import credentials, machine
from sentry_audit.sources.gcp.calls import Caller, Deadline
from sentry_audit.sources.gcp.clients import Clients, check_endpoint
from sentry_audit.sources.gcp.run import PROJECT_NUMBER
from sentry_audit.sources.gcp.secrets import Secrets
from sentry_audit.sources.gcp.services import Services
from sentry_audit.sources.gcp.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sentry_audit.cloud import CloudOptions, Secret, Target


def read(
    targets: Sequence[Target], options: CloudOptions, progress: Callable[[int, int, str], None] | None
) -> Snapshot:
    """See ``sentry_audit.sources.gcp.read``."""
    if options.endpoint:
        check_endpoint(options.endpoint)
    deadline = Deadline(options.timeout)
    taken_at = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    machine.prepare()
    access = credentials.local(options.endpoint) if options.endpoint else credentials.load(options)
    snapshot = Snapshot(
        taken_at=taken_at, identity=access.identity, identity_source=access.source, targets=tuple(targets)
    )
    if isinstance(access, credentials.Denied):
        return replace(snapshot, failure=access.failure)
    with Clients(access) as clients:
        work = Work(Caller(access.identity, deadline), progress)
        secrets = Secrets(work, clients, read_payloads=options.payloads)
        services = Services(work, clients, secrets, targets, options)
        services.start()
        work.run(idle=secrets.settle)
    return replace(snapshot, projects=_projects(services, secrets))


def _projects(services: Services, secrets: Secrets) -> tuple[Project, ...]:
    """Everything that was seen, by project."""
    seen = secrets.seen()
    ids = dict.fromkeys([*services.reaches, *seen, *secrets.policies])
    by_number = {number: project for project, number in secrets.numbers.items() if project in services.reaches}
    return tuple(
        _project(project, services, secrets, seen)
        for project in ids
        if by_number.get(project, project) == project  # not those that are another one's number
    )


def _project(project: str, services: Services, secrets: Secrets, seen: dict[str, tuple[Secret, ...]]) -> Project:
    reach = services.reaches.get(project)
    listing = secrets.listings.get(project)
    number = secrets.numbers.get(project, "")
    policy = secrets.policies.get(project)
    if policy is None and number:
        policy = secrets.policies.get(number)
    return Project(
        id=project,
        number=number,
        regions=reach.regions if reach else (),
        services=tuple(_settled(item, number) for item in _ordered(reach.found.values())) if reach else (),
        secrets=_merged(seen.get(project, ()), seen.get(number, ()) if number != project else (), project),
        names=secrets.names(project),
        unlisted=tuple(reach.unlisted) if reach else (),
        unnamed=listing.failure if listing else None,
        grants=policy if isinstance(policy, tuple) else None,
        policy_failure=policy if isinstance(policy, Failure) else None,
    )


def _merged(own: tuple[Secret, ...], numbered: tuple[Secret, ...], project: str) -> tuple[Secret, ...]:
    """Secrets of one project that were referred to by its id, and by its number."""
    found = {item.name: item for item in own}
    for item in numbered:
        known = found.get(item.name)
        asked = {version.asked for version in known.versions} if known else set()
        more = tuple(version for version in item.versions if version.asked not in asked)
        found[item.name] = replace(known, versions=known.versions + more) if known else replace(item, project=project)
    return tuple(found[name] for name in sorted(found))


def _ordered(found: Iterable[Service]) -> list[Service]:
    return sorted(found, key=lambda item: (item.region, item.sort, item.name))


def _settled(service: Service, number: str) -> Service:
    """``service`` with the project's number in the names of default accounts, if something told it."""
    if not number:
        return service
    serving = service.serving
    if serving is not None:
        serving = tuple(
            replace(item, template=_owned(item.template, number)) if item.template else item for item in serving
        )
    return replace(service, template=_owned(service.template, number), serving=serving)


def _owned(template: Template, number: str) -> Template:
    if PROJECT_NUMBER not in template.account:
        return template
    return replace(template, account=template.account.replace(PROJECT_NUMBER, number))
