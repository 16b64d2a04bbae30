"""Why nothing arrived: told from what the hook wrote down in the application's own process. Pure.

The ways in which an SDK stays silent were measured on real ones, 1.38 to 2.75.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from sentry_audit.seen import Expected, Observed, Probe, Record


_OPEN = "; all that is passed was not found in the repository, so it may be otherwise there (--env-file)"


class Why(Struct, frozen=True):
    """Why nothing arrived: ``reason`` is a word for machines; ``blind``: it is not known, so nothing is faulted."""

    reason: str
    text: str
    blind: bool = False
    evidence: tuple[Evidence, ...] = ()


def place_of(record: Record, saw: str = "") -> tuple[Evidence, ...]:
    """Where a record says that the application's code stands."""
    if not record.get("file"):
        return ()
    return (Evidence(record["file"], record.get("line") or None, None, None, saw),)


def dead(seen: Observed, expected: Expected) -> Why | None:
    """Why nothing can arrive at all; None if the SDK is up and has a transport."""
    if seen.failure:
        blocked = sorted({str(item.get("host")) for item in seen.of("blocked")})
        told = f"; verify lets it reach nothing outside this machine: {', '.join(blocked[:5])}" if blocked else ""
        if expected.absent and seen.of("absent"):
            told += f"; its import of sentry_sdk finds nothing, as in the image: {expected.absent}"
        return Why("not-booted", f"it does not boot here: {seen.failure}{told}", blind=True)
    if not seen.of("hello"):
        return Why("no-hook", "it runs in an interpreter that cannot be watched (python -I, -E or -S?)", blind=True)
    if not seen.of("sdk"):
        return _no_sdk(expected)
    return _no_init(seen, expected)


def _no_sdk(expected: Expected) -> Why:
    if expected.absent:
        return Why("no-sdk", f"sentry-sdk is not installed: {expected.absent}")
    if not expected.installed:
        reason = "sentry-sdk is declared, but the interpreter it was booted with has none (give one: --python PATH)"
        return Why("interpreter", reason, blind=True)
    return Why("no-init", "nothing that it loads imports sentry_sdk: there is no init")


def _no_init(seen: Observed, expected: Expected) -> Why | None:
    inits, raised = seen.of("init"), seen.of("init-raised")
    if not inits and raised:
        return _raised(raised[-1])
    if not inits:
        if expected.condition:
            text = f"init is never called: this does not hold: {expected.condition}"
            if not expected.complete:
                return Why("disabled", text + _OPEN, blind=True, evidence=expected.conditioned)
            return Why("disabled", text, evidence=expected.conditioned)
        return Why("no-init", "sentry_sdk is imported, and init is never called")
    last = inits[-1]
    where = place_of(last, "init without a DSN")
    if last.get("transport") and last.get("had_dsn"):
        if last.get("not_deployed"):
            text = f"init got its DSN from {last['not_deployed']}, which git ignores: what is deployed has no such file"
            return Why("local-file", text, evidence=place_of(last, "init"))
        return None
    if last.get("had_dsn"):
        return Why("no-transport", "init got a DSN and made no transport", evidence=where)
    before = next((item for item in inits if item.get("transport") and item.get("had_dsn")), None)
    if before is not None:
        places = (*where, *place_of(before, "the first init, which has one"))
        return Why("second-init", "a second init without a DSN replaces the first", evidence=places)
    if not expected.complete and not expected.no_dsn and not expected.dead_end:
        return Why("no-dsn", "init got no DSN" + _OPEN, blind=True, evidence=where)
    told = expected.no_dsn or expected.dead_end
    return Why("no-dsn", "init got no DSN" + (f": {told}" if told else ""), evidence=where)


def _raised(record: Record) -> Why:
    error, message = record.get("error", ""), record.get("message", "")
    where = place_of(record, f"{error}: {message}"[:160])
    if error == "BadDsn":
        return Why("bad-dsn", f"init raised BadDsn: {message}; the application goes on without it", evidence=where)
    unknown = "nknown option" in message or "unexpected keyword argument" in message
    reason = "invalid-option" if error == "TypeError" and unknown else "init-raised"
    return Why(reason, f"init raised {error}: {message}; the application goes on without it", evidence=where)


def lost(probe: Probe, seen: Observed) -> Why:
    """Why no event of ``probe`` arrived, although the SDK is up."""
    records = [item for item in seen.records if item.get("probe") == probe.id]
    if not records and probe.how == "route":  # its errors carry no number of ours
        records = [item for item in probe.records if not item.get("probe")]
    for item in records:
        if item.get("kind") == "hook-dropped" and item.get("option") == "before_send":
            return Why(
                "before-send-dropped",
                f"{item['name']} (before_send) dropped the event",
                evidence=place_of(item, "before_send"),
            )
        if item.get("kind") == "hook-raised" and item.get("option") == "before_send":
            text = f"{item['name']} (before_send) raised {item['error']}: {item['message']}, so the event was dropped"
            return Why("before-send-raised", text, evidence=place_of(item, "before_send"))
    init = seen.of("init")[-1]
    where = place_of(init)
    if any(item.get("kind") == "ignored" for item in records):
        return Why("ignored", "the error is one that ignore_errors leaves out", evidence=where)
    captured = [item for item in records if item.get("kind") == "captured"]
    dropped = [item for item in records if item.get("kind") == "lost" and item.get("category") == "error"]
    if captured and not any(item.get("sent") for item in captured):
        reason = dropped[0]["reason"] if dropped else ""
        if reason == "sample_rate":
            return Why("sampled-out", f"sampling left it out: sample_rate is {init.get('sample_rate')}", evidence=where)
        return Why("dropped", f"the SDK dropped it ({reason or 'an event processor'})", evidence=where)
    if captured:
        blocked = sorted({str(item.get("host")) for item in seen.of("blocked")})
        told = f"; blocked: {', '.join(blocked[:5])}" if blocked else ""
        return Why("not-delivered", f"it was captured, and did not arrive{told}", evidence=where)
    return _uncaptured(probe, seen, init, where)


def _uncaptured(probe: Probe, seen: Observed, init: Record, where: tuple[Evidence, ...]) -> Why:
    listed = init.get("integrations") or []
    framework = seen.framework
    if seen.of("job-ended", "job-interrupted"):
        if "excepthook" not in listed:
            return Why("no-integration", "the integration that hears of it (excepthook) is off", evidence=where)
        return Why("not-captured", "nothing was captured: something else than the SDK is sys.excepthook")
    if framework and framework not in listed:
        off = (
            "default_integrations=False"
            if init.get("default_integrations") is False
            else "it is not among the integrations"
        )
        return Why(
            "no-integration", f"nothing captured it: the integration of {framework} is off ({off})", evidence=where
        )
    answered = f"the answer was {probe.status}, and " if probe.status else ""
    return Why("not-captured", f"{answered}nothing was captured: what turned it into an answer does not tell Sentry")
