"""What the server of Next.js sends of requests: judged by its own init, and scrubbed by a function of the project's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from sentry_audit.fixers import js_privacy, js_scrubbing
from sentry_audit.fixing import Refusal
from sentry_audit.model import Status
from tests.fixing_web import answers, fixed
from tests.test_fix_js_privacy import CLIENT, HEAD, package
from tests.trees import audit, write
from tests.verifying import APPS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sentry_audit.model import Finding

CHECK = "privacy-scrubbing"
SERVER = "sentry.server.config.ts"
BROWSER = {CLIENT: f"{HEAD}}});\n", "app/layout.tsx": "export default ({ children }) => <html>{children}</html>;\n"}
STARTS = {
    "instrumentation.ts": "import * as Sentry from '@sentry/nextjs';\n\nexport async function register() {\n"
    "  await import('./sentry.server.config');\n  await import('./sentry.edge.config');\n}\n\n"
    "export const onRequestError = Sentry.captureRequestError;\n"
}
NODE = shutil.which("node")


def tree(options: str, version: str = "^10.60.0", path: str = SERVER) -> dict[str, str]:
    return {"package.json": package(version), path: f"{HEAD}{options}}});\n", **BROWSER, **STARTS}


def found(root: Path, files: Mapping[str, str], check: str = CHECK) -> list[Finding]:
    """What a check says of the front end's server."""
    paths = {SERVER, "instrumentation.ts", "sentry.edge.config.ts"}
    told = [item for item in audit(root, files).findings if item.check == check]
    return [item for item in told if any(place.path in paths for place in item.evidence)]


def test_what_is_written_into_a_configuration_in_typescript(tmp_path: Path) -> None:
    files = tree("  tracesSampleRate: RATE,\n")
    text = fixed(tmp_path, files, js_scrubbing.scrub, CHECK)[SERVER]
    assert text.startswith("import * as Sentry from '@sentry/nextjs';\n\nconst PRIVATE_NAME =\n")
    assert "function scrubValue(value: unknown, name = ''): unknown {\n" in text
    assert "function scrubEvent<E extends Sentry.Event>(event: E): E {\n" in text
    assert "    'spans',\n  ] as const) {\n" in text
    assert text.endswith(
        "  return event;\n}\n\nSentry.init({\n  dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,\n  tracesSampleRate: RATE,\n"
        "  beforeSend: scrubEvent,\n  beforeSendTransaction: scrubEvent,\n});\n"
    )


def test_what_is_written_in_javascript_is_what_the_application_of_the_tests_is_proven_with(tmp_path: Path) -> None:
    shutil.copytree(APPS / "next", tmp_path / "web", ignore=shutil.ignore_patterns("node_modules", ".next"))
    path = tmp_path / "web/sentry.server.config.js"
    proven = path.read_text()
    text = proven[: proven.index("const PRIVATE_NAME")] + proven[proven.index("const drop") :]
    hook = r'breaks === "dropped" \? drop : breaks === "private" \? undefined : scrubEvent'
    text = re.sub(rf"  beforeSend: {hook},\n|  beforeSendTransaction: .*\n", "", text)
    path.write_text(text)
    [first, *_] = answers(tmp_path, js_scrubbing.scrub, CHECK)
    assert not isinstance(first, Refusal), first
    [edit] = first.edits
    start, end = (proven.index(words) for words in ("const PRIVATE_NAME", "const drop"))
    assert proven[start:end] in (edit.after or "")


def test_spans_that_are_sent_one_by_one_have_a_hook_of_their_own(tmp_path: Path) -> None:
    strict = "  dataCollection: { userInfo: false, cookies: false, httpBodies: [] },\n"
    text = fixed(tmp_path, tree(strict, "^11.5.0"), js_scrubbing.scrub, CHECK)[SERVER]
    assert text.endswith(
        "  beforeSend: scrubEvent,\n  beforeSendSpan(span) {\n    const { name, attributes } = span;\n"
        "    Object.assign(span, scrubValue({ name, attributes }));\n    return span;\n  },\n});\n"
    )


