"""Front ends as they are found in the wild: each case is one that a fixer once got wrong, or left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.fixers import bundles, js_dsns, js_options
from sentry_audit.fixers import js_boundaries as boundaries
from sentry_audit.fixers import js_inits as inits
from sentry_audit.fixers import js_nextjs as nextjs
from sentry_audit.fixers import js_packages as packages
from sentry_audit.fixers import js_plugins as plugins
from sentry_audit.fixers.js_web import Style
from sentry_audit.fixers.spelling import parameter_in
from sentry_audit.fixing import Change, Refusal
from sentry_audit.python.truth import is_environment_name
from tests.fixing_web import answers, fixed
from tests.trees import write

if TYPE_CHECKING:
    from pathlib import Path

OF_INIT = frozenset(
    {"frontend-dsn-provided", "frontend-dsn-at-build", "deploy-environment-declared", "release-set", "source-maps"}
)
NEXT = '{"scripts": {"build": "next build"}, "dependencies": {"next": "16.1.0", "react": "19.0.0", "@sentry/nextjs": "^10.20.0"}}'
LAYOUT = "export default function RootLayout({ children }) {\n  return <html><body>{children}</body></html>;\n}\n"
GLOBAL = (
    "'use client';\n\nimport * as Sentry from '@sentry/nextjs';\nimport { useEffect } from 'react';\n\n"
    "export default function GlobalError({ error }) {\n  useEffect(() => {\n    Sentry.captureException(error);\n"
    "  }, [error]);\n  return <html><body /></html>;\n}\n"
)
SERVER = "import * as Sentry from '@sentry/nextjs';\n\nexport const onRequestError = Sentry.captureRequestError;\n"
INIT = "import * as Sentry from '@sentry/nextjs';\n\nSentry.init({\n  dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,\n});\n"
TRANSITIONS = "export const onRouterTransitionStart = Sentry.captureRouterTransitionStart;\n"
SDK = "import * as Sentry from '@sentry/nextjs';\n\n"
REAL = "https://0123456789abcdef0123456789abcdef@o4501.ingest.us.sentry.io/42"


def app(**more: str) -> dict[str, str]:
    files = {"package.json": NEXT, "src/app/layout.jsx": LAYOUT, "src/app/global-error.jsx": GLOBAL}
    return files | {"src/instrumentation.js": SERVER} | more


# --- where the SDK starts -----------------------------------------------------------------------------


VUE = (
    '{"scripts": {"build": "vite build"}, "dependencies": {"vue": "3.5.0", "vue-router": "4.4.0", "@sentry/vue": "^10.20.0"},'
    ' "devDependencies": {"vite": "7.0.0"}}'
)
MAIN = """\
import { createApp } from 'vue'
import App from './App.vue'
import { router } from './router'

const app = createApp(App)

