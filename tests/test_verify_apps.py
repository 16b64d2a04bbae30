"""Real applications, booted: each shows all that it can, and broken in one way it says exactly which."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from sentry_audit.proofs import NAMES
from sentry_audit.verifying import running
from tests.verifying import copied, prove, python_with

EVERYTHING = frozenset(NAMES) - {"locked"}
GREEN = {
    "fastapi": EVERYTHING,
    "flask": {"init", "error", "handled-error", "environment", "release", "request-id", "trace", "no-pii", "shutdown"},
    "django": {"init", "error", "environment", "release", "request-id", "trace", "database-span", "no-pii", "shutdown"},
    "celery": {"init", "error", "environment", "release", "shutdown"},
}


@pytest.mark.parametrize("name", GREEN)
def test_a_sound_application_shows_all_that_it_can(name: str, tmp_path: Path) -> None:
    root = copied(name, tmp_path)
    found = prove(root, names=NAMES)
    assert found.red == {}, [item.problem for item in found.proofs.values() if item.problem]
    assert found.unknown == set()
    assert found.shown == GREEN[name]


CODE, MAIN = "app/telemetry.py", "app/main.py"
INIT = "    sentry_sdk.init(\n"
START = "telemetry.start()\n"
SWALLOWED = "try:\n    telemetry.start()\nexcept Exception as error:\n    print('no telemetry', error)\n"
LISTED = "import sentry_sdk\nfrom sentry_sdk.integrations.sqlalchemy import SqlalchemyIntegration\n"
CALLED = "    return await call_next(request)\n"
CAUGHT = f"    try:\n    {CALLED}    except Exception:\n        return JSONResponse(status_code=500, content={{}})\n"
HELLO = '    await websocket.send_text("hello")\n'
CLOSED = """    try:
        await websocket.receive_json()
    except Exception:
        await websocket.close(1011)
