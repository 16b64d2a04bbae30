"""What the server of a front end did → the same proofs as its pages', and both as one. Pure.

``sentry_audit.verifying.serving`` starts and asks it; here is judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit.browsed import labelled, released
from sentry_audit.facts import Proof
from sentry_audit.proofs import lasting, leaking
from sentry_audit.wire import discarded, is_continued, mine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentry_audit.seen import Probe, Record, Stop
    from sentry_audit.wire import Sent

#: From this major version on Next.js tells its instrumentation of errors (onRequestError).
_TELLS = 15
_NAMES = ("init", "error", "handled-error", "environment", "release", "trace", "no-pii", "shutdown")
_NOTHING = "no event arrived: see proof-error"


class Served(Struct, frozen=True, kw_only=True):
    """All that was seen of one server.

    ``failure`` says why it did not start, and ``output`` are its last lines; ``client`` is what the SDK in it says of itself;
    ``rendered``: something is rendered at each request; ``dsn`` says in words where init's DSN was to come from;
    ``complete``: all that its deployment passes is known.
    """

    failure: str = ""
    remedy: str = ""
    output: tuple[str, ...] = ()
    client: Mapping[str, Any] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    probes: tuple[Probe, ...] = ()
    sent: tuple[Sent, ...] = ()
    stop: Stop | None = None
    canaries: Mapping[str, str] = field(default_factory=dict)
    rendered: bool = True
    major: int = 0
    dsn: str = ""
    complete: bool = True
    given: tuple[str, ...] = ()

    def of(self, kind: str) -> list[Record]:
        """The records of this kind, in order."""
        return [item for item in self.records if item.get("kind") == kind]


def judge(seen: Served, environment: str) -> dict[str, Proof]:
    """One proof by each name that a server of pages has."""
    return {item.name: item for item in _proofs(seen, environment)}


def together(page: Proof, server: Proof | None) -> Proof:
    """One proof of a page's and its server's: a gap if either shows one, unknown if either is, made if both are."""
    if server is None or server.needless:
        return page
    if page.needless and not server.needless:
        return replace(_named(server), component=page.component)
    both = (page, _named(server))
    evidence = (*page.evidence, *server.evidence)
    if problems := [item for item in both if item.problem]:
        told = "; ".join(item.problem for item in problems)
        return replace(problems[0], problem=told, component=page.component, evidence=evidence, shown=False)
    if unknown := [item for item in both if item.unknown]:
        told = "; ".join(dict.fromkeys(item.unknown for item in unknown))
        return replace(unknown[0], unknown=told, component=page.component, evidence=evidence, shown=False)
    return replace(page, how="; ".join(item.how for item in both if item.how), evidence=evidence)


def _named(proof: Proof) -> Proof:
    """``proof``, in words that tell it from the page's."""
    return replace(
        proof, problem=proof.problem and f"on the server: {proof.problem}",
        unknown=proof.unknown and f"on the server: {proof.unknown}", how=proof.how and f"server: {proof.how}",
    )  # fmt: skip


def _proofs(seen: Served, environment: str) -> list[Proof]:
    if not seen.failure and not seen.rendered:
        return [Proof(name=name, needless="its server renders nothing") for name in _NAMES]
    first = _init(seen)
    if first.unknown:
        return [replace(first, name=name) for name in _NAMES]
    if first.problem:
        return [first, *(Proof(name=name, needless="nothing can arrive: see proof-init") for name in _NAMES[1:])]
    events = [item for item in seen.sent if item.type == "event"]
    told = events or [item for item in seen.sent if item.type == "transaction"]
    return [
        first,
        _error(seen, events),
        _handled(seen, events),
        labelled(told, environment, "the server's events", "environment"),
        released(told),
        _trace(seen, told),
        leaking(seen.sent, seen.canaries, "the application", "headers, cookies, query") if told else _none("no-pii"),
        lasting(seen.stop, "Next.js"),
    ]


def _none(name: str) -> Proof:
    return Proof(name=name, needless=_NOTHING)


