"""What Google Cloud, and Sentry, were seen to hold for a repository: one value, which ``collect`` keeps as evidence.

Names are the APIs' own (Secret Manager v1, Cloud Run Admin v2). No secret is in here: of a DSN only what ``DsnSeen``
has, of other variables the value only where it cannot be secret.
"""

from __future__ import annotations

from msgspec import Struct

from sentry_audit.sentry_project import Sentry  # noqa: TC001 - msgspec evaluates it


class Failure(Struct, frozen=True, kw_only=True):
    """A question that Google Cloud did not answer.

    ``code`` is the gRPC status (``PERMISSION_DENIED``), or ``NO_CREDENTIALS``, ``API_DISABLED``, ``MALFORMED``,
    ``NOT_ASKED``; ``reason`` one sentence that says what could not be seen and why; ``permission`` what is missing on
    ``resource``; ``command`` the gcloud line that would help.
    """

    code: str
    reason: str
    permission: str = ""
    resource: str = ""
    command: str = ""


class DsnSeen(Struct, frozen=True, kw_only=True):
    """A DSN without its key, as ``dsn.parse`` judges it. ``problem`` is empty if both SDKs take it as it stands."""

    shown: str
    valid: bool
    problem: str = ""
    fingerprint: str = ""
    host: str = ""
    project: str = ""


class Variable(Struct, frozen=True, kw_only=True):
    """One environment variable of a container.

    A secret one has ``secret`` (its id), ``secret_project`` (``""``: the service's own) and ``version`` (a number, an
    alias, ``latest``); a plain one ``is_set`` if it is not empty, ``value`` where that may be shown, and ``dsn`` if
    it is one.
    """

    name: str
    secret: str = ""
    secret_project: str = ""
    version: str = ""
    is_set: bool = True
    value: str = ""
    dsn: DsnSeen | None = None


class Mount(Struct, frozen=True, kw_only=True):
    """A secret that a container sees as a file at ``path``."""

    path: str
    secret: str
    secret_project: str = ""
    version: str = ""


class Container(Struct, frozen=True, kw_only=True):
    """One container; ``ingress`` for the one that requests reach (in jobs and worker pools: each).

    ``cpu_idle``: it has a CPU only while it answers a request.
    """

    name: str = ""
    image: str = ""
    ingress: bool = True
    cpu_idle: bool = False
    variables: tuple[Variable, ...] = ()
    mounts: tuple[Mount, ...] = ()

    def variable(self, name: str) -> Variable | None:
        """The variable of that name."""
        return next((item for item in self.variables if item.name == name), None)


class Template(Struct, frozen=True, kw_only=True):
    """What a revision runs.

    ``account`` is the service account, the project's default one filled in; ``egress``: ``ALL_TRAFFIC`` or
    ``PRIVATE_RANGES_ONLY`` where a VPC is attached, else ``""``; ``network`` names the connector or the network.
    """

    containers: tuple[Container, ...] = ()
    account: str = ""
    egress: str = ""
    network: str = ""


class Serving(Struct, frozen=True, kw_only=True):
    """A revision that gets traffic: ``percent`` of it, or what comes in by ``tag``.

    ``pinned``: it was named, and a new revision will not take its place. ``template`` is None where ``failure`` says
    why it was not read. ``created`` is RFC 3339; instances resolve ``latest`` when they start, never before that.
    """

    revision: str
    percent: int = 0
    tag: str = ""
    pinned: bool = False
    created: str = ""
    template: Template | None = None
    failure: Failure | None = None


class Service(Struct, frozen=True, kw_only=True):
    """A Cloud Run service, job or worker pool (``sort``).

    ``template`` is what was asked for last, ``serving`` what runs. It is None where it was not looked at (services
    that no target names), and empty for jobs, whose next execution runs ``template``. ``not_ready`` is the reason why
    the newest revision did not come up, ``latest_ready`` and ``latest_created`` are short names. ``manager`` is what
    deployed it last, as far as it says so: gcloud, terraform, …
    """

    project: str
    region: str
    name: str
    sort: str = "service"
    template: Template
    serving: tuple[Serving, ...] | None = None
    latest_ready: str = ""
    latest_created: str = ""
    reconciling: bool = False
    not_ready: str = ""
    manager: str = ""
    updated: str = ""
    etag: str = ""

    @property
    def resource(self) -> str:
        """The full name, as in the API."""
        kinds = {"service": "services", "job": "jobs", "worker-pool": "workerPools"}
        return f"projects/{self.project}/locations/{self.region}/{kinds[self.sort]}/{self.name}"


class Grant(Struct, frozen=True, kw_only=True):
    """One binding of an IAM policy; ``condition`` is its expression, ``""`` if it always holds."""

    role: str
    members: tuple[str, ...]
    condition: str = ""


