"""Fixers of front ends: each closes its gap, opens no other, and leaves all else as it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sentry_audit.app import Request, check, shipped_checks
from sentry_audit.fixers import cors, csp, js_dsns, js_hooks, js_privacy, js_public, js_scrubbing, js_targets, js_users
from sentry_audit.fixers import js_boundaries as boundaries
from sentry_audit.fixers import js_guards as dsn_guards
from sentry_audit.fixers import js_inits as inits
from sentry_audit.fixers import js_nextjs as nextjs
from sentry_audit.fixers import js_options as browser_options
from sentry_audit.fixers import js_packages as packages
from sentry_audit.fixers import js_plugins as bundles
from sentry_audit.fixing import Change, Refusal
from sentry_audit.model import Status
from tests.fixing_web import answers, cases, fixed
from tests.trees import write

MODULES = (
    boundaries, browser_options, bundles, cors, csp, dsn_guards, inits, js_dsns, js_hooks, js_privacy, js_public,
    js_scrubbing, js_targets, js_users, nextjs, packages,
)  # fmt: skip
NEXT = '{"scripts": {"build": "next build"}, "dependencies": {"next": "15.3.0", "react": "19.0.0", "@sentry/nextjs": "^10.20.0"}}'
VITE = (
    '{"scripts": {"build": "vite build"}, "dependencies": {"react": "19.0.0", "@sentry/react": "^10.20.0"},'
    ' "devDependencies": {"vite": "7.0.0"}}'
)
#: What can be judged only where an init runs.
OF_INIT = frozenset(
    {"frontend-dsn-provided", "frontend-dsn-at-build", "deploy-environment-declared", "release-set", "source-maps"}
)
PAGE = '<script type="module" src="/src/main.tsx"></script>'
INIT = """\
import * as Sentry from '@sentry/nextjs';

