"""What was seen of a booted application → proofs, each shown or not, and why not. Pure.

``sentry_audit.verifying`` boots and drives; here is judged.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.deployment.environments import canonical
from sentry_audit.facts import Proof
from sentry_audit.model import Evidence
from sentry_audit.silence import dead, lost, place_of
from sentry_audit.wire import has_span, is_continued, leaks, mine, new_paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentry_audit.seen import Expected, Observed, Probe, Stop
    from sentry_audit.wire import Sent

_CONSTANT = frozenset(
    {"unknown", "dev", "development", "latest", "local", "none", "undefined", "0", "0.0.0", "release"}
)
_NUMBERED = re.compile(r"sentry-audit [0-9a-f]{16}")
_REFUSED = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405})

NAMES = (
    "init", "error", "handled-error", "environment", "release", "user", "request-id", "trace", "database-span", "llm-span",
    "websocket", "background", "no-pii", "shutdown", "locked",
)  # fmt: skip


def judge(seen: Observed, expected: Expected) -> list[Proof]:
    """One proof of each name; in the order of the catalogue."""
    judge_ = _Judge(seen, expected)
    return [_placed(item, expected.component) for item in judge_.all()]


def _placed(proof: Proof, component: str) -> Proof:
    return replace(proof, component=component)


def leaking(sent: Sequence[Sent], canaries: Mapping[str, str], place: str, how: str) -> Proof:
    """Whether any of ``canaries`` left ``place``."""
    found = leaks(sent, canaries)
    if not found:
        return Proof(name="no-pii", shown=True, how=how)
    more = {name: f" and {len(paths) - 1} more" if paths[1:] else "" for name, paths in found.items()}
    listed = "; ".join(f"{name} in {paths[0]}{more[name]}" for name, paths in found.items())
    evidence = tuple(Evidence(resource=path, saw=name) for name, paths in found.items() for path in paths[:3])
    return Proof(name="no-pii", problem=f"leaves {place}: {listed}", reason="leak", evidence=evidence)


def lasting(stop: Stop | None, server: str) -> Proof:
    """Whether what was queued at SIGTERM arrived; ``server`` is what it runs under."""
    if stop is None or not stop.raised:
        return Proof(name="shutdown", needless=_NOTHING)
    if stop.arrived >= stop.raised:
        return Proof(name="shutdown", shown=True, how=f"{stop.raised} events were queued at SIGTERM")
    gone = stop.raised - stop.arrived
    end = "it did not end within 10 seconds and was killed" if stop.killed else f"it ended with {stop.code}"
    under = f" under {server}" if server else ""
    problem = f"{gone} of {stop.raised} events that were queued at SIGTERM{under} are lost: {end}"
    return Proof(name="shutdown", problem=problem, reason="lost-at-shutdown")


def compared(sent: Sequence[Sent], locked: Sequence[str] | None) -> Proof:
    """Whether nothing but the paths ``locked`` left; None where they are not compared with."""
    if locked is None:
        return Proof(name="locked", needless="no sentry-audit.lock is compared with (--locked)")
    if not sent:
        return Proof(name="locked", needless=_NOTHING)
    new = new_paths(sent, locked)
    if not new:
        return Proof(name="locked", shown=True, how="sentry-audit.lock")
    more = f" and {len(new) - 5} more" if len(new) > 5 else ""
    problem = f"what leaves the application is not in sentry-audit.lock: {', '.join(new[:5])}{more}"
    return Proof(name="locked", problem=problem, reason="new-data")


class _Judge:
    def __init__(self, seen: Observed, expected: Expected) -> None:
        self.seen = seen
        self.expected = expected
        self.dead = dead(seen, expected)
        self.events = [item for item in seen.sent if item.type == "event"]

    def all(self) -> list[Proof]:
        """Every proof; those that cannot be made say so."""
        if self.dead is not None and self.dead.blind:
            why = self.dead
            hint = "" if not self.seen.output else "its last lines:\n" + "\n".join(self.seen.output)
            return [
                Proof(name=name, unknown=why.text, reason=why.reason, evidence=why.evidence, hint=hint)
                for name in NAMES
            ]
        if self.dead is not None:
            why = self.dead
            first = Proof(name="init", problem=why.text, reason=why.reason, evidence=why.evidence)
            rest = [Proof(name=name, needless="nothing can arrive: see proof-init") for name in NAMES[1:]]
            return [first, *rest]
        return [getattr(self, "_" + name.replace("-", "_"))() for name in NAMES]

    def _init(self) -> Proof:
        last = self.seen.of("init")[-1]
        where = place_of(last, f"init of sentry-sdk {(self.seen.of('sdk') or [{}])[-1].get('version', '')}".strip())
        told = "; ".join(self.expected.given)
        return Proof(name="init", shown=True, how="boot" + (f" ({told})" if told else ""), evidence=where)

    # --- errors -----------------------------------------------------------------------------------

    def _arrival(self, proof: str, probes: Sequence[Probe], none: str) -> Proof:
        """Whether an event of each of ``probes`` arrived; ``none`` says why there are no such probes."""
        if not probes:
            return Proof(name=proof, needless=none)
        asked = [item for item in probes if not self._refused(item)]
        missing = [item for item in asked if not self._events_of(item)]
        if self._strays():  # an error of a route of its own is known by its trace alone, and traces do not go on here
            missing = [item for item in missing if item.how != "route"]
        if missing:
            item = missing[0]
            why = lost(item, self.seen)
            places = (*item.evidence, *why.evidence)
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            return Proof(
                name=proof, problem=f"{item.what}{more}: {why.text}", reason=why.reason, how=item.how, evidence=places
            )
        if not asked:
            return Proof(name=proof, unknown=self._refused(probes[0]), reason="refused", hint=_HEADER)
        how = ", ".join(dict.fromkeys(item.how for item in asked))
        return Proof(name=proof, shown=True, how=how, evidence=tuple(e for item in asked for e in item.evidence)[:3])

    def _refused(self, probe: Probe) -> str:
        if probe.trouble:
            return f"{probe.what}: {probe.trouble}"
        if probe.how == "harness" and probe.status in _REFUSED and not self._events_of(probe):
            return f"{probe.what}: the application answered {probe.status} before it came to that"
        return ""

    def _strays(self) -> bool:
        """Whether events arrived that belong to nothing that was asked for."""
        rest = (item for item in self.events if not _NUMBERED.search(item.text))
        return any(not any(mine(item, probe) for probe in self.seen.probes) for item in rest)

    def _events_of(self, probe: Probe) -> list[Sent]:
        return [item for item in self.events if mine(item, probe)]

    def _named(self, *names: str) -> list[Probe]:
        return [item for item in self.seen.probes if item.name in names]

    def _error(self) -> Proof:
        probes = self._named("error")
        if not probes:
            why = self.seen.closed or "verify has no way to raise an error in it"
            return Proof(name="error", unknown=why, reason="no-harness", hint=_HEADER if "answered" in why else "")
        return self._arrival("error", probes, "")

    def _handled_error(self) -> Proof:
        probes = [item for item in self._named("handled", "http", "own") if item.status >= 500 or item.trouble]
        return self._arrival("handled-error", probes, "nothing in it answers an error with a status of 5xx")

    def _websocket(self) -> Proof:
        return self._arrival("websocket", self._named("websocket"), "it has no WebSocket")

    def _background(self) -> Proof:
        none = f"{self.seen.framework or 'it'} has no background tasks of its own"
        return self._arrival("background", self._named("background"), none)

    # --- what an event says ---------------------------------------------------------------------

    def _event(self) -> tuple[Sent, Probe] | None:
        for name in ("error", "http", "handled", "background", "own", "websocket"):
            for probe in self._named(name):
                if found := self._events_of(probe):
                    return found[0], probe
        return None

    def _environment(self) -> Proof:
        name = "environment"
        if (found := self._event()) is None:
            return Proof(name=name, needless=_NOTHING)
        said = str(found[0].data.get("environment") or "")
        where = place_of(self.seen.of("init")[-1], f"environment={said!r}")
        if canonical(said) == canonical(self.expected.environment):
            return Proof(name=name, shown=True, how=found[1].how, evidence=where)
        problem = f"events of {self.expected.environment} are labelled {said or 'with nothing'}"
        return Proof(name=name, problem=problem, reason="wrong-environment", evidence=where)

    def _release(self) -> Proof:
        if (found := self._event()) is None:
            return Proof(name="release", needless=_NOTHING)
        said = str(found[0].data.get("release") or "")
        where = place_of(self.seen.of("init")[-1], f"release={said!r}")
        if said and said.lower() not in _CONSTANT:
            return Proof(name="release", shown=True, how=found[1].how, evidence=where)
        problem = f"the release is the constant {said!r}" if said else "events carry no release"
        return Proof(name="release", problem=problem, reason="no-release", evidence=where)

    def _user(self) -> Proof:
        if (found := self._event()) is None:
            return Proof(name="user", needless=_NOTHING)
        user = found[0].data.get("user")
        if isinstance(user, dict) and any(user.get(key) for key in ("id", "username", "email")):
            return Proof(name="user", shown=True, how=found[1].how)
        if not self.expected.has_authentication and not self.expected.sets_user:
            return Proof(name="user", needless="nobody signs in to it, as far as its code tells")
        if self.expected.sets_user:
            reason = "the code sets a user, which the requests of verify did not come to: nobody is signed in"
            return Proof(name="user", unknown=reason, reason="signed-out", hint=_HEADER)
        return Proof(name="user", problem="events do not say whose they are", reason="no-user")

    def _request_id(self) -> Proof:
        if (found := self._event()) is None:
            return Proof(name="request-id", needless=_NOTHING)
        data = found[0].data
        told = {key: data.get(key) for key in ("tags", "contexts", "extra")}
        if self.seen.request_id and self.seen.request_id in repr(told):
            return Proof(name="request-id", shown=True, how=found[1].how)
        if self.expected.role != "service":
            return Proof(name="request-id", needless="it takes no requests")
        problem = "X-Request-ID of a request is in no tag and no context of its event"
        return Proof(name="request-id", problem=problem, reason="no-request-id")

    def _trace(self) -> Proof:
        if self.expected.role != "service":
            return Proof(name="trace", needless="it takes no requests")
        found = next(
            ((item, probe) for probe in self._named("error", "http", "own") for item in self._events_of(probe)), None
        )
        if found is None:
            return Proof(name="trace", needless=_NOTHING)
        if is_continued(*found):
            return Proof(name="trace", shown=True, how=found[1].how)
        seen = ((found[0].data.get("contexts") or {}).get("trace") or {}).get("trace_id", "none")
        problem = (
            f"the trace that a request brings is not gone on with: it said {found[1].trace}, its event says {seen}"
        )
        return Proof(name="trace", problem=problem, reason="trace-not-continued")

    # --- spans ------------------------------------------------------------------------------------

    def _database_span(self) -> Proof:
        return self._span(
            "database-span",
            "database",
            self.expected.databases,
            ("db",),
            "no database client that verify can drive is in use",
        )

    def _llm_span(self) -> Proof:
        return self._span(
            "llm-span",
            "llm",
            self.expected.models,
            ("gen_ai", "ai."),
            "no client of a language model that verify can drive is in use",
        )

    def _span(self, name: str, probe: str, libraries: Sequence[str], operations: tuple[str, ...], none: str) -> Proof:
        if not libraries:
            return Proof(name=name, needless=none)
        probes = self._named(probe)
        if not probes:
            return Proof(name=name, unknown="it could not be asked to", reason="no-harness")
        for item in probes:
            if item.trouble or item.status != 200:
                trouble = item.trouble or f"answered {item.status}"
                return Proof(name=name, unknown=f"{item.what}: {trouble}", reason="refused")
            if not has_span(self.seen.sent, item, operations):
                why = "the transaction came without such a span"
                if not any(mine(sent, item) for sent in self.seen.sent if sent.type in {"transaction", "span"}):
                    why = self.expected.untraced or "no transaction arrived: nothing is traced"
                return Proof(name=name, problem=f"{item.what} leaves no span: {why}", reason="no-span", how=item.how)
        return Proof(name=name, shown=True, how="harness")

    # --- what must not leave, and the end -----------------------------------------------------------

    def _no_pii(self) -> Proof:
        probe = self.seen.probe("leak")
        if probe is None and self.expected.role != "service":
            return Proof(name="no-pii", needless="it takes no requests")
        if probe is None:
            return Proof(name="no-pii", unknown="nothing could be sent to it", reason="no-harness")
        if refused := self._refused(probe):
            return Proof(name="no-pii", unknown=refused, reason="refused", hint=_HEADER)
        if not self._events_of(probe):
            return Proof(name="no-pii", needless=_NOTHING)
        return leaking(self.seen.sent, self.seen.canaries, "the application", probe.how)

    def _shutdown(self) -> Proof:
        if self.expected.role == "job":
            return Proof(name="shutdown", needless="a job ends by itself: see proof-error")
        found = lasting(self.seen.stop, self.expected.server)
        if (
            found.problem and self.expected.server == "wsgiref"
        ):  # verify's choice, where the application's own is not there
            told = f"under Python's own server {found.problem}; the server that it is deployed with is not here"
            return Proof(name="shutdown", unknown=told, reason="no-server")
        return found

    def _locked(self) -> Proof:
        return compared(self.seen.sent, self.expected.locked)


_NOTHING = "no event arrived: see proof-error"
_HEADER = "sign in: sentry-audit verify --header 'Authorization: …'"
