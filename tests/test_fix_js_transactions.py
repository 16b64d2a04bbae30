"""What scrubs errors scrubs transactions too: one function for both hooks, or what to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.fixers import js_scrubbing
from sentry_audit.fixing import Refusal
from tests.fixing_web import answers, fixed
from tests.test_fix_js_privacy import CLIENT, init, package, repaired
from tests.trees import audit, statuses, write

if TYPE_CHECKING:
    from pathlib import Path

CHECK = "privacy-scrubbing"
RATE = "  tracesSampleRate: Number(process.env.NEXT_PUBLIC_RATE),\n"
HOOK = """\
  beforeSend(event, hint) {
    if (hint.originalException instanceof AbortError) return null;

    // No addresses.
    const user = event.user;
    if (!user) return event;
    delete user.email;
    return event;
  },
"""
SHARED = """\
import * as Sentry from '@sentry/nextjs';

function scrubEvent(event: Sentry.Event) {
  // No addresses.
  const user = event.user;
  if (!user) return;
  delete user.email;
}

Sentry.init({
  dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,
  tracesSampleRate: Number(process.env.NEXT_PUBLIC_RATE),
  beforeSend(event, hint) {
    if (hint.originalException instanceof AbortError) return null;

    scrubEvent(event);
    return event;
  },
  beforeSendTransaction(event) {
    scrubEvent(event);
    return event;
  },
});
"""
BOTH = """\
  beforeSend: (event) => {
    scrubEvent(event);
    return event;
  },
  beforeSendTransaction(event) {
    scrubEvent(event);
    return event;
  },
