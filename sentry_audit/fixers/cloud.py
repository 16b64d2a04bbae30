"""What closes the gaps of Google Cloud: secrets, who reads them, what services get, what serves. Pure.

A secret is named as the live service, or the definition that deploys it, names it. What a live change does not settle
for good, because the next deploy takes it back, its summary says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit import cloud_facts
from sentry_audit.derive import live
from sentry_audit.fixers import _cloud_parts as parts
from sentry_audit.fixers import _cloud_places as at
from sentry_audit.fixers._cloud_places import Named
from sentry_audit.fixing import Change, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.cloud import DsnSeen, Service
    from sentry_audit.fixers._cloud_places import Place
    from sentry_audit.fixing import Case, Fixer, Operation

_DEPLOYS = {
    "terraform": "terraform apply",
    "knative": "gcloud run services replace {path}",
    "gcloud": "sh {path}",
    "script": "sh {path}",
}


def _change(operations: Iterable[Operation], more: str = "") -> Change:
    made = parts.once(operations)
    summary = "; ".join(dict.fromkeys(item.summary for item in made))
    return Change(summary=f"{summary}{more}", safety="live", operations=made)


def _commands(facts: Iterable[object]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(command) for fact in facts if (command := getattr(fact, "command", ""))))


def _refused(case: Case, reason: str, *more: str) -> Refusal:
    return Refusal(reason=reason, commands=(*_commands(at.bad(case)), *more))


def _renewed(case: Case, secret: Named) -> list[Operation]:
    """New revisions of what reads the newest version of a secret when it starts; also of other components."""
    made: list[Operation] = []
    for place, container, variable in at.users(case, secret):
        if place.service.sort != "job" and (variable.version or "latest") == "latest":
            made += parts.renew(case, place, container, variable)
    for other, container, variable, _ in at.readers(case, secret):
        if other is not None and not other.pinned:
            made += parts.renew(case, other, container, variable)
    return made


# --- secrets --------------------------------------------------------------------------------------


def exists(case: Case) -> Change | Refusal:
    """Create the secret, give it the DSN, and let the services' accounts read it."""
    made: list[Operation] = []
    similar = []
    for fact in at.bad(case):
        if not isinstance(fact, cloud_facts.Secret):
            continue
        secret = Named(fact.project, fact.name)
        asked = [variable.version for _, _, variable in at.users(case, secret)]
        pinned = next((version for version in asked if version not in {"", "latest"}), "")
        if pinned:
            return _refused(case, f"version {pinned} of {fact.name} is asked for, and a new secret has no such version")
        accounts = [account for place in at.places(case) for account in place.accounts]
        granted = parts.grants(case, secret, accounts)
        if isinstance(granted, Refusal):
            return granted
        made += [parts.create(secret), parts.add(case, secret), *granted, *_renewed(case, secret)]
        if fact.nearest:
            similar.append(f"; if {fact.nearest} is the one that is meant, change the name {fact.name} instead")
    return _change(made, "".join(similar)) if made else _refused(case, "which secret is missing is not known")


def enabled(case: Case) -> Change | Refusal:
    """Add a version that can be read, where the newest one is asked for; another one is asked for by somebody."""
    return _with_version(
        case, "whoever disabled it may have had a reason: enable it, or let the service ask for latest"
    )


def valid(case: Case) -> Change | Refusal:
    """Add a version that holds the DSN and nothing else, where the newest one is asked for."""
    return _with_version(case, "a version's payload never changes: add one, then let the service ask for it")


def _with_version(case: Case, otherwise: str) -> Change | Refusal:
    made: list[Operation] = []
    for fact in at.bad(case):
        if not isinstance(fact, (cloud_facts.SecretVersionState, cloud_facts.SecretPayload)):
            continue
        if fact.version != "latest":
            return _refused(case, f"version {fact.version} of {fact.name} is asked for by name; {otherwise}")
        secret = Named(fact.project, fact.name)
        made += [parts.add(case, secret), *_renewed(case, secret)]
    return _change(made) if made else _refused(case, otherwise)


def readable(case: Case) -> Change | Refusal:
    """Grant the role on that secret to the accounts that need it; a revision that failed for it is rolled out anew."""
    made: list[Operation] = []
    for fact in at.bad(case):
        if not isinstance(fact, cloud_facts.SecretAccess):
            continue
        secret = Named(fact.project, fact.name)
        granted = parts.grants(case, secret, [fact.account])
        if isinstance(granted, Refusal):
            return granted
        made += granted
        for place, container, variable in at.users(case, secret):
            if place.service.not_ready and place.service.sort != "job":
                made += parts.renew(case, place, container, variable)
    return _change(made) if made else _refused(case, "which account may not read it is not known")


