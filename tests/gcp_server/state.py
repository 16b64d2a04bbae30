"""The world that the server answers from: plain data, which tests change between two calls."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from typing import TYPE_CHECKING, Any

from google.iam.v1 import policy_pb2
from msgspec import Struct, field

from . import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ACCESSOR = "roles/secretmanager.secretAccessor"
#: The etag of a policy that nobody has set.
NO_POLICY = b"\x00 \x01"

_etags = itertools.count(0x161F4522F12D58, 0x10A3)
_seconds = itertools.count(1_750_000_000, 60)


def new_etag() -> str:
    """An etag as Google writes it: the quotes belong to it."""
    return f'"{next(_etags):x}"'


def new_time() -> str:
    """RFC 3339, a minute after the one before: what is created later is newer, and a world is always the same."""
    return rfc3339(next(_seconds))


def rfc3339(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def policy(bindings: Mapping[str, Iterable[str]] | None = None) -> Any:
    """An IAM policy from role → members."""
    made = policy_pb2.Policy(version=1, etag=NO_POLICY)
    for role, members in (bindings or {}).items():
        grant(made, role, *members)
    return made


def grant(policy: Any, role: str, *members: str, condition: str = "") -> None:
    """Add members to a role; an e-mail address alone is a service account. ``condition`` is a CEL expression."""
    named = [member if ":" in member or "@" not in member else f"serviceAccount:{member}" for member in members]
    binding = next((item for item in policy.bindings if item.role == role and not condition), None)
    if binding is None or binding.HasField("condition"):
        binding = policy.bindings.add(role=role)
    if condition:
        policy.version = 3
        binding.condition.expression = condition
        binding.condition.title = "limited"
    binding.members.extend(member for member in named if member not in binding.members)
    policy.etag = new_etag().encode()


def revoke(policy: Any, role: str, member: str) -> None:
    """Take a member out of every binding of a role."""
    for binding in policy.bindings:
        if binding.role == role:
            kept = [item for item in binding.members if item not in {member, f"serviceAccount:{member}"}]
            del binding.members[:]
            binding.members.extend(kept)
    policy.etag = new_etag().encode()


class Version(Struct, kw_only=True):
    """A secret's version; its number is its place among the versions."""

    payload: bytes
    state: str = "ENABLED"
    created: str = field(default_factory=new_time)
    destroyed: str = ""
    checked: bool = False
    etag: str = field(default_factory=new_etag)


class Secret(Struct, kw_only=True):
    """A secret. ``replicas`` are the regions of a user-managed replication, none for the automatic one."""

    id: str
    versions: list[Version] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    replicas: tuple[str, ...] = ()
    expires: str = ""
    policy: Any = field(default_factory=policy)
    created: str = field(default_factory=new_time)
    etag: str = field(default_factory=new_etag)

    def add(self, payload: bytes | str, state: str = "ENABLED", alias: str = "") -> Version:
        """Add a version; ``alias`` names it."""
        data = payload.encode() if isinstance(payload, str) else payload
        self.versions.append(Version(payload=data, state=state))
        if alias:
            self.aliases[alias] = len(self.versions)
        return self.versions[-1]

    def allow(self, *accounts: str, condition: str = "") -> None:
        """Let accounts read the payload."""
        grant(self.policy, ACCESSOR, *accounts, condition=condition)

    def number(self, asked: str) -> int:
        """The number that ``latest``, an alias or a number stands for; 0 if there is none."""
        if asked == "latest":
            return len(self.versions)
        number = int(asked) if asked.isdecimal() else self.aliases.get(asked, 0)
        return number if number <= len(self.versions) else 0


class Rollout(Struct, kw_only=True):
    """How the next updates of Cloud Run go.

    They end after ``seconds`` and ``polls`` reads, as ``outcome`` says: ``ready``, ``failed`` (with ``reason``, the
    API's name of it, and ``message``) or ``never``. A revision whose account cannot read a secret fails by itself,
    unless ``secrets_checked`` is off (it could read it then, and cannot now).
    """

    seconds: float = 0.0
    polls: int = 0
    outcome: str = "ready"
    reason: str = "HEALTH_CHECK_CONTAINER_ERROR"
    message: str = "The user-provided container failed to start and listen on the port defined by PORT=8080."
    secrets_checked: bool = True


class Pending(Struct, kw_only=True):
    """A long-running operation: ``target`` is what it changes, ``error`` a google.rpc.Status."""

    name: str
    project: str
    target: str
    deleted: Any = None
    started: float = field(default_factory=time.monotonic)
    polls: int = 0
    rollout: Rollout = field(default_factory=Rollout)
    failure: tuple[str, str] | None = None
    done: bool = False
    error: Any = None


class Project(Struct, kw_only=True):
    """A project. The four dictionaries of Cloud Run go from full names to protobuf messages."""

    id: str
    number: str
    regions: list[str] = field(default_factory=lambda: ["europe-west1", "us-central1"])
    unreachable: set[str] = field(default_factory=set)
    disabled: set[str] = field(default_factory=set)
    secrets: dict[str, Secret] = field(default_factory=dict)
    policy: Any = field(default_factory=policy)
    services: dict[str, Any] = field(default_factory=dict)
    revisions: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    pools: dict[str, Any] = field(default_factory=dict)

    @property
    def default_account(self) -> str:
        """The service account of what names none."""
        return f"{self.number}-compute@developer.gserviceaccount.com"

    def add_secret(
        self, name: str, *payloads: bytes | str, accessors: Iterable[str] = (), replicas: tuple[str, ...] = ()
    ) -> Secret:
        """A secret with one version per payload, which ``accessors`` may read."""
        self.secrets[name] = secret = Secret(id=name, replicas=replicas)
        for payload in payloads:
            secret.add(payload)
        if accessors:
            secret.allow(*accessors)
        return secret


class State(Struct, kw_only=True):
    """Everything.

    ``identities`` are what callers may do, by e-mail address; ``tokens`` whose an access token is; ``anonymous`` what
    a caller without credentials may do (None: nothing, not even ask). ``page_size`` is a page's when the caller names
    none. ``rollout`` is how updates go, ``rollouts`` that of single services by full name.
    """

    projects: dict[str, Project] = field(default_factory=dict)
    identities: dict[str, Iterable[str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    anonymous: Iterable[str] | None = "*"
    page_size: int = 100
    rollout: Rollout = field(default_factory=Rollout)
    rollouts: dict[str, Rollout] = field(default_factory=dict)
    operations: dict[str, Pending] = field(default_factory=dict)

    def add_project(self, name: str, number: str = "", **rest: Any) -> Project:
        """A new, empty project; ``rest`` are fields of ``Project``."""
        number = number or str(100_000_000_000 + len(self.projects) + 1)
        self.projects[name] = project = Project(id=name, number=number, **rest)
        return project

    def project(self, asked: str, api: str = "run.googleapis.com") -> Project:
        """The project of that id or number; refused as Google refuses what it does not know."""
        found = self.find_project(asked)
        if found is None:
            raise errors.no_project(api, asked)
        return found

    def find_project(self, asked: str) -> Project | None:
        """The project of that id or number."""
        if asked in self.projects:
            return self.projects[asked]
        return next((item for item in self.projects.values() if item.number == asked), None)

    def __iter__(self) -> Iterator[Project]:
        return iter(self.projects.values())