"""
#: What is broken: (the file, the old text, the new one), the proof that is red, and its reason.
BROKEN: dict[str, tuple[list[tuple[str, str, str]], str, str]] = {
    "the deployment passes no DSN": (
        [("deploy.sh", '--set-secrets="SENTRY_DSN=sentry-dsn-staging:latest"', "--quiet")],
        "init",
        "no-dsn",
    ),
    "a flag that nobody sets": (
        [(MAIN, START, "import os\nif os.environ.get('SENTRY_ENABLED') == '1':\n    telemetry.start()\n")],
        "init",
        "disabled",
    ),
    "an option that no version has": (
        [(CODE, INIT, INIT + "        enable_everything=True,\n"), (MAIN, START, SWALLOWED)],
        "init",
        "invalid-option",
    ),
    "a DSN that is none": (
        [(CODE, 'os.environ.get("SENTRY_DSN")', '"sentry-dsn-staging"'), (MAIN, START, SWALLOWED)],
        "init",
        "bad-dsn",
    ),
    "a second init": ([(MAIN, START, START + "sentry_sdk.init(dsn='')\n")], "init", "second-init"),
    "a hook that forgets to return": ([(CODE, "    return event\n", "")], "error", "before-send-dropped"),
    "a hook that raises": (
        [(CODE, 'event.pop("breadcrumbs", None)', 'del event["nothing"]')],
        "error",
        "before-send-raised",
    ),
    "a sample rate of nothing": ([(CODE, INIT, INIT + "        sample_rate=0.0,\n")], "error", "sampled-out"),
    "an error that is ignored": ([(CODE, INIT, INIT + "        ignore_errors=[RuntimeError],\n")], "error", "ignored"),
    "no integrations": ([(CODE, INIT, INIT + "        default_integrations=False,\n")], "error", "no-integration"),
    "a handler that keeps it for itself": (
        [(MAIN, "    sentry_sdk.capture_exception(error)\n", "")],
        "handled-error",
        "not-captured",
    ),
    "middleware that makes an answer of it": ([(MAIN, CALLED, CAUGHT)], "error", "not-captured"),
    "a WebSocket that is closed in silence": ([(MAIN, HELLO, CLOSED)], "websocket", "not-captured"),
    "another environment's name": (
        [(CODE, INIT, INIT + "        environment='production',\n")],
        "environment",
        "wrong-environment",
    ),
    "a release that is a constant": ([(CODE, INIT, INIT + "        release='unknown',\n")], "release", "no-release"),
    "no request id": (
        [(MAIN, 'sentry_sdk.set_tag("request_id", request.headers.get("x-request-id", ""))', "pass")],
        "request-id",
        "no-request-id",
    ),
    "an integration that is off": (
        [
            (CODE, INIT, INIT + "        disabled_integrations=[SqlalchemyIntegration()],\n"),
            (CODE, "import sentry_sdk\n", LISTED),
        ],
        "database-span",
        "no-span",
    ),
    "local variables": ([(CODE, "include_local_variables=False", "include_local_variables=True")], "no-pii", "leak"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_an_application_that_is_broken_in_one_way_is_red_for_just_that(how: str, tmp_path: Path) -> None:
    edits, proof, reason = BROKEN[how]
    root = copied("fastapi", tmp_path)
    for path, old, new in edits:
        text = (root / path).read_text(encoding="utf-8")
        assert old in text
        (root / path).write_text(text.replace(old, new), encoding="utf-8")
    found = prove(root)
    assert found.red[proof] == reason, found.proofs[proof]
    assert set(found.red) <= {proof, *ALSO.get(how, ())}, found.red


#: What else cannot be shown then.
ALSO = {
    "a hook that forgets to return": (
        "handled-error",
        "websocket",
        "background",
        "database-span",
        "llm-span",
        "no-pii",
    ),
    "a hook that raises": ("handled-error", "websocket", "background", "database-span", "llm-span", "no-pii"),
    "a sample rate of nothing": ("handled-error", "websocket", "background", "no-pii"),
    "an error that is ignored": ("websocket", "background"),
    "no integrations": ("handled-error", "websocket", "background", "database-span", "llm-span", "trace"),
    "middleware that makes an answer of it": ("background",),
}


def test_a_package_that_only_this_machine_has_counts_for_nothing(tmp_path: Path) -> None:
    root = copied("celery", tmp_path, {"requirements.txt": ("sentry-sdk>=2.64,<3\n", "")})
    found = prove(root)
    assert found.red == {}
    assert "as in the image" in found.proofs["init"].unknown
    guarded = "try:\n    import sentry_sdk\nexcept ImportError:\n    sentry_sdk = None\n"
    text = (root / "tasks.py").read_text().replace("import sentry_sdk\n", guarded)
    (root / "tasks.py").write_text(text.replace("sentry_sdk.init(", "sentry_sdk and sentry_sdk.init("))
    assert prove(root).red == {"init": "no-sdk"}


def test_a_dsn_that_stands_in_a_file_of_this_machine_alone_counts_for_nothing(tmp_path: Path) -> None:
    loaded = "from dotenv import load_dotenv\n\nload_dotenv()\nsentry_sdk.init("
    root = copied("flask", tmp_path, {"shop.py": ("sentry_sdk.init(", loaded)})
    (root / "deploy.sh").write_text(
        "gcloud run deploy shop-staging --source . --set-env-vars SENTRY_ENVIRONMENT=staging\n"
    )
    (root / ".env").write_text("SENTRY_DSN=https://0123456789abcdef0123456789abcdef@o1.ingest.us.sentry.io/12\n")
    assert "error" in prove(root).shown  # it would be committed, and deployed
    (root / ".gitignore").write_text(".env\n")
    found = prove(root)
    assert found.red == {"init": "local-file"}
    assert "from .env, which git ignores" in found.proofs["init"].problem


def test_a_route_of_its_own_that_fails_in_silence_is_named(tmp_path: Path) -> None:
    silent = "def index():\n    return {'status': 'down'}, 502\n"
    root = copied("flask", tmp_path, {"shop.py": ('def index():\n    return {"status": "ok"}\n', silent)})
    found = prove(root)
    assert found.red == {"handled-error": "not-captured"}
    assert found.proofs["handled-error"].problem.startswith("GET /: the answer was 502")
    assert found.proofs["handled-error"].how == "route"


def test_an_application_that_lets_nobody_in_is_not_faulted(tmp_path: Path) -> None:
    guarded = (
        "def context():\n    if request.headers.get('Authorization') != 'Bearer let-me-in':\n        return {}, 401\n"
    )
    root = copied("flask", tmp_path, {"shop.py": ("def context():\n", guarded)})
    found = prove(root)
    assert found.red == {}
    assert "answered 401" in found.proofs["error"].unknown
    wishes = running.Wishes(python=sys.executable, headers=(("Authorization", "Bearer let-me-in"),))
    assert {"error", "no-pii"} <= prove(root, wishes=wishes).shown


def test_events_that_are_queued_at_the_end_are_lost_without_a_flush(tmp_path: Path) -> None:
    found = prove(copied("fastapi", tmp_path, {"app/main.py": ("    sentry_sdk.flush(timeout=5)\n", "")}), names=NAMES)
    assert found.red == {"shutdown": "lost-at-shutdown"}
    assert re.search(
        r"\d+ of 10 events that were queued at SIGTERM under uvicorn are lost", found.proofs["shutdown"].problem
    )


def test_an_application_that_does_not_boot_here_is_not_faulted(tmp_path: Path) -> None:
    edits = {
        "app/main.py": (
            "models = openai\n",
            'import urllib.request\nurllib.request.urlopen("http://db.internal:5432")\n',
        )
    }
    found = prove(copied("fastapi", tmp_path, edits))
    assert found.red == {}
    assert found.unknown == set(NAMES)
    assert "does not boot here" in found.proofs["init"].unknown
    assert "db.internal" in found.proofs["init"].unknown
    assert "urlopen" in found.proofs["init"].hint


def test_a_real_sentry_host_never_hears_of_it(tmp_path: Path) -> None:
    key = "0123456789abcdef0123456789abcdef"
    dsn = f'"https://{key}@o4505000000000009.ingest.de.sentry.io/4505000000000003"'
    probe = (
        "import socket\n"
        "for name in ('o4505000000000009.ingest.de.sentry.io', '34.120.195.249'):\n"
        "    try:\n        socket.create_connection((name, 443), 2)\n    except OSError:\n        pass\n"
        "print('connect_ex', socket.socket().connect_ex(('34.120.195.249', 443)))\n"
    )
    edits = {"app/telemetry.py": ('os.environ.get("SENTRY_DSN")', dsn), "app/main.py": (START, START + probe)}
    found = prove(copied("fastapi", tmp_path, edits))
    assert "error" in found.shown
    blocked = [(item["host"], item["how"]) for item in found.seen.of("blocked")]
    assert blocked == [
        ("o4505000000000009.ingest.de.sentry.io", "socket.getaddrinfo"),
        ("34.120.195.249", "socket.connect"),
        ("34.120.195.249", "socket.connect"),
    ]  # only what the test asked for: the SDK itself never tried
    assert all(key not in repr(item) for item in (*found.seen.records, *found.proofs.values()))


def test_nothing_of_it_runs_on(tmp_path: Path) -> None:
    root = copied(
        "flask",
        tmp_path,
        {
            "shop.py": (
                "app = Flask(__name__)\n",
                "app = Flask(__name__)\nimport subprocess\nsubprocess.Popen(['sleep', '600'])\nopen('pid', 'w').write(str(os.getpid()))\n",
            )
        },
    )
    assert "error" in prove(root).shown
    pid = int((root / "pid").read_text())
    assert pid != os.getpid()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                assert not str((entry / "cwd").readlink()).startswith(str(root))
            except (PermissionError, FileNotFoundError, ProcessLookupError):
                continue


def test_a_question_through_anthropic_makes_a_span_as_well(tmp_path: Path) -> None:
    root = copied("fastapi", tmp_path, {"requirements.txt": ("openai", "anthropic"), MAIN: ("openai", "anthropic")})
    wishes = running.Wishes(python=python_with(tmp_path, "anthropic"))
    found = prove(root, names={"init", "llm-span", "no-pii"}, wishes=wishes)
    assert found.red == {}
    assert {"llm-span", "no-pii"} <= found.shown
    [asked] = [probe for probe in found.seen.probes if probe.name == "llm"]
    assert asked.what == "a question to a model through anthropic"
