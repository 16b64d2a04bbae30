"""Fixers of front ends: each closes its gap, opens no other, and leaves all else as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.fixers import boundaries, dsn_guards, inits, nextjs
from sentry_audit.fixing import Refusal
from tests.fixing import answers, fixed
from tests.trees import write

if TYPE_CHECKING:
    from pathlib import Path

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
    after = page.replace('import { use', 'import * as Sentry from "@sentry/nextjs";\nimport { use')
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
    assert "React.useEffect(() => {\n    Sentry.captureException(props.error);\n  }, [props.error]);" in changed["app/b/error.jsx"]


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
         "<ErrorBoundary fallback={null} onError={(error, info) => Sentry.captureException(error, "
         "{ contexts: { react: { componentStack: info.componentStack } } })}>"),
        ("<ErrorBoundary fallback={null} onError={(error) => console.error(error)}>",
         "<ErrorBoundary fallback={null} onError={(error, info: { componentStack?: string | null }) => {\n"
         "    Sentry.captureException(error, { contexts: { react: { componentStack: info.componentStack } } });\n"
         "    console.error(error);\n  }}>"),
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
    assert "const error = useRouteError();\n\n  useEffect(() => {\n    Sentry.captureException(error);\n  }, [error]);\n" in (
        changed["src/App.tsx"]
    )


def test_what_is_captured_alone_gets_the_stack(tmp_path: Path) -> None:
    app = (
        "import React from 'react';\nimport { captureException } from '@sentry/react';\n\n"
        "class Boundary extends React.Component {\n  componentDidCatch(error) {\n    captureException(error);\n  }\n"
        "  render() {\n    return this.props.children;\n  }\n}\n\n"
        "export default function App() {\n  return <Boundary><p /></Boundary>;\n}\n"
    )
    changed = fixed(tmp_path, vite(app), boundaries.context, "frontend-error-boundary-context")
    assert "captureException(error, { contexts: { react: { componentStack: info.componentStack } } });" in changed["src/App.tsx"]
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


def test_instrumentation_is_made_beside_the_folder_of_the_app(tmp_path: Path) -> None:
    files = {"package.json": NEXT, "tsconfig.json": "{}", "src/app/layout.tsx": LAYOUT, "src/instrumentation-client.ts": INIT}
    changed = fixed(tmp_path, files, nextjs.request_errors, REQUESTS)
    assert changed == {
        "src/instrumentation.ts": "import * as Sentry from '@sentry/nextjs';\n\nexport function register() {\n  Sentry.init({\n"
        "    dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,\n  });\n}\n\nexport const onRequestError = Sentry.captureRequestError;\n"
    }


def test_instrumentation_loads_the_configurations_that_are_there(tmp_path: Path) -> None:
    files = {
        "package.json": NEXT, "app/layout.jsx": LAYOUT, "instrumentation-client.js": INIT,
        "sentry.server.config.js": INIT, "sentry.edge.config.js": INIT,
    }  # fmt: skip
    changed = fixed(tmp_path, files, nextjs.request_errors, REQUESTS)
    assert changed == {
        "instrumentation.js": "import * as Sentry from '@sentry/nextjs';\n\nexport async function register() {\n"
        "  if (process.env.NEXT_RUNTIME === 'nodejs') {\n    await import('./sentry.server.config');\n  }\n"
        "  if (process.env.NEXT_RUNTIME === 'edge') {\n    await import('./sentry.edge.config');\n  }\n}\n\n"
        "export const onRequestError = Sentry.captureRequestError;\n"
    }


def test_instrumentation_that_is_there_exports_the_handler(tmp_path: Path) -> None:
    text = "export async function register() {\n  await import('./sentry.server.config');\n}\n"
    files = {"package.json": NEXT, "app/layout.tsx": LAYOUT, "instrumentation.ts": text, "instrumentation-client.ts": INIT}
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
    config = "import * as Sentry from '@sentry/nextjs';\nimport { tags } from './src/lib/tags';\n\nSentry.init({\n" \
        "  dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,\n  initialScope: { tags },\n});\n"  # fmt: skip
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