Sentry.init({
  dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,
});
"""


def guarded(condition: str, before: str = "", init: str = "{ dsn }") -> str:
    return (
        "import * as Sentry from '@sentry/nextjs';\n"
        f"const dsn = process.env.NEXT_PUBLIC_SENTRY_DSN;\n{before}"
        f"if ({condition}) {{\n  Sentry.init({init});\n}}\n"
    )


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ("dsn && dsn.includes('@sentry.io')", "if (dsn) {"),
        ("dsn.includes('@sentry.io')", "if (dsn) {"),
        ("dsn?.startsWith('https://') && dsn.includes('@sentry.io')", "if (dsn) {"),
        ("typeof window !== 'undefined' && dsn && /@sentry\\.io/.test(dsn)", "if (typeof window !== 'undefined' && dsn) {"),
        ("dsn.includes('@sentry.io') && process.env.NODE_ENV === 'production'",
         "if (dsn && process.env.NODE_ENV === 'production') {"),
        ("!(!dsn || !dsn.includes('@sentry.io'))", "if (!(!dsn)) {"),
        ("dsn &&\n  dsn.startsWith('https://') &&\n  dsn.includes('@sentry.io')", "if (dsn) {"),
    ],
)  # fmt: skip
def test_a_guard_asks_only_whether_a_dsn_is_set(tmp_path: Path, condition: str, left: str) -> None:
    files = {"package.json": NEXT, "instrumentation-client.ts": guarded(condition)}
    changed = fixed(tmp_path, files, dsn_guards.fix, "frontend-dsn-guard")
    assert changed == {"instrumentation-client.ts": guarded(condition).replace(f"if ({condition}) {{", left)}


def test_an_early_return_and_a_helper_of_another_file(tmp_path: Path) -> None:
    helper = (
        "export function isRealDsn(value?: string): boolean {\n  if (!value) return false;\n"
        "  return value.startsWith('https://') && value.includes('@sentry.io');\n}\n"
    )
    client = (
        "import * as Sentry from '@sentry/nextjs';\nimport { isRealDsn } from './lib/dsn';\n\nfunction start() {\n"
        "  const dsn = process.env.NEXT_PUBLIC_SENTRY_DSN;\n  if (!isRealDsn(dsn)) {\n    return;\n  }\n"
        "  Sentry.init({ dsn });\n}\n\nstart();\n"
    )
    files = {"package.json": NEXT, "instrumentation-client.ts": client, "lib/dsn.ts": helper}
    changed = fixed(tmp_path, files, dsn_guards.fix, "frontend-dsn-guard")
    assert changed == {
        "lib/dsn.ts": helper.replace("value.startsWith('https://') && value.includes('@sentry.io')", "Boolean(value)")
    }


def test_a_constant_and_the_option_enabled_stay_true_or_false(tmp_path: Path) -> None:
    before = "const isLive = dsn && dsn.includes('@sentry.io');\n"
    files = {"package.json": NEXT, "instrumentation-client.ts": guarded("dsn", before, "{ dsn, enabled: isLive }")}
    changed = fixed(tmp_path, files, dsn_guards.fix, "frontend-dsn-guard")
    assert "const isLive = Boolean(dsn);\n" in changed["instrumentation-client.ts"]


@pytest.mark.parametrize(
    ("remark", "condition", "stays"),
    [
        ("// Only with a DSN that looks real.\n", "dsn && dsn.includes('@sentry.io')", False),
        ("/* Ours is\n   at sentry.io. */\n", "dsn.includes('@sentry.io')", False),
        ("// Only with a DSN that looks real.\n\n", "dsn && dsn.includes('@sentry.io')", True),
        ("// Sentry of the browser.\n", "dsn && dsn.includes('@sentry.io')", True),
        ("// eslint-disable-next-line no-restricted-syntax -- a real DSN\n", "dsn && dsn.includes('@sentry.io')", True),
        (
            "// In browsers, with a real DSN.\n",
            "typeof window !== 'undefined' && dsn && dsn.includes('@sentry.io')",
            True,
        ),
    ],
)
def test_a_remark_that_no_longer_holds_goes(tmp_path: Path, remark: str, condition: str, stays: bool) -> None:
    files = {"package.json": NEXT, "instrumentation-client.ts": guarded(condition, remark)}
    text = fixed(tmp_path, files, dsn_guards.fix, "frontend-dsn-guard")["instrumentation-client.ts"]
    asked = "typeof window !== 'undefined' && dsn" if "window" in condition else "dsn"
    assert text == guarded(asked, remark if stays else "")


def test_line_ends_stay(tmp_path: Path) -> None:
    text = guarded("dsn && dsn.includes('@sentry.io')").replace("\n", "\r\n")
    write(tmp_path, {"package.json": NEXT})
    (tmp_path / "instrumentation-client.ts").write_bytes(text.encode())
    [answer] = answers(tmp_path, dsn_guards.fix, "frontend-dsn-guard")
    assert not isinstance(answer, Refusal)
    assert answer.edits[0].after == text.replace(" && dsn.includes('@sentry.io')", "")


# --- boundaries ---------------------------------------------------------------------------------------

CAPTURES = "frontend-error-boundary-captures"


def test_an_error_page_captures_in_the_effect_that_it_has(tmp_path: Path) -> None:
    page = (
        '"use client";\n\nimport { useEffect } from "react";\n\n'
        "export default function Failed({ error, reset }: { error: Error; reset: () => void }) {\n"
        "  useEffect(() => {\n    console.error(error);\n  }, [error]);\n  return <button onClick={reset}>Again</button>;\n}\n"
    )
    files = {"package.json": NEXT, "app/error.tsx": page}
    changed = fixed(tmp_path, files, boundaries.capture, CAPTURES)
    after = page.replace("import { use", 'import * as Sentry from "@sentry/nextjs";\nimport { use')
    after = after.replace("    console", "    Sentry.captureException(error);\n    console")
    assert changed == {"app/error.tsx": after}


def test_an_error_page_gets_an_effect_and_what_it_needs(tmp_path: Path) -> None:
    page = (
        "'use client'\n\nexport default function Failed({\n  reset,\n}: {\n  reset: () => void\n}) {\n"
        "  return <button onClick={reset}>Again</button>\n}\n"
    )
    other = "'use client';\nconst Failed = ({ error }) => <p>{error.message}</p>;\nexport default Failed;\n"
    last = "'use client';\nimport React from 'react';\nexport default function Failed(props) {\n  return <p />;\n}\n"
    files = {"package.json": NEXT, "app/error.tsx": page, "app/a/error.jsx": other, "app/b/error.jsx": last}
    changed = fixed(tmp_path, files, boundaries.capture, CAPTURES)
    assert changed["app/error.tsx"] == (
        "'use client'\n\nimport * as Sentry from '@sentry/nextjs'\nimport { useEffect } from 'react'\n\n"
        "export default function Failed({\n  error,\n  reset,\n}: {\n  error: Error & { digest?: string };\n"
        "  reset: () => void\n}) {\n  useEffect(() => {\n    Sentry.captureException(error)\n  }, [error])\n\n"
        "  return <button onClick={reset}>Again</button>\n}\n"
    )
    assert changed["app/a/error.jsx"] == (
        "'use client';\n\nimport * as Sentry from '@sentry/nextjs';\nimport { useEffect } from 'react';\n\n"
        "const Failed = ({ error }) => {\n  useEffect(() => {\n    Sentry.captureException(error);\n  }, [error]);\n\n"
        "  return <p>{error.message}</p>;\n};\nexport default Failed;\n"
    )
    assert (
        "React.useEffect(() => {\n    Sentry.captureException(props.error);\n  }, [props.error]);"
        in changed["app/b/error.jsx"]
    )


def vite(app: str, **more: str) -> dict[str, str]:
    main = (
        "import * as Sentry from '@sentry/react';\nimport { createRoot } from 'react-dom/client';\nimport App from './App';\n\n"
        "Sentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\ncreateRoot(document.body).render(<App />);\n"
    )
    return {"package.json": VITE, "index.html": PAGE, "src/main.tsx": main, "src/App.tsx": app, **more}


def test_a_class_captures_with_the_stack_of_components(tmp_path: Path) -> None:
    app = (
        "import { Component, type ReactNode } from 'react';\n\n"
        "class Boundary extends Component<{ children: ReactNode }> {\n  state = { failed: false };\n\n"
        "  static getDerivedStateFromError() {\n    return { failed: true };\n  }\n\n"
        "  componentDidCatch(error: Error) {\n    console.error(error);\n  }\n\n"
        "  render() {\n    return this.state.failed ? null : this.props.children;\n  }\n}\n\n"
        "export default function App() {\n  return <Boundary><p /></Boundary>;\n}\n"
    )
    changed = fixed(tmp_path, vite(app), boundaries.capture, CAPTURES)
    assert changed["src/App.tsx"] == app.replace(
        "import { C", "import * as Sentry from '@sentry/react';\nimport { C"
    ).replace(
        "(error: Error) {\n",
        "(error: Error, info: { componentStack?: string | null }) {\n"
        "    Sentry.captureException(error, { contexts: { react: { componentStack: info.componentStack } } });\n",
    )


def test_a_class_that_only_shows_a_page_gets_a_method(tmp_path: Path) -> None:
    app = (
        "import React from 'react';\n\nclass Boundary extends React.Component {\n"
        "  static getDerivedStateFromError() {\n    return { failed: true };\n  }\n\n"
        "  render() {\n    return this.props.children;\n  }\n}\n\n"
        "export default function App() {\n  return <Boundary><p /></Boundary>;\n}\n"
    )
    changed = fixed(tmp_path, vite(app), boundaries.capture, CAPTURES)
    method = (
        "\n\n  componentDidCatch(error: Error, info: React.ErrorInfo) {\n"
        "    Sentry.captureException(error, { contexts: { react: { componentStack: info.componentStack } } });\n  }\n\n  render"
    )
    assert method in changed["src/App.tsx"]


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("<ErrorBoundary fallback={null}>",
         ("<ErrorBoundary fallback={null} onError={(error, info) => Sentry.captureException(error, "
          "{ contexts: { react: { componentStack: info.componentStack } } })}>")),
        ("<ErrorBoundary fallback={null} onError={(error) => console.error(error)}>",
         ("<ErrorBoundary fallback={null} onError={(error, info) => {\n"
          "    Sentry.captureException(error, { contexts: { react: { componentStack: info.componentStack } } });\n"
          "    console.error(error);\n  }}>")),
    ],
)  # fmt: skip
def test_a_boundary_of_the_library_is_given_a_handler(tmp_path: Path, given: str, left: str) -> None:
    app = (
        "import { ErrorBoundary } from 'react-error-boundary';\n\nexport default function App() {\n"
        f"  return {given}<p /></ErrorBoundary>;\n}}\n"
    )
    changed = fixed(tmp_path, vite(app), boundaries.capture, CAPTURES)
    assert left in changed["src/App.tsx"]


def test_a_route_captures_the_error_of_the_router(tmp_path: Path) -> None:
    app = (
        "import { useRouteError } from 'react-router-dom';\n\nexport function Failed() {\n  const error = useRouteError();\n"
        "  return <p>{String(error)}</p>;\n}\nexport default function App() {\n  return <Failed />;\n}\n"
    )
    changed = fixed(tmp_path, vite(app), boundaries.capture, CAPTURES)
    assert (
        "const error = useRouteError();\n\n  useEffect(() => {\n    Sentry.captureException(error);\n  }, [error]);\n"
        in (changed["src/App.tsx"])
    )


def test_what_is_captured_alone_gets_the_stack(tmp_path: Path) -> None:
    app = (
        "import React from 'react';\nimport { captureException } from '@sentry/react';\n\n"
        "class Boundary extends React.Component {\n  componentDidCatch(error) {\n    captureException(error);\n  }\n"
        "  render() {\n    return this.props.children;\n  }\n}\n\n"
        "export default function App() {\n  return <Boundary><p /></Boundary>;\n}\n"
    )
    changed = fixed(tmp_path, vite(app), boundaries.context, "frontend-error-boundary-context")
    assert (
        "captureException(error, { contexts: { react: { componentStack: info.componentStack } } });"
        in changed["src/App.tsx"]
    )
    assert "componentDidCatch(error, info: React.ErrorInfo)" in changed["src/App.tsx"]


def test_a_boundary_that_nothing_renders_is_left_to_a_person(tmp_path: Path) -> None:
    dead = (
        "import React from 'react';\nimport * as Sentry from '@sentry/react';\nexport class Boundary extends React.Component {\n"
        "  componentDidCatch(error) {\n    Sentry.captureException(error);\n  }\n}\n"
    )
    write(tmp_path, vite("export default function App() {\n  return <p />;\n}\n", **{"src/Boundary.tsx": dead}))
    [answer] = answers(tmp_path, boundaries.capture, CAPTURES)
    assert isinstance(answer, Refusal)
    assert "nothing renders it" in answer.reason


# --- files that Next.js loads -------------------------------------------------------------------------

LAYOUT = "export default function Layout({ children }) {\n  return <html>{children}</html>;\n}\n"
REQUESTS = "frontend-request-errors-captured"
#: What the init of a server is judged by as soon as something runs it.
SERVED = frozenset({"privacy-scrubbing"})


def test_instrumentation_is_made_beside_the_folder_of_the_app(tmp_path: Path) -> None:
    files = {
        "package.json": NEXT,
        "tsconfig.json": "{}",
        "src/app/layout.tsx": LAYOUT,
        "src/instrumentation-client.ts": INIT,
    }
    changed = fixed(tmp_path, files, nextjs.request_errors, REQUESTS, judged_now=SERVED)
    assert changed == {
        "src/instrumentation.ts": "import * as Sentry from '@sentry/nextjs';\n\nexport function register() {\n  Sentry.init({\n"
        "    dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,\n  });\n}\n\nexport const onRequestError = Sentry.captureRequestError;\n"
    }


def test_instrumentation_loads_the_configurations_that_are_there(tmp_path: Path) -> None:
    files = {
        "package.json": NEXT, "app/layout.jsx": LAYOUT, "instrumentation-client.js": INIT,
        "sentry.server.config.js": INIT, "sentry.edge.config.js": INIT,
    }  # fmt: skip
    changed = fixed(tmp_path, files, nextjs.request_errors, REQUESTS, judged_now=SERVED)
    assert changed == {
        "instrumentation.js": "import * as Sentry from '@sentry/nextjs';\n\nexport async function register() {\n"
        "  if (process.env.NEXT_RUNTIME === 'nodejs') {\n    await import('./sentry.server.config');\n  }\n"
        "  if (process.env.NEXT_RUNTIME === 'edge') {\n    await import('./sentry.edge.config');\n  }\n}\n\n"
        "export const onRequestError = Sentry.captureRequestError;\n"
    }


@pytest.mark.parametrize(
    ("rate", "said"), [("1.0", True), ("1", True), ("0.1", False), ("Number(process.env.RATE)", False)]
)
def test_a_server_that_will_trace_every_request_is_named(tmp_path: Path, rate: str, said: bool) -> None:
    server = INIT.replace("});", f"  tracesSampleRate: {rate},\n}});")
    files = {
        "package.json": NEXT, "app/layout.jsx": LAYOUT, "instrumentation-client.js": INIT, "sentry.server.config.js": server,
    }  # fmt: skip
    write(tmp_path, files)
    [answer] = answers(tmp_path, nextjs.request_errors, REQUESTS)
    assert isinstance(answer, Change)
    assert ("sentry.server.config.js will then trace every request" in answer.summary) is said


def test_instrumentation_that_is_there_exports_the_handler(tmp_path: Path) -> None:
    text = "export async function register() {\n  await import('./sentry.server.config');\n}\n"
    files = {
        "package.json": NEXT,
        "app/layout.tsx": LAYOUT,
        "instrumentation.ts": text,
        "instrumentation-client.ts": INIT,
    }
    changed = fixed(tmp_path, files, nextjs.request_errors, REQUESTS)
    assert changed["instrumentation.ts"] == (
        f"import * as Sentry from '@sentry/nextjs';\n\n{text}\nexport const onRequestError = Sentry.captureRequestError;\n"
    )


def test_a_page_for_errors_of_the_root_layout(tmp_path: Path) -> None:
    files = {"package.json": NEXT, "tsconfig.json": "{}", "app/layout.tsx": LAYOUT, "instrumentation-client.ts": INIT}
    changed = fixed(tmp_path, files, nextjs.global_error, "frontend-global-error-present")
    assert list(changed) == ["app/global-error.tsx"]
    assert "{ error }: { error: Error & { digest?: string } }" in changed["app/global-error.tsx"]


def test_an_init_that_turbopack_ignores_is_moved(tmp_path: Path) -> None:
    config = (
        "import * as Sentry from '@sentry/nextjs';\nimport { tags } from './src/lib/tags';\n\nSentry.init({\n"
        "  dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,\n  initialScope: { tags },\n});\n"
    )
    files = {
        "package.json": NEXT.replace("15.3.0", "16.0.1"), "src/app/layout.tsx": LAYOUT, "sentry.client.config.ts": config,
        "src/lib/tags.ts": "export const tags = {};\n",
    }  # fmt: skip
    changed = fixed(
        tmp_path, files, nextjs.moved, "frontend-init-ignored-by-bundler",
        judged_now=OF_INIT,
    )  # fmt: skip
    assert not (tmp_path / "sentry.client.config.ts").exists()
    assert changed["src/instrumentation-client.ts"] == config.replace("./src/lib", "./lib") + (
        "\nexport const onRouterTransitionStart = Sentry.captureRouterTransitionStart;\n"
    )


@pytest.mark.parametrize("typed", [True, False])
def test_next_gets_an_init(tmp_path: Path, typed: bool) -> None:
    files = {"package.json": NEXT, "src/app/layout.tsx": LAYOUT, **({"tsconfig.json": "{}"} if typed else {})}
    files |= {"src/app/layout.jsx": LAYOUT} if not typed else {}
    files = {path: text for path, text in files.items() if typed or path != "src/app/layout.tsx"}
    changed = fixed(tmp_path, files, inits.present, "frontend-init-present", judged_now=OF_INIT)
    path = "src/instrumentation-client.ts" if typed else "src/instrumentation-client.js"
    assert "dsn: process.env.NEXT_PUBLIC_SENTRY_DSN," in changed[path]


def test_an_application_of_one_page_gets_an_init_that_runs_first(tmp_path: Path) -> None:
    main = "import { createRoot } from 'react-dom/client';\n\ncreateRoot(document.body).render(null);\n"
    files = {"package.json": VITE, "index.html": PAGE, "src/main.tsx": main, "tsconfig.json": "{}"}
    changed = fixed(tmp_path, files, inits.present, "frontend-init-present", judged_now=OF_INIT)
    assert changed["src/main.tsx"] == f"import './instrument';\n{main}"
    assert changed["src/instrument.ts"] == (
        "import * as Sentry from '@sentry/react';\n\nSentry.init({\n  dsn: import.meta.env.VITE_SENTRY_DSN,\n"
        "  environment: import.meta.env.VITE_SENTRY_ENVIRONMENT,\n"
        "  tracesSampleRate: Number(import.meta.env.VITE_SENTRY_TRACES_SAMPLE_RATE || '0.1'),\n"
        "  integrations: [Sentry.browserTracingIntegration()],\n});\n"
    )


# --- options of init ----------------------------------------------------------------------------------


def next_init(options: str, **more: str) -> dict[str, str]:
    text = f"import * as Sentry from '@sentry/nextjs';\n\nSentry.init({{\n  dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,\n{options}}});\n"
    return {"package.json": NEXT, "instrumentation-client.ts": text, **more}


def test_a_rate_is_read_from_a_variable(tmp_path: Path) -> None:
    files = next_init("  tracesSampleRate: 1.0, // tuned with care\n")
    changed = fixed(tmp_path, files, browser_options.sampling, "sampling-per-environment")
    assert (
        "  tracesSampleRate: Number(process.env.NEXT_PUBLIC_SENTRY_TRACES_SAMPLE_RATE || '0.1'), // tuned with care\n"
        in (changed["instrumentation-client.ts"])
    )


def test_a_rate_is_quoted_as_the_options_around_it(tmp_path: Path) -> None:
    text = INIT.replace("  dsn", '  environment: "production",\n  tracesSampleRate: 1.0,\n  dsn')
    files = {"package.json": NEXT, "instrumentation-client.ts": text}
    changed = fixed(tmp_path, files, browser_options.sampling, "sampling-per-environment")
    rate = 'Number(process.env.NEXT_PUBLIC_SENTRY_TRACES_SAMPLE_RATE || "0.1")'
    assert changed == {"instrumentation-client.ts": text.replace("1.0", rate)}


def test_a_rate_in_a_constant_keeps_its_value(tmp_path: Path) -> None:
    main = (
        "import * as Sentry from '@sentry/react';\nconst RATE = 0.25;\nSentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN, "
        "integrations: [Sentry.browserTracingIntegration()], tracesSampleRate: RATE });\n"
    )
    files = {"package.json": VITE, "index.html": PAGE, "src/main.tsx": main}
    changed = fixed(tmp_path, files, browser_options.sampling, "sampling-per-environment")
    assert "const RATE = Number(import.meta.env.VITE_SENTRY_TRACES_SAMPLE_RATE || '0.25');\n" in changed["src/main.tsx"]


BUILT = (
    "FROM node:22\nWORKDIR /app\nCOPY . .\nARG NEXT_PUBLIC_SENTRY_DSN\nARG NEXT_PUBLIC_APP_ENV\nARG NEXT_PUBLIC_GIT_SHA\n"
    'RUN npm run build\nCMD ["npm", "start"]\n'
)  # fmt: skip
BUILDS = (
    "docker build --build-arg NEXT_PUBLIC_SENTRY_DSN=$DSN --build-arg NEXT_PUBLIC_APP_ENV=staging"
    " --build-arg NEXT_PUBLIC_GIT_SHA=$COMMIT_SHA -t eu.gcr.io/p/web .\n"
    "gcloud run deploy web-staging --image eu.gcr.io/p/web\n"
)


def test_events_get_the_environment_that_the_build_has(tmp_path: Path) -> None:
    files = next_init("", Dockerfile=BUILT, **{"deploy.sh": BUILDS})
    changed = fixed(tmp_path, files, browser_options.environment, "deploy-environment-declared")
    assert "  environment: process.env.NEXT_PUBLIC_APP_ENV,\n" in changed["instrumentation-client.ts"]


def test_what_every_build_is_called_stays_as_what_is_left(tmp_path: Path) -> None:
    files = next_init("  environment: process.env.NODE_ENV,\n", Dockerfile=BUILT, **{"deploy.sh": BUILDS})
    changed = fixed(tmp_path, files, browser_options.environment, "deploy-environment-declared")
    assert (
        "  environment: process.env.NEXT_PUBLIC_APP_ENV || process.env.NODE_ENV,\n"
        in changed["instrumentation-client.ts"]
    )


def test_events_get_the_release_that_the_build_has(tmp_path: Path) -> None:
    files = next_init("", Dockerfile=BUILT, **{"deploy.sh": BUILDS})
    changed = fixed(tmp_path, files, browser_options.release, "release-set")
    assert "  release: process.env.NEXT_PUBLIC_GIT_SHA,\n" in changed["instrumentation-client.ts"]


def test_a_variable_that_nothing_gives_the_build_is_for_the_pipeline(tmp_path: Path) -> None:
    write(
        tmp_path,
        next_init("  environment: process.env.NEXT_PUBLIC_ENV ?? 'x',\n", Dockerfile=BUILT, **{"deploy.sh": BUILDS}),
    )
    [answer] = answers(tmp_path, browser_options.environment, "deploy-environment-declared")
    assert isinstance(answer, Refusal)
    assert answer.commands == ("NEXT_PUBLIC_ENV=staging",)


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ("tracesSampleRate: 0.1", "tracesSampleRate: 0.1, integrations: [Sentry.browserTracingIntegration()]"),
        ("integrations: [], tracesSampleRate: 0.1", "integrations: [Sentry.browserTracingIntegration()], tracesSampleRate: 0.1"),
        ("integrations: [Sentry.browserTracingIntegration()], replaysOnErrorSampleRate: 1",
         "integrations: [Sentry.browserTracingIntegration(), Sentry.replayIntegration()], replaysOnErrorSampleRate: 1"),
    ],
)  # fmt: skip
def test_what_is_sampled_is_recorded(tmp_path: Path, options: str, left: str) -> None:
    main = f"import * as Sentry from '@sentry/react';\n\nSentry.init({{ dsn: import.meta.env.VITE_SENTRY_DSN, {options} }});\n"
    files = {"package.json": VITE, "index.html": PAGE, "src/main.tsx": main}
    changed = fixed(tmp_path, files, browser_options.tracing, "frontend-tracing")
    assert left in changed["src/main.tsx"]


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ("process.env.NODE_ENV === 'staging'", "if (dsn) {"),
        ("dsn && process.env.NODE_ENV === 'staging'", "if (dsn) {"),
        (
            "process.env.NODE_ENV === 'test' && typeof window !== 'undefined'",
            "if (dsn && typeof window !== 'undefined') {",
        ),
    ],
)
def test_init_runs_wherever_there_is_a_dsn(tmp_path: Path, condition: str, left: str) -> None:
    files = {"package.json": NEXT, "instrumentation-client.ts": guarded(condition)}
    changed = fixed(tmp_path, files, browser_options.enabled, "frontend-init-enabled")
    assert left in changed["instrumentation-client.ts"]


# --- packages and bundlers ----------------------------------------------------------------------------

MANIFEST = (
    '{\n    "name": "web",\n    "scripts": {\n        "build": "next build"\n    },\n    "dependencies": {\n'
    '        "next": "15.3.0",\n        "react": "19.0.0"\n    },\n    "devDependencies": {}\n}\n'
)


def test_the_sdk_is_added_as_the_neighbours_are(tmp_path: Path) -> None:
    files = {"package.json": MANIFEST, "pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}
    changed = fixed(tmp_path, files, packages.declared, "frontend-sdk-declared", judged_now=OF_INIT)
    line = '        "@sentry/nextjs": "10.75.2",\n        "next"'
    assert changed["package.json"] == MANIFEST.replace('        "next"', line, 1)
    write(tmp_path, files)
    [answer] = answers(tmp_path, packages.declared, "frontend-sdk-declared")
    assert "then run pnpm install and commit its lock file" in getattr(answer, "summary", "")


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ('{"dependencies": {"next": "1"}}', '{"dependencies": {"@sentry/x": "^2", "next": "1"}}'),
        ('{"dependencies": {"a": "1", "b": "2"}}', '{"dependencies": {"@sentry/x": "^2", "a": "1", "b": "2"}}'),
        ('{"dependencies": {"b": "1", "a": "2"}}', '{"dependencies": {"b": "1", "a": "2", "@sentry/x": "^2"}}'),
        ('{\r\n\t"name": "a"\r\n}\r\n', '{\r\n\t"name": "a",\r\n\t"dependencies": {\r\n\t\t"@sentry/x": "^2"\r\n\t}\r\n}\r\n'),
        ('{"x": {"dependencies": {"q": "1"}}, "dependencies": {}}',
         '{"x": {"dependencies": {"q": "1"}}, "dependencies": {"@sentry/x": "^2"}}'),
    ],
)  # fmt: skip
def test_a_manifest_keeps_its_form(text: str, after: str) -> None:
    assert packages.added(text, "dependencies", "@sentry/x", "^2") == after


def test_the_sdk_of_another_framework_is_replaced_everywhere(tmp_path: Path) -> None:
    files = {
        "package.json": NEXT.replace("@sentry/nextjs", "@sentry/react"),
        "instrumentation-client.ts": INIT.replace("@sentry/nextjs", "@sentry/react"),
        "app/report.ts": "import { captureException } from '@sentry/react';\nexport const report = captureException;\n",
    }
    changed = fixed(tmp_path, files, packages.matching, "frontend-sdk-matches-framework")
    assert set(changed) == set(files)
    assert not [text for text in changed.values() if "@sentry/react" in text]


@pytest.mark.parametrize(
    ("name", "config", "left"),
    [
        ("next.config.ts", "import type { NextConfig } from 'next';\n\nconst config: NextConfig = {};\n\nexport default config;\n",
         "export default withSentryConfig(config, {\n  org: process.env.SENTRY_ORG,\n"),
        ("next.config.js", "module.exports = {\n  reactStrictMode: true,\n};\n",
         "module.exports = withSentryConfig({\n  reactStrictMode: true,\n}, {\n  org: process.env.SENTRY_ORG,\n"),
        ("", "", "export default withSentryConfig({}, {\n  org: process.env.SENTRY_ORG,\n"),
    ],
)  # fmt: skip
def test_next_uploads_its_source_maps(tmp_path: Path, name: str, config: str, left: str) -> None:
    image = (
        "FROM node:22\nWORKDIR /app\nCOPY . .\nARG NEXT_PUBLIC_SENTRY_DSN\nARG SENTRY_PROJECT\nARG SENTRY_RELEASE\n"
        'RUN --mount=type=secret,id=SENTRY_AUTH_TOKEN,env=SENTRY_AUTH_TOKEN npm run build\nCMD ["npm", "start"]\n'
    )  # fmt: skip
    build = (
        "docker build --build-arg NEXT_PUBLIC_SENTRY_DSN=$DSN --build-arg SENTRY_PROJECT=web --build-arg SENTRY_RELEASE=$COMMIT_SHA"
        " --secret id=SENTRY_AUTH_TOKEN -t eu.gcr.io/p/web .\ngcloud run deploy web-staging --image eu.gcr.io/p/web\n"
    )
    files = next_init("", Dockerfile=image, **{"deploy.sh": build})
    changed = fixed(tmp_path, files | ({name: config} if name else {}), bundles.source_maps, "source-maps")
    [text] = changed.values()
    assert left in text
    assert answers(tmp_path, browser_options.release, "release-set") == []


def test_vite_uploads_its_source_maps(tmp_path: Path) -> None:
    config = (
        "import react from '@vitejs/plugin-react';\nimport { defineConfig } from 'vite';\n\n"
        "export default defineConfig({\n  plugins: [react()],\n  build: {\n    outDir: 'build',\n  },\n});\n"
    )
    workflow = (
        "on: push\njobs:\n  deploy:\n    environment: staging\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n"
        "      - run: npm run build\n        env:\n          VITE_SENTRY_DSN: ${{ secrets.DSN }}\n"
        "          SENTRY_AUTH_TOKEN: ${{ secrets.SENTRY_AUTH_TOKEN }}\n          SENTRY_PROJECT: web\n"
    )
    files = vite("export default function App() {\n  return <p />;\n}\n")
    files |= {"vite.config.ts": config, ".github/workflows/deploy.yml": workflow}
    changed = fixed(tmp_path, files, bundles.source_maps, "source-maps")
    assert changed["vite.config.ts"] == ("import { sentryVitePlugin } from '@sentry/vite-plugin';\n" + config).replace(
        "[react()]",
        "[\n    react(),\n    sentryVitePlugin({\n      sourcemaps: { filesToDeleteAfterUpload: ['build/**/*.map'] },\n    }),\n  ]",
    ).replace("'build',\n", "'build',\n    sourcemap: 'hidden',\n")
    assert '"@sentry/vite-plugin": "^5.3.0", "vite"' in changed["package.json"]


def test_maps_are_no_longer_published(tmp_path: Path) -> None:
    files = next_init("", **{"next.config.js": "module.exports = { productionBrowserSourceMaps: true };\n"})
    write(tmp_path, files)
    served = next(item for item in answers(tmp_path, bundles.source_maps, "source-maps") if isinstance(item, Change))
    assert served.edits[0].after == "module.exports = { productionBrowserSourceMaps: false };\n"


@pytest.mark.parametrize(
    ("maps", "left"),
    [
        (
            'sourcemaps: {\n        assets: "./out",\n      },',
            'sourcemaps: {\n        assets: "./out",\n        filesToDeleteAfterUpload: ["out/**/*.map"],\n      },',
        ),
        ('project: "web",', 'project: "web",\n      sourcemaps: { filesToDeleteAfterUpload: ["out/**/*.map"] },'),
    ],
)
def test_vite_deletes_the_maps_that_it_uploads(tmp_path: Path, maps: str, left: str) -> None:
    config = (
        "import { sentryVitePlugin } from '@sentry/vite-plugin';\nimport { defineConfig } from 'vite';\n\n"
        "export default defineConfig({\n  build: {\n    outDir: 'out',\n    sourcemap: true,\n  },\n  plugins: [\n"
        '    sentryVitePlugin({\n      org: "shop",\n      ' + maps + "\n    }),\n  ],\n});\n"
    )
    files = vite("export default function App() {\n  return <p />;\n}\n")
    manifest = VITE.replace('"vite":', '"@sentry/vite-plugin": "^2.22.0", "vite":')
    write(tmp_path, files | {"package.json": manifest, "vite.config.ts": config})
    served = [item for item in answers(tmp_path, bundles.source_maps, "source-maps") if isinstance(item, Change)]
    assert served[0].edits[0].after == config.replace("sourcemap: true", "sourcemap: 'hidden'").replace(maps, left)
    assert "delete the source maps" in served[0].summary


@pytest.mark.parametrize(
    ("plugins", "left"),
    [
        ("[\n    react(),\n  ]", "[\n    react(),\n    sentryVitePlugin({\n      sourcemaps: {"),
        ("[]", "[\n    sentryVitePlugin({\n      sourcemaps: {"),
        ("[react({\n    a: 1,\n  })]", "[react({\n    a: 1,\n  }), sentryVitePlugin({\n    sourcemaps: {"),
        ("[react() /* first */]", "[react(), sentryVitePlugin({\n      sourcemaps: {"),
    ],
)
def test_a_plugin_is_set_as_those_beside_it(tmp_path: Path, plugins: str, left: str) -> None:
    config = f"import {{ defineConfig }} from 'vite';\n\nexport default defineConfig({{\n  plugins: {plugins},\n}});\n"
    files = vite("export default function App() {\n  return <p />;\n}\n") | {"vite.config.ts": config}
    write(tmp_path, files)
    [answer] = answers(tmp_path, bundles.source_maps, "source-maps")
    assert isinstance(answer, Change)
    text = next(edit.after or "" for edit in answer.edits if edit.path == "vite.config.ts")
    assert left in text
    assert ("/* first */" in text) == ("/* first */" in plugins)


def test_a_plugin_that_cannot_delete_is_not_told_to(tmp_path: Path) -> None:
    config = (
        "import { sentryVitePlugin } from '@sentry/vite-plugin';\n\n"
        "export default { build: { sourcemap: true }, plugins: [sentryVitePlugin({ org: 'shop' })] };\n"
    )
    files = vite("export default function App() {\n  return <p />;\n}\n")
    manifest = VITE.replace('"vite":', '"@sentry/vite-plugin": "2.2.0", "vite":')
    write(tmp_path, files | {"package.json": manifest, "vite.config.ts": config})
    served = [item for item in answers(tmp_path, bundles.source_maps, "source-maps") if isinstance(item, Change)]
    assert served[0].edits[0].after == config.replace("true", "'hidden'")
    assert "still beside it" in served[0].summary


# --- traces, policies, hooks, names -------------------------------------------------------------------

API = (
    "import sentry_sdk\nfrom fastapi import FastAPI\nfrom fastapi.middleware.cors import CORSMiddleware\n"
    "sentry_sdk.init(traces_sample_rate=0.2)\napp = FastAPI()\n"
    "app.add_middleware(CORSMiddleware, allow_origins=['https://acme.dev'], allow_headers=HEADERS)\n"
)
OPEN = API.replace("HEADERS", "['Authorization', 'sentry-trace', 'baggage']")


def both(api: str, init: str, client: str = "import.meta.env.VITE_API_URL") -> dict[str, str]:
    main = f"import * as Sentry from '@sentry/react';\n\nSentry.init({{\n  dsn: import.meta.env.VITE_SENTRY_DSN,\n{init}}});\n"
    return {
        "api/requirements.txt": "fastapi\nsentry-sdk>=2.64,<3\n", "api/main.py": api, "web/package.json": VITE, "web/index.html": PAGE,
        "web/src/api.ts": f"export const API_URL = {client};\nexport const users = () => fetch(`${{API_URL}}/users`);\n",
        "web/src/main.tsx": "import './api';\n" + main,
    }  # fmt: skip


TRACES = "  integrations: [Sentry.browserTracingIntegration()],\n  tracesSampleRate: 0.2,\n"


@pytest.mark.parametrize(
    ("more", "client", "left"),
    [
        ("", "import.meta.env.VITE_API_URL", "  tracePropagationTargets: [import.meta.env.VITE_API_URL],\n"),
        ("  tracePropagationTargets: ['localhost', /^https:\\/\\/yourserver\\.io\\/api/],\n", "import.meta.env.VITE_API_URL",
         "  tracePropagationTargets: ['localhost', import.meta.env.VITE_API_URL],\n"),
        ("", "'https://api.acme.dev/v1'", "  tracePropagationTargets: ['https://api.acme.dev'],\n"),
        ("  tracePropagationTargets: [],\n", "import.meta.env.VITE_API_URL ?? 'http://localhost:8000'",
         "  tracePropagationTargets: [import.meta.env.VITE_API_URL],\n"),
        ("", "import.meta.env.VITE_API_URL ?? 'https://api.acme.dev'",
         "  tracePropagationTargets: [import.meta.env.VITE_API_URL || 'https://api.acme.dev'],\n"),
    ],
)  # fmt: skip
def test_the_api_is_named_among_the_targets(tmp_path: Path, more: str, client: str, left: str) -> None:
    changed = fixed(tmp_path, both(OPEN, TRACES + more, client), js_targets.fix, "trace-propagation")
    assert left in changed["web/src/main.tsx"]


def test_no_trace_is_sent_to_an_api_that_would_refuse_it(tmp_path: Path) -> None:
    write(tmp_path, both(API.replace("HEADERS", "['Authorization']"), TRACES))
    found = [js_targets.fix(case) for case in cases(tmp_path, "trace-propagation") if case.component.ecosystem == "npm"]
    assert [isinstance(item, Refusal) and "api/main.py" in item.reason for item in found] == [True]


def test_a_browser_samples_as_its_api_does(tmp_path: Path) -> None:
    files = both(OPEN, "  tracePropagationTargets: [import.meta.env.VITE_API_URL],\n")
    changed = fixed(tmp_path, files, js_targets.fix, "trace-propagation")
    assert (
        "  tracesSampleRate: Number(import.meta.env.VITE_SENTRY_TRACES_SAMPLE_RATE || '0.1'),\n"
        "  integrations: [Sentry.browserTracingIntegration()],\n"
    ) in changed["web/src/main.tsx"]


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ("allow_headers=['Authorization']", "allow_headers=['Authorization', 'sentry-trace', 'baggage']"),
        ("allow_headers=['baggage']", "allow_headers=['baggage', 'sentry-trace']"),
        ("allow_headers=[]", "allow_headers=['sentry-trace', 'baggage']"),
        ("allow_methods=['*']", "allow_methods=['*'], allow_headers=['sentry-trace', 'baggage']"),
        (
            "\n    allow_headers=[\n        'X-A',\n    ],\n",
            "        'X-A',\n        'sentry-trace',\n        'baggage',\n    ],\n",
        ),
    ],
)
def test_the_headers_of_a_trace_are_allowed(tmp_path: Path, headers: str, left: str) -> None:
    init = TRACES + "  tracePropagationTargets: [import.meta.env.VITE_API_URL],\n"
    files = both(API.replace("allow_headers=HEADERS", headers), init)
    changed = fixed(tmp_path, files, cors.fix, "trace-propagation")
    assert left in changed["api/main.py"]


DJANGO = (
    "import sentry_sdk\n\nfrom .types import Policy\n\nSECRET_KEY = Policy.key\n"
    "sentry_sdk.init(traces_sample_rate=0.2)\nINSTALLED_APPS = ['corsheaders']\n"
    "MIDDLEWARE = ['corsheaders.middleware.CorsMiddleware']\nCORS_ALLOWED_ORIGINS = ['https://acme.dev']\n"
)


def test_django_allows_them_over_the_list_of_the_library(tmp_path: Path) -> None:
    init = TRACES + "  tracePropagationTargets: [import.meta.env.VITE_API_URL],\n"
    files = both("", init)
    del files["api/main.py"]
    files |= {
        "api/requirements.txt": "django\ndjango-cors-headers\nsentry-sdk>=2.64,<3\n", "api/site/settings.py": DJANGO,
        "api/site/__init__.py": "", "api/site/types.py": "class Policy:\n    key = 'x'\n",
        "api/manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site.settings')\n",
        "api/site/wsgi.py": "import os\nfrom django.core.wsgi import get_wsgi_application\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site.settings')\napplication = get_wsgi_application()\n",
    }  # fmt: skip
    changed = fixed(tmp_path, files, cors.fix, "trace-propagation")
    head = "import sentry_sdk\nfrom corsheaders.defaults import default_headers\n\nfrom .types import Policy\n"
    assert changed["api/site/settings.py"].startswith(head)
    assert "\nCORS_ALLOW_HEADERS = (*default_headers, 'sentry-trace', 'baggage')\n" in changed["api/site/settings.py"]


NGINX = 'server {\n  listen 8080;\n  location / {\n    add_header Content-Security-Policy "POLICY" always;\n  }\n}\n'


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ("default-src 'self'; connect-src 'self' https://api.acme.dev", "connect-src 'self' https://api.acme.dev https://*.ingest.us.sentry.io"),
        ("connect-src 'none'; default-src 'self'", "connect-src https://*.ingest.us.sentry.io https://*.ingest.de.sentry.io; default"),
        ("default-src 'self'; img-src *", "default-src 'self'; connect-src 'self' https://*.ingest.us.sentry.io"),
    ],
)  # fmt: skip
def test_pages_may_connect_to_sentry(tmp_path: Path, policy: str, left: str) -> None:
    main = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\n"
    files = {
        "package.json": VITE,
        "index.html": PAGE,
        "src/main.tsx": main,
        "nginx.conf": NGINX.replace("POLICY", policy),
    }
    changed = fixed(tmp_path, files, csp.fix, "frontend-csp-allows-sentry")
    assert left in changed["nginx.conf"]


def test_a_policy_that_is_a_list_is_left_to_a_person(tmp_path: Path) -> None:
    config = (
        "const csp = {'default-src': [\"'self'\"], 'connect-src': [\"'self'\"]};\n"
        "const text = Object.entries(csp).map(([key, value]) => `${key} ${value.join(' ')}`).join('; ');\n"
        "module.exports = { async headers() {\n"
        "  return [{ source: '/(.*)', headers: [{ key: 'Content-Security-Policy', "
        "value: \"connect-src 'self'; connect-src 'self'\" }] }];\n"
        "} };\n"
    )
    write(tmp_path, next_init("", **{"next.config.js": config}))
    [answer] = answers(tmp_path, csp.fix, "frontend-csp-allows-sentry")
    assert isinstance(answer, Refusal)
    assert "ingest.us.sentry.io" in answer.commands[0]


@pytest.mark.parametrize(
    ("hook", "left"),
    [
        ("  beforeSend(event) {\n    delete event.user;\n  },\n", "    delete event.user;\n    return event;\n  },\n"),
        ("  beforeSend: (event) => { delete event.user; },\n", "{ delete event.user; return event; },\n"),
        ("  beforeSend(event) {\n    if (event.request.url.includes('x')) return null;\n    return event;\n  },\n",
         "if (event.request?.url.includes('x'))"),
    ],
)  # fmt: skip
def test_events_survive_their_hook(tmp_path: Path, hook: str, left: str) -> None:
    changed = fixed(tmp_path, next_init(hook), js_hooks.keep, "hooks-keep-events")
    assert left in changed["instrumentation-client.ts"]


def test_a_hook_that_drops_everything_is_left_to_a_person(tmp_path: Path) -> None:
    write(tmp_path, next_init("  beforeSend: () => null,\n"))
    assert isinstance(answers(tmp_path, js_hooks.keep, "hooks-keep-events")[0], Refusal)


def test_the_dsn_is_read_under_the_prefix_of_the_bundler(tmp_path: Path) -> None:
    main = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: process.env.SENTRY_DSN });\n"
    types = "interface ImportMetaEnv {\n  readonly SENTRY_DSN: string;\n}\n"
    files = {
        "package.json": VITE,
        "index.html": PAGE,
        "src/main.tsx": main,
        "src/env.d.ts": types,
        ".env.example": "SENTRY_DSN=\n",
    }
    changed = fixed(tmp_path, files, js_public.public, "frontend-dsn-public", judged_now=OF_INIT)
    assert changed == {
        "src/main.tsx": main.replace("process.env.SENTRY_DSN", "import.meta.env.VITE_SENTRY_DSN"),
        "src/env.d.ts": types.replace("SENTRY_DSN", "VITE_SENTRY_DSN"), ".env.example": "VITE_SENTRY_DSN=\n",
    }  # fmt: skip


def test_what_a_deployment_gives_under_the_old_name_stays(tmp_path: Path) -> None:
    main = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.SENTRY_DSN });\n"
    files = {
        "package.json": VITE,
        "index.html": PAGE,
        "src/main.tsx": main,
        "deploy.sh": "gcloud run deploy x --set-secrets=SENTRY_DSN=a:latest\n",
    }
    write(tmp_path, files)
    [answer] = answers(tmp_path, js_public.public, "frontend-dsn-public")
    assert isinstance(answer, Change)
    assert [edit.path for edit in answer.edits] == ["src/main.tsx"]


def test_an_older_next_gets_what_loads_the_init(tmp_path: Path) -> None:
    files = {"package.json": NEXT.replace("15.3.0", "14.2.35"), "src/app/layout.jsx": LAYOUT}
    changed = fixed(tmp_path, files, inits.present, "frontend-init-present", judged_now=OF_INIT)
    assert set(changed) == {"src/instrumentation-client.js", "next.config.mjs"}


def test_an_init_that_an_older_next_does_not_load_gets_what_loads_it(tmp_path: Path) -> None:
    files = {
        "package.json": NEXT.replace("15.3.0", "15.1.8"), "src/app/layout.jsx": LAYOUT, "src/instrumentation-client.js": INIT,
        "next.config.mjs": "const nextConfig = {};\n\nexport default nextConfig;\n",
        "next.config.ts": 'import { withSentryConfig } from "@sentry/nextjs";\n\nexport default withSentryConfig({}, {});\n',
    }  # fmt: skip
    changed = fixed(tmp_path, files, inits.present, "frontend-init-present", judged_now=OF_INIT)
    assert set(changed) == {"next.config.mjs"}
    assert "export default withSentryConfig(nextConfig, {" in changed["next.config.mjs"]


@pytest.mark.parametrize(
    ("head", "left"),
    [
        (
            "// A licence.\n// Its second line.\n\n'use client';\n\n",
            "// A licence.\n// Its second line.\n\n'use client';\n\nIMPORTS\n\n",
        ),
        ("// A licence.\n\n", "// A licence.\n\nIMPORTS\n\n"),
        ("// What it does.\n", "IMPORTS\n\n// What it does.\n"),
        ("'use client';\n\n// What it does.\n", "'use client';\n\nIMPORTS\n\n// What it does.\n"),
    ],
)
def test_directives_stay_in_front_of_imports(tmp_path: Path, head: str, left: str) -> None:
    page = "export default function Failed({ error }) {\n  return <p>{error.message ?? 'Sorry'}</p>;\n}\n"
    changed = fixed(tmp_path, {"package.json": NEXT, "app/error.jsx": head + page}, boundaries.capture, CAPTURES)
    imports = "import * as Sentry from '@sentry/nextjs';\nimport { useEffect } from 'react';"
    assert changed["app/error.jsx"].startswith(left.replace("IMPORTS", imports) + "export default")


def test_the_sdk_that_a_file_imports_is_used(tmp_path: Path) -> None:
    app = (
        "import { setTag } from '@sentry/browser';\nimport { ErrorBoundary } from 'react-error-boundary';\nsetTag('a', 'b');\n\n"
        "export default function App() {\n  return (\n    <ErrorBoundary\n      fallback={null}\n    >\n      <p />\n"
        "    </ErrorBoundary>\n  );\n}\n"
    )
    files = vite(app) | {
        "package.json": VITE.replace('"@sentry/react"', '"@sentry/browser": "^10.20.0", "@sentry/react"')
    }
    changed = fixed(tmp_path, files, boundaries.capture, CAPTURES)
    assert changed["src/App.tsx"] == app.replace("setTag }", "setTag, captureException }").replace(
        "={null}\n",
        "={null}\n      onError={(error, info) =>\n"
        "        captureException(error, { contexts: { react: { componentStack: info.componentStack } } })\n      }\n",
    )


# --- the example --------------------------------------------------------------------------------------

EXAMPLE = Path(__file__).parent.parent / "examples" / "shop"
FIXED = {
    "frontend-dsn-guard": dsn_guards.fix, CAPTURES: boundaries.capture, REQUESTS: nextjs.request_errors,
    "frontend-global-error-present": nextjs.global_error, "sampling-per-environment": browser_options.sampling,
    "source-maps": bundles.source_maps, "release-set": browser_options.release, "privacy-scrubbing": js_scrubbing.scrub,
}  # fmt: skip
#: What the front end's image and its pipeline give the build, once they do.
IMAGE = """\
FROM node:22-slim
WORKDIR /web
COPY package.json .
RUN npm install
COPY . .
ARG NEXT_PUBLIC_SENTRY_DSN
ARG NEXT_PUBLIC_ENVIRONMENT
ARG SENTRY_ORG
ARG SENTRY_PROJECT
ARG SENTRY_RELEASE
RUN --mount=type=secret,id=SENTRY_AUTH_TOKEN,env=SENTRY_AUTH_TOKEN npm run build
CMD ["npm", "start"]
"""
PIPELINE = """
docker build --tag "eu.gcr.io/shop/web" --build-arg NEXT_PUBLIC_SENTRY_DSN="$DSN" --build-arg NEXT_PUBLIC_ENVIRONMENT="$environment" \\
  --build-arg SENTRY_ORG=acme --build-arg SENTRY_PROJECT=web --build-arg SENTRY_RELEASE="$COMMIT_SHA" --secret id=SENTRY_AUTH_TOKEN web
