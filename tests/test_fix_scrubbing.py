"""Nothing personal is sent any more: what the fix writes, that it is proven on the wire, and what it leaves alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from sentry_audit.fixers.scrub_template import name_of, scrub_lines
from sentry_audit.fixing import Refusal
from tests.fixing_python import answer, apply, cases, fixed, run
from tests.trees import SDK
from tests.verifying import copied, prove

if TYPE_CHECKING:
    from pathlib import Path

CHECK = "privacy-scrubbing"
HEAD = "import sentry_sdk\nfrom fastapi import FastAPI\n\n"
TAIL = "\napp = FastAPI()\n"
GIVEN = (
    "event_scrubber=EventScrubber(recursive=True)",
    "include_local_variables=False",
    "before_send=scrub",
    "before_send_transaction=scrub",
)


def tree(init: str) -> dict[str, str]:
    return {"requirements.txt": SDK, "main.py": HEAD + init + TAIL}


def written(tmp_path: Path, init: str) -> str:
    return fixed(tmp_path, tree(init), CHECK)["main.py"]


#: Where the init of an application of tests/apps is, and what of it is about privacy.
APPS = {
    "fastapi": ("app/telemetry.py", ("send_default_pii=False,", 'max_request_body_size="never",')),
    "flask": ("shop.py", ()),
    "django": ("site_/settings.py", ()),
}


@pytest.mark.parametrize("name", APPS)
def test_what_leaked_is_proven_not_to_leave(name: str, tmp_path: Path) -> None:
    root = copied(name, tmp_path)
    path, more = APPS[name]
    text = re.sub(r"def scrub\(.*?return event\n\n\n", "", (root / path).read_text(), flags=re.DOTALL)
    for option in ("include_local_variables=False,", "before_send=scrub,", "before_send_transaction=scrub,", *more):
        text = re.sub(rf" +{re.escape(option)}\n", "", text)
    (root / path).write_text(text)
    names = {"init", "error", "trace", "no-pii"}
    assert prove(root, names=names).red == {"no-pii": "leak"}
    [case] = cases(root, CHECK)
    change = run(case)
    assert not isinstance(change, Refusal), change
    apply(root, change)
    found = prove(root, names=names)
    assert found.red == {}, [item.problem for item in found.proofs.values()]
    assert found.shown >= names
    assert not cases(root, CHECK)


def test_all_that_is_missing_is_written_in_the_file_of_init(tmp_path: Path) -> None:
    text = written(tmp_path, 'sentry_sdk.init(dsn="")\n')
    assert text.startswith("import re\nfrom typing import Any\n\nimport sentry_sdk\n")
    assert all(f"    {item},\n" in text for item in GIVEN)
    assert "def scrub(event: Any, _hint: Any) -> Any:\n" in text


def test_it_is_written_as_the_file_is(tmp_path: Path) -> None:
    init = "def label(name):\n  return name or 'none'\n\n\nsentry_sdk.init(dsn='')\n"
    text = written(tmp_path, init)
    assert 'def scrub(event, _hint):\n  """Take' in text
    assert "\n  for key in ('data', 'cookies', 'query_string'):\n    request.pop" in text
    assert "Any" not in text


def test_names_that_are_taken_are_left(tmp_path: Path) -> None:
    text = written(tmp_path, "def scrub(text):\n    return text\n\n\nsentry_sdk.init()\n")
    assert "before_send=scrub_event," in text


@pytest.mark.parametrize(
    ("given", "kept", "added"),
    [
        ("include_local_variables=True", "", GIVEN),
        ("event_scrubber=EventScrubber(recursive=False)", "", GIVEN),
        ("event_scrubber=EventScrubber(denylist=[])", "EventScrubber(denylist=[], recursive=True)", GIVEN[1:]),
        ("before_send=None", "before_send=scrub", GIVEN),
    ],
)
def test_what_is_given_already_is_completed(tmp_path: Path, given: str, kept: str, added: tuple[str, ...]) -> None:
    init = f"from sentry_sdk.scrubber import EventScrubber\nsentry_sdk.init({given})\n"
    text = written(tmp_path, init)
    assert kept in text
    assert all(item in text for item in added)


#: A hook that only chooses among events, and what it is afterwards.
FILTERS = {
    "def keep(event, hint):\n    if 'ping' in str(event):\n        return None\n    return event\n": (
        "        return None\n    return scrub(event, hint)\n"
    ),
    "def keep(event, hint):\n    return None if 'ping' in str(event) else event\n": (
        "    return None if 'ping' in str(event) else scrub(event, hint)\n"
    ),
    "def keep(event, hint):\n    event['fingerprint'] = ['one']\n    log.info('sent', event)\n    return event\n": (
        "    return scrub(event, hint)\n"
    ),
}


@pytest.mark.parametrize("hook", FILTERS)
def test_a_hook_that_only_chooses_scrubs_what_it_keeps(tmp_path: Path, hook: str) -> None:
    text = written(
        tmp_path, f"import logging\n\nlog = logging.getLogger()\n\n\n{hook}\n\nsentry_sdk.init(before_send=keep)\n"
    )
    assert FILTERS[hook] in text
    assert "before_send=keep,\n" in text
    assert "before_send_transaction=scrub,\n" in text
    assert "include_local_variables=False,\n" in text


def test_a_hook_that_stands_elsewhere_is_left_to_people(tmp_path: Path) -> None:
    files = tree("from hooks import keep\nsentry_sdk.init(before_send=keep)\n")
    found = answer(tmp_path, {**files, "hooks.py": "def keep(event, hint):\n    return event\n"}, CHECK)
    assert isinstance(found, Refusal)
    assert found.reason == "before_send in main.py takes nothing out of events: have it return what is scrubbed"
    assert "include_local_variables=False," in found.commands


