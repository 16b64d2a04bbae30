"""The DSN: the same strictness as the real SDK's parser, and never its key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentry_sdk.utils import BadDsn
from sentry_sdk.utils import Dsn as RealDsn

from sentry_audit import dsn

KEY = "0123456789abcdef0123456789aba1f3"
GOOD = f"https://{KEY}@o123.ingest.us.sentry.io/451"


def test_a_good_dsn() -> None:
    value = dsn.parse(GOOD)
    assert value.valid
    assert value.shown == "https://…a1f3@o123.ingest.us.sentry.io/451"
    assert (value.host, value.project, value.path) == ("o123.ingest.us.sentry.io", "451", "")
    RealDsn(GOOD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a dsn",
        "https://o123.ingest.us.sentry.io/451",
        f"https://{KEY}@o123.ingest.us.sentry.io",
        f"https://{KEY}@o123.ingest.us.sentry.io/",
        f"https://{KEY}@o123.ingest.us.sentry.io/project",
        f"ftp://{KEY}@o123.ingest.us.sentry.io/451",
    ],
)
def test_what_the_sdk_refuses_is_invalid(text: str) -> None:
    assert not dsn.parse(text).valid
    assert dsn.parse(text).problem
    with pytest.raises(BadDsn):
        RealDsn(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD + "\n", "white space"),
        (f'"{GOOD}"', "quoted"),
        ("${SENTRY_DSN}", "variable"),
        (f"{GOOD},{GOOD}", "more than one"),
        (f"http://{KEY}@o1.ingest.sentry.io/1", "unencrypted"),
        ("https://examplePublicKey@o0.ingest.sentry.io/0", "project number"),
        ("https://YOUR_KEY@o1.ingest.sentry.io/1", "placeholder"),
        (f"https://{KEY}@o1.ingest.sentry.io:99999/1", "port"),
        (f"https://{KEY[:-1]}-@o1.ingest.sentry.io/1", "characters"),
    ],
)
def test_what_breaks_it_is_said(text: str, problem: str) -> None:
    value = dsn.parse(text)
    assert not value.valid
    assert problem in value.problem


@pytest.mark.parametrize(
    "text",
    [
        f"http://{KEY}@localhost:8000/1",
        f"http://{KEY}@sentry.internal/1",
        f"https://{KEY}@sentry.example.org/prefix/7",
        f"http://{KEY}@10.0.0.7/2",
    ],
)
def test_self_hosted_forms_are_valid_or_placeholders(text: str) -> None:
    value = dsn.parse(text)
    assert value.valid or value.placeholder


def test_the_fingerprint_is_of_key_host_and_project() -> None:
    assert dsn.parse(GOOD).fingerprint == dsn.parse(GOOD.replace("https", "HTTPS")).fingerprint
    assert dsn.parse(GOOD).fingerprint != dsn.parse(GOOD.replace("451", "452")).fingerprint
    assert dsn.parse(GOOD).fingerprint != dsn.parse(GOOD.replace("a1f3", "a1f4")).fingerprint


@given(st.text())
def test_parse_never_raises(text: str) -> None:
    dsn.parse(text)
    dsn.redact(text)
    dsn.find(text)


@given(
    st.text(alphabet="0123456789abcdef", min_size=32, max_size=32),
    st.sampled_from(["{}", "dsn={!r}", "error at {}\nnext", "<{}>", '{{"dsn": "{}"}}', "{} {}", "x,{},y", "url({})"]),
    st.sampled_from(["", ":secret"]),
    st.sampled_from(["o1.ingest.sentry.io/1", "localhost:9000/2", "[::1]/3", "sentry", "sentry.io/abc?x=1"]),
)
def test_redact_takes_every_key_out(key: str, frame: str, secret: str, rest: str) -> None:
    text = frame.format(*[f"https://{key}{secret}@{rest}"] * frame.count("{"))
    assert key not in dsn.redact(text)
    assert "secret" not in dsn.redact(text)


@pytest.mark.parametrize(
    "text",
    ["sntrys_eyJpYXQiOjE3MDB9_abcdef0123", "SENTRY_AUTH_TOKEN=0123456789abcdef", "token: sntryu_0123456789abcdef"],
)
def test_redact_takes_tokens_out(text: str) -> None:
    assert "0123" not in dsn.redact(text)


def test_find_gives_offsets_of_sentry_dsns_only() -> None:
    text = f'A = "https://user:pass@example.org/1"\nB = "{GOOD}"\n'
    [(offset, value)] = dsn.find(text)
    assert text[offset:].startswith("https://0123")
    assert value.shown.startswith("https://…a1f3@")


def test_what_is_redacted_once_stays_as_it_is() -> None:
    once = dsn.redact("the DSN https://4f6cbd9a1e2b3c4d5e6f708192a3a1f3@o123.ingest.us.sentry.io/451 is dead")
    assert once == "the DSN https://…a1f3@o123.ingest.us.sentry.io/451 is dead"
    assert dsn.redact(once) == once
    assert dsn.redact("https://…@o1.ingest.us.sentry.io/1") == "https://…@o1.ingest.us.sentry.io/1"
    assert "secret" not in dsn.redact("https://…secretkey@o1.ingest.us.sentry.io/1")