"""


def refused(root: Path, options: str, version: str = "^10.60.0", before: str = "") -> Refusal:
    files = init(RATE + options, version)
    write(root, files | {CLIENT: files[CLIENT].replace("\nSentry.init", f"\n{before}Sentry.init")})
    [answer] = answers(root, js_scrubbing.scrub, CHECK, "production")
    assert isinstance(answer, Refusal)
    return answer


def test_what_scrubs_is_shared_and_what_chooses_stays(tmp_path: Path) -> None:
    changed = fixed(tmp_path, init(RATE + HOOK), js_scrubbing.scrub, CHECK, "production")
    assert changed == {CLIENT: SHARED}


def test_a_hook_in_one_row(tmp_path: Path) -> None:
    row = "  beforeSend: (event) => { delete event.user; return event; },\n"
    changed = fixed(tmp_path, init(RATE + row), js_scrubbing.scrub, CHECK, "production")[CLIENT]
    assert "function scrubEvent(event: Sentry.Event) {\n  delete event.user;\n}\n\nSentry.init({" in changed
    assert (
        "  beforeSend: (event) => { scrubEvent(event); return event; },\n  beforeSendTransaction(event) {\n" in changed
    )


def test_javascript_has_no_types_and_its_init_stays_where_it_is(tmp_path: Path) -> None:
    text = (
        "import { init } from '@sentry/react'\n\nexport function start() {\n  init({\n    dsn: DSN,\n    tracesSampleRate: RATE,\n"
        "    beforeSend: (event) => {\n      delete event.user\n      return event\n    }\n  })\n}\n"
    )
    manifest = (
        '{"scripts": {"build": "vite build"}, "dependencies": {"react": "19.0.0", "@sentry/react": "^9"}, '
        '"devDependencies": {"vite": "7.0.0"}}'
    )
    page = '<script type="module" src="/src/main.js"></script>'
    main = "import { start } from './sentry'\nstart()\n"
    files = {"package.json": manifest, "index.html": page, "src/main.js": main, "src/sentry.js": text}
    [path, after] = next(iter(fixed(tmp_path, files, js_scrubbing.scrub, CHECK, "production").items()))
    assert path == "src/sentry.js"
    assert "\nfunction scrubEvent(event) {\n  delete event.user\n}\n\nexport function start() {" in after
    assert (
        "      scrubEvent(event)\n      return event\n    },\n    beforeSendTransaction(event) {\n      scrubEvent(event)\n"
        "      return event\n    }\n  })\n" in after
    )


def test_names_that_are_imported_one_by_one_and_the_type_with_them(tmp_path: Path) -> None:
    text = (
        "import { init } from '@sentry/nextjs';\n\ninit({\n  dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,\n  tracesSampleRate: RATE,\n"
        "  beforeSend(event) {\n    delete event.user;\n    return event;\n  },\n});\n"
    )
    files = {"package.json": package("^8.40.0"), CLIENT: text}
    changed = fixed(tmp_path, files, js_scrubbing.scrub, CHECK, "production")[CLIENT]
    assert changed.startswith(
        "import { init, type Event } from '@sentry/nextjs';\n\nfunction scrubEvent(event: Event) {\n"
    )


def test_a_function_of_every_event_is_given_to_both_hooks(tmp_path: Path) -> None:
    files = init(RATE + "  beforeSend: scrub,\n")
    scrub = "function scrub<E extends Sentry.Event>(event: E): E {\n  delete event.user;\n  return event;\n}\n"
    files[CLIENT] = files[CLIENT].replace("\nSentry.init", f"\n{scrub}\nSentry.init")
    changed = fixed(tmp_path, files, js_scrubbing.scrub, CHECK, "production")[CLIENT]
    assert changed == files[CLIENT].replace("scrub,\n", "scrub,\n  beforeSendTransaction: scrub,\n")


def test_masks_and_transactions_are_repaired_at_once(tmp_path: Path) -> None:
    hook = "  beforeSend: (event) => {\n    delete event.user;\n    return event;\n  },\n"
    replay = "  replaysOnErrorSampleRate: 1,\n  integrations: [Sentry.replayIntegration({ maskAllText: false })],\n"
    after = repaired(tmp_path, CHECK, RATE + replay + hook)
    assert after.endswith(RATE + replay.replace("{ maskAllText: false }", "") + BOTH)


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ("  beforeSend(event) {\n    delete event.user;\n    return event.level ? event : null;\n  },\n", "does not end with"),
        ("  beforeSend(event) {\n    if (event.user) {\n      delete event.user;\n      return null;\n    }\n    return event;\n  },\n",
         "drops events among what it scrubs"),
        ("  beforeSend(event, hint) {\n    event.extra = hint.data;\n    return event;\n  },\n", "uses hint"),
        ("  async beforeSend(event) {\n    event.user = await own();\n    return event;\n  },\n", "or waits"),
        ("  beforeSend: ({ user, ...event }) => {\n    delete event.extra;\n    return event;\n  },\n", "no plain function"),
        ("  beforeSend: make((event) => {\n    delete event.extra;\n    return event;\n  }),\n", "no plain function"),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_as_it_is_can_be_pasted(tmp_path: Path, hook: str, reason: str) -> None:
    answer = refused(tmp_path, hook)
    assert reason in answer.reason
    assert answer.commands[0] == "beforeSendTransaction(event) {"


def test_a_function_of_errors_alone_is_told_the_type_that_fits_both(tmp_path: Path) -> None:
    before = (
        "const scrub = (event: Sentry.ErrorEvent): Sentry.ErrorEvent => {\n  delete event.user;\n  return event;\n};\n"
    )
    answer = refused(tmp_path, "  beforeSend: scrub,\n", before=before)
    assert answer.commands == ("function scrub<E extends Sentry.Event>(event: E): E {", "beforeSendTransaction: scrub,")


def test_spans_are_sent_without_transactions_since_11(tmp_path: Path) -> None:
    hook = "  beforeSend(event) {\n    if (event.user) delete event.user.email;\n    return event;\n  },\n"
    answer = refused(tmp_path, hook + "  dataCollection: { userInfo: false },\n", "^11.2.0")
    assert answer.commands == (
        "beforeSendSpan(span) {", '  delete span.attributes["user.email"];', "  return span;", "},"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "version", "expected"),
    [
        ("  beforeSendTransaction: (event) => event,\n", "^10.2.0", "pass"),
        ("  beforeSendTransaction: (event) => event,\n", "^11.2.0", "gap"),
        ("  beforeSendTransaction: (event) => event,\n  traceLifecycle: 'static',\n", "^11.2.0", "pass"),
        ("  beforeSendTransaction: (event) => event,\n  traceLifecycle: 'stream',\n", "^10.60.0", "gap"),
        ("  beforeSendSpan: (span) => span,\n", "^11.2.0", "pass"),
    ],
)
def test_which_hook_sees_what_is_traced(tmp_path: Path, options: str, version: str, expected: str) -> None:
    hook = "  beforeSend(event) {\n    delete event.user;\n    return event;\n  },\n"
    assert statuses(audit(tmp_path, init(RATE + hook + options, version), "production"), CHECK) == {expected}


def test_a_hook_of_another_file_is_read(tmp_path: Path) -> None:
    files = init(RATE + "  beforeSend: scrub,\n")
    files[CLIENT] = "import { scrub } from './scrub';\n" + files[CLIENT]
    files["scrub.ts"] = (
        "export const scrub = <E extends object>(event: E): E => {\n  delete event.user;\n  return event;\n};\n"
    )
    changed = fixed(tmp_path, files, js_scrubbing.scrub, CHECK, "production")
    assert changed == {CLIENT: files[CLIENT].replace("scrub,\n", "scrub,\n  beforeSendTransaction: scrub,\n")}
