"""Front ends: what they depend on, what loads an init, where its DSN comes from, and what stands in front of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_audit.facts import FrontendDsn
from sentry_audit.guard import SAMPLES, judge
from sentry_audit.javascript.analysis import Analysis
from sentry_audit.javascript.packages import discover
from tests.trees import FASTAPI, SDK, Texts, audit, findings, message, statuses, write

if TYPE_CHECKING:
    from pathlib import Path

INIT = "import * as Sentry from '@sentry/nextjs';\nSentry.init({ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN });\n"


def package(scripts: str = "next build", dev: dict[str, str] | None = None, **dependencies: str) -> str:
    listed = {name.replace("__", "/"): version for name, version in dependencies.items()}
    return json.dumps({"scripts": {"build": scripts}, "dependencies": listed, "devDependencies": dev or {}}, indent=2)


def next_app(version: str = "15.3.0", **files: str) -> dict[str, str]:
    manifest = json.dumps(
        {"scripts": {"build": "next build"}, "dependencies": {"next": version, "@sentry/nextjs": "^10"}}
    )
    return {"web/package.json": manifest, **{f"web/{name}": text for name, text in files.items()}}


def vite_app(main: str, dev: bool = False) -> dict[str, str]:
    sdk = {"@sentry/react": "^10"}
    manifest = {
        "scripts": {"build": "vite build"},
        "dependencies": {"react": "19", **({} if dev else sdk)},
        "devDependencies": {"vite": "7", **(sdk if dev else {})},
    }
    return {
        "web/package.json": json.dumps(manifest),
        "web/index.html": '<script type="module" src="/src/main.tsx"></script>',
        "web/src/main.tsx": main,
    }


# --- components ----------------------------------------------------------------------------------


def test_what_is_a_front_end() -> None:
    found, problems = discover(
        Texts(
            {
                "apps/shop/package.json": package(next="15"),
                "packages/ui/package.json": package("vite build", {"vite": "7", "react": "19"}),
                "server/package.json": package("tsc", express="5"),
                "tpl/package.json": '{"dependencies": {"next": "15"} {% if x %}',
            }
        )
    )
    assert [(item.fact.name, item.framework) for item in found] == [("shop", "nextjs")]
    assert not problems


def test_a_broken_manifest_is_a_problem_with_its_line() -> None:
    _, problems = discover(Texts({"package.json": '{\n  "name": "x",\n  "scripts": {"a" 1}\n}\n'}))
    assert [item.evidence.line for item in problems] == [3]


def test_comments_and_trailing_commas_are_read() -> None:
    found, problems = discover(
        Texts({"package.json": '{\n// note\n"scripts": {"build": "next build",},\n"dependencies": {"next": "15"}}'})
    )
    assert len(found) == 1
    assert not problems


def test_an_sdk_of_a_workspace_package(tmp_path: Path) -> None:
    files = {
        "web/package.json": json.dumps(
            {"scripts": {"build": "next build"}, "dependencies": {"next": "15", "@acme/observe": "workspace:*"}}
        ),
        "packages/observe/package.json": json.dumps(
            {"name": "@acme/observe", "dependencies": {"@sentry/nextjs": "^10"}}
        ),
    }
    assert statuses(audit(tmp_path, files), "frontend-sdk-declared", "web") == {"pass"}


def test_sdk_among_development_dependencies(tmp_path: Path) -> None:
    main = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\n"
    bundled = vite_app(main, dev=True)
    assert statuses(audit(tmp_path / "a", bundled), "frontend-sdk-declared", "web") == {"pass"}
    pruned = {**bundled, "web/Dockerfile": "FROM node\nCOPY . .\nRUN npm ci --omit=dev\nRUN npm run build\n"}
    report = audit(tmp_path / "b", pruned)
    assert "web/Dockerfile:3 installs without those" in message(report, "frontend-sdk-declared")
    later = {**bundled, "web/Dockerfile": "FROM node\nRUN npm ci\nRUN npm run build\nRUN npm prune --production\n"}
    assert statuses(audit(tmp_path / "c", later), "frontend-sdk-declared", "web") == {"pass"}


def test_react_sdk_in_next(tmp_path: Path) -> None:
    manifest = json.dumps({"scripts": {"build": "next build"}, "dependencies": {"next": "15", "@sentry/react": "^10"}})
    assert statuses(audit(tmp_path, {"package.json": manifest}), "frontend-sdk-matches-framework") == {"gap"}


# --- what is loaded ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "files", "expected"),
    [
        ("15.3.0", {"instrumentation-client.ts": INIT}, "pass"),
        ("15.3.0", {"src/instrumentation-client.ts": INIT}, "pass"),
        ("15.3.0", {"sentry.client.config.ts": INIT, "next.config.js": "module.exports = withSentryConfig({})"}, "pass"),
        ("15.3.0", {"sentry.client.config.ts": INIT}, "gap"),
        ("15.3.0", {"sentry.server.config.ts": INIT}, "gap"),
        ("15.3.0", {"lib/sentry.ts": INIT}, "gap"),
        ("15.3.0", {"lib/sentry.ts": INIT, "app/layout.tsx": "import '@/lib/sentry';\n"}, "pass"),
        ("15.3.0", {"lib/sentry.ts": INIT, "app/layout.tsx": "// import '@/lib/sentry';\n"}, "gap"),
        ("15.3.0", {"lib/sentry.test.ts": INIT}, "gap"),
        ("15.3.0", {"instrumentation-client.ts": INIT.replace("Sentry.init", "// Sentry.init")}, "gap"),
    ],
)  # fmt: skip
def test_which_inits_are_loaded(tmp_path: Path, version: str, files: dict[str, str], expected: str) -> None:
    assert statuses(audit(tmp_path, next_app(version, **files)), "frontend-init-present", "web") == {expected}


def test_a_component_that_initialises_must_be_rendered(tmp_path: Path) -> None:
    component = "import * as Sentry from '@sentry/nextjs';\nexport function SentryInit() {\n"
    component += (
        "  useEffect(() => { Sentry.init({ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN }); }, []);\n  return null;\n}\n"
    )
    page = "import { SentryInit } from '../components/init';\n"
    page += "export default function L({ children }) { return <body>%s{children}</body>; }\n"
    files = {"components/init.tsx": component, "app/layout.tsx": page % ""}
    report = audit(tmp_path / "a", next_app(**files))
    assert "nothing calls or renders it" in message(report, "frontend-init-present")
    files["app/layout.tsx"] = page % "<SentryInit />"
    assert statuses(audit(tmp_path / "b", next_app(**files)), "frontend-init-present", "web") == {"pass"}


def test_turbopack_ignores_the_client_config(tmp_path: Path) -> None:
    files = {"sentry.client.config.ts": INIT, "next.config.ts": "export default withSentryConfig({});\n"}
    report = audit(tmp_path / "a", next_app("16.0.0", **files))
    assert statuses(report, "frontend-init-ignored-by-bundler", "web") == {"gap"}
    manifest = json.dumps(
        {"scripts": {"build": "next build --webpack"}, "dependencies": {"next": "16.0.0", "@sentry/nextjs": "^10"}}
    )
    report = audit(tmp_path / "b", {**next_app("16.0.0", **files), "web/package.json": manifest})
    assert statuses(report, "frontend-init-ignored-by-bundler", "web") == {"pass"}


def test_broken_code_is_unknown_with_its_line(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        next_app(**{"instrumentation-client.ts": "import * as Sentry from '@sentry/nextjs';\nSentry.init({ dsn: \n"}),
    )
    [finding] = findings(report, "frontend-init-present", "web")
    assert finding.status.value in {"unknown", "gap"}
    assert any(item.evidence.path == "web/instrumentation-client.ts" and item.evidence.line for item in report.problems)


def test_bundles_are_no_evidence(tmp_path: Path) -> None:
    bundle = "import * as Sentry from '@sentry/nextjs';" + "a();" * 200_000 + "Sentry.init({dsn:'x'});"
    report = audit(tmp_path, next_app(**{"app/page.js": bundle}))
    assert statuses(report, "frontend-init-present", "web") == {"gap"}


@given(st.text(max_size=200))
def test_reading_code_never_raises(text: str) -> None:
    code = f"import * as Sentry from '@sentry/nextjs';\nif ({text}) {{ Sentry.init({{ dsn: {text} }}) }}\n"
    files = Texts(next_app(**{"instrumentation-client.tsx": code}))
    [frontend], _ = discover(files)
    Analysis(files, frontend).facts()


# --- the DSN -------------------------------------------------------------------------------------


def dsn_of(files: dict[str, str]) -> FrontendDsn:
    texts = Texts(files)
    [frontend], _ = discover(texts)
    return next(fact for fact in Analysis(texts, frontend).facts() if isinstance(fact, FrontendDsn))


@pytest.mark.parametrize(
    ("code", "variable", "public"),
    [
        ("Sentry.init({ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN })", "NEXT_PUBLIC_SENTRY_DSN", True),
        ("const dsn = process.env.NEXT_PUBLIC_DSN || '';\nSentry.init({ dsn })", "NEXT_PUBLIC_DSN", True),
        ("import { CONFIG } from './config';\nSentry.init({ dsn: CONFIG.DSN })", "NEXT_PUBLIC_SENTRY_DSN", True),
        ("Sentry.init({ dsn: process.env.SENTRY_DSN })", "SENTRY_DSN", False),
        ("Sentry.init({ environment: 'x' })", "", False),
    ],
)
def test_where_the_dsn_comes_from(code: str, variable: str, public: bool) -> None:
    config = "const base = { DSN: process.env.NEXT_PUBLIC_SENTRY_DSN };\nexport const CONFIG = { ...base, A: 1 };\n"
    found = dsn_of(
        next_app(
            **{"instrumentation-client.ts": f"import * as Sentry from '@sentry/nextjs';\n{code}\n", "config.ts": config}
        )
    )
    assert (found.variable, found.public) == (variable, public)


@pytest.mark.parametrize(
    ("expression", "public"),
    [
        ("import.meta.env.VITE_SENTRY_DSN", True),
        ("import.meta.env.SENTRY_DSN", False),
        ("process.env.VITE_SENTRY_DSN", False),
    ],
)
def test_vite_compiles_in_its_own_prefix_only(expression: str, public: bool) -> None:
    assert (
        dsn_of(vite_app(f"import * as Sentry from '@sentry/react';\nSentry.init({{ dsn: {expression} }});\n")).public
        is public
    )


def test_what_comes_from_the_page_is_unknown() -> None:
    code = "import * as Sentry from '@sentry/nextjs';\nSentry.init({ dsn: window.__ENV.SENTRY_DSN });\n"
    assert "run time" in dsn_of(next_app(**{"instrumentation-client.ts": code})).unknown


# --- guards --------------------------------------------------------------------------------------


def guard(condition: str, more: str = "", wrap: str = "if ({}) {{ Sentry.init({{ dsn }}); }}") -> dict[str, str]:
    head = "import * as Sentry from '@sentry/nextjs';\nconst dsn = process.env.NEXT_PUBLIC_SENTRY_DSN;\n"
    return next_app(**{"instrumentation-client.ts": head + more + wrap.format(condition) + "\n"})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("dsn && dsn.includes('@sentry.io')", "gap"),
        ("dsn?.includes('sentry.io')", "pass"),
        ("dsn && dsn.startsWith('https://') && dsn.endsWith('.sentry.io')", "gap"),
        ("dsn && /^https:\\/\\/\\w+@o\\d+\\.ingest\\.sentry\\.io\\/\\d+$/.test(dsn)", "gap"),
        ("dsn && /^https:\\/\\/\\w+@[\\w.]+\\/\\d+$/.test(dsn)", "pass"),
        ("dsn !== undefined && process.env.NODE_ENV === 'production'", "skipped"),
        ("dsn && dsn !== 'YOUR_DSN'", "pass"),
        ("dsn.indexOf('@sentry.io') > -1", "gap"),
        ("dsn && check(dsn)", "unknown"),
        ("dsn && isValid(dsn)", "gap"),
        ("isReal(dsn)", "pass"),
    ],
)
def test_guards_are_asked_about_real_dsns(tmp_path: Path, condition: str, expected: str) -> None:
    more = (
        "const isValid = (d: string) => d.startsWith('https://') && d.includes('@sentry.io');\n"
        "function isReal(d?: string) {\n  if (!d || d === 'none') return false;\n  return d.startsWith('https://');\n}\n"
    )
    assert statuses(audit(tmp_path, guard(condition, more)), "frontend-dsn-guard", "web") == {expected}


def test_an_early_return_is_a_guard(tmp_path: Path) -> None:
    wrap = "function start() {{\n  if ({}) return;\n  Sentry.init({{ dsn }});\n}}\nstart();"
    report = audit(tmp_path, guard("!dsn || !dsn.includes('@sentry.io')", wrap=wrap))
    assert "sentry.io (US), sentry.io (EU)" in message(report, "frontend-dsn-guard")


def test_samples_are_what_sentry_hands_out() -> None:
    from sentry_audit import dsn

    assert all(dsn.parse(sample).valid for _, sample in SAMPLES)
    assert judge(lambda _: True).keeps_real
    assert not judge(lambda text: "@sentry.io" in text).keeps_real


# --- where it is built ---------------------------------------------------------------------------


DOCKERFILE = (
    "FROM node AS build\nARG NEXT_PUBLIC_SENTRY_DSN\nENV NEXT_PUBLIC_SENTRY_DSN=$NEXT_PUBLIC_SENTRY_DSN\n"
    "RUN npm ci && npm run build\nFROM nginx\nCOPY --from=build /dist .\n"
)


def built(**more: str) -> dict[str, str]:
    return {
        **next_app(**{"instrumentation-client.ts": INIT}),
        **{name.replace("__", "/"): text for name, text in more.items()},
    }


def test_a_value_that_only_the_running_service_has(tmp_path: Path) -> None:
    files = built(**{"deploy.sh": "gcloud run deploy web --source web --set-secrets=NEXT_PUBLIC_SENTRY_DSN=front:1\n"})
    report = audit(tmp_path, files)
    assert "compiled in at build" in message(report, "frontend-dsn-at-build")
    report = audit(tmp_path, {**files, "web/Dockerfile": "FROM node\nRUN npm run build\n"})
    assert statuses(report, "frontend-dsn-at-build", "web") == {"gap"}
    assert statuses(report, "frontend-dsn-provided", "web") == {"skipped"}


def test_a_build_argument_reaches_the_image(tmp_path: Path) -> None:
    command = "docker build --build-arg NEXT_PUBLIC_SENTRY_DSN=$DSN -t web web\n"
    report = audit(
        tmp_path / "a", built(**{"web/Dockerfile": DOCKERFILE, "build.sh": command + "gcloud run deploy web\n"})
    )
    assert statuses(report, "frontend-dsn-provided", "web") == {"pass"}
    report = audit(
        tmp_path / "b",
        built(**{"web/Dockerfile": "FROM node\nRUN npm run build\n", "build.sh": command + "gcloud run deploy web\n"}),
    )
    assert "has no ARG NEXT_PUBLIC_SENTRY_DSN" in message(report, "frontend-dsn-provided")


def test_an_environment_file_counts_in_its_environment(tmp_path: Path) -> None:
    files = built(
        **{
            "web/.env.production": "NEXT_PUBLIC_SENTRY_DSN=https://0123456789abcdef0123456789abcdef@o1.ingest.us.sentry.io/4\n"
        }
    )
    assert statuses(audit(tmp_path, files, "production"), "frontend-dsn-provided", "web") == {"pass"}
    report = audit(tmp_path, files, "staging")
    assert statuses(report, "frontend-dsn-provided", "web") == {"pass"}
    assert "web/.env.production sets NEXT_PUBLIC_SENTRY_DSN, and every build for deployment reads that file" in message(
        report, "frontend-dsn-provided"
    )


def test_a_build_for_tests_proves_nothing(tmp_path: Path) -> None:
    ci = "on: push\njobs:\n  test:\n    steps:\n    - run: npm run build\n      working-directory: web\n"
    report = audit(tmp_path, built(**{"web/Dockerfile": DOCKERFILE, ".github/workflows/ci.yml": ci}))
    assert statuses(report, "frontend-dsn-provided", "web") == {"unknown"}


def test_tracing_needs_an_integration(tmp_path: Path) -> None:
    code = "import * as Sentry from '@sentry/react';\n"
    code += "Sentry.init({ dsn: import.meta.env.VITE_DSN, tracesSampleRate: 1, integrations: [%s] });\n"
    assert statuses(audit(tmp_path / "a", vite_app(code % "")), "frontend-tracing", "web") == {"gap"}
    assert statuses(
        audit(tmp_path / "b", vite_app(code % "Sentry.browserTracingIntegration()")), "frontend-tracing", "web"
    ) == {"pass"}


def test_back_end_checks_do_not_apply_to_a_front_end(tmp_path: Path) -> None:
    files = {**built(), "api/requirements.txt": SDK, "api/main.py": f"import sentry_sdk\nsentry_sdk.init()\n{FASTAPI}"}
    report = audit(tmp_path, files)
    assert statuses(report, "backend-sdk-declared", "web") == {"skipped"}
    assert statuses(report, "frontend-sdk-declared", "api") == {"skipped"}


# --- trace and diff ------------------------------------------------------------------------------


def test_trace_follows_a_variable_up_to_where_it_breaks(tmp_path: Path) -> None:
    from sentry_audit.app import Request, trace
    from sentry_audit.reporters.base import RenderOptions
    from sentry_audit.reporters.ways import exit_code, render_trace

    files = built(
        **{
            "web/Dockerfile": DOCKERFILE,
            "deploy-staging.sh": "gcloud run deploy web-staging --set-secrets=NEXT_PUBLIC_SENTRY_DSN=front:1\n",
        }
    )
    write(tmp_path, files)
    ways = trace(Request(root=tmp_path, environments=("staging",)), "NEXT_PUBLIC_SENTRY_DSN")
    text = render_trace("NEXT_PUBLIC_SENTRY_DSN", ways, RenderOptions(width=200))
    assert "web/instrumentation-client.ts:2" in text
    assert "web/Dockerfile takes NEXT_PUBLIC_SENTRY_DSN while it builds" in text
    assert "it breaks at build" in text
    assert exit_code(ways) == 1


def test_diff_shows_what_two_environments_do_not_share(tmp_path: Path) -> None:
    from sentry_audit.app import Request, difference

    back = {"requirements.txt": SDK, "main.py": f"import sentry_sdk\nsentry_sdk.init()\n{FASTAPI}"}
    write(
        tmp_path,
        {
            **back,
            "staging.sh": "gcloud run deploy shop-staging --set-env-vars=A=1\n",
            "production.sh": "gcloud run deploy shop-production --set-secrets=SENTRY_DSN=d:1\n",
        },
    )
    found = {item.subject: item for item in difference(Request(root=tmp_path), "staging", "production")}
    assert found["deploy-dsn-declared"].left.status.value == "gap"
    assert found["deploy-dsn-declared"].right.status.value == "pass"


def test_components_of_the_settings_may_be_front_ends(tmp_path: Path) -> None:
    settings = "components:\n- {name: shop, path: web}\n"
    files = {**built(), "api/requirements.txt": SDK, "api/main.py": FASTAPI, "sentry-audit.yaml": settings}
    assert [item.path for item in audit(tmp_path, files).components] == ["web"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import './sentry';", "pass"),
        ("// import './sentry';", "gap"),
        ("/* import './sentry'; */", "gap"),
        ("/*\n * import './sentry';\n */", "gap"),
        ("const pages = import.meta.glob('./pages/**/*.tsx');\nimport './sentry';", "pass"),
        ("const url = 'https://x.example'; import './sentry';", "pass"),
    ],
)
def test_which_imports_count(tmp_path: Path, line: str, expected: str) -> None:
    init = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\n"
    files = {**vite_app(f"{line}\n"), "web/src/sentry.ts": init}
    assert statuses(audit(tmp_path, files), "frontend-init-present", "web") == {expected}


@pytest.mark.parametrize(
    "code",
    [
        "export const Terms = () => <p>Terms & Conditions, R&D</p>;\n",
        "class Field {\n  accessor: string = 'x';\n}\n",
        "export const mask = 6 & 3;\ntype Both = { a: 1 } & { b: 2 };\nexport const Amp = () => <p>a &amp; b & c</p>;\n",
    ],
)
def test_what_compilers_take_is_read(tmp_path: Path, code: str) -> None:
    init = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\n"
    report = audit(tmp_path, vite_app(f"{init}{code}"))
    assert statuses(report, "frontend-init-present", "web") == {"pass"}
    assert not report.problems


def test_a_broken_file_makes_unknown_only_what_it_could_tell(tmp_path: Path) -> None:
    init = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\n"
    files = {**vite_app(init), "web/src/Guard.tsx": "export class Guard { componentDidCatch( {\n"}
    report = audit(tmp_path, files)
    for check, expected in {
        "frontend-sdk-declared": "pass",
        "frontend-init-present": "pass",
        "frontend-dsn-public": "pass",
        "frontend-error-boundary-captures": "unknown",
    }.items():
        assert statuses(report, check, "web") == {expected}, check


@pytest.mark.parametrize(
    ("version", "files", "expected"),
    [
        (
            "16.1.4",
            {"next.config.ts": "export default withSentryConfig({});\n", "sentry.client.config.ts": INIT},
            "gap",
        ),
        ("15.1.8", {"instrumentation-client.ts": INIT}, "gap"),
        (
            "15.1.8",
            {"instrumentation-client.ts": INIT, "next.config.ts": "export default withSentryConfig({});\n"},
            "pass",
        ),
        (
            "15.1.8",
            {
                "instrumentation-client.ts": INIT,
                "next.config.mjs": "export default {};\n",
                "next.config.ts": "export default withSentryConfig({});\n",
            },
            "gap",
        ),
        ("15.3.0", {"lib/sentry.ts": INIT, "instrumentation.ts": "import './lib/sentry';\n"}, "gap"),
        ("15.3.0", {"lib/sentry.ts": INIT, "app/api/x/route.ts": "import '../../../lib/sentry';\n"}, "gap"),
    ],
)
def test_which_file_next_takes(tmp_path: Path, version: str, files: dict[str, str], expected: str) -> None:
    told = next_app(version, **files)
    told["web/package.json"] = told["web/package.json"].replace(
        '"next build"', '"next build", "dev:webpack": "next dev --webpack"'
    )
    report = audit(tmp_path, told)
    wanted = "frontend-init-ignored-by-bundler" if "sentry.client.config.ts" in files else "frontend-init-present"
    assert statuses(report, wanted, "web") == {expected}


def test_an_init_of_the_server_is_none_of_the_browser(tmp_path: Path) -> None:
    manifest = {
        "scripts": {
            "build": "react-router build",
            "start": "NODE_OPTIONS='--import ./telemetry.mjs' react-router-serve",
        },
        "dependencies": {"@sentry/react-router": "^10"},
        "devDependencies": {"@react-router/dev": "7"},
    }
    server = "import * as Sentry from '@sentry/react-router';\nSentry.init({ dsn: process.env.SENTRY_DSN, tracesSampleRate: 1 });\n"
    settings = "export default { DSN: typeof window === 'undefined' ? process.env.SENTRY_DSN : import.meta.env.VITE_SENTRY_DSN };\n"
    files = {
        "package.json": json.dumps(manifest),
        "instrument.server.mjs": server,
        "telemetry.mjs": server,
        "app/config.ts": settings,
        "app/entry.server.tsx": "import '../instrument.server.mjs';\n",
        "app/entry.client.tsx": (
            "import * as Sentry from '@sentry/react-router';\nimport config from './config';\nSentry.init({ dsn: config.DSN });\n"
        ),
    }
    report = audit(tmp_path, files)
    [found] = findings(report, "frontend-dsn-public")
    assert found.status.value == "pass"
    assert {place.path for place in found.evidence} == {"app/entry.client.tsx", "app/config.ts"}


def test_a_method_that_another_object_calls(tmp_path: Path) -> None:
    crash = (
        "import * as Sentry from '@sentry/react';\nexport class Crash {\n  init() {\n"
        "    Sentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\n  }\n}\n"
    )
    store = "import { Crash } from './crash';\nclass Store {\n  crash = new Crash();\n}\nexport const store = new Store();\n"
    files = {
        **vite_app("import { store } from './store';\nstore.crash.init();\n"),
        "web/src/crash.ts": crash,
        "web/src/store.ts": store,
    }
    assert statuses(audit(tmp_path / "a", files), "frontend-init-present", "web") == {"pass"}
    files["web/src/store.ts"] = "export { Crash } from './crash';\nexport const store = { crash: null };\n"
    assert statuses(audit(tmp_path / "b", files), "frontend-init-present", "web") == {"gap"}


def test_a_library_of_components_is_no_front_end() -> None:
    library = json.dumps(
        {"main": "src/index.js", "scripts": {"build": "react-scripts build"}, "dependencies": {"react-scripts": "5"}}
    )
    found, _ = discover(
        Texts({"packages/ui/package.json": library, "web/package.json": library, "web/public/index.html": "<p/>"})
    )
    assert [item.fact.name for item in found] == ["web"]


def test_a_literal_stands_in_for_a_variable_that_nothing_sets(tmp_path: Path) -> None:
    dsn = f"https://{'a1b2c3d4' * 4}@o1.ingest.us.sentry.io/7"
    init = (
        "import * as Sentry from '@sentry/react';\n"
        f"Sentry.init({{ dsn: import.meta.env.VITE_SENTRY_DSN || '{dsn}' }});\n"
    )
    report = audit(tmp_path, {**vite_app(init), "web/Dockerfile": "FROM node\nRUN npm run build\n"})
    assert statuses(report, "frontend-dsn-provided", "web") == {"pass"}
    assert statuses(report, "frontend-dsn-at-build", "web") == {"pass"}


def test_a_variable_that_nothing_sets_is_not_called_there_at_build(tmp_path: Path) -> None:
    init = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\n"
    report = audit(tmp_path, {**vite_app(init), "web/Dockerfile": "FROM node\nRUN npm run build\n"})
    assert statuses(report, "frontend-dsn-provided", "web") == {"gap"}
    assert statuses(report, "frontend-dsn-at-build", "web") == {"skipped"}


def test_a_variable_of_sveltekit_that_is_read_at_run_time(tmp_path: Path) -> None:
    manifest = {
        "scripts": {"build": "vite build"},
        "dependencies": {"@sentry/sveltekit": "^10"},
        "devDependencies": {"@sveltejs/kit": "2"},
    }
    hooks = (
        "import * as Sentry from '@sentry/sveltekit';\nimport { env } from '$env/dynamic/public';\n"
        "Sentry.init({ dsn: env.PUBLIC_SENTRY_DSN });\nexport const handleError = Sentry.handleErrorWithSentry();\n"
    )
    files = {
        "package.json": json.dumps(manifest),
        "src/hooks.client.ts": hooks,
        "deploy.sh": "gcloud run deploy web --source . --set-secrets=PUBLIC_SENTRY_DSN=sentry-dsn:latest\n",
    }
    report = audit(tmp_path / "a", files)
    assert statuses(report, "frontend-dsn-public") == {"pass"}
    assert statuses(report, "frontend-dsn-provided") == {"pass"}
    assert statuses(report, "frontend-error-boundary-captures") == {"pass"}
    files["src/hooks.client.ts"] = (
        hooks.replace("dynamic", "static").replace("{ env }", "{ PUBLIC_SENTRY_DSN }").replace("env.P", "P")
    )
    assert statuses(audit(tmp_path / "b", files), "frontend-dsn-at-build") == {"gap"}


def test_what_an_entry_exports_is_run_by_what_loads_it(tmp_path: Path) -> None:
    page = (
        "import * as Sentry from '@sentry/nextjs';\nexport default function App({ Component }) {\n"
        "  Sentry.init({ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN });\n  return <Component />;\n}\n"
    )
    assert statuses(audit(tmp_path, next_app(**{"pages/_app.tsx": page})), "frontend-init-present", "web") == {"pass"}


def test_the_entry_of_a_webpack_configuration(tmp_path: Path) -> None:
    manifest = {
        "scripts": {"build": "webpack"},
        "dependencies": {"@sentry/react": "^10"},
        "devDependencies": {"webpack": "5"},
    }
    init = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: window.config.dsn });\n"
    files = {
        "package.json": json.dumps(manifest),
        "webpack.config.ts": "export default { entry: path.resolve(__dirname, 'src/index.tsx') };\n",
        "src/index.tsx": "import './sentry';\n",
        "src/sentry.ts": init,
        "src/other.ts": "export const x = 1;\n",
    }
    assert statuses(audit(tmp_path / "a", files), "frontend-init-present") == {"pass"}
    files["src/index.tsx"] = "import './other';\n"
    assert statuses(audit(tmp_path / "b", files), "frontend-init-present") == {"unknown"}


@pytest.mark.parametrize(
    ("environment", "name", "more", "expected"),
    [
        ("staging", ".env", {}, "pass"),
        ("staging", ".env.production", {}, "pass"),
        ("production", ".env.production", {}, "pass"),
        ("development", ".env.production", {}, "skipped"),
        ("production", ".env.staging", {}, "unknown"),
        ("staging", ".env.staging", {}, "unknown"),
        ("staging", ".env.staging", {"web/build.sh": "cp .env.staging .env.local && npm run build\n"}, "pass"),
        (
            "staging",
            ".env.staging",
            {"web/Dockerfile": "FROM node\nCOPY .env.staging .env\nRUN npm run build\n"},
            "pass",
        ),
        ("staging", ".env.staging", {"web/Dockerfile": "FROM node\nCOPY . .\nRUN npm run build\n"}, "gap"),
    ],
)
def test_which_dotenv_files_a_build_of_next_reads(
    tmp_path: Path, environment: str, name: str, more: dict[str, str], expected: str
) -> None:
    dsn = "NEXT_PUBLIC_SENTRY_DSN=https://0123456789abcdef0123456789abcdef@o1.ingest.us.sentry.io/4\n"
    files = {**next_app(**{"instrumentation-client.ts": INIT, name: dsn}), **more}
    report = audit(tmp_path, files, environment)
    assert statuses(report, "frontend-dsn-provided", "web") == {expected}
    if expected == "unknown" and environment == "staging":
        assert "nothing was found that reads that file" in message(report, "frontend-dsn-provided")


def test_which_dotenv_files_a_build_of_vite_reads(tmp_path: Path) -> None:
    init = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\n"
    dsn = "VITE_SENTRY_DSN=https://0123456789abcdef0123456789abcdef@o1.ingest.us.sentry.io/4\n"
    plain = {**vite_app(init), "web/.env.staging": dsn}
    assert statuses(audit(tmp_path / "a", plain), "frontend-dsn-provided", "web") == {"unknown"}
    modes = {path: text.replace('"vite build"', '"vite build --mode staging"') for path, text in plain.items()}
    assert statuses(audit(tmp_path / "b", modes), "frontend-dsn-provided", "web") == {"pass"}
    production = {**modes, "web/.env.production": dsn, "web/.env.staging": "OTHER=1\n"}
    assert statuses(audit(tmp_path / "c", production), "frontend-dsn-provided", "web") == {"unknown"}


# --- single-file components ----------------------------------------------------------------------


def vue_app(
    component: str, main: str = "import { createApp } from 'vue';\nimport App from './App.vue';\ncreateApp(App);\n"
) -> dict[str, str]:
    manifest = {
        "scripts": {"build": "vite build"},
        "dependencies": {"vue": "3", "@sentry/vue": "^10"},
        "devDependencies": {"vite": "7"},
    }
    return {
        "web/package.json": json.dumps(manifest),
        "web/index.html": '<script type="module" src="/src/main.ts"></script>',
        "web/src/main.ts": main,
        "web/src/App.vue": component,
    }


def test_an_init_in_the_script_of_a_component(tmp_path: Path) -> None:
    component = (
        '<template>\n  <p v-if="a < b">it\'s</p>\n</template>\n\n<script setup lang="ts">\n'
        "import * as Sentry from '@sentry/vue';\nconst dsn: string = import.meta.env.VITE_SENTRY_DSN;\n"
        "Sentry.init({ dsn });\n</script>\n"
    )
    report = audit(tmp_path, vue_app(component))
    [found] = findings(report, "frontend-init-present", "web")
    assert found.status.value == "pass"
    assert [(place.path, place.line) for place in found.evidence] == [("web/src/App.vue", 8)]
    assert statuses(report, "frontend-dsn-public", "web") == {"pass"}


def test_a_script_that_is_broken_is_unknown_with_its_line(tmp_path: Path) -> None:
    component = "<template/>\n<script>\nimport * as Sentry from '@sentry/vue';\nSentry.init({ dsn: ;\n</script>\n"
    report = audit(tmp_path, vue_app(component))
    [found] = findings(report, "frontend-init-present", "web")
    assert found.status.value == "unknown"
    assert "web/src/App.vue:4" in found.message
