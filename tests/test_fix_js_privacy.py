"""What browsers send of users: each fixer closes its gap, opens no other, and leaves all else as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.fixers import js_privacy, js_scrubbing
from sentry_audit.fixing import Refusal
from tests.fixing_web import answers, fixed
from tests.trees import audit, statuses

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "import * as Sentry from '@sentry/nextjs';\n\nSentry.init({\n  dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,\n"
CLIENT = "instrumentation-client.ts"
BLOCK = """\
  dataCollection: {
    userInfo: false,
    cookies: false,
    httpHeaders: { deny: ['forwarded', '-ip', 'remote-', 'via', '-user'] },
    httpBodies: [],
    urlQueryParams: { deny: ['forwarded', '-ip', 'remote-', 'via', '-user'] },
    genAI: { inputs: false, outputs: false },
    databaseQueryData: false,
  },
"""


def package(version: str) -> str:
    return (
        '{"scripts": {"build": "next build"}, "dependencies": {"next": "15.3.0", "react": "19.0.0", '
        f'"@sentry/nextjs": "{version}"}}}}'
    )


def init(options: str, version: str = "^10.60.0") -> dict[str, str]:
    return {"package.json": package(version), CLIENT: f"{HEAD}{options}}});\n"}


def repaired(root: Path, check: str, options: str, version: str = "^10.60.0") -> str:
    """The options after the fix of ``check``."""
    fixer = (js_privacy.FIXERS | js_scrubbing.FIXERS)[check]
    text = fixed(root, init(options, version), fixer, check, "production")[CLIENT]
    return text.removeprefix(HEAD).removesuffix("});\n")


# --- personal data that is asked for ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  sendDefaultPii: true,\n", ""),
        ("  debug: false, // quiet\n  sendDefaultPii: true\n", "  debug: false // quiet\n"),
        ("  sendDefaultPii: true, // send it\n  // All.\n  debug: false,\n", "  // All.\n  debug: false,\n"),
        ("  // Send users' IP addresses,\n  // see the docs.\n  sendDefaultPii: true,\n", ""),
        ("  // What follows is for staging.\n  sendDefaultPii: true,\n", "  // What follows is for staging.\n"),
        ("\n  // Sends PII.\n  sendDefaultPii: true,\n\n  debug: false,\n", "\n  debug: false,\n"),
        ("  debug: false,\n\n  sendDefaultPii: true,\n", "  debug: false,\n"),
        ("  debug: false, sendDefaultPii: true,\n", "  debug: false,\n"),
        ("  sendDefaultPii: true, debug: false,\n", "  debug: false,\n"),
    ],
)
def test_personal_data_is_asked_for_no_more(tmp_path: Path, before: str, after: str) -> None:
    assert repaired(tmp_path, "privacy-default-pii", before) == after


def test_line_ends_stay(tmp_path: Path) -> None:
    files = {name: text.replace("\n", "\r\n") for name, text in init("  sendDefaultPii: true,\n").items()}
    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode())
    [answer] = answers(tmp_path, js_privacy.default_pii, "privacy-default-pii", "production")
    assert not isinstance(answer, Refusal)
    assert [edit.after for edit in answer.edits] == [init("")[CLIENT].replace("\n", "\r\n")]


def test_its_successors_are_switched_off(tmp_path: Path) -> None:
    before = "  dataCollection: { userInfo: true, cookies: true, httpBodies: ['incomingRequest'], genAI: GEN },\n"
    after = "  dataCollection: { userInfo: false, cookies: false, httpBodies: [], genAI: GEN },\n"
    assert repaired(tmp_path, "privacy-default-pii", before) == after


@pytest.mark.parametrize(
    ("options", "version", "expected"),
    [
        ("  dataCollection: { userInfo: true },\n", "^10.60.0", "gap"),
        ("  dataCollection: { userInfo: true },\n", "^10.50.0", "pass"),
        ("  dataCollection: { userInfo: false, cookies: { deny: ['x'] }, httpBodies: [] },\n", "^11.2.0", "pass"),
        ("  dataCollection: collected,\n", "^11.2.0", "pass"),
    ],
)
def test_what_data_collection_asks_for(tmp_path: Path, options: str, version: str, expected: str) -> None:
    assert statuses(audit(tmp_path, init(options, version), "production"), "privacy-default-pii") == {expected}


# --- what is collected by default -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "version"),
    [
        ("", BLOCK, "^11.2.0"),
        ("  debug: false,\n", BLOCK + "  debug: false,\n", "^11.2.0"),
        ("  sendDefaultPii: false,\n  debug: false,\n", BLOCK + "  debug: false,\n", "^11.2.0"),
        ("  dataCollection: {},\n", BLOCK, "^11.2.0"),
        ("  dataCollection: {},\n", BLOCK, "^10.60.0"),
        (
            "  dataCollection: { genAI: GEN },\n",
            "  dataCollection: { genAI: GEN, userInfo: false, cookies: false, httpBodies: [] },\n",
            "^11.2.0",
        ),
        (
            "  dataCollection: {\n    queues: false,\n  },\n",
            "  dataCollection: {\n    queues: false,\n    userInfo: false,\n    cookies: false,\n    httpBodies: [],\n  },\n",
            "^11.2.0",
        ),
    ],
)
def test_no_more_is_collected_than_before_11(tmp_path: Path, before: str, after: str, version: str) -> None:
    assert repaired(tmp_path, "privacy-scrubber-active", before, version) == after


def test_an_init_in_one_row_is_laid_out(tmp_path: Path) -> None:
    text = "import { init } from '@sentry/nextjs'\n\ninit({ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN, debug: false })\n"
    files = {"package.json": package("^11.2.0"), CLIENT: text}
    changed = fixed(tmp_path, files, js_privacy.collection, "privacy-scrubber-active", "production")
    laid_out = f"init({{\n  dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,\n{BLOCK}  debug: false,\n}})\n"
    assert changed == {CLIENT: "import { init } from '@sentry/nextjs'\n\n" + laid_out}


def test_tabs_and_double_quotes_are_kept(tmp_path: Path) -> None:
    text = (
        'import * as Sentry from "@sentry/nextjs";\n\nSentry.init({\n\tdsn: process.env.NEXT_PUBLIC_SENTRY_DSN,\n'
        '\tenvironment: "production",\n});\n'
    )
    files = {"package.json": package("^11.2.0"), CLIENT: text}
    changed = fixed(tmp_path, files, js_privacy.collection, "privacy-scrubber-active", "production")[CLIENT]
    block = BLOCK.replace("    ", "\t\t").replace("  ", "\t").replace("'", '"')
    assert changed == text.replace("});", f"{block}}});")


# --- masks of replays -------------------------------------------------------------------------------------

RATE = "  replaysOnErrorSampleRate: 1.0,\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Sentry.replayIntegration({ maskAllText: false })", "Sentry.replayIntegration()"),
        (
            "Sentry.replayIntegration({ maskAllText: false, mask: ['.a'], blockAllMedia: false })",
            "Sentry.replayIntegration({ mask: ['.a'] })",
        ),
        (
            (
                "Sentry.replayIntegration({\n      // Show all text\n      maskAllText: false,\n"
                "      maskAllInputs: false, // too\n      // For the API.\n      networkDetailAllowUrls: [API]\n    })"
            ),
            "Sentry.replayIntegration({\n      // For the API.\n      networkDetailAllowUrls: [API]\n    })",
        ),
        (
            "Sentry.replayIntegration({\n      mask: ['.a'],\n      maskAllText: false\n    })",
            "Sentry.replayIntegration({\n      mask: ['.a']\n    })",
        ),
        (
            "Sentry.replayIntegration({ ...shared, maskAllText: false })",
            "Sentry.replayIntegration({ ...shared })",
        ),
    ],
)
def test_replays_have_their_masks_again(tmp_path: Path, before: str, after: str) -> None:
    options = RATE + "  integrations: [\n    {},\n  ],\n"
    result = repaired(tmp_path, "privacy-scrubbing", options.replace("{}", before))
    assert result == options.replace("{}", after)


def test_the_replay_of_version_7_is_made_with_new(tmp_path: Path) -> None:
    before = RATE + "  integrations: [new Sentry.Replay({ maskAllText: true, blockAllMedia: false })],\n"
    after = RATE + "  integrations: [new Sentry.Replay({ maskAllText: true })],\n"
    assert repaired(tmp_path, "privacy-scrubbing", before, "^7.100.0") == after


def test_the_rates_of_replays_may_come_from_options_that_are_shared(tmp_path: Path) -> None:
    options = "  ...shared,\n  integrations: [Sentry.replayIntegration({ maskAllText: false })],\n"
    assert repaired(tmp_path, "privacy-scrubbing", options) == options.replace("{ maskAllText: false }", "")
