"""A Next.js application, built, served and opened: green on both sides, and red for just the right reason."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.app import selected
from sentry_audit.auditing import Request
from sentry_audit.errors import UsageError
from sentry_audit.facts import Proof
from sentry_audit.seen import Probe, Stop
from sentry_audit.served import Served, judge, together
from sentry_audit.verifying import built, locking, nextjs
from sentry_audit.verifying.built import asks_itself
from sentry_audit.verifying.running import Wishes
from sentry_audit.verifying.serving import Server, argv
from sentry_audit.verifying.sink import Sink
from sentry_audit.verifying.variables import Variables
from sentry_audit.wire import Sent
from tests.browser import needs_browser
from tests.npm import build, install, needs_next, shared
from tests.trees import write

if TYPE_CHECKING:
    from sentry_audit.model import Report

APP = Path(__file__).parent / "apps" / "next"
DSN = "https://0123456789abcdef0123456789abcdef@o4505000000000009.ingest.de.sentry.io/4505000000000003"
PUBLIC = {
    "NEXT_PUBLIC_SENTRY_DSN": DSN, "NEXT_PUBLIC_SENTRY_ENVIRONMENT": "staging", "NEXT_PUBLIC_RELEASE": "shop@1",
    "NEXT_TELEMETRY_DISABLED": "1", "NEXT_OUTPUT": "standalone",
}  # fmt: skip
GREEN = {"init", "error", "environment", "release", "trace", "no-pii", "shutdown"}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The application, installed and built once for all workers, as a standalone server.

    ``dark`` is the same build with nothing where the browser's DSN was compiled in, for ``next start``.
    """

    def make(folder: Path) -> None:
        shutil.copytree(APP, folder, dirs_exist_ok=True)
        install(folder)
        build(folder, **PUBLIC)
        shutil.copytree(
            folder / ".next", folder / "dark", ignore=shutil.ignore_patterns("standalone", "cache"), symlinks=True
        )
        for chunk in (folder / "dark" / "static").rglob("*.js"):
            chunk.write_text(chunk.read_text(encoding="utf-8").replace(DSN, ""), encoding="utf-8")

    return shared(tmp_path_factory, "npm-next", make)


def root(site: Path, folder: Path) -> Path:
    """The application's sources in ``folder``, with what was built and installed in ``site``."""
    shutil.copytree(APP, folder, dirs_exist_ok=True)
    for name in ("node_modules", ".next"):
        (folder / name).symlink_to(site / name)
    return folder


class Outcome(Struct):
    """What came of one ``verify --built``."""

    report: Report
    sent: dict[str, tuple[Sent, ...]]

    def named(self, status: str) -> dict[str, str]:
        """The message of each proof of that status, by its name."""
        return {
            item.check.removeprefix("proof-"): item.message
            for item in self.report.findings
            if item.status.value == status
        }


def verify(
    folder: Path, where: Path | None = None, locks: dict[str, tuple[str, ...]] | None = None, **variables: str
) -> Outcome:
    request = Request(root=folder, environments=("staging",), proofs=True)
    wishes = Wishes(variables=variables)
    page = built.prepare(request, where or folder, wishes.variables)
    return Outcome(*built.verify(page, selected(request, page.prepared.settings), wishes, locks=locks))


@needs_browser
@needs_next
def test_a_sound_application_shows_all_that_it_can(site: Path, tmp_path: Path) -> None:
    assert (nextjs.read(site) or pytest.fail("no build")).argv[1:] == ("server.js",)
    found = verify(root(site, tmp_path))
    assert (found.named("gap"), found.named("unknown")) == ({}, {})
    assert set(found.named("pass")) == GREEN
    assert not found.report.notes


@needs_browser
@needs_next
def test_what_leaves_is_compared_with_what_may_leave(site: Path, tmp_path: Path) -> None:
    """Only a server that keeps its requests to itself has the paths of the sound one."""
    folder = root(site, tmp_path)
    first = verify(folder)
    assert "locked" not in {**first.named("pass"), **first.named("gap")}
    known = json.loads(locking.text(first.sent, "staging", {}))["leaves"]["web@staging"]["paths"]
    assert {item.partition(".")[0] for item in known} == {"event"}
    locks = {"web@staging": tuple(known)}
    assert verify(folder, locks=locks).named("pass")["locked"]
    assert "event.request.cookies.basket" in verify(folder, locks=locks, SHOP_BREAKS="private").named("gap")["locked"]