def test_two_inits_of_one_file_share_the_function(tmp_path: Path) -> None:
    init = "    Sentry.init({\n      dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,\n    });\n"
    start = "import * as Sentry from '@sentry/nextjs';\n\nexport function register() {\n"
    both = f"{start}  if (process.env.NEXT_RUNTIME === 'nodejs') {{\n{init}  }} else {{\n{init}  }}\n}}\n"
    files = {
        "package.json": package("^10.60.0"),
        **BROWSER,
        "instrumentation.ts": f"{both}{STARTS['instrumentation.ts'].split(chr(10))[-2]}\n",
    }
    text = fixed(tmp_path, files, js_scrubbing.scrub, CHECK)["instrumentation.ts"]
    assert (text.count("function scrubEvent"), text.count("beforeSend: scrubEvent,\n")) == (1, 2)
    assert text.index("const PRIVATE_TEXT") < text.index("export function register")


#: Options that stand apart from the call, as a public template of many projects has them.
APART = """\
import * as Sentry from '@sentry/nextjs';

const options: Sentry.NodeOptions | Sentry.EdgeOptions = {
  dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,
  sendDefaultPii: true,
};

export function register() {
  if (process.env.NEXT_RUNTIME === 'nodejs') Sentry.init(options);
  if (process.env.NEXT_RUNTIME === 'edge') Sentry.init(options);
}

export const onRequestError = Sentry.captureRequestError;
"""


def test_options_that_stand_apart_are_read_and_fixed(tmp_path: Path) -> None:
    files = {"package.json": package("^10.60.0"), **BROWSER, "instrumentation.ts": APART}
    [told] = found(tmp_path, files, "privacy-default-pii")
    assert (told.status, told.evidence[0].line) == (Status.GAP, 5)
    text = fixed(tmp_path, files, js_privacy.default_pii, "privacy-default-pii")["instrumentation.ts"]
    assert text == APART.replace("  sendDefaultPii: true,\n", "")
    text = fixed(tmp_path, {"instrumentation.ts": text}, js_scrubbing.scrub, CHECK)["instrumentation.ts"]
    assert "  beforeSend: scrubEvent,\n  beforeSendTransaction: scrubEvent,\n};\n" in text
    assert text.index("function scrubEvent") < text.index("const options")


@pytest.mark.parametrize("more", ["options.debug = true;\n", "Object.assign(options, more);\n"])
def test_options_that_are_written_to_later_are_not_judged(tmp_path: Path, more: str) -> None:
    told = found(tmp_path, {"package.json": package("^10.60.0"), **BROWSER, "instrumentation.ts": APART + more})
    assert not any(item.status is Status.GAP for item in told)


def test_options_that_were_not_followed_are_unknown(tmp_path: Path) -> None:
    text = APART.replace("init(options)", "init(optionsOf('server'))")
    told = found(tmp_path, {"package.json": package("^10.60.0"), **BROWSER, "instrumentation.ts": text})
    assert told
    assert {item.status for item in told} == {Status.UNKNOWN}


KEEPS = "  beforeSend(event) { return event.level === 'debug' ? null : event; },\n"
OWN = "  beforeSend(event) { delete event.request; return event; },\n"


@pytest.mark.parametrize(
    ("options", "version", "status", "said"),
    [
        ("", "^10.60.0", "gap", "the server sends headers (Authorization, cookies) and query strings of requests as they are"),
        ("  dataCollection: { userInfo: false, cookies: false, httpBodies: [] },\n", "^11.5.0", "gap", "the server sends query strings of"),
        (KEEPS, "^10.60.0", "gap", "as they are, and beforeSend takes nothing out"),
        (OWN, "^10.60.0", "pass", "beforeSend scrubs errors"),
        (OWN + "  tracesSampleRate: RATE,\n", "^10.60.0", "gap", "transactions and their spans are sent as they are"),
        ("  beforeSend: clean,\n", "^10.60.0", "pass", "beforeSend scrubs errors"),
        ("  beforeSend: (event) => clean(event),\n", "^10.60.0", "pass", "beforeSend scrubs errors"),
        ("  beforeSend(event) { return isNoise(event) ? null : event; },\n", "^10.60.0", "gap", "beforeSend takes nothing out"),
    ],
)  # fmt: skip
def test_a_server_is_judged_by_its_own_init(tmp_path: Path, options: str, version: str, status: str, said: str) -> None:
    [told] = found(tmp_path, tree(options, version))
    assert (told.status, said in told.message) == (Status(status), True), told.message


