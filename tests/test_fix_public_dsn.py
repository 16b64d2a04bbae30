"""The DSN of browsers under the prefix of their bundler: what gave the old name a value gives the new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.app import Request, check
from sentry_audit.model import Status
from sentry_audit.rehearsing import plan
from tests.trees import write

if TYPE_CHECKING:
    from pathlib import Path

    from sentry_audit.fixing import Plan

MAIN = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.SENTRY_DSN });\n"
VITE = {
    "web/package.json": '{"scripts": {"build": "vite build"}, "dependencies": {"react": "19", "@sentry/react": "^10"},'
    ' "devDependencies": {"vite": "7"}}',
    "web/index.html": '<script type="module" src="/src/main.tsx"></script>\n',
    "web/src/main.tsx": MAIN,
}
DOCKERFILE = (
    "FROM node:22 AS build\nWORKDIR /app\nCOPY . .\nARG SENTRY_DSN\nENV SENTRY_DSN=$SENTRY_DSN\nRUN npm run build\n"
    "FROM nginx\nCOPY --from=build /app/dist /usr/share/nginx/html\n"
)
PUSH = (
    "on: push\njobs:\n  web:\n    runs-on: ubuntu-latest\n    steps:\n    - uses: docker/build-push-action@v6\n      with:\n"
    "        context: web\n        push: true\n        tags: eu.gcr.io/p/web\n        build-args: |\n"
    "          SENTRY_DSN=${{ secrets.SENTRY_DSN }}\n"
    "    - run: gcloud run deploy web --image eu.gcr.io/p/web\n"
)


def planned(root: Path, files: dict[str, str]) -> Plan:
    write(root, files)
    request = Request(root=root, environments=("production",))
    return plan(request, ("frontend-dsn-public",), repo=True, cloud=False, unproven=False, progress=None).plan


def edited(found: Plan) -> dict[str, str]:
    assert not found.left, found.left
    return {change.path: change.after or "" for step in found.steps for change in step.files}


def provided(root: Path, written: dict[str, str]) -> list[Status]:
    write(root, written)
    [report] = check(Request(root=root, environments=("production",)))
    return [item.status for item in report.findings if item.check == "frontend-dsn-provided"]


def test_the_image_and_what_builds_it_give_the_new_name_what_the_old_one_had(tmp_path: Path) -> None:
    files = VITE | {"web/Dockerfile": DOCKERFILE, ".github/workflows/web.yml": PUSH}
    written = edited(planned(tmp_path, files))
    assert "ARG VITE_SENTRY_DSN\nENV VITE_SENTRY_DSN=$VITE_SENTRY_DSN\n" in written["web/Dockerfile"]
    assert "          VITE_SENTRY_DSN=${{ secrets.SENTRY_DSN }}\n" in written[".github/workflows/web.yml"]
    assert "import.meta.env.VITE_SENTRY_DSN" in written["web/src/main.tsx"]
    assert provided(tmp_path, written) == [Status.PASS]


def test_the_older_configuration_of_the_browser_is_no_servers(tmp_path: Path) -> None:
    code = "import * as Sentry from '@sentry/nextjs';\nSentry.init({ dsn: process.env.SENTRY_DSN });\n"
    files = {
        "package.json": '{"scripts": {"build": "next build"}, "dependencies": {"next": "14.2.3", "@sentry/nextjs": "^8"}}',
        "next.config.js": "const { withSentryConfig } = require('@sentry/nextjs');\n"
        "module.exports = withSentryConfig({}, { org: 'acme', project: 'web' });\n",
        "sentry.client.config.ts": code,
        "sentry.edge.config.ts": code,
    }
    written = edited(planned(tmp_path, files))
    assert written == {"sentry.client.config.ts": code.replace("SENTRY_DSN", "NEXT_PUBLIC_SENTRY_DSN")}


@pytest.mark.parametrize("quoted", [True, False])
def test_a_script_gives_the_build_argument_its_new_name(tmp_path: Path, quoted: bool) -> None:
    pair = '"SENTRY_DSN=$SENTRY_DSN"' if quoted else "SENTRY_DSN=$SENTRY_DSN"
    script = f"docker build --build-arg {pair} -t eu.gcr.io/p/web web\ndocker push eu.gcr.io/p/web\n"
    script += "gcloud run deploy web --image eu.gcr.io/p/web\n"
    files = VITE | {"web/Dockerfile": DOCKERFILE, "deploy.sh": script}
    written = edited(planned(tmp_path, files))
    assert written["deploy.sh"] == script.replace("SENTRY_DSN=$", "VITE_SENTRY_DSN=$")
    assert provided(tmp_path, written) == [Status.PASS]


def test_a_step_is_given_the_new_name_beside_the_old_one(tmp_path: Path) -> None:
    workflow = (
        "on: push\nenv:\n  SENTRY_DSN: ${{ secrets.SENTRY_DSN }}\njobs:\n  web:\n    runs-on: ubuntu-latest\n    steps:\n"
        "    - run: npm ci && npm run build\n      working-directory: web\n    - run: gsutil rsync web/dist gs://acme-web\n"
    )
    written = edited(planned(tmp_path, VITE | {".github/workflows/web.yml": workflow}))
    assert "      env:\n        VITE_SENTRY_DSN: ${{ env.SENTRY_DSN }}\n" in written[".github/workflows/web.yml"]
    assert "  SENTRY_DSN: ${{ secrets.SENTRY_DSN }}\n" in written[".github/workflows/web.yml"]


def test_a_server_beside_the_browser_keeps_its_variable(tmp_path: Path) -> None:
    files = {
        "package.json": '{"scripts": {"build": "next build"}, "dependencies": {"next": "15.3.0", "@sentry/nextjs": "^10"}}',
        "instrumentation-client.ts": "import * as Sentry from '@sentry/nextjs';\n"
        "Sentry.init({ dsn: process.env.SENTRY_DSN });\n",
        "sentry.server.config.ts": "import * as Sentry from '@sentry/nextjs';\n"
        "Sentry.init({ dsn: process.env.SENTRY_DSN });\n",
        ".env.example": "# Sentry\nSENTRY_DSN=\n",
        ".env.production": "SENTRY_DSN=https://0123456789abcdef0123456789abcdef@o1.ingest.us.sentry.io/1\n",
    }
    found = planned(tmp_path, files)
    written = edited(found)
    assert set(written) == {"instrumentation-client.ts", ".env.example", ".env.production"}
    assert written[".env.example"] == "# Sentry\nSENTRY_DSN=\nNEXT_PUBLIC_SENTRY_DSN=\n"
    assert written[".env.production"].endswith("\nNEXT_PUBLIC_SENTRY_DSN=$SENTRY_DSN\n")
    assert "sentry.server.config.ts goes on to read SENTRY_DSN" in found.steps[0].summary
    assert provided(tmp_path, written) == [Status.PASS]


def test_python_in_the_same_folder_keeps_its_dotenv_file(tmp_path: Path) -> None:
    files = {path.removeprefix("web/"): text for path, text in VITE.items()}
    files |= {"server.py": "import os\nDSN = os.getenv('SENTRY_DSN')\n", ".env": "SENTRY_DSN=\n"}
    assert edited(planned(tmp_path, files))[".env"] == "SENTRY_DSN=\nVITE_SENTRY_DSN=\n"


def test_a_gap_that_no_edit_closes_is_not_said_to_be_fixable(tmp_path: Path) -> None:
    named = {"web/src/main.tsx": MAIN.replace("SENTRY_DSN", "VITE_SENTRY_DSN")}
    dockerfile = DOCKERFILE.replace("ARG SENTRY_DSN\nENV SENTRY_DSN=$SENTRY_DSN\n", "")
    files = VITE | named | {"web/Dockerfile": dockerfile}
    for script, fixable in (
        ("gcloud run deploy web --source web\n", False),
        (
            "docker build -t eu.gcr.io/p/web web\ndocker push eu.gcr.io/p/web\ngcloud run deploy web --image eu.gcr.io/p/web\n",
            True,
        ),
    ):
        write(tmp_path, files | {"deploy.sh": script})
        [report] = check(Request(root=tmp_path, environments=("production",)))
        [found] = [item for item in report.findings if item.check == "frontend-dsn-provided"]
        assert found.status is Status.GAP
        assert found.remedy is not None
        assert found.remedy.fixable is fixable