gcloud run deploy "shop-web-$environment" --image eu.gcr.io/shop/web
"""


def test_the_front_end_of_the_example_turns_green(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    shutil.copytree(EXAMPLE, root)
    script = (root / "deploy.sh").read_text(encoding="utf-8").partition("# What the page knows")[0]
    (root / "deploy.sh").write_text(script + PIPELINE, encoding="utf-8")
    (root / "web/Dockerfile").write_text(IMAGE, encoding="utf-8")
    for _ in range(4):
        for check_id, fixer in FIXED.items():
            for answer in answers(root, fixer, check_id):
                for edit in (
                    answer.edits if isinstance(answer, Change) and answer.edits[0].path.startswith("web/") else ()
                ):
                    (root / edit.path).write_text(edit.after or "", encoding="utf-8")
    [report] = check(Request(root=root, environments=("staging",)))
    left = {item.check for item in report.findings if item.component == "web" and item.status is Status.GAP}
    assert left == {"trace-propagation"}  # the API's CORS comes first: tests/test_fix_example.py
    assert not (root / "web/sentry.client.config.ts").exists()
    before = (EXAMPLE / "web/app/error.tsx").read_text(encoding="utf-8")
    after = (root / "web/app/error.tsx").read_text(encoding="utf-8")
    assert [row for row in after.splitlines() if row not in before] == [
        'import * as Sentry from "@sentry/nextjs";', "    Sentry.captureException(error);",
    ]  # fmt: skip


@pytest.mark.parametrize("check_id", sorted({key for module in MODULES for key in module.FIXERS}))
def test_the_examples_of_the_catalogue_are_answered(tmp_path: Path, check_id: str) -> None:
    """Each fixture of a front end in checks.yaml gets a change, or a reason with something to paste or to read."""
    example = next(item for item in shipped_checks() if item.id == check_id)
    for index, fail in enumerate(example.examples["fail"]):
        if not any(path.endswith("package.json") for path in fail.get("files", {})):
            continue
        root = write(tmp_path / str(index), fail["files"])
        for case in cases(root, check_id):
            module = next(
                item for item in MODULES if check_id in item.FIXERS and case.component.ecosystem == item.ECOSYSTEM
            )
            answer = module.FIXERS[check_id](case)
            assert isinstance(answer, Change) or answer.reason


def test_a_variable_has_the_prefix_that_the_bundler_is_told(tmp_path: Path) -> None:
    main = (
        "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.APP_SENTRY_DSN, "
        "integrations: [Sentry.browserTracingIntegration()], tracesSampleRate: 0.5 });\n"
    )
    files = {"package.json": VITE, "index.html": PAGE, "src/main.tsx": main}
    files["vite.config.ts"] = "export default { envPrefix: 'APP_', plugins: [] };\n"
    changed = fixed(tmp_path, files, browser_options.sampling, "sampling-per-environment")
    assert "Number(import.meta.env.APP_SENTRY_TRACES_SAMPLE_RATE || '0.5')" in changed["src/main.tsx"]


def test_a_variable_that_is_put_in_by_its_name_is_left_to_a_person(tmp_path: Path) -> None:
    main = (
        "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: process.env.SENTRY_DSN, "
        "integrations: [Sentry.browserTracingIntegration()], tracesSampleRate: 0.5 });\n"
    )
    config = "export default { define: { 'process.env.SENTRY_DSN': JSON.stringify(process.env.SENTRY_DSN) } };\n"
    write(tmp_path, {"package.json": VITE, "index.html": PAGE, "src/main.tsx": main, "vite.config.ts": config})
    [answer] = answers(tmp_path, browser_options.sampling, "sampling-per-environment")
    assert isinstance(answer, Refusal)
    assert "told of by its name" in answer.reason


def test_an_sdk_that_is_too_old_is_not_exchanged(tmp_path: Path) -> None:
    manifest = NEXT.replace("@sentry/nextjs", "@sentry/react").replace("^10.20.0", "^6.11.0")
    write(tmp_path, {"package.json": manifest, "instrumentation-client.ts": INIT.replace("nextjs", "react")})
    [answer] = answers(tmp_path, packages.matching, "frontend-sdk-matches-framework")
    assert isinstance(answer, Refusal)


def test_a_variable_of_typed_code_is_said_to_be_there(tmp_path: Path) -> None:
    files = both(OPEN, TRACES)
    files |= {
        "web/package.json": NEXT, "web/tsconfig.json": "{}", "web/app/layout.tsx": LAYOUT,
        "web/app/api.ts": "'use client';\nexport const API_URL = process.env.NEXT_PUBLIC_API_URL;\n"
        "export const users = () => fetch(`${API_URL}/users`);\n",
        "web/app/page.tsx": "import { users } from './api';\nexport default function Page() {\n  users();\n  return <p />;\n}\n",
        "web/instrumentation-client.ts": INIT.replace("SENTRY_DSN,\n", "SENTRY_DSN,\n  tracesSampleRate: 0.2,\n"),
    }  # fmt: skip
    files = {path: text for path, text in files.items() if not path.startswith(("web/src", "web/index"))}
    changed = fixed(tmp_path, files, js_targets.fix, "trace-propagation")
    assert (
        "  tracePropagationTargets: [process.env.NEXT_PUBLIC_API_URL!],\n" in changed["web/instrumentation-client.ts"]
    )
