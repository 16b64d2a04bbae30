"""Secret Manager: the secrets that something refers to, and no others."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit import dsn
from sentry_audit.cloud import DsnSeen, Failure, Grant, Secret, SecretVersion
from sentry_audit.sources.gcp import failures, payloads
from sentry_audit.sources.gcp.permissions import Question
from sentry_audit.sources.gcp.run import PROJECT_NUMBER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sentry_audit.sources.gcp.clients import Clients, Page
    from sentry_audit.sources.gcp.work import Work

#: What the names of secrets are asked for; whether the API's filter minds capitals is not documented.
TERMS = ("sentry", "dsn", "SENTRY", "DSN")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_VERSION = re.compile(r"[A-Za-z0-9_-]{1,63}")
_FULL = re.compile(r"projects/(\d+)/secrets/")
_STATES = {1: "ENABLED", 2: "DISABLED", 3: "DESTROYED"}
#: Roles that let a member read payloads: cloud.google.com/secret-manager/docs/access-control.
_ACCESSORS = {"roles/secretmanager.secretAccessor", "roles/secretmanager.admin", "roles/owner"}


class Version(Struct, frozen=True):
    """A version as Secret Manager tells of it; ``owner`` is its project's number."""

    number: str
    state: str
    created: str
    owner: str


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
        return _NAME.fullmatch(name) is not None and any(term in name for term in self.terms)