def _init(seen: Served) -> Proof:
    def gap(reason: str, text: str) -> Proof:
        return Proof(name="init", problem=text, reason=reason)

    if seen.failure:
        hint = seen.remedy or ("its last lines:\n" + "\n".join(seen.output) if seen.output else "")
        blocked = sorted({str(item.get("host")) for item in seen.of("blocked")})
        told = f"; verify lets it reach nothing outside this machine: {', '.join(blocked[:5])}" if blocked else ""
        return Proof(
            name="init", unknown=f"it does not start here: {seen.failure}{told}", reason="not-booted", hint=hint
        )
    client = seen.client
    if not client.get("client"):
        if any(item.get("register") for item in seen.of("instrumentation")):
            return gap("no-init", "init is never called, though it has instrumentation with register()")
        return gap("no-init", "init is never called: it has no instrumentation file whose register() loads it")
    if client.get("enabled") is False:
        return gap("disabled", "init has enabled: false")
    if client.get("dsn") and client.get("transport"):
        version = f"SDK {client['version']}" if client.get("version") else "SDK"
        told = "; ".join(seen.given)
        return Proof(name="init", shown=True, how=f"{version} ({told})" if told else version)
    if any(client.get("inits") or ()):
        return gap("second-init", "a later init without a DSN replaces the first")
    if client.get("given"):
        return gap("bad-dsn", "init got a DSN that the SDK cannot read")
    text = "init got no DSN" + (f": {seen.dsn}" if seen.dsn else "")
    if not seen.complete:
        more = "all that is passed was not found in the repository, so it may be otherwise there (--env-file)"
        return Proof(name="init", unknown=f"{text}; {more}", reason="no-dsn")
    return gap("no-dsn", text)


def _error(seen: Served, events: Sequence[Sent]) -> Proof:
    name = "error"
    probes = [item for item in seen.probes if item.name == "error"]
    raised = {str(item.get("text")) for item in seen.of("raised")}
    made = [item for item in probes if any(item.id in text for text in raised)]
    lost = [item for item in made if not _of(item, events)]
    if lost and 0 < seen.major < _TELLS:
        own = next((item for item in seen.probes if item.name == "own" and _of(item, events)), None)
        if own is not None:
            return Proof(name=name, shown=True, how=own.what)
        text = f"Next.js {seen.major} hands errors to what was compiled around each page, which verify cannot get into"
        return Proof(name=name, unknown=text, reason="no-harness", hint="onRequestError is there from Next.js 15 on")
    if lost:
        more = f" (and {len(lost) - 1} more)" if lost[1:] else ""
        reason, why = _lost(seen)
        return Proof(name=name, problem=f"{lost[0].what}{more}: {why}", reason=reason, how="harness")
    if not made:
        told = "nothing of it is rendered without a parameter"
        if probes:
            told = probes[0].trouble or f"it answered {probes[0].status} before it came to a page or route"
        return Proof(
            name=name, unknown=told, reason="refused", hint="sign in: sentry-audit verify --header 'Cookie: …'"
        )
    return Proof(name=name, shown=True, how=" and ".join(item.what for item in made))


def _of(probe: Probe, events: Sequence[Sent]) -> list[Sent]:
    return [item for item in events if mine(item, probe)]


def _lost(seen: Served) -> tuple[str, str]:
    """(a word for why an error did not arrive, why in a sentence)."""
    outcomes = {**discarded(seen.sent), **(seen.client.get("outcomes") or {})}
    for outcome, reason, why in (
        ("before_send", "before-send-dropped", "beforeSend dropped it"),
        ("sample_rate", "sampled-out", f"sampling left it out: sampleRate is {seen.client.get('sampleRate')}"),
        ("event_processor", "dropped", "an event processor dropped it (ignoreErrors, …)"),
        ("network_error", "not-delivered", "it was sent, and nothing took it"),
    ):
        if outcomes.get(f"{outcome}:error"):
            return reason, why
    told = seen.of("instrumentation")
    if seen.major >= _TELLS and not any(item.get("onRequestError") for item in told):
        why = "Next.js tells nobody of it: instrumentation exports no onRequestError (= Sentry.captureRequestError)"
        return "no-integration", why
    return "not-captured", "the SDK is up, and did not hear of it"


def _handled(seen: Served, events: Sequence[Sent]) -> Proof:
    name = "handled-error"
    own = [item for item in seen.probes if item.name == "own"]
    if not own:
        return Proof(name=name, needless="none of its own pages and routes answers with a status of 5xx")
    lost = [item for item in own if not _of(item, events)]
    if not lost:
        return Proof(name=name, shown=True, how=", ".join(item.what for item in own))
    more = f" (and {len(lost) - 1} more)" if lost[1:] else ""
    told = f"{lost[0].what} answered {lost[0].status}{more}, and nothing arrived of it"
    return Proof(name=name, problem=told, reason="not-captured", how="route")


def _trace(seen: Served, sent: Sequence[Sent]) -> Proof:
    pairs = [(item, probe) for probe in seen.probes for item in sent if mine(item, probe)]
    if not pairs:
        return _none("trace")
    if any(is_continued(*pair) for pair in pairs):
        return Proof(name="trace", shown=True, how="a request's trace is gone on with")
    problem = f"the trace that a request brings is not gone on with: it said {pairs[0][1].trace}"
    return Proof(name="trace", problem=problem, reason="trace-not-continued")
