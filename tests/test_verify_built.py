"""Built front ends in a real browser, with Sentry's own SDK: green, and red for just the right reason."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from sentry_audit.auditing import Request
from sentry_audit.browsed import Browsed, Known, judge
from sentry_audit.bundled import scan
from sentry_audit.facts import TracePropagation
from sentry_audit.verifying import built
from sentry_audit.verifying.browsing import browse
from sentry_audit.verifying.built import apis
from sentry_audit.verifying.pages import Pages, index, scripts
from tests.browser import needs_browser
from tests.npm import NPM, install, needs_npm, shared
from tests.trees import write

if TYPE_CHECKING:
    from pathlib import Path

    from sentry_audit.facts import Proof

VERSION = "10"
DSN = "https://0123456789abcdef0123456789abcdef@o4505000000000009.ingest.de.sentry.io/4505000000000003"
API = "https://api.shop.example"
SCRUB = "beforeSend(event) { if (event.request) { event.request.url = location.origin; } return event; }"
INIT = f"""\
Sentry.init({{
  dsn: "{DSN}",
  environment: "staging",
  release: "shop@1.0",
  integrations: [Sentry.browserTracingIntegration()],
  tracesSampleRate: 0.1,
  tracePropagationTargets: ["{API}"],
  {SCRUB},
}});
"""
PAGE = """\
<!doctype html><html><head><meta charset="utf-8">{policy}
<script src="/sdk.js"></script><script src="/app.js"></script></head>
<body><form><input name="email"><input type="password"><input name="phone"></form></body></html>
"""


VITE = {
    "package.json": json.dumps(
        {
            "name": "web",
            "private": True,
            "type": "module",
            "scripts": {"build": "vite build"},
            "dependencies": {"@sentry/react": f"^{VERSION}", "react": "^19", "react-dom": "^19"},
            "devDependencies": {"vite": "^6"},
        }
    ),
    "index.html": '<!doctype html><html><body><input name="email"><script type="module" src="/src/main.jsx"></script></body></html>',
    "src/main.jsx": f"""\
import * as Sentry from "@sentry/react";

Sentry.init({{
  dsn: import.meta.env.VITE_SENTRY_DSN,
  environment: import.meta.env.VITE_SENTRY_ENVIRONMENT,
  release: import.meta.env.VITE_RELEASE,
  integrations: [Sentry.browserTracingIntegration()],
  tracesSampleRate: 0.2,
  tracePropagationTargets: ["{API}"],
}});

fetch("{API}/cart");
""",
}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A front end with Vite and Sentry's SDK, installed once for all workers."""

    def make(folder: Path) -> None:
        write(folder, VITE)
        install(folder)
        esbuild = str(folder / "node_modules" / ".bin" / "esbuild")
        (folder / "sdk-entry.js").write_text('export * from "@sentry/react";\n')
        flags = [
            "--bundle",
            "--minify",
            "--format=iife",
            "--global-name=Sentry",
            "--outfile=sdk.js",
            "--log-level=error",
        ]
        subprocess.run([esbuild, "sdk-entry.js", *flags], cwd=folder, check=True, timeout=60, capture_output=True)
        (folder / "sdk-entry.js").unlink()

    return shared(tmp_path_factory, "npm-web", make)


@pytest.fixture(scope="session")
def sdk(site: Path) -> str:
    """The SDK as one script."""
    return (site / "sdk.js").read_text(encoding="utf-8")


def page(folder: Path, sdk: str, init: str = INIT, policy: str = "") -> Path:
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">' if policy else ""
    write(folder, {"index.html": PAGE.format(policy=meta), "sdk.js": sdk, "app.js": init})
    return folder


def prove(folder: Path, apis: tuple[str, ...] = (API,)) -> dict[str, Proof]:
    texts, maps = scripts(folder)
    first = index(folder)
    assert first
    return {item.name: item for item in judge(scan(texts, maps), opened(first.parent, apis), "web", "staging")}


def opened(folder: Path, apis: tuple[str, ...]) -> Browsed:
    with Pages(folder) as pages:
        return browse(pages.address, apis)


def red(found: dict[str, Proof]) -> dict[str, str]:
    return {name: item.reason for name, item in found.items() if item.problem}


@needs_browser
@needs_npm
def test_a_sound_page_shows_all_that_it_can(tmp_path: Path, sdk: str) -> None:
    found = prove(page(tmp_path, sdk))
    assert red(found) == {}, [item.problem for item in found.values()]
    assert {name for name, item in found.items() if item.shown} == {
        "init",
        "error",
        "environment",
        "release",
        "trace",
        "no-pii",
    }
    assert "0123456789abcdef0123" not in repr(found)


