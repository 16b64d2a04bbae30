"""What a built front end did in a browser → the same proofs as a booted application's. Pure.

``sentry_audit.verifying.browsing`` opens the page; here is judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from sentry_audit.deployment.environments import canonical
from sentry_audit.facts import Proof
from sentry_audit.model import Evidence
from sentry_audit.proofs import NAMES, leaking
from sentry_audit.wire import discarded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentry_audit.bundled import Bundle
    from sentry_audit.wire import Sent

_NOTHING = "no event arrived: see proof-error"
#: What only a server has.
_ELSEWHERE = {
    "handled-error": "error boundaries are judged by sentry-audit check",
    "user": "nobody signs in here",
    "request-id": "it takes no requests",
    "database-span": "a browser has no database",
    "llm-span": "a browser asks no model",
    "websocket": "it serves no WebSocket",
    "background": "a browser has no background tasks of a server",
    "shutdown": "a page has no shutdown",
    "locked": "no sentry-audit.lock is compared with (--locked)",
}


#: What a page's own origin is called: its address is another each time.
OWN = "the page's own origin"


class Call(Struct, frozen=True):
    """A request of the page, and whether it carried the trace (``trace``: sentry-trace, ``baggage``).

    ``known``: it is to an API that the front end's code names; ``asked``: it was let out by the page.
    """

    url: str
    trace: bool = False
    baggage: bool = False
    asked: bool = True
    known: bool = False


class Browsed(Struct, frozen=True, kw_only=True):
    """All that was seen of one page.

    ``failure`` says why it was not opened; ``client`` is what the SDK in the page says of itself; ``outcomes`` what it
    dropped, by reason; ``violations`` what the page's own policy kept from being loaded or sent; ``blocked`` the hosts outside
    this machine that it asked for, all in vain; ``errors`` its own, before it was made to fail.
    """

    failure: str = ""
    remedy: str = ""
    address: str = ""
    client: Mapping[str, Any] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    sent: tuple[Sent, ...] = ()
    marker: str = ""
    violations: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    canaries: Mapping[str, str] = field(default_factory=dict)


class Known(Struct, frozen=True, kw_only=True):
    """What the audit says of the front end's code: why a build has no DSN or no init, and what ``condition`` init has."""

    no_dsn: str = ""
    no_init: str = ""
    condition: str = ""


def judge(bundle: Bundle, seen: Browsed, component: str, environment: str, known: Known | None = None) -> list[Proof]:
    """One proof of each name; in the order of the catalogue. ``known`` helps to say why."""
    made = _proofs(bundle, seen, environment, known or Known())
    rest = {name: Proof(name=name, needless=why) for name, why in _ELSEWHERE.items()}
    return [_of(component, made.get(name) or rest[name]) for name in NAMES]


def _of(component: str, proof: Proof) -> Proof:
    from msgspec.structs import replace

    return replace(proof, component=component)


def _proofs(bundle: Bundle, seen: Browsed, environment: str, known: Known) -> dict[str, Proof]:
    first = _init(bundle, seen, known)
    names = ("error", "environment", "release", "trace", "no-pii")
    if first.problem:
        none = {name: Proof(name=name, needless="nothing can arrive: see proof-init") for name in names}
        return {"init": first, **none}
    if first.unknown:
        return {
            "init": first,
            **{name: Proof(name=name, unknown=first.unknown, reason=first.reason, hint=first.hint) for name in names},
        }
    events = [item for item in seen.sent if item.type == "event" and seen.marker in item.text]
    return {
        "init": first,
        "error": _error(seen, events),
        "environment": labelled(events, environment, seen.address, "browser"),
        "release": released(events, "browser", bundle.releases),
        "trace": _trace(seen),
        "no-pii": _no_pii(events, seen),
    }


def _init(bundle: Bundle, seen: Browsed, known: Known) -> Proof:
    def gap(reason: str, text: str, *evidence: Evidence) -> Proof:
        return Proof(name="init", problem=text, reason=reason, evidence=evidence)

    if not bundle.scripts:
        return Proof(name="init", unknown="no script is in the folder: is it what the build writes?", reason="no-build")
    if not bundle.sdk:
        return gap("no-sdk", f"none of the {bundle.scripts} scripts that were built has the SDK in it")
    broken = next(((path, value) for path, value in bundle.dsns if not value.valid), None)
    if broken is not None:
        path, value = broken
        return gap(
            "bad-dsn", f"the DSN that was built in cannot be used: {value.problem}", Evidence(path, saw=value.shown)
        )
    if seen.failure:
        return Proof(name="init", unknown=seen.failure, reason="not-opened", hint=seen.remedy)
    client = seen.client
    why = f" ({known.no_dsn})" if known.no_dsn else ""
    places = tuple(Evidence(path, saw=value.shown) for path, value in bundle.dsns[:3])
    if not client.get("client"):
        if bundle.dsns:
            condition = f": {known.condition}" if known.condition else ""
            text = f"a DSN was built in, and init is never called: what stands in front of it does not hold{condition}"
            return gap("disabled", text, *places)
        if known.no_init:
            return gap("no-init", f"init is never called: {known.no_init}")
        nothing = f"the build was given none{why}" if why else "the build was given none, or nothing in it calls init"
        return gap("no-dsn", f"init is never called, and no DSN was built in: {nothing}")
    if client.get("dsn") and client.get("transport") and client.get("enabled") is not False:
        version = f" {client['version']}" if client.get("version") else ""
        return Proof(name="init", shown=True, how=f"browser, SDK{version}", evidence=places)
    if client.get("enabled") is False:
        return gap("disabled", "init has enabled: false in what was built", *places)
    if any(client.get("inits") or ()):
        return gap("second-init", "a later init without a DSN replaces the first", *places)
    text = "init got no DSN" + ("" if bundle.dsns else f": the build was given none{why}, and it is compiled in")
    return gap("no-dsn", text, *places)