def test_what_nothing_loads_and_what_runs_on_the_edge_is_not_judged(tmp_path: Path) -> None:
    files = tree("")
    del files["instrumentation.ts"]
    assert not any(item.status is Status.GAP for item in found(tmp_path, files))
    other = tmp_path / "edge"
    other.mkdir()
    assert not any(item.status is Status.GAP for item in found(other, tree("", path="sentry.edge.config.ts")))


@pytest.mark.parametrize(
    ("hook", "wanted"),
    [
        (KEEPS, KEEPS.replace(": event;", ": scrubEvent(event);")),
        ("  beforeSend: (event) => (isNoise(event) ? null : event),\n", "(isNoise(event) ? null : scrubEvent(event)),\n"),
        ("  async beforeSend(event, hint) {\n    if (hint.a) return null;\n    return event;\n  },\n",
         "    return scrubEvent(event);\n  },\n"),
    ],
)  # fmt: skip
def test_a_hook_that_only_chooses_scrubs_what_it_keeps(tmp_path: Path, hook: str, wanted: str) -> None:
    text = fixed(tmp_path, tree(hook), js_scrubbing.scrub, CHECK)[SERVER]
    assert wanted in text
    assert text.endswith("  beforeSendTransaction: scrubEvent,\n});\n")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            KEEPS.replace(": event", ": { ...event }"),
            "is there already: what it is to take out of requests is yours to say",
        ),
        ("  debug: scrubValue,\n", "calls something scrubValue already"),
    ],
)
def test_what_is_somebody_else_s_is_left(tmp_path: Path, options: str, reason: str) -> None:
    write(tmp_path, tree(options))
    [told] = answers(tmp_path, js_scrubbing.scrub, CHECK)
    assert isinstance(told, Refusal)
    assert reason in told.reason
    assert "beforeSendTransaction: // the same, for what is traced" in told.commands


@pytest.mark.skipif(not NODE, reason="no node here, which runs what was written")
def test_what_the_function_takes_out_and_what_it_leaves() -> None:
    text = (APPS / "next/sentry.server.config.js").read_text()
    text = text[text.index("const PRIVATE_NAME") : text.index("const drop")]
    event = {
        "release": "shop@1.2.3", "transaction": "GET /orders?token=t",
        "request": {"method": "GET", "url": "https://shop.example/orders", "query_string": "token=t", "data": "b", "cookies": {"a": "b"},
                    "headers": {"authorization": "Bearer x", "x-api-key": "k", "cookie": "a=b", "user-agent": "Mozilla/5.0 (X11)"}},
        "exception": {"values": [{"value": "no ann.lee+x@mail.example, call +49 (170) 123-4567"}]},
        "contexts": {"nextjs": {"request_path": "/orders?token=t", "router_kind": "App Router"}, "trace": {"data": {
            "http.query": "token=t", "db.query.text": "SELECT 1 WHERE a = ?", "gen_ai.usage.input_tokens": 3,
            "http.request.header.cookie": "a"}}},
        "breadcrumbs": None, "user": {"id": "user-42"},
    }  # fmt: skip
    code = f"{text}\nconsole.log(JSON.stringify(scrubEvent({json.dumps(event)})));"
    done = subprocess.run([str(NODE), "-e", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {
        "release": "shop@1.2.3", "transaction": "GET /orders?[Filtered]",
        "request": {"method": "GET", "url": "https://shop.example/orders", "query_string": "[Filtered]", "cookies": "[Filtered]",
                    "headers": {"authorization": "[Filtered]", "x-api-key": "[Filtered]", "cookie": "[Filtered]",
                                "user-agent": "Mozilla/5.0 (X11)"}},
        "exception": {"values": [{"value": "no [Filtered], call [Filtered]"}]},
        "contexts": {"nextjs": {"request_path": "/orders?[Filtered]", "router_kind": "App Router"}, "trace": {"data": {
            "http.query": "[Filtered]", "db.query.text": "SELECT 1 WHERE a = ?", "gen_ai.usage.input_tokens": 3,
            "http.request.header.cookie": "[Filtered]"}}},
        "breadcrumbs": None, "user": {"id": "user-42"},
    }  # fmt: skip