OWN = "def clean(event, hint):\n    event.pop('user', None)\n    return event\n\n\n"


def test_where_errors_are_scrubbed_transactions_are_too_and_nothing_else_changes(tmp_path: Path) -> None:
    text = written(tmp_path, f"{OWN}sentry_sdk.init(before_send=clean, traces_sample_rate=float(RATE))\n")
    assert "before_send_transaction=scrub" in text
    assert "include_local_variables" not in text
    assert "EventScrubber" not in text


@pytest.mark.parametrize(
    "init",
    [
        f"{OWN}sentry_sdk.init(before_send=clean)\n",
        f"{OWN}sentry_sdk.init(before_send=clean, before_send_transaction=clean, traces_sample_rate=0.1)\n",
        "from privacy_kit import clean\nsentry_sdk.init(before_send=clean)\n",
        "sentry_sdk.init(before_send=lambda event, hint: clean(event))\n",
        "def own(event, hint):\n    event = clean(event)\n    return event\n\n\nsentry_sdk.init(before_send=own)\n",
        'def own(event, hint):\n    del event["request"]\n    return event\n\n\nsentry_sdk.init(before_send=own)\n',
        'def own(event, hint):\n    event["user"] = {}\n    return event\n\n\nsentry_sdk.init(before_send=own)\n',
        'sentry_sdk.init(include_local_variables=False, max_request_body_size="never")\n',
    ],
)
def test_what_scrubs_in_its_own_way_is_no_gap(tmp_path: Path, init: str) -> None:
    for path, text in tree(init).items():
        (tmp_path / path).write_text(text)
    assert not cases(tmp_path, CHECK)


@pytest.mark.parametrize(
    ("init", "said"),
    [
        (
            "sentry_sdk.init()",
            "only top-level key names are scrubbed: bodies, local variables and query strings are sent",
        ),
        (
            "from sentry_sdk.scrubber import EventScrubber\nsentry_sdk.init(event_scrubber=EventScrubber(recursive=True))",
            "only key names are scrubbed: bodies, local variables and query strings",
        ),
        ("sentry_sdk.init(include_local_variables=False)", "scrubbed: bodies and query strings are sent as they are"),
        ("sentry_sdk.init(before_send=lambda event, hint: event)", "before_send takes nothing out, and only top-level"),
        (
            f"{OWN}sentry_sdk.init(before_send=clean, traces_sample_rate=0.1)",
            "before_send scrubs errors; transactions and their spans are sent as they are",
        ),
    ],
)
def test_what_is_sent_is_said(tmp_path: Path, init: str, said: str) -> None:
    for path, text in tree(f"{init}\n").items():
        (tmp_path / path).write_text(text)
    [case] = cases(tmp_path, CHECK)
    assert said in case.finding.message


def test_a_hook_that_scrubs_leaves_no_probe_out(tmp_path: Path) -> None:
    route = '\n\n@app.get("/health")\ndef health():\n    return {}\n'
    drop = OWN.replace("    return event", "    return event if event else None")
    for name, hook, gaps in (
        ("keeps", OWN, 1),
        ("drops", drop, 0),
        ("hands-on", OWN.replace("return event", "return other(event)"), 0),
    ):
        root = tmp_path / name
        root.mkdir()
        init = f"{hook}sentry_sdk.init(before_send_transaction=clean, traces_sample_rate=0.1)\n"
        for path, text in tree(init).items():
            (root / path).write_text(text + (route if path == "main.py" else ""))
        assert len(cases(root, "noise-health-checks")) == gaps, name


def hook() -> Any:
    space: dict[str, Any] = {}
    exec("import re\n" + "\n".join(scrub_lines(name_of(()), (), unit="    ", typed=False, quote='"')), space)
    return space["scrub"]


def test_what_the_function_takes_out_and_what_it_leaves() -> None:
    event = {
        "event_id": "0" * 32, "release": "shop@1.2.3", "timestamp": "2026-11-26T18:14:05.123456+00:00",
        "user": {"id": "user-42"}, "tags": {"request_id": "550e8400-e29b-41d4-a716-446655440000"},
        "request": {
            "url": "https://shop.example/orders", "method": "POST", "data": {"a": 1}, "query_string": "token=t", "cookies": "c",
            "headers": {"Referer": "https://shop.example/?token=t", "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"},
        },
        "exception": {"values": [{"type": "KeyError", "value": "no ann.lee+x@mail.example, call +49 (170) 123-4567", "stacktrace": None}]},
        "breadcrumbs": {"values": [{"data": {"http.query": "a=b", "status_code": 200, "url": "https://api.example/x?contact=a%40b.example"}}]},
        "spans": ({"description": "SELECT * FROM a WHERE b = ? AND c = ?", "data": {"url.query": "token=t"}},),
    }  # fmt: skip
    assert hook()(event, {}) == {
        "event_id": "0" * 32, "release": "shop@1.2.3", "timestamp": "2026-11-26T18:14:05.123456+00:00",
        "user": {"id": "user-42"}, "tags": {"request_id": "550e8400-e29b-41d4-a716-446655440000"},
        "request": {
            "url": "https://shop.example/orders", "method": "POST",
            "headers": {"Referer": "https://shop.example/?[Filtered]", "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"},
        },
        "exception": {"values": [{"type": "KeyError", "value": "no [Filtered], call [Filtered]", "stacktrace": None}]},
        "breadcrumbs": {"values": [{"data": {"status_code": 200, "url": "https://api.example/x?[Filtered]"}}]},
        "spans": [{"description": "SELECT * FROM a WHERE b = ? AND c = ?", "data": {}}],
    }  # fmt: skip
    assert hook()({"message": None, "request": None}, {}) == {"message": None, "request": None}
