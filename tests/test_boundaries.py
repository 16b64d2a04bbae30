"""What catches errors of a front end before the SDK sees them, and whose they are said to be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.test_frontend import next_app, vue_app
from tests.trees import audit, findings, message, statuses

if TYPE_CHECKING:
    from pathlib import Path

CHECK = "frontend-error-boundary-captures"
INIT = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\n"
SENTRY = "import * as Sentry from '@sentry/react';\n"


def boundary(catch: str, imports: str = "", name: str = "Guard") -> str:
    return (
        f"import React from 'react';\n{imports}export class {name} extends React.Component {{\n"
        "  static getDerivedStateFromError() {\n    return { failed: true };\n  }\n"
        f"  {catch}\n  render() {{\n    return this.props.children;\n  }}\n}}\n"
    )


def react(main: str, **files: str) -> dict[str, str]:
    manifest = {
        "scripts": {"build": "vite build"},
        "dependencies": {
            "react": "19",
            "@sentry/react": "^10",
            "react-error-boundary": "^5",
            "@acme/observe": "workspace:*",
        },
        "devDependencies": {"vite": "7"},
    }
    return {
        "package.json": json.dumps(manifest),
        "index.html": '<script type="module" src="/src/main.tsx"></script>',
        "src/main.tsx": main,
        **{f"src/{name}": text for name, text in files.items()},
    }


def main(body: str, imports: str = "", init: str = INIT) -> str:
    return (
        f"{init}import {{ createRoot }} from 'react-dom/client';\n{imports}createRoot(document.body).render({body});\n"
    )


GUARDED = main("<Guard><p/></Guard>", "import { Guard } from './Guard';\n")


@pytest.mark.parametrize(
    ("catch", "imports", "expected"),
    [
        ("componentDidCatch(error) {\n    console.error(error);\n  }", "", "gap"),
        ("", "", "gap"),
        ("componentDidCatch(error) {\n    Sentry.captureException(error);\n  }", SENTRY, "pass"),
        ("componentDidCatch(error) {\n    window.Sentry?.captureException(error);\n  }", "", "pass"),
        ("componentDidCatch(error) {\n    posthog.captureException(error);\n  }", "import posthog from 'posthog-js';\n", "gap"),
        ("componentDidCatch = (error) => {\n    this.send(error);\n  };\n  send(error) {\n    Sentry.captureException(error);\n  }",
         SENTRY, "pass"),
        ("componentDidCatch(error) {\n    report(error);\n  }", "import { report } from './report';\n", "pass"),
        ("componentDidCatch(error) {\n    logger.error(error);\n  }", "import { logger } from './logger';\n", "pass"),
        ("componentDidCatch(error) {\n    logger.warn(error);\n  }", "import { logger } from './logger';\n", "gap"),
        ("componentDidCatch(error) {\n    reportError(error);\n  }", "import { reportError } from '@acme/observe';\n", "unknown"),
        ("componentDidCatch(error) {\n    import('@sentry/react').then((Sentry) => Sentry.captureException(error));\n  }", "", "pass"),
        ("componentDidCatch(error) {\n    const { captureException } = require('@sentry/react');\n    captureException(error);\n  }",
         "", "pass"),
        ("// componentDidCatch(error) { Sentry.captureException(error) }", "", "gap"),
    ],
)  # fmt: skip
def test_what_a_boundary_does_with_an_error(tmp_path: Path, catch: str, imports: str, expected: str) -> None:
    files = react(
        GUARDED,
        **{
            "Guard.tsx": boundary(catch, imports),
            "report.ts": f"{SENTRY}export const report = (error) => {{\n  Sentry.captureException(error);\n}};\n",
            "logger.ts": (
                f"{SENTRY}class Logger {{\n  warn(m) {{\n    console.warn(m);\n  }}\n"
                "  error(m) {\n    Sentry.captureException(m);\n  }\n}\nexport const logger = new Logger();\n"
            ),
        },
    )
    report = audit(tmp_path, files)
    assert statuses(report, CHECK) == {expected}
    if expected == "gap":
        [found] = findings(report, CHECK)
        assert (found.evidence[0].path, found.evidence[0].line) == ("src/Guard.tsx", 3 if imports else 2)


def test_the_one_of_the_same_name_that_is_imported_counts(tmp_path: Path) -> None:
    files = react(
        GUARDED,
        **{
            "Guard.tsx": boundary("componentDidCatch(error) {\n    console.log(error);\n  }"),
            "components/Guard.tsx": boundary(
                "componentDidCatch(error) {\n    Sentry.captureException(error);\n  }", SENTRY
            ),
        },
    )
    text = message(audit(tmp_path, files), CHECK)
    assert "Guard catches what components throw" in text
    assert "the one of the same name in src/components/Guard.tsx captures, and nothing renders it" in text


def test_a_boundary_that_captures_and_that_nothing_renders(tmp_path: Path) -> None:
    dead = boundary("componentDidCatch(error) {\n    Sentry.captureException(error);\n  }", SENTRY)
    report = audit(tmp_path, react(main("<p/>"), **{"Guard.tsx": dead}))
    assert "Guard in src/Guard.tsx captures, and nothing renders it" in message(report, CHECK)


def test_a_boundary_that_nothing_renders_and_that_does_not_capture_is_no_gap(tmp_path: Path) -> None:
    assert statuses(audit(tmp_path, react(main("<p/>"), **{"Guard.tsx": boundary("")})), CHECK) == {"skipped"}


def test_a_boundary_with_a_short_name_is_found_where_it_is_rendered(tmp_path: Path) -> None:
    catch = boundary("componentDidCatch(error) {\n    Sentry.captureException(error);\n  }", SENTRY)
    files = react(GUARDED.replace("'./Guard'", "'./EB'"), **{"EB.tsx": catch})
    assert statuses(audit(tmp_path, files), CHECK) == {"pass"}


def test_a_boundary_that_keeps_expected_errors_inside_one_that_captures(tmp_path: Path) -> None:
    inner = (
        "import React from 'react';\nexport class Net extends React.Component {\n  static getDerivedStateFromError(error) {\n"
        "    if (error.status) return { offline: true };\n    return {};\n  }\n  render() {\n    return this.props.children;\n  }\n}\n"
    )
    inside = main("<Sentry.ErrorBoundary><Net><p/></Net></Sentry.ErrorBoundary>", "import { Net } from './Net';\n")
    assert statuses(audit(tmp_path / "a", react(inside, **{"Net.tsx": inner})), CHECK) == {"pass"}
    alone = main("<Net><p/></Net>", "import { Net } from './Net';\n")
    assert statuses(audit(tmp_path / "b", react(alone, **{"Net.tsx": inner})), CHECK) == {"gap"}


def test_what_the_root_is_told_covers_every_boundary(tmp_path: Path) -> None:
    init = INIT.replace("Sentry.init", "const options = { onCaughtError: Sentry.reactErrorHandler() };\nSentry.init")
    report = audit(tmp_path / "a", react(GUARDED.replace(INIT, init), **{"Guard.tsx": boundary("")}))
    assert statuses(report, CHECK) == {"pass"}
    console = INIT.replace("_DSN });", "_DSN, integrations: [Sentry.captureConsoleIntegration()] });")
    report = audit(tmp_path / "b", react(GUARDED.replace(INIT, console), **{"Guard.tsx": boundary("")}))
    assert statuses(report, CHECK) == {"pass"}


def test_on_error_of_a_boundary_is_what_is_passed_to_it(tmp_path: Path) -> None:
    catch = "componentDidCatch(error) {\n    this.props.onError?.(error);\n  }"
    passed = main(
        "<Guard onError={(error) => Sentry.captureException(error)}><p/></Guard>", "import { Guard } from './Guard';\n"
    )
    assert statuses(audit(tmp_path / "a", react(passed, **{"Guard.tsx": boundary(catch)})), CHECK) == {"pass"}
    assert statuses(audit(tmp_path / "b", react(GUARDED, **{"Guard.tsx": boundary(catch)})), CHECK) == {"gap"}


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("<ErrorBoundary fallback={<p/>}><p/></ErrorBoundary>", "gap"),
        (
            "<ErrorBoundary fallback={<p/>} onError={(error) => Sentry.captureException(error)}><p/></ErrorBoundary>",
            "pass",
        ),
        ("<ErrorBoundary fallback={<p/>} onError={Sentry.captureException}><p/></ErrorBoundary>", "pass"),
        ("<ErrorBoundary FallbackComponent={Oops}><p/></ErrorBoundary>", "pass"),
        ("<ErrorBoundary {...given}><p/></ErrorBoundary>", "unknown"),
        ("<Sentry.ErrorBoundary fallback={<p/>}><p/></Sentry.ErrorBoundary>", "pass"),
    ],
)
def test_boundaries_of_libraries(tmp_path: Path, element: str, expected: str) -> None:
    oops = (
        f"{SENTRY}import {{ useEffect }} from 'react';\nexport function Oops({{ error }}) {{\n"
        "  useEffect(() => {\n    Sentry.captureException(error);\n  }, [error]);\n  return <p/>;\n}\n"
    )
    imports = "import { ErrorBoundary } from 'react-error-boundary';\nimport { Oops } from './Oops';\n"
    files = react(main(element, imports), **{"Oops.tsx": oops})
    assert statuses(audit(tmp_path, files), CHECK) == {expected}


def test_a_page_for_the_errors_of_a_router(tmp_path: Path) -> None:
    page = (
        "import { useRouteError } from 'react-router';\nexport function Oops() {\n  const error = useRouteError();\n"
        "  return <p>{error.message}</p>;\n}\n"
    )
    files = react(main("<Oops/>", "import { Oops } from './Oops';\n"), **{"Oops.tsx": page})
    assert "Oops catches what components throw" in message(audit(tmp_path, files), CHECK)


def test_whether_the_components_stack_is_sent(tmp_path: Path) -> None:
    check = "frontend-error-boundary-context"
    for index, (call, expected) in enumerate(
        [
            ("Sentry.captureException(error);", "gap"),
            ("Sentry.captureReactException(error, info);", "pass"),
            ("Sentry.captureException(error, { contexts: { react: { componentStack: info.componentStack } } });", "pass"),
            ("Sentry.withScope((scope) => {\n      scope.setTag('part', 'cart');\n      Sentry.captureException(error);\n    });", "pass"),
        ]
    ):  # fmt: skip
        catch = f"componentDidCatch(error, info) {{\n    {call}\n  }}"
        report = audit(tmp_path / str(index), react(GUARDED, **{"Guard.tsx": boundary(catch, SENTRY)}))
        assert statuses(report, check) == {expected}, call


# --- frameworks ----------------------------------------------------------------------------------


HANDED_ON = "import * as Sentry from '@sentry/nextjs';\nexport const onRequestError = Sentry.captureRequestError;\n"
PAGE = "'use client';\nimport {{ Oops }} from '../components/oops';\nexport default function Failed({{ error }}) {{\n  return {0};\n}}\n"


def test_pages_for_errors_of_next(tmp_path: Path) -> None:
    oops = (
        "import * as Sentry from '@sentry/nextjs';\nimport { useEffect } from 'react';\nexport function Oops({ error }) {\n"
        "  useEffect(() => {\n    Sentry.captureException(error);\n  }, [error]);\n  return <p/>;\n}\n"
    )
    files = next_app(
        **{
            "app/layout.tsx": "export default function Layout({ children }) {\n  return children;\n}\n",
            "app/error.tsx": PAGE.format("<Oops error={error} />"),
            "app/cart/error.tsx": PAGE.format("<Oops />"),
            "app/(shop)/deep/error.tsx": PAGE.format("<p/>"),
            "components/oops.tsx": oops,
        }
    )
    report = audit(tmp_path, files)
    gaps = [item for item in findings(report, CHECK, "web") if item.status.value == "gap"]
    assert [str(place) for item in gaps for place in item.evidence] == [
        "web/app/(shop)/deep/error.tsx:3",
        "web/app/cart/error.tsx:3",
    ]
    assert "web/app has no global-error" in message(report, "frontend-global-error-present")


def test_a_button_that_captures_is_no_boundary_that_does(tmp_path: Path) -> None:
    page = (
        "'use client';\nimport * as Sentry from '@sentry/nextjs';\nexport default function Failed({ error }) {\n"
        "  return <button onClick={() => Sentry.captureException(error)}>Report</button>;\n}\n"
    )
    assert statuses(audit(tmp_path, next_app(**{"app/global-error.tsx": page})), CHECK, "web") == {"gap"}


@pytest.mark.parametrize(
    ("version", "files", "expected"),
    [
        ("15.3.0", {"instrumentation.ts": HANDED_ON}, "pass"),
        ("15.3.0", {"src/instrumentation.ts": "export { captureRequestError as onRequestError } from '@sentry/nextjs';\n"}, "pass"),
        ("15.3.0", {"instrumentation.ts": "export async function register() {}\n"}, "gap"),
        ("15.3.0", {"instrumentation.ts": "export async function onRequestError(error) {\n  console.log(error);\n}\n"}, "gap"),
        ("15.3.0", {"instrumentation.ts": "export * from './telemetry';\n"}, "unknown"),
        ("15.3.0", {}, "gap"),
        ("14.2.0", {}, "skipped"),
        ("15.3.0", {"next.config.js": "module.exports = { output: 'export' };\n"}, "skipped"),
    ],
)  # fmt: skip
def test_errors_of_requests(tmp_path: Path, version: str, files: dict[str, str], expected: str) -> None:
    layout = "export default function Layout({ children }) {\n  return children;\n}\n"
    report = audit(tmp_path, next_app(version, **{"app/layout.tsx": layout, **files}))
    assert statuses(report, "frontend-request-errors-captured", "web") == {expected}


def test_vue_needs_the_application(tmp_path: Path) -> None:
    start = "import * as Sentry from '@sentry/vue';\nimport { createApp } from 'vue';\nconst app = createApp({});\n"
    told = f"{start}Sentry.init({{ app, dsn: import.meta.env.VITE_SENTRY_DSN }});\n"
    assert statuses(audit(tmp_path / "a", vue_app("<template/>", told)), CHECK, "web") == {"pass"}
    untold = told.replace("app, dsn", "dsn")
    assert "init is given no app" in message(audit(tmp_path / "b", vue_app("<template/>", untold)), CHECK)
    replaced = f"{told}app.config.errorHandler = (error) => console.error(error);\n"
    assert "in place of the SDK's" in message(audit(tmp_path / "c", vue_app("<template/>", replaced)), CHECK)


# --- the user ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", "nothing that browsers load calls Sentry's setUser"),
        ("Sentry.setUser({ id: user.id });", "nothing clears it"),
        ("Sentry.setUser({ id: user.id });\nexport const leave = () => Sentry.setUser(null);", ""),
        ("Sentry.setUser(user ? { id: user.id } : null);", ""),
        (
            "const [user, setUser] = useState(null);\nsetUser({ id: 1 });\nsetUser(null);",
            "nothing that browsers load calls Sentry's setUser",
        ),
        ("Sentry.getCurrentScope().setUser({ id: 1 });\nSentry.getCurrentScope().setUser(null);", ""),
    ],
)
def test_whose_events_are(tmp_path: Path, code: str, expected: str) -> None:
    login = f"{SENTRY}export function Login({{ user }}) {{\n  {code}\n}}\n"
    files = react(main("<Login/>", "import { Login } from './login';\n"), **{"login.tsx": login})
    report = audit(tmp_path, files)
    assert statuses(report, "frontend-user-context") == ({"gap"} if expected else {"pass"})
    assert expected in message(report, "frontend-user-context")


@pytest.mark.parametrize(
    "helper",
    [
        "export const identify = (user: User | null) => Sentry.setUser(user);",
        "export function identify(name?: string) {\n  Sentry.setUser({ username: name });\n}",
    ],
)
def test_a_helper_that_may_be_given_nobody_is_unknown(tmp_path: Path, helper: str) -> None:
    files = react(main("<p/>", "import './auth';\n"), **{"auth.ts": f"{SENTRY}{helper}\n"})
    assert statuses(audit(tmp_path, files), "frontend-user-context") == {"unknown"}


def test_a_user_that_is_nobody_at_times(tmp_path: Path) -> None:
    code = "const known = user?.id ? { id: user.id } : null;\n  Sentry.setUser(known);"
    files = react(
        main("<p/>", "import './auth';\n"), **{"auth.ts": f"{SENTRY}export function track(user) {{\n  {code}\n}}\n"}
    )
    assert statuses(audit(tmp_path, files), "frontend-user-context") == {"pass"}


def test_a_helper_that_nothing_imports_sets_no_user(tmp_path: Path) -> None:
    code = f"{SENTRY}export class Observability {{\n  set(user) {{\n    Sentry.setUser(user ? {{ id: 1 }} : null);\n  }}\n}}\n"
    report = audit(tmp_path, react(main("<p/>"), **{"auth.ts": code}))
    assert "nothing that browsers load calls Sentry's setUser" in message(report, "frontend-user-context")


def test_nobody_signs_in_to_an_open_page(tmp_path: Path) -> None:
    assert statuses(audit(tmp_path, react(main("<p/>"))), "frontend-user-context") == {"skipped"}


def test_a_file_about_authors_is_no_sign_in(tmp_path: Path) -> None:
    files = react(
        main("<p/>"), **{"authors.tsx": "export const x = 1;\n", "blog/login-tips.tsx": "export const y = 1;\n"}
    )
    assert statuses(audit(tmp_path, files), "frontend-user-context") == {"skipped"}
