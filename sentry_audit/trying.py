"""Trying changes: each is audited as if it were made, and kept if it closes a gap and opens no other. Pure."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from sentry_audit.comparing import gained, key_of, tally, told, worse
from sentry_audit.fixing import Change, Closed, Refusal
from sentry_audit.leaving import Noted
from sentry_audit.model import Status
from sentry_audit.parsing import broken
from sentry_audit.steps import Kept
from sentry_audit.tidying import tidied

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sentry_audit.comparing import Key
    from sentry_audit.fixing import Case, Fixer
    from sentry_audit.model import Finding
    from sentry_audit.planning import Audit, Ground, Scope
    from sentry_audit.tidying import Formatter

#: How far a change may be followed by others that close what it brings to light.
_MOST_COMPANIONS = 3
#: How many changes that are each refused for the same reason are tried together.
_MOST_TOGETHER = 4
_RANKS = ("safe", "review", "unproven")


class Offer(Struct, frozen=True):
    """What a fixer gives for a case, and how it is ranked."""

    key: Key
    change: Change

    @property
    def rank(self) -> int:
        """Safe changes come first."""
        return 0 if self.change.safety == "safe" else 1

    @property
    def closed(self) -> Closed:
        """The gap, as a plan names it."""
        return Closed(self.key[0], self.key[1])


#: Changes as far as they are tried: what belongs together, the edits with it, and the audit of those.
_Trial: TypeAlias = "tuple[list[Offer], dict[str, str | None], Audit]"


class Trials:
    """What was kept so far, as ``edits`` and as the audit of the tree with them (``now``), and what was not, and why."""

    def __init__(self, ground: Ground, known: Mapping[str, Fixer], scope: Scope) -> None:
        self.ground = ground
        self.known = known
        self.scope = scope
        self.edits: dict[str, str | None] = {}
        self.now = ground.audit({})
        self.kept: list[Kept] = []
        self.noted = Noted({key_of(case.finding) for case in self.now.cases})
        self.tries: Counter[Key] = Counter()
        self.failed: set[Offer] = set()
        self.unproven: dict[Key, Change] = {}
        self.rank = 0
        #: The checks that the change of a gap would open, alone.
        self._opened: dict[Key, tuple[str, ...]] = {}
        self._joined: set[frozenset[Offer]] = set()

    def attempt(self, batch: Sequence[Offer], *, proven: bool = True) -> bool:
        """Audit the tree with the changes of ``batch``, which share no file; whether any was kept."""
        batch = [item for item in batch if self._sound(item, self.edits)]
        if not batch:
            return False
        trial = _with(self.edits, batch)
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
            kept = (untouched and self._open(item) and self.attempt([item])) or kept
        return kept

    def _alone(self, offer: Offer, trial: dict[str, str | None], after: Audit, *, proven: bool) -> bool:
        together, trial, after = self._accompanied([offer], trial, after)
        spoilt = self._spoilt([offer], after)
        gone = gained(self.now.findings, after.findings)
        status = tally(after.findings).get((offer.key[0], offer.key[1]), Counter())
        if spoilt:
            self._opened[offer.key] = tuple(dict.fromkeys(item.check for item in spoilt))
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

    def _spoilt(self, offers: Sequence[Offer], after: Audit) -> list[Finding]:
        revealing = any(item.key[0] in self.scope.revealing for item in offers)
        return worse(self.now.findings, after.findings, self.scope.cloud_checks, revealing=revealing)

    def _accompanied(self, offers: Sequence[Offer], trial: dict[str, str | None], after: Audit) -> _Trial:
        """``offers`` with what closes the gaps that they bring to light, as far as that can be followed."""
        together = list(offers)
        for _ in range(_MOST_COMPANIONS):
            spoilt = worse(self.now.findings, after.findings, self.scope.cloud_checks)
            lit = {(item.check, item.component) for item in spoilt} | {(item.key[0], item.key[1]) for item in offers}
            more = self._companions(lit, trial, after, {item.key for item in together})
            if not more:
                break
            together += more
            trial = _with(trial, more)
            after = self.ground.audit(trial)
        return together, trial, after

    # --- changes that only stand together -----------------------------------------------------------

    def jointly(self, offers: Sequence[Offer]) -> bool:
        """Whether changes were kept that would each, alone, open the same check: each brings what the other lacks."""
        groups: dict[str, list[Offer]] = {}
        for item in offers:
            for check in self._opened.get(item.key, ()):
                groups.setdefault(check, []).append(item)
        for group in groups.values():
            several = group[:_MOST_TOGETHER]
            for some in (several, *combinations(several, 2)):
                if len(some) > 1 and frozenset(some) not in self._joined:
                    self._joined.add(frozenset(some))
                    if self._joint(some):
                        return True
        return False

    def _joint(self, offers: Sequence[Offer]) -> bool:
        """Keep ``offers`` and what goes with them, if together they close their gaps and open nothing."""
        first = apart(item for item in offers if self._sound(item, self.edits))
        trial = _with(self.edits, first)
        after = self.ground.audit(trial)
        for item in offers:
            if item in first:
                continue
            # It edits a file that another one did, too: its fixer is asked again for what is there now.
            again = self._again(item, trial, after)
            if again is None:
                return False
            first.append(again)
            trial = _with(trial, [again])
            after = self.ground.audit(trial)
        together, trial, after = self._accompanied(first, trial, after)
        gone = gained(self.now.findings, after.findings)
        wanted = Counter(item.closed for item in first if not item.change.operations)
        if wanted - gone or self._spoilt(first, after):
            return False
        self._keep(together, [*(item.closed for item in first), *gone])
        self.edits, self.now = trial, after
        return True

    def _again(self, offer: Offer, trial: Mapping[str, str | None], after: Audit) -> Offer | None:
        case = next((case for case in after.cases if key_of(case.finding) == offer.key), None)
        answer = asked(self.known[offer.key[0]], case) if case is not None else None
        if not isinstance(answer, Change) or not answer.edits:
            return None
        again = Offer(offer.key, answer)
        return again if self._sound(again, trial) else None

    # --- what goes with a change, and whether it stands ------------------------------------------------

    def _companions(
        self, lit: set[tuple[str, str]], trial: Mapping[str, str | None], after: Audit, known: set[Key]
    ) -> list[Offer]:
        """Changes that close what a change brings to light: an init is there now, and lacks an option.

        Also the next part of a gap that takes several: the plugin is there now, and its build lacks the token.
        """
        known = known | {key_of(case.finding) for case in self.now.cases}
        found: list[Offer] = []
        for case in after.cases:
            fixer = self.known.get(case.finding.check)
            key = key_of(case.finding)
            if fixer is None or key in known or (case.finding.check, case.finding.component) not in lit:
                continue
            answer = asked(fixer, case)
            if isinstance(answer, Change) and answer.edits:
                offer = Offer(key, answer)
                if self._sound(offer, trial):
                    found.append(offer)
        return apart(found)

    def _sound(self, offer: Offer, edits: Mapping[str, str | None]) -> bool:
        """Whether its files may be written and still parse; it is dropped if not."""
        for edit in offer.change.edits:
            before = edits[edit.path] if edit.path in edits else self.ground.text(edit.path)
            if edit.path not in edits and (reason := self.ground.refusal(edit)):
                return self._drop(offer, f"{edit.path} is not edited: {reason}")
            if wrong := broken(edit.path, before, edit.after):
                return self._drop(offer, f"{edit.path} would not parse any more: {wrong}")
        return True

    def _drop(self, offer: Offer, reason: str) -> bool:
        self.failed.add(offer)
        self.tries[offer.key] += 1
        self.noted.dropped[offer.key] = f"{_ours(offer.change.summary)}: {reason}"
        return False

    def _keep(self, together: Sequence[Offer], closes: Sequence[Closed], *, proven: bool = True) -> None:
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
            self.noted.dropped.pop(item.key, None)
            if item.change.operations:
                self.noted.halves[item.key] = item.change

    def tidy(self, formatter: Formatter) -> tuple[str, ...]:
        """Give what was kept the project's own format, where that is audited no worse; notes on what is left as it is."""
        done = tidied(self.kept, self.ground.text, formatter, self._worse_with)
        edits = {edit.path: edit.after for item in done.kept for edit in item.edits}
        if edits != self.edits:
            self.kept, self.edits, self.now = done.kept, edits, self.ground.audit(edits)
        return done.notes

    def _worse_with(self, edits: Mapping[str, str | None]) -> bool:
        return bool(worse(self.now.findings, self.ground.audit(edits).findings))

    def text(self, path: str) -> str | None:
        """A file with what was kept."""
        return self.edits[path] if path in self.edits else self.ground.text(path)

    def _open(self, offer: Offer) -> bool:
        return any(key_of(case.finding) == offer.key for case in self.now.cases)


def apart(offers: Iterable[Offer]) -> list[Offer]:
    """As many as share no file, the first ones first."""
    taken: set[str] = set()
    found = []
    for item in offers:
        paths = {edit.path for edit in item.change.edits}
        if not paths & taken:
            taken |= paths
            found.append(item)
    return found


def asked(fixer: Fixer, case: Case) -> Change | Refusal:
    """What a fixer answers; one that fails refuses."""
    try:
        return fixer(case)
    except Exception as error:  # noqa: BLE001 - one fixer that fails is told, and the others go on
        return Refusal(reason=f"its fix failed: {type(error).__name__}: {error}")


def _with(edits: Mapping[str, str | None], offers: Iterable[Offer]) -> dict[str, str | None]:
    return dict(edits) | {edit.path: edit.after for item in offers for edit in item.change.edits}


def _ours(summary: str) -> str:
    """A summary in the future tense as the name of what was tried."""
    return summary.removeprefix("will ")
