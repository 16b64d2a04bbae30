"""What is judged of Google Cloud: one frozen struct per kind, each of one component in one environment.

``derive.cloud`` makes them from what was seen (``cloud``) and from what the repository says. Of a DSN they hold what
``cloud.DsnSeen`` has, never its key. ``command`` is the line to paste that would close the gap.
"""

from __future__ import annotations

from sentry_audit.facts import Fact


class Secret(Fact, frozen=True, kw_only=True):
    """Whether the secret that an environment's DSN is to come from is there.

    ``source`` says what refers to it, ``nearest`` the one of the project that may be meant.
    """

    name: str = ""
    project: str = ""
    exists: bool = False
    nearest: str = ""
    source: str = ""
    problem: str = ""
    command: str = ""


class SecretVersionState(Fact, frozen=True, kw_only=True):
    """The ``version`` of a secret that is asked for, the ``number`` it leads to, and whether that can be read.

    ``state``: ENABLED, DISABLED, DESTROYED or MISSING. ``pinned``: the version is a number.
    """

    name: str = ""
    project: str = ""
    version: str = "latest"
    number: str = ""
    state: str = ""
    enabled: bool = False
    pinned: bool = False
    source: str = ""
    problem: str = ""
    command: str = ""


class SecretPayload(Fact, frozen=True, kw_only=True):
    """Whether what a secret's version holds is a DSN that both SDKs take as it stands; ``shown`` is it without its key."""

    name: str = ""
    project: str = ""
    version: str = "latest"
    valid: bool = False
    shown: str = ""
    host: str = ""
    fingerprint: str = ""
    source: str = ""
    problem: str = ""
    command: str = ""


class SecretAccess(Fact, frozen=True, kw_only=True):
    """Whether the service ``account`` that a service runs as may read a secret, and what grants it (``source``)."""

    name: str = ""
    project: str = ""
    account: str = ""
    readable: bool = False
    source: str = ""
    problem: str = ""
    command: str = ""


class SecretFreshness(Fact, frozen=True, kw_only=True):
    """Whether the instances of a serving ``revision`` have the newest version of a secret that they read as ``latest``."""

    name: str = ""
    service: str = ""
    revision: str = ""
    current: bool = True
    source: str = ""
    problem: str = ""
    command: str = ""


class CloudRunEnv(Fact, frozen=True, kw_only=True):
    """Whether what requests reach gets the DSN's variable ``name``, as it was deployed last.

    ``plain``: the DSN stands in the service as it is; ``from_secret``: it comes from ``secret`` in ``version``.
    ``container`` is the one that was looked at: that of the requests, and in jobs and worker pools each.
    """

    name: str = ""
    service: str = ""
    container: str = ""
    present: bool = False
    plain: bool = False
    from_secret: bool = False
    secret: str = ""
    version: str = ""
    source: str = ""
    problem: str = ""
    command: str = ""


class CloudRunEnvironment(Fact, frozen=True, kw_only=True):
    """Whether the events of a service are labelled with its environment: ``variable`` says so, or the code does."""

    service: str = ""
    variable: str = ""
    value: str = ""
    labelled: bool = False
    source: str = ""
    problem: str = ""
    command: str = ""


class ServingRevision(Fact, frozen=True, kw_only=True):
    """A revision of a service, and whether it has the DSN as the service was deployed last.

    ``role``: traffic (it gets ``percent`` of it), tag (only what comes in by ``tag``), newest (it did not come up).
    ``pinned``: it was named, and a new revision will not take its place.
    """

    name: str = ""
    service: str = ""
    role: str = "traffic"
    percent: int = 0
    tag: str = ""
    pinned: bool = False
    agrees: bool = False
    source: str = ""
    problem: str = ""
    command: str = ""


class CpuAllocation(Fact, frozen=True, kw_only=True):
    """Whether a service has a CPU between requests (``throttled``: it has none), or sends its events before that matters.

    ``delivers`` is false where events that are queued when the CPU is taken away may never be sent.
    """

    service: str = ""
    throttled: bool = False
    delivers: bool = False
    source: str = ""
    problem: str = ""
    command: str = ""


class Egress(Fact, frozen=True, kw_only=True):
    """Whether what a service sends to Sentry's ``host`` finds its way out of its ``network``."""

    service: str = ""
    network: str = ""
    host: str = ""
    reaches: bool = False
    source: str = ""
    problem: str = ""
    command: str = ""


class DeployDrift(Fact, frozen=True, kw_only=True):
    """Whether a service has the variable ``name`` as the repository's definitions would deploy it.

    ``effect`` says what the next deploy does to it; ``manager`` what deployed the service last, as far as it says so.
    """

    name: str = ""
    service: str = ""
    manager: str = ""
    agrees: bool = False
    effect: str = ""
    source: str = ""
    problem: str = ""
