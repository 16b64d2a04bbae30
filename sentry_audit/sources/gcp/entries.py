"""What is known of secrets while they are read, and what becomes of it in the snapshot."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit.cloud import DsnSeen, Failure, Grant, Secret, SecretVersion

#: What the names of secrets are asked for; whether the API's filter minds capitals is not documented.
TERMS = ("sentry", "dsn", "SENTRY", "DSN")
NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
VERSION = re.compile(r"[A-Za-z0-9_-]{1,63}")
#: A full name; those in answers have the project's number.
_FULL = re.compile(r"projects/(\d+)/secrets/")
_STATES = {1: "ENABLED", 2: "DISABLED", 3: "DESTROYED"}
#: Roles that let a member read payloads: cloud.google.com/secret-manager/docs/access-control.
_ACCESSORS = {"roles/secretmanager.secretAccessor", "roles/secretmanager.admin", "roles/owner"}


def owner(name: str) -> str:
    """The number of the project in a full name; ``""`` if there is its id."""
    match = _FULL.match(name)
    return match[1] if match else ""


class Version(Struct, frozen=True):
    """A version as Secret Manager tells of it; ``owner`` is its project's number."""

    number: str
    state: str
    created: str
    owner: str


def version(message: Any) -> Version:
    """A version's message."""
    created = str(message.create_time.ToJsonString()) if message.HasField("create_time") else ""
    state = _STATES.get(message.state, str(message.state))
    return Version(message.name.rpartition("/")[2], state, created, owner(message.name))


class Entry(Struct):
    """What is known so far of one secret that something refers to."""

    project: str
    name: str
    is_dsn: bool = False
    versions: dict[str, Version | Failure | None] = field(default_factory=dict)
    payloads: dict[str, DsnSeen | Failure | None] = field(default_factory=dict)
    accounts: set[tuple[str, str]] = field(default_factory=set)
    grants: tuple[Grant, ...] | None = None
    policy_failure: Failure | None = None
    asked_itself: bool = False
    itself: bool | Failure | None = None
    pending: int = 0

    @property
    def answered(self) -> bool:
        """Whether some answer shows that it exists."""
        return (
            self.itself is True
            or self.grants is not None
            or any(isinstance(v, Version) for v in self.versions.values())
        )

    def seen(self, exists: bool | None) -> Secret:
        """The snapshot's secret; ``exists`` as the list and all answers tell."""
        secret = Secret(project=self.project, name=self.name, exists=exists)
        if exists is False:
            return secret
        if exists is None:
            failed = (self.itself, *self.versions.values(), self.policy_failure)
            secret = replace(secret, failure=next((item for item in failed if isinstance(item, Failure)), None))
        versions = tuple(self._version(asked, found, exists) for asked, found in sorted(self.versions.items()))
        return replace(secret, versions=versions, grants=self.grants, policy_failure=self.policy_failure)

    def _version(self, asked: str, found: Version | Failure | None, exists: bool | None) -> SecretVersion:
        if found is None:
            return SecretVersion(asked=asked, failure=self.itself if isinstance(self.itself, Failure) else None)
        if isinstance(found, Failure):
            if found.code == "NOT_FOUND" and exists:
                return SecretVersion(asked=asked, state="MISSING")
            return SecretVersion(asked=asked, failure=found)
        payload = self.payloads.get(found.number)
        seen = payload if isinstance(payload, DsnSeen) else None
        unread = None if seen else payload if isinstance(payload, Failure) else self._unread(found)
        return SecretVersion(
            asked=asked, number=found.number, state=found.state, created=found.created, dsn=seen, unread=unread
        )

    def _unread(self, version: Version) -> Failure:
        if version.state != "ENABLED":
            why = f"it is {version.state}"
        elif not self.is_dsn:
            why = "nothing takes the DSN from it"
        else:
            why = "payloads are not to be read"
        resource = f"projects/{self.project}/secrets/{self.name}/versions/{version.number}"
        return Failure(code="NOT_ASKED", reason=f"the payload of {resource} was not read: {why}", resource=resource)


class Listing(Struct):
    """The list of one project's secrets: those whose names count, and whether it is complete."""

    terms: tuple[str, ...]
    names: set[str] = field(default_factory=set)
    done: bool = False
    failure: Failure | None = None

    def tells(self, name: str) -> bool | None:
        """Whether a secret exists; None if the list does not tell."""
        if name in self.names:
            return True
        return False if self.done and self.failure is None and self.covers(name) else None

    def covers(self, name: str) -> bool:
        """Whether a secret of that name would be on the list."""
        return NAME.fullmatch(name) is not None and any(term in name for term in self.terms)


def no_name(resource: str) -> Failure:
    """What is no secret's name was not asked for."""
    return Failure(
        code="NOT_ASKED", reason=f"{resource} was not asked for: Secret Manager takes no such name", resource=resource
    )


def grants(policy: Any) -> tuple[Grant, ...]:
    """The bindings of an IAM policy."""
    return tuple(
        Grant(
            role=binding.role,
            members=tuple(binding.members),
            condition=binding.condition.expression if binding.HasField("condition") else "",
        )
        for binding in policy.bindings
    )


def granted(found: tuple[Grant, ...], account: str) -> bool:
    """Whether a service account may read payloads, under no condition."""
    everyone = {f"serviceAccount:{account}", "allUsers", "allAuthenticatedUsers"}
    return any(
        grant.role in _ACCESSORS and not grant.condition and everyone.intersection(grant.members) for grant in found
    )
