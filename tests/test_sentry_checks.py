"""The checks of Sentry itself: red, green and undecided, from what its API said; and what they mean for the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sentry_audit import chain, engine
from sentry_audit.app import shipped_checks
from sentry_audit.derive.sentry import known_dsns, sentry_facts, wanted
from sentry_audit.facts import Dsn, DsnArgument, FrontendDsn
from sentry_audit.model import Evidence, Link, Status
from sentry_audit.sentry_facts import SentryAlerts
from sentry_audit.sentry_project import Activity, Alert, Key, Outcome, Sentry, SentryProject, Unread, Wanted
from tests.snapshots import API, ARGUMENT, GOOD, OTHER, WEB, project, secret, snapshot, version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.cloud import Snapshot
    from sentry_audit.facts import Component, Fact
    from sentry_audit.model import ChainLink, Finding

CHECKS = [item for item in shipped_checks(examples=False) if item.area == "sentry"]
NAMES = ("sentry-key-active", "sentry-events-seen", "sentry-alert-rules")
REFUSED = Unread(code="PERMISSION_DENIED", reason="it is refused", scope="a:scope", hint="make a token")
USUAL: dict[str, Any] = {
    "host": GOOD.host,
    "id": GOOD.project,
    "organization": "shop",
    "slug": "api",
    "keys": (Key(name="Default", fingerprint=GOOD.fingerprint, active=True),),
    "environments": ("production", "staging"),
    "activity": (Activity(environment="staging", last="2026-11-02T10:00:00Z", what="error"),),
    "alerts": (Alert(name="Notify", enabled=True, acts=True),),
}


def seen(**fields: Any) -> Snapshot:
    """A snapshot in which everything is right, but for ``fields`` of the Sentry project."""
    return snapshot(sentry=Sentry(url="https://sentry.io", projects=(SentryProject(**{**USUAL, **fields}),)))


def findings(
    found: Snapshot | None,
    facts: Sequence[Fact] = (ARGUMENT,),
    component: Component = API,
    environment: str = "staging",
) -> dict[str, Finding]:
    derived = sentry_facts(component, environment, found, facts)
    judged = engine.evaluate(CHECKS, derived, [], [component], environment, required=True)
    assert len(judged) == len(CHECKS)
    return {item.check: item for item in judged}


def accepted(found: Snapshot | None) -> ChainLink:
    judged = list(findings(found).values())
    links = chain.build(API, judged, "staging", {})
    return next(item for item in links if item.link is Link.ACCEPTED)


# --- all of them ----------------------------------------------------------------------------------


def test_where_all_is_right_all_pass_and_the_chain_ends_in_an_event() -> None:
    found = findings(seen())
    assert {name: found[name].status for name in NAMES} == dict.fromkeys(NAMES, Status.PASS)
    assert (
        found["sentry-events-seen"].message
        == "shop/api (451) accepted its last error of staging at 2026-11-02T10:00:00Z"
    )
    assert "the key Default of shop/api (451) is enabled" in found["sentry-key-active"].message
    assert accepted(seen()).status is Status.PASS
    assert all(item.evidence[0].resource for item in found.values())


@pytest.mark.parametrize("found", [None, snapshot()])
def test_where_sentry_was_not_asked_nothing_is_said_and_nothing_is_proven(found: Snapshot | None) -> None:
    for item in findings(found).values():
        assert item.status is Status.SKIPPED
        assert "SENTRY_AUTH_TOKEN is not set" in item.message
        assert not item.needless
    assert accepted(found).status is Status.UNKNOWN


def test_without_a_dsn_that_is_known_nothing_is_asked_and_where_it_runs_that_is_undecided() -> None:
    dark = secret(version(dsn=None))
    unread = snapshot(project(secrets=(dark,)), sentry=Sentry(url="https://sentry.io"))
    assert {item.status for item in findings(unread).values()} == {Status.UNKNOWN}
    nowhere = snapshot(targets=(), projects=(), sentry=Sentry(url="https://sentry.io"))
    assert {item.status for item in findings(nowhere).values()} == {Status.SKIPPED}


@pytest.mark.parametrize(
    "found",
    [
        snapshot(sentry=Sentry(url="https://sentry.io", unread=REFUSED)),
        snapshot(sentry=Sentry(url="https://sentry.io")),
        seen(exists=None, unread=REFUSED),
        seen(keys=None, keys_unread=REFUSED, environments=None, activity=(), alerts=None, alerts_unread=REFUSED),
    ],
    ids=["nothing was read", "not this project", "not the project", "nothing of the project"],
)
def test_what_was_not_read_is_unknown(found: Snapshot) -> None:
    for item in findings(found).values():
        assert item.status is Status.UNKNOWN
        assert item.message
    assert accepted(found).status is Status.UNKNOWN


def test_what_is_missing_is_named_with_what_to_do() -> None:
    item = findings(seen(keys=None, keys_unread=REFUSED))["sentry-key-active"]
    assert (item.message, item.hint) == ("it is refused (needs a:scope)", "make a token")


# --- the key --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"keys": ()}, "is none of shop/api (451)"),
        ({"keys": (Key(name="Default", fingerprint="other", active=True),)}, "is none of shop/api (451)"),
        (
            {"keys": (Key(name="Default", fingerprint="f1", active=False),)},
            "the key Default of shop/api (451) is disabled",
        ),
        ({"keys": (Key(name="Default", fingerprint="f1", active=True, limit=0, window=60),)}, "limited to 0 events"),
        ({"exists": False, "slug": ""}, "shop has no project 451"),
    ],
)
def test_a_key_that_sentry_refuses_breaks_the_chain(fields: dict[str, Any], told: str) -> None:
    item = findings(seen(**fields))["sentry-key-active"]
    assert item.status is Status.GAP
    assert told in item.message
    assert item.remedy is not None
    assert "https://sentry.io/" in item.remedy.summary
    assert accepted(seen(**fields)).status is Status.GAP


def test_a_limit_is_told_and_is_no_gap() -> None:
    limited = Key(name="Default", fingerprint="f1", active=True, limit=1000, window=7200)
    item = findings(seen(keys=(limited,)))["sentry-key-active"]
    assert item.status is Status.PASS
    assert "limited to 1000 events in 7200 seconds" in item.message


# --- events ---------------------------------------------------------------------------------------


def test_where_no_event_was_seen_no_more_is_said_than_is_known() -> None:
    quiet = seen(activity=(Activity(environment="staging"),))
    item = findings(quiet)["sentry-events-seen"]
    assert item.status is Status.GAP
    assert item.message == (
        "no event of staging was accepted by shop/api (451) in 30 days: either nothing failed and nothing is traced, "
        "or nothing arrives"
    )
    link = accepted(quiet)
    assert (link.status, link.message) == (Status.UNKNOWN, item.message)


def test_a_key_that_is_enabled_proves_no_event() -> None:
    only = [item for item in findings(seen()).values() if item.check == "sentry-key-active"]
    links = chain.build(API, only, "staging", {})
    assert links[-1].status is Status.UNKNOWN
    assert links[-1].message.startswith("whether an event is accepted was not looked at; Sentry takes what is sent")


def test_what_sentry_dropped_is_told() -> None:
    outcomes = (
        Outcome(outcome="accepted", category="error", quantity=4),
        Outcome(outcome="filtered", category="error", quantity=2),
        Outcome(outcome="rate_limited", category="error", quantity=30),
        Outcome(outcome="rate_limited", category="span", quantity=8),
        Outcome(outcome="rate_limited", category="attachment", quantity=5000),
    )
    item = findings(seen(activity=(Activity(environment="staging"),), outcomes=outcomes))["sentry-events-seen"]
    assert item.message.endswith(
        "in this time, whatever the environment, 2 were filtered out, 38 were dropped for a rate limit or a quota"
    )


@pytest.mark.parametrize(
    ("environments", "told"),
    [
        (("production",), "shop/api (451) never had an event of staging (of production it had)"),
        ((), "shop/api (451) never had an event of staging, nor of any other environment"),
    ],
)
def test_an_environment_that_sentry_never_heard_of(environments: tuple[str, ...], told: str) -> None:
    item = findings(seen(environments=environments, activity=()))["sentry-events-seen"]
    assert item.status is Status.GAP
    assert item.message.startswith(told)


def test_one_spelling_of_an_environment_suffices() -> None:
    activity = (
        Activity(environment="stg", unread=REFUSED),
        Activity(environment="staging", last="2026-11-02T10:00:00Z", what="span"),
    )
    assert findings(seen(activity=activity))["sentry-events-seen"].status is Status.PASS
    undecided = (Activity(environment="stg", unread=REFUSED), Activity(environment="staging"))
    assert findings(seen(activity=undecided))["sentry-events-seen"].status is Status.UNKNOWN


def test_events_of_another_environment_do_not_count() -> None:
    activity = (Activity(environment="production", last="2026-11-02T10:00:00Z", what="error"),)
    assert findings(seen(activity=activity))["sentry-events-seen"].status is Status.UNKNOWN


# --- alerts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alerts", "status", "told"),
    [
        ((Alert(name="A", enabled=True, acts=True, environment="stage"),), Status.PASS, "A of shop/api (451)"),
        ((), Status.GAP, "no enabled alert of shop/api (451) tells anybody about staging"),
        ((Alert(name="A", enabled=False, acts=True),), Status.GAP, "A is off"),
        ((Alert(name="A", enabled=True, acts=False),), Status.GAP, "A tells nobody"),
        ((Alert(name="A", enabled=True, acts=True, environment="prod"),), Status.GAP, "alerts for prod only"),
    ],
)
def test_an_alert_counts_if_it_tells_somebody_about_this_environment(
    alerts: tuple[Alert, ...], status: Status, told: str
) -> None:
    item = findings(seen(alerts=alerts))["sentry-alert-rules"]
    assert item.status is status
    assert told in (item.evidence[-1].saw + item.message if status is Status.GAP else _source(seen(alerts=alerts)))


def _source(found_in: Snapshot) -> str:
    found = sentry_facts(API, "staging", found_in, [ARGUMENT])
    return next(fact.source for fact in found if isinstance(fact, SentryAlerts))


# --- which DSNs -----------------------------------------------------------------------------------


def literal(line: int, environment: str = "", name: str = "", fingerprint: str = "f9", **fields: Any) -> Dsn:
    place = Evidence("main.py", line, None, None, "")
    return Dsn(
        component="api", shown="https://…@o1.ingest.us.sentry.io/9", valid=True, fingerprint=fingerprint, project="9",
        host="o1.ingest.us.sentry.io", name=name, environment=environment, evidence=(place,), **fields,
    )  # fmt: skip


def test_what_runs_comes_before_what_the_repository_holds() -> None:
    facts = [ARGUMENT, literal(3, "staging", "SENTRY_DSN")]
    [found] = known_dsns(API, "staging", snapshot(), facts)
    assert (found.fingerprint, found.project) == ("f1", "451")
    [found] = known_dsns(API, "staging", None, [ARGUMENT_OF_API, facts[1]])
    assert (found.fingerprint, found.project) == ("f9", "9")


ARGUMENT_OF_API = DsnArgument(component="api", resolves=True, variables=("SENTRY_DSN",))
CODE_OF_API = DsnArgument(
    component="api", resolves=True, literal=True, evidence=(Evidence("main.py", 3, None, None, ""),)
)


@pytest.mark.parametrize(
    ("facts", "known"),
    [
        ([CODE_OF_API, literal(3, hardcoded=True)], True),
        ([CODE_OF_API, literal(4, hardcoded=True)], False),
        ([ARGUMENT_OF_API, literal(3, "staging", "SENTRY_DSN")], True),
        ([ARGUMENT_OF_API, literal(3, "production", "SENTRY_DSN")], False),
        ([ARGUMENT_OF_API, literal(3, "", "SENTRY_DSN")], False),
        ([ARGUMENT_OF_API, literal(3, "staging", "OTHER_DSN")], False),
        ([literal(3, "staging", "SENTRY_DSN")], False),
    ],
)
def test_only_a_dsn_that_init_takes_counts(facts: list[Fact], known: bool) -> None:
    assert bool(known_dsns(API, "staging", None, facts)) is known


def test_a_front_end_takes_its_literal() -> None:
    place = Evidence("main.ts", 3, None, None, "")
    facts: list[Fact] = [
        FrontendDsn(component="web", source="a literal", evidence=(place,)),
        Dsn(
            component="web",
            shown="…",
            valid=True,
            fingerprint="f8",
            project="8",
            host="h",
            hardcoded=True,
            evidence=(place,),
        ),
    ]
    assert [item.project for item in known_dsns(WEB, "staging", None, facts)] == ["8"]


def test_each_project_is_asked_about_once_for_all_its_environments() -> None:
    known = known_dsns(API, "staging", snapshot(), [ARGUMENT])
    both = [("staging", known[0]), ("production", known[0]), ("staging", known[0])]
    assert wanted(both) == [Wanted(host=GOOD.host, id="451", environments=("staging", "production"))]


def test_a_project_that_was_not_asked_about_is_unknown() -> None:
    moved = secret(version(dsn=OTHER))
    found = snapshot(project(secrets=(moved,)), sentry=seen().sentry)
    item = findings(found)["sentry-key-active"]
    assert (item.status, item.hint) == (Status.UNKNOWN, "collect the evidence again")
