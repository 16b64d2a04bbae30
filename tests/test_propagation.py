"""Whether a trace goes on from a browser to the back end: targets, CORS, and the tracing of both ends."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from sentry_audit.python.cors import Cors, cors
from sentry_audit.python.program import Program
from sentry_audit.python.values import Resolver
from sentry_audit.scanners.variables import shown
from tests.trees import Texts, audit, findings, statuses

if TYPE_CHECKING:
    from pathlib import Path

    from sentry_audit.python.analysis import Analysed

CHECK = "trace-propagation"
ALLOWING = "allow_origins=['https://acme.dev'], allow_headers=['Authorization', 'sentry-trace', 'Baggage']"
NARROW = "allow_origins=['https://acme.dev'], allow_headers=['Authorization']"
CLIENT = "export const API_URL = import.meta.env.VITE_API_URL;\nexport const users = () => fetch(`${API_URL}/users`);\n"
RELATIVE = "export const users = () => fetch('/api/users');\n"
EXAMPLE = "tracePropagationTargets: ['localhost', /^https:\\/\\/yourserver\\.io\\/api/]"
LISTED = "tracePropagationTargets: [API_URL, /^\\//]"


def api(options: str = ALLOWING, init: str = "traces_sample_rate=0.2") -> dict[str, str]:
    middleware = f"app.add_middleware(CORSMiddleware, {options})\n" if options else ""
    return {
        "api/requirements.txt": "fastapi\nsentry-sdk>=2.64,<3\n",
        "api/main.py": (
            "import sentry_sdk\nfrom fastapi import FastAPI\nfrom fastapi.middleware.cors import CORSMiddleware\n"
            f"sentry_sdk.init({init})\napp = FastAPI()\n{middleware}"
        ),
    }


def web(
    options: str = "", client: str = CLIENT, rate: str = "tracesSampleRate: 0.2", sdk: str = "^10"
) -> dict[str, str]:
    manifest = {
        "scripts": {"build": "vite build"},
        "dependencies": {"react": "19", "@sentry/react": sdk},
        "devDependencies": {"vite": "7"},
    }
    integrations = "[new BrowserTracing()]" if sdk == "^7" else "[Sentry.browserTracingIntegration()]"
    return {
        "web/package.json": json.dumps(manifest),
        "web/index.html": '<script type="module" src="/src/main.tsx"></script>',
        "web/src/api.ts": client,
        "web/src/main.tsx": (
            "import * as Sentry from '@sentry/react';\nimport { API_URL } from './api';\n"
            f"Sentry.init({{ dsn: 'https://1@o1.ingest.us.sentry.io/1', integrations: {integrations}, {rate},\n {options} }});\n"
        ),
    }


def verdicts(root: Path, files: dict[str, str], environment: str = "staging") -> dict[str, tuple[str, str]]:
    report = audit(root, files, environment)
    return {item.component: (item.status.value, item.message) for item in findings(report, CHECK)}


# --- what the browser sends ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "is not set: the SDK sends the trace to the page's own origin only"),
        ("tracePropagationTargets: []", "is empty"),
        (EXAMPLE, "the address of the documentation's example"),
        ("tracePropagationTargets: ['localhost', /^\\//]", "which no entry of tracePropagationTargets matches"),
    ],
)
def test_targets_that_leave_the_api_out(tmp_path: Path, options: str, said: str) -> None:
    found = verdicts(tmp_path, {**api(), **web(options)})
    assert found["web"][0] == "gap"
    assert said in found["web"][1]
    assert found["api"][0] == "pass"


@pytest.mark.parametrize(
    "options",
    [
        LISTED,
        "tracePropagationTargets: [import.meta.env.VITE_API_URL]",
        "tracePropagationTargets: [new RegExp(API_URL)]",
        "tracePropagationTargets: [new URL(API_URL).origin]",
        "tracePropagationTargets: [`${API_URL}/v1`]",
        "tracePropagationTargets: [/.*/]",
        "tracePropagationTargets: [/^https?:\\/\\//]",
    ],
)
def test_targets_that_cover_the_api(tmp_path: Path, options: str) -> None:
    assert verdicts(tmp_path, {**api(), **web(options)})["web"][0] == "pass"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("'https://api.acme.dev'", "pass"), ("/^https:\\/\\/.*\\.acme\\.dev/", "pass"), ("'acme.dev/v1'", "pass"),
        ("'https://api.acme.io'", "gap"), ("/acme\\.io/", "gap"), ("/(?<broken/", "unknown"), ("targets()", "unknown"),
    ],
)  # fmt: skip
def test_targets_are_asked_about_the_address_of_the_environment(tmp_path: Path, target: str, expected: str) -> None:
    dotenv = {
        "web/.env.staging": "VITE_API_URL=https://api.acme.dev/v1\n",
        "web/.env.production": "VITE_API_URL=https://api.acme.io\n",
    }
    files = {**api(), **web(f"tracePropagationTargets: [{target}]"), **dotenv}
    assert verdicts(tmp_path, files)["web"][0] == expected


def test_whether_a_pattern_matches_an_address_that_is_not_known(tmp_path: Path) -> None:
    found = verdicts(tmp_path, {**api(), **web("tracePropagationTargets: [/acme\\.dev/]")})
    assert found["web"][0] == "unknown"
    assert "VITE_API_URL" in found["web"][1]


@pytest.mark.parametrize(
    "client",
    [
        RELATIVE,
        "import axios from 'axios';\nexport const http = axios.create({ baseURL: '/api' });\n",
        "const BACKEND_URL = window.location.origin + '/api';\nexport const x = () => fetch(`${BACKEND_URL}/x`);\n",
    ],
)
def test_the_own_origin_needs_no_targets(tmp_path: Path, client: str) -> None:
    found = verdicts(tmp_path, {**api(), **web(client=client)})
    assert found["web"][0] == "pass"
    assert "api" not in found or found["api"][0] == "skipped"


def test_a_value_that_is_a_path_is_the_own_origin(tmp_path: Path) -> None:
    assert verdicts(tmp_path, {**api(), **web(), "web/.env.staging": "VITE_API_URL=/api\n"})["web"][0] == "pass"


def test_a_fallback_to_a_path_leaves_it_open(tmp_path: Path) -> None:
    client = CLIENT.replace("VITE_API_URL;", "VITE_API_URL || '/api';")
    found = verdicts(tmp_path, {**api(), **web(client=client)})
    assert found["web"][0] == "unknown"
    assert "/api" in found["web"][1]


@pytest.mark.parametrize(
    "client",
    [
        "import axios from 'axios';\nexport const http = axios.create({ baseURL: import.meta.env.VITE_API_URL });\n",
        "import axios from 'axios';\naxios.defaults.baseURL = import.meta.env.VITE_API_URL ?? 'http://localhost:8000';\n",
        "import { OpenAPI } from './client';\nOpenAPI.BASE = import.meta.env.VITE_API_URL;\n",
        "import { HttpLink } from '@apollo/client';\nexport const l = new HttpLink({ uri: `${import.meta.env.VITE_API_URL}/graphql` });\n",
        "function base() { return (import.meta as any).env.VITE_BACKEND_URL; }\nexport const x = () => fetch(`${base()}/x`);\n",
        "const config = { apiUrl: import.meta.env.VITE_API_URL };\nexport const x = () => fetch(config.apiUrl + '/x');\n",
        "export const API_URL = 'https://api.acme.dev';\n",
    ],
)
def test_the_ways_in_which_an_api_is_addressed(tmp_path: Path, client: str) -> None:
    assert verdicts(tmp_path, {**api(), **web(client=client)})["web"][0] == "gap"


@pytest.mark.parametrize(
    "client",
    [
        "const backend = 'flask';\nexport const x = () => fetch('/api/x');\n",
        "export const SENTRY_API_KEY = import.meta.env.VITE_API_KEY;\nexport const x = () => fetch('/api/x');\n",
        "const GITHUB_API = 'https://api.github.com';\nexport const x = () => fetch('/api/x');\n",
    ],
)
def test_what_is_no_address_of_an_own_api(tmp_path: Path, client: str) -> None:
    assert verdicts(tmp_path, {**api(), **web(client=client)})["web"][0] == "pass"


def test_a_file_that_is_served_with_the_page_is_no_api(tmp_path: Path) -> None:
    found = verdicts(tmp_path, {**api(), **web(client="export const x = () => fetch('/locales/en.json');\n")})
    assert found["web"][0] == "unknown"
    assert "was not found" in found["web"][1]


def test_an_address_that_is_injected_is_not_followed(tmp_path: Path) -> None:
    client = "import { ofetch } from 'ofetch';\nexport const x = ofetch.create({ baseURL: inject('api') });\n"
    files = {**api(), **web("tracePropagationTargets: ['https://api.acme.dev']", client)}
    assert verdicts(tmp_path, files)["web"][0] == "unknown"


def test_a_variable_that_only_the_server_of_next_reads(tmp_path: Path) -> None:
    manifest = {"scripts": {"build": "next build"}, "dependencies": {"next": "16", "@sentry/nextjs": "^10"}}
    files = {
        "web/package.json": json.dumps(manifest),
        "web/instrumentation-client.ts": (
            "import * as Sentry from '@sentry/nextjs';\nSentry.init({ dsn: process.env.NEXT_PUBLIC_DSN, tracesSampleRate: 1 });\n"
        ),
        "web/lib/api.ts": "const API_URL = process.env.API_URL;\nexport const x = () => fetch(`${API_URL}/x`);\n",
        "web/app/page.tsx": "export default () => fetch('/backend/x');\n",
    }
    assert verdicts(tmp_path, {**api(), **files})["web"][0] == "pass"


@pytest.mark.parametrize(("config", "expected"), [("", "unknown"), ("async rewrites() { return []; }", "pass")])
def test_a_route_handler_of_next_may_stand_between(tmp_path: Path, config: str, expected: str) -> None:
    manifest = {"scripts": {"build": "next build"}, "dependencies": {"next": "16", "@sentry/nextjs": "^10"}}
    files = {
        "web/package.json": json.dumps(manifest),
        "web/next.config.mjs": f"export default {{ {config} }};\n",
        "web/instrumentation-client.ts": (
            "import * as Sentry from '@sentry/nextjs';\nSentry.init({ dsn: process.env.NEXT_PUBLIC_DSN, tracesSampleRate: 1 });\n"
        ),
        "web/app/api/users/route.ts": "export const GET = () => fetch(process.env.API_URL + '/users');\n",
        "web/app/page.tsx": "export default () => fetch('/api/users');\n",
    }
    assert verdicts(tmp_path, {**api(), **files})["web"][0] == expected


# --- what the back end lets through ----------------------------------------------------------------


def test_headers_that_are_refused_break_requests_that_carry_them(tmp_path: Path) -> None:
    found = verdicts(tmp_path, {**api(NARROW), **web(LISTED)})
    assert found["web"][0] == "pass"
    assert found["api"][0] == "gap"
    assert "web sends them, so browsers refuse its requests" in found["api"][1]


def test_headers_that_are_refused_break_requests_even_where_nothing_is_sampled(tmp_path: Path) -> None:
    found = verdicts(tmp_path, {**api(NARROW), **web(LISTED, rate="debug: false")})
    assert "browsers refuse" in found["api"][1]


def test_headers_are_to_be_allowed_before_they_are_sent(tmp_path: Path) -> None:
    found = verdicts(tmp_path, {**api(NARROW), **web()})
    assert found["api"][0] == found["web"][0] == "gap"
    assert "as soon as web sends the trace here" in found["api"][1]


def test_without_cors_nothing_shows_that_the_api_is_elsewhere(tmp_path: Path) -> None:
    found = verdicts(tmp_path, {**api(""), **web()})
    assert found["web"][0] == "unknown"
    assert "configures no CORS" in found["web"][1]


def test_cors_for_the_machines_of_developers_counts_there_only(tmp_path: Path) -> None:
    files = {**api("allow_origins=['http://localhost:5173']"), **web()}
    assert verdicts(tmp_path, files)["web"][0] == "unknown"
    assert {status for status, _ in verdicts(tmp_path, files, "development").values()} == {"gap"}


def test_version_seven_sends_to_a_developers_machine_by_itself(tmp_path: Path) -> None:
    client = CLIENT.replace("VITE_API_URL;", "VITE_API_URL ?? 'http://localhost:8000';")
    files = {**api("allow_origins=['http://localhost:5173'], allow_headers=['*']"), **web(client=client, sdk="^7")}
    assert verdicts(tmp_path, files, "development")["web"][0] == "pass"


# --- both ends -------------------------------------------------------------------------------------


def test_a_back_end_that_does_not_sample(tmp_path: Path) -> None:
    found = verdicts(tmp_path, {**api(init=""), **web(LISTED)})
    assert found["api"][0] == "gap"
    assert "web samples traces, and api does not" in found["api"][1]
    assert found["web"][0] == "skipped"


@pytest.mark.parametrize("rate", ["debug: false", "tracesSampleRate: 0"])
def test_a_browser_that_does_not_sample(tmp_path: Path, rate: str) -> None:
    found = verdicts(tmp_path, {**api(), **web(LISTED, rate=rate)})
    assert found["web"][0] == "gap"
    assert "api samples traces, and the browser does not" in found["web"][1]


def test_where_nobody_samples_there_is_nothing_to_judge(tmp_path: Path) -> None:
    report = audit(tmp_path, {**api(init=""), **web(rate="debug: false")})
    assert statuses(report, CHECK) == {"skipped"}


def test_a_back_end_without_a_front_end_is_skipped_and_told_why(tmp_path: Path) -> None:
    [(status, text)] = verdicts(tmp_path, api(NARROW)).values()
    assert status == "skipped"
    assert "needs a front end and a back end here" in text


def test_one_of_two_back_ends(tmp_path: Path) -> None:
    other = {name.replace("api/", "billing/"): text for name, text in api().items()}
    assert verdicts(tmp_path, {**api(), **other, **web()})["web"][0] == "unknown"
    named = web(client=CLIENT.replace("VITE_API_URL", "VITE_BILLING_API_URL"))
    found = verdicts(tmp_path, {**api(NARROW), **other, **named})
    assert found["web"][0] == "gap"
    assert found["billing"][0] == "pass"
    assert found["api"][0] == "skipped"


# --- how CORS is configured ------------------------------------------------------------------------

_FASTAPI = "from fastapi.middleware.cors import CORSMiddleware\n"
_SETTINGS = "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    headers: list[str] = ['a']\nsettings = S()\n"
_DJANGO = "from corsheaders.defaults import default_headers\nMIDDLEWARE = ['corsheaders.middleware.CorsMiddleware']\n"


def configured(files: dict[str, str], django: tuple[str, ...] = ()) -> list[Cors]:
    program = Program(Texts(files))
    resolver = Resolver(program, "staging")
    resolver.django_settings = django
    closure = {path: "" for path in files if path.endswith(".py")}
    analysed: Any = SimpleNamespace(resolver=resolver, closure=closure, service=SimpleNamespace(entries=("main.py",)))
    return cors(cast("Analysed", analysed), program)


@pytest.mark.parametrize(
    ("code", "allows"),
    [
        ("app.add_middleware(CORSMiddleware, allow_headers=['*'])", True),
        ("app.add_middleware(CORSMiddleware, allow_headers='*')", True),
        ("app.add_middleware(CORSMiddleware)", False),
        ("app.add_middleware(CORSMiddleware, allow_headers=['SENTRY-TRACE'])", False),
        ("app = CORSMiddleware(app, allow_headers=['sentry-trace', 'baggage'])", True),
        ("m = [Middleware(CORSMiddleware, allow_headers=['a', *('baggage', 'sentry-trace')])]", True),
        (
            "H = ['a']\nH += ['sentry-trace', 'baggage']\napp.add_middleware(CORSMiddleware, allow_headers=H + ['b'])",
            True,
        ),
        ("K = {'allow_headers': ['a']}\napp.add_middleware(CORSMiddleware, **K)", False),
        ("app.add_middleware(CORSMiddleware, **options())", None),
        ("app.add_middleware(CORSMiddleware, allow_headers=headers())", None),
        ("app.add_middleware(middleware_class=CORSMiddleware, allow_headers=['*'])", True),
        ("from config import settings\napp.add_middleware(CORSMiddleware, allow_headers=settings.headers)", False),
    ],
)
def test_cors_of_starlette(code: str, allows: bool | None) -> None:
    [found] = configured({"main.py": f"{_FASTAPI}{code}\n", "config.py": _SETTINGS})
    assert found.allows is allows


def test_a_default_that_a_deployment_may_replace_is_not_known() -> None:
    code = "from config import settings\napp.add_middleware(CORSMiddleware, allow_headers=settings.headers)\n"
    [found] = configured({"main.py": _FASTAPI + code, "config.py": _SETTINGS, "deploy.yaml": "HEADERS: x\n"})
    assert found.allows is None
    assert "deploy.yaml mentions HEADERS" in found.headers.unknown


@pytest.mark.parametrize(
    ("code", "allows"),
    [
        ("CORS(app)", [True]),
        ("CORS(app, allow_headers='Content-Type')", [False]),
        ("CORS(app, allow_headers=[r'sentry-.*', 'baggage'])", [True]),
        ("CORS(app, resources={r'/api/*': {'origins': '*', 'allow_headers': ['Content-Type']}})", [False]),
    ],
)
def test_cors_of_flask(code: str, allows: list[bool]) -> None:
    assert [item.allows for item in configured({"main.py": f"from flask_cors import CORS\n{code}\n"})] == allows


@pytest.mark.parametrize(
    ("code", "allows"),
    [
        ("", False),
        ("CORS_ALLOW_HEADERS = (*default_headers, 'sentry-trace', 'baggage')", True),
        ("CORS_ALLOW_HEADERS = list(default_headers) + ['x-token']", False),
        ("CORS_ALLOW_HEADERS = default_headers + get_headers()", None),
    ],
)
def test_cors_of_django(code: str, allows: bool | None) -> None:
    [found] = configured({"settings.py": f"{_DJANGO}{code}\n"}, ("settings.py",))
    assert found.allows is allows


def test_cors_written_by_hand_is_seen_but_not_judged() -> None:
    [found] = configured({"main.py": "def after(answer):\n    answer.headers['Access-Control-Allow-Headers'] = 'x'\n"})
    assert found.allows is None
    assert not found.local


# --- addresses that may be shown --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("VITE_API_URL", "https://api.acme.dev/v1/", "https://api.acme.dev/v1"),
        ("VITE_API_URL", "/", "/"),
        ("VITE_API_URL", "", ""),
        (
            "NEXT_PUBLIC_BACKEND_URL",
            "https://hooks.acme.dev/services/T00000000000000000000",
            "https://hooks.acme.dev/services",
        ),
        ("VITE_API_URL", "https://user:word@acme.dev", ""),
        ("VITE_API_URL", "https://acme.dev?token=abc", "https://acme.dev"),
        ("VITE_API_KEY", "/abc", ""),
        ("API_URL", "https://acme.dev", ""),
    ],
)
def test_the_address_of_a_public_api_is_kept_and_nothing_else(name: str, value: str, kept: str) -> None:
    assert shown(name, value) == kept
