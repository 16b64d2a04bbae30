"""The client of Sentry's Web API, against a server that answers its documented operations."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from sentry_audit import dsn
from sentry_audit.errors import UsageError
from sentry_audit.evidence import dumps
from sentry_audit.sentry_project import SentryOptions, Unread
from sentry_audit.sources.sentry import client as http
from sentry_audit.sources.sentry.credentials import Credentials, find
from sentry_audit.sources.sentry.places import Place, checked, place, region
from tests.sentries import DSN, PUBLIC, SECRETS, TOKEN, asked, everything_right, one, project_of
from tests.sentry_server.server import SentryServer
from tests.sentry_server.state import Event, Key, Organization, Project, detector, workflow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[SentryServer]:
    with SentryServer(everything_right()) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


# --- what is read ---------------------------------------------------------------------------------


def test_a_project_is_read_with_its_keys_its_newest_event_and_its_alerts(server: SentryServer) -> None:
    found = one(server)
    assert (found.exists, found.organization, found.slug, found.shown) == (True, "shop", "api", "shop/api (451)")
    key = found.key(dsn.parse(DSN).fingerprint)
    assert key is not None
    assert (key.name, key.active, key.limit) == ("Default", True, None)
    assert [(item.environment, item.last, item.what) for item in found.activity] == [
        ("staging", "2026-11-25T08:00:00+00:00", "error")
    ]
    assert [(item.name, item.enabled, item.acts) for item in found.alerts or ()] == [("Notify the team", True, True)]
    assert {call.token for call in server.calls} == {TOKEN}
    assert not server.asked("stats_v2")


def test_neither_a_key_nor_the_token_is_kept(server: SentryServer) -> None:
    from sentry_audit.cloud import Snapshot

    kept = dumps(Snapshot(taken_at="2026-11-26T08:00:00Z", sentry=asked(server))).decode()
    assert not [secret for secret in SECRETS if secret in kept]
    assert TOKEN not in repr(Credentials(token=TOKEN, source="x", url="https://sentry.io"))


def test_the_number_of_questions_is_small(server: SentryServer) -> None:
    one(server, organization="shop")
    assert len(server.calls) == 6


def test_a_span_is_an_event_too_and_where_there_is_none_the_outcomes_are_asked_for(server: SentryServer) -> None:
    project = project_of(server.state)
    project.events = [Event("staging", "2026-11-24T08:00:00+00:00", "spans")]
    assert [(item.last, item.what) for item in one(server).activity] == [("2026-11-24T08:00:00+00:00", "span")]
    project.events = []
    project.outcomes = {("rate_limited", "error"): 38, ("accepted", "error"): 0}
    found = one(server)
    assert [(item.last, item.unread) for item in found.activity] == [("", None)]
    assert [(item.outcome, item.category, item.quantity) for item in found.outcomes] == [("rate_limited", "error", 38)]


def test_where_one_sort_of_events_cannot_be_asked_for_it_is_not_said_that_there_are_none(server: SentryServer) -> None:
    project_of(server.state).events = []
    server.fault("/events/", 1, status=400)
    [activity] = one(server).activity
    assert activity.unread is not None
    assert "HTTP 400" in activity.unread.reason
    server.state.old = True  # knows errors and transactions
    [activity] = one(server).activity
    assert activity.unread is None
    server.fault("/events/", 1, body=b'{"data": [], "meta": {}}')
    server.fault("/events/", 2, status=400)
    [activity] = one(server).activity
    assert activity.unread is not None


def test_environments_are_known_by_their_usual_spellings_also_hidden_ones(server: SentryServer) -> None:
    project = project_of(server.state)
    project.environments, project.hidden = ["prod"], ["Production"]
    project.events = [Event("Production", "2026-11-24T08:00:00+00:00")]
    found = one(server, "production")
    assert [(item.environment, bool(item.last)) for item in found.activity] == [("prod", False), ("Production", True)]
    assert one(server, "staging").activity == ()


def test_a_project_that_is_not_there_is_looked_for_in_the_list(server: SentryServer) -> None:
    found = one(server, number="999")
    assert (found.exists, found.organization, found.unread) == (False, "shop", None)
    assert server.asked("/organizations/shop/projects/")


def test_an_older_server_takes_slugs_alone_and_has_rules(server: SentryServer) -> None:
    server.state.old = True
    project = project_of(server.state)
    project.rules = [
        {"id": "1", "name": "Mail", "environment": "production", "status": "active", "actions": [{}], "snooze": False},
        {
            "id": "2",
            "name": "Mute",
            "environment": None,
            "status": "active",
            "actions": [{}],
            "snoozeForEveryone": True,
        },
    ]
    project.metric_rules = [
        {
            "id": "3",
            "name": "Rate",
            "environment": None,
            "status": 0,
            "projects": ["api"],
            "triggers": [{"actions": [{}]}],
        },
        {"id": "4", "name": "Other", "environment": None, "status": 0, "projects": ["web"], "triggers": []},
    ]
    project.events = [Event("staging", "2026-11-24T08:00:00+00:00", "transactions")]
    found = one(server)
    assert found.slug == "api"
    assert [(item.name, item.enabled, item.acts, item.environment) for item in found.alerts or ()] == [
        ("Mail", True, True, "production"), ("Mute", False, True, ""), ("Rate", True, True, ""),
    ]  # fmt: skip
    assert [(item.last, item.what) for item in found.activity] == [("2026-11-24T08:00:00+00:00", "transaction")]


def test_an_alert_counts_if_something_of_this_project_that_is_enabled_sets_it_off(server: SentryServer) -> None:
    project = project_of(server.state)
    project.workflows = [
        workflow("on", "7", "8"), workflow("asleep", "8"), workflow("elsewhere", "9"), workflow("loose"),
        workflow("stream", "10"), workflow("off", "7", enabled=False), workflow("silent", "7", actions=0),
    ]  # fmt: skip
    project.detectors = [detector("7", "451"), detector("8", "451", enabled=False), detector("9", "452")]
    assert [(item.name, item.enabled, item.acts) for item in one(server).alerts or ()] == [
        ("on", True, True), ("asleep", False, True), ("stream", True, True), ("off", False, True), ("silent", True, False),
    ]  # fmt: skip


def test_without_its_name_the_only_organization_is_meant(server: SentryServer) -> None:
    server.state.organizations.append(Organization("124", "other"))
    found = one(server)
    assert found.unread is not None
    assert "2 organizations" in found.unread.reason
    assert found.unread.hint == "name it: --sentry-org SLUG"
    assert one(server, organization="shop").exists


# --- pages, limits, faults ------------------------------------------------------------------------


def test_pages_are_followed_by_their_cursor_and_never_to_another_host(server: SentryServer) -> None:
    project = project_of(server.state)
    project.keys = [*(Key(f"{n:032x}", f"key {n}") for n in range(7)), Key(PUBLIC)]
    server.state.page = 3
    found = one(server)
    assert len(found.keys or ()) == 8
    assert found.key(dsn.parse(DSN).fingerprint) is not None
    assert [call.query.get("cursor") for call in server.asked("/keys/")] == [None, ["0:3:0"], ["0:6:0"]]


def test_pages_without_an_end_are_given_up(server: SentryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.endless = True
    monkeypatch.setattr(http, "_PAGES", 5)
    found = one(server, organization="shop")
    assert found.keys is None
    assert found.keys_unread is not None
    assert "does not come to an end" in found.keys_unread.reason
    assert len(server.asked("/keys/")) == 5


def test_a_limit_is_waited_for(server: SentryServer) -> None:
    server.fault("/keys/", status=429, headers={"Retry-After": "1"})
    assert one(server).keys is not None
    first, second = server.asked("/keys/")
    assert second.at - first.at >= 0.9


def test_a_limit_without_retry_after_ends_at_the_reset(server: SentryServer) -> None:
    reset = str(int(time.time()) + 2)
    server.fault(
        "/keys/", status=429, headers={"X-Sentry-Rate-Limit-Remaining": "0", "X-Sentry-Rate-Limit-Reset": reset}
    )
    assert one(server).keys is not None
    first, second = server.asked("/keys/")
    assert 0.5 <= second.at - first.at <= 3


def test_a_limit_that_lasts_longer_than_there_is_time_is_not_waited_for(server: SentryServer) -> None:
    server.fault("/keys/", 9, status=429, headers={"Retry-After": "3600"})
    started = time.monotonic()
    found = one(server)
    assert time.monotonic() - started < 5
    assert found.keys_unread == Unread(
        code="RESOURCE_EXHAUSTED",
        reason=f"127.0.0.1:{server.port} lets no more questions through (HTTP 429)",
        hint="run it again in 3600 seconds",
    )
    assert found.alerts is not None


@pytest.mark.parametrize(
    ("status", "headers", "wanted"),
    [
        (429, {"Retry-After": "7"}, 7),
        (429, {"Retry-After": "soon"}, None),
        (429, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        (429, {"X-Sentry-Rate-Limit-Reset": "12"}, 0),
        (429, {"X-Sentry-Rate-Limit-Reset": "²"}, None),
        (503, {"X-Sentry-Rate-Limit-Reset": "12"}, None),
        (429, {}, None),
    ],
)
def test_what_an_answer_asks_to_wait(status: int, headers: dict[str, str], wanted: float | None) -> None:
    assert http.wait(headers, status) == wanted


def test_trouble_that_passes_is_not_told_and_trouble_that_stays_is(server: SentryServer) -> None:
    server.fault("/keys/", 2, status=500)
    assert one(server).keys is not None
    server.fault("/keys/", 99, status=503, body=b"<html>down</html>")
    found = one(server)
    assert found.keys_unread is not None
    assert (found.keys_unread.code, "HTTP 503" in found.keys_unread.reason) == ("UNAVAILABLE", True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html>Sign in</html>",
        b'{"detail": "no list"}',
        b'[{"name": 7}]',
        b"\xff\xfe",
        b"[" * 100_000,
        b"null",
    ],
)
def test_an_answer_that_sentry_does_not_give_is_no_answer(server: SentryServer, body: bytes) -> None:
    server.fault("/keys/", 9, body=body)
    found = one(server)
    assert found.keys is None
    assert found.keys_unread is not None
    assert found.keys_unread.code == "MALFORMED"
    assert found.alerts is not None


def test_an_answer_without_end_is_cut(server: SentryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_MOST_BYTES", 1000)
    server.fault("/keys/", body=b"[" + b" " * 2000 + b"]")
    found = one(server)
    assert found.keys_unread is not None
    assert "too long" in found.keys_unread.reason


@pytest.mark.parametrize("fault", [{"slow": 30.0}, {"drip": True}])
def test_the_timeout_bounds_the_whole(server: SentryServer, fault: dict[str, Any]) -> None:
    server.fault("/keys/", 99, **fault)
    started = time.monotonic()
    found = one(server, timeout=1.5)
    assert time.monotonic() - started < 6
    assert found.keys_unread is not None
    assert found.keys_unread.code == "DEADLINE_EXCEEDED"
    assert "--timeout of 1.5 seconds" in found.keys_unread.reason
    assert found.alerts_unread is not None


def test_a_token_that_is_not_accepted_is_tried_once(server: SentryServer) -> None:
    found = asked(server, token="sntryu_" + "0" * 64, organization="shop")
    assert found.projects == ()
    assert found.unread is not None
    assert "does not accept the token of SENTRY_AUTH_TOKEN" in found.unread.reason
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("scope", "field"),
    [("project:read", "unread"), ("org:read", "unread"), ("alerts:read", "alerts_unread")],
)
def test_a_scope_that_is_missing_is_named(server: SentryServer, scope: str, field: str) -> None:
    server.state.tokens[TOKEN] = frozenset({"org:read", "project:read", "alerts:read"} - {scope})
    if scope == "alerts:read":  # org:read may read alerts, too: documented
        server.fault("/workflows/", 9, status=403)
    unread = getattr(one(server), field)
    assert (unread.code, unread.scope) == ("PERMISSION_DENIED", scope)
    assert scope in unread.hint


def test_an_organization_token_is_said_to_be_one(server: SentryServer) -> None:
    token = "sntrys_" + "e" * 60
    server.state.tokens[token] = frozenset({"org:ci"})
    found = one(server, token=token, organization="shop")
    assert found.unread is not None
    assert "an organization token has org:ci alone" in found.unread.reason


def test_the_token_does_not_follow_to_another_host(server: SentryServer) -> None:
    with SentryServer(everything_right()) as other:
        server.fault("/keys/", 9, status=302, headers={"Location": f"{other.url}/api/0/projects/shop/api/keys/"})
        found = one(server)
        assert other.calls == []
    assert found.keys_unread is not None
    assert found.keys_unread.code == "REDIRECTED"
    assert "the token was not sent there" in found.keys_unread.reason


def test_it_follows_within_the_host_but_not_in_circles(server: SentryServer) -> None:
    server.fault("/keys/", 1, status=301, headers={"Location": "/api/0/projects/shop/api/keys/"})
    assert one(server).keys is not None
    server.fault("/keys/", 99, status=302, headers={"Location": "/api/0/projects/shop/api/keys/"})
    found = one(server)
    assert found.keys_unread is not None
    assert "in circles" in found.keys_unread.reason


def test_netrc_does_not_take_the_place_of_the_token(
    server: SentryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert one(server).exists
    assert {call.token for call in server.calls} == {TOKEN}


def test_a_certificate_of_ones_own_has_to_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with SentryServer(everything_right(), tls=context, prefix="/sentry") as server:
        found = one(server, organization="shop")
        assert found.unread is not None
        assert found.unread.hint.startswith("export REQUESTS_CA_BUNDLE=")
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(bundle))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        assert one(server, organization="shop").exists
        assert server.calls[0].path == "/sentry/api/0/projects/shop/451/"


def test_a_sentry_that_is_not_there_is_said_to_be_so(server: SentryServer) -> None:
    found = one(server, url="http://127.0.0.1:9", organization="shop")
    assert found.unread is not None
    assert (found.unread.code, found.unread.reason) == ("UNAVAILABLE", "127.0.0.1:9 cannot be reached")


def test_a_proxy_is_used(server: SentryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://somebody:passw0rd@127.0.0.1:{server.port}")
    monkeypatch.setenv("NO_PROXY", "")
    found = one(server, url="http://sentry.internal", host="sentry.internal", organization="shop")
    assert server.calls[0].path == "/api/0/projects/shop/451/"
    monkeypatch.setenv("HTTP_PROXY", "http://somebody:passw0rd@127.0.0.1:9")
    found = one(server, url="http://sentry.internal", host="sentry.internal", organization="shop")
    assert found.unread is not None
    assert "proxy" in found.unread.reason
    assert "passw0rd" not in str(found)


# --- where the token may go -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host", "wanted"),
    [
        ("https://sentry.io", "o123.ingest.us.sentry.io", Place("https://us.sentry.io", "123")),
        ("https://sentry.io", "o123.ingest.de.sentry.io", Place("https://de.sentry.io", "123")),
        ("https://sentry.io", "o123.ingest.sentry.io", Place("https://us.sentry.io", "123")),
        ("https://shop.sentry.io", "o123.ingest.de.sentry.io", Place("https://de.sentry.io", "123")),
        ("https://sentry.io", "sentry.io", Place("https://sentry.io")),
        ("https://s.example.com/sentry", "s.example.com", Place("https://s.example.com/sentry")),
        ("https://s.example.com:9000", "o7.ingest.s.example.com", Place("https://s.example.com:9000", "7")),
    ],
)
def test_where_a_dsn_is_asked_about(url: str, host: str, wanted: Place) -> None:
    assert place(url, host) == wanted


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://sentry.io", "sentry.example.com"),
        ("https://sentry.io", "o1.ingest.us.sentry.io.example.com"),
        ("https://sentry.io", "evilsentry.io"),
        ("https://s.example.com", "o123.ingest.us.sentry.io"),
        ("https://s.example.com", "other.example.com"),
        ("https://s.example.com", "o1.ingest.s.example.com.evil.com"),
    ],
)
def test_a_dsn_of_another_sentry_is_not_asked_about(url: str, host: str) -> None:
    found = place(url, host)
    assert isinstance(found, Unread)
    assert host in found.reason
    assert found.hint


@pytest.mark.parametrize(
    ("base", "told", "wanted"),
    [
        ("https://sentry.io", "https://de.sentry.io/", "https://de.sentry.io"),
        ("https://sentry.io", "https://de.sentry.io.evil.com", "https://sentry.io"),
        ("https://sentry.io", "http://de.sentry.io", "https://sentry.io"),
        ("https://sentry.io", "", "https://sentry.io"),
        ("https://s.example.com", "https://us.sentry.io", "https://s.example.com"),
    ],
)
def test_only_a_region_of_sentry_io_is_believed(base: str, told: str, wanted: str) -> None:
    assert region(base, told) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("https://Sentry.Example.com/", "https://sentry.example.com"),
        ("https://example.com/sentry/api/0/", "https://example.com/sentry"),
        ("http://localhost:9000", "http://localhost:9000"),
        ("http://10.0.0.7", "http://10.0.0.7"),
    ],
)
def test_addresses_of_a_sentry(text: str, wanted: str) -> None:
    assert checked(text, "SENTRY_URL") == wanted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://sentry.example.com", "unencrypted"),
        ("https://me:secret@sentry.example.com", "a name or a password"),
        ("sentry.example.com", "not an address"),
        ("ftp://sentry.example.com", "not an address"),
        ("https://", "not an address"),
        ("https://a:b:c", "not an address"),
        ("https://[", "not an address"),
        ("https://sentry.example.com/?a=b", "not an address"),
    ],
)
def test_what_is_no_address_of_a_sentry(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        checked(text, "SENTRY_URL")
    assert "secret" not in caught.value.message + caught.value.hint


# --- the token ------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SENTRY_AUTH_TOKEN", "SENTRY_URL", "SENTRY_ORG"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "shop").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def test_there_may_be_no_token(home: Path) -> None:
    assert find(SentryOptions(), home / "shop") is None


def test_the_environment_comes_before_the_users_own_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[auth]\ntoken=from-file%%\n[defaults]\nurl=https://s.example.com/\norg=shop\n"
    (home / "home" / ".sentryclirc").write_text(text.replace("%%", "%"))
    found = find(SentryOptions(), home / "shop")
    assert found == Credentials(
        token="from-file%", source="~/.sentryclirc", url="https://s.example.com", organization="shop"
    )
    monkeypatch.setenv("SENTRY_AUTH_TOKEN", " from-environment\n")
    found = find(SentryOptions(url="https://t.example.com", organization="other"), home / "shop")
    assert found == Credentials(
        token="from-environment", source="SENTRY_AUTH_TOKEN", url="https://t.example.com", organization="other"
    )
    monkeypatch.setenv("SENTRY_URL", "https://u.example.com")
    found = find(SentryOptions(), home / "shop")
    assert found is not None
    assert found.url == "https://u.example.com"


def test_files_of_the_audited_repository_do_not_say_where_the_token_goes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = "[auth]\ntoken=theirs\n[defaults]\nurl=https://evil.example.com\n"
    (home / "shop" / ".sentryclirc").write_text(hostile)
    (home / "shop" / ".env").write_text("SENTRY_URL=https://evil.example.com\n")
    monkeypatch.chdir(home / "shop")
    assert find(SentryOptions(), home / "shop") is None
    monkeypatch.setenv("SENTRY_AUTH_TOKEN", TOKEN)
    found = find(SentryOptions(), home / "shop")
    assert found is not None
    assert found.url == "https://sentry.io"
    monkeypatch.setenv("HOME", str(home / "shop"))
    found = find(SentryOptions(), home / "shop")
    assert found is not None
    assert found.url == "https://sentry.io"


@pytest.mark.parametrize("text", ["token=x\n", "[auth\n", "[auth]\ntoken\n", "\x00", "[auth]\ntoken=\n"])
def test_a_file_that_is_none_says_nothing(home: Path, text: str) -> None:
    (home / "home" / ".sentryclirc").write_text(text)
    assert find(SentryOptions(), home / "shop") is None


def test_what_cannot_be_a_token_is_not_sent(server: SentryServer) -> None:
    found = asked(server, token="two\r\nX-Header: lines")
    assert found.unread is not None
    assert "no token" in found.unread.reason
    assert "X-Header" not in str(found)
    assert server.calls == []


def test_several_projects_are_asked_about_one_after_the_other(server: SentryServer) -> None:
    from sentry_audit.sentry_project import Wanted
    from sentry_audit.sources.sentry import read

    server.state.organizations[0].projects.append(Project("452", "web", [Key("e" * 32)]))
    wanted = [
        Wanted(host="127.0.0.1", id="451", environments=("staging",)),
        Wanted(host="127.0.0.1", id="452", environments=("staging",)),
        Wanted(host="o1.ingest.us.sentry.io", id="1", environments=("staging",)),
    ]
    credentials = Credentials(token=TOKEN, source="x", url=server.url)
    found = read(wanted, SentryOptions(timeout=10), credentials)
    assert [item.slug for item in found.projects] == ["api", "web", ""]
    assert found.projects[2].exists is None
