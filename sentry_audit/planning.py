"""From gaps to a plan: ask the fixers, audit what they would write, keep what closes a gap and opens no other. Pure.

It goes in rounds, because one fix can be what another needs, and because two that touch one file cannot be told apart:
what a round keeps is the ground of the next. Safe changes come first, so that a plan can be taken up to any group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit import leaving
from sentry_audit.comparing import key_of
from sentry_audit.fixing import Change, Closed, Plan, Refusal
from sentry_audit.steps import Kept, file_steps, operation_steps
from sentry_audit.trying import Offer, Trials, apart, asked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sentry_audit.comparing import Key
    from sentry_audit.fixing import Case, Edit, Fixer
    from sentry_audit.model import Finding
    from sentry_audit.tidying import Formatter

#: Each round that keeps something closes a gap; this bounds what a tree of very many gaps may cost.
ROUNDS = 24
#: How often a fixer is asked again for one gap after what it gave was dropped.
_MOST_TRIES = 3


class Audit(Struct, frozen=True):
    """What an audit says: all its findings, and a case for every gap."""

    findings: tuple[Finding, ...]
    cases: tuple[Case, ...]


class Ground(Protocol):
    """What is planned for: it can be audited as it would be with edits."""

    def audit(self, edits: Mapping[str, str | None]) -> Audit:
        """The audit of the tree with ``edits`` (path to text, None for a file that is removed)."""

    def text(self, path: str) -> str | None:
        """A file as it is now, without any edit; None if there is none."""

    def refusal(self, edit: Edit) -> str:
        """Why that file may not be edited so; ``""`` if it may."""


class Scope(Struct, frozen=True, kw_only=True):
    """What is to be fixed: gaps of the checks ``wanted`` (None: all), in the repository, in the cloud, or both.

    ``cloud_checks`` judge Google Cloud or Sentry, which no edit of a file changes; ``deployed_later`` are those of them that
    say only that a deploy is due. ``unproven``: keep changes also where a new audit cannot tell whether they closed the gap.
    ``revealing`` are the checks whose gaps keep others from being judged at all.
    """

    wanted: frozenset[str] | None = None
    repo: bool = True
    cloud: bool = True
    unproven: bool = False
    cloud_checks: frozenset[str] = frozenset()
    deployed_later: frozenset[str] = frozenset()
    revealing: frozenset[str] = frozenset()

    def wants(self, finding: Finding) -> bool:
        """Whether a gap is to be fixed."""
        return self.wanted is None or finding.check in self.wanted

    def deploys_later(self, finding: Finding, before: Collection[Key]) -> bool:
        """Whether a gap that was not there ``before`` is ours: the next deploy of what was edited settles it."""
        return finding.check in self.deployed_later and key_of(finding) not in before


def plan(
    ground: Ground,
    known: Mapping[str, Fixer],
    scope: Scope,
    environment: str,
    tool_version: str,
    formatter: Formatter | None = None,
) -> Plan:
    """What ``known`` fixers do about the gaps of ``ground``, as far as a new audit bears it out; formatted, if it can be."""
    planner = _Planner(ground, known, scope)
    notes: tuple[str, ...] = ()
    if scope.repo:
        planner.settle_files()
        notes = planner.trials.tidy(formatter) if formatter is not None else ()
    steps = file_steps(planner.trials.kept, ground.text)
    done = planner.settle_cloud() if scope.cloud else ()
    operations, clashes = operation_steps(done)
    settled = {key for key, _ in done} - clashes.keys()
    open_cases = [case for case in planner.trials.now.cases if key_of(case.finding) not in settled]
    left = leaving.left(open_cases, planner.trials.noted, scope, known, clashes)
    return Plan(tool_version=tool_version, environment=environment, steps=(*steps, *operations), left=left, notes=notes)


class _Planner:
    def __init__(self, ground: Ground, known: Mapping[str, Fixer], scope: Scope) -> None:
        self.ground = ground
        self.known = known
        self.scope = scope
        self.trials = Trials(ground, known, scope)

    def settle_files(self) -> None:
        """Keep what can be kept of the fixers' edits."""
        for _ in range(ROUNDS):
            if not self._round():
                return

    def _round(self) -> bool:
        """Whether anything was kept: of the safe changes, of those to be reviewed, of those that only stand together.

        Of the unproven, if nothing was.
        """
        trials = self.trials
        given = [offer for case in trials.now.cases if (offer := self._offer(case)) is not None]
        offers = [item for item in given if item.change.edits]
        for rank in (0, 1):
            while batch := self._batch(item for item in offers if item.rank == rank):
                if trials.attempt(batch):
                    return True
        if trials.jointly(offers):
            return True
        unproven = [item for item in offers if self.scope.unproven and trials.unproven.get(item.key) == item.change]
        return any(trials.attempt([item], proven=False) for item in unproven)

    def _batch(self, offers: Iterable[Offer]) -> list[Offer]:
        """Those that were not tried yet, or not often, as far as they share no file."""
        fresh = (item for item in offers if item not in self.trials.failed)
        return apart(item for item in fresh if self.trials.tries[item.key] < _MOST_TRIES)

    def _offer(self, case: Case) -> Offer | None:
        """What the fixer of a case gives; what is left of it is noted where it gives nothing to do."""
        key, noted = key_of(case.finding), self.trials.noted
        fixer = self.known.get(case.finding.check)
        if fixer is None or not self.scope.wants(case.finding) or key in noted.halves:
            return None
        if self.scope.deploys_later(case.finding, noted.before):
            return None
        answer = asked(fixer, case)
        if isinstance(answer, Change):
            edits = tuple(edit for edit in answer.edits if edit.after != self.trials.text(edit.path))
            if edits or answer.operations:
                return Offer(key, replace(answer, edits=edits))
            answer = Refusal(reason="its fix changes nothing here")
        noted.answers[key] = answer
        return None

    def settle_cloud(self) -> list[tuple[Key, Kept]]:
        """The operations that close what the edits leave open."""
        found = []
        halves = self.trials.noted.halves
        for case in self.trials.now.cases:
            key = key_of(case.finding)
            change = halves.get(key)
            if change is None:
                offer = self._offer(case)
                change = offer.change if offer is not None else None
            if change is None or not change.operations or (change.edits and self.scope.repo and key not in halves):
                continue
            closes = (Closed(case.finding.check, case.finding.component),)
            found.append((key, Kept(change.summary, "live", closes, (), change.operations)))
        return found