#: What is broken while the server runs, which proof is red then, and in which words.
BROKEN = {
    "register": ("init", "init is never called, though it has instrumentation with register()"),
    "enabled": ("init", "init has enabled: false"),
    "request-errors": ("error", "an error in the page / (and 2 more): Next.js tells nobody of it"),
    "dropped": ("error", "beforeSend dropped it"),
    "sampling": ("error", "sampling left it out: sampleRate is 0"),
    "ignored": ("error", "an event processor dropped it"),
    "private": ("no-pii", "leaves the application: Authorization in "),
    "swallowed": ("handled-error", "GET /api/stock answered 500, and nothing arrived of it"),
}


def serve(site: Path, **variables: str) -> tuple[Served, dict[str, str]]:
    """What was seen of the server alone, and what is red of it."""
    page = nextjs.read(site)
    assert page is not None
    values = {"SENTRY_DSN": DSN, "SENTRY_ENVIRONMENT": "staging", "SENTRY_RELEASE": "shop@1", **variables}
    with Sink() as sink, Server(page, Variables(values=values), sink, Wishes()) as server:
        assert not server.failure
        server.drive({"error"})
        seen = server.seen()
    proofs = judge(seen, "staging")
    assert not [item for item in proofs.values() if item.unknown]
    return seen, {name: item.problem for name, item in proofs.items() if item.problem}


@needs_next
@pytest.mark.parametrize("how", BROKEN)
def test_a_server_that_is_broken_in_one_way_is_red_for_just_that(how: str, site: Path) -> None:
    proof, words = BROKEN[how]
    _, found = serve(site, SHOP_BREAKS=how)
    assert set(found) == {proof}
    assert words in found[proof]


#: What is passed to the server, which proof is red then, and in which words.
PASSED = {
    "no DSN": ("SENTRY_DSN", "", "init", "init got no DSN: nothing passes SENTRY_DSN"),
    "no readable DSN": ("SENTRY_DSN", "https://key@/none", "init", "init got a DSN that the SDK cannot read"),
    "another environment": (
        "SENTRY_ENVIRONMENT",
        "production",
        "environment",
        "events of staging are labelled production",
    ),
    "no release": ("SENTRY_RELEASE", "", "release", "events carry no release"),
}


@needs_next
@pytest.mark.parametrize("how", PASSED)
def test_what_is_passed_to_the_server_decides(how: str, site: Path) -> None:
    name, value, proof, words = PASSED[how]
    assert serve(site, **{name: value})[1] == {proof: words}


@needs_browser
@needs_next
def test_a_deployment_that_passes_no_dsn_leaves_the_server_dark(site: Path, tmp_path: Path) -> None:
    folder = root(site, tmp_path)
    script = (folder / "deploy.sh").read_text()
    (folder / "deploy.sh").write_text(script.replace(" --set-secrets SENTRY_DSN=sentry-dsn-staging:latest", ""))
    (folder / ".gitignore").write_text(".env.local\n.next\nnode_modules\n")
    (folder / ".env.local").write_text(f"SENTRY_DSN={DSN}\nNEXT_PUBLIC_SENTRY_DSN={DSN}\n")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    found = verify(folder)
    assert set(found.named("gap")) == {"init"}, "what git ignores must not stand for what is deployed"
    assert "nothing passes SENTRY_DSN" in found.named("gap")["init"]
    told = " ".join(found.report.notes)
    assert "SENTRY_DSN of .env.local is left out: git ignores the file" in told
    assert "the DSN that was built in is the one of .env.local (NEXT_PUBLIC_SENTRY_DSN)" in told
    assert DSN not in told


@needs_browser
@needs_next
def test_a_build_without_a_dsn_is_dark_in_browsers_alone(site: Path, tmp_path: Path) -> None:
    assert "next start" in " ".join((nextjs.read(site / "dark") or pytest.fail("no build")).argv)
    found = verify(root(site, tmp_path), site / "dark")
    assert set(found.named("gap")) == {"init"}
    assert "init got no DSN: the build was given none" in found.named("gap")["init"]
    assert "server: an error in the page /" in next(
        item.message for item in found.report.findings if item.check == "proof-error"
    )


@needs_next
def test_nothing_leaves_this_machine(site: Path) -> None:
    """The DSN is one of a real ingest host, and a route asks another: the hook's log says what was led and refused."""
    seen, _ = serve(site, SHOP_BREAKS="outside")
    assert {item["host"] for item in seen.of("led")} == {"o4505000000000009.ingest.de.sentry.io"}
    assert {item["host"] for item in seen.of("blocked")} == {"stock.shop.example"}
    assert [item.type for item in seen.sent].count("event") == 3
    assert {item["definition"] for item in seen.of("raised")} == {"APP_PAGE", "APP_ROUTE", "PAGES"}


