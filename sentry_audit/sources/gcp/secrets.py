"""Secret Manager: the secrets that something refers to, and no others."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from sentry_audit import dsn
from sentry_audit.cloud import DsnSeen, Failure, Grant, Secret
from sentry_audit.sources.gcp import entries, failures, payloads
from sentry_audit.sources.gcp.entries import NAME, TERMS, VERSION, Entry, Listing, Version
from sentry_audit.sources.gcp.permissions import Question
from sentry_audit.sources.gcp.run import PROJECT_NUMBER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sentry_audit.sources.gcp.clients import Clients, Page
    from sentry_audit.sources.gcp.work import Work


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
        extra = {name for name in wanted if NAME.fullmatch(name) and not any(term in name for term in TERMS)}
        self.listings[project] = Listing((*TERMS, *sorted(extra)))
        self._page(project, "")

    def _page(self, project: str, token: str) -> None:
        listing = self.listings[project]
        question = Question("ListSecrets", project, f"projects/{project}")

        def read(timeout: float) -> tuple[set[str], str, str]:
            page: Page = self._clients.secrets(project, listing.terms, token, timeout)
            full = [item.name for item in page.items]
            names = {name for name in (item.rpartition("/")[2] for item in full) if listing.covers(name)}
            return names, entries.owner(full[0]) if full else "", page.token

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
        if not NAME.fullmatch(name):
            entry.itself = entries.no_name(f"projects/{project}/secrets/{name}")
            entry.versions.setdefault(version, None)
            return
        missing = listing is not None and listing.tells(name) is False
        if new and not missing:
            self._ask(entry, "SecretPolicy", "", self._policy, partial(self._got_policy, entry))
        if version not in entry.versions:
            suffix = f"/versions/{version}"
            entry.versions[version] = None
            if not VERSION.fullmatch(version):
                entry.versions[version] = entries.no_name(f"projects/{project}/secrets/{name}{suffix}")
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
        return entries.version(self._clients.version(name, timeout))

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
        return entries.grants(self._clients.secret_policy(name, timeout))

    def _got_policy(self, entry: Entry, answer: tuple[Grant, ...] | Failure) -> None:
        if isinstance(answer, Failure):
            entry.policy_failure = answer
        else:
            entry.grants = answer

    def _itself(self, name: str, timeout: float) -> str:
        return entries.owner(self._clients.secret(name, timeout).name)

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
            if not entries.granted(entry.grants, known):
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
            lambda timeout: entries.grants(self._clients.project_policy(project, timeout)),
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
            found[entry.project].append(entry.seen(self.exists(entry)))
        return {project: tuple(sorted(items, key=lambda item: item.name)) for project, items in found.items()}

    def names(self, project: str) -> tuple[str, ...]:
        """Other secrets of a project whose names look like a Sentry DSN's."""
        listing = self.listings.get(project)
        names = listing.names if listing else set()
        return tuple(sorted(name for name in names if dsn.names_dsn(name) and (project, name) not in self.entries))
