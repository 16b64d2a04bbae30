"""Whether traces go on from the front ends of a repository to its back end: what one sends, what the other lets through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.deployment.environments import canonical
from sentry_audit.deployment.matching import words
from sentry_audit.derive.addresses import Address, located
from sentry_audit.facts import TracePropagation, Tracing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.matching import Matching
    from sentry_audit.facts import Component, Fact
    from sentry_audit.javascript.propagation import Sender
    from sentry_audit.model import Evidence
    from sentry_audit.python.cors import Cors

_FIX = "allow sentry-trace and baggage"


class Receiver(Struct, frozen=True):
    """One back end: whether it is ``initialised``, its init ``traces`` (None: not followed), and its ``cors``."""

    component: Component
    initialised: bool
    traces: bool | None
    problem: str
    cors: tuple[Cors, ...]
    evidence: tuple[Evidence, ...]

    @property
    def name(self) -> str:
        """The component's name."""
        return self.component.name

    def open_to_others(self, environment: str) -> bool:
        """Whether browsers of other origins are let in, where it is deployed."""
        local = canonical(environment) == "development"
        return any(local or not item.local for item in self.cors)


def receiver(component: Component, facts: Sequence[Fact], found: Sequence[Cors]) -> Receiver:
    """What is known of a back end."""
    mine = [fact for fact in facts if isinstance(fact, Tracing) and fact.area == "tracing"]
    enabled = any(fact.enabled for fact in mine)
    unknown = any(fact.unknown for fact in mine)
    problem = next((fact.problem for fact in mine if fact.problem), "")
    traces = True if enabled else None if unknown else False
    evidence = mine[0].evidence if mine else ()
    return Receiver(component, bool(mine), traces, problem, tuple(found), evidence)


def propagation(
    senders: Sequence[tuple[Component, Sender]],
    receivers: Sequence[Receiver],
    facts: Sequence[Fact],
    environment: str,
    matching: Matching,
) -> list[TracePropagation]:
    """What is true of each pair, said of the component where it would be changed."""
    found: list[TracePropagation] = []
    for component, sender in senders:
        if not any(item.initialised and (item.traces is not False or _matters(sender)) for item in receivers):
            continue
        addresses: list[Address] = []
        if _matters(sender):
            addresses = [located(base, component, facts, matching, environment) for base in sender.bases]
        asked = _asked(sender, receivers, addresses, environment)
        if isinstance(asked, str):
            if sender.traces:
                found.append(_fact(component.name, "targets", "", unknown=asked, evidence=(sender.evidence,)))
        elif asked is not None and asked.initialised:
            found += _Pair(component, sender, asked, addresses, environment).facts()
    return found


def _matters(sender: Sender) -> bool:
    """Whether it matters where requests go: they carry a trace, or could break without one."""
    return sender.traces is not False or (sender.instruments and sender.targets.elsewhere)


def _asked(
    sender: Sender, receivers: Sequence[Receiver], addresses: Sequence[Address], environment: str
) -> Receiver | str | None:
    """The back end that a front end asks: the only one, or the only one that fits; else why that is not known."""
    if len(receivers) < 2:
        return receivers[0] if receivers else None
    asked = words(" ".join(text for item in addresses for text in (item.variable, *item.urls)).replace("_", " "))
    best = [item for item in receivers if words(item.name) & asked - {"api", "url", "http", "https"}]
    if len(best) != 1:
        best = [item for item in receivers if item.open_to_others(environment)]
    if len(best) == 1:
        return best[0]
    names = ", ".join(item.name for item in receivers)
    return f"which of {names} {sender.name} asks was not followed"