@needs_next
@pytest.mark.parametrize(
    ("route", "definition"),
    [
        (
            nextjs.Route("/api/pay", "route", True, "/api/pay"),
            "APP_ROUTE",
        ),  # takes POST alone
        (nextjs.Route("/cart", "pages", True, "/cart"), "PAGES"),  # leads elsewhere, to a promise
    ],
)
def test_an_error_is_raised_where_a_request_leads(route: nextjs.Route, definition: str, site: Path) -> None:
    page = nextjs.read(site)
    assert page is not None
    values = {"SENTRY_DSN": DSN, "SENTRY_ENVIRONMENT": "staging"}
    with Sink() as sink, Server(replace(page, routes=(route,)), Variables(values=values), sink, Wishes()) as server:
        server.drive({"error"})
        seen = server.seen()
    assert [item["definition"] for item in seen.of("raised")] == [definition]
    assert judge(seen, "staging")["error"].shown


@needs_next
def test_a_server_that_does_not_start_is_unknown(site: Path, tmp_path: Path) -> None:
    found = verify(root(site, tmp_path), NODE_OPTIONS="--no-such-option")
    assert not found.named("gap")
    assert "its server does not start here: it ended with 9" in found.named("unknown")["init"]
    assert "--no-such-option" in found.named("unknown")["init"]


# --- without a build -------------------------------------------------------------------------------------

MANIFEST = '{"version": 1, "config": {"distDir": ".next"%s}, "appDir": "/built/elsewhere"}'


def manifests(folder: Path, config: str = "", dist: str = ".next") -> Path:
    """What Next.js writes of a build that this machine has not made."""
    write(
        folder / dist,
        {
            "BUILD_ID": "x",
            "required-server-files.json": MANIFEST % config,
            "app-path-routes-manifest.json": '{"/page": "/", "/api/[id]/route": "/api/[id]", "/health/route": "/health"}',
            "prerender-manifest.json": '{"routes": {"/": {}}}',
            "server/app-paths-manifest.json": '{"/page": "p.js", "/api/[id]/route": "r.js", "/health/route": "h.js",'
            '"/icon.png/route": "i.js"}',
            "server/pages-manifest.json": '{"/old": "pages/old.html", "/api/pay": "pages/api/pay.js", "/_app": "pages/_app.js"}',
            "server/chunks/1.js": "init({dsn:process.env.WEB_DSN,environment:process.env.STAGE})",
            "static/chunks/1.js": "fetch('/api/')",
        },
    )
    return folder


def test_what_a_build_says_of_itself(tmp_path: Path) -> None:
    found = nextjs.read(manifests(tmp_path))
    assert found is not None
    assert [(item.path, item.kind, item.rendered) for item in found.routes] == [
        ("/", "page", False), ("/api/[id]", "route", True), ("/api/pay", "api", True), ("/health", "route", True),
        ("/old", "pages", False),
    ]  # fmt: skip
    assert found.routes[1].address == "/api/1"
    assert found.routes[0].address == "/"
    assert found.reads == (("dsn", "WEB_DSN"), ("environment", "STAGE"))
    assert found.folder == tmp_path, "it was built elsewhere, and carried here"
    assert not found.argv
    assert "next is not installed in" in found.unknown
    assert found.renders


def test_a_server_that_answers_health_checks_alone_has_nothing_to_lose(tmp_path: Path) -> None:
    folder = manifests(tmp_path)
    (folder / ".next/app-path-routes-manifest.json").write_text('{"/health/route": "/health"}')
    (folder / ".next/server/app-paths-manifest.json").write_text('{"/health/route": "h.js"}')
    (folder / ".next/server/pages-manifest.json").write_text("{}")
    found = nextjs.read(folder)
    assert found is not None
    assert not found.renders


def test_whether_its_pages_ask_routes_of_its_own(tmp_path: Path) -> None:
    found = nextjs.read(manifests(tmp_path))
    assert found is not None
    assert asks_itself(found, ['fetch("/api/"+id)'])
    assert not asks_itself(found, ['fetch("https://api.shop.example/cart")'])


def test_parameters_are_those_of_the_pages_that_were_made_when_it_was_built(tmp_path: Path) -> None:
    folder = manifests(tmp_path)
    routes = '{"/en": {"srcRoute": "/[locale]"}, "/fr": {"srcRoute": "/[locale]"}}'
    (folder / ".next/prerender-manifest.json").write_text(f'{{"routes": {routes}}}')
    names = '{"a/page": "/[locale]", "b/page": "/[locale]/orders/[id]", "c/page": "/[locale]/sign-in/[[...rest]]"}'
    (folder / ".next/app-path-routes-manifest.json").write_text(names)
    (folder / ".next/server/app-paths-manifest.json").write_text(
        '{"a/page": "a.js", "b/page": "b.js", "c/page": "c.js"}'
    )
    (folder / ".next/server/pages-manifest.json").write_text("{}")
    found = nextjs.read(folder)
    assert found is not None
    assert [(item.address, item.rendered) for item in found.routes] == [
        ("/en", False), ("/en/orders/1", True), ("/en/sign-in", True),
    ]  # fmt: skip