app.use(router)
app.mount('#app')
"""


def vue(main: str) -> dict[str, str]:
    page = '<script type="module" src="/src/main.js"></script>'
    return {
        "package.json": VUE, "index.html": page, "src/main.js": main, "src/App.vue": "<template><p /></template>\n",
        "src/router/index.js": "import { createRouter } from 'vue-router'\n\nexport const router = createRouter({ routes: [] })\n",
    }  # fmt: skip


def test_vue_gives_the_sdk_its_application_and_its_router(tmp_path: Path) -> None:
    changed = fixed(tmp_path, vue(MAIN), inits.present, "frontend-init-present", judged_now=OF_INIT)
    assert changed == {
        "src/main.js": "import * as Sentry from '@sentry/vue'\n"
        + MAIN.replace(
            "createApp(App)\n",
            "createApp(App)\n\nSentry.init({\n  app,\n  dsn: import.meta.env.VITE_SENTRY_DSN,\n"
            "  environment: import.meta.env.VITE_SENTRY_ENVIRONMENT,\n"
            "  tracesSampleRate: Number(import.meta.env.VITE_SENTRY_TRACES_SAMPLE_RATE || '0.1'),\n"
            "  integrations: [Sentry.browserTracingIntegration({ router })],\n})\n",
        )
    }  # fmt: skip


def test_a_vue_application_of_another_name_without_a_router(tmp_path: Path) -> None:
    main = "import { createApp } from 'vue'\nimport App from './App.vue'\n\nconst shop = createApp(App)\nshop.mount('#app')\n"
    changed = fixed(tmp_path, vue(main), inits.present, "frontend-init-present", judged_now=OF_INIT)
    assert "Sentry.init({\n  app: shop,\n" in changed["src/main.js"]
    assert "Sentry.browserTracingIntegration()]" in changed["src/main.js"]


def test_a_router_that_is_made_after_the_application_is_not_used(tmp_path: Path) -> None:
    main = (
        "import { createApp } from 'vue'\nimport { createRouter } from 'vue-router'\nimport App from './App.vue'\n\n"
        "const app = createApp(App)\nconst router = createRouter({ routes: [] })\napp.use(router)\napp.mount('#app')\n"
    )
    changed = fixed(tmp_path, vue(main), inits.present, "frontend-init-present", judged_now=OF_INIT)
    assert "Sentry.browserTracingIntegration()]" in changed["src/main.js"]


KIT = (
    '{"scripts": {"build": "vite build"}, "dependencies": {"@sentry/sveltekit": "^10.20.0"},'
    ' "devDependencies": {"@sveltejs/kit": "2.5.0", "svelte": "5.0.0", "vite": "7.0.0"}}'
)
ROUTE = {"package.json": KIT, "src/routes/+page.svelte": "<p>Shop</p>\n", "src/lib/a.js": "import b from './b';\n"}


def test_sveltekit_starts_the_sdk_in_both_hooks(tmp_path: Path) -> None:
    changed = fixed(tmp_path, ROUTE, inits.present, "frontend-init-present", judged_now=OF_INIT)
    init = (
        "import * as Sentry from '@sentry/sveltekit';\n\nSentry.init({\n  dsn: import.meta.env.VITE_SENTRY_DSN,\n"
        "  environment: import.meta.env.VITE_SENTRY_ENVIRONMENT,\n"
        "  tracesSampleRate: Number(import.meta.env.VITE_SENTRY_TRACES_SAMPLE_RATE || '0.1'),\n});\n\n"
    )
    errors = "export const handleError = Sentry.handleErrorWithSentry();\n"
    assert changed == {
        "src/hooks.client.js": init + errors,
        "src/hooks.server.js": f"{init}export const handle = Sentry.sentryHandle();\n{errors}",
    }


def test_hooks_that_are_there_stay(tmp_path: Path) -> None:
    client = "import { tick } from './lib/a';\n\nexport const init = () => tick();\n"
    server = "export const handle = ({ event, resolve }) => resolve(event);\n"
    files = ROUTE | {"src/hooks.client.js": client, "src/hooks.server.js": server}
    changed = fixed(tmp_path, files, inits.present, "frontend-init-present", judged_now=OF_INIT)
    [text] = changed.values()
    assert text.startswith(
        "import * as Sentry from '@sentry/sveltekit';\nimport { tick } from './lib/a';\n\nSentry.init({\n"
    )
    assert text.endswith(
        "});\n\nexport const init = () => tick();\n\nexport const handleError = Sentry.handleErrorWithSentry();\n"
    )


def test_an_init_joins_what_instrumentation_client_has(tmp_path: Path) -> None:
    files = app(**{"sentry.client.config.js": INIT, "src/instrumentation-client.js": SDK + TRANSITIONS})
    changed = fixed(tmp_path, files, nextjs.moved, "frontend-init-ignored-by-bundler", judged_now=OF_INIT)
    assert changed == {"src/instrumentation-client.js": f"{INIT}\n{TRANSITIONS}"}
    assert not (tmp_path / "sentry.client.config.js").exists()


@pytest.mark.parametrize(
    "there",
    [
        "import { start } from './metrics';\n\nstart();\n",
        "import * as Sentry from '@sentry/browser';\n\n" + TRANSITIONS,
    ],
)
def test_what_does_other_things_is_left_to_a_person(tmp_path: Path, there: str) -> None:
    files = app(**{"sentry.client.config.js": INIT, "src/instrumentation-client.js": there})
    write(tmp_path, files | {"src/metrics.js": "export const start = () => {};\n"})
    [answer] = answers(tmp_path, nextjs.moved, "frontend-init-ignored-by-bundler")
    assert isinstance(answer, Refusal)
    assert answer.reason.startswith("src/instrumentation-client.js is there already")


@pytest.mark.parametrize(("version", "taken"), [("13.2.4", True), ("13.1.6", False)])
def test_next_13_has_the_sdk_that_is_for_it(tmp_path: Path, version: str, taken: bool) -> None:
    manifest = '{"scripts": {"build": "next build"}, "dependencies": {"next": "VERSION", "react": "18.2.0"}}'
    write(tmp_path, {"package.json": manifest.replace("VERSION", version), "pages/index.jsx": LAYOUT})
    [answer] = answers(tmp_path, packages.declared, "frontend-sdk-declared")
    assert isinstance(answer, Change) is taken


# --- what is captured ---------------------------------------------------------------------------------


@pytest.mark.parametrize("exported", ["memo(Failed)", "React.memo(Failed)", "observer(memo(Failed))"])
def test_an_error_page_that_is_wrapped_captures(tmp_path: Path, exported: str) -> None:
    page = (
        "'use client';\n\nimport React, { memo, useEffect } from 'react';\nimport { observer } from 'mobx-react';\n\n"
        "function Failed({ error }) {\n  useEffect(() => {\n    console.error(error);\n  }, [error]);\n\n"
        f"  return <p>Failed</p>;\n}}\n\nexport default {exported};\n"
    )
    files = app(**{"src/app/error.jsx": page, "src/instrumentation-client.js": f"{INIT}\n{TRANSITIONS}"})
    changed = fixed(tmp_path, files, boundaries.capture, "frontend-error-boundary-captures")
    assert (
        "  useEffect(() => {\n    Sentry.captureException(error);\n    console.error(error);\n"
        in (changed["src/app/error.jsx"])
    )


# --- how it is written --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "semicolon"),
    [
        (
            'import { a } from "a"\nimport {\n  b,\n} from "b"\n\nexport const c = [\n  a(\n    b,\n  ),\n]\nfor (;;);\n',
            "",
        ),
        ('import { a } from "a";\n\nexport const c = a(\n  1\n)\nconst d = 1\nconst e = 2\n', ";"),
        ("const a = 1;\nconst b = 2;\n", ";"),
    ],
)
def test_imports_tell_whether_statements_end_in_semicolons(text: str, semicolon: str) -> None:
    assert Style.of(text).semicolon == semicolon


WORKFLOW = """\
on: push
jobs:
  deploy:
    environment: staging
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: npm run build
        env:
          VITE_SENTRY_DSN: ${{ secrets.DSN }}
          SENTRY_AUTH_TOKEN: ${{ secrets.SENTRY_AUTH_TOKEN }}
          SENTRY_PROJECT: web
