"""The nouns of the product: what was seen, what is judged, what is reported. Read this first.

Nothing here imports anything else of ours, and nothing here reads files or calls services.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field


class Status(StrEnum):
    """How one check ended for one component in one environment."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    GAP = "gap"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    WAIVED = "waived"
    ERROR = "error"


class Severity(StrEnum):
    """How much a gap matters; ``high`` blocks production."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for low, 2 for high: for comparing with ``--fail-on``."""
        return {"low": 0, "medium": 1, "high": 2}[self.value]


class Confidence(StrEnum):
    """How sure the evidence makes us; a finding of low confidence is never a gap."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Link(StrEnum):
    """The links of the evidence chain, in the order in which an error travels."""

    SDK = "sdk"
    INIT = "init"
    DSN = "dsn"
    DEPLOY = "deploy"
    SECRET = "secret"  # noqa: S105 - the name of a link
    CLOUD_RUN = "cloud-run"
    ACCEPTED = "accepted"


class Evidence(Struct, frozen=True):
    """One place that was looked at, and what was seen there.

    ``path`` is relative to the audited root, with forward slashes; ``line`` and ``column`` count
    from 1; ``resource`` names something that is not a file. ``saw`` never holds a secret.
    """

    path: str | None = None
    line: int | None = None
    column: int | None = None
    resource: str | None = None
    saw: str = ""

    def __str__(self) -> str:
        """``path:line`` or the resource's name."""
        if self.path is None:
            return self.resource or "?"
        return f"{self.path}:{self.line}" if self.line else self.path


class Problem(Struct, frozen=True):
    """Something a source could not see; every check on these fact kinds becomes ``unknown``.

    ``component`` narrows it to one component, ``""`` means all of them.
    """

    source: str
    kinds: frozenset[str]
    reason: str
    hint: str = ""
    evidence: Evidence = field(default_factory=Evidence)
    component: str = ""


class Remedy(Struct, frozen=True):
    """What would close a finding: who may apply it, in one sentence, and as a diff where known."""

    summary: str
    safety: str = "manual"
    fixable: bool = False
    command: str = ""
    diff: str = ""


class Waiver(Struct, frozen=True, kw_only=True):
    """Why a gap is accepted, by whom, and until when: ``until`` is an ISO date, or ``permanent``.

    ``place`` is where it is written down.
    """

    reason: str
    until: str
    owner: str = ""
    ticket: str = ""
    place: Evidence = field(default_factory=Evidence)


class Finding(Struct, frozen=True):
    """The verdict of one check on one component in one environment, with its evidence.

    ``needless``: it was skipped because nothing has to hold here, not because nobody looked; ``unlooked``: because neither
    Google Cloud nor Sentry was asked about it. ``waiver`` is the one that accepts it; a gap with a waiver is one whose
    waiver has expired.
    """

    check: str
    title: str
    area: str
    severity: Severity
    status: Status
    message: str
    component: str
    environment: str
    confidence: Confidence = Confidence.HIGH
    evidence: tuple[Evidence, ...] = ()
    remedy: Remedy | None = None
    link: Link | None = None
    hint: str = ""
    needless: bool = False
    unlooked: bool = False
    waiver: Waiver | None = None


class ChainLink(Struct, frozen=True):
    """One link of a component's evidence chain."""

    link: Link
    status: Status
    message: str
    evidence: tuple[Evidence, ...] = ()


class ComponentReport(Struct, frozen=True):
    """One deployable piece of the repository and its chain."""

    name: str
    path: str
    ecosystem: str
    role: str
    entry_point: str | None
    chain: tuple[ChainLink, ...]
    reasons: tuple[str, ...] = ()


class CloudRead(Struct, frozen=True):
    """How what is said of Google Cloud came to be known.

    ``taken_at`` is RFC 3339; ``source`` names the evidence file, ``""`` where the cloud was asked now; ``failure`` says why
    nothing could be read at all, ``command`` what would help.
    """

    taken_at: str
    identity: str = ""
    identity_source: str = ""
    source: str = ""
    projects: tuple[str, ...] = ()
    failure: str = ""
    command: str = ""


class SentryRead(Struct, frozen=True):
    """How what is said of Sentry itself came to be known: what ``url`` said to the token of ``token_source``.

    ``taken_at``, ``source``, ``failure`` and ``command`` are as in ``CloudRead``.
    """

    taken_at: str
    url: str
    token_source: str
    source: str = ""
    projects: tuple[str, ...] = ()
    failure: str = ""
    command: str = ""


class SentryProject(Struct, frozen=True):
    """Where a component's events of one environment go, as far as it was seen: ``project`` at ``host``.

    ``dsn`` is redacted; ``fingerprint`` lets two be compared; ``resource`` is what the DSN was read from.
    """

    component: str
    host: str
    project: str
    dsn: str
    fingerprint: str
    resource: str


class Rule(Struct, frozen=True, kw_only=True):
    """A check as reports speak of it. ``permissions`` are what Google or Sentry has to grant, ``refs`` addresses to read."""

    id: str
    title: str
    why: str
    area: str
    severity: Severity
    remedy: str = ""
    refs: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


class Report(Struct, frozen=True):
    """What every reporter is given: one environment's audit. ``rules`` are the checks that were run, by id."""

    root: str
    environment: str
    ready: bool
    headline: str
    components: tuple[ComponentReport, ...]
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    exit_code: int
    notes: tuple[str, ...] = ()
    cloud: CloudRead | None = None
    sentry: SentryRead | None = None
    projects: tuple[SentryProject, ...] = ()
    rules: tuple[Rule, ...] = ()

    def counts(self) -> dict[str, int]:
        """The number of findings by status; every status is present."""
        totals = {status.value: 0 for status in Status}
        for finding in self.findings:
            totals[finding.status.value] += 1
        return totals
