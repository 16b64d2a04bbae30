"""What the options of a browser's init do: sampling, hooks, privacy, the environment's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.test_frontend import next_app, vite_app
from tests.trees import FASTAPI, SDK, audit, findings, message, statuses

if TYPE_CHECKING:
    from pathlib import Path

DSN = "dsn: process.env.NEXT_PUBLIC_SENTRY_DSN"


def options(text: str, before: str = "", version: str = "^10") -> dict[str, str]:
    init = f"import * as Sentry from '@sentry/nextjs';\n{before}Sentry.init({{\n  {DSN},\n  {text}\n}});\n"
    files = next_app(**{"instrumentation-client.ts": init})
    files["web/package.json"] = files["web/package.json"].replace("^10", version)
    return files


# --- sampling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "before", "expected"),
    [
        ("tracesSampleRate: 1,", "", "gap"),
        ("tracesSampleRate: 0.1,", "", "gap"),
        ("tracesSampleRate: RATE,", "const RATE = 1.0;\n", "gap"),
        ("tracesSampleRate: process.env.NODE_ENV === 'production' ? 0.1 : 1,", "", "pass"),
        ("tracesSampleRate: Number(process.env.NEXT_PUBLIC_RATE ?? 0.1),", "", "pass"),
        ("tracesSampler: () => 0.5,", "", "pass"),
        ("tracesSampleRate: 0,", "", "skipped"),
        ("", "", "skipped"),
    ],
)
def test_one_rate_for_all_environments(tmp_path: Path, text: str, before: str, expected: str) -> None:
    assert statuses(audit(tmp_path, options(text, before)), "sampling-per-environment", "web") == {expected}


@pytest.mark.parametrize(
    ("text", "version", "expected"),
    [
        ("tracesSampleRate: 10,", "^10", "outside 0.0 to 1.0"),
        ("replaysSessionSampleRate: 100,", "^10", "outside 0.0 to 1.0"),
        ("sampleRate: 0,", "^10", "every error is dropped"),
        ("tracesSampleRate: process.env.NEXT_PUBLIC_RATE,", "^7.100.0", "NEXT_PUBLIC_RATE is a string"),
        ("tracesSampleRate: process.env.NEXT_PUBLIC_RATE,", "^8.0.0", ""),
        ("tracesSampleRate: Number(process.env.NEXT_PUBLIC_RATE),", "^7.100.0", ""),
        ("sampleRate: 0.5,", "^10", ""),
    ],
)
def test_rates_that_cannot_do_what_they_say(tmp_path: Path, text: str, version: str, expected: str) -> None:
    report = audit(tmp_path, options(text, version=version))
    assert statuses(report, "sample-rates-effective", "web") == ({"gap"} if expected else {"pass"})
    assert expected in message(report, "sample-rates-effective")
    assert {item.area for item in findings(report, "sample-rates-effective", "web")} == {"frontend"}


# --- hooks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "before", "expected"),
    [
        ("beforeSend: () => null,", "", "returns null for every event"),
        ("beforeSend(event) { delete event.user; },", "", "never returns the event"),
        ("beforeSend: drop,", "const drop = (event) => { if (event) { return null; } return null; };\n", "on every path"),
        ("beforeSend: (event) => (event.level === 'debug' ? null : event),", "", ""),
        ("beforeSend(event) { if (event.tags?.spam) { return null; } return event; },", "", ""),
        ("beforeSend(event) { event.request.url = ''; return event; },", "", "throws on events without request"),
        ("beforeSend(event) { if (event.request) { event.request.url = ''; } return event; },", "", ""),
        ("beforeSend(event) { if (!event.request) return event; event.request.url = ''; return event; },", "", ""),
        ("beforeSend(event) { try { event.request.url = ''; } catch {} return event; },", "", ""),
        ("beforeSend(event) { const f = () => { return null; }; f(); return event; },", "", ""),
        ("beforeSend(event: Sentry.ErrorEvent) { return event.exception!.values![0] ? event : null; },", "", "without exception"),
    ],
)  # fmt: skip
def test_whether_events_survive_a_hook(tmp_path: Path, text: str, before: str, expected: str) -> None:
    report = audit(tmp_path, options(text, before))
    assert statuses(report, "hooks-keep-events", "web") == ({"gap"} if expected else {"pass"}), message(
        report, "hooks-keep-events"
    )
    assert expected in message(report, "hooks-keep-events")


def test_a_hook_of_another_file(tmp_path: Path) -> None:
    files = options("beforeSend: scrub,", "import { scrub } from './lib/scrub';\n")
    files["web/lib/scrub.ts"] = "export function scrub(event) {\n  delete event.user;\n}\n"
    [found] = findings(audit(tmp_path / "a", files), "hooks-keep-events", "web")
    assert found.status.value == "gap"
    assert [str(place) for place in found.evidence] == ["web/instrumentation-client.ts:5", "web/lib/scrub.ts:1"]
    unseen = options("beforeSend: scrub,", "import { scrub } from '@acme/scrub';\n")
    assert statuses(audit(tmp_path / "b", unseen), "hooks-keep-events", "web") == {"unknown"}


# --- privacy -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "version", "check", "expected"),
    [
        ("sendDefaultPii: true,", "^10", "privacy-default-pii", "gap"),
        ("sendDefaultPii: false,", "^10", "privacy-default-pii", "pass"),
        ("// sendDefaultPii: true,", "^10", "privacy-default-pii", "pass"),
        ("", "^11.2.0", "privacy-scrubber-active", "gap"),
        ("dataCollection: { userInfo: false },", "^11.2.0", "privacy-scrubber-active", "pass"),
        ("", "^10.0.0", "privacy-scrubber-active", "pass"),
        ("replaysOnErrorSampleRate: 1,\n  integrations: [Sentry.replayIntegration({ maskAllText: false })],", "^10",
         "privacy-scrubbing", "gap"),
        ("replaysOnErrorSampleRate: 1,\n  integrations: [Sentry.replayIntegration()],", "^10", "privacy-scrubbing", "pass"),
        ("integrations: [Sentry.replayIntegration({ maskAllText: false })],", "^10", "privacy-scrubbing", "skipped"),
        ("", "^10", "privacy-scrubbing", "skipped"),
        ("tracesSampleRate: RATE,\n  beforeSend(event) { delete event.user; return event; },", "^10", "privacy-scrubbing", "gap"),
        ("tracesSampleRate: RATE,\n  beforeSend(event) { return event.level ? event : null; },", "^10", "privacy-scrubbing", "pass"),
        ("tracesSampleRate: RATE,\n  beforeSend(event) { delete event.user; return event; },\n  beforeSendTransaction: (e) => e,",
         "^10", "privacy-scrubbing", "pass"),
    ],
)  # fmt: skip
def test_what_is_sent_besides_the_error(tmp_path: Path, text: str, version: str, check: str, expected: str) -> None:
    assert statuses(audit(tmp_path, options(text, version=version)), check, "web") == {expected}


# --- the environment's name ----------------------------------------------------------------------

LABEL = "deploy-environment-declared"


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("", "staging", "labelled production"),
        ("", "production", ""),
        ("environment: 'production',", "staging", "the constant 'production'"),
        ("environment: 'staging',", "staging", ""),
        ("environment: process.env.NODE_ENV,", "staging", "NODE_ENV, which is 'production' in every build"),
        ("environment: process.env.NODE_ENV,", "production", ""),
        ("environment: window.location.host,", "staging", ""),
    ],
)
def test_the_name_of_the_environment(tmp_path: Path, text: str, environment: str, expected: str) -> None:
    report = audit(tmp_path, options(text), environment)
    assert statuses(report, LABEL, "web") == ({"gap"} if expected else {"pass"})
    assert expected in message(report, LABEL)


def test_a_variable_names_the_environment_if_the_build_has_it(tmp_path: Path) -> None:
    files = options("environment: process.env.NEXT_PUBLIC_ENV || 'production',")
    files["web/.env.staging"] = "NEXT_PUBLIC_ENV=staging\n"
    files["web/build.sh"] = "cp .env.staging .env.local\nnpm run build\n"
    assert statuses(audit(tmp_path / "a", files), LABEL, "web") == {"pass"}
    del files["web/.env.staging"]
    files["web/Dockerfile"] = "FROM node\nCOPY . .\nRUN npm ci && npm run build\n"
    report = audit(tmp_path / "b", files)
    assert "nothing gives the build of staging: it falls back to 'production'" in message(report, LABEL)


def test_a_mode_of_vite_names_the_environment(tmp_path: Path) -> None:
    init = (
        "import * as Sentry from '@sentry/react';\n"
        "Sentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN, environment: import.meta.env.MODE });\n"
    )
    files = vite_app(init)
    assert statuses(audit(tmp_path / "a", files), LABEL, "web") == {"gap"}
    files["web/package.json"] = files["web/package.json"].replace(
        '"vite build"',
        '"vite build", "build:staging": "vite build --mode staging", "analyze": "vite build --mode analyze"',
    )
    assert statuses(audit(tmp_path / "b", files), LABEL, "web") == {"pass"}
    report = audit(tmp_path / "c", files, "qa")
    assert "MODE, which is 'production' in every build" in message(report, LABEL)


def test_a_choice_of_names_that_leaves_the_environment_out(tmp_path: Path) -> None:
    text = "environment: process.env.NODE_ENV === 'production' ? 'production' : 'development',"
    report = audit(tmp_path, options(text))
    assert "'production' or 'development', never 'staging'" in message(report, LABEL)


def test_what_closes_a_gap_is_said_in_the_language_of_the_component(tmp_path: Path) -> None:
    files = {
        **options("sendDefaultPii: true,"),
        "api/requirements.txt": SDK,
        "api/main.py": f"import sentry_sdk\nsentry_sdk.init(send_default_pii=True)\n{FASTAPI}",
    }
    report = audit(tmp_path, files)
    said = {item.component: item.remedy for item in findings(report, "privacy-default-pii")}
    assert said["web"] is not None
    assert said["web"].summary == "Remove sendDefaultPii, and set what is needed with setUser"
    assert said["api"] is not None
    assert "send_default_pii" in said["api"].summary


# --- conditions ----------------------------------------------------------------------------------

ENABLED = "frontend-init-enabled"


@pytest.mark.parametrize(
    ("condition", "files", "expected"),
    [
        ("process.env.NODE_ENV === 'production'", {}, "pass"),
        ("process.env.NODE_ENV !== 'production'", {}, "gap"),
        ("process.env.NODE_ENV === 'staging'", {}, "gap"),
        ("process.env.NEXT_PUBLIC_APP_ENV === 'production'", {".env.staging": "NEXT_PUBLIC_APP_ENV=staging\n"}, "gap"),
        ("process.env.NEXT_PUBLIC_APP_ENV === 'staging'", {".env.staging": "NEXT_PUBLIC_APP_ENV=staging\n"}, "pass"),
        ("process.env.NEXT_PUBLIC_APP_ENV === 'production'", {}, "gap"),
        ("process.env.NEXT_PUBLIC_APP_ENV === 'stg'", {}, "unknown"),
        ("process.env.NEXT_PUBLIC_APP_ENV !== 'local'", {}, "pass"),
        ("['staging', 'production'].includes(process.env.NEXT_PUBLIC_APP_ENV)", {}, "pass"),
        ("process.env.NEXT_PUBLIC_SENTRY_ENABLED === 'true'", {"Dockerfile": "FROM node\nRUN npm run build\n"}, "gap"),
        (
            "process.env.NEXT_PUBLIC_SENTRY_ENABLED === 'true'",
            {".env.staging": "NEXT_PUBLIC_SENTRY_ENABLED=true\n"},
            "pass",
        ),
        ("process.env.NEXT_PUBLIC_SENTRY_ENABLED === 'true'", {}, "unknown"),
        ("typeof window !== 'undefined'", {}, "pass"),
        ("typeof window === 'undefined'", {}, "gap"),
        ("process.env.NEXT_PUBLIC_SENTRY_DSN", {}, "pass"),
        ("process.env.NEXT_PUBLIC_SENTRY_DSN && process.env.NODE_ENV === 'production'", {}, "pass"),
        ("process.env.NEXT_PUBLIC_SENTRY_DSN && process.env.NODE_ENV === 'test'", {}, "gap"),
        ("!Sentry.isInitialized()", {}, "pass"),
        ("window.location.hostname !== 'localhost'", {}, "unknown"),
        ("consent || process.env.NODE_ENV === 'production'", {}, "pass"),
        ("consent && process.env.NODE_ENV === 'development'", {}, "gap"),
    ],
)
def test_whether_init_runs_in_an_environment(
    tmp_path: Path, condition: str, files: dict[str, str], expected: str
) -> None:
    init = f"import * as Sentry from '@sentry/nextjs';\nif ({condition}) {{\n  Sentry.init({{ {DSN} }});\n}}\n"
    copies = {"build.sh": "cp .env.staging .env.local\nnpm run build\n"}
    report = audit(tmp_path, next_app(**{"instrumentation-client.ts": init, **copies, **files}))
    assert statuses(report, ENABLED, "web") == {expected}, message(report, ENABLED)


def test_the_option_enabled_and_an_early_return_count(tmp_path: Path) -> None:
    option = options("enabled: process.env.NODE_ENV === 'development',")
    assert statuses(audit(tmp_path / "a", option), ENABLED, "web") == {"gap"}
    early = (
        "import * as Sentry from '@sentry/nextjs';\nconst local = process.env.NODE_ENV !== 'production';\nfunction start() {\n"
        f"  if (local) return;\n  Sentry.init({{ {DSN} }});\n}}\nstart();\n"
    )
    assert statuses(audit(tmp_path / "b", next_app(**{"instrumentation-client.ts": early})), ENABLED, "web") == {"pass"}


def test_a_name_for_whether_there_is_a_dsn(tmp_path: Path) -> None:
    before = "const dsn = process.env.NEXT_PUBLIC_SENTRY_DSN;\nconst sentryEnabled = Boolean(dsn);\n"
    assert statuses(audit(tmp_path / "a", options("enabled: sentryEnabled,", before)), ENABLED, "web") == {"pass"}
    before = "const dsn = process.env.NEXT_PUBLIC_SENTRY_DSN;\nconst on = !!dsn && process.env.NODE_ENV === 'test';\n"
    assert statuses(audit(tmp_path / "b", options("enabled: on,", before)), ENABLED, "web") == {"gap"}


def test_an_init_without_conditions_has_none_to_judge(tmp_path: Path) -> None:
    assert statuses(audit(tmp_path, options("")), ENABLED, "web") == {"skipped"}