def current(case: Case) -> Change | Refusal:
    """Roll out a new revision: instances read their secrets when they start."""
    made: list[Operation] = []
    for fact in at.bad(case):
        place = at.place_of(case, fact)
        if place is None:
            continue
        for container in live.reached(place.service.template):
            variable = live.hit(container, place.needs.names)
            if variable is not None and variable.secret == getattr(fact, "name", ""):
                made += parts.renew(case, place, container, variable)
    return _change(made) if made else _refused(case, "which variable has the old value is not known")


# --- services -------------------------------------------------------------------------------------


def variable(case: Case) -> Change | Refusal:
    """Give the service the variable, from the secret; what the secret lacks comes first."""
    made: list[Operation] = []
    for fact in at.bad(case):
        if not isinstance(fact, cloud_facts.CloudRunEnv):
            continue
        place = at.place_of(case, fact)
        if place is None:
            return _refused(case, f"there is no {fact.service} to give it to: deploy it, or correct its name")
        given = _from_secret(case, place, fact)
        if isinstance(given, Refusal):
            return given
        made += [*given, *parts.served(place)]
    return _change(made) if made else _refused(case, "which service lacks it is not known")


def from_secret(case: Case) -> Change | Refusal:
    """Take the DSN from a secret instead, in one revision: there is none without it."""
    made: list[Operation] = []
    for fact in at.bad(case):
        if not isinstance(fact, cloud_facts.CloudRunEnv):
            continue
        place = at.place_of(case, fact)
        if place is None:
            return _refused(case, f"which service {fact.service} is, is not known")
        secret = parts.meant(case, place)
        _, there = parts.seen(case.snapshot, secret)
        version = there.version(secret.version) if there is not None else None
        plain = _plain(place, fact)
        held = version.dsn if version is not None and version.dsn is not None and version.dsn.valid else None
        if held is not None and plain is not None and held.fingerprint != plain.fingerprint:
            return _refused(
                case,
                f"{fact.service} has {plain.shown}, and the secret {secret.name} holds {held.shown}: which one is right "
                "is not for a machine to say",
            )
        given = _from_secret(case, place, fact)
        if isinstance(given, Refusal):
            return given
        made += given
    return _change(made) if made else _refused(case, "which service has it is not known")


def _plain(place: Place, fact: cloud_facts.CloudRunEnv) -> DsnSeen | None:
    """The DSN that stands in the service as it is."""
    containers = live.reached(place.service.template)
    mine = next((item for item in containers if item.name == fact.container), None)
    there = mine.variable(fact.name) if mine is not None else None
    return there.dsn if there is not None else None


def _from_secret(case: Case, place: Place, fact: cloud_facts.CloudRunEnv) -> list[Operation] | Refusal:
    """The operations after which a container has its variable from a secret that it can read."""
    secret = parts.meant(case, place)
    filled = parts.filled(case, secret)
    granted = parts.grants(case, secret, place.accounts)
    for refusal in (filled, granted):
        if isinstance(refusal, Refusal):
            return Refusal(reason=refusal.reason, commands=(*refusal.commands, *_commands([fact])))
    assert not isinstance(filled, Refusal)
    assert not isinstance(granted, Refusal)
    containers = live.reached(place.service.template)
    container = next((item for item in containers if item.name == fact.container), None)
    if container is None:
        return Refusal(reason=f"which container of {fact.service} is meant is not known", commands=_commands([fact]))
    named = secret.seen_from(place.service, case.snapshot)
    where = live.named(place.service, container)
    what = f"give {where} {fact.name} from the secret {secret.name}:{secret.version}"
    what += " in place of the plain value" if container.variable(fact.name) is not None else ""
    if container.variable(fact.name) is not None and place.service.sort == "job":
        what += ", which is not kept: undoing cannot put it back"
    renewed = _renewed(case, secret) if any(item.does == "add-version" for item in filled) else []
    return [*filled, *granted, *renewed, parts.update(case, place, container, (fact.name, named, secret.version), what)]


def environment(case: Case) -> Change | Refusal:
    """Set the variable of the environment's name."""
    made: list[Operation] = []
    for fact in at.bad(case):
        place = at.place_of(case, fact)
        if place is None or not isinstance(fact, cloud_facts.CloudRunEnvironment):
            continue
        for container in live.reached(place.service.template):
            there = container.variable(fact.variable)
            if (there.value if there is not None else "") != fact.value or (there is not None and there.secret):
                continue
            wanted = (fact.variable, "", case.environment)
            what = f"set {fact.variable}={case.environment} in {live.named(place.service, container)}"
            if place.pinned:
                what += f"; it serves only when traffic moves from {', '.join(place.pinned)}"
            made.append(parts.update(case, place, container, wanted, what))
    return _change(made) if made else _refused(case, "which service lacks it is not known")


