"""From gaps to a plan: ask the fixers, audit what they would write, keep what closes a gap and opens no other. Pure.

It goes in rounds, because one fix can be what another needs, and because two that touch one file cannot be told apart:
what a round keeps is the ground of the next. Safe changes come first, so that a plan can be taken up to any group.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.comparing import Key, gained, key_of, tally, told, worse
from sentry_audit.fixing import Change, Closed, Left, Plan, Refusal
from sentry_audit.model import Status
from sentry_audit.parsing import broken
from sentry_audit.steps import Kept, file_steps, operation_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sentry_audit.fixing import Case, Edit, Fixer
    from sentry_audit.model import Finding

#: Each round that keeps something closes a gap; this bounds what a tree of very many gaps may cost.
ROUNDS = 24
#: How often a fixer is asked again for one gap after what it gave was dropped.
_MOST_TRIES = 3
#: How far a change may be followed by others that close what it brings to light.
_MOST_COMPANIONS = 3
_RANKS = ("safe", "review", "unproven")


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

    ``cloud_checks`` judge Google Cloud, which no edit of a file changes; ``deployed_later`` are those of them that say
    only that a deploy is due. ``unproven``: keep changes also where a new audit cannot tell whether they closed the gap.
    ``revealing`` are the checks whose gaps keep others from being judged at all.
    """

    wanted: frozenset[str] | None = None
    repo: bool = True
    cloud: bool = True
    unproven: bool = False
    cloud_checks: frozenset[str] = frozenset()
    deployed_later: frozenset[str] = frozenset()
    revealing: frozenset[str] = frozenset()


class _Offer(Struct, frozen=True):
    """What a fixer gives for a case, and how it is ranked."""

    key: Key
    change: Change

    @property
    def rank(self) -> int:
        return 0 if self.change.safety == "safe" else 1

    @property
    def closed(self) -> Closed:
        return Closed(self.key[0], self.key[1])


def plan(ground: Ground, known: Mapping[str, Fixer], scope: Scope, environment: str, tool_version: str) -> Plan:
    """What ``known`` fixers do about the gaps of ``ground``, as far as a new audit bears it out."""
    planner = _Planner(ground, known, scope)
    if scope.repo:
        planner.settle_files()
    steps = file_steps(planner.kept, ground.text)
    done = planner.settle_cloud() if scope.cloud else ()
    operations, clashes = operation_steps(done)
    left = planner.left({key for key, _ in done}, clashes)
    return Plan(tool_version=tool_version, environment=environment, steps=(*steps, *operations), left=left)