class _Pair(Struct):
    """A front end and the back end that it asks."""

    component: Component
    sender: Sender
    receiver: Receiver
    addresses: Sequence[Address]
    environment: str

    def facts(self) -> list[TracePropagation]:
        """The gaps of the ends themselves first; what lies between them if both trace, or if it breaks requests."""
        sender, receiver = self.sender, self.receiver
        between = self._between() if _matters(sender) else []
        if sender.traces and receiver.traces:
            return between
        broken = [item for item in between if item.side == "cors" and not item.works and self._sends() is True]
        if None in {sender.traces, receiver.traces}:
            return [*self._unsure(), *broken]
        if sender.traces:
            problem = f"{sender.name} samples traces, and {receiver.name} does not: {receiver.problem}"
            return [self._back("tracing", problem=problem, evidence=receiver.evidence), *broken]
        if receiver.traces:
            problem = f"{receiver.name} samples traces, and the browser does not: {sender.problem}"
            return [self._front("tracing", problem=problem, evidence=(sender.evidence,)), *broken]
        return broken

    def _unsure(self) -> list[TracePropagation]:
        if self.sender.traces is None:
            reason = "whether its init samples traces was not followed: options are spread into it"
            return [self._front("tracing", unknown=reason, evidence=(self.sender.evidence,))]
        if self.sender.traces:
            reason = f"whether {self.receiver.name} samples traces was not followed"
            return [self._back("tracing", unknown=reason, evidence=self.receiver.evidence)]
        return []

    # --- between them --------------------------------------------------------------------------------

    def _between(self) -> list[TracePropagation]:
        others = [item for item in self.addresses if item.own is False]
        maybe = [item for item in self.addresses if item.own is None]
        if others and (self.receiver.open_to_others(self.environment) or self._sends() is True):
            return [self._targets(others), *self._cors(others)]
        if maybe and self._sends() is True:
            return [self._targets(maybe), *self._cors(maybe)]
        if others:
            item = others[0]
            reason = (
                f"{item.shown} may be another origin, but {self.receiver.name} configures no CORS for one "
                f"in {self.environment}: whether the default, the page's own origin, suffices is not known"
            )
            return [self._front("targets", unknown=reason, address=item.shown, evidence=item.evidence)]
        if maybe:
            reason = f"where requests go was not followed: {maybe[0].unknown or maybe[0].shown}"
            return [self._front("targets", unknown=reason, evidence=maybe[0].evidence)]
        if self.addresses:
            return [self._own(self.addresses[0].shown, self.addresses[0].evidence)]
        return self._without_client()

    def _without_client(self) -> list[TracePropagation]:
        """No client with a base: requests to the page's own origin, or to what only the targets tell."""
        sender = self.sender
        if sender.targets.elsewhere:
            return [self._front("targets", evidence=self._here()), *self._cors(())]
        if sender.relative is not None:
            return [self._own("its own origin", (sender.relative,))]
        reason = f"where {sender.name} sends its requests was not found"
        return [self._front("targets", unknown=reason, evidence=self._here())]

    def _own(self, address: str, evidence: tuple[Evidence, ...]) -> TracePropagation:
        """Requests to the page's own origin carry the trace; a server of the front end's may not hand it on."""
        reason = ""
        if self.sender.answers:
            reason = (
                f"requests go to the page's own origin, where {self.sender.answers} and others may answer: "
                "whether they pass the trace on was not followed"
            )
        return self._front("targets", unknown=reason, address=address, evidence=evidence)

    def _here(self) -> tuple[Evidence, ...]:
        return (self.sender.targets.evidence or self.sender.evidence,)

    def _sends(self) -> bool | None:
        """Whether requests to the back end carry the headers of a trace."""
        if not self.sender.instruments:
            return False
        if not self.addresses:
            return self.sender.targets.elsewhere
        others = [item for item in self.addresses if item.own is not True and (item.variable or item.urls)]
        verdicts = [self.sender.targets.cover(item.variable, item.deployed(self.environment)) for item in others]
        return True if True in verdicts else None if None in verdicts else False

    def _targets(self, others: Sequence[Address]) -> TracePropagation:
        targets = self.sender.targets
        verdicts = [(item, targets.cover(item.variable, item.deployed(self.environment))) for item in others]
        bad = next((item for item, verdict in verdicts if verdict is False), None)
        unsure = next((item for item, verdict in verdicts if verdict is None), None)
        if True in {verdict for _, verdict in verdicts} or (bad is None and unsure is None):
            covered = next(item for item, verdict in verdicts if verdict)
            return self._front("targets", address=covered.shown, evidence=(*self._here(), *covered.evidence))
        if unsure is not None:
            reason = (
                targets.unknown
                or f"whether tracePropagationTargets matches {unsure.shown} is not known: it has no value here"
            )
            return self._front(
                "targets", unknown=reason, address=unsure.shown, evidence=(*self._here(), *unsure.evidence)
            )
        assert bad is not None
        evidence = (*self._here(), *bad.evidence)
        return self._front("targets", problem=self._unmatched(bad), address=bad.shown, evidence=evidence)

    def _unmatched(self, item: Address) -> str:
        targets = self.sender.targets
        start = f"requests go to {item.shown}, another origin, "
        if targets.listed is None:
            return (
                f"{start}and tracePropagationTargets is not set: the SDK sends the trace to the page's own origin only"
            )
        if not targets.listed:
            return f"{start}and tracePropagationTargets is empty: the trace is sent nowhere"
        if any(target.is_placeholder for target in targets.listed):
            return f"{start}and tracePropagationTargets still has the address of the documentation's example"
        return f"{start}which no entry of tracePropagationTargets matches"

    def _cors(self, others: Sequence[Address]) -> list[TracePropagation]:
        used = [item for item in self.receiver.cors if canonical(self.environment) == "development" or not item.local]
        if not used:
            return []
        places = tuple(dict.fromkeys(place for item in used for place in item.evidence))
        verdicts = {item.allows for item in used}
        address = others[0].shown if others else ""
        if verdicts == {True}:
            return [self._back("cors", address=address, evidence=places)]
        if verdicts != {False}:
            reason = next((item.headers.unknown for item in used if item.headers.unknown), "")
            reason = reason or "several configurations of CORS were found, and they differ"
            return [
                self._back("cors", unknown=f"which headers CORS allows: {reason}", address=address, evidence=places)
            ]
        missing = " and ".join(dict.fromkeys(name for item in used for name in item.missing))
        problem = f"CORS does not allow {missing}: "
        if self._sends() is True:
            problem += f"{self.sender.name} sends them, so browsers refuse its requests when the preflight is answered"
        else:
            problem += f"as soon as {self.sender.name} sends the trace here, browsers refuse its requests; {_FIX} first"
        return [self._back("cors", problem=problem, address=address, evidence=places)]

    # --- facts ---------------------------------------------------------------------------------------

    def _front(
        self, side: str, *, problem: str = "", unknown: str = "", address: str = "", evidence: tuple[Evidence, ...] = ()
    ) -> TracePropagation:
        name, other = self.component.name, self.receiver.name
        return _fact(name, side, other, problem=problem, unknown=unknown, address=address, evidence=evidence)

    def _back(
        self, side: str, *, problem: str = "", unknown: str = "", address: str = "", evidence: tuple[Evidence, ...] = ()
    ) -> TracePropagation:
        name, other = self.receiver.name, self.receiver.name
        return _fact(name, side, other, problem=problem, unknown=unknown, address=address, evidence=evidence)


def _fact(
    component: str,
    side: str,
    api: str,
    *,
    problem: str = "",
    unknown: str = "",
    address: str = "",
    evidence: tuple[Evidence, ...] = (),
) -> TracePropagation:
    return TracePropagation(
        component=component, side=side, api=api, address=address, works=not problem, problem=problem, unknown=unknown,
        evidence=tuple(dict.fromkeys(evidence)),
    )  # fmt: skip
