"""Source maps: what uploads them, with which token, and whether browsers can load them; tokens and DSNs in files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sentry_audit.derive.committed import committed
from sentry_audit.facts import AuthToken, Component, Dsn
from sentry_audit.javascript.analysis import Analysis
from sentry_audit.javascript.packages import discover
from sentry_audit.scanners.bundling import bundling
from sentry_audit.scanners.docker import scan
from tests.trees import SDK, Texts, audit, findings, message, statuses

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "import { withSentryConfig } from '@sentry/nextjs';\n"
TOKEN = "sntrys_" + "eyJpYXQiOjE3MDB9" * 3
DSN = "https://4f6cbd9a1e2b3c4d5e6f708192a3a1f3@o447951.ingest.us.sentry.io/4511377"
DEPLOY = "gcloud run deploy web --image eu.gcr.io/p/web\n"


def next_app(
    config: str = "", options: str = "project: 'web'", next_: str = "15.3.0", sdk: str = "^10", **files: str
) -> dict[str, str]:
    manifest = {"scripts": {"build": "next build"}, "dependencies": {"next": next_, "@sentry/nextjs": sdk}}
    return {
        "web/package.json": json.dumps(manifest),
        "web/instrumentation-client.ts": "import * as Sentry from '@sentry/nextjs';\n"
        "Sentry.init({ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN });\n",
        "web/next.config.ts": config or f"{CONFIG}export default withSentryConfig({{}}, {{ {options} }});\n",
        **files,
    }


def vite_app(config: str, scripts: dict[str, str] | None = None, **files: str) -> dict[str, str]:
    manifest = {
        "scripts": {"build": "vite build", **(scripts or {})},
        "dependencies": {"react": "19", "@sentry/react": "^10"},
        "devDependencies": {"vite": "7", "@sentry/vite-plugin": "^4"},
    }
    return {
        "web/package.json": json.dumps(manifest),
        "web/index.html": '<script type="module" src="/src/main.tsx"></script>',
        "web/src/main.tsx": "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\n",
        "web/vite.config.ts": config,
        **files,
    }


def vite_config(
    plugin: str = "sentryVitePlugin({ project: 'web' })", build: str = "build: { sourcemap: 'hidden' }"
) -> str:
    return (
        "import { defineConfig } from 'vite';\nimport { sentryVitePlugin } from '@sentry/vite-plugin';\n"
        f"export default defineConfig(({{ mode }}) => ({{ {build}, plugins: [{plugin}] }}));\n"
    )


def image(*lines: str, run: str = "RUN npm run build") -> dict[str, str]:
    more = "".join(f"{line}\n" for line in lines)
    return {"web/Dockerfile": f'FROM node:22\nWORKDIR /app\nCOPY . .\n{more}{run}\nCMD ["npm", "start"]\n'}


def built(arguments: str) -> dict[str, str]:
    return {"deploy.sh": f"docker build {arguments} -t eu.gcr.io/p/web web\n{DEPLOY}"}


MOUNTED = "RUN --mount=type=secret,id=SENTRY_AUTH_TOKEN,env=SENTRY_AUTH_TOKEN npm run build"

# --- the way of the token --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "status"),
    [
        (image("ARG SENTRY_AUTH_TOKEN") | built("--build-arg SENTRY_AUTH_TOKEN=$TOKEN"), "pass"),
        (image("ARG SENTRY_AUTH_TOKEN") | built("--build-arg OTHER=1"), "gap"),
        (image("ARG SENTRY_AUTH_TOKEN"), "unknown"),
        (image() | built("--build-arg SENTRY_AUTH_TOKEN=$TOKEN"), "gap"),
        (image(run=MOUNTED) | built("--secret id=SENTRY_AUTH_TOKEN,env=SENTRY_AUTH_TOKEN"), "pass"),
        (image(run=MOUNTED) | built("--build-arg SENTRY_AUTH_TOKEN=$TOKEN"), "gap"),
        (image(run=MOUNTED) | {"deploy.sh": "gcloud run deploy web --source web\n"}, "gap"),
    ],
)
def test_an_image_needs_the_token(tmp_path: Path, files: dict[str, str], status: str) -> None:
    assert statuses(audit(tmp_path, next_app(**files)), "source-maps") == {status}


def test_where_the_chain_breaks_is_named(tmp_path: Path) -> None:
    files = next_app(options="project: 'web', silent: true", **image("ARG SENTRY_AUTH_TOKEN"), **built(""))
    text = message(audit(tmp_path, files), "source-maps")
    assert "web/Dockerfile takes SENTRY_AUTH_TOKEN" in text
    assert "deploy.sh:1 passes no --build-arg SENTRY_AUTH_TOKEN" in text
    assert "silent: true hides the warning" in text


def test_a_mounted_secret_that_nothing_reads(tmp_path: Path) -> None:
    run = "RUN --mount=type=secret,id=SENTRY_AUTH_TOKEN npm run build"
    report = audit(tmp_path, next_app(**image(run=run), **built("--secret id=SENTRY_AUTH_TOKEN")))
    assert statuses(report, "source-maps") == {"gap"}
    assert "nothing puts it into SENTRY_AUTH_TOKEN" in message(report, "source-maps")


@pytest.mark.parametrize(
    ("run", "variable"),
    [
        ("--mount=type=secret,id=t,env=SENTRY_AUTH_TOKEN npm run build", "SENTRY_AUTH_TOKEN"),
        ("--mount=type=secret,id=t SENTRY_AUTH_TOKEN=$(cat /run/secrets/t) npm run build", "SENTRY_AUTH_TOKEN"),
        ('--mount=type=secret,id=t export SENTRY_AUTH_TOKEN="$(cat /run/secrets/t)" && npm run build', "SENTRY_AUTH_TOKEN"),
        ("--mount=type=secret,id=t,target=/app/.sentryclirc npm run build", "?"),
        ("--mount=type=secret,id=t ./build.sh", "?"),
        ("--mount=type=secret,id=t npm run build", ""),
    ],
)  # fmt: skip
def test_how_a_mounted_secret_is_read(run: str, variable: str) -> None:
    [mount] = bundling("Dockerfile", f"FROM node\nRUN {run}\n").mounts
    assert (mount.id, mount.variable, mount.line) == ("t", variable, 2)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("FROM node\nARG T\nRUN npm run build\n", True),
        ("ARG T\nFROM node\nRUN npm run build\n", False),
        ("FROM node\nRUN npm run build\nARG T\n", False),
        ("FROM node AS a\nARG T\nFROM node\nRUN npm run build\n", False),
        ("FROM node AS a\nARG T\nFROM a\nRUN npm run build\n", True),
        ("FROM node AS a\nARG T\nRUN npm run build\nFROM nginx\nCOPY --from=a /d /d\n", True),
    ],
)
def test_an_argument_counts_in_its_stage_before_the_build(text: str, seen: bool) -> None:
    assert ("T" in bundling("Dockerfile", text).args) is seen


def test_what_starts_has_the_last_stages_variables() -> None:
    found = bundling("Dockerfile", "FROM node AS web\nENV A=1\nRUN npm run build\nFROM python\nARG S\nENV B=$S\n")
    assert set(found.env) == {"A"}
    assert set(found.last.env) == {"B"}
    assert set(found.last.args) == {"S"}


def test_a_workflow_that_builds_and_deploys(tmp_path: Path) -> None:
    step = "    - run: npm run build\n      working-directory: web\n"
    env = "      env:\n        SENTRY_AUTH_TOKEN: ${{ secrets.SENTRY_AUTH_TOKEN }}\n"
    head = "on: push\njobs:\n  web:\n    steps:\n"
    deploy = "    - run: gcloud run deploy web --source web\n"
    given = next_app(**{".github/workflows/web.yml": head + step + env + deploy})
    assert statuses(audit(tmp_path, given), "source-maps") == {"pass"}
    without = next_app(**{".github/workflows/web.yml": head + step + deploy})
    assert statuses(audit(tmp_path, without), "source-maps") == {"gap"}
    tests_only = next_app(**{".github/workflows/web.yml": head + step})
    assert statuses(audit(tmp_path, tests_only), "source-maps") == {"unknown"}


def test_build_push_action_with_secrets(tmp_path: Path) -> None:
    workflow = (
        "on: push\njobs:\n  web:\n    steps:\n    - uses: docker/build-push-action@v6\n      with:\n        context: web\n"
        "        tags: eu.gcr.io/p/web\n        secrets: |\n          SENTRY_AUTH_TOKEN=${{ secrets.SENTRY_AUTH_TOKEN }}\n"
        f"    - run: {DEPLOY}"
    )
    files = next_app(**image(run=MOUNTED), **{".github/workflows/web.yml": workflow})
    assert statuses(audit(tmp_path, files), "source-maps") == {"pass"}


def test_a_formatted_build_argument_of_a_matrix(tmp_path: Path) -> None:
    row = "${{ matrix.app == 'web' && format('SENTRY_AUTH_TOKEN={0}', secrets.SENTRY_AUTH_TOKEN) || '' }}"
    workflow = (
        "on: push\njobs:\n  image:\n    strategy:\n      matrix:\n        app: [web, api]\n    steps:\n"
        "    - uses: docker/build-push-action@v6\n      with:\n        context: .\n        file: ${{ matrix.app }}/Dockerfile\n"
        f"        build-args: |\n          {row}\n"
    )
    files = next_app(**image("ARG SENTRY_AUTH_TOKEN"), **{".github/workflows/web.yml": workflow})
    assert statuses(audit(tmp_path, files), "source-maps") == {"pass"}


def test_cloud_build_with_a_secret_variable(tmp_path: Path) -> None:
    steps = (
        "steps:\n- name: gcr.io/cloud-builders/docker\n  entrypoint: bash\n"
        "  args: ['-c', 'docker build --build-arg SENTRY_AUTH_TOKEN=$$SENTRY_AUTH_TOKEN -t eu.gcr.io/p/web web']\n"
        "  secretEnv: [SENTRY_AUTH_TOKEN]\n"
        "- name: gcr.io/google.com/cloudsdktool/cloud-sdk\n  entrypoint: gcloud\n"
        "  args: [run, deploy, web, --image, eu.gcr.io/p/web]\n"
        "availableSecrets:\n  secretManager:\n  - versionName: projects/p/secrets/sentry-token/versions/1\n    env: SENTRY_AUTH_TOKEN\n"
    )
    files = next_app(**image("ARG SENTRY_AUTH_TOKEN"), **{"cloudbuild.yaml": steps})
    assert statuses(audit(tmp_path, files), "source-maps") == {"pass"}


def test_a_platform_that_builds_it_is_not_asked(tmp_path: Path) -> None:
    report = audit(tmp_path, next_app(**{"web/vercel.json": "{}"}))
    assert statuses(report, "source-maps") == {"unknown"}
    assert "Vercel" in message(report, "source-maps")


def test_an_image_for_development_is_not_what_a_platform_builds(tmp_path: Path) -> None:
    compose = "services:\n  web:\n    build:\n      context: ./web\n      args: {NODE_ENV: production}\n"
    files = {**image(), "docker-compose.yml": compose, "web/vercel.json": "{}"}
    report = audit(tmp_path, next_app(**files))
    for check in ("source-maps", "frontend-dsn-provided"):
        assert statuses(report, check) == {"unknown"}
        assert "Vercel builds it" in message(report, check)
    assert statuses(report, "release-set") == {"pass"}


def test_what_app_hosting_gives_its_builds(tmp_path: Path) -> None:
    variables = (
        "env:\n- variable: SENTRY_AUTH_TOKEN\n  secret: sentryToken\n  availability: [BUILD]\n"
        "- variable: NEXT_PUBLIC_SENTRY_DSN\n  value: %s\n  availability: [%s]\n"
    )
    files = next_app(**{"web/apphosting.yaml": variables % (DSN, "BUILD, RUNTIME")})
    report = audit(tmp_path / "a", files)
    assert statuses(report, "source-maps") == {"pass"}
    [found] = findings(report, "frontend-dsn-provided", "web")
    assert (found.status.value, [str(place) for place in found.evidence]) == ("pass", ["web/apphosting.yaml:5"])
    report = audit(tmp_path / "b", next_app(**{"web/apphosting.yaml": variables % (DSN, "RUNTIME")}))
    assert statuses(report, "frontend-dsn-provided") == {"unknown"}
    assert "Firebase App Hosting builds it (web/apphosting.yaml)" in message(report, "frontend-dsn-provided")
    files = next_app(**{"web/apphosting.yaml": "env: []\n", "web/apphosting.staging.yaml": variables % (DSN, "BUILD")})
    assert statuses(audit(tmp_path / "c", files), "source-maps") == {"pass"}
    assert statuses(audit(tmp_path / "d", files, "production"), "source-maps") == {"unknown"}


# --- plugins ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("project: 'web', sourcemaps: { disable: true }", "sourcemaps.disable: true"),
        ("project: 'web', sourcemaps: { disable: 'disable-upload' }", "sourcemaps.disable"),
        ("project: 'web', disable: true", "disable: true"),
        ("project: 'web', dryRun: true", "dryRun: true"),
        ("project: 'web', authToken: ''", "empty token"),
        ("org: 'acme'", "SENTRY_PROJECT"),
    ],
)
def test_a_plugin_that_uploads_nothing(tmp_path: Path, options: str, said: str) -> None:
    files = image("ARG SENTRY_AUTH_TOKEN") | built("--build-arg SENTRY_AUTH_TOKEN=$TOKEN")
    report = audit(tmp_path, next_app(options=options, **files))
    assert statuses(report, "source-maps") == {"gap"}
    assert said in message(report, "source-maps")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ("project: 'web', sourcemaps: { disable: !process.env.SENTRY_AUTH_TOKEN }", "pass"),
        ("project: 'web', authToken: process.env.OTHER_TOKEN", "gap"),
        ("project: 'web', authToken: undefined", "pass"),
        ("project: 'web', disable: process.env.NODE_ENV === 'development'", "pass"),
        ("project: 'web', disable: process.env.SKIP === '1'", "pass"),
        ("project: 'web', disable: someFunction()", "unknown"),
        ("...shared", "pass"),
    ],
)
def test_options_that_depend_on_something(tmp_path: Path, options: str, status: str) -> None:
    files = image("ARG SENTRY_AUTH_TOKEN") | built("--build-arg SENTRY_AUTH_TOKEN=$TOKEN")
    assert statuses(audit(tmp_path, next_app(options=options, **files)), "source-maps") == {status}


@pytest.mark.parametrize(
    ("expression", "status"),
    [
        ("process.env.SENTRY_AUTH_TOKEN ? withSentryConfig(c, o) : c", "pass"),
        ("process.env.NODE_ENV === 'production' ? withSentryConfig(c, o) : c", "pass"),
        ("process.env.NODE_ENV === 'development' ? withSentryConfig(c, o) : c", "gap"),
        ("process.env.WITH_SENTRY ? withSentryConfig(c, o) : c", "gap"),
        ("enabled() ? withSentryConfig(c, o) : c", "unknown"),
        ("!inDev() ? withSentryConfig(c, o) : c", "pass"),
    ],
)
def test_a_plugin_behind_a_condition(tmp_path: Path, expression: str, status: str) -> None:
    config = f"{CONFIG}const c = {{}};\nconst o = {{ project: 'web' }};\nexport default {expression};\n"
    files = image("ARG SENTRY_AUTH_TOKEN") | built("--build-arg SENTRY_AUTH_TOKEN=$TOKEN")
    assert statuses(audit(tmp_path, next_app(config, **files)), "source-maps") == {status}


REQUIRED = "require('@sentry/webpack-plugin')"


@pytest.mark.parametrize(
    ("path", "head", "rest", "name"),
    [
        ("next.config.js", "const { withSentryConfig } = require('@sentry/nextjs');", "x = withSentryConfig({}, {});", "withSentryConfig"),
        ("webpack.prod.js", f"const S = {REQUIRED};", "x = { plugins: [new S({})] };", "SentryWebpackPlugin"),
        ("webpack.prod.js", f"const {{ sentryWebpackPlugin }} = {REQUIRED};", "x = [sentryWebpackPlugin({})];", "sentryWebpackPlugin"),
        ("vite.config.ts", "import { sentryVitePlugin as s } from '@sentry/vite-plugin';", "x = [s()];", "sentryVitePlugin"),
        ("nuxt.config.ts", "const o = { project: 'x' };", "x = { modules: ['@sentry/nuxt/module'], sentry: o };", "@sentry/nuxt/module"),
        ("astro.config.mjs", "import sentry from '@sentry/astro';", "x = [sentry({})];", "sentryAstro"),
    ],
)  # fmt: skip
def test_where_plugins_are_configured(path: str, head: str, rest: str, name: str) -> None:
    files = Texts({**next_app(), "web/next.config.ts": "", f"web/{path}": f"{head}\n{rest}\n"})
    [frontend], _ = discover(files)
    assert [plugin.name for plugin in Analysis(files, frontend).plugins] == [name]


@pytest.mark.parametrize(
    ("devtool", "expected"),
    [
        ("inDev() ? 'eval-cheap-module-source-map' : false", "makes no source maps: devtool is false"),
        ("inDev() ? false : 'hidden-source-map'", ""),
        ("'hidden-source-map'", ""),
        ("false", "makes no source maps: devtool is false"),
        ("choose()", ""),
    ],
)
def test_webpack_makes_maps_if_it_is_told_to(tmp_path: Path, devtool: str, expected: str) -> None:
    manifest = {
        "scripts": {"build": "webpack"},
        "dependencies": {"react": "19", "@sentry/react": "^10"},
        "devDependencies": {"webpack": "5", "@sentry/webpack-plugin": "^4"},
    }
    config = (
        "import { sentryWebpackPlugin } from '@sentry/webpack-plugin';\n"
        f"export default {{ entry: './src/index.tsx', devtool: {devtool}, plugins: [sentryWebpackPlugin({{ project: 'web' }})] }};\n"
    )
    init = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: process.env.SENTRY_DSN });\n"
    files = {"web/package.json": json.dumps(manifest), "web/webpack.config.ts": config, "web/src/index.tsx": init}
    report = audit(tmp_path, files)
    assert statuses(report, "source-maps") == ({"gap"} if expected else {"unknown"})
    assert expected in message(report, "source-maps")


def test_a_configuration_that_next_leaves_aside(tmp_path: Path) -> None:
    ignored = next_app(**image(), **{"web/next.config.mjs": "export default {};\n"})
    report = audit(tmp_path, ignored)
    assert "nothing uploads its source maps" in message(report, "source-maps")
    assert "no bundler plugin injects one" in message(report, "release-set")


def test_no_plugin_at_all(tmp_path: Path) -> None:
    report = audit(tmp_path, next_app("export default {};\n"))
    assert "stack traces stay minified" in message(report, "source-maps")


def test_without_an_init_there_is_nothing_to_judge(tmp_path: Path) -> None:
    files = next_app()
    files["web/instrumentation-client.ts"] = "export {};\n"
    assert statuses(audit(tmp_path, files), "source-maps") == {"skipped"}


def test_an_init_of_the_server_is_not_the_browsers(tmp_path: Path) -> None:
    files = next_app()
    files["web/instrument.server.mjs"] = files.pop("web/instrumentation-client.ts")
    assert statuses(audit(tmp_path, files), "source-maps") == {"skipped"}


def test_vite_makes_no_maps_by_default(tmp_path: Path) -> None:
    files = vite_app(vite_config(build="base: '/'"))
    files |= image("ARG SENTRY_AUTH_TOKEN") | built("--build-arg SENTRY_AUTH_TOKEN=$T")
    report = audit(tmp_path, files)
    assert statuses(report, "source-maps") == {"gap"}
    assert "build.sourcemap is not set" in message(report, "source-maps")
    files["web/vite.config.ts"] = vite_config()
    assert statuses(audit(tmp_path, files), "source-maps") == {"pass"}


# --- commands --------------------------------------------------------------------------------------


def test_a_script_that_the_build_runs(tmp_path: Path) -> None:
    plain = "export default {};\n"
    upload = {"sentry:maps": "sentry-cli sourcemaps inject dist && sentry-cli sourcemaps upload dist"}
    assert "nothing runs the script sentry:maps" in message(audit(tmp_path, vite_app(plain, upload)), "source-maps")
    called = vite_app(plain, {**upload, "build": "vite build && npm run sentry:maps"})
    assert statuses(audit(tmp_path, called), "source-maps") == {"pass"}
    after = vite_app(plain, {"postbuild": "sentry-cli sourcemaps upload dist"})
    assert statuses(audit(tmp_path, after), "source-maps") == {"pass"}
    in_image = audit(tmp_path, {**called, **image(), **built("")})
    assert statuses(in_image, "source-maps") == {"gap"}


def test_an_action_that_uploads(tmp_path: Path) -> None:
    text = "on: push\njobs:\n  a:\n    steps:\n    - uses: getsentry/action-release@v3\n      with:\n        sourcemaps: ./dist\n"
    report = audit(tmp_path, next_app("export default {};\n", **{".github/workflows/a.yml": text}))
    assert statuses(report, "source-maps") == {"pass"}
    without = text.replace("sourcemaps: ./dist", "environment: staging")
    report = audit(tmp_path, next_app("export default {};\n", **{".github/workflows/a.yml": without}))
    assert statuses(report, "source-maps") == {"gap"}


# --- maps that are served --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "next_", "sdk", "served"),
    [
        ("project: 'web'", "15.3.0", "^10", False),
        ("project: 'web'", "15.3.0", "^8", True),
        ("project: 'web'", "16.0.0", "^10", True),
        ("project: 'web', sourcemaps: { deleteSourcemapsAfterUpload: true }", "16.0.0", "^10", False),
        ("project: 'web', sourcemaps: { deleteSourcemapsAfterUpload: false }", "15.3.0", "^10", True),
    ],
)
def test_next_serves_them(tmp_path: Path, options: str, next_: str, sdk: str, served: bool) -> None:
    config = f"{CONFIG}export default withSentryConfig({{ productionBrowserSourceMaps: true }}, {{ {options} }});\n"
    text = message(audit(tmp_path, next_app(config, next_=next_, sdk=sdk)), "source-maps")
    assert ("publishes the source maps" in text) is served


@pytest.mark.parametrize(
    ("plugin", "build", "served"),
    [
        ("sentryVitePlugin({ project: 'web' })", "build: { sourcemap: true }", True),
        ("sentryVitePlugin({ project: 'web' })", "build: { sourcemap: 'hidden' }", False),
        (
            "sentryVitePlugin({ sourcemaps: { filesToDeleteAfterUpload: ['dist/**/*.map'] } })",
            "build: { sourcemap: true }",
            False,
        ),
        ("", "build: { sourcemap: true }", True),
        ("", "css: { sourcemap: true }", False),
    ],
)
def test_vite_serves_them(tmp_path: Path, plugin: str, build: str, served: bool) -> None:
    text = message(audit(tmp_path, vite_app(vite_config(plugin, build))), "source-maps")
    assert ("publishes the source maps" in text) is served


def test_react_router_uploads_and_deletes_at_the_end_of_the_build(tmp_path: Path) -> None:
    config = (
        "import { sentryReactRouter } from '@sentry/react-router';\n"
        "export default (c) => ({ build: { sourcemap: true }, plugins: [sentryReactRouter({ project: 'web' }, c)] });\n"
    )
    files = vite_app(config) | image("ARG SENTRY_AUTH_TOKEN") | built("--build-arg SENTRY_AUTH_TOKEN=$T")
    text = message(audit(tmp_path, files), "source-maps")
    assert "no sentryOnBuildEnd" in text
    assert "publishes" in text
    files["web/react-router.config.ts"] = (
        "import { sentryOnBuildEnd } from '@sentry/react-router';\nexport default { buildEnd: sentryOnBuildEnd };\n"
    )
    assert statuses(audit(tmp_path, files), "source-maps") == {"pass"}


def test_maps_that_the_image_removes_are_not_served(tmp_path: Path) -> None:
    files = vite_app(vite_config(build="build: { sourcemap: true }"))
    files |= image(run="RUN npm run build && find dist -name '*.map' -delete")
    assert "publishes" not in message(audit(tmp_path, files), "source-maps")


# --- what is committed -----------------------------------------------------------------------------

WEB = Component(name="web", component="web", path="web", role="frontend", ecosystem="npm")
API = Component(name="api", component="api", path="api")


def found(files: dict[str, str]) -> list[tuple[str, str, int | None]]:
    facts = committed(Texts(files), [], [API, WEB])
    return [(fact.component, type(fact).__name__, fact.evidence[0].line) for fact in facts]


def test_literals_belong_to_the_component_of_their_folder() -> None:
    files = {
        "web/src/sentry.ts": f"// sentry\nexport const dsn = '{DSN}';\n",
        "web/next.config.js": f"// @sentry/nextjs\nmodule.exports = {{ authToken: '{TOKEN}' }};\n",
        "api/main.py": f"import sentry_sdk\nsentry_sdk.init('{DSN}')\n",
        ".github/workflows/a.yml": f"# sentry\nenv:\n  SENTRY_AUTH_TOKEN: {TOKEN}\n",
    }
    assert found(files) == [
        ("api", "AuthToken", 3), ("api", "Dsn", 2), ("web", "AuthToken", 2), ("web", "Dsn", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "files",
    [
        {"web/src/a.test.ts": f"const sentry = '{DSN}';\n"},
        {"web/src/setupTests.ts": f"const sentry = '{DSN}';\n"},
        {"web/src/evals/fixtures.ts": f"const sentry = '{DSN}';\n"},
        {"web/src/a.ts": f"// sentry: {DSN}\n"},
        {"web/a.js": "// sentry\nconst t = 'sntrys_YOUR_TOKEN_YOUR_TOKEN_HERE';\n"},
        {"web/README.md": f"sentry {TOKEN}\n"},
    ],
)
def test_tests_comments_and_examples_are_no_leak(files: dict[str, str]) -> None:
    assert found(files) == []


def test_a_token_that_browsers_would_load() -> None:
    name = "NEXT_PUBLIC_SENTRY_AUTH_TOKEN"
    facts = committed(Texts({"web/a.ts": f"const sentry = process.env.{name};\n"}), [], [WEB])
    assert [(fact.name, fact.private) for fact in facts if isinstance(fact, AuthToken)] == [(name, False)]
    assert "anybody" in next(fact.problem for fact in facts if isinstance(fact, AuthToken))


def test_a_word_in_a_template_is_no_broken_dsn(tmp_path: Path) -> None:
    files = next_app(**{"web/.env.example": "NEXT_PUBLIC_SENTRY_DSN=local-dev-placeholder\n"})
    assert statuses(audit(tmp_path / "a", files), "dsn-format") == {"skipped"}
    files = next_app(**{"web/.env.production": "NEXT_PUBLIC_SENTRY_DSN=local-dev-placeholder\n"})
    assert statuses(audit(tmp_path / "b", files), "dsn-format") == {"gap"}


def test_a_placeholder_that_a_pipeline_writes_over_is_no_broken_dsn(tmp_path: Path) -> None:
    files = next_app(**image("ENV NEXT_PUBLIC_SENTRY_DSN=REPLACE_SENTRY_DSN"))
    assert statuses(audit(tmp_path / "a", files), "dsn-format") == {"gap"}
    step = "sed -i 's|REPLACE_SENTRY_DSN|${{ secrets.SENTRY_DSN }}|g' web/Dockerfile"
    files[".github/workflows/ship.yml"] = f"on: push\njobs:\n  ship:\n    steps:\n    - run: {step}\n"
    report = audit(tmp_path / "b", files)
    assert statuses(report, "dsn-format") == {"unknown"}
    assert ".github/workflows/ship.yml:5 writes over REPLACE_SENTRY_DSN" in message(report, "dsn-format")
    files[".github/workflows/ship.yml"] = (
        f"on: push\njobs:\n  ship:\n    steps:\n    # - run: {step}\n    - run: date\n"
    )
    assert statuses(audit(tmp_path / "c", files), "dsn-format") == {"gap"}


def test_a_committed_dsn_of_a_front_end_is_a_gap_once(tmp_path: Path) -> None:
    files = next_app(**{"api/requirements.txt": SDK})
    files["web/instrumentation-client.ts"] = (
        f"import * as Sentry from '@sentry/nextjs';\nSentry.init({{ dsn: '{DSN}' }});\n"
    )
    report = audit(tmp_path, files)
    assert statuses(report, "dsn-hardcoded", "web") == {"gap"}
    assert DSN not in message(report, "dsn-hardcoded")
    assert [item.hardcoded for item in committed(Texts(files), [], [WEB]) if isinstance(item, Dsn)] == [True]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("FROM node\nARG SENTRY_AUTH_TOKEN\n", [2]),
        ("FROM node\nENV SENTRY_AUTH_TOKEN=$X\n", [2]),
        ("FROM node AS build\nARG SENTRY_AUTH_TOKEN\nFROM nginx\nCOPY --from=build /d /d\n", []),
        ("FROM node AS base\nARG SENTRY_AUTH_TOKEN\nFROM base AS build\nRUN true\nFROM base\nCMD x\n", [2]),
    ],
)
def test_a_token_stays_in_the_stages_of_the_image(lines: str, expected: list[int]) -> None:
    tokens = [fact for fact in scan("Dockerfile", lines)[0] if isinstance(fact, AuthToken)]
    assert [item.evidence[0].line for item in tokens] == expected