def _error(seen: Browsed, events: Sequence[Sent]) -> Proof:
    if events:
        return Proof(name="error", shown=True, how="an error that nothing expects, thrown in the page")
    told = "an error that was thrown in the page did not arrive"

    def gap(reason: str, why: str) -> Proof:
        return Proof(name="error", problem=f"{told}: {why}", reason=reason, how="browser")

    outcomes = {**discarded(seen.sent), **seen.outcomes}
    for outcome, reason, why in (
        ("before_send", "before-send-dropped", "beforeSend dropped it"),
        ("sample_rate", "sampled-out", f"sampling left it out: sampleRate is {seen.client.get('sampleRate')}"),
        (
            "event_processor",
            "dropped",
            "an event processor of the SDK or of the page dropped it (ignoreErrors, allowUrls, …)",
        ),
        ("network_error", "csp" if seen.violations else "not-delivered", _undelivered(seen)),
    ):
        if f"{outcome}:error" in outcomes:
            return gap(reason, why)
    if seen.violations:
        return gap("csp", _undelivered(seen))
    if "GlobalHandlers" not in seen.client.get("integrations", ()):
        return gap("no-integration", "the integration that hears of unhandled errors (globalHandlers) is off")
    return gap("not-captured", "the SDK is up, and did not hear of it")


def _undelivered(seen: Browsed) -> str:
    if seen.violations:
        return f"the page's Content Security Policy does not let it out: {seen.violations[0]}"
    return "it was sent, and nothing took it"


def labelled(events: Sequence[Sent], wanted: str, place: str, how: str) -> Proof:
    """Whether the first of ``events``, which came of ``place``, says that it is of the environment ``wanted``."""
    if not events:
        return Proof(name="environment", needless=_NOTHING)
    said = str(events[0].data.get("environment") or "")
    where = (Evidence(resource=place, saw=f"environment={said!r}"),)
    if canonical(said) == canonical(wanted):
        return Proof(name="environment", shown=True, how=how, evidence=where)
    problem = f"events of {wanted} are labelled {said or 'with nothing'}"
    return Proof(name="environment", problem=problem, reason="wrong-environment", evidence=where)


def released(events: Sequence[Sent], how: str = "", injected: Sequence[str] = ()) -> Proof:
    """Whether the first of ``events`` has a release; ``injected`` are those that stand in the bundle."""
    if not events:
        return Proof(name="release", needless=_NOTHING)
    said = str(events[0].data.get("release") or "")
    if said:
        return Proof(name="release", shown=True, how=f"{how}: {said}" if how else said)
    told = f", though {injected[0]} was put into the bundle" if injected else ""
    return Proof(name="release", problem=f"events carry no release{told}", reason="no-release")


def _trace(seen: Browsed) -> Proof:
    if not seen.calls:
        return Proof(name="trace", needless="no address of an API is known that its requests go to")
    known = [call for call in seen.calls if call.known]
    if not known:
        carrying = next((call for call in seen.calls if call.trace and call.baggage), None)
        if carrying is not None:
            return Proof(name="trace", shown=True, how="a request of the page", evidence=(_place(carrying),))
        hosts = ", ".join(call.url for call in seen.calls[:3])
        unknown = f"requests to {hosts} carry no trace, and whether that is an API of yours is not known"
        return Proof(name="trace", unknown=unknown, reason="no-api")
    failed = [call for call in known if not call.asked]
    if failed:
        why = f"; its policy: {seen.violations[0]}" if seen.violations else ""
        return Proof(name="trace", unknown=f"the page could not ask {failed[0].url}{why}", reason="refused")
    without = [call for call in known if not (call.trace and call.baggage)]
    where = tuple(map(_place, known))
    if not without:
        return Proof(name="trace", shown=True, how="a request of the page", evidence=where)
    call = without[0]
    traced = "BrowserTracing" in seen.client.get("integrations", ())
    why = "tracePropagationTargets does not name it" if traced else "browserTracingIntegration is not there"
    reason = "no-target" if traced else "no-tracing"
    return Proof(
        name="trace", problem=f"a request to {call.url} does not carry the trace: {why}", reason=reason, evidence=where
    )


def _place(call: Call) -> Evidence:
    found = [name for name, there in (("sentry-trace", call.trace), ("baggage", call.baggage)) if there]
    return Evidence(resource=call.url, saw=" and ".join(found) or "neither sentry-trace nor baggage")


def _no_pii(events: Sequence[Sent], seen: Browsed) -> Proof:
    if not events:
        return Proof(name="no-pii", needless=_NOTHING)
    return leaking(seen.sent, seen.canaries, "the page", f"browser: {', '.join(seen.canaries)}")