class _Planner:
    def __init__(self, ground: Ground, known: Mapping[str, Fixer], scope: Scope) -> None:
        self.ground = ground
        self.known = known
        self.scope = scope
        self.edits: dict[str, str | None] = {}
        self.now = ground.audit({})
        self.kept: list[Kept] = []
        #: Gaps whose files are edited as far as they go: what is left of them is the cloud's.
        self.halves: dict[Key, Change] = {}
        self.answers: dict[Key, Refusal] = {}
        self.dropped: dict[Key, str] = {}
        self.tries: Counter[Key] = Counter()
        self.failed: set[tuple[Key, Change]] = set()
        self.unproven: dict[Key, Change] = {}
        self.rank = 0
        self.before = {key_of(case.finding) for case in self.now.cases}

    # --- files --------------------------------------------------------------------------------------

    def settle_files(self) -> None:
        """Keep what can be kept of the fixers' edits."""
        for _ in range(ROUNDS):
            if not self._round():
                return

    def _round(self) -> bool:
        """Whether anything was kept: of the safe changes, else of those to be reviewed, else of the unproven."""
        offers = [offer for case in self.now.cases if (offer := self._offer(case)) is not None and offer.change.edits]
        fresh = [item for item in offers if (item.key, item.change) not in self.failed]
        for rank in (0, 1):
            batch = _apart(item for item in fresh if item.rank == rank and self.tries[item.key] < _MOST_TRIES)
            while batch:
                if self._attempt(batch):
                    return True
                fresh = [item for item in fresh if (item.key, item.change) not in self.failed]
                batch = _apart(item for item in fresh if item.rank == rank and self.tries[item.key] < _MOST_TRIES)
        unproven = [item for item in offers if self.scope.unproven and self.unproven.get(item.key) == item.change]
        return any(self._attempt([item], proven=False) for item in unproven)

    def _offer(self, case: Case) -> _Offer | None:
        """What the fixer of a case gives; what is left of it is noted where it gives nothing to do."""
        key = key_of(case.finding)
        fixer = self.known.get(case.finding.check)
        if fixer is None or not self._wanted(case.finding) or key in self.halves:
            return None
        if case.finding.check in self.scope.deployed_later and key not in self.before:
            return None  # it is ours: the next deploy of what was edited settles it
        try:
            answer = fixer(case)
        except Exception as error:  # noqa: BLE001 - one fixer that fails is told, and the others go on
            answer = Refusal(reason=f"its fix failed: {type(error).__name__}: {error}")
        if isinstance(answer, Change):
            edits = tuple(edit for edit in answer.edits if edit.after != self._text(edit.path))
            if edits or answer.operations:
                return _Offer(key, replace(answer, edits=edits))
            answer = Refusal(reason="its fix changes nothing here")
        self.answers[key] = answer
        return None

    def _attempt(self, batch: Sequence[_Offer], *, proven: bool = True) -> bool:
        """Audit the tree with the changes of ``batch``, which share no file; whether any was kept."""
        batch = [item for item in batch if self._sound(item, self.edits)]
        if not batch:
            return False
        trial = self.edits | {edit.path: edit.after for item in batch for edit in item.change.edits}
        after = self.ground.audit(trial)
        if len(batch) == 1:
            return self._alone(batch[0], trial, after, proven=proven)
        wanted = Counter(item.closed for item in batch)
        gone = gained(self.now.findings, after.findings)
        if gone == wanted and not worse(self.now.findings, after.findings, self.scope.cloud_checks):
            for item in batch:
                self._keep([item], [item.closed])
            self.edits, self.now = trial, after
            return True
        # Somebody spoils it, or closes more than its own: one at a time tells who.
        begun, kept = self.edits, False
        for item in batch:
            untouched = all(self.edits.get(edit.path) == begun.get(edit.path) for edit in item.change.edits)
            kept = (untouched and self._open(item) and self._attempt([item])) or kept
        return kept

    def _alone(self, offer: _Offer, trial: dict[str, str | None], after: Audit, *, proven: bool) -> bool:
        together = [offer]
        for _ in range(_MOST_COMPANIONS):
            spoilt = worse(self.now.findings, after.findings, self.scope.cloud_checks)
            lit = {(item.check, item.component) for item in spoilt} | {(offer.key[0], offer.key[1])}
            more = self._companions(lit, trial, after, {item.key for item in together})
            if not more:
                break
            together += more
            trial = trial | {edit.path: edit.after for item in more for edit in item.change.edits}
            after = self.ground.audit(trial)
        revealing = offer.key[0] in self.scope.revealing
        spoilt = worse(self.now.findings, after.findings, self.scope.cloud_checks, revealing=revealing)
        gone = gained(self.now.findings, after.findings)
        status = tally(after.findings).get((offer.key[0], offer.key[1]), Counter())
        if spoilt:
            return self._drop(offer, f"it would open another: {told(spoilt[0])}")
        if not gone[offer.closed] and not offer.change.operations:
            if not status[Status.UNKNOWN]:
                return self._drop(offer, "it does not close the gap: audited with it, the gap is still there")
            if proven:
                self.unproven[offer.key] = offer.change
                return self._drop(offer, "audited with it, nothing can be said: --unsafe makes the change all the same")
        self._keep(together, [offer.closed, *gone], proven=proven)
        self.edits, self.now = trial, after
        return True

    def _companions(
        self, lit: set[tuple[str, str]], trial: Mapping[str, str | None], after: Audit, asked: set[Key]
    ) -> list[_Offer]:
        """Changes that close what a change brings to light: an init is there now, and lacks an option.

        Also the next part of a gap that takes several: the plugin is there now, and its build lacks the token.
        """
        asked = asked | {key_of(case.finding) for case in self.now.cases}
        found: list[_Offer] = []
        for case in after.cases:
            fixer = self.known.get(case.finding.check)
            key = key_of(case.finding)
            if fixer is None or key in asked or (case.finding.check, case.finding.component) not in lit:
                continue
            try:
                answer = fixer(case)
            except Exception:  # noqa: BLE001, S112 - then nothing goes with the change, and it is dropped with the reason
                continue
            if isinstance(answer, Change) and answer.edits:
                offer = _Offer(key, answer)
                if self._sound(offer, trial):
                    found.append(offer)
        return _apart(found)

    def _sound(self, offer: _Offer, edits: Mapping[str, str | None]) -> bool:
        """Whether its files may be written and still parse; it is dropped if not."""
        for edit in offer.change.edits:
            before = edits[edit.path] if edit.path in edits else self.ground.text(edit.path)
            if edit.path not in edits and (reason := self.ground.refusal(edit)):
                return self._drop(offer, f"{edit.path} is not edited: {reason}")
            if wrong := broken(edit.path, before, edit.after):
                return self._drop(offer, f"{edit.path} would not parse any more: {wrong}")
        return True

    def _drop(self, offer: _Offer, reason: str) -> bool:
        self.failed.add((offer.key, offer.change))
        self.tries[offer.key] += 1
        self.dropped[offer.key] = f"{_ours(offer.change.summary)}: {reason}"
        return False

    def _keep(self, together: Sequence[_Offer], closes: Sequence[Closed], *, proven: bool = True) -> None:
        """What only became possible with a change to be reviewed stands or falls with it: it ranks no lower."""
        self.rank = max([self.rank, *(item.rank for item in together), *(() if proven else (2,))])
        self.kept.append(
            Kept(
                "; ".join(item.change.summary for item in together),
                _RANKS[self.rank],
                tuple(dict.fromkeys(closes)),
                tuple(edit for item in together for edit in item.change.edits),
            )
        )
        for item in together:
            self.dropped.pop(item.key, None)
            if item.change.operations:
                self.halves[item.key] = item.change

    # --- the cloud ----------------------------------------------------------------------------------

    def settle_cloud(self) -> list[tuple[Key, Kept]]:
        """The operations that close what the edits leave open."""
        found = []
        for case in self.now.cases:
            key = key_of(case.finding)
            change = self.halves.get(key)
            if change is None:
                offer = self._offer(case)
                change = offer.change if offer is not None else None
            if change is None or not change.operations or (change.edits and self.scope.repo and key not in self.halves):
                continue
            closes = (Closed(case.finding.check, case.finding.component),)
            found.append((key, Kept(change.summary, "live", closes, (), change.operations)))
        return found

    # --- what is left -------------------------------------------------------------------------------

    def left(self, done: set[Key], clashes: Mapping[Key, str]) -> tuple[Left, ...]:
        """Every gap that stays, with why, and what can be pasted."""
        found: list[Left] = []
        for case in self.now.cases:
            key = key_of(case.finding)
            if (key in done and key not in clashes) or not self._wanted(case.finding):
                continue
            if case.finding.check in self.scope.deployed_later and key not in self.before:
                continue
            reason, commands = self._why(case, clashes)
            found.append(
                Left(finding=Closed(case.finding.check, case.finding.component), reason=reason, commands=commands)
            )
        return tuple(dict.fromkeys(found))

    def _why(self, case: Case, clashes: Mapping[Key, str]) -> tuple[str, tuple[str, ...]]:
        key, remedy = key_of(case.finding), case.finding.remedy
        said = tuple(dict.fromkeys(str(command) for fact in case.bad if (command := getattr(fact, "command", ""))))
        commands = said if case.finding.check in self.scope.cloud_checks else ()
        commands = commands or ((remedy.command,) if remedy is not None and remedy.command else ())
        if key in clashes:
            return clashes[key], commands
        if key in self.dropped:
            return self.dropped[key], commands
        if key in self.halves:
            return "its files are edited; Google Cloud is left as it is (--repo)", commands
        advice = remedy.summary if remedy is not None else case.finding.title
        if key in self.answers:
            return self.answers[key].reason or advice, self.answers[key].commands or commands
        if case.finding.check in self.known and self.scope.repo and self.scope.cloud:
            return "there was too much to be planned at once: apply this, and plan again", commands
        if case.finding.check in self.known:
            where = "the repository (--cloud)" if not self.scope.repo else "Google Cloud (--repo)"
            return f"its fix changes {where}, which was left out", commands
        return advice, commands

    # --- small questions ----------------------------------------------------------------------------

    def _wanted(self, finding: Finding) -> bool:
        return self.scope.wanted is None or finding.check in self.scope.wanted

    def _open(self, offer: _Offer) -> bool:
        return any(key_of(case.finding) == offer.key for case in self.now.cases)

    def _text(self, path: str) -> str | None:
        return self.edits[path] if path in self.edits else self.ground.text(path)


def _apart(offers: Iterable[_Offer]) -> list[_Offer]:
    """As many as share no file, the first ones first."""
    taken: set[str] = set()
    found = []
    for item in offers:
        paths = {edit.path for edit in item.change.edits}
        if not paths & taken:
            taken |= paths
            found.append(item)
    return found


def _ours(summary: str) -> str:
    """A summary in the future tense as the name of what was tried."""
    return summary.removeprefix("will ")