POLICY = "default-src 'self' 'unsafe-inline'; connect-src 'self' https://api.shop.example"
#: What is broken: (what is replaced in init, by what), the policy of the page, the proof that is red, and its reason.
BROKEN: dict[str, tuple[tuple[str, str], str, str, str]] = {
    "no DSN when it was built": ((f'"{DSN}"', "undefined"), "", "init", "no-dsn"),
    "a guard that knows only old DSNs": (
        ("Sentry.init({", f'if ("{DSN}".includes("@sentry.io")) Sentry.init({{'), "", "init", "disabled",
    ),
    "a placeholder": ((DSN, "https://YOUR_KEY@o0.ingest.sentry.io/0"), "", "init", "bad-dsn"),
    "init is switched off": (('environment: "staging"', 'environment: "staging", enabled: false'), "", "init", "disabled"),
    "a second init without a DSN": (("});\n", "});\nSentry.init({});\n"), "", "init", "second-init"),
    "a sample rate of nothing": (('environment: "staging"', 'environment: "staging", sampleRate: 0'), "", "error", "sampled-out"),
    "a hook that drops everything": ((SCRUB, "beforeSend() { return null; }"), "", "error", "before-send-dropped"),
    "errors that are ignored": (
        ('environment: "staging"', 'environment: "staging", ignoreErrors: [/sentry-audit/]'), "", "error", "dropped",
    ),
    "a policy that lets nothing out": (("", ""), POLICY, "error", "csp"),
    "nothing hears of errors": (
        ("integrations: [", "defaultIntegrations: false, integrations: ["),
        "", "error", "no-integration",
    ),
    "another environment": (('environment: "staging"', 'environment: "production"'), "", "environment", "wrong-environment"),
    "no environment": (('environment: "staging",', ""), "", "environment", "wrong-environment"),
    "no release": (('release: "shop@1.0",', ""), "", "release", "no-release"),
    "no tracing": (("integrations: [Sentry.browserTracingIntegration()],", ""), "", "trace", "no-tracing"),
    "another API": ((f'Targets: ["{API}"]', 'Targets: ["https://old.shop.example"]'), "", "trace", "no-target"),
    "what is typed": (
        (SCRUB, "beforeSend(event) { event.extra = {typed: document.querySelector('[type=password]').value}; return event; }"),
        "", "no-pii", "leak",
    ),
}  # fmt: skip


@needs_browser
@needs_npm
@pytest.mark.parametrize("how", BROKEN)
def test_a_page_that_is_broken_in_one_way_is_red_for_just_that(how: str, tmp_path: Path, sdk: str) -> None:
    (old, new), policy, proof, reason = BROKEN[how]
    assert old in INIT
    found = prove(page(tmp_path, sdk, INIT.replace(old, new, 1) if old else INIT, policy))
    assert red(found) == {proof: reason}, found[proof]


@needs_browser
@needs_npm
def test_no_real_host_gets_a_byte(tmp_path: Path, sdk: str) -> None:
    """The DSN is one of a real ingest host, and the page asks others too: the browser is let out nowhere."""
    beacon = 'new Image().src = "https://tracker.example/pixel.gif";\n'
    seen = opened(page(tmp_path, sdk, INIT + beacon), (API,))
    assert any(item.type == "event" for item in seen.sent)
    assert seen.blocked == ("tracker.example",)


@needs_browser
@needs_npm
def test_an_address_that_is_none_keeps_nobody_waiting(tmp_path: Path, sdk: str) -> None:
    seen = opened(page(tmp_path, sdk), ("https://api.shop.example (a%20b)",))
    assert any(item.type == "event" for item in seen.sent)
    assert not seen.failure


def test_an_address_may_say_where_it_is_from() -> None:
    facts = [
        TracePropagation(side="targets", address=address)
        for address in (
            "https://api.shop.example/v1 (NEXT_PUBLIC_API_URL)",
            "https://api.shop.example",
            "/api",
            "VITE_API_URL",
        )
    ]
    assert apis(facts) == ("https://api.shop.example",)