# --- what serves ----------------------------------------------------------------------------------


def serving(case: Case) -> Change | Refusal:
    """Let the newest revision serve, if it is ready and has the DSN; roll it out anew where it could not read a secret."""
    made: list[Operation] = []
    for fact in at.bad(case):
        if not isinstance(fact, cloud_facts.ServingRevision):
            continue
        place = at.place_of(case, fact)
        if place is None:
            return _refused(case, f"which service {fact.service} is, is not known")
        given = _come_up(case, place) if fact.role == "newest" else _moved(case, place)
        if isinstance(given, Refusal):
            return given
        made += given
    return _change(made) if made else _refused(case, "which revision is meant is not known")


def _moved(case: Case, place: Place) -> list[Operation] | Refusal:
    service = place.service
    if service.not_ready or service.latest_ready != service.latest_created:
        why = f"its newest revision {service.latest_created} did not come up"
        why += f" ({service.not_ready})" if service.not_ready else ""
        return Refusal(reason=f"the traffic of {service.name} cannot be moved: {why}", commands=_logs(service))
    lacking = [
        item
        for item in live.reached(service.template)
        if (there := live.hit(item, place.needs.names)) is None or not (there.secret or there.is_set)
    ]
    if lacking and not place.needs.otherwise:
        return _refused(
            case, f"the newest revision of {service.name} has no {place.needs.either} either: give it that first"
        )
    return [parts.route(place)]


def _come_up(case: Case, place: Place) -> list[Operation] | Refusal:
    """A revision that could not read its secret comes up anew once it can; nothing else is known to help."""
    service = place.service
    if "SECRETS_ACCESS_CHECK_FAILED" in service.not_ready:
        for container in live.reached(service.template):
            there = live.hit(container, place.needs.names)
            if there is None or not there.secret:
                continue
            assert case.snapshot is not None
            where = live.project_of(case.snapshot, service, there)
            secret = Named(where, there.secret, there.version or "latest")
            lacking = [parts.filled(case, secret), parts.grants(case, secret, [service.template.account])]
            if lacking == [[], []]:
                return parts.renew(case, place, container, there)
    return Refusal(
        reason=f"why {service.latest_created} of {service.name} did not come up is in its logs: {service.not_ready}",
        commands=_logs(service),
    )


def _logs(service: Service) -> tuple[str, ...]:
    where = f"--project={service.project} --region={service.region}"
    query = f'resource.labels.revision_name="{service.latest_created}"'
    return (
        f"gcloud run revisions describe {service.latest_created} {where}",
        f"gcloud logging read '{query}' --project={service.project} --limit=50",
    )


# --- left to a person -----------------------------------------------------------------------------


def drift(case: Case) -> Refusal:
    """Only a deploy settles it: which one."""
    facts = [fact for fact in at.bad(case) if isinstance(fact, cloud_facts.DeployDrift)]
    commands: list[str] = []
    reasons: list[str] = []
    for fact in facts:
        found = parts.deployments(case, fact.service)
        commands += [_DEPLOYS[item.origin].format(path=item.path) for item in found if item.origin in _DEPLOYS]
        what = dict.fromkeys(item.pipeline or item.path for item in found)
        where = f"deploy {fact.service} ({', '.join(what)})" if what else f"deploy {fact.service}"
        if fact.effect == "the next deploy drops it":
            reasons.append(f"write {fact.name} into the definition, or it is gone with the next deploy; then {where}")
        else:
            reasons.append(f"{fact.effect}: {where}")
    return Refusal(
        reason="; ".join(dict.fromkeys(reasons)) or case.finding.message, commands=tuple(dict.fromkeys(commands))
    )


def throttled(case: Case) -> Refusal:
    """A CPU all the time costs money; a flush in the code does not."""
    return _refused(
        case,
        "a CPU between requests is paid for: flush on shutdown in the code (sentry_sdk.flush(timeout=5)), or decide to pay",
    )


def egress(case: Case) -> Refusal:
    """Which network leads to Sentry is the owner's knowledge."""
    return _refused(case, "which network or NAT leads to Sentry is not known here")


FIXERS: dict[str, Fixer] = {
    "secret-dsn-exists": exists,
    "secret-dsn-enabled": enabled,
    "secret-dsn-valid": valid,
    "secret-dsn-readable": readable,
    "secret-dsn-current": current,
    "cloud-run-dsn-env": variable,
    "cloud-run-dsn-from-secret": from_secret,
    "cloud-run-environment-env": environment,
    "cloud-run-serving-revision": serving,
    "cloud-run-cpu-throttled": throttled,
    "cloud-run-egress": egress,
    "deploy-drift": drift,
}