def test_a_build_of_another_name_is_found(tmp_path: Path) -> None:
    assert nextjs.read(manifests(tmp_path, dist="build")) is not None


def test_an_export_has_no_server(tmp_path: Path) -> None:
    assert nextjs.read(manifests(tmp_path, ', "output": "export"')) is None


def test_a_build_that_did_not_end_is_none(tmp_path: Path) -> None:
    manifests(tmp_path)
    (tmp_path / ".next/BUILD_ID").unlink()
    with pytest.raises(UsageError, match="next build did not end"):
        nextjs.read(tmp_path)


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    manifests(tmp_path)
    (tmp_path / ".next/prerender-manifest.json").write_text("{")
    with pytest.raises(UsageError, match=r"prerender-manifest\.json cannot be read"):
        nextjs.read(tmp_path)


def test_without_node_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        {"package.json": (APP / "package.json").read_text(), "app/page.js": "", "instrumentation-client.js": ""},
    )
    manifests(tmp_path)
    (tmp_path / ".next/static/chunks/1.js").write_text(f'__SENTRY__; init({{dsn:"{DSN}"}})')
    monkeypatch.setattr("shutil.which", lambda _: None)
    found = verify(tmp_path)
    assert not found.named("gap")
    assert "there is no Node.js on this machine" in found.named("unknown")["init"]


def test_the_command_may_be_the_users_own(tmp_path: Path) -> None:
    found = nextjs.read(manifests(tmp_path))
    assert found is not None
    assert argv(found, "node server.js --port {port}", 8080) == ("node", "server.js", "--port", "8080")


def of(**changed: object) -> Served:
    """A server in which everything is right, but for ``changed``."""
    client = {"client": True, "dsn": True, "transport": True, "version": "10"}
    return Served(**{"client": client, "major": 16, "rendered": True, **changed})  # type: ignore[arg-type]


def test_an_old_next_keeps_its_errors_to_itself() -> None:
    probe = Probe(name="error", id="f" * 16, status=500, what="an error in the page /")
    raised = ({"kind": "raised", "text": f"sentry-audit {probe.id}"},)
    found = judge(of(major=14, probes=(probe,), records=raised), "staging")["error"]
    assert "Next.js 14 hands errors to what was compiled around each page" in found.unknown
    assert judge(of(major=15, probes=(probe,), records=raised), "staging")["error"].reason == "no-integration"


def test_a_server_that_answers_for_its_pages_is_unknown() -> None:
    probe = Probe(name="error", id="f" * 16, status=307, what="an error in the page /")
    found = judge(of(probes=(probe,)), "staging")["error"]
    assert (found.unknown, found.reason) == ("it answered 307 before it came to a page or route", "refused")


def test_what_an_sdk_has_reported_is_forgotten_in_it() -> None:
    probe = Probe(name="error", id="f" * 16, status=500, what="an error in the page /")
    raised = ({"kind": "raised", "text": f"sentry-audit {probe.id}"},)
    report = Sent(
        "client_report", {"discarded_events": [{"reason": "before_send", "category": "error", "quantity": 1}]}, ""
    )
    assert (
        judge(of(probes=(probe,), records=raised, sent=(report,)), "staging")["error"].reason == "before-send-dropped"
    )


def test_what_is_lost_at_sigterm() -> None:
    found = judge(of(stop=Stop(raised=10, arrived=4, code=0)), "staging")["shutdown"]
    assert found.problem == "6 of 10 events that were queued at SIGTERM under Next.js are lost: it ended with 0"


def test_a_page_and_its_server_are_one_proof() -> None:
    page, good = (
        Proof(name="init", component="web", shown=True, how="browser"),
        Proof(name="init", shown=True, how="SDK 10"),
    )
    assert together(page, None) is page
    assert together(page, good).how == "browser; server: SDK 10"
    bad = Proof(name="init", problem="no DSN", reason="no-dsn")
    assert together(page, bad).problem == "on the server: no DSN"
    assert not together(page, bad).shown
    both = together(Proof(name="init", component="web", problem="none", reason="no-sdk"), bad)
    assert (both.problem, both.reason, both.component) == ("none; on the server: no DSN", "no-sdk", "web")
    blind = Proof(name="init", unknown="it does not start")
    assert together(page, blind).unknown == "on the server: it does not start"
    none = Proof(name="shutdown", component="web", needless="a page has none")
    assert together(none, Proof(name="shutdown", needless="nothing")) is none
    assert together(none, Proof(name="shutdown", shown=True, how="10")).component == "web"