class SecretVersion(Struct, frozen=True, kw_only=True):
    """A version as something refers to it (``asked``: ``latest``, a number, an alias).

    ``number`` is the one it resolves to, ``state`` ENABLED, DISABLED, DESTROYED or MISSING; ``created`` RFC 3339.
    ``dsn`` is what its payload is as a DSN: None where ``unread`` says why the payload was not read.
    """

    asked: str
    number: str = ""
    state: str = ""
    created: str = ""
    dsn: DsnSeen | None = None
    unread: Failure | None = None
    failure: Failure | None = None


class Secret(Struct, frozen=True, kw_only=True):
    """A secret that something refers to. ``exists`` is None where ``failure`` says why that is not known.

    ``grants`` are the bindings of its own IAM policy: None where ``policy_failure`` says why it was not read.
    """

    project: str
    name: str
    exists: bool | None = True
    versions: tuple[SecretVersion, ...] = ()
    grants: tuple[Grant, ...] | None = None
    policy_failure: Failure | None = None
    failure: Failure | None = None

    def version(self, asked: str) -> SecretVersion | None:
        """What was seen of the version that something refers to by ``asked``."""
        return next((item for item in self.versions if item.asked == (asked or "latest")), None)


class Project(Struct, frozen=True, kw_only=True):
    """One project. ``services`` are all that were listed in ``regions``; ``secrets`` those that something refers to.

    ``names`` are other secrets that look like a Sentry DSN's. ``unlisted`` says what could not be listed: then a
    service that is not among ``services`` may still be there; ``unnamed`` likewise for secrets. ``grants`` is the
    project's own policy: None where ``policy_failure`` says why it was not read, or nothing needed it. ``number`` is
    ``""`` where nothing told it.
    """

    id: str
    number: str = ""
    regions: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    secrets: tuple[Secret, ...] = ()
    names: tuple[str, ...] = ()
    unlisted: tuple[Failure, ...] = ()
    unnamed: Failure | None = None
    grants: tuple[Grant, ...] | None = None
    policy_failure: Failure | None = None

    def secret(self, name: str) -> Secret | None:
        """What was seen of a secret."""
        return next((item for item in self.secrets if item.name == name), None)


class Snapshot(Struct, frozen=True, kw_only=True):
    """Everything that was read, when (RFC 3339, UTC) and as whom.

    ``identity_source`` says where ``identity`` came from. ``targets`` is what was asked for. ``failure`` is set where
    nothing could be read at all, for one reason. ``sentry`` is None where Sentry was not asked.
    """

    schema_version: int = 1
    taken_at: str
    identity: str = ""
    identity_source: str = ""
    projects: tuple[Project, ...] = ()
    targets: tuple[Target, ...] = ()
    failure: Failure | None = None
    sentry: Sentry | None = None

    @property
    def asked_google(self) -> bool:
        """Whether Google Cloud was asked, or tried."""
        return bool(self.targets or self.projects or self.failure)

    def project(self, id_or_number: str) -> Project | None:
        """The project of that id, or number."""
        return next((item for item in self.projects if id_or_number in {item.id, item.number} - {""}), None)


class SecretReference(Struct, frozen=True, kw_only=True):
    """A secret that the repository names; ``project`` is ``""`` for the target's own."""

    name: str
    version: str = "latest"
    project: str = ""


class Target(Struct, frozen=True, kw_only=True):
    """Where one component runs in one environment, as far as the repository, the settings and the command line say.

    ``project`` and ``service`` are ``""`` where nothing says them (``why`` then tells what was looked at and what to
    do); without ``regions`` all are asked. ``variables`` are those that its DSN and its environment's name come from;
    ``secrets`` those that the repository takes the DSN from. ``rule`` says where ``project`` comes from.
    """

    component: str
    environment: str
    project: str = ""
    regions: tuple[str, ...] = ()
    service: str = ""
    sort: str = "service"
    variables: tuple[str, ...] = ("SENTRY_DSN", "SENTRY_ENVIRONMENT")
    secrets: tuple[SecretReference, ...] = ()
    rule: str = ""
    why: str = ""


class CloudSettings(Struct, frozen=True, kw_only=True):
    """What the user's settings say of one environment: ``secret`` is where the DSN is kept, as ``--set-secrets`` takes it."""

    project: str = ""
    regions: tuple[str, ...] = ()
    secret: str = ""


class CloudOptions(Struct, frozen=True, kw_only=True):
    """How Google Cloud is asked.

    ``timeout`` is in seconds, for the whole run; ``endpoint`` a loopback ``host:port`` in place of Google's.
    ``payloads``: the payload of the DSN's secret is read, to judge it. ``project`` and ``regions`` are the command
    line's, for every environment; ``ambient`` is the project that the environment variables of Google's tools name, which
    counts where nothing else names one.
    """

    project: str = ""
    regions: tuple[str, ...] = ()
    endpoint: str = ""
    impersonate: str = ""
    quota_project: str = ""
    timeout: float = 60.0
    payloads: bool = True
    ambient: str = ""