"""
STARTED = (
    "import * as Sentry from '@sentry/react';\nimport { createRoot } from 'react-dom/client';\n\n"
    "Sentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\ncreateRoot(document.body).render(null);\n"
)


@pytest.mark.parametrize(
    ("listed", "left"),
    [
        (
            "[react(), tailwind()]",
            (
                "[\n    react(),\n    tailwind(),\n    sentryVitePlugin({\n"
                "      sourcemaps: { filesToDeleteAfterUpload: ['dist/**/*.map'] },\n    }),\n  ]"
            ),
        ),
        (
            "[\n    react(),\n    tailwind(),\n  ]",
            (
                "[\n    react(),\n    tailwind(),\n    sentryVitePlugin({\n"
                "      sourcemaps: { filesToDeleteAfterUpload: ['dist/**/*.map'] },\n    }),\n  ]"
            ),
        ),
        (
            "[react({\n    jsx: true,\n  })]",
            (
                "[react({\n    jsx: true,\n  }), sentryVitePlugin({\n"
                "    sourcemaps: { filesToDeleteAfterUpload: ['dist/**/*.map'] },\n  })]"
            ),
        ),
    ],
)
def test_a_plugin_of_vite_has_rows_of_its_own(tmp_path: Path, listed: str, left: str) -> None:
    head = "import { resolve } from 'node:path';\nimport react from '@vitejs/plugin-react';\nimport tailwind from 'tailwind';\n\n"
    config = f"{head}export default {{\n  root: resolve('.'),\n  plugins: {listed},\n}};\n"
    manifest = VUE.replace('"vue": "3.5.0", "vue-router": "4.4.0", "@sentry/vue"', '"react": "19.0.0", "@sentry/react"')
    files = {
        "package.json": manifest, "index.html": '<script type="module" src="/src/main.tsx"></script>',
        "src/main.tsx": STARTED, "vite.config.ts": config, ".github/workflows/deploy.yml": WORKFLOW,
    }  # fmt: skip
    changed = fixed(tmp_path, files, plugins.source_maps, "source-maps")
    after = config.replace(listed, left).replace("  ],\n};", "  ],\n  build: {\n    sourcemap: 'hidden',\n  },\n};")
    after = after.replace("})],\n};", "})],\n  build: {\n    sourcemap: 'hidden',\n  },\n};")
    sentry = "import { sentryVitePlugin } from '@sentry/vite-plugin';\n"
    assert changed["vite.config.ts"] == after.replace("import react", f"{sentry}import react")


# --- DSNs in code -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "written", "left"),
    [
        ("", f"'{REAL}'", "process.env.NEXT_PUBLIC_SENTRY_DSN"),
        ("const DSN = process.env.NEXT_PUBLIC_SENTRY_DSN;\n\n", f"DSN || '{REAL}'", "DSN"),
        ("", f"process.env.NEXT_PUBLIC_SENTRY_DSN ?? '{REAL}'", "process.env.NEXT_PUBLIC_SENTRY_DSN"),
    ],
)
def test_a_dsn_in_code_is_read_from_the_variable(tmp_path: Path, head: str, written: str, left: str) -> None:
    image = (
        "FROM node:22\nWORKDIR /app\nCOPY . .\nARG NEXT_PUBLIC_SENTRY_DSN\n"
        "ENV NEXT_PUBLIC_SENTRY_DSN=$NEXT_PUBLIC_SENTRY_DSN\nRUN npm run build\n"
    )
    build = (
        'docker build --build-arg NEXT_PUBLIC_SENTRY_DSN="$(gcloud secrets versions access latest --secret=dsn-staging)" '
        "-t x .\ndocker push x\ngcloud run deploy shop-staging --image x\n"
    )
    text = f"{SDK}{head}Sentry.init({{\n  dsn: {written},\n}});\n\n{TRANSITIONS}"
    files = app(**{"src/instrumentation-client.js": text, "Dockerfile": image, "deploy-staging.sh": build})
    changed = fixed(tmp_path, files, js_dsns.keep_out, "dsn-hardcoded")
    assert changed == {"src/instrumentation-client.js": text.replace(written, left)}


def test_a_dsn_whose_use_is_not_certain_is_left_to_a_person(tmp_path: Path) -> None:
    text = f"{SDK}const pick = (list) => list[0];\n\nSentry.init({{ dsn: pick(['{REAL}']) }});\n"
    write(tmp_path, app(**{"src/instrumentation-client.js": text}))
    [answer] = answers(tmp_path, js_dsns.keep_out, "dsn-hardcoded")
    assert isinstance(answer, Refusal)
    assert "not certain" in answer.reason


# --- remarks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remark", "left"),
    [
        (", //  Capture 100% of the transactions", ","),
        (", // trace everything", ","),
        (" /* all */", ""),
        (", // agreed with ops", ", // agreed with ops"),
    ],
)
def test_a_remark_that_a_rate_makes_untrue_goes(tmp_path: Path, remark: str, left: str) -> None:
    rate = "  // Set tracesSampleRate to 1.0 to capture 100%\n  tracesSampleRate: RATE"
    text = INIT.replace("DSN,\n", f"DSN,\n{rate}{remark}\n") + "\n" + TRANSITIONS
    written = text.replace("RATE", "1.0")
    files = app(**{"src/instrumentation-client.js": written})
    changed = fixed(tmp_path, files, js_options.sampling, "sampling-per-environment")
    new = "Number(process.env.NEXT_PUBLIC_SENTRY_TRACES_SAMPLE_RATE || '0.1')"
    assert changed["src/instrumentation-client.js"] == text.replace(f"RATE{remark}", f"{new}{left}")


# --- what the pipeline is told ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["GITHUB_ENV", "BASH_ENV", "VIRTUAL_ENV"])
def test_the_path_of_a_file_is_no_environment(name: str) -> None:
    assert parameter_in(f"docker build -t x .\necho TAG=1 >> ${name}\n") == ""
    assert parameter_in(f"echo TAG=1 >> ${name}\ndeploy --to $DEPLOY_ENV\n") == "$DEPLOY_ENV"
    assert not is_environment_name(name)


def test_the_place_of_an_index_is_no_environment() -> None:
    assert not is_environment_name("PINECONE_ENVIRONMENT")
    assert is_environment_name("SHOP_ENVIRONMENT")


@pytest.mark.parametrize(("other", "label"), [("production", "staging"), ("staging", "staging")])
def test_a_build_is_for_what_its_workflow_deploys(tmp_path: Path, other: str, label: str) -> None:
    image = "FROM node:22\nWORKDIR /app\nCOPY . .\nARG API\nRUN npm run build\n"
    workflow = (
        "on: push\njobs:\n  web:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n"
        "      - run: |\n          docker build --build-arg API=/api -t eu.gcr.io/x/web .\n"
        "          docker push eu.gcr.io/x/web\n  api:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n"
        f"          gcloud run deploy api --image x --set-env-vars ENVIRONMENT=staging\n"
        f"          gcloud run deploy jobs --image x --set-env-vars ENVIRONMENT={other}\n"
    )
    init = INIT.replace("DSN,\n", "DSN,\n  environment: process.env.NEXT_PUBLIC_SENTRY_ENVIRONMENT,\n")
    files = app(
        **{"src/instrumentation-client.js": init, "Dockerfile": image, ".github/workflows/deploy.yml": workflow}
    )
    write(tmp_path, files)
    [answer] = answers(tmp_path, bundles.provide_label, "deploy-environment-declared")
    if other == label:
        assert isinstance(answer, Change), answer
        assert "--build-arg NEXT_PUBLIC_SENTRY_ENVIRONMENT=staging" in (answer.edits[-1].after or "")
    else:
        assert isinstance(answer, Refusal), answer
