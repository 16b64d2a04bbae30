"""Whether a service account may read a secret, as far as IAM policies that can be read say. Pure.

Cloud Run reads a secret as the service's account, which needs ``secretmanager.versions.access`` on the secret, or on
anything above it. Editors do not have it. What a folder or the organisation grants cannot be seen from a project.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.cloud_facts import SecretAccess
from sentry_audit.derive.live import at, unseen
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit import cloud
    from sentry_audit.derive.live import Subject
    from sentry_audit.facts import Fact

_ROLE = "roles/secretmanager.secretAccessor"
#: Predefined roles with the permission secretmanager.versions.access; owner exists on projects only.
_ON_SECRET = frozenset({_ROLE, "roles/secretmanager.admin"})
_ON_PROJECT = _ON_SECRET | {"roles/owner"}
_CUSTOM = re.compile(r"(?:projects|organizations)/[^/]+/roles/")
_EVERYBODY = frozenset({"allusers", "allauthenticatedusers"})
#: Members that an account may be one of, which a policy does not say.
_OPAQUE = ("group:", "principalset:", "projectowner:", "projecteditor:", "projectviewer:")
_DEFAULT = re.compile(r"\d+-compute@developer\.gserviceaccount\.com")


class _Granted(Struct, frozen=True):
    """What one policy says: ``plain`` is the grant that holds, ``perhaps`` those that may."""

    plain: str = ""
    perhaps: tuple[str, ...] = ()


def access(subject: Subject, project: str, secret: cloud.Secret, service: cloud.Service | None) -> list[Fact]:
    """Whether the accounts of the services that run may read ``secret``; of ``service`` alone where it is given."""
    services = [service] if service is not None else list(subject.services)
    if subject.needs.built:
        return [SecretAccess(name=secret.name, needless=subject.needs.nothing)]
    if not services:
        hidden = subject.hidden
        if hidden is not None:
            return [SecretAccess(name=secret.name, unknown=hidden.reason, hint=hidden.hint, evidence=(subject.place,))]
        return [SecretAccess(name=secret.name, needless=subject.missing, evidence=(subject.place,))]
    found: dict[str, Fact] = {}
    for item in services:
        for account in _accounts(item):
            found.setdefault(account, _readable(subject, project, secret, item, account))
    return list(found.values())


def _accounts(service: cloud.Service) -> list[str]:
    """Those that the newest revision and those that serve run as."""
    templates = [service.template, *(item.template for item in service.serving or ())]
    return list(dict.fromkeys(item.account for item in templates if item is not None))


def _readable(subject: Subject, where: str, secret: cloud.Secret, service: cloud.Service, account: str) -> SecretAccess:
    name = secret.name
    resource = f"projects/{where}/secrets/{name}"
    if not account:
        return SecretAccess(
            name=name, project=where, unknown=f"which account {service.name} runs as was not told", evidence=(at(service, ""),)
        )  # fmt: skip
    project = subject.snapshot.project(where)
    policies = project.grants if project is not None else None
    mine = _granted(secret.grants or (), account, _ON_SECRET, f"the secret {name}")
    theirs = _granted(policies or (), account, _ON_PROJECT, f"the project {where}")
    who = f"{account}{' (the default compute account)' if _DEFAULT.fullmatch(account) else ''}"
    places = (Evidence(resource=resource, saw=f"read by {account}"), at(service, f"runs as {account}"))
    if plain := mine.plain or theirs.plain:
        return SecretAccess(
            name=name, project=where, account=account, readable=True, source=f"{who}: {plain}", evidence=places
        )
    unread = [
        *([secret.policy_failure] if secret.grants is None and secret.policy_failure is not None else []),
        *([project.policy_failure] if project is not None and policies is None and project.policy_failure else []),
    ]
    perhaps = (*mine.perhaps, *theirs.perhaps)
    if perhaps:
        hint = (
            f"gcloud asset analyze-iam-policy --project={where} --identity=serviceAccount:{account} "
            f"--full-resource-name=//secretmanager.googleapis.com/{resource} --permissions=secretmanager.versions.access"
        )
        reason = f"whether {who} may read {name} depends on {', '.join(perhaps)}"
        return SecretAccess(name=name, project=where, account=account, unknown=reason, hint=hint, evidence=places)
    if secret.grants is None or policies is None:
        whose = (
            f"the policy of {f'the secret {name}' if secret.grants is None else f'the project {where}'} was not read"
        )
        why = unseen(unread, whose)
        reason = f"whether {who} may read {name} is not known: {why.reason}"
        return SecretAccess(name=name, project=where, account=account, unknown=reason, hint=why.hint, evidence=places)
    problem = (
        f"{who}, which {service.name} runs as, may not read {name}: neither the secret nor the project {where} grants it "
        f"{_ROLE.removeprefix('roles/')} (what a folder or the organisation grants cannot be seen from here)"
    )
    command = f"gcloud secrets add-iam-policy-binding {name} --project={where} --member=serviceAccount:{account} --role={_ROLE}"
    return SecretAccess(name=name, project=where, account=account, problem=problem, command=command, evidence=places)


def _granted(grants: Iterable[cloud.Grant], account: str, roles: frozenset[str], where: str) -> _Granted:
    """What the bindings of one policy come to for ``account``."""
    perhaps: list[str] = []
    mine = f"serviceaccount:{account.lower()}"
    for grant in grants:
        custom = bool(_CUSTOM.match(grant.role))
        if grant.role not in roles and not custom:
            continue
        members = [item.lower() for item in grant.members]
        plain = mine in members or bool(_EVERYBODY.intersection(members))
        opaque = [item for item in grant.members if item.lower().startswith(_OPAQUE)]
        if not plain and not opaque:
            continue
        if plain and not custom and not grant.condition:
            return _Granted(f"{where} grants it {grant.role.removeprefix('roles/')}")
        what = f"{f'what {grant.role} holds' if custom else grant.role.removeprefix('roles/')} on {where}"
        what += f", given to {', '.join(opaque)}" if not plain else ""
        what += f", on the condition {grant.condition}" if grant.condition else ""
        perhaps.append(what)
    return _Granted("", tuple(perhaps))