@pytest.mark.parametrize(
    ("known", "client", "dsn", "problem"),
    [
        (Known(no_dsn="no ARG"), True, "", "init got no DSN: the build was given none (no ARG), and it is compiled in"),
        (Known(no_dsn="no ARG"), False, "", "init is never called, and no DSN was built in: the build was given none (no ARG)"),
        (Known(no_init="Turbopack ignores it"), False, "", "init is never called: Turbopack ignores it"),
        (Known(), False, "", "init is never called, and no DSN was built in: the build was given none, or nothing in it calls init"),
        (Known(condition="dsn.includes('@sentry.io')"), False, DSN,
         "a DSN was built in, and init is never called: what stands in front of it does not hold: dsn.includes('@sentry.io')"),
    ],
)  # fmt: skip
def test_what_the_audit_knows_says_why(known: Known, client: bool, dsn: str, problem: str) -> None:
    bundle = scan({"a.js": f"__SENTRY__ '{dsn}'"})
    found = judge(bundle, Browsed(client={"client": client, "transport": False}), "web", "staging", known)[0]
    assert found.problem == problem


@needs_browser
def test_a_build_without_the_sdk_is_a_gap_and_needs_no_browser(tmp_path: Path) -> None:
    found = prove(page(tmp_path, "console.log(1);", "document.title = 'shop';"))
    assert red(found) == {"init": "no-sdk"}


def test_without_a_browser_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    found = prove(page(tmp_path, "globalThis.__SENTRY__ = {};"))
    assert red(found) == {}
    assert "no Chromium" in found["error"].unknown
    assert "apt-get install chromium" in found["error"].hint


def test_the_folder_of_a_front_end_is_not_what_it_was_built_into(tmp_path: Path) -> None:
    """Vite's own index.html stands beside the sources, and says nothing of a build."""
    write(tmp_path, {"package.json": "{}", "index.html": "<html></html>", "src/main.js": "__SENTRY__"})
    assert (scripts(tmp_path), index(tmp_path)) == (({}, ()), None)
    write(tmp_path, {"dist/index.html": "<html></html>", "dist/app.js": "__SENTRY__"})
    assert (list(scripts(tmp_path)[0]), index(tmp_path)) == (["dist/app.js"], tmp_path / "dist/index.html")


@needs_browser
@needs_npm
def test_scripts_of_a_host_of_their_own_are_those_of_the_build(tmp_path: Path, sdk: str) -> None:
    """Next.js with assetPrefix: the page looks for its scripts elsewhere, where this build is not yet."""
    folder = page(tmp_path, sdk)
    (folder / "static").mkdir()
    for name in ("sdk.js", "app.js"):
        (folder / name).rename(folder / "static" / name)
    text = (folder / "index.html").read_text().replace('src="/', 'src="https://cdn.shop.example/_next/static/')
    (folder / "index.html").write_text(text)
    with Pages(folder) as pages:
        seen = browse(pages.address, (API,), folder / "static")
    assert seen.client["client"]
    assert not seen.blocked


def test_what_stands_in_a_bundle(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "assets/a.js": f'var s="sentry.javascript.react";init({{dsn:"{DSN}"}});e.SENTRY_RELEASE={{id:"shop@abc"}};'
            "e._sentryDebugIds={}",
            "assets/a.js.map": "{}",
            "node_modules/x.js": "__SENTRY__",
        },
    )
    texts, maps = scripts(tmp_path)
    found = scan(texts, maps)
    assert found.sdk == ("assets/a.js",)
    assert [value.project for _, value in found.dsns] == ["4505000000000003"]
    assert (found.releases, found.debug_ids, found.maps) == (("shop@abc",), True, ("assets/a.js.map",))


@needs_browser
@needs_npm
def test_a_front_end_that_vite_built(tmp_path: Path, site: Path) -> None:
    write(tmp_path, VITE)
    (tmp_path / "node_modules").symlink_to(site / "node_modules")
    request = Request(root=tmp_path, environments=("staging",), proofs=True)

    def verified(**variables: str) -> dict[str, str]:
        shutil.rmtree(tmp_path / "dist", ignore_errors=True)
        environment = os.environ | variables
        subprocess.run(
            [str(NPM), "run", "build", "--silent"],
            cwd=tmp_path,
            check=True,
            timeout=120,
            capture_output=True,
            env=environment,
        )
        from sentry_audit.app import selected

        made = built.prepare(request, tmp_path / "dist")
        report, _ = built.verify(made, selected(request, made.prepared.settings))
        return {
            item.check: item.status.value for item in report.findings if item.status.value in {"pass", "gap", "unknown"}
        }

    given = {"VITE_SENTRY_DSN": DSN, "VITE_SENTRY_ENVIRONMENT": "staging", "VITE_RELEASE": "shop@1"}
    assert verified(**given) == dict.fromkeys(
        ["proof-init", "proof-error", "proof-environment", "proof-release", "proof-trace", "proof-no-pii"], "pass"
    )
    assert verified() == {"proof-init": "gap"}
