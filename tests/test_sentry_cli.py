"""Sentry on the command line: with a token, without one, from evidence; and secrets that stay secret."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from msgspec import Struct

from sentry_audit.applying.dsn_source import dsn_source
from sentry_audit.errors import SettingsError, UsageError
from sentry_audit.reporters.schema import output_schema
from sentry_audit.sentry_project import SentryOptions
from sentry_audit.settings import parse
from tests.gcp_server.server import GcpServer
from tests.sentries import DSN, PUBLIC, SECRETS, TOKEN, everything_right, project_of
from tests.sentry_server.server import SentryServer
from tests.sentry_server.state import Key
from tests.trees import write
from tests.worlds import FILES, STAGING
from tests.worlds import everything_right as right_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
NAMES = ("sentry-key-active", "sentry-events-seen", "sentry-alert-rules")
LITERAL = {
    **{name: text for name, text in FILES.items() if name != "deploy.sh"},
    "main.py": f'import sentry_sdk\nfrom fastapi import FastAPI\n\nsentry_sdk.init(dsn="{DSN}")\napp = FastAPI()\n',
}


class World(Struct):
    """A repository, the cloud that it is deployed to, and the Sentry that its DSN leads to."""

    cloud: GcpServer
    sentry: SentryServer
    root: Path
    home: Path

    def run(self, *arguments: str | Path, **environment: str | None) -> subprocess.CompletedProcess[str]:
        """Run the program with a token, and with what ``environment`` changes."""
        dropped = ("GOOGLE_", "CLOUDSDK_", "GCE_", "SENTRY_")
        usual: dict[str, str | None] = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
        usual |= {
            "HOME": str(self.home), "COLUMNS": "80", "SENTRY_AUTH_TOKEN": TOKEN, "SENTRY_URL": self.sentry.url,
            "NO_PROXY": "127.0.0.1", **environment,
        }  # fmt: skip
        return subprocess.run(
            [sys.executable, "-m", "sentry_audit", *map(str, arguments)],
            capture_output=True, text=True, cwd=ROOT, check=False, timeout=60,
            env={key: value for key, value in usual.items() if value is not None},
        )  # fmt: skip

    def check(self, *more: str | Path, **environment: str | None) -> Any:
        """The report of staging, as JSON."""
        arguments = ["check", self.root, "--env", "staging", "--format", "json", *more]
        if "--offline" not in more and "--evidence" not in more:
            arguments += ["--gcp-endpoint", self.cloud.endpoint]
        done = self.run(*arguments, **environment)
        assert "Traceback" not in done.stderr
        document = json.loads(done.stdout)
        jsonschema.validate(document, output_schema())
        return document


def statuses(document: Any) -> dict[str, str]:
    return {item["check"]: item["status"] for item in document["findings"] if item["check"] in NAMES}


def link(document: Any) -> Any:
    [found] = [item for item in document["components"][0]["chain"] if item["link"] == "accepted"]
    return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    state = right_cloud()
    state.projects["shop-staging"].secrets["sentry-dsn-staging"].versions[-1].payload = DSN.encode()
    (tmp_path / "home").mkdir()
    with GcpServer(state) as cloud, SentryServer(everything_right()) as sentry:
        yield World(cloud, sentry, write(tmp_path / "shop", FILES), tmp_path / "home")


def test_the_whole_chain_is_proven_up_to_an_event_that_was_accepted(world: World) -> None:
    document = world.check()
    assert statuses(document) == dict.fromkeys(NAMES, "pass")
    assert {item["link"]: item["status"] for item in document["components"][0]["chain"]}["accepted"] == "pass"
    assert document["verdict"] == {"ready": True, "headline": "errors of staging reach Sentry: every link is proven"}
    assert document["sentry"] | {"taken_at": ""} == {
        "taken_at": "", "url": world.sentry.url, "token_source": "SENTRY_AUTH_TOKEN", "evidence": None,
        "projects": ["shop/api (451)"], "failure": "", "command": "",
    }  # fmt: skip
    done = world.run("check", world.root, "--env", "staging", "--gcp-endpoint", world.cloud.endpoint)
    assert f"{world.sentry.url} with the token of SENTRY_AUTH_TOKEN" in " ".join(done.stdout.split())


@pytest.mark.parametrize("arguments", [(), ("--offline",)])
def test_without_a_token_nothing_is_asked_and_nobody_fails_for_it(world: World, arguments: tuple[str, ...]) -> None:
    told = TOKEN if arguments else None
    document = world.check(*arguments, SENTRY_AUTH_TOKEN=told)
    assert statuses(document) == dict.fromkeys(NAMES, "skipped")
    assert link(document)["status"] == "unknown"
    assert document["sentry"] is None
    assert not document["verdict"]["ready"]
    assert world.check("--select", "area:sentry", *arguments, SENTRY_AUTH_TOKEN=told)["exit_code"] == 0
    assert world.sentry.calls == []


def test_sentry_is_not_asked_where_no_check_wants_to_know(world: World) -> None:
    world.check("--ignore", "sentry-*")
    assert world.sentry.calls == []
    world.check("--select", "sentry-alert-rules")
    assert world.sentry.calls


def test_a_dsn_that_was_not_read_is_not_asked_about_and_leaves_it_undecided(world: World) -> None:
    document = world.check("--no-payload")
    assert statuses(document) == dict.fromkeys(NAMES, "unknown")
    [finding] = [item for item in document["findings"] if item["check"] == "sentry-key-active"]
    assert finding["message"].startswith("the DSN that app has in staging is not known")
    assert (world.sentry.calls, document["sentry"]) == ([], None)
    assert statuses(world.check("--no-payload", SENTRY_AUTH_TOKEN=None)) == dict.fromkeys(NAMES, "skipped")


def test_gaps_fail_the_run_and_break_the_chain(world: World) -> None:
    project_of(world.sentry.state).keys[-1].active = False
    document = world.check()
    assert statuses(document)["sentry-key-active"] == "gap"
    assert (link(document)["status"], document["exit_code"]) == ("gap", 1)
    assert "is disabled: Sentry refuses what is sent with it" in document["verdict"]["headline"]


def test_a_token_that_may_not_look_leaves_it_undecided(world: World) -> None:
    world.sentry.state.tokens[TOKEN] = frozenset({"org:ci"})
    document = world.check()
    assert statuses(document) == dict.fromkeys(NAMES, "unknown")
    assert world.check("--select", "area:sentry")["exit_code"] == 4
    assert world.check("--select", "area:sentry", "--allow-unknown")["exit_code"] == 0
    [finding] = [item for item in document["findings"] if item["check"] == "sentry-key-active"]
    assert "the token lacks org:read" in finding["message"] or "the token lacks project:read" in finding["message"]
    world.sentry.state.tokens.clear()
    done = world.run("check", world.root, "--env", "staging", "--gcp-endpoint", world.cloud.endpoint)
    assert "Sentry was not read" in done.stdout


def test_evidence_is_judged_where_there_is_no_token(world: World, tmp_path: Path) -> None:
    kept = tmp_path / "evidence.json"
    done = world.run("collect", world.root, "--env", "staging", "-o", kept, "--gcp-endpoint", world.cloud.endpoint)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Sentry at {json.loads(kept.read_text())['taken_at']}, {world.sentry.url}" in done.stdout
    assert (
        "shop/api (451) at 127.0.0.1: 2 keys, 1 alert, last error of staging 2026-11-25T08:00:00+00:00" in done.stdout
    )
    live = world.check()
    asked = len(world.sentry.calls)
    judged = world.check("--evidence", kept, SENTRY_AUTH_TOKEN=None, SENTRY_URL=None)
    assert len(world.sentry.calls) == asked
    assert judged["findings"] == live["findings"]
    assert judged["verdict"] == live["verdict"]
    assert judged["sentry"]["evidence"] == str(kept)


def test_a_repository_that_runs_elsewhere_is_asked_about_by_the_dsn_in_its_code(world: World, tmp_path: Path) -> None:
    world.root = write(tmp_path / "literal", LITERAL)
    document = world.check(GOOGLE_APPLICATION_CREDENTIALS="", NO_GCE_CHECK="true")
    assert statuses(document) == dict.fromkeys(NAMES, "pass")
    assert (document["google_cloud"], link(document)["status"]) == (None, "pass")
    kept = tmp_path / "evidence.json"
    done = world.run("collect", world.root, "--env", "staging", "-o", kept)
    assert done.stdout.startswith(f"{kept}: Sentry at ")
    judged = world.check("--evidence", kept, SENTRY_AUTH_TOKEN=None)
    assert judged["findings"] == document["findings"]


def test_the_token_may_come_from_the_users_own_file_and_that_is_said(world: World) -> None:
    (world.home / ".sentryclirc").write_text(f"[auth]\ntoken={TOKEN}\n[defaults]\nurl={world.sentry.url}\norg=shop\n")
    document = world.check(SENTRY_AUTH_TOKEN=None, SENTRY_URL=None)
    assert statuses(document) == dict.fromkeys(NAMES, "pass")
    assert document["sentry"]["token_source"] == "~/.sentryclirc"


def test_a_waiver_is_not_taken_out_where_sentry_was_not_asked(world: World) -> None:
    flows = project_of(world.sentry.state).workflows
    project_of(world.sentry.state).workflows = []
    written = "waivers:\n- {check: sentry-alert-rules, reason: the board is watched, until: permanent}\n"
    file = world.root / "sentry-audit.yaml"
    file.write_text(written)
    assert statuses(world.check())["sentry-alert-rules"] == "waived"
    asks = ("waivers", "prune", world.root, "--yes", "--gcp-endpoint", world.cloud.endpoint)
    done = world.run(*asks, SENTRY_AUTH_TOKEN=None)
    assert (file.read_text(), done.stderr) == (written, "")
    assert "waives nothing" not in str(world.check(SENTRY_AUTH_TOKEN=None)["notes"])
    project_of(world.sentry.state).workflows = flows
    assert "waives nothing" in str(world.check()["notes"])


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["--sentry-url", "http://sentry.example.com"], {}, "unencrypted"),
        ([], {"SENTRY_URL": "https://me:hunter2@sentry.example.com"}, "a name or a password"),
        (["--sentry-window", "soon"], {}, "not a span of time"),
    ],
)
def test_flags_that_cannot_be(world: World, arguments: list[str], environment: dict[str, str], told: str) -> None:
    done = world.run(
        "check", world.root, "--env", "staging", "--gcp-endpoint", world.cloud.endpoint, *arguments, **environment
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert "hunter2" not in done.stderr


def test_the_window_and_the_organization_are_asked_for(world: World) -> None:
    world.check("--sentry-window", "14d", "--sentry-org", "shop")
    assert {call.query["statsPeriod"][0] for call in world.sentry.asked("/events/")} == {"14d"}
    assert not [call for call in world.sentry.calls if call.path == "/api/0/organizations/"]
    world.sentry.calls.clear()
    (world.root / "sentry-audit.yaml").write_text("sentry: {organization: shop}\n")
    world.check()
    assert not [call for call in world.sentry.calls if call.path == "/api/0/organizations/"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"url": "https://evil.example.com"}, "not read from a repository"),
        ({"organisation": "shop"}, "unknown key"),
        ({"organization": 7}, "must be a text"),
        ("shop", "must be a mapping"),
    ],
)
def test_settings_that_cannot_be(data: Any, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        parse({"sentry": data}, "sentry-audit.yaml")


@pytest.mark.parametrize("fault", ["", "malformed", "refused", "redirected"])
def test_no_secret_is_shown_anywhere(world: World, tmp_path: Path, fault: str) -> None:
    body = json.dumps({"detail": f"{TOKEN} {DSN}"}).encode()
    if fault == "malformed":
        world.sentry.fault("/keys/", 9, body=body)
    elif fault:
        to = {"Location": f"https://evil.example.com/?token={TOKEN}"} if fault == "redirected" else {}
        world.sentry.fault("/keys/", 9, status=302 if to else 403, headers=to, body=body)
    kept, report = tmp_path / "evidence.json", tmp_path / "report.json"
    where = ("--gcp-endpoint", world.cloud.endpoint)
    first = world.run(
        "--debug", "check", world.root, "--env", "staging", "--show-passed", *where, "--format", "terminal", "--format",
        f"json={report}", "--format", f"html={tmp_path / 'report.html'}", PYTHONLOGLEVEL="DEBUG",
    )  # fmt: skip
    second = world.run("--debug", "collect", world.root, "-o", kept, *where)
    texts = [first.stdout, first.stderr, second.stdout, second.stderr]
    texts += [file.read_text() for file in (kept, report, tmp_path / "report.html")]
    assert not [secret for secret in SECRETS for text in texts if secret in text]
    assert "Traceback" not in first.stderr + second.stderr


def test_without_a_token_nothing_of_it_is_loaded(world: World) -> None:
    code = (
        "import sys; from pathlib import Path; from sentry_audit.app import Request, check; "
        "from sentry_audit.sentry_project import SentryOptions; from sentry_audit.cloud import CloudOptions; "
        f"check(Request(Path({str(world.root)!r}), cloud=CloudOptions(), sentry=SentryOptions())); "
        "print('requests' in sys.modules, 'configparser' in sys.modules)"
    )
    write(world.root, LITERAL)
    (world.root / "deploy.sh").unlink()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("SENTRY_")} | {"HOME": str(world.home)},
    )  # fmt: skip
    assert done.stdout.split() == ["False", "False"]


# --- the DSN of a fix -----------------------------------------------------------------------------


@pytest.fixture
def sentry(monkeypatch: pytest.MonkeyPatch) -> Iterator[SentryServer]:
    with SentryServer(everything_right()) as server:
        monkeypatch.setenv("SENTRY_AUTH_TOKEN", TOKEN)
        monkeypatch.setenv("SENTRY_URL", server.url)
        yield server


def test_a_fix_takes_the_dsn_of_the_only_active_key(sentry: SentryServer) -> None:
    give = dsn_source("sentry:shop/api", lambda _: None, SentryOptions(timeout=10))
    assert sentry.calls == []
    assert give() == give() == DSN
    assert len(sentry.calls) == 1


def test_of_several_active_keys_one_has_to_be_named(sentry: SentryServer) -> None:
    dead = Key("d" * 16 + "0" * 16, "Dead", limit={"count": 0, "window": 60})
    project_of(sentry.state).keys += [Key("e" * 16 + "0" * 16, "Cron jobs"), dead]
    with pytest.raises(UsageError, match="2 active keys: Default, Cron jobs") as caught:
        dsn_source("sentry:shop/api", lambda _: None)()
    assert caught.value.hint == "name one: sentry:shop/api#Default"
    assert dsn_source("sentry:shop/api#Default", lambda _: None)() == DSN
    with pytest.raises(UsageError, match="no active key called Defualt") as caught:
        dsn_source("sentry:shop/api#Defualt", lambda _: None)()
    assert caught.value.hint == "did you mean Default?"
    with pytest.raises(UsageError, match="no active key called Dead"):
        dsn_source("sentry:shop/api#Dead", lambda _: None)()


@pytest.mark.parametrize(
    ("spec", "told"),
    [("sentry:shop/web", "has no /projects/shop/web/keys/"), ("sentry:other/api", "has no /projects/other/api/keys/")],
)
def test_a_project_that_is_not_there_gives_none(sentry: SentryServer, spec: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)) as caught:
        dsn_source(spec, lambda _: None)()
    assert PUBLIC not in caught.value.message


def test_a_project_without_an_active_key_gives_none(sentry: SentryServer) -> None:
    project_of(sentry.state).keys[-1].active = False
    with pytest.raises(UsageError, match="shop/api has no active key"):
        dsn_source("sentry:shop/api", lambda _: None)()


@pytest.mark.parametrize("spec", ["sentry:", "sentry:shop", "sentry:/api", "sentry:shop/api/more", "sentry:shop/a?b=c"])
def test_what_names_no_project(spec: str) -> None:
    with pytest.raises(UsageError, match="does not name a source"):
        dsn_source(spec, lambda _: None)


def test_without_a_token_sentry_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SENTRY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UsageError, match="no token") as caught:
        dsn_source("sentry:shop/api", lambda _: None, root=tmp_path / "shop")()
    assert "SENTRY_AUTH_TOKEN" in caught.value.hint


def test_a_secret_is_filled_from_sentry_and_nothing_shows_it(world: World) -> None:
    secret = world.cloud.state.projects["shop-staging"].secrets["sentry-dsn-staging"]
    secret.versions[-1].payload = STAGING.encode() + b"\n"
    where = ("--env", "staging", "--gcp-endpoint", world.cloud.endpoint)
    done = world.run(
        "fix",
        world.root,
        *where,
        "--cloud",
        "--only",
        "secret-dsn-valid",
        "--yes",
        "--unsafe",
        "--dsn-from",
        "sentry:shop/api",
    )
    assert secret.versions[-1].payload == DSN.encode(), done.stdout + done.stderr
    assert not [item for item in SECRETS if item in done.stdout + done.stderr]