class Secrets:
    """Asks for the secrets of one run. All methods belong to the thread that hears the answers."""

    def __init__(self, work: Work, clients: Clients, *, read_payloads: bool) -> None:
        self._work, self._clients, self._read_payloads = work, clients, read_payloads
        self.entries: dict[tuple[str, str], Entry] = {}
        self.listings: dict[str, Listing] = {}
        self.numbers: dict[str, str] = {}
        self.policies: dict[str, tuple[Grant, ...] | Failure | None] = {}

    def list(self, project: str, wanted: Iterable[str]) -> None:
        """List what of a project's secrets may matter; ``wanted`` are names that may look like anything."""
        extra = {name for name in wanted if _NAME.fullmatch(name) and not any(term in name for term in TERMS)}
        self.listings[project] = Listing((*TERMS, *sorted(extra)))
        self._page(project, "")

    def _page(self, project: str, token: str) -> None:
        listing = self.listings[project]
        question = Question("ListSecrets", project, f"projects/{project}")

        def read(timeout: float) -> tuple[set[str], str, str]:
            page: Page = self._clients.secrets(project, listing.terms, token, timeout)
            full = [item.name for item in page.items]
            names = {name for name in (item.rpartition("/")[2] for item in full) if listing.covers(name)}
            match = _FULL.match(full[0]) if full else None
            return names, match[1] if match else "", page.token

        self._work.ask(question, read, partial(self._listed, project, token))

    def _listed(self, project: str, token: str, answer: tuple[set[str], str, str] | Failure) -> None:
        listing = self.listings[project]
        if isinstance(answer, Failure):
            listing.failure, listing.done = answer, True
        else:
            names, number, following = answer
            listing.names |= names
            self._learn(project, number)
            if following and following != token:
                self._page(project, following)
                return
            listing.done = True
        for entry in [entry for entry in self.entries.values() if entry.project == project]:
            self._decide(entry)

    def refer(
        self, project: str, name: str, version: str, *, is_dsn: bool, account: tuple[str, str] | None = None
    ) -> None:
        """Something refers to a version of a secret; ``account``: the service's project, and its service account."""
        entry = self.entries.get((project, name))
        new = entry is None
        if entry is None:
            entry = self.entries[project, name] = Entry(project, name)
        entry.is_dsn |= is_dsn
        if account is not None:
            entry.accounts.add(account)
        listing = self.listings.get(project)
        if not _NAME.fullmatch(name):
            entry.itself = _no_name(f"projects/{project}/secrets/{name}")
            entry.versions.setdefault(version, None)
            return
        missing = listing is not None and listing.tells(name) is False
        if new and not missing:
            self._ask(entry, "SecretPolicy", "", self._policy, partial(self._got_policy, entry))
        if version not in entry.versions:
            suffix = f"/versions/{version}"
            entry.versions[version] = None
            if not _VERSION.fullmatch(version):
                entry.versions[version] = _no_name(f"projects/{project}/secrets/{name}{suffix}")
            elif not missing:
                self._ask(entry, "GetSecretVersion", suffix, self._version, partial(self._got_version, entry, version))
        self._decide(entry)

    def _ask(
        self, entry: Entry, method: str, suffix: str, read: Callable[[str, float], Any], then: Callable[[Any], None]
    ) -> None:
        name = f"projects/{entry.project}/secrets/{entry.name}{suffix}"
        entry.pending += 1

        def heard(answer: Any) -> None:
            entry.pending -= 1
            then(answer)
            self._decide(entry)

        self._work.ask(Question(method, entry.project, name, entry.name), partial(read, name), heard)

    def _version(self, name: str, timeout: float) -> Version:
        message = self._clients.version(name, timeout)
        owner = _FULL.match(message.name)
        created = str(message.create_time.ToJsonString()) if message.HasField("create_time") else ""
        state = _STATES.get(message.state, str(message.state))
        return Version(message.name.rpartition("/")[2], state, created, owner[1] if owner else "")

    def _got_version(self, entry: Entry, asked: str, answer: Version | Failure) -> None:
        entry.versions[asked] = answer
        if isinstance(answer, Version):
            self._learn(entry.project, answer.owner)

    def _payload(self, name: str, timeout: float) -> DsnSeen:
        """What the payload is as a DSN: the payload itself ends here."""
        payload = self._clients.payload(name, timeout)
        if payload.HasField("data_crc32c") and payloads.crc32c(payload.data) != payload.data_crc32c:
            raise failures.MalformedError
        return payloads.judge(payload.data)

    def _policy(self, name: str, timeout: float) -> tuple[Grant, ...]:
        return grants(self._clients.secret_policy(name, timeout))

    def _got_policy(self, entry: Entry, answer: tuple[Grant, ...] | Failure) -> None:
        if isinstance(answer, Failure):
            entry.policy_failure = answer
        else:
            entry.grants = answer

    def _itself(self, name: str, timeout: float) -> str:
        found = _FULL.match(self._clients.secret(name, timeout).name)
        return found[1] if found else ""

    def _got_itself(self, entry: Entry, answer: str | Failure) -> None:
        if isinstance(answer, Failure):
            entry.itself = False if answer.code == "NOT_FOUND" else answer
        else:
            entry.itself = True
            self._learn(entry.project, answer)

    def _learn(self, project: str, number: str) -> None:
        if not number or self.numbers.get(project):
            return
        self.numbers[project] = number
        for entry in list(self.entries.values()):
            self._decide(entry)

    def exists(self, entry: Entry) -> bool | None:
        """Whether a secret is there, as far as the answers so far tell."""
        if entry.answered:
            return True
        if entry.itself is False:
            return False
        listing = self.listings.get(entry.project)
        return listing.tells(entry.name) if listing else None

    def _decide(self, entry: Entry, *, last: bool = False) -> None:
        """Ask what the answers so far make necessary; ``last``: nothing else will come."""
        exists = self.exists(entry)
        if exists is False:
            return
        for version in entry.versions.values():
            if isinstance(version, Version):
                self._open(entry, version)
        listing = self.listings.get(entry.project)
        settled = entry.pending == 0 and (listing is None or listing.done)
        if settled and exists is None and not entry.asked_itself and entry.itself is None:
            entry.asked_itself = True
            self._ask(entry, "GetSecret", "", self._itself, partial(self._got_itself, entry))
        elif self._needs_project_policy(entry, last=last):
            self._ask_project(entry.project)

    def _open(self, entry: Entry, version: Version) -> None:
        if (
            not entry.is_dsn
            or not self._read_payloads
            or version.state != "ENABLED"
            or version.number in entry.payloads
        ):
            return
        number = version.number
        entry.payloads[number] = None

        def opened(answer: DsnSeen | Failure) -> None:
            entry.payloads[number] = answer

        self._ask(entry, "AccessSecretVersion", f"/versions/{number}", self._payload, opened)

    def _needs_project_policy(self, entry: Entry, *, last: bool) -> bool:
        """Whether an account that takes this secret may have its right to from the project, if it has it at all."""
        if entry.project in self.policies or not entry.accounts:
            return False
        if entry.grants is None:
            return entry.policy_failure is not None
        for project, account in entry.accounts:
            known = self.account(project, account)
            if PROJECT_NUMBER in known and not last:
                continue
            if not _granted(entry.grants, known):
                return True
        return False

    def account(self, project: str, account: str) -> str:
        """A service account's address, with the project's number in it if that is known by now."""
        return account.replace(PROJECT_NUMBER, self.numbers.get(project) or PROJECT_NUMBER)

    def _ask_project(self, project: str) -> None:
        self.policies[project] = None

        def heard(answer: tuple[Grant, ...] | Failure) -> None:
            self.policies[project] = answer

        self._work.ask(
            Question("ProjectPolicy", project, f"projects/{project}"),
            lambda timeout: grants(self._clients.project_policy(project, timeout)),
            heard,
        )

    def settle(self) -> None:
        """There is nothing to wait for: ask what only waited for more to be known."""
        for entry in list(self.entries.values()):
            self._decide(entry, last=True)

    def seen(self) -> dict[str, tuple[Secret, ...]]:
        """The secrets by project."""
        found: defaultdict[str, list[Secret]] = defaultdict(list)
        for entry in self.entries.values():
            found[entry.project].append(self._secret(entry))
        return {project: tuple(sorted(items, key=lambda item: item.name)) for project, items in found.items()}

    def names(self, project: str) -> tuple[str, ...]:
        """Other secrets of a project whose names look like a Sentry DSN's."""
        listing = self.listings.get(project)
        names = listing.names if listing else set()
        return tuple(sorted(name for name in names if dsn.names_dsn(name) and (project, name) not in self.entries))

    def _secret(self, entry: Entry) -> Secret:
        exists = self.exists(entry)
        secret = Secret(project=entry.project, name=entry.name, exists=exists)
        if exists is False:
            return secret
        if exists is None:
            failed = (entry.itself, *entry.versions.values(), entry.policy_failure)
            secret = replace(secret, failure=next((item for item in failed if isinstance(item, Failure)), None))
        versions = tuple(self._seen_version(entry, asked, found) for asked, found in sorted(entry.versions.items()))
        return replace(secret, versions=versions, grants=entry.grants, policy_failure=entry.policy_failure)

    def _seen_version(self, entry: Entry, asked: str, found: Version | Failure | None) -> SecretVersion:
        if found is None:
            return SecretVersion(asked=asked, failure=entry.itself if isinstance(entry.itself, Failure) else None)
        if isinstance(found, Failure):
            if found.code == "NOT_FOUND" and self.exists(entry):
                return SecretVersion(asked=asked, state="MISSING")
            return SecretVersion(asked=asked, failure=found)
        payload = entry.payloads.get(found.number)
        seen = payload if isinstance(payload, DsnSeen) else None
        unread = None if seen else payload if isinstance(payload, Failure) else self._unread(entry, found)
        return SecretVersion(
            asked=asked, number=found.number, state=found.state, created=found.created, dsn=seen, unread=unread
        )

    def _unread(self, entry: Entry, version: Version) -> Failure:
        if version.state != "ENABLED":
            why = f"it is {version.state}"
        elif not entry.is_dsn:
            why = "nothing takes the DSN from it"
        else:
            why = "payloads are not to be read"
        resource = f"projects/{entry.project}/secrets/{entry.name}/versions/{version.number}"
        return Failure(code="NOT_ASKED", reason=f"the payload of {resource} was not read: {why}", resource=resource)


def _no_name(resource: str) -> Failure:
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


def _granted(found: tuple[Grant, ...], account: str) -> bool:
    everyone = {f"serviceAccount:{account}", "allUsers", "allAuthenticatedUsers"}
    return any(
        grant.role in _ACCESSORS and not grant.condition and everyone.intersection(grant.members) for grant in found
    )
